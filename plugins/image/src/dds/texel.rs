//! How pixels are stored, and the samples that they become.

use mediary_core::record::Samples;
use mediary_core::{Context, Result};

use super::blocks;
use super::header::Texture;
use crate::decode;
use crate::raster::{Channel, half};

/// Bits of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Width {
    Eight,
    Sixteen,
    Half,
    Float,
}

/// Blocks of 4 x 4 pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Block {
    Bc1,
    Bc2,
    Bc3,
    Bc4 { signed: bool },
    Bc5 { signed: bool },
    Bc6 { signed: bool },
    Bc7,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Texel {
    /// Bits under masks, of 1 to 4 channels.
    Masked {
        bytes: u8,
        masks: [Channel; 4],
        channels: u8,
    },
    /// Channels one after the other, red first; signed ones count from the middle.
    Plain {
        count: u8,
        width: Width,
        signed: bool,
    },
    /// Alpha alone.
    Alpha,
    /// Indices of 256 colours that stand before the pixels.
    Palette,
    /// Two pixels that share red and blue.
    Pairs {
        green_first: bool,
    },
    /// Floats of 11, 11 and 10 bits without a sign.
    SmallFloats,
    /// Three numbers of 9 bits and an exponent of 5.
    SharedExponent,
    Blocks(Block),
}

impl Texel {
    /// Channels and bits of the samples, and whether they are floats.
    pub(super) fn shape(&self) -> (u8, u8, bool) {
        match *self {
            Self::Masked { masks, channels, .. } => {
                let bits = masks.iter().map(|mask| mask.bits()).max().unwrap_or(8);
                (channels, bits.clamp(1, 16), false)
            }
            Self::Plain { count, width, .. } => {
                // Red and green have a blue beside them.
                let channels = if count == 2 { 3 } else { count };
                match width {
                    Width::Eight => (channels, 8, false),
                    Width::Sixteen => (channels, 16, false),
                    Width::Half => (channels, 16, true),
                    Width::Float => (channels, 32, true),
                }
            }
            Self::Alpha => (2, 8, false),
            Self::Palette => (4, 8, false),
            Self::Pairs { .. } => (3, 8, false),
            Self::SmallFloats => (3, 11, true),
            Self::SharedExponent => (3, 14, true),
            Self::Blocks(Block::Bc4 { .. }) => (1, 8, false),
            Self::Blocks(Block::Bc5 { .. }) => (3, 8, false),
            Self::Blocks(Block::Bc6 { .. }) => (3, 16, true),
            Self::Blocks(_) => (4, 8, false),
        }
    }

    pub(super) fn is_float(&self) -> bool {
        self.shape().2
    }

    /// Bytes of `width` x `height` pixels.
    pub(super) fn bytes(&self, width: u64, height: u64) -> u64 {
        let row = match *self {
            Self::Masked { bytes, .. } => width * u64::from(bytes),
            Self::Plain { count, width: Width::Eight, .. } => width * u64::from(count),
            Self::Plain { count, width: Width::Float, .. } => width * u64::from(count) * 4,
            Self::Plain { count, .. } => width * u64::from(count) * 2,
            Self::Alpha | Self::Palette => width,
            Self::Pairs { .. } => width.div_ceil(2) * 4,
            Self::SmallFloats | Self::SharedExponent => width * 4,
            Self::Blocks(block) => return blocks(width, height).saturating_mul(block.bytes() as u64),
        };
        row.saturating_mul(height)
    }

    /// The samples of a picture, as far as it is `stored`.
    pub(super) fn samples(&self, texture: &Texture, file: &[u8], stored: &[u8], cx: &Context) -> Result<Samples> {
        let picture = Picture { texture, stored, cx };
        match *self {
            Self::Masked { bytes, masks, channels } => {
                let size = usize::from(bytes);
                let word = |stored: &[u8]| stored.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
                let masks = &masks[..usize::from(channels)];
                if texture.layout().bits > 8 {
                    return picture.each(size, |stored, pixel: &mut [u16]| {
                        let word = word(stored);
                        pixel.iter_mut().zip(masks).for_each(|(to, mask)| *to = mask.scaled(word, 65535) as u16);
                    });
                }
                picture.each(size, |stored, pixel: &mut [u8]| {
                    let word = word(stored);
                    pixel.iter_mut().zip(masks).for_each(|(to, mask)| *to = mask.scaled(word, 255) as u8);
                })
            }
            Self::Plain { count, width: Width::Eight, signed } => {
                let flip = if signed { 0x80 } else { 0 };
                picture.each(count.into(), |stored, pixel: &mut [u8]| {
                    pixel.fill(flip);
                    pixel.iter_mut().zip(stored).for_each(|(to, from)| *to = from ^ flip);
                })
            }
            Self::Plain { count, width: Width::Sixteen, signed } => {
                let flip = if signed { 0x8000 } else { 0 };
                picture.each(2 * usize::from(count), |stored, pixel: &mut [u16]| {
                    pixel.fill(flip);
                    let words = stored.as_chunks::<2>().0;
                    pixel.iter_mut().zip(words).for_each(|(to, from)| *to = u16::from_le_bytes(*from) ^ flip);
                })
            }
            Self::Plain { count, width: Width::Half, .. } => {
                picture.each(2 * usize::from(count), |stored, pixel: &mut [f32]| {
                    let words = stored.as_chunks::<2>().0;
                    pixel.iter_mut().zip(words).for_each(|(to, from)| *to = half(u16::from_le_bytes(*from)));
                })
            }
            Self::Plain { count, width: Width::Float, .. } => {
                picture.each(4 * usize::from(count), |stored, pixel: &mut [f32]| {
                    let words = stored.as_chunks::<4>().0;
                    pixel.iter_mut().zip(words).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
                })
            }
            Self::Alpha => picture.each(1, |stored, pixel: &mut [u8]| pixel.copy_from_slice(&[0, stored[0]])),
            Self::Palette => {
                let colors = file.get(texture.start - 1024..).unwrap_or_default().as_chunks::<4>().0;
                picture.each(1, |stored, pixel: &mut [u8]| {
                    pixel.copy_from_slice(&colors.get(usize::from(stored[0])).copied().unwrap_or([0, 0, 0, 255]));
                })
            }
            Self::Pairs { green_first } => picture.pairs(green_first),
            Self::SmallFloats => picture.each(4, |stored, pixel: &mut [f32]| {
                let word = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
                // As half floats without a sign, whose fractions are shorter.
                let channel = |bits: u32, lost: u32| half((bits << lost) as u16 & 0x7FFF);
                pixel.copy_from_slice(&[
                    channel(word & 0x7FF, 4),
                    channel(word >> 11 & 0x7FF, 4),
                    channel(word >> 22, 5),
                ]);
            }),
            Self::SharedExponent => picture.each(4, |stored, pixel: &mut [f32]| {
                let word = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
                let scale = 2.0_f32.powi((word >> 27) as i32 - 24);
                pixel.copy_from_slice(&[0, 9, 18].map(|shift| (word >> shift & 0x1FF) as f32 * scale));
            }),
            Self::Blocks(block) => picture.blocks(block),
        }
    }
}

impl Block {
    pub(super) fn bytes(self) -> usize {
        if matches!(self, Self::Bc1 | Self::Bc4 { .. }) { 8 } else { 16 }
    }
}

/// Blocks that cover so many pixels.
fn blocks(width: u64, height: u64) -> u64 {
    width.div_ceil(4).saturating_mul(height.div_ceil(4))
}

/// A type of samples.
pub(super) trait Sample: Copy + Default {
    fn samples(of: Vec<Self>) -> Samples;
}

impl Sample for u8 {
    fn samples(of: Vec<Self>) -> Samples {
        Samples::U8(of.into())
    }
}

impl Sample for u16 {
    fn samples(of: Vec<Self>) -> Samples {
        Samples::U16(of.into())
    }
}

impl Sample for f32 {
    fn samples(of: Vec<Self>) -> Samples {
        Samples::F32(of.into())
    }
}

struct Picture<'a> {
    texture: &'a Texture,
    stored: &'a [u8],
    cx: &'a Context,
}

impl Picture<'_> {
    /// Samples of pixels of `size` bytes each.
    fn each<T: Sample>(&self, size: usize, paint: impl Fn(&[u8], &mut [T])) -> Result<Samples> {
        let layout = self.texture.layout();
        let mut samples = decode::buffer::<T>(self.cx, layout.samples())?;
        let rows = samples.chunks_exact_mut(layout.row()).zip(self.stored.chunks(size * layout.width as usize));
        for (y, (row, stored)) in rows.enumerate() {
            if y % 256 == 0 {
                self.cx.checkpoint()?;
            }
            let pixels = row.chunks_exact_mut(layout.channels.into()).zip(stored.chunks_exact(size));
            pixels.for_each(|(pixel, stored)| paint(stored, pixel));
        }
        Ok(T::samples(samples))
    }

    /// Two pixels in four bytes: red, green, blue, green, or each two the other way round.
    fn pairs(&self, green_first: bool) -> Result<Samples> {
        let layout = self.texture.layout();
        let mut samples = decode::buffer::<u8>(self.cx, layout.samples())?;
        let stride = layout.width.div_ceil(2) as usize * 4;
        for (row, stored) in samples.chunks_exact_mut(layout.row()).zip(self.stored.chunks(stride)) {
            self.cx.checkpoint()?;
            for (two, &[a, b, c, d]) in row.chunks_mut(6).zip(stored.as_chunks::<4>().0) {
                let [r, left, b, right] = if green_first { [b, a, d, c] } else { [a, b, c, d] };
                let length = two.len();
                two.copy_from_slice(&[r, left, b, r, right, b][..length]);
            }
        }
        Ok(Samples::U8(samples.into()))
    }

    fn blocks(&self, block: Block) -> Result<Samples> {
        match block {
            Block::Bc6 { signed } => self.tiles::<f32, 3>(block, |stored, tile| {
                let mut halves = [0; 48];
                bcdec_rs::bc6h_half(stored, &mut halves, 12, signed);
                for (pixel, halves) in tile.iter_mut().zip(halves.as_chunks::<3>().0) {
                    *pixel = halves.map(half);
                }
            }),
            Block::Bc7 => self.tiles::<u8, 4>(block, |stored, tile| bcdec_rs::bc7(stored, tile.as_flattened_mut(), 16)),
            Block::Bc1 => self.tiles::<u8, 4>(block, blocks::bc1),
            Block::Bc2 => self.tiles::<u8, 4>(block, blocks::bc2),
            Block::Bc3 => self.tiles::<u8, 4>(block, blocks::bc3),
            Block::Bc4 { signed } => self.tiles::<u8, 1>(block, |stored, tile| blocks::bc4(stored, signed, 0, tile)),
            Block::Bc5 { signed } => self.tiles::<u8, 3>(block, |stored, tile| {
                // No blue is in the middle of signed numbers.
                tile.as_flattened_mut().fill(if signed { 0x80 } else { 0 });
                blocks::bc4(stored, signed, 0, tile);
                blocks::bc4(&stored[8..], signed, 1, tile);
            }),
        }
    }

    /// Samples of blocks, each of which becomes 16 pixels of N channels.
    fn tiles<T: Sample, const N: usize>(
        &self,
        block: Block,
        decode_block: impl Fn(&[u8], &mut [[T; N]; 16]),
    ) -> Result<Samples> {
        let layout = self.texture.layout();
        let (width, height) = (layout.width as usize, layout.height as usize);
        let mut samples = decode::buffer::<T>(self.cx, layout.samples())?;
        let across = width.div_ceil(4);
        for (index, stored) in self.stored.chunks_exact(block.bytes()).enumerate() {
            if index % (1 << 12) == 0 {
                self.cx.checkpoint()?;
            }
            let mut tile = [[T::default(); N]; 16];
            decode_block(stored, &mut tile);
            let (left, top) = (index % across * 4, index / across * 4);
            for (y, row) in tile.chunks_exact(4).enumerate().take(height.saturating_sub(top)) {
                let start = ((top + y) * width + left) * N;
                let count = 4.min(width - left);
                samples[start..start + count * N].copy_from_slice(row[..count].as_flattened());
            }
        }
        Ok(T::samples(samples))
    }
}
