//! Rows of atoms into the columns of the record: the first model whole, of those that follow with the same atoms the positions
//! alone.

use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Chain, Element, Model, Residue};
use mediary_core::{Context, Result};
use smol_str::SmolStr;

use super::row::*;
use crate::columns::sparse;
use crate::elements::{by_symbol, isotope};
use crate::models::{Growth, MODEL_BYTES, POSITION_BYTES};
use crate::text::{Findings, integer, word};

/// Bytes of memory that one atom of the first model takes in the columns.
const ATOM_BYTES: u64 = 96;

/// Models of the same atoms, while they are read.
#[derive(Default)]
pub(crate) struct Build {
    pub(crate) molecule: Molecule,
    pub(crate) model: Model,
    pub(crate) models: Vec<Model>,
    growth: Growth,
    /// `label_atom_id` of each atom, where any differs from the author's; `label_comp_id` of each residue. Bonds refer to them.
    labels: Vec<SmolStr>,
    pub(crate) components: Vec<SmolStr>,
    chains: HashMap<SmolStr, u32>,
    /// What the last row said of its residue.
    last: Option<([SmolStr; 6], u32)>,
    pub(crate) missing: u64,
    pub(crate) findings: Findings,
    /// The model after the first that is being read, and the number of the model at hand.
    later: Option<Later>,
    current: Option<i64>,
}

/// A model after the first.
struct Later {
    number: i64,
    positions: Vec<[f64; 3]>,
    differing: Option<u64>,
}

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was taken as the first of a model.
    Begun,
    /// It was taken.
    Taken,
    /// It begins a model of other atoms: another record.
    Here,
    /// The model at hand is of other atoms: another record begins with its first row.
    Back,
}

impl Build {
    pub(crate) fn is_empty(&self) -> bool {
        self.molecule.atoms.is_empty()
    }

    /// Whether no model behind the first is being read, whose rows may be gone through again.
    pub(crate) fn is_first(&self) -> bool {
        self.later.is_none()
    }

    /// Adds an atom. On [`Step::Here`] and [`Step::Back`] nothing was taken, and nothing more can be.
    pub(crate) fn add(&mut self, row: &impl Row, line: u64, cx: &Context) -> Result<Step> {
        let number = row.integer(MODEL).unwrap_or(1);
        let begins = self.current != Some(number);
        if begins {
            if !self.close(cx) {
                return Ok(Step::Back);
            }
            self.current = Some(number);
            if self.is_empty() {
                self.model.number = number;
            } else {
                cx.budget().take(self.later_bytes())?;
                self.later = Some(Later { number, positions: Vec::new(), differing: None });
            }
        }
        let taken = if begins { Step::Begun } else { Step::Taken };
        let Some(mut model) = self.later.take() else {
            self.atom(row, line, cx)?;
            return Ok(taken);
        };
        let index = model.positions.len();
        if !self.is_same(index, row) {
            cx.budget().give_back(self.later_bytes());
            return Ok(if begins { Step::Here } else { Step::Back });
        }
        if begins {
            model.positions.reserve_exact(self.molecule.atoms.len());
        }
        model.positions.push(row.position(line)?.unwrap_or_default());
        let b_factor = row.single(B_FACTOR);
        if b_factor.is_some_and(|value| self.molecule.atoms.b_factors.get(index) != Some(&value)) {
            model.differing.get_or_insert(line);
        }
        self.later = Some(model);
        Ok(taken)
    }

    /// Ends the model that is being read; `false` if it misses atoms of the first, so that it is of another record.
    pub(crate) fn close(&mut self, cx: &Context) -> bool {
        let Some(model) = self.later.take() else { return true };
        if model.positions.len() < self.molecule.atoms.len() {
            cx.budget().give_back(self.later_bytes());
            return false;
        }
        if let Some(line) = model.differing {
            self.findings
                .note("model-values", line, || "B factors differ between models: those of the first are kept".into());
        }
        self.models.push(Model { number: model.number, positions: model.positions.into(), ..Model::default() });
        true
    }

    /// Bytes of memory that a later model of the same atoms takes.
    fn later_bytes(&self) -> u64 {
        self.molecule.atoms.len() as u64 * POSITION_BYTES + MODEL_BYTES
    }

    /// `label_atom_id` of an atom.
    pub(crate) fn label(&self, atom: u32) -> &SmolStr {
        self.labels.get(atom as usize).unwrap_or(&self.molecule.atoms.names[atom as usize])
    }

    /// Whether a row of a later model is of the same atom as row `index` of the first.
    fn is_same(&mut self, index: usize, row: &impl Row) -> bool {
        if index >= self.molecule.atoms.len() || !is_word(self.label(index as u32), row.text(LABEL_ATOM)) {
            return false;
        }
        let molecule = &self.molecule;
        let altloc = molecule.atoms.altlocs.get(index).copied().unwrap_or('\0');
        if first_char(row.text(ALT)).unwrap_or('\0') != altloc {
            return false;
        }
        let residue = molecule.atoms.residues[index];
        if let Some((last, known)) = &self.last
            && *known == residue
            && same_residue(last, row)
        {
            return true;
        }
        let it = &molecule.residues[residue as usize];
        let chain = &molecule.chains[it.chain as usize];
        let number = |item: usize| integer(row.text(item)).and_then(|number| i32::try_from(number).ok());
        let label = number(LABEL_SEQ);
        let same = is_word(&self.components[residue as usize], row.text(LABEL_COMP))
            && is_word(&chain.label, row.either(LABEL_ASYM, AUTH_ASYM))
            && is_word(&chain.name, row.author(AUTH_ASYM, LABEL_ASYM))
            && it.label_number == label
            && it.number == if row.has(AUTH_SEQ) { number(AUTH_SEQ) } else { label }
            && it.insertion == first_char(row.text(INSERTION));
        if same {
            self.last = Some((PLACE.map(|item| row.word(item)), residue));
        }
        same
    }

    /// Adds an atom of the first model.
    fn atom(&mut self, row: &impl Row, line: u64, cx: &Context) -> Result<()> {
        let count = self.molecule.atoms.len();
        if count as u64 >= cx.limits().elements {
            cx.limits().check("elements", count as u64 + 1)?;
        }
        self.growth.make_room(count, ATOM_BYTES, cx)?;
        let position = match row.position(line) {
            Ok(position) => position,
            Err(error) => {
                self.last = None;
                return cx.unless_lenient("bad-atom", error);
            }
        };
        self.missing += u64::from(position.is_none());
        let residue = self.residue(row, line);
        let (author, label) = (row.author(AUTH_ATOM, LABEL_ATOM), row.text(LABEL_ATOM));
        let name = row.word(row.author_item(AUTH_ATOM, LABEL_ATOM));
        if author != label || !self.labels.is_empty() {
            if self.labels.is_empty() {
                cx.budget().take(count as u64 * size_of::<SmolStr>() as u64)?;
                self.labels.extend_from_slice(&self.molecule.atoms.names);
            }
            self.labels.push(if author == label { name.clone() } else { row.word(LABEL_ATOM) });
        }
        let symbol = row.text(SYMBOL);
        let element = by_symbol(symbol).unwrap_or_else(|| {
            if !matches!(symbol, b"X" | b"x") {
                self.findings.warn("no-element", line, || {
                    format!("expected an element in type_symbol, found {:?}: unknown", word(symbol))
                });
            }
            Element::UNKNOWN
        });
        let atoms = &mut self.molecule.atoms;
        let mut number = |item: usize, default: f32| {
            row.single(item).unwrap_or_else(|| {
                if !row.is_missing(item) {
                    self.findings.warn("bad-number", line, || {
                        let found = row.word(item);
                        format!("expected a number in {}, found {found:?}: {default} is taken", READ[item])
                    });
                }
                default
            })
        };
        atoms.occupancies.push(number(OCCUPANCY, 1.0));
        atoms.b_factors.push(number(B_FACTOR, 0.0));
        for (item, column) in [(PARTIAL, &mut atoms.partial_charges), (RADIUS, &mut atoms.radii)] {
            if row.has(item) {
                column.push(number(item, 0.0));
            }
        }
        atoms.elements.push(element);
        atoms.names.push(name);
        atoms.residues.push(residue);
        atoms.serials.push(row.integer(ID).unwrap_or(count as i64 + 1));
        sparse(&mut atoms.altlocs, count, first_char(row.text(ALT)).unwrap_or('\0'));
        sparse(&mut atoms.formal_charges, count, small(row, CHARGE).unwrap_or(0));
        sparse(&mut atoms.isotopes, count, small(row, ISOTOPE).unwrap_or_else(|| isotope(symbol)));
        if row.has(TYPE) {
            atoms.types.push(row.word(TYPE));
        }
        if row.has(HYDROGENS) {
            atoms.hydrogens.push(small(row, HYDROGENS).unwrap_or(0));
        }
        if row.has(AROMATIC) {
            atoms.aromatic.push(row.text(AROMATIC) == b"Y");
        }
        if row.has(RADICAL) {
            atoms.radicals.push(small(row, RADICAL).unwrap_or(0));
        }
        if row.has(MAP_NUMBER) {
            atoms.map_numbers.push(small(row, MAP_NUMBER).unwrap_or(0));
        }
        self.model.positions.to_mut().push(position.unwrap_or_default());
        Ok(())
    }

    fn residue(&mut self, row: &impl Row, line: u64) -> u32 {
        if let Some((last, residue)) = &self.last
            && same_residue(last, row)
        {
            return *residue;
        }
        let molecule = &mut self.molecule;
        let asym = row.either(LABEL_ASYM, AUTH_ASYM);
        let last = molecule.residues.last().map(|residue| residue.chain);
        let last = last.filter(|&chain| is_word(&molecule.chains[chain as usize].label, asym));
        let chain = last.unwrap_or_else(|| {
            *self.chains.entry(word(asym)).or_insert_with_key(|label| {
                molecule.chains.push(Chain {
                    name: row.word(row.author_item(AUTH_ASYM, LABEL_ASYM)),
                    label: label.clone(),
                    entity: row.word(ENTITY),
                });
                (molecule.chains.len() - 1) as u32
            })
        });
        let number = |item: usize, findings: &mut Findings| {
            let field = row.text(item);
            let number = integer(field).and_then(|number| i32::try_from(number).ok());
            if number.is_none() && !field.is_empty() {
                findings.warn("residue-number", line, || format!("expected a residue number, found {:?}", word(field)));
            }
            number
        };
        let label_number = number(LABEL_SEQ, &mut self.findings);
        let author = if row.has(AUTH_SEQ) { number(AUTH_SEQ, &mut self.findings) } else { label_number };
        let residue = Residue {
            name: row.word(row.author_item(AUTH_COMP, LABEL_COMP)),
            number: author,
            insertion: first_char(row.text(INSERTION)),
            label_number,
            segment: row.word(SEGMENT),
            hetero: row.text(GROUP) == b"HETATM",
            chain,
        };
        // Residues that share a place may alternate atom by atom.
        let alternate = !row.is_missing(ALT);
        let recent = molecule.residues.iter().enumerate().rev().take(4);
        let place = |it: &Residue| (it.chain, it.number, it.insertion, it.label_number);
        let shared = recent
            .take_while(|(_, known)| place(known) == place(&residue))
            .find(|(_, known)| alternate && known.name == residue.name)
            .map(|(known, _)| known as u32);
        let index = shared.unwrap_or_else(|| {
            molecule.residues.push(residue);
            self.components.push(row.word(LABEL_COMP));
            (molecule.residues.len() - 1) as u32
        });
        self.last = Some((PLACE.map(|item| row.word(item)), index));
        index
    }
}

/// Whether [`word`] of a text is this one.
fn is_word(known: &str, text: &[u8]) -> bool {
    known.as_bytes() == text.trim_ascii() || (!text.is_ascii() && known == word(text))
}

fn same_residue(last: &[SmolStr; 6], row: &impl Row) -> bool {
    row.continues() || last.iter().zip(PLACE).all(|(known, item)| is_word(known, row.text(item)))
}

/// A whole number of a small type.
fn small<T: TryFrom<i64>>(row: &impl Row, item: usize) -> Option<T> {
    row.integer(item).and_then(|number| T::try_from(number).ok())
}

pub(crate) fn first_char(text: &[u8]) -> Option<char> {
    match text {
        [] => None,
        [byte, ..] if byte.is_ascii() && !byte.is_ascii_whitespace() => Some(char::from(*byte)),
        _ => word(text).chars().next(),
    }
}
