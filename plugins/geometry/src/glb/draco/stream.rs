//! The stream as a cursor: little-endian numbers, variable-length numbers, single bits, blocks of stated length.

use mediary_core::{Error, Result};

/// A place in the stream. Nothing is read beyond its end.
#[derive(Clone)]
pub(super) struct Stream<'a> {
    data: &'a [u8],
    at: usize,
    /// Whether it is of version 2.0 (0), 2.1 (1) or 2.2 (2).
    pub(super) minor: u8,
}

/// Bytes that one decoder reads to their end.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    /// Where they begin in the stream.
    pub(super) at: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, minor: 2 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.data.len() - self.at
    }

    /// The error of what was read last.
    pub(super) fn fail(&self, message: impl Into<String>) -> Error {
        broken(self.at, message)
    }

    pub(super) fn block(&mut self, size: u64, what: &str) -> Result<Block<'a>> {
        let left = self.left();
        let size = usize::try_from(size).ok().filter(|&size| size <= left).ok_or_else(|| {
            let message = format!("expected {size} bytes of {what}, found {left}");
            self.fail(message)
        })?;
        let at = self.at;
        self.at += size;
        Ok(Block { bytes: &self.data[at..self.at], at })
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.block(N as u64, what)?.bytes);
        Ok(array)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self, what: &str) -> Result<i32> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(super) fn f32(&mut self, what: &str) -> Result<f32> {
        self.array(what).map(f32::from_le_bytes)
    }

    /// Seven bits a byte, low ones first; the high bit says that more follow.
    pub(super) fn varint64(&mut self, what: &str) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 127);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(self.fail(format!("expected {what} of at most 64 bits, found more")))
    }

    pub(super) fn varint(&mut self, what: &str) -> Result<u32> {
        let value = self.varint64(what)?;
        u32::try_from(value).map_err(|_| self.fail(format!("expected {what} of at most 32 bits, found {value}")))
    }

    /// A size or a count that takes four bytes before version 2.2.
    pub(super) fn varint_or_u32(&mut self, what: &str) -> Result<u32> {
        if self.minor < 2 { self.u32(what) } else { self.varint(what) }
    }

    /// A block behind its size.
    pub(super) fn sized_block(&mut self, what: &str) -> Result<Block<'a>> {
        let size = match self.minor {
            0 | 1 => u64::from_le_bytes(self.array(what)?),
            _ => self.varint64(what)?,
        };
        self.block(size, what)
    }

    /// The bits from here on. `end_bits` goes on behind them.
    pub(super) fn bits(&self) -> Bits<'a> {
        Bits::new(Block { bytes: &self.data[self.at..], at: self.at })
    }

    /// Goes on at the next whole byte behind `bits`, which began here.
    pub(super) fn end_bits(&mut self, bits: &Bits<'a>) {
        self.at += bits.used.div_ceil(8);
    }

    /// The same stream from another place on.
    pub(super) fn from(&self, at: usize) -> Self {
        Self { at: at.min(self.data.len()), ..self.clone() }
    }
}

/// Single bits, low ones first.
pub(super) struct Bits<'a> {
    block: Block<'a>,
    used: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(block: Block<'a>) -> Self {
        Self { block, used: 0 }
    }

    /// A number of up to 32 bits.
    pub(super) fn read(&mut self, count: u32) -> Result<u32> {
        let (byte, shift) = (self.used / 8, self.used % 8);
        let rest = self.block.bytes.get(byte..).unwrap_or_default();
        if rest.len() * 8 < shift + count as usize {
            let at = self.block.at + self.block.bytes.len();
            return Err(broken(at, format!("expected {count} more bits, found the end")));
        }
        let mut word = [0; 8];
        let size = rest.len().min(8);
        word[..size].copy_from_slice(&rest[..size]);
        self.used += count as usize;
        Ok((u64::from_le_bytes(word) >> shift & ((1 << count) - 1)) as u32)
    }
}

/// Breaks the specification at this byte of the stream.
pub(super) fn broken(at: usize, message: impl Into<String>) -> Error {
    Error::malformed(format!("Draco stream: {}", message.into())).at_byte(at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bits() {
        let mut stream = Stream::new(&[0xe5, 0x8e, 0x26, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x80, 0x80, 0x80, 0x80, 0x10]);
        // The example of the DWARF standard, which the encoding is of.
        assert_eq!(stream.varint("a").unwrap(), 624_485);
        assert_eq!(stream.varint("a").unwrap(), u32::MAX);
        assert!(stream.varint("a").unwrap_err().message().contains("found 4294967296"));
        assert!(Stream::new(&[0xff; 12]).varint64("a").is_err());
        assert!(Stream::new(&[0x80]).varint64("a").is_err());
    }

    #[test]
    fn bits_are_low_ones_first_and_end() {
        let stream = Stream::new(&[0b1010_0110, 0xff]);
        let mut bits = stream.bits();
        assert_eq!([bits.read(1).unwrap(), bits.read(3).unwrap(), bits.read(8).unwrap()], [0, 3, 0xfa]);
        assert_eq!(bits.read(0).unwrap(), 0);
        assert_eq!(bits.read(5).unwrap_err().location().unwrap().byte, Some(2));
        assert_eq!(bits.read(4).unwrap(), 15);
    }
}
