//! A table into text.

use std::io::Write;

use mediary_core::record::{ColumnData, ColumnSpec, ColumnType, Table, TableChunk};
use mediary_core::{Context, Error, Output, Result, hex};

use super::dialect::DELIMITERS;
use super::infer::{Class, Types, classify};

/// Bytes collected before they are written.
const BLOCK: usize = 1 << 18;

/// Writes `table` with `delimiter` between cells.
pub(super) fn write(table: &mut Table, delimiter: u8, out: &mut Output, cx: &Context) -> Result<()> {
    if table.schema.is_empty() {
        return Err(Error::unsupported("a table without columns has no header row"));
    }
    let mut text = Vec::with_capacity(BLOCK);
    for (index, column) in table.schema.iter().enumerate() {
        separate(&mut text, index, delimiter);
        // A quoted name is never taken for a number, and with it the header row not for a row, nor for a line `sep=`.
        let name = column.name.as_bytes();
        let is_sep = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"sep="));
        put_text(&mut text, name, is_sep || is_typed(name));
    }
    text.push(b'\n');
    let mut tally = Tally { untyped: vec![true; table.schema.len()], ..Tally::default() };
    while let Some(chunk) = table.rows.next_chunk()? {
        cx.checkpoint()?;
        put_rows(&mut text, &chunk, delimiter, &mut tally, out)?;
    }
    out.write_all(&text)?;
    tally.report(&table.schema, cx);
    Ok(())
}

/// What the reader will not find again.
#[derive(Default)]
struct Tally {
    /// Columns of text in which every cell so far looks like a value of another type.
    untyped: Vec<bool>,
    /// Whether such a column holds a cell at all.
    seen: Vec<bool>,
    binary: u64,
    nulls_alone: u64,
}

impl Tally {
    fn report(&self, schema: &[ColumnSpec], cx: &Context) {
        let typed = schema
            .iter()
            .enumerate()
            .filter(|(index, column)| {
                column.kind == ColumnType::Text && self.untyped[*index] && self.seen.get(*index) == Some(&true)
            })
            .count();
        cx.lose("text-columns", typed as u64, "columns of text that read as numbers or bools: csv has no types");
        cx.lose("binary", self.binary, "cells of bytes: they are written as hexadecimal text");
        cx.lose("nulls", self.nulls_alone, "null cells of a single column: they are written as empty text");
    }
}

fn put_rows(text: &mut Vec<u8>, chunk: &TableChunk, delimiter: u8, tally: &mut Tally, out: &mut Output) -> Result<()> {
    let columns = chunk.columns();
    tally.seen.resize(columns.len(), false);
    tally.untyped.resize(columns.len(), true);
    for row in 0..chunk.rows() {
        for (index, column) in columns.iter().enumerate() {
            separate(text, index, delimiter);
            if column.is_null(row) {
                // An empty line is no row.
                if columns.len() == 1 {
                    text.extend_from_slice(b"\"\"");
                    tally.nulls_alone += 1;
                }
                continue;
            }
            match &column.data {
                ColumnData::Bool(cells) => text.extend_from_slice(if cells[row] { b"true" } else { b"false" }),
                ColumnData::Int64(cells) => write!(text, "{}", cells[row])?,
                ColumnData::Float64(cells) => text.extend_from_slice(float(cells[row]).as_bytes()),
                ColumnData::Text(cells) => {
                    let cell = cells.get(row);
                    if tally.untyped[index] && !cell.is_empty() {
                        tally.seen[index] = true;
                        tally.untyped[index] = is_typed(cell);
                    }
                    put_text(text, cell, false);
                }
                ColumnData::Binary(cells) => {
                    tally.binary += 1;
                    put_text(text, hex(cells.get(row)).as_bytes(), false);
                }
                _ => return Err(Error::unsupported("csv: a column of this type")),
            }
        }
        text.push(b'\n');
        if text.len() >= BLOCK {
            out.write_all(text)?;
            text.clear();
        }
    }
    Ok(())
}

fn is_typed(cell: &[u8]) -> bool {
    classify(cell, Types::Numbers) != Class::Text
}

fn separate(text: &mut Vec<u8>, index: usize, delimiter: u8) {
    if index > 0 {
        text.push(delimiter);
    }
}

/// A text, in quotes where it needs them: empty text is not null, and what another delimiter might be taken for one.
fn put_text(text: &mut Vec<u8>, cell: &[u8], quoted: bool) {
    let needs = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r') || DELIMITERS.contains(byte);
    // White space alone is a blank line, a byte order mark at the beginning is none of the text.
    let quoted = quoted || cell.iter().any(needs) || cell.trim_ascii().is_empty() || cell.starts_with(b"\xEF\xBB\xBF");
    if !quoted {
        text.extend_from_slice(cell);
        return;
    }
    text.push(b'"');
    for &byte in cell {
        if byte == b'"' {
            text.push(b'"');
        }
        text.push(byte);
    }
    text.push(b'"');
}

/// The shortest text that reads as the same float, always with a point, an exponent or a word: never as an integer.
pub(super) fn float(value: f64) -> String {
    format!("{value:?}")
}
