use mediary_core::record::molecule::BondSource;
use mediary_core::{Output, Registry, Source, WriteOptions};

use super::read::fields;
use crate::testing::{codes, molecule};
use crate::torture::{data, read, read_with};

/// Counts and charges are those of MDAnalysis 2.11.0.
#[test]
fn counts_and_charges_are_those_of_mdanalysis() {
    for (name, atoms, residues, charge) in
        [("1A1P_whitespace", 205, 13, 1.0), ("3NJW", 346, 44, -1.0), ("methanol", 3, 1, 0.0)]
    {
        let records = read(&data(&format!("pqr/{name}.pqr")), "pqr").unwrap();
        let it = molecule(&records[0]);
        assert_eq!((it.atoms.len(), it.residues.len()), (atoms, residues), "{name}");
        let sum: f32 = it.atoms.partial_charges.iter().sum();
        assert!((sum - charge).abs() < 1e-3, "{name}: {sum}");
    }
    let records = read(&data("pqr/methanol.pqr"), "pqr").unwrap();
    let it = molecule(&records[0]);
    assert_eq!((&*it.atoms.radii, &*it.atoms.partial_charges), (&[1.8875, 1.535, 0.2][..], &[0.27, -0.7, 0.43][..]));
    assert_eq!(it.models[0].positions[1], [-0.1197, 0.0, -0.7372]);
    let symbols: Vec<_> = it.atoms.elements.iter().map(|element| element.symbol()).collect();
    assert_eq!(symbols, ["C", "O", "H"]);
    // Two bonds, as Open Babel 3.1.1 finds them.
    assert_eq!(
        it.bonds.iter().map(|bond| (bond.a, bond.b, bond.source)).collect::<Vec<_>>(),
        [(0, 1, BondSource::Distance), (1, 2, BondSource::Distance),]
    );
}

#[test]
fn words_and_columns() {
    let place = |line: &str| {
        let it = fields(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
        (it.serial, text(it.name), text(it.residue), text(it.chain), it.number, it.insertion, it.values)
    };
    let of = |chain: &str, number, insertion, values| {
        (Some(1), "CA".to_owned(), "ALA".to_owned(), chain.to_owned(), number, insertion, values)
    };
    let plain = [1.0, -2.5, 3.0, 0.25, 1.7];
    for (line, chain, number, insertion, values) in [
        ("ATOM 1 CA ALA A 12 1.0 -2.5 3.0 0.25 1.7", "A", 12, None, plain),
        ("ATOM 1 CA ALA 12 1.0 -2.5 3.0 0.25 1.7", "", 12, None, plain),
        ("ATOM 1 CA ALA A-12B 1.0 -2.5 3.0 0.25 1.7", "A", -12, Some('B'), plain),
        ("ATOM 1 CA ALA A 12 1.0 -2.5 3.0 0.25 1.7 C", "A", 12, None, plain),
        (
            "ATOM      1  CA  ALA A1000    -101.234-202.345-303.456  0.2500 1.7000",
            "A",
            1000,
            None,
            [-101.234, -202.345, -303.456, 0.25, 1.7],
        ),
        (
            "ATOM      1  CA  ALA A1000    -101.234-202.345-303.456 -0.2500-1.7000",
            "A",
            1000,
            None,
            [-101.234, -202.345, -303.456, -0.25, -1.7],
        ),
    ] {
        assert_eq!(place(line), of(chain, number, insertion, values), "{line}");
    }
    assert_eq!(place("HETATM100000 O HOH 1 0 0 0 -0.8 1.6").0, Some(100_000));
    for line in [
        "ATOM",
        "ATOM 1 CA ALA A 12 1.0 -2.5 3.0 0.25",
        "ATOM 1 CA ALA A x 1 2 3 4 5",
        "HETATM 1 2 3 4 5 6 7 8 9 10 11 12 13",
    ] {
        assert!(fields(line.as_bytes()).is_none(), "{line}");
    }
}

#[test]
fn chains_models_and_broken_lines() {
    let atom = |serial, chain: &str, number| format!("ATOM {serial} N ALA {chain} {number} {serial}.0 0 0 0.1 1.5\n");
    let text = format!(
        "MODEL 1\n{}TER\n{}ENDMDL\nMODEL 2\n{}ENDMDL\nEND\n",
        atom(1, "A", 1),
        atom(2, "A", 1),
        atom(3, "B", 7)
    );
    let records = read(text.as_bytes(), "pqr").unwrap();
    let counts: Vec<_> = records.iter().map(|it| (molecule(it).atoms.len(), molecule(it).chains.len())).collect();
    assert_eq!((counts, codes(&records)), (vec![(2, 2), (1, 1)], vec![]));
    let broken = atom(1, "A", 1) + "ATOM 2 N ALA A 1 0 x 0 0.1 1.5\nEND\n";
    let error = read(broken.as_bytes(), "pqr").unwrap_err();
    assert_eq!(error.location().and_then(|location| location.line), Some(2), "{error}");
    let lenient = read_with(broken.as_bytes(), "pqr", |o| o.strictness = mediary_core::Strictness::Lenient).unwrap();
    assert_eq!(codes(&lenient), ["pqr.bad-atom"]);
}

#[test]
fn what_is_written_is_read_again() {
    for name in ["1A1P_whitespace", "3NJW", "methanol"] {
        let mut records = read(&data(&format!("pqr/{name}.pqr")), "pqr").unwrap();
        let mut out = Output::memory();
        Registry::builtin().write(&mut records[0], "pqr", &mut out, &WriteOptions::default()).unwrap();
        let again = read(&out.finish().unwrap().bytes, "pqr").unwrap();
        assert_eq!(molecule(&again[0]), molecule(&records[0]), "{name}");
        assert_eq!(records[0].loss, []);
    }
    let mut pdb = read(&data("pdb/1crn.pdb"), "pdb").unwrap().remove(0);
    let error =
        Registry::builtin().write(&mut pdb, "pqr", &mut Output::memory(), &WriteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), mediary_core::ErrorKind::Unsupported);
}

#[test]
fn pdb_and_pqr_are_told_apart() {
    let winner =
        |name: &str, bytes: Vec<u8>| Registry::builtin().detect(&Source::from_bytes(name, bytes)).winner(false).ok();
    for name in ["1A1P_whitespace", "3NJW", "methanol"] {
        assert_eq!(winner("", data(&format!("pqr/{name}.pqr"))), Some("pqr"), "{name}");
    }
    for name in ["1crn", "2dej_APW", "insertion_codes"] {
        assert_eq!(winner("", data(&format!("pdb/{name}.pdb"))), Some("pdb"), "{name}");
    }
}

/// Charges and radii are held in single precision.
#[test]
fn numbers_beyond_single_precision_are_errors() {
    let row = |charge: &str, radius: &str| format!("ATOM 1 C ALA 1 0 0 0 {charge} {radius}\n");
    assert!(read(row("1e30", "1.7").as_bytes(), "pqr").is_ok());
    for text in [row("1e60", "1.7"), row("0.5", "9e99")] {
        assert!(read(text.as_bytes(), "pqr").unwrap_err().message().starts_with("expected names"));
    }
}
