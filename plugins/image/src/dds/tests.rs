use mediary_core::record::ColorSpace;
use mediary_core::{ErrorKind, Strictness};

use super::*;
use crate::testing;

/// Facts that Pillow 13.0.0 states: name, channels, bits, SHA-256 of the RGBA pixels.
const PILLOW: &[(&str, u8, u8, &str)] = &[
    ("24-bit-uncompressed-odd.dds", 3, 8, "e334c1fc018cb7c66f4ca4ad54e024a18382d1f35d040bd2987604f39375a396"),
    ("DXGI_FORMAT_BC7_UNORM_SRGB.dds", 4, 8, "12ac59c4cbaec2c1d85cd2474d72a09b549cbc31cf6eb3ea3bbb1c06049ab37c"),
    ("DXGI_FORMAT_R8G8B8A8_UNORM_SRGB.dds", 4, 8, "12ac59c4cbaec2c1d85cd2474d72a09b549cbc31cf6eb3ea3bbb1c06049ab37c"),
    ("ati1.dds", 1, 8, "917e12b81ca079483c4199b084b3a9d8190bfdad6234ee6e2bd10eccf9f4ead8"),
    ("bc7-simple.dds", 4, 8, "42df857d5871992b37c6b80bd216f724b00aa84e575faf7c81223bfcbe770395"),
    ("dxt1-simple.dds", 4, 8, "7bbfa1971189ed521da3592a0c0d68b0764d3b9c3211e3eac32516801413944b"),
    ("dxt3-simple.dds", 4, 8, "571b2764451a2bb5c5c4cebdd6a62e2e87aeb9020dc062f99183f639c584d8bc"),
    ("dxt5-colorblock-alpha-issue-4142.dds", 4, 8, "30fe6486922af8226e6e5074ad707771fc5f966a162d782d919f528a60234b0b"),
    ("dxt5-simple-odd.dds", 4, 8, "eee557ecd5ef9f6c723145ffba4d1943b25177743eeaf2d61916dc463c6cd077"),
];

fn read(name: &str) -> MediaRecord {
    testing::read(name, testing::data(&format!("dds/{name}"))).unwrap()
}

#[test]
fn pixels_are_those_of_pillow() {
    for &(name, channels, bits, sha256) in PILLOW {
        let record = read(name);
        let image = testing::image(&record);
        assert_eq!((image.channels(), image.source_bits), (channels, bits), "{name}");
        assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
    }
    // And BC6H, of floats.
    assert_eq!(PILLOW.len() + 1, testing::names("dds").len());
}

/// Pillow 13.0.0 cuts the floats of this file off at 0 and 1 and rounds them down to 8 bits.
#[test]
fn floats_of_bc6h_are_those_of_pillow() {
    let record = read("bc6h-simple.dds");
    let image = testing::image(&record);
    assert_eq!((image.channels(), image.color_space, image.source_bits), (3, ColorSpace::Linear, 16));
    let Samples::F32(samples) = image.samples() else { panic!("not floats") };
    let bytes = |pixel: &[f32]| {
        let byte = |sample: f32| (sample.clamp(0.0, 1.0) * 255.0) as u8;
        [byte(pixel[0]), byte(pixel[1]), byte(pixel[2]), 255]
    };
    let rgba: Vec<u8> = samples.chunks_exact(3).flat_map(bytes).collect();
    assert_eq!(testing::sha256(&rgba), "604521752f724a33c18821b899bb3c805e8b78faf61baadd3009b17f6de925d5");
}

#[test]
fn what_is_not_read_is_told() {
    let record = read("ati1.dds");
    assert_eq!((&record.properties["pixel_format"], &record.properties["mipmaps"]), (&"ATI1".into(), &7.into()));
    assert_eq!(testing::codes(&record), ["dds.trailing-bytes", "dds.left-out"]);
    // A cube map, made of a single face.
    let mut cube = testing::data("dds/24-bit-uncompressed-odd.dds");
    cube[113] = 0xFE;
    let record = testing::read("a.dds", cube).unwrap();
    assert_eq!(testing::image(&record).frames, 6);
    assert_eq!(record.properties["faces"], 6);
    assert_eq!(testing::codes(&record), ["dds.missing", "dds.left-out"]);
}

#[test]
fn malformed_files_are_refused() {
    for (name, kind, text) in [
        ("crash-1634.dds", ErrorKind::Malformed, "ends early"),
        ("crash-bomb-32768.dds", ErrorKind::Limit, "pixels: 1073741824"),
        ("unimplemented_pixel_format.dds", ErrorKind::Unsupported, "found"),
    ] {
        let bytes = testing::data(&format!("dds/malformed/{name}"));
        let error = testing::read(name, bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.message().contains(text), "{name}: {error}");
    }
    assert_eq!(testing::names("dds/malformed").len(), 3);
    let mut cut = testing::data("dds/dxt1-simple.dds");
    cut.truncate(1000);
    assert!(testing::read("a.dds", cut.clone()).is_err());
    let record = testing::read_with("a.dds", cut, &testing::strictly(Strictness::Lenient)).unwrap();
    assert_eq!(testing::codes(&record), ["dds.truncated"]);
}

/// A picture of one DXGI format.
fn dxgi(number: u32, width: u32, pixels: &[u8]) -> Samples {
    let mut file = vec![0; 148];
    file[..4].copy_from_slice(b"DDS ");
    for (at, value) in [(4, 124), (12, 1), (16, width), (76, 32), (80, 4), (128, number), (132, 3), (140, 1)] {
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    file[84..88].copy_from_slice(b"DX10");
    file.extend(pixels);
    let record = testing::read("a.dds", file).unwrap();
    testing::image(&record).samples().clone()
}

/// Numbers by the definitions of Direct3D: <https://learn.microsoft.com/en-us/windows/win32/direct3d10/d3d10-graphics-programming-guide-resources-data-conversion>.
#[test]
fn formats_of_dxgi() {
    let floats = |values: &[f32]| Samples::F32(values.to_vec().into());
    assert_eq!(dxgi(54, 1, &0x3C00_u16.to_le_bytes()), floats(&[1.0]));
    assert_eq!(dxgi(41, 1, &0.25_f32.to_le_bytes()), floats(&[0.25]));
    // 1.0, 0.5 and 2.0: exponents 15, 14 and 16.
    assert_eq!(dxgi(26, 1, &(15_u32 << 6 | 14 << 17 | 16 << 27).to_le_bytes()), floats(&[1.0, 0.5, 2.0]));
    // 256 * 2^(e - 24) with e = 16.
    assert_eq!(dxgi(67, 1, &(256_u32 | 128 << 9 | 64 << 18 | 16 << 27).to_le_bytes()), floats(&[1.0, 0.5, 0.25]));
    assert_eq!(dxgi(49, 1, &[7, 9]), Samples::U8(vec![7, 9, 0].into()));
    assert_eq!(dxgi(51, 1, &[0, 0x7F]), Samples::U8(vec![128, 255, 128].into()));
    assert_eq!(dxgi(68, 3, &[1, 2, 3, 4, 5, 6, 7, 8]), Samples::U8(vec![1, 2, 3, 1, 4, 3, 5, 6, 7].into()));
    assert_eq!(dxgi(69, 2, &[2, 1, 4, 3]), Samples::U8(vec![1, 2, 3, 1, 4, 3].into()));
    assert_eq!(dxgi(24, 1, &(0x3FF_u32 | 3 << 30).to_le_bytes()), Samples::U16(vec![65535, 0, 0, 65535].into()));
    assert_eq!(dxgi(115, 1, &0x8F0F_u16.to_le_bytes()), Samples::U8(vec![255, 0, 255, 136].into()));
    assert_eq!(dxgi(65, 1, &[9]), Samples::U8(vec![0, 9].into()));
}

#[test]
fn damaged_files_do_no_harm() {
    // There are bytes behind its picture.
    testing::torture_but("dds", &[("dxt5-colorblock-alpha-issue-4142.dds", 144)]);
}
