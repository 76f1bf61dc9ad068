//! Transparent pixels on a colour.

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Result, convert};

use super::{invalid, replace};

/// The colour that an option names, as sRGB; `None` for no name.
pub(super) fn color(text: &str) -> Result<Option<[u8; 3]>> {
    match text {
        "" => return Ok(None),
        "white" => return Ok(Some([255; 3])),
        "black" => return Ok(Some([0; 3])),
        _ => {}
    }
    let digits = text.strip_prefix('#').unwrap_or_default();
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6 && digits.is_ascii());
    match number {
        Some(number) => Ok(Some([(number >> 16) as u8, (number >> 8) as u8, number as u8])),
        None => Err(invalid(
            format!("option image.background: expected a colour, found {text:?}"),
            "write #rrggbb, white or black",
        )),
    }
}

/// Whether every pixel has one colour, and alpha alone makes the picture.
pub(super) fn is_alpha_alone(image: &Image) -> bool {
    fn is_alone<T: PartialEq>(samples: &[T], channels: usize) -> bool {
        let mut pixels = samples.chunks_exact(channels);
        let Some((alpha, color)) = pixels.next().and_then(<[T]>::split_last) else { return false };
        // Most pictures differ in their first pixels.
        pixels.clone().all(|pixel| pixel.starts_with(color)) && pixels.any(|pixel| pixel.last() != Some(alpha))
    }
    let channels = usize::from(image.channels());
    matches!(channels, 2 | 4)
        && match image.samples() {
            Samples::U8(samples) => is_alone(samples, channels),
            Samples::U16(samples) => is_alone(samples, channels),
            Samples::F32(samples) => is_alone(samples, channels),
            _ => false,
        }
}

/// Lays the picture on a colour; it has no alpha channel then. Colour on gray makes RGB.
pub(super) fn lay(image: &mut Image, color: [u8; 3], cx: &Context) -> Result<()> {
    let channels = image.channels();
    if matches!(channels, 1 | 3) {
        return Ok(());
    }
    let is_gray = channels == 2 && color[0] == color[1] && color[1] == color[2];
    let wide = if is_gray { 1 } else { 3 };
    let pixels = u64::from(image.width()) * u64::from(image.height());
    cx.budget().take(pixels * wide as u64 * u64::from(image.samples().bits() / 8))?;
    cx.checkpoint()?;
    let light = |value: u8| {
        let value = f64::from(value) / 255.0;
        if image.color_space == ColorSpace::Linear { convert::srgb_to_linear(value) } else { value }
    };
    let behind = color.map(light);
    let over = |value: f64, alpha: f64, channel: usize| value * alpha + behind[channel] * (1.0 - alpha);
    let width = usize::from(channels);
    fn laid<T: Copy>(
        samples: &[T],
        [width, wide]: [usize; 2],
        number: impl Fn(T) -> f64,
        make: impl Fn(f64) -> T,
        over: impl Fn(f64, f64, usize) -> f64,
    ) -> Vec<T> {
        let mut laid = Vec::with_capacity(samples.len() / width * wide);
        for pixel in samples.chunks_exact(width) {
            let alpha = number(pixel[width - 1]);
            for channel in 0..wide {
                let value = pixel[if width == 2 { 0 } else { channel }];
                // What is opaque stays to the bit.
                laid.push(if alpha == 1.0 { value } else { make(over(number(value), alpha, channel)) });
            }
        }
        laid
    }
    let samples = match image.samples() {
        Samples::U8(samples) => Samples::U8(
            laid(samples, [width, wide], |v| f64::from(v) / 255.0, |v| (v * 255.0).round() as u8, over).into(),
        ),
        Samples::U16(samples) => Samples::U16(
            laid(samples, [width, wide], |v| f64::from(v) / 65535.0, |v| (v * 65535.0).round() as u16, over).into(),
        ),
        Samples::F32(samples) => Samples::F32(laid(samples, [width, wide], f64::from, |v| v as f32, over).into()),
        _ => return Ok(()),
    };
    let (width, height) = (image.width(), image.height());
    replace(image, width, height, wide as u8, samples)
}
