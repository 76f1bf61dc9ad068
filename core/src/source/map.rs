//! Memory maps: the one place of this crate with `unsafe`.
#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; see the SAFETY note")]

use std::fs::File;
use std::ops::Deref;

/// A read-only map of a whole file.
pub(super) struct Map(memmap2::Mmap);

impl Map {
    pub(super) fn new(file: &File) -> std::io::Result<Self> {
        // SAFETY: the map is read-only and only ever seen as bytes, which have no invalid values. What remains is another
        // process that writes to or cuts the file while it is mapped: bytes may then change under a parser, which
        // checks every value before use, and a read beyond the new end is a SIGBUS. Ingest documents that inputs must not be
        // cut while they are read; small files are never mapped.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
