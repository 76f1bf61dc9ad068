//! From a scene to glTF that the Khronos validator accepts: what the specification forbids is repaired and reported.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use mediary_core::record::scene::{
    AlphaMode, AnimatedProperty, Animation, Camera, Interpolation, Light, Material, Node, Primitive, Scene, Skin,
    Texture, TextureUse, Topology, Transform, Wrap,
};
use mediary_core::record::triangulate;
use mediary_core::{Context, Error, Output, Result};
use serde_json::{Map, Value, json};

use super::container::{BIN, CHUNK_HEADER_BYTES, HEADER_BYTES, JSON, MAGIC, VERSION};
use super::frame::{Frame, KEY, MATRIX, PROPERTIES};
use super::matrix::{Trs, decompose, split};
use super::plan::{ARRAY_BUFFER, Data, ELEMENT_ARRAY_BUFFER, Plan};
use super::reader::{
    IMAGE_EXTENSIONS, KHR_EMISSIVE_STRENGTH, KHR_LIGHTS, KHR_TEXTURE_TRANSFORM, KHR_UNLIT, has_unit_weights, sniff,
};
use super::uri;
use crate::pictures::FileNames;

/// `asset.generator` begins with it.
pub(super) const GENERATOR: &str = "mediary ";
/// Squared lengths within this of 1 count as unit length; the validator is a little more generous.
const UNIT: f64 = 0.01;

/// Where the bytes of the buffer and of images go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bulk {
    /// Into the binary chunk.
    Chunk,
    /// Into `data:` URIs.
    Embedded,
    /// Into files beside the output.
    Beside,
}

impl<'a> Writer<'a> {
    fn new(scene: &'a Scene, bulk: Bulk, stem: String, cx: &'a Context) -> Self {
        let plan = Plan::default();
        let names = FileNames::beside(&stem);
        let (used, required) = (BTreeSet::new(), BTreeSet::new());
        Self { scene, cx, bulk, stem, names, plan, files: Vec::new(), used, required, parents: Vec::new() }
    }
}

/// Writes a scene with the record's properties as a GLB.
pub(super) fn write_binary(
    scene: &Scene,
    properties: &Map<String, Value>,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    let mut writer = Writer::new(scene, Bulk::Chunk, String::new(), cx);
    let document = writer.document(properties)?;
    let mut json = serde_json::to_vec(&document)
        .map_err(|error| Error::malformed(format!("the document cannot be written: {error}")))?;
    json.resize(json.len().next_multiple_of(4), b' ');
    let bin = writer.plan.bytes;
    let chunks = if bin == 0 { 1 } else { 2 };
    let total = HEADER_BYTES + chunks * CHUNK_HEADER_BYTES + json.len() as u64 + bin;
    let length = u32::try_from(total).map_err(|_| {
        Error::unsupported(format!("the scene needs {total} bytes, a GLB holds at most {}", u32::MAX))
            .with_hint("write it in parts, or in another format")
    })?;
    // Both chunks are shorter than the total, which fits.
    out.write_all(&MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&(json.len() as u32).to_le_bytes())?;
    out.write_all(&JSON)?;
    out.write_all(&json)?;
    if bin > 0 {
        out.write_all(&(bin as u32).to_le_bytes())?;
        out.write_all(&BIN)?;
        writer.plan.write(out, cx)?;
    }
    Ok(())
}

/// Writes a scene with the record's properties as JSON; its buffer and its images as files beside it, or in it.
pub(crate) fn write_text(
    scene: &Scene,
    properties: &Map<String, Value>,
    embed: bool,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    let bulk = if embed || !out.has_siblings() { Bulk::Embedded } else { Bulk::Beside };
    if bulk == Bulk::Embedded && !embed {
        cx.note("embedded", "the output has no files beside it: the buffer and the images are written into it");
    }
    let mut writer = Writer::new(scene, bulk, out.stem(), cx);
    let document = writer.document(properties)?;
    serde_json::to_writer(&mut *out, &document).map_err(|error| Error::from(std::io::Error::from(error)))?;
    if bulk == Bulk::Embedded {
        return Ok(());
    }
    if writer.plan.bytes > 0 {
        writer.plan.write(&mut out.sibling(&writer.buffer_name())?, cx)?;
    }
    for (name, bytes) in &writer.files {
        out.sibling(name)?.write_all(bytes)?;
    }
    Ok(())
}

/// Puts `values` into `object` unless they are empty, which the specification forbids.
fn put_list(object: &mut Map<String, Value>, key: &str, values: Vec<Value>) {
    if !values.is_empty() {
        object.insert(key.into(), values.into());
    }
}

fn put_name(object: &mut Map<String, Value>, name: &str) {
    if !name.is_empty() {
        object.insert("name".into(), name.into());
    }
}

/// A single-precision number by its shortest decimal digits; 0 for what is not finite.
fn number(value: f32) -> Value {
    let short: f64 = value.to_string().parse().unwrap_or_default();
    let exact = if short as f32 == value { short } else { f64::from(value) };
    if exact.is_finite() { json!(exact) } else { json!(0.0) }
}

fn numbers(values: &[f32]) -> Value {
    values.iter().map(|&value| number(value)).collect::<Vec<_>>().into()
}

/// New indices of what is written, `None` for what is left out.
struct Renumber(Vec<Option<u64>>);

impl Renumber {
    fn new(kept: impl Iterator<Item = bool>) -> Self {
        let mut next = 0;
        Self(
            kept.map(|kept| {
                let index = next;
                next += u64::from(kept);
                kept.then_some(index)
            })
            .collect(),
        )
    }

    fn get(&self, index: Option<u32>) -> Option<u64> {
        self.0.get(index? as usize).copied().flatten()
    }

    fn left_out(&self) -> u64 {
        self.0.iter().filter(|index| index.is_none()).count() as u64
    }
}

/// Images, samplers and textures.
type Textures = (Vec<Value>, Vec<Value>, Vec<Value>);

struct Writer<'a> {
    scene: &'a Scene,
    cx: &'a Context,
    bulk: Bulk,
    /// File name of the output without its ending.
    stem: String,
    names: FileNames,
    plan: Plan<'a>,
    /// Images that are files of their own.
    files: Vec<(String, &'a [u8])>,
    used: BTreeSet<&'static str>,
    required: BTreeSet<&'static str>,
    /// Nodes made to hold a part of the transform of another: that node, and the object.
    parents: Vec<(u32, Value)>,
}

impl<'a> Writer<'a> {
    fn document(&mut self, properties: &Map<String, Value>) -> Result<Value> {
        let scene = self.scene;
        let mut asset = json!({ "version": "2.0", "generator": format!("{GENERATOR}{}", env!("CARGO_PKG_VERSION")) });
        if !properties.is_empty() {
            // Other programs look for the notice where the specification has it.
            if let Some(Value::String(notice)) = properties.get("copyright") {
                asset["copyright"] = notice.clone().into();
            }
            asset["extras"] = json!({ KEY: { PROPERTIES: properties } });
        }
        let meshes = Renumber::new(scene.meshes.iter().map(|mesh| mesh.primitives.iter().any(is_written)));
        self.cx.lose("empty-mesh", meshes.left_out(), "meshes without vertices");
        let empty =
            |mesh: &mediary_core::record::scene::Mesh| mesh.primitives.iter().filter(|p| !is_written(p)).count();
        let empty = scene.meshes.iter().map(empty).sum::<usize>();
        self.cx.lose("empty-primitive", empty as u64, "primitives without vertices");
        let cameras = Renumber::new(scene.cameras.iter().map(is_valid_camera));
        self.cx.lose("camera", cameras.left_out(), "cameras with impossible values");
        let skins = Renumber::new(scene.skins.iter().map(|skin| !skin.joints.is_empty()));
        self.cx.lose("skin", skins.left_out(), "skins without joints");

        let mesh_list = scene.meshes.iter().filter(|mesh| mesh.primitives.iter().any(is_written));
        let mesh_list = mesh_list.map(|mesh| self.mesh(mesh)).collect::<Result<Vec<_>>>()?;
        let materials = scene.materials.iter().map(|material| self.material(material)).collect();
        let (images, samplers, textures) = self.textures()?;
        let skin_list = scene.skins.iter().filter(|skin| !skin.joints.is_empty());
        let skin_list = skin_list.map(|skin| self.skin(skin)).collect();
        let camera_list = scene.cameras.iter().filter(|camera| is_valid_camera(camera)).map(camera).collect();
        let animated = self.animated_nodes();
        let animations = scene.animations.iter().filter_map(|animation| self.animation(animation)).collect();
        let mut nodes = Vec::with_capacity(scene.nodes.len() + 1);
        for (n, node) in (0..).zip(&scene.nodes) {
            nodes.push(self.node(n, node, animated[n as usize], &meshes, &skins, &cameras));
        }
        let mut roots = scene.roots.clone();
        self.put_parents(&mut nodes, &mut roots);
        let frame = Frame::of(scene);
        if frame.is_foreign {
            let node = nodes.len();
            nodes.push(frame.to_json(&roots));
            roots = vec![u32::try_from(node).unwrap_or(u32::MAX)];
        }
        let mut shown = Map::new();
        put_name(&mut shown, &scene.name);
        put_list(&mut shown, "nodes", roots.into_iter().map(Value::from).collect());

        let mut document = Map::new();
        document.insert("asset".into(), asset);
        if !scene.lights.is_empty() {
            self.used.insert(KHR_LIGHTS);
            let lights: Vec<_> = scene.lights.iter().map(light).collect();
            document.insert("extensions".into(), json!({ KHR_LIGHTS: { "lights": lights } }));
        }
        put_list(&mut document, "extensionsUsed", self.used.iter().map(|&name| name.into()).collect());
        put_list(&mut document, "extensionsRequired", self.required.iter().map(|&name| name.into()).collect());
        document.insert("scene".into(), 0.into());
        document.insert("scenes".into(), vec![Value::from(shown)].into());
        put_list(&mut document, "nodes", nodes);
        put_list(&mut document, "meshes", mesh_list);
        put_list(&mut document, "materials", materials);
        put_list(&mut document, "textures", textures);
        put_list(&mut document, "images", images);
        put_list(&mut document, "samplers", samplers);
        put_list(&mut document, "skins", skin_list);
        put_list(&mut document, "animations", animations);
        put_list(&mut document, "cameras", camera_list);
        put_list(&mut document, "accessors", std::mem::take(&mut self.plan.accessors));
        put_list(&mut document, "bufferViews", std::mem::take(&mut self.plan.views));
        if self.plan.bytes > 0 {
            document.insert("buffers".into(), vec![self.buffer()?].into());
        }
        Ok(document.into())
    }

    fn buffer_name(&self) -> String {
        format!("{}.bin", self.stem)
    }

    fn buffer(&self) -> Result<Value> {
        let mut buffer = json!({ "byteLength": self.plan.bytes });
        match self.bulk {
            Bulk::Chunk => {}
            Bulk::Beside => buffer["uri"] = uri::escape(&self.buffer_name()).into(),
            Bulk::Embedded => {
                self.cx.budget().take(self.plan.bytes / 3 * 4)?;
                let mut data = uri::DataUri::new("application/octet-stream");
                self.plan.write(&mut data, self.cx)?;
                buffer["uri"] = data.finish().into();
            }
        }
        Ok(buffer)
    }

    // ---- nodes

    fn node(
        &mut self,
        index: u32,
        node: &Node,
        animated: bool,
        meshes: &Renumber,
        skins: &Renumber,
        cameras: &Renumber,
    ) -> Value {
        let mut object = Map::new();
        put_name(&mut object, &node.name);
        put_list(&mut object, "children", node.children.iter().map(|&child| child.into()).collect());
        self.transform(&mut object, index, &node.transform, animated);
        let mesh = meshes.get(node.mesh);
        if let Some(mesh) = mesh {
            object.insert("mesh".into(), mesh.into());
        }
        if let Some(skin) = skins.get(node.skin) {
            let mesh = node.mesh.and_then(|mesh| self.scene.meshes.get(mesh as usize));
            let skinned =
                mesh.is_some_and(|mesh| mesh.primitives.iter().filter(|p| is_written(p)).any(|p| !p.joints.is_empty()));
            if skinned {
                object.insert("skin".into(), skin.into());
            } else {
                self.cx.lose("node-skin", 1, "skins of nodes whose mesh has no joints");
            }
        }
        if let Some(camera) = cameras.get(node.camera) {
            object.insert("camera".into(), camera.into());
        }
        if let Some(light) = node.light {
            object.insert("extensions".into(), json!({ KHR_LIGHTS: { "light": light } }));
        }
        if !node.weights.is_empty() {
            let targets = node.mesh.and_then(|mesh| self.scene.meshes.get(mesh as usize)).map_or(0, target_count);
            if mesh.is_some() && targets == node.weights.len() {
                object.insert("weights".into(), numbers(&node.weights));
            } else {
                self.cx.lose("weights", 1, "morph weights that do not fit the number of targets");
            }
        }
        object.into()
    }

    fn transform(&mut self, object: &mut Map<String, Value>, index: u32, transform: &Transform, animated: bool) {
        if *transform == Transform::IDENTITY {
            return;
        }
        if !transform.matrix().iter().all(|value| value.is_finite()) {
            self.cx.lose("transform", 1, "node transforms that are not finite");
            return;
        }
        let trs = match transform {
            Transform::Trs { translation, rotation, scale } => (*translation, *rotation, *scale),
            Transform::Matrix(matrix) => match (decompose(matrix), split(matrix)) {
                (Some(_), _) if !animated => {
                    object.insert("matrix".into(), json!(matrix));
                    return;
                }
                // A node that is animated must not have a matrix.
                (Some(trs), _) => trs,
                (None, Some((outer, rotation))) if !animated => {
                    self.parents.push((index, self.parent(index, matrix, outer)));
                    ([0.0; 3], rotation, [1.0; 3])
                }
                (None, _) => {
                    let what = "perspective of nodes, and shear of animated ones: their translation is kept";
                    self.cx.lose("shear", 1, what);
                    ([matrix[12], matrix[13], matrix[14]], [0.0, 0.0, 0.0, 1.0], [1.0; 3])
                }
            },
        };
        self.put_trs(object, trs);
    }

    /// The node above a sheared one: glTF forbids shear in a node, two nodes make it. The reader joins them again.
    fn parent(&self, index: u32, matrix: &[f64; 16], outer: Trs) -> Value {
        let mut object = Map::new();
        put_list(&mut object, "children", vec![index.into()]);
        self.put_trs(&mut object, outer);
        object.insert("extras".into(), json!({ KEY: { MATRIX: matrix } }));
        object.into()
    }

    /// Adds the nodes of [`parent`](Self::parent) and puts them where their children stood.
    fn put_parents(&self, nodes: &mut Vec<Value>, roots: &mut [u32]) {
        let first = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let above: BTreeMap<u32, u32> = self.parents.iter().map(|(child, _)| *child).zip(first..).collect();
        if above.is_empty() {
            return;
        }
        for root in roots {
            *root = *above.get(root).unwrap_or(root);
        }
        for child in nodes.iter_mut().filter_map(|node| node.get_mut("children")?.as_array_mut()).flatten() {
            let parent = child.as_u64().and_then(|child| above.get(&u32::try_from(child).ok()?));
            if let Some(&parent) = parent {
                *child = parent.into();
            }
        }
        nodes.extend(self.parents.iter().map(|(_, parent)| parent.clone()));
    }

    fn put_trs(&self, object: &mut Map<String, Value>, trs: Trs) {
        let (translation, mut rotation, scale) = trs;
        let length = rotation.iter().map(|value| value * value).sum::<f64>().sqrt();
        if (length * length - 1.0).abs() > UNIT {
            self.cx.lose("rotation", 1, "rotations that are no unit quaternions were scaled to unit length");
            rotation = if length > 0.0 { rotation.map(|value| value / length) } else { [0.0, 0.0, 0.0, 1.0] };
        }
        if translation != [0.0; 3] {
            object.insert("translation".into(), json!(translation));
        }
        if rotation != [0.0, 0.0, 0.0, 1.0] {
            object.insert("rotation".into(), json!(rotation));
        }
        if scale != [1.0; 3] {
            object.insert("scale".into(), json!(scale));
        }
    }

    fn animated_nodes(&self) -> Vec<bool> {
        let mut animated = vec![false; self.scene.nodes.len()];
        for channel in self.scene.animations.iter().flat_map(|animation| &animation.channels) {
            if let Some(animated) = animated.get_mut(channel.node as usize) {
                *animated |= channel.property != AnimatedProperty::Weights;
            }
        }
        animated
    }

    // ---- meshes

    fn mesh(&mut self, mesh: &'a mediary_core::record::scene::Mesh) -> Result<Value> {
        let mut object = Map::new();
        put_name(&mut object, &mesh.name);
        let targets = target_count(mesh);
        let written: Vec<_> = mesh.primitives.iter().filter(|primitive| is_written(primitive)).collect();
        let dropped: usize = written.iter().map(|primitive| primitive.targets.len() - targets).sum();
        self.cx.lose("targets", dropped as u64, "morph targets that only some primitives of a mesh have");
        let mut primitives = Vec::new();
        for primitive in &written {
            primitives.push(self.primitive(primitive, targets)?);
        }
        object.insert("primitives".into(), primitives.into());
        if mesh.weights.len() == targets {
            put_list(&mut object, "weights", mesh.weights.iter().map(|&weight| number(weight)).collect());
        } else {
            self.cx.lose("weights", u64::from(!mesh.weights.is_empty()), "morph weights that do not fit the targets");
        }
        let names: Vec<_> = written.first().map_or(&[][..], |first| &first.targets[..targets]).iter().collect();
        if names.iter().any(|target| !target.name.is_empty()) {
            let names: Vec<_> = names.iter().map(|target| target.name.as_str()).collect();
            object.insert("extras".into(), json!({ "targetNames": names }));
        }
        Ok(object.into())
    }

    /// Positions and displacements: finite.
    fn floats<const N: usize>(&self, values: &'a [[f32; N]]) -> Cow<'a, [f32]> {
        let values = values.as_flattened();
        let broken = values.iter().filter(|value| !value.is_finite()).count() as u64;
        if broken == 0 {
            return values.into();
        }
        self.cx.lose("non-finite", broken, "numbers that are not finite were written as 0");
        values.iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect()
    }

    /// Directions of `N` components: the first three of unit length, a fourth of ±1.
    fn directions<const N: usize>(&self, values: &'a [[f32; N]], what: &str) -> Cow<'a, [f32]> {
        let squared = |v: &[f32; N]| v[..3].iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
        let is_good = |v: &[f32; N]| (squared(v) - 1.0).abs() <= UNIT && v[3..].iter().all(|w| w.abs() == 1.0);
        let broken = values.iter().filter(|v| !is_good(v)).count() as u64;
        if broken == 0 {
            return values.as_flattened().into();
        }
        self.cx.lose(what, broken, format!("{what} not of unit length were scaled to it"));
        let repaired = values.iter().flat_map(|v| {
            let mut v = *v;
            if !is_good(&v) {
                // Through the largest component, so that neither very short nor very long ones lose their direction.
                let largest = v[..3].iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                if largest.is_finite() && largest > 0.0 {
                    let scaled = [v[0], v[1], v[2]].map(|value| f64::from(value) / f64::from(largest));
                    let length = scaled.iter().map(|value| value * value).sum::<f64>().sqrt();
                    for axis in 0..3 {
                        v[axis] = (scaled[axis] / length) as f32;
                    }
                }
                if !largest.is_finite() || v[..3].iter().any(|value| !value.is_finite()) || largest == 0.0 {
                    v[..3].copy_from_slice(&[0.0, 0.0, 1.0]);
                }
                if let Some(handedness) = v[3..].first_mut() {
                    *handedness = if *handedness < 0.0 { -1.0 } else { 1.0 };
                }
            }
            v
        });
        repaired.collect()
    }

    fn colors(&self, values: &'a [[f32; 4]]) -> Cow<'a, [f32]> {
        let values = values.as_flattened();
        let broken = values.iter().filter(|value| !(0.0..=1.0).contains(*value)).count() as u64;
        if broken == 0 {
            return values.into();
        }
        self.cx.lose("color-range", broken, "colour values outside 0 to 1 were clamped");
        values.iter().map(|value| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }).collect()
    }

    /// Weights of all sets add up to 1 a vertex.
    fn weights(&self, primitive: &'a Primitive) -> Vec<Cow<'a, [f32]>> {
        let is_good = |vertex: usize| has_unit_weights(primitive, vertex);
        let broken = (0..primitive.positions.len()).filter(|&vertex| !is_good(vertex)).count() as u64;
        if primitive.weights.is_empty() || broken == 0 {
            return primitive.weights.iter().map(|set| set.as_flattened().into()).collect();
        }
        self.cx.lose("joint-weights", broken, "joint weights that do not add up to 1 were scaled");
        let clean = |weight: f32| if weight.is_finite() { f64::from(weight.max(0.0)) } else { 0.0 };
        let mut sets: Vec<Vec<[f32; 4]>> = primitive.weights.iter().map(|set| set.to_vec()).collect();
        for vertex in 0..primitive.positions.len() {
            if is_good(vertex) {
                continue;
            }
            let sum: f64 = sets.iter().flat_map(|set| set[vertex]).map(clean).sum();
            for (s, set) in sets.iter_mut().enumerate() {
                set[vertex] = match sum > 0.0 {
                    true => set[vertex].map(|weight| (clean(weight) / sum) as f32),
                    false => [if s == 0 { 1.0 } else { 0.0 }, 0.0, 0.0, 0.0],
                };
            }
        }
        sets.into_iter().map(|set| Cow::Owned(set.into_flattened())).collect()
    }

    fn primitive(&mut self, primitive: &'a Primitive, targets: usize) -> Result<Value> {
        self.cx.checkpoint()?;
        let mut attributes = Map::new();
        let mut put = |name: String, index: u64| attributes.insert(name, index.into());
        let data = Data::F32(self.floats(&primitive.positions));
        put("POSITION".into(), self.plan.accessor(data, "VEC3", ARRAY_BUFFER, true));
        if !primitive.normals.is_empty() {
            let data = Data::F32(self.directions(&primitive.normals, "normals"));
            put("NORMAL".into(), self.plan.accessor(data, "VEC3", ARRAY_BUFFER, false));
        }
        if !primitive.tangents.is_empty() && primitive.normals.is_empty() {
            self.cx.lose("tangents", primitive.tangents.len() as u64, "tangents without normals");
        } else if !primitive.tangents.is_empty() {
            let data = Data::F32(self.directions(&primitive.tangents, "tangents"));
            put("TANGENT".into(), self.plan.accessor(data, "VEC4", ARRAY_BUFFER, false));
        }
        for (set, values) in primitive.texcoords.iter().enumerate() {
            let data = Data::F32(self.floats(values));
            put(format!("TEXCOORD_{set}"), self.plan.accessor(data, "VEC2", ARRAY_BUFFER, false));
        }
        let material = primitive.material.and_then(|material| self.scene.materials.get(material as usize));
        let wanted = material.and_then(|material| material.texture_uses().map(|used| used.texcoord).max());
        let wanted = wanted.map_or(0, |set| (set as usize).saturating_add(1)).min(8);
        for set in primitive.texcoords.len()..wanted {
            // Viewers read missing texture coordinates as zeros; the specification wants them written.
            self.cx.note("texcoord", "texture coordinates that a material asks for were written as zeros");
            let data = Data::F32(vec![0.0; primitive.positions.len() * 2].into());
            put(format!("TEXCOORD_{set}"), self.plan.accessor(data, "VEC2", ARRAY_BUFFER, false));
        }
        for (set, values) in primitive.colors.iter().enumerate() {
            let data = Data::F32(self.colors(values));
            put(format!("COLOR_{set}"), self.plan.accessor(data, "VEC4", ARRAY_BUFFER, false));
        }
        let weights = self.weights(primitive);
        for (set, (joints, weights)) in primitive.joints.iter().zip(weights).enumerate() {
            put(format!("JOINTS_{set}"), self.plan.accessor(Data::joints(joints), "VEC4", ARRAY_BUFFER, false));
            put(format!("WEIGHTS_{set}"), self.plan.accessor(Data::F32(weights), "VEC4", ARRAY_BUFFER, false));
        }
        let mut object = Map::new();
        object.insert("attributes".into(), attributes.into());
        if let Some(indices) = self.indices(primitive)? {
            let index = self.plan.accessor(Data::indices(indices), "SCALAR", ELEMENT_ARRAY_BUFFER, false);
            object.insert("indices".into(), index.into());
        }
        if let Some(material) = primitive.material {
            object.insert("material".into(), material.into());
        }
        match primitive.topology {
            Topology::Points => object.insert("mode".into(), 0.into()),
            Topology::Lines => object.insert("mode".into(), 1.into()),
            _ => None,
        };
        let targets = primitive.targets[..targets].iter().map(|target| {
            let mut object = Map::new();
            let deltas = [
                ("POSITION", &target.positions, true),
                ("NORMAL", &target.normals, false),
                ("TANGENT", &target.tangents, false),
            ];
            for (name, values, bounds) in deltas {
                if !values.is_empty() && (bounds || !primitive.normals.is_empty()) {
                    let data = Data::F32(self.floats(values));
                    object.insert(name.into(), self.plan.accessor(data, "VEC3", ARRAY_BUFFER, bounds).into());
                }
            }
            if object.is_empty() {
                let data = Data::F32(vec![0.0; primitive.positions.len() * 3].into());
                object.insert("POSITION".into(), self.plan.accessor(data, "VEC3", ARRAY_BUFFER, true).into());
            }
            Value::from(object)
        });
        let targets = targets.collect();
        put_list(&mut object, "targets", targets);
        Ok(object.into())
    }

    /// Indices of points, lines or triangles; `None` for 0, 1, 2, …
    fn indices(&self, primitive: &'a Primitive) -> Result<Option<Cow<'a, [u32]>>> {
        if primitive.topology == Topology::Polygons {
            let large = primitive.face_sizes.iter().filter(|&&size| size > 3).count() as u64;
            self.cx.lose("polygons", large, "faces of more than three corners were cut into triangles");
            let small = primitive.face_sizes.iter().filter(|&&size| size < 3).count() as u64;
            self.cx.lose("degenerate-faces", small, "faces of fewer than three corners");
            self.cx.budget().take(primitive.triangles().saturating_mul(12))?;
            return Ok(Some(triangulate::primitive(primitive).into()));
        }
        let size = match primitive.topology {
            Topology::Triangles => 3,
            Topology::Lines => 2,
            _ => 1,
        };
        let corners = primitive.corners();
        let extra = corners % size;
        self.cx.lose("corners", extra as u64, "corners that make no whole line or triangle");
        Ok(match &primitive.indices {
            Some(indices) => Some(Cow::Borrowed(&indices[..corners - extra])),
            None if extra == 0 => None,
            None => Some((0..u32::try_from(corners - extra).unwrap_or(u32::MAX)).collect()),
        })
    }

    // ---- materials and textures

    fn material(&mut self, material: &Material) -> Value {
        let default = Material::default();
        let mut object = Map::new();
        put_name(&mut object, &material.name);
        let mut outside = 0;
        let mut unit = |value: f32| {
            let clamped = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
            outside += u64::from(clamped != value);
            clamped
        };
        let mut pbr = Map::new();
        let base_color = material.base_color.map(&mut unit);
        if base_color != default.base_color {
            pbr.insert("baseColorFactor".into(), numbers(&base_color));
        }
        for (key, value) in [("metallicFactor", material.metallic), ("roughnessFactor", material.roughness)] {
            let value = unit(value);
            if value != 1.0 {
                pbr.insert(key.into(), number(value));
            }
        }
        self.texture_use(&mut pbr, "baseColorTexture", material.base_color_texture.as_ref(), "");
        self.texture_use(&mut pbr, "metallicRoughnessTexture", material.metallic_roughness_texture.as_ref(), "");
        if !pbr.is_empty() {
            object.insert("pbrMetallicRoughness".into(), pbr.into());
        }
        self.texture_use(&mut object, "normalTexture", material.normal_texture.as_ref(), "scale");
        self.texture_use(&mut object, "occlusionTexture", material.occlusion_texture.as_ref(), "strength");
        self.texture_use(&mut object, "emissiveTexture", material.emissive_texture.as_ref(), "");
        let mut extensions = Map::new();
        let emissive = material.emissive.map(|value| if value.is_finite() && value > 0.0 { value } else { 0.0 });
        let largest = emissive.iter().fold(0.0f32, |largest, &value| largest.max(value));
        // A power of two: dividing by it and multiplying again is exact.
        let strength = if largest > 1.0 { f64::from(largest).log2().ceil().exp2() as f32 } else { 1.0 };
        if strength > 1.0 {
            self.used.insert(KHR_EMISSIVE_STRENGTH);
            extensions.insert(KHR_EMISSIVE_STRENGTH.into(), json!({ "emissiveStrength": number(strength) }));
        }
        if emissive != [0.0; 3] {
            object.insert("emissiveFactor".into(), numbers(&emissive.map(|value| value / strength)));
        }
        match material.alpha {
            AlphaMode::Opaque => {}
            AlphaMode::Mask(cutoff) => {
                object.insert("alphaMode".into(), "MASK".into());
                object.insert("alphaCutoff".into(), number(cutoff.max(0.0)));
            }
            AlphaMode::Blend => {
                object.insert("alphaMode".into(), "BLEND".into());
            }
        }
        if material.double_sided {
            object.insert("doubleSided".into(), true.into());
        }
        if material.unlit {
            self.used.insert(KHR_UNLIT);
            extensions.insert(KHR_UNLIT.into(), json!({}));
        }
        if !extensions.is_empty() {
            object.insert("extensions".into(), extensions.into());
        }
        if !material.original.is_empty() {
            object.insert("extras".into(), json!({ KEY: material.original }));
        }
        self.cx.lose("material-range", outside, "material values outside 0 to 1 were clamped");
        object.into()
    }

    fn texture_use(&mut self, into: &mut Map<String, Value>, key: &str, used: Option<&TextureUse>, factor: &str) {
        let Some(used) = used else { return };
        let mut object = Map::new();
        object.insert("index".into(), used.texture.into());
        if used.texcoord != 0 {
            object.insert("texCoord".into(), used.texcoord.into());
        }
        if !factor.is_empty() && used.factor != 1.0 {
            let value = if factor == "strength" { used.factor.clamp(0.0, 1.0) } else { used.factor };
            object.insert(factor.into(), number(value));
        }
        if let Some((offset, scale, rotation)) = used.transform {
            self.used.insert(KHR_TEXTURE_TRANSFORM);
            let transform =
                json!({ "offset": numbers(&offset), "rotation": number(rotation), "scale": numbers(&scale) });
            object.insert("extensions".into(), json!({ KHR_TEXTURE_TRANSFORM: transform }));
        }
        into.insert(key.into(), object.into());
    }

    /// Images, samplers and textures; equal images and samplers are written once.
    fn textures(&mut self) -> Result<Textures> {
        let (mut images, mut samplers, mut textures) = (Vec::new(), Vec::<Value>::new(), Vec::new());
        let mut known: Vec<(&'a [u8], usize, &str)> = Vec::new();
        for texture in &self.scene.textures {
            self.cx.checkpoint()?;
            let mut object = Map::new();
            put_name(&mut object, &texture.name);
            if let Some(sampler) = sampler(texture) {
                let index = samplers.iter().position(|known| *known == sampler).unwrap_or_else(|| {
                    samplers.push(sampler);
                    samplers.len() - 1
                });
                object.insert("sampler".into(), index.into());
            }
            match sniff(&texture.bytes) {
                None if texture.bytes.is_empty() => self.cx.lose("missing-image", 1, "images that the source lacks"),
                None => {
                    let message = format!("images that glTF cannot hold, e.g. {:?}", texture.media_type);
                    self.cx.lose("image-format", 1, message);
                }
                Some(media_type) => {
                    let bytes = &*texture.bytes;
                    let same = |known: &[u8]| std::ptr::eq(known, bytes) || known == bytes;
                    let index = known.iter().find(|(bytes, ..)| same(bytes)).map(|(_, index, _)| *index);
                    let index = match index {
                        Some(index) => index,
                        None => {
                            images.push(self.image(texture, media_type)?);
                            known.push((bytes, images.len() - 1, media_type));
                            images.len() - 1
                        }
                    };
                    match IMAGE_EXTENSIONS.iter().find(|(_, kind)| *kind == media_type) {
                        None => {
                            object.insert("source".into(), index.into());
                        }
                        Some((name, _)) => {
                            self.used.insert(name);
                            self.required.insert(name);
                            object.insert("extensions".into(), json!({ *name: { "source": index } }));
                        }
                    }
                }
            }
            // An image that is a file has its name.
            let is_file =
                self.bulk == Bulk::Beside && (object.contains_key("source") || object.contains_key("extensions"));
            if let Some(uri) = texture.uri.as_ref().filter(|_| !is_file) {
                object.insert("extras".into(), json!({ KEY: { "uri": uri } }));
            }
            textures.push(object.into());
        }
        Ok((images, samplers, textures))
    }

    fn image(&mut self, texture: &'a Texture, media_type: &'static str) -> Result<Value> {
        let bytes = &*texture.bytes;
        Ok(match self.bulk {
            Bulk::Chunk => json!({ "bufferView": self.plan.file(bytes), "mimeType": media_type }),
            Bulk::Embedded => {
                self.cx.budget().take(bytes.len() as u64 / 3 * 4)?;
                let mut data = uri::DataUri::new(media_type);
                data.write_all(bytes)?;
                json!({ "uri": data.finish(), "mimeType": media_type })
            }
            Bulk::Beside => {
                let name = self.names.of(texture, media_type);
                let image = json!({ "uri": uri::escape(&name), "mimeType": media_type });
                self.files.push((name, bytes));
                image
            }
        })
    }

    // ---- skins and animations

    fn skin(&mut self, skin: &'a Skin) -> Value {
        let mut object = Map::new();
        put_name(&mut object, &skin.name);
        object.insert("joints".into(), skin.joints.clone().into());
        if let Some(root) = skin.root {
            object.insert("skeleton".into(), root.into());
        }
        if !skin.inverse_bind_matrices.is_empty() {
            let is_affine = |m: &[f32; 16]| [m[3], m[7], m[11], m[15]] == [0.0, 0.0, 0.0, 1.0];
            let broken = skin.inverse_bind_matrices.iter().filter(|matrix| !is_affine(matrix)).count() as u64;
            let mut values = self.floats(&skin.inverse_bind_matrices);
            if broken > 0 {
                self.cx.lose("bind-matrix", broken, "fourth rows of inverse bind matrices were set to 0 0 0 1");
                for matrix in values.to_mut().chunks_exact_mut(16) {
                    (matrix[3], matrix[7], matrix[11], matrix[15]) = (0.0, 0.0, 0.0, 1.0);
                }
            }
            let index = self.plan.accessor(Data::F32(values), "MAT4", 0, false);
            object.insert("inverseBindMatrices".into(), index.into());
        }
        object.into()
    }

    fn animation(&mut self, animation: &'a Animation) -> Option<Value> {
        let mut seen = BTreeSet::new();
        let (mut channels, mut samplers) = (Vec::new(), Vec::new());
        for channel in &animation.channels {
            let path = match channel.property {
                AnimatedProperty::Translation => "translation",
                AnimatedProperty::Rotation => "rotation",
                AnimatedProperty::Scale => "scale",
                AnimatedProperty::Weights => "weights",
                _ => "",
            };
            let node = self.scene.nodes.get(channel.node as usize);
            let mesh = node.and_then(|node| self.scene.meshes.get(node.mesh? as usize));
            let rising = channel.times.is_sorted_by(|a, b| a < b) && channel.times.first().is_some_and(|&t| t >= 0.0);
            let finite = channel.times.iter().chain(&channel.values).all(|value| value.is_finite());
            let has_targets = path != "weights" || mesh.is_some_and(|mesh| target_count(mesh) > 0);
            if path.is_empty() || !rising || !finite || !has_targets || !seen.insert((channel.node, path)) {
                self.cx.lose("channel", 1, "animation channels that glTF forbids");
                continue;
            }
            let input = self.plan.accessor(Data::F32(channel.times.as_slice().into()), "SCALAR", 0, true);
            let kind = match path {
                "rotation" => "VEC4",
                "weights" => "SCALAR",
                _ => "VEC3",
            };
            let values: Cow<'a, [f32]> = channel.values.as_slice().into();
            let values = if path == "rotation" && channel.interpolation != Interpolation::CubicSpline {
                self.unit_quaternions(values)
            } else {
                values
            };
            let output = self.plan.accessor(Data::F32(values), kind, 0, false);
            let mut sampler = json!({ "input": input, "output": output });
            match channel.interpolation {
                Interpolation::Linear => {}
                Interpolation::Step => sampler["interpolation"] = "STEP".into(),
                Interpolation::CubicSpline => sampler["interpolation"] = "CUBICSPLINE".into(),
            }
            channels.push(json!({ "sampler": samplers.len(), "target": { "node": channel.node, "path": path } }));
            samplers.push(sampler);
        }
        if channels.is_empty() {
            self.cx.lose("animation", 1, "animations without channels");
            return None;
        }
        let mut object = Map::new();
        put_name(&mut object, &animation.name);
        object.insert("channels".into(), channels.into());
        object.insert("samplers".into(), samplers.into());
        Some(object.into())
    }

    fn unit_quaternions(&self, values: Cow<'a, [f32]>) -> Cow<'a, [f32]> {
        let squared = |q: &[f32]| q.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
        let is_unit = |q: &[f32]| (squared(q) - 1.0).abs() <= UNIT;
        let broken = values.chunks_exact(4).filter(|q| !is_unit(q)).count() as u64;
        if broken == 0 {
            return values;
        }
        self.cx.lose("rotation", broken, "rotations that are no unit quaternions were scaled to unit length");
        let mut values = values.into_owned();
        for q in values.chunks_exact_mut(4).filter(|q| !is_unit(q)) {
            let length = squared(q).sqrt();
            if length > 0.0 {
                q.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
            } else {
                q.copy_from_slice(&[0.0, 0.0, 0.0, 1.0]);
            }
        }
        values.into()
    }
}

/// Whether a primitive can be written: the specification wants at least one vertex, and one corner where there are indices.
fn is_written(primitive: &Primitive) -> bool {
    let smallest = match primitive.topology {
        Topology::Points => 1,
        Topology::Lines => 2,
        Topology::Polygons => return primitive.triangles() > 0 && !primitive.positions.is_empty(),
        _ => 3,
    };
    !primitive.positions.is_empty() && primitive.corners() >= smallest
}

/// Morph targets that all written primitives of a mesh have.
fn target_count(mesh: &mediary_core::record::scene::Mesh) -> usize {
    let written = mesh.primitives.iter().filter(|primitive| is_written(primitive));
    written.map(|primitive| primitive.targets.len()).min().unwrap_or(0)
}

fn is_valid_camera(camera: &Camera) -> bool {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    match *camera {
        Camera::Perspective { yfov, aspect, near, far } => {
            positive(yfov)
                && aspect.is_none_or(positive)
                && positive(near)
                && far.is_none_or(|far| far > near && far.is_finite())
        }
        Camera::Orthographic { xmag, ymag, near, far } => {
            let is_size = |value: f64| value.is_finite() && value != 0.0;
            is_size(xmag) && is_size(ymag) && near >= 0.0 && far > near && far.is_finite()
        }
    }
}

fn camera(camera: &Camera) -> Value {
    match *camera {
        Camera::Perspective { yfov, aspect, near, far } => {
            let mut object = json!({ "yfov": yfov, "znear": near });
            if let Some(aspect) = aspect {
                object["aspectRatio"] = aspect.into();
            }
            if let Some(far) = far {
                object["zfar"] = far.into();
            }
            json!({ "type": "perspective", "perspective": object })
        }
        Camera::Orthographic { xmag, ymag, near, far } => {
            let object = json!({ "xmag": xmag, "ymag": ymag, "znear": near, "zfar": far });
            json!({ "type": "orthographic", "orthographic": object })
        }
    }
}

fn light(light: &Light) -> Value {
    let mut object = Map::new();
    put_name(&mut object, &light.name);
    object.insert("type".into(), light.kind.into());
    if light.color != [1.0; 3] {
        object.insert("color".into(), numbers(&light.color.map(|value| value.clamp(0.0, 1.0))));
    }
    if light.intensity != 1.0 {
        object.insert("intensity".into(), number(light.intensity.max(0.0)));
    }
    if let Some(range) = light.range.filter(|range| *range > 0.0 && light.kind != "directional") {
        object.insert("range".into(), number(range));
    }
    if light.kind == "spot" {
        let [inner, outer] = light.cone.unwrap_or([0.0, std::f32::consts::FRAC_PI_4]);
        object.insert("spot".into(), json!({ "innerConeAngle": number(inner), "outerConeAngle": number(outer) }));
    }
    object.into()
}

fn sampler(texture: &Texture) -> Option<Value> {
    if texture.wrap == [Wrap::Repeat; 2] && !texture.nearest {
        return None;
    }
    let code = |wrap: Wrap| match wrap {
        Wrap::Repeat => 10497,
        Wrap::Mirror => 33648,
        Wrap::Clamp => 33071,
    };
    let filter = if texture.nearest { 9728 } else { 9729 };
    Some(json!({ "magFilter": filter, "wrapS": code(texture.wrap[0]), "wrapT": code(texture.wrap[1]) }))
}
