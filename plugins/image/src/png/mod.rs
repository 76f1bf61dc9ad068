//! PNG, the Portable Network Graphics.
//!
//! Specification: W3C PNG, third edition, <https://www.w3.org/TR/png-3/>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | signature, `89 50 4E 47 0D 0A 1A 0A` |
//! | 8 | 12 + n each | chunks: length n, type, n bytes of data, CRC-32 of type and data; all numbers big-endian |
//! | IHDR | 13 | width, height, bit depth, colour type, compression, filter and interlace method |
//! | IDAT | n | zlib stream of the filtered rows, over one or more chunks |
//! | IEND | 0 | end |
//!
//! Read: every colour type, depth and interlacing. Palettes become RGB, `tRNS` an alpha channel, 1, 2 and 4 bits become
//! 8, 16 bits stay. The colour space is that of `cICP`, `iCCP`, `sRGB` or `gAMA` with `cHRM`, in this order; without
//! any it is sRGB. The orientation of `eXIf` is applied. Texts, XMP, density and EXIF tags become properties. An
//! animation (APNG) becomes a video whose frames are whole canvases in 8-bit RGBA, decoded one at a time; a frame without a
//! delay is shown for 100 ms (`png.delay`), and a default image that is no frame is left out. Of raw profiles that
//! ImageMagick writes as texts only the EXIF tags are kept; the orientation in them is not applied, as browsers do not
//! either.
//!
//! Written: 8 and 16 bits, 1 to 4 channels, colour profile, texts, XMP. At the level `fast`, which is the default, rows are
//! filtered by Paeth and packed by an own deflate, over several IDAT chunks. Floats are rounded to 16 bits. The
//! frames of a video become an animation, each a whole picture. Lost: durations that are no whole milliseconds
//! (`png.delay`), other tracks (`png.tracks`), texts with a keyword
//! that is none in PNG (`png.text`), and what [`encode`](crate::encode) names.
//!
//! Strictness: bytes after the end (`png.trailing-bytes`) and broken ancillary chunks (`png.checksum`, `png.icc`,
//! `png.exif`, `png.frames`) are diagnostics by default and errors when strict; texts that cannot be kept are told
//! (`png.text`). So are pixels that the palette has no colour for, which become black (`png.palette`), and image data
//! that are longer than the picture or end without their checksum (`png.image-data`). A wrong checksum, missing data or a missing end is an error; lenient reads the rows before the damage
//! (`png.damaged`), the rest is black, or the first colour of the palette.

mod animation;
mod chunks;
mod deflate;
mod rows;
mod stream;
mod write;

use std::io::ErrorKind as IoErrorKind;

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{
    Canonical, Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location,
    Media, MediaRecord, OptionSpec, OptionType, Output, Probe, Result, Signature, Source, Strictness, register, single,
};
use png::{BitDepth, ColorType, Decoder, DecodingError, Info, Reader};
use serde_json::{Map, Value};

use crate::decode::{self, MAX_TEXT};
use crate::encode;
use crate::exif::Exif;
use chunks::{Chunks, check_ancillary, wrong_checksum};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1A\n";

/// Bytes that a profile and the texts may take decompressed: 16 MiB each.
const METADATA: u64 = 16 << 20;

/// Bytes that deflate makes of one at most.
const MOST_SHRUNK: u64 = 1032;

/// The keyword of XMP (section 11.3.3.1).
const XMP: &str = "XML:com.adobe.xmp";

/// How the keywords of metadata begin that ImageMagick writes as text.
const RAW_PROFILE: &str = "Raw profile type ";

const INFO: FormatInfo = FormatInfo::new("png", "Portable Network Graphics", &[Kind::Image, Kind::Video])
    .extensions(&["png", "apng"])
    .media_types(&["image/png", "image/apng"])
    .signatures(&[
        Signature { offset: 0, bytes: SIGNATURE, mask: &[] },
        // A signature that a transfer as text has damaged: recognised, so that the error can say so.
        Signature { offset: 1, bytes: b"PNG", mask: &[] },
    ])
    .reads()
    .writes(&[Feature::Alpha, Feature::SixteenBit, Feature::ColorProfile, Feature::Integer])
    .canonical(&[
        Canonical { kind: Kind::Image, integer: Some(true) },
        // Floats are rounded to 16 bits, with a loss; a format made for them goes first.
        Canonical { kind: Kind::Image, integer: None },
    ])
    .options(&[OptionSpec::write(
        "level",
        OptionType::Choice(&["fast", "default", "best"]),
        "fast",
        "how hard to compress: `fast` packs forty times as fast as `default`, into a third more bytes",
    )])
    .spec("https://www.w3.org/TR/png-3/");

struct Png;

register!(Png);

impl Format for Png {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if probe.head.starts_with(SIGNATURE) {
            Confidence::yes(255, "the PNG signature")
        } else if probe.head.get(..24).is_some_and(|head| head.windows(4).any(|four| four == b"IHDR")) {
            Confidence::yes(150, "a damaged PNG signature and an IHDR chunk")
        } else {
            Confidence::No
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut found = [0; 8];
        source.read_exact_at(0, &mut found, "the signature")?;
        if found != *SIGNATURE {
            return Err(Error::malformed(format!("expected the signature {SIGNATURE:02x?}, found {found:02x?}"))
                .at_byte(0)
                .with_hint("a transfer as text changes line ends and high bits; fetch the file again as binary"));
        }
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_cx), move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }

    fn holds(&self, media: &Media) -> bool {
        encode::is_animation(media)
    }
}

type PngReader = Reader<mediary_core::SourceReader>;

/// The decoder at the start of the pixels.
fn start(source: &Source, chunks: &Chunks, ignore_checksums: bool) -> Result<PngReader, DecodingError> {
    // Beside these bytes the decoder holds a few rows.
    let mut decoder = Decoder::new_with_limits(source.reader(), png::Limits { bytes: 2 * METADATA as usize });
    // The decoder does not tell of indices that have no colour: `colors` looks them up.
    let indexed = png::Transformations::IDENTITY;
    decoder.set_transformations(if chunks.indexed { indexed } else { png::Transformations::EXPAND });
    decoder.set_ignore_text_chunk(chunks.text_bytes > METADATA);
    decoder.ignore_checksums(ignore_checksums);
    decoder.read_info()
}

/// What the decoder says, as our error.
fn failed(source: &Source, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == IoErrorKind::UnexpectedEof => {
            Error::malformed("the image data ends early").with_hint("the file is cut short; fetch or copy it again")
        }
        DecodingError::IoError(error) => error.into(),
        DecodingError::LimitsExceeded => Error::limit("alloc_bytes", 2 * METADATA + 1, 2 * METADATA),
        other => {
            let checksum = wrong_checksum(source).ok().flatten();
            checksum.unwrap_or_else(|| Error::malformed(described(&other)))
        }
    }
}

/// What the decoder says, in our words. It keeps its kinds of errors to itself; chunk types and what is wrong with
/// deflate it shows as they are called in its code.
fn described(error: &DecodingError) -> String {
    let text = error.to_string();
    if let Some(problem) = text.strip_prefix("Corrupt deflate stream. ") {
        return match problem {
            "InsufficientInput" => "the zlib stream of the pixels ends early".to_owned(),
            "WrongChecksum" => "the checksum of the zlib stream of the pixels is wrong".to_owned(),
            _ => format!("the zlib stream of the pixels is broken:{}", words(problem)),
        };
    }
    if let Some(filter) = text.strip_prefix("Unknown filter method ") {
        return format!("expected a row filter from 0 to 4, found {}", filter.trim_end_matches('.'));
    }
    if text.ends_with("does not have enough data for image.") {
        return "the pixels end early: IDAT holds fewer rows than the picture has".to_owned();
    }
    let named = text.split_once("ChunkType { type: ").and_then(|(before, rest)| {
        let (kind, rest) = rest.split_once(',')?;
        Some([before, kind, rest.split_once(" }")?.1].concat())
    });
    format!("the decoder gives up: {}", named.unwrap_or(text).trim_end_matches('.'))
}

/// `CamelCase` as words, with a space before each.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn color_space(info: &Info<'_>, has_profile: bool) -> ColorSpace {
    // ITU-T H.273: primaries 1 are those of sRGB; transfer 13 is its curve, 1 and 6 are read as it, 8 is linear.
    const SRGB_PRIMARIES: [(f32, f32); 4] = [(0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)];
    if let Some(code) = &info.coding_independent_code_points {
        return match (code.color_primaries, code.transfer_function) {
            (1, 1 | 6 | 13) => ColorSpace::Srgb,
            (1, 8) => ColorSpace::Linear,
            _ => ColorSpace::Unknown,
        };
    }
    if has_profile {
        return ColorSpace::Icc;
    }
    if info.srgb.is_some() {
        return ColorSpace::Srgb;
    }
    let Some(gamma) = info.gama_chunk else { return ColorSpace::Srgb };
    let known_primaries = info.chrm_chunk.is_none_or(|chrm| {
        let found = [chrm.white, chrm.red, chrm.green, chrm.blue];
        found.iter().zip(SRGB_PRIMARIES).all(|((x, y), (known_x, known_y))| {
            (x.into_value() - known_x).abs() < 0.002 && (y.into_value() - known_y).abs() < 0.002
        })
    });
    match gamma.into_scaled() {
        _ if !known_primaries => ColorSpace::Unknown,
        44_000..=46_500 => ColorSpace::Srgb,
        99_000..=101_000 => ColorSpace::Linear,
        _ => ColorSpace::Unknown,
    }
}

/// Channels and sample depth of the pixels as they will be, and the bits of a sample as stored: 8 for a palette
/// (section 3).
fn layout(reader: &PngReader) -> (u8, BitDepth, u8) {
    let info = reader.info();
    match reader.output_color_type() {
        (ColorType::Indexed, _) => (if info.trns.is_some() { 4 } else { 3 }, BitDepth::Eight, 8),
        (color, depth) => (color.samples() as u8, depth, info.bit_depth as u8),
    }
}

/// The profile, if there is a usable one.
fn profile(reader: &PngReader, chunks: &Chunks, cx: &Context, channels: u8) -> Result<Option<Vec<u8>>> {
    match &reader.info().icc_profile {
        Some(profile) => decode::usable_profile(cx, profile.to_vec(), channels),
        None if chunks.profile_bytes > 0 => {
            let text = format!("the colour profile is left out: it is broken, or larger than {} bytes", 2 * METADATA);
            cx.tolerate("icc", text, Location::element("iCCP"))?;
            Ok(None)
        }
        None => Ok(None),
    }
}

pub(crate) fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    // Findings are reported once, by the full read.
    let quiet = Context::new(INFO.id);
    let mut chunks = Chunks::scan(source, cx)?;
    let pixels = decode::check_size(cx, chunks.width, chunks.height, chunks.pixel_bits, source.len())?;
    if chunks.is_animated() {
        let mut header = Header::single(Facts::Video(chunks.animation.facts(chunks.width, chunks.height)));
        header.memory = Some(pixels * 20);
        return Ok(header);
    }
    let reader = start(source, &chunks, cx.strictness() == Strictness::Lenient)
        .map_err(|error| chunks.damage.take().unwrap_or_else(|| failed(source, error)))?;
    let (channels, depth, bits) = layout(&reader);
    let orientation = chunks.exif(source, cx)?.orientation;
    let (width, height) = decode::oriented(chunks.width, chunks.height, orientation);
    let has_profile = profile(&reader, &chunks, &quiet, channels)?.is_some();
    let mut header = Header::single(Facts::Image(ImageFacts {
        width: Some(width),
        height: Some(height),
        channels: Some(channels),
        bit_depth: Some(bits),
        sample_format: Some("uint"),
        color_space: Some(color_space(reader.info(), has_profile).as_str()),
        has_alpha: Some(matches!(channels, 2 | 4)),
        frames: Some(1),
        orientation_applied: Some(orientation > 1),
    }));
    // Turned and 16-bit pixels exist twice for a moment.
    let twice = if orientation > 1 || depth == BitDepth::Sixteen { 2 } else { 1 };
    let indices = if chunks.indexed { pixels } else { 0 };
    header.memory = Some(pixels * u64::from(channels) * (depth as u64 / 8) * twice + indices);
    Ok(header)
}

pub(crate) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut chunks = Chunks::scan(source, cx)?;
    decode::check_size(cx, chunks.width, chunks.height, chunks.pixel_bits, source.len())?;
    if let Some(damage) = chunks.damage.take() {
        cx.unless_lenient("damaged", damage)?;
    }
    // A picture of more rows than its data can hold is refused before it is allocated.
    if chunks.filtered_bytes() / MOST_SHRUNK > chunks.image_bytes.saturating_add(1024) {
        let announced = format!("{} x {} pixels announced", chunks.width, chunks.height);
        let error = Error::malformed(format!("{announced}, which {} bytes of IDAT cannot hold", chunks.image_bytes));
        cx.unless_lenient("damaged", error.at_byte(16))?;
    }
    if let Some((at, count)) = chunks.trailing {
        cx.tolerate("trailing-bytes", format!("{count} bytes after IEND, they are left out"), Location::byte(at))?;
    }

    check_ancillary(source, cx)?;
    if let Some(announced) = chunks.announced_frames
        && announced != chunks.animation.frames
    {
        let text = format!("acTL announces {announced} frames, found {}", chunks.animation.frames);
        cx.tolerate("frames", text, Location::element("acTL"))?;
    }
    if chunks.is_animated() {
        return read_animation(source, &chunks, cx);
    }

    // Taken for the profile while it is decompressed, and for the texts.
    let metadata = chunks.profile_bytes.saturating_mul(MOST_SHRUNK).saturating_add(chunks.text_bytes).min(2 * METADATA);
    cx.budget().take(metadata)?;
    let (mut reader, pixels) = match pixels(source, &chunks, cx, false) {
        Ok((reader, pixels, Stopped::Sound)) => (reader, pixels),
        Ok((reader, pixels, Stopped::AtLastRow)) => {
            if let Some(problem) = stream::wrong_end(source, &chunks, cx)? {
                cx.tolerate("image-data", problem, Location::element("IDAT"))?;
            }
            (reader, pixels)
        }
        Ok((_, pixels, Stopped::Broken(error))) => {
            cx.budget().give_back(pixels.len() as u64);
            cx.unless_lenient("damaged", failed(source, error))?;
            let (reader, pixels, _) = self::pixels(source, &chunks, cx, true)?;
            (reader, pixels)
        }
        Err(error) => {
            cx.unless_lenient("damaged", error)?;
            let (reader, pixels, _) = self::pixels(source, &chunks, cx, true)?;
            (reader, pixels)
        }
    };
    // Texts may stand behind the pixels. What is broken there has been told by the scan.
    let rest = reader.finish();
    if let Err(error) = rest {
        cx.unless_lenient("damaged", failed(source, error))?;
    }
    cx.budget().give_back(metadata);

    let (channels, depth, bits) = layout(&reader);
    let samples = match depth {
        BitDepth::Sixteen => Samples::U16(decode::samples_16(cx, pixels)?.into()),
        _ if chunks.indexed && channels == 4 => Samples::U8(colors::<4>(reader.info(), &chunks, pixels, cx)?.into()),
        _ if chunks.indexed => Samples::U8(colors::<3>(reader.info(), &chunks, pixels, cx)?.into()),
        _ => Samples::U8(pixels.into()),
    };
    let exif = chunks.exif(source, cx)?;
    exif.report(cx)?;
    let mut image = decode::upright(cx, chunks.width, chunks.height, channels, samples, exif.orientation)?;
    image.source_bits = bits;
    image.icc = profile(&reader, &chunks, cx, channels)?;
    if let Some(profile) = &image.icc {
        cx.budget().take(profile.len() as u64)?;
    }
    image.color_space = color_space(reader.info(), image.icc.is_some());
    if image.color_space == ColorSpace::Unknown {
        cx.note(
            "color-space",
            "the colours are those of cICP, gAMA or cHRM, which are not sRGB; the samples are unchanged",
        );
    }
    let upright = !image.orientation_applied;
    let mut record = MediaRecord::new(image);
    properties(reader.info(), &chunks, exif, cx, &mut record.properties);
    record.source_is_canonical = upright && animation::is_clean(cx);
    Ok(record)
}

fn read_animation(source: &Source, chunks: &Chunks, cx: &Context) -> Result<MediaRecord> {
    decode::check_expansion(cx, chunks.animation.pixels.saturating_mul(4), source.len())?;
    let exif = chunks.exif(source, cx)?;
    exif.report(cx)?;
    if exif.orientation > 1 {
        cx.note("orientation", format!("the orientation {} is not applied to an animation", exif.orientation));
    }
    let mut record = MediaRecord::new(animation::video(source, chunks, cx)?);
    record.source_is_canonical = animation::is_clean(cx);
    record.properties.insert("loop_count".into(), chunks.animation.plays.into());
    if !exif.tags.is_empty() {
        record.properties.insert("exif".into(), exif.tags.into());
    }
    Ok(record)
}

/// Where decoding pixels stopped.
enum Stopped {
    /// At the sound end of their stream.
    Sound,
    /// At the last row; the end of the stream was not looked at.
    AtLastRow,
    Broken(DecodingError),
}

/// Decodes the pixels, as far as they go.
fn pixels(
    source: &Source,
    chunks: &Chunks,
    cx: &Context,
    ignore_checksums: bool,
) -> Result<(PngReader, Vec<u8>, Stopped)> {
    let mut reader = start(source, chunks, ignore_checksums).map_err(|error| failed(source, error))?;
    // A transparent colour widens the pixels.
    let as_stored = chunks.indexed || reader.info().trns.is_none();
    if as_stored
        && !ignore_checksums
        && let Some(pixels) = stream::sound(source, chunks, cx)?
    {
        return Ok((reader, pixels, Stopped::Sound));
    }
    let too_large = || Error::limit("alloc_bytes", u64::MAX, cx.budget().allowed());
    let size = reader.output_buffer_size().ok_or_else(too_large)?;
    let mut pixels = decode::buffer::<u8>(cx, size as u64)?;
    cx.checkpoint()?;
    let stopped = reader.next_frame(&mut pixels).err().map_or(Stopped::AtLastRow, Stopped::Broken);
    cx.checkpoint()?;
    Ok((reader, pixels, stopped))
}

/// The colours, of N channels, that packed `indices` have in the palette; those that have none are black.
fn colors<const N: usize>(info: &Info<'_>, chunks: &Chunks, indices: Vec<u8>, cx: &Context) -> Result<Vec<u8>> {
    let mut table = [[0, 0, 0, 255]; 256];
    let palette = info.palette.as_deref().unwrap_or_default().as_chunks::<3>().0;
    for (color, known) in table.iter_mut().zip(palette) {
        color[..3].copy_from_slice(known);
    }
    for (color, &alpha) in table.iter_mut().zip(info.trns.as_deref().unwrap_or_default()) {
        color[3] = alpha;
    }
    let (width, bits) = (chunks.width as usize, chunks.pixel_bits as usize);
    let mut pixels = decode::buffer::<u8>(cx, u64::from(chunks.width) * u64::from(chunks.height) * N as u64)?;
    let (mut outside, mut largest) = (0_u64, 0);
    let rows = pixels.chunks_exact_mut(width * N).zip(indices.chunks_exact(chunks.row(chunks.width) as usize));
    for (row, packed) in rows {
        for (x, pixel) in row.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            // The leftmost pixel is in the upper bits (section 7.2).
            let bit = x * bits;
            let index = usize::from((packed[bit / 8] << (bit % 8)) >> (8 - bits));
            pixel.copy_from_slice(&table[index][..N]);
            outside += u64::from(index >= palette.len());
            largest = largest.max(index);
        }
    }
    cx.budget().give_back(indices.len() as u64);
    if outside > 0 {
        let text = format!(
            "expected indices of a palette of {} colours, found {outside} beyond it, up to {largest}; they are black",
            palette.len()
        );
        cx.tolerate("palette", text, Location::element("IDAT"))?;
    }
    Ok(pixels)
}

/// Texts, density and EXIF tags.
fn properties(info: &Info<'_>, chunks: &Chunks, mut exif: Exif, cx: &Context, properties: &mut Map<String, Value>) {
    let mut texts = Map::new();
    let mut put = |keyword: &str, text: Result<String, DecodingError>| match text {
        Ok(text) if text.len() <= MAX_TEXT => {
            let known = texts.entry(keyword).or_insert(Value::Null);
            *known = match known.take() {
                Value::Null => text.into(),
                Value::Array(mut all) => {
                    all.push(text.into());
                    all.into()
                }
                first => vec![first, text.into()].into(),
            };
        }
        Ok(text) => {
            cx.warn(
                "text",
                format!("the text {keyword:?} of {} bytes is left out, the most is {MAX_TEXT}", text.len()),
            );
        }
        Err(error) => cx.warn("text", format!("the text {keyword:?} is left out: {error}")),
    };
    for chunk in &info.uncompressed_latin1_text {
        put(&chunk.keyword, Ok(chunk.text.clone()));
    }
    for chunk in &info.compressed_latin1_text {
        let mut chunk = chunk.clone();
        put(&chunk.keyword.clone(), chunk.decompress_text_with_limit(MAX_TEXT).and_then(|()| chunk.get_text()));
    }
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        put(&chunk.keyword.clone(), chunk.decompress_text_with_limit(MAX_TEXT).and_then(|()| chunk.get_text()));
    }
    if chunks.text_bytes > METADATA {
        cx.warn("text", format!("{} bytes of text are left out, the most is {METADATA}", chunks.text_bytes));
    }
    // What ImageMagick keeps of other files' metadata: hexadecimal, and with the position that nobody asked for.
    let raw = texts.keys().filter(|keyword| keyword.starts_with(RAW_PROFILE)).cloned().collect::<Vec<_>>();
    for keyword in raw {
        let text = texts.remove(&keyword);
        if let (Some(Value::String(text)), "exif" | "APP1", true) =
            (text, &keyword[RAW_PROFILE.len()..], exif.tags.is_empty())
        {
            let block = unhex(&text);
            let found = Exif::parse(block.strip_prefix(b"Exif\0\0").unwrap_or(&block), false);
            // APP1 may as well be XMP.
            if found.problem.is_none() {
                exif.tags = found.tags;
            }
        }
    }
    if let Some(Value::String(text)) = texts.remove(XMP) {
        properties.insert("xmp".into(), text.into());
    }
    if !texts.is_empty() {
        properties.insert("text".into(), texts.into());
    }
    if let Some(density) = info.pixel_dims {
        let name = match density.unit {
            png::Unit::Meter => "pixels_per_meter",
            png::Unit::Unspecified => "pixel_aspect",
        };
        properties.insert(name.into(), vec![density.xppu, density.yppu].into());
    }
    if !exif.tags.is_empty() {
        properties.insert("exif".into(), exif.tags.into());
    }
}

/// The bytes of a raw profile: a line with its name, a line with its length, hexadecimal digits in lines.
fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim_start().splitn(3, '\n').nth(2).unwrap_or_default();
    let digits: Vec<u8> = digits.chars().filter_map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

#[cfg(test)]
mod tests {
    use mediary_core::record::Image;
    use png::Encoder;

    use super::chunks::crc32;
    use super::*;
    use crate::testing;

    /// Facts and pixels that Pillow 13.0.0 states: name, channels, bits, colour space, frames, SHA-256 of the RGBA
    /// pixels.
    const PILLOW: &[(&str, u8, u8, &str, &str)] = &[
        ("basi6a08.png", 4, 8, "linear", "2eb6a2cb3166e9c188add371157e9f81caa18fdf34d218844ed930b53b7431d2"),
        ("basn0g01.png", 1, 1, "linear", "661985e83f94a569510ded43e65edb11f4ced1121c611209f7abe9a9c40c71a8"),
        ("basn2c16.png", 3, 16, "linear", "7c4b73e829f02793549b4480e25f0c0b332abcb24ac059dbad855fd1d726c17a"),
        ("basn3p04.png", 3, 8, "linear", "a7abc212cf1a44c85df377773f3722dc118f0c4159df89fdac2dfe6911abe378"),
        ("basn6a16.png", 4, 16, "linear", "f6912d034804dc6b009afea0108cd07b524f79ac84d670f92ce077eec63bead7"),
        ("paris_icc_exif_xmp.png", 3, 8, "icc", "c6fc13486823361383f210d842979f06464a38c6ed4b811c915b470bc5d869ad"),
        ("tbrn2c08.png", 4, 8, "linear", "053eb9d28b7ac85c3639b5169a175df61856cef7ffdaa7ad218cafdde9646d08"),
    ];

    /// With its profile, as Pillow reads it.
    fn read(name: &str) -> MediaRecord {
        let options = testing::reading(&[("image.icc", "keep")]);
        testing::read_with(name, testing::data(&format!("png/{name}")), &options).unwrap()
    }

    #[test]
    fn pixels_are_those_of_pillow() {
        for &(name, channels, bits, space, sha256) in PILLOW {
            let record = read(name);
            let image = testing::image(&record);
            let facts = image.facts();
            assert_eq!(facts.channels, Some(channels), "{name}");
            assert_eq!((facts.bit_depth, facts.frames), (Some(bits), Some(1)), "{name}");
            assert_eq!(facts.color_space, Some(space), "{name}");
            assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
            assert!(record.source_is_canonical, "{name}");
        }
        // And an animation.
        assert_eq!(PILLOW.len() + 1, testing::names("png").len());
    }

    #[test]
    fn profile_and_tags_are_kept() {
        let record = read("paris_icc_exif_xmp.png");
        assert_eq!(testing::image(&record).icc.as_ref().map(Vec::len), Some(596));
        assert_eq!(record.properties["exif"]["model"], "Pixel 4a");
        assert_eq!(testing::codes(&record), Vec::<String>::new());
    }

    #[test]
    fn an_animation_is_that_of_pillow() {
        let mut record = read("apng_ball.png");
        assert_eq!((testing::codes(&record), &record.properties["loop_count"]), (Vec::new(), &0.into()));
        let mediary_core::Media::Video(video) = &mut record.media else { panic!("expected a video") };
        let (mut all, mut count) = (Vec::new(), 0);
        while let Some(frame) = video.frames.as_mut().unwrap().next_chunk().unwrap() {
            assert_eq!(frame.duration_seconds, 0.075);
            all.extend(testing::rgba8(&frame.image));
            count += 1;
        }
        assert_eq!(count, 20);
        assert_eq!(testing::sha256(&all), "552fbdfcaf8744c6d0821ff755ef77ee4dc67e775f90abd975a3452cec667dd8");
    }

    #[test]
    fn malformed_files_are_refused_where_they_break() {
        for (name, byte, text) in [
            ("xc9n2c08.png", Some(25), "found 9"),
            ("xcrn0g04.png", Some(0), "signature"),
            ("xcsn0g01.png", Some(148), "checksum of IDAT"),
            ("xdtn0g01.png", Some(61), "IDAT"),
            ("xhdn0g08.png", Some(29), "checksum of IHDR"),
            ("xs1n0g01.png", Some(0), "signature"),
            ("truncated-basn6a16.png", Some(57), "ends early"),
            ("bomb.png", None, "pixels: 2147395600"),
        ] {
            let error = testing::read(name, testing::data(&format!("png/malformed/{name}"))).unwrap_err();
            assert!(error.message().contains(text), "{name}: {error}");
            assert_eq!(error.location().and_then(|location| location.byte), byte, "{name}: {error}");
        }
        assert_eq!(testing::names("png/malformed").len(), 8);
    }

    #[test]
    fn lenient_reads_what_is_there() {
        let lenient = testing::strictly(Strictness::Lenient);
        let record = testing::read_with("a.png", testing::data("png/malformed/xcsn0g01.png"), &lenient).unwrap();
        assert_eq!(testing::codes(&record), ["png.damaged"]);
        // The pixels of basn0g01, of which this is a copy with a wrong checksum.
        assert_eq!(testing::sha256(&testing::rgba8(testing::image(&record))), PILLOW[1].4);
        assert!(!record.source_is_canonical);

        let cut = testing::data("png/malformed/truncated-basn6a16.png");
        let record = testing::read_with("a.png", cut, &lenient).unwrap();
        assert_eq!(testing::codes(&record), ["png.damaged"]);
        let whole = read("basn6a16.png");
        let half = 32 * 16 * 4;
        let (Samples::U16(part), Samples::U16(all)) =
            (testing::image(&record).samples(), testing::image(&whole).samples())
        else {
            panic!("expected 16 bits")
        };
        assert_eq!(part[..half], all[..half]);
    }

    #[test]
    fn bytes_after_the_end_are_told() {
        let mut bytes = testing::data("png/basn0g01.png");
        bytes.extend(b"tail");
        let record = testing::read("a.png", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["png.trailing-bytes"]);
        assert!(!record.source_is_canonical);
        assert!(testing::read_with("a.png", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    /// A chunk with a right checksum.
    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], kind, data, &crc32(&[kind, data]).to_be_bytes()].concat()
    }

    /// A file with `extra` before its first IDAT.
    fn with(name: &str, extra: &[u8]) -> Vec<u8> {
        let mut bytes = testing::data(&format!("png/{name}"));
        let at = bytes.windows(4).position(|four| four == b"IDAT").unwrap() - 4;
        bytes.splice(at..at, extra.iter().copied());
        bytes
    }

    /// A picture of one row of `width` pixels: colour type, chunks before the pixels, the pixels compressed.
    fn row(width: u8, color: u8, before: &[u8], zlib: &[u8]) -> Vec<u8> {
        let header = chunk(b"IHDR", &[0, 0, 0, width, 0, 0, 0, 1, 8, color, 0, 0, 0]);
        [SIGNATURE, &header[..], before, &chunk(b"IDAT", zlib), &chunk(b"IEND", &[])].concat()
    }

    /// A zlib stream that stores `data` as they are.
    fn stored(data: &[u8]) -> Vec<u8> {
        let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
            let a = (a + u32::from(byte)) % 65521;
            (a, (b + a) % 65521)
        });
        let length = data.len() as u16;
        let head = [&[0x78, 1, 1], &length.to_le_bytes()[..], &(!length).to_le_bytes()].concat();
        [&head[..], data, &(b << 16 | a).to_be_bytes()].concat()
    }

    /// That a file is read with one finding, and refused when strict.
    fn is_told(bytes: Vec<u8>, code: &str) -> MediaRecord {
        let record = testing::read("a.png", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), [code]);
        assert!(!record.source_is_canonical);
        assert!(testing::read_with("a.png", bytes, &testing::strictly(Strictness::Strict)).is_err(), "{code}");
        record
    }

    #[test]
    fn indices_beyond_the_palette_are_told() {
        let palette = chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]);
        let pixels = stored(&[0, 1, 0, 2]);
        let record = is_told(row(3, 3, &palette, &pixels), "png.palette");
        assert_eq!(testing::image(&record).samples(), &Samples::U8(vec![40, 50, 60, 10, 20, 30, 0, 0, 0].into()));
        let transparent = [palette, chunk(b"tRNS", &[7])].concat();
        let record = testing::read("a.png", row(2, 3, &transparent, &stored(&[0, 1, 0]))).unwrap();
        assert_eq!(testing::image(&record).samples(), &Samples::U8(vec![40, 50, 60, 255, 10, 20, 30, 7].into()));
    }

    #[test]
    fn image_data_that_end_elsewhere_are_told() {
        let whole = stored(&[0, 1, 2]);
        assert_eq!(testing::codes(&testing::read("a.png", row(2, 0, &[], &whole)).unwrap()), Vec::<String>::new());
        is_told(row(2, 0, &[], &stored(&[0, 1, 2, 3])), "png.image-data");
        is_told(row(2, 0, &[], &stored(&[0; 30_000])), "png.image-data");
        is_told(row(2, 0, &[], &whole[..whole.len() - 4]), "png.image-data");
        is_told(row(2, 0, &[], &[&whole[..], b"more"].concat()), "png.image-data");
    }

    #[test]
    fn errors_name_what_is_expected_and_chunks_as_they_are() {
        let palette = chunk(b"PLTE", &[1, 2, 3]);
        let pixels = stored(&[0, 0]);
        let mut wrong = pixels.clone();
        wrong[8] ^= 1;
        for (before, color, pixels, text) in [
            (vec![], 3, &pixels[..], "expected a PLTE chunk before the pixels, found none"),
            ([&palette[..], &palette].concat(), 3, &pixels, "expected one PLTE chunk, found a second"),
            (chunk(b"PLTE", &[1]), 3, &pixels, "expected a PLTE chunk of 1 to 256 colours of 3 bytes, found 1 bytes"),
            (chunk(b"IHDR", &[]), 0, &pixels, "expected one IHDR chunk, found a second"),
            (chunk(b"ABCD", &[]), 0, &pixels, "expected IHDR, PLTE, IDAT or IEND as critical chunk, found ABCD"),
            (
                [chunk(b"IDAT", &[]), chunk(b"tIME", &[])].concat(),
                0,
                &pixels,
                "expected the IDAT chunks one after another, found tIME between them",
            ),
            (vec![], 0, &stored(&[9, 0]), "expected a row filter from 0 to 4, found 9"),
            (vec![], 0, &stored(&[0]), "the pixels end early: IDAT holds fewer rows than the picture has"),
            (vec![], 0, &pixels[..7], "the zlib stream of the pixels ends early"),
            (vec![], 0, &wrong, "the checksum of the zlib stream of the pixels is wrong"),
            (vec![], 0, &[0; 9], "the zlib stream of the pixels is broken: bad zlib header"),
            (chunk(b"fcTL", &[1]), 0, &pixels, "the decoder gives up: Chunk length wrong: fcTL"),
        ] {
            let error = testing::read("a.png", row(1, color, &before, pixels)).unwrap_err();
            assert_eq!(error.message(), text);
        }
    }

    #[test]
    fn the_orientation_of_exif_is_applied() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let bytes = with("paris_icc_exif_xmp.png", &chunk(b"eXIf", exif));
        let record = testing::read("a.png", bytes).unwrap();
        let (turned, stored) = (testing::image(&record), read("paris_icc_exif_xmp.png"));
        assert_eq!((turned.width(), turned.height(), turned.orientation_applied), (302, 403, true));
        // The first pixel is the one that stood at the bottom left.
        let first = testing::rgba8(turned)[..4].to_vec();
        let stored = testing::rgba8(testing::image(&stored));
        assert_eq!(first, stored[301 * 403 * 4..301 * 403 * 4 + 4]);
        assert!(!record.source_is_canonical);
    }

    #[test]
    fn a_wrong_checksum_of_an_ancillary_chunk_is_told() {
        let mut gamma = chunk(b"gAMA", &100_000_u32.to_be_bytes());
        gamma[11] ^= 1;
        let bytes = with("paris_icc_exif_xmp.png", &gamma);
        assert_eq!(testing::codes(&testing::read("a.png", bytes.clone()).unwrap()), ["png.checksum"]);
        assert!(testing::read_with("a.png", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    /// The default image of `apng_ball.png`, which has no chunks of colour, with these chunks.
    fn still(extra: &[u8]) -> Vec<u8> {
        let bytes = with("apng_ball.png", extra);
        let (mut still, mut at) = (bytes[..8].to_vec(), 8);
        while at < bytes.len() {
            let end = at + 12 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            if ![&b"acTL"[..], b"fcTL", b"fdAT"].contains(&&bytes[at + 4..at + 8]) {
                still.extend_from_slice(&bytes[at..end]);
            }
            at = end;
        }
        still
    }

    #[test]
    fn color_chunks_decide_in_their_order() {
        let space = |extra: &[u8]| {
            let record = testing::read("a.png", still(extra)).unwrap();
            testing::image(&record).color_space
        };
        let gamma = |value: u32| chunk(b"gAMA", &value.to_be_bytes());
        assert_eq!(space(&[]), ColorSpace::Srgb);
        assert_eq!(space(&gamma(45_455)), ColorSpace::Srgb);
        assert_eq!(space(&gamma(100_000)), ColorSpace::Linear);
        assert_eq!(space(&gamma(55_556)), ColorSpace::Unknown);
        assert_eq!(space(&[gamma(100_000), chunk(b"sRGB", &[0])].concat()), ColorSpace::Srgb);
        assert_eq!(space(&chunk(b"cICP", &[9, 16, 0, 1])), ColorSpace::Unknown);
        assert_eq!(space(&[chunk(b"cICP", &[1, 8, 0, 1]), chunk(b"sRGB", &[0])].concat()), ColorSpace::Linear);
    }

    #[test]
    fn a_bomb_in_a_profile_is_left_out() {
        let mut deflate = vec![0; 64 << 20];
        let mut profile = Vec::new();
        {
            // The PNG encoder is at hand to make a zlib stream of zeros: the IDAT of a black image.
            let mut info = Info::with_size(8192, 8192);
            info.color_type = ColorType::Grayscale;
            info.bit_depth = BitDepth::Eight;
            let mut bytes = Vec::new();
            let mut writer = Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
            writer.write_image_data(&deflate[..8192 * 8192]).unwrap();
            writer.finish().unwrap();
            let mut at = 8;
            while at < bytes.len() {
                let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
                if &bytes[at + 4..at + 8] == b"IDAT" {
                    profile.extend_from_slice(&bytes[at + 8..at + 8 + length]);
                }
                at += 12 + length;
            }
        }
        deflate.clear();
        let bomb = chunk(b"iCCP", &[b"bomb\0\0", &profile[..]].concat());
        let record = testing::read("a.png", still(&bomb)).unwrap();
        assert!(testing::codes(&record).contains(&"png.icc".to_owned()), "{:?}", testing::codes(&record));
        assert_eq!(testing::image(&record).icc, None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for &(name, ..) in PILLOW {
            for level in ["fast", "default", "best"] {
                let mut record = read(name);
                let bytes = testing::write(&mut record, "png", &[("png.level", level)]);
                assert_eq!(
                    bytes,
                    testing::write(&mut record, "png", &[("png.level", level)]),
                    "{name} is deterministic"
                );
                let keep = testing::reading(&[("image.icc", "keep")]);
                let again = testing::read_with("a.png", bytes, &keep).unwrap();
                let (before, after) = (testing::image(&record), testing::image(&again));
                assert_eq!(before.samples(), after.samples(), "{name}");
                assert_eq!(before.icc, after.icc, "{name}");
                assert_eq!(before.color_space, after.color_space, "{name}");
                assert!(again.source_is_canonical, "{name}");
            }
        }
        let mut record = read("paris_icc_exif_xmp.png");
        record.properties.insert("text".into(), serde_json::json!({"Title": "a \u{e9}", "Author": "b"}));
        let bytes = testing::write(&mut record, "png", &[]);
        assert_eq!(testing::read("a.png", bytes).unwrap().properties["text"], record.properties["text"]);
        assert_eq!(record.loss.len(), 1, "{:?}", record.loss);
        assert_eq!((record.loss[0].code.as_ref(), record.loss[0].count), ("png.properties", 1));
    }

    #[test]
    fn floats_are_rounded_with_a_loss() {
        let samples = Samples::F32(vec![0.0, 0.5, 1.0, 2.0, f32::NAN, -1.0].into());
        let mut record = MediaRecord::new(Image::new(3, 2, 1, samples).unwrap());
        let again = testing::read("a.png", testing::write(&mut record, "png", &[])).unwrap();
        assert_eq!(testing::image(&again).samples(), &Samples::U16(vec![0, 32768, 65535, 65535, 0, 0].into()));
        let losses: Vec<_> = record.loss.iter().map(|loss| (loss.code.as_ref(), loss.count)).collect();
        assert_eq!(losses, [("png.float", 6), ("png.range", 3)]);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("png");
    }
}
