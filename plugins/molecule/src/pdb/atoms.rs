//! Lines of atoms into the columns of the record.

use std::collections::{HashMap, HashSet};

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Cell, Chain, Element, Model, Residue, SecondaryStructure};
use mediary_core::{Context, MediaRecord, Result};
use serde_json::Value;
use smol_str::SmolStr;

use super::bonds::{Places, bonds};
use super::columns::{charge, guess, is_old_style, label, position, residue_number, serial};
use super::entry::{Entry, Stretch};
use crate::columns::sparse;
use crate::contents;
use crate::elements::{by_symbol, isotope};
use crate::models::{self, Growth};
use crate::template;
use crate::text::{Findings, Line, single, word};

/// Bytes of memory that one atom of the first model takes in the columns and in the reader's own.
pub(super) const ATOM_BYTES: u64 = 112;

/// A record while its first model is read.
#[derive(Default)]
pub(super) struct Build {
    pub(super) molecule: Molecule,
    /// The first model.
    pub(super) model: Model,
    /// Later models.
    pub(super) models: Vec<Model>,
    /// Offset of the line of each atom.
    pub(super) starts: Vec<usize>,
    /// What the last line said of its residue.
    place: [u8; 14],
    names: Names,
    pub(super) growth: Growth,
    pub(super) findings: Findings,
    /// Cell of the next model.
    pub(super) next_cell: Option<Cell>,
    /// A `MODEL` record stands before.
    pub(super) open: bool,
    /// The first model is at its end.
    pub(super) closed: bool,
    /// The entry is at its end.
    pub(super) ended: bool,
    pub(super) after_ter: bool,
}

impl Build {
    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(super) fn unclosed(&mut self, line: u64) {
        self.open = false;
        self.findings.warn("unclosed-model", line, || "expected ENDMDL before the next model or the end".into());
    }

    pub(super) fn atom(&mut self, line: &Line<'_>, hetero: bool, cx: &Context) -> Result<()> {
        let position = match position(line) {
            Ok(position) => position,
            Err(error) => return cx.unless_lenient("bad-atom", error),
        };
        let count = self.starts.len();
        if count as u64 >= cx.limits().elements {
            cx.limits().check("elements", count as u64 + 1)?;
        }
        self.growth.make_room(count, ATOM_BYTES, cx)?;
        // The same residue as the line before, unless its columns say otherwise.
        let place = place_of(line);
        let last = self.molecule.atoms.residues.last().copied();
        let last = last.filter(|_| !self.after_ter && self.place == place);
        let residue = last.unwrap_or_else(|| self.residue(line, hetero));
        self.place = place;
        let (element, isotope, old_style) = self.element(line, residue);
        let atoms = &mut self.molecule.atoms;
        atoms.elements.push(element);
        sparse(&mut atoms.isotopes, count, isotope);
        atoms.names.push(self.names.of(line.columns(12, 16)));
        atoms.residues.push(residue);
        let previous = atoms.serials.last().copied().unwrap_or(0);
        atoms.serials.push(serial(line).unwrap_or_else(|| {
            self.findings.note("serial", line.number, || {
                let found = word(line.columns(6, 11));
                format!("expected an atom serial, found {found:?}: counted on")
            });
            previous + 1
        }));
        sparse(&mut atoms.altlocs, count, label(line.byte(16)));
        let mut value = |from: usize, default: f32, what: &str| {
            let field = line.columns(from, from + 6);
            if field.trim_ascii().is_empty() {
                return default;
            }
            single(field).unwrap_or_else(|| {
                self.findings.warn("bad-number", line.number, || {
                    format!("expected {what}, found {:?}: {default} is taken", word(field))
                });
                default
            })
        };
        atoms.occupancies.push(value(54, 1.0, "an occupancy"));
        atoms.b_factors.push(value(60, 0.0, "a B factor"));
        let charge = if old_style { Some(0) } else { charge(line.columns(78, 80)) };
        let charge = charge.unwrap_or_else(|| {
            self.findings.warn("bad-charge", line.number, || {
                format!("expected a charge such as 2+, found {:?}: 0 is taken", word(line.columns(78, 80)))
            });
            0
        });
        sparse(&mut atoms.formal_charges, count, charge);
        self.model.positions.to_mut().push(position);
        self.starts.push(line.start);
        Ok(())
    }

    /// Starts a residue, and a chain where one starts.
    fn residue(&mut self, line: &Line<'_>, hetero: bool) -> u32 {
        let molecule = &mut self.molecule;
        let (mut name, mut chain) = (line.columns(17, 20), line.columns(21, 22));
        match (line.byte(20), line.byte(21)) {
            (b' ', b' ') => chain = b"",
            (b' ', _) => {}
            (_, b' ') => (name, chain) = (line.columns(17, 21), b""),
            // Two columns of chain, unless the residue is of a water or lipid model with a name of four letters.
            _ if template::is_known(&word(line.columns(17, 21))) => name = line.columns(17, 21),
            _ => chain = line.columns(20, 22),
        }
        let chain = word(chain);
        let new_chain = self.after_ter || molecule.chains.last().is_none_or(|last| last.name != chain);
        self.after_ter = false;
        if new_chain {
            molecule.chains.push(Chain { name: chain, ..Chain::default() });
        }
        let field = line.columns(22, 27);
        let (number, insertion) = residue_number(field);
        if number.is_none() && !field.trim_ascii().is_empty() {
            self.findings
                .warn("residue-number", line.number, || format!("expected a residue number, found {:?}", word(field)));
        }
        let segment = line.columns(72, 76);
        let segment = if is_old_style(line) { SmolStr::default() } else { word(segment) };
        let chain = (molecule.chains.len() - 1) as u32;
        let residue = Residue { name: word(name), number, insertion, label_number: None, segment, hetero, chain };
        // Residues that share a place may alternate atom by atom.
        let recent = molecule.residues.iter().enumerate().rev().take(4);
        let mut shared = recent.take_while(|(_, known)| {
            !new_chain && (known.chain, known.number, known.insertion) == (chain, number, insertion)
        });
        let alternate = line.byte(16) != b' ';
        if let Some((known, _)) =
            shared.find(|(_, known)| alternate && known.name == residue.name && known.segment == residue.segment)
        {
            return known as u32;
        }
        molecule.residues.push(residue);
        (molecule.residues.len() - 1) as u32
    }

    /// Element and mass number; whether columns 73 to 80 are of the old style, without an element.
    fn element(&mut self, line: &Line<'_>, residue: u32) -> (Element, u16, bool) {
        let symbol = line.columns(76, 78).trim_ascii();
        if let Some(element) = by_symbol(symbol) {
            return (element, isotope(symbol), false);
        }
        let residue = self.molecule.residues[residue as usize].name.as_str();
        let name = line.columns(12, 16);
        let (element, isotope) = guess(name, residue);
        // `X` is the unknown element, of dummies.
        if symbol.eq_ignore_ascii_case(b"X") {
            return (Element::UNKNOWN, 0, false);
        }
        self.findings.warn("no-element", line.number, || {
            let found = if symbol.is_empty() { "blanks".into() } else { format!("{:?}", word(symbol)) };
            format!("expected an element in columns 77 and 78, found {found}: taken from the atom name")
        });
        if element == Element::UNKNOWN {
            self.findings
                .warn("unknown-element", line.number, || format!("the atom name {:?} tells no element", word(name)));
        }
        (element, isotope, is_old_style(line))
    }

    pub(super) fn finish(mut self, entry: &Entry, cx: &Context) -> Result<MediaRecord> {
        let molecule = &mut self.molecule;
        molecule.name = entry.name.clone();
        molecule.cell = entry.cell;
        molecule.space_group = entry.space_group.clone();
        // Where nothing refers to residues, there is no need to find them.
        let residues = match entry.helices.is_empty() && entry.links.is_empty() {
            true => Places::default(),
            false => Places::new(molecule),
        };
        for stretch in &entry.helices {
            let ends = (residues.find(&stretch.start), residues.find(&stretch.end));
            let (Some(start), Some(end)) = ends else {
                self.findings.note("secondary", stretch.line, || {
                    format!("a {} runs between residues that are not there", stretch.kind)
                });
                continue;
            };
            let Stretch { kind, class, ref id, .. } = *stretch;
            molecule.secondary.push(SecondaryStructure { kind, start, end, class, id: id.clone() });
        }
        let bonds = bonds(molecule, &self.model.positions, entry, &residues, &mut self.findings, cx)?;
        molecule.bonds = bonds;
        molecule.models.push(self.model);
        molecule.models.append(&mut self.models);
        models::number(&mut molecule.models, |stated, number| {
            // Frames without a number are nothing to speak of.
            if stated > 0 {
                self.findings.note("model-number", 0, || {
                    format!("model number {stated} is repeated: {number} is taken, the next free one")
                });
            }
        });
        let mut properties = entry.properties.clone();
        for (key, text) in &entry.texts {
            if !text.is_empty() {
                properties.insert((*key).into(), text.as_str().into());
            }
        }
        if !entry.sequences.is_empty() {
            let sequences = entry.sequences.iter().map(|(chain, names)| (chain.clone(), names.as_str().into()));
            properties.insert("sequences".into(), Value::Object(sequences.collect()));
        }
        let names = |sequence| str::split(sequence, ' ').collect::<HashSet<_>>();
        let polymers: HashMap<&str, HashSet<&str>> =
            entry.sequences.iter().map(|(chain, sequence)| (chain.as_str(), names(sequence))).collect();
        let is_ligand = |residue: usize| {
            let residue = &molecule.residues[residue];
            let polymer = polymers.get(molecule.chains[residue.chain as usize].name.as_str());
            residue.hetero && !polymer.is_some_and(|names| names.contains(residue.name.as_str()))
        };
        if let Some(ligands) = contents::ligands(molecule, is_ligand) {
            properties.insert("ligands".into(), ligands);
        }
        if molecule.name.is_empty() {
            molecule.name = entry.texts.get("title").cloned().unwrap_or_default();
        }
        self.findings.report(cx)?;
        let mut record = MediaRecord::new(self.molecule);
        if let mediary_core::Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok(record)
    }
}

/// Names of atoms, which are few: those met before are not taken apart again.
struct Names([([u8; 4], SmolStr); 64]);

impl Default for Names {
    fn default() -> Self {
        Self([const { ([b' '; 4], SmolStr::new_static("")) }; 64])
    }
}

impl Names {
    fn of(&mut self, columns: &[u8]) -> SmolStr {
        let Some(columns) = columns.first_chunk() else { return word(columns) };
        let slot = u32::from_be_bytes(*columns).wrapping_mul(0x9E37_79B1) >> 26;
        let (known, name) = &mut self.0[slot as usize];
        if known != columns {
            (*known, *name) = (*columns, word(columns));
        }
        name.clone()
    }
}

/// The columns that tell residues apart: residue, chain, number, insertion code, segment.
fn place_of(line: &Line<'_>) -> [u8; 14] {
    let mut place = [b' '; 14];
    for (index, byte) in place.iter_mut().enumerate() {
        *byte = line.byte(if index < 10 { 17 + index } else { 62 + index });
    }
    place
}
