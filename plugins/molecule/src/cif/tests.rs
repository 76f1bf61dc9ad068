use mediary_core::record::molecule::{BondOrder, BondSource};
use mediary_core::{ErrorKind, Registry, Source, Strictness};
use serde_json::json;

use crate::testing::molecule;
use crate::torture::{data, findings, read, read_with};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 2e-6
}

/// Sites, cells, groups, positions, charges and B = 8 π² U as gemmi 0.7.5 has them; B of quartz by its `calculate_u_eq`.
#[test]
fn sites_are_those_of_gemmi() {
    type Site = (&'static str, &'static str, i8, f32, [f64; 3]);
    type Case = (&'static str, usize, [f64; 6], Option<&'static str>, &'static [Site]);
    let cases: [Case; 4] = [
        (
            "1519159.cif",
            26,
            [4.488, 31.886, 8.067, 90.0, 105.99, 90.0],
            Some("P 1 21/c 1"),
            &[
                ("S1", "S", 0, 3.3, [1.463968, 12.317562, 3.34856]),
                ("N2", "N", 0, 2.1, [-0.022396, 12.387711, 5.606783]),
                ("C3", "C", 0, 2.1, [-0.488494, 13.076449, 6.638182]),
            ],
        ),
        (
            "2013551.cif",
            2,
            [4.1537, 4.1537, 6.862, 90.0, 90.0, 120.0],
            Some("P -3 m 1"),
            &[
                ("Mg", "Mg", 0, 1.1212, [-2.07685, 3.59721, 6.862]),
                ("I", "I", 0, 0.9475, [-0.000208, 2.39826, 5.198857]),
            ],
        ),
        (
            "TbSb_isodistort.mcif",
            2,
            [4.37458, 4.37458, 21.431, 90.0, 90.0, 120.0],
            None,
            &[("Tb1_1", "Tb", 3, 0.0, [0.0, 0.0, 0.0]), ("Sb1_1", "Sb", -3, 0.0, [0.0, 0.0, 5.35775])],
        ),
        (
            "alpha_quartz.cif",
            2,
            [4.916, 4.916, 5.4054, 90.0, 90.0, 120.0],
            Some("P 32 2 1"),
            &[("Si", "Si", 0, 0.616126, [2.309045, 0.0, 0.0]), ("O", "O", 0, 1.058285, [1.376726, 1.136295, 0.643783])],
        ),
    ];
    for (name, count, cell, group, sites) in cases {
        let records = read(&data(&format!("cif/{name}")), "cif").unwrap();
        assert_eq!(records.len(), 1, "{name}");
        let found = molecule(&records[0]);
        assert_eq!(found.atoms.len(), count, "{name}");
        let own = found.cell.unwrap();
        assert_eq!([own.lengths, own.angles].concat(), cell, "{name}");
        assert_eq!(found.space_group.as_deref(), group, "{name}");
        for (index, (label, element, charge, b_factor, position)) in sites.iter().enumerate() {
            let atoms = &found.atoms;
            assert_eq!((atoms.names[index].as_str(), atoms.elements[index].symbol()), (*label, *element), "{name}");
            assert_eq!(atoms.formal_charges.get(index).copied().unwrap_or(0), *charge, "{name} {label}");
            let own = atoms.b_factors.get(index).copied().unwrap_or(0.0);
            assert!((own - b_factor).abs() < 1e-4, "{name} {label}: {own}");
            let own = found.models[0].positions[index];
            assert!(own.iter().zip(position).all(|(a, b)| close(*a, *b)), "{name} {label}: {own:?}");
        }
    }
}

/// The pairs of `_chemical_conn_bond`, some of which the file repeats.
#[test]
fn bonds_come_from_the_diagram() {
    let text = String::from_utf8(data("cif/1519159.cif")).unwrap();
    let rows = text.lines().skip_while(|line| *line != "_chemical_conn_bond_type").skip(1);
    let rows = rows.take_while(|line| *line != "loop_").map(|line| line.split(' ').collect::<Vec<_>>());
    let pair = |row: &[&str]| {
        let [a, b] = [0, 1].map(|end| row[end].parse::<u32>().unwrap() - 1);
        (a.min(b), a.max(b), if row[2] == "doub" { BondOrder::Double } else { BondOrder::Single })
    };
    let expected: std::collections::BTreeSet<_> = rows.map(|row| pair(&row)).collect();
    let records = read(text.as_bytes(), "cif").unwrap();
    let found = molecule(&records[0]);
    let stated = found.bonds.iter().filter(|bond| bond.source == BondSource::File);
    let stated: std::collections::BTreeSet<_> = stated.map(|bond| (bond.a, bond.b, bond.order)).collect();
    assert_eq!((stated, found.bonds.len()), (expected, 28));
    assert_eq!(records[0].properties["formula_sum"], "C9 H7 N7 O2 S");
    assert_eq!(found.formula(), "C9H7N7O2S");
}

#[test]
fn properties_say_what_the_crystal_is() {
    let records = read(&data("cif/1519159.cif"), "cif").unwrap();
    let properties = &records[0].properties;
    assert_eq!(properties["title"], "Crystal structure of 6-[(1-methyl-4-nitroimidazol-5-yl)thio] purine");
    assert_eq!((&properties["id"], &properties["chemical_name"]), (&json!("1519159"), &json!("Azathioprine")));
    assert_eq!((&properties["space_group_number"], &properties["formula_units"]), (&json!(14), &json!(4)));
    assert_eq!(properties["cell_uncertainties"], json!([0.002, 0.004, 0.002, null, null, null]));
    assert_eq!(
        properties["symmetry_operators"],
        json!(["x, y, z", "-x, -y, -z", "-x, y+1/2, -z+1/2", "x, -y+1/2, z+1/2"])
    );
    let magnetic = read(&data("cif/TbSb_isodistort.mcif"), "cif").unwrap();
    let properties = &magnetic[0].properties;
    assert_eq!(properties["magnetic_space_group"], "R_I-3c");
    assert_eq!(
        (&properties["moments"], &properties["moment_axes"]),
        (&json!([[0.0, 0.0, -0.70833], null]), &json!("crystal"))
    );
    assert_eq!(properties["magnetic_operators"].as_array().unwrap().len(), 12);
    assert_eq!(properties["magnetic_centerings"][1], "x,y,z+1/2,-1");
}

const CELL: &str = "data_x\n_cell_length_a 10\n_cell_length_b 10\n_cell_length_c 10\n";
const SITES: &str = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n\
    _atom_site_disorder_group\n";

#[test]
fn bonds_of_the_file_are_those_within_the_asymmetric_unit() {
    let text = format!(
        "{CELL}{SITES}C1 0.1(2) 0 0 .\nO1 0.22 0 0 1\nO1' 0.1 0.12 0 -2\nN1 0.9 0 0 .\n\
         loop_\n_geom_bond_atom_site_label_1\n_geom_bond_atom_site_label_2\n_geom_bond_distance\n\
         _geom_bond_site_symmetry_2\n_ccdc_geom_bond_type\nC1 O1 1.20(3) . D\nC1 O1' 1.2 1_555 ?\n\
         C1 N1 2.0 1_455 S\nC1 C9 1.5 . S\n#\n"
    );
    let records = read(text.as_bytes(), "cif").unwrap();
    let found = molecule(&records[0]);
    let bonds: Vec<_> = found.bonds.iter().map(|bond| (bond.a, bond.b, bond.source)).collect();
    assert_eq!(bonds, [(0, 1, BondSource::File), (0, 2, BondSource::File)]);
    assert_eq!(found.atoms.altlocs, ['\0', '1', '2', '\0']);
    let codes: Vec<_> = findings(&records).iter().map(|finding| finding.code.to_string()).collect();
    assert_eq!(codes, ["cif.symmetry-bond", "cif.bond-atom"]);
    assert_eq!(records[0].properties["fract_uncertainties"][0], json!([0.2, null, null]));
}

/// U of the isotropic site in a skew cell: the mean of the anisotropic one of a sphere is U itself whatever the cell.
#[test]
fn anisotropic_displacements_give_b_factors() {
    let cell = mediary_core::record::molecule::Cell { lengths: [5.0, 7.0, 9.0], angles: [70.0, 80.0, 110.0] };
    // U of a sphere of 1 Å² in the axes of the cell: products of the reciprocal edges over their lengths.
    let [alpha, beta, gamma] = cell.angles.map(f64::to_radians);
    let cosine = |x: f64, y: f64, z: f64| (y.cos() * z.cos() - x.cos()) / (y.sin() * z.sin());
    let u = [1.0, 1.0, 1.0, cosine(gamma, alpha, beta), cosine(beta, alpha, gamma), cosine(alpha, beta, gamma)];
    assert!(close(crate::cell::equivalent(&cell, u), 1.0));
    let text = format!(
        "{CELL}{SITES}C1 0 0 0 .\nloop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n\
         _atom_site_aniso_U_33\n_atom_site_aniso_U_12\n_atom_site_aniso_U_13\n_atom_site_aniso_U_23\n\
         C1 0.01(1) 0.02 0.03 0 0 0\n#\n"
    );
    let records = read(text.as_bytes(), "cif").unwrap();
    assert!((molecule(&records[0]).atoms.b_factors[0] - 1.579_137).abs() < 1e-5);
}

#[test]
fn every_block_with_atoms_is_a_record() {
    let block = |name: &str, rows: &str| format!("{}{SITES}{rows}#\n", CELL.replace("data_x", name));
    let text = block("data_a", "C1 0 0 0 .\n")
        + "data_empty\n_cell_length_a 3\n"
        + &block("data_b", "O1 0 0 0 .\nO2 .5 0 0 .\n");
    let records = read(text.as_bytes(), "cif").unwrap();
    let names: Vec<_> = records.iter().map(|record| (record.key.as_str(), molecule(record).atoms.len())).collect();
    assert_eq!(names, [("a", 1), ("b", 2)]);
    // With dots, in the second version, and behind a frame that is none of its business.
    let text = "#\\#CIF_2.0\ndata_c\n_cell.length_a 10\n_cell.length_b 10\n_cell.length_c 10\nsave_f\n_cell.length_a 1\nsave_\n\
        _x.list [1 2 [3]]\nloop_\n_atom_site.label\n_atom_site.fract_x\n_atom_site.fract_y\n_atom_site.fract_z\n\
        H1 .1 .2 .3\n#\n";
    let records = read(text.as_bytes(), "cif").unwrap();
    assert_eq!(molecule(&records[0]).models[0].positions, [[1.0, 2.0, 3.0]]);
}

#[test]
fn what_is_wrong_is_said() {
    for (text, kind, words) in [
        (format!("data_x\n{SITES}C1 0 0 0 .\n#\n"), ErrorKind::Malformed, "unit cell"),
        (format!("{CELL}_cell_angle_alpha 0\n{SITES}C1 0 0 0 .\n#\n"), ErrorKind::Malformed, "unit cell"),
        (format!("{CELL}{SITES}C1 0 x 0 .\n#\n"), ErrorKind::Malformed, "coordinate"),
        (format!("{CELL}{SITES}C1 0 0\n#\n"), ErrorKind::Malformed, "rows of 5"),
        (format!("{CELL}_refln_index_h 1\n"), ErrorKind::Unsupported, "structure factors"),
        ("_cell_length_a 3\n".into(), ErrorKind::Malformed, "data_"),
    ] {
        let error = read(text.as_bytes(), "cif").unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(format!("{error} {:?}", error.hint()).contains(words), "{error}");
        let _ = read_with(text.as_bytes(), "cif", |options| options.strictness = Strictness::Lenient);
    }
    let none = read_with(format!("data_x\n{SITES}C1 0 0 0 .\n#\n").as_bytes(), "cif", |options| {
        options.strictness = Strictness::Lenient;
    });
    assert!(molecule(&none.unwrap()[0]).models[0].positions.is_empty());
}

#[test]
fn content_tells_the_dictionary() {
    let registry = Registry::builtin();
    for (path, format) in [
        ("cif/1519159.cif", "cif"),
        ("cif/TbSb_isodistort.mcif", "cif"),
        ("mmcif/ALA.cif", "mmcif"),
        ("mmcif/1crn.mmcif", "mmcif"),
        ("bcif/1crn.bcif", "bcif"),
    ] {
        for name in ["", "x.cif", "x.mcif", "x.bcif"] {
            let detection = registry.detect(&Source::from_bytes(name, data(path)));
            assert_eq!(detection.winner(true).unwrap(), format, "{path} as {name:?}");
        }
    }
}

#[test]
fn monomer_libraries_are_components() {
    let text = "global_\n_lib_name ?\ndata_comp_list\nloop_\n_chem_comp.id\n_chem_comp.name\nXYZ 'a name'\n\
        data_comp_XYZ\nloop_\n_chem_comp_atom.comp_id\n_chem_comp_atom.atom_id\n_chem_comp_atom.type_symbol\n\
        _chem_comp_atom.partial_charge\n_chem_comp_atom.x\n_chem_comp_atom.y\n_chem_comp_atom.z\n\
        XYZ C1 C 0.000 0 0 0\nXYZ O1 O -1 1.2 0 0\nXYZ CL CL -0.2 0 1.7 0\n\
        loop_\n_chem_comp_bond.comp_id\n_chem_comp_bond.atom_id_1\n_chem_comp_bond.atom_id_2\n_chem_comp_bond.type\n\
        XYZ C1 O1 double\nXYZ C1 CL single\n";
    let records = read(text.as_bytes(), "mmcif").unwrap();
    assert_eq!(records.len(), 1);
    let found = molecule(&records[0]);
    assert_eq!((found.name.as_str(), found.residues[0].name.as_str()), ("XYZ", "XYZ"));
    let symbols: Vec<_> = found.atoms.elements.iter().map(|element| element.symbol()).collect();
    assert_eq!(symbols, ["C", "O", "Cl"]);
    assert_eq!(found.atoms.formal_charges, [0, -1, 0]);
    let orders: Vec<_> = found.bonds.iter().map(|bond| bond.order).collect();
    assert_eq!(orders, [BondOrder::Double, BondOrder::Single]);
}

/// Alanine of the Chemical Component Dictionary: 13 atoms, 12 bonds, one of them double, two sets of coordinates, as gemmi 0.7.5
/// reads it.
#[test]
fn components_have_their_model_and_their_ideal_coordinates() {
    let records = read(&data("mmcif/ALA.cif"), "mmcif").unwrap();
    let found = molecule(&records[0]);
    assert_eq!((found.atoms.len(), found.bonds.len(), found.models.len()), (13, 12, 2));
    let titles: Vec<_> = found.models.iter().map(|model| (model.title.as_str(), model.positions[1])).collect();
    let expected = [("model coordinates", [1.169, 26.942, 13.411]), ("ideal coordinates", [0.257, 0.418, 0.692])];
    assert_eq!(titles, expected);
    assert_eq!(found.bonds.iter().filter(|bond| bond.order == BondOrder::Double).count(), 1);
    assert_eq!(records[0].properties["stereo_centers"], json!({"CA": "S"}));
    assert_eq!(records[0].properties["title"], "ALANINE");
}
