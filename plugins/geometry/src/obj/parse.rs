//! The statements of a part of an OBJ file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use mediary_core::{Context, Error, Location, Result};

use super::file::{Elements, INHERITED, NAMELESS, NO_COLOR, Part, Segment, Shape, Vertices};
use crate::text::{self, Scanner};
use crate::vertex::{NONE, unit};

/// Bytes between checks of budget and deadline.
const CHECK_EVERY: usize = 1 << 18;

/// A text that is read in parts.
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    parts: Vec<Range<usize>>,
    /// Vertices, texture coordinates and normals before each part, once an index counts back.
    before: OnceLock<Vec<[usize; 3]>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8], threads: usize) -> Self {
        Self { bytes, parts: text::parts(bytes, threads, |_| true), before: OnceLock::new() }
    }

    /// How many parts there are, at least one.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// What the part with this number says.
    ///
    /// # Errors
    /// `Malformed` for a statement that makes no sense, `Limit`.
    pub(super) fn parse(&self, number: usize, cx: &Context) -> Result<Part<'a>> {
        Parser::new(self, number, cx).parse()
    }

    fn before(&self, part: usize) -> [usize; 3] {
        self.before.get_or_init(|| {
            let mut all = [0; 3];
            let so_far = |range: &Range<usize>| {
                let before = all;
                all = count(&self.bytes[range.clone()], all);
                before
            };
            self.parts.iter().map(so_far).collect()
        })[part]
    }
}

struct Parser<'p, 'a> {
    part: Part<'a>,
    cx: &'p Context,
    scanner: Scanner<'a>,
    names: HashMap<&'a [u8], u32>,
    text: &'p Text<'a>,
    number: usize,
    /// Positions, texture coordinates, normals and corners at the last check.
    checked: [usize; 4],
}

impl<'p, 'a> Parser<'p, 'a> {
    fn new(text: &'p Text<'a>, number: usize, cx: &'p Context) -> Self {
        let inherited = if number == 0 { NAMELESS } else { INHERITED };
        let part = Part {
            vertices: Vertices::default(),
            elements: Elements::default(),
            objects: vec![b""],
            names: vec![b""],
            libraries: Vec::new(),
            state: Segment { first: 0, object: 0, group: inherited, material: inherited },
            lines: 0,
            charged: 0,
        };
        let bytes = &text.bytes[text.parts[number].clone()];
        let scanner = if number == 0 { Scanner::new(bytes) } else { Scanner::amid(bytes) };
        let names = HashMap::from([(&b""[..], NAMELESS)]);
        Self { part, cx, scanner, names, text, number, checked: [0; 4] }
    }

    fn parse(mut self) -> Result<Part<'a>> {
        let mut weights = 0;
        let mut next_check = 0;
        while !self.scanner.is_done() {
            if self.scanner.offset() >= next_check {
                self.check()?;
                next_check = self.scanner.offset() + CHECK_EVERY;
            }
            let line = self.scanner.line();
            let word = self.scanner.word();
            match word {
                b"v" => weights += u64::from(self.vertex(line)?),
                b"vt" => self.texcoord(line)?,
                b"vn" => self.normal(line)?,
                b"f" | b"fo" => self.element(Shape::Face, 3, line)?,
                b"l" => self.element(Shape::Line, 2, line)?,
                b"p" => self.element(Shape::Point, 1, line)?,
                b"o" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.object = u32::try_from(self.part.objects.len()).unwrap_or(NONE);
                    self.part.state.group = NAMELESS;
                    self.part.objects.push(name);
                }
                b"g" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.group = self.name(name);
                }
                b"usemtl" => {
                    let name = self.scanner.rest_of_line();
                    self.part.state.material = self.name(name);
                }
                b"mtllib" => {
                    let name = self.scanner.rest_of_line();
                    if name.is_empty() {
                        self.cx.warn_at("missing-mtl", "mtllib names no file", Location::line(line));
                    } else {
                        self.part.libraries.push((name, line));
                    }
                }
                b"" | b"s" | b"lod" | b"mg" | b"bevel" | b"c_interp" | b"d_interp" | b"shadow_obj" | b"trace_obj"
                | b"usemap" | b"maplib" => {}
                b"vp" | b"cstype" | b"deg" | b"bmat" | b"step" | b"curv" | b"curv2" | b"surf" | b"parm" | b"trim"
                | b"hole" | b"scrv" | b"sp" | b"end" | b"con" => {
                    let message = format!("free-form geometry ({:?}) is not read", text::decode(word));
                    self.cx.warn_at("free-form", message, Location::line(line));
                }
                _ if word[0] == b'#' => {
                    self.scanner.skip_line(false);
                    continue;
                }
                _ => {
                    let message = format!("expected a statement of OBJ, found {:?}", shown(word));
                    self.cx.tolerate("unknown-statement", message, Location::line(line))?;
                }
            }
            self.scanner.skip_line(true);
        }
        if self.scanner.ends_in_line() {
            self.cx.note("no-final-newline", "the last line has no end: the file may be cut short");
        }
        if weights > 0 {
            let message = "weights of vertices other than 1 are ignored";
            self.cx.report_times(mediary_core::Severity::Warning, "vertex-weights", message, None, weights);
        }
        self.check()?;
        self.part.lines = self.scanner.line() - 1;
        Ok(self.part)
    }

    /// Makes room in the lists, as if the text went on as since the check before.
    fn make_room(&mut self) {
        let left = self.scanner.left().min(text::PART.end);
        let (vertices, corners) = (&mut self.part.vertices, &mut self.part.elements.corners);
        let lengths = [vertices.positions.len(), vertices.texcoords.len(), vertices.normals.len(), corners.len()];
        let before = std::mem::replace(&mut self.checked, lengths);
        let ahead = |list: usize| (lengths[list] - before[list]) * left / CHECK_EVERY * 17 / 16;
        vertices.positions.reserve(ahead(0));
        vertices.texcoords.reserve(ahead(1));
        vertices.normals.reserve(ahead(2));
        corners.reserve(ahead(3));
    }

    /// Pays for what the lists have grown to.
    fn check(&mut self) -> Result<()> {
        self.cx.checkpoint()?;
        self.make_room();
        let part = &self.part;
        let (vertices, elements) = (&part.vertices, &part.elements);
        self.cx.limits().check("elements", vertices.positions.len().max(elements.corners.len()) as u64)?;
        let now = (vertices.positions.capacity() * 24
            + vertices.colors.capacity() * 32
            + vertices.texcoords.capacity() * 8
            + (vertices.normals.capacity() + elements.corners.capacity()) * 12
            + (elements.runs.capacity() + elements.segments.capacity()) * 24
            + (part.names.capacity() + part.objects.capacity()) * 24
            + self.names.capacity() * 32) as u64;
        self.cx.budget().take(now.saturating_sub(part.charged))?;
        self.part.charged = part.charged.max(now);
        Ok(())
    }

    fn name(&mut self, name: &'a [u8]) -> u32 {
        let fresh = self.part.names.len() as u32;
        let index = *self.names.entry(name).or_insert(fresh);
        if index == fresh {
            self.part.names.push(name);
        }
        index
    }

    /// The numbers of a line, up to `N`. Missing ones below `needed` are an error, or NaN when lenient.
    fn numbers<const N: usize>(&mut self, needed: usize, line: u64) -> Result<([f64; N], usize)> {
        let mut values = [0.0; N];
        let mut count = 0;
        while count < N {
            match self.scanner.number() {
                Some(value) => values[count] = value,
                None => break,
            }
            count += 1;
        }
        if count < needed {
            let found = shown(self.scanner.word());
            let error = Error::malformed(format!("expected {needed} numbers, found {count} and then {found:?}"));
            self.cx.unless_lenient("bad-number", error.at_line(line))?;
            values[count..needed].fill(f64::NAN);
        } else if !self.scanner.at_line_end() {
            let found = shown(self.scanner.word());
            let message = format!("expected the end of the line, found {found:?}");
            self.cx.tolerate("extra-values", message, Location::line(line))?;
        }
        Ok((values, count))
    }

    /// Reads `v`; whether it has a weight that matters.
    fn vertex(&mut self, line: u64) -> Result<bool> {
        if self.part.vertices.colors.is_empty()
            && let Some(position) = self.scanner.plain_numbers()
        {
            self.part.vertices.positions.push(position);
            return Ok(false);
        }
        let ([x, y, z, a, b, c, d, e], count) = self.numbers::<8>(3, line)?;
        // x y z [w] [r g b [a]]: four numbers end in a weight, eight hold both.
        let color = match count {
            6 => Some([a, b, c, 1.0]),
            7 => Some([a, b, c, d]),
            8 => Some([b, c, d, e]),
            _ => None,
        };
        if color.is_some() || !self.part.vertices.colors.is_empty() {
            self.part.vertices.colors.resize(self.part.vertices.positions.len(), NO_COLOR);
            self.part.vertices.colors.push(color.unwrap_or(NO_COLOR));
        }
        self.part.vertices.positions.push([x, y, z]);
        Ok(matches!(count, 4 | 8) && a != 1.0)
    }

    #[expect(clippy::cast_possible_truncation, reason = "texture coordinates are single precision")]
    fn texcoord(&mut self, line: u64) -> Result<()> {
        let [u, v] = match self.scanner.plain_numbers() {
            Some(pair) => pair,
            None => self.numbers::<3>(1, line).map(|([u, v, _], _)| [u, v])?,
        };
        self.part.vertices.texcoords.push([u as f32, (1.0 - v) as f32]);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "normals are single precision")]
    fn normal(&mut self, line: u64) -> Result<()> {
        let normal = match self.scanner.plain_numbers() {
            Some(normal) => normal,
            None => self.numbers::<3>(3, line)?.0,
        };
        let square: f64 = normal.iter().map(|value| value * value).sum();
        let normal = if (square - 1.0).abs() < 1e-4 {
            normal.map(|value| value as f32)
        } else {
            unit(normal).unwrap_or_else(|| {
                let message = format!("the normal {normal:?} has no direction, (0, 0, 1) stands for it");
                self.cx.warn_at("bad-normal", message, Location::line(line));
                [0.0, 0.0, 1.0]
            })
        };
        self.part.vertices.normals.push(normal);
        Ok(())
    }

    fn element(&mut self, shape: Shape, least: u32, line: u64) -> Result<()> {
        let first = self.part.elements.corners.len();
        if !self.scanner.plain_corners(&mut self.part.elements.corners, NONE) && !self.odd_corners(first, line)? {
            return Ok(());
        }
        let elements = &mut self.part.elements;
        let size = (elements.corners.len() - first) as u32;
        if size < least {
            elements.corners.truncate(first);
            let message = format!("expected at least {least} corners, found {size}: left out");
            return self.cx.tolerate("short-face", message, Location::line(line));
        }
        elements.push(shape, first, line, &self.part.state);
        Ok(())
    }

    /// Corners of a line that is not plain; `false` for one that cannot be read, in lenient mode.
    fn odd_corners(&mut self, first: usize, line: u64) -> Result<bool> {
        while !self.scanner.at_line_end() {
            match self.corner(line) {
                Ok(corner) => self.part.elements.corners.push(corner),
                Err(error) => {
                    self.part.elements.corners.truncate(first);
                    return self.cx.unless_lenient("bad-index", error.at_line(line)).map(|()| false);
                }
            }
        }
        Ok(true)
    }

    fn corner(&mut self, line: u64) -> Result<[u32; 3]> {
        let start = self.scanner.clone();
        let mut corner = [NONE; 3];
        for (part, slot) in corner.iter_mut().enumerate() {
            if part > 0 && !self.scanner.eat(b'/') {
                break;
            }
            *slot = match self.scanner.integer() {
                Some(index) if index > 0 && index < i64::from(INHERITED) => (index - 1) as u32,
                Some(0) if part > 0 => {
                    self.cx.tolerate("zero-index", "indices count from 1, found 0: left out", Location::line(line))?;
                    NONE
                }
                Some(index) => self.count_back(index, part)?,
                None if part > 0 => NONE,
                None => return Err(not_a_corner(start)),
            };
        }
        if self.scanner.at_word_end() { Ok(corner) } else { Err(not_a_corner(start)) }
    }

    /// An index from 0 for one that counts back from the last, or an error for what is no index. Positive ones may point forward
    /// and are checked at the end.
    #[cold]
    fn count_back(&mut self, index: i64, part: usize) -> Result<u32> {
        let before = self.text.before(self.number)[part];
        let vertices = &self.part.vertices;
        let count = before + [vertices.positions.len(), vertices.texcoords.len(), vertices.normals.len()][part];
        let resolved = (count as i64).checked_add(index).filter(|_| index < 0);
        resolved.and_then(|index| u32::try_from(index).ok()).filter(|&index| index < INHERITED).ok_or_else(|| {
            Error::malformed(format!("index {index} is out of range: there are {count} so far"))
                .with_hint("indices count from 1, negative ones back from the last")
        })
    }
}

/// Adds the vertices, texture coordinates and normals in a text.
fn count(text: &[u8], mut counts: [usize; 3]) -> [usize; 3] {
    let mut scanner = Scanner::new(text);
    while !scanner.is_done() {
        let word = scanner.word();
        match word {
            b"v" => counts[0] += 1,
            b"vt" => counts[1] += 1,
            b"vn" => counts[2] += 1,
            _ => {}
        }
        scanner.skip_line(!word.starts_with(b"#"));
    }
    counts
}

fn not_a_corner(mut at: Scanner<'_>) -> Error {
    Error::malformed(format!("expected a corner (v, v/vt, v//vn or v/vt/vn), found {:?}", shown(at.word())))
}

/// The start of a word, for messages.
fn shown(word: &[u8]) -> String {
    text::decode(&word[..word.len().min(40)])
}
