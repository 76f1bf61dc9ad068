//! Writes images as PNG.

use std::io::Error as IoError;

use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Info};
use serde_json::Value;

use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: true, float: false, light: Light::Stated, profile: true };

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    let mut info = Info::with_size(image.width(), image.height());
    info.color_type = match image.channels() {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    info.bit_depth = if matches!(image.samples(), Samples::U8(_)) { BitDepth::Eight } else { BitDepth::Sixteen };
    match (&image.icc, image.color_space) {
        (Some(profile), ColorSpace::Icc) => info.icc_profile = Some(profile.into()),
        (_, ColorSpace::Linear) => info.source_gamma = Some(png::ScaledFloat::from_scaled(100_000)),
        (_, ColorSpace::Srgb) => info.srgb = Some(png::SrgbRenderingIntent::Perceptual),
        _ => {}
    }
    let mut untold = 0;
    let texts = record.properties.get("text").and_then(Value::as_object);
    for (keyword, text) in texts.into_iter().flatten() {
        let legal = !keyword.is_empty() && keyword.len() < 80 && keyword.is_ascii();
        match text {
            Value::String(text) if legal => {
                info.utf8_text.push(png::text_metadata::ITXtChunk::new(keyword.as_str(), text.as_str()));
            }
            _ => untold += 1,
        }
    }
    encode::lose_rest(record, &["text"], cx);
    cx.lose("text", untold, "texts with a keyword that PNG cannot hold");

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
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    }
    .map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

fn unwritten(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => error.into(),
        other => IoError::other(other).into(),
    }
}
