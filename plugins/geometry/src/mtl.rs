//! MTL, the material libraries of OBJ. Not a format of its own: [`crate::obj`] reads and writes it beside the geometry.
//!
//! Specification: Wavefront, "Alias/Wavefront Material (.mtl)", <http://paulbourke.net/dataformats/mtl/>; the physically based
//! statements `Pr Pm Ke norm` are those of the PBR extension that Blender and tinyobjloader use.
//!
//! | statement | becomes |
//! |---|---|
//! | `Kd r [g b]` | base colour, taken as linear; one value is grey |
//! | `d`, `Tr` | alpha, `Tr` = 1 − `d`; `Tr 1` alone is taken for opaque, as old exporters mean it |
//! | `Ke` | emission, up to 1 |
//! | `Pr`, `Pm` | roughness, metalness; without `Pr`, roughness is √(2 / (`Ns` + 2)); without `Pm`, metalness is 0 |
//! | `illum 0` | unlit |
//! | `map_Kd`, `map_Ke`, `norm`, `bump` | base colour, emission, normal texture; options `-s -o -clamp -bm` |
//! | `map_Pr` and `map_Pm` of one file | metallic-roughness texture |
//! | `map_Ka map_Ks map_Ns map_d map_Pr map_Pm disp` else | textures that the material names as text in `Material::original`: two gray pictures are none of both (`named-textures`) |
//! | everything else | kept as text in `Material::original` |
//!
//! Lost on writing: `alpha-mask`, `double-sided`, `occlusion-textures`, `texture-transforms` (rotation), `samplers` (mirroring,
//! nearest), `texcoord-sets` (a texture on a further set), `textures` and `materials` where the output has no folder.

use std::collections::{BTreeMap, HashMap, HashSet};

use mediary_core::record::Scene;
use mediary_core::record::scene::{AlphaMode, Material, Texture, TextureUse, Wrap};
use mediary_core::{Context, ErrorKind, Location, Output, Result, Severity, Source};

use crate::pictures::{self, FileNames, distinct};
use crate::text::{self, Scanner, put_number};

/// Options of texture statements, with the largest number of values they take.
const TEXTURE_OPTIONS: &[(&[u8], usize)] = &[
    (b"-s", 3),
    (b"-o", 3),
    (b"-t", 3),
    (b"-mm", 2),
    (b"-bm", 1),
    (b"-boost", 1),
    (b"-texres", 1),
    (b"-clamp", 1),
    (b"-blendu", 1),
    (b"-blendv", 1),
    (b"-cc", 1),
    (b"-imfchan", 1),
    (b"-type", 1),
    (b"-colorspace", 1),
];

/// Pictures that no slot of the record holds: they are textures of the scene that a material names as text.
const NAMED: &[&str] = &["map_ka", "map_ks", "map_ns", "map_d", "map_pr", "map_pm", "disp"];

/// The material libraries of one OBJ file, as they are opened.
#[derive(Default)]
pub(crate) struct Libraries {
    materials: Vec<Material>,
    names: HashMap<String, u32>,
    textures: Textures,
    /// Names of files that were read: exporters repeat the statement.
    files: HashSet<String>,
}

impl Libraries {
    /// Opens what one `mtllib` line names: one file whose name may hold spaces, or several.
    pub(crate) fn open(&mut self, names: &str, source: &Source, line: u64, cx: &Context) -> Result<()> {
        let whole = unquoted(names);
        let missing = match source.sibling(whole, cx) {
            Ok(library) => return self.read(whole, &library, source, cx),
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(error) => error,
        };
        let several = split_names(names);
        if several.len() < 2 {
            let message = format!("material library {whole:?} is not used: {}", missing.message());
            cx.warn_at("missing-mtl", message, Location::line(line));
            return Ok(());
        }
        for name in several {
            match source.sibling(name, cx) {
                Ok(library) => self.read(name, &library, source, cx)?,
                Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
                Err(error) => {
                    let message = format!("material library {name:?} is not used: {}", error.message());
                    cx.warn_at("missing-mtl", message, Location::line(line));
                }
            }
        }
        Ok(())
    }

    /// The material of this name; one that no library defines is grey plastic, with a finding.
    pub(crate) fn find(&mut self, name: &str, cx: &Context) -> u32 {
        if let Some(&known) = self.names.get(name) {
            return known;
        }
        cx.warn("missing-material", format!("material {name:?} is used and defined in no library"));
        self.add(Material { name: name.to_owned(), ..plain() })
    }

    /// All materials and textures.
    pub(crate) fn finish(self) -> (Vec<Material>, Vec<Texture>) {
        (self.materials, self.textures.list)
    }

    /// The first definition of a name holds.
    fn add(&mut self, material: Material) -> u32 {
        let index = self.materials.len() as u32;
        self.names.entry(material.name.clone()).or_insert(index);
        self.materials.push(material);
        index
    }

    fn read(&mut self, name: &str, library: &Source, source: &Source, cx: &Context) -> Result<()> {
        if !self.files.insert(name.to_owned()) {
            return Ok(());
        }
        let bytes = library.bytes(cx)?;
        let utf8;
        let bytes: &[u8] = match text::from_utf16(&bytes) {
            Some(converted) => {
                utf8 = converted;
                &utf8
            }
            None => &bytes,
        };
        let folder =
            name.replace('\\', "/").rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let mut scanner = Scanner::new(bytes);
        let mut draft: Option<Draft> = None;
        while !scanner.is_done() {
            let line = scanner.line();
            let key = scanner.word();
            if key == b"newmtl" {
                if let Some(draft) = draft.take() {
                    let material = draft.finish(&folder, source, &mut self.textures, cx)?;
                    cx.budget().take(size_of::<Material>() as u64)?;
                    self.add(material);
                }
                draft = Some(Draft { name: text::decode(scanner.rest_of_line()), ..Draft::default() });
            } else if !key.is_empty() && key[0] != b'#' {
                let rest = scanner.rest_of_line();
                let read = match &mut draft {
                    Some(draft) => draft.statement(key, rest),
                    None => Err(format!("expected newmtl, found {:?}", text::decode(key))),
                };
                if let Err(message) = read {
                    let place = Location::element(format!("{name} line {line}"));
                    cx.warn_at("bad-mtl-line", message, place);
                }
            }
            scanner.skip_line(false);
        }
        if let Some(draft) = draft {
            let material = draft.finish(&folder, source, &mut self.textures, cx)?;
            self.add(material);
        }
        Ok(())
    }
}

/// What MTL means by a material that says nothing: rough, not metallic.
fn plain() -> Material {
    Material { metallic: 0.0, ..Material::default() }
}

fn unquoted(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

/// `a.mtl my b.mtl` → `a.mtl`, `my b.mtl`; words where no ending tells.
fn split_names(names: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    for (at, _) in names.match_indices([' ', '\t']).chain([(names.len(), "")]) {
        if at >= start && names[start..at].to_ascii_lowercase().ends_with(".mtl") {
            all.push(unquoted(&names[start..at]));
            start = at;
        }
    }
    if all.is_empty() { names.split_whitespace().collect() } else { all }
}

/// A texture statement.
struct Map {
    /// The statement without its keyword.
    text: String,
    file: String,
    /// `[u, v]` offset and scale, as written.
    offset: [f32; 2],
    scale: [f32; 2],
    bump: f32,
    clamp: bool,
}

/// A material while its lines are read.
#[derive(Default)]
struct Draft {
    name: String,
    diffuse: Option<[f32; 3]>,
    emission: Option<[f32; 3]>,
    opacity: Option<f32>,
    transparency: Option<f32>,
    shininess: Option<f32>,
    roughness: Option<f32>,
    metallic: Option<f32>,
    unlit: bool,
    maps: BTreeMap<&'static str, Map>,
    original: BTreeMap<String, String>,
}

impl Draft {
    /// Reads one line; what is wrong with it, in words, if it cannot be used.
    fn statement(&mut self, key: &[u8], rest: &[u8]) -> std::result::Result<(), String> {
        let wrong = || format!("{} {:?} cannot be read", text::decode(key), text::decode(&rest[..rest.len().min(80)]));
        let number = || one_number(rest).ok_or_else(wrong);
        let map = |draft: &mut Self, slot| {
            let map = Map::read(rest).ok_or_else(wrong)?;
            draft.maps.insert(slot, map);
            Ok(())
        };
        let lower = key.to_ascii_lowercase();
        match &*lower {
            b"kd" => self.diffuse = Some(color(rest).ok_or_else(wrong)?),
            b"ke" => self.emission = Some(color(rest).ok_or_else(wrong)?),
            b"d" => self.opacity = Some(one_number(rest.strip_prefix(b"-halo").unwrap_or(rest)).ok_or_else(wrong)?),
            b"tr" => self.transparency = Some(number()?),
            b"pr" => self.roughness = Some(number()?),
            b"pm" => self.metallic = Some(number()?),
            b"map_kd" => return map(self, "base"),
            b"map_ke" => return map(self, "emission"),
            b"norm" | b"map_kn" => return map(self, "normal"),
            b"bump" | b"map_bump" if !self.maps.contains_key("normal") => return map(self, "normal"),
            b"map_pr" => return map(self, "roughness"),
            b"map_pm" => return map(self, "metallic"),
            b"map_d" => return map(self, "opacity"),
            b"ns" => {
                self.shininess = Some(number()?);
                self.keep(key, rest);
            }
            b"illum" => {
                let model = number()?;
                self.unlit = model == 0.0;
                if !self.unlit {
                    self.keep(key, rest);
                }
            }
            b"ka" | b"ks" | b"tf" => {
                color(rest).ok_or_else(wrong)?;
                self.keep(key, rest);
            }
            _ if rest.is_empty() => return Err(wrong()),
            _ => self.keep(key, rest),
        }
        Ok(())
    }

    fn keep(&mut self, key: &[u8], rest: &[u8]) {
        self.original.insert(text::decode(key), text::decode(rest));
    }

    fn finish(mut self, folder: &str, source: &Source, textures: &mut Textures, cx: &Context) -> Result<Material> {
        let mut material = Material { name: self.name, unlit: self.unlit, ..plain() };
        let alpha = match (self.opacity, self.transparency) {
            (Some(opacity), _) => opacity,
            (None, Some(1.0)) => {
                cx.note("transparency", format!("material {:?}: Tr 1 without d is taken for opaque", material.name));
                1.0
            }
            (None, Some(transparency)) => 1.0 - transparency,
            (None, None) => 1.0,
        };
        let [r, g, b] = self.diffuse.unwrap_or([1.0; 3]);
        material.base_color = [r, g, b, alpha].map(|value| value.clamp(0.0, 1.0));
        if material.base_color[3] < 1.0 {
            material.alpha = AlphaMode::Blend;
        }
        material.metallic = self.metallic.unwrap_or(0.0).clamp(0.0, 1.0);
        // The usual match of Blinn-Phong highlights: exponent = 2 / roughness² − 2.
        let from_shininess = self.shininess.map_or(1.0, |shininess| (2.0 / (shininess.max(0.0) + 2.0)).sqrt());
        material.roughness = self.roughness.unwrap_or(from_shininess).clamp(0.0, 1.0);
        let glowing = self.maps.contains_key("emission");
        let emission = self.emission.unwrap_or(if glowing { [1.0; 3] } else { [0.0; 3] });
        material.emissive = emission.map(|value| value.clamp(0.0, 1.0));
        if emission.iter().any(|&value| value > 1.0) {
            self.original.insert("Ke".into(), emission.map(|value| value.to_string()).join(" "));
        }
        let base_file = self.maps.get("base").map(|map| map.file.clone());
        let mut take = |slot: &str, textures: &mut Textures| -> Result<Option<TextureUse>> {
            self.maps.remove(slot).map(|map| map.load(slot, folder, source, textures, cx)).transpose()
        };
        material.base_color_texture = take("base", textures)?;
        material.emissive_texture = take("emission", textures)?;
        material.normal_texture = take("normal", textures)?;
        let roughness_file = self.maps.get("roughness").map(|map| map.file.clone());
        if roughness_file.is_some() && roughness_file == self.maps.get("metallic").map(|map| map.file.clone()) {
            self.maps.remove("metallic");
            let map = self.maps.remove("roughness");
            material.metallic_roughness_texture =
                map.map(|map| map.load("roughness", folder, source, textures, cx)).transpose()?;
        }
        if let Some(map) = self.maps.remove("opacity") {
            if base_file.as_deref() == Some(&map.file) {
                material.alpha = AlphaMode::Blend;
            } else {
                self.original.insert("map_d".into(), map.text);
            }
        }
        for (slot, key) in [("roughness", "map_Pr"), ("metallic", "map_Pm")] {
            if let Some(map) = self.maps.remove(slot) {
                self.original.insert(key.into(), map.text);
            }
        }
        let mut named = 0;
        for (key, value) in &self.original {
            if let Some(map) = named_map(key, value) {
                named += u64::from(textures.load_named(map.file, folder, source, cx)?);
            }
        }
        let message = "pictures of roughness, metalness, highlights and the like are kept by their names alone";
        cx.report_times(Severity::Info, "named-textures", message, None, named);
        material.original = self.original;
        Ok(material)
    }
}

/// The statement of a picture that a material names as text.
fn named_map(key: &str, value: &str) -> Option<Map> {
    NAMED.contains(&&*key.to_ascii_lowercase()).then(|| Map::read(value.as_bytes())).flatten()
}

/// The texture of a file that a material names: under this name, or in another folder.
fn named_texture(scene: &Scene, file: &str) -> Option<usize> {
    let bare = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let has = |test: &dyn Fn(&str) -> bool| scene.textures.iter().position(|it| it.uri.as_deref().is_some_and(test));
    has(&|uri| uri == file).or_else(|| has(&|uri| bare(uri) == bare(file)))
}

#[expect(clippy::cast_possible_truncation, reason = "materials are single precision")]
fn one_number(text: &[u8]) -> Option<f32> {
    Scanner::new(text).number().map(|value| value as f32).filter(|value| value.is_finite())
}

/// Three numbers, or one for grey. The spectral and XYZ forms are none.
#[expect(clippy::cast_possible_truncation, reason = "materials are single precision")]
fn color(text: &[u8]) -> Option<[f32; 3]> {
    let mut scanner = Scanner::new(text);
    let r = scanner.number()?;
    let rgb = match scanner.number() {
        Some(g) => [r, g, scanner.number()?],
        None => [r; 3],
    };
    rgb.iter().all(|value| value.is_finite()).then(|| rgb.map(|value| value as f32))
}

impl Map {
    fn read(rest: &[u8]) -> Option<Self> {
        let (text, file) = (text::decode(rest), String::new());
        let mut map = Self { text, file, offset: [0.0; 2], scale: [1.0; 2], bump: 1.0, clamp: false };
        let mut scanner = Scanner::new(rest);
        loop {
            let before = scanner.clone();
            let option = scanner.word().to_ascii_lowercase();
            let Some((_, most)) = TEXTURE_OPTIONS.iter().find(|(name, _)| *name == option) else {
                scanner = before;
                break;
            };
            let mut values = [None; 3];
            if matches!(
                &*option,
                b"-clamp" | b"-blendu" | b"-blendv" | b"-cc" | b"-imfchan" | b"-type" | b"-colorspace"
            ) {
                let word = scanner.word();
                map.clamp |= option == b"-clamp" && word.eq_ignore_ascii_case(b"on");
                continue;
            }
            for value in values.iter_mut().take(*most) {
                let before = scanner.clone();
                let word = scanner.word();
                // A file name may begin with a digit: only whole words are numbers.
                match text::number(word) {
                    Some((number, length)) if length == word.len() && number.is_finite() => {
                        #[expect(clippy::cast_possible_truncation, reason = "transforms are single precision")]
                        let number = number as f32;
                        *value = Some(number);
                    }
                    _ => {
                        scanner = before;
                        break;
                    }
                }
            }
            match &*option {
                b"-s" => map.scale = [values[0].unwrap_or(1.0), values[1].unwrap_or(1.0)],
                b"-o" => map.offset = [values[0].unwrap_or(0.0), values[1].unwrap_or(0.0)],
                b"-bm" => map.bump = values[0].unwrap_or(1.0),
                _ => {}
            }
        }
        map.file = unquoted(&text::decode(scanner.rest_of_line())).to_owned();
        (!map.file.is_empty()).then_some(map)
    }

    fn load(
        self,
        slot: &str,
        folder: &str,
        source: &Source,
        textures: &mut Textures,
        cx: &Context,
    ) -> Result<TextureUse> {
        let wrap = if self.clamp { Wrap::Clamp } else { Wrap::Repeat };
        let texture = textures.load(self.file, folder, wrap, source, cx)?;
        // v runs upwards in MTL, downwards here: v' = 1 - (scale * (1 - v) + offset).
        let transform = (self.offset != [0.0; 2] || self.scale != [1.0; 2])
            .then(|| ([self.offset[0], 1.0 - self.scale[1] - self.offset[1]], self.scale, 0.0));
        let factor = if slot == "normal" { self.bump } else { 1.0 };
        Ok(TextureUse { texture, texcoord: 0, transform, factor })
    }
}

/// Picture files, each loaded once a way of wrapping.
#[derive(Default)]
struct Textures {
    list: Vec<Texture>,
    known: HashMap<(String, bool), u32>,
}

impl Textures {
    fn load(&mut self, file: String, folder: &str, wrap: Wrap, source: &Source, cx: &Context) -> Result<u32> {
        let key = (file, wrap == Wrap::Clamp);
        if let Some(&known) = self.known.get(&key) {
            return Ok(known);
        }
        let file = key.0.clone();
        let (uri, bytes) = pictures::open(&file, &[folder, ""], source, cx)?;
        let index = self.list.len() as u32;
        let name = file.rsplit(['/', '\\']).next().unwrap_or(&file);
        self.list.push(Texture {
            name: name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned(),
            media_type: pictures::media_type(&bytes, name).to_owned(),
            uri: Some(uri),
            bytes: bytes.into(),
            wrap: [wrap; 2],
            nearest: false,
        });
        self.known.insert(key, index);
        Ok(index)
    }

    /// Loads a picture that no slot shows, if it is there: a name alone is told by the text that names it.
    fn load_named(&mut self, file: String, folder: &str, source: &Source, cx: &Context) -> Result<bool> {
        let (before, key) = (self.list.len(), (file.clone(), false));
        let index = self.load(file, folder, Wrap::Repeat, source, cx)? as usize;
        let is_there = !self.list[index].bytes.is_empty();
        if !is_there && index == before {
            self.list.pop();
            self.known.remove(&key);
        }
        Ok(is_there)
    }
}

/// Names under which materials are written: single lines, all distinct, so that each is found again.
pub(crate) fn material_names(scene: &Scene) -> Vec<String> {
    let mut taken = HashMap::new();
    scene
        .materials
        .iter()
        .enumerate()
        .map(|(index, material)| {
            let plain: String = material.name.split_whitespace().collect::<Vec<_>>().join(" ");
            let base = if plain.is_empty() { format!("material_{index}") } else { plain };
            distinct(base, &mut taken)
        })
        .collect()
}

/// Writes the library and its pictures beside the output. Returns the library's file name.
pub(crate) fn write(scene: &Scene, out: &mut Output, cx: &Context) -> Result<String> {
    let stem = out.stem();
    let files = write_textures(scene, &stem, out, cx)?;
    let mut text = Vec::new();
    for (material, name) in scene.materials.iter().zip(material_names(scene)) {
        put_material(&mut text, material, &name, scene, &files, cx);
    }
    let name = format!("{stem}.mtl");
    out.sibling(&name)?.write_all(&text)?;
    Ok(name)
}

fn write_textures(scene: &Scene, stem: &str, out: &mut Output, cx: &Context) -> Result<Vec<String>> {
    let mut names = FileNames::beside(stem);
    let mut known: HashMap<(&str, &[u8]), String> = HashMap::new();
    let mut files = Vec::new();
    for texture in &scene.textures {
        let mirrored = texture.wrap.contains(&Wrap::Mirror) || texture.wrap[0] != texture.wrap[1];
        cx.lose("samplers", u64::from(mirrored || texture.nearest), "wrapping or filtering of textures");
        let uri = texture.uri.as_deref().unwrap_or("");
        // One picture used with two samplers is one file.
        if let Some(file) = known.get(&(uri, &*texture.bytes)) {
            files.push(file.clone());
            continue;
        }
        let file = names.of(texture, &texture.media_type);
        if !texture.bytes.is_empty() {
            out.sibling(&file)?.write_all(&texture.bytes)?;
        }
        known.insert((uri, &texture.bytes), file.clone());
        files.push(file);
    }
    Ok(files)
}

fn put_material(text: &mut Vec<u8>, material: &Material, name: &str, scene: &Scene, files: &[String], cx: &Context) {
    let mut line = |key: &str, values: &[f32]| {
        text.extend_from_slice(key.as_bytes());
        for &value in values {
            text.push(b' ');
            put_number(text, value.into(), true);
        }
        text.push(b'\n');
    };
    line(&format!("newmtl {name}"), &[]);
    line("Kd", &material.base_color[..3]);
    let blended = matches!(material.alpha, AlphaMode::Blend);
    if blended && material.base_color[3] < 1.0 {
        line("d", &material.base_color[3..]);
    }
    if material.emissive != [0.0; 3] || material.emissive_texture.is_some() {
        line("Ke", &material.emissive);
    }
    line("Pr", &[material.roughness]);
    line("Pm", &[material.metallic]);
    if material.unlit {
        line("illum 0", &[]);
    }
    for (key, value) in &material.original {
        let word = !key.is_empty() && !key.contains(char::is_whitespace) && !key.starts_with('#');
        let lower = key.to_ascii_lowercase();
        let written =
            matches!(&*lower, "newmtl" | "kd" | "ke" | "d" | "tr" | "pr" | "pm") || material.unlit && key == "illum";
        // Readers take these for a picture, whatever the value is: that of another format may be none.
        let is_picture = matches!(&*lower, "bump" | "map_bump" | "norm" | "map_kn" | "map_kd" | "map_ke");
        if word && !written && !value.contains(['\n', '\r']) {
            // The file may have got another name.
            let map = named_map(key, value);
            let at = map.and_then(|map| Some((value.strip_suffix(&*map.file)?, named_texture(scene, &map.file)?)));
            match at {
                Some((options, texture)) => line(&format!("{key} {options}{}", files[texture]), &[]),
                None if is_picture => {}
                None => line(&format!("{key} {value}"), &[]),
            }
        }
    }
    let mut map = |keys: &[&str], used: &Option<TextureUse>, strength: bool| {
        let Some(used) = used else { return };
        for key in keys {
            put_map(text, key, used, strength, scene, files, cx);
        }
    };
    map(&["map_Kd"], &material.base_color_texture, false);
    map(&["map_Ke"], &material.emissive_texture, false);
    map(&["norm"], &material.normal_texture, true);
    map(&["map_Pr", "map_Pm"], &material.metallic_roughness_texture, false);
    if blended && material.base_color[3] >= 1.0 {
        map(&["map_d"], &material.base_color_texture, false);
        cx.lose("alpha-blend", u64::from(material.base_color_texture.is_none()), "blending of opaque materials");
    }
    cx.lose("alpha-mask", u64::from(matches!(material.alpha, AlphaMode::Mask(_))), "alpha thresholds of materials");
    cx.lose("double-sided", u64::from(material.double_sided), "materials that show their back");
    cx.lose("occlusion-textures", u64::from(material.occlusion_texture.is_some()), "occlusion textures");
}

fn put_map(
    text: &mut Vec<u8>,
    key: &str,
    used: &TextureUse,
    bump: bool,
    scene: &Scene,
    files: &[String],
    cx: &Context,
) {
    let texture = &scene.textures[used.texture as usize];
    text.extend_from_slice(key.as_bytes());
    let mut option = |name: &str, values: &[f32]| {
        text.extend_from_slice(name.as_bytes());
        for &value in values {
            text.push(b' ');
            put_number(text, value.into(), true);
        }
    };
    if let Some((offset, scale, rotation)) = used.transform {
        cx.lose("texture-transforms", u64::from(rotation != 0.0), "rotations of textures");
        option(" -s", &scale);
        option(" -o", &[offset[0], 1.0 - scale[1] - offset[1]]);
    }
    if bump && used.factor != 1.0 {
        option(" -bm", &[used.factor]);
    }
    if texture.wrap == [Wrap::Clamp; 2] {
        option(" -clamp on", &[]);
    }
    cx.lose("texcoord-sets", u64::from(used.texcoord != 0), "textures on further texture coordinates");
    text.push(b' ');
    text.extend_from_slice(files[used.texture as usize].as_bytes());
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_names_may_hold_spaces() {
        assert_eq!(split_names("a.mtl my b.MTL"), ["a.mtl", "my b.MTL"]);
        assert_eq!(split_names("one two"), ["one", "two"]);
    }

    #[test]
    fn texture_options_are_no_part_of_the_name() {
        let map = Map::read(b"-s 2 3 1 -o .5 -clamp on -bm 0.2 7 wonders.png").expect("a map");
        assert_eq!((map.file.as_str(), map.scale, map.offset), ("7 wonders.png", [2.0, 3.0], [0.5, 0.0]));
        assert!(map.clamp && map.bump == 0.2);
        assert!(Map::read(b"-s 1 1 1").is_none());
    }

    #[test]
    fn one_value_is_grey_and_spectra_are_refused() {
        assert_eq!(color(b"0.5"), Some([0.5; 3]));
        assert_eq!(color(b"0.1 0.2 0.3"), Some([0.1, 0.2, 0.3]));
        assert_eq!(color(b"spectral file.rfl 1"), None);
    }
}
