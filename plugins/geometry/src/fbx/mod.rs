//! FBX, the exchange format of Autodesk's 3D programs: binary or ASCII, versions 3000 to 7700.
//!
//! There is no public specification. It is read by `ufbx`, a C library (MIT or public domain) that is built into the program
//! with the feature `fbx`, which is off by default: without it the format is recognised and refused. What it reads is
//! described in <https://ufbx.github.io/>; what becomes of it here:
//!
//! | element | becomes |
//! |---|---|
//! | global settings | `up_axis` (none before version 6) and the unit of the scene; coordinates stay as they are in the file, in single precision |
//! | axes that no record has (left-handed, up pointing down) | turned to right-handed, y up (`axes`) |
//! | `Model` | nodes; pivots, pre- and post-rotations make one translation, rotation and scale |
//! | geometric transforms | applied to the vertices, or a node of their own where a mesh is placed with several |
//! | inheritance of scale other than usual | helper nodes |
//! | `Mesh` | a mesh; a primitive for each material of its polygons, and for faces of two corners (lines) and one (points) |
//! | layers of normals, tangents, texture coordinates, colours | one vertex for each distinct corner; texture coordinates turned to the upper left, colours sRGB |
//! | `Line` | a mesh of lines |
//! | `Material` | a material: PBR shaders of Maya, 3ds Max, Arnold and OpenPBR, else Phong and Lambert as of COLLADA; its properties as text in `original` |
//! | `Texture`, `Video` | textures: embedded, or files beside the input or in the folder `<name>.fbm`, under their path or their bare name |
//! | `Deformer` of kind `Skin` | a skin, with the eight strongest joints of a vertex |
//! | `BlendShape` and its channels | morph targets, one for each shape in between; weights at rest |
//! | `AnimationStack` | an animation, baked: layers and curves become linear keys, 30 a second where curves bend (`baked`) |
//! | `Camera`, `Light` | cameras and lights; areas and volumes as points (`light-kind`), intensity in percent of 100 |
//! | user properties | property `extras` of the record, by element as for glTF: `nodes[3]`, `materials[0]` |
//! | header and document properties | properties `version`, `creator`, `application`, … |
//!
//! Findings: `axes`, `baked`, `negative-time` (animations are moved to begin at 0), `animation` (of what has no place in the
//! record), `index` (an attribute that is nowhere; 0 in its place), `layers` (beyond the eighth), `short-face`, `polygon-holes`,
//! `non-finite`, `influences`, `missing-joint`, `deformer` (a second skin, caches, constraints, dual quaternions), `nurbs` and
//! `geometry-kind` (left out), `subdivision` (the cage is kept), `levels-of-detail` (all are shown), `hidden` (nodes that are
//! shown), `light-kind`, `attenuation`, `texture-kind`, `texture-transform`, `transparency` (nothing would be seen),
//! `transparent-texture`, `missing-texture`, `extras`, and what the library repairs: `truncated-array`, `missing-geometry`,
//! `duplicate-connection`, `missing-mapping`, `version`, `text`, `base64`, `root`, `duplicate-id`, `w`.
//! Positions out of range are errors. Strict mode refuses what is repaired.
//!
//! The library is C: it is held to the budget and to a depth, opens no file, and is not guarded against its own faults.
//! Read files of strangers in a worker (`--isolate process`), or build without the feature.
//!
//! FBX is not written.

#[cfg(feature = "fbx")]
mod animation;
#[cfg(feature = "fbx")]
mod extras;
#[cfg(feature = "fbx")]
mod geometry;
#[cfg(feature = "fbx")]
mod load;
#[cfg(feature = "fbx")]
mod material;
#[cfg(feature = "fbx")]
mod nodes;
#[cfg(feature = "fbx")]
mod read;
#[cfg(test)]
mod tests;

use mediary_core::{Confidence, Context, Format, FormatInfo, FormatReader, Kind, Probe, Result, Signature, Source};

const INFO: FormatInfo = FormatInfo::new("fbx", "FBX", &[Kind::Scene])
    .extensions(&["fbx"])
    .media_types(&["model/vnd.fbx"])
    .signatures(&[Signature { offset: 0, bytes: b"Kaydara FBX Binary  \0", mask: &[] }])
    .probes_without_signature()
    .reads()
    .siblings()
    .spec("https://ufbx.github.io/");

/// Bytes of the head in which the header of an ASCII file stands.
const PROBED: usize = 1 << 14;

struct Fbx;

mediary_core::register!(Fbx);

impl Format for Fbx {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let head = probe.head;
        if INFO.signatures[0].matches(head) {
            return Confidence::yes(220, "the signature of binary FBX");
        }
        let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        let text = &text[..text.len().min(PROBED)];
        if let Some(version) = text.strip_prefix(b"; FBX ")
            && version.first().is_some_and(u8::is_ascii_digit)
        {
            return Confidence::yes(220, "the first comment of ASCII FBX");
        }
        // Other comments and empty lines may stand before the header.
        let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
        match lines.find(|line| !line.is_empty() && !line.starts_with(b";")) {
            Some(line) if line.starts_with(b"FBXHeaderExtension:") => {
                Confidence::yes(210, "FBXHeaderExtension at the top")
            }
            _ => Confidence::No,
        }
    }

    #[cfg(feature = "fbx")]
    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(mediary_core::whole(move || read::read(&source, &cx)))
    }

    #[cfg(not(feature = "fbx"))]
    fn open(&self, _source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        Err(mediary_core::Error::unsupported("this build has no reader of FBX")
            .with_hint("build it with the feature `fbx`, which needs a C compiler"))
    }
}
