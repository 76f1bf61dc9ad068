use mediary_core::{ErrorKind, ReadOptions, Strictness};

use super::*;
use crate::testing;

/// Facts that Pillow 13.0.0 states: name, channels, bits, SHA-256 of the RGBA pixels.
const PILLOW: &[(&str, u8, u8, &str)] = &[
    ("black_and_white.ico", 4, 8, "8ffe90801dca8c34384f545fbaf3438b14ee14ee8f9dd7ce9aac10b6574027df"),
    ("bmp-24bpp-mask.ico", 4, 8, "1c36e9d46fe44582f94be4db7d79d58ea259b0b2a59c7f3328974d0222bfaa97"),
    ("bmp-32bpp-conflicting-and-mask.ico", 4, 8, "59632de4546909b95e9f153acb3b9a67a1c1a3e10f94cbc6dcd047858af8dfbe"),
    ("hopper_mask.ico", 4, 8, "22c5dc1c404a401b0d919e4cc5e4b3ec260fabda13832821766398b5193fa186"),
    ("png-32bpp-alpha.ico", 4, 8, "1c36e9d46fe44582f94be4db7d79d58ea259b0b2a59c7f3328974d0222bfaa97"),
    ("png_l8.ico", 1, 8, "ac0abf2d3c4284d15038305951f0f2d285338251ff868b1709d47275c8844b19"),
    ("smile.ico", 4, 8, "bb716a2b48834d491b3655a30ac810a339156b15db3b4fe440f7eacf345587d4"),
    ("two-entry-order-test.ico", 4, 8, "a5ecf4abbd6f301997b027b0696377db9af6af5c9c063ef281ecf8010fedab97"),
];

fn read(name: &str) -> MediaRecord {
    let id = if name.ends_with("cur") { "cur" } else { "ico" };
    testing::read(name, testing::data(&format!("{id}/{name}"))).unwrap()
}

#[test]
fn pixels_are_those_of_pillow() {
    for &(name, channels, bits, sha256) in PILLOW {
        let record = read(name);
        let image = testing::image(&record);
        assert_eq!((image.channels(), image.source_bits), (channels, bits), "{name}");
        assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
    }
    assert_eq!(PILLOW.len(), testing::names("ico").len());
}

/// Pillow 13.0.0: `deerstalker.cur` as it is, of `mask_1.cur` the colours where it is opaque.
#[test]
fn cursors_have_a_hot_spot() {
    let record = read("deerstalker.cur");
    let sha256 = "7036a2735cc8268bd4ba22ddee950c270fcde5996386d60edb187a0b88ccc25e";
    assert_eq!(testing::sha256(&testing::rgba8(testing::image(&record))), sha256);
    assert_eq!(record.properties["hot_spot"], json!([0, 0]));
    assert_eq!(testing::codes(&record), Vec::<String>::new());
    let record = read("mask_1.cur");
    assert_eq!(testing::codes(&record), ["cur.entry-size", "cur.inverting"]);
    let rgba = testing::rgba8(testing::image(&record));
    assert_eq!(rgba[..8], [0, 0, 0, 255, 255, 255, 255, 255]);
    assert_eq!((rgba[11], rgba[15]), (0, 0));
}

/// Entry 0 of `smile.ico` has 32 x 32 pixels, entry 1 is of 16 x 16.
#[test]
fn an_entry_is_chosen_by_its_number() {
    let smile = testing::data("ico/smile.ico");
    let with = |index: &str| {
        let mut options = ReadOptions::default();
        options.options = vec![("ico.index".to_owned(), index.to_owned())];
        testing::read_with("a.ico", smile.clone(), &options)
    };
    let record = with("-1").unwrap();
    assert_eq!(testing::image(&record).frames, 2);
    assert_eq!(record.properties["index"], 0);
    assert_eq!(testing::codes(&record), ["ico.left-out"]);
    let record = with("1").unwrap();
    let size = record.properties["entries"][1].clone();
    assert_eq!(size["width"], testing::image(&record).width());
    assert_eq!(record.properties["index"], 1);
    assert_eq!(with("2").unwrap_err().kind(), ErrorKind::InvalidOption);
}

#[test]
fn malformed_files_are_refused_or_told() {
    let bad = |path: &str| testing::data(path);
    for (path, text) in [
        ("ico/malformed/bomb-png-46340.ico", "pixels: 2147395600"),
        ("ico/malformed/bad-palette.ico", "pixels: 268436480"),
        ("cur/malformed/no_cursors.cur", "no format recognises"),
        ("cur/malformed/truncated-deerstalker.cur", "the picture ends early"),
    ] {
        let error = testing::read(path, bad(path)).unwrap_err();
        assert!(error.message().contains(text), "{path}: {error}");
    }
    for (path, codes) in [
        ("ico/malformed/Bad_smile-incorrect-image-length.ico", &["ico.entry-size"][..]),
        ("ico/malformed/hopper_unexpected.ico", &["ico.entry-mismatch"]),
    ] {
        let record = testing::read(path, bad(path)).unwrap();
        assert_eq!(testing::codes(&record), codes, "{path}");
        assert!(testing::read_with(path, bad(path), &testing::strictly(Strictness::Strict)).is_err(), "{path}");
    }
    assert_eq!(testing::names("ico/malformed").len() + testing::names("cur/malformed").len(), 7);
}

#[test]
fn damaged_files_do_no_harm() {
    testing::torture("ico");
    testing::torture("cur");
}
