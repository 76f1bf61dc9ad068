//! From the document to a scene: nodes and what they carry, by the names they refer to each other with.

use std::collections::HashMap;

use mediary_core::record::Scene;
use mediary_core::record::scene::{Animation, Camera, Light, Node, Skin, Transform, multiply};
use mediary_core::{Context, Error, ErrorKind, Location, Result, Severity, Source};
use serde_json::{Map, Value};

use super::animation;
use super::document::{
    self, AnimationObject, CameraObject, Document, Geometries, Geometry, Id, LightObject, MorphTargetManager,
    NodeObject, Numbers, Skeleton,
};
use super::geometry::{Handedness, Parts, Shared};
use super::material::{self, Textures};
use crate::glb::matrix::{decompose, inverse, quaternion};

const NO_ROTATION: [f64; 4] = [0.0, 0.0, 0.0, 1.0];

/// Reads everything.
pub(super) fn read(source: &Source, cx: &Context) -> Result<(Scene, Map<String, Value>)> {
    let mut document: Document = document::parse(&source.bytes(cx)?, "the JSON", cx)?;
    let has_content = !document.meshes.is_empty()
        || !document.transform_nodes.is_empty()
        || !document.cameras.is_empty()
        || !document.lights.is_empty()
        || !document.materials.is_empty()
        || !document.producer.is_empty();
    if !has_content {
        return Err(Error::malformed("expected a scene with meshes, found none of its keys"));
    }
    let handedness = Handedness { z: if document.use_right_handed_system { 1.0 } else { -1.0 } };
    let mut scene = Scene { up_axis: Some("y"), ..Scene::default() };
    let materials = Materials::read(&document, &mut scene, source, cx)?;
    report_left_out(&document, cx);
    let (meshes, transform_nodes) =
        (std::mem::take(&mut document.meshes), std::mem::take(&mut document.transform_nodes));
    let mut builder = Builder {
        shared: Shared { handedness, source, cx },
        geometries: by_id(&document.geometries.vertex_data, |geometry| &geometry.id),
        morphs: by_id(&document.morph_target_managers, |manager| &manager.id),
        skeletons: by_id(&document.skeletons, |skeleton| &skeleton.id),
        materials,
        skins: HashMap::new(),
        known_meshes: HashMap::new(),
        ids: HashMap::new(),
        parents: Vec::new(),
        animation: Animation::default(),
        hidden: 0,
        scene,
    };
    for (n, object) in transform_nodes.iter().enumerate() {
        builder.node(object, &format!("transformNodes[{n}]"))?;
    }
    for (m, object) in meshes.into_iter().enumerate() {
        builder.mesh(object, &format!("meshes[{m}]"))?;
    }
    for (c, object) in document.cameras.iter().enumerate() {
        builder.camera(object, &format!("cameras[{c}]"))?;
    }
    for (l, object) in document.lights.iter().enumerate() {
        builder.light(object, &format!("lights[{l}]"))?;
    }
    let groups = builder.groups(&document)?;
    let mut properties = Map::new();
    for key in ["name", "version", "exporter_version"] {
        if let Some(value) = document.producer.get(key).and_then(Value::as_str) {
            properties.insert(format!("producer_{}", key.trim_end_matches("_version")), value.into());
        }
    }
    Ok((builder.finish(groups), properties))
}

fn by_id<T>(list: &[T], id: impl Fn(&T) -> &Id) -> HashMap<String, &T> {
    let mut all = HashMap::new();
    for item in list {
        all.entry(id(item).0.clone()).or_insert(item);
    }
    all
}

fn report_left_out(document: &Document, cx: &Context) {
    let left = document.particle_systems.len()
        + document.lens_flare_systems.len()
        + document.sounds.len()
        + usize::from(document.actions.is_some());
    let message = "particle systems, lens flares, sounds and actions have no place in the record";
    cx.report_times(Severity::Info, "left-out", message, None, left as u64);
    let Geometries { vertex_data: _, boxes, spheres, cylinders, toruses, grounds, planes, torus_knots } =
        &document.geometries;
    let parametric = [boxes, spheres, cylinders, toruses, grounds, planes, torus_knots];
    let count: usize = parametric.iter().map(|list| list.len()).sum();
    let message = "geometries given by parameters are not made";
    cx.report_times(Severity::Warning, "parametric-geometry", message, None, count as u64);
}

/// Three finite numbers.
fn vector(numbers: &Numbers) -> Option<[f64; 3]> {
    let values = numbers.0.get(..3)?;
    values.iter().all(|value| value.is_finite()).then(|| [values[0], values[1], values[2]])
}

fn matrix(numbers: &Numbers) -> Option<[f64; 16]> {
    let matrix = <[f64; 16]>::try_from(&numbers.0[..]).ok()?;
    matrix.iter().all(|value| value.is_finite()).then_some(matrix)
}

/// The quaternion of Euler angles in radians about x, y and z: first z, then x, then y.
pub(super) fn euler([x, y, z]: [f64; 3]) -> [f64; 4] {
    let [(sin_x, cos_x), (sin_y, cos_y), (sin_z, cos_z)] = [x, y, z].map(|angle| (angle / 2.0).sin_cos());
    [
        cos_y * sin_x * cos_z + sin_y * cos_x * sin_z,
        sin_y * cos_x * cos_z - cos_y * sin_x * sin_z,
        cos_y * cos_x * sin_z - sin_y * sin_x * cos_z,
        cos_y * cos_x * cos_z + sin_y * sin_x * sin_z,
    ]
}

fn rotation(quaternion: &Numbers, angles: &Numbers) -> [f64; 4] {
    if let Some(&[x, y, z, w]) = quaternion.0.get(..4).and_then(|values| values.first_chunk()) {
        let length = (x * x + y * y + z * z + w * w).sqrt();
        if length.is_finite() && length > 0.0 {
            return [x, y, z, w].map(|value| value / length);
        }
    }
    vector(angles).map_or(NO_ROTATION, euler)
}

/// The rotation after which −z points along `direction`, y up as far as possible.
fn look(direction: [f64; 3]) -> [f64; 4] {
    let unit = |v: [f64; 3]| {
        let length = v.iter().map(|value| value * value).sum::<f64>().sqrt();
        (length.is_finite() && length > 1e-12).then(|| v.map(|value| value / length))
    };
    let cross =
        |a: [f64; 3], b: [f64; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let Some(z) = unit(direction.map(|value| -value)) else { return NO_ROTATION };
    let Some(x) = unit(cross([0.0, 1.0, 0.0], z)).or_else(|| unit(cross([0.0, 0.0, -1.0], z))) else {
        return NO_ROTATION;
    };
    quaternion(&[x, cross(z, x), z])
}

/// Materials by the names that meshes use.
struct Materials {
    plain: HashMap<String, u32>,
    multi: HashMap<String, Vec<Option<u32>>>,
    /// Whether colours are sRGB.
    gamma: Vec<bool>,
}

impl Materials {
    fn read(document: &Document, scene: &mut Scene, source: &Source, cx: &Context) -> Result<Self> {
        let mut textures = Textures::new(source, cx);
        let (mut plain, mut gamma) = (HashMap::new(), Vec::new());
        for (m, object) in document.materials.iter().enumerate() {
            cx.checkpoint()?;
            scene.materials.push(material::read(object, &mut textures, &format!("materials[{m}]"))?);
            gamma.push(material::is_gamma(object));
            for key in ["id", "uniqueId"] {
                let id = match object.get(key) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Number(number)) => number.to_string(),
                    _ => continue,
                };
                plain.entry(id).or_insert(m as u32);
            }
        }
        scene.textures = textures.list;
        let mut multi = HashMap::new();
        for object in &document.multi_materials {
            let list = if object.materials.is_empty() { &object.materials_unique_ids } else { &object.materials };
            let list: Vec<_> = list.iter().map(|id| plain.get(&id.0).copied()).collect();
            for id in [&object.id, &object.unique_id] {
                if !id.0.is_empty() {
                    multi.entry(id.0.clone()).or_insert_with(|| list.clone());
                }
            }
            let missing = list.iter().filter(|material| material.is_none()).count() as u64;
            let message = format!("materials of {:?} that are not there", object.name);
            cx.report_times(Severity::Warning, "missing-material", message, None, missing);
        }
        Ok(Self { plain, multi, gamma })
    }

    fn of(&self, id: &Id, path: &str, cx: &Context) -> Vec<Option<u32>> {
        if let Some(list) = self.multi.get(&id.0) {
            return list.clone();
        }
        let known = self.plain.get(&id.0).copied();
        if known.is_none() && !id.0.is_empty() {
            let message = format!("material {:?} is not there", id.0);
            cx.warn_at("missing-material", message, Location::element(path));
        }
        vec![known]
    }
}

struct Builder<'a> {
    shared: Shared<'a>,
    geometries: HashMap<String, &'a Geometry>,
    morphs: HashMap<String, &'a MorphTargetManager>,
    skeletons: HashMap<String, &'a Skeleton>,
    materials: Materials,
    /// Skins by the name of their skeleton.
    skins: HashMap<String, u32>,
    /// Meshes by geometry, material, skeleton and morph targets.
    known_meshes: HashMap<[String; 4], u32>,
    ids: HashMap<String, u32>,
    parents: Vec<(u32, Id)>,
    /// What plays by itself.
    animation: Animation,
    hidden: u64,
    scene: Scene,
}

impl Builder<'_> {
    fn add(&mut self, node: Node, ids: [&Id; 2], parent: &Id) -> Result<u32> {
        self.shared.cx.budget().take(size_of::<Node>() as u64)?;
        let index = u32::try_from(self.scene.nodes.len()).unwrap_or(u32::MAX);
        for id in ids.into_iter().filter(|id| !id.0.is_empty()) {
            self.ids.entry(id.0.clone()).or_insert(index);
        }
        if !parent.0.is_empty() {
            self.parents.push((index, parent.clone()));
        }
        self.scene.nodes.push(node);
        Ok(index)
    }

    fn animate(&mut self, animations: &[AnimationObject], node: u32, path: &str) -> Result<()> {
        for (a, object) in animations.iter().enumerate() {
            let path = format!("{path}.animations[{a}]");
            let channels = animation::channels(object, node, self.shared.handedness, &path, self.shared.cx)?;
            self.animation.channels.extend(channels);
        }
        Ok(())
    }

    fn transform(&self, object: &NodeObject) -> Transform {
        let handedness = self.shared.handedness;
        let translation = vector(&object.position).unwrap_or_default();
        let scale = vector(&object.scaling).unwrap_or([1.0; 3]);
        let rotation = rotation(&object.rotation_quaternion, &object.rotation);
        let (pivot, local) = (matrix(&object.pivot_matrix), matrix(&object.local_matrix));
        if pivot.is_none() && local.is_none() {
            return Transform::Trs {
                translation: handedness.point(translation),
                rotation: handedness.rotation(rotation),
                scale,
            };
        }
        // What stands before scale and rotation, and what undoes the pivot behind them.
        let first = local.or(pivot).unwrap_or_else(|| Transform::IDENTITY.matrix());
        let turned = Transform::Trs { translation: [0.0; 3], rotation, scale }.matrix();
        let mut whole = multiply(&turned, &first);
        if let (None, Some(back)) = (local, pivot.as_ref().and_then(inverse)) {
            whole = multiply(&back, &whole);
        }
        for axis in 0..3 {
            whole[12 + axis] += translation[axis];
        }
        let whole = handedness.matrix(whole);
        match decompose(&whole) {
            Some((translation, rotation, scale)) => Transform::Trs { translation, rotation, scale },
            None => Transform::Matrix(whole),
        }
    }

    fn node(&mut self, object: &NodeObject, path: &str) -> Result<u32> {
        let node = Node { name: object.name.clone(), transform: self.transform(object), ..Node::default() };
        let index = self.add(node, [&object.id, &object.unique_id], &object.parent_id)?;
        self.animate(&object.animations, index, path)?;
        Ok(index)
    }

    fn mesh(&mut self, mut object: NodeObject, path: &str) -> Result<()> {
        let index = self.node(&object, path)?;
        let mesh = match self.geometry(&mut object, path) {
            Ok(mesh) => mesh,
            Err(error) if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Cancelled) => return Err(error),
            Err(error) => {
                self.shared.cx.unless_lenient("mesh", error)?;
                None
            }
        };
        self.scene.nodes[index as usize].mesh = mesh;
        let is_hidden = object.is_visible == Some(false) || object.is_enabled == Some(false);
        self.hidden += u64::from(is_hidden && mesh.is_some());
        if let Some(mesh) = mesh {
            let is_skinned = self.scene.meshes[mesh as usize].primitives.iter().any(|part| !part.joints.is_empty());
            if let Some(&skeleton) = self.skeletons.get(&object.skeleton_id.0).filter(|_| is_skinned) {
                let skin = self.skin(skeleton, index, path)?;
                self.scene.nodes[index as usize].skin = Some(skin);
            }
            if let Some(&morphs) = self.morphs.get(&object.morph_target_manager_id.0) {
                let channel = animation::weights(morphs, index, path, self.shared.cx)?;
                self.animation.channels.extend(channel);
            }
        }
        for (i, instance) in object.instances.iter().enumerate() {
            let path = format!("{path}.instances[{i}]");
            let node = self.node(instance, &path)?;
            self.scene.nodes[node as usize].mesh = mesh;
        }
        Ok(())
    }

    /// The mesh of a mesh object: its own arrays, those of a file, or those that several share.
    fn geometry(&mut self, object: &mut NodeObject, path: &str) -> Result<Option<u32>> {
        let cx = self.shared.cx;
        let own = object.take_geometry();
        let key = [&object.geometry_id, &object.material_id, &object.skeleton_id, &object.morph_target_manager_id];
        let key = key.map(|id| id.0.clone());
        let loaded;
        let mut is_shared = false;
        let geometry = if !own.positions.0.is_empty() {
            &own
        } else if !object.delay_loading_file.is_empty() {
            loaded = match self.shared.load(&object.delay_loading_file, object.binary_info.as_deref()) {
                Ok(loaded) => loaded,
                Err(error) if error.kind() == ErrorKind::Io => {
                    let message = format!("the arrays of a mesh are missing: {}", error.message());
                    cx.report(Severity::Error, "missing-geometry", message, Some(Location::element(path)));
                    return Ok(None);
                }
                Err(error) => return Err(error.at_element(format!("{path}.delayLoadingFile"))),
            };
            &loaded
        } else if !object.geometry_id.0.is_empty() {
            if let Some(&known) = self.known_meshes.get(&key) {
                return Ok(Some(known));
            }
            is_shared = true;
            let Some(&shared) = self.geometries.get(&object.geometry_id.0) else {
                let message = format!("geometry {:?} is not there", object.geometry_id.0);
                cx.warn_at("missing-geometry", message, Location::element(path));
                return Ok(None);
            };
            shared
        } else {
            return Ok(None);
        };
        let morph_id = &object.morph_target_manager_id.0;
        let skeleton = self.skeletons.get(&object.skeleton_id.0);
        if skeleton.is_none() && !geometry.matrices_indices.0.is_empty() {
            let message = format!("skeleton {:?} is not there: joints are left out", object.skeleton_id.0);
            cx.warn_at("missing-skeleton", message, Location::element(path));
        }
        let materials = self.materials.of(&object.material_id, path, cx);
        // Without a material, Babylon shows its standard one.
        let first = materials.iter().flatten().next();
        let gamma = first.is_none_or(|&material| self.materials.gamma[material as usize]);
        let morphs = self.morphs.get(morph_id).copied();
        let parts = Parts { materials, gamma, morphs, bones: skeleton.map(|skeleton| skeleton.bones.len()) };
        // Sub-meshes belong to the mesh, also where the arrays do not.
        let with_parts;
        let geometry = if geometry.sub_meshes.is_empty() && !own.sub_meshes.is_empty() {
            with_parts = Geometry { sub_meshes: own.sub_meshes.clone(), ..copy(geometry, cx)? };
            is_shared = false;
            &with_parts
        } else {
            geometry
        };
        let Some(mesh) = self.shared.mesh(&object.name, geometry, &parts, path)? else { return Ok(None) };
        self.scene.meshes.push(mesh);
        let index = self.scene.meshes.len() as u32 - 1;
        if is_shared {
            self.known_meshes.insert(key, index);
        }
        Ok(Some(index))
    }

    /// The skin of a skeleton, whose bones are made once, below the node of the first mesh that has it.
    fn skin(&mut self, skeleton: &Skeleton, mesh: u32, path: &str) -> Result<u32> {
        let cx = self.shared.cx;
        if let Some(&known) = self.skins.get(&skeleton.id.0) {
            let message = "a skeleton of several meshes stays with the first of them";
            cx.report(Severity::Info, "shared-skeleton", message, Some(Location::element(path)));
            return Ok(known);
        }
        let place = |b: usize| format!("skeletons[{:?}].bones[{b}]", skeleton.id.0);
        let first = u32::try_from(self.scene.nodes.len()).unwrap_or(u32::MAX);
        let mut parents = Vec::new();
        let mut local = Vec::new();
        for (b, bone) in skeleton.bones.iter().enumerate() {
            let parent = match bone.parent_bone_index {
                None | Some(..0) => None,
                Some(parent) => {
                    let known = usize::try_from(parent).ok().filter(|&parent| parent < skeleton.bones.len());
                    Some(known.ok_or_else(|| {
                        let message = format!("bone {parent} is out of range: there are {}", skeleton.bones.len());
                        Error::malformed(message).at_element(place(b))
                    })?)
                }
            };
            let given = matrix(&bone.matrix).ok_or_else(|| {
                Error::malformed(format!("expected a matrix of 16 numbers, found {}", bone.matrix.0.len()))
                    .at_element(place(b))
            })?;
            parents.push(parent);
            local.push(self.shared.handedness.matrix(given));
        }
        let world = absolute(&parents, &local)
            .map_err(|b| Error::malformed("a bone is its own ancestor").at_element(place(b)))?;
        let mut inverse_bind_matrices = Vec::new();
        for (b, bone) in skeleton.bones.iter().enumerate() {
            let transform = match decompose(&local[b]) {
                Some((translation, rotation, scale)) => Transform::Trs { translation, rotation, scale },
                None => Transform::Matrix(local[b]),
            };
            let node = Node { name: bone.name.clone(), transform, ..Node::default() };
            let index = self.add(node, [&bone.id, &Id::default()], &Id::default())?;
            if let Some(animation) = &bone.animation {
                self.animate(std::slice::from_ref(animation), index, &place(b))?;
            }
            let undone = inverse(&world[b]).unwrap_or_else(|| {
                cx.warn_at("joint", "a bone without extent cannot be undone", Location::element(place(b)));
                Transform::IDENTITY.matrix()
            });
            #[expect(clippy::cast_possible_truncation, reason = "bind matrices are single precision")]
            inverse_bind_matrices.push(undone.map(|value| value as f32));
        }
        for (index, parent) in (first..).zip(&parents) {
            let parent = parent.map_or(mesh as usize, |parent| first as usize + parent);
            self.scene.nodes[parent].children.push(index);
        }
        let joints = (first..).take(skeleton.bones.len()).collect();
        self.scene.skins.push(Skin { name: skeleton.name.clone(), joints, inverse_bind_matrices, root: None });
        let skin = self.scene.skins.len() as u32 - 1;
        self.skins.insert(skeleton.id.0.clone(), skin);
        Ok(skin)
    }

    fn camera(&mut self, object: &CameraObject, path: &str) -> Result<()> {
        let handedness = self.shared.handedness;
        let target = vector(&object.target);
        let orbit = (object.kind == "ArcRotateCamera").then_some((object.alpha, object.beta, object.radius));
        let position = match (orbit, target) {
            (Some((Some(alpha), Some(beta), Some(radius))), Some(target)) => {
                let out = [alpha.cos() * beta.sin(), beta.cos(), alpha.sin() * beta.sin()];
                [0, 1, 2].map(|axis| target[axis] + radius * out[axis])
            }
            _ => vector(&object.position).unwrap_or_default(),
        };
        let rotation = match target {
            Some(target) => look(handedness.point([0, 1, 2].map(|axis| target[axis] - position[axis]))),
            None => self.shared.handedness.rotation(rotation(&object.rotation_quaternion, &object.rotation)),
        };
        let near = object.min_z.unwrap_or(1.0);
        let far = object.max_z.filter(|&far| far > near);
        let edges = (object.ortho_left, object.ortho_right, object.ortho_top, object.ortho_bottom);
        self.scene.cameras.push(match (object.mode, edges) {
            (1, (Some(left), Some(right), Some(top), Some(bottom))) => Camera::Orthographic {
                xmag: (right - left).abs() / 2.0,
                ymag: (top - bottom).abs() / 2.0,
                near,
                far: far.unwrap_or(10_000.0),
            },
            _ => Camera::Perspective { yfov: object.fov.unwrap_or(0.8), aspect: None, near, far },
        });
        let transform = Transform::Trs { translation: handedness.point(position), rotation, scale: [1.0; 3] };
        let camera = Some(self.scene.cameras.len() as u32 - 1);
        let node = Node { name: object.name.clone(), transform, camera, ..Node::default() };
        let index = self.add(node, [&object.id, &object.unique_id], &object.parent_id)?;
        self.animate(&object.animations, index, path)
    }

    fn light(&mut self, object: &LightObject, path: &str) -> Result<()> {
        let (handedness, cx) = (self.shared.handedness, self.shared.cx);
        let kind = match object.kind {
            0 => Some("point"),
            1 => Some("directional"),
            2 => Some("spot"),
            3 => None,
            other => {
                let message = format!("a light of kind {other} is left out: expected 0 to 3");
                cx.warn_at("light", message, Location::element(path));
                None
            }
        };
        if object.kind == 3 {
            let message = "hemispheric lights have no place in the record; their nodes are kept";
            cx.report(Severity::Info, "hemispheric-light", message, Some(Location::element(path)));
        }
        let light = kind.map(|kind| {
            #[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
            let color = vector(&object.diffuse).map_or([1.0; 3], |color| color.map(|value| value as f32));
            // Exporters write the largest number for no limit.
            let range = object.range.filter(|range| range.is_finite() && *range > 0.0 && *range < 1e30);
            let outer = (object.angle.unwrap_or(std::f32::consts::FRAC_PI_2) / 2.0).clamp(1e-3, 1.57);
            let inner = object.inner_angle.map_or(0.0, |angle| angle / 2.0).clamp(0.0, outer * 0.999);
            let cone = (kind == "spot").then_some([inner, outer]);
            Light { name: object.name.clone(), kind, color, intensity: object.intensity.unwrap_or(1.0), range, cone }
        });
        let light = light.map(|light| {
            self.scene.lights.push(light);
            self.scene.lights.len() as u32 - 1
        });
        let rotation = match (kind, vector(&object.direction)) {
            (Some("directional" | "spot"), Some(direction)) => look(handedness.point(direction)),
            _ => NO_ROTATION,
        };
        let translation = handedness.point(vector(&object.position).unwrap_or_default());
        let transform = Transform::Trs { translation, rotation, scale: [1.0; 3] };
        let node = Node { name: object.name.clone(), transform, light, ..Node::default() };
        let index = self.add(node, [&object.id, &object.unique_id], &object.parent_id)?;
        // What else is animated (colour, intensity) is named there.
        self.animate(&object.animations, index, path)
    }

    fn groups(&self, document: &Document) -> Result<Vec<Animation>> {
        let cx = self.shared.cx;
        let mut groups = Vec::new();
        for (g, group) in document.animation_groups.iter().enumerate() {
            let mut animation = Animation { name: group.name.clone(), ..Animation::default() };
            for (t, targeted) in group.targeted_animations.iter().enumerate() {
                let path = format!("animationGroups[{g}].targetedAnimations[{t}]");
                match self.ids.get(&targeted.target_id.0) {
                    Some(&node) => {
                        let object = &targeted.animation;
                        let channels = animation::channels(object, node, self.shared.handedness, &path, cx)?;
                        animation.channels.extend(channels);
                    }
                    None => {
                        let message = "animations of what is no node are left out";
                        cx.warn_at("animation", message, Location::element(path));
                    }
                }
            }
            groups.push(animation);
        }
        Ok(groups)
    }

    fn finish(mut self, groups: Vec<Animation>) -> Scene {
        let cx = self.shared.cx;
        cx.report_times(Severity::Info, "hidden", "meshes are not shown in Babylon", None, self.hidden);
        let mut has_parent = vec![false; self.scene.nodes.len()];
        for child in self.scene.nodes.iter().flat_map(|node| &node.children) {
            has_parent[*child as usize] = true;
        }
        for (child, parent) in std::mem::take(&mut self.parents) {
            match self.ids.get(&parent.0) {
                Some(&parent) if !has_parent[child as usize] => {
                    self.scene.nodes[parent as usize].children.push(child);
                    has_parent[child as usize] = true;
                }
                _ => {
                    let message = format!("the parent {:?} of a node is not there", parent.0);
                    cx.warn_at("missing-parent", message, Location::element(format!("nodes[{child}]")));
                }
            }
        }
        self.scene.roots = (0..).zip(&has_parent).filter(|(_, has)| !**has).map(|(node, _)| node).collect();
        if !self.animation.channels.is_empty() {
            self.scene.animations.push(self.animation);
        }
        self.scene.animations.extend(groups);
        self.scene
    }
}

/// World matrices of a forest; the number of a node that is its own ancestor otherwise.
fn absolute(parents: &[Option<usize>], local: &[[f64; 16]]) -> std::result::Result<Vec<[f64; 16]>, usize> {
    let mut world: Vec<Option<[f64; 16]>> = vec![None; local.len()];
    for start in 0..local.len() {
        let mut chain = Vec::new();
        let mut at = Some(start);
        while let Some(bone) = at.filter(|&bone| world[bone].is_none()) {
            if chain.len() > local.len() {
                return Err(start);
            }
            chain.push(bone);
            at = parents[bone];
        }
        let mut above = at.and_then(|bone| world[bone]);
        for bone in chain.into_iter().rev() {
            let own = above.map_or(local[bone], |above| multiply(&above, &local[bone]));
            world[bone] = Some(own);
            above = Some(own);
        }
    }
    Ok(world.into_iter().flatten().collect())
}

/// The same arrays again, paid.
fn copy(geometry: &Geometry, cx: &Context) -> Result<Geometry> {
    let g = geometry;
    let floats = [
        &g.positions,
        &g.normals,
        &g.tangents,
        &g.uvs,
        &g.uvs2,
        &g.uvs3,
        &g.uvs4,
        &g.uvs5,
        &g.uvs6,
        &g.colors,
        &g.matrices_weights,
        &g.matrices_weights_extra,
    ];
    let singles: usize = floats.iter().map(|list| list.0.len()).sum::<usize>() + g.indices.len();
    let doubles = g.matrices_indices.0.len() + g.matrices_indices_extra.0.len();
    cx.budget().take(singles as u64 * 4 + doubles as u64 * 8)?;
    Ok(g.clone())
}
