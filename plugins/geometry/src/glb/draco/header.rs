//! What stands before the connectivity.
//!
//! | bytes | |
//! |---|---|
//! | 5 | `DRACO` |
//! | 2 | version: major, minor |
//! | 1 | 0 point cloud, 1 mesh |
//! | 1 | 0 sequential, 1 edgebreaker |
//! | 2 | flags; 0x8000: metadata follow |

use mediary_core::{Error, Result};

use super::memory::Memory;
use super::stream::Stream;

/// How the triangles are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Sequential,
    Edgebreaker,
}

/// Reads the header and skips the metadata.
///
/// # Errors
/// `Unsupported` for other versions than 2.0 to 2.2 and for point clouds.
pub(super) fn read(stream: &mut Stream<'_>, memory: &mut Memory<'_>) -> Result<Method> {
    let magic = stream.block(5, "the signature")?.bytes;
    if magic != b"DRACO" {
        return Err(stream.fail(format!("expected the signature DRACO, found {:?}", String::from_utf8_lossy(magic))));
    }
    let (major, minor) = (stream.u8("the version")?, stream.u8("the version")?);
    if major != 2 || minor > 2 {
        return Err(Error::unsupported(format!("Draco stream: expected version 2.2, found {major}.{minor}"))
            .at_byte(5)
            .with_hint("compress it again with a current encoder: glTF allows version 2.2 alone"));
    }
    stream.minor = minor;
    let kind = stream.u8("the kind of geometry")?;
    match kind {
        1 => {}
        0 => return Err(Error::unsupported("Draco stream: expected a mesh, found a point cloud").at_byte(7)),
        other => return Err(stream.fail(format!("expected kind 1 of geometry, a mesh, found {other}"))),
    }
    let method = match stream.u8("the method")? {
        0 => Method::Sequential,
        1 => Method::Edgebreaker,
        other => return Err(stream.fail(format!("expected method 0 or 1, found {other}"))),
    };
    if stream.u16("the flags")? & 0x8000 != 0 {
        skip_metadata(stream, memory)?;
    }
    Ok(method)
}

/// A tree of names and values for each of some attributes, and one for all.
fn skip_metadata(stream: &mut Stream<'_>, memory: &mut Memory<'_>) -> Result<()> {
    for _ in 0..stream.varint("trees of metadata")? {
        stream.varint("the attribute of metadata")?;
        skip_tree(stream, memory)?;
    }
    skip_tree(stream, memory)
}

/// Each turn of the loops reads a byte at least. Children stand behind their parent, each behind its name.
fn skip_tree(stream: &mut Stream<'_>, memory: &mut Memory<'_>) -> Result<()> {
    let mut names = 0_u64;
    let mut open = 1_u64;
    while open > 0 {
        open -= 1;
        if names > 0 {
            names -= 1;
            skip_name(stream)?;
        }
        for _ in 0..stream.varint("entries of metadata")? {
            memory.step()?;
            skip_name(stream)?;
            let size = stream.varint("the size of metadata")?;
            stream.block(size.into(), "metadata")?;
        }
        let children = u64::from(stream.varint("children of metadata")?);
        open += children;
        names += children;
        memory.step()?;
    }
    Ok(())
}

fn skip_name(stream: &mut Stream<'_>) -> Result<()> {
    let size = stream.u8("the size of a name")?;
    stream.block(size.into(), "a name").map(drop)
}
