//! OBJ, the object file format of Wavefront's Advanced Visualizer, with its material libraries (MTL).
//!
//! Specification: Wavefront, "Object Files (.obj)", version 3.0, <http://paulbourke.net/dataformats/obj/>.
//!
//! | statement | read as |
//! |---|---|
//! | `v x y z [w] [r g b [a]]` | position; `w` is ignored; colours are sRGB (0 to 1, or 0 to 255 when one is above 1) |
//! | `vt u [v]`, `vn x y z` | texture coordinate (lower left origin, turned to the upper left), normal |
//! | `f`, `fo` | face of 3 or more corners `v`, `v/vt`, `v//vn`, `v/vt/vn` |
//! | `l`, `p` | polyline, points |
//! | `o`, `g` | a mesh of this name (`object/group` where both are given) |
//! | `usemtl`, `mtllib` | material of what follows, material libraries |
//! | `s`, `lod`, `mg`, … | set aside without a word: shading groups and display hints |
//! | `curv`, `surf`, `vp`, … | free-form geometry: `free-form` |
//!
//! Positive indices may point forward, they are resolved at the end of the file; negative ones count back from their line.
//! Each distinct corner becomes one vertex, in the order of the `v` lines. Each material of a mesh becomes a primitive; faces
//! with and without normals or texture coordinates are kept in separate primitives, so that nothing is made up. UTF-16 with a
//! byte order mark is read; names that are not UTF-8 are taken for Latin-1. Coordinates too large for single precision go into
//! the world offset of the scene.
//!
//! Written: one `o` a placed mesh in world space, polygons, lines, points, normals, the first set of texture coordinates and
//! of colours, materials and textures as `<stem>.mtl` and picture files beside the output. Lost, with a code each: `node-tree`,
//! `cameras`, `lights`, `animations`, `skins`, `morph-targets`, `tangents`, further sets, and what `mtl.rs` names.
//!
//! Findings: `missing-mtl`, `missing-material`, `missing-texture`, `non-finite`, `short-face`, `zero-index`, `mixed-corners`,
//! `partial-colors`, `bad-normal`, `unused-vertices`, `extra-values`, `free-form`, `unknown-statement`, `no-faces`, `no-final-newline`, `bad-mtl-line`,
//! `vertex-weights`, `colors-255`, `transparency` (a lone `Tr 1`).
//! Strict turns `short-face`, `zero-index`, `extra-values` and `unknown-statement` into errors; lenient leaves out elements with
//! bad indices and reads unreadable numbers as NaN.

mod file;
mod parse;
mod read;
mod sort;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe, Result, Source,
    whole,
};

use crate::text::{self, Digits, Scanner};

const INFO: FormatInfo = FormatInfo::new("obj", "Wavefront OBJ", &[Kind::Scene])
    .extensions(&["obj"])
    .media_types(&["model/obj", "application/x-tgif", "text/prs.wavefront-obj"])
    .probes_without_signature()
    .reads()
    .writes(&[
        Feature::MeshNames,
        Feature::Polygons,
        Feature::Lines,
        Feature::Points,
        Feature::Normals,
        Feature::Texcoords,
        Feature::Colors,
        Feature::Materials,
        Feature::Textures,
    ])
    .siblings()
    .options(&[Digits::OPTION])
    .spec("http://paulbourke.net/dataformats/obj/");

/// Statements that any OBJ file may have.
const STATEMENTS: &[&[u8]] = &[
    b"v",
    b"vt",
    b"vn",
    b"vp",
    b"f",
    b"fo",
    b"l",
    b"p",
    b"o",
    b"g",
    b"s",
    b"usemtl",
    b"mtllib",
    b"usemap",
    b"maplib",
    b"lod",
    b"mg",
    b"bevel",
    b"c_interp",
    b"d_interp",
    b"shadow_obj",
    b"trace_obj",
    b"cstype",
    b"deg",
    b"bmat",
    b"step",
    b"curv",
    b"curv2",
    b"surf",
    b"parm",
    b"trim",
    b"hole",
    b"scrv",
    b"sp",
    b"end",
    b"con",
];

/// Lines that a probe looks at.
const PROBED_LINES: usize = 400;

struct Obj;

mediary_core::register!(Obj);

impl Format for Obj {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if let Some(head) = text::from_utf16(probe.head) {
            return judge(head.split(|&byte| text::is_line_end(byte)));
        }
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        judge(probe.lines())
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || read::read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// Decides by the share of statements that are OBJ's, and by vertices that hold numbers.
fn judge<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Confidence {
    let (mut known, mut unknown, mut vertices, mut faces, mut own) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    // What follows a backslash at the end of a line is no statement of its own.
    let mut continued = false;
    let statements = lines
        .filter(|line| !std::mem::replace(&mut continued, line.ends_with(b"\\")))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && line[0] != b'#');
    for line in statements.take(PROBED_LINES) {
        let mut scanner = Scanner::new(line);
        let word = scanner.word();
        match word {
            b"v" | b"vt" | b"vn" if scanner.number().is_some() && (word == b"vt" || scanner.number().is_some()) => {
                vertices += 1;
            }
            b"f" | b"fo" | b"l" | b"p" if scanner.word().first().is_some_and(|byte| b"-0123456789".contains(byte)) => {
                faces += 1;
            }
            b"usemtl" | b"mtllib" => own += 1,
            _ if STATEMENTS.contains(&word) => known += 1,
            _ => unknown += 1,
        }
    }
    let good = known + vertices + faces + own;
    if unknown * 8 > good || vertices + faces + own == 0 {
        return if good + unknown == 0 { Confidence::Unknown } else { Confidence::No };
    }
    if vertices > 0 && (faces > 0 || own > 0) || vertices > 20 {
        return Confidence::yes(150, "vertex lines and faces or materials of OBJ");
    }
    Confidence::yes(if vertices > 2 { 100 } else { 50 }, "statements of OBJ")
}

#[cfg(test)]
mod tests;
