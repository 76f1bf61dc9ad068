//! Sealed memory: bytes in a memory file that nobody can change or cut any more, so that another process may map them.
#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; see the SAFETY note")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use mediary_core::wire::Bytes;
use mediary_core::{Error, ErrorKind, Result};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

/// What makes a map safe: nobody writes, nobody cuts.
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// Buffers start at multiples of this.
pub(super) const ALIGN: u64 = 64;

/// A memory file that is being filled.
pub(super) struct Filling {
    file: File,
    len: u64,
}

impl Filling {
    pub(super) fn new() -> Result<Self> {
        let made = memfd_create("mediary", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let file = made.map_err(|error| Error::io("cannot make a memory file", error.into()))?;
        Ok(Self { file: File::from(file), len: 0 })
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Error::io("cannot fill a memory file", error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Adds zeros up to the next multiple of [`ALIGN`].
    pub(super) fn align(&mut self) -> Result<()> {
        let gap = self.len.next_multiple_of(ALIGN) - self.len;
        self.push(&[0; ALIGN as usize][..usize::try_from(gap).unwrap_or(0)])
    }

    /// Seals it.
    pub(super) fn seal(self) -> Result<OwnedFd> {
        fcntl_add_seals(&self.file, SEALS | SealFlags::SEAL)
            .map_err(|error| Error::io("cannot seal a memory file", error.into()))?;
        Ok(self.file.into())
    }
}

/// A read-only map of a sealed memory file.
pub(super) struct Sealed(memmap2::Mmap);

impl Sealed {
    /// Maps what another process sent.
    ///
    /// # Errors
    /// `Worker` when it is not sealed, or not of `len` bytes.
    pub(super) fn map(fd: impl AsFd, len: u64) -> Result<Arc<Self>> {
        let broken = |what: String| Error::new(ErrorKind::Worker, what);
        let seals = fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
        if !seals.contains(SEALS) {
            return Err(broken("the memory of its answer is not sealed".into()));
        }
        let file = fd.as_fd().try_clone_to_owned().map_err(|error| Error::io("cannot map its answer", error))?;
        let file = File::from(file);
        let found = file.metadata().map_err(|error| Error::io("cannot map its answer", error))?.len();
        if found != len {
            return Err(broken(format!("the memory of its answer: expected {len} bytes, found {found}")));
        }
        // SAFETY: the file is a memory file (only these have seals) that is sealed against writing, shrinking and growing,
        // which cannot be undone: its bytes never change and never go away while it is mapped.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| Error::io("cannot map its answer", error))?;
        Ok(Arc::new(Self(map)))
    }

    /// A part of it that keeps it mapped; `None` when it is not within.
    pub(super) fn part(self: &Arc<Self>, start: u64, len: u64) -> Option<Bytes> {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= self.0.len()).then(|| Arc::new(Part { map: Arc::clone(self), start, end }) as Bytes)
    }
}

struct Part {
    map: Arc<Sealed>,
    start: usize,
    end: usize,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.map.0[self.start..self.end]
    }
}
