//! Materials and their pictures.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::scene::{AlphaMode, Material, Texture, TextureUse, Wrap};
use mediary_core::{Context, Location, Result, Source};
use serde_json::{Map, Value};

use crate::glb::uri::Uri;
use crate::pictures;

/// Pictures, each loaded once a way of sampling.
pub(super) struct Textures<'a> {
    pub(super) list: Vec<Texture>,
    known: HashMap<(String, [u8; 2], bool), u32>,
    files: HashMap<String, File>,
    source: &'a Source,
    cx: &'a Context,
}

/// Name, media type and bytes of a picture.
type File = (Option<String>, String, Arc<[u8]>);

impl<'a> Textures<'a> {
    pub(super) fn new(source: &'a Source, cx: &'a Context) -> Self {
        Self { list: Vec::new(), known: HashMap::new(), files: HashMap::new(), source, cx }
    }

    /// The use of a texture object, if it names a picture.
    fn read(&mut self, object: &Map<String, Value>, path: &str) -> Result<Option<TextureUse>> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = |key: &str, default: f32| object.get(key).and_then(single).unwrap_or(default);
        let name = if text("name").is_empty() { text("url") } else { text("name") };
        if name.is_empty() && text("base64String").is_empty() {
            return Ok(None);
        }
        let wrap = |key: &str| match object.get(key).and_then(Value::as_u64) {
            Some(0) => Wrap::Clamp,
            Some(2) => Wrap::Mirror,
            _ => Wrap::Repeat,
        };
        let wrap = [wrap("wrapU"), wrap("wrapV")];
        let nearest = object.get("samplingMode").and_then(Value::as_u64) == Some(1);
        if ["uAng", "vAng", "wAng"].iter().any(|key| number(key, 0.0) != 0.0) {
            self.cx.warn_at("texture-rotation", "the turning of a texture is left out", Location::element(path));
        }
        let scale = [number("uScale", 1.0), number("vScale", 1.0)];
        let offset = [number("uOffset", 0.0), number("vOffset", 0.0)];
        // v runs upwards in the file, downwards here; a picture that is not turned over on loading runs with v.
        let transform = match object.get("invertY").and_then(Value::as_bool) {
            Some(false) => Some(([offset[0], scale[1] + offset[1]], [scale[0], -scale[1]], 0.0)),
            _ if scale == [1.0; 2] && offset == [0.0; 2] => None,
            _ => Some(([offset[0], 1.0 - scale[1] - offset[1]], scale, 0.0)),
        };
        let key = (name.to_owned(), wrap.map(|wrap| wrap as u8), nearest);
        let texture = match self.known.get(&key) {
            Some(&known) => known,
            None => {
                let (uri, media_type, bytes) = self.file(name, text("base64String"), path)?;
                let file = uri.as_deref().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
                self.list.push(Texture {
                    name: file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned(),
                    uri,
                    media_type,
                    bytes: bytes.into(),
                    wrap,
                    nearest,
                });
                let index = self.list.len() as u32 - 1;
                self.known.insert(key, index);
                index
            }
        };
        let texcoord = object.get("coordinatesIndex").and_then(Value::as_u64).unwrap_or(0);
        let texcoord = u32::try_from(texcoord).unwrap_or(0);
        Ok(Some(TextureUse { texture, texcoord, transform, factor: number("level", 1.0) }))
    }

    fn file(&mut self, name: &str, base64: &str, path: &str) -> Result<File> {
        if let Some(known) = self.files.get(name) {
            return Ok(known.clone());
        }
        let embedded = match (base64, name.get(..5)) {
            ("", Some(scheme)) if scheme.eq_ignore_ascii_case("data:") => Some(name.to_owned()),
            ("", _) => None,
            (data, _) if data.starts_with("data:") => Some(data.to_owned()),
            (data, _) => Some(format!("data:;base64,{data}")),
        };
        let file = match embedded {
            None => {
                let (found, bytes) = pictures::open(name, &[""], self.source, self.cx)?;
                (Some(found), pictures::media_type(&bytes, name).to_owned(), bytes)
            }
            Some(data) => match Uri::parse(&data, self.cx).map_err(|error| error.at_element(path.to_owned()))? {
                Uri::Data(media_type, bytes) => {
                    let sniffed = pictures::media_type(&bytes, "");
                    let media_type = if sniffed.is_empty() { media_type } else { sniffed.to_owned() };
                    let uri = (!name.starts_with("data:") && !name.is_empty()).then(|| name.to_owned());
                    (uri, media_type, bytes.into())
                }
                Uri::File(_) => (None, String::new(), Arc::from([])),
            },
        };
        self.files.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "materials are single precision")]
fn single(value: &Value) -> Option<f32> {
    value.as_f64().map(|value| value as f32).filter(|value| value.is_finite())
}

fn color(value: &Value) -> Option<[f32; 3]> {
    let [r, g, b] = value.as_array()?.get(..3)? else { return None };
    Some([single(r)?, single(g)?, single(b)?])
}

#[expect(clippy::cast_possible_truncation, reason = "materials are single precision")]
fn linear(color: [f32; 3]) -> [f32; 3] {
    color.map(|value| srgb_to_linear(value.clamp(0.0, 1.0).into()) as f32)
}

/// Kinds of materials, by `customType`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Standard,
    Pbr,
    MetallicRoughness,
    SpecularGlossiness,
}

/// Whether its colours, and those of vertices under it, are sRGB.
pub(super) fn is_gamma(object: &Map<String, Value>) -> bool {
    model(object) == Some(Model::Standard)
}

fn model(object: &Map<String, Value>) -> Option<Model> {
    match object.get("customType").and_then(Value::as_str).unwrap_or_default().trim_start_matches("BABYLON.") {
        "" | "StandardMaterial" => Some(Model::Standard),
        "PBRMaterial" => Some(Model::Pbr),
        "PBRMetallicRoughnessMaterial" => Some(Model::MetallicRoughness),
        "PBRSpecularGlossinessMaterial" => Some(Model::SpecularGlossiness),
        _ => None,
    }
}

/// Keys whose values stay as text.
const ORIGINAL: [&str; 9] = [
    "ambient",
    "specular",
    "specularPower",
    "reflectivity",
    "microSurface",
    "glossiness",
    "indexOfRefraction",
    "customType",
    "alphaMode",
];

/// Textures without a place in the record: their names stay as text.
const OTHER_TEXTURES: [&str; 8] = [
    "opacityTexture",
    "reflectionTexture",
    "refractionTexture",
    "lightmapTexture",
    "specularTexture",
    "reflectivityTexture",
    "specularGlossinessTexture",
    "environmentTexture",
];

pub(super) fn read(object: &Map<String, Value>, textures: &mut Textures<'_>, path: &str) -> Result<Material> {
    let cx = textures.cx;
    let number = |key: &str| object.get(key).and_then(single);
    let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(false);
    let tint = |key: &str| object.get(key).and_then(color);
    let map = |key: &str| object.get(key).and_then(Value::as_object);
    let mut used = |key: &str| -> Result<Option<TextureUse>> {
        map(key).map(|object| textures.read(object, path)).transpose().map(Option::flatten)
    };
    let plain = |used: Option<TextureUse>| used.map(|used| TextureUse { factor: 1.0, ..used });
    let name = object.get("name").or_else(|| object.get("id")).and_then(Value::as_str).unwrap_or_default();
    let mut material = Material { name: name.to_owned(), metallic: 0.0, ..Material::default() };
    let model = model(object).unwrap_or_else(|| {
        let kind = object.get("customType").and_then(Value::as_str).unwrap_or_default();
        let message = format!("a material of kind {kind:?} is read for what it shares with the standard ones");
        cx.warn_at("unknown-material", message, Location::element(path));
        Model::Standard
    });
    let base = match model {
        Model::Standard => "diffuse",
        Model::Pbr => "albedo",
        Model::MetallicRoughness => "base",
        Model::SpecularGlossiness => "diffuse",
    };
    let base_color = tint(if model == Model::MetallicRoughness { "baseColor" } else { base }).unwrap_or([1.0; 3]);
    let [r, g, b] = if model == Model::Standard { linear(base_color) } else { base_color.map(|it| it.clamp(0.0, 1.0)) };
    let alpha = number("alpha").unwrap_or(1.0).clamp(0.0, 1.0);
    material.base_color = [r, g, b, alpha];
    let base_map = map(&format!("{base}Texture"));
    material.base_color_texture = plain(used(&format!("{base}Texture"))?);
    let emissive = tint("emissive").unwrap_or([0.0; 3]);
    material.emissive = if model == Model::Standard { linear(emissive) } else { emissive.map(|it| it.max(0.0)) };
    material.emissive_texture = plain(used("emissiveTexture")?);
    if material.emissive_texture.is_some() && emissive == [0.0; 3] {
        material.emissive = [1.0; 3];
    }
    material.normal_texture = match used("bumpTexture")? {
        Some(bump) => Some(bump),
        None => used("normalTexture")?,
    };
    let mut occlusion = match used("ambientTexture")? {
        Some(ambient) => Some(ambient),
        None => used("occlusionTexture")?,
    };
    if let Some(occlusion) = &mut occlusion {
        let strength = number("ambientTextureStrength").or_else(|| number("occlusionStrength"));
        occlusion.factor = strength.unwrap_or(1.0).clamp(0.0, 1.0);
    }
    material.occlusion_texture = occlusion;
    let mut original = BTreeMap::new();
    match model {
        Model::Standard => {
            // The usual match of Blinn-Phong highlights: exponent = 2 / roughness² − 2.
            let power = number("specularPower").unwrap_or(64.0).max(0.0);
            material.roughness = number("roughness").unwrap_or_else(|| (2.0 / (power + 2.0)).sqrt()).clamp(0.0, 1.0);
        }
        Model::SpecularGlossiness => {
            material.roughness = 1.0 - number("glossiness").unwrap_or(1.0).clamp(0.0, 1.0);
        }
        Model::Pbr | Model::MetallicRoughness => {
            let (metallic, roughness) = (number("metallic"), number("roughness"));
            let is_metallic = model == Model::MetallicRoughness || metallic.is_some() || roughness.is_some();
            if is_metallic {
                material.metallic = metallic.unwrap_or(1.0).clamp(0.0, 1.0);
                material.roughness = roughness.unwrap_or(1.0).clamp(0.0, 1.0);
            } else {
                material.roughness = 1.0 - number("microSurface").unwrap_or(1.0).clamp(0.0, 1.0);
            }
            // Other channels than those of glTF are possible, and then no more than a name.
            let same = model == Model::MetallicRoughness
                || flag("useRoughnessFromMetallicTextureGreen") && flag("useMetallnessFromMetallicTextureBlue");
            for key in ["metallicTexture", "metallicRoughnessTexture"] {
                if same {
                    material.metallic_roughness_texture = match material.metallic_roughness_texture.take() {
                        Some(known) => Some(known),
                        None => plain(used(key)?),
                    };
                } else if let Some(name) = map(key).and_then(|map| map.get("name")?.as_str()) {
                    original.insert(key.to_owned(), name.chars().take(256).collect());
                }
            }
        }
    }
    let has_alpha = base_map.is_some_and(|map| map.get("hasAlpha").and_then(Value::as_bool).unwrap_or(false));
    let cutoff = number("alphaCutOff").unwrap_or(0.4);
    let from_base = flag("useAlphaFromDiffuseTexture") || flag("useAlphaFromAlbedoTexture");
    material.alpha = match object.get("transparencyMode").and_then(Value::as_u64) {
        Some(0) => AlphaMode::Opaque,
        Some(1) => AlphaMode::Mask(cutoff),
        Some(2 | 3) => AlphaMode::Blend,
        _ if alpha < 1.0 || has_alpha && from_base => AlphaMode::Blend,
        _ if has_alpha => AlphaMode::Mask(cutoff),
        _ => AlphaMode::Opaque,
    };
    if map("opacityTexture").is_some() && material.alpha == AlphaMode::Opaque {
        material.alpha = AlphaMode::Blend;
    }
    material.double_sided =
        object.get("backFaceCulling").and_then(Value::as_bool) == Some(false) || flag("doubleSided");
    material.unlit = flag("disableLighting") || flag("unlit");
    for key in ORIGINAL {
        match object.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                original.insert(key.to_owned(), text.chars().take(256).collect());
            }
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                original.insert(key.to_owned(), value.to_string());
            }
            Some(value) => {
                if let Some(color) = color(value) {
                    original.insert(key.to_owned(), color.map(|value| value.to_string()).join(" "));
                }
            }
        }
    }
    for key in OTHER_TEXTURES {
        if let Some(name) = map(key).and_then(|map| map.get("name")?.as_str()) {
            original.insert(key.to_owned(), name.chars().take(256).collect());
        }
    }
    material.original = original;
    Ok(material)
}
