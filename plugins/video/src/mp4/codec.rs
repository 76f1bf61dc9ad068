//! Sample entries: what a track is coded as, by the names of ffmpeg and by the strings of RFC 6381.

use mediary_core::Result;
use mediary_core::record::TrackKind;

use super::boxes::{Atom, Code, Fields, find, name};

/// What a sample entry says.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) codec: String,
    pub(super) codec_string: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: Option<u16>,
    /// Samples are encrypted.
    pub(super) encrypted: bool,
    /// Coded with 8 bits and 4:2:0 as far as the configuration tells: what browsers decode.
    pub(super) common: bool,
}

/// Sampling frequencies of MPEG-4 audio by index.
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// The codec of a sample entry code, where the code alone decides.
fn codec_of(code: &Code, kind: TrackKind) -> Option<&'static str> {
    Some(match code {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => "h264",
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "hevc",
        b"vvc1" | b"vvi1" => "vvc",
        b"av01" => "av1",
        b"vp08" => "vp8",
        b"vp09" => "vp9",
        b"mp4v" => "mpeg4",
        b"jpeg" | b"mjpa" | b"mjpg" | b"MJPG" => "mjpeg",
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "prores",
        b"s263" | b"h263" | b"H263" => "h263",
        b"SVQ1" | b"svq1" => "svq1",
        b"SVQ3" => "svq3",
        b"cvid" => "cinepak",
        b"rle " => "qtrle",
        b"rpza" => "rpza",
        b"smc " => "smc",
        b"png " => "png",
        b"gif " => "gif",
        b"tiff" => "tiff",
        b"AVdn" | b"AVdh" => "dnxhd",
        b"CFHD" => "cfhd",
        b"dvc " | b"dvcp" | b"dvpp" | b"dv5n" | b"dv5p" | b"dvh5" | b"dvh6" => "dvvideo",
        b"raw " if kind == TrackKind::Audio => "pcm_u8",
        b"raw " | b"2vuy" | b"yuv2" | b"v210" => "rawvideo",
        b"mp4a" => "aac",
        b".mp3" | b"ms\0\x55" => "mp3",
        b"Opus" => "opus",
        b"fLaC" => "flac",
        b"alac" => "alac",
        b"ac-3" => "ac3",
        b"ec-3" => "eac3",
        b"ac-4" => "ac4",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "dts",
        b"samr" => "amr_nb",
        b"sawb" => "amr_wb",
        b"sowt" => "pcm_s16le",
        b"twos" => "pcm_s16be",
        b"in24" => "pcm_s24be",
        b"in32" => "pcm_s32be",
        b"fl32" => "pcm_f32be",
        b"fl64" => "pcm_f64be",
        b"ulaw" => "pcm_mulaw",
        b"alaw" => "pcm_alaw",
        b"ima4" => "adpcm_ima_qt",
        b"QDM2" => "qdm2",
        b"QDMC" => "qdmc",
        b"MAC3" => "mace3",
        b"MAC6" => "mace6",
        b"tx3g" => "mov_text",
        b"text" => "text",
        b"wvtt" => "webvtt",
        b"stpp" => "ttml",
        b"c608" => "eia_608",
        _ => return None,
    })
}

/// The codec of an object type indication (ISO/IEC 14496-1, registered at mp4ra.org).
fn codec_of_object(object: u8) -> Option<&'static str> {
    Some(match object {
        0x20 => "mpeg4",
        0x21 => "h264",
        0x23 => "hevc",
        0x40 | 0x66..=0x68 => "aac",
        0x60..=0x65 => "mpeg2video",
        0x69 | 0x6B => "mp3",
        0x6A => "mpeg1video",
        0x6C => "mjpeg",
        0x6D => "png",
        0xA5 => "ac3",
        0xA6 => "eac3",
        0xA9 => "dts",
        0xAD => "opus",
        0xDD => "vorbis",
        0xE1 => "qcelp",
        _ => return None,
    })
}

/// Reads the first sample entry of an `stsd` box.
pub(super) fn entry(fields: &mut Fields, atom: Atom, kind: TrackKind, quicktime: bool) -> Result<Entry> {
    let mut entry = Entry { common: true, ..Entry::default() };
    let body = atom.body + 8;
    let children_at = match kind {
        TrackKind::Video => {
            fields.need(atom, 78)?;
            entry.width = Some(fields.u16(body + 16)?.into());
            entry.height = Some(fields.u16(body + 18)?.into());
            body + 70
        }
        TrackKind::Audio => sound(fields, atom, quicktime, &mut entry)?,
        _ => atom.end,
    };
    let children = match kind {
        // Some QuickTime writers end the list with bytes that are no box.
        TrackKind::Video | TrackKind::Audio => fields.children(children_at.min(atom.end), atom.end).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut code = atom.code;
    if matches!(&code, b"encv" | b"enca" | b"enct") {
        entry.encrypted = true;
        if let Some(sinf) = find(&children, b"sinf") {
            let original = find(&fields.inside(sinf)?, b"frma").filter(|frma| frma.len() >= 4);
            code = original.map(|frma| fields.code(frma.body)).transpose()?.unwrap_or(code);
        }
    }
    entry.codec = codec_of(&code, kind).map_or_else(|| name(code).trim_end().to_owned(), str::to_owned);
    configuration(fields, code, &children, &mut entry)?;
    Ok(entry)
}

/// The fields of a sound sample entry; returns where its boxes start.
fn sound(fields: &mut Fields, atom: Atom, quicktime: bool, entry: &mut Entry) -> Result<u64> {
    fields.need(atom, 28)?;
    let body = atom.body + 8;
    let version = fields.u16(body)?;
    entry.channels = Some(fields.u16(body + 8)?).filter(|&channels| channels > 0);
    entry.sample_rate = Some(fields.u32(body + 16)? >> 16).filter(|&rate| rate > 0);
    match version {
        1 if quicktime => Ok(body + 36),
        2 if quicktime => {
            fields.need(atom, 64)?;
            let rate = f64::from_bits(fields.u64(body + 24)?);
            entry.sample_rate = (rate >= 1.0 && rate <= f64::from(u32::MAX)).then_some(rate as u32);
            entry.channels = u16::try_from(fields.u32(body + 32)?).ok();
            Ok(body + 56)
        }
        _ => Ok(body + 20),
    }
}

/// The boxes that configure the decoder.
fn configuration(fields: &mut Fields, code: Code, children: &[Atom], entry: &mut Entry) -> Result<()> {
    let fourcc = name(code);
    if let Some(avcc) = find(children, b"avcC").filter(|avcc| avcc.len() >= 4) {
        let bytes = fields.bytes(avcc.body + 1, 3)?;
        let profile = bytes[0];
        entry.codec_string = Some(format!("{fourcc}.{:02x}{:02x}{:02x}", bytes[0], bytes[1], bytes[2]));
        // Baseline, Main, Extended and High; the others have more bits or less chroma subsampling.
        entry.common = matches!(profile, 66 | 77 | 88 | 100);
    }
    if let Some(hvcc) = find(children, b"hvcC").filter(|hvcc| hvcc.len() >= 13) {
        entry.codec_string = Some(hevc_string(&fourcc, fields.bytes(hvcc.body, 13)?));
    }
    if let Some(av1c) = find(children, b"av1C").filter(|av1c| av1c.len() >= 4) {
        let bytes = fields.bytes(av1c.body, 4)?;
        let (profile, level, flags) = (bytes[1] >> 5, bytes[1] & 31, bytes[2]);
        let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
        let bits = match (flags & 0x40 != 0, flags & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        entry.codec_string = Some(format!("{fourcc}.{profile}.{level:02}{tier}.{bits:02}"));
    }
    if let Some(vpcc) = find(children, b"vpcC").filter(|vpcc| vpcc.len() >= 8) {
        let bytes = fields.bytes(vpcc.body + 4, 3)?;
        entry.codec_string = Some(format!("{fourcc}.{:02}.{:02}.{:02}", bytes[0], bytes[1], bytes[2] >> 4));
    }
    // QuickTime wraps it.
    let wrapped = match find(children, b"wave") {
        Some(wave) => fields.inside(wave).ok().and_then(|inner| find(&inner, b"esds")),
        None => None,
    };
    if let Some(esds) = find(children, b"esds").or(wrapped) {
        descriptor(fields, esds, &fourcc, entry)?;
    }
    if matches!(&code, b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b"alac") && entry.codec_string.is_none() {
        entry.codec_string = Some(fourcc.clone());
    }
    if let Some(cookie) = find(children, b"alac").filter(|cookie| cookie.len() >= 28) {
        entry.channels = Some(fields.u8(cookie.body + 13)?.into());
        entry.sample_rate = Some(fields.u32(cookie.body + 24)?);
    }
    Ok(())
}

/// ISO/IEC 14496-15, annex E.3: profile, compatibility in reverse bit order, tier and level, constraints.
fn hevc_string(fourcc: &str, bytes: &[u8]) -> String {
    let space = ["", "A", "B", "C"][usize::from(bytes[1] >> 6)];
    let tier = if bytes[1] & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]).reverse_bits();
    let mut text = format!("{fourcc}.{space}{}.{compatibility:X}.{tier}{}", bytes[1] & 31, bytes[12]);
    let constraints = &bytes[6..12];
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}

/// The elementary stream descriptor (ISO/IEC 14496-1, 7.2.6): object type, and the AudioSpecificConfig of AAC.
fn descriptor(fields: &mut Fields, esds: Atom, fourcc: &str, entry: &mut Entry) -> Result<()> {
    let count = usize::try_from(esds.len().min(256)).unwrap_or(256);
    let bytes = fields.bytes(esds.body, count)?;
    let Some((object, config)) = decoder_config(bytes.get(4..).unwrap_or(&[])) else { return Ok(()) };
    entry.codec = codec_of_object(object).map_or_else(|| entry.codec.clone(), str::to_owned);
    entry.codec_string = Some(format!("{fourcc}.{object:02x}"));
    if object != 0x40 {
        return Ok(());
    }
    let mut bits = Bits { bytes: config, at: 0 };
    let Some(specific) = bits.audio_specific() else { return Ok(()) };
    entry.codec_string = Some(format!("{fourcc}.40.{}", specific.object));
    entry.sample_rate = Some(specific.rate);
    // An MP3 or ALS stream may hide in here.
    match specific.object {
        34 => entry.codec = "mp3".into(),
        36 => entry.codec = "mp4als".into(),
        _ => {}
    }
    let channels = match specific.channels {
        0 => None,
        7 => Some(8),
        // Parametric stereo makes two of one.
        1 if specific.object == 29 => Some(2),
        count @ 1..=6 => Some(count),
        11 => Some(7),
        12 | 14 => Some(8),
        _ => None,
    };
    entry.channels = channels.or(entry.channels);
    Ok(())
}

/// Object type and specific configuration of the DecoderConfigDescriptor (tag 4) in an ES_Descriptor (tag 3).
fn decoder_config(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, mut body) = next_descriptor(&mut bytes)?;
    if tag == 3 {
        let flags = *body.get(2)?;
        let mut skip = 3 + if flags & 0x80 != 0 { 2 } else { 0 } + if flags & 0x20 != 0 { 2 } else { 0 };
        if flags & 0x40 != 0 {
            skip += 1 + usize::from(*body.get(skip)?);
        }
        body = body.get(skip..)?;
        let (tag, inner) = next_descriptor(&mut body)?;
        body = (tag == 4).then_some(inner)?;
    } else if tag != 4 {
        return None;
    }
    let object = *body.first()?;
    let mut rest = body.get(13..)?;
    let config = next_descriptor(&mut rest).filter(|(tag, _)| *tag == 5).map_or(&[][..], |(_, config)| config);
    Some((object, config))
}

/// A descriptor: tag, length in bytes of 7 bits, body (cut where the bytes end).
fn next_descriptor<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let tag = *bytes.first()?;
    let (mut length, mut at) = (0_usize, 1);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        length = length << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return None;
        }
    }
    let body = bytes.get(at..)?;
    let (body, rest) = body.split_at(length.min(body.len()));
    *bytes = rest;
    Some((tag, body))
}

/// What an AudioSpecificConfig says (ISO/IEC 14496-3, 1.6.2.1).
struct AudioSpecific {
    object: u32,
    rate: u32,
    channels: u16,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            object => Some(object),
        }
    }

    fn rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24),
            index => AAC_RATES.get(index as usize).copied(),
        }
    }

    fn audio_specific(&mut self) -> Option<AudioSpecific> {
        let object = self.object()?;
        let mut rate = self.rate()?;
        let channels = self.take(4)? as u16;
        // Explicit spectral band replication states the rate that comes out.
        if matches!(object, 5 | 29) {
            rate = self.rate()?;
        }
        (rate > 0).then_some(AudioSpecific { object, rate, channels })
    }
}
