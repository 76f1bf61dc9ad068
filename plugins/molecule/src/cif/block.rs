//! A data block, whatever encodes it: what was read of it, and the records that come of that.

use std::collections::VecDeque;

use mediary_core::{Context, Error, MediaRecord, Result};

use super::sites;
use super::table::Tables;
use crate::mmcif::atoms::Build;
use crate::mmcif::{component, entry};
use crate::text::Findings;

/// What a file holds that has no atoms, by a category.
const OTHERS: [(&str, &str); 7] = [
    ("refln", "the file holds structure factors (_refln), not a structure"),
    ("diffrn_refln", "the file holds diffraction intensities (_diffrn_refln), not a structure"),
    ("pd_data", "the file holds a powder pattern, not a structure"),
    ("item_description", "the file is a dictionary of CIF items"),
    ("chem_comp", "the file lists chemical components without their atoms"),
    ("chem_link", "the file lists links of chemical components"),
    ("ihm_sphere_obj_site", "the file holds a model of spheres, not of atoms"),
];

/// What was read of a block.
#[derive(Default)]
pub(crate) struct Block {
    /// Its name.
    pub(crate) name: String,
    pub(crate) tables: Tables,
    /// Macromolecular atoms: one an assembly of models.
    pub(crate) builds: Vec<Build>,
    /// Their coordinates are fractions of the edges of the cell.
    pub(crate) is_fractional: bool,
    pub(crate) findings: Findings,
    /// The hint to give if there are no atoms.
    pub(crate) seen: Option<&'static str>,
}

impl Block {
    /// Remembers what a file without atoms holds.
    pub(crate) fn notice(&mut self, category: &str) {
        if let Some((_, hint)) = OTHERS.iter().find(|(known, _)| *known == category) {
            self.seen.get_or_insert(hint);
        }
    }

    /// Whether the block states every bond: our own does.
    pub(crate) fn is_complete(&self) -> bool {
        entry::is_complete(&self.tables)
    }

    /// Adds the records of the block to the queue.
    pub(crate) fn finish(mut self, queue: &mut VecDeque<(MediaRecord, Findings)>, cx: &Context) -> Result<()> {
        if let Some(table) = self.tables.get("atom_site").filter(|_| self.builds.is_empty()) {
            if entry::is_macromolecular(&table.items, table.column("label_atom_id").is_some()) {
                self.builds.extend(entry::single(table, &mut self.is_fractional, cx)?);
            } else if let Some(record) = sites::record(&self.name, &self.tables, &mut self.findings, cx)? {
                queue.push_back((record, self.findings));
                return Ok(());
            }
        }
        let mut findings = self.findings;
        if self.builds.is_empty() {
            if let Some(record) = component::record(&self.name, &self.tables, &mut findings, cx)? {
                queue.push_back((record, findings));
            }
            return Ok(());
        }
        for build in self.builds.into_iter().filter(|build| !build.is_empty()) {
            let found = std::mem::take(&mut findings);
            let block = entry::Block { name: &self.name, tables: &self.tables, is_fractional: self.is_fractional };
            queue.push_back(block.finish(build, found, cx)?);
        }
        Ok(())
    }
}

/// What is wrong with a file without atoms.
pub(crate) fn none(seen: Option<&'static str>) -> Error {
    let error = Error::unsupported("expected atoms in _atom_site or _chem_comp_atom, found none");
    match seen {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Categories that are kept until the block ends.
pub(crate) fn is_kept(category: &str) -> bool {
    entry::CATEGORIES.contains(&category) || sites::CATEGORIES.contains(&category) || category == "chem_comp_atom"
}
