//! OFF, the object file format of Geomview.
//!
//! Specification: Geomview manual, "OFF Files", <http://www.geomview.org/docs/html/OFF.html>.
//!
//! | part | numbers |
//! |---|---|
//! | keyword | `OFF` with the prefixes `ST`, `C`, `N` in this order; `4` and `n` (other dimensions) are not read, nor is `OFF BINARY` |
//! | counts | vertices, faces, edges; the last is not looked at and may be missing |
//! | a vertex | x y z, with `N` a normal, with `C` a colour of 3 or 4, with `ST` a texture coordinate (origin at the lower left) |
//! | a face | the number of its corners, their indices from 0, and up to the end of the line its colour |
//!
//! Line ends count only behind a face; `#` begins a comment. Colours are sRGB: 0 to 1, or 0 to 255 when one is above 1. Without
//! faces all vertices are points. Coordinates too large for single precision go into the world offset of the scene.
//!
//! Written: vertices in world space, polygons, and colours (`COFF`) when all primitives have them: whole numbers where these are
//! exact. Lost, with a code each: `meshes`, `mesh-names`, `materials`, `textures`, `normals`, `texcoords`, `colors`, `color-range`,
//! `lines`, `points`, and what `world.rs` names.
//!
//! Findings: `missing-keyword`, `short-face`, `face-colors`, `trailing`, `bad-normal`, `non-finite`, `no-final-newline`. Strict turns
//! the first two and `trailing` into errors; lenient leaves out faces with bad indices.

use std::io::Write as _;

use mediary_core::convert::{linear_to_srgb, srgb_to_linear};
use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Location, Media, MediaRecord, Output,
    Probe, Result, Severity, Source, whole,
};

use crate::text::{Scanner, decode, put_number, put_shortest};
use crate::vertex::{exact_byte, unit};
use crate::world;

const INFO: FormatInfo = FormatInfo::new("off", "Geomview OFF", &[Kind::Scene])
    .extensions(&["off", "coff", "noff"])
    .media_types(&["model/x-off", "application/x-off"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Polygons, Feature::Colors])
    .spec("http://www.geomview.org/docs/html/OFF.html");

/// Elements between checks of the deadline.
const CHECK_EVERY: usize = 1 << 12;

struct Off;

mediary_core::register!(Off);

impl Format for Off {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let mut scanner = Scanner::new(probe.head);
        skip(&mut scanner);
        if Keyword::of(scanner.word()).is_none() {
            // The keyword may be missing, but then nothing tells.
            return Confidence::No;
        }
        let binary = scanner.clone().word() == b"BINARY";
        skip(&mut scanner);
        match binary || scanner.integer().is_some() {
            true => Confidence::yes(150, "the keyword OFF and a count"),
            false => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || Reader { scanner: Scanner::new(&source.bytes(&cx)?), len: source.len(), cx: &cx }.read()))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &record.media {
            Media::Scene(scene) => write(scene, out, cx),
            other => Err(Error::unsupported(format!("OFF holds a scene, not {}", other.kind()))),
        }
    }
}

/// What a vertex has.
#[derive(Clone, Copy, Default)]
struct Keyword {
    texcoord: bool,
    color: bool,
    normal: bool,
    /// Four or any number of dimensions.
    other: bool,
}

impl Keyword {
    fn of(word: &[u8]) -> Option<Self> {
        let mut rest = word.strip_suffix(b"OFF")?;
        let mut has = |prefix: &[u8]| rest.strip_prefix(prefix).inspect(|left| rest = left).is_some();
        let (texcoord, color, normal) = (has(b"ST"), has(b"C"), has(b"N"));
        let other = has(b"4") | has(b"n");
        rest.is_empty().then_some(Self { texcoord, color, normal, other })
    }
}

/// Steps over white space and comments.
fn skip(scanner: &mut Scanner<'_>) {
    scanner.skip_space();
    while scanner.eat(b'#') {
        scanner.skip_line(false);
        scanner.skip_space();
    }
}

struct Reader<'r> {
    scanner: Scanner<'r>,
    len: u64,
    cx: &'r Context,
}

impl Reader<'_> {
    fn read(mut self) -> Result<MediaRecord> {
        let keyword = self.keyword()?;
        let [vertices, faces] = [self.count("a count of vertices")?, self.count("a count of faces")?];
        // The count of edges.
        self.scanner.number();
        self.cx.limits().check("elements", vertices.max(faces))?;
        let (mut primitive, offset) = self.vertices(vertices, keyword)?;
        self.faces(faces, &mut primitive)?;
        skip(&mut self.scanner);
        if !self.scanner.is_done() {
            let place = Location::line(self.scanner.line());
            self.cx.tolerate("trailing", "the last face is followed by more: left out", place)?;
        } else if self.scanner.ends_in_line() {
            self.cx.note("no-final-newline", "the last line has no end: the file may be cut short");
        }
        let primitives = if vertices > 0 { vec![primitive] } else { Vec::new() };
        let mut scene = Scene::of_meshes(vec![Mesh { primitives, ..Mesh::default() }]);
        scene.world_offset = offset;
        Ok(MediaRecord::new(scene))
    }

    fn keyword(&mut self) -> Result<Keyword> {
        skip(&mut self.scanner);
        let (mut ahead, line) = (self.scanner.clone(), self.scanner.line());
        let word = ahead.word();
        let Some(keyword) = Keyword::of(word) else {
            if self.scanner.clone().integer().is_none() {
                return Err(self.wrong("the keyword OFF"));
            }
            self.cx.tolerate("missing-keyword", "the keyword OFF is missing", Location::line(line))?;
            return Ok(Keyword::default());
        };
        self.scanner = ahead;
        let refused = |what: &str, hint: &str| {
            Err(Error::unsupported(format!("{what} is not read")).at_line(line).with_hint(hint.to_owned()))
        };
        if keyword.other {
            return refused(&decode(word), "only vertices in three dimensions make a scene");
        }
        if self.scanner.clone().word() == b"BINARY" {
            return refused("binary OFF", "Geomview, which writes it, also writes it as text");
        }
        Ok(keyword)
    }

    fn left(&self) -> u64 {
        // One more for the end that the last line may lack.
        self.len.saturating_sub(self.scanner.offset() as u64) + 1
    }

    fn wrong(&self, expected: &str) -> Error {
        let mut ahead = self.scanner.clone();
        let word = ahead.word();
        let found = match word.is_empty() {
            true => "the end of the file".to_owned(),
            false => format!("{:?}", decode(&word[..word.len().min(40)])),
        };
        Error::malformed(format!("expected {expected}, found {found}")).at_line(self.scanner.line())
    }

    fn count(&mut self, what: &str) -> Result<u64> {
        skip(&mut self.scanner);
        let mut ahead = self.scanner.clone();
        match ahead.integer().and_then(|count| u64::try_from(count).ok()) {
            Some(count) if ahead.at_word_end() => {
                self.scanner = ahead;
                Ok(count)
            }
            _ => Err(self.wrong(what)),
        }
    }

    fn numbers<const N: usize>(&mut self) -> Result<[f64; N]> {
        let mut values = [0.0; N];
        for value in &mut values {
            skip(&mut self.scanner);
            *value = self.scanner.number().ok_or_else(|| self.wrong("a number"))?;
        }
        Ok(values)
    }

    /// Three or four: by the first vertex, which fills a line in all files known.
    fn color_size(&self, keyword: Keyword) -> usize {
        let mut ahead = self.scanner.clone();
        skip(&mut ahead);
        let fixed = 3 + 3 * usize::from(keyword.normal) + 2 * usize::from(keyword.texcoord);
        let found = std::iter::from_fn(|| ahead.number()).take(fixed + 5).count();
        if found == fixed + 3 { 3 } else { 4 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision, relative to the offset")]
    fn vertices(&mut self, count: u64, keyword: Keyword) -> Result<(Primitive, [f64; 3])> {
        let color_size = if keyword.color { self.color_size(keyword) } else { 0 };
        let width = 3 + color_size + 3 * usize::from(keyword.normal) + 2 * usize::from(keyword.texcoord);
        let (budget, min_bytes, left) = (self.cx.budget(), 2 * width as u64, self.left());
        let list = |wanted: bool| if wanted { count } else { 0 };
        let mut exact: Vec<[f64; 3]> = budget.vec("vertices", count, min_bytes, left)?;
        let mut normals = budget.vec("normals", list(keyword.normal), min_bytes, left)?;
        let mut colors: Vec<[f64; 4]> = budget.vec("colors", list(keyword.color), min_bytes, left)?;
        let mut texcoords = budget.vec("texture coordinates", list(keyword.texcoord), min_bytes, left)?;
        let mut bad_normals = 0;
        for number in 0..count as usize {
            if number.is_multiple_of(CHECK_EVERY) {
                self.cx.checkpoint()?;
            }
            exact.push(self.numbers()?);
            if keyword.normal {
                let normal = unit(self.numbers()?);
                bad_normals += u64::from(normal.is_none());
                normals.push(normal.unwrap_or([0.0, 0.0, 1.0]));
            }
            match color_size {
                0 => {}
                3 => colors.push(self.numbers().map(|[r, g, b]| [r, g, b, f64::NAN])?),
                _ => colors.push(self.numbers()?),
            }
            if keyword.texcoord {
                let [u, v] = self.numbers()?;
                texcoords.push([u as f32, (1.0 - v) as f32]);
            }
        }
        world::report_non_finite(&exact, self.cx);
        let message = "normals have no direction, (0, 0, 1) stands for them";
        self.cx.report_times(Severity::Warning, "bad-normal", message, None, bad_normals);
        let offset = world::offset(&exact);
        budget.take(count * 12 + colors.len() as u64 * 16)?;
        let single = |position: &[f64; 3]| [0, 1, 2].map(|axis| (position[axis] - offset[axis]) as f32);
        let most = colors.as_flattened().iter().copied().fold(0.0, f64::max);
        let part = |value: f64| (if most > 1.0 { value / 255.0 } else { value }).clamp(0.0, 1.0);
        let linear = |value: f64| srgb_to_linear(part(value)) as f32;
        let color = |&[r, g, b, a]: &[f64; 4]| {
            [linear(r), linear(g), linear(b), if color_size == 3 { 1.0 } else { part(a) as f32 }]
        };
        let set = |is_there: bool| usize::from(is_there);
        let primitive = Primitive {
            topology: Topology::Points,
            positions: exact.iter().map(single).collect(),
            normals,
            colors: vec![colors.iter().map(color).collect(); set(keyword.color)],
            texcoords: vec![texcoords; set(keyword.texcoord)],
            ..Primitive::default()
        };
        budget.give_back(count * 24 + colors.len() as u64 * 32);
        Ok((primitive, offset))
    }

    fn faces(&mut self, count: u64, primitive: &mut Primitive) -> Result<()> {
        let vertices = primitive.positions.len() as u64;
        let mut sizes: Vec<u32> = self.cx.budget().vec("faces", count, 2, self.left())?;
        let mut indices: Vec<u32> = Vec::new();
        let (mut colored, mut first_colored) = (0, None);
        for number in 0..count as usize {
            if number.is_multiple_of(CHECK_EVERY) {
                self.cx.checkpoint()?;
            }
            let size = self.count("the number of corners of a face")?;
            let line = self.scanner.line();
            let mut corners: Vec<u32> = self
                .cx
                .budget()
                .vec("corners of a face", size, 2, self.left())
                .map_err(|error| if error.location().is_none() { error.at_line(line) } else { error })?;
            let mut bad = None;
            for _ in 0..size {
                let index = self.count("an index")?;
                bad = bad.or((index >= vertices).then_some(index));
                corners.push(index as u32);
            }
            if !self.scanner.at_line_end() {
                colored += 1;
                first_colored.get_or_insert(Location::line(line));
            }
            self.scanner.skip_line(false);
            if let Some(index) = bad {
                let error = Error::malformed(format!("index {index} is out of range: there are {vertices} vertices"));
                self.cx.unless_lenient("bad-index", error.at_line(line))?;
            } else if size < 3 {
                let message = format!("expected at least 3 corners, found {size}: left out");
                self.cx.tolerate("short-face", message, Location::line(line))?;
            } else {
                sizes.push(size as u32);
                indices.append(&mut corners);
            }
        }
        let message = "faces have a colour of their own: left out";
        self.cx.report_times(Severity::Warning, "face-colors", message, first_colored, colored);
        if !sizes.is_empty() {
            let all_triangles = sizes.iter().all(|&size| size == 3);
            primitive.topology = if all_triangles { Topology::Triangles } else { Topology::Polygons };
            primitive.face_sizes = if all_triangles { Vec::new() } else { sizes };
            primitive.indices = Some(indices);
        }
        Ok(())
    }
}

fn write(scene: &Scene, out: &mut Output, cx: &Context) -> Result<()> {
    world::lose_tree(scene, false, cx);
    let meshes = world::placed(scene);
    let parts: Vec<_> =
        meshes.iter().flat_map(|mesh| mesh.mesh.primitives.iter().map(move |part| (mesh, part))).collect();
    let count = |test: &dyn Fn(&Primitive) -> bool| parts.iter().filter(|(_, part)| test(part)).count() as u64;
    let (all, colored) = (parts.len() as u64, count(&|part| !part.colors.is_empty()));
    let faces: u64 = parts.iter().map(|(_, part)| face_count(part)).sum();
    let points = if faces > 0 { count(&|part| part.topology == Topology::Points) } else { 0 };
    cx.lose("meshes", all.saturating_sub(1), "primitives: OFF holds one mesh");
    let names = scene.meshes.iter().filter(|mesh| !mesh.name.is_empty()).count();
    cx.lose("mesh-names", names as u64, "names of meshes");
    cx.lose("materials", scene.materials.len() as u64, "materials");
    cx.lose("textures", scene.textures.len() as u64, "textures");
    cx.lose("normals", count(&|part| !part.normals.is_empty()), "normals of primitives");
    cx.lose("texcoords", count(&|part| !part.texcoords.is_empty()), "texture coordinates of primitives");
    cx.lose("colors", if colored < all { colored } else { 0 }, "colours: other primitives have none");
    cx.lose("lines", count(&|part| part.topology == Topology::Lines), "lines");
    cx.lose("points", points, "points: they become vertices of no face");
    let colors = if colored == all { Colors::of(parts.iter().map(|(_, part)| *part), cx) } else { Colors::None };
    let vertices: u64 = parts.iter().map(|(_, part)| part.positions.len() as u64).sum();
    let keyword = if colors == Colors::None { "OFF" } else { "COFF" };
    let mut text = format!("{keyword}\n{vertices} {faces} 0\n").into_bytes();
    let single = scene.world_offset == [0.0; 3];
    for (mesh, part) in &parts {
        for (at, &position) in part.positions.iter().enumerate() {
            for value in mesh.position(position) {
                put_number(&mut text, value, single);
                text.push(b' ');
            }
            if colors != Colors::None {
                colors.put(&mut text, part.colors[0][at]);
            }
            end_line(&mut text, out, cx)?;
        }
    }
    let mut first = 0;
    for (mesh, part) in &parts {
        let mut result = Ok(());
        world::faces(part, mesh.mirrors, |corners| {
            // Writing to a vector cannot fail.
            let _ = write!(text, "{} ", corners.len());
            corners.iter().for_each(|&corner| drop(write!(text, "{} ", first + u64::from(corner))));
            if result.is_ok() {
                result = end_line(&mut text, out, cx);
            }
        });
        result?;
        first += part.positions.len() as u64;
    }
    out.write_all(&text)?;
    Ok(())
}

fn face_count(part: &Primitive) -> u64 {
    match part.topology {
        Topology::Triangles => part.corners() as u64 / 3,
        _ => part.face_sizes.len() as u64,
    }
}

/// Puts a line end for the last blank; long text goes to the output.
fn end_line(text: &mut Vec<u8>, out: &mut Output, cx: &Context) -> Result<()> {
    text.pop();
    text.push(b'\n');
    if text.len() >= 1 << 20 {
        out.write_all(text)?;
        text.clear();
        cx.checkpoint()?;
    }
    Ok(())
}

/// How colours are written: so that they read back as the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colors {
    None,
    /// Whole numbers to 255.
    Bytes,
    /// Fractions of 1.
    Unit,
}

impl Colors {
    fn of<'p>(parts: impl Iterator<Item = &'p Primitive>, cx: &Context) -> Self {
        let (mut found, mut outside, mut exact, mut most) = (false, 0, true, 0);
        for &[r, g, b, a] in parts.filter_map(|part| part.colors.first()).flatten() {
            found = true;
            outside += u64::from([r, g, b, a].iter().any(|value| !(0.0..=1.0).contains(value)));
            for byte in [exact_byte(r), exact_byte(g), exact_byte(b), alpha_byte(a)] {
                exact &= byte.is_some();
                most = most.max(byte.unwrap_or(0));
            }
        }
        cx.lose("color-range", outside, "colours outside 0 to 1");
        match found {
            false => Self::None,
            // Without a value above 1 bytes would be taken for fractions.
            true if exact && most > 1 => Self::Bytes,
            true => Self::Unit,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
    fn put(self, text: &mut Vec<u8>, [r, g, b, a]: [f32; 4]) {
        if let (Self::Bytes, [Some(r), Some(g), Some(b), Some(a)]) =
            (self, [exact_byte(r), exact_byte(g), exact_byte(b), alpha_byte(a)])
        {
            let _ = write!(text, "{r} {g} {b} {a} ");
            return;
        }
        for value in [r, g, b].map(|value| value.clamp(0.0, 1.0)) {
            put_shortest(text, linear_to_srgb(value.into()), |text| srgb_to_linear(text) as f32 == value);
            text.push(b' ');
        }
        put_number(text, a.clamp(0.0, 1.0).into(), true);
        text.push(b' ');
    }
}

/// The byte that is read as exactly this alpha.
#[expect(clippy::cast_possible_truncation, reason = "8 bits are wanted")]
fn alpha_byte(alpha: f32) -> Option<u8> {
    let byte = (f64::from(alpha) * 255.0).round() as u8;
    ((f64::from(byte) / 255.0) as f32 == alpha).then_some(byte)
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, Strictness};

    use super::*;
    use crate::testing::{bytes, codes, is_detected, read, read_bytes, scene, sound, torture, triangles_and_bounds};

    const GOOD: &[&str] = &["off/chamfer-cube.off", "off/comments.off", "off/fandisk_quads.off"];

    fn text(text: &str) -> MediaRecord {
        read_bytes("off", text.as_bytes(), Strictness::Default).expect(text)
    }

    fn part(record: &MediaRecord) -> &Primitive {
        &scene(record).meshes[0].primitives[0]
    }

    fn again(record: &mut MediaRecord) -> MediaRecord {
        read_bytes("off", &crate::testing::write(record, "off", &[]).bytes, Strictness::Strict).expect("read again")
    }

    #[test]
    fn counts_and_bounds_are_those_of_other_tools() {
        // Triangles and bounds by trimesh 5.2.0, vertices and faces by assimp 5.2: tests/data/off/README.md.
        let cases = [
            (GOOD[0], 24, 26, 44, [-1.0; 3], [1.0; 3]),
            (GOOD[1], 8, 6, 12, [-1.63299, -1.63299, -1.1547], [1.63299, 1.63299, 1.1547]),
            (GOOD[2], 766, 764, 1528, [0.0, 12.6055, -2.68026], [4.8279, 17.85, 0.0]),
        ];
        for (name, vertices, faces, triangles, min, max) in cases {
            let mut record = triangles_and_bounds(name, triangles, min, max);
            assert_eq!((part(&record).positions.len(), part(&record).face_sizes.len()), (vertices, faces), "{name}");
            let again = again(&mut record);
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
            assert_eq!(scene(&again).meshes, scene(&record).meshes, "{name}");
        }
        is_detected("off", GOOD, &["obj/cube-wandb.obj", "stl/multibody.stl"]);
        assert_eq!(codes(&read(GOOD[1]).expect("read")), ["off.face-colors"]);
    }

    #[test]
    fn dialects_are_read() {
        for dialect in [
            "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
            "# a\nOFF # b\n3 1 # c\n0 0 0 1 0 0\r\n\r\n 0\n1 0 # d\n3 0\n1 2\n",
            "NOFF\n3 1 0\n0 0 0 0 0 2\n1 0 0 0 0 1\n0 1 0 0 0 1\n3 0 1 2\n",
            "STCNOFF\n3 1 0\n0 0 0 0 0 1 255 0 0 0 1\n1 0 0 0 0 1 0 255 0 1 1\n0 1 0 0 0 1 0 0 255 0 0\n3 0 1 2\n",
            "3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        ] {
            let record = text(dialect);
            assert_eq!(part(&record).positions, [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "{dialect}");
            assert_eq!(part(&record).indices.as_deref(), Some(&[0, 1, 2][..]), "{dialect}");
            assert!(part(&record).normals.iter().all(|normal| *normal == [0.0, 0.0, 1.0]), "{dialect}");
            assert_eq!(part(&record).texcoords.first().map_or([0.0, 0.0], |set| set[0]), [0.0, 0.0], "{dialect}");
        }
    }

    #[test]
    fn colours_survive_exactly() {
        for (colors, first) in [
            ("255 0 0 255", [1.0, 0.0, 0.0, 1.0]),
            ("255 0 0", [1.0, 0.0, 0.0, 1.0]),
            ("1 0 0 0.5", [1.0, 0.0, 0.0, 0.5]),
            ("0.3 0.7 0.123456789 1", [srgb_to_linear(0.3) as f32, srgb_to_linear(0.7) as f32, 0.014_188_36, 1.0]),
        ] {
            let mut record = text(&format!("COFF\n1 0 0\n1 2 3 {colors}\n"));
            assert_eq!(part(&record).topology, Topology::Points);
            for (found, expected) in part(&record).colors[0][0].into_iter().zip(first) {
                assert!((found - expected).abs() < 1e-5, "{colors}: {found} {expected}");
            }
            assert_eq!(part(&again(&mut record)), part(&record), "{colors}");
        }
        for byte in 0..=255_u8 {
            assert_eq!(alpha_byte((f64::from(byte) / 255.0) as f32), Some(byte));
        }
    }

    #[test]
    fn bad_files_are_errors_or_findings() {
        let refused = |bytes: &[u8]| read_bytes("off", bytes, Strictness::Default).expect_err("refused");
        for name in ["off/malformed/OutOfMemory.off", "off/malformed/invalid.off"] {
            let error = refused(&bytes(name));
            sound(&error, name);
            assert_eq!(error.kind(), ErrorKind::Malformed, "{name}: {error}");
        }
        for bytes in ["OFF BINARY\n\0\0\0\x01", "4OFF\n1 0 0\n0 0 0 1\n", "nOFF 3\n1 0 0\n0 0 0\n"] {
            let error = refused(bytes.as_bytes());
            assert!(error.kind() == ErrorKind::Unsupported && error.hint().is_some(), "{error}");
        }
        let bad = "OFF\n3 3 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n2 0 1\n3 0 1 2\n9\n";
        assert_eq!(refused(bad.as_bytes()).location().and_then(|place| place.line), Some(6));
        let record = read_bytes("off", bad.as_bytes(), Strictness::Lenient).expect("lenient");
        assert_eq!(codes(&record), ["off.bad-index", "off.short-face", "off.trailing"]);
        assert_eq!(part(&record).indices.as_deref(), Some(&[0, 1, 2][..]));
        GOOD.iter().for_each(|name| torture("off", name, true));
    }
}
