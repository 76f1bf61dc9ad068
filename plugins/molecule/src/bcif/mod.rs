//! BinaryCIF: the categories of mmCIF as columns of encoded numbers, in MessagePack.
//!
//! Specification: BinaryCIF 0.3, <https://github.com/molstar/BinaryCIF/blob/master/encoding.md>. A map of `version`, `encoder` and
//! `dataBlocks`; a block has categories, a category columns, a column bytes and the encodings that made them, with a mask of the
//! values that are `.` (1) or `?` (2):
//!
//! | Encoding | Read | Written |
//! |---|---|---|
//! | `ByteArray` | all types: integers of 8, 16 and 32 bits, signed or not, floats of 32 and 64 bits | integers of 8 to 32 bits; floats of 32 and 64 bits |
//! | `FixedPoint` | yes | numbers with up to 7 decimals that come back exactly so |
//! | `IntervalQuantization` | yes | no: it loses digits |
//! | `RunLength`, `Delta`, `IntegerPacking` | yes | where they make integers shorter |
//! | `StringArray` | yes | all text |
//!
//! A record is the same as that of the [mmCIF](crate::mmcif) file with the same categories, since they share what comes behind the
//! columns; see there for what is read, written and lost, and for properties. Blocks of other dictionaries are read as
//! [`cif`](crate::cif) reads them. Any number of blocks is read, each a record or more; one is written, since their count stands before
//! them.
//!
//! Strictness: bytes, counts and types that contradict each other are errors, whatever the strictness. Within the columns the rules
//! of mmCIF hold.

mod decode;
mod encode;
mod pack;
mod read;
mod write;

use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe, Result, Source,
};

const INFO: FormatInfo = FormatInfo::new("bcif", "BinaryCIF", &[Kind::Molecule])
    .extensions(&["bcif"])
    .media_types(&["application/x-binary-cif"])
    .probes_without_signature()
    .reads()
    .options(&[crate::bonds::OPTION])
    .writes(crate::mmcif::FEATURES)
    .spec("https://github.com/molstar/BinaryCIF/blob/master/encoding.md");

struct Bcif;
mediary_core::register!(Bcif);

impl Format for Bcif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        // A map, the first key of which is one of three.
        let keys = match probe.head {
            [0x81..=0x8F, keys @ ..] | [0xDE, _, _, keys @ ..] | [0xDF, _, _, _, _, keys @ ..] => keys,
            _ => return Confidence::No,
        };
        let name = match keys {
            [length @ 0xA0..=0xBF, rest @ ..] => rest.get(..usize::from(length & 31)),
            [0xD9, length, rest @ ..] => rest.get(..usize::from(*length)),
            _ => None,
        };
        match name {
            Some(b"dataBlocks") => Confidence::yes(200, "a MessagePack map that begins with dataBlocks"),
            Some(b"encoder" | b"version") if has(probe.head, b"dataBlocks") => {
                Confidence::yes(200, "a MessagePack map with dataBlocks")
            }
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        read::open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests;
