//! Bonds: of components, `_struct_conn`, then residue templates and distances.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{BondOrder, BondSource};
use mediary_core::{Context, Result};

use super::atoms::Build;
use super::places::Places;
use crate::bonds::{BondList, by_distance, compatible};
use crate::cif::table::{Table, Tables};
use crate::template::{self, Members};
use crate::text::Findings;

/// What bonds are found by.
pub(super) struct Links<'b> {
    /// The atoms, and what the file calls them.
    pub(super) build: &'b Build,
    pub(super) places: &'b Places<'b>,
    /// The file states every bond.
    pub(super) complete: bool,
}

impl Links<'_> {
    pub(super) fn bonds(
        &self,
        tables: &Tables,
        findings: &mut Findings,
        cx: &Context,
    ) -> Result<Vec<mediary_core::record::molecule::Bond>> {
        let (molecule, positions) = (&self.build.molecule, &*self.build.model.positions);
        let mut bonds = BondList::default();
        let members = Members::new(molecule);
        let mut stated: HashMap<&str, Vec<(&str, &str, BondOrder, bool)>> = HashMap::new();
        if let Some(table) = tables.get("chem_comp_bond") {
            let items = ["comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"];
            let [component, first, second, order, aromatic] = items.map(|item| table.item(item));
            for row in &table.rows {
                let bond = (first(row), second(row), parse_order(order(row)), aromatic(row) == "Y");
                stated.entry(component(row)).or_default().push(bond);
            }
        }
        for (residue, component) in self.build.components.iter().enumerate() {
            let Some(parts) = stated.get(component.as_str()) else { continue };
            if residue % 1024 == 0 {
                cx.checkpoint()?;
            }
            let mut own: Vec<(&str, u32)> =
                members.of(residue).iter().map(|&atom| (self.build.label(atom).as_str(), atom)).collect();
            own.sort_unstable();
            let named = |name: &str| {
                let from = own.partition_point(|&(known, _)| known < name);
                let to = own.partition_point(|&(known, _)| known <= name);
                &own[from..to]
            };
            for &(first, second, order, aromatic) in parts {
                let (first, second) = (named(first), named(second));
                cx.budget().take((first.len() * second.len()) as u64 * BOND_BYTES)?;
                for (&(_, a), &(_, b)) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
                    if compatible(&molecule.atoms, a, b) {
                        bonds.add(a, b, order, aromatic, BondSource::File);
                    }
                }
            }
        }
        let before = bonds.len();
        if let Some(table) = tables.get("struct_conn") {
            self.connections(molecule, table, &members, findings, &mut bonds);
        }
        bonds.charge(before, cx)?;
        let wanted = cx.options().text("bonds");
        if self.complete || wanted == "file" || positions.is_empty() {
            return Ok(bonds.finish());
        }
        let mut known = template::add_bonds(molecule, positions, &mut bonds, cx)?;
        for (known, component) in known.iter_mut().zip(&self.build.components) {
            *known |= stated.contains_key(component.as_str());
        }
        if wanted != "template" && known.contains(&false) {
            let is_known = |atom: u32| known[molecule.atoms.residues[atom as usize] as usize];
            by_distance(molecule, positions, |atom| !is_known(atom), |_, _| true, &mut bonds, cx)?;
        }
        Ok(bonds.finish())
    }

    fn connections(
        &self,
        molecule: &Molecule,
        table: &Table,
        members: &Members,
        findings: &mut Findings,
        bonds: &mut BondList,
    ) {
        let kind = table.item("conn_type_id");
        let order = table.item("pdbx_value_order");
        let aromatic = table.item("mediary_aromatic_flag");
        let ends = [1, 2].map(|partner| {
            let items = ["label_asym_id", "label_comp_id", "label_seq_id", "label_atom_id", "auth_seq_id", "symmetry"];
            let plain = items.map(|item| table.item(&format!("ptnr{partner}_{item}")));
            let alt = table.item(&format!("pdbx_ptnr{partner}_label_alt_id"));
            (plain, alt, table.item(&format!("pdbx_ptnr{partner}_pdb_ins_code")))
        });
        for row in &table.rows {
            let it = kind(row).to_ascii_lowercase();
            if ["hydrog", "saltbr", "mismat"].contains(&it.as_str()) {
                continue;
            }
            let symmetry = ends.each_ref().map(|([.., symmetry], _, _)| symmetry(row));
            if symmetry[0] != symmetry[1] && !symmetry.contains(&"") {
                findings.note("symmetry-bond", 0, || "a bond to a symmetry mate is set aside".into());
                continue;
            }
            let atoms = ends.each_ref().map(|([asym, component, sequence, name, author, _], alt, insertion)| {
                let place = (asym(row), component(row), sequence(row), author(row), insertion(row));
                let residue = self.places.find(place.0, place.1, place.2, place.3, place.4);
                let own = residue.map_or(&[][..], |residue| members.of(residue as usize));
                let label = alt(row).chars().next();
                let fits = |&&atom: &&u32| {
                    let known = molecule.atoms.altlocs.get(atom as usize).copied().unwrap_or('\0');
                    *self.build.label(atom) == name(row)
                        && (label.is_none_or(|label| label == known)
                            && (!self.complete || label.is_some() || known == '\0'))
                };
                own.iter().filter(fits).take(8).copied().collect::<Vec<_>>()
            });
            if atoms.iter().any(Vec::is_empty) {
                findings.note("connection", 0, || "a connection joins atoms that are not there".into());
            }
            let stated = parse_order(order(row));
            let implied = matches!(it.as_str(), "covale" | "disulf") && !self.complete;
            let order = if stated == BondOrder::Unknown && implied { BondOrder::Single } else { stated };
            for &a in &atoms[0] {
                for &b in &atoms[1] {
                    if self.complete || compatible(&molecule.atoms, a, b) {
                        bonds.add(a, b, order, aromatic(row) == "Y", BondSource::File);
                    }
                }
            }
        }
    }
}

/// Bytes of a bond in memory.
pub(super) const BOND_BYTES: u64 = size_of::<mediary_core::record::molecule::Bond>() as u64;

/// An order as `value_order` spells it, in any case and in full or short.
pub(crate) fn parse_order(word: &str) -> BondOrder {
    match word.get(..4).map(str::to_ascii_lowercase).as_deref() {
        Some("sing") => BondOrder::Single,
        Some("doub") => BondOrder::Double,
        Some("trip") => BondOrder::Triple,
        Some("quad") => BondOrder::Quadruple,
        Some("arom" | "delo") => BondOrder::Aromatic,
        _ => BondOrder::Unknown,
    }
}
