//! Normals of meshes that have none: smooth across flat edges, and not across sharp ones.

use mediary_core::record::scene::{Primitive, Topology};
use mediary_core::{Context, Result};

use crate::math::{V3, add, cross, dot, sub, unit};

/// Faces whose normals differ by less than 30 degrees are one surface.
const SHARP: f32 = 0.866;
/// Finer meshes are smooth to the eye as they are.
const MOST_FACES: usize = 400_000;
/// A vertex of more faces is a tip, not a place on a surface.
const MOST_AROUND: usize = 64;

/// A normal for every corner of `corners`, three a face. `None` where the mesh has normals, shares no vertices, or is fine.
pub(super) fn normals(primitive: &Primitive, corners: &[u32], cx: &Context) -> Result<Option<Vec<V3>>> {
    let is_surface = matches!(primitive.topology, Topology::Triangles | Topology::Polygons);
    let faces = corners.len() / 3;
    if !is_surface || !primitive.normals.is_empty() || !primitive.targets.is_empty() || faces > MOST_FACES {
        return Ok(None);
    }
    cx.checkpoint()?;
    cx.budget().take((faces * 76 + primitive.positions.len() * 4) as u64)?;
    // Scaled so that areas of tiny meshes are numbers.
    let largest = primitive.positions.iter().flatten().fold(0.0_f32, |most, value| most.max(value.abs()));
    let by = if largest > 0.0 && largest.is_finite() { 1.0 / largest } else { 1.0 };
    let point = |corner: u32| primitive.positions[corner as usize].map(|value| value * by);
    let areas: Vec<V3> = corners
        .as_chunks::<3>()
        .0
        .iter()
        .map(|face| {
            let [a, b, c] = face.map(point);
            let area = cross(sub(b, a), sub(c, a));
            if area.iter().all(|value| value.is_finite()) { area } else { V3::default() }
        })
        .collect();
    let around = Around::of(corners, primitive.positions.len());
    let mut normals = Vec::with_capacity(corners.len());
    for (face, vertices) in corners.as_chunks::<3>().0.iter().enumerate() {
        let Some(own) = unit(areas[face]) else {
            normals.extend([V3::default(); 3]);
            continue;
        };
        normals.extend(vertices.map(|vertex| {
            let near = around.faces(vertex).iter().map(|face| areas[*face as usize]);
            let sum =
                near.filter(|area| unit(*area).is_some_and(|other| dot(own, other) > SHARP)).fold(V3::default(), add);
            unit(sum).unwrap_or(own)
        }));
    }
    Ok(Some(normals))
}

/// The faces around every vertex.
struct Around {
    /// Where those of a vertex begin; one more than there are vertices.
    starts: Vec<u32>,
    faces: Vec<u32>,
}

impl Around {
    fn of(corners: &[u32], vertices: usize) -> Self {
        let mut starts = vec![0_u32; vertices + 1];
        corners.iter().for_each(|vertex| starts[*vertex as usize + 1] += 1);
        (0..vertices).for_each(|vertex| starts[vertex + 1] += starts[vertex]);
        let mut next = starts.clone();
        let mut faces = vec![0_u32; corners.len()];
        for (corner, vertex) in corners.iter().enumerate() {
            let place = &mut next[*vertex as usize];
            faces[*place as usize] = (corner / 3) as u32;
            *place += 1;
        }
        Self { starts, faces }
    }

    fn faces(&self, vertex: u32) -> &[u32] {
        let faces = &self.faces[self.starts[vertex as usize] as usize..self.starts[vertex as usize + 1] as usize];
        if faces.len() > MOST_AROUND { &[] } else { faces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two faces that share an edge and are tilted against each other by this many degrees.
    fn hinge(degrees: f32) -> Vec<V3> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let primitive = Primitive {
            positions: [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [cos, 0.0, sin]].into(),
            indices: Some([0, 1, 2, 0, 3, 1].into()),
            ..Primitive::default()
        };
        let corners = primitive.indices.as_deref().unwrap_or_default();
        normals(&primitive, corners, &Context::new("preview")).unwrap().unwrap()
    }

    #[test]
    fn flat_edges_are_smooth_and_sharp_ones_are_not() {
        let smooth = hinge(20.0);
        assert_eq!(smooth[0], smooth[3], "both faces have one normal at a shared corner");
        assert!(dot(smooth[0], smooth[2]) < 0.99, "and their own at the others");
        let sharp = hinge(50.0);
        assert_eq!(sharp[0], sharp[2]);
        assert!(dot(sharp[0], sharp[3]) < 0.7);
    }

    #[test]
    fn broken_meshes_have_normals_of_some_kind() {
        let mut primitive = Primitive {
            positions: [[f32::NAN, 0.0, 0.0], [0.0; 3], [3e38; 3], [1e-40, 0.0, 0.0]].into(),
            ..Primitive::default()
        };
        let corners = [0, 1, 2, 1, 1, 1, 3, 1, 2];
        let cx = Context::new("preview");
        let found = normals(&primitive, &corners, &cx).unwrap().unwrap();
        assert!(found.len() == 9 && found.iter().flatten().all(|value| value.is_finite()), "{found:?}");
        primitive.normals = vec![[0.0, 0.0, 1.0]; 4].into();
        assert!(normals(&primitive, &corners, &cx).unwrap().is_none(), "a mesh keeps its own");
    }
}
