//! The corner table. Corner `3 * face + i` is the i-th of its face; opposite corners face each other across an edge.

/// No corner, no vertex.
pub(super) const NONE: u32 = u32::MAX;

/// The next corner of the same face, counter-clockwise.
#[inline]
pub(super) fn next(corner: u32) -> u32 {
    if corner % 3 == 2 { corner - 2 } else { corner + 1 }
}

/// The previous corner of the same face.
#[inline]
pub(super) fn previous(corner: u32) -> u32 {
    if corner.is_multiple_of(3) { corner + 2 } else { corner - 1 }
}

/// Which triangles are neighbours and which corners share a vertex. Opposites are mutual, so who swings around a vertex comes
/// back to where he began or to a border.
#[derive(Default)]
pub(super) struct Corners {
    /// The vertex of each corner.
    pub(super) vertex: Vec<u32>,
    /// The opposite of each corner, `NONE` at a border.
    pub(super) opposite: Vec<u32>,
    /// For each vertex the corner from which one swings right through all of its corners; `NONE` if it has none.
    pub(super) leftmost: Vec<u32>,
}

impl Corners {
    pub(super) fn faces(&self) -> u32 {
        (self.vertex.len() / 3) as u32
    }

    #[inline]
    pub(super) fn vertex(&self, corner: u32) -> u32 {
        self.vertex[corner as usize]
    }

    #[inline]
    pub(super) fn opposite(&self, corner: u32) -> u32 {
        self.opposite[corner as usize]
    }

    #[inline]
    pub(super) fn leftmost(&self, vertex: u32) -> u32 {
        self.leftmost[vertex as usize]
    }

    /// The next corner of the same vertex, clockwise as seen from it; `NONE` at a border.
    #[inline]
    pub(super) fn swing_left(&self, corner: u32) -> u32 {
        match self.opposite(next(corner)) {
            NONE => NONE,
            opposite => next(opposite),
        }
    }

    /// The other way round.
    #[inline]
    pub(super) fn swing_right(&self, corner: u32) -> u32 {
        match self.opposite(previous(corner)) {
            NONE => NONE,
            opposite => previous(opposite),
        }
    }

    pub(super) fn on_border(&self, vertex: u32) -> bool {
        match self.leftmost(vertex) {
            NONE => true,
            corner => self.swing_left(corner) == NONE,
        }
    }

    pub(super) fn link(&mut self, a: u32, b: u32) {
        self.opposite[a as usize] = b;
        self.opposite[b as usize] = a;
    }
}
