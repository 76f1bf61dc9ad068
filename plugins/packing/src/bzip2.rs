//! bzip2: blocks of up to 900 000 bytes, sorted (Burrows-Wheeler), moved to the front, Huffman-coded.
//!
//! There is no specification beyond the program, <https://sourceware.org/bzip2/>. Memory is 4 bytes for each of a block, whatever
//! the input says. Blocks that are randomised, as versions before 0.9.5 wrote them, are refused.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};

/// What a block and the end of a stream begin with.
const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
/// Symbols that one Huffman table is used for before the next is chosen.
const GROUP: usize = 50;
/// The longest Huffman code.
const LONGEST: usize = 20;

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

/// CRC-32 with its bits in the order of writing, as no other packing has it.
static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Bits, the highest of a byte first.
struct Bits<R: Read> {
    bytes: BufReader<R>,
    held: u64,
    count: u32,
}

impl<R: Read> Bits<R> {
    /// The next `count` bits, up to 32.
    fn take(&mut self, count: u32) -> Result<u32> {
        while self.count < count {
            let buffer = self.bytes.fill_buf()?;
            let Some(&byte) = buffer.first() else {
                return Err(Error::new(ErrorKind::UnexpectedEof, "unexpected end of the data"));
            };
            self.bytes.consume(1);
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
        self.count -= count;
        Ok((self.held >> self.count & ((1 << count) - 1)) as u32)
    }

    fn flag(&mut self) -> Result<bool> {
        Ok(self.take(1)? == 1)
    }
}

/// A Huffman table: codes of one length are consecutive numbers.
struct Table {
    /// For each length: the first code beyond it, shifted to [`LONGEST`] bits, and what is added to a code for its place.
    ends: [(u32, i32); LONGEST + 1],
    symbols: Vec<u16>,
    shortest: usize,
}

impl Table {
    fn new(lengths: &[u8]) -> Result<Self> {
        let mut ends = [(0, 0); LONGEST + 1];
        let mut symbols = Vec::with_capacity(lengths.len());
        let mut code = 0_u32;
        for (length, end) in ends.iter_mut().enumerate().skip(1) {
            let before = symbols.len() as i32;
            let place = before - code as i32;
            symbols.extend((0_u16..).zip(lengths).filter(|&(_, &own)| usize::from(own) == length).map(|(it, _)| it));
            code += symbols.len() as u32 - before as u32;
            if code > 1 << length {
                return Err(broken("more Huffman codes than there are"));
            }
            *end = (code << (LONGEST - length), place);
            code <<= 1;
        }
        let shortest = lengths.iter().copied().min().unwrap_or(1).max(1);
        Ok(Self { ends, symbols, shortest: usize::from(shortest) })
    }

    fn next<R: Read>(&self, bits: &mut Bits<R>) -> Result<u16> {
        let mut length = self.shortest;
        let mut code = bits.take(length as u32)?;
        while length <= LONGEST {
            let (end, place) = self.ends[length];
            if code << (LONGEST - length) < end {
                let place = usize::try_from(code as i32 + place).ok();
                return place.and_then(|place| self.symbols.get(place).copied()).ok_or_else(|| broken("no such code"));
            }
            if length == LONGEST {
                break;
            }
            code = code << 1 | bits.take(1)?;
            length += 1;
        }
        Err(broken("no such Huffman code"))
    }
}

/// Where the decoder is.
enum State {
    Start,
    Blocks,
    Done,
}

/// Takes bzip2 off: one stream or several, one after the other.
pub(crate) struct Decoder<R: Read> {
    bits: Bits<R>,
    state: State,
    /// Bytes of a block, at most.
    capacity: usize,
    /// Of a sorted block: a byte, and above it the place of the one that comes after it.
    block: Vec<u32>,
    place: u32,
    left: usize,
    /// The last byte and how often it came, up to 4; then a byte says how often it comes again.
    last: Option<u8>,
    run: u8,
    again: u8,
    crc: u32,
    stated_crc: u32,
    combined_crc: u32,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(packed: R) -> Self {
        let bytes = BufReader::with_capacity(1 << 16, packed);
        Self {
            bits: Bits { bytes, held: 0, count: 0 },
            state: State::Start,
            capacity: 0,
            block: Vec::new(),
            place: 0,
            left: 0,
            last: None,
            run: 0,
            again: 0,
            crc: 0,
            stated_crc: 0,
            combined_crc: 0,
        }
    }

    /// Begins a stream; `false` at the end of the input.
    fn start(&mut self) -> Result<bool> {
        // The last byte of a stream is filled up.
        self.bits.count = 0;
        if self.bits.bytes.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let (magic, level) = (self.bits.take(24)?, self.bits.take(8)?);
        if magic != 0x42_5A68 || !(u32::from(b'1')..=u32::from(b'9')).contains(&level) {
            return Err(broken("expected BZh and a digit"));
        }
        self.capacity = (level - u32::from(b'0')) as usize * 100_000;
        self.combined_crc = 0;
        self.state = State::Blocks;
        Ok(true)
    }

    /// Reads the next block; `false` at the end of the stream.
    fn next_block(&mut self) -> Result<bool> {
        let magic = u64::from(self.bits.take(24)?) << 24 | u64::from(self.bits.take(24)?);
        let crc = self.bits.take(32)?;
        match magic {
            BLOCK => {}
            END if crc == self.combined_crc => return Ok(false),
            END => return Err(broken("the checksum of the stream differs")),
            _ => return Err(broken("expected a block or the end of the stream")),
        }
        self.stated_crc = crc;
        self.combined_crc = self.combined_crc.rotate_left(1) ^ crc;
        if self.bits.flag()? {
            return Err(Error::new(ErrorKind::Unsupported, "the block is randomised, as bzip2 before 0.9.5 wrote it"));
        }
        let origin = self.bits.take(24)? as usize;
        self.symbols()?;
        // Sorting back: the n-th of a byte in the last column is the n-th of it in the first.
        let mut starts = [0_u32; 256];
        for &entry in &self.block {
            starts[(entry & 255) as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for index in 0..self.block.len() {
            let slot = &mut starts[(self.block[index] & 255) as usize];
            self.block[*slot as usize] |= (index as u32) << 8;
            *slot += 1;
        }
        self.place = self.block.get(origin).ok_or_else(|| broken("the first byte is outside of the block"))? >> 8;
        self.left = self.block.len();
        (self.last, self.run, self.again, self.crc) = (None, 0, 0, u32::MAX);
        Ok(true)
    }

    /// Fills the block with its bytes as they were sorted.
    fn symbols(&mut self) -> Result<()> {
        let bits = &mut self.bits;
        let rows = bits.take(16)?;
        let mut front = Vec::with_capacity(256);
        for row in (0..16).filter(|row| rows >> (15 - row) & 1 == 1) {
            let columns = bits.take(16)?;
            front.extend(
                (0..16).filter(|column| columns >> (15 - column) & 1 == 1).map(|column| (row * 16 + column) as u8),
            );
        }
        if front.is_empty() {
            return Err(broken("the block uses no byte"));
        }
        let tables = bits.take(3)? as usize;
        let selectors = bits.take(15)? as usize;
        if !(2..=6).contains(&tables) || selectors == 0 {
            return Err(broken("expected 2 to 6 Huffman tables"));
        }
        let mut recent = [0, 1, 2, 3, 4, 5_u8];
        let mut chosen = Vec::with_capacity(selectors);
        for _ in 0..selectors {
            let mut place = 0;
            while bits.flag()? {
                place += 1;
                if place >= tables {
                    return Err(broken("no such Huffman table"));
                }
            }
            recent[..=place].rotate_right(1);
            chosen.push(recent[0]);
        }
        // Two symbols for runs, one for each place but the first, one for the end.
        let end = front.len() as u16 + 1;
        let mut all = Vec::with_capacity(tables);
        for _ in 0..tables {
            let mut lengths = [0_u8; 258];
            let mut length = bits.take(5)?;
            for own in &mut lengths[..=usize::from(end)] {
                loop {
                    if !(1..=LONGEST as u32).contains(&length) {
                        return Err(broken("a Huffman code of no length that there is"));
                    }
                    if !bits.flag()? {
                        break;
                    }
                    length = if bits.flag()? { length - 1 } else { length + 1 };
                }
                *own = length as u8;
            }
            all.push(Table::new(&lengths[..=usize::from(end)])?);
        }
        self.block.clear();
        let over = || broken("more bytes than the block holds");
        let (mut run, mut weight) = (0_usize, 1_usize);
        for choice in chosen {
            let table = &all[usize::from(choice)];
            for _ in 0..GROUP {
                let symbol = table.next(bits)?;
                if symbol < 2 {
                    run += weight << symbol;
                    weight <<= 1;
                    if run > self.capacity {
                        return Err(over());
                    }
                    continue;
                }
                if self.block.len() + run >= self.capacity + usize::from(symbol == end) {
                    return Err(over());
                }
                self.block.extend(std::iter::repeat_n(u32::from(front[0]), run));
                (run, weight) = (0, 1);
                if symbol == end {
                    return Ok(());
                }
                front[..usize::from(symbol)].rotate_right(1);
                self.block.push(u32::from(front[0]));
            }
        }
        Err(broken("the block has no end"))
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut given = 0;
        while given < buffer.len() {
            if self.again > 0 {
                self.again -= 1;
            } else if self.left > 0 {
                let entry = self.block[self.place as usize];
                (self.place, self.left) = (entry >> 8, self.left - 1);
                let byte = entry as u8;
                if self.run == 4 {
                    (self.again, self.run) = (byte, 0);
                    continue;
                }
                self.run = if self.last == Some(byte) && self.run > 0 { self.run + 1 } else { 1 };
                self.last = Some(byte);
            } else {
                if matches!(self.state, State::Start) && !self.start()? {
                    self.state = State::Done;
                }
                if matches!(self.state, State::Done) {
                    break;
                }
                if self.last.is_some() && !self.crc != self.stated_crc {
                    return Err(broken("the checksum of a block differs"));
                }
                self.last = None;
                if !self.next_block()? {
                    self.state = State::Start;
                }
                continue;
            }
            let byte = self.last.unwrap_or_default();
            self.crc = self.crc << 8 ^ CRC[usize::from((self.crc >> 24) as u8 ^ byte)];
            buffer[given] = byte;
            given += 1;
        }
        Ok(given)
    }
}
