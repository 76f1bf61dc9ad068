//! QOI, the Quite OK Image format.
//!
//! Specification: version 1.0, <https://qoiformat.org/qoi-specification.pdf>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `qoif` |
//! | 4 | 8 | width, height (big-endian) |
//! | 12 | 1 | channels, 3 or 4 |
//! | 13 | 1 | 0 sRGB with linear alpha, 1 all linear |
//! | 14 | n | chunks: `FE` RGB, `FF` RGBA, `00` index, `40` difference, `80` luma, `C0` run |
//! | | 8 | end, `00 00 00 00 00 00 00 01` |
//!
//! Read and written: all of it.
//!
//! Strictness: a missing or wrong end (`qoi.end`), bytes behind it (`qoi.trailing-bytes`), a run that goes on behind the
//! last pixel (`qoi.run`) and another number than 0 or 1 for the colours (`qoi.color-space`) are warnings, errors when
//! strict. A file whose chunks end early is an error; lenient reads the pixels before, the rest is black
//! (`qoi.truncated`).

use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{
    Context, Error, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Result, Signature, Source, register,
    single,
};

use crate::decode;
use crate::raster::{Layout, u32_be};

const HEADER: usize = 14;
const END: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

const INFO: FormatInfo = FormatInfo::new("qoi", "Quite OK Image", &[Kind::Image])
    .extensions(&["qoi"])
    .media_types(&["image/qoi", "image/x-qoi"])
    .signatures(&[Signature { offset: 0, bytes: b"qoif", mask: &[] }])
    .reads()
    .spec("https://qoiformat.org/qoi-specification.pdf");

struct Qoi;

register!(Qoi);

impl Format for Qoi {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (layout, space) = layout(source, cx)?;
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(layout.header()), move || read(&source, layout, space, &cx)))
    }
}

/// The layout, and the byte that names the colours.
fn layout(source: &Source, cx: &Context) -> Result<(Layout, u8)> {
    let mut head = [0; HEADER];
    source.read_exact_at(0, &mut head, "the header")?;
    if !head.starts_with(b"qoif") {
        return Err(Error::malformed(format!("expected \"qoif\", found {:?}", head[..4].escape_ascii().to_string()))
            .at_byte(0));
    }
    let (width, height, channels, space) = (u32_be(&head, 4), u32_be(&head, 8), head[12], head[13]);
    if !matches!(channels, 3 | 4) {
        return Err(Error::malformed(format!("expected 3 or 4 channels, found {channels}")).at_byte(12));
    }
    decode::check_size(cx, width, height, 8 * u64::from(channels), source.len())?;
    let mut layout = Layout::new(width, height, channels, 8);
    if space == 1 {
        layout.color_space = ColorSpace::Linear;
    }
    Ok((layout, space))
}

/// Where a colour stands among those seen.
fn hash([r, g, b, a]: [u8; 4]) -> usize {
    (usize::from(r) * 3 + usize::from(g) * 5 + usize::from(b) * 7 + usize::from(a) * 11) % 64
}

fn read(source: &Source, layout: Layout, space: u8, cx: &Context) -> Result<MediaRecord> {
    if space > 1 {
        let text = format!("expected the colours 0 or 1, found {space}; they are taken for sRGB");
        cx.tolerate("color-space", text, Location::byte(13))?;
    }
    let bytes = source.bytes(cx)?;
    let channels = usize::from(layout.channels);
    let mut pixels = decode::buffer::<u8>(cx, layout.samples())?;
    let mut chunks = Chunks { bytes: &bytes, at: HEADER, pixel: [0, 0, 0, 255], seen: [[0; 4]; 64], run: 0 };
    'rows: for (y, row) in pixels.chunks_exact_mut(layout.row()).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let Some(color) = chunks.next_pixel() else {
                let done = y as u64 * u64::from(layout.width) + x as u64;
                let all = u64::from(layout.width) * u64::from(layout.height);
                let text = format!("the chunks end early: expected {all} pixels, found {done}");
                let error = Error::malformed(text).at_byte(chunks.at as u64);
                cx.unless_lenient("truncated", error.with_hint("the file is cut short; fetch or copy it again"))?;
                break 'rows;
            };
            pixel.copy_from_slice(&color[..channels]);
        }
    }
    if chunks.run > 0 {
        let text = format!("a run goes on for {} pixels behind the last one", chunks.run);
        cx.tolerate("run", text, Location::byte(chunks.at as u64 - 1))?;
    }
    let end = chunks.at;
    match bytes.get(end..).unwrap_or_default() {
        rest if !rest.starts_with(&END) => {
            let text = format!("expected the end {END:02x?}, found {:02x?}", &rest[..rest.len().min(8)]);
            cx.tolerate("end", text, Location::byte(end as u64))?;
        }
        rest if rest.len() > END.len() => {
            let text = format!("{} bytes after the end, they are left out", rest.len() - END.len());
            cx.tolerate("trailing-bytes", text, Location::byte((end + END.len()) as u64))?;
        }
        _ => {}
    }
    Ok(MediaRecord::new(layout.image(Samples::U8(pixels.into()))?))
}

struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    pixel: [u8; 4],
    seen: [[u8; 4]; 64],
    /// Pixels that still repeat the last one.
    run: u8,
}

impl Chunks<'_> {
    /// The next pixel; `None` at the end of the file.
    fn next_pixel(&mut self) -> Option<[u8; 4]> {
        if self.run > 0 {
            self.run -= 1;
            return Some(self.pixel);
        }
        let rest = self.bytes.get(self.at..)?;
        let [r, g, b, a] = self.pixel;
        let (pixel, used) = match *rest.first()? {
            0xFE => {
                let &[_, r, g, b] = rest.first_chunk()?;
                ([r, g, b, a], 4)
            }
            0xFF => {
                let &[_, r, g, b, a] = rest.first_chunk()?;
                ([r, g, b, a], 5)
            }
            byte @ 0..0x40 => (self.seen[usize::from(byte)], 1),
            byte @ 0x40..0x80 => {
                let change = |value: u8, shift: u8| value.wrapping_add((byte >> shift) & 3).wrapping_sub(2);
                ([change(r, 4), change(g, 2), change(b, 0), a], 1)
            }
            byte @ 0x80..0xC0 => {
                let &[_, second] = rest.first_chunk()?;
                let green = (byte & 63).wrapping_sub(32);
                let change = |value: u8, by: u8| value.wrapping_add(green).wrapping_add(by).wrapping_sub(8);
                ([change(r, second >> 4), g.wrapping_add(green), change(b, second & 15), a], 2)
            }
            byte => {
                self.run = byte & 63;
                ([r, g, b, a], 1)
            }
        };
        self.at += used;
        self.pixel = pixel;
        self.seen[hash(pixel)] = pixel;
        Some(pixel)
    }
}
