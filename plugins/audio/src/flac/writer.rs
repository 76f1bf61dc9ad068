//! Writes FLAC streams, block by block in bounded memory; STREAMINFO is filled in at the end.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use md5::{Digest, Md5};
use mediary_core::record::{Audio, AudioChunk, Media};
use mediary_core::{Context, Error, MediaRecord, Output, Result};

use super::encode::Encoder;
use super::metadata::{self, MASK_FIELD, STREAMINFO_BYTES};
use crate::{layout, tags};

/// Samples a channel of a block.
const BLOCK: usize = 4096;
/// The length of a metadata block has 24 bits.
const MOST_BLOCK_BYTES: usize = (1 << 24) - 1;
/// The number of samples has 36 bits.
const MOST_FRAMES: u64 = (1 << 36) - 1;

/// Why this audio, with this many bits a sample, cannot be a FLAC stream.
pub(super) fn refusal(audio: &Audio, bits: u8) -> Option<String> {
    match () {
        () if !audio.integer => Some("float samples".into()),
        () if !(4..=32).contains(&bits) => Some(format!("integer samples of {bits} bits")),
        () if !(1..=8).contains(&audio.channels) => Some(format!("{} channels", audio.channels)),
        () if !(1..=655_350).contains(&audio.sample_rate) => Some(format!("{} samples a second", audio.sample_rate)),
        () => None,
    }
}

/// Writes the record's audio.
pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    cx.lose("properties", record.properties.len() as u64, "properties beside the samples");
    let Media::Audio(audio) = &mut record.media else {
        return Err(Error::unsupported("only audio can be written as FLAC"));
    };
    let mut chunk = audio.samples.next_chunk()?;
    let bits = match &chunk {
        Some(AudioChunk::Int { bits, .. }) => *bits,
        _ => audio.bit_depth,
    };
    if let Some(found) = refusal(audio, bits) {
        return Err(Error::unsupported(format!("expected integers of 4 to 32 bits in 1 to 8 channels, found {found}"))
            .with_hint("write it as wav, which holds any samples"));
    }
    let base = out.stream_position()?;
    out.write_all(b"fLaC")?;
    block(out, 0, false, &[0; STREAMINFO_BYTES])?;
    block(out, 4, true, &comments(audio, cx))?;
    let mut blocks = Blocks::new(audio, bits);
    let channels = usize::from(audio.channels);
    let mut pending = Vec::new();
    while let Some(samples) = chunk {
        cx.checkpoint()?;
        let samples = match samples {
            AudioChunk::Int { samples, channels, bits: own } if channels == audio.channels && own == bits => samples,
            _ => return Err(Error::malformed("the kind of the samples changes within the stream")),
        };
        pending.extend_from_slice(&samples);
        let whole = pending.len() - pending.len() % (BLOCK * channels);
        for samples in pending[..whole].chunks_exact(BLOCK * channels) {
            blocks.write(samples, out)?;
        }
        pending.drain(..whole);
        chunk = audio.samples.next_chunk()?;
    }
    if !pending.is_empty() {
        blocks.write(&pending, out)?;
    }
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(base + 8))?;
    out.write_all(&blocks.stream_info(audio))?;
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Encodes blocks and keeps the totals.
struct Blocks {
    encoder: Encoder,
    md5: Md5,
    bytes: Vec<u8>,
    channels: usize,
    bits: u8,
    frames: u64,
    smallest: usize,
    largest: usize,
}

impl Blocks {
    fn new(audio: &Audio, bits: u8) -> Self {
        let channels = usize::from(audio.channels);
        Self {
            encoder: Encoder::new(audio.sample_rate, channels, bits),
            md5: Md5::new(),
            bytes: Vec::new(),
            channels,
            bits,
            frames: 0,
            smallest: usize::MAX,
            largest: 0,
        }
    }

    /// Encodes up to `BLOCK` samples a channel; only the last block may have fewer.
    fn write(&mut self, samples: &[i32], out: &mut Output) -> Result<()> {
        let (low, high) = (i32::MIN >> (32 - self.bits), i32::MAX >> (32 - self.bits));
        if let Some(sample) = samples.iter().find(|sample| !(low..=high).contains(sample)) {
            return Err(Error::malformed(format!("expected samples of {} bits, found {sample}", self.bits)));
        }
        // Of so few samples the number of a block has at most 24 bits.
        let number = (self.frames / BLOCK as u64) as u32;
        self.frames += (samples.len() / self.channels) as u64;
        if self.frames > MOST_FRAMES {
            return Err(Error::unsupported(format!("more than {MOST_FRAMES} samples a channel")));
        }
        super::hash(&mut self.md5, samples, self.bits, &mut self.bytes);
        let coded = self.encoder.encode(samples, number);
        out.write_all(coded)?;
        self.smallest = self.smallest.min(coded.len());
        self.largest = self.largest.max(coded.len());
        Ok(())
    }

    /// 8.2: the body of STREAMINFO.
    fn stream_info(self, audio: &Audio) -> [u8; STREAMINFO_BYTES] {
        let mut body = [0; STREAMINFO_BYTES];
        let block = (BLOCK as u16).to_be_bytes();
        body[..2].copy_from_slice(&block);
        body[2..4].copy_from_slice(&block);
        let smallest = if self.frames == 0 { 0 } else { self.smallest as u32 };
        body[4..7].copy_from_slice(&smallest.to_be_bytes()[1..]);
        body[7..10].copy_from_slice(&(self.largest as u32).to_be_bytes()[1..]);
        let packed = u64::from(audio.sample_rate) << 44
            | u64::from(audio.channels - 1) << 41
            | u64::from(self.bits - 1) << 36
            | self.frames;
        body[10..18].copy_from_slice(&packed.to_be_bytes());
        body[18..].copy_from_slice(&self.md5.finalize());
        body
    }
}

/// A metadata block.
fn block(out: &mut Output, kind: u8, last: bool, body: &[u8]) -> Result<()> {
    out.write_all(&[kind | u8::from(last) << 7])?;
    out.write_all(&(body.len() as u32).to_be_bytes()[1..])?;
    Ok(out.write_all(body)?)
}

/// 8.6: the body of the comment block.
fn comments(audio: &Audio, cx: &Context) -> Vec<u8> {
    let mut fields = BTreeMap::new();
    let mut lost = 0;
    for (key, value) in &audio.tags {
        match tags::vorbis_field(key) {
            Some(field) if !fields.contains_key(field) => drop(fields.insert(field, value.clone())),
            _ => lost += 1,
        }
    }
    if audio.layout != metadata::layout(None, audio.channels) {
        match layout::mask(&audio.layout).filter(|_| audio.layout.len() == usize::from(audio.channels)) {
            Some(mask) => drop(fields.insert(MASK_FIELD, format!("0x{mask:04X}"))),
            None => {
                cx.lose("layout", u64::from(!audio.layout.is_empty()), "a speaker layout that no channel mask says")
            }
        }
    }
    let text = |body: &mut Vec<u8>, text: &str| {
        body.extend((text.len() as u32).to_le_bytes());
        body.extend(text.as_bytes());
    };
    let mut body = Vec::new();
    text(&mut body, "mediary");
    let count_at = body.len();
    body.extend([0; 4]);
    let mut count = 0_u32;
    for (key, value) in fields {
        if body.len() + key.len() + value.len() + 5 > MOST_BLOCK_BYTES {
            lost += 1;
            continue;
        }
        text(&mut body, &format!("{key}={value}"));
        count += 1;
    }
    body[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
    cx.lose("tags", lost, "tags that no comment field can hold");
    body
}
