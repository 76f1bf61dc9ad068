//! Animations (APNG): frames laid on a canvas one after the other, and such files written.

use std::io::{Seek, SeekFrom, Write};

use mediary_core::record::facts::VideoFacts;
use mediary_core::record::{ColorSpace, Image, Samples, Stream, Track, TrackKind, Video, VideoFrame};
use mediary_core::{Context, Error, Output, Result, Severity, Source};
use png::{BlendOp, DisposeOp, Transformations};

use super::chunks::{Chunks, crc32};
use super::{METADATA, PngReader, SIGNATURE, color_space, failed, profile};
use crate::decode;

/// What the chunks of an animation say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Animation {
    /// Frames.
    pub(super) frames: u64,
    /// Seconds as shown, of all frames.
    pub(super) seconds: f64,
    /// Frames whose delay is taken for 100 ms.
    pub(super) hurried: u64,
    /// Whether the default image is the first frame.
    pub(super) begins_with_image: bool,
    /// Pixels of all frames.
    pub(super) pixels: u64,
    /// Times it is played, 0 for ever.
    pub(super) plays: u32,
}

impl Animation {
    /// Adds the frame of an `fcTL` chunk.
    pub(super) fn include(&mut self, control: &[u8; 26], cx: &Context) -> Result<()> {
        let long =
            |at: usize| u64::from(u32::from_be_bytes([control[at], control[at + 1], control[at + 2], control[at + 3]]));
        let short = |at: usize| u16::from_be_bytes([control[at], control[at + 1]]);
        self.frames += 1;
        cx.limits().check("frames", self.frames)?;
        self.pixels = self.pixels.saturating_add(long(4).saturating_mul(long(8)));
        let (seconds, hurried) = shown(short(20), short(22));
        self.seconds += seconds;
        self.hurried += u64::from(hurried);
        Ok(())
    }

    pub(super) fn facts(&self, width: u32, height: u32) -> VideoFacts {
        decode::animation(self.track(width, height))
    }

    fn track(&self, width: u32, height: u32) -> Track {
        let mut track = Track::new(1, TrackKind::Video, "apng");
        (track.width, track.height) = (Some(width), Some(height));
        track.frames = Some(self.frames);
        track.duration_seconds = Some(self.seconds);
        track.frame_rate = Some(self.frames as f64 / self.seconds);
        track
    }
}

/// Seconds that a frame is shown, and whether that is not what the file says: browsers show those without a delay for 100 ms.
fn shown(numerator: u16, denominator: u16) -> (f64, bool) {
    let denominator = if denominator == 0 { 100 } else { denominator };
    if numerator == 0 { (0.1, true) } else { (f64::from(numerator) / f64::from(denominator), false) }
}

/// The animation of a file as a video: frames are whole canvases in 8-bit RGBA.
pub(super) fn video(source: &Source, chunks: &Chunks, cx: &Context) -> Result<Video> {
    let animation = chunks.animation;
    if animation.hurried > 0 {
        cx.note("delay", format!("{} frames without a delay are shown for 100 ms, as in browsers", animation.hurried));
    }
    let canvas = u64::from(chunks.width) * u64::from(chunks.height) * 4;
    // The canvas, a frame, what is kept to be put back, and the picture given away.
    cx.budget().take(canvas * 4)?;
    let mut decoder = png::Decoder::new_with_limits(source.reader(), png::Limits { bytes: 2 * METADATA as usize });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16 | Transformations::ALPHA);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(|error| failed(source, error))?;
    let length = usize::try_from(canvas).map_err(|_| Error::limit("alloc_bytes", canvas, usize::MAX as u64))?;
    let icc = profile(&reader, chunks, cx, 4)?;
    let space = color_space(reader.info(), icc.is_some());
    if !animation.begins_with_image {
        // The default image is for programs that know no animations.
        let mut image = vec![0; reader.output_buffer_size().unwrap_or(0)];
        reader.next_frame(&mut image).map_err(|error| failed(source, error))?;
    }
    let frames = Frames {
        source: source.clone(),
        reader,
        width: chunks.width as usize,
        canvas: vec![0; length],
        frame: Vec::new(),
        space,
        icc,
        left: animation.frames,
        cx: cx.clone(),
    };
    Ok(Video {
        container: "png".into(),
        tracks: vec![animation.track(chunks.width, chunks.height)],
        duration_seconds: Some(animation.seconds),
        playable: true,
        frames: Some(Stream::new(frames)),
    })
}

/// Whether nothing but notes was found.
pub(super) fn is_clean(cx: &Context) -> bool {
    cx.diagnostics().worst().is_none_or(|worst| worst == Severity::Info)
}

struct Frames {
    source: Source,
    reader: PngReader,
    width: usize,
    canvas: Vec<u8>,
    frame: Vec<u8>,
    space: ColorSpace,
    icc: Option<Vec<u8>>,
    left: u64,
    cx: Context,
}

impl Iterator for Frames {
    type Item = Result<VideoFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.draw();
        if frame.is_err() {
            self.left = 0;
        }
        Some(frame)
    }
}

impl Frames {
    fn draw(&mut self) -> Result<VideoFrame> {
        self.cx.checkpoint()?;
        let size = self.reader.output_buffer_size().unwrap_or(0);
        self.frame.resize(size.min(self.canvas.len()), 0);
        let info = self.reader.next_frame(&mut self.frame).map_err(|error| failed(&self.source, error))?;
        let Some(control) = self.reader.info().frame_control else {
            return Err(Error::malformed("expected an fcTL chunk before the data of a frame, found none"));
        };
        let (left, top) = (control.x_offset as usize, control.y_offset as usize);
        let (wide, high) = (control.width as usize, control.height as usize);
        let rows = self.canvas.len() / 4 / self.width;
        if left + wide > self.width || top + high > rows {
            let found = format!("{wide} x {high} at {left}, {top}");
            return Err(Error::malformed(format!("expected a frame inside of {} x {rows}, found {found}", self.width)));
        }
        let row = |y: usize| ((top + y) * self.width + left) * 4..((top + y) * self.width + left + wide) * 4;
        let kept = (control.dispose_op == DisposeOp::Previous).then(|| self.canvas.clone());
        let channels = if info.color_type.samples() == 2 { 2 } else { 4 };
        for (y, line) in self.frame.chunks_exact((wide * channels).max(1)).take(high).enumerate() {
            for (to, from) in self.canvas[row(y)].as_chunks_mut::<4>().0.iter_mut().zip(line.chunks_exact(channels)) {
                let pixel = if channels == 2 {
                    [from[0], from[0], from[0], from[1]]
                } else {
                    [from[0], from[1], from[2], from[3]]
                };
                *to = if control.blend_op == BlendOp::Source { pixel } else { over(pixel, *to) };
            }
        }
        let height = u32::try_from(rows).unwrap_or(u32::MAX);
        let mut image = Image::new(self.width as u32, height, 4, Samples::U8(self.canvas.clone().into()))?;
        (image.color_space, image.icc) = (self.space, self.icc.clone());
        match (control.dispose_op, kept) {
            (DisposeOp::Background, _) => (0..high).for_each(|y| self.canvas[row(y)].fill(0)),
            (DisposeOp::Previous, Some(kept)) => self.canvas = kept,
            _ => {}
        }
        Ok(VideoFrame { image, duration_seconds: shown(control.delay_num, control.delay_den).0 })
    }
}

/// A pixel over another, neither multiplied by its alpha.
fn over(front: [u8; 4], back: [u8; 4]) -> [u8; 4] {
    match (front[3], back[3]) {
        (255, _) | (_, 0) => front,
        (0, _) => back,
        (a, b) => {
            let (a, b) = (u32::from(a) * 255, u32::from(b) * (255 - u32::from(a)));
            let sum = a + b;
            let mixed = |channel: usize| {
                let value = u32::from(front[channel]) * a + u32::from(back[channel]) * b;
                ((value + sum / 2) / sum) as u8
            };
            [mixed(0), mixed(1), mixed(2), ((sum + 127) / 255) as u8]
        }
    }
}

/// Puts encoded pictures of one size together to an animation, as they come.
pub(super) struct Joiner<'o> {
    out: &'o mut Output,
    /// Where `acTL` stands, which wants the number of frames.
    control: u64,
    plays: u32,
    frames: u32,
    sequence: u32,
}

impl<'o> Joiner<'o> {
    pub(super) fn new(out: &'o mut Output, plays: u32) -> Self {
        Self { out, control: 0, plays, frames: 0, sequence: 0 }
    }

    /// Adds a whole PNG as the next frame, to be shown for so many milliseconds. The first one's chunks are those of the file.
    pub(super) fn add(&mut self, file: &[u8], size: (u32, u32), milliseconds: u16) -> Result<()> {
        let is_first = self.frames == 0;
        let mut has_begun = false;
        if is_first {
            self.out.write_all(SIGNATURE)?;
        }
        let mut rest = file.get(SIGNATURE.len()..).unwrap_or_default();
        while let Some((&[a, b, c, d, ref kind @ ..], _)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let (chunk, after) = rest.split_at((length + 12).min(rest.len()));
            rest = after;
            match kind {
                b"IEND" => break,
                b"IDAT" => {
                    if !has_begun {
                        has_begun = true;
                        if is_first {
                            self.control = self.out.stream_position()?;
                            self.announce()?;
                        }
                        self.begin(size, milliseconds)?;
                    }
                    if is_first {
                        self.out.write_all(chunk)?;
                    } else {
                        let number = self.next_number();
                        self.chunk(*b"fdAT", &[&number, &chunk[8..8 + length]])?;
                    }
                }
                _ if is_first => self.out.write_all(chunk)?,
                _ => {}
            }
        }
        self.frames += 1;
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<()> {
        self.chunk(*b"IEND", &[])?;
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(self.control))?;
        self.announce()?;
        self.out.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    fn announce(&mut self) -> Result<()> {
        let (frames, plays) = (self.frames.to_be_bytes(), self.plays.to_be_bytes());
        self.chunk(*b"acTL", &[&frames, &plays])
    }

    fn begin(&mut self, (width, height): (u32, u32), milliseconds: u16) -> Result<()> {
        let number = self.next_number();
        let (width, height) = (width.to_be_bytes(), height.to_be_bytes());
        let delay = [milliseconds.to_be_bytes(), 1000_u16.to_be_bytes()].concat();
        // At the corner; nothing is cleared, nothing shines through.
        self.chunk(*b"fcTL", &[&number, &width, &height, &[0; 8], &delay, &[0, 0]])
    }

    fn next_number(&mut self) -> [u8; 4] {
        self.sequence += 1;
        (self.sequence - 1).to_be_bytes()
    }

    fn chunk(&mut self, kind: [u8; 4], parts: &[&[u8]]) -> Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.out.write_all(&(length as u32).to_be_bytes())?;
        self.out.write_all(&kind)?;
        for part in parts {
            self.out.write_all(part)?;
        }
        let sum = crc32(&[&[&kind[..]], parts].concat());
        self.out.write_all(&sum.to_be_bytes())?;
        Ok(())
    }
}
