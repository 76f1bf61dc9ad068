//! Pixels of a codestream.

use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, InitializeResult, JxlImage, JxlThreadPool, Render};
use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples, Stream, Track, TrackKind, Video, VideoFrame};
use mediary_core::{Context, Error, Facts, Header, Media, MediaRecord, Result, Source};

use super::container::Container;
use crate::decode;
use crate::exif::Exif;

/// Bytes of the codestream that are given to the decoder before its header is known.
const HEAD: usize = 4096;

/// Bytes that decoding takes for a sample: as a float in several stages, and as it is in the end.
const SAMPLE_BYTES: u64 = 16;

/// ITU-T H.273: the primaries and the curves that are told apart.
const BT709: u8 = 1;
const LINEAR: u8 = 8;
const SRGB: u8 = 13;
const PQ: u8 = 16;
const HLG: u8 = 18;

/// How samples are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Depth {
    U8,
    U16,
    F32,
}

/// A codestream that is taken in, and what its pictures will be.
struct Pictures {
    image: JxlImage,
    width: u32,
    height: u32,
    channels: u8,
    depth: Depth,
    bits: u8,
    is_premultiplied: bool,
    space: ColorSpace,
    icc: Option<Vec<u8>>,
    is_turned: bool,
    /// Ticks that each frame is shown, of an animation; seconds of a tick.
    ticks: Option<(Vec<u32>, f64)>,
}

impl Pictures {
    fn load(codestream: &[u8], cx: &Context) -> Result<Self> {
        let left = cx.budget().allowed().saturating_sub(cx.budget().taken());
        let tracker = AllocTracker::with_limit(usize::try_from(left).unwrap_or(usize::MAX));
        let mut opening = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(tracker).build_uninit();
        let mut rest = codestream;
        let mut image = loop {
            if rest.is_empty() {
                return Err(ends_early());
            }
            let (part, behind) = rest.split_at(rest.len().min(HEAD));
            opening.feed_bytes(part).map_err(failed)?;
            rest = behind;
            cx.checkpoint()?;
            match opening.try_init().map_err(failed)? {
                InitializeResult::NeedMoreData(more) => opening = more,
                InitializeResult::Initialized(image) => break image,
            }
        };
        let metadata = &image.image_header().metadata;
        let (width, height) = (image.width(), image.height());
        let pixels = decode::check_size(cx, width, height, 0, u64::MAX)?;
        let format = image.pixel_format();
        if format.has_black() {
            return Err(Error::unsupported("colours of ink (CMYK)"));
        }
        let extra = metadata.ec_info.len() as u64;
        cx.budget().take(pixels.saturating_mul((3 + extra).saturating_mul(SAMPLE_BYTES)))?;
        let (depth, bits) = match metadata.bit_depth {
            BitDepth::IntegerSample { bits_per_sample: bits @ ..=8 } => (Depth::U8, bits),
            BitDepth::IntegerSample { bits_per_sample: bits @ ..=16 } => (Depth::U16, bits),
            BitDepth::IntegerSample { bits_per_sample: bits } | BitDepth::FloatSample { bits_per_sample: bits, .. } => {
                (Depth::F32, bits)
            }
        };
        let alpha = metadata.ec_info.iter().find(|channel| channel.is_alpha());
        let is_premultiplied = alpha.is_some_and(|channel| channel.alpha_associated() == Some(true));
        let is_turned = metadata.orientation != 1;
        let tick = metadata
            .animation
            .as_ref()
            .map(|animation| f64::from(animation.tps_denominator) / f64::from(animation.tps_numerator.max(1)));
        let channels = format.channels() as u8;
        for part in rest.chunks(1 << 20) {
            cx.checkpoint()?;
            image.feed_bytes(part).map_err(failed)?;
            cx.limits().check("frames", image.num_loaded_frames() as u64)?;
        }
        image.finalize().map_err(failed)?;
        if !image.is_loading_done() {
            return Err(ends_early());
        }
        let (space, icc) = colors(&image, channels, cx)?;
        let count = image.num_loaded_keyframes();
        let ticks = tick.filter(|_| count > 1).map(|tick| {
            let durations = (0..count).filter_map(|number| image.frame_header(number)).map(|header| header.duration);
            (durations.collect(), tick)
        });
        let bits = bits as u8;
        Ok(Self { image, width, height, channels, depth, bits, is_premultiplied, space, icc, is_turned, ticks })
    }

    fn track(&self) -> Option<Track> {
        let (ticks, tick) = self.ticks.as_ref()?;
        let seconds = ticks.iter().map(|ticks| f64::from(*ticks) * tick).sum();
        let mut track = Track::new(1, TrackKind::Video, "jxl");
        (track.width, track.height) = (Some(self.width), Some(self.height));
        track.frames = Some(ticks.len() as u64);
        track.duration_seconds = Some(seconds);
        track.frame_rate = (seconds > 0.0).then(|| ticks.len() as f64 / seconds);
        Some(track)
    }

    /// The frame of this number as it is shown.
    fn draw(&self, number: usize, cx: &Context) -> Result<Image> {
        cx.checkpoint()?;
        let render = self.image.render_frame(number).map_err(failed)?;
        cx.checkpoint()?;
        let samples = match self.depth {
            Depth::U8 => {
                let mut samples = self.samples::<u8>(&render, cx)?;
                self.divide(&mut samples, 255.0, |value| (value + 0.5) as u8);
                Samples::U8(samples.into())
            }
            Depth::U16 => {
                let mut samples = self.samples::<u16>(&render, cx)?;
                self.divide(&mut samples, 65535.0, |value| (value + 0.5) as u16);
                Samples::U16(samples.into())
            }
            Depth::F32 => {
                let mut samples = self.samples::<f32>(&render, cx)?;
                self.divide(&mut samples, f32::INFINITY, |value| value);
                Samples::F32(samples.into())
            }
        };
        let mut image = Image::new(self.width, self.height, self.channels, samples)?;
        (image.source_bits, image.color_space) = (self.bits, self.space);
        image.icc.clone_from(&self.icc);
        image.orientation_applied = self.is_turned;
        Ok(image)
    }

    fn samples<T: jxl_oxide::FrameBufferSample + Clone + Default>(
        &self,
        render: &Render,
        cx: &Context,
    ) -> Result<Vec<T>> {
        let mut stream = render.stream();
        let found = (stream.width(), stream.height(), stream.channels());
        if found != (self.width, self.height, u32::from(self.channels)) {
            return Err(Error::malformed(format!(
                "expected {} x {} pixels of {} channels, found {} x {} of {}",
                self.width, self.height, self.channels, found.0, found.1, found.2
            )));
        }
        let count = u64::from(self.width) * u64::from(self.height) * u64::from(self.channels);
        let mut samples = decode::buffer::<T>(cx, count)?;
        stream.write_to_buffer(&mut samples);
        Ok(samples)
    }

    /// Takes the alpha out of colours that are multiplied with it.
    fn divide<T: Copy + Into<f32>>(&self, samples: &mut [T], most: f32, round: impl Fn(f32) -> T) {
        if !self.is_premultiplied {
            return;
        }
        let whole = if most.is_finite() { most } else { 1.0 };
        for pixel in samples.chunks_exact_mut(self.channels.into()) {
            let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
            let alpha: f32 = (*alpha).into();
            for color in colors.iter_mut().filter(|_| alpha > 0.0) {
                *color = round(((*color).into() * whole / alpha).min(most));
            }
        }
    }
}

/// What the colours mean as they come out.
fn colors(image: &JxlImage, channels: u8, cx: &Context) -> Result<(ColorSpace, Option<Vec<u8>>)> {
    match image.rendered_cicp() {
        Some([BT709, SRGB, ..]) => Ok((ColorSpace::Srgb, None)),
        Some([BT709, LINEAR, ..]) => Ok((ColorSpace::Linear, None)),
        Some([_, PQ | HLG, ..]) => {
            cx.note("color-space", "the curve of the colours is PQ or HLG; the samples are unchanged");
            Ok((ColorSpace::Unknown, None))
        }
        _ => match decode::usable_profile(cx, image.rendered_icc(), channels)? {
            Some(profile) => Ok((ColorSpace::Icc, Some(profile))),
            None => Ok((ColorSpace::Unknown, None)),
        },
    }
}

fn ends_early() -> Error {
    Error::malformed("the codestream ends early").with_hint("the file is cut short; fetch or copy it again")
}

/// What the decoder says, as our error.
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let text = error.to_string();
    if text.contains("out of memory") || text.contains("failed to allocate") {
        return Error::limit("alloc_bytes", u64::MAX, u64::MAX - 1);
    }
    Error::malformed(format!("the codestream is broken: {}", decode::lower(&text)))
}

pub(super) fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    decode::quietly(super::INFO.id, cx, |quiet| header(source, quiet)).map(|(header, _)| header)
}

fn header(source: &Source, cx: &Context) -> Result<Header> {
    let file = source.bytes(cx)?;
    let container = Container::parse(&file, cx)?;
    let before = cx.budget().taken();
    let pictures = Pictures::load(&container.codestream, cx)?;
    let facts = match pictures.track() {
        Some(track) => Facts::Video(decode::animation(track)),
        None => Facts::Image(ImageFacts {
            width: Some(pictures.width),
            height: Some(pictures.height),
            channels: Some(pictures.channels),
            bit_depth: Some(pictures.bits),
            sample_format: Some(if pictures.depth == Depth::F32 { "float" } else { "uint" }),
            color_space: Some(pictures.space.as_str()),
            has_alpha: Some(matches!(pictures.channels, 2 | 4)),
            frames: Some(1),
            orientation_applied: Some(pictures.is_turned),
        }),
    };
    let mut header = Header::single(facts);
    header.memory = Some(cx.budget().taken().saturating_sub(before) + source.len());
    Ok(header)
}

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let before = cx.budget().taken();
    let file = source.bytes(cx)?;
    let container = Container::parse(&file, cx)?;
    let pictures = Pictures::load(&container.codestream, cx)?;
    let left_out = pictures.image.image_header().metadata.ec_info.iter().filter(|channel| !channel.is_alpha()).count();
    if left_out > 0 {
        cx.note(
            "channels",
            format!("{left_out} extra channels that are not alpha are left out, or drawn if they are spots of ink"),
        );
    }
    let mut record = match pictures.track() {
        Some(track) => {
            let loops = pictures.image.image_header().metadata.animation.as_ref().map(|animation| animation.num_loops);
            let mut record = MediaRecord::new(Video {
                container: "jxl".into(),
                duration_seconds: track.duration_seconds,
                tracks: vec![track],
                playable: false,
                frames: Some(Stream::new(Frames { pictures, next: 0, cx: cx.clone() })),
            });
            record.properties.insert("loop_count".into(), loops.into());
            record
        }
        None => MediaRecord::new(pictures.draw(0, cx)?),
    };
    if let Some(data) = container.exif {
        // Before the block stands how far it is away, mostly 0.
        let skip = data.first_chunk::<4>().map_or(0, |offset| u32::from_be_bytes(*offset) as usize);
        let exif = Exif::parse(data.get(4..).and_then(|rest| rest.get(skip..)).unwrap_or_default(), false);
        exif.report(cx)?;
        if !exif.tags.is_empty() {
            record.properties.insert("exif".into(), exif.tags.into());
        }
    }
    if let Some(xmp) = container.xmp {
        decode::keep_xmp(&xmp, cx, &mut record.properties);
    }
    if let Media::Image(image) = &record.media {
        let kept = image.samples().len() as u64 * u64::from(image.samples().bits() / 8);
        cx.budget().give_back(cx.budget().taken().saturating_sub(before + kept));
    }
    Ok(record)
}

/// The frames of an animation, drawn one after the other.
struct Frames {
    pictures: Pictures,
    next: usize,
    cx: Context,
}

impl Iterator for Frames {
    type Item = Result<VideoFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let (ticks, tick) = self.pictures.ticks.as_ref()?;
        let duration_seconds = f64::from(*ticks.get(self.next)?) * tick;
        let taken = self.cx.budget().taken();
        let image = self.pictures.draw(self.next, &self.cx);
        // The frame is the caller's.
        self.cx.budget().give_back(self.cx.budget().taken().saturating_sub(taken));
        self.next = if image.is_ok() { self.next + 1 } else { usize::MAX };
        Some(image.map(|image| VideoFrame { image, duration_seconds }))
    }
}
