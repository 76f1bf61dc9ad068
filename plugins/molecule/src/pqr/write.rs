//! The writer: words in the order of the specification, as wide as in PDB where they fit.

use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::Atoms;
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use crate::bonds::compatible;
use crate::losses;
use crate::template;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported("pqr holds molecules only"));
    };
    let positions = molecule.models.first().map_or(&[][..], |model| &*model.positions);
    let atoms = &molecule.atoms;
    if atoms.is_empty() {
        return Err(losses::no_atoms("pqr"));
    }
    if positions.len() != atoms.len() {
        return Err(losses::no_coordinates("pqr"));
    }
    match (atoms.partial_charges.is_empty(), atoms.radii.is_empty()) {
        (true, true) => {
            return Err(Error::unsupported("pqr is charges and radii, and the molecule has neither")
                .with_hint("programs such as pdb2pqr assign them"));
        }
        (true, false) => cx.warn("no-charges", "the molecule has no partial charges: 0 is written"),
        (false, true) => cx.warn("no-radii", "the molecule has no radii: 0 is written"),
        (false, false) => {}
    }
    lose(record, molecule, positions, cx)?;
    for (index, [x, y, z]) in positions.iter().enumerate() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let at = atoms.residues[index] as usize;
        let residue = &molecule.residues[at];
        let name = match atoms.names[index].as_str() {
            "" => format!("{}{}", atoms.elements[index].symbol(), index + 1),
            name => word(name),
        };
        let group = if residue.name.is_empty() { "UNL".into() } else { word(&residue.name) };
        let kind = if residue.hetero { "HETATM" } else { "ATOM  " };
        let chain = word(&molecule.chains[residue.chain as usize].name);
        let number = residue.number.map_or(at as i64 + 1, i64::from);
        let insertion = residue.insertion.map(String::from).unwrap_or_default();
        let serial = Atoms::value(&atoms.serials, index, index as i64 + 1);
        let charge = Atoms::value(&atoms.partial_charges, index, 0.0);
        let radius = Atoms::value(&atoms.radii, index, 0.0);
        writeln!(
            out,
            "{kind} {serial:>4}  {name:<3} {group:<4}{chain:>2} {number:>4}{insertion:<1} {} {} {} {} {}",
            decimals(*x, 3, 10),
            decimals(*y, 3, 8),
            decimals(*z, 3, 8),
            decimals(charge, 4, 8),
            decimals(radius, 4, 7),
        )?;
        let ends =
            atoms.residues.get(index + 1).is_some_and(|&next| molecule.residues[next as usize].chain != residue.chain);
        if ends {
            writeln!(out, "TER")?;
        }
    }
    writeln!(out, "TER\nEND")?;
    Ok(())
}

/// A number of at least so many decimals, and as many as it needs.
fn decimals<T: std::fmt::Display + std::str::FromStr + PartialEq>(value: T, least: usize, width: usize) -> String {
    let text = format!("{value:width$.least$}");
    if text.trim_start().parse::<T>().is_ok_and(|read| read == value) { text } else { format!("{value:width$}") }
}

fn word(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}

fn lose(record: &MediaRecord, molecule: &Molecule, positions: &[[f64; 3]], cx: &Context) -> Result<()> {
    let atoms = &molecule.atoms;
    let count = |flags: &mut dyn Iterator<Item = bool>| flags.filter(|&flag| flag).count() as u64;
    cx.lose("properties", record.properties.len() as u64, "properties");
    losses::elements(molecule, cx);
    losses::places(molecule, cx);
    losses::crystal(molecule, cx);
    losses::models(molecule, cx);
    losses::notation(molecule, cx);
    cx.lose("secondary", molecule.secondary.len() as u64, "helices and sheets");
    // What a reader perceives again is not lost.
    let known = template::perceive(molecule, positions, "all", cx)?;
    let is_known = |a: u32, b: u32| known.binary_search_by_key(&(a, b), |bond| (bond.a, bond.b)).is_ok();
    let gone = |bond: &mediary_core::record::molecule::Bond| {
        !is_known(bond.a.min(bond.b), bond.a.max(bond.b)) || !compatible(atoms, bond.a, bond.b)
    };
    cx.lose(
        "bonds",
        count(&mut molecule.bonds.iter().map(gone)),
        "bonds that are not perceived from names and distances",
    );
    let blank = |name: &str| name.contains(char::is_whitespace);
    let names = atoms.names.iter().chain(molecule.residues.iter().map(|residue| &residue.name));
    let unnumbered = molecule.residues.iter().map(|residue| residue.number.is_none());
    cx.lose(
        "names",
        count(&mut names.map(|name| blank(name)).chain(unnumbered)),
        "blanks in names, missing numbers of residues",
    );
    cx.lose("segments", count(&mut molecule.residues.iter().map(|residue| !residue.segment.is_empty())), "segments");
    cx.lose("charges", count(&mut atoms.formal_charges.iter().map(|&charge| charge != 0)), "formal charges");
    cx.lose("types", count(&mut atoms.types.iter().map(|kind| !kind.is_empty())), "atom types");
    cx.lose("isotopes", count(&mut atoms.isotopes.iter().map(|&isotope| isotope != 0)), "isotopes");
    cx.lose("radicals", count(&mut atoms.radicals.iter().map(|&spin| spin != 0)), "radicals");
    cx.lose("map-numbers", count(&mut atoms.map_numbers.iter().map(|&number| number != 0)), "numbers of reaction maps");
    Ok(())
}
