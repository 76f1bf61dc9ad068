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

/// Bytes of the tables of a page, and of what is put before a stream.
const MAX_TABLES: u64 = 1 << 20;

/// Bytes that a picture may have beyond what there is room for: 1 MiB.
const SPARE: u64 = 1 << 20;

/// Passes over a picture.
const MAX_SCANS: usize = 100;

/// How the streams of a page are decoded.
pub(super) struct Jpeg {
    /// Segments all streams of the page share.
    tables: Vec<u8>,
    /// What a stream of the old kind begins with, behind the tables.
    old: Option<Old>,
    /// Whether the components are YCbCr that becomes RGB.
    converts: bool,
    /// Samples of a pixel in a stream.
    components: usize,
}

/// Segments of a stream of the old kind that are not in the strips.
struct Old {
    /// The frame header, without its size.
    frame: Vec<u8>,
    /// The scan header.
    scan: Vec<u8>,
}

impl Jpeg {
    pub(super) fn of(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        let components = if page.planar { 1 } else { page.samples };
        if components == 2 || components > 4 {
            return Err(
                Error::unsupported(format!("JPEG of {components} samples a pixel is not read")).at_byte(directory.at)
            );
        }
        if page.compression == 6 {
            return Self::of_old(tiff, directory, page, cx);
        }
        let tables = tiff.bytes(directory, tags::JPEG_TABLES, MAX_TABLES, cx)?.unwrap_or_default();
        let tables = Segments::of(&tables).tables;
        Ok(Self { tables, old: None, converts: page.colors == Colors::YCbCr && !page.planar, components })
    }

    fn of_old(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        const LOSSLESS: u64 = 14;
        if tiff.first_number(directory, tags::JPEG_PROCESS, cx)? == Some(LOSSLESS) {
            return Err(lossless().at_byte(directory.at));
        }
        if page.planar {
            return Err(Error::unsupported("JPEG of the old kind in planes is not read").at_byte(directory.at));
        }
        // Other black and white than JPEG has are dealt with by TIFF.
        let usual = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
        let reference = tiff.reals(directory, tags::REFERENCE, cx)?;
        let converts = reference.is_none_or(|reference| reference == usual || page.colors != Colors::YCbCr);
        let stated = stream(tiff, directory, cx)?.map(|stream| Segments::of(&stream));
        let mut segments = stated.unwrap_or_default();
        if segments.frame.is_empty() {
            segments.write(tiff, directory, page, cx)?;
            segments.scan = written_scan(page.samples as u8, page.samples as u8);
        }
        if segments.scan.is_empty() {
            // It may stand before the data of the first strip; luminance and colours have tables of their own otherwise.
            let first = tiff.first_number(directory, tags::STRIP_OFFSETS, cx)?.filter(|&at| at < tiff.source.len());
            let mut head = [0; 1024];
            let length = first.map_or(Ok(0), |at| tiff.source.read_at(at, &mut head))?;
            segments.scan = Segments::of(&head[..length]).scan;
        }
        if segments.scan.is_empty() {
            segments.scan = written_scan(page.samples as u8, 2);
        }
        let old = Old { frame: segments.frame, scan: segments.scan };
        Ok(Self {
            tables: segments.tables,
            old: Some(old),
            converts: converts && page.samples == 3,
            components: page.samples,
        })
    }

    /// Whether what comes out is RGB.
    pub(super) fn makes_rgb(&self) -> bool {
        self.converts && self.components == 3
    }

    /// A whole stream of `packed`, for rows of `width` pixels.
    fn stream(&self, packed: &[u8], width: u32, rows: usize) -> Vec<u8> {
        let adobe = [&[0xFF, 0xEE, 0, 14], &b"Adobe"[..], &[0, 100, 0, 0, 0, 0, u8::from(self.converts)]].concat();
        let head = Segments::of(packed);
        match &self.old {
            Some(old) if head.frame.is_empty() => {
                let mut frame = old.frame.clone();
                if let Some(size) = frame.get_mut(5..9) {
                    size[..2].copy_from_slice(&(rows.min(0xFFFF) as u16).to_be_bytes());
                    size[2..].copy_from_slice(&(width.min(0xFFFF) as u16).to_be_bytes());
                }
                let data = packed[head.end..].strip_suffix(&EOI).unwrap_or(&packed[head.end..]);
                [&SOI[..], &adobe, &self.tables, &head.tables, &frame, &old.scan, data, &EOI].concat()
            }
            _ => {
                let rest = packed.strip_prefix(&SOI).unwrap_or(packed);
                [&SOI[..], &adobe, &self.tables, rest].concat()
            }
        }
    }

    /// Decodes a stream into rows of `width` pixels.
    pub(super) fn unpack(&self, packed: &[u8], width: u32, out: &mut [u8], cx: &Context) -> Result<Unpacked> {
        let to = width as usize * self.components;
        let rows = out.len() / to;
        cx.budget().take(packed.len() as u64 + MAX_TABLES)?;
        let stream = self.stream(packed, width, rows);
        if Segments::of(&stream).lossless {
            return Err(lossless());
        }
        let options = DecoderOptions::default()
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_max_scans(MAX_SCANS);
        let broken = |error| format!("the JPEG stream is broken: {error:?}").replace('"', "");
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&stream[..]), options);
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
            (3, Some(ColorSpace::YCbCr)) if !self.converts => ColorSpace::YCbCr,
            (3, _) => ColorSpace::RGB,
            (_, found) => found.unwrap_or(ColorSpace::CMYK),
        };
        let (across, down) = (usize::from(info.width), usize::from(info.height));
        let size = (across * down * self.components) as u64;
        // Streams may be a little larger than their strip or tile, or as high as the others.
        if size > 4 * out.len() as u64 + SPARE {
            let text = format!("expected a JPEG picture of {width} x {rows} pixels, found {across} x {down}");
            return Ok(Unpacked::until(0, text));
        }
        let mut pixels = crate::decode::buffer::<u8>(cx, size)?;
        let mut run = |strict: bool| {
            let options = options.jpeg_set_out_colorspace(colors).set_strict_mode(strict);
            JpegDecoder::new_with_options(ZCursor::new(&stream[..]), options).decode_into(&mut pixels)
        };
        // What is refused strictly is decoded as far as it goes.
        let problem = match run(true) {
            Ok(()) => None,
            Err(error) if run(false).is_ok() => Some(broken(error)),
            Err(error) => return Ok(Unpacked::until(0, broken(error))),
        };
        let from = across * self.components;
        for (to, from) in out.chunks_exact_mut(to).zip(pixels.chunks_exact(from)) {
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
        }
        cx.budget().give_back(size + packed.len() as u64 + MAX_TABLES);
        if from < to {
            return Ok(Unpacked::until(0, format!("expected a JPEG picture {width} pixels wide, found {across}")));
        }
        Ok(Unpacked { bytes: down.min(rows) * to, problem })
    }
}

/// The one stream of a page of the old kind, where there is one with everything in it.
pub(super) fn whole_stream(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<Option<Vec<u8>>> {
    let Some(stream) = stream(tiff, directory, cx)? else { return Ok(None) };
    let segments = Segments::of(&stream);
    let has_data = stream[segments.end..].windows(2).any(|pair| pair == EOI);
    Ok((!segments.frame.is_empty() && !segments.scan.is_empty() && has_data).then_some(stream))
}

/// What stands at the tag JPEGInterchangeFormat, if it is a stream.
fn stream(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<Option<Vec<u8>>> {
    let Some(at) = tiff.first_number(directory, tags::JPEG_STREAM, cx)? else { return Ok(None) };
    let left = tiff.source.len().saturating_sub(at);
    let stated = tiff.first_number(directory, tags::JPEG_STREAM_BYTES, cx)?.unwrap_or(0);
    // Lengths that leave no room for a head are wrong.
    let length = if stated < 64 { left } else { stated.min(left) };
    let mut stream = crate::decode::buffer::<u8>(cx, length)?;
    tiff.exact(at, &mut stream, "the JPEG stream")?;
    Ok(stream.starts_with(&SOI).then_some(stream))
}

fn lossless() -> Error {
    Error::unsupported("lossless JPEG is not read").with_hint("`tiffcp -c zip` of libtiff writes it anew")
}

/// What a stream has before its data.
#[derive(Default)]
struct Segments {
    /// Tables and restart intervals.
    tables: Vec<u8>,
    frame: Vec<u8>,
    scan: Vec<u8>,
    lossless: bool,
    /// Where the data begin.
    end: usize,
}

impl Segments {
    /// Walks over segments as long as there are some, up to and with the header of the first scan.
    fn of(stream: &[u8]) -> Self {
        let mut found = Self::default();
        if stream.starts_with(&SOI) {
            found.end = 2;
        }
        while let Some(&[0xFF, marker, high, low]) = stream.get(found.end..).and_then(<[u8]>::first_chunk) {
            let end = found.end + 2 + usize::from(u16::from_be_bytes([high, low]));
            let Some(segment) = stream.get(found.end..end) else { break };
            match marker {
                0xC4 | 0xDB | 0xDD => found.tables.extend_from_slice(segment),
                0xC0..=0xC2 => found.frame = segment.to_vec(),
                0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => found.lossless = true,
                SOS => found.scan = segment.to_vec(),
                0xE0..=0xEF | 0xFE => {}
                // A restart, the end, or data.
                _ => break,
            }
            found.end = end;
            if marker == SOS {
                break;
            }
        }
        found
    }

    /// Puts tables that stand apart into segments, and makes a frame header.
    fn write(&mut self, tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<()> {
        let components = page.samples;
        let places = |tag: u16| -> Result<Vec<u64>> {
            let mut places = tiff.numbers(directory, tag, cx)?.unwrap_or_default();
            if places.len() < components {
                let text = format!("expected the places of {components} JPEG tables, found {}", places.len());
                return Err(Error::malformed(text).at(Location::element(format!("tag {tag}")).with_byte(directory.at)));
            }
            places.truncate(components);
            Ok(places)
        };
        for (number, at) in (0..).zip(places(tags::JPEG_QUANTISATION)?) {
            let mut table = [0; 64];
            tiff.exact(at, &mut table, "a quantisation table")?;
            segment(&mut self.tables, 0xDB, &[&[number], &table]);
        }
        for (class, tag) in [(0, tags::JPEG_DC), (0x10, tags::JPEG_AC)] {
            for (number, at) in (0..).zip(places(tag)?) {
                let mut counts = [0; 16];
                tiff.exact(at, &mut counts, "a Huffman table")?;
                let mut symbols = vec![0; counts.iter().map(|&count| usize::from(count)).sum()];
                tiff.exact(at.saturating_add(16), &mut symbols, "a Huffman table")?;
                segment(&mut self.tables, 0xC4, &[&[class | number], &counts, &symbols]);
            }
        }
        let (across, down) = match (page.colors, tiff.numbers(directory, tags::SUBSAMPLING, cx)?.as_deref()) {
            (Colors::YCbCr, Some(&[across @ 1..=4, down @ 1..=4])) => (across as u8, down as u8),
            (Colors::YCbCr, None) => (2, 2),
            _ => (1, 1),
        };
        let mut frame = vec![8, 0, 0, 0, 0, components as u8];
        for number in 0..components as u8 {
            frame.extend([number + 1, if number == 0 { across << 4 | down } else { 0x11 }, number]);
        }
        segment(&mut self.frame, 0xC0, &[&frame]);
        Ok(())
    }
}

/// The header of a scan of all components, the last of which share the last of so many tables.
fn written_scan(components: u8, tables: u8) -> Vec<u8> {
    let mut chosen = vec![components];
    let table = |number: u8| number.min(tables - 1);
    (0..components).for_each(|number| chosen.extend([number + 1, table(number) << 4 | table(number)]));
    chosen.extend([0, 63, 0]);
    let mut scan = Vec::new();
    segment(&mut scan, SOS, &[&chosen]);
    scan
}

fn segment(to: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let length: usize = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
    to.extend([0xFF, marker]);
    to.extend((length as u16).to_be_bytes());
    parts.iter().for_each(|part| to.extend_from_slice(part));
}
