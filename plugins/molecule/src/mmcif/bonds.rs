//! Bonds: of components, `_struct_conn`, then residue templates and distances.

use std::collections::hash_map::{Entry as Slot, HashMap};

use mediary_core::record::molecule::{BondOrder, BondSource};
use mediary_core::{Context, Result};

use super::atoms::Build;
use super::places::Places;
use crate::bonds::{BondList, by_distance, compatible};
use crate::cif::table::{Table, Tables};
use crate::template::{self, Members, Named};
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
            let named = self.named(residue, &members);
            for &(first, second, order, aromatic) in parts {
                let (first, second) = (named.find(first, None), named.find(second, None));
                cx.budget().take((first.clone().count() * second.clone().count()) as u64 * BOND_BYTES)?;
                for (a, b) in first.flat_map(|a| second.clone().map(move |b| (a, b))) {
                    if compatible(&molecule.atoms, a, b) {
                        bonds.add(a, b, order, aromatic, BondSource::File);
                    }
                }
            }
        }
        let before = bonds.len();
        if let Some(table) = tables.get("struct_conn") {
            self.connections(table, &members, findings, &mut bonds, cx)?;
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

    /// The atoms of a residue by what the file calls them.
    fn named(&self, residue: usize, members: &Members) -> Named<'_> {
        Named::of(members.of(residue), &self.build.molecule.atoms, |atom| self.build.label(atom).as_str())
    }

    fn connections(
        &self,
        table: &Table,
        members: &Members,
        findings: &mut Findings,
        bonds: &mut BondList,
        cx: &Context,
    ) -> Result<()> {
        let molecule = &self.build.molecule;
        // Sorted once a residue: hostile files name the atoms of a huge one again and again.
        let mut known: HashMap<usize, Named<'_>> = HashMap::new();
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
            let mut atoms = [Vec::new(), Vec::new()];
            for (atoms, end) in atoms.iter_mut().zip(&ends) {
                let ([asym, component, sequence, name, author, _], alt, insertion) = end;
                let place = (asym(row), component(row), sequence(row), author(row), insertion(row));
                let residue = self.places.find(place.0, place.1, place.2, place.3, place.4);
                let Some(residue) = residue.map(|residue| residue as usize) else { continue };
                let named = match known.entry(residue) {
                    Slot::Occupied(slot) => slot.into_mut(),
                    Slot::Vacant(slot) => {
                        cx.budget().take(members.of(residue).len() as u64 * NAMED_BYTES)?;
                        slot.insert(self.named(residue, members))
                    }
                };
                // Our own files name every location: none is none, not any.
                let label = alt(row).chars().next().or(self.complete.then_some('\0'));
                atoms.extend(named.find(name(row), label).take(8));
            }
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
        Ok(())
    }
}

/// Bytes that an atom takes in [`Named`].
const NAMED_BYTES: u64 = 32;

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
