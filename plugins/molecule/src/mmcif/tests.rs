use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, Chain, Element, Model, Residue};
use mediary_core::{Media, MediaRecord, Output, Registry, Source, Strictness, WriteOptions};

use crate::testing::molecule;
use crate::torture::{damaged, data, findings, read, read_with};

fn written(records: &mut [MediaRecord]) -> Vec<u8> {
    let mut out = Output::memory();
    for record in records {
        Registry::builtin().write(record, "mmcif", &mut out, &WriteOptions::default()).unwrap();
    }
    out.finish().unwrap().bytes
}

/// Names and labels that the writer makes up, and where bonds come from, are all that may differ.
fn assert_same(first: &Molecule, second: &Molecule, name: &str) {
    let essence = |molecule: &Molecule| {
        let mut molecule = molecule.clone();
        molecule.chains.iter_mut().for_each(|chain| (chain.label, chain.entity) = Default::default());
        molecule.residues.iter_mut().for_each(|residue| residue.label_number = None);
        molecule.models.iter_mut().for_each(|model| (model.title, model.cell) = Default::default());
        molecule.bonds.iter_mut().for_each(|bond| bond.source = Default::default());
        molecule.atoms.serials = Vec::new();
        let atoms = &mut molecule.atoms;
        let count = atoms.len();
        atoms.occupancies = (0..count).map(|atom| Atoms::value(&atoms.occupancies, atom, 1.0)).collect();
        atoms.b_factors = (0..count).map(|atom| Atoms::value(&atoms.b_factors, atom, 0.0)).collect();
        molecule
    };
    let (first, second) = (essence(first), essence(second));
    assert_eq!(first.bonds.len(), second.bonds.len(), "{name}");
    assert!(first == second, "{name}:\n{first:?}\n{second:?}");
}

#[test]
fn every_atom_and_bond_comes_back() {
    for (path, format) in [
        ("pdb/1crn.pdb", "pdb"),
        ("pdb/2dej_APW.pdb", "pdb"),
        ("pdb/insertion_codes.pdb", "pdb"),
        ("pdb/multi-models-example.pdb", "pdb"),
        ("pdb/hybrid36.pdb", "pdb"),
        ("xyz/uracil.xyz", "xyz"),
        ("xyz/example_MEP_trj.xyz", "xyz"),
        ("xyz/extended.xyz", "xyz"),
    ] {
        let option = ("xyz.bonds".to_owned(), "distance".to_owned());
        let mut first = read_with(&data(path), format, |options| options.options = vec![option]).unwrap();
        let bytes = written(&mut first);
        let mut second = read(&bytes, "mmcif").unwrap();
        assert_eq!(first.len(), second.len(), "{path}");
        assert!(findings(&second).is_empty(), "{path}: {:?}", findings(&second));
        for (first, second) in first.iter().zip(&second) {
            assert_same(molecule(first), molecule(second), path);
        }
        if first.len() == 1 {
            assert!(second[0].source_is_canonical, "{path}");
            assert_eq!(bytes, written(&mut second), "{path} is written alike again");
        }
    }
}

/// Counts and cell are those of gemmi 0.7.5.
#[test]
fn an_entry_of_the_data_bank_is_read() {
    let mut records = read(&data("mmcif/1crn.mmcif"), "mmcif").unwrap();
    let first = molecule(&records[0]).clone();
    assert_eq!((first.atoms.len(), first.residues.len(), first.models.len()), (327, 46, 1));
    let cell = first.cell.unwrap();
    assert_eq!((cell.lengths, cell.angles), ([40.96, 18.65, 22.52], [90.0, 90.77, 90.0]));
    assert_eq!(first.space_group.as_deref(), Some("P 1 21 1"));
    assert_eq!((first.name.as_str(), first.chains[0].name.as_str()), ("1CRN", "A"));
    // The same entry as pdb: the same positions, and the same bonds from templates and disulfide bridges.
    let other = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    assert_eq!(first.models[0].positions, molecule(&other[0]).models[0].positions);
    assert_eq!(first.bonds, molecule(&other[0]).bonds);
    assert!(!records[0].source_is_canonical);
    let again = read(&written(&mut records), "mmcif").unwrap();
    assert_same(&first, molecule(&again[0]), "1crn");
}

/// Two residues of one component that differ in their bonds, atoms of one name, names that need quotes.
#[test]
fn bonds_that_differ_are_written_one_by_one() {
    let element = Element::from_symbol("C").unwrap();
    let bond = |a, b, order| Bond { a, b, order, ..Bond::default() };
    let residue = |number| Residue { name: "L I'G".into(), number: Some(number), hetero: true, ..Residue::default() };
    let molecule = Molecule {
        name: "a 'quoted' \"name\"\n;of lines".into(),
        atoms: Atoms {
            elements: vec![element; 8],
            names: ["C1", "C2", "C3", "_x", "C1", "C2", "C3", "C3"].map(Into::into).into(),
            residues: vec![0, 0, 0, 0, 1, 1, 1, 1],
            altlocs: vec!['\0', '\0', 'A', '\0', '\0', '\0', '\'', 'B'],
            partial_charges: vec![0.25; 8],
            aromatic: [true, false].repeat(4),
            hydrogens: (0..8).collect(),
            ..Atoms::default()
        },
        residues: vec![residue(-1), residue(7)],
        chains: vec![Chain { name: "data_".into(), ..Chain::default() }],
        bonds: vec![
            bond(0, 1, BondOrder::Double),
            bond(0, 3, BondOrder::Aromatic),
            bond(1, 2, BondOrder::Single),
            bond(1, 4, BondOrder::Triple),
            bond(4, 5, BondOrder::Single),
            bond(5, 6, BondOrder::Single),
        ],
        models: vec![Model { number: 1, positions: vec![[0.1, -1e-7, 123_456.789]; 8].into(), ..Model::default() }],
        ..Molecule::default()
    };
    molecule.validate().unwrap();
    let bytes = written(&mut [MediaRecord::new(molecule.clone())]);
    let text = String::from_utf8(bytes.clone()).unwrap();
    // C1-C2 differs in its order, C2-C3 misses an alternate location: both are connections, C1-_x alone is shared.
    assert_eq!(text.lines().filter(|line| line.starts_with("\"L I'G\" C1 '_x' arom")).count(), 1, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("covale")).count(), 5, "{text}");
    let again = read(&bytes, "mmcif").unwrap();
    let mut expected = molecule;
    // A line of a text field cannot start with a semicolon.
    expected.name = expected.name.replace("\n;", "\n ;");
    assert_same(&expected, super::tests::molecule(&again[0]), "made");
}

#[test]
fn other_writers_files_are_read() {
    let text = b"data_1ABC\n_cell.length_a 10.5(2)\n_cell.length_b 20\n_cell.length_c 30\n_cell.angle_beta 95\n\
        loop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n\
        _atom_site.label_atom_id\n_atom_site.label_comp_id\n_atom_site.label_asym_id\n_atom_site.label_seq_id\n\
        _atom_site.pdbx_PDB_model_num\n\
        1 N 0 0 0 N GLY A 1 1\n2 C 1.4 0 0 CA GLY A 1 1\n3 N 0 0 1 N GLY A 1 2\n4 C 1.4 0 1 CA GLY A 1 2\n\
        5 ZN 9 9 9 ZN ZN B . 3\n";
    let records = read(text, "mmcif").unwrap();
    let models: Vec<_> = records.iter().map(|record| molecule(record).models.len()).collect();
    assert_eq!(models, [2, 1]);
    let first = molecule(&records[0]);
    assert_eq!(first.cell.unwrap().lengths, [10.5, 20.0, 30.0]);
    assert_eq!(first.cell.unwrap().angles, [90.0, 95.0, 90.0]);
    assert_eq!((first.bonds.len(), first.bonds[0].order), (1, BondOrder::Single));
    assert_eq!(first.models[1].positions, [[0.0, 0.0, 1.0], [1.4, 0.0, 1.0]]);
    assert_eq!(molecule(&records[1]).atoms.elements[0].symbol(), "Zn");
}

const ITEMS: &str = "loop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n\
    _atom_site.Cartn_z\n_atom_site.occupancy\n_atom_site.B_iso_or_equiv\n_atom_site.pdbx_PDB_model_num\n";

#[test]
fn standard_uncertainties_are_dropped() {
    let text = format!("data_x\n_refine.ls_d_res_high 1.8(1)\n{ITEMS}1 C 1.45(2) -0.5(13) 2 0.75(1) 12.5(10) 1\n#\n");
    let records = read(text.as_bytes(), "mmcif").unwrap();
    let first = molecule(&records[0]);
    assert_eq!(first.models[0].positions, [[1.45, -0.5, 2.0]]);
    assert_eq!((first.atoms.occupancies[0], first.atoms.b_factors[0]), (0.75, 12.5));
    assert_eq!(records[0].properties["resolution"], 1.8);
    assert!(findings(&records).is_empty());
    for broken in ["1.45(2", "1.45()", "1.45(a)", "(2)", "1.45)"] {
        assert!(read(text.replace("1.45(2)", broken).as_bytes(), "mmcif").is_err(), "{broken}");
    }
}

#[test]
fn model_numbers_become_unique() {
    let rows = [0, 1, 2, 1].map(|number| format!("1 C 0 0 0 1 0 {number}\n")).concat();
    let records = read(format!("data_x\n{ITEMS}{rows}#\n").as_bytes(), "mmcif").unwrap();
    let numbers: Vec<_> = molecule(&records[0]).models.iter().map(|model| model.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let found = findings(&records);
    assert_eq!((found[0].code.as_ref(), found[0].count), ("mmcif.model-number", 4));
}

#[test]
fn models_of_one_number_are_written_apart() {
    let mut records = read(&data("pdb/multi-models-example.pdb"), "pdb").unwrap();
    let Media::Molecule(molecule) = &mut records[0].media else { panic!() };
    molecule.models.iter_mut().for_each(|model| model.number = 1);
    for format in ["mmcif", "pdb"] {
        let mut out = Output::memory();
        Registry::builtin().write(&mut records[0], format, &mut out, &WriteOptions::default()).unwrap();
        let again = read(&out.finish().unwrap().bytes, format).unwrap();
        let numbers: Vec<_> = super::tests::molecule(&again[0]).models.iter().map(|model| model.number).collect();
        assert_eq!(numbers, [1, 2], "{format}");
        assert!(findings(&again).is_empty(), "{format}");
    }
}

#[test]
fn an_end_between_two_rows_is_noticed() {
    let whole = format!("data_x\n{ITEMS}1 C 0 0 0 1 0 1\n");
    let codes = |text: String| {
        let records = read(text.as_bytes(), "mmcif").unwrap();
        findings(&records).iter().map(|finding| finding.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(codes(whole.clone()), ["mmcif.no-end"]);
    for rest in ["#\n", "# end", "_a.b 1\n", "loop_\n_a.b\n1\n", "data_y\n"] {
        assert!(!codes(whole.clone() + rest).contains(&"mmcif.no-end".to_owned()), "{rest:?}");
    }
}

#[test]
fn files_without_atoms_say_what_they_hold() {
    let error = read(b"data_x\nloop_\n_refln.index_h\n1 2 3\n", "mmcif").unwrap_err();
    assert!(error.hint().unwrap().contains("structure factors (_refln)"), "{error}");
    assert!(read(b"data_x\nloop_\n_atom_site.id\n1\n", "mmcif").is_err());
}

#[test]
fn cuts_and_flips_are_survived() {
    let entry = data("mmcif/1crn.mmcif");
    for cut in (0..entry.len()).step_by(641) {
        let _ = read(&entry[..cut], "mmcif");
    }
    for path in ["pdb/2dej_APW.pdb", "pdb/multi-models-example.pdb", "pdb/insertion_codes.pdb"] {
        let bytes = written(&mut read(&data(path), "pdb").unwrap());
        let atoms = bytes.windows(16).position(|window| window == b"_atom_site.group").unwrap();
        for cut in (1..bytes.len() - 3).filter(|cut| *cut < 64 || cut % 29 == 0) {
            match read(&bytes[..cut], "mmcif") {
                Err(error) => assert!(!error.message().is_empty()),
                // Rows are at the end: only a cut there leaves atoms.
                Ok(records) => {
                    assert!(cut > atoms, "{path} {cut}");
                    assert!(!findings(&records).is_empty(), "{path} {cut}");
                    assert!(!records[0].source_is_canonical);
                }
            }
        }
        for broken in damaged(&bytes, 300, 6, 88_172_645_463_325_252) {
            let _ = read_with(&broken, "mmcif", |options| options.strictness = Strictness::Lenient);
        }
    }
}

#[test]
fn only_macromolecular_files_are_recognised() {
    let registry = Registry::builtin();
    let found = |text: &[u8]| registry.detect(&Source::from_bytes("", text.to_vec())).winner(false).ok();
    assert_eq!(found(&written(&mut read(&data("pdb/2dej_APW.pdb"), "pdb").unwrap())), Some("mmcif"));
    assert_eq!(
        found(b"data_small\n_cell_length_a 5\nloop_\n_atom_site_label\n_atom_site_fract_x\nC1 0.5\n"),
        Some("cif")
    );
    assert_eq!(found(b"data_ is text too\n"), None);
    // Atoms beyond the head: a category of the dictionary decides, or the extension.
    let named = |name: &str, text: &[u8]| {
        registry.detect(&Source::from_bytes(name, text.to_vec())).winner(false).ok().filter(|&id| id == "mmcif")
    };
    let rows = "0 'a title'\n".repeat(8_000);
    let late = format!("data_x\nloop_\n_citation.id\n_citation.title\n{rows}{ITEMS}1 C 0 0 0 1 0 1\n#\n");
    assert_eq!(named("", late.as_bytes()), Some("mmcif"));
    let text = format!("data_x\n_a.t\n;{}\n;\n{ITEMS}1 C 0 0 0 1 0 1\n#\n", "text\n".repeat(20_000));
    let comment = format!("{}data_x\n{ITEMS}1 C 0 0 0 1 0 1\n#\n", "# a comment\n".repeat(8_000));
    for text in [text, comment] {
        assert_eq!(named("x.cif", text.as_bytes()), Some("mmcif"));
        assert_eq!(named("x", text.as_bytes()), None);
    }
}

/// Names as `SEQRES` of the same entry as pdb has them; entities say what is a ligand.
#[test]
fn sequences_and_ligands_are_properties() {
    let records = read(&data("mmcif/1crn.mmcif"), "mmcif").unwrap();
    let other = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    assert_eq!(records[0].properties["sequences"], other[0].properties["sequences"]);
    assert!(!records[0].properties.contains_key("ligands"));
    let text = "data_x\nloop_\n_entity.id\n_entity.type\n1 polymer\n2 non-polymer\n3 water\n\
        loop_\n_atom_site.group_PDB\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.label_atom_id\n\
        _atom_site.label_comp_id\n_atom_site.label_asym_id\n_atom_site.label_entity_id\n_atom_site.label_seq_id\n\
        _atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n\
        HETATM 1 SE SE MSE A 1 1 0 0 0\nHETATM 2 ZN ZN ZN B 2 . 5 0 0\nHETATM 3 ZN ZN ZN C 2 . 9 0 0\nHETATM 4 O O HOH D 3 . 7 7 7\n#\n";
    let records = read(text.as_bytes(), "mmcif").unwrap();
    assert_eq!(records[0].properties["ligands"], serde_json::json!({"ZN": 2}));
}

#[test]
fn fractional_coordinates_become_cartesian() {
    let text = "data_x\n_cell.length_a 10\n_cell.length_b 20\n_cell.length_c 30\nloop_\n_atom_site.id\n\
        _atom_site.type_symbol\n_atom_site.label_atom_id\n_atom_site.fract_x\n_atom_site.fract_y\n_atom_site.fract_z\n\
        1 C C1 0.5 0.5 0.1(1)\n#\n";
    let records = read(text.as_bytes(), "mmcif").unwrap();
    assert_eq!(molecule(&records[0]).models[0].positions, [[5.0, 10.0, 3.0]]);
    assert!(read(text.replace("_cell.length_a 10", "").as_bytes(), "mmcif").is_err());
}

/// A place that stands twice in a model, as in solvent whose numbers wrap.
#[test]
fn models_with_a_repeated_place_are_one_record() {
    let items = ["group_PDB", "id", "type_symbol", "label_atom_id", "label_comp_id", "label_asym_id", "label_seq_id"];
    let items = items.into_iter().chain(["Cartn_x", "Cartn_y", "Cartn_z", "pdbx_PDB_model_num"]);
    let head: String = items.map(|item| format!("_atom_site.{item}\n")).collect();
    let row = |number: &str, model: u8| format!("ATOM 1 O O HOH W {number} {model} 0 0 {model}\n");
    let rows: String = [1, 2].map(|model| ["1", "2", "1"].map(|number| row(number, model)).concat()).concat();
    let mut records = read(format!("data_x\nloop_\n{head}{rows}#\n").as_bytes(), "mmcif").unwrap();
    let found = molecule(&records[0]);
    assert_eq!((records.len(), found.residues.len(), found.models.len()), (1, 3, 2));
    let mut out = Output::memory();
    Registry::builtin().write(&mut records[0], "bcif", &mut out, &WriteOptions::default()).unwrap();
    let again = read(&out.finish().unwrap().bytes, "bcif").unwrap();
    assert_eq!(molecule(&again[0]).models.len(), 2);
}

/// Cells and fractions that double precision does not hold the product of.
#[test]
fn fractions_of_impossible_cells_are_errors() {
    let text = |edge: &str, angle: &str, fraction: &str, core: bool| {
        let dot = if core { '_' } else { '.' };
        let name = if core { "label" } else { "label_atom_id" };
        format!(
            "data_x\n_cell{dot}length_a {edge}\n_cell{dot}length_b 20\n_cell{dot}length_c 30\n_cell{dot}angle_gamma {angle}\n\
            loop_\n_atom_site{dot}type_symbol\n_atom_site{dot}{name}\n_atom_site{dot}fract_x\n_atom_site{dot}fract_y\n\
            _atom_site{dot}fract_z\nC C1 {fraction} 0 0\n#\n"
        )
    };
    for (core, format) in [(false, "mmcif"), (true, "cif")] {
        assert!(read(text("10", "90", "0.5", core).as_bytes(), format).is_ok(), "{format}");
        for (edge, angle, fraction) in [("1e200", "90", "1e200"), ("10", "0", "0.5"), ("1e308", "90", "0.5")] {
            let error = read(text(edge, angle, fraction, core).as_bytes(), format).unwrap_err();
            assert_eq!(error.kind(), mediary_core::ErrorKind::Malformed, "{format} {edge} {angle} {fraction}: {error}");
        }
    }
}

/// Names that are blanks once control characters are none, or that are no UTF-8: both models are of the same atoms.
#[test]
fn models_of_odd_names_are_one_record() {
    let items = ["id", "type_symbol", "label_atom_id", "label_comp_id", "label_asym_id"];
    let items = items.into_iter().chain(["Cartn_x", "Cartn_y", "Cartn_z", "pdbx_PDB_model_num"]);
    let head: String = items.map(|item| format!("_atom_site.{item}\n")).collect();
    for name in [&b"'   '"[..], b"' a '", b"\"\xFF\"", b"'a\t'"] {
        let rows = [b'1', b'2'].map(|model| {
            let row = [b"1 C ", name, b" ", name, b" ", name, b" 0 0 0 ", &[model], b"\n"].concat();
            [&row[..], &row[..]].concat()
        });
        let text = [format!("data_x\nloop_\n{head}").as_bytes(), &rows.concat(), b"#\n"].concat();
        let records = read(&text, "mmcif").unwrap();
        let found = molecule(&records[0]);
        assert_eq!((records.len(), found.residues.len(), found.models.len()), (1, 1, 2), "{name:?}");
    }
    let records = read(&data("mmcif/malformed/odd-names.cif"), "mmcif").unwrap();
    let found = molecule(&records[0]);
    assert_eq!((records.len(), found.atoms.len(), found.models.len()), (1, 4, 2));
}
