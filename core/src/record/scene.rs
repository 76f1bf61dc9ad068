//! Scenes: node tree, meshes, materials. The model is that of glTF 2.0, wider at two points: faces may stay polygons, and
//! positions are relative to a world offset in double precision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Word;
use super::buffer::Buffer;
use super::extent::Extent;
use super::facts::{Bounds, SceneFacts};
use crate::error::{Error, Result};

/// How the vertices of a primitive are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Topology {
    /// Single points.
    Points,
    /// Pairs of indices.
    Lines,
    /// Triples of indices, counter-clockwise seen from the front.
    #[default]
    Triangles,
    /// Faces of 3 or more corners, counter-clockwise: sizes in [`Primitive::face_sizes`], corners end to end in the indices.
    Polygons,
}

/// Vertices with one material. All vertex arrays are as long as `positions` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Primitive {
    /// How vertices are joined.
    pub topology: Topology,
    /// `[x, y, z]` in scene units, relative to the node and to [`Scene::world_offset`].
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub positions: Buffer<[f32; 3]>,
    /// Unit normals `[x, y, z]`.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub normals: Buffer<[f32; 3]>,
    /// Unit tangents `[x, y, z, handedness]`.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub tangents: Buffer<[f32; 4]>,
    /// Texture coordinate sets `[u, v]`; (0, 0) is the upper left corner of the picture, as in glTF.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texcoords: Vec<Buffer<[f32; 2]>>,
    /// Colour sets, RGBA 0 to 1, linear, alpha not premultiplied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub colors: Vec<Buffer<[f32; 4]>>,
    /// Joint sets: indices into the skin's joints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joints: Vec<Buffer<[u16; 4]>>,
    /// Weight sets, as many as joint sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Buffer<[f32; 4]>>,
    /// Corner indices into the vertex arrays; `None` means 0, 1, 2, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indices: Option<Buffer<u32>>,
    /// Corners of each face, for [`Topology::Polygons`]; empty otherwise.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub face_sizes: Buffer<u32>,
    /// Index into [`Scene::materials`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub material: Option<u32>,
    /// Morph targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<MorphTarget>,
}

/// Displacements of one morph target; arrays are empty or as long as the primitive's positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MorphTarget {
    /// Name, if any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Added to positions at weight 1.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub positions: Buffer<[f32; 3]>,
    /// Added to normals at weight 1.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub normals: Buffer<[f32; 3]>,
    /// Added to tangents at weight 1.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub tangents: Buffer<[f32; 3]>,
}

impl Primitive {
    /// Number of corners: indices, or vertices where there are none.
    #[must_use]
    pub fn corners(&self) -> usize {
        self.indices.as_ref().map_or(self.positions.len(), |indices| indices.len())
    }

    /// Triangles after triangulation.
    #[must_use]
    pub fn triangles(&self) -> u64 {
        match self.topology {
            Topology::Triangles => self.corners() as u64 / 3,
            Topology::Polygons => self.face_sizes.iter().map(|&size| u64::from(size.saturating_sub(2))).sum(),
            Topology::Points | Topology::Lines => 0,
        }
    }

    /// Shares the bulk: clones of the primitive then cost nothing, and it crosses a boundary without a copy.
    pub fn share(&mut self) {
        drop((self.positions.share(), self.normals.share(), self.tangents.share(), self.face_sizes.share()));
        self.texcoords.iter_mut().for_each(|set| drop(set.share()));
        self.joints.iter_mut().for_each(|set| drop(set.share()));
        self.colors.iter_mut().chain(&mut self.weights).for_each(|set| drop(set.share()));
        self.indices.iter_mut().for_each(|indices| drop(indices.share()));
        for target in &mut self.targets {
            drop((target.positions.share(), target.normals.share(), target.tangents.share()));
        }
    }

    fn validate(&self, path: &str, materials: usize) -> Result<()> {
        let vertices = self.positions.len();
        let wrong = |what: &str, found: usize| {
            Err(Error::malformed(format!("{what}: expected {vertices} values, found {found}"))
                .at_element(path.to_owned()))
        };
        let same = |length: usize| length == 0 || length == vertices;
        if !same(self.normals.len()) {
            return wrong("normals", self.normals.len());
        }
        if !same(self.tangents.len()) {
            return wrong("tangents", self.tangents.len());
        }
        let sets = (self.texcoords.iter().map(|set| ("texcoords", set.len())))
            .chain(self.colors.iter().map(|set| ("colors", set.len())))
            .chain(self.joints.iter().map(|set| ("joints", set.len())))
            .chain(self.weights.iter().map(|set| ("weights", set.len())));
        for (what, length) in sets {
            if length != vertices {
                return wrong(what, length);
            }
        }
        for target in &self.targets {
            for length in [target.positions.len(), target.normals.len(), target.tangents.len()] {
                if !same(length) {
                    return wrong("morph target", length);
                }
            }
        }
        if self.joints.len() != self.weights.len() {
            return Err(Error::malformed(format!(
                "{} joint sets and {} weight sets",
                self.joints.len(),
                self.weights.len()
            ))
            .at_element(path.to_owned()));
        }
        if let Some(indices) = &self.indices {
            // One branch-free pass for the maximum; the search for the culprit is only for the message.
            let largest = indices.iter().copied().max().unwrap_or(0) as usize;
            if largest >= vertices && !indices.is_empty() {
                let corner = indices.iter().position(|&index| index as usize >= vertices).unwrap_or(0);
                return Err(Error::malformed(format!(
                    "index {} is out of range: there are {vertices} vertices",
                    indices[corner]
                ))
                .at_element(format!("{path}.indices[{corner}]")));
            }
        }
        if self.topology == Topology::Polygons {
            let corners: u64 = self.face_sizes.iter().map(|&size| u64::from(size)).sum();
            if corners != self.corners() as u64 {
                return Err(Error::malformed(format!("faces have {corners} corners, found {}", self.corners()))
                    .at_element(path.to_owned()));
            }
        }
        if let Some(material) = self.material
            && material as usize >= materials
        {
            return Err(Error::malformed(format!("material {material} is out of range: there are {materials}"))
                .at_element(path.to_owned()));
        }
        Ok(())
    }
}

/// Primitives under one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mesh {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its parts.
    pub primitives: Vec<Primitive>,
    /// Default weights of the morph targets.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "crate::wire::number")]
    pub weights: Vec<f32>,
}

/// Placement of a node in its parent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Column-major 4 x 4: element `[column * 4 + row]`.
    Matrix(#[serde(with = "crate::wire::number")] [f64; 16]),
    /// Applied scale first, then rotation, then translation.
    Trs {
        /// Translation `[x, y, z]`.
        #[serde(with = "crate::wire::number")]
        translation: [f64; 3],
        /// Unit quaternion `[x, y, z, w]`.
        #[serde(with = "crate::wire::number")]
        rotation: [f64; 4],
        /// Scale `[x, y, z]`.
        #[serde(with = "crate::wire::number")]
        scale: [f64; 3],
    },
}

impl Default for Transform {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Transform {
    /// No change.
    pub const IDENTITY: Self = Self::Trs { translation: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0; 3] };

    /// As a column-major 4 x 4 matrix.
    #[must_use]
    pub fn matrix(&self) -> [f64; 16] {
        match *self {
            Self::Matrix(matrix) => matrix,
            Self::Trs { translation: t, rotation: [x, y, z, w], scale: s } => [
                (1.0 - 2.0 * (y * y + z * z)) * s[0],
                2.0 * (x * y + z * w) * s[0],
                2.0 * (x * z - y * w) * s[0],
                0.0,
                2.0 * (x * y - z * w) * s[1],
                (1.0 - 2.0 * (x * x + z * z)) * s[1],
                2.0 * (y * z + x * w) * s[1],
                0.0,
                2.0 * (x * z + y * w) * s[2],
                2.0 * (y * z - x * w) * s[2],
                (1.0 - 2.0 * (x * x + y * y)) * s[2],
                0.0,
                t[0],
                t[1],
                t[2],
                1.0,
            ],
        }
    }
}

/// Product of column-major 4 x 4 matrices: first `b`, then `a`.
#[must_use]
pub fn multiply(a: &[f64; 16], b: &[f64; 16]) -> [f64; 16] {
    let mut product = [0.0; 16];
    for column in 0..4 {
        for row in 0..4 {
            product[column * 4 + row] = (0..4).map(|k| a[k * 4 + row] * b[column * 4 + k]).sum();
        }
    }
    product
}

/// `point` under a column-major 4 x 4 matrix.
#[must_use]
pub fn transform_point(m: &[f64; 16], [x, y, z]: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|row| m[row] * x + m[4 + row] * y + m[8 + row] * z + m[12 + row])
}

/// A node of the tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Placement in the parent.
    pub transform: Transform,
    /// Indices of children in [`Scene::nodes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<u32>,
    /// Index into [`Scene::meshes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<u32>,
    /// Index into [`Scene::skins`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skin: Option<u32>,
    /// Index into [`Scene::cameras`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<u32>,
    /// Index into [`Scene::lights`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<u32>,
    /// Weights of the morph targets, over the mesh's own.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "crate::wire::number")]
    pub weights: Vec<f32>,
}

/// How a texture is used by a material.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextureUse {
    /// Index into [`Scene::textures`].
    pub texture: u32,
    /// Which set of texture coordinates.
    #[serde(default)]
    pub texcoord: u32,
    /// `[u, v]` offset, then `[u, v]` scale, then rotation in radians, counter-clockwise (KHR_texture_transform).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub transform: Option<([f32; 2], [f32; 2], f32)>,
    /// Normal scale or occlusion strength; 1 elsewhere.
    #[serde(default = "one", with = "crate::wire::number")]
    pub factor: f32,
}

fn one() -> f32 {
    1.0
}

/// How alpha is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaMode {
    /// Alpha is ignored.
    #[default]
    Opaque,
    /// Opaque from this alpha on, else invisible.
    Mask(#[serde(with = "crate::wire::number")] f32),
    /// Blended.
    Blend,
}

/// A metallic-roughness material. What its source said in other terms (Phong and the like) is kept in `original`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Material {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Linear RGBA, 0 to 1.
    #[serde(with = "crate::wire::number")]
    pub base_color: [f32; 4],
    /// Base colour texture (sRGB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_color_texture: Option<TextureUse>,
    /// 0 to 1.
    #[serde(with = "crate::wire::number")]
    pub metallic: f32,
    /// 0 to 1.
    #[serde(with = "crate::wire::number")]
    pub roughness: f32,
    /// Roughness in G, metalness in B (linear).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metallic_roughness_texture: Option<TextureUse>,
    /// Tangent-space normals (linear).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal_texture: Option<TextureUse>,
    /// Occlusion in R (linear).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occlusion_texture: Option<TextureUse>,
    /// Linear RGB.
    #[serde(with = "crate::wire::number")]
    pub emissive: [f32; 3],
    /// Emission texture (sRGB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emissive_texture: Option<TextureUse>,
    /// How alpha is used.
    pub alpha: AlphaMode,
    /// Whether back faces are shown.
    pub double_sided: bool,
    /// Shown without light (KHR_materials_unlit).
    pub unlit: bool,
    /// Values as the source wrote them, by the source's own keys, e.g. `Ks` → `0.5 0.5 0.5`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub original: BTreeMap<String, String>,
}

impl Default for Material {
    /// White, fully metallic and rough: the defaults of glTF.
    fn default() -> Self {
        Self {
            name: String::new(),
            base_color: [1.0; 4],
            base_color_texture: None,
            metallic: 1.0,
            roughness: 1.0,
            metallic_roughness_texture: None,
            normal_texture: None,
            occlusion_texture: None,
            emissive: [0.0; 3],
            emissive_texture: None,
            alpha: AlphaMode::Opaque,
            double_sided: false,
            unlit: false,
            original: BTreeMap::new(),
        }
    }
}

impl Material {
    /// Its textures.
    pub fn texture_uses(&self) -> impl Iterator<Item = &TextureUse> {
        [
            &self.base_color_texture,
            &self.metallic_roughness_texture,
            &self.normal_texture,
            &self.occlusion_texture,
            &self.emissive_texture,
        ]
        .into_iter()
        .flatten()
    }
}

/// What happens outside 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrap {
    /// Tiles.
    #[default]
    Repeat,
    /// Tiles, every second one mirrored.
    Mirror,
    /// The edge goes on.
    Clamp,
}

/// A picture file as it is, never decoded, with its sampler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Texture {
    /// Name, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Relative file name in the source, if it was a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Media type, e.g. `image/png`; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The file's bytes; empty when it was missing (a diagnostic says so).
    #[serde(default, skip_serializing_if = "Buffer::is_empty")]
    pub bytes: Buffer<u8>,
    /// Wrapping in u and v.
    #[serde(default)]
    pub wrap: [Wrap; 2],
    /// `true` for nearest, `false` for linear filtering.
    #[serde(default)]
    pub nearest: bool,
}

/// A skeleton.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Skin {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Nodes that are joints.
    pub joints: Vec<u32>,
    /// Column-major, one a joint, or empty for identity.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub inverse_bind_matrices: Vec<[f32; 16]>,
    /// Root node of the skeleton.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<u32>,
}

/// What an animation moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnimatedProperty {
    /// 3 values a key.
    Translation,
    /// Quaternion, 4 values a key.
    Rotation,
    /// 3 values a key.
    Scale,
    /// As many values a key as the mesh has morph targets.
    Weights,
}

/// How values between keys are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Linear, spherical for rotations.
    #[default]
    Linear,
    /// The last key holds.
    Step,
    /// In-tangent, value, out-tangent a key.
    CubicSpline,
}

/// One track of an animation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Node it moves.
    pub node: u32,
    /// What it moves.
    pub property: AnimatedProperty,
    /// How values between keys are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Key times in seconds, rising.
    #[serde(with = "crate::wire::columns::numbers")]
    pub times: Vec<f32>,
    /// Values, end to end.
    #[serde(with = "crate::wire::columns::numbers")]
    pub values: Vec<f32>,
}

/// Channels under one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Animation {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its tracks.
    pub channels: Vec<Channel>,
}

/// A camera; looks along −z of its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Camera {
    /// Perspective.
    Perspective {
        /// Vertical field of view in radians.
        #[serde(with = "crate::wire::number")]
        yfov: f64,
        /// Width over height.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
        aspect: Option<f64>,
        /// Distance of the near plane.
        #[serde(with = "crate::wire::number")]
        near: f64,
        /// Distance of the far plane, `None` for infinity.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
        far: Option<f64>,
    },
    /// Orthographic.
    Orthographic {
        /// Half the width.
        #[serde(with = "crate::wire::number")]
        xmag: f64,
        /// Half the height.
        #[serde(with = "crate::wire::number")]
        ymag: f64,
        /// Distance of the near plane.
        #[serde(with = "crate::wire::number")]
        near: f64,
        /// Distance of the far plane.
        #[serde(with = "crate::wire::number")]
        far: f64,
    },
}

/// A light (KHR_lights_punctual); shines along −z of its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Light {
    /// Name, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `directional`, `point` or `spot`.
    #[serde(deserialize_with = "crate::wire::words::light")]
    pub kind: Word,
    /// Linear RGB.
    #[serde(with = "crate::wire::number")]
    pub color: [f32; 3],
    /// Candela (point, spot) or lux (directional).
    #[serde(with = "crate::wire::number")]
    pub intensity: f32,
    /// Reach in scene units, `None` for unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub range: Option<f32>,
    /// Inner and outer cone angle in radians, of a spot.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub cone: Option<[f32; 2]>,
}

/// A scene. The root nodes are those no other node has as a child, unless `roots` says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// Name, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// Indices of the root nodes, in order.
    pub roots: Vec<u32>,
    /// All meshes.
    pub meshes: Vec<Mesh>,
    /// All materials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<Material>,
    /// All textures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub textures: Vec<Texture>,
    /// All skins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skins: Vec<Skin>,
    /// All animations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub animations: Vec<Animation>,
    /// All cameras.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cameras: Vec<Camera>,
    /// All lights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lights: Vec<Light>,
    /// `x`, `y` or `z`; `None` when the format does not say.
    #[serde(deserialize_with = "crate::wire::words::axis", skip_serializing_if = "Option::is_none")]
    pub up_axis: Option<Word>,
    /// Metres a scene unit; `None` when the format does not say.
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub unit_meters: Option<f64>,
    /// Added to every position in world space; not zero where coordinates are too large for single precision.
    #[serde(with = "crate::wire::number")]
    pub world_offset: [f64; 3],
}

impl Scene {
    /// A scene of one node a mesh.
    #[must_use]
    pub fn of_meshes(meshes: Vec<Mesh>) -> Self {
        let nodes: Vec<_> = meshes
            .iter()
            .zip(0..)
            .map(|(mesh, index)| Node { name: mesh.name.clone(), mesh: Some(index), ..Node::default() })
            .collect();
        let roots = (0..).take(nodes.len()).collect();
        Self { nodes, roots, meshes, ..Self::default() }
    }

    /// Checks every index and length, and that the nodes are a forest no deeper than `depth`.
    ///
    /// # Errors
    /// `Malformed` with the element's path; `Limit` for a tree that is too deep.
    pub fn validate(&self, depth: u64) -> Result<()> {
        for (m, mesh) in self.meshes.iter().enumerate() {
            for (p, primitive) in mesh.primitives.iter().enumerate() {
                primitive.validate(&format!("meshes[{m}].primitives[{p}]"), self.materials.len())?;
            }
        }
        for (m, material) in self.materials.iter().enumerate() {
            for used in material.texture_uses() {
                in_range(Some(used.texture), self.textures.len(), "texture", || format!("materials[{m}]"))?;
            }
        }
        for (s, skin) in self.skins.iter().enumerate() {
            for &joint in skin.joints.iter().chain(&skin.root) {
                in_range(Some(joint), self.nodes.len(), "joint", || format!("skins[{s}]"))?;
            }
            if !skin.inverse_bind_matrices.is_empty() && skin.inverse_bind_matrices.len() < skin.joints.len() {
                return Err(Error::malformed(format!(
                    "expected {} inverse bind matrices, found {}",
                    skin.joints.len(),
                    skin.inverse_bind_matrices.len()
                ))
                .at_element(format!("skins[{s}]")));
            }
        }
        for (a, animation) in self.animations.iter().enumerate() {
            for channel in &animation.channels {
                in_range(Some(channel.node), self.nodes.len(), "node", || format!("animations[{a}]"))?;
            }
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let path = || format!("nodes[{n}]");
            in_range(node.mesh, self.meshes.len(), "mesh", path)?;
            in_range(node.skin, self.skins.len(), "skin", path)?;
            in_range(node.camera, self.cameras.len(), "camera", path)?;
            in_range(node.light, self.lights.len(), "light", path)?;
        }
        self.check_tree(depth)
    }

    fn check_tree(&self, depth: u64) -> Result<()> {
        let mut has_parent = vec![false; self.nodes.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            for &child in &node.children {
                in_range(Some(child), self.nodes.len(), "child", || format!("nodes[{n}]"))?;
                if std::mem::replace(&mut has_parent[child as usize], true) {
                    return Err(
                        Error::malformed(format!("node {child} has two parents")).at_element(format!("nodes[{n}]"))
                    );
                }
            }
        }
        // A root that is listed twice, or stands below another, would show its meshes once more for each node above it.
        let mut is_shown = has_parent.clone();
        for &root in &self.roots {
            in_range(Some(root), self.nodes.len(), "root", || "scene".into())?;
            if std::mem::replace(&mut is_shown[root as usize], true) {
                return Err(
                    Error::malformed(format!("root {root} is listed twice or has a parent")).at_element("roots")
                );
            }
        }
        // Every node has at most one parent, so what cannot be reached from a parentless node is a cycle.
        let mut stack: Vec<(u32, u64)> =
            (0..).zip(&has_parent).filter(|(_, has_parent)| !**has_parent).map(|(node, _)| (node, 1)).collect();
        let mut seen = 0;
        while let Some((node, level)) = stack.pop() {
            if level > depth {
                return Err(Error::limit("depth", level, depth).at_element(format!("nodes[{node}]")));
            }
            seen += 1;
            stack.extend(self.nodes[node as usize].children.iter().map(|&child| (child, level + 1)));
        }
        if seen != self.nodes.len() {
            return Err(Error::malformed("the node tree has a cycle").at_element("nodes"));
        }
        Ok(())
    }

    /// Calls `visit` with every reachable node and its column-major world matrix, parents first. The scene must be
    /// [valid](Self::validate).
    pub fn walk(&self, mut visit: impl FnMut(u32, &[f64; 16])) {
        let mut stack: Vec<(u32, [f64; 16])> =
            self.roots.iter().rev().map(|&root| (root, Transform::IDENTITY.matrix())).collect();
        while let Some((index, parent)) = stack.pop() {
            let node = &self.nodes[index as usize];
            let world = multiply(&parent, &node.transform.matrix());
            visit(index, &world);
            stack.extend(node.children.iter().rev().map(|&child| (child, world)));
        }
    }

    /// How many reachable nodes show each mesh: 0 for one that no node shows, and so for all meshes of a scene without nodes.
    /// The scene must be [valid](Self::validate).
    #[must_use]
    pub fn placements(&self) -> Vec<u64> {
        let mut placed = vec![0_u64; self.meshes.len()];
        let mut stack = self.roots.clone();
        while let Some(index) = stack.pop() {
            let node = &self.nodes[index as usize];
            if let Some(mesh) = node.mesh {
                placed[mesh as usize] += 1;
            }
            stack.extend(&node.children);
        }
        placed
    }

    /// World bounds of all finite positions through the node tree, offset included; `None` where no node shows any.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        let mut bounds = Bounds::EMPTY;
        let identity = Transform::IDENTITY.matrix();
        let often = |(count, mesh): (u64, _)| (count > 1).then(|| Extent::new(mesh));
        let extents: Vec<_> = self.placements().into_iter().zip(&self.meshes).map(often).collect();
        self.walk(|node, world| {
            let Some(mesh) = self.nodes[node as usize].mesh else { return };
            if let Some(extent) = &extents[mesh as usize] {
                return extent.include(world, &mut bounds);
            }
            for primitive in &self.meshes[mesh as usize].primitives {
                if *world == identity {
                    bounds.include_all(&primitive.positions);
                    continue;
                }
                for position in &primitive.positions {
                    bounds.include(transform_point(world, position.map(f64::from)));
                }
            }
        });
        let mut bounds = bounds.finish()?;
        for axis in 0..3 {
            bounds.min[axis] += self.world_offset[axis];
            bounds.max[axis] += self.world_offset[axis];
        }
        Some(bounds)
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        self.meshes.iter_mut().flat_map(|mesh| &mut mesh.primitives).for_each(Primitive::share);
        self.textures.iter_mut().for_each(|texture| drop(texture.bytes.share()));
    }

    /// All primitives of all meshes.
    pub fn primitives(&self) -> impl Iterator<Item = &Primitive> {
        self.meshes.iter().flat_map(|mesh| &mesh.primitives)
    }

    /// The facts of this scene.
    #[must_use]
    pub fn facts(&self) -> SceneFacts {
        let (mut vertices, mut triangles) = (0_u64, 0_u64);
        for (mesh, times) in self.meshes.iter().zip(self.placements()) {
            for primitive in &mesh.primitives {
                vertices = vertices.saturating_add(times.saturating_mul(primitive.positions.len() as u64));
                triangles = triangles.saturating_add(times.saturating_mul(primitive.triangles()));
            }
        }
        SceneFacts {
            nodes: Some(self.nodes.len() as u64),
            meshes: Some(self.meshes.len() as u64),
            primitives: Some(self.primitives().count() as u64),
            vertices: Some(vertices),
            triangles: Some(triangles),
            materials: Some(self.materials.len() as u64),
            textures: Some(self.textures.len() as u64),
            animations: Some(self.animations.len() as u64),
            bounds: self.bounds(),
            up_axis: self.up_axis,
            unit_meters: self.unit_meters,
            ..SceneFacts::default()
        }
    }
}

fn in_range(index: Option<u32>, count: usize, what: &str, path: impl Fn() -> String) -> Result<()> {
    match index {
        Some(index) if index as usize >= count => {
            Err(Error::malformed(format!("{what} {index} is out of range: there are {count}")).at_element(path()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(children: &[u32]) -> Node {
        Node { children: children.to_vec(), ..Node::default() }
    }

    #[test]
    fn trees_are_checked() {
        let scene = |nodes: Vec<Node>| Scene { nodes, roots: vec![0], ..Scene::default() };
        assert!(scene(vec![node(&[1]), node(&[])]).validate(8).is_ok());
        assert!(scene(vec![node(&[1]), node(&[0])]).validate(8).is_err(), "cycle");
        assert!(scene(vec![node(&[1, 1]), node(&[])]).validate(8).is_err(), "two parents");
        assert!(scene(vec![node(&[5])]).validate(8).is_err(), "out of range");
        assert!(scene(vec![node(&[1]), node(&[2]), node(&[])]).validate(2).is_err(), "too deep");
        for roots in [vec![0, 0], vec![0, 1]] {
            let scene = Scene { nodes: vec![node(&[1]), node(&[])], roots, ..Scene::default() };
            assert!(scene.validate(8).is_err(), "{:?}", scene.roots);
        }
    }

    #[test]
    fn a_mesh_counts_as_often_as_nodes_show_it() {
        let quad = Primitive {
            topology: Topology::Polygons,
            positions: vec![[0.0; 3]; 4].into(),
            face_sizes: vec![4].into(),
            ..Primitive::default()
        };
        let mesh = |parts: usize| Mesh { primitives: vec![quad.clone(); parts], ..Mesh::default() };
        let show = |mesh: u32, children: &[u32]| Node { mesh: Some(mesh), ..node(children) };
        // Mesh 0 three times, mesh 1 once, mesh 2 by a node that no root leads to, mesh 3 by none.
        let nodes = vec![show(0, &[1, 2]), show(0, &[]), node(&[3]), show(0, &[]), show(1, &[]), show(2, &[])];
        let meshes = vec![mesh(1), mesh(2), mesh(1), mesh(1)];
        let mut scene = Scene { nodes, roots: vec![0, 4], meshes, ..Scene::default() };
        assert_eq!(scene.placements(), [3, 1, 0, 0]);
        let facts = scene.facts();
        assert_eq!((facts.vertices, facts.triangles), (Some(5 * 4), Some(5 * 2)));
        assert_eq!((facts.meshes, facts.primitives), (Some(4), Some(5)), "as they are stored");
        (scene.nodes, scene.roots) = (Vec::new(), Vec::new());
        let facts = scene.facts();
        assert_eq!((facts.vertices, facts.triangles, facts.bounds), (Some(0), Some(0), None), "nothing is shown");
    }

    #[test]
    fn a_quarter_turn_about_z_takes_x_to_y() {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let turn = Transform::Trs { translation: [0.0, 0.0, 5.0], rotation: [0.0, 0.0, half, half], scale: [2.0; 3] };
        let [x, y, z] = transform_point(&turn.matrix(), [1.0, 0.0, 0.0]);
        assert!(x.abs() < 1e-12 && (y - 2.0).abs() < 1e-12 && (z - 5.0).abs() < 1e-12, "{x} {y} {z}");
    }
}
