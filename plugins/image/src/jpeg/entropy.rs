//! The entropy-coded data of the scans, followed code by code without computing a pixel: whether they are whole, which
//! the decoder does not tell.
//!
//! Specification: T.81, annexes C (Huffman tables), F (sequential) and G (progressive).

use mediary_core::{Context, Location, Result};

use super::{DHT, EOI, Frame, RST0, RST7, SOS, TEM, broken};

const DRI: u8 = 0xDD;

/// Coefficients of 8-bit pictures have 11 bits (F.1.2.1); twice that is beyond doubt.
const MOST_DC: i32 = 2047;

/// Bits that are looked up at once.
const FAST: u32 = 9;

/// Bits of a code and of the number behind it, at most: 16 and 15.
const MOST_BITS: u32 = 31;

/// What ends a block, as a number of coefficients.
const END_OF_BLOCK: u8 = 64;

/// Why a scan stops.
enum Stop {
    /// There are no more bits before the next marker.
    End,
    Corrupt(&'static str),
    /// Its table is not in the file: motion JPEG leaves out the usual ones, which the decoder has.
    NoTable,
}

/// A symbol of a sequential scan and the number behind it (F.1.2.2.1).
#[derive(Clone, Copy, Default)]
struct Step {
    /// Of the code and the number; 0 when they are looked up otherwise.
    bits: u8,
    /// Coefficients that are passed.
    passed: u8,
    has_number: bool,
}

impl Step {
    fn of(symbol: u8, code_bits: u8) -> Self {
        let (run, bits) = (symbol >> 4, symbol & 15);
        let passed = if bits == 0 && run < 15 { END_OF_BLOCK } else { run + 1 };
        Self { bits: code_bits + bits, passed, has_number: bits > 0 }
    }
}

/// A Huffman table (annex C).
struct Table {
    /// Length and symbol of the code that begins with these bits; length 0 when it is longer.
    fast: Vec<(u8, u8)>,
    /// What these bits mean in a sequential scan.
    steps: Vec<Step>,
    /// For each length: behind its last code, and what to add to a code for the index of its symbol.
    lengths: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// Of `counts` codes of 1 to 16 bits.
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Self {
        let (fast, steps) = (vec![(0, 0); 1 << FAST], vec![Step::default(); 1 << FAST]);
        let mut table = Self { fast, steps, lengths: [(0, 0); 17], symbols: symbols.to_vec() };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            table.lengths[length as usize] = (code + u32::from(count), index as i32 - code as i32);
            for &symbol in symbols.iter().skip(index).take(count.into()) {
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let same = table.fast.iter_mut().skip(first).take(1 << (FAST - length));
                    same.for_each(|entry| *entry = (length as u8, symbol));
                }
                code += 1;
            }
            index += usize::from(count);
            code <<= 1;
        }
        for (step, &(length, symbol)) in table.steps.iter_mut().zip(&table.fast) {
            if length > 0 {
                *step = Step::of(symbol, length);
            }
        }
        table
    }
}

/// Bits up to the next marker.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, uppermost first, and their number.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        if self.count <= 56
            && let Some(eight) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk())
            && !eight.contains(&0xFF)
        {
            // Bits beyond the whole bytes are the same that come next time.
            let bytes = (64 - self.count) / 8;
            self.held |= u64::from_be_bytes(*eight) >> self.count;
            self.at += bytes as usize;
            self.count += bytes * 8;
            return;
        }
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xFF, 0, ..]) => {
                    self.at += 1;
                    0xFF
                }
                Some([byte, ..]) if *byte != 0xFF => *byte,
                _ => return,
            };
            self.at += 1;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Up to 16 bits as a number.
    fn take(&mut self, bits: u32) -> Result<u32, Stop> {
        if bits > self.count {
            self.fill();
            if bits > self.count {
                return Err(Stop::End);
            }
        }
        // In two steps, since 64 is too far for one.
        let value = self.held >> 1 >> (63 - bits);
        self.held <<= bits;
        self.count -= bits;
        Ok(value as u32)
    }

    fn symbol(&mut self, table: &Table) -> Result<u8, Stop> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = table.fast[(self.held >> (64 - FAST)) as usize];
        if length > 0 {
            return self.take(length.into()).map(|_| symbol);
        }
        for length in FAST + 1..=16 {
            let code = (self.held >> (64 - length)) as u32;
            let (end, offset) = table.lengths[length as usize];
            if code < end {
                self.take(length)?;
                let symbol = usize::try_from(code as i32 + offset).ok().and_then(|index| table.symbols.get(index));
                return symbol.copied().ok_or(Stop::Corrupt("a code that its table does not have"));
            }
        }
        Err(if self.count < 16 { Stop::End } else { Stop::Corrupt("a code that its table does not have") })
    }

    /// Passes over the coefficients of a block from the second on, in a sequential scan.
    fn pass(&mut self, table: &Table) -> Result<(), Stop> {
        let mut k = 1;
        while k < END_OF_BLOCK {
            if self.count < MOST_BITS {
                self.fill();
            }
            let step = match table.steps[(self.held >> (64 - FAST)) as usize] {
                Step { bits: 0, .. } => Step::of(self.symbol(table)?, 0),
                step => step,
            };
            self.take(step.bits.into())?;
            k += step.passed;
            if k > END_OF_BLOCK && step.has_number {
                return Err(Stop::Corrupt("a block of too many coefficients"));
            }
        }
        Ok(())
    }

    /// The value of a DC difference of so many bits (F.2.2.1).
    fn difference(&mut self, bits: u8) -> Result<i32, Stop> {
        if bits > 11 {
            return Err(Stop::Corrupt("a difference of more than 11 bits"));
        }
        let value = self.take(bits.into())? as i32;
        Ok(if bits > 0 && value >> (bits - 1) == 0 { value + 1 - (1 << bits) } else { value })
    }

    /// Goes to the next marker: bytes before it, the marker, and its place.
    fn marker(&mut self) -> (usize, Option<u8>) {
        let (mut skipped, mut fill) = (self.count as usize / 8, self.bytes.get(self.at..).unwrap_or_default());
        loop {
            match fill {
                [0xFF, 0xFF, _, ..] => fill = &fill[1..],
                [0xFF, marker, ..] if *marker > 0 => {
                    self.at = self.bytes.len() - fill.len();
                    return (skipped, Some(*marker));
                }
                [_, rest @ ..] => {
                    skipped += 1;
                    fill = rest;
                }
                [] => return (skipped, None),
            }
        }
    }

    /// Passes over the restart marker `number`.
    fn restart(&mut self, number: u8) -> Result<(), Stop> {
        match self.marker() {
            (0, Some(marker)) if marker == RST0 + number => {
                self.at += 2;
                (self.held, self.count) = (0, 0);
                Ok(())
            }
            (0, Some(RST0..=RST7)) => Err(Stop::Corrupt("a restart marker out of turn")),
            (0, _) => Err(Stop::End),
            _ => Err(Stop::Corrupt("data where a restart marker is due")),
        }
    }
}

/// A component of a scan.
struct Part<'a> {
    /// Blocks in a unit.
    blocks: u32,
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
    predictor: i32,
}

/// Parameters of a scan: the first and the last coefficient, and the bits that came before.
struct Scan {
    first: u8,
    last: u8,
    refines: bool,
    progressive: bool,
    /// Blocks that end where they are.
    ended: u32,
}

impl Scan {
    /// Follows one block, of which `known` are the coefficients that are not zero.
    fn block(&mut self, bits: &mut Bits<'_>, part: &mut Part<'_>, known: &mut u64) -> Result<(), Stop> {
        let mut k = self.first;
        if k == 0 {
            if self.refines {
                bits.take(1)?;
            } else {
                let size = bits.symbol(part.dc.ok_or(Stop::NoTable)?)?;
                part.predictor += bits.difference(size)?;
                if part.predictor.abs() > MOST_DC {
                    return Err(Stop::Corrupt("a coefficient out of range"));
                }
            }
            k = 1;
        }
        if !self.progressive {
            return bits.pass(part.ac.ok_or(Stop::NoTable)?);
        }
        if self.ended == 0 && k <= self.last {
            let table = part.ac.ok_or(Stop::NoTable)?;
            while k <= self.last {
                let symbol = bits.symbol(table)?;
                let (run, size) = (symbol >> 4, symbol & 15);
                if size == 0 && run < 15 {
                    self.ended = (1 << run) + bits.take(run.into())?;
                    break;
                }
                bits.take(size.into())?;
                k = if self.refines { Self::correct(bits, k, self.last, run, *known)? } else { k + run };
                if size > 0 {
                    if k > self.last {
                        return Err(Stop::Corrupt("a block of too many coefficients"));
                    }
                    *known |= 1 << k;
                }
                k += 1;
            }
        }
        if self.ended > 0 {
            self.ended -= 1;
            if self.refines {
                // More zeros than a block has: corrects all that are left.
                Self::correct(bits, k, self.last, 64, *known)?;
            }
        }
        Ok(())
    }

    /// Passes over `run` zeros and the bits of the coefficients between them (G.1.2.3), to the next zero.
    fn correct(bits: &mut Bits<'_>, mut k: u8, last: u8, mut run: u8, known: u64) -> Result<u8, Stop> {
        while k <= last {
            if known >> k & 1 == 1 {
                bits.take(1)?;
            } else if run == 0 {
                break;
            } else {
                run -= 1;
            }
            k += 1;
        }
        Ok(k)
    }
}

/// What the segments before a scan define.
#[derive(Default)]
struct Tables {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: u32,
}

impl Tables {
    /// B.2.4.2, several tables in a segment.
    fn define(&mut self, mut body: &[u8]) {
        while let Some((&[kind, ref counts @ ..], rest)) = body.split_first_chunk::<17>() {
            let length = counts.iter().map(|&count| usize::from(count)).sum::<usize>().min(rest.len());
            let (symbols, next) = rest.split_at(length);
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            tables[usize::from(kind & 3)] = Some(Table::new(counts, symbols));
            body = next;
        }
    }
}

/// Follows the scans from the start of the file to EOI, and tells of the first that is broken.
pub(super) fn check(bytes: &[u8], frame: &Frame, cx: &Context) -> Result<()> {
    let mut tables = Tables::default();
    let mut known = vec![Vec::new(); frame.ids.len()];
    let mut bits = Bits { bytes, at: 2, held: 0, count: 0 };
    while let (_, Some(marker)) = bits.marker() {
        bits.at += 2;
        if matches!(marker, TEM | RST0..=RST7) {
            continue;
        }
        let length = match bytes.get(bits.at..bits.at + 2) {
            Some(&[high, low]) if marker != EOI => usize::from(u16::from_be_bytes([high, low])),
            _ => break,
        };
        let body = bytes.get(bits.at + 2..bits.at + length).unwrap_or_default();
        bits.at += length;
        match (marker, body) {
            (DHT, _) => tables.define(body),
            (DRI, &[high, low, ..]) => tables.restart = u16::from_be_bytes([high, low]).into(),
            (SOS, &[_, ref body @ ..]) => {
                let whole = follow(&mut bits, body, frame, &tables, &mut known, cx)?;
                if !whole {
                    break;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Follows one scan, with the `body` of its header behind the number of components: whether it is whole.
fn follow(
    bits: &mut Bits<'_>,
    body: &[u8],
    frame: &Frame,
    tables: &Tables,
    known: &mut [Vec<u64>],
    cx: &Context,
) -> Result<bool> {
    let Some((listed, &[first, last, precision])) = body.split_last_chunk::<3>() else { return Ok(false) };
    let (most_h, most_v) = frame.sampling.iter().fold((1, 1), |(h, v), found| (found.0.max(h), found.1.max(v)));
    let units = |size: u32, sampled: u8, most: u8| (size * u32::from(sampled)).div_ceil(u32::from(most)).div_ceil(8);
    let mut total = frame.width.div_ceil(8 * u32::from(most_h)) * frame.height.div_ceil(8 * u32::from(most_v));
    let (mut parts, mut blocks) = (Vec::new(), &mut Vec::new());
    for &[id, selectors] in listed.as_chunks::<2>().0 {
        let Some(index) = frame.ids.iter().position(|&known| known == id) else { return Ok(false) };
        let (h, v) = frame.sampling[index];
        let mut part = Part {
            blocks: u32::from(h) * u32::from(v),
            dc: tables.dc[usize::from(selectors >> 4 & 3)].as_ref(),
            ac: tables.ac[usize::from(selectors & 3)].as_ref(),
            predictor: 0,
        };
        if listed.len() == 2 {
            // Alone, a component has only the blocks that it needs (A.2.2).
            part.blocks = 1;
            total = units(frame.width, h, most_h) * units(frame.height, v, most_v);
            if frame.progressive {
                blocks = &mut known[index];
                blocks.resize(total as usize, 0);
            }
        }
        parts.push(part);
    }
    let progressive = frame.progressive;
    let last = if progressive { last.min(63) } else { 63 };
    let first = if progressive { first } else { 0 };
    let mut scan = Scan { first, last, refines: progressive && precision >> 4 > 0, progressive, ended: 0 };
    bits.fill();
    let mut done = 0;
    let stopped = loop {
        if done == total {
            break None;
        }
        if done % 4096 == 0 {
            cx.checkpoint()?;
        }
        if tables.restart > 0 && done > 0 && done % tables.restart == 0 {
            if let Err(stop) = bits.restart(((done / tables.restart - 1) % 8) as u8) {
                break Some(stop);
            }
            parts.iter_mut().for_each(|part| part.predictor = 0);
            scan.ended = 0;
        }
        let mut other = 0;
        let result = parts.iter_mut().try_for_each(|part| {
            (0..part.blocks).try_for_each(|_| {
                let known = blocks.get_mut(done as usize).unwrap_or(&mut other);
                scan.block(bits, part, known)
            })
        });
        if let Err(stop) = result {
            break Some(stop);
        }
        done += 1;
    };
    let at = bits.at - bits.count as usize / 8;
    match stopped {
        None => {
            let (stray, _) = bits.marker();
            (bits.held, bits.count) = (0, 0);
            if stray > 0 {
                cx.tolerate(
                    "stray-bytes",
                    format!("{stray} bytes behind the data of a scan"),
                    Location::byte(at as u64),
                )?;
            }
            return Ok(true);
        }
        Some(Stop::NoTable) => {}
        Some(Stop::End) => {
            broken(cx, "truncated-scan", format!("expected {total} units in the scan, found {done}"), at)?;
        }
        Some(Stop::Corrupt(what)) => {
            broken(cx, "corrupt-scan", format!("unit {done} of the {total} of the scan: {what}"), at)?;
        }
    }
    Ok(false)
}
