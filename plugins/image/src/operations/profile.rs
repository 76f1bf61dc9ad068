//! Colour profiles: from the space that a picture's profile describes to sRGB.

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Location, Result};
use moxcms::{ColorProfile, Layout, ProfileText, TransformExecutor, TransformOptions};
use serde_json::{Value, json};

use super::replace;

/// Pixels between two looks at the clock.
const STEP: usize = 1 << 18;

/// Levels to a channel at which a profile is compared with sRGB.
const PROBES: u32 = 9;

/// What the profile calls itself, and its size.
pub(super) fn described(image: &Image) -> Option<Value> {
    let bytes = image.icc.as_ref()?;
    let name = ColorProfile::new_from_slice(bytes).ok().and_then(|profile| match profile.description? {
        ProfileText::PlainString(text) => Some(text),
        ProfileText::Localizable(texts) => {
            let english = texts.iter().find(|text| text.language == "en");
            english.or(texts.first()).map(|text| text.value.clone())
        }
        ProfileText::Description(text) if !text.ascii_string.is_empty() => Some(text.ascii_string),
        ProfileText::Description(text) => Some(text.unicode_string),
    });
    Some(json!({"name": name.map(|name| name.trim_end_matches('\0').to_owned()), "bytes": bytes.len()}))
}

/// Converts the pixels to sRGB and drops the profile.
pub(super) fn to_srgb(image: &mut Image, cx: &Context) -> Result<()> {
    let Some(bytes) = image.icc.take().filter(|_| image.color_space == ColorSpace::Icc) else { return Ok(()) };
    image.color_space = ColorSpace::Srgb;
    // Their tables are unpacked to floats.
    cx.budget().take(bytes.len() as u64 * 8)?;
    let converted = ColorProfile::new_from_slice(&bytes).and_then(|profile| Conversion::new(&profile, image));
    cx.budget().give_back(bytes.len() as u64 * 8);
    match converted {
        Ok(Some(conversion)) => conversion.run(image, cx),
        Ok(None) => Ok(()),
        Err(error) => {
            let text = format!("the colour profile is left out, its pixels are taken as sRGB: {error:?}");
            cx.tolerate("icc", text, Location::element("icc"))
        }
    }
}

/// One executor for the samples there are.
enum Conversion {
    Eight(std::sync::Arc<dyn TransformExecutor<u8> + Send + Sync>),
    Sixteen(std::sync::Arc<dyn TransformExecutor<u16> + Send + Sync>),
    Float(std::sync::Arc<dyn TransformExecutor<f32> + Send + Sync>),
}

impl Conversion {
    /// `None` where the profile is that of sRGB.
    fn new(profile: &ColorProfile, image: &Image) -> Result<Option<Self>, moxcms::CmsError> {
        // The codes of CICP contradict the curves in profiles of version 2 and early 4.
        let options = TransformOptions { allow_use_cicp_transfer: false, ..TransformOptions::default() };
        let (from, to) = match image.channels() {
            1 => (Layout::Gray, Layout::Rgb),
            2 => (Layout::GrayAlpha, Layout::Rgba),
            3 => (Layout::Rgb, Layout::Rgb),
            _ => (Layout::Rgba, Layout::Rgba),
        };
        let srgb = ColorProfile::new_srgb();
        let eight = profile.create_transform_8bit(from, &srgb, to, options)?;
        if is_nothing(&*eight, from)? {
            return Ok(None);
        }
        Ok(Some(match image.samples() {
            Samples::U8(_) => Self::Eight(eight),
            Samples::U16(_) => Self::Sixteen(profile.create_transform_16bit(from, &srgb, to, options)?),
            _ => Self::Float(profile.create_transform_f32(from, &srgb, to, options)?),
        }))
    }

    fn run(&self, image: &mut Image, cx: &Context) -> Result<()> {
        let samples = match (self, image.samples()) {
            (Self::Eight(run), Samples::U8(samples)) => Samples::U8(convert(&**run, samples, image, cx)?.into()),
            (Self::Sixteen(run), Samples::U16(samples)) => Samples::U16(convert(&**run, samples, image, cx)?.into()),
            (Self::Float(run), Samples::F32(samples)) => Samples::F32(convert(&**run, samples, image, cx)?.into()),
            _ => return Ok(()),
        };
        let (width, height, channels) = (image.width(), image.height(), image.channels());
        let old = image.samples().len() as u64 * u64::from(image.samples().bits() / 8);
        replace(image, width, height, channels, samples)?;
        cx.budget().give_back(old);
        Ok(())
    }
}

fn convert<T: Copy + Default + Clone>(
    run: &dyn TransformExecutor<T>,
    samples: &[T],
    image: &Image,
    cx: &Context,
) -> Result<Vec<T>> {
    let channels = usize::from(image.channels());
    cx.budget().take(size_of_val(samples) as u64)?;
    let mut all = vec![T::default(); samples.len()];
    // Gray comes out as red, green and blue, which are the same.
    let wide = if channels < 3 { channels + 2 } else { channels };
    let mut scratch = vec![T::default(); if wide == channels { 0 } else { STEP * wide }];
    for (from, to) in samples.chunks(STEP * channels).zip(all.chunks_mut(STEP * channels)) {
        cx.checkpoint()?;
        let target = if wide == channels { &mut to[..] } else { &mut scratch[..from.len() / channels * wide] };
        run.transform(from, target)
            .map_err(|error| mediary_core::Error::malformed(format!("the colour profile cannot be used: {error:?}")))?;
        if wide != channels {
            for (to, from) in to.chunks_exact_mut(channels).zip(scratch.chunks_exact(wide)) {
                to[0] = from[0];
                if channels == 2 {
                    to[1] = from[3];
                }
            }
        }
    }
    Ok(all)
}

/// Whether a grid of colours comes out as it went in, but for rounding.
fn is_nothing(run: &dyn TransformExecutor<u8>, from: Layout) -> Result<bool, moxcms::CmsError> {
    let level = |at: u32| (at * 255 / (PROBES - 1)) as u8;
    let (width, colors): (usize, Vec<[u8; 3]>) = match from {
        Layout::Gray => (1, (0..PROBES * PROBES).map(|at| [(at * 255 / (PROBES * PROBES - 1)) as u8; 3]).collect()),
        Layout::GrayAlpha => {
            (2, (0..PROBES * PROBES).map(|at| [(at * 255 / (PROBES * PROBES - 1)) as u8; 3]).collect())
        }
        other => {
            let grid = (0..PROBES.pow(3)).map(|at| [level(at / 81), level(at / 9 % 9), level(at % 9)]);
            (if other == Layout::Rgb { 3 } else { 4 }, grid.collect())
        }
    };
    let put = |color: &[u8; 3], width: usize| match width {
        1 => vec![color[0]],
        2 => vec![color[0], 255],
        3 => color.to_vec(),
        _ => vec![color[0], color[1], color[2], 255],
    };
    let wide = if width < 3 { width + 2 } else { width };
    let source: Vec<u8> = colors.iter().flat_map(|color| put(color, width)).collect();
    let expected: Vec<u8> = colors.iter().flat_map(|color| put(color, wide)).collect();
    let mut found = vec![0; expected.len()];
    run.transform(&source, &mut found)?;
    Ok(found.iter().zip(&expected).all(|(found, expected)| found.abs_diff(*expected) <= 1))
}
