use mediary_core::ErrorKind;
use mediary_core::Strictness;
use mediary_core::record::{ColorSpace, Image, Samples};

use super::*;
use crate::testing;

/// Facts that Pillow 13.0.0 states (of `V3_A4` and `V5_A1` the reference pictures of image-rs): name, channels, bits,
/// SHA-256 of the RGBA pixels.
const PILLOW: &[testing::Pillow] = &[
    ("Info_1_Bit.bmp", 1, 8, "70bae028b4906acdfeb2bd268ec02313cc2f842aeba3618e863d26aa12871313"),
    ("Info_4_Bit_Top_Down.bmp", 3, 8, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("Info_8_Bit.bmp", 3, 8, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("Info_A8_R8_G8_B8_Top_Down.bmp", 3, 8, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("Info_R8_G8_B8.bmp", 3, 8, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("Info_X1_R5_G5_B5.bmp", 3, 5, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("V3_A4_R4_G4_B4.bmp", 4, 4, "d96147f9ccd8f500a224eeb0806247d9c404afb1129d560acddef166ab3217fb"),
    ("V3_R5_G6_B5.bmp", 3, 6, "27a8111ed77c777cd9a8b8f30b6a4c36aab8ad2439c66ad3a108d383ba90687e"),
    ("V4_A8_R8_G8_B8.bmp", 4, 8, "9dc4d07621ee7f979a63f395933b729f28eb1408edad3fa84b068c2679edb5d3"),
    ("V5_A1_R5_G5_B5.bmp", 4, 5, "b5b06b91cc598450148e9ca63964ea97f1093def5bdc3f7b1169d7e86c2cf10c"),
    ("pal1p1.bmp", 3, 8, "492d975b93cc62a5d07c74a3a8dd76063eb7a22b3d1b0447562c80fabd12854c"),
    ("pal4rle.bmp", 3, 8, "2b322fe79adba0175a70554025496bcb2140a63a08121e977c6027a1ef2161d6"),
    ("pal8rle.bmp", 3, 8, "9f33d52c158d285928d5c27e5b59b84aaa26a53ab5d204383d72889c6f6d9051"),
];

#[test]
fn pixels_are_those_of_pillow() {
    testing::pillow("bmp", PILLOW);
}

#[test]
fn malformed_files_are_refused_or_told() {
    let path = |name: &str| testing::data(&format!("bmp/malformed/{name}"));
    for (name, byte, text) in [
        ("Bad_shortfile.bmp", Some(62), "expected 1024 bytes, found 211"),
        ("Bad_badbitcount.bmp", Some(28), "found 30000"),
        ("badheadersize.bmp", Some(14), "found 66"),
        ("bad-y.bmp", Some(67), "the runs end early: expected 64 rows"),
        ("huge-width.bmp", None, "pixels: 4294967288"),
    ] {
        let error = testing::read(name, path(name)).unwrap_err();
        assert!(error.message().contains(text), "{name}: {error}");
        assert_eq!(error.location().and_then(|location| location.byte), byte, "{name}: {error}");
    }
    for (name, code) in
        [("Bad_clrsUsed.bmp", "bmp.palette"), ("badplanes.bmp", "bmp.planes"), ("rle_overflow.bmp", "bmp.runs")]
    {
        let record = testing::read(name, path(name)).unwrap();
        assert!(testing::codes(&record).iter().any(|found| found == code), "{name}: {:?}", testing::codes(&record));
        assert!(testing::read_with(name, path(name), &testing::strictly(Strictness::Strict)).is_err(), "{name}");
    }
    assert_eq!(testing::names("bmp/malformed").len(), 8);
}

#[test]
fn lenient_reads_what_is_there() {
    let lenient = testing::strictly(Strictness::Lenient);
    let cut = testing::data("bmp/malformed/Bad_shortfile.bmp");
    let record = testing::read_with("a.bmp", cut, &lenient).unwrap();
    assert!(testing::codes(&record).contains(&"bmp.truncated".into()));
}

/// A bitmap of Windows 3 with a palette of grays, of which index i is gray i.
fn bitmap(width: u32, height: i32, bits: u16, compression: u32, pixels: &[u8]) -> Vec<u8> {
    let colors = if bits <= 8 { 1 << bits } else { 0 };
    let start = 54 + 4 * colors;
    let mut file = b"BM".to_vec();
    file.extend([start + pixels.len() as u32, 0, start, 40, width, height as u32].map(u32::to_le_bytes).concat());
    file.extend([1, bits].map(u16::to_le_bytes).concat());
    file.extend([compression, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
    file.extend((0..colors).flat_map(|gray| [gray as u8, gray as u8, gray as u8, 0]));
    file.extend(pixels);
    file
}

fn samples(file: Vec<u8>) -> Samples {
    let record = testing::read("a.bmp", file).unwrap();
    testing::image(&record).samples().clone()
}

/// The rows of a gray picture, from the bottom up, as they are stored.
fn rows(file: Vec<u8>, width: usize) -> Vec<Vec<u8>> {
    let Samples::U8(samples) = samples(file) else { panic!("not bytes") };
    samples.rchunks(width).map(<[u8]>::to_vec).collect()
}

/// The examples of the Windows documentation, Bitmap Compression.
#[test]
fn runs_are_those_of_the_specification() {
    let eight = [
        0x03, 0x04, 0x05, 0x06, 0x00, 0x03, 0x45, 0x56, 0x67, 0x00, 0x02, 0x78, 0x00, 0x02, 0x05, 0x01, 0x02, 0x78,
        0x00, 0x00, 0x09, 0x1E, 0x00, 0x01,
    ];
    let found = rows(bitmap(20, 3, 8, 1, &eight), 20);
    assert_eq!(found[0][..13], [4, 4, 4, 6, 6, 6, 6, 6, 0x45, 0x56, 0x67, 0x78, 0x78]);
    // Five to the right, one up.
    assert_eq!(found[1][17..], [0, 0x78, 0x78]);
    assert_eq!(found[2][..10], [0x1E, 0x1E, 0x1E, 0x1E, 0x1E, 0x1E, 0x1E, 0x1E, 0x1E, 0]);

    let four = [
        0x03, 0x04, 0x05, 0x06, 0x00, 0x06, 0x45, 0x56, 0x67, 0x00, 0x04, 0x78, 0x00, 0x02, 0x05, 0x01, 0x04, 0x78,
        0x00, 0x00, 0x09, 0x1E, 0x00, 0x01,
    ];
    let found = rows(bitmap(27, 3, 4, 2, &four), 27);
    assert_eq!(found[0][..18], [0, 4, 0, 0, 6, 0, 6, 0, 4, 5, 5, 6, 6, 7, 7, 8, 7, 8]);
    assert_eq!(found[1][23..], [7, 8, 7, 8]);
    assert_eq!(found[2][..10], [1, 0xE, 1, 0xE, 1, 0xE, 1, 0xE, 1, 0]);

    // Of 24 bits: two red pixels, then one green and one blue.
    let wide = [2, 0, 0, 255, 0, 3, 0, 255, 0, 255, 0, 0, 9, 9, 9, 0, 0, 1];
    let expected = [255, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9];
    assert_eq!(samples(bitmap(5, 1, 24, 4, &wide)), Samples::U8(expected.to_vec().into()));
}

#[test]
fn runs_cannot_leave_the_picture() {
    let record = testing::read("a.bmp", bitmap(4, 2, 8, 1, &[9, 7, 0, 2, 255, 255, 5, 5, 0, 1])).unwrap();
    assert_eq!(testing::codes(&record), ["bmp.runs", "bmp.undefined-pixels"]);
    let Samples::U8(samples) = testing::image(&record).samples() else { panic!("not bytes") };
    assert_eq!(samples[..], [0, 0, 0, 0, 7, 7, 7, 7]);
}

#[test]
fn two_bits_and_sixty_four() {
    assert_eq!(rows(bitmap(5, 1, 2, 0, &[0b0001_1011, 0b1000_0000, 0, 0]), 5), [[0, 1, 2, 3, 2]]);
    // 8192 is 1; blue, green, red, alpha.
    let words = [0, 8192, 4096, 8192].map(|word: i16| word.to_le_bytes()).concat();
    let record = testing::read("a.bmp", bitmap(1, -1, 64, 0, &words)).unwrap();
    let image = testing::image(&record);
    assert_eq!(image.samples(), &Samples::F32(vec![0.5, 1.0, 0.0, 1.0].into()));
    assert_eq!(image.color_space, ColorSpace::Linear);
}

#[test]
fn wide_channels_become_16_bits() {
    let mut file = bitmap(1, 1, 32, 3, &[]);
    let masks = [0x3FF0_0000, 0xF_FC00, 0x3FF].map(u32::to_le_bytes).concat();
    file[10] += 12;
    file.extend(masks);
    file.extend((0x3FF_u32 << 20 | 0x200 << 10).to_le_bytes());
    let record = testing::read("a.bmp", file).unwrap();
    let image = testing::image(&record);
    // 512 of 1023.
    assert_eq!((image.samples(), image.source_bits), (&Samples::U16(vec![65535, 32799, 0].into()), 10));
}

#[test]
fn the_last_row_may_do_without_its_padding() {
    let file = bitmap(1, 2, 24, 0, &[1, 2, 3, 0, 4, 5, 6]);
    assert_eq!(samples(file), Samples::U8(vec![6, 5, 4, 3, 2, 1].into()));
}

#[test]
fn pictures_of_other_formats_inside() {
    for (name, compression, alone) in [("png/basn2c16.png", 5, "png"), ("jpeg/flower.jpg", 4, "jpg")] {
        let inner = testing::data(name);
        let expected = testing::read(&format!("a.{alone}"), inner.clone()).unwrap();
        let mut file = bitmap(1, 1, 16, 0, &inner);
        file[28] = 0;
        file[30] = compression;
        let found = testing::read("a.bmp", file).unwrap();
        assert_eq!(testing::image(&found).samples(), testing::image(&expected).samples(), "{name}");
    }
}

#[test]
fn an_array_and_a_bitmap_without_file_header() {
    let file = bitmap(2, 1, 24, 0, &[1, 2, 3, 4, 5, 6, 0, 0]);
    let expected = Samples::U8(vec![3, 2, 1, 6, 5, 4].into());
    assert_eq!(samples(file[14..].to_vec()), expected);
    let mut array = b"BA\x28\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    array.extend(&file);
    array[24] += 14;
    assert_eq!(samples(array), expected);
}

#[test]
fn a_text_is_no_bitmap() {
    let error = testing::read("a", b"BMW and others build cars, and much more than that".to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRecognised);
}

#[test]
fn what_is_written_is_read_again() {
    let profile =
        testing::image(&testing::read("a.png", testing::data("png/paris_icc_exif_xmp.png")).unwrap()).icc.clone();
    for channels in [1, 3, 4] {
        for profile in [None, profile.clone().filter(|_| channels > 1)] {
            let values: Vec<u8> = (0..5 * 3 * channels).map(|index: u8| index.wrapping_mul(7)).collect();
            let mut image = Image::new(5, 3, channels, Samples::U8(values.into())).unwrap();
            if let Some(profile) = profile {
                (image.icc, image.color_space) = (Some(profile), ColorSpace::Icc);
            }
            let mut record = MediaRecord::new(image.clone());
            record.properties.insert("pixels_per_meter".into(), vec![2835, 2834].into());
            let bytes = testing::write(&mut record, "bmp", &[]);
            assert!(record.loss.is_empty(), "{:?}", record.loss);
            let again = testing::read("a.bmp", bytes).unwrap();
            assert_eq!(testing::image(&again), &image);
            assert_eq!(again.properties, record.properties);
            assert_eq!(testing::codes(&again), Vec::<String>::new());
        }
    }
}

#[test]
fn damaged_files_do_no_harm() {
    testing::torture("bmp");
}
