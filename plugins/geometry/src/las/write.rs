//! Writing, version 1.4.

use std::io::{Seek, SeekFrom, Write};
use std::sync::Mutex;

use laz::laszip::LazItemRecordBuilder;
use laz::{LasZipCompressor, LazVlr, LazVlrBuilder};
use mediary_core::record::{AttributeData, AttributeSpec, Bounds, PointChunk, PointCloud, ScalarType};
use mediary_core::{Context, Error, Output, Result};
use serde_json::{Map, Value};

use super::extra::describe;
use super::fields::{self, Field};
use super::header::HEADER_14;
use crate::columns::{holds, scatter};

/// Properties that the header or its records carry again, or that are of the source alone.
const KNOWN: [&str; 11] = [
    "version",
    "point_format",
    "system",
    "software",
    "created",
    "file_source_id",
    "time_reference",
    "scale",
    "offset",
    "vlrs",
    "header_bounds",
];
/// Steps that are left free on both sides of the extent of the first points, as a factor.
const ROOM: f64 = 1000.0;

/// An attribute that becomes extra bytes.
struct Extra {
    attribute: usize,
    name: String,
    at: usize,
}

struct Layout {
    format: u8,
    length: usize,
    /// Fields with the attributes they are written from.
    fields: Vec<(Field, Option<usize>)>,
    extra: Vec<Extra>,
    descriptions: Vec<u8>,
}

impl Layout {
    fn new(schema: &[AttributeSpec], cx: &Context) -> Result<Self> {
        let has = |name: &str| schema.iter().any(|spec| spec.name == name && spec.components == 1);
        let color = schema.iter().any(|spec| spec.name == "color" && spec.components >= 3);
        let old = has("scan_angle_rank") && !has("scan_angle") && !has("nir") && !has("scanner_channel");
        let format = match (old, color, has("nir")) {
            (true, false, _) => u8::from(has("time")),
            (true, true, _) => 2 + u8::from(has("time")),
            (false, _, true) => 8,
            (false, true, false) => 7,
            (false, false, false) => 6,
        };
        let mut used = vec![false; schema.len()];
        let fields: Vec<_> = fields::of(format)
            .into_iter()
            .map(|field| {
                let found = schema.iter().position(|spec| {
                    spec.name == field.name
                        && (spec.components == field.components || field.name == "color" && spec.components == 4)
                });
                if let Some(found) = found {
                    used[found] = true;
                    cx.lose("alpha", u64::from(schema[found].components > field.components), "alpha");
                }
                (field, found)
            })
            .collect();
        let mut length = usize::from(fields::length(format).unwrap_or_default());
        let mut layout = Self { format, length: 0, fields, extra: Vec::new(), descriptions: Vec::new() };
        let (mut reshaped, mut renamed) = (0, 0);
        let mut taken: Vec<String> = layout.fields.iter().map(|(field, _)| field.name.to_owned()).collect();
        for (attribute, spec) in schema.iter().enumerate().filter(|(attribute, _)| !used[*attribute]) {
            reshaped += u64::from(spec.components > 1);
            let mut given = true;
            for component in 0..spec.components {
                let mut name =
                    if spec.components == 1 { spec.name.clone() } else { format!("{}_{component}", spec.name) };
                if name.len() > 32
                    || name.is_empty()
                    || name.contains('\0')
                    || taken.contains(&name)
                    || name != name.trim()
                {
                    given = false;
                    name = format!("attribute{attribute}_{component}");
                }
                layout.descriptions.extend_from_slice(&describe(&name, spec.scalar));
                taken.push(name.clone());
                if component == 0 {
                    layout.extra.push(Extra { attribute, name, at: length });
                }
                length += crate::columns::size(spec.scalar);
                if length > usize::from(u16::MAX) || layout.descriptions.len() > usize::from(u16::MAX) {
                    let names: Vec<_> = layout.extra.iter().take(5).map(|extra| extra.name.as_str()).collect();
                    return Err(Error::unsupported(format!("too many attributes for LAS: {names:?} and more")));
                }
            }
            renamed += u64::from(!given);
        }
        cx.lose("attribute-shapes", reshaped, "attributes of several components become one each");
        cx.lose("attribute-names", renamed, "names of attributes that LAS cannot hold");
        layout.length = length;
        Ok(layout)
    }
}

/// Scale and offset of the coordinates.
struct Grid {
    scale: [f64; 3],
    offset: [f64; 3],
}

impl Grid {
    fn new(properties: &Map<String, Value>, first: Option<&PointChunk>, cx: &Context) -> Result<Self> {
        let triple = |key: &str| {
            let values: Vec<f64> = properties.get(key)?.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
            <[f64; 3]>::try_from(values).ok()
        };
        let asked = cx.options().float("scale");
        if asked < 0.0 {
            return Err(Error::new(
                mediary_core::ErrorKind::InvalidOption,
                format!("option scale: expected a number above 0, or 0, found {asked}"),
            ));
        }
        if let (Some(scale), Some(offset), true) = (triple("scale"), triple("offset"), asked == 0.0)
            && scale.iter().all(|scale| scale.is_normal())
        {
            return Ok(Self { scale, offset });
        }
        let mut bounds = Bounds::EMPTY;
        first.into_iter().flat_map(|chunk| chunk.positions()).for_each(|&position| {
            bounds.include(position);
        });
        let Some(bounds) = bounds.finish() else {
            return Ok(Self { scale: [if asked > 0.0 { asked } else { 0.001 }; 3], offset: [0.0; 3] });
        };
        let extent = (0..3).map(|axis| bounds.max[axis] - bounds.min[axis]).fold(0.0, f64::max);
        // A power of ten, a millimetre at most unless the extent asks for more.
        let step = (extent * ROOM / f64::from(i32::MAX)).max(1e-9).log10().ceil();
        let scale =
            if asked > 0.0 { asked } else { 10_f64.powf(step).min((extent * 2.0 / f64::from(i32::MAX)).max(0.001)) };
        let offset = [0, 1, 2].map(|axis| ((bounds.min[axis] + bounds.max[axis]) / 2.0).round());
        if !scale.is_normal() || offset.iter().any(|offset| !offset.is_finite()) {
            let message =
                format!("coordinates from {:?} to {:?}: no step between them is a number", bounds.min, bounds.max);
            return Err(Error::unsupported(message));
        }
        Ok(Self { scale: [scale; 3], offset })
    }

    /// The stored coordinate; `None` when it does not fit.
    fn store(&self, value: f64, axis: usize) -> Option<i32> {
        let steps = ((value - self.offset[axis]) / self.scale[axis]).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        (steps.abs() <= f64::from(i32::MAX)).then_some(steps as i32)
    }

    fn restore(&self, stored: i32, axis: usize) -> f64 {
        f64::from(stored) * self.scale[axis] + self.offset[axis]
    }
}

/// What is known at the end.
#[derive(Default)]
struct Tally {
    points: u64,
    by_return: [u64; 15],
    bounds: Option<[[f64; 3]; 2]>,
    moved: u64,
    worst: f64,
    misfits: u64,
    dropped: u64,
}

pub(super) fn write(
    cloud: &mut PointCloud,
    properties: &Map<String, Value>,
    compressed: bool,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    cx.lose("boxes", cloud.boxes.len() as u64, "boxes");
    cx.lose("vectors", cloud.vectors.len() as u64, "vectors");
    cx.lose("scene-type", cloud.scene_type.is_some().into(), "the type of the scene");
    let unknown = properties.keys().filter(|key| !KNOWN.contains(&key.as_str())).count();
    cx.lose("properties", unknown as u64, "properties of the record");
    let layout = Layout::new(&cloud.schema, cx)?;
    let mut chunk = cloud.points.next_chunk()?;
    let grid = Grid::new(properties, chunk.as_ref(), cx)?;
    let vlr = if compressed { Some(laz_record(&layout)?) } else { None };
    let start = out.stream_position()?;
    let mut tally = Tally::default();
    let head = |tally: &Tally| head(&layout, &grid, properties, cloud_crs(&cloud.crs), vlr.as_ref(), tally);
    let first = head(&tally)?;
    out.write_all(&first)?;
    let mut sink = match &vlr {
        None => Target::Plain(out),
        Some(vlr) => {
            let made = LasZipCompressor::new(Shared(Mutex::new(out)), vlr.clone());
            let mut packer = made.map_err(|error| Error::unsupported(format!("LASzip: {error}")))?;
            packer.reserve_offset_to_chunk_table()?;
            Target::Packed(Box::new(packer))
        }
    };
    let mut rows = Vec::new();
    while let Some(points) = chunk {
        cx.checkpoint()?;
        rows.clear();
        put_rows(&mut rows, &points, &cloud.schema, &layout, &grid, &mut tally)?;
        match &mut sink {
            Target::Plain(out) => out.write_all(&rows)?,
            Target::Packed(packer) => packer.compress_many(&rows)?,
        }
        chunk = cloud.points.next_chunk()?;
    }
    let out = match sink {
        Target::Plain(out) => out,
        Target::Packed(mut packer) => {
            packer.done()?;
            packer.into_inner().0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    };
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(start))?;
    out.write_all(&head(&tally)?)?;
    out.seek(SeekFrom::Start(end))?;
    let message = format!("coordinates moved to the steps of the scale, by {:e} at most", tally.worst);
    cx.lose("precision", tally.moved, message);
    cx.lose("attribute-types", tally.misfits, "values that the field of LAS does not hold were rounded and clamped");
    cx.lose("non-finite", tally.dropped, "points with a coordinate that is not finite");
    let shallow = cloud.schema.iter().any(|spec| spec.name == "color" && spec.scalar == ScalarType::U8);
    cx.lose("color-depth", if shallow { tally.points } else { 0 }, "8-bit colours are written as 16 bits");
    Ok(())
}

fn cloud_crs(crs: &Option<String>) -> Option<&str> {
    crs.as_deref()
}

enum Target<'a> {
    Plain(&'a mut Output),
    Packed(Box<LasZipCompressor<'a, Shared<'a>>>),
}

/// An output as `laz` wants it: one that could be shared.
struct Shared<'a>(Mutex<&'a mut Output>);

impl Shared<'_> {
    fn get(&mut self) -> &mut Output {
        self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.get().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.get().flush()
    }
}

impl Seek for Shared<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.get().seek(to)
    }
}

fn laz_record(layout: &Layout) -> Result<LazVlr> {
    let extra = layout.length - usize::from(fields::length(layout.format).unwrap_or_default());
    let extra = u16::try_from(extra).map_err(|_| Error::unsupported("too many attributes for LAZ"))?;
    let items = LazItemRecordBuilder::default_for_point_format_id(layout.format, extra);
    let items = items.map_err(|error| Error::unsupported(format!("LASzip: {error}")))?;
    Ok(LazVlrBuilder::new(items).build())
}

/// The header and its records: always as long for the same schema.
fn head(
    layout: &Layout,
    grid: &Grid,
    properties: &Map<String, Value>,
    crs: Option<&str>,
    laszip: Option<&LazVlr>,
    tally: &Tally,
) -> Result<Vec<u8>> {
    let mut records: Vec<(&str, u16, Vec<u8>)> = Vec::new();
    if !layout.descriptions.is_empty() {
        records.push(("LASF_Spec", 4, layout.descriptions.clone()));
    }
    let epsg = crs.and_then(|crs| crs.strip_prefix("EPSG:")).and_then(|code| code.parse::<u16>().ok());
    match (epsg, crs) {
        // A GeoTIFF directory of one key: is it projected or geographic? EPSG keeps 4000 to 4999 for the latter.
        (Some(code), _) => {
            let key = if (4000..5000).contains(&code) { 2048 } else { 3072 };
            let words = [1_u16, 1, 0, 1, key, 0, 1, code];
            records.push(("LASF_Projection", 34735, words.iter().flat_map(|word| word.to_le_bytes()).collect()));
        }
        (None, Some(wkt)) if wkt.len() < usize::from(u16::MAX) => {
            records.push(("LASF_Projection", 2112, [wkt.as_bytes(), &[0]].concat()));
        }
        (None, Some(_)) => return Err(Error::unsupported("the reference system is too long for a record of LAS")),
        (None, None) => {}
    }
    if let Some(laszip) = laszip {
        let mut data = Vec::new();
        laszip.write_to(&mut data)?;
        records.push(("laszip encoded", 22204, data));
    }
    let body = usize::from(HEADER_14) + records.iter().map(|(.., data)| 54 + data.len()).sum::<usize>();
    let mut head = vec![0; usize::from(HEADER_14)];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |key: &str| properties.get(key).and_then(Value::as_u64).and_then(|value| u16::try_from(value).ok());
    let standard =
        properties.get("time_reference").and_then(Value::as_str).is_some_and(|it| it.starts_with("standard"));
    let wkt = epsg.is_none() && crs.is_some();
    put(0, b"LASF");
    put(4, &number("file_source_id").unwrap_or(0).to_le_bytes());
    put(6, &(u16::from(standard) | u16::from(wkt) << 4).to_le_bytes());
    put(24, &[1, 4]);
    for (at, key, default) in [(26, "system", ""), (58, "software", "mediary")] {
        let text = properties.get(key).and_then(Value::as_str).unwrap_or(default);
        let text: Vec<u8> = text.bytes().take(32).collect();
        put(at, &text);
    }
    let created = properties.get("created");
    for (at, key) in [(90, "day"), (92, "year")] {
        let value = created.and_then(|created| created.get(key)).and_then(Value::as_u64).unwrap_or(0);
        put(at, &u16::try_from(value).unwrap_or(0).to_le_bytes());
    }
    put(94, &HEADER_14.to_le_bytes());
    let too_long = |_| Error::unsupported("the header of LAS becomes too long");
    put(96, &u32::try_from(body).map_err(too_long)?.to_le_bytes());
    put(100, &u32::try_from(records.len()).map_err(too_long)?.to_le_bytes());
    put(104, &[layout.format | if laszip.is_some() { 0x80 } else { 0 }]);
    put(105, &u16::try_from(layout.length).map_err(too_long)?.to_le_bytes());
    // The old counts stay 0 for formats that are younger, and where they do not fit.
    if layout.format < 6 && tally.points <= u64::from(u32::MAX) {
        put(107, &(tally.points as u32).to_le_bytes());
        for (index, count) in tally.by_return.iter().take(5).enumerate() {
            put(111 + 4 * index, &(*count as u32).to_le_bytes());
        }
    }
    let [least, most] = tally.bounds.unwrap_or_default();
    for axis in 0..3 {
        put(131 + 8 * axis, &grid.scale[axis].to_le_bytes());
        put(155 + 8 * axis, &grid.offset[axis].to_le_bytes());
        put(179 + 16 * axis, &most[axis].to_le_bytes());
        put(187 + 16 * axis, &least[axis].to_le_bytes());
    }
    put(247, &tally.points.to_le_bytes());
    for (index, count) in tally.by_return.iter().enumerate() {
        put(255 + 8 * index, &count.to_le_bytes());
    }
    for (user, id, data) in records {
        let mut fixed = [0; 54];
        fixed[2..2 + user.len()].copy_from_slice(user.as_bytes());
        fixed[18..20].copy_from_slice(&id.to_le_bytes());
        let length = u16::try_from(data.len()).map_err(too_long)?;
        fixed[20..22].copy_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&fixed);
        head.extend_from_slice(&data);
    }
    Ok(head)
}

fn put_rows(
    rows: &mut Vec<u8>,
    chunk: &PointChunk,
    schema: &[AttributeSpec],
    layout: &Layout,
    grid: &Grid,
    tally: &mut Tally,
) -> Result<()> {
    let length = layout.length;
    let count = chunk.positions().len();
    rows.resize(count * length, 0);
    let mut bounds = tally.bounds.unwrap_or([[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]]);
    let mut gone = Vec::new();
    for (index, (row, position)) in rows.chunks_exact_mut(length).zip(chunk.positions()).enumerate() {
        if !position.iter().all(|value| value.is_finite()) {
            gone.push(index);
            continue;
        }
        let mut moved = false;
        for (axis, &value) in position.iter().enumerate() {
            let Some(stored) = grid.store(value, axis) else {
                let message = format!("the coordinate {value} does not fit 32 bits at a scale of {}", grid.scale[axis]);
                return Err(
                    Error::unsupported(message).with_hint("set a larger one with -o las.scale=… or -o laz.scale=…")
                );
            };
            row[4 * axis..4 * axis + 4].copy_from_slice(&stored.to_le_bytes());
            let again = grid.restore(stored, axis);
            bounds[0][axis] = bounds[0][axis].min(again);
            bounds[1][axis] = bounds[1][axis].max(again);
            let off = (again - value).abs();
            moved |= off > 0.0;
            tally.worst = tally.worst.max(off);
        }
        tally.moved += u64::from(moved);
        // Every point is some return.
        row[14] = if layout.format < 6 { 0b1001 } else { 0x11 };
    }
    if gone.len() < count {
        tally.bounds = Some(bounds);
    }
    for (field, source) in &layout.fields {
        let Some(source) = *source else { continue };
        put_field(rows, length, field, &schema[source], &chunk.attributes()[source], tally);
    }
    for extra in &layout.extra {
        let spec = &schema[extra.attribute];
        scatter(&chunk.attributes()[extra.attribute], spec.components, rows, length, extra.at);
    }
    for row in rows.chunks_exact(length) {
        let number = usize::from(if layout.format < 6 { row[14] & 7 } else { row[14] & 15 });
        if let Some(count) = tally.by_return.get_mut(number.wrapping_sub(1)) {
            *count += 1;
        }
    }
    // Points that are nowhere go last, because columns were put by their place.
    for &index in gone.iter().rev() {
        let number = usize::from(rows[index * length + 14] & if layout.format < 6 { 7 } else { 15 });
        if let Some(count) = tally.by_return.get_mut(number.wrapping_sub(1)) {
            *count -= 1;
        }
        rows.drain(index * length..(index + 1) * length);
    }
    tally.points += (count - gone.len()) as u64;
    tally.dropped += gone.len() as u64;
    Ok(())
}

/// Writes an attribute into its field, converted to the type that has.
fn put_field(
    rows: &mut [u8],
    length: usize,
    field: &Field,
    spec: &AttributeSpec,
    data: &AttributeData,
    tally: &mut Tally,
) {
    if field.bits.is_none() && data.scalar() == field.scalar && spec.components == field.components {
        return scatter(data, field.components, rows, length, field.at);
    }
    let color_factor = match (field.name, data.scalar()) {
        ("color", ScalarType::U8) => Some(257.0),
        ("color", ScalarType::F32 | ScalarType::F64) => Some(65535.0),
        _ => None,
    };
    let size = crate::columns::size(field.scalar);
    for (index, row) in rows.chunks_exact_mut(length).enumerate() {
        for component in 0..field.components {
            let value = data.get(index * spec.components + component) * color_factor.unwrap_or(1.0);
            if let Some((shift, mask)) = field.bits {
                tally.misfits += u64::from(!(holds(ScalarType::U8, value) && value <= f64::from(mask)));
                let bits = value.round().clamp(0.0, f64::from(mask)) as u8;
                row[field.at] = row[field.at] & !(mask << shift) | bits << shift;
                continue;
            }
            tally.misfits += u64::from(color_factor.is_none() && !holds(field.scalar, value));
            let mut one = AttributeData::with_capacity(field.scalar, 1);
            one.push(value);
            scatter(&one, 1, row, length, field.at + size * component);
        }
    }
}
