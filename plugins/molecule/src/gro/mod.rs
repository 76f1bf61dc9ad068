//! GRO, the coordinate files of GROMACS: residues, atoms, positions, velocities and a box, frame after frame.
//!
//! Specification: <https://manual.gromacs.org/current/reference-manual/file-formats.html#gro>. A frame:
//!
//! | Line | Content |
//! |---|---|
//! | 1 | title, often with `t=` and the time in ps |
//! | 2 | number of atoms |
//! | 3 … | columns 1-5 residue number, 6-10 residue, 11-15 atom, 16-20 number; x, y, z in nm; velocities in nm/ps |
//! | last | box: `v1x v2y v3z`, or `v1x v2y v3z v1y v1z v2x v2z v3x v3y`, in nm |
//!
//! The columns of positions are as wide as their decimal points are apart: five more than the decimals.
//!
//! Read: any number of decimals; velocities; boxes of any shape, zeros are none; numbers that wrap behind 99999 are counted on.
//! Consecutive frames of the same atoms are the models of one record, other frames are records of their own. Elements are taken
//! from the names of atoms and residues: the format states none. Everything is turned into Å.
//!
//! Written: as many decimals as the positions need, from three to six, see the option `decimals`; names of up to five letters,
//! `UNL` for residues without one.
//! Lost, as losses: chains, insertion codes, bonds, charges, the space group, and every other column.
//!
//! Strictness: default and strict take a line that is no atom, a count that is none and a cut frame as errors; lenient keeps
//! what was read before. Strict also refuses atoms without velocities among others that have them, and a missing box.

mod read;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, OptionSpec, OptionType, Output,
    Probe, Result, Source,
};

use crate::text::{Line, integer};

const INFO: FormatInfo = FormatInfo::new("gro", "GROMACS coordinates", &[Kind::Molecule])
    .extensions(&["gro"])
    .media_types(&["chemical/x-gromacs"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Residues, Feature::Models])
    .many_records()
    .options(&[
        OptionSpec::read(
            "bonds",
            OptionType::Choice(&["none", "template", "all"]),
            "none",
            "whether bonds are perceived: of standard residues, or between all other atoms by distance as well",
        ),
        OptionSpec::write(
            "decimals",
            OptionType::Choice(&["auto", "3", "4", "5", "6"]),
            "auto",
            "decimals of positions in nm: as many as they need, or always this number",
        ),
    ])
    .spec("https://manual.gromacs.org/current/reference-manual/file-formats.html#gro");

struct Gro;
mediary_core::register!(Gro);

impl Format for Gro {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let mut lines = probe.lines().skip(1);
        let Some(count @ 1..) = lines.next().and_then(integer) else { return Confidence::No };
        let wanted = usize::try_from(count).unwrap_or(usize::MAX).min(20);
        let (mut good, mut seen) = (0, 0);
        for text in lines.take(wanted) {
            seen += 1;
            let line = Line { text, number: 0, start: 0 };
            let numbered = [(0, 5), (15, 20)].iter().all(|&(from, to)| integer(line.columns(from, to)).is_some());
            let placed = read::width(&line).is_some_and(|width| read::triple(&line, 0, width).is_some());
            good += usize::from(numbered && placed);
        }
        match (good, seen) {
            (0, _) => Confidence::No,
            _ if good == seen => Confidence::yes(150, "a count, and atoms in the columns of GROMACS"),
            _ if good * 2 >= seen => Confidence::yes(60, "a count, and atoms in the columns of GROMACS, but not all"),
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
