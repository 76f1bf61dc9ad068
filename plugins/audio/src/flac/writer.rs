//! Writes FLAC streams, block by block in bounded memory; STREAMINFO is filled in at the end. Frames are encoded by `flacenc`.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};
use md5::{Digest, Md5};
use mediary_core::record::{Audio, AudioChunk, Media};
use mediary_core::{Context, Error, MediaRecord, Output, Result};

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
        () if !(8..=24).contains(&bits) => Some(format!("integer samples of {bits} bits")),
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
        return Err(Error::unsupported(format!("expected integers of 8 to 24 bits in 1 to 8 channels, found {found}"))
            .with_hint("write it as wav, which holds any samples"));
    }
    let base = out.stream_position()?;
    out.write_all(b"fLaC")?;
    block(out, 0, false, &[0; STREAMINFO_BYTES])?;
    block(out, 4, true, &comments(audio, cx))?;
    let mut blocks = Blocks::new(audio, bits)?;
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
    out.write_all(&blocks.stream_info(audio)?)?;
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Encodes blocks and keeps the totals.
struct Blocks {
    config: Verified<Encoder>,
    info: StreamInfo,
    buffer: FrameBuf,
    sink: ByteSink,
    md5: Md5,
    bytes: Vec<u8>,
    bits: u8,
    number: usize,
    frames: u64,
    smallest: usize,
    largest: usize,
}

impl Blocks {
    fn new(audio: &Audio, bits: u8) -> Result<Self> {
        let config = Encoder::default().into_verified().map_err(|(_, error)| refused(error))?;
        let channels = usize::from(audio.channels);
        Ok(Self {
            config,
            info: StreamInfo::new(audio.sample_rate as usize, channels, bits.into()).map_err(refused)?,
            buffer: FrameBuf::with_size(channels, BLOCK).map_err(refused)?,
            sink: ByteSink::new(),
            md5: Md5::new(),
            bytes: Vec::new(),
            bits,
            number: 0,
            frames: 0,
            smallest: usize::MAX,
            largest: 0,
        })
    }

    /// Encodes up to `BLOCK` samples a channel; only the last block may have fewer.
    fn write(&mut self, samples: &[i32], out: &mut Output) -> Result<()> {
        let (low, high) = (-1_i32 << (self.bits - 1), (1_i32 << (self.bits - 1)) - 1);
        if let Some(sample) = samples.iter().find(|sample| !(low..=high).contains(sample)) {
            return Err(Error::malformed(format!("expected samples of {} bits, found {sample}", self.bits)));
        }
        super::hash(&mut self.md5, samples, self.bits, &mut self.bytes);
        let frames = samples.len() / self.buffer.channels();
        if frames < BLOCK {
            self.buffer.resize(frames);
        }
        self.buffer.fill_interleaved(samples).map_err(refused)?;
        let frame =
            flacenc::encode_fixed_size_frame(&self.config, &self.buffer, self.number, &self.info).map_err(refused)?;
        self.sink.clear();
        frame
            .write(&mut self.sink)
            .map_err(|_| Error::unsupported("the encoder made a frame that cannot be stored"))?;
        let coded = self.sink.as_slice();
        out.write_all(coded)?;
        self.smallest = self.smallest.min(coded.len());
        self.largest = self.largest.max(coded.len());
        self.number += 1;
        self.frames += frames as u64;
        Ok(())
    }

    /// 8.2: the body of STREAMINFO.
    fn stream_info(self, audio: &Audio) -> Result<[u8; STREAMINFO_BYTES]> {
        if self.frames > MOST_FRAMES {
            return Err(Error::unsupported(format!("{} samples a channel, the most is {MOST_FRAMES}", self.frames)));
        }
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
        Ok(body)
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

/// The encoder refuses what `refusal` lets through.
fn refused(error: impl std::fmt::Display) -> Error {
    Error::unsupported(format!("the encoder refuses: {error}"))
}
