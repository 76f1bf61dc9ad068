//! MP4 and QuickTime against the facts of ffprobe, and against broken input.

use mediary_core::record::{Track, Video};
use mediary_core::{ErrorKind, Media, MediaRecord, ReadOptions, Registry, Result, Severity, Source, Strictness};

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/mp4/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(bytes: &[u8], strictness: Strictness) -> Result<MediaRecord> {
    let mut options = ReadOptions::default();
    options.strictness = strictness;
    options.from = Some("mp4".into());
    let mut reading = Registry::builtin().open(&Source::from_bytes("", bytes), &options)?;
    let header = reading.header()?;
    let record = reading.next().unwrap()?;
    assert_eq!(header.facts, record.facts());
    Ok(record)
}

fn video(record: &MediaRecord) -> &Video {
    match &record.media {
        Media::Video(video) => video,
        _ => panic!("no video"),
    }
}

fn codes(record: &MediaRecord) -> Vec<String> {
    record.diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code.into_owned()).collect()
}

/// A box.
fn boxed(code: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend(code);
    bytes.extend(body);
    bytes
}

/// The offset of the body of the first box of this type.
fn body_of(bytes: &[u8], code: &[u8; 4]) -> usize {
    bytes.windows(4).position(|found| found == code).unwrap() + 4
}

#[test]
fn tracks_are_those_of_ffprobe() {
    // Per track: codec, codec string, then width, height and frame rate, or sample rate and channels; frames; seconds.
    type Expected = (&'static str, Option<&'static str>, [u32; 3], u64, f64);
    let cases: [(&str, bool, f64, &[Expected]); 8] = [
        (
            "sample.mp4",
            true,
            1.024,
            &[
                ("h264", Some("avc1.64000c"), [320, 180, 10], 10, 1.0),
                ("aac", Some("mp4a.40.2"), [44_100, 2, 0], 44, 1.0),
            ],
        ),
        (
            "sample_fragmented.mp4",
            true,
            1.209592,
            &[
                ("h264", Some("avc1.4d401f"), [1280, 720, 10], 10, 1.0),
                ("aac", Some("mp4a.40.2"), [44_100, 2, 0], 44, 1.209592),
            ],
        ),
        ("hevc.mp4", false, 1.0, &[("hevc", Some("hev1.1.6.L123.90"), [1920, 1080, 50], 50, 1.0)]),
        ("rotated.mp4", false, 0.5, &[("mpeg4", Some("mp4v.20"), [64, 64, 10], 5, 0.5)]),
        (
            "vp9_opus.mp4",
            true,
            0.5,
            &[("vp9", Some("vp09.00.10.08"), [64, 64, 10], 5, 0.5), ("opus", Some("Opus"), [48_000, 1, 0], 26, 0.5)],
        ),
        ("av1.mp4", true, 0.5, &[("av1", Some("av01.0.00M.08"), [64, 64, 10], 5, 0.5)]),
        (
            "mjpeg_pcm.mov",
            false,
            0.5,
            &[("mjpeg", None, [64, 48, 10], 5, 0.5), ("pcm_s16be", None, [8000, 1, 0], 4000, 0.5)],
        ),
        ("testMP4_QuickTimeMetadata.mov", false, 2.733333, &[]),
    ];
    for (name, playable, seconds, expected) in cases {
        let record = read(&data(name), Strictness::Strict).unwrap();
        let video = video(&record);
        assert_eq!(video.playable, playable, "{name}");
        assert_eq!(record.source_is_canonical, playable, "{name}");
        assert!((video.duration_seconds.unwrap() - seconds).abs() < 1e-4, "{name}: {:?}", video.duration_seconds);
        assert!(video.tracks.len() == expected.len() || (expected.is_empty() && video.tracks.len() == 4), "{name}");
        let picture = |track: &Track| [track.width, track.height, track.frame_rate.map(|rate| rate.round() as u32)];
        let sound = |track: &Track| [track.sample_rate, track.channels.map(u32::from), Some(0)];
        for (track, (codec, string, numbers, frames, seconds)) in video.tracks.iter().zip(expected) {
            assert_eq!((track.codec.as_str(), track.codec_string.as_deref()), (*codec, *string), "{name}");
            let found = if track.width.is_some() { picture(track) } else { sound(track) };
            assert_eq!(found, numbers.map(Some), "{name}");
            assert_eq!(track.frames, Some(*frames), "{name}");
            assert!((track.duration_seconds.unwrap() - seconds).abs() < 1e-4, "{name}");
        }
        let worst = record.diagnostics.worst();
        assert_eq!(worst, Some(Severity::Info), "{name}: {:?}", codes(&record));
    }
}

#[test]
fn rotation_language_and_tags() {
    let record = read(&data("rotated.mp4"), Strictness::Default).unwrap();
    let track = video(&record).picture().unwrap();
    // ffprobe counts counter-clockwise: 90.
    assert_eq!((track.rotation, track.language.as_deref()), (Some(270), Some("deu")));
    assert_eq!(record.properties["©nam"], "Test");
    let record = read(&data("testMP4_QuickTimeMetadata.mov"), Strictness::Default).unwrap();
    assert_eq!(record.properties["com.apple.quicktime.content.identifier"], "TEST-UUID-0001-LIVEPHOTO");
    assert_eq!(record.properties["com.apple.quicktime.live-photo.auto"], 1);
    assert_eq!(record.media_type, "video/quicktime");
}

#[test]
fn sound_alone_is_refused_as_audio() {
    let error = read(&data("malformed/sound_only.mp4"), Strictness::Default).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("audio"));
}

#[test]
fn a_movie_without_its_index_is_malformed() {
    let error = read(&data("malformed/truncated-sample.mp4"), Strictness::Lenient).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().contains("moov"), "{error}");
}

#[test]
fn counts_are_not_expanded_and_must_fit() {
    // 2^32 - 1 samples of one size are allowed to need no table; they are counted, not allocated.
    let mut bytes = data("sample.mp4");
    let stsz = body_of(&bytes, b"stsz");
    bytes[stsz + 4..stsz + 12].copy_from_slice(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]);
    let record = read(&bytes, Strictness::Default).unwrap();
    assert!(codes(&record).contains(&"mp4.sample-count".into()), "{:?}", codes(&record));
    assert_eq!(video(&record).picture().unwrap().frames, Some(u32::MAX.into()));
    assert_eq!(read(&bytes, Strictness::Strict).unwrap_err().kind(), ErrorKind::Malformed);

    for code in [b"stts", b"stsz", b"stco"] {
        let mut bytes = data("sample.mp4");
        let count = body_of(&bytes, code) + if code == b"stsz" { 8 } else { 4 };
        bytes[count..count + 4].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
        let error = read(&bytes, Strictness::Lenient).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{}", code.escape_ascii());
    }
}

#[test]
fn chunks_beyond_the_file_are_reported() {
    let mut bytes = data("sample.mp4");
    let stco = body_of(&bytes, b"stco") + 8;
    bytes[stco..stco + 4].copy_from_slice(&[0x10, 0, 0, 0]);
    let record = read(&bytes, Strictness::Default).unwrap();
    assert!(codes(&record).contains(&"mp4.truncated".into()));
    assert!(!record.source_is_canonical);
}

#[test]
fn boxes_of_64_bits_and_to_the_end_are_read() {
    let good = data("hevc.mp4");
    let mut bytes = good.clone();
    // A box of 64 bits in front of the movie, and one to the end after it.
    let ftyp = u32::from_be_bytes([good[0], good[1], good[2], good[3]]) as usize;
    let mut wide = vec![0, 0, 0, 1];
    wide.extend(b"free");
    wide.extend(20_u64.to_be_bytes());
    wide.extend([0; 4]);
    bytes.splice(ftyp..ftyp, wide);
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(b"free and more");
    let record = read(&bytes, Strictness::Default).unwrap();
    assert_eq!(video(&record).picture().unwrap().frames, Some(50));
}

#[test]
fn many_empty_boxes_take_no_time() {
    let mut bytes = boxed(b"ftyp", b"isom\0\0\0\0isom");
    for _ in 0..500_000 {
        bytes.extend(boxed(b"free", &[]));
    }
    let begun = std::time::Instant::now();
    assert_eq!(read(&bytes, Strictness::Default).unwrap_err().kind(), ErrorKind::Malformed);
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn only_moving_pictures_are_claimed() {
    let registry = Registry::builtin();
    let claimed = |name: &str, bytes: &[u8]| !registry.detect(&Source::from_bytes(name, bytes)).candidates.is_empty();
    for name in ["sample.mp4", "sample_fragmented.mp4", "hevc.mp4", "mjpeg_pcm.mov", "testMP4_QuickTimeMetadata.mov"] {
        assert!(claimed("", &data(name)), "{name}");
    }
    for brand in [b"M4A ", b"heic", b"avif", b"mif1", b"crx "] {
        let head = [&boxed(b"ftyp", &[&brand[..], b"\0\0\0\0"].concat())[..], &boxed(b"free", &[])].concat();
        assert!(!claimed("a.mp4", &head), "{}", brand.escape_ascii());
    }
    for other in
        [&b"RIFF\x24\0\0\0WAVEfmt "[..], b"\x1A\x45\xDF\xA3\x93\x42\x82\x88", b"\0\0\0\x0CjP  \r\n\x87\n", b"text"]
    {
        assert!(!claimed("a.mp4", other));
    }
    // QuickTime of old has no brand.
    let hevc = data("hevc.mp4");
    let ftyp = u32::from_be_bytes([hevc[0], hevc[1], hevc[2], hevc[3]]) as usize;
    assert!(claimed("", &hevc[ftyp..]));
}

#[test]
fn every_cut_is_noticed_and_no_flipped_byte_is_fatal() {
    for name in [
        "sample.mp4",
        "sample_fragmented.mp4",
        "hevc.mp4",
        "mjpeg_pcm.mov",
        "vp9_opus.mp4",
        "testMP4_QuickTimeMetadata.mov",
    ] {
        let good = data(name);
        // Between two fragments a stream may end: nothing announces the next.
        let seam = |cut: usize| good[cut..].get(4..8).is_some_and(|code| code == b"moof" || code == b"mfra");
        for cut in (0..64).chain((1..100).map(|part| good.len() * part / 100)).filter(|&cut| cut < good.len()) {
            let Ok(record) = read(&good[..cut], Strictness::Default) else { continue };
            let noticed = record.diagnostics.worst() >= Some(Severity::Warning);
            assert!(noticed || seam(cut), "{name} cut to {cut} of {} bytes", good.len());
        }
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let moov = good.windows(4).position(|code| code == b"moov").unwrap();
        for _ in 0..500 {
            let mut bad = good.clone();
            for flip in 0..1 + random() % 4 {
                let from = if flip % 2 == 0 { moov - 4 } else { 0 };
                let at = from + random() % (bad.len() - from);
                bad[at] = random() as u8;
            }
            for strictness in [Strictness::Lenient, Strictness::Strict] {
                if let Err(error) = read(&bad, strictness) {
                    assert!(!error.message().contains("gave up"), "{name}: {error}");
                }
            }
        }
    }
}
