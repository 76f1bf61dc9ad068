//! An animation: the tracks of the box `moov`, and their frames.

use mediary_core::record::{ColorSpace, Image, Samples, Track, TrackKind, VideoFrame};
use mediary_core::{Context, Error, Result, Source};

use super::av1::{Decoder, Sequence};
use super::color::Conversion;
use super::items::{self, Coding, Colors};
use super::picture::{self, Canvas, Sample};
use crate::boxes::Atom;
use crate::decode;

/// Bytes before the boxes of a visual sample entry.
const SAMPLE_ENTRY: usize = 78;

/// A track of AV1.
#[derive(Clone, Debug)]
pub(super) struct Movie {
    id: u32,
    /// The track that this one is the alpha of.
    auxiliary_of: Vec<u32>,
    is_auxiliary: bool,
    premultiplied_by: Vec<u32>,
    coding: Option<Coding>,
    icc: Option<Vec<u8>>,
    /// Offset and length in the file.
    samples: Vec<(u64, u64)>,
    /// Seconds that each is shown.
    durations: Vec<f64>,
    sequence: Option<Sequence>,
}

/// The tracks of an animation.
pub(super) struct Animation {
    pub(super) color: Movie,
    alpha: Option<Movie>,
    pub(super) sequence: Sequence,
    icc: Option<Vec<u8>>,
    is_premultiplied: bool,
}

impl Animation {
    pub(super) fn parse(moov: &Atom<'_>, source: &Source, cx: &Context) -> Result<Self> {
        let mut movies = Vec::new();
        for trak in moov.children(0)? {
            let trak = trak?;
            if trak.kind == *b"trak"
                && let Some(movie) = Movie::parse(&trak, source, cx)?
            {
                movies.push(movie);
            }
        }
        let Some(color) = movies.iter().find(|movie| !movie.is_auxiliary).cloned() else {
            return Err(Error::malformed("expected a track of pictures in AV1, found none").at_byte(moov.at));
        };
        let alpha = movies.iter().find(|movie| movie.is_auxiliary && movie.auxiliary_of.contains(&color.id)).cloned();
        let sequence = color.first()?;
        let is_premultiplied = alpha.as_ref().is_some_and(|alpha| color.premultiplied_by.contains(&alpha.id));
        if let Some(alpha) = &alpha {
            let other = alpha.first()?;
            let same = (other.width, other.height, alpha.samples.len())
                == (sequence.width, sequence.height, color.samples.len());
            if !same {
                return Err(Error::malformed(format!(
                    "expected an alpha of {} frames of {} x {}, found {} of {} x {}",
                    color.samples.len(),
                    sequence.width,
                    sequence.height,
                    alpha.samples.len(),
                    other.width,
                    other.height
                )));
            }
        }
        let icc = match &color.icc {
            Some(profile) => decode::usable_profile(cx, profile.clone(), if sequence.is_gray { 1 } else { 3 })?,
            None => None,
        };
        Conversion::new(color.coding.unwrap_or(sequence.coding), sequence.bits)?;
        Ok(Self { color, alpha, sequence, icc, is_premultiplied })
    }

    pub(super) fn seconds(&self) -> f64 {
        self.color.durations.iter().sum()
    }

    pub(super) fn track(&self) -> Track {
        let mut track = Track::new(u64::from(self.color.id), TrackKind::Video, "av1");
        (track.width, track.height) = (Some(self.sequence.width), Some(self.sequence.height));
        track.frames = Some(self.color.samples.len() as u64);
        let seconds = self.seconds();
        track.duration_seconds = Some(seconds);
        track.frame_rate = (seconds > 0.0).then(|| self.color.samples.len() as f64 / seconds);
        track
    }

    /// Bytes that one frame takes.
    pub(super) fn memory(&self) -> u64 {
        u64::from(self.sequence.width) * u64::from(self.sequence.height) * 96
    }

    pub(super) fn frames(self, source: &Source, cx: &Context) -> Result<Frames> {
        let decoder = Decoder::new(self.sequence, true, cx)?;
        let alpha = match self.alpha {
            Some(movie) => {
                let sequence = movie.first()?;
                let coding = Coding { matrix: 1, ..movie.coding.unwrap_or(sequence.coding) };
                let conversion = Conversion::new(coding, sequence.bits)?;
                Some(Layer { decoder: Decoder::new(sequence, true, cx)?, conversion, movie })
            }
            None => None,
        };
        let coding = self.color.coding.unwrap_or(self.sequence.coding);
        let conversion = Conversion::new(coding, self.sequence.bits)?;
        Ok(Frames {
            color: Layer { decoder, conversion, movie: self.color },
            alpha,
            sequence: self.sequence,
            space: if self.icc.is_some() { ColorSpace::Icc } else { picture::color_space(coding) },
            icc: self.icc,
            is_premultiplied: self.is_premultiplied,
            next: 0,
            source: source.clone(),
            cx: cx.clone(),
        })
    }
}

impl Movie {
    /// The track, if it holds pictures of AV1.
    fn parse(trak: &Atom<'_>, source: &Source, cx: &Context) -> Result<Option<Self>> {
        let mdia = trak.need(b"mdia", 0)?;
        let mut handler = mdia.need(b"hdlr", 0)?.fields();
        let handler = handler.take(12)?;
        let is_auxiliary = handler.ends_with(b"auxv");
        if !is_auxiliary && !handler.ends_with(b"pict") && !handler.ends_with(b"vide") {
            return Ok(None);
        }
        let mut fields = trak.need(b"tkhd", 0)?.fields();
        let (version, _) = fields.version()?;
        fields.take(if version == 1 { 16 } else { 8 })?;
        let id = fields.u32()?;
        let mut fields = mdia.need(b"mdhd", 0)?.fields();
        let (version, _) = fields.version()?;
        fields.take(if version == 1 { 16 } else { 8 })?;
        let scale = fields.u32()?;
        if scale == 0 {
            return Err(Error::malformed("expected a time scale above 0, found 0").at_byte(mdia.at));
        }
        let stbl = mdia.need(b"minf", 0)?.need(b"stbl", 0)?;
        let Some(entry) = stbl.need(b"stsd", 0)?.find(b"av01", 8)? else { return Ok(None) };
        let mut movie = Self {
            id,
            auxiliary_of: Vec::new(),
            is_auxiliary,
            premultiplied_by: Vec::new(),
            coding: None,
            icc: None,
            samples: samples(&stbl, cx)?,
            durations: Vec::new(),
            sequence: None,
        };
        movie.durations = durations(&stbl, scale, movie.samples.len(), cx)?;
        for child in entry.children(SAMPLE_ENTRY)? {
            let child = child?;
            if child.kind == *b"colr" {
                match items::colors(&mut child.fields(), cx)? {
                    Colors::Coding(coding) => movie.coding = Some(coding),
                    Colors::Profile(profile) => movie.icc = Some(profile),
                    Colors::Other => {}
                }
            }
        }
        if let Some(tref) = trak.find(b"tref", 0)? {
            for reference in tref.children(0)? {
                let reference = reference?;
                let ids = reference.body.as_chunks::<4>().0.iter().map(|id| u32::from_be_bytes(*id));
                match &reference.kind {
                    b"auxl" => movie.auxiliary_of.extend(ids),
                    b"prem" => movie.premultiplied_by.extend(ids),
                    _ => {}
                }
            }
        }
        let first = movie.sample(0, source, cx)?;
        movie.sequence = Some(Sequence::find(&first)?);
        cx.budget().give_back(first.len() as u64);
        let sequence = movie.first()?;
        decode::check_size(cx, sequence.width, sequence.height, 0, u64::MAX)?;
        Ok(Some(movie))
    }

    pub(super) fn coding(&self) -> Option<Coding> {
        self.coding
    }

    fn first(&self) -> Result<Sequence> {
        self.sequence.ok_or_else(|| Error::malformed("expected frames in the track, found none"))
    }

    fn sample(&self, number: usize, source: &Source, cx: &Context) -> Result<Vec<u8>> {
        let &(at, length) =
            self.samples.get(number).ok_or_else(|| Error::malformed("expected frames in the track, found none"))?;
        let left = source.len().saturating_sub(at);
        if length > left {
            return Err(Error::truncated(&format!("frame {number}"), length, left)
                .at_byte(at)
                .with_hint("the file is cut short; fetch or copy it again"));
        }
        let mut data = decode::buffer::<u8>(cx, length)?;
        source.read_exact_at(at, &mut data, "a frame")?;
        Ok(data)
    }
}

/// Where the samples of a track are: sizes, chunks of samples, places of chunks.
fn samples(stbl: &Atom<'_>, cx: &Context) -> Result<Vec<(u64, u64)>> {
    let mut sizes = stbl.need(b"stsz", 0)?.fields();
    sizes.version()?;
    let (equal, count) = (sizes.u32()?, sizes.u32()?);
    if equal == 0 {
        sizes.count(count, 4)?;
    }
    cx.limits().check("frames", u64::from(count))?;
    let (mut offsets, wide) = match stbl.find(b"co64", 0)? {
        Some(offsets) => (offsets.fields(), 8),
        None => (stbl.need(b"stco", 0)?.fields(), 4),
    };
    offsets.version()?;
    let chunks = offsets.u32()?;
    offsets.count(chunks, wide)?;
    let mut runs = stbl.need(b"stsc", 0)?.fields();
    runs.version()?;
    let entries = runs.u32()?;
    runs.count(entries, 12)?;
    let mut run = || Ok::<_, Error>((runs.u32()?, runs.u32()?, runs.u32()?));
    let mut left = entries;
    let mut next = |left: &mut u32| {
        *left = left.saturating_sub(1);
        run()
    };
    let mut samples = cx.budget().vec("frames", u64::from(count), 0, u64::MAX)?;
    let mut per_chunk = 0;
    let mut from = if left > 0 { Some(next(&mut left)?) } else { None };
    for chunk in 1..=chunks {
        if chunk % 1024 == 0 {
            cx.checkpoint()?;
        }
        if let Some((_, count, _)) = from.filter(|(first, _, _)| *first == chunk) {
            per_chunk = count;
            from = if left > 0 { Some(next(&mut left)?) } else { None };
        }
        let mut at = offsets.uint(wide)?;
        for _ in 0..per_chunk {
            if samples.len() == count as usize {
                break;
            }
            let length = if equal == 0 { u64::from(sizes.u32()?) } else { u64::from(equal) };
            samples.push((at, length));
            at = at.saturating_add(length);
        }
    }
    if samples.len() != count as usize {
        return Err(
            Error::malformed(format!("expected {count} frames in chunks, found {}", samples.len())).at_byte(stbl.at)
        );
    }
    Ok(samples)
}

/// Seconds that each sample is shown.
fn durations(stbl: &Atom<'_>, scale: u32, count: usize, cx: &Context) -> Result<Vec<f64>> {
    let mut fields = stbl.need(b"stts", 0)?.fields();
    fields.version()?;
    let entries = fields.u32()?;
    let entries = fields.count(entries, 8)?;
    let mut durations = cx.budget().vec("durations", count as u64, 0, u64::MAX)?;
    for _ in 0..entries {
        let (times, ticks) = (fields.u32()? as usize, fields.u32()?);
        let times = times.min(count - durations.len());
        durations.extend(std::iter::repeat_n(f64::from(ticks) / f64::from(scale), times));
    }
    if durations.len() != count {
        let text = format!("expected durations of {count} frames, found {}", durations.len());
        return Err(Error::malformed(text).at_byte(stbl.at));
    }
    Ok(durations)
}

/// A track that is decoded.
struct Layer {
    decoder: Decoder,
    conversion: Conversion,
    movie: Movie,
}

/// The frames of an animation, decoded one after the other.
pub(super) struct Frames {
    color: Layer,
    alpha: Option<Layer>,
    sequence: Sequence,
    space: ColorSpace,
    icc: Option<Vec<u8>>,
    is_premultiplied: bool,
    next: usize,
    source: Source,
    cx: Context,
}

impl Iterator for Frames {
    type Item = Result<VideoFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let duration_seconds = *self.color.movie.durations.get(self.next)?;
        let image = match self.sequence.bits {
            8 => self.draw::<u8>().map(|pixels| Samples::U8(pixels.into())),
            _ => self.draw::<u16>().map(|pixels| Samples::U16(pixels.into())),
        };
        let image =
            image.and_then(|samples| Image::new(self.sequence.width, self.sequence.height, self.channels(), samples));
        self.next = if image.is_ok() { self.next + 1 } else { usize::MAX };
        Some(image.map(|mut image| {
            image.source_bits = self.sequence.bits;
            image.color_space = self.space;
            image.icc.clone_from(&self.icc);
            VideoFrame { image, duration_seconds }
        }))
    }
}

impl Frames {
    fn channels(&self) -> u8 {
        (if self.sequence.is_gray { 1 } else { 3 }) + u8::from(self.alpha.is_some())
    }

    fn draw<T: Sample>(&mut self) -> Result<Vec<T>> {
        let (width, height) = (self.sequence.width as usize, self.sequence.height as usize);
        let channels = usize::from(self.channels());
        // The frame is the caller's; its bytes are counted while it is drawn.
        let size = width as u64 * height as u64 * channels as u64;
        let mut canvas = Canvas { pixels: decode::buffer::<T>(&self.cx, size)?, width, height, channels };
        let layers = [Some(&mut self.color), self.alpha.as_mut()];
        for (number, layer) in layers.into_iter().flatten().enumerate() {
            let data = layer.movie.sample(self.next, &self.source, &self.cx)?;
            let length = data.len() as u64;
            let frame = layer.decoder.frame(data)?;
            self.cx.budget().give_back(length);
            match number {
                0 => canvas.colors(&frame, &layer.conversion, [0, 0], &self.cx)?,
                _ => canvas.alpha(&frame, &layer.conversion, [0, 0], &self.cx)?,
            }
        }
        if self.is_premultiplied {
            canvas.divide();
        }
        self.cx.budget().give_back(size * size_of::<T>() as u64);
        Ok(canvas.pixels)
    }
}
