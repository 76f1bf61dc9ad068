//! LZF, the compression of Marc Lehmann's liblzf, as PCD has it.
//!
//! A control byte below 32 stands before that many literal bytes and one. Any other holds a length in its upper three bits (7: the
//! next byte adds to it) and the upper five bits of a distance, whose lower eight follow: copy length + 2 bytes from distance + 1
//! behind.

use mediary_core::{Error, Result};

/// Most bytes that a byte of LZF becomes: 3 bytes say "copy 264".
pub(super) const MOST: u64 = 88;
/// Positions remembered by the compressor.
const SLOTS: usize = 1 << 14;
/// Longest distance and longest copy.
const DISTANCE: usize = 1 << 13;
const LENGTH: usize = 264;

/// Exactly `length` bytes.
pub(super) fn decompress(packed: &[u8], length: usize) -> Result<Vec<u8>> {
    let broken = |at: usize, what: &str| Error::malformed(format!("compressed data: {what}")).at_byte(at as u64);
    let mut out: Vec<u8> = Vec::with_capacity(length);
    let mut at = 0;
    while let Some(&control) = packed.get(at) {
        let start = at;
        at += 1;
        if control < 32 {
            let end = at + usize::from(control) + 1;
            let literals = packed.get(at..end).ok_or_else(|| broken(start, "ends among literals"))?;
            if literals.len() > length - out.len() {
                return Err(broken(start, "there is more than announced"));
            }
            out.extend_from_slice(literals);
            at = end;
            continue;
        }
        let mut next = || {
            let byte = packed.get(at).copied().ok_or_else(|| broken(start, "ends in a reference"));
            at += 1;
            byte.map(usize::from)
        };
        let mut count = usize::from(control >> 5) + 2;
        if count == 9 {
            count += next()?;
        }
        let distance = (usize::from(control & 31) << 8) + next()? + 1;
        if count > length - out.len() {
            return Err(broken(start, "there is more than announced"));
        }
        let from = out.len().checked_sub(distance).ok_or_else(|| broken(start, "refers to before the start"))?;
        if distance >= count {
            out.extend_from_within(from..from + count);
        } else {
            // It overlaps what it makes.
            (from..from + count).for_each(|from| out.push(out[from]));
        }
    }
    if out.len() < length {
        return Err(broken(at, &format!("expected {length} bytes, found {}", out.len())));
    }
    Ok(out)
}

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() / 2);
    let mut seen = vec![usize::MAX; SLOTS];
    let (mut at, mut literals) = (0, 0);
    while at + 2 < plain.len() {
        let word = u32::from_le_bytes([plain[at], plain[at + 1], plain[at + 2], 0]);
        let slot = &mut seen[(word.wrapping_mul(0x9E37_79B1) >> 18) as usize];
        let from = std::mem::replace(slot, at);
        if from >= at || at - from > DISTANCE || plain[from..from + 3] != plain[at..at + 3] {
            at += 1;
            continue;
        }
        let most = LENGTH.min(plain.len() - at);
        let same = plain[from..].iter().zip(&plain[at..at + most]).take_while(|(a, b)| a == b).count();
        put_literals(&mut out, &plain[literals..at]);
        let (length, distance) = (same - 2, at - from - 1);
        let high = (distance >> 8) as u8;
        if length < 7 {
            out.push((length as u8) << 5 | high);
        } else {
            out.extend([7 << 5 | high, (length - 7) as u8]);
        }
        out.push((distance & 255) as u8);
        at += same;
        literals = at;
    }
    put_literals(&mut out, &plain[literals..]);
    out
}

fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(32) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        let mut state = 1_u32;
        let mut noise = |modulus: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % modulus) as u8
        };
        for length in [0, 1, 2, 3, 4, 31, 32, 33, 300, 10_000, 100_000] {
            for modulus in [1, 2, 5, 256] {
                let plain: Vec<u8> = (0..length).map(|_| noise(modulus)).collect();
                let packed = compress(&plain);
                assert!(packed.len() as u64 * MOST >= plain.len() as u64);
                assert!(decompress(&packed, plain.len()).unwrap() == plain, "{length} {modulus}");
                if length > 0 {
                    assert!(decompress(&packed, plain.len() - 1).is_err());
                    assert!(decompress(&packed, plain.len() + 1).is_err());
                }
            }
        }
    }

    #[test]
    fn references_are_checked() {
        // One literal, then copies of it, which overlap.
        assert_eq!(decompress(&[0, b'a', 1 << 5, 0], 4).unwrap(), b"aaaa");
        assert_eq!(decompress(&[0, b'a', 7 << 5, 255, 0], 265).unwrap(), vec![b'a'; 265]);
        for packed in [&[1 << 5, 0][..], &[0, b'a', 1 << 5, 1], &[5, 1, 2], &[0, b'a', 7 << 5], &[0, b'a', 1 << 5]] {
            assert!(decompress(packed, 4).is_err(), "{packed:?}");
        }
    }
}
