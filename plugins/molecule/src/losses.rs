//! What molecules hold and several writers have no place for, counted once and said in the same words; what none of them can do without.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::Chirality;
use mediary_core::{Context, Error};
use smol_str::SmolStr;

use crate::names;

/// A molecule without atoms, for formats that are lists of them.
pub(crate) fn no_atoms(format: &str) -> Error {
    Error::unsupported(format!("{format} is a list of atoms, and the molecule has none"))
        .with_hint("sdf holds a molecule without atoms")
}

/// A molecule without coordinates, for formats that are nothing without.
pub(crate) fn no_coordinates(format: &str) -> Error {
    Error::unsupported(format!("{format} is coordinates, and the molecule has none"))
        .with_hint("mmcif holds atoms without coordinates")
}

/// Names of atoms (`named` of them), residues and chains.
pub(crate) fn names(molecule: &Molecule, named: usize, cx: &Context) {
    let residues = molecule.residues.iter().filter(|residue| !residue.name.is_empty() || residue.number.is_some());
    let count = named.max(residues.count()).max(molecule.residues.len() - usize::from(!molecule.residues.is_empty()));
    cx.lose("names", count as u64, "atom names, residues and chains");
    cx.lose("secondary", molecule.secondary.len() as u64, "helices and sheets");
}

/// Elements that the names of atoms do not tell.
pub(crate) fn elements(molecule: &Molecule, cx: &Context) {
    let atoms = &molecule.atoms;
    let told = |(index, name): (usize, &SmolStr)| {
        let residue = &molecule.residues[atoms.residues[index] as usize];
        // An atom without a name is written under its symbol.
        name.is_empty() || names::element(name, &residue.name) == atoms.elements[index]
    };
    let untold = atoms.names.iter().enumerate().filter(|&atom| !told(atom)).count();
    cx.lose("elements", untold as u64, "elements that the names of atoms do not tell");
}

/// Alternate locations, occupancies, B factors.
pub(crate) fn places(molecule: &Molecule, cx: &Context) {
    let atoms = &molecule.atoms;
    cx.lose("altlocs", atoms.altlocs.iter().filter(|&&label| label != '\0').count() as u64, "alternate locations");
    let differing = |column: &[f32], default: f32| column.iter().filter(|&&value| value != default).count() as u64;
    cx.lose("occupancies", differing(&atoms.occupancies, 1.0), "occupancies");
    cx.lose("b-factors", differing(&atoms.b_factors, 0.0), "B factors");
}

/// Cells and space groups.
pub(crate) fn crystal(molecule: &Molecule, cx: &Context) {
    let cells = molecule.models.iter().filter(|model| model.cell.is_some()).count();
    cx.lose("cell", cells as u64 + u64::from(molecule.cell.is_some()), "unit cells");
    space_group(molecule, cx);
}

/// The space group alone.
pub(crate) fn space_group(molecule: &Molecule, cx: &Context) {
    cx.lose("space-group", u64::from(molecule.space_group.is_some()), "the space group");
}

/// All models but the first, velocities.
pub(crate) fn models(molecule: &Molecule, cx: &Context) {
    cx.lose("models", molecule.models.len().saturating_sub(1) as u64, "models behind the first");
    let velocities: usize = molecule.models.iter().map(|model| model.velocities.len()).sum();
    cx.lose("velocities", velocities as u64, "velocities");
}

/// What line notations say of atoms: implicit hydrogens, aromaticity, handedness.
pub(crate) fn notation(molecule: &Molecule, cx: &Context) {
    let atoms = &molecule.atoms;
    let hydrogens = atoms.hydrogens.iter().filter(|&&count| count > 0).count();
    cx.lose("hydrogens", hydrogens as u64, "implicit hydrogens");
    cx.lose("aromatic-atoms", atoms.aromatic.iter().filter(|&&flag| flag).count() as u64, "aromatic atoms");
    let handed = atoms.chirality.iter().filter(|&&handed| handed != Chirality::None).count();
    cx.lose("chirality", handed as u64, "handedness of atoms");
}
