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
//! Read: all of it. Written: 8-bit RGB and RGBA, sRGB or linear; gray becomes RGB. Lost: 16 bits and floats (`qoi.depth`,
//! `qoi.float`), colour profiles (`qoi.icc`), properties (`qoi.properties`).
//!
//! Strictness: a missing or wrong end (`qoi.end`), bytes behind it (`qoi.trailing-bytes`), a run that goes on behind the
//! last pixel (`qoi.run`) and another number than 0 or 1 for the colours (`qoi.color-space`) are warnings, errors when
//! strict. A file whose chunks end early is an error; lenient reads the pixels before, the rest is black
//! (`qoi.truncated`).

use std::io::Write;

use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{
    Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Output, Result, Signature,
    Source, register, single,
};

use crate::decode;
use crate::encode::{self, Holds, Light};
use crate::raster::{Layout, u32_be};

const HEADER: usize = 14;
const END: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

const INFO: FormatInfo = FormatInfo::new("qoi", "Quite OK Image", &[Kind::Image])
    .extensions(&["qoi"])
    .media_types(&["image/qoi", "image/x-qoi"])
    .signatures(&[Signature { offset: 0, bytes: b"qoif", mask: &[] }])
    .reads()
    .writes(&[Feature::Alpha, Feature::Integer])
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

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

/// The layout, and the byte that names the colours.
fn layout(source: &Source, cx: &Context) -> Result<(Layout, u8)> {
    let mut head = [0; HEADER];
    source.read_exact_at(0, &mut head, "the header")?;
    if !head.starts_with(b"qoif") {
        return Err(
            Error::malformed(format!("expected \"qoif\", found {:?}", head[..4].escape_ascii().to_string())).at_byte(0)
        );
    }
    let (width, height, channels, space) = (u32_be(&head, 4), u32_be(&head, 8), head[12], head[13]);
    if !matches!(channels, 3 | 4) {
        return Err(Error::malformed(format!("expected 3 or 4 channels, found {channels}")).at_byte(12));
    }
    let mut layout = Layout::new(width, height, channels, 8);
    layout.check(cx, source.len())?;
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

const HOLDS: Holds =
    Holds { channels: &[3, 4], eight: true, sixteen: false, float: false, light: Light::Stated, profile: false };

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &[], cx);
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    out.write_all(b"qoif")?;
    out.write_all(&image.width().to_be_bytes())?;
    out.write_all(&image.height().to_be_bytes())?;
    out.write_all(&[image.channels(), u8::from(image.color_space == ColorSpace::Linear)])?;
    let channels = usize::from(image.channels());
    let mut chunks = Vec::new();
    let mut state = Coder { pixel: [0, 0, 0, 255], seen: [[0; 4]; 64], run: 0 };
    for row in samples.chunks(image.width() as usize * channels) {
        cx.checkpoint()?;
        for pixel in row.chunks_exact(channels) {
            state.put([pixel[0], pixel[1], pixel[2], pixel.get(3).copied().unwrap_or(255)], &mut chunks);
        }
        out.write_all(&chunks)?;
        chunks.clear();
    }
    state.end_run(&mut chunks);
    out.write_all(&chunks)?;
    Ok(out.write_all(&END)?)
}

struct Coder {
    pixel: [u8; 4],
    seen: [[u8; 4]; 64],
    run: u8,
}

impl Coder {
    fn end_run(&mut self, chunks: &mut Vec<u8>) {
        if self.run > 0 {
            chunks.push(0xC0 | (self.run - 1));
            self.run = 0;
        }
    }

    fn put(&mut self, pixel: [u8; 4], chunks: &mut Vec<u8>) {
        let before = std::mem::replace(&mut self.pixel, pixel);
        if pixel == before {
            self.run += 1;
            // 63 and 64 would be the tags of RGB and RGBA.
            if self.run == 62 {
                self.end_run(chunks);
            }
            return;
        }
        self.end_run(chunks);
        let place = hash(pixel);
        if self.seen[place] == pixel {
            chunks.push(place as u8);
            return;
        }
        self.seen[place] = pixel;
        let [r, g, b, a] = pixel;
        if a != before[3] {
            return chunks.extend([0xFF, r, g, b, a]);
        }
        let [dr, dg, db] = [r.wrapping_sub(before[0]), g.wrapping_sub(before[1]), b.wrapping_sub(before[2])];
        let [small_r, small_g, small_b] = [dr, dg, db].map(|change| change.wrapping_add(2));
        let (green, red, blue) =
            (dg.wrapping_add(32), dr.wrapping_sub(dg).wrapping_add(8), db.wrapping_sub(dg).wrapping_add(8));
        if small_r < 4 && small_g < 4 && small_b < 4 {
            chunks.push(0x40 | small_r << 4 | small_g << 2 | small_b);
        } else if green < 64 && red < 16 && blue < 16 {
            chunks.extend([0x80 | green, red << 4 | blue]);
        } else {
            chunks.extend([0xFE, r, g, b]);
        }
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::Strictness;
    use mediary_core::record::Image;

    use super::*;
    use crate::testing;

    /// Facts that Pillow 13.0.0 states: name, channels, bits, SHA-256 of the RGBA pixels.
    const PILLOW: &[testing::Pillow] = &[
        ("basic-test.qoi", 4, 8, "ee82815b4b711d6d4eba1b2b72247b85d58ff5e3b1ada96e2cc4c5b671ca020c"),
        ("slopes.qoi", 4, 8, "15f24aae1874625e3c4a2515cd226b337b52a2295d2099591b0561a804d6f088"),
    ];

    fn read(name: &str) -> MediaRecord {
        testing::read(name, testing::data(&format!("qoi/{name}"))).unwrap()
    }

    #[test]
    fn pixels_are_those_of_pillow() {
        testing::pillow("qoi", PILLOW);
    }

    /// The bytes are those of Pillow 13.0.0, but that it writes RGBA for every picture with alpha.
    #[test]
    fn the_same_bytes_are_written() {
        let bytes = testing::data("qoi/slopes.qoi");
        assert_eq!(testing::write(&mut read("slopes.qoi"), "qoi", &[]), bytes);
    }

    #[test]
    fn what_is_written_is_read_again() {
        // Long runs, colours seen before, small and larger steps, steps over the end of a byte.
        let values = [0, 0, 0, 1, 2, 250, 251, 3, 100, 90, 0, 0, 255, 17];
        for channels in [3, 4] {
            let mut samples: Vec<u8> =
                (0..400 * usize::from(channels)).map(|index| values[index / 3 % 14] ^ (index / 900) as u8).collect();
            samples.extend(vec![9; 200 * usize::from(channels)]);
            let mut image = Image::new(60, 10, channels, Samples::U8(samples.into())).unwrap();
            image.color_space = if channels == 3 { ColorSpace::Linear } else { ColorSpace::Srgb };
            let bytes = testing::write(&mut MediaRecord::new(image.clone()), "qoi", &[]);
            let again = testing::read("a.qoi", bytes).unwrap();
            assert_eq!(testing::image(&again), &image);
            assert_eq!(testing::codes(&again), Vec::<String>::new());
        }
    }

    #[test]
    fn malformed_files_are_refused_or_told() {
        let record = testing::read("a.qoi", testing::data("qoi/malformed/op_index.qoi")).unwrap();
        assert_eq!(testing::codes(&record), ["qoi.end"]);
        let cut = testing::data("qoi/malformed/truncated-basic-test.qoi");
        let error = testing::read("a.qoi", cut.clone()).unwrap_err();
        assert!(error.message().contains("expected 25 pixels"), "{error}");
        let record = testing::read_with("a.qoi", cut, &testing::strictly(Strictness::Lenient)).unwrap();
        assert_eq!(testing::codes(&record), ["qoi.truncated", "qoi.end"]);
        assert_eq!(testing::names("qoi/malformed").len(), 2);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("qoi");
    }
}
