//! Run lengths of facsimile machines.
//!
//! Specifications: ITU-T T.4 (group 3, one- and two-dimensional) and T.6 (group 4); TIFF 6.0, sections 10 and 11.

use std::sync::LazyLock;

use super::codec::Unpacked;

/// Bits of the longest code.
const LONGEST: u32 = 13;

/// How rows follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coding {
    /// One-dimensional rows without marks, that begin at a byte, or at two bytes.
    Plain { words: bool },
    /// Rows that begin with a mark; two-dimensional ones are among them.
    Group3 { two: bool },
    /// Two-dimensional rows without marks.
    Group4,
}

/// Codes of white runs of 0 to 63, and of 64, 128 to 1728 (T.4, tables 2 and 3a).
const WHITE: &str = "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 \
    101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 \
    00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 \
    00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 \
    00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100 \
    11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 \
    011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 \
    010011010 011000 010011011";

/// Codes of black runs, in the same order.
const BLACK: &str = "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 \
    000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 \
    00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 \
    000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 \
    000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 \
    000001100101 000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 \
    000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111 \
    0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 \
    0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 \
    0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 \
    0000001011011 0000001100100 0000001100101";

/// Codes of runs of 1792, 1856 to 2560, of both colours (T.4, table 3b).
const LONG: &str = "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 \
    000000010111 000000011100 000000011101 000000011110 000000011111";

/// For each 13 bits: the length of the code they begin with, 0 for none, and its run.
struct Runs(Vec<(u8, u16)>);

impl Runs {
    fn new(codes: &str) -> Self {
        let mut table = vec![(0, 0); 1 << LONGEST];
        let short = codes.split_whitespace().zip((0..64_u16).chain((1..28).map(|many| many * 64)));
        let long = LONG.split_whitespace().zip((28..41).map(|many| many * 64));
        for (code, run) in short.chain(long) {
            let unused = LONGEST - code.len() as u32;
            let first = code.bytes().fold(0, |bits, digit| bits << 1 | usize::from(digit == b'1')) << unused;
            table[first..first + (1 << unused)].fill((code.len() as u8, run));
        }
        Self(table)
    }
}

static RUNS: LazyLock<[Runs; 2]> = LazyLock::new(|| [Runs::new(WHITE), Runs::new(BLACK)]);

/// A code that there is none of, or an end that comes early.
struct Wrong;

/// The modes of two-dimensional rows (T.4, table 4).
enum Mode {
    Pass,
    Horizontal,
    /// The change is so far to the right of the one above.
    Vertical(i64),
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// Of the next bit.
    at: usize,
}

impl Bits<'_> {
    /// The next 24 bits; behind the end they are 0.
    fn peek(&self) -> u32 {
        let byte = |index: usize| u32::from(self.bytes.get(self.at / 8 + index).copied().unwrap_or(0));
        let four = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
        four << (self.at % 8) >> 8
    }

    fn at_end(&self) -> bool {
        self.at >= self.bytes.len() * 8
    }

    /// The length of a run: any number of codes of 64 and more, and one below.
    fn run(&mut self, black: bool) -> Result<u64, Wrong> {
        let mut total = 0;
        loop {
            let (length, run) = RUNS[usize::from(black)].0[(self.peek() >> (24 - LONGEST)) as usize];
            if length == 0 || self.at_end() {
                return Err(Wrong);
            }
            self.at += usize::from(length);
            total += u64::from(run);
            if run < 64 {
                return Ok(total);
            }
        }
    }

    fn mode(&mut self) -> Result<Mode, Wrong> {
        let (length, mode) = match self.peek() >> 17 {
            0b100_0000.. => (1, Mode::Vertical(0)),
            0b011_0000.. => (3, Mode::Vertical(1)),
            0b010_0000.. => (3, Mode::Vertical(-1)),
            0b001_0000.. => (3, Mode::Horizontal),
            0b000_1000.. => (4, Mode::Pass),
            0b000_0110.. => (6, Mode::Vertical(2)),
            0b000_0100.. => (6, Mode::Vertical(-2)),
            0b000_0011 => (7, Mode::Vertical(3)),
            0b000_0010 => (7, Mode::Vertical(-3)),
            _ => return Err(Wrong),
        };
        if self.at_end() {
            return Err(Wrong);
        }
        self.at += length;
        Ok(mode)
    }

    /// Passes a mark (eleven zeros or more, and a one) if one is next.
    fn mark(&mut self) -> bool {
        if self.peek() >> 13 != 0 {
            return false;
        }
        self.at += 11;
        while !self.at_end() {
            self.at += 1;
            let last = self.at - 1;
            if self.bytes[last / 8] >> (7 - last % 8) & 1 == 1 {
                return true;
            }
        }
        false
    }

    /// Whether there are more than so many marks, as far as it is worth to look.
    fn has_marks(mut self, count: usize) -> bool {
        const WORTH: usize = 1 << 23;
        let mut marks = 0;
        while marks <= count && self.at < WORTH && self.resume() {
            marks += usize::from(self.mark());
        }
        marks > count
    }

    /// Goes on to the next mark, if there is one.
    fn resume(&mut self) -> bool {
        while !self.at_end() && self.peek() >> 13 != 0 {
            self.at += 1;
        }
        !self.at_end()
    }
}

/// Decodes rows of `width` pixels as far as they go; black is 1. `out` is zeroed. Where a line was noisy or was cut, what
/// is missing stays white.
pub(super) fn decode(bytes: &[u8], coding: Coding, width: usize, out: &mut [u8]) -> Unpacked {
    let mut bits = Bits { bytes, at: 0 };
    let (mut rows, mut broken) = (0_usize, 0_u64);
    let row_bytes = width.div_ceil(8);
    let count = out.len() / row_bytes;
    // Where rows have marks, what stands between a row and the next mark is noise.
    let marked = matches!(coding, Coding::Group3 { .. }) && Bits { bytes, at: 0 }.has_marks(count / 2);
    // Where the colour changes in the row above and in this one.
    let (mut above, mut changes) = (Vec::new(), Vec::new());
    for row in out.chunks_exact_mut(row_bytes) {
        let mut flat = true;
        match coding {
            Coding::Plain { words } => bits.at = bits.at.next_multiple_of(if words { 16 } else { 8 }),
            Coding::Group4 => flat = false,
            Coding::Group3 { two } => {
                let mut marks = 0;
                if marked && bits.peek() >> 13 != 0 {
                    broken += 1;
                    bits.resume();
                }
                while bits.mark() {
                    marks += 1;
                    if two {
                        flat = bits.peek() >> 23 == 1;
                        bits.at += 1;
                    }
                }
                // Six are the end.
                if marks > 1 && rows > 0 {
                    break;
                }
            }
        }
        if bits.at_end() {
            break;
        }
        changes.clear();
        let result =
            if flat { one(&mut bits, width, &mut changes) } else { two(&mut bits, width, &above, &mut changes) };
        if result.is_err() {
            // Two marks are the end of group 4.
            broken += u64::from(coding != Coding::Group4 || !changes.is_empty() || !bits.mark());
            if !matches!(coding, Coding::Group3 { .. }) {
                // Nothing tells where the next row begins.
                break;
            }
            bits.resume();
        }
        paint(row, width, &changes);
        std::mem::swap(&mut above, &mut changes);
        rows += 1;
    }
    if rows == 0 {
        return Unpacked::until(0, "there are no rows of facsimile");
    }
    if broken == 0 && rows == count {
        return Unpacked::whole(out.len());
    }
    let text =
        format!("expected {count} rows of facsimile, found {rows}, {broken} of them broken; what is missing is white");
    Unpacked::until(out.len(), text)
}

/// A row of runs, white first.
fn one(bits: &mut Bits<'_>, width: usize, changes: &mut Vec<usize>) -> Result<(), Wrong> {
    let (mut at, mut black) = (0, false);
    while at < width {
        at = at.saturating_add(bits.run(black)? as usize).min(width);
        changes.push(at);
        black = !black;
    }
    Ok(())
}

/// A row that refers to the one above (T.4, 4.2.1.3).
fn two(bits: &mut Bits<'_>, width: usize, above: &[usize], changes: &mut Vec<usize>) -> Result<(), Wrong> {
    // The starting element is before the row, and counts as 0 for runs.
    let (mut start, mut black, mut first) = (0, false, true);
    let mut behind = 0;
    while start < width {
        // b1: the first change above to the right of a0, to the colour that is not the present one.
        while behind > 0 && above[behind - 1] > start {
            behind -= 1;
        }
        while behind < above.len() && (above[behind] < start || above[behind] == start && !first) {
            behind += 1;
        }
        if (behind % 2 == 1) != black {
            behind += 1;
        }
        let b1 = above.get(behind).copied().unwrap_or(width);
        match bits.mode()? {
            Mode::Pass => start = above.get(behind + 1).copied().unwrap_or(width),
            Mode::Horizontal => {
                for black in [black, !black] {
                    start = start.saturating_add(bits.run(black)? as usize).min(width);
                    changes.push(start);
                }
            }
            Mode::Vertical(by) => {
                let change = (b1 as i64 + by).clamp(0, width as i64) as usize;
                if change < start {
                    return Err(Wrong);
                }
                start = change;
                changes.push(start);
                black = !black;
            }
        }
        behind = behind.min(above.len());
        first = false;
    }
    Ok(())
}

/// Sets the bits of black runs: from every first change to every second.
fn paint(row: &mut [u8], width: usize, changes: &[usize]) {
    for run in changes.chunks(2) {
        let (from, to) = (run[0], run.get(1).copied().unwrap_or(width));
        let (first, last) = (from / 8, to / 8);
        let (head, tail) = (0xFF >> (from % 8), !(0xFF_u8 >> (to % 8)));
        if first == last {
            if let Some(byte) = row.get_mut(first) {
                *byte |= head & tail;
            }
            continue;
        }
        row[first] |= head;
        row[first + 1..last].fill(0xFF);
        if let Some(byte) = row.get_mut(last) {
            *byte |= tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_begins_another() {
        for codes in [WHITE, BLACK] {
            let codes: Vec<_> = codes.split_whitespace().chain(LONG.split_whitespace()).collect();
            assert_eq!(codes.len(), 104);
            for (index, code) in codes.iter().enumerate() {
                assert!(
                    codes.iter().enumerate().all(|(other, long)| other == index || !long.starts_with(code)),
                    "{code}"
                );
            }
        }
    }

    /// The example of a row in T.4: 4 white, 3 black, 2 white, 1 black.
    #[test]
    fn rows_end_with_their_bits() {
        // 1011 10 0111 010 in group 3 without marks.
        let mut out = [0; 4];
        let done = decode(&[0b1011_1001, 0b1101_0000, 0b1011_1000], Coding::Plain { words: false }, 10, &mut out);
        let text = "expected 2 rows of facsimile, found 1, 1 of them broken; what is missing is white";
        assert_eq!((done.bytes, done.problem.as_deref()), (4, Some(text)));
        assert_eq!(out, [0b0000_1110, 0b0100_0000, 0, 0]);
    }
}
