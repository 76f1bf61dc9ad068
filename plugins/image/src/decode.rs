//! What all pixel decoders share: sizes against limits, orientation, colour profiles, 16-bit samples.

use mediary_core::record::facts::VideoFacts;
use mediary_core::record::{Image, Samples, Track};
use mediary_core::{Context, Error, Location, Result};
use serde_json::{Map, Value};

/// Up to this many decoded bytes no compression is taken for a bomb: 16 MiB. A blank page compresses a thousandfold.
const HARMLESS: u64 = 16 << 20;

/// Bytes of the fixed header of an ICC profile.
const ICC_HEADER: usize = 128;

/// Checks the size that a file announces before anything is allocated for it: of pixels that are stored in `bits` each,
/// decompressed, and `encoded` bytes before. Returns the number of pixels.
pub(crate) fn check_size(cx: &Context, width: u32, height: u32, bits: u64, encoded: u64) -> Result<u64> {
    if width == 0 || height == 0 {
        return Err(Error::malformed(format!("expected a picture, found {width} x {height} pixels")));
    }
    let pixels = u64::from(width) * u64::from(height);
    cx.limits().check("pixels", pixels)?;
    check_expansion(cx, pixels.saturating_mul(bits) / 8, encoded)?;
    Ok(pixels)
}

/// Refuses what grows beyond measure when it is decompressed.
pub(crate) fn check_expansion(cx: &Context, decoded: u64, encoded: u64) -> Result<()> {
    if decoded <= HARMLESS { Ok(()) } else { cx.limits().check("expansion_ratio", decoded / encoded.max(1)) }
}

/// A zeroed buffer that the budget allows.
pub(crate) fn buffer<T: Clone + Default>(cx: &Context, count: u64) -> Result<Vec<T>> {
    cx.budget().take(count.saturating_mul(size_of::<T>() as u64))?;
    let length = usize::try_from(count).map_err(|_| Error::limit("alloc_bytes", count, usize::MAX as u64))?;
    Ok(vec![T::default(); length])
}

/// What `read` finds out for a header, and the bytes that it took, which are given back. Findings are told once, by the full read,
/// and not here.
pub(crate) fn quietly<T>(
    format: &'static str,
    cx: &Context,
    read: impl FnOnce(&Context) -> Result<T>,
) -> Result<(T, u64)> {
    let quiet = Context::builder(format)
        .limits(*cx.limits())
        .budget(cx.budget().clone())
        .options(cx.options().clone())
        .cancel(cx.cancel().clone())
        .strictness(cx.strictness())
        .build();
    let before = cx.budget().taken();
    let found = read(&quiet);
    let taken = cx.budget().taken().saturating_sub(before);
    cx.budget().give_back(taken);
    Ok((found?, taken))
}

/// What a decoder says, to go on a sentence with.
pub(crate) fn lower(message: &str) -> String {
    let mut letters = message.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Big-endian 16-bit samples as numbers.
pub(crate) fn samples_16(cx: &Context, bytes: Vec<u8>) -> Result<Vec<u16>> {
    let mut samples = buffer::<u16>(cx, bytes.len() as u64 / 2)?;
    for (sample, pair) in samples.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *sample = u16::from_be_bytes(*pair);
    }
    cx.budget().give_back(bytes.len() as u64);
    Ok(samples)
}

/// An image with the EXIF `orientation` (1 to 8) applied to its pixels.
pub(crate) fn upright(
    cx: &Context,
    width: u32,
    height: u32,
    channels: u8,
    samples: Samples,
    orientation: u8,
) -> Result<Image> {
    if orientation <= 1 {
        return Image::new(width, height, channels, samples);
    }
    let size = [width as usize, height as usize];
    let samples = match samples {
        Samples::U8(samples) => Samples::U8(turn(cx, &samples, size, channels, orientation)?.into()),
        Samples::U16(samples) => Samples::U16(turn(cx, &samples, size, channels, orientation)?.into()),
        Samples::F32(samples) => Samples::F32(turn(cx, &samples, size, channels, orientation)?.into()),
        _ => return Err(Error::unsupported("samples of a new type cannot be turned")),
    };
    let (width, height) = oriented(width, height, orientation);
    let mut image = Image::new(width, height, channels, samples)?;
    image.orientation_applied = true;
    Ok(image)
}

/// Width and height once `orientation` is applied.
pub(crate) fn oriented(width: u32, height: u32, orientation: u8) -> (u32, u32) {
    if orientation >= 5 { (height, width) } else { (width, height) }
}

fn turn<T: Copy + Default>(
    cx: &Context,
    from: &[T],
    [width, height]: [usize; 2],
    channels: u8,
    orientation: u8,
) -> Result<Vec<T>> {
    let channels = usize::from(channels);
    let mut to = buffer::<T>(cx, from.len() as u64)?;
    let across = if orientation >= 5 { height } else { width };
    for (y, row) in to.chunks_exact_mut(across * channels).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            // Where the pixel stands in the stored picture: Exif 2.32, section 4.6.4, Orientation.
            let (column, line) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                8 => (width - 1 - y, x),
                _ => (x, y),
            };
            let start = (line * width + column) * channels;
            pixel.copy_from_slice(&from[start..start + channels]);
        }
    }
    cx.budget().give_back(size_of_val(from) as u64);
    Ok(to)
}

/// The profile if it is one and is made for pixels of `channels`, which are gray or RGB; otherwise a diagnostic says
/// why it is left out, an error when strict.
pub(crate) fn usable_profile(cx: &Context, profile: Vec<u8>, channels: u8) -> Result<Option<Vec<u8>>> {
    let expected: &[u8; 4] = if channels <= 2 { b"GRAY" } else { b"RGB " };
    let problem = match (profile.get(36..40), profile.get(16..20)) {
        _ if profile.len() < ICC_HEADER => format!("{} bytes are no profile", profile.len()),
        (Some(b"acsp"), Some(space)) if space == expected => return Ok(Some(profile)),
        (Some(b"acsp"), Some(space)) => format!(
            "it is made for {:?}, the pixels are {:?}",
            String::from_utf8_lossy(space),
            String::from_utf8_lossy(expected)
        ),
        (found, _) => format!("expected the signature \"acsp\" at byte 36, found {found:?}"),
    };
    cx.tolerate("icc", format!("the colour profile is left out: {problem}"), Location::element("icc"))?;
    Ok(None)
}

/// The facts of an animation that is this track alone.
pub(crate) fn animation(track: Track) -> VideoFacts {
    VideoFacts {
        width: track.width,
        height: track.height,
        frame_rate: track.frame_rate,
        frames: track.frames,
        duration_seconds: track.duration_seconds,
        codec: Some(track.codec.clone()),
        tracks: Some(vec![track]),
        rotation: Some(0),
    }
}

/// Bytes of a text that become a property: 1 MiB.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// Keeps XMP as the property `xmp`, or tells why not.
pub(crate) fn keep_xmp(bytes: &[u8], cx: &Context, properties: &mut Map<String, Value>) {
    let text = std::str::from_utf8(bytes).map(|text| text.trim_matches(['\0', '\u{feff}']));
    match text {
        Ok(text) if text.len() <= MAX_TEXT => {
            properties.insert("xmp".into(), text.into());
        }
        Ok(text) => cx.warn("xmp", format!("{} bytes of XMP are left out, the most is {MAX_TEXT}", text.len())),
        Err(error) => cx.warn("xmp", format!("the XMP is left out: expected UTF-8, found {error}")),
    }
}

/// The least and the greatest number of float colours, without those that stand for none.
pub(crate) fn range(image: &Image, no_data: Option<f64>) -> Option<[f64; 2]> {
    let Samples::F32(samples) = image.samples() else { return None };
    let colors = image.channels() - u8::from(image.channels().is_multiple_of(2));
    let pixels = samples.chunks_exact(image.channels().into()).flat_map(|pixel| &pixel[..colors.into()]);
    let none = no_data.map(|none| none as f32);
    let known = pixels.filter(|&&value| value.is_finite() && Some(value) != none).map(|&value| f64::from(value));
    let range = known.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
    (range[0] < range[1]).then_some(range)
}

/// A float of 16 bits: a sign, 5 bits of exponent, 10 of fraction.
pub(crate) fn half(bits: u16) -> f32 {
    widened(u32::from(bits), 5, 10)
}

/// A float of 24 bits: a sign, 7 bits of exponent, 16 of fraction.
pub(crate) fn float_24(bits: u32) -> f32 {
    widened(bits, 7, 16)
}

fn widened(bits: u32, exponent: u32, fraction: u32) -> f32 {
    let sign = (bits >> (exponent + fraction) & 1) << 31;
    let most = (1 << exponent) - 1;
    let (power, rest) = (bits >> fraction & most, bits & ((1 << fraction) - 1));
    let bias = (most >> 1) as i32;
    if power == 0 {
        let value = rest as f32 * ((1 - bias - fraction as i32) as f32).exp2();
        return f32::from_bits(value.to_bits() | sign);
    }
    let power = if power == most { 0xFF } else { (power as i32 - bias + 127) as u32 };
    f32::from_bits(sign | power << 23 | rest << (23 - fraction))
}

/// The nearest float of 16 bits, of two the even one.
pub(crate) fn to_half(value: f32) -> u16 {
    const LEAST_NORMAL: u32 = 113 << 23;
    let bits = value.to_bits();
    let (sign, magnitude) = ((bits >> 16 & 0x8000) as u16, bits & 0x7FFF_FFFF);
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    if magnitude < LEAST_NORMAL {
        // In steps of the least one; rounding to even is that of the sum.
        let steps = f32::from_bits(magnitude) + 0.5;
        return sign | (steps.to_bits() - 0.5_f32.to_bits()) as u16;
    }
    let rounded = magnitude - (112 << 23) + 0xFFF + (magnitude >> 13 & 1);
    sign | (rounded >> 13).min(0x7C00) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight drawings of the letter F in the Exif specification: stored pixels that all show the same 2 x 3
    /// picture.
    #[test]
    fn every_orientation_becomes_the_same_picture() {
        let upright_pixels = vec![1, 2, 3, 4, 5, 6];
        let stored: [(u32, u32, [u8; 6]); 8] = [
            (2, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [2, 1, 4, 3, 6, 5]),
            (2, 3, [6, 5, 4, 3, 2, 1]),
            (2, 3, [5, 6, 3, 4, 1, 2]),
            (3, 2, [1, 3, 5, 2, 4, 6]),
            (3, 2, [2, 4, 6, 1, 3, 5]),
            (3, 2, [6, 4, 2, 5, 3, 1]),
            (3, 2, [5, 3, 1, 6, 4, 2]),
        ];
        let cx = Context::new("test");
        for (index, (width, height, pixels)) in stored.into_iter().enumerate() {
            let image = upright(&cx, width, height, 1, Samples::U8(pixels.to_vec().into()), index as u8 + 1).unwrap();
            assert_eq!((image.width(), image.height()), (2, 3), "orientation {}", index + 1);
            assert_eq!(image.samples(), &Samples::U8(upright_pixels.clone().into()), "orientation {}", index + 1);
            assert_eq!(image.orientation_applied, index > 0);
        }
    }

    #[test]
    fn a_profile_for_ink_is_left_out() {
        let cx = Context::new("test");
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(b"CMYK");
        profile[36..40].copy_from_slice(b"acsp");
        assert_eq!(usable_profile(&cx, profile.clone(), 3).unwrap(), None);
        assert_eq!(cx.diagnostics().to_vec()[0].code, "test.icc");
        profile[16..20].copy_from_slice(b"RGB ");
        assert_eq!(usable_profile(&cx, profile.clone(), 3).unwrap(), Some(profile));
    }

    #[test]
    fn small_floats_are_exact() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7E00).is_nan());
        assert_eq!((float_24(0x3F_0000), float_24(0xC0_8000)), (1.0, -3.0));
    }

    #[test]
    fn every_half_comes_back_and_others_are_rounded() {
        for bits in 0..=u16::MAX {
            let value = half(bits);
            assert!(value.is_nan() || to_half(value) == bits, "{bits:04x}");
        }
        // IEEE 754: ties to even, and beyond the greatest to infinity.
        for (value, bits) in [
            (1.000_488_3, 0x3C00),
            (1.001_464_8, 0x3C02),
            (65520.0, 0x7C00),
            (65519.9, 0x7BFF),
            (2.9e-8, 0),
            (3.1e-8, 1),
        ] {
            assert_eq!(to_half(value), bits, "{value}");
        }
    }
}
