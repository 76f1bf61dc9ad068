//! Pixels are those that were packed without loss, as Pillow 13.0.0 reads them, and those of djxl 0.7.0, see
//! `tests/data/jxl/README.md`.

use mediary_core::{Registry, Source};

use crate::testing;

#[test]
fn it_is_known_by_its_content_whatever_is_built_in() {
    for name in testing::names("jxl") {
        let source = Source::from_bytes("", testing::data(&format!("jxl/{name}")));
        assert_eq!(Registry::builtin().detect(&source).winner(false).ok(), Some("jxl"), "{name}");
    }
}

#[cfg(feature = "jxl")]
mod with_the_decoder {
    use mediary_core::record::{ColorSpace, Samples};
    use mediary_core::{ErrorKind, Media, MediaRecord, ReadOptions, Result};

    use super::*;

    fn read(name: &str) -> Result<MediaRecord> {
        testing::read("a.jxl", testing::data(&format!("jxl/{name}")))
    }

    /// SHA-256 of the RGBA pixels that were packed.
    const PACKED: &[(&str, u8, &str)] = &[
        ("rgb.jxl", 3, "31146aea2efe67f2539fab36d873472ce773ca515df045ffa647871ba9083c61"),
        ("rgba.jxl", 4, "2f6c4397a85b667f15bed22b8f81c432b3db3e5c49c1af606d8eb06ac81ae547"),
        ("gray.jxl", 1, "dbe478f9152b5858730599602a440f2fc4de8d8fb589464f09e19426617e0b84"),
    ];

    #[test]
    fn pixels_without_loss_are_those_that_were_packed() {
        for &(name, channels, sha256) in PACKED {
            let record = read(name).unwrap();
            let image = testing::image(&record);
            assert_eq!(
                (image.channels(), image.source_bits, image.color_space),
                (channels, 8, ColorSpace::Srgb),
                "{name}"
            );
            assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
            assert_eq!(testing::codes(&record), [""; 0], "{name}");
        }
        let record = read("rgb16.jxl").unwrap();
        let Samples::U16(samples) = testing::image(&record).samples() else { panic!("expected 16 bits") };
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        assert_eq!(testing::sha256(&bytes), "6009af6f39f6a79061179063eaeda9bd35c5be0d9ab076c741bc7440b81f0b82");
    }

    #[test]
    fn pixels_with_loss_are_near_those_of_djxl() {
        for (name, width, height, expected) in [
            ("lossy.jxl", 48, 32, [132.617, 122.553, 88.625, 255.0]),
            ("exif.jxl", 32, 48, [130.409, 122.333, 88.61, 255.0]),
            ("jpeg.jxl", 32, 48, [130.501, 122.32, 88.709, 255.0]),
        ] {
            let record = read(name).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height()), (width, height), "{name}");
            assert_eq!(image.orientation_applied, name != "lossy.jxl", "{name}");
            for (found, expected) in testing::means(&testing::rgba8(image)).iter().zip(expected) {
                assert!((found - expected).abs() < 0.5, "{name}: {found:.3} for {expected}");
            }
        }
        // The block is packed by Brotli.
        assert_eq!(read("jpeg.jxl").unwrap().properties["exif"]["orientation"], 6);
        let record = read("exif.jxl").unwrap();
        let djxl = "83d68bb58638b39ec4b839be060d23dd9ee12e53121f2456381fa50a76e2c031";
        assert_eq!(testing::sha256(&testing::rgba8(testing::image(&record))), djxl);
    }

    #[test]
    fn an_animation_is_what_was_packed() {
        let mut record = read("anim.jxl").unwrap();
        let Media::Video(video) = &mut record.media else { panic!("expected a video") };
        let mut frames = Vec::new();
        while let Some(frame) = video.frames.as_mut().unwrap().next_chunk().unwrap() {
            frames.push((frame.duration_seconds, testing::sha256(&testing::rgba8(&frame.image))));
        }
        let expected = [
            (0.04, "94b0aec232853b0d9afb62c840c706cd5ee3883137a378e89f089b5adee8a262"),
            (0.08, "963d3535ab055f4e61764b8283ba81754679f54fc285870eb16e8af54f5df74d"),
            (0.12, "cedc601496480a1350438ceca90630194e872d1c4faaa1aea7ef6ca961a093dd"),
        ];
        assert_eq!(frames, expected.map(|(seconds, hash)| (seconds, hash.to_owned())));
    }

    #[test]
    fn malformed_files_are_told_and_limits_hold() {
        let error = read("malformed/truncated.jxl").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        for (name, value) in [("pixels", 1000), ("alloc_bytes", 10_000)] {
            let mut options = ReadOptions::default();
            options.limits.set(name, value);
            let error = testing::read_with("a.jxl", testing::data("jxl/rgb.jxl"), &options).unwrap_err();
            assert_eq!(error.limit_name(), Some(name));
        }
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("jxl");
    }
}
