//! The form in which records cross a boundary: to and from a loaded plugin, to and from a worker process. A header of JSON,
//! and buffers that it refers to by index: large values are never copied.
//!
//! The JSON is the shape of the record types themselves; `docs/record-wire.md` lists it for every kind. Whatever comes in is
//! checked as any file is: indices, lengths, alignment, ranges. Members of objects that are unknown are left out, missing ones
//! have their defaults.

mod buffers;
pub(crate) mod columns;
pub(crate) mod number;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use buffers::outside;

use crate::diagnostic::{Diagnostic, Loss};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Header;
use crate::record::{
    Annotations, AttributeData, AttributeSpec, AudioChunk, Buffer, Chunk, ColumnData, ColumnSpec, Facts, Kind, Media,
    MediaRecord, PointChunk, SourceInfo, Stream, TableChunk, annotations,
};

/// Bytes that somebody owns.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A header, a record or a chunk on its way.
#[derive(Clone, Default)]
pub struct Parcel {
    /// JSON.
    pub json: String,
    /// The buffers that the JSON refers to by index, aligned for their elements. Every one is referred to; only one of single
    /// bytes may be referred to again.
    pub buffers: Vec<Bytes>,
}

/// What a reader sends.
pub enum Piece {
    /// The next record. Chunks of its stream follow when it has one, then the end of the stream.
    Record(Parcel),
    /// The next chunk of the stream of the record before.
    Chunk(Parcel),
    /// The stream of the record before is at its end.
    EndOfStream,
}

/// Turns the records of a reader into pieces: keeps the record whose stream is on its way.
#[derive(Default)]
pub struct Pieces(Option<MediaRecord>);

impl Pieces {
    /// The next piece of the stream on its way; `None` when there is none, and the next record is to be read. A stream that
    /// fails is over.
    pub fn rest(&mut self) -> Option<Result<Piece>> {
        let chunk = pack_chunk(self.0.as_mut()?);
        if !matches!(chunk, Ok(Some(_))) {
            self.0 = None;
        }
        Some(chunk.map(|chunk| chunk.map_or(Piece::EndOfStream, Piece::Chunk)))
    }

    /// Packs the next record. `sent` takes it; its stream is on its way then.
    ///
    /// # Errors
    /// As [`pack_record`], and what `sent` reports.
    pub fn record<T>(&mut self, mut record: MediaRecord, sent: impl FnOnce(Parcel) -> Result<T>) -> Result<T> {
        let sent = sent(pack_record(&mut record)?)?;
        self.0 = streams(&record).then_some(record);
        Ok(sent)
    }
}

/// Numbers a point of one attribute at most: consumers loop over them.
const COMPONENTS: usize = 1 << 20;

/// Rows of a chunk at most that has no cell which takes memory.
const EMPTY_ROWS: usize = 1 << 24;

/// Packs a header.
///
/// # Errors
/// `Plugin` when it cannot be expressed.
pub fn pack_header(header: &Header) -> Result<Parcel> {
    #[derive(Serialize)]
    struct Packed<'a> {
        kind: Kind,
        facts: &'a Facts,
        #[serde(skip_serializing_if = "Option::is_none")]
        records: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        memory: Option<u64>,
    }
    pack(
        "header",
        &Packed { kind: header.facts.kind(), facts: &header.facts, records: header.records, memory: header.memory },
    )
}

/// Unpacks a header.
///
/// # Errors
/// `Plugin` when it breaks the contract.
pub fn unpack_header(parcel: &Parcel) -> Result<Header> {
    #[derive(Deserialize)]
    struct Packed<'a> {
        kind: Kind,
        #[serde(borrow)]
        facts: &'a RawValue,
        records: Option<u64>,
        memory: Option<u64>,
    }
    unpack("header", parcel.clone(), |json| {
        let packed: Packed<'_> = serde_json::from_str(json)?;
        let facts = packed.facts.get();
        let facts = match packed.kind {
            Kind::Image => Facts::Image(serde_json::from_str(facts)?),
            Kind::Scene => Facts::Scene(serde_json::from_str(facts)?),
            Kind::PointCloud => Facts::PointCloud(serde_json::from_str(facts)?),
            Kind::Molecule => Facts::Molecule(serde_json::from_str(facts)?),
            Kind::Audio => Facts::Audio(serde_json::from_str(facts)?),
            Kind::Video => Facts::Video(serde_json::from_str(facts)?),
            Kind::Histogram => Facts::Histogram(serde_json::from_str(facts)?),
            Kind::Table => Facts::Table(serde_json::from_str(facts)?),
            Kind::Html => Facts::Html(serde_json::from_str(facts)?),
        };
        Ok(Header { facts, records: packed.records, memory: packed.memory })
    })
}

/// Packs a record without its stream, whose chunks [`pack_chunk`] gives. The record stays whole: its bulk is shared from then
/// on.
///
/// # Errors
/// `Plugin` when it cannot be expressed.
pub fn pack_record(record: &mut MediaRecord) -> Result<Parcel> {
    #[derive(Serialize)]
    struct Packed<'a> {
        kind: Kind,
        media: Payload<'a>,
        #[serde(skip_serializing_if = "is_false")]
        stream: bool,
        #[serde(skip_serializing_if = "str::is_empty")]
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        caption: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<i64>,
        #[serde(skip_serializing_if = "Annotations::is_empty")]
        annotations: &'a Annotations,
        #[serde(skip_serializing_if = "Map::is_empty")]
        properties: &'a Map<String, Value>,
        #[serde(skip_serializing_if = "str::is_empty")]
        media_type: &'a str,
        #[serde(skip_serializing_if = "is_false")]
        source_is_canonical: bool,
        #[serde(skip_serializing_if = "str::is_empty")]
        format: &'a str,
        #[serde(skip_serializing_if = "is_zero")]
        index: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a SourceInfo>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        diagnostics: Vec<Diagnostic>,
        #[serde(skip_serializing_if = "<[Loss]>::is_empty")]
        loss: &'a [Loss],
    }
    record.media.share();
    annotations::share(&mut record.annotations);
    pack(
        "record",
        &Packed {
            kind: record.kind(),
            media: Payload(&record.media),
            stream: streams(record),
            key: &record.key,
            caption: record.caption.as_deref(),
            step: record.step,
            annotations: &record.annotations,
            properties: &record.properties,
            media_type: &record.media_type,
            source_is_canonical: record.source_is_canonical,
            format: &record.format,
            index: record.index,
            source: Some(&record.source).filter(|source| **source != SourceInfo::default()),
            diagnostics: record.diagnostics.to_vec(),
            loss: &record.loss,
        },
    )
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The media without their tag.
struct Payload<'a>(&'a Media);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Media::Image(image) => image.serialize(serializer),
            Media::Scene(scene) => scene.serialize(serializer),
            Media::PointCloud(cloud) => cloud.serialize(serializer),
            Media::Molecule(molecule) => molecule.serialize(serializer),
            Media::Audio(audio) => audio.serialize(serializer),
            Media::Video(video) => video.serialize(serializer),
            Media::Histogram(histogram) => histogram.serialize(serializer),
            Media::Table(table) => table.serialize(serializer),
            Media::Html(html) => html.serialize(serializer),
        }
    }
}

/// Whether the record has a stream, of which chunks and an end follow.
#[must_use]
pub fn streams(record: &MediaRecord) -> bool {
    match &record.media {
        Media::PointCloud(_) | Media::Audio(_) | Media::Table(_) => true,
        Media::Video(video) => video.frames.is_some(),
        _ => false,
    }
}

/// Pulls the next chunk of the record's stream and packs it; `None` at its end.
///
/// # Errors
/// What the stream reports.
pub fn pack_chunk(record: &mut MediaRecord) -> Result<Option<Parcel>> {
    fn next<C: Chunk + Serialize>(stream: &mut Stream<C>, share: impl FnOnce(&mut C)) -> Result<Option<Parcel>> {
        let Some(mut chunk) = stream.next_chunk()? else { return Ok(None) };
        share(&mut chunk);
        pack("chunk", &chunk).map(Some)
    }
    match &mut record.media {
        Media::PointCloud(cloud) => next(&mut cloud.points, PointChunk::share),
        Media::Audio(audio) => next(&mut audio.samples, AudioChunk::share),
        Media::Table(table) => next(&mut table.rows, TableChunk::share),
        Media::Video(video) => match &mut video.frames {
            Some(frames) => next(frames, |frame| frame.image.share()),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Unpacks a record. `chunks` gives the chunks of its stream when it has one, `None` at its end; it is asked no more after that
/// and after an error.
///
/// # Errors
/// `Plugin` when it breaks the contract.
pub fn unpack_record(
    parcel: Parcel,
    chunks: impl FnMut() -> Result<Option<Parcel>> + Send + 'static,
) -> Result<MediaRecord> {
    #[derive(Deserialize)]
    struct Packed<'a> {
        kind: Kind,
        #[serde(borrow)]
        media: &'a RawValue,
        #[serde(default)]
        stream: bool,
        #[serde(default)]
        key: String,
        caption: Option<String>,
        step: Option<i64>,
        #[serde(default)]
        annotations: Annotations,
        #[serde(borrow)]
        properties: Option<&'a RawValue>,
        #[serde(default)]
        media_type: String,
        #[serde(default)]
        source_is_canonical: bool,
        #[serde(default)]
        format: String,
        #[serde(default)]
        index: u64,
        #[serde(default)]
        source: SourceInfo,
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
        #[serde(default)]
        loss: Vec<Loss>,
    }
    let (mut record, has_stream) = unpack("record", parcel, |json| {
        let packed: Packed<'_> = serde_json::from_str(json)?;
        let mut record = MediaRecord::new(media(packed.kind, packed.media.get())?);
        record.key = packed.key;
        record.caption = packed.caption;
        record.step = packed.step;
        record.annotations = packed.annotations;
        // Each part has the whole depth that JSON may have.
        record.properties = packed.properties.map_or(Ok(Map::new()), |it| serde_json::from_str(it.get()))?;
        record.media_type = packed.media_type;
        record.source_is_canonical = packed.source_is_canonical;
        record.format = packed.format;
        record.index = packed.index;
        record.source = packed.source;
        packed.diagnostics.into_iter().for_each(|it| record.diagnostics.push(it));
        record.loss = packed.loss;
        Ok((record, packed.stream))
    })?;
    check(&record.media)?;
    if has_stream {
        attach(&mut record.media, chunks)?;
    }
    Ok(record)
}

fn media(kind: Kind, json: &str) -> serde_json::Result<Media> {
    Ok(match kind {
        Kind::Image => Media::Image(serde_json::from_str(json)?),
        Kind::Scene => Media::Scene(serde_json::from_str(json)?),
        Kind::PointCloud => Media::PointCloud(serde_json::from_str(json)?),
        Kind::Molecule => Media::Molecule(serde_json::from_str(json)?),
        Kind::Audio => Media::Audio(serde_json::from_str(json)?),
        Kind::Video => Media::Video(serde_json::from_str(json)?),
        Kind::Histogram => Media::Histogram(serde_json::from_str(json)?),
        Kind::Table => Media::Table(serde_json::from_str(json)?),
        Kind::Html => Media::Html(serde_json::from_str(json)?),
    })
}

/// What neither types nor constructors see to. Indices inside scenes and molecules are seen to by [`Media::validate`].
fn check(media: &Media) -> Result<()> {
    match media {
        Media::Audio(audio) if audio.channels == 0 || audio.sample_rate == 0 => {
            let (channels, rate) = (audio.channels, audio.sample_rate);
            Err(broken(format!("expected channels and a sample rate, found {channels} channels at {rate} Hz")))
        }
        Media::PointCloud(cloud) => {
            match cloud.schema.iter().find(|spec| !(1..=COMPONENTS).contains(&spec.components)) {
                Some(spec) => {
                    let message = format!("expected 1 to {COMPONENTS} components, found {}", spec.components);
                    Err(broken(message).at_element(format!("attribute {:?}", spec.name)))
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Gives the media their stream.
fn attach(media: &mut Media, chunks: impl FnMut() -> Result<Option<Parcel>> + Send + 'static) -> Result<()> {
    match media {
        Media::PointCloud(cloud) => {
            let schema = cloud.schema.clone();
            cloud.points = stream(chunks, move |parcel| points(parcel, &schema));
        }
        Media::Audio(audio) => {
            let (channels, integer) = (audio.channels, audio.integer);
            audio.samples = stream(chunks, move |parcel| sound(parcel, channels, integer));
        }
        Media::Table(table) => {
            let schema = table.schema.clone();
            table.rows = stream(chunks, move |parcel| rows(parcel, &schema));
        }
        Media::Video(video) => {
            video.frames = Some(stream(chunks, |parcel| unpack("chunk", parcel, |json| serde_json::from_str(json))));
        }
        other => return Err(broken(format!("record: {} has no stream", other.kind()))),
    }
    Ok(())
}

fn stream<C: Chunk>(
    mut chunks: impl FnMut() -> Result<Option<Parcel>> + Send + 'static,
    mut read: impl FnMut(Parcel) -> Result<C> + Send + 'static,
) -> Stream<C> {
    let mut finished = false;
    Stream::new(std::iter::from_fn(move || {
        if finished {
            return None;
        }
        let chunk = chunks().and_then(|parcel| parcel.map(&mut read).transpose()).transpose();
        finished = !matches!(chunk, Some(Ok(_)));
        chunk
    }))
}

fn points(parcel: Parcel, schema: &[AttributeSpec]) -> Result<PointChunk> {
    #[derive(Deserialize)]
    struct Packed {
        positions: Buffer<[f64; 3]>,
        #[serde(default)]
        attributes: Vec<AttributeData>,
    }
    let packed: Packed = unpack("chunk", parcel, |json| serde_json::from_str(json))?;
    PointChunk::new(packed.positions, packed.attributes, schema).map_err(|error| {
        let place = error.location().and_then(|location| location.element.clone());
        let broken = broken(format!("chunk: {}", error.message()));
        match place {
            Some(place) => broken.at_element(place),
            None => broken,
        }
    })
}

fn sound(parcel: Parcel, channels: u16, integer: bool) -> Result<AudioChunk> {
    let chunk: AudioChunk = unpack("chunk", parcel, |json| serde_json::from_str(json))?;
    let (found, count, is_integer) = match &chunk {
        AudioChunk::Int { samples, channels, bits } => {
            if !(1..=32).contains(bits) {
                return Err(broken(format!("chunk: expected 1 to 32 bits a sample, found {bits}")));
            }
            let unused = 32 - u32::from(*bits);
            if let Some(sample) = samples.iter().find(|&&sample| sample << unused >> unused != sample) {
                return Err(broken(format!("chunk: expected samples of {bits} bits, found {sample}")));
            }
            (*channels, samples.len(), true)
        }
        AudioChunk::Float { samples, channels } => (*channels, samples.len(), false),
    };
    if (found, is_integer) != (channels, integer) {
        let form = |integer| if integer { "integers" } else { "floats" };
        return Err(broken(format!(
            "chunk: expected {} of {channels} channels, found {} of {found}",
            form(integer),
            form(is_integer)
        )));
    }
    if !count.is_multiple_of(usize::from(channels)) {
        return Err(broken(format!("chunk: {count} samples are no multiple of {channels} channels")));
    }
    Ok(chunk)
}

fn rows(parcel: Parcel, schema: &[ColumnSpec]) -> Result<TableChunk> {
    let chunk: TableChunk = unpack("chunk", parcel, |json| serde_json::from_str(json))?;
    let columns = chunk.columns();
    if columns.len() != schema.len() {
        return Err(broken(format!("chunk: expected {} columns, found {}", schema.len(), columns.len())));
    }
    for (column, spec) in columns.iter().zip(schema) {
        if column.data.kind() != spec.kind {
            let (expected, found) = (spec.kind.as_str(), column.data.kind().as_str());
            return Err(broken(format!("chunk: expected cells of type {expected}, found {found}"))
                .at_element(format!("column {:?}", spec.name)));
        }
    }
    let weightless = columns.iter().all(|column| matches!(column.data, ColumnData::Null(_)) && column.valid.is_none());
    if weightless && chunk.rows() > EMPTY_ROWS {
        return Err(broken(format!("chunk: expected at most {EMPTY_ROWS} empty rows, found {}", chunk.rows())));
    }
    Ok(chunk)
}

fn pack(what: &str, value: &impl Serialize) -> Result<Parcel> {
    let (json, buffers) = buffers::pack(|| serde_json::to_string(value));
    let json = json.map_err(|error| broken(format!("{what}: {error}")).caused_by(error))?;
    Ok(Parcel { json, buffers })
}

fn unpack<T>(what: &str, parcel: Parcel, read: impl FnOnce(&str) -> serde_json::Result<T>) -> Result<T> {
    let Parcel { json, buffers } = parcel;
    let (value, unused) = buffers::unpack(buffers, || read(&json));
    let value = value.map_err(|error| broken(format!("{what}: {error}")).caused_by(error))?;
    match unused {
        Some(index) => Err(broken(format!("{what}: buffer {index} is used by nothing"))),
        None => Ok(value),
    }
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, message)
}
