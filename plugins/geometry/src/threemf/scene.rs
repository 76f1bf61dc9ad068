//! From the parts of a package to a scene.

use std::collections::{HashMap, HashSet};

use mediary_core::record::Scene;
use mediary_core::record::scene::{
    AlphaMode, Material, Mesh, Node, Primitive, Texture, TextureUse, Topology, Transform, Wrap,
};
use mediary_core::{Context, Error, Location, MediaRecord, Result, Severity, Source};
use serde_json::Value;

use super::model::{self, Group, Matrix, Model, Object, Reference, TextureImage};
use super::package::Package;
use crate::glb::matrix::decompose;
use crate::pictures;
use crate::vertex::{Corners, NONE, linear};

/// Reads everything.
pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let mut package = Package::open(source, cx)?;
    let root = package.root(cx)?;
    let parts = parts(&mut package, root, cx)?;
    let [first, ..] = &parts.models[..] else { return Err(Error::malformed("a package without a model")) };
    let scene = Scene { up_axis: Some("z"), unit_meters: Some(first.unit_meters), ..Scene::default() };
    let (materials, meshes) = (HashMap::new(), HashMap::new());
    let mut builder = Builder { parts: &parts, cx, scene, materials, meshes };
    builder.materials(&mut package)?;
    let mut items = first.items.clone();
    if items.is_empty() && !first.order.is_empty() {
        cx.warn("empty-build", "nothing is built: all objects that are no components are shown");
        let inner: HashSet<u32> =
            first.objects.values().flat_map(|object| &object.components).map(|it| it.object).collect();
        let outer = first.order.iter().filter(|id| !inner.contains(id));
        items = outer.map(|&object| Reference { path: None, object, transform: None }).collect();
    }
    for (i, item) in items.iter().enumerate() {
        let node = builder.place(0, item, 1).map_err(|error| {
            if error.location().is_some() { error } else { error.at_element(format!("build.item[{i}]")) }
        })?;
        builder.scene.roots.extend(node);
    }
    let all = parts.models.iter().flat_map(|model| model.objects.values());
    let meshes = all.filter(|object| !object.positions.is_empty()).count();
    let unused = meshes.saturating_sub(builder.meshes.values().flatten().count());
    cx.report_times(Severity::Info, "unused-objects", "objects that nothing builds are left out", None, unused as u64);
    let mut record = MediaRecord::new(builder.scene);
    for (name, value) in &first.metadata {
        record.properties.insert(name.clone(), Value::from(value.as_str()));
    }
    Ok(record)
}

/// The root model and those that it refers to.
struct Parts {
    models: Vec<Model>,
    names: HashMap<String, usize>,
}

fn part_key(name: &str) -> String {
    name.trim().trim_start_matches('/').to_lowercase()
}

fn parts(package: &mut Package, root: String, cx: &Context) -> Result<Parts> {
    let mut parts = Parts { models: Vec::new(), names: HashMap::new() };
    let mut next = vec![root];
    while let Some(name) = next.pop() {
        if parts.names.contains_key(&part_key(&name)) {
            continue;
        }
        let Some(bytes) = package.part(&name, cx)? else {
            let error = Error::malformed(format!("part {name:?} is not in the package"));
            cx.unless_lenient("missing-part", error)?;
            continue;
        };
        let model = model::read(&bytes, &name, cx)?;
        cx.budget().give_back(bytes.len() as u64);
        let components = model.objects.values().flat_map(|object| &object.components);
        let mut found: Vec<String> = model.items.iter().chain(components).filter_map(|it| it.path.clone()).collect();
        // In an order that does not depend on the table's.
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        next.extend(found);
        parts.names.insert(part_key(&name), parts.models.len());
        parts.models.push(model);
    }
    Ok(parts)
}

/// What the triangles of one primitive have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Slot {
    Plain(Option<u32>),
    Colors(u32),
    Texcoords(u32, Option<u32>),
}

struct Builder<'a> {
    parts: &'a Parts,
    cx: &'a Context,
    scene: Scene,
    /// First material of a group of base materials, or the material of a group of texture coordinates.
    materials: HashMap<(usize, u32), u32>,
    meshes: HashMap<(usize, u32), Option<u32>>,
}

impl Builder<'_> {
    fn materials(&mut self, package: &mut Package) -> Result<()> {
        for (p, model) in self.parts.models.iter().enumerate() {
            let mut ids: Vec<u32> = model.groups.keys().copied().collect();
            ids.sort_unstable();
            let mut textures = HashMap::new();
            for id in ids {
                let first = self.scene.materials.len() as u32;
                match &model.groups[&id] {
                    Group::Materials(list) => {
                        for (name, color) in list {
                            self.cx.budget().take(size_of::<Material>() as u64)?;
                            let base_color = rgba(*color);
                            let alpha = if color[3] < 255 { AlphaMode::Blend } else { AlphaMode::Opaque };
                            let name = name.clone();
                            self.scene.materials.push(Material {
                                name,
                                base_color,
                                alpha,
                                metallic: 0.0,
                                ..Material::default()
                            });
                        }
                        self.materials.insert((p, id), first);
                    }
                    Group::Texcoords(texture, _) => {
                        let material = match textures.get(texture) {
                            Some(&known) => Some(known),
                            None => match model.textures.get(texture) {
                                Some(image) => Some(self.textured(image, package)?),
                                None => None,
                            },
                        };
                        if let Some(material) = material {
                            textures.insert(*texture, material);
                            self.materials.insert((p, id), material);
                        }
                    }
                    Group::Colors(_) | Group::Other => {}
                }
            }
        }
        Ok(())
    }

    /// A new material that shows this picture.
    fn textured(&mut self, image: &TextureImage, package: &mut Package) -> Result<u32> {
        let bytes = package.part(&image.path, self.cx)?;
        if bytes.is_none() {
            self.cx.warn("missing-texture", format!("picture {:?} is not in the package", image.path));
        }
        let bytes = bytes.unwrap_or_default();
        let file = image.path.rsplit('/').next().unwrap_or_default();
        let found = pictures::media_type(&bytes, file);
        let media_type = if found.is_empty() { image.content_type.clone() } else { found.to_owned() };
        let wrap = |tile: &str| match tile {
            "mirror" => Wrap::Mirror,
            "clamp" | "none" => Wrap::Clamp,
            _ => Wrap::Repeat,
        };
        let name = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
        self.scene.textures.push(Texture {
            name: name.clone(),
            uri: Some(image.path.trim_start_matches('/').to_owned()),
            media_type,
            bytes: bytes.into(),
            wrap: [wrap(&image.tiles[0]), wrap(&image.tiles[1])],
            nearest: image.nearest,
        });
        let texture = self.scene.textures.len() as u32 - 1;
        let used = TextureUse { texture, texcoord: 0, transform: None, factor: 1.0 };
        self.scene.materials.push(Material {
            name,
            base_color_texture: Some(used),
            metallic: 0.0,
            ..Material::default()
        });
        Ok(self.scene.materials.len() as u32 - 1)
    }

    /// The node of a component or an item; `None` in lenient mode for what is broken.
    fn place(&mut self, part: usize, reference: &Reference, depth: u64) -> Result<Option<u32>> {
        let cx = self.cx;
        cx.limits().check("depth", depth)?;
        cx.checkpoint()?;
        cx.budget().take(2 * size_of::<Node>() as u64)?;
        let part = match &reference.path {
            None => Some(part),
            Some(path) => self.parts.names.get(&part_key(path)).copied(),
        };
        let found = part.and_then(|part| Some((part, self.parts.models[part].objects.get(&reference.object)?)));
        let Some((part, object)) = found else {
            let error = Error::malformed(format!("object {} is not in the model", reference.object));
            cx.unless_lenient("missing-object", error)?;
            return Ok(None);
        };
        cx.budget().take(object.name.len() as u64)?;
        let transform = match &reference.transform {
            None => Transform::IDENTITY,
            Some(matrix) => placement(matrix),
        };
        let mesh = self.mesh(part, reference.object, object)?;
        let index = self.scene.nodes.len() as u32;
        self.scene.nodes.push(Node { name: object.name.clone(), transform, mesh, ..Node::default() });
        for component in &object.components {
            let child = self.place(part, component, depth + 1)?;
            self.scene.nodes[index as usize].children.extend(child);
        }
        Ok(Some(index))
    }

    fn mesh(&mut self, part: usize, id: u32, object: &Object) -> Result<Option<u32>> {
        if let Some(&known) = self.meshes.get(&(part, id)) {
            return Ok(known);
        }
        let mut mesh = None;
        if !object.positions.is_empty() {
            let primitives = self.primitives(part, id, object)?;
            self.scene.meshes.push(Mesh { name: object.name.clone(), primitives, ..Mesh::default() });
            mesh = Some(self.scene.meshes.len() as u32 - 1);
        }
        self.meshes.insert((part, id), mesh);
        Ok(mesh)
    }

    fn primitives(&mut self, part: usize, id: u32, object: &Object) -> Result<Vec<Primitive>> {
        let (cx, model) = (self.cx, &self.parts.models[part]);
        let vertices = object.positions.len();
        cx.budget().take(object.triangles.len() as u64 * 100 + vertices as u64 * 20)?;
        let place = || Location::element(format!("object[{id}]"));
        let inside = |corners: &[u32]| corners.iter().all(|&corner| (corner as usize) < vertices);
        // Triangles that are whole, with the primitive they belong to.
        let mut slots: Vec<Slot> = Vec::new();
        let mut known: HashMap<Slot, u32> = HashMap::new();
        let mut sorted = Vec::with_capacity(object.triangles.len());
        let (mut degenerate, mut strange, mut outside) = (0, 0, 0);
        for triangle in &object.triangles {
            if !inside(&triangle.corners) {
                let error = Error::malformed(format!("triangle {:?}: there are {vertices} vertices", triangle.corners));
                cx.unless_lenient("index", error.at(place()))?;
                continue;
            }
            let [a, b, c] = triangle.corners;
            degenerate += u64::from(a == b || b == c || c == a);
            let property = triangle.property.or(object.property.map(|(group, index)| (group, [index; 3])));
            let (slot, values) = match property.map(|(group, values)| (group, values, model.groups.get(&group))) {
                None => (Slot::Plain(None), [NONE; 3]),
                Some((group, values, Some(Group::Materials(list)))) => {
                    let exists = (values[0] as usize) < list.len();
                    outside += u64::from(!exists);
                    let first = self.materials.get(&(part, group));
                    (Slot::Plain(first.filter(|_| exists).map(|first| first + values[0])), [NONE; 3])
                }
                Some((group, values, Some(Group::Colors(list)))) => {
                    outside += u64::from(values.iter().any(|&value| value as usize >= list.len()));
                    (Slot::Colors(group), values)
                }
                Some((group, values, Some(Group::Texcoords(_, list)))) => {
                    outside += u64::from(values.iter().any(|&value| value as usize >= list.len()));
                    (Slot::Texcoords(group, self.materials.get(&(part, group)).copied()), values)
                }
                Some((_, _, Some(Group::Other))) => {
                    strange += 1;
                    (Slot::Plain(None), [NONE; 3])
                }
                Some((_, _, None)) => {
                    outside += 1;
                    (Slot::Plain(None), [NONE; 3])
                }
            };
            let index = *known.entry(slot).or_insert_with(|| {
                slots.push(slot);
                slots.len() as u32 - 1
            });
            sorted.push((index, triangle.corners, values));
        }
        let report = |severity, code: &str, message: &str, count| {
            cx.report_times(severity, code, message, Some(place()), count);
        };
        report(Severity::Info, "degenerate", "triangles with two corners in one vertex", degenerate);
        report(Severity::Warning, "property-index", "triangles with a property that is not there: left out", outside);
        let message = "triangles with composite or several properties: these are left out";
        report(Severity::Warning, "property", message, strange);
        let mut primitives = Vec::new();
        if let [Slot::Plain(material)] = slots[..] {
            let indices = sorted.iter().flat_map(|(_, corners, _)| *corners).collect();
            let (positions, indices) = (object.positions.clone().into(), Some(indices));
            primitives.push(Primitive { positions, indices, material, ..Primitive::default() });
        } else if !slots.is_empty() {
            primitives = split(object, model, &slots, &sorted);
        }
        if !object.beams.is_empty() {
            report(Severity::Warning, "beams", "radii and caps of beams are left out", object.beams.len() as u64);
            cx.budget().take(vertices as u64 * 12)?;
            let whole: Vec<_> = object.beams.iter().filter(|beam| inside(&beam[..])).copied().collect();
            if whole.len() < object.beams.len() {
                let error = Error::malformed(format!("a beam: there are {vertices} vertices")).at(place());
                cx.unless_lenient("index", error)?;
            }
            let indices: Vec<u32> = whole.into_flattened();
            let positions = object.positions.clone().into();
            let topology = Topology::Lines;
            primitives.push(Primitive { topology, positions, indices: Some(indices.into()), ..Primitive::default() });
        } else if primitives.is_empty() {
            let (positions, indices) = (object.positions.clone().into(), Some(Vec::new().into()));
            primitives.push(Primitive { positions, indices, ..Primitive::default() });
        }
        Ok(primitives)
    }
}

/// One primitive a slot, with one vertex for each distinct corner.
fn split(object: &Object, model: &Model, slots: &[Slot], sorted: &[(u32, [u32; 3], [u32; 3])]) -> Vec<Primitive> {
    let mut corners = Corners::new(object.positions.len());
    let mut vertices: Vec<Vec<[u32; 2]>> = vec![Vec::new(); slots.len()];
    let mut indices: Vec<Vec<u32>> = vec![Vec::new(); slots.len()];
    for (slot, triangle, values) in sorted {
        let own = &mut vertices[*slot as usize];
        for (&corner, &value) in triangle.iter().zip(values) {
            let vertex = match corners.find_or_add(corner, [*slot, value, NONE], own.len() as u32) {
                Ok(vertex) => vertex,
                Err(fresh) => {
                    own.push([corner, value]);
                    fresh
                }
            };
            indices[*slot as usize].push(vertex);
        }
    }
    let primitive = |((slot, vertices), indices): ((&Slot, Vec<[u32; 2]>), Vec<u32>)| {
        let positions = vertices.iter().map(|[corner, _]| object.positions[*corner as usize]).collect();
        let mut primitive = Primitive { positions, indices: Some(indices.into()), ..Primitive::default() };
        match slot {
            Slot::Plain(material) => primitive.material = *material,
            Slot::Colors(group) => {
                if let Some(Group::Colors(list)) = model.groups.get(group) {
                    let color = |value: u32| list.get(value as usize).map_or([1.0; 4], |&color| rgba(color));
                    primitive.colors = vec![vertices.iter().map(|[_, value]| color(*value)).collect()];
                }
            }
            Slot::Texcoords(group, material) => {
                primitive.material = *material;
                if let Some(Group::Texcoords(_, list)) = model.groups.get(group) {
                    let uv = |value: u32| list.get(value as usize).map_or([0.0; 2], |&[u, v]| [u, 1.0 - v]);
                    primitive.texcoords = vec![vertices.iter().map(|[_, value]| uv(*value)).collect()];
                }
            }
        }
        primitive
    };
    slots.iter().zip(vertices).zip(indices).map(primitive).collect()
}

fn placement(matrix: &Matrix) -> Transform {
    match decompose(matrix) {
        Some((translation, rotation, scale)) => Transform::Trs { translation, rotation, scale },
        None => Transform::Matrix(*matrix),
    }
}

fn rgba([r, g, b, a]: [u8; 4]) -> [f32; 4] {
    [linear(r), linear(g), linear(b), f32::from(a) / 255.0]
}
