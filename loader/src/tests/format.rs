use std::io::Write;

use mediary_core::plugin::export::{Exported, Table as SdkTable};
use mediary_core::record::{Buffer, Column, ColumnData, ColumnSpec, ColumnType, Stream, Table, TableChunk};
use mediary_core::{
    Context, Error, ErrorKind, Facts, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord, Output,
    ReadOptions, Reading, Registry, Result, Source, WriteOptions,
};

use super::Workshop;
use crate::format::PluginFormat;
use crate::{Isolation, Plugins, Search};

/// A registry with the plugin of `tests/plugins`.
fn told() -> (Registry, Workshop) {
    let shop = Workshop::new();
    let plugins = Plugins::discover(&Search::files([shop.build("told.so", &[])]));
    let mut registry = Registry::empty();
    assert!(plugins.register(&mut registry, Isolation::None).is_empty());
    (registry, shop)
}

fn open(registry: &Registry, told: &str) -> Reading {
    let source = Source::from_bytes("x.told", format!("TOLD {told}").into_bytes());
    registry.open(&source, &ReadOptions::default()).unwrap()
}

/// The cells of the only column, chunk by chunk.
fn cells(record: &mut MediaRecord) -> Result<Vec<Vec<i64>>> {
    let Media::Table(table) = &mut record.media else { panic!("a table") };
    let mut all = Vec::new();
    while let Some(chunk) = table.rows.next_chunk()? {
        let ColumnData::Int64(values) = &chunk.columns()[0].data else { panic!("whole numbers") };
        all.push(values.to_vec());
    }
    Ok(all)
}

#[test]
fn a_plugin_is_recognised_and_read_like_a_built_in_format() {
    let (registry, _shop) = told();
    let mut reading = open(&registry, "table");
    assert_eq!(reading.detection().candidates[0].reason, "it is told");
    let mut first = reading.next().unwrap().unwrap();
    assert_eq!(cells(&mut first).unwrap(), [[10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]]);
    assert_eq!((first.format.as_str(), first.index), ("told", 0));
    let mut second = reading.next().unwrap().unwrap();
    assert_eq!(cells(&mut second).unwrap()[0], [60, 61, 62, 63]);
    assert!(reading.next().is_none());
}

#[test]
fn an_unread_stream_is_passed_over_and_a_late_one_still_reads() {
    let (registry, _shop) = told();
    let mut reading = open(&registry, "table");
    drop(reading.next().unwrap().unwrap());
    let mut second = reading.next().unwrap().unwrap();
    drop(reading);
    assert_eq!(cells(&mut second).unwrap().len(), 3, "the record keeps its reader");

    let mut html = open(&registry, "html");
    assert_eq!(html.by_ref().map(|record| record.unwrap().kind()).collect::<Vec<_>>(), [Kind::Html, Kind::Html]);
}

#[test]
fn a_header_is_that_of_the_first_record_before_and_after_it() {
    let (registry, _shop) = told();
    let columns = |header: Header| match header.facts {
        Facts::Table(facts) => facts.columns.map_or(0, |columns| columns.len()),
        facts => panic!("{facts:?}"),
    };
    let mut before = open(&registry, "table");
    assert_eq!(columns(before.header().unwrap()), 1);
    assert_eq!(before.map(|record| cells(&mut record.unwrap()).unwrap().len()).collect::<Vec<_>>(), [3, 3]);
    let mut after = open(&registry, "table");
    let mut first = after.next().unwrap().unwrap();
    assert_eq!(columns(after.header().unwrap()), 1);
    assert_eq!(cells(&mut first).unwrap().len(), 3, "the first reader goes on");
}

#[test]
fn garbage_is_one_typed_error_and_the_next_input_is_fine() {
    let (registry, _shop) = told();
    let fails = |told: &str| -> Error {
        let mut reading = open(&registry, told);
        match reading.next().unwrap() {
            Ok(mut record) => cells(&mut record).unwrap_err(),
            Err(error) => error,
        }
    };
    for (told, message) in [
        ("bad-json", "EOF while parsing"),
        ("range", "buffer"),
        ("stray-chunk", "it emitted a chunk of a record that has no stream"),
        ("unfinished", "it ended before the end of its stream"),
        ("bad-utf8", "its JSON is not UTF-8"),
    ] {
        let error = fails(told);
        assert!(error.message().contains(message), "{told}: {error}");
        assert_eq!((error.kind(), error.format(), error.path()), (ErrorKind::Plugin, Some("told"), Some("x.told")));
        assert_eq!(open(&registry, "table").count(), 2);
    }
    let failed = registry.detect(&Source::from_bytes("x", *b"TOLD wild"));
    assert_eq!((failed.candidates.len(), failed.failures[0].kind), (0, ErrorKind::Plugin));
}

fn numbers(chunks: Vec<Vec<i64>>) -> MediaRecord {
    let chunk = |values: Vec<i64>| {
        let rows = values.len();
        TableChunk::new(vec![Column { data: ColumnData::Int64(Buffer::from(values)), valid: None }], rows)
    };
    let schema = vec![ColumnSpec { name: "a".into(), kind: ColumnType::Int64 }];
    let rows = Stream::new(chunks.into_iter().map(chunk));
    MediaRecord::new(Table { schema, declared_rows: None, truncated: false, rows })
}

#[test]
fn a_plugin_writes_seeks_creates_and_reports_losses() {
    let (registry, _shop) = told();
    let mut record = numbers(vec![vec![1, 2], vec![3], vec![4, 5]]);
    let mut out = Output::memory();
    registry.write(&mut record, "told", &mut out, &WriteOptions::default()).unwrap();
    let finished = out.finish().unwrap();
    assert_eq!(String::from_utf8(finished.bytes).unwrap(), "TOLDoutput 3 1");
    assert_eq!(finished.siblings, [("beside.bin".to_owned(), b"beside".to_vec())]);
    assert_eq!((&*record.loss[0].code, record.loss[0].count), ("told.colour", 3));
    let Facts::Table(facts) = record.facts() else { panic!("a table") };
    assert_eq!(facts.rows, Some(5), "the stream was read whole");

    let mut out = Output::memory();
    let mut options = WriteOptions::default();
    options.limits.output_bytes = 10;
    let error = registry.write(&mut numbers(vec![]), "told", &mut out, &options).unwrap_err();
    assert_eq!(error.limit_name(), Some("output_bytes"));
}

#[test]
fn what_a_writer_does_wrong_is_an_error() {
    for (wrong, message) in [
        ("return 1", "write returned status 1, expected 0"),
        ("h->seek(h->ctx, 1ull << 40)", "it went to byte 1099511627776 of an output of"),
        ("h->write(h->ctx, 7, (const uint8_t *)line, 1)", "it wrote to output 7, which it has not created"),
        ("h->write(h->ctx, 0, NULL, 9)", "it wrote 9 bytes at NULL"),
        ("return h->create(h->ctx, text(\"../up\"), &beside)", "\"../up\" is no plain file name"),
        ("return h->create(h->ctx, text(\"beside.bin\"), &beside)", "it creates \"beside.bin\" twice"),
        ("return h->read_at(h->ctx, 0, 0, NULL, 0) < 0 ? -7 : 0", "it asked for input 0, there are 0"),
    ] {
        let shop = Workshop::new();
        let plugins = Plugins::discover(&Search::files([shop.build("told.so", &[&format!("WRITES_WRONG={wrong}")])]));
        let mut registry = Registry::empty();
        plugins.register(&mut registry, Isolation::None);
        let mut out = Output::memory();
        let written = registry.write(&mut numbers(vec![vec![1]]), "told", &mut out, &WriteOptions::default());
        let error = written.unwrap_err();
        assert!(error.message().starts_with(message), "{wrong}: {error}");
    }
}

/// A format of Rust, through the tables that `export_plugin!` makes of it.
struct Lines;

static LINES: FormatInfo = FormatInfo::new("lines", "Lines of numbers", &[Kind::Table]).reads().writes(&[]).siblings();

struct LinesReader(Source, Context, bool);

impl LinesReader {
    fn table(&self) -> Result<MediaRecord> {
        let bytes = self.0.bytes(&self.1)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::malformed("expected UTF-8").at_byte(0))?;
        let parse = |line: &str| {
            if line == "panic" {
                panic!("it was told to");
            }
            line.parse().map_err(|_| Error::malformed(format!("expected a number, found {line:?}")).at_line(1))
        };
        Ok(numbers(text.lines().map(|line| Ok(vec![parse(line)?])).collect::<Result<_>>()?))
    }
}

impl FormatReader for LinesReader {
    fn header(&mut self) -> Result<Header> {
        Ok(Header::single(self.table()?.facts()))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.2, true) {
            return Ok(None);
        }
        self.1.warn("odd", "one is odd");
        self.table().map(Some)
    }
}

impl Format for Lines {
    fn info(&self) -> &'static FormatInfo {
        &LINES
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(LinesReader(source.clone(), cx.clone(), false)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        for value in cells(record)?.into_iter().flatten() {
            writeln!(out, "{value}")?;
        }
        writeln!(out.sibling("side")?, "{}", out_name())?;
        cx.lose("names", 2, "names of columns");
        Ok(())
    }
}

fn out_name() -> &'static str {
    "beside"
}

impl Exported for Lines {
    fn formats() -> &'static [&'static dyn Format] {
        &[&Lines]
    }
}

fn lines() -> Registry {
    let mut registry = Registry::empty();
    let connection = super::direct::of(SdkTable::<Lines>::TABLE);
    registry.add(PluginFormat::leak(&LINES, connection)).unwrap();
    registry
}

#[test]
fn what_rust_reads_and_writes_is_the_same_on_the_other_side() {
    let registry = lines();
    let mut options = ReadOptions::default();
    options.from = Some("lines".into());
    let source = Source::from_bytes("x", *b"1\n-2\n3\n");
    let mut reading = registry.open(&source, &options).unwrap();
    assert_eq!(reading.header().unwrap().records, Some(1));
    let mut record = reading.next().unwrap().unwrap();
    assert_eq!(&*record.diagnostics.to_vec()[0].code, "lines.odd");

    let mut out = Output::memory();
    registry.write(&mut record, "lines", &mut out, &WriteOptions::default()).unwrap();
    let finished = out.finish().unwrap();
    assert_eq!(finished.bytes, b"1\n-2\n3\n");
    assert_eq!(finished.siblings, [("side".to_owned(), b"beside\n".to_vec())]);
    assert_eq!((&*record.loss[0].code, record.loss[0].count), ("lines.names", 2));
    assert!(reading.next().is_none());

    let broken = |bytes: &'static [u8]| {
        let source = Source::from_bytes("x", bytes);
        registry.open(&source, &options).unwrap().next().unwrap().unwrap_err()
    };
    let error = broken(b"one");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Malformed, "expected a number, found \"one\""));
    assert_eq!(error.location().unwrap().line, Some(1));
    let error = broken(b"panic");
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(error.message().contains("it was told to"), "{error}");

    let mut tight = options.clone();
    tight.limits.alloc_bytes = 4;
    let error = registry.open(&source, &tight).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.limit_name(), Some("alloc_bytes"), "the host's own error, whole: {error}");
}
