//! Reading the points.

use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{Context, Error, ErrorKind, Location, MediaRecord, Result, Severity, Source};

use super::extra::{Extra, Store};
use super::fields::{self, Field};
use super::header::Header;
use super::packed::Packed;
use crate::columns::{gather, gather_tuples};

/// Points of a chunk, and those looked at for the range of colours.
const CHUNK: u64 = 1 << 14;
const LOOK: u64 = 1 << 12;

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut header = Header::read(source, cx)?;
    let left = source.len() - header.body;
    let length = u64::from(header.length);
    let wanted = header.points.saturating_mul(length);
    let mut points = header.points;
    if header.compressed {
        cx.limits().check("expansion_ratio", wanted / left.max(1))?;
    } else if wanted > left {
        points = left / length;
        let message = format!("{} points are announced, {points} are there", header.points);
        let error = Error::malformed(message).at_byte(header.body).with_hint("the file is cut short");
        cx.unless_lenient("truncated", error)?;
    }
    cx.limits().check("elements", points)?;
    let mut rows = Rows::new(source, &header, cx)?;
    let fields = fields::of(header.format);
    let bytes = match fields.iter().find(|field| field.name == "color") {
        Some(color) => are_bytes(&mut rows, color, points)?,
        None => false,
    };
    if bytes {
        let message = "the colours of the first points are 8-bit numbers, not the 16-bit ones that LAS has";
        cx.note("colors-8bit", message);
        rows = Rows::new(source, &header, cx)?;
    } else if fields.iter().any(|field| field.name == "color") {
        rows = Rows::new(source, &header, cx)?;
    }
    let mut properties = std::mem::take(&mut header.properties);
    if points > 0 {
        let [min, max] = header.bounds.map(|edge| edge.to_vec());
        properties.insert("header_bounds".into(), serde_json::json!([min, max]));
    }
    let plan = Plan::new(&header, fields, bytes, cx);
    let (schema, crs) = (plan.schema.clone(), header.crs.take());
    let mut stream = Points {
        rows,
        plan,
        header,
        cx: cx.clone(),
        buffer: Vec::new(),
        done: 0,
        points,
        raw: [[i32::MAX; 3], [i32::MIN; 3]],
        ended: false,
    };
    let mut cloud = PointCloud::new(schema, Stream::new(std::iter::from_fn(move || stream.next_chunk().transpose())));
    cloud.declared_points = Some(points);
    cloud.crs = crs;
    let mut record = MediaRecord::new(cloud);
    record.properties = properties;
    Ok(record)
}

/// Points as they stand in a LAS file.
enum Rows {
    Plain { source: Source, at: u64, length: usize },
    Packed(Box<Packed>),
}

impl Rows {
    fn new(source: &Source, header: &Header, cx: &Context) -> Result<Self> {
        Ok(if header.compressed && header.points > 0 {
            Self::Packed(Box::new(Packed::new(source, header, cx)?))
        } else {
            Self::Plain { source: source.clone(), at: header.body, length: header.length.into() }
        })
    }

    /// Whole points; how many, and what stopped it.
    fn fill(&mut self, rows: &mut [u8]) -> (usize, Result<()>) {
        match self {
            Self::Packed(packed) => packed.fill(rows),
            Self::Plain { source, at, length } => match source.read_exact_at(*at, rows, "points") {
                Ok(()) => {
                    *at += rows.len() as u64;
                    (rows.len() / *length, Ok(()))
                }
                Err(error) => (0, Err(error)),
            },
        }
    }
}

/// Whether the colours of the first points have 8 bits. What breaks here breaks again when it is read in earnest.
fn are_bytes(rows: &mut Rows, color: &Field, points: u64) -> Result<bool> {
    let length = match rows {
        Rows::Plain { length, .. } => *length,
        Rows::Packed(packed) => packed.length(),
    };
    let mut bytes = vec![0; length * points.min(LOOK) as usize];
    let (done, result) = rows.fill(&mut bytes);
    if let Err(error) = result
        && error.kind() != ErrorKind::Malformed
    {
        return Err(error);
    }
    let mut values = AttributeData::with_capacity(ScalarType::U16, 3 * done);
    for component in 0..3 {
        gather(&mut values, &bytes[..done * length], length, color.at + 2 * component, false);
    }
    let AttributeData::U16(values) = values else { return Ok(false) };
    Ok(values.iter().all(|&value| value <= 255) && values.iter().any(|&value| value > 0))
}

/// Where the attributes are in a point.
struct Plan {
    fields: Vec<Field>,
    extra: Vec<Extra>,
    /// Where the extra bytes begin.
    behind: usize,
    /// Colours have 8 bits.
    bytes: bool,
    schema: Vec<AttributeSpec>,
}

impl Plan {
    fn new(header: &Header, fields: Vec<Field>, bytes: bool, cx: &Context) -> Self {
        let extra = header.extra.clone();
        let behind = fields::length(header.format).unwrap_or(header.length).into();
        let mut schema: Vec<AttributeSpec> = Vec::with_capacity(fields.len() + extra.len());
        for field in &fields {
            let scalar = if bytes && field.name == "color" { ScalarType::U8 } else { field.scalar };
            schema.push(AttributeSpec::new(field.name, scalar, field.components));
        }
        let mut taken: std::collections::HashSet<String> = schema.iter().map(|spec| spec.name.clone()).collect();
        for extra in &extra {
            if extra.store != Store::Is(extra.scalar()) && extra.scaled.is_none() {
                cx.note("rounded", "64-bit integers are held as doubles, which are exact up to 2^53");
            }
            let name = if extra.name.is_empty() { "extra" } else { extra.name.as_str() };
            let mut distinct = name.to_owned();
            let mut again = 2;
            while !taken.insert(distinct.clone()) {
                distinct = format!("{name}_{again}");
                again += 1;
            }
            schema.push(AttributeSpec::new(distinct, extra.scalar(), extra.components));
        }
        Self { fields, extra, behind, bytes, schema }
    }

    /// The attributes of some points, and how many colours were too large for 8 bits.
    fn attributes(&self, rows: &[u8], length: usize) -> (Vec<AttributeData>, u64) {
        let count = rows.len() / length;
        let mut all = Vec::with_capacity(self.schema.len());
        let mut misfits = 0;
        for field in &self.fields {
            all.push(match field.bits {
                Some((shift, mask)) => {
                    let values = rows.chunks_exact(length).map(|row| row[field.at] >> shift & mask);
                    AttributeData::U8(values.collect::<Vec<_>>().into())
                }
                None if field.name == "wave_offset" => numbers(rows, length, field.at, 1, Store::U64, None),
                None => {
                    let data = numbers(rows, length, field.at, field.components, Store::Is(field.scalar), None);
                    match data {
                        AttributeData::U16(wide) if self.bytes && field.name == "color" => {
                            misfits += wide.iter().filter(|&&value| value > 255).count() as u64;
                            let narrow: Vec<u8> = wide.iter().map(|&value| value.min(255) as u8).collect();
                            AttributeData::U8(narrow.into())
                        }
                        data => data,
                    }
                }
            });
        }
        let mut at = self.behind;
        for extra in &self.extra {
            all.push(numbers(rows, length, at, extra.components, extra.store, extra.scaled));
            at += extra.bytes();
        }
        debug_assert!(all.iter().zip(&self.schema).all(|(data, spec)| data.len() == count * spec.components));
        (all, misfits)
    }
}

/// The numbers at `at` of each row.
fn numbers(
    rows: &[u8],
    length: usize,
    at: usize,
    components: usize,
    store: Store,
    scaled: Option<([f64; 3], [f64; 3])>,
) -> AttributeData {
    let scalar = match store {
        Store::Is(scalar) => scalar,
        _ => ScalarType::F64,
    };
    let count = rows.len() / length;
    let mut data = AttributeData::with_capacity(scalar, count * components);
    match store {
        Store::Is(_) if components == 1 => gather(&mut data, rows, length, at, false),
        Store::Is(_) => gather_tuples(&mut data, rows, length, at, components),
        Store::U64 | Store::I64 => {
            for number in rows.chunks_exact(length).flat_map(|row| row[at..at + 8 * components].chunks_exact(8)) {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(number);
                data.push(if store == Store::U64 {
                    u64::from_le_bytes(bytes) as f64
                } else {
                    i64::from_le_bytes(bytes) as f64
                });
            }
        }
    }
    let Some((scale, offset)) = scaled else { return data };
    let values = (0..data.len()).map(|index| {
        let component = (index % components).min(2);
        data.get(index) * scale[component] + offset[component]
    });
    AttributeData::F64(values.collect::<Vec<_>>().into())
}

struct Points {
    rows: Rows,
    plan: Plan,
    header: Header,
    cx: Context,
    /// The bytes of the chunk at hand.
    buffer: Vec<u8>,
    done: u64,
    points: u64,
    /// Least and most of the stored coordinates.
    raw: [[i32; 3]; 2],
    ended: bool,
}

impl Points {
    fn next_chunk(&mut self) -> Result<Option<PointChunk>> {
        if self.ended {
            return Ok(None);
        }
        if self.done >= self.points {
            self.ended = true;
            self.check_bounds()?;
            return Ok(None);
        }
        self.cx.checkpoint()?;
        let length = usize::from(self.header.length);
        self.buffer.resize(CHUNK.min(self.points - self.done) as usize * length, 0);
        let (count, result) = self.rows.fill(&mut self.buffer);
        if let Err(error) = result {
            self.ended = true;
            if error.kind() != ErrorKind::Malformed {
                return Err(error);
            }
            self.cx.unless_lenient("truncated", error)?;
            if count == 0 {
                return Ok(None);
            }
        }
        let rows = &self.buffer[..count * length];
        self.done += count as u64;
        let mut positions = Vec::with_capacity(count);
        let Header { scale, offset, .. } = self.header;
        let mut raw = self.raw;
        for row in rows.chunks_exact(length) {
            let coordinate = |axis: usize| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&row[4 * axis..4 * axis + 4]);
                i32::from_le_bytes(bytes)
            };
            let stored = [coordinate(0), coordinate(1), coordinate(2)];
            for axis in 0..3 {
                raw[0][axis] = raw[0][axis].min(stored[axis]);
                raw[1][axis] = raw[1][axis].max(stored[axis]);
            }
            positions.push([0, 1, 2].map(|axis| f64::from(stored[axis]) * scale[axis] + offset[axis]));
        }
        self.raw = raw;
        let (attributes, misfits) = self.plan.attributes(rows, length);
        let message = "colours beyond 8 bits among those of 8 bits were clamped";
        self.cx.report_times(Severity::Warning, "color", message, None, misfits);
        PointChunk::new(positions, attributes, &self.plan.schema).map(Some)
    }

    /// Compares the bounds of the header with those of the points, to a step of the coordinates.
    fn check_bounds(&self) -> Result<()> {
        if self.points == 0 {
            return Ok(());
        }
        let Header { scale, offset, bounds, .. } = &self.header;
        for axis in 0..3 {
            let ends = [0, 1].map(|side: usize| f64::from(self.raw[side][axis]) * scale[axis] + offset[axis]);
            let ends = [ends[0].min(ends[1]), ends[0].max(ends[1])];
            for side in 0..2 {
                let off = (ends[side] - bounds[side][axis]).abs();
                if off.is_nan() || off > scale[axis].abs() + 1e-9 * ends[side].abs() {
                    let message = format!(
                        "the header says {} from {} to {}, the points {} to {}",
                        ["x", "y", "z"][axis],
                        bounds[0][axis],
                        bounds[1][axis],
                        ends[0],
                        ends[1]
                    );
                    return self.cx.tolerate("bounds", message, Location::byte(179));
                }
            }
        }
        Ok(())
    }
}
