//! Images: smaller ones of 8 bits a sample, and what is marked on them. What is small already stays as it is.

use mediary_core::record::{Annotations, ColorSpace, Image, Samples};
use mediary_core::{Context, Result};

use crate::PreviewOptions;
use crate::color;
use crate::overlay::{Overlay, Sheet};
use crate::shrink;

/// An image that fits into the size asked for, with 8 bits a sample, and what is marked on it.
pub(crate) fn picture(
    image: &Image,
    annotations: &Annotations,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<Image> {
    let most = options.pixels();
    let mut small = shrink::to(image, fitted(image, most), cx)?;
    if image.color_space == ColorSpace::Icc {
        (small.color_space, small.icc) = (ColorSpace::Icc, image.icc.clone());
    }
    let Some(overlay) = Overlay::of(image, annotations, options) else { return Ok(small) };
    // Words want room: what is small is made larger, by whole steps so that pixels are seen as they are.
    let longest = image.width().max(image.height()) as usize;
    let mut sheet = lit(&small, (most / longest).max(1), cx)?;
    let legend = overlay.draw(&mut sheet, cx)?;
    finish(legend.below(sheet), &small)
}

/// The size within `most` pixels a side; what is smaller keeps its own.
fn fitted(image: &Image, most: usize) -> [usize; 2] {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let share = (most as f64 / width.max(height) as f64).min(1.0);
    [width, height].map(|side| ((side as f64 * share).round() as usize).clamp(1, most))
}

/// A picture of bytes as light, every pixel a square of so many.
fn lit(image: &Image, by: usize, cx: &Context) -> Result<Sheet> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, Samples::U8(samples)) = (usize::from(image.channels()), image.samples()) else {
        return Err(mediary_core::Error::unsupported("expected a picture of 8 bits a sample"));
    };
    cx.budget().take((width * height * by * by * 16) as u64)?;
    let light = |pixel: &[u8], alpha: u8| {
        let alpha = f32::from(alpha) / 255.0;
        let at = |channel: usize| color::linear(pixel[channel]) * alpha;
        let [r, g, b] = if pixel.len() < 3 { [at(0); 3] } else { [at(0), at(1), at(2)] };
        [r, g, b, alpha]
    };
    let pixel = |at: usize| {
        let pixel = &samples[(at / (width * by) / by * width + at % (width * by) / by) * channels..][..channels];
        light(pixel, if channels.is_multiple_of(2) { pixel[channels - 1] } else { 255 })
    };
    let pixels = (0..width * height * by * by).map(pixel).collect();
    Ok(Sheet { width: width * by, height: height * by, pixels })
}

/// Light as bytes, in colours like those of `small`.
fn finish(sheet: Sheet, small: &Image) -> Result<Image> {
    let alpha = small.channels().is_multiple_of(2);
    let mut bytes = Vec::with_capacity(sheet.pixels.len() * 4);
    for [r, g, b, a] in sheet.pixels {
        let by = if a > 0.0 { 1.0 / a } else { 0.0 };
        bytes.extend([r, g, b].map(|value| color::srgb(value * by)));
        if alpha {
            bytes.push(color::byte(a));
        }
    }
    let channels = if alpha { 4 } else { 3 };
    let mut drawn = Image::new(sheet.width as u32, sheet.height as u32, channels, Samples::U8(bytes.into()))?;
    if channels == small.channels() {
        (drawn.color_space, drawn.icc) = (small.color_space, small.icc.clone());
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shrink::tests::gray;

    fn small(image: &Image, size: u32) -> (u32, u32, Vec<u8>) {
        let options = PreviewOptions { size, ..PreviewOptions::default() };
        let small = picture(image, &Annotations::new(), &options, &Context::new("preview")).unwrap();
        assert_eq!(small.channels(), image.channels());
        let (width, height) = (small.width(), small.height());
        let Samples::U8(bytes) = small.into_samples() else { panic!("not 8 bits") };
        (width, height, bytes.into_vec())
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
