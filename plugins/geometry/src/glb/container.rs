//! The binary container: a header of 12 bytes, then chunks.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `glTF` |
//! | 4 | 4 | version, 2 |
//! | 8 | 4 | length of the whole file |
//! | 12 | 4 | `chunkLength` |
//! | 16 | 4 | `chunkType`: `JSON` first, then `BIN\0`, then unknown ones, which are skipped |
//! | 20 | `chunkLength` | `chunkData`, then the next chunk |

use std::ops::Range;

use mediary_core::{Context, Error, Location, Result, Source};

/// The first bytes.
pub(super) const MAGIC: [u8; 4] = *b"glTF";
pub(super) const VERSION: u32 = 2;
pub(super) const JSON: [u8; 4] = *b"JSON";
pub(super) const BIN: [u8; 4] = *b"BIN\0";
pub(super) const HEADER_BYTES: u64 = 12;
pub(super) const CHUNK_HEADER_BYTES: u64 = 8;

/// Where the chunks lie, and the JSON chunk itself.
pub(super) struct Container {
    /// Bytes of the JSON chunk.
    pub(super) json: Vec<u8>,
    /// Offset of the JSON chunk's data in the file.
    pub(super) json_offset: u64,
    /// Range of the binary chunk's data in the file.
    pub(super) bin: Option<Range<u64>>,
}

impl Container {
    /// Reads the header and the JSON chunk, and steps over the others.
    pub(super) fn read(source: &Source, cx: &Context) -> Result<Self> {
        let end = check_header(source, cx)?;
        let mut container = Self { json: Vec::new(), json_offset: 0, bin: None };
        let mut offset = HEADER_BYTES;
        let mut number = 0u64;
        while offset < end {
            let Some((kind, data)) = chunk(source, offset, end, cx)? else { break };
            match (number, kind) {
                (0, JSON) => {
                    let length = data.end - data.start;
                    cx.budget().take(length)?;
                    container.json = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
                    container.json_offset = data.start;
                    source.read_exact_at(data.start, &mut container.json, "the JSON chunk")?;
                }
                (0, kind) => {
                    return Err(Error::malformed(format!(
                        "the first chunk: expected type JSON, found {:?}",
                        kind.escape_ascii().to_string()
                    ))
                    .at_byte(offset + 4));
                }
                (1, BIN) => container.bin = Some(data.clone()),
                (_, kind) => cx.report(
                    mediary_core::Severity::Info,
                    "unknown-chunk",
                    format!("chunk of type {:?} was skipped", kind.escape_ascii().to_string()),
                    Some(Location::byte(offset + 4)),
                ),
            }
            if number % 1024 == 0 {
                cx.checkpoint()?;
            }
            if data.end % 4 != 0 && data.end != end {
                cx.tolerate(
                    "chunk-alignment",
                    "a chunk does not end at a multiple of 4 bytes",
                    Location::byte(data.end),
                )?;
            }
            offset = data.end;
            number += 1;
        }
        if number == 0 {
            return Err(Error::malformed("expected a JSON chunk, found none").at_byte(HEADER_BYTES));
        }
        Ok(container)
    }
}

/// Checks the header and returns where the chunks end.
fn check_header(source: &Source, cx: &Context) -> Result<u64> {
    let mut header = [0; HEADER_BYTES as usize];
    let found = source.read_at(0, &mut header)?;
    if found >= 4 && header[..4] != MAGIC {
        return Err(Error::malformed(format!(
            "expected the magic \"glTF\", found {:?}",
            header[..4].escape_ascii().to_string()
        ))
        .at_byte(0));
    }
    if found < header.len() {
        return Err(Error::truncated("the header", HEADER_BYTES, found as u64).at_byte(0));
    }
    match word(&header[4..8]) {
        VERSION => {}
        1 => {
            return Err(Error::unsupported("glTF 1.0 is not supported: expected version 2, found 1")
                .at_byte(4)
                .with_hint("convert it to glTF 2.0, for example with gltf-pipeline"));
        }
        other => {
            return Err(Error::unsupported(format!("expected version 2, found {other}")).at_byte(4));
        }
    }
    let (announced, actual) = (u64::from(word(&header[8..])), source.len());
    if announced > actual {
        let error = Error::truncated("the file", announced, actual).at_byte(8);
        cx.unless_lenient("truncated", error)?;
    } else if announced < HEADER_BYTES + CHUNK_HEADER_BYTES {
        return Err(Error::malformed(format!(
            "the length {announced} has no room for a chunk: expected at least {}",
            HEADER_BYTES + CHUNK_HEADER_BYTES
        ))
        .at_byte(8));
    } else if announced < actual {
        let extra = actual - announced;
        cx.tolerate(
            "trailing-bytes",
            format!("{extra} bytes after the announced end were left out"),
            Location::byte(announced),
        )?;
    }
    Ok(announced.min(actual))
}

/// Type and range of the chunk at `offset`. `None` for a lenient end within the chunk's header.
fn chunk(source: &Source, offset: u64, end: u64, cx: &Context) -> Result<Option<([u8; 4], Range<u64>)>> {
    if end - offset < CHUNK_HEADER_BYTES {
        let error = Error::truncated("a chunk header", CHUNK_HEADER_BYTES, end - offset).at_byte(offset);
        cx.unless_lenient("truncated", error)?;
        return Ok(None);
    }
    let mut header = [0; CHUNK_HEADER_BYTES as usize];
    source.read_exact_at(offset, &mut header, "a chunk header")?;
    let start = offset + CHUNK_HEADER_BYTES;
    let length = u64::from(word(&header[..4]));
    let kind = [header[4], header[5], header[6], header[7]];
    if length > end - start {
        let what = format!("the chunk {:?}", kind.escape_ascii().to_string());
        cx.unless_lenient("truncated", Error::truncated(&what, length, end - start).at_byte(offset))?;
    }
    Ok(Some((kind, start..(start + length).min(end))))
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap_or_default())
}
