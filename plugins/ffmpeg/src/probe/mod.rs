//! What `ffprobe` tells of the input: its container, its tracks, its tags.

mod answer;
mod names;

use std::collections::BTreeMap;

use mediary_core::record::facts::{AudioFacts, VideoFacts};
use mediary_core::record::{Facts, Track, TrackKind};
use mediary_core::{Context, Error, ErrorKind, Result, Source};
use serde_json::{Map, Value};

use crate::child::Running;
use crate::detect::containers::document;
use crate::input::{Input, URL};
use answer::{Answer, Container, Stream, seconds};
use names::{CONTAINERS, EXACT_CODECS, LAYOUTS, MP4_CODECS, WEBM_CODECS, codec_name, depth, has_alpha, is_linear};

/// Bytes that `ffprobe` may say, within the limit of texts: 16 MiB.
const MAX_ANSWER: u64 = 16 << 20;

/// What becomes of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A track of pictures is decoded.
    Video,
    /// A track of sound.
    Audio,
}

/// An input, described.
pub(crate) struct Described {
    pub(crate) sort: Sort,
    pub(crate) container: &'static str,
    pub(crate) media_type: &'static str,
    /// The decoded track, by its place.
    pub(crate) index: u32,
    /// Seconds to leave out.
    pub(crate) start: f64,
    /// All tracks, the decoded one before its like.
    pub(crate) tracks: Vec<Track>,
    pub(crate) duration_seconds: Option<f64>,
    pub(crate) playable: bool,
    pub(crate) properties: Map<String, Value>,
    pub(crate) picture: Picture,
    pub(crate) sound: Sound,
    /// Seconds of the decoded track, where they are stated and not estimated.
    pub(crate) stated_seconds: Option<f64>,
    /// Why there is nothing to decode it with.
    pub(crate) undecodable: Option<String>,
    notes: Vec<(&'static str, String)>,
}

/// The decoded track of pictures.
#[derive(Default)]
pub(crate) struct Picture {
    /// Whether more than 8 bits a sample are asked for.
    pub(crate) deep: bool,
    pub(crate) alpha: bool,
    /// Bits a sample in the source.
    pub(crate) bits: u8,
    pub(crate) rotated: bool,
    /// Seconds a frame is shown, on the average.
    pub(crate) interval: f64,
    /// Frames as the container counts them.
    pub(crate) frames: Option<u64>,
}

/// The decoded track of sound.
#[derive(Default)]
pub(crate) struct Sound {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    pub(crate) layout: Vec<&'static str>,
    pub(crate) integer: bool,
    pub(crate) bits: u8,
    pub(crate) codec: String,
    /// Samples a channel, where the header is to be believed.
    pub(crate) frames: Option<u64>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Described {
    /// The facts that a full read does not change.
    pub(crate) fn facts(&self) -> Facts {
        match self.sort {
            Sort::Video => {
                let picture = self.tracks.iter().find(|track| track.kind == TrackKind::Video);
                Facts::Video(VideoFacts {
                    width: picture.and_then(|track| track.width),
                    height: picture.and_then(|track| track.height),
                    frame_rate: picture.and_then(|track| track.frame_rate),
                    // What comes out is counted; what the container counts stands in its track.
                    frames: if self.undecodable.is_some() { self.picture.frames } else { None },
                    duration_seconds: self.duration_seconds,
                    codec: picture.map(|track| track.codec.clone()),
                    tracks: Some(self.tracks.clone()),
                    rotation: picture.map(|track| track.rotation.unwrap_or(0)),
                })
            }
            Sort::Audio => Facts::Audio(AudioFacts {
                sample_rate: Some(self.sound.sample_rate),
                channels: Some(self.sound.channels),
                frames: self.sound.frames,
                duration_seconds: self.sound.frames.map(|frames| frames as f64 / f64::from(self.sound.sample_rate)),
                bit_depth: Some(self.sound.bits),
                codec: Some(self.sound.codec.clone()),
                peak: None,
                rms: None,
            }),
        }
    }

    /// Tells what is worth knowing.
    pub(crate) fn report(&self, cx: &Context) {
        for (code, message) in &self.notes {
            cx.note(code, message.clone());
        }
    }
}

/// Runs `ffprobe`.
pub(crate) fn describe(input: &Input, source: &Source, cx: &Context) -> Result<Described> {
    let mut args = crate::common("warning", cx);
    args.extend(["-show_format", "-show_streams", "-of", "json", "-i", URL].map(Into::into));
    let mut running = Running::start("ffprobe", &args, input, cx)?;
    let answer = running.output(cx.limits().string_bytes.min(MAX_ANSWER))?;
    let status = running.finish()?;
    if !status.success() {
        return Err(running.failure(status));
    }
    let answer: Answer = serde_json::from_str(&String::from_utf8_lossy(&answer))
        .map_err(|error| Error::malformed(format!("ffprobe gave an answer that is no description: {error}")))?;
    // Sizes over bit rate are no duration.
    let estimated = running.said("Estimating duration from bitrate");
    build(answer, estimated, source, cx)
}

fn build(answer: Answer, estimated: bool, source: &Source, cx: &Context) -> Result<Described> {
    let Answer { streams, format } = answer;
    let chosen = choose(&streams, cx.options().int("track"))?;
    let stream = &streams[chosen];
    let sort = if stream.is("video") { Sort::Video } else { Sort::Audio };
    let first = format.format_name.split(',').next().unwrap_or_default();
    let (mut container, pictures, sounds) = CONTAINERS
        .iter()
        .find(|known| known.0 == first)
        .map_or(("other", "application/octet-stream", "application/octet-stream"), |known| (known.1, known.2, known.3));
    let mut media_type = if sort == Sort::Video { pictures } else { sounds };
    if container == "matroska" && document(source.head()) == Some(b"webm") {
        container = "webm";
        media_type = if sort == Sort::Video { "video/webm" } else { "audio/webm" };
    }
    if container == "mp4" && format.tags.get("major_brand").is_some_and(|brand| brand == "qt  ") {
        container = "mov";
        media_type = if sort == Sort::Video { "video/quicktime" } else { sounds };
    }
    let start = cx.options().float("start");
    // MPEG streams state no duration: it is that of the packets that ffprobe saw.
    let measured = matches!(first, "mpeg" | "mpegts");
    // The duration of the whole is that of the only track.
    let timed = streams.iter().filter(|stream| stream.is("video") || stream.is("audio")).count();
    let alone = || seconds(format.duration.as_deref()).filter(|_| timed == 1);
    let mut described = Described {
        sort,
        container,
        media_type,
        index: stream.index,
        start,
        tracks: Vec::new(),
        duration_seconds: seconds(format.duration.as_deref()).filter(|_| !estimated),
        playable: sort == Sort::Video && plays(container, &streams),
        properties: Map::new(),
        picture: Picture::default(),
        sound: Sound::default(),
        stated_seconds: stream.seconds().or_else(alone).filter(|_| !estimated && !measured),
        undecodable: None,
        notes: Vec::new(),
    };
    let before_its_like = |other: &&Stream| other.index != stream.index;
    let like = streams.iter().position(|other| other.kind() == stream.kind()).unwrap_or(chosen);
    let others = streams.iter().filter(before_its_like);
    described.tracks = others.map(Stream::track).collect();
    described.tracks.insert(like.min(described.tracks.len()), stream.track());
    let covers = streams.iter().filter(|stream| stream.is_cover()).count();
    if covers > 0 {
        described.notes.push(("cover", format!("{covers} attached pictures were left out")));
    }
    if estimated && sort == Sort::Video {
        described.notes.push(("duration", "the duration is not stated, it could only be estimated".into()));
    }
    match sort {
        Sort::Video => {
            described.properties = format.tags.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
            picture(&mut described, stream, cx)?;
        }
        Sort::Audio => sound(&mut described, stream, &format, estimated, cx)?,
    }
    Ok(described)
}

/// The track to decode, by its place in the list.
fn choose(streams: &[Stream], wanted: i64) -> Result<usize> {
    let of = |kind: &str| streams.iter().position(|stream| stream.is(kind));
    if wanted < 0 {
        return of("video").or_else(|| of("audio")).ok_or_else(|| {
            Error::unsupported("expected a track of pictures or sound, found none")
                .with_hint("ffmpeg recognised the container, but it holds only text, data or covers")
        });
    }
    let place = streams.iter().position(|stream| i64::from(stream.index) == wanted);
    place.filter(|&place| streams[place].is("video") || streams[place].is("audio")).ok_or_else(|| {
        let of = |stream: &Stream| format!("{} {}", stream.index, stream.kind().unwrap_or("data"));
        let known: Vec<_> = streams.iter().take(64).map(of).collect();
        Error::new(
            ErrorKind::InvalidOption,
            format!("option ffmpeg.track: expected a track of pictures or sound, found {wanted}"),
        )
        .with_hint(format!("the file has {}", known.join(", ")))
    })
}

/// Whether browsers play the file as it is.
fn plays(container: &str, streams: &[Stream]) -> bool {
    let known = match container {
        "webm" => WEBM_CODECS,
        "mp4" => MP4_CODECS,
        _ => return false,
    };
    streams.iter().filter(|stream| stream.is("video") || stream.is("audio")).all(|stream| {
        let common = match stream.codec_name.as_deref() {
            Some("h264") => matches!(stream.pix_fmt.as_deref(), Some("yuv420p" | "yuvj420p")),
            _ => true,
        };
        common && stream.codec_name.as_deref().is_some_and(|codec| known.contains(&codec))
    })
}

fn picture(described: &mut Described, stream: &Stream, cx: &Context) -> Result<()> {
    let Some(codec) = stream.codec_name.as_deref() else {
        let tag = stream.codec_tag_string.as_deref().unwrap_or("no name");
        let message = format!("ffmpeg does not know the codec {tag:?}: the record has no frames");
        described.notes.push(("no-decoder", message.clone()));
        described.undecodable = Some(message);
        described.picture.frames = stream.count();
        return Ok(());
    };
    let (Some(width), Some(height)) = (stream.width.filter(|&side| side > 0), stream.height.filter(|&side| side > 0))
    else {
        return Err(Error::malformed(format!("expected the size of the {codec} pictures, found none"))
            .with_hint("the file is damaged, cut short, or its codec is unknown to this ffmpeg"));
    };
    cx.limits().check("pixels", u64::from(width) * u64::from(height))?;
    let layout = stream.pix_fmt.as_deref().unwrap_or_default();
    let deep = depth(layout, stream.bits_per_raw_sample.as_deref()) > 8;
    described.picture = Picture {
        deep,
        // VP8 and VP9 keep it in a track beside the pictures.
        alpha: has_alpha(layout),
        bits: depth(layout, stream.bits_per_raw_sample.as_deref()),
        rotated: stream.rotation() != 0,
        interval: stream.frame_rate().map_or(0.0, |rate| 1.0 / rate),
        frames: stream.count(),
    };
    let spelled = |value: &Option<String>| value.clone().filter(|value| value != "unknown");
    let ratio = spelled(&stream.sample_aspect_ratio).filter(|ratio| ratio != "1:1" && ratio != "0:1");
    if let Some(ratio) = ratio {
        described
            .notes
            .push(("aspect-ratio", format!("pixels are {ratio} and not square; they were left as they are")));
        described.properties.insert("sample_aspect_ratio".into(), ratio.into());
    }
    let wide = |value: &&str| {
        ["bt2020", "smpte2084", "arib-std-b67", "smpte432", "smpte431"].iter().any(|w| value.starts_with(w))
    };
    let colours = [&stream.color_primaries, &stream.color_transfer, &stream.color_space];
    if let Some(colour) = colours.into_iter().flatten().map(String::as_str).find(wide) {
        described.notes.push(("color", format!("the colours are those of {colour} and were not brought to sRGB")));
    }
    for (key, value) in [
        ("color_primaries", &stream.color_primaries),
        ("color_transfer", &stream.color_transfer),
        ("color_space", &stream.color_space),
        ("profile", &stream.profile),
    ] {
        if let Some(value) = spelled(value) {
            described.properties.insert(key.into(), value.into());
        }
    }
    described.properties.insert("pixel_format".into(), layout.into());
    Ok(())
}

fn sound(described: &mut Described, stream: &Stream, format: &Container, estimated: bool, cx: &Context) -> Result<()> {
    let codec = stream.codec_name.as_deref().ok_or_else(|| {
        let tag = stream.codec_tag_string.as_deref().unwrap_or("no name");
        Error::unsupported(format!("ffmpeg does not know the codec {tag:?}"))
            .with_hint("install a newer ffmpeg, or a build with that decoder")
    })?;
    let sample_rate = stream.sample_rate.as_deref().and_then(|rate| rate.parse::<u32>().ok()).unwrap_or(0);
    let channels = stream.channels.unwrap_or(0);
    if sample_rate == 0 || channels == 0 {
        return Err(Error::malformed(format!(
            "expected a sample rate and channels of the {codec} sound, found {sample_rate} and {channels}"
        ))
        .with_hint("the file is damaged, cut short, or its codec is unknown to this ffmpeg"));
    }
    let made = stream.sample_fmt.as_deref().unwrap_or_default().trim_end_matches('p');
    let width = match made {
        "u8" => 8,
        "s16" => 16,
        "s32" => 32,
        _ => 0,
    };
    if made == "dbl" || made == "s64" {
        described.notes.push(("precision", format!("samples of 64 bits ({made}) were rounded to 32-bit floats")));
    }
    let coded = stream.bits_per_raw_sample.as_deref().and_then(|bits| bits.parse::<u8>().ok());
    let exact = EXACT_CODECS.contains(&codec) || is_linear(codec);
    let bits = match coded.filter(|&bits| exact && bits > 0 && bits <= width) {
        Some(bits) => bits,
        None => stream
            .bits_per_sample
            .and_then(|bits| u8::try_from(bits).ok())
            .filter(|&bits| is_linear(codec) && bits > 0 && bits <= width)
            .unwrap_or(if width > 0 { width } else { 32 }),
    };
    let counted = stream.time_base.as_deref() == Some(format!("1/{sample_rate}").as_str());
    // ALAC in CAF is counted in whole packets, and what is estimated counts headers.
    let padded = estimated || (described.container == "caf" && codec == "alac");
    let mut tags = stream.tags.clone();
    tags.extend(format.tags.clone());
    let kept: u64 = tags.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    cx.limits().check("string_bytes", kept)?;
    let layout = stream.channel_layout.as_deref().unwrap_or_default();
    described.sound = Sound {
        sample_rate,
        channels,
        layout: LAYOUTS.iter().find(|known| known.0 == layout).map(|known| known.1.to_vec()).unwrap_or_default(),
        integer: width > 0,
        bits,
        codec: codec_name(codec),
        frames: stream
            .duration_ts
            .filter(|&frames| exact && counted && !padded && frames > 0 && described.start == 0.0),
        tags,
    };
    if described.sound.layout.len() != usize::from(channels) {
        described.sound.layout.clear();
    }
    Ok(())
}
