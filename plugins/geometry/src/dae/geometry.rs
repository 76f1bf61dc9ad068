//! Meshes: corners with an index for each input become vertices.

use std::collections::HashMap;
use std::rc::Rc;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::scene::{Primitive, Topology};
use mediary_core::{Context, Error, Location, Result, Severity};

use super::document::Element;
use super::values::{self, Arrays, Input, NOWHERE, Values, input, inputs};
use crate::vertex::{Corners, NONE};

/// Sets of texture coordinates, and of colours, that a primitive may have.
const SETS: usize = 8;

/// Elements of a mesh that hold corners.
const KINDS: &[&str] = &["triangles", "polylist", "polygons", "tristrips", "trifans", "lines", "linestrips"];

/// A geometry, ready to be placed with materials. Its bulk is shared.
#[derive(Clone)]
pub(super) struct Shape<'d> {
    pub(super) name: &'d str,
    pub(super) parts: Vec<Part<'d>>,
    /// Weights of the morph targets.
    pub(super) weights: Vec<f32>,
    /// The `skin` that its joints and weights are of.
    pub(super) skin: Option<Element<'d>>,
}

/// One element of a mesh.
#[derive(Clone)]
pub(super) struct Part<'d> {
    /// What its material is called here.
    pub(super) symbol: &'d str,
    /// Numbers of its sets of texture coordinates.
    pub(super) sets: Vec<u32>,
    pub(super) primitive: Primitive,
    /// Which position and which normal each vertex has.
    pub(super) origins: Rc<[[u32; 2]]>,
}

/// Positions and normals of a mesh, for morph targets.
pub(super) struct Points {
    pub(super) positions: Values,
    pub(super) normals: Option<Values>,
}

/// The mesh of a geometry; `None` with a finding for those that are no meshes.
fn mesh_of<'d>(geometry: Element<'d>, cx: &Context) -> Option<Element<'d>> {
    let mesh = geometry.child("mesh").or_else(|| geometry.child("convex_mesh"));
    if mesh.is_none_or(|mesh| mesh.attribute("convex_hull_of").is_some()) {
        let found =
            geometry.children().find(|child| !matches!(child.name(), "asset" | "extra")).map_or("", Element::name);
        let message = format!("a geometry of kind {found:?} is left out: meshes are read");
        cx.warn_at("geometry-kind", message, geometry.location());
        return None;
    }
    mesh
}

/// Inputs of the vertices of a mesh: their positions first.
fn vertex_inputs<'d>(mesh: Element<'d>, vertices: Element<'d>) -> Result<(Input<'d>, Vec<Input<'d>>)> {
    let all = inputs(vertices)?;
    match input(&all, "POSITION") {
        Some(position) => Ok((position, all)),
        None => Err(mesh.wrong("vertices with an input POSITION", "")),
    }
}

/// The positions of a morph target, and its normals.
pub(super) fn points(geometry: Element<'_>, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Option<Points>> {
    let Some(mesh) = mesh_of(geometry, cx) else { return Ok(None) };
    let Some(vertices) = mesh.child("vertices") else { return Err(mesh.wrong("vertices", "")) };
    let (position, mut all) = vertex_inputs(mesh, vertices)?;
    if let Some(first) = mesh.children().find(|child| KINDS.contains(&child.name())) {
        all.extend(inputs(first)?);
    }
    let normals = input(&all, "NORMAL").map(|normal| arrays.values(normal.source)).transpose()?;
    Ok(Some(Points { positions: arrays.values(position.source)?, normals }))
}

/// Reads a geometry; `None` for one that is no mesh.
pub(super) fn shape<'d>(geometry: Element<'d>, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Option<Shape<'d>>> {
    let Some(mesh) = mesh_of(geometry, cx) else { return Ok(None) };
    let mut welder = Welder::default();
    let mut parts = Vec::new();
    for element in mesh.children().filter(|child| KINDS.contains(&child.name())) {
        cx.checkpoint()?;
        parts.extend(part(mesh, element, parts.len() as u32, &mut welder, arrays, cx)?);
    }
    let name = geometry.attribute("name").or_else(|| geometry.attribute("id")).unwrap_or_default();
    Ok(Some(Shape { name, parts, weights: Vec::new(), skin: None }))
}

/// Finds corners of one mesh again. The first number is the primitive's.
#[derive(Default)]
struct Welder {
    corners: Corners,
    positions: u32,
    /// Pairs of further indices as one number.
    pairs: HashMap<[u32; 2], u32>,
}

impl Welder {
    /// Makes room for so many positions.
    fn grow(&mut self, positions: u32, cx: &Context) -> Result<()> {
        if positions > self.positions {
            cx.budget().take(u64::from(positions) * 4)?;
            self.corners.grow(positions as usize);
            self.positions = positions;
        }
        Ok(())
    }

    /// The vertex of a corner; `Err` when it is new. `indices` are those of the position and of what else there is.
    fn find(&mut self, primitive: u32, indices: &[u32], fresh: u32) -> std::result::Result<u32, u32> {
        let (&position, rest) = indices.split_first().unwrap_or((&0, &[]));
        let (first, rest) = rest.split_first().map_or((NONE, rest), |(first, rest)| (*first, rest));
        let second = rest.iter().copied().reduce(|a, b| {
            let next = self.pairs.len() as u32;
            *self.pairs.entry([a, b]).or_insert(next)
        });
        self.corners.find_or_add(position, [primitive, first, second.unwrap_or(NONE)], fresh)
    }
}

/// What vertices of a primitive take from an input.
struct Attribute {
    values: Values,
    /// Which of the indices that are used.
    index: usize,
}

/// Inputs of a primitive element.
struct Layout {
    /// Indices a corner has.
    stride: usize,
    /// Those of them that are used; first that of the position.
    used: Vec<usize>,
    /// The number of rows that each of these counts.
    counts: Vec<u32>,
    positions: Values,
    normals: Option<Attribute>,
    texcoords: Vec<(u32, Attribute)>,
    colors: Vec<Attribute>,
}

fn layout<'d>(mesh: Element<'d>, element: Element<'d>, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Layout> {
    let own = inputs(element)?;
    let stride = own.iter().map(|input| input.offset + 1).max().unwrap_or(1);
    let (vertex, mut all) = match (input(&own, "VERTEX"), input(&own, "POSITION")) {
        (Some(vertex), _) if vertex.source.name() == "vertices" => {
            let (position, rest) = vertex_inputs(mesh, vertex.source)?;
            let offset = vertex.offset;
            let placed = |input: Input<'d>| Input { offset, ..input };
            (placed(position), rest.into_iter().map(placed).collect())
        }
        // Not as the specification has it, but clear enough.
        (None, Some(position)) | (Some(position), _) => (position, Vec::new()),
        (None, None) => return Err(element.wrong("an input VERTEX", "")),
    };
    // What the primitive says itself is before what its vertices say.
    all.splice(0..0, own.iter().copied());
    let positions = arrays.values(vertex.source)?;
    let mut layout = Layout {
        stride,
        used: vec![vertex.offset],
        counts: vec![positions.count],
        positions,
        normals: None,
        texcoords: Vec::new(),
        colors: Vec::new(),
    };
    let mut left = 0;
    for input in all {
        match input.semantic {
            "NORMAL" if layout.normals.is_none() => layout.normals = Some(layout.attribute(input, arrays)?),
            "TEXCOORD" | "UV" if layout.texcoords.len() < SETS => {
                let attribute = layout.attribute(input, arrays)?;
                layout.texcoords.push((input.set.unwrap_or(0), attribute));
            }
            "COLOR" if layout.colors.len() < SETS => {
                let attribute = layout.attribute(input, arrays)?;
                layout.colors.push(attribute);
            }
            "VERTEX" | "POSITION" => {}
            _ => left += 1,
        }
    }
    let message = "inputs that have no place in the record: tangents, further sets and the like";
    cx.report_times(Severity::Info, "inputs", message, Some(element.location()), left);
    // Materials refer to sets by number, and take them in this order.
    layout.texcoords.sort_by_key(|(set, _)| *set);
    Ok(layout)
}

impl Layout {
    fn attribute(&mut self, input: Input<'_>, arrays: &mut Arrays<'_>) -> Result<Attribute> {
        let values = arrays.values(input.source)?;
        let index = match self.used.iter().position(|&used| used == input.offset) {
            Some(known) => known,
            None => {
                self.used.push(input.offset);
                self.counts.push(NOWHERE);
                self.used.len() - 1
            }
        };
        self.counts[index] = self.counts[index].min(values.count);
        Ok(Attribute { values, index })
    }
}

/// A primitive while its corners are read.
struct Builder<'a> {
    layout: &'a Layout,
    welder: &'a mut Welder,
    number: u32,
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    texcoords: Vec<Vec<[f32; 2]>>,
    colors: Vec<Vec<[f32; 4]>>,
    origins: Vec<[u32; 2]>,
    indices: Vec<u32>,
    sizes: Vec<u32>,
    /// Faces that were left out: short, and with an index that is nowhere.
    short: u64,
    element: Element<'a>,
    cx: &'a Context,
    scratch: Vec<u32>,
}

impl Builder<'_> {
    /// The vertex of a corner.
    fn vertex(&mut self, corner: &[u32]) -> Result<u32> {
        let layout = self.layout;
        self.scratch.clear();
        self.scratch.extend(layout.used.iter().map(|&at| corner[at]));
        for (&index, &count) in self.scratch.iter().zip(&layout.counts) {
            if index >= count {
                let found = if index == NOWHERE { "a negative one".to_owned() } else { index.to_string() };
                return Err(self.element.wrong(&format!("an index below {count}"), &found));
            }
        }
        let fresh = self.positions.len() as u32;
        if let Ok(known) = self.welder.find(self.number, &self.scratch, fresh) {
            return Ok(known);
        }
        let position = self.scratch[0];
        self.positions.push(layout.positions.row(position, [0.0; 3]));
        let mut normal_index = NONE;
        if let Some(normals) = &layout.normals {
            normal_index = self.scratch[normals.index];
            self.normals.push(normals.values.row(normal_index, [0.0; 3]));
        }
        for (list, (_, set)) in self.texcoords.iter_mut().zip(&layout.texcoords) {
            let [u, v] = set.values.row(self.scratch[set.index], [0.0; 2]);
            // v runs upwards in the file, downwards here.
            list.push([u, 1.0 - v]);
        }
        for (list, set) in self.colors.iter_mut().zip(&layout.colors) {
            let [r, g, b, a] = set.values.row(self.scratch[set.index], [0.0, 0.0, 0.0, 1.0]);
            list.push([linear(r), linear(g), linear(b), a]);
        }
        self.origins.push([position, normal_index]);
        Ok(fresh)
    }

    /// The corners of a list of indices as vertices; those of a face that is broken are left out in lenient mode.
    fn corners(&mut self, indices: &[u32], into: &mut Vec<u32>) -> Result<bool> {
        into.clear();
        for corner in indices.chunks_exact(self.layout.stride) {
            match self.vertex(corner) {
                Ok(vertex) => into.push(vertex),
                Err(error) => {
                    self.cx.unless_lenient("index", error)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Faces of this many corners each.
    fn faces(&mut self, indices: &[u32], sizes: impl Iterator<Item = usize>) -> Result<()> {
        let mut at = 0_usize;
        let mut corners = Vec::new();
        for (count, size) in sizes.enumerate() {
            let end = size.checked_mul(self.layout.stride).and_then(|length| at.checked_add(length));
            let Some(face) = end.and_then(|end| indices.get(at..end)) else {
                let error = self.element.wrong(&format!("indices of {size} corners"), "the end of the list");
                return self.cx.unless_lenient("short-list", error);
            };
            at += face.len();
            if size < 3 {
                self.short += 1;
            } else if self.corners(face, &mut corners)? {
                self.indices.extend_from_slice(&corners);
                self.sizes.push(size as u32);
            }
            if count.is_multiple_of(1 << 12) {
                self.cx.checkpoint()?;
            }
        }
        if at < indices.len() {
            let message = format!("{} indices are left over", indices.len() - at);
            self.cx.tolerate("left-over", message, self.element.location())?;
        }
        Ok(())
    }

    /// A strip or a fan: `face` gives the corners of the triangle or the line that ends at a corner.
    fn chain<const N: usize>(&mut self, indices: &[u32], face: impl Fn(usize) -> [usize; N]) -> Result<()> {
        let mut corners = Vec::new();
        if !self.corners(indices, &mut corners)? {
            return Ok(());
        }
        if corners.len() < N {
            self.short += 1;
        }
        for end in N - 1..corners.len() {
            self.indices.extend(face(end).map(|corner| corners[corner]));
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
fn linear(value: f32) -> f32 {
    srgb_to_linear(value.into()) as f32
}

/// Reads one primitive element; `None` for one without corners.
fn part<'d>(
    mesh: Element<'d>,
    element: Element<'d>,
    number: u32,
    welder: &mut Welder,
    arrays: &mut Arrays<'_>,
    cx: &Context,
) -> Result<Option<Part<'d>>> {
    if !element.children().any(|child| matches!(child.name(), "p" | "ph")) {
        return Ok(None);
    }
    let layout = layout(mesh, element, arrays, cx)?;
    welder.grow(layout.positions.count, cx)?;
    let mut builder = Builder {
        welder,
        number,
        positions: Vec::new(),
        normals: Vec::new(),
        texcoords: vec![Vec::new(); layout.texcoords.len()],
        colors: vec![Vec::new(); layout.colors.len()],
        layout: &layout,
        origins: Vec::new(),
        indices: Vec::new(),
        sizes: Vec::new(),
        short: 0,
        element,
        cx,
        scratch: Vec::new(),
    };
    // What a corner becomes in memory, its entry in the welder included.
    let bytes = 64 + 8 * layout.texcoords.len() as u64 + 16 * layout.colors.len() as u64;
    let read = |element: Element<'_>| -> Result<Vec<u32>> {
        let indices = values::integers(element, cx)?;
        let corners = (indices.len() / layout.stride) as u64;
        cx.budget().take(corners * bytes)?;
        Ok(indices)
    };
    let mut topology = Topology::Triangles;
    let mut holes = 0;
    match element.name() {
        "polylist" => {
            let sizes = element.child("vcount").map_or(Ok(Vec::new()), |vcount| values::integers(vcount, cx))?;
            for p in element.all("p") {
                builder.faces(&read(p)?, sizes.iter().map(|&size| size as usize))?;
            }
        }
        "polygons" => {
            for child in element.children() {
                let outline = match child.name() {
                    "p" => Some(child),
                    "ph" => {
                        holes += child.all("h").count() as u64;
                        child.child("p")
                    }
                    _ => None,
                };
                if let Some(outline) = outline {
                    let indices = read(outline)?;
                    builder.faces(&indices, std::iter::once(indices.len() / layout.stride))?;
                }
            }
        }
        "triangles" => {
            for p in element.all("p") {
                let indices = read(p)?;
                builder.faces(&indices, std::iter::repeat_n(3, indices.len() / layout.stride / 3))?;
            }
        }
        "tristrips" => {
            let face =
                |end: usize| if end.is_multiple_of(2) { [end - 2, end - 1, end] } else { [end - 1, end - 2, end] };
            element.all("p").try_for_each(|p| builder.chain(&read(p)?, face))?;
        }
        "trifans" => {
            element.all("p").try_for_each(|p| builder.chain(&read(p)?, |end| [0, end - 1, end]))?;
        }
        "linestrips" => {
            topology = Topology::Lines;
            element.all("p").try_for_each(|p| builder.chain(&read(p)?, |end| [end - 1, end]))?;
        }
        _ => {
            topology = Topology::Lines;
            for p in element.all("p") {
                let mut corners = Vec::new();
                let indices = read(p)?;
                let whole = indices.len() / layout.stride / 2 * 2 * layout.stride;
                if builder.corners(&indices[..whole], &mut corners)? {
                    builder.indices.extend_from_slice(&corners);
                }
            }
        }
    }
    let report = |severity, code: &str, message: &str, count| {
        cx.report_times(severity, code, message, Some(element.location()), count);
    };
    report(Severity::Warning, "short-face", "faces of fewer than 3 corners are left out", builder.short);
    report(Severity::Warning, "polygon-holes", "holes of polygons are filled: the outline is kept", holes);
    let broken = builder.positions.iter().filter(|it| !it.iter().all(|value| value.is_finite())).count() as u64;
    report(Severity::Warning, "non-finite", "vertices have a coordinate that is not finite", broken);
    if builder.sizes.iter().any(|&size| size != 3) {
        topology = Topology::Polygons;
    }
    let Builder { positions, normals, texcoords, colors, origins, indices, sizes, .. } = builder;
    let mut primitive = Primitive {
        topology,
        positions: positions.into(),
        normals: normals.into(),
        texcoords: texcoords.into_iter().map(Into::into).collect(),
        colors: colors.into_iter().map(Into::into).collect(),
        indices: Some(indices.into()),
        face_sizes: if topology == Topology::Polygons { sizes.into() } else { Vec::new().into() },
        ..Primitive::default()
    };
    primitive.share();
    let symbol = element.attribute("material").unwrap_or_default();
    let sets = layout.texcoords.iter().map(|(set, _)| *set).collect();
    Ok(Some(Part { symbol, sets, primitive, origins: origins.into() }))
}

/// An error of a part of the file that lenient mode leaves out.
pub(super) fn unless_lenient<T>(result: Result<Option<T>>, code: &str, cx: &Context) -> Result<Option<T>> {
    match result {
        Err(error) if is_fatal(&error) => Err(error),
        Err(error) => cx.unless_lenient(code, error).map(|()| None),
        good => good,
    }
}

/// What the scene can do without: left out with a finding, an error in strict mode.
pub(super) fn or_less<T>(result: Result<T>, code: &str, place: Location, cx: &Context) -> Result<Option<T>> {
    match result {
        Err(error) if is_fatal(&error) => Err(error),
        Err(error) => {
            let place = error.location().cloned().unwrap_or(place);
            cx.tolerate(code, error.message().to_owned(), place).map(|()| None)
        }
        Ok(value) => Ok(Some(value)),
    }
}

fn is_fatal(error: &Error) -> bool {
    use mediary_core::ErrorKind::{Cancelled, Io, Limit};
    matches!(error.kind(), Cancelled | Io | Limit)
}
