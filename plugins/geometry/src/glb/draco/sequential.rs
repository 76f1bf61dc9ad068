//! Sequential connectivity: the indices as they are, or their differences as symbols.

use mediary_core::Result;

use super::memory::Memory;
use super::stream::Stream;
use super::{Expected, symbols};

/// Three points a face, all below `expected.points`.
pub(super) fn read(stream: &mut Stream<'_>, expected: &Expected, memory: &mut Memory<'_>) -> Result<Vec<u32>> {
    let faces = stream.varint_or_u32("the number of faces")?;
    expected.faces(faces, stream)?;
    let points = stream.varint_or_u32("the number of points")?;
    expected.points(points, stream)?;
    let mut indices = match stream.u8("the coding of indices")? {
        0 => compressed(stream, expected.faces as usize * 3, memory)?,
        _ => plain(stream, points, expected.faces as usize * 3, memory)?,
    };
    match indices.iter_mut().find(|index| **index >= points) {
        Some(index) => Err(stream.fail(format!("expected indices below {points}, found {index}"))),
        None => Ok(indices),
    }
}

/// The smallest type that holds the number of points.
fn plain(stream: &mut Stream<'_>, points: u32, count: usize, memory: &mut Memory<'_>) -> Result<Vec<u32>> {
    let what = "indices";
    let size = match points {
        ..256 => 1,
        256..0x1_0000 => 2,
        0x1_0000..0x20_0000 if stream.minor == 2 => {
            // One byte each at least.
            stream.clone().block(count as u64, what)?;
            let mut indices = memory.room(count)?;
            for _ in 0..count {
                memory.step()?;
                indices.push(stream.varint(what)?);
            }
            return Ok(indices);
        }
        _ => 4,
    };
    let bytes = stream.block(count as u64 * size as u64, what)?.bytes;
    let mut indices = memory.room(count)?;
    indices.extend(bytes.chunks_exact(size).map(|bytes| {
        let mut word = [0; 4];
        word[..size].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    }));
    Ok(indices)
}

/// Magnitudes of differences, of which the lowest bit is the sign.
fn compressed(stream: &mut Stream<'_>, count: usize, memory: &mut Memory<'_>) -> Result<Vec<u32>> {
    let mut scratch = memory.inner();
    let mut differences = scratch.vec(0_i32, count)?;
    symbols::decode(stream, 1, &mut differences, memory)?;
    let mut indices = memory.room(count)?;
    let mut last = 0_u32;
    for difference in differences {
        let (size, negative) = (difference.cast_unsigned() >> 1, difference & 1 == 1);
        let index = if negative { last.checked_sub(size) } else { last.checked_add(size) };
        last = index.ok_or_else(|| stream.fail(format!("expected an index, found {last} and a step of {size}")))?;
        indices.push(last);
    }
    Ok(indices)
}
