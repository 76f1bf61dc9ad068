//! The input as the open file that a child process reads.

use std::fs::File;
#[cfg(not(target_os = "linux"))]
use std::io::Seek;
use std::io::Write;
use std::process::Stdio;

use mediary_core::{Context, Error, Result, Source};

/// What the programs are told to open: their standard input, as a file in which they may seek.
pub(crate) const URL: &str = "/dev/fd/0";

/// Bytes copied at once: 1 MiB.
const PIECE: usize = 1 << 20;

/// A regular file that holds just the bytes of the input.
pub(crate) struct Input(File);

impl Input {
    /// The input's own file; one in memory is copied into a file that has no name.
    pub(crate) fn of(source: &Source, cx: &Context) -> Result<Self> {
        match source.file()? {
            Some(file) => Ok(Self(file)),
            None => spool(source, cx).map(Self),
        }
    }

    /// For the standard input of a child.
    pub(crate) fn stdin(&self) -> Result<Stdio> {
        let file = self.0.try_clone().map_err(|error| Error::io("cannot share the input", error))?;
        // Linux opens the file anew and begins at its start; elsewhere the offset is shared.
        #[cfg(not(target_os = "linux"))]
        (&file).rewind().map_err(|error| Error::io("cannot rewind the input", error))?;
        Ok(file.into())
    }
}

fn spool(source: &Source, cx: &Context) -> Result<File> {
    let failed = |error| Error::io("cannot spool the input", error);
    cx.budget().take(source.len())?;
    let mut file = unnamed().map_err(failed)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        cx.checkpoint()?;
        let count = source.read_at(offset, &mut piece)?;
        if count == 0 {
            return Ok(file);
        }
        file.write_all(&piece[..count]).map_err(failed)?;
        offset += count as u64;
    }
}

/// A file in memory: a sandbox that lets programs run lets nothing be written to a disk.
#[cfg(target_os = "linux")]
fn unnamed() -> std::io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(File::from(memfd_create("mediary-ffmpeg", MemfdFlags::CLOEXEC)?))
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> std::io::Result<File> {
    tempfile::tempfile()
}
