//! The movie box: tracks with their sample tables, and what fragments add to them.

use std::collections::BTreeMap;

use mediary_core::record::{Track, TrackKind};
use mediary_core::{Context, Error, Location, Result, Severity};

use super::boxes::{Atom, Fields, find};
use super::codec;

/// A track while it is read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) track: Track,
    pub(super) encrypted: bool,
    pub(super) common: bool,
    timescale: u32,
    /// Sum of the durations of all samples, in the time scale.
    ticks: u64,
    /// Duration of `mdhd`, in the time scale.
    declared: Option<u64>,
    samples: u64,
    /// Sample duration of fragments, unless they state another.
    fragment_duration: u32,
    /// What the edit list shows of it, in the time scale of the movie; 0 where it does not say.
    edited: u64,
}

impl Reading {
    /// Fills in what follows from the sums and the time scale of the movie.
    pub(super) fn finish(mut self, movie_timescale: u32) -> Self {
        let scale = f64::from(self.timescale);
        let ticks = if self.ticks > 0 { Some(self.ticks) } else { self.declared };
        self.track.frames = Some(self.samples);
        if self.timescale > 0 {
            self.track.duration_seconds = ticks.map(|ticks| ticks as f64 / scale);
            if self.track.kind == TrackKind::Video && self.ticks > 0 && self.samples > 0 {
                self.track.frame_rate = Some(self.samples as f64 * scale / self.ticks as f64);
            }
        }
        if self.edited > 0 && movie_timescale > 0 {
            self.track.duration_seconds = Some(self.edited as f64 / f64::from(movie_timescale));
        }
        self
    }
}

/// What `moov` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Movie {
    pub(super) tracks: Vec<Reading>,
    pub(super) timescale: u32,
    pub(super) duration: Option<u64>,
    pub(super) fragmented: bool,
}

/// The largest value of 32 or 64 bits means that a duration is not known.
fn known(duration: u64, version: u8) -> Option<u64> {
    let unknown = if version == 1 { u64::MAX } else { u32::MAX.into() };
    Some(duration).filter(|&duration| duration != unknown)
}

/// Reads `moov` but for its metadata.
pub(super) fn movie(fields: &mut Fields, moov: Atom, quicktime: bool, cx: &Context) -> Result<Movie> {
    let children = fields.inside(moov)?;
    let mut movie = Movie::default();
    let mvhd = find(&children, b"mvhd").ok_or_else(|| missing("mvhd", moov))?;
    fields.need(mvhd, 20)?;
    let version = fields.u8(mvhd.body)?;
    let at = mvhd.body + if version == 1 { 20 } else { 12 };
    fields.need(mvhd, if version == 1 { 32 } else { 20 })?;
    movie.timescale = fields.u32(at)?;
    movie.duration = known(fields.wide(at + 4, version)?, version);
    if movie.timescale == 0 {
        cx.tolerate("timescale", "expected a time scale above 0 in mvhd, found 0", Location::byte(at))?;
    }
    for trak in children.iter().filter(|child| &child.code == b"trak") {
        cx.checkpoint()?;
        movie.tracks.push(track(fields, *trak, quicktime, cx)?);
    }
    if let Some(mvex) = find(&children, b"mvex") {
        movie.fragmented = true;
        extends(fields, mvex, &mut movie)?;
    }
    Ok(movie)
}

fn missing(code: &str, around: Atom) -> Error {
    Error::malformed(format!("expected a box {code:?} in {:?}, found none", around.name())).at_byte(around.start)
}

/// `mvex`: the whole duration, and the defaults of fragments.
fn extends(fields: &mut Fields, mvex: Atom, movie: &mut Movie) -> Result<()> {
    for child in fields.inside(mvex)? {
        match &child.code {
            b"mehd" => {
                let version = if child.len() >= 4 { fields.u8(child.body)? } else { 0 };
                fields.need(child, if version == 1 { 12 } else { 8 })?;
                let whole = known(fields.wide(child.body + 4, version)?, version);
                movie.duration = whole.filter(|&whole| whole > 0).or(movie.duration);
            }
            b"trex" => {
                fields.need(child, 24)?;
                let (id, duration) = (fields.u32(child.body + 4)?, fields.u32(child.body + 12)?);
                for reading in movie.tracks.iter_mut().filter(|reading| reading.track.id == u64::from(id)) {
                    reading.fragment_duration = duration;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn track(fields: &mut Fields, trak: Atom, quicktime: bool, cx: &Context) -> Result<Reading> {
    let children = fields.inside(trak)?;
    let tkhd = find(&children, b"tkhd").ok_or_else(|| missing("tkhd", trak))?;
    let mdia = find(&children, b"mdia").ok_or_else(|| missing("mdia", trak))?;
    let media = fields.inside(mdia)?;
    let mdhd = find(&media, b"mdhd").ok_or_else(|| missing("mdhd", mdia))?;
    let hdlr = find(&media, b"hdlr").ok_or_else(|| missing("hdlr", mdia))?;
    fields.need(hdlr, 12)?;
    let kind = match &fields.code(hdlr.body + 8)? {
        b"vide" => TrackKind::Video,
        b"soun" => TrackKind::Audio,
        b"text" | b"sbtl" | b"subt" | b"subp" | b"clcp" => TrackKind::Subtitle,
        _ => TrackKind::Other,
    };
    fields.need(tkhd, 4)?;
    let version = fields.u8(tkhd.body)?;
    // Times and the track number come first; 52 bytes on are the matrix and the display size.
    let (id_at, matrix_at) = if version == 1 { (20, 52) } else { (12, 40) };
    fields.need(tkhd, matrix_at + 44)?;
    let id = fields.u32(tkhd.body + id_at)?;
    let mut reading = Reading {
        track: Track::new(id.into(), kind, ""),
        encrypted: false,
        common: true,
        timescale: 0,
        ticks: 0,
        declared: None,
        samples: 0,
        fragment_duration: 0,
        edited: 0,
    };
    if let Some(edts) = find(&children, b"edts")
        && let Some(elst) = find(&fields.inside(edts)?, b"elst")
    {
        reading.edited = edits(fields, elst)?;
    }
    media_header(fields, mdhd, &mut reading, cx)?;
    if kind == TrackKind::Video {
        reading.track.rotation = rotation(fields, tkhd.body + matrix_at, cx)?;
    }
    let minf = find(&media, b"minf").ok_or_else(|| missing("minf", mdia))?;
    let stbl = find(&fields.inside(minf)?, b"stbl").ok_or_else(|| missing("stbl", minf))?;
    let tables = fields.inside(stbl)?;
    let stsd = find(&tables, b"stsd").ok_or_else(|| missing("stsd", stbl))?;
    describe(fields, stsd, quicktime, &mut reading, cx)?;
    if kind == TrackKind::Video && (reading.track.width, reading.track.height) == (Some(0), Some(0)) {
        // Older writers state the size only for display, in fixed point.
        reading.track.width = Some(fields.u32(tkhd.body + matrix_at + 36)? >> 16);
        reading.track.height = Some(fields.u32(tkhd.body + matrix_at + 40)? >> 16);
    }
    sample_tables(fields, &tables, &mut reading, cx)?;
    Ok(reading)
}

/// `elst`: how long samples are shown in all. Empty edits only delay them.
fn edits(fields: &mut Fields, elst: Atom) -> Result<u64> {
    fields.need(elst, 8)?;
    let version = fields.u8(elst.body)?;
    let (width, empty) = if version == 1 { (8, u64::MAX) } else { (4, u32::MAX.into()) };
    let (count, at) = table(fields, elst, 4, 2 * width + 4)?;
    let mut shown = 0_u64;
    fields.entries(at, count, 2 * width + 4, |fields, at| {
        if fields.wide(at + width, version)? != empty {
            shown = shown.saturating_add(fields.wide(at, version)?);
        }
        Ok(())
    })?;
    Ok(shown)
}

fn media_header(fields: &mut Fields, mdhd: Atom, reading: &mut Reading, cx: &Context) -> Result<()> {
    fields.need(mdhd, 4)?;
    let version = fields.u8(mdhd.body)?;
    let (scale_at, language_at) = if version == 1 { (20, 32) } else { (12, 20) };
    fields.need(mdhd, language_at + 2)?;
    reading.timescale = fields.u32(mdhd.body + scale_at)?;
    reading.declared = known(fields.wide(mdhd.body + scale_at + 4, version)?, version);
    if reading.timescale == 0 {
        let place = Location::byte(mdhd.body + scale_at);
        cx.tolerate("timescale", "expected a time scale above 0 in mdhd, found 0", place)?;
    }
    // Three letters of 5 bits; smaller values are language codes of the Macintosh.
    let packed = fields.u16(mdhd.body + language_at)?;
    if (0x400..0x7FFF).contains(&packed) {
        let letter = |shift: u16| char::from((packed >> shift & 31) as u8 + 0x60);
        let language: String = [letter(10), letter(5), letter(0)].into_iter().collect();
        let stated = language != "und" && language.bytes().all(|letter| letter.is_ascii_lowercase());
        reading.track.language = stated.then_some(language);
    }
    Ok(())
}

/// Clockwise rotation of a display matrix, in quarter turns.
fn rotation(fields: &mut Fields, at: u64, cx: &Context) -> Result<Option<u16>> {
    let mut signed = |index: u64| -> Result<i32> { Ok(fields.u32(at + 4 * index)?.cast_signed()) };
    let (a, b, c, d) = (signed(0)?, signed(1)?, signed(3)?, signed(4)?);
    let turn = match (a.signum(), b.signum(), c.signum(), d.signum()) {
        (1, 0, 0, 1) => 0,
        (0, 1, -1, 0) => 90,
        (-1, 0, 0, -1) => 180,
        (0, -1, 1, 0) => 270,
        (0, 0, 0, 0) => return Ok(None),
        _ => {
            cx.note("matrix", "the display matrix mirrors or skews the picture; only quarter turns are stated");
            return Ok(None);
        }
    };
    Ok(Some(turn))
}

/// `stsd`: the first sample entry.
fn describe(fields: &mut Fields, stsd: Atom, quicktime: bool, reading: &mut Reading, cx: &Context) -> Result<()> {
    fields.need(stsd, 8)?;
    let count = fields.u32(stsd.body + 4)?;
    if count == 0 || stsd.len() < 16 {
        reading.track.codec = "none".into();
        return cx.tolerate("sample-entry", "expected a sample entry in stsd, found none", Location::byte(stsd.start));
    }
    let atom = fields.header(stsd.body + 8, stsd.end)?;
    if atom.end > stsd.end {
        let message = format!("the sample entry {:?} is longer than its list", atom.name());
        return Err(Error::malformed(message).at_byte(atom.start));
    }
    if count > 1 {
        let message = format!("a track has {count} sample entries; the first is described");
        cx.note("sample-entries", message);
    }
    let entry = codec::entry(fields, atom, reading.track.kind, quicktime)?;
    reading.encrypted = entry.encrypted;
    reading.common = entry.common;
    let track = &mut reading.track;
    (track.codec, track.codec_string) = (entry.codec, entry.codec_string);
    (track.width, track.height) = (entry.width, entry.height);
    (track.sample_rate, track.channels) = (entry.sample_rate, entry.channels);
    Ok(())
}

/// A table whose entries must fit its box.
fn table(fields: &mut Fields, atom: Atom, count_at: u64, entry: u64) -> Result<(u32, u64)> {
    fields.need(atom, count_at + 4)?;
    let count = fields.u32(atom.body + count_at)?;
    let at = count_at + 4;
    let needed = u64::from(count) * entry;
    if needed > atom.len() - at {
        let found = atom.len() - at;
        let message = format!("{count} entries of {:?} need {needed} bytes, found {found}", atom.name());
        return Err(Error::malformed(message).at_byte(atom.body + count_at));
    }
    Ok((count, atom.body + at))
}

/// Sample counts, durations and offsets. Nothing is expanded: a table costs as much time as it has entries.
fn sample_tables(fields: &mut Fields, tables: &[Atom], reading: &mut Reading, cx: &Context) -> Result<()> {
    let sizes = if let Some(stsz) = find(tables, b"stsz") {
        fields.need(stsz, 12)?;
        // One size for all samples needs no table.
        let constant = fields.u32(stsz.body + 4)? != 0;
        Some(table(fields, stsz, 8, if constant { 0 } else { 4 })?.0)
    } else if let Some(stz2) = find(tables, b"stz2") {
        fields.need(stz2, 12)?;
        let bits = u64::from(fields.u8(stz2.body + 7)?);
        let count = fields.u32(stz2.body + 8)?;
        if (u64::from(count) * bits).div_ceil(8) > stz2.len() - 12 {
            let message = format!("{count} sizes of {bits} bits do not fit into {} bytes", stz2.len() - 12);
            return Err(Error::malformed(message).at_byte(stz2.start));
        }
        Some(count)
    } else {
        None
    };
    let mut timed = 0_u64;
    let mut ticks = 0_u64;
    if let Some(stts) = find(tables, b"stts") {
        let (count, at) = table(fields, stts, 4, 8)?;
        fields.entries(at, count, 8, |fields, at| {
            let (samples, duration) = (fields.u32(at)?, fields.u32(at + 4)?);
            timed += u64::from(samples);
            // Durations of bit 31 are corrections by -1 or so that some writers made.
            let duration = if duration < 1 << 31 { u64::from(duration) } else { 0 };
            ticks = ticks.saturating_add(u64::from(samples) * duration);
            Ok(())
        })?;
        if let Some(sizes) = sizes.filter(|&sizes| u64::from(sizes) != timed) {
            let message = format!("track {}: stts times {timed} samples, stsz has {sizes}", reading.track.id);
            cx.tolerate("sample-count", message, Location::byte(stts.start))?;
        }
    }
    reading.samples = sizes.map_or(timed, u64::from);
    // Time that is stated for more samples than there are does not count.
    reading.ticks = if timed == reading.samples { ticks } else { 0 };
    offsets(fields, tables, reading, cx)
}

/// Chunks must start inside the file.
fn offsets(fields: &mut Fields, tables: &[Atom], reading: &Reading, cx: &Context) -> Result<()> {
    let (atom, size) = match (find(tables, b"stco"), find(tables, b"co64")) {
        (Some(stco), _) => (stco, 4),
        (None, Some(co64)) => (co64, 8),
        (None, None) => return Ok(()),
    };
    let (count, at) = table(fields, atom, 4, size)?;
    let len = fields.source_len();
    let mut beyond = 0;
    fields.entries(at, count, size, |fields, at| {
        let offset = if size == 8 { fields.u64(at)? } else { fields.u32(at)?.into() };
        beyond += u64::from(offset >= len);
        Ok(())
    })?;
    if beyond > 0 {
        let message =
            format!("track {}: {beyond} of {count} chunks start beyond the end of the file", reading.track.id);
        cx.unless_strict_missing(message, atom.start)?;
    }
    Ok(())
}

/// Content that should be there and is not: an error in strict mode, a diagnostic of severity error otherwise.
pub(super) trait Missing {
    fn unless_strict_missing(&self, message: String, at: u64) -> Result<()>;
}

impl Missing for Context {
    fn unless_strict_missing(&self, message: String, at: u64) -> Result<()> {
        if self.strictness() == mediary_core::Strictness::Strict {
            return Err(Error::malformed(message).at_byte(at));
        }
        self.report(Severity::Error, "truncated", message, Some(Location::byte(at)));
        Ok(())
    }
}

/// `moof`: the samples of a fragment are added to their tracks.
pub(super) fn fragment(fields: &mut Fields, moof: Atom, movie: &mut Movie, cx: &Context) -> Result<()> {
    let by_id: BTreeMap<u64, usize> =
        movie.tracks.iter().enumerate().map(|(place, reading)| (reading.track.id, place)).collect();
    for traf in fields.inside(moof)?.into_iter().filter(|child| &child.code == b"traf") {
        let children = fields.inside(traf)?;
        let tfhd = find(&children, b"tfhd").ok_or_else(|| missing("tfhd", traf))?;
        fields.need(tfhd, 8)?;
        let flags = fields.u32(tfhd.body)?;
        let id = fields.u32(tfhd.body + 4)?;
        let Some(reading) = by_id.get(&id.into()).and_then(|&place| movie.tracks.get_mut(place)) else {
            let message = format!("a fragment is of track {id}, which the movie does not have");
            cx.tolerate("fragment-track", message, Location::byte(tfhd.start))?;
            continue;
        };
        // Optional fields in this order: base offset, description index, duration, size, flags.
        let mut default = reading.fragment_duration;
        if flags & 0x08 != 0 {
            let skip = if flags & 0x01 != 0 { 8 } else { 0 } + if flags & 0x02 != 0 { 4 } else { 0 };
            fields.need(tfhd, 8 + skip + 4)?;
            default = fields.u32(tfhd.body + 8 + skip)?;
        }
        for trun in children.iter().filter(|child| &child.code == b"trun") {
            run(fields, *trun, default, reading)?;
        }
    }
    Ok(())
}

/// `trun`: a run of samples.
fn run(fields: &mut Fields, trun: Atom, default: u32, reading: &mut Reading) -> Result<()> {
    fields.need(trun, 8)?;
    let flags = fields.u32(trun.body)? & 0xFF_FFFF;
    let count = fields.u32(trun.body + 4)?;
    let skip = 8 + if flags & 0x01 != 0 { 4 } else { 0 } + if flags & 0x04 != 0 { 4 } else { 0 };
    let entry = 4 * u64::from((flags & 0xF00).count_ones());
    fields.need(trun, skip)?;
    if u64::from(count) * entry > trun.len() - skip {
        let message = format!("{count} samples of {entry} bytes do not fit into {} bytes", trun.len() - skip);
        return Err(Error::malformed(message).at_byte(trun.start));
    }
    let mut ticks = 0_u64;
    if flags & 0x100 == 0 {
        ticks = u64::from(count) * u64::from(default);
    } else {
        fields.entries(trun.body + skip, count, entry, |fields, at| {
            ticks += u64::from(fields.u32(at)?);
            Ok(())
        })?;
    }
    reading.samples = reading.samples.saturating_add(count.into());
    reading.ticks = reading.ticks.saturating_add(ticks);
    Ok(())
}
