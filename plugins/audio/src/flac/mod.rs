//! FLAC, the Free Lossless Audio Codec: integer sound, exactly, at about half its size.
//!
//! Specification: RFC 9639. <https://www.rfc-editor.org/rfc/rfc9639>
//!
//! | bytes | field |
//! |---|---|
//! | 4 | `fLaC` (an ID3v2 tag before it is passed over, with a note) |
//! | 4 | metadata block: last flag 1 bit, type 7 bits, length 24 bits; the first is STREAMINFO |
//! | 34 | STREAMINFO: block sizes, frame sizes, sample rate 20 bits, channels 3, bits a sample 5, frames 36, MD5 16 bytes |
//! | … | further blocks: comments (tags), pictures (counted), others (passed over) |
//! | … | frames: header with CRC-8, a subframe a channel, CRC-16 |
//!
//! **Read:** everything the RFC allows: 4 to 32 bits, 1 to 8 channels, fixed and variable block sizes. The checksum of every
//! frame, the number of samples and the MD5 of all samples are compared with what the stream states.
//!
//! **Written:** 4 to 32 bits, 1 to 8 channels, in blocks of 4096 samples, with tags and MD5, about as small as `flac -5`.
//! Lost, and reported: tags that no field can hold (`flac.tags`), layouts that no mask can say (`flac.layout`), properties
//! (`flac.properties`). Other samples are `unsupported`: WAVE holds them.
//!
//! **Strictness:** a frame that cannot be decoded is left out (`flac.frame`), a wrong number of samples (`flac.length`), a
//! wrong MD5 (`flac.md5`) and bytes after the stream (`flac.trailing`) are diagnostics; in strict mode they are errors.

mod encode;
mod frame;
mod metadata;
mod predict;
mod rice;
mod writer;

use md5::{Digest, Md5};
use mediary_core::record::{Audio, AudioChunk, Stream};
use mediary_core::{
    Canonical, Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location,
    Media, MediaRecord, Output, Probe, Result, Severity, Signature, Source, Strictness,
};

use frame::Fault;
#[cfg(test)]
pub(crate) use frame::{crc8, crc16};
use metadata::Metadata;

/// Bytes that are read at a time.
const WINDOW: usize = 256 << 10;
/// Bytes that no sensible frame exceeds: 65535 samples of 8 channels stored as they are, with room to spare. A frame may
/// still be longer, because a badly chosen Rice parameter costs up to 2^32 bits a sample; the budget pays for such.
const USUAL_FRAME_BYTES: usize = 4 << 20;

const INFO: FormatInfo = FormatInfo::new("flac", "Free Lossless Audio Codec", &[Kind::Audio])
    .extensions(&["flac"])
    .media_types(&["audio/flac", "audio/x-flac"])
    .signatures(&[
        Signature { offset: 0, bytes: b"fLaC", mask: &[] },
        Signature { offset: 0, bytes: b"ID3", mask: &[] },
    ])
    .reads()
    .writes(&[Feature::Integer])
    .canonical(&[Canonical { kind: Kind::Audio, integer: Some(true) }])
    .spec("https://www.rfc-editor.org/rfc/rfc9639");

struct Flac;

mediary_core::register!(Flac);

impl Format for Flac {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        // An ID3v2 tag is usually that of an MP3: what follows it decides. One longer than
        // the head hides it: such a file is read with --from.
        let at = usize::try_from(metadata::id3v2(probe.head)).unwrap_or(usize::MAX);
        match probe.head.get(at..).filter(|rest| rest.len() >= 4) {
            Some(rest) if rest.starts_with(b"fLaC") => Confidence::yes(250, "the stream marker fLaC"),
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader { source: source.clone(), cx: cx.clone(), metadata: None, read: false }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        writer::write(record, out, cx)
    }

    fn holds(&self, media: &Media) -> bool {
        matches!(media, Media::Audio(audio) if writer::refusal(audio, audio.bit_depth).is_none())
    }
}

struct Reader {
    source: Source,
    cx: Context,
    metadata: Option<Metadata>,
    read: bool,
}

impl Reader {
    fn metadata(&mut self) -> Result<&Metadata> {
        if self.metadata.is_none() {
            self.metadata = Some(metadata::read(&self.source, &self.cx)?);
        }
        self.metadata.as_ref().ok_or_else(|| Error::malformed("the metadata could not be read"))
    }

    fn audio(&mut self) -> Result<Audio> {
        let (source, cx) = (self.source.clone(), self.cx.clone());
        let metadata = self.metadata()?;
        let info = &metadata.info;
        Ok(Audio {
            sample_rate: info.sample_rate,
            channels: info.channels,
            layout: metadata.layout.clone(),
            integer: true,
            bit_depth: info.bits,
            codec: "flac".into(),
            declared_frames: info.frames,
            tags: metadata.tags.clone(),
            samples: Stream::new(Frames::new(source, cx, metadata)),
        })
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        Ok(Header::single(Facts::Audio(self.audio()?.facts())))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.read, true) {
            return Ok(None);
        }
        let mut record = MediaRecord::new(self.audio()?);
        let metadata = self.metadata()?;
        // Broken frames show only on decoding, as diagnostics of severity error.
        record.source_is_canonical = metadata.clean && metadata.info.frames.is_some() && metadata.info.md5.is_some();
        if metadata.pictures > 0 {
            record = record.with_property("pictures", metadata.pictures);
        }
        Ok(Some(record))
    }
}

/// The frames of a stream, decoded one at a time.
struct Frames {
    source: Source,
    cx: Context,
    info: metadata::StreamInfo,
    /// A stretch of the source.
    window: Vec<u8>,
    /// Where it stands in the source.
    window_at: u64,
    /// Next byte in it.
    at: usize,
    work: Vec<Vec<i64>>,
    md5: Option<Md5>,
    bytes: Vec<u8>,
    decoded: u64,
    faults: u64,
    /// Bytes that decoding without result may still look at: broken streams take linear time.
    patience: u64,
    ended: bool,
}

impl Frames {
    fn new(source: Source, cx: Context, metadata: &Metadata) -> Self {
        Self {
            info: metadata.info.clone(),
            window: Vec::new(),
            window_at: metadata.frames_at,
            at: 0,
            work: Vec::new(),
            md5: metadata.info.md5.is_some().then(Md5::new),
            bytes: Vec::new(),
            decoded: 0,
            faults: 0,
            patience: source.len().saturating_mul(8).saturating_add(64 << 20),
            ended: false,
            source,
            cx,
        }
    }

    /// Offset in the source of the next byte.
    fn offset(&self) -> u64 {
        self.window_at + self.at as u64
    }

    /// Makes at least `wanted` bytes ready, or all that are left.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let ready = self.window.len() - self.at;
        let left = self.source.len().saturating_sub(self.offset());
        if ready >= wanted || ready as u64 >= left {
            return Ok(());
        }
        self.window_at = self.offset();
        self.window.drain(..self.at);
        self.at = 0;
        let size = usize::try_from(left.min((wanted + WINDOW) as u64)).unwrap_or(0);
        self.window.resize(size, 0);
        let read = self.source.read_at(self.window_at + ready as u64, &mut self.window[ready..])?;
        self.window.truncate(ready + read);
        Ok(())
    }

    /// The next frame; `None` at the end.
    fn next_frame(&mut self) -> Result<Option<AudioChunk>> {
        loop {
            self.cx.checkpoint()?;
            let mut wanted = WINDOW;
            let mut taken = 0;
            let fault = loop {
                self.fill(wanted)?;
                let ready = &self.window[self.at..];
                if ready.is_empty() {
                    return Ok(None);
                }
                if self.is_over(ready) {
                    return self.trailing();
                }
                let mut seen = 0;
                match frame::decode(ready, &self.info, &mut self.work, &mut seen) {
                    Ok(frame) => {
                        let chunk = self.take(frame)?;
                        self.shrink(taken);
                        return Ok(Some(chunk));
                    }
                    Err(fault) => {
                        let whole = ready.len() as u64 >= self.source.len() - self.offset();
                        self.lose_patience(seen as u64)?;
                        if fault == Fault::End && !whole {
                            wanted = wanted.saturating_mul(2);
                            let more = self.pay_for(wanted);
                            if more.is_err() {
                                self.shrink(taken);
                            }
                            taken += more?;
                            continue;
                        }
                        break fault;
                    }
                }
            };
            self.shrink(taken);
            let reason = match fault {
                Fault::End => "the stream ends within it",
                Fault::Broken(reason) => reason,
            };
            self.faults += 1;
            self.finding("frame", format!("a frame could not be decoded: {reason}"))?;
            if !self.resynchronise()? {
                return Ok(None);
            }
        }
    }

    /// Takes from the budget what a window of `wanted` bytes has more than one of half of them, beyond what frames usually need.
    fn pay_for(&self, wanted: usize) -> Result<u64> {
        if wanted <= USUAL_FRAME_BYTES {
            return Ok(0);
        }
        let more = (wanted / 2) as u64;
        self.cx.budget().take(more).map(|()| more).map_err(|error| {
            error.at_byte(self.offset()).with_hint(format!(
                "a frame here has more than {more} bytes; raise the limit alloc_bytes if the file is to be trusted"
            ))
        })
    }

    /// Gives back what `pay_for` took, and the memory.
    fn shrink(&mut self, taken: u64) {
        if taken > 0 {
            self.window_at = self.offset();
            self.window.drain(..self.at);
            self.window.truncate(WINDOW);
            self.window.shrink_to(WINDOW);
            self.at = 0;
            self.cx.budget().give_back(taken);
        }
    }

    /// Whether all samples are decoded and what follows is no frame, or it is an ID3v1 tag.
    fn is_over(&self, ready: &[u8]) -> bool {
        let complete = self.info.frames.is_some_and(|frames| self.decoded >= frames);
        let id3v1 = ready.len() == 128 && ready.starts_with(b"TAG");
        id3v1 || (complete && !frame::starts(ready, &self.info))
    }

    /// Reports what follows the last frame.
    fn trailing(&mut self) -> Result<Option<AudioChunk>> {
        let left = self.source.len() - self.offset();
        let message = format!("{left} bytes after the last frame were passed over");
        self.cx.tolerate("trailing", message, Location::byte(self.offset()))?;
        Ok(None)
    }

    /// Moves to the next frame header. `false` when there is none.
    fn resynchronise(&mut self) -> Result<bool> {
        self.at += 1;
        loop {
            self.fill(WINDOW)?;
            let ready = &self.window[self.at..];
            match ready.iter().position(|&byte| byte == 0xFF) {
                None if ready.is_empty() => return Ok(false),
                None => self.at = self.window.len(),
                Some(skip) => {
                    self.at += skip;
                    self.fill(32)?;
                    if frame::starts(&self.window[self.at..], &self.info) {
                        return Ok(true);
                    }
                    self.at += 1;
                }
            }
            self.cx.checkpoint()?;
        }
    }

    fn lose_patience(&mut self, bytes: u64) -> Result<()> {
        match self.patience.checked_sub(bytes) {
            Some(left) => self.patience = left,
            None => {
                let message = format!("too many frames could not be decoded: {}", self.faults);
                return Err(Error::malformed(message).at_byte(self.offset()));
            }
        }
        Ok(())
    }

    /// Counts, hashes and hands over a decoded frame.
    fn take(&mut self, frame: frame::Frame) -> Result<AudioChunk> {
        if frame.other_rate {
            let message = "a frame states another sample rate than STREAMINFO; that of STREAMINFO counts";
            self.cx.tolerate("sample-rate", message, Location::byte(self.offset()))?;
        }
        self.at += frame.length;
        let (channels, bits) = (self.info.channels, self.info.bits);
        self.decoded += (frame.samples.len() / usize::from(channels)) as u64;
        if let Some(md5) = &mut self.md5 {
            hash(md5, &frame.samples, bits, &mut self.bytes);
        }
        Ok(AudioChunk::Int { samples: frame.samples.into(), channels, bits })
    }

    /// Compares the totals.
    fn close(&mut self) -> Result<()> {
        if let Some(stated) = self.info.frames.filter(|&stated| stated != self.decoded) {
            let decoded = self.decoded;
            self.finding("length", format!("expected {stated} samples a channel as STREAMINFO says, found {decoded}"))?;
        }
        // With frames missing the sum cannot fit; that was said already.
        let (Some(stated), Some(md5)) = (self.info.md5, self.md5.take()) else { return Ok(()) };
        let found: [u8; 16] = md5.finalize().into();
        if self.faults == 0 && found != stated {
            let (stated, found) = (mediary_core::hex(&stated), mediary_core::hex(&found));
            self.finding("md5", format!("expected the MD5 {stated} of the samples as STREAMINFO says, found {found}"))?;
        }
        Ok(())
    }

    /// Part of the content is missing or unreliable: an error in strict mode.
    fn finding(&self, code: &str, message: String) -> Result<()> {
        let location = Location::byte(self.offset());
        if self.cx.strictness() == Strictness::Strict {
            return Err(Error::malformed(message).at(location));
        }
        self.cx.report(Severity::Error, code, message, Some(location));
        Ok(())
    }
}

impl Iterator for Frames {
    type Item = Result<AudioChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_frame() {
            Ok(None) => {
                self.ended = true;
                self.close().err().map(Err)
            }
            frame => frame.transpose(),
        }
    }
}

/// Adds interleaved samples to the sum of STREAMINFO: little-endian, in whole bytes. `bytes` is scratch.
fn hash(md5: &mut Md5, samples: &[i32], bits: u8, bytes: &mut Vec<u8>) {
    bytes.clear();
    let width = usize::from(bits.div_ceil(8));
    match width {
        2 => samples.iter().for_each(|sample| bytes.extend((*sample as i16).to_le_bytes())),
        _ => samples.iter().for_each(|sample| bytes.extend(&sample.to_le_bytes()[..width])),
    }
    md5.update(&bytes);
}
