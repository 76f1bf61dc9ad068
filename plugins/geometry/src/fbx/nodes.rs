//! The node tree, and what hangs on it: meshes with materials and skins, lines, cameras, lights.

use std::collections::HashMap;
use std::rc::Rc;

use mediary_core::record::Scene;
use mediary_core::record::scene::{Camera, Light, Mesh, Node, Primitive, Skin, Topology, Transform};
use mediary_core::{Context, Location, Result, Severity, Source};
use ufbx::{LightType, ProjectionMode, SkinDeformer};

use super::extras::Extras;
use super::geometry::{self, Shape};
use super::material::Materials;

/// A skin of the file, the places of its clusters among the joints of the record, and its number there.
type Bound<'s> = (&'s SkinDeformer, Vec<Option<u16>>, u32);

/// A scene while it is built.
pub(super) struct Builder<'s, 'c> {
    pub(super) scene: Scene,
    pub(super) materials: Materials<'s>,
    pub(super) extras: Extras<'c>,
    file: &'s ufbx::Scene,
    /// By number of a node in the file.
    pub(super) nodes: HashMap<u32, u32>,
    shapes: HashMap<u32, (Rc<Shape>, Option<u32>)>,
    /// By number of a mesh in the file, and the materials it is placed with.
    meshes: HashMap<(u32, Vec<u32>), u32>,
    lines: HashMap<u32, u32>,
    cameras: HashMap<u32, u32>,
    lights: HashMap<u32, u32>,
    cx: &'c Context,
}

impl<'s, 'c> Builder<'s, 'c>
where
    'c: 's,
{
    pub(super) fn new(file: &'s ufbx::Scene, source: &'s Source, cx: &'c Context) -> Self {
        Self {
            scene: Scene::default(),
            materials: Materials::new(file, source, cx),
            extras: Extras::new(cx),
            file,
            nodes: HashMap::new(),
            shapes: HashMap::new(),
            meshes: HashMap::new(),
            lines: HashMap::new(),
            cameras: HashMap::new(),
            lights: HashMap::new(),
            cx,
        }
    }

    /// The whole tree, then what nothing places.
    pub(super) fn build(&mut self) -> Result<()> {
        let file = self.file;
        let cx = self.cx;
        // Nodes have their numbers before skins refer to them.
        cx.budget().take(file.nodes.len() as u64 * (size_of::<Node>() as u64 + 16))?;
        let root = file.root_node.as_ref();
        let turned = transform(&root.local_transform).is_some_and(|it| it.matrix() != Transform::IDENTITY.matrix());
        let shown: Vec<&ufbx::Node> = file.nodes.into_iter().filter(|node| turned || !node.is_root).collect();
        for (node, index) in shown.iter().zip(0..) {
            self.nodes.insert(node.element.typed_id, index);
        }
        let numbers = &self.nodes;
        let of = |node: &ufbx::Node| numbers.get(&node.element.typed_id).copied();
        let (mut hidden, mut broken) = (0, 0);
        for node in &shown {
            let own = transform(&node.local_transform);
            broken += u64::from(own.is_none());
            hidden += u64::from(!node.visible && !node.is_root);
            self.scene.nodes.push(Node {
                name: node.element.name.to_string(),
                transform: own.unwrap_or_default(),
                children: node.children.into_iter().filter_map(of).collect(),
                ..Node::default()
            });
        }
        self.scene.roots =
            if turned { of(root).into_iter().collect() } else { root.children.into_iter().filter_map(of).collect() };
        for (node, index) in shown.into_iter().zip(0..) {
            if index % 1024 == 0 {
                cx.checkpoint()?;
            }
            self.extras.keep(&format!("nodes[{index}]"), &node.element);
            self.attributes(node, index)?;
        }
        for mesh in &file.meshes {
            if !self.shapes.contains_key(&mesh.element.typed_id) {
                self.mesh(mesh, &mesh.materials)?;
            }
        }
        for material in &file.materials {
            if !self.materials.knows(material) {
                self.materials.bind(material, &[])?;
            }
        }
        let report = |severity, code: &str, message: &str, count: u64| {
            cx.report_times(severity, code, message, None, count);
        };
        report(Severity::Warning, "non-finite", "nodes with a placement that is not finite are not moved", broken);
        report(Severity::Info, "hidden", "nodes that are hidden are shown", hidden);
        let levels = file.lod_groups.len() as u64;
        report(Severity::Info, "levels-of-detail", "groups of levels of detail: all levels are shown", levels);
        let curves = file.nurbs_curves.len() + file.nurbs_surfaces.len();
        report(Severity::Warning, "nurbs", "curves and surfaces of NURBS are left out", curves as u64);
        let others = file.procedural_geometries.len() as u64;
        report(Severity::Warning, "geometry-kind", "procedural geometry is left out", others);
        let changed = (file.cache_deformers.len() + file.constraints.len()) as u64;
        report(Severity::Warning, "deformer", "caches of vertices and constraints are left out", changed);
        Ok(())
    }

    fn attributes(&mut self, node: &'s ufbx::Node, index: u32) -> Result<()> {
        if let Some(mesh) = &node.mesh {
            let materials = if node.materials.is_empty() { &mesh.materials } else { &node.materials };
            let (number, skin) = self.mesh(mesh, materials)?;
            self.scene.nodes[index as usize].mesh = Some(number);
            self.scene.nodes[index as usize].skin = skin;
        }
        if let Some(camera) = &node.camera {
            let number = self.camera(camera);
            self.scene.nodes[index as usize].camera = Some(number);
        }
        if let Some(light) = &node.light {
            let number = self.light(light);
            self.scene.nodes[index as usize].light = Some(number);
        }
        if let Some(line) = node.attrib.as_ref().and_then(|_| self.line_of(node)) {
            let number = self.line(line)?;
            self.scene.nodes[index as usize].mesh = Some(number);
        }
        Ok(())
    }

    /// The mesh with these materials, and its skin.
    fn mesh(
        &mut self,
        mesh: &'s ufbx::Mesh,
        materials: &'s ufbx::RefList<ufbx::Material>,
    ) -> Result<(u32, Option<u32>)> {
        let cx = self.cx;
        let id = mesh.element.typed_id;
        if !self.shapes.contains_key(&id) {
            let skin = self.skin(mesh)?;
            let bound = skin.as_ref().map(|(deformer, joints, _)| (*deformer, joints.as_slice()));
            let shape = geometry::shape(mesh, bound, cx)?;
            self.shapes.insert(id, (Rc::new(shape), skin.map(|(.., number)| number)));
        }
        let (shape, skin) = self.shapes[&id].clone();
        let mut bound = Vec::with_capacity(shape.parts.len());
        for part in &shape.parts {
            let material = materials.get(part.slot as usize);
            bound.push(match material {
                Some(material) => self.materials.bind(material, &shape.sets)?,
                None => u32::MAX,
            });
        }
        let known = self.meshes.get(&(id, bound.clone()));
        if let Some(&known) = known {
            return Ok((known, skin));
        }
        let parts = shape.parts.iter().zip(&bound);
        cx.budget().take(shape.parts.len() as u64 * size_of::<Primitive>() as u64)?;
        let primitives = parts.map(|(part, &material)| Primitive {
            material: (material != u32::MAX).then_some(material),
            ..part.primitive.clone()
        });
        let primitives = primitives.collect();
        let number = self.scene.meshes.len() as u32;
        self.extras.keep(&format!("meshes[{number}]"), &mesh.element);
        let name = mesh.element.name.to_string();
        self.scene.meshes.push(Mesh { name, primitives, weights: shape.weights.clone() });
        self.meshes.insert((id, bound), number);
        Ok((number, skin))
    }

    /// The skin of a mesh.
    #[expect(clippy::cast_possible_truncation, reason = "bind matrices are single precision")]
    fn skin(&mut self, mesh: &'s ufbx::Mesh) -> Result<Option<Bound<'s>>> {
        let cx = self.cx;
        let place = || Location::element(mesh.element.name.to_string());
        let Some(deformer) = mesh.skin_deformers.first() else { return Ok(None) };
        let more = mesh.skin_deformers.len() as u64 - 1;
        cx.report_times(Severity::Warning, "deformer", "a second skin of a mesh is left out", Some(place()), more);
        if matches!(
            deformer.skinning_method,
            ufbx::SkinningMethod::DualQuaternion | ufbx::SkinningMethod::BlendedDqLinear
        ) {
            cx.warn_at("deformer", "a skin by dual quaternions becomes a linear one", place());
        }
        cx.budget().take(deformer.clusters.len() as u64 * 96)?;
        let mut skin = Skin { name: deformer.element.name.to_string(), ..Skin::default() };
        let mut joints = Vec::with_capacity(deformer.clusters.len());
        for cluster in &deformer.clusters {
            let node = cluster.bone_node.as_ref().and_then(|node| self.nodes.get(&node.element.typed_id).copied());
            let number = u16::try_from(skin.joints.len()).ok();
            joints.push(node.and(number));
            if let (Some(node), Some(_)) = (node, number) {
                skin.joints.push(node);
                skin.inverse_bind_matrices.push(columns(&cluster.geometry_to_bone).map(|value| value as f32));
            }
        }
        let lost = joints.iter().filter(|joint| joint.is_none()).count() as u64;
        let message = "joints that are not in the tree, or beyond 65536, are left out";
        cx.report_times(Severity::Warning, "missing-joint", message, Some(place()), lost);
        if skin.joints.is_empty() {
            return Ok(None);
        }
        self.scene.skins.push(skin);
        Ok(Some((deformer.as_ref(), joints, self.scene.skins.len() as u32 - 1)))
    }

    fn line_of(&self, node: &ufbx::Node) -> Option<&'s ufbx::LineCurve> {
        let attribute = node.attrib.as_ref().filter(|attribute| attribute.type_ == ufbx::ElementType::LineCurve)?;
        self.file.line_curves.get(attribute.typed_id as usize).map(AsRef::as_ref)
    }

    /// A mesh of the lines of a curve.
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn line(&mut self, line: &ufbx::LineCurve) -> Result<u32> {
        if let Some(&known) = self.lines.get(&line.element.typed_id) {
            return Ok(known);
        }
        let cx = self.cx;
        cx.budget().take(line.control_points.len() as u64 * 12 + line.point_indices.len() as u64 * 8)?;
        let positions: Vec<_> =
            line.control_points.iter().map(|point| [point.x as f32, point.y as f32, point.z as f32]).collect();
        let mut indices = Vec::new();
        for segment in &line.segments {
            let first = segment.index_begin as usize;
            let points = line.point_indices.get(first..first.saturating_add(segment.num_indices as usize));
            for pair in points.unwrap_or_default().windows(2) {
                if pair.iter().all(|&point| (point as usize) < positions.len()) {
                    indices.extend_from_slice(pair);
                }
            }
        }
        let mut primitive = Primitive {
            topology: Topology::Lines,
            positions: positions.into(),
            indices: Some(indices.into()),
            ..Primitive::default()
        };
        primitive.share();
        let number = self.scene.meshes.len() as u32;
        let name = line.element.name.to_string();
        self.scene.meshes.push(Mesh { name, primitives: vec![primitive], ..Mesh::default() });
        self.lines.insert(line.element.typed_id, number);
        Ok(number)
    }

    fn camera(&mut self, camera: &ufbx::Camera) -> u32 {
        if let Some(&known) = self.cameras.get(&camera.element.typed_id) {
            return known;
        }
        let positive = |value: f64, otherwise: f64| if value.is_finite() && value > 0.0 { value } else { otherwise };
        let near = positive(camera.near_plane, 0.1);
        let far = (camera.far_plane.is_finite() && camera.far_plane > near).then_some(camera.far_plane);
        let made = match camera.projection_mode {
            ProjectionMode::Perspective => Camera::Perspective {
                yfov: positive(camera.field_of_view_deg.y.to_radians(), 1.0).min(3.1),
                aspect: Some(camera.aspect_ratio).filter(|aspect| aspect.is_finite() && *aspect > 0.0),
                near,
                far,
            },
            ProjectionMode::Orthographic => Camera::Orthographic {
                xmag: positive(camera.orthographic_size.x / 2.0, 1.0),
                ymag: positive(camera.orthographic_size.y / 2.0, 1.0),
                near,
                far: far.unwrap_or(near + 1000.0),
            },
        };
        self.scene.cameras.push(made);
        let number = self.scene.cameras.len() as u32 - 1;
        self.cameras.insert(camera.element.typed_id, number);
        number
    }

    #[expect(clippy::cast_possible_truncation, reason = "lights are single precision")]
    fn light(&mut self, light: &ufbx::Light) -> u32 {
        if let Some(&known) = self.lights.get(&light.element.typed_id) {
            return known;
        }
        let cx = self.cx;
        let place = || Location::element(light.element.name.to_string());
        let kind = match light.type_ {
            LightType::Directional => "directional",
            LightType::Spot => "spot",
            LightType::Point => "point",
            LightType::Area | LightType::Volume => {
                cx.warn_at("light-kind", "a light of an area or a volume becomes a point", place());
                "point"
            }
        };
        if kind != "directional" && light.decay != ufbx::LightDecay::Quadratic {
            cx.report(
                Severity::Info,
                "attenuation",
                "light that does not fade with the square of the distance",
                Some(place()),
            );
        }
        let finite = |value: f64| if value.is_finite() { value.max(0.0) as f32 } else { 0.0 };
        // The file has whole angles, the record those from the axis.
        let half = |degrees: f64| finite((degrees / 2.0).to_radians()).min(std::f32::consts::FRAC_PI_2);
        let (inner, outer) = (half(light.inner_angle), half(light.outer_angle));
        let made = Light {
            name: light.element.name.to_string(),
            kind,
            color: [light.color.x, light.color.y, light.color.z].map(finite),
            intensity: finite(light.intensity),
            range: None,
            cone: (kind == "spot").then_some([inner.min(outer), outer]),
        };
        self.scene.lights.push(made);
        let number = self.scene.lights.len() as u32 - 1;
        self.lights.insert(light.element.typed_id, number);
        number
    }
}

/// `None` when a number of it is not finite.
fn transform(found: &ufbx::Transform) -> Option<Transform> {
    let (t, r, s) = (&found.translation, &found.rotation, &found.scale);
    let (translation, rotation, scale) = ([t.x, t.y, t.z], [r.x, r.y, r.z, r.w], [s.x, s.y, s.z]);
    let finite = translation.iter().chain(&rotation).chain(&scale).all(|value| value.is_finite());
    // Rounding may leave a unit quaternion with a number beyond 1.
    let rotation = rotation.map(|value| value.clamp(-1.0, 1.0));
    finite.then_some(Transform::Trs { translation, rotation, scale })
}

/// Column-major 4 x 4.
fn columns(m: &ufbx::Matrix) -> [f64; 16] {
    [
        m.m00, m.m10, m.m20, 0.0, //
        m.m01, m.m11, m.m21, 0.0, //
        m.m02, m.m12, m.m22, 0.0, //
        m.m03, m.m13, m.m23, 1.0,
    ]
}
