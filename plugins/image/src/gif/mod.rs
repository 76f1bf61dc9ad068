//! GIF, the Graphics Interchange Format.
//!
//! Specification: GIF89a, <https://www.w3.org/Graphics/GIF/spec-gif89a.txt>; the NETSCAPE2.0 extension for loops.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 6 | `GIF87a` or `GIF89a` |
//! | 6 | 7 | logical screen: width, height (little-endian), packed field, background, aspect |
//! | 13 | 3 n | global palette |
//! | `21 F9` | 8 | graphic control: disposal, delay in 1/100 s, transparent index |
//! | `21 FF` | n | application extension, among them the number of loops |
//! | `2C` | 10 + 3 n | a picture: left, top, width, height, packed field, local palette |
//! | | n | LZW minimum code size, data in sub-blocks of up to 255 bytes |
//! | `3B` | 1 | trailer |
//!
//! Read: one picture becomes an image (RGB; RGBA if it is transparent somewhere), several become a video whose frames are
//! whole screens in RGBA, decoded one at a time. As in browsers, the screen grows to hold the first picture, is transparent before the first picture and where a
//! picture is cleared, and a delay of 0 or 10 ms counts as 100 ms (`gif.delay`). Comments and the number of loops become
//! properties.
//!
//! Written: an image, or the frames of a video; a palette of its own for each frame, exact up to 256 colours. Lost: colours
//! beyond (`gif.colors`), partial transparency (`gif.alpha`), 16 bits and floats (`gif.depth`), profiles (`gif.icc`), delays
//! that are no whole hundredths (`gif.delay`), other tracks (`gif.tracks`), properties (`gif.properties`).
//!
//! Strictness: a picture outside the screen (`gif.screen`, `gif.outside`), an index without a colour (`gif.palette`), zero bytes between
//! blocks (`gif.stray-bytes`) and bytes after the trailer (`gif.trailing-bytes`) are diagnostics, errors when strict. A file
//! that is cut or broken behind its first picture (`gif.damaged`, `gif.damaged-frame`) is read as far as it goes with a
//! diagnostic of severity error; strict makes an error of it.

mod blocks;
mod lzw;
mod screen;
mod write;

use mediary_core::record::facts::{ImageFacts, VideoFacts};
use mediary_core::record::{Image, Samples, Stream, Track, TrackKind, Video, VideoFrame};
use mediary_core::{
    Context, Error, Facts, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, OptionSpec,
    OptionType, Output, Result, Severity, Signature, Source, Strictness, register, single,
};

use crate::decode;
use blocks::{Blocks, Frame};
use screen::Painter;

const INFO: FormatInfo = FormatInfo::new("gif", "Graphics Interchange Format", &[Kind::Video, Kind::Image])
    .extensions(&["gif"])
    .media_types(&["image/gif"])
    .signatures(&[
        Signature { offset: 0, bytes: b"GIF89a", mask: &[] },
        Signature { offset: 0, bytes: b"GIF87a", mask: &[] },
    ])
    .reads()
    .writes(&[])
    .options(&[OptionSpec::write(
        "loops",
        OptionType::Int { min: 0, max: 65_535 },
        "0",
        "times a video is played, 0 for ever; what the source says goes first",
    )])
    .spec("https://www.w3.org/Graphics/GIF/spec-gif89a.txt");

struct Gif;

register!(Gif);

impl Format for Gif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_cx), move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// What a walk over all blocks tells.
struct Overview {
    width: u32,
    height: u32,
    /// Whether the screen is larger than the file says, so that the first picture fits.
    enlarged: bool,
    frames: u64,
    /// Hundredths of a second as shown, of all frames.
    hundredths: u64,
    /// Frames whose delay is taken for 100 ms.
    hurried: u64,
    /// Frames that reach beyond the screen, and where the first is.
    outside: Option<(u64, u64)>,
    /// Whether the first frame leaves some of the screen transparent.
    transparent: bool,
    /// Pixels of the largest frame, and bytes of the longest data.
    most_pixels: u64,
    most_data: u64,
    /// The walk, at its end.
    blocks: Blocks,
}

impl Overview {
    fn scan(source: &Source, cx: &Context) -> Result<Self> {
        let blocks = Blocks::open(source, cx)?;
        let (width, height) = (u32::from(blocks.screen.width), u32::from(blocks.screen.height));
        let mut it = Self {
            width,
            height,
            enlarged: false,
            frames: 0,
            hundredths: 0,
            hurried: 0,
            outside: None,
            transparent: false,
            most_pixels: 0,
            most_data: 0,
            blocks,
        };
        while let Some(frame) = it.blocks.next_frame(None)? {
            it.frames += 1;
            cx.limits().check("frames", it.frames)?;
            if it.frames.is_multiple_of(1024) {
                cx.checkpoint()?;
            }
            it.include(&frame);
        }
        if it.frames == 0 {
            let none = Error::malformed("expected a picture, found none").at_byte(it.blocks.position());
            return Err(it.blocks.damage.take().unwrap_or(none));
        }
        decode::check_size(cx, it.width, it.height, 4, source.len())?;
        cx.limits().check("pixels", it.most_pixels)?;
        Ok(it)
    }

    fn include(&mut self, frame: &Frame) {
        let right = u32::from(frame.left) + u32::from(frame.width);
        let bottom = u32::from(frame.top) + u32::from(frame.height);
        if self.frames == 1 {
            self.enlarged = right > self.width || bottom > self.height;
            (self.width, self.height) = (self.width.max(right), self.height.max(bottom));
            let covered = (frame.left, frame.top) == (0, 0) && right >= self.width && bottom >= self.height;
            self.transparent = frame.control.transparent.is_some() || !covered;
        }
        if right > self.width || bottom > self.height {
            let (_, count) = self.outside.get_or_insert((frame.at, 0));
            *count += 1;
        }
        let (shown, hurried) = shown_delay(frame);
        self.hundredths += shown;
        self.hurried += u64::from(hurried);
        self.most_pixels = self.most_pixels.max(u64::from(frame.width) * u64::from(frame.height));
        self.most_data = self.most_data.max(frame.data_bytes);
    }

    fn seconds(&self) -> f64 {
        self.hundredths as f64 / 100.0
    }

    fn track(&self) -> Track {
        let mut track = Track::new(1, TrackKind::Video, "gif");
        track.width = Some(self.width);
        track.height = Some(self.height);
        track.frames = Some(self.frames);
        track.duration_seconds = Some(self.seconds());
        track.frame_rate = Some(self.frames as f64 / self.seconds());
        track
    }

    fn channels(&self) -> u8 {
        if self.transparent { 4 } else { 3 }
    }

    /// Bytes that drawing takes: the screen, what is kept of it, the picture given away, indices and data.
    fn memory(&self) -> u64 {
        12 * u64::from(self.width) * u64::from(self.height) + self.most_pixels + self.most_data
    }
}

/// Hundredths of a second that a frame is shown, and whether that is not what the file says.
fn shown_delay(frame: &Frame) -> (u64, bool) {
    match frame.control.delay {
        0 | 1 => (10, true),
        delay => (delay.into(), false),
    }
}

fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    let it = Overview::scan(source, cx)?;
    let facts = if it.frames == 1 {
        Facts::Image(ImageFacts {
            width: Some(it.width),
            height: Some(it.height),
            channels: Some(it.channels()),
            bit_depth: Some(8),
            sample_format: Some("uint"),
            color_space: Some("srgb"),
            has_alpha: Some(it.transparent),
            frames: Some(1),
            orientation_applied: Some(false),
        })
    } else {
        Facts::Video(VideoFacts {
            width: Some(it.width),
            height: Some(it.height),
            frame_rate: it.track().frame_rate,
            frames: Some(it.frames),
            duration_seconds: Some(it.seconds()),
            codec: Some("gif".into()),
            tracks: Some(vec![it.track()]),
            rotation: Some(0),
        })
    };
    let mut header = Header::single(facts);
    header.memory = Some(it.memory());
    Ok(header)
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut it = Overview::scan(source, cx)?;
    if it.enlarged {
        let (width, height) = (it.blocks.screen.width, it.blocks.screen.height);
        let (wide, tall) = (it.width, it.height);
        let text = format!("a screen of {width} x {height}, made {wide} x {tall} to hold the first picture");
        cx.tolerate("screen", text, Location::byte(6))?;
    }
    if let Some((at, count)) = it.outside {
        let text = format!("{count} pictures reach beyond the screen of {} x {}, they are cut", it.width, it.height);
        cx.tolerate("outside", text, Location::byte(at))?;
    }
    if let Some((at, count)) = it.blocks.stray {
        cx.tolerate("stray-bytes", format!("{count} zero bytes between blocks"), Location::byte(at))?;
    }
    match it.blocks.damage.take() {
        Some(damage) => broken(cx, "damaged", damage)?,
        None => {
            let end = it.blocks.position();
            if end < source.len() {
                let text = format!("{} bytes after the trailer, they are left out", source.len() - end);
                cx.tolerate("trailing-bytes", text, Location::byte(end))?;
            }
        }
    }

    cx.budget().take(it.memory())?;
    let mut frames = Frames {
        blocks: Blocks::open(source, cx)?,
        painter: Painter::new(it.width, it.height, cx),
        data: Vec::new(),
        cx: cx.clone(),
    };
    let mut record = if it.frames == 1 {
        let frame = frames.next().unwrap_or_else(|| Err(Error::malformed("expected a picture, found none")))?;
        MediaRecord::new(if it.transparent { frame.image } else { without_alpha(frame.image)? })
    } else {
        if it.hurried > 0 {
            cx.note(
                "delay",
                format!("{} frames ask for 0 or 10 ms and are shown for 100 ms, as in browsers", it.hurried),
            );
        }
        let mut record = MediaRecord::new(Video {
            container: "gif".into(),
            tracks: vec![it.track()],
            duration_seconds: Some(it.seconds()),
            playable: true,
            frames: Some(Stream::new(frames)),
        });
        record.source_is_canonical = cx.diagnostics().worst().is_none_or(|worst| worst == Severity::Info);
        record
    };
    if let Some(loops) = it.blocks.loops {
        record.properties.insert("loop_count".into(), loops.into());
    }
    if !it.blocks.comment.is_empty() {
        record.properties.insert("comment".into(), it.blocks.comment.into());
    }
    Ok(record)
}

fn without_alpha(image: Image) -> Result<Image> {
    let (width, height) = (image.width(), image.height());
    let Samples::U8(mut samples) = image.into_samples() else {
        return Err(Error::malformed("expected 8-bit samples"));
    };
    let pixels = samples.len() / 4;
    for pixel in 1..pixels {
        samples.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    samples.truncate(pixels * 3);
    Image::new(width, height, 3, Samples::U8(samples))
}

/// Content that is read as far as it goes: an error when strict.
fn broken(cx: &Context, code: &str, error: Error) -> Result<()> {
    if cx.strictness() == Strictness::Strict {
        return Err(error);
    }
    cx.report(Severity::Error, code, error.message().to_owned(), error.location().cloned());
    Ok(())
}

/// The frames of a file, painted one after the other.
struct Frames {
    blocks: Blocks,
    painter: Painter,
    data: Vec<u8>,
    cx: Context,
}

impl Iterator for Frames {
    type Item = Result<VideoFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.paint().transpose()
    }
}

impl Frames {
    fn paint(&mut self) -> Result<Option<VideoFrame>> {
        self.cx.checkpoint()?;
        self.data.clear();
        let Some(frame) = self.blocks.next_frame(Some(&mut self.data))? else { return Ok(None) };
        let image = self.painter.paint(&frame, &self.data, self.blocks.screen.palette.as_ref())?;
        Ok(Some(VideoFrame { image, duration_seconds: shown_delay(&frame).0 as f64 / 100.0 }))
    }
}
