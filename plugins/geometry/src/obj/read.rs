//! Reading OBJ: first a flat list of what the file says, then the primitives made of it.

use std::collections::HashMap;
use std::ops::Range;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::{Context, Error, Location, MediaRecord, Result, Source};

use crate::mtl::Libraries;
use crate::text::{self, Scanner};
use crate::vertex::{Corners, NONE, unit};
use crate::world;

/// Bytes, or corners, between checks of budget and deadline.
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
    let parts = cx.in_parts(text::parts(text, cx.threads()), |range, cx| {
        let part = Parser::new(text, range, cx).parse()?;
        let lines = part.lines;
        Ok((part, lines))
    })?;
    let (file, charged) = File::of_parts(parts, cx)?;
    if file.positions.is_empty() && file.elements.iter().all(|elements| elements.runs.is_empty()) {
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

/// Elements of one shape and size, each on the line behind that of the one before.
#[derive(Clone, Copy)]
struct Run {
    shape: Shape,
    size: u32,
    count: u32,
    /// Of the first.
    line: u64,
}

/// From which run on a mesh and a material hold.
#[derive(Clone, Copy)]
struct Segment {
    first: usize,
    object: u32,
    group: u32,
    material: u32,
}

/// Faces, polylines and sets of points; the corners stand end to end.
#[derive(Default)]
struct Elements {
    /// Indices from 0 of position, texture coordinate, normal; [`NONE`] where there is none.
    corners: Vec<[u32; 3]>,
    runs: Vec<Run>,
    segments: Vec<Segment>,
}

/// What vertices are made of.
#[derive(Default)]
struct Vertices {
    positions: Vec<[f64; 3]>,
    /// sRGB as written; empty, or as long as the positions with [`NO_COLOR`] where there is none.
    colors: Vec<[f64; 4]>,
    texcoords: Vec<[f32; 2]>,
    normals: Vec<[f32; 3]>,
}

/// A part of the file, flat. Indices count through the whole file, everything else through the part.
struct Part<'a> {
    vertices: Vertices,
    elements: Elements,
    /// Names of objects, by number of the `o` line; the first stands for the object of the part before.
    objects: Vec<&'a [u8]>,
    /// Distinct names of groups and materials, [`NAMELESS`] first.
    names: Vec<&'a [u8]>,
    libraries: Vec<(&'a [u8], u64)>,
    /// What holds at its end.
    state: Segment,
    lines: u64,
    /// Bytes taken from the budget for the lists.
    charged: u64,
}

/// The number of the name that is none.
const NAMELESS: u32 = 0;
/// The number of a name that the part before has set.
const INHERITED: u32 = NONE - 1;

/// The whole file.
#[derive(Default)]
struct File<'a> {
    vertices: Vertices,
    elements: Vec<Elements>,
    objects: Vec<&'a [u8]>,
    names: Vec<&'a [u8]>,
    libraries: Vec<(&'a [u8], u64)>,
}

impl std::ops::Deref for File<'_> {
    type Target = Vertices;

    fn deref(&self) -> &Vertices {
        &self.vertices
    }
}

impl<'a> File<'a> {
    /// Joins the parts; returns the bytes they took from the budget, too.
    fn of_parts(parts: Vec<Part<'a>>, cx: &Context) -> Result<(Self, u64)> {
        let mut file = Self { objects: vec![b""], names: vec![b""], ..Self::default() };
        let mut numbers: HashMap<&[u8], u32> = HashMap::from([(&b""[..], NAMELESS)]);
        let mut state = Segment { first: 0, object: 0, group: NAMELESS, material: NAMELESS };
        let (mut lines, mut charged) = (0, 0);
        let sum = |list: fn(&Vertices) -> usize| parts.iter().map(|part| list(&part.vertices)).sum::<usize>();
        let colored = parts.iter().any(|part| !part.vertices.colors.is_empty());
        let totals =
            [sum(|list| list.positions.len()), sum(|list| list.texcoords.len()), sum(|list| list.normals.len())];
        if parts.len() > 1 {
            let joined = totals[0] * if colored { 56 } else { 24 } + totals[1] * 8 + totals[2] * 12;
            cx.budget().take(joined as u64)?;
            charged += joined as u64;
        }
        let corners = parts.iter().map(|part| part.elements.corners.len()).sum::<usize>();
        cx.limits().check("elements", totals[0].max(corners) as u64)?;
        for mut part in parts {
            let names: Vec<u32> = part
                .names
                .iter()
                .map(|&name| {
                    let fresh = file.names.len() as u32;
                    let number = *numbers.entry(name).or_insert(fresh);
                    if number == fresh {
                        file.names.push(name);
                    }
                    number
                })
                .collect();
            let objects = file.objects.len() as u32;
            let inherited = state;
            let named = |name: u32, inherited: u32| names.get(name as usize).copied().unwrap_or(inherited);
            let global = |segment: Segment| Segment {
                first: segment.first,
                object: if segment.object == 0 { inherited.object } else { objects + segment.object - 1 },
                group: named(segment.group, inherited.group),
                material: named(segment.material, inherited.material),
            };
            state = global(part.state);
            part.elements.segments.iter_mut().for_each(|segment| *segment = global(*segment));
            part.elements.runs.iter_mut().for_each(|run| run.line += lines);
            file.objects.extend_from_slice(&part.objects[1..]);
            file.libraries.extend(part.libraries.iter().map(|&(name, line)| (name, line + lines)));
            file.elements.push(part.elements);
            if file.elements.len() == 1 {
                file.vertices = part.vertices;
            } else {
                file.vertices.append(part.vertices, totals, colored);
            }
            lines += part.lines;
            charged += part.charged;
        }
        Ok((file, charged))
    }
}

impl Vertices {
    /// Adds those of the next part, of so many in all.
    fn append(&mut self, mut part: Self, totals: [usize; 3], colored: bool) {
        if colored {
            self.colors.resize(self.positions.len(), NO_COLOR);
            part.colors.resize(part.positions.len(), NO_COLOR);
            self.colors.reserve_exact(totals[0] - self.colors.len());
        }
        self.positions.reserve_exact(totals[0] - self.positions.len());
        self.texcoords.reserve_exact(totals[1] - self.texcoords.len());
        self.normals.reserve_exact(totals[2] - self.normals.len());
        self.positions.append(&mut part.positions);
        self.colors.append(&mut part.colors);
        self.texcoords.append(&mut part.texcoords);
        self.normals.append(&mut part.normals);
    }
}

struct Parser<'p, 'a> {
    part: Part<'a>,
    cx: &'p Context,
    scanner: Scanner<'a>,
    names: HashMap<&'a [u8], u32>,
    /// What stands before this part, and the vertices, texture coordinates and normals in it once somebody counts back.
    before: &'a [u8],
    counted: Option<[usize; 3]>,
}

impl<'p, 'a> Parser<'p, 'a> {
    fn new(text: &'a [u8], range: Range<usize>, cx: &'p Context) -> Self {
        let state = match range.start {
            0 => Segment { first: 0, object: 0, group: NAMELESS, material: NAMELESS },
            _ => Segment { first: 0, object: 0, group: INHERITED, material: INHERITED },
        };
        let before = &text[..range.start];
        let part = Part {
            vertices: Vertices::default(),
            elements: Elements::default(),
            objects: vec![b""],
            names: vec![b""],
            libraries: Vec::new(),
            state,
            lines: 0,
            charged: 0,
        };
        Self {
            part,
            cx,
            scanner: if before.is_empty() { Scanner::new(&text[range]) } else { Scanner::amid(&text[range]) },
            names: HashMap::from([(&b""[..], NAMELESS)]),
            before,
            counted: None,
        }
    }

    fn parse(mut self) -> Result<Part<'a>> {
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
                b"f" | b"fo" => self.element(Shape::Face, 3, line)?,
                b"l" => self.element(Shape::Line, 2, line)?,
                b"p" => self.element(Shape::Point, 1, line)?,
                b"o" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.object = u32::try_from(self.part.objects.len()).unwrap_or(NONE);
                    self.part.state.group = NAMELESS;
                    self.part.objects.push(name);
                }
                b"g" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.group = self.name(name);
                }
                b"usemtl" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.material = self.name(name);
                }
                b"mtllib" => {
                    let name = self.scanner.rest_of_line();
                    if name.is_empty() {
                        self.cx.warn_at("missing-mtl", "mtllib names no file", Location::line(line));
                    } else {
                        self.part.libraries.push((name, line));
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
        self.check()?;
        self.part.lines = self.scanner.line() - 1;
        Ok(self.part)
    }

    /// Pays for what the lists have grown to.
    fn check(&mut self) -> Result<()> {
        self.cx.checkpoint()?;
        let part = &self.part;
        let (vertices, elements) = (&part.vertices, &part.elements);
        self.cx.limits().check("elements", vertices.positions.len().max(elements.corners.len()) as u64)?;
        let now = (vertices.positions.capacity() * 24
            + vertices.colors.capacity() * 32
            + vertices.texcoords.capacity() * 8
            + (vertices.normals.capacity() + elements.corners.capacity()) * 12
            + (elements.runs.capacity() + elements.segments.capacity()) * 24
            + (part.names.capacity() + part.objects.capacity()) * 24
            + self.names.capacity() * 32) as u64;
        self.cx.budget().take(now.saturating_sub(part.charged))?;
        self.part.charged = part.charged.max(now);
        Ok(())
    }

    fn name(&mut self, name: &'a [u8]) -> u32 {
        let fresh = self.part.names.len() as u32;
        let index = *self.names.entry(name).or_insert(fresh);
        if index == fresh {
            self.part.names.push(name);
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
        if self.part.vertices.colors.is_empty()
            && let Some(position) = self.scanner.plain_numbers()
        {
            self.part.vertices.positions.push(position);
            return Ok(false);
        }
        let ([x, y, z, a, b, c, d, e], count) = self.numbers::<8>(3, line)?;
        // x y z [w] [r g b [a]]: four numbers end in a weight, eight hold both.
        let color = match count {
            6 => Some([a, b, c, 1.0]),
            7 => Some([a, b, c, d]),
            8 => Some([b, c, d, e]),
            _ => None,
        };
        if color.is_some() || !self.part.vertices.colors.is_empty() {
            self.part.vertices.colors.resize(self.part.vertices.positions.len(), NO_COLOR);
            self.part.vertices.colors.push(color.unwrap_or(NO_COLOR));
        }
        self.part.vertices.positions.push([x, y, z]);
        Ok(matches!(count, 4 | 8) && a != 1.0)
    }

    #[expect(clippy::cast_possible_truncation, reason = "texture coordinates are single precision")]
    fn texcoord(&mut self, line: u64) -> Result<()> {
        let [u, v] = match self.scanner.plain_numbers() {
            Some(pair) => pair,
            None => self.numbers::<3>(1, line).map(|([u, v, _], _)| [u, v])?,
        };
        self.part.vertices.texcoords.push([u as f32, (1.0 - v) as f32]);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "normals are single precision")]
    fn normal(&mut self, line: u64) -> Result<()> {
        let normal = match self.scanner.plain_numbers() {
            Some(normal) => normal,
            None => self.numbers::<3>(3, line)?.0,
        };
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
        self.part.vertices.normals.push(normal);
        Ok(())
    }

    fn element(&mut self, shape: Shape, least: u32, line: u64) -> Result<()> {
        let first = self.part.elements.corners.len();
        if !self.scanner.plain_corners(&mut self.part.elements.corners, NONE) && !self.odd_corners(first, line)? {
            return Ok(());
        }
        let elements = &mut self.part.elements;
        let size = (elements.corners.len() - first) as u32;
        if size < least {
            elements.corners.truncate(first);
            let message = format!("expected at least {least} corners, found {size}: left out");
            return self.cx.tolerate("short-face", message, Location::line(line));
        }
        let mut state = self.part.state;
        let same =
            |last: &Segment| (last.object, last.group, last.material) == (state.object, state.group, state.material);
        if !elements.segments.last().is_some_and(same) {
            state.first = elements.runs.len();
            elements.segments.push(state);
        } else if let Some(run) = elements.runs.last_mut()
            && (run.shape, run.size, run.line + u64::from(run.count)) == (shape, size, line)
            && run.count < NONE
        {
            run.count += 1;
            return Ok(());
        }
        elements.runs.push(Run { shape, size, count: 1, line });
        Ok(())
    }

    /// Corners of a line that is not plain; `false` for one that cannot be read, in lenient mode.
    fn odd_corners(&mut self, first: usize, line: u64) -> Result<bool> {
        while !self.scanner.at_line_end() {
            match self.corner(line) {
                Ok(corner) => self.part.elements.corners.push(corner),
                Err(error) => {
                    self.part.elements.corners.truncate(first);
                    return self.cx.unless_lenient("bad-index", error.at_line(line)).map(|()| false);
                }
            }
        }
        Ok(true)
    }

    fn corner(&mut self, line: u64) -> Result<[u32; 3]> {
        let start = self.scanner.clone();
        let mut corner = [NONE; 3];
        for (part, slot) in corner.iter_mut().enumerate() {
            if part > 0 && !self.scanner.eat(b'/') {
                break;
            }
            *slot = match self.scanner.integer() {
                Some(index) if index > 0 && index < i64::from(INHERITED) => (index - 1) as u32,
                Some(0) if part > 0 => {
                    self.cx.tolerate("zero-index", "indices count from 1, found 0: left out", Location::line(line))?;
                    NONE
                }
                Some(index) => self.count_back(index, part)?,
                None if part > 0 => NONE,
                None => return Err(not_a_corner(start)),
            };
        }
        if self.scanner.at_word_end() { Ok(corner) } else { Err(not_a_corner(start)) }
    }

    /// An index from 0 for one that counts back from the last, or an error for what is no index. Positive ones may point forward
    /// and are checked at the end.
    #[cold]
    fn count_back(&mut self, index: i64, part: usize) -> Result<u32> {
        let before = self.counted.get_or_insert_with(|| count(self.before))[part];
        let vertices = &self.part.vertices;
        let count = before + [vertices.positions.len(), vertices.texcoords.len(), vertices.normals.len()][part];
        let resolved = (count as i64).checked_add(index).filter(|_| index < 0);
        resolved.and_then(|index| u32::try_from(index).ok()).filter(|&index| index < INHERITED).ok_or_else(|| {
            Error::malformed(format!("index {index} is out of range: there are {count} so far"))
                .with_hint("indices count from 1, negative ones back from the last")
        })
    }
}

/// Vertices, texture coordinates and normals in a text.
fn count(text: &[u8]) -> [usize; 3] {
    let mut counts = [0; 3];
    let mut scanner = Scanner::new(text);
    while !scanner.is_done() {
        let word = scanner.word();
        match word {
            b"v" => counts[0] += 1,
            b"vt" => counts[1] += 1,
            b"vn" => counts[2] += 1,
            _ => {}
        }
        scanner.skip_line(!word.starts_with(b"#"));
    }
    counts
}

fn not_a_corner(mut at: Scanner<'_>) -> Error {
    Error::malformed(format!("expected a corner (v, v/vt, v//vn or v/vt/vn), found {:?}", shown(at.word())))
}

/// The start of a word, for messages.
fn shown(word: &[u8]) -> String {
    text::decode(&word[..word.len().min(40)])
}

/// What a primitive is made of.
struct Group {
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
    let corners = file.elements.iter().map(|elements| elements.corners.len()).sum::<usize>();
    let bytes = corners as u64 * 20 + file.positions.len() as u64 * 28;
    cx.budget().take(bytes)?;
    let (names, groups) = divide(file, cx)?;
    let offset = world::offset(&file.positions);
    let mut libraries = Libraries::default();
    for (name, line) in &file.libraries {
        libraries.open(&text::decode(name), source, *line, cx)?;
    }
    let mut meshes: Vec<Mesh> = names.into_iter().map(|name| Mesh { name, ..Mesh::default() }).collect();
    let mut materials = HashMap::new();
    let mut used = vec![false; file.positions.len()];
    let color_scale = color_scale(file, cx);
    for part in groups {
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
    if corners == 0 {
        cx.note("no-faces", "no face, line or point statement: all vertices are points");
        let part = Group {
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

/// Sorts elements into the groups that become primitives, with one vertex for each distinct corner.
fn divide(file: &File<'_>, cx: &Context) -> Result<(Vec<String>, Vec<Group>)> {
    let counts = [file.positions.len(), file.texcoords.len(), file.normals.len()];
    let mut names = Vec::new();
    let mut meshes = HashMap::new();
    let mut known = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut corners = Corners::new(file.positions.len());
    let mut mixed = 0;
    for elements in &file.elements {
        let (mut at, mut next_check) = (0, 0);
        for (number, segment) in elements.segments.iter().enumerate() {
            let end = elements.segments.get(number + 1).map_or(elements.runs.len(), |next| next.first);
            // Faces with the same attributes follow each other: the last group is nearly always the right one.
            let mut last = None;
            let mesh = *meshes.entry((segment.object, segment.group)).or_insert_with(|| {
                names.push(mesh_name(file, segment));
                (names.len() - 1) as u32
            });
            for run in &elements.runs[segment.first..end] {
                let size = run.size as usize;
                let all = &elements.corners[at..at + size * run.count as usize];
                at += all.len();
                for (own, line) in all.chunks_exact(size).zip(run.line..) {
                    if let Some(error) = out_of_range(own, counts) {
                        cx.unless_lenient("bad-index", error.at_line(line))?;
                        continue;
                    }
                    let has = [1, 2].map(|part| own.iter().all(|corner| corner[part] != NONE));
                    mixed += [1, 2]
                        .iter()
                        .filter(|&&part| !has[part - 1] && own.iter().any(|corner| corner[part] != NONE))
                        .count();
                    let which = match last {
                        Some((shape, known_has, which)) if shape == run.shape && known_has == has => which,
                        _ => *known.entry((mesh, segment.material, run.shape, has)).or_insert_with(|| {
                            groups.push(Group::new(mesh, segment.material, run.shape, has));
                            groups.len() - 1
                        }),
                    };
                    last = Some((run.shape, has, which));
                    groups[which].push(own, which as u32, &mut corners);
                }
                if at >= next_check {
                    cx.checkpoint()?;
                    next_check = at + CHECK_EVERY;
                }
            }
        }
    }
    cx.budget().take((groups.len() * size_of::<Group>()) as u64)?;
    let message = "elements have texture coordinates or normals at some corners only: left out";
    cx.report_times(mediary_core::Severity::Warning, "mixed-corners", message, None, mixed as u64);
    Ok((names, groups))
}

impl Group {
    fn new(mesh: u32, material: u32, shape: Shape, has: [bool; 2]) -> Self {
        Self { mesh, material, shape, has, vertices: Vec::new(), indices: Vec::new(), sizes: Vec::new() }
    }

    /// Adds an element; `number` is that of this group.
    fn push(&mut self, own: &[[u32; 3]], number: u32, corners: &mut Corners) {
        let first = self.indices.len();
        for corner in own {
            let corner =
                [corner[0], if self.has[0] { corner[1] } else { NONE }, if self.has[1] { corner[2] } else { NONE }];
            let fresh = self.vertices.len() as u32;
            let vertex = match corners.find_or_add(corner[0], [number, corner[1], corner[2]], fresh) {
                Ok(vertex) => vertex,
                Err(fresh) => {
                    self.vertices.push(corner);
                    fresh
                }
            };
            // A polyline of n corners is n - 1 pairs.
            if self.shape == Shape::Line && self.indices.len() - first >= 2 {
                self.indices.push(self.indices[self.indices.len() - 1]);
            }
            self.indices.push(vertex);
        }
        if self.shape == Shape::Face {
            self.sizes.push(own.len() as u32);
        }
    }
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
    mut part: Group,
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
fn in_file_order(part: &mut Group) {
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
