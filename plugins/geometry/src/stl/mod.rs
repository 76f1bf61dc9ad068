//! STL, the triangle soup of 3D Systems' stereolithography, binary and ASCII.
//!
//! Specification: 3D Systems, "StereoLithography Interface Specification", 1988 (only in print); a description with the dialects:
//! <https://www.loc.gov/preservation/digital/formats/fdd/fdd000505.shtml>.
//!
//! | offset | bytes | binary field |
//! |---|---|---|
//! | 0 | 80 | header, any text; Magics puts `COLOR=` and RGBA into it |
//! | 80 | 4 | number of triangles n, little-endian as all that follows |
//! | 84 | 50 n | per triangle: normal, three corners (12 × f32), attribute bytes (u16) |
//!
//! ASCII: `solid NAME`, then `facet normal x y z`, `outer loop`, three `vertex x y z`, `endloop`, `endfacet`, then `endsolid`; in any
//! case, with LF, CR or CRLF; each solid is a mesh.
//!
//! A file is binary when 84 + 50 n is its length; else ASCII when it begins with `solid` and has `facet` or `endsolid` in its first
//! KiB (binary headers begin with `solid` too); else binary with as many triangles as are there.
//! Vertices are kept per corner, `-o stl.weld=true` joins equal positions and drops the normals of facets. Normals that are zero or
//! not finite are computed. 15-bit colours in the attribute bytes (VisCAM, Magics) become vertex colours.
//!
//! Written: world-space triangles, binary or (`-o stl.ascii=true`) ASCII with one solid a mesh. Lost, with a code each: `node-tree`,
//! `mesh-names` (binary), `materials`, `textures`, `texcoords`, `colors`, `smooth-normals`, `polygons`, `lines`, `points`, `precision`
//! (a world offset), and what `world.rs` names.
//!
//! Findings: `truncated`, `trailing-bytes`, `missing-endsolid`, `polygon-facet`, `short-facet`, `unknown-word`, `non-finite`,
//! `recomputed-normals`, `attribute-bytes`, `empty-solid`, `no-final-newline`. Strict turns the first six into errors; lenient reads unreadable
//! numbers as NaN.

mod ascii;

use std::io::Write as _;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::facts::SceneFacts;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::record::{Buffer, Facts, Scene, triangulate};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Severity, Source, single, whole,
};

use crate::operations::weld;
use crate::text::{self, Digits};
use crate::vertex::{face_normal, linear, unit};
use crate::world::{self, Placed};

const INFO: FormatInfo = FormatInfo::new("stl", "STL (stereolithography)", &[Kind::Scene])
    .extensions(&["stl"])
    .media_types(&["model/stl", "application/sla", "application/vnd.ms-pki.stl"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .options(&[
        OptionSpec::read("weld", OptionType::Bool, "false", "Join corners at equal positions; normals are dropped."),
        OptionSpec::write("ascii", OptionType::Bool, "false", "Write ASCII instead of binary."),
        Digits::OPTION,
    ])
    .spec("https://www.loc.gov/preservation/digital/formats/fdd/fdd000505.shtml");

/// Bytes before the count.
const HEADER: usize = 80;
/// Bytes before the first triangle.
const START: u64 = 84;
/// Bytes of a triangle.
const FACET: u64 = 50;
/// Where `facet` or `endsolid` must turn up in an ASCII file.
const ASCII_WINDOW: usize = 1024;
/// Facets between checks of the deadline.
const CHECK_EVERY: usize = 1 << 14;
/// The key of Magics for a colour of the whole part.
const MAGICS: &[u8] = b"COLOR=";
/// Bit 15 of the attribute bytes.
const COLOR_BIT: u16 = 0x8000;

struct Stl;

mediary_core::register!(Stl);

impl Format for Stl {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match encoding(probe.head, probe.len) {
            Encoding::Binary { announced: 0, .. } if probe.len == START => Confidence::yes(50, "an empty binary STL"),
            Encoding::Binary { exact: true, .. } => Confidence::yes(150, "the length is 84 + 50 bytes a triangle"),
            Encoding::Ascii => Confidence::yes(150, "solid, then facet or endsolid"),
            Encoding::Binary { .. } => Confidence::Unknown,
            Encoding::Neither => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        match encoding(source.head(), source.len()) {
            Encoding::Ascii => Ok(whole(move || ascii::read(&source.bytes(&cx)?, &cx))),
            Encoding::Binary { announced, .. } => {
                let triangles = facets(announced, source.len(), &cx)?;
                let weld = cx.options().bool("weld");
                let header =
                    move || Ok(Header { memory: Some(triangles * 72), ..Header::single(header(triangles, weld)) });
                Ok(single(header, move || read_binary(&source, triangles, &cx)))
            }
            Encoding::Neither => Err(Error::malformed("expected \"solid\" and facets, or a binary STL, found neither")
                .at_byte(0)
                .with_hint("`mediary detect --explain` shows what the content is")),
        }
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

enum Encoding {
    Ascii,
    Binary { announced: u32, exact: bool },
    Neither,
}

fn encoding(head: &[u8], len: u64) -> Encoding {
    let announced =
        head.get(HEADER..HEADER + 4).map(|count| u32::from_le_bytes([count[0], count[1], count[2], count[3]]));
    if let Some(announced) = announced
        && START + FACET * u64::from(announced) == len
    {
        return Encoding::Binary { announced, exact: true };
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    if starts_with_word(text, b"solid") {
        let window = text[..text.len().min(ASCII_WINDOW)].to_ascii_lowercase();
        let has = |word: &[u8]| memchr::memmem::find(&window, word).is_some();
        if has(b"facet") || has(b"endsolid") {
            return Encoding::Ascii;
        }
    }
    // Counts below 2^24 and nearly all floats have a byte that no text has.
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C);
    match announced {
        Some(announced) if head.iter().take(512).any(control) => Encoding::Binary { announced, exact: false },
        _ => Encoding::Neither,
    }
}

fn starts_with_word(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len()
        && text[..word.len()].eq_ignore_ascii_case(word)
        && text.get(word.len()).is_none_or(u8::is_ascii_whitespace)
}

/// Triangles that are there, with findings where the length does not fit the announced number.
fn facets(announced: u32, len: u64, cx: &Context) -> Result<u64> {
    let announced = u64::from(announced);
    let there = len.saturating_sub(START) / FACET;
    cx.limits().check("elements", announced.min(there).saturating_mul(3))?;
    if there < announced {
        if there == 0 {
            return Err(Error::truncated("the list of triangles", announced * FACET, len - START).at_byte(START));
        }
        let message = format!("{announced} triangles are announced, {there} are there");
        cx.tolerate("truncated", message, Location::byte(START + there * FACET))?;
        return Ok(there);
    }
    let end = START + announced * FACET;
    if len > end {
        let message = format!("{} bytes follow the {announced} announced triangles", len - end);
        cx.tolerate("trailing-bytes", message, Location::byte(end))?;
    }
    Ok(announced)
}

fn header(triangles: u64, weld: bool) -> Facts {
    Facts::Scene(SceneFacts {
        primitives: Some(u64::from(triangles > 0)),
        vertices: (!weld).then_some(triangles * 3),
        triangles: Some(triangles),
        ..world::one_primitive()
    })
}

/// Facets of one solid, and what was found in them.
#[derive(Default)]
struct Soup {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    recomputed: u64,
    non_finite: u64,
}

impl Soup {
    fn push(&mut self, given: [f32; 3], corners: [[f32; 3]; 3]) {
        let square: f32 = given.iter().map(|value| value * value).sum();
        let normal = if (square - 1.0).abs() < 1e-4 {
            given
        } else {
            unit(given.map(f64::from)).unwrap_or_else(|| {
                self.recomputed += 1;
                // A triangle without area has no normal of its own.
                face_normal(corners).unwrap_or([0.0, 0.0, 1.0])
            })
        };
        self.non_finite += corners.iter().filter(|corner| !corner.iter().all(|value| value.is_finite())).count() as u64;
        self.positions.extend_from_slice(&corners);
        self.normals.extend_from_slice(&[normal; 3]);
    }

    fn into_mesh(self, name: String, colors: Vec<[f32; 4]>, cx: &Context) -> Result<Mesh> {
        let message = "normals of facets are zero or not finite: computed from the corners";
        cx.report_times(Severity::Info, "recomputed-normals", message, None, self.recomputed);
        let message = "corners have a coordinate that is not finite";
        cx.report_times(Severity::Warning, "non-finite", message, None, self.non_finite);
        if self.positions.is_empty() {
            return Ok(Mesh { name, ..Mesh::default() });
        }
        let mut primitive =
            Primitive { positions: self.positions.into(), normals: self.normals.into(), ..Primitive::default() };
        if !colors.is_empty() {
            primitive.colors = vec![colors.into()];
        }
        if cx.options().bool("weld") {
            // Those of facets mean nothing on the corners that facets share.
            primitive.normals = Buffer::default();
            weld(&mut primitive, cx)?;
        }
        Ok(Mesh { name, primitives: vec![primitive], ..Mesh::default() })
    }
}

fn read_binary(source: &Source, triangles: u64, cx: &Context) -> Result<MediaRecord> {
    let left = source.len().saturating_sub(START);
    let mut soup = Soup {
        positions: cx.budget().vec("corners", triangles * 3, FACET / 3, left)?,
        normals: cx.budget().vec("corners", triangles * 3, FACET / 3, left)?,
        ..Soup::default()
    };
    let (mut flagged, mut attributed) = (false, 0_u64);
    each_facet(source, triangles, cx, |facet| {
        let float = |at: usize| f32::from_le_bytes([facet[at], facet[at + 1], facet[at + 2], facet[at + 3]]);
        let vector = |at: usize| [float(at), float(at + 4), float(at + 8)];
        soup.push(vector(0), [vector(12), vector(24), vector(36)]);
        let attribute = attribute(facet);
        flagged |= attribute & COLOR_BIT != 0;
        attributed += u64::from(attribute != 0);
    })?;
    let header = &source.head()[..HEADER];
    let magics = magics_color(header);
    let mut colors = Vec::new();
    // VisCAM flags facets that have a colour; Magics those that have none of their own.
    if flagged || (magics.is_some() && attributed > 0) {
        cx.budget().take(triangles * 48)?;
        each_facet(source, triangles, cx, |facet| {
            colors.extend_from_slice(&[facet_color(attribute(facet), magics); 3]);
        })?;
    } else {
        let message = "facets have attribute bytes that are no colour: left out";
        cx.report_times(Severity::Info, "attribute-bytes", message, None, attributed);
    }
    let mut record = MediaRecord::new(Scene::of_meshes(vec![soup.into_mesh(String::new(), colors, cx)?]));
    let title = text::decode(header.split(|&byte| byte == 0).next().unwrap_or_default());
    if !title.trim().is_empty() && !title.contains(char::is_control) {
        record = record.with_property("header", title.trim());
    }
    Ok(record)
}

/// Calls `visit` with the bytes of each facet. Those of the whole file are never in memory at once.
fn each_facet(
    source: &Source,
    triangles: u64,
    cx: &Context,
    mut visit: impl FnMut(&[u8; FACET as usize]),
) -> Result<()> {
    let mut buffer = vec![0; FACET as usize * usize::try_from(triangles).unwrap_or(usize::MAX).min(CHECK_EVERY)];
    let mut done = 0;
    while done < triangles {
        cx.checkpoint()?;
        let left = usize::try_from(triangles - done).unwrap_or(usize::MAX).saturating_mul(FACET as usize);
        let wanted = buffer.len().min(left);
        let read = source.read_at(START + done * FACET, &mut buffer[..wanted])?;
        let facets = buffer[..read].as_chunks().0;
        if facets.is_empty() {
            return Err(Error::truncated("the list of triangles", triangles * FACET, done * FACET).at_byte(START));
        }
        facets.iter().for_each(&mut visit);
        done += facets.len() as u64;
    }
    Ok(())
}

fn attribute(facet: &[u8; FACET as usize]) -> u16 {
    u16::from_le_bytes([facet[48], facet[49]])
}

/// The part colour of a Magics header.
fn magics_color(header: &[u8]) -> Option<[u8; 4]> {
    let at = header.windows(MAGICS.len()).position(|found| found == MAGICS)? + MAGICS.len();
    header.get(at..at + 4)?.try_into().ok()
}

#[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
fn facet_color(attribute: u16, magics: Option<[u8; 4]>) -> [f32; 4] {
    let five = |shift: u16| srgb_to_linear(f64::from(attribute >> shift & 31) / 31.0) as f32;
    match (magics, attribute & COLOR_BIT != 0) {
        (None, true) => [five(10), five(5), five(0), 1.0],
        (None, false) => [1.0; 4],
        (Some(_), false) => [five(0), five(5), five(10), 1.0],
        (Some([r, g, b, a]), true) => [linear(r), linear(g), linear(b), f32::from(a) / 255.0],
    }
}

fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Scene(scene) = &record.media else {
        return Err(Error::unsupported(format!("STL holds a scene, not {}", record.kind())));
    };
    let ascii = cx.options().bool("ascii");
    world::need_faces(scene, "STL")?;
    report_losses(scene, ascii, cx);
    let meshes = world::placed(scene);
    let triangles: u64 = meshes.iter().flat_map(|mesh| &mesh.mesh.primitives).map(Primitive::triangles).sum();
    let Ok(count) = u32::try_from(triangles) else {
        return Err(Error::unsupported(format!("STL counts up to {} triangles, the scene has {triangles}", u32::MAX)));
    };
    if !ascii {
        // The header must not begin with "solid".
        let mut header = [b' '; HEADER];
        header[..24].copy_from_slice(b"binary STL from mediary ");
        out.write_all(&header)?;
        out.write_all(&count.to_le_bytes())?;
    }
    let mut bytes = Vec::new();
    let mut digits = Digits::of(cx);
    for mesh in &meshes {
        let name = mesh.name().split_whitespace().collect::<Vec<_>>().join(" ");
        if ascii {
            bytes.extend_from_slice(format!("solid {name}").trim_end().as_bytes());
            bytes.push(b'\n');
        }
        for primitive in &mesh.mesh.primitives {
            let mut failure = Ok(());
            each_triangle(mesh, primitive, |normal, corners| {
                if ascii {
                    put_ascii(&mut bytes, normal, corners, &mut digits)
                } else {
                    put_binary(&mut bytes, normal, corners)
                }
                if failure.is_ok() {
                    failure = text::flush_if_long(&mut bytes, out, cx);
                }
            });
            failure?;
        }
        if ascii {
            bytes.extend_from_slice(format!("endsolid {name}").trim_end().as_bytes());
            bytes.push(b'\n');
        }
    }
    if ascii && meshes.is_empty() {
        bytes.extend_from_slice(b"solid\nendsolid\n");
    }
    digits.report(cx);
    out.write_all(&bytes)?;
    Ok(())
}

fn report_losses(scene: &Scene, ascii: bool, cx: &Context) {
    world::lose_tree(scene, ascii, cx);
    let count = |test: &dyn Fn(&Primitive) -> bool| scene.primitives().filter(|part| test(part)).count() as u64;
    let names = scene.meshes.iter().filter(|mesh| !mesh.name.is_empty()).count();
    let meshes = if ascii { 0 } else { names.max(scene.meshes.len().saturating_sub(1)) };
    cx.lose("mesh-names", meshes as u64, "meshes: binary STL holds one nameless mesh");
    world::lose_materials(scene, cx);
    cx.lose("texcoords", count(&|part| !part.texcoords.is_empty()), "texture coordinates of primitives");
    cx.lose("colors", count(&|part| !part.colors.is_empty()), "colours of primitives");
    cx.lose("smooth-normals", count(&|part| !part.normals.is_empty() && part.indices.is_some()), "normals of vertices");
    cx.lose("polygons", count(&|part| part.topology == Topology::Polygons), "polygons, cut into triangles");
    cx.lose("lines", count(&|part| part.topology == Topology::Lines), "lines");
    cx.lose("points", count(&|part| part.topology == Topology::Points), "points");
    cx.lose("precision", u64::from(scene.world_offset != [0.0; 3]), "coordinates rounded to single precision");
}

/// Calls `visit` with the normal and the corners of each triangle in world space.
#[expect(clippy::cast_possible_truncation, reason = "STL is single precision")]
fn each_triangle(mesh: &Placed<'_>, primitive: &Primitive, mut visit: impl FnMut([f32; 3], [[f32; 3]; 3])) {
    let positions = &*primitive.positions;
    let mut points = Vec::new();
    world::faces(primitive, mesh.mirrors, |corners| {
        points.clear();
        points.extend(corners.iter().map(|&corner| mesh.position(positions[corner as usize])));
        triangulate::polygon(&points, |triangle| {
            let own = triangle.map(|at| points[at].map(|value| value as f32));
            let normals = triangle.map(|at| primitive.normals.get(corners[at] as usize).copied());
            // Corners with one normal state that of their facet, as when it was read from an STL.
            let normal = match normals {
                [Some(a), Some(b), Some(c)] if a == b && b == c => Some(mesh.normal(a)),
                _ => face_normal(own),
            };
            visit(normal.unwrap_or_default(), own);
        });
    });
}

fn put_binary(bytes: &mut Vec<u8>, normal: [f32; 3], corners: [[f32; 3]; 3]) {
    for value in normal.iter().chain(corners.as_flattened()) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&[0, 0]);
}

fn put_ascii(bytes: &mut Vec<u8>, normal: [f32; 3], corners: [[f32; 3]; 3], digits: &mut Digits) {
    let mut put = |bytes: &mut Vec<u8>, word: &[u8], values: [f32; 3]| {
        bytes.extend_from_slice(word);
        for value in values {
            bytes.push(b' ');
            digits.put(bytes, value.into(), true);
        }
        bytes.push(b'\n');
    };
    put(bytes, b"facet normal", normal);
    bytes.extend_from_slice(b"outer loop\n");
    corners.into_iter().for_each(|corner| put(bytes, b"vertex", corner));
    bytes.extend_from_slice(b"endloop\nendfacet\n");
}

#[cfg(test)]
mod tests;
