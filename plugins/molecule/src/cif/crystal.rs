//! What a crystal is beside its atoms, as properties.

use mediary_core::record::Molecule;
use serde_json::{Map, Value, json};

use super::table::{Table, Tables, measured, uncertainty};
use crate::text::Findings;

/// Items that are kept as they are, the first of several that is there.
const TEXTS: &[(&str, &[(&str, &str)])] = &[
    ("title", &[("publ", "section_title")]),
    (
        "id",
        &[
            ("cod_database", "code"),
            ("database_code", "depnum_ccdc_archive"),
            ("database_code", "csd"),
            ("database_code", "icsd"),
            ("database_code", "pcod"),
        ],
    ),
    ("chemical_name", &[("chemical_name", "common"), ("chemical_name", "systematic"), ("chemical_name", "mineral")]),
    ("formula_sum", &[("chemical_formula", "sum")]),
    ("formula_moiety", &[("chemical_formula", "moiety")]),
    ("space_group_hall", &[("space_group", "name_hall"), ("symmetry", "space_group_name_hall")]),
    (
        "magnetic_space_group",
        &[
            ("space_group_magn", "name_bns"),
            ("space_group_magn", "name_og"),
            ("space_group_magn", "name_uni"),
            ("space_group_magn", "number_bns"),
        ],
    ),
];
/// Items that are numbers. Temperatures in K, pressures in kPa, densities in g/cm³, weights in g/mol.
const NUMBERS: &[(&str, &[(&str, &str)])] = &[
    ("formula_weight", &[("chemical_formula", "weight")]),
    ("formula_units", &[("cell", "formula_units_z")]),
    ("space_group_number", &[("space_group", "it_number"), ("symmetry", "int_tables_number")]),
    ("temperature", &[("diffrn", "ambient_temperature"), ("cell", "measurement_temperature")]),
    ("pressure", &[("diffrn", "ambient_pressure")]),
    ("density", &[("exptl_crystal", "density_diffrn")]),
];
/// Lists of operators.
const LISTS: &[(&str, &[(&str, &str)])] = &[
    ("symmetry_operators", &[("space_group_symop", "operation_xyz"), ("symmetry_equiv", "pos_as_xyz")]),
    ("magnetic_operators", &[("space_group_symop_magn_operation", "xyz")]),
    ("magnetic_centerings", &[("space_group_symop_magn_centering", "xyz")]),
];

/// Axes that moments are along, and their items.
const MOMENTS: [(&str, [&str; 3]); 4] = [
    ("crystal", ["crystalaxis_x", "crystalaxis_y", "crystalaxis_z"]),
    ("crystal", ["crystalaxis_mx", "crystalaxis_my", "crystalaxis_mz"]),
    ("cartesian", ["cartn_x", "cartn_y", "cartn_z"]),
    ("spherical", ["spherical_modulus", "spherical_azimuthal", "spherical_polar"]),
];

pub(super) fn properties(
    molecule: &Molecule,
    atoms: &Table,
    tables: &Tables,
    findings: &mut Findings,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let first = |items: &[(&str, &str)]| items.iter().find_map(|(category, item)| tables.first(category, item));
    for (property, items) in TEXTS {
        let text = first(items).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            properties.insert((*property).into(), text.into());
        }
    }
    for (property, items) in NUMBERS {
        if let Some(value) = first(items).and_then(|text| measured(text.as_bytes())) {
            let whole = value.fract() == 0.0 && value.abs() < 1e15;
            properties.insert((*property).into(), if whole { json!(value as i64) } else { json!(value) });
        }
    }
    for (property, items) in LISTS {
        let found = items.iter().find_map(|(category, item)| Some((tables.get(category)?, *item)));
        if let Some((table, item)) = found.filter(|(table, item)| table.column(item).is_some()) {
            let operator = table.item(item);
            let list = table.rows.iter().map(|row| operator(row).trim().into()).collect();
            properties.insert((*property).into(), Value::Array(list));
        }
    }
    let cell = ["length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"];
    let own = cell.map(|item| tables.first("cell", item).and_then(|text| uncertainty(text)));
    if own.iter().any(Option::is_some) {
        properties.insert("cell_uncertainties".into(), json!(own));
    }
    let axes = ["fract_x", "fract_y", "fract_z"].map(|item| atoms.item(item));
    let own: Vec<_> = atoms.rows.iter().map(|row| axes.each_ref().map(|axis| uncertainty(axis(row)))).collect();
    if own.iter().flatten().any(Option::is_some) {
        properties.insert("fract_uncertainties".into(), json!(own));
    }
    moments(molecule, tables, findings, &mut properties);
    properties
}

/// Magnetic moments in Bohr magnetons, one an atom or null, and the axes they are along.
fn moments(molecule: &Molecule, tables: &Tables, findings: &mut Findings, properties: &mut Map<String, Value>) {
    let Some(table) = tables.get("atom_site_moment") else { return };
    let found = MOMENTS.iter().find(|(_, items)| items.iter().all(|item| table.column(item).is_some()));
    let Some((axes, items)) = found else {
        return findings.note("moments", 0, || "magnetic moments without three components are set aside".into());
    };
    let label = table.any(&["label", "atom_site_label"]);
    let parts = items.map(|item| table.item(item));
    let by_label: std::collections::HashMap<&str, [Option<f64>; 3]> = table
        .rows
        .iter()
        .map(|row| (label(row), parts.each_ref().map(|part| measured(part(row).as_bytes()))))
        .collect();
    let known = by_label.len();
    let moments: Vec<Option<[f64; 3]>> = (molecule.atoms.names.iter())
        .map(|name| match by_label.get(name.as_str()) {
            Some([Some(x), Some(y), Some(z)]) => Some([*x, *y, *z]),
            _ => None,
        })
        .collect();
    if moments.iter().flatten().count() < known {
        findings.warn("moments", 0, || "a magnetic moment is of no atom that is there, or no number".into());
    }
    properties.insert("moments".into(), json!(moments));
    properties.insert("moment_axes".into(), (*axes).into());
}
