//! 3MF, the 3D Manufacturing Format: a ZIP package of XML parts.
//!
//! Specifications: <https://github.com/3MFConsortium/spec_core> (1.3), and the extensions for materials and properties,
//! production, and beam lattices beside it.
//!
//! | part | what it is |
//! |---|---|
//! | `_rels/.rels` | names the root model by the relationship type `…/3dmodel` |
//! | `3D/3dmodel.model` | the root model, under its usual name |
//! | other `.model` parts | objects that a `path` (production extension) refers to |
//! | textures | pictures that a `texture2d` refers to |
//!
//! | element | becomes |
//! |---|---|
//! | `object` with `mesh` | a mesh; one primitive for each property group of its triangles |
//! | `object` with `components`, `build`/`item` | nodes with their `transform`; objects that several refer to are one mesh |
//! | `basematerials` | materials: `displaycolor` (sRGB) is the base colour |
//! | `colorgroup` | colours of vertices |
//! | `texture2d`, `texture2dgroup` | a texture, a material, and texture coordinates (turned to the upper left) |
//! | `beamlattice` | lines; radii and caps are lost (`beams`) |
//! | `unit`, `metadata` | unit of the scene, properties of the record |
//!
//! The scene is z-up. Objects that nothing builds are left out (`unused-objects`); a model that builds nothing shows all of
//! them (`empty-build`). Findings besides: `relationship` (the root model is found by its name), `property` (composite
//! materials, multi-properties and such), `property-index`, `degenerate`, `required-extension` (what an extension means that
//! is not read), `missing-texture`, `doctype`, `duplicate-id`. Broken references (`missing-part`, `missing-object`, `index`) are errors, and left
//! out in lenient mode.
//!
//! Only stored and deflated parts are read. Names of parts are keys into the package, never paths of the file system.
//!
//! **Written**: one object a mesh, triangles, one item a placed mesh, base materials and colours of vertices, the unit (a scene
//! of another unit is scaled to millimetres), `metadata` from text properties. A scene that is y-up or x-up is turned. Lost,
//! with a code each: `polygons`, `lines`, `points`, `normals`, `texcoords`, `textures`, `material-properties`,
//! `material-colors` (of a primitive with colours of its own), `properties`, and what `world.rs` names.

mod model;
mod package;
mod scene;
#[cfg(test)]
mod tests;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Media, MediaRecord, Output, Probe,
    Result, Signature, Source, whole,
};

const INFO: FormatInfo = FormatInfo::new("3mf", "3D Manufacturing Format", &[Kind::Scene])
    .extensions(&["3mf"])
    .media_types(&["model/3mf", "application/vnd.ms-package.3dmanufacturing-3dmodel+xml"])
    .signatures(&[Signature { offset: 0, bytes: b"PK\x03\x04", mask: &[] }])
    .reads()
    .writes(&[Feature::MeshNames, Feature::Colors, Feature::Materials])
    .spec("https://github.com/3MFConsortium/spec_core");

struct ThreeMf;

mediary_core::register!(ThreeMf);

impl Format for ThreeMf {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.head.starts_with(b"PK\x03\x04") {
            return Confidence::No;
        }
        // Names of parts stand in the list at the end, and before each part.
        let has = |name: &[u8]| {
            [probe.tail, probe.head]
                .iter()
                .any(|part| part.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)))
        };
        match (has(b"3D/3dmodel.model"), has(b".model")) {
            (true, _) => Confidence::yes(220, "a ZIP package with 3D/3dmodel.model"),
            (false, true) if has(b"_rels/.rels") => {
                Confidence::yes(160, "a ZIP package with relationships and a model")
            }
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || scene::read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &record.media {
            Media::Scene(scene) => write::write(scene, &record.properties, out, cx),
            other => Err(Error::unsupported(format!("3MF holds a scene, not {}", other.kind()))),
        }
    }
}
