//! MOL2 of Tripos: molecules with atom types, partial charges and bonds, one after the other.
//!
//! Specification: Tripos Mol2 File Format, SYBYL 7.1,
//! <https://zhanggroup.org/DockRMSD/mol2.pdf>. Records begin with `@<TRIPOS>` and a name; fields are parted by blanks, `****` is an
//! empty one, `\` at the end of a line continues it, `#` begins a comment:
//!
//! | Record | Content |
//! |---|---|
//! | `MOLECULE` | name; numbers of atoms, bonds, …; type of molecule; type of charges; status; comment |
//! | `ATOM` | number, name, x, y, z in Å, SYBYL type, number and name of the substructure, partial charge, status |
//! | `BOND` | number, two atoms, type: 1, 2, 3, `am`, `ar`, `du`, `un`, `nc` |
//! | `SUBSTRUCTURE` | number, name, root atom, type, dictionary, chain, residue, … |
//! | `CRYSIN` | cell, number of the space group, setting |
//!
//! Read: all of these; elements from the types, or from the names of atoms where the types are of another force field; an amide
//! bond (`am`) as single, `un` and `du` as unknown, `nc` as none. A substructure is a residue: its name is the residue's where
//! the record `SUBSTRUCTURE` states one that its own name begins with (`ALA` of `ALA12`), otherwise its own. The types of molecule
//! and charges, the comment and the number of the space group are properties.
//!
//! Set aside with a diagnostic: other records (`record`), such as sets and force field data. Status bits are passed over.
//!
//! Written: the same, types of SYBYL from elements and bonds unless they come from a MOL2 file; rings of alternating
//! bonds as they are stated, not as `ar`. Lost, as losses: formal charges,
//! isotopes, stereo, models but the first, and every column that the format has no field for.
//!
//! Strictness: strict takes every deviation as an error. Default repairs, with a diagnostic: types of no known element, numbers
//! that are none. A coordinate that is no number, a bond to an atom that is not there and counts that do not hold break
//! their molecule. The reader goes on at the next `@<TRIPOS>MOLECULE`: the molecule there has a diagnostic (`bad-record`, of severity error), and
//! the input ends with an error that says how many are broken and the first of them. Strict ends with the first; lenient
//! leaves them out, with the diagnostic alone.

mod read;
mod types;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe, Result, Source,
};

const INFO: FormatInfo = FormatInfo::new("mol2", "Tripos Mol2", &[Kind::Molecule])
    .extensions(&["mol2", "ml2", "sy2"])
    .media_types(&["chemical/x-mol2"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Bonds, Feature::Residues, Feature::Cell, Feature::DoublePrecision])
    .many_records()
    .spec("https://zhanggroup.org/DockRMSD/mol2.pdf");

/// What a record begins with.
const MARK: &[u8] = b"@<TRIPOS>";

struct Mol2;
mediary_core::register!(Mol2);

impl Format for Mol2 {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let mut lines =
            probe.lines().map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        match lines.next() {
            Some(line) if line.starts_with(b"@<TRIPOS>MOLECULE") => {
                Confidence::yes(200, "it begins with @<TRIPOS>MOLECULE")
            }
            Some(line) if line.starts_with(MARK) => Confidence::yes(100, "it begins with @<TRIPOS>"),
            // The head may be all comment.
            None if !probe.is_whole() => Confidence::Unknown,
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
