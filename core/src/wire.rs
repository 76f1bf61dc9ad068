//! The form in which records cross a boundary: to and from a loaded plugin, to and from a worker process. A header of JSON,
//! and buffers that it refers to by index: large values are never copied.
//!
//! The JSON is the shape of the record types themselves; `docs/plugin-abi.md` lists it for every kind. Whatever comes in is
//! checked as any file is: indices, lengths, alignment, ranges.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::Header;
use crate::record::MediaRecord;

/// Bytes that somebody owns.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A header, a record or a chunk on its way.
#[derive(Clone, Default)]
pub struct Parcel {
    /// JSON.
    pub json: String,
    /// The buffers that the JSON refers to by index, aligned for their elements.
    pub buffers: Vec<Bytes>,
}

/// What a reader sends.
pub enum Piece {
    /// The next record. Chunks of its stream follow when it has one, then the end of the stream.
    Record(Parcel),
    /// The next chunk of the stream of the record before.
    Chunk(Parcel),
    /// The stream of the record before is at its end.
    EndOfStream,
}

/// Packs a header.
///
/// # Errors
/// `Plugin` when it cannot be expressed.
pub fn pack_header(_header: &Header) -> Result<Parcel> {
    Err(Error::unsupported("not yet"))
}

/// Unpacks a header.
///
/// # Errors
/// `Plugin` when it breaks the contract.
pub fn unpack_header(_parcel: &Parcel) -> Result<Header> {
    Err(Error::unsupported("not yet"))
}

/// Packs a record without its stream, whose chunks [`pack_chunk`] gives. The record stays whole: its bulk is shared from then
/// on.
///
/// # Errors
/// `Plugin` when it cannot be expressed.
pub fn pack_record(_record: &mut MediaRecord) -> Result<Parcel> {
    Err(Error::unsupported("not yet"))
}

/// Whether the record has a stream, of which chunks and an end follow.
#[must_use]
pub fn streams(_record: &MediaRecord) -> bool {
    false
}

/// Pulls the next chunk of the record's stream and packs it; `None` at its end.
///
/// # Errors
/// What the stream reports.
pub fn pack_chunk(_record: &mut MediaRecord) -> Result<Option<Parcel>> {
    Err(Error::unsupported("not yet"))
}

/// Unpacks a record. `chunks` gives the chunks of its stream when it has one, `None` at its end; it is asked no more after that
/// and after an error.
///
/// # Errors
/// `Plugin` when it breaks the contract.
pub fn unpack_record(
    _parcel: Parcel,
    _chunks: impl FnMut() -> Result<Option<Parcel>> + Send + 'static,
) -> Result<MediaRecord> {
    Err(Error::unsupported("not yet"))
}
