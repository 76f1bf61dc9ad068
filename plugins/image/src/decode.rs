//! What all pixel decoders share: sizes against limits, orientation, colour profiles, 16-bit samples.

use mediary_core::record::{Image, Samples};
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
}
