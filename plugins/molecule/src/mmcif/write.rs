//! The writer: one data block a record, into whatever takes categories.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, BondOrder, BondStereo, Element};
use mediary_core::{Context, Error, Media, MediaRecord, Result};
use smol_str::{SmolStr, StrExt as _};

use super::bonding::{Bonds, flag, letter};
use super::names::Names;
use super::sink::{Cell, Sink};
use crate::losses::no_atoms;
use crate::models;

pub(crate) fn write(record: &MediaRecord, format: &str, sink: &mut impl Sink, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported(format!("{format} holds molecules only")));
    };
    if molecule.atoms.is_empty() {
        return Err(no_atoms(format));
    }
    losses(molecule, cx);
    let name = block_name(record, molecule);
    let entry = Cell::Text(&name);
    sink.block(&name)?;
    sink.single("entry", &["id", "mediary_bonds"], &[entry, Cell::Text("complete")])?;
    let title = record.properties.get("title").and_then(|value| value.as_str()).unwrap_or(&molecule.name);
    let texts = [title, &molecule.name].map(|text| Cell::text_or(text, Cell::Unknown));
    sink.single("struct", &["entry_id", "title", "pdbx_descriptor"], &[entry, texts[0], texts[1]])?;
    let lost = record.properties.keys().filter(|key| *key != "title").count();
    cx.lose("properties", lost as u64, "properties");
    if let Some(cell) = &molecule.cell {
        let items = ["entry_id", "length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"];
        let mut row = vec![entry];
        row.extend(cell.lengths.iter().chain(&cell.angles).map(|&value| Cell::Double(value)));
        sink.single("cell", &items, &row)?;
    }
    if let Some(group) = &molecule.space_group {
        let items = ["entry_id", "space_group_name_H-M"];
        sink.single("symmetry", &items, &[entry, Cell::text_or(group, Cell::Unknown)])?;
    }
    let mut names = Names::of(molecule, cx)?;
    names.write(sink)?;
    let bonds = Bonds::of(molecule, &mut names, cx)?;
    secondary(molecule, &names, sink)?;
    bonds.write(molecule, &names, sink, cx)?;
    atom_site(molecule, &names, sink, cx)
}

fn losses(molecule: &Molecule, cx: &Context) {
    let velocities: usize = molecule.models.iter().map(|model| model.velocities.len()).sum();
    cx.lose("velocities", velocities as u64, "velocities");
    let cells = molecule.models.iter().filter(|model| model.cell.is_some()).count();
    cx.lose("model-cells", cells as u64, "cells of single models");
    let titles = molecule.models.iter().filter(|model| !model.title.is_empty() && model.title != molecule.name).count();
    cx.lose("model-titles", titles as u64, "titles of models");
    cx.lose("chirality", molecule.atoms.chirality.len() as u64, "handedness of atoms");
    let stereo = molecule.bonds.iter().filter(|bond| bond.stereo != BondStereo::None).count();
    cx.lose("bond-stereo", stereo as u64, "drawing or configuration of bonds");
    let dative = molecule.bonds.iter().filter(|bond| bond.order == BondOrder::Dative).count();
    cx.lose("dative", dative as u64, "dative bonds, written as single ones");
}

/// A name for the data block: no blanks, and told apart from those of records before.
fn block_name(record: &MediaRecord, molecule: &Molecule) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    let name: String = molecule.name.trim().chars().take(60).map(legal).collect();
    match (name.is_empty(), record.index) {
        (true, index) => format!("molecule_{}", index + 1),
        (false, 0) => name,
        (false, index) => format!("{name}_{}", index + 1),
    }
}

/// Items of the ends of a stretch of secondary structure.
#[rustfmt::skip]
const ENDS: [&str; 12] = [
    "beg_label_asym_id", "beg_label_comp_id", "beg_label_seq_id", "beg_auth_asym_id", "beg_auth_seq_id", "pdbx_beg_PDB_ins_code",
    "end_label_asym_id", "end_label_comp_id", "end_label_seq_id", "end_auth_asym_id", "end_auth_seq_id", "pdbx_end_PDB_ins_code",
];

fn secondary(molecule: &Molecule, names: &Names<'_>, sink: &mut impl Sink) -> Result<()> {
    let helix: &[&str] = &["conf_type_id", "id", "pdbx_PDB_helix_id", "pdbx_PDB_helix_class"];
    let sheet: &[&str] = &["sheet_id", "id", "mediary_sense"];
    for (kind, category, items) in [("helix", "struct_conf", helix), ("sheet", "struct_sheet_range", sheet)] {
        let mut own = molecule.secondary.iter().filter(|stretch| stretch.kind == kind).peekable();
        if own.peek().is_none() {
            continue;
        }
        sink.begin(category, &[items, &ENDS].concat(), false)?;
        for (index, stretch) in own.enumerate() {
            let id = format!("HELX_P{}", index + 1);
            let name = Cell::text_or(&stretch.id, Cell::Unknown);
            let class = Cell::Integer(stretch.class.into());
            let mut row = match kind {
                "helix" => vec![Cell::Text("HELX_P"), Cell::Text(&id), name, class],
                _ => vec![name, Cell::Integer(index as i64 + 1), class],
            };
            let mut codes = [[0; 4]; 2];
            for (residue, code) in [stretch.start, stretch.end].into_iter().zip(&mut codes) {
                let it = &molecule.residues[residue as usize];
                row.extend([
                    Cell::Text(&names.asyms[it.chain as usize]),
                    Cell::Text(names.component(residue)),
                    Cell::number(names.sequence[residue as usize]),
                    Cell::text_or(&molecule.chains[it.chain as usize].name, Cell::Inapplicable),
                    Cell::number(it.number),
                    letter(it.insertion, code, Cell::Unknown),
                ]);
            }
            sink.row(&row)?;
        }
        sink.end()?;
    }
    Ok(())
}

/// Items of every row, in order.
#[rustfmt::skip]
const ITEMS: [&str; 21] = [
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "B_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_PDB_model_num",
];

fn atom_site(molecule: &Molecule, names: &Names<'_>, sink: &mut impl Sink, cx: &Context) -> Result<()> {
    let atoms = &molecule.atoms;
    let segments = molecule.residues.iter().any(|residue| !residue.segment.is_empty());
    let own = [
        ("mediary_segment", segments),
        ("mediary_partial_charge", !atoms.partial_charges.is_empty()),
        ("mediary_radius", !atoms.radii.is_empty()),
        ("mediary_isotope", !atoms.isotopes.is_empty()),
        ("mediary_type", !atoms.types.is_empty()),
        ("mediary_hydrogens", !atoms.hydrogens.is_empty()),
        ("mediary_aromatic", !atoms.aromatic.is_empty()),
        ("mediary_radical", !atoms.radicals.is_empty()),
        ("mediary_map_number", !atoms.map_numbers.is_empty()),
    ];
    let own: Vec<&str> = own.iter().filter(|(_, present)| *present).map(|(item, _)| *item).collect();
    sink.begin("atom_site", &[&ITEMS[..], &own].concat(), false)?;
    let given = &atoms.serials;
    let usable = molecule.models.len() == 1
        && given.len() == atoms.len()
        && given.windows(2).all(|pair| pair[0] < pair[1])
        && given.first().is_some_and(|&first| first > 0);
    let mut id = 0;
    for (model, number) in molecule.models.iter().zip(models::written(&molecule.models)) {
        for (index, &residue) in atoms.residues.iter().enumerate() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            id = if usable { given[index] } else { id + 1 };
            let it = &molecule.residues[residue as usize];
            let chain = it.chain as usize;
            let label = Atoms::value(&atoms.altlocs, index, '\0');
            let (mut first, mut second) = ([0; 4], [0; 4]);
            let [x, y, z] = match model.positions.get(index) {
                Some(position) => position.map(Cell::Double),
                None => [Cell::Unknown; 3],
            };
            let author = Cell::text_or(&atoms.names[index], Cell::Inapplicable);
            let symbol = symbol(atoms.elements[index], Atoms::value(&atoms.isotopes, index, 0));
            let row = [
                Cell::Text(if it.hetero { "HETATM" } else { "ATOM" }),
                Cell::Integer(id),
                Cell::Text(&symbol),
                Cell::Text(&names.atoms[index]),
                letter(Some(label).filter(|&label| label != '\0'), &mut first, Cell::Inapplicable),
                Cell::Text(names.component(residue)),
                Cell::Text(&names.asyms[chain]),
                Cell::Integer(names.entities[chain] as i64 + 1),
                Cell::number(names.sequence[residue as usize]),
                letter(it.insertion, &mut second, Cell::Unknown),
                x,
                y,
                z,
                Cell::Single(Atoms::value(&atoms.occupancies, index, 1.0)),
                Cell::Single(Atoms::value(&atoms.b_factors, index, 0.0)),
                atoms.formal_charges.get(index).map_or(Cell::Unknown, |&charge| Cell::Integer(charge.into())),
                Cell::number(it.number),
                Cell::text_or(&it.name, Cell::Inapplicable),
                Cell::text_or(&molecule.chains[chain].name, Cell::Inapplicable),
                author,
                Cell::Integer(number),
            ];
            if own.is_empty() {
                sink.row(&row)?;
                continue;
            }
            let mut row = row.to_vec();
            if segments {
                row.push(Cell::text_or(&it.segment, Cell::Inapplicable));
            }
            row.extend(atoms.partial_charges.get(index).map(|&value| Cell::Single(value)));
            row.extend(atoms.radii.get(index).map(|&value| Cell::Single(value)));
            row.extend(atoms.isotopes.get(index).map(|&value| Cell::Integer(value.into())));
            row.extend(atoms.types.get(index).map(|value| Cell::text_or(value, Cell::Inapplicable)));
            row.extend(atoms.hydrogens.get(index).map(|&value| Cell::Integer(value.into())));
            row.extend(atoms.aromatic.get(index).map(|&value| flag(value)));
            row.extend(atoms.radicals.get(index).map(|&value| Cell::Integer(value.into())));
            row.extend(atoms.map_numbers.get(index).map(|&value| Cell::Integer(value.into())));
            sink.row(&row)?;
        }
    }
    sink.end()
}

/// `type_symbol`; hydrogen isotopes have symbols of their own.
fn symbol(element: Element, isotope: u16) -> SmolStr {
    match (element.number(), isotope) {
        (1, 2) => SmolStr::new_static("D"),
        (1, 3) => SmolStr::new_static("T"),
        _ => element.symbol().to_ascii_uppercase_smolstr(),
    }
}
