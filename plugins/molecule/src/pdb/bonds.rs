//! Bonds: `CONECT`, `LINK`, `SSBOND`, then residue templates and distances.

use std::collections::hash_map::{Entry as Slot, HashMap};

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{BondOrder, BondSource};
use mediary_core::{Context, Result};
use smol_str::SmolStr;

use super::columns::Place;
use super::entry::Entry;
use crate::bonds::{BondList, by_distance};
use crate::elements::is_nonmetal;
use crate::template::{self, Members, Named};
use crate::text::Findings;

/// Residues by chain, number and insertion code.
#[derive(Default)]
pub(super) struct Places(HashMap<Place, u32>);

impl Places {
    pub(super) fn new(molecule: &Molecule) -> Self {
        let mut places = HashMap::new();
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            let chain = molecule.chains[residue.chain as usize].name.clone();
            if let Slot::Vacant(slot) = places.entry((chain, residue.number, residue.insertion)) {
                slot.insert(index);
            }
        }
        Self(places)
    }

    pub(super) fn find(&self, place: &Place) -> Option<u32> {
        // The chain column before may belong to a name.
        self.0.get(place).copied().or_else(|| {
            let last = place.0.chars().last()?;
            self.0.get(&(SmolStr::new(last.encode_utf8(&mut [0; 4])), place.1, place.2)).copied()
        })
    }
}

/// Bytes that finding the atoms of links takes for each atom.
const LINKED_BYTES: u64 = 40;

pub(super) fn bonds(
    molecule: &Molecule,
    positions: &[[f64; 3]],
    entry: &Entry,
    residues: &Places,
    findings: &mut Findings,
    cx: &Context,
) -> Result<Vec<mediary_core::record::molecule::Bond>> {
    let mut bonds = BondList::default();
    let atoms = &molecule.atoms;
    cx.budget().take(entry.connections.len() as u64 * 40)?;
    connections(molecule, entry, findings, &mut bonds);
    if !entry.links.is_empty() {
        let memory = atoms.len() as u64 * LINKED_BYTES;
        cx.budget().take(memory)?;
        let members = Members::new(molecule);
        // Sorted once a residue: hostile files name the atoms of a huge one again and again.
        let mut known: HashMap<u32, Named<'_>> = HashMap::new();
        for link in &entry.links {
            let ends = link.ends.each_ref().map(|(name, alternate, place)| {
                let Some(residue) = residues.find(place) else { return Vec::new() };
                let own = members.of(residue as usize);
                let named =
                    known.entry(residue).or_insert_with(|| Named::of(own, atoms, |atom| &atoms.names[atom as usize]));
                named.find(name, Some(*alternate).filter(|&label| label != '\0')).take(8).collect::<Vec<_>>()
            });
            let [first, second] = &ends;
            if first.is_empty() || second.is_empty() {
                findings.note("link", link.line, || "a bond joins atoms that are not there".into());
            }
            for (&a, &b) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
                if crate::bonds::compatible(atoms, a, b) {
                    let covalent = [a, b].iter().all(|&atom| is_nonmetal(atoms.elements[atom as usize]));
                    let order = if covalent { BondOrder::Single } else { BondOrder::Unknown };
                    bonds.add(a, b, order, false, BondSource::File);
                }
            }
        }
        cx.budget().give_back(memory);
    }
    bonds.charge(0, cx)?;
    let wanted = cx.options().text("bonds").to_owned();
    if wanted == "file" {
        return Ok(bonds.finish());
    }
    let stated = bonds.bonded(atoms.len());
    let standard = template::add_bonds(molecule, positions, &mut bonds, cx)?;
    // Without options (tests by hand) as by default.
    if wanted != "template" && standard.contains(&false) {
        let is_standard = |atom: u32| standard[atoms.residues[atom as usize] as usize];
        // Atoms that the file connects have all their bonds from there.
        let open = |a: u32, b: u32| !(stated[a as usize] && stated[b as usize]);
        by_distance(molecule, positions, |atom| !is_standard(atom), open, &mut bonds, cx)?;
    }
    Ok(bonds.finish())
}

/// Bonds of `CONECT`: listed from both ends, and repeated for their order.
pub(super) fn connections(molecule: &Molecule, entry: &Entry, findings: &mut Findings, bonds: &mut BondList) {
    if entry.connections.is_empty() {
        return;
    }
    let mut by_serial: Vec<(i64, u32)> = molecule.atoms.serials.iter().copied().zip(0..).collect();
    by_serial.sort_unstable();
    let find = |serial: i64| {
        let at = by_serial.partition_point(|&(known, _)| known < serial);
        by_serial.get(at).filter(|&&(known, _)| known == serial).map(|&(_, atom)| atom)
    };
    let mut pairs = Vec::with_capacity(entry.connections.len());
    for &(first, second) in &entry.connections {
        match (find(first), find(second)) {
            (Some(a), Some(b)) if a != b => pairs.push((a, b)),
            _ => findings.note("conect-atom", 0, || {
                format!("CONECT joins atoms {first} and {second}, of which one is not there or both are one")
            }),
        }
    }
    pairs.sort_unstable();
    let counted: Vec<((u32, u32), usize)> = pairs.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    // Where no bond is repeated, being listed once says nothing of the order.
    let orders = counted.iter().any(|&(_, count)| count > 1);
    for ((a, b), count) in counted {
        let order = match count {
            1 if !orders => BondOrder::Unknown,
            1 => BondOrder::Single,
            2 => BondOrder::Double,
            _ => BondOrder::Triple,
        };
        bonds.add(a, b, order, false, BondSource::File);
    }
}
