//! Sound without a container: frames that tell their own length, one behind the other.

/// Frames in a row that leave no doubt.
const ENOUGH: usize = 4;
/// Frames that must be there at the least.
const LEAST: usize = 2;

/// A frame, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// All its bytes.
    pub(crate) length: usize,
    /// What all frames of a stream share.
    pub(crate) kind: u32,
}

/// Reads the header of the frame that begins here.
pub(crate) type Parse = fn(&[u8]) -> Option<Frame>;

/// A row of frames: how many there are, and where it ends.
pub(crate) fn row(bytes: &[u8], most: usize, parse: Parse) -> (usize, usize) {
    let (mut count, mut at) = (0, 0);
    let Some(first) = parse(bytes) else { return (0, 0) };
    while count < most
        && let Some(frame) = bytes.get(at..).and_then(parse)
        && frame.kind == first.kind
    {
        count += 1;
        at += frame.length;
    }
    (count, at)
}

/// Whether frames of one kind begin here: four, or fewer up to the end or to a tag, but two at the least.
pub(crate) fn begin(bytes: &[u8], parse: Parse) -> bool {
    let (count, end) = row(bytes, ENOUGH, parse);
    let rest = bytes.get(end..).unwrap_or_default();
    count == ENOUGH || (count >= LEAST && (rest.len() < 8 || rest.starts_with(b"TAG") || rest.starts_with(b"APETAGEX")))
}

/// AAC in ADTS, ISO/IEC 13818-7, 6.2.
pub(crate) fn adts(bytes: &[u8]) -> Option<Frame> {
    let &[0xFF, sync, rate, middle, high, low, _, ..] = bytes else { return None };
    let length = usize::from(middle & 3) << 11 | usize::from(high) << 3 | usize::from(low >> 5);
    (sync & 0xF6 == 0xF0 && rate >> 2 & 15 < 13 && length > 7)
        .then_some(Frame { length, kind: u32::from(sync) << 8 | u32::from(rate & 0xFC) })
}

/// Layers I to III of MPEG audio, ISO/IEC 11172-3, 2.4.1.3; half the sample rates by 13818-3. A free bit rate, which tells
/// no length, is none.
pub(crate) fn mpeg(bytes: &[u8]) -> Option<Frame> {
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    /// Kilobits a second by layer, in version 1 and in the others.
    const BITS: [[[usize; 15]; 3]; 2] = [
        [
            [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        ],
        [
            [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
            [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ],
    ];
    let &[0xFF, sync, rates, _, ..] = bytes else { return None };
    let (version, layer) = (usize::from(sync >> 3 & 3), 4 - usize::from(sync >> 1 & 3));
    if sync & 0xE0 != 0xE0 || version == 1 || layer == 4 {
        return None;
    }
    let low = version != 3;
    let bits = *BITS[usize::from(low)][layer - 1].get(usize::from(rates >> 4)).filter(|&&bits| bits > 0)? * 1000;
    let rate = RATES.get(usize::from(rates >> 2 & 3))? >> [2, 0, 1, 0][version];
    let padding = usize::from(rates >> 1 & 1);
    let length = match layer {
        1 => (12 * bits / rate + padding) * 4,
        3 if low => 72 * bits / rate + padding,
        _ => 144 * bits / rate + padding,
    };
    Some(Frame { length, kind: u32::from(sync & 0xFE) << 8 | u32::from(rates & 0x0C) })
}

/// AC-3 and E-AC-3, ETSI TS 102 366, tables 4.13 and E.1.
pub(crate) fn ac3(bytes: &[u8]) -> Option<Frame> {
    const KILOBITS: [usize; 19] =
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
    let &[0x0B, 0x77, third, fourth, code, version, ..] = bytes else { return None };
    let kind = u32::from(code >> 6) << 8 | u32::from(version >> 3);
    let length = match (version >> 3, code >> 6) {
        (11..=16, _) => 2 * (usize::from(third & 7) << 8 | usize::from(fourth)) + 2,
        (0..=10, rate) => {
            let kilobits = *KILOBITS.get(usize::from(code & 63) / 2)?;
            match rate {
                0 => 4 * kilobits,
                1 => 2 * (320 * kilobits / 147 + usize::from(code & 1)),
                2 => 6 * kilobits,
                _ => return None,
            }
        }
        _ => return None,
    };
    (length >= 8).then_some(Frame { length, kind })
}

/// DTS, ETSI TS 102 114, 5.3 and 7.4.1: a core, or the extension that may follow each.
pub(crate) fn dts(bytes: &[u8]) -> Option<Frame> {
    let field = |at: usize| bytes.get(at).copied().map(usize::from);
    match bytes.get(..4)? {
        [0x7F, 0xFE, 0x80, 0x01] => {
            let length = ((field(5)? & 3) << 12 | field(6)? << 4 | field(7)? >> 4) + 1;
            let blocks = (field(4)? & 1) << 6 | field(5)? >> 2;
            (length >= 96 && blocks >= 5).then_some(Frame { length, kind: 0 })
        }
        [0x64, 0x58, 0x20, 0x25] => {
            let wide = field(5)? & 0x20 != 0;
            let length = match wide {
                false => ((field(6)? & 0x1F) << 11 | field(7)? << 3 | field(8)? >> 5) + 1,
                true => ((field(6)? & 1) << 19 | field(7)? << 11 | field(8)? << 3 | field(9)? >> 5) + 1,
            };
            (length >= 10).then_some(Frame { length, kind: 0 })
        }
        _ => None,
    }
}

/// AMR with narrow or wide band, RFC 4867, 5.3.
pub(crate) fn amr(bytes: &[u8], wide: bool) -> Option<Frame> {
    const NARROW: [usize; 9] = [13, 14, 16, 18, 20, 21, 27, 32, 6];
    const WIDE: [usize; 10] = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6];
    let &first = bytes.first().filter(|&&first| first & 0x83 == 0)?;
    let sort = usize::from(first >> 3 & 15);
    let length = match sort {
        15 => 1,
        14 if wide => 1,
        _ if wide => *WIDE.get(sort)?,
        _ => *NARROW.get(sort)?,
    };
    Some(Frame { length, kind: 0 })
}
