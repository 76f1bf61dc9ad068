//! Residues as other categories refer to them, and helices and strands between them.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Residue, SecondaryStructure};
use smol_str::SmolStr;

use crate::cif::table::Tables;
use crate::text::{Findings, integer};

/// Residues as other categories refer to them.
#[derive(Default)]
pub(super) struct Places<'b> {
    components: &'b [SmolStr],
    /// Chains by their label.
    chains: HashMap<&'b str, u32>,
    residues: &'b [Residue],
    /// By chain, and by `label_seq_id` where that is given, by the author's number otherwise.
    by_label: Vec<(Key, u32)>,
    by_author: Vec<(Key, u32)>,
}

/// Chain and number.
type Key = (u32, Option<i32>);

impl<'b> Places<'b> {
    pub(super) fn new(molecule: &'b Molecule, components: &'b [SmolStr]) -> Self {
        let residues = || (0_u32..).zip(&molecule.residues);
        let labelled = residues().filter(|(_, residue)| residue.label_number.is_some());
        let mut by_label: Vec<_> = labelled.map(|(index, it)| ((it.chain, it.label_number), index)).collect();
        let mut by_author: Vec<_> = residues().map(|(index, it)| ((it.chain, it.number), index)).collect();
        by_label.sort_unstable();
        by_author.sort_unstable();
        let chains = molecule.chains.iter().map(|chain| chain.label.as_str()).zip(0..).collect();
        Self { components, chains, residues: &molecule.residues, by_label, by_author }
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
        let chain = *self.chains.get(asym)?;
        let (list, number, insertion) = match number(sequence) {
            Some(sequence) => (&self.by_label, Some(sequence), None),
            None => (&self.by_author, number(author), Some(insertion.chars().next())),
        };
        let from = list.partition_point(|(known, _)| *known < (chain, number));
        let own = list[from..].iter().take_while(|(known, _)| *known == (chain, number)).take(MOST_ALIKE);
        own.map(|(_, index)| *index).find(|&index| {
            let residue = &self.residues[index as usize];
            self.components[index as usize] == component && insertion.is_none_or(|code| residue.insertion == code)
        })
    }
}

/// Residues of one number that are looked at.
const MOST_ALIKE: usize = 256;

pub(super) fn secondary(tables: &Tables, places: &Places<'_>, findings: &mut Findings) -> Vec<SecondaryStructure> {
    let mut found = Vec::new();
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
            found.push(SecondaryStructure { kind, start, end, class, id: id(row).into() });
        }
    }
    found
}
