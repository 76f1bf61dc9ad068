//! Normals: the sum of the normals of the triangles around a vertex, weighted by area, or its opposite.

use mediary_core::{Error, Result};

use super::super::corners::{NONE, next, previous};
use super::super::memory::Memory;
use super::super::octahedron::Octahedron;
use super::super::rans::Flags;
use super::super::stream::Stream;
use super::{Connectivity, Parent};

/// Sums above it are brought below, so that they fit into 32 bits.
const LARGEST: i64 = 1 << 29;

/// Each pair of values is a distance that becomes a place on the octahedron.
pub(super) fn undo(
    stream: &mut Stream<'_>,
    octahedron: &Octahedron,
    connectivity: &Connectivity<'_>,
    parent: &Parent,
    values: &mut [i32],
    memory: &mut Memory<'_>,
) -> Result<()> {
    if stream.minor < 2 && stream.u8("the mode of normals")? != 1 {
        return Err(Error::unsupported("Draco stream: normals predicted from one triangle each")
            .at_byte(stream.at() as u64)
            .with_hint("compress it again with a current encoder"));
    }
    let mut flips = Flags::open(stream, "flipped normals")?;
    for (value, &corner) in values.chunks_exact_mut(2).zip(&connectivity.sequence.corner) {
        let normal = around(connectivity, parent, corner, memory)?;
        let predicted = octahedron.place(normal, flips.read());
        value.copy_from_slice(&octahedron.correct(predicted, [value[0], value[1]]));
    }
    flips.finish("flipped normals")
}

fn around(connectivity: &Connectivity<'_>, parent: &Parent, first: u32, memory: &mut Memory<'_>) -> Result<[i32; 3]> {
    let corners = connectivity.corners;
    let center = parent.position(connectivity, first);
    let mut sum = [0_i64; 3];
    let (mut corner, mut leftwards) = (first, true);
    // To the left, then from a border to the right.
    while corner != NONE {
        memory.step()?;
        let edge = |corner| {
            let [x, y, z] = parent.position(connectivity, corner);
            [x - center[0], y - center[1], z - center[2]]
        };
        let (a, b) = (edge(next(corner)), edge(previous(corner)));
        for (i, sum) in sum.iter_mut().enumerate() {
            let (j, k) = ((i + 1) % 3, (i + 2) % 3);
            *sum = sum.wrapping_add(a[j].wrapping_mul(b[k]).wrapping_sub(a[k].wrapping_mul(b[j])));
        }
        corner = if leftwards { corners.swing_left(corner) } else { corners.swing_right(corner) };
        if leftwards && corner == NONE {
            (corner, leftwards) = (corners.swing_right(first), false);
        } else if corner == first {
            break;
        }
    }
    let size = sum.iter().fold(0_i64, |size, part| size.saturating_add(part.saturating_abs()));
    if size > LARGEST {
        sum = sum.map(|part| part / (size / LARGEST));
    }
    Ok(sum.map(|part| part as i32))
}
