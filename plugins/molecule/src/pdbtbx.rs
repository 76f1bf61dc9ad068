//! Molecules as [`pdbtbx::PDB`] and back, and what pdbtbx says of a file: the cargo feature `pdbtbx`.
//!
//! pdbtbx models proteins as models, chains, residues, conformers and atoms. What it has no place for is a loss when a molecule
//! goes there (codes begin with the id of the context's format), what it holds and a molecule does not is one when it comes back.
//!
//! Second opinion: with the feature, PDB and mmCIF inputs that are read with [`Strictness::Strict`] are read by pdbtbx too, at its
//! level `Loose`. What it reports, that it refuses the file, or that it panics is a warning (`pdbtbx`) of the first record; a
//! different number of models or atoms is another (`pdbtbx-count`). It never fails the input: pdbtbx refuses many files that are whole.
//! It is held to the budget by an estimate of its memory (`pdbtbx-skipped`), and not interrupted.

use std::collections::HashMap;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::pdbtbx::{Atom, Bond, Conformer, Format, PDB, PDBError, ReadOptions, StrictnessLevel, Symmetry, UnitCell};
use mediary_core::record::molecule::{Atoms, BondOrder, BondSource, Cell, Chain, Element, Model, Molecule, Residue};
use mediary_core::{Context, Error, FormatReader, Header, Media, MediaRecord, Result, Source, Strictness};
use smol_str::SmolStr;

use crate::bonds::BondList;
use crate::losses;

/// Bytes of memory that an atom takes in either form, more than less.
const ATOM_BYTES: u64 = 400;

/// A molecule as pdbtbx holds it.
///
/// Serial numbers are the molecule's where they ascend, 1 to n otherwise; chains and residues without a name are `A` and `UNK`. Names of
/// atoms and residues become capitals. Bonds lose their order; those that pdbtbx does not find by serial number are lost.
///
/// # Errors
/// `Unsupported` without coordinates, and for a name that pdbtbx does not take; `Limit`.
pub fn to_pdbtbx(molecule: &Molecule, cx: &Context) -> Result<PDB> {
    let atoms = &molecule.atoms;
    let models: Vec<&Model> = molecule.models.iter().filter(|model| model.positions.len() == atoms.len()).collect();
    if models.is_empty() || atoms.is_empty() {
        return Err(Error::unsupported("pdbtbx holds atoms with coordinates, and the molecule has none"));
    }
    cx.budget().take((atoms.len() as u64).saturating_mul(models.len() as u64).saturating_mul(ATOM_BYTES))?;
    let ascending = atoms.serials.is_sorted_by(|a, b| a < b) && atoms.serials.first().is_none_or(|&first| first > 0);
    let serial = |index: usize| match atoms.serials.get(index).filter(|_| ascending) {
        Some(&serial) => serial as usize,
        None => index + 1,
    };
    let mut pdb = PDB::new();
    for model in models {
        let mut made = ::pdbtbx::Model::new(usize::try_from(model.number).unwrap_or(pdb.model_count() + 1));
        for (index, [x, y, z]) in model.positions.iter().enumerate() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            add(&mut made, molecule, index, serial(index), (*x, *y, *z)).ok_or_else(|| {
                Error::unsupported("expected names of printable ASCII and finite numbers, found others")
                    .at_element(format!("atoms[{index}]"))
            })?;
        }
        pdb.add_model(made);
    }
    pdb.unit_cell = molecule.cell.map(|cell| {
        let ([a, b, c], [alpha, beta, gamma]) = (cell.lengths, cell.angles);
        UnitCell::new(a, b, c, alpha, beta, gamma)
    });
    pdb.symmetry = molecule.space_group.as_deref().and_then(Symmetry::new);
    pdb.identifier = Some(molecule.name.clone()).filter(|name| !name.is_empty());
    let label = |atom: u32| Atoms::value(&atoms.altlocs, atom as usize, '\0');
    let mut lost = 0;
    for bond in &molecule.bonds {
        let [a, b] = [bond.a, bond.b].map(|atom| {
            let alternative = (label(atom) != '\0').then(|| label(atom).to_string());
            (serial(atom as usize), alternative)
        });
        let added = catch_unwind(AssertUnwindSafe(|| {
            pdb.add_bond((a.0, a.1.as_deref()), (b.0, b.1.as_deref()), Bond::Covalent)
        }));
        lost += u64::from(!matches!(added, Ok(Some(()))));
    }
    tell_losses(molecule, &pdb, lost, cx);
    Ok(pdb)
}

/// Adds an atom in its chain, residue and conformer.
fn add(
    model: &mut ::pdbtbx::Model,
    molecule: &Molecule,
    index: usize,
    serial: usize,
    (x, y, z): (f64, f64, f64),
) -> Option<()> {
    let atoms = &molecule.atoms;
    let residue = &molecule.residues[atoms.residues[index] as usize];
    let chain = &molecule.chains[residue.chain as usize];
    let element = match atoms.elements[index] {
        Element::UNKNOWN => "",
        element => element.symbol(),
    };
    let name = match atoms.names[index].as_str() {
        "" => element,
        name => name,
    };
    let value = |column: &[f32], default: f32| f64::from(Atoms::value(column, index, default));
    let charge = Atoms::value(&atoms.formal_charges, index, 0);
    let (occupancy, b_factor) = (value(&atoms.occupancies, 1.0), value(&atoms.b_factors, 0.0));
    let atom = Atom::new(residue.hetero, serial, name, x, y, z, occupancy, b_factor, element, isize::from(charge))?;
    let or = |name: &SmolStr, default: &str| if name.trim().is_empty() { default.to_owned() } else { name.to_string() };
    let (chain, group) = (or(&chain.name, "A"), or(&residue.name, "UNK"));
    if !::pdbtbx::valid_identifier(&chain) || !::pdbtbx::valid_identifier(&group) {
        return None;
    }
    let insertion = residue.insertion.map(String::from);
    let label = Some(Atoms::value(&atoms.altlocs, index, '\0')).filter(|&label| label != '\0').map(String::from);
    if insertion.iter().chain(&label).any(|code| !::pdbtbx::valid_identifier(code)) {
        return None;
    }
    let number = residue.number.unwrap_or(0) as isize;
    model.add_atom(atom, chain, (number, insertion.as_deref()), (group, label.as_deref()));
    Some(())
}

fn tell_losses(molecule: &Molecule, pdb: &PDB, bonds: u64, cx: &Context) {
    let atoms = &molecule.atoms;
    cx.lose("bonds", bonds, "bonds that pdbtbx does not find by serial number");
    let ordered = |order| !matches!(order, BondOrder::Unknown | BondOrder::Single);
    cx.lose("bond-order", molecule.bonds.iter().filter(|bond| ordered(bond.order)).count() as u64, "orders of bonds");
    cx.lose("space-group", u64::from(molecule.space_group.is_some() && pdb.symmetry.is_none()), "the space group");
    cx.lose("secondary", molecule.secondary.len() as u64, "helices and sheets");
    let lower = |name: &SmolStr| name.bytes().any(|byte| byte.is_ascii_lowercase());
    let named = atoms.names.iter().chain(molecule.residues.iter().map(|residue| &residue.name));
    cx.lose("names", named.filter(|name| lower(name)).count() as u64, "small letters of names");
    let labels = molecule.chains.iter().filter(|chain| !chain.label.is_empty() || !chain.entity.is_empty()).count();
    let residues = |residue: &&Residue| residue.label_number.is_some() || !residue.segment.is_empty();
    let residues = molecule.residues.iter().filter(residues).count();
    cx.lose("labels", (labels + residues) as u64, "labels, entities and segments of chains and residues");
    let columns = [
        atoms.partial_charges.len(),
        atoms.radii.len(),
        atoms.isotopes.iter().filter(|&&mass| mass > 0).count(),
        atoms.radicals.iter().filter(|&&spin| spin > 0).count(),
        atoms.map_numbers.iter().filter(|&&number| number > 0).count(),
        atoms.types.iter().filter(|name| !name.is_empty()).count(),
    ];
    cx.lose("atom-columns", columns.iter().sum::<usize>() as u64, "charges, radii, isotopes and types of atoms");
    let velocities: usize = molecule.models.iter().map(|model| model.velocities.len()).sum();
    cx.lose("velocities", velocities as u64, "velocities");
    losses::notation(molecule, cx);
}

/// An atom of pdbtbx, and where it stands.
struct Place<'p> {
    atom: &'p Atom,
    label: char,
    residue: u32,
}

/// What pdbtbx holds as a molecule. Atoms that it has copied into each alternate conformer of their residue become one again; models
/// that have other atoms than the first are lost.
///
/// # Errors
/// `Malformed` without a model; `Limit`.
pub fn from_pdbtbx(pdb: &PDB, cx: &Context) -> Result<Molecule> {
    cx.budget().take((pdb.total_atom_count() as u64).saturating_mul(ATOM_BYTES))?;
    let mut molecule = Molecule { name: pdb.identifier.clone().unwrap_or_default(), ..Molecule::default() };
    let mut models = pdb.models();
    let first = models.next().ok_or_else(|| Error::malformed("expected a model, found none"))?;
    let places = places(first, &mut molecule, cx)?;
    let atoms = &mut molecule.atoms;
    for place in &places {
        let atom = place.atom;
        let number = atom.element().and_then(|element| u8::try_from(element.atomic_number()).ok());
        atoms.elements.push(number.and_then(Element::from_number).unwrap_or_default());
        atoms.names.push(atom.name().into());
        atoms.residues.push(place.residue);
        atoms.altlocs.push(place.label);
        atoms.serials.push(atom.serial_number() as i64);
        atoms.occupancies.push(atom.occupancy() as f32);
        atoms.b_factors.push(atom.b_factor() as f32);
        atoms.formal_charges.push(i8::try_from(atom.charge()).unwrap_or(0));
        molecule.residues[place.residue as usize].hetero |= atom.hetero();
    }
    let mut lost = 0;
    for model in pdb.models() {
        let mut other = Molecule::default();
        let own = self::places(model, &mut other, cx)?;
        let same = own.len() == places.len()
            && own
                .iter()
                .zip(&places)
                .all(|(a, b)| (a.atom.name(), a.label, a.residue) == (b.atom.name(), b.label, b.residue));
        if !same {
            lost += 1;
            continue;
        }
        let positions: Vec<_> = own.iter().map(|place| [place.atom.x(), place.atom.y(), place.atom.z()]).collect();
        let number = model.serial_number() as i64;
        molecule.models.push(Model { number, positions: positions.into(), ..Model::default() });
    }
    crate::models::number(&mut molecule.models, |_, _| ());
    cx.lose("models", lost, "models of other atoms than the first");
    let index: HashMap<*const Atom, u32> = places.iter().map(|place| std::ptr::from_ref(place.atom)).zip(0..).collect();
    let (mut bonds, mut others) = (BondList::default(), 0);
    for (a, b, kind) in pdb.bonds() {
        cx.checkpoint()?;
        let order = match kind {
            Bond::Hydrogen | Bond::SaltBridge | Bond::MisMatchedBasePairs => None,
            Bond::Disulfide => Some(BondOrder::Single),
            _ => Some(BondOrder::Unknown),
        };
        match (index.get(&std::ptr::from_ref(a)), index.get(&std::ptr::from_ref(b)), order) {
            (Some(&a), Some(&b), Some(order)) => bonds.add(a, b, order, false, BondSource::File),
            _ => others += 1,
        }
    }
    cx.lose("bonds", others, "hydrogen bonds, salt bridges and bonds of later models");
    molecule.bonds = bonds.finish();
    molecule.cell = pdb.unit_cell.as_ref().map(|cell| Cell {
        lengths: [cell.a(), cell.b(), cell.c()],
        angles: [cell.alpha(), cell.beta(), cell.gamma()],
    });
    molecule.space_group = pdb.symmetry.as_ref().map(|symmetry| symmetry.herman_mauguin_symbol().to_owned());
    let displaced = places.iter().filter(|place| place.atom.anisotropic_temperature_factors().is_some()).count();
    cx.lose("anisou", displaced as u64, "anisotropic displacements");
    cx.lose("remarks", pdb.remark_count() as u64, "remarks");
    cx.lose("matrices", pdb.mtrix().count() as u64, "matrices of non-crystallographic symmetry");
    let atoms = &mut molecule.atoms;
    if atoms.serials.iter().copied().eq(1..=places.len() as i64) {
        atoms.serials = Vec::new();
    }
    if atoms.altlocs.iter().all(|&label| label == '\0') {
        atoms.altlocs = Vec::new();
    }
    if atoms.formal_charges.iter().all(|&charge| charge == 0) {
        atoms.formal_charges = Vec::new();
    }
    Ok(molecule)
}

/// The atoms of a model, each once, and its chains and residues in `molecule`.
fn places<'p>(model: &'p ::pdbtbx::Model, molecule: &mut Molecule, cx: &Context) -> Result<Vec<Place<'p>>> {
    let mut places: Vec<Place<'p>> = Vec::new();
    for chain in model.chains() {
        cx.checkpoint()?;
        let number = molecule.chains.len() as u32;
        molecule.chains.push(Chain { name: chain.id().into(), ..Chain::default() });
        for residue in chain.residues() {
            let start = places.len();
            // The same atom in several conformers has one serial number.
            let mut known: HashMap<usize, usize> = HashMap::new();
            let mut names: Vec<(&str, u32)> = Vec::new();
            for conformer in residue.conformers() {
                let index = residue_of(conformer, &mut names, molecule, residue, number);
                let label = conformer.alternative_location().and_then(|label| label.chars().next()).unwrap_or('\0');
                for atom in conformer.atoms() {
                    let copy = known.get(&atom.serial_number()).copied();
                    match copy.filter(|&place| same_place(places[place].atom, atom)) {
                        Some(place) => places[place].label = '\0',
                        None => {
                            known.insert(atom.serial_number(), places.len());
                            places.push(Place { atom, label, residue: index });
                        }
                    }
                }
            }
            places[start..].sort_by_key(|place| place.atom.serial_number());
        }
    }
    Ok(places)
}

fn same_place(a: &Atom, b: &Atom) -> bool {
    a.name() == b.name() && (a.x(), a.y(), a.z()) == (b.x(), b.y(), b.z())
}

/// The residue of a conformer: conformers of one name share it.
fn residue_of<'p>(
    conformer: &'p Conformer,
    names: &mut Vec<(&'p str, u32)>,
    molecule: &mut Molecule,
    residue: &::pdbtbx::Residue,
    chain: u32,
) -> u32 {
    if let Some(&(_, known)) = names.iter().find(|(name, _)| *name == conformer.name()) {
        return known;
    }
    let index = molecule.residues.len() as u32;
    names.push((conformer.name(), index));
    molecule.residues.push(Residue {
        name: conformer.name().into(),
        number: i32::try_from(residue.serial_number()).ok(),
        insertion: residue.insertion_code().and_then(|code| code.chars().next()),
        chain,
        ..Residue::default()
    });
    index
}

/// A reader whose first record is held against what pdbtbx makes of the input, in strict mode.
pub(crate) fn asked(
    reader: Box<dyn FormatReader>,
    source: &Source,
    cx: &Context,
    format: Format,
) -> Box<dyn FormatReader> {
    match cx.strictness() {
        Strictness::Strict => Box::new(Asked { reader, source: source.clone(), cx: cx.clone(), format: Some(format) }),
        _ => reader,
    }
}

struct Asked {
    reader: Box<dyn FormatReader>,
    source: Source,
    cx: Context,
    /// Taken when pdbtbx is asked.
    format: Option<Format>,
}

impl FormatReader for Asked {
    fn header(&mut self) -> Result<Header> {
        self.reader.header()
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let record = self.reader.next_record()?;
        if let (Some(record), Some(format)) = (&record, self.format.take()) {
            ask(record, &self.source, &self.cx, format)?;
        }
        Ok(record)
    }
}

fn ask(record: &MediaRecord, source: &Source, cx: &Context, format: Format) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else { return Ok(()) };
    // Measured: 4 times the input for PDB, 18 times for mmCIF, the whole document of which it builds.
    let needed = source.len().saturating_mul(if matches!(format, Format::Pdb) { 6 } else { 20 });
    if cx.budget().take(needed).is_err() {
        cx.note("pdbtbx-skipped", "pdbtbx is not asked: it would take more memory than is left");
        return Ok(());
    }
    let bytes = source.bytes(cx)?;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let input = BufReader::new(&bytes[..]);
        ReadOptions::new().set_format(format).set_level(StrictnessLevel::Loose).read_raw(input)
    }));
    let told = |errors: &[PDBError]| {
        if let Some(first) = errors.first() {
            let message = format!("pdbtbx: {}: {}", first.short_description(), first.long_description());
            cx.report_times(mediary_core::Severity::Warning, "pdbtbx", message, None, errors.len() as u64);
        }
    };
    match opened {
        Err(_) => cx.warn("pdbtbx", "pdbtbx panics on this input"),
        Ok(Err(mut errors)) => {
            // What stops it first, then what it would go over.
            errors.sort_by_key(|error| !error.fails(StrictnessLevel::Loose));
            told(&errors);
        }
        Ok(Ok((pdb, errors))) => {
            told(&errors);
            let own = (molecule.models.len(), molecule.atoms.len());
            let other = (pdb.model_count(), pdb.atom_count());
            if own != other {
                let message = format!(
                    "pdbtbx finds {} models and {} atoms in the first, expected {} and {}",
                    other.0, other.1, own.0, own.1
                );
                cx.warn("pdbtbx-count", message);
            }
        }
    }
    cx.budget().give_back(needed);
    Ok(())
}

#[cfg(test)]
mod tests;
