//! A positioned, buffered reader over a [`Source`].

use std::io::{BufRead, Read, Result, Seek, SeekFrom};

use super::Source;

/// Bytes of the buffer.
const BUFFER: usize = 256 << 10;

/// `Read + Seek + BufRead` with a position of its own; clones of the source may be read at the same time.
pub struct SourceReader {
    source: Source,
    /// Offset in the source of the byte after the buffered ones.
    next: u64,
    buffer: Vec<u8>,
    start: usize,
}

impl SourceReader {
    pub(super) fn new(source: Source) -> Self {
        Self { source, next: 0, buffer: Vec::new(), start: 0 }
    }

    /// Offset of the next byte to be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next - (self.buffer.len() - self.start) as u64
    }

    /// Length of the source in bytes.
    #[must_use]
    pub fn source_len(&self) -> u64 {
        self.source.len()
    }
}

impl BufRead for SourceReader {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.resize(BUFFER, 0);
            let read = self.source.read_at(self.next, &mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            self.next += read? as u64;
        }
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.buffer.len());
    }
}

impl Read for SourceReader {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        // Large reads of an empty buffer go straight to the source.
        if self.start == self.buffer.len() && out.len() >= BUFFER {
            let read = self.source.read_at(self.next, out)?;
            self.next += read as u64;
            return Ok(read);
        }
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Seek for SourceReader {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.source.len().checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position().checked_add_signed(delta),
        };
        let target = target.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        let first = self.next - self.buffer.len() as u64;
        if (first..=self.next).contains(&target) {
            self.start = usize::try_from(target - first).unwrap_or(self.buffer.len());
        } else {
            self.next = target;
            self.buffer.clear();
            self.start = 0;
        }
        Ok(target)
    }
}
