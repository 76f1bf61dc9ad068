//! What the readers of plain rasters share: the layout on which header and record agree, and pixels that end early.

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, Facts, Header, Kind, Result};

use crate::decode;

/// What the head of a file tells of its picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA.
    pub(crate) channels: u8,
    /// Bits a sample in the file, the most of all channels.
    pub(crate) bits: u8,
    /// Whether the samples are floats in memory.
    pub(crate) float: bool,
    pub(crate) color_space: ColorSpace,
    /// Pictures in the file.
    pub(crate) frames: u64,
}

impl Layout {
    /// One sRGB picture of integers.
    pub(crate) fn new(width: u32, height: u32, channels: u8, bits: u8) -> Self {
        Self { width, height, channels, bits, float: false, color_space: ColorSpace::Srgb, frames: 1 }
    }

    /// One picture of floats in linear light.
    pub(crate) fn linear(width: u32, height: u32, channels: u8, bits: u8) -> Self {
        Self { float: true, color_space: ColorSpace::Linear, ..Self::new(width, height, channels, bits) }
    }

    /// Samples of the picture in memory; of sides that no file has, all that can be counted.
    pub(crate) fn samples(&self) -> u64 {
        (u64::from(self.width) * u64::from(self.height)).saturating_mul(self.channels.into())
    }

    /// Samples of a row in memory.
    pub(crate) fn row(&self) -> usize {
        self.width as usize * usize::from(self.channels)
    }

    /// Bits of a pixel in memory.
    pub(crate) fn pixel_bits(&self) -> u64 {
        let sample = match self.bits {
            _ if self.float => 32,
            ..=8 => 8,
            _ => 16,
        };
        sample * u64::from(self.channels)
    }

    /// Holds the size against the limits, given how many bytes are stored of it. Of pixels that are not compressed these
    /// are what the size says: whether they are there is another question.
    pub(crate) fn check(&self, cx: &Context, stored: u64) -> Result<()> {
        decode::check_size(cx, self.width, self.height, self.pixel_bits(), stored).map(|_| ())
    }

    pub(crate) fn facts(&self) -> ImageFacts {
        ImageFacts {
            width: Some(self.width),
            height: Some(self.height),
            channels: Some(self.channels),
            bit_depth: Some(self.bits),
            sample_format: Some(if self.float { "float" } else { "uint" }),
            color_space: Some(self.color_space.as_str()),
            has_alpha: Some(matches!(self.channels, 2 | 4)),
            frames: Some(self.frames),
            orientation_applied: Some(false),
        }
    }

    /// The header of a file that holds this picture.
    pub(crate) fn header(&self) -> Header {
        let mut header = Header::single(Facts::Image(self.facts()));
        header.memory = Some(self.samples() / u64::from(self.channels) * self.pixel_bits() / 8);
        header
    }

    /// The picture.
    pub(crate) fn image(&self, samples: Samples) -> Result<Image> {
        let mut image = Image::new(self.width, self.height, self.channels, samples)?;
        image.source_bits = self.bits;
        image.color_space = self.color_space;
        image.frames = self.frames;
        Ok(image)
    }
}

/// Refuses an animation where a format holds a picture.
pub(crate) fn still(kind: Kind) -> Result<()> {
    if kind == Kind::Image {
        return Ok(());
    }
    Err(Error::unsupported(format!("expected a picture, found {kind}")))
}

/// The `length` bytes of `bytes` at `at`. Where the file ends before, that is an error; lenient takes what is there.
pub(crate) fn part<'a>(cx: &Context, bytes: &'a [u8], at: usize, length: u64, what: &str) -> Result<&'a [u8]> {
    let rest = bytes.get(at..).unwrap_or_default();
    match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
        Some(part) => Ok(part),
        None => {
            let error = Error::truncated(what, length, rest.len() as u64).at_byte(at as u64);
            cx.unless_lenient("truncated", error)?;
            Ok(rest)
        }
    }
}

/// The little-endian 16-bit number at `at`, which the caller has seen to be there.
pub(crate) fn u16_le(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The little-endian 32-bit number at `at`, which the caller has seen to be there.
pub(crate) fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The big-endian 32-bit number at `at`, which the caller has seen to be there.
pub(crate) fn u32_be(bytes: &[u8], at: usize) -> u32 {
    u32_le(bytes, at).swap_bytes()
}

/// A channel of `value` under a mask: its place and the largest number it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Channel {
    shift: u32,
    most: u32,
}

impl Channel {
    /// A channel of zeros.
    pub(crate) const NONE: Self = Self { shift: 0, most: 0 };

    /// A channel of five bits.
    pub(crate) const fn five(shift: u32) -> Self {
        Self { shift, most: 31 }
    }

    /// `None` when the bits of the mask do not follow each other. A mask without bits is a channel of zeros.
    pub(crate) fn new(mask: u32) -> Option<Self> {
        let shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
        let most = mask >> shift;
        (most & most.wrapping_add(1) == 0).then_some(Self { shift, most })
    }

    pub(crate) fn bits(self) -> u8 {
        self.most.count_ones() as u8
    }

    /// Its number in `value`, of `full` where it is the largest: rounded down, as Pillow does.
    pub(crate) fn scaled(self, value: u32, full: u32) -> u32 {
        let number = (value >> self.shift) & self.most;
        match self.most {
            0 => 0,
            most if most == full => number,
            most => (u64::from(number) * u64::from(full) / u64::from(most)) as u32,
        }
    }
}

/// A half float (IEEE 754 binary16) as a float.
pub(crate) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1F, u32::from(bits) & 0x3FF);
    match exponent {
        // Zero and numbers below the smallest exponent: whole multiples of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * 2.0_f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_masks() {
        let green = Channel::new(0x07E0).unwrap();
        assert_eq!((green.bits(), green.scaled(0x07E0, 255), green.scaled(0x0020, 255)), (6, 255, 4));
        assert_eq!(Channel::new(0).unwrap().scaled(7, 255), 0);
        assert_eq!(Channel::new(u32::MAX).unwrap().scaled(u32::MAX, 255), 255);
        assert_eq!(Channel::new(0x0101), None);
    }

    /// Values of IEEE 754-2019, section 3.4, for binary16.
    #[test]
    fn half_floats() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x7C00, f32::INFINITY),
            (0xFC00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7E00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
