//! PLY, the Stanford polygon format: meshes and point clouds, ASCII or binary.
//!
//! Specification: Greg Turk, "The PLY Polygon File Format", 1994, <http://paulbourke.net/dataformats/ply/>.
//!
//! | header line | meaning |
//! |---|---|
//! | `ply` | magic |
//! | `format ascii\|binary_little_endian\|binary_big_endian 1.0` | how the rows are written |
//! | `comment …`, `obj_info …` | kept as properties of the record |
//! | `element NAME COUNT` | a list of rows; the lists follow the header in this order |
//! | `property TYPE NAME` | a number of each row: `char uchar short ushort int uint float double`, or `int8` to `float64` |
//! | `property list COUNT-TYPE TYPE NAME` | a number of numbers of each row |
//! | `end_header` | the rows begin behind this line |
//!
//! With faces (`face` or `tristrips`) the record is a scene of one mesh, otherwise a point cloud that is streamed.
//!
//! **Cloud**: every scalar of `vertex` is an attribute under its name in lower case; `red green blue [alpha]` (also with
//! `diffuse_`) become `color`, `nx ny nz` become `normal`, when they have one type. **Scene**: normals, colours (integers are sRGB,
//! floats linear), texture coordinates (`s t`, `u v`, `texture_u texture_v`, or `texcoord` lists of faces; lower left origin),
//! polygons, triangle strips, and the pictures of `comment TextureFile NAME`, each as a material, the first one in use. What else there is, is named by `ignored-element` and `ignored-property`.
//!
//! Written: binary little-endian or (`-o ply.ascii=true`) ASCII. A cloud is written as double `x y z` and its attributes in their own
//! types; attributes of several components become `NAME_0 NAME_1 …` with a comment `mediary.attribute NAME COMPONENTS` by which they
//! are joined again; `mediary.crs` keeps the reference system. A scene becomes one mesh in world space; coordinates are float, or
//! double where there is a world offset; a picture that all faces show is written beside the file and named by `TextureFile`. Lost, with a code each: `boxes`, `vectors`, `scene-type`, `attribute-names`; of scenes
//! `node-tree`, `meshes`, `materials`, `textures`, `texture-transforms`, `samplers`, `lines`, `normals` or `texcoords` that some primitives lack, and what `world.rs` names.
//!
//! Findings: `truncated`, `trailing-bytes`, `extra-values`, `out-of-range`, `short-face`, `non-finite`, `bad-normal`, `colors-255`, `unknown-header-line`,
//! `version`, `missing-texture`, `several-textures`, `ignored-element`, `ignored-property`, `no-final-newline`. Strict turns `trailing-bytes`, `extra-values`, `out-of-range`, `short-face`, `version`
//! and `unknown-header-line` into errors; lenient keeps the whole rows of a truncated file and drops faces with bad indices.

mod body;
mod cloud;
mod header;
mod scene;

use mediary_core::{
    Canonical, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord, OptionSpec,
    OptionType, Output, Result, Signature, Source, single,
};

use crate::text::Digits;

const INFO: FormatInfo = FormatInfo::new("ply", "PLY (Stanford polygons)", &[Kind::Scene, Kind::PointCloud])
    .extensions(&["ply"])
    .media_types(&["model/ply", "application/ply", "text/x-ply"])
    .signatures(&[
        Signature { offset: 0, bytes: b"ply\n", mask: &[] },
        Signature { offset: 0, bytes: b"ply\r", mask: &[] },
        Signature { offset: 0, bytes: b"ply \n", mask: &[] },
        Signature { offset: 0, bytes: b"ply \r", mask: &[] },
    ])
    .reads()
    .writes(&[
        Feature::Polygons,
        Feature::Normals,
        Feature::Texcoords,
        Feature::Colors,
        Feature::Attributes,
        Feature::Categories,
        Feature::DoublePrecision,
    ])
    .siblings()
    .canonical(&[Canonical { kind: Kind::PointCloud, integer: None }])
    .options(&[OptionSpec::write("ascii", OptionType::Bool, "false", "Write ASCII instead of binary."), Digits::OPTION])
    .spec("http://paulbourke.net/dataformats/ply/");

struct Ply;

mediary_core::register!(Ply);

impl Format for Ply {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let parsed = header::read(source, cx)?;
        let (source, cx) = (source.clone(), cx.clone());
        if parsed.has_faces() {
            let facts = scene::facts(&parsed)?;
            return Ok(single(move || Ok(Header::single(facts.clone())), move || scene::read(&source, &parsed, &cx)));
        }
        let record = cloud::read(&source, &parsed, &cx)?;
        let facts = record.facts();
        Ok(single(move || Ok(Header::single(facts.clone())), move || Ok(record)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &mut record.media {
            Media::Scene(scene) => scene::write(scene, out, cx),
            Media::PointCloud(cloud) => cloud::write(cloud, out, cx),
            other => Err(Error::unsupported(format!("PLY holds a scene or a point cloud, not {}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests;
