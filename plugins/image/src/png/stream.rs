//! The zlib stream of the pixels, decompressed to its very end: the rows of a sound picture, and what is wrong with the
//! end of another, about which the decoder is silent since it stops when it has the last row.

use std::io::{BufRead, Read, Seek, SeekFrom};

use mediary_core::{Context, Result, Source};
use png::{Decoded, StreamingDecoder, UnfilterRegion};

use super::chunks::Chunks;
use super::described;
use super::rows::Rows;
use crate::decode;

/// Bytes of the signature and IHDR.
const HEADER: u64 = 33;

/// Decompressed bytes that are held at a time, beside a row; deflate refers back by up to a quarter of them.
const WINDOW: usize = 128 << 10;

/// The pixels of a picture whose rows only need their filters undone, in one pass. `None` where anything is wrong with
/// them, or more is to be done: the decoder does it then, and tells what is wrong.
pub(super) fn sound(source: &Source, chunks: &Chunks, cx: &Context) -> Result<Option<Vec<u8>>> {
    if chunks.interlaced || !chunks.pixel_bits.is_multiple_of(8) {
        return Ok(None);
    }
    let row = chunks.row(chunks.width);
    let mut pixels = decode::buffer::<u8>(cx, row * u64::from(chunks.height))?;
    let mut rows = Rows::new(&mut pixels, row as usize, chunks.pixel_bits as usize / 8);
    let sound = matches!(follow(source, chunks, Some(&mut rows), cx)?, End::Whole) && rows.are_complete();
    if !sound {
        cx.budget().give_back(pixels.len() as u64);
    }
    Ok(sound.then_some(pixels))
}

/// What is wrong with the end of the pixels of a whole picture, if it is.
pub(super) fn wrong_end(source: &Source, chunks: &Chunks, cx: &Context) -> Result<Option<String>> {
    Ok(match follow(source, chunks, None, cx)? {
        End::Whole | End::Unknown => None,
        End::Wrong(problem) => Some(problem),
    })
}

/// How the stream ends.
enum End {
    Whole,
    /// The file ends within it, or its rows have no such filter.
    Unknown,
    Wrong(String),
}

/// Decompresses the pixels, as far as they should go. Checksums of chunks matter to those who want the rows.
fn follow(source: &Source, chunks: &Chunks, mut rows: Option<&mut Rows<'_>>, cx: &Context) -> Result<End> {
    let mut pixels = source.reader();
    pixels.seek(SeekFrom::Start(chunks.image.unwrap_or(HEADER)))?;
    let mut input = source.reader().take(HEADER).chain(pixels);
    let mut decoder = StreamingDecoder::new();
    decoder.set_ignore_crc(rows.is_none());
    decoder.set_ignore_adler32(false);
    let longest = rows.as_ref().map_or(0, |rows| rows.filtered_len());
    let mut window = decode::buffer::<u8>(cx, (WINDOW + 2 * longest) as u64)?;
    // Before `done` are rows that have been taken.
    let (mut region, mut done) = (UnfilterRegion::default(), 0);
    let (mut left, mut ended) = (chunks.filtered_bytes(), false);
    let end = loop {
        if region.filled > window.len() / 2 {
            cx.checkpoint()?;
            let kept = region.available.min(done);
            window.copy_within(kept..region.filled, 0);
            (region.available, region.filled, done) = (region.available - kept, region.filled - kept, done - kept);
        }
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break End::Unknown;
        }
        let before = region.filled;
        let (used, decoded) = match decoder.update(bytes, Some(&mut region.as_buf(&mut window))) {
            Ok(step) => step,
            Err(error) => break End::Wrong(described(&error)),
        };
        input.consume(used);
        let Some(rest) = left.checked_sub((region.filled - before) as u64) else {
            break End::Wrong("the image data go on behind the last row; that is left out".to_owned());
        };
        left = rest;
        match &mut rows {
            Some(rows) => match rows.add(&window[done..region.filled]) {
                Some(taken) => done += taken,
                None => break End::Unknown,
            },
            None => done = region.filled,
        }
        match decoded {
            Decoded::ImageDataFlushed => break End::Whole,
            Decoded::ImageData if ended && used > 0 => {
                break End::Wrong("bytes follow the zlib stream of the pixels; they are left out".to_owned());
            }
            // No byte is kept for later references once the stream has ended.
            Decoded::ImageData => ended |= region.filled > 0 && region.available == region.filled,
            _ => {}
        }
    };
    cx.budget().give_back(window.len() as u64);
    Ok(end)
}
