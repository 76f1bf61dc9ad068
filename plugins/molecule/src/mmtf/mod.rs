//! MMTF, the Macromolecular Transmission Format of the RCSB Protein Data Bank: structures in columns, packed.
//!
//! Specification: version 1.1, <https://github.com/rcsb/mmtf/blob/master/spec.md>. A MessagePack map of fields. Columns are byte
//! strings of their own: codec, length and a parameter as big-endian 32-bit integers, then the packed values.
//!
//! | Codec | Values | Packing |
//! |---|---|---|
//! | 1 | 32-bit floats | none |
//! | 2, 3, 4 | integers of 8, 16, 32 bits | none |
//! | 5 | strings of a fixed length | none |
//! | 6, 7, 16 | characters, integers | runs |
//! | 8 | integers | runs of differences |
//! | 9 | fixed point | runs |
//! | 10 | fixed point | differences in 16 bits, longer ones in several |
//! | 11 | fixed point | 16 bits |
//! | 12, 13 | fixed point | 16 or 8 bits, longer ones in several |
//! | 14, 15 | integers | 16 or 8 bits, longer ones in several |
//!
//! Read: every codec for every column of its type; atoms by the group types of `groupList`, with names, elements, formal charges and
//! bonds; bonds between groups; `chainNameList` as the author's and `chainIdList` as the label of a chain, its entity by its
//! place in `entityList` from 1; `sequenceIndexList` + 1 as the label number of a residue; alternate locations, insertion codes,
//! occupancies, B factors, serial numbers; helices (DSSP's alpha, 3-10 and pi as PDB classes 1, 5 and 3) and strands. All bonds
//! are the file's. Residues of chains that are no polymer are hetero. Models of the same atoms are one record; a model of
//! other atoms starts another. Every column but the required ones may be absent.
//!
//! Properties: `id`, `title`, `deposition_date`, `release_date`, `method`, `resolution`, `r_free`, `r_work`, `version`, `producer`,
//! `entities`, `assemblies` (chains by place, matrices row by row), `ncs_operators`, and the maps of applications
//! (`atomProperties` …) under their names, columns in them unpacked. Single-precision numbers of the header become the shortest
//! decimal number that they stand for.
//!
//! Set aside with a diagnostic: resonance of bonds whose order is given (`resonance`), turns, bends and bridges (`secondary`), of
//! later models all but their positions where they differ (`model-values`, `model-bonds`). An order that is unknown with
//! resonance is aromatic.
//!
//! Versions: a later minor version is read with a diagnostic (`version`); a later major one breaks with this specification and is
//! refused, lenient tries it.
//!
//! Strictness: strict takes every deviation as an error. Default repairs, with a diagnostic: a column that is a plain array, sums that
//! differ from `numBonds`, bonds to atoms that are not there, bytes behind the map. A column of another length than its count and
//! group types that are not there are errors.

mod build;
mod codec;
mod read;

use mediary_core::{Confidence, Context, Format, FormatInfo, FormatReader, Kind, Probe, Result, Source};

const INFO: FormatInfo = FormatInfo::new("mmtf", "Macromolecular Transmission Format", &[Kind::Molecule])
    .extensions(&["mmtf"])
    .media_types(&["application/x-mmtf", "chemical/x-mmtf"])
    .probes_without_signature()
    .reads()
    .many_records()
    .spec("https://github.com/rcsb/mmtf/blob/master/spec.md");

/// Fields of the specification.
#[rustfmt::skip]
const FIELDS: [&str; 45] = [
    "mmtfVersion", "mmtfProducer", "unitCell", "spaceGroup", "structureId", "title", "depositionDate", "releaseDate",
    "ncsOperatorList", "bioAssemblyList", "entityList", "experimentalMethods", "resolution", "rFree", "rWork",
    "numBonds", "numAtoms", "numGroups", "numChains", "numModels", "groupList", "bondAtomList", "bondOrderList",
    "bondResonanceList", "xCoordList", "yCoordList", "zCoordList", "bFactorList", "atomIdList", "altLocList",
    "occupancyList", "groupIdList", "groupTypeList", "secStructList", "insCodeList", "sequenceIndexList", "chainIdList",
    "chainNameList", "groupsPerChain", "chainsPerModel", "bondProperties", "atomProperties", "groupProperties",
    "chainProperties", "modelProperties",
];

struct Mmtf;
mediary_core::register!(Mmtf);

impl Format for Mmtf {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        // The header of a map, then the header of a short text, the first key.
        let rest = match probe.head {
            [0x81..=0x8F, rest @ ..] | [0xDE, _, _, rest @ ..] | [0xDF, _, _, _, _, rest @ ..] => rest,
            _ => return Confidence::No,
        };
        let key = match rest {
            [length @ 0xA1..=0xBF, text @ ..] => text.get(..usize::from(length & 31)),
            [0xD9, length, text @ ..] => text.get(..usize::from(*length)),
            _ => None,
        };
        match key.and_then(|key| FIELDS.iter().find(|field| field.as_bytes() == key)) {
            Some(field) => Confidence::yes(200, format!("a MessagePack map that begins with {field}")),
            None => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        read::open(source, cx)
    }
}

#[cfg(test)]
mod tests;
