//! From strips and tiles to the samples of a picture.

use mediary_core::record::Samples;
use mediary_core::{Context, Error, Location, Result, Severity, Strictness};

use super::codec::Codec;
use super::color::{self, Table};
use super::directory::{Directory, Tiff};
use super::jpeg;
use super::page::{Colors, Depth, Format, Page};
use super::tags;
use crate::decode;

/// Reads the pixels of a page, as they are in the record but for their orientation.
pub(super) fn read(tiff: &Tiff, directory: &Directory, page: &mut Page, cx: &Context) -> Result<Samples> {
    let before = cx.budget().taken();
    let codec = Codec::of(tiff, directory, page, cx)?;
    let mut chunks = Chunks::of(tiff, directory, page, cx)?;
    if page.compression == 6 {
        chunks.join(tiff, directory, page, cx)?;
    }
    if matches!(&codec, Codec::Jpeg(jpeg) if jpeg.makes_rgb()) {
        page.colors = Colors::Rgb;
    }
    let table = Table::of(tiff, directory, page, cx)?;
    let count = u64::from(page.width) * u64::from(page.height) * page.kept() as u64;
    let mut job = Job { tiff, page, codec, chunks, cx, inexact: 0, sparse: 0 };
    let samples = match page.depth() {
        Depth::U8 => Samples::U8(job.fill(decode::buffer::<u8>(cx, count)?)?.into()),
        Depth::U16 => Samples::U16(job.fill(decode::buffer::<u16>(cx, count)?)?.into()),
        Depth::F32 => Samples::F32(job.fill(decode::buffer::<f32>(cx, count)?)?.into()),
    };
    let text = "samples are rounded to floats of 32 bits";
    cx.report_times(Severity::Warning, "rounded", text, None, job.inexact);
    let text = "strips or tiles that are not in the file are 0";
    cx.report_times(Severity::Info, "sparse", text, None, job.sparse);
    let samples = color::finish(page, &table, samples, cx)?;
    // Places and tables are gone; samples stay counted.
    let kept = samples.len() as u64 * u64::from(samples.bits() / 8);
    cx.budget().give_back((cx.budget().taken() - before).saturating_sub(kept));
    Ok(samples)
}

/// Where strips or tiles are.
struct Chunks {
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    /// Number in a row, and in a plane.
    across: u64,
    plane: u64,
    /// The one stream of JPEG of the old kind.
    joined: Option<Vec<u8>>,
}

impl Chunks {
    fn of(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        let across = u64::from(page.width.div_ceil(page.chunk.0));
        let plane = across * u64::from(page.height.div_ceil(page.chunk.1));
        let planes = if page.planar { page.samples as u64 } else { 1 };
        // Some writers have put tiles under the tags of strips, and the other way round.
        let (places, lengths) = match (page.tiled, directory.has(tags::TILE_OFFSETS)) {
            (true, true) | (false, true) => (tags::TILE_OFFSETS, tags::TILE_BYTES),
            _ => (tags::STRIP_OFFSETS, tags::STRIP_BYTES),
        };
        let places = if directory.has(places) || page.compression != 6 { places } else { tags::JPEG_STREAM };
        let offsets = tiff.numbers(directory, places, cx)?.ok_or_else(|| {
            let text = format!("expected the places of strips or tiles in the tag {places}, found none");
            Error::malformed(text).at_byte(directory.at)
        })?;
        let lengths = tiff.numbers(directory, lengths, cx)?.unwrap_or_default();
        let needed = plane.saturating_mul(planes);
        if (offsets.len() as u64) < needed && page.compression != 6 {
            let text = format!("expected {needed} strips or tiles, found {}", offsets.len());
            cx.unless_lenient("damaged", Error::malformed(text).at(Location::element(format!("tag {places}"))))?;
        }
        let mut chunks = Self { offsets, lengths, across, plane, joined: None };
        chunks.complete(tiff, directory, page, cx)?;
        Ok(chunks)
    }

    /// Guesses the lengths that are not there: up to what comes next.
    fn complete(&mut self, tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<()> {
        let empty = self.lengths.iter().zip(&self.offsets).filter(|&(&length, &at)| length == 0 && at != 0).count();
        let missing = self.offsets.len().saturating_sub(self.lengths.len());
        if missing + empty == 0 {
            return Ok(());
        }
        let text =
            format!("the lengths of {} strips or tiles are missing; they reach to what comes next", missing + empty);
        if missing > 0 || page.compression == 1 {
            cx.tolerate("strip-lengths", text, Location::byte(directory.at))?;
        }
        cx.budget().take(self.offsets.len() as u64 * 16)?;
        let mut sorted = self.offsets.clone();
        sorted.extend([directory.at, tiff.source.len()]);
        sorted.sort_unstable();
        self.lengths.resize(self.offsets.len(), 0);
        for (length, &at) in self.lengths.iter_mut().zip(&self.offsets) {
            if *length == 0 && at != 0 {
                let next = sorted[sorted.partition_point(|&other| other <= at).min(sorted.len() - 1)];
                *length = next.saturating_sub(at);
            }
        }
        Ok(())
    }

    /// The bytes of a strip or tile, as far as the file has them.
    fn packed(&self, tiff: &Tiff, number: usize, cx: &Context) -> Result<Vec<u8>> {
        let (Some(&at), Some(&length)) = (self.offsets.get(number), self.lengths.get(number)) else {
            return Ok(Vec::new());
        };
        let left = tiff.source.len().saturating_sub(at);
        if length > left {
            let text = format!("expected a strip or tile of {length} bytes, found the end of the file behind {left}");
            cx.tolerate("strip-lengths", text, Location::byte(at))?;
        }
        let mut packed = decode::buffer::<u8>(cx, length.min(left))?;
        let read = tiff.source.read_at(at, &mut packed)?;
        packed.truncate(read);
        Ok(packed)
    }

    /// Takes the one stream of JPEG of the old kind, if there is one; the page is one strip then.
    fn join(&mut self, tiff: &Tiff, directory: &Directory, page: &mut Page, cx: &Context) -> Result<()> {
        if let Some(stream) = jpeg::whole_stream(tiff, directory, cx)? {
            page.chunk = (page.width, page.height);
            page.tiled = false;
            (self.across, self.plane, self.joined) = (1, 1, Some(stream));
        }
        Ok(())
    }
}

struct Job<'a> {
    tiff: &'a Tiff,
    page: &'a Page,
    codec: Codec,
    chunks: Chunks,
    cx: &'a Context,
    /// Samples that are not exact as floats.
    inexact: u64,
    sparse: u64,
}

impl Job<'_> {
    /// Fills the samples of a picture, strip by strip or tile by tile.
    fn fill<T: Stored>(&mut self, mut samples: Vec<T>) -> Result<Vec<T>> {
        let page = self.page;
        let planes = if page.planar { page.samples } else { 1 };
        let across = if page.planar { 1 } else { page.samples };
        for plane in 0..planes {
            let Some(to) = self.places(plane) else { continue };
            for number in 0..self.chunks.plane {
                self.cx.checkpoint()?;
                let left = (number % self.chunks.across) as u32 * page.chunk.0;
                let top = (number / self.chunks.across) as u32 * page.chunk.1;
                let rows = if page.tiled { page.chunk.1 } else { page.chunk.1.min(page.height - top) };
                let index = plane as u64 * self.chunks.plane + number;
                let Some((bytes, row_bytes)) = self.unpack(index as usize, rows, across)? else { continue };
                let width = page.chunk.0.min(page.width - left) as usize;
                let mut row = decode::buffer::<T>(self.cx, u64::from(page.chunk.0) * across as u64)?;
                for (y, stored) in (top..page.height).zip(bytes.chunks_exact(row_bytes)) {
                    T::read(self, stored, across, &mut row);
                    let start = (y as usize * page.width as usize + left as usize) * page.kept();
                    let target = &mut samples[start..start + width * page.kept()];
                    copy(&row, across, target, page.kept(), &to);
                }
                self.cx.budget().give_back(size_of_val(&row[..]) as u64 + bytes.len() as u64);
            }
        }
        Ok(samples)
    }

    /// Where the samples of a plane go: the sample in the plane, and that in the picture. `None` when it is left out.
    fn places(&self, plane: usize) -> Option<Vec<(usize, usize)>> {
        let page = self.page;
        let colors = page.kept() - usize::from(page.alpha.is_some());
        let alpha = page.alpha.map(|(from, _)| (from, colors));
        let mut kept = (0..colors).map(|color| (color, color)).chain(alpha);
        match page.planar {
            true => kept.find(|&(from, _)| from == plane).map(|(_, to)| vec![(0, to)]),
            false => Some(kept.collect()),
        }
    }

    /// The rows of a strip or tile, and the bytes of each; `None` when the file has none and says so.
    fn unpack(&mut self, number: usize, rows: u32, across: usize) -> Result<Option<(Vec<u8>, usize)>> {
        let (page, cx) = (self.page, self.cx);
        let width = u64::from(page.chunk.0);
        let row_bytes = (width * across as u64).saturating_mul(page.bits.into()).div_ceil(8);
        // Units of subsampled colours: their luminance, and two differences.
        let (h, v) = page.subsampling;
        let units = (page.chunk.0.div_ceil(h), rows.div_ceil(v));
        let size = if page.subsampling == (1, 1) {
            row_bytes.saturating_mul(rows.into())
        } else {
            u64::from(units.0) * u64::from(units.1) * u64::from(h * v + 2)
        };
        let place = || Location {
            byte: self.chunks.offsets.get(number).copied(),
            ..Location::element(format!("{}[{number}]", if page.tiled { "tiles" } else { "strips" }))
        };
        let mut packed = match self.chunks.joined.take() {
            Some(stream) => stream,
            None => self.chunks.packed(self.tiff, number, cx)?,
        };
        if packed.is_empty() && self.chunks.lengths.get(number) == Some(&0) && self.chunks.offsets[number] == 0 {
            self.sparse += 1;
            return Ok(None);
        }
        decode::check_expansion(cx, size, (packed.len() as u64).max(1))?;
        let mut bytes = decode::buffer::<u8>(cx, size)?;
        if page.reversed && self.codec.is_of_bits() {
            packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let done = self.codec.unpack(&packed, page.chunk.0, &mut bytes, cx).map_err(|error| error.at(place()))?;
        cx.budget().give_back(packed.len() as u64);
        if done.bytes < bytes.len() {
            let short = format!("expected {size} bytes of pixels, found {}", done.bytes);
            let text = done.problem.map_or(short.clone(), |problem| format!("{problem}; {short}"));
            let error = Error::malformed(text).at(place()).with_hint("--lenient reads what there is, the rest is 0");
            cx.unless_lenient("damaged", error)?;
        } else if let Some(problem) = done.problem {
            if cx.strictness() == Strictness::Strict {
                return Err(Error::malformed(problem).at(place()));
            }
            cx.report(Severity::Error, "damaged", problem, Some(place()));
        }
        if page.subsampling != (1, 1) {
            let whole = decode::buffer::<u8>(cx, row_bytes.saturating_mul(rows.into()))?;
            let spread = spread(&bytes, page.subsampling, units, page.chunk.0 as usize, whole);
            cx.budget().give_back(bytes.len() as u64);
            bytes = spread;
        }
        if page.predictor == 3 {
            self.undo_float_predictor(&mut bytes, row_bytes as usize, across);
        }
        Ok(Some((bytes, row_bytes as usize)))
    }

    /// Floats whose bytes were parted by significance and differenced (TIFF Technical Note 3). They are big-endian then.
    fn undo_float_predictor(&self, bytes: &mut [u8], row_bytes: usize, across: usize) {
        let size = self.page.bits as usize / 8;
        let mut row = vec![0; row_bytes];
        for stored in bytes.chunks_exact_mut(row_bytes) {
            for index in across..row_bytes {
                stored[index] = stored[index].wrapping_add(stored[index - across]);
            }
            let count = row_bytes / size;
            for (index, value) in row.chunks_exact_mut(size).enumerate() {
                for (significance, byte) in value.iter_mut().enumerate() {
                    *byte = stored[significance * count + index];
                }
            }
            stored.copy_from_slice(&row);
        }
    }

    /// Whether the bytes of samples are big-endian.
    fn big_endian(&self) -> bool {
        self.tiff.big_endian || self.page.predictor == 3
    }

    /// Calls `put` with the bits of each sample of a row, the predictor undone.
    fn each(&self, stored: &[u8], across: usize, mut put: impl FnMut(usize, u64)) {
        let bits = self.page.bits;
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        let mut sums = vec![0_u64; across];
        let differences = self.page.predictor == 2;
        let mut take = |index: usize, value: u64| {
            if !differences {
                return put(index, value);
            }
            let sum = &mut sums[index % across];
            *sum = sum.wrapping_add(value) & mask;
            put(index, *sum);
        };
        if bits.is_multiple_of(8) && bits > 8 {
            let big = self.big_endian();
            for (index, value) in stored.chunks_exact(bits as usize / 8).enumerate() {
                let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
                let value = if big { value.iter().fold(0, push) } else { value.iter().rev().fold(0, push) };
                take(index, value);
            }
            return;
        }
        let (mut held, mut count, mut bytes) = (0_u64, 0, stored.iter());
        for index in 0.. {
            while count < bits {
                let Some(&byte) = bytes.next() else { return };
                held = held << 8 | u64::from(byte);
                count += 8;
            }
            count -= bits;
            take(index, held >> count & mask);
        }
    }
}

/// Copies the kept samples of a row.
fn copy<T: Copy>(row: &[T], across: usize, target: &mut [T], kept: usize, places: &[(usize, usize)]) {
    if across == kept && places.iter().all(|(from, to)| from == to) {
        target.copy_from_slice(&row[..target.len()]);
        return;
    }
    for (from, to) in row.chunks_exact(across).zip(target.chunks_exact_mut(kept)) {
        for &(source, place) in places {
            to[place] = from[source];
        }
    }
}

/// Units of `h` times `v` luminances and two differences become three samples a pixel.
fn spread(stored: &[u8], (h, v): (u32, u32), units: (u32, u32), width: usize, mut out: Vec<u8>) -> Vec<u8> {
    let (h, v) = (h as usize, v as usize);
    let height = out.len() / (width * 3);
    for (number, unit) in stored.chunks_exact(h * v + 2).enumerate() {
        let (left, top) = (number % units.0 as usize * h, number / units.0 as usize * v);
        for (index, &luma) in unit[..h * v].iter().enumerate() {
            let (x, y) = (left + index % h, top + index / h);
            if x < width && y < height {
                let at = (y * width + x) * 3;
                out[at..at + 3].copy_from_slice(&[luma, unit[h * v], unit[h * v + 1]]);
            }
        }
    }
    out
}

/// A sample in memory, and how it comes of those in a file.
trait Stored: Copy + Default {
    fn read(job: &mut Job<'_>, stored: &[u8], across: usize, row: &mut [Self]);
}

impl Stored for u8 {
    fn read(job: &mut Job<'_>, stored: &[u8], across: usize, row: &mut [Self]) {
        let page = job.page;
        if page.bits == 8 {
            row.copy_from_slice(stored);
            if page.predictor == 2 {
                for index in across..row.len() {
                    row[index] = row[index].wrapping_add(row[index - across]);
                }
            }
            return;
        }
        let most = (1_u64 << page.bits) - 1;
        let index = page.colors == Colors::Palette;
        let scaled: Vec<u8> =
            (0..=most).map(|value| if index { value as u8 } else { ((value * 255 + most / 2) / most) as u8 }).collect();
        if matches!(page.bits, 1 | 2 | 4) && page.predictor == 1 {
            for (samples, byte) in row.chunks_mut(8 / page.bits as usize).zip(stored) {
                let mut shift = 8;
                for sample in samples {
                    shift -= page.bits;
                    *sample = scaled[usize::from(byte >> shift) & most as usize];
                }
            }
            return;
        }
        job.each(stored, across, |at, value| {
            if let Some(sample) = row.get_mut(at) {
                *sample = scaled[value as usize];
            }
        });
    }
}

impl Stored for u16 {
    fn read(job: &mut Job<'_>, stored: &[u8], across: usize, row: &mut [Self]) {
        let page = job.page;
        if page.bits == 16 {
            let big = job.big_endian();
            for (sample, pair) in row.iter_mut().zip(stored.as_chunks::<2>().0) {
                *sample = if big { Self::from_be_bytes(*pair) } else { Self::from_le_bytes(*pair) };
            }
            if page.predictor == 2 {
                for index in across..row.len() {
                    row[index] = row[index].wrapping_add(row[index - across]);
                }
            }
            return;
        }
        let most = (1_u64 << page.bits) - 1;
        let index = page.colors == Colors::Palette;
        job.each(stored, across, |at, value| {
            if let Some(sample) = row.get_mut(at) {
                *sample = if index { value as Self } else { ((value * 65535 + most / 2) / most) as Self };
            }
        });
    }
}

impl Stored for f32 {
    fn read(job: &mut Job<'_>, stored: &[u8], across: usize, row: &mut [Self]) {
        let page = job.page;
        let unused = 64 - page.bits;
        let white = page.colors == Colors::WhiteIsZero && page.format == Format::Uint;
        let mut inexact = 0;
        job.each(stored, across, |at, value| {
            let Some(sample) = row.get_mut(at) else { return };
            *sample = match (page.format, page.bits) {
                (Format::Float, 16) => decode::half(value as u16),
                // One bit of sign, 7 of exponent, 16 of fraction.
                (Format::Float, 24) => decode::float_24(value as u32),
                (Format::Float, 32) => Self::from_bits(value as u32),
                (Format::Float, _) => {
                    let wide = f64::from_bits(value);
                    inexact += u64::from(!wide.is_nan() && f64::from(wide as Self) != wide);
                    wide as Self
                }
                (Format::Int, _) => {
                    let wide = (value << unused) as i64 >> unused;
                    inexact += u64::from((wide as Self) as i128 != i128::from(wide));
                    wide as Self
                }
                (Format::Uint, _) => {
                    let wide = if white && at % across == 0 { (u64::MAX >> unused) - value } else { value };
                    inexact += u64::from((wide as Self) as u128 != u128::from(wide));
                    wide as Self
                }
            };
        });
        job.inexact += inexact;
    }
}
