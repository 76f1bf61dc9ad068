//! Two passes over the source: the first counts rows and finds the type of every column, the second yields the cells.

use std::sync::Arc;

use mediary_core::record::facts::{ColumnFact, TableFacts};
use mediary_core::record::{Column, ColumnData, ColumnSpec, ColumnType, Stream, Table, TableChunk, VarBytes};
use mediary_core::{
    Context, Error, Facts, FormatReader, Header, Location, MediaRecord, Result, Severity, Source, Strictness,
};

use super::dialect::{Charset, Dialect};
use super::infer::{Inferred, Types, parse_bool, parse_float, parse_int};
use super::scan::{Cell, Records};

/// Inputs up to this size are read whole for a header: 1 MiB.
const SMALL: u64 = 1 << 20;

/// Rows of a chunk at most.
const CHUNK_ROWS: usize = 1 << 16;

/// Cells and bytes of text after which a chunk is closed.
const CHUNK_CELLS: usize = 1 << 19;
const CHUNK_BYTES: usize = 4 << 20;

/// Memory that a column takes while the table is read: its name in the schema and in the facts, its type, its cells under
/// construction and in the chunk before. Measured: about 700.
const COLUMN_BYTES: u64 = 768;

/// What the first pass learns.
struct Survey {
    charset: Charset,
    schema: Vec<ColumnSpec>,
    rows: u64,
}

pub(super) struct Reader {
    source: Source,
    cx: Context,
    dialect: Dialect,
    survey: Option<Arc<Survey>>,
    done: bool,
}

impl Reader {
    /// `delimiter` is that of the format, or `None` to find it.
    pub(super) fn new(source: &Source, cx: &Context, delimiter: Option<u8>) -> Result<Self> {
        let whole = source.head().len() as u64 == source.len();
        let dialect = Dialect::detect(source.head(), whole, delimiter, cx)?;
        Ok(Self { source: source.clone(), cx: cx.clone(), dialect, survey: None, done: false })
    }

    fn survey(&mut self) -> Result<Arc<Survey>> {
        if let Some(survey) = &self.survey {
            return Ok(Arc::clone(survey));
        }
        let mut charset = self.dialect.charset;
        let found = match survey(&self.source, &self.dialect, charset, &self.cx)? {
            Some(found) => found,
            None => {
                charset = Charset::WINDOWS;
                survey(&self.source, &self.dialect, charset, &self.cx)?
                    .ok_or_else(|| Error::malformed("the text has no encoding"))?
            }
        };
        let survey = Arc::new(found);
        self.survey = Some(Arc::clone(&survey));
        Ok(survey)
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let known = |kind: ColumnType| Some(kind.as_str());
        let facts = if self.source.len() <= SMALL || self.survey.is_some() {
            let survey = self.survey()?;
            let fact = |column: &ColumnSpec| ColumnFact { name: column.name.clone(), kind: known(column.kind) };
            TableFacts {
                rows: Some(survey.rows),
                columns: Some(survey.schema.iter().map(fact).collect()),
                truncated: Some(false),
            }
        } else {
            let columns = self.dialect.first.as_ref().map(|first| {
                names(first, self.dialect.has_header).into_iter().map(|name| ColumnFact { name, kind: None }).collect()
            });
            TableFacts { rows: None, columns, truncated: Some(false) }
        };
        Ok(Header::single(Facts::Table(facts)))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let survey = self.survey()?;
        let rows = Rows::new(&self.source, &self.dialect, &survey, &self.cx)?;
        let record = MediaRecord::new(Table {
            schema: survey.schema.clone(),
            declared_rows: Some(survey.rows),
            truncated: false,
            rows: Stream::new(rows),
        });
        let delimiter = match self.dialect.delimiter {
            b'\t' => "tab".to_owned(),
            byte => char::from(byte).to_string(),
        };
        let record =
            record.with_property("delimiter", delimiter).with_property("encoding", survey.charset.encoding.name());
        Ok(Some(if self.dialect.preamble.is_empty() {
            record
        } else {
            record.with_property("preamble", self.dialect.preamble.clone())
        }))
    }
}

/// The column names: those of the first record, or numbered ones.
fn names(first: &[String], has_header: bool) -> Vec<String> {
    if has_header {
        return first.to_vec();
    }
    (1..=first.len()).map(|number| format!("column_{number}")).collect()
}

/// Starts over: the records of the table, without those before it and the line that names the delimiter.
fn open(source: &Source, dialect: &Dialect, charset: Charset, cx: &Context) -> Result<Records> {
    let mut records = Records::new(source, charset.encoding, charset.mark as u64, dialect.delimiter, cx);
    for _ in 0..usize::from(dialect.sep_line) + dialect.preamble.len() {
        records.advance()?;
    }
    Ok(records)
}

/// Whether a record is a line of spaces in a table of several columns.
fn is_blank(records: &Records, width: usize) -> bool {
    match records.cells() {
        [cell] => width > 1 && !cell.quoted && cell.text(records.buffer()).trim_ascii().is_empty(),
        _ => false,
    }
}

/// The cells that stand for null: empty unquoted ones, and the words of the option `nulls`.
struct Nulls(Vec<String>);

impl Nulls {
    fn of(cx: &Context) -> Self {
        Self(cx.options().text("nulls").split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    fn holds(&self, cell: &Cell, text: &[u8]) -> bool {
        !cell.quoted && (text.is_empty() || self.0.iter().any(|word| word.as_bytes() == text))
    }
}

/// Deviations counted, with the line of the first.
#[derive(Default)]
struct Count {
    times: u64,
    line: u64,
}

impl Count {
    fn add(&mut self, line: u64, times: u64) {
        if self.times == 0 {
            self.line = line;
        }
        self.times += times;
    }

    fn report(&self, cx: &Context, severity: Severity, code: &str, message: &str) -> Result<()> {
        if self.times == 0 {
            return Ok(());
        }
        let location = Location::line(self.line);
        if cx.strictness() == Strictness::Strict {
            return Err(Error::malformed(format!("{message} ({} times)", self.times))
                .at(location)
                .with_hint("it is tolerated without --strict"));
        }
        cx.report_times(severity, code, message, Some(location), self.times);
        Ok(())
    }
}

/// The first pass. `None` when the text was assumed to be UTF-8 and is not.
fn survey(source: &Source, dialect: &Dialect, charset: Charset, cx: &Context) -> Result<Option<Survey>> {
    let types = Types::of(cx.options().text("types"));
    let nulls = Nulls::of(cx);
    let mut records = open(source, dialect, charset, cx)?;
    if !records.advance()? {
        return Err(Error::malformed("the input holds no record: expected a header row or a row, found blank lines"));
    }
    let first: Vec<String> =
        records.cells().iter().map(|cell| String::from_utf8_lossy(cell.text(records.buffer())).into_owned()).collect();
    let width = first.len();
    cx.budget().take((width as u64).saturating_mul(COLUMN_BYTES))?;
    let mut columns = vec![Inferred::default(); width];
    let mut rows = 0_u64;
    let (mut short, mut long, mut blank) = (Count::default(), Count::default(), Count::default());
    let mut more = if dialect.has_header { records.advance()? } else { true };
    // A few bytes a row may announce millions of cells: what the source is worth is known.
    let most_cells = source.len().saturating_mul(cx.limits().expansion_ratio).max(1 << 20);
    while more {
        if charset.assumed && records.undecodable > 0 {
            return Ok(None);
        }
        if is_blank(&records, width) {
            blank.add(records.line(), 1);
            more = records.advance()?;
            continue;
        }
        rows += 1;
        let cells = records.cells();
        if cells.len() != width {
            short.add(records.line(), u64::from(cells.len() < width));
            if cells.len() > width {
                long.add(records.line(), 1);
            }
            if rows.saturating_mul(width as u64) > most_cells {
                return Err(Error::limit(
                    "expansion_ratio",
                    cx.limits().expansion_ratio + 1,
                    cx.limits().expansion_ratio,
                ));
            }
        }
        let buffer = records.buffer();
        for (cell, column) in cells.iter().zip(&mut columns) {
            let text = cell.text(buffer);
            if !nulls.holds(cell, text) {
                column.observe(text, cell.quoted, types);
            }
        }
        if rows.is_multiple_of(65_536) {
            cx.limits().check("elements", rows)?;
        }
        more = records.advance()?;
    }
    if charset.assumed && records.undecodable > 0 {
        return Ok(None);
    }
    cx.limits().check("elements", rows)?;
    let schema: Vec<ColumnSpec> = names(&first, dialect.has_header)
        .into_iter()
        .zip(&columns)
        .map(|(name, column)| ColumnSpec { name, kind: column.kind(types) })
        .collect();

    if let Some(line) = records.unterminated {
        let error = Error::malformed("a quoted cell is never closed: expected \", found the end of the input")
            .at_line(line)
            .with_hint("the file is cut short, or a quote in the text is not doubled");
        cx.unless_lenient("unterminated-quote", error)?;
    }
    report_text(&records, dialect, charset, cx)?;
    let odd = records.oddities;
    short.report(
        cx,
        Severity::Warning,
        "short-rows",
        &format!("a row with fewer than {width} cells: the missing ones are null"),
    )?;
    long.report(
        cx,
        Severity::Error,
        "long-rows",
        &format!("a row with more than {width} cells: the cells beyond are left out"),
    )?;
    cx.report_times(Severity::Info, "blank-lines", "blank lines are no rows", None, odd.blank_lines + blank.times);
    report_names(&schema, dialect, cx);
    let rounded = columns
        .iter()
        .zip(&schema)
        .filter(|(_, spec)| spec.kind == ColumnType::Float64)
        .map(|(column, _)| column.rounded())
        .sum();
    cx.report_times(
        Severity::Info,
        "rounded",
        "numbers that a 64-bit float rounds; -o csv.types=exact keeps their text",
        None,
        rounded,
    );
    Ok(Some(Survey { charset, schema, rows }))
}

fn report_text(records: &Records, dialect: &Dialect, charset: Charset, cx: &Context) -> Result<()> {
    let name = charset.encoding.name();
    let guessed = charset.encoding == encoding_rs::WINDOWS_1252 && cx.options().text("encoding") == "auto";
    if guessed {
        cx.tolerate(
            "encoding",
            "the text is not UTF-8 and names no encoding: it is read as windows-1252",
            Location::default(),
        )?;
    }
    if dialect.sep_line {
        cx.note("sep-line", "the first line names the delimiter: it is no row");
    }
    if records.undecodable > 0 {
        let at = Location::byte(records.first_undecodable.unwrap_or(0));
        let message = format!("{} byte sequences are not {name}: U+FFFD stands for each", records.undecodable);
        cx.tolerate("undecodable", message, at)?;
    }
    let odd = records.oddities;
    let counted = [
        ("nul", records.nuls, "NUL characters, which text does not hold"),
        ("text-after-quote", odd.text_after_quote, "cells with text after their closing quote: it is joined to them"),
        ("bare-quotes", odd.bare_quotes, "quotes inside unquoted cells: they are kept"),
        ("preamble", dialect.preamble.len() as u64, "lines before the table: they are properties, not rows"),
    ];
    for (code, count, message) in counted {
        if count > 0 {
            cx.tolerate(code, format!("{count} {message}"), Location::default())?;
        }
    }
    Ok(())
}

fn report_names(schema: &[ColumnSpec], dialect: &Dialect, cx: &Context) {
    if !dialect.has_header {
        cx.note("no-header", "the first record looks like the rows below it: the columns are numbered");
        return;
    }
    let mut sorted: Vec<&str> = schema.iter().map(|column| column.name.as_str()).collect();
    sorted.sort_unstable();
    let empty = sorted.iter().take_while(|name| name.is_empty()).count();
    let mut twice = 0;
    for run in sorted[empty..].chunk_by(|a, b| a == b) {
        twice += run.len() as u64 - 1;
    }
    cx.report_times(Severity::Info, "unnamed-columns", "columns without a name", None, empty as u64);
    cx.report_times(Severity::Warning, "duplicate-names", "column names that occur before", None, twice);
}

/// The second pass.
struct Rows {
    records: Records,
    survey: Arc<Survey>,
    nulls: Nulls,
    /// The current record is a row that was not taken yet.
    pending: bool,
    left: u64,
}

impl Rows {
    fn new(source: &Source, dialect: &Dialect, survey: &Arc<Survey>, cx: &Context) -> Result<Self> {
        let mut records = open(source, dialect, survey.charset, cx)?;
        if dialect.has_header {
            records.advance()?;
        }
        let pending = records.advance()?;
        Ok(Self { records, survey: Arc::clone(survey), nulls: Nulls::of(cx), pending, left: survey.rows })
    }

    fn chunk(&mut self) -> Result<Option<TableChunk>> {
        let schema = &self.survey.schema;
        let most = (CHUNK_CELLS / schema.len().max(1)).clamp(1, CHUNK_ROWS);
        let expected = usize::try_from(self.left).unwrap_or(most).min(most);
        let mut columns: Vec<Building> = schema.iter().map(|column| Building::new(column.kind, expected)).collect();
        let mut rows = 0;
        let mut bytes = 0;
        while self.pending && rows < most && bytes < CHUNK_BYTES {
            if !is_blank(&self.records, schema.len()) {
                let buffer = self.records.buffer();
                let cells = self.records.cells();
                for (index, column) in columns.iter_mut().enumerate() {
                    let text = match cells.get(index) {
                        None => None,
                        Some(cell) => {
                            let text = cell.text(buffer);
                            bytes += text.len();
                            let null = self.nulls.holds(cell, text) || (text.is_empty() && !column.is_text());
                            (!null).then_some(text)
                        }
                    };
                    column.push(text, rows).ok_or_else(|| {
                        Error::malformed(format!("expected {} cells as before", schema[index].kind.as_str()))
                            .at_line(self.records.line())
                            .with_hint("the input changed while it was read")
                    })?;
                }
                rows += 1;
                self.left = self.left.saturating_sub(1);
            }
            self.pending = self.records.advance()?;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = columns.into_iter().map(|column| Column { data: column.data, valid: column.valid }).collect();
        TableChunk::new(columns, rows).map(Some)
    }
}

impl Iterator for Rows {
    type Item = Result<TableChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}

/// A column of a chunk under construction.
struct Building {
    data: ColumnData,
    valid: Option<Vec<bool>>,
}

impl Building {
    fn new(kind: ColumnType, rows: usize) -> Self {
        let data = match kind {
            ColumnType::Bool => ColumnData::Bool(Vec::with_capacity(rows)),
            ColumnType::Int64 => ColumnData::Int64(Vec::with_capacity(rows).into()),
            ColumnType::Float64 => ColumnData::Float64(Vec::with_capacity(rows).into()),
            ColumnType::Null => ColumnData::Null(0),
            _ => ColumnData::Text(VarBytes::default()),
        };
        Self { data, valid: None }
    }

    fn is_text(&self) -> bool {
        matches!(self.data, ColumnData::Text(_))
    }

    /// Adds cell `row`; `None` when it is not of the column's type.
    fn push(&mut self, text: Option<&[u8]>, row: usize) -> Option<()> {
        match (&mut self.data, text) {
            (ColumnData::Null(count), None) => *count += 1,
            (ColumnData::Bool(cells), text) => cells.push(text.map_or(Some(false), parse_bool)?),
            (ColumnData::Int64(cells), text) => cells.to_mut().push(text.map_or(Some(0), parse_int)?),
            (ColumnData::Float64(cells), text) => cells.to_mut().push(text.map_or(Some(0.0), parse_float)?),
            (ColumnData::Text(cells), text) => cells.push(text.unwrap_or_default()),
            _ => return None,
        }
        let is_null_column = matches!(self.data, ColumnData::Null(_));
        match &mut self.valid {
            Some(valid) => valid.push(text.is_some()),
            None if text.is_none() && !is_null_column => {
                let mut valid = vec![true; row];
                valid.push(false);
                self.valid = Some(valid);
            }
            None => {}
        }
        Some(())
    }
}
