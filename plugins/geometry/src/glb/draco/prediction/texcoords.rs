//! Texture coordinates: the triangle has the same shape on the texture as in space, so the third corner is one of two places,
//! on either side of the edge that is known.

use mediary_core::Result;

use super::super::corners::{next, previous};
use super::super::memory::Memory;
use super::super::rans::Flags;
use super::super::stream::Stream;
use super::wrap::Wrap;
use super::{Connectivity, Parent};

/// On which side each triangle lies, the last one first.
pub(super) fn turns(stream: &mut Stream<'_>, most: usize, memory: &mut Memory<'_>) -> Result<Vec<bool>> {
    let count = stream.u32("the number of sides")?;
    if count as usize > most {
        return Err(stream.fail(format!("expected at most {most} sides, one a value, found {count}")));
    }
    let mut flags = Flags::open(stream, "sides")?;
    let mut sides = memory.room(count as usize)?;
    let mut side = true;
    for _ in 0..count {
        memory.step()?;
        side ^= !flags.read();
        sides.push(side);
    }
    flags.finish("sides")?;
    Ok(sides)
}

/// All products are those of 64 bits that wrap, as the encoder has them.
pub(super) fn undo(
    stream: &Stream<'_>,
    mut sides: Vec<bool>,
    wrap: &Wrap,
    connectivity: &Connectivity<'_>,
    parent: &Parent,
    values: &mut [i32],
    memory: &mut Memory<'_>,
) -> Result<()> {
    wrap.each(2, values, memory, |number, before, predicted| {
        let corner = connectivity.sequence.corner[number as usize];
        let [right, left] = connectivity.beside(corner);
        let place = |value: u32| [before[value as usize * 2], before[value as usize * 2 + 1]];
        if right >= number {
            return Ok(false);
        }
        let right_place = place(right);
        predicted.copy_from_slice(&right_place);
        if left >= number {
            return Ok(true);
        }
        let left_place = place(left);
        let position = |corner| parent.position(connectivity, corner);
        let triangle = [position(corner), position(next(corner)), position(previous(corner))];
        match predict(right_place, left_place, triangle, &mut sides) {
            Some(place) => predicted.copy_from_slice(&place),
            None => return Err(stream.fail("expected texture coordinates that can be predicted, found none")),
        }
        Ok(true)
    })
}

/// The place of the tip of a triangle (tip, right, left). `None` if numbers are too large or there is no side left.
fn predict(right: [i32; 2], left: [i32; 2], triangle: [[i64; 3]; 3], sides: &mut Vec<bool>) -> Option<[i32; 2]> {
    if right == left {
        return Some(left);
    }
    let [tip, from, to] = triangle;
    let edge = minus(to, from);
    let length = dot(edge, edge);
    if length == 0 {
        return Some(right);
    }
    let [right, left] = [right, left].map(|place| place.map(i64::from));
    let along = dot(edge, minus(tip, from));
    let across = [left[0] - right[0], left[1] - right[1]];
    let largest = |vector: &[i64]| vector.iter().map(|part| part.unsigned_abs()).max().unwrap_or(0).max(1);
    let most = i64::MAX.unsigned_abs();
    if right.iter().any(|part| part.unsigned_abs() > most / length.cast_unsigned())
        || along.unsigned_abs() > most / largest(&across)
        || along.unsigned_abs() > most / largest(&edge)
    {
        return None;
    }
    let foot: [i64; 3] =
        std::array::from_fn(|i| from[i].wrapping_add(along.wrapping_mul(edge[i]).wrapping_div(length)));
    let height = minus(tip, foot);
    let root = dot(height, height).cast_unsigned().wrapping_mul(length.cast_unsigned()).isqrt().cast_signed();
    let sideways = [across[1].wrapping_mul(root), across[0].wrapping_neg().wrapping_mul(root)];
    let side = sides.pop()?;
    Some(std::array::from_fn(|i| {
        let foot = right[i].wrapping_mul(length).wrapping_add(along.wrapping_mul(across[i]));
        let place = if side { foot.wrapping_add(sideways[i]) } else { foot.wrapping_sub(sideways[i]) };
        place.wrapping_div(length) as i32
    }))
}

fn minus(a: [i64; 3], b: [i64; 3]) -> [i64; 3] {
    std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
}

fn dot(a: [i64; 3], b: [i64; 3]) -> i64 {
    a.iter().zip(b).fold(0, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(b)))
}
