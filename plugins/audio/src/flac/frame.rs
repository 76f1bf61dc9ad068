//! One FLAC frame: header, subframes, checksum (RFC 9639, section 9).
//!
//! Names follow the RFC. Samples are computed in 64 bits: a side channel of 32-bit audio has 33 bits, and predictors of a
//! broken frame may run away. What does not fit the bit depth in the end is a fault of the frame.

use super::metadata::StreamInfo;

/// Why a frame was not decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// The bytes end within it.
    End,
    /// It contradicts the specification or its checksum.
    Broken(&'static str),
}

use Fault::{Broken, End};

/// Sample rates that have a code, which is their place here and one more.
pub(super) const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// A decoded frame header.
#[derive(Clone, Copy, Debug)]
struct FrameHeader {
    block_size: usize,
    /// As stated, `None` for that of STREAMINFO.
    sample_rate: Option<u32>,
    channels: u16,
    stereo: Stereo,
    bits: u32,
    /// Bytes of the header.
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stereo {
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

/// A decoded frame.
pub(super) struct Frame {
    /// Interleaved.
    pub(super) samples: Vec<i32>,
    /// Bytes it took.
    pub(super) length: usize,
    /// Its sample rate is not that of STREAMINFO.
    pub(super) other_rate: bool,
}

/// Whether a frame header with a right checksum starts here.
pub(super) fn starts(bytes: &[u8], info: &StreamInfo) -> bool {
    bytes.first() == Some(&0xFF) && header(bytes, info).is_ok()
}

/// Decodes the frame at the start of `bytes`. `work` keeps its memory between frames; `seen` is set to the bytes looked at.
pub(super) fn decode(
    bytes: &[u8],
    info: &StreamInfo,
    work: &mut Vec<Vec<i64>>,
    seen: &mut usize,
) -> Result<Frame, Fault> {
    *seen = bytes.len().min(16);
    let head = header(bytes, info)?;
    if head.channels != info.channels || head.bits != u32::from(info.bits) {
        return Err(Broken("its channels or bits are not those of STREAMINFO"));
    }
    let mut bits = Bits { bytes, at: head.length, held: 0, count: 0 };
    work.resize_with(usize::from(head.channels), Vec::new);
    for (channel, samples) in work.iter_mut().enumerate() {
        let side = match head.stereo {
            Stereo::Independent => false,
            Stereo::SideRight => channel == 0,
            Stereo::LeftSide | Stereo::MidSide => channel == 1,
        };
        samples.clear();
        let result = subframe(&mut bits, head.block_size, head.bits + u32::from(side), samples);
        *seen = bits.at;
        result?;
    }
    bits.align();
    let end = bits.position();
    let stated = bytes.get(end..end + 2).ok_or(End)?;
    if crc16(&bytes[..end]).to_be_bytes() != stated {
        return Err(Broken("its checksum does not fit"));
    }
    let samples = interleave(work, head, info.bits)?;
    Ok(Frame { samples, length: end + 2, other_rate: head.sample_rate.is_some_and(|rate| rate != info.sample_rate) })
}

/// 9.1: the frame header.
fn header(bytes: &[u8], info: &StreamInfo) -> Result<FrameHeader, Fault> {
    let mut at = 4;
    let mut next = || -> Result<u32, Fault> {
        at += 1;
        bytes.get(at - 1).map(|&byte| byte.into()).ok_or(End)
    };
    let head: [u8; 4] = bytes.get(..4).and_then(|head| head.try_into().ok()).ok_or(End)?;
    if head[0] != 0xFF || head[1] & 0xFE != 0xF8 {
        return Err(Broken("no frame starts here"));
    }
    // The coded number: UTF-8 extended to 36 bits. Only its length matters here.
    let first = next()?;
    let more = match first {
        0..0x80 => 0,
        0xC0..0xFF => (first as u8).leading_ones() - 1,
        _ => return Err(Broken("its number is not coded right")),
    };
    for _ in 0..more {
        if next()? & 0xC0 != 0x80 {
            return Err(Broken("its number is not coded right"));
        }
    }
    let block_size = match head[2] >> 4 {
        0 => return Err(Broken("its block size is reserved")),
        1 => 192,
        code @ 2..=5 => 144 << code,
        6 => next()? + 1,
        7 => (next()? << 8 | next()?) + 1,
        code => 1 << code,
    };
    let sample_rate = match head[2] & 15 {
        0 => None,
        code @ 1..=11 => Some(RATES[usize::from(code) - 1]),
        12 => Some(next()? * 1000),
        13 => Some(next()? << 8 | next()?),
        14 => Some((next()? << 8 | next()?) * 10),
        _ => return Err(Broken("its sample rate is invalid")),
    };
    let (channels, stereo) = match head[3] >> 4 {
        code @ 0..=7 => (u16::from(code) + 1, Stereo::Independent),
        8 => (2, Stereo::LeftSide),
        9 => (2, Stereo::SideRight),
        10 => (2, Stereo::MidSide),
        _ => return Err(Broken("its channel assignment is reserved")),
    };
    let bits = match head[3] >> 1 & 7 {
        0 => info.bits.into(),
        3 => return Err(Broken("its bit depth is reserved")),
        code => [8, 12, 0, 16, 20, 24, 32][usize::from(code) - 1],
    };
    let checksum = next()?;
    let length = at;
    if u32::from(crc8(&bytes[..length - 1])) != checksum {
        return Err(Broken("its header checksum does not fit"));
    }
    Ok(FrameHeader { block_size: block_size as usize, sample_rate, channels, stereo, bits, length })
}

/// 9.2: one channel.
fn subframe(bits: &mut Bits<'_>, size: usize, depth: u32, out: &mut Vec<i64>) -> Result<(), Fault> {
    if bits.take(1)? != 0 {
        return Err(Broken("the first bit of a subframe is set"));
    }
    let kind = bits.take(6)?;
    let wasted = if bits.take(1)? == 1 { bits.zeros()? + 1 } else { 0 };
    let depth = depth.checked_sub(wasted).filter(|&depth| depth > 0).ok_or(Broken("all bits are wasted"))?;
    match kind {
        0 => {
            let value = bits.signed(depth)?;
            out.resize(size, value);
        }
        1 => {
            for _ in 0..size {
                out.push(bits.signed(depth)?);
            }
        }
        8..=12 => fixed(bits, size, depth, kind as usize - 8, out)?,
        32.. => linear(bits, size, depth, kind as usize - 31, out)?,
        _ => return Err(Broken("a subframe type is reserved")),
    }
    if wasted > 0 {
        out.iter_mut().for_each(|sample| *sample <<= wasted);
    }
    Ok(())
}

/// 9.2.5: one of five polynomial predictors.
fn fixed(bits: &mut Bits<'_>, size: usize, depth: u32, order: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    warm_up(bits, size, depth, order, out)?;
    residual(bits, size, order, out)?;
    for i in order..size {
        let past = |back: usize| out[i - back];
        let predicted = match order {
            0 => continue,
            1 => past(1),
            2 => past(1).wrapping_mul(2).wrapping_sub(past(2)),
            3 => past(1).wrapping_sub(past(2)).wrapping_mul(3).wrapping_add(past(3)),
            _ => {
                let outer = past(1).wrapping_add(past(3)).wrapping_mul(4);
                outer.wrapping_sub(past(2).wrapping_mul(6)).wrapping_sub(past(4))
            }
        };
        out[i] = out[i].wrapping_add(predicted);
    }
    Ok(())
}

/// 9.2.6: a linear predictor with its coefficients.
fn linear(bits: &mut Bits<'_>, size: usize, depth: u32, order: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    warm_up(bits, size, depth, order, out)?;
    let precision = bits.take(4)? + 1;
    if precision == 16 {
        return Err(Broken("its coefficient precision is invalid"));
    }
    let shift = bits.signed(5)?;
    if shift < 0 {
        return Err(Broken("its coefficient shift is negative"));
    }
    // Reversed: they then run along with the past samples.
    let mut coefficients = [0_i64; 32];
    for coefficient in coefficients[..order].iter_mut().rev() {
        *coefficient = bits.signed(precision)?;
    }
    let coefficients = &coefficients[..order];
    residual(bits, size, order, out)?;
    // Products of this depth and precision that fit 32 bits when added up; most 16-bit music does.
    for i in order..size {
        let past = &out[i - order..i];
        let sum = past.iter().zip(coefficients).fold(0_i64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
        out[i] = out[i].wrapping_add(sum >> shift);
    }
    Ok(())
}

fn warm_up(bits: &mut Bits<'_>, size: usize, depth: u32, order: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    if order > size {
        return Err(Broken("its predictor is longer than the block"));
    }
    for _ in 0..order {
        out.push(bits.signed(depth)?);
    }
    Ok(())
}

/// 9.2.7: the coded residual, appended after the warm-up samples.
fn residual(bits: &mut Bits<'_>, size: usize, order: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    let parameter_bits = match bits.take(2)? {
        0 => 4,
        1 => 5,
        _ => return Err(Broken("its residual coding is reserved")),
    };
    let escape = (1 << parameter_bits) - 1;
    let partition_order = bits.take(4)?;
    let partition = size >> partition_order;
    if partition << partition_order != size || partition < order {
        return Err(Broken("its partitions do not fit the block"));
    }
    for number in 0..1 << partition_order {
        let count = if number == 0 { partition - order } else { partition };
        let parameter = bits.take(parameter_bits)?;
        if parameter == escape {
            let width = bits.take(5)?;
            for _ in 0..count {
                out.push(bits.signed(width)?);
            }
            continue;
        }
        for _ in 0..count {
            out.push(bits.rice(parameter)?);
        }
    }
    Ok(())
}

/// 4.2: undoes stereo decorrelation, checks the range, and interleaves.
fn interleave(work: &mut [Vec<i64>], head: FrameHeader, depth: u8) -> Result<Vec<i32>, Fault> {
    if let ([first, second], true) = (&mut *work, head.stereo != Stereo::Independent) {
        for (a, b) in first.iter_mut().zip(second) {
            (*a, *b) = match head.stereo {
                Stereo::LeftSide => (*a, a.wrapping_sub(*b)),
                Stereo::SideRight => (a.wrapping_add(*b), *b),
                _ => {
                    let mid = a.wrapping_mul(2) | (*b & 1);
                    (mid.wrapping_add(*b) >> 1, mid.wrapping_sub(*b) >> 1)
                }
            };
        }
    }
    let (low, high) = (-1_i64 << (depth - 1), (1_i64 << (depth - 1)) - 1);
    if work.iter().flatten().any(|sample| !(low..=high).contains(sample)) {
        return Err(Broken("a sample does not fit the bit depth"));
    }
    let channels = work.len();
    let mut samples = vec![0; head.block_size * channels];
    for (channel, source) in work.iter().enumerate() {
        for (place, sample) in samples[channel..].iter_mut().step_by(channels).zip(source) {
            *place = *sample as i32;
        }
    }
    Ok(samples)
}

/// Bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Next byte to be held.
    at: usize,
    /// Bits held, left aligned; those below `count` are zero or repeat what follows.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 56 bits, or all that are left.
    fn fill(&mut self) {
        if let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            self.held |= u64::from_be_bytes(*word) >> self.count;
            let bytes = (63 - self.count) / 8;
            self.at += bytes as usize;
            self.count += bytes * 8;
            // Below `count` stand bits of the next byte; they are written again, equal, by the next fill.
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            self.held |= u64::from(byte) << (56 - self.count);
            self.at += 1;
            self.count += 8;
        }
    }

    fn drop_bits(&mut self, count: u32) {
        self.held = self.held.checked_shl(count).unwrap_or(0);
        self.count -= count;
    }

    /// The next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> Result<u32, Fault> {
        if self.count < count {
            self.fill();
            if self.count < count {
                return Err(End);
            }
        }
        let value = (self.held >> 32 >> (32 - count)) as u32;
        self.drop_bits(count);
        Ok(value)
    }

    /// A signed number of `count` bits, at most 33.
    fn signed(&mut self, count: u32) -> Result<i64, Fault> {
        if count > 32 {
            let high = self.take(count - 32)?;
            let value = i64::from(high) << 32 | i64::from(self.take(32)?);
            return Ok(value << (64 - count) >> (64 - count));
        }
        let value = i64::from(self.take(count)?);
        Ok(if count == 0 { 0 } else { value << (64 - count) >> (64 - count) })
    }

    /// Zeros before the next one, which is taken too.
    fn zeros(&mut self) -> Result<u32, Fault> {
        let mut zeros = 0_u32;
        loop {
            if self.count == 0 {
                self.fill();
                if self.count == 0 {
                    return Err(End);
                }
            }
            let run = self.held.leading_zeros();
            if run < self.count {
                self.drop_bits(run + 1);
                return Ok(zeros.saturating_add(run));
            }
            zeros = zeros.saturating_add(self.count);
            self.drop_bits(self.count);
        }
    }

    /// A Rice code.
    fn rice(&mut self, parameter: u32) -> Result<i64, Fault> {
        if self.count < 32 {
            self.fill();
        }
        let high = u64::from(self.zeros()?);
        let low = u64::from(self.take(parameter)?);
        let folded = high << parameter | low;
        if folded > u64::from(u32::MAX) {
            return Err(Broken("a residual has more than 32 bits"));
        }
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    fn align(&mut self) {
        self.drop_bits(self.count % 8);
    }

    /// Bytes taken; only after `align`.
    fn position(&self) -> usize {
        self.at - (self.count / 8) as usize
    }
}

/// CRC-8, polynomial x^8 + x^2 + x + 1.
pub(crate) fn crc8(bytes: &[u8]) -> u8 {
    const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut value = i as u8;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 0x80 != 0 { value << 1 ^ 0x07 } else { value << 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| TABLE[usize::from(crc ^ byte)])
}

/// CRC-16, polynomial x^16 + x^15 + x^2 + 1. Eight bytes at a time: the tables tell what a byte does that far ahead.
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    const TABLES: [[u16; 256]; 8] = {
        let mut tables = [[0; 256]; 8];
        let mut i = 0;
        while i < 256 {
            let mut value = (i as u16) << 8;
            let mut bit = 0;
            while bit < 64 {
                value = if value & 0x8000 != 0 { value << 1 ^ 0x8005 } else { value << 1 };
                bit += 1;
                if bit % 8 == 0 {
                    tables[bit / 8 - 1][i] = value;
                }
            }
            i += 1;
        }
        tables
    };
    let (eights, rest) = bytes.as_chunks::<8>();
    let crc = eights.iter().fold(0_u16, |crc, eight| {
        let [high, low] = crc.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = eight.map(usize::from);
        TABLES[7][a ^ usize::from(high)]
            ^ TABLES[6][b ^ usize::from(low)]
            ^ TABLES[5][c]
            ^ TABLES[4][d]
            ^ TABLES[3][e]
            ^ TABLES[2][f]
            ^ TABLES[1][g]
            ^ TABLES[0][h]
    });
    rest.iter().fold(crc, |crc, byte| crc << 8 ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)])
}
