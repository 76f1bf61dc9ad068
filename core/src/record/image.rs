//! Pixels.

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use super::facts::ImageFacts;
use crate::error::{Error, Result};

/// Samples of all pixels, interleaved by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Samples {
    /// 0 to 255.
    U8(Buffer<u8>),
    /// 0 to 65535.
    U16(Buffer<u16>),
    /// Linear or display-referred floats; 0 to 1 is the displayable range.
    F32(Buffer<f32>),
}

impl Samples {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::U16(samples) => samples.len(),
            Self::F32(samples) => samples.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits a sample in memory: 8, 16 or 32.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self {
            Self::U8(_) => 8,
            Self::U16(_) => 16,
            Self::F32(_) => 32,
        }
    }
}

/// What the samples mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColorSpace {
    /// sRGB primaries and transfer curve.
    #[default]
    Srgb,
    /// sRGB primaries, linear.
    Linear,
    /// As the embedded ICC profile says.
    Icc,
    /// Numbers without a colour meaning: arrays, depth, labels.
    Unknown,
}

impl ColorSpace {
    /// The name in facts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Srgb => "srgb",
            Self::Linear => "linear",
            Self::Icc => "icc",
            Self::Unknown => "unknown",
        }
    }
}

/// An image. Row-major from the top left corner, `samples[(y * width + x) * channels + c]`, upright (orientation applied),
/// alpha not premultiplied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ImageParts")]
pub struct Image {
    width: u32,
    height: u32,
    channels: u8,
    samples: Samples,
    /// What the samples mean.
    pub color_space: ColorSpace,
    /// ICC profile as embedded in the source.
    #[serde(with = "crate::wire::columns::optional_bytes", skip_serializing_if = "Option::is_none")]
    pub icc: Option<Vec<u8>>,
    /// The values that are shown as black and as white, where they are not 0 and the largest value of an integer sample, or 0 and
    /// 1 of a float one: of arrays and elevations, whose numbers have a range of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Bits a sample in the source; may be less than in memory (1, 2, 4).
    pub source_bits: u8,
    /// Pictures in the source, of which this is one.
    pub frames: u64,
    /// Whether the source had an orientation other than upright, which the pixels now have applied.
    pub orientation_applied: bool,
}

/// An image as it crosses a boundary: what is absent is as in [`Image::new`].
#[derive(Deserialize)]
struct ImageParts {
    width: u32,
    height: u32,
    channels: u8,
    samples: Samples,
    #[serde(default)]
    color_space: ColorSpace,
    #[serde(default, with = "crate::wire::columns::optional_bytes")]
    icc: Option<Vec<u8>>,
    range: Option<[f64; 2]>,
    source_bits: Option<u8>,
    frames: Option<u64>,
    #[serde(default)]
    orientation_applied: bool,
}

impl TryFrom<ImageParts> for Image {
    type Error = Error;

    fn try_from(parts: ImageParts) -> Result<Self> {
        let image = Self::new(parts.width, parts.height, parts.channels, parts.samples)?;
        let is_range = |range: &[f64; 2]| range.iter().all(|value| value.is_finite()) && range[0] < range[1];
        if let Some(range) = parts.range.filter(|range| !is_range(range)) {
            return Err(Error::malformed(format!(
                "expected a display range of two ascending numbers, found {range:?}"
            )));
        }
        Ok(Self {
            color_space: parts.color_space,
            icc: parts.icc,
            range: parts.range,
            source_bits: parts.source_bits.unwrap_or(image.source_bits),
            frames: parts.frames.unwrap_or(image.frames),
            orientation_applied: parts.orientation_applied,
            ..image
        })
    }
}

impl Image {
    /// An upright sRGB image.
    ///
    /// # Errors
    /// `Malformed` when a side is 0, `channels` is not 1 to 4, or the number of samples is not `width * height * channels`.
    pub fn new(width: u32, height: u32, channels: u8, samples: Samples) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::malformed(format!("an image of {width} x {height} pixels has no pixels")));
        }
        if !(1..=4).contains(&channels) {
            return Err(Error::malformed(format!("expected 1 to 4 channels, found {channels}")));
        }
        let expected = u64::from(width) * u64::from(height) * u64::from(channels);
        if samples.len() as u64 != expected {
            return Err(Error::malformed(format!(
                "{width} x {height} pixels of {channels} channels are {expected} samples, found {}",
                samples.len()
            )));
        }
        let source_bits = samples.bits();
        Ok(Self {
            width,
            height,
            channels,
            samples,
            color_space: ColorSpace::Srgb,
            icc: None,
            range: None,
            source_bits,
            frames: 1,
            orientation_applied: false,
        })
    }

    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// The samples, see [`Image`] for their order.
    #[must_use]
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        match &mut self.samples {
            Samples::U8(samples) => drop(samples.share()),
            Samples::U16(samples) => drop(samples.share()),
            Samples::F32(samples) => drop(samples.share()),
        }
    }

    /// Gives the samples away.
    #[must_use]
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    /// The facts of this image.
    #[must_use]
    pub fn facts(&self) -> ImageFacts {
        ImageFacts {
            width: Some(self.width),
            height: Some(self.height),
            channels: Some(self.channels),
            bit_depth: Some(self.source_bits),
            sample_format: Some(if matches!(self.samples, Samples::F32(_)) { "float" } else { "uint" }),
            color_space: Some(self.color_space.as_str()),
            has_alpha: Some(matches!(self.channels, 2 | 4)),
            frames: Some(self.frames),
            orientation_applied: Some(self.orientation_applied),
        }
    }
}
