//! The answer of `ffprobe` as it spells it, and what its words mean.

use std::collections::BTreeMap;

use mediary_core::record::{Track, TrackKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::names::codec_name;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) streams: Vec<Stream>,
    pub(super) format: Container,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) format_name: String,
    pub(super) duration: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    pub(super) index: u32,
    pub(super) id: Option<String>,
    pub(super) codec_name: Option<String>,
    pub(super) codec_tag_string: Option<String>,
    pub(super) codec_type: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) pix_fmt: Option<String>,
    pub(super) sample_aspect_ratio: Option<String>,
    pub(super) color_space: Option<String>,
    pub(super) color_transfer: Option<String>,
    pub(super) color_primaries: Option<String>,
    pub(super) bits_per_raw_sample: Option<String>,
    pub(super) bits_per_sample: Option<u32>,
    pub(super) sample_fmt: Option<String>,
    pub(super) sample_rate: Option<String>,
    pub(super) channels: Option<u16>,
    pub(super) channel_layout: Option<String>,
    pub(super) r_frame_rate: Option<String>,
    pub(super) avg_frame_rate: Option<String>,
    pub(super) time_base: Option<String>,
    pub(super) duration_ts: Option<u64>,
    pub(super) duration: Option<String>,
    pub(super) nb_frames: Option<String>,
    pub(super) disposition: BTreeMap<String, i64>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) side_data_list: Vec<Map<String, Value>>,
}

pub(super) fn seconds(text: Option<&str>) -> Option<f64> {
    text?.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
}

/// `30000/1001`.
pub(super) fn ratio(text: Option<&str>) -> Option<f64> {
    let (over, under) = text?.split_once('/')?;
    let value = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}

impl Stream {
    /// `video`, `audio` …, covers apart.
    pub(super) fn kind(&self) -> Option<&str> {
        self.codec_type.as_deref().filter(|_| !self.is_cover())
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind() == Some(kind)
    }

    pub(super) fn is_cover(&self) -> bool {
        self.disposition.get("attached_pic").is_some_and(|&set| set != 0)
    }

    /// Average, or that of the clock.
    pub(super) fn frame_rate(&self) -> Option<f64> {
        ratio(self.avg_frame_rate.as_deref()).or_else(|| ratio(self.r_frame_rate.as_deref()))
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.nb_frames.as_deref().and_then(|frames| frames.parse().ok())
    }

    /// Its own field, or the tag of Matroska, `00:00:01.023000000`.
    pub(super) fn seconds(&self) -> Option<f64> {
        let tag = || {
            let mut parts = self.tags.get("DURATION")?.split(':').map(|part| part.trim().parse::<f64>().ok());
            let (hours, minutes, rest) = (parts.next()??, parts.next()??, parts.next()??);
            Some(hours * 3600.0 + minutes * 60.0 + rest).filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        };
        seconds(self.duration.as_deref()).or_else(tag)
    }

    /// Clockwise for display; `ffprobe` counts the other way. Angles between the right ones are taken to the nearest.
    pub(super) fn rotation(&self) -> u16 {
        let angle = self.side_data_list.iter().find_map(|data| data.get("rotation")?.as_f64()).unwrap_or(0.0);
        ((-angle / 90.0).round() * 90.0).rem_euclid(360.0) as u16
    }

    pub(super) fn track(&self) -> Track {
        let kind = match self.kind() {
            Some("video") => TrackKind::Video,
            Some("audio") => TrackKind::Audio,
            Some("subtitle") => TrackKind::Subtitle,
            _ => TrackKind::Other,
        };
        let number = self.id.as_deref().and_then(|id| u64::from_str_radix(id.strip_prefix("0x")?, 16).ok());
        let codec = self.codec_name.as_deref().or(self.codec_tag_string.as_deref()).unwrap_or("unknown");
        let mut track = Track::new(number.unwrap_or(u64::from(self.index)), kind, codec_name(codec));
        track.language = self.tags.get("language").filter(|language| *language != "und").cloned();
        track.duration_seconds = self.seconds();
        track.frames = self.count();
        match kind {
            TrackKind::Video => {
                track.width = self.width;
                track.height = self.height;
                track.frame_rate = self.frame_rate();
                track.rotation = Some(self.rotation()).filter(|&rotation| rotation != 0);
            }
            TrackKind::Audio => {
                track.sample_rate = self.sample_rate.as_deref().and_then(|rate| rate.parse().ok());
                track.channels = self.channels;
            }
            _ => {}
        }
        track
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_ffprobe_spells_them() {
        assert_eq!(ratio(Some("30000/1001")).map(f64::round), Some(30.0));
        assert_eq!((ratio(Some("0/0")), ratio(Some("1/0")), seconds(Some("N/A"))), (None, None, None));
    }
}
