//! What must stand behind the signature of a container.

use mediary_core::Probe;

/// Bytes of a packet of a transport stream, and where in it the sync byte stands: plain, with a time before each, with a
/// checksum behind each (ISO/IEC 13818-1; ETSI EN 300 429).
const PACKETS: [(usize, usize); 3] = [(188, 0), (192, 4), (204, 0)];
/// Packets that are looked at, and those that must be there.
const PACKETS_SEEN: usize = 8;
const PACKETS_LEAST: usize = 3;
/// Brands of files with tracks of pictures or sound, and beginnings of such brands.
const BRANDS: [&[u8; 4]; 24] = [
    b"isom", b"avc1", b"hvc1", b"av01", b"mp41", b"mp42", b"mp71", b"mjp2", b"qt  ", b"M4A ", b"M4B ", b"M4P ",
    b"M4V ", b"M4VH", b"M4VP", b"F4A ", b"F4V ", b"f4v ", b"MSNV", b"dash", b"msdh", b"msix", b"piff", b"XAVC",
];
const BRANDS_BEGIN: [&[u8]; 7] = [b"iso", b"3gp", b"3gr", b"3gs", b"3g2", b"cmf", b"mmp4"];
/// Brands of still pictures and sequences of them, whatever else they claim to be.
const IMAGE_BRANDS: [&[u8; 4]; 13] = [
    b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis", b"crx ",
];
/// Boxes that a movie without a file type begins with.
pub(crate) const FIRST_BOXES: [&[u8; 4]; 7] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&word| u32::from_be_bytes(word))
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&word| u32::from_le_bytes(word))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|&word| u16::from_le_bytes(word))
}

fn has(bytes: &[u8], at: usize, what: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(what))
}

/// Value and length of a number of EBML; with its marker it is an id (RFC 8794, 4 and 5).
pub(crate) fn vint(bytes: &[u8], marked: bool) -> Option<(u64, usize)> {
    let &first = bytes.first().filter(|&&first| first != 0)?;
    let length = first.leading_zeros() as usize + 1;
    let start = if marked { u64::from(first) } else { u64::from(first) & (0x7F >> (length - 1)) };
    let value = bytes.get(1..length)?.iter().fold(start, |value, &byte| value << 8 | u64::from(byte));
    Some((value, length))
}

/// The elements of EBML within `bytes`: id and content.
pub(crate) fn elements(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (id, after_id) = vint(rest, true)?;
        let (size, after_size) = vint(&rest[after_id..], false)?;
        let content = &rest[after_id + after_size..];
        let end = usize::try_from(size).ok().filter(|&end| end <= content.len())?;
        rest = &content[end..];
        Some((id, &content[..end]))
    })
}

/// The document type of EBML.
pub(crate) fn document(head: &[u8]) -> Option<&[u8]> {
    let (_, content) = elements(head).next().filter(|element| element.0 == 0x1A45_DFA3)?;
    let (_, name) = elements(content).find(|element| element.0 == 0x4282)?;
    // It may be filled up with zeros.
    name.split(|&byte| byte == 0).next()
}

pub(super) fn matroska(probe: &Probe<'_>) -> bool {
    matches!(document(probe.head), Some(b"matroska" | b"webm"))
}

/// Four printable letters, a name of a chunk, after the type.
pub(super) fn chunks(probe: &Probe<'_>) -> bool {
    probe.head.get(12..16).is_some_and(|name| name.iter().all(|byte| (b' '..=b'~').contains(byte)))
}

/// The first page of Ogg: flags, sizes of the segments, and the page that follows (RFC 3533, 6).
pub(super) fn ogg(probe: &Probe<'_>) -> bool {
    let head = probe.head;
    let flags = head.get(5).is_some_and(|flags| flags & 0xF8 == 0);
    let Some(end) = page_end(head) else { return false };
    flags && head.get(26) != Some(&0) && (end >= head.len() || has(head, end, b"OggS\0"))
}

/// Where a page of Ogg ends.
pub(crate) fn page_end(page: &[u8]) -> Option<usize> {
    let count = usize::from(*page.get(26)?);
    Some(27 + count + page.get(27..27 + count)?.iter().map(|&size| usize::from(size)).sum::<usize>())
}

/// A header of nine bytes, flags for sound and pictures alone, no tag before the first.
pub(super) fn flv(probe: &Probe<'_>) -> bool {
    probe.head.get(4).is_some_and(|flags| flags & 0xFA == 0)
        && big(probe.head, 5) == Some(9)
        && big(probe.head, 9) == Some(0)
}

/// The header's length and version.
pub(super) fn real_media(probe: &Probe<'_>) -> bool {
    matches!(big(probe.head, 4), Some(0x10 | 0x12))
        && has(probe.head, 8, b"\0")
        && matches!(probe.head.get(9), Some(0 | 1))
}

pub(super) fn real_audio(probe: &Probe<'_>) -> bool {
    has(probe.head, 4, b"\0") && matches!(probe.head.get(5), Some(3..=5))
}

/// The header's length; a size.
pub(super) fn ivf(probe: &Probe<'_>) -> bool {
    short(probe.head, 6) == Some(32)
        && short(probe.head, 12).is_some_and(|width| width > 0)
        && short(probe.head, 14) != Some(0)
}

/// Width and height in the first line, then a frame.
pub(super) fn yuv4mpeg(probe: &Probe<'_>) -> bool {
    let Some(end) = probe.head.iter().take(1024).position(|&byte| byte == b'\n') else { return false };
    let words = |key: u8| {
        let words = probe.head[..end].split(|&byte| byte == b' ').skip(1);
        words.filter(|word| word.first() == Some(&key)).any(|word| word[1..].iter().all(u8::is_ascii_digit))
    };
    words(b'W') && words(b'H') && has(probe.head, end + 1, b"FRAME")
}

/// The chunk that describes the sound.
pub(super) fn caf(probe: &Probe<'_>) -> bool {
    has(probe.head, 6, b"\0\0desc\0\0\0\0\0\0\0\x20")
}

/// Size, version and length of a block.
pub(super) fn wavpack(probe: &Probe<'_>) -> bool {
    let size = little(probe.head, 4).is_some_and(|size| (24..1 << 24).contains(&size) && size % 2 == 0);
    size && short(probe.head, 8).is_some_and(|version| (0x402..=0x410).contains(&version))
}

/// The version, and behind it the sizes of descriptor and header, or level, channels and rate of the older ones.
pub(super) fn ape(probe: &Probe<'_>) -> bool {
    let head = probe.head;
    match short(head, 4) {
        Some(3980..=4100) => matches!(little(head, 8), Some(52..=1024)) && matches!(little(head, 12), Some(24..=1024)),
        Some(3800..3980) => {
            matches!(short(head, 6), Some(1000 | 2000 | 3000 | 4000 | 5000))
                && matches!(short(head, 10), Some(1..=32))
                && matches!(little(head, 12), Some(1..=1_000_000))
        }
        _ => false,
    }
}

/// Format, channels, bits and rate.
pub(super) fn tta(probe: &Probe<'_>) -> bool {
    let head = probe.head;
    matches!(short(head, 4), Some(1 | 2))
        && matches!(short(head, 6), Some(1..=64))
        && matches!(short(head, 8), Some(8 | 16 | 24 | 32))
        && matches!(little(head, 10), Some(1..=1_000_000))
}

/// A stream header of version 8.
pub(super) fn musepack_8(probe: &Probe<'_>) -> bool {
    has(probe.head, 4, b"SH")
        && probe.head.get(6).is_some_and(|size| (12..128).contains(size))
        && probe.head.get(11) == Some(&8)
}

/// Version 7 and a number of frames.
pub(super) fn musepack_7(probe: &Probe<'_>) -> bool {
    probe.head.get(3).is_some_and(|version| version & 15 == 7 && *version < 0x20)
        && matches!(little(probe.head, 4), Some(1..0x0100_0000))
}

pub(super) fn amr(probe: &Probe<'_>) -> bool {
    let rest = |start: &[u8]| probe.head.strip_prefix(start).filter(|rest| !rest.is_empty());
    rest(b"#!AMR\n").is_some_and(|frames| super::frames::begin(frames, |bytes| super::frames::amr(bytes, false)))
        || rest(b"#!AMR-WB\n")
            .is_some_and(|frames| super::frames::begin(frames, |bytes| super::frames::amr(bytes, true)))
}

/// Offset of the data, encoding, rate and channels.
pub(super) fn au(probe: &Probe<'_>) -> bool {
    let field = |at| big(probe.head, at);
    matches!(field(4), Some(24..=0x10_0000))
        && matches!(field(12), Some(1..=27))
        && matches!(field(16), Some(1..=1_000_000))
        && matches!(field(20), Some(1..=256))
}

/// The checksum of the version.
pub(super) fn voc(probe: &Probe<'_>) -> bool {
    short(probe.head, 22)
        .zip(short(probe.head, 24))
        .is_some_and(|(version, sum)| sum == (!version).wrapping_add(0x1234))
}

/// Length and type.
pub(super) fn wave64(probe: &Probe<'_>) -> bool {
    has(probe.head, 24, b"wave\xF3\xAC\xD3\x11\x8C\xD1\x00\xC0\x4F\x8E\xDB\x8A")
}

/// The length of the first chunk of DSF.
pub(super) fn dsf(probe: &Probe<'_>) -> bool {
    has(probe.head, 4, b"\x1C\0\0\0\0\0\0\0") && has(probe.head, 28, b"fmt ")
}

/// Marker bits of a pack, and the start code behind it (ISO/IEC 11172-1, 2.4.3.2, and 13818-1, 2.5.3.3).
pub(super) fn program_stream(probe: &Probe<'_>) -> bool {
    let Some(pack) = probe.head.first_chunk::<14>() else { return false };
    let bits = |at: usize, mask: u8, value: u8| pack[at] & mask == value;
    let next = if bits(4, 0xC4, 0x44) && bits(6, 4, 4) && bits(8, 4, 4) && bits(9, 1, 1) && bits(12, 3, 3) {
        14 + usize::from(pack[13] & 7)
    } else if bits(4, 0xF1, 0x21) && bits(6, 1, 1) && bits(8, 1, 1) && bits(9, 0x80, 0x80) && bits(11, 1, 1) {
        12
    } else {
        return false;
    };
    has(probe.head, next, b"\0\0\x01")
}

/// A size, a known ratio and rate, the marker bit, and the start code behind the tables (ISO/IEC 13818-2, 6.2.2.1).
pub(super) fn mpeg_video(probe: &Probe<'_>) -> bool {
    let Some(&[_, _, _, _, wide, both, high, rates, _, _, marker, flags]) = probe.head.first_chunk::<12>() else {
        return false;
    };
    let (width, height) = (u16::from(wide) << 4 | u16::from(both >> 4), u16::from(both & 15) << 8 | u16::from(high));
    let intra = usize::from(flags >> 1 & 1);
    let other = match intra {
        0 => flags & 1,
        // The last bit of the first table stands before the flag of the second.
        _ => probe.head.get(75).map_or(0, |last| last & 1),
    };
    let next = 12 + 64 * (intra + usize::from(other));
    width > 0
        && height > 0
        && (1..=14).contains(&(rates >> 4))
        && (1..=8).contains(&(rates & 15))
        && marker & 0x20 != 0
        && has(probe.head, next, b"\0\0\x01")
}

/// The packets of a transport stream: their length, and where in it the sync byte stands.
pub(crate) fn packets(head: &[u8]) -> Option<(usize, usize)> {
    PACKETS.into_iter().find(|&(length, first)| {
        let starts = (0..PACKETS_SEEN).map(|place| first + place * length).take_while(|&start| start + 4 <= head.len());
        // Neither payload nor adaptation field is reserved.
        starts.clone().count() >= PACKETS_LEAST
            && starts.into_iter().all(|start| head[start] == 0x47 && head[start + 3] & 0x30 != 0)
    })
}

pub(super) fn transport_stream(probe: &Probe<'_>) -> bool {
    packets(probe.head).is_some() && !probe.looks_like_text()
}

/// A file type box: its length, and brands of movies or sound, not of still pictures (ISO/IEC 14496-12, 4.3).
pub(super) fn movie(probe: &Probe<'_>) -> bool {
    let Some(size) = big(probe.head, 0).filter(|size| (16..=4096).contains(size) && size % 4 == 0) else {
        return false;
    };
    let Some(brands) = probe.head.get(8..probe.head.len().min(size as usize)) else { return false };
    let (brands, _) = brands.as_chunks::<4>();
    let of_movies =
        |brand: &[u8; 4]| BRANDS.contains(&brand) || BRANDS_BEGIN.iter().any(|start| brand.starts_with(start));
    // Behind the first brand stands a version.
    let mut all = brands.iter().take(1).chain(brands.iter().skip(2));
    brands.first().is_some_and(|major| !IMAGE_BRANDS.contains(&major)) && all.any(of_movies)
}

/// A movie without a file type: its first box ends where another begins.
pub(super) fn old_movie(probe: &Probe<'_>) -> bool {
    let Some(size) = big(probe.head, 0).filter(|&size| size >= 8) else { return false };
    let next = probe.head.get(size as usize..).and_then(|rest| rest.get(4..8));
    next.is_some_and(|next| FIRST_BOXES.iter().any(|name| name[..] == *next)) || has(probe.head, 12, b"mvhd")
}
