//! What an OBJ file says, flat: lists of vertices, and of elements as corners that refer to them.

use std::collections::HashMap;
use std::mem::take;

use mediary_core::{Context, Error, Result};

use crate::parallel::joined;
use crate::vertex::NONE;

/// The colour of a vertex that has none.
pub(super) const NO_COLOR: [f64; 4] = [-1.0; 4];
/// The number of the name that is none.
pub(super) const NAMELESS: u32 = 0;
/// The number of a name that the part before has set.
pub(super) const INHERITED: u32 = NONE - 1;

/// What joins the corners of an element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Face,
    Line,
    Point,
}

/// How many corners of an element have a texture coordinate, or a normal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    None,
    Some,
    All,
}

impl Has {
    fn of(corners: &[[u32; 3]], part: usize) -> Self {
        match corners.iter().filter(|corner| corner[part] != NONE).count() {
            0 => Self::None,
            count if count == corners.len() => Self::All,
            _ => Self::Some,
        }
    }
}

/// Elements of one shape and size with the same attributes, each on the line behind that of the one before.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) shape: Shape,
    /// Texture coordinates, normals.
    pub(super) has: [Has; 2],
    pub(super) size: u32,
    pub(super) count: u32,
    /// Of the first.
    pub(super) line: u64,
}

impl Run {
    /// Of one element.
    pub(super) fn of(shape: Shape, corners: &[[u32; 3]], line: u64) -> Self {
        Self { shape, has: [1, 2].map(|part| Has::of(corners, part)), size: corners.len() as u32, count: 1, line }
    }

    /// Adds a run that follows on this one; `false` when it does not.
    fn extend(&mut self, next: &Self) -> bool {
        let follows = (self.shape, self.has, self.size) == (next.shape, next.has, next.size)
            && self.line + u64::from(self.count) == next.line;
        match self.count.checked_add(next.count) {
            Some(count) if follows => self.count = count,
            _ => return false,
        }
        true
    }

    /// Its corners in the list of the part.
    pub(super) fn corners(&self) -> usize {
        self.size as usize * self.count as usize
    }
}

/// From which run on a mesh and a material hold.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) first: usize,
    pub(super) object: u32,
    pub(super) group: u32,
    pub(super) material: u32,
}

impl Segment {
    /// The names alone.
    pub(super) fn names(&self) -> [u32; 3] {
        [self.object, self.group, self.material]
    }
}

/// Faces, polylines and sets of points; the corners stand end to end.
#[derive(Default)]
pub(super) struct Elements {
    /// Indices from 0 of position, texture coordinate, normal; [`NONE`] where there is none.
    pub(super) corners: Vec<[u32; 3]>,
    pub(super) runs: Vec<Run>,
    pub(super) segments: Vec<Segment>,
    /// How many positions, texture coordinates and normals the corners need.
    most: [u32; 3],
}

impl Elements {
    /// Adds the element whose corners are those from `first` on.
    pub(super) fn push(&mut self, shape: Shape, first: usize, line: u64, state: &Segment) {
        let own = &self.corners[first..];
        for corner in own {
            for (most, index) in self.most.iter_mut().zip(corner) {
                // NONE needs none.
                *most = (*most).max(index.wrapping_add(1));
            }
        }
        let run = Run::of(shape, own, line);
        self.push_run(run, state);
    }

    fn push_run(&mut self, run: Run, state: &Segment) {
        if self.segments.last().is_none_or(|last| last.names() != state.names()) {
            self.segments.push(Segment { first: self.runs.len(), ..*state });
        } else if self.runs.last_mut().is_some_and(|last| last.extend(&run)) {
            return;
        }
        self.runs.push(run);
    }

    /// The runs, each with what holds for it and its corners.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&Segment, &Run, &[[u32; 3]])> {
        let mut at = 0;
        self.segments
            .iter()
            .enumerate()
            .flat_map(|(number, segment)| {
                let end = self.segments.get(number + 1).map_or(self.runs.len(), |next| next.first);
                self.runs[segment.first..end].iter().map(move |run| (segment, run))
            })
            .map(move |(segment, run)| {
                let corners = &self.corners[at..at + run.corners()];
                at += corners.len();
                (segment, run, corners)
            })
    }

    /// Refuses, or leaves out when lenient, elements with indices out of range.
    fn check(&mut self, counts: [usize; 3], cx: &Context) -> Result<()> {
        if self.most.iter().zip(counts).all(|(&most, count)| most as usize <= count) {
            return Ok(());
        }
        let mut kept = Self::default();
        for (segment, run, corners) in self.runs() {
            for (own, line) in corners.chunks_exact(run.size as usize).zip(run.line..) {
                if let Some(error) = out_of_range(own, counts) {
                    cx.unless_lenient("bad-index", error.at_line(line))?;
                } else {
                    let first = kept.corners.len();
                    kept.corners.extend_from_slice(own);
                    kept.push(run.shape, first, line, segment);
                }
            }
        }
        *self = kept;
        Ok(())
    }
}

fn out_of_range(corners: &[[u32; 3]], counts: [usize; 3]) -> Option<Error> {
    let bad =
        |corner: &[u32; 3], part: usize| corner[part] as usize >= counts[part] && (part == 0 || corner[part] != NONE);
    for corner in corners {
        for (part, what) in ["vertices", "texture coordinates", "normals"].into_iter().enumerate() {
            if bad(corner, part) {
                let index = u64::from(corner[part]) + 1;
                return Some(Error::malformed(format!(
                    "index {index} is out of range: there are {} {what}",
                    counts[part]
                )));
            }
        }
    }
    None
}

/// What vertices are made of.
#[derive(Default)]
pub(super) struct Vertices {
    pub(super) positions: Vec<[f64; 3]>,
    /// sRGB as written; empty, or as long as the positions with [`NO_COLOR`] where there is none.
    pub(super) colors: Vec<[f64; 4]>,
    pub(super) texcoords: Vec<[f32; 2]>,
    pub(super) normals: Vec<[f32; 3]>,
}

/// A part of the file, flat. Indices count through the whole file, everything else through the part.
pub(super) struct Part<'a> {
    pub(super) vertices: Vertices,
    pub(super) elements: Elements,
    /// Names of objects, by number of the `o` line; the first stands for the object of the part before.
    pub(super) objects: Vec<&'a [u8]>,
    /// Distinct names of groups and materials, [`NAMELESS`] first.
    pub(super) names: Vec<&'a [u8]>,
    pub(super) libraries: Vec<(&'a [u8], u64)>,
    /// What holds at its end.
    pub(super) state: Segment,
    pub(super) lines: u64,
    /// Bytes taken from the budget for the lists.
    pub(super) charged: u64,
}

/// The whole file.
#[derive(Default)]
pub(super) struct File<'a> {
    pub(super) vertices: Vertices,
    pub(super) elements: Vec<Elements>,
    pub(super) objects: Vec<&'a [u8]>,
    pub(super) names: Vec<&'a [u8]>,
    pub(super) libraries: Vec<(&'a [u8], u64)>,
}

impl std::ops::Deref for File<'_> {
    type Target = Vertices;

    fn deref(&self) -> &Vertices {
        &self.vertices
    }
}

impl<'a> File<'a> {
    /// Joins the parts; returns the bytes they took from the budget, too.
    ///
    /// # Errors
    /// `Malformed` for an index out of range, unless lenient.
    pub(super) fn of_parts(parts: Vec<Part<'a>>, cx: &Context) -> Result<(Self, u64)> {
        let mut file = Self { objects: vec![b""], names: vec![b""], ..Self::default() };
        let mut numbers: HashMap<&[u8], u32> = HashMap::from([(&b""[..], NAMELESS)]);
        let mut state = Segment { first: 0, object: 0, group: NAMELESS, material: NAMELESS };
        let (mut lines, mut charged) = (0, 0);
        let mut vertices = Vec::with_capacity(parts.len());
        let corners = parts.iter().map(|part| part.elements.corners.len()).sum::<usize>();
        cx.limits().check("elements", corners as u64)?;
        for mut part in parts {
            let names: Vec<u32> = part
                .names
                .iter()
                .map(|&name| {
                    let fresh = file.names.len() as u32;
                    let number = *numbers.entry(name).or_insert(fresh);
                    if number == fresh {
                        file.names.push(name);
                    }
                    number
                })
                .collect();
            let objects = file.objects.len() as u32;
            let inherited = state;
            let named = |name: u32, inherited: u32| names.get(name as usize).copied().unwrap_or(inherited);
            let global = |segment: Segment| Segment {
                first: segment.first,
                object: if segment.object == 0 { inherited.object } else { objects + segment.object - 1 },
                group: named(segment.group, inherited.group),
                material: named(segment.material, inherited.material),
            };
            state = global(part.state);
            part.elements.segments.iter_mut().for_each(|segment| *segment = global(*segment));
            part.elements.runs.iter_mut().for_each(|run| run.line += lines);
            file.objects.extend_from_slice(&part.objects[1..]);
            file.libraries.extend(part.libraries.iter().map(|&(name, line)| (name, line + lines)));
            file.elements.push(part.elements);
            vertices.push(part.vertices);
            lines += part.lines;
            charged += part.charged;
        }
        file.vertices = Vertices::joined(vertices, cx)?;
        let totals = [file.positions.len(), file.texcoords.len(), file.normals.len()];
        cx.limits().check("elements", totals[0] as u64)?;
        for elements in &mut file.elements {
            elements.check(totals, cx)?;
        }
        Ok((file, charged))
    }
}

impl Vertices {
    /// Those of all parts.
    fn joined(mut parts: Vec<Self>, cx: &Context) -> Result<Self> {
        if parts.iter().any(|part| !part.colors.is_empty()) {
            parts.iter_mut().for_each(|part| part.colors.resize(part.positions.len(), NO_COLOR));
        }
        Ok(Self {
            positions: joined(parts.iter_mut().map(|part| take(&mut part.positions)).collect(), cx)?,
            colors: joined(parts.iter_mut().map(|part| take(&mut part.colors)).collect(), cx)?,
            texcoords: joined(parts.iter_mut().map(|part| take(&mut part.texcoords)).collect(), cx)?,
            normals: joined(parts.iter_mut().map(|part| take(&mut part.normals)).collect(), cx)?,
        })
    }
}
