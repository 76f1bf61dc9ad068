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
//! `mediary_partial_charge`, `mediary_radius`, `mediary_isotope`, `mediary_type`, `mediary_hydrogens`, `mediary_aromatic`
//! in `_atom_site`, `mediary_aromatic_flag` in `_struct_conn`, `mediary_sense` in `_struct_sheet_range`.
//!
//! Not read yet. Lost on writing, as losses: velocities, cells and titles of single models, handedness of atoms, drawing of bonds,
//! properties.

mod write;

use mediary_core::{Canonical, Context, Feature, Format, FormatInfo, Kind, MediaRecord, Output, Result};

const INFO: FormatInfo = FormatInfo::new("mmcif", "mmCIF", &[Kind::Molecule])
    .extensions(&["cif", "mmcif", "mcif"])
    .media_types(&["chemical/x-mmcif"])
    .writes(&[
        Feature::Residues,
        Feature::Bonds,
        Feature::Models,
        Feature::Cell,
        Feature::Charges,
        Feature::Altlocs,
        Feature::DoublePrecision,
    ])
    .many_records()
    .canonical(&[Canonical { kind: Kind::Molecule, integer: None }])
    .spec("https://mmcif.wwpdb.org/dictionaries/mmcif_pdbx_v50.dic/Index/");

struct Mmcif;
mediary_core::register!(Mmcif);

impl Format for Mmcif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}
