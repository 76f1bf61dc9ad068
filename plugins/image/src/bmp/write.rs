//! Writes images as bitmaps.

use std::io::Write;

use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::Value;

use super::FILE_HEADER;
use super::dib;
use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[1, 3, 4], eight: true, sixteen: false, float: false, light: Light::Display, profile: true };

/// Bytes of a header of version 4.
const V4: u32 = 108;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &["pixels_per_meter"], cx);
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let channels = image.channels();
    let profile = image.icc.as_deref().filter(|_| image.color_space == ColorSpace::Icc);
    let header = match (profile, channels) {
        (Some(_), _) => dib::V5,
        (None, 4) => V4,
        _ => dib::INFO,
    };
    let palette: u32 = if channels == 1 { 4 * 256 } else { 0 };
    let width = u64::from(image.width()) * u64::from(channels);
    let stride = width.next_multiple_of(4);
    let pixels = stride * u64::from(image.height());
    let start = FILE_HEADER as u32 + header + palette;
    let whole = u64::from(start) + pixels + profile.map_or(0, |profile| profile.len() as u64);
    let most = i32::MAX as u32;
    let fits = u32::try_from(whole).ok().filter(|_| image.width() <= most && image.height() <= most);
    let Some(whole) = fits else {
        return Err(Error::unsupported(format!("expected a file of at most {} bytes, found {whole}", u32::MAX)));
    };

    let mut head = Vec::with_capacity(start as usize);
    head.extend(b"BM");
    head.extend([whole, 0, start].map(u32::to_le_bytes).concat());
    head.extend([header, image.width(), image.height()].map(u32::to_le_bytes).concat());
    head.extend([1, 8 * u16::from(channels)].map(u16::to_le_bytes).concat());
    let [across, down] = density(record);
    let compression = if channels == 4 { 3 } else { 0 };
    head.extend([compression, pixels as u32, across, down, palette / 4, 0].map(u32::to_le_bytes).concat());
    if header != dib::INFO {
        let masks = if channels == 4 { [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000] } else { [0; 4] };
        head.extend(masks.map(u32::to_le_bytes).concat());
        head.extend(if profile.is_some() { *b"DEBM" } else { *b"BGRs" });
        // End points and gammas count for calibrated colours alone.
        head.extend([0; 48]);
    }
    if let Some(profile) = profile {
        // Colours as pictures want them: the perceptual intent. The place counts from the start of this header.
        const PERCEPTUAL: u32 = 4;
        let place = whole - profile.len() as u32 - FILE_HEADER as u32;
        head.extend([PERCEPTUAL, place, profile.len() as u32, 0].map(u32::to_le_bytes).concat());
    }
    if palette > 0 {
        head.extend((0..=255).flat_map(|gray| [gray, gray, gray, 0]));
    }
    out.write_all(&head)?;

    let mut row = vec![0; stride as usize];
    for (y, stored) in samples.rchunks(width as usize).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        for (to, from) in row.chunks_mut(channels.into()).zip(stored.chunks_exact(channels.into())) {
            to.copy_from_slice(from);
            if channels > 1 {
                to.swap(0, 2);
            }
        }
        out.write_all(&row)?;
    }
    Ok(out.write_all(profile.unwrap_or_default())?)
}

/// Pixels per meter, 0 where nothing says.
fn density(record: &MediaRecord) -> [u32; 2] {
    let list = record.properties.get("pixels_per_meter").and_then(Value::as_array);
    let value = |index: usize| {
        let value = list.and_then(|list| list.get(index)).and_then(Value::as_u64);
        value.and_then(|value| i32::try_from(value).ok()).map_or(0, i32::unsigned_abs)
    };
    [value(0), value(1)]
}
