//! The writer: one entry a record, from `HEADER` to `END`.

use std::borrow::Cow;
use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, BondOrder, Cell, Element, Model, Residue};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use super::encode_hybrid36;
use crate::bonds::BondList;
use crate::text::ascii;
use crate::{losses, models, template};

pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported("pdb holds molecules only"));
    };
    if molecule.atoms.is_empty() {
        return Err(losses::no_atoms("pdb"));
    }
    if molecule.models.iter().all(|model| model.positions.is_empty()) {
        return Err(losses::no_coordinates("pdb"));
    }
    lose(molecule, cx);
    let mut changed = 0;
    head(record, molecule, &mut changed, out, cx)?;
    let serials = Serials::of(molecule, cx)?;
    let models: Vec<&Model> =
        molecule.models.iter().filter(|model| model.positions.len() == molecule.atoms.len()).collect();
    for (model, number) in models.iter().zip(models::written(models.iter().copied())) {
        cx.checkpoint()?;
        if models.len() > 1 {
            writeln!(out, "{:<80}", format!("MODEL     {number:>4}"))?;
        }
        atoms(molecule, model, &serials, &mut changed, out, cx)?;
        if models.len() > 1 {
            writeln!(out, "{:<80}", "ENDMDL")?;
        }
    }
    cx.lose("names", changed, "texts that are longer than their columns, or of other letters than those of ASCII");
    connections(molecule, &serials, out, cx)?;
    writeln!(out, "{:<80}", "END")?;
    Ok(())
}

/// What the format has no place for.
fn lose(molecule: &Molecule, cx: &Context) {
    let atoms = &molecule.atoms;
    let columns = [
        (atoms.partial_charges.len(), "partial charges"),
        (atoms.radii.len(), "radii"),
        (atoms.types.len(), "atom types"),
        (atoms.isotopes.iter().filter(|&&isotope| isotope > 3).count(), "isotopes"),
        (atoms.radicals.iter().filter(|&&spin| spin > 0).count(), "radicals"),
        (atoms.map_numbers.iter().filter(|&&number| number > 0).count(), "numbers of reaction maps"),
        (atoms.hydrogens.iter().filter(|&&count| count > 0).count(), "implicit hydrogens"),
        (atoms.aromatic.iter().filter(|&&aromatic| aromatic).count(), "aromatic atoms"),
        (atoms.chirality.len(), "handedness"),
    ];
    for (count, what) in columns {
        cx.lose("atom-columns", count as u64, what);
    }
    let velocities: usize = molecule.models.iter().map(|model| model.velocities.len()).sum();
    cx.lose("velocities", velocities as u64, "velocities");
    let titles = molecule.models.iter().filter(|model| !model.title.is_empty()).count();
    cx.lose("model-titles", titles as u64, "titles of models");
    let cells = molecule.models.iter().filter(|model| model.cell.is_some()).count();
    cx.lose("model-cells", cells as u64, "cells of single models");
    let empty = molecule.models.iter().filter(|model| model.positions.len() != atoms.len()).count();
    cx.lose("models", empty as u64, "models without coordinates");
    if molecule.cell.is_none() {
        losses::space_group(molecule, cx);
    }
}

/// `HEADER`, `TITLE`, `REMARK 2`, `HELIX`, `SHEET`, `CRYST1`. The first of them tells a reader that an entry starts.
fn head(record: &MediaRecord, molecule: &Molecule, changed: &mut u64, out: &mut Output, cx: &Context) -> Result<()> {
    let text = |key: &str| record.properties.get(key).and_then(|value| value.as_str()).map_or("", str::trim);
    let (class, date, id) = (text("classification"), text("deposition_date"), text("id"));
    let (class, date, id) = (fit(class, 40, changed), fit(date, 9, changed), fit(id, 4, changed));
    writeln!(out, "{:<80}", format!("HEADER    {class:<40}{date:>9}   {id:<4}"))?;
    let title = text("title");
    let title = if title.is_empty() && molecule.name != id { molecule.name.trim() } else { title };
    for (index, line) in wrap(&fit(title, usize::MAX, changed), 69).iter().enumerate() {
        let line = match index {
            0 => format!("TITLE     {line}"),
            _ => format!("TITLE   {:>2} {line}", index + 1),
        };
        writeln!(out, "{line:<80}")?;
    }
    let resolution = record.properties.get("resolution").and_then(|value| value.as_f64());
    if let Some(resolution) = resolution {
        writeln!(out, "{:<80}", format!("REMARK   2 RESOLUTION. {resolution:>7.2} ANGSTROMS."))?;
    }
    let kept = ["classification", "deposition_date", "id", "title", "resolution"];
    let lost = record.properties.keys().filter(|key| !kept.contains(&key.as_str())).count();
    cx.lose("properties", lost as u64, "properties");
    let mut helices = 0;
    for stretch in &molecule.secondary {
        let (first, last) = (&molecule.residues[stretch.start as usize], &molecule.residues[stretch.end as usize]);
        let mut end = |residue: &Residue| {
            let chain = fit(molecule.chains[residue.chain as usize].name.trim(), 2, changed);
            let number = residue.number.and_then(|number| encode_hybrid36(number.into(), 4)).unwrap_or_default();
            let code = letter(residue.insertion, changed);
            (format!("{:>3}", fit(&residue.name, 3, changed)), format!("{chain:>2}"), format!("{number:>4}{code}"))
        };
        let ((name, chain, number), (last_name, last_chain, last_number)) = (end(first), end(last));
        let (id, class) = (fit(&stretch.id, 3, changed), stretch.class);
        let line = if stretch.kind == "helix" {
            helices += 1;
            let serial = helices % 1000;
            format!("HELIX  {serial:>3} {id:>3} {name}{chain} {number} {last_name}{last_chain} {last_number}{class:>2}")
        } else {
            format!("SHEET    1 {id:>3} 1 {name}{chain}{number} {last_name}{last_chain}{last_number}{class:>2}")
        };
        writeln!(out, "{line:<80.80}")?;
    }
    let no_crystal = |cell: &Cell| cell.lengths.iter().all(|&edge| edge <= 1.0);
    cx.lose(
        "cell",
        u64::from(molecule.cell.as_ref().is_some_and(no_crystal)),
        "edges of 1 Å, which stand for no crystal",
    );
    if let Some(cell) = molecule.cell.filter(|cell| !no_crystal(cell)) {
        let (mut line, mut rounded) = ("CRYST1".to_owned(), 0);
        for edge in cell.lengths {
            line.push_str(&fixed(edge, 9, 3, &mut rounded)?);
        }
        for angle in cell.angles {
            line.push_str(&fixed(angle, 7, 2, &mut rounded)?);
        }
        cx.lose("precision", rounded, "edges of more than three decimals and angles of more than two");
        let group = fit(molecule.space_group.as_deref().unwrap_or("P 1"), 11, changed);
        writeln!(out, "{:<80}", format!("{line} {group:<11}{:4}", 1))?;
    }
    Ok(())
}

/// Text in ASCII of at most `width` columns; `changed` counts those that become others.
fn fit<'t>(text: &'t str, width: usize, changed: &mut u64) -> Cow<'t, str> {
    let mut plain = ascii(text);
    *changed += u64::from(plain.len() > width || plain != text);
    if plain.len() > width {
        plain.to_mut().truncate(width);
    }
    plain
}

/// One column, a blank for nothing.
fn letter(letter: Option<char>, changed: &mut u64) -> char {
    match letter {
        None => ' ',
        Some(letter) if letter.is_ascii_graphic() => letter,
        Some(_) => {
            *changed += 1;
            '?'
        }
    }
}

/// Lines of at most `width` bytes, broken at blanks where there are any.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while rest.len() > width {
        let end = rest[..=width].rfind(' ').filter(|&end| end > 0).unwrap_or(width);
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Serials of atoms and of the `TER` records behind chains.
struct Serials {
    atoms: Vec<i64>,
    /// Whether a `TER` stands behind the atom.
    ends: Vec<bool>,
}

impl Serials {
    fn of(molecule: &Molecule, cx: &Context) -> Result<Self> {
        let atoms = &molecule.atoms;
        cx.budget().take(atoms.len() as u64 * 9)?;
        let chain = |atom: usize| molecule.residues[atoms.residues[atom] as usize].chain;
        let hetero = |atom: usize| molecule.residues[atoms.residues[atom] as usize].hetero;
        let name = |atom: usize| &molecule.chains[chain(atom) as usize].name;
        // A chain that starts as a polymer has a `TER`, and one that is followed by another of its name needs it.
        let mut starts_hetero = true;
        let mut ends = Vec::with_capacity(atoms.len());
        for atom in 0..atoms.len() {
            if atom == 0 || chain(atom - 1) != chain(atom) {
                starts_hetero = hetero(atom);
            }
            let last = atom + 1 == atoms.len() || chain(atom + 1) != chain(atom);
            let same_name = atom + 1 < atoms.len() && name(atom + 1) == name(atom);
            ends.push(last && (!starts_hetero || same_name));
        }
        // Serials of the source are kept where they still number the atoms.
        let given = &atoms.serials;
        let usable = given.len() == atoms.len()
            && given.first().is_some_and(|&first| first >= 0)
            && given.windows(2).all(|pair| pair[0] < pair[1]);
        let serials = if usable {
            given.clone()
        } else {
            let mut next = 0;
            let mut number = |&end: &bool| {
                next += 1;
                let serial = next;
                next += i64::from(end);
                serial
            };
            ends.iter().map(&mut number).collect()
        };
        if serials.last().is_some_and(|&last| last > 99_999) {
            cx.note("hybrid-36", "serials beyond 99999 are written in hybrid-36: A0000 and so on");
        }
        Ok(Self { atoms: serials, ends })
    }
}

fn serial(value: i64) -> Result<String> {
    encode_hybrid36(value, 5).ok_or_else(|| {
        Error::unsupported(format!("an atom serial of {value} is more than five columns hold"))
            .with_hint("mmcif holds it")
    })
}

fn atoms(
    molecule: &Molecule,
    model: &Model,
    serials: &Serials,
    changed: &mut u64,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    let atoms = &molecule.atoms;
    let (mut rounded, mut rounded_values) = (0, 0);
    for (index, position) in model.positions.iter().enumerate() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let residue = &molecule.residues[atoms.residues[index] as usize];
        let chain = molecule.chains[residue.chain as usize].name.trim();
        if chain.chars().count() > 2 {
            return Err(Error::unsupported(format!("the chain name {chain:?} is longer than two columns"))
                .with_hint("mmcif holds it"));
        }
        let element = atoms.elements[index];
        let name = atom_name(&atoms.names[index], element, changed);
        let place = place(residue, &fit(chain, 2, changed), changed)?;
        let record = if residue.hetero { "HETATM" } else { "ATOM  " };
        let label = Some(Atoms::value(&atoms.altlocs, index, '\0')).filter(|&label| label != '\0');
        let label = letter(label, changed);
        let segment = fit(&residue.segment, 4, changed);
        let mut coordinates = String::with_capacity(24);
        for value in position {
            coordinates.push_str(&fixed(*value, 8, 3, &mut rounded)?);
        }
        let occupancy = fixed(Atoms::value(&atoms.occupancies, index, 1.0), 6, 2, &mut rounded_values)?;
        let b_factor = fixed(Atoms::value(&atoms.b_factors, index, 0.0), 6, 2, &mut rounded_values)?;
        let charge = match Atoms::value(&atoms.formal_charges, index, 0) {
            0 => "  ".into(),
            charge if charge.unsigned_abs() < 10 => {
                format!("{}{}", charge.unsigned_abs(), if charge < 0 { '-' } else { '+' })
            }
            _ => {
                cx.lose("charges", 1, "charges of two digits");
                "  ".into()
            }
        };
        let symbol = symbol(element, Atoms::value(&atoms.isotopes, index, 0));
        let serial = serial(serials.atoms[index])?;
        writeln!(
            out,
            "{record}{serial:>5} {name}{label}{place}   {coordinates}{occupancy}{b_factor}      {segment:<4}{symbol:>2}{charge}",
        )?;
        if serials.ends[index] {
            let serial = self::serial(serials.atoms[index] + 1)?;
            writeln!(out, "{:<80}", format!("TER   {serial:>5}      {place}"))?;
        }
    }
    cx.lose("precision", rounded, "coordinates of more than three decimals");
    cx.lose("precision", rounded_values, "occupancies and B factors of more than two decimals");
    Ok(())
}

/// Columns 13 to 16: the symbol ends in the second, unless the name needs all four.
fn atom_name(name: &str, element: Element, changed: &mut u64) -> String {
    let name = match name {
        "" => element.symbol().to_ascii_uppercase().into(),
        name => fit(name, 4, changed),
    };
    let shifted =
        element.symbol().len() < 2 || !name.get(..2).is_some_and(|two| two.eq_ignore_ascii_case(element.symbol()));
    if shifted && name.len() < 4 { format!(" {name:<3}") } else { format!("{name:<4}") }
}

/// Columns 18 to 27: residue, chain, number, insertion code.
fn place(residue: &Residue, chain: &str, changed: &mut u64) -> Result<String> {
    let name = if residue.name.is_empty() { "UNL" } else { residue.name.as_str() };
    let number = residue.number.unwrap_or(1);
    let number = encode_hybrid36(number.into(), 4).ok_or_else(|| {
        Error::unsupported(format!("the residue number {number} is more than four columns hold"))
            .with_hint("mmcif holds it")
    })?;
    // The fourth letter of a residue stands where the first of a long chain name does.
    let four = name.len() == 4 && (chain.is_empty() || (chain.len() == 1 && template::is_known(name)));
    let name = fit(name, if four { 4 } else { 3 }, changed);
    let names = match four {
        true => format!("{name}{chain:>1}"),
        false => format!("{name:>3}{chain:>2}"),
    };
    Ok(format!("{names}{number:>4}{}", letter(residue.insertion, changed)))
}

/// The element column; hydrogen isotopes have symbols of their own.
fn symbol(element: Element, isotope: u16) -> String {
    match (element.number(), isotope) {
        (1, 2) => "D".into(),
        (1, 3) => "T".into(),
        _ => element.symbol().to_ascii_uppercase(),
    }
}

/// A number in `width` columns, with fewer decimals where it is too long; `rounded` counts those that changed.
fn fixed<T>(value: T, width: usize, decimals: usize, rounded: &mut u64) -> Result<String>
where
    T: std::fmt::Display + std::str::FromStr + PartialEq + Copy + Into<f64>,
{
    for decimals in (0..=decimals).rev().filter(|_| value.into().is_finite()) {
        let text = format!("{value:width$.decimals$}");
        if text.len() <= width {
            *rounded += u64::from(text.trim_start().parse().ok() != Some(value));
            return Ok(text);
        }
    }
    Err(Error::unsupported(format!("{value} is more than {width} columns hold")).with_hint("mmcif holds it"))
}

/// `CONECT` for every bond that residue templates do not give back.
fn connections(molecule: &Molecule, serials: &Serials, out: &mut Output, cx: &Context) -> Result<()> {
    let Some(model) = molecule.models.iter().find(|model| model.positions.len() == molecule.atoms.len()) else {
        return Ok(());
    };
    let mut implied = BondList::default();
    template::add_bonds(molecule, &model.positions, &mut implied, cx)?;
    let implied = implied.finish();
    let is_implied = |a: u32, b: u32, order: BondOrder| {
        let at = implied.partition_point(|bond| (bond.a, bond.b) < (a, b));
        implied.get(at).is_some_and(|bond| (bond.a, bond.b, bond.order) == (a, b, order))
    };
    cx.budget().take(molecule.bonds.len() as u64 * 32)?;
    let mut links = Vec::new();
    let (mut stated, mut single, mut vague, mut unsayable) = (false, 0, 0, 0);
    for bond in &molecule.bonds {
        let (a, b) = (bond.a.min(bond.b), bond.a.max(bond.b));
        if is_implied(a, b, bond.order) {
            continue;
        }
        let times = match bond.order {
            BondOrder::Double => 2,
            BondOrder::Triple => 3,
            _ => 1,
        };
        stated |= times > 1;
        match bond.order {
            BondOrder::Unknown => vague += 1,
            BondOrder::Single => single += 1,
            BondOrder::Double | BondOrder::Triple => {}
            _ => unsayable += 1,
        }
        for _ in 0..times {
            links.push((a, b));
            links.push((b, a));
        }
    }
    // A bond listed once is single where others are repeated, and says nothing where none is.
    cx.lose("bond-order", unsayable + if stated { vague } else { single }, "bond orders");
    links.sort_unstable();
    for own in links.chunk_by(|a, b| a.0 == b.0) {
        for four in own.chunks(4) {
            let mut line = format!("CONECT{:>5}", serial(serials.atoms[own[0].0 as usize])?);
            for &(_, partner) in four {
                line.push_str(&format!("{:>5}", serial(serials.atoms[partner as usize])?));
            }
            writeln!(out, "{line:<80}")?;
        }
    }
    Ok(())
}
