//! The end of the zlib stream of the pixels, about which the decoder is silent.

use std::io::{BufRead, Read, Seek, SeekFrom};

use mediary_core::{Context, Result, Source};
use png::{Decoded, StreamingDecoder, UnfilterRegion};

use super::chunks::Chunks;
use super::described;

/// Bytes of the signature and IHDR.
const HEADER: u64 = 33;

/// Decompressed bytes that are held at a time; deflate refers back by up to a quarter of them.
const WINDOW: usize = 128 << 10;

/// Decompresses the pixels of a whole picture once more, as far as they should go: what is wrong with their end, if it
/// is. The decoder stops when it has the last row.
pub(super) fn wrong_end(source: &Source, chunks: &Chunks, cx: &Context) -> Result<Option<String>> {
    let mut pixels = source.reader();
    pixels.seek(SeekFrom::Start(chunks.image.unwrap_or(HEADER)))?;
    let mut input = source.reader().take(HEADER).chain(pixels);
    let mut decoder = StreamingDecoder::new();
    decoder.set_ignore_crc(true);
    decoder.set_ignore_adler32(false);
    let (mut window, mut region) = (vec![0; WINDOW], UnfilterRegion::default());
    let (mut left, mut ended) = (chunks.filtered_bytes(), false);
    loop {
        if region.filled > WINDOW / 2 {
            cx.checkpoint()?;
            window.copy_within(region.available..region.filled, 0);
            region = UnfilterRegion { available: 0, filled: region.filled - region.available };
        }
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let before = region.filled;
        let (used, decoded) = match decoder.update(bytes, Some(&mut region.as_buf(&mut window))) {
            Ok(step) => step,
            Err(error) => return Ok(Some(described(&error))),
        };
        input.consume(used);
        let Some(rest) = left.checked_sub((region.filled - before) as u64) else {
            return Ok(Some("the image data go on behind the last row; that is left out".to_owned()));
        };
        left = rest;
        match decoded {
            Decoded::ImageDataFlushed => return Ok(None),
            Decoded::ImageData if ended && used > 0 => {
                return Ok(Some("bytes follow the zlib stream of the pixels; they are left out".to_owned()));
            }
            // No byte is kept for later references once the stream has ended.
            Decoded::ImageData => ended |= region.filled > 0 && region.available == region.filled,
            _ => {}
        }
    }
}
