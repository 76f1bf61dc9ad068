//! Rows of atoms into the columns of the record.

use std::collections::HashMap;

use mediary_core::record::molecule::{Cell, Chain, Element, Model, Residue};
use mediary_core::record::{Buffer, Molecule};
use mediary_core::{Context, Media, MediaRecord, Result};
use serde_json::Map;
use smol_str::SmolStr;

use super::bonds::Links;
use super::places::{Places, secondary};
use super::row::*;
use super::table::Table;
use super::token::Tokens;
use crate::elements::{by_symbol, isotope};
use crate::models::{self, Growth, MODEL_BYTES, POSITION_BYTES};
use crate::text::{Findings, integer, word};

/// Bytes of memory that one atom of the first model takes in the columns and in the reader's own.
pub(super) const ATOM_BYTES: u64 = 160;

/// Items that are kept as properties.
pub(super) const PROPERTIES: &[(&str, &str)] = &[
    ("struct.title", "title"),
    ("struct_keywords.pdbx_keywords", "classification"),
    ("struct_keywords.text", "keywords"),
    ("exptl.method", "method"),
    ("pdbx_database_status.recvd_initial_deposition_date", "deposition_date"),
    ("refine.ls_d_res_high", "resolution"),
    ("entry.id", "id"),
];

pub(super) fn is_complete(tables: &HashMap<String, Table>) -> bool {
    tables.get("entry").and_then(|entry| entry.first("mediary_bonds")).is_some_and(|word| word == "complete")
}
/// A model after the first, while it is read.
pub(super) struct Later {
    pub(super) number: i64,
    pub(super) positions: Vec<[f64; 3]>,
    pub(super) start: Tokens,
    pub(super) differing: Option<u64>,
}

/// A record while its first model is read.
#[derive(Default)]
pub(super) struct Build {
    pub(super) molecule: Molecule,
    pub(super) model: Model,
    pub(super) models: Vec<Model>,
    pub(super) keys: Vec<u64>,
    pub(super) growth: Growth,
    /// `label_atom_id` of each atom and `label_comp_id` of each residue: what bonds refer to.
    pub(super) labels: Vec<SmolStr>,
    pub(super) components: Vec<SmolStr>,
    pub(super) chains: HashMap<SmolStr, u32>,
    /// What the last row said of its residue.
    pub(super) last: Option<([SmolStr; 6], u32)>,
    pub(super) missing: u64,
    pub(super) findings: Findings,
}

impl Build {
    pub(super) fn atom(&mut self, row: &Row<'_>, line: u64, cx: &Context) -> Result<()> {
        let count = self.keys.len();
        if count as u64 >= cx.limits().elements {
            cx.limits().check("elements", count as u64 + 1)?;
        }
        self.growth.make_room(count, ATOM_BYTES, cx)?;
        let position = match row.position(line) {
            Ok(position) => position,
            Err(error) => return cx.unless_lenient("bad-atom", error),
        };
        self.missing += u64::from(position.is_none());
        let residue = self.residue(row, line);
        self.keys.push(row.key());
        self.labels.push(word(row.get(LABEL_ATOM)));
        let name = word(row.author(AUTH_ATOM, LABEL_ATOM));
        let symbol = row.get(SYMBOL);
        let element = by_symbol(symbol).unwrap_or_else(|| {
            if !matches!(symbol, b"X" | b"x") {
                self.findings.warn("no-element", line, || {
                    format!("expected an element in type_symbol, found {:?}: unknown", word(symbol))
                });
            }
            Element::UNKNOWN
        });
        let serial = integer(row.get(ID));
        let mut number = |item: usize, default: f32| {
            let field = row.get(item);
            measured(field).map(|value| value as f32).unwrap_or_else(|| {
                if !field.is_empty() {
                    self.findings.warn("bad-number", line, || {
                        format!("expected a number in {}, found {:?}: {default} is taken", READ[item], word(field))
                    });
                }
                default
            })
        };
        let atoms = &mut self.molecule.atoms;
        atoms.occupancies.push(number(OCCUPANCY, 1.0));
        atoms.b_factors.push(number(B_FACTOR, 0.0));
        for (item, column) in [(PARTIAL, &mut atoms.partial_charges), (RADIUS, &mut atoms.radii)] {
            if row.0[item].is_some() {
                column.push(number(item, 0.0));
            }
        }
        let mass = integer(row.get(ISOTOPE)).and_then(|mass| u16::try_from(mass).ok());
        atoms.elements.push(element);
        atoms.names.push(name);
        atoms.residues.push(residue);
        atoms.serials.push(serial.unwrap_or(count as i64 + 1));
        atoms.altlocs.push(first_char(row.get(ALT)).unwrap_or('\0'));
        let charge = integer(row.get(CHARGE)).and_then(|charge| i8::try_from(charge).ok());
        atoms.formal_charges.push(charge.unwrap_or(0));
        atoms.isotopes.push(mass.unwrap_or(isotope(symbol)));
        if row.0[TYPE].is_some() {
            atoms.types.push(word(row.get(TYPE)));
        }
        if row.0[HYDROGENS].is_some() {
            let hydrogens = integer(row.get(HYDROGENS)).and_then(|count| u8::try_from(count).ok());
            atoms.hydrogens.push(hydrogens.unwrap_or(0));
        }
        if row.0[AROMATIC].is_some() {
            atoms.aromatic.push(row.get(AROMATIC) == b"Y");
        }
        if row.0[RADICAL].is_some() {
            atoms.radicals.push(integer(row.get(RADICAL)).and_then(|spin| u8::try_from(spin).ok()).unwrap_or(0));
        }
        if row.0[MAP_NUMBER].is_some() {
            let number = integer(row.get(MAP_NUMBER)).and_then(|number| u32::try_from(number).ok());
            atoms.map_numbers.push(number.unwrap_or(0));
        }
        self.model.positions.to_mut().push(position.unwrap_or_default());
        Ok(())
    }

    fn residue(&mut self, row: &Row<'_>, line: u64) -> u32 {
        let key = row.residue();
        if let Some((last, residue)) = &self.last
            && last.iter().zip(key).all(|(known, value)| known.as_bytes() == value)
        {
            return *residue;
        }
        let molecule = &mut self.molecule;
        let asym = word(row.either(LABEL_ASYM, AUTH_ASYM));
        let chain = *self.chains.entry(asym).or_insert_with_key(|label| {
            molecule.chains.push(Chain {
                name: word(row.author(AUTH_ASYM, LABEL_ASYM)),
                label: label.clone(),
                entity: word(row.get(ENTITY)),
            });
            (molecule.chains.len() - 1) as u32
        });
        let number = |item: usize, findings: &mut Findings| {
            let field = row.get(item);
            let number = integer(field).and_then(|number| i32::try_from(number).ok());
            if number.is_none() && !field.is_empty() {
                findings.warn("residue-number", line, || format!("expected a residue number, found {:?}", word(field)));
            }
            number
        };
        let label_number = number(LABEL_SEQ, &mut self.findings);
        let author = if row.0[AUTH_SEQ].is_some() { number(AUTH_SEQ, &mut self.findings) } else { label_number };
        let residue = Residue {
            name: word(row.author(AUTH_COMP, LABEL_COMP)),
            number: author,
            insertion: first_char(row.get(INSERTION)),
            label_number,
            segment: word(row.get(SEGMENT)),
            hetero: row.get(GROUP) == b"HETATM",
            chain,
        };
        // Residues that share a place may alternate atom by atom.
        let alternate = !row.get(ALT).is_empty();
        let recent = molecule.residues.iter().enumerate().rev().take(4);
        let place = |it: &Residue| (it.chain, it.number, it.insertion, it.label_number);
        let shared = recent
            .take_while(|(_, known)| place(known) == place(&residue))
            .find(|(_, known)| alternate && known.name == residue.name)
            .map(|(known, _)| known as u32);
        let index = shared.unwrap_or_else(|| {
            molecule.residues.push(residue);
            self.components.push(word(row.get(LABEL_COMP)));
            (molecule.residues.len() - 1) as u32
        });
        self.last = Some((key.map(word), index));
        index
    }

    /// Bytes of memory that a later model of the same atoms takes.
    pub(super) fn later_bytes(&self) -> u64 {
        self.keys.len() as u64 * POSITION_BYTES + MODEL_BYTES
    }

    /// Adds a model of the same atoms.
    pub(super) fn add(&mut self, model: Later, findings: &mut Findings) {
        if let Some(line) = model.differing {
            findings
                .note("model-values", line, || "B factors differ between models: those of the first are kept".into());
        }
        self.models.push(Model { number: model.number, positions: model.positions.into(), ..Model::default() });
    }

    pub(super) fn finish(
        mut self,
        block: &str,
        tables: &HashMap<String, Table>,
        mut findings: Findings,
        cx: &Context,
    ) -> Result<(MediaRecord, Findings)> {
        let molecule = &mut self.molecule;
        let atoms = &mut molecule.atoms;
        // A column of defaults is no column.
        fn clear<T: Default + PartialEq>(column: &mut Vec<T>) {
            if column.iter().all(|value| *value == T::default()) {
                *column = Vec::new();
            }
        }
        clear(&mut atoms.altlocs);
        clear(&mut atoms.formal_charges);
        clear(&mut atoms.isotopes);
        let count = atoms.len() as u64;
        if self.missing == count {
            self.model.positions = Buffer::default();
            self.models.iter_mut().for_each(|model| model.positions = Buffer::default());
        } else if self.missing > 0 {
            findings.warn("no-position", 0, || {
                format!("{} of {count} atoms have no coordinates: 0, 0, 0 are taken", self.missing)
            });
        }
        let value = |category: &str, item: &str| tables.get(category).and_then(|table| table.first(item));
        let complete = is_complete(tables);
        let own_name = value("struct", "pdbx_descriptor").filter(|_| complete);
        molecule.name = match (complete, own_name) {
            (true, name) => name.map(ToString::to_string).unwrap_or_default(),
            (false, _) => value("entry", "id").map_or_else(|| block.to_owned(), ToString::to_string),
        };
        let edge = |item: &str| value("cell", item).and_then(|text| measured(text.as_bytes()));
        let edges = (edge("length_a"), edge("length_b"), edge("length_c"));
        if let (Some(a), Some(b), Some(c)) = edges {
            // Edges of 1 (or 0) Å stand for "no crystal".
            if [a, b, c].iter().all(|&edge| edge > 0.0) && [a, b, c].iter().any(|&edge| edge > 1.0) {
                let angle = |item: &str| edge(item).unwrap_or(90.0);
                let angles = [angle("angle_alpha"), angle("angle_beta"), angle("angle_gamma")];
                molecule.cell = Some(Cell { lengths: [a, b, c], angles });
            }
        }
        let group = value("symmetry", "space_group_name_h-m").or_else(|| value("space_group", "name_h-m_alt"));
        molecule.space_group = group.map(ToString::to_string);
        let places = Places::new(molecule, &self.components);
        secondary(molecule, tables, &places, &mut findings);
        let links = Links { labels: &self.labels, components: &self.components, places: &places, complete };
        molecule.bonds = links.bonds(molecule, &self.model.positions, tables, &mut findings, cx)?;
        molecule.models.push(self.model);
        molecule.models.append(&mut self.models);
        models::number(&mut molecule.models, |stated, number| {
            findings.note("model-number", 0, || {
                format!("model number {stated} is repeated or not positive: {number} is taken, the next free one")
            });
        });
        let mut properties = Map::new();
        for (item, property) in PROPERTIES {
            let Some((category, item)) = item.split_once('.') else { continue };
            let Some(text) = value(category, item).filter(|text| !text.is_empty()) else { continue };
            if *text == molecule.name || (complete && *property == "id") {
                continue;
            }
            let number = (*property == "resolution").then(|| measured(text.as_bytes())).flatten();
            properties.insert((*property).into(), number.map_or_else(|| text.as_str().into(), Into::into));
        }
        findings.append(self.findings);
        let mut record = MediaRecord::new(self.molecule);
        if let Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok((record, findings))
    }
}

pub(super) fn first_char(text: &[u8]) -> Option<char> {
    word(text).chars().next()
}
