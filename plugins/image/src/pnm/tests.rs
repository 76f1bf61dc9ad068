use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Media, ReadOptions, Registry, Strictness, WriteOptions};

use super::*;
use crate::testing;

/// Facts that Pillow 13.0.0 states (of `slopes.pam` ImageMagick 6.9.11-60): name, channels, bits, SHA-256 of the RGBA
/// pixels.
const OTHERS: &[(&str, u8, u8, &str)] = &[
    ("bw-ascii.pbm", 1, 1, "bc6838175b3cf8adb64a71cbcf086bade1738f4a03c78c570418f7618f2406eb"),
    ("bw-binary.pbm", 1, 1, "9df63805d46871d4d4a093a3b8fc4f5e9d8efe5a1408b08e78d7d615cb0958f2"),
    ("grey-ascii.pgm", 1, 8, "4d61330661c7e664b6a755ff45c36e807a512a356cda201e5d87d76d36bb1168"),
    ("grey-binary.pgm", 1, 8, "b450fd9d46d317c3901972425414145983f731671d5ed72af3ef5f720d8fd516"),
    ("issue-794.pbm", 1, 1, "c5a5a36f041a47d2dca8be950229ae989f2a06aa8d5fa4e40aaa88a0f136fd4b"),
    ("rgb-ascii.ppm", 3, 8, "bac8d8b00e57e20a9c775343381df7f5dcc17df62e12a487f71c255938630ee3"),
    ("slopes.pam", 4, 8, "15f24aae1874625e3c4a2515cd226b337b52a2295d2099591b0561a804d6f088"),
];

fn all(bytes: Vec<u8>, strictness: Strictness) -> Result<Vec<MediaRecord>> {
    let source = Source::from_bytes("a.pnm", bytes);
    Registry::builtin().open(&source, &testing::strictly(strictness))?.collect()
}

fn one(bytes: impl Into<Vec<u8>>) -> MediaRecord {
    let mut records = all(bytes.into(), Strictness::Default).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn samples(bytes: impl Into<Vec<u8>>) -> Samples {
    testing::image(&one(bytes)).samples().clone()
}

#[test]
fn pixels_are_those_of_others() {
    for &(name, channels, bits, sha256) in OTHERS {
        let record = one(testing::data(&format!("pnm/{name}")));
        let image = testing::image(&record);
        assert_eq!((image.channels(), image.source_bits), (channels, bits), "{name}");
        assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
        assert_eq!(testing::codes(&record), Vec::<String>::new(), "{name}");
    }
    // And 16 bits, floats and two pictures.
    assert_eq!(OTHERS.len() + 3, testing::names("pnm").len());
}

/// The sum is that of Pillow.
#[test]
fn sixteen_bits_stay() {
    let Samples::U16(samples) = samples(testing::data("pnm/16_bit_binary.pgm")) else { panic!("not 16 bits") };
    assert_eq!(samples.iter().map(|&sample| u64::from(sample)).sum::<u64>(), 65_535_000);
}

/// ImageMagick wrote it from the numbers 11 x, 14 y and x y of 255.
#[test]
fn floats_are_read_from_the_bottom_up() {
    let record = one(testing::data("pnm/slopes.pfm"));
    let image = testing::image(&record);
    assert_eq!((image.width(), image.height(), image.color_space), (5, 3, ColorSpace::Linear));
    let Samples::F32(samples) = image.samples() else { panic!("not floats") };
    for (index, pixel) in samples.chunks_exact(3).enumerate() {
        let (x, y) = ((index % 5) as f32, (index / 5) as f32);
        for (found, expected) in pixel.iter().zip([11.0 * x, 14.0 * y, x * y]) {
            assert!((found - expected / 255.0).abs() < 1e-6, "{x}, {y}: {pixel:?}");
        }
    }
}

#[test]
fn pictures_one_after_the_other_are_records() {
    let records = all(testing::data("pnm/two.pnm"), Strictness::Strict).unwrap();
    let sizes: Vec<_> = records.iter().map(|record| testing::image(record).width()).collect();
    assert_eq!(sizes, [10, 32]);
    let source = Source::from_bytes("a.pnm", testing::data("pnm/two.pnm"));
    let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
    assert_eq!(reading.header().unwrap().records, Some(2));
}

/// By the words of the specification; the values are those of Python's `round`, as Pillow has them.
#[test]
fn headers_and_numbers_in_text() {
    let record = one(*b"P2 # a\n#b\n3#c\n1 4\n0 1 # d\n2\n");
    assert_eq!(testing::image(&record).samples(), &Samples::U8(vec![0, 64, 128].into()));
    assert_eq!(record.properties["comment"], "a\nb\nc");
    assert_eq!(samples(*b"P1\n4 1\n0110"), Samples::U8(vec![255, 0, 0, 255].into()));
    assert_eq!(samples(*b"P5 2 1 1000 \x03\xE8\x01\xF4"), Samples::U16(vec![65535, 32768].into()));
    assert_eq!(samples(*b"P5 2 1 6 \x01\x03"), Samples::U8(vec![42, 128].into()));
    assert_eq!(samples(*b"Pf 1 1 1.0\n\x3F\x80\0\0"), Samples::F32(vec![1.0].into()));
    assert_eq!(samples(*b"Ph 1 2 -1.0\n\0\x3C\0\xC0"), Samples::F32(vec![-2.0, 1.0].into()));
    let depth = one(*b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE depth map\nENDHDR\n\x07");
    assert_eq!(testing::image(&depth).color_space, ColorSpace::Unknown);
    assert_eq!(depth.properties["tuple_type"], "depth map");
}

#[test]
fn malformed_files_are_refused_where_they_break() {
    for (name, byte, text) in [
        ("bad-4552.pgm", Some(11), "expected 9 bytes, found 1"),
        ("bad-4553.pgm", Some(3), "width: expected a whole number"),
        ("bomb-65000.pgm", None, "pixels: 4225000000"),
    ] {
        let error = all(testing::data(&format!("pnm/malformed/{name}")), Strictness::Default).unwrap_err();
        assert!(error.message().contains(text), "{name}: {error}");
        assert_eq!(error.location().and_then(|location| location.byte), byte, "{name}: {error}");
    }
    assert_eq!(testing::names("pnm/malformed").len(), 3);
    for (bytes, text) in [
        (&b"P2 2 1 255 7 x"[..], "expected a whole number, found \"x\""),
        (b"P2 2 1 255 7", "ends early"),
        (b"P2 2 1 255 700 ", "the pixels end early: expected 2 numbers, found 1"),
        (b"P5 2 1 0 ..", "expected 1 to 65535, found 0"),
        (b"P5 0 1 255 ..", "expected at least 1, found 0"),
        (b"Pf 1 1 0\n....", "expected a scale"),
        (b"P7\nWIDTH 1\nENDHDR\n.", "expected a line HEIGHT"),
    ] {
        let error = all(bytes.to_vec(), Strictness::Default).unwrap_err();
        assert!(error.message().contains(text), "{bytes:?}: {error}");
    }
}

#[test]
fn what_is_odd_is_told() {
    for (bytes, code) in [
        (&b"P5 2 1 6 \x01\x09"[..], "pnm.range"),
        (b"P2 1 1 6 9", "pnm.range"),
        (b"P5 1 1 255 .and more", "pnm.trailing-bytes"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n..", "pnm.tuple-type"),
    ] {
        let records = all(bytes.to_vec(), Strictness::Default).unwrap();
        assert_eq!(testing::codes(&records[0]), [code]);
        assert!(all(bytes.to_vec(), Strictness::Strict).is_err(), "{code}");
    }
    let records = all(b"P5 2 1 255 .".to_vec(), Strictness::Lenient).unwrap();
    assert_eq!(testing::codes(&records[0]), ["pnm.truncated"]);
    assert_eq!(testing::codes(&one(*b"Pf 1 1 1.0\n\x7F\x80\0\0")), ["pnm.non-finite"]);
}

#[test]
fn what_is_written_is_the_plainest_map_that_holds_it() {
    let values: Vec<u8> = (0..24).map(|index| index * 10).collect();
    let wide: Vec<u16> = (0..24).map(|index| index * 1000).collect();
    let floats: Vec<f32> = (0..24).map(|index| index as f32 / 3.0).collect();
    let mut images = Vec::new();
    for (channels, eight, float) in [(1, "P5", "Pf"), (2, "P7", ""), (3, "P6", "PF"), (4, "P7", "PF4")] {
        let width = 12 / u32::from(channels);
        images.push((Image::new(width, 2, channels, Samples::U8(values.clone().into())).unwrap(), eight));
        images.push((Image::new(width, 2, channels, Samples::U16(wide.clone().into())).unwrap(), eight));
        if !float.is_empty() {
            let mut image = Image::new(width, 2, channels, Samples::F32(floats.clone().into())).unwrap();
            image.color_space = ColorSpace::Linear;
            images.push((image, float));
        }
    }
    let mut bits = Image::new(10, 1, 1, Samples::U8(vec![0, 255, 0, 0, 255, 255, 0, 255, 255, 0].into())).unwrap();
    bits.source_bits = 1;
    images.push((bits, "P4"));
    for (image, magic) in images {
        let mut record = MediaRecord::new(image.clone()).with_property("comment", "a\nb");
        let bytes = testing::write(&mut record, "pnm", &[]);
        assert!(bytes.starts_with(format!("{magic}\n").as_bytes()), "{magic}");
        assert!(record.loss.is_empty(), "{magic}: {:?}", record.loss);
        let again = one(bytes);
        assert_eq!(testing::image(&again), &image, "{magic}");
    }
}

#[test]
fn a_variant_that_cannot_hold_the_picture_is_refused() {
    let image = Image::new(1, 1, 3, Samples::U8(vec![1, 2, 3].into())).unwrap();
    for variant in ["pgm", "pbm"] {
        let mut options = WriteOptions::default();
        options.options = vec![("pnm.variant".to_owned(), variant.to_owned())];
        let mut record = MediaRecord::new(image.clone());
        let error = Registry::builtin().write(&mut record, "pnm", &mut Output::memory(), &options).unwrap_err();
        assert!(error.message().contains("found"), "{error}");
    }
    let gray = Image::new(1, 1, 1, Samples::U8(vec![9].into())).unwrap();
    let bytes = testing::write(&mut MediaRecord::new(gray), "pnm", &[("pnm.variant", "ppm")]);
    assert_eq!(bytes, b"P6\n1 1\n255\n\x09\x09\x09");
    let Media::Image(image) = one(bytes).media else { panic!("no image") };
    assert_eq!(image.channels(), 3);
}

#[test]
fn damaged_files_do_no_harm() {
    for name in testing::names("pnm") {
        let bytes = testing::data(&format!("pnm/{name}"));
        for end in (0..bytes.len()).step_by(7) {
            let records = all(bytes[..end].to_vec(), Strictness::Default);
            // Text may end anywhere and be whole, and so may the first of two pictures.
            let binary = !name.contains("ascii") && name != "two.pnm";
            assert!(!binary || records.is_err(), "{name} cut at {end} is read without a word");
        }
    }
}
