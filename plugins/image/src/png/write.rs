//! Writes images as PNG.

use std::io::{Error as IoError, Write};

use mediary_core::record::{ColorSpace, Image, Samples, Video};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use png::chunk::IDAT;
use png::text_metadata::ITXtChunk;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Info, Writer};
use serde_json::Value;

use super::animation::Joiner;
use super::deflate::Deflate;
use super::rows::filter;
use crate::encode::{self, Holds, Light, Lost};

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: true, float: false, light: Light::Stated, profile: true };

/// Pictures of up to so many bytes are compressed well at every level: a code of their own would be a good part of them.
const SMALL: u64 = 4 << 10;
/// Bytes of filtered rows that are compressed at once.
const BLOCK: usize = 128 << 10;

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
    let pixel = info.bytes_per_pixel();
    let row = pixel * image.width() as usize;
    let is_small = row as u64 * u64::from(image.height()) <= SMALL;
    let level = match cx.options().text("level") {
        "best" => Some(Compression::High),
        "fast" if !is_small => None,
        _ => Some(Compression::Balanced),
    };
    let mut encoder = Encoder::with_info(out, info).map_err(unwritten)?;
    encoder.set_compression(level.unwrap_or_default());
    let mut writer = encoder.write_header().map_err(unwritten)?;
    cx.checkpoint()?;
    let wide;
    let bytes = match image.samples() {
        Samples::U8(samples) => samples,
        Samples::U16(samples) => {
            cx.budget().take(samples.len() as u64 * 2)?;
            wide = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect::<Vec<_>>();
            cx.budget().give_back(samples.len() as u64 * 2);
            wide.as_slice()
        }
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    };
    match level {
        Some(_) => writer.write_image_data(bytes).map_err(unwritten)?,
        None => write_fast(bytes, row, pixel, &mut writer, cx)?,
    }
    writer.finish().map_err(unwritten)
}

/// Writes pixels a block of rows at a time, each an IDAT chunk.
fn write_fast<W: Write>(bytes: &[u8], row: usize, pixel: usize, writer: &mut Writer<W>, cx: &Context) -> Result<()> {
    let rows = (BLOCK / (row + 1)).max(1);
    let longest = rows * (row + 1);
    let memory = (longest + Deflate::memory(longest) + row) as u64;
    cx.budget().take(memory)?;
    let (mut filtered, zeros) = (vec![0; longest], vec![0; row]);
    let mut deflate = Deflate::new(longest);
    let mut above = zeros.as_slice();
    let mut blocks = bytes.chunks(rows * row).peekable();
    while let Some(block) = blocks.next() {
        cx.checkpoint()?;
        for (line, out) in block.chunks_exact(row).zip(filtered.chunks_exact_mut(row + 1)) {
            filter(pixel, line, above, out);
            above = line;
        }
        let filtered = &filtered[..block.len() / row * (row + 1)];
        writer.write_chunk(IDAT, deflate.block(filtered, blocks.peek().is_none())).map_err(unwritten)?;
    }
    cx.budget().give_back(memory);
    Ok(())
}

fn unwritten(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => error.into(),
        other => IoError::other(other).into(),
    }
}
