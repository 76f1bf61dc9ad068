//! Deflate without a search: filtered rows of photographs repeat nothing but zeros.
//!
//! Specification: RFC 1950 (zlib), RFC 1951 (deflate). Every block has a Huffman code of its own, made from a sample of its
//! bytes; runs of zeros are matches at distance 1. A block that does not get smaller is stored.

use simd_adler32::Adler32;

/// The end of a block, and the longest match, among the symbols of literals and lengths.
const END: usize = 256;
const LONGEST: usize = 258;
/// Literals, the end, lengths.
const SYMBOLS: usize = 286;
/// Bits of the longest code: four of them fit beside seven bits that wait.
const LIMIT: usize = 12;
/// One in so many pieces of a block is counted, each of so many bytes.
const SAMPLED: usize = 8;
const PIECE: usize = 1024;
/// Bytes of the longest stored block.
const STORED: usize = 65_535;
/// The order of the lengths of the codes for code lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// A zlib stream as it grows.
pub(super) struct Deflate {
    bits: Bits,
    checksum: Adler32,
}

impl Deflate {
    /// Memory of a stream of blocks of at most `longest` bytes.
    pub(super) const fn memory(longest: usize) -> usize {
        // The longest codes and the header; what is stored is shorter.
        longest + longest / 2 + 512
    }

    pub(super) fn new(longest: usize) -> Self {
        let mut bits = Bits { out: vec![0; Self::memory(longest)], at: 0, waiting: 0, count: 0 };
        bits.put(0x0178, 16);
        Self { bits, checksum: Adler32::new() }
    }

    /// The bytes of the stream that are whole after a block of `data`; those of the end after the last.
    pub(super) fn block(&mut self, data: &[u8], is_last: bool) -> &[u8] {
        self.checksum.write(data);
        let (at, waiting, count) = (self.bits.at, self.bits.waiting, self.bits.count);
        self.coded(data, is_last);
        if self.bits.at - at > data.len() + 5 * data.len().div_ceil(STORED) {
            (self.bits.at, self.bits.waiting, self.bits.count) = (at, waiting, count);
            self.stored(data, is_last);
        }
        if is_last {
            self.bits.align();
            self.bits.bytes(&self.checksum.finish().to_be_bytes());
        }
        let whole = std::mem::take(&mut self.bits.at);
        &self.bits.out[..whole]
    }

    fn coded(&mut self, data: &[u8], is_last: bool) {
        let mut sample = Sample { counts: [[0; SYMBOLS]; 2] };
        let step = if data.len() < SAMPLED * SAMPLED * PIECE { 1 } else { SAMPLED };
        data.chunks(PIECE).step_by(step).for_each(|piece| tokens(piece, &mut sample));
        let [even, odd] = &sample.counts;
        // What the sample misses has a code all the same.
        let counts: [u32; SYMBOLS] = std::array::from_fn(|symbol| (even[symbol] + odd[symbol]) * SAMPLED as u32 + 1);
        let lengths = lengths(&counts, LIMIT);
        let codes = codes(&lengths);
        let mut of_lengths = [0; 19];
        // The one code of distances is of one bit.
        lengths.iter().chain(&[1]).for_each(|&length| of_lengths[usize::from(length)] += 1);
        let length_lengths = self::lengths(&of_lengths, 7);
        let length_codes = self::codes(&length_lengths);
        let bits = &mut self.bits;
        bits.put(u64::from(is_last) | 2 << 1, 3);
        bits.put((SYMBOLS as u64 - 257) | (ORDER.len() as u64 - 4) << 10, 14);
        ORDER.iter().for_each(|&length| bits.put(length_lengths[length].into(), 3));
        lengths.iter().chain(&[1]).for_each(|&length| bits.code(length_codes[usize::from(length)]));
        tokens(data, &mut Coder { bits, codes: &codes });
        bits.code(codes[END]);
    }

    fn stored(&mut self, data: &[u8], is_last: bool) {
        let mut pieces = data.chunks(STORED).peekable();
        while let Some(piece) = pieces.next() {
            self.bits.put(u64::from(is_last && pieces.peek().is_none()), 3);
            self.bits.align();
            let length = piece.len() as u16;
            self.bits.bytes(&length.to_le_bytes());
            self.bits.bytes(&(!length).to_le_bytes());
            self.bits.bytes(piece);
        }
    }
}

/// Bits from the lowest of a byte up; fewer than eight wait.
struct Bits {
    out: Vec<u8>,
    /// Bytes that are whole.
    at: usize,
    waiting: u64,
    count: u32,
}

impl Bits {
    /// Appends at most 56 bits.
    #[inline(always)]
    fn put(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
        self.out[self.at..self.at + 8].copy_from_slice(&self.waiting.to_le_bytes());
        self.at += self.count as usize / 8;
        self.waiting >>= self.count & !7;
        self.count &= 7;
    }

    fn code(&mut self, code: Code) {
        self.put(code.bits(), code.length());
    }

    fn align(&mut self) {
        self.put(0, self.count.wrapping_neg() & 7);
    }

    /// Appends whole bytes behind whole bytes.
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

/// A code: its bits, first one lowest, over eight bits of its length.
#[derive(Clone, Copy, Default)]
struct Code(u32);

impl Code {
    #[inline(always)]
    fn bits(self) -> u64 {
        (self.0 >> 8).into()
    }

    #[inline(always)]
    fn length(self) -> u32 {
        self.0 & 0xFF
    }
}

/// What takes literals and matches.
trait Sink {
    fn literal(&mut self, byte: u8);
    fn literals(&mut self, bytes: [u8; 8]);
    /// A match by the symbol of its length and the bits behind it.
    fn repeat(&mut self, symbol: usize, extra: u64, extra_count: u32);
}

/// Divides bytes into literals and runs of zeros. A run begins with eight zeros in one place: shorter ones cost more to find than
/// they save.
#[inline(always)]
fn tokens(data: &[u8], sink: &mut impl Sink) {
    let (words, rest) = data.as_chunks::<8>();
    let mut zeros = 0;
    for word in words {
        let bits = u64::from_le_bytes(*word);
        if bits == 0 {
            zeros += 8;
        } else if zeros > 0 {
            let more = bits.trailing_zeros() as usize / 8;
            run(zeros + more, sink);
            zeros = 0;
            word[more..].iter().for_each(|&byte| sink.literal(byte));
        } else {
            sink.literals(*word);
        }
    }
    if zeros > 0 {
        run(zeros, sink);
    }
    rest.iter().for_each(|&byte| sink.literal(byte));
}

/// One zero, and matches of as many as there are more.
fn run(zeros: usize, sink: &mut impl Sink) {
    sink.literal(0);
    let mut left = zeros - 1;
    while left >= 3 {
        let length = left.min(LONGEST);
        left -= length;
        // Four symbols for each number of extra bits, after the first eight, which have none; the longest has its own.
        let above = length - 3;
        let extra = above.checked_ilog2().unwrap_or(0).saturating_sub(2);
        match length {
            LONGEST => sink.repeat(SYMBOLS - 1, 0, 0),
            _ => {
                let symbol = END + 1 + 4 * extra as usize + (above >> extra);
                sink.repeat(symbol, (above & ((1 << extra) - 1)) as u64, extra);
            }
        }
    }
    (0..left).for_each(|_| sink.literal(0));
}

/// Counts symbols, in two tables by turns: a number that was just written is slow to read.
struct Sample {
    counts: [[u32; SYMBOLS]; 2],
}

impl Sink for Sample {
    fn literal(&mut self, byte: u8) {
        self.counts[0][usize::from(byte)] += 1;
    }

    #[inline(always)]
    fn literals(&mut self, bytes: [u8; 8]) {
        for [even, odd] in bytes.as_chunks::<2>().0 {
            self.counts[0][usize::from(*even)] += 1;
            self.counts[1][usize::from(*odd)] += 1;
        }
    }

    fn repeat(&mut self, symbol: usize, _extra: u64, _extra_count: u32) {
        self.counts[0][symbol] += 1;
    }
}

/// Writes codes.
struct Coder<'a> {
    bits: &'a mut Bits,
    codes: &'a [Code; SYMBOLS],
}

impl Sink for Coder<'_> {
    #[inline(always)]
    fn literal(&mut self, byte: u8) {
        self.bits.code(self.codes[usize::from(byte)]);
    }

    #[inline(always)]
    fn literals(&mut self, bytes: [u8; 8]) {
        for four in bytes.as_chunks::<4>().0 {
            let [a, b, c, d] = four.map(|byte| self.codes[usize::from(byte)]);
            let low = a.bits() | b.bits() << a.length();
            let high = c.bits() | d.bits() << c.length();
            let before = a.length() + b.length();
            self.bits.put(low | high << before, before + c.length() + d.length());
        }
    }

    fn repeat(&mut self, symbol: usize, extra: u64, extra_count: u32) {
        let code = self.codes[symbol];
        // The code of distance 1 is a zero.
        self.bits.put(code.bits() | extra << code.length(), code.length() + extra_count + 1);
    }
}

/// Lengths of the Huffman code of symbols that occur so often, of `limit` bits at most; 0 for those that do not. At least two must.
fn lengths<const N: usize>(counts: &[u32; N], limit: usize) -> [u8; N] {
    let mut rare: Vec<usize> = (0..N).filter(|&symbol| counts[symbol] > 0).collect();
    rare.sort_by_key(|&symbol| counts[symbol]);
    // Leaves stand before the nodes that join the two lightest left, which get heavier as they come.
    let leaves = rare.len();
    let mut weights: Vec<u64> = rare.iter().map(|&symbol| counts[symbol].into()).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..parents.len() {
        let mut weight = 0;
        for _ in 0..2 {
            let lightest = if leaf < leaves && (inner == node || weights[leaf] <= weights[inner]) {
                &mut leaf
            } else {
                &mut inner
            };
            weight += weights[*lightest];
            parents[*lightest] = node;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0_usize; parents.len()];
    for node in (0..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    // Cutting the longest to the limit takes more codes than there are: each step splits a shorter one, which frees one.
    let mut of_length = vec![0_usize; limit + 1];
    depths[..leaves].iter().for_each(|&depth| of_length[depth.min(limit)] += 1);
    let taken: usize = (1..=limit).map(|length| of_length[length] << (limit - length)).sum();
    for _ in 1 << limit..taken {
        of_length[limit] -= 1;
        if let Some(shorter) = (1..limit).rev().find(|&length| of_length[length] > 0) {
            of_length[shorter] -= 1;
            of_length[shorter + 1] += 2;
        }
    }
    let mut lengths = [0; N];
    let mut rarest = rare.into_iter();
    for length in (1..=limit).rev() {
        rarest.by_ref().take(of_length[length]).for_each(|symbol| lengths[symbol] = length as u8);
    }
    lengths
}

/// Codes of these lengths: by length, then by symbol.
fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0_u32;
    for length in 1..=15_u8 {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(lengths).filter(|&(_, &own)| own == length) {
            *code = Code((next.reverse_bits() >> (32 - u32::from(length))) << 8 | u32::from(length));
            next += 1;
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn packed(data: &[u8], block: usize) -> Vec<u8> {
        let mut deflate = Deflate::new(block);
        let mut stream = Vec::new();
        let mut blocks = data.chunks(block).peekable();
        while let Some(data) = blocks.next() {
            stream.extend_from_slice(deflate.block(data, blocks.peek().is_none()));
        }
        stream
    }

    /// By another implementation, checksum and all.
    fn unpacked(stream: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        flate2::bufread::ZlibDecoder::new(stream).read_to_end(&mut data).unwrap();
        data
    }

    fn noise(count: usize, seed: u64) -> impl Iterator<Item = u8> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(count)
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let small: Vec<u8> = noise(100_000, 1).map(|byte| (byte >> 6) * (byte & 3)).collect();
        let rare: Vec<u8> = noise(300_000, 2).map(|byte| byte.leading_zeros() as u8).chain(0..=255).collect();
        for data in [vec![7], vec![0], vec![0; 8], vec![0; 300_000], vec![200; 70_000], small, rare] {
            for block in [1, 100, 65_536, 131_072, 1 << 20] {
                if data.len() / block < 100_000 {
                    assert!(unpacked(&packed(&data, block)) == data, "{} bytes by {block}", data.len());
                }
            }
        }
    }

    #[test]
    fn runs_of_every_length_are_kept() {
        let mut data = Vec::new();
        for zeros in 0..1200 {
            data.push(1 + (zeros % 7) as u8);
            data.resize(data.len() + zeros, 0);
        }
        let stream = packed(&data, 131_072);
        assert!(unpacked(&stream) == data);
        assert!(stream.len() < data.len() / 40, "{} of {}", stream.len(), data.len());
    }

    #[test]
    fn noise_is_stored() {
        let data: Vec<u8> = noise(400_000, 3).collect();
        let stream = packed(&data, 131_072);
        assert!(unpacked(&stream) == data);
        assert!(stream.len() < data.len() + 100, "{}", stream.len());
    }

    #[test]
    fn lengths_are_a_whole_code() {
        // Fibonacci's numbers make the deepest tree.
        let mut fibonacci = [1_u32; 40];
        for at in 2..40 {
            fibonacci[at] = fibonacci[at - 1] + fibonacci[at - 2];
        }
        for limit in [6, 7, 12, 15] {
            let lengths = lengths(&fibonacci, limit);
            let sum: usize = lengths.iter().map(|&length| 1 << (limit - usize::from(length))).sum();
            assert_eq!(sum, 1 << limit);
            assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        }
        // Section 3.2.2 of RFC 1951.
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]).map(|code| (code.bits(), code.length()));
        let reversed = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(codes.map(|(bits, _)| bits), reversed);
        assert_eq!(codes.map(|(_, length)| length), [3, 3, 3, 3, 3, 2, 4, 4]);
    }
}
