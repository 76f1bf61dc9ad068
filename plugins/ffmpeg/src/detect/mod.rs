//! Recognition by content: signatures, and behind each short one a structure that must hold. Scores stay below those of
//! built-in formats: who reads a file natively reads it first.

pub(crate) mod containers;
pub(crate) mod frames;
pub(crate) mod tag;
#[cfg(test)]
pub(crate) mod tests;

use mediary_core::{Confidence, Probe, Signature};

/// A container that no format read natively is likely to have.
const SURE: u8 = 190;
/// Start codes, frames or packets in a row.
const LIKELY: u8 = 140;
/// A container that a built-in format reads as well, and better.
const NATIVE: u8 = 40;

/// One kind of file.
struct Known {
    signature: Signature,
    /// What must hold besides.
    check: fn(&Probe<'_>) -> bool,
    score: u8,
    name: &'static str,
}

const fn known(
    offset: usize,
    bytes: &'static [u8],
    check: fn(&Probe<'_>) -> bool,
    score: u8,
    name: &'static str,
) -> Known {
    Known { signature: Signature { offset, bytes, mask: &[] }, check, score, name }
}

/// Four letters, a length of four bytes, four letters.
const fn form(bytes: &'static [u8], score: u8, name: &'static str) -> Known {
    let mask = &[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1];
    Known { signature: Signature { offset: 0, bytes, mask }, check: containers::chunks, score, name }
}

/// The signature is long enough.
fn certain(_: &Probe<'_>) -> bool {
    true
}

/// All that is recognised. The first that matches counts.
#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known(0, b"\x1A\x45\xDF\xA3", containers::matroska, SURE, "an EBML document of type matroska or webm"),
    form(b"RIFF\0\0\0\0AVI ", SURE, "a RIFF file of type AVI"),
    known(0, b"OggS\0", containers::ogg, SURE, "an Ogg page"),
    known(0, b"FLV\x01", containers::flv, SURE, "the header of Flash video"),
    known(0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C", certain, SURE, "the header object of ASF"),
    known(0, b"\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02", certain, SURE, "a partition of MXF"),
    known(0, b".RMF\0\0\0", containers::real_media, SURE, "the header of RealMedia"),
    known(0, b".ra\xFD", containers::real_audio, SURE, "the header of RealAudio"),
    known(0, b"DKIF\0\0", containers::ivf, SURE, "the header of IVF"),
    known(0, b"nut/multimedia container\0", certain, SURE, "the signature of NUT"),
    known(0, b"YUV4MPEG2 ", containers::yuv4mpeg, SURE, "the header of YUV4MPEG and a frame"),
    known(0, b"ID3", tag::before_sound, LIKELY, "an ID3 tag before sound"),
    form(b"FORM\0\0\0\0AIFF", SURE, "a FORM of type AIFF"),
    form(b"FORM\0\0\0\0AIFC", SURE, "a FORM of type AIFC"),
    form(b"FORM\0\0\0\x008SVX", SURE, "a FORM of type 8SVX"),
    known(0, b"caff\0\x01", containers::caf, SURE, "the header of CAF"),
    known(0, b"wvpk", containers::wavpack, SURE, "a block of WavPack"),
    known(0, b"MAC ", containers::ape, SURE, "the header of Monkey's Audio"),
    known(0, b"TTA1", containers::tta, SURE, "the header of True Audio"),
    known(0, b"MPCK", containers::musepack_8, SURE, "the header of Musepack 8"),
    known(0, b"MP+", containers::musepack_7, SURE, "the header of Musepack 7"),
    known(0, b"#!AMR", containers::amr, SURE, "the header of AMR and frames"),
    known(0, b".snd", containers::au, SURE, "the header of AU"),
    known(0, b"Creative Voice File\x1A", containers::voc, SURE, "the header of VOC"),
    known(0, b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB", containers::wave64, SURE, "the header of Wave64"),
    known(0, b"DSD ", containers::dsf, SURE, "the header of DSF"),
    known(0, b"\x00\x00\x01\xBA", containers::program_stream, SURE, "a pack of an MPEG program stream"),
    known(0, b"\x00\x00\x01\xB3", containers::mpeg_video, LIKELY, "a sequence header of MPEG video"),
    known(0, b"\x47", containers::transport_stream, LIKELY, "packets of an MPEG transport stream"),
    known(4, b"\x47", containers::transport_stream, LIKELY, "packets of an MPEG transport stream with times"),
    known(0, b"\xFF", |probe| frames::begin(probe.head, frames::adts), LIKELY, "frames of AAC"),
    known(0, b"\xFF", |probe| frames::begin(probe.head, frames::mpeg), LIKELY, "frames of MPEG audio"),
    known(0, b"\x0B\x77", |probe| frames::begin(probe.head, frames::ac3), LIKELY, "frames of AC-3"),
    known(0, b"\x7F\xFE\x80\x01", |probe| frames::begin(probe.head, frames::dts), LIKELY, "frames of DTS"),
    known(4, b"ftyp", containers::movie, NATIVE, "a file type box with a brand of movies or sound"),
    known(4, b"moov", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(4, b"mdat", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(4, b"wide", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(4, b"free", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(4, b"skip", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(4, b"pnot", containers::old_movie, NATIVE, "boxes of a QuickTime movie"),
    known(0, b"fLaC\0\0\0\x22", certain, NATIVE, "the stream information of FLAC"),
    form(b"RIFF\0\0\0\0WAVE", NATIVE, "a RIFF file of type WAVE"),
    form(b"RF64\0\0\0\0WAVE", NATIVE, "an RF64 file of type WAVE"),
    form(b"BW64\0\0\0\0WAVE", NATIVE, "a BW64 file of type WAVE"),
];

/// The signatures alone, for the manifest.
pub(crate) const SIGNATURES: &[Signature] = &signatures();

const fn signatures() -> [Signature; KNOWN.len()] {
    let mut all = [const { Signature { offset: 0, bytes: b"", mask: &[] } }; KNOWN.len()];
    let mut place = 0;
    while place < all.len() {
        let Signature { offset, bytes, mask } = KNOWN[place].signature;
        all[place] = Signature { offset, bytes, mask };
        place += 1;
    }
    all
}

pub(crate) fn probe(probe: &Probe<'_>) -> Confidence {
    find(probe).map_or(Confidence::No, |known| Confidence::yes(known.score, known.name))
}

fn find(probe: &Probe<'_>) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.signature.matches(probe.head) && (known.check)(probe))
}
