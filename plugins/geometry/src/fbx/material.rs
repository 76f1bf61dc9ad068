//! Materials and textures.

use std::collections::{BTreeMap, HashMap};

use mediary_core::record::scene::{AlphaMode, Material, Texture, TextureUse, Wrap};
use mediary_core::{Context, Location, Result, Source};
use ufbx::{MaterialMap, PropFlags, ShaderType, TextureType, WrapMode};

use super::extras::text;
use crate::pictures;

/// Letters of a value that is kept as text, and values of one material.
const KEPT: usize = 256;
const VALUES: usize = 256;

/// Materials and textures of the scene.
pub(super) struct Materials<'s> {
    pub(super) list: Vec<Material>,
    pub(super) textures: Vec<Texture>,
    drafts: HashMap<u32, Draft>,
    /// By number of the material in the file, and by the sets that its textures take.
    known: HashMap<(u32, [u32; 5]), u32>,
    /// By number of the file, wrapping.
    samplers: HashMap<(u32, [bool; 2]), u32>,
    scene: &'s ufbx::Scene,
    source: &'s Source,
    cx: &'s Context,
}

/// A material whose textures name a set of texture coordinates.
#[derive(Clone)]
struct Draft {
    material: Material,
    /// Names of the sets of base colour, metalness and roughness, normals, occlusion and emission.
    sets: [String; 5],
}

impl<'s> Materials<'s> {
    pub(super) fn new(scene: &'s ufbx::Scene, source: &'s Source, cx: &'s Context) -> Self {
        let (list, textures) = (Vec::new(), Vec::new());
        let (drafts, known, samplers) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { list, textures, drafts, known, samplers, scene, source, cx }
    }

    /// Whether something has this material.
    pub(super) fn knows(&self, material: &ufbx::Material) -> bool {
        self.drafts.contains_key(&material.element.typed_id)
    }

    /// The place of the first that was made of a material.
    pub(super) fn path(&self, material: &ufbx::Material) -> Option<String> {
        let id = material.element.typed_id;
        let made = self.known.iter().filter(|((known, _), _)| *known == id).map(|(_, &index)| index).min();
        made.map(|index| format!("materials[{index}]"))
    }

    /// The index of a material for a mesh with these sets of texture coordinates.
    pub(super) fn bind(&mut self, material: &ufbx::Material, sets: &[String]) -> Result<u32> {
        let id = material.element.typed_id;
        if !self.drafts.contains_key(&id) {
            self.cx.checkpoint()?;
            let draft = self.draft(material)?;
            self.drafts.insert(id, draft);
        }
        let draft = &self.drafts[&id];
        let mut numbers = [0; 5];
        for (number, name) in numbers.iter_mut().zip(&draft.sets) {
            // An empty name, and one that the mesh does not know, is the first set.
            *number = sets.iter().position(|set| set == name).unwrap_or(0) as u32;
        }
        if let Some(&known) = self.known.get(&(id, numbers)) {
            return Ok(known);
        }
        self.cx.budget().take(size_of::<Material>() as u64)?;
        let mut made = draft.material.clone();
        let uses = [
            &mut made.base_color_texture,
            &mut made.metallic_roughness_texture,
            &mut made.normal_texture,
            &mut made.occlusion_texture,
            &mut made.emissive_texture,
        ];
        for (used, number) in uses.into_iter().zip(numbers) {
            used.iter_mut().for_each(|used| used.texcoord = number);
        }
        let index = self.list.len() as u32;
        self.list.push(made);
        self.known.insert((id, numbers), index);
        Ok(index)
    }

    fn draft(&mut self, found: &ufbx::Material) -> Result<Draft> {
        let name = found.element.name.to_string();
        let place = || Location::element(name.clone());
        let mut material = Material { name: name.clone(), metallic: 0.0, ..Material::default() };
        let mut sets: [String; 5] = Default::default();
        let (pbr, fbx) = (&found.pbr, &found.fbx);
        let is_pbr = found.features.pbr.enabled;

        let factor = if pbr.base_factor.has_value { pbr.base_factor.value_vec4.x } else { 1.0 };
        if pbr.base_color.has_value {
            let [r, g, b] = color(&pbr.base_color).map(|value| unit(value * factor));
            material.base_color = [r, g, b, 1.0];
        }
        if let Some((used, set)) = self.used(&pbr.base_color, &place)? {
            (material.base_color_texture, sets[0]) = (Some(used), set);
            // A texture takes the place of the colour.
            material.base_color = [unit(factor), unit(factor), unit(factor), 1.0];
        }

        let exponent = fbx.specular_exponent.has_value.then_some(fbx.specular_exponent.value_vec4.x);
        let shiny = !is_pbr && matches!(found.shader_type, ShaderType::FbxPhong | ShaderType::Unknown);
        if let (true, Some(exponent)) = (shiny, exponent) {
            // The usual match of Blinn-Phong highlights: exponent = 2 / roughness² − 2.
            material.roughness = unit((2.0 / (exponent.max(0.0) + 2.0)).sqrt());
        } else if !shiny && pbr.roughness.has_value {
            material.roughness = unit(pbr.roughness.value_vec4.x);
        }
        if pbr.metalness.has_value {
            material.metallic = unit(pbr.metalness.value_vec4.x);
        }
        self.surface(found, &mut material, &mut sets, &place)?;

        let factor = if pbr.emission_factor.has_value { pbr.emission_factor.value_vec4.x } else { 1.0 };
        if pbr.emission_color.has_value {
            material.emissive = color(&pbr.emission_color).map(|value| unit(value * factor));
        }
        if let Some((used, set)) = self.used(&pbr.emission_color, &place)? {
            (material.emissive_texture, sets[4]) = (Some(used), set);
            material.emissive = [unit(factor); 3];
        }
        let normals = if pbr.normal_map.texture.is_some() { &pbr.normal_map } else { &fbx.normal_map };
        if let Some((used, set)) = self.used(normals, &place)? {
            (material.normal_texture, sets[2]) = (Some(used), set);
        }
        if let Some((used, set)) = self.used(&pbr.ambient_occlusion, &place)? {
            (material.occlusion_texture, sets[3]) = (Some(used), set);
        }
        self.transparency(found, &mut material, &place)?;
        material.double_sided = found.features.double_sided.enabled;
        material.unlit = found.features.unlit.enabled;
        material.original = self.original(found);
        Ok(Draft { material, sets })
    }

    /// Pictures of metalness and roughness: in one picture they have a place, apart they have none.
    fn surface(
        &mut self,
        found: &ufbx::Material,
        material: &mut Material,
        sets: &mut [String; 5],
        place: &dyn Fn() -> Location,
    ) -> Result<()> {
        let (metalness, roughness) = (&found.pbr.metalness, &found.pbr.roughness);
        let file = |map: &MaterialMap| map.texture.as_ref().map(|texture| (texture.has_file, texture.file_index));
        match (file(metalness), file(roughness)) {
            (None, None) => {}
            (Some((true, a)), Some((true, b))) if a == b => {
                if let Some((used, set)) = self.used(roughness, place)? {
                    (material.metallic_roughness_texture, sets[1]) = (Some(used), set);
                    (material.metallic, material.roughness) = (1.0, 1.0);
                }
            }
            _ if found.features.pbr.enabled => {
                let message = "pictures of metalness and roughness apart from each other have no place in the record";
                self.cx.warn_at("texture-kind", message, place());
            }
            _ => {}
        }
        Ok(())
    }

    /// Alpha from opacity, or from what Phong says of transparency.
    fn transparency(
        &mut self,
        found: &ufbx::Material,
        material: &mut Material,
        place: &dyn Fn() -> Location,
    ) -> Result<()> {
        let (pbr, fbx) = (&found.pbr, &found.fbx);
        let mut picture = &pbr.opacity;
        let alpha = if pbr.opacity.has_value {
            color(&pbr.opacity).iter().sum::<f64>() / 3.0
        } else if found.features.pbr.enabled {
            1.0
        } else if let Some(opacity) = ufbx::find_prop(&found.element.props, "Opacity") {
            // What the FBX SDK writes for programs that know no transparency colour.
            opacity.value_vec4.x
        } else {
            picture = &fbx.transparency_color;
            let factor = if fbx.transparency_factor.has_value { fbx.transparency_factor.value_vec4.x } else { 0.0 };
            let color = if fbx.transparency_color.has_value { color(&fbx.transparency_color) } else { [0.0; 3] };
            1.0 - factor * color.iter().sum::<f64>() / 3.0
        };
        let alpha = if alpha.is_finite() { alpha } else { 1.0 };
        if let Some(texture) = &picture.texture {
            let base = pbr.base_color.texture.as_ref();
            let same =
                base.is_some_and(|base| base.has_file && texture.has_file && base.file_index == texture.file_index);
            if same {
                material.alpha = AlphaMode::Blend;
                return Ok(());
            }
            let message = "a picture of transparency apart from the base colour has no place in the record";
            self.cx.warn_at("transparent-texture", message, place());
            return Ok(());
        }
        if alpha <= 0.0 && !found.features.pbr.enabled {
            let message = "nothing of the material would be seen; it is taken for opaque";
            self.cx.warn_at("transparency", message, place());
            return Ok(());
        }
        material.base_color[3] = unit(alpha);
        if material.base_color[3] < 1.0 {
            material.alpha = AlphaMode::Blend;
        }
        Ok(())
    }

    /// What the file says of the material, by its own names.
    fn original(&self, found: &ufbx::Material) -> BTreeMap<String, String> {
        let mut original = BTreeMap::new();
        let kept = |text: &str| text.chars().take(KEPT).collect::<String>();
        if !found.shading_model_name.is_empty() {
            original.insert("ShadingModel".to_owned(), kept(&found.shading_model_name));
        }
        for prop in found.element.props.props.iter().take(VALUES) {
            if prop.flags.has_any(PropFlags::USER_DEFINED | PropFlags::HIDDEN) && !prop.name.contains('|') {
                continue;
            }
            if let Some(text) = text(prop) {
                original.insert(kept(&prop.name), kept(&text));
            }
        }
        for texture in found.textures.iter().take(VALUES) {
            let file = &texture.texture.relative_filename;
            let file = if file.is_empty() { &texture.texture.filename } else { file };
            original.insert(kept(&texture.material_prop), kept(file));
        }
        original
    }

    /// The use of the texture of a map, and the name of its set of texture coordinates.
    fn used(&mut self, map: &MaterialMap, place: &dyn Fn() -> Location) -> Result<Option<(TextureUse, String)>> {
        let Some(texture) = map.texture.as_ref().filter(|_| map.texture_enabled) else { return Ok(None) };
        let mut file = texture.as_ref();
        if texture.type_ != TextureType::File {
            // Of layers and networks of shaders the first file is shown.
            let message = "of a texture that is computed or has layers, one file is shown";
            self.cx.warn_at("texture-kind", message, place());
            match texture.file_textures.first() {
                Some(first) => file = first.as_ref(),
                None => return Ok(None),
            }
        }
        if !file.has_file {
            return Ok(None);
        }
        let repeats = [file.wrap_u, file.wrap_v].map(|wrap| wrap == WrapMode::Repeat);
        let key = (file.file_index, repeats);
        let index = match self.samplers.get(&key) {
            Some(&known) => known,
            None => {
                let texture = self.texture(file, repeats)?;
                self.textures.push(texture);
                let index = self.textures.len() as u32 - 1;
                self.samplers.insert(key, index);
                index
            }
        };
        let mut used = TextureUse { texture: index, texcoord: 0, transform: None, factor: 1.0 };
        if file.has_uv_transform {
            match transform(&file.uv_to_texture) {
                Ok(transform) => used.transform = transform,
                Err(()) => {
                    let message = "a texture is sheared or mirrored in a way that has no place in the record";
                    self.cx.warn_at("texture-transform", message, place());
                }
            }
        }
        Ok(Some((used, file.uv_set.to_string())))
    }

    fn texture(&self, texture: &ufbx::Texture, repeats: [bool; 2]) -> Result<Texture> {
        let cx = self.cx;
        let file = self.scene.texture_files.get(texture.file_index as usize);
        let content = file.map_or(&texture.content, |file| &file.content);
        let named = [&texture.relative_filename, &texture.filename].into_iter().find(|name| !name.is_empty());
        let name = named.map(|name| name.replace('\\', "/")).unwrap_or_default();
        let (uri, bytes) = if content.is_empty() {
            let stem = self.source.name().rsplit_once('.').map_or(self.source.name(), |(stem, _)| stem);
            let beside = format!("{stem}.fbm/");
            pictures::open(&name, &["", &beside], self.source, cx)?
        } else {
            cx.budget().take(content.len() as u64)?;
            (name.clone(), content.to_vec().into())
        };
        let wrap = repeats.map(|repeats| if repeats { Wrap::Repeat } else { Wrap::Clamp });
        Ok(Texture {
            name: texture.element.name.to_string(),
            media_type: pictures::media_type(&bytes, &uri).to_owned(),
            uri: (!uri.is_empty()).then_some(uri),
            bytes: bytes.into(),
            wrap,
            nearest: false,
        })
    }
}

fn color(map: &MaterialMap) -> [f64; 3] {
    [map.value_vec4.x, map.value_vec4.y, map.value_vec4.z]
}

/// From 0 to 1; 1 for what is no number.
#[expect(clippy::cast_possible_truncation, reason = "materials are single precision")]
fn unit(value: f64) -> f32 {
    if value.is_nan() { 1.0 } else { value.clamp(0.0, 1.0) as f32 }
}

/// Offset, scale and rotation of texture coordinates.
type Placement = ([f32; 2], [f32; 2], f32);

/// A matrix for texture coordinates that run upwards as offset, scale and rotation of those that run downwards. `Err` when it is
/// not of these.
#[expect(clippy::cast_possible_truncation, reason = "textures are placed in single precision")]
fn transform(m: &ufbx::Matrix) -> Result<Option<Placement>, ()> {
    // x' = a·u + b·v + c and y' = d·u + e·v + f, with v and y' turned round.
    let ([a, b, c], [d, e, f]) = ([m.m00, m.m01, m.m03], [m.m10, m.m11, m.m13]);
    let ([a, b, c], [d, e, f]) = ([a, -b, b + c], [-d, e, 1.0 - e - f]);
    if ![a, b, c, d, e, f].iter().all(|value| value.is_finite()) {
        return Err(());
    }
    // Scale first, then rotation: (a, d) = sx·(cos, −sin) and (b, e) = sy·(sin, cos).
    let (scale_x, turn) = (a.hypot(d), (-d).atan2(a));
    let scale_y = e * turn.cos() + b * turn.sin();
    let shear = b * turn.cos() - e * turn.sin();
    if shear.abs() > 1e-4 * scale_x.max(scale_y.abs()) {
        return Err(());
    }
    let placement = ([c as f32, f as f32], [scale_x as f32, scale_y as f32], turn as f32);
    Ok((placement != ([0.0; 2], [1.0; 2], 0.0)).then_some(placement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_of_textures_are_turned_to_the_upper_left() {
        // A turn of 30°, then an offset, both with v upwards, against the formula of KHR_texture_transform.
        let (sin, cos) = (0.5_f64, 0.75_f64.sqrt());
        let m = ufbx::Matrix {
            m00: 2.0 * cos,
            m01: -3.0 * sin,
            m03: 0.25,
            m10: 2.0 * sin,
            m11: 3.0 * cos,
            m13: -0.5,
            ..ufbx::Matrix::default()
        };
        let (offset, scale, turn) = transform(&m).unwrap().unwrap();
        for (u, v) in [(0.0, 0.0), (1.0, 0.0), (0.3, 0.9)] {
            let (x, y) = (m.m00 * u + m.m01 * v + m.m03, m.m10 * u + m.m11 * v + m.m13);
            let (su, sv) = (f64::from(scale[0]) * u, f64::from(scale[1]) * (1.0 - v));
            let (sin, cos) = f64::from(turn).sin_cos();
            assert!((f64::from(offset[0]) + cos * su + sin * sv - x).abs() < 1e-6);
            assert!((f64::from(offset[1]) - sin * su + cos * sv - (1.0 - y)).abs() < 1e-6);
        }
        let plain = ufbx::Matrix { m00: 1.0, m11: 1.0, m22: 1.0, ..ufbx::Matrix::default() };
        assert_eq!(transform(&plain), Ok(None));
        assert_eq!(transform(&ufbx::Matrix { m01: 1.0, ..plain }), Err(()));
    }
}
