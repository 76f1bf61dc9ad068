//! Run lengths as the text that COCO tools write: each as its difference to the one two before, in groups of five bits from the
//! lowest on, with the sign in the last one and bit 5 where more follow, as letters from `0` on.

use mediary_core::{Error, Result};

/// Bits of a letter.
const BITS: u32 = 5;
/// More letters follow.
const MORE: i64 = 0x20;
/// The number is negative, in its last letter.
const SIGN: i64 = 0x10;
/// The letter of 0.
const ZERO: u8 = b'0';
/// Letters of the longest number that makes sense.
const MOST_LETTERS: u32 = 10;

/// The run lengths of a text.
pub(crate) fn decode(text: &str) -> Result<Vec<u32>> {
    let mut counts: Vec<u32> = Vec::new();
    let mut letters = text.bytes().enumerate();
    while let Some((start, first)) = letters.next() {
        let (mut value, mut shift, mut letter) = (0_i64, 0, first);
        loop {
            let Some(bits) = letter.checked_sub(ZERO).filter(|&bits| bits < 0x40).map(i64::from) else {
                let found = char::from(letter);
                return Err(Error::malformed(format!(
                    "expected a letter from '0' to 'o' in run lengths, found {found:?}"
                )));
            };
            value |= (bits & 0x1F) << shift;
            shift += BITS;
            if bits & MORE == 0 {
                if bits & SIGN != 0 {
                    value -= 1 << shift;
                }
                break;
            }
            match letters.next() {
                Some((_, next)) if shift < BITS * MOST_LETTERS => letter = next,
                Some(_) => return Err(Error::malformed(format!("the run length at letter {start} has no end"))),
                None => return Err(Error::malformed("the run lengths end early")),
            }
        }
        // From the fourth on.
        let before = counts.len().checked_sub(2).filter(|_| counts.len() > 2).map_or(0, |at| i64::from(counts[at]));
        let count = u32::try_from(value + before)
            .map_err(|_| Error::malformed(format!("expected a run length from 0 on, found {}", value + before)))?;
        counts.push(count);
    }
    Ok(counts)
}

/// The text of run lengths.
pub(crate) fn encode(counts: &[u32]) -> String {
    let mut text = String::new();
    for (index, &count) in counts.iter().enumerate() {
        let before = if index > 2 { i64::from(counts[index - 2]) } else { 0 };
        let mut value = i64::from(count) - before;
        loop {
            let bits = value & 0x1F;
            value >>= BITS;
            let more = if bits & SIGN == 0 { value != 0 } else { value != -1 };
            text.push(char::from((bits | if more { MORE } else { 0 }) as u8 + ZERO));
            if !more {
                break;
            }
        }
    }
    text
}
