//! Bonds that are written: once a component where all its residues have them, by themselves otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, Element};
use mediary_core::{Context, Result};
use smol_str::SmolStr;

use super::names::Names;
use super::sink::{Cell, Sink};
use crate::elements::is_nonmetal;

/// Look-ups that finding out which bonds all residues of one component share may take; beyond, each is written by itself.
const MOST_LOOKUPS: usize = 20_000_000;

/// Bonds sorted into those that all residues of a component share, and the others.
#[derive(Default)]
pub(super) struct Bonds<'m> {
    /// By component and names.
    shared: BTreeMap<(&'m str, SmolStr, SmolStr), (BondOrder, bool)>,
    single: Vec<&'m Bond>,
}

impl<'m> Bonds<'m> {
    pub(super) fn of(molecule: &'m Molecule, names: &mut Names<'m>, cx: &Context) -> Result<Self> {
        cx.budget().take(molecule.bonds.len() as u64 * 96)?;
        let found = Self::sort(molecule, names);
        // A bond that is written by itself names its atoms: where names repeat, they are made unique first.
        let ends = found.single.iter().flat_map(|bond| [bond.a, bond.b]);
        let unclear: BTreeSet<u32> = ends
            .filter(|&atom| names.members.of(molecule.atoms.residues[atom as usize] as usize).len() > 1)
            .filter(|&atom| names.is_ambiguous(atom))
            .map(|atom| molecule.atoms.residues[atom as usize])
            .collect();
        if unclear.is_empty() {
            return Ok(found);
        }
        for residue in unclear {
            names.make_unique(residue as usize);
        }
        Ok(Self::sort(molecule, names))
    }

    fn sort(molecule: &'m Molecule, names: &Names<'m>) -> Self {
        let residue = |atom: u32| molecule.atoms.residues[atom as usize];
        let key = |bond: &Bond| {
            let (first, second) = (&names.atoms[bond.a as usize], &names.atoms[bond.b as usize]);
            let component = names.component(residue(bond.a));
            if first <= second {
                (component, first.clone(), second.clone())
            } else {
                (component, second.clone(), first.clone())
            }
        };
        let within = |bond: &&Bond| residue(bond.a) == residue(bond.b);
        let mut shared = BTreeMap::new();
        let mut differing = BTreeSet::new();
        for bond in molecule.bonds.iter().filter(within) {
            let key = key(bond);
            let found = (bond.order, bond.aromatic);
            if *shared.entry(key.clone()).or_insert(found) != found || key.1 == key.2 {
                differing.insert(key);
            }
        }
        // A bond stands for all residues of its component only if all that have its atoms have it.
        let mut bonded: Vec<(u32, u32)> =
            molecule.bonds.iter().filter(within).map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b))).collect();
        bonded.sort_unstable();
        let mut by_component: BTreeMap<&str, Vec<(SmolStr, SmolStr)>> = BTreeMap::new();
        for (component, first, second) in shared.keys() {
            by_component.entry(component).or_default().push((first.clone(), second.clone()));
        }
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for index in 0..molecule.residues.len() {
            *counts.entry(names.component(index as u32)).or_default() += 1;
        }
        for index in 0..molecule.residues.len() {
            let component = names.component(index as u32);
            let Some(pairs) = by_component.get(component) else { continue };
            if pairs.len().saturating_mul(counts[component]) > MOST_LOOKUPS {
                continue;
            }
            let mut own: Vec<(&str, u32)> =
                names.members.of(index).iter().map(|&atom| (names.atoms[atom as usize].as_str(), atom)).collect();
            own.sort_unstable();
            let named = |name: &str| {
                let from = own.partition_point(|&(known, _)| known < name);
                let to = own.partition_point(|&(known, _)| known <= name);
                &own[from..to]
            };
            for (first, second) in pairs {
                let (a, b) = (named(first), named(second));
                let all = a.len() * b.len() <= 256
                    && a.iter().flat_map(|a| b.iter().map(move |b| (a.1.min(b.1), a.1.max(b.1)))).all(|pair| {
                        !crate::bonds::compatible(&molecule.atoms, pair.0, pair.1)
                            || bonded.binary_search(&pair).is_ok()
                    });
                if !all {
                    differing.insert((component, first.clone(), second.clone()));
                }
            }
        }
        shared.retain(|key, _| {
            !differing.contains(key) && by_component[key.0].len().saturating_mul(counts[key.0]) <= MOST_LOOKUPS
        });
        let atoms = &molecule.atoms;
        let single = molecule.bonds.iter().filter(|bond| {
            !within(bond) || !shared.contains_key(&key(bond)) || !crate::bonds::compatible(atoms, bond.a, bond.b)
        });
        Self { single: single.collect(), shared }
    }

    pub(super) fn write(
        &self,
        molecule: &Molecule,
        names: &Names<'_>,
        sink: &mut impl Sink,
        cx: &Context,
    ) -> Result<()> {
        if !self.shared.is_empty() {
            let items = ["comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"];
            sink.begin("chem_comp_bond", &items, false)?;
            for ((component, first, second), &(order, aromatic)) in &self.shared {
                sink.row(&[
                    Cell::Text(component),
                    Cell::Text(first),
                    Cell::Text(second),
                    value_order(order),
                    flag(aromatic),
                ])?;
            }
            sink.end()?;
        }
        if self.single.is_empty() {
            return Ok(());
        }
        sink.begin("struct_conn", &CONNECTION, false)?;
        for (index, bond) in self.single.iter().enumerate() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let ends = [bond.a, bond.b];
            let elements = ends.map(|atom| molecule.atoms.elements[atom as usize]);
            let kind = match () {
                () if elements.iter().all(|element| element.number() == 16) => "disulf",
                () if elements.iter().any(|&element| element != Element::UNKNOWN && !is_nonmetal(element)) => "metalc",
                () => "covale",
            };
            let id = format!("{kind}{}", index + 1);
            let mut letters = [[0; 4]; 4];
            let mut row = vec![Cell::Text(&id), Cell::Text(kind)];
            for (atom, letters) in ends.into_iter().zip(letters.as_chunks_mut::<2>().0) {
                let residue = molecule.atoms.residues[atom as usize];
                let it = &molecule.residues[residue as usize];
                let [first, second] = letters;
                let label = Atoms::value(&molecule.atoms.altlocs, atom as usize, '\0');
                row.extend([
                    Cell::Text(&names.asyms[it.chain as usize]),
                    Cell::Text(names.component(residue)),
                    Cell::number(names.sequence[residue as usize]),
                    Cell::Text(&names.atoms[atom as usize]),
                    letter(Some(label).filter(|&label| label != '\0'), first, Cell::Unknown),
                    Cell::text_or(&molecule.chains[it.chain as usize].name, Cell::Inapplicable),
                    Cell::text_or(&it.name, Cell::Inapplicable),
                    Cell::number(it.number),
                    letter(it.insertion, second, Cell::Unknown),
                    Cell::Text("1_555"),
                ]);
            }
            row.extend([value_order(bond.order), flag(bond.aromatic)]);
            sink.row(&row)?;
        }
        sink.end()
    }
}

/// Items of `_struct_conn`.
#[rustfmt::skip]
const CONNECTION: [&str; 24] = [
    "id", "conn_type_id",
    "ptnr1_label_asym_id", "ptnr1_label_comp_id", "ptnr1_label_seq_id", "ptnr1_label_atom_id", "pdbx_ptnr1_label_alt_id",
    "ptnr1_auth_asym_id", "ptnr1_auth_comp_id", "ptnr1_auth_seq_id", "pdbx_ptnr1_PDB_ins_code", "ptnr1_symmetry",
    "ptnr2_label_asym_id", "ptnr2_label_comp_id", "ptnr2_label_seq_id", "ptnr2_label_atom_id", "pdbx_ptnr2_label_alt_id",
    "ptnr2_auth_asym_id", "ptnr2_auth_comp_id", "ptnr2_auth_seq_id", "pdbx_ptnr2_PDB_ins_code", "ptnr2_symmetry",
    "pdbx_value_order", "mediary_aromatic_flag",
];

/// `Y` or `N`.
pub(super) fn flag(value: bool) -> Cell<'static> {
    Cell::Text(if value { "Y" } else { "N" })
}

/// A letter, which `bytes` hold.
pub(super) fn letter<'b>(value: Option<char>, bytes: &'b mut [u8; 4], none: Cell<'b>) -> Cell<'b> {
    value.map_or(none, |value| Cell::Text(value.encode_utf8(bytes)))
}

/// `value_order` of an order.
fn value_order(order: BondOrder) -> Cell<'static> {
    Cell::Text(match order {
        BondOrder::Single | BondOrder::Dative => "sing",
        BondOrder::Double => "doub",
        BondOrder::Triple => "trip",
        BondOrder::Quadruple => "quad",
        BondOrder::Aromatic => "arom",
        _ => return Cell::Unknown,
    })
}
