use mediary_core::record::molecule::BondOrder;
use mediary_core::{ErrorKind, Registry, Source, Strictness};

use super::codec::Column;
use crate::testing::{codes, molecule};
use crate::torture::{data, read, read_with};

/// Counts, orders and values as mmtf-python 1.1.3 states them.
#[test]
fn counts_are_those_of_mmtf_python() {
    for (name, atoms, groups, chains, singles, doubles, first, last) in [
        ("3NJW", 169, 44, 2, 122, 33, [6.011, 23.726, 5.538], [-2.787, 15.391, 2.677]),
        ("3NJW-onlyrequired", 169, 44, 2, 102, 33, [6.011, 23.726, 5.538], [-2.787, 15.391, 2.677]),
        ("1BNA", 566, 104, 4, 438, 106, [18.935, 34.195, 25.617], [18.692, 31.584, 4.596]),
    ] {
        let records = read(&data(&format!("mmtf/{name}.mmtf")), "mmtf").unwrap();
        let it = molecule(&records[0]);
        let found = (records.len(), it.atoms.len(), it.residues.len(), it.chains.len(), it.models.len());
        assert_eq!(found, (1, atoms, groups, chains, 1), "{name}");
        let orders = |order| it.bonds.iter().filter(|bond| bond.order == order).count();
        assert_eq!((orders(BondOrder::Single), orders(BondOrder::Double)), (singles, doubles), "{name}");
        assert_eq!(it.bonds.len(), singles + doubles, "{name}");
        let positions = &it.models[0].positions;
        assert_eq!((positions[0], positions[atoms - 1]), (first, last), "{name}");
    }
}

#[test]
fn what_else_the_header_and_groups_hold() {
    let records = read(&data("mmtf/3NJW.mmtf"), "mmtf").unwrap();
    assert_eq!(codes(&records), ["mmtf.secondary"]);
    let (record, it) = (&records[0], molecule(&records[0]));
    let cell = it.cell.unwrap();
    assert_eq!((cell.lengths, cell.angles), ([19.465, 21.432, 29.523], [90.0; 3]));
    assert_eq!(it.space_group.as_deref(), Some("P 21 21 21"));
    let chains: Vec<_> = it.chains.iter().map(|it| (it.name.as_str(), it.label.as_str(), it.entity.as_str())).collect();
    assert_eq!(chains, [("A", "A", "1"), ("A", "B", "2")]);
    assert_eq!((it.atoms.b_factors[..3].to_vec(), it.atoms.occupancies.len()), (vec![4.36, 4.79, 4.66], 169));
    let secondary: Vec<_> = it.secondary.iter().map(|it| (it.kind, it.start, it.end, it.class)).collect();
    assert_eq!(secondary, [("sheet", 5, 6, 0), ("sheet", 13, 14, 0), ("helix", 15, 17, 5)]);
    assert_eq!((it.residues[4].number, it.residues[4].label_number, it.residues[4].hetero), (Some(5), Some(5), false));
    assert!(it.residues[19..].iter().all(|water| water.hetero && water.label_number.is_none()));
    let properties = &record.properties;
    assert_eq!((&properties["resolution"], &properties["method"]), (&0.86.into(), &"X-RAY DIFFRACTION".into()));
    assert_eq!(properties["entities"][0]["sequence"], "GLPWGCPSDIPGWNTPWAC");
}

/// The values that were packed.
#[test]
fn every_codec_and_models_of_other_atoms() {
    let records = read(&data("mmtf/made.mmtf"), "mmtf").unwrap();
    assert_eq!(codes(&records), ["mmtf.version", "mmtf.unknown-field", "mmtf.resonance", "mmtf.resonance"]);
    let [first, second] = [&records[0], &records[1]].map(molecule);
    assert_eq!((first.models.len(), second.models.len(), second.models[0].number), (2, 1, 3));
    let atoms = &first.atoms;
    let place = |i: usize| {
        let i = i as f64;
        let (x, y) = (1.5 * i - 200.0 + 0.001 * i, 40.0 - 0.37 * i * if i % 2.0 == 0.0 { 1.0 } else { -1.0 });
        let z = 3.0 * ((i * 7.0) % 11.0) - 15.0;
        [(x * 1000.0).round() / 1000.0, (y * 100.0).round() / 100.0, z]
    };
    assert!((0..14).all(|i| first.models[0].positions[i] == place(i) && first.models[1].positions[i] == place(14 + i)));
    assert!((0..10).all(|i| second.models[0].positions[i] == place(28 + i)));
    assert_eq!(atoms.b_factors[..], (0..14).map(|i| 5.0 + 0.25 * i as f32).collect::<Vec<_>>());
    assert_eq!(atoms.occupancies[..4], [1.0, 0.5, 0.5, 1.0]);
    assert_eq!(atoms.altlocs[..5], ['\0', 'A', 'B', '\0', '\0']);
    assert_eq!(atoms.serials[4..11], [5, 40_000, 40_001, 40_002, 40_003, -3, 11]);
    let residues: Vec<_> = first
        .residues
        .iter()
        .map(|it| (it.name.as_str(), it.number, it.insertion, it.label_number, it.hetero, it.chain))
        .collect();
    assert_eq!(
        residues,
        [
            ("ALA", Some(-1), None, Some(1), false, 0),
            ("ALA", Some(300), Some('B'), Some(2), false, 0),
            ("XYL", Some(1), None, None, true, 1),
            ("HOH", Some(2), None, None, true, 1)
        ]
    );
    assert_eq!((atoms.formal_charges[0], atoms.formal_charges[12], atoms.isotopes[12]), (1, -1, 2));
    let bonds: Vec<_> = first.bonds.iter().map(|bond| (bond.a, bond.b, bond.order)).collect();
    use BondOrder::{Aromatic, Double, Single, Unknown};
    let within = |start: u32| {
        [(0, 1, Single), (0, 2, Single), (1, 3, Single), (2, 3, Single), (3, 4, Double)]
            .map(|(a, b, order)| (a + start, b + start, order))
    };
    let mut expected = [within(0), within(5)].concat();
    expected.extend([(10, 11, Aromatic), (11, 12, Unknown), (3, 5, Single)]);
    expected.sort();
    assert_eq!(bonds, expected);
    assert_eq!(second.bonds.len(), 11);
    let helix = &first.secondary[0];
    assert_eq!((first.secondary.len(), helix.kind, helix.start, helix.end, helix.class), (1, "helix", 0, 1, 1));
    let properties = &records[0].properties;
    assert_eq!(properties["modelProperties"]["rmsdList"], serde_json::json!([0.0, 0.5, 0.8]));
    assert_eq!(
        properties["extraProperties"],
        serde_json::json!({"types": {"0": "metal"}, "note": [1, true, null, "x", 2.5]})
    );
    let strict = read_with(&data("mmtf/3NJW.mmtf"), "mmtf", |options| options.strictness = Strictness::Strict);
    assert!(strict.is_ok(), "a whole file is whole in strict mode too");
}

fn column(codec: i32, length: i32, parameter: i32, data: &[u8]) -> Vec<u8> {
    [codec, length, parameter].iter().flat_map(|word| word.to_be_bytes()).chain(data.iter().copied()).collect()
}

/// Packed and unpacked values of the examples in the specification.
#[test]
fn examples_of_the_specification() {
    let words = |values: &[i32]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>();
    let halves = |values: &[i16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>();
    let bytes = |values: &[i8]| values.iter().map(|&value| value as u8).collect::<Vec<_>>();
    for (codec, packed, unpacked) in [
        (7, words(&[1, 10, 2, 1, 1, 4]), &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1][..]),
        (8, words(&[1, 7, 2, 1]), &[1, 2, 3, 4, 5, 6, 7, 9]),
        (
            15,
            bytes(&[127, 41, 34, 1, 0, -50, -128, 0, 7, 127, 0, 127, 127, 14]),
            &[168, 34, 1, 0, -50, -128, 7, 127, 268],
        ),
        (14, halves(&[32_767, 32_767, 32_767, 6899, 0, 2]), &[105_200, 0, 2]),
        (6, words(&[0, 5, 65, 3, 66, 2]), &[0, 0, 0, 0, 0, 65, 65, 65, 66, 66]),
    ] {
        let column = column(codec, unpacked.len() as i32, 0, &packed);
        let mut found = Vec::new();
        Column::of(&column, "x").unwrap().integers(|values| found.extend_from_slice(values)).unwrap();
        assert_eq!(found, unpacked, "{codec}");
    }
    for (codec, divisor, packed, unpacked) in [
        (
            10,
            1000,
            halves(&[32_767, 32_767, 32_767, 6899, 0, 2, -1, 100, -3, 5]),
            &[105.2, 105.2, 105.202, 105.201, 105.301, 105.298, 105.303][..],
        ),
        (9, 100, words(&[100, 4, 50, 2]), &[1.0, 1.0, 1.0, 1.0, 0.5, 0.5]),
        (10, 100, halves(&[18_200, 0, 2, -1, 100, -3, 5]), &[182.0, 182.0, 182.02, 182.01, 183.01, 182.98, 183.03]),
    ] {
        let column = column(codec, unpacked.len() as i32, divisor, &packed);
        let mut found = Vec::new();
        Column::of(&column, "x").unwrap().numbers(|values| found.extend_from_slice(values)).unwrap();
        assert_eq!(found, unpacked, "{codec}");
    }
}

#[test]
fn broken_columns_are_errors() {
    let words = |values: &[i32]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>();
    for (column, said) in [
        (vec![0; 11], "12"),
        (column(4, -1, 0, &[]), "found -1"),
        (column(4, 2, 0, &[0; 4]), "expected 2 values"),
        (column(4, 1, 0, &[0; 5]), "multiple of 4"),
        (column(7, 5, 0, &words(&[1, 6])), "at most 5"),
        (column(7, 5, 0, &words(&[1, -1])), "at most 5"),
        (column(7, 5, 0, &words(&[1, 4])), "expected 5 values, found 4"),
        (column(7, 5, 0, &words(&[1])), "odd"),
        (column(8, 2, 0, &words(&[i32::MAX, 2])), "32 bits"),
        (column(15, 1, 0, &[127]), "several parts"),
        (column(15, 1, 0, &[1, 1]), "expected 1 values"),
        (column(9, 1, 1, &words(&[1, 1])), "another type"),
        (column(99, 1, 1, &[]), "from 1 to 16"),
    ] {
        let error = Column::of(&column, "x").and_then(|column| column.integers(|_| ())).unwrap_err();
        assert!(error.message().contains(said), "{error}");
    }
    let divided = column(9, 1, 0, &words(&[1, 1]));
    let error = Column::of(&divided, "x").unwrap().numbers(|_| ()).unwrap_err();
    assert!(error.message().contains("divisor"), "{error}");
}

#[test]
fn versions_and_empty_files() {
    let records = read(&data("mmtf/malformed/empty.mmtf"), "mmtf");
    assert_eq!(records.unwrap_err().message(), "expected a model, found none");
    let bytes = data("mmtf/malformed/empty-mmtfVersion99999999.mmtf");
    assert_eq!(read(&bytes, "mmtf").unwrap_err().kind(), ErrorKind::Unsupported);
    let lenient = read_with(&bytes, "mmtf", |options| options.strictness = Strictness::Lenient);
    assert_eq!(lenient.unwrap_err().kind(), ErrorKind::Malformed);
    let source = Source::from_bytes("x", data("mmtf/3NJW.mmtf"));
    assert_eq!(Registry::builtin().detect(&source).winner(true).unwrap(), "mmtf");
}

/// Counts that name more than there is, however they are packed.
#[test]
fn bombs_are_errors() {
    let bytes = data("mmtf/3NJW.mmtf");
    let find = |name: &str| bytes.windows(name.len()).position(|part| part == name.as_bytes()).unwrap() + name.len();
    // The counts are two-byte integers: CC for atoms, a plain byte for groups.
    for name in ["numAtoms", "numGroups", "numChains", "numModels"] {
        let mut broken = bytes.clone();
        let at = find(name);
        let length = match broken[at] {
            0xCC => 2,
            0xCD => 3,
            _ => 1,
        };
        broken.splice(at..at + length, [0xCE, 0x7F, 0xFF, 0xFF, 0xFF]);
        let error = read(&broken, "mmtf").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Limit), "{name}: {error}");
    }
    let error = read_with(&bytes, "mmtf", |options| options.limits.alloc_bytes = 10_000).unwrap_err();
    assert_eq!(error.limit_name(), Some("alloc_bytes"));
    let error = read_with(&bytes, "mmtf", |options| options.limits.elements = 100).unwrap_err();
    assert_eq!(error.limit_name(), Some("elements"));
}
