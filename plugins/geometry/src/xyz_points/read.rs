//! Reading: points as a stream, a chunk a block of lines.

use std::collections::VecDeque;

use mediary_core::record::{PointChunk, PointCloud, Stream};
use mediary_core::{Context, Error, ErrorKind, Location, MediaRecord, Result, Severity, Source};

use super::INFO;
use super::head::Head;
use super::layout::Layout;
use crate::rows::{Blocks, Rows};

/// Numbers of one chunk.
const CHUNK: usize = 1 << 19;

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.head();
    let mut head = Head::read(bytes, source.len() <= bytes.len() as u64)?;
    if head.width == 0 {
        match (head.count, &head.names) {
            (Some(0), _) | (None, Some(_)) => cx.warn("empty", "there are no points"),
            (Some(count), _) => return Err(Error::truncated("the points", count, 0).at_line(head.line)),
            (None, None) => {
                let error = Error::malformed("expected rows of 3 or more numbers, found none");
                return Err(error.at_line(head.line));
            }
        }
        head.width = head.names.as_ref().map_or(3, Vec::len);
    }
    if head.names.is_none() && head.count.is_none() && !source.name().is_empty() && !INFO.claims(source.name()) {
        let message =
            "neither names of columns nor the extension tell that these are points: they are taken for x, y, z";
        cx.note("by-content", message);
    }
    let layout = Layout::new(&head, cx);
    let schema = layout.schema.clone();
    let blocks = Blocks::new(source, cx, head.offset as u64);
    let mut points = Points {
        blocks,
        cx: cx.clone(),
        layout,
        line: head.line,
        rows: 0,
        announced: head.count,
        scans: 1,
        comments: 0,
        ended: false,
        ahead: VecDeque::new(),
        spare: Vec::new(),
        failure: None,
    };
    let cloud = PointCloud::new(schema, Stream::new(std::iter::from_fn(move || points.next_chunk().transpose())));
    let mut record = MediaRecord::new(cloud);
    if !head.comments.is_empty() {
        record.properties.insert("comment".into(), head.comments.into());
    }
    Ok(record)
}

struct Points {
    blocks: Blocks,
    cx: Context,
    layout: Layout,
    /// Of the next row.
    line: u64,
    rows: u64,
    /// Points of all counts so far.
    announced: Option<u64>,
    scans: u64,
    comments: u64,
    ended: bool,
    /// Blocks that were read, the first of which is not used up.
    ahead: VecDeque<Block>,
    /// Blocks that are used up.
    spare: Vec<Block>,
    /// Why there is no block behind them.
    failure: Option<Error>,
}

/// A block of lines.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// What is used up.
    at: usize,
    /// Of rows, while they become points.
    values: Vec<f64>,
    plain: Option<Plain>,
}

/// The rows at the start of a block, as points, before the first that is odd in any way.
struct Plain {
    chunk: PointChunk,
    rows: u64,
    lines: u64,
    bytes: usize,
    comments: u64,
    misfits: u64,
}

impl Plain {
    fn take(bytes: &[u8], values: &mut Vec<f64>, layout: &Layout) -> Result<Option<Self>> {
        let mut rows = Rows::new(bytes, 0);
        values.clear();
        let (mut end, mut lines, mut comments) = (0, 0, 0);
        while values.len() < CHUNK && rows.skip_to_row() {
            let before = values.len();
            let is_plain = rows.row(values).is_ok_and(|count| count == layout.width) && rows.specials == 0;
            if !is_plain {
                values.truncate(before);
                break;
            }
            (end, lines, comments) = (rows.offset(), rows.line(), rows.comments);
        }
        if values.is_empty() {
            return Ok(None);
        }
        let rows = (values.len() / layout.width) as u64;
        let (chunk, misfits) = layout.chunk(values)?;
        Ok(Some(Self { chunk, rows, lines, bytes: end, comments, misfits }))
    }
}

impl Points {
    /// A block for each thread.
    fn read_ahead(&mut self) -> Result<()> {
        let mut blocks = Vec::new();
        while blocks.len() < self.cx.threads() && self.failure.is_none() {
            match self.blocks.next_block(self.line) {
                Ok([]) => break,
                Ok(lines) => {
                    // What is used up has memory that need not be asked for again.
                    let mut block = self.spare.pop().unwrap_or_default();
                    block.bytes.clear();
                    block.bytes.extend_from_slice(lines);
                    block.at = 0;
                    blocks.push(block);
                }
                Err(error) => self.failure = Some(error),
            }
        }
        let layout = &self.layout;
        let read = self.cx.in_parts(blocks, |mut block, cx| {
            cx.checkpoint()?;
            block.plain = Plain::take(&block.bytes, &mut block.values, layout)?;
            Ok((block, 0))
        })?;
        self.ahead = read.into();
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<PointChunk>> {
        while !self.ended {
            let Some(mut block) = self.ahead.pop_front() else {
                if let Some(error) = self.failure.take() {
                    return Err(error.at_line(self.line));
                }
                self.read_ahead()?;
                if self.ahead.is_empty() && self.failure.is_none() {
                    self.finish()?;
                }
                continue;
            };
            let chunk = self.take(&mut block)?;
            if block.at < block.bytes.len() {
                self.ahead.push_front(block);
            } else {
                self.spare.push(block);
            }
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
        Ok(None)
    }

    /// The next points of a block, unless only comments are left of it.
    fn take(&mut self, block: &mut Block) -> Result<Option<PointChunk>> {
        let (chunk, misfits) = if let Some(plain) = block.plain.take() {
            self.rows += plain.rows;
            self.line += plain.lines;
            self.comments += plain.comments;
            block.at = plain.bytes;
            (plain.chunk, plain.misfits)
        } else {
            let mut values = Vec::new();
            if let Err(error) = self.parse(block, &mut values) {
                if error.kind() != ErrorKind::Malformed {
                    return Err(error);
                }
                self.cx.unless_lenient("bad-row", error)?;
                self.ended = true;
                values.truncate(values.len() - values.len() % self.layout.width);
            }
            if values.is_empty() {
                return Ok(None);
            }
            self.layout.chunk(&values)?
        };
        self.cx.limits().check("elements", self.rows)?;
        let message = "colours that the type of the first rows does not hold were rounded or clamped";
        self.cx.report_times(Severity::Warning, "color", message, None, misfits);
        Ok(Some(chunk))
    }

    /// Adds the numbers of whole rows; on an error those before it, and perhaps a part of the bad one.
    fn parse(&mut self, block: &mut Block, values: &mut Vec<f64>) -> Result<()> {
        let mut rows = Rows::new(&block.bytes[block.at..], self.line);
        let mut specials_at = None;
        while values.len() < CHUNK && rows.skip_to_row() {
            let line = rows.line();
            let before = (values.len(), rows.specials);
            let count = rows.row(values)?;
            if rows.specials > before.1 {
                specials_at.get_or_insert(line);
            }
            if count == self.layout.width {
                self.rows += 1;
                continue;
            }
            // The next scan of a PTS file begins with its count.
            let number = values[before.0];
            if count == 1
                && self.announced == Some(self.rows)
                && number >= 0.0
                && number.fract() == 0.0
                && number < 1e15
            {
                values.truncate(before.0);
                self.announced = self.announced.and_then(|announced| announced.checked_add(number as u64));
                self.scans += 1;
                continue;
            }
            values.truncate(before.0);
            let message = format!(
                "row {} has {count} {}, the rows before have {}",
                self.rows + 1,
                if count == 1 { "number" } else { "numbers" },
                self.layout.width
            );
            return Err(Error::malformed(message)
                .at(Location::line(line))
                .with_hint("--lenient keeps the rows before it"));
        }
        self.line = rows.line();
        self.comments += rows.comments;
        block.at += rows.offset();
        let at = specials_at.map(Location::line);
        let specials = rows.specials;
        let message = "numbers that are NaN or infinite";
        self.cx.report_times(Severity::Warning, "non-finite-token", message, at, specials);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        if self.blocks.ends_in_line() {
            self.cx.note("no-final-newline", "the last row has no end of line: the file may be cut short");
        }
        if self.comments > 0 {
            let message = "comments between the points were left out";
            self.cx.report_times(Severity::Info, "comments", message, None, self.comments);
        }
        if self.scans > 1 {
            self.cx.note("scans", format!("{} scans that follow each other are one cloud", self.scans));
        }
        match self.announced {
            Some(announced) if announced > self.rows => {
                let error = Error::malformed(format!("{announced} points are announced, found {}", self.rows))
                    .at_line(self.line)
                    .with_hint("the file is cut short or its count is wrong");
                self.cx.unless_lenient("count", error)
            }
            Some(announced) if announced < self.rows => {
                let message = format!("{announced} points are announced, found {}", self.rows);
                self.cx.tolerate("count", message, Location::line(self.line))
            }
            _ => Ok(()),
        }
    }
}
