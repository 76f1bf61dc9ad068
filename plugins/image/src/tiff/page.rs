//! What a directory says of its pixels, checked.

use mediary_core::record::ColorSpace;
use mediary_core::record::facts::ImageFacts;
use mediary_core::{Context, Error, Location, Result};

use super::directory::{Directory, Tiff};
use super::tags;
use crate::decode;

/// Bytes of a colour profile: 16 MiB.
const MAX_PROFILE: u64 = 16 << 20;

/// How the numbers of a sample are to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Uint,
    Int,
    Float,
}

/// What the samples of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Colors {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
    /// CIE L*a*b*; whether a* and b* are stored with an offset, as ICC does.
    Lab {
        offset: bool,
    },
}

impl Colors {
    /// Samples of a pixel without alpha.
    fn channels(self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette => 1,
            Self::Rgb | Self::YCbCr | Self::Lab { .. } => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Samples in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Depth {
    U8,
    U16,
    F32,
}

impl Depth {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The pixels of one page as they are stored.
pub(super) struct Page {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Samples of a pixel, all of them.
    pub(super) samples: usize,
    pub(super) bits: u32,
    pub(super) format: Format,
    pub(super) colors: Colors,
    pub(super) compression: u64,
    pub(super) predictor: u64,
    pub(super) reversed: bool,
    pub(super) planar: bool,
    pub(super) tiled: bool,
    /// Pixels across and down of a strip or tile.
    pub(super) chunk: (u32, u32),
    /// The sample that is alpha, and whether colours are multiplied by it.
    pub(super) alpha: Option<(usize, bool)>,
    pub(super) orientation: u8,
    /// Across and down, of YCbCr.
    pub(super) subsampling: (u32, u32),
}

impl Page {
    pub(super) fn of(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<Self> {
        let number = |tag| tiff.first_number(directory, tag, cx);
        let side = |tag, name: &str| -> Result<u32> {
            let found = number(tag)?.ok_or_else(|| {
                Error::malformed(format!("expected the tag {tag} ({name}), found none")).at_byte(directory.at)
            })?;
            u32::try_from(found).map_err(|_| Error::limit("pixels", found, cx.limits().pixels))
        };
        let (width, height) = (side(tags::WIDTH, "ImageWidth")?, side(tags::HEIGHT, "ImageLength")?);
        if width == 0 || height == 0 {
            let text = format!("expected a picture, found {width} x {height} pixels");
            return Err(Error::malformed(text).at_byte(directory.at));
        }
        let (samples, bits, format) = depth(tiff, directory, cx)?;
        let compression = number(tags::COMPRESSION)?.unwrap_or(1);
        let colors = match number(tags::PHOTOMETRIC)? {
            Some(found) => colors(found, directory)?,
            None => {
                let guess = match samples {
                    3.. => Colors::Rgb,
                    _ if directory.has(tags::COLOR_MAP) => Colors::Palette,
                    _ if (2..=4).contains(&compression) => Colors::WhiteIsZero,
                    _ => Colors::BlackIsZero,
                };
                let text = format!("the meaning of samples (tag 262) is missing; they are taken for {guess:?}");
                cx.tolerate("photometric", text, Location::byte(directory.at))?;
                guess
            }
        };
        if samples < colors.channels() {
            let text = format!("{colors:?} needs {} samples a pixel, found {samples}", colors.channels());
            return Err(Error::malformed(text).at_byte(directory.at));
        }
        let (planar, tiled) = (number(tags::PLANAR)? == Some(2) && samples > 1, directory.has(tags::TILE_WIDTH));
        let chunk = if tiled {
            (side(tags::TILE_WIDTH, "TileWidth")?, side(tags::TILE_HEIGHT, "TileLength")?)
        } else {
            let rows = number(tags::ROWS_PER_STRIP)?.unwrap_or(u64::MAX);
            (width, rows.min(height.into()) as u32)
        };
        if chunk.0 == 0 || chunk.1 == 0 {
            let text = format!("expected tiles or strips of pixels, found {} x {}", chunk.0, chunk.1);
            return Err(Error::malformed(text).at_byte(directory.at));
        }
        let jpeg = matches!(compression, 6 | 7);
        let mut page = Self {
            width,
            height,
            samples,
            bits,
            format,
            colors,
            compression,
            predictor: if jpeg { 1 } else { number(tags::PREDICTOR)?.unwrap_or(1) },
            reversed: number(tags::FILL_ORDER)? == Some(2),
            planar,
            tiled,
            chunk,
            alpha: alpha(tiff, directory, colors.channels(), samples, cx)?,
            orientation: orientation(tiff, directory, cx)?,
            // JPEG streams say it themselves.
            subsampling: if jpeg { (1, 1) } else { subsampling(tiff, directory, colors, cx)? },
        };
        page.check(directory, cx)?;
        Ok(page)
    }

    /// Refuses what is not read, by name.
    fn check(&mut self, directory: &Directory, cx: &Context) -> Result<()> {
        let unsupported = |text: String| Error::unsupported(text).at_byte(directory.at);
        if !matches!(self.predictor, 1..=3) {
            return Err(Error::malformed(format!("expected a predictor from 1 to 3, found {}", self.predictor))
                .at_byte(directory.at));
        }
        if self.predictor == 3 && self.format != Format::Float {
            return Err(Error::malformed("expected floats under the predictor of floats, found whole numbers")
                .at_byte(directory.at));
        }
        let known = match self.format {
            Format::Uint => matches!(self.bits, 1..=32 | 64),
            Format::Int => matches!(self.bits, 8 | 16 | 32 | 64),
            Format::Float => matches!(self.bits, 16 | 24 | 32 | 64),
        };
        if !known {
            let text = format!("samples of {} bits, {:?}, are not read", self.bits, self.format);
            return Err(unsupported(text));
        }
        let eight_or_sixteen = self.depth() != Depth::F32;
        let fits = match self.colors {
            Colors::Palette => self.format == Format::Uint && self.bits <= 16,
            Colors::YCbCr => self.format == Format::Uint && self.bits == 8,
            Colors::Lab { .. } => eight_or_sixteen && matches!(self.bits, 8 | 16),
            _ => true,
        };
        if !fits {
            return Err(unsupported(format!(
                "{:?} of {} bits, {:?}, is not read",
                self.colors, self.bits, self.format
            )));
        }
        if self.subsampling != (1, 1) && (self.planar || self.predictor != 1) {
            return Err(unsupported("subsampled colours in planes or under a predictor are not read".into()));
        }
        // Bits of an alpha channel that only a palette would explain.
        if self.colors == Colors::Palette {
            self.alpha = None;
        }
        let left_out = self.samples - self.colors.channels() - usize::from(self.alpha.is_some());
        if left_out > 0 {
            let text = format!("extra samples of each pixel are left out: {left_out} of {}", self.samples);
            cx.warn_at("extra-samples", text, Location::byte(directory.at));
        }
        Ok(())
    }

    /// Samples that are kept of a pixel.
    pub(super) fn kept(&self) -> usize {
        self.colors.channels() + usize::from(self.alpha.is_some())
    }

    /// Samples of a pixel in memory, in the end.
    pub(super) fn channels(&self) -> u8 {
        let colors = if self.colors.channels() == 1 && self.colors != Colors::Palette { 1 } else { 3 };
        colors + u8::from(self.alpha.is_some())
    }

    pub(super) fn depth(&self) -> Depth {
        match (self.format, self.bits) {
            (Format::Uint, 1..=8) => Depth::U8,
            (Format::Uint, 9..=16) => Depth::U16,
            _ => Depth::F32,
        }
    }

    /// What the numbers mean without a profile.
    pub(super) fn color_space(&self) -> ColorSpace {
        let light =
            matches!(self.colors, Colors::Rgb | Colors::Cmyk) && self.format == Format::Float && self.bits <= 32;
        match self.depth() {
            Depth::U8 | Depth::U16 => ColorSpace::Srgb,
            Depth::F32 if light => ColorSpace::Linear,
            Depth::F32 => ColorSpace::Unknown,
        }
    }

    /// Bytes of the pixels in the record.
    pub(super) fn bytes(&self) -> u64 {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        width * height * self.depth().bytes() * u64::from(self.channels())
    }

    /// Memory that reading takes.
    pub(super) fn memory(&self) -> u64 {
        let twice = if self.orientation > 1 || self.kept() != usize::from(self.channels()) { 2 } else { 1 };
        let row = u64::from(self.chunk.0) * self.samples as u64 * u64::from(self.bits).div_ceil(8);
        self.bytes() * twice + 2 * row * u64::from(self.chunk.1)
    }

    pub(super) fn facts(&self, has_profile: bool, pages: u64) -> ImageFacts {
        let (width, height) = decode::oriented(self.width, self.height, self.orientation);
        let space = if has_profile { ColorSpace::Icc } else { self.color_space() };
        ImageFacts {
            width: Some(width),
            height: Some(height),
            channels: Some(self.channels()),
            bit_depth: Some(self.source_bits()),
            sample_format: Some(if self.depth() == Depth::F32 { "float" } else { "uint" }),
            color_space: Some(space.as_str()),
            has_alpha: Some(self.alpha.is_some()),
            frames: Some(pages),
            orientation_applied: Some(self.orientation > 1),
        }
    }

    /// Bits of a sample in the source: those of its colours, for a palette.
    pub(super) fn source_bits(&self) -> u8 {
        if self.colors == Colors::Palette { 8 } else { self.bits as u8 }
    }
}

/// The colour profile, if there is a usable one.
pub(super) fn profile(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Option<Vec<u8>>> {
    if !directory.has(tags::ICC) {
        return Ok(None);
    }
    match tiff.bytes(directory, tags::ICC, MAX_PROFILE, cx) {
        Ok(Some(profile)) => decode::usable_profile(cx, profile, page.channels()),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == mediary_core::ErrorKind::Malformed => {
            let text = format!("the colour profile is left out: {}", error.message());
            cx.tolerate("icc", text, error.location().cloned().unwrap_or_default())?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Samples a pixel, their bits and format.
fn depth(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<(usize, u32, Format)> {
    let at = |error: Error| error.at_byte(directory.at);
    let bits = tiff.numbers(directory, tags::BITS, cx)?.filter(|bits| !bits.is_empty()).unwrap_or_else(|| vec![1]);
    let samples = match tiff.first_number(directory, tags::SAMPLES, cx)? {
        Some(0) => return Err(at(Error::malformed("expected samples in a pixel, found 0"))),
        Some(samples) => usize::try_from(samples).unwrap_or(usize::MAX),
        None => bits.len(),
    };
    let (announced, stated) = (bits.len(), bits[0]);
    // One value for all, though there should be one for each, is common.
    if announced != samples && announced != 1 {
        let text = format!("expected the bits of {samples} samples, found those of {announced}");
        cx.tolerate("bits", text, Location::byte(directory.at))?;
    }
    let used = &bits[..announced.min(samples)];
    if used.iter().any(|found| *found != stated) {
        return Err(at(Error::unsupported(format!("expected samples of equally many bits, found {used:?}"))));
    }
    let bits = u32::try_from(stated).ok().filter(|bits| (1..=64).contains(bits));
    let bits = bits.ok_or_else(|| at(Error::malformed(format!("expected samples of 1 to 64 bits, found {stated}"))))?;
    let formats = tiff.numbers(directory, tags::SAMPLE_FORMAT, cx)?.unwrap_or_default();
    let first = formats.first().copied().unwrap_or(1);
    if formats.iter().take(samples).any(|format| *format != first) {
        let text = format!("expected samples of one format, found {formats:?}");
        return Err(at(Error::unsupported(text)));
    }
    let format = match first {
        // 4 is undefined: what the bits say.
        1 | 4 => Format::Uint,
        2 => Format::Int,
        3 => Format::Float,
        5 | 6 => return Err(at(Error::unsupported("complex samples are not read"))),
        found => return Err(at(Error::malformed(format!("expected a sample format from 1 to 6, found {found}")))),
    };
    Ok((samples, bits, format))
}

fn colors(found: u64, directory: &Directory) -> Result<Colors> {
    Ok(match found {
        0 => Colors::WhiteIsZero,
        // A mask that is a page of its own: opaque is white.
        1 | 4 => Colors::BlackIsZero,
        2 => Colors::Rgb,
        3 => Colors::Palette,
        5 => Colors::Cmyk,
        6 => Colors::YCbCr,
        8 => Colors::Lab { offset: false },
        9 => Colors::Lab { offset: true },
        other => {
            let name = match other {
                10 => "ITU L*a*b*",
                32844 | 32845 => "logarithmic luminance (SGILog)",
                32803 => "a colour filter array, as raw files of cameras have it,",
                34892 => "linear raw, as raw files of cameras have it,",
                _ => {
                    return Err(
                        Error::malformed(format!("{other} is no meaning of samples (tag 262)")).at_byte(directory.at)
                    );
                }
            };
            return Err(Error::unsupported(format!("{name} is not read")).at_byte(directory.at));
        }
    })
}

/// Which sample is alpha (TIFF 6.0, section 18), and whether colours are multiplied by it.
fn alpha(
    tiff: &Tiff,
    directory: &Directory,
    channels: usize,
    samples: usize,
    cx: &Context,
) -> Result<Option<(usize, bool)>> {
    /// As Corel Draw 10 writes it.
    const COREL: u64 = 999;
    let Some(kinds) = tiff.numbers(directory, tags::EXTRA_SAMPLES, cx)? else {
        // A fourth sample beside RGB that nobody explains is alpha to everyone.
        return Ok((channels == 3 && samples == 4).then_some((3, false)));
    };
    let found =
        kinds.iter().enumerate().find(|(index, kind)| matches!(**kind, 1 | 2 | COREL) && channels + index < samples);
    Ok(found.map(|(index, kind)| (channels + index, *kind == 1)))
}

fn orientation(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<u8> {
    let found = tiff.first_number(directory, tags::ORIENTATION, cx);
    match found {
        Ok(None) => Ok(1),
        Ok(Some(found @ 1..=8)) => Ok(found as u8),
        Ok(Some(found)) => {
            let text =
                format!("expected an orientation from 1 to 8, found {found}; the picture is taken to be upright");
            cx.tolerate("orientation", text, Location::element("tag 274"))?;
            Ok(1)
        }
        Err(error) => {
            let text =
                format!("the orientation cannot be read, the picture is taken to be upright: {}", error.message());
            cx.tolerate("orientation", text, Location::element("tag 274"))?;
            Ok(1)
        }
    }
}

fn subsampling(tiff: &Tiff, directory: &Directory, colors: Colors, cx: &Context) -> Result<(u32, u32)> {
    if colors != Colors::YCbCr {
        return Ok((1, 1));
    }
    // The default is 2, 2 (TIFF 6.0, section 21).
    let found = tiff.numbers(directory, tags::SUBSAMPLING, cx)?.unwrap_or_else(|| vec![2, 2]);
    match found[..] {
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => Ok((across as u32, down as u32)),
        _ => Err(Error::malformed(format!("expected a subsampling of 1, 2 or 4 each way, found {found:?}"))
            .at(Location::element("tag 530").with_byte(directory.at))),
    }
}
