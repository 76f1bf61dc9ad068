//! Both formats against facts of other programs, against each other, and against broken input.

use std::io::Cursor;

use md5::{Digest, Md5};
use mediary_core::record::{Audio, AudioChunk, Stream};
use mediary_core::{
    ErrorKind, Facts, Media, MediaRecord, Output, ReadOptions, Registry, Result, Source, Strictness, WriteOptions, hex,
};

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(bytes: &[u8], strictness: Strictness) -> Result<MediaRecord> {
    let mut options = ReadOptions::default();
    options.strictness = strictness;
    let mut reading = Registry::builtin().open(&Source::from_bytes("", bytes), &options)?;
    let header = reading.header()?;
    let record = reading.next().unwrap()?;
    assert_eq!(header.facts, record.facts(), "the header says what the record says before it is decoded");
    Ok(record)
}

/// All samples; those of floats by their bits.
fn samples(record: &mut MediaRecord) -> Result<Vec<i32>> {
    let Media::Audio(audio) = &mut record.media else { panic!("no audio") };
    let mut all = Vec::new();
    while let Some(chunk) = audio.samples.next_chunk()? {
        match chunk {
            AudioChunk::Int { samples, .. } => all.extend(samples),
            AudioChunk::Float { samples, .. } => {
                all.extend(samples.iter().map(|sample| sample.to_bits().cast_signed()))
            }
            _ => panic!("an unknown chunk"),
        }
    }
    Ok(all)
}

fn facts(record: &MediaRecord) -> mediary_core::record::facts::AudioFacts {
    match record.facts() {
        Facts::Audio(facts) => facts,
        _ => panic!("no audio"),
    }
}

fn codes(record: &MediaRecord) -> Vec<String> {
    record.diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code.into_owned()).collect()
}

/// An audio record of integers (`bits`) or floats, in chunks of uneven length.
fn record(bits: Option<u8>, channels: u16, frames: usize, sample: impl Fn(usize) -> i32) -> MediaRecord {
    let all: Vec<i32> = (0..frames * usize::from(channels)).map(sample).collect();
    let chunks = all.chunks(777 * usize::from(channels)).map(|samples| match bits {
        Some(bits) => AudioChunk::Int { samples: samples.to_vec().into(), channels, bits },
        None => AudioChunk::Float { samples: samples.iter().map(|&s| s as f32 / 1e9).collect(), channels },
    });
    MediaRecord::new(Audio {
        sample_rate: 44_100,
        channels,
        layout: Vec::new(),
        integer: bits.is_some(),
        bit_depth: bits.unwrap_or(32),
        codec: "pcm".into(),
        declared_frames: None,
        tags: [("TITLE".to_owned(), "Größe".to_owned())].into(),
        samples: Stream::from_chunks(chunks.collect()),
    })
}

fn write(record: &mut MediaRecord, format: &str) -> Result<Vec<u8>> {
    let mut out = Output::memory();
    Registry::builtin().write(record, format, &mut out, &WriteOptions::default())?;
    Ok(out.finish()?.bytes)
}

/// Numbers of `bits` bits without pattern, from a generator of the kind `x = a * x + c`.
fn noise(bits: u8) -> impl Fn(usize) -> i32 {
    move |n| {
        let mixed = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed >> 32) as u32).cast_signed() >> (32 - bits)
    }
}

#[test]
fn wav_codecs_decode_as_other_programs_do() {
    // By ffmpeg; IMA ADPCM by libsndfile, which adds the parts of a step as the specification does (ffmpeg rounds their sum).
    for (name, codec, frames, md5) in [
        ("alaw", "pcm_alaw", 2000, "ba9e1e6b661f2453723c46cf8c753652"),
        ("mulaw", "pcm_mulaw", 2000, "9a25c464f6b59a3fdcf996612ac5ab52"),
        ("ima", "adpcm_ima_wav", 2034, "30b9ccf5149dd79af689b9371bf5a371"),
        ("ima_mono", "adpcm_ima_wav", 2041, "6bf76df358def73f744ae528538f8d11"),
        ("msadpcm", "adpcm_ms", 2024, "0a5cef11a6feb4c0f879409745a1be6b"),
        ("msadpcm_mono", "adpcm_ms", 2036, "ffd6359070acf0a5d2552a90b865cbfe"),
        ("gsm_6_10", "gsm_ms", 4480, "27ecc9dfb19dc359be9cdfa679c6a74c"),
        ("gsm_loud", "gsm_ms", 2240, "47b9a54fba51c374d377e134a3b28c4e"),
        ("pcm16", "pcm_s16", 2000, "f584188052bd4f50af8e8cc4c72cf2b1"),
        ("streamed", "pcm_s16", 2000, "f584188052bd4f50af8e8cc4c72cf2b1"),
    ] {
        let mut record = read(&data(&format!("wav/{name}.wav")), Strictness::Default).unwrap();
        let mut sum = Md5::new();
        samples(&mut record).unwrap().iter().for_each(|&sample| sum.update((sample as i16).to_le_bytes()));
        let facts = facts(&record);
        assert_eq!((facts.codec.as_deref(), facts.frames), (Some(codec), Some(frames)), "{name}");
        assert_eq!(hex(&sum.finalize()), md5, "{name}");
    }
}

#[test]
fn facts_are_those_of_libsndfile() {
    for (name, rate, channels, frames, bits, rms) in [
        ("wav/test-44100Hz-2ch-32bit-float-be.wav", 44_100, 2, 441, 32, 0.570304),
        ("wav/test-44100Hz-le-1ch-4bytes-rf64.wav", 44_100, 1, 4410, 32, 0.49851),
        ("wav/test-8000Hz-le-5ch-9S-5bit.wav", 8000, 5, 9, 5, 0.582961),
        ("wav/waveformatex-8bit-11025Hz-mono.wav", 11_025, 1, 4, 8, 1.0),
        ("wav/malformed/test-44100Hz-le-1ch-4bytes-early-eof.wav", 44_100, 1, 236, 32, 0.501342),
        ("flac/mono.flac", 44_100, 1, 227_247, 16, 0.108985),
    ] {
        let mut record = read(&data(name), Strictness::Default).unwrap();
        record.media.drain().unwrap();
        let facts = facts(&record);
        assert_eq!(facts.sample_rate, Some(rate), "{name}");
        assert_eq!(
            (facts.channels, facts.frames, facts.bit_depth),
            (Some(channels), Some(frames), Some(bits)),
            "{name}"
        );
        assert!((facts.rms.unwrap() - rms).abs() < 1e-5, "{name}: {:?}", facts.rms);
    }
}

#[test]
fn tags_of_wav_are_read_and_other_chunks_named() {
    let record = read(&data("wav/gsm_6_10.wav"), Strictness::Default).unwrap();
    let Media::Audio(audio) = &record.media else { panic!("no audio") };
    assert_eq!(audio.tags["INAM"], "track");
    assert_eq!(audio.tags["IART"], "artist");
    assert!(codes(&record).contains(&"wav.chunk-id3".into()));
}

#[test]
fn deviations_are_reported_and_strict_mode_refuses_them() {
    for (name, code) in [
        ("wav/malformed/test-44100Hz-le-1ch-4bytes-early-eof.wav", "wav.truncated"),
        ("wav/streamed.wav", "wav.streamed"),
        ("wav/waveformatex-8bit-11025Hz-mono.wav", "wav.riff-size"),
    ] {
        let record = read(&data(name), Strictness::Default).unwrap();
        assert!(codes(&record).contains(&code.into()), "{name}: {:?}", codes(&record));
        assert_eq!(read(&data(name), Strictness::Strict).unwrap_err().kind(), ErrorKind::Malformed, "{name}");
    }
    for name in ["flac/malformed/missing-streaminfo.flac", "flac/malformed/wrong-block-length.flac"] {
        assert_eq!(read(&data(name), Strictness::Default).unwrap_err().kind(), ErrorKind::Malformed, "{name}");
    }
}

#[test]
fn contradictions_of_fmt_are_errors() {
    let good = data("wav/pcm16.wav");
    let at = good.windows(4).position(|code| code == b"fmt ").unwrap() + 8;
    for (field, bytes, kind) in [
        (0, [0x55, 0].as_slice(), ErrorKind::Unsupported),
        (2, &[0, 0], ErrorKind::Malformed),
        (2, &[0xFF, 0xFF], ErrorKind::Malformed),
        (4, &[0; 4], ErrorKind::Malformed),
        (12, &[0, 0], ErrorKind::Malformed),
        (12, &[3, 0], ErrorKind::Malformed),
        (14, &[0, 0], ErrorKind::Malformed),
        (14, &[64, 0], ErrorKind::Unsupported),
    ] {
        let mut bad = good.clone();
        bad[at + field..at + field + bytes.len()].copy_from_slice(bytes);
        assert_eq!(read(&bad, Strictness::Lenient).unwrap_err().kind(), kind, "field {field}");
    }
}

#[test]
fn wav_keeps_integers_and_floats() {
    for bits in 1..=32 {
        for channels in [1, 2, 7] {
            let expected = samples(&mut record(Some(bits), channels, 1001, noise(bits))).unwrap();
            let bytes = write(&mut record(Some(bits), channels, 1001, noise(bits)), "wav").unwrap();
            let mut again = read(&bytes, Strictness::Strict).unwrap();
            assert_eq!(facts(&again).bit_depth, Some(bits));
            assert_eq!(samples(&mut again).unwrap(), expected, "{bits} bits, {channels} channels");
            assert!(again.diagnostics.is_empty(), "{:?}", codes(&again));
        }
    }
    let expected = samples(&mut record(None, 3, 1000, noise(32))).unwrap();
    let mut again = read(&write(&mut record(None, 3, 1000, noise(32)), "wav").unwrap(), Strictness::Strict).unwrap();
    assert_eq!(samples(&mut again).unwrap(), expected);
    assert!(again.source_is_canonical);
    let Media::Audio(audio) = &again.media else { panic!("no audio") };
    assert_eq!(audio.tags["INAM"], "Größe");
}

#[test]
fn writers_keep_the_layout() {
    for format in ["wav", "flac"] {
        for layout in [vec!["FL", "FR", "FC", "LFE", "SL", "SR"], vec!["FC"], vec!["BL", "BR"]] {
            let mut record = record(Some(16), layout.len() as u16, 10, noise(16));
            if let Media::Audio(audio) = &mut record.media {
                audio.layout = layout.clone();
            }
            let again = read(&write(&mut record, format).unwrap(), Strictness::Strict).unwrap();
            assert!(record.loss.is_empty());
            let Media::Audio(audio) = &again.media else { panic!("no audio") };
            assert_eq!(audio.layout, layout, "{format}");
        }
    }
}

#[test]
fn what_a_writer_cannot_keep_is_a_loss() {
    let mut record = record(Some(16), 2, 10, noise(16)).with_property("scene", "beach");
    if let Media::Audio(audio) = &mut record.media {
        audio.tags.insert("mood".into(), "calm".into());
        audio.layout = vec!["FR", "FL"];
    }
    write(&mut record, "wav").unwrap();
    let mut lost: Vec<_> = record.loss.iter().map(|loss| loss.code.as_ref()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["wav.layout", "wav.properties", "wav.tags"]);
}

#[test]
fn samples_beyond_their_bits_are_not_written() {
    for format in ["wav", "flac"] {
        let error = write(&mut record(Some(8), 1, 10, |_| 128), format).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{format}");
    }
}

/// Signals that take each kind of subframe and of residual coding.
fn signals(bits: u8) -> [Box<dyn Fn(usize) -> i32>; 8] {
    let (low, high) = (i32::MIN >> (32 - bits), i32::MAX >> (32 - bits));
    [
        Box::new(noise(bits)),
        // Every other sample is that of the first channel of two: predictable, and correlated.
        Box::new(move |n| (((n / 2) as f64 * 0.05).sin() * f64::from(high)) as i32),
        Box::new(move |n| if n / 20 % 2 == 0 { high } else { low }),
        Box::new(move |n| if n.is_multiple_of(3) { high } else { low }),
        Box::new(move |n| (n as i32 % 7 - 3) << (bits - 4)),
        // Silence with an outbreak: escaped partitions of no bits.
        Box::new(move |n| if n % 5000 > 4700 { noise(bits)(n) } else { 0 }),
        Box::new(move |n| noise(bits)(n) & low >> 1),
        Box::new(|_| 0),
    ]
}

#[test]
fn flac_keeps_integers() {
    // Blocks of every awkward length, and all samples hashed as STREAMINFO wants them.
    for bits in 4..=32 {
        for (number, signal) in signals(bits).iter().enumerate() {
            for (channels, frames) in
                [(1, 1), (1, 15), (1, 16), (2, 3), (2, 4095), (2, 4097), (2, 5000), (3, 17), (5, 192), (8, 63)]
            {
                let expected = samples(&mut record(Some(bits), channels, frames, signal)).unwrap();
                let bytes = write(&mut record(Some(bits), channels, frames, signal), "flac").unwrap();
                let what = format!("{bits} bits, signal {number}, {channels} channels, {frames} frames");
                let mut sum = Md5::new();
                let width = usize::from(bits.div_ceil(8));
                expected.iter().for_each(|sample| sum.update(&sample.to_le_bytes()[..width]));
                assert_eq!(bytes[26..42], sum.finalize()[..], "{what}");
                // Per frame: at most 17 bytes around the subframes, a byte before each, and the last may end within a byte.
                let plain = (expected.len() * usize::from(bits)).div_ceil(8);
                let blocks = frames.div_ceil(4096);
                assert!(bytes.len() <= 42 + 4 + 41 + plain + blocks * (18 + usize::from(channels)), "{what}");
                let mut again = read(&bytes, Strictness::Strict).unwrap();
                assert_eq!((facts(&again).frames, facts(&again).bit_depth), (Some(frames as u64), Some(bits)));
                assert!(samples(&mut again).expect(&what) == expected, "{what}");
                assert!(again.source_is_canonical && again.diagnostics.is_empty(), "{what}");
                if let Some(folder) = std::env::var_os("MEDIARY_FLAC_FOLDER") {
                    let name = format!("{bits}-{number}-{channels}-{frames}");
                    let bytes_of = |samples: &[i32]| samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>();
                    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.flac")), bytes).unwrap();
                    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.raw")), bytes_of(&expected))
                        .unwrap();
                }
            }
        }
    }
}

#[test]
fn flac_keeps_every_sample_rate() {
    for rate in [1, 8000, 11_025, 37_000, 44_100, 65_535, 65_540, 65_537, 96_000, 192_000, 255_000, 655_350] {
        for frames in [1, 192, 256, 257, 576, 4096] {
            let mut record = record(Some(16), 1, frames, noise(16));
            if let Media::Audio(audio) = &mut record.media {
                audio.sample_rate = rate;
            }
            // A frame that states another rate is an error in strict mode.
            let mut again = read(&write(&mut record, "flac").unwrap(), Strictness::Strict).unwrap();
            again.media.drain().unwrap();
            assert_eq!((facts(&again).sample_rate, facts(&again).frames), (Some(rate), Some(frames as u64)));
        }
    }
}

#[test]
fn flac_of_noise_is_no_larger_than_the_noise() {
    // The size that `flac -5` 1.4.2 gives these 24-bit samples is 33273 with its padding.
    let mut record = read(&data("flac/stereo24.flac"), Strictness::Strict).unwrap();
    assert!(write(&mut record, "flac").unwrap().len() < 33_273);
}

#[test]
fn flac_frames_may_have_any_length_within_the_budget() {
    // One frame of one 32-bit channel that says 5 000 times a residual of 16 000 with the Rice parameter 0: 10 MB.
    let mut out = b"fLaC\x80\0\0\x22\x13\x88\x13\x88\0\0\0\0\0\0".to_vec();
    out.extend((44_100_u64 << 44 | 15 << 36 | 5000).to_be_bytes());
    out.extend([0; 16]);
    let frame_at = out.len();
    // A block size of 16 bits, the rate and the bits of STREAMINFO, one channel.
    out.extend([0xFF, 0xF8, 0x70, 0, 0, 0x13, 0x87]);
    out.push(crate::flac::crc8(&out[frame_at..]));
    // A fixed predictor of order 0; four zero bits of method and partition, and of the parameter; then 5000 codes of 32000 zeros.
    out.extend([8 << 1, 0]);
    let mut bits = vec![false; 2];
    for _ in 0..5000 {
        bits.extend(std::iter::repeat_n(false, 32_000));
        bits.push(true);
    }
    out.extend(
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (n, &bit)| all | u8::from(bit) << (7 - n))),
    );
    out.extend(crate::flac::crc16(&out[frame_at..]).to_be_bytes());
    let mut record = read(&out, Strictness::Strict).unwrap();
    assert!(samples(&mut record).unwrap() == [16_000; 5000]);

    let mut options = ReadOptions::default();
    options.limits.alloc_bytes = 8 << 20;
    let mut record =
        Registry::builtin().open(&Source::from_bytes("", &out[..]), &options).unwrap().next().unwrap().unwrap();
    let error = record.media.drain().unwrap_err();
    assert_eq!((error.kind(), error.limit_name()), (ErrorKind::Limit, Some("alloc_bytes")));
}

#[test]
fn flac_refuses_what_it_cannot_hold_and_wav_is_canonical_then() {
    let registry = Registry::builtin();
    for (bits, channels, canonical) in [
        (Some(16), 2, "flac"),
        (Some(15), 2, "flac"),
        (Some(24), 8, "flac"),
        (Some(32), 2, "flac"),
        (Some(4), 1, "flac"),
        (Some(3), 1, "wav"),
        (Some(16), 9, "wav"),
        (None, 2, "wav"),
    ] {
        let mut record = record(bits, channels, 10, |_| 0);
        assert_eq!(registry.canonical(&record.media).unwrap().id, canonical, "{bits:?} {channels}");
        let written = write(&mut record, "flac");
        match canonical {
            "flac" => drop(written.unwrap()),
            _ => assert_eq!(written.unwrap_err().kind(), ErrorKind::Unsupported),
        }
    }
}

/// One hour of stereo goes through in the memory of a few blocks. Slow: `cargo test -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
#[expect(clippy::print_stdout, reason = "it measures")]
fn an_hour_of_stereo() {
    for format in ["wav", "flac"] {
        let frames = 3600 * 44_100;
        let mut audio = record(Some(16), 2, 0, |_| 0);
        let chunk = move |start: usize| {
            let wave = |n: usize| ((n / 2) as f64 * 0.06).sin() * 9000.0 + f64::from(noise(8)(n));
            let samples = (2 * start..2 * (start + 44_100)).map(|n| wave(n) as i32).collect();
            Ok(AudioChunk::Int { samples, channels: 2, bits: 16 })
        };
        if let Media::Audio(audio) = &mut audio.media {
            audio.samples = Stream::new((0..frames).step_by(44_100).map(chunk));
        }
        let path = std::env::temp_dir().join(format!("mediary-hour-{}.{format}", std::process::id()));
        let mut out = Output::file(&path, true).unwrap();
        let begun = std::time::Instant::now();
        Registry::builtin().write(&mut audio, format, &mut out, &WriteOptions::default()).unwrap();
        out.finish().unwrap();
        let written = begun.elapsed();
        let source = Source::open(&path, &Default::default()).unwrap();
        let begun = std::time::Instant::now();
        let mut again = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
        again.media.drain().unwrap();
        println!("{format}: {} bytes, written in {written:?}, read in {:?}", source.len(), begun.elapsed());
        assert_eq!(facts(&again).frames, Some(frames as u64));
        assert!(again.diagnostics.is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn flac_decodes_as_symphonia_does() {
    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::formats::FormatOptions;
    use symphonia::core::formats::probe::Hint;
    use symphonia::core::io::MediaSourceStream;
    use symphonia::core::meta::MetadataOptions;

    for (name, bits) in [("mono", 16), ("stereo16", 16), ("stereo24", 24), ("six", 16), ("unknown-length", 16)] {
        let bytes = data(&format!("flac/{name}.flac"));
        let mut record = read(&bytes, Strictness::Strict).unwrap();
        let own = samples(&mut record).unwrap();
        assert_eq!(facts(&record).bit_depth, Some(bits), "{name}");
        let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
        let mut format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .unwrap();
        let track = format.tracks()[0].codec_params.as_ref().unwrap().audio().unwrap().clone();
        let mut decoder =
            symphonia::default::get_codecs().make_audio_decoder(&track, &AudioDecoderOptions::default()).unwrap();
        let mut theirs: Vec<i32> = Vec::new();
        while let Some(packet) = format.next_packet().unwrap() {
            let mut part: Vec<i32> = Vec::new();
            decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut part);
            // It aligns samples left in 32 bits.
            theirs.extend(part.iter().map(|sample| sample >> (32 - bits)));
        }
        assert!(own == theirs, "{name}: {} and {} samples", own.len(), theirs.len());
    }
}

#[test]
fn flac_tags_and_unknown_length() {
    let record = read(&data("flac/id3.flac"), Strictness::Strict).unwrap();
    assert_eq!(codes(&record), ["flac.id3"]);
    let Media::Audio(audio) = &record.media else { panic!("no audio") };
    assert_eq!(audio.tags["title"], "Sweep");
    let mut record = read(&data("flac/unknown-length.flac"), Strictness::Default).unwrap();
    record.media.drain().unwrap();
    assert_eq!(facts(&record).frames, Some(6000));
}

#[test]
fn a_broken_flac_frame_is_left_out_and_said() {
    let mut bytes = data("flac/stereo16.flac");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let mut broken = read(&bytes, Strictness::Default).unwrap();
    broken.media.drain().unwrap();
    assert_eq!(codes(&broken), ["flac.frame", "flac.length"]);
    assert!(facts(&broken).frames.unwrap() > 0);
    let mut strict = read(&bytes, Strictness::Strict).unwrap();
    assert_eq!(strict.media.drain().unwrap_err().kind(), ErrorKind::Malformed);

    let mut bytes = data("flac/stereo16.flac");
    // The MD5 ends the body of STREAMINFO.
    bytes[8 + 33] ^= 1;
    let mut record = read(&bytes, Strictness::Default).unwrap();
    record.media.drain().unwrap();
    assert_eq!(codes(&record), ["flac.md5"]);
}

#[test]
fn every_cut_is_noticed_and_no_flipped_byte_is_fatal() {
    for name in [
        "wav/pcm16.wav",
        "wav/gsm_6_10.wav",
        "wav/msadpcm.wav",
        "wav/ima.wav",
        "wav/f64.wav",
        "wav/test-44100Hz-le-1ch-4bytes-rf64.wav",
        "flac/stereo16.flac",
        "flac/six.flac",
        "flac/id3.flac",
    ] {
        let good = data(name);
        let cuts = (0..64).chain((1..100).map(|part| good.len() * part / 100));
        for cut in cuts.filter(|&cut| cut < good.len()) {
            // A cut after the samples only loses tags; one at the end of a chunk loses nothing that is announced.
            let Ok(mut record) = read(&good[..cut], Strictness::Default) else { continue };
            let noticed = record.media.drain().is_err() || !record.diagnostics.is_empty();
            assert!(noticed, "{name} cut to {cut} of {} bytes", good.len());
        }
        let random = noise(32);
        for round in 0..300 {
            let mut bad = good.clone();
            for flip in 0..1 + round % 4 {
                // Half of them in the headers.
                let range = if flip % 2 == 0 { bad.len().min(200) } else { bad.len() };
                let at = random(round * 8 + flip).unsigned_abs() as usize % range;
                bad[at] = random(round * 8 + flip + 4) as u8;
            }
            for strictness in [Strictness::Lenient, Strictness::Strict] {
                let Ok(mut record) = read(&bad, strictness) else { continue };
                if let Err(error) = record.media.drain() {
                    assert!(!error.message().contains("gave up"), "{name}: {error}");
                }
            }
        }
    }
}

#[test]
fn other_content_is_not_claimed() {
    let registry = Registry::builtin();
    for bytes in [
        &b"RIFF\x24\0\0\0AVI LIST"[..],
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"ID3\x04\0\0\0\0\0\x02ab\xFF\xFB\x90\0",
        b"OggS\0\x02",
    ] {
        let detection = registry.detect(&Source::from_bytes("a.flac", bytes));
        assert!(detection.candidates.is_empty(), "{:?}", detection.candidates);
    }
}
