use mediary_core::Strictness;
use mediary_core::record::Image;

use super::*;
use crate::testing;

/// Facts that Pillow 13.0.0 states: name, channels, bits, SHA-256 of the RGBA pixels.
const PILLOW: &[testing::Pillow] = &[
    ("1x1.tga", 3, 8, "4d3c2573739f6dd398a4eb56a47e4e62cb944cddb9adad4a3842e7d50314ca28"),
    ("1x1_l_tl_rle.tga", 1, 8, "79dfad351f79ef0e65a11fff0a9ed44bf628f9390ff06b92ee4ee5e2477616ea"),
    ("200x32_l_bl_rle.tga", 1, 8, "bcbe6f5c9ca2a8246193417f235d885dd31b9f797faed2709ee144bd0cab5eb9"),
    ("cbw8.tga", 1, 8, "63b953eea39db3928c1790ea0992d00bbce9df07fbdb424fdc261b9404d628ea"),
    ("cmap_offset.tga", 3, 8, "b25b6c2734105b2fccfaa1bcf1fcb463e320d0332bb8e7ac0606397a146b73d4"),
    ("cross_scan_line.tga", 1, 8, "58335d78fe0b8040fe564093a471af3ee342e67b0f2391e4373ac7ce9554c7a5"),
    ("rgba.tga", 4, 8, "14be23cd961de2b871b5249dc25873292a08f1b2d576e53e0fdca02af5941106"),
    ("rgba16.tga", 4, 5, "ead21bb0b53f181838868f0f18df1117e10bda783654a28797ec865f154ba315"),
];

fn read(name: &str) -> MediaRecord {
    testing::read(name, testing::data(&format!("tga/{name}"))).unwrap()
}

#[test]
fn pixels_are_those_of_pillow() {
    testing::pillow("tga", PILLOW);
}

/// What `strings` finds in the extension area.
#[test]
fn the_extension_area_becomes_properties() {
    let record = read("cbw8.tga");
    assert_eq!(record.properties["author"], "Ricky True");
    assert_eq!(record.properties["comment"], "Sample 8 bit run length compressed black and white image");
    assert_eq!(record.properties["date"], "1990-03-24T10:00:00");
    assert_eq!(record.properties["job"], "TGA Utilities");
    assert_eq!(record.properties["id"], "Truevision(R) Sample Image");
}

#[test]
fn malformed_files_are_refused() {
    for (name, text) in [
        ("overfull-image.tga", "the packets end early: expected 10 pixels, found 0"),
        ("crash3952.tga", "pixels: 3992850945"),
        ("sixteen-bit-gray-colormap2.tga", "expected a map of 15, 16, 24 or 32 bits, found 0"),
        ("cross_scan_line_truncated.tga", "the packets end early: expected 4096 pixels"),
    ] {
        let error = testing::read(name, testing::data(&format!("tga/malformed/{name}"))).unwrap_err();
        assert!(error.message().contains(text), "{name}: {error}");
    }
    assert_eq!(testing::names("tga/malformed").len(), 4);
    let cut = testing::data("tga/malformed/cross_scan_line_truncated.tga");
    let record = testing::read_with("a.tga", cut, &testing::strictly(Strictness::Lenient)).unwrap();
    assert_eq!(testing::codes(&record), ["tga.truncated"]);
}

/// Two pixels beside each other, of 32 bits.
fn file(descriptor: u8, pixels: &[u8], attributes: Option<u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 32, descriptor];
    file.extend(pixels);
    if let Some(attributes) = attributes {
        let place = file.len() as u32;
        let mut area = [0; 495];
        area[..2].copy_from_slice(&495_u16.to_le_bytes());
        area[494] = attributes;
        file.extend(area);
        file.extend(place.to_le_bytes());
        file.extend(b"\0\0\0\0TRUEVISION-XFILE.\0");
    }
    file
}

fn pixels(file: Vec<u8>) -> (Vec<u8>, Vec<String>) {
    let record = testing::read("a.tga", file).unwrap();
    (testing::rgba8(testing::image(&record)), testing::codes(&record))
}

#[test]
fn alpha_is_what_the_file_says() {
    let stored = [10, 20, 30, 128, 1, 2, 3, 255];
    assert_eq!(pixels(file(8, &stored, None)).0, [30, 20, 10, 128, 3, 2, 1, 255]);
    assert_eq!(pixels(file(0, &stored, None)).0, [30, 20, 10, 128, 3, 2, 1, 255]);
    assert_eq!(pixels(file(8, &stored, Some(0))).0, [30, 20, 10, 255, 3, 2, 1, 255]);
    let (divided, codes) = pixels(file(8, &stored, Some(4)));
    assert_eq!(
        (&divided[..], &codes[..]),
        (&[60, 40, 20, 128, 3, 2, 1, 255][..], &["tga.premultiplied".to_owned()][..])
    );
    let clear = [10, 20, 30, 0, 1, 2, 3, 0];
    let (opaque, codes) = pixels(file(0, &clear, None));
    assert_eq!((&opaque[..], &codes[..]), (&[30, 20, 10, 255, 3, 2, 1, 255][..], &["tga.alpha".to_owned()][..]));
    assert_eq!(pixels(file(8, &clear, None)).0, [30, 20, 10, 0, 3, 2, 1, 0]);
}

#[test]
fn every_origin_shows_the_same_picture() {
    let letters = [b"cdab", b"dcba", b"abcd", b"badc"];
    for (descriptor, stored) in [0x00, 0x10, 0x20, 0x30].into_iter().zip(letters) {
        let mut file = vec![0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 8, descriptor];
        file.extend(stored);
        let record = testing::read("a.tga", file).unwrap();
        assert_eq!(testing::image(&record).samples(), &Samples::U8(b"abcd".to_vec().into()), "{descriptor:02x}");
    }
}

#[test]
fn runs_are_no_longer_than_they_need() {
    // A run, pixels that differ, a pair of equal bytes, a run up to the end: packed by hand.
    let row = [7, 7, 7, 7, 1, 2, 3, 3, 4, 9, 9, 9];
    for channels in [1, 3, 4] {
        let samples: Vec<u8> = row.iter().flat_map(|&value| vec![value; channels]).collect();
        let image = Image::new(12, 1, channels as u8, Samples::U8(samples.into())).unwrap();
        for rle in ["true", "false"] {
            let bytes = testing::write(&mut MediaRecord::new(image.clone()), "tga", &[("tga.rle", rle)]);
            if channels == 1 && rle == "true" {
                assert_eq!(bytes[18..bytes.len() - 26], [0x83, 7, 4, 1, 2, 3, 3, 4, 0x82, 9]);
            }
            let again = testing::read("a.tga", bytes).unwrap();
            assert_eq!(testing::image(&again), &image);
            assert_eq!(testing::codes(&again), Vec::<String>::new());
        }
    }
}

#[test]
fn long_runs_are_divided() {
    let mut samples = vec![5; 300];
    samples.extend((0..300).map(|index| (index % 251) as u8));
    let image = Image::new(600, 1, 1, Samples::U8(samples.into())).unwrap();
    let bytes = testing::write(&mut MediaRecord::new(image.clone()), "tga", &[]);
    assert_eq!(testing::image(&testing::read("a.tga", bytes).unwrap()), &image);
}

#[test]
fn damaged_files_do_no_harm() {
    // Without the footer behind the pixels they are files of version 1.
    testing::torture_but("tga", &[("1x1_l_tl_rle.tga", 20), ("cross_scan_line.tga", 24), ("rgba16.tga", 22)]);
}
