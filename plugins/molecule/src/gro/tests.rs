use mediary_core::{Output, Registry, Strictness, WriteOptions};

use crate::testing::{codes, molecule};
use crate::torture::{data, read, read_with};

fn close(found: &[f64], expected: &[f64]) {
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-4), "{found:?} {expected:?}");
}

/// Values are those of MDAnalysis 2.11.0.
#[test]
fn frames_velocities_and_boxes() {
    let records = read(&data("gro/water-velocities.gro"), "gro").unwrap();
    assert_eq!((records.len(), codes(&records)), (1, vec![]));
    let it = molecule(&records[0]);
    assert_eq!((it.atoms.len(), it.residues.len(), it.models.len()), (7, 3, 2));
    assert_eq!(it.models[0].positions[0], [24.15, 24.24, 15.46]);
    assert_eq!(it.models[0].velocities[0], [2.767, -0.315, -2.947]);
    assert_eq!(it.models[1].positions[6], [20.53, 13.91, 6.66]);
    let (first, second) = (it.cell.unwrap(), it.models[1].cell.unwrap());
    close(&first.lengths, &[30.5, 31.0, 32.0]);
    close(&first.angles, &[90.0, 95.0, 110.0]);
    close(&second.lengths, &[30.6, 31.1, 32.1]);
    let symbols: Vec<_> = it.atoms.elements.iter().map(|element| element.symbol()).collect();
    assert_eq!(symbols, ["O", "H", "H", "O", "H", "H", "Na"]);
    let records = read(&data("gro/cod_4020641.gro"), "gro").unwrap();
    let it = molecule(&records[0]);
    assert_eq!((it.atoms.len(), it.residues.len()), (81, 1));
    close(&it.cell.unwrap().lengths, &[26.2553, 11.3176, 11.889_208]);
    close(&it.cell.unwrap().angles, &[90.0, 112.158_745, 90.0]);
}

fn frame(atoms: &[&str], rest: &str) -> String {
    format!("t\n{}\n{}{rest}", atoms.len(), atoms.iter().map(|line| format!("{line}\n")).collect::<String>())
}

#[test]
fn decimals_are_counted_by_the_points() {
    let atoms = ["    1SOL     OW    1  0.12345 -1.23456 10.00001", "    1SOL    HW1    2  0.00000  0.00000  0.00001"];
    let records = read(frame(&atoms, "0 0 0\n").as_bytes(), "gro").unwrap();
    let positions = &molecule(&records[0]).models[0].positions;
    assert_eq!(positions[..], [[1.2345, -12.3456, 100.0001], [0.0, 0.0, 0.0001]]);
    assert_eq!(molecule(&records[0]).cell, None);
    // Two decimals, and columns that are full.
    let records = read(frame(&["99999ABCDEFGHIJ99999-999.99   0.12  -0.10"], "1 1 1\n").as_bytes(), "gro").unwrap();
    assert_eq!(molecule(&records[0]).models[0].positions[0], [-9999.9, 1.2, -1.0]);
    let residue = &molecule(&records[0]).residues[0];
    assert_eq!((residue.name.as_str(), residue.number), ("ABCDE", Some(99_999)));
    assert_eq!(molecule(&records[0]).atoms.names[0], "FGHIJ");
    // Large boxes leave no blanks.
    let text = frame(&["    1SOL      H    1   0.000   0.000   0.000"], "40000.0000040000.0000040000.00000\n");
    assert_eq!(molecule(&read(text.as_bytes(), "gro").unwrap()[0]).cell.unwrap().lengths, [400_000.0; 3]);
}

#[test]
fn numbers_that_wrap_are_counted_on() {
    let atoms = [
        "99998SOL     OW99998   0.000   0.000   0.000",
        "99999SOL     OW99999   0.000   0.000   0.000",
        "    0SOL     OW    0   0.000   0.000   0.000",
        "    1SOL     OW    1   0.000   0.000   0.000",
    ];
    let records = read(frame(&atoms, "1 1 1\n").as_bytes(), "gro").unwrap();
    let it = molecule(&records[0]);
    let numbers: Vec<_> = it.residues.iter().filter_map(|residue| residue.number).collect();
    assert_eq!(numbers, [99_998, 99_999, 100_000, 100_001]);
    assert_eq!(it.atoms.serials, [99_998, 99_999, 100_000, 100_001]);
}

#[test]
fn deviations_and_broken_frames() {
    let atom = "    1SOL     OW    1   0.000   0.000   0.000";
    let moving = "    1SOL    HW1    2   0.000   0.000   0.000  0.1000  0.2000  0.3000";
    for (text, expected) in [
        (frame(&[atom, moving], "1 1 1\n"), "gro.velocity"),
        (frame(&[moving, atom], "1 1 1\n"), "gro.velocity"),
        (frame(&[atom], ""), "gro.no-box"),
        (String::from_utf8(data("gro/malformed/title-of-bzip2.gro")).unwrap(), "gro.no-box"),
        (frame(&[atom], "1 x 1\n"), "gro.box"),
        (frame(&[atom], "1 1 1"), "gro.no-last-newline"),
        (frame(&[atom], "1 1 1 0 0.5 0 0 0 0\n"), "gro.box-orientation"),
    ] {
        let records = read(text.as_bytes(), "gro").unwrap();
        assert_eq!(codes(&records), [expected], "{text}");
        let strict = read_with(text.as_bytes(), "gro", |options| options.strictness = Strictness::Strict);
        assert_eq!(strict.is_err(), !matches!(expected, "gro.no-last-newline" | "gro.box-orientation"), "{text}");
    }
    for (text, line) in [
        (frame(&["    1RES          1   0.000   0.000   0.000"], "1 1 1\n"), 3),
        (frame(&["", atom, atom, atom], "1 1 1\n"), 3),
        (frame(&[atom], "1 1 1\n") + "next\nno count\n", 6),
        (frame(&[atom], "1 1 1\n").replace("t\n1\n", "t\n9\n"), 4),
    ] {
        let error = read(text.as_bytes(), "gro").unwrap_err();
        assert_eq!(error.location().and_then(|location| location.line), Some(line), "{text}{error}");
    }
    assert!(read(&data("gro/malformed/truncated.gro"), "gro").unwrap_err().message().contains("before the end"));
    let lenient = read_with(&data("gro/malformed/truncated.gro"), "gro", |o| o.strictness = Strictness::Lenient);
    assert_eq!(codes(&lenient.unwrap()).first().map(String::as_str), Some("gro.cut-frame"));
}

#[test]
fn bonds_are_perceived_on_demand() {
    let water = [
        "    1SOL     OW    1   0.000   0.000   0.000",
        "    1SOL    HW1    2   0.096   0.000   0.000",
        "    1SOL    HW2    3  -0.024   0.093   0.000",
        "    2LIG     C1    4   1.000   0.000   0.000",
        "    2LIG     O1    5   1.120   0.000   0.000",
    ];
    let text = frame(&water, "3 3 3\n");
    for (choice, bonds) in [("none", 0), ("template", 2), ("all", 3)] {
        let records =
            read_with(text.as_bytes(), "gro", |o| o.options = vec![("gro.bonds".into(), choice.into())]).unwrap();
        assert_eq!(molecule(&records[0]).bonds.len(), bonds, "{choice}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for name in ["water-velocities", "cod_4020641"] {
        let mut records = read(&data(&format!("gro/{name}.gro")), "gro").unwrap();
        let mut out = Output::memory();
        Registry::builtin().write(&mut records[0], "gro", &mut out, &WriteOptions::default()).unwrap();
        let again = read(&out.finish().unwrap().bytes, "gro").unwrap();
        let (mut first, mut second) = (molecule(&records[0]).clone(), molecule(&again[0]).clone());
        for molecule in [&mut first, &mut second] {
            let cells = molecule.models.iter_mut().map(|model| &mut model.cell).chain([&mut molecule.cell]);
            for cell in cells.flatten() {
                cell.lengths.iter_mut().chain(&mut cell.angles).for_each(|value| *value = (*value * 1e3).round());
            }
        }
        assert_eq!(first, second, "{name}");
    }
}

/// An eighth of an Å takes four decimals of a nanometre.
#[test]
fn as_many_decimals_are_written_as_needed() {
    let mut record = read(b"1\n\nO 0.125 0 0\n", "xyz").unwrap().remove(0);
    for (decimals, expected) in [("auto", "0.0125"), ("3", "0.013"), ("6", "0.012500")] {
        let mut out = Output::memory();
        let mut options = WriteOptions::default();
        options.options = vec![("gro.decimals".into(), decimals.into())];
        Registry::builtin().write(&mut record, "gro", &mut out, &options).unwrap();
        let text = String::from_utf8(out.finish().unwrap().bytes).unwrap();
        assert_eq!(text.lines().nth(2).unwrap().split_whitespace().rev().nth(2), Some(expected), "{text}");
        let lost = record.loss.iter().any(|loss| loss.code == "gro.precision");
        assert_eq!(lost, decimals == "3", "{decimals}: {:?}", record.loss);
        record.loss.clear();
    }
}

/// ParmEd 4.3.1 takes a file with blanks there for no GRO.
#[test]
fn residues_without_a_name_get_one() {
    let mut record = read(b"1\n\nO 0 0 0\n", "xyz").unwrap().remove(0);
    let mut out = Output::memory();
    Registry::builtin().write(&mut record, "gro", &mut out, &WriteOptions::default()).unwrap();
    let text = String::from_utf8(out.finish().unwrap().bytes).unwrap();
    assert_eq!(text.lines().nth(2), Some("    1UNL      O    1   0.000   0.000   0.000"));
}

/// Columns are bytes: a letter of several would shift the numbers behind it.
#[test]
fn names_are_written_in_ascii() {
    let mut records = read("2\nx\nCα 0 0 0\nC 0 0 1.5\n".as_bytes(), "xyz").unwrap();
    let mut out = Output::memory();
    Registry::builtin().write(&mut records[0], "gro", &mut out, &WriteOptions::default()).unwrap();
    let again = read(&out.finish().unwrap().bytes, "gro").unwrap();
    assert_eq!(molecule(&again[0]).atoms.names, ["C?", "C"]);
    assert_eq!(molecule(&again[0]).models[0].positions[1], [0.0, 0.0, 1.5]);
    let names: u64 = records[0].loss.iter().filter(|loss| loss.code == "gro.names").map(|loss| loss.count).sum();
    assert_eq!(names, 2, "the name, and the number that the residue does not have");
}
