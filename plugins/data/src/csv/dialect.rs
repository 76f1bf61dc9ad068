//! What the first 64 KiB tell: encoding, delimiter, lines before the table, and whether a header row is there. The reading
//! of the whole input follows it, so that a header read and a full read cannot disagree.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use mediary_core::{Context, Error, ErrorKind, Result};

use super::infer::{Class, Types, classify};
use super::scan::{Cell, Oddities, Split, Splitter, unescape};

/// Delimiters that are tried, the usual one first.
pub(super) const DELIMITERS: [u8; 4] = *b",;\t|";

/// How the text is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charset {
    pub(super) encoding: &'static Encoding,
    /// Bytes of the byte order mark.
    pub(super) mark: usize,
    /// Nothing in the head speaks for UTF-8: it is all ASCII. The first byte that is not UTF-8 makes it Windows-1252.
    pub(super) assumed: bool,
}

impl Charset {
    /// By the option, the byte order mark, or the bytes.
    pub(super) fn detect(option: &str, head: &[u8], whole: bool) -> Result<Self> {
        let marked = Encoding::for_bom(head);
        if option != "auto" {
            let encoding = Encoding::for_label(option.as_bytes()).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidOption,
                    format!("option csv.encoding: expected auto or an encoding, found {option:?}"),
                )
                .with_hint(
                    "the labels are those of https://encoding.spec.whatwg.org, e.g. utf-8, windows-1252, shift_jis",
                )
            })?;
            let mark = marked.filter(|(found, _)| *found == encoding).map_or(0, |(_, length)| length);
            return Ok(Self { encoding, mark, assumed: false });
        }
        if let Some((encoding, mark)) = marked {
            return Ok(Self { encoding, mark, assumed: false });
        }
        let utf8 = Self { encoding: UTF_8, mark: 0, assumed: head.is_ascii() };
        match std::str::from_utf8(head) {
            Ok(_) => Ok(utf8),
            // The end of the head may cut a character.
            Err(error) if error.error_len().is_none() && !whole => Ok(utf8),
            Err(_) => Ok(Self::WINDOWS),
        }
    }

    /// The encoding of text that names none and is not UTF-8.
    pub(super) const WINDOWS: Self = Self { encoding: WINDOWS_1252, mark: 0, assumed: false };
}

/// How to read a file: everything but the types.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) charset: Charset,
    pub(super) delimiter: u8,
    /// Whether the first line is `sep=` and the delimiter, which Excel writes and obeys.
    pub(super) sep_line: bool,
    /// Records of one cell before the table: titles, comments.
    pub(super) preamble: Vec<String>,
    pub(super) has_header: bool,
    /// Cells of the first record of the table, as far as the head holds it.
    pub(super) first: Option<Vec<String>>,
}

impl Dialect {
    /// Looks at the head. `delimiter` is that of the format, or `None` to find it.
    pub(super) fn detect(head: &[u8], whole: bool, delimiter: Option<u8>, cx: &Context) -> Result<Self> {
        let charset = Charset::detect(cx.options().text("encoding"), head, whole)?;
        let (text, _) = charset.encoding.decode_without_bom_handling(&head[charset.mark..]);
        let (separator, text) = sep_line(text.as_bytes());
        let delimiter = match cx.options().text("delimiter") {
            "" | "auto" => delimiter.or(separator),
            name => Some(delimiter_of(name)),
        };
        let shape = match delimiter {
            Some(delimiter) => Shape::of(text, whole, delimiter),
            None => sniff(text, whole),
        };
        let mut records = Sample::new(text, whole, shape.delimiter).map(|(cells, _)| cells);
        let preamble = records.by_ref().take(shape.preamble).map(|cells| texts(&cells).concat()).collect();
        let table: Vec<Vec<(String, bool)>> = records.collect();
        let has_header = match cx.options().text("header") {
            "yes" => true,
            "no" => false,
            _ => has_header(&table),
        };
        let first = table.first().map(|cells| texts(cells));
        let sep_line = separator.is_some();
        Ok(Self { charset, delimiter: shape.delimiter, sep_line, preamble, has_header, first })
    }
}

/// The delimiter that a first line like `sep=;` names, and the text after that line.
pub(super) fn sep_line(text: &[u8]) -> (Option<u8>, &[u8]) {
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter, end @ (b'\r' | b'\n'), rest @ ..] = text
        && (delimiter.is_ascii_punctuation() || matches!(delimiter, b'\t' | b' '))
        && *delimiter != b'"'
    {
        let rest = if *end == b'\r' { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
        return (Some(*delimiter), rest);
    }
    (None, text)
}

fn texts(cells: &[(String, bool)]) -> Vec<String> {
    cells.iter().map(|(text, _)| text.clone()).collect()
}

/// The byte that a value of the option `delimiter` names.
fn delimiter_of(name: &str) -> u8 {
    match name {
        "semicolon" | ";" => b';',
        "tab" => b'\t',
        "pipe" | "|" => b'|',
        _ => b',',
    }
}

/// What a delimiter makes of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) delimiter: u8,
    /// Cells that most records have.
    pub(super) columns: usize,
    /// Records seen.
    pub(super) records: usize,
    /// Part of the records that have as many cells, less when the first is not among them.
    pub(super) agreement: f64,
    /// Records of one cell before the first of several.
    preamble: usize,
    /// Whether any cell but the first of a record holds something.
    pub(super) filled: bool,
}

impl Shape {
    pub(super) fn of(text: &[u8], whole: bool, delimiter: u8) -> Self {
        let mut counts: Vec<usize> = Vec::new();
        let mut filled = false;
        for (cells, _) in Sample::new(text, whole, delimiter) {
            filled |= cells.iter().skip(1).any(|(text, _)| !text.is_empty());
            counts.push(cells.len());
        }
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        // The most frequent number of cells, the largest of equally frequent ones.
        let (agreeing, columns) =
            sorted.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).max().unwrap_or_default();
        let leading = counts.iter().take_while(|&&count| count == 1).count();
        let preamble = if columns > 1 && agreeing > 1 { leading } else { 0 };
        let table = (counts.len() - preamble).max(1);
        let agreement = agreeing as f64 / table as f64 * if counts.get(preamble) == Some(&columns) { 1.0 } else { 0.9 };
        Self { delimiter, columns, records: counts.len(), agreement, preamble, filled }
    }
}

/// The delimiter under which most records have the same number of cells, at least two.
pub(super) fn sniff(text: &[u8], whole: bool) -> Shape {
    let shapes = DELIMITERS.map(|delimiter| Shape::of(text, whole, delimiter));
    let mut best: Option<Shape> = None;
    for shape in shapes.into_iter().filter(|shape| shape.columns > 1 && shape.filled) {
        // Running text holds the other delimiters now and then, but hardly a tab.
        let rank = |shape: &Shape| {
            let agreement = shape.agreement - 0.1 * shape.preamble as f64 / shape.records as f64;
            (agreement, shape.delimiter == b'\t', shape.columns)
        };
        if best.is_none_or(|best| rank(&shape) > rank(&best)) {
            best = Some(shape);
        }
    }
    best.unwrap_or(shapes[0])
}

/// The whole records of a head: cells with whether they were quoted, and the bytes they take.
struct Sample<'a> {
    text: &'a [u8],
    whole: bool,
    splitter: Splitter,
    cells: Vec<Cell>,
}

impl<'a> Sample<'a> {
    fn new(text: &'a [u8], whole: bool, delimiter: u8) -> Self {
        Self { text, whole, splitter: Splitter::new(delimiter), cells: Vec::new() }
    }
}

impl Iterator for Sample<'_> {
    type Item = (Vec<(String, bool)>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let Split::Record { taken, .. } =
            self.splitter.split(self.text, self.whole, &mut self.cells, &mut Oddities::default())
        else {
            return None;
        };
        let mut bytes = self.text[..taken].to_vec();
        let mut text = |cell: &mut Cell| {
            unescape(&mut bytes, cell);
            (String::from_utf8_lossy(cell.text(&bytes)).into_owned(), cell.quoted)
        };
        let cells = self.cells.iter_mut().map(&mut text).collect();
        self.text = &self.text[taken..];
        Some((cells, taken))
    }
}

/// Whether the first record names the columns. It does, unless it looks like the rows below it: it holds an unquoted number
/// where they hold numbers, nowhere a text where they hold numbers, and its numbers are not all years.
fn has_header(table: &[Vec<(String, bool)>]) -> bool {
    let Some((first, rows)) = table.split_first() else { return true };
    let number = |(text, quoted): &(String, bool)| {
        !quoted && matches!(classify(text.as_bytes(), Types::Numbers), Class::Int | Class::Float | Class::LongFloat)
    };
    let year = |text: &str| text.parse::<u32>().is_ok_and(|year| (1800..=2200).contains(&year));
    let numbers: Vec<_> = first.iter().filter(|cell| number(cell)).collect();
    if numbers.is_empty() || (numbers.iter().all(|(text, _)| year(text)) && !rows.is_empty()) {
        return true;
    }
    first.iter().enumerate().any(|(index, name)| {
        let mut column = rows.iter().filter_map(|row| row.get(index)).filter(|(text, _)| !text.is_empty()).peekable();
        !number(name) && !name.0.is_empty() && column.peek().is_some() && column.all(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found() {
        for (text, delimiter, columns) in [
            ("a,b\n1,2\n", b',', 2),
            ("a;b\n1,5;2,5\n3,5;4,5\n", b';', 2),
            ("a\tb\tc\nx, y\t2\t3\n", b'\t', 3),
            ("x|y|z\tb\nu|v|w\td\n", b'\t', 2),
            ("a|b\n\"x|y\"|2\n", b'|', 2),
            ("text\nwith, some\ncommas\nhere\n", b',', 1),
            ("one\n", b',', 1),
            ("", b',', 0),
        ] {
            let shape = sniff(text.as_bytes(), true);
            assert_eq!((shape.delimiter, shape.columns), (delimiter, columns), "{text:?}");
        }
    }

    #[test]
    fn header_rows_are_told_from_data() {
        for (text, expected) in [
            ("a,b\n1,2\n", true),
            ("a,b\n", true),
            ("1,2\n3,4\n", false),
            ("1,2\n", false),
            ("name,2019,2020\nx,1,2\n", true),
            ("x,1.5\ny,2.5\n", false),
            ("id,1.5\n1,2.5\n", true),
            ("\"1\",\"2\"\n3,4\n", true),
            ("red,green\nblue,white\n", true),
        ] {
            let table: Vec<_> = Sample::new(text.as_bytes(), true, b',').map(|(cells, _)| cells).collect();
            assert_eq!(has_header(&table), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_before_the_table_are_set_aside() {
        let shape = sniff(b"Report of May\n\na,b,c\n1,2,3\n4,5,6\n", true);
        assert_eq!((shape.columns, shape.preamble), (3, 1));
    }
}
