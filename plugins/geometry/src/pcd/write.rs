//! Writing.

use std::io::{Seek, SeekFrom, Write as _};

use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType};
use mediary_core::{Context, Error, Output, Result};
use serde_json::{Map, Value};

use super::lzf;
use super::plan::alias;
use crate::columns::{scatter, size};
use crate::text::put_number;

/// A field, or several of the same type, for one attribute.
struct Part {
    names: Vec<String>,
    kind: char,
    size: usize,
    /// Numbers of each field.
    count: usize,
    /// Colours go into one integer.
    packed: bool,
    attribute: usize,
}

impl Part {
    fn bytes(&self) -> usize {
        self.names.len() * self.size * self.count
    }
}

struct Shape {
    width: Option<u64>,
    height: u64,
    viewpoint: [f64; 7],
}

impl Shape {
    /// From the properties that reading leaves.
    fn new(properties: &Map<String, Value>, cx: &Context) -> Self {
        let whole = |key: &str| properties.get(key).and_then(Value::as_u64);
        let viewpoint = properties.get("viewpoint").and_then(Value::as_array).and_then(|values| {
            let values: Vec<f64> = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
            <[f64; 7]>::try_from(values).ok()
        });
        let size = whole("width").zip(whole("height"));
        let used = 2 * usize::from(size.is_some()) + usize::from(viewpoint.is_some());
        cx.lose("properties", properties.len().saturating_sub(used) as u64, "properties of the record");
        Self {
            width: size.map(|(width, _)| width),
            height: size.map_or(1, |(_, height)| height),
            viewpoint: viewpoint.unwrap_or([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        }
    }
}

fn kind(scalar: ScalarType) -> char {
    match scalar {
        ScalarType::I8 | ScalarType::I16 | ScalarType::I32 => 'I',
        ScalarType::U8 | ScalarType::U16 | ScalarType::U32 => 'U',
        _ => 'F',
    }
}

/// A field or more for each attribute.
fn parts(schema: &[AttributeSpec], cx: &Context) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(schema.len());
    let mut taken: Vec<String> = ["x", "y", "z", "_"].map(String::from).into();
    let mut renamed = 0;
    // Another attribute has the name of packed colours: these go into three fields.
    let is_taken = schema.iter().any(|spec| matches!(spec.name.as_str(), "rgb" | "rgba"));
    for (attribute, spec) in schema.iter().enumerate() {
        let fields = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (names, packed) = match (spec.name.as_str(), spec.components, spec.scalar) {
            ("color", 3, ScalarType::U8) if !is_taken => (fields(&["rgb"]), true),
            ("color", 4, ScalarType::U8) if !is_taken => (fields(&["rgba"]), true),
            ("color", 3 | 4, _) => (fields(&["red", "green", "blue", "alpha"][..spec.components]), false),
            ("normal", 3, _) => (fields(&["normal_x", "normal_y", "normal_z"]), false),
            ("category", ..) => (fields(&["label"]), false),
            (name, ..) => (fields(&[name]), false),
        };
        let legal = |name: &String| {
            !name.is_empty()
                && *name == name.to_lowercase()
                && !name.contains(|char: char| char.is_whitespace() || char.is_control() || matches!(char, ',' | '#'))
                && !taken.contains(name)
        };
        // What another attribute would be read as.
        let like_packed = spec.components == 1 && size(spec.scalar) == 4 && matches!(names[0].as_str(), "rgb" | "rgba");
        let reserved =
            names.len() == 1 && !packed && spec.name != "category" && (alias(&names[0]) != names[0] || like_packed);
        let given = !reserved && names.iter().all(legal);
        renamed += u64::from(!given);
        let names = if given {
            names
        } else {
            (0..names.len()).map(|component| format!("attribute{attribute}_{component}")).collect()
        };
        taken.extend(names.iter().cloned());
        let count = if packed { 1 } else { spec.components / names.len() };
        let size = if packed { 4 } else { size(spec.scalar) };
        parts.push(Part { names, kind: if packed { 'U' } else { kind(spec.scalar) }, size, count, packed, attribute });
    }
    cx.lose("attribute-names", renamed, "names of attributes that PCD cannot hold");
    parts
}

/// The header: always as long, so that the number can be set right at the end.
fn head(parts: &[Part], position: usize, points: u64, shape: &Shape, data: &str) -> Vec<u8> {
    let (width, height) = match shape.width.and_then(|width| width.checked_mul(shape.height)) {
        Some(all) if all == points => (shape.width.unwrap_or(points), shape.height),
        _ => (points, 1),
    };
    let list = |first: String, each: &dyn Fn(&Part) -> String| {
        let mut text = [first.clone(), first.clone(), first].join(" ");
        for part in parts {
            for _ in &part.names {
                text += &format!(" {}", each(part));
            }
        }
        text
    };
    let names: Vec<&str> = parts.iter().flat_map(|part| &part.names).map(String::as_str).collect();
    let fields = [&["x", "y", "z"][..], &names].concat().join(" ");
    let sizes = list(position.to_string(), &|part| part.size.to_string());
    let kinds = list("F".into(), &|part| part.kind.to_string());
    let counts = list("1".into(), &|part| part.count.to_string());
    let mut viewpoint = Vec::new();
    for value in shape.viewpoint {
        put_number(&mut viewpoint, value, false);
        viewpoint.push(b' ');
    }
    let viewpoint = String::from_utf8_lossy(viewpoint.trim_ascii());
    let digits = [width, height, points].map(|number| number.to_string().len()).iter().sum::<usize>();
    let padding = " ".repeat(60 - digits);
    format!(
        "# .PCD v0.7 - Point Cloud Data file format{padding}\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {kinds}\nCOUNT {counts}\n\
         WIDTH {width}\nHEIGHT {height}\nVIEWPOINT {viewpoint}\nPOINTS {points}\nDATA {data}\n"
    )
    .into_bytes()
}

pub(super) fn write(
    cloud: &mut PointCloud,
    properties: &Map<String, Value>,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    let data = match cx.options().text("data") {
        "ascii" => "ascii",
        "compressed" => "binary_compressed",
        _ => "binary",
    };
    let single = cx.options().text("positions") == "single";
    cx.lose("boxes", cloud.boxes.len() as u64, "boxes");
    cx.lose("vectors", cloud.vectors.len() as u64, "vectors");
    cx.lose("scene-type", cloud.scene_type.is_some().into(), "the type of the scene");
    cx.lose("crs", cloud.crs.is_some().into(), "the coordinate reference system");
    let shape = Shape::new(properties, cx);
    let parts = parts(&cloud.schema, cx);
    let position = if single { 4 } else { 8 };
    let declared = cloud.declared_points.unwrap_or(0);
    let start = out.stream_position()?;
    out.write_all(&head(&parts, position, declared, &shape, data))?;
    let stride = 3 * position + parts.iter().map(Part::bytes).sum::<usize>();
    let mut writer = Rows { parts: &parts, schema: &cloud.schema, single, stride, rounded: 0 };
    let mut points = 0;
    let mut bytes = Vec::new();
    let mut whole = Vec::new();
    while let Some(chunk) = cloud.points.next_chunk()? {
        cx.checkpoint()?;
        points += chunk.positions().len() as u64;
        bytes.clear();
        match data {
            "ascii" => writer.ascii(&mut bytes, &chunk),
            _ => writer.binary(&mut bytes, &chunk),
        }
        if data == "binary_compressed" {
            cx.budget().take(bytes.len() as u64 * 3)?;
            whole.extend_from_slice(&bytes);
        } else {
            out.write_all(&bytes)?;
        }
    }
    cx.lose("precision", writer.rounded, "coordinates that single precision does not hold");
    if data == "binary_compressed" {
        compress(&whole, &parts, position, stride, out)?;
    }
    if points != declared {
        let end = out.stream_position()?;
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&head(&parts, position, points, &shape, data))?;
        out.seek(SeekFrom::Start(end))?;
    }
    Ok(())
}

/// Rows as columns, and those compressed.
fn compress(rows: &[u8], parts: &[Part], position: usize, stride: usize, out: &mut Output) -> Result<()> {
    let mut widths = vec![position; 3];
    parts.iter().for_each(|part| widths.extend(part.names.iter().map(|_| part.size * part.count)));
    let mut columns = Vec::with_capacity(rows.len());
    let mut offset = 0;
    for width in widths {
        rows.chunks_exact(stride).for_each(|row| columns.extend_from_slice(&row[offset..offset + width]));
        offset += width;
    }
    let packed = lzf::compress(&columns);
    let sizes = u32::try_from(packed.len()).ok().zip(u32::try_from(columns.len()).ok());
    let (packed_size, size) = sizes.ok_or_else(|| {
        Error::unsupported("compressed PCD holds at most 4 GiB").with_hint("-o pcd.data=binary has no such limit")
    })?;
    out.write_all(&packed_size.to_le_bytes())?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&packed)?;
    Ok(())
}

struct Rows<'a> {
    parts: &'a [Part],
    schema: &'a [AttributeSpec],
    single: bool,
    stride: usize,
    rounded: u64,
}

impl Rows<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "the caller asks for single precision")]
    fn rounds(&mut self, value: f64) {
        self.rounded += u64::from(self.single && f64::from(value as f32) != value && !value.is_nan());
    }

    fn binary(&mut self, bytes: &mut Vec<u8>, chunk: &PointChunk) {
        bytes.resize(chunk.positions().len() * self.stride, 0);
        let mut offset = if self.single { 12 } else { 24 };
        for (row, position) in bytes.chunks_exact_mut(self.stride).zip(chunk.positions()) {
            for (place, &value) in row[..offset].chunks_exact_mut(offset / 3).zip(position) {
                self.rounds(value);
                if self.single {
                    #[expect(clippy::cast_possible_truncation, reason = "the caller asks for single precision")]
                    place.copy_from_slice(&(value as f32).to_le_bytes());
                } else {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        for part in self.parts {
            let data = &chunk.attributes()[part.attribute];
            let components = self.schema[part.attribute].components;
            if part.packed {
                let packed = AttributeData::U32(pack(data, components).into());
                scatter(&packed, 1, bytes, self.stride, offset);
            } else {
                scatter(data, components, bytes, self.stride, offset);
            }
            offset += part.bytes();
        }
    }

    fn ascii(&mut self, text: &mut Vec<u8>, chunk: &PointChunk) {
        let packed: Vec<Option<Vec<u32>>> = self
            .parts
            .iter()
            .map(|part| {
                let components = self.schema[part.attribute].components;
                part.packed.then(|| pack(&chunk.attributes()[part.attribute], components))
            })
            .collect();
        for (at, position) in chunk.positions().iter().enumerate() {
            for &value in position {
                self.rounds(value);
                put_number(text, value, self.single);
                text.push(b' ');
            }
            for (part, packed) in self.parts.iter().zip(&packed) {
                if let Some(packed) = packed {
                    put_number(text, packed[at].into(), false);
                    text.push(b' ');
                    continue;
                }
                let spec = &self.schema[part.attribute];
                let data = &chunk.attributes()[part.attribute];
                for component in 0..spec.components {
                    let value = data.get(at * spec.components + component);
                    put_number(text, value, spec.scalar == ScalarType::F32);
                    text.push(b' ');
                }
            }
            text.pop();
            text.push(b'\n');
        }
    }
}

/// `0xAARRGGBB`, without alpha `0x00RRGGBB`.
fn pack(data: &AttributeData, components: usize) -> Vec<u32> {
    let AttributeData::U8(bytes) = data else { return Vec::new() };
    bytes
        .chunks_exact(components)
        .map(|color| {
            let alpha = color.get(3).copied().unwrap_or(0);
            u32::from_be_bytes([alpha, color[0], color[1], color[2]])
        })
        .collect()
}
