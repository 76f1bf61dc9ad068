//! MP4 and QuickTime movies: tracks of the ISO base media file format.
//!
//! Specifications: ISO/IEC 14496-12 (ISO base media file format), 14496-14 (MP4), 14496-15 (AVC and HEVC in it); Apple,
//! *QuickTime File Format*; codes: <https://mp4ra.org>.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | size of the box with this header; 1: in 8 bytes after the type; 0: to the end of the file |
//! | 4 | type |
//! | … | fields, or boxes |
//!
//! | box | read for |
//! |---|---|
//! | `ftyp` | brands |
//! | `moov/mvhd`, `mvex/mehd` | duration |
//! | `trak/tkhd`, `mdia/mdhd`, `mdia/hdlr` | number, rotation, language, time scale, kind |
//! | `stbl/stsd` | codec, its configuration, size, sample rate, channels |
//! | `stbl/stts`, `stsz` or `stz2`, `stco` or `co64` | durations, samples, whether they lie inside the file |
//! | `moof/traf/tfhd`, `trun` | samples of fragments |
//! | `udta`, `meta` | tags, which become properties |
//! | `mdat` | never |
//!
//! **Read:** everything that can be known without decoding; `frames` is absent, with the note `mp4.no-decoder`. Files with
//! sound and no picture are `unsupported` here: they are audio. **Written:** nothing.
//!
//! `playable` says that browsers play the bytes as they are: an MP4 (not QuickTime) brand, H.264 (8 bits, 4:2:0), AV1 or VP9,
//! with AAC, MP3, Opus or FLAC, not encrypted. Otherwise the note `mp4.not-playable` says what stands in the way.
//!
//! **Strictness:** media data or chunks beyond the end of the file (`mp4.truncated`), sample tables that contradict each
//! other (`mp4.sample-count`), bytes after the last box (`mp4.trailing`) are diagnostics, errors in strict mode. A movie
//! without `moov`, or with a box longer than the one around it, is always an error.

mod boxes;
mod codec;
mod tags;
mod tracks;

use mediary_core::record::{TrackKind, Video};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Probe, Result,
    Signature, Source, whole,
};

use boxes::{Atom, Code, Fields};
use tracks::{Missing, Movie, Reading};

/// Brands of files whose first concern is not moving pictures: still images, sound.
const OTHER_BRANDS: [&Code; 17] = [
    b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis",
    b"crx ", b"M4A ", b"M4B ", b"M4P ", b"F4A ",
];
/// Types that a movie without `ftyp` begins with (QuickTime before 2001).
const OLD_FIRST: [&Code; 6] = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];
/// Codecs that browsers play.
const PLAYED_PICTURES: [&str; 3] = ["h264", "av1", "vp9"];
const PLAYED_SOUNDS: [&str; 4] = ["aac", "mp3", "opus", "flac"];

const INFO: FormatInfo = FormatInfo::new("mp4", "MP4 and QuickTime video", &[Kind::Video])
    .extensions(&["mp4", "m4v", "mov", "qt", "3gp", "3g2", "f4v"])
    .media_types(&["video/mp4", "video/quicktime", "video/x-m4v", "video/3gpp"])
    .signatures(&[Signature { offset: 4, bytes: b"ftyp", mask: &[] }])
    .probes_without_signature()
    .reads()
    .spec("https://www.iso.org/standard/83102.html");

struct Mp4;

mediary_core::register!(Mp4);

impl Format for Mp4 {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let Some((size, code)) = probe.head.first_chunk::<8>().map(|head| {
            let [a, b, c, d, code @ ..] = *head;
            (u32::from_be_bytes([a, b, c, d]), code)
        }) else {
            return Confidence::No;
        };
        if &code == b"ftyp" {
            let major = probe.head.get(8..12).unwrap_or(&[]);
            return match OTHER_BRANDS.iter().any(|brand| *brand == major) {
                true => Confidence::No,
                false => {
                    Confidence::yes(200, format!("a file type box of the brand {:?}", major.escape_ascii().to_string()))
                }
            };
        }
        let plausible = matches!(size, 0 | 1 | 8..) && OLD_FIRST.contains(&&code);
        let next = probe.head.get(size as usize..).and_then(|rest| rest.get(4..8));
        let follows = |codes: &[&Code]| next.is_some_and(|next| codes.iter().any(|code| *code == next));
        match plausible && (follows(&OLD_FIRST) || (&code == b"moov" && probe.head.get(12..16) == Some(b"mvhd"))) {
            true => Confidence::yes(150, "boxes of a QuickTime movie"),
            false if plausible && u64::from(size) < probe.len => Confidence::Unknown,
            false => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || read(&source, &cx)))
    }
}

/// Reads everything but the media data.
fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut file = File::new(source, cx);
    file.walk()?;
    let File { mut fields, major, compatible, moov, movie, clean, .. } = file;
    let (Some(moov), Some(movie)) = (moov, movie) else {
        return Err(Error::malformed("expected a box \"moov\", found none")
            .at_byte(source.len())
            .with_hint("the file is cut short, or its recording was never finished; fetch or copy it again"));
    };
    let quicktime = major == *b"qt  ";
    let fragmented = movie.fragmented;
    let (timescale, declared) = (movie.timescale, movie.duration.filter(|&duration| duration > 0));
    let readings: Vec<Reading> = movie.tracks.into_iter().map(|reading| reading.finish(timescale)).collect();
    let has = |kind| readings.iter().any(|reading| reading.track.kind == kind);
    if !has(TrackKind::Video) && has(TrackKind::Audio) {
        return Err(Error::unsupported("expected a track of pictures, found sound alone")
            .with_hint("the file is audio (m4a), which no format built in reads yet"));
    }
    if readings.is_empty() {
        cx.tolerate("no-tracks", "expected a track, found none", Location::byte(moov.start))?;
    }
    let longest = readings.iter().filter_map(|reading| reading.track.duration_seconds).reduce(f64::max);
    let stated = declared.filter(|_| timescale > 0).map(|duration| duration as f64 / f64::from(timescale));
    // The movie header of a fragmented file counts what stood in it when recording began.
    let duration = if fragmented { longest.or(stated) } else { stated.or(longest) };
    let obstacle = obstacle(&readings, quicktime);
    if let Some(picture) = readings.iter().find(|reading| reading.track.kind == TrackKind::Video) {
        let codec = described(picture);
        cx.note("no-decoder", format!("{codec} has no built-in decoder: the record has no frames"));
    }
    if let Some(obstacle) = &obstacle {
        cx.note("not-playable", format!("browsers do not play {obstacle}"));
    }
    let properties = tags::read(&mut fields, moov, cx)?;
    let mut record = MediaRecord::new(Video {
        container: if quicktime { "mov" } else { "mp4" }.into(),
        tracks: readings.into_iter().map(|reading| reading.track).collect(),
        duration_seconds: duration,
        playable: obstacle.is_none(),
        frames: None,
    });
    record.properties = properties;
    if quicktime {
        record.media_type = "video/quicktime".into();
    }
    if !compatible.is_empty() {
        let brands: Vec<String> = compatible.into_iter().map(boxes::name).collect();
        record = record.with_property("major_brand", boxes::name(major)).with_property("compatible_brands", brands);
    }
    record.source_is_canonical = clean && obstacle.is_none();
    Ok(record)
}

/// Why browsers do not play it.
fn obstacle(readings: &[Reading], quicktime: bool) -> Option<String> {
    let of = |kind| readings.iter().filter(move |reading| reading.track.kind == kind);
    if of(TrackKind::Video).next().is_none() {
        return Some("a movie without pictures".into());
    }
    if let Some(reading) = readings.iter().find(|reading| reading.encrypted) {
        return Some(format!("the encrypted track {}", reading.track.id));
    }
    let picture = of(TrackKind::Video).find(|r| !PLAYED_PICTURES.contains(&r.track.codec.as_str()) || !r.common);
    let sound = of(TrackKind::Audio).find(|r| !PLAYED_SOUNDS.contains(&r.track.codec.as_str()));
    if let Some(reading) = picture.or(sound) {
        return Some(described(reading));
    }
    quicktime.then(|| "the QuickTime container".into())
}

/// The codec, with its string where there is one.
fn described(reading: &Reading) -> String {
    let track = &reading.track;
    match &track.codec_string {
        Some(string) => format!("{} ({string})", track.codec),
        None => track.codec.clone(),
    }
}

/// The boxes of the file.
struct File<'a> {
    fields: Fields,
    cx: &'a Context,
    major: Code,
    compatible: Vec<Code>,
    moov: Option<Atom>,
    movie: Option<Movie>,
    /// Whether there is media data after the last fragment.
    fed: bool,
    clean: bool,
}

impl<'a> File<'a> {
    fn new(source: &Source, cx: &'a Context) -> Self {
        Self {
            fields: Fields::new(source, cx),
            cx,
            major: *b"qt  ",
            compatible: Vec::new(),
            moov: None,
            movie: None,
            fed: true,
            clean: true,
        }
    }

    fn walk(&mut self) -> Result<()> {
        let len = self.fields.source_len();
        // Fragments may not come before the movie, so one pass will do; but the brands must be known first.
        let mut at = 0;
        while at < len {
            if len - at < 8 {
                self.clean = false;
                let message = format!("{} bytes after the last box are no box", len - at);
                self.cx.tolerate("trailing", message, Location::byte(at))?;
                break;
            }
            let atom = match self.fields.header(at, len) {
                Err(error) if self.movie.is_some() => {
                    self.clean = false;
                    self.cx.tolerate("trailing", error.message().to_owned(), Location::byte(at))?;
                    break;
                }
                atom => atom?,
            };
            if atom.end > len {
                self.cut(atom, len)?;
                break;
            }
            self.top(atom)?;
            at = atom.end;
        }
        if !self.fed {
            self.clean = false;
            self.cx.unless_strict_missing("the last fragment has no media data after it".into(), len)?;
        }
        Ok(())
    }

    /// A box that reaches beyond the end of the file.
    fn cut(&mut self, atom: Atom, len: u64) -> Result<()> {
        self.clean = false;
        self.fed = true;
        let what = format!("the box {:?}", atom.name());
        let error = Error::truncated(&what, atom.end - atom.start, len - atom.start).at_byte(atom.start);
        if self.movie.is_none() && &atom.code != b"mdat" {
            return Err(error);
        }
        self.cx.unless_strict_missing(error.message().to_owned(), atom.start)
    }

    fn top(&mut self, atom: Atom) -> Result<()> {
        match &atom.code {
            b"ftyp" if self.compatible.is_empty() => {
                self.fields.need(atom, 8)?;
                self.major = self.fields.code(atom.body)?;
                for place in 0..((atom.len() - 8) / 4).min(64) {
                    let brand = self.fields.code(atom.body + 8 + 4 * place)?;
                    self.compatible.push(brand);
                }
            }
            b"moov" if self.movie.is_none() => {
                self.moov = Some(atom);
                self.movie = Some(tracks::movie(&mut self.fields, atom, self.major == *b"qt  ", self.cx)?);
            }
            b"moov" => {
                self.clean = false;
                self.cx.tolerate("extra-moov", "a second moov was left out", Location::byte(atom.start))?;
            }
            b"moof" => match &mut self.movie {
                Some(movie) => {
                    movie.fragmented = true;
                    self.fed = false;
                    tracks::fragment(&mut self.fields, atom, movie, self.cx)?;
                }
                None => {
                    return Err(Error::malformed("expected a box \"moov\" before the first fragment, found none")
                        .at_byte(atom.start)
                        .with_hint("a segment of a stream needs its initialisation segment in front"));
                }
            },
            b"mdat" => self.fed = true,
            _ => {}
        }
        Ok(())
    }
}
