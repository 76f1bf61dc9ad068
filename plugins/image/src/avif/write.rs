//! Writes images as AVIF: AV1 by the crate `rav1e`, in a file by `ravif`.

use std::io::Write;

use mediary_core::record::Samples;
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use ravif::{AlphaColorMode, BitDepth, Encoder, Img, RGBA8};

use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[3, 4], eight: true, sixteen: false, float: false, light: Light::Display, profile: false };

/// Pixels a side at most, by the encoder.
const MOST: u32 = 65_535;

/// Bytes that coding takes for a pixel. Measured: 16 for a photograph at quality 80, 45 at 100, 48 for noise at 80. Noise takes 240
/// at 100: no other picture does, and all would have to be refused for it.
const PIXEL_BYTES: u64 = 54;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::image(record)?;
    let (width, height) = (image.width(), image.height());
    if width.max(height) > MOST {
        return Err(Error::unsupported(format!("expected at most {MOST} pixels a side, found {width} x {height}"))
            .with_hint("-o image.width and -o image.height make it smaller"));
    }
    let image = encode::fit(image, &HOLDS, cx)?;
    encode::lose_rest(record, &[], cx);
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let (pixels, quality) = (u64::from(width) * u64::from(height), cx.options().int("quality"));
    cx.lose("coding", pixels, format!("pixels are near to what they were, at quality {quality}"));
    let scratch = (16 << 20) + pixels.saturating_mul(PIXEL_BYTES);
    cx.budget().take(scratch)?;
    cx.checkpoint()?;
    // What is opaque all over is written without alpha.
    let pixel = |pixel: &[u8]| match *pixel {
        [r, g, b, a] => RGBA8 { r, g, b, a },
        [r, g, b, ..] => RGBA8 { r, g, b, a: 255 },
        _ => RGBA8::default(),
    };
    let pixels: Vec<_> = samples.chunks_exact(image.channels().into()).map(pixel).collect();
    let encoder = Encoder::new()
        .with_quality(quality as f32)
        .with_alpha_quality(quality as f32)
        .with_speed(cx.options().int("speed") as u8)
        .with_bit_depth(BitDepth::Eight)
        // Colours stay where nothing is seen of them.
        .with_alpha_color_mode(AlphaColorMode::UnassociatedDirty)
        // Pictures are divided among threads, and then are other bytes on other machines.
        .with_num_threads(Some(1));
    let encoded = encoder.encode_rgba(Img::new(&pixels, width as usize, height as usize));
    let encoded = encoded.map_err(|error| Error::from(std::io::Error::other(error)))?;
    cx.checkpoint()?;
    out.write_all(&encoded.avif_file)?;
    cx.budget().give_back(scratch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use mediary_core::record::{ColorSpace, Image};
    use mediary_core::{ErrorKind, Media, Registry, WriteOptions};

    use super::*;
    use crate::testing;

    /// Slopes with an edge across them.
    fn drawing(width: u32, height: u32, channels: u8) -> Image {
        let mut samples = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for channel in 0..u32::from(channels) {
                let slope = x * (channel + 1) * 40_000 / (width * 4) + y * 20_000 / height;
                samples.push(((slope + if x + y < width / 2 { 5_123 } else { 0 }) >> 8) as u8);
            }
        }
        Image::new(width, height, channels, Samples::U8(samples.into())).unwrap()
    }

    fn written(image: &Image, quality: &str) -> (MediaRecord, MediaRecord) {
        let mut record = MediaRecord::new(image.clone());
        let bytes = testing::write(&mut record, "avif", &[("avif.quality", quality), ("avif.speed", "8")]);
        (record, testing::read("a.avif", bytes).unwrap())
    }

    /// The mean difference of colours and alpha.
    fn error(a: &Image, b: &Image) -> f64 {
        let (a, b) = (testing::rgba8(a), testing::rgba8(b));
        assert_eq!(a.len(), b.len());
        a.iter().zip(&b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn what_is_written_is_read_again() {
        for channels in [1, 2, 3, 4] {
            let image = drawing(61, 40, channels);
            for (quality, most) in [("100", 0.6), ("80", 1.5)] {
                let (record, again) = written(&image, quality);
                let again = testing::image(&again);
                assert_eq!((again.width(), again.height()), (61, 40));
                assert_eq!(again.channels(), if channels < 3 { channels + 2 } else { channels });
                assert_eq!((again.source_bits, again.color_space), (8, ColorSpace::Srgb));
                let error = error(&image, again);
                assert!(error < most, "{channels} channels at {quality}: {error:.3}");
                let codes: Vec<_> = record.loss.iter().map(|loss| loss.code.as_ref()).collect();
                assert_eq!(codes, ["avif.coding"]);
            }
        }
        let deep = Image::new(4, 1, 1, Samples::U16(vec![0, 100, 257, 65535].into())).unwrap();
        let codes: Vec<_> =
            written(&deep, "80").0.loss.iter().map(|loss| (loss.code.to_string(), loss.count)).collect();
        assert_eq!(codes, [("avif.depth".to_owned(), 1), ("avif.coding".to_owned(), 4)]);
    }

    #[test]
    fn colors_stay_where_they_are_clear() {
        let Samples::U8(samples) = drawing(64, 64, 4).samples().clone() else { panic!("expected bytes") };
        let clear = samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 0]).collect();
        let image = Image::new(64, 64, 4, Samples::U8(clear)).unwrap();
        let again = written(&image, "100").1;
        let again = testing::image(&again);
        assert!(error(&image, again) < 0.6);
        assert!(testing::rgba8(again).chunks_exact(4).all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn sizes_are_any_up_to_those_of_the_encoder() {
        for (width, height) in [(1, 1), (1, 9), (5000, 2), (3, 4500)] {
            let image = drawing(width, height, 3);
            let again = written(&image, "90").1;
            assert!(error(&image, testing::image(&again)) < 3.0, "{width} x {height}");
        }
        let mut long = MediaRecord::new(Image::new(65_536, 1, 1, Samples::U8(vec![0; 65_536].into())).unwrap());
        let mut out = Output::memory();
        let error = Registry::builtin().write(&mut long, "avif", &mut out, &WriteOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }

    #[test]
    fn a_clip_gives_its_first_frame() {
        let mut record = testing::read("a.avif", testing::data("avif/animated-alpha.avif")).unwrap();
        let bytes = testing::write(&mut record, "avif", &[]);
        let again = testing::read("a.avif", bytes).unwrap();
        let image = testing::image(&again);
        assert_eq!((image.width(), image.height(), image.channels()), (40, 24, 4));
        assert!(record.loss.iter().any(|loss| loss.code == "avif.frames" && loss.count == 2), "{:?}", record.loss);
    }

    #[test]
    fn memory_is_taken_before_it_is_needed() {
        let mut record = MediaRecord::new(drawing(64, 64, 3));
        let mut options = WriteOptions::default();
        options.limits.alloc_bytes = 1 << 20;
        let error = Registry::builtin().write(&mut record, "avif", &mut Output::memory(), &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("alloc_bytes"), "{error}");
    }

    #[test]
    fn it_is_kept_as_nothing() {
        for samples in [Samples::U8([0].into()), Samples::U16([0].into()), Samples::F32([0.0].into())] {
            let media = Media::Image(Image::new(1, 1, 1, samples).unwrap());
            assert_ne!(Registry::builtin().canonical(&media).unwrap().id, "avif");
        }
        let clip = testing::read("a.avif", testing::data("avif/animated-alpha.avif")).unwrap();
        assert!(Registry::builtin().canonical(&clip.media).is_none_or(|info| info.id != "avif"));
    }
}
