use mediary_core::{Facts, Output, Registry, Source, Strictness, WriteOptions};

use super::*;
use serde_json::json;

use crate::testing::molecule;
use crate::torture::{data, findings, read, read_with};

fn molecules(records: &[MediaRecord]) -> Vec<&Molecule> {
    records.iter().map(molecule).collect()
}

/// Frames, atoms and formulas as ASE 3.29.0 and Open Babel 3.1.1 state them.
#[test]
fn counts_are_those_of_ase() {
    for (name, counts, formula) in [
        ("uracil", &[(12, 1)][..], "C4H4N2O2"),
        ("trajectory", &[(9, 2)], "He9"),
        ("example_MEP_trj", &[(14, 10)], "C3H8O3"),
        ("extended", &[(192, 1), (62, 1), (8, 1)], "C88H96O8"),
    ] {
        let records = read(&data(&format!("xyz/{name}.xyz")), "xyz").unwrap();
        let found: Vec<_> =
            molecules(&records).iter().map(|molecule| (molecule.atoms.len(), molecule.models.len())).collect();
        assert_eq!(found, counts, "{name}");
        let Facts::Molecule(facts) = records[0].facts() else { panic!("{name}") };
        assert_eq!(facts.formula.as_deref(), Some(formula), "{name}");
    }
}

#[test]
fn the_extended_comment_is_taken_apart() {
    let records = read(&data("xyz/extended.xyz"), "xyz").unwrap();
    let properties = &records[0].properties;
    assert_eq!(properties["ENERGY"], -2_069.849_341_16);
    assert_eq!(properties["IsStrange"], true);
    assert_eq!(properties["Natoms"], 192);
    assert_eq!(molecules(&records)[0].name, "COBHUW");
    // ASE: Atoms.cell.cellpar().
    let cell = molecules(&records)[0].cell.unwrap();
    let expected = [8.431_160_35, 14.505_106_125, 15.609_114_684, 73.316_992_116, 85.702_005_823, 89.375_015_286];
    for (found, expected) in cell.lengths.iter().chain(&cell.angles).zip(expected) {
        assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    }
    assert_eq!(molecules(&records)[2].cell.unwrap().angles, [90.0; 3]);
}

#[test]
fn symbols_numbers_and_labels_are_elements() {
    let text = "6\n\n 6 0 0 0\nD\t1 0 0\ncl 2 0 0\nC12 3 0 0\nHe 4.5e0 0 0\nX 5 0 0\n";
    let records = read(text.as_bytes(), "xyz").unwrap();
    let atoms = &molecules(&records)[0].atoms;
    let numbers: Vec<_> = atoms.elements.iter().map(|element| element.number()).collect();
    assert_eq!(numbers, [6, 1, 17, 6, 2, 0]);
    assert_eq!(atoms.isotopes, [0, 2, 0, 0, 0, 0]);
    assert_eq!(atoms.names[3], "C12");
    assert!(findings(&records).is_empty());
    let records = read(b"1\n\nQx 0 0 0\n", "xyz").unwrap();
    assert_eq!(findings(&records)[0].code, "xyz.unknown-element");
}

#[test]
fn declared_columns_are_found() {
    let text = "1\nProperties=id:I:1:pos:R:3:species:S:1:charge:R:1 pbc=\"T T F\"\n7 1 2 3 O -0.5\n";
    let records = read(text.as_bytes(), "xyz").unwrap();
    let molecule = molecules(&records)[0];
    assert_eq!(molecule.models[0].positions, [[1.0, 2.0, 3.0]]);
    assert_eq!(molecule.atoms.partial_charges, [-0.5]);
    assert_eq!(molecule.atoms.elements[0].symbol(), "O");
    assert_eq!(records[0].properties["pbc"], "T T F");
    assert_eq!(records[0].properties["columns"], json!({"id": {"type": "I", "values": [7]}}));
    assert!(findings(&records).is_empty());
}

/// Values are those of ASE 3.29.0: `atoms.arrays`, forces of `atoms.get_forces()`.
#[test]
fn columns_of_atoms_are_kept_and_written() {
    let mut records = read(&data("xyz/extended.xyz"), "xyz").unwrap();
    let columns = records[0].properties["columns"].clone();
    assert_eq!(columns["CS"]["values"].as_array().map(Vec::len), Some(192));
    assert_eq!(columns["CS"]["values"][2], json!([-74.64, -90.59]));
    let written = |record: &mut MediaRecord| {
        let mut out = Output::memory();
        Registry::builtin().write(record, "xyz", &mut out, &WriteOptions::default()).unwrap();
        String::from_utf8(out.finish().unwrap().bytes).unwrap()
    };
    let again = read(written(&mut records[0]).as_bytes(), "xyz").unwrap();
    assert_eq!(again[0].properties["columns"], columns);
    let text = "2\nProperties=species:S:1:pos:R:3:forces:R:3:fixed:L:1:label:S:1 a=1\n\
                O 0 0 0 1 -2.5 1e-3 T O_1\nH 0 0 1 0 0 0 F H\n2\nProperties=species:S:1:pos:R:3:fixed:L:1\n\
                O 0 0 0.5 T\nH 0 0 1.5 T\n";
    let mut records = read(text.as_bytes(), "xyz").unwrap();
    assert_eq!(findings(&records).iter().map(|it| &*it.code).collect::<Vec<_>>(), ["xyz.column"]);
    let expected = json!({
        "forces": {"type": "R", "values": [[1.0, -2.5, 0.001], [0.0, 0.0, 0.0]]},
        "fixed": {"type": "L", "values": [true, false]},
        "label": {"type": "S", "values": ["O_1", "H"]},
    });
    assert_eq!(records[0].properties["columns"], expected);
    let text = written(&mut records[0]);
    assert!(text.contains("Properties=species:S:1:pos:R:3:forces:R:3:fixed:L:1:label:S:1 a=1"), "{text}");
    assert_eq!(read(text.as_bytes(), "xyz").unwrap()[0].properties["columns"], expected);
    // A column that does not fit is a loss.
    records[0].properties["columns"]["label"]["values"] = json!(["O"]);
    assert!(!written(&mut records[0]).contains("label"));
    assert!(records[0].loss.iter().any(|loss| loss.code == "xyz.columns"));
}

#[test]
fn counts_that_lie_are_errors() {
    let error = read(&data("xyz/malformed/helium.xyz"), "xyz").unwrap_err();
    assert_eq!(error.message(), "expected 8 atoms, found 4 before the end of the file");
    assert_eq!(error.location().and_then(|location| location.line), Some(6));
    let lenient = |bytes: &[u8]| read_with(bytes, "xyz", |options| options.strictness = Strictness::Lenient).unwrap();
    let records = lenient(&data("xyz/malformed/helium.xyz"));
    assert_eq!(molecules(&records)[0].atoms.len(), 4);
    assert_eq!(findings(&records)[0].code, "xyz.cut-frame");
    let few = b"1\n\nHe 0 0 0\nHe 1 0 0\n";
    assert_eq!(read(few, "xyz").unwrap_err().location().and_then(|location| location.line), Some(4));
    assert_eq!(molecules(&lenient(few))[0].atoms.len(), 1);
    // No memory is taken for atoms that cannot be there.
    let error = read(b"999999999999\n\nHe 0 0 0\n", "xyz").unwrap_err();
    assert_eq!(error.limit_name(), Some("elements"));
    assert!(read(b"2000000000\n\nHe 0 0 0\n", "xyz").is_err());
}

#[test]
fn bonds_are_perceived_on_request() {
    let bytes = data("xyz/uracil.xyz");
    assert_eq!(molecules(&read(&bytes, "xyz").unwrap())[0].bonds.len(), 0);
    let option = ("xyz.bonds".to_owned(), "distance".to_owned());
    let records = read_with(&bytes, "xyz", |options| options.options = vec![option]).unwrap();
    // Open Babel finds as many.
    assert_eq!(molecules(&records)[0].bonds.len(), 12);
}

#[test]
fn what_is_written_is_read_again() {
    for name in ["uracil", "trajectory", "example_MEP_trj", "extended"] {
        let mut records = read(&data(&format!("xyz/{name}.xyz")), "xyz").unwrap();
        let mut out = Output::memory();
        for record in &mut records {
            Registry::builtin().write(record, "xyz", &mut out, &WriteOptions::default()).unwrap();
        }
        let again = read(&out.finish().unwrap().bytes, "xyz").unwrap();
        assert_eq!(records.len(), again.len(), "{name}");
        for (first, second) in molecules(&records).iter().zip(molecules(&again)) {
            assert_eq!(first.atoms.elements, second.atoms.elements, "{name}");
            assert_eq!(first.cell, second.cell, "{name}");
            let positions = |molecule: &Molecule| -> Vec<_> {
                molecule.models.iter().map(|model| model.positions.clone()).collect()
            };
            assert_eq!(positions(first), positions(second), "{name}");
        }
    }
}

#[test]
fn bare_coordinates_are_not_recognised() {
    let registry = Registry::builtin();
    let winner = |text: &str| registry.detect(&Source::from_bytes("points.xyz", text.as_bytes())).candidates.len();
    assert_eq!(winner("440750 3751290 107\n440810 3751290 123\n440870 3751290 132\n"), 0);
    assert_eq!(winner("665187.52 5648349.89 241.7 117 73 49\n665187.4 5648349.7 244.8 91 87 74\n"), 0);
    assert_eq!(winner("3\n1 2 3\n4 5 6 7\n7 8 9 10\n1 2 3 4\n"), 0);
    assert_eq!(winner("2\nwater?\nO 0 0 0\nH 1 0 0\n"), 1);
}
