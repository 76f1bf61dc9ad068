//! Crystals of small molecules and minerals: `_atom_site` of the core dictionary, with fractional coordinates.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Cell, Chain, Model, Residue};
use mediary_core::{Context, Error, Media, MediaRecord, Result};

use super::table::{Table, Tables, measured};
use super::{bonds, crystal, symbol};
use crate::cell;
use crate::mmcif::entry;
use crate::text::{Findings, word};

/// Small categories that are kept until the block ends.
#[rustfmt::skip]
pub(crate) const CATEGORIES: &[&str] = &[
    "atom_site", "atom_site_aniso", "atom_site_moment", "cell", "chemical_conn_bond", "chemical_formula", "chemical_name", "cod_database",
    "database_code", "diffrn", "exptl_crystal", "geom_bond", "publ", "space_group", "space_group_magn", "space_group_symop",
    "space_group_symop_magn_centering", "space_group_symop_magn_operation", "symmetry", "symmetry_equiv",
];

/// Bytes of memory that an atom takes.
const ATOM_BYTES: u64 = 160;
/// B is this times U: 8 π².
const B_OF_U: f64 = 8.0 * std::f64::consts::PI * std::f64::consts::PI;

/// The crystal of a block; `None` if it has no atoms.
pub(super) fn record(
    block: &str,
    tables: &Tables,
    findings: &mut Findings,
    cx: &Context,
) -> Result<Option<MediaRecord>> {
    let Some(table) = tables.get("atom_site").filter(|table| !table.rows.is_empty()) else { return Ok(None) };
    if ["label", "type_symbol", "fract_x", "cartn_x"].iter().all(|item| table.column(item).is_none()) {
        return Ok(None);
    }
    cx.budget().take(table.rows.len() as u64 * ATOM_BYTES)?;
    let mut molecule = Molecule { name: block.to_owned(), ..Molecule::default() };
    atoms(&mut molecule, tables, table, findings);
    molecule.residues = vec![Residue { hetero: true, ..Residue::default() }];
    molecule.chains = vec![Chain::default()];
    molecule.cell = entry::unit_cell(tables).map(|(cell, _)| cell);
    molecule.space_group = entry::space_group(tables);
    let positions = positions(table, molecule.cell, findings, cx)?;
    b_factors(&mut molecule, tables, table, findings);
    molecule.models = vec![Model { number: 1, positions: positions.into(), ..Model::default() }];
    molecule.bonds = bonds::bonds(&molecule, tables, findings, cx)?;
    let properties = crystal::properties(&molecule, table, tables, findings);
    let mut record = MediaRecord::new(molecule);
    record.properties = properties;
    if let Media::Molecule(molecule) = &record.media {
        record.key = molecule.name.clone();
    }
    Ok(Some(record))
}

fn atoms(molecule: &mut Molecule, tables: &Tables, table: &Table, findings: &mut Findings) {
    let formula = tables.first("chemical_formula", "sum").map(|sum| symbol::of_formula(sum)).unwrap_or_default();
    let label = table.any(&["label", "id"]);
    let kind = table.item("type_symbol");
    let occupancy = table.item("occupancy");
    let group = table.item("disorder_group");
    let atoms = &mut molecule.atoms;
    for row in &table.rows {
        let text = if kind(row).is_empty() { label(row) } else { kind(row) };
        let found = symbol::parse(text, &formula);
        if found.element.number() == 0 {
            findings.warn("no-element", 0, || format!("expected an element in type_symbol, found {text:?}: unknown"));
        }
        atoms.elements.push(found.element);
        atoms.formal_charges.push(found.charge);
        atoms.isotopes.push(found.isotope);
        atoms.names.push(label(row).into());
        atoms.residues.push(0);
        atoms.occupancies.push(value(occupancy(row), 1.0, "occupancy", findings));
        atoms.altlocs.push(alternate(group(row)));
    }
    fn clear<T: Default + PartialEq>(column: &mut Vec<T>) {
        if column.iter().all(|value| *value == T::default()) {
            *column = Vec::new();
        }
    }
    clear(&mut atoms.altlocs);
    clear(&mut atoms.formal_charges);
    clear(&mut atoms.isotopes);
}

fn value(text: &str, default: f32, what: &str, findings: &mut Findings) -> f32 {
    if text.is_empty() {
        return default;
    }
    let number = measured(text.as_bytes()).map(|value| value as f32).filter(|value| value.is_finite());
    number.unwrap_or_else(|| {
        findings.warn("bad-number", 0, || format!("expected a number in {what}, found {text:?}: {default} is taken"));
        default
    })
}

/// The alternate location of a disorder group: its number, of two digits as a letter. A negative group is disordered about a
/// special position.
fn alternate(group: &str) -> char {
    let name = group.trim_start_matches('-');
    match name.parse::<u32>() {
        Ok(0) => '\0',
        Ok(number) => char::from_digit(number % 36, 36).unwrap_or('\0'),
        Err(_) => name.chars().next().unwrap_or('\0'),
    }
}

/// Cartesian coordinates: a along x, b in the plane of x and y.
fn positions(table: &Table, cell: Option<Cell>, findings: &mut Findings, cx: &Context) -> Result<Vec<[f64; 3]>> {
    let fractional = ["fract_x", "fract_y", "fract_z"].map(|item| table.column(item));
    let cartesian = ["cartn_x", "cartn_y", "cartn_z"].map(|item| table.column(item));
    let (columns, is_fractional) = match (fractional, cartesian) {
        ([Some(_), Some(_), Some(_)], _) => (fractional, true),
        (_, [Some(_), Some(_), Some(_)]) => (cartesian, false),
        _ => return Ok(Vec::new()),
    };
    let vectors = match (is_fractional, cell) {
        (false, _) => None,
        (true, Some(cell)) if cell::is_possible(&cell) => Some(cell::vectors(&cell)),
        (true, _) => {
            let error =
                Error::malformed("expected a unit cell for fractional coordinates, found none that is possible");
            cx.unless_lenient("cell", error.with_hint("_cell_length_a to _cell_angle_gamma state it"))?;
            return Ok(Vec::new());
        }
    };
    let mut positions = Vec::with_capacity(table.rows.len());
    let mut missing = 0;
    for (index, row) in table.rows.iter().enumerate() {
        let mut position = [0.0; 3];
        let mut given = 0;
        for (column, place) in columns.iter().zip(&mut position) {
            let text = column.and_then(|column| row.get(column)?.as_deref()).unwrap_or("");
            if text.is_empty() {
                continue;
            }
            given += 1;
            match measured(text.as_bytes()) {
                Some(value) => *place = value,
                None => {
                    let found = word(&text.as_bytes()[..text.len().min(40)]);
                    let error = Error::malformed(format!("expected a coordinate, found {found:?}"));
                    cx.unless_lenient("bad-atom", error.at_element(format!("_atom_site[{index}]")))?;
                }
            }
        }
        missing += usize::from(given < 3);
        positions.push(match &vectors {
            Some(vectors) => {
                cell::cartesian(vectors, position).map_err(|error| error.at_element(format!("_atom_site[{index}]")))?
            }
            None => position,
        });
    }
    if missing == table.rows.len() {
        return Ok(Vec::new());
    }
    if missing > 0 {
        findings.warn("no-position", 0, || {
            format!("{missing} of {} atoms lack a coordinate: 0 is taken for it", table.rows.len())
        });
    }
    Ok(positions)
}

/// B factors: 8 π² U of the isotropic displacement, or of the mean of the anisotropic one.
fn b_factors(molecule: &mut Molecule, tables: &Tables, table: &Table, findings: &mut Findings) {
    let (u, b) = (table.item("u_iso_or_equiv"), table.item("b_iso_or_equiv"));
    let number = |text: &str| measured(text.as_bytes());
    let own: Vec<Option<f64>> =
        table.rows.iter().map(|row| number(u(row)).map(|u| u * B_OF_U).or_else(|| number(b(row)))).collect();
    let mut equivalents = std::collections::HashMap::new();
    if let (true, Some(aniso), Some(cell)) = (own.contains(&None), tables.get("atom_site_aniso"), molecule.cell) {
        let label = aniso.item("label");
        let items = ["u_11", "u_22", "u_33", "u_12", "u_13", "u_23"].map(|item| aniso.item(item));
        for row in &aniso.rows {
            let values = items.each_ref().map(|item| number(item(row)));
            if let [Some(a), Some(b), Some(c), Some(ab), Some(ac), Some(bc)] = values {
                equivalents.insert(label(row), cell::equivalent(&cell, [a, b, c, ab, ac, bc]) * B_OF_U);
            }
        }
    }
    let found = own.into_iter().zip(&molecule.atoms.names);
    let mut values: Vec<f32> = found
        .map(|(own, name)| own.or_else(|| equivalents.get(name.as_str()).copied()).unwrap_or(0.0) as f32)
        .collect();
    for value in values.iter_mut().filter(|value| !value.is_finite()) {
        findings.warn("bad-number", 0, || {
            "expected displacements that single precision holds, found others: 0 is taken".into()
        });
        *value = 0.0;
    }
    if values.iter().any(|&value| value != 0.0) {
        molecule.atoms.b_factors = values;
    }
}
