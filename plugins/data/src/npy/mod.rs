//! NPY, the file of one numpy array.
//!
//! Specification: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! | bytes | |
//! |---|---|
//! | 0 to 5 | `\x93NUMPY` |
//! | 6, 7 | version: 1.0, 2.0 or 3.0 |
//! | 8, 9 (from version 2 on 8 to 11) | length of the header, little-endian |
//! | then | a Python dictionary: `descr` (type), `fortran_order`, `shape` |
//! | then | the elements, end to end |
//!
//! Types read: bool, integers of 8 to 64 bits, floats of 16, 32 and 64 bits, of both byte orders, and structures of them, also
//! nested, padded and with fields of a shape. Complex numbers, texts, dates and wide floats are unsupported; objects are
//! refused, for they are pickled programs.
//!
//! An array does not say what it is of. Option `as` does; `auto` goes by type and shape, the first line that fits:
//!
//! | type | shape | is |
//! |---|---|---|
//! | structures with `x`, `y`, `z` (any case), or a field `xyz`, `pos`, `position` or `points` of three | any | points, all other fields as attributes |
//! | floats | (n, 3), (n, 4), (n, 6) | points: position, and one or three columns more, see below |
//! | any plain | (h, w), (h, w, c), (c, h, w), c = 1, 3, 4 | image |
//! | uint8 | (t, h, w), (t, c, h, w), (t, h, w, c), c = 1, 3, 4 | video of `fps` frames a second |
//! | any | any other | table: a structure is a row and its fields are columns; the last axis of two or more are columns `column_1` …; one axis is the column `value` |
//!
//! A fourth column is `category` if it holds whole numbers, `intensity` otherwise. Columns four to six are `color` if they hold
//! whole numbers from 0 to 255 or floats from 0 to 1, `normal` if their length is 1; other floats from 0 to 255 are `color`, rounded,
//! and `rgb`, as they stand (`byte-colors`, a note); anything else keeps to itself. So are
//! 8-bit and 16-bit fields `red`, `green`, `blue`, fields `nx`, `ny`, `nz`, and a field `classification` or `label` is `category`.
//!
//! Colours of arrays are meant for display (sRGB), a float `color` of a record is linear light. So floats from 0 to 1 become
//! bytes where all are 255ths, and linear light otherwise (`linear-colors`, a note). A field `color` of other numbers than 8 or
//! 16 bits has no known range: it is called `rgb`.
//!
//! Images keep bool (as 0 and 1), 8 and 16 bits without sign; other numbers become 32-bit floats without a colour meaning,
//! and what they do not hold exactly is counted (`precision`). Their values stay as they are, and a display range goes with them,
//! by one rule that the module `range` states: previews and formats of integers show that range, so that nothing wraps, and
//! nothing turns black for want of a scale. The rule, what it found and what it chose are a note and the property `range`. 64-bit integers of points become doubles (`precision`). Integers beyond
//! 63 bits in a table are unsupported.
//!
//! `shape`, `dtype` and `fortran_order` become properties, and `whole_numbers` of points that are integers alone. Data shorter than its shape is malformed; bytes behind it are reported
//! (`trailing-bytes`, an error in strict mode). Lenient is as default. Not written.

mod array;
mod header;
mod plan;
mod range;

use std::sync::Arc;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::{
    AttributeData, AttributeSpec, Audio, AudioChunk, ColorSpace, Column, ColumnData, ColumnType, Image, PointChunk,
    PointCloud, Samples, ScalarType, Stream, Table, TableChunk, Video, VideoFrame,
};
use mediary_core::{
    Context, Error, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord, OptionSpec,
    OptionType, Result, Severity, Signature, Source, register, single,
};

use array::{Array, check_length};
use header::{Field, MAGIC, NpyHeader, Scalar};
use range::Range;
use serde_json::json;

use plan::{Plan, Points, Raster, Rows, attribute, is_kept, pcm, sample_rate, track};

const INFO: FormatInfo =
    FormatInfo::new("npy", "NumPy array", &[Kind::Image, Kind::Video, Kind::PointCloud, Kind::Table, Kind::Audio])
        .extensions(&["npy"])
        .media_types(&["application/x-npy"])
        .signatures(&[Signature { offset: 0, bytes: MAGIC, mask: &[] }])
        .reads()
        .options(&[
            OptionSpec::read(
                "as",
                OptionType::Choice(&["auto", "image", "video", "point_cloud", "table", "audio"]),
                "auto",
                "What the array is of",
            ),
            OptionSpec::read("fps", OptionType::Float, "4", "Frames a second of a video"),
            OptionSpec::read(
                "sample_rate",
                OptionType::Int { min: 1, max: 4_000_000_000 },
                "44100",
                "Samples a second of audio",
            ),
            OptionSpec::read(
                "range",
                OptionType::Text,
                "auto",
                "Values of pictures shown as black and white: auto, unit (0,1), byte (0,255), minmax, or two numbers such as 0,4095",
            ),
        ])
        .spec("https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html");

/// Points, rows or samples of a chunk at most.
const CHUNK: u64 = 1 << 16;

/// Bytes of elements after which a chunk is closed.
const CHUNK_BYTES: u64 = 4 << 20;

struct Npy;

register!(Npy);

impl Format for Npy {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let fps = cx.options().float("fps");
        if fps <= 0.0 {
            return Err(Error::new(
                mediary_core::ErrorKind::InvalidOption,
                format!("option npy.fps: expected a number above 0, found {fps}"),
            ));
        }
        let header = Arc::new(NpyHeader::read(source, cx)?);
        check_length(source, &header, cx)?;
        let plan = Plan::of(&header, cx)?;
        let (source, cx) = (source.clone(), cx.clone());
        let facts = plan.facts(&header, &cx);
        Ok(single(move || Ok(Header::single(facts.clone())), move || read(&source, &header, plan, &cx)))
    }
}

fn read(source: &Source, header: &Arc<NpyHeader>, plan: Plan, cx: &Context) -> Result<MediaRecord> {
    let end = header.start + header.elements()? * header.item as u64;
    if source.len() > end {
        let message = format!("{} bytes behind the array", source.len() - end);
        cx.tolerate("trailing-bytes", message, Location::byte(end))?;
    }
    let array = Array::new(source, header, cx)?;
    let range = match &plan {
        Plan::Image(raster) | Plan::Video(raster) => range::of(&array, raster, cx)?,
        _ => None,
    };
    let media: Media = match plan {
        Plan::Image(raster) => image(&array, &raster, 0, range, cx)?.into(),
        Plan::Video(raster) => video(array, raster, range, cx)?.into(),
        Plan::Points(points) => cloud(array, points, cx)?.into(),
        Plan::Table(rows) => table(array, rows, cx).into(),
        Plan::Audio { channels, frames, steps } => audio(array, channels, frames, steps, cx).into(),
    };
    let dtype = match &header.fields[..] {
        [field] if !header.structured => field.scalar.name().to_owned(),
        fields => {
            let names: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name, field.scalar.name())).collect();
            names.join(", ")
        }
    };
    let mut record = MediaRecord::new(media)
        .with_property("shape", header.shape.clone())
        .with_property("dtype", dtype)
        .with_property("fortran_order", header.fortran);
    if let Some(Range { shown, found }) = range {
        let rule = cx.options().text("range");
        record = record.with_property("range", json!({"rule": rule, "shown": shown, "found": found}));
    }
    if record.kind() == Kind::PointCloud && header.fields.iter().all(|field| !field.scalar.is_float()) {
        record = record.with_property("whole_numbers", true);
    }
    Ok(record)
}

/// Frame `frame` of a raster.
fn image(array: &Array, raster: &Raster, frame: usize, range: Option<Range>, cx: &Context) -> Result<Image> {
    let Field { scalar, big_endian: big, .. } = array.header.fields[0];
    let pixels = u64::from(raster.width) * u64::from(raster.height);
    cx.limits().check("pixels", pixels)?;
    let count = pixels * u64::from(raster.channels);
    let width = if is_kept(scalar) { scalar.bytes() as u64 } else { 4 };
    cx.budget().take(count * width)?;
    let [_, rows, columns, channels] = raster.steps;
    let start = frame * raster.steps[0];
    let at = (0..raster.height as usize).flat_map(move |y| {
        (0..raster.width as usize).flat_map(move |x| {
            (0..usize::from(raster.channels)).map(move |c| start + y * rows + x * columns + c * channels)
        })
    });
    let capacity = usize::try_from(count).map_err(|_| Error::limit("pixels", pixels, cx.limits().pixels))?;
    let samples = match scalar {
        Scalar::Bool | Scalar::U8 => {
            let mut samples = Vec::with_capacity(capacity);
            samples.extend(at.map(|at| array.int(at, scalar, big) as u8));
            Samples::U8(samples.into())
        }
        Scalar::U16 => {
            let mut samples = Vec::with_capacity(capacity);
            samples.extend(at.map(|at| array.int(at, scalar, big) as u16));
            Samples::U16(samples.into())
        }
        _ => {
            let mut samples = Vec::with_capacity(capacity);
            let (mut changed, mut odd) = (0, 0);
            samples.extend(at.map(|at| {
                let value = array.float(at, scalar, big);
                let kept = value as f32;
                odd += u64::from(!kept.is_finite());
                let wide = matches!(scalar, Scalar::I64 | Scalar::U64);
                let same =
                    if wide { f64::from(kept) as i128 == array.int(at, scalar, big) } else { f64::from(kept) == value };
                changed += u64::from(!same && !value.is_nan());
                kept
            }));
            cx.report_times(
                Severity::Info,
                "precision",
                format!("{} values that 32-bit floats round", scalar.name()),
                None,
                changed,
            );
            cx.report_times(Severity::Info, "non-finite", "samples that are NaN or infinite", None, odd);
            Samples::F32(samples.into())
        }
    };
    let mut image = Image::new(raster.width, raster.height, raster.channels, samples)?;
    image.source_bits = scalar.bytes() as u8 * 8;
    if !matches!(scalar, Scalar::U8 | Scalar::U16) {
        image.color_space = ColorSpace::Unknown;
    }
    image.range = range.map(|range| range.shown);
    Ok(image)
}

fn video(array: Array, raster: Raster, range: Option<Range>, cx: &Context) -> Result<Video> {
    cx.limits().check("frames", raster.frames)?;
    let fps = cx.options().float("fps");
    let track = track(&raster, array.header.fields[0].scalar, cx);
    let (frames, cx) = (raster.frames, cx.clone());
    let bytes = u64::from(raster.width) * u64::from(raster.height) * u64::from(raster.channels) * 4;
    let pictures = (0..usize::try_from(frames).unwrap_or(usize::MAX)).map(move |frame| {
        cx.checkpoint()?;
        let before = cx.budget().taken();
        let image = image(&array, &raster, frame, range, &cx)?;
        // A frame is handed on; the next one takes its place.
        cx.budget().give_back((cx.budget().taken() - before).min(bytes));
        Ok(VideoFrame { image, duration_seconds: 1.0 / fps })
    });
    Ok(Video {
        container: "npy".into(),
        tracks: vec![track],
        duration_seconds: Some(frames as f64 / fps),
        playable: false,
        frames: Some(Stream::new(pictures)),
    })
}

/// Cuts `count` elements of `bytes` each into ranges of one chunk.
fn chunks(count: u64, bytes: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Send {
    let step = (CHUNK_BYTES / bytes.max(1) as u64).clamp(1, CHUNK);
    (0..count.div_ceil(step)).map(move |chunk| (chunk * step) as usize..(chunk * step + step).min(count) as usize)
}

fn cloud(array: Array, mut points: Points, cx: &Context) -> Result<PointCloud> {
    let mut map: Map = |value| value;
    if !points.unnamed.is_empty() {
        (points.attributes, map) = meaning(&array, &points, cx)?;
    }
    let wide = |field: &Field| matches!(field.scalar, Scalar::I64 | Scalar::U64);
    if points.axes.iter().any(wide) || points.attributes.iter().any(|(_, fields)| fields.iter().any(wide)) {
        cx.note("precision", "64-bit integers are held as doubles, which are exact up to 2^53");
    }
    let schema: Vec<AttributeSpec> = points.attributes.iter().map(|(spec, _)| spec.clone()).collect();
    let (count, cx) = (points.count, cx.clone());
    let own = schema.clone();
    let chunks = chunks(count, array.header.item.max(24)).map(move |range| {
        cx.checkpoint()?;
        let offsets = range.clone().map(|index| points.step.map_or_else(|| array.offset(index), |step| index * step));
        let positions: Vec<_> =
            offsets.clone().map(|at| points.axes.each_ref().map(|axis| array.of_field(at, axis, 0))).collect();
        let mut attributes = Vec::with_capacity(points.attributes.len());
        for (spec, fields) in &points.attributes {
            let mut data = AttributeData::with_capacity(spec.scalar, range.len() * spec.components);
            for at in offsets.clone() {
                for field in fields {
                    (0..field.count).for_each(|part| data.push(map(array.of_field(at, field, part))));
                }
            }
            attributes.push(data);
        }
        PointChunk::new(positions, attributes, &own)
    });
    let mut cloud = PointCloud::new(schema, Stream::new(chunks));
    cloud.declared_points = Some(count);
    Ok(cloud)
}

/// Attributes with the fields that hold them.
type Attributes = Vec<(AttributeSpec, Vec<Field>)>;

/// What becomes of a number of the array.
type Map = fn(f64) -> f64;

/// What the columns behind the position mean, by their values, and how these become those of the attribute: see the module.
fn meaning(array: &Array, points: &Points, cx: &Context) -> Result<(Attributes, Map)> {
    let step = points.step.unwrap_or(array.header.item);
    let fields = &points.unnamed;
    let (mut whole, mut low, mut high, mut unit, mut bytes) = (true, f64::INFINITY, f64::NEG_INFINITY, true, true);
    for range in chunks(points.count, array.header.item) {
        cx.checkpoint()?;
        for index in range {
            let mut square = 0.0;
            for field in fields {
                let value = array.of_field(index * step, field, 0);
                whole &= value.fract() == 0.0;
                // 255ths, as single precision rounds them.
                bytes &= (value * 255.0 - (value * 255.0).round()).abs() < 1e-4;
                // NaN is neither whole nor in a range.
                (low, high) =
                    if value.is_nan() { (f64::NEG_INFINITY, f64::INFINITY) } else { (low.min(value), high.max(value)) };
                square += value * value;
            }
            unit &= (square - 1.0).abs() < 0.01;
        }
    }
    let float = if array.header.fields[0].scalar == Scalar::F64 { ScalarType::F64 } else { ScalarType::F32 };
    let kept: Map = |value| value;
    let (name, scalar, map) = match fields.len() {
        1 if whole && low >= f64::from(i32::MIN) && high <= f64::from(i32::MAX) => ("category", ScalarType::I32, kept),
        1 => ("intensity", float, kept),
        // Ones and zeros alone are floats from 0 to 1.
        _ if whole && low >= 0.0 && high > 1.0 && high <= 255.0 => ("color", ScalarType::U8, kept),
        _ if bytes && low >= 0.0 && high <= 1.0 => ("color", ScalarType::U8, (|value| value * 255.0) as Map),
        _ if low >= 0.0 && high <= 1.0 => {
            cx.note("linear-colors", "colours for display, 0 to 1, are held as linear light");
            ("color", float, srgb_to_linear as Map)
        }
        _ if unit && points.count > 0 => ("normal", float, kept),
        _ if low >= 0.0 && high <= 255.0 => {
            cx.note("byte-colors", "columns of floats from 0 to 255 are taken for colours");
            let color = |name, scalar| (AttributeSpec::new(name, scalar, 3), fields.clone());
            return Ok((vec![color("color", ScalarType::U8), color("rgb", ScalarType::F64)], kept));
        }
        _ => {
            let own = fields.iter().zip(4..).map(|(field, number)| attribute(&format!("column_{number}"), field));
            return Ok((own.collect(), kept));
        }
    };
    Ok((vec![(AttributeSpec::new(name, scalar, fields.len()), fields.clone())], map))
}

fn table(array: Array, rows: Rows, cx: &Context) -> Table {
    let (schema, count, cx) = (rows.schema, rows.count, cx.clone());
    let columns = schema.len();
    let chunks = chunks(count, columns * 8).map(move |range| {
        cx.checkpoint()?;
        let header = Arc::clone(&array.header);
        // (offset in the row, number type, byte order) of each column, where a row is one structure.
        let parts = header.fields.iter().flat_map(|field| {
            (0..field.count)
                .map(move |part| (field.offset + part * field.scalar.bytes(), field.scalar, field.big_endian))
        });
        let plain = (0..columns).map(|_| (0, header.fields[0].scalar, header.fields[0].big_endian));
        let cells: Box<dyn Iterator<Item = _>> = if header.structured { Box::new(parts) } else { Box::new(plain) };
        let mut filled = Vec::with_capacity(columns);
        for (column, (offset, scalar, big)) in cells.enumerate() {
            let at = |row: usize| {
                let element = if header.structured { row } else { row * columns + column };
                array.offset(element) + offset
            };
            filled.push(column_of(&array, range.clone().map(at), scalar, big)?);
        }
        TableChunk::new(filled, range.len())
    });
    Table { schema, declared_rows: Some(count), truncated: false, rows: Stream::new(chunks) }
}

fn column_of(array: &Array, at: impl Iterator<Item = usize>, scalar: Scalar, big: bool) -> Result<Column> {
    let data = match plan::column_type(scalar) {
        ColumnType::Bool => ColumnData::Bool(at.map(|at| array.int(at, scalar, big) != 0).collect()),
        ColumnType::Float64 => ColumnData::Float64(at.map(|at| array.float(at, scalar, big)).collect()),
        _ => {
            let int = |at| {
                i64::try_from(array.int(at, scalar, big)).map_err(|_| {
                    Error::unsupported(format!("{}: tables hold integers to 2^63 - 1", array.int(at, scalar, big)))
                        .at_byte(array.header.start + at as u64)
                        .with_hint("save the array as float64")
                })
            };
            ColumnData::Int64(at.map(int).collect::<Result<_>>()?)
        }
    };
    Ok(Column { data, valid: None })
}

fn audio(array: Array, channels: u16, frames: u64, steps: [usize; 2], cx: &Context) -> Audio {
    let Field { scalar, big_endian: big, .. } = array.header.fields[0];
    let bits = scalar.bytes() as u8 * 8;
    let cx2 = cx.clone();
    let chunks = chunks(frames, usize::from(channels) * 8).map(move |range| {
        cx2.checkpoint()?;
        let at = range.flat_map(|frame| (0..usize::from(channels)).map(move |c| frame * steps[0] + c * steps[1]));
        Ok(if scalar.is_float() {
            AudioChunk::Float { samples: at.map(|at| array.float(at, scalar, big) as f32).collect(), channels }
        } else {
            // 8-bit samples have their zero at 128.
            let zero = if scalar == Scalar::U8 { 128 } else { 0 };
            AudioChunk::Int { samples: at.map(|at| array.int(at, scalar, big) as i32 - zero).collect(), channels, bits }
        })
    });
    Audio {
        sample_rate: sample_rate(cx),
        channels,
        layout: Vec::new(),
        integer: !scalar.is_float(),
        bit_depth: bits,
        codec: pcm(scalar),
        declared_frames: Some(frames),
        tags: std::collections::BTreeMap::new(),
        samples: Stream::new(chunks),
    }
}
