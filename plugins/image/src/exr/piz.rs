//! PIZ: wavelets of 16-bit words, packed by Huffman codes.

use mediary_core::{Error, Result};

use super::header::Type;
use super::unpack::{Block, weave};

/// Words that there may be, and their codes with that of runs.
const WORDS: usize = 1 << 16;
const CODES: usize = WORDS + 1;

/// Bits of the longest code, and of those that are looked up at once.
const LONGEST: usize = 58;
const FAST: u32 = 14;

fn broken(what: &str) -> Error {
    Error::malformed(format!("the block is broken: {what}"))
}

pub(super) fn unpack(packed: &[u8], block: &Block<'_>, out: &mut [u8]) -> Result<()> {
    let number = |at: usize| packed.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
    let (Some(first), Some(last)) = (number(0), number(2)) else { return Err(broken("it ends early")) };
    // The words that occur, a bit for each.
    let mut words = vec![0_u16];
    let mut at = 4;
    if first <= last {
        if last >= WORDS / 8 {
            return Err(broken("more words are listed than there are"));
        }
        let bits = packed.get(4..5 + last - first).ok_or_else(|| broken("it ends early"))?;
        at += bits.len();
        for (index, byte) in bits.iter().enumerate() {
            let set = (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| ((first + index) * 8 + bit) as u16);
            words.extend(set.filter(|&word| word != 0));
        }
    }
    let most = words.len() - 1;
    let length = packed.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let coded = length.and_then(|length| packed.get(at + 4..)?.get(..length)).ok_or_else(|| broken("it ends early"))?;
    let mut values = vec![0_u16; out.len() / 2];
    huffman(coded, &mut values)?;
    let mut rest = &mut values[..];
    let mut planes = Vec::new();
    for channel in block.channels {
        let (across, down) = (block.across(channel), block.down(channel));
        let parts = if channel.kind == Type::Half { 1 } else { 2 };
        let (plane, tail) = rest.split_at_mut(across * down * parts);
        rest = tail;
        for part in 0..parts.min(plane.len()) {
            wavelet(&mut plane[part..], (across, parts), (down, across * parts), most);
        }
        // Indices that are none of a word are those of a damaged file.
        planes.push(
            plane.iter().flat_map(|&value| words.get(usize::from(value)).copied().unwrap_or(0).to_le_bytes()).collect(),
        );
    }
    weave(block, planes, out);
    Ok(())
}

/// A reader of bits, uppermost first.
struct Bits<'a> {
    bytes: &'a [u8],
    held: u128,
    count: u32,
    /// Bits that are left, those held among them.
    left: u64,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], left: u64) -> Self {
        Self { bytes, held: 0, count: 0, left: left.min(bytes.len() as u64 * 8) }
    }

    /// The next 64 bits, as far as they are there; behind them are zeros.
    fn peek(&mut self) -> u64 {
        while self.count <= 64 {
            let Some((&byte, rest)) = self.bytes.split_first() else { break };
            self.held |= u128::from(byte) << (120 - self.count);
            self.count += 8;
            self.bytes = rest;
        }
        (self.held >> 64) as u64
    }

    fn skip(&mut self, bits: u32) -> Result<()> {
        self.left = self.left.checked_sub(bits.into()).ok_or_else(|| broken("its codes end early"))?;
        self.held <<= bits;
        self.count = self.count.saturating_sub(bits);
        Ok(())
    }

    fn take(&mut self, bits: u32) -> Result<u32> {
        let value = (self.peek() >> (64 - bits)) as u32;
        self.skip(bits)?;
        Ok(value)
    }
}

/// Codes by length: the first, how many, and where their words are listed.
struct Table {
    lengths: [(u64, u64, usize); LONGEST + 1],
    words: Vec<u32>,
    /// Length and word of the code that begins with these bits; length 0 when it is longer.
    fast: Vec<(u8, u32)>,
}

impl Table {
    /// Codes of a length follow each other; those of longer ones have smaller values.
    fn new(of: &[u8]) -> Result<Self> {
        let mut counts = [0_u64; LONGEST + 1];
        of.iter().for_each(|&length| counts[usize::from(length)] += 1);
        counts[0] = 0;
        let mut table = Self { lengths: [(0, 0, 0); LONGEST + 1], words: Vec::new(), fast: vec![(0, 0); 1 << FAST] };
        let mut first = 0_u64;
        for length in (1..=LONGEST).rev() {
            table.lengths[length] = (first, counts[length], 0);
            if first + counts[length] > 1 << length {
                return Err(broken("there are more codes than their lengths allow"));
            }
            first = (first + counts[length]) >> 1;
        }
        let mut places = [0; LONGEST + 1];
        let mut place = 0;
        for length in 1..=LONGEST {
            table.lengths[length].2 = place;
            places[length] = place;
            place += counts[length] as usize;
        }
        table.words = vec![0; place];
        for (word, &length) in of.iter().enumerate().filter(|(_, length)| **length > 0) {
            let length = usize::from(length);
            let (first, _, start) = table.lengths[length];
            let code = first + (places[length] - start) as u64;
            table.words[places[length]] = word as u32;
            places[length] += 1;
            if length as u32 <= FAST {
                let unused = FAST - length as u32;
                let from = (code as usize) << unused;
                table.fast[from..from + (1 << unused)].fill((length as u8, word as u32));
            }
        }
        Ok(table)
    }

    fn next(&self, bits: &mut Bits<'_>) -> Result<u32> {
        let held = bits.peek();
        let (length, word) = self.fast[(held >> (64 - FAST)) as usize];
        if length > 0 {
            bits.skip(length.into())?;
            return Ok(word);
        }
        for length in FAST as usize + 1..=LONGEST {
            let code = held >> (64 - length);
            let (first, count, place) = self.lengths[length];
            if code >= first && code - first < count {
                bits.skip(length as u32)?;
                return Ok(self.words[place + (code - first) as usize]);
            }
        }
        Err(broken("a code is none of its table"))
    }
}

/// Fills `out` with the words of a stream: a header, the lengths of codes, and codes.
fn huffman(coded: &[u8], out: &mut [u16]) -> Result<()> {
    const SHORT_ZEROS: u32 = 59;
    const LONG_ZEROS: u32 = 63;
    if out.is_empty() {
        return Ok(());
    }
    let number = |at: usize| coded.get(at * 4..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let (Some(first), Some(last), Some(bits)) = (number(0), number(1), number(3)) else {
        return Err(broken("it ends early"));
    };
    let Some(rest) = coded.get(20..).filter(|_| first <= last && last < CODES) else {
        return Err(broken("its codes are of words that there are not"));
    };
    let mut lengths = vec![0_u8; CODES];
    let mut table = Bits::new(rest, u64::MAX);
    let mut word = first;
    while word <= last {
        let length = table.take(6)?;
        let zeros = match length {
            LONG_ZEROS => table.take(8)? as usize + 6,
            SHORT_ZEROS.. => (length - SHORT_ZEROS) as usize + 2,
            _ => {
                lengths[word] = length as u8;
                word += 1;
                continue;
            }
        };
        word += zeros;
        if word > last + 1 {
            return Err(broken("it lists more codes than it has"));
        }
    }
    let used = (rest.len() as u64 * 8 - table.left).div_ceil(8) as usize;
    let table = Table::new(&lengths)?;
    let mut codes = Bits::new(&rest[used..], bits as u64);
    let mut at = 0;
    while at < out.len() {
        let word = table.next(&mut codes)? as usize;
        if word != last {
            out[at] = word as u16;
            at += 1;
            continue;
        }
        // The last code repeats the word before it.
        let count = codes.take(8)? as usize;
        let Some(previous) = at.checked_sub(1).map(|before| out[before]) else {
            return Err(broken("it begins with a run"));
        };
        let Some(run) = out.get_mut(at..at + count) else { return Err(broken("a run is longer than its pixels")) };
        run.fill(previous);
        at += count;
    }
    Ok(())
}

/// Undoes the wavelets of a plane, from the coarsest to the finest. A side is a number of values and their distance.
fn wavelet(plane: &mut [u16], (across, step): (usize, usize), (down, line): (usize, usize), most: usize) {
    let pair = if most < 1 << 14 { pair_14 } else { pair_16 };
    let mut p2 = 1;
    while p2 <= across.min(down) {
        p2 <<= 1;
    }
    p2 >>= 1;
    let mut p = p2 >> 1;
    let at = |x: usize, y: usize| y * line + x * step;
    while p >= 1 {
        let mut y = 0;
        while y + p2 <= down {
            let mut x = 0;
            while x + p2 <= across {
                let [p00, p01, p10, p11] = [at(x, y), at(x + p, y), at(x, y + p), at(x + p, y + p)];
                let (a, c) = pair(plane[p00], plane[p10]);
                let (b, d) = pair(plane[p01], plane[p11]);
                (plane[p00], plane[p01]) = pair(a, b);
                (plane[p10], plane[p11]) = pair(c, d);
                x += p2;
            }
            if across & p != 0 {
                let (p00, p10) = (at(x, y), at(x, y + p));
                (plane[p00], plane[p10]) = pair(plane[p00], plane[p10]);
            }
            y += p2;
        }
        if down & p != 0 {
            let mut x = 0;
            while x + p2 <= across {
                let (p00, p01) = (at(x, y), at(x + p, y));
                (plane[p00], plane[p01]) = pair(plane[p00], plane[p01]);
                x += p2;
            }
        }
        p2 = p;
        p >>= 1;
    }
}

/// Two values of an average and a difference, of up to 14 bits.
fn pair_14(low: u16, high: u16) -> (u16, u16) {
    let (low, high) = (i32::from(low as i16), i32::from(high as i16));
    let first = low + (high & 1) + (high >> 1);
    (first as u16, (first - high) as u16)
}

/// The same modulo 16 bits.
fn pair_16(low: u16, high: u16) -> (u16, u16) {
    let second = low.wrapping_sub(high >> 1);
    (high.wrapping_add(second).wrapping_sub(0x8000), second)
}
