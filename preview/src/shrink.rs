//! Making pictures smaller and their samples bytes, by Lanczos' window over 3 lobes.
//!
//! What is scaled are the numbers as they are coded, times alpha so that hidden colours stay hidden: the same as the option
//! `image.width` gives, and within a step of what Pillow does. Only samples that are linear light already are scaled as light.

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, Result};
use mediary_scale::{Depth, Filter, Pixels};

use crate::color;

/// Lobes of the window.
const LOBES: f32 = 3.0;

/// The picture with 8 bits a sample, on as many pixels.
pub(crate) fn to(image: &Image, size: [usize; 2], cx: &Context) -> Result<Image> {
    let samples = match image.samples() {
        Samples::U8(samples) if image.range.is_none() && image.color_space != ColorSpace::Linear => {
            bytes(image, samples, size, cx)?
        }
        _ => numbers(image, size, cx)?,
    };
    Image::new(size[0] as u32, size[1] as u32, image.channels(), Samples::U8(samples.into()))
}

/// Of samples that are bytes already.
fn bytes(image: &Image, samples: &[u8], [wide, high]: [usize; 2], cx: &Context) -> Result<Vec<u8>> {
    let channels = usize::from(image.channels());
    cx.budget().take((wide * high * channels) as u64)?;
    if [wide, high] == [image.width() as usize, image.height() as usize] {
        return Ok(samples.to_vec());
    }
    // The rows between the two passes, and with alpha a copy of the colours times it.
    let copied = if channels.is_multiple_of(2) { samples.len() } else { 0 };
    let scratch = (copied + wide * image.height() as usize * channels) as u64;
    cx.budget().take(scratch)?;
    let source = [image.width(), image.height()];
    let pixels = Pixels { bytes: samples, size: source, channels: image.channels(), depth: Depth::U8 };
    let scaled = pixels.whole([wide as u32, high as u32], Filter::Lanczos);
    let scaled = scaled.map_err(|error| Error::unsupported(format!("the picture cannot be scaled: {error}")))?;
    cx.checkpoint()?;
    cx.budget().give_back(scratch);
    Ok(scaled)
}

/// Of any samples.
fn numbers(image: &Image, [wide, high]: [usize; 2], cx: &Context) -> Result<Vec<u8>> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let read = Reader::of(image);
    cx.budget().take((wide * high * 32 + width * 16) as u64)?;
    let (across, down) = (Weights::of(width, wide), Weights::of(height, high));
    let mut pixels = vec![[0.0_f32; 4]; wide * high];
    let (mut row, mut narrow) = (vec![[0.0_f32; 4]; width], vec![[0.0_f32; 4]; wide]);
    // The rows that a source row adds to only grow, so one pass does.
    let mut first = 0;
    for y in 0..height {
        cx.checkpoint()?;
        row.iter_mut().enumerate().for_each(|(x, pixel)| *pixel = read.pixel(y * width + x));
        for (x, pixel) in narrow.iter_mut().enumerate() {
            let (start, weights) = across.at(x);
            *pixel = [0.0; 4];
            for (source, weight) in row[start..].iter().zip(weights) {
                (0..4).for_each(|channel| pixel[channel] += source[channel] * weight);
            }
        }
        while first < high && down.end(first) <= y {
            first += 1;
        }
        for target in (first..high).take_while(|target| down.at(*target).0 <= y) {
            let (start, weights) = down.at(target);
            let Some(weight) = weights.get(y - start) else { continue };
            for (sum, value) in pixels[target * wide..][..wide].iter_mut().zip(&narrow) {
                (0..4).for_each(|channel| sum[channel] += value[channel] * weight);
            }
        }
    }
    let mut bytes = Vec::with_capacity(wide * high * read.channels);
    for [r, g, b, a] in pixels {
        let by = if a > 0.0 { 1.0 / a } else { 0.0 };
        let colors = [r, g, b].map(|value| read.code(value * by));
        bytes.extend(&colors[..if read.channels < 3 { 1 } else { 3 }]);
        if read.channels.is_multiple_of(2) {
            bytes.push(color::byte(a));
        }
    }
    Ok(bytes)
}

/// Reads pixels as shares of the full scale times alpha, and alpha.
struct Reader<'i> {
    image: &'i Image,
    channels: usize,
    /// Added and multiplied to show numbers that have no range of their own.
    range: Option<(f32, f32)>,
}

impl<'i> Reader<'i> {
    fn of(image: &'i Image) -> Self {
        let full = match image.samples() {
            Samples::U8(_) => 255.0,
            Samples::U16(_) => 65535.0,
            _ => 1.0,
        };
        let given = image.range.map(|[low, high]| ((low / full) as f32, (full / (high - low)) as f32));
        let range = match image.samples() {
            _ if given.is_some() => given,
            Samples::F32(samples) if image.color_space == ColorSpace::Unknown => spread(samples.iter().copied()),
            Samples::U16(samples) if image.color_space == ColorSpace::Unknown => {
                spread(samples.iter().map(|value| f32::from(*value) / 65535.0))
            }
            _ => None,
        };
        Self { image, channels: usize::from(image.channels()), range }
    }

    fn pixel(&self, place: usize) -> [f32; 4] {
        let at = |channel: usize| self.value(place * self.channels + channel, false);
        let alpha = |channel: usize| self.value(place * self.channels + channel, true);
        let ([r, g, b], a) = match self.channels {
            1 => ([at(0); 3], 1.0),
            2 => ([at(0); 3], alpha(1)),
            3 => ([at(0), at(1), at(2)], 1.0),
            _ => ([at(0), at(1), at(2)], alpha(3)),
        };
        [r * a, g * a, b * a, a]
    }

    fn value(&self, sample: usize, is_alpha: bool) -> f32 {
        let value = match self.image.samples() {
            Samples::U8(samples) => f32::from(samples[sample]) / 255.0,
            Samples::U16(samples) => f32::from(samples[sample]) / 65535.0,
            Samples::F32(samples) => samples[sample],
            _ => 0.0,
        };
        let value = self.range.filter(|_| !is_alpha).map_or(value, |(least, by)| (value - least) * by);
        // NaN is black.
        if value > 0.0 { value.min(1.0) } else { 0.0 }
    }

    /// What a share is as a byte of a picture.
    fn code(&self, share: f32) -> u8 {
        if self.image.color_space == ColorSpace::Linear { color::srgb(share) } else { color::byte(share) }
    }
}

/// The least of some numbers and the reciprocal of their range; `None` where the range says nothing.
fn spread(values: impl Iterator<Item = f32>) -> Option<(f32, f32)> {
    let finite = values.filter(|value| value.is_finite());
    let (least, most) = finite.fold((f32::MAX, f32::MIN), |(least, most), value| (least.min(value), most.max(value)));
    let by = 1.0 / (most - least);
    (by > 0.0 && by.is_finite()).then_some((least, by))
}

/// For every target pixel of a row or column, the first source pixel and the weights from there.
struct Weights {
    starts: Vec<usize>,
    ends: Vec<usize>,
    weights: Vec<f32>,
}

impl Weights {
    fn of(from: usize, to: usize) -> Self {
        let ratio = from as f32 / to as f32;
        let reach = if from == to { 0.5 } else { LOBES * ratio };
        let mut all = Self { starts: Vec::with_capacity(to), ends: Vec::with_capacity(to), weights: Vec::new() };
        for target in 0..to {
            let middle = (target as f32 + 0.5) * ratio - 0.5;
            let start = (middle - reach).ceil().max(0.0) as usize;
            let end = ((middle + reach).floor() as usize + 1).min(from);
            let weight = |source: usize| {
                if from == to { 1.0 } else { window((source as f32 - middle) / ratio) }
            };
            let sum: f32 = (start..end).map(weight).sum();
            all.starts.push(start);
            all.weights.extend((start..end).map(|source| weight(source) / sum));
            all.ends.push(all.weights.len());
        }
        all
    }

    fn at(&self, target: usize) -> (usize, &[f32]) {
        let begin = target.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.starts[target], &self.weights[begin..self.ends[target]])
    }

    /// The source pixel after the last that has a weight.
    fn end(&self, target: usize) -> usize {
        let (start, weights) = self.at(target);
        start + weights.len()
    }
}

/// Lanczos' window.
fn window(x: f32) -> f32 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    let sinc =
        |x: f32| if x.abs() < 1e-4 { 1.0 } else { (x * std::f32::consts::PI).sin() / (x * std::f32::consts::PI) };
    sinc(x) * sinc(x / LOBES)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PILLOW_GRAY: [u8; 48] = [
        49, 109, 92, 106, 121, 140, 175, 156, 85, 90, 96, 127, 128, 147, 165, 178, 74, 73, 98, 115, 124, 145, 161, 183,
        70, 80, 95, 114, 135, 151, 161, 150, 80, 79, 103, 114, 139, 152, 159, 189, 62, 103, 91, 127, 127, 138, 156,
        171,
    ];

    const PILLOW_RGBA: [u8; 64] = [
        27, 27, 9, 28, 83, 24, 22, 92, 145, 25, 34, 161, 206, 24, 52, 225, 27, 81, 27, 28, 83, 83, 63, 92, 145, 83,
        131, 161, 206, 82, 174, 225, 27, 145, 27, 28, 83, 146, 133, 92, 145, 147, 180, 161, 206, 147, 102, 225, 27,
        200, 54, 28, 83, 202, 182, 92, 145, 205, 93, 161, 206, 205, 139, 225,
    ];

    pub(crate) fn gray(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> Image {
        let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| shade(x, y));
        Image::new(width, height, 1, Samples::U8(samples.collect())).unwrap()
    }

    #[test]
    fn numbers_are_scaled_as_pillow_scales_them() {
        // `Image.resize((8, 6), LANCZOS)` of Pillow 13.
        let pattern = |x: u32, y: u32| {
            let value = if (x / 5 + y / 4) % 2 == 1 { x * x * 5 + y * y * 3 + x * y } else { x * 6 };
            (value % 256) as u8
        };
        near(&gray(40, 30, pattern), [8, 6], &PILLOW_GRAY);
        // `Image.resize((4, 4), LANCZOS)` of RGBA.
        let pixels = (0..24 * 24_u32).flat_map(|at| {
            let (x, y) = (at % 24, at / 24);
            [x * 10 % 256, y * 10 % 256, x * y % 256, (x * 11).min(255)].map(|value| value as u8)
        });
        near(&Image::new(24, 24, 4, Samples::U8(pixels.collect())).unwrap(), [4, 4], &PILLOW_RGBA);
    }

    fn near(image: &Image, size: [usize; 2], expected: &[u8]) {
        let small = to(image, size, &Context::new("preview")).unwrap();
        let Samples::U8(found) = small.samples() else { panic!() };
        assert_eq!(found.len(), expected.len());
        let channels = usize::from(image.channels());
        for (found, expected) in found.chunks(channels).zip(expected.chunks(channels)) {
            // A step of a colour times alpha is more of the colour.
            let alpha = if channels == 4 { f32::from(expected[3]) / 255.0 } else { 1.0 };
            for (found, expected) in found.iter().zip(expected) {
                assert!(f32::from(found.abs_diff(*expected)) * alpha <= 1.0, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn deep_samples_are_scaled_like_bytes() {
        let shade = |x: u32, y: u32| (x * 3 + y * 5) as u8 ^ (y as u8);
        let bytes = gray(50, 40, shade);
        let Samples::U8(samples) = bytes.samples() else { panic!() };
        let deep = samples.iter().map(|value| u16::from(*value) * 257).collect();
        let small = to(&bytes, [10, 8], &Context::new("preview")).unwrap();
        let Samples::U8(expected) = small.samples() else { panic!() };
        near(&Image::new(50, 40, 1, Samples::U16(deep)).unwrap(), [10, 8], expected);
    }
}
