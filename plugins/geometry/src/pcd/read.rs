//! Reading the points.

use mediary_core::record::{AttributeData, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{Context, Error, ErrorKind, Location, MediaRecord, Result, Severity, Source};
use serde_json::Value;

use super::header::{Encoding, Field, Header, Store};
use super::lzf;
use super::plan::Plan;
use crate::columns::{gather, holds};
use crate::rows::{Blocks, Rows};

/// About the most bytes of a chunk.
const CHUNK: usize = 2 << 20;

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let header = Header::read(source, cx)?;
    let plan = Plan::new(&header, cx)?;
    let left = source.len().saturating_sub(header.body);
    let stride = plan.stride() as u64;
    let most = match header.encoding {
        Encoding::Binary => left / stride.max(1),
        // A digit and a blank a number; the last row may lack its end.
        Encoding::Ascii => (left + 1) / (2 * plan.fields.iter().map(|field| field.count as u64).sum::<u64>()).max(1),
        Encoding::Compressed => left.saturating_mul(lzf::MOST) / stride.max(1),
    };
    let points = header.points.min(most);
    if points < header.points {
        let message = format!("{} points are announced, at most {points} are there", header.points);
        let error = Error::malformed(message).at_byte(header.body).with_hint("the file is cut short");
        cx.unless_lenient("truncated", error)?;
    }
    cx.limits().check("elements", points)?;
    let schema = plan.schema.clone();
    let context = (source.clone(), cx.clone());
    let points_from: Box<dyn Iterator<Item = Result<PointChunk>> + Send> = match header.encoding {
        Encoding::Binary => Box::new(binary(context, plan, header.body, points)),
        Encoding::Ascii => {
            let blocks = Blocks::new(source, cx, header.body);
            let mut rows = Ascii { blocks, cx: cx.clone(), plan, line: header.line, done: 0, points, ended: false };
            Box::new(std::iter::from_fn(move || rows.next_chunk().transpose()))
        }
        Encoding::Compressed => {
            let mut body = Compressed { context, plan, at: header.body, done: 0, points, plain: None, charged: 0 };
            Box::new(std::iter::from_fn(move || body.next_chunk().transpose()))
        }
    };
    let mut cloud = PointCloud::new(schema, Stream::new(points_from));
    // An ASCII file may turn out to have fewer, when lenient.
    cloud.declared_points = Some(points);
    let mut record = MediaRecord::new(cloud);
    if header.height != 1 {
        record.properties.insert("width".into(), header.width.into());
        record.properties.insert("height".into(), header.height.into());
    }
    if let Some(viewpoint) = header.viewpoint.filter(|it| *it != [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]) {
        record.properties.insert("viewpoint".into(), viewpoint.map(Value::from).to_vec().into());
    }
    Ok(record)
}

/// The values of a field: `count` rows of `stride` bytes with the field at `offset`.
fn values(field: &Field, rows: &[u8], stride: usize, offset: usize, count: usize) -> AttributeData {
    let mut data =
        AttributeData::with_capacity(field.store.scalar(), if field.is_padding() { 0 } else { count * field.count });
    if field.is_padding() || field.count == 0 {
        return data;
    }
    let size = field.store.size();
    let numbers = |put: &mut dyn FnMut([u8; 8])| {
        for row in rows.chunks_exact(stride) {
            for number in row[offset..offset + field.bytes()].chunks_exact(8) {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(number);
                put(bytes);
            }
        }
    };
    match field.store {
        Store::I64 => numbers(&mut |bytes| data.push(i64::from_le_bytes(bytes) as f64)),
        Store::U64 => numbers(&mut |bytes| data.push(u64::from_le_bytes(bytes) as f64)),
        Store::Is(_) if field.count == 1 => gather(&mut data, rows, stride, offset, false),
        Store::Is(_) if stride == field.bytes() => gather(&mut data, rows, size, 0, false),
        Store::Is(_) => {
            for row in rows.chunks_exact(stride) {
                gather(&mut data, &row[offset..offset + field.bytes()], size, 0, false);
            }
        }
    }
    data
}

fn per_chunk(stride: usize) -> u64 {
    (CHUNK / stride.max(1)).max(1) as u64
}

/// Point after point.
fn binary(
    (source, cx): (Source, Context),
    plan: Plan,
    body: u64,
    points: u64,
) -> impl Iterator<Item = Result<PointChunk>> + Send {
    let stride = plan.stride();
    let mut done = 0;
    let mut ended = false;
    let mut bytes = Vec::new();
    let mut next = move || -> Result<Option<PointChunk>> {
        if done >= points {
            let end = body + points * stride as u64;
            if !std::mem::replace(&mut ended, true) && source.len() > end {
                let message = format!("the file goes on for {} bytes behind its last point", source.len() - end);
                cx.tolerate("trailing-bytes", message, Location::byte(end))?;
            }
            return Ok(None);
        }
        cx.checkpoint()?;
        let count = per_chunk(stride).min(points - done);
        bytes.resize(count as usize * stride, 0);
        source.read_exact_at(body + done * stride as u64, &mut bytes, "points")?;
        done += count;
        let mut offset = 0;
        let mut columns = Vec::with_capacity(plan.fields.len());
        for field in &plan.fields {
            columns.push(values(field, &bytes, stride, offset, count as usize));
            offset += field.bytes();
        }
        plan.chunk(columns, count as usize).map(Some)
    };
    std::iter::from_fn(move || next().transpose())
}

/// Field after field, compressed as a whole.
struct Compressed {
    context: (Source, Context),
    plan: Plan,
    at: u64,
    done: u64,
    points: u64,
    plain: Option<Vec<u8>>,
    charged: u64,
}

impl Compressed {
    fn next_chunk(&mut self) -> Result<Option<PointChunk>> {
        if self.plain.is_none() {
            let plain = self.decompress()?;
            self.plain = Some(plain);
        }
        let cx = &self.context.1;
        if self.done >= self.points {
            self.plain = Some(Vec::new());
            cx.budget().give_back(std::mem::take(&mut self.charged));
            return Ok(None);
        }
        cx.checkpoint()?;
        let plain = self.plain.as_deref().unwrap_or_default();
        let count = per_chunk(self.plan.stride()).min(self.points - self.done) as usize;
        let mut start = 0;
        let mut columns = Vec::with_capacity(self.plan.fields.len());
        for field in &self.plan.fields {
            let bytes = field.bytes();
            let from = start + self.done as usize * bytes;
            let rows = if field.is_padding() { &[][..] } else { &plain[from..from + count * bytes] };
            columns.push(values(field, rows, bytes.max(1), 0, count));
            if !field.is_padding() {
                start += self.points as usize * bytes;
            }
        }
        self.done += count as u64;
        self.plan.chunk(columns, count).map(Some)
    }

    /// All values, padding left out.
    fn decompress(&mut self) -> Result<Vec<u8>> {
        let (source, cx) = &self.context;
        let mut sizes = [0; 8];
        source.read_exact_at(self.at, &mut sizes, "sizes of the compressed data")?;
        let [packed, length] =
            [0, 4].map(|at| u64::from(u32::from_le_bytes([0, 1, 2, 3].map(|byte| sizes[at + byte]))));
        let left = source.len().saturating_sub(self.at + 8);
        if packed > left {
            return Err(Error::truncated("the compressed data", packed, left).at_byte(self.at));
        }
        // Writers leave padding out; some do not.
        let kept: u64 =
            self.plan.fields.iter().filter(|field| !field.is_padding()).map(|field| field.bytes() as u64).sum();
        let whole = self.plan.stride() as u64;
        let with_padding = length != self.points.saturating_mul(kept) && Some(length) == self.points.checked_mul(whole);
        if !with_padding && Some(length) != self.points.checked_mul(kept) {
            let message = format!("the compressed data becomes {length} bytes, which are not {} points", self.points);
            return Err(Error::malformed(message).at_byte(self.at + 4));
        }
        if length > packed.saturating_mul(lzf::MOST) {
            let message = format!("{packed} bytes of compressed data cannot become {length}");
            return Err(Error::malformed(message).at_byte(self.at));
        }
        cx.budget().take(length + packed)?;
        self.charged = length;
        let mut bytes = vec![0; packed as usize];
        source.read_exact_at(self.at + 8, &mut bytes, "compressed data")?;
        let plain = lzf::decompress(&bytes, length as usize).map_err(|error| {
            let at = error.location().and_then(|place| place.byte).unwrap_or(0);
            error.at_byte(self.at + 8 + at)
        })?;
        cx.budget().give_back(packed);
        let end = self.at + 8 + packed;
        if source.len() > end {
            let message = format!("the file goes on for {} bytes behind its last point", source.len() - end);
            cx.tolerate("trailing-bytes", message, Location::byte(end))?;
        }
        if !with_padding {
            return Ok(plain);
        }
        let mut without = Vec::with_capacity(plain.len());
        let mut start = 0;
        for field in &self.plan.fields {
            let end = start + self.points as usize * field.bytes();
            if !field.is_padding() {
                without.extend_from_slice(&plain[start..end]);
            }
            start = end;
        }
        Ok(without)
    }
}

/// A row a point.
struct Ascii {
    blocks: Blocks,
    cx: Context,
    plan: Plan,
    line: u64,
    done: u64,
    points: u64,
    ended: bool,
}

impl Ascii {
    fn next_chunk(&mut self) -> Result<Option<PointChunk>> {
        while !self.ended {
            let line = self.line;
            let block = self.blocks.next_block(line)?;
            if block.is_empty() {
                self.finish()?;
                break;
            }
            let mut rows = Rows::new(block, line);
            let (fields, points) = (&self.plan.fields, self.points);
            let mut columns = columns_of(&self.plan);
            let parsed = parse(&mut rows, fields, &mut columns, &mut self.done, points, &self.cx);
            self.line = rows.line();
            let message = "numbers that are NaN or infinite";
            self.cx.report_times(Severity::Info, "non-finite-token", message, None, rows.specials);
            let count = match parsed {
                Ok(parsed) => parsed,
                Err((count, error)) => {
                    if error.kind() != ErrorKind::Malformed {
                        return Err(error);
                    }
                    self.cx.unless_lenient("bad-row", error)?;
                    self.ended = true;
                    count
                }
            };
            if count > 0 {
                return self.plan.chunk(columns, count).map(Some);
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        if self.blocks.ends_in_line() {
            self.cx.note("no-final-newline", "the last row has no end of line: the file may be cut short");
        }
        if self.done < self.points {
            let error = Error::malformed(format!("{} points are announced, found {}", self.points, self.done))
                .at_line(self.line)
                .with_hint("the file is cut short or its count is wrong");
            self.cx.unless_lenient("truncated", error)?;
        }
        if self.done > self.points {
            let message = format!("there are {} rows behind the last point", self.done - self.points);
            self.cx.tolerate("trailing-bytes", message, Location::line(self.line))?;
        }
        Ok(())
    }
}

/// Room for the values of each field. Coordinates keep the digits of the text.
fn columns_of(plan: &Plan) -> Vec<AttributeData> {
    let scalar = |(index, field): (usize, &Field)| match plan.position.contains(&index) {
        true => ScalarType::F64,
        false => field.store.scalar(),
    };
    plan.fields.iter().enumerate().map(|field| AttributeData::with_capacity(scalar(field), 0)).collect()
}

/// Adds the rows of a block to `columns` and says how many there are; with an error, those before it.
fn parse(
    rows: &mut Rows<'_>,
    fields: &[Field],
    columns: &mut [AttributeData],
    done: &mut u64,
    points: u64,
    cx: &Context,
) -> Result<usize, (usize, Error)> {
    let width: usize = fields.iter().map(|field| field.count).sum();
    let mut row = Vec::new();
    let mut count = 0;
    while rows.skip_to_row() {
        let line = rows.line();
        row.clear();
        let found = rows.row(&mut row).map_err(|error| (count, error))?;
        if *done >= points {
            *done += 1;
            continue;
        }
        if found != width {
            let message = format!("row {}: expected {width} numbers, found {found}", *done + 1);
            return Err((count, Error::malformed(message).at_line(line)));
        }
        *done += 1;
        count += 1;
        let mut numbers = row.iter();
        for (field, column) in fields.iter().zip(columns.iter_mut()) {
            for &value in numbers.by_ref().take(field.count) {
                if !holds(column.scalar(), value) {
                    let message = format!("{value} does not fit the type of {:?}", field.name);
                    cx.tolerate("out-of-range", message, Location::line(line)).map_err(|error| (count - 1, error))?;
                }
                if !field.is_padding() {
                    column.push(value);
                }
            }
        }
    }
    Ok(count)
}
