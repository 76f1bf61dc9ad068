//! Formats for the tests.
//!
//! `doc`: `DOC1`, then records divided by a line `---`; each line of a record is text or one of
//! `include NAME`, `broken`, `panic`, `die`, `alloc BYTES`, `fill BYTES SEED`. `one`: `ONE1` and text, already canonical.
//! `pic`: `PIC1` and `broken` or `warn`, read whole by its header, or `size BYTES`, announced and taken.
//! `flow`: `FLOW CHUNKS`, a table made on the fly, one MiB a chunk, or `FLOW die`, whose process dies in the first. `page` and `cells` are the canonical formats.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use mediary::record::{Column, ColumnData, ColumnSpec, ColumnType, Html, Image, Samples, Stream, Table, TableChunk};
use mediary::{
    Canonical, Context, Error, ErrorKind, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord,
    OptionSpec, OptionType, Origin, Output, Registry, Result, Signature, Source, single, whole,
};

macro_rules! magic {
    ($bytes:literal) => {
        &[Signature { offset: 0, bytes: $bytes, mask: &[] }]
    };
}

const DOC: FormatInfo = FormatInfo::new("doc", "Documents", &[Kind::Html])
    .extensions(&["doc"])
    .media_types(&["text/x-doc"])
    .signatures(magic!(b"DOC1\n"))
    .reads()
    .many_records()
    .siblings()
    .options(&[OptionSpec::read("upper", OptionType::Bool, "false", "Upper-case text")]);
const ONE: FormatInfo = FormatInfo::new("one", "One document", &[Kind::Html])
    .extensions(&["one"])
    .media_types(&["text/x-one"])
    .signatures(magic!(b"ONE1\n"))
    .reads();
const PIC: FormatInfo = FormatInfo::new("pic", "One picture", &[Kind::Image])
    .extensions(&["pic"])
    .media_types(&["image/x-pic"])
    .signatures(magic!(b"PIC1\n"))
    .reads();
const FLOW: FormatInfo =
    FormatInfo::new("flow", "Endless rows", &[Kind::Table]).extensions(&["flow"]).signatures(magic!(b"FLOW ")).reads();
const PAGE: FormatInfo = FormatInfo::new("page", "Pages", &[Kind::Html])
    .extensions(&["html"])
    .media_types(&["text/html"])
    .writes(&[])
    .canonical(&[Canonical { kind: Kind::Html, integer: None }]);
const CELLS: FormatInfo = FormatInfo::new("cells", "Cells", &[Kind::Table])
    .extensions(&["cells"])
    .writes(&[])
    .canonical(&[Canonical { kind: Kind::Table, integer: None }]);

/// Times that a picture of an announced size was read.
pub(crate) static TAKES: AtomicU32 = AtomicU32::new(0);

struct Doc;
struct One;
struct Pic;
struct Flow;
struct Page;
struct Cells;

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::empty();
    for format in [&Doc as &'static dyn Format, &One, &Pic, &Flow, &Page, &Cells] {
        registry.add(format).unwrap();
    }
    registry
}

/// The same, with `doc` from a plugin whose file has this hash.
pub(crate) fn registry_with_plugin(name: &str, sha256: &str) -> Registry {
    let mut registry = Registry::empty();
    let origin = Origin::Plugin { name: name.into(), path: "libdoc.so".into(), sha256: sha256.into() };
    registry.add_from(&Doc, origin).unwrap();
    for format in [&One as &'static dyn Format, &Pic, &Flow, &Page, &Cells] {
        registry.add(format).unwrap();
    }
    registry
}

fn html(text: String) -> Html {
    Html { text, title: String::new(), has_external_refs: false }
}

fn text_of(source: &Source, cx: &Context) -> Result<String> {
    String::from_utf8(source.bytes(cx)?.to_vec()).map_err(|error| Error::malformed(error.to_string()))
}

struct DocReader {
    records: std::vec::IntoIter<String>,
    source: Source,
    cx: Context,
}

impl Format for Doc {
    fn info(&self) -> &'static FormatInfo {
        &DOC
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let text = text_of(source, cx)?;
        let records: Vec<_> = text["DOC1\n".len()..].split("---\n").map(str::to_owned).collect();
        Ok(Box::new(DocReader { records: records.into_iter(), source: source.clone(), cx: cx.clone() }))
    }
}

impl FormatReader for DocReader {
    fn header(&mut self) -> Result<Header> {
        Ok(Header::new(Media::from(html(String::new())).facts()))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let Some(record) = self.records.next() else { return Ok(None) };
        let mut text = String::new();
        for (number, line) in record.lines().enumerate() {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["include", name] => match self.source.sibling(name, &self.cx) {
                    Ok(sibling) => text.push_str(&text_of(&sibling, &self.cx)?),
                    Err(error) => self.cx.warn("missing", error.message()),
                },
                ["broken"] => {
                    return Err(Error::malformed("expected text, found a breach")
                        .at(Location::line(number as u64 + 2))
                        .with_hint("mend it"));
                }
                ["die"] => return Err(Error::new(ErrorKind::Worker, "the worker process died: signal 11")),
                ["panic"] => panic!("as asked"),
                ["alloc", bytes] => self.cx.budget().take(bytes.parse().unwrap())?,
                ["fill", bytes, seed] => {
                    let (bytes, mut state) = (bytes.parse::<usize>().unwrap(), seed.parse::<u64>().unwrap() + 1);
                    while text.len() < bytes {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        text.extend((0..12).map(|digit| char::from(b'A' + (state >> (4 + 5 * digit)) as u8 % 32)));
                    }
                }
                _ => text.push_str(line),
            }
        }
        if self.cx.options().bool("upper") {
            text = text.to_uppercase();
        }
        Ok(Some(MediaRecord::new(html(text)).with_property("lines", record.lines().count())))
    }
}

impl Format for One {
    fn info(&self) -> &'static FormatInfo {
        &ONE
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        let header = || Ok(Header::single(Media::from(html(String::new())).facts()));
        Ok(single(header, move || {
            let mut record = MediaRecord::new(html(text_of(&source, &cx)?));
            record.source_is_canonical = true;
            Ok(record)
        }))
    }
}

impl Format for Pic {
    fn info(&self) -> &'static FormatInfo {
        &PIC
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let text = text_of(source, cx)?;
        let image = || Image::new(1, 1, 1, Samples::U8(vec![7].into())).map(MediaRecord::new);
        let cx = cx.clone();
        if let Some(size) = text.strip_prefix("PIC1\nsize ") {
            let memory = size.trim().parse::<u64>().unwrap();
            let header = move || Ok(Header { memory: Some(memory), ..Header::single(image()?.facts()) });
            return Ok(single(header, move || {
                TAKES.fetch_add(1, Ordering::SeqCst);
                cx.budget().take(memory)?;
                image()
            }));
        }
        Ok(whole(move || {
            // As large as the budget allows once, but not twice.
            cx.budget().take(cx.budget().allowed() * 6 / 10)?;
            cx.warn("pale", "one gray pixel");
            if text.contains("broken") { Err(Error::malformed("expected a picture")) } else { image() }
        }))
    }
}

impl Format for Flow {
    fn info(&self) -> &'static FormatInfo {
        &FLOW
    }

    fn open(&self, source: &Source, _: &Context) -> Result<Box<dyn FormatReader>> {
        let text = String::from_utf8_lossy(source.head()).into_owned();
        if text.trim() == "FLOW die" {
            return Ok(Box::new(Dying(false)));
        }
        let count = text["FLOW ".len()..].trim().parse::<i64>().map_err(|error| Error::malformed(error.to_string()))?;
        let table = move || {
            let column = |chunk: i64| {
                let cells = (0..131_072).map(|row| chunk * 131_072 + row).collect();
                TableChunk::new(vec![Column { data: ColumnData::Int64(cells), valid: None }], 131_072)
            };
            Table {
                schema: vec![ColumnSpec { name: "n".into(), kind: ColumnType::Int64 }],
                declared_rows: None,
                truncated: false,
                rows: Stream::new((0..count).map(column)),
            }
        };
        Ok(single(move || Ok(Header::single(Media::from(table()).facts())), move || Ok(MediaRecord::new(table()))))
    }
}

fn died() -> Error {
    Error::new(ErrorKind::Worker, "the worker process died: signal 11")
}

/// A record whose stream ends with its process, and then nothing more.
struct Dying(bool);

impl FormatReader for Dying {
    fn header(&mut self) -> Result<Header> {
        Err(died())
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.0, true) {
            return Err(died());
        }
        let rows = Stream::new(std::iter::once_with(|| Err(died())));
        let schema = vec![ColumnSpec { name: "n".into(), kind: ColumnType::Int64 }];
        Ok(Some(MediaRecord::new(Table { schema, declared_rows: None, truncated: false, rows })))
    }
}

impl Format for Page {
    fn info(&self) -> &'static FormatInfo {
        &PAGE
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, _: &Context) -> Result<()> {
        let Media::Html(html) = &record.media else { return Err(Error::unsupported("no page")) };
        for chunk in html.text.as_bytes().chunks(1 << 14) {
            out.write_all(chunk)?;
        }
        Ok(())
    }
}

impl Format for Cells {
    fn info(&self) -> &'static FormatInfo {
        &CELLS
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        use std::io::Seek;
        let Media::Table(table) = &mut record.media else { return Err(Error::unsupported("no table")) };
        // A length that is known at the end only, as many real formats have it.
        out.write_all(&[0; 8])?;
        let mut rows = 0_u64;
        while let Some(chunk) = table.rows.next_chunk()? {
            cx.checkpoint()?;
            for column in chunk.columns() {
                if let ColumnData::Int64(cells) = &column.data {
                    rows += cells.len() as u64;
                    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
                    out.write_all(&bytes)?;
                }
            }
        }
        out.rewind()?;
        out.write_all(&rows.to_le_bytes())?;
        Ok(())
    }
}
