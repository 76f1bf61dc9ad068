//! Whether the input ends too early, where its container tells: ffmpeg stops at such an end without a word.
//!
//! | container | what tells |
//! |---|---|
//! | AVI, FORM, Wave64, AU, ASF, CAF, RealMedia, Flash video, Matroska | the size that its header announces |
//! | MP4, QuickTime | a last box that is not whole |
//! | Flash video | a last tag without its size behind it |
//! | Ogg | a last page that is not whole, or not marked as the last of its stream |
//! | MPEG transport streams | a last packet that is not whole |
//! | MPEG audio, AAC, AC-3, DTS | a last frame that is not whole |
//! | YUV4MPEG | a last frame that is not whole |

use std::collections::BTreeMap;

use mediary_core::{Context, Result, Source};

use crate::detect::containers::{FIRST_BOXES, packets, page_end, vint};
use crate::detect::frames::{self, Parse};
use crate::detect::tag;

/// Bytes that may be missing of an announced size: some writers count a header twice.
const SLACK: u64 = 16;
/// Frames in a row that show where frames begin.
const ENOUGH: usize = 4;

/// Boxes that are looked at.
const MAX_BOXES: usize = 1 << 16;

/// What is missing, in words.
pub(crate) fn find(source: &Source, cx: &Context) -> Result<Option<String>> {
    let (head, len) = (source.head(), source.len());
    let read = |at: u64, bytes: &mut [u8; 16]| {
        cx.checkpoint()?;
        source.read_at(at, bytes)
    };
    if head.get(4..8).is_some_and(|name| FIRST_BOXES.iter().any(|known| known[..] == *name)) {
        return boxes(len, read);
    }
    if head.starts_with(b"FLV\x01")
        && let Some(message) = flash(len, read)?
    {
        return Ok(Some(message));
    }
    Ok(judge(head, source.tail(), len))
}

fn judge(head: &[u8], tail: &[u8], len: u64) -> Option<String> {
    if let Some(announced) = announced(head).filter(|&announced| announced > len.saturating_add(SLACK)) {
        return Some(format!("the container announces {announced} bytes, the file has {len}"));
    }
    if head.starts_with(b"OggS") {
        return ogg(tail);
    }
    if head.starts_with(b"YUV4MPEG2 ") {
        return yuv4mpeg(head, len);
    }
    if let Some((packet, _)) = packets(head) {
        let over = len % packet as u64;
        return (over > 0).then(|| format!("{over} bytes of {packet} are there of the last packet"));
    }
    let streams: [Parse; 4] = [frames::mpeg, frames::adts, frames::ac3, frames::dts];
    let tagged = tag::length(head).is_some();
    streams.into_iter().filter(|&parse| tagged || frames::begin(head, parse)).find_map(|parse| stream(tail, parse))
}

/// The boxes of the file, one behind the other.
fn boxes(len: u64, mut read: impl FnMut(u64, &mut [u8; 16]) -> Result<usize>) -> Result<Option<String>> {
    let mut at = 0_u64;
    for _ in 0..MAX_BOXES {
        let mut header = [0; 16];
        let count = read(at, &mut header)?;
        let [a, b, c, d, name @ .., _, _, _, _, _, _, _, _] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            1 => u64::from_be_bytes(*header.last_chunk().unwrap_or(&[0; 8])),
            size => u64::from(size),
        };
        // 0 is up to the end; what has no name or no size is no box.
        if count < 8 || size < 8 || !name.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == 0xA9) {
            return Ok(None);
        }
        let end = at.saturating_add(size);
        if end > len {
            let name = name.escape_ascii();
            return Ok(Some(format!("the box {name} at byte {at} ends at byte {end}, the file at {len}")));
        }
        at = end;
    }
    Ok(None)
}

/// The last tag, whose size stands behind it; old writers leave its header of 11 bytes out, or write zero.
fn flash(len: u64, mut read: impl FnMut(u64, &mut [u8; 16]) -> Result<usize>) -> Result<Option<String>> {
    let Some(end) = len.checked_sub(4) else { return Ok(None) };
    let mut bytes = [0; 16];
    read(end, &mut bytes)?;
    let size = big(&bytes, 0).unwrap_or(0);
    let mut whole = size == 0;
    for size in [size, size + 11] {
        let Some(start) = end.checked_sub(size).filter(|_| !whole) else { continue };
        read(start, &mut bytes)?;
        let data = big(&bytes, 0).map(|word| word & 0xFF_FFFF);
        whole = matches!(bytes[0] & 0x1F, 8 | 9 | 18) && data == size.checked_sub(11);
    }
    Ok((!whole).then(|| "the last tag of Flash video is not whole".into()))
}

fn big(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&word| u64::from(u32::from_be_bytes(word)))
}

fn little(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&word| u64::from(u32::from_le_bytes(word)))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&word| u64::from_le_bytes(word))
}

/// Bytes of the whole file as its header tells. Writers that could not go back leave zeros or ones.
fn announced(head: &[u8]) -> Option<u64> {
    /// The object of ASF with the properties of the file.
    const PROPERTIES: &[u8] = b"\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65";
    /// The property of Flash video with the size of the file, a number.
    const FILE_SIZE: &[u8] = b"\0\x08filesize\0";
    let known = |size: &u64| *size != 0 && *size != u64::from(u32::MAX);
    match head.get(..4)? {
        // The sizes of WAVE are those of its samples, which are counted.
        b"RIFF" if head.get(8..12)? == b"AVI " => Some(little(head, 4).filter(known)? + 8),
        b"FORM" => Some(big(head, 4).filter(known)? + 8),
        b"riff" => long(head, 16).filter(|&size| size < i64::MAX as u64),
        b".snd" => Some(big(head, 4)? + big(head, 8).filter(known)?),
        b"\x1A\x45\xDF\xA3" => segment(head),
        b"caff" => core_audio(head),
        b".RMF" => real_media(head),
        b"FLV\x01" => {
            let at = head.windows(FILE_SIZE.len()).position(|bytes| bytes == FILE_SIZE)? + FILE_SIZE.len();
            let size = f64::from_be_bytes(*head.get(at..)?.first_chunk()?);
            (0.0..1e15).contains(&size).then_some(size as u64)
        }
        b"\x30\x26\xB2\x75" => {
            let at = head.windows(PROPERTIES.len()).position(|bytes| bytes == PROPERTIES)?;
            let broadcast = little(head, at + 88)? & 1 != 0;
            long(head, at + 40).filter(|&size| !broadcast && size < i64::MAX as u64)
        }
        _ => None,
    }
}

/// The end of the segment behind the header of EBML.
fn segment(head: &[u8]) -> Option<u64> {
    let mut at = 0;
    loop {
        let (id, first) = vint(head.get(at..)?, true)?;
        let (size, second) = vint(head.get(at + first..)?, false)?;
        at += first + second;
        if id == 0x1853_8067 {
            // All ones: it was not known.
            let unknown = size == (1 << (7 * second)) - 1;
            return if unknown { None } else { size.checked_add(at as u64) };
        }
        at = at.checked_add(usize::try_from(size).ok()?)?;
    }
}

/// The end of the last chunk that begins in the head.
fn core_audio(head: &[u8]) -> Option<u64> {
    let mut at = 8_u64;
    while let Some(size) = usize::try_from(at).ok().and_then(|at| head.get(at.checked_add(4)?..)?.first_chunk()) {
        // The sound of a file that was never finished has -1.
        at = at.checked_add(12)?.checked_add(u64::try_from(i64::from_be_bytes(*size)).ok()?)?;
    }
    Some(at)
}

/// The end of the last chunk that begins in the head, unless that of a live stream.
fn real_media(head: &[u8]) -> Option<u64> {
    let mut at = 0;
    while let Some(size) = usize::try_from(at).ok().and_then(|at| big(head, at.checked_add(4)?)) {
        if size < 8 {
            return None;
        }
        at += size;
    }
    Some(at)
}

/// The pages at the end.
fn ogg(tail: &[u8]) -> Option<String> {
    let next = |from: usize| tail.get(from..)?.windows(5).position(|bytes| bytes == b"OggS\0").map(|at| from + at);
    let mut ended = BTreeMap::new();
    let mut at = next(0)?;
    loop {
        let page = &tail[at..];
        let Some(end) = page_end(page).filter(|&end| end <= page.len()) else {
            return Some(format!("the last page of Ogg ends after {} bytes", page.len()));
        };
        ended.insert(little(page, 14)?, page[5] & 4 != 0);
        match next(at + end) {
            Some(page) => at = page,
            // The start of a page that is too short for a header.
            None if tail[at + end..].starts_with(b"Ogg") => return Some("the last page of Ogg has no header".into()),
            None => break,
        }
    }
    let open = ended.iter().find(|(_, ended)| !**ended)?.0;
    Some(format!("the last page of the Ogg stream {open:#010x} is not marked as its last"))
}

/// Whole frames behind the header, whose length it tells.
fn yuv4mpeg(head: &[u8], len: u64) -> Option<String> {
    let end = head.iter().position(|&byte| byte == b'\n')? + 1;
    // Frames may have words of their own: their length is not that of the first.
    if !head[end..].starts_with(b"FRAME\n") {
        return None;
    }
    let line = std::str::from_utf8(&head[..end]).ok()?;
    let word = |key: char| line.split_ascii_whitespace().skip(1).find_map(|word| word.strip_prefix(key));
    let side = |key| word(key)?.parse::<u64>().ok().filter(|side| (1..=u64::from(u16::MAX)).contains(side));
    let (width, height) = (side('W')?, side('H')?);
    let layout = word('C').unwrap_or("420");
    let colour = match layout.get(..3)? {
        "420" => width.div_ceil(2) * height.div_ceil(2) * 2,
        "411" => width.div_ceil(4) * height * 2,
        "422" => width.div_ceil(2) * height * 2,
        "444" if layout == "444alpha" => width * height * 3,
        "444" => width * height * 2,
        "mon" => 0,
        _ => return None,
    };
    let wide = layout == "mono16"
        || layout.get(3..).is_some_and(|rest| rest.starts_with('p') && rest[1..].parse::<u8>().is_ok());
    let frame = (width * height + colour) * if wide { 2 } else { 1 };
    let over = (len - end as u64) % (frame + 6);
    (over > 0).then(|| format!("{over} bytes of {} are there of the last frame", frame + 6))
}

/// The last of the frames at the end, behind which only tags may stand.
fn stream(tail: &[u8], parse: Parse) -> Option<String> {
    let tail = untagged(tail);
    let start = (0..tail.len()).find(|&start| frames::row(&tail[start..], ENOUGH, parse).0 == ENOUGH)?;
    let rest = &tail[start..];
    let (_, end) = frames::row(rest, usize::MAX, parse);
    if end > rest.len() {
        return Some(format!("{} bytes are missing of the last frame", end - rest.len()));
    }
    let over = rest.len() - end;
    // Too short for a header, but it begins as one.
    ((1..8).contains(&over) && rest[end] == rest[0]).then(|| format!("{over} bytes are there of the last frame"))
}

/// Without the tags ID3v1 and APE, which stand at the end of files of sound.
fn untagged(tail: &[u8]) -> &[u8] {
    let mut rest = tail;
    if let Some(at) = rest.len().checked_sub(128).filter(|&at| rest[at..].starts_with(b"TAG")) {
        rest = &rest[..at];
    }
    let Some(footer) = rest.len().checked_sub(32).filter(|&at| rest[at..].starts_with(b"APETAGEX")) else {
        return rest;
    };
    let header = if little(rest, footer + 20).is_some_and(|flags| flags >> 31 == 1) { 32 } else { 0 };
    let size = little(rest, footer + 12).and_then(|size| usize::try_from(size + header).ok()).unwrap_or(0);
    &rest[..rest.len().saturating_sub(size)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Option<String> {
        judge(bytes, bytes, bytes.len() as u64)
    }

    /// A page with one segment of `size` bytes.
    fn page(flags: u8, serial: u8, size: u8) -> Vec<u8> {
        let mut page = [b"OggS\0", &[flags][..], &[0; 8], &[serial, 0, 0, 0], &[0; 8], &[1, size]].concat();
        page.resize(28 + usize::from(size), 7);
        page
    }

    #[test]
    fn a_file_shorter_than_its_header_announces_is_cut_and_an_unknown_size_announces_nothing() {
        let heads: [(&[u8], Option<u64>); 18] = [
            // 300 as a number of 64 bits.
            (b"FLV\x01\0\x08filesize\0\x40\x72\xC0\0\0\0\0\0", Some(300)),
            (b"RIFF\x00\x01\0\0WAVE", None),
            (b".RMF\0\0\0\x12\0\0\0\0\0\0\0\0\0\0DATA\0\0\x01\0", Some(274)),
            (b".RMF\0\0\0\x12\0\0\0\0\0\0\0\0\0\0DATA\0\0\0\0", None),
            (b"RIFF\x00\x01\0\0AVI ", Some(264)),
            (b"RIFF\xFF\xFF\xFF\xFFAVI ", None),
            (b"RIFF\0\0\0\0AVI ", None),
            (b"FORM\0\0\x01\0AIFF", Some(264)),
            (b".snd\0\0\0\x18\0\0\x01\0", Some(280)),
            (b".snd\0\0\0\x18\xFF\xFF\xFF\xFF", None),
            (b"\x1A\x45\xDF\xA3\x82\0\0\x18\x53\x80\x67\x41\0", Some(269)),
            (b"\x1A\x45\xDF\xA3\x82\0\0\xEC\x81\0\x18\x53\x80\x67\x41\0", Some(272)),
            (b"\x1A\x45\xDF\xA3\x82\0\0\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF", None),
            (b"\x1A\x45\xDF\xA3\x82\0\0\x18\x53\x80\x67\xFF", None),
            (b"caff\0\x01\0\0data\0\0\0\0\0\0\x01\0", Some(276)),
            (b"caff\0\x01\0\0data\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", None),
            (b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\0\0\0\x01\0\0\0\0\0\0", Some(256)),
            (b"RIF", None),
        ];
        for (head, size) in heads {
            assert_eq!(announced(head), size, "{}", head.escape_ascii());
            let Some(size) = size else { continue };
            assert_eq!(judge(head, head, size), None, "{}", head.escape_ascii());
            let message = judge(head, head, size - 100).unwrap();
            assert_eq!(message, format!("the container announces {size} bytes, the file has {}", size - 100));
        }
    }

    #[test]
    fn the_last_box_is_whole() {
        let judged = |bytes: &[u8]| {
            let read = |at: u64, header: &mut [u8; 16]| {
                let rest = &bytes[at as usize..];
                let count = rest.len().min(16);
                header[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            };
            boxes(bytes.len() as u64, read).unwrap()
        };
        let large = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abcd";
        let file = [&b"\0\0\0\x10ftypisom\0\0\0\0"[..], large, b"\0\0\0\x08free"].concat();
        for (whole, rest) in
            [(true, &b""[..]), (true, &[0; 20]), (true, b"\0\0\0\0mdat to the end"), (false, b"\0\0\0\x99moov")]
        {
            assert_eq!(judged(&[&file, rest].concat()).is_none(), whole, "{}", rest.escape_ascii());
        }
        assert_eq!(judged(&file[..34]).unwrap(), "the box mdat at byte 16 ends at byte 36, the file at 34");
        assert!(judged(b"\0\0\0\x01mdat\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").is_some());
    }

    #[test]
    fn the_last_tag_of_flash_video_has_its_size_behind_it() {
        let judged = |bytes: &[u8]| {
            let read = |at: u64, buffer: &mut [u8; 16]| {
                let rest = &bytes[at as usize..];
                let count = rest.len().min(16);
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            };
            flash(bytes.len() as u64, read).unwrap()
        };
        let tag = b"\x09\0\0\x05\0\0\0\0\0\0\0\x22\x01\x02\x03\x04";
        for (behind, whole) in [(16_u32, true), (5, true), (0, true), (17, false), (99, false)] {
            let file = [&b"FLV\x01\x01\0\0\0\x09\0\0\0\0"[..], tag, &behind.to_be_bytes()].concat();
            assert_eq!(judged(&file).is_none(), whole, "{behind}");
            assert!(judged(&file[..file.len() - 1]).is_some(), "{behind}");
        }
        assert_eq!(judged(b"FLV"), None);
    }

    #[test]
    fn the_last_page_of_ogg_is_whole_and_says_so() {
        let file = [page(2, 1, 30), page(0, 1, 200), page(4, 1, 50)].concat();
        assert_eq!(whole(&file), None);
        assert_eq!(whole(&file[..file.len() - 1]).unwrap(), "the last page of Ogg ends after 77 bytes");
        assert_eq!(whole(&file[..file.len() - 75]).unwrap(), "the last page of Ogg has no header");
        let open = whole(&file[..file.len() - 78]).unwrap();
        assert_eq!(open, "the last page of the Ogg stream 0x00000001 is not marked as its last");
        // Of two streams one goes on.
        let two = [page(2, 1, 30), page(2, 9, 30), page(4, 1, 5), page(0, 9, 6)].concat();
        assert_eq!(whole(&two).unwrap(), "the last page of the Ogg stream 0x00000009 is not marked as its last");
        assert_eq!(whole(&[two, page(4, 9, 5)].concat()), None);
    }

    #[test]
    fn packets_and_frames_are_whole() {
        let row = |header: &[u8], length: usize, count: usize| {
            let mut frame = header.to_vec();
            frame.resize(length, 0);
            frame.repeat(count)
        };
        let ts = row(b"\x47\x40\0\x10", 188, 9);
        assert_eq!((whole(&ts), whole(&ts[..188 * 8])), (None, None));
        assert_eq!(whole(&ts[..188 * 8 + 5]).unwrap(), "5 bytes of 188 are there of the last packet");

        let mp3 = row(b"\xFF\xFB\x90\0", 417, 9);
        let mut ape = b"APETAGEX\xD0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        ape.resize(32, 0);
        let id3 = [&b"TAG"[..], &[0; 125]].concat();
        let before = b"ID3\x04\0\0\0\0\0\x0AAPIC\0\0\0\0\0\0";
        for (front, back) in [(&b""[..], vec![]), (b"", id3.clone()), (before, [ape, id3].concat())] {
            assert_eq!(whole(&[front, &mp3, &back].concat()), None);
            assert_eq!(whole(&[front, &mp3[..417 * 8], &back].concat()), None);
            let cut = whole(&[front, &mp3[..417 * 8 + 40], &back].concat()).unwrap();
            assert_eq!(cut, "377 bytes are missing of the last frame");
            let cut = whole(&[front, &mp3[..417 * 8 + 2], &back].concat()).unwrap();
            assert_eq!(cut, "2 bytes are there of the last frame");
        }
        // The end alone is seen of a long file, and begins anywhere.
        assert!(judge(&mp3, &mp3[100..417 * 8 + 40], 1 << 30).is_some());
        assert_eq!(judge(&mp3, &mp3[100..], 1 << 30), None);

        let y4m = [&b"YUV4MPEG2 W3 H3 F10:1 C420p10\n"[..], &[&b"FRAME\n"[..], &[0; (9 + 8) * 2]].concat().repeat(3)]
            .concat();
        assert_eq!(whole(&y4m), None);
        assert_eq!(whole(&y4m[..y4m.len() - 1]).unwrap(), "39 bytes of 40 are there of the last frame");
    }
    #[test]
    fn noise_behind_any_signature_is_judged_without_a_panic() {
        for signature in crate::detect::SIGNATURES {
            for (seed, length) in [0, 3, 9, 26, 40, 200, 5000, 65_000].into_iter().enumerate() {
                let noise = crate::detect::tests::noise(seed as u64, length);
                let bytes = [&b"    "[..signature.offset], signature.bytes, &noise].concat();
                let message = whole(&bytes);
                assert!(message.is_none_or(|message| message.len() < 200), "{}", signature.bytes.escape_ascii());
            }
        }
        // What is behind is longer than it can be.
        let message = whole(&[&b"OggS\0"[..], &[0xFF; 100]].concat()).unwrap();
        assert_eq!(message, "the last page of Ogg ends after 105 bytes");
    }
}
