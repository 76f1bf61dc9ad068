//! Writes WAVE files. Sizes are filled in at the end; a `JUNK` chunk keeps room for the `ds64` chunk of RF64 (EBU Tech 3306).

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use mediary_core::record::{Audio, AudioChunk, Media};
use mediary_core::{Context, Error, MediaRecord, Output, Result};

use super::chunks::{GUID_TAIL, UNKNOWN};
use crate::{layout, tags};

/// Bytes of the body of a `ds64` chunk without a table.
const DS64_BYTES: u32 = 28;

/// How samples are stored.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Int { bits: u8 },
    Float,
}

impl Form {
    fn of(chunk: &AudioChunk) -> Result<Self> {
        match chunk {
            AudioChunk::Int { bits, .. } => Ok(Self::Int { bits: (*bits).clamp(1, 32) }),
            AudioChunk::Float { .. } => Ok(Self::Float),
            _ => Err(Error::unsupported("samples that are neither integers nor floats")),
        }
    }

    /// Bytes of a sample.
    fn bytes(self) -> u8 {
        match self {
            Self::Int { bits } => bits.div_ceil(8),
            Self::Float => 4,
        }
    }
}

/// Writes the record's audio, a chunk at a time.
pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    cx.lose("properties", record.properties.len() as u64, "properties beside the samples");
    let Media::Audio(audio) = &mut record.media else {
        return Err(Error::unsupported("only audio can be written as WAVE"));
    };
    if audio.channels == 0 || audio.sample_rate == 0 {
        return Err(Error::unsupported("audio without channels or without a sample rate"));
    }
    // The header comes first and depends on the samples: look at the first chunk.
    let mut chunk = audio.samples.next_chunk()?;
    let form = match &chunk {
        Some(chunk) => Form::of(chunk)?,
        None if audio.integer => Form::Int { bits: audio.bit_depth.clamp(1, 32) },
        None => Form::Float,
    };
    let align = u16::try_from(u32::from(audio.channels) * u32::from(form.bytes())).map_err(|_| {
        Error::unsupported(format!("{} channels of {} bytes do not fit into a block", audio.channels, form.bytes()))
    })?;
    let base = out.stream_position()?;
    let head = Head::new(audio, form, align, cx);
    out.write_all(&head.bytes)?;
    let mut written = 0_u64;
    let mut bytes = Vec::new();
    while let Some(samples) = chunk {
        cx.checkpoint()?;
        if Form::of(&samples)? != form {
            return Err(Error::malformed("the kind of the samples changes within the stream"));
        }
        bytes.clear();
        encode(&samples, form, audio.channels, &mut bytes)?;
        out.write_all(&bytes)?;
        written += bytes.len() as u64;
        chunk = audio.samples.next_chunk()?;
    }
    if written % 2 == 1 {
        out.write_all(&[0])?;
    }
    let end = out.stream_position()?;
    head.patch(out, base, end, written, written / u64::from(align))?;
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Everything before the samples, and where its sizes are.
struct Head {
    bytes: Vec<u8>,
    /// Offset of the frame count of the `fact` chunk, if there is one.
    fact: Option<u64>,
}

impl Head {
    fn new(audio: &Audio, form: Form, align: u16, cx: &Context) -> Self {
        let mask = mask(audio, cx);
        let (tag, bits) = match form {
            Form::Int { bits } => (1_u16, u16::from(bits)),
            Form::Float => (3, 32),
        };
        let container = u16::from(form.bytes()) * 8;
        let extensible = audio.channels > 2 || mask != 0 || bits != container || (tag == 1 && bits > 16);
        let mut bytes = b"RIFF\xFF\xFF\xFF\xFFWAVE".to_vec();
        chunk(&mut bytes, b"JUNK", &[0; DS64_BYTES as usize]);
        let mut fmt = Vec::with_capacity(40);
        fmt.extend(if extensible { 0xFFFE } else { tag }.to_le_bytes());
        fmt.extend(audio.channels.to_le_bytes());
        fmt.extend(audio.sample_rate.to_le_bytes());
        // The field has 32 bits; a higher rate of bytes is not stated by other writers either.
        fmt.extend(audio.sample_rate.saturating_mul(align.into()).to_le_bytes());
        fmt.extend(align.to_le_bytes());
        fmt.extend(container.to_le_bytes());
        if extensible {
            fmt.extend(22_u16.to_le_bytes());
            fmt.extend(bits.to_le_bytes());
            fmt.extend(mask.to_le_bytes());
            fmt.extend(tag.to_le_bytes());
            fmt.extend(GUID_TAIL);
        } else if tag != 1 {
            fmt.extend(0_u16.to_le_bytes());
        }
        chunk(&mut bytes, b"fmt ", &fmt);
        let fact = (tag != 1).then(|| {
            chunk(&mut bytes, b"fact", &[0; 4]);
            bytes.len() as u64 - 4
        });
        let info = info(&audio.tags, cx);
        if !info.is_empty() {
            chunk(&mut bytes, b"LIST", &info);
        }
        bytes.extend(b"data\xFF\xFF\xFF\xFF");
        Self { bytes, fact }
    }

    /// Fills in what is known at the end.
    fn patch(&self, out: &mut Output, base: u64, end: u64, data: u64, frames: u64) -> Result<()> {
        let riff = end - base - 8;
        let mut put = |at: u64, bytes: &[u8]| -> Result<()> {
            out.seek(SeekFrom::Start(base + at))?;
            Ok(out.write_all(bytes)?)
        };
        if let Some(fact) = self.fact {
            put(fact, &u32::try_from(frames).unwrap_or(UNKNOWN).to_le_bytes())?;
        }
        let small = u32::try_from(riff).ok().filter(|&riff| riff != UNKNOWN).zip(u32::try_from(data).ok());
        if let Some((riff, data)) = small {
            put(4, &riff.to_le_bytes())?;
            return put(self.bytes.len() as u64 - 4, &data.to_le_bytes());
        }
        put(0, b"RF64")?;
        let mut ds64 = b"ds64".to_vec();
        ds64.extend(DS64_BYTES.to_le_bytes());
        for size in [riff, data, frames] {
            ds64.extend(size.to_le_bytes());
        }
        put(12, &ds64)
    }
}

/// `dwChannelMask` of the layout; 0 where there is none, or none that says it.
fn mask(audio: &Audio, cx: &Context) -> u32 {
    let fits = audio.layout.len() == usize::from(audio.channels);
    layout::mask(&audio.layout).filter(|_| fits).unwrap_or_else(|| {
        cx.lose("layout", u64::from(!audio.layout.is_empty()), "a speaker layout that no channel mask says");
        0
    })
}

/// The body of a `LIST` chunk with the tags that have a RIFF key.
fn info(all: &BTreeMap<String, String>, cx: &Context) -> Vec<u8> {
    let mut kept = BTreeMap::new();
    let mut lost = 0;
    for (key, value) in all {
        match tags::info_key(key) {
            Some(key) if !value.contains('\0') && !kept.contains_key(&key) => drop(kept.insert(key, value)),
            _ => lost += 1,
        }
    }
    cx.lose("tags", lost, "tags that have no RIFF key");
    let mut body = if kept.is_empty() { Vec::new() } else { b"INFO".to_vec() };
    for (key, value) in kept {
        let mut text = value.as_bytes().to_vec();
        text.push(0);
        chunk(&mut body, &key, &text);
    }
    body
}

/// A chunk with its size and padding.
fn chunk(out: &mut Vec<u8>, code: &[u8; 4], body: &[u8]) {
    out.extend(code);
    out.extend(u32::try_from(body.len()).unwrap_or(UNKNOWN).to_le_bytes());
    out.extend(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
}

/// Samples as they stand in the file, left aligned in their bytes.
fn encode(chunk: &AudioChunk, form: Form, expected: u16, out: &mut Vec<u8>) -> Result<()> {
    let (samples, channels) = match chunk {
        AudioChunk::Int { samples, channels, .. } => (samples, *channels),
        AudioChunk::Float { samples, channels } => {
            samples.iter().for_each(|sample| out.extend(sample.to_le_bytes()));
            return same_channels(*channels, expected);
        }
        _ => return Ok(()),
    };
    let Form::Int { bits } = form else { return Ok(()) };
    let (low, high) = (-1_i64 << (bits - 1), (1_i64 << (bits - 1)) - 1);
    if let Some(sample) = samples.iter().find(|&&sample| !(low..=high).contains(&sample.into())) {
        return Err(Error::malformed(format!("expected samples of {bits} bits, found {sample}")));
    }
    let shift = form.bytes() * 8 - bits;
    match form.bytes() {
        1 => out.extend(samples.iter().map(|sample| ((sample << shift) + 128) as u8)),
        2 => samples.iter().for_each(|sample| out.extend(((sample << shift) as i16).to_le_bytes())),
        3 => samples.iter().for_each(|sample| out.extend(&(sample << shift).to_le_bytes()[..3])),
        _ => samples.iter().for_each(|sample| out.extend((sample << shift).to_le_bytes())),
    }
    same_channels(channels, expected)
}

fn same_channels(found: u16, expected: u16) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::malformed(format!("expected {expected} channels, found a chunk of {found}")))
}
