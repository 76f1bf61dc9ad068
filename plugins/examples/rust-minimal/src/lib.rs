//! farbfeld, the lossless image format of suckless.org: a plugin in Rust.
//!
//! Specification: farbfeld(5), <https://tools.suckless.org/farbfeld/>.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `farbfeld` |
//! | 4, 4 | width, height, big-endian |
//! | 8 a pixel | red, green, blue, alpha, 16 bits each, big-endian, row by row, sRGB, alpha not premultiplied |
//!
//! Written: every image; 8-bit samples become 16-bit ones exactly. Lost, with a code each: `color-profile`, `precision` (floats).
//! Findings: `trailing`, bytes behind the last pixel, an error in strict mode.
#![forbid(unsafe_code)]

use std::io::Write as _;

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{Image, Samples};
use mediary_core::{
    Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord,
    Output, Result, Signature, Source, single,
};

const MAGIC: &[u8] = b"farbfeld";
const HEADER: u64 = 16;

const INFO: FormatInfo = FormatInfo::new("farbfeld", "farbfeld", &[Kind::Image])
    .extensions(&["ff"])
    .media_types(&["image/x-farbfeld"])
    .signatures(&[Signature { offset: 0, bytes: MAGIC, mask: &[] }])
    .reads()
    .writes(&[Feature::Alpha, Feature::SixteenBit, Feature::Integer])
    .spec("https://tools.suckless.org/farbfeld/");

struct Farbfeld;

mediary_core::export_plugin! { Farbfeld: INFO }

impl Format for Farbfeld {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut head = [0; HEADER as usize];
        source.read_exact_at(0, &mut head, "the header")?;
        if &head[..8] != MAGIC {
            return Err(Error::malformed("expected \"farbfeld\" at the start").at_byte(0));
        }
        let side = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (width, height) = (side(8), side(12));
        let facts = ImageFacts {
            width: Some(width),
            height: Some(height),
            channels: Some(4),
            bit_depth: Some(16),
            sample_format: Some("uint"),
            color_space: Some("srgb"),
            has_alpha: Some(true),
            frames: Some(1),
            orientation_applied: Some(false),
        };
        let header = Header::single(Facts::Image(facts));
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(header.clone()), move || read(&source, &cx, width, height)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let Media::Image(image) = &record.media else {
            return Err(Error::unsupported(format!("farbfeld holds an image, not {}", record.kind())));
        };
        out.write_all(MAGIC)?;
        out.write_all(&image.width().to_be_bytes())?;
        out.write_all(&image.height().to_be_bytes())?;
        cx.lose("color-profile", u64::from(image.icc.is_some()), "the ICC profile");
        let channels = usize::from(image.channels());
        match image.samples() {
            Samples::U8(samples) => put(out, cx, samples, channels, |sample| u16::from(sample) * 257),
            Samples::U16(samples) => put(out, cx, samples, channels, |sample| sample),
            Samples::F32(samples) => {
                cx.lose("precision", samples.len() as u64, "float samples, rounded to 16 bits from 0 to 1");
                put(out, cx, samples, channels, |sample: f32| (sample.clamp(0.0, 1.0) * 65535.0).round() as u16)
            }
            _ => Err(Error::unsupported("samples of this type cannot be written")),
        }
    }
}

fn read(source: &Source, cx: &Context, width: u32, height: u32) -> Result<MediaRecord> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Error::malformed(format!("expected pixels, found {width} x {height}")).at_byte(8));
    }
    cx.limits().check("pixels", pixels)?;
    let left = source.len().saturating_sub(HEADER);
    if left > pixels.saturating_mul(8) {
        let message = format!("{} bytes behind the last pixel", left - pixels * 8);
        cx.tolerate("trailing", message, Location::byte(HEADER + pixels * 8))?;
    }
    // Checks that the file is long enough, and pays for the memory.
    let mut samples: Vec<u16> = cx.budget().vec("samples", pixels.saturating_mul(4), 2, left)?;
    let mut row = vec![0; width as usize * 8];
    for y in 0..u64::from(height) {
        cx.checkpoint()?;
        source.read_exact_at(HEADER + y * row.len() as u64, &mut row, "a row of pixels")?;
        samples.extend(row.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
    }
    Ok(MediaRecord::new(Image::new(width, height, 4, Samples::U16(samples.into()))?))
}

/// Gray becomes three equal channels; without alpha a pixel is opaque.
fn put<T: Copy>(out: &mut Output, cx: &Context, all: &[T], channels: usize, to_u16: impl Fn(T) -> u16) -> Result<()> {
    for (index, pixel) in all.chunks_exact(channels).enumerate() {
        if index % (1 << 16) == 0 {
            cx.checkpoint()?;
        }
        let at = |channel: usize| to_u16(pixel[channel]);
        let rgba = match channels {
            1 => [at(0), at(0), at(0), u16::MAX],
            2 => [at(0), at(0), at(0), at(1)],
            3 => [at(0), at(1), at(2), u16::MAX],
            _ => [at(0), at(1), at(2), at(3)],
        };
        rgba.iter().try_for_each(|sample| out.write_all(&sample.to_be_bytes()))?;
    }
    Ok(())
}
