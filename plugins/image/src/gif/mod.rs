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
//! Read: one picture becomes an image (RGB; RGBA if it is transparent somewhere), several become a video whose frames
//! are whole screens in RGBA, decoded one at a time. As in browsers, the screen grows to hold the first picture, is
//! transparent before the first picture and where a picture is cleared, and a delay of 0 or 10 ms counts as 100 ms
//! (`gif.delay`). Comments and the number of loops become properties.
//!
//! Written: an image, or the frames of a video; a palette of its own for each frame, exact up to 256 colours. Lost:
//! colours beyond (`gif.colors`), partial transparency (`gif.alpha`), delays that are no whole hundredths (`gif.delay`),
//! other tracks (`gif.tracks`), and what [`encode`](crate::encode) names.
//!
//! Strictness: a picture outside the screen (`gif.screen`, `gif.outside`), an index without a colour (`gif.palette`),
//! zero bytes between blocks (`gif.stray-bytes`) and bytes after the trailer (`gif.trailing-bytes`) are diagnostics,
//! errors when strict. A file that is cut or broken behind its first picture (`gif.damaged`, `gif.damaged-frame`) is
//! read as far as it goes with a diagnostic of severity error; strict makes an error of it.

mod blocks;
mod lzw;
mod screen;
mod write;

use mediary_core::record::facts::ImageFacts;
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
    /// Pixels of all frames.
    pixels: u64,
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
            pixels: 0,
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
        decode::check_size(cx, it.width, it.height, 8, source.len())?;
        cx.limits().check("pixels", it.most_pixels)?;
        decode::check_expansion(cx, it.pixels, source.len())?;
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
        let pixels = u64::from(frame.width) * u64::from(frame.height);
        self.pixels += pixels;
        self.most_pixels = self.most_pixels.max(pixels);
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
        Facts::Video(decode::animation(it.track()))
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
    let Samples::U8(samples) = image.into_samples() else {
        return Err(Error::malformed("expected 8-bit samples"));
    };
    let mut samples = samples.into_vec();
    let pixels = samples.len() / 4;
    for pixel in 1..pixels {
        samples.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    samples.truncate(pixels * 3);
    Image::new(width, height, 3, Samples::U8(samples.into()))
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

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, Media};

    use super::*;
    use crate::testing;

    fn read(name: &str) -> MediaRecord {
        testing::read(name, testing::data(&format!("gif/{name}"))).unwrap()
    }

    fn frames(record: &mut MediaRecord) -> Vec<VideoFrame> {
        let Media::Video(video) = &mut record.media else { panic!("expected a video, found {}", record.kind()) };
        let mut frames = Vec::new();
        while let Some(frame) = video.frames.as_mut().unwrap().next_chunk().unwrap() {
            frames.push(frame);
        }
        frames
    }

    /// SHA-256 of the RGBA pixels of each frame, what is transparent painted in the colour `behind`.
    fn hashes(frames: &[VideoFrame], behind: [u8; 4]) -> Vec<String> {
        let hash = |frame: &VideoFrame| {
            let mut pixels = testing::rgba8(&frame.image);
            for pixel in pixels.chunks_exact_mut(4).filter(|pixel| pixel[3] == 0) {
                pixel.copy_from_slice(&behind);
            }
            testing::sha256(&pixels)
        };
        frames.iter().map(hash).collect()
    }

    #[test]
    fn single_pictures_are_those_of_pillow() {
        for (name, channels, sha256) in [
            ("alpha_gif_a.gif", 4, "a05220d5d89b6632f3907f1ee193e92ac482aded52a67a543cab758c855dbec9"),
            ("interlaced.gif", 3, "62863eb5880684c551a57f8170e197f92b0cb4731aac3e4594e001447daeed34"),
        ] {
            let record = read(name);
            let image = testing::image(&record);
            assert_eq!(image.channels(), channels, "{name}");
            assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
            assert!(!record.source_is_canonical, "{name}");
        }
        assert_eq!(read("interlaced.gif").properties["comment"], "Created with GIMP");
    }

    #[test]
    fn an_animation_is_that_of_pillow() {
        let mut record = read("no_time_for_that_tiny.gif");
        assert!(record.source_is_canonical);
        assert_eq!(record.properties["loop_count"], 0);
        let frames = frames(&mut record);
        assert_eq!(frames.len(), 24);
        assert!(frames.iter().all(|frame| frame.duration_seconds == 0.07));
        let pixels: Vec<u8> = frames.iter().flat_map(|frame| testing::rgba8(&frame.image)).collect();
        assert_eq!(testing::sha256(&pixels), "a224b1e984b5152ea2ffe28e6e743d454b78951bcb3682e121e60fb1ea4c6bdf");
        let Facts::Video(facts) = record.facts() else { panic!("expected a video") };
        assert_eq!((facts.width, facts.height, facts.frames), (Some(14), Some(25), Some(24)));
        assert_eq!(facts.duration_seconds, Some(1.68));
    }

    #[test]
    fn a_cleared_picture_leaves_the_screen_transparent() {
        // Pillow 13.0.0, which clears an RGB screen to black.
        let expected = [
            "a49ff97a78ad85cdb1cdd6a3bf8dc2da1cc07a5408d3663e82c773a19539c351",
            "d18c835feaebadeec4272cd049f84121e21357e6e007fb41dabd2b2c57b8e91b",
            "2cfbcc5fbd3577048243211c81d12a5905d5c5be5ac9184d4fa293cdb47bf02e",
            "fce647e30f16c3b4ac10d5d2381702bd3b4c331474c3908f30331b079029a408",
            "6607c4821c599e562e3973c121b73fd61c3f73628c341d1aef6397b8c64195cd",
        ];
        let frames = frames(&mut read("dispose_bgnd.gif"));
        assert_eq!(hashes(&frames, [0, 0, 0, 255]), expected);
        let clear = |frame: &VideoFrame| testing::rgba8(&frame.image).chunks(4).filter(|pixel| pixel[3] == 0).count();
        assert_eq!(frames.iter().map(clear).collect::<Vec<_>>(), [0, 0, 1000, 1964, 2939]);
    }

    #[test]
    fn malformed_files_are_told() {
        let bad = |name: &str| testing::data(&format!("gif/malformed/{name}"));
        assert!(testing::read("a.gif", bad("issue-96-small-codesize.gif")).is_err());
        let record = testing::read("a.gif", bad("oob.gif")).unwrap();
        assert_eq!(testing::codes(&record), ["gif.screen"]);
        // Pillow 13.0.0 makes the screen larger too.
        let image = testing::image(&record);
        assert_eq!((image.width(), image.height()), (40, 40));
        let sha256 = "9c5c57706332ab8cd12b34fca0b60534fd1e3e4a00c7ee497affce3ba0b146da";
        assert_eq!(testing::sha256(&testing::rgba8(image)), sha256);
        let strict = testing::strictly(Strictness::Strict);
        assert!(testing::read_with("a.gif", bad("oob.gif"), &strict).is_err());
    }

    /// A file of 1-bit pictures of 2 x 2 pixels: left, top, LZW minimum code size and data of each.
    fn tiny(pictures: &[(u8, u8, u8, &[u8])]) -> Vec<u8> {
        let mut bytes = b"GIF89a\x02\0\x02\0\x80\0\0\x0A\x0B\x0C\xFF\xFF\xFF".to_vec();
        for &(left, top, code_size, data) in pictures {
            bytes.extend([0x2C, left, 0, top, 0, 2, 0, 2, 0, 0, code_size, data.len() as u8]);
            bytes.extend(data);
            bytes.push(0);
        }
        bytes.push(0x3B);
        bytes
    }

    /// The indices 0, 1, 1, 0 as codes of 3 bits: clear 4, 0, 1, 1, 0, end 5; after the third the codes have 4 bits.
    const FOUR: &[u8] = &[0b0100_0100, 0b0000_0010, 0b0000_0101];

    fn reds(image: &Image) -> Vec<u8> {
        testing::rgba8(image).chunks(4).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn deviations_are_told() {
        let found = |bytes: Vec<u8>| testing::codes(&testing::read("a.gif", bytes).unwrap());
        let good = tiny(&[(0, 0, 2, FOUR)]);
        let record = testing::read("a.gif", good.clone()).unwrap();
        assert_eq!(reds(testing::image(&record)), [10, 255, 255, 10]);
        assert_eq!(testing::codes(&record), Vec::<String>::new());

        assert_eq!(found([&good[..], b"tail"].concat()), ["gif.trailing-bytes"]);
        assert_eq!(found(good[..good.len() - 1].to_vec()), ["gif.damaged"]);
        assert_eq!(found(tiny(&[(0, 0, 2, &FOUR[..1])])), ["gif.damaged-frame"]);
        let mut stray = good.clone();
        stray.insert(good.len() - 1, 0);
        assert_eq!(found(stray), ["gif.stray-bytes"]);
        // A palette of two colours, and the index 2 in the place of 1: codes 4, 0, 2, 2, 0.
        assert_eq!(found(tiny(&[(0, 0, 2, &[0b1000_0100, 0b0000_0100, 0b0000_0101])])), ["gif.palette"]);

        // Only the first picture enlarges the screen; the second is cut.
        let mut record = testing::read("a.gif", tiny(&[(0, 0, 2, FOUR), (1, 1, 2, FOUR)])).unwrap();
        assert_eq!(testing::codes(&record), ["gif.outside", "gif.delay"]);
        let frames = frames(&mut record);
        assert_eq!(reds(&frames[1].image), [10, 255, 255, 10]);
        assert_eq!(frames[0].duration_seconds, 0.1);
    }

    #[test]
    fn a_code_size_out_of_range_is_refused() {
        let error = testing::read("a.gif", tiny(&[(0, 0, 12, FOUR)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains("found 12"), "{error}");
    }

    #[test]
    fn a_bomb_of_frames_is_refused() {
        // 200 frames of 2000 x 2000 pixels in 4 kB.
        let mut bytes = b"GIF89a\xD0\x07\xD0\x07\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
        for _ in 0..200 {
            bytes.extend(b"\x2C\0\0\0\0\xD0\x07\xD0\x07\0\x02\x02\x04\x05\0");
        }
        bytes.push(0x3B);
        let error = testing::read("a.gif", bytes).unwrap_err();
        assert_eq!(error.limit_name(), Some("expansion_ratio"));
    }

    #[test]
    fn as_many_frames_as_the_limit_allows() {
        let mut options = testing::strictly(Strictness::Default);
        options.limits.frames = 23;
        let bytes = testing::data("gif/no_time_for_that_tiny.gif");
        let error = testing::read_with("a.gif", bytes, &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("frames"));
    }

    #[test]
    fn frames_of_few_colors_are_written_exactly() {
        for name in ["no_time_for_that_tiny.gif", "dispose_bgnd.gif"] {
            let expected = frames(&mut read(name));
            let mut record = read(name);
            let bytes = testing::write(&mut record, "gif", &[]);
            assert_eq!(bytes, testing::write(&mut read(name), "gif", &[]), "{name} is deterministic");
            let mut again = testing::read("a.gif", bytes).unwrap();
            assert_eq!(again.properties["loop_count"], 0);
            let found = frames(&mut again);
            assert_eq!(hashes(&found, [0; 4]), hashes(&expected, [0; 4]), "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.duration_seconds, expected.duration_seconds);
            }
            assert_eq!(testing::codes(&again), Vec::<String>::new());
            assert_eq!(record.loss, []);
        }
    }

    #[test]
    fn what_is_lost_is_told() {
        // 64 x 64 colours, a row of which is half transparent, with 16 bits.
        let samples = (0..64 * 64_u32).flat_map(|at| {
            let alpha = if at < 64 { 0x9000 } else { 0xFFFF };
            [(at % 64 * 1024) as u16, (at / 64 * 1024) as u16, 0x8000, alpha]
        });
        let image = Image::new(64, 64, 4, Samples::U16(samples.collect())).unwrap();
        let frame = VideoFrame { image: image.clone(), duration_seconds: 1.0 / 30.0 };
        let video = Video {
            container: "test".into(),
            tracks: Vec::new(),
            duration_seconds: None,
            playable: false,
            frames: Some(Stream::from_chunks(vec![frame.clone(), frame])),
        };
        let mut record = MediaRecord::new(video);
        let bytes = testing::write(&mut record, "gif", &[("gif.loops", "3")]);
        let losses: Vec<_> = record.loss.iter().map(|loss| (loss.code.as_ref(), loss.count)).collect();
        // In a frame 63 of 64 reds and greens, all blues, and the 64 alphas are no multiple of 257.
        let depth = 2 * (2 * 64 * 63 + 64 * 64 + 64);
        assert_eq!(losses, [("gif.colors", 2), ("gif.alpha", 128), ("gif.depth", depth), ("gif.delay", 2)]);
        let mut again = testing::read("a.gif", bytes).unwrap();
        assert_eq!(again.properties["loop_count"], 3);
        let again = frames(&mut again);
        assert_eq!((again.len(), again[0].duration_seconds), (2, 0.03));
        let error: u64 = testing::rgba8(&again[0].image)
            .iter()
            .zip(testing::rgba8(&image))
            .map(|(a, b)| u64::from(a.abs_diff(b)))
            .sum();
        let mean = error as f64 / (64.0 * 64.0 * 4.0);
        assert!(mean < 6.0, "mean difference {mean}");
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("gif");
    }
}
