//! From the document and its buffers to a scene.

use std::collections::BTreeMap;
use std::sync::Arc;

use mediary_core::record::scene::{
    AlphaMode, AnimatedProperty, Animation, Camera, Channel, Interpolation, Light, Material, Mesh, MorphTarget, Node,
    Primitive, Scene, Skin, Texture, TextureUse, Topology, Transform, Wrap,
};
use mediary_core::{Context, Error, ErrorKind, Location, Result, Severity, Source};
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::{Map, Value};

use super::accessor::Accessors;
use super::decompress::{KHR_DRACO, MESHOPT};
use super::document::{
    Document, Extensions, Int, LightUse, Lights, MaterialObject, NodeObject, PrimitiveObject, SpecularGlossiness,
    TextureInfo, TextureObject, TextureTransform,
};
use super::frame::Frame;
use super::uri::Uri;

pub(super) const KHR_LIGHTS: &str = "KHR_lights_punctual";
pub(super) const KHR_UNLIT: &str = "KHR_materials_unlit";
pub(super) const KHR_EMISSIVE_STRENGTH: &str = "KHR_materials_emissive_strength";
pub(super) const KHR_TEXTURE_TRANSFORM: &str = "KHR_texture_transform";
const KHR_SPECULAR_GLOSSINESS: &str = "KHR_materials_pbrSpecularGlossiness";
pub(super) const KHR_QUANTIZATION: &str = "KHR_mesh_quantization";

/// Extensions that give a texture another image; its bytes are kept as they are.
pub(super) const IMAGE_EXTENSIONS: [(&str, &str); 4] = [
    ("EXT_texture_webp", "image/webp"),
    ("KHR_texture_basisu", "image/ktx2"),
    ("EXT_texture_avif", "image/avif"),
    ("MSFT_texture_dds", "image/vnd-ms.dds"),
];

/// Extensions whose meaning the record holds.
fn is_supported(extension: &str) -> bool {
    [KHR_LIGHTS, KHR_UNLIT, KHR_EMISSIVE_STRENGTH, KHR_TEXTURE_TRANSFORM, KHR_QUANTIZATION].contains(&extension)
        || extension == KHR_DRACO
        || MESHOPT.contains(&extension)
        || IMAGE_EXTENSIONS.iter().any(|(name, _)| *name == extension)
}

/// Extensions that change how a material looks or which one is shown, but not the geometry: kept as text, and no reason to
/// refuse a file that requires them.
fn is_kept(extension: &str) -> bool {
    extension.starts_with("KHR_materials_")
}

/// Bytes of JSON that are kept of all `extras` together, and of all extensions.
const EXTRAS_BYTES: usize = 64 << 10;

/// Refuses required extensions whose meaning the record cannot hold, and mentions the optional ones.
pub(super) fn check_extensions(document: &Document, cx: &Context) -> Result<()> {
    let unknown = |list: &[String]| list.iter().filter(|name| !is_supported(name)).cloned().collect::<Vec<_>>();
    let mut required = unknown(&document.extensions_required);
    required.retain(|name| !is_kept(name));
    if !required.is_empty() {
        let error = Error::unsupported(format!("the file requires extensions: {}", required.join(", ")))
            .at_element("extensionsRequired")
            .with_hint("--lenient reads what can be read without them");
        cx.unless_lenient("required-extension", error)?;
    }
    let optional: Vec<_> =
        unknown(&document.extensions_used).into_iter().filter(|name| !required.contains(name)).collect();
    if !optional.is_empty() {
        cx.note("extension", format!("extensions without a place in the record: {}", optional.join(", ")));
    }
    Ok(())
}

/// What [`read`] makes of a document.
pub(super) struct Read {
    pub(super) scene: Scene,
    pub(super) properties: Map<String, Value>,
}

/// Reads everything.
pub(super) fn read(accessors: &Accessors<'_>, tree: Tree, source: &Source) -> Result<Read> {
    let (document, cx) = (accessors.document, accessors.cx);
    let (mut extras, mut extensions) = (Kept::default(), Kept::default());
    let own_nodes = tree.nodes.len();
    let scene_object = document.scenes.get(tree.scene);
    let mut scene = Scene {
        name: scene_object.map(|scene| scene.name.clone()).unwrap_or_default(),
        nodes: tree.nodes,
        roots: tree.roots,
        up_axis: tree.frame.up_axis,
        unit_meters: Some(tree.frame.unit_meters),
        world_offset: tree.frame.world_offset,
        ..Scene::default()
    };
    for (m, object) in document.meshes.iter().enumerate() {
        let mut mesh = Mesh { name: object.name.clone(), weights: object.weights.clone(), ..Mesh::default() };
        let names = object.extras.as_ref().and_then(|extras| extras.get("targetNames"));
        for (p, primitive) in object.primitives.iter().enumerate() {
            let path = format!("meshes[{m}].primitives[{p}]");
            mesh.primitives.push(match read_primitive(accessors, primitive, names, &path) {
                Ok(primitive) => primitive,
                Err(error) if error.kind() == ErrorKind::Limit || error.kind() == ErrorKind::Cancelled => {
                    return Err(error);
                }
                Err(error) => {
                    cx.unless_lenient("primitive", error)?;
                    Primitive::default()
                }
            });
            extras.keep(&path, primitive.extras.as_ref());
            extensions.keep_extensions(&path, &primitive.extensions);
        }
        extensions.keep_extensions(&format!("meshes[{m}]"), &object.extensions);
        if names.is_none() {
            extras.keep(&format!("meshes[{m}]"), object.extras.as_ref());
        }
        scene.meshes.push(mesh);
    }
    for (m, object) in document.materials.iter().enumerate() {
        let path = format!("materials[{m}]");
        scene.materials.push(read_material(object, &path, cx)?);
        if object.extras.as_ref().is_none_or(|extras| extras.get(super::frame::KEY).is_none()) {
            extras.keep(&path, object.extras.as_ref());
        }
    }
    scene.textures = read_textures(accessors, source)?;
    for (s, object) in document.skins.iter().enumerate() {
        let path = format!("skins[{s}]");
        let inverse_bind_matrices = match object.inverse_bind_matrices {
            None => Vec::new(),
            Some(index) => accessors.floats(index, &["MAT4"], [0.0; 16], &path)?,
        };
        scene.skins.push(Skin {
            name: object.name.clone(),
            joints: object.joints.iter().map(|&joint| narrow(joint)).collect(),
            inverse_bind_matrices,
            root: object.skeleton.map(narrow),
        });
    }
    scene.animations = read_animations(accessors)?;
    for (c, object) in document.cameras.iter().enumerate() {
        scene.cameras.push(match (&object.perspective, &object.orthographic) {
            (Some(it), _) => {
                Camera::Perspective { yfov: it.yfov, aspect: it.aspect_ratio, near: it.znear, far: it.zfar }
            }
            (None, Some(it)) => Camera::Orthographic { xmag: it.xmag, ymag: it.ymag, near: it.znear, far: it.zfar },
            (None, None) => {
                return Err(Error::malformed("a camera is perspective or orthographic, found neither")
                    .at_element(format!("cameras[{c}]")));
            }
        });
    }
    scene.lights = read_lights(document)?;
    // Behind them are those that our own writer made.
    for (n, node) in document.nodes[..own_nodes].iter().enumerate() {
        extras.keep(&format!("nodes[{n}]"), node.extras.as_ref());
        extensions.keep_extensions(&format!("nodes[{n}]"), &node.extensions);
    }
    if let Some(object) = scene_object {
        extras.keep("scene", object.extras.as_ref());
        extensions.keep_extensions("scene", &object.extensions);
    }
    extras.keep("", document.extras.as_ref());
    extensions.keep_extensions("", &document.extensions);
    Ok(Read { scene, properties: properties(document, extras, extensions, cx) })
}

/// Objects by the path of their owner, up to [`EXTRAS_BYTES`].
#[derive(Default)]
struct Kept {
    kept: Map<String, Value>,
    bytes: usize,
    left_out: u64,
}

impl Kept {
    fn keep(&mut self, path: &str, extras: Option<&Value>) {
        let Some(extras) = extras.filter(|extras| !extras.is_null()) else { return };
        if self.bytes < EXTRAS_BYTES {
            let bytes = path.len() + extras.to_string().len();
            if self.bytes + bytes <= EXTRAS_BYTES {
                self.bytes += bytes;
                self.kept.insert(path.to_owned(), extras.clone());
                return;
            }
        }
        self.left_out += 1;
    }

    fn keep_extensions(&mut self, path: &str, extensions: &Extensions) {
        let unknown: Map<_, _> = extensions
            .iter()
            .filter(|(name, _)| !is_supported(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !unknown.is_empty() {
            self.keep(path, Some(&unknown.into()));
        }
    }
}

fn properties(document: &Document, mut extras: Kept, extensions: Kept, cx: &Context) -> Map<String, Value> {
    let asset = &document.asset;
    // A file of our own writer carries the properties of the record it was made from.
    if let Some(Value::Object(own)) =
        asset.extras.as_ref().and_then(|extras| extras.get(super::frame::KEY)?.get(super::frame::PROPERTIES))
    {
        return own.clone();
    }
    extras.keep("asset", asset.extras.as_ref());
    let message = format!("extras or extensions beyond {EXTRAS_BYTES} bytes were left out");
    cx.report_times(Severity::Warning, "extras", message, None, extras.left_out + extensions.left_out);
    let mut properties = Map::new();
    for (key, value) in [("generator", &asset.generator), ("copyright", &asset.copyright)] {
        // That we wrote it is no property of the record.
        if let Some(value) = value.as_ref().filter(|value| !value.starts_with(super::writer::GENERATOR)) {
            properties.insert(key.into(), value.clone().into());
        }
    }
    if !document.extensions_used.is_empty() {
        properties.insert("extensions_used".into(), document.extensions_used.clone().into());
    }
    for (key, kept) in [("extras", extras.kept), ("extensions", extensions.kept)] {
        if !kept.is_empty() {
            properties.insert(key.into(), kept.into());
        }
    }
    properties
}

/// An index as the record holds it; what exceeds 32 bits stays out of range.
fn narrow(index: Int) -> u32 {
    u32::try_from(index.0).unwrap_or(u32::MAX)
}

/// An extension object as a struct.
fn extension<T: DeserializeOwned>(extensions: &Extensions, name: &str, path: &str) -> Result<Option<T>> {
    extensions
        .get(name)
        .map(|value| {
            T::deserialize(value)
                .map_err(|error| Error::malformed(error.to_string()).at_element(format!("{path}.extensions.{name}")))
        })
        .transpose()
}

// ---- nodes

/// The node tree of the shown scene, without the frame node of our own writer.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) roots: Vec<u32>,
    pub(super) frame: Frame,
    scene: usize,
}

impl Tree {
    pub(super) fn read(document: &Document, cx: &Context) -> Result<Self> {
        let count = document.nodes.len();
        let scene = usize::try_from(document.scene.unwrap_or_default().0).unwrap_or(usize::MAX);
        let mut nodes = Vec::new();
        for (n, object) in document.nodes.iter().enumerate() {
            nodes.push(read_node(object, &format!("nodes[{n}]"), cx)?);
        }
        let mut has_parent = vec![false; count];
        for child in nodes.iter().flat_map(|node| &node.children) {
            if let Some(has_parent) = has_parent.get_mut(*child as usize) {
                *has_parent = true;
            }
        }
        let mut roots: Vec<u32> = match document.scenes.get(scene) {
            Some(shown) => shown.nodes.iter().map(|&root| narrow(root)).collect(),
            None if document.scene.is_some() => {
                let message = format!("scene {scene} is out of range: there are {}", document.scenes.len());
                return Err(Error::malformed(message).at_element("scene"));
            }
            // Without a scene nothing says what is shown; a library of nodes is shown whole.
            None => (0..).zip(&has_parent).filter(|(_, has_parent)| !**has_parent).map(|(node, _)| node).collect(),
        };
        let place = || Location::element(format!("scenes[{scene}]"));
        let mut listed = vec![false; count];
        let before = roots.len();
        roots.retain(|&root| match listed.get_mut(root as usize) {
            Some(listed) => !std::mem::replace(listed, true) && !has_parent[root as usize],
            None => true,
        });
        if roots.len() != before {
            cx.tolerate("root", "root nodes are listed twice or have a parent", place())?;
        }
        let others = document.scenes.len().saturating_sub(1) as u64;
        let message = "only the nodes of one scene are shown; those of others are kept without a root";
        cx.report_times(Severity::Info, "scenes", message, None, others);
        let frame = Frame::find(document, &roots);
        if frame.is_foreign {
            roots = nodes.pop().map(|node| node.children).unwrap_or_default();
        }
        join_sheared(document, &mut nodes, &mut roots);
        Ok(Self { nodes, roots, frame, scene })
    }
}

/// Undoes what our own writer does with shear: the last nodes have one child and the matrix of both.
fn join_sheared(document: &Document, nodes: &mut Vec<Node>, roots: &mut [u32]) {
    let mut joined = BTreeMap::new();
    while let Some(last) = nodes.len().checked_sub(1) {
        let own = document.nodes[last].extras.as_ref().and_then(|extras| extras.get(super::frame::KEY));
        let matrix = own.and_then(|own| <[f64; 16]>::deserialize(own.get(super::frame::MATRIX)?).ok());
        let (Some(matrix), &[child]) = (matrix, &nodes[last].children[..]) else { break };
        if child as usize >= last {
            break;
        }
        nodes[child as usize].transform = Transform::Matrix(matrix);
        joined.insert(narrow(Int(last as u64)), child);
        nodes.pop();
    }
    if !joined.is_empty() {
        for node in nodes.iter_mut().flat_map(|node| &mut node.children).chain(roots) {
            *node = *joined.get(node).unwrap_or(node);
        }
    }
}

fn read_node(object: &NodeObject, path: &str, cx: &Context) -> Result<Node> {
    let has_trs = object.translation.is_some() || object.rotation.is_some() || object.scale.is_some();
    if object.matrix.is_some() && has_trs {
        let message = "a node has a matrix and also a translation, rotation or scale; the matrix counts";
        cx.tolerate("matrix-and-trs", message, Location::element(path))?;
    }
    let transform = match object.matrix {
        Some(matrix) => Transform::Matrix(matrix),
        None => Transform::Trs {
            translation: object.translation.unwrap_or_default(),
            rotation: object.rotation.unwrap_or([0.0, 0.0, 0.0, 1.0]),
            scale: object.scale.unwrap_or([1.0; 3]),
        },
    };
    let light = extension::<LightUse>(&object.extensions, KHR_LIGHTS, path)?;
    Ok(Node {
        name: object.name.clone(),
        transform,
        children: object.children.iter().map(|&child| narrow(child)).collect(),
        mesh: object.mesh.map(narrow),
        skin: object.skin.map(narrow),
        camera: object.camera.map(narrow),
        light: light.map(|light| narrow(light.light)),
        weights: object.weights.clone(),
    })
}

fn read_lights(document: &Document) -> Result<Vec<Light>> {
    let Some(lights) = extension::<Lights>(&document.extensions, KHR_LIGHTS, "")? else { return Ok(Vec::new()) };
    let read = |(l, light): (usize, super::document::LightObject)| {
        let kind = match light.kind.as_str() {
            "directional" => "directional",
            "point" => "point",
            "spot" => "spot",
            other => {
                return Err(Error::malformed(format!("expected directional, point or spot, found {other:?}"))
                    .at_element(format!("extensions.{KHR_LIGHTS}.lights[{l}]")));
            }
        };
        let outer = light.spot.as_ref().and_then(|spot| spot.outer_cone_angle).unwrap_or(std::f32::consts::FRAC_PI_4);
        let inner = light.spot.as_ref().and_then(|spot| spot.inner_cone_angle).unwrap_or(0.0);
        Ok(Light {
            name: light.name,
            kind,
            color: light.color.unwrap_or([1.0; 3]),
            intensity: light.intensity.unwrap_or(1.0),
            range: light.range,
            cone: (kind == "spot").then_some([inner, outer]),
        })
    };
    lights.lights.into_iter().enumerate().map(read).collect()
}

// ---- meshes

/// `mode`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Points,
    Lines,
    LineLoop,
    LineStrip,
    Triangles,
    TriangleStrip,
    TriangleFan,
}

impl Mode {
    pub(super) fn of(primitive: &PrimitiveObject, path: &str) -> Result<Self> {
        Ok(match primitive.mode.map_or(4, |mode| mode.0) {
            0 => Self::Points,
            1 => Self::Lines,
            2 => Self::LineLoop,
            3 => Self::LineStrip,
            4 => Self::Triangles,
            5 => Self::TriangleStrip,
            6 => Self::TriangleFan,
            other => {
                return Err(
                    Error::malformed(format!("mode: expected 0 to 6, found {other}")).at_element(path.to_owned())
                );
            }
        })
    }

    /// Triangles that `corners` corners make.
    pub(super) fn triangles(self, corners: u64) -> u64 {
        match self {
            Self::Triangles => corners / 3,
            Self::TriangleStrip | Self::TriangleFan => corners.saturating_sub(2),
            Self::Points | Self::Lines | Self::LineLoop | Self::LineStrip => 0,
        }
    }

    fn topology(self) -> Topology {
        match self {
            Self::Points => Topology::Points,
            Self::Lines | Self::LineLoop | Self::LineStrip => Topology::Lines,
            Self::Triangles | Self::TriangleStrip | Self::TriangleFan => Topology::Triangles,
        }
    }
}

/// Strips, loops and fans as lists (section 3.7.2.1 of the specification). `corners` are the indices, or 0, 1, 2, …
fn as_list(mode: Mode, indices: Option<Vec<u32>>, vertices: usize, cx: &Context) -> Result<Option<Vec<u32>>> {
    if matches!(mode, Mode::Points | Mode::Lines | Mode::Triangles) {
        return Ok(indices);
    }
    let strip = match indices {
        Some(indices) => indices,
        None => {
            cx.budget().take(vertices as u64 * 4)?;
            (0..u32::try_from(vertices).unwrap_or(u32::MAX)).collect()
        }
    };
    cx.budget().take((strip.len() as u64).saturating_mul(12))?;
    let pairs = strip.windows(2).flatten().copied();
    Ok(Some(match mode {
        Mode::LineStrip => pairs.collect(),
        Mode::LineLoop if strip.len() > 1 => pairs.chain([strip[strip.len() - 1], strip[0]]).collect(),
        Mode::TriangleFan => strip.windows(2).skip(1).flat_map(|edge| [edge[0], edge[1], strip[0]]).collect(),
        Mode::TriangleStrip => {
            let turned = |(at, corners): (usize, &[u32])| match at % 2 {
                0 => [corners[0], corners[1], corners[2]],
                _ => [corners[0], corners[2], corners[1]],
            };
            strip.windows(3).enumerate().flat_map(turned).collect()
        }
        _ => Vec::new(),
    }))
}

/// The sets `NAME_0`, `NAME_1`, … of an attribute in order.
fn sets<'p>(primitive: &'p PrimitiveObject, name: &str) -> impl Iterator<Item = Int> + use<'p> {
    let prefix = format!("{name}_");
    (0..primitive.attributes.len()).map_while(move |set| primitive.attributes.get(&format!("{prefix}{set}")).copied())
}

fn read_primitive(
    accessors: &Accessors<'_>,
    object: &PrimitiveObject,
    names: Option<&Value>,
    path: &str,
) -> Result<Primitive> {
    let cx = accessors.cx;
    let mode = Mode::of(object, path)?;
    let mut primitive =
        Primitive { topology: mode.topology(), material: object.material.map(narrow), ..Primitive::default() };
    let place = || Location::element(path.to_owned());
    let Some(&position) = object.attributes.get("POSITION") else {
        cx.warn_at("no-positions", "a primitive without positions is empty", place());
        return Ok(primitive);
    };
    let at = |name: &str| format!("{path}.attributes.{name}");
    primitive.positions = accessors.floats(position, &["VEC3"], [0.0; 3], &at("POSITION"))?.into();
    if let Some(&normal) = object.attributes.get("NORMAL") {
        primitive.normals = accessors.floats(normal, &["VEC3"], [0.0; 3], &at("NORMAL"))?.into();
    }
    if let Some(&tangent) = object.attributes.get("TANGENT") {
        primitive.tangents = accessors.floats(tangent, &["VEC4"], [0.0; 4], &at("TANGENT"))?.into();
    }
    for set in sets(object, "TEXCOORD") {
        primitive.texcoords.push(accessors.floats(set, &["VEC2"], [0.0; 2], &at("TEXCOORD"))?.into());
    }
    for set in sets(object, "COLOR") {
        primitive.colors.push(accessors.floats(set, &["VEC3", "VEC4"], [1.0; 4], &at("COLOR"))?.into());
    }
    for (joints, weights) in sets(object, "JOINTS").zip(sets(object, "WEIGHTS")) {
        let joints = accessors.integers::<4>(joints, &["VEC4"], &at("JOINTS"))?;
        if joints.iter().flatten().any(|&joint| joint > u32::from(u16::MAX)) {
            return Err(Error::malformed("joints: expected 8 or 16-bit integers").at_element(at("JOINTS")));
        }
        primitive.joints.push(joints.iter().map(|joints| joints.map(|joint| joint as u16)).collect());
        primitive.weights.push(accessors.floats(weights, &["VEC4"], [0.0; 4], &at("WEIGHTS"))?.into());
    }
    let used = 1
        + usize::from(!primitive.normals.is_empty())
        + usize::from(!primitive.tangents.is_empty())
        + primitive.texcoords.len()
        + primitive.colors.len()
        + 2 * primitive.joints.len();
    if used < object.attributes.len() {
        let left = (object.attributes.len() - used) as u64;
        let message = "vertex attributes without a place in the record were left out (names begin with an underscore, \
                       or sets are not numbered from 0)";
        cx.report_times(Severity::Warning, "attribute", message, Some(place()), left);
    }
    for (t, target) in object.targets.iter().enumerate() {
        let delta = |name: &str| match target.get(name) {
            None => Ok(Vec::new()),
            Some(&index) => accessors.floats(index, &["VEC3"], [0.0; 3], &format!("{path}.targets[{t}].{name}")),
        };
        let left = target.keys().filter(|name| !["POSITION", "NORMAL", "TANGENT"].contains(&name.as_str())).count();
        let message = "morph targets of other attributes than position, normal and tangent were left out";
        cx.report_times(Severity::Warning, "target-attribute", message, Some(place()), left as u64);
        let name = names.and_then(|names| names.get(t)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (positions, normals, tangents) = (delta("POSITION")?, delta("NORMAL")?, delta("TANGENT")?);
        primitive.targets.push(MorphTarget {
            name,
            positions: positions.into(),
            normals: normals.into(),
            tangents: tangents.into(),
        });
    }
    let indices = match object.indices {
        None => None,
        Some(index) => Some(accessors.integers::<1>(index, &["SCALAR"], &format!("{path}.indices"))?.into_flattened()),
    };
    primitive.indices = as_list(mode, indices, primitive.positions.len(), cx)?.map(Into::into);
    check_corners(&mut primitive, path, cx)?;
    let broken = primitive.positions.iter().filter(|p| !p.iter().all(|value| value.is_finite())).count() as u64;
    cx.report_times(Severity::Warning, "non-finite", "positions that are not finite", Some(place()), broken);
    let is_skinned = !primitive.weights.is_empty();
    if is_skinned && primitive.weights.iter().all(|set| set.len() == primitive.positions.len()) {
        let off = (0..primitive.positions.len()).filter(|&vertex| !has_unit_weights(&primitive, vertex)).count() as u64;
        let message = "vertices whose joint weights do not add up to 1";
        cx.report_times(Severity::Warning, "joint-weights", message, Some(place()), off);
    }
    check_bounds(accessors, position, &primitive, cx)?;
    Ok(primitive)
}

/// Weights whose sum is off by no more than this for each that is not zero are the work of rounding.
const WEIGHT_SUM: f64 = 2e-7;

/// Whether the weights of a vertex are not negative and add up to 1.
pub(super) fn has_unit_weights(primitive: &Primitive, vertex: usize) -> bool {
    let all = primitive.weights.iter().flat_map(|set| set[vertex]);
    let (sum, count, good) = all.fold((0.0f64, 0, true), |(sum, count, good), weight| {
        (sum + f64::from(weight), count + i32::from(weight != 0.0), good && weight >= 0.0 && weight.is_finite())
    });
    good && (sum - 1.0).abs() <= WEIGHT_SUM * f64::from(count)
}

/// Cuts what is no whole line or triangle; in lenient mode also drops those with indices out of range.
fn check_corners(primitive: &mut Primitive, path: &str, cx: &Context) -> Result<()> {
    let size = match primitive.topology {
        Topology::Triangles => 3,
        Topology::Lines => 2,
        _ => 1,
    };
    let corners = primitive.corners();
    if !corners.is_multiple_of(size) {
        let message = format!("{corners} corners are no multiple of {size}; the last ones were left out");
        cx.tolerate("corners", message, Location::element(path))?;
        let whole = u32::try_from(corners - corners % size).unwrap_or(u32::MAX);
        match &mut primitive.indices {
            Some(indices) => indices.to_mut().truncate(whole as usize),
            None => {
                cx.budget().take(u64::from(whole) * 4)?;
                primitive.indices = Some((0..whole).collect());
            }
        }
    }
    let vertices = primitive.positions.len();
    let Some(indices) = &mut primitive.indices else { return Ok(()) };
    let Some(largest) = indices.iter().copied().max().filter(|&largest| largest as usize >= vertices) else {
        return Ok(());
    };
    let error = Error::malformed(format!("index {largest} is out of range: there are {vertices} vertices"))
        .at_element(format!("{path}.indices"));
    cx.unless_lenient("index", error)?;
    *indices = indices
        .chunks_exact(size)
        .filter(|corners| corners.iter().all(|&corner| (corner as usize) < vertices))
        .flatten()
        .copied()
        .collect();
    Ok(())
}

/// Holds the declared `min` and `max` of positions against the positions: `header` relies on them.
fn check_bounds(accessors: &Accessors<'_>, index: Int, primitive: &Primitive, cx: &Context) -> Result<()> {
    let path = format!("accessors[{}]", index.0);
    let accessor = accessors.get(index, &path)?;
    if accessor.min.len() != 3 || accessor.max.len() != 3 {
        return cx.tolerate("no-min-max", "positions without min and max", Location::element(path));
    }
    let (mut min, mut max) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for position in &primitive.positions {
        for axis in 0..3 {
            min[axis] = min[axis].min(position[axis]);
            max[axis] = max[axis].max(position[axis]);
        }
    }
    if accessor.normalized || primitive.positions.is_empty() {
        return Ok(());
    }
    // The JSON numbers are decimal renderings of single-precision values.
    let differs = |declared: &[f64], found: &[f32; 3]| declared.iter().zip(found).any(|(d, f)| (*d as f32) != *f);
    if differs(&accessor.min, &min) || differs(&accessor.max, &max) {
        let message = format!(
            "min and max of positions: expected {min:?} and {max:?}, found {:?} and {:?}",
            accessor.min, accessor.max
        );
        return cx.tolerate("min-max", message, Location::element(path));
    }
    Ok(())
}

// ---- materials and textures

fn read_material(object: &MaterialObject, path: &str, cx: &Context) -> Result<Material> {
    let pbr = object.pbr_metallic_roughness.as_ref();
    let texture = |info: Option<&TextureInfo>| info.map(|info| read_texture_use(info, path)).transpose();
    let alpha = match object.alpha_mode.as_deref() {
        None | Some("OPAQUE") => AlphaMode::Opaque,
        Some("MASK") => AlphaMode::Mask(object.alpha_cutoff.unwrap_or(0.5)),
        Some("BLEND") => AlphaMode::Blend,
        Some(other) => {
            let message = format!("alpha mode: expected OPAQUE, MASK or BLEND, found {other:?}; OPAQUE is assumed");
            cx.tolerate("alpha-mode", message, Location::element(path))?;
            AlphaMode::Opaque
        }
    };
    let strength =
        object.extensions.get(KHR_EMISSIVE_STRENGTH).and_then(|it| it.get("emissiveStrength")).and_then(Value::as_f64);
    let strength = strength.map_or(1.0, |strength| strength as f32);
    let mut original: BTreeMap<String, String> = (object.extras.as_ref())
        .and_then(|extras| extras.get(super::frame::KEY)?.as_object())
        .map(|own| own.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
        .unwrap_or_default();
    for (name, value) in &object.extensions {
        if !is_supported(name) {
            original.insert(name.clone(), value.to_string());
        }
    }
    let material = Material {
        name: object.name.clone(),
        base_color: pbr.and_then(|pbr| pbr.base_color_factor).unwrap_or([1.0; 4]),
        base_color_texture: texture(pbr.and_then(|pbr| pbr.base_color_texture.as_ref()))?,
        metallic: pbr.and_then(|pbr| pbr.metallic_factor).unwrap_or(1.0),
        roughness: pbr.and_then(|pbr| pbr.roughness_factor).unwrap_or(1.0),
        metallic_roughness_texture: texture(pbr.and_then(|pbr| pbr.metallic_roughness_texture.as_ref()))?,
        normal_texture: texture(object.normal_texture.as_ref())?,
        occlusion_texture: texture(object.occlusion_texture.as_ref())?,
        emissive: object.emissive_factor.map(|value| value * strength),
        emissive_texture: texture(object.emissive_texture.as_ref())?,
        alpha,
        double_sided: object.double_sided,
        unlit: object.extensions.contains_key(KHR_UNLIT),
        original,
    };
    match extension::<SpecularGlossiness>(&object.extensions, KHR_SPECULAR_GLOSSINESS, path)? {
        None => Ok(material),
        // Its place is that of the metallic-roughness properties; the specular part stays text.
        Some(other) => Ok(Material {
            base_color: other.diffuse_factor.unwrap_or([1.0; 4]),
            base_color_texture: texture(other.diffuse_texture.as_ref())?,
            metallic: 0.0,
            roughness: 1.0 - other.glossiness_factor.unwrap_or(1.0),
            metallic_roughness_texture: None,
            ..material
        }),
    }
}

fn read_texture_use(info: &TextureInfo, path: &str) -> Result<TextureUse> {
    let transform = extension::<TextureTransform>(&info.extensions, KHR_TEXTURE_TRANSFORM, path)?;
    let texcoord = transform.as_ref().and_then(|transform| transform.tex_coord).unwrap_or(info.tex_coord);
    Ok(TextureUse {
        texture: narrow(info.index),
        texcoord: narrow(texcoord),
        transform: transform
            .map(|it| (it.offset.unwrap_or_default(), it.scale.unwrap_or([1.0; 2]), it.rotation.unwrap_or_default())),
        factor: info.scale.or(info.strength).unwrap_or(1.0),
    })
}

/// The image index of a texture: the core one, which every viewer reads, else that of an extension.
fn image_of(texture: &TextureObject) -> Option<Int> {
    texture.source.or_else(|| {
        IMAGE_EXTENSIONS.iter().find_map(|(name, _)| {
            let index = texture.extensions.get(*name)?.get("source")?;
            Int::deserialize(index).ok()
        })
    })
}

struct Picture {
    uri: Option<String>,
    media_type: String,
    /// Shared, so that textures of one picture cost it once.
    bytes: Arc<[u8]>,
}

fn read_textures(accessors: &Accessors<'_>, source: &Source) -> Result<Vec<Texture>> {
    let (document, cx) = (accessors.document, accessors.cx);
    let mut pictures = Vec::new();
    for i in 0..document.images.len() {
        pictures.push(read_image(accessors, i, source)?);
    }
    let mut textures = Vec::new();
    for (t, object) in document.textures.iter().enumerate() {
        let path = format!("textures[{t}]");
        let find = |index: Int, count: usize, what: &str| {
            usize::try_from(index.0).ok().filter(|&index| index < count).ok_or_else(|| {
                Error::malformed(format!("{what} {} is out of range: there are {count}", index.0))
                    .at_element(path.clone())
            })
        };
        let sampler = match object.sampler {
            None => None,
            Some(index) => Some(&document.samplers[find(index, document.samplers.len(), "sampler")?]),
        };
        let wrap = |code: Option<Int>| match code.map_or(10497, |code| code.0) {
            10497 => Ok(Wrap::Repeat),
            33071 => Ok(Wrap::Clamp),
            33648 => Ok(Wrap::Mirror),
            other => Err(Error::malformed(format!("wrap: expected 10497, 33071 or 33648, found {other}"))
                .at_element(path.clone())),
        };
        let image = match image_of(object) {
            None => None,
            Some(index) => Some(find(index, document.images.len(), "image")?),
        };
        if image.is_none() {
            cx.warn_at("no-image", "a texture without an image this reader knows", Location::element(path.clone()));
        }
        let picture = image.map(|image| &pictures[image]);
        let image_name = image.map(|image| document.images[image].name.as_str()).unwrap_or_default();
        // Our own writer keeps the file name of the original here.
        let own_uri = || Some(object.extras.as_ref()?.get(super::frame::KEY)?.get("uri")?.as_str()?.to_owned());
        textures.push(Texture {
            name: if object.name.is_empty() { image_name.to_owned() } else { object.name.clone() },
            uri: picture.and_then(|picture| picture.uri.clone()).or_else(own_uri),
            media_type: picture.map(|picture| picture.media_type.clone()).unwrap_or_default(),
            bytes: picture.map(|picture| Arc::clone(&picture.bytes).into()).unwrap_or_default(),
            wrap: [wrap(sampler.and_then(|it| it.wrap_s))?, wrap(sampler.and_then(|it| it.wrap_t))?],
            nearest: sampler.and_then(|sampler| sampler.mag_filter).is_some_and(|filter| filter.0 == 9728),
        });
    }
    Ok(textures)
}

fn read_image(accessors: &Accessors<'_>, index: usize, source: &Source) -> Result<Picture> {
    let (image, cx) = (&accessors.document.images[index], accessors.cx);
    let path = format!("images[{index}]");
    let mut uri = None;
    let mut media_type = image.mime_type.clone().unwrap_or_default();
    let bytes: Arc<[u8]> = match (image.buffer_view, &image.uri) {
        (Some(view), _) => {
            let (bytes, _) = accessors.view(view, &path)?;
            cx.budget().take(bytes.len() as u64)?;
            bytes.into()
        }
        (None, Some(text)) => match Uri::parse(text, cx).map_err(|error| error.at_element(path.clone()))? {
            Uri::Data(kind, bytes) => {
                if media_type.is_empty() {
                    media_type = kind;
                }
                bytes.into()
            }
            Uri::File(name) => {
                uri = Some(name.clone());
                match source.sibling(&name, cx).and_then(|sibling| sibling.bytes(cx)) {
                    Ok(bytes) => {
                        cx.budget().take(bytes.len() as u64)?;
                        (&*bytes).into()
                    }
                    Err(error) => {
                        let at = Location::element(path);
                        cx.report(Severity::Error, "missing-image", error.message().to_owned(), Some(at));
                        Arc::from([])
                    }
                }
            }
        },
        (None, None) => {
            cx.warn_at("no-image", "an image without bytes", Location::element(path));
            Arc::from([])
        }
    };
    if media_type.is_empty() {
        media_type = sniff(&bytes).unwrap_or_default().to_owned();
    }
    Ok(Picture { uri, media_type, bytes })
}

/// The media type of a picture file by its first bytes.
pub(super) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(usize, &[u8], &str); 5] = [
        (0, b"\x89PNG\r\n\x1A\n", "image/png"),
        (0, b"\xFF\xD8\xFF", "image/jpeg"),
        (0, b"\xABKTX 20\xBB\r\n\x1A\n", "image/ktx2"),
        (8, b"WEBP", "image/webp"),
        (4, b"ftypavif", "image/avif"),
    ];
    let found = SIGNATURES.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(.., media_type)| *media_type)
}

// ---- animations

fn read_animations(accessors: &Accessors<'_>) -> Result<Vec<Animation>> {
    let cx = accessors.cx;
    let mut animations = Vec::new();
    for (a, object) in accessors.document.animations.iter().enumerate() {
        let mut animation = Animation { name: object.name.clone(), ..Animation::default() };
        for (c, channel) in object.channels.iter().enumerate() {
            let path = format!("animations[{a}].channels[{c}]");
            let property = match channel.target.path.as_str() {
                "translation" => Some(AnimatedProperty::Translation),
                "rotation" => Some(AnimatedProperty::Rotation),
                "scale" => Some(AnimatedProperty::Scale),
                "weights" => Some(AnimatedProperty::Weights),
                _ => None,
            };
            let (Some(node), Some(property)) = (channel.target.node, property) else {
                let message = "animation channels that move no node were left out";
                cx.warn_at("channel", message, Location::element(path));
                continue;
            };
            let samplers = &object.samplers;
            let sampler = usize::try_from(channel.sampler.0).ok().and_then(|s| samplers.get(s)).ok_or_else(|| {
                let message = format!("sampler {} is out of range: there are {}", channel.sampler.0, samplers.len());
                Error::malformed(message).at_element(path.clone())
            })?;
            let interpolation = match sampler.interpolation.as_deref() {
                None | Some("LINEAR") => Interpolation::Linear,
                Some("STEP") => Interpolation::Step,
                Some("CUBICSPLINE") => Interpolation::CubicSpline,
                Some(other) => {
                    return Err(Error::malformed(format!(
                        "interpolation: expected LINEAR, STEP or CUBICSPLINE, found {other:?}"
                    ))
                    .at_element(path));
                }
            };
            let times = accessors.floats(sampler.input, &["SCALAR"], [0.0], &path)?.into_flattened();
            if !times.is_sorted_by(|a, b| a < b) {
                cx.tolerate("key-times", "the times of keys do not rise strictly", Location::element(path.clone()))?;
            }
            let values = match property {
                AnimatedProperty::Rotation => {
                    accessors.floats(sampler.output, &["VEC4"], [0.0; 4], &path)?.into_flattened()
                }
                AnimatedProperty::Weights => {
                    accessors.floats(sampler.output, &["SCALAR"], [0.0], &path)?.into_flattened()
                }
                _ => accessors.floats(sampler.output, &["VEC3"], [0.0; 3], &path)?.into_flattened(),
            };
            check_values(&times, &values, property, interpolation, &path)?;
            animation.channels.push(Channel { node: narrow(node), property, interpolation, times, values });
        }
        animations.push(animation);
    }
    Ok(animations)
}

fn check_values(
    times: &[f32],
    values: &[f32],
    property: AnimatedProperty,
    interpolation: Interpolation,
    path: &str,
) -> Result<()> {
    let tangents = if interpolation == Interpolation::CubicSpline { 3 } else { 1 };
    let keys = times.len() * tangents;
    let fits = match property {
        AnimatedProperty::Weights => keys > 0 && values.len().is_multiple_of(keys),
        AnimatedProperty::Rotation => values.len() == keys * 4,
        _ => values.len() == keys * 3,
    };
    if fits {
        return Ok(());
    }
    Err(Error::malformed(format!("{} values do not fit {} keys", values.len(), times.len()))
        .at_element(path.to_owned()))
}
