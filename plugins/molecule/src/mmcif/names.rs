//! What atoms, residues and chains are called in a block that is written.

use std::collections::{HashMap, HashSet};

use mediary_core::record::Molecule;
use mediary_core::record::molecule::Atoms;
use mediary_core::{Context, Result};
use smol_str::SmolStr;

use super::sink::{Cell, Sink};
use crate::template::{self, Members};

/// Component of residues without a name: "unknown ligand" of the dictionary.
const UNNAMED: &str = "UNL";

/// What atoms, residues and chains are called in the block.
pub(super) struct Names<'m> {
    molecule: &'m Molecule,
    pub(super) members: Members,
    /// `label_atom_id`: the atom's name, made unique where it has none.
    pub(super) atoms: Vec<SmolStr>,
    /// `label_asym_id` of each chain.
    pub(super) asyms: Vec<String>,
    /// Entity of each chain, from 1, and the type of each entity.
    pub(super) entities: Vec<usize>,
    types: Vec<&'static str>,
    /// `label_seq_id` of each residue.
    pub(super) sequence: Vec<Option<i32>>,
}

impl<'m> Names<'m> {
    pub(super) fn of(molecule: &'m Molecule, cx: &Context) -> Result<Self> {
        cx.budget().take(molecule.atoms.len() as u64 * 32 + molecule.residues.len() as u64 * 32)?;
        let labels: HashSet<&str> = molecule.chains.iter().map(|chain| chain.label.as_str()).collect();
        let usable = labels.len() == molecule.chains.len() && !labels.contains("");
        let asyms = molecule.chains.iter().enumerate().map(|(index, chain)| match usable {
            true => chain.label.to_string(),
            false => letters(index),
        });
        let mut names = Self {
            members: Members::new(molecule),
            atoms: molecule.atoms.names.clone(),
            asyms: asyms.collect(),
            entities: Vec::new(),
            types: Vec::new(),
            sequence: vec![None; molecule.residues.len()],
            molecule,
        };
        names.group();
        for residue in 0..molecule.residues.len() {
            if names.members.of(residue).iter().any(|&atom| names.atoms[atom as usize].is_empty()) {
                names.make_unique(residue);
            }
        }
        Ok(names)
    }

    /// Sorts chains into entities, and numbers residues.
    fn group(&mut self) {
        let molecule = self.molecule;
        let mut chains: Vec<Vec<u32>> = vec![Vec::new(); molecule.chains.len()];
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            chains[residue.chain as usize].push(index);
        }
        let mut known: HashMap<(&'static str, Vec<&str>), usize> = HashMap::new();
        for own in &chains {
            let residues = || own.iter().map(|&index| &molecule.residues[index as usize]);
            let polymer = residues().filter(|residue| !residue.hetero).count() * 2 > own.len()
                && residues().any(|residue| !residue.name.is_empty());
            let kind = match () {
                () if residues().all(|residue| template::is_water(&residue.name)) && !own.is_empty() => "water",
                () if polymer => "polymer",
                () => "non-polymer",
            };
            let content =
                if kind == "water" { Vec::new() } else { residues().map(|residue| residue.name.as_str()).collect() };
            let next = known.len();
            let entity = *known.entry((kind, content)).or_insert(next);
            if entity == next {
                self.types.push(kind);
            }
            self.entities.push(entity);
            // Residues of a polymer are numbered; others only where nothing else tells them apart.
            let mut places = HashSet::new();
            let unique = residues().all(|residue| places.insert((residue.number, residue.insertion, &residue.name)));
            let given = residues().any(|residue| residue.label_number.is_some());
            let mut next = 0;
            let mut before = None;
            for &index in own {
                let residue = &molecule.residues[index as usize];
                // Residues that share a place share its number (microheterogeneity).
                let place = (residue.number, residue.insertion, residue.number.is_some());
                let shared = before.is_some_and(|(known, name)| known == place && place.2 && name != &residue.name);
                next += i32::from(!shared);
                before = Some((place, &residue.name));
                self.sequence[index as usize] = match () {
                    () if given && unique => residue.label_number,
                    () if polymer || !unique => Some(next),
                    () => None,
                };
            }
        }
    }

    pub(super) fn write(&self, sink: &mut impl Sink) -> Result<()> {
        if self.asyms.is_empty() {
            return Ok(());
        }
        sink.begin("entity", &["id", "type"], false)?;
        for (id, kind) in (1..).zip(&self.types) {
            sink.row(&[Cell::Integer(id), Cell::Text(kind)])?;
        }
        sink.end()?;
        sink.begin("struct_asym", &["id", "entity_id"], false)?;
        for (asym, &entity) in self.asyms.iter().zip(&self.entities) {
            sink.row(&[Cell::Text(asym), Cell::Integer(entity as i64 + 1)])?;
        }
        sink.end()
    }

    /// Component of a residue.
    pub(super) fn component(&self, residue: u32) -> &'m str {
        let name = self.molecule.residues[residue as usize].name.as_str();
        if name.is_empty() { UNNAMED } else { name }
    }

    /// Gives every atom of a residue a name of its own.
    pub(super) fn make_unique(&mut self, residue: usize) {
        let mut taken = HashSet::new();
        let mut next: HashMap<String, usize> = HashMap::new();
        let own = self.members.of(residue);
        for &atom in own {
            taken.insert(self.atoms[atom as usize].clone());
        }
        let mut seen = HashSet::new();
        for &atom in own {
            let name = &self.atoms[atom as usize];
            let label = Atoms::value(&self.molecule.atoms.altlocs, atom as usize, '\0');
            if !name.is_empty() && seen.insert((name.clone(), label)) {
                continue;
            }
            let symbol = self.molecule.atoms.elements[atom as usize].symbol();
            let stem = if name.is_empty() { symbol.to_ascii_uppercase() } else { format!("{name}_") };
            let count = next.entry(stem.clone()).or_insert(0);
            self.atoms[atom as usize] = loop {
                *count += 1;
                let name = SmolStr::new(format!("{stem}{count}"));
                if taken.insert(name.clone()) {
                    break name;
                }
            };
        }
    }

    /// Whether an atom of the same residue has the same name and alternate location.
    pub(super) fn is_ambiguous(&self, atom: u32) -> bool {
        let residue = self.molecule.atoms.residues[atom as usize] as usize;
        let label = |atom: u32| Atoms::value(&self.molecule.atoms.altlocs, atom as usize, '\0');
        let own = self.members.of(residue).iter().copied();
        let same = |other: u32| self.atoms[other as usize] == self.atoms[atom as usize] && label(other) == label(atom);
        own.filter(|&other| same(other)).nth(1).is_some()
    }
}

/// A, B … Z, AA, BA …, as the Protein Data Bank counts.
fn letters(mut index: usize) -> String {
    let mut name = String::new();
    loop {
        name.push(char::from(b'A' + (index % 26) as u8));
        index /= 26;
        if index == 0 {
            return name;
        }
        index -= 1;
    }
}
