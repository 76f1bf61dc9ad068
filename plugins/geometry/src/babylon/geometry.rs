//! From the arrays of a mesh to primitives.

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::Buffer;
use mediary_core::record::scene::{Mesh, MorphTarget, Primitive};
use mediary_core::{Context, Error, Location, Result, Severity, Source};

use super::document::{self, BinaryInfo, Floats, Geometry, MorphTargetManager, Numbers, Section, SubMesh};

/// How the coordinates of the file become those of the record.
#[derive(Clone, Copy)]
pub(super) struct Handedness {
    /// -1 for left-handed files.
    pub(super) z: f64,
}

impl Handedness {
    pub(super) fn point(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        [x, y, z * self.z]
    }

    /// A quaternion: turning about x and y goes the other way in a mirror.
    pub(super) fn rotation(self, [x, y, z, w]: [f64; 4]) -> [f64; 4] {
        [x * self.z, y * self.z, z, w]
    }

    /// Rows of the file, which are multiplied from the left, are columns here.
    pub(super) fn matrix(self, mut matrix: [f64; 16]) -> [f64; 16] {
        for at in [2, 6, 8, 9, 11, 14] {
            matrix[at] *= self.z;
        }
        matrix
    }

    #[expect(clippy::cast_possible_truncation, reason = "the factor is 1 or -1")]
    fn vector(self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        [x, y, z * self.z as f32]
    }
}

/// What the whole file says about the meshes to build.
pub(super) struct Shared<'a> {
    pub(super) handedness: Handedness,
    pub(super) source: &'a Source,
    pub(super) cx: &'a Context,
}

/// What one mesh is made with.
pub(super) struct Parts<'a> {
    /// Material of each sub-mesh by its `materialIndex`; one for all when the material is a plain one.
    pub(super) materials: Vec<Option<u32>>,
    /// Whether colours of vertices are sRGB.
    pub(super) gamma: bool,
    pub(super) morphs: Option<&'a MorphTargetManager>,
    pub(super) bones: Option<usize>,
}

impl Shared<'_> {
    /// The arrays of a file beside the input.
    pub(super) fn load(&self, name: &str, info: Option<&BinaryInfo>) -> Result<Geometry> {
        let file = self.source.sibling(name, self.cx)?;
        let bytes = file.bytes(self.cx)?;
        let Some(info) = info else { return document::parse(&bytes, name, self.cx) };
        let words = |section: &Option<Section>, what: &str| -> Result<Vec<[u8; 4]>> {
            let Some(section) = section else { return Ok(Vec::new()) };
            let end = section.count.checked_mul(4).and_then(|length| length.checked_add(section.offset));
            let range = end
                .filter(|&end| end <= bytes.len() as u64)
                .and_then(|end| bytes.get(usize::try_from(section.offset).ok()?..usize::try_from(end).ok()?));
            let range = range.ok_or_else(|| {
                let (count, offset) = (section.count, section.offset);
                let message = format!("{count} {what} from byte {offset} exceed the {} bytes of {name:?}", bytes.len());
                Error::malformed(message)
            })?;
            self.cx.budget().take(range.len() as u64 * 2)?;
            Ok(range.as_chunks::<4>().0.to_vec())
        };
        let floats = |section: &Option<Section>, what: &str| -> Result<Floats> {
            Ok(Floats(words(section, what)?.into_iter().map(f32::from_le_bytes).collect()))
        };
        let integers = |section: &Option<Section>, what: &str| -> Result<Vec<u32>> {
            Ok(words(section, what)?.into_iter().map(u32::from_le_bytes).collect())
        };
        let joints = integers(&info.matrices_indices_attr_desc, "joint indices")?;
        // Material, first vertex, vertices, first index, indices.
        let sub_meshes = integers(&info.sub_meshes_attr_desc, "sub-mesh numbers")?;
        let sub_meshes = sub_meshes.as_chunks::<5>().0.iter().map(|&[material, _, _, start, count]| SubMesh {
            material_index: material.into(),
            index_start: start.into(),
            index_count: count.into(),
        });
        // Babylon.js itself spells the tangents wrong.
        let tangents = info.tangents_attr_desc.as_ref().or(info.tangets_attr_desc.as_ref());
        let tangents = tangents.map(|section| Section { count: section.count, offset: section.offset });
        Ok(Geometry {
            positions: floats(&info.positions_attr_desc, "positions")?,
            normals: floats(&info.normals_attr_desc, "normals")?,
            tangents: floats(&tangents, "tangents")?,
            uvs: floats(&info.uvs_attr_desc, "texture coordinates")?,
            uvs2: floats(&info.uvs2_attr_desc, "texture coordinates")?,
            uvs3: floats(&info.uvs3_attr_desc, "texture coordinates")?,
            uvs4: floats(&info.uvs4_attr_desc, "texture coordinates")?,
            uvs5: floats(&info.uvs5_attr_desc, "texture coordinates")?,
            uvs6: floats(&info.uvs6_attr_desc, "texture coordinates")?,
            colors: floats(&info.colors_attr_desc, "colours")?,
            matrices_indices: Numbers(joints.into_iter().map(f64::from).collect()),
            matrices_weights: floats(&info.matrices_weights_attr_desc, "joint weights")?,
            indices: integers(&info.indices_attr_desc, "indices")?,
            sub_meshes: sub_meshes.collect(),
            ..Geometry::default()
        })
    }

    /// The mesh; `None` without positions. `path` names it in messages.
    pub(super) fn mesh(&self, name: &str, geometry: &Geometry, parts: &Parts<'_>, path: &str) -> Result<Option<Mesh>> {
        let cx = self.cx;
        cx.checkpoint()?;
        if geometry.positions.0.is_empty() {
            return Ok(None);
        }
        let bytes = (geometry.positions.0.len() as u64).saturating_mul(80);
        cx.budget().take(bytes.saturating_add(geometry.indices.len() as u64 * 12))?;
        let whole = self.vertices(geometry, parts, path)?;
        let vertices = whole.positions.len();
        let indices = &geometry.indices;
        if let Some(index) = indices.iter().find(|&&index| index as usize >= vertices) {
            let message = format!("index {index} is out of range: there are {vertices} vertices");
            return Err(Error::malformed(message).at_element(format!("{path}.indices")));
        }
        let mut mesh = Mesh { name: name.to_owned(), ..Mesh::default() };
        let targets = parts.morphs.map_or(&[][..], |morphs| &morphs.targets);
        mesh.weights = targets.iter().map(|target| target.influence).collect();
        let first = parts.materials.first().copied().flatten();
        if parts.materials.len() < 2 || geometry.sub_meshes.len() < 2 {
            let only = geometry.sub_meshes.first().map_or(0, |sub_mesh| sub_mesh.material_index);
            let material = usize::try_from(only).ok().and_then(|only| parts.materials.get(only)).copied().flatten();
            let material = material.or(first);
            let whole_triangles = indices.len() - indices.len() % 3;
            let indices = (!indices.is_empty()).then(|| indices[..whole_triangles].to_vec().into());
            mesh.primitives.push(Primitive { indices, material, ..whole });
            return Ok(Some(mesh));
        }
        // Sub-meshes of one material are one primitive.
        let mut groups: Vec<(Option<u32>, Vec<u32>)> = Vec::new();
        for (s, sub_mesh) in geometry.sub_meshes.iter().enumerate() {
            let end = sub_mesh.index_start.checked_add(sub_mesh.index_count);
            let corners = end
                .filter(|&end| end <= indices.len() as u64)
                .and_then(|end| indices.get(usize::try_from(sub_mesh.index_start).ok()?..usize::try_from(end).ok()?));
            let corners = corners.ok_or_else(|| {
                let (count, start) = (sub_mesh.index_count, sub_mesh.index_start);
                Error::malformed(format!("{count} indices from {start} exceed the {} of the mesh", indices.len()))
                    .at_element(format!("{path}.subMeshes[{s}]"))
            })?;
            cx.budget().take(corners.len() as u64 * 24)?;
            let material = usize::try_from(sub_mesh.material_index).ok().and_then(|m| parts.materials.get(m));
            let material = material.copied().flatten();
            let corners = &corners[..corners.len() - corners.len() % 3];
            match groups.iter_mut().find(|(known, _)| *known == material) {
                Some((_, group)) => group.extend_from_slice(corners),
                None => groups.push((material, corners.to_vec())),
            }
        }
        let names: usize = targets.iter().map(|target| target.name.len()).sum();
        for (material, corners) in groups {
            cx.budget().take(names as u64)?;
            let mut used = corners.clone();
            used.sort_unstable();
            used.dedup();
            if used.is_empty() {
                continue;
            }
            let index = |corner: &u32| used.binary_search(corner).unwrap_or_default() as u32;
            let indices = Some(corners.iter().map(index).collect());
            mesh.primitives.push(Primitive { indices, material, ..subset(&whole, &used) });
        }
        Ok(Some(mesh))
    }

    /// All vertices of a mesh, without indices.
    fn vertices(&self, geometry: &Geometry, parts: &Parts<'_>, path: &str) -> Result<Primitive> {
        let cx = self.cx;
        let handedness = self.handedness;
        let (positions, rest) = geometry.positions.0.as_chunks::<3>();
        if !rest.is_empty() {
            let message = format!("{} position values are no multiple of 3", geometry.positions.0.len());
            return Err(Error::malformed(message).at_element(format!("{path}.positions")));
        }
        let vertices = positions.len();
        let wrong = |what: &str, found: usize, width: usize| {
            let message = format!("{what}: expected {} values, found {found}; they are left out", vertices * width);
            cx.warn_at("attribute", message, Location::element(path.to_owned()));
        };
        let mut primitive = Primitive { positions: mirrored(positions, handedness), ..Primitive::default() };
        let broken = positions.iter().filter(|position| !position.iter().all(|value| value.is_finite())).count();
        let message = "vertices have a coordinate that is not finite";
        let place = Some(Location::element(path.to_owned()));
        cx.report_times(Severity::Warning, "non-finite", message, place, broken as u64);
        let array = |values: &Floats, what: &str, width: usize| {
            let fits = values.0.len() == vertices * width;
            if !fits && !values.0.is_empty() {
                wrong(what, values.0.len(), width);
            }
            fits && vertices > 0
        };
        if array(&geometry.normals, "normals", 3) {
            primitive.normals = mirrored(geometry.normals.0.as_chunks().0, handedness);
        }
        if array(&geometry.tangents, "tangents", 4) {
            let mirror = |&[x, y, z, w]: &[f32; 4]| {
                let [x, y, z] = handedness.vector([x, y, z]);
                [x, y, z, if handedness.z < 0.0 { -w } else { w }]
            };
            primitive.tangents = geometry.tangents.0.as_chunks().0.iter().map(mirror).collect();
        }
        let sets = [&geometry.uvs, &geometry.uvs2, &geometry.uvs3, &geometry.uvs4, &geometry.uvs5, &geometry.uvs6];
        for (set, values) in sets.into_iter().enumerate() {
            if array(values, "texture coordinates", 2) {
                // Materials refer to sets by number: those before it are there, too.
                primitive.texcoords.resize_with(set, || vec![[0.0; 2]; vertices].into());
                let turned = values.0.as_chunks().0.iter().map(|&[u, v]| [u, 1.0 - v]);
                primitive.texcoords.push(turned.collect());
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
        let linear = |value: f32| if parts.gamma { srgb_to_linear(value.into()) as f32 } else { value };
        let width = if geometry.colors.0.len() == vertices * 3 { 3 } else { 4 };
        if array(&geometry.colors, "colours", width) {
            let color = |c: &[f32]| [linear(c[0]), linear(c[1]), linear(c[2]), c.get(3).copied().unwrap_or(1.0)];
            primitive.colors.push(geometry.colors.0.chunks_exact(width).map(color).collect());
        }
        if let Some(bones) = parts.bones {
            let sets = [
                (&geometry.matrices_indices, &geometry.matrices_weights),
                (&geometry.matrices_indices_extra, &geometry.matrices_weights_extra),
            ];
            for (indices, weights) in sets {
                if !indices.0.is_empty() && array(weights, "joint weights", 4) && weights.0.iter().any(|&it| it != 0.0)
                {
                    let weights = weights.0.as_chunks().0;
                    match joints(&indices.0, vertices) {
                        Some(joints) => self.put_joints(&mut primitive, joints, weights.to_vec(), bones, path),
                        None => wrong("joint indices", indices.0.len(), 1),
                    }
                }
            }
        }
        for target in parts.morphs.map_or(&[][..], |morphs| &morphs.targets) {
            let difference = |to: &Floats, from: &Floats, what: &str, width: usize| -> Buffer<[f32; 3]> {
                if !array(to, what, 3) || from.0.len() != vertices * width {
                    return Buffer::default();
                }
                let pairs = to.0.as_chunks::<3>().0.iter().zip(from.0.chunks_exact(width));
                pairs.map(|(to, from)| handedness.vector([0, 1, 2].map(|axis| to[axis] - from[axis]))).collect()
            };
            primitive.targets.push(MorphTarget {
                name: target.name.clone(),
                positions: difference(&target.positions, &geometry.positions, "morph positions", 3),
                normals: difference(&target.normals, &geometry.normals, "morph normals", 3),
                tangents: difference(&target.tangents, &geometry.tangents, "morph tangents", 4),
            });
            cx.budget().take(vertices as u64 * 36)?;
        }
        Ok(primitive)
    }

    fn put_joints(
        &self,
        primitive: &mut Primitive,
        mut joints: Vec<[u16; 4]>,
        mut weights: Vec<[f32; 4]>,
        bones: usize,
        path: &str,
    ) {
        let mut outside = 0;
        for (joint, weight) in joints.as_flattened_mut().iter_mut().zip(weights.as_flattened_mut()) {
            if *weight == 0.0 {
                *joint = 0;
            } else if usize::from(*joint) >= bones {
                outside += 1;
                (*joint, *weight) = (0, 0.0);
            }
        }
        let message = format!("joint indices beyond the {bones} bones are left out");
        let place = Some(Location::element(path.to_owned()));
        self.cx.report_times(Severity::Warning, "joint", message, place, outside);
        primitive.joints.push(joints.into());
        primitive.weights.push(weights.into());
    }
}

fn mirrored(values: &[[f32; 3]], handedness: Handedness) -> Buffer<[f32; 3]> {
    values.iter().map(|&value| handedness.vector(value)).collect()
}

/// Four indices a vertex: as they are, or as the four bytes of one integer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "packed integers may be written as negative"
)]
fn joints(values: &[f64], vertices: usize) -> Option<Vec<[u16; 4]>> {
    if values.len() == vertices {
        return Some(values.iter().map(|&packed| (packed as i64 as u32).to_le_bytes().map(u16::from)).collect());
    }
    let (four, rest) = values.as_chunks::<4>();
    (rest.is_empty() && four.len() == vertices)
        .then(|| four.iter().map(|four| four.map(|joint| joint as u16)).collect())
}

/// The vertices `used` of a primitive.
fn subset(whole: &Primitive, used: &[u32]) -> Primitive {
    fn pick<T: Copy>(values: &[T], used: &[u32]) -> Vec<T> {
        if values.is_empty() { Vec::new() } else { used.iter().map(|&vertex| values[vertex as usize]).collect() }
    }
    Primitive {
        positions: pick(&whole.positions, used).into(),
        normals: pick(&whole.normals, used).into(),
        tangents: pick(&whole.tangents, used).into(),
        texcoords: whole.texcoords.iter().map(|set| pick(set, used).into()).collect(),
        colors: whole.colors.iter().map(|set| pick(set, used).into()).collect(),
        joints: whole.joints.iter().map(|set| pick(set, used).into()).collect(),
        weights: whole.weights.iter().map(|set| pick(set, used).into()).collect(),
        targets: (whole.targets.iter())
            .map(|target| MorphTarget {
                name: target.name.clone(),
                positions: pick(&target.positions, used).into(),
                normals: pick(&target.normals, used).into(),
                tangents: pick(&target.tangents, used).into(),
            })
            .collect(),
        ..Primitive::default()
    }
}
