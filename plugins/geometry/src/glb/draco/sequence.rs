//! The order of an attribute's values: that in which a walk over the faces comes upon the vertices.

use mediary_core::Result;

use super::corners::{Corners, NONE, next, previous};
use super::memory::Memory;
use super::stream::Stream;

/// How the walk chooses the next face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    DepthFirst,
    /// First where most neighbours of the vertex ahead are known.
    Degree,
}

/// Values and vertices of one connectivity.
#[derive(Default)]
pub(super) struct Sequence {
    /// The corner at which each value was come upon.
    pub(super) corner: Vec<u32>,
    /// The value of each vertex, `NONE` if it has no corner.
    pub(super) value: Vec<u32>,
}

/// Where the walk has been.
struct Walker<'a> {
    corners: &'a Corners,
    been: Vec<bool>,
    sequence: Sequence,
}

impl Sequence {
    pub(super) fn new(corners: &Corners, walk: Walk, stream: &Stream<'_>, memory: &mut Memory<'_>) -> Result<Self> {
        let vertices = corners.leftmost.len();
        let sequence = Self { corner: memory.room(vertices)?, value: memory.vec(NONE, vertices)? };
        let mut scratch = memory.inner();
        let mut walker = Walker { corners, been: scratch.vec(false, corners.faces() as usize)?, sequence };
        let done = match walk {
            Walk::DepthFirst => walker.depth_first(&mut scratch)?,
            Walk::Degree => walker.by_degree(&mut scratch)?,
        };
        match done {
            true => Ok(walker.sequence),
            false => Err(stream.fail("the faces around a vertex do not join")),
        }
    }
}

impl Walker<'_> {
    /// Whether the face of this corner needs no visit: it had one or does not exist.
    fn done(&self, corner: u32) -> bool {
        corner == NONE || self.been[(corner / 3) as usize]
    }

    /// The vertex of this corner, if it is a new one.
    fn new_vertex(&mut self, corner: u32) -> Option<u32> {
        let vertex = self.corners.vertex(corner);
        let value = &mut self.sequence.value[vertex as usize];
        if *value != NONE {
            return None;
        }
        *value = self.sequence.corner.len() as u32;
        self.sequence.corner.push(corner);
        Some(vertex)
    }

    fn right(&self, corner: u32) -> u32 {
        self.corners.opposite(next(corner))
    }

    fn left(&self, corner: u32) -> u32 {
        self.corners.opposite(previous(corner))
    }

    /// `false` if a border appears where there is none.
    fn depth_first(&mut self, memory: &mut Memory<'_>) -> Result<bool> {
        // Each face is pushed twice at most.
        memory.take(u64::from(self.corners.faces()) * 8)?;
        let mut stack = Vec::new();
        for face in 0..self.corners.faces() {
            if self.been[face as usize] {
                continue;
            }
            stack.push(face * 3);
            self.new_vertex(face * 3 + 1);
            self.new_vertex(face * 3 + 2);
            while let Some(mut corner) = stack.pop() {
                memory.step()?;
                while !self.done(corner) {
                    memory.step()?;
                    self.been[(corner / 3) as usize] = true;
                    if let Some(vertex) = self.new_vertex(corner)
                        && !self.corners.on_border(vertex)
                    {
                        // On around the vertex, also over a face where the walk has been.
                        corner = self.right(corner);
                        if corner == NONE {
                            return Ok(false);
                        }
                        self.been[(corner / 3) as usize] = false;
                        continue;
                    }
                    let (right, left) = (self.right(corner), self.left(corner));
                    corner = match (self.done(right), self.done(left)) {
                        (true, _) => left,
                        (false, true) => right,
                        (false, false) => {
                            stack.push(left);
                            right
                        }
                    };
                }
            }
        }
        Ok(true)
    }

    fn by_degree(&mut self, memory: &mut Memory<'_>) -> Result<bool> {
        let mut degree = memory.vec(0_u8, self.corners.leftmost.len())?;
        // Each edge is pushed once at most.
        memory.take(u64::from(self.corners.faces()) * 24)?;
        let mut stacks = [const { Vec::new() }; 3];
        for face in 0..self.corners.faces() {
            stacks[0].push(face * 3);
            let mut best = 0;
            self.new_vertex(face * 3 + 1);
            self.new_vertex(face * 3 + 2);
            self.new_vertex(face * 3);
            while let Some(number) = (best..3).find(|&number| !stacks[number].is_empty()) {
                best = number;
                let Some(mut corner) = stacks[number].pop() else { break };
                while !self.done(corner) {
                    memory.step()?;
                    self.been[(corner / 3) as usize] = true;
                    self.new_vertex(corner);
                    let (right, left) = (self.right(corner), self.left(corner));
                    let (right_done, left_done) = (self.done(right), self.done(left));
                    corner = NONE;
                    if !left_done {
                        let priority = self.priority(left, &mut degree);
                        if right_done && priority <= best {
                            corner = left;
                            continue;
                        }
                        stacks[priority].push(left);
                        best = best.min(priority);
                    }
                    if !right_done {
                        let priority = self.priority(right, &mut degree);
                        if priority <= best {
                            corner = right;
                        } else {
                            stacks[priority].push(right);
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// 0 where the vertex ahead is known, 1 where a second face sees it, 2 where it is new.
    fn priority(&self, corner: u32, degree: &mut [u8]) -> usize {
        let vertex = self.corners.vertex(corner) as usize;
        if self.sequence.value[vertex] != NONE {
            return 0;
        }
        degree[vertex] = degree[vertex].saturating_add(1);
        if degree[vertex] > 1 { 1 } else { 2 }
    }
}
