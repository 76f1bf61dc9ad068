//! The manifest of a finished run: a Parquet file of [`Row`]s, sorted by root, input and index. Columns are int64 and
//! UTF-8 strings only, which every engine reads; structures are JSON text.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use mediary_core::{Error, ErrorKind, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use crate::row::{COLUMNS, Cell, Row};

/// The schema's name, in the file's metadata.
const SCHEMA: &str = "mediary.manifest/1";

/// Rows of one row group: what a reader holds in memory at a time.
const GROUP_ROWS: usize = 2048;

/// Bytes of text of one row group, for rows with long records.
const GROUP_BYTES: usize = 16 << 20;

/// Columns that are read to plan a run; the long ones are left out.
pub(crate) const PLAN_COLUMNS: &[&str] = &[
    "root",
    "input",
    "index",
    "last",
    "status",
    "source_sha256",
    "siblings",
    "error_code",
    "error",
    "idempotency_key",
];

/// Columns that are read to tell failures.
pub(crate) const ERROR_COLUMNS: &[&str] =
    &["root", "input", "index", "status", "format", "error_code", "error", "error_location", "hint"];

fn failed(what: &str) -> impl FnOnce(ParquetError) -> Error {
    move |error| match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => Error::io(what, *error),
            Err(error) => Error::new(ErrorKind::Io, format!("{what}: {error}")),
        },
        error => Error::malformed(format!("{what}: {error}")),
    }
}

fn schema() -> Result<TypePtr> {
    let mut fields = Vec::new();
    for column in COLUMNS {
        let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        let builder = if column.text {
            Type::primitive_type_builder(column.name, PhysicalType::BYTE_ARRAY)
                .with_logical_type(Some(LogicalType::String))
        } else {
            Type::primitive_type_builder(column.name, PhysicalType::INT64)
        };
        fields.push(Arc::new(builder.with_repetition(repetition).build().map_err(failed("manifest schema"))?));
    }
    Type::group_type_builder("manifest").with_fields(fields).build().map(Arc::new).map_err(failed("manifest schema"))
}

/// Values of one column of one row group.
enum Cells {
    Text { levels: Vec<i16>, values: Vec<ByteArray> },
    Int { levels: Vec<i16>, values: Vec<i64> },
}

/// Writes rows, a group at a time.
pub(crate) struct ManifestWriter {
    writer: SerializedFileWriter<File>,
    columns: Vec<Cells>,
    rows: usize,
    bytes: usize,
}

impl ManifestWriter {
    pub(crate) fn new(file: File) -> Result<Self> {
        let properties = WriterProperties::builder()
            // Fixed, so that equal rows are equal files whichever version of a library wrote them.
            .set_created_by("mediary".into())
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![KeyValue::new("schema".into(), SCHEMA.to_owned())]))
            .build();
        let writer = SerializedFileWriter::new(file, schema()?, Arc::new(properties))
            .map_err(failed("cannot write the manifest"))?;
        Ok(Self { writer, columns: Self::empty(), rows: 0, bytes: 0 })
    }

    fn empty() -> Vec<Cells> {
        let empty = |text| match text {
            true => Cells::Text { levels: Vec::new(), values: Vec::new() },
            false => Cells::Int { levels: Vec::new(), values: Vec::new() },
        };
        COLUMNS.iter().map(|column| empty(column.text)).collect()
    }

    pub(crate) fn push(&mut self, row: &Row) -> Result<()> {
        for (cells, cell) in self.columns.iter_mut().zip(row.cells()) {
            match (cells, cell) {
                (Cells::Text { levels, values }, Cell::Text(text)) => {
                    levels.push(i16::from(text.is_some()));
                    self.bytes += text.as_ref().map_or(0, String::len);
                    values.extend(text.map(|text| ByteArray::from(text.into_bytes())));
                }
                (Cells::Int { levels, values }, Cell::Int(value)) => {
                    levels.push(i16::from(value.is_some()));
                    values.extend(value);
                }
                (Cells::Text { levels, .. } | Cells::Int { levels, .. }, _) => levels.push(0),
            }
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let columns = std::mem::replace(&mut self.columns, Self::empty());
        (self.rows, self.bytes) = (0, 0);
        self.write_group(&columns).map_err(failed("cannot write the manifest"))
    }

    fn write_group(&mut self, columns: &[Cells]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (column, cells) in COLUMNS.iter().zip(columns) {
            let Some(mut writer) = group.next_column()? else { break };
            match cells {
                Cells::Text { levels, values } => {
                    let levels = (!column.required).then_some(&levels[..]);
                    writer.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                }
                Cells::Int { levels, values } => {
                    let levels = (!column.required).then_some(&levels[..]);
                    writer.typed::<Int64Type>().write_batch(values, levels, None)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes what is left and the footer; hands the file back to be synced.
    pub(crate) fn finish(mut self) -> Result<File> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.into_inner().map_err(failed("cannot write the manifest"))
    }
}

/// Reads rows, a group at a time.
pub(crate) struct ManifestReader {
    reader: SerializedFileReader<File>,
    wanted: Option<&'static [&'static str]>,
    group: usize,
    rows: std::vec::IntoIter<Row>,
    shown: String,
}

impl ManifestReader {
    /// `wanted` columns, or all; the others are empty.
    pub(crate) fn open(path: &Path, wanted: Option<&'static [&'static str]>) -> Result<Self> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::io("cannot open", error).with_path(shown.clone()))?;
        let reader = guard(|| SerializedFileReader::new(file)).map_err(|error| error.with_path(shown.clone()))?;
        Ok(Self { reader, wanted, group: 0, rows: Vec::new().into_iter(), shown })
    }

    fn read_group(&self, group: usize) -> Result<Vec<Row>, ParquetError> {
        let group = self.reader.get_row_group(group)?;
        let metadata = group.metadata();
        let count = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let mut columns = Vec::new();
        for column in COLUMNS {
            let position = metadata.columns().iter().position(|known| known.column_descr().name() == column.name);
            let wanted = self.wanted.is_none_or(|wanted| wanted.contains(&column.name));
            columns.push(match position.filter(|_| wanted) {
                Some(position) => read_column(group.get_column_reader(position)?, count, column.required)?,
                None => Vec::new().into_iter(),
            });
        }
        let mut rows = Vec::new();
        for _ in 0..count {
            let mut column = 0;
            rows.push(Row::from_cells(|| {
                column += 1;
                columns[column - 1].next().unwrap_or(Cell::Text(None))
            }));
        }
        Ok(rows)
    }
}

impl Iterator for ManifestReader {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            if self.group >= self.reader.num_row_groups() {
                return None;
            }
            self.group += 1;
            match guard(|| self.read_group(self.group - 1)) {
                Ok(rows) => self.rows = rows.into_iter(),
                Err(error) => {
                    self.group = usize::MAX;
                    return Some(Err(error.with_path(self.shown.clone())));
                }
            }
        }
    }
}

fn read_column(reader: ColumnReader, count: usize, required: bool) -> Result<std::vec::IntoIter<Cell>, ParquetError> {
    let mut levels = Vec::new();
    let mut cells = Vec::new();
    match reader {
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            let mut values = Vec::new();
            while reader.read_records(count, (!required).then_some(&mut levels), None, &mut values)?.0 > 0 {}
            let mut values = values.into_iter();
            let mut text = || {
                let value = values.next().ok_or_else(|| ParquetError::EOF("a column is too short".into()))?;
                let text = value.as_utf8()?.to_owned();
                Ok::<_, ParquetError>(Cell::Text(Some(text)))
            };
            for row in 0..count {
                let present = required || levels.get(row) == Some(&1);
                cells.push(if present { text()? } else { Cell::Text(None) });
            }
        }
        ColumnReader::Int64ColumnReader(mut reader) => {
            let mut values = Vec::new();
            while reader.read_records(count, (!required).then_some(&mut levels), None, &mut values)?.0 > 0 {}
            let mut values = values.into_iter();
            for row in 0..count {
                let present = required || levels.get(row) == Some(&1);
                cells.push(Cell::Int(if present { values.next() } else { None }));
            }
        }
        _ => return Err(ParquetError::General("expected int64 or string columns".into())),
    }
    Ok(cells.into_iter())
}

/// The Parquet reader may panic on damaged files; a damaged store is an error.
fn guard<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(failed("cannot read the manifest")),
        Err(_) => Err(Error::malformed("cannot read the manifest: it is damaged")),
    }
}
