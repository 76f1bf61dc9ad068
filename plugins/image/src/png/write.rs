//! Writes images as PNG.

use std::io::{Error as IoError, Write};

use mediary_core::record::{ColorSpace, Image, Samples, Video};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use png::text_metadata::ITXtChunk;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Info};
use serde_json::Value;

use super::animation::Joiner;
use crate::encode::{self, Holds, Light, Lost};

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: true, float: false, light: Light::Stated, profile: true };

pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let notes = Notes::of(record, cx);
    match &mut record.media {
        Media::Image(image) => {
            let mut lost = Lost::default();
            encode_picture(image, notes, out, &mut lost, cx)?;
            lost.tell(cx);
            Ok(())
        }
        Media::Video(video) => write_frames(video, notes, out, cx),
        other => Err(Error::unsupported(format!("expected an image or a video, found {}", other.kind()))),
    }
}

/// What is written beside pixels.
#[derive(Clone, Default)]
struct Notes {
    texts: Vec<ITXtChunk>,
    plays: u32,
}

impl Notes {
    fn of(record: &MediaRecord, cx: &Context) -> Self {
        let mut notes = Self::default();
        let mut untold = 0;
        let texts = record.properties.get("text").and_then(Value::as_object);
        for (keyword, text) in texts.into_iter().flatten() {
            let legal = !keyword.is_empty() && keyword.len() < 80 && keyword.is_ascii();
            match text {
                Value::String(text) if legal => notes.texts.push(ITXtChunk::new(keyword.as_str(), text.as_str())),
                _ => untold += 1,
            }
        }
        if let Some(Value::String(xmp)) = record.properties.get("xmp") {
            notes.texts.push(ITXtChunk::new(super::XMP, xmp.as_str()));
        }
        let plays =
            record.properties.get("loop_count").and_then(Value::as_u64).and_then(|plays| u32::try_from(plays).ok());
        notes.plays = plays.unwrap_or(0);
        let is_video = matches!(record.media, Media::Video(_));
        encode::lose_rest(record, if is_video { &["text", "xmp", "loop_count"] } else { &["text", "xmp"] }, cx);
        cx.lose("text", untold, "texts with a keyword that PNG cannot hold");
        notes
    }
}

/// Writes the frames of a video, each as a picture of its own.
fn write_frames(video: &mut Video, mut notes: Notes, out: &mut Output, cx: &Context) -> Result<()> {
    cx.lose("tracks", (video.tracks.len() as u64).saturating_sub(1), "tracks other than the first pictures");
    let Some(frames) = &mut video.frames else {
        return Err(Error::unsupported(format!("expected decoded frames, found only {}", video.container))
            .with_hint("no decoder for this video is built in; convert it with ffmpeg"));
    };
    let mut joiner = Joiner::new(out, notes.plays);
    let (mut lost, mut delays, mut first) = (Lost::default(), 0, None);
    while let Some(frame) = frames.next_chunk()? {
        cx.checkpoint()?;
        let size = (frame.image.width(), frame.image.height());
        let layout = (size, frame.image.channels(), frame.image.samples().bits());
        if *first.get_or_insert(layout) != layout {
            return Err(Error::unsupported(format!(
                "expected frames of one size, number of channels and depth, found {:?} and {layout:?}",
                first.unwrap_or(layout)
            )));
        }
        let wanted = frame.duration_seconds * 1000.0;
        let delay = wanted.round().clamp(1.0, f64::from(u16::MAX));
        delays += u64::from((delay - wanted).abs() > 1e-6);
        let mut bytes = Vec::new();
        let scratch = frame.image.samples().len() as u64 * u64::from(frame.image.samples().bits() / 8);
        cx.budget().take(scratch)?;
        let taken = cx.budget().taken();
        encode_picture(&frame.image, std::mem::take(&mut notes), &mut bytes, &mut lost, cx)?;
        joiner.add(&bytes, size, delay as u16)?;
        cx.budget().give_back(scratch + cx.budget().taken().saturating_sub(taken));
    }
    if first.is_none() {
        return Err(Error::unsupported("expected a frame, found a video without any"));
    }
    lost.tell(cx);
    cx.lose("delay", delays, "durations are rounded to milliseconds, of 1 to 65535");
    joiner.finish()
}

/// Encodes one picture.
fn encode_picture(image: &Image, notes: Notes, out: &mut dyn Write, lost: &mut Lost, cx: &Context) -> Result<()> {
    let image = encode::fitted(image, &HOLDS, lost, cx)?;
    let mut info = Info::with_size(image.width(), image.height());
    info.color_type = match image.channels() {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    info.bit_depth = if matches!(image.samples(), Samples::U8(_)) { BitDepth::Eight } else { BitDepth::Sixteen };
    match (&image.icc, image.color_space) {
        (Some(profile), ColorSpace::Icc) => info.icc_profile = Some(profile.into()),
        (_, ColorSpace::Linear) => info.source_gamma = Some(png::ScaledFloat::from_scaled(100_000)),
        (_, ColorSpace::Srgb) => info.srgb = Some(png::SrgbRenderingIntent::Perceptual),
        _ => {}
    }
    info.utf8_text = notes.texts;
    let mut encoder = Encoder::with_info(out, info).map_err(unwritten)?;
    encoder.set_compression(match cx.options().text("level") {
        "best" => Compression::High,
        "default" => Compression::Balanced,
        _ => Compression::Fast,
    });
    let mut writer = encoder.write_header().map_err(unwritten)?;
    cx.checkpoint()?;
    match image.samples() {
        Samples::U8(samples) => writer.write_image_data(samples),
        Samples::U16(samples) => {
            cx.budget().take(samples.len() as u64 * 2)?;
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            cx.budget().give_back(samples.len() as u64 * 2);
            writer.write_image_data(&bytes)
        }
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    }
    .map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

fn unwritten(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => error.into(),
        other => IoError::other(other).into(),
    }
}
