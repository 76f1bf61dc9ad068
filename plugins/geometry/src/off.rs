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
use std::iter;

use mediary_core::convert::{linear_to_srgb, srgb_to_linear};
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::record::{Buffer, Scene};
use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Location, Media, MediaRecord, Output,
    Probe, Result, Severity, Source, whole,
};

use crate::parallel::of_lines;
use crate::text::{Digits, Scanner, decode, flush_if_long, plain_line};
use crate::vertex::{exact_byte, unit};
use crate::world::{self, Placed};

const INFO: FormatInfo = FormatInfo::new("off", "Geomview OFF", &[Kind::Scene])
    .extensions(&["off", "coff", "noff"])
    .media_types(&["model/x-off", "application/x-off"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Polygons, Feature::Colors])
    .options(&[Digits::OPTION])
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

    /// Three or four: by the first vertex, which fills a line in all files known.
    fn color_size(&self, keyword: Keyword) -> usize {
        let mut ahead = self.scanner.clone();
        skip(&mut ahead);
        let fixed = 3 + 3 * usize::from(keyword.normal) + 2 * usize::from(keyword.texcoord);
        let found = iter::from_fn(|| ahead.number()).take(fixed + 5).count();
        if found == fixed + 3 { 3 } else { 4 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision, relative to the offset")]
    fn vertices(&mut self, count: u64, keyword: Keyword) -> Result<(Primitive, [f64; 3])> {
        let color_at = 3 + 3 * usize::from(keyword.normal);
        let texcoord_at = color_at + if keyword.color { self.color_size(keyword) } else { 0 };
        let width = texcoord_at + 2 * usize::from(keyword.texcoord);
        let left = self.len.saturating_sub(self.scanner.offset() as u64);
        // A digit and a blank each, but for the last.
        let numbers = count.saturating_mul(width as u64);
        let mut rows: Vec<f64> = self.cx.budget().vec("numbers of vertices", numbers, 2, left + 1)?;
        self.cx.limits().check("elements", count)?;
        // Each line is looked at twice at most.
        let mut seen = 0;
        while rows.len() < numbers as usize {
            skip(&mut self.scanner);
            if rows.len().is_multiple_of(width) && self.scanner.offset() >= seen {
                let (before, most) = (rows.len(), (numbers as usize - rows.len()) / width);
                let taken = of_lines(self.scanner.rest(), most, self.cx, |text| plain_vertices(text, width))?;
                seen = self.scanner.offset() + taken.seen.max(1);
                taken.parts.iter().for_each(|part| rows.extend_from_slice(part));
                self.scanner.pass(taken.bytes, ((rows.len() - before) / width) as u64);
                continue;
            }
            if rows.len().is_multiple_of(CHECK_EVERY) {
                self.cx.checkpoint()?;
            }
            rows.push(self.scanner.number().ok_or_else(|| self.wrong("a number"))?);
        }
        self.cx.budget().take(count * (24 + width as u64 * 4))?;
        let rows = || rows.chunks_exact(width);
        let exact: Vec<_> = rows().map(|row| [row[0], row[1], row[2]]).collect();
        world::report_non_finite(&exact, self.cx);
        let offset = world::offset(&exact);
        let position = |exact: &[f64; 3]| [0, 1, 2].map(|axis| (exact[axis] - offset[axis]) as f32);
        let mut primitive = Primitive {
            topology: Topology::Points,
            positions: exact.iter().map(position).collect(),
            ..Primitive::default()
        };
        if keyword.normal {
            let units: Vec<_> = rows().map(|row| unit([row[3], row[4], row[5]])).collect();
            let message = "normals have no direction, (0, 0, 1) stands for them";
            let bad = units.iter().filter(|unit| unit.is_none()).count();
            self.cx.report_times(Severity::Warning, "bad-normal", message, None, bad as u64);
            primitive.normals = units.into_iter().map(|unit| unit.unwrap_or([0.0, 0.0, 1.0])).collect();
        }
        if keyword.color {
            let colors = || rows().map(|row| &row[color_at..texcoord_at]);
            let scale = if colors().flatten().any(|&value| value > 1.0) { 255.0 } else { 1.0 };
            let part = |value: f64| (value / scale).clamp(0.0, 1.0);
            let linear = |value: f64| srgb_to_linear(part(value)) as f32;
            let alpha = |color: &[f64]| color.get(3).map_or(1.0, |&alpha| part(alpha) as f32);
            let color = |color: &[f64]| [linear(color[0]), linear(color[1]), linear(color[2]), alpha(color)];
            primitive.colors = vec![colors().map(color).collect()];
        }
        if keyword.texcoord {
            let texcoord = |row: &[f64]| [row[texcoord_at] as f32, (1.0 - row[texcoord_at + 1]) as f32];
            primitive.texcoords = vec![rows().map(texcoord).collect()];
        }
        Ok((primitive, offset))
    }

    fn faces(&mut self, count: u64, primitive: &mut Primitive) -> Result<()> {
        let vertices = primitive.positions.len() as u64;
        let left = self.len.saturating_sub(self.scanner.offset() as u64);
        let mut sizes: Vec<u32> = self.cx.budget().vec("faces", count, 2, left + 1)?;
        self.cx.limits().check("elements", count)?;
        // Triangles take eight bytes of text at least; what larger faces have more is paid as they come.
        let mut indices: Vec<u32> = match count.saturating_mul(8) <= left + 1 {
            true => self.cx.budget().vec("indices", count * 3, 1, left + 1)?,
            false => Vec::new(),
        };
        let paid = indices.capacity();
        let pay = |indices: &Vec<u32>, more: u64| {
            let beyond = (indices.len() as u64).saturating_add(more).saturating_sub(paid.max(indices.len()) as u64);
            self.cx.budget().take(beyond.saturating_mul(4))
        };
        let (mut colored, mut first_colored) = (0, None);
        let (mut number, mut seen) = (0, 0);
        while number < count as usize {
            skip(&mut self.scanner);
            if self.scanner.offset() >= seen {
                let most = count as usize - number;
                let taken = of_lines(self.scanner.rest(), most, self.cx, |text| PlainFaces::take(text, vertices))?;
                seen = self.scanner.offset() + taken.seen.max(1);
                let mut lines = 0;
                for part in taken.parts {
                    pay(&indices, part.indices.len() as u64)?;
                    if let Some(line) = part.first_colored {
                        first_colored.get_or_insert(Location::line(self.scanner.line() + lines + line));
                    }
                    colored += part.colored;
                    lines += part.sizes.len() as u64;
                    sizes.extend(part.sizes);
                    indices.extend(part.indices);
                }
                number += lines as usize;
                self.scanner.pass(taken.bytes, lines);
                continue;
            }
            if number.is_multiple_of(CHECK_EVERY) {
                self.cx.checkpoint()?;
            }
            number += 1;
            let size = self.count("the number of corners of a face")?;
            let line = self.scanner.line();
            pay(&indices, size)?;
            let start = indices.len();
            let mut bad = None;
            for _ in 0..size {
                let index = self.count("an index")?;
                bad = bad.or((index >= vertices).then_some(index));
                indices.push(index as u32);
            }
            if !self.scanner.at_line_end() {
                colored += 1;
                first_colored.get_or_insert(Location::line(line));
            }
            self.scanner.skip_line(false);
            if bad.is_none() && size >= 3 {
                sizes.push(size as u32);
                continue;
            }
            indices.truncate(start);
            if let Some(index) = bad {
                let error = Error::malformed(format!("index {index} is out of range: there are {vertices} vertices"));
                self.cx.unless_lenient("bad-index", error.at_line(line))?;
            } else {
                let message = format!("expected at least 3 corners, found {size}: left out");
                self.cx.tolerate("short-face", message, Location::line(line))?;
            }
        }
        let message = "faces have a colour of their own: left out";
        self.cx.report_times(Severity::Warning, "face-colors", message, first_colored, colored);
        if !sizes.is_empty() {
            let all_triangles = sizes.iter().all(|&size| size == 3);
            primitive.topology = if all_triangles { Topology::Triangles } else { Topology::Polygons };
            primitive.face_sizes = if all_triangles { Buffer::default() } else { sizes.into() };
            primitive.indices = Some(indices.into());
        }
        Ok(())
    }
}

/// The numbers of vertices, a line each, before the first line that is odd, and the bytes they take.
fn plain_vertices(text: &[u8], width: usize) -> (Vec<f64>, usize) {
    let (mut all, mut values, mut bytes) = (Vec::new(), Vec::with_capacity(width), 0);
    while let Some(end) = plain_line(text, bytes, &mut values)
        && values.len() == width
    {
        all.extend_from_slice(&values);
        bytes = end;
    }
    (all, bytes)
}

/// Faces of lines.
#[derive(Default)]
struct PlainFaces {
    sizes: Vec<u32>,
    indices: Vec<u32>,
    colored: u64,
    /// The line of the first with a colour, counted from 0.
    first_colored: Option<u64>,
}

impl PlainFaces {
    /// The faces before the first line that is odd, and the bytes they take.
    fn take(text: &[u8], vertices: u64) -> (Self, usize) {
        let (mut all, mut values, mut bytes) = (Self::default(), Vec::new(), 0);
        while let Some(end) = plain_line(text, bytes, &mut values) {
            let Some((&size, rest)) = values.split_first() else { break };
            if size < 3.0 || size.fract() != 0.0 {
                break;
            }
            let Some((corners, others)) = rest.split_at_checked(size as usize) else { break };
            let is_index = |&value: &f64| value >= 0.0 && value < vertices as f64 && value.fract() == 0.0;
            if !corners.iter().all(is_index) {
                break;
            }
            if !others.is_empty() {
                all.colored += 1;
                all.first_colored.get_or_insert(all.sizes.len() as u64);
            }
            all.sizes.push(size as u32);
            all.indices.extend(corners.iter().map(|&corner| corner as u32));
            bytes = end;
        }
        (all, bytes)
    }
}

fn write(scene: &Scene, out: &mut Output, cx: &Context) -> Result<()> {
    world::lose_tree(scene, false, cx);
    let meshes = world::placed(scene);
    let parts = world::joined(scene, &meshes, cx);
    world::lose_materials(scene, cx);
    let count = |test: &dyn Fn(&Primitive) -> bool| parts.iter().filter(|(_, part)| test(part)).count() as u64;
    let faces: u64 = parts.iter().map(|(_, part)| world::face_count(part)).sum();
    let points = if faces > 0 { count(&|part| part.topology == Topology::Points) } else { 0 };
    cx.lose("normals", count(&|part| !part.normals.is_empty()), "normals of primitives");
    cx.lose("texcoords", count(&|part| !part.texcoords.is_empty()), "texture coordinates of primitives");
    cx.lose("points", points, "points: they become vertices of no face");
    let color_scale = color_scale(&parts, cx);
    let vertices: u64 = parts.iter().map(|(_, part)| part.positions.len() as u64).sum();
    let keyword = if color_scale.is_some() { "COFF" } else { "OFF" };
    let mut text = format!("{keyword}\n{vertices} {faces} 0\n").into_bytes();
    let single = scene.world_offset == [0.0; 3];
    let mut digits = Digits::of(cx);
    for (mesh, part) in &parts {
        for (at, &position) in part.positions.iter().enumerate() {
            for value in mesh.position(position) {
                digits.put(&mut text, value, single);
                text.push(b' ');
            }
            if let Some(scale) = color_scale {
                put_color(&mut text, part.colors[0][at], scale, &mut digits);
            }
            end_line(&mut text);
            flush_if_long(&mut text, out, cx)?;
        }
    }
    digits.report(cx);
    let mut first = 0;
    for (mesh, part) in &parts {
        let mut result = Ok(());
        world::faces(part, mesh.mirrors, |corners| {
            let all = iter::once(corners.len() as u64).chain(corners.iter().map(|&corner| first + u64::from(corner)));
            // Writing to a vector cannot fail.
            all.for_each(|number| drop(write!(text, "{number} ")));
            end_line(&mut text);
            if result.is_ok() {
                result = flush_if_long(&mut text, out, cx);
            }
        });
        result?;
        first += part.positions.len() as u64;
    }
    out.write_all(&text)?;
    Ok(())
}

/// Puts a line end for the last blank.
fn end_line(text: &mut Vec<u8>) {
    text.pop();
    text.push(b'\n');
}

/// 255 where whole numbers are exact, else 1; `None` when not all primitives have colours.
fn color_scale(parts: &[(&Placed<'_>, &Primitive)], cx: &Context) -> Option<f64> {
    let all: Vec<_> = parts.iter().filter_map(|(_, part)| part.colors.first()).collect();
    if all.len() < parts.len() || parts.is_empty() {
        cx.lose("colors", all.len() as u64, "colours: other primitives have none");
        return None;
    }
    let mut values = all.iter().copied().flatten().flatten();
    let outside = values.clone().filter(|value| !(0.0..=1.0).contains(*value)).count();
    cx.lose("color-range", outside as u64, "parts of colours outside 0 to 1");
    // Where nothing is above 1, whole numbers would be taken for fractions.
    let is_told_apart = values.any(|&value| value > 0.5);
    let is_exact = |&[r, g, b, a]: &[f32; 4]| {
        [r, g, b].into_iter().all(|value| exact_byte(value).is_some()) && exact_alpha(a, (f64::from(a) * 255.0).round())
    };
    Some(if is_told_apart && all.into_iter().flatten().all(is_exact) { 255.0 } else { 1.0 })
}

#[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
fn exact_alpha(alpha: f32, byte: f64) -> bool {
    (byte / 255.0) as f32 == alpha
}

/// Appends what reads back as the same linear light.
#[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
fn put_color(text: &mut Vec<u8>, color: [f32; 4], scale: f64, digits: &mut Digits) {
    let [r, g, b, a] = color.map(|value| value.clamp(0.0, 1.0));
    for value in [r, g, b] {
        let same = |text: f64| srgb_to_linear(text / scale) as f32 == value;
        digits.put_shortest(text, linear_to_srgb(value.into()) * scale, same);
        text.push(b' ');
    }
    digits.put_shortest(text, f64::from(a) * scale, |text| (text / scale) as f32 == a);
    text.push(b' ');
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, Strictness};

    use super::*;
    use crate::testing::{
        bytes, codes, is_detected, read, read_bytes, read_in_threads, scene, sound, torture, triangles_and_bounds,
    };

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
            // By Python.
            ("0.3 0.7 0.2 1", [0.07323896, 0.44798841, 0.03310477, 1.0]),
        ] {
            let mut record = text(&format!("COFF\n1 0 0\n1 2 3 {colors}\n"));
            assert_eq!(part(&record).topology, Topology::Points);
            for (found, expected) in part(&record).colors[0][0].into_iter().zip(first) {
                assert!((found - expected).abs() < 1e-5, "{colors}: {found} {expected}");
            }
            assert_eq!(part(&again(&mut record)), part(&record), "{colors}");
        }
        let mut record = text("COFF\n2 0 0\n1 2 3 255 1 188 127\n0 0 0 0 0 0 0\n");
        let written = crate::testing::write(&mut record, "off", &[]).bytes;
        assert_eq!(written, b"COFF\n2 0 0\n1 2 3 255 1 188 127\n0 0 0 0 0 0 0\n");
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

    #[test]
    fn threads_share_a_text_and_change_nothing() {
        let mut text = String::from("OFF # a grid\n 5000 4000 0\n");
        for number in 0..5000 {
            text += &format!("{number} {number}.5 -1{}", if number % 1500 == 7 { " # odd\n" } else { "\n" });
        }
        for number in 0..4000 {
            text += match number % 700 {
                8 => "4 0 1 2 3\n",
                9 => "3 0 1 2 255 0 0\n",
                10 => "2 0 1\n",
                _ => "3 4997 4998 4999\n",
            };
        }
        let made = read_in_threads("off", &text);
        for code in ["off.face-colors", "off.short-face", "Polygons", "line: Some(5012)"] {
            assert!(made.contains(code), "{code}");
        }
        let bad = text.replace("4 0 1 2 3\n3 0 1 2 255 0 0\n2 0 1\n", "3 0 1 5000\n");
        let error = read_in_threads("off", &bad);
        assert!(error.contains("index 5000 is out of range") && error.contains("line: Some(5011)"), "{error}");
    }
}
