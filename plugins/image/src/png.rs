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
//! Read: every colour type, depth and interlacing. Palettes become RGB, `tRNS` an alpha channel, 1, 2 and 4 bits become 8,
//! 16 bits stay. The colour space is that of `cICP`, `iCCP`, `sRGB` or `gAMA` with `cHRM`, in this order; without any it is
//! sRGB. The orientation of `eXIf` is applied. Texts, density and EXIF tags become properties. Of an animation (APNG) the
//! default image is read, `frames` counts them all and `png.animation` tells. Of raw profiles that ImageMagick writes as texts
//! only the EXIF tags are kept; the orientation in them is not applied, as browsers do not either.
//!
//! Written: 8 and 16 bits, 1 to 4 channels, colour profile, texts. Lost: float samples (rounded to 16 bits, `png.float`,
//! `png.range`), other properties (`png.properties`), boxes and masks (`png.annotations`).
//!
//! Strictness: bytes after the end and broken ancillary chunks (profile, texts, EXIF) are diagnostics by default and, where
//! the pixels depend on them, errors when strict. A wrong checksum, missing data or a missing end is an error; lenient reads
//! the rows before the damage (`png.damaged`), the rest is black.

use std::io::{Error as IoError, ErrorKind as IoErrorKind};

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{
    Canonical, Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location,
    Media, MediaRecord, OptionSpec, OptionType, Output, Probe, Result, Severity, Signature, Source, Strictness,
    convert, register, single,
};
use png::{BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, EncodingError, Info, Reader};
use serde_json::{Map, Value};

use crate::decode;
use crate::exif::Exif;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1A\n";

/// Bytes that a profile and the texts may take decompressed: 16 MiB each.
const METADATA: u64 = 16 << 20;

/// Bytes of one text that become a property: 1 MiB.
const MAX_TEXT: usize = 1 << 20;

/// How the keywords of metadata begin that ImageMagick writes as text.
const RAW_PROFILE: &str = "Raw profile type ";

const INFO: FormatInfo = FormatInfo::new("png", "Portable Network Graphics", &[Kind::Image])
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
        "how hard to compress: `fast` takes a twentieth of the time of `default` and some 15 % more bytes",
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
        let Media::Image(image) = &record.media else {
            return Err(Error::unsupported(format!("expected an image, found {}", record.kind())));
        };
        let annotations = serde_json::to_value(&record.annotations).unwrap_or_default();
        cx.lose("annotations", u64::from(!is_blank(&annotations)), "boxes and masks");
        write(image, &record.properties, out, cx)
    }
}

/// Whether a value holds nothing but empty objects and lists.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(is_blank),
        Value::Object(values) => values.values().all(is_blank),
        _ => false,
    }
}

/// The chunks of a file, found by their headers alone.
struct Chunks {
    width: u32,
    height: u32,
    /// Bits of a pixel as stored.
    pixel_bits: u64,
    /// Bytes of all IDAT chunks.
    image_bytes: u64,
    /// Bytes of all texts.
    text_bytes: u64,
    has_profile: bool,
    /// Frames that `acTL` announces, and `fcTL` chunks found.
    announced_frames: Option<u64>,
    frames: u64,
    /// Where the data of `eXIf` is.
    exif: Option<(u64, u64)>,
    /// What is wrong with the sequence of chunks, if it is.
    damage: Option<Error>,
    /// Bytes after IEND: their offset and number.
    trailing: Option<(u64, u64)>,
}

impl Chunks {
    /// Walks over the chunks. Damage after the header is kept: the caller decides.
    fn scan(source: &Source, cx: &Context) -> Result<Self> {
        let mut chunks = Self::header(source)?;
        let mut at = 8 + 25;
        let mut number = 0_u32;
        chunks.damage = loop {
            number += 1;
            if number.is_multiple_of(4096) {
                cx.checkpoint()?;
            }
            let mut head = [0; 8];
            match source.read_at(at, &mut head)? {
                8 => {}
                found => {
                    let missing = if found == 0 { "IEND is missing".to_owned() } else { format!("{found} bytes left") };
                    let error =
                        Error::malformed(format!("expected another chunk, found the end of the file: {missing}"))
                            .with_hint("the file is cut short; fetch or copy it again");
                    break Some(error.at_byte(at));
                }
            }
            let [a, b, c, d, kind @ ..] = head;
            let length = u64::from(u32::from_be_bytes([a, b, c, d]));
            if !kind.iter().all(u8::is_ascii_alphabetic) {
                let error = Error::malformed(format!("expected a chunk type of four letters, found {:?}", show(kind)));
                break Some(error.at_byte(at + 4));
            }
            let left = source.len() - at - 8;
            if length + 4 > left {
                break Some(Error::truncated(&format!("chunk {}", show(kind)), length + 4, left).at_byte(at + 8));
            }
            let data = (at + 8, length);
            at += length + 12;
            match &kind {
                b"IDAT" => chunks.image_bytes += length,
                b"tEXt" | b"zTXt" | b"iTXt" => chunks.text_bytes += length,
                b"iCCP" => chunks.has_profile = true,
                b"eXIf" => chunks.exif = Some(data),
                b"fcTL" => chunks.frames += 1,
                b"acTL" if length == 8 => {
                    let mut count = [0; 4];
                    source.read_exact_at(data.0, &mut count, "acTL")?;
                    chunks.announced_frames = Some(u32::from_be_bytes(count).into());
                }
                b"IEND" => {
                    chunks.trailing = (at < source.len()).then(|| (at, source.len() - at));
                    break None;
                }
                _ => {}
            }
        };
        if chunks.image_bytes == 0 && chunks.damage.is_none() {
            chunks.damage =
                Some(Error::malformed("expected an IDAT chunk, found none: there are no pixels").at_byte(at));
        }
        Ok(chunks)
    }

    /// Reads IHDR, which is first.
    fn header(source: &Source) -> Result<Self> {
        let mut chunk = [0; 25];
        source.read_exact_at(8, &mut chunk, "the IHDR chunk")?;
        if chunk[..8] != *b"\0\0\0\x0DIHDR" {
            let kind = [chunk[4], chunk[5], chunk[6], chunk[7]];
            return Err(Error::malformed(format!("expected 13 bytes of IHDR first, found {:?}", show(kind))).at_byte(8));
        }
        let number = |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
        let (stored, computed) = (number(21), crc32(&[&chunk[4..21]]));
        if stored != computed {
            return Err(
                Error::malformed(format!("checksum of IHDR: expected {computed:08x}, found {stored:08x}")).at_byte(29)
            );
        }
        let (width, height) = (number(8), number(12));
        let (depth, color, compression, filter, interlace) = (chunk[16], chunk[17], chunk[18], chunk[19], chunk[20]);
        let channels = match (color, depth) {
            (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) => 1,
            (2, 8 | 16) => 3,
            (4, 8 | 16) => 2,
            (6, 8 | 16) => 4,
            (0 | 2 | 3 | 4 | 6, _) => {
                return Err(Error::malformed(format!("colour type {color} has no depth of {depth} bits")).at_byte(24));
            }
            _ => {
                return Err(
                    Error::malformed(format!("expected the colour type 0, 2, 3, 4 or 6, found {color}")).at_byte(25)
                );
            }
        };
        for (at, name, value, most) in
            [(26, "compression", compression, 0), (27, "filter", filter, 0), (28, "interlace", interlace, 1)]
        {
            if value > most {
                return Err(
                    Error::malformed(format!("expected the {name} method 0 to {most}, found {value}")).at_byte(at)
                );
            }
        }
        Ok(Self {
            width,
            height,
            pixel_bits: channels * u64::from(depth),
            image_bytes: 0,
            text_bytes: 0,
            has_profile: false,
            announced_frames: None,
            frames: 0,
            exif: None,
            damage: None,
            trailing: None,
        })
    }

    /// Frames as the facts count them: the default image, or all of an animation. Where the count is wrong, what is there.
    fn frames(&self) -> u64 {
        match self.announced_frames {
            Some(_) => self.frames.max(1),
            None => 1,
        }
    }

    /// The EXIF block.
    fn exif(&self, source: &Source, cx: &Context) -> Result<Exif> {
        let Some((at, length)) = self.exif.filter(|(_, length)| *length <= METADATA) else {
            return Ok(Exif { orientation: 1, ..Exif::default() });
        };
        let mut block = decode::buffer::<u8>(cx, length)?;
        source.read_exact_at(at, &mut block, "eXIf")?;
        cx.budget().give_back(length);
        // Some writers keep the prefix that JPEG wants.
        Ok(Exif::parse(block.strip_prefix(b"Exif\0\0").unwrap_or(&block), false))
    }
}

/// CRC-32 as in ISO 3309 (section 5.5), of `parts` together.
fn crc32(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(!0, |crc: u32, &byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize])
}

/// A chunk type as text.
fn show(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

type PngReader = Reader<mediary_core::SourceReader>;

/// The decoder at the start of the pixels.
fn start(source: &Source, chunks: &Chunks, ignore_checksums: bool) -> Result<PngReader, DecodingError> {
    // Beside these bytes the decoder holds a few rows.
    let mut decoder = Decoder::new_with_limits(source.reader(), png::Limits { bytes: 2 * METADATA as usize });
    decoder.set_transformations(png::Transformations::EXPAND);
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
            checksum.unwrap_or_else(|| Error::malformed(other.to_string().to_lowercase()))
        }
    }
}

/// The first critical chunk whose checksum is wrong. Slow, and only asked once decoding has failed.
fn wrong_checksum(source: &Source) -> Result<Option<Error>> {
    let mut at = 8;
    loop {
        let mut head = [0; 8];
        if source.read_at(at, &mut head)? < 8 {
            return Ok(None);
        }
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if length + 12 > source.len() - at || length > METADATA {
            return Ok(None);
        }
        let critical = kind[0].is_ascii_uppercase();
        if critical {
            let mut data = vec![0; length as usize + 4];
            source.read_exact_at(at + 8, &mut data, "chunk")?;
            let (data, stored) = data.split_at(length as usize);
            let computed = crc32(&[&kind, data]);
            if stored != computed.to_be_bytes() {
                let found = u32::from_be_bytes(stored.try_into().unwrap_or_default());
                return Ok(Some(
                    Error::malformed(format!("checksum of {}: expected {computed:08x}, found {found:08x}", show(kind)))
                        .at_byte(at + 8 + length),
                ));
            }
        }
        at += length + 12;
    }
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

/// Channels and sample depth of the pixels as they will be, and the bits of a sample as stored: 8 for a palette (section 3).
fn layout(reader: &PngReader) -> (u8, BitDepth, u8) {
    let info = reader.info();
    let bits = if info.color_type == ColorType::Indexed { 8 } else { info.bit_depth as u8 };
    let (color, depth) = reader.output_color_type();
    (color.samples() as u8, depth, bits)
}

/// The profile, if there is a usable one.
fn profile(reader: &PngReader, chunks: &Chunks, cx: &Context, channels: u8) -> Option<Vec<u8>> {
    match &reader.info().icc_profile {
        Some(profile) => decode::usable_profile(cx, profile.to_vec(), channels),
        None => {
            if chunks.has_profile {
                cx.warn(
                    "icc",
                    format!("the colour profile is left out: it is broken, or larger than {METADATA} bytes"),
                );
            }
            None
        }
    }
}

fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    // Findings are reported once, by the full read.
    let quiet = Context::new(INFO.id);
    let chunks = Chunks::scan(source, cx)?;
    let bytes = decode::check_size(cx, chunks.width, chunks.height, 4, source.len())? * chunks.pixel_bits.div_ceil(8);
    let reader =
        start(source, &chunks, cx.strictness() == Strictness::Lenient).map_err(|error| failed(source, error))?;
    let (channels, _, bits) = layout(&reader);
    let orientation = chunks.exif(source, cx)?.orientation;
    let (width, height) = decode::oriented(chunks.width, chunks.height, orientation);
    let has_profile = profile(&reader, &chunks, &quiet, channels).is_some();
    let mut header = Header::single(Facts::Image(ImageFacts {
        width: Some(width),
        height: Some(height),
        channels: Some(channels),
        bit_depth: Some(bits),
        sample_format: Some("uint"),
        color_space: Some(color_space(reader.info(), has_profile).as_str()),
        has_alpha: Some(matches!(channels, 2 | 4)),
        frames: Some(chunks.frames()),
        orientation_applied: Some(orientation > 1),
    }));
    header.memory = Some(bytes.saturating_mul(2));
    Ok(header)
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut chunks = Chunks::scan(source, cx)?;
    let row = (u64::from(chunks.width) * chunks.pixel_bits).div_ceil(8) + 1;
    decode::check_size(cx, chunks.width, chunks.height, chunks.pixel_bits.div_ceil(8), source.len())?;
    if let Some(damage) = chunks.damage.take() {
        cx.unless_lenient("damaged", damage)?;
    }
    // Deflate shrinks 1032-fold at most: a picture of more rows than its data can hold is refused before it is allocated.
    if row.saturating_mul(chunks.height.into()) / 1032 > chunks.image_bytes.saturating_add(1024) {
        let announced = format!("{} x {} pixels announced", chunks.width, chunks.height);
        let error = Error::malformed(format!("{announced}, which {} bytes of IDAT cannot hold", chunks.image_bytes));
        cx.unless_lenient("damaged", error.at_byte(16))?;
    }
    if let Some((at, count)) = chunks.trailing {
        cx.tolerate("trailing-bytes", format!("{count} bytes after IEND, they are left out"), Location::byte(at))?;
    }

    // Taken for the texts and the profile while they are decompressed.
    cx.budget().take(2 * METADATA)?;
    let (mut reader, pixels) = match pixels(source, &chunks, cx, false) {
        Ok((reader, pixels, None)) => (reader, pixels),
        Ok((_, pixels, Some(error))) => {
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
    cx.budget().give_back(2 * METADATA);

    let (channels, depth, bits) = layout(&reader);
    let samples = match depth {
        BitDepth::Sixteen => Samples::U16(decode::samples_16(cx, pixels)?),
        _ => Samples::U8(pixels),
    };
    let exif = chunks.exif(source, cx)?;
    exif.report(cx);
    let mut image = decode::upright(cx, chunks.width, chunks.height, channels, samples, exif.orientation)?;
    image.source_bits = bits;
    image.icc = profile(&reader, &chunks, cx, channels);
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
    image.frames = chunks.frames();
    if let Some(announced) = chunks.announced_frames {
        if announced != chunks.frames {
            let text = format!("acTL announces {announced} frames, found {}", chunks.frames);
            cx.tolerate("frames", text, Location::element("acTL"))?;
        }
        cx.note("animation", format!("the first of {} frames is read", image.frames));
    }

    let upright = !image.orientation_applied && image.frames == 1;
    let mut record = MediaRecord::new(image);
    properties(reader.info(), &chunks, exif, cx, &mut record.properties);
    record.source_is_canonical = upright && cx.diagnostics().worst().is_none_or(|worst| worst == Severity::Info);
    Ok(record)
}

/// Decodes the pixels, as far as they go: the error that stopped it is the third.
fn pixels(
    source: &Source,
    chunks: &Chunks,
    cx: &Context,
    ignore_checksums: bool,
) -> Result<(PngReader, Vec<u8>, Option<DecodingError>)> {
    let mut reader = start(source, chunks, ignore_checksums).map_err(|error| failed(source, error))?;
    let too_large = || Error::limit("alloc_bytes", u64::MAX, cx.budget().allowed());
    let size = reader.output_buffer_size().ok_or_else(too_large)?;
    let mut pixels = decode::buffer::<u8>(cx, size as u64)?;
    cx.checkpoint()?;
    let stopped = reader.next_frame(&mut pixels).err();
    cx.checkpoint()?;
    Ok((reader, pixels, stopped))
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

fn write(image: &Image, properties: &Map<String, Value>, out: &mut Output, cx: &Context) -> Result<()> {
    let mut info = Info::with_size(image.width(), image.height());
    info.color_type = match image.channels() {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    info.bit_depth = if matches!(image.samples(), Samples::U8(_)) { BitDepth::Eight } else { BitDepth::Sixteen };
    let float = matches!(image.samples(), Samples::F32(_));
    match (&image.icc, image.color_space) {
        (Some(profile), ColorSpace::Icc) => info.icc_profile = Some(profile.into()),
        // Floats are brought to the curve of sRGB below.
        (_, ColorSpace::Linear) if !float => info.gama_chunk = Some(png::ScaledFloat::from_scaled(100_000)),
        (_, ColorSpace::Srgb | ColorSpace::Linear) => info.srgb = Some(png::SrgbRenderingIntent::Perceptual),
        _ => {}
    }
    let mut lost = 0;
    for (name, value) in properties {
        match value {
            Value::Object(texts) if name == "text" => {
                for (keyword, text) in texts {
                    let legal = !keyword.is_empty() && keyword.len() < 80 && keyword.is_ascii();
                    match text {
                        Value::String(text) if legal => {
                            info.utf8_text.push(png::text_metadata::ITXtChunk::new(keyword.as_str(), text.as_str()));
                        }
                        _ => lost += 1,
                    }
                }
            }
            _ => lost += 1,
        }
    }
    cx.lose("properties", lost, "properties other than texts");

    let mut encoder = Encoder::with_info(out, info).map_err(unwritten)?;
    encoder.set_compression(match cx.options().text("level") {
        "best" => Compression::High,
        "default" => Compression::Balanced,
        _ => Compression::Fast,
    });
    let mut writer = encoder.write_header().map_err(unwritten)?;
    cx.checkpoint()?;
    match image.samples() {
        Samples::U8(samples) => writer.write_image_data(samples),
        Samples::U16(samples) => {
            cx.budget().take(samples.len() as u64 * 2)?;
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            cx.budget().give_back(samples.len() as u64 * 2);
            writer.write_image_data(&bytes)
        }
        Samples::F32(samples) => {
            cx.budget().take(samples.len() as u64 * 2)?;
            let bytes = rounded(samples, image, cx);
            cx.budget().give_back(samples.len() as u64 * 2);
            writer.write_image_data(&bytes)
        }
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    }
    .map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

/// Floats as 16 bits, big-endian; linear light gets the curve of sRGB, alpha does not.
fn rounded(samples: &[f32], image: &Image, cx: &Context) -> Vec<u8> {
    let channels = usize::from(image.channels());
    let alpha = matches!(channels, 2 | 4).then_some(channels - 1);
    let linear = image.color_space == ColorSpace::Linear;
    let mut outside = 0;
    let bytes = samples
        .iter()
        .enumerate()
        .flat_map(|(index, &sample)| {
            outside += u64::from(!(0.0..=1.0).contains(&sample));
            // A NaN becomes 0.
            let value = f64::from(sample.clamp(0.0, 1.0));
            let curved = linear && alpha != Some(index % channels);
            let value = if curved { convert::linear_to_srgb(value) } else { value };
            ((value * 65535.0).round() as u16).to_be_bytes()
        })
        .collect();
    cx.lose("float", samples.len() as u64, "float samples are rounded to 16 bits");
    cx.lose("range", outside, "samples outside 0 to 1 are cut off");
    bytes
}

fn unwritten(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => error.into(),
        other => IoError::other(other).into(),
    }
}
