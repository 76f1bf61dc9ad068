//! How samples are coded in a data chunk, and their decoding block by block.

use mediary_core::record::AudioChunk;
use mediary_core::{Error, Result};

use super::gsm;

/// Step sizes of IMA ADPCM.
const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];
/// How IMA ADPCM moves the step by the size of a code.
const IMA_MOVES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
/// How Microsoft ADPCM scales the step by a code.
const MS_SCALES: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

/// How samples are coded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Codec {
    /// Linear integers in `bytes` a sample, of which the highest `bits` count. One byte is unsigned.
    Pcm { bytes: u8, bits: u8, big: bool },
    /// Linear floats of 32 or 64 bits.
    Float { bytes: u8, big: bool },
    /// G.711 A-law.
    ALaw,
    /// G.711 mu-law.
    MuLaw,
    /// IMA ADPCM, four bits a sample.
    Ima,
    /// Microsoft ADPCM, four bits a sample, with its predictor coefficients.
    Ms(Vec<[i32; 2]>),
    /// GSM 06.10 full rate.
    Gsm,
}

impl Codec {
    /// The name that ffmpeg gives it, without the byte order.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pcm { bytes: 1, .. } => "pcm_u8",
            Self::Pcm { bytes: 2, .. } => "pcm_s16",
            Self::Pcm { bytes: 3, .. } => "pcm_s24",
            Self::Pcm { .. } => "pcm_s32",
            Self::Float { bytes: 4, .. } => "pcm_f32",
            Self::Float { .. } => "pcm_f64",
            Self::ALaw => "pcm_alaw",
            Self::MuLaw => "pcm_mulaw",
            Self::Ima => "adpcm_ima_wav",
            Self::Ms(_) => "adpcm_ms",
            Self::Gsm => "gsm_ms",
        }
    }

    /// Bits of a decoded sample.
    pub(super) fn bits(&self) -> u8 {
        match self {
            Self::Pcm { bits, .. } => *bits,
            Self::Float { bytes, .. } => bytes * 8,
            _ => 16,
        }
    }

    pub(super) fn is_integer(&self) -> bool {
        !matches!(self, Self::Float { .. })
    }

    /// Frames in a block of `align` bytes.
    ///
    /// # Errors
    /// `Malformed` when no block of this codec has that size.
    pub(super) fn frames_per_block(&self, align: u16, channels: u16) -> Result<u32> {
        let (align, channels) = (u32::from(align), u32::from(channels));
        let (least, frames) = match self {
            Self::Pcm { bytes, .. } | Self::Float { bytes, .. } => (u32::from(*bytes) * channels, 1),
            Self::ALaw | Self::MuLaw => (channels, 1),
            Self::Ima => (4 * channels, (align / channels).saturating_sub(4) * 2 + 1),
            Self::Ms(_) => (7 * channels, align.saturating_sub(7 * channels) * 2 / channels + 2),
            Self::Gsm => (gsm::BLOCK as u32, gsm::SAMPLES as u32),
        };
        let fits = match self {
            Self::Ima => align >= least && align % (4 * channels) == 0,
            Self::Ms(_) => align >= least,
            Self::Gsm => align == least && channels == 1,
            _ => align == least,
        };
        if fits {
            return Ok(frames);
        }
        Err(Error::malformed(format!(
            "block align {align} does not fit {channels} channels of {}: expected {least}",
            self.name()
        )))
    }
}

/// Decodes the blocks of one data chunk in order.
pub(super) struct Decoder {
    codec: Codec,
    channels: u16,
    align: usize,
    gsm: gsm::Decoder,
    /// Samples whose bits below the valid ones were not zero.
    pub(super) stray_bits: u64,
}

impl Decoder {
    pub(super) fn new(codec: Codec, channels: u16, align: u16) -> Self {
        Self { codec, channels, align: usize::from(align).max(1), gsm: gsm::Decoder::new(), stray_bits: 0 }
    }

    /// Decodes whole blocks.
    ///
    /// # Errors
    /// `Malformed` when a block's header is impossible.
    pub(super) fn blocks(&mut self, bytes: &[u8], room: usize) -> Result<AudioChunk> {
        let channels = self.channels;
        if let Codec::Float { bytes: width, big } = self.codec {
            return Ok(AudioChunk::Float { samples: floats(bytes, width, big).into(), channels });
        }
        let mut samples = Vec::with_capacity(room);
        match &self.codec {
            Codec::Pcm { bytes: width, bits, big } => {
                self.stray_bits += pcm(bytes, *width, *bits, *big, &mut samples);
            }
            Codec::ALaw => samples.extend(bytes.iter().map(|&byte| a_law(byte))),
            Codec::MuLaw => samples.extend(bytes.iter().map(|&byte| mu_law(byte))),
            Codec::Ima => {
                for block in bytes.chunks_exact(self.align) {
                    ima_block(block, usize::from(channels), &mut samples)?;
                }
            }
            Codec::Ms(coefficients) => {
                for block in bytes.chunks_exact(self.align) {
                    ms_block(block, usize::from(channels), coefficients, &mut samples)?;
                }
            }
            Codec::Gsm => {
                let (blocks, _) = bytes.as_chunks::<{ gsm::BLOCK }>();
                for block in blocks {
                    self.gsm.block(block, &mut samples);
                }
            }
            Codec::Float { .. } => {}
        }
        Ok(AudioChunk::Int { samples: samples.into(), channels, bits: self.codec.bits() })
    }
}

/// Floats, those of 64 bits rounded to 32.
fn floats(bytes: &[u8], width: u8, big: bool) -> Vec<f32> {
    if width == 8 {
        let (words, _) = bytes.as_chunks::<8>();
        let read = if big { f64::from_be_bytes } else { f64::from_le_bytes };
        return words.iter().map(|word| read(*word) as f32).collect();
    }
    let (words, _) = bytes.as_chunks::<4>();
    let read = if big { f32::from_be_bytes } else { f32::from_le_bytes };
    words.iter().map(|word| read(*word)).collect()
}

/// Integers, shifted down to their valid bits. Returns how many had other bits set.
fn pcm(bytes: &[u8], width: u8, bits: u8, big: bool, out: &mut Vec<i32>) -> u64 {
    let shift = u32::from((width * 8).saturating_sub(bits));
    let mut stray = 0;
    let mut push = |value: i32| {
        stray += u64::from(value & ((1 << shift) - 1) != 0);
        out.push(value >> shift);
    };
    match (width, big) {
        (1, _) => bytes.iter().for_each(|&byte| push(i32::from(byte) - 128)),
        (2, false) => bytes.as_chunks::<2>().0.iter().for_each(|word| push(i16::from_le_bytes(*word).into())),
        (2, true) => bytes.as_chunks::<2>().0.iter().for_each(|word| push(i16::from_be_bytes(*word).into())),
        (3, false) => {
            bytes.as_chunks::<3>().0.iter().for_each(|[a, b, c]| push(i32::from_le_bytes([0, *a, *b, *c]) >> 8))
        }
        (3, true) => {
            bytes.as_chunks::<3>().0.iter().for_each(|[a, b, c]| push(i32::from_be_bytes([*a, *b, *c, 0]) >> 8))
        }
        (_, false) => bytes.as_chunks::<4>().0.iter().for_each(|word| push(i32::from_le_bytes(*word))),
        (_, true) => bytes.as_chunks::<4>().0.iter().for_each(|word| push(i32::from_be_bytes(*word))),
    }
    stray
}

/// G.711 A-law to 16 bits.
fn a_law(byte: u8) -> i32 {
    let code = i32::from(byte ^ 0x55);
    let (segment, step) = (code >> 4 & 7, (code & 15) << 4);
    let size = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -size } else { size }
}

/// G.711 mu-law to 16 bits.
fn mu_law(byte: u8) -> i32 {
    let code = i32::from(!byte);
    let size = ((((code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
    if code & 0x80 == 0 { size } else { -size }
}

/// A block of IMA ADPCM: a header of 4 bytes a channel, then 8 codes a channel in turn, low nibble first.
fn ima_block(block: &[u8], channels: usize, out: &mut Vec<i32>) -> Result<()> {
    let (heads, codes) = block.split_at(4 * channels);
    let first = out.len();
    let frames = codes.len() * 2 / channels + 1;
    out.resize(first + frames * channels, 0);
    for channel in 0..channels {
        let head = &heads[4 * channel..][..4];
        let mut value = i32::from(i16::from_le_bytes([head[0], head[1]]));
        let mut index = i32::from(head[2]);
        if index > 88 {
            return Err(Error::malformed(format!("expected an IMA ADPCM step index up to 88, found {index}")));
        }
        let mut at = first + channel;
        out[at] = value;
        for group in codes.chunks_exact(4 * channels) {
            for byte in &group[4 * channel..][..4] {
                for code in [i32::from(byte & 15), i32::from(byte >> 4)] {
                    let step = IMA_STEPS[usize::try_from(index).unwrap_or(0).min(88)];
                    let mut change = step >> 3;
                    for (bit, part) in [(4, step), (2, step >> 1), (1, step >> 2)] {
                        change += if code & bit != 0 { part } else { 0 };
                    }
                    value = (value + if code & 8 != 0 { -change } else { change }).clamp(-32768, 32767);
                    index = (index + IMA_MOVES[(code & 7) as usize]).clamp(0, 88);
                    at += channels;
                    out[at] = value;
                }
            }
        }
    }
    Ok(())
}

/// A block of Microsoft ADPCM: predictors, steps and two samples of each channel, then codes, high nibble first.
fn ms_block(block: &[u8], channels: usize, coefficients: &[[i32; 2]], out: &mut Vec<i32>) -> Result<()> {
    let (heads, codes) = block.split_at(7 * channels);
    let word = |at: usize| i32::from(i16::from_le_bytes([heads[at], heads[at + 1]]));
    let mut states = Vec::with_capacity(channels);
    for (channel, &predictor) in heads[..channels].iter().enumerate() {
        let predictor = usize::from(predictor);
        let Some(pair) = coefficients.get(predictor) else {
            return Err(Error::malformed(format!(
                "expected one of {} ADPCM predictors, found number {predictor}",
                coefficients.len()
            )));
        };
        let at = |row: usize| word(channels + 2 * (row * channels + channel));
        states.push((*pair, at(0), at(1), at(2)));
    }
    out.extend(states.iter().map(|state| state.3));
    out.extend(states.iter().map(|state| state.2));
    // A last odd nibble is no whole frame.
    let whole = codes.len() * 2 / channels * channels;
    let nibbles = codes.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(whole);
    for (number, code) in nibbles.enumerate() {
        let (pair, step, before, earlier) = &mut states[number % channels];
        let signed = (i32::from(code) ^ 8) - 8;
        let predicted = (i64::from(*before) * i64::from(pair[0]) + i64::from(*earlier) * i64::from(pair[1])) >> 8;
        let value = (predicted + i64::from(signed) * i64::from(*step)).clamp(-32768, 32767) as i32;
        (*earlier, *before) = (*before, value);
        *step = (MS_SCALES[usize::from(code)].saturating_mul(*step) >> 8).max(16);
        out.push(value);
    }
    Ok(())
}
