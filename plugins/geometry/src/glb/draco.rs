//! Primitives compressed with `KHR_draco_mesh_compression`: a bridge to the decoder of the `draco-oxide-decoder` crate, which
//! reads triangle meshes of bitstream 2.2, the one that glTF allows.
//!
//! Specification: <https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_draco_mesh_compression>,
//! bitstream: <https://google.github.io/draco/spec/>.

use std::collections::BTreeMap;
#[cfg(feature = "draco")]
use std::panic::catch_unwind;

use mediary_core::{Context, Error, Result};

/// A decompressed primitive.
pub(super) struct Decoded {
    /// Three a triangle.
    pub(super) indices: Vec<u32>,
    /// Attributes by their Draco id, one value a vertex.
    pub(super) attributes: BTreeMap<u32, Values>,
}

/// Values of one attribute, little-endian and tightly packed.
pub(super) struct Values {
    /// Component type as glTF numbers it: 5120 i8, 5121 u8, 5122 i16, 5123 u16, 5125 u32, 5126 f32.
    pub(super) component_type: u32,
    /// Number of values, one a vertex.
    pub(super) count: usize,
    /// The values.
    pub(super) bytes: Vec<u8>,
}

/// Decodes a stream of which the document says that it holds `indices` indices and `vertices` vertices.
///
/// # Errors
/// `Malformed` when the stream is broken or holds another number of triangles; `Limit` when the budget is too small.
#[cfg(feature = "draco")]
pub(super) fn decode(data: &[u8], indices: u64, vertices: u64, cx: &Context) -> Result<Decoded> {
    cx.limits().check("elements", indices.max(vertices))?;
    if let Some(faces) = announced_faces(data)
        && faces.saturating_mul(3) != indices
    {
        return Err(Error::malformed(format!(
            "expected {} triangles, the Draco stream announces {faces}",
            indices / 3
        )));
    }
    // What the decoder holds at its peak: corner tables of several indices a corner, and the attributes as 32-bit values.
    cx.budget().take(indices.saturating_mul(32).saturating_add(vertices.saturating_mul(128)))?;
    // With a broken stream the decoder may panic.
    let mesh = catch_unwind(|| draco_oxide_decoder::decode_mesh(data))
        .map_err(|_| Error::malformed("Draco stream: the data makes no sense"))?
        .map_err(|error| Error::malformed(format!("Draco stream: {error}")).caused_by(error))?;
    let found = mesh.get_faces();
    if found.len() as u64 * 3 != indices {
        return Err(Error::malformed(format!(
            "expected {} triangles, the Draco stream has {}",
            indices / 3,
            found.len()
        )));
    }
    let indices: Vec<u32> = found.iter().flatten().map(|&point| usize::from(point) as u32).collect();
    let mut attributes = BTreeMap::new();
    for attribute in mesh.get_attributes() {
        let kind = attribute.get_component_type();
        // Data types as the bitstream numbers them.
        let component_type = match kind.get_id() {
            1 => 5120,
            2 => 5121,
            3 => 5122,
            4 => 5123,
            6 => 5125,
            9 => 5126,
            other => return Err(Error::malformed(format!("Draco data type {other} has no counterpart in glTF"))),
        };
        let (size, unique) = (attribute.get_num_components() * kind.size(), attribute.get_data_as_bytes());
        let mut bytes = Vec::new();
        for point in 0..attribute.len() {
            let at = usize::from(attribute.get_unique_val_idx(point.into())) * size;
            match unique.get(at..at + size) {
                Some(value) => bytes.extend_from_slice(value),
                None => {
                    return Err(Error::malformed(format!("Draco point {point} refers to a value that is not there")));
                }
            }
        }
        attributes
            .insert(attribute.get_id().as_usize() as u32, Values { component_type, count: attribute.len(), bytes });
    }
    Ok(Decoded { indices, attributes })
}

/// # Errors
/// `Unsupported`: it needs the feature `draco`.
#[cfg(not(feature = "draco"))]
pub(super) fn decode(_: &[u8], _: u64, _: u64, _: &Context) -> Result<Decoded> {
    Err(Error::unsupported("this build has no decoder of KHR_draco_mesh_compression")
        .with_hint("build it with the feature `draco`"))
}

/// The number of faces that the connectivity header announces, before anything is decoded; `None` where metadata stand before
/// it.
#[cfg(feature = "draco")]
fn announced_faces(data: &[u8]) -> Option<u64> {
    let header = data.get(..11)?;
    let (method, flags) = (header[8], u16::from_le_bytes([header[9], header[10]]));
    if flags & 0x8000 != 0 {
        return None;
    }
    let mut rest = &data[11..];
    if method == 1 {
        // Edgebreaker: traversal type, then the number of vertices.
        rest = rest.get(1..)?;
        varint(&mut rest)?;
    }
    varint(&mut rest)
}

#[cfg(feature = "draco")]
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}
