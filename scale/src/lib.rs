//! Pixels in another size, by `fast_image_resize`.
//!
//! A crate of its own because the resampler is generic over everything: whoever calls it builds all of it anew, which takes longer
//! than the rest of a family. Here it is built once, for operations on images and for previews.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A byte.
    U8,
    /// Two bytes in the order of the machine, at an even address.
    U16,
    /// Four bytes in the order of the machine, at a multiple of four.
    F32,
}

/// How a pixel is made of those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The one pixel at its place.
    Nearest,
    /// The mean.
    Box,
    /// A triangle, one pixel to each side.
    Bilinear,
    /// The spline of Catmull and Rom, two pixels to each side.
    Bicubic,
    /// The window of Lanczos, three lobes to each side.
    Lanczos,
}

/// Rows of pixels from the top, without gaps. With 2 or 4 channels the last is alpha, by which the others are weighed.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'p> {
    /// The samples, channel by channel of pixel by pixel.
    pub bytes: &'p [u8],
    /// Width and height.
    pub size: [u32; 2],
    /// Samples of a pixel: 1 to 4.
    pub channels: u8,
    /// What a sample is.
    pub depth: Depth,
}

impl Pixels<'_> {
    /// Its `part`, as left, top, width and height in pixels, in another size. The bytes are aligned to nothing.
    ///
    /// # Errors
    ///
    /// Where the bytes are not those of the size or lie at another address, or the part is not inside.
    pub fn scaled(
        &self,
        part: [f64; 4],
        [width, height]: [u32; 2],
        filter: Filter,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let [bytes, words, floats] = match self.channels {
            1 => [PixelType::U8, PixelType::U16, PixelType::F32],
            2 => [PixelType::U8x2, PixelType::U16x2, PixelType::F32x2],
            3 => [PixelType::U8x3, PixelType::U16x3, PixelType::F32x3],
            4 => [PixelType::U8x4, PixelType::U16x4, PixelType::F32x4],
            other => return Err(format!("expected 1 to 4 channels, found {other}").into()),
        };
        let kind = match self.depth {
            Depth::U8 => bytes,
            Depth::U16 => words,
            Depth::F32 => floats,
        };
        let algorithm = match filter {
            Filter::Nearest => ResizeAlg::Nearest,
            Filter::Box => ResizeAlg::Convolution(FilterType::Box),
            Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        let source = ImageRef::new(self.size[0], self.size[1], self.bytes, kind)?;
        let mut target = Image::new(width, height, kind);
        let [left, top, part_width, part_height] = part;
        let options = ResizeOptions::new().resize_alg(algorithm).crop(left, top, part_width, part_height);
        Resizer::new().resize(&source, &mut target, &options)?;
        Ok(target.into_vec())
    }

    /// All of it in another size.
    ///
    /// # Errors
    ///
    /// As [`Self::scaled`].
    pub fn whole(&self, size: [u32; 2], filter: Filter) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let [width, height] = self.size.map(f64::from);
        self.scaled([0.0, 0.0, width, height], size, filter)
    }
}
