//! Sound.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use super::facts::AudioFacts;
use super::stream::{Chunk, Stream};

/// Samples of one stretch of time, interleaved by channel: `samples[frame * channels + channel]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AudioChunk {
    /// Signed integers, right aligned: full scale is `-(1 << (bits - 1))..1 << (bits - 1)`.
    Int {
        /// Interleaved samples.
        samples: Buffer<i32>,
        /// Channels.
        channels: u16,
        /// Bits a sample, 1 to 32.
        bits: u8,
    },
    /// Floats, full scale is -1 to 1; values beyond are kept.
    Float {
        /// Interleaved samples.
        samples: Buffer<f32>,
        /// Channels.
        channels: u16,
    },
}

impl AudioChunk {
    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        match self {
            Self::Int { samples, .. } => drop(samples.share()),
            Self::Float { samples, .. } => drop(samples.share()),
        }
    }

    /// Samples a channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        match self {
            Self::Int { samples, channels, .. } => samples.len() / usize::from((*channels).max(1)),
            Self::Float { samples, channels } => samples.len() / usize::from((*channels).max(1)),
        }
    }
}

/// What the chunks so far add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioSummary {
    /// Samples a channel.
    pub frames: u64,
    /// Largest absolute finite sample, 1 is full scale.
    pub peak: f64,
    /// Sum of squares of the finite samples, 1 is full scale.
    pub sum_of_squares: f64,
    /// Finite samples of all channels.
    pub samples: u64,
    /// NaN and infinite samples, which peak and rms leave out.
    pub non_finite: u64,
}

impl AudioSummary {
    fn add(&mut self, samples: impl Iterator<Item = f64>) {
        for sample in samples {
            if sample.is_finite() {
                self.peak = self.peak.max(sample.abs());
                self.sum_of_squares += sample * sample;
                self.samples += 1;
            } else {
                self.non_finite += 1;
            }
        }
    }
}

impl Chunk for AudioChunk {
    type Summary = AudioSummary;

    fn observe(&self, summary: &mut AudioSummary) {
        summary.frames += self.frames() as u64;
        match self {
            Self::Int { samples, bits, .. } => {
                let scale = 1.0 / (1_i64 << (bits.clamp(&1, &32) - 1)) as f64;
                summary.add(samples.iter().map(|&sample| f64::from(sample) * scale));
            }
            Self::Float { samples, .. } => summary.add(samples.iter().map(|&sample| f64::from(sample))),
        }
    }

    fn non_finite(summary: &AudioSummary) -> (u64, &'static str) {
        (summary.non_finite, "samples that are not finite")
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Int { samples, .. } => samples.len() as u64 * 4,
            Self::Float { samples, .. } => samples.len() as u64 * 4,
        }
    }
}

/// The speaker names, in the order of the bits of the channel mask that WAVE and FLAC share (`dwChannelMask`).
pub const SPEAKERS: [&str; 18] = [
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
];

/// Sound: its shape, and its samples as a stream.
#[derive(Debug, Serialize, Deserialize)]
pub struct Audio {
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Channels, at least 1, in WAVE order (front left, front right, centre, LFE, …) unless `layout` says otherwise.
    pub channels: u16,
    /// Speaker names by channel, if the source states them, each one of [`SPEAKERS`].
    #[serde(default, deserialize_with = "crate::wire::words::speakers", skip_serializing_if = "Vec::is_empty")]
    pub layout: Vec<&'static str>,
    /// Whether chunks are integers ([`AudioChunk::Int`]) or floats.
    pub integer: bool,
    /// Bits a sample of the coded audio.
    pub bit_depth: u8,
    /// Codec name: `pcm_s16`, `pcm_f32`, `flac`, `mp3` …
    pub codec: String,
    /// Samples a channel as the header announces them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_frames: Option<u64>,
    /// Title, artist and the like, as the source spells the keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The samples.
    #[serde(skip)]
    pub samples: Stream<AudioChunk>,
}

impl Audio {
    /// The facts so far: frames, peak and rms are exact once the stream is at its end.
    #[must_use]
    pub fn facts(&self) -> AudioFacts {
        let summary = self.samples.summary();
        let finished = self.samples.is_finished();
        let frames = if finished { Some(summary.frames) } else { self.declared_frames };
        AudioFacts {
            sample_rate: Some(self.sample_rate),
            channels: Some(self.channels),
            frames,
            duration_seconds: frames.map(|frames| frames as f64 / f64::from(self.sample_rate.max(1))),
            bit_depth: Some(self.bit_depth),
            codec: Some(self.codec.clone()),
            peak: finished.then_some(summary.peak),
            rms: finished.then(|| (summary.sum_of_squares / summary.samples.max(1) as f64).sqrt()),
        }
    }
}
