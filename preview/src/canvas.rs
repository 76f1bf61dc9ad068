//! The picture while it is made: pixels in linear light, and how they become an image.

use mediary_core::record::{Image, Samples};
use mediary_core::{Context, Result};

use crate::Background;
use crate::color;
use crate::math::{V3, mix};

/// What stands behind things in a studio, in the middle and in the corners.
#[derive(Clone, Copy)]
pub(crate) enum Backdrop {
    /// For surfaces, which have shadows of their own.
    Light,
    /// For points, which shine.
    Dark,
}

impl Backdrop {
    fn colors(self) -> [V3; 2] {
        match self {
            Self::Light => [color::hex(0xEC_EE_F1), color::hex(0xB3_B9_C3)],
            Self::Dark => [color::hex(0x36_3C_46), color::hex(0x1B_1F_26)],
        }
    }
}

/// A square of pixels: RGB in linear light, times alpha, and alpha.
pub(crate) struct Canvas {
    pub(crate) size: usize,
    pub(crate) pixels: Vec<[f32; 4]>,
}

impl Canvas {
    /// A transparent one.
    pub(crate) fn new(size: usize, cx: &Context) -> Result<Self> {
        // The canvas, and the distances and shadows of its pixels.
        cx.budget().take((size * size) as u64 * 32)?;
        Ok(Self { size, pixels: vec![[0.0; 4]; size * size] })
    }

    /// Lays a colour over a pixel; outside of the canvas there is none.
    pub(crate) fn blend(&mut self, x: i64, y: i64, color: V3, alpha: f32) {
        let inside = |at: i64| usize::try_from(at).ok().filter(|at| *at < self.size);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else { return };
        over(&mut self.pixels[y * self.size + x], color, alpha);
    }

    /// The image on its background.
    pub(crate) fn into_image(self, background: Background, backdrop: Backdrop) -> Result<Image> {
        let (size, is_transparent) = (self.size, background == Background::Transparent);
        let channels = if is_transparent { 4 } else { 3 };
        let mut bytes = Vec::with_capacity(self.pixels.len() * channels);
        let [center, corner] = backdrop.colors();
        for (place, [r, g, b, a]) in self.pixels.into_iter().enumerate() {
            if is_transparent {
                let by = if a > 0.0 { 1.0 / a } else { 0.0 };
                bytes.extend([r * by, g * by, b * by].map(color::srgb));
                bytes.push(color::byte(a));
                continue;
            }
            let behind = match background {
                Background::Color(rgb) => rgb.map(color::linear),
                _ => {
                    let off = |at: usize, middle: f32| (at as f32 + 0.5) / size as f32 - middle;
                    let (x, y) = (off(place % size, 0.5), off(place / size, 0.42));
                    mix(center, corner, (x.hypot(y) * 1.35).min(1.0).powf(1.6))
                }
            };
            bytes.extend([(r, behind[0]), (g, behind[1]), (b, behind[2])].map(|(f, b)| color::srgb(f + b * (1.0 - a))));
        }
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        Image::new(size, size, channels as u8, Samples::U8(bytes.into()))
    }
}

/// Lays a colour over a pixel.
pub(crate) fn over(pixel: &mut [f32; 4], color: V3, alpha: f32) {
    for (value, new) in pixel.iter_mut().zip([color[0] * alpha, color[1] * alpha, color[2] * alpha, alpha]) {
        *value = new + *value * (1.0 - alpha);
    }
}
