//! The LZW variant of GIF (appendix F): codes of growing width, least significant bit first.

/// Widest code.
const MAX_WIDTH: u32 = 12;

/// Entries of the widest table.
const TABLE: usize = 1 << MAX_WIDTH;

/// How much was decoded, and what stopped it early.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    /// Indices written; the others are left as they were.
    pub(super) written: usize,
    /// Why there are no more.
    pub(super) problem: Option<&'static str>,
}

/// Decodes `data`, the sub-blocks put together, into `out`. What follows a full picture is ignored, as everyone does.
///
/// `code_size` is the LZW minimum code size of the picture, 1 to 8.
pub(super) fn decode(data: &[u8], code_size: u8, out: &mut [u8]) -> Decoded {
    let clear = 1_usize << code_size;
    let end = clear + 1;
    // A code stands for the string of its prefix and one more index; `lengths` are those of the strings.
    let mut prefixes = [0_u16; TABLE];
    let mut suffixes = [0_u8; TABLE];
    let mut lengths = [1_u16; TABLE];
    for (index, suffix) in suffixes.iter_mut().enumerate().take(clear) {
        *suffix = index as u8;
    }
    let mut width = u32::from(code_size) + 1;
    let mut next = end + 1;
    let mut previous: Option<usize> = None;
    let mut written = 0;
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = data.iter();
    let stopped = |written, problem| Decoded { written, problem: Some(problem) };

    while written < out.len() {
        while held < width {
            let Some(&byte) = bytes.next() else { return stopped(written, "the data end early") };
            bits |= u32::from(byte) << held;
            held += 8;
        }
        let code = (bits & ((1 << width) - 1)) as usize;
        bits >>= width;
        held -= width;

        if code == clear {
            width = u32::from(code_size) + 1;
            next = end + 1;
            previous = None;
            continue;
        }
        if code == end {
            return stopped(written, "the end code comes early");
        }
        let Some(before) = previous else {
            if code > end {
                return stopped(written, "the first code stands for nothing");
            }
            out[written] = suffixes[code];
            written += 1;
            previous = Some(code);
            continue;
        };
        if code > next || (code == next && next == TABLE) {
            return stopped(written, "a code stands for nothing");
        }
        // A new string is the one before and the first index of this one; of a code that is being made, of the one before.
        let length = if code == next { lengths[before] + 1 } else { lengths[code] } as usize;
        let first;
        {
            // Strings are written from their end; what does not fit is walked over.
            let mut at = code;
            let mut position = written + length;
            if code == next {
                position -= 1;
                at = before;
            }
            while position > written + 1 {
                position -= 1;
                if let Some(index) = out.get_mut(position) {
                    *index = suffixes[at];
                }
                at = usize::from(prefixes[at]);
            }
            first = suffixes[at];
            out[written] = first;
            if code == next
                && let Some(index) = out.get_mut(written + length - 1)
            {
                *index = first;
            }
        }
        written = (written + length).min(out.len());
        if next < TABLE {
            prefixes[next] = before as u16;
            suffixes[next] = first;
            lengths[next] = lengths[before] + 1;
            next += 1;
            if next == 1 << width && width < MAX_WIDTH {
                width += 1;
            }
        }
        previous = Some(code);
    }
    Decoded { written, problem: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indices as the encoder of the `gif` crate codes them.
    fn encoded(indices: &[u8]) -> Vec<u8> {
        let mut frame = gif::Frame { buffer: indices.to_vec().into(), ..gif::Frame::default() };
        frame.make_lzw_pre_encoded();
        frame.buffer.into_owned()
    }

    #[test]
    fn decodes_what_another_encoder_codes() {
        let patterns: [fn(u32) -> u8; 4] =
            [|_| 0, |index| (index % 3) as u8, |index| (index * index / 7) as u8, |index| (index / 300) as u8];
        for pattern in patterns {
            for length in [1, 2, 5, 300, 70_000] {
                let indices: Vec<u8> = (0..length).map(pattern).collect();
                let data = encoded(&indices);
                let mut out = vec![99; indices.len()];
                let decoded = decode(&data[1..], data[0], &mut out);
                assert_eq!(decoded, Decoded { written: indices.len(), problem: None });
                assert_eq!(out, indices);
            }
        }
    }

    #[test]
    fn tells_what_is_missing() {
        let data = encoded(&[1, 2, 3, 1, 2, 3, 1, 2, 3]);
        let mut out = [0; 20];
        let early = decode(&data[1..], data[0], &mut out);
        assert_eq!(early, Decoded { written: 9, problem: Some("the end code comes early") });
        let cut = decode(&data[1..2], data[0], &mut out);
        assert_eq!(cut.problem, Some("the data end early"));
        // Clear is 4, end is 5: 7 stands for nothing yet.
        assert_eq!(decode(&[0b0011_1100], 2, &mut out).problem, Some("the first code stands for nothing"));
    }
}
