//! Meshes in PLY.

use std::io::Write as _;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::facts::SceneFacts;
use mediary_core::record::scene::{Material, Mesh, Primitive, Texture, TextureUse, Topology, Wrap};
use mediary_core::record::{AttributeData, Buffer, Facts, ScalarType, Scene};
use mediary_core::{Context, Error, Location, MediaRecord, Output, Result, Severity, Source};

use super::body::{Body, Column};
use super::header::{Element, Header, face_indices, is_faces};
use crate::columns::add_triples;
use crate::pictures::{self, FileNames};
use crate::text::{Digits, flush_if_long, put_number};
use crate::vertex::{Corners, NONE, exact_byte, linear, unit};
use crate::world;

/// Names of texture coordinates, of vertices and in lists of faces.
const TEXCOORDS: &[[&str; 2]] = &[["s", "t"], ["u", "v"], ["texture_u", "texture_v"]];
const FACE_TEXCOORDS: &[&str] = &["texcoord", "texcoords"];

/// What the header tells of a scene.
pub(super) fn facts(header: &Header) -> Result<Facts> {
    let (vertex, _) = header.vertices()?;
    let split = header.elements.iter().any(|element| is_faces(element) && element.find(FACE_TEXCOORDS, true).is_some());
    let pictures = pictures(header).count() as u64;
    Ok(Facts::Scene(SceneFacts {
        vertices: (!split).then_some(vertex.count),
        materials: Some(pictures),
        textures: Some(pictures),
        ..world::one_primitive()
    }))
}

/// What stands before the name of a picture in a comment.
const PICTURE: &str = "TextureFile ";

/// The pictures that comments name, as MeshLab and others write them.
fn pictures(header: &Header) -> impl Iterator<Item = &str> {
    let names = header.comments.iter().filter_map(|comment| comment.strip_prefix(PICTURE));
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// The material that shows a picture.
fn painted(name: String, texture: u32) -> Material {
    let used = TextureUse { texture, texcoord: 0, transform: None, factor: 1.0 };
    Material { name, base_color_texture: Some(used), metallic: 0.0, ..Material::default() }
}

/// A material for each picture. Faces have the first one: which of several a face has is not read.
fn textured(header: &Header, scene: &mut Scene, source: &Source, cx: &Context) -> Result<()> {
    for (name, index) in pictures(header).zip(0..) {
        let (uri, bytes) = pictures::open(name, &[""], source, cx)?;
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
        scene.textures.push(Texture {
            name: stem.clone(),
            uri: Some(uri),
            media_type: pictures::media_type(&bytes, file).to_owned(),
            bytes: bytes.into(),
            wrap: [Wrap::Repeat; 2],
            nearest: false,
        });
        scene.materials.push(painted(stem, index));
    }
    let more = (scene.textures.len() as u64).saturating_sub(1);
    let message = "pictures beside the first: which one a face has is not read";
    cx.report_times(Severity::Warning, "several-textures", message, None, more);
    if !scene.materials.is_empty() {
        for primitive in scene.meshes.iter_mut().flat_map(|mesh| &mut mesh.primitives) {
            primitive.material = Some(0);
        }
    }
    Ok(())
}

/// Positions in the precision of the file: what is single already needs no offset, and no copy.
enum Positions {
    Single(Vec<[f32; 3]>),
    Double(Vec<[f64; 3]>),
}

impl Positions {
    /// Room for so many of these types.
    fn of(types: [ScalarType; 3], count: u64, cx: &Context) -> Result<Self> {
        let is_single = types == [ScalarType::F32; 3];
        cx.budget().take(count.saturating_mul(if is_single { 12 } else { 24 }))?;
        // What is announced is there, and paid for.
        let count = count as usize;
        Ok(if is_single { Self::Single(Vec::with_capacity(count)) } else { Self::Double(Vec::with_capacity(count)) })
    }

    fn add(&mut self, x: &AttributeData, y: &AttributeData, z: &AttributeData) -> Result<()> {
        match (self, x, y, z) {
            (Self::Single(all), AttributeData::F32(x), AttributeData::F32(y), AttributeData::F32(z)) => {
                all.extend(x.iter().zip(&**y).zip(&**z).map(|((&x, &y), &z)| [x, y, z]));
            }
            (Self::Single(_), ..) => return Err(Error::malformed("expected the types that the header announces")),
            (Self::Double(all), ..) => add_triples(all, x, y, z),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Single(all) => all.len(),
            Self::Double(all) => all.len(),
        }
    }

    fn report_non_finite(&self, cx: &Context) {
        match self {
            Self::Single(all) => world::report_non_finite(all, cx),
            Self::Double(all) => world::report_non_finite(all, cx),
        }
    }

    /// In single precision, and relative to what.
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision, relative to the offset")]
    fn settle(self, cx: &Context) -> Result<(Buffer<[f32; 3]>, [f64; 3])> {
        match self {
            Self::Single(all) => Ok((all.into(), [0.0; 3])),
            Self::Double(all) => {
                cx.budget().take(all.len() as u64 * 12)?;
                let offset = world::offset(&all);
                let single = |position: &[f64; 3]| [0, 1, 2].map(|axis| (position[axis] - offset[axis]) as f32);
                Ok((all.iter().map(single).collect(), offset))
            }
        }
    }
}

impl Default for Positions {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

/// Vertices as the file has them.
#[derive(Default)]
struct Vertices {
    positions: Positions,
    normals: Vec<[f32; 3]>,
    /// Components as written, 3 or 4 a vertex.
    colors: Vec<f64>,
    /// Instead of these where they are three bytes, as they nearly always are.
    bytes: Vec<[u8; 3]>,
    texcoords: Vec<[f32; 2]>,
    /// Normals without direction.
    bad_normals: u64,
}

/// Faces as the file has them.
#[derive(Default)]
struct Faces {
    sizes: Vec<u32>,
    indices: Vec<u32>,
    /// One a corner, or none at all.
    texcoords: Vec<[f32; 2]>,
    short: u64,
}

pub(super) fn read(source: &Source, header: &Header, cx: &Context) -> Result<MediaRecord> {
    let (vertex, position) = header.vertices()?;
    let mut body = Body::new(source, header, cx);
    let mut vertices = Vertices::default();
    let mut faces = Faces::default();
    let mut colors = None;
    let mut whole = true;
    for element in &header.elements {
        if std::ptr::eq(element, vertex) {
            colors = element.colors().map(|all| (all.len(), element.properties[all[0]].scalar));
            whole &= vertices.read(&mut body, element, position, cx)?;
        } else if is_faces(element) {
            whole &= faces.read(&mut body, element, cx)?;
        } else if whole {
            if element.count > 0 {
                cx.note("ignored-element", format!("element {:?} of {} rows is left out", element.name, element.count));
            }
            body.skip(element)?;
        }
        if !whole {
            break;
        }
    }
    if whole {
        body.finish()?;
    }
    faces.check(vertices.positions.len(), cx)?;
    vertices.positions.report_non_finite(cx);
    let message = "normals have no direction, (0, 0, 1) stands for them";
    cx.report_times(Severity::Warning, "bad-normal", message, None, vertices.bad_normals);
    let message = "faces have fewer than 3 corners: left out";
    cx.report_times(Severity::Warning, "short-face", message, None, faces.short);
    let (primitive, offset) = build(vertices, colors, faces, cx)?;
    let mut scene = Scene::of_meshes(vec![Mesh { primitives: vec![primitive], ..Mesh::default() }]);
    scene.world_offset = offset;
    textured(header, &mut scene, source, cx)?;
    let mut record = MediaRecord::new(scene);
    super::cloud::describe(&mut record, header);
    Ok(record)
}

fn scalars(column: &Column) -> Option<&AttributeData> {
    match column {
        Column::Scalars(values) => Some(values),
        _ => None,
    }
}

impl Vertices {
    /// Whether all rows could be read.
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn read(&mut self, body: &mut Body, element: &Element, position: [usize; 3], cx: &Context) -> Result<bool> {
        let count = body.available(element)?;
        let colors = element.colors().unwrap_or_default();
        let normals = element.group(&["nx", "ny", "nz"]).unwrap_or_default();
        let texcoords = TEXCOORDS.iter().find_map(|names| element.group(names)).unwrap_or_default();
        let used = [&position[..], &colors, &normals, &texcoords].concat();
        ignore_others(element, &used, cx);
        let wanted: Vec<bool> = (0..element.properties.len()).map(|index| used.contains(&index)).collect();
        let types = position.map(|index| element.properties[index].scalar);
        self.positions = Positions::of(types, count, cx)?;
        cx.budget()
            .take(count.saturating_mul(8 * colors.len() as u64 + 4 * (normals.len() + texcoords.len()) as u64))?;
        if !normals.is_empty() {
            self.normals.reserve_exact(count as usize);
        }
        let (mut done, mut triples) = (0, Vec::new());
        while done < count {
            let rows = body.rows(element, &wanted, done, count - done)?;
            let column =
                |index: usize| scalars(&rows.columns[index]).ok_or_else(|| Error::malformed("a list of vertices"));
            let [x, y, z] = position;
            let (x, y, z) = (column(x)?, column(y)?, column(z)?);
            self.positions.add(x, y, z)?;
            if let [x, y, z] = normals[..] {
                triples.clear();
                add_triples(&mut triples, column(x)?, column(y)?, column(z)?);
                let bad = &mut self.bad_normals;
                self.normals.extend(triples.iter().map(|&value| {
                    let normal = normal(value);
                    *bad += u64::from(normal.is_none());
                    normal.unwrap_or([0.0, 0.0, 1.0])
                }));
            }
            if let [u, v] = texcoords[..] {
                let (u, v) = (column(u)?, column(v)?);
                self.texcoords.extend((0..rows.count).map(|at| [u.get(at) as f32, (1.0 - v.get(at)) as f32]));
            }
            let parts = colors.iter().map(|&index| column(index)).collect::<Result<Vec<_>>>()?;
            match parts[..] {
                [AttributeData::U8(r), AttributeData::U8(g), AttributeData::U8(b)] => {
                    self.bytes.extend(r.iter().zip(&**g).zip(&**b).map(|((&r, &g), &b)| [r, g, b]));
                }
                _ => (0..rows.count).for_each(|at| self.colors.extend(parts.iter().map(|part| part.get(at)))),
            }
            done += rows.count as u64;
            cx.budget().give_back(rows.charged);
            if rows.cut {
                break;
            }
        }
        Ok(done == element.count)
    }
}

/// A normal at unit length; `None` for one without direction.
#[expect(clippy::cast_possible_truncation, reason = "normals are single precision")]
fn normal(value: [f64; 3]) -> Option<[f32; 3]> {
    let square: f64 = value.iter().map(|value| value * value).sum();
    if (square - 1.0).abs() < 1e-4 { Some(value.map(|value| value as f32)) } else { unit(value) }
}

fn ignore_others(element: &Element, used: &[usize], cx: &Context) {
    for (index, property) in element.properties.iter().enumerate() {
        if !used.contains(&index) {
            let message = format!("property {:?} of {:?} is left out", property.name, element.name);
            cx.note("ignored-property", message);
        }
    }
}

impl Faces {
    /// Whether all rows could be read.
    fn read(&mut self, body: &mut Body, element: &Element, cx: &Context) -> Result<bool> {
        let count = body.available(element)?;
        let Some(list) = face_indices(element) else { return Ok(true) };
        let strips = element.name == "tristrips";
        let texcoords = if strips { None } else { element.find(FACE_TEXCOORDS, true) };
        let used: Vec<usize> = [Some(list), texcoords].into_iter().flatten().collect();
        ignore_others(element, &used, cx);
        let wanted: Vec<bool> = (0..element.properties.len()).map(|index| used.contains(&index)).collect();
        let mut done = 0;
        while done < count {
            let rows = body.rows(element, &wanted, done, count - done)?;
            let Column::List { sizes, values } = &rows.columns[list] else { break };
            cx.budget().take(values.len() as u64 * if strips { 16 } else { 4 } + sizes.len() as u64 * 4)?;
            cx.limits().check("elements", (self.indices.len() + values.len()) as u64)?;
            let uv = texcoords.and_then(|index| match &rows.columns[index] {
                Column::List { sizes, values } => Some((sizes, values)),
                _ => None,
            });
            if strips {
                self.add_strips(sizes, values, done)?;
            } else {
                self.add_faces(sizes, values, uv, done, cx)?;
            }
            done += rows.count as u64;
            cx.budget().give_back(rows.charged);
            if rows.cut {
                break;
            }
        }
        Ok(done == element.count)
    }

    /// Adds faces of the rows from `done` on.
    fn add_faces(
        &mut self,
        sizes: &[u32],
        values: &AttributeData,
        texcoords: Option<(&Vec<u32>, &AttributeData)>,
        done: u64,
        cx: &Context,
    ) -> Result<()> {
        let first = self.indices.len();
        match values {
            // The usual types, without a detour over floats.
            AttributeData::I32(values) => self.indices.extend(values.iter().map(|&index| index.cast_unsigned())),
            AttributeData::U32(values) => self.indices.extend_from_slice(values),
            values => self.indices.extend((0..values.len()).map(|at| index(values.get(at)))),
        }
        if texcoords.is_none() && sizes.iter().all(|&size| size >= 3) {
            self.sizes.extend_from_slice(sizes);
            return Ok(());
        }
        let corners = self.indices.split_off(first);
        let (mut at, mut uv_at) = (0, 0);
        for (row, &size) in sizes.iter().enumerate() {
            let own = &corners[at..at + size as usize];
            at += size as usize;
            let uv_size = texcoords.map_or(0, |(sizes, _)| sizes[row]) as usize;
            let uv_first = uv_at;
            uv_at += uv_size;
            if own.len() < 3 {
                self.short += 1;
                continue;
            }
            self.sizes.push(size);
            self.indices.extend_from_slice(own);
            let Some((_, values)) = texcoords else { continue };
            if uv_size != 0 && uv_size != own.len() * 2 {
                let message = format!("expected {} texture coordinates, found {uv_size}", own.len() * 2);
                cx.tolerate("texcoords", message, Location::element(format!("face[{}]", done + row as u64)))?;
            }
            #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
            for corner in 0..own.len() {
                let pair = uv_first + corner * 2;
                self.texcoords.push(if corner * 2 + 1 < uv_size {
                    [values.get(pair) as f32, (1.0 - values.get(pair + 1)) as f32]
                } else {
                    [0.0, 0.0]
                });
            }
        }
        Ok(())
    }

    /// Strips: each corner after the second makes a triangle, every other one wound the other way; −1 starts anew.
    fn add_strips(&mut self, sizes: &[u32], values: &AttributeData, done: u64) -> Result<()> {
        let mut at = 0;
        for (row, &size) in sizes.iter().enumerate() {
            let mut strip: Vec<u32> = Vec::new();
            for place in at..at + size as usize {
                let value = values.get(place);
                if value == -1.0 {
                    strip.clear();
                    continue;
                }
                if value < 0.0 {
                    let path = format!("tristrips[{}]", done + row as u64);
                    return Err(Error::malformed(format!("index {value} is out of range")).at_element(path));
                }
                strip.push(index(value));
                if let [.., a, b, c] = strip[..] {
                    let triangle = if strip.len() % 2 == 1 { [a, b, c] } else { [b, a, c] };
                    self.sizes.push(3);
                    self.indices.extend_from_slice(&triangle);
                }
            }
            at += size as usize;
        }
        Ok(())
    }

    /// Every index must be that of a vertex; lenient drops the faces of others.
    fn check(&mut self, vertices: usize, cx: &Context) -> Result<()> {
        if self.indices.iter().copied().max().is_none_or(|most| (most as usize) < vertices) {
            return Ok(());
        }
        let old = std::mem::take(self);
        self.short = old.short;
        let mut at = 0;
        for (face, &size) in old.sizes.iter().enumerate() {
            let own = at..at + size as usize;
            at = own.end;
            let bad = old.indices[own.clone()].iter().find(|&&index| index as usize >= vertices);
            if let Some(&bad) = bad {
                // Negative indices of signed types come out as huge ones.
                let error = Error::malformed(format!("index {bad} is out of range: there are {vertices} vertices"));
                cx.unless_lenient("bad-index", error.at_element(format!("face[{face}]")))?;
                continue;
            }
            self.sizes.push(size);
            self.indices.extend_from_slice(&old.indices[own.clone()]);
            self.texcoords.extend(old.texcoords.get(own).unwrap_or_default());
        }
        Ok(())
    }
}

/// An index; what cannot be one becomes one that no vertex has.
fn index(value: f64) -> u32 {
    if value >= 0.0 && value < f64::from(NONE) && value.fract() == 0.0 { value as u32 } else { NONE }
}

/// The primitive, and what its positions are relative to.
fn build(
    vertices: Vertices,
    colors: Option<(usize, ScalarType)>,
    mut faces: Faces,
    cx: &Context,
) -> Result<(Primitive, [f64; 3])> {
    cx.budget().take((vertices.colors.len() + vertices.bytes.len() * 3) as u64 * 6)?;
    let (positions, offset) = vertices.positions.settle(cx)?;
    let mut primitive = Primitive {
        topology: if faces.sizes.iter().all(|&size| size == 3) { Topology::Triangles } else { Topology::Polygons },
        positions,
        normals: vertices.normals.into(),
        ..Primitive::default()
    };
    if !vertices.texcoords.is_empty() {
        primitive.texcoords = vec![vertices.texcoords.into()];
    }
    if let Some((components, scalar)) = colors {
        let colors = if vertices.bytes.is_empty() {
            linear_colors(&vertices.colors, components, scalar, cx)
        } else {
            let table: Vec<f32> = (0..=255).map(linear).collect();
            let part = |byte: u8| table[usize::from(byte)];
            vertices.bytes.iter().map(|&[r, g, b]| [part(r), part(g), part(b), 1.0]).collect()
        };
        primitive.colors = vec![colors.into()];
    }
    if faces.texcoords.len() == faces.indices.len() && !faces.texcoords.is_empty() {
        split(&mut primitive, &mut faces, cx)?;
    }
    primitive.indices = Some(faces.indices.into());
    if primitive.topology == Topology::Polygons {
        primitive.face_sizes = faces.sizes.into();
    }
    Ok((primitive, offset))
}

/// One vertex for each distinct pair of position and texture coordinate.
fn split(primitive: &mut Primitive, faces: &mut Faces, cx: &Context) -> Result<()> {
    cx.budget().take(faces.indices.len() as u64 * 60)?;
    let mut corners = Corners::new(primitive.positions.len());
    let mut sources = Vec::new();
    let mut texcoords = Vec::new();
    for (index, uv) in faces.indices.iter_mut().zip(&faces.texcoords) {
        let fresh = sources.len() as u32;
        let key = [0, uv[0].to_bits(), uv[1].to_bits()];
        let source = *index;
        *index = corners.find_or_add(source, key, fresh).unwrap_or_else(|fresh| {
            sources.push(source as usize);
            texcoords.push(*uv);
            fresh
        });
    }
    fn pick<T: Copy>(values: &mut Buffer<T>, sources: &[usize]) {
        if !values.is_empty() {
            *values = sources.iter().map(|&source| values[source]).collect();
        }
    }
    pick(&mut primitive.positions, &sources);
    pick(&mut primitive.normals, &sources);
    primitive.colors.iter_mut().for_each(|set| pick(set, &sources));
    primitive.texcoords = vec![texcoords.into()];
    Ok(())
}

/// Integers are sRGB of their full range (8 bits for wide ones), floats are linear unless they count to 255.
#[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
fn linear_colors(values: &[f64], components: usize, scalar: ScalarType, cx: &Context) -> Vec<[f32; 4]> {
    let float = matches!(scalar, ScalarType::F32 | ScalarType::F64);
    let most = values.iter().copied().fold(0.0, f64::max);
    let counted = float && most > 1.0;
    if counted {
        cx.note("colors-255", format!("float colours reach {most}: taken for sRGB from 0 to 255"));
    }
    let scale = match scalar {
        ScalarType::U16 => 1.0 / 65_535.0,
        _ if float && !counted => 1.0,
        _ => 1.0 / 255.0,
    };
    let table: Vec<f32> = (0..=255).map(linear).collect();
    let part = |value: f64| {
        if float && !counted {
            value.clamp(0.0, 1.0) as f32
        } else if scalar == ScalarType::U8 {
            table[value as usize]
        } else {
            srgb_to_linear((value * scale).clamp(0.0, 1.0)) as f32
        }
    };
    let alpha = |color: &[f64]| color.get(3).map_or(1.0, |alpha| (alpha * scale).clamp(0.0, 1.0) as f32);
    values
        .chunks_exact(components)
        .map(|color| [part(color[0]), part(color[1]), part(color[2]), alpha(color)])
        .collect()
}

pub(super) fn write(scene: &Scene, out: &mut Output, cx: &Context) -> Result<()> {
    if !scene.primitives().any(|part| part.topology == Topology::Points) {
        world::need_faces(scene, "PLY")?;
    }
    world::lose_tree(scene, false, cx);
    let meshes = world::placed(scene);
    // Lines are lost, so their vertices are none of a face; they would only take attributes from those that are.
    let mut parts = world::joined(scene, &meshes, cx);
    parts.retain(|(_, part)| part.topology != Topology::Lines);
    let vertices: u64 = parts.iter().map(|(_, part)| part.positions.len() as u64).sum();
    if vertices > u64::from(u32::MAX) {
        return Err(Error::unsupported(format!("faces of PLY number up to 2^32 vertices, the scene has {vertices}")));
    }
    let layout = Layout::new(scene, &parts.iter().map(|(_, part)| *part).collect::<Vec<_>>(), cx);
    let picture = picture(scene, &parts, layout.texcoords.is_some(), out, cx)?;
    let ascii = cx.options().bool("ascii");
    let head = layout.head(vertices, picture.as_deref(), ascii);
    let mut sink = Sink { bytes: head, ascii, digits: Digits::of(cx) };
    for (mesh, part) in &parts {
        for at in 0..part.positions.len() {
            layout.vertex(&mut sink, mesh, part, at);
            flush_if_long(&mut sink.bytes, out, cx)?;
        }
    }
    let mut first = 0;
    for (mesh, part) in &parts {
        let mut failure = Ok(());
        world::faces(part, mesh.mirrors, |corners| {
            match layout.wide_faces {
                true => sink.number(corners.len() as f64, ScalarType::U32),
                false => sink.number(corners.len() as f64, ScalarType::U8),
            }
            corners.iter().for_each(|&corner| sink.number(f64::from(first + corner), ScalarType::U32));
            sink.end_row();
            if failure.is_ok() {
                failure = flush_if_long(&mut sink.bytes, out, cx);
            }
        });
        failure?;
        first += part.positions.len() as u32;
    }
    sink.digits.report(cx);
    out.write_all(&sink.bytes)?;
    Ok(())
}

/// Writes the picture of a scene that shows one alone, and returns its file name. What of materials and textures is lost.
fn picture(
    scene: &Scene,
    parts: &[(&world::Placed<'_>, &Primitive)],
    mapped: bool,
    out: &mut Output,
    cx: &Context,
) -> Result<Option<String>> {
    let material = |part: &Primitive| part.material.and_then(|index| scene.materials.get(index as usize));
    let uses: Vec<_> = parts.iter().map(|(_, part)| material(part)?.base_color_texture.as_ref()).collect();
    // A file has its pictures as a whole: they are those of all faces or of none.
    let shown = uses.first().copied().flatten().filter(|first| {
        let same =
            |used: &Option<&TextureUse>| used.is_some_and(|used| used.texture == first.texture && used.texcoord == 0);
        mapped && uses.iter().all(same) && out.has_siblings()
    });
    let Some(shown) = shown else {
        world::lose_materials(scene, cx);
        return Ok(None);
    };
    let texture = &scene.textures[shown.texture as usize];
    let file = FileNames::beside(&out.stem()).of(texture, &texture.media_type);
    if !texture.bytes.is_empty() {
        out.sibling(&file)?.write_all(&texture.bytes)?;
    }
    // The one that is made of the comment again.
    let stem = file.rsplit_once('.').map_or(&*file, |(stem, _)| stem);
    let same = painted(stem.to_owned(), shown.texture);
    let others = scene.materials.iter().filter(|material| **material != same).count();
    cx.lose("materials", others as u64, "materials but for their picture");
    cx.lose("textures", scene.textures.len() as u64 - 1, "textures beside that of the base colour");
    let turned = uses.iter().flatten().filter(|used| used.transform.is_some()).count();
    cx.lose("texture-transforms", turned as u64, "places of textures on their coordinates");
    let usual = texture.wrap == [Wrap::Repeat; 2] && !texture.nearest;
    cx.lose("samplers", u64::from(!usual), "wrapping or filtering of textures");
    Ok(Some(file))
}

/// What is written of each vertex.
struct Layout {
    position: ScalarType,
    normals: bool,
    texcoords: Option<ScalarType>,
    colors: Option<ScalarType>,
    alpha: bool,
    faces: u64,
    wide_faces: bool,
}

impl Layout {
    fn new(scene: &Scene, parts: &[&Primitive], cx: &Context) -> Self {
        let count = |test: &dyn Fn(&Primitive) -> bool| parts.iter().filter(|part| test(part)).count() as u64;
        let all = parts.len() as u64;
        let (normals, texcoords) = (count(&|part| !part.normals.is_empty()), count(&|part| !part.texcoords.is_empty()));
        let colors = count(&|part| !part.colors.is_empty());
        cx.lose("normals", if normals < all { normals } else { 0 }, "normals: other primitives have none");
        cx.lose(
            "texcoords",
            if texcoords < all { texcoords } else { 0 },
            "texture coordinates: other primitives have none",
        );
        let sizes = || parts.iter().flat_map(|part| &part.face_sizes);
        let exact_uv =
            parts.iter().flat_map(|part| part.texcoords.first()).flatten().all(|&[_, v]| 1.0 - (1.0 - v) == v);
        let mut colors_of = parts.iter().flat_map(|part| part.colors.first()).flatten();
        let exact_colors = colors_of.all(|color| eight_bits(*color).is_some());
        let solid = parts.iter().flat_map(|part| part.colors.first()).flatten().all(|color| color[3] == 1.0);
        Self {
            position: if scene.world_offset == [0.0; 3] { ScalarType::F32 } else { ScalarType::F64 },
            normals: normals == all && all > 0,
            texcoords: (texcoords == all && all > 0).then_some(if exact_uv {
                ScalarType::F32
            } else {
                ScalarType::F64
            }),
            colors: (colors > 0).then_some(if exact_colors { ScalarType::U8 } else { ScalarType::F32 }),
            alpha: !solid,
            faces: parts.iter().map(|part| world::face_count(part)).sum(),
            wide_faces: sizes().any(|&size| size > 255),
        }
    }

    fn head(&self, vertices: u64, picture: Option<&str>, ascii: bool) -> Vec<u8> {
        let format = if ascii { "ascii" } else { "binary_little_endian" };
        let mut text = format!("ply\nformat {format} 1.0\ncomment written by mediary\n");
        if let Some(picture) = picture {
            text += &format!("comment {PICTURE}{picture}\n");
        }
        text += &format!("element vertex {vertices}\n");
        let mut property = |scalar: ScalarType, names: &[&str]| {
            for name in names {
                text += &format!("property {} {name}\n", super::header::type_name(scalar));
            }
        };
        property(self.position, &["x", "y", "z"]);
        if self.normals {
            property(ScalarType::F32, &["nx", "ny", "nz"]);
        }
        if let Some(scalar) = self.texcoords {
            property(scalar, &["s", "t"]);
        }
        if let Some(scalar) = self.colors {
            property(scalar, if self.alpha { &["red", "green", "blue", "alpha"] } else { &["red", "green", "blue"] });
        }
        if self.faces > 0 {
            let length = if self.wide_faces { "uint" } else { "uchar" };
            text += &format!("element face {}\nproperty list {length} uint vertex_indices\n", self.faces);
        }
        text += "end_header\n";
        text.into_bytes()
    }

    fn vertex(&self, sink: &mut Sink, mesh: &world::Placed<'_>, part: &Primitive, at: usize) {
        for value in mesh.position(part.positions[at]) {
            sink.number(value, self.position);
        }
        if self.normals {
            for value in mesh.normal(part.normals[at]) {
                sink.number(value.into(), ScalarType::F32);
            }
        }
        if let Some(scalar) = self.texcoords {
            let [u, v] = part.texcoords[0][at];
            sink.number(u.into(), scalar);
            sink.number(1.0 - f64::from(v), scalar);
        }
        if let Some(scalar) = self.colors {
            // White is what a vertex without a colour looks like.
            let color = part.colors.first().map_or([1.0; 4], |colors| colors[at]);
            let values = match eight_bits(color) {
                Some(bytes) if scalar == ScalarType::U8 => bytes.map(f64::from),
                _ => color.map(f64::from),
            };
            values[..if self.alpha { 4 } else { 3 }].iter().for_each(|&value| sink.number(value, scalar));
        }
        sink.end_row();
    }
}

/// The 8-bit sRGB colour that reads back as exactly this one.
#[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
fn eight_bits(color: [f32; 4]) -> Option<[u8; 4]> {
    let alpha = (f64::from(color[3]) * 255.0).round() as u8;
    // As it is read: times the reciprocal.
    let exact = (f64::from(alpha) * (1.0 / 255.0)).clamp(0.0, 1.0) as f32 == color[3];
    let [r, g, b, _] = color;
    Some([exact_byte(r)?, exact_byte(g)?, exact_byte(b)?, exact.then_some(alpha)?])
}

/// Rows, binary or as text.
struct Sink {
    bytes: Vec<u8>,
    ascii: bool,
    digits: Digits,
}

impl Sink {
    #[expect(clippy::cast_possible_truncation, reason = "the layout has chosen a type that holds the value")]
    fn number(&mut self, value: f64, scalar: ScalarType) {
        if self.ascii {
            match scalar {
                ScalarType::F32 => self.digits.put(&mut self.bytes, value, true),
                ScalarType::F64 => self.digits.put(&mut self.bytes, value, false),
                _ => put_number(&mut self.bytes, value, false),
            }
            self.bytes.push(b' ');
            return;
        }
        match scalar {
            ScalarType::U8 => self.bytes.push(value as u8),
            ScalarType::U32 => self.bytes.extend_from_slice(&(value as u32).to_le_bytes()),
            ScalarType::F32 => self.bytes.extend_from_slice(&(value as f32).to_le_bytes()),
            _ => self.bytes.extend_from_slice(&value.to_le_bytes()),
        }
    }

    fn end_row(&mut self) {
        if self.ascii {
            self.bytes.pop();
            self.bytes.push(b'\n');
        }
    }
}
