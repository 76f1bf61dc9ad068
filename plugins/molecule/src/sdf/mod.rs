//! SDF and molfile: molecules with bonds and properties, one record after the other, or one alone.
//!
//! Specification: CTfile formats of BIOVIA (formerly MDL),
//! <https://discover.3ds.com/sites/default/files/2020-08/biovia_ctfileformats_2020.pdf>. A record:
//!
//! | Lines | Content |
//! |---|---|
//! | 1-3 | name; program, date and `2D` or `3D`; comment |
//! | 4 | counts of atoms and bonds in columns 1-3 and 4-6, chiral flag in 13-15, `V2000` or `V3000` in 34-39 |
//! | atoms | V2000: x, y, z in 10 columns each, symbol in 32-34, mass difference, charge, …; V3000: words after `M  V30` |
//! | bonds | atoms, order, stereo in 3 columns each; V3000: words |
//! | properties | `M  CHG`, `M  RAD`, `M  ISO`, atom lists, aliases, SGroups, up to `M  END` |
//! | data | `> <NAME>`, lines of a value, a blank line; SDF alone |
//! | `$$$$` | end of the record; SDF alone |
//!
//! Read: both versions; charges, radicals and isotopes of the properties in place of those of the atom lines; `D` and `T`; atom
//! numbers of reactions; stereo of bonds; aliases as names of atoms. Data fields are properties of the record in their order, as
//! text; one that is repeated is an array. Query atoms (`A`, `Q`, `*`, `R1`, lists such as `[C,N]`) are the unknown element
//! with their text as type. What has no place in the record is kept in the property `molfile`, and written again: `comment`,
//! `chiral`, `dimensions`, query bonds by number (`query_bonds`), other attributes of V3000 (`atom_attributes`,
//! `bond_attributes`), and lines of SGroups, collections and queries as they stand (`lines`).
//!
//! Set aside with a diagnostic: hydrogen counts, valences and other query fields of atom lines (`atom-fields`), lines in no
//! known place (`stray-line`).
//!
//! Written: V2000, or V3000 for what V2000 cannot hold (more than 999 atoms or bonds, dative bonds, long numbers, blocks of
//! V3000), see the option `version`. Bonds of unknown order have type 8, any. Lost, as losses: atom names, residues and chains, all
//! models but the first, further decimals (V2000 has four), and every column that the format has no field for.
//!
//! Strictness: strict takes every deviation as an error. Default repairs, with a diagnostic: fields out of their columns, a missing
//! version, a missing `M  END` or `$$$$`. A count or a coordinate that is no number and a bond to an atom that is not there break
//! their record. The reader goes on behind its `$$$$`: the next record has a diagnostic (`bad-record`, of severity error), and the input ends with an
//! error that says how many are broken and the first of them. Strict ends with the first; lenient leaves them out, with the
//! diagnostic alone.

mod ctab;
mod read;
mod v2000;
mod v3000;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, OptionSpec, OptionType, Output,
    Probe, Result, Source,
};

use crate::text::{float, integer};

const SPEC: &str = "https://discover.3ds.com/sites/default/files/2020-08/biovia_ctfileformats_2020.pdf";
const FEATURES: &[Feature] = &[Feature::Bonds, Feature::Charges];
const OPTIONS: &[OptionSpec] = &[OptionSpec::write(
    "version",
    OptionType::Choice(&["auto", "v2000", "v3000"]),
    "auto",
    "the version of the connection table: V2000 where it holds the molecule, or always this one",
)];

const SDF: FormatInfo = FormatInfo::new("sdf", "Structure-data file", &[Kind::Molecule])
    .extensions(&["sdf", "sd"])
    .media_types(&["chemical/x-mdl-sdfile"])
    .probes_without_signature()
    .reads()
    .writes(FEATURES)
    .many_records()
    .options(OPTIONS)
    .spec(SPEC);

const MOL: FormatInfo = FormatInfo::new("mol", "Molfile", &[Kind::Molecule])
    .extensions(&["mol", "mdl"])
    .media_types(&["chemical/x-mdl-molfile"])
    .probes_without_signature()
    .reads()
    .writes(FEATURES)
    .options(OPTIONS)
    .spec(SPEC);

struct Sdf;
mediary_core::register!(Sdf);

struct Mol;
mediary_core::register!(Mol);

impl Format for Sdf {
    fn info(&self) -> &'static FormatInfo {
        &SDF
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match look(probe) {
            Look::No => Confidence::No,
            Look::Nearly => Confidence::yes(60, "a version of a connection table, but not in its line"),
            Look::Table { delimited: true } => Confidence::yes(150, "a connection table, and $$$$ or data fields"),
            Look::Table { delimited: false } => Confidence::yes(150, "a connection table"),
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        read::open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, true, out, cx)
    }
}

impl Format for Mol {
    fn info(&self) -> &'static FormatInfo {
        &MOL
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match look(probe) {
            Look::No | Look::Nearly => Confidence::No,
            Look::Table { delimited: true } => Confidence::yes(100, "a connection table, but $$$$ or data fields too"),
            Look::Table { delimited: false } => Confidence::yes(150, "a connection table"),
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        read::open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, false, out, cx)
    }
}

/// What a head looks like.
enum Look {
    No,
    /// A version stands somewhere near the place of the counts.
    Nearly,
    /// Counts stand in their line; whether there is a delimiter or a data field.
    Table {
        delimited: bool,
    },
}

fn look(probe: &Probe<'_>) -> Look {
    if !probe.looks_like_text() {
        return Look::No;
    }
    let mut lines = probe.lines().skip(3);
    let Some(counts) = lines.next() else { return Look::No };
    let has_counts = [(0, 3), (3, 6)].iter().all(|&(from, to)| counts.get(from..to).and_then(integer).is_some());
    let version = version(counts);
    if has_counts && (version.is_some() || lines.next().is_some_and(is_atom)) {
        let delimited = |line: &[u8]| line.starts_with(b"$$$$") || (line.starts_with(b">") && line.contains(&b'<'));
        let in_tail = probe.tail.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"$$$$"));
        return Look::Table { delimited: in_tail || lines.any(delimited) };
    }
    // A version alone, or one a few lines off.
    let near = version.is_some() || probe.lines().take(7).any(|line| self::version(line).is_some());
    if near { Look::Nearly } else { Look::No }
}

/// The version that a counts line ends with: `V2000`, `V3000`.
fn version(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_end();
    let start = line.len().checked_sub(5)?;
    let tag = &line[start..];
    let is_version = matches!(tag[0], b'V' | b'v') && tag[1..].iter().all(u8::is_ascii_digit);
    (is_version && line[..start].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')).then_some(tag)
}

/// Whether a line has coordinates in three times ten columns and a symbol behind them.
fn is_atom(line: &[u8]) -> bool {
    let columns = [(0, 10), (10, 20), (20, 30)];
    columns.iter().all(|&(from, to)| line.get(from..to).and_then(float).is_some())
        && line.get(31).is_some_and(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
