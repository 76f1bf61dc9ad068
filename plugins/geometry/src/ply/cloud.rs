//! Point clouds in PLY.

use std::collections::{HashMap, HashSet};
use std::io::{Seek, SeekFrom, Write as _};

use mediary_core::record::{AttributeSpec, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{Context, Error, MediaRecord, Output, Result, Source};

use super::body::{Body, Column};
use super::header::{Element, Encoding, Header, MOST_PROPERTIES, type_name};
use crate::columns::{interleave, positions, scatter};
use crate::text::{Digits, put_number};

/// Comment that names an attribute of several components.
const ATTRIBUTE: &str = "mediary.attribute ";
/// Comment that holds the reference system as a JSON string.
const CRS: &str = "mediary.crs ";
/// Components of attributes with a fixed meaning.
const COLOR: [&str; 4] = ["red", "green", "blue", "alpha"];
const NORMAL: [&str; 3] = ["nx", "ny", "nz"];
const POSITION: [&str; 3] = ["x", "y", "z"];

/// Where the attributes of a cloud stand in a row.
struct Plan {
    position: [usize; 3],
    schema: Vec<AttributeSpec>,
    /// Properties of each attribute.
    sources: Vec<Vec<usize>>,
}

impl Plan {
    fn new(vertex: &Element, position: [usize; 3], comments: &[String], cx: &Context) -> Self {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        groups.extend(vertex.colors().map(|sources| ("color".into(), sources)));
        groups.extend(vertex.group(&NORMAL).map(|sources| ("normal".into(), sources)));
        let mut claimed = 0_usize;
        for comment in comments.iter().filter_map(|comment| comment.strip_prefix(ATTRIBUTE)) {
            let Some((name, count)) = comment.trim().rsplit_once(' ') else { continue };
            let Ok(count) = count.parse::<usize>() else { continue };
            // No property belongs to two attributes: comments that claim more than there are mean nothing.
            claimed = claimed.saturating_add(count);
            if claimed > vertex.properties.len() {
                break;
            }
            let names: Vec<_> = (0..count).map(|component| format!("{name}_{component}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            groups.extend(vertex.group(&names).filter(|all| !all.is_empty()).map(|all| (name.to_owned(), all)));
        }
        // Attributes stand in the order of their first properties; what no group holds is one of its own.
        let mut owner = vec![None; vertex.properties.len()];
        for (group, (_, sources)) in groups.iter().enumerate() {
            for &source in sources {
                owner[source].get_or_insert(group);
            }
        }
        let mut plan = Self { position, schema: Vec::new(), sources: Vec::new() };
        let mut taken: HashMap<String, u32> = HashMap::new();
        let mut placed = vec![false; groups.len()];
        for (index, property) in vertex.properties.iter().enumerate() {
            if position.contains(&index) {
                continue;
            }
            if property.list.is_some() {
                cx.note("ignored-property", format!("lists {:?} of vertices are left out", property.name));
                continue;
            }
            let whole = |group: &usize| groups[*group].1.iter().all(|&source| owner[source] == Some(*group));
            let (name, sources) = match owner[index].filter(whole) {
                Some(group) if placed[group] => continue,
                Some(group) => {
                    placed[group] = true;
                    groups[group].clone()
                }
                None => {
                    let name = property.name.to_lowercase();
                    let reserved = name == "color" || name == "normal";
                    (if reserved { format!("{name}_0") } else { name }, vec![index])
                }
            };
            // The next number to try stands beside each name: many equal names cost no more than few.
            let mut distinct = name.clone();
            let mut again = taken.get(&name).copied().unwrap_or(2);
            while taken.contains_key(&distinct) {
                distinct = format!("{name}_{again}");
                again += 1;
            }
            taken.insert(name, again);
            taken.entry(distinct.clone()).or_insert(2);
            plan.schema.push(AttributeSpec::new(distinct, property.scalar, sources.len()));
            plan.sources.push(sources);
        }
        plan
    }

    fn chunk(&self, columns: &[Column], count: usize) -> Result<PointChunk> {
        let scalars = |index: usize| match &columns[index] {
            Column::Scalars(values) => Ok(values),
            _ => Err(Error::malformed("expected a number, found a list").at_element("vertex")),
        };
        let [x, y, z] = self.position;
        let (x, y, z) = (scalars(x)?, scalars(y)?, scalars(z)?);
        let positions = positions(x, y, z);
        let mut attributes = Vec::with_capacity(self.schema.len());
        for (spec, sources) in self.schema.iter().zip(&self.sources) {
            let parts = sources.iter().map(|&source| scalars(source)).collect::<Result<Vec<_>>>()?;
            attributes.push(interleave(spec.scalar, &parts, count));
        }
        PointChunk::new(positions, attributes, &self.schema)
    }
}

pub(super) fn read(source: &Source, header: &Header, cx: &Context) -> Result<MediaRecord> {
    let (vertex, position) = header.vertices()?;
    let plan = Plan::new(vertex, position, &header.comments, cx);
    let mut body = Body::new(source, header, cx);
    let place = header.elements.iter().position(|element| element.name == vertex.name).unwrap_or(0);
    for element in &header.elements[..place] {
        body.skip(element)?;
    }
    for element in header.elements.iter().filter(|element| element.name != vertex.name && element.count > 0) {
        cx.note("ignored-element", format!("element {:?} of {} rows is left out", element.name, element.count));
    }
    let points = body.available(vertex)?;
    let crs =
        header.comments.iter().find_map(|comment| serde_json::from_str::<String>(comment.strip_prefix(CRS)?).ok());
    let schema = plan.schema.clone();
    let canonical = is_canonical(source, header, &schema, crs.as_deref())?;
    let wanted = vertex.properties.iter().map(|property| property.list.is_none()).collect();
    let mut stream = Points {
        body,
        vertex: vertex.clone(),
        wanted,
        plan,
        done: 0,
        points,
        is_last: header.elements[place + 1..].iter().all(|element| element.count == 0 || element.properties.is_empty()),
        ended: false,
    };
    let mut cloud = PointCloud::new(schema, Stream::new(std::iter::from_fn(move || stream.next_chunk().transpose())));
    cloud.declared_points = Some(points);
    cloud.crs = crs;
    let mut record = MediaRecord::new(cloud);
    describe(&mut record, header);
    record.source_is_canonical = canonical;
    Ok(record)
}

/// Keeps the comments of others as properties.
pub(super) fn describe(record: &mut MediaRecord, header: &Header) {
    let own = |comment: &&String| comment.starts_with("mediary.") || comment.starts_with("written by mediary");
    let comments: Vec<_> = header.comments.iter().filter(|comment| !own(comment)).cloned().collect();
    for (key, lines) in [("comment", comments), ("obj_info", header.obj_info.clone())] {
        if !lines.is_empty() {
            record.properties.insert(key.into(), lines.into());
        }
    }
}

struct Points {
    body: Body,
    vertex: Element,
    wanted: Vec<bool>,
    plan: Plan,
    done: u64,
    points: u64,
    /// No rows of other elements follow.
    is_last: bool,
    ended: bool,
}

impl Points {
    fn next_chunk(&mut self) -> Result<Option<PointChunk>> {
        if self.ended {
            return Ok(None);
        }
        if self.done >= self.points {
            self.ended = true;
            if self.is_last {
                self.body.finish()?;
            }
            return Ok(None);
        }
        let rows = self.body.rows(&self.vertex, &self.wanted, self.done, self.points - self.done)?;
        self.done += rows.count as u64;
        self.ended = rows.cut;
        if rows.count == 0 {
            return Ok(None);
        }
        self.plan.chunk(&rows.columns, rows.count).map(Some)
    }
}

/// Whether the file is, byte for byte in its header and length, what [`write`] makes of it.
fn is_canonical(source: &Source, header: &Header, schema: &[AttributeSpec], crs: Option<&str>) -> Result<bool> {
    let [vertex] = &header.elements[..] else { return Ok(false) };
    if header.encoding != Encoding::Little || vertex.has_lists() {
        return Ok(false);
    }
    let text = head(schema, crs, vertex.count, false);
    let mut found = vec![0; text.len()];
    let read = source.read_at(0, &mut found)?;
    Ok(read == text.len()
        && found == text
        && source.len() == text.len() as u64 + vertex.count.saturating_mul(vertex.least_bytes()))
}

/// Names of the properties of each attribute, all distinct.
fn property_names(schema: &[AttributeSpec]) -> Vec<Vec<String>> {
    let mut taken: HashSet<String> = POSITION.map(String::from).into();
    let mut all = Vec::new();
    for (index, spec) in schema.iter().enumerate() {
        let names: Vec<String> = match (&*spec.name, spec.components) {
            ("color", 3 | 4) => COLOR[..spec.components].iter().map(ToString::to_string).collect(),
            ("normal", 3) => NORMAL.map(String::from).into(),
            (name, 1) => vec![name.to_owned()],
            (name, components) => (0..components).map(|component| format!("{name}_{component}")).collect(),
        };
        let legal = |name: &String| {
            !name.is_empty()
                && name.chars().all(|char| !char.is_whitespace() && !char.is_control() && !char.is_uppercase())
                && !taken.contains(name)
        };
        let names = if names.iter().all(legal) {
            names
        } else {
            (0..spec.components).map(|component| format!("attribute{index}_{component}")).collect()
        };
        taken.extend(names.iter().cloned());
        all.push(names);
    }
    all
}

/// The header: always as long for the same schema, so that the number can be set right at the end.
fn head(schema: &[AttributeSpec], crs: Option<&str>, points: u64, ascii: bool) -> Vec<u8> {
    let format = if ascii { "ascii" } else { "binary_little_endian" };
    let points = points.to_string();
    let padding = " ".repeat(20 - points.len());
    let mut text = format!("ply\nformat {format} 1.0\ncomment written by mediary{padding}\n");
    let names = property_names(schema);
    for (spec, names) in schema.iter().zip(&names) {
        if let Some(base) = names[0].strip_suffix("_0").filter(|_| spec.components > 1) {
            text += &format!("comment {ATTRIBUTE}{base} {}\n", spec.components);
        }
    }
    if let Some(crs) = crs {
        text += &format!("comment {CRS}{}\n", serde_json::Value::from(crs));
    }
    text += &format!("element vertex {points}\nproperty double x\nproperty double y\nproperty double z\n");
    for (spec, names) in schema.iter().zip(&names) {
        for name in names {
            text += &format!("property {} {name}\n", type_name(spec.scalar));
        }
    }
    text += "end_header\n";
    text.into_bytes()
}

pub(super) fn write(cloud: &mut PointCloud, out: &mut Output, cx: &Context) -> Result<()> {
    let ascii = cx.options().bool("ascii");
    let numbers = cloud.schema.iter().fold(3_usize, |sum, spec| sum.saturating_add(spec.components));
    if numbers > MOST_PROPERTIES {
        let message = format!("points of {numbers} numbers: PLY is written with up to {MOST_PROPERTIES} properties");
        return Err(Error::unsupported(message));
    }
    cx.lose("boxes", cloud.boxes.len() as u64, "boxes: they stay in the record");
    cx.lose("vectors", cloud.vectors.len() as u64, "vectors: they stay in the record");
    cx.lose("scene-type", cloud.scene_type.is_some().into(), "the type of the scene: it stays in the record");
    let renamed = cloud.schema.iter().zip(property_names(&cloud.schema)).enumerate();
    let renamed = renamed.filter(|(index, (_, names))| names[0] == format!("attribute{index}_0")).count();
    cx.lose("attribute-names", renamed as u64, "names of attributes that PLY cannot hold");
    let declared = cloud.declared_points.unwrap_or(0);
    let start = out.stream_position()?;
    out.write_all(&head(&cloud.schema, cloud.crs.as_deref(), declared, ascii))?;
    let mut points = 0;
    let mut bytes = Vec::new();
    let mut digits = Digits::of(cx);
    while let Some(chunk) = cloud.points.next_chunk()? {
        cx.checkpoint()?;
        points += chunk.positions().len() as u64;
        bytes.clear();
        if ascii {
            put_ascii(&mut bytes, &chunk, &cloud.schema, &mut digits)
        } else {
            put_binary(&mut bytes, &chunk, &cloud.schema)
        }
        out.write_all(&bytes)?;
    }
    digits.report(cx);
    if points != declared {
        let end = out.stream_position()?;
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&head(&cloud.schema, cloud.crs.as_deref(), points, ascii))?;
        out.seek(SeekFrom::Start(end))?;
    }
    Ok(())
}

fn put_binary(bytes: &mut Vec<u8>, chunk: &PointChunk, schema: &[AttributeSpec]) {
    let sizes: Vec<usize> =
        schema.iter().map(|spec| spec.components * super::header::size(spec.scalar) as usize).collect();
    let stride = 24 + sizes.iter().sum::<usize>();
    bytes.resize(chunk.positions().len() * stride, 0);
    for (row, position) in bytes.chunks_exact_mut(stride).zip(chunk.positions()) {
        for (place, value) in row[..24].chunks_exact_mut(8).zip(position) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
    let mut offset = 24;
    for ((data, spec), size) in chunk.attributes().iter().zip(schema).zip(sizes) {
        scatter(data, spec.components, bytes, stride, offset);
        offset += size;
    }
}

fn put_ascii(bytes: &mut Vec<u8>, chunk: &PointChunk, schema: &[AttributeSpec], digits: &mut Digits) {
    for (at, position) in chunk.positions().iter().enumerate() {
        for &value in position {
            digits.put(bytes, value, false);
            bytes.push(b' ');
        }
        for (data, spec) in chunk.attributes().iter().zip(schema) {
            for component in 0..spec.components {
                let value = data.get(at * spec.components + component);
                match spec.scalar {
                    ScalarType::F32 => digits.put(bytes, value, true),
                    ScalarType::F64 => digits.put(bytes, value, false),
                    _ => put_number(bytes, value, false),
                }
                bytes.push(b' ');
            }
        }
        bytes.pop();
        bytes.push(b'\n');
    }
}
