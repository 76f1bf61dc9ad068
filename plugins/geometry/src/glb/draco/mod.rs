//! Primitives compressed with `KHR_draco_mesh_compression`: a decoder of Draco meshes.
//!
//! Specification: <https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_draco_mesh_compression>,
//! bitstream: <https://google.github.io/draco/spec/>. Where the two differ, what the reference encoder writes decides.
//!
//! | part | file |
//! |---|---|
//! | header, metadata | `header.rs` |
//! | connectivity: indices, or the symbols of edgebreaker | `sequential.rs`; `edgebreaker.rs`, `traversal.rs`, `seams.rs` |
//! | attributes: descriptions, order of values | `attributes.rs`, `sequence.rs` |
//! | values: symbols, predictions, what they stand for | `integers.rs`, `symbols.rs`, `prediction/`, `values.rs` |
//!
//! Read: meshes of version 2.2, and of 2.0 and 2.1 as their encoders wrote them, with all codings and predictions of the
//! specification. Points have the order and number that the reference decoder gives them. Metadata are skipped.
//!
//! Refused as `Unsupported`: other versions, point clouds, what the specification no longer has (symbols predicted from
//! valences, predictions of versions before 2.0, normals predicted from one triangle each), and attributes of data types that
//! glTF does not have, if the document wants them. The numbers of faces and points must be those of the document. All memory
//! is taken from the budget; what is broken is `Malformed` with its byte in the stream.

mod attributes;
mod corners;
mod edgebreaker;
mod header;
mod integers;
mod memory;
mod octahedron;
mod prediction;
mod rans;
mod seams;
mod sequence;
mod sequential;
mod stream;
mod symbols;
#[cfg(test)]
mod tests;
mod traversal;
mod values;

use std::collections::BTreeMap;

use mediary_core::{Context, Error, Result};

use attributes::Points;
use header::Method;
use memory::Memory;
use stream::Stream;
pub(super) use values::Values;

/// A decompressed primitive.
pub(super) struct Decoded {
    /// Three a triangle, little-endian and 32 bits each.
    pub(super) indices: Vec<u8>,
    /// Attributes by their Draco id, one value a vertex.
    pub(super) attributes: BTreeMap<u32, Values>,
}

/// What the document says of the mesh.
struct Expected {
    faces: u32,
    points: u32,
}

impl Expected {
    fn faces(&self, found: u32, stream: &Stream<'_>) -> Result<()> {
        match found == self.faces {
            true => Ok(()),
            false => Err(stream.fail(format!("expected {} triangles, found {found}", self.faces))),
        }
    }

    fn points(&self, found: u32, stream: &Stream<'_>) -> Result<()> {
        match found == self.points {
            true => Ok(()),
            false => Err(stream.fail(format!("expected {} vertices, found {found}", self.points))),
        }
    }

    /// Vertices of edgebreaker, of which each is a point or more.
    fn vertices(&self, found: u32, stream: &Stream<'_>) -> Result<()> {
        match found <= self.points {
            true => Ok(()),
            false => Err(stream.fail(format!("expected at most {} vertices, found {found}", self.points))),
        }
    }
}

/// Decodes a stream of which the document says that it holds `indices` indices and `vertices` vertices: the attributes `wanted`
/// by their ids.
///
/// # Errors
/// `Malformed` when the stream is broken or holds other numbers of triangles or vertices, `Unsupported` for what the module
/// names, `Limit` when the budget is too small.
pub(super) fn decode(data: &[u8], indices: u64, vertices: u64, wanted: &[u32], cx: &Context) -> Result<Decoded> {
    cx.limits().check("elements", indices.max(vertices))?;
    let mut stream = Stream::new(data);
    let (Ok(corners), Ok(points)) = (u32::try_from(indices), u32::try_from(vertices)) else {
        return Err(Error::unsupported(format!(
            "expected at most {} indices and vertices of a Draco stream, found {indices} and {vertices}",
            u32::MAX
        )));
    };
    if !corners.is_multiple_of(3) {
        return Err(stream.fail(format!("expected three indices a triangle, the document has {indices}")));
    }
    let expected = Expected { faces: corners / 3, points };
    let (mut kept, mut memory) = (Memory::new(cx), Memory::new(cx));
    let (indices, attributes) = match header::read(&mut stream, &mut memory)? {
        Method::Sequential => {
            let indices = sequential::read(&mut stream, &expected, &mut memory)?;
            let points = Points { count: expected.points, of_corner: &indices, mesh: None };
            let attributes = attributes::read(&mut stream, &points, wanted, &mut kept, &mut memory)?;
            (packed(&indices, &mut kept)?, attributes)
        }
        Method::Edgebreaker => {
            let mut mesh = edgebreaker::read(&mut stream, &expected, &mut memory)?;
            let seams = seams::read(&mut mesh, &stream, &mut memory)?;
            let (indices, count) = seams::points(&mesh, &seams, &stream, &mut memory)?;
            expected.points(count, &stream)?;
            let points = Points { count, of_corner: &indices, mesh: Some((&mesh, &seams.tables)) };
            let attributes = attributes::read(&mut stream, &points, wanted, &mut kept, &mut memory)?;
            (packed(&indices, &mut kept)?, attributes)
        }
    };
    kept.keep();
    Ok(Decoded { indices, attributes })
}

fn packed(indices: &[u32], memory: &mut Memory<'_>) -> Result<Vec<u8>> {
    let mut bytes = memory.vec(0, indices.len().saturating_mul(4))?;
    for (place, index) in bytes.chunks_exact_mut(4).zip(indices) {
        place.copy_from_slice(&index.to_le_bytes());
    }
    Ok(bytes)
}
