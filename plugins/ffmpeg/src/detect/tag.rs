//! ID3 tags, which stand before sound of several kinds (<https://id3.org/id3v2.4.0-structure>).

use mediary_core::Probe;

use super::{NATIVE, find};

/// Tags in a row that are passed over.
const MAX_TAGS: usize = 8;
/// Zeros behind a tag that are passed over.
const MAX_ZEROS: usize = 4096;

/// Bytes of the tag that begins here.
pub(crate) fn length(bytes: &[u8]) -> Option<u64> {
    let &[b'I', b'D', b'3', 2..=4, revision, flags, a, b, c, d, ..] = bytes else { return None };
    if revision == 0xFF || (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    let size = [a, b, c, d].iter().fold(0, |size, &seven| size << 7 | u64::from(seven));
    Some(10 + size + if flags & 0x10 != 0 { 10 } else { 0 })
}

/// Sound that only this plugin reads behind the tags. A tag that fills the head must have frames as tags have, and bytes
/// behind it.
pub(super) fn before_sound(probe: &Probe<'_>) -> bool {
    let mut rest = probe.head;
    for _ in 0..MAX_TAGS {
        let Some(length) = length(rest) else { break };
        let Some(behind) = usize::try_from(length).ok().and_then(|length| rest.get(length..)).filter(|b| !b.is_empty())
        else {
            let passed = (probe.head.len() - rest.len()) as u64;
            return !probe.is_whole() && passed + length < probe.len && has_frame(rest, length);
        };
        rest = behind;
    }
    let zeros = rest.iter().take(MAX_ZEROS).take_while(|&&byte| byte == 0).count();
    rest = &rest[zeros..];
    let passed = probe.head.len() - rest.len();
    let behind = Probe { head: rest, tail: probe.tail, len: probe.len - passed as u64, name: probe.name };
    // More tags would be looked at without end.
    !rest.starts_with(b"ID3") && find(&behind).is_some_and(|known| known.score != NATIVE)
}

/// A frame of the tag: its name, and a size within the tag.
fn has_frame(tag: &[u8], length: u64) -> bool {
    let named = |name: Option<&[u8]>| {
        name.is_some_and(|name| name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
    };
    let size =
        |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.iter().fold(0, |size, &byte| size << 8 | u64::from(byte)));
    // An extended header stands before the frames.
    if tag.get(5).is_some_and(|flags| flags & 0x40 != 0) {
        return true;
    }
    let (name, size) = match tag.get(3) {
        Some(2) => (tag.get(10..13), size(tag.get(13..16))),
        _ => (tag.get(10..14), size(tag.get(14..18))),
    };
    named(name) && size.is_some_and(|size| size > 0 && size < length)
}
