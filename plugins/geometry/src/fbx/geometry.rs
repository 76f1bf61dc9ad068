//! Meshes: corners become vertices, polygons primitives by material; skins and morph targets of their vertices.

use std::collections::BTreeMap;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::Buffer;
use mediary_core::record::scene::{MorphTarget, Primitive, Topology};
use mediary_core::{Context, Error, Location, Result, Severity};
use ufbx::{BlendShape, Mesh, SkinDeformer, Vec3, VertexVec2, VertexVec3, VertexVec4};

use crate::vertex::NONE;

/// A chain of vertices at one position longer than this is not searched to its end: files can be made of such.
const LONGEST_CHAIN: usize = 32;
/// Influences on a vertex that are kept: two sets.
const INFLUENCES: usize = 8;
/// Sets of texture coordinates, and of colours.
const SETS: usize = 8;
/// Faces between two checkpoints.
const CHECK_EVERY: usize = 1 << 12;

/// A mesh without its materials.
pub(super) struct Shape {
    pub(super) parts: Vec<Part>,
    /// Names of the sets of texture coordinates.
    pub(super) sets: Vec<String>,
    /// Weights of the morph targets at rest.
    pub(super) weights: Vec<f32>,
}

/// The faces of one material.
pub(super) struct Part {
    /// Which of the materials of the mesh.
    pub(super) slot: u32,
    pub(super) primitive: Primitive,
    /// The point of the mesh of each vertex.
    origins: Vec<u32>,
}

/// Reads a mesh. `joints` are the places of clusters in the joints of the record's skin.
pub(super) fn shape(mesh: &Mesh, skin: Option<(&SkinDeformer, &[Option<u16>])>, cx: &Context) -> Result<Shape> {
    let name = mesh.element.name.to_string();
    let place = || Location::element(name.clone());
    // By material and by corners: points, lines, polygons.
    let mut groups: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    cx.limits().check("elements", mesh.num_indices as u64)?;
    cx.budget().take(mesh.num_faces as u64 * 8)?;
    let (mut empty, mut holes) = (0, 0);
    for (index, face) in mesh.faces.iter().enumerate() {
        let slot = mesh.face_material.get(index).copied().unwrap_or(0);
        empty += u64::from(face.num_indices == 0);
        holes += u64::from(mesh.face_hole.get(index).copied().unwrap_or(false));
        if face.num_indices > 0 {
            groups.entry((slot, face.num_indices.min(3))).or_default().push(index as u32);
        }
    }
    let report = |severity, code: &str, message: &str, count| {
        cx.report_times(severity, code, message, Some(place()), count);
    };
    report(Severity::Warning, "short-face", "faces without corners are left out", empty);
    report(Severity::Warning, "polygon-holes", "faces that are holes are kept as faces", holes);
    report(Severity::Info, "subdivision", "a surface that is to be subdivided: the cage is kept", {
        u64::from(mesh.subdivision_display_mode == ufbx::SubdivisionDisplayMode::Smooth)
    });
    let sets = mesh.uv_sets.len().saturating_sub(SETS) + mesh.color_sets.len().saturating_sub(SETS);
    report(Severity::Warning, "layers", "sets of texture coordinates or colours beyond the eighth", sets as u64);
    let mut layers = Layers::new(mesh, cx)?;
    let mut parts = Vec::new();
    for (number, ((slot, corners), faces)) in groups.into_iter().enumerate() {
        parts.push(layers.part(slot, corners, &faces, number as u32)?);
    }
    let nowhere = layers.nowhere;
    if nowhere > 0 {
        let message =
            format!("{nowhere} corners have a normal, a colour and the like that is nowhere: 0 stands for it");
        cx.tolerate("index", message, place())?;
    }
    let broken = |part: &Part| part.primitive.positions.iter().filter(|it| !it.iter().all(|v| v.is_finite())).count();
    let broken = parts.iter().map(broken).sum::<usize>() as u64;
    report(Severity::Warning, "non-finite", "vertices have a coordinate that is not finite", broken);
    if let Some((skin, joints)) = skin {
        bind(&mut parts, skin, joints, &place, cx)?;
    }
    let weights = morph(&mut parts, mesh, cx)?;
    parts.iter_mut().for_each(|part| part.primitive.share());
    let sets = mesh.uv_sets.iter().take(SETS).map(|set| set.name.to_string()).collect();
    Ok(Shape { parts, sets, weights })
}

/// The layers of a mesh, and the vertices of the primitive that is being made.
struct Layers<'m> {
    mesh: &'m Mesh,
    normals: Option<&'m VertexVec3>,
    tangents: Option<(&'m VertexVec3, &'m VertexVec3)>,
    uvs: Vec<&'m VertexVec2>,
    colors: Vec<&'m VertexVec4>,
    /// Numbers of a vertex beside its position.
    width: usize,
    /// By point of the mesh: the primitive, and the last of its vertices there.
    heads: Vec<(u32, u32)>,
    nowhere: u64,
    cx: &'m Context,
}

/// Vertices of a primitive.
#[derive(Default)]
struct Vertices {
    origins: Vec<u32>,
    values: Vec<f32>,
    /// The vertex before at the same point.
    before: Vec<u32>,
}

impl<'m> Layers<'m> {
    fn new(mesh: &'m Mesh, cx: &'m Context) -> Result<Self> {
        let normals = mesh.vertex_normal.exists.then_some(&mesh.vertex_normal);
        let tangents = (normals.is_some() && mesh.vertex_tangent.exists && mesh.vertex_bitangent.exists)
            .then_some((&mesh.vertex_tangent, &mesh.vertex_bitangent));
        let uvs: Vec<_> = mesh.uv_sets.iter().take(SETS).map(|set| &set.vertex_uv).collect();
        let colors: Vec<_> = mesh.color_sets.iter().take(SETS).map(|set| &set.vertex_color).collect();
        let width =
            3 * usize::from(normals.is_some()) + 4 * usize::from(tangents.is_some()) + 2 * uvs.len() + 4 * colors.len();
        cx.budget().take(mesh.num_vertices as u64 * 8)?;
        let heads = vec![(NONE, NONE); mesh.num_vertices];
        Ok(Self { mesh, normals, tangents, uvs, colors, width, heads, nowhere: 0, cx })
    }

    /// The numbers of a corner beside its position.
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn corner(&mut self, at: usize, into: &mut Vec<f32>) {
        into.clear();
        let mut nowhere = false;
        let mut three = |layer: &VertexVec3| -> [f64; 3] {
            let value = layer.indices.get(at).and_then(|&index| layer.values.get(index as usize));
            nowhere |= value.is_none();
            value.map_or([0.0; 3], |value| [value.x, value.y, value.z])
        };
        let normal = self.normals.map(&mut three);
        let tangent = self.tangents.map(|(tangents, bitangents)| (three(tangents), three(bitangents)));
        if let Some(normal) = normal {
            into.extend(normal.map(|value| value as f32));
        }
        if let (Some(n), Some((t, b))) = (normal, tangent) {
            let cross = [n[1] * t[2] - n[2] * t[1], n[2] * t[0] - n[0] * t[2], n[0] * t[1] - n[1] * t[0]];
            let side: f64 = (0..3).map(|axis| cross[axis] * b[axis]).sum();
            into.extend(t.map(|value| value as f32));
            into.push(if side < 0.0 { -1.0 } else { 1.0 });
        }
        for layer in &self.uvs {
            let value = layer.indices.get(at).and_then(|&index| layer.values.get(index as usize));
            nowhere |= value.is_none();
            // v runs upwards in the file, downwards here.
            into.extend(value.map_or([0.0; 2], |value| [value.x as f32, (1.0 - value.y) as f32]));
        }
        for layer in &self.colors {
            let value = layer.indices.get(at).and_then(|&index| layer.values.get(index as usize));
            nowhere |= value.is_none();
            let linear = |value: f64| srgb_to_linear(value) as f32;
            into.extend(value.map_or([0.0, 0.0, 0.0, 1.0], |value| {
                [linear(value.x), linear(value.y), linear(value.z), value.w as f32]
            }));
        }
        // Zeros of both signs are one.
        into.iter_mut().for_each(|value| *value += 0.0);
        self.nowhere += u64::from(nowhere);
    }

    /// The vertex of a corner.
    fn vertex(&mut self, at: usize, number: u32, vertices: &mut Vertices, scratch: &mut Vec<f32>) -> Result<u32> {
        let index = self.mesh.vertex_indices.get(at).copied().unwrap_or(NONE);
        let points = self.mesh.vertices.len().min(self.heads.len());
        if index as usize >= points {
            let found = if index == NONE { "one that is nowhere".to_owned() } else { index.to_string() };
            return Err(Error::malformed(format!("expected the index of one of {points} points, found {found}"))
                .at_element(self.mesh.element.name.to_string()));
        }
        self.corner(at, scratch);
        let (owner, head) = self.heads[index as usize];
        let head = if owner == number { head } else { NONE };
        let mut known = head;
        for _ in 0..LONGEST_CHAIN {
            let Some(&before) = vertices.before.get(known as usize) else { break };
            let own = &vertices.values[known as usize * self.width..][..self.width];
            if own.iter().zip(&*scratch).all(|(a, b)| a.to_bits() == b.to_bits()) {
                return Ok(known);
            }
            known = before;
        }
        let fresh = vertices.origins.len() as u32;
        vertices.origins.push(index);
        vertices.values.extend_from_slice(scratch);
        vertices.before.push(head);
        self.heads[index as usize] = (number, fresh);
        Ok(fresh)
    }

    /// The primitive of some faces that all have one corner, two or more.
    fn part(&mut self, slot: u32, corners: u32, faces: &[u32], number: u32) -> Result<Part> {
        let mesh = self.mesh;
        let face = |index: u32| mesh.faces[index as usize];
        let count: u64 = faces.iter().map(|&index| u64::from(face(index).num_indices)).sum();
        // Twice what a vertex is: once in a row, once in its columns.
        self.cx.budget().take(count.saturating_mul(4 * 2 * (self.width as u64 + 6)))?;
        let mut vertices = Vertices::default();
        let (mut indices, mut sizes) = (Vec::with_capacity(count as usize), Vec::new());
        let mut scratch = Vec::new();
        for (done, &index) in faces.iter().enumerate() {
            if done.is_multiple_of(CHECK_EVERY) {
                self.cx.checkpoint()?;
            }
            let face = face(index);
            for corner in 0..face.num_indices as usize {
                indices.push(self.vertex(face.index_begin as usize + corner, number, &mut vertices, &mut scratch)?);
            }
            if corners == 3 {
                sizes.push(face.num_indices);
            }
        }
        let mut primitive = self.columns(&vertices);
        primitive.topology = match corners {
            1 => Topology::Points,
            2 => Topology::Lines,
            _ if sizes.iter().all(|&size| size == 3) => Topology::Triangles,
            _ => Topology::Polygons,
        };
        primitive.indices = Some(indices.into());
        if primitive.topology == Topology::Polygons {
            primitive.face_sizes = sizes.into();
        }
        Ok(Part { slot, primitive, origins: vertices.origins })
    }

    /// Rows of numbers as the arrays of a primitive.
    fn columns(&self, vertices: &Vertices) -> Primitive {
        let width = self.width;
        let mut at = 0;
        let position = |&index: &u32| single(&self.mesh.vertices[index as usize]);
        let positions: Buffer<_> = vertices.origins.iter().map(position).collect();
        let mut primitive = Primitive { positions, ..Primitive::default() };
        if self.normals.is_some() {
            primitive.normals = column(&vertices.values, width, &mut at);
        }
        if self.tangents.is_some() {
            primitive.tangents = column(&vertices.values, width, &mut at);
        }
        primitive.texcoords = self.uvs.iter().map(|_| column(&vertices.values, width, &mut at)).collect();
        primitive.colors = self.colors.iter().map(|_| column(&vertices.values, width, &mut at)).collect();
        primitive
    }
}

/// `N` numbers of each row, from `at` on, which moves on.
fn column<const N: usize>(values: &[f32], width: usize, at: &mut usize) -> Buffer<[f32; N]> {
    let first = *at;
    *at += N;
    values.chunks_exact(width).map(|row| std::array::from_fn(|member| row[first + member])).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
fn single(value: &Vec3) -> [f32; 3] {
    [value.x as f32, value.y as f32, value.z as f32]
}

/// Joints and weights of the vertices.
#[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
fn bind(
    parts: &mut [Part],
    skin: &SkinDeformer,
    joints: &[Option<u16>],
    place: &dyn Fn() -> Location,
    cx: &Context,
) -> Result<()> {
    let sets = if skin.max_weights_per_vertex > 4 { 2 } else { 1 };
    let mut dropped = 0;
    for part in parts {
        cx.checkpoint()?;
        cx.budget().take(part.origins.len() as u64 * 24 * sets as u64)?;
        let mut rows = vec![[(0_u16, 0_f32); INFLUENCES]; part.origins.len()];
        for (row, &origin) in rows.iter_mut().zip(&part.origins) {
            let Some(vertex) = skin.vertices.get(origin as usize) else { continue };
            let first = vertex.weight_begin as usize;
            let all = skin.weights.get(first..first.saturating_add(vertex.num_weights as usize)).unwrap_or_default();
            // The library has sorted them.
            let known = all.iter().filter_map(|pair| {
                let joint = joints.get(pair.cluster_index as usize).copied().flatten()?;
                (pair.weight > 0.0 && pair.weight.is_finite()).then_some((joint, pair.weight))
            });
            let own: Vec<_> = known.take(INFLUENCES).collect();
            dropped += all.len().saturating_sub(INFLUENCES) as u64;
            let sum: f64 = own.iter().map(|(_, weight)| weight).sum();
            for (place, (joint, weight)) in row.iter_mut().zip(own) {
                *place = (joint, (weight / sum) as f32);
            }
        }
        for set in 0..sets {
            let four = |row: &[(u16, f32); INFLUENCES]| row.as_chunks::<4>().0[set];
            part.primitive.joints.push(rows.iter().map(|row| four(row).map(|(joint, _)| joint)).collect());
            part.primitive.weights.push(rows.iter().map(|row| four(row).map(|(_, weight)| weight)).collect());
        }
    }
    let message = "joints of a vertex beyond the eight strongest are left out";
    cx.report_times(Severity::Warning, "influences", message, Some(place()), dropped);
    Ok(())
}

/// Morph targets, one for each shape of each channel; their weights at rest.
#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
fn morph(parts: &mut [Part], mesh: &Mesh, cx: &Context) -> Result<Vec<f32>> {
    let mut weights = Vec::new();
    for channel in (&mesh.blend_deformers).into_iter().flat_map(|deformer| &deformer.channels) {
        for key in &channel.keyframes {
            cx.checkpoint()?;
            let last = channel.keyframes.len() == 1;
            let name =
                if last || key.shape.element.name.is_empty() { &channel.element.name } else { &key.shape.element.name };
            target(parts, &key.shape, name, mesh.vertices.len(), cx)?;
            weights.push(key.effective_weight as f32);
        }
    }
    Ok(weights)
}

/// Adds one morph target.
fn target(parts: &mut [Part], shape: &BlendShape, name: &str, points: usize, cx: &Context) -> Result<()> {
    let turned = shape.normal_offsets.len() == shape.offset_vertices.len()
        && shape.normal_offsets.iter().any(|offset| [offset.x, offset.y, offset.z] != [0.0; 3]);
    // Offsets of the points, then of the vertices.
    cx.budget().take(points as u64 * 24)?;
    let spread = |offsets: &[Vec3]| {
        let mut all = vec![[0_f32; 3]; points];
        for (&point, offset) in shape.offset_vertices.iter().zip(offsets) {
            if let Some(place) = all.get_mut(point as usize) {
                *place = single(offset);
            }
        }
        all
    };
    let positions = spread(&shape.position_offsets);
    let normals = turned.then(|| spread(&shape.normal_offsets));
    for part in parts {
        cx.budget().take(part.origins.len() as u64 * 24)?;
        let gather = |all: &[[f32; 3]]| part.origins.iter().map(|&point| all[point as usize]).collect::<Buffer<_>>();
        let mut target = MorphTarget { name: name.to_owned(), positions: gather(&positions), ..MorphTarget::default() };
        if let Some(normals) = normals.as_deref().filter(|_| !part.primitive.normals.is_empty()) {
            target.normals = gather(normals);
        }
        part.primitive.targets.push(target);
    }
    cx.budget().give_back(points as u64 * 24);
    Ok(())
}

/// What a channel of morph targets at this weight gives to each of its shapes, whose places on the channel are `stops`,
/// rising: between two stops both, beyond the last it goes on.
pub(super) fn shares(stops: &[f64], weight: f64, into: &mut Vec<f64>) {
    into.clear();
    into.resize(stops.len(), 0.0);
    // The shape at rest has its stop at 0.
    let first_positive = stops.partition_point(|&stop| stop < 0.0);
    let (mut previous, mut next): (Option<usize>, Option<usize>) = (None, None);
    let stop = |at: Option<usize>| at.map_or(0.0, |at| stops[at]);
    if weight > 0.0 {
        for (at, &stop) in stops.iter().enumerate().skip(first_positive) {
            (previous, next) = (next, Some(at));
            if stop > weight {
                break;
            }
        }
    } else {
        for (at, &stop) in stops.iter().enumerate().take(first_positive).rev() {
            (previous, next) = (next, Some(at));
            if stop < weight {
                break;
            }
        }
    }
    let distance = stop(next) - stop(previous);
    if distance != 0.0 {
        let share = (weight - stop(previous)) / distance;
        if let Some(previous) = previous {
            into[previous] = 1.0 - share;
        }
        if let Some(next) = next {
            into[next] = share;
        }
    }
}
