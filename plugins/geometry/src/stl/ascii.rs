//! Reading ASCII by its words: what a facet needs is the normal and the vertices, the rest frames them.

use std::mem::take;
use std::ops::Range;

use mediary_core::record::Scene;
use mediary_core::record::scene::Mesh;
use mediary_core::record::triangulate;
use mediary_core::{Context, Error, Location, MediaRecord, Result, Severity};

use super::{CHECK_EVERY, Soup};
use crate::parallel::joined;
use crate::text::{self, Scanner};

pub(super) fn read(bytes: &[u8], cx: &Context) -> Result<MediaRecord> {
    let ranges = text::parts(bytes, cx.threads(), |rest| Scanner::amid(rest).word().eq_ignore_ascii_case(b"facet"));
    let last = ranges.len() - 1;
    let parts = cx.in_parts(ranges.into_iter().enumerate().collect(), |(number, range), cx| {
        let part = Ascii::new(bytes, range, cx).read(number == last)?;
        let lines = part.lines;
        Ok((part, lines))
    })?;
    Ok(MediaRecord::new(Scene::of_meshes(meshes(parts, cx)?)))
}

/// What stands between `solid` and `endsolid`, or between solids.
#[derive(Default)]
struct Solid {
    name: String,
    /// By `solid`.
    opened: bool,
    soup: Soup,
}

/// A part of a file, which begins with a facet unless it is the first.
struct Part {
    /// The first goes on with the last of the part before; the last is not ended.
    solids: Vec<Solid>,
    lines: u64,
}

/// The meshes of all parts.
fn meshes(parts: Vec<Part>, cx: &Context) -> Result<Vec<Mesh>> {
    let corners = parts.iter().flat_map(|part| &part.solids).map(|solid| solid.soup.positions.len() as u64).sum();
    cx.limits().check("elements", corners)?;
    let mut meshes = Vec::new();
    let (mut current, mut soups, mut lines) = (Solid::default(), Vec::new(), 0);
    for part in parts {
        for (number, solid) in part.solids.into_iter().enumerate() {
            if number > 0 {
                meshes.extend(current.into_mesh(take(&mut soups), cx)?);
                current = Solid { soup: Soup::default(), ..solid };
            }
            soups.push(solid.soup);
        }
        lines += part.lines;
    }
    if current.opened {
        let message = "expected endsolid, found the end";
        cx.tolerate("missing-endsolid", message, Location::line(lines + 1))?;
    }
    meshes.extend(current.into_mesh(soups, cx)?);
    Ok(meshes)
}

impl Solid {
    /// The mesh of its facets; `None` without any.
    fn into_mesh(self, mut soups: Vec<Soup>, cx: &Context) -> Result<Option<Mesh>> {
        let soup = Soup {
            recomputed: soups.iter().map(|soup| soup.recomputed).sum(),
            non_finite: soups.iter().map(|soup| soup.non_finite).sum(),
            positions: joined(soups.iter_mut().map(|soup| take(&mut soup.positions)).collect(), cx)?,
            normals: joined(soups.into_iter().map(|soup| soup.normals).collect(), cx)?,
        };
        if soup.positions.is_empty() {
            let message = format!("solid {:?} has no facet: left out", self.name);
            cx.report_times(Severity::Info, "empty-solid", message, None, self.opened.into());
            return Ok(None);
        }
        soup.into_mesh(self.name, Vec::new(), cx).map(Some)
    }
}

struct Ascii<'c, 'a> {
    scanner: Scanner<'a>,
    cx: &'c Context,
    solids: Vec<Solid>,
    soup: Soup,
    in_facet: bool,
    normal: [f32; 3],
    corners: Vec<[f32; 3]>,
    /// Corners of the solids before the last, each solid counting for 16 more.
    kept: usize,
    charged: u64,
}

impl<'c, 'a> Ascii<'c, 'a> {
    fn new(bytes: &'a [u8], range: Range<usize>, cx: &'c Context) -> Self {
        let scanner = if range.start == 0 { Scanner::new(&bytes[range]) } else { Scanner::amid(&bytes[range]) };
        Self {
            scanner,
            cx,
            solids: vec![Solid::default()],
            soup: Soup::default(),
            in_facet: false,
            normal: [0.0; 3],
            corners: Vec::new(),
            kept: 0,
            charged: 0,
        }
    }

    fn read(mut self, last: bool) -> Result<Part> {
        let mut words = 0_usize;
        loop {
            self.scanner.skip_space();
            if self.scanner.is_done() {
                break;
            }
            if words.is_multiple_of(CHECK_EVERY) {
                self.check()?;
            }
            words += 1;
            let line = self.scanner.line();
            let word = self.scanner.word();
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            if is(b"vertex") {
                let corner = self.vector(line)?;
                self.corners.push(corner);
            } else if is(b"facet") {
                self.end_facet(line)?;
                self.in_facet = true;
                self.corners.clear();
                let before = self.scanner.clone();
                if !self.scanner.word().eq_ignore_ascii_case(b"normal") {
                    self.scanner = before;
                }
                self.normal = self.facet_normal();
            } else if is(b"endfacet") || is(b"endloop") {
                self.end_facet(line)?;
            } else if is(b"outer") || is(b"loop") {
            } else if is(b"solid") {
                self.end_facet(line)?;
                let name = self.solid_name();
                self.begin(Solid { name, opened: true, ..Solid::default() })?;
            } else if is(b"endsolid") {
                self.end_facet(line)?;
                self.scanner.rest_of_line();
                self.begin(Solid::default())?;
            } else {
                let word = text::decode(&word[..word.len().min(40)]);
                let message = format!("expected a word of STL, found {word:?}");
                self.cx.tolerate("unknown-word", message, Location::line(line))?;
                self.scanner.rest_of_line();
            }
        }
        let line = self.scanner.line();
        if !last {
            // A facet follows.
            self.end_facet(line)?;
        } else if self.in_facet {
            self.cx.tolerate("truncated", "the last facet has no end: left out", Location::line(line))?;
        }
        if last && self.scanner.ends_in_line() {
            self.cx.note("no-final-newline", "the last line has no end: the file may be cut short");
        }
        self.check()?;
        if let Some(open) = self.solids.last_mut() {
            open.soup = self.soup;
        }
        Ok(Part { solids: self.solids, lines: line - 1 })
    }

    fn check(&mut self) -> Result<()> {
        self.cx.checkpoint()?;
        let corners = self.kept + self.soup.positions.capacity();
        self.cx.limits().check("elements", corners as u64)?;
        let now = (corners * 24 + self.solids.capacity() * size_of::<Solid>()) as u64;
        self.cx.budget().take(now.saturating_sub(self.charged))?;
        self.charged = self.charged.max(now);
        Ok(())
    }

    fn begin(&mut self, next: Solid) -> Result<()> {
        if let Some(ended) = self.solids.last_mut() {
            ended.soup = take(&mut self.soup);
            let facets = ended.soup.positions.len();
            self.kept += if facets > 0 { facets + 16 } else { 0 };
        }
        self.solids.push(next);
        self.check()
    }

    /// The rest of the line, up to a facet or an end that stands on it.
    fn solid_name(&mut self) -> String {
        let start = self.scanner.clone();
        let mut words = Vec::new();
        loop {
            let before = self.scanner.clone();
            let word = self.scanner.word();
            if word.is_empty() {
                // The whole line, with its blanks as they are.
                self.scanner = start;
                return text::decode(self.scanner.rest_of_line());
            }
            let facet =
                word.eq_ignore_ascii_case(b"facet") && self.scanner.clone().word().eq_ignore_ascii_case(b"normal");
            if facet || word.eq_ignore_ascii_case(b"endsolid") {
                self.scanner = before;
                return text::decode(&words.join(&b' '));
            }
            words.push(word);
        }
    }

    /// A normal that cannot be read is computed, as one of zeros is.
    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn facet_normal(&mut self) -> [f32; 3] {
        if let Some(normal) = self.scanner.plain_numbers::<3>() {
            return normal.map(|value| value as f32);
        }
        [0; 3].map(|_| self.scanner.number().map_or(f32::NAN, |value| value as f32))
    }

    #[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
    fn vector(&mut self, line: u64) -> Result<[f32; 3]> {
        if let Some(vector) = self.scanner.plain_numbers::<3>() {
            return Ok(vector.map(|value| value as f32));
        }
        let mut vector = [f32::NAN; 3];
        for (axis, value) in vector.iter_mut().enumerate() {
            match self.scanner.number() {
                Some(number) => *value = number as f32,
                None if self.scanner.is_done() => break,
                None => {
                    let word = self.scanner.word();
                    let found = text::decode(&word[..word.len().min(40)]);
                    let error = Error::malformed(format!("expected 3 coordinates, found {axis} and then {found:?}"));
                    self.cx.unless_lenient("bad-number", error.at_line(line))?;
                    break;
                }
            }
        }
        Ok(vector)
    }

    fn end_facet(&mut self, line: u64) -> Result<()> {
        if !take(&mut self.in_facet) {
            return Ok(());
        }
        match self.corners.len() {
            3 => {
                self.soup.push(self.normal, [self.corners[0], self.corners[1], self.corners[2]]);
                return Ok(());
            }
            0..3 => {
                let message = format!("expected 3 corners, found {}: left out", self.corners.len());
                return self.cx.tolerate("short-facet", message, Location::line(line));
            }
            more => {
                let message = format!("expected 3 corners, found {more}: cut into triangles");
                self.cx.tolerate("polygon-facet", message, Location::line(line))?;
            }
        }
        let points: Vec<_> = self.corners.iter().map(|corner| corner.map(f64::from)).collect();
        triangulate::polygon(&points, |triangle| self.soup.push(self.normal, triangle.map(|at| self.corners[at])));
        Ok(())
    }
}
