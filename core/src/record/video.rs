//! Moving pictures.

use serde::{Deserialize, Serialize};

use super::facts::VideoFacts;
use super::image::Image;
use super::stream::{Chunk, Stream};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Timed text.
    Subtitle,
    /// Anything else: timed metadata, chapters.
    Other,
}

/// One track of a container. Absent values do not apply to its kind or are not stated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Track number as the container counts.
    pub id: u64,
    /// What it carries.
    pub kind: TrackKind,
    /// Codec name: `h264`, `hevc`, `av1`, `aac` …; the four-character code if it is not known.
    pub codec: String,
    /// Codec string after RFC 6381, e.g. `avc1.640016`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec_string: Option<String>,
    /// ISO 639-2 language, absent for undetermined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Duration of the track.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub duration_seconds: Option<f64>,
    /// Coded pixels across.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Coded pixels down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Average frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub frame_rate: Option<f64>,
    /// Frames, or packets of a track that is not video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// Clockwise rotation for display in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u16>,
    /// Samples a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Audio channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
}

impl Track {
    /// A track of which nothing but number, kind and codec is known.
    #[must_use]
    pub fn new(id: u64, kind: TrackKind, codec: impl Into<String>) -> Self {
        Self {
            id,
            kind,
            codec: codec.into(),
            codec_string: None,
            language: None,
            duration_seconds: None,
            width: None,
            height: None,
            frame_rate: None,
            frames: None,
            rotation: None,
            sample_rate: None,
            channels: None,
        }
    }
}

/// A decoded frame and how long it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoFrame {
    /// The picture, upright.
    pub image: Image,
    /// How long it is shown.
    #[serde(with = "crate::wire::number")]
    pub duration_seconds: f64,
}

/// What the frames so far add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoSummary {
    /// Frames.
    pub frames: u64,
    /// Sum of their durations.
    pub duration_seconds: f64,
}

impl Chunk for VideoFrame {
    type Summary = VideoSummary;

    fn observe(&self, summary: &mut VideoSummary) {
        summary.frames += 1;
        summary.duration_seconds += self.duration_seconds;
    }

    fn bytes(&self) -> u64 {
        self.image.samples().len() as u64 * u64::from(self.image.samples().bits() / 8)
    }
}

/// A clip: its container and tracks probed; its frames as a stream where a decoder is present.
#[derive(Debug, Serialize, Deserialize)]
pub struct Video {
    /// Container name: `mp4`, `mov`, `gif` …
    pub container: String,
    /// Every track, in the order of the container.
    #[serde(default)]
    pub tracks: Vec<Track>,
    /// Duration of the presentation.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub duration_seconds: Option<f64>,
    /// Whether browsers play the source as it is, so that its bytes are the canonical asset.
    #[serde(default)]
    pub playable: bool,
    /// Decoded frames; `None` where no decoder is built in.
    #[serde(skip)]
    pub frames: Option<Stream<VideoFrame>>,
}

impl Video {
    /// The first track that carries pictures.
    #[must_use]
    pub fn picture(&self) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind == TrackKind::Video)
    }

    /// The facts of this clip; those of a decoded stream are exact once it is at its end.
    #[must_use]
    pub fn facts(&self) -> VideoFacts {
        let picture = self.picture();
        let decoded = self.frames.as_ref().filter(|frames| frames.is_finished()).map(Stream::summary);
        VideoFacts {
            width: picture.and_then(|track| track.width),
            height: picture.and_then(|track| track.height),
            frame_rate: picture.and_then(|track| track.frame_rate),
            frames: decoded.map(|decoded| decoded.frames).or(picture.and_then(|track| track.frames)),
            duration_seconds: self.duration_seconds,
            codec: picture.map(|track| track.codec.clone()),
            tracks: Some(self.tracks.clone()),
            rotation: picture.map(|track| track.rotation.unwrap_or(0)),
        }
    }
}
