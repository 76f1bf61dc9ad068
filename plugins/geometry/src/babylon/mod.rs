//! Babylon, the scene file of Babylon.js: one JSON object.
//!
//! Documentation: <https://doc.babylonjs.com/setup/support/.babylonFileFormat>; where it is silent, the loader of Babylon.js
//! (`babylonFileLoader`, `Mesh.Parse`, `Geometry.Parse`, `Animation.Parse`) is the definition.
//!
//! | key | becomes |
//! |---|---|
//! | `meshes`, `transformNodes` | nodes: `position`, `rotation` (Euler, y x z) or `rotationQuaternion`, `scaling`, `pivotMatrix`, `localMatrix` |
//! | `positions normals tangents uvs … uvs6 colors indices` | a mesh; inline, in `geometries.vertexData`, or in the file of `delayLoadingFile` |
//! | `subMeshes` with a material of `multiMaterials` | one primitive a material |
//! | `instances` | nodes of the same mesh |
//! | `skeletons`, `matricesIndices`, `matricesWeights` (`…Extra`) | a skin; bones are nodes below the first mesh that uses them |
//! | `morphTargetManagers` | morph targets, as differences |
//! | `animations` of all of these, `animationGroups` | one animation, and one a group |
//! | `materials` | Standard (colours are sRGB, `specularPower` gives the roughness) and the three physically based kinds |
//! | `cameras`, `lights` | cameras and lights; a hemispheric light has no place (`hemispheric-light`) |
//!
//! The coordinates of Babylon are left-handed, y up: z is mirrored, which also turns the winding of triangles, clockwise in
//! Babylon, into the counter-clockwise one of the record. A file that says `useRightHandedSystem` is taken as it is. Texture
//! coordinates are turned to the upper left.
//!
//! Findings: `attribute` (an array of a wrong length), `missing-material`, `missing-geometry`, `missing-parent`,
//! `missing-texture`, `missing-skeleton`, `parametric-geometry` (boxes, spheres and the like are not made), `joint`,
//! `shared-skeleton`, `animation` (a property without a place in the record), `matrix-key`, `texture-rotation`, `hidden`
//! (meshes that are not shown), `left-out` (particle systems, sounds and the like), `non-finite`, `unknown-material`. Lenient
//! leaves out meshes that are broken.
//!
//! Babylon files are not written: glTF is what Babylon.js reads best.

mod animation;
mod document;
mod geometry;
mod material;
mod read;
#[cfg(test)]
mod tests;

use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Kind, MediaRecord, Probe, Result, Source, whole,
};

const INFO: FormatInfo = FormatInfo::new("babylon", "Babylon.js scene", &[Kind::Scene])
    .extensions(&["babylon"])
    .media_types(&["model/x-babylon"])
    .probes_without_signature()
    .reads()
    .siblings()
    .spec("https://doc.babylonjs.com/setup/support/.babylonFileFormat");

struct Babylon;

mediary_core::register!(Babylon);

impl Format for Babylon {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let text = probe.text();
        if text.first() != Some(&b'{') {
            return Confidence::No;
        }
        // A mesh may fill the head; what stands before and behind the list of meshes tells.
        let has = |key: &&&str| {
            let key = format!("\"{key}\"").into_bytes();
            [text, probe.tail].iter().any(|part| memchr::memmem::find(part, &key).is_some())
        };
        let own = ["multiMaterials", "morphTargetManagers", "billboardMode", "checkCollisions", "autoClear", "fogMode"];
        let shared =
            ["meshes", "materials", "materialId", "subMeshes", "positions", "scaling", "producer", "skeletons"];
        match (own.iter().filter(has).count(), shared.iter().filter(has).count()) {
            (3.., 2..) => Confidence::yes(200, "a JSON object with keys of Babylon scenes"),
            (1.., 2..) | (_, 4..) => Confidence::yes(120, "a JSON object with some keys of Babylon scenes"),
            _ => Confidence::Unknown,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || {
            read::read(&source, &cx).map(|(scene, properties)| {
                let mut record = MediaRecord::new(scene);
                record.properties = properties;
                record
            })
        }))
    }
}
