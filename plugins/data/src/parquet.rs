//! Apache Parquet, the canonical file of a table. Written only.
//!
//! Specification: <https://parquet.apache.org/docs/file-format/>, logical types:
//! <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md>.
//!
//! | column | physical type | logical type |
//! |---|---|---|
//! | null | `INT32` | `UNKNOWN` |
//! | bool | `BOOLEAN` | |
//! | int64 | `INT64` | |
//! | float64 | `DOUBLE` | |
//! | text | `BYTE_ARRAY` | `STRING` (and `UTF8`) |
//! | binary | `BYTE_ARRAY` | |
//!
//! Every column is optional and flat. Pages are compressed with Snappy; dictionary pages as the library decides. A row group
//! holds up to [`GROUP_ROWS`] rows or about [`GROUP_BYTES`] of cells, whichever comes first: rows stream through in the memory
//! of one row group. Row groups end where
//! chunks end, so the same chunks give the same bytes.
//!
//! Lost: names that occur twice get a number (`parquet.duplicate-names`), for most readers refuse a file with two columns of
//! one name.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use mediary_core::record::{Chunk, Column, ColumnData, ColumnSpec, ColumnType, TableChunk, VarBytes};
use mediary_core::{
    Canonical, Context, Error, Feature, Format, FormatInfo, Kind, Media, MediaRecord, Output, Result, register,
};
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

/// Rows of one row group at most.
const GROUP_ROWS: usize = 1 << 20;

/// Bytes of cells after which a row group is closed: 64 MiB.
const GROUP_BYTES: u64 = 64 << 20;

/// What the footer names as the writer. Without a version: the same rows give the same bytes.
const CREATED_BY: &str = "mediary";

const INFO: FormatInfo = FormatInfo::new("parquet", "Apache Parquet", &[Kind::Table])
    .extensions(&["parquet"])
    .media_types(&["application/vnd.apache.parquet"])
    .writes(&[Feature::ColumnTypes, Feature::Nulls, Feature::Binary])
    .canonical(&[Canonical { kind: Kind::Table, integer: None }])
    .spec("https://parquet.apache.org/docs/file-format/");

struct Parquet;

register!(Parquet);

impl Format for Parquet {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let Media::Table(table) = &mut record.media else {
            return Err(Error::unsupported(format!("parquet holds table, not {}", record.media.kind())));
        };
        if table.schema.is_empty() {
            return Err(Error::unsupported("a table without columns cannot be written as parquet"));
        }
        let schema = schema_of(&table.schema, cx)?;
        let properties =
            WriterProperties::builder().set_created_by(CREATED_BY.into()).set_compression(Compression::SNAPPY).build();
        let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
        let mut group = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(chunk) = table.rows.next_chunk()? {
            cx.checkpoint()?;
            if chunk.columns().len() != table.schema.len() {
                return Err(Error::malformed(format!(
                    "expected {} columns, found {}",
                    table.schema.len(),
                    chunk.columns().len()
                )));
            }
            if !group.is_empty() && (rows + chunk.rows() > GROUP_ROWS || bytes + chunk.bytes() > GROUP_BYTES) {
                write_group(&mut file, &table.schema, &group, cx)?;
                group.clear();
                (rows, bytes) = (0, 0);
            }
            rows += chunk.rows();
            bytes += chunk.bytes();
            group.push(chunk);
        }
        if rows > 0 {
            write_group(&mut file, &table.schema, &group, cx)?;
        }
        file.close().map_err(failed)?;
        Ok(())
    }
}

/// The message type: flat, all columns optional, names made unique.
fn schema_of(columns: &[ColumnSpec], cx: &Context) -> Result<TypePtr> {
    let mut fields = Vec::with_capacity(columns.len());
    for (name, column) in unique_names(columns, cx).into_iter().zip(columns) {
        let (physical, logical) = match column.kind {
            ColumnType::Null => (PhysicalType::INT32, Some(LogicalType::Unknown)),
            ColumnType::Bool => (PhysicalType::BOOLEAN, None),
            ColumnType::Int64 => (PhysicalType::INT64, None),
            ColumnType::Float64 => (PhysicalType::DOUBLE, None),
            ColumnType::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            ColumnType::Binary => (PhysicalType::BYTE_ARRAY, None),
            other => return Err(Error::unsupported(format!("parquet: a column of type {}", other.as_str()))),
        };
        let field = Type::primitive_type_builder(&name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map_err(failed)?;
        fields.push(Arc::new(field));
    }
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build().map_err(failed)?))
}

/// The column names, a repeated one with the first free of `_2`, `_3` … at its end.
fn unique_names(columns: &[ColumnSpec], cx: &Context) -> Vec<String> {
    let given: HashSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut used = HashSet::new();
    // Where the search for a free number goes on: a thousand columns of one name are not searched from 2 each time.
    let mut next: HashMap<&str, u64> = HashMap::new();
    let mut renamed = 0;
    let names = columns
        .iter()
        .map(|column| {
            if used.insert(column.name.clone()) {
                return column.name.clone();
            }
            renamed += 1;
            let number = next.entry(&column.name).or_insert(2);
            loop {
                let name = format!("{}_{number}", column.name);
                *number += 1;
                if !given.contains(name.as_str()) && used.insert(name.clone()) {
                    return name;
                }
            }
        })
        .collect();
    cx.lose("duplicate-names", renamed, "column names that occur twice: the later ones got a number");
    names
}

/// Writes the rows of `chunks`, column by column.
fn write_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    schema: &[ColumnSpec],
    chunks: &[TableChunk],
    cx: &Context,
) -> Result<()> {
    let mut group = file.next_row_group().map_err(failed)?;
    for index in 0..schema.len() {
        let Some(mut writer) = group.next_column().map_err(failed)? else { break };
        for chunk in chunks {
            cx.checkpoint()?;
            write_cells(&mut writer, &chunk.columns()[index], chunk.rows())?;
        }
        writer.close().map_err(failed)?;
    }
    group.close().map_err(failed)?;
    Ok(())
}

fn write_cells(writer: &mut SerializedColumnWriter<'_>, column: &Column, rows: usize) -> Result<()> {
    match &column.data {
        ColumnData::Null(_) => put::<Int32Type>(writer, column, rows, Vec::new()),
        ColumnData::Bool(cells) => put::<BoolType>(writer, column, rows, present(column, cells)),
        ColumnData::Int64(cells) => put::<Int64Type>(writer, column, rows, present(column, cells)),
        ColumnData::Float64(cells) => put::<DoubleType>(writer, column, rows, present(column, cells)),
        ColumnData::Text(cells) | ColumnData::Binary(cells) => {
            put::<ByteArrayType>(writer, column, rows, present_bytes(column, cells))
        }
        _ => Err(Error::unsupported("parquet: a column of this type")),
    }
}

/// The cells that are not null.
fn present<T: Copy>(column: &Column, cells: &[T]) -> Vec<T> {
    match &column.valid {
        None => cells.to_vec(),
        Some(valid) => cells.iter().zip(valid).filter(|(_, valid)| **valid).map(|(cell, _)| *cell).collect(),
    }
}

/// As [`present`], sharing one allocation.
fn present_bytes(column: &Column, cells: &VarBytes) -> Vec<ByteArray> {
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(cells.len());
    for index in (0..cells.len()).filter(|&index| !column.is_null(index)) {
        bytes.extend_from_slice(cells.get(index));
        ends.push(bytes.len());
    }
    let shared = ByteArray::from(bytes);
    let mut start = 0;
    let cut = |end| {
        let cell = shared.slice(start, end - start);
        start = end;
        cell
    };
    ends.into_iter().map(cut).collect()
}

fn put<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    rows: usize,
    values: Vec<T::T>,
) -> Result<()> {
    let levels: Vec<i16> = (0..rows).map(|row| i16::from(!column.is_null(row))).collect();
    writer.typed::<T>().write_batch(&values, Some(&levels), None).map_err(failed)?;
    Ok(())
}

/// Gives an error of the output back whole; the rest are refusals of the library.
fn failed(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => Error::from(*source),
            Err(source) => Error::unsupported(format!("parquet: {source}")).caused_by(source),
        },
        other => Error::unsupported(format!("parquet: {other}")).caused_by(other),
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::record::{Stream, Table};
    use mediary_core::{Registry, WriteOptions};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    fn record() -> MediaRecord {
        let names = ["n", "b", "i", "f", "t", "t", "x"];
        let kinds = [
            ColumnType::Null,
            ColumnType::Bool,
            ColumnType::Int64,
            ColumnType::Float64,
            ColumnType::Text,
            ColumnType::Text,
            ColumnType::Binary,
        ];
        let mut text = VarBytes::default();
        text.push("grün".as_bytes());
        text.push(b"");
        let valid = Some(vec![true, false]);
        let column = |data, valid: &Option<Vec<bool>>| Column { data, valid: valid.clone() };
        let chunk = || {
            TableChunk::new(
                vec![
                    column(ColumnData::Null(2), &None),
                    column(ColumnData::Bool(vec![true, false]), &None),
                    column(ColumnData::Int64(vec![i64::MIN, 0].into()), &valid),
                    column(ColumnData::Float64(vec![0.1, f64::NAN].into()), &None),
                    column(ColumnData::Text(text.clone()), &None),
                    column(ColumnData::Text(text.clone()), &valid),
                    column(ColumnData::Binary(text.clone()), &valid),
                ],
                2,
            )
            .unwrap()
        };
        let schema = names.iter().zip(kinds).map(|(name, kind)| ColumnSpec { name: (*name).into(), kind }).collect();
        let rows = Stream::from_chunks(vec![chunk(), chunk()]);
        MediaRecord::new(Table { schema, declared_rows: None, truncated: false, rows })
    }

    fn written() -> (Vec<u8>, MediaRecord) {
        let mut record = record();
        let mut out = Output::memory();
        Registry::builtin().write(&mut record, "parquet", &mut out, &WriteOptions::default()).unwrap();
        (out.finish().unwrap().bytes, record)
    }

    /// The library's own reader is not ours; pyarrow's agreement is recorded in `tests/data/parquet/README.md`.
    #[test]
    fn cells_nulls_and_types_are_written() {
        let (bytes, record) = written();
        assert_eq!(record.loss.len(), 1);
        assert_eq!(record.loss[0].code, "parquet.duplicate-names");
        let path = std::env::temp_dir().join(format!("mediary-parquet-{}.parquet", std::process::id()));
        std::fs::write(&path, &bytes).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 4);
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(rows[0], rows[2]);
        assert_eq!(
            rows[0],
            "{n: null, b: true, i: -9223372036854775808, f: 0.1, t: \"grün\", t_2: \"grün\", x: [103, 114, 195, 188, 110]}"
        );
        assert_eq!(rows[1], "{n: null, b: false, i: null, f: NaN, t: \"\", t_2: null, x: null}");
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        assert_eq!(written().0, written().0);
    }

    #[test]
    fn a_table_without_columns_is_refused() {
        let rows = Stream::from_chunks(Vec::new());
        let mut record = MediaRecord::new(Table { schema: Vec::new(), declared_rows: None, truncated: false, rows });
        let error = Registry::builtin()
            .write(&mut record, "parquet", &mut Output::memory(), &WriteOptions::default())
            .unwrap_err();
        assert_eq!(error.kind(), mediary_core::ErrorKind::Unsupported);
    }
}
