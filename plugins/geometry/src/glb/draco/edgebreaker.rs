//! Edgebreaker connectivity: faces are undone in the reverse of the order in which the encoder walked over them, each hung on
//! the border of what is there already.

use std::collections::BTreeMap;

use mediary_core::Result;

use super::Expected;
use super::corners::{Corners, NONE, next, previous};
use super::memory::Memory;
use super::stream::Stream;
use super::traversal::{Counts, Symbol, Traversal};

/// The connectivity of the positions.
pub(super) struct Mesh<'a> {
    pub(super) corners: Corners,
    /// Whether a vertex was never closed: it lies at a hole.
    pub(super) at_hole: Vec<bool>,
    /// Vertices, counted without those that splits left over where nothing else refers to vertices.
    pub(super) vertices: u32,
    /// What the seams of attributes are read with.
    pub(super) traversal: Traversal<'a>,
}

/// A face at which the encoder came upon a border of its own.
struct Split {
    /// Number of the encoder's symbol there.
    source: u32,
    /// Number of the symbol that split the border.
    split: u32,
    /// Whether it is the right edge of the face.
    right: bool,
}

pub(super) fn read<'a>(stream: &mut Stream<'a>, expected: &Expected, memory: &mut Memory<'_>) -> Result<Mesh<'a>> {
    let kind = stream.u8("the traversal")?;
    if stream.minor < 2 {
        stream.varint("the number of new vertices")?;
    }
    let vertices = stream.varint("the number of vertices")?;
    let faces = stream.varint("the number of faces")?;
    expected.faces(faces, stream)?;
    let attributes = stream.u8("the number of attribute connectivities")?;
    let symbols = stream.varint("the number of symbols")?;
    let splits = stream.varint("the number of split symbols")?;
    // Of a part one face at most has no symbol, and such a part has four faces or more.
    if vertices > faces * 3 || symbols > faces || faces - symbols > symbols / 3 || splits > symbols {
        return Err(stream
            .fail(format!("{faces} faces cannot have {vertices} vertices, {symbols} symbols and {splits} splits")));
    }
    // Every vertex is a point at least.
    expected.vertices(vertices, stream)?;
    let counts = Counts { vertices: vertices.saturating_add(splits), symbols, attributes };
    let (events, traversal) = match stream.minor {
        0 | 1 => {
            // The events stand behind the traversal.
            let size = stream.varint("the size of the connectivity")?;
            let begin = (stream.at() as u64).saturating_add(size.into());
            let mut behind = stream.from(usize::try_from(begin).unwrap_or(usize::MAX));
            let begin = behind.at();
            let events = read_splits(&mut behind, &counts, memory)?;
            let traversal = Traversal::open(stream, kind, &counts, memory)?;
            *stream = stream.from(stream.at() + (behind.at() - begin));
            (events, traversal)
        }
        _ => {
            let events = read_splits(stream, &counts, memory)?;
            (events, Traversal::open(stream, kind, &counts, memory)?)
        }
    };
    let count = faces as usize * 3;
    let corners = Corners {
        vertex: memory.vec(NONE, count)?,
        opposite: memory.vec(NONE, count)?,
        leftmost: memory.room(counts.vertices as usize)?,
    };
    let at_hole = memory.vec(true, counts.vertices as usize)?;
    let mut builder =
        Builder { stream: &*stream, corners, at_hole, active: Vec::new(), traversal, lost: Vec::new(), made: 0 };
    builder.undo(symbols, events, memory)?;
    builder.start(memory)?;
    let mut vertices = builder.corners.leftmost.len() as u32;
    if attributes == 0 {
        vertices = builder.close_gaps(vertices, memory)?;
    }
    let Builder { corners, at_hole, traversal, .. } = builder;
    Ok(Mesh { corners, at_hole, vertices, traversal })
}

/// Deltas of both numbers, then an edge each.
fn read_splits(stream: &mut Stream<'_>, counts: &Counts, memory: &mut Memory<'_>) -> Result<Vec<Split>> {
    let count = stream.varint("the number of split events")?;
    // Two bytes each at least.
    stream.clone().block(u64::from(count) * 2, "split events")?;
    let mut splits: Vec<Split> = memory.room(count as usize)?;
    let mut last = 0_u32;
    for _ in 0..count {
        memory.step()?;
        let (step, back) = (stream.varint("a split event")?, stream.varint("a split event")?);
        let source = last.checked_add(step).filter(|&source| source < counts.symbols);
        let split = source.and_then(|source| source.checked_sub(back));
        let (Some(source), Some(split)) = (source, split) else {
            return Err(stream.fail(format!(
                "expected a split among {} symbols, found one {step} behind symbol {last} and {back} back",
                counts.symbols
            )));
        };
        splits.push(Split { source, split, right: false });
        last = source;
    }
    if count > 0 {
        let width = if stream.minor < 2 { 2 } else { 1 };
        let mut bits = stream.bits();
        for split in &mut splits {
            split.right = bits.read(width)? & 1 == 1;
        }
        stream.end_bits(&bits);
    }
    if stream.minor == 0 {
        // Holes, of which nothing needs to be known.
        for _ in 0..stream.varint("the number of holes")? {
            memory.step()?;
            stream.varint("a hole")?;
        }
    }
    Ok(splits)
}

/// The mesh so far. Its `active` corners face the border edges at which the next faces hang on.
struct Builder<'s, 'a> {
    stream: &'s Stream<'a>,
    corners: Corners,
    at_hole: Vec<bool>,
    active: Vec<u32>,
    traversal: Traversal<'a>,
    /// Vertices that were merged into others.
    lost: Vec<u32>,
    made: u32,
}

impl Builder<'_, '_> {
    fn fail(&self, symbol: impl std::fmt::Debug) -> mediary_core::Error {
        self.stream.fail(format!("face {} cannot hang on by symbol {symbol:?}", self.made))
    }

    /// A corner of which the edge is open.
    fn open(&self, corner: u32, symbol: Symbol) -> Result<u32> {
        match self.corners.opposite(corner) {
            NONE => Ok(corner),
            _ => Err(self.fail(symbol)),
        }
    }

    fn top(&self, symbol: Symbol) -> Result<u32> {
        self.active.last().copied().ok_or_else(|| self.fail(symbol))
    }

    fn new_vertex(&mut self, corner: u32) -> Result<()> {
        let vertex = self.corners.leftmost.len();
        if vertex == self.at_hole.len() {
            return Err(self.stream.fail(format!("expected {vertex} vertices, found more")));
        }
        self.corners.leftmost.push(corner);
        self.corners.vertex[corner as usize] = vertex as u32;
        Ok(())
    }

    fn set(&mut self, corner: u32, vertex: u32) {
        self.corners.vertex[corner as usize] = vertex;
    }

    fn set_leftmost(&mut self, corner: u32, vertex: u32) {
        self.set(corner, vertex);
        self.corners.leftmost[vertex as usize] = corner;
    }

    /// All faces with a symbol.
    fn undo(&mut self, symbols: u32, mut events: Vec<Split>, memory: &mut Memory<'_>) -> Result<()> {
        // Corners at which a symbol S goes on, by its number.
        let mut waiting = BTreeMap::new();
        memory.take(events.len() as u64 * 32)?;
        for number in 0..symbols {
            memory.step()?;
            let symbol = self.traversal.read(self.stream)?;
            let corner = self.made * 3;
            match symbol {
                Symbol::C => self.close(corner)?,
                Symbol::L | Symbol::R => self.grow(corner, symbol)?,
                Symbol::S => self.join(corner, waiting.remove(&number), memory)?,
                Symbol::E => {
                    for corner in corner..corner + 3 {
                        self.new_vertex(corner)?;
                    }
                    memory.take(8)?;
                    self.active.push(corner);
                }
            }
            self.made += 1;
            self.traversal.reached(symbol, corner, &self.corners);
            if matches!(symbol, Symbol::C | Symbol::S) {
                continue;
            }
            let encoded = symbols - number - 1;
            while let Some(event) = events.pop_if(|event| event.source >= encoded) {
                if event.source > encoded {
                    return Err(self.stream.fail(format!("the face of symbol {} splits nothing", event.source)));
                }
                let edge = if event.right { next(corner) } else { previous(corner) };
                waiting.insert(symbols - event.split - 1, edge);
            }
        }
        Ok(())
    }

    /// C: fills the gap between two border edges of a vertex.
    fn close(&mut self, corner: u32) -> Result<()> {
        let symbol = Symbol::C;
        let a = self.open(self.top(symbol)?, symbol)?;
        let middle = self.corners.vertex(next(a));
        let b = match self.corners.leftmost(middle) {
            NONE => return Err(self.fail(symbol)),
            leftmost => self.open(next(leftmost), symbol)?,
        };
        let (left, right) = (self.corners.vertex(previous(a)), self.corners.vertex(next(b)));
        if a == b || middle == left || middle == right {
            return Err(self.fail(symbol));
        }
        self.corners.link(a, corner + 1);
        self.corners.link(b, corner + 2);
        self.set(corner, middle);
        self.set(corner + 1, right);
        self.set_leftmost(corner + 2, left);
        self.at_hole[middle as usize] = false;
        self.replace(corner);
        Ok(())
    }

    /// L and R: a face with one new vertex.
    fn grow(&mut self, corner: u32, symbol: Symbol) -> Result<()> {
        let a = self.open(self.top(symbol)?, symbol)?;
        let (tip, left, right) =
            if symbol == Symbol::R { (corner + 2, corner + 1, corner) } else { (corner + 1, corner, corner + 2) };
        self.corners.link(tip, a);
        self.new_vertex(tip)?;
        self.set_leftmost(right, self.corners.vertex(previous(a)));
        self.set(left, self.corners.vertex(next(a)));
        self.replace(corner);
        Ok(())
    }

    /// S: joins two borders, of which one vertex each becomes the same.
    fn join(&mut self, corner: u32, waiting: Option<u32>, memory: &mut Memory<'_>) -> Result<()> {
        let symbol = Symbol::S;
        let b = self.open(self.top(symbol)?, symbol)?;
        self.active.pop();
        self.active.extend(waiting);
        let a = self.open(self.top(symbol)?, symbol)?;
        if a == b {
            return Err(self.fail(symbol));
        }
        self.corners.link(a, corner + 2);
        self.corners.link(b, corner + 1);
        let kept = self.corners.vertex(previous(a));
        self.set(corner, kept);
        self.set(corner + 1, self.corners.vertex(next(a)));
        self.set_leftmost(corner + 2, self.corners.vertex(previous(b)));
        let first = next(b);
        let lost = self.corners.vertex(first);
        self.traversal.merged(kept, lost);
        self.corners.leftmost[kept as usize] = self.corners.leftmost(lost);
        let mut at = first;
        while at != NONE {
            memory.step()?;
            self.set(at, kept);
            at = self.corners.swing_left(at);
            if at == first {
                return Err(self.fail(symbol));
            }
        }
        self.corners.leftmost[lost as usize] = NONE;
        memory.take(8)?;
        self.lost.push(lost);
        self.replace(corner);
        Ok(())
    }

    fn replace(&mut self, corner: u32) {
        if let Some(top) = self.active.last_mut() {
            *top = corner;
        }
    }

    /// The faces at which the encoder began: where one is interior it closes a gap of three edges.
    fn start(&mut self, memory: &mut Memory<'_>) -> Result<()> {
        let faces = self.corners.faces();
        while let Some(a) = self.active.pop() {
            memory.step()?;
            if !self.traversal.starts.read()? {
                continue;
            }
            let fail = || self.stream.fail(format!("face {} closes no gap", self.made));
            if self.made == faces {
                return Err(self.stream.fail(format!("expected {faces} faces, found more")));
            }
            let behind = |corner| match self.corners.leftmost(self.corners.vertex(next(corner))) {
                NONE => Err(fail()),
                leftmost => Ok(next(leftmost)),
            };
            let b = behind(a)?;
            let c = behind(b)?;
            if a == b || a == c || b == c || [a, b, c].iter().any(|&corner| self.corners.opposite(corner) != NONE) {
                return Err(fail());
            }
            let vertices = [b, c, a].map(|corner| self.corners.vertex(next(corner)));
            for ((corner, opposite), vertex) in (self.made * 3..).zip([a, b, c]).zip(vertices) {
                self.corners.link(corner, opposite);
                self.set(corner, vertex);
                self.at_hole[vertex as usize] = false;
            }
            self.made += 1;
        }
        match self.made == faces {
            true => Ok(()),
            false => Err(self.stream.fail(format!("expected {faces} faces, found {}", self.made))),
        }
    }

    /// Gives the numbers of lost vertices to the last ones: how many vertices there are then.
    fn close_gaps(&mut self, mut vertices: u32, memory: &mut Memory<'_>) -> Result<u32> {
        let corners = &mut self.corners;
        for &lost in &self.lost {
            while vertices > 0 && corners.leftmost(vertices - 1) == NONE {
                vertices -= 1;
            }
            let Some(last) = vertices.checked_sub(1).filter(|&last| last > lost) else { continue };
            let first = corners.leftmost(last);
            // All its corners: to the left, and from a border to the right.
            let (mut at, mut left) = (first, true);
            while at != NONE {
                memory.step()?;
                if corners.vertex(at) != last {
                    return Err(self.stream.fail(format!("a corner of vertex {last} belongs to another")));
                }
                corners.vertex[at as usize] = lost;
                at = if left { corners.swing_left(at) } else { corners.swing_right(at) };
                if left && at == NONE {
                    (at, left) = (corners.swing_right(first), false);
                } else if at == first {
                    break;
                }
            }
            corners.leftmost[lost as usize] = first;
            corners.leftmost[last as usize] = NONE;
            self.at_hole[lost as usize] = self.at_hole[last as usize];
            self.at_hole[last as usize] = false;
            vertices -= 1;
        }
        Ok(vertices)
    }
}
