//! PQR: the lines of a PDB file with a charge and a radius in place of occupancy and B factor.
//!
//! Specification: <https://pdb2pqr.readthedocs.io/en/latest/formats/pqr.html>. Words of `ATOM` and `HETATM`, parted by blanks:
//!
//! | Word | Read | Written |
//! |---|---|---|
//! | serial, atom, residue | as they stand | blanks in names as `_` |
//! | chain | may be missing, or touch the number | if there is one |
//! | residue number | with an insertion code behind it | the same |
//! | x, y, z in Å | words, or the columns 31-54 of PDB where numbers touch | as many decimals as they need |
//! | charge in e, radius in Å | the last two words | 0 where the molecule has none, with a diagnostic |
//!
//! Also read: `TER` as the end of a chain, `END`; `MODEL` begins another record unless it is the first. `REMARK`, `CRYST1` and other
//! records of PDB are passed over. Elements are taken from the names of atoms and residues: the format states none. Bonds come
//! from residue templates and distances, see the option `bonds`.
//!
//! Lost on writing, as losses: bonds that are not perceived again, cell and space group, models but the first, formal charges,
//! alternate locations, and every other column.
//!
//! Strictness: default and strict take an atom without its numbers as an error; lenient leaves it out.

mod read;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, OptionSpec, OptionType, Output,
    Probe, Result, Source,
};

const INFO: FormatInfo = FormatInfo::new("pqr", "PQR, PDB with charges and radii", &[Kind::Molecule])
    .extensions(&["pqr"])
    .media_types(&["chemical/x-pqr"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Residues, Feature::DoublePrecision])
    .many_records()
    .options(&[OptionSpec::read(
        "bonds",
        OptionType::Choice(&["none", "template", "all"]),
        "all",
        "whether bonds are perceived: of standard residues, or between all other atoms by distance as well",
    )])
    .spec("https://pdb2pqr.readthedocs.io/en/latest/formats/pqr.html");

struct Pqr;
mediary_core::register!(Pqr);

impl Format for Pqr {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let (mut own, mut atoms, mut nearly) = (0, 0, 0);
        for line in probe.lines().filter(|line| read::is_atom(line)).take(2000) {
            atoms += 1;
            own += usize::from(crate::pdb::is_pqr(line));
            nearly += usize::from(read::fields(line).is_some());
        }
        match (own, atoms) {
            (_, 0) => Confidence::No,
            (1.., _) if own * 2 > atoms => Confidence::yes(150, "atom records that end in a charge and a radius"),
            // PDB files look so too, but theirs stand in columns.
            _ if nearly == atoms => Confidence::yes(50, "atom records that end in five numbers"),
            (1.., _) => Confidence::yes(60, "some atom records end in a charge and a radius"),
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

#[cfg(test)]
mod tests;
