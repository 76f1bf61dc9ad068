//! Samples as they are stored become gray or RGB, with or without alpha.

use mediary_core::convert;
use mediary_core::record::Samples;
use mediary_core::{Context, Error, Location, Result};

use super::directory::{Directory, Tiff};
use super::page::{Colors, Format, Page};
use super::tags;
use crate::decode;

/// A sample of some depth, with the arithmetic of colours.
pub(super) trait Sample: Copy + Default {
    /// Colour 0, ink `ink`, both of them out of full, and black on top of it.
    fn under_inks(ink: Self, black: Self) -> Self;
    /// `full - self`.
    fn inverted(self) -> Self;
    /// The colour that was multiplied by `alpha`.
    fn divided(self, alpha: Self) -> Self;
    /// From 0 to 1.
    fn from_unit(value: f64) -> Self;
    /// As an index of a palette.
    fn index(self) -> usize;
    /// An entry of a palette, of 16 bits.
    fn from_entry(entry: u16) -> Self;
}

macro_rules! whole {
    ($type:ty, $wide:ty, $bits:literal, $shift:literal) => {
        impl Sample for $type {
            fn under_inks(ink: Self, black: Self) -> Self {
                let light = Self::MAX - black;
                // The product out of full, rounded.
                let sum = <$wide>::from(ink) * <$wide>::from(light) + (1 << ($bits - 1));
                light - (((sum >> $bits) + sum) >> $bits) as Self
            }

            fn inverted(self) -> Self {
                Self::MAX - self
            }

            fn divided(self, alpha: Self) -> Self {
                if alpha == 0 {
                    return 0;
                }
                let value = <$wide>::from(self) * <$wide>::from(Self::MAX) / <$wide>::from(alpha);
                value.min(Self::MAX.into()) as Self
            }

            fn from_unit(value: f64) -> Self {
                (value.clamp(0.0, 1.0) * f64::from(Self::MAX)).round() as Self
            }

            fn index(self) -> usize {
                self.into()
            }

            fn from_entry(entry: u16) -> Self {
                (entry >> $shift) as Self
            }
        }
    };
}

whole!(u8, u32, 8, 8);
whole!(u16, u64, 16, 0);

impl Sample for f32 {
    fn under_inks(ink: Self, black: Self) -> Self {
        (1.0 - ink) * (1.0 - black)
    }

    fn inverted(self) -> Self {
        1.0 - self
    }

    fn divided(self, alpha: Self) -> Self {
        if alpha == 0.0 { self } else { self / alpha }
    }

    fn from_unit(value: f64) -> Self {
        value as Self
    }

    fn index(self) -> usize {
        self as usize
    }

    fn from_entry(entry: u16) -> Self {
        Self::from(entry) / 65535.0
    }
}

/// What a page needs to know of its colours beside their kind.
pub(super) enum Table {
    None,
    /// Red, green and blue of each index.
    Palette(Vec<[u16; 3]>),
    YCbCr(Box<YCbCr>),
}

impl Table {
    /// Reads what `page` needs.
    pub(super) fn of(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        match page.colors {
            Colors::Palette => palette(tiff, directory, page, cx).map(Self::Palette),
            Colors::YCbCr => YCbCr::of(tiff, directory, cx).map(|table| Self::YCbCr(Box::new(table))),
            _ => Ok(Self::None),
        }
    }
}

fn palette(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Vec<[u16; 3]>> {
    let place = || Location::element(format!("tag {}", tags::COLOR_MAP)).with_byte(directory.at);
    let map = tiff.numbers(directory, tags::COLOR_MAP, cx)?.unwrap_or_default();
    let colors = 1_usize << page.bits;
    if map.len() < 3 * colors {
        let text = format!("expected a palette of {colors} colours, found {} values", map.len());
        return Err(Error::malformed(text).at(place()));
    }
    let count = map.len() / 3;
    // Some writers have put values of 8 bits.
    let narrow = map.iter().all(|&value| value < 256) && map.iter().any(|&value| value > 0);
    if narrow {
        cx.tolerate("palette", "the palette has 8 bits, 16 are expected; it is read so", place())?;
    }
    let entry = |index: usize| if narrow { map[index] as u16 * 257 } else { map[index] as u16 };
    let rounded = (0..colors * 3).map(entry).filter(|entry| entry & 0xFF != 0 && entry & 0xFF != entry >> 8);
    let rounded = if page.bits <= 8 { rounded.count() as u64 } else { 0 };
    let text = "a colour of the palette has more than 8 bits; the upper 8 are kept";
    cx.report_times(mediary_core::Severity::Info, "palette-rounded", text, Some(place()), rounded);
    Ok((0..colors).map(|index| [entry(index), entry(count + index), entry(2 * count + index)]).collect())
}

/// Luminance and differences of colour (TIFF 6.0, section 21), in whole numbers with 16 bits behind the point.
pub(super) struct YCbCr {
    luma: [i64; 256],
    red: [i64; 256],
    green: [[i64; 256]; 2],
    blue: [i64; 256],
}

impl YCbCr {
    fn of(tiff: &Tiff, directory: &Directory, cx: &Context) -> Result<Self> {
        let luma = tiff.reals(directory, tags::LUMA, cx)?.filter(|luma| luma.len() >= 3);
        let (usual, black_and_white) = ([0.299, 0.587, 0.114], [0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        let reference = tiff.reals(directory, tags::REFERENCE, cx)?.filter(|reference| reference.len() >= 6);
        let mut reference = reference.unwrap_or_else(|| black_and_white.to_vec());
        let mut luma = luma.unwrap_or_else(|| usual.to_vec());
        let usable = luma.iter().all(|part| (0.0..=1.0).contains(part)) && luma[1] > 0.001;
        if !usable || reference.iter().any(|value| !value.is_finite()) {
            let text = format!(
                "expected parts of red, green and blue from 0 to 1, found {luma:?} and {reference:?}; {usual:?} are taken"
            );
            cx.tolerate("coefficients", text, Location::element("tag 529").with_byte(directory.at))?;
            (luma, reference) = (usual.to_vec(), black_and_white.to_vec());
        }
        Ok(Self::new([luma[0] as f32, luma[1] as f32, luma[2] as f32], &reference))
    }

    fn new(luma: [f32; 3], reference: &[f64]) -> Self {
        let fixed = |value: f32| (value * 65536.0 + 0.5) as i64;
        let (red, blue) = (2.0 - 2.0 * luma[0], 2.0 - 2.0 * luma[2]);
        let (red, blue, greens) =
            (fixed(red), fixed(blue), [-fixed(luma[0] * red / luma[1]), -fixed(luma[2] * blue / luma[1])]);
        // A code as a value of which `full` is the greatest, between the codes of black and white.
        let value = |code: usize, black: usize, full: f32| {
            let (black, white) = (reference[black] as f32, reference[black + 1] as f32);
            let span = if white == black { 1.0 } else { white - black };
            ((code as f32 - black) * full / span).clamp(-4096.0, 4096.0) as i64
        };
        let mut table = Self { luma: [0; 256], red: [0; 256], green: [[0; 256]; 2], blue: [0; 256] };
        for code in 0..256 {
            let (cb, cr) = (value(code, 2, 127.0), value(code, 4, 127.0));
            table.luma[code] = value(code, 0, 255.0);
            table.red[code] = (red * cr + 32768) >> 16;
            table.blue[code] = (blue * cb + 32768) >> 16;
            table.green[0][code] = greens[0] * cr;
            table.green[1][code] = greens[1] * cb + 32768;
        }
        table
    }

    fn rgb(&self, [y, cb, cr]: [usize; 3]) -> [u8; 3] {
        let luma = self.luma[y];
        let green = (self.green[0][cr] + self.green[1][cb]) >> 16;
        [luma + self.red[cr], luma + green, luma + self.blue[cb]].map(|value| value.clamp(0, 255) as u8)
    }
}

/// L* from 0 to 100, a* and b*, of D50, as sRGB from 0 to 1.
fn lab_to_srgb([l, a, b]: [f64; 3]) -> [f64; 3] {
    let y = (l + 16.0) / 116.0;
    let light = |f: f64| if f > 6.0 / 29.0 { f.powi(3) } else { 3.0 * (6.0_f64 / 29.0).powi(2) * (f - 4.0 / 29.0) };
    let [x, y, z] = [0.964_22 * light(y + a / 500.0), light(y), 0.825_21 * light(y - b / 200.0)];
    // XYZ of D50 to linear sRGB: the adaptation of Bradford and the primaries in one.
    [
        3.133_856_1 * x - 1.616_866_7 * y - 0.490_614_6 * z,
        -0.978_768_4 * x + 1.916_141_5 * y + 0.033_454_0 * z,
        0.071_945_3 * x - 0.228_991_4 * y + 1.405_242_7 * z,
    ]
    .map(|value| convert::linear_to_srgb(value.clamp(0.0, 1.0)))
}

/// Kept samples as they are in the record.
pub(super) fn finish(page: &Page, table: &Table, samples: Samples, cx: &Context) -> Result<Samples> {
    Ok(match samples {
        Samples::U8(samples) => Samples::U8(colored(page, table, samples.into_vec(), cx)?.into()),
        Samples::U16(samples) => Samples::U16(colored(page, table, samples.into_vec(), cx)?.into()),
        Samples::F32(samples) => Samples::F32(colored(page, table, samples.into_vec(), cx)?.into()),
        other => other,
    })
}

fn colored<T: Sample>(page: &Page, table: &Table, mut samples: Vec<T>, cx: &Context) -> Result<Vec<T>> {
    let (kept, channels) = (page.kept(), usize::from(page.channels()));
    // Whole numbers of more than 16 bits are inverted where they are read.
    if page.colors == Colors::WhiteIsZero
        && (page.format == Format::Float || page.bits <= 16)
        && page.format != Format::Int
    {
        samples.iter_mut().step_by(kept).for_each(|sample| *sample = sample.inverted());
    }
    if let Some((_, true)) = page.alpha {
        for pixel in samples.chunks_exact_mut(kept) {
            if let Some((alpha, colors)) = pixel.split_last_mut() {
                colors.iter_mut().for_each(|color| *color = color.divided(*alpha));
            }
        }
    }
    if matches!(page.colors, Colors::WhiteIsZero | Colors::BlackIsZero | Colors::Rgb) {
        return Ok(samples);
    }
    let pixels = (samples.len() / kept) as u64;
    let mut out = decode::buffer::<T>(cx, pixels * channels as u64)?;
    for (number, (pixel, to)) in samples.chunks_exact(kept).zip(out.chunks_exact_mut(channels)).enumerate() {
        if number % (1 << 20) == 0 {
            cx.checkpoint()?;
        }
        let rgb = match (page.colors, table) {
            (Colors::Palette, Table::Palette(palette)) => {
                palette[pixel[0].index().min(palette.len() - 1)].map(T::from_entry)
            }
            (Colors::YCbCr, Table::YCbCr(table)) => {
                let rgb = table.rgb([pixel[0].index(), pixel[1].index(), pixel[2].index()]);
                rgb.map(|value| T::from_entry(u16::from(value) << 8))
            }
            (Colors::Cmyk, _) => [0, 1, 2].map(|ink| T::under_inks(pixel[ink], pixel[3])),
            (Colors::Lab { offset }, _) => {
                let [l, a, b] = [0, 1, 2].map(|index| pixel[index].index() as f64);
                // ICC has 100 at 65280 of 16 bits.
                let (full, step) = match page.bits {
                    8 => (255.0, 1.0),
                    _ => (if offset { 65280.0 } else { 65535.0 }, 256.0),
                };
                let signed = |value: f64| {
                    let value = value / step;
                    if offset {
                        value - 128.0
                    } else if value >= 128.0 {
                        value - 256.0
                    } else {
                        value
                    }
                };
                lab_to_srgb([l / full * 100.0, signed(a), signed(b)]).map(T::from_unit)
            }
            _ => return Err(Error::unsupported("these colours are not read")),
        };
        to[..3].copy_from_slice(&rgb);
        if page.alpha.is_some() {
            to[3] = pixel[kept - 1];
        }
    }
    cx.budget().give_back(size_of_val(&samples[..]) as u64);
    Ok(out)
}
