//! Writes images as PNG.

use std::io::Error as IoError;

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result, convert};
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Info};
use serde_json::Value;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Image(image) = &record.media else {
        return Err(Error::unsupported(format!("expected an image, found {}", record.kind())));
    };
    let annotations = serde_json::to_value(&record.annotations).unwrap_or_default();
    cx.lose("annotations", u64::from(!is_blank(&annotations)), "boxes and masks");
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
        (_, ColorSpace::Linear) if !float => info.source_gamma = Some(png::ScaledFloat::from_scaled(100_000)),
        (_, ColorSpace::Srgb | ColorSpace::Linear) => info.srgb = Some(png::SrgbRenderingIntent::Perceptual),
        _ => {}
    }
    let mut lost = 0;
    for (name, value) in &record.properties {
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

/// Whether a value holds nothing but empty objects and lists.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(is_blank),
        Value::Object(values) => values.values().all(is_blank),
        _ => false,
    }
}
