//! Recognition by content. Scores stay below those of built-in formats: who reads a file natively reads it first.

use mediary_core::{Confidence, Probe, Signature};

/// A signature of a container that no format read natively is likely to have.
const SURE: u8 = 190;
/// A start code or a structure.
const LIKELY: u8 = 140;
/// A container that a built-in format reads as well, and better.
const NATIVE: u8 = 40;

/// Bytes of a packet of a transport stream, and of one with a time before it.
const PACKETS: [(usize, usize); 2] = [(188, 0), (192, 4)];

const fn plain(offset: usize, bytes: &'static [u8]) -> Signature {
    Signature { offset, bytes, mask: &[] }
}

/// Four letters, a length of four bytes, four letters.
const fn chunk(bytes: &'static [u8]) -> Signature {
    Signature { offset: 0, bytes, mask: &[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1] }
}

/// Signature, score and name of what has it. The first that matches counts.
const KNOWN: &[(Signature, u8, &str)] = &[
    (plain(0, b"\x1A\x45\xDF\xA3"), SURE, "an EBML header: Matroska or WebM"),
    (chunk(b"RIFF\0\0\0\0AVI "), SURE, "a RIFF file of type AVI"),
    (plain(0, b"OggS\0"), SURE, "an Ogg page"),
    (plain(0, b"FLV\x01"), SURE, "the signature of Flash video"),
    (plain(0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"), SURE, "the header object of ASF"),
    (plain(0, b"\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02"), SURE, "a partition of MXF"),
    (plain(0, b".RMF\0\0\0"), SURE, "the signature of RealMedia"),
    (plain(0, b"DKIF\0\0"), SURE, "the signature of IVF"),
    (plain(0, b"nut/multimedia container\0"), SURE, "the signature of NUT"),
    (plain(0, b"YUV4MPEG2 "), SURE, "the signature of YUV4MPEG"),
    (plain(0, b"ID3"), SURE, "an ID3 tag"),
    (chunk(b"FORM\0\0\0\0AIFF"), SURE, "a FORM of type AIFF"),
    (chunk(b"FORM\0\0\0\0AIFC"), SURE, "a FORM of type AIFC"),
    (plain(0, b"caff\0\x01"), SURE, "the signature of CAF"),
    (plain(0, b"wvpk"), SURE, "a WavPack block"),
    (plain(0, b"MAC "), SURE, "the signature of Monkey's Audio"),
    (plain(0, b"TTA1"), SURE, "the signature of True Audio"),
    (plain(0, b"MPCK"), SURE, "the signature of Musepack"),
    (plain(0, b"MP+"), LIKELY, "the signature of Musepack 7"),
    (plain(0, b"#!AMR"), SURE, "the signature of AMR"),
    (plain(0, b".snd\0\0"), SURE, "the signature of AU"),
    (plain(0, b"Creative Voice File\x1A"), SURE, "the signature of VOC"),
    (plain(0, b"riff\x2E\x91\xCF\x11"), SURE, "the signature of Wave64"),
    (plain(0, b"\x00\x00\x01\xBA"), SURE, "a pack header of MPEG"),
    (plain(0, b"\x00\x00\x01\xB3"), LIKELY, "a sequence header of MPEG video"),
    (plain(0, b"\x0B\x77"), LIKELY, "a frame of AC-3"),
    (plain(0, b"\x7F\xFE\x80\x01"), LIKELY, "a frame of DTS"),
    (plain(4, b"ftyp"), NATIVE, "a file type box of MP4"),
    (plain(4, b"moov"), NATIVE, "a movie box of QuickTime"),
    (plain(0, b"fLaC"), NATIVE, "the signature of FLAC"),
    (chunk(b"RIFF\0\0\0\0WAVE"), NATIVE, "a RIFF file of type WAVE"),
];

/// The signatures alone, for the manifest.
pub(crate) const SIGNATURES: &[Signature] = &signatures();

const fn signatures() -> [Signature; KNOWN.len()] {
    let mut all = [const { plain(0, b"") }; KNOWN.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] =
            Signature { offset: KNOWN[place].0.offset, bytes: KNOWN[place].0.bytes, mask: KNOWN[place].0.mask };
        place += 1;
    }
    all
}

pub(crate) fn probe(probe: &Probe<'_>) -> Confidence {
    let head = probe.head;
    if let Some((_, score, reason)) = KNOWN.iter().find(|known| known.0.matches(head)) {
        return Confidence::yes(*score, *reason);
    }
    if PACKETS.iter().any(|&(packet, first)| is_transport(head, packet, first)) {
        return Confidence::yes(LIKELY, "packets of an MPEG transport stream");
    }
    if adts(head).is_some_and(|next| adts(&head[next.min(head.len())..]).is_some()) {
        return Confidence::yes(LIKELY, "two frames of AAC");
    }
    if layer(head).is_some_and(|next| layer(&head[next.min(head.len())..]).is_some()) {
        return Confidence::yes(LIKELY, "two frames of MPEG audio");
    }
    Confidence::No
}

/// Four packets in a row that begin as they must.
fn is_transport(head: &[u8], packet: usize, first: usize) -> bool {
    (0..4).all(|place| head.get(first + place * packet) == Some(&0x47))
}

/// Bytes of the ADTS frame that begins here (ISO/IEC 13818-7, 6.2).
fn adts(bytes: &[u8]) -> Option<usize> {
    let &[0xFF, sync, _, high, middle, low, ..] = bytes else { return None };
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    (sync & 0xF6 == 0xF0 && length > 7).then_some(length)
}

/// Bytes of the frame of MPEG audio, layer II or III, that begins here (ISO/IEC 11172-3, 2.4.1.3; 13818-3).
fn layer(bytes: &[u8]) -> Option<usize> {
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    const LAYER_2: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const LAYER_3: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const LOW: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xFF, kind, rates, ..] = bytes else { return None };
    let (version, third) = (kind >> 3 & 3, kind >> 1 & 3 == 1);
    if kind & 0xE0 != 0xE0 || version == 1 || !matches!(kind >> 1 & 3, 1 | 2) {
        return None;
    }
    let one = version == 3;
    let table = if !one {
        &LOW
    } else if third {
        &LAYER_3
    } else {
        &LAYER_2
    };
    let kilobits = *table.get(usize::from(rates >> 4)).filter(|&&kilobits| kilobits > 0)?;
    let rate = RATES.get(usize::from(rates >> 2 & 3))? >> [2, 0, 1, 0][usize::from(version)];
    let slots = if third && !one { 72 } else { 144 };
    Some(slots * kilobits * 1000 / rate + usize::from(rates >> 1 & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(head: &[u8]) -> u8 {
        match probe(&Probe { head, tail: head, len: head.len() as u64, name: "" }) {
            Confidence::Yes(score, _) => score,
            _ => 0,
        }
    }

    #[test]
    fn containers_are_known_by_their_beginning_and_native_ones_are_left_to_their_formats() {
        assert_eq!(score(b"\x1A\x45\xDF\xA3\x01"), SURE);
        assert_eq!(score(b"RIFF\x24\x00\x01\x00AVI LIST"), SURE);
        assert_eq!(score(b"RIFF\x24\x00\x01\x00WAVEfmt "), NATIVE);
        assert_eq!(score(b"RIFF\x24\x00\x01\x00WEBPVP8 "), 0);
        assert_eq!(score(b"\x00\x00\x00\x18ftypisom"), NATIVE);
        assert_eq!((score(b"GIF89a"), score(b"\x89PNG\r\n\x1a\n"), score(b"")), (0, 0, 0));
    }

    #[test]
    fn streams_without_a_signature_are_known_by_two_frames() {
        // MPEG 1, layer III, 128 kbit/s, 44.1 kHz, no padding: 144 * 128000 / 44100 = 417 bytes.
        let mut frames = vec![0; 1000];
        frames[..4].copy_from_slice(b"\xFF\xFB\x90\x00");
        assert_eq!((layer(&frames), score(&frames)), (Some(417), 0));
        frames[417..421].copy_from_slice(b"\xFF\xFB\x90\x00");
        assert_eq!(score(&frames), LIKELY);
        // MPEG 2, layer III, 64 kbit/s, 22.05 kHz: 72 * 64000 / 22050 = 208 bytes.
        assert_eq!(layer(b"\xFF\xF3\x80\x00"), Some(208));
        assert_eq!(
            (layer(b"\xFF\xFB\xF0\x00"), layer(b"\xFF\xFB\x9C\x00"), layer(b"\xFF\xFF\x90\x00")),
            (None, None, None)
        );

        let mut packets = vec![0; 188 * 4];
        packets.iter_mut().step_by(188).for_each(|byte| *byte = 0x47);
        assert_eq!((score(&packets), score(&packets[..188 * 3])), (LIKELY, 0));
    }
}
