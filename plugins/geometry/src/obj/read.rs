//! Reading OBJ: first a flat list of what the file says, then the primitives made of it.

use std::collections::HashMap;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::{Context, Error, Location, MediaRecord, Result, Source};

use crate::mtl::Libraries;
use crate::text::{self, Scanner};
use crate::vertex::{Corners, NONE, unit};
use crate::world;

/// Bytes between checks of budget and deadline.
const CHECK_EVERY: usize = 1 << 20;

/// The colour of a vertex that has none.
const NO_COLOR: [f64; 4] = [-1.0; 4];

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    let utf8;
    let text: &[u8] = match text::from_utf16(&bytes) {
        Some(converted) => {
            cx.budget().take(converted.len() as u64)?;
            utf8 = converted;
            &utf8
        }
        None => &bytes,
    };
    let mut file = File::default();
    let mut parser = Parser { file: &mut file, cx, scanner: Scanner::new(text), names: HashMap::new(), charged: 0 };
    parser.parse()?;
    let charged = parser.charged;
    if file.positions.is_empty() && file.elements.is_empty() {
        return Err(Error::malformed("expected vertices (lines \"v x y z\"), found none")
            .at_line(1)
            .with_hint("an OBJ file without geometry holds no scene"));
    }
    let scene = build(&file, source, cx)?;
    cx.budget().give_back(charged);
    Ok(MediaRecord::new(scene))
}

/// What joins the corners of an element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    Face,
    Line,
    Point,
}

/// A face, polyline or set of points; its corners stand end to end in [`File::corners`].
#[derive(Clone, Copy)]
struct Element {
    shape: Shape,
    size: u32,
    line: u32,
}

/// From which element on a mesh and a material hold.
#[derive(Clone, Copy)]
struct Segment {
    first: usize,
    object: u32,
    group: u32,
    material: u32,
}

/// The file, flat.
#[derive(Default)]
struct File<'a> {
    positions: Vec<[f64; 3]>,
    /// sRGB as written; empty, or as long as the positions of the file with [`NO_COLOR`] where there is none.
    colors: Vec<[f64; 4]>,
    texcoords: Vec<[f32; 2]>,
    normals: Vec<[f32; 3]>,
    /// Indices from 0 of position, texture coordinate, normal; [`NONE`] where there is none.
    corners: Vec<[u32; 3]>,
    elements: Vec<Element>,
    segments: Vec<Segment>,
    /// Names of objects, by number of the `o` line; the first is that of what stands before any.
    objects: Vec<&'a [u8]>,
    /// Distinct names of groups and materials.
    names: Vec<&'a [u8]>,
    libraries: Vec<(&'a [u8], u64)>,
}

struct Parser<'p, 'a> {
    file: &'p mut File<'a>,
    cx: &'p Context,
    scanner: Scanner<'a>,
    names: HashMap<&'a [u8], u32>,
    /// Bytes taken from the budget for the lists of the file.
    charged: u64,
}

impl<'a> Parser<'_, 'a> {
    fn parse(&mut self) -> Result<()> {
        self.file.objects.push(b"");
        let nameless = self.name(b"");
        let mut state = Segment { first: 0, object: 0, group: nameless, material: nameless };
        let mut weights = 0;
        let mut next_check = 0;
        while !self.scanner.is_done() {
            if self.scanner.offset() >= next_check {
                self.check()?;
                next_check = self.scanner.offset() + CHECK_EVERY;
            }
            let line = self.scanner.line();
            let word = self.scanner.word();
            match word {
                b"v" => weights += u64::from(self.vertex(line)?),
                b"vt" => self.texcoord(line)?,
                b"vn" => self.normal(line)?,
                b"f" | b"fo" => self.element(Shape::Face, 3, line, state)?,
                b"l" => self.element(Shape::Line, 2, line, state)?,
                b"p" => self.element(Shape::Point, 1, line, state)?,
                b"o" => {
                    let name = self.scanner.rest_of_line();
                    state.object = u32::try_from(self.file.objects.len()).unwrap_or(NONE);
                    state.group = nameless;
                    self.file.objects.push(name);
                }
                b"g" => {
                    let name = self.scanner.rest_of_line();
                    state.group = self.name(name);
                }
                b"usemtl" => {
                    let name = self.scanner.rest_of_line();
                    state.material = self.name(name);
                }
                b"mtllib" => {
                    let name = self.scanner.rest_of_line();
                    if name.is_empty() {
                        self.cx.warn_at("missing-mtl", "mtllib names no file", Location::line(line));
                    } else {
                        self.file.libraries.push((name, line));
                    }
                }
                b"" | b"s" | b"lod" | b"mg" | b"bevel" | b"c_interp" | b"d_interp" | b"shadow_obj" | b"trace_obj"
                | b"usemap" | b"maplib" => {}
                b"vp" | b"cstype" | b"deg" | b"bmat" | b"step" | b"curv" | b"curv2" | b"surf" | b"parm" | b"trim"
                | b"hole" | b"scrv" | b"sp" | b"end" | b"con" => {
                    let message = format!("free-form geometry ({:?}) is not read", text::decode(word));
                    self.cx.warn_at("free-form", message, Location::line(line));
                }
                _ if word[0] == b'#' => {
                    self.scanner.skip_line(false);
                    continue;
                }
                _ => {
                    let message = format!("expected a statement of OBJ, found {:?}", shown(word));
                    self.cx.tolerate("unknown-statement", message, Location::line(line))?;
                }
            }
            self.scanner.skip_line(true);
        }
        if self.scanner.ends_in_line() {
            self.cx.note("no-final-newline", "the last line has no end: the file may be cut short");
        }
        if weights > 0 {
            let message = "weights of vertices other than 1 are ignored";
            self.cx.report_times(mediary_core::Severity::Warning, "vertex-weights", message, None, weights);
        }
        self.check()
    }

    /// Pays for what the lists have grown to.
    fn check(&mut self) -> Result<()> {
        self.cx.checkpoint()?;
        let file = &*self.file;
        self.cx.limits().check("elements", file.positions.len().max(file.corners.len()) as u64)?;
        let now = (file.positions.capacity() * 24
            + file.colors.capacity() * 32
            + file.texcoords.capacity() * 8
            + (file.normals.capacity() + file.corners.capacity() + file.elements.capacity()) * 12
            + (file.segments.capacity() + file.names.capacity() + file.objects.capacity()) * 24
            + self.names.capacity() * 32) as u64;
        self.cx.budget().take(now.saturating_sub(self.charged))?;
        self.charged = self.charged.max(now);
        Ok(())
    }

    fn name(&mut self, name: &'a [u8]) -> u32 {
        let fresh = u32::try_from(self.file.names.len()).unwrap_or(NONE);
        let index = *self.names.entry(name).or_insert(fresh);
        if index == fresh {
            self.file.names.push(name);
        }
        index
    }

    /// The numbers of a line, up to `N`. Missing ones below `needed` are an error, or NaN when lenient.
    fn numbers<const N: usize>(&mut self, needed: usize, line: u64) -> Result<([f64; N], usize)> {
        let mut values = [0.0; N];
        let mut count = 0;
        while count < N {
            match self.scanner.number() {
                Some(value) => values[count] = value,
                None => break,
            }
            count += 1;
        }
        if count < needed {
            let found = shown(self.scanner.word());
            let error = Error::malformed(format!("expected {needed} numbers, found {count} and then {found:?}"));
            self.cx.unless_lenient("bad-number", error.at_line(line))?;
            values[count..needed].fill(f64::NAN);
        } else if !self.scanner.at_line_end() {
            let found = shown(self.scanner.word());
            let message = format!("expected the end of the line, found {found:?}");
            self.cx.tolerate("extra-values", message, Location::line(line))?;
        }
        Ok((values, count))
    }

    /// Reads `v`; whether it has a weight that matters.
    fn vertex(&mut self, line: u64) -> Result<bool> {
        let ([x, y, z, a, b, c, d, e], count) = self.numbers::<8>(3, line)?;
        // x y z [w] [r g b [a]]: four numbers end in a weight, eight hold both.
        let color = match count {
            6 => Some([a, b, c, 1.0]),
            7 => Some([a, b, c, d]),
            8 => Some([b, c, d, e]),
            _ => None,
        };
        if color.is_some() || !self.file.colors.is_empty() {
            self.file.colors.resize(self.file.positions.len(), NO_COLOR);
            self.file.colors.push(color.unwrap_or(NO_COLOR));
        }
        self.file.positions.push([x, y, z]);
        Ok(matches!(count, 4 | 8) && a != 1.0)
    }

    #[expect(clippy::cast_possible_truncation, reason = "texture coordinates are single precision")]
    fn texcoord(&mut self, line: u64) -> Result<()> {
        let ([u, v, _], _) = self.numbers::<3>(1, line)?;
        self.file.texcoords.push([u as f32, (1.0 - v) as f32]);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "normals are single precision")]
    fn normal(&mut self, line: u64) -> Result<()> {
        let (normal, _) = self.numbers::<3>(3, line)?;
        let square: f64 = normal.iter().map(|value| value * value).sum();
        let normal = if (square - 1.0).abs() < 1e-4 {
            normal.map(|value| value as f32)
        } else {
            unit(normal).unwrap_or_else(|| {
                let message = format!("the normal {normal:?} has no direction, (0, 0, 1) stands for it");
                self.cx.warn_at("bad-normal", message, Location::line(line));
                [0.0, 0.0, 1.0]
            })
        };
        self.file.normals.push(normal);
        Ok(())
    }

    fn element(&mut self, shape: Shape, least: u32, line: u64, mut state: Segment) -> Result<()> {
        let first = self.file.corners.len();
        while !self.scanner.at_line_end() {
            match self.corner(line) {
                Ok(corner) => self.file.corners.push(corner),
                Err(error) => {
                    self.file.corners.truncate(first);
                    return self.cx.unless_lenient("bad-index", error.at_line(line));
                }
            }
        }
        let size = (self.file.corners.len() - first) as u32;
        if size < least {
            self.file.corners.truncate(first);
            let message = format!("expected at least {least} corners, found {size}: left out");
            return self.cx.tolerate("short-face", message, Location::line(line));
        }
        let same =
            |last: &Segment| (last.object, last.group, last.material) == (state.object, state.group, state.material);
        if !self.file.segments.last().is_some_and(same) {
            state.first = self.file.elements.len();
            self.file.segments.push(state);
        }
        self.file.elements.push(Element { shape, size, line: u32::try_from(line).unwrap_or(NONE) });
        Ok(())
    }

    fn corner(&mut self, line: u64) -> Result<[u32; 3]> {
        let start = self.scanner.clone();
        let counts = [self.file.positions.len(), self.file.texcoords.len(), self.file.normals.len()];
        let mut corner = [NONE; 3];
        for (part, count) in counts.into_iter().enumerate() {
            if part > 0 && !self.scanner.eat(b'/') {
                break;
            }
            corner[part] = match self.scanner.integer() {
                Some(0) if part > 0 => {
                    self.cx.tolerate("zero-index", "indices count from 1, found 0: left out", Location::line(line))?;
                    NONE
                }
                Some(index) => resolve(index, count)?,
                None if part > 0 => NONE,
                None => return Err(not_a_corner(start)),
            };
        }
        if self.scanner.at_word_end() { Ok(corner) } else { Err(not_a_corner(start)) }
    }
}

fn not_a_corner(mut at: Scanner<'_>) -> Error {
    Error::malformed(format!("expected a corner (v, v/vt, v//vn or v/vt/vn), found {:?}", shown(at.word())))
}

/// The start of a word, for messages.
fn shown(word: &[u8]) -> String {
    text::decode(&word[..word.len().min(40)])
}

/// An index from 0. Positive ones may point forward and are checked at the end.
fn resolve(index: i64, count: usize) -> Result<u32> {
    let resolved = if index > 0 { Some(index - 1) } else { (count as i64).checked_add(index) };
    match resolved.and_then(|index| u32::try_from(index).ok()) {
        Some(resolved) if index != 0 && resolved != NONE => Ok(resolved),
        _ => Err(Error::malformed(format!("index {index} is out of range: there are {count} so far"))
            .with_hint("indices count from 1, negative ones back from the last")),
    }
}

/// What a primitive is made of.
struct Part {
    mesh: u32,
    material: u32,
    shape: Shape,
    has: [bool; 2],
    /// Indices of each vertex in the lists of the file.
    vertices: Vec<[u32; 3]>,
    indices: Vec<u32>,
    sizes: Vec<u32>,
}

fn build(file: &File<'_>, source: &Source, cx: &Context) -> Result<Scene> {
    let bytes = file.corners.len() as u64 * 20 + file.positions.len() as u64 * 28;
    cx.budget().take(bytes)?;
    let (names, parts) = divide(file, cx)?;
    let offset = world::offset(&file.positions);
    let mut libraries = Libraries::default();
    for (name, line) in &file.libraries {
        libraries.open(&text::decode(name), source, *line, cx)?;
    }
    let mut meshes: Vec<Mesh> = names.into_iter().map(|name| Mesh { name, ..Mesh::default() }).collect();
    let mut materials = HashMap::new();
    let mut used = vec![false; file.positions.len()];
    let color_scale = color_scale(file, cx);
    for part in parts {
        let material = match file.names.get(part.material as usize) {
            Some(name) if !name.is_empty() => {
                Some(*materials.entry(part.material).or_insert_with(|| libraries.find(&text::decode(name), cx)))
            }
            _ => None,
        };
        for [position, ..] in &part.vertices {
            used[*position as usize] = true;
        }
        let mesh = part.mesh as usize;
        let primitive = assemble(file, part, offset, color_scale, material, cx)?;
        meshes[mesh].primitives.push(primitive);
        cx.checkpoint()?;
    }
    if file.elements.is_empty() {
        cx.note("no-faces", "no face, line or point statement: all vertices are points");
        let part = Part {
            mesh: 0,
            material: NONE,
            shape: Shape::Point,
            has: [false; 2],
            vertices: (0..file.positions.len() as u32).map(|index| [index, NONE, NONE]).collect(),
            indices: Vec::new(),
            sizes: Vec::new(),
        };
        let mut primitive = assemble(file, part, offset, color_scale, None, cx)?;
        primitive.indices = None;
        meshes = vec![Mesh { primitives: vec![primitive], ..Mesh::default() }];
    } else {
        let unused = used.iter().filter(|used| !**used).count() as u64;
        let message = "vertices belong to no face, line or point: left out";
        cx.report_times(mediary_core::Severity::Info, "unused-vertices", message, None, unused);
    }
    world::report_non_finite(&file.positions, cx);
    cx.budget().give_back(bytes);
    let mut scene = Scene::of_meshes(meshes);
    (scene.materials, scene.textures) = libraries.finish();
    scene.world_offset = offset;
    Ok(scene)
}

/// Sorts elements into the parts of meshes, with one vertex for each distinct corner.
fn divide(file: &File<'_>, cx: &Context) -> Result<(Vec<String>, Vec<Part>)> {
    let counts = [file.positions.len(), file.texcoords.len(), file.normals.len()];
    let mut names = Vec::new();
    let mut meshes = HashMap::new();
    let mut known = HashMap::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut corners = Corners::new(file.positions.len());
    let mut at = 0;
    let mut mixed = 0;
    for (number, segment) in file.segments.iter().enumerate() {
        let end = file.segments.get(number + 1).map_or(file.elements.len(), |next| next.first);
        // Faces with the same attributes follow each other: the last part is nearly always the right one.
        let mut last = None;
        let mesh = *meshes.entry((segment.object, segment.group)).or_insert_with(|| {
            names.push(mesh_name(file, segment));
            (names.len() - 1) as u32
        });
        for element in &file.elements[segment.first..end] {
            let own = &file.corners[at..at + element.size as usize];
            at += element.size as usize;
            if let Some(error) = out_of_range(own, counts) {
                cx.unless_lenient("bad-index", error.at_line(element.line.into()))?;
                continue;
            }
            let has = [1, 2].map(|part| own.iter().all(|corner| corner[part] != NONE));
            mixed +=
                [1, 2].iter().filter(|&&part| !has[part - 1] && own.iter().any(|corner| corner[part] != NONE)).count();
            let which = match last {
                Some((shape, known_has, which)) if shape == element.shape && known_has == has => which,
                _ => *known.entry((mesh, segment.material, element.shape, has)).or_insert_with(|| {
                    let (material, shape) = (segment.material, element.shape);
                    parts.push(Part { mesh, material, shape, has, vertices: vec![], indices: vec![], sizes: vec![] });
                    parts.len() - 1
                }),
            };
            last = Some((element.shape, has, which));
            let part = &mut parts[which];
            let first = part.indices.len();
            for corner in own {
                let corner = [corner[0], if has[0] { corner[1] } else { NONE }, if has[1] { corner[2] } else { NONE }];
                let fresh = part.vertices.len() as u32;
                let vertex = match corners.find_or_add(corner[0], [which as u32, corner[1], corner[2]], fresh) {
                    Ok(vertex) => vertex,
                    Err(fresh) => {
                        part.vertices.push(corner);
                        fresh
                    }
                };
                // A polyline of n corners is n - 1 pairs.
                if element.shape == Shape::Line && part.indices.len() - first >= 2 {
                    part.indices.push(part.indices[part.indices.len() - 1]);
                }
                part.indices.push(vertex);
            }
            if element.shape == Shape::Face {
                part.sizes.push(element.size);
            }
        }
        if number % 1024 == 0 {
            cx.checkpoint()?;
        }
    }
    cx.budget().take((parts.len() * size_of::<Part>()) as u64)?;
    let message = "elements have texture coordinates or normals at some corners only: left out";
    cx.report_times(mediary_core::Severity::Warning, "mixed-corners", message, None, mixed as u64);
    Ok((names, parts))
}

fn mesh_name(file: &File<'_>, segment: &Segment) -> String {
    let object = file.objects.get(segment.object as usize).copied().unwrap_or_default();
    let group = file.names.get(segment.group as usize).copied().unwrap_or_default();
    match (object, group) {
        (object, b"") => text::decode(object),
        (b"", group) => text::decode(group),
        (object, group) if object == group => text::decode(object),
        (object, group) => format!("{}/{}", text::decode(object), text::decode(group)),
    }
}

fn out_of_range(corners: &[[u32; 3]], counts: [usize; 3]) -> Option<Error> {
    let bad =
        |corner: &[u32; 3], part: usize| corner[part] as usize >= counts[part] && (part == 0 || corner[part] != NONE);
    for corner in corners {
        for (part, what) in ["vertices", "texture coordinates", "normals"].into_iter().enumerate() {
            if bad(corner, part) {
                let index = u64::from(corner[part]) + 1;
                return Some(Error::malformed(format!(
                    "index {index} is out of range: there are {} {what}",
                    counts[part]
                )));
            }
        }
    }
    None
}

/// What colours are multiplied by: files that hold a value above 1 count to 255.
fn color_scale(file: &File<'_>, cx: &Context) -> f64 {
    let largest = file.colors.iter().flat_map(|color| &color[..3]).fold(0.0_f64, |most, &value| most.max(value));
    if largest > 1.0 {
        cx.note("colors-255", format!("vertex colours reach {largest}: taken for 0 to 255"));
        return 1.0 / 255.0;
    }
    1.0
}

#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision, relative to the offset")]
fn assemble(
    file: &File<'_>,
    mut part: Part,
    offset: [f64; 3],
    color_scale: f64,
    material: Option<u32>,
    cx: &Context,
) -> Result<Primitive> {
    cx.budget().take((part.vertices.len() * 80 + (part.indices.len() + part.sizes.len()) * 4) as u64)?;
    in_file_order(&mut part);
    let vertices = &part.vertices;
    let positions = vertices.iter().map(|&[index, ..]| {
        let position = file.positions[index as usize];
        [0, 1, 2].map(|axis| (position[axis] - offset[axis]) as f32)
    });
    let mut primitive = Primitive {
        topology: match part.shape {
            Shape::Point => Topology::Points,
            Shape::Line => Topology::Lines,
            Shape::Face if part.sizes.iter().all(|&size| size == 3) => Topology::Triangles,
            Shape::Face => Topology::Polygons,
        },
        positions: positions.collect(),
        material,
        ..Primitive::default()
    };
    if part.has[0] {
        primitive.texcoords = vec![vertices.iter().map(|&[_, index, _]| file.texcoords[index as usize]).collect()];
    }
    if part.has[1] {
        primitive.normals = vertices.iter().map(|&[.., index]| file.normals[index as usize]).collect();
    }
    let color = |index: u32| file.colors.get(index as usize).filter(|&&color| color != NO_COLOR);
    let colored = vertices.iter().filter(|&&[index, ..]| color(index).is_some()).count();
    if colored > 0 {
        let linear = |value: f64| srgb_to_linear((value * color_scale).clamp(0.0, 1.0)) as f32;
        let colors = vertices.iter().map(|&[index, ..]| match color(index) {
            Some(&[r, g, b, a]) => [linear(r), linear(g), linear(b), a.clamp(0.0, 1.0) as f32],
            None => [1.0; 4],
        });
        primitive.colors = vec![colors.collect()];
        let message = "vertices without a colour beside others with one: white";
        let missing = (vertices.len() - colored) as u64;
        cx.report_times(mediary_core::Severity::Warning, "partial-colors", message, None, missing);
    }
    if primitive.topology == Topology::Polygons {
        primitive.face_sizes = part.sizes.into();
    }
    primitive.indices = Some(part.indices.into());
    Ok(primitive)
}

/// Brings vertices into the order of the `v` lines: deterministic for the reader, near in memory for everyone after.
fn in_file_order(part: &mut Part) {
    if part.vertices.is_sorted_by_key(|&[position, ..]| position) {
        return;
    }
    let mut order: Vec<u32> = (0..part.vertices.len() as u32).collect();
    order.sort_by_key(|&vertex| part.vertices[vertex as usize][0]);
    let mut renamed = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        renamed[old as usize] = new as u32;
    }
    part.vertices = order.iter().map(|&old| part.vertices[old as usize]).collect();
    part.indices.iter_mut().for_each(|index| *index = renamed[*index as usize]);
}
