//! Rows and columns.

use serde::{Deserialize, Deserializer, Serialize};

use super::buffer::Buffer;
use super::facts::{ColumnFact, TableFacts};
use super::stream::{Chunk, Stream};
use crate::error::{Error, Result};

/// Type of a column. Maps one to one to Arrow: `Null`, `Boolean`, `Int64`, `Float64`, `LargeUtf8`, `LargeBinary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColumnType {
    /// Every cell is null.
    Null,
    /// true or false.
    Bool,
    /// Signed 64-bit integers.
    Int64,
    /// 64-bit floats.
    Float64,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl ColumnType {
    /// The name in facts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Header text; duplicates are kept.
    pub name: String,
    /// Type of all its cells.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

/// Variable-length cells, end to end: cell `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "VarBytesParts")]
pub struct VarBytes {
    offsets: Buffer<u64>,
    #[serde(default, skip_serializing_if = "Buffer::is_empty")]
    bytes: Buffer<u8>,
}

#[derive(Deserialize)]
struct VarBytesParts {
    offsets: Buffer<u64>,
    #[serde(default)]
    bytes: Buffer<u8>,
}

impl TryFrom<VarBytesParts> for VarBytes {
    type Error = Error;

    fn try_from(parts: VarBytesParts) -> Result<Self> {
        Self::new(parts.offsets, parts.bytes)
    }
}

impl Default for VarBytes {
    fn default() -> Self {
        Self { offsets: [0].into(), bytes: Buffer::default() }
    }
}

impl VarBytes {
    /// Cells of which cell `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    ///
    /// # Errors
    /// `Malformed` unless the offsets start at 0, never fall, and end at the length of `bytes`.
    pub fn new(offsets: impl Into<Buffer<u64>>, bytes: impl Into<Buffer<u8>>) -> Result<Self> {
        let (offsets, bytes) = (offsets.into(), bytes.into());
        if offsets.first() != Some(&0) || !offsets.is_sorted() || offsets.last() != Some(&(bytes.len() as u64)) {
            return Err(Error::malformed(format!("expected offsets that rise from 0 to {}", bytes.len())));
        }
        Ok(Self { offsets, bytes })
    }

    /// Whether every cell is UTF-8.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let inside = |text: &str| self.offsets.iter().all(|&offset| text.is_char_boundary(offset as usize));
        std::str::from_utf8(&self.bytes).is_ok_and(inside)
    }

    /// Adds a cell.
    pub fn push(&mut self, cell: &[u8]) {
        let bytes = self.bytes.to_mut();
        bytes.extend_from_slice(cell);
        let end = bytes.len() as u64;
        self.offsets.to_mut().push(end);
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cell `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        drop(self.offsets.share());
        drop(self.bytes.share());
    }

    /// Bytes held.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        (self.bytes.len() + self.offsets.len() * 8) as u64
    }
}

/// Cells of one column in one chunk. A null cell has a placeholder value (0, false, empty) here and `false` in `valid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColumnData {
    /// As many nulls.
    Null(usize),
    /// Of [`ColumnType::Bool`].
    Bool(#[serde(with = "crate::wire::columns::codes")] Vec<bool>),
    /// Of [`ColumnType::Int64`].
    Int64(Buffer<i64>),
    /// Of [`ColumnType::Float64`]; NaN and infinities are kept.
    Float64(Buffer<f64>),
    /// Of [`ColumnType::Text`]; valid UTF-8.
    Text(#[serde(deserialize_with = "text")] VarBytes),
    /// Of [`ColumnType::Binary`].
    Binary(VarBytes),
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VarBytes, D::Error> {
    let cells = VarBytes::deserialize(deserializer)?;
    if cells.is_text() { Ok(cells) } else { Err(serde::de::Error::custom("a text column is not UTF-8")) }
}

impl ColumnData {
    /// No cells, of a type.
    #[must_use]
    pub fn empty(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Null => Self::Null(0),
            ColumnType::Bool => Self::Bool(Vec::new()),
            ColumnType::Int64 => Self::Int64(Buffer::default()),
            ColumnType::Float64 => Self::Float64(Buffer::default()),
            ColumnType::Text => Self::Text(VarBytes::default()),
            ColumnType::Binary => Self::Binary(VarBytes::default()),
        }
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> ColumnType {
        match self {
            Self::Null(_) => ColumnType::Null,
            Self::Bool(_) => ColumnType::Bool,
            Self::Int64(_) => ColumnType::Int64,
            Self::Float64(_) => ColumnType::Float64,
            Self::Text(_) => ColumnType::Text,
            Self::Binary(_) => ColumnType::Binary,
        }
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Null(count) => *count,
            Self::Bool(cells) => cells.len(),
            Self::Int64(cells) => cells.len(),
            Self::Float64(cells) => cells.len(),
            Self::Text(cells) | Self::Binary(cells) => cells.len(),
        }
    }

    /// Whether there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Cells of one column in one chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The cells.
    pub data: ColumnData,
    /// `false` where a cell is null, one a cell; `None` when no cell is null.
    #[serde(default, with = "crate::wire::columns::optional_bools", skip_serializing_if = "Option::is_none")]
    pub valid: Option<Vec<bool>>,
}

impl Column {
    /// Whether cell `index` is null.
    #[must_use]
    pub fn is_null(&self, index: usize) -> bool {
        matches!(self.data, ColumnData::Null(_))
            || self.valid.as_ref().is_some_and(|valid| !valid.get(index).copied().unwrap_or(false))
    }
}

/// A stretch of rows: every column has as many cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TableChunkParts")]
pub struct TableChunk {
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Deserialize)]
struct TableChunkParts {
    columns: Vec<Column>,
    rows: usize,
}

impl TryFrom<TableChunkParts> for TableChunk {
    type Error = Error;

    fn try_from(parts: TableChunkParts) -> Result<Self> {
        Self::new(parts.columns, parts.rows)
    }
}

impl TableChunk {
    /// A chunk of `rows` rows.
    ///
    /// # Errors
    /// `Malformed` when a column has another number of cells.
    pub fn new(columns: Vec<Column>, rows: usize) -> Result<Self> {
        for (index, column) in columns.iter().enumerate() {
            let valid = column.valid.as_ref().map_or(rows, Vec::len);
            if column.data.len() != rows || valid != rows {
                return Err(Error::malformed(format!("expected {rows} cells, found {}", column.data.len()))
                    .at_element(format!("columns[{index}]")));
            }
        }
        Ok(Self { columns, rows })
    }

    /// The columns, in the order of the table's schema.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        for column in &mut self.columns {
            match &mut column.data {
                ColumnData::Int64(cells) => drop(cells.share()),
                ColumnData::Float64(cells) => drop(cells.share()),
                ColumnData::Text(cells) | ColumnData::Binary(cells) => cells.share(),
                ColumnData::Null(_) | ColumnData::Bool(_) => {}
            }
        }
    }

    /// Rows of this chunk.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// What the chunks so far add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSummary {
    /// Rows.
    pub rows: u64,
    /// NaN and infinite cells.
    pub non_finite: u64,
}

impl Chunk for TableChunk {
    type Summary = TableSummary;

    fn observe(&self, summary: &mut TableSummary) {
        summary.rows += self.rows as u64;
        for column in &self.columns {
            if let ColumnData::Float64(cells) = &column.data {
                summary.non_finite += cells.iter().filter(|cell| !cell.is_finite()).count() as u64;
            }
        }
    }

    fn non_finite(summary: &TableSummary) -> (u64, &'static str) {
        (summary.non_finite, "cells that are not finite")
    }

    fn bytes(&self) -> u64 {
        self.columns
            .iter()
            .map(|column| {
                let cells = match &column.data {
                    ColumnData::Null(_) => 0,
                    ColumnData::Bool(cells) => cells.len() as u64,
                    ColumnData::Int64(cells) => cells.len() as u64 * 8,
                    ColumnData::Float64(cells) => cells.len() as u64 * 8,
                    ColumnData::Text(cells) | ColumnData::Binary(cells) => cells.byte_len(),
                };
                cells + column.valid.as_ref().map_or(0, |valid| valid.len() as u64)
            })
            .sum()
    }
}

/// A table: its schema, and its rows as a stream of chunks in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Table {
    /// Columns in order.
    pub schema: Vec<ColumnSpec>,
    /// Rows as the header announces them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_rows: Option<u64>,
    /// Whether rows were left out on purpose.
    #[serde(default)]
    pub truncated: bool,
    /// The rows.
    #[serde(skip)]
    pub rows: Stream<TableChunk>,
}

impl Table {
    /// The facts so far: rows are exact once the stream is at its end.
    #[must_use]
    pub fn facts(&self) -> TableFacts {
        TableFacts {
            rows: if self.rows.is_finished() { Some(self.rows.summary().rows) } else { self.declared_rows },
            columns: Some(
                self.schema
                    .iter()
                    .map(|column| ColumnFact { name: column.name.clone(), kind: Some(column.kind.as_str()) })
                    .collect(),
            ),
            truncated: Some(self.truncated),
        }
    }
}
