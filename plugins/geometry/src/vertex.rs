//! What mesh formats share about vertices: one vertex for each distinct corner, 8-bit colours, normals of faces.

use std::collections::HashMap;

use mediary_core::convert::{linear_to_srgb, srgb_to_linear};

/// Stands for an absent index, and for the end of a chain.
pub(crate) const NONE: u32 = u32::MAX;

/// A chain longer than this goes into a hash table: files can be made whose corners all share one position.
const LONGEST_CHAIN: usize = 32;

/// Finds corners again: a chain a position, as most positions have few distinct corners. Much faster than hashing each.
#[derive(Default)]
pub(crate) struct Corners {
    heads: Vec<u32>,
    entries: Vec<Entry>,
    overflow: HashMap<[u32; 4], u32>,
}

struct Entry {
    /// Primitive, texture coordinate, normal.
    key: [u32; 3],
    vertex: u32,
    next: u32,
}

impl Corners {
    /// For positions `0..positions`.
    pub(crate) fn new(positions: usize) -> Self {
        Self { heads: vec![NONE; positions], ..Self::default() }
    }

    /// Makes room for positions `0..positions`.
    pub(crate) fn grow(&mut self, positions: usize) {
        self.heads.resize(positions.max(self.heads.len()), NONE);
    }

    /// The vertex of this corner; `Err(fresh)` when it is new and is now known as `fresh`.
    pub(crate) fn find_or_add(&mut self, position: u32, key: [u32; 3], fresh: u32) -> Result<u32, u32> {
        let head = self.heads[position as usize];
        let mut at = head;
        for _ in 0..LONGEST_CHAIN {
            let Some(entry) = self.entries.get(at as usize) else {
                self.heads[position as usize] = self.entries.len() as u32;
                self.entries.push(Entry { key, vertex: fresh, next: head });
                return Err(fresh);
            };
            if same(entry.key, key) {
                return Ok(entry.vertex);
            }
            at = entry.next;
        }
        match self.overflow.entry([position, key[0], key[1], key[2]]) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(*known.get()),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(fresh);
                Err(fresh)
            }
        }
    }
}

/// Whether two keys are one. Compared as arrays, two numbers are loaded at once which have just been stored one by one: the
/// processor waits for them.
#[inline(always)]
pub(crate) fn same(a: [u32; 3], b: [u32; 3]) -> bool {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) == 0
}

/// 8-bit sRGB as linear light.
#[expect(clippy::cast_possible_truncation, reason = "colours are single precision")]
pub(crate) fn linear(byte: u8) -> f32 {
    srgb_to_linear(f64::from(byte) / 255.0) as f32
}

/// The 8-bit sRGB that [`linear`] turns into exactly this.
#[expect(clippy::cast_possible_truncation, reason = "8 bits are wanted")]
pub(crate) fn exact_byte(value: f32) -> Option<u8> {
    let byte = (linear_to_srgb(value.into()) * 255.0).round() as u8;
    (linear(byte) == value).then_some(byte)
}

/// Unit normal of a triangle; `None` when it has no area.
pub(crate) fn face_normal([a, b, c]: [[f32; 3]; 3]) -> Option<[f32; 3]> {
    let edge = |to: [f32; 3]| [0, 1, 2].map(|axis| f64::from(to[axis]) - f64::from(a[axis]));
    let (u, v) = (edge(b), edge(c));
    unit([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
}

/// `vector` at length 1; `None` when it has no direction.
#[expect(clippy::cast_possible_truncation, reason = "normals are single precision")]
pub(crate) fn unit(vector: [f64; 3]) -> Option<[f32; 3]> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| vector.map(|value| (value / length) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_found_again_in_chains_and_beyond() {
        let mut corners = Corners::new(1);
        for uv in 0..1000 {
            assert_eq!(corners.find_or_add(0, [0, uv, NONE], uv), Err(uv));
        }
        for uv in 0..1000 {
            assert_eq!(corners.find_or_add(0, [0, uv, NONE], 9999), Ok(uv));
        }
    }

    #[test]
    fn all_8_bit_colours_survive_the_transfer() {
        for value in 0..=255_u8 {
            assert_eq!(exact_byte(linear(value)), Some(value));
        }
    }
}
