//! Channels and bits of the samples.

use mediary_core::record::{Image, Samples};
use mediary_core::{Context, Result};

use super::replace;
use crate::encode::{self, Holds, Light};

/// Weights of red, green and blue in gray (ITU-R BT.601), as in Pillow, OpenCV and JPEG.
const GRAY: [f64; 3] = [0.299, 0.587, 0.114];

/// Brings an image to the channels that a word names.
pub(super) fn channels(image: &mut Image, mode: &str, cx: &Context) -> Result<()> {
    let wanted: u8 = match mode {
        "gray" => 1,
        "gray-alpha" => 2,
        "rgb" => 3,
        "rgba" => 4,
        _ => return Ok(()),
    };
    let had = image.channels();
    if wanted == had {
        return Ok(());
    }
    let pixels = u64::from(image.width()) * u64::from(image.height());
    cx.budget().take(pixels * u64::from(wanted) * u64::from(image.samples().bits() / 8))?;
    cx.checkpoint()?;
    let mut cleared = 0;
    let samples = match image.samples() {
        Samples::U8(samples) => {
            Samples::U8(mixed(samples, [had, wanted], 255, |v| v.round() as u8, &mut cleared).into())
        }
        Samples::U16(samples) => {
            Samples::U16(mixed(samples, [had, wanted], 65535, |v| v.round() as u16, &mut cleared).into())
        }
        Samples::F32(samples) => Samples::F32(mixed(samples, [had, wanted], 1.0, |v| v as f32, &mut cleared).into()),
        _ => return Ok(()),
    };
    cx.lose("colors", if had > 2 && wanted < 3 { pixels } else { 0 }, "pixels become gray");
    cx.lose("alpha", cleared, "pixels lose their transparency; -o image.background lays them on a colour");
    let (width, height) = (image.width(), image.height());
    replace(image, width, height, wanted, samples)
}

fn mixed<T: Copy + PartialEq + Into<f64>>(
    samples: &[T],
    [had, wanted]: [u8; 2],
    full: T,
    make: impl Fn(f64) -> T,
    cleared: &mut u64,
) -> Vec<T> {
    let mut all = Vec::with_capacity(samples.len() / usize::from(had) * usize::from(wanted));
    for pixel in samples.chunks_exact(had.into()) {
        let (color, alpha) = match *pixel {
            [v] => ([v; 3], full),
            [v, a] => ([v; 3], a),
            [r, g, b] => ([r, g, b], full),
            [r, g, b, a] => ([r, g, b], a),
            _ => continue,
        };
        if wanted < 3 {
            let gray = || GRAY.iter().zip(color).map(|(weight, value)| weight * value.into()).sum();
            all.push(if had < 3 { color[0] } else { make(gray()) });
        } else {
            all.extend(color);
        }
        if matches!(wanted, 2 | 4) {
            all.push(alpha);
        } else {
            *cleared += u64::from(alpha != full);
        }
    }
    all
}

/// Brings an image to samples of so many bits.
pub(super) fn depth(image: &mut Image, depth: &str, cx: &Context) -> Result<()> {
    let mut holds = Holds {
        channels: &[1, 2, 3, 4],
        eight: false,
        sixteen: false,
        float: false,
        light: Light::Stated,
        profile: true,
    };
    match depth {
        "8" => holds.eight = true,
        "16" => holds.sixteen = true,
        "32" => (holds.float, holds.light) = (true, Light::Linear),
        _ => return Ok(()),
    }
    let fitted = encode::fit(image, &holds, cx)?.into_owned();
    *image = fitted;
    Ok(())
}
