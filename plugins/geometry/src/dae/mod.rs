//! COLLADA, the interchange format of Khronos for assets of 3D programs: one XML document.
//!
//! Specifications: Khronos, "COLLADA – Digital Asset Schema Release 1.4.1" (second edition) and "1.5.0",
//! <https://www.khronos.org/collada/>. Both are read; what 1.5 names otherwise is read under both names.
//!
//! | element | becomes |
//! |---|---|
//! | `asset` | `up_axis` and `unit` of the scene (y and one metre where the file is silent), properties of the record |
//! | `visual_scene`, `node` | nodes; `matrix translate rotate scale skew lookat` in their order make one transform |
//! | `instance_node` | nodes again: what one node is in two places is two nodes of one mesh |
//! | `geometry` with `mesh`, `convex_mesh` | a mesh; one primitive for each `triangles polylist polygons tristrips trifans lines linestrips` |
//! | `input` `POSITION NORMAL TEXCOORD COLOR` | one vertex for each distinct corner; texture coordinates (turned to the upper left) and colours (sRGB) in sets |
//! | `polylist`, `polygons` | polygons; the outline alone of one with holes (`polygon-holes`) |
//! | `material`, `effect` with `profile_COMMON` | a material: `phong blinn lambert constant`, colours taken as linear; `newparam` and `setparam` |
//! | `transparent`, `transparency` | alpha, in the modes `A_ONE A_ZERO RGB_ZERO RGB_ONE` |
//! | `image`, `sampler2D`, `surface` | textures: files beside the input, or hexadecimal digits inside it |
//! | `instance_material`, `bind_vertex_input` | the material of a primitive, and the set of texture coordinates of a texture |
//! | `controller` with `skin` | a skin; `bind_shape_matrix` is applied to the vertices |
//! | `controller` with `morph` | morph targets, as differences |
//! | `camera`, `light` | cameras and lights; ambient light has no place (`ambient-light`) |
//! | `animation`, `animation_clip` | animations: transforms as a whole at all keys, and between those of splines and wide turns |
//!
//! Coordinates stay as they are in the file, in single precision; `up_axis` and `unit` say how they are meant. What the
//! shading models say beyond a metallic-roughness material is kept as text by their own names (`specular`, `shininess`, …).
//! Addresses are those inside the file: what another document holds is left out (`external`). Pictures are looked for by
//! their address below the folder of the input, then by their bare name.
//!
//! Findings: `doctype` and `entity` (nothing of a document type is expanded), `version`, `up-axis`, `unit`, `count`, `stride`,
//! `reference` (repaired), `commas` (of a locale), `parameter` (a number of a material, a camera or a light), `left-over`, `short-face`,
//! `polygon-holes`, `inputs` (tangents and the like), `non-finite`, `geometry-kind` (splines, solids), `effect` (no common
//! profile), `missing` (a material, a camera and the like), `missing-image`, `missing-texture`, `transparency` (nothing would be
//! seen), `transparent-texture`, `field-of-view`, `camera`, `ambient-light`, `attenuation`, `no-scene`, `other-scenes`,
//! `left-out` (physics, kinematics), `external`, `nested-controller`, `joints`, `missing-joint`, `bind-matrices`, `influences`,
//! `bind-shape`, `morph-target`, `animation` (without a place in the record), `sampler`, `interpolation`, `matrix-key`.
//! Broken geometries, controllers and references to them, indices out of range, and an instance of a node inside itself
//! (`cycle`) are errors, and left out in lenient mode; what the scene can do without is left out with a finding, and an error
//! in strict mode.
//!
//! COLLADA is not written: glTF took its place.

mod animation;
mod controller;
mod document;
mod geometry;
mod material;
mod nodes;
mod read;
#[cfg(test)]
mod tests;
mod values;
mod view;

use mediary_core::{Confidence, Context, Format, FormatInfo, FormatReader, Kind, Probe, Result, Source, whole};

use crate::text::from_utf16;

const INFO: FormatInfo = FormatInfo::new("dae", "COLLADA", &[Kind::Scene])
    .extensions(&["dae"])
    .media_types(&["model/vnd.collada+xml"])
    .probes_without_signature()
    .reads()
    .siblings()
    .spec("https://www.khronos.org/collada/");

/// Bytes of the head in which the outermost element begins.
const PROBED: usize = 1 << 14;

struct Dae;

mediary_core::register!(Dae);

impl Format for Dae {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let utf8 = from_utf16(probe.head);
        let head = utf8.as_deref().unwrap_or(probe.head);
        let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        if head.first() != Some(&b'<') {
            return Confidence::No;
        }
        let head = &head[..head.len().min(PROBED)];
        let find = |word: &[u8]| memchr::memmem::find(head, word).is_some();
        if find(b"<COLLADA") || find(b":COLLADA ") {
            return Confidence::yes(220, "an XML document with the element COLLADA");
        }
        Confidence::No
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || read::read(&source, &cx)))
    }
}
