//! Luminance, and red and blue in proportion to it, as RGB.

use mediary_core::{Context, Result};

use crate::decode;

/// Weights of the samples at 13, 11 to 1 pixels away, on both sides of one that has none (OpenEXR, `ImfRgbaYca`).
const WEIGHTS: [f32; 7] = [0.002_128, -0.007_540, 0.019_597, -0.043_159, 0.087_929, -0.186_077, 0.627_123];

/// Parts of red, green and blue in the luminance, of primaries and white at these coordinates.
pub(super) fn weights(chromaticities: [f32; 8]) -> [f32; 3] {
    let at = |index: usize| {
        let (x, y) = (f64::from(chromaticities[2 * index]), f64::from(chromaticities[2 * index + 1]));
        [x, y, 1.0 - x - y]
    };
    let (red, green, blue, white) = (at(0), at(1), at(2), at(3));
    let cross =
        |a: [f64; 3], b: [f64; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    // How much of each primary makes white, by Cramer's rule.
    let whole = dot(red, cross(green, blue)) * white[1];
    let part = |primary: [f64; 3], others: [f64; 3]| dot(white, others) * primary[1] / whole;
    [part(red, cross(green, blue)), part(green, cross(blue, red)), part(blue, cross(red, green))]
        .map(|part| part as f32)
}

/// Makes RGB of Y, RY and BY. Where those are `subsampled`, they are at even lines and columns.
pub(super) fn to_rgb(
    samples: &mut [f32],
    (width, height): (usize, usize),
    channels: usize,
    subsampled: bool,
    weights: [f32; 3],
    cx: &Context,
) -> Result<()> {
    if subsampled {
        let longest = width.max(height) as u64;
        let mut line = decode::buffer::<f32>(cx, longest)?;
        for channel in [1, 2] {
            for y in (0..height).step_by(2) {
                cx.checkpoint()?;
                fill(samples, &mut line, y * width * channels + channel, channels, width);
            }
            for x in 0..width {
                fill(samples, &mut line, x * channels + channel, width * channels, height);
            }
        }
        cx.budget().give_back(longest * 4);
    }
    for pixel in samples.chunks_exact_mut(channels) {
        let [y, ry, by] = [pixel[0], pixel[1], pixel[2]];
        let (red, blue) = ((ry + 1.0) * y, (by + 1.0) * y);
        let green = (y - red * weights[0] - blue * weights[2]) / weights[1];
        pixel[..3].copy_from_slice(&[red, green, blue]);
    }
    Ok(())
}

/// Fills every second of `count` samples, `step` apart from `start` on, from those around it.
fn fill(samples: &mut [f32], line: &mut [f32], start: usize, step: usize, count: usize) {
    for (index, value) in line[..count].iter_mut().enumerate() {
        *value = samples[start + index * step];
    }
    // Beyond the ends the last sample goes on.
    let last = (count - 1) / 2 * 2;
    let known = |index: isize| line[(index.max(0) as usize).min(last)];
    for index in (1..count).step_by(2) {
        let around = (0..7).map(|tap| {
            let distance = 13 - 2 * tap as isize;
            WEIGHTS[tap] * (known(index as isize - distance) + known(index as isize + distance))
        });
        samples[start + index * step] = around.sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_recommendation() {
        // ITU-R BT.709, item 3.2.
        for (found, stated) in weights(super::super::SRGB).into_iter().zip([0.2126, 0.7152, 0.0722]) {
            assert!((found - stated).abs() < 1e-4, "{found} {stated}");
        }
    }
}
