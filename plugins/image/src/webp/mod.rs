//! WebP.
//!
//! Specification: WebP container, <https://developers.google.com/speed/webp/docs/riff_container>; VP8, RFC 6386; lossless,
//! <https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 12 | `RIFF`, bytes that follow (little-endian), `WEBP` |
//! | 12 | 8 + n each | chunks: type, length n, data, a zero byte where n is odd |
//! | `VP8 `, `VP8L` | n | a picture: lossy, lossless |
//! | `VP8X` | 10 | flags, width - 1 and height - 1 of the canvas |
//! | `ALPH` | n | transparency of a lossy picture |
//! | `ANIM`, `ANMF` | 6; 16 + n | an animation: background and loops; a frame: place, size, duration in ms, its chunks |
//! | `ICCP`, `EXIF`, `XMP ` | n | profile and notes |
//!
//! Read: a picture becomes an image, RGB or RGBA; an animation becomes a video whose frames are whole canvases, decoded one at
//! a time. Before the first frame the canvas is transparent, as browsers have it, and not of the background colour. A frame of
//! 0 ms is shown for 100 (`webp.delay`). The orientation of EXIF is applied to a picture; EXIF, XMP and the number of loops
//! become properties. Pixels are decoded by the crate `image-webp`; as in libwebp, chroma is interpolated.
//!
//! Written: lossless, 8 bits, with the colour profile and XMP; the frames of a video as an animation of whole pictures. Lost:
//! durations that are no whole milliseconds (`webp.delay`), other tracks (`webp.tracks`), and what
//! [`encode`](crate::encode) names.
//!
//! Strictness: bytes behind the end (`webp.trailing-bytes`), a broken profile (`icc`) or EXIF block (`exif`) are diagnostics,
//! errors when strict. Anything cut short is an error; of an animation the frames before it are read.

mod riff;
mod write;

use image_webp::{DecodingError, WebPDecoder};
use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples, Stream, Track, TrackKind, Video, VideoFrame};
use mediary_core::{
    Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord,
    Output, Result, Severity, Signature, Source, SourceReader, register, single,
};
use serde_json::{Map, Value};

use crate::decode;
use crate::encode;
use crate::exif::Exif;
use riff::{Place, Riff};

/// Bytes of a profile, an EXIF block or XMP that are read: 16 MiB.
const METADATA: u64 = 16 << 20;

/// Milliseconds that a frame without a duration is shown.
const UNTIMED: u32 = 100;

const INFO: FormatInfo = FormatInfo::new("webp", "WebP", &[Kind::Image, Kind::Video])
    .extensions(&["webp"])
    .media_types(&["image/webp"])
    .signatures(&[Signature { offset: 0, bytes: b"RIFF\0\0\0\0WEBP", mask: &[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1] }])
    .reads()
    .writes(&[Feature::Alpha, Feature::ColorProfile])
    .spec("https://developers.google.com/speed/webp/docs/riff_container");

struct WebP;

register!(WebP);

impl Format for WebP {
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

    fn holds(&self, media: &Media) -> bool {
        encode::is_animation(media)
    }
}

/// The chunks of a file whose sizes are within the limits.
fn scan(source: &Source, cx: &Context) -> Result<Riff> {
    let riff = Riff::scan(source, cx)?;
    decode::check_size(cx, riff.width, riff.height, 32, source.len())?;
    decode::check_expansion(cx, riff.pixels.saturating_mul(4), source.len())?;
    Ok(riff)
}

impl Riff {
    fn channels(&self) -> u8 {
        if self.alpha { 4 } else { 3 }
    }

    fn seconds(&self) -> f64 {
        self.delays.iter().map(|delay| f64::from(shown(*delay))).sum::<f64>() / 1000.0
    }

    fn track(&self) -> Track {
        let mut track = Track::new(1, TrackKind::Video, "webp");
        track.width = Some(self.width);
        track.height = Some(self.height);
        track.frames = Some(self.delays.len() as u64);
        track.duration_seconds = Some(self.seconds());
        track.frame_rate = Some(self.delays.len() as f64 / self.seconds());
        track
    }

    /// Bytes that decoding takes at most: lossless data of a picture, planes of a lossy one, the canvas, a frame and the result.
    fn memory(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * if self.animated { 16 } else { 8 }
    }

    fn exif(&self, source: &Source) -> Result<Exif> {
        let Some(place) = self.exif else { return Ok(Exif { orientation: 1, ..Exif::default() }) };
        let block = read_place(source, place, "the EXIF chunk")?;
        Ok(Exif::parse(block.strip_prefix(b"Exif\0\0").unwrap_or(&block), false))
    }

    fn profile(&self, source: &Source, cx: &Context) -> Result<Option<Vec<u8>>> {
        match self.profile {
            Some(place) => decode::usable_profile(cx, read_place(source, place, "the profile")?, self.channels()),
            None => Ok(None),
        }
    }
}

fn shown(delay: u32) -> u32 {
    if delay == 0 { UNTIMED } else { delay }
}

/// What stands there, as far as it is read.
fn read_place(source: &Source, (at, length): Place, what: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length.min(METADATA) as usize];
    source.read_exact_at(at, &mut bytes, what)?;
    Ok(bytes)
}

fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    let riff = scan(source, cx)?;
    // Findings are reported once, by the full read.
    let quiet = Context::new(INFO.id);
    let facts = if riff.animated {
        Facts::Video(decode::animation(riff.track()))
    } else {
        let orientation = riff.exif(source)?.orientation;
        let (width, height) = decode::oriented(riff.width, riff.height, orientation);
        let space = if riff.profile(source, &quiet)?.is_some() { ColorSpace::Icc } else { ColorSpace::Srgb };
        Facts::Image(ImageFacts {
            width: Some(width),
            height: Some(height),
            channels: Some(riff.channels()),
            bit_depth: Some(8),
            sample_format: Some("uint"),
            color_space: Some(space.as_str()),
            has_alpha: Some(riff.alpha),
            frames: Some(1),
            orientation_applied: Some(orientation > 1),
        })
    };
    let mut header = Header::single(facts);
    header.memory = Some(riff.memory() * 2);
    Ok(header)
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let riff = scan(source, cx)?;
    if let Some((at, count)) = riff.trailing {
        cx.tolerate("trailing-bytes", format!("{count} bytes behind the end, they are left out"), Location::byte(at))?;
    }
    let exif = riff.exif(source)?;
    exif.report(cx)?;
    let icc = riff.profile(source, cx)?;
    cx.budget().take(riff.memory())?;
    cx.checkpoint()?;
    let mut decoder = WebPDecoder::new(source.reader()).map_err(failed)?;
    if decoder.dimensions() != (riff.width, riff.height) || decoder.has_alpha() != riff.alpha {
        return Err(Error::malformed(format!(
            "expected {} x {} pixels, found {:?}",
            riff.width,
            riff.height,
            decoder.dimensions()
        )));
    }
    let mut record = if riff.animated {
        // Without a colour the decoder clears nothing where a frame is to be.
        decoder.set_background_color([0; 4]).map_err(failed)?;
        let untimed = riff.delays.iter().filter(|delay| **delay == 0).count();
        if untimed > 0 {
            cx.note("delay", format!("{untimed} frames without a duration are shown for {UNTIMED} ms"));
        }
        if exif.orientation > 1 {
            cx.note("orientation", format!("the orientation {} is not applied to an animation", exif.orientation));
        }
        let frames = Frames { decoder, channels: riff.channels(), left: riff.delays.len(), icc, cx: cx.clone() };
        let mut record = MediaRecord::new(Video {
            container: "webp".into(),
            tracks: vec![riff.track()],
            duration_seconds: Some(riff.seconds()),
            playable: true,
            frames: Some(Stream::new(frames)),
        });
        record.source_is_canonical = cx.diagnostics().worst().is_none_or(|worst| worst == Severity::Info);
        record.properties.insert("loop_count".into(), riff.loops.into());
        record
    } else {
        let pixels = u64::from(riff.width) * u64::from(riff.height);
        let mut samples = decode::buffer::<u8>(cx, pixels * u64::from(riff.channels()))?;
        decoder.read_image(&mut samples).map_err(failed)?;
        cx.budget().give_back(riff.memory());
        let samples = Samples::U8(samples.into());
        let mut image = decode::upright(cx, riff.width, riff.height, riff.channels(), samples, exif.orientation)?;
        color(&mut image, icc);
        MediaRecord::new(image)
    };
    properties(&riff, source, exif, cx, &mut record.properties)?;
    Ok(record)
}

fn color(image: &mut Image, icc: Option<Vec<u8>>) {
    if icc.is_some() {
        (image.color_space, image.icc) = (ColorSpace::Icc, icc);
    }
}

fn properties(
    riff: &Riff,
    source: &Source,
    exif: Exif,
    cx: &Context,
    properties: &mut Map<String, Value>,
) -> Result<()> {
    if let Some(place) = riff.xmp {
        let text = read_place(source, place, "the XMP chunk")?;
        decode::keep_xmp(&text, cx, properties);
    }
    if !exif.tags.is_empty() {
        properties.insert("exif".into(), exif.tags.into());
    }
    Ok(())
}

/// The frames of an animation, drawn one after the other.
struct Frames {
    decoder: WebPDecoder<SourceReader>,
    channels: u8,
    left: usize,
    icc: Option<Vec<u8>>,
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
        let (width, height) = self.decoder.dimensions();
        let count = u64::from(width) * u64::from(height) * u64::from(self.channels);
        // The frame is the caller's and its bytes are counted with the canvas.
        let mut samples = vec![0; usize::try_from(count).map_err(|_| Error::limit("alloc_bytes", count, u64::MAX))?];
        let delay = self.decoder.read_frame(&mut samples).map_err(failed)?;
        let mut image = Image::new(width, height, self.channels, Samples::U8(samples.into()))?;
        color(&mut image, self.icc.clone());
        Ok(VideoFrame { image, duration_seconds: f64::from(shown(delay)) / 1000.0 })
    }
}

/// What the decoder says, as our error.
fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::malformed("the pixels end early").with_hint("the file is cut short; fetch or copy it again")
        }
        DecodingError::IoError(error) => error.into(),
        other => Error::malformed(format!("the pixels are broken: {}", decode::lower(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::{Media, Strictness};

    use super::*;
    use crate::testing;

    fn good(name: &str) -> Vec<u8> {
        testing::data(&format!("webp/{name}"))
    }

    /// SHA-256 of the RGBA pixels that Pillow 13.0.0 (libwebp) states.
    const PILLOW: &[(&str, u8, &str)] = &[
        ("1_webp_a.webp", 4, "242cde38c984ba8ebe0a8a7603c9bce94f16c35fd700b5f34c3ac59cce57c4ee"),
        ("2-color.webp", 3, "05af7ca15654a10aa1c9234e495bcc9e4c4167256246ebd499f96a6d3b3539b0"),
        ("tux.lossless.webp", 4, "e31a3c5cb0f1695002f580eeb3be5cd499cd45f48b3ee1b066d6817ae3d97a87"),
    ];

    #[test]
    fn pixels_are_those_of_pillow() {
        for &(name, channels, sha256) in PILLOW {
            let record = testing::read("a.webp", good(name)).unwrap();
            let image = testing::image(&record);
            assert_eq!(image.channels(), channels, "{name}");
            assert_eq!(testing::sha256(&testing::rgba8(image)), sha256, "{name}");
        }
    }

    #[test]
    fn an_animation_is_that_of_pillow() {
        let mut record = testing::read("a.webp", good("random_lossy.webp")).unwrap();
        assert_eq!(record.properties["loop_count"], 0);
        let Media::Video(video) = &mut record.media else { panic!("expected a video") };
        let mut hashes = Vec::new();
        while let Some(frame) = video.frames.as_mut().unwrap().next_chunk().unwrap() {
            assert_eq!(frame.duration_seconds, 0.15);
            hashes.push(testing::sha256(&testing::rgba8(&frame.image)));
        }
        let expected = [
            "02295b869ad13d1473d6821ed889aab13611eca78b66022cb78d3474c9e466d0",
            "7a0f6b426933e019643165adc6b2b5b418282d23638a63ff29f8a2fe663a7843",
            "e5fa6f394810fe348773767bc0faa1bc4525b8fe5871c08bef64efa40f1bf1d0",
            "088cd88292c2376eacb558bb532476792e1adf396f8f38658824540a8415201b",
        ];
        assert_eq!(hashes, expected);
    }

    #[test]
    fn malformed_files_are_told() {
        let bad = |name: &str| testing::read("a.webp", testing::data(&format!("webp/malformed/{name}")));
        let error = bad("bomb-16383.webp").unwrap_err();
        assert!(error.message().contains("16383 x 16383 as VP8X says, found 4 x 4"), "{error}");
        // It made a decoder panic once; nothing is wrong with it but that all of it is black.
        assert_eq!(testing::codes(&bad("panic.webp").unwrap()), ["webp.alpha-only"]);
        let whole = good("tux.lossless.webp");
        let error = testing::read("a.webp", whole[..20_000].to_vec()).unwrap_err();
        assert_eq!(error.location().and_then(|location| location.byte), Some(4));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (channels, samples) in [
            (1, (0..64_u8).collect::<Vec<_>>()),
            (2, (0..128_u8).collect()),
            (3, (0..192_u8).collect()),
            (4, (0..=255_u8).collect()),
        ] {
            let image = Image::new(8, 8, channels, Samples::U8(samples.into())).unwrap();
            let mut record = MediaRecord::new(image).with_property("xmp", "<x/>");
            let bytes = testing::write(&mut record, "webp", &[]);
            let again = testing::read("a.webp", bytes).unwrap();
            let (before, after) = (testing::rgba8(testing::image(&record)), testing::rgba8(testing::image(&again)));
            assert_eq!(before, after, "{channels} channels");
            assert_eq!(again.properties["xmp"], "<x/>");
            assert_eq!(record.loss, []);
        }
    }

    #[test]
    fn an_animation_is_written_and_read_again() {
        let frames = |mut record: MediaRecord| {
            let Media::Video(video) = &mut record.media else { panic!("expected a video") };
            let mut frames = Vec::new();
            while let Some(frame) = video.frames.as_mut().unwrap().next_chunk().unwrap() {
                frames.push((frame.duration_seconds, testing::sha256(&testing::rgba8(&frame.image))));
            }
            frames
        };
        let expected = frames(testing::read("a.webp", good("random_lossy.webp")).unwrap());
        for format in ["webp", "png"] {
            let mut record = testing::read("a.webp", good("random_lossy.webp")).unwrap();
            let bytes = testing::write(&mut record, format, &[]);
            let again = testing::read("a.x", bytes).unwrap();
            assert_eq!(again.properties["loop_count"], 0);
            assert_eq!(testing::codes(&again), ["probe.extension-mismatch"; 0]);
            assert_eq!(frames(again), expected, "{format}");
            assert_eq!(record.loss, [], "{format}");
        }
    }

    #[test]
    fn the_orientation_of_exif_is_applied() {
        let plain = good("2-color.webp");
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut bytes = b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\x08\0\0\0".to_vec();
        bytes.extend([43, 1, 0, 43, 1, 0]);
        bytes.extend(&plain[12..]);
        bytes.extend(b"EXIF");
        bytes.extend((exif.len() as u32).to_le_bytes());
        bytes.extend(exif);
        let length = (bytes.len() as u32 - 8).to_le_bytes();
        bytes[4..8].copy_from_slice(&length);
        let record = testing::read("a.webp", bytes.clone()).unwrap();
        assert!(testing::image(&record).orientation_applied);
        assert_eq!(record.properties["exif"], serde_json::json!({"orientation": 6}));
        bytes.extend(b"junk");
        let record = testing::read("a.webp", bytes.clone()).unwrap();
        assert_eq!(testing::codes(&record), ["webp.trailing-bytes"]);
        assert!(testing::read_with("a.webp", bytes, &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("webp");
    }
}
