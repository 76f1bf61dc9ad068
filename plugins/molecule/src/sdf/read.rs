//! The reader: header, connection table, data fields, one record at a time.

use std::borrow::Cow;

use mediary_core::{Context, Error, FormatReader, Location, MediaRecord, Result, Source, SourceBytes};
use serde_json::{Map, Value};

use super::ctab::Table;
use super::{v2000, v3000, version};
use crate::records::{Found, Mend, Parse, Records};
use crate::text::{Cursor, Findings, Line, integer, word};

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default(), mend: Mend::default() };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
    mend: Mend,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        let (cx, mut mend) = (self.cx.clone(), std::mem::take(&mut self.mend));
        let next = mend.next(&cx, || self.next_record(bytes));
        self.mend = mend;
        next
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        !self.mend.is_pending() && self.is_at_end(bytes)
    }

    fn passed(&self) -> usize {
        self.cursor.at
    }

    fn none(&self) -> Error {
        Error::malformed("expected a molecule, found none")
    }
}

impl Reader {
    fn is_at_end(&self, bytes: &[u8]) -> bool {
        bytes[self.cursor.at..].iter().all(u8::is_ascii_whitespace)
    }

    /// The next record; after an error the cursor is behind its `$$$$`.
    fn next_record(&mut self, bytes: &[u8]) -> Result<Option<Found>> {
        loop {
            if self.is_at_end(bytes) {
                return Ok(None);
            }
            self.cx.checkpoint()?;
            if self.skip_empty(bytes)? {
                continue;
            }
            let start = self.cursor;
            return self.record(bytes).map(Some).inspect_err(|_| {
                self.cursor = start;
                while self.cursor.next(bytes).is_some_and(|line| !line.text.starts_with(b"$$$$")) {}
            });
        }
    }

    /// Passes over a delimiter with nothing but blank lines before it.
    fn skip_empty(&mut self, bytes: &[u8]) -> Result<bool> {
        let mut ahead = self.cursor;
        while let Some(line) = ahead.next(bytes).filter(|line| line.number <= self.cursor.lines + 4) {
            if line.text.starts_with(b"$$$$") {
                let message = "expected a record before $$$$, found blank lines: passed over";
                self.cx.tolerate("empty-record", message, Location::line(line.number))?;
                self.cursor = ahead;
                return Ok(true);
            }
            if !line.text.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(false)
    }

    fn record(&mut self, bytes: &[u8]) -> Result<Found> {
        let mut table = Table::default();
        let mut header = [Line { text: &[], number: 0, start: 0 }; 4];
        for (line, what) in header.iter_mut().zip(["a name", "a program line", "a comment", "counts"]) {
            *line = self.cursor.next(bytes).ok_or_else(|| cut(what, self.cursor.lines))?;
        }
        let [name, program, comment, counts] = header;
        let name =
            if name.start == 0 { name.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name.text) } else { name.text };
        let comment = text(comment.text, comment.number, &mut table.findings);
        if !comment.is_empty() {
            table.extras.insert("comment".into(), comment.into());
        }
        if let dimensions @ (b"2D" | b"3D") = program.columns(20, 22) {
            table.extras.insert("dimensions".into(), word(dimensions).as_str().into());
        }
        if integer(counts.columns(12, 15)) == Some(1) {
            table.extras.insert("chiral".into(), true.into());
        }
        match version(counts.text) {
            Some(b"V3000" | b"v3000") => v3000::read(&mut self.cursor, bytes, &mut table, &self.cx)?,
            Some(b"V2000" | b"v2000") => v2000::read(&counts, &mut self.cursor, bytes, &mut table, &self.cx)?,
            Some(other) => {
                let found = word(other);
                return Err(Error::unsupported(format!("expected version V2000 or V3000, found {found:?}"))
                    .at_line(counts.number));
            }
            None => {
                v2000::read(&counts, &mut self.cursor, bytes, &mut table, &self.cx)?;
                table.findings.note("no-version", counts.number, || "the counts line has no version: V2000".into());
            }
        }
        let fields = self.data(bytes, &mut table.findings)?;
        let name = text(name, counts.number - 3, &mut table.findings);
        let (molecule, extras, mut findings) = table.finish(name.clone());
        let mut properties = Map::new();
        if !extras.is_empty() {
            properties.insert("molfile".into(), Value::Object(extras));
        }
        for (name, value) in fields {
            match properties.get_mut(&name) {
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first @ Value::String(_)) => *first = Value::Array(vec![first.take(), value.into()]),
                Some(_) => {
                    findings.warn("field-name", counts.number, || {
                        format!("a data field has the name of a property, {name:?}: the field is kept")
                    });
                    properties.insert(name, value.into());
                }
                None => drop(properties.insert(name, value.into())),
            }
        }
        let mut record = MediaRecord::new(molecule);
        record.key = name;
        record.properties = properties;
        Ok((record, findings))
    }

    /// Data fields up to the end of the record.
    fn data(&mut self, bytes: &[u8], findings: &mut Findings) -> Result<Vec<(String, String)>> {
        let mut fields: Vec<(String, String)> = Vec::new();
        // Whether a value goes on, and whether it has had a line.
        let (mut open, mut begun, mut blanks) = (false, false, 0);
        while let Some(line) = self.cursor.next(bytes) {
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            if line.text.starts_with(b"$$$$") {
                return Ok(fields);
            }
            if let Some(name) = field_name(line.text) {
                if open && begun {
                    findings.note("no-blank-line", line.number, || {
                        "expected a blank line behind the value of a data field, found the next field".into()
                    });
                }
                self.cx.budget().take(name.len() as u64 + 96)?;
                let name = text(name, line.number, findings);
                fields.push((name, String::new()));
                (open, begun, blanks) = (true, false, 0);
                continue;
            }
            let stray = !open;
            if line.text.trim_ascii().is_empty() {
                // An empty value has one blank line, or two.
                (open, blanks) = (false, blanks + 1);
                continue;
            }
            let Some((_, value)) = fields.last_mut() else {
                findings.warn("stray-line", line.number, || {
                    format!(
                        "expected a data field or $$$$, found {:?}: set aside",
                        word(&line.text[..line.text.len().min(40)])
                    )
                });
                continue;
            };
            if stray {
                findings.warn("stray-line", line.number, || {
                    "expected a data field or $$$$ behind a blank line, found text: taken as more of the value".into()
                });
                value.extend(std::iter::repeat_n('\n', blanks));
            }
            self.cx.limits().check("string_bytes", (value.len() + line.text.len()) as u64)?;
            self.cx.budget().take(line.text.len() as u64 + 1)?;
            if begun {
                value.push('\n');
            }
            value.push_str(&text(line.text, line.number, findings));
            (open, begun, blanks) = (true, true, 0);
        }
        if !fields.is_empty() {
            findings.warn("no-end", self.cursor.lines, || {
                "expected $$$$ behind the data fields, found the end of the file: it may be cut short".into()
            });
        }
        Ok(fields)
    }
}

/// The name of a data field, if the line is the header of one: `> <NAME>`, `> 25 <NAME> (registry)`, `> DT12`.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b">")?;
    if !rest.first().is_none_or(|byte| b" \t<".contains(byte)) {
        return None;
    }
    let start = rest.iter().position(|&byte| byte == b'<');
    let end = rest.iter().rposition(|&byte| byte == b'>');
    match (start, end) {
        (Some(start), Some(end)) if start < end => Some(&rest[start + 1..end]),
        _ => {
            let name = rest.trim_ascii();
            name.strip_prefix(b"DT").is_some_and(|digits| integer(digits).is_some()).then_some(name)
        }
    }
}

/// Text of a line without blanks at its end; bytes that are no UTF-8 are replaced.
fn text(line: &[u8], number: u64, findings: &mut Findings) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    if let Cow::Owned(_) = &text {
        findings.warn("not-utf-8", number, || "expected UTF-8, found other bytes: they are replaced".into());
    }
    text.into_owned()
}

/// The file ends before `what`.
pub(super) fn cut(what: &str, line: u64) -> Error {
    Error::malformed(format!("expected {what}, found the end of the file"))
        .at_line(line)
        .with_hint("it may be cut short")
}
