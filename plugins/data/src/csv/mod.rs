//! CSV, comma-separated values.
//!
//! Specification: [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180), with the liberties that files take.
//!
//! | | RFC 4180 | also read |
//! |---|---|---|
//! | delimiter | `,` | the one of a first line `sep=;`, as Excel has it; else `;` tab `\|`: the one under which most records of the head have as many cells (option `delimiter`) |
//! | line end | CRLF | LF, CR; the last may be missing; blank lines are no rows |
//! | quotes | `"…"`, doubled inside, around newlines | text after a closing quote is joined, quotes inside unquoted cells are kept |
//! | header | optional | found by looking (option `header`); without one the columns are `column_1`, `column_2` … |
//! | encoding | ASCII | UTF-8, UTF-16 with a mark, otherwise Windows-1252 (option `encoding`) |
//! | rows | as many cells each | the first record counts: shorter rows get nulls, cells beyond are left out |
//! | before the table | nothing | records of one cell: they become the property `preamble` |
//!
//! Null is an empty unquoted cell (option `nulls` adds words); `""` is an empty text. Types are found from all cells, see
//! [`infer`]. Names are kept as they stand, also empty and repeated ones. Records of more than 100 000 cells are unsupported.
//!
//! Diagnostics: `encoding`, `undecodable`, `nul`, `text-after-quote`, `bare-quotes`, `short-rows`, `long-rows`, `preamble`,
//! `duplicate-names` (warnings and errors), `blank-lines`, `no-header`, `unnamed-columns`, `rounded`, `sep-line` (notes).
//! Strict: each of the first eight is an error. Default: a quote that is never closed is an error. Lenient: it runs to the end.
//!
//! Written: RFC 4180 with LF, UTF-8 without a mark, shortest floats that read back, quotes where a cell holds a quote, a line
//! end or any delimiter, is empty or blank, and around names that look like values. Lost: bytes become hexadecimal text
//! (`csv.binary`), columns of text that look like numbers (`csv.text-columns`), nulls of a table of one column (`csv.nulls`).

mod dialect;
mod infer;
mod reader;
mod scan;
mod writer;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Media, MediaRecord, OptionSpec,
    OptionType, Output, Probe, Result, Source, register,
};

use dialect::{Charset, Shape, sep_line, sniff};
use reader::Reader;

const INFO: FormatInfo = FormatInfo::new("csv", "Comma-separated values", &[Kind::Table])
    .extensions(&["csv"])
    .media_types(&["text/csv"])
    .reads()
    .writes(&[Feature::Nulls])
    .options(&[
        OptionSpec::read(
            "delimiter",
            OptionType::Choice(&["auto", "comma", "semicolon", "tab", "pipe", ",", ";", "|"]),
            "auto",
            "What stands between cells",
        ),
        OptionSpec::read(
            "header",
            OptionType::Choice(&["auto", "yes", "no"]),
            "auto",
            "Whether the first record names the columns",
        ),
        OptionSpec::read(
            "types",
            OptionType::Choice(&["numbers", "exact", "text"]),
            "numbers",
            "Columns as numbers and bools, only where writing gives the same text, or all as text",
        ),
        OptionSpec::read(
            "nulls",
            OptionType::Text,
            "",
            "Words that stand for null beside the empty cell, e.g. NA,null",
        ),
        OptionSpec::read("encoding", OptionType::Text, "auto", "Encoding of the text, e.g. utf-8 or windows-1252"),
    ])
    .spec("https://www.rfc-editor.org/rfc/rfc4180");

struct Csv;

register!(Csv);

impl Format for Csv {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        look(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader::new(source, cx, None)?))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &mut record.media {
            Media::Table(table) => writer::write(table, b',', out, cx),
            other => Err(Error::unsupported(format!("csv holds table, not {}", other.kind()))),
        }
    }
}

/// Records that all have the same number of cells speak for a table; other text is left to the extension.
fn look(probe: &Probe<'_>) -> Confidence {
    let Ok(charset) = Charset::detect("auto", probe.head, probe.is_whole()) else { return Confidence::Unknown };
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    if charset.encoding.is_ascii_compatible() && probe.head.iter().any(|byte| control(*byte)) {
        return Confidence::Unknown;
    }
    let (text, _) = charset.encoding.decode_without_bom_handling(&probe.head[charset.mark..]);
    // Markup, JSON, comments and section heads begin with these; so may a table, if its extension says so.
    let markup = text.trim_start().starts_with(['<', '{', '[', '%', '#', '@', '/', '(', '!']);
    if markup || text.bytes().any(control) {
        return Confidence::Unknown;
    }
    let (separator, text) = sep_line(text.as_bytes());
    let shape = match separator {
        Some(delimiter) => Shape::of(text, probe.is_whole(), delimiter),
        None => sniff(text, probe.is_whole()),
    };
    if shape.records < 2 || shape.columns < 2 || !shape.filled || shape.agreement < 1.0 {
        return Confidence::Unknown;
    }
    let score = match (shape.delimiter, shape.columns, shape.records) {
        (b',', 3.., 3..) => 55,
        (b',' | b';', ..) => 40,
        // Lists of molecules and logs have tabs and bars too.
        _ => return Confidence::Unknown,
    };
    let reason =
        format!("{} records of {} cells between {:?}", shape.records, shape.columns, char::from(shape.delimiter));
    Confidence::yes(score, reason)
}
