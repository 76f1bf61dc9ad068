//! Entropy decoding: rANS for symbols of an alphabet, rABS for single bits. Blocks are read from their ends.
//!
//! A decoder that runs out of bytes goes on with what its state gives and says so at the end (`finish`): loops are bounded by
//! counts, and stay free of errors.

use mediary_core::Result;

use super::memory::Memory;
use super::stream::{Block, Stream, broken};

/// The state and the bytes it is fed with.
struct Machine<'a> {
    state: u32,
    /// A state below it wants a byte.
    base: u32,
    block: Block<'a>,
    /// Bytes not yet read.
    left: usize,
    short: bool,
}

impl<'a> Machine<'a> {
    /// The last byte says with its high bits how many more belong to the first state.
    fn new(block: Block<'a>, base: u32) -> Result<Self> {
        let fail = |found: &str| broken(block.at, format!("expected the state of an entropy decoder, found {found}"));
        let last = *block.bytes.last().ok_or_else(|| fail("no bytes"))?;
        let size = usize::from(last >> 6) + 1;
        let left = block.bytes.len().checked_sub(size).ok_or_else(|| fail("too few bytes"))?;
        let mut word = [0; 4];
        word[..size].copy_from_slice(&block.bytes[left..]);
        let state = (u32::from_le_bytes(word) & (u32::MAX >> (34 - 8 * size))) + base;
        if state >= base << 8 {
            return Err(fail("one out of range"));
        }
        Ok(Self { state, base, block, left, short: false })
    }

    #[inline]
    fn feed(&mut self) {
        while self.state < self.base {
            let Some(left) = self.left.checked_sub(1) else {
                self.short = true;
                return;
            };
            self.left = left;
            self.state = self.state << 8 | u32::from(self.block.bytes[left]);
        }
    }

    fn finish(&self, what: &str) -> Result<()> {
        match self.short {
            true => Err(broken(self.block.at, format!("expected more {what}, found the end of their block"))),
            false => Ok(()),
        }
    }
}

/// Bits of which each is 0 with the same probability.
pub(super) struct Flags<'a> {
    machine: Machine<'a>,
    /// 256 times the probability of a 1.
    ones: u32,
}

impl<'a> Flags<'a> {
    /// Probability, size, block.
    pub(super) fn open(stream: &mut Stream<'a>, what: &str) -> Result<Self> {
        let zeros = stream.u8(what)?;
        let size = stream.varint_or_u32(what)?;
        let machine = Machine::new(stream.block(size.into(), what)?, 1 << 12)?;
        Ok(Self { machine, ones: 256 - u32::from(zeros) })
    }

    #[inline]
    pub(super) fn read(&mut self) -> bool {
        self.machine.feed();
        let state = self.machine.state;
        let (quotient, remainder) = (state >> 8, state & 255);
        let one = remainder < self.ones;
        let kept = quotient * self.ones;
        self.machine.state = if one { kept + remainder } else { state - kept - self.ones };
        one
    }

    pub(super) fn finish(&self, what: &str) -> Result<()> {
        self.machine.finish(what)
    }
}

/// A symbol that occurs.
#[derive(Clone, Copy)]
struct Symbol {
    value: u32,
    frequency: u32,
    /// Sum of the frequencies before it.
    start: u32,
}

/// Symbols of an alphabet with given frequencies, which add up to `1 << precision`.
pub(super) struct Symbols<'a> {
    machine: Machine<'a>,
    precision: u32,
    occurring: Vec<Symbol>,
    /// The number of the symbol whose share covers each step of the precision.
    covering: Vec<u32>,
}

impl<'a> Symbols<'a> {
    /// The alphabet with its frequencies, then the block. `precision` is 12 to 20.
    pub(super) fn open(stream: &mut Stream<'a>, precision: u32, memory: &mut Memory) -> Result<Self> {
        let (occurring, covering) = alphabet(stream, precision, memory)?;
        let size = stream.varint64("symbols")?;
        let machine = Machine::new(stream.block(size, "symbols")?, 4 << precision)?;
        Ok(Self { machine, precision, occurring, covering })
    }

    #[inline]
    pub(super) fn read(&mut self) -> u32 {
        self.machine.feed();
        let state = self.machine.state;
        let step = state & ((1 << self.precision) - 1);
        let symbol = self.occurring[self.covering[step as usize] as usize];
        self.machine.state = (state >> self.precision) * symbol.frequency + step - symbol.start;
        symbol.value
    }

    pub(super) fn finish(&self) -> Result<()> {
        self.machine.finish("symbols")
    }
}

/// Frequencies, a byte or up to three each, runs of zeros in one byte. Only what occurs is kept: how many symbols an alphabet
/// has costs nothing.
fn alphabet(stream: &mut Stream<'_>, precision: u32, memory: &mut Memory) -> Result<(Vec<Symbol>, Vec<u32>)> {
    let count = stream.varint("symbols of an alphabet")?;
    let whole = 1 << precision;
    let mut covering = memory.vec(0, whole as usize)?;
    let mut occurring = Vec::new();
    let (mut value, mut start) = (0_u32, 0_u32);
    while value < count {
        let byte = stream.u8("frequencies of symbols")?;
        let (kind, low) = (byte & 3, u32::from(byte >> 2));
        if kind == 3 {
            if low >= count - value {
                return Err(stream.fail(format!("expected an alphabet of {count} symbols, found more")));
            }
            value += low + 1;
            continue;
        }
        let mut frequency = low;
        for place in 0..kind {
            frequency |= u32::from(stream.u8("frequencies of symbols")?) << (8 * u32::from(place) + 6);
        }
        if frequency > whole - start {
            return Err(stream.fail(format!("expected frequencies that add up to {whole}, found more")));
        }
        if frequency > 0 {
            covering[start as usize..(start + frequency) as usize].fill(occurring.len() as u32);
            memory.take(size_of::<Symbol>() as u64)?;
            occurring.push(Symbol { value, frequency, start });
        }
        start += frequency;
        value += 1;
    }
    if start != whole {
        return Err(stream.fail(format!("expected frequencies that add up to {whole}, found {start}")));
    }
    Ok((occurring, covering))
}
