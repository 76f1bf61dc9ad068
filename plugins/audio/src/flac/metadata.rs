//! What stands before the frames: STREAMINFO and the other metadata blocks (RFC 9639, section 8).

use std::collections::BTreeMap;

use mediary_core::{Context, Error, Location, Result, Severity, Source};

use crate::layout::speakers;
use crate::tags;

/// Speakers of FLAC channels when no mask says otherwise (9.1.3); for one and two the order of WAVE needs no names.
const LAYOUTS: [&[&str]; 6] = [
    &["FL", "FR", "FC"],
    &["FL", "FR", "BL", "BR"],
    &["FL", "FR", "FC", "BL", "BR"],
    &["FL", "FR", "FC", "LFE", "BL", "BR"],
    &["FL", "FR", "FC", "LFE", "BC", "SL", "SR"],
    &["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"],
];
/// The field that states another layout (8.6.2).
pub(super) const MASK_FIELD: &str = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK";
/// Bytes of the body of STREAMINFO.
pub(super) const STREAMINFO_BYTES: usize = 34;
/// Bytes of comments that are read.
const MOST_COMMENT_BYTES: u64 = 4 << 20;
/// Blocks that are looked at.
const MOST_BLOCKS: u32 = 10_000;

/// The body of STREAMINFO.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamInfo {
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) bits: u8,
    /// Samples a channel, if they are stated.
    pub(super) frames: Option<u64>,
    /// MD5 of the decoded samples, if it is stated.
    pub(super) md5: Option<[u8; 16]>,
}

/// Everything before the first frame.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) info: StreamInfo,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) layout: Vec<&'static str>,
    pub(super) pictures: u64,
    /// Where the first frame starts.
    pub(super) frames_at: u64,
    /// Whether nothing was found wrong or out of place.
    pub(super) clean: bool,
}

/// Bytes of an ID3v2 tag at the start of `head`; 0 without one.
pub(super) fn id3v2(head: &[u8]) -> u64 {
    match head {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] if (a | b | c | d) & 0x80 == 0 => {
            let size = [a, b, c, d].into_iter().fold(0, |size, &part| size << 7 | u64::from(part));
            10 + size + if flags & 0x10 != 0 { 10 } else { 0 }
        }
        _ => 0,
    }
}

/// Reads all metadata blocks.
pub(super) fn read(source: &Source, cx: &Context) -> Result<Metadata> {
    let mut at = id3v2(source.head());
    let mut clean = at == 0;
    if at > 0 {
        cx.note("id3", format!("{at} bytes of ID3v2 before the stream were passed over"));
    }
    let mut marker = [0; 4];
    source.read_exact_at(at, &mut marker, "the stream marker")?;
    if &marker != b"fLaC" {
        return Err(Error::malformed(format!("expected \"fLaC\", found \"{}\"", marker.escape_ascii())).at_byte(at));
    }
    at += 4;
    let mut info = None;
    let mut found = Metadata {
        info: StreamInfo { sample_rate: 0, channels: 0, bits: 0, frames: None, md5: None },
        tags: BTreeMap::new(),
        layout: Vec::new(),
        pictures: 0,
        frames_at: 0,
        clean: true,
    };
    let mut mask = None;
    let mut count = 0;
    loop {
        let mut head = [0; 4];
        source.read_exact_at(at, &mut head, "a metadata block header")?;
        let (last, kind) = (head[0] & 0x80 != 0, head[0] & 0x7F);
        let length = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        let body = at + 4;
        let left = source.len().saturating_sub(body);
        if length > left {
            return Err(Error::truncated(&format!("the metadata block of type {kind}"), length, left).at_byte(at));
        }
        if (kind == 0) != info.is_none() {
            let message = match kind {
                0 => "expected one STREAMINFO block, found a second".into(),
                _ => format!("expected STREAMINFO as the first metadata block, found one of type {kind}"),
            };
            return Err(Error::malformed(message)
                .at_byte(at)
                .with_hint("without STREAMINFO the stream cannot be decoded"));
        }
        match kind {
            0 => info = Some(stream_info(source, body, length)?),
            4 if length > MOST_COMMENT_BYTES => {
                clean = false;
                cx.tolerate("comments", format!("{length} bytes of comments were left out"), Location::byte(at))?;
            }
            4 => {
                cx.budget().take(length)?;
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                source.read_exact_at(body, &mut bytes, "the comments")?;
                if comments(&bytes, &mut found.tags, &mut mask, cx).is_none() {
                    clean = false;
                    let message = "a comment is longer than its block; the rest was left out";
                    cx.tolerate("comments", message, Location::byte(at))?;
                }
                cx.budget().give_back(length);
            }
            6 => found.pictures += 1,
            // APPLICATION, PADDING, SEEKTABLE and CUESHEET say nothing about the samples.
            1..=3 | 5 => {}
            127 => return Err(Error::malformed("found a metadata block of the forbidden type 127").at_byte(at)),
            _ => cx.note("metadata-block", format!("a metadata block of the reserved type {kind} was passed over")),
        }
        at = body + length;
        count += 1;
        if last {
            break;
        }
        if count >= MOST_BLOCKS {
            return Err(Error::malformed(format!("more than {MOST_BLOCKS} metadata blocks")).at_byte(at));
        }
    }
    found.info = info.ok_or_else(|| Error::malformed("expected STREAMINFO, found none"))?;
    if found.pictures > 0 {
        cx.report_times(Severity::Info, "pictures", "a picture was not read", None, found.pictures);
    }
    found.layout = layout(mask, found.info.channels);
    found.frames_at = at;
    found.clean = clean;
    Ok(found)
}

/// 8.2
fn stream_info(source: &Source, at: u64, length: u64) -> Result<StreamInfo> {
    if length != STREAMINFO_BYTES as u64 {
        return Err(
            Error::malformed(format!("expected {STREAMINFO_BYTES} bytes of STREAMINFO, found {length}")).at_byte(at)
        );
    }
    let mut bytes = [0; STREAMINFO_BYTES];
    source.read_exact_at(at, &mut bytes, "STREAMINFO")?;
    let packed = bytes[10..18].iter().fold(0, |packed, &byte| packed << 8 | u64::from(byte));
    let sample_rate = (packed >> 44) as u32;
    let bits = (packed >> 36 & 31) as u8 + 1;
    if sample_rate == 0 {
        return Err(Error::malformed("expected a sample rate above 0, found 0").at_byte(at + 10));
    }
    if bits < 4 {
        return Err(Error::malformed(format!("expected 4 to 32 bits a sample, found {bits}")).at_byte(at + 12));
    }
    let md5: [u8; 16] = bytes[18..].try_into().unwrap_or_default();
    Ok(StreamInfo {
        sample_rate,
        channels: (packed >> 41 & 7) as u16 + 1,
        bits,
        frames: Some(packed & ((1 << 36) - 1)).filter(|&frames| frames > 0),
        md5: (md5 != [0; 16]).then_some(md5),
    })
}

/// 8.6: `KEY=value` in UTF-8, lengths little-endian. Values of one key are joined. `None` when a length is wrong.
fn comments(bytes: &[u8], tags: &mut BTreeMap<String, String>, mask: &mut Option<u32>, cx: &Context) -> Option<()> {
    let mut rest = bytes;
    let mut take = |what: Option<u32>| -> Option<&[u8]> {
        let length = what.unwrap_or(4) as usize;
        let (taken, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(taken)
    };
    let number = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let vendor = number(take(None)?)?;
    take(Some(vendor))?;
    for _ in 0..number(take(None)?)? {
        let length = number(take(None)?)?;
        let (text, is_utf8) = tags::text(take(Some(length))?);
        if !is_utf8 {
            cx.warn("comment-encoding", "a comment is not UTF-8 and was read as Latin-1");
        }
        let Some((key, value)) = text.split_once('=') else {
            cx.warn("comment", "a comment without \"=\" was left out");
            continue;
        };
        if key.eq_ignore_ascii_case(MASK_FIELD) {
            *mask = value.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
        }
        match tags.get_mut(key) {
            Some(known) => {
                known.push_str("; ");
                known.push_str(value);
            }
            None => drop(tags.insert(key.to_owned(), value.to_owned())),
        }
    }
    Some(())
}

/// Speakers by a stated mask, or by the number of channels.
pub(super) fn layout(mask: Option<u32>, channels: u16) -> Vec<&'static str> {
    let usual = || usize::from(channels).checked_sub(3).and_then(|more| LAYOUTS.get(more));
    match mask.and_then(|mask| speakers(mask, channels)) {
        Some(speakers) => speakers,
        None => usual().map_or(Vec::new(), |usual| usual.to_vec()),
    }
}
