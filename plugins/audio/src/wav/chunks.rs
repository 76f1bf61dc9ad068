//! The chunks of a WAVE file around its samples: what they say, and where the samples are.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Seek, SeekFrom};

use mediary_core::{Context, Error, Location, Result, Severity, Source, SourceReader, Strictness};

use super::codec::Codec;
use crate::{layout, tags};

/// `nSamples` or a size of 32 bits that stands elsewhere (`ds64`) or was not known when the header was written.
pub(super) const UNKNOWN: u32 = u32::MAX;
/// Bytes of the tail that follows the two-byte code of the format GUIDs of `WAVE_FORMAT_EXTENSIBLE`.
pub(super) const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// The same in files of ambisonics (B-format).
const GUID_TAIL_AMBISONIC: [u8; 14] = [0, 0, 0x21, 0x07, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0];
/// Chunks that are looked at: a file of empty chunks takes no time.
const MOST_CHUNKS: u32 = 10_000;
/// Bytes of a `LIST` chunk whose tags are read.
const MOST_TAG_BYTES: u64 = 1 << 20;

/// `wFormatTag`, see RFC 2361.
mod tag {
    pub(super) const PCM: u16 = 1;
    pub(super) const MS_ADPCM: u16 = 2;
    pub(super) const IEEE_FLOAT: u16 = 3;
    pub(super) const ALAW: u16 = 6;
    pub(super) const MULAW: u16 = 7;
    pub(super) const IMA_ADPCM: u16 = 0x11;
    pub(super) const GSM610: u16 = 0x31;
    pub(super) const EXTENSIBLE: u16 = 0xFFFE;

    /// Names of what is not decoded.
    pub(super) fn name(tag: u16) -> &'static str {
        match tag {
            0x22 => "TrueSpeech",
            0x40 => "G.721 ADPCM",
            0x42 => "G.723.1",
            0x45 => "G.726 ADPCM",
            0x50 => "MPEG layer 2",
            0x55 => "MP3",
            0x64 => "G.726 ADPCM",
            0x92 | 0x2000 => "AC-3",
            0xFF | 0x1600 | 0x1601 | 0x1610 => "AAC",
            0x160 | 0x161 => "Windows Media Audio",
            0x162 => "Windows Media Audio 9 Professional",
            0x163 => "Windows Media Audio 9 Lossless",
            0x270 => "ATRAC3",
            0x674F | 0x6750 | 0x6751 | 0x676F | 0x6770 | 0x6771 => "Ogg Vorbis",
            0x5756 => "WavPack",
            0xF1AC => "FLAC",
            _ => "unknown",
        }
    }
}

/// The `fmt ` chunk.
#[derive(Clone, Debug)]
pub(super) struct Fmt {
    pub(super) codec: Codec,
    pub(super) channels: u16,
    pub(super) rate: u32,
    pub(super) align: u16,
    pub(super) frames_per_block: u32,
    pub(super) layout: Vec<&'static str>,
}

/// Everything but the samples.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) fmt: Fmt,
    /// Where the samples begin.
    pub(super) data: u64,
    /// Bytes of whole blocks that are there.
    pub(super) data_len: u64,
    pub(super) tags: BTreeMap<String, String>,
    /// Codes of chunks that were set aside.
    pub(super) other: BTreeMap<String, u64>,
    /// Whether the file is little-endian and nothing was found wrong with it.
    pub(super) clean: bool,
}

impl Header {
    pub(super) fn frames(&self) -> u64 {
        self.data_len / u64::from(self.fmt.align) * u64::from(self.fmt.frames_per_block)
    }
}

/// Reads all chunk headers and the small chunks.
pub(super) fn read(source: &Source, cx: &Context) -> Result<Header> {
    Walk { reader: source.reader(), len: source.len(), cx, big: false, wide: false, clean: true, ds64: None }.run()
}

/// Sizes of 64 bits.
#[derive(Clone, Copy)]
struct Ds64 {
    riff: u64,
    data: u64,
}

struct Walk<'a> {
    reader: SourceReader,
    len: u64,
    cx: &'a Context,
    big: bool,
    wide: bool,
    clean: bool,
    ds64: Option<Ds64>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Header> {
        let head: [u8; 12] = self.bytes("the RIFF header", 0)?;
        (self.big, self.wide) = match &head[..4] {
            b"RIFF" => (false, false),
            b"RIFX" => (true, false),
            b"RF64" | b"BW64" => (false, true),
            found => {
                return Err(
                    Error::malformed(format!("expected \"RIFF\", found \"{}\"", found.escape_ascii())).at_byte(0)
                );
            }
        };
        if &head[8..] != b"WAVE" {
            let found = head[8..].escape_ascii();
            return Err(Error::malformed(format!("expected a RIFF of type \"WAVE\", found \"{found}\"")).at_byte(8));
        }
        let riff = self.u32(&head, 4);
        let (mut fmt, mut data, mut fact) = (None, None, None);
        let mut tags = BTreeMap::new();
        let mut other = BTreeMap::new();
        let mut at = 12;
        let mut count = 0;
        while at + 8 <= self.len {
            count += 1;
            if count > MOST_CHUNKS {
                self.deviation("chunks", format!("more than {MOST_CHUNKS} chunks; the rest was not looked at"), at)?;
                break;
            }
            self.cx.checkpoint()?;
            let chunk: [u8; 8] = self.bytes("a chunk header", at)?;
            let (size, body) = (self.u32(&chunk, 4), at + 8);
            let left = self.len - body;
            let mut size64 = u64::from(size);
            if &chunk[..4] == b"data" {
                if data.is_some() {
                    self.deviation("extra-data", "a second data chunk was left out".into(), at)?;
                } else {
                    size64 = self.data_size(size, riff, left, at)?;
                    data = Some((body, size64.min(left)));
                }
            } else if size64 > left {
                self.missing(&format!("the chunk \"{}\"", chunk[..4].escape_ascii()), size64, left, at)?;
                break;
            }
            match &chunk[..4] {
                b"fmt " if fmt.is_none() => fmt = Some(self.fmt(body, size64)?),
                b"fmt " => self.deviation("extra-fmt", "a second fmt chunk was left out".into(), at)?,
                b"ds64" if self.wide => self.ds64 = Some(self.ds64(body, size64)?),
                b"fact" if size64 >= 4 => {
                    let bytes: [u8; 4] = self.bytes("the fact chunk", body)?;
                    fact = Some(self.u32(&bytes, 0));
                }
                b"LIST" if size64 >= 4 => self.list(body, size64, &mut tags, &mut other)?,
                b"data" | b"JUNK" | b"junk" | b"PAD " | b"FLLR" | b"fact" => {}
                code => *other.entry(code.escape_ascii().to_string()).or_default() += 1,
            }
            at = self.after(body, size64)?;
        }
        if at < self.len && count <= MOST_CHUNKS && self.len - at < 8 {
            let found = self.len - at;
            self.deviation("trailing", format!("{found} bytes after the last chunk are no chunk"), at)?;
        }
        let Some(fmt) = fmt else {
            return Err(Error::malformed("expected a fmt chunk, found none")
                .at_byte(at.min(self.len))
                .with_hint("the file is cut short; fetch or copy it again"));
        };
        let Some((data, available)) = data else {
            let hint = match other.contains_key("wavl") {
                true => "samples in a LIST of type wavl are not read",
                false => "the file is cut short; fetch or copy it again",
            };
            return Err(Error::malformed("expected a data chunk, found none")
                .at_byte(at.min(self.len))
                .with_hint(hint));
        };
        let end = riff_end(riff, self.ds64);
        if end.is_some_and(|end| end > self.len || end + 1 < at.min(self.len)) && self.clean {
            let message = format!("the RIFF header announces {} bytes, the file has {}", end.unwrap_or(0), self.len);
            self.deviation("riff-size", message, 4)?;
        }
        let align = u64::from(fmt.align);
        let rest = available % align;
        if rest != 0 {
            let message = format!("the data chunk ends {rest} bytes into a block of {align}; they were left out");
            self.deviation("partial-block", message, data + available - rest)?;
        }
        let header = Header { fmt, data, data_len: available - rest, tags, other, clean: self.clean && !self.big };
        self.compare_fact(fact, &header);
        Ok(header)
    }

    /// Bytes of the data chunk by its header, of which `left` are there.
    fn data_size(&mut self, size: u32, riff: u32, left: u64, at: u64) -> Result<u64> {
        if self.wide && size == UNKNOWN {
            let Some(ds64) = self.ds64 else {
                return Err(
                    Error::malformed("expected a ds64 chunk before the data of an RF64 file, found none").at_byte(at)
                );
            };
            if ds64.data > left {
                self.missing("the data chunk", ds64.data, left, at)?;
            }
            return Ok(ds64.data);
        }
        // A writer to a pipe cannot come back to fill the sizes in.
        let open_end = size == UNKNOWN || (size == 0 && left > 0 && matches!(riff, 0 | UNKNOWN));
        if open_end {
            self.deviation("streamed", format!("the data chunk has no size; {left} bytes to the end were read"), at)?;
            return Ok(left);
        }
        if u64::from(size) > left {
            self.missing("the data chunk", size.into(), left, at)?;
        }
        Ok(size.into())
    }

    /// Where the next chunk begins. Chunks start at even offsets; some writers forget the pad byte.
    fn after(&mut self, body: u64, size: u64) -> Result<u64> {
        let end = body.saturating_add(size);
        if size.is_multiple_of(2) || end + 1 >= self.len {
            return Ok(end.saturating_add(size % 2).min(self.len));
        }
        let is_code = |code: &[u8]| code.len() == 4 && code.iter().all(|byte| (0x20..0x7F).contains(byte));
        self.reader.seek(SeekFrom::Start(end))?;
        let next = self.reader.fill_buf()?;
        let unpadded = next.len() >= 8 && is_code(&next[..4]) && !is_code(next.get(1..5).unwrap_or(&[]));
        if unpadded {
            self.deviation("no-padding", "a chunk of odd size is not padded to an even offset".into(), end)?;
            return Ok(end);
        }
        Ok(end + 1)
    }

    fn ds64(&mut self, body: u64, size: u64) -> Result<Ds64> {
        if size < 28 {
            return Err(
                Error::malformed(format!("expected a ds64 chunk of at least 28 bytes, found {size}")).at_byte(body)
            );
        }
        let bytes: [u8; 16] = self.bytes("the ds64 chunk", body)?;
        let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        Ok(Ds64 { riff: word(0), data: word(8) })
    }

    fn fmt(&mut self, body: u64, size: u64) -> Result<Fmt> {
        if size < 14 {
            return Err(
                Error::malformed(format!("expected a fmt chunk of at least 14 bytes, found {size}")).at_byte(body)
            );
        }
        // At most the 40 bytes of the extensible form and 256 pairs of ADPCM coefficients count.
        let mut bytes = vec![0; usize::try_from(size.min(22 + 4 * 256)).unwrap_or(0)];
        self.read(&mut bytes, "the fmt chunk", body)?;
        let channels = self.u16(&bytes, 2);
        let rate = self.u32(&bytes, 4);
        let align = self.u16(&bytes, 12);
        let declared_bits = if bytes.len() >= 16 { self.u16(&bytes, 14) } else { 0 };
        let mut code = self.u16(&bytes, 0);
        if channels == 0 {
            return Err(Error::malformed("expected at least 1 channel, found 0").at_byte(body + 2));
        }
        if rate == 0 {
            return Err(Error::malformed("expected a sample rate above 0, found 0").at_byte(body + 4));
        }
        if align == 0 {
            return Err(Error::malformed("expected a block align above 0, found 0").at_byte(body + 12));
        }
        let (mut valid, mut layout) = (declared_bits, Vec::new());
        let extensible = code == tag::EXTENSIBLE;
        if extensible {
            if bytes.len() < 40 {
                let found = bytes.len();
                return Err(Error::malformed(format!("expected an extensible fmt chunk of 40 bytes, found {found}"))
                    .at_byte(body));
            }
            if bytes[26..40] != GUID_TAIL && bytes[26..40] != GUID_TAIL_AMBISONIC {
                let guid = mediary_core::hex(&bytes[24..40]);
                return Err(Error::unsupported(format!("samples of the private coding {guid}")).at_byte(body + 24));
            }
            // The first four bytes of a GUID are one number; the code is its lower half.
            code = if self.big && bytes[24..26] == [0, 0] { self.u16(&bytes, 26) } else { self.u16(&bytes, 24) };
            if !matches!(self.u16(&bytes, 18), 0) {
                valid = self.u16(&bytes, 18);
            }
            layout = self.layout(self.u32(&bytes, 20), channels, body + 20)?;
        }
        let codec = self.codec(code, &bytes, (declared_bits, valid), extensible, body)?;
        let frames_per_block = codec.frames_per_block(align, channels).map_err(|error| error.at_byte(body + 12))?;
        Ok(Fmt { codec, channels, rate, align, frames_per_block, layout })
    }

    fn codec(&mut self, code: u16, bytes: &[u8], bits: (u16, u16), extensible: bool, body: u64) -> Result<Codec> {
        let (declared, valid) = bits;
        let (channels, align) = (self.u16(bytes, 2), self.u16(bytes, 12));
        let wrong_bits = |expected: &str| {
            Err(Error::malformed(format!("expected {expected} bits a sample, found {declared}")).at_byte(body + 14))
        };
        match code {
            tag::PCM => {
                if !(1..=32).contains(&declared) {
                    if declared == 64 {
                        return Err(Error::unsupported("integer samples of 64 bits").at_byte(body + 14));
                    }
                    return wrong_bits("1 to 32");
                }
                let least = declared.div_ceil(8);
                let width = align / channels;
                // Extensible files state the container in wBitsPerSample; in plain ones the block align shows it.
                if align % channels != 0 || width < least || width > 4 || (extensible && width != least) {
                    return Err(Error::malformed(format!(
                        "block align {align} does not fit {channels} channels of {declared} bits: expected {}",
                        u32::from(least) * u32::from(channels)
                    ))
                    .at_byte(body + 12));
                }
                if width > least {
                    let message = format!("samples of {declared} bits stand in {width} bytes, {least} would do");
                    self.deviation("wide-container", message, body + 12)?;
                }
                let mut valid = valid;
                if valid > width * 8 {
                    let message = format!("{valid} valid bits in a container of {} bits", width * 8);
                    self.deviation("valid-bits", message, body + 18)?;
                    valid = width * 8;
                }
                Ok(Codec::Pcm { bytes: width as u8, bits: valid as u8, big: self.big })
            }
            tag::IEEE_FLOAT => match declared {
                32 | 64 => Ok(Codec::Float { bytes: (declared / 8) as u8, big: self.big }),
                _ => wrong_bits("32 or 64 float"),
            },
            tag::ALAW | tag::MULAW if declared != 8 => wrong_bits("8"),
            tag::ALAW => Ok(Codec::ALaw),
            tag::MULAW => Ok(Codec::MuLaw),
            tag::IMA_ADPCM if declared != 4 && declared != 0 => {
                Err(Error::unsupported(format!("IMA ADPCM of {declared} bits a sample")).at_byte(body + 14))
            }
            tag::IMA_ADPCM => Ok(Codec::Ima),
            tag::MS_ADPCM => self.ms_coefficients(bytes, body),
            tag::GSM610 => Ok(Codec::Gsm),
            _ => Err(Error::unsupported(format!("the codec {} (format tag {code:#06x})", tag::name(code)))
                .at_byte(body)
                .with_hint(
                    "PCM, float, A-law, mu-law, IMA and MS ADPCM and GSM 6.10 are decoded; convert it with ffmpeg",
                )),
        }
    }

    fn ms_coefficients(&self, bytes: &[u8], body: u64) -> Result<Codec> {
        let count = if bytes.len() >= 22 { usize::from(self.u16(bytes, 20)) } else { 0 };
        if count == 0 || count > 256 || bytes.len() < 22 + 4 * count {
            return Err(Error::malformed(format!(
                "expected 1 to 256 pairs of ADPCM coefficients, found {count} in {} bytes",
                bytes.len()
            ))
            .at_byte(body));
        }
        let value = |at: usize| i32::from(self.u16(bytes, at).cast_signed());
        Ok(Codec::Ms((0..count).map(|pair| [value(22 + 4 * pair), value(24 + 4 * pair)]).collect()))
    }

    /// Speaker names of `dwChannelMask`; a mask that does not fit the channels says nothing.
    fn layout(&mut self, mask: u32, channels: u16, at: u64) -> Result<Vec<&'static str>> {
        if mask == 0 {
            return Ok(Vec::new());
        }
        let Some(speakers) = layout::speakers(mask, channels) else {
            let message = format!("the channel mask {mask:#x} does not name {channels} speakers; it was ignored");
            self.deviation("channel-mask", message, at)?;
            return Ok(Vec::new());
        };
        Ok(speakers)
    }

    /// A `LIST` chunk: of type `INFO`, tags.
    fn list(
        &mut self,
        body: u64,
        size: u64,
        tags: &mut BTreeMap<String, String>,
        other: &mut BTreeMap<String, u64>,
    ) -> Result<()> {
        let kind: [u8; 4] = self.bytes("a LIST chunk", body)?;
        if &kind != b"INFO" {
            *other.entry(kind.escape_ascii().to_string()).or_default() += 1;
            return Ok(());
        }
        if size > MOST_TAG_BYTES {
            return self.deviation("tags", format!("{size} bytes of tags were left out"), body);
        }
        self.cx.budget().take(size)?;
        let mut bytes = vec![0; usize::try_from(size - 4).unwrap_or(0)];
        self.read(&mut bytes, "a LIST chunk", body + 4)?;
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 8) {
            let length = self.u32(head, 4) as usize;
            let Some(value) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else {
                let message = format!("the tag \"{}\" is longer than its list", head[..4].escape_ascii());
                self.deviation("tags", message, body + 4 + at as u64)?;
                break;
            };
            let (value, is_utf8) = tags::text(value);
            if !is_utf8 {
                self.cx.note("tag-encoding", "a tag is not UTF-8 and was read as Latin-1");
            }
            tags.insert(head[..4].escape_ascii().to_string(), value);
            at = at.saturating_add(8).saturating_add(length).saturating_add(length % 2);
        }
        self.cx.budget().give_back(size);
        Ok(())
    }

    /// The `fact` chunk counts frames; codecs of blocks pad the last one.
    fn compare_fact(&self, fact: Option<u32>, header: &Header) {
        let (Some(fact), frames) = (fact, header.frames()) else { return };
        if !matches!(fact, 0 | UNKNOWN) && u64::from(fact) != frames && self.clean && !self.wide {
            self.cx
                .note("fact", format!("the fact chunk counts {fact} frames, the blocks hold {frames}; all are read"));
        }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let pair = [bytes[at], bytes[at + 1]];
        if self.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    }

    fn bytes<const N: usize>(&mut self, what: &str, at: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes, what, at)?;
        Ok(bytes)
    }

    fn read(&mut self, bytes: &mut [u8], what: &str, at: u64) -> Result<()> {
        self.reader.seek(SeekFrom::Start(at))?;
        let left = self.len.saturating_sub(at);
        if left < bytes.len() as u64 {
            return Err(Error::truncated(what, bytes.len() as u64, left).at_byte(at));
        }
        Ok(self.reader.read_exact(bytes)?)
    }

    /// A repaired deviation.
    fn deviation(&mut self, code: &str, message: String, at: u64) -> Result<()> {
        self.clean = false;
        self.cx.tolerate(code, message, Location::byte(at))
    }

    /// Content that should be there and is not.
    fn missing(&mut self, what: &str, expected: u64, found: u64, at: u64) -> Result<()> {
        self.clean = false;
        let error = Error::truncated(what, expected, found).at_byte(at);
        if self.cx.strictness() == Strictness::Strict {
            return Err(error);
        }
        self.cx.report(Severity::Error, "truncated", error.message(), Some(Location::byte(at)));
        Ok(())
    }
}

/// Length of the file by its RIFF header, unless it does not say.
fn riff_end(riff: u32, ds64: Option<Ds64>) -> Option<u64> {
    match ds64 {
        Some(ds64) => ds64.riff.checked_add(8),
        None if matches!(riff, 0 | UNKNOWN) => None,
        None => Some(u64::from(riff) + 8),
    }
}
