//! Writes images as baseline JPEG with full chroma resolution.

use std::io::Write;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use mediary_core::record::Samples;
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::Value;

use super::{APP1, XMP};
use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[1, 3], eight: true, sixteen: false, float: false, light: Light::Display, profile: true };

/// Bytes of a segment without its marker and length.
const MOST_SEGMENT: usize = 65_533;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    let (width, height) = (image.width(), image.height());
    if width.max(height) > u32::from(u16::MAX) {
        return Err(Error::unsupported(format!("expected at most 65535 pixels a side, found {width} x {height}"))
            .with_hint("-o image.width and -o image.height make it smaller"));
    }
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let xmp = record.properties.get("xmp").and_then(Value::as_str);
    let xmp = xmp.filter(|text| text.len() + XMP.len() <= MOST_SEGMENT);
    encode::lose_rest(record, if xmp.is_some() { &["xmp"] } else { &[] }, cx);
    let pixels = u64::from(width) * u64::from(height);
    cx.lose("coding", pixels, format!("pixels are near to what they were, at quality {}", cx.options().int("quality")));
    // What is written rarely is larger than the pixels.
    let scratch = samples.len() as u64;
    cx.budget().take(scratch)?;
    cx.checkpoint()?;
    let quality = u8::try_from(cx.options().int("quality")).unwrap_or(100);
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if let Some(profile) = &image.icc {
        encoder.set_icc_profile(profile.clone()).map_err(|error| Error::unsupported(error.to_string()))?;
    }
    let color = if image.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    encoder.write_image(samples, width, height, color).map_err(unwritten)?;
    cx.checkpoint()?;
    // The notes follow the mark of the beginning.
    let (start, rest) = bytes.split_at(2);
    out.write_all(start)?;
    if let Some(text) = xmp {
        let length = (text.len() + XMP.len() + 2) as u16;
        out.write_all(&[0xFF, APP1])?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(XMP)?;
        out.write_all(text.as_bytes())?;
    }
    out.write_all(rest)?;
    cx.budget().give_back(scratch);
    Ok(())
}

fn unwritten(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) => error.into(),
        other => std::io::Error::other(other).into(),
    }
}
