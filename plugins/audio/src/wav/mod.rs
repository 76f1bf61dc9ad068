//! WAVE: uncompressed sound, and some simple codecs, in RIFF chunks.
//!
//! Specification: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991); Microsoft,
//! *Multiple Channel Audio Data and WAVE Files*; RF64 and BW64: EBU Tech 3306, ITU-R BS.2088; codec numbers: RFC 2361.
//! <http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>
//!
//! | bytes | field |
//! |---|---|
//! | 4 | `RIFF` little-endian, `RIFX` big-endian, `RF64` or `BW64` with sizes of 64 bits in a `ds64` chunk |
//! | 4 | bytes that follow |
//! | 4 | `WAVE` |
//! | chunks | code (4), size (4), body, a pad byte if the size is odd |
//!
//! | chunk | body |
//! |---|---|
//! | `fmt ` | format tag 2, channels 2, sample rate 4, bytes a second 4, block align 2, bits a sample 2, extension |
//! | `data` | blocks of samples, interleaved by channel |
//! | `fact` | frames (4), for codecs other than PCM |
//! | `LIST` | of type `INFO`: tags |
//!
//! **Read:** integers of 1 to 32 bits (one byte is unsigned; bits below the valid ones are shifted out), floats of 32 and 64
//! bits (the latter rounded to 32), A-law, mu-law, IMA ADPCM, Microsoft ADPCM, GSM 6.10. The bit depth of the compressed
//! ones is that of their decoded samples, 16. Other codecs are `unsupported`. `id3 ` and other chunks are named in a note.
//!
//! **Written:** integers with the bits of the source in 1 to 4 bytes, floats of 32 bits, tags with RIFF keys as `INFO`;
//! `WAVE_FORMAT_EXTENSIBLE` where the plain form cannot say it; `RF64` beyond 4 GiB. Lost, and reported: tags without a RIFF
//! key (`wav.tags`), a layout that no channel mask can say (`wav.layout`), properties (`wav.properties`).
//!
//! **Strictness:** a data chunk longer than the file, a missing size, missing padding, a wrong RIFF size, a partial last
//! block and a channel mask that does not fit are diagnostics, errors in strict mode. A `fmt ` chunk that contradicts itself
//! is always an error.

mod chunks;
mod codec;
mod gsm;
mod writer;

use mediary_core::record::{Audio, AudioChunk, Stream};
use mediary_core::{
    Canonical, Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, MediaRecord,
    Output, Probe, Result, Severity, Signature, Source,
};

use codec::{Codec, Decoder};

/// Bytes of a chunk of the stream, about.
const CHUNK_BYTES: u64 = 256 << 10;

const fn at_start(bytes: &'static [u8]) -> Signature {
    Signature { offset: 0, bytes, mask: &[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1] }
}

const INFO: FormatInfo = FormatInfo::new("wav", "WAVE audio", &[Kind::Audio])
    .extensions(&["wav", "wave", "bwf", "rf64"])
    .media_types(&["audio/wav", "audio/vnd.wave", "audio/x-wav"])
    .signatures(&[
        at_start(b"RIFF\0\0\0\0WAVE"),
        at_start(b"RIFX\0\0\0\0WAVE"),
        at_start(b"RF64\0\0\0\0WAVE"),
        at_start(b"BW64\0\0\0\0WAVE"),
    ])
    .reads()
    .writes(&[Feature::Integer, Feature::Float])
    // Also of the integers that FLAC cannot hold: 32 bits, or more than 8 channels.
    .canonical(&[Canonical { kind: Kind::Audio, integer: Some(false) }, Canonical { kind: Kind::Audio, integer: None }])
    .spec("http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html");

struct Wav;

mediary_core::register!(Wav);

impl Format for Wav {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, _probe: &Probe<'_>) -> Confidence {
        Confidence::yes(250, "a RIFF of type WAVE")
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader { source: source.clone(), cx: cx.clone(), header: None, read: false }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        writer::write(record, out, cx)
    }
}

struct Reader {
    source: Source,
    cx: Context,
    header: Option<chunks::Header>,
    read: bool,
}

impl Reader {
    fn chunks(&mut self) -> Result<&chunks::Header> {
        if self.header.is_none() {
            let header = chunks::read(&self.source, &self.cx)?;
            for (code, count) in &header.other {
                self.cx.report_times(
                    Severity::Info,
                    &format!("chunk-{}", code.trim().to_lowercase()),
                    format!("the chunk {code:?} was not read"),
                    None,
                    *count,
                );
            }
            if matches!(header.fmt.codec, Codec::Float { bytes: 8, .. }) {
                self.cx.note("double-precision", "floats of 64 bits were rounded to 32");
            }
            self.header = Some(header);
        }
        self.header.as_ref().ok_or_else(|| Error::malformed("the chunks could not be read"))
    }

    fn audio(&mut self) -> Result<Audio> {
        let (source, cx) = (self.source.clone(), self.cx.clone());
        let header = self.chunks()?;
        let fmt = &header.fmt;
        Ok(Audio {
            sample_rate: fmt.rate,
            channels: fmt.channels,
            layout: fmt.layout.clone(),
            integer: fmt.codec.is_integer(),
            bit_depth: fmt.codec.bits(),
            codec: fmt.codec.name().into(),
            declared_frames: Some(header.frames()),
            tags: header.tags.clone(),
            samples: Stream::new(Samples::new(source, cx, header)),
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
        let audio = self.audio()?;
        let header = self.chunks()?;
        let canonical = header.clean && header.fmt.codec == Codec::Float { bytes: 4, big: false };
        let mut record = MediaRecord::new(audio);
        record.source_is_canonical = canonical;
        Ok(Some(record))
    }
}

/// The data chunk, decoded a stretch of blocks at a time.
struct Samples {
    source: Source,
    cx: Context,
    decoder: Decoder,
    at: u64,
    end: u64,
    /// Bytes read at a time: whole blocks.
    stretch: u64,
    /// Samples that a stretch decodes to.
    room: usize,
    buffer: Vec<u8>,
}

impl Samples {
    fn new(source: Source, cx: Context, header: &chunks::Header) -> Self {
        let fmt = &header.fmt;
        let block_samples = u64::from(fmt.frames_per_block) * u64::from(fmt.channels);
        let blocks = (CHUNK_BYTES / u64::from(fmt.align).max(block_samples * 4)).max(1);
        Self {
            source,
            cx,
            decoder: Decoder::new(fmt.codec.clone(), fmt.channels, fmt.align),
            at: header.data,
            end: header.data + header.data_len,
            stretch: blocks * u64::from(fmt.align),
            room: usize::try_from(blocks * block_samples).unwrap_or(0),
            buffer: Vec::new(),
        }
    }

    fn stretch(&mut self) -> Result<AudioChunk> {
        self.cx.checkpoint()?;
        let count = self.stretch.min(self.end - self.at);
        self.buffer.resize(usize::try_from(count).unwrap_or(0), 0);
        self.source.read_exact_at(self.at, &mut self.buffer, "the data chunk")?;
        let chunk = self.decoder.blocks(&self.buffer, self.room).map_err(|error| error.at_byte(self.at))?;
        self.at += count;
        Ok(chunk)
    }
}

impl Iterator for Samples {
    type Item = Result<AudioChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            let stray = std::mem::take(&mut self.decoder.stray_bits);
            self.cx.report_times(
                Severity::Warning,
                "padding-bits",
                "a sample has bits set below its valid ones; they were dropped",
                None,
                stray,
            );
            return None;
        }
        Some(self.stretch())
    }
}
