//! Chemical components, of the dictionary of the Protein Data Bank and of monomer libraries: `_chem_comp_atom`, `_chem_comp_bond`.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Bond, BondOrder, BondSource, BondStereo, Chain, Element, Model, Residue};
use mediary_core::{Context, Error, Media, MediaRecord, Result};
use serde_json::{Map, Value};

use super::bonds::parse_order;
use crate::bonds::BondList;
use crate::cif::table::{Table, Tables, measured};
use crate::elements::{by_symbol, isotope};
use crate::text::{Findings, integer};

/// Bytes of memory that an atom takes.
const ATOM_BYTES: u64 = 200;

/// Sets of coordinates, in the order of the models that they become, and what these are called.
const COORDINATES: [([&str; 3], &str); 3] = [
    (["x", "y", "z"], "coordinates"),
    (["model_cartn_x", "model_cartn_y", "model_cartn_z"], "model coordinates"),
    (["pdbx_model_cartn_x_ideal", "pdbx_model_cartn_y_ideal", "pdbx_model_cartn_z_ideal"], "ideal coordinates"),
];

/// Items of `_chem_comp` that are kept as properties.
const PROPERTIES: [(&str, &str); 6] = [
    ("name", "title"),
    ("type", "classification"),
    ("formula", "formula_sum"),
    ("formula_weight", "formula_weight"),
    ("one_letter_code", "one_letter_code"),
    ("pdbx_synonyms", "synonyms"),
];

/// The component of a block; `None` if it has no atoms.
pub(crate) fn record(
    block: &str,
    tables: &Tables,
    findings: &mut Findings,
    cx: &Context,
) -> Result<Option<MediaRecord>> {
    let Some(table) = tables.get("chem_comp_atom").filter(|table| !table.rows.is_empty()) else { return Ok(None) };
    cx.budget().take(table.rows.len() as u64 * ATOM_BYTES)?;
    let mut molecule = Molecule::default();
    atoms(&mut molecule, table, findings);
    let component = table.item("comp_id")(&table.rows[0]);
    let component = if component.is_empty() { block.strip_prefix("comp_").unwrap_or(block) } else { component };
    molecule.name = component.to_owned();
    let kind = tables.first("chem_comp", "type").map(|kind| kind.to_ascii_uppercase()).unwrap_or_default();
    let hetero = !(kind.contains("LINKING") || kind.contains("PEPTIDE") || kind.ends_with("NA"));
    molecule.residues = vec![Residue { name: component.into(), number: Some(1), hetero, ..Residue::default() }];
    molecule.chains = vec![Chain::default()];
    for (items, title) in COORDINATES {
        if let Some(positions) = positions(table, items, title, findings, cx)? {
            let number = molecule.models.len() as i64 + 1;
            let title = title.to_owned();
            molecule.models.push(Model { number, title, positions: positions.into(), ..Model::default() });
        }
    }
    if molecule.models.is_empty() {
        molecule.models.push(Model { number: 1, ..Model::default() });
    }
    molecule.bonds = bonds(&molecule, tables, findings, cx)?;
    let mut properties = Map::new();
    for (item, property) in PROPERTIES {
        if let Some(text) = tables.first("chem_comp", item).filter(|text| !text.is_empty()) {
            properties.insert(property.into(), text.trim().into());
        }
    }
    let stereo = table.item("pdbx_stereo_config");
    let centres: Map<String, Value> = (table.rows.iter())
        .zip(&molecule.atoms.names)
        .filter(|(row, _)| matches!(stereo(row), "R" | "S"))
        .map(|(row, name)| (name.to_string(), stereo(row).into()))
        .collect();
    if !centres.is_empty() {
        properties.insert("stereo_centers".into(), Value::Object(centres));
    }
    let mut record = MediaRecord::new(molecule);
    record.properties = properties;
    if let Media::Molecule(molecule) = &record.media {
        record.key = molecule.name.clone();
    }
    Ok(Some(record))
}

fn atoms(molecule: &mut Molecule, table: &Table, findings: &mut Findings) {
    let atoms = &mut molecule.atoms;
    let name = table.item("atom_id");
    let symbol = table.item("type_symbol");
    let charge = table.any(&["charge", "partial_charge"]);
    let aromatic = table.item("pdbx_aromatic_flag");
    for row in &table.rows {
        let text = symbol(row);
        atoms.elements.push(by_symbol(text.as_bytes()).unwrap_or_else(|| {
            if !text.eq_ignore_ascii_case("X") {
                findings
                    .warn("no-element", 0, || format!("expected an element in type_symbol, found {text:?}: unknown"));
            }
            Element::UNKNOWN
        }));
        atoms.names.push(name(row).into());
        atoms.residues.push(0);
        // Monomer libraries write partial charges into the same item.
        let formal = integer(charge(row).as_bytes()).or_else(|| {
            measured(charge(row).as_bytes()).filter(|charge| charge.fract() == 0.0).map(|charge| charge as i64)
        });
        atoms.formal_charges.push(formal.and_then(|charge| i8::try_from(charge).ok()).unwrap_or(0));
        atoms.isotopes.push(isotope(text.as_bytes()));
        atoms.aromatic.push(aromatic(row).eq_ignore_ascii_case("Y"));
    }
    if atoms.formal_charges.iter().all(|&charge| charge == 0) {
        atoms.formal_charges.clear();
    }
    if atoms.isotopes.iter().all(|&mass| mass == 0) {
        atoms.isotopes.clear();
    }
    if table.column("pdbx_aromatic_flag").is_none() {
        atoms.aromatic.clear();
    }
}

/// A set of coordinates; `None` if no atom has one.
fn positions(
    table: &Table,
    items: [&str; 3],
    title: &str,
    findings: &mut Findings,
    cx: &Context,
) -> Result<Option<Vec<[f64; 3]>>> {
    let axes = items.map(|item| table.item(item));
    let is_given = |row: &[_]| axes.iter().any(|axis| !axis(row).is_empty());
    let given = table.rows.iter().filter(|row| is_given(row)).count();
    if given == 0 {
        return Ok(None);
    }
    if given < table.rows.len() {
        findings.warn("no-position", 0, || {
            format!("{} of {} atoms have no {title}: 0, 0, 0 are taken", table.rows.len() - given, table.rows.len())
        });
    }
    let mut positions = Vec::with_capacity(table.rows.len());
    for (index, row) in table.rows.iter().enumerate() {
        let mut position = [0.0; 3];
        for (axis, place) in axes.iter().zip(&mut position).filter(|_| is_given(row)) {
            let text = axis(row);
            match measured(text.as_bytes()) {
                Some(value) => *place = value,
                None => cx.unless_lenient(
                    "bad-atom",
                    Error::malformed(format!("expected a coordinate, found {text:?}"))
                        .at_element(format!("_chem_comp_atom[{index}]")),
                )?,
            }
        }
        positions.push(position);
    }
    Ok(Some(positions))
}

fn bonds(molecule: &Molecule, tables: &Tables, findings: &mut Findings, cx: &Context) -> Result<Vec<Bond>> {
    let mut bonds = BondList::default();
    let Some(table) = tables.get("chem_comp_bond") else { return Ok(Vec::new()) };
    let places: HashMap<&str, u32> = molecule.atoms.names.iter().map(|name| name.as_str()).zip(0..).collect();
    let ends = [table.item("atom_id_1"), table.item("atom_id_2")];
    let order = table.any(&["value_order", "type"]);
    let aromatic = table.any(&["pdbx_aromatic_flag", "aromatic"]);
    let stereo = table.item("pdbx_stereo_config");
    for row in &table.rows {
        let [a, b] = ends.each_ref().map(|end| places.get(end(row)).copied());
        let (Some(a), Some(b)) = (a, b) else {
            findings.note("bond-atom", 0, || "a bond joins atoms that are not there".into());
            continue;
        };
        let order = parse_order(order(row));
        let before = bonds.len();
        let aromatic = aromatic(row).eq_ignore_ascii_case("Y") || order == BondOrder::Aromatic;
        let stereo = match stereo(row) {
            "E" => BondStereo::Trans,
            "Z" => BondStereo::Cis,
            _ => BondStereo::None,
        };
        bonds.push(Bond { a, b, order, aromatic, stereo, source: BondSource::File });
        bonds.charge(before, cx)?;
    }
    Ok(bonds.finish())
}
