//! [`Turn`]: quarter turns and a scale, which change coordinates by swapping, negating and multiplying alone: nothing is rounded
//! that the scale does not round.

use mediary_core::record::scene::{Node, Primitive, Transform};
use mediary_core::record::{AttributeData, Scene};

/// Coordinate `i` of the result is `factor` times coordinate `axes[i]`, negated where `negated[i]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    axes: [usize; 3],
    negated: [bool; 3],
    factor: f64,
}

impl Turn {
    pub(super) fn scale(factor: f64) -> Self {
        Self { axes: [0, 1, 2], negated: [false; 3], factor }
    }

    /// Then quarter turns that bring axis `from` to axis `to`: a right-handed turn in their plane.
    pub(super) fn up(self, from: usize, to: usize) -> Self {
        if from == to {
            return self;
        }
        // The old `from` is the new `to`; the old `to` is the new `from`, negated.
        let mut turned = self;
        (turned.axes[to], turned.negated[to]) = (self.axes[from], self.negated[from]);
        (turned.axes[from], turned.negated[from]) = (self.axes[to], !self.negated[to]);
        turned
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::scale(1.0)
    }

    /// Without the scale.
    fn direction<T: Copy + std::ops::Neg<Output = T>>(&self, vector: [T; 3]) -> [T; 3] {
        [0, 1, 2].map(|i| if self.negated[i] { -vector[self.axes[i]] } else { vector[self.axes[i]] })
    }

    pub(super) fn point(&self, point: [f64; 3]) -> [f64; 3] {
        self.direction(point).map(|value| value * self.factor)
    }

    /// Directions of three numbers each, of a type that can be negative.
    pub(super) fn directions(&self, data: &mut AttributeData) {
        match data {
            AttributeData::F32(values) => {
                for vector in values.to_mut().chunks_exact_mut(3) {
                    vector.copy_from_slice(&self.direction([vector[0], vector[1], vector[2]]));
                }
            }
            AttributeData::F64(values) => {
                for vector in values.to_mut().chunks_exact_mut(3) {
                    vector.copy_from_slice(&self.direction([vector[0], vector[1], vector[2]]));
                }
            }
            // Integers are no unit vectors: such an attribute has another meaning.
            _ => {}
        }
    }

    /// Column-major.
    fn matrix(&self) -> [f64; 16] {
        let mut matrix = [0.0; 16];
        for row in 0..3 {
            matrix[self.axes[row] * 4 + row] = if self.negated[row] { -self.factor } else { self.factor };
        }
        matrix[15] = 1.0;
        matrix
    }

    /// Turns a scene: its vertices where every mesh stands for itself, its root nodes otherwise.
    pub(super) fn scene(&self, scene: &mut Scene) {
        scene.world_offset = self.point(scene.world_offset);
        if is_flat(scene) {
            scene
                .meshes
                .iter_mut()
                .flat_map(|mesh| &mut mesh.primitives)
                .for_each(|primitive| self.vertices(primitive));
            return;
        }
        let animated = |node: u32| scene.animations.iter().flat_map(|one| &one.channels).any(|one| one.node == node);
        if scene.roots.iter().any(|&root| animated(root)) {
            // What moves a root moves it within the turned world.
            let node = Node {
                name: "world".into(),
                transform: Transform::Matrix(self.matrix()),
                children: std::mem::take(&mut scene.roots),
                ..Node::default()
            };
            scene.roots.push(scene.nodes.len() as u32);
            scene.nodes.push(node);
            return;
        }
        for &root in &scene.roots {
            let node = &mut scene.nodes[root as usize];
            let turned = mediary_core::record::scene::multiply(&self.matrix(), &node.transform.matrix());
            node.transform = Transform::Matrix(turned);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "positions are single precision")]
    fn vertices(&self, primitive: &mut Primitive) {
        let place = |position: [f32; 3]| self.direction(position).map(|value| (f64::from(value) * self.factor) as f32);
        primitive.positions.to_mut().iter_mut().for_each(|position| *position = place(*position));
        primitive.normals.to_mut().iter_mut().for_each(|normal| *normal = self.direction(*normal));
        for [x, y, z, _] in primitive.tangents.to_mut() {
            [*x, *y, *z] = self.direction([*x, *y, *z]);
        }
        for target in &mut primitive.targets {
            target.positions.to_mut().iter_mut().for_each(|position| *position = place(*position));
            target.normals.to_mut().iter_mut().for_each(|normal| *normal = self.direction(*normal));
            target.tangents.to_mut().iter_mut().for_each(|tangent| *tangent = self.direction(*tangent));
        }
    }
}

/// Every node is a root in place with a mesh of its own, and nothing moves: what formats without a node tree give.
fn is_flat(scene: &Scene) -> bool {
    scene.roots.len() == scene.nodes.len()
        && scene.nodes.len() == scene.meshes.len()
        && scene.animations.is_empty()
        && scene.nodes.iter().enumerate().all(|(index, node)| {
            node.mesh == u32::try_from(index).ok()
                && (node.skin, node.camera, node.light) == (None, None, None)
                && node.transform.matrix() == Transform::IDENTITY.matrix()
        })
}
