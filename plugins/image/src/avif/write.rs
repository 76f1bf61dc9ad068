//! Writes images as AVIF: AV1 by the crate `rav1e`, in a file by `ravif`.

use std::io::Write;

use mediary_core::record::Samples;
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use ravif::{AlphaColorMode, Encoder, MatrixCoefficients, PixelRange};

use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: true, float: false, light: Light::Display, profile: false };

/// Pixels a side at most, by the encoder.
const MOST: u32 = 65_535;

/// Shares of red and blue in luma: BT.601, which is what is assumed of files that do not say.
const RED: f32 = 0.299;
const BLUE: f32 = 0.114;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::image(record)?;
    let (width, height) = (image.width(), image.height());
    if width.max(height) > MOST {
        return Err(Error::unsupported(format!("expected at most {MOST} pixels a side, found {width} x {height}"))
            .with_hint("-o image.width and -o image.height make it smaller"));
    }
    let image = encode::fit(image, &HOLDS, cx)?;
    encode::lose_rest(record, &[], cx);
    let (pixels, quality) = (u64::from(width) * u64::from(height), cx.options().int("quality"));
    cx.lose("coding", pixels, format!("pixels are near to what they were, at quality {quality}"));
    let scratch = memory(pixels, matches!(image.samples(), Samples::U16(_)));
    cx.budget().take(scratch)?;
    cx.checkpoint()?;
    let encoder = Encoder::new()
        .with_quality(quality as f32)
        .with_alpha_quality(quality as f32)
        .with_speed(cx.options().int("speed") as u8)
        // Colours stay where nothing is seen of them.
        .with_alpha_color_mode(AlphaColorMode::UnassociatedDirty)
        // Pictures are divided among threads, and then are other bytes on other machines.
        .with_num_threads(Some(1));
    let (across, down, channels) = (width as usize, height as usize, usize::from(image.channels()));
    let alpha = matches!(channels, 2 | 4).then_some(channels - 1);
    let (range, matrix) = (PixelRange::Full, MatrixCoefficients::BT601);
    let encoded = match image.samples() {
        Samples::U8(samples) => {
            let rows = samples.chunks_exact(channels);
            let alpha = alpha.map(|at| rows.clone().map(move |pixel| pixel[at]));
            let planes = rows.map(|pixel| coded(pixel, 255.0, 255.0).map(|value| value as u8));
            encoder.encode_raw_planes_8_bit(across, down, planes, alpha, range, matrix)
        }
        Samples::U16(samples) => {
            let rounded = samples.iter().filter(|sample| sixteen(ten(**sample)) != **sample).count();
            cx.lose("depth", rounded as u64, "16-bit samples are rounded to 10 bits");
            let rows = samples.chunks_exact(channels);
            let alpha = alpha.map(|at| rows.clone().map(move |pixel| ten(pixel[at])));
            let planes = rows.map(|pixel| coded(pixel, 65535.0, 1023.0).map(|value| value as u16));
            encoder.encode_raw_planes_10_bit(across, down, planes, alpha, range, matrix)
        }
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    };
    let encoded = encoded.map_err(|error| Error::from(std::io::Error::other(error)))?;
    cx.checkpoint()?;
    out.write_all(&encoded.avif_file)?;
    cx.budget().give_back(scratch);
    Ok(())
}

/// Bytes that coding takes. Measured in 8 bits: 16 for each pixel of a photograph at quality 80, 45 at 100, 48 for noise at 80; in 16
/// bits with alpha 24 at 80. Noise takes 240 at 100: no other picture does, and all would have to be refused for it.
fn memory(pixels: u64, is_deep: bool) -> u64 {
    (16 << 20) + pixels.saturating_mul(if is_deep { 75 } else { 50 })
}

/// Luma and chroma of a pixel whose samples end with `from`, in those of a full range that ends with `most`.
fn coded<T: Copy + Into<f32>>(pixel: &[T], from: f32, most: f32) -> [f32; 3] {
    let [r, g, b] = match *pixel {
        [r, g, b, ..] => [r, g, b].map(Into::into),
        [gray, ..] => [gray.into(); 3],
        [] => [0.0; 3],
    };
    let luma = RED * r + (1.0 - RED - BLUE) * g + BLUE * b;
    let middle = (most + 1.0) / 2.0;
    let chroma = |color: f32, share: f32| (color - luma) / (2.0 * (1.0 - share)) * most / from + middle;
    [luma * most / from, chroma(b, BLUE), chroma(r, RED)].map(|value| value.round().clamp(0.0, most))
}

/// 16 bits as 10.
fn ten(sample: u16) -> u16 {
    ((u32::from(sample) * 1023 + 32767) / 65535) as u16
}

/// 10 bits as 16, as they are read.
fn sixteen(sample: u16) -> u16 {
    ((u32::from(sample) * 65535 + 511) / 1023) as u16
}

#[cfg(test)]
mod tests {
    use mediary_core::record::{ColorSpace, Image};
    use mediary_core::{ErrorKind, Media, Registry, WriteOptions};

    use super::*;
    use crate::testing;

    /// Slopes with an edge across them.
    fn drawing(width: u32, height: u32, channels: u8, is_deep: bool) -> Image {
        let mut samples = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for channel in 0..u32::from(channels) {
                let slope = x * (channel + 1) * 40_000 / (width * 4) + y * 20_000 / height;
                samples.push((slope + if x + y < width / 2 { 5_123 } else { 0 }) as u16);
            }
        }
        let samples = match is_deep {
            true => Samples::U16(samples.into()),
            false => Samples::U8(samples.iter().map(|sample| (sample >> 8) as u8).collect()),
        };
        Image::new(width, height, channels, samples).unwrap()
    }

    fn written(image: &Image, quality: &str) -> (MediaRecord, MediaRecord) {
        let mut record = MediaRecord::new(image.clone());
        let bytes = testing::write(&mut record, "avif", &[("avif.quality", quality), ("avif.speed", "8")]);
        (record, testing::read("a.avif", bytes).unwrap())
    }

    /// Samples in 255ths, of gray in so many channels.
    fn values(image: &Image, channels: u8) -> Vec<f64> {
        let all: Vec<f64> = match image.samples() {
            Samples::U8(samples) => samples.iter().map(|sample| f64::from(*sample)).collect(),
            Samples::U16(samples) => samples.iter().map(|sample| f64::from(*sample) / 257.0).collect(),
            _ => panic!("expected whole numbers"),
        };
        let pixels = all.chunks_exact(image.channels().into());
        pixels
            .flat_map(|pixel| match *pixel {
                [gray] if channels == 3 => vec![gray; 3],
                [gray, alpha] if channels == 4 => vec![gray, gray, gray, alpha],
                _ => pixel.to_vec(),
            })
            .collect()
    }

    fn error(a: &Image, b: &Image) -> f64 {
        let (a, b) = (values(a, b.channels()), values(b, b.channels()));
        assert_eq!(a.len(), b.len());
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (channels, is_deep) in [1, 2, 3, 4].into_iter().flat_map(|channels| [(channels, false), (channels, true)]) {
            let image = drawing(61, 40, channels, is_deep);
            for (quality, most) in [("100", 0.6), ("80", 1.5)] {
                let (record, again) = written(&image, quality);
                let again = testing::image(&again);
                assert_eq!((again.width(), again.height()), (61, 40));
                assert_eq!(again.channels(), if channels < 3 { channels + 2 } else { channels });
                assert_eq!((again.source_bits, again.color_space), (if is_deep { 10 } else { 8 }, ColorSpace::Srgb));
                let error = error(&image, again);
                assert!(error < most, "{channels} channels at {quality}, deep {is_deep}: {error:.3}");
                if channels < 3 {
                    let values = values(again, again.channels());
                    let mut pixels = values.chunks_exact(again.channels().into());
                    assert!(pixels.all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]), "gray got a hue");
                }
                let codes: Vec<_> = record.loss.iter().map(|loss| loss.code.as_ref()).collect();
                assert_eq!(codes, if is_deep { vec!["avif.coding", "avif.depth"] } else { vec!["avif.coding"] });
            }
        }
    }

    #[test]
    fn ten_bits_stay() {
        let samples: Vec<_> = (0..1024_u16).map(sixteen).collect();
        assert!((0..1024).zip(&samples).all(|(value, wide)| ten(*wide) == value));
        let image = Image::new(32, 32, 1, Samples::U16(samples.into())).unwrap();
        assert!(written(&image, "80").0.loss.iter().all(|loss| loss.code != "avif.depth"));
    }

    #[test]
    fn colors_stay_where_they_are_clear() {
        let Samples::U8(samples) = drawing(64, 64, 4, false).samples().clone() else { panic!("expected bytes") };
        let clear = samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 0]).collect();
        let image = Image::new(64, 64, 4, Samples::U8(clear)).unwrap();
        let again = written(&image, "100").1;
        let again = testing::image(&again);
        assert!(error(&image, again) < 0.6);
        assert!(values(again, 4).chunks_exact(4).all(|pixel| pixel[3] == 0.0));
    }

    #[test]
    fn sizes_are_any_up_to_those_of_the_encoder() {
        for (width, height) in [(1, 1), (1, 9), (5000, 2), (3, 4500)] {
            let image = drawing(width, height, 3, false);
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
        let mut record = MediaRecord::new(drawing(64, 64, 3, false));
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
