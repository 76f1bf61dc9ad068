//! mmCIF, the macromolecular Crystallographic Information File: the canonical form of molecules.
//!
//! Specification: CIF 1.1, <https://www.iucr.org/resources/cif/spec/version1.1/cifsyntax>; dictionary PDBx/mmCIF 5,
//! <https://mmcif.wwpdb.org/dictionaries/mmcif_pdbx_v50.dic/Index/>. One data block a record:
//!
//! | Category | Content |
//! |---|---|
//! | `_entry`, `_struct` | name, title; `pdbx_descriptor` is the molecule's name as it is |
//! | `_cell`, `_symmetry` | unit cell, space group |
//! | `_entity`, `_struct_asym` | chains by content; a chain is a run of the source, so one author's id may have several |
//! | `_struct_conf`, `_struct_sheet_range` | helices, strands |
//! | `_chem_comp_bond` | bonds that every residue of a component with these atoms has, in this order |
//! | `_struct_conn` | all other bonds: between residues, and within those that differ |
//! | `_atom_site` | atoms of all models; coordinates in as many digits as they need |
//!
//! Atoms without a name get one in `label_atom_id` (`C1`, `C2` …), `auth_atom_id` stays `.`; residues without a name are `UNL`
//! there and `.` in `auth_comp_id`. Columns that the dictionary has no item for have items of our own: `mediary_segment`,
//! `mediary_partial_charge`, `mediary_radius`, `mediary_isotope`, `mediary_type`, `mediary_hydrogens`,
//! `mediary_aromatic`, `mediary_radical`, `mediary_map_number` in `_atom_site`, `mediary_aromatic_flag` in `_struct_conn`, `mediary_sense` in `_struct_sheet_range`.
//!
//! Read: the same, in any order of items and blocks; models of the same atoms are one record, a model of other atoms is another. A
//! model number that is repeated or not positive becomes the next free one, with a diagnostic (`model-number`). Standard
//! uncertainties, the `(2)` of `1.45(2)`, are dropped. Fractional coordinates without Cartesian ones become Cartesian, by the
//! convention of [`cif`](crate::cif).
//! A file that does not say that its bonds are complete (`_entry.mediary_bonds`, ours) gets those of residue templates and
//! distances too, see the option `bonds`.
//!
//! A block without `_atom_site` but with `_chem_comp_atom` is a chemical component, of the dictionary of the Protein Data Bank or of
//! a monomer library: a residue with the bonds, orders, aromatic flags and configurations (E, Z) that `_chem_comp_bond` states. Each
//! set of coordinates is a model, and its title says which: `coordinates` (`x`), `model coordinates` (`model_Cartn_x`), then `ideal
//! coordinates` (`pdbx_model_Cartn_x_ideal`). R and S of its atoms are the property `stereo_centers`.
//!
//! Properties: `title`, `classification`, `keywords`, `method`, `deposition_date`, `resolution` (Å), `id`, `sequences` (the names of the
//! residues of each polymer, by the author's chain), `ligands` (how many there are of each: entities that are no polymer, or HETATM
//! without entities; no water). Blocks of the core dictionary are read as [`cif`](crate::cif) reads them. Anisotropic displacements
//! and every other category are passed over; a file without atoms is refused, with a hint at what it holds.
//!
//! Strictness: default and strict take a row or a value that is cut, and a coordinate that is no number, as errors; lenient leaves
//! them out. Strict also refuses unknown elements and numbers that are none. A file that ends in its list of atoms, without the
//! `#` that common writers end it with, may be cut between two rows: that is a note (`no-end`).
//!
//! Lost on writing, as losses: velocities, cells and titles of single models, handedness of atoms, drawing of bonds,
//! properties. Refused: molecules without atoms.

pub(crate) mod atoms;
mod bonding;
pub(crate) mod bonds;
pub(crate) mod component;
pub(crate) mod entry;
mod names;
mod places;
pub(crate) mod row;
pub(crate) mod sink;
pub(crate) mod write;

use mediary_core::{
    Canonical, Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe,
    Result, Source,
};

use crate::cif::{self, Look};

/// What both forms of mmCIF keep.
pub(crate) const FEATURES: &[Feature] = &[
    Feature::Residues,
    Feature::Bonds,
    Feature::Models,
    Feature::Cell,
    Feature::Charges,
    Feature::Altlocs,
    Feature::DoublePrecision,
];

const INFO: FormatInfo = FormatInfo::new("mmcif", "mmCIF", &[Kind::Molecule])
    .extensions(&["cif", "mmcif", "mcif"])
    .media_types(&["chemical/x-mmcif"])
    .probes_without_signature()
    .reads()
    .options(&[crate::bonds::OPTION])
    .writes(FEATURES)
    .many_records()
    .canonical(&[Canonical { kind: Kind::Molecule, integer: None }])
    .spec("https://mmcif.wwpdb.org/dictionaries/mmcif_pdbx_v50.dic/Index/");

struct Mmcif;
mediary_core::register!(Mmcif);

impl Format for Mmcif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match cif::look(probe) {
            Look::Other => Confidence::No,
            Look::Comment => Confidence::Unknown,
            Look::Block(block) => match () {
                () if block.macromolecules => Confidence::yes(200, "a CIF data block with _atom_site"),
                () if block.components => Confidence::yes(200, "a CIF data block with _chem_comp_atom"),
                () if block.crystals => Confidence::No,
                () if block.macromolecular => Confidence::yes(150, "a CIF data block of the mmCIF dictionary"),
                () if block.core => Confidence::No,
                () => Confidence::Unknown,
            },
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let reader = cif::read::open(source, cx)?;
        #[cfg(feature = "pdbtbx")]
        let reader = crate::pdbtbx::asked(reader, source, cx, ::pdbtbx::Format::Mmcif);
        Ok(reader)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, "mmcif", &mut sink::Text::new(out), cx)
    }
}

#[cfg(test)]
mod tests;
