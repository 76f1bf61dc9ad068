//! Writes images as pages.
//!
//! A directory stands at the end of its page, so that the last bytes of what is written so far are the place where the next
//! page is hooked on.

use std::io::{Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::Value;
use weezl::BitOrder;

use super::tags;
use crate::encode::{self, Holds, Light};

/// Bytes of a strip before it is packed.
const STRIP: usize = 256 << 10;

/// Effort of Deflate: predicted pixels hardly shrink further.
const LEVEL: u32 = 4;

/// Properties that are written, beside density.
const TEXTS: &[(u16, &str)] = &[
    (tags::DOCUMENT_NAME, "document_name"),
    (tags::DESCRIPTION, "description"),
    (tags::PAGE_NAME, "page_name"),
    (tags::XMP, "xmp"),
];

const DENSITIES: &[(&str, u16)] = &[("pixel_aspect", 1), ("pixels_per_inch", 2), ("pixels_per_cm", 3)];

#[derive(Clone, Copy, PartialEq)]
enum Packing {
    None,
    Lzw,
    Deflate,
}

/// Values of a tag, in their type.
enum Values {
    Text(String),
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Rational(u32, u32),
    /// Offsets, whose width is that of the file.
    Places(Vec<u64>),
}

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::image(record)?;
    // Floats are taken for light by those who read them, whole numbers are not.
    let float = matches!(image.samples(), Samples::F32(_));
    let holds = Holds {
        channels: &[1, 2, 3, 4],
        eight: true,
        sixteen: true,
        float: true,
        light: if float { Light::Linear } else { Light::Display },
        profile: true,
    };
    let image = encode::fit(image, &holds, cx)?;
    let packing = match cx.options().text("compression") {
        "none" => Packing::None,
        "lzw" => Packing::Lzw,
        _ => Packing::Deflate,
    };
    let mut page = Page { wide: cx.options().bool("big"), out, tags: Vec::new() };
    let hook = page.begin()?;
    page.pixels(&image, packing, cx)?;
    let mut kept: Vec<_> = TEXTS.iter().map(|(_, name)| *name).collect();
    for &(tag, name) in TEXTS {
        if let Some(Value::String(text)) = record.properties.get(name) {
            // What Adobe writes is no text to TIFF.
            let values =
                if tag == tags::XMP { Values::Bytes(text.clone().into_bytes()) } else { Values::Text(text.clone()) };
            page.tags.push((tag, values));
        }
    }
    for &(name, unit) in DENSITIES {
        let values = record.properties.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let Some([across, down]) = values else { continue };
        if let (Some(across), Some(down)) = (across.as_f64().and_then(rational), down.as_f64().and_then(rational)) {
            page.tags.push((tags::X_RESOLUTION, across));
            page.tags.push((tags::Y_RESOLUTION, down));
            page.tags.push((tags::RESOLUTION_UNIT, Values::Shorts(vec![unit])));
            kept.push(name);
            break;
        }
    }
    encode::lose_rest(record, &kept, cx);
    page.end(hook)
}

/// A positive number as a fraction.
fn rational(value: f64) -> Option<Values> {
    let whole = |scaled: f64| (scaled - scaled.round()).abs() < 1e-6;
    let scale =
        [1_u32, 10, 100, 1000, 10_000].into_iter().find(|&scale| whole(value * f64::from(scale))).unwrap_or(100_000);
    let scaled = (value * f64::from(scale)).round();
    (value > 0.0 && scaled <= f64::from(u32::MAX)).then_some(Values::Rational(scaled as u32, scale))
}

struct Page<'a> {
    wide: bool,
    out: &'a mut Output,
    tags: Vec<(u16, Values)>,
}

impl Page<'_> {
    fn offset_bytes(&self) -> u64 {
        if self.wide { 8 } else { 4 }
    }

    /// Writes the header, unless there are pages already. Returns where the offset of this page's directory goes.
    fn begin(&mut self) -> Result<u64> {
        if self.out.stream_position()? == 0 {
            if self.wide {
                self.out.write_all(b"II\x2B\0\x08\0\0\0\0\0\0\0\0\0\0\0")?;
            } else {
                self.out.write_all(b"II\x2A\0\0\0\0\0")?;
            }
        }
        Ok(self.out.stream_position()? - self.offset_bytes())
    }

    fn pixels(&mut self, image: &Image, packing: Packing, cx: &Context) -> Result<()> {
        let channels = usize::from(image.channels());
        let bits = image.samples().bits();
        let float = matches!(image.samples(), Samples::F32(_));
        let row = image.width() as usize * channels;
        let row_bytes = row * usize::from(bits / 8);
        let rows = (STRIP / row_bytes).clamp(1, image.height() as usize);
        let mut strip = Vec::with_capacity(rows * row_bytes);
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for first in (0..image.height() as usize).step_by(rows) {
            cx.checkpoint()?;
            let range = first * row..(first + rows).min(image.height() as usize) * row;
            strip.clear();
            match image.samples() {
                Samples::U8(samples) => strip.extend_from_slice(&samples[range]),
                Samples::U16(samples) => strip.extend(samples[range].iter().flat_map(|sample| sample.to_le_bytes())),
                Samples::F32(samples) => strip.extend(samples[range].iter().flat_map(|sample| sample.to_le_bytes())),
                _ => return Err(Error::unsupported("samples of a new type cannot be written")),
            }
            if packing != Packing::None {
                strip.chunks_exact_mut(row_bytes).for_each(|row| predict(row, channels, bits, float));
            }
            places.push(self.out.stream_position()?);
            let packed = match packing {
                Packing::None => None,
                Packing::Lzw => {
                    let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
                    Some(encoder.encode(&strip).map_err(std::io::Error::other)?)
                }
                Packing::Deflate => {
                    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
                    encoder.write_all(&strip)?;
                    Some(encoder.finish()?)
                }
            };
            let bytes = packed.as_deref().unwrap_or(&strip);
            self.out.write_all(bytes)?;
            lengths.push(bytes.len() as u64);
        }
        let predictor = if float { 3 } else { 2 };
        self.tags.extend([
            (tags::WIDTH, Values::Longs(vec![image.width()])),
            (tags::HEIGHT, Values::Longs(vec![image.height()])),
            (tags::BITS, Values::Shorts(vec![bits.into(); channels])),
            (tags::COMPRESSION, Values::Shorts(vec![[1, 5, 8][packing as usize]])),
            (tags::PHOTOMETRIC, Values::Shorts(vec![if channels > 2 { 2 } else { 1 }])),
            (tags::STRIP_OFFSETS, Values::Places(places)),
            (tags::SAMPLES, Values::Shorts(vec![channels as u16])),
            (tags::ROWS_PER_STRIP, Values::Longs(vec![rows as u32])),
            (tags::STRIP_BYTES, Values::Places(lengths)),
            (tags::PLANAR, Values::Shorts(vec![1])),
            (tags::SAMPLE_FORMAT, Values::Shorts(vec![if float { 3 } else { 1 }; channels])),
        ]);
        if packing != Packing::None {
            self.tags.push((tags::PREDICTOR, Values::Shorts(vec![predictor])));
        }
        if matches!(channels, 2 | 4) {
            const UNASSOCIATED: u16 = 2;
            self.tags.push((tags::EXTRA_SAMPLES, Values::Shorts(vec![UNASSOCIATED])));
        }
        if let (Some(profile), ColorSpace::Icc) = (&image.icc, image.color_space) {
            self.tags.push((tags::ICC, Values::Bytes(profile.clone())));
        }
        Ok(())
    }

    /// Writes the directory, and its place at `hook`.
    fn end(mut self, hook: u64) -> Result<()> {
        self.tags.sort_by_key(|(tag, _)| *tag);
        let inline = self.offset_bytes() as usize;
        let mut entries = Vec::new();
        for (tag, values) in std::mem::take(&mut self.tags) {
            let (kind, size, mut bytes) = self.encoded(values)?;
            entries.extend(tag.to_le_bytes());
            entries.extend(u16::to_le_bytes(kind));
            let count = self.offset(bytes.len() as u64 / size)?;
            entries.extend(count);
            if bytes.len() > inline {
                let place = self.align()?;
                self.out.write_all(&bytes)?;
                bytes = self.offset(place)?;
            }
            bytes.resize(inline, 0);
            entries.extend(bytes);
        }
        let place = self.align()?;
        let count = entries.len() as u64 / if self.wide { 20 } else { 12 };
        if self.wide {
            self.out.write_all(&count.to_le_bytes())?;
        } else {
            self.out.write_all(&(count as u16).to_le_bytes())?;
        }
        self.out.write_all(&entries)?;
        self.out.write_all(&[0; 8][..inline])?;
        let (end, place) = (self.out.stream_position()?, self.offset(place)?);
        self.out.seek(SeekFrom::Start(hook))?;
        self.out.write_all(&place)?;
        self.out.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    /// Goes on to an even byte.
    fn align(&mut self) -> Result<u64> {
        let at = self.out.stream_position()?;
        if at % 2 == 1 {
            self.out.write_all(&[0])?;
        }
        Ok(at.next_multiple_of(2))
    }

    fn offset(&self, value: u64) -> Result<Vec<u8>> {
        if self.wide {
            return Ok(value.to_le_bytes().to_vec());
        }
        let narrow = u32::try_from(value).map_err(|_| {
            let text = format!("the file has {value} bytes, which offsets of 32 bits cannot reach");
            Error::unsupported(text).with_hint("write BigTIFF with -o tiff.big=true")
        })?;
        Ok(narrow.to_le_bytes().to_vec())
    }

    /// Type, bytes of a value, and the values.
    fn encoded(&self, values: Values) -> Result<(u16, u64, Vec<u8>)> {
        Ok(match values {
            Values::Text(text) => (2, 1, text.bytes().filter(|&byte| byte != 0).chain([0]).collect()),
            Values::Bytes(bytes) => (7, 1, bytes),
            Values::Shorts(values) => (3, 2, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Values::Longs(values) => (4, 4, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Values::Rational(over, under) => (5, 8, [over.to_le_bytes(), under.to_le_bytes()].concat()),
            Values::Places(values) => {
                let kind = if self.wide { 16 } else { 4 };
                let bytes: Vec<_> = values.into_iter().map(|value| self.offset(value)).collect::<Result<_>>()?;
                (kind, self.offset_bytes(), bytes.concat())
            }
        })
    }
}

/// Differences in place of samples, which pack better.
fn predict(row: &mut [u8], channels: usize, bits: u8, float: bool) {
    let bytes = usize::from(bits / 8);
    if float {
        // Bytes by significance, the most significant first.
        let count = row.len() / bytes;
        let mut parted = vec![0; row.len()];
        for (index, value) in row.chunks_exact(bytes).enumerate() {
            for (significance, byte) in value.iter().rev().enumerate() {
                parted[significance * count + index] = *byte;
            }
        }
        row.copy_from_slice(&parted);
    }
    if bits == 16 {
        let step = channels * 2;
        for index in (step..row.len()).step_by(2).rev() {
            let (left, here) = ([row[index - step], row[index - step + 1]], [row[index], row[index + 1]]);
            let difference = u16::from_le_bytes(here).wrapping_sub(u16::from_le_bytes(left));
            row[index..index + 2].copy_from_slice(&difference.to_le_bytes());
        }
    } else {
        for index in (channels..row.len()).rev() {
            row[index] = row[index].wrapping_sub(row[index - channels]);
        }
    }
}
