//! The JSON of a scene as serde structs: the keys this reader uses. Exporters write `null` for what is absent.

use mediary_core::{Context, Error, Location, Result};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// An array of numbers; `null` stands for what JSON cannot hold, and for no array.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(pub(super) Vec<f64>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Numbers;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of numbers")
            }
            fn visit_unit<E>(self) -> Result<Numbers, E> {
                Ok(Numbers::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<Option<f64>>()? {
                    values.push(value.unwrap_or(f64::NAN));
                }
                Ok(Numbers(values))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// The same in single precision, for bulk.
#[derive(Clone, Debug, Default)]
pub(super) struct Floats(pub(super) Vec<f32>);

impl<'de> Deserialize<'de> for Floats {
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Floats;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of numbers")
            }
            fn visit_unit<E>(self) -> Result<Floats, E> {
                Ok(Floats::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Floats, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<Option<f64>>()? {
                    values.push(value.map_or(f32::NAN, |value| value as f32));
                }
                Ok(Floats(values))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// A name by which objects refer to each other: text or a number, empty when it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }))
    }
}

/// `null` is the default.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

macro_rules! document {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, serde::Deserialize)]
            #[serde(default, rename_all = "camelCase")]
            pub(super) struct $name {
                $( $(#[$field_doc])* #[serde(deserialize_with = "nullable")] pub(super) $field: $type, )*
            }
        )*
    };
}

document! {
    Document {
        use_right_handed_system: bool,
        producer: Map<String, Value>,
        meshes: Vec<NodeObject>,
        transform_nodes: Vec<NodeObject>,
        geometries: Geometries,
        materials: Vec<Map<String, Value>>,
        multi_materials: Vec<MultiMaterial>,
        skeletons: Vec<Skeleton>,
        morph_target_managers: Vec<MorphTargetManager>,
        cameras: Vec<CameraObject>,
        lights: Vec<LightObject>,
        animation_groups: Vec<AnimationGroup>,
        particle_systems: Vec<IgnoredAny>,
        lens_flare_systems: Vec<IgnoredAny>,
        sounds: Vec<IgnoredAny>,
        actions: Option<IgnoredAny>,
    }
    /// A mesh, a transform node or an instance.
    NodeObject {
        name: String,
        id: Id,
        unique_id: Id,
        parent_id: Id,
        position: Numbers,
        rotation: Numbers,
        rotation_quaternion: Numbers,
        scaling: Numbers,
        pivot_matrix: Numbers,
        local_matrix: Numbers,
        is_visible: Option<bool>,
        is_enabled: Option<bool>,
        animations: Vec<AnimationObject>,
        material_id: Id,
        geometry_id: Id,
        skeleton_id: Id,
        morph_target_manager_id: Id,
        instances: Vec<NodeObject>,
        delay_loading_file: String,
        #[serde(rename = "_binaryInfo")]
        binary_info: Option<Box<BinaryInfo>>,
        positions: Floats,
        normals: Floats,
        tangents: Floats,
        uvs: Floats,
        uvs2: Floats,
        uvs3: Floats,
        uvs4: Floats,
        uvs5: Floats,
        uvs6: Floats,
        colors: Floats,
        matrices_indices: Numbers,
        matrices_weights: Floats,
        matrices_indices_extra: Numbers,
        matrices_weights_extra: Floats,
        indices: Vec<u32>,
        sub_meshes: Vec<SubMesh>,
    }
    Geometries {
        vertex_data: Vec<Geometry>,
        boxes: Vec<IgnoredAny>,
        spheres: Vec<IgnoredAny>,
        cylinders: Vec<IgnoredAny>,
        toruses: Vec<IgnoredAny>,
        grounds: Vec<IgnoredAny>,
        planes: Vec<IgnoredAny>,
        torus_knots: Vec<IgnoredAny>,
    }
    Geometry {
        id: Id,
        positions: Floats,
        normals: Floats,
        tangents: Floats,
        uvs: Floats,
        uvs2: Floats,
        uvs3: Floats,
        uvs4: Floats,
        uvs5: Floats,
        uvs6: Floats,
        colors: Floats,
        matrices_indices: Numbers,
        matrices_weights: Floats,
        matrices_indices_extra: Numbers,
        matrices_weights_extra: Floats,
        indices: Vec<u32>,
        sub_meshes: Vec<SubMesh>,
    }
    SubMesh {
        material_index: u64,
        index_start: u64,
        index_count: u64,
    }
    /// Where the arrays of a mesh lie in its `.babylonbinarymeshdata`.
    BinaryInfo {
        positions_attr_desc: Option<Section>,
        normals_attr_desc: Option<Section>,
        tangets_attr_desc: Option<Section>,
        tangents_attr_desc: Option<Section>,
        uvs_attr_desc: Option<Section>,
        uvs2_attr_desc: Option<Section>,
        uvs3_attr_desc: Option<Section>,
        uvs4_attr_desc: Option<Section>,
        uvs5_attr_desc: Option<Section>,
        uvs6_attr_desc: Option<Section>,
        colors_attr_desc: Option<Section>,
        matrices_indices_attr_desc: Option<Section>,
        matrices_weights_attr_desc: Option<Section>,
        indices_attr_desc: Option<Section>,
        sub_meshes_attr_desc: Option<Section>,
    }
    /// Numbers of four bytes, and the byte they begin at.
    Section {
        count: u64,
        offset: u64,
    }
    MultiMaterial {
        name: String,
        id: Id,
        unique_id: Id,
        materials: Vec<Id>,
        materials_unique_ids: Vec<Id>,
    }
    Skeleton {
        name: String,
        id: Id,
        bones: Vec<Bone>,
    }
    Bone {
        name: String,
        id: Id,
        parent_bone_index: Option<i64>,
        matrix: Numbers,
        animation: Option<AnimationObject>,
    }
    MorphTargetManager {
        id: Id,
        targets: Vec<Target>,
    }
    Target {
        name: String,
        influence: f32,
        positions: Floats,
        normals: Floats,
        tangents: Floats,
        animations: Vec<AnimationObject>,
    }
    AnimationGroup {
        name: String,
        targeted_animations: Vec<TargetedAnimation>,
    }
    TargetedAnimation {
        target_id: Id,
        animation: AnimationObject,
    }
    AnimationObject {
        property: String,
        frame_per_second: f64,
        keys: Vec<Key>,
    }
    Key {
        frame: f64,
        values: Numbers,
    }
    CameraObject {
        name: String,
        id: Id,
        unique_id: Id,
        parent_id: Id,
        #[serde(rename = "type")]
        kind: String,
        position: Numbers,
        rotation: Numbers,
        rotation_quaternion: Numbers,
        target: Numbers,
        alpha: Option<f64>,
        beta: Option<f64>,
        radius: Option<f64>,
        fov: Option<f64>,
        min_z: Option<f64>,
        max_z: Option<f64>,
        mode: u32,
        ortho_left: Option<f64>,
        ortho_right: Option<f64>,
        ortho_top: Option<f64>,
        ortho_bottom: Option<f64>,
        animations: Vec<AnimationObject>,
    }
    LightObject {
        name: String,
        id: Id,
        unique_id: Id,
        parent_id: Id,
        #[serde(rename = "type")]
        kind: u32,
        position: Numbers,
        direction: Numbers,
        diffuse: Numbers,
        intensity: Option<f32>,
        range: Option<f32>,
        angle: Option<f32>,
        inner_angle: Option<f32>,
        animations: Vec<AnimationObject>,
    }
}

impl NodeObject {
    /// Takes the arrays out of a mesh.
    pub(super) fn take_geometry(&mut self) -> Geometry {
        macro_rules! take {
            ($($field:ident)*) => { Geometry { id: Id::default(), $( $field: std::mem::take(&mut self.$field), )* } };
        }
        take!(positions normals tangents uvs uvs2 uvs3 uvs4 uvs5 uvs6 colors matrices_indices matrices_weights
            matrices_indices_extra matrices_weights_extra indices sub_meshes)
    }
}

/// Bytes that an object takes as a struct, at most.
const OBJECT_BYTES: u64 = 1 << 11;

/// Parses JSON, paid from the budget. `what` names it in messages.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(json: &[u8], what: &str, cx: &Context) -> Result<T> {
    // Keys of animations are many and small; a number of two bytes with its comma becomes one of eight, in a list that doubles.
    let (mut objects, mut at) = (0u64, 0);
    while let Some(next) = json[at..].iter().position(|&byte| byte == b'{') {
        at += next + 1;
        let ahead = json[at..].trim_ascii_start();
        objects += if ahead.starts_with(b"\"frame\"") || ahead.starts_with(b"\"values\"") { 64 } else { OBJECT_BYTES };
    }
    cx.budget().take(objects.saturating_add((json.len() as u64).saturating_mul(4)))?;
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    serde_json::from_slice(json).map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        let place = Location::line(error.line() as u64).with_column(error.column() as u64);
        Error::malformed(format!("{what}: {text}")).at(place)
    })
}
