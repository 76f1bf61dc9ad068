//! Materials: effects of the common profile, their parameters and pictures.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mediary_core::record::scene::{AlphaMode, Material, Texture, TextureUse, Wrap};
use mediary_core::{Context, Result, Source};

use super::document::{Element, shown};
use super::values::parameter;
use crate::glb::uri::Uri;
use crate::pictures;

/// Shading models of the common profile.
const MODELS: &[&str] = &["phong", "blinn", "lambert", "constant"];
/// Bytes of a value that is kept as text.
const KEPT: usize = 256;

/// Name, media type and bytes of a picture.
type Picture = (Option<String>, String, Arc<[u8]>);

/// Materials of the file, and of the scene.
pub(super) struct Materials<'d> {
    pub(super) list: Vec<Material>,
    pub(super) textures: Vec<Texture>,
    drafts: HashMap<u32, Draft<'d>>,
    /// By element of the material, and by the sets that its textures are bound to.
    known: HashMap<(u32, [u32; 4]), u32>,
    pictures: HashMap<u32, Picture>,
    samplers: HashMap<(u32, [u8; 2], bool), u32>,
    source: &'d Source,
    cx: &'d Context,
}

/// A material whose textures name a set of texture coordinates by a word.
#[derive(Clone)]
struct Draft<'d> {
    material: Material,
    /// What the sets of base colour, emission, normals and occlusion are called.
    channels: [&'d str; 4],
}

/// How an instance of a geometry binds a material, and the sets of texture coordinates that a primitive has.
#[derive(Clone, Copy)]
pub(super) struct Binding<'d, 's> {
    pub(super) instance: Option<Element<'d>>,
    pub(super) sets: &'s [u32],
}

impl Binding<'_, '_> {
    /// Which of the sets a texture means by this word.
    fn set(self, channel: &str) -> u32 {
        let place = |number: u32| self.sets.iter().position(|&set| set == number).map(|place| place as u32);
        let bound = self.instance.and_then(|instance| {
            let mut inputs = instance.all("bind_vertex_input");
            inputs.find(|input| input.attribute("semantic") == Some(channel))
        });
        if let Some(bound) = bound {
            return place(bound.number("input_set").unwrap_or(0)).unwrap_or(0);
        }
        // Without a binding many exporters end the word with the number of the set.
        let digits = channel.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        digits.parse().ok().and_then(place).unwrap_or(0)
    }
}

impl<'d> Materials<'d> {
    pub(super) fn new(source: &'d Source, cx: &'d Context) -> Self {
        let (list, textures) = (Vec::new(), Vec::new());
        let (drafts, known) = (HashMap::new(), HashMap::new());
        let (pictures, samplers) = (HashMap::new(), HashMap::new());
        Self { list, textures, drafts, known, pictures, samplers, source, cx }
    }

    /// Whether something has bound a material.
    pub(super) fn knows(&self, element: Element<'_>) -> bool {
        self.drafts.contains_key(&element.index())
    }

    /// The index of a material under a binding.
    pub(super) fn bind(&mut self, element: Element<'d>, binding: Binding<'d, '_>) -> Result<u32> {
        if !self.drafts.contains_key(&element.index()) {
            self.cx.checkpoint()?;
            let draft = self.draft(element)?;
            self.drafts.insert(element.index(), draft);
        }
        let draft = &self.drafts[&element.index()];
        let material = &draft.material;
        let uses = [
            &material.base_color_texture,
            &material.emissive_texture,
            &material.normal_texture,
            &material.occlusion_texture,
        ];
        let mut sets = [0; 4];
        for ((set, used), channel) in sets.iter_mut().zip(uses).zip(draft.channels) {
            *set = if used.is_some() { binding.set(channel) } else { 0 };
        }
        if let Some(&known) = self.known.get(&(element.index(), sets)) {
            return Ok(known);
        }
        self.cx.budget().take(size_of::<Material>() as u64)?;
        let mut material = material.clone();
        let uses = [
            &mut material.base_color_texture,
            &mut material.emissive_texture,
            &mut material.normal_texture,
            &mut material.occlusion_texture,
        ];
        for (used, set) in uses.into_iter().zip(sets) {
            used.iter_mut().for_each(|used| used.texcoord = set);
        }
        let index = self.list.len() as u32;
        self.list.push(material);
        self.known.insert((element.index(), sets), index);
        Ok(index)
    }

    fn draft(&mut self, element: Element<'d>) -> Result<Draft<'d>> {
        let name = element.attribute("name").or_else(|| element.attribute("id")).unwrap_or_default().to_owned();
        let plain = Material { name, metallic: 0.0, ..Material::default() };
        let instance = element.child("instance_effect");
        let found = instance.map(|instance| instance.target_or_less("url", &["effect"], self.cx)).transpose()?;
        let effect = found.flatten();
        let shader = effect.map(|effect| Shader::find(effect, instance, self.cx)).transpose()?.flatten();
        let Some(shader) = shader else {
            let message = format!("material {:?} has no effect of the common profile", shown(&plain.name));
            self.cx.warn_at("effect", message, element.location());
            return Ok(Draft { material: plain, channels: [""; 4] });
        };
        self.shade(plain, &shader)
    }

    fn shade(&mut self, mut material: Material, shader: &Shader<'d>) -> Result<Draft<'d>> {
        let cx = self.cx;
        let mut original = BTreeMap::new();
        let mut channels = [""; 4];
        let model = shader.model.name();
        original.insert("shader".to_owned(), model.to_owned());
        material.unlit = model == "constant";
        // A constant material shows what it emits.
        let base = if material.unlit { "emission" } else { "diffuse" };
        let glow = if material.unlit { None } else { shader.value("emission") };
        match shader.value(base) {
            Some(Value::Texture(texture)) => {
                material.base_color_texture = self.used(texture, shader)?;
                channels[0] = texture.attribute("texcoord").unwrap_or_default();
            }
            Some(Value::Numbers(numbers)) => {
                if let Some([r, g, b, _]) = color(numbers, cx)? {
                    material.base_color = [r, g, b, 1.0];
                }
            }
            None if material.unlit => material.base_color = [0.0, 0.0, 0.0, 1.0],
            None => {}
        }
        match glow {
            Some(Value::Texture(texture)) => {
                material.emissive_texture = self.used(texture, shader)?;
                material.emissive = [1.0; 3];
                channels[1] = texture.attribute("texcoord").unwrap_or_default();
            }
            Some(Value::Numbers(numbers)) => {
                if let Some([r, g, b, _]) = color(numbers, cx)? {
                    material.emissive = [r, g, b];
                }
            }
            None => {}
        }
        let shininess = match shader.value("shininess") {
            Some(Value::Numbers(numbers)) => parameter(numbers, 1, cx)?.map(|values| values[0]),
            _ => None,
        };
        if let (Some(shininess), "phong" | "blinn") = (shininess, model) {
            // The usual match of Blinn-Phong highlights: exponent = 2 / roughness² − 2.
            material.roughness = (2.0 / (shininess.max(0.0) + 2.0)).sqrt().clamp(0.0, 1.0);
        }
        self.transparency(&mut material, shader)?;
        let parameters =
            ["ambient", "specular", "shininess", "reflective", "reflectivity", "transparent", "transparency"];
        for key in parameters.into_iter().chain(["index_of_refraction"]) {
            match shader.value(key) {
                Some(Value::Numbers(numbers)) => drop(original.insert(key.to_owned(), kept(numbers.text()))),
                Some(Value::Texture(texture)) => {
                    if let Some(used) = self.used(texture, shader)? {
                        let uri = self.textures[used.texture as usize].uri.clone().unwrap_or_default();
                        original.insert(key.to_owned(), kept(&uri));
                    }
                }
                None => {}
            }
        }
        let extras = shader.extras.clone();
        let extra = |name: &str| extras.iter().find(|element| element.name() == name).copied();
        material.double_sided = extra("double_sided").is_some_and(|flag| matches!(flag.text(), "1" | "true"));
        if let Some(bump) = extra("bump")
            && let Some(texture) = bump.child("texture")
            && let Some(used) = self.used(texture, shader)?
        {
            // A picture of heights is none of normals.
            if bump.attribute("bumptype") == Some("NORMALMAP") {
                material.normal_texture = Some(used);
                channels[2] = texture.attribute("texcoord").unwrap_or_default();
            } else {
                let uri = self.textures[used.texture as usize].uri.clone().unwrap_or_default();
                original.insert("bump".to_owned(), kept(&uri));
            }
        }
        material.original = original;
        Ok(Draft { material, channels })
    }

    /// Alpha from `transparent` and `transparency`, in all four modes.
    fn transparency(&mut self, material: &mut Material, shader: &Shader<'d>) -> Result<()> {
        let cx = self.cx;
        let factor = match shader.value("transparency") {
            Some(Value::Numbers(numbers)) => parameter(numbers, 1, cx)?.map(|values| values[0]),
            _ => None,
        };
        let transparent = shader.value("transparent");
        if factor.is_none() && transparent.is_none() {
            return Ok(());
        }
        let mode = shader.model.child("transparent").and_then(|element| element.attribute("opaque")).unwrap_or("A_ONE");
        let [r, g, b, a] = match transparent {
            Some(Value::Numbers(numbers)) => color(numbers, cx)?.unwrap_or([1.0; 4]),
            _ => [1.0; 4],
        };
        if let Some(Value::Texture(texture)) = transparent {
            let opacity = self.used(texture, shader)?.map(|used| used.texture);
            if opacity.is_some() && opacity == material.base_color_texture.as_ref().map(|used| used.texture) {
                material.alpha = AlphaMode::Blend;
            } else {
                let message = "a picture of transparency apart from the base colour has no place in the record";
                cx.warn_at("transparent-texture", message, texture.location());
            }
        }
        // The weights of the specification, section on determining transparency.
        let luminance = 0.212_671 * r + 0.715_160 * g + 0.072_169 * b;
        let amount = factor.unwrap_or(1.0);
        let mut alpha = match mode {
            "RGB_ZERO" => 1.0 - luminance * amount,
            "RGB_ONE" => luminance * amount,
            "A_ZERO" => 1.0 - a * amount,
            _ => a * amount,
        };
        if alpha <= 0.0 && mode == "A_ONE" {
            let message =
                format!("material {:?}: nothing of it would be seen; it is taken for opaque", shown(&material.name));
            cx.warn_at("transparency", message, shader.model.location());
            alpha = 1.0;
        }
        material.base_color[3] = alpha.clamp(0.0, 1.0);
        if material.base_color[3] < 1.0 {
            material.alpha = AlphaMode::Blend;
        }
        Ok(())
    }

    /// The use of a `texture`, if its picture is in the file.
    fn used(&mut self, texture: Element<'d>, shader: &Shader<'d>) -> Result<Option<TextureUse>> {
        let name = texture.attribute("texture").unwrap_or_default();
        let sampler = shader.parameter(name).and_then(|element| {
            element.children().find(|child| matches!(child.name(), "sampler2D" | "samplerRECT" | "sampler1D"))
        });
        let image = match sampler {
            None => texture.target("texture", &["image"]),
            Some(sampler) => match (sampler.child("instance_image"), sampler.child("source")) {
                (Some(instance), _) => instance.target("url", &["image"]),
                (None, Some(source)) => {
                    let surface = shader.parameter(source.text()).and_then(|element| element.child("surface"));
                    match surface.and_then(|surface| surface.descendants().find(|it| it.name() == "init_from")) {
                        Some(from) => from.resolve(from.text(), &["image"]),
                        None => Err(source.wrong("the surface of a picture", source.text())),
                    }
                }
                (None, None) => Err(sampler.wrong("a picture", "")),
            },
        };
        let image = match image {
            Ok(image) => image,
            Err(error) => {
                let message = format!("a texture is left out: {}", error.message());
                self.cx.tolerate("missing-image", message, texture.location())?;
                return Ok(None);
            }
        };
        let text = |name: &str| sampler.and_then(|sampler| sampler.child(name)).map_or("", Element::text);
        let wrap = ["wrap_s", "wrap_t"].map(|name| match text(name) {
            "MIRROR" => Wrap::Mirror,
            "CLAMP" | "BORDER" | "NONE" => Wrap::Clamp,
            _ => Wrap::Repeat,
        });
        let nearest = text("magfilter") == "NEAREST";
        let key = (image.index(), wrap.map(|wrap| wrap as u8), nearest);
        let index = match self.samplers.get(&key) {
            Some(&known) => known,
            None => {
                let (uri, media_type, bytes) = self.picture(image)?;
                let name = image.attribute("name").or_else(|| image.attribute("id")).unwrap_or_default().to_owned();
                self.textures.push(Texture { name, uri, media_type, bytes: bytes.into(), wrap, nearest });
                let index = self.textures.len() as u32 - 1;
                self.samplers.insert(key, index);
                index
            }
        };
        Ok(Some(TextureUse { texture: index, texcoord: 0, transform: transform(texture), factor: 1.0 }))
    }

    /// The file of an `image`: beside the input, or inside it as hexadecimal digits.
    fn picture(&mut self, image: Element<'d>) -> Result<Picture> {
        if let Some(known) = self.pictures.get(&image.index()) {
            return Ok(known.clone());
        }
        let inner = image.descendants().find(|element| matches!(element.name(), "data" | "hex"));
        let from = image.descendants().find(|element| element.name() == "init_from");
        let reference = from.map_or("", |from| from.child("ref").map_or(from.text(), Element::text));
        let picture = match inner {
            Some(inner) => {
                let bytes = hexadecimal(inner.text(), self.cx)?;
                (None, pictures::media_type(&bytes, "").to_owned(), bytes.into())
            }
            None if reference.is_empty() => {
                self.cx.tolerate("missing-image", "a picture without a file", image.location())?;
                (None, String::new(), Arc::from([]))
            }
            None => match Uri::parse(without_scheme(reference), self.cx).map_err(|error| error.at(image.location()))? {
                Uri::Data(media_type, bytes) => (None, media_type, bytes.into()),
                Uri::File(file) => {
                    let (found, bytes) = pictures::open(&file, &[""], self.source, self.cx)?;
                    let media_type = pictures::media_type(&bytes, &found).to_owned();
                    (Some(found), media_type, bytes)
                }
            },
        };
        self.pictures.insert(image.index(), picture.clone());
        Ok(picture)
    }
}

/// `file:///a/b`, `file://b` and `file:b` without the scheme. Absolute paths are refused later, but for their last part.
fn without_scheme(reference: &str) -> &str {
    match reference.split_at_checked(5) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file:") => rest.strip_prefix("//").unwrap_or(rest),
        _ => reference,
    }
}

fn hexadecimal(text: &str, cx: &Context) -> Result<Vec<u8>> {
    cx.budget().take(text.len() as u64 * 3 / 2)?;
    let digits: Vec<u8> = text.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|it| it as u8).collect();
    Ok(digits.as_chunks::<2>().0.iter().map(|[high, low]| high * 16 + low).collect())
}

/// Repeats and offsets in the words of Maya, 3ds Max and FCollada.
fn transform(texture: Element<'_>) -> Option<([f32; 2], [f32; 2], f32)> {
    let number = |name: &str, default: f32| -> f32 {
        let mut inner = texture.all("extra").flat_map(Element::descendants);
        let found = inner.find(|element| element.name() == name).and_then(|element| element.text().parse().ok());
        found.filter(|value: &f32| value.is_finite()).unwrap_or(default)
    };
    let scale = [number("repeatU", 1.0), number("repeatV", 1.0)];
    let offset = [number("offsetU", 0.0), number("offsetV", 0.0)];
    // v runs upwards in the file, downwards here.
    (scale != [1.0; 2] || offset != [0.0; 2]).then(|| ([offset[0], 1.0 - scale[1] - offset[1]], scale, 0.0))
}

fn kept(text: &str) -> String {
    let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(KEPT).collect()
}

/// Three or four numbers as RGBA from 0 to 1.
fn color(numbers: Element<'_>, cx: &Context) -> Result<Option<[f32; 4]>> {
    let values = parameter(numbers, 3, cx)?;
    let rgba = values.map(|values| [values[0], values[1], values[2], values.get(3).copied().unwrap_or(1.0)]);
    Ok(rgba.map(|rgba| rgba.map(|value| value.clamp(0.0, 1.0))))
}

/// What a parameter of a shading model is.
#[derive(Clone, Copy)]
enum Value<'d> {
    Numbers(Element<'d>),
    Texture(Element<'d>),
}

/// The shading model of an effect with the parameters that stand for values.
struct Shader<'d> {
    model: Element<'d>,
    /// By sid; those that the material sets are before those of the effect.
    parameters: HashMap<&'d str, Element<'d>>,
    extras: Vec<Element<'d>>,
}

impl<'d> Shader<'d> {
    fn find(effect: Element<'d>, instance: Option<Element<'d>>, cx: &Context) -> Result<Option<Self>> {
        let profile = effect.child("profile_COMMON");
        let technique = profile.and_then(|profile| profile.child("technique"));
        let model = technique.and_then(|it| it.children().find(|child| MODELS.contains(&child.name())));
        let (Some(profile), Some(technique), Some(model)) = (profile, technique, model) else { return Ok(None) };
        let mut parameters = HashMap::new();
        let count = [technique, profile, effect].iter().flat_map(|scope| scope.children()).count();
        cx.budget().take((count * size_of::<(&str, Element<'_>)>()) as u64)?;
        for set in instance.into_iter().flat_map(|instance| instance.all("setparam")) {
            parameters.entry(set.attribute("ref").unwrap_or_default()).or_insert(set);
        }
        for scope in [technique, profile, effect] {
            for new in scope.all("newparam") {
                parameters.entry(new.attribute("sid").unwrap_or_default()).or_insert(new);
            }
        }
        let scopes = [model, technique, profile, effect];
        let extras = scopes.iter().flat_map(|scope| scope.all("extra")).flat_map(Element::descendants).collect();
        Ok(Some(Self { model, parameters, extras }))
    }

    fn parameter(&self, sid: &str) -> Option<Element<'d>> {
        self.parameters.get(sid.trim()).copied()
    }

    /// What stands under this name in the shading model: a colour, a number, a texture, or a parameter for one of these.
    fn value(&self, name: &str) -> Option<Value<'d>> {
        let inner = self.model.child(name)?.children().find(|child| child.name() != "extra")?;
        match inner.name() {
            "texture" => Some(Value::Texture(inner)),
            "param" => {
                let sid = inner.attribute("ref").unwrap_or_else(|| inner.text());
                let is_number = |child: &Element<'_>| child.name().starts_with("float") || child.name() == "color";
                self.parameter(sid)?.children().find(is_number).map(Value::Numbers)
            }
            _ => Some(Value::Numbers(inner)),
        }
    }
}
