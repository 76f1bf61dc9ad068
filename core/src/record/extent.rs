//! World bounds of meshes that are placed again and again: what cannot reach beyond the bounds so far is not looked at, so that
//! a small file of many vertices and many nodes does not cost their product.

use super::facts::Bounds;
use super::scene::{Mesh, transform_point};

/// Vertices in a leaf, and children of a branch.
const LEAF: usize = 64;
const BRANCH: usize = 8;

/// Boxes around the vertices of a mesh, and boxes around these.
pub(super) struct Extent<'m> {
    leaves: Vec<&'m [[f32; 3]]>,
    /// Boxes of the leaves, then level by level up to one.
    levels: Vec<Vec<Bounds>>,
}

impl<'m> Extent<'m> {
    pub(super) fn new(mesh: &'m Mesh) -> Self {
        let leaves: Vec<_> = mesh.primitives.iter().flat_map(|primitive| primitive.positions.chunks(LEAF)).collect();
        let around = |points: &&[[f32; 3]]| {
            let mut bounds = Bounds::EMPTY;
            bounds.include_all(points);
            bounds
        };
        let mut levels = vec![leaves.iter().map(around).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            levels.push(below.chunks(BRANCH).map(|children| children.iter().fold(Bounds::EMPTY, join)).collect());
        }
        Self { leaves, levels }
    }

    /// Lets `bounds` grow to hold the mesh under `world`.
    pub(super) fn include(&self, world: &[f64; 16], bounds: &mut Bounds) {
        // Where a factor is not finite, no position is.
        let finite = (0..16).filter(|at| at % 4 < 3).all(|at| world[at].is_finite());
        if finite && !self.leaves.is_empty() {
            self.look(self.levels.len() - 1, 0, world, bounds);
        }
    }

    fn look(&self, level: usize, index: usize, world: &[f64; 16], bounds: &mut Bounds) {
        if beyond(&self.levels[level][index], world, bounds) <= 0.0 {
            return;
        }
        let Some(below) = level.checked_sub(1) else {
            for point in self.leaves[index] {
                bounds.include(transform_point(world, point.map(f64::from)));
            }
            return;
        };
        // What reaches farthest first: then the others mostly lie within.
        let first = index * BRANCH;
        let children = first..self.levels[below].len().min(first + BRANCH);
        let mut order: Vec<_> =
            children.map(|child| (beyond(&self.levels[below][child], world, bounds), child)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        order.into_iter().for_each(|(_, child)| self.look(below, child, world, bounds));
    }
}

fn join(mut all: Bounds, one: &Bounds) -> Bounds {
    if one.min[0] <= one.max[0] {
        all.include(one.min);
        all.include(one.max);
    }
    all
}

/// How far a box under `world` reaches beyond `bounds`; 0 if it does not. Sums and products round the same way for every point
/// of the box, so this holds to the last bit.
fn beyond(one: &Bounds, world: &[f64; 16], bounds: &Bounds) -> f64 {
    if one.min[0] > one.max[0] {
        return 0.0;
    }
    let mut reach: f64 = 0.0;
    for row in 0..3 {
        let term = |axis: usize, pick: fn(f64, f64) -> f64| {
            pick(world[axis * 4 + row] * one.min[axis], world[axis * 4 + row] * one.max[axis])
        };
        let end = |pick: fn(f64, f64) -> f64| term(0, pick) + term(1, pick) + term(2, pick) + world[12 + row];
        reach = reach.max(bounds.min[row] - end(f64::min)).max(end(f64::max) - bounds.max[row]);
    }
    reach
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::record::Scene;
    use crate::record::scene::{Node, Primitive, Transform};

    fn mesh(vertices: usize) -> Mesh {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e5 - 80.0
        };
        let mut positions: Vec<[f32; 3]> = (0..vertices).map(|_| [next(), next(), next()]).collect();
        positions[vertices / 2] = [f32::NAN, 1e9, 0.0];
        let primitive = Primitive { positions: positions.into(), ..Primitive::default() };
        Mesh { primitives: vec![primitive], ..Mesh::default() }
    }

    fn placements(count: usize) -> impl Iterator<Item = Transform> {
        (0..count).map(|at| {
            let angle = at as f64;
            Transform::Trs {
                translation: [angle * 3.0, angle.sin() * 50.0, -angle],
                rotation: [0.0, (angle / 2.0).sin(), 0.0, (angle / 2.0).cos()],
                scale: [1.0, 1.0 + angle / 7.0, -2.0],
            }
        })
    }

    #[test]
    fn bounds_are_those_of_every_vertex() {
        let mesh = mesh(3000);
        let extent = Extent::new(&mesh);
        let (mut quick, mut slow) = (Bounds::EMPTY, Bounds::EMPTY);
        for transform in placements(40) {
            let world = transform.matrix();
            extent.include(&world, &mut quick);
            for position in &mesh.primitives[0].positions {
                slow.include(transform_point(&world, position.map(f64::from)));
            }
            assert_eq!(quick, slow);
        }
        let mut none = Bounds::EMPTY;
        extent.include(&[f64::NAN; 16], &mut none);
        Extent::new(&Mesh::default()).include(&Transform::IDENTITY.matrix(), &mut none);
        assert_eq!(none, Bounds::EMPTY);
    }

    #[test]
    fn many_placements_of_many_vertices_take_no_product_of_time() {
        let nodes: Vec<Node> =
            placements(8000).map(|transform| Node { transform, mesh: Some(0), ..Node::default() }).collect();
        let scene =
            Scene { roots: (0..nodes.len() as u32).collect(), nodes, meshes: vec![mesh(300_000)], ..Scene::default() };
        let begun = Instant::now();
        assert!(scene.bounds().is_some());
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}
