//! The writer: a frame a model.

use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Model};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use crate::cell;
use crate::losses;
use crate::text::ascii;

/// Most decimals of a position in nm.
const MOST: usize = 6;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported("gro holds molecules only"));
    };
    let models: Vec<&Model> =
        molecule.models.iter().filter(|model| model.positions.len() == molecule.atoms.len()).collect();
    if models.is_empty() {
        return Err(losses::no_coordinates("gro"));
    }
    lose(record, molecule, cx);
    let places = models.iter().flat_map(|model| model.positions.iter().flatten().map(|&value| value / 10.0));
    let fits = |value: f64, decimals: usize| {
        let scaled = value * 10_f64.powi(decimals as i32);
        (scaled - scaled.round()).abs() <= 1e-6 * scaled.abs().max(1.0)
    };
    let decimals = match cx.options().text("decimals").parse::<usize>() {
        Ok(decimals) => decimals,
        Err(_) => (3..MOST).find(|&decimals| places.clone().all(|value| fits(value, decimals))).unwrap_or(MOST),
    };
    cx.lose(
        "precision",
        places.filter(|&value| !fits(value, decimals)).count() as u64,
        "further decimals of coordinates",
    );
    for model in models {
        cx.checkpoint()?;
        frame(molecule, model, decimals, out, cx)?;
    }
    Ok(())
}

fn frame(molecule: &Molecule, model: &Model, decimals: usize, out: &mut Output, cx: &Context) -> Result<()> {
    let atoms = &molecule.atoms;
    let title = if model.title.is_empty() { &molecule.name } else { &model.title };
    let title = title.replace(['\n', '\r'], " ");
    writeln!(out, "{}", if title.trim().is_empty() { "molecule" } else { title.trim() })?;
    writeln!(out, "{:>5}", atoms.len())?;
    let width = decimals + 5;
    for (index, position) in model.positions.iter().enumerate() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let residue = &molecule.residues[atoms.residues[index] as usize];
        let name = match atoms.names[index].as_str() {
            "" => atoms.elements[index].symbol(),
            name => name,
        };
        // Others take blank columns for those of another format.
        let group = if residue.name.is_empty() { "UNL" } else { residue.name.as_str() };
        let (name, group) = (ascii(name).replace(' ', "_"), ascii(group).replace(' ', "_"));
        // A number that is not stated is that of the residue in the file.
        let number = residue.number.map_or(i64::from(atoms.residues[index]) + 1, i64::from);
        let number = if (-9999..100_000).contains(&number) { number } else { number.rem_euclid(100_000) };
        let serial = Atoms::value(&atoms.serials, index, index as i64 + 1).rem_euclid(100_000);
        write!(out, "{number:>5}{group:<5.5}{name:>5.5}{serial:>5}")?;
        for value in position {
            column(*value / 10.0, width, decimals, out)?;
        }
        if let Some(velocity) = model.velocities.get(index) {
            for value in velocity {
                column(*value / 10.0, width, decimals + 1, out)?;
            }
        }
        writeln!(out)?;
    }
    let vectors = model.cell.or(molecule.cell).map_or([[0.0; 3]; 3], |cell| cell::vectors(&cell));
    let [[ax, ay, az], [bx, by, bz], [cx_, cy, cz]] = vectors.map(|vector| vector.map(|value| value / 10.0));
    write!(out, "{ax:10.5}{by:10.5}{cz:10.5}")?;
    if [ay, az, bx, bz, cx_, cy].iter().any(|&value| value != 0.0) {
        for value in [ay, az, bx, bz, cx_, cy] {
            write!(out, "{value:10.5}")?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// A number in its columns: the next one must begin behind them.
fn column(value: f64, width: usize, decimals: usize, out: &mut Output) -> Result<()> {
    let text = format!("{value:width$.decimals$}");
    if text.len() > width {
        return Err(
            Error::unsupported(format!("{value} nm is more than {width} columns hold")).with_hint("mmcif holds it")
        );
    }
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn lose(record: &MediaRecord, molecule: &Molecule, cx: &Context) {
    let atoms = &molecule.atoms;
    let count = |flags: &mut dyn Iterator<Item = bool>| flags.filter(|&flag| flag).count() as u64;
    cx.lose("properties", record.properties.len() as u64, "properties");
    cx.lose("bonds", molecule.bonds.len() as u64, "bonds");
    losses::places(molecule, cx);
    losses::notation(molecule, cx);
    losses::space_group(molecule, cx);
    cx.lose("secondary", molecule.secondary.len() as u64, "helices and sheets");
    let long = atoms.names.iter().chain(molecule.residues.iter().map(|residue| &residue.name));
    let long = count(&mut long.map(|name| name.len() > 5 || !name.bytes().all(|byte| byte.is_ascii_graphic())));
    let numbers = |residue: &mediary_core::record::molecule::Residue| {
        residue.insertion.is_some() || residue.number.is_none_or(|number| !(-9999..100_000).contains(&number))
    };
    cx.lose(
        "names",
        long + count(&mut molecule.residues.iter().map(numbers)),
        "insertion codes, missing or long numbers, long names and other letters than those of ASCII",
    );
    cx.lose("chains", count(&mut molecule.chains.iter().map(|chain| !chain.name.is_empty())), "chains");
    cx.lose("segments", count(&mut molecule.residues.iter().map(|residue| !residue.segment.is_empty())), "segments");
    let charges = count(&mut atoms.formal_charges.iter().map(|&charge| charge != 0));
    cx.lose("charges", charges + atoms.partial_charges.len() as u64, "charges");
    cx.lose("radii", atoms.radii.len() as u64, "radii");
    cx.lose("types", count(&mut atoms.types.iter().map(|kind| !kind.is_empty())), "atom types");
    cx.lose("isotopes", count(&mut atoms.isotopes.iter().map(|&isotope| isotope != 0)), "isotopes");
    cx.lose("radicals", count(&mut atoms.radicals.iter().map(|&spin| spin != 0)), "radicals");
    cx.lose("map-numbers", count(&mut atoms.map_numbers.iter().map(|&number| number != 0)), "numbers of reaction maps");
    losses::elements(molecule, cx);
}
