use mediary_core::{Confidence, Format, Probe};

use super::*;

fn look<'a>(head: &'a [u8]) -> Probe<'a> {
    Probe { head, tail: head, len: head.len() as u64, name: "" }
}

fn score(head: &[u8]) -> u8 {
    match probe(&look(head)) {
        Confidence::Yes(score, _) => score,
        _ => 0,
    }
}

/// `parts` with zeros behind them.
fn filled(parts: &[&[u8]], length: usize) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(length, 0);
    bytes
}

/// `header` at every `step` bytes.
fn rows(header: &[u8], step: usize, count: usize) -> Vec<u8> {
    (0..count).flat_map(|_| filled(&[header], step)).collect()
}

/// Bytes that look random, the same in each run.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

const PROSE: &[u8] =
    b" address,vendor\n00:00:5E:00:53:01,an example\nIt is a file of text; nothing here is sound, or a picture.\n";

#[test]
fn a_signature_before_text_noise_or_zeros_is_not_claimed() {
    for known in KNOWN.iter().filter(|known| !std::ptr::fn_addr_eq(known.check, certain as fn(&Probe<'_>) -> bool)) {
        let Signature { offset, bytes, mask } = known.signature;
        let holes =
            bytes.iter().enumerate().map(|(place, &byte)| if mask.get(place) == Some(&0) { b'a' } else { byte });
        let before = [b"    "[..offset].to_vec(), holes.collect()].concat();
        let text = [&before[..], &PROSE.repeat(700)].concat();
        // The names of chunks are text themselves, but text has no zeros or other bytes that a length needs.
        if mask.is_empty() {
            assert_eq!(score(&text), 0, "{} before text", bytes.escape_ascii());
        }
        assert_eq!(score(&[&before[..], &[0; 60_000]].concat()), 0, "{} before zeros", bytes.escape_ascii());
        for seed in 0..20 {
            let noisy = [&before[..], &noise(seed, 60_000)].concat();
            assert_eq!(score(&noisy), 0, "{} before noise {seed}", bytes.escape_ascii());
        }
        assert_eq!(score(&before), 0, "{} alone", bytes.escape_ascii());
    }
}

#[test]
fn text_pictures_archives_and_noise_are_not_claimed() {
    let text: [&[u8]; 12] = [
        b"MAC address,vendor\n00:00:5E:00:53:01,an example\n",
        b"ID3,name\n1,a\n",
        b"ID3\x03 is a tag\n",
        b"MP+ and MPC are the same\n",
        b"MPCK,MPCL\n1,2\n",
        b"TTA1,TTA2\n1,2\n",
        b"wvpk is the signature of WavPack\n",
        b"#!AMR\nhp\n",
        b"YUV4MPEG2 is a format\nW1 H1\n",
        b"GATTACA\n",
        b"OggS is how a page begins",
        b"",
    ];
    let binary: [&[u8]; 14] = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"GIF89a\x01\0\x01\0",
        b"\xFF\xD8\xFF\xE0\0\x10JFIF\0",
        b"PK\x03\x04\x14\0\0\0\x08\0",
        b"\x1F\x8B\x08\0",
        b"%PDF-1.7\n%\xE2\xE3\xCF\xD3",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"FORM\0\0\0\x20ILBMBMHD",
        b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B",
        b"\0\0\0\x2Cftypavis\0\0\0\0avismsf1iso8mif1miafMA1B    ",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
        b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 ",
    ];
    for head in text.iter().chain(&binary) {
        for length in [head.len(), 64, 4096, 65_536] {
            let bytes = filled(&[head], length.max(head.len()));
            assert_eq!(score(&bytes), 0, "{} in {length} bytes", head.escape_ascii());
        }
        let prose = [head, &PROSE.repeat(600)[..]].concat();
        assert_eq!(score(&prose), 0, "{} and text", head.escape_ascii());
    }
    for seed in 0..200 {
        assert_eq!(score(&noise(seed, 65_536)), 0, "noise {seed}");
    }
    for byte in 0..=255 {
        assert_eq!(score(&[byte; 65_536]), 0, "nothing but {byte:#x}");
    }
    // Text of UTF-16, whose mark is a header of layer I.
    let wide: Vec<u8> = PROSE.repeat(100).iter().flat_map(|&byte| [byte, 0]).collect();
    assert_eq!(score(&[b"\xFF\xFE", &wide[..]].concat()), 0);
    // Lines of 188 characters that begin with a G.
    let line = [b"G", &b"ATTACA".repeat(31)[..], b"\n"].concat();
    assert_eq!((line.len(), score(&line.repeat(300))), (188, 0));
    // Other documents of EBML.
    assert_eq!(score(b"\x1A\x45\xDF\xA3\x87\x42\x82\x84tape\0\0\0\0"), 0);
}

#[test]
fn headers_are_claimed_below_the_formats_that_read_them_natively() {
    let ogg = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x7E\x0C\x1B\x3F\x01\x13";
    let sure: [&[u8]; 12] = [
        b"\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm",
        b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska",
        b"RIFF\x24\0\x01\0AVI LIST",
        &filled(&[ogg], 28 + 19),
        b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12",
        b".ra\xFD\0\x04\0\0",
        // Monkey's Audio 3.99: a descriptor of 52 bytes and a header of 24; 3.95: level, flags, channels, rate.
        b"MAC \x96\x0F\0\0\x34\0\0\0\x18\0\0\0\x2C\0\0\0",
        b"MAC \x6E\x0F\xD0\x07\0\0\x02\0\x44\xAC\0\0",
        b"MPCKSH\x10\x01\x02\x03\x04\x08\0\0\0",
        b"MP+\x07\x80\x01\0\0",
        b"DSD \x1C\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0fmt \x34",
        // Two frames of 4.75 kbit/s, 13 bytes each.
        &filled(&[b"#!AMR\n\x04", &[1; 12], b"\x04", &[1; 12]], 32),
    ];
    for head in sure {
        assert_eq!(score(head), SURE, "{}", head.escape_ascii());
    }
    let native: [&[u8]; 7] = [
        b"RIFF\x24\0\x01\0WAVEfmt ",
        b"\0\0\0\x18ftypisom\0\0\x02\0isommp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\0\0\0\x14ftypM4A \0\0\0\0M4A ",
        b"\0\0\0\x18ftypXXXX\0\0\0\0XXXX3gp5",
        b"\0\0\0\x08wide\0\0\x10\0mdat",
        b"fLaC\0\0\0\x22",
    ];
    for head in native {
        assert_eq!(score(head), NATIVE, "{}", head.escape_ascii());
    }
    // Those that are built in say 200 and more, and 150 for boxes of QuickTime.
    const { assert!(SURE < 200 && LIKELY < 150 && NATIVE < 150) };
    assert!(crate::Ffmpeg.info().signatures.iter().all(|signature| !signature.bytes.is_empty()));
}

#[test]
fn streams_without_a_signature_are_known_by_frames_in_a_row() {
    // Header, its length by the standards' formulas, and how it is read.
    let streams: [(&[u8], usize, frames::Parse); 9] = [
        // MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 144 * 128000 / 44100; padded: one more.
        (b"\xFF\xFB\x90\0", 417, frames::mpeg),
        (b"\xFF\xFB\x92\0", 418, frames::mpeg),
        // MPEG 2, layer III, 64 kbit/s, 22.05 kHz: 72 * 64000 / 22050.
        (b"\xFF\xF3\x80\0", 208, frames::mpeg),
        // MPEG 1, layer II, 192 kbit/s, 48 kHz: 144 * 192000 / 48000.
        (b"\xFF\xFD\xA4\0", 576, frames::mpeg),
        // MPEG 1, layer I, 384 kbit/s, 48 kHz: 12 * 384000 / 48000 * 4.
        (b"\xFF\xFF\xC4\0", 384, frames::mpeg),
        // AAC, 44.1 kHz, stereo, 13 bits of length: 371.
        (b"\xFF\xF1\x50\x80\x2E\x7F\xFC", 371, frames::adts),
        // AC-3, 48 kHz, 192 kbit/s: 384 words of 16 bits; 44.1 kHz: 418 words and one more.
        (b"\x0B\x77\0\0\x14\x40\0\0", 768, frames::ac3),
        (b"\x0B\x77\0\0\x55\x40\0\0", 836, frames::ac3),
        // E-AC-3, 384 words.
        (b"\x0B\x77\x01\x7F\x30\x80\0\0", 768, frames::ac3),
    ];
    for (header, length, parse) in streams {
        assert_eq!(parse(&filled(&[header], 8)).map(|frame| frame.length), Some(length), "{}", header.escape_ascii());
        for (count, expected) in [(1, 0), (2, LIKELY), (9, LIKELY)] {
            let stream = rows(header, length, count);
            assert_eq!(score(&stream), expected, "{count} of {}", header.escape_ascii());
            assert_eq!(score(&[&stream[..], &[0; 5000]].concat()), if count == 9 { LIKELY } else { 0 });
            let tag = [b"ID3\x04\0\0\0\0\x01\x02TXXX\0\0\0\x05", &[0; 122][..], &stream].concat();
            assert_eq!(score(&tag), expected, "{count} of {} behind a tag", header.escape_ascii());
        }
    }
    // Of two kinds; a bad bit rate, sample rate, version.
    assert_eq!(score(&[rows(b"\xFF\xFB\x90\0", 417, 2), rows(b"\xFF\xF3\x80\0", 208, 3)].concat()), 0);
    for wrong in [b"\xFF\xFB\xF0\0", b"\xFF\xFB\x9C\0", b"\xFF\xEB\x90\0", b"\xFF\xFB\0\0"] {
        assert_eq!(frames::mpeg(wrong), None, "{}", wrong.escape_ascii());
    }

    for (packet, header) in [(188, &b"\x47\x40\0\x10"[..]), (192, b"\0\0\0\0\x47\x40\0\x10"), (204, b"\x47\x40\0\x10")]
    {
        let stream = rows(header, packet, 12);
        assert_eq!((score(&stream), score(&stream[..packet * 2])), (LIKELY, 0), "{packet}");
        let first = usize::from(packet == 192) * 4;
        assert_eq!(containers::packets(&stream), Some((packet, first)));
        let mut broken = stream;
        broken[packet * 5 + first] = 0;
        assert_eq!(score(&broken), 0, "{packet}");
    }
}

#[test]
fn a_tag_is_claimed_for_the_sound_behind_it() {
    let tag = |size: [u8; 4], rest: &[u8]| [b"ID3\x03\0\0", &size[..], b"APIC\0\x01\0\0\0\0", rest].concat();
    let inside = tag([0, 0, 0, 10], b"fLaC\0\0\0\x22");
    assert_eq!(score(&inside), 0, "FLAC is read natively");
    assert_eq!(score(&tag([0, 0, 0, 10], b"MAC \x96\x0F\0\0\x34\0\0\0\x18\0\0\0")), LIKELY);
    assert_eq!(score(&tag([0, 0, 0, 10], PROSE)), 0);
    // 2 MiB of tag: what is behind it is not seen, but must be there.
    let cover = tag([1, 0, 0, 0], &[0; 60_000]);
    let seen = |len: u64| probe(&Probe { head: &cover, tail: &[], len, name: "" });
    assert!(matches!(seen(3 << 20), Confidence::Yes(LIKELY, _)));
    assert_eq!((seen(1 << 20), seen(cover.len() as u64)), (Confidence::No, Confidence::No));
    // Tags in tags come to an end.
    assert_eq!(score(&b"ID3\x03\0\0\0\0\0\0".repeat(6000)), 0);
}
