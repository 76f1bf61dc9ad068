//! A scene as formats without a node tree see it: meshes in world space, and what they lose of it.

use mediary_core::record::Scene;
use mediary_core::record::facts::SceneFacts;
use mediary_core::record::scene::{Mesh, Node, Primitive, Topology, Transform, transform_point};
use mediary_core::{Context, Error, Result, Severity};

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
    /// The name of the mesh, or of its node.
    pub(crate) fn name(&self) -> &str {
        if self.mesh.name.is_empty() { &self.node.name } else { &self.mesh.name }
    }

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
    let (mut least, mut most, mut rounds) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3], [false; 3]);
    for position in positions {
        for axis in 0..3 {
            let value = position[axis];
            if !value.is_finite() {
                continue;
            }
            least[axis] = if value < least[axis] { value } else { least[axis] };
            most[axis] = if value > most[axis] { value } else { most[axis] };
            #[expect(clippy::cast_possible_truncation, reason = "whether it truncates is the question")]
            let single = f64::from(value as f32);
            rounds[axis] |= value.abs() > LARGE && single != value;
        }
    }
    [0, 1, 2].map(|axis| {
        let (least, most) = (least[axis], most[axis]);
        // An offset helps only where the extent is smaller than the distance from the origin.
        if rounds[axis] && most - least < least.abs().max(most.abs()) {
            (least + (most - least) / 2.0).round()
        } else {
            0.0
        }
    })
}

/// What the header of a file that holds one primitive tells; vertices and triangles are its own to say.
pub(crate) fn one_primitive() -> SceneFacts {
    SceneFacts {
        nodes: Some(1),
        meshes: Some(1),
        primitives: Some(1),
        materials: Some(0),
        textures: Some(0),
        animations: Some(0),
        ..SceneFacts::default()
    }
}

/// Reports vertices that are nowhere.
pub(crate) fn report_non_finite<T: Copy + Into<f64>>(positions: &[[T; 3]], cx: &Context) {
    let is_finite = |position: &&[T; 3]| position.iter().all(|&value| value.into().is_finite());
    let broken = positions.len() - positions.iter().filter(is_finite).count();
    let message = "vertices have a coordinate that is not finite";
    cx.report_times(Severity::Warning, "non-finite", message, None, broken as u64);
}

/// Calls `visit` with the corners of every face, wound counter-clockwise in world space. `corners` is scratch.
pub(crate) fn faces(primitive: &Primitive, mirrors: bool, mut visit: impl FnMut(&[u32])) {
    let indices = primitive.indices.as_deref();
    let corner = |at: usize| indices.map_or(at as u32, |indices| indices[at]);
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

/// All primitives with their places, for formats that hold one nameless mesh; what that loses.
pub(crate) fn joined<'p, 's>(
    scene: &Scene,
    meshes: &'p [Placed<'s>],
    cx: &Context,
) -> Vec<(&'p Placed<'s>, &'s Primitive)> {
    let parts: Vec<_> =
        meshes.iter().flat_map(|mesh| mesh.mesh.primitives.iter().map(move |primitive| (mesh, primitive))).collect();
    cx.lose("meshes", (parts.len() as u64).saturating_sub(1), "primitives: the format holds one mesh");
    let names = scene.meshes.iter().filter(|mesh| !mesh.name.is_empty()).count();
    cx.lose("mesh-names", names as u64, "names of meshes");
    let lines = parts.iter().filter(|(_, part)| part.topology == Topology::Lines).count();
    cx.lose("lines", lines as u64, "lines");
    parts
}

/// Reports what a format without materials loses.
pub(crate) fn lose_materials(scene: &Scene, cx: &Context) {
    cx.lose("materials", scene.materials.len() as u64, "materials");
    cx.lose("textures", scene.textures.len() as u64, "textures");
}

/// Refuses a scene of lines and points alone for a format that holds faces: what it wrote would be nothing.
pub(crate) fn need_faces(scene: &Scene, format: &str) -> Result<()> {
    let mut parts = scene.primitives().filter(|part| !part.positions.is_empty()).peekable();
    if parts.peek().is_none() || parts.any(|part| matches!(part.topology, Topology::Triangles | Topology::Polygons)) {
        return Ok(());
    }
    Err(Error::unsupported(format!("{format} holds faces; the scene has lines and points alone"))
        .with_hint("glb and obj hold lines and points"))
}

/// Faces of a primitive.
pub(crate) fn face_count(primitive: &Primitive) -> u64 {
    match primitive.topology {
        Topology::Triangles => primitive.corners() as u64 / 3,
        _ => primitive.face_sizes.len() as u64,
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
    let count = |length: usize| length as u64;
    let unplaced = scene.placements().into_iter().filter(|&times| times == 0).count();
    cx.lose("unplaced-meshes", count(unplaced), "meshes that no node places");
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
