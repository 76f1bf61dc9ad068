//! What is drawn of a scene: every primitive of every node, with its faces numbered through the whole picture.

use mediary_core::record::scene::{Material, Primitive, Scene, Topology, Transform, multiply, transform_point};
use mediary_core::record::triangulate;
use mediary_core::{Context, Result};

use super::smooth;
use crate::camera::{Camera, Fit, View};
use crate::math::{Rows, V3, apply, normal_map, rows, turn};

/// One primitive of one node.
pub(super) struct Draw<'s> {
    pub(super) primitive: &'s Primitive,
    pub(super) material: Option<&'s Material>,
    /// Corners of triangles made of polygons.
    triangles: Option<&'s [u32]>,
    /// Made normals, three a face.
    smooth: Option<&'s [V3]>,
    /// Positions and normals in world space where a skin or a morph target moves them.
    moved: Option<Moved>,
    world: [f64; 16],
    /// From positions to camera space.
    pub(super) place: Rows,
    /// From normals to camera axes, not of unit length.
    pub(super) normals: [V3; 3],
    /// Number of its first face in the picture.
    pub(super) first: u32,
    pub(super) faces: u32,
}

pub(super) struct Moved {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
}

impl Draw<'_> {
    pub(super) fn positions(&self) -> &[[f32; 3]] {
        self.moved.as_ref().map_or(&self.primitive.positions, |moved| &moved.positions)
    }

    fn local_normals(&self) -> &[[f32; 3]] {
        self.moved.as_ref().map_or(&self.primitive.normals, |moved| &moved.normals)
    }

    /// Vertex of the corner of a face.
    fn corner(&self, at: usize) -> usize {
        match (self.triangles, &self.primitive.indices) {
            (Some(triangles), _) => triangles[at] as usize,
            (None, Some(indices)) => indices[at] as usize,
            (None, None) => at,
        }
    }

    /// Vertices of a face: of lines the second is there twice, of points the only one three times.
    pub(super) fn corners(&self, face: usize) -> [usize; 3] {
        match self.primitive.topology {
            Topology::Points => [self.corner(face); 3],
            Topology::Lines => {
                let end = self.corner(face * 2 + 1);
                [self.corner(face * 2), end, end]
            }
            _ => [0, 1, 2].map(|corner| self.corner(face * 3 + corner)),
        }
    }

    pub(super) fn is_surface(&self) -> bool {
        !matches!(self.primitive.topology, Topology::Points | Topology::Lines)
    }

    /// A vertex in camera space.
    pub(super) fn vertex(&self, vertex: usize) -> V3 {
        apply(&self.place, self.positions()[vertex])
    }

    /// Normals of a face's corners in camera axes, where there are some.
    pub(super) fn corner_normals(&self, face: usize, corners: [usize; 3]) -> Option<[V3; 3]> {
        let normals = self.local_normals();
        if normals.is_empty() {
            let [a, b, c] = *self.smooth?.as_chunks::<3>().0.get(face)?;
            return Some([a, b, c].map(|normal| turn(&self.normals, normal)));
        }
        Some(corners.map(|vertex| turn(&self.normals, normals[vertex])))
    }

    /// Sets the maps to camera space.
    pub(super) fn see(&mut self, camera: &Camera) {
        let map = camera.camera_from_world(&self.world);
        self.place = rows(&map);
        self.normals = normal_map(&map);
    }

    /// Tells the fit of every vertex that a face uses.
    pub(super) fn include(&self, view: &View, fit: &mut Fit) {
        let positions = self.positions();
        let mut used = vec![false; positions.len()];
        let per_face = match self.primitive.topology {
            Topology::Points => 1,
            Topology::Lines => 2,
            _ => 3,
        };
        for at in 0..self.faces as usize * per_face {
            used[self.corner(at)] = true;
        }
        for (position, _) in positions.iter().zip(used).filter(|(_, used)| *used) {
            let world = transform_point(&self.world, position.map(f64::from));
            fit.include(view.turn(world));
        }
    }
}

/// What is made of a primitive before it is drawn, once for all its nodes.
struct Made {
    /// Corners of triangles, of polygons.
    triangles: Option<Vec<u32>>,
    smooth: Option<Vec<V3>>,
}

/// What is made of every primitive, by mesh.
pub(super) struct Faces(Vec<Vec<Made>>);

impl Faces {
    pub(super) fn of(scene: &Scene, cx: &Context) -> Result<Self> {
        let of = |primitive: &Primitive| {
            cx.checkpoint()?;
            let triangles = if primitive.topology == Topology::Polygons {
                cx.budget().take(primitive.triangles().saturating_mul(12))?;
                Some(triangulate::primitive(primitive))
            } else {
                None
            };
            let smooth = match triangles.as_deref().or(primitive.indices.as_deref()) {
                Some(corners) => smooth::normals(primitive, corners, cx)?,
                None => None,
            };
            Ok(Made { triangles, smooth })
        };
        let meshes = scene.meshes.iter().map(|mesh| mesh.primitives.iter().map(of).collect());
        Ok(Self(meshes.collect::<Result<_>>()?))
    }
}

/// Everything that is drawn, in the order of the node tree.
pub(super) fn collect<'s>(scene: &'s Scene, faces: &'s Faces, cx: &Context) -> Result<Vec<Draw<'s>>> {
    let mut placed: Vec<(u32, [f64; 16])> = Vec::new();
    scene.walk(|node, world| placed.push((node, *world)));
    let worlds = Worlds::of(scene, &placed);
    let mut draws = Vec::new();
    // 0 is nothing.
    let mut next = 1_u64;
    for (index, world) in &placed {
        let node = &scene.nodes[*index as usize];
        let Some(mesh) = node.mesh else { continue };
        let (number, mesh) = (mesh as usize, &scene.meshes[mesh as usize]);
        let weights = if node.weights.is_empty() { &mesh.weights } else { &node.weights };
        for (primitive, made) in mesh.primitives.iter().zip(&faces.0[number]) {
            cx.checkpoint()?;
            let triangles = made.triangles.as_deref();
            let count = match primitive.topology {
                Topology::Points => primitive.corners(),
                Topology::Lines => primitive.corners() / 2,
                _ => triangles.map_or(primitive.corners(), <[u32]>::len) / 3,
            } as u64;
            if count == 0 {
                continue;
            }
            cx.limits().check("elements", next + count)?;
            let moved = moved(scene, node.skin, primitive, weights, world, &worlds, cx)?;
            draws.push(Draw {
                primitive,
                material: primitive.material.map(|material| &scene.materials[material as usize]),
                triangles,
                smooth: made.smooth.as_deref().filter(|_| moved.is_none()),
                world: if moved.is_some() { Transform::IDENTITY.matrix() } else { *world },
                moved,
                place: Rows::default(),
                normals: [V3::default(); 3],
                first: u32::try_from(next).unwrap_or(u32::MAX),
                faces: u32::try_from(count).unwrap_or(u32::MAX),
            });
            next += count;
        }
    }
    // Of a limit above what a sample can name.
    if next > u64::from(u32::MAX) {
        return Err(mediary_core::Error::limit("elements", next, u32::MAX.into()));
    }
    Ok(draws)
}

/// World matrices by node.
struct Worlds(Vec<[f64; 16]>);

impl Worlds {
    fn of(scene: &Scene, placed: &[(u32, [f64; 16])]) -> Self {
        if scene.skins.is_empty() {
            return Self(Vec::new());
        }
        let mut worlds = vec![Transform::IDENTITY.matrix(); scene.nodes.len()];
        for (node, world) in placed {
            worlds[*node as usize] = *world;
        }
        Self(worlds)
    }

    /// What every joint of a skin does to a vertex in its bind pose.
    fn joints(&self, scene: &Scene, skin: u32) -> Vec<[f64; 16]> {
        let skin = &scene.skins[skin as usize];
        let of = |(number, &joint): (usize, &u32)| {
            let world = &self.0[joint as usize];
            match skin.inverse_bind_matrices.get(number) {
                Some(inverse) => multiply(world, &inverse.map(f64::from)),
                None => *world,
            }
        };
        skin.joints.iter().enumerate().map(of).collect()
    }
}

/// Positions and normals in world space under morph targets and a skin, as glTF defines: first the targets, then the
/// joints, and the node's own transform is ignored where there is a skin.
fn moved(
    scene: &Scene,
    skin: Option<u32>,
    primitive: &Primitive,
    weights: &[f32],
    world: &[f64; 16],
    worlds: &Worlds,
    cx: &Context,
) -> Result<Option<Moved>> {
    let targets: Vec<_> = primitive.targets.iter().zip(weights).filter(|(_, weight)| **weight != 0.0).collect();
    let skin = skin.filter(|_| !primitive.joints.is_empty());
    if targets.is_empty() && skin.is_none() {
        return Ok(None);
    }
    cx.budget().take(primitive.positions.len() as u64 * 24)?;
    let mut positions = primitive.positions.to_vec();
    let mut normals = primitive.normals.to_vec();
    let add = |values: &mut [[f32; 3]], deltas: &[[f32; 3]], weight: f32| {
        for (value, delta) in values.iter_mut().zip(deltas) {
            (0..3).for_each(|axis| value[axis] += weight * delta[axis]);
        }
    };
    for (target, weight) in targets {
        add(&mut positions, &target.positions, *weight);
        add(&mut normals, &target.normals, *weight);
    }
    let joints = skin.map(|skin| worlds.joints(scene, skin)).unwrap_or_default();
    let blended = |vertex: usize| -> [f64; 16] {
        let mut sum = [0.0; 16];
        let mut all = 0.0;
        for (set, weights) in primitive.joints.iter().zip(&primitive.weights) {
            for (&joint, &weight) in set[vertex].iter().zip(&weights[vertex]) {
                let Some(matrix) = joints.get(usize::from(joint)).filter(|_| weight > 0.0) else { continue };
                all += f64::from(weight);
                (0..16).for_each(|i| sum[i] += f64::from(weight) * matrix[i]);
            }
        }
        // Weights that do not add up to 1 would pull the vertex to the origin; a vertex of no joint stays with its node.
        if all > 0.0 { sum.map(|value| value / all) } else { *world }
    };
    for (vertex, position) in positions.iter_mut().enumerate() {
        let matrix = if skin.is_some() { blended(vertex) } else { *world };
        *position = transform_point(&matrix, position.map(f64::from)).map(|value| value as f32);
        if let Some(normal) = normals.get_mut(vertex) {
            *normal = turn(&normal_map(&matrix), *normal);
        }
    }
    Ok(Some(Moved { positions, normals }))
}
