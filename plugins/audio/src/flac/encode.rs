//! Encodes blocks of samples as FLAC frames (RFC 9639, section 9): for every channel the subframe that takes the fewest bits,
//! for stereo the cheapest pair of left, right, middle and difference.
//!
//! Constant and verbatim subframes, the fixed predictors and one linear predictor are candidates; their sizes are exact, so
//! that no frame is larger than verbatim samples in their framing. Frames fit the streamable subset wherever the sample rate
//! and the bits have a code of their own.

use super::frame::{RATES, crc8, crc16};
use super::predict::{self, Analysis, Linear};
use super::rice::{Coding, Search};

/// What precedes the samples of a subframe.
const SUBFRAME_HEADER: u64 = 8;

/// How the samples of a subframe are found again.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Constant,
    Verbatim,
    Fixed(usize),
    Linear(Linear),
}

/// A channel of the block at hand, and the best way to store it.
struct Channel {
    /// Without wasted bits.
    samples: Vec<i32>,
    /// Bits a sample, without wasted ones.
    bits: u32,
    /// Low bits that are zero in all samples.
    wasted: u32,
    kind: Kind,
    /// Bits of the subframe.
    cost: u64,
    residual: Vec<u32>,
    coding: Coding,
}

/// Encodes one stream, block after block.
pub(super) struct Encoder {
    sample_rate: u32,
    bits: u32,
    channels: usize,
    /// Those of the stream; for stereo also middle and difference.
    subframes: Vec<Channel>,
    scratch: Scratch,
    out: BitWriter,
}

/// Memory that all channels use in turn.
#[derive(Default)]
struct Scratch {
    analysis: Analysis,
    search: Search,
    residual: Vec<u32>,
    coding: Coding,
}

impl Encoder {
    /// For 1 to 8 channels of 4 to 32 bits.
    pub(super) fn new(sample_rate: u32, channels: usize, bits: u8) -> Self {
        let bits = u32::from(bits);
        // The difference of 32-bit channels has 33 bits, which many decoders do not take.
        let pairs = if channels == 2 && bits < 32 { 2 } else { 0 };
        Self {
            sample_rate,
            bits,
            channels,
            subframes: (0..channels + pairs).map(|_| Channel::new()).collect(),
            scratch: Scratch::default(),
            out: BitWriter::default(),
        }
    }

    /// Encodes a block of interleaved samples, which all fit the bits, as frame `number`.
    pub(super) fn encode(&mut self, samples: &[i32], number: u32) -> &[u8] {
        let size = samples.len() / self.channels;
        for (place, channel) in self.subframes.iter_mut().take(self.channels).enumerate() {
            channel.samples.clear();
            channel.samples.extend(samples[place..].iter().step_by(self.channels));
            channel.bits = self.bits;
        }
        // Four channels of a stream look the same.
        if self.channels == 2
            && let [left, right, middle, side] = &mut self.subframes[..]
        {
            let pairs = || left.samples.iter().zip(&right.samples);
            middle.samples.clear();
            middle.samples.extend(pairs().map(|(&l, &r)| (l >> 1) + (r >> 1) + (l & r & 1)));
            side.samples.clear();
            side.samples.extend(pairs().map(|(l, r)| l - r));
            (middle.bits, side.bits) = (self.bits, self.bits + 1);
        }
        self.subframes.iter_mut().for_each(|channel| channel.choose(&mut self.scratch));
        let (assignment, chosen) = self.assign();
        self.out.clear();
        self.header(size, number, assignment);
        for place in chosen {
            self.subframes[place].write(&mut self.out);
        }
        self.out.align();
        let sum = crc16(&self.out.bytes);
        self.out.bytes.extend(sum.to_be_bytes());
        &self.out.bytes
    }

    /// The code of the cheapest channel assignment, and the subframes it stores.
    fn assign(&self) -> (u8, Vec<usize>) {
        let independent = ((self.channels - 1) as u8, (0..self.channels).collect());
        if self.subframes.len() == self.channels {
            return independent;
        }
        let pairs = [independent, (8, vec![0, 3]), (9, vec![3, 1]), (10, vec![2, 3])];
        let cost = |pair: &(u8, Vec<usize>)| pair.1.iter().map(|&place| self.subframes[place].cost).sum::<u64>();
        pairs.into_iter().min_by_key(cost).unwrap_or_default()
    }

    /// 9.1
    fn header(&mut self, size: usize, number: u32, assignment: u8) {
        let (block_code, block_field) = match size {
            192 => (1, None),
            576 | 1152 | 2304 | 4608 => (2 + (size / 576).ilog2() as u8, None),
            257..=32_768 if size.is_power_of_two() => (size.ilog2() as u8, None),
            1..=256 => (6, Some((size as u64 - 1, 8))),
            _ => (7, Some((size as u64 - 1, 16))),
        };
        let rate = self.sample_rate;
        let (rate_code, rate_field) = match RATES.iter().position(|&known| known == rate) {
            Some(place) => (place as u8 + 1, None),
            None if rate.is_multiple_of(1000) && rate < 256_000 => (12, Some((u64::from(rate / 1000), 8))),
            None if rate < 1 << 16 => (13, Some((u64::from(rate), 16))),
            None if rate.is_multiple_of(10) && rate < 10 << 16 => (14, Some((u64::from(rate / 10), 16))),
            None => (0, None),
        };
        let bits_code = match self.bits {
            8 => 1,
            12 => 2,
            16 => 4,
            20 => 5,
            24 => 6,
            32 => 7,
            _ => 0,
        };
        let out = &mut self.out;
        for byte in [0xFF, 0xF8, block_code << 4 | rate_code, assignment << 4 | bits_code << 1] {
            out.put(byte.into(), 8);
        }
        coded_number(number, out);
        for (value, width) in [block_field, rate_field].into_iter().flatten() {
            out.put(value, width);
        }
        out.align();
        let sum = crc8(&out.bytes);
        out.put(sum.into(), 8);
    }
}

/// The frame number, as UTF-8 codes a character, up to 31 bits.
fn coded_number(number: u32, out: &mut BitWriter) {
    if number < 0x80 {
        return out.put(number.into(), 8);
    }
    // With `more` bytes of six bits, the first byte has 6 - more.
    let more = (1..=5).find(|more| number >> (6 * more + 6 - more) == 0).unwrap_or(5);
    let marker = 0xFF << (7 - more) & 0xFF;
    out.put(u64::from(marker | number >> (6 * more)), 8);
    for part in (0..more).rev() {
        out.put(u64::from(0x80 | number >> (6 * part) & 0x3F), 8);
    }
}

impl Channel {
    fn new() -> Self {
        Self {
            samples: Vec::new(),
            bits: 0,
            wasted: 0,
            kind: Kind::Verbatim,
            cost: 0,
            residual: Vec::new(),
            coding: Coding::default(),
        }
    }

    /// Finds the cheapest kind.
    fn choose(&mut self, scratch: &mut Scratch) {
        let size = self.samples.len();
        let first = self.samples.first().copied().unwrap_or(0);
        self.wasted = 0;
        if self.samples.iter().all(|&sample| sample == first) {
            self.kind = Kind::Constant;
            self.cost = SUBFRAME_HEADER + u64::from(self.bits);
            return;
        }
        let used = self.samples.iter().fold(0, |used, sample| used | sample);
        self.wasted = used.trailing_zeros();
        if self.wasted > 0 {
            self.bits -= self.wasted;
            self.samples.iter_mut().for_each(|sample| *sample >>= self.wasted);
        }
        self.kind = Kind::Verbatim;
        self.cost = self.warm_up(size);
        let order = predict::best_fixed(&self.samples, self.bits);
        if predict::fixed(&self.samples, order, self.bits, &mut scratch.residual).is_some() {
            self.consider(Kind::Fixed(order), order, 0, scratch);
        }
        let Some(linear) = scratch.analysis.linear(&self.samples, self.bits) else { return };
        let peak = self.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        if linear.residual(&self.samples, peak, &mut scratch.residual).is_some() {
            let header = 4 + 5 + linear.order as u64 * u64::from(linear.precision);
            self.consider(Kind::Linear(linear), linear.order, header, scratch);
        }
    }

    /// Takes the residual at hand if it costs less than what was found before.
    fn consider(&mut self, kind: Kind, order: usize, header: u64, scratch: &mut Scratch) {
        scratch.search.run(&scratch.residual, self.samples.len(), order, &mut scratch.coding);
        let cost = self.warm_up(order).saturating_add(header).saturating_add(scratch.coding.bits);
        if cost < self.cost {
            (self.kind, self.cost) = (kind, cost);
            std::mem::swap(&mut self.residual, &mut scratch.residual);
            std::mem::swap(&mut self.coding, &mut scratch.coding);
        }
    }

    /// Bits of the header and of `count` plain samples.
    fn warm_up(&self, count: usize) -> u64 {
        SUBFRAME_HEADER + u64::from(self.wasted) + count as u64 * u64::from(self.bits)
    }

    /// 9.2
    fn write(&self, out: &mut BitWriter) {
        let (code, plain) = match self.kind {
            Kind::Constant => (0, 1),
            Kind::Verbatim => (1, self.samples.len()),
            Kind::Fixed(order) => (8 + order, order),
            Kind::Linear(linear) => (31 + linear.order, linear.order),
        };
        out.put((code as u64) << 1 | u64::from(self.wasted > 0), 8);
        if self.wasted > 0 {
            out.put(1, self.wasted);
        }
        self.samples[..plain].iter().for_each(|&sample| out.signed(sample, self.bits));
        if let Kind::Linear(linear) = self.kind {
            out.put(u64::from(linear.precision - 1), 4);
            out.put(linear.shift.into(), 5);
            for &coefficient in &linear.coefficients[..linear.order] {
                out.signed(coefficient, linear.precision);
            }
        }
        if matches!(self.kind, Kind::Fixed(_) | Kind::Linear(_)) {
            self.coding.write(&self.residual, self.samples.len(), plain, out);
        }
    }
}

/// Bits, most significant first.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// The last bits, right aligned; those above `count` are written already.
    held: u64,
    /// Fewer than 32.
    count: u32,
}

impl BitWriter {
    fn clear(&mut self) {
        self.bytes.clear();
        (self.held, self.count) = (0, 0);
    }

    /// The low `width` bits, at most 32, of a value that has no others.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        self.held = self.held << width | value;
        self.count += width;
        if self.count >= 32 {
            self.count -= 32;
            self.bytes.extend_from_slice(&((self.held >> self.count) as u32).to_be_bytes());
        }
    }

    /// A signed number, at most 32 bits.
    fn signed(&mut self, value: i32, width: u32) {
        self.put(u64::from(value.cast_unsigned()) & ((1 << width) - 1), width);
    }

    /// A Rice code: the upper part as zeros before a one, then the lower `k` bits, at most 30.
    pub(super) fn rice(&mut self, folded: u32, k: u32) {
        let mut zeros = folded >> k;
        let low = u64::from(folded) & ((1 << k) - 1);
        if zeros <= 31 - k {
            return self.put(1 << k | low, zeros + 1 + k);
        }
        while zeros >= 32 {
            self.put(0, 32);
            zeros -= 32;
        }
        self.put(0, zeros);
        self.put(1 << k | low, k + 1);
    }

    /// Fills the last byte with zeros and hands over all of them.
    fn align(&mut self) {
        self.put(0, self.count.wrapping_neg() % 8);
        while self.count > 0 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_numbers_are_coded_as_characters_are() {
        for number in (0..=0x0010_FFFF).step_by(7).chain([0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000]) {
            // There are no characters for surrogates.
            let Some(character) = char::from_u32(number) else { continue };
            let mut out = BitWriter::default();
            coded_number(number, &mut out);
            out.align();
            assert_eq!(out.bytes, character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let mut out = BitWriter::default();
        coded_number((1 << 31) - 1, &mut out);
        out.align();
        assert_eq!(out.bytes, [0xFD, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]);
    }
}
