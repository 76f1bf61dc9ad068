//! A scene as formats without a node tree see it: meshes in world space, and what they lose of it.

use mediary_core::Context;
use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Node, Primitive, Topology, Transform, transform_point};

use crate::vertex::unit;

/// Beyond this single precision has fewer than seven bits for the fraction.
const LARGE: f64 = 65_536.0;

/// A mesh at its place in the world.
pub(crate) struct Placed<'s> {
    /// The node that places it.
    pub(crate) node: &'s Node,
    /// What it places.
    pub(crate) mesh: &'s Mesh,
    offset: [f64; 3],
    world: Option<[f64; 16]>,
    /// Row-major inverse transpose of the upper left 3 x 3, up to a positive factor.
    normals: [[f64; 3]; 3],
    /// The placement mirrors: faces are to be wound the other way.
    pub(crate) mirrors: bool,
}

impl Placed<'_> {
    /// A position in world space.
    pub(crate) fn position(&self, position: [f32; 3]) -> [f64; 3] {
        let mut position = position.map(f64::from);
        if let Some(world) = &self.world {
            position = transform_point(world, position);
        }
        [0, 1, 2].map(|axis| position[axis] + self.offset[axis])
    }

    /// A unit normal in world space.
    pub(crate) fn normal(&self, normal: [f32; 3]) -> [f32; 3] {
        if self.world.is_none() {
            return normal;
        }
        let turned = self.normals.map(|row| (0..3).map(|axis| row[axis] * f64::from(normal[axis])).sum());
        unit(turned).unwrap_or(normal)
    }
}

/// All placed meshes, in the order of the node tree.
pub(crate) fn placed(scene: &Scene) -> Vec<Placed<'_>> {
    let identity = Transform::IDENTITY.matrix();
    let mut all = Vec::new();
    scene.walk(|index, world| {
        let node = &scene.nodes[index as usize];
        let Some(mesh) = node.mesh else { return };
        let (normals, mirrors) = cofactors(world);
        let world = (*world != identity).then_some(*world);
        all.push(Placed {
            node,
            mesh: &scene.meshes[mesh as usize],
            offset: scene.world_offset,
            world,
            normals,
            mirrors,
        });
    });
    all
}

/// The matrix that turns normals, and whether the determinant is negative.
fn cofactors(m: &[f64; 16]) -> ([[f64; 3]; 3], bool) {
    let at = |row: usize, column: usize| m[(column % 3) * 4 + row % 3];
    let minor = |row: usize, column: usize| {
        at(row + 1, column + 1) * at(row + 2, column + 2) - at(row + 1, column + 2) * at(row + 2, column + 1)
    };
    let determinant: f64 = (0..3).map(|column| at(0, column) * minor(0, column)).sum();
    let sign = if determinant < 0.0 { -1.0 } else { 1.0 };
    ([0, 1, 2].map(|row| [0, 1, 2].map(|column| sign * minor(row, column))), determinant < 0.0)
}

/// The middle of what single precision would round, in whole units; 0 on axes that do not need it.
pub(crate) fn offset(positions: &[[f64; 3]]) -> [f64; 3] {
    [0, 1, 2].map(|axis| {
        let (mut least, mut most, mut rounds) = (f64::INFINITY, f64::NEG_INFINITY, false);
        for value in positions.iter().map(|position| position[axis]).filter(|value| value.is_finite()) {
            least = least.min(value);
            most = most.max(value);
            #[expect(clippy::cast_possible_truncation, reason = "whether it truncates is the question")]
            let single = f64::from(value as f32);
            rounds |= value.abs() > LARGE && single != value;
        }
        // An offset helps only where the extent is smaller than the distance from the origin.
        if rounds && most - least < least.abs().max(most.abs()) { (least + (most - least) / 2.0).round() } else { 0.0 }
    })
}

/// Calls `visit` with the corners of every face, wound counter-clockwise in world space. `corners` is scratch.
pub(crate) fn faces(primitive: &Primitive, mirrors: bool, mut visit: impl FnMut(&[u32])) {
    let corner = |at: usize| primitive.indices.as_ref().map_or(at as u32, |indices| indices[at]);
    let mut corners = Vec::new();
    let mut at = 0;
    let mut face = |size: usize| {
        corners.clear();
        corners.extend((at..at + size).map(corner));
        if mirrors {
            corners.reverse();
        }
        at += size;
        visit(&corners);
    };
    match primitive.topology {
        Topology::Triangles => (0..primitive.corners() / 3).for_each(|_| face(3)),
        Topology::Polygons => primitive.face_sizes.iter().for_each(|&size| face(size as usize)),
        _ => {}
    }
}

/// Cuts a polygon into `len - 2` triangles, wound as it is: a fan where it is convex, ears where it is not. Calls `visit` with
/// places in `points`.
pub(crate) fn triangles(points: &[[f64; 3]], mut visit: impl FnMut([usize; 3])) {
    // Ears take a search each: beyond this a fan must do.
    const MOST_EARS: usize = 2048;
    if points.len() == 3 {
        return visit([0, 1, 2]);
    }
    // Newell's normal, and the polygon as seen along it.
    let mut normal = [0.0; 3];
    for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
        for (axis, sum) in normal.iter_mut().enumerate() {
            let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
            *sum += (a[u] - b[u]) * (a[v] + b[v]);
        }
    }
    let along = (0..3).max_by(|&a, &b| normal[a].abs().total_cmp(&normal[b].abs())).unwrap_or(2);
    let (u, v) =
        if normal[along] < 0.0 { ((along + 2) % 3, (along + 1) % 3) } else { ((along + 1) % 3, (along + 2) % 3) };
    let turn = |a: usize, b: usize, c: usize| {
        let [a, b, c] = [a, b, c].map(|at| [points[at][u], points[at][v]]);
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    };
    let mut left: Vec<usize> = (0..points.len()).collect();
    let corner = |left: &[usize], at: usize| {
        let count = left.len();
        [left[(at + count - 1) % count], left[at], left[(at + 1) % count]]
    };
    let reflex = (0..left.len()).filter(|&at| !matches!(corner(&left, at), [a, b, c] if turn(a, b, c) >= 0.0)).count();
    if reflex > 0 && points.len() <= MOST_EARS {
        while left.len() > 3 {
            let ear = (0..left.len()).find(|&at| {
                let [a, b, c] = corner(&left, at);
                let inside = |&&other: &&usize| {
                    ![a, b, c].contains(&other)
                        && turn(a, b, other) >= 0.0
                        && turn(b, c, other) >= 0.0
                        && turn(c, a, other) >= 0.0
                };
                turn(a, b, c) > 0.0 && left.iter().find(inside).is_none()
            });
            // A polygon that crosses itself may have none.
            let Some(ear) = ear else { break };
            visit(corner(&left, ear));
            left.remove(ear);
        }
    }
    for at in 1..left.len() - 1 {
        visit([left[0], left[at], left[at + 1]]);
    }
}

/// Reports what no format without a node tree keeps. `names` says whether mesh names and their partition survive.
pub(crate) fn lose_tree(scene: &Scene, names: bool, cx: &Context) {
    // The tree that a reader of such a format makes: one root a mesh, in order, in place, under the same name.
    let trivial = scene.nodes.len() == scene.meshes.len()
        && scene.roots.len() == scene.nodes.len()
        && scene.nodes.iter().zip(0_u32..).zip(&scene.roots).all(|((node, index), &root)| {
            root == index
                && node.mesh == Some(index)
                && node.children.is_empty()
                && node.transform.matrix() == Transform::IDENTITY.matrix()
                && (!names || node.name == scene.meshes[index as usize].name)
        });
    if !trivial {
        cx.lose("node-tree", scene.nodes.len() as u64, "nodes: meshes are written in world space");
    }
    let mut used = vec![false; scene.meshes.len()];
    scene.walk(|node, _| {
        if let Some(mesh) = scene.nodes[node as usize].mesh {
            used[mesh as usize] = true;
        }
    });
    let count = |length: usize| length as u64;
    cx.lose("unplaced-meshes", count(used.iter().filter(|used| !**used).count()), "meshes that no node places");
    cx.lose("animations", count(scene.animations.len()), "animations");
    cx.lose("skins", count(scene.skins.len()), "skins");
    cx.lose("cameras", count(scene.cameras.len()), "cameras");
    cx.lose("lights", count(scene.lights.len()), "lights");
    let primitives = || scene.primitives();
    cx.lose("morph-targets", primitives().map(|part| count(part.targets.len())).sum(), "morph targets");
    cx.lose("tangents", count(primitives().filter(|part| !part.tangents.is_empty()).count()), "tangents");
    let extra = |sets: usize| count(sets.saturating_sub(1));
    cx.lose("texcoord-sets", primitives().map(|part| extra(part.texcoords.len())).sum(), "further texture coordinates");
    cx.lose("color-sets", primitives().map(|part| extra(part.colors.len())).sum(), "further colours");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concave_polygons_keep_their_area() {
        // An arrow head: a fan from the first corner would leave it.
        let points = [[0.0, 0.0, 0.0], [4.0, -3.0, 0.0], [1.0, 0.0, 0.0], [4.0, 3.0, 0.0]];
        for turned in 0..4 {
            let mut points = points;
            points.rotate_left(turned);
            let (mut area, mut count) = (0.0, 0);
            triangles(&points, |[a, b, c]| {
                let edge = |to: usize, axis: usize| points[to][axis] - points[a][axis];
                let double = edge(b, 0) * edge(c, 1) - edge(b, 1) * edge(c, 0);
                assert!(double > 0.0, "wound the other way");
                area += double / 2.0;
                count += 1;
            });
            assert_eq!((area, count), (3.0, 2));
        }
    }

    #[test]
    fn a_mirror_turns_normals_and_winding() {
        let mirror =
            Transform::Trs { translation: [5.0, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0], scale: [-2.0, 1.0, 1.0] };
        let mut scene = Scene::of_meshes(vec![Mesh::default()]);
        scene.nodes[0].transform = mirror;
        let all = placed(&scene);
        assert!(all[0].mirrors);
        assert_eq!(all[0].position([1.0, 2.0, 3.0]), [3.0, 2.0, 3.0]);
        assert_eq!(all[0].normal([1.0, 0.0, 0.0]), [-1.0, 0.0, 0.0]);
    }
}
