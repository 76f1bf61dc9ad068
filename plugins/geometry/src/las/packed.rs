//! Points compressed by LASzip, a run of chunks after the other.
//!
//! The crate `laz` decodes; what it would believe of a file is checked or replaced before: sizes of layers and of the chunk table are
//! compared with the bytes that are left, and it is handed one run of chunks at a time, framed as a file with an empty chunk table.
//! Its panics become errors.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use laz::laszip::ChunkTable;
use laz::{LasZipDecompressor, LazVlr};
use mediary_core::{Context, Error, Result, Source, SourceReader};

use super::header::{Bytes, Header};

/// Where the record of LASzip has the size of chunks, and its items.
const CHUNK_SIZE: usize = 12;
const ITEMS: usize = 32;
/// A chunk that never ends by itself.
const ENDLESS: u32 = u32::MAX - 1;
/// The mark of chunks of any size.
const VARIABLE: u32 = u32::MAX;

/// How the points are divided.
#[derive(Clone, Copy, PartialEq)]
enum Division {
    /// All together, without a chunk table.
    Whole,
    /// Points in chunks.
    Chunks,
    /// Chunks of layers, one or more a field.
    Layers,
}

/// A stretch of the file that is decoded at once.
struct Run {
    start: u64,
    end: u64,
    points: u64,
    chunk_size: u32,
}

pub(super) struct Packed {
    source: Source,
    cx: Context,
    laszip: Vec<u8>,
    division: Division,
    length: usize,
    layers: u64,
    /// Chunks of points known from a table.
    runs: VecDeque<Run>,
    /// Where the next chunk of layers begins.
    next: u64,
    decoder: Option<LasZipDecompressor<'static, Framed>>,
    /// Points of the current run that are not decoded.
    left: u64,
}

fn broken(what: impl Into<String>) -> Error {
    Error::malformed(what)
}

impl Packed {
    pub(super) fn new(source: &Source, header: &Header, cx: &Context) -> Result<Self> {
        let at = header.body;
        let laszip = header
            .laszip
            .clone()
            .ok_or_else(|| broken("the points are compressed, but there is no record of LASzip").at_byte(at))?;
        let bytes = Bytes(&laszip);
        let division = match bytes.u16(0) {
            1 => Division::Whole,
            2 => Division::Chunks,
            3 => Division::Layers,
            other => {
                return Err(Error::unsupported(format!("compressor {other} of LASzip: 1 to 3 are known")).at_byte(at));
            }
        };
        let layers = check_items(&laszip, division, header.length)?;
        let mut packed = Self {
            source: source.clone(),
            cx: cx.clone(),
            division,
            length: header.length.into(),
            layers,
            runs: VecDeque::new(),
            next: at + 8,
            decoder: None,
            left: 0,
            laszip,
        };
        let chunk_size = match Bytes(&packed.laszip).u32(CHUNK_SIZE) {
            0 => VARIABLE,
            size => size,
        };
        let end = source.len();
        match division {
            Division::Whole => packed.runs.push_back(Run { start: at, end, points: u64::MAX, chunk_size: ENDLESS }),
            Division::Chunks if chunk_size == VARIABLE => packed.read_table(at)?,
            Division::Chunks => packed.runs.push_back(Run { start: at + 8, end, points: u64::MAX, chunk_size }),
            Division::Layers => {}
        }
        Ok(packed)
    }

    /// The chunks of a file whose chunks have any size.
    fn read_table(&mut self, at: u64) -> Result<()> {
        let len = self.source.len();
        let offset = |from: u64| -> Result<u64> {
            let mut bytes = [0; 8];
            self.source.read_exact_at(from, &mut bytes, "the place of the chunk table")?;
            Ok(u64::from_le_bytes(bytes))
        };
        let mut table = offset(at)?;
        // Writers that cannot seek put it at the end.
        if table <= at || table > i64::MAX as u64 {
            table = offset(len.saturating_sub(8))?;
        }
        if table <= at || table > len.saturating_sub(8) {
            return Err(broken(format!("the chunk table is announced at byte {table} of {len}")).at_byte(at));
        }
        let mut count = [0; 4];
        self.source.read_exact_at(table + 4, &mut count, "the chunk table")?;
        let count = u64::from(u32::from_le_bytes(count));
        // Every chunk begins with a point as it is.
        if count.saturating_mul(self.length as u64) > table - at {
            let message = format!("{count} chunks of {} bytes or more do not fit before the chunk table", self.length);
            return Err(broken(message).at_byte(table));
        }
        self.cx.budget().take(count.saturating_mul(64))?;
        let mut reader = self.source.reader();
        let read = guarded(|| {
            reader.seek(SeekFrom::Start(table))?;
            ChunkTable::read(&mut reader, true)
        });
        let entries = read.map_err(|why| broken(format!("the chunk table is damaged: {why}")).at_byte(table))?;
        let mut start = at + 8;
        for entry in entries.as_ref() {
            let end = start.checked_add(entry.byte_count).filter(|&end| end <= table);
            let end = end.ok_or_else(|| broken("the chunk table goes beyond the points").at_byte(table))?;
            self.runs.push_back(Run { start, end, points: entry.point_count, chunk_size: ENDLESS });
            start = end;
        }
        Ok(())
    }

    /// A chunk of layers says itself how long it is: a point as it is, the number of points, the lengths of the layers.
    fn next_layers(&mut self) -> Result<Run> {
        let at = self.next;
        let fixed = self.length as u64 + 4 + 4 * self.layers;
        let mut head = vec![0; fixed as usize];
        self.source.read_exact_at(at, &mut head, "a chunk of points")?;
        let bytes = Bytes(&head);
        let points = u64::from(bytes.u32(self.length));
        let lengths = (0..self.layers as usize).map(|layer| u64::from(bytes.u32(self.length + 4 + 4 * layer)));
        let layers: u64 = lengths.sum();
        let left = self.source.len().saturating_sub(at + fixed);
        if layers > left {
            return Err(Error::truncated("the layers of a chunk", layers, left).at_byte(at));
        }
        if points == 0 {
            return Err(broken("a chunk without points among chunks").at_byte(at));
        }
        self.cx.budget().take(layers)?;
        self.cx.budget().give_back(layers);
        self.next = at + fixed + layers;
        Ok(Run { start: at, end: self.next, points, chunk_size: ENDLESS })
    }

    fn next_run(&mut self) -> Result<()> {
        let run = match self.division {
            Division::Layers => self.next_layers()?,
            _ => self.runs.pop_front().ok_or_else(|| {
                broken("there are fewer points in the chunks than announced").at_byte(self.source.len())
            })?,
        };
        self.laszip[CHUNK_SIZE..CHUNK_SIZE + 4].copy_from_slice(&run.chunk_size.to_le_bytes());
        let framed = Framed::new(&self.source, &run, self.division != Division::Whole);
        let made = guarded(|| {
            let vlr = LazVlr::from_buffer(&self.laszip).map_err(std::io::Error::other)?;
            LasZipDecompressor::new(framed, vlr).map_err(std::io::Error::other)
        });
        self.decoder = Some(made.map_err(|why| broken(why).at_byte(run.start))?);
        self.left = run.points;
        Ok(())
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Fills `rows` with points; how many, and what stopped it.
    pub(super) fn fill(&mut self, rows: &mut [u8]) -> (usize, Result<()>) {
        let mut done = 0;
        let total = rows.len() / self.length;
        while done < total {
            if self.left == 0 {
                if let Err(error) = self.cx.checkpoint().and_then(|()| self.next_run()) {
                    return (done, Err(error));
                }
                continue;
            }
            let Some(decoder) = &mut self.decoder else { return (done, Err(broken("no decoder"))) };
            let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(total - done);
            let mut decoded = 0;
            let result = guarded(|| {
                for row in rows[done * self.length..(done + now) * self.length].chunks_exact_mut(self.length) {
                    decoder.decompress_one(row)?;
                    decoded += 1;
                }
                Ok(())
            });
            done += decoded;
            self.left -= decoded as u64;
            if let Err(why) = result {
                let place = decoder.get().position();
                return (done, Err(broken(format!("the compressed points break off: {why}")).at_byte(place)));
            }
        }
        (done, Ok(()))
    }
}

/// Runs code of `laz`; what went wrong, in words.
fn guarded<T>(run: impl FnOnce() -> std::io::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the data makes no sense".into()),
    }
}

/// Compares the items with the length of a point; the number of layers.
fn check_items(laszip: &[u8], division: Division, length: u16) -> Result<u64> {
    let bytes = Bytes(laszip);
    let count = usize::from(bytes.u16(ITEMS));
    if laszip.len() < ITEMS + 2 + 6 * count || count == 0 {
        return Err(broken(format!("the record of LASzip has {} bytes for {count} items", laszip.len())));
    }
    let (mut sum, mut layers) = (0_u64, 0_u64);
    for item in 0..count {
        let at = ITEMS + 2 + 6 * item;
        let (kind, size, version) = (bytes.u16(at), bytes.u16(at + 2), bytes.u16(at + 4));
        let layered = matches!(kind, 10..=14);
        let (expected, parts) = match kind {
            0 => (size, 0),
            6 => (20, 0),
            7 => (8, 0),
            8 => (6, 0),
            9 => (29, 0),
            10 => (30, 9),
            11 => (6, 1),
            12 => (8, 2),
            13 => (29, 1),
            14 => (size, u64::from(size)),
            _ => return Err(Error::unsupported(format!("item {kind} of LASzip"))),
        };
        let versions = if layered { 3..=4 } else { 1..=2 };
        let is_first = item == 0;
        if size != expected
            || size == 0
            || !versions.contains(&version)
            || layered != (division == Division::Layers)
            || is_first != matches!(kind, 6 | 10)
        {
            let message = format!("item {kind} of LASzip: {size} bytes, version {version}");
            return Err(Error::unsupported(message).with_hint("the record of LASzip may be damaged"));
        }
        sum += u64::from(size);
        layers += parts;
    }
    if sum != u64::from(length) {
        let message = format!("the items of LASzip have {sum} bytes, the points {length}");
        return Err(broken(message));
    }
    Ok(layers)
}

/// A run of chunks as `laz` wants to see it: the place of the chunk table, the run, a table without chunks.
struct Framed {
    reader: SourceReader,
    start: u64,
    length: u64,
    /// Bytes before the run: 8 or none.
    before: u64,
    at: u64,
}

impl Framed {
    fn new(source: &Source, run: &Run, framed: bool) -> Self {
        let mut reader = source.reader();
        // Seeking alone cannot fail.
        let _ = reader.seek(SeekFrom::Start(run.start));
        Self { reader, start: run.start, length: run.end - run.start, before: if framed { 8 } else { 0 }, at: 0 }
    }

    fn position(&self) -> u64 {
        self.start + self.at.saturating_sub(self.before).min(self.length)
    }

    fn end(&self) -> u64 {
        self.length + 2 * self.before
    }
}

impl Read for Framed {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = if self.at >= self.before && self.at < self.before + self.length {
            let left = self.before + self.length - self.at;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
            self.reader.read(&mut out[..most])?
        } else {
            // Behind the run stand zeros: version 0, no chunks.
            let place = (self.before + self.length).to_le_bytes();
            let (from, end) = if self.at < self.before { (self.at, self.before) } else { (self.at, self.end()) };
            let most = usize::try_from(end.saturating_sub(from)).unwrap_or(0).min(out.len());
            for (index, byte) in out[..most].iter_mut().enumerate() {
                *byte = place.get(from as usize + index).copied().filter(|_| from < self.before).unwrap_or(0);
            }
            most
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Framed {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.end().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        let inside = self.at.saturating_sub(self.before).min(self.length);
        self.reader.seek(SeekFrom::Start(self.start + inside))?;
        Ok(self.at)
    }
}
