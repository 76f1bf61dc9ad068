//! JPEG inside of TIFF: streams that share their tables (Technical Note 2), and those of before (TIFF 6.0, section 22), whose
//! parts lie about the file.

use mediary_core::{Context, Error, Location, Result};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::codec::Unpacked;
use super::directory::{Directory, Tiff};
use super::page::{Colors, Page};
use super::tags;

const SOI: [u8; 2] = [0xFF, 0xD8];
const EOI: [u8; 2] = [0xFF, 0xD9];
const SOS: u8 = 0xDA;

/// Bytes of the tables of a page, and of the head of a stream.
const MAX_TABLES: u64 = 1 << 20;

/// Passes over a picture.
const MAX_SCANS: usize = 100;

/// How the streams of a page are decoded.
pub(super) struct Jpeg {
    /// The tables all streams of the page share, without SOI and EOI.
    tables: Vec<u8>,
    /// The Adobe marker that says what the components are.
    transform: u8,
    /// Samples of a pixel in a stream.
    components: usize,
}

impl Jpeg {
    pub(super) fn of(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        let mut tables = match page.compression {
            7 => tiff.bytes(directory, tags::JPEG_TABLES, MAX_TABLES, cx)?.unwrap_or_default(),
            _ => Vec::new(),
        };
        if tables.starts_with(&SOI) {
            tables.drain(..2);
        }
        if tables.ends_with(&EOI) {
            tables.truncate(tables.len() - 2);
        }
        let components = if page.planar { 1 } else { page.samples };
        if components == 2 || components > 4 {
            return Err(Error::unsupported(format!("JPEG of {components} samples a pixel is not read")).at_byte(directory.at));
        }
        Ok(Self { tables, transform: u8::from(page.colors == Colors::YCbCr), components })
    }

    /// Decodes a stream into rows of `width` pixels.
    pub(super) fn unpack(&self, stream: &[u8], width: u32, out: &mut [u8], cx: &Context) -> Result<Unpacked> {
        let Some(rest) = stream.strip_prefix(&SOI) else {
            return Ok(Unpacked::until(0, format!("expected a JPEG stream, found {:02x?}", &stream[..stream.len().min(2)])));
        };
        let adobe = [&[0xFF, 0xEE, 0, 14], &b"Adobe"[..], &[0, 100, 0, 0, 0, 0, self.transform]].concat();
        let whole = [&SOI[..], &adobe, &self.tables, rest].concat();
        cx.budget().take(whole.len() as u64)?;
        let options = DecoderOptions::default()
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .set_strict_mode(true)
            .jpeg_set_max_scans(MAX_SCANS);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&whole[..]), options);
        let broken = |error| format!("the JPEG stream is broken: {error:?}").replace('"', "");
        if let Err(error) = decoder.decode_headers() {
            return Ok(Unpacked::until(0, broken(error)));
        }
        let Some(info) = decoder.info() else { return Ok(Unpacked::until(0, "the JPEG stream has no header")) };
        if usize::from(info.components) != self.components {
            let text = format!("expected a JPEG stream of {} components, found {}", self.components, info.components);
            return Ok(Unpacked::until(0, text));
        }
        // Components stay as they are, but for YCbCr that becomes RGB.
        let colors = match (self.components, decoder.input_colorspace()) {
            (1, _) => ColorSpace::Luma,
            (3, Some(ColorSpace::YCbCr)) if self.transform == 0 => ColorSpace::YCbCr,
            (3, _) => ColorSpace::RGB,
            (_, found) => found.unwrap_or(ColorSpace::CMYK),
        };
        decoder.set_options(options.jpeg_set_out_colorspace(colors));
        let (across, down) = (usize::from(info.width), usize::from(info.height));
        // A row has at most 65535 pixels.
        let size = (across * down * self.components) as u64;
        let rows = out.len() / (width as usize * self.components);
        cx.limits().check("pixels", across as u64 * down as u64)?;
        let mut pixels = crate::decode::buffer::<u8>(cx, size)?;
        let decoded = decoder.decode_into(&mut pixels);
        let (from, to) = (across * self.components, width as usize * self.components);
        for (to, from) in out.chunks_exact_mut(to).zip(pixels.chunks_exact(from)) {
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
        }
        cx.budget().give_back(size + whole.len() as u64);
        Ok(match decoded {
            Err(error) => Unpacked::until(0, broken(error)),
            Ok(()) if across < width as usize => {
                Unpacked::until(0, format!("expected a JPEG picture {width} pixels wide, found {across}"))
            }
            Ok(()) => Unpacked::whole(down.min(rows) * to),
        })
    }
}

/// The one stream of a page of the old kind, put together.
pub(super) fn old_stream(tiff: &Tiff, directory: &Directory, page: &Page, strips: &[Vec<u8>], cx: &Context) -> Result<Vec<u8>> {
    const LOSSLESS: u64 = 14;
    if tiff.first_number(directory, tags::JPEG_PROCESS, cx)? == Some(LOSSLESS) {
        return Err(Error::unsupported("lossless JPEG is not read").at_byte(directory.at));
    }
    // A strip that is a whole stream needs nothing else.
    if let [strip] = strips
        && strip.starts_with(&SOI)
        && scan(strip).is_some()
    {
        return Ok(strip.clone());
    }
    let mut stream = match head(tiff, directory, cx)? {
        Some(Head::Whole(stream)) => return Ok(stream),
        Some(Head::Start(head)) => head,
        None => written_head(tiff, directory, page, strips.len(), cx)?,
    };
    for (number, strip) in strips.iter().enumerate() {
        // The first may begin with the head that is there already.
        let skipped = if strip.starts_with(&SOI) { scan(strip).unwrap_or(0) } else { 0 };
        let data = &strip[skipped..];
        let data = data.strip_suffix(&EOI).unwrap_or(data);
        stream.extend_from_slice(data);
        let marked = data.len() >= 2 && data[data.len() - 2] == 0xFF && (0xD0..=0xD7).contains(&data[data.len() - 1]);
        if number + 1 < strips.len() && !marked {
            stream.extend([0xFF, 0xD0 + (number % 8) as u8]);
        }
    }
    stream.extend(EOI);
    Ok(stream)
}

enum Head {
    /// Up to and with the header of the scan.
    Start(Vec<u8>),
    Whole(Vec<u8>),
}

/// What stands at the tag JPEGInterchangeFormat, if it is a stream.
fn head(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<Option<Head>> {
    let Some(at) = tiff.first_number(directory, tags::JPEG_STREAM, cx)? else { return Ok(None) };
    let left = tiff.source.len().saturating_sub(at);
    let length = tiff.first_number(directory, tags::JPEG_STREAM_BYTES, cx)?.filter(|&length| length > 0);
    let length = length.unwrap_or(left).min(left);
    cx.budget().take(length)?;
    let mut stream = vec![0; length as usize];
    tiff.source.read_exact_at(at, &mut stream, "the JPEG stream")?;
    if !stream.starts_with(&SOI) {
        return Ok(None);
    }
    let Some(data) = scan(&stream) else { return Ok(None) };
    let whole = stream[data..].windows(2).any(|pair| pair == EOI);
    if !whole {
        stream.truncate(data);
    }
    Ok(Some(if whole { Head::Whole(stream) } else { Head::Start(stream) }))
}

/// Where the data of the first scan begin.
fn scan(stream: &[u8]) -> Option<usize> {
    let mut at = 2;
    let mut framed = false;
    loop {
        let &[mark, marker, high, low] = stream.get(at..)?.first_chunk()?;
        if mark != 0xFF {
            return None;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        framed |= matches!(marker, 0xC0..=0xC2);
        if marker == SOS {
            return framed.then_some(at);
        }
    }
}

/// The head of a stream, from the tables that stand apart.
fn written_head(tiff: &Tiff, directory: &Directory, page: &Page, strips: usize, cx: &Context) -> Result<Vec<u8>> {
    let components = page.samples;
    let missing = |tag: u16| {
        let text = format!("expected the tables of {components} JPEG components in the tag {tag}, found fewer");
        Error::malformed(text).at(Location::element(format!("tag {tag}")).with_byte(directory.at))
    };
    let places = |tag: u16| -> Result<Vec<u64>> {
        let places = tiff.numbers(directory, tag, cx)?.unwrap_or_default();
        if places.len() < components { Err(missing(tag)) } else { Ok(places) }
    };
    let mut head = SOI.to_vec();
    let mut segment = |marker: u8, parts: &[&[u8]]| {
        let length: usize = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
        head.extend([0xFF, marker]);
        head.extend((length as u16).to_be_bytes());
        parts.iter().for_each(|part| head.extend_from_slice(part));
    };
    for (number, at) in (0..).zip(places(tags::JPEG_QUANTISATION)?.into_iter().take(components)) {
        let mut table = [0; 64];
        tiff.source.read_exact_at(at, &mut table, "a quantisation table")?;
        segment(0xDB, &[&[number], &table]);
    }
    for (class, tag) in [(0, tags::JPEG_DC), (0x10, tags::JPEG_AC)] {
        for (number, at) in (0..).zip(places(tag)?.into_iter().take(components)) {
            let mut counts = [0; 16];
            tiff.source.read_exact_at(at, &mut counts, "a Huffman table")?;
            let mut symbols = vec![0; counts.iter().map(|&count| usize::from(count)).sum()];
            tiff.source.read_exact_at(at + 16, &mut symbols, "a Huffman table")?;
            segment(0xC4, &[&[class | number], &counts, &symbols]);
        }
    }
    let sampling = match (page.colors, tiff.numbers(directory, tags::SUBSAMPLING, cx)?.as_deref()) {
        (Colors::YCbCr, Some(&[across @ 1..=4, down @ 1..=4])) => (across as u32, down as u32),
        (Colors::YCbCr, None) => (2, 2),
        _ => (1, 1),
    };
    let (width, height) = (page.width.min(0xFFFF) as u16, page.height.min(0xFFFF) as u16);
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(components as u8);
    let mut chosen = vec![components as u8];
    for number in 0..components as u8 {
        let factors = if number == 0 { (sampling.0 << 4 | sampling.1) as u8 } else { 0x11 };
        frame.extend([number + 1, factors, number]);
        chosen.extend([number + 1, number << 4 | number]);
    }
    chosen.extend([0, 63, 0]);
    segment(0xC0, &[&frame]);
    if strips > 1 {
        let across = page.width.div_ceil(8 * sampling.0);
        let units = across.saturating_mul(page.chunk.1.div_ceil(8 * sampling.1));
        segment(0xDD, &[&(units.min(0xFFFF) as u16).to_be_bytes()]);
    }
    segment(SOS, &[&chosen]);
    Ok(head)
}
