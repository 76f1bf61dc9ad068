//! The reader: records in their order, models side by side.

use mediary_core::record::molecule::Model;
use mediary_core::{Context, Error, FormatReader, MediaRecord, Result, Source, SourceBytes};

use super::atoms::Build;
use super::columns::{position, record_name};
use super::entry::{Entry, cryst1};
use crate::models::{MODEL_BYTES, POSITION_BYTES};
use crate::records::{Parse, Records};
use crate::text::{Cursor, Line, integer};

/// Columns that say which atom it is: name, alternate location, residue, chain, number, insertion code.
const IDENTITY: (usize, usize) = (12, 27);
pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default(), entry: Entry::default(), ended: false };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
    /// What stands outside the models of the entry at hand.
    entry: Entry,
    /// The last record read was `END`.
    ended: bool,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        self.read(bytes)
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        bytes[self.cursor.at..].trim_ascii().is_empty()
    }

    fn none(&self) -> Error {
        Error::malformed("expected ATOM or HETATM records, found none")
    }
}

impl Reader {
    /// One record: the first model from here, and those that follow with the same atoms.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        let cx = self.cx.clone();
        let mut build = Build::default();
        if self.ended {
            self.ended = false;
            // A title after the end begins another entry; atoms alone continue the last one.
            if starts_entry(self.cursor, bytes) {
                self.entry = Entry::default();
            }
        }
        loop {
            let before = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            if line.number.is_multiple_of(16_384) {
                cx.checkpoint()?;
            }
            let name = record_name(line.text);
            match &name {
                b"ATOM  " | b"HETATM" => {
                    if build.closed {
                        self.cursor = before;
                        if !self.more_of_the_same(bytes, &mut build, 0)? {
                            break;
                        }
                    } else {
                        build.atom(&line, name == *b"HETATM", &cx)?;
                    }
                }
                b"MODEL " => {
                    // More than 9999 models run over the columns of the number.
                    let number = integer(line.columns(6, 80)).or_else(|| integer(line.columns(10, 14)));
                    if let Some(number) = number.filter(|&number| number < 1) {
                        build.findings.note("model-number", line.number, || {
                            format!("expected a positive model number, found {number}: the next free one is taken")
                        });
                    }
                    let number = number.unwrap_or(0).max(0);
                    if build.is_empty() {
                        build.model.number = number;
                        build.open = true;
                        continue;
                    }
                    if build.open && !build.closed {
                        build.unclosed(line.number);
                    }
                    build.closed = true;
                    if !self.more_of_the_same(bytes, &mut build, number)? {
                        self.cursor = before;
                        break;
                    }
                }
                b"ENDMDL" => build.closed = !build.is_empty(),
                // `END` alone on its line, however it is filled up.
                [b'E', b'N', b'D', b' ', ..] => {
                    if build.is_empty() {
                        continue;
                    }
                    if build.open && !build.closed {
                        build.unclosed(line.number);
                    }
                    build.closed = true;
                    build.ended = true;
                    if starts_entry(self.cursor, bytes) {
                        self.ended = true;
                        break;
                    }
                }
                [b'T', b'E', b'R', b' ', ..] => build.after_ter = true,
                b"ANISOU" => build.findings.warn("anisou", line.number, || {
                    "anisotropic displacements are set aside, the isotropic B factor is kept".into()
                }),
                b"CRYST1" if !build.is_empty() || self.entry.cell.is_some() => {
                    let cell = cryst1(&line, &mut build.findings).0;
                    if build.is_empty() {
                        build.model.cell = cell.filter(|cell| Some(*cell) != self.entry.cell);
                    } else {
                        build.next_cell = cell.filter(|cell| Some(*cell) != self.entry.cell);
                    }
                }
                _ => self.entry.record(&name, &line, &mut build.findings),
            }
        }
        if build.is_empty() {
            build.findings.report(&cx)?;
            return Ok(None);
        }
        if build.open && !build.closed {
            build.unclosed(self.cursor.lines);
        }
        if !build.ended && self.cursor.at >= bytes.len() {
            build.findings.warn("no-end", self.cursor.lines, || {
                "expected an END record, found the end of the file: it may be cut short".into()
            });
        }
        if self.cursor.at < bytes.len() && !self.ended {
            self.entry.look_ahead(self.cursor, bytes);
        }
        build.finish(&self.entry, &cx).map(Some)
    }

    /// Reads the model that begins here if its atoms are those of the first; otherwise nothing is taken.
    fn more_of_the_same(&mut self, bytes: &[u8], build: &mut Build, number: i64) -> Result<bool> {
        let (before, known) = (self.cursor, build.models.len());
        let memory = build.starts.len() as u64 * POSITION_BYTES + MODEL_BYTES;
        self.cx.budget().take(memory)?;
        let same = self.later_model(bytes, build, number)?;
        if !same {
            self.cursor = before;
        }
        if build.models.len() == known {
            self.cx.budget().give_back(memory);
        }
        Ok(same)
    }

    /// Reads a model as far as its atoms are those of the first, and says whether they all are. `number` is 0 where none is
    /// stated.
    fn later_model(&mut self, bytes: &[u8], build: &mut Build, number: i64) -> Result<bool> {
        let before = self.cursor.lines;
        let mut positions = Vec::new();
        let mut differing = None;
        loop {
            let here = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            match &record_name(line.text) {
                b"ATOM  " | b"HETATM" => {
                    let Some(first) = build.starts.get(positions.len()).map(|&start| line_at(bytes, start)) else {
                        return Ok(false);
                    };
                    if first.columns(IDENTITY.0, IDENTITY.1) != line.columns(IDENTITY.0, IDENTITY.1) {
                        return Ok(false);
                    }
                    if positions.is_empty() {
                        positions.reserve_exact(build.starts.len());
                    }
                    positions.push(position(&line)?);
                    if first.columns(54, 66).trim_ascii_end() != line.columns(54, 66).trim_ascii_end() {
                        differing.get_or_insert(line.number);
                    }
                }
                b"ENDMDL" => {
                    build.open = false;
                    break;
                }
                b"MODEL " | [b'E', b'N', b'D', b' ', ..] => {
                    self.cursor = here;
                    break;
                }
                // Connections of a later model repeat those of the first, and would count as orders.
                _ => {}
            }
        }
        if positions.is_empty() {
            build.findings.warn("empty-model", before, || "expected the atoms of a model, found none".into());
            return Ok(true);
        }
        if positions.len() != build.starts.len() {
            return Ok(false);
        }
        if let Some(line) = differing {
            build.findings.note("model-values", line, || {
                "occupancies or B factors differ between models: those of the first are kept".into()
            });
        }
        let cell = build.next_cell.take();
        build.models.push(Model { number, positions: positions.into(), cell, ..Model::default() });
        Ok(true)
    }
}

/// Whether what follows is a new entry: a header record comes before the next atom.
fn starts_entry(mut cursor: Cursor, bytes: &[u8]) -> bool {
    while let Some(line) = cursor.next(bytes) {
        match &record_name(line.text) {
            b"HEADER" | b"TITLE " | b"COMPND" => return true,
            b"ATOM  " | b"HETATM" | b"MODEL " | b"CRYST1" => return false,
            _ if line.text.trim_ascii().is_empty() => {}
            _ => return false,
        }
    }
    false
}

fn line_at(bytes: &[u8], start: usize) -> Line<'_> {
    Cursor { at: start, lines: 0 }.next(bytes).unwrap_or(Line { text: &[], number: 0, start })
}
