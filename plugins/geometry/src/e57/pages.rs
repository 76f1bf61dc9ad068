//! Pages with checksums: a file within the file.

use mediary_core::{Context, Error, Result, Source};

/// Bytes of a page in the file, and without its checksum.
const PAGE: u64 = 1024;
const CONTENT: u64 = PAGE - 4;
/// Pages read at once.
const WINDOW: u64 = 256;

/// CRC-32C (Castagnoli), a byte at a time.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82F6_3B78 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, &byte| TABLE[usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

/// A position in the contents of the pages.
pub(super) struct Pages {
    source: Source,
    cx: Context,
    /// Contents of the pages last read, and where they begin.
    buffer: Vec<u8>,
    start: u64,
    at: u64,
}

impl Pages {
    /// At an offset of the file, checksums counted.
    pub(super) fn at_physical(source: &Source, offset: u64, cx: &Context) -> Result<Self> {
        let mut pages = Self { source: source.clone(), cx: cx.clone(), buffer: Vec::new(), start: 0, at: 0 };
        pages.seek_physical(offset)?;
        Ok(pages)
    }

    pub(super) fn seek_physical(&mut self, offset: u64) -> Result<()> {
        if offset >= self.source.len() || offset % PAGE >= CONTENT {
            let message = format!("a section at byte {offset} of {}", self.source.len());
            return Err(Error::malformed(message).at_byte(offset));
        }
        self.at = offset / PAGE * CONTENT + offset % PAGE;
        Ok(())
    }

    /// Bytes of content that are left.
    pub(super) fn left(&self) -> u64 {
        (self.source.len() / PAGE * CONTENT).saturating_sub(self.at)
    }

    /// The offset in the file.
    pub(super) fn offset(&self) -> u64 {
        self.at / CONTENT * PAGE + self.at % CONTENT
    }

    pub(super) fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }

    pub(super) fn read(&mut self, mut out: &mut [u8]) -> Result<()> {
        if out.len() as u64 > self.left() {
            return Err(Error::truncated("points", out.len() as u64, self.left()).at_byte(self.offset()));
        }
        while !out.is_empty() {
            if self.at < self.start || self.at >= self.start + self.buffer.len() as u64 {
                self.load()?;
            }
            let from = &self.buffer[(self.at - self.start) as usize..];
            let count = from.len().min(out.len());
            out[..count].copy_from_slice(&from[..count]);
            out = &mut out[count..];
            self.at += count as u64;
        }
        Ok(())
    }

    /// Reads the pages from the current one on.
    fn load(&mut self) -> Result<()> {
        self.cx.checkpoint()?;
        let first = self.at / CONTENT;
        let count = WINDOW.min(self.source.len() / PAGE - first);
        let mut bytes = vec![0; (count * PAGE) as usize];
        self.source.read_exact_at(first * PAGE, &mut bytes, "pages")?;
        self.buffer.clear();
        self.start = first * CONTENT;
        for (number, page) in (first..).zip(bytes.chunks_exact(PAGE as usize)) {
            let (content, sum) = page.split_at(CONTENT as usize);
            if sum != checksum(content).to_be_bytes() {
                // Those before it are good.
                if number * CONTENT > self.at {
                    return Ok(());
                }
                return Err(Error::malformed(format!("page {number}: its checksum is wrong"))
                    .at_byte(number * PAGE)
                    .with_hint("the file is damaged"));
            }
            self.buffer.extend_from_slice(content);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_castagnoli() {
        // RFC 3720, B.4.
        assert_eq!(super::checksum(&[0; 32]), 0x8A91_36AA);
        assert_eq!(super::checksum(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(super::checksum(b"123456789"), 0xE306_9283);
    }
}
