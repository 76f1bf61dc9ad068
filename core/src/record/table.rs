//! Rows and columns.

use super::buffer::Buffer;
use super::facts::{ColumnFact, TableFacts};
use super::stream::{Chunk, Stream};
use crate::error::{Error, Result};

/// Type of a column. Maps one to one to Arrow: `Null`, `Boolean`, `Int64`, `Float64`, `LargeUtf8`, `LargeBinary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Header text; duplicates are kept.
    pub name: String,
    /// Type of all its cells.
    pub kind: ColumnType,
}

/// Variable-length cells, end to end: cell `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarBytes {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl Default for VarBytes {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }
}

impl VarBytes {
    /// Adds a cell.
    pub fn push(&mut self, cell: &[u8]) {
        self.bytes.extend_from_slice(cell);
        self.offsets.push(self.bytes.len() as u64);
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

    /// Bytes held.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        (self.bytes.len() + self.offsets.len() * 8) as u64
    }
}

/// Cells of one column in one chunk. A null cell has a placeholder value (0, false, empty) here and `false` in `valid`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ColumnData {
    /// As many nulls.
    Null(usize),
    /// Of [`ColumnType::Bool`].
    Bool(Vec<bool>),
    /// Of [`ColumnType::Int64`].
    Int64(Buffer<i64>),
    /// Of [`ColumnType::Float64`]; NaN and infinities are kept.
    Float64(Buffer<f64>),
    /// Of [`ColumnType::Text`]; valid UTF-8.
    Text(VarBytes),
    /// Of [`ColumnType::Binary`].
    Binary(VarBytes),
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
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The cells.
    pub data: ColumnData,
    /// `false` where a cell is null, one a cell; `None` when no cell is null.
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
#[derive(Clone, Debug, PartialEq)]
pub struct TableChunk {
    columns: Vec<Column>,
    rows: usize,
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
#[derive(Debug)]
pub struct Table {
    /// Columns in order.
    pub schema: Vec<ColumnSpec>,
    /// Rows as the header announces them.
    pub declared_rows: Option<u64>,
    /// Whether rows were left out on purpose.
    pub truncated: bool,
    /// The rows.
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
