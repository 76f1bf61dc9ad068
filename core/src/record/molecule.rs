//! Molecules: atoms in columns, residues, chains, bonds, models.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Word;
use super::buffer::Buffer;
use super::elements::{HYDROGEN, SYMBOLS, WEIGHTS};
use super::facts::MoleculeFacts;
use crate::error::{Error, Result};

/// Atomic number; 0 stands for an unknown element, a dummy or a query atom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element(u8);

impl Element {
    /// Unknown, dummy, or query atom.
    pub const UNKNOWN: Self = Self(0);

    /// The element of this atomic number, 0 to 118.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < SYMBOLS.len()).then_some(Self(number))
    }

    /// The element of this symbol, in any case. `D` and `T` are hydrogen.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        if symbol.eq_ignore_ascii_case("D") || symbol.eq_ignore_ascii_case("T") {
            return Some(Self(HYDROGEN));
        }
        (1_u8..)
            .zip(&SYMBOLS[1..])
            .find(|(_, known)| known.eq_ignore_ascii_case(symbol))
            .map(|(number, _)| Self(number))
    }

    /// Atomic number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Symbol; `X` for an unknown element.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        SYMBOLS[usize::from(self.0)]
    }

    /// Standard atomic weight in g/mol (IUPAC 2021, conventional values); 0 for an unknown element.
    #[must_use]
    pub fn weight(self) -> f64 {
        WEIGHTS[usize::from(self.0)]
    }
}

/// Handedness at an atom as a line notation states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chirality {
    /// Not stated.
    #[default]
    None,
    /// Neighbours in the order of the bonds turn counter-clockwise seen from the first (`@`).
    CounterClockwise,
    /// Neighbours in the order of the bonds turn clockwise seen from the first (`@@`).
    Clockwise,
    /// Stated to be a mixture or unknown.
    Either,
}

/// Columns of atoms. `elements`, `names` and `residues` have one entry an atom; every other column has one an atom or is
/// empty, which means its default for all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Atoms {
    /// Elements.
    #[serde(with = "crate::wire::columns::codes", skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<Element>,
    /// Names, e.g. `CA`; may be empty.
    #[serde(with = "crate::wire::columns::strings", skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<SmolStr>,
    /// Indices into [`Molecule::residues`].
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub residues: Vec<u32>,
    /// Serial numbers of the source.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<i64>,
    /// Alternate location labels; NUL for none.
    #[serde(with = "crate::wire::columns::codes", skip_serializing_if = "Vec::is_empty")]
    pub altlocs: Vec<char>,
    /// Occupancies; default 1.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub occupancies: Vec<f32>,
    /// Isotropic B factors in Å²; default 0.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub b_factors: Vec<f32>,
    /// Formal charges in units of e; default 0.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub formal_charges: Vec<i8>,
    /// Partial charges in units of e.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub partial_charges: Vec<f32>,
    /// Radii in Å.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub radii: Vec<f32>,
    /// Mass numbers; 0 for the natural mixture.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub isotopes: Vec<u16>,
    /// Unpaired or lone valence electrons of radical centres as spin multiplicity: 1 singlet, 2 doublet, 3 triplet; 0 for
    /// no radical.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub radicals: Vec<u8>,
    /// Numbers that say which atom of a reaction it is; 0 for none.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub map_numbers: Vec<u32>,
    /// Atom types of a force field; of a query atom what it stands for, as its format writes it (`Q`, `[C,N]`, `R1`).
    #[serde(with = "crate::wire::columns::strings", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<SmolStr>,
    /// Implicit hydrogens.
    #[serde(with = "crate::wire::columns::numbers", skip_serializing_if = "Vec::is_empty")]
    pub hydrogens: Vec<u8>,
    /// Whether the atom is aromatic.
    #[serde(with = "crate::wire::columns::codes", skip_serializing_if = "Vec::is_empty")]
    pub aromatic: Vec<bool>,
    /// Handedness.
    #[serde(with = "crate::wire::columns::codes", skip_serializing_if = "Vec::is_empty")]
    pub chirality: Vec<Chirality>,
}

impl Atoms {
    /// Number of atoms.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Value `index` of an optional column, its default where the column is empty.
    pub fn value<T: Clone>(column: &[T], index: usize, default: T) -> T {
        column.get(index).cloned().unwrap_or(default)
    }
}

/// Atoms of each element, by atomic number; 0 is unknown.
type ElementCounts = [u64; SYMBOLS.len()];

/// A run of atoms under one residue name and number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Residue {
    /// Name, e.g. `ALA`; may be empty.
    pub name: SmolStr,
    /// Author's number.
    pub number: Option<i32>,
    /// Insertion code.
    pub insertion: Option<char>,
    /// mmCIF `label_seq_id`.
    pub label_number: Option<i32>,
    /// Segment id.
    pub segment: SmolStr,
    /// Whether the source marks it as not part of a standard polymer (HETATM).
    pub hetero: bool,
    /// Index into [`Molecule::chains`].
    pub chain: u32,
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chain {
    /// Author's id; may be empty.
    pub name: SmolStr,
    /// mmCIF `label_asym_id`; may be empty.
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    pub label: SmolStr,
    /// mmCIF entity id; may be empty.
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    pub entity: SmolStr,
}

/// Order of a bond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BondOrder {
    /// Not stated.
    #[default]
    Unknown,
    /// 1.
    Single,
    /// 2.
    Double,
    /// 3.
    Triple,
    /// 4.
    Quadruple,
    /// Delocalised, as a file with aromatic bond types states it.
    Aromatic,
    /// Two electrons of one partner.
    Dative,
}

/// Drawing or configuration of a bond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BondStereo {
    /// Not stated.
    #[default]
    None,
    /// Wedge: from the first atom towards the viewer.
    Up,
    /// Hash: from the first atom away from the viewer.
    Down,
    /// Stated to be either.
    Either,
    /// Double bond, higher neighbours on one side.
    Cis,
    /// Double bond, higher neighbours on opposite sides.
    Trans,
}

/// Where a bond comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BondSource {
    /// Written in the file.
    #[default]
    File,
    /// From the template of the residue.
    Template,
    /// Perceived from distances.
    Distance,
}

/// A bond between two different atoms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bond {
    /// First atom.
    pub a: u32,
    /// Second atom.
    pub b: u32,
    /// Order.
    pub order: BondOrder,
    /// Whether it is part of an aromatic ring, beside a localised order.
    pub aromatic: bool,
    /// Drawing or configuration.
    pub stereo: BondStereo,
    /// Where it comes from.
    pub source: BondSource,
}

/// Positions of all atoms at one time or in one solution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Number in the source.
    pub number: i64,
    /// Title or comment of the frame; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// `[x, y, z]` in Å, one an atom, or empty without coordinates.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub positions: Buffer<[f64; 3]>,
    /// `[x, y, z]` in Å/ps, one an atom, or empty.
    #[serde(skip_serializing_if = "Buffer::is_empty")]
    pub velocities: Buffer<[f64; 3]>,
    /// Cell of this frame where it differs from that of the molecule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
}

/// A unit cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Edges a, b, c in Å.
    #[serde(with = "crate::wire::number")]
    pub lengths: [f64; 3],
    /// Angles alpha, beta, gamma in degrees.
    #[serde(with = "crate::wire::number")]
    pub angles: [f64; 3],
}

/// A stretch of secondary structure, between two residues of one chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondaryStructure {
    /// `helix` or `sheet`.
    #[serde(deserialize_with = "crate::wire::words::secondary")]
    pub kind: Word,
    /// First residue, index into [`Molecule::residues`].
    pub start: u32,
    /// Last residue.
    pub end: u32,
    /// Class as the source numbers it (PDB helix class, strand sense).
    #[serde(default)]
    pub class: i32,
    /// Identifier in the source.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub id: SmolStr,
}

/// A molecule or an assembly: what one entry of a file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Molecule {
    /// Name or identifier.
    pub name: String,
    /// Atoms of the first model; all models have the same.
    pub atoms: Atoms,
    /// Residues in file order; a file without residues has one without a name.
    #[serde(with = "crate::wire::columns::residues", skip_serializing_if = "Vec::is_empty")]
    pub residues: Vec<Residue>,
    /// Chains in file order.
    pub chains: Vec<Chain>,
    /// Bonds.
    #[serde(with = "crate::wire::columns::bonds", skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<Bond>,
    /// Models or frames; at least one.
    pub models: Vec<Model>,
    /// Unit cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// Space group, Hermann–Mauguin symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_group: Option<String>,
    /// Helices and sheets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secondary: Vec<SecondaryStructure>,
}

impl Molecule {
    /// Checks the length of every column and every index.
    ///
    /// # Errors
    /// `Malformed` with the element's path.
    pub fn validate(&self) -> Result<()> {
        let count = self.atoms.len();
        let wrong = |what: &str, found: usize| {
            Err(Error::malformed(format!("expected {count} values, found {found}")).at_element(format!("atoms.{what}")))
        };
        let atoms = &self.atoms;
        for (what, length) in [("names", atoms.names.len()), ("residues", atoms.residues.len())] {
            if length != count {
                return wrong(what, length);
            }
        }
        for (what, length) in [
            ("serials", atoms.serials.len()),
            ("altlocs", atoms.altlocs.len()),
            ("occupancies", atoms.occupancies.len()),
            ("b_factors", atoms.b_factors.len()),
            ("formal_charges", atoms.formal_charges.len()),
            ("partial_charges", atoms.partial_charges.len()),
            ("radii", atoms.radii.len()),
            ("isotopes", atoms.isotopes.len()),
            ("radicals", atoms.radicals.len()),
            ("map_numbers", atoms.map_numbers.len()),
            ("types", atoms.types.len()),
            ("hydrogens", atoms.hydrogens.len()),
            ("aromatic", atoms.aromatic.len()),
            ("chirality", atoms.chirality.len()),
        ] {
            if length != 0 && length != count {
                return wrong(what, length);
            }
        }
        let range =
            |indices: &mut dyn Iterator<Item = u32>, count: usize, what: &str, list: &str, each: usize| match indices
                .enumerate()
                .find(|&(_, index)| index as usize >= count)
            {
                None => Ok(()),
                Some((at, index)) => {
                    Err(Error::malformed(format!("{what} {index} is out of range: there are {count}"))
                        .at_element(format!("{list}[{}]", at / each)))
                }
            };
        let (residues, chains) = (self.residues.len(), self.chains.len());
        // There are as many as atoms: one pass that stops for nothing, and the place only of what is wrong.
        if atoms.residues.iter().fold(false, |wrong, &residue| wrong | (residue as usize >= residues)) {
            range(&mut atoms.residues.iter().copied(), residues, "residue", "atoms", 1)?;
        }
        range(&mut self.residues.iter().map(|residue| residue.chain), chains, "chain", "residues", 1)?;
        let wrong = |bond: &Bond| bond.a.max(bond.b) as usize >= count || bond.a == bond.b;
        if let Some(b) = self.bonds.iter().position(wrong) {
            range(&mut [self.bonds[b].a, self.bonds[b].b].into_iter(), count, "atom", "bonds", 1)
                .map_err(|error| error.at_element(format!("bonds[{b}]")))?;
            return Err(Error::malformed("a bond joins an atom with itself").at_element(format!("bonds[{b}]")));
        }
        let ends = |stretch: &SecondaryStructure| [stretch.start, stretch.end];
        range(&mut self.secondary.iter().flat_map(ends), residues, "residue", "secondary", 2)?;
        if self.models.is_empty() {
            return Err(Error::malformed("expected at least one model, found none"));
        }
        for (m, model) in self.models.iter().enumerate() {
            for length in [model.positions.len(), model.velocities.len()] {
                if length != 0 && length != count {
                    return Err(Error::malformed(format!("expected {count} positions, found {length}"))
                        .at_element(format!("models[{m}]")));
                }
            }
        }
        Ok(())
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        for model in &mut self.models {
            drop((model.positions.share(), model.velocities.share()));
        }
    }

    /// Sum formula in Hill order: carbon, hydrogen, then the others by symbol; by symbol alone without carbon. Implicit
    /// hydrogens count; unknown elements and alternate locations after the first do not.
    #[must_use]
    pub fn formula(&self) -> String {
        Self::formula_of(&self.composition().0)
    }

    fn formula_of(numbers: &ElementCounts) -> String {
        let known = numbers.iter().zip(SYMBOLS).skip(1).filter(|&(&count, _)| count > 0);
        let mut counts: BTreeMap<&str, u64> = known.map(|(&count, symbol)| (symbol, count)).collect();
        let mut formula = String::new();
        let mut add = |symbol: &str, count: u64| {
            formula.push_str(symbol);
            if count > 1 {
                formula.push_str(&count.to_string());
            }
        };
        if let Some(carbon) = counts.remove("C") {
            add("C", carbon);
            if let Some(hydrogen) = counts.remove("H") {
                add("H", hydrogen);
            }
        }
        for (symbol, count) in counts {
            add(symbol, count);
        }
        formula
    }

    /// Molar mass of what [`formula`](Self::formula) counts, in g/mol to three decimals: standard atomic weights, and the mass
    /// number of atoms whose isotope is given.
    #[must_use]
    pub fn mass(&self) -> f64 {
        self.composition().1
    }

    /// Atoms of each element, and their mass.
    fn composition(&self) -> (ElementCounts, f64) {
        let atoms = &self.atoms;
        let (mut counts, mut shift) = ([0; SYMBOLS.len()], 0.0);
        // The label of an atom's first alternate location.
        let mut first: HashMap<(u32, &str), char> = HashMap::new();
        for (index, element) in atoms.elements.iter().enumerate() {
            let label = Atoms::value(&atoms.altlocs, index, '\0');
            let atom = || (atoms.residues[index], atoms.names[index].as_str());
            if label != '\0' && *first.entry(atom()).or_insert(label) != label {
                continue;
            }
            counts[usize::from(element.number())] += 1;
            let isotope = Atoms::value(&atoms.isotopes, index, 0);
            if isotope != 0 && *element != Element::UNKNOWN {
                shift += f64::from(isotope) - element.weight();
            }
        }
        counts[usize::from(HYDROGEN)] += atoms.hydrogens.iter().map(|&count| u64::from(count)).sum::<u64>();
        let all: f64 = counts.iter().zip(WEIGHTS).map(|(&count, weight)| count as f64 * weight).sum();
        (counts, ((all + shift) * 1000.0).round() / 1000.0)
    }

    /// The facts of this molecule.
    #[must_use]
    pub fn facts(&self) -> MoleculeFacts {
        let positions = self.models.first().map_or(&[][..], |model| &*model.positions);
        let flat = positions.iter().all(|position| position[2] == 0.0);
        let mut chains: Vec<&str> = self.chains.iter().map(|chain| chain.name.as_str()).collect();
        chains.sort_unstable();
        chains.dedup();
        let (counts, mass) = self.composition();
        MoleculeFacts {
            molecules: Some(1),
            atoms: Some(self.atoms.len() as u64),
            heavy_atoms: Some(self.atoms.elements.iter().filter(|element| element.number() != HYDROGEN).count() as u64),
            bonds: Some(self.bonds.len() as u64),
            residues: Some(self.residues.len() as u64),
            chains: Some(chains.len() as u64),
            models: Some(self.models.len() as u64),
            formula: Some(Self::formula_of(&counts)),
            mass: Some(mass),
            cell: self.cell.map(|cell| {
                let [a, b, c] = cell.lengths;
                let [alpha, beta, gamma] = cell.angles;
                [a, b, c, alpha, beta, gamma]
            }),
            has_coordinates: Some(!positions.is_empty()),
            dimensions: Some(if positions.is_empty() {
                0
            } else if flat {
                2
            } else {
                3
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_locations_count_once_however_far_apart() {
        let names = || (0..400).map(|index| SmolStr::new(format!("C{index}")));
        let atoms = Atoms {
            elements: vec![Element(6); 800],
            names: names().chain(names()).collect(),
            residues: vec![0; 800],
            altlocs: [['A'; 400], ['B'; 400]].concat(),
            ..Atoms::default()
        };
        let molecule = Molecule { atoms, ..Molecule::default() };
        assert_eq!((&*molecule.formula(), molecule.mass()), ("C400", 4804.4));
    }
}
