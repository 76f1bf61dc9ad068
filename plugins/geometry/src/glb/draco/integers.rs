//! Integer values: symbols or bytes, of which a prediction is undone.

use mediary_core::{Error, Result};

use super::attributes::Attribute;
use super::memory::Memory;
use super::prediction::{self, Connectivity, Method, Parent, Transform};
use super::stream::Stream;
use super::symbols;
use super::values::Coding;

/// What values are predicted from.
pub(super) struct Order<'a> {
    pub(super) count: usize,
    pub(super) connectivity: Option<Connectivity<'a>>,
    pub(super) parent: Option<&'a Parent>,
}

/// Normals have two components here, others as many as the attribute.
pub(super) fn read(
    stream: &mut Stream<'_>,
    attribute: &Attribute,
    order: &Order<'_>,
    memory: &mut Memory<'_>,
) -> Result<Vec<i32>> {
    let normals = attribute.coding == Coding::Normal;
    let method = match stream.u8("the prediction")?.cast_signed() {
        -2 => None,
        0 => Some(Method::Difference),
        1 => Some(Method::Parallelogram),
        4 => Some(Method::SomeParallelograms),
        5 => Some(Method::TexCoords),
        6 => Some(Method::Normals),
        2 | 3 => {
            return Err(Error::unsupported("Draco stream: a prediction of versions before 2.0")
                .at_byte(stream.at() as u64)
                .with_hint("compress it again with a current encoder"));
        }
        other => return Err(stream.fail(format!("expected a prediction of -2 or 0 to 6, found {other}"))),
    };
    let prediction = match method {
        None => None,
        Some(method) => {
            let transform = match stream.u8("the transform of a prediction")?.cast_signed() {
                1 if !normals => Transform::Wrap,
                3 if normals => Transform::Octahedron,
                other => {
                    let expected = if normals { 3 } else { 1 };
                    return Err(stream.fail(format!("expected transform {expected} of a prediction, found {other}")));
                }
            };
            Some((method, transform))
        }
    };
    let width = if normals { 2 } else { usize::from(attribute.components) };
    let mut values = memory.vec(0_i32, order.count.saturating_mul(width))?;
    match stream.u8("whether values are compressed")? {
        0 => plain(stream, &mut values)?,
        _ => symbols::decode(stream, width, &mut values, memory)?,
    }
    if matches!(prediction, None | Some((_, Transform::Wrap))) {
        for value in &mut values {
            // The lowest bit is the sign.
            *value = (value.cast_unsigned() >> 1).cast_signed() ^ -(*value & 1);
        }
    }
    if let Some((method, transform)) = prediction {
        prediction::undo(stream, method, transform, order, width, &mut values, memory)?;
    }
    Ok(values)
}

/// As many bytes each as the largest needs.
fn plain(stream: &mut Stream<'_>, values: &mut [i32]) -> Result<()> {
    let size = stream.u8("the size of values")?;
    if !(1..=4).contains(&size) {
        return Err(stream.fail(format!("expected values of 1 to 4 bytes, found {size}")));
    }
    let size = usize::from(size);
    let bytes = stream.block(values.len() as u64 * size as u64, "values")?.bytes;
    for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(size)) {
        let mut word = [0; 4];
        word[..size].copy_from_slice(bytes);
        *value = i32::from_le_bytes(word);
    }
    Ok(())
}
