//! What a structure is made of beside its polymers.

use mediary_core::record::Molecule;
use serde_json::{Map, Value};

use crate::template;

/// Ligands by the names of their residues, and how many there are of each; `None` without any. Water is no ligand.
pub(crate) fn ligands(molecule: &Molecule, is_ligand: impl Fn(usize) -> bool) -> Option<Value> {
    let mut counts: Map<String, Value> = Map::new();
    for (index, residue) in molecule.residues.iter().enumerate() {
        if residue.name.is_empty() || !is_ligand(index) || template::is_water(&residue.name) {
            continue;
        }
        let count = counts.entry(residue.name.as_str()).or_insert_with(|| 0.into());
        *count = (count.as_u64().unwrap_or(0) + 1).into();
    }
    (!counts.is_empty()).then_some(Value::Object(counts))
}
