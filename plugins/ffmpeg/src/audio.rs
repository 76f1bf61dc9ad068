//! Samples: `ffmpeg` decodes one track into a pipe of raw samples.

use std::io::Read;

use mediary_core::record::{Audio, AudioChunk, Stream};
use mediary_core::{Context, Location, Result};

use crate::child::Running;
use crate::input::Input;
use crate::probe::Described;

/// Samples a channel of one chunk.
const FRAMES: usize = 1 << 16;
/// Seconds, and parts of the duration, that may be missing or too many before it is worth a word: encoders pad.
const SLACK_SECONDS: f64 = 0.25;
const SLACK: f64 = 0.02;

/// The sound, its samples still to come.
pub(crate) fn read(input: &Input, described: &Described, cx: &Context) -> Result<Audio> {
    let sound = &described.sound;
    Ok(Audio {
        sample_rate: sound.sample_rate,
        channels: sound.channels,
        layout: sound.layout.clone(),
        integer: sound.integer,
        bit_depth: sound.bits,
        codec: sound.codec.clone(),
        declared_frames: sound.frames,
        tags: sound.tags.clone(),
        samples: Stream::new(Chunks::start(input, described, cx)?),
    })
}

/// How samples come through the pipe, little-endian.
#[derive(Clone, Copy)]
enum Raw {
    S16,
    S32,
    F32,
}

impl Raw {
    fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S32 | Self::F32 => 4,
        }
    }
}

struct Chunks {
    running: Running,
    cx: Context,
    raw: Raw,
    channels: u16,
    bits: u8,
    sample_rate: u32,
    declared: Option<u64>,
    stated_seconds: Option<f64>,
    frames: u64,
    buffer: Vec<u8>,
    finished: bool,
}

impl Chunks {
    fn start(input: &Input, described: &Described, cx: &Context) -> Result<Self> {
        let sound = &described.sound;
        let (raw, codec, container) = match (sound.integer, sound.bits) {
            (true, ..=16) => (Raw::S16, "pcm_s16le", "s16le"),
            (true, _) => (Raw::S32, "pcm_s32le", "s32le"),
            (false, _) => (Raw::F32, "pcm_f32le", "f32le"),
        };
        let length = FRAMES * usize::from(sound.channels) * raw.bytes();
        // The bytes, and the samples made of them.
        cx.budget().take(length as u64 * 3)?;
        let mut args = crate::decoding(described, cx);
        args.extend(["-c:a", codec, "-f", container, "pipe:1"].map(Into::into));
        Ok(Self {
            running: Running::start("ffmpeg", &args, input, cx)?,
            cx: cx.clone(),
            raw,
            channels: sound.channels,
            bits: sound.bits,
            sample_rate: sound.sample_rate,
            declared: sound.frames,
            stated_seconds: described.stated_seconds.map(|seconds| seconds - described.start),
            frames: 0,
            buffer: vec![0; length],
            finished: false,
        })
    }

    fn chunk(&mut self) -> Result<Option<AudioChunk>> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.running.read(&mut self.buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let frame = self.raw.bytes() * usize::from(self.channels);
        let frames = filled / frame;
        self.finished = filled < self.buffer.len();
        if self.finished {
            self.conclude(frames, filled % frame)?;
        }
        self.frames += frames as u64;
        Ok((frames > 0).then(|| self.samples(&self.buffer[..frames * frame])))
    }

    fn samples(&self, bytes: &[u8]) -> AudioChunk {
        let channels = self.channels;
        let whole = |bits: u8| {
            // They stand at the upper end of what comes through the pipe.
            let unused = u32::from(bits.saturating_sub(self.bits));
            let samples: Vec<i32> = match self.raw {
                Raw::S16 => bytes.as_chunks().0.iter().map(|&b| i32::from(i16::from_le_bytes(b)) >> unused).collect(),
                _ => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b) >> unused).collect(),
            };
            AudioChunk::Int { samples: samples.into(), channels, bits: self.bits }
        };
        match self.raw {
            Raw::S16 => whole(16),
            Raw::S32 => whole(32),
            Raw::F32 => {
                let samples = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
                AudioChunk::Float { samples, channels }
            }
        }
    }

    /// The end: how the program ended, and whether all came out.
    fn conclude(&mut self, last: usize, odd: usize) -> Result<()> {
        let frames = self.frames + last as u64;
        self.running.conclude(frames, "a sample")?;
        let seconds = frames as f64 / f64::from(self.sample_rate);
        let slack = |stated: f64| (SLACK * stated).max(SLACK_SECONDS);
        let announced = |declared| format!("the header announces {declared} samples a channel, {frames} came out");
        let lasts = |stated| format!("the track lasts {stated:.3} seconds, its samples {seconds:.3} seconds");
        let (code, message) = match (self.declared, self.stated_seconds) {
            _ if odd > 0 => ("truncated", format!("{odd} bytes after the last whole sample")),
            (Some(declared), _) if declared > frames => ("truncated", announced(declared)),
            (Some(declared), _) if declared < frames => ("length", announced(declared)),
            (None, Some(stated)) if stated - seconds > slack(stated) => ("truncated", lasts(stated)),
            (None, Some(stated)) if seconds - stated > slack(stated) => ("length", lasts(stated)),
            _ => return Ok(()),
        };
        self.cx.tolerate(code, message, Location::default())
    }
}

impl Iterator for Chunks {
    type Item = Result<AudioChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.chunk().transpose();
        self.finished |= matches!(next, Some(Err(_)));
        next
    }
}
