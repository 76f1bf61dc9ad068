//! The JSON document of glTF 2.0 as serde structs: the properties this reader uses, by the names of the specification.

use std::collections::BTreeMap;

use mediary_core::{Context, Error, Location, Result};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::{Map, Value};

/// A non-negative integer. `1.0` is accepted: some exporters write all numbers as floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Int(pub(super) u64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Int;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a non-negative integer")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Int, E> {
                Ok(Int(value))
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Int, E> {
                Err(E::invalid_value(serde::de::Unexpected::Signed(value), &self))
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Int, E> {
                // Above 2^53 a float is no exact integer any more.
                if value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value) {
                    return Ok(Int(value as u64));
                }
                Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// Extension objects by name.
pub(super) type Extensions = Map<String, Value>;

macro_rules! document {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, serde::Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub(super) struct $name { $( $(#[$field_doc])* pub(super) $field: $type, )* }
        )*
    };
}

impl BufferView {
    /// `length` bytes of buffer 0 from its start.
    pub(super) fn plain(length: u64) -> Self {
        Self {
            buffer: Int(0),
            byte_offset: Int(0),
            byte_length: Int(length),
            byte_stride: None,
            extensions: Extensions::new(),
        }
    }
}

document! {
    /// The root.
    Document {
        asset: Asset,
        #[serde(default)] extensions_used: Vec<String>,
        #[serde(default)] extensions_required: Vec<String>,
        scene: Option<Int>,
        #[serde(default)] scenes: Vec<SceneObject>,
        #[serde(default)] nodes: Vec<NodeObject>,
        #[serde(default)] meshes: Vec<MeshObject>,
        #[serde(default)] accessors: Vec<Accessor>,
        #[serde(default)] buffer_views: Vec<BufferView>,
        #[serde(default)] buffers: Vec<Buffer>,
        #[serde(default)] materials: Vec<MaterialObject>,
        #[serde(default)] textures: Vec<TextureObject>,
        #[serde(default)] images: Vec<ImageObject>,
        #[serde(default)] samplers: Vec<Sampler>,
        #[serde(default)] skins: Vec<SkinObject>,
        #[serde(default)] animations: Vec<AnimationObject>,
        #[serde(default)] cameras: Vec<CameraObject>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    Asset {
        version: String,
        min_version: Option<String>,
        generator: Option<String>,
        copyright: Option<String>,
        extras: Option<Value>,
    }
    SceneObject {
        #[serde(default)] name: String,
        #[serde(default)] nodes: Vec<Int>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    NodeObject {
        #[serde(default)] name: String,
        #[serde(default)] children: Vec<Int>,
        matrix: Option<[f64; 16]>,
        translation: Option<[f64; 3]>,
        rotation: Option<[f64; 4]>,
        scale: Option<[f64; 3]>,
        mesh: Option<Int>,
        skin: Option<Int>,
        camera: Option<Int>,
        #[serde(default)] weights: Vec<f32>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    MeshObject {
        #[serde(default)] name: String,
        primitives: Vec<PrimitiveObject>,
        #[serde(default)] weights: Vec<f32>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    PrimitiveObject {
        #[serde(default)] attributes: BTreeMap<String, Int>,
        indices: Option<Int>,
        material: Option<Int>,
        mode: Option<Int>,
        #[serde(default)] targets: Vec<BTreeMap<String, Int>>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    Accessor {
        buffer_view: Option<Int>,
        #[serde(default)] byte_offset: Int,
        component_type: Int,
        #[serde(default)] normalized: bool,
        count: Int,
        #[serde(rename = "type")] kind: String,
        #[serde(default)] min: Vec<f64>,
        #[serde(default)] max: Vec<f64>,
        sparse: Option<Sparse>,
    }
    Sparse {
        count: Int,
        indices: SparseIndices,
        values: SparseValues,
    }
    SparseIndices {
        buffer_view: Int,
        #[serde(default)] byte_offset: Int,
        component_type: Int,
    }
    SparseValues {
        buffer_view: Int,
        #[serde(default)] byte_offset: Int,
    }
    BufferView {
        buffer: Int,
        #[serde(default)] byte_offset: Int,
        byte_length: Int,
        byte_stride: Option<Int>,
        #[serde(default)] extensions: Extensions,
    }
    Buffer {
        uri: Option<String>,
        byte_length: Int,
    }
    MaterialObject {
        #[serde(default)] name: String,
        pbr_metallic_roughness: Option<PbrMetallicRoughness>,
        normal_texture: Option<TextureInfo>,
        occlusion_texture: Option<TextureInfo>,
        emissive_texture: Option<TextureInfo>,
        #[serde(default)] emissive_factor: [f32; 3],
        alpha_mode: Option<String>,
        alpha_cutoff: Option<f32>,
        #[serde(default)] double_sided: bool,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    PbrMetallicRoughness {
        base_color_factor: Option<[f32; 4]>,
        base_color_texture: Option<TextureInfo>,
        metallic_factor: Option<f32>,
        roughness_factor: Option<f32>,
        metallic_roughness_texture: Option<TextureInfo>,
    }
    /// Also `normalTextureInfo` (`scale`) and `occlusionTextureInfo` (`strength`).
    TextureInfo {
        index: Int,
        #[serde(default)] tex_coord: Int,
        scale: Option<f32>,
        strength: Option<f32>,
        #[serde(default)] extensions: Extensions,
    }
    TextureObject {
        #[serde(default)] name: String,
        sampler: Option<Int>,
        source: Option<Int>,
        #[serde(default)] extensions: Extensions,
        extras: Option<Value>,
    }
    ImageObject {
        #[serde(default)] name: String,
        uri: Option<String>,
        mime_type: Option<String>,
        buffer_view: Option<Int>,
    }
    Sampler {
        mag_filter: Option<Int>,
        wrap_s: Option<Int>,
        wrap_t: Option<Int>,
    }
    SkinObject {
        #[serde(default)] name: String,
        joints: Vec<Int>,
        inverse_bind_matrices: Option<Int>,
        skeleton: Option<Int>,
    }
    AnimationObject {
        #[serde(default)] name: String,
        channels: Vec<ChannelObject>,
        samplers: Vec<AnimationSampler>,
    }
    ChannelObject {
        sampler: Int,
        target: Target,
    }
    Target {
        node: Option<Int>,
        path: String,
    }
    AnimationSampler {
        input: Int,
        output: Int,
        interpolation: Option<String>,
    }
    CameraObject {
        perspective: Option<Perspective>,
        orthographic: Option<Orthographic>,
    }
    Perspective {
        yfov: f64,
        aspect_ratio: Option<f64>,
        znear: f64,
        zfar: Option<f64>,
    }
    Orthographic {
        xmag: f64,
        ymag: f64,
        znear: f64,
        zfar: f64,
    }
    /// KHR_lights_punctual at the root.
    Lights {
        #[serde(default)] lights: Vec<LightObject>,
    }
    LightObject {
        #[serde(default)] name: String,
        #[serde(rename = "type")] kind: String,
        color: Option<[f32; 3]>,
        intensity: Option<f32>,
        range: Option<f32>,
        spot: Option<Spot>,
    }
    Spot {
        inner_cone_angle: Option<f32>,
        outer_cone_angle: Option<f32>,
    }
    /// KHR_lights_punctual at a node.
    LightUse {
        light: Int,
    }
    /// KHR_materials_pbrSpecularGlossiness.
    SpecularGlossiness {
        diffuse_factor: Option<[f32; 4]>,
        diffuse_texture: Option<TextureInfo>,
        glossiness_factor: Option<f32>,
    }
    /// KHR_texture_transform.
    TextureTransform {
        offset: Option<[f32; 2]>,
        scale: Option<[f32; 2]>,
        rotation: Option<f32>,
        tex_coord: Option<Int>,
    }
}

/// Bytes that a value of the JSON takes as a struct, roughly.
const VALUE_BYTES: u64 = 40;

impl Document {
    /// Parses the JSON at byte `offset` of the file and checks its version.
    pub(super) fn parse(json: &[u8], offset: u64, cx: &Context) -> Result<Self> {
        // Strings (`data:` URIs among them) are copied; everything else grows.
        let values = json.iter().filter(|&&byte| matches!(byte, b',' | b'[' | b'{')).count() as u64;
        cx.budget().take((json.len() as u64).saturating_add(values.saturating_mul(VALUE_BYTES)))?;
        // The chunk is padded with spaces; some writers pad with zeros.
        let padding = json.len() - json.iter().rev().take_while(|&&byte| byte == 0).count();
        if padding != json.len() {
            let at = Location::byte(offset + padding as u64);
            cx.tolerate("json-padding", "the JSON is padded with zeros, expected spaces", at)?;
        }
        let mut json = &json[..padding];
        let mut start = offset;
        if let Some(rest) = json.strip_prefix(b"\xEF\xBB\xBF") {
            cx.tolerate("byte-order-mark", "the JSON begins with a byte order mark", Location::byte(offset))?;
            (json, start) = (rest, offset + 3);
        }
        let document: Self = serde_json::from_slice(json)
            .map_err(|error| if is_version_1(json) { version_1() } else { json_error(&error, json, start) })?;
        let version = document.asset.min_version.as_ref().unwrap_or(&document.asset.version);
        let supported = version == "2.0"
            || (document.asset.min_version.is_none() && version.split('.').next().is_some_and(|major| major == "2"));
        if !supported && version.starts_with("1.") {
            return Err(version_1());
        }
        if !supported {
            return Err(Error::unsupported(format!("expected glTF version 2.0, found {version:?}")).at_element("asset"));
        }
        Ok(document)
    }
}

fn version_1() -> Error {
    Error::unsupported("glTF 1.0 is not supported: expected version 2.0")
        .at_element("asset.version")
        .with_hint("convert it to glTF 2.0, for example with gltf-pipeline")
}

/// Whether it is the document of glTF 1.0, in which objects stand where 2.0 has arrays.
fn is_version_1(json: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Versioned {
        asset: Option<Map<String, Value>>,
        meshes: Option<Value>,
    }
    serde_json::from_slice::<Versioned>(json).is_ok_and(|it| {
        let version = it.asset.as_ref().and_then(|asset| asset.get("version")?.as_str());
        version.is_some_and(|version| version.starts_with("1."))
            || (it.asset.is_none() && it.meshes.is_some_and(|meshes| meshes.is_object()))
    })
}

/// `error` with its place in the file.
fn json_error(error: &serde_json::Error, json: &[u8], start: u64) -> Error {
    let (line, column) = (error.line(), error.column());
    let before: usize = json.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let byte = start + (before + column.saturating_sub(1)) as u64;
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let location = Location::line(line as u64).with_column(column as u64).with_byte(byte);
    Error::malformed(format!("the JSON: {text}")).at(location)
}
