//! Writes frames, each with a palette of its own.

use std::borrow::Cow;
use std::collections::HashMap;

use color_quant::NeuQuant;
use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};
use mediary_core::record::{Image, Samples, VideoFrame};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[4], eight: true, sixteen: false, float: false, light: Light::Display, profile: false };

/// Colours of a palette.
const COLORS: usize = 256;

/// NeuQuant looks at one pixel of this many: a sixth of the time of looking at all, 2 dB of signal to noise.
const SAMPLE: i32 = 10;

/// Shortest delay that browsers follow, in hundredths of a second.
const SHORTEST: u16 = 2;

/// What could not be carried over, counted over all frames.
#[derive(Default)]
struct Lost {
    quantised: u64,
    alpha: u64,
    delays: u64,
    fitted: encode::Lost,
}

pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let source_loops = record.properties.get("loop_count").and_then(serde_json::Value::as_u64);
    let mut lost = Lost::default();
    encode::lose_rest(record, if source_loops.is_some() { &["loop_count"] } else { &[] }, cx);
    match &mut record.media {
        Media::Image(image) => {
            let mut encoder = start(image, out)?;
            let frame = frame(image, 0, &mut lost, cx)?;
            encoder.write_frame(&frame).map_err(unwritten)?;
            encoder.into_inner().map_err(unwritten)?;
        }
        Media::Video(video) => {
            cx.lose("tracks", (video.tracks.len() as u64).saturating_sub(1), "tracks other than the first pictures");
            let Some(frames) = &mut video.frames else {
                return Err(Error::unsupported(format!("expected decoded frames, found only {}", video.container))
                    .with_hint("no decoder for this video is built in; convert it with ffmpeg"));
            };
            let Some(first) = frames.next_chunk()? else {
                return Err(Error::unsupported("expected a frame, found a video without any"));
            };
            let (width, height) = (first.image.width(), first.image.height());
            let mut encoder = start(&first.image, out)?;
            let loops = source_loops.unwrap_or(cx.options().int("loops").unsigned_abs()).min(65_535) as u16;
            encoder.set_repeat(if loops == 0 { Repeat::Infinite } else { Repeat::Finite(loops) }).map_err(unwritten)?;
            let mut waiting = shown(&first, &mut lost, cx)?;
            while let Some(next) = frames.next_chunk()? {
                cx.checkpoint()?;
                let found = (next.image.width(), next.image.height());
                if found != (width, height) {
                    return Err(Error::unsupported(format!(
                        "expected frames of one size, {width} x {height}, found {} x {}",
                        found.0, found.1
                    )));
                }
                let next = shown(&next, &mut lost, cx)?;
                // Where a frame would let the one before shine through, that one is cleared first.
                if next.transparent.is_some() {
                    waiting.dispose = DisposalMethod::Background;
                }
                encoder.write_frame(&waiting).map_err(unwritten)?;
                waiting = next;
            }
            encoder.write_frame(&waiting).map_err(unwritten)?;
            encoder.into_inner().map_err(unwritten)?;
        }
        other => return Err(Error::unsupported(format!("expected an image or a video, found {}", other.kind()))),
    }
    cx.lose("colors", lost.quantised, "frames of more than 256 colours are quantised");
    cx.lose("alpha", lost.alpha, "partly transparent pixels are shown or not");
    lost.fitted.tell(cx);
    cx.lose("delay", lost.delays, "durations are rounded to hundredths of a second, 20 ms at least");
    Ok(())
}

fn start<'o>(image: &Image, out: &'o mut Output) -> Result<Encoder<&'o mut Output>> {
    let side = |pixels: u32| {
        u16::try_from(pixels)
            .map_err(|_| Error::unsupported(format!("expected at most 65535 pixels a side, found {pixels}")))
    };
    Encoder::new(out, side(image.width())?, side(image.height())?, &[]).map_err(unwritten)
}

fn hundredths(seconds: f64, lost: &mut Lost) -> u16 {
    let wanted = seconds * 100.0;
    let delay = wanted.round().clamp(f64::from(SHORTEST), f64::from(u16::MAX)) as u16;
    lost.delays += u64::from((f64::from(delay) - wanted).abs() > 1e-6);
    delay
}

fn shown(frame: &VideoFrame, lost: &mut Lost, cx: &Context) -> Result<Frame<'static>> {
    let delay = hundredths(frame.duration_seconds, lost);
    self::frame(&frame.image, delay, lost, cx)
}

fn frame(image: &Image, delay: u16, lost: &mut Lost, cx: &Context) -> Result<Frame<'static>> {
    let pixels = u64::from(image.width()) * u64::from(image.height());
    // RGBA, the copy that the quantiser looks at, indices, coded indices, and at worst every pixel a colour to look up.
    let scratch = pixels * 24;
    cx.budget().take(scratch)?;
    let budget = cx.budget().taken();
    let fitted = encode::fitted(image, &HOLDS, &mut lost.fitted, cx)?;
    let Samples::U8(samples) = fitted.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let rgba = samples.as_chunks::<4>().0;
    lost.alpha += rgba.iter().filter(|pixel| !matches!(pixel[3], 0 | 255)).count() as u64;
    let (palette, buffer, transparent) = indexed(rgba, lost);
    cx.budget().give_back(scratch + cx.budget().taken().saturating_sub(budget));
    Ok(Frame {
        delay,
        transparent,
        width: image.width() as u16,
        height: image.height() as u16,
        palette: Some(palette),
        buffer: Cow::Owned(buffer),
        ..Frame::default()
    })
}

/// Palette, indices and the transparent index: exact if 256 colours will do.
fn indexed(rgba: &[[u8; 4]], lost: &mut Lost) -> (Vec<u8>, Vec<u8>, Option<u8>) {
    // Half and more transparent is transparent.
    let seen = |pixel: &[u8; 4]| if pixel[3] < 128 { [0; 4] } else { [pixel[0], pixel[1], pixel[2], 255] };
    let mut known: HashMap<[u8; 4], u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut indices = Vec::with_capacity(rgba.len());
    let mut last = ([0; 4], 0);
    for (at, pixel) in rgba.iter().enumerate() {
        let color = seen(pixel);
        if at == 0 || color != last.0 {
            let next = known.len();
            if next == COLORS && !known.contains_key(&color) {
                lost.quantised += 1;
                return quantised(rgba, seen);
            }
            let index = *known.entry(color).or_insert_with(|| {
                palette.extend_from_slice(&color[..3]);
                next as u8
            });
            last = (color, index);
        }
        indices.push(last.1);
    }
    let transparent = known.get(&[0; 4]).copied();
    (palette, indices, transparent)
}

/// The last index is the transparent one if there is one.
fn quantised(rgba: &[[u8; 4]], seen: impl Fn(&[u8; 4]) -> [u8; 4]) -> (Vec<u8>, Vec<u8>, Option<u8>) {
    let opaque: Vec<u8> = rgba.iter().map(&seen).filter(|color| color[3] > 0).flatten().collect();
    let any_clear = opaque.len() < rgba.len() * 4;
    let colors = if any_clear { COLORS - 1 } else { COLORS };
    let quantiser = NeuQuant::new(SAMPLE, colors, &opaque);
    let mut palette = quantiser.color_map_rgb();
    let clear = any_clear.then(|| {
        palette.extend([0; 3]);
        colors as u8
    });
    let mut known: HashMap<[u8; 4], u8> = HashMap::new();
    let indices = rgba
        .iter()
        .map(|pixel| {
            let color = seen(pixel);
            match clear {
                Some(clear) if color[3] == 0 => clear,
                _ => *known.entry(color).or_insert_with(|| quantiser.index_of(&color) as u8),
            }
        })
        .collect();
    (palette, indices, clear)
}

fn unwritten(error: EncodingError) -> Error {
    match error {
        EncodingError::Io(error) => error.into(),
        other => std::io::Error::other(other).into(),
    }
}
