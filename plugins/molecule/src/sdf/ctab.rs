//! What both versions of the connection table are built into.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondStereo, Chain, Element, Model, Residue};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::elements::{by_symbol, isotope};
use crate::text::{Findings, word};

/// Bytes of memory that an atom takes in the columns, an optional one included.
pub(super) const ATOM_BYTES: u64 = 112;
/// Bytes of memory that a bond takes.
pub(super) const BOND_BYTES: u64 = size_of::<Bond>() as u64;

/// A connection table as it is read.
#[derive(Default)]
pub(super) struct Table {
    pub(super) atoms: Atoms,
    pub(super) positions: Vec<[f64; 3]>,
    pub(super) bonds: Vec<Bond>,
    /// The property `molfile`.
    pub(super) extras: Map<String, Value>,
    /// Lines that are kept as they stand.
    pub(super) lines: Vec<Value>,
    pub(super) findings: Findings,
}

/// Sets a value of a column that is empty as long as all are the default.
pub(super) fn set<T: Clone + Default>(column: &mut Vec<T>, count: usize, index: usize, value: T) {
    if column.is_empty() {
        column.resize(count, T::default());
    }
    column[index] = value;
}

impl Table {
    /// Adds an atom. A symbol that is no element is kept as its type.
    pub(super) fn atom(&mut self, symbol: &[u8], position: [f64; 3], count: usize, line: u64) {
        let index = self.positions.len();
        let atoms = &mut self.atoms;
        self.positions.push(position);
        atoms.residues.push(0);
        atoms.names.push(SmolStr::default());
        match by_symbol(symbol) {
            Some(element) => {
                atoms.elements.push(element);
                if isotope(symbol) != 0 {
                    set(&mut atoms.isotopes, count, index, isotope(symbol));
                }
            }
            None => {
                atoms.elements.push(Element::UNKNOWN);
                if is_query(symbol) {
                    self.findings.note("query-atom", line, || {
                        format!("{:?} stands for no element: it is kept as the type of the atom", word(symbol))
                    });
                } else {
                    self.findings.warn("unknown-element", line, || {
                        format!("expected an element, found {:?}: it is kept as the type of the atom", word(symbol))
                    });
                }
                set(&mut atoms.types, count, index, word(symbol));
            }
        }
    }

    /// Adds a bond of a type as the format numbers it.
    pub(super) fn bond(&mut self, a: u32, b: u32, kind: i64, stereo: BondStereo, line: u64) {
        if a == b {
            self.findings.warn("bond-to-itself", line, || format!("a bond joins atom {} with itself: left out", a + 1));
            return;
        }
        let order = match kind {
            1 => BondOrder::Single,
            2 => BondOrder::Double,
            3 => BondOrder::Triple,
            4 => BondOrder::Aromatic,
            9 => BondOrder::Dative,
            _ => BondOrder::Unknown,
        };
        if order == BondOrder::Unknown {
            self.findings.note("query-bond", line, || {
                format!("the bond type {kind} states no order: it is kept in the property molfile")
            });
            // Any bond is what an unknown order is written as.
            if kind != 8 {
                self.attribute("query_bonds", self.bonds.len(), kind.into());
            }
        }
        self.bonds.push(Bond { a, b, order, aromatic: kind == 4, stereo, ..Bond::default() });
    }

    /// Keeps a value by the number of an atom or a bond, from 1.
    pub(super) fn attribute(&mut self, what: &str, index: usize, value: Value) {
        let values = self.extras.entry(what).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(values) = values {
            values.insert((index + 1).to_string(), value);
        }
    }

    /// The molecule, its property `molfile`, and what was found.
    pub(super) fn finish(mut self, name: String) -> (Molecule, Map<String, Value>, Findings) {
        if !self.lines.is_empty() {
            self.extras.insert("lines".into(), self.lines.into());
        }
        let molecule = Molecule {
            name,
            atoms: self.atoms,
            residues: vec![Residue::default()],
            chains: vec![Chain::default()],
            bonds: self.bonds,
            models: vec![Model { number: 1, positions: self.positions.into(), ..Model::default() }],
            ..Molecule::default()
        };
        (molecule, self.extras, self.findings)
    }
}

/// Whether the format has a meaning for a symbol that is no element: any atom, any but carbon, a list, a group, a lone pair,
/// a polymer bead.
fn is_query(symbol: &[u8]) -> bool {
    matches!(symbol, b"A" | b"AH" | b"Q" | b"QH" | b"X" | b"XH" | b"M" | b"MH" | b"*" | b"L" | b"LP" | b"Pol" | b"Mod")
        || matches!(symbol, [b'R', rest @ ..] if rest == b"#" || rest.iter().all(u8::is_ascii_digit))
        || symbol.starts_with(b"[")
        || symbol.starts_with(b"NOT")
}
