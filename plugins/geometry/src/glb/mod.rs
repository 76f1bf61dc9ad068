//! GLB, the binary form of glTF 2.0: one file with a JSON document, its buffer, and its textures.
//!
//! Specification: <https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html>. The byte table of the container is in
//! `container.rs`, the properties of the document in `document.rs`.
//!
//! **Read**: version 2 of the container; all component types, normalized, sparse, strided and absent data; all primitive
//! modes (strips, loops and fans become lists); morph targets, skins, animations, cameras; buffers and images in the binary
//! chunk, in `data:` URIs and in files beside the input. Extensions: KHR_lights_punctual, KHR_materials_unlit,
//! KHR_materials_emissive_strength (multiplied into the emissive colour), KHR_mesh_quantization, KHR_texture_transform, and
//! those that give a texture an image of another format, whose bytes are kept. KHR_materials_pbrSpecularGlossiness gives the
//! base colour and the roughness. Other material extensions are kept as text in `Material::original`; those of the document,
//! the scene, nodes, meshes and primitives (KHR_materials_variants among them) as JSON in the property `extensions`, and
//! `extras` in the property `extras`, up to 64 KiB.
//!
//! **Left out, with a diagnostic**: vertex attributes of the application (`glb.attribute`), other morph attributes
//! (`glb.target-attribute`), animation channels that move no node (`glb.channel`), what optional extensions mean
//! (`glb.extension`), `extras` beyond the limit (`glb.extras`). Only one scene is shown (`glb.scenes`). Names of buffers,
//! accessors and samplers and the choice of mipmap filters are not kept.
//!
//! Compression is undone: KHR_draco_mesh_compression (bitstream 2.2, and 2.0 and 2.1) and EXT_meshopt_compression (version 0
//! of attributes).
//!
//! **Refused**: glTF 1.0; required extensions other than those above and KHR_materials_….
//!
//! **Written**: everything of the scene, deterministically; a scene that is not in metres, y-up and near its origin stands
//! below a frame node (`frame.rs`) and is read back as it was; so is a node with shear, which becomes two (`matrix.rs`). The
//! record's properties are kept in the asset's `extras`.
//! Losses: polygons are triangulated (`glb.polygons`); values that the specification forbids are repaired, each under its own
//! code (`glb.normals`, `glb.non-finite`, `glb.joint-weights`, …); images that are no PNG, JPEG, WebP, AVIF or KTX2
//! (`glb.image-format`).
//!
//! **Strictness**: strict makes an error of every tolerated deviation: bytes after the announced end, alignment, missing or
//! wrong `min` and `max` of positions, corners that make no whole triangle, unknown alpha modes, key times that do not rise.
//! Lenient reads what is left of a truncated file, goes without missing buffers, drops triangles with indices out of range,
//! and reads what it can of a file that requires unknown extensions.

mod accessor;
mod container;
mod decompress;
mod document;
mod draco;
mod frame;
pub(crate) mod matrix;
mod meshopt;
mod plan;
mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod uri;
mod writer;

use std::ops::Range;

use mediary_core::record::facts::SceneFacts;
use mediary_core::record::scene::{Mesh, Node, Scene, transform_point};
use mediary_core::{
    Canonical, Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media,
    MediaRecord, Output, Probe, Result, Signature, Source, Tier, record::Bounds,
};

use accessor::{Accessors, Buffers};
use container::{Container, MAGIC};
use document::{Document, Int};
use reader::{Mode, Tree};

/// What both forms of glTF keep.
pub(crate) const FEATURES: &[Feature] = &[
    Feature::NodeTree,
    Feature::MeshNames,
    Feature::Lines,
    Feature::Points,
    Feature::Normals,
    Feature::Texcoords,
    Feature::Colors,
    Feature::Materials,
    Feature::Textures,
    Feature::Animations,
    Feature::Cameras,
];

const INFO: FormatInfo = FormatInfo::new("glb", "Binary glTF 2.0", &[Kind::Scene])
    .extensions(&["glb"])
    .media_types(&["model/gltf-binary"])
    .signatures(&[Signature { offset: 0, bytes: &MAGIC, mask: &[] }])
    .reads()
    .writes(FEATURES)
    .siblings()
    .canonical(&[Canonical { kind: Kind::Scene, integer: None }])
    .spec("https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html")
    .tier(Tier::Preferred);

struct Glb;

mediary_core::register!(Glb);

impl Format for Glb {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match probe.head.get(4..8) {
            Some([1 | 2, 0, 0, 0]) if probe.head.get(16..20) == Some(&container::JSON) => {
                Confidence::yes(255, "magic glTF, version and a JSON chunk")
            }
            _ => Confidence::Unknown,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(open(Form::Binary, source, cx))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &record.media {
            Media::Scene(scene) => writer::write_binary(scene, &record.properties, out, cx),
            other => Err(Error::unsupported(format!("glb holds scene, not {}", other.kind()))),
        }
    }
}

pub(crate) use writer::write_text;

/// How a document is stored.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// In a container, with its buffer.
    Binary,
    /// As a text file.
    Text,
}

/// A reader of either form.
pub(crate) fn open(form: Form, source: &Source, cx: &Context) -> Box<dyn FormatReader> {
    Box::new(Reader { form, source: source.clone(), cx: cx.clone(), parsed: None, header: None, done: false })
}

/// The document is parsed once, for the header or for the record, whichever is asked for first.
struct Reader {
    form: Form,
    source: Source,
    cx: Context,
    parsed: Option<Parsed>,
    header: Option<Header>,
    done: bool,
}

struct Parsed {
    document: Document,
    tree: Tree,
    /// Range of the binary chunk's data in the file.
    bin: Option<Range<u64>>,
}

impl Reader {
    fn parse(&self) -> Result<Parsed> {
        let cx = &self.cx;
        let (document, bin) = match self.form {
            Form::Binary => {
                let container = Container::read(&self.source, cx)?;
                let document = Document::parse(&container.json, container.json_offset, cx)?;
                cx.budget().give_back(container.json.len() as u64);
                (document, container.bin)
            }
            Form::Text => (Document::parse(&self.source.bytes(cx)?, 0, cx)?, None),
        };
        let tree = Tree::read(&document, cx)?;
        Ok(Parsed { document, tree, bin })
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let parsed = match self.parsed.take() {
            Some(parsed) => parsed,
            None => self.parse()?,
        };
        let parsed = self.parsed.insert(parsed);
        let (facts, arrays) = facts(&parsed.document, &parsed.tree, &self.cx)?;
        let bin = parsed.bin.as_ref().map_or(0, |bin| bin.end - bin.start);
        let memory = Some(arrays.saturating_add(bin).saturating_add(self.cx.budget().taken()));
        let header = Header { memory, ..Header::single(Facts::Scene(facts)) };
        Ok(self.header.insert(header).clone())
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if self.done {
            return Ok(None);
        }
        self.done = true;
        let Parsed { mut document, tree, bin } = match self.parsed.take() {
            Some(parsed) => parsed,
            None => self.parse()?,
        };
        let (source, cx) = (&self.source, &self.cx);
        reader::check_extensions(&document, cx)?;
        if self.header.is_none() {
            // A header may be asked for after the record too; it is cheap while the document is there.
            self.header = Some(Header::single(Facts::Scene(facts(&document, &tree, cx)?.0)));
        }
        let mut buffers = Buffers::open(&mut document, source, bin.as_ref(), cx)?;
        let compressed = decompress::decompress(&mut document, &mut buffers, cx)?;
        let accessors = Accessors { document: &document, buffers: &buffers, cx };
        let read = reader::read(&accessors, tree, source)?;
        let mut record = MediaRecord::new(read.scene);
        record.properties = read.properties;
        // Whole in itself, clean, and readable without extensions.
        let is_whole = source.siblings_used().is_empty() && document.extensions_required.is_empty() && !compressed;
        let is_binary = matches!(self.form, Form::Binary);
        record.source_is_canonical = is_binary && is_whole && cx.diagnostics().is_empty();
        Ok(Some(record))
    }
}

/// Facts, and the bytes that the decoded arrays take, roughly.
fn facts(document: &Document, tree: &Tree, cx: &Context) -> Result<(SceneFacts, u64)> {
    let buffers = Buffers::default();
    let accessors = Accessors { document, buffers: &buffers, cx };
    let shown = shown(document, tree);
    shown.validate(cx.limits().depth)?;
    let (mut primitives, mut vertices, mut triangles, mut memory) = (0u64, 0u64, 0u64, 0u64);
    for ((m, mesh), times) in document.meshes.iter().enumerate().zip(shown.placements()) {
        for (p, primitive) in mesh.primitives.iter().enumerate() {
            let path = format!("meshes[{m}].primitives[{p}]");
            primitives += 1;
            let Some(&position) = primitive.attributes.get("POSITION") else { continue };
            let count = accessors.get(position, &path)?.count.0;
            let corners = match primitive.indices {
                Some(indices) => accessors.get(indices, &path)?.count.0,
                None => count,
            };
            vertices = vertices.saturating_add(count.saturating_mul(times));
            let faces = Mode::of(primitive, &path)?.triangles(corners);
            triangles = triangles.saturating_add(faces.saturating_mul(times));
            let width = 12 * (primitive.attributes.len() + 3 * primitive.targets.len()) as u64;
            memory = memory.saturating_add(count.saturating_mul(width)).saturating_add(corners.saturating_mul(12));
        }
    }
    let facts = SceneFacts {
        nodes: Some(tree.nodes.len() as u64),
        meshes: Some(document.meshes.len() as u64),
        primitives: Some(primitives),
        vertices: Some(vertices),
        triangles: Some(triangles),
        materials: Some(document.materials.len() as u64),
        textures: Some(document.textures.len() as u64),
        animations: Some(document.animations.len() as u64),
        up_axis: tree.frame.up_axis,
        unit_meters: Some(tree.frame.unit_meters),
        bounds: bounds(document, &accessors, &shown, tree.frame.world_offset)?,
        ..SceneFacts::default()
    };
    Ok((facts, memory))
}

/// The node tree with meshes that are empty.
fn shown(document: &Document, tree: &Tree) -> Scene {
    let only_mesh = |node: &Node| Node {
        transform: node.transform,
        children: node.children.clone(),
        mesh: node.mesh,
        ..Node::default()
    };
    Scene {
        nodes: tree.nodes.iter().map(only_mesh).collect(),
        roots: tree.roots.clone(),
        meshes: vec![Mesh::default(); document.meshes.len()],
        ..Scene::default()
    }
}

/// World bounds where `min` and `max` give them exactly: no node turns or shears what it holds.
fn bounds(document: &Document, accessors: &Accessors<'_>, shown: &Scene, offset: [f64; 3]) -> Result<Option<Bounds>> {
    let mut corners = Vec::new();
    for mesh in &document.meshes {
        corners.push(mesh_bounds(mesh.primitives.iter().filter_map(|p| p.attributes.get("POSITION")), accessors)?);
    }
    let mut bounds = Some(Bounds::EMPTY);
    shown.walk(|node, world| {
        let Some(mesh) = shown.nodes[node as usize].mesh else { return };
        let is_straight = [1, 2, 4, 6, 8, 9].iter().all(|&at| world[at] == 0.0);
        match (&mut bounds, corners[mesh as usize]) {
            (Some(bounds), Some(corners)) if is_straight => {
                if let Some(corners) = corners.finish() {
                    bounds.include(transform_point(world, corners.min));
                    bounds.include(transform_point(world, corners.max));
                }
            }
            _ => bounds = None,
        }
    });
    let add = |corner: [f64; 3]| [0, 1, 2].map(|axis| corner[axis] + offset[axis]);
    Ok(bounds.and_then(Bounds::finish).map(|it| Bounds { min: add(it.min), max: add(it.max) }))
}

/// Bounds of positions by their accessors; `None` when one does not say.
fn mesh_bounds<'p>(positions: impl Iterator<Item = &'p Int>, accessors: &Accessors<'_>) -> Result<Option<Bounds>> {
    let mut bounds = Bounds::EMPTY;
    for &position in positions {
        let accessor = accessors.get(position, "")?;
        let (Ok(min), Ok(max)) = (<[f64; 3]>::try_from(&accessor.min[..]), <[f64; 3]>::try_from(&accessor.max[..]))
        else {
            return Ok(None);
        };
        if accessor.normalized {
            return Ok(None);
        }
        // Numbers in the JSON are decimal renderings of single-precision values.
        bounds.include(min.map(|value| f64::from(value as f32)));
        bounds.include(max.map(|value| f64::from(value as f32)));
    }
    Ok(Some(bounds))
}
