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

    /// Gives pages of the first `until` bytes back to the system, which reads them again if they are looked at again.
    pub(super) fn pass(&self, until: usize) {
        #[cfg(unix)]
        {
            let until = until.min(self.0.len());
            // SAFETY: the map is of a file and nothing is ever written through it, so that dropped pages hold nothing that the
            // file does not: they are read from it again.
            let _ = unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, 0, until) };
        }
        #[cfg(not(unix))]
        let _ = until;
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
