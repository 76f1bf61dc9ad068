//! Facts and pixels are those of Pillow 13.0.0 (libavif), see `tests/data/avif/README.md`.

use mediary_core::{Registry, Source};

use crate::testing;

#[test]
fn it_is_known_by_its_content_whatever_is_built_in() {
    let winner = |bytes: &[u8]| Registry::builtin().detect(&Source::from_bytes("", bytes)).winner(false).ok();
    for name in testing::names("avif") {
        assert_eq!(winner(&testing::data(&format!("avif/{name}"))), Some("avif"), "{name}");
    }
    assert_eq!(winner(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"), Some("avif"));
    assert_ne!(winner(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Some("avif"));
    assert_ne!(winner(b"\0\0\0\x18ftypisom\0\0\0\0isomavis"), Some("avif"));
}

#[cfg(feature = "avif")]
mod with_the_decoder {
    use mediary_core::record::{ColorSpace, Image, Samples};
    use mediary_core::{ErrorKind, Facts, Media, MediaRecord, ReadOptions, Result, Strictness};

    use super::*;

    fn read(name: &str) -> Result<MediaRecord> {
        testing::read("a.avif", testing::data(&format!("avif/{name}")))
    }

    /// Means of the channels in steps of 8 bits, rounded as libavif does and not cut off.
    fn means(image: &Image) -> [f64; 4] {
        let values: Vec<u8> = match image.samples() {
            Samples::U8(samples) => samples.to_vec(),
            Samples::U16(samples) => {
                samples.iter().map(|sample| ((u32::from(*sample) * 255 + 32767) / 65535) as u8).collect()
            }
            _ => panic!("expected whole numbers"),
        };
        let narrow = Image::new(image.width(), image.height(), image.channels(), Samples::U8(values.into())).unwrap();
        testing::means(&testing::rgba8(&narrow))
    }

    /// Name, width, height, channels, bits, and means of red, green, blue and alpha.
    type Stated = (&'static str, u32, u32, u8, u8, [f64; 4]);

    /// Name, width, height, channels, bits, means of RGBA; of more than 8 bits by avifdec in 16.
    const PILLOW: &[Stated] = &[
        ("gray-10.avif", 48, 32, 1, 10, [120.918, 120.918, 120.918, 255.0]),
        ("grid.avif", 128, 128, 3, 8, [130.474, 122.281, 88.94, 255.0]),
        ("hopper.avif", 128, 128, 3, 8, [89.789, 79.841, 95.649, 255.0]),
        ("lossless.avif", 48, 32, 3, 8, [130.409, 122.333, 88.61, 255.0]),
        ("pq-10.avif", 48, 32, 3, 10, [130.22, 122.276, 88.46, 255.0]),
        ("rgb-422-12.avif", 48, 32, 3, 12, [130.422, 122.251, 88.697, 255.0]),
        ("rgb-444.avif", 48, 32, 3, 8, [130.464, 122.298, 88.855, 255.0]),
        ("rgba-420-limited.avif", 48, 32, 4, 8, [129.957, 122.787, 88.777, 100.816]),
        ("rgba-premultiplied.avif", 48, 32, 4, 8, [129.245, 116.949, 89.895, 100.816]),
        ("rot3mir0.avif", 32, 48, 3, 8, [130.3, 122.17, 88.67, 255.0]),
        ("ycgco.avif", 48, 32, 3, 8, [130.538, 122.505, 88.186, 255.0]),
    ];

    #[test]
    fn pixels_are_those_of_pillow() {
        for &(name, width, height, channels, bits, expected) in PILLOW {
            let record = read(name).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height()), (width, height), "{name}");
            assert_eq!((image.channels(), image.source_bits), (channels, bits), "{name}");
            let found = means(image);
            for (found, expected) in found.iter().zip(expected) {
                // Where little alpha is left, colours are divided by it with little precision.
                let near = if name == "rgba-premultiplied.avif" { 1.0 } else { 0.5 };
                assert!((found - expected).abs() < near, "{name}: {found:.3} for {expected}");
            }
            let space = if name == "pq-10.avif" { ColorSpace::Unknown } else { ColorSpace::Srgb };
            assert_eq!(image.color_space, space, "{name}");
            assert_eq!(image.orientation_applied, name == "rot3mir0.avif");
        }
    }

    #[test]
    fn what_is_lossless_is_the_same() {
        let record = read("lossless.avif").unwrap();
        let expected = "31146aea2efe67f2539fab36d873472ce773ca515df045ffa647871ba9083c61";
        assert_eq!(testing::sha256(&testing::rgba8(testing::image(&record))), expected);
    }

    #[test]
    fn the_crop_is_cut() {
        let record = read("clap.avif").unwrap();
        let image = testing::image(&record);
        assert_eq!((image.width(), image.height()), (20, 16));
        for (found, expected) in means(image).iter().zip([157.409, 98.781, 72.553, 255.0]) {
            assert!((found - expected).abs() < 0.5, "{found:.3} for {expected}");
        }
        let mut bytes = testing::data("avif/clap.avif");
        let at = bytes.windows(4).position(|window| window == b"clap").unwrap();
        // A width of 20 and a half.
        bytes[at + 11] = 2;
        bytes[at + 7] = 41;
        let record = testing::read("a.avif", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["avif.clap"]);
        assert_eq!(testing::image(&record).width(), 48);
        assert!(testing::read_with("a.avif", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn animations_are_those_of_pillow() {
        type Frames<'f> = &'f [(f64, [f64; 4])];
        let expected: [(&str, Frames<'_>); 2] = [
            (
                "colors-animated-8bpc.avif",
                &[
                    (1.0 / 30.0, [0.0, 0.0, 0.0, 255.0]),
                    (1.0 / 30.0, [1.0, 0.0, 251.0, 255.0]),
                    (1.0 / 30.0, [0.0, 127.0, 0.0, 255.0]),
                    (1.0 / 30.0, [253.0, 0.0, 2.0, 255.0]),
                    (1.0 / 30.0, [252.0, 253.0, 2.0, 255.0]),
                ],
            ),
            (
                "animated-alpha.avif",
                &[
                    (0.04, [46.655, 10.468, 8.398, 59.766]),
                    (0.08, [46.799, 23.936, 9.24, 45.704]),
                    (0.12, [46.646, 37.648, 9.874, 31.642]),
                ],
            ),
        ];
        for (name, frames) in expected {
            let mut record = read(name).unwrap();
            let facts = record.facts();
            let Media::Video(video) = &mut record.media else { panic!("expected a video") };
            for (number, (seconds, expected)) in frames.iter().enumerate() {
                let frame = video.frames.as_mut().unwrap().next_chunk().unwrap().unwrap();
                assert!((frame.duration_seconds - seconds).abs() < 1e-9, "{name}: {}", frame.duration_seconds);
                for (found, expected) in means(&frame.image).iter().zip(expected) {
                    // libyuv, which Pillow converts with, is off by one in colours at the edge.
                    assert!((found - expected).abs() <= 1.0, "{name}, {number}: {found:.3} for {expected}");
                }
            }
            assert!(video.frames.as_mut().unwrap().next_chunk().unwrap().is_none(), "{name}");
            let Facts::Video(facts) = facts else { panic!("expected facts of a video") };
            assert_eq!(facts.frames, Some(frames.len() as u64), "{name}");
        }
    }

    #[test]
    fn malformed_files_are_told() {
        let error = read("malformed/truncated.avif").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.location().is_some_and(|location| location.byte.is_some()), "{error:?}");
        let good = testing::data("avif/hopper.avif");
        let with = |kind: &[u8], skip: usize, bytes: &[u8]| {
            let mut changed = good.clone();
            let at = changed.windows(kind.len()).position(|window| window == kind).unwrap() + skip;
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            testing::read("a.avif", changed)
        };
        let error = with(b"ispe", 8, &[0, 0, 0xFF, 0xFF]).unwrap_err();
        assert!(error.message().contains("as ispe says"), "{error}");
        let error = with(b"pitm", 8, &[0, 9]).unwrap_err();
        assert!(error.message().contains("item 9"), "{error}");
        let error = with(b"infe", 12, b"hvc1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let mut trailing = good.clone();
        trailing.extend(b"\0\0");
        assert_eq!(testing::codes(&testing::read("a.avif", trailing).unwrap()), ["avif.trailing-bytes"]);
    }

    #[test]
    fn limits_hold_before_anything_is_decoded() {
        let mut options = ReadOptions::default();
        options.limits.pixels = 10_000;
        let error = testing::read_with("a.avif", testing::data("avif/grid.avif"), &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("pixels"));
        let mut options = ReadOptions::default();
        options.limits.alloc_bytes = 50_000;
        let error = testing::read_with("a.avif", testing::data("avif/hopper.avif"), &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("alloc_bytes"));
    }

    #[test]
    fn damaged_files_do_no_harm() {
        // One of each kind: all of them take minutes.
        let names = ["rgba-420-limited.avif", "animated-alpha.avif"].map(str::to_owned);
        testing::torture_files("avif", &names, &[]);
    }
}
