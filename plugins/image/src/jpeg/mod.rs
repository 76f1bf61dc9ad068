//! JPEG, as in JFIF and Exif files.
//!
//! Specification: ITU-T T.81 (ISO 10918-1), <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>; JFIF 1.02, ITU-T T.871.
//!
//! | bytes | field |
//! |---|---|
//! | 2 | `FF D8`, SOI |
//! | 4 + n each | segments: `FF`, marker, length n + 2 (big-endian), n bytes |
//! | APP0 | `JFIF`: version, density |
//! | APP1 | `Exif`: a TIFF block, see the module `exif`; or the name of XMP and XMP |
//! | APP2 | `ICC_PROFILE`: number of this part, number of parts, a part of the profile |
//! | APP14 | `Adobe`: colour transform 0 none, 1 YCbCr, 2 YCCK |
//! | SOFn | bits, height, width, components with their sampling factors |
//! | SOS | header of a scan; entropy-coded data follow, in which `FF` is followed by `00` or a restart marker |
//! | 2 | `FF D9`, EOI |
//!
//! Read: baseline, extended sequential and progressive Huffman coding of 8 bits, one component (gray), three (YCbCr or
//! RGB) and four (CMYK or YCCK, inverted as Adobe writes them; they become RGB without a profile). The EXIF orientation
//! is applied. Density, comment, XMP and EXIF tags become properties; the position only with the option `gps`. Unsupported:
//! arithmetic coding, lossless and hierarchical pictures, 12 bits, a height that only follows the first scan (DNL), and
//! baseline scans of two of three components, which the decoder gets wrong.
//!
//! Written: baseline, 8 bits, gray or YCbCr of full chroma resolution, with the colour profile and XMP of up to 64 KiB. Lost
//! is what the coding at `quality` loses (`jpeg.coding`), and what [`encode`](crate::encode) names.
//!
//! Strictness: a picture that ends early (`jpeg.truncated`) or whose data are broken (`jpeg.damaged`) is read as far as
//! it goes with a diagnostic of severity error, the rest is gray; so is one of which a scan has fewer data than the
//! picture needs (`jpeg.truncated-scan`) or data that cannot be (`jpeg.corrupt-scan`), which the decoder passes over.
//! Scans whose Huffman tables are not in the file, as in motion JPEG, are not followed that way.
//! Bytes between segments (`jpeg.stray-bytes`), a short segment of Adobe (`jpeg.adobe`), a broken EXIF block (`jpeg.exif`) or profile (`jpeg.icc`), which also
//! is left out when it is made for CMYK, are warnings. Strict makes errors of all. Bytes behind the end
//! (`jpeg.trailing-bytes`) are what the multi-picture format puts there: a note.

mod entropy;
mod write;

use std::io::{BufRead, Seek, SeekFrom};

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{
    Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, OptionSpec,
    OptionType, Output, Result, Severity, Signature, Source, Strictness, register, single,
};
use serde_json::{Map, Value};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace as Colors;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::decode;
use crate::exif::Exif;

// Markers, T.81 table B.1.
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;
const DHT: u8 = 0xC4;
const JPG: u8 = 0xC8;
const SOF15: u8 = 0xCF;
const DAC: u8 = 0xCC;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;
const COM: u8 = 0xFE;
const TEM: u8 = 0x01;

/// Bytes of a colour profile: 16 MiB.
const MAX_PROFILE: u64 = 16 << 20;

/// Passes over the picture; files have about ten.
const MAX_SCANS: usize = 100;

/// Bytes of Adobe's segment.
const ADOBE: u64 = 12;

/// What a segment of XMP begins with.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

const OTHER_DECODER: &str = "`djpeg` of libjpeg-turbo reads more codings; convert the file with it";

const INFO: FormatInfo = FormatInfo::new("jpeg", "JPEG", &[Kind::Image])
    .extensions(&["jpg", "jpeg", "jpe", "jfif"])
    .media_types(&["image/jpeg"])
    .signatures(&[Signature { offset: 0, bytes: &[0xFF, SOI, 0xFF], mask: &[] }])
    .reads()
    .writes(&[Feature::ColorProfile])
    .options(&[
        OptionSpec::read("gps", OptionType::Bool, "false", "keep the position where the picture was taken"),
        OptionSpec::write("quality", OptionType::Int { min: 1, max: 100 }, "90", "how little is lost"),
    ])
    .spec("https://www.w3.org/Graphics/JPEG/itu-t81.pdf");

struct Jpeg;

register!(Jpeg);

impl Format for Jpeg {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut found = [0; 2];
        source.read_exact_at(0, &mut found, "SOI")?;
        if found != [0xFF, SOI] {
            return Err(Error::malformed(format!("expected SOI, ff d8, found {found:02x?}")).at_byte(0));
        }
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_cx), move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// What the segments before the first scan say.
#[derive(Default)]
struct Frame {
    width: u32,
    height: u32,
    components: u8,
    /// Bytes of the coefficients, should all of them be kept until the last scan.
    coefficient_bytes: u64,
    progressive: bool,
    /// Whether the picture comes in several scans.
    many_scans: bool,
    /// Part, parts, place and length of each piece of the profile.
    profile: Vec<(u8, u8, u64, u64)>,
    /// Place and length of the first EXIF block.
    exif: Option<(u64, u64)>,
    /// Place of the marker of an APP14 segment that is too short to be Adobe's, and its length.
    short_adobe: Option<(u64, u64)>,
    /// Place and length of the first XMP.
    xmp: Option<(u64, u64)>,
    /// Places and lengths of comments.
    comments: Vec<(u64, u64)>,
    /// Units, density across and down of JFIF.
    density: Option<(u8, u16, u16)>,
    /// Bytes that are no segment: the place of the first, and their number.
    stray: Option<(u64, u64)>,
    /// Identifiers of the components.
    ids: Vec<u8>,
    /// Their sampling factors, across and down.
    sampling: Vec<(u8, u8)>,
    /// Where the first scan begins, with its marker.
    scans: u64,
}

impl Frame {
    /// Reads segments up to the first scan.
    fn scan(source: &Source, cx: &Context) -> Result<Self> {
        let mut frame = Self::default();
        let mut reader = source.reader();
        reader.seek(SeekFrom::Start(2))?;
        let mut segments = 0_u64;
        loop {
            segments += 1;
            if segments.is_multiple_of(4096) {
                cx.checkpoint()?;
            }
            let (marker, at) = frame.next_marker(&mut reader, cx)?;
            if matches!(marker, TEM | RST0..=SOI) {
                continue;
            }
            if marker == EOI {
                return Err(Error::malformed("expected a scan (SOS), found the end of the picture (EOI)").at_byte(at));
            }
            let mut length = [0; 2];
            source.read_exact_at(at + 2, &mut length, "the length of a segment")?;
            let length = u64::from(u16::from_be_bytes(length));
            if length < 2 {
                let text = format!("segment ff {marker:02x}: expected a length of at least 2, found {length}");
                return Err(Error::malformed(text).at_byte(at + 2));
            }
            let (body, length) = (at + 4, length - 2);
            let left = source.len().saturating_sub(body);
            if length > left {
                return Err(Error::truncated(&format!("segment ff {marker:02x}"), length, left).at_byte(body));
            }
            frame.segment(source, marker, body, length)?;
            reader.seek(SeekFrom::Start(body + length))?;
            if marker == SOS {
                frame.scans = at;
                break;
            }
        }
        if frame.components == 0 {
            return Err(Error::malformed("expected a frame header (SOF) before the first scan, found none")
                .at_byte(frame.scans));
        }
        Ok(frame)
    }

    /// The next marker and where its `FF` is. Fill bytes (`FF`, B.1.1.2) are legal before it, others are counted as
    /// stray.
    fn next_marker(&mut self, reader: &mut mediary_core::SourceReader, cx: &Context) -> Result<(u8, u64)> {
        let start = reader.position();
        let (mut previous, mut fill) = (0, 0);
        loop {
            let Some(&byte) = reader.fill_buf()?.first() else {
                return Err(Error::malformed("expected another segment, found the end of the file")
                    .at_byte(reader.position())
                    .with_hint("the file is cut short; fetch or copy it again"));
            };
            reader.consume(1);
            match (previous, byte) {
                (0xFF, 0xFF) => fill += 1,
                (0xFF, 1..) => {
                    let at = reader.position() - 2;
                    let stray = at - start - fill;
                    if stray > 0 {
                        let (_, count) = self.stray.get_or_insert((start, 0));
                        *count += stray;
                    }
                    return Ok((byte, at));
                }
                _ => {}
            }
            previous = byte;
            if (reader.position() - start).is_multiple_of(1 << 20) {
                cx.checkpoint()?;
            }
        }
    }

    fn segment(&mut self, source: &Source, marker: u8, body: u64, length: u64) -> Result<()> {
        let mut head = [0; 32];
        let read = source.read_at(body, &mut head)?;
        let head = &head[..read.min(length as usize)];
        match marker {
            SOF0..=SOF15 if !matches!(marker, DHT | JPG | DAC) => self.start_of_frame(marker, head, body, length)?,
            SOS => {
                let components = head.first().copied().unwrap_or(0);
                self.many_scans |= components < self.components;
            }
            APP0 if head.starts_with(b"JFIF\0") && head.len() >= 12 => {
                let pair = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
                self.density = Some((head[7], pair(8), pair(10)));
            }
            APP1 if head.starts_with(b"Exif\0") && length >= 6 && self.exif.is_none() => {
                self.exif = Some((body + 6, length - 6));
            }
            APP1 if head.starts_with(XMP) && self.xmp.is_none() => {
                self.xmp = Some((body + XMP.len() as u64, length - XMP.len() as u64));
            }
            APP2 if head.starts_with(b"ICC_PROFILE\0") && head.len() >= 14 => {
                self.profile.push((head[12], head[13], body + 14, length - 14));
            }
            APP14 if length < ADOBE => self.short_adobe = Some((body - 3, length)),
            COM => self.comments.push((body, length)),
            _ => {}
        }
        Ok(())
    }

    /// B.2.2, frame header.
    fn start_of_frame(&mut self, marker: u8, head: &[u8], body: u64, length: u64) -> Result<()> {
        let coding = match marker {
            0xC0..=0xC2 => None,
            0xC3 => Some("lossless coding"),
            0xC9 | 0xCA => Some("arithmetic coding"),
            0xCB => Some("lossless arithmetic coding"),
            _ => Some("hierarchical coding"),
        };
        if let Some(coding) = coding {
            return Err(Error::unsupported(format!("expected baseline or progressive Huffman coding, found {coding}"))
                .at_byte(body)
                .with_hint(OTHER_DECODER));
        }
        if self.components > 0 {
            return Err(Error::malformed("expected one frame header (SOF), found a second").at_byte(body));
        }
        let &[bits, y1, y0, x1, x0, components, ref rest @ ..] = head else {
            return Err(Error::malformed(format!("expected 6 bytes of frame header, found {length}")).at_byte(body));
        };
        if bits != 8 {
            let error = if matches!(bits, 12 | 16) { Error::unsupported } else { Error::malformed };
            return Err(error(format!("expected 8 bits a sample, found {bits}")).at_byte(body));
        }
        if !matches!(components, 1 | 3 | 4) {
            let text = format!("expected 1, 3 or 4 components, found {components}");
            return Err(Error::unsupported(text).at_byte(body + 5));
        }
        if length != 6 + 3 * u64::from(components) || rest.len() < 3 * usize::from(components) {
            let text = format!("{components} components need {} bytes, found {length}", 6 + 3 * u32::from(components));
            return Err(Error::malformed(text).at_byte(body));
        }
        self.width = u32::from(u16::from_be_bytes([x1, x0]));
        self.height = u32::from(u16::from_be_bytes([y1, y0]));
        if self.height == 0 {
            return Err(Error::unsupported(
                "expected the height in the frame header, found 0: it follows the first scan",
            )
            .at_byte(body + 1));
        }
        let sampling = || rest.chunks_exact(3).map(|component| (component[1] >> 4, component[1] & 15));
        if let Some((h, v)) = sampling().find(|(h, v)| !(1..=4).contains(h) || !(1..=4).contains(v)) {
            return Err(
                Error::malformed(format!("expected sampling factors from 1 to 4, found {h} and {v}")).at_byte(body)
            );
        }
        let (most_h, most_v) = sampling().fold((1, 1), |(h, v), found| (found.0.max(h), found.1.max(v)));
        let units = u64::from(self.width).div_ceil(8 * u64::from(most_h))
            * u64::from(self.height).div_ceil(8 * u64::from(most_v));
        let blocks: u64 = sampling().map(|(h, v)| u64::from(h) * u64::from(v)).sum();
        self.coefficient_bytes = units * blocks * 64 * 2;
        self.sampling = sampling().collect();
        self.components = components;
        self.ids = rest.chunks_exact(3).map(|component| component[0]).collect();
        self.progressive = marker == SOF2;
        self.many_scans = self.progressive;
        Ok(())
    }

    /// 1 or 3: CMYK becomes RGB.
    fn channels(&self) -> u8 {
        if self.components == 1 { 1 } else { 3 }
    }

    fn check(&self, source: &Source, cx: &Context) -> Result<u64> {
        decode::check_size(cx, self.width, self.height, 8 * u64::from(self.channels()), source.len())
    }

    fn exif(&self, source: &Source, cx: &Context) -> Result<Exif> {
        let Some((at, length)) = self.exif else { return Ok(Exif { orientation: 1, ..Exif::default() }) };
        // A segment has less than 64 KiB.
        let mut block = vec![0; length as usize];
        source.read_exact_at(at, &mut block, "the EXIF block")?;
        Ok(Exif::parse(&block, cx.options().bool("gps")))
    }

    /// The profile put together from its parts (ICC.1, B.4), if it is whole and usable.
    fn profile(&self, source: &Source, cx: &Context) -> Result<Option<Vec<u8>>> {
        let mut parts = self.profile.clone();
        let Some(&(_, count, ..)) = parts.first() else { return Ok(None) };
        parts.sort_by_key(|(number, ..)| *number);
        let whole = parts.len() == usize::from(count)
            && parts.iter().zip(1..).all(|((number, of, ..), expected)| (*number, *of) == (expected, count));
        let length: u64 = parts.iter().map(|(.., length)| length).sum();
        if !whole || length > MAX_PROFILE {
            let numbers: Vec<_> = parts.iter().map(|(number, ..)| number).collect();
            let text = format!("the colour profile is left out: expected its parts 1 to {count}, found {numbers:?}");
            cx.tolerate("icc", text, Location::element("icc"))?;
            return Ok(None);
        }
        let mut profile = decode::buffer::<u8>(cx, length)?;
        let mut rest = &mut profile[..];
        for (.., at, length) in parts {
            let (part, behind) = rest.split_at_mut(length as usize);
            source.read_exact_at(at, part, "the colour profile")?;
            rest = behind;
        }
        decode::usable_profile(cx, profile, self.channels())
    }
}

/// The scans of a picture, followed without decoding.
struct Scans {
    /// The place behind EOI; `None` when the file ends before.
    end: Option<usize>,
    /// Components that are in some scan.
    seen: Vec<u8>,
    /// Place of a scan of more than one component, but not of all.
    partial: Option<usize>,
}

impl Scans {
    /// Goes from the marker at `at` to the end of the picture.
    fn follow(bytes: &[u8], mut at: usize, frame: &Frame, cx: &Context) -> Result<Self> {
        let mut scans = Self { end: None, seen: Vec::new(), partial: None };
        let mut checked = at;
        while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)) {
            at += step + 1;
            if at - checked > 1 << 20 {
                cx.checkpoint()?;
                checked = at;
            }
            match bytes.get(at).copied() {
                None => break,
                Some(EOI) => {
                    scans.end = Some(at + 1);
                    break;
                }
                // A stuffed zero, a restart.
                Some(0 | TEM | RST0..=RST7) => at += 1,
                // A fill byte: the marker follows.
                Some(0xFF) => {}
                Some(marker) => {
                    let Some(&[high, low]) = bytes.get(at + 1..at + 3).and_then(<[u8]>::first_chunk) else { break };
                    if marker == SOS {
                        let count = usize::from(bytes.get(at + 3).copied().unwrap_or(0));
                        let listed = bytes.get(at + 4..).unwrap_or_default().chunks(2).take(count.min(4));
                        scans.seen.extend(listed.map(|component| component[0]));
                        if count > 1 && count < frame.ids.len() {
                            scans.partial.get_or_insert(at - 1);
                        }
                    }
                    at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
                }
            }
        }
        Ok(scans)
    }
}

pub(crate) fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    // Findings are reported once, by the full read.
    let quiet = Context::new(INFO.id);
    let frame = Frame::scan(source, cx)?;
    let pixels = frame.check(source, cx)?;
    let orientation = frame.exif(source, cx)?.orientation;
    let (width, height) = decode::oriented(frame.width, frame.height, orientation);
    let has_profile = frame.profile(source, &quiet)?.is_some();
    let space = if has_profile { ColorSpace::Icc } else { ColorSpace::Srgb };
    let mut header = Header::single(Facts::Image(ImageFacts {
        width: Some(width),
        height: Some(height),
        channels: Some(frame.channels()),
        bit_depth: Some(8),
        sample_format: Some("uint"),
        color_space: Some(space.as_str()),
        has_alpha: Some(false),
        frames: Some(1),
        orientation_applied: Some(orientation > 1),
    }));
    let turned = if orientation > 1 { 2 } else { 1 };
    let coefficients = if frame.many_scans { frame.coefficient_bytes } else { 0 };
    header.memory = Some(source.len() + coefficients + turned * pixels * u64::from(frame.channels()));
    Ok(header)
}

pub(crate) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let frame = Frame::scan(source, cx)?;
    let pixels = frame.check(source, cx)?;
    if let Some((at, count)) = frame.stray {
        cx.tolerate("stray-bytes", format!("{count} bytes between segments"), Location::byte(at))?;
    }
    let whole = source.bytes(cx)?;
    let patched = without_short_adobe(&whole, &frame, cx)?;
    let bytes = patched.as_deref().unwrap_or(&whole);
    let scans = Scans::follow(bytes, frame.scans as usize, &frame, cx)?;
    if let (Some(at), false) = (scans.partial, frame.progressive) {
        return Err(Error::unsupported(
            "expected scans of one component or of all, found one of some, not progressive",
        )
        .at_byte(at as u64)
        .with_hint(OTHER_DECODER));
    }
    match scans.end {
        None => {
            broken(cx, "truncated", "expected the end of the picture (EOI), found the end of the file", bytes.len())?
        }
        Some(end) => {
            if let Some(missing) = frame.ids.iter().find(|id| !scans.seen.contains(id)) {
                broken(cx, "damaged", format!("the component {missing} is in no scan"), end)?;
            }
            if end < bytes.len() {
                cx.note("trailing-bytes", format!("{} bytes behind the end of the picture", bytes.len() - end));
            }
        }
    }
    let cut = scans.end.is_none();

    let samples = decode_pixels(bytes, &frame, pixels, cut, cx)?;
    drop((whole, patched));
    let exif = frame.exif(source, cx)?;
    exif.report(cx)?;
    let samples = Samples::U8(samples.into());
    let mut image = decode::upright(cx, frame.width, frame.height, frame.channels(), samples, exif.orientation)?;
    image.icc = frame.profile(source, cx)?;
    if image.icc.is_some() {
        image.color_space = ColorSpace::Icc;
    }
    let mut record = MediaRecord::new(image);
    properties(&frame, source, exif, cx, &mut record.properties)?;
    Ok(record)
}

/// The bytes with a segment of Adobe that is too short turned into a comment: the decoder refuses the one and passes over the other.
fn without_short_adobe(bytes: &[u8], frame: &Frame, cx: &Context) -> Result<Option<Vec<u8>>> {
    let Some((at, length)) = frame.short_adobe else { return Ok(None) };
    let text = format!("expected {ADOBE} bytes of an APP14 segment, found {length}; it is left out");
    cx.tolerate("adobe", text, Location::byte(at))?;
    cx.budget().take(bytes.len() as u64)?;
    let mut patched = bytes.to_vec();
    patched[at as usize] = COM;
    Ok(Some(patched))
}

/// Data that are read as far as they go: an error when strict.
fn broken(cx: &Context, code: &str, message: impl Into<String>, at: usize) -> Result<()> {
    let error = Error::malformed(message)
        .at_byte(at as u64)
        .with_hint("the file is cut short or damaged; fetch or copy it again");
    if cx.strictness() == Strictness::Strict {
        return Err(error);
    }
    cx.report(Severity::Error, code, error.message().to_owned(), error.location().cloned());
    Ok(())
}

/// Decodes strictly; what that refuses is decoded as far as it goes, with a diagnostic.
fn decode_pixels(bytes: &[u8], frame: &Frame, pixels: u64, cut: bool, cx: &Context) -> Result<Vec<u8>> {
    let kept = if frame.many_scans { frame.coefficient_bytes } else { 0 };
    cx.budget().take(kept)?;
    let mut samples = decode::buffer::<u8>(cx, pixels * u64::from(frame.channels()))?;
    let colors = if frame.channels() == 1 { Colors::Luma } else { Colors::RGB };
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(colors);
    let mut run = |strict: bool| {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options.set_strict_mode(strict));
        decoder.decode_into(&mut samples)
    };
    cx.checkpoint()?;
    // Of a cut picture it is known that the strict decoder refuses it.
    let strictly = if cut { Err(DecodeErrors::ExhaustedData) } else { run(true) };
    match strictly {
        Ok(()) => entropy::check(bytes, frame, cx)?,
        Err(error) => {
            if !cut {
                broken(cx, "damaged", described(&error), frame.scans as usize)?;
            }
            cx.checkpoint()?;
            run(false).map_err(|error| Error::malformed(described(&error)).at_byte(frame.scans))?;
        }
    }
    cx.checkpoint()?;
    cx.budget().give_back(kept);
    Ok(samples)
}

fn described(error: &DecodeErrors) -> String {
    let text = format!("{error:?}").replace('"', "");
    let words: Vec<_> = text.split_whitespace().collect();
    format!("the image data are broken: {}", words.join(" ").trim_end_matches('.'))
}

/// Density, comment, XMP and EXIF tags.
fn properties(
    frame: &Frame,
    source: &Source,
    exif: Exif,
    cx: &Context,
    properties: &mut Map<String, Value>,
) -> Result<()> {
    if let Some((unit, across, down)) = frame.density {
        let name = match unit {
            1 => "pixels_per_inch",
            2 => "pixels_per_cm",
            _ => "pixel_aspect",
        };
        properties.insert(name.into(), vec![across, down].into());
    }
    // A comment has less than 64 KiB; more than a few are none that somebody wrote.
    let mut comments = Vec::new();
    for &(at, length) in frame.comments.iter().take(16) {
        let mut text = vec![0; length as usize];
        source.read_exact_at(at, &mut text, "a comment")?;
        comments.push(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned());
    }
    if !comments.is_empty() {
        properties.insert("comment".into(), comments.join("\n").into());
    }
    if let Some((at, length)) = frame.xmp {
        let mut text = vec![0; length as usize];
        source.read_exact_at(at, &mut text, "XMP")?;
        decode::keep_xmp(&text, cx, properties);
    }
    if !exif.tags.is_empty() {
        properties.insert("exif".into(), exif.tags.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, ReadOptions};

    use super::*;
    use crate::testing;

    /// What Pillow 13.0.0 states: name, width, height, channels, means of red, green and blue.
    const PILLOW: &[(&str, u32, u32, u8, [f64; 3])] = &[
        ("flower.jpg", 480, 360, 3, [119.302, 131.992, 94.103]),
        ("go-turns-two-280x360.jpeg", 280, 360, 3, [160.059, 132.022, 149.665]),
        ("pil_sample_cmyk.jpg", 100, 100, 3, [30.232, 5.444, 7.386]),
        ("tower_grayscale.jpg", 512, 512, 1, [146.515, 146.515, 146.515]),
        ("tower_progressive.jpg", 512, 512, 3, [109.678, 153.273, 188.682]),
    ];

    fn good(name: &str) -> Vec<u8> {
        testing::data(&format!("jpeg/{name}"))
    }

    fn bad(name: &str) -> Vec<u8> {
        testing::data(&format!("jpeg/malformed/{name}"))
    }

    #[test]
    fn pixels_are_close_to_those_of_pillow() {
        for &(name, width, height, channels, expected) in PILLOW {
            let record = testing::read(name, good(name)).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height(), image.channels()), (width, height, channels), "{name}");
            assert_eq!(testing::codes(&record), Vec::<String>::new(), "{name}");
            let found = testing::means(&testing::rgba8(image));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.5, "{name}: expected a mean of {expected}, found {found}");
            }
        }
        assert_eq!(PILLOW.len(), testing::names("jpeg").len());
    }

    #[test]
    fn tags_are_kept_and_the_position_only_when_asked() {
        let record = testing::read("a.jpg", good("flower.jpg")).unwrap();
        assert_eq!(record.properties["exif"]["model"], "Canon PowerShot S40");
        assert_eq!(record.properties["pixels_per_inch"], serde_json::json!([72, 72]));

        let mut bytes = good("go-turns-two-280x360.jpeg");
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\
            \0\0\0\0\0\x01\0\x01\0\x02\0\0\0\x02N\0\0\0\0\0\0\0";
        let segment = [&[0xFF, APP1, 0, exif.len() as u8 + 2], &exif[..]].concat();
        bytes.splice(2..2, segment);
        let record = testing::read("a.jpg", bytes.clone()).unwrap();
        let image = testing::image(&record);
        assert_eq!((image.width(), image.height(), image.orientation_applied), (360, 280, true));
        assert_eq!(record.properties["exif"], serde_json::json!({"orientation": 6}));
        let mut options = ReadOptions::default();
        options.options = vec![("jpeg.gps".into(), "true".into())];
        let record = testing::read_with("a.jpg", bytes, &options).unwrap();
        assert_eq!(record.properties["exif"]["gps_latitude_ref"], "N");
    }

    #[test]
    fn malformed_files_are_told() {
        let error = testing::read("a.jpg", bad("bomb-65500x65500.jpg")).unwrap_err();
        assert_eq!((error.kind(), error.limit_name()), (ErrorKind::Limit, Some("pixels")));
        let record = testing::read("a.jpg", bad("corrupt-exif-recursive-ifd.jpg")).unwrap();
        assert_eq!(testing::codes(&record), ["jpeg.exif"]);
        let cut = bad("truncated-tower_progressive.jpg");
        let record = testing::read("a.jpg", cut.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["jpeg.truncated"]);
        let error = testing::read_with("a.jpg", cut, &testing::strictly(Strictness::Strict)).unwrap_err();
        assert_eq!(error.location().and_then(|location| location.byte), Some(30_000));
        // Its end is there, one byte before the end of the file.
        let overflow = bad("dc-predictor-overflow.jpg");
        let record = testing::read("a.jpg", overflow.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["jpeg.trailing-bytes", "jpeg.corrupt-scan"]);
        assert!(testing::read_with("a.jpg", overflow, &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn data_missing_before_the_end_are_told() {
        for &(name, ..) in PILLOW {
            let bytes = good(name);
            let end = bytes.windows(2).rposition(|two| two == [0xFF, EOI]).unwrap();
            let mut short = bytes.clone();
            short.drain(end - 100..end);
            let codes = testing::codes(&testing::read("a.jpg", short.clone()).unwrap());
            assert_eq!(codes, ["jpeg.truncated-scan"], "{name}");
            assert!(testing::read_with("a.jpg", short, &testing::strictly(Strictness::Strict)).is_err(), "{name}");
            let mut long = bytes;
            long.splice(end..end, [0; 3]);
            assert_eq!(testing::codes(&testing::read("a.jpg", long).unwrap()), ["jpeg.stray-bytes"], "{name}");
        }
    }

    /// The file with the marker of its frame header replaced.
    fn coded(name: &str, marker: u8) -> Vec<u8> {
        let mut bytes = good(name);
        let at = bytes.windows(5).rposition(|w| w[0] == 0xFF && w[1] == SOF0 && w[4] == 8).unwrap();
        bytes[at + 1] = marker;
        bytes
    }

    #[test]
    fn codings_that_no_decoder_here_knows_are_named() {
        for (marker, text) in [(0xC9, "arithmetic"), (0xC3, "lossless"), (0xC5, "hierarchical")] {
            let error = testing::read("a.jpg", coded("flower.jpg", marker)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(text) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn damage_in_the_data_is_told() {
        let mut bytes = good("flower.jpg");
        let middle = bytes.len() / 2;
        // A marker that has no place there.
        bytes.splice(middle..middle, [0xFF, JPG, 0, 2]);
        let record = testing::read("a.jpg", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["jpeg.damaged"]);
        assert!(testing::read_with("a.jpg", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn a_short_segment_of_adobe_is_left_out() {
        let mut bytes = good("flower.jpg");
        bytes.splice(2..2, *b"\xFF\xEE\0\x07Adobe");
        let record = testing::read("a.jpg", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["jpeg.adobe"]);
        let plain = testing::read("a.jpg", good("flower.jpg")).unwrap();
        assert_eq!(testing::image(&record).samples(), testing::image(&plain).samples());
        assert!(testing::read_with("a.jpg", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn the_parts_of_a_profile_are_put_together() {
        let mut profile = vec![7; 200];
        profile[16..20].copy_from_slice(b"RGB ");
        profile[36..40].copy_from_slice(b"acsp");
        let part = |number: u8, bytes: &[u8]| {
            let length = (bytes.len() as u16 + 16).to_be_bytes();
            [&[0xFF, APP2], &length[..], b"ICC_PROFILE\0", &[number, 2], bytes].concat()
        };
        let with = |parts: Vec<u8>| {
            let mut bytes = good("flower.jpg");
            bytes.splice(2..2, parts);
            testing::read_with("a.jpg", bytes, &testing::reading(&[("image.icc", "keep")])).unwrap()
        };
        // In the wrong order, which is legal.
        let record = with([part(2, &profile[150..]), part(1, &profile[..150])].concat());
        assert_eq!(testing::image(&record).icc.as_ref(), Some(&profile));
        assert_eq!(testing::image(&record).color_space, ColorSpace::Icc);
        let record = with(part(1, &profile));
        assert_eq!(testing::codes(&record), ["jpeg.icc"]);
        assert_eq!(testing::image(&record).color_space, ColorSpace::Srgb);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("jpeg");
    }
}
