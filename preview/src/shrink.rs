//! Making 8-bit pictures smaller, fast: in linear light of 16 bits, first by whole numbers where they get much smaller, then by Lanczos'
//! window.
//!
//! The mean of squares of pixels in front of the window leaves it at least twice as many pixels as there will be: what it passes
//! differs by less than a step from the window alone.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use mediary_core::{Context, Error, Result};

use crate::color;
use crate::overlay::Sheet;

/// How many times as many pixels a side the window is left with, at least.
const LEFT: usize = 2;

const FULL: f32 = 65535.0;

/// A picture of `channels` with 8-bit samples, on a sheet of this size.
pub(crate) fn to(
    samples: &[u8],
    [width, height]: [usize; 2],
    channels: usize,
    [wide, high]: [usize; 2],
    cx: &Context,
) -> Result<Sheet> {
    let by = (width / wide / LEFT).min(height / high / LEFT).max(1);
    let size = [width.div_ceil(by), height.div_ceil(by)];
    let taken = (size[0] * size[1] * channels * 2 + wide * high * (channels * 2 + 16)) as u64;
    cx.budget().take(taken)?;
    let light = squares(samples, [width, height], channels, by, cx)?;
    let kind = [PixelType::U16, PixelType::U16x2, PixelType::U16x3, PixelType::U16x4][channels - 1];
    let failed = |error: &dyn std::fmt::Display| Error::unsupported(format!("the picture cannot be scaled: {error}"));
    let source = ImageRef::new(size[0] as u32, size[1] as u32, bytemuck::cast_slice(&light), kind);
    let mut target = Target::new(wide as u32, high as u32, kind);
    // Squares at the right and at the bottom may be cut.
    let exact = [width, height].map(|side| side as f64 / by as f64);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(0.0, 0.0, exact[0], exact[1])
        .use_alpha(false);
    let source = source.map_err(|error| failed(&error))?;
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| failed(&error))?;
    cx.checkpoint()?;
    let small: Vec<u16> = bytemuck::pod_collect_to_vec(target.buffer());
    let share = |value: u16| f32::from(value) / FULL;
    let pixels = small.chunks_exact(channels).map(|pixel| match *pixel {
        [v] => [share(v), share(v), share(v), 1.0],
        [v, a] => [share(v), share(v), share(v), share(a)],
        [r, g, b] => [share(r), share(g), share(b), 1.0],
        [r, g, b, a] => [share(r), share(g), share(b), share(a)],
        _ => [0.0; 4],
    });
    Ok(Sheet { width: wide, height: high, pixels: pixels.collect() })
}

/// The mean light of every square of `by` pixels a side, times alpha where there is alpha, which comes last.
fn squares(samples: &[u8], [width, height]: [usize; 2], channels: usize, by: usize, cx: &Context) -> Result<Vec<u16>> {
    let table: [u32; 256] = std::array::from_fn(|value| (color::linear(value as u8) * FULL).round() as u32);
    let has_alpha = channels.is_multiple_of(2);
    let (row, wide) = (width * channels, width.div_ceil(by));
    let mut light = Vec::with_capacity(wide * height.div_ceil(by) * channels);
    let mut sums = vec![0_u64; wide * channels];
    for lines in samples.chunks(row * by) {
        cx.checkpoint()?;
        if by == 1 && !has_alpha {
            light.extend(lines.iter().map(|value| table[usize::from(*value)] as u16));
            continue;
        }
        sums.fill(0);
        for line in lines.chunks_exact(row) {
            for (sum, square) in sums.chunks_exact_mut(channels).zip(line.chunks(by * channels)) {
                match channels {
                    1 => square.iter().for_each(|value| sum[0] += u64::from(table[usize::from(*value)])),
                    3 => add::<3>(sum, square, &table),
                    _ => blend(sum, square, channels, &table),
                }
            }
        }
        let high = lines.len() / row;
        for (place, sum) in sums.chunks_exact(channels).enumerate() {
            let count = (by.min(width - place * by) * high) as u64;
            light.extend(sum.iter().map(|sum| ((sum + count / 2) / count) as u16));
        }
    }
    Ok(light)
}

fn add<const N: usize>(sum: &mut [u64], square: &[u8], table: &[u32; 256]) {
    let mut own = [0_u32; N];
    for pixel in square.as_chunks::<N>().0 {
        for (own, value) in own.iter_mut().zip(pixel) {
            *own += table[usize::from(*value)];
        }
    }
    for (sum, own) in sum.iter_mut().zip(own) {
        *sum += u64::from(own);
    }
}

fn blend(sum: &mut [u64], square: &[u8], channels: usize, table: &[u32; 256]) {
    for pixel in square.chunks_exact(channels) {
        let Some((alpha, colors)) = pixel.split_last() else { continue };
        let alpha = u32::from(*alpha);
        for (sum, value) in sum.iter_mut().zip(colors) {
            *sum += u64::from((table[usize::from(*value)] * alpha + 127) / 255);
        }
        sum[channels - 1] += u64::from(alpha * 257);
    }
}
