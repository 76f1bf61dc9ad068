//! A macromolecular entry: its atoms with what the small categories of its block say.

use std::collections::HashMap;

use mediary_core::record::molecule::Cell;
use mediary_core::record::{Buffer, Molecule};
use mediary_core::{Context, Error, Media, MediaRecord, Result};
use serde_json::{Map, Value as Json};

use super::atoms::Build;
use super::bonds::Links;
use super::places::{Places, secondary};
use super::row::Layout;
use crate::cif::table::{Table, Tables};
use crate::cif::token::Value;
use crate::text::Findings;
use crate::{cell, contents, models};

/// Items that are kept as properties.
const PROPERTIES: &[(&str, &str, &str)] = &[
    ("struct", "title", "title"),
    ("struct_keywords", "pdbx_keywords", "classification"),
    ("struct_keywords", "text", "keywords"),
    ("exptl", "method", "method"),
    ("pdbx_database_status", "recvd_initial_deposition_date", "deposition_date"),
    ("refine", "ls_d_res_high", "resolution"),
    ("em_3d_reconstruction", "resolution", "resolution"),
    ("entry", "id", "id"),
];

/// Small categories that are kept until the block ends.
#[rustfmt::skip]
pub(crate) const CATEGORIES: &[&str] = &[
    "entry", "struct", "struct_keywords", "exptl", "pdbx_database_status", "refine", "em_3d_reconstruction", "cell",
    "symmetry", "space_group", "chem_comp", "chem_comp_bond", "struct_conn", "struct_conf", "struct_sheet_range",
    "entity", "entity_poly", "entity_poly_seq",
];

/// Whether `_atom_site` of these items is that of the macromolecular dictionary.
pub(crate) fn is_macromolecular(items: &[String], dotted: bool) -> bool {
    let has = |name: &str| items.iter().any(|item| item == name);
    has("label_atom_id") || has("auth_atom_id") || (dotted && has("cartn_x") && !has("label"))
}

/// Whether the file states every bond: our own does.
pub(crate) fn is_complete(tables: &Tables) -> bool {
    tables.first("entry", "mediary_bonds").is_some_and(|word| word == "complete")
}

/// One atom that is given as single items.
pub(crate) fn single(table: &Table, is_fractional: &mut bool, cx: &Context) -> Result<Option<Build>> {
    let Some(layout) = Layout::of(&table.items) else { return Ok(None) };
    *is_fractional = layout.is_fractional;
    let mut build = Build::default();
    for row in &table.rows {
        let mut values: Vec<Value<'_>> = row
            .iter()
            .map(|value| value.as_ref().map_or(Value::UNKNOWN, |text| Value { text: text.as_bytes(), quoted: true }))
            .collect();
        values.resize(table.items.len() + 1, Value::UNKNOWN);
        build.add(&layout.row(&values), 0, cx)?;
    }
    Ok(Some(build))
}

/// The cell of a block, and whether its edges are more than the 1 Å that stands for no crystal.
pub(crate) fn unit_cell(tables: &Tables) -> Option<(Cell, bool)> {
    let number = |item: &str| tables.number("cell", item);
    let lengths = [number("length_a")?, number("length_b")?, number("length_c")?];
    let angle = |item: &str| number(item).unwrap_or(90.0);
    let angles = [angle("angle_alpha"), angle("angle_beta"), angle("angle_gamma")];
    let is_crystal = lengths.iter().any(|&edge| edge > 1.0);
    lengths.iter().all(|&edge| edge > 0.0).then_some((Cell { lengths, angles }, is_crystal))
}

/// Hermann–Mauguin symbol of the space group.
pub(crate) fn space_group(tables: &Tables) -> Option<String> {
    let names =
        [("symmetry", "space_group_name_h-m"), ("space_group", "name_h-m_alt"), ("space_group", "name_h-m_full")];
    names.iter().find_map(|(category, item)| tables.first(category, item)).map(ToString::to_string)
}

/// What a block says beside its atoms.
pub(crate) struct Block<'b> {
    /// Its name.
    pub(crate) name: &'b str,
    pub(crate) tables: &'b Tables,
    /// Coordinates are fractions of the edges of the cell.
    pub(crate) is_fractional: bool,
}

impl Block<'_> {
    pub(crate) fn finish(
        &self,
        mut build: Build,
        mut findings: Findings,
        cx: &Context,
    ) -> Result<(MediaRecord, Findings)> {
        let tables = self.tables;
        build.close(cx);
        let count = build.molecule.atoms.len() as u64;
        if build.missing == count {
            build.model.positions = Buffer::default();
            build.models.iter_mut().for_each(|model| model.positions = Buffer::default());
        } else if build.missing > 0 {
            let missing = build.missing;
            findings.warn("no-position", 0, || {
                format!("{missing} of {count} atoms have no coordinates: 0, 0, 0 are taken")
            });
        }
        let complete = is_complete(tables);
        let own_name = tables.first("struct", "pdbx_descriptor").filter(|_| complete);
        build.molecule.name = match (complete, own_name) {
            (true, name) => name.map(ToString::to_string).unwrap_or_default(),
            (false, _) => tables.first("entry", "id").map_or_else(|| self.name.to_owned(), ToString::to_string),
        };
        let unit_cell = unit_cell(tables);
        if self.is_fractional && build.missing < count {
            let Some((edges, _)) = unit_cell.filter(|(edges, _)| cell::is_possible(edges)) else {
                return Err(Error::malformed(
                    "expected a unit cell for fractional coordinates, found none that is possible",
                ));
            };
            let vectors = cell::vectors(&edges);
            for model in std::iter::once(&mut build.model).chain(&mut build.models) {
                for position in model.positions.to_mut() {
                    *position = cell::cartesian(&vectors, *position)?;
                }
            }
        }
        build.molecule.cell = unit_cell.filter(|(_, is_crystal)| *is_crystal).map(|(cell, _)| cell);
        build.molecule.space_group = space_group(tables);
        // Where nothing refers to residues, there is no need to find them.
        let refers = |category: &&str| tables.get(category).is_some();
        let places = match ["struct_conf", "struct_sheet_range", "struct_conn"].iter().any(refers) {
            true => Places::new(&build.molecule, &build.components),
            false => Places::default(),
        };
        let stretches = secondary(tables, &places, &mut findings);
        let bonds = Links { build: &build, places: &places, complete }.bonds(tables, &mut findings, cx)?;
        (build.molecule.secondary, build.molecule.bonds) = (stretches, bonds);
        let Build { mut molecule, model, mut models, .. } = build;
        molecule.models.push(model);
        molecule.models.append(&mut models);
        models::number(&mut molecule.models, |stated, number| {
            findings.note("model-number", 0, || {
                format!("model number {stated} is repeated or not positive: {number} is taken, the next free one")
            });
        });
        let properties = properties(&molecule, tables, complete);
        findings.append(build.findings);
        let mut record = MediaRecord::new(molecule);
        if let Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok((record, findings))
    }
}

fn properties(molecule: &Molecule, tables: &Tables, complete: bool) -> Map<String, Json> {
    let mut properties = Map::new();
    for (category, item, property) in PROPERTIES {
        let Some(text) = tables.first(category, item).filter(|text| !text.is_empty()) else { continue };
        if *text == molecule.name || (complete && *property == "id") || properties.contains_key(*property) {
            continue;
        }
        let number = (*property == "resolution").then(|| tables.number(category, item)).flatten();
        properties.insert((*property).into(), number.map_or_else(|| text.as_str().into(), Into::into));
    }
    let sequences = sequences(molecule, tables);
    if !sequences.is_empty() {
        properties.insert("sequences".into(), Json::Object(sequences));
    }
    let types: HashMap<&str, &str> = tables.get("entity").map_or_else(HashMap::new, |table| {
        let (id, kind) = (table.item("id"), table.item("type"));
        table.rows.iter().map(|row| (id(row), kind(row))).collect()
    });
    let kind = |entity: &str| types.get(entity).filter(|_| !entity.is_empty());
    let no_polymer = |kind: &&str| matches!(*kind, "non-polymer" | "branched");
    let by_chain: Vec<_> = molecule.chains.iter().map(|chain| kind(&chain.entity).map(no_polymer)).collect();
    let is_ligand = |residue: usize| {
        let residue = &molecule.residues[residue];
        by_chain[residue.chain as usize].unwrap_or(residue.hetero)
    };
    if let Some(ligands) = contents::ligands(molecule, is_ligand) {
        properties.insert("ligands".into(), ligands);
    }
    properties
}

/// Names of the residues of each polymer, by the author's id of the chain.
fn sequences(molecule: &Molecule, tables: &Tables) -> Map<String, Json> {
    let mut sequences = Map::new();
    let Some(table) = tables.get("entity_poly_seq") else { return sequences };
    let mut chains: HashMap<&str, Vec<&str>> = HashMap::new();
    for chain in &molecule.chains {
        chains.entry(&chain.entity).or_default().push(&chain.name);
    }
    let (entity, number, name) = (table.item("entity_id"), table.item("num"), table.item("mon_id"));
    for own in table.rows.chunk_by(|a, b| entity(a) == entity(b)) {
        // Of residues that share a number (microheterogeneity) the first stands for it.
        let names = own.chunk_by(|a, b| number(a) == number(b) && !number(a).is_empty()).map(|same| name(&same[0]));
        let sequence = names.collect::<Vec<_>>().join(" ");
        for chain in chains.remove(entity(&own[0])).unwrap_or_default() {
            sequences.entry(chain).or_insert_with(|| sequence.as_str().into());
        }
    }
    sequences
}
