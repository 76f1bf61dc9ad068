//! What a look at every face of a scene tells: faces without area, positions that are no numbers, and whether the surface is
//! closed.

use std::collections::HashMap;

use super::facts::Bounds;
use super::scene::{Mesh, Primitive, Topology};
use super::{Scene, triangulate};
use crate::context::Context;
use crate::error::Result;

/// Faces between two checkpoints.
const CHECK_EVERY: usize = 1 << 16;

/// Stands for a position that is no place.
const NOWHERE: u32 = u32::MAX;

/// Facts of all faces of a scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Triangles without area, or with a corner that is not finite.
    pub degenerate_triangles: u64,
    /// Vertices with a coordinate that is not finite.
    pub non_finite_vertices: u64,
    /// Every mesh has faces, and each edge of it belongs to exactly two of them. Vertices at one place are one vertex: rounded to
    /// 1e-8 of the mesh's extent, which joins what differs by the noise of a computation that should have given 0. Triangles
    /// with two corners at one place are not looked at.
    pub watertight: bool,
}

impl Surface {
    /// Looks at every face of every mesh, once and in its own space. The scene must be [valid](Scene::validate).
    ///
    /// # Errors
    /// `Limit` when 52 bytes a triangle and 24 a vertex of one mesh do not fit, or the time is up; `Cancelled`.
    pub fn of(scene: &Scene, cx: &Context) -> Result<Self> {
        let mut surface = Self { watertight: !scene.meshes.is_empty(), ..Self::default() };
        for mesh in &scene.meshes {
            let vertices: u64 = mesh.primitives.iter().map(|one| one.positions.len() as u64).sum();
            let triangles: u64 = mesh.primitives.iter().map(Primitive::triangles).sum();
            let bytes = vertices.saturating_mul(24).saturating_add(triangles.saturating_mul(52));
            cx.budget().take(bytes)?;
            surface.watertight &= surface.look(mesh, cx)?;
            cx.budget().give_back(bytes);
        }
        Ok(surface)
    }

    /// Counts, and whether the mesh is closed.
    fn look(&mut self, mesh: &Mesh, cx: &Context) -> Result<bool> {
        let cell = cell(mesh);
        let mut places: HashMap<[i64; 3], u32> = HashMap::new();
        let mut edges: Vec<u64> = Vec::new();
        for primitive in &mesh.primitives {
            let mut place = Vec::with_capacity(primitive.positions.len());
            for (index, position) in primitive.positions.iter().enumerate() {
                if index.is_multiple_of(CHECK_EVERY) {
                    cx.checkpoint()?;
                }
                if !position.iter().all(|value| value.is_finite()) {
                    self.non_finite_vertices += 1;
                    place.push(NOWHERE);
                    continue;
                }
                #[expect(clippy::cast_possible_truncation, reason = "a cell number: the extent is 1e8 cells")]
                let key = position.map(|value| (f64::from(value) / cell).round() as i64);
                let fresh = places.len() as u32;
                place.push(*places.entry(key).or_insert(fresh));
            }
            for (index, corners) in triangles(primitive).chunks_exact(3).enumerate() {
                if index.is_multiple_of(CHECK_EVERY) {
                    cx.checkpoint()?;
                }
                let corners = [0, 1, 2].map(|corner| corners[corner] as usize);
                self.degenerate_triangles += u64::from(!has_area(corners.map(|corner| primitive.positions[corner])));
                let [a, b, c] = corners.map(|corner| place[corner]);
                if a != b && b != c && c != a && ![a, b, c].contains(&NOWHERE) {
                    let edge = |from: u32, to: u32| u64::from(from.min(to)) << 32 | u64::from(from.max(to));
                    edges.extend([edge(a, b), edge(b, c), edge(c, a)]);
                }
            }
        }
        edges.sort_unstable();
        Ok(!edges.is_empty() && edges.chunk_by(|a, b| a == b).all(|same| same.len() == 2))
    }
}

/// The edge of a cell that is one place: 1e-8 of the largest extent.
fn cell(mesh: &Mesh) -> f64 {
    let mut bounds = Bounds::EMPTY;
    for position in mesh.primitives.iter().flat_map(|one| &one.positions) {
        bounds.include(position.map(f64::from));
    }
    let extent = (0..3).map(|axis| bounds.max[axis] - bounds.min[axis]).fold(0.0, f64::max);
    (extent * 1e-8).max(f64::MIN_POSITIVE)
}

/// Corner indices, three a triangle.
fn triangles(primitive: &Primitive) -> Vec<u32> {
    match primitive.topology {
        Topology::Points | Topology::Lines => Vec::new(),
        Topology::Polygons => triangulate::primitive(primitive),
        Topology::Triangles => match &primitive.indices {
            Some(indices) => indices.to_vec(),
            None => (0..primitive.positions.len() as u32).collect(),
        },
    }
}

fn has_area([a, b, c]: [[f32; 3]; 3]) -> bool {
    let edge = |to: [f32; 3]| [0, 1, 2].map(|axis| f64::from(to[axis]) - f64::from(a[axis]));
    let (u, v) = (edge(b), edge(c));
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    normal.iter().all(|value| value.is_finite()) && normal.iter().any(|value| *value != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TETRAHEDRON: [u32; 12] = [0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3];

    fn surface(positions: Vec<[f32; 3]>, indices: &[u32]) -> Surface {
        let primitive =
            Primitive { positions: positions.into(), indices: Some(indices.to_vec().into()), ..Primitive::default() };
        let mesh = Mesh { primitives: vec![primitive], ..Mesh::default() };
        Surface::of(&Scene::of_meshes(vec![mesh]), &Context::new("test")).unwrap()
    }

    fn corners() -> Vec<[f32; 3]> {
        vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    }

    #[test]
    fn a_tetrahedron_is_closed_until_a_face_is_missing() {
        let whole = surface(corners(), &TETRAHEDRON);
        assert_eq!(whole, Surface { degenerate_triangles: 0, non_finite_vertices: 0, watertight: true });
        assert!(!surface(corners(), &TETRAHEDRON[..9]).watertight);
        assert!(!surface(corners(), &[]).watertight, "nothing is not closed");
    }

    #[test]
    fn vertices_at_one_place_are_one() {
        let mut soup: Vec<_> = TETRAHEDRON.iter().map(|&corner| corners()[corner as usize]).collect();
        let indices: Vec<u32> = (0..12).collect();
        soup[0][1] = -1e-17;
        assert!(surface(soup.clone(), &indices).watertight, "the sine of a half turn is 0");
        soup[0][1] = -1e-6;
        assert!(!surface(soup, &indices).watertight, "a gap is a gap");
    }

    #[test]
    fn what_has_no_area_is_counted_and_does_not_open_a_surface() {
        let mut positions = corners();
        positions.extend([[2.0, 0.0, 0.0], [f32::NAN, 0.0, 0.0]]);
        let mut indices = TETRAHEDRON.to_vec();
        indices.extend([0, 0, 1]);
        let found = surface(positions.clone(), &indices);
        assert_eq!((found.degenerate_triangles, found.non_finite_vertices, found.watertight), (1, 1, true));
        indices.extend([0, 1, 4, 1, 2, 5]);
        let found = surface(positions, &indices);
        assert_eq!((found.degenerate_triangles, found.watertight), (3, false), "a flat one has edges of its own");
    }
}
