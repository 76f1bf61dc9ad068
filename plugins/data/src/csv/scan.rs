//! Text into records: decoding to UTF-8 block by block, and splitting into cells, without an allocation a cell.

use encoding_rs::{Decoder, DecoderResult, Encoding};
use mediary_core::{Context, Error, Location, Result, Source};

/// Bytes read from the source at once.
const BLOCK: usize = 256 << 10;

/// Cells of a record at most: a column takes memory many times its bytes, whatever the limits.
pub(super) const MOST_COLUMNS: usize = 100_000;

/// Where a cell stands in the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) start: usize,
    pub(super) end: usize,
    /// It began with a quote.
    pub(super) quoted: bool,
    /// It holds doubled quotes, or text after its closing quote: see [`unescape`].
    escaped: bool,
}

impl Cell {
    pub(super) fn text<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        &buffer[self.start..self.end]
    }
}

/// Deviations that the splitter steps over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Oddities {
    /// Empty lines between records.
    pub(super) blank_lines: u64,
    /// Cells with text after their closing quote.
    pub(super) text_after_quote: u64,
    /// Quotes inside unquoted cells.
    pub(super) bare_quotes: u64,
}

/// What one step of the splitter found.
pub(super) enum Split {
    /// A record: bytes it takes, and line ends in it.
    Record { taken: usize, lines: u64 },
    /// Nothing is left.
    End,
    /// The record may go on after the bytes given; the quote that is open, if one is.
    More { quote: Option<usize> },
    /// The input ends inside of a quoted cell, which opens here.
    Unterminated { quote: usize },
    /// A record of more cells than [`MOST_COLUMNS`].
    Wide,
}

/// Splits text into records with one delimiter.
pub(super) struct Splitter {
    delimiter: u8,
    /// Bytes that end or mark an unquoted cell.
    special: [bool; 256],
}

impl Splitter {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut special = [false; 256];
        for byte in [delimiter, b'\n', b'\r', b'"'] {
            special[usize::from(byte)] = true;
        }
        Self { delimiter, special }
    }

    /// The record that `bytes` begin with, its cells as offsets into `bytes`. `last` when nothing follows `bytes`.
    pub(super) fn split(&self, bytes: &[u8], last: bool, cells: &mut Vec<Cell>, oddities: &mut Oddities) -> Split {
        cells.clear();
        let mut lines = 0;
        let mut at = 0;
        let mut odd = *oddities;
        while let Some(b'\n' | b'\r') = bytes.get(at) {
            let Some(end) = line_end(bytes, at, last) else { return Split::More { quote: None } };
            at = end;
            lines += 1;
            odd.blank_lines += 1;
        }
        if at == bytes.len() {
            if !last {
                return Split::More { quote: None };
            }
            *oddities = odd;
            return Split::End;
        }
        loop {
            if cells.len() == MOST_COLUMNS {
                return Split::Wide;
            }
            let start = at;
            let quoted = bytes.get(at) == Some(&b'"');
            let mut escaped = false;
            let mut end = None;
            if quoted {
                at += 1;
                loop {
                    let Some(quote) = bytes[at..].iter().position(|&byte| byte == b'"') else {
                        return if last {
                            Split::Unterminated { quote: start }
                        } else {
                            Split::More { quote: Some(start) }
                        };
                    };
                    at += quote + 1;
                    match bytes.get(at) {
                        None if !last => return Split::More { quote: Some(start) },
                        Some(b'"') => {
                            escaped = true;
                            at += 1;
                        }
                        _ => break,
                    }
                }
                lines += line_ends(&bytes[start..at]);
                end = Some(at - 1);
            }
            // An unquoted cell, or what stands between a closing quote and the delimiter.
            let rest = at;
            loop {
                at += bytes[at..].iter().position(|&byte| self.special[usize::from(byte)]).unwrap_or(bytes.len() - at);
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
                odd.bare_quotes += 1;
                at += 1;
            }
            if quoted && at > rest {
                odd.text_after_quote += 1;
                (escaped, end) = (true, None);
            }
            cells.push(match end {
                Some(end) => Cell { start: start + 1, end, quoted, escaped },
                None if quoted => Cell { start: start + 1, end: at, quoted, escaped },
                None => Cell { start, end: at, quoted, escaped },
            });
            match bytes.get(at) {
                Some(&byte) if byte == self.delimiter => at += 1,
                None if !last => return Split::More { quote: None },
                None => {
                    *oddities = odd;
                    return Split::Record { taken: at, lines };
                }
                Some(_) => {
                    let Some(end) = line_end(bytes, at, last) else { return Split::More { quote: None } };
                    *oddities = odd;
                    return Split::Record { taken: end, lines: lines + 1 };
                }
            }
        }
    }
}

/// The offset after the line end at `at` (LF, CRLF or CR); `None` when the LF of a CRLF may still come.
fn line_end(bytes: &[u8], at: usize, last: bool) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) if !last => None,
        _ => Some(at + 1),
    }
}

/// Line ends in `bytes`: LF, CRLF and CR.
fn line_ends(bytes: &[u8]) -> u64 {
    let mut count = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        count += u64::from(byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')));
    }
    count
}

/// Brings an escaped cell to its text, in place: a doubled quote is one; the first single one closes, and what follows
/// counts as text, quotes and all.
pub(super) fn unescape(buffer: &mut [u8], cell: &mut Cell) {
    if !cell.escaped {
        return;
    }
    let (mut from, mut to) = (cell.start, cell.start);
    let mut inside = true;
    while from < cell.end {
        if inside && buffer[from] == b'"' {
            from += 1;
            inside = buffer.get(from).filter(|_| from < cell.end) == Some(&b'"');
            if !inside {
                continue;
            }
        }
        buffer[to] = buffer[from];
        (from, to) = (from + 1, to + 1);
    }
    (cell.end, cell.escaped) = (to, false);
}

/// The records of a source, in order.
pub(super) struct Records {
    source: Source,
    cx: Context,
    splitter: Splitter,
    decoder: Decoder,
    /// Offset of the next byte to read from the source.
    offset: u64,
    raw: Vec<u8>,
    /// Decoded text: the current record first, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    taken: usize,
    last: bool,
    cells: Vec<Cell>,
    line: u64,
    next_line: u64,
    paid: u64,
    /// What was stepped over so far.
    pub(super) oddities: Oddities,
    /// Byte sequences that are not of the encoding, replaced by U+FFFD.
    pub(super) undecodable: u64,
    /// Where the first of them stands.
    pub(super) first_undecodable: Option<u64>,
    /// NUL characters.
    pub(super) nuls: u64,
    /// The line of the quote that the input leaves open.
    pub(super) unterminated: Option<u64>,
}

impl Records {
    /// Reads `source` from `offset` on.
    pub(super) fn new(source: &Source, encoding: &'static Encoding, offset: u64, delimiter: u8, cx: &Context) -> Self {
        Self {
            source: source.clone(),
            cx: cx.clone(),
            splitter: Splitter::new(delimiter),
            decoder: encoding.new_decoder_without_bom_handling(),
            offset,
            raw: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            taken: 0,
            last: false,
            cells: Vec::new(),
            line: 1,
            next_line: 1,
            paid: 0,
            oddities: Oddities::default(),
            undecodable: 0,
            first_undecodable: None,
            nuls: 0,
            unterminated: None,
        }
    }

    /// Goes to the next record; `false` at the end.
    ///
    /// A quote that is never closed is no error here: the cell runs to the end of the input and
    /// [`unterminated`](Self::unterminated) says where it opened.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.start += std::mem::take(&mut self.taken);
        self.line = self.next_line;
        loop {
            let bytes = &self.buffer[self.start..];
            let blank = self.oddities.blank_lines;
            let taken = match self.splitter.split(bytes, self.last, &mut self.cells, &mut self.oddities) {
                Split::End => return Ok(false),
                Split::More { quote } => {
                    self.refill(quote)?;
                    continue;
                }
                Split::Wide => {
                    return Err(Error::unsupported(format!("a record of more than {MOST_COLUMNS} cells"))
                        .at_line(self.line)
                        .with_hint("a table this wide may be transposed, or has another delimiter: -o csv.delimiter"));
                }
                Split::Record { taken, lines } => {
                    self.next_line += lines;
                    taken
                }
                Split::Unterminated { quote } => {
                    self.unterminated = Some(self.line + line_ends(&bytes[..quote]));
                    self.cells.push(Cell { start: quote + 1, end: bytes.len(), quoted: true, escaped: true });
                    bytes.len()
                }
            };
            self.line += self.oddities.blank_lines - blank;
            self.taken = taken;
            for cell in &mut self.cells {
                cell.start += self.start;
                cell.end += self.start;
                unescape(&mut self.buffer, cell);
            }
            return Ok(true);
        }
    }

    /// The cells of the current record.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The bytes that the cells point into; valid UTF-8, as is every cell: delimiters are ASCII.
    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// The line on which the current record begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Drops what is done and decodes as many bytes more as are pending, so that a long record is not split anew too often.
    fn refill(&mut self, quote: Option<usize>) -> Result<()> {
        self.cx.checkpoint()?;
        self.buffer.drain(..self.start);
        self.start = 0;
        let pending = self.buffer.len();
        let limits = self.cx.limits();
        limits.check("string_bytes", pending as u64).map_err(|error| match quote {
            None => error.at_line(self.line),
            Some(quote) => error
                .at(Location::line(self.line + line_ends(&self.buffer[..quote])))
                .with_hint("a quote opens here and may never be closed; otherwise raise --limit string_bytes"),
        })?;
        let wanted = pending.max(BLOCK);
        let room = (3 * wanted + 16 + pending) as u64;
        if room > self.paid {
            self.cx.budget().take(room - self.paid)?;
            self.paid = room;
        }
        self.raw.resize(wanted, 0);
        let read = self.source.read_at(self.offset, &mut self.raw)?;
        // The source is at its end when it gives less than asked for.
        self.last = read < wanted;
        self.decode(read)?;
        self.nuls += self.buffer[pending..].iter().filter(|&&byte| byte == 0).count() as u64;
        Ok(())
    }

    fn decode(&mut self, read: usize) -> Result<()> {
        let mut from = 0;
        let mut to = self.buffer.len();
        loop {
            let input = &self.raw[from..read];
            let room = self
                .decoder
                .max_utf8_buffer_length_without_replacement(input.len())
                .ok_or_else(|| Error::limit("string_bytes", u64::MAX, self.cx.limits().string_bytes))?;
            self.buffer.resize(to + room, 0);
            let (result, consumed, written) =
                self.decoder.decode_to_utf8_without_replacement(input, &mut self.buffer[to..], self.last);
            from += consumed;
            to += written;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let bad = self.offset + (from as u64).saturating_sub(u64::from(length + after));
                    self.first_undecodable.get_or_insert(bad);
                    self.undecodable += 1;
                    self.buffer.truncate(to);
                    self.buffer.extend_from_slice("\u{FFFD}".as_bytes());
                    to = self.buffer.len();
                }
            }
        }
        self.buffer.truncate(to);
        self.offset += read as u64;
        Ok(())
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.cx.budget().give_back(self.paid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, last: bool) -> Option<Vec<String>> {
        let mut cells = Vec::new();
        let mut bytes = text.as_bytes().to_vec();
        let splitter = Splitter::new(b',');
        match splitter.split(&bytes, last, &mut cells, &mut Oddities::default()) {
            Split::Record { .. } => {}
            _ => return None,
        }
        let text = |cell: &mut Cell| {
            unescape(&mut bytes, cell);
            String::from_utf8(cell.text(&bytes).to_vec()).unwrap()
        };
        Some(cells.iter_mut().map(text).collect())
    }

    /// Expected values from Python's csv module: `next(csv.reader(io.StringIO(text, newline="")))`.
    #[test]
    fn cells_are_split_as_python_does() {
        let cases: &[(&str, &[&str])] = &[
            ("a,b\n", &["a", "b"]),
            ("a,\r\n", &["a", ""]),
            (",\r", &["", ""]),
            ("\"a,b\",\"c\"\"d\"\n", &["a,b", "c\"d"]),
            ("\"\"\"\"\n", &["\""]),
            ("\"a\nb\",c", &["a\nb", "c"]),
            ("\"ab\"cd,e\n", &["abcd", "e"]),
            ("\"a\"b\"c,d\n", &["ab\"c", "d"]),
            ("a\"b\",c\n", &["a\"b\"", "c"]),
            (" \"a\",b\n", &[" \"a\"", "b"]),
            ("\"\",\n", &["", ""]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text, true).unwrap(), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_record_that_may_go_on_waits() {
        for text in ["a,b", "a,b\r", "\"a", "\"a\"", "\"a\"\"", "", "\r"] {
            assert!(split(text, false).is_none(), "{text:?}");
        }
        assert!(split("\"a", true).is_none());
    }
}
