use mediary_core::record::{Image, Samples};
use mediary_core::{ErrorKind, Output, ReadOptions, Registry, Strictness, WriteOptions};

use super::*;
use crate::testing;

/// What Pillow 13.0.0 states: name, width, height, SHA-256 of its RGBA pixels of 8 bits.
const PILLOW: &[(&str, u32, u32, &str)] = &[
    ("BigTIFF.tif", 64, 64, "f4ef74cca30aace62b5fb1eb997cd557cb6711d8d4cc3cf5f4c4c9a3b3b354ab"),
    ("extra_bits_rgb_8b.tiff", 8, 8, "2c893cd47b6757133987906e00c55e6dcce3c567b9df9e7f91ffecd3604cc6a6"),
    ("imagemagick_group4.tiff", 640, 200, "34f222887c35c7243dae41afdc2fceb343ad40a05fe47f9408724322e3ba74aa"),
    ("multipage.tif", 10, 15, "c806095595fdf86466c81a2bb635043679c486763b2a0e2521b30826ae076504"),
    ("seq-1c-1b-fax3-fillbits.tiff", 16, 16, "29f9f962b45c33c1badbceb5e7e29421d6dfa3bc7674c627b6a52f26db9644c3"),
    ("seq-1c-1b-fax3-lsb.tiff", 16, 16, "29f9f962b45c33c1badbceb5e7e29421d6dfa3bc7674c627b6a52f26db9644c3"),
    ("seq-1c-4b-palette.tiff", 16, 16, "effe388cae0d198ca20e1d70b60407709c8b4b89a92726eec5a60251cffe13bb"),
    ("seq-1c-8b-multipage.tiff", 16, 16, "f7721524360322232937cff69886be54d18f94dc172627061757855971b5db36"),
    ("seq-1c-8b-packbits.tiff", 16, 16, "f7721524360322232937cff69886be54d18f94dc172627061757855971b5db36"),
    ("seq-3c-8b-lzw.tiff", 16, 16, "e80093049334463339249ae02c5338cb6e255a6053f3bfb8bc5170727ec9526d"),
    ("seq-3c-8b-tiled.tiff", 16, 16, "e80093049334463339249ae02c5338cb6e255a6053f3bfb8bc5170727ec9526d"),
    ("seq-4c-8b-cmyk.tiff", 16, 16, "1f637ba1a8e83279fd59ded5cf23e3c7e8ddfc6e838d314e96fdc4f11bd7039f"),
    ("seq-4c-8b-rgba-unassoc.tiff", 16, 16, "785b0751fc2c53dc14a4ce3d800e69ef9ce1009eb327ccf458afe09c242c26c9"),
    ("seq-4c-8b-rgba.tiff", 16, 16, "917727a18484eca846b116f3788c62df04eeed212760bb3a7fc83fdfee4fcbcb"),
];

fn good(name: &str) -> Vec<u8> {
    testing::data(&format!("tiff/{name}"))
}

/// All records of a file, and the number its header states.
fn pages(bytes: Vec<u8>, options: &ReadOptions) -> Result<(Vec<MediaRecord>, Option<u64>)> {
    let mut reading = Registry::builtin().open(&Source::from_bytes("a.tif", bytes), options)?;
    let header = reading.header()?;
    Ok((reading.by_ref().collect::<Result<_>>()?, header.records))
}

fn first(name: &str) -> MediaRecord {
    pages(good(name), &ReadOptions::default()).unwrap().0.swap_remove(0)
}

fn floats(record: &MediaRecord) -> Vec<f32> {
    let Samples::F32(samples) = testing::image(record).samples() else { panic!("expected floats") };
    samples.to_vec()
}

#[test]
fn pixels_are_those_of_pillow() {
    for &(name, width, height, sha256) in PILLOW {
        let record = first(name);
        let image = testing::image(&record);
        assert_eq!((image.width(), image.height()), (width, height), "{name}");
        assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
    }
}

/// What tifffile 2026.3.3 states: name, depth, mean of the values.
#[test]
fn numbers_are_those_of_tifffile() {
    for (name, bits, mean) in [
        ("seq-1c-i16.tiff", 16, -0.5),
        ("seq-1c-i32.tiff", 32, -0.5),
        ("seq-1c-64f.tiff", 64, 0.5),
        ("random-fp16-pred3.tiff", 16, 0.833_888),
        ("int16_zstd.tif", 16, 86.5225),
        ("gradient-3c-32b-float.tiff", 32, 0.615_678),
    ] {
        let record = first(name);
        let (image, values) = (testing::image(&record), floats(&record));
        assert_eq!(image.source_bits, bits, "{name}");
        let found = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!((found - mean).abs() < 1e-4 * mean.abs(), "{name}: {found} {mean}");
        let (space, ranged) = (image.color_space, image.range.is_some());
        let expected = if image.channels() == 3 { (ColorSpace::Linear, false) } else { (ColorSpace::Unknown, true) };
        assert_eq!((space, ranged), expected, "{name}");
    }
    // Its values of 12 and of 16 bits here are those from 0 to 255; 12 bits are spread over 16.
    for name in ["seq-1c-16b-bigendian.tiff", "seq-1c-16b-deflate.tiff"] {
        let expected = Samples::U16((0..256).collect::<Vec<u16>>().into());
        assert_eq!(testing::image(&first(name)).samples(), &expected, "{name}");
    }
    let spread = |value: u32| ((value * 65535 + 2047) / 4095) as u16;
    let expected = Samples::U16((0..256).map(spread).collect::<Vec<u16>>().into());
    assert_eq!(testing::image(&first("seq-1c-12b-hpredict.tiff")).samples(), &expected);
}

#[test]
fn every_page_is_a_record() {
    for (name, count) in [("multipage.tif", 2), ("seq-1c-8b-multipage.tiff", 3)] {
        let (records, stated) = pages(good(name), &ReadOptions::default()).unwrap();
        assert_eq!((records.len() as u64, stated), (count, Some(count)), "{name}");
        assert!(records.iter().all(|record| testing::image(record).frames == count), "{name}");
    }
}

/// A page of 1 x 1 pixels of 8 bits, with these tags (number, type, count, value) beside those that it needs; and the
/// next one, behind it.
fn made(tags: &[(u16, u16, u32, u32)], next: u32, data: &[u8]) -> Vec<u8> {
    let mut all = vec![(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 1)];
    all.retain(|tag: &(u16, u16, u32, u32)| tags.iter().all(|other| other.0 != tag.0));
    all.extend(tags);
    all.sort_unstable();
    let mut bytes = b"II*\0".to_vec();
    let at = 8 + data.len().next_multiple_of(2) as u32;
    bytes.extend(at.to_le_bytes());
    bytes.extend(data);
    bytes.resize(at as usize, 0);
    bytes.extend((all.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in all {
        bytes
            .extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

fn read(bytes: Vec<u8>) -> Result<MediaRecord> {
    testing::read("a.tif", bytes)
}

#[test]
fn a_loop_of_directories_ends() {
    let bytes = testing::data("tiff/malformed/loop.tif");
    let (records, stated) = pages(bytes.clone(), &ReadOptions::default()).unwrap();
    assert_eq!((records.len(), stated), (2, Some(2)));
    assert_eq!(testing::codes(&records[0]), ["tiff.pages"]);
    assert!(pages(bytes, &testing::strictly(Strictness::Strict)).is_err());
    let record = read(made(&[], 0x7FFF_FFFF, &[7])).unwrap();
    assert_eq!(testing::codes(&record), ["tiff.pages"]);
}

#[test]
fn errors_name_what_is_expected() {
    for (tags, data, kind, text) in [
        (&[(256, 3, 1, 0)][..], &[7][..], ErrorKind::Malformed, "expected a picture, found 0 x 1 pixels"),
        (&[(258, 3, 1, 65)], &[7], ErrorKind::Malformed, "expected samples of 1 to 64 bits, found 65"),
        (&[(259, 3, 1, 34712)], &[7], ErrorKind::Unsupported, "the compression JPEG 2000 (34712) is not read"),
        (
            &[(262, 3, 1, 32803)],
            &[7],
            ErrorKind::Unsupported,
            "a colour filter array, as raw files of cameras have it, is not read",
        ),
        (&[(262, 3, 1, 2)], &[7], ErrorKind::Malformed, "Rgb needs 3 samples a pixel, found 1"),
        (&[(262, 3, 1, 3)], &[7], ErrorKind::Malformed, "expected a palette of 256 colours, found 0 values"),
        (&[(257, 3, 1, 2)], &[7], ErrorKind::Malformed, "expected 2 bytes of pixels, found 1"),
        (
            &[(256, 4, 1, 60000), (257, 4, 1, 60000)],
            &[7],
            ErrorKind::Limit,
            "pixels: 3600000000 wanted, the limit is 268435456",
        ),
        (&[(273, 4, 2, 200)], &[7], ErrorKind::Malformed, "the value of a tag ends early: expected 8 bytes, found 0"),
        (
            &[(317, 3, 1, 3)],
            &[7],
            ErrorKind::Malformed,
            "expected floats under the predictor of floats, found whole numbers",
        ),
        (&[(339, 3, 1, 5)], &[7], ErrorKind::Unsupported, "complex samples are not read"),
    ] {
        let error = read(made(tags, 0, data)).unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, text));
    }
    let short = made(&[(257, 3, 1, 2)], 0, &[7]);
    let record = testing::read_with("a.tif", short, &testing::strictly(Strictness::Lenient)).unwrap();
    assert_eq!(testing::image(&record).samples(), &Samples::U8(vec![7, 0].into()));
    assert_eq!(testing::codes(&record), ["tiff.damaged"]);
}

#[test]
fn what_is_missing_is_told() {
    for (tags, code) in [
        (&[(262, 3, 0, 0)][..], "tiff.photometric"),
        (&[(274, 3, 1, 9)], "tiff.orientation"),
        (&[(279, 4, 0, 0)], "tiff.strip-lengths"),
        (&[(34675, 7, 3, 0)], "tiff.icc"),
        (&[(258, 3, 2, 8 | 8 << 16)], "tiff.bits"),
        (&[(270, 2, 900, 8)], "tiff.tag"),
    ] {
        let extra = if code == "tiff.bits" { &[tags[0], (277, 3, 1, 1)][..] } else { tags };
        let bytes = made(extra, 0, &[7]);
        let record = read(bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), [code]);
        assert!(testing::read_with("a.tif", bytes, &testing::strictly(Strictness::Strict)).is_err(), "{code}");
    }
}

#[test]
fn signs_of_absence_are_no_damage() {
    // A place and a length of 0: a hole.
    let record = read(made(&[(273, 4, 1, 0), (279, 4, 1, 0)], 0, &[7])).unwrap();
    assert_eq!(testing::image(&record).samples(), &Samples::U8(vec![0].into()));
    assert_eq!(testing::codes(&record), ["tiff.sparse"]);
}

#[test]
fn the_orientation_is_applied() {
    let record = read(made(&[(256, 3, 1, 2), (274, 3, 1, 6), (279, 4, 1, 2)], 0, &[1, 2])).unwrap();
    let image = testing::image(&record);
    assert_eq!((image.width(), image.height(), image.orientation_applied), (1, 2, true));
}

#[test]
fn places_on_the_earth_are_properties() {
    let record = first("geo-5b.tif");
    // GTModelTypeGeoKey is 1024; gdalinfo and tifffile read the same.
    assert!(record.properties["geotiff"]["keys"]["1024"].is_number(), "{:?}", record.properties);
    assert_eq!(testing::codes(&record), ["tiff.extra-samples"]);
}

#[test]
fn what_is_written_is_read_again() {
    for name in [
        "BigTIFF.tif",
        "seq-4c-8b-rgba.tiff",
        "seq-1c-16b-deflate.tiff",
        "gradient-3c-32b-float.tiff",
        "multipage.tif",
        "seq-1c-i32.tiff",
    ] {
        for compression in ["deflate", "lzw", "none"] {
            for big in ["false", "true"] {
                let mut record = first(name);
                record.properties.clear();
                record.properties.insert("description".into(), "a \u{e9}".into());
                record.properties.insert("pixels_per_cm".into(), vec![28.5, 72.0].into());
                let options = [("tiff.compression", compression), ("tiff.big", big)];
                let again = read(testing::write(&mut record, "tiff", &options)).unwrap();
                let (before, after) = (testing::image(&record), testing::image(&again));
                assert_eq!(before.samples(), after.samples(), "{name}, {compression}");
                assert_eq!((before.channels(), before.color_space), (after.channels(), after.color_space), "{name}");
                assert_eq!(again.properties["description"], "a \u{e9}");
                assert_eq!(again.properties["pixels_per_cm"], record.properties["pixels_per_cm"]);
                assert_eq!(testing::codes(&again), Vec::<String>::new(), "{name}");
            }
        }
    }
}

#[test]
fn records_become_pages() {
    for big in ["false", "true"] {
        let (mut records, _) = pages(good("seq-1c-8b-multipage.tiff"), &ReadOptions::default()).unwrap();
        let mut settings = WriteOptions::default();
        settings.options = vec![("tiff.big".to_owned(), big.to_owned())];
        let mut out = Output::memory();
        for record in &mut records {
            Registry::builtin().write(record, "tiff", &mut out, &settings).unwrap();
        }
        let (again, _) = pages(out.finish().unwrap().bytes, &ReadOptions::default()).unwrap();
        assert_eq!(again.len(), 3);
        for (before, after) in records.iter().zip(&again) {
            assert_eq!(testing::image(before).samples(), testing::image(after).samples());
        }
    }
}

#[test]
fn a_profile_is_kept() {
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"GRAY");
    profile[36..40].copy_from_slice(b"acsp");
    let mut image = Image::new(1, 1, 1, Samples::U8(vec![9].into())).unwrap();
    (image.icc, image.color_space) = (Some(profile.clone()), ColorSpace::Icc);
    let mut record = MediaRecord::new(image);
    let bytes = testing::write(&mut record, "tiff", &[]);
    let mut reader = TiffFormat.open(&Source::from_bytes("a.tif", bytes), &Context::new("tiff")).unwrap();
    let again = reader.next_record().unwrap().unwrap();
    assert_eq!(testing::image(&again).icc, Some(profile));
}

#[test]
fn damaged_files_do_no_harm() {
    testing::torture("tiff");
}
