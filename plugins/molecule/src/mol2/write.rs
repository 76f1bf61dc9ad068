//! The writer: one molecule, its substructures as a residue dictionary.

use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, BondOrder, BondStereo, Residue};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use super::types;
use crate::losses;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported("mol2 holds molecules only"));
    };
    let positions = molecule.models.first().map_or(&[][..], |model| &*model.positions);
    if positions.len() != molecule.atoms.len() {
        return Err(losses::no_coordinates("mol2"));
    }
    let own = record.format == "mol2";
    lose(record, molecule, own, cx);
    let atoms = &molecule.atoms;
    let property = |key: &str, default| match record.properties.get(key).and_then(|value| value.as_str()) {
        Some(text) if own => line(text),
        _ => line(default),
    };
    writeln!(out, "@<TRIPOS>MOLECULE\n{}", filled(line(&molecule.name)))?;
    writeln!(out, "{} {} {} 0 0", atoms.len(), molecule.bonds.len(), molecule.residues.len())?;
    let protein = molecule.residues.len() > 1;
    writeln!(out, "{}", property("molecule_type", if protein { "PROTEIN" } else { "SMALL" }))?;
    let charged = !atoms.partial_charges.is_empty();
    writeln!(out, "{}", property("charge_type", if charged { "USER_CHARGES" } else { "NO_CHARGES" }))?;
    let comment = property("comment", "");
    if !comment.is_empty() {
        writeln!(out, "****\n{comment}")?;
    }
    let perceived = if own && !atoms.types.is_empty() { Vec::new() } else { types::perceive(molecule) };
    writeln!(out, "\n@<TRIPOS>ATOM")?;
    for (index, [x, y, z]) in positions.iter().enumerate() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let element = atoms.elements[index].symbol();
        let name = match atoms.names[index].as_str() {
            "" => format!("{element}{}", index + 1),
            name => word(name),
        };
        let kind = perceived.get(index).map_or_else(|| word(&atoms.types[index]), |kind| (*kind).to_owned());
        let group = group(&molecule.residues[atoms.residues[index] as usize]);
        write!(
            out,
            "{:>7} {name:<8} {x:>10} {y:>10} {z:>10} {kind:<5} {} {group}",
            index + 1,
            atoms.residues[index] + 1
        )?;
        if charged {
            write!(out, " {}", Atoms::value(&atoms.partial_charges, index, 0.0))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "@<TRIPOS>BOND")?;
    for (index, bond) in molecule.bonds.iter().enumerate() {
        let kind = match bond.order {
            BondOrder::Single | BondOrder::Dative => "1",
            BondOrder::Double => "2",
            BondOrder::Triple => "3",
            BondOrder::Aromatic => "ar",
            _ => "un",
        };
        writeln!(out, "{:>6} {:>5} {:>5} {kind}", index + 1, bond.a + 1, bond.b + 1)?;
    }
    let mut roots = vec![None; molecule.residues.len()];
    for (atom, &residue) in atoms.residues.iter().enumerate() {
        roots[residue as usize].get_or_insert(atom + 1);
    }
    writeln!(out, "@<TRIPOS>SUBSTRUCTURE")?;
    for (index, residue) in molecule.residues.iter().enumerate() {
        let Some(root) = roots[index] else { continue };
        let kind = if residue.hetero { "GROUP" } else { "RESIDUE" };
        let chain = filled(word(&molecule.chains[residue.chain as usize].name));
        let name = filled(word(&residue.name));
        writeln!(out, "{:>6} {:<8} {root:>6} {kind} 1 {chain} {name}", index + 1, group(residue))?;
    }
    if let Some(cell) = molecule.cell {
        let ([a, b, c], [alpha, beta, gamma]) = (cell.lengths, cell.angles);
        let group = record.properties.get("space_group_number").and_then(|value| value.as_i64()).unwrap_or(1);
        writeln!(out, "@<TRIPOS>CRYSIN\n{a} {b} {c} {alpha} {beta} {gamma} {group} 1")?;
    }
    writeln!(out)?;
    Ok(())
}

fn lose(record: &MediaRecord, molecule: &Molecule, own: bool, cx: &Context) {
    let atoms = &molecule.atoms;
    let kept = ["molecule_type", "charge_type", "comment", "space_group_number"];
    let lost = record.properties.keys().filter(|key| !(own && kept.contains(&key.as_str()))).count();
    cx.lose("properties", lost as u64, "properties");
    losses::places(molecule, cx);
    losses::models(molecule, cx);
    losses::notation(molecule, cx);
    losses::space_group(molecule, cx);
    cx.lose("secondary", molecule.secondary.len() as u64, "helices and sheets");
    let count = |flags: &mut dyn Iterator<Item = bool>| flags.filter(|&flag| flag).count() as u64;
    cx.lose("charges", count(&mut atoms.formal_charges.iter().map(|&charge| charge != 0)), "formal charges");
    cx.lose("isotopes", count(&mut atoms.isotopes.iter().map(|&isotope| isotope != 0)), "isotopes");
    cx.lose("radicals", count(&mut atoms.radicals.iter().map(|&spin| spin != 0)), "radicals");
    cx.lose("map-numbers", count(&mut atoms.map_numbers.iter().map(|&number| number != 0)), "numbers of reaction maps");
    cx.lose("radii", atoms.radii.len() as u64, "radii");
    if !own {
        cx.lose(
            "types",
            count(&mut atoms.types.iter().map(|kind| !kind.is_empty())),
            "atom types of other force fields",
        );
    }
    let blank = |name: &&str| name.contains(char::is_whitespace);
    let names = atoms.names.iter().map(|name| name.as_str()).chain(molecule.residues.iter().map(|it| it.name.as_str()));
    cx.lose("names", names.filter(blank).count() as u64, "blanks in names");
    let segments = molecule.residues.iter().filter(|residue| !residue.segment.is_empty()).count();
    cx.lose("segments", segments as u64, "segments");
    cx.lose(
        "bond-stereo",
        count(&mut molecule.bonds.iter().map(|bond| bond.stereo != BondStereo::None)),
        "stereo of bonds",
    );
    let unsayable = |order| matches!(order, BondOrder::Dative | BondOrder::Quadruple);
    cx.lose(
        "bond-order",
        count(&mut molecule.bonds.iter().map(|bond| unsayable(bond.order))),
        "dative and quadruple bonds",
    );
    let flagged = |it: &mediary_core::record::molecule::Bond| it.aromatic && it.order != BondOrder::Aromatic;
    cx.lose(
        "aromatic-flags",
        count(&mut molecule.bonds.iter().map(flagged)),
        "aromatic flags of bonds that have an order",
    );
}

/// The name of a substructure: residue, number, insertion code.
fn group(residue: &Residue) -> String {
    let number = residue.number.map(|number| number.to_string()).unwrap_or_default();
    let insertion = residue.insertion.map(String::from).unwrap_or_default();
    filled(word(&residue.name) + &number + &insertion)
}

/// Text for one field.
fn word(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}

/// Text for one line that is no record and no comment.
fn line(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    if text.starts_with(['@', '#']) || text.ends_with('\\') { format!("'{text}'") } else { text }
}

/// `****` for nothing.
fn filled(text: String) -> String {
    if text.is_empty() { "****".into() } else { text }
}
