//! The node tree: transforms in their order, and what nodes place.

use std::collections::HashMap;

use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Node, Skin, Transform, multiply};
use mediary_core::{Context, Error, Result, Source};

use super::controller::{Shapes, joints};
use super::document::{Element, shown};
use super::geometry::or_less;
use super::material::{Binding, Materials};
use super::values;
use super::view;
use crate::glb::matrix::decompose;

/// Joints of one sid that are looked at.
const NAMESAKES: usize = 64;

/// Rows of a matrix as columns, or the other way round.
pub(super) fn column_major(rows: [f64; 16]) -> [f64; 16] {
    std::array::from_fn(|at| rows[at % 4 * 4 + at / 4])
}

/// One of the transforms of a node.
#[derive(Clone)]
pub(super) struct Step<'d> {
    pub(super) sid: &'d str,
    pub(super) kind: Kind,
    pub(super) values: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// 16 values, row by row.
    Matrix,
    Translate,
    /// Axis and angle in degrees.
    Rotate,
    Scale,
    /// Angle in degrees, axis of rotation, axis of translation.
    Skew,
    /// Eye, point of interest, up.
    LookAt,
}

impl Kind {
    fn of(name: &str) -> Option<(Self, usize)> {
        Some(match name {
            "matrix" => (Self::Matrix, 16),
            "translate" => (Self::Translate, 3),
            "rotate" => (Self::Rotate, 4),
            "scale" => (Self::Scale, 3),
            "skew" => (Self::Skew, 7),
            "lookat" => (Self::LookAt, 9),
            _ => return None,
        })
    }
}

/// The transforms of a node, in their order.
pub(super) fn steps<'d>(node: Element<'d>, cx: &Context) -> Result<Vec<Step<'d>>> {
    let mut steps = Vec::new();
    for child in node.children() {
        let Some((kind, length)) = Kind::of(child.name()) else { continue };
        let values = values::doubles(child, cx)?;
        if values.len() != length || !values.iter().all(|value| value.is_finite()) {
            return Err(child.wrong(&format!("{length} finite numbers"), child.text()));
        }
        steps.push(Step { sid: child.attribute("sid").unwrap_or_default(), kind, values });
    }
    Ok(steps)
}

/// All transforms as one column-major matrix: the last is applied first.
pub(super) fn product(steps: &[Step<'_>]) -> [f64; 16] {
    let identity = Transform::IDENTITY.matrix();
    steps.iter().fold(identity, |before, step| multiply(&before, &step.matrix()))
}

impl Step<'_> {
    fn matrix(&self) -> [f64; 16] {
        let identity = Transform::IDENTITY.matrix();
        match (self.kind, &self.values[..]) {
            (Kind::Matrix, values) => values.try_into().map_or(identity, column_major),
            (Kind::Translate, &[x, y, z]) => {
                Transform::Trs { translation: [x, y, z], rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0; 3] }.matrix()
            }
            (Kind::Scale, &[x, y, z]) => {
                Transform::Trs { translation: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0], scale: [x, y, z] }.matrix()
            }
            (Kind::Rotate, &[x, y, z, degrees]) => {
                let (sin, cos) = (degrees.to_radians() / 2.0).sin_cos();
                let axis = view::unit([x, y, z]).unwrap_or_default();
                let [x, y, z] = axis.map(|value| value * sin);
                Transform::Trs { translation: [0.0; 3], rotation: [x, y, z, cos], scale: [1.0; 3] }.matrix()
            }
            (Kind::Skew, &[degrees, a, b, c, x, y, z]) => {
                let (Some(around), Some(along)) = (view::unit([a, b, c]), view::unit([x, y, z])) else {
                    return identity;
                };
                let amount = degrees.to_radians().tan();
                let mut matrix = identity;
                for column in 0..3 {
                    for row in 0..3 {
                        matrix[column * 4 + row] += amount * along[row] * around[column];
                    }
                }
                matrix
            }
            (Kind::LookAt, &[a, b, c, d, e, f, x, y, z]) => view::look_at([a, b, c], [d, e, f], [x, y, z]),
            _ => identity,
        }
    }
}

/// The scene while its nodes are placed.
pub(super) struct Builder<'d> {
    pub(super) cx: &'d Context,
    pub(super) scene: Scene,
    pub(super) shapes: Shapes<'d>,
    pub(super) materials: Materials<'d>,
    /// Library of materials, for those that are bound by their symbol alone.
    root: Element<'d>,
    /// Meshes by the element that places them, and by geometry and materials.
    placed: HashMap<u32, Option<u32>>,
    meshes: HashMap<(u32, Vec<Option<u32>>), u32>,
    cameras: HashMap<u32, Option<u32>>,
    lights: HashMap<u32, Option<u32>>,
    /// Nodes of the scene by the element they were made of.
    pub(super) nodes: HashMap<u32, Vec<u32>>,
    /// Elements of the nodes of the scene.
    pub(super) elements: Vec<Element<'d>>,
    parents: Vec<Option<u32>>,
    /// Elements that are being made into nodes: an instance of one of them would have no end.
    open: Vec<u32>,
    /// Nodes whose skins wait for all joints: `skin`, and instance of its controller.
    skins: Vec<(u32, Element<'d>, Element<'d>)>,
    /// Instances of controllers, for their animations.
    pub(super) controlled: Vec<(u32, Element<'d>)>,
}

impl<'d> Builder<'d> {
    pub(super) fn new(root: Element<'d>, source: &'d Source, cx: &'d Context) -> Self {
        Self {
            cx,
            scene: Scene::default(),
            shapes: Shapes::new(cx),
            materials: Materials::new(source, cx),
            root,
            placed: HashMap::new(),
            meshes: HashMap::new(),
            cameras: HashMap::new(),
            lights: HashMap::new(),
            nodes: HashMap::new(),
            elements: Vec::new(),
            parents: Vec::new(),
            open: Vec::new(),
            skins: Vec::new(),
            controlled: Vec::new(),
        }
    }

    fn add(&mut self, element: Element<'d>, name: &str, transform: Transform, parent: Option<u32>) -> Result<u32> {
        // The node, what is known of it, and its place among the children.
        self.cx.budget().take(size_of::<Node>() as u64 + 64 + name.len() as u64)?;
        let index = self.scene.nodes.len() as u32;
        self.scene.nodes.push(Node { name: name.to_owned(), transform, ..Node::default() });
        self.elements.push(element);
        self.parents.push(parent);
        match parent {
            Some(parent) => self.scene.nodes[parent as usize].children.push(index),
            None => self.scene.roots.push(index),
        }
        Ok(index)
    }

    /// Makes a `node` and what is below it.
    pub(super) fn node(&mut self, element: Element<'d>, parent: Option<u32>) -> Result<()> {
        let cx = self.cx;
        if self.open.contains(&element.index()) {
            let message =
                format!("node {:?} is an instance inside itself", element.attribute("id").unwrap_or_default());
            return cx.unless_lenient("cycle", Error::malformed(message).at(element.location()));
        }
        cx.limits().check("depth", self.open.len() as u64 + 1)?;
        cx.checkpoint()?;
        let matrix = product(&steps(element, cx)?);
        let transform = match decompose(&matrix) {
            Some((translation, rotation, scale)) => Transform::Trs { translation, rotation, scale },
            None => Transform::Matrix(matrix),
        };
        let name = element.attribute("name").filter(|name| !name.is_empty());
        let name = name.or_else(|| element.attribute("id")).unwrap_or_default();
        let index = self.add(element, name, transform, parent)?;
        self.nodes.entry(element.index()).or_default().push(index);
        self.open.push(element.index());
        let mut looked = 0;
        for child in element.children() {
            looked += 1;
            match child.name() {
                "node" => self.node(child, Some(index))?,
                "instance_node" => {
                    if let Some(target) = child.target_if_there("url", &["node"], cx)? {
                        self.node(target, Some(index))?;
                    }
                }
                "instance_geometry" => self.place(child, &["geometry"], index)?,
                "instance_controller" => self.place(child, &["controller"], index)?,
                "instance_camera" => self.camera(child, index)?,
                "instance_light" => self.light(child, index)?,
                _ => {}
            }
        }
        self.open.pop();
        // An element may be made into many nodes.
        cx.budget().take(looked * 32)
    }

    /// A node for a geometry that no scene places.
    pub(super) fn alone(&mut self, geometry: Element<'d>) -> Result<()> {
        let Some(mesh) = self.mesh(geometry, geometry)? else { return Ok(()) };
        let name = geometry.attribute("name").or_else(|| geometry.attribute("id")).unwrap_or_default();
        let index = self.add(geometry, name, Transform::IDENTITY, None)?;
        self.scene.nodes[index as usize].mesh = Some(mesh);
        Ok(())
    }

    /// The node itself, or a new one below it where it holds such a thing already.
    fn holder(&mut self, node: u32, taken: impl Fn(&Node) -> bool, name: Option<&str>) -> Result<u32> {
        if taken(&self.scene.nodes[node as usize]) {
            let element = self.elements[node as usize];
            return self.add(element, name.unwrap_or_default(), Transform::IDENTITY, Some(node));
        }
        Ok(node)
    }

    fn place(&mut self, instance: Element<'d>, kinds: &[&str], node: u32) -> Result<()> {
        let cx = self.cx;
        let Some(target) = instance.target_if_there("url", kinds, cx)? else { return Ok(()) };
        let mesh = match self.placed.get(&instance.index()) {
            Some(&known) => known,
            None => {
                let mesh = self.mesh(instance, target)?;
                self.placed.insert(instance.index(), mesh);
                mesh
            }
        };
        let Some(mesh) = mesh else { return Ok(()) };
        let name = instance.attribute("name");
        let holder = self.holder(node, |node| node.mesh.is_some(), name)?;
        self.scene.nodes[holder as usize].mesh = Some(mesh);
        if target.name() == "controller" {
            cx.budget().take(64)?;
            self.controlled.push((holder, target));
            if let Some(skin) = self.shapes.get(target)?.and_then(|shape| shape.skin) {
                self.skins.push((holder, skin, instance));
            }
        }
        Ok(())
    }

    /// The mesh of an instance of a geometry or a controller.
    fn mesh(&mut self, instance: Element<'d>, target: Element<'d>) -> Result<Option<u32>> {
        let cx = self.cx;
        let Some(shape) = self.shapes.get(target)? else { return Ok(None) };
        let bound = instance.path(&["bind_material", "technique_common"]);
        let bindings: HashMap<&str, Element<'d>> = bound
            .into_iter()
            .flat_map(|bound| bound.all("instance_material"))
            .map(|material| (material.attribute("symbol").unwrap_or_default(), material))
            .collect();
        cx.budget().take((shape.parts.len() * 8 + bindings.len() * 48) as u64)?;
        let mut materials = Vec::new();
        for part in &shape.parts {
            let instance = bindings.get(part.symbol).copied();
            let material = match instance {
                Some(instance) => instance.target_or_less("target", &["material"], cx)?,
                None => self.root.resolve(part.symbol, &["material"]).ok(),
            };
            let binding = Binding { instance, sets: &part.sets };
            materials.push(material.map(|material| self.materials.bind(material, binding)).transpose()?);
        }
        let key = (target.index(), materials);
        if let Some(&known) = self.meshes.get(&key) {
            return Ok(Some(known));
        }
        let mut mesh = Mesh { name: shape.name.to_owned(), weights: shape.weights.clone(), ..Mesh::default() };
        for (part, &material) in shape.parts.iter().zip(&key.1) {
            cx.budget().take(size_of_val(&part.primitive) as u64)?;
            let mut primitive = part.primitive.clone();
            primitive.material = material;
            mesh.primitives.push(primitive);
        }
        let index = self.scene.meshes.len() as u32;
        self.scene.meshes.push(mesh);
        self.meshes.insert(key, index);
        Ok(Some(index))
    }

    fn camera(&mut self, instance: Element<'d>, node: u32) -> Result<()> {
        let Some(target) = instance.target_or_less("url", &["camera"], self.cx)? else { return Ok(()) };
        let known = self.cameras.get(&target.index()).copied();
        let camera = match known {
            Some(known) => known,
            None => {
                let camera = view::camera(target, self.cx)?.map(|camera| {
                    self.scene.cameras.push(camera);
                    self.scene.cameras.len() as u32 - 1
                });
                self.cameras.insert(target.index(), camera);
                camera
            }
        };
        if let Some(camera) = camera {
            let holder = self.holder(node, |node| node.camera.is_some(), target.attribute("name"))?;
            self.scene.nodes[holder as usize].camera = Some(camera);
        }
        Ok(())
    }

    fn light(&mut self, instance: Element<'d>, node: u32) -> Result<()> {
        let Some(target) = instance.target_or_less("url", &["light"], self.cx)? else { return Ok(()) };
        let known = self.lights.get(&target.index()).copied();
        let light = match known {
            Some(known) => known,
            None => {
                let light = view::light(target, self.cx)?.map(|light| {
                    self.scene.lights.push(light);
                    self.scene.lights.len() as u32 - 1
                });
                self.lights.insert(target.index(), light);
                light
            }
        };
        if let Some(light) = light {
            let holder = self.holder(node, |node| node.light.is_some(), target.attribute("name"))?;
            self.scene.nodes[holder as usize].light = Some(light);
        }
        Ok(())
    }

    /// Finds the joints of all skins, now that all nodes are there.
    pub(super) fn skins(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.skins);
        if pending.is_empty() {
            return Ok(());
        }
        let mut names: HashMap<&str, Vec<u32>> = HashMap::new();
        for key in ["sid", "id", "name"] {
            for (element, node) in self.elements.iter().zip(0..) {
                if let Some(name) = element.attribute(key) {
                    self.cx.budget().take(8)?;
                    names.entry(name).or_default().push(node);
                }
            }
        }
        let mut known: HashMap<(u32, Vec<u32>), Option<u32>> = HashMap::new();
        for (node, controlled, instance) in pending {
            self.cx.checkpoint()?;
            let mut roots = Vec::new();
            for skeleton in instance.all("skeleton") {
                let root = skeleton.resolve(skeleton.text(), &["node"]).ok();
                roots.extend(root.and_then(|root| self.nodes.get(&root.index())?.first().copied()));
            }
            let key = (controlled.index(), roots);
            let skin = match known.get(&key) {
                Some(&known) => known,
                None => {
                    let skin = self.skin(controlled, &key.1, &names)?.map(|skin| {
                        self.scene.skins.push(skin);
                        self.scene.skins.len() as u32 - 1
                    });
                    known.insert(key, skin);
                    skin
                }
            };
            self.scene.nodes[node as usize].skin = skin;
        }
        Ok(())
    }

    fn skin(&mut self, skin: Element<'d>, roots: &[u32], names: &HashMap<&str, Vec<u32>>) -> Result<Option<Skin>> {
        let cx = self.cx;
        let joints = joints(skin, &mut self.shapes.arrays, cx);
        let Some(joints) = or_less(joints, "joints", skin.location(), cx)? else { return Ok(None) };
        let mut nodes = Vec::new();
        for name in &joints.names {
            let namesakes = names.get(name).map_or(&[][..], |all| &all[..all.len().min(NAMESAKES)]);
            // A sid means the joint below one of the skeletons of the instance.
            let below = namesakes.iter().find(|&&node| self.is_below(node, roots)).or(namesakes.first());
            match below {
                Some(&node) => nodes.push(node),
                None => {
                    let message =
                        format!("joint {:?} is no node of the scene: the mesh is left without its skin", shown(name));
                    cx.warn_at("missing-joint", message, skin.location());
                    return Ok(None);
                }
            }
        }
        if nodes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Skin {
            name: String::new(),
            joints: nodes,
            inverse_bind_matrices: joints.inverse_bind_matrices,
            root: None,
        }))
    }

    fn is_below(&self, node: u32, roots: &[u32]) -> bool {
        let mut above = std::iter::successors(Some(node), |&node| self.parents[node as usize]);
        above.any(|node| roots.contains(&node))
    }
}
