//! What RIFF INFO keys and Vorbis comment fields call the same thing, and text of unknown encoding.

/// `(RIFF INFO, Vorbis comment)`. Both lists are older than the other; only fields that mean the same stand here.
const PAIRS: &[(&str, &str)] = &[
    ("INAM", "TITLE"),
    ("IART", "ARTIST"),
    ("IPRD", "ALBUM"),
    ("ICRD", "DATE"),
    ("IGNR", "GENRE"),
    ("ICMT", "COMMENT"),
    ("ITRK", "TRACKNUMBER"),
    ("ICOP", "COPYRIGHT"),
    ("ISFT", "ENCODER"),
];

/// The RIFF INFO key of a tag: its own if it has the form of one, or that of the Vorbis field of the same meaning.
pub(crate) fn info_key(key: &str) -> Option<[u8; 4]> {
    let paired = PAIRS.iter().find(|(_, vorbis)| vorbis.eq_ignore_ascii_case(key)).map(|(info, _)| *info);
    let own = key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).then_some(key);
    paired.or(own)?.as_bytes().try_into().ok()
}

/// The Vorbis field of a tag: that of the RIFF INFO key of the same meaning, or its own name if the specification allows it
/// (ASCII 0x20 to 0x7D without `=`).
pub(crate) fn vorbis_field(key: &str) -> Option<&str> {
    let paired = PAIRS.iter().find(|(info, _)| *info == key).map(|(_, vorbis)| *vorbis);
    let legal = !key.is_empty() && key.bytes().all(|byte| (0x20..=0x7D).contains(&byte) && byte != b'=');
    paired.or(legal.then_some(key))
}

/// Text up to the first NUL: UTF-8, or Latin-1 where it is not (`false` says so).
pub(crate) fn text(bytes: &[u8]) -> (String, bool) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => (text.to_owned(), true),
        Err(_) => (bytes[..end].iter().copied().map(char::from).collect(), false),
    }
}
