//! Writes images and animations as lossless WebP.

use std::io::{Seek, SeekFrom, Write};

use image_webp::{ColorType, EncodingError, WebPEncoder};
use mediary_core::record::{Image, Samples, Video};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use serde_json::Value;

use crate::encode::{self, Holds, Light, Lost};

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: false, float: false, light: Light::Display, profile: true };

/// Pixels a side at most.
const MOST: u32 = 16_384;

/// Milliseconds of a frame at most.
const LONGEST: f64 = 16_777_215.0;

pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let is_video = matches!(record.media, Media::Video(_));
    encode::lose_rest(record, if is_video { &["xmp", "loop_count"] } else { &["xmp"] }, cx);
    let xmp = record.properties.get("xmp").and_then(Value::as_str).map(str::to_owned);
    let loops = record.properties.get("loop_count").and_then(Value::as_u64).unwrap_or(0).min(65_535) as u16;
    match &mut record.media {
        Media::Image(image) => {
            let mut lost = Lost::default();
            let image = encode::fitted(image, &HOLDS, &mut lost, cx)?;
            lost.tell(cx);
            encode(&image, xmp, out, cx)
        }
        Media::Video(video) => write_frames(video, xmp, loops, out, cx),
        other => Err(Error::unsupported(format!("expected an image or a video, found {}", other.kind()))),
    }
}

fn encode(image: &Image, xmp: Option<String>, out: &mut dyn Write, cx: &Context) -> Result<()> {
    let (width, height) = (image.width(), image.height());
    if width.max(height) > MOST {
        return Err(Error::unsupported(format!("expected at most {MOST} pixels a side, found {width} x {height}"))
            .with_hint("-o image.width and -o image.height make it smaller"));
    }
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let color = match image.channels() {
        1 => ColorType::L8,
        2 => ColorType::La8,
        3 => ColorType::Rgb8,
        _ => ColorType::Rgba8,
    };
    // Transformed pixels, and what is written of them.
    let scratch = u64::from(width) * u64::from(height) * 12;
    cx.budget().take(scratch)?;
    cx.checkpoint()?;
    let mut encoder = WebPEncoder::new(out);
    if let Some(profile) = &image.icc {
        encoder.set_icc_profile(profile.clone());
    }
    if let Some(xmp) = xmp {
        encoder.set_xmp_metadata(xmp.into_bytes());
    }
    encoder.encode(samples, width, height, color).map_err(|error| match error {
        EncodingError::IoError(error) => error.into(),
        other => Error::from(std::io::Error::other(other)),
    })?;
    cx.budget().give_back(scratch);
    Ok(())
}

/// Writes the frames of a video, each as a whole picture.
fn write_frames(video: &mut Video, xmp: Option<String>, loops: u16, out: &mut Output, cx: &Context) -> Result<()> {
    cx.lose("tracks", (video.tracks.len() as u64).saturating_sub(1), "tracks other than the first pictures");
    let Some(frames) = &mut video.frames else {
        return Err(Error::unsupported(format!("expected decoded frames, found only {}", video.container))
            .with_hint("no decoder for this video is built in; convert it with ffmpeg"));
    };
    let (mut lost, mut delays, mut size) = (Lost::default(), 0, None);
    let start = out.stream_position()?;
    while let Some(frame) = frames.next_chunk()? {
        cx.checkpoint()?;
        let taken = cx.budget().taken();
        let image = encode::fitted(&frame.image, &HOLDS, &mut lost, cx)?;
        let (width, height) = (image.width(), image.height());
        if *size.get_or_insert((width, height)) != (width, height) {
            let (wide, high) = size.unwrap_or_default();
            return Err(Error::unsupported(format!(
                "expected frames of one size, {wide} x {high}, found {width} x {height}"
            )));
        }
        let mut file = Vec::new();
        encode(&image, None, &mut file, cx)?;
        if out.stream_position()? == start {
            begin(out, &image, xmp.is_some(), loops)?;
        }
        let wanted = frame.duration_seconds * 1000.0;
        let delay = wanted.round().clamp(1.0, LONGEST);
        delays += u64::from((delay - wanted).abs() > 1e-6);
        // Behind the profile, if there is one, stands the picture.
        let picture = pixels(&file);
        let mut head = vec![0; 6];
        for number in [width - 1, height - 1, delay as u32] {
            head.extend_from_slice(&number.to_le_bytes()[..3]);
        }
        // Nothing is cleared, nothing shines through.
        head.push(2);
        chunk(out, *b"ANMF", &[&head, picture])?;
        cx.budget().give_back(cx.budget().taken().saturating_sub(taken));
    }
    if size.is_none() {
        return Err(Error::unsupported("expected a frame, found a video without any"));
    }
    if let Some(xmp) = xmp {
        chunk(out, *b"XMP ", &[xmp.as_bytes()])?;
    }
    let end = out.stream_position()?;
    let length = u32::try_from(end - start - 8).map_err(|_| Error::limit("output_bytes", end, u64::from(u32::MAX)))?;
    out.seek(SeekFrom::Start(start + 4))?;
    out.write_all(&length.to_le_bytes())?;
    out.seek(SeekFrom::Start(end))?;
    lost.tell(cx);
    cx.lose("delay", delays, "durations are rounded to milliseconds, of 1 to 16777215");
    Ok(())
}

/// Writes what comes before the frames. The length follows at the end.
fn begin(out: &mut Output, image: &Image, has_xmp: bool, loops: u16) -> Result<()> {
    const ANIMATION: u8 = 2;
    const XMP: u8 = 4;
    const ALPHA: u8 = 0x10;
    const PROFILE: u8 = 0x20;
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = ANIMATION
        | flag(has_xmp, XMP)
        | flag(matches!(image.channels(), 2 | 4), ALPHA)
        | flag(image.icc.is_some(), PROFILE);
    out.write_all(b"RIFF\0\0\0\0WEBP")?;
    let (width, height) = ((image.width() - 1).to_le_bytes(), (image.height() - 1).to_le_bytes());
    chunk(out, *b"VP8X", &[&[flags, 0, 0, 0], &width[..3], &height[..3]])?;
    if let Some(profile) = &image.icc {
        chunk(out, *b"ICCP", &[profile])?;
    }
    chunk(out, *b"ANIM", &[&[0; 4], &loops.to_le_bytes()])
}

/// The chunk VP8L of a file, header and padding with it.
fn pixels(file: &[u8]) -> &[u8] {
    let mut rest = file.get(12..).unwrap_or_default();
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (chunk, after) = rest.split_at((8 + length + length % 2).min(rest.len()));
        if head.starts_with(b"VP8L") {
            return chunk;
        }
        rest = after;
    }
    &[]
}

fn chunk(out: &mut Output, kind: [u8; 4], parts: &[&[u8]]) -> Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.write_all(&kind)?;
    out.write_all(&(length as u32).to_le_bytes())?;
    for part in parts {
        out.write_all(part)?;
    }
    if length % 2 == 1 {
        out.write_all(&[0])?;
    }
    Ok(())
}
