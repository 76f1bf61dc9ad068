//! Bonds of a crystal: `_geom_bond` within the asymmetric unit, `_chemical_conn_bond`, then distances.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Bond, BondOrder, BondSource};
use mediary_core::{Context, Result};

use super::table::{Tables, measured};
use crate::bonds::{BondList, by_distance, close, compatible, distance2};
use crate::mmcif::bonds::parse_order;
use crate::text::{Findings, integer};

/// Å by which the stated length of a bond may be off that of the atoms as they are written.
const TOLERANCE: f64 = 0.1;
/// Sites of one atom of the chemical diagram that are looked at.
const MOST_SITES: usize = 16;

pub(super) fn bonds(molecule: &Molecule, tables: &Tables, findings: &mut Findings, cx: &Context) -> Result<Vec<Bond>> {
    let mut bonds = BondList::default();
    let atoms = &molecule.atoms;
    let positions = &*molecule.models[0].positions;
    if let Some(table) = tables.get("geom_bond") {
        let mut places: HashMap<&str, u32> = HashMap::new();
        for (name, atom) in atoms.names.iter().zip(0..) {
            places.entry(name.as_str()).or_insert(atom);
        }
        let ends = [
            table.any(&["atom_site_label_1", "atom_1", "id_atom_site_label_1"]),
            table.any(&["atom_site_label_2", "atom_2", "id_atom_site_label_2"]),
        ];
        let mates = ["site_symmetry_1", "site_symmetry_2"].map(|item| table.item(item));
        let (distance, kind) = (table.any(&["distance", "dist"]), table.item("ccdc_geom_bond_type"));
        for (index, row) in table.rows.iter().enumerate() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let [a, b] = ends.each_ref().map(|end| places.get(end(row)).copied());
            let (Some(a), Some(b)) = (a, b) else {
                findings.note("bond-atom", 0, || "a bond joins atoms that are not there".into());
                continue;
            };
            let [first, second] = mates.each_ref().map(|mate| operation(mate(row)));
            // Both ends moved alike are the same bond elsewhere.
            let apart = first != second
                || measured(distance(row).as_bytes()).is_some_and(|stated| {
                    !positions.is_empty() && (distance2(positions, a, b).sqrt() - stated).abs() > TOLERANCE
                });
            if apart {
                findings.note("symmetry-bond", 0, || "a bond to a symmetry mate is set aside".into());
                continue;
            }
            let before = bonds.len();
            bonds.add(a, b, order(kind(row)), kind(row) == "A", BondSource::File);
            bonds.charge(before, cx)?;
        }
    }
    of_diagram(molecule, tables, &mut bonds, cx)?;
    if cx.options().text("bonds") == "file" || positions.is_empty() {
        return Ok(bonds.finish());
    }
    let stated = bonds.bonded(atoms.len());
    // Atoms that the file connects have all their bonds from there.
    let open = |a: u32, b: u32| !(stated[a as usize] && stated[b as usize]);
    by_distance(molecule, positions, |_| true, open, &mut bonds, cx)?;
    Ok(bonds.finish())
}

/// Bonds of the chemical diagram. Several sites of one of its atoms are told apart by distance.
fn of_diagram(molecule: &Molecule, tables: &Tables, bonds: &mut BondList, cx: &Context) -> Result<()> {
    let (Some(table), Some(sites)) = (tables.get("chemical_conn_bond"), tables.get("atom_site")) else { return Ok(()) };
    let number = sites.item("chemical_conn_number");
    let mut places: HashMap<&str, Vec<u32>> = HashMap::new();
    for (row, atom) in sites.rows.iter().zip(0..).filter(|(row, _)| !number(row).is_empty()) {
        places.entry(number(row)).or_default().push(atom);
    }
    let (ends, kind) = ([table.item("atom_1"), table.item("atom_2")], table.item("type"));
    let positions = &*molecule.models[0].positions;
    for row in &table.rows {
        let [first, second] = ends.each_ref().map(|end| places.get(end(row)).map_or(&[][..], Vec::as_slice));
        let order = parse_order(kind(row));
        let before = bonds.len();
        // More sites of one atom than any crystal has would take forever.
        for (&a, &b) in first.iter().take(MOST_SITES).flat_map(|a| second.iter().take(MOST_SITES).map(move |b| (a, b)))
        {
            let apart = !positions.is_empty() && !close(molecule, positions, a, b);
            if !apart && compatible(&molecule.atoms, a, b) {
                bonds.add(a, b, order, order == BondOrder::Aromatic, BondSource::File);
            }
        }
        bonds.charge(before, cx)?;
        cx.checkpoint()?;
    }
    Ok(())
}

/// Number of the operation and translation of a site: `4_565` is `(4, 565)`; none is the atom as it is written.
fn operation(text: &str) -> (i64, i64) {
    let (number, shift) = text.split_once('_').unwrap_or((text, "555"));
    (integer(number.as_bytes()).unwrap_or(1), integer(shift.as_bytes()).unwrap_or(555))
}

/// An order as the Cambridge Structural Database writes it.
fn order(kind: &str) -> BondOrder {
    match kind {
        "S" => BondOrder::Single,
        "D" => BondOrder::Double,
        "T" => BondOrder::Triple,
        "Q" => BondOrder::Quadruple,
        "A" | "E" => BondOrder::Aromatic,
        _ => BondOrder::Unknown,
    }
}
