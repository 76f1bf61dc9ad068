//! glTF 2.0 as text: a JSON document, with its buffers and textures in files beside it or in `data:` URIs.
//!
//! Specification: <https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html>. What is read, kept and refused is the same as in
//! the binary form and is described there ([`crate::glb`]); diagnostics and losses have the same names.
//!
//! **Read**: buffers and images by `data:` URIs, base64 or percent-encoded, and by relative names, which are percent-decoded
//! and resolved below the folder of the file only. A missing image is a diagnostic (`gltf.missing-image`), a missing buffer an
//! error unless lenient.
//!
//! **Written**: `NAME.bin` and one file an image beside the output, images under the names they had (those of equal names are
//! numbered). With the option `embed`, and where the output has no files beside it (`gltf.embedded`), everything is in `data:` URIs.

#[cfg(test)]
mod tests;

use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Media, MediaRecord, OptionSpec, OptionType,
    Output, Probe, Result, Source, Tier,
};

use crate::glb::{self, Form};

const INFO: FormatInfo = FormatInfo::new("gltf", "glTF 2.0", &[Kind::Scene])
    .extensions(&["gltf"])
    .media_types(&["model/gltf+json"])
    .probes_without_signature()
    .reads()
    .writes(glb::FEATURES)
    .siblings()
    .options(&[OptionSpec::write(
        "embed",
        OptionType::Bool,
        "false",
        "Put the buffer and the images into the file instead of beside it.",
    )])
    .spec("https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html")
    .tier(Tier::Preferred);

struct Gltf;

mediary_core::register!(Gltf);

impl Format for Gltf {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let text = probe.text().trim_ascii_start();
        if text.first() != Some(&b'{') {
            return Confidence::No;
        }
        // Any of them may stand behind the head, where buffers are embedded.
        let has =
            |key: &str| [text, probe.tail].iter().any(|part| memchr::memmem::find(part, key.as_bytes()).is_some());
        let keys =
            ["\"asset\"", "\"version\"", "\"accessors\"", "\"bufferViews\"", "\"meshes\"", "\"nodes\"", "\"scenes\""];
        let found = keys.iter().filter(|key| has(key)).count();
        match (has(keys[0]) && has(keys[1]), found) {
            (true, 4..) => Confidence::yes(200, "a JSON object with an asset, its version and further keys of glTF"),
            (true, 3) => Confidence::yes(120, "a JSON object with an asset, its version and one more key of glTF"),
            (true, _) => Confidence::yes(60, "a JSON object with an asset and its version"),
            (false, 4..) => Confidence::yes(60, "a JSON object with keys of glTF"),
            _ => Confidence::Unknown,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(glb::open(Form::Text, source, cx))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &record.media {
            Media::Scene(scene) => glb::write_text(scene, &record.properties, cx.options().bool("embed"), out, cx),
            other => Err(Error::unsupported(format!("glTF holds a scene, not {}", other.kind()))),
        }
    }
}
