//! Residues as other categories refer to them, and helices and strands between them.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::SecondaryStructure;
use smol_str::SmolStr;

use crate::cif::table::Tables;
use crate::text::{Findings, integer};

/// Residues as other categories refer to them.
pub(super) struct Places(HashMap<Place, u32>);

/// Chain, component, number, whether that is `label_seq_id`, insertion code.
pub(super) type Place = (SmolStr, SmolStr, Option<i32>, bool, Option<char>);

impl Places {
    pub(super) fn new(molecule: &Molecule, components: &[SmolStr]) -> Self {
        let mut places = HashMap::new();
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            let asym = &molecule.chains[residue.chain as usize].label;
            let component = &components[index as usize];
            if residue.label_number.is_some() {
                let key = (asym.clone(), component.clone(), residue.label_number, true, None);
                places.entry(key).or_insert(index);
            }
            let key = (asym.clone(), component.clone(), residue.number, false, residue.insertion);
            places.entry(key).or_insert(index);
        }
        Self(places)
    }

    /// By `label_seq_id` where it is given, by the author's number otherwise.
    pub(super) fn find(
        &self,
        asym: &str,
        component: &str,
        sequence: &str,
        author: &str,
        insertion: &str,
    ) -> Option<u32> {
        let number = |text: &str| integer(text.as_bytes()).and_then(|number| i32::try_from(number).ok());
        let (asym, component) = (SmolStr::new(asym), SmolStr::new(component));
        let key = match number(sequence) {
            Some(sequence) => (asym, component, Some(sequence), true, None),
            None => (asym, component, number(author), false, insertion.chars().next()),
        };
        self.0.get(&key).copied()
    }
}

pub(super) fn secondary(molecule: &mut Molecule, tables: &Tables, places: &Places, findings: &mut Findings) {
    for (category, kind, id, class) in [
        ("struct_conf", "helix", "pdbx_pdb_helix_id", "pdbx_pdb_helix_class"),
        ("struct_sheet_range", "sheet", "sheet_id", "mediary_sense"),
    ] {
        let Some(table) = tables.get(category) else { continue };
        let end = |end: &str| {
            let items = ["label_asym_id", "label_comp_id", "label_seq_id", "auth_seq_id"];
            let [asym, component, sequence, author] = items.map(|item| table.item(&format!("{end}_{item}")));
            let insertion = table.item(&format!("pdbx_{end}_pdb_ins_code"));
            move |row| places.find(asym(row), component(row), sequence(row), author(row), insertion(row))
        };
        let (start, end) = (end("beg"), end("end"));
        let (kind_of, id, class) = (table.item("conf_type_id"), table.item(id), table.item(class));
        for row in &table.rows {
            let word = kind_of(row);
            if kind == "helix" && !word.is_empty() && !word.to_ascii_uppercase().starts_with("HELX") {
                continue;
            }
            let (Some(start), Some(end)) = (start(row), end(row)) else {
                findings.note("secondary", 0, || format!("a {kind} runs between residues that are not there"));
                continue;
            };
            let class = class(row).parse().unwrap_or(0);
            molecule.secondary.push(SecondaryStructure { kind, start, end, class, id: id(row).into() });
        }
    }
}
