//! Images: smaller ones, scaled in linear light with Lanczos' window so that edges stay sharp and fine patterns keep their
//! brightness. What is small already stays as it is.

use mediary_core::record::{Annotations, ColorSpace, Image, Samples};
use mediary_core::{Context, Result};

use crate::PreviewOptions;
use crate::color;
use crate::overlay::{Overlay, Sheet};
use crate::shrink;

/// Lobes of the window.
const LOBES: f32 = 3.0;

/// An image that fits into the size asked for, with 8 bits a sample, and what is marked on it.
pub(crate) fn picture(
    image: &Image,
    annotations: &Annotations,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<Image> {
    let channels = usize::from(image.channels());
    let Some(overlay) = Overlay::of(image, annotations, options) else {
        let small = scaled(image, fitted(image, options.pixels(), 1.0), cx)?;
        return finish(small, channels, image);
    };
    // Words want room: what is small is made larger, by whole steps so that pixels are seen as they are.
    let most = options.pixels();
    let longest = image.width().max(image.height()) as usize;
    let mut sheet = if longest * 2 <= most {
        enlarged(image, most / longest, cx)?
    } else {
        scaled(image, fitted(image, most, 1.0), cx)?
    };
    let legend = overlay.draw(&mut sheet, cx)?;
    finish(legend.below(sheet), if channels < 3 { channels + 2 } else { channels }, image)
}

/// The size within `most` pixels a side, `share` times as large at most.
fn fitted(image: &Image, most: usize, share: f64) -> [usize; 2] {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let share = (most as f64 / width.max(height) as f64).min(share);
    [width, height].map(|side| ((side as f64 * share).round() as usize).clamp(1, most))
}

/// Every pixel as a square of so many.
fn enlarged(image: &Image, by: usize, cx: &Context) -> Result<Sheet> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let read = Reader::of(image);
    cx.budget().take((width * height * by * by * 16) as u64)?;
    let pixel = |at: usize| read.pixel(at / (width * by) / by * width + at % (width * by) / by);
    let pixels = (0..width * height * by * by).map(pixel).collect();
    Ok(Sheet { width: width * by, height: height * by, pixels })
}

fn scaled(image: &Image, [wide, high]: [usize; 2], cx: &Context) -> Result<Sheet> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if let (Samples::U8(samples), None) = (image.samples(), image.range)
        && (wide, high) != (width, height)
        && image.color_space != ColorSpace::Linear
    {
        return shrink::to(samples, [width, height], image.channels().into(), [wide, high], cx);
    }
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
    Ok(Sheet { width: wide, height: high, pixels })
}

/// Light as bytes, in so many channels.
fn finish(sheet: Sheet, channels: usize, image: &Image) -> Result<Image> {
    let mut bytes = Vec::with_capacity(sheet.pixels.len() * channels);
    for [r, g, b, a] in sheet.pixels {
        let by = if a > 0.0 { 1.0 / a } else { 0.0 };
        let alpha = (a.clamp(0.0, 1.0) * 255.0).round() as u8;
        let [r, g, b] = [r, g, b].map(|value| color::srgb(value * by));
        match channels {
            1 => bytes.push(r),
            2 => bytes.extend([r, alpha]),
            3 => bytes.extend([r, g, b]),
            _ => bytes.extend([r, g, b, alpha]),
        }
    }
    let mut small = Image::new(sheet.width as u32, sheet.height as u32, channels as u8, Samples::U8(bytes.into()))?;
    if image.color_space == ColorSpace::Icc && channels == usize::from(image.channels()) {
        (small.color_space, small.icc) = (ColorSpace::Icc, image.icc.clone());
    }
    Ok(small)
}

/// Reads pixels as light times alpha, and alpha.
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
        let is_linear = self.image.color_space == ColorSpace::Linear;
        let value = match self.image.samples() {
            Samples::U8(samples) if !is_alpha && !is_linear && self.range.is_none() => {
                return color::linear(samples[sample]);
            }
            Samples::U8(samples) => f32::from(samples[sample]) / 255.0,
            Samples::U16(samples) => f32::from(samples[sample]) / 65535.0,
            Samples::F32(samples) => samples[sample],
            _ => 0.0,
        };
        if is_alpha {
            return value.clamp(0.0, 1.0);
        }
        let value = self.range.map_or(value, |(least, by)| (value - least) * by);
        // NaN is black.
        let value = if value > 0.0 { value.min(1.0) } else { 0.0 };
        if is_linear { value } else { mediary_core::convert::srgb_to_linear(f64::from(value)) as f32 }
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
mod tests {
    use super::*;

    fn small(image: &Image, size: u32) -> (u32, u32, Vec<u8>) {
        let options = PreviewOptions { size, ..PreviewOptions::default() };
        let small = picture(image, &Annotations::new(), &options, &Context::new("preview")).unwrap();
        assert_eq!(small.channels(), image.channels());
        let (width, height) = (small.width(), small.height());
        let Samples::U8(bytes) = small.into_samples() else { panic!("not 8 bits") };
        (width, height, bytes.into_vec())
    }

    fn gray(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> Image {
        let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| shade(x, y));
        Image::new(width, height, 1, Samples::U8(samples.collect())).unwrap()
    }

    #[test]
    fn small_images_stay_as_they_are() {
        let image = gray(20, 10, |x, y| (x * 11 + y * 3) as u8);
        let Samples::U8(bytes) = image.samples().clone() else { panic!() };
        assert_eq!(small(&image, 64), (20, 10, bytes.into_vec()));
    }

    #[test]
    fn proportions_are_kept() {
        for (width, height, expected) in [(400, 300, (64, 48)), (30, 900, (2, 64)), (5000, 1, (64, 1))] {
            let (w, h, bytes) = small(&gray(width, height, |_, _| 77), 64);
            assert_eq!((w, h), expected);
            assert!(bytes.iter().all(|value| *value == 77), "a plain image stays plain to its edges");
        }
    }

    #[test]
    fn light_is_averaged_and_not_its_code() {
        // Half of the light is 188 in sRGB.
        let (.., bytes) = small(&gray(512, 512, |x, y| if (x + y) % 2 == 0 { 0 } else { 255 }), 64);
        assert!(bytes.iter().all(|value| value.abs_diff(188) <= 1), "{:?}", &bytes[..8]);
    }

    #[test]
    fn colours_behind_alpha_stay_hidden() {
        let pixels: Vec<u8> =
            (0..128 * 128).flat_map(|i| if i % 2 == 0 { [200, 10, 0, 255] } else { [0, 255, 0, 0] }).collect();
        let (.., bytes) = small(&Image::new(128, 128, 4, Samples::U8(pixels.into())).unwrap(), 32);
        for pixel in bytes.as_chunks::<4>().0 {
            assert!(
                pixel[0].abs_diff(200) <= 1 && pixel[1].abs_diff(10) <= 2 && pixel[3].abs_diff(128) <= 12,
                "{pixel:?}"
            );
        }
    }

    #[test]
    fn other_samples_become_bytes() {
        let of = |samples: Samples, space: ColorSpace| {
            let mut image = Image::new(4, 1, 1, samples).unwrap();
            image.color_space = space;
            small(&image, 16).2
        };
        let deep = Samples::U16(vec![0, 257 * 50, 257 * 128, 65535].into());
        assert_eq!(of(deep, ColorSpace::Srgb), [0, 50, 128, 255]);
        let light = |values: [f32; 4]| Samples::F32(values.into());
        assert_eq!(of(light([0.0, 0.5, 1.0, 9.0]), ColorSpace::Linear), [0, 188, 255, 255]);
        assert_eq!(of(light([f32::NAN, -1.0, f32::INFINITY, 0.0]), ColorSpace::Linear), [0, 0, 255, 0]);
        // Numbers without a meaning as colour are shown over their own range.
        assert_eq!(of(light([-10.0, 0.0, 10.0, f32::NAN]), ColorSpace::Unknown), [0, 128, 255, 0]);
        assert_eq!(of(light([3.0; 4]), ColorSpace::Unknown), [255; 4]);
    }
}
