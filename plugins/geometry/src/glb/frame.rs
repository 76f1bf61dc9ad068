//! The frame node: how a scene that is not in metres, not y-up or far from its origin is written.
//!
//! glTF fixes the unit (metres), the up axis (y) and single precision. A scene of another frame is written below one extra
//! root node, the last of all nodes, whose transform brings it into the frame of glTF; viewers show it upright, in its size
//! and in its place. The node's `extras.mediary` states the frame, and the reader takes the node away again, so that the
//! scene comes back as it was.

use mediary_core::record::Scene;
use serde_json::{Map, Value, json};

use super::document::Document;

/// The key of our own objects in `extras`.
pub(super) const KEY: &str = "mediary";
/// Below [`KEY`] in the asset's extras: the properties of the record.
pub(super) const PROPERTIES: &str = "properties";
/// Below [`KEY`] in the extras of a node that was made to shear its child: the matrix of both.
pub(super) const MATRIX: &str = "matrix";
const WORLD_OFFSET: &str = "world_offset";
const UP_AXIS: &str = "up_axis";
const UNIT_METERS: &str = "unit_meters";

/// Frame of a scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    /// Whether it is not the frame of glTF.
    pub(super) is_foreign: bool,
    pub(super) world_offset: [f64; 3],
    pub(super) up_axis: Option<&'static str>,
    pub(super) unit_meters: f64,
}

impl Frame {
    /// The frame of a scene in memory.
    pub(super) fn of(scene: &Scene) -> Self {
        let up_axis = scene.up_axis.unwrap_or("y");
        let unit_meters = scene.unit_meters.filter(|unit| unit.is_finite() && *unit > 0.0).unwrap_or(1.0);
        let is_foreign = up_axis != "y" || unit_meters != 1.0 || scene.world_offset != [0.0; 3];
        Self { is_foreign, world_offset: scene.world_offset, up_axis: Some(up_axis), unit_meters }
    }

    /// The frame that a document states: its one root is the last node, and has our mark and nothing of its own.
    pub(super) fn find(document: &Document, roots: &[u32]) -> Self {
        let plain = Self { is_foreign: false, world_offset: [0.0; 3], up_axis: Some("y"), unit_meters: 1.0 };
        let (&[root], Some(last)) = (roots, document.nodes.len().checked_sub(1)) else { return plain };
        let Some(node) = document.nodes.get(root as usize).filter(|_| root as usize == last) else { return plain };
        if node.mesh.is_some() || node.camera.is_some() || !node.extensions.is_empty() {
            return plain;
        }
        let Some(own) = node.extras.as_ref().and_then(|extras| extras.get(KEY)) else { return plain };
        let offset = own.get(WORLD_OFFSET).and_then(Value::as_array);
        let offset: Option<Vec<f64>> = offset.and_then(|values| values.iter().map(Value::as_f64).collect());
        let Some(Ok(world_offset)) = offset.map(<[f64; 3]>::try_from) else { return plain };
        let up_axis = match own.get(UP_AXIS).and_then(Value::as_str) {
            Some("x") => "x",
            Some("y") => "y",
            Some("z") => "z",
            _ => return plain,
        };
        let Some(unit_meters) = own.get(UNIT_METERS).and_then(Value::as_f64) else { return plain };
        Self { is_foreign: true, world_offset, up_axis: Some(up_axis), unit_meters }
    }

    /// The node object, with all root nodes as its children.
    pub(super) fn to_json(&self, roots: &[u32]) -> Value {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let [x, y, z] = self.world_offset;
        // The axis that is up is turned onto y: −90° about x takes z there, +90° about z takes x there.
        let (rotation, turned) = match self.up_axis {
            Some("z") => ([-half, 0.0, 0.0, half], [x, z, -y]),
            Some("x") => ([0.0, 0.0, half, half], [-y, x, z]),
            _ => ([0.0, 0.0, 0.0, 1.0], [x, y, z]),
        };
        let mut node = Map::new();
        if !roots.is_empty() {
            node.insert("children".into(), json!(roots));
        }
        if rotation[3] != 1.0 {
            node.insert("rotation".into(), json!(rotation));
        }
        if self.unit_meters != 1.0 {
            node.insert("scale".into(), vec![self.unit_meters; 3].into());
        }
        if turned != [0.0; 3] {
            node.insert("translation".into(), json!(turned.map(|value| value * self.unit_meters)));
        }
        let own = json!({
            WORLD_OFFSET: self.world_offset,
            UP_AXIS: self.up_axis,
            UNIT_METERS: self.unit_meters,
        });
        node.insert("extras".into(), json!({ KEY: own }));
        node.into()
    }
}
