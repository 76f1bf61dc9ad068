use mediary_core::record::molecule::{BondOrder, BondSource};
use mediary_core::{Facts, Media, MediaRecord, Output, Registry, Source, Strictness, WriteOptions};

use super::*;
use crate::testing::molecule;
use crate::torture::{data, findings, read, read_with};

fn codes(records: &[MediaRecord]) -> Vec<(String, u64)> {
    findings(records).iter().map(|finding| (finding.code.to_string(), finding.count)).collect()
}

fn atom(serial: &str, name: &str, rest: &str) -> String {
    format!("ATOM  {serial:>5} {name:<4} {rest}\n")
}

/// Atoms, residues, models as gemmi 0.7.5 counts them.
#[test]
fn counts_are_those_of_gemmi() {
    for (name, atoms, residues, models) in [
        ("1crn", 327, 46, 1),
        ("2dej_APW", 37, 4, 1),
        ("insertion_codes", 6, 2, 1),
        ("multi-models-example", 9, 4, 2),
        ("hybrid36", 13, 4, 1),
    ] {
        let records = read(&data(&format!("pdb/{name}.pdb")), "pdb").unwrap();
        assert_eq!(records.len(), 1, "{name}");
        let Facts::Molecule(facts) = records[0].facts() else { panic!("{name}") };
        let counted = (facts.atoms, facts.residues, facts.models);
        assert_eq!(counted, (Some(atoms), Some(residues), Some(models)), "{name}");
    }
}

/// The cell and the bounds are those of gemmi, 337 bonds those of Open Babel 3.1.1.
#[test]
fn crambin_is_read_whole() {
    let records = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    let molecule = molecule(&records[0]);
    let cell = molecule.cell.unwrap();
    assert_eq!((cell.lengths, cell.angles), ([40.96, 18.65, 22.52], [90.0, 90.77, 90.0]));
    assert_eq!(molecule.space_group.as_deref(), Some("P 1 21 1"));
    let x: Vec<f64> = molecule.models[0].positions.iter().map(|position| position[0]).collect();
    assert_eq!(x.iter().copied().fold(f64::INFINITY, f64::min), -3.097);
    assert_eq!(x.iter().copied().fold(f64::NEG_INFINITY, f64::max), 24.284);
    assert_eq!(molecule.bonds.len(), 337);
    // Three disulfide bridges are stated by SSBOND; every other bond is of a template.
    let stated = molecule.bonds.iter().filter(|bond| bond.source == BondSource::File).count();
    assert_eq!(stated, 3);
    assert_eq!(records[0].properties["resolution"], 1.5);
    assert_eq!(codes(&records), []);
}

#[test]
fn columns_and_residues_tell_elements() {
    let cases = [
        (" CA ", "ALA", 6),
        ("CA  ", "CA ", 20),
        ("CA  ", "ALA", 6),
        ("HG11", "VAL", 1),
        ("HG11", "LIG", 1),
        ("HG  ", "HG ", 80),
        ("1HB ", "LIG", 1),
        ("CL12", "LIG", 17),
        ("CA12", "LIG", 6),
        (" ZN ", "ZN ", 30),
        ("NA  ", "NA ", 11),
        (" NA ", "HEM", 7),
        ("FE  ", "HEM", 26),
        ("    ", "LIG", 0),
    ];
    for (name, residue, number) in cases {
        let text = atom("1", name, &format!("{residue} A   1       0.000   0.000   0.000")) + "END\n";
        let text = text.replacen(&format!("{name:<4} {residue}"), &format!("{name}_{residue}"), 1).replace('_', " ");
        let records = read(text.as_bytes(), "pdb").unwrap();
        assert_eq!(molecule(&records[0]).atoms.elements[0].number(), number, "{name:?} in {residue:?}");
        assert_eq!(codes(&records)[0], ("pdb.no-element".into(), 1));
    }
}

#[test]
fn hybrid_36_counts_as_its_reference_does() {
    // From the table of <https://cci.lbl.gov/hybrid_36/>.
    for (text, value) in [("A0000", 100_000), ("ZZZZZ", 43_770_015), ("a0000", 43_770_016), ("zzzzz", 87_440_031)] {
        assert_eq!(decode_hybrid36(text.as_bytes(), 5), Some(value));
        assert_eq!(encode_hybrid36(value, 5).as_deref(), Some(text));
    }
    for (text, value) in [("A000", 10_000), ("ZZZZ", 1_223_055), ("a000", 1_223_056), ("zzzz", 2_436_111)] {
        assert_eq!(decode_hybrid36(text.as_bytes(), 4), Some(value));
        assert_eq!(encode_hybrid36(value, 4).as_deref(), Some(text));
    }
    assert_eq!(encode_hybrid36(87_440_032, 5), None);
    assert_eq!(decode_hybrid36(b"A00a0", 5), None);
    // Written by gemmi with these numbers.
    let records = read(&data("pdb/hybrid36.pdb"), "pdb").unwrap();
    let molecule = molecule(&records[0]);
    assert_eq!(molecule.atoms.serials[..3], [99_998, 99_999, 100_000]);
    let numbers: Vec<_> = molecule.residues.iter().filter_map(|residue| residue.number).collect();
    assert_eq!(numbers, [9999, 10_000, 10_001, 14]);
    assert_eq!(molecule.atoms.formal_charges.last(), Some(&2));
}

#[test]
fn odd_numbers_are_read() {
    let line = |serial: &str, place: &str| format!("ATOM  {serial}  CA  ALA A{place}      1.000   2.000   3.000\n");
    let text = line("*****", "  -5 ") + &line("186a0", "12345") + &line("    7", "****A") + "END\n";
    let records = read(text.as_bytes(), "pdb").unwrap();
    let molecule = molecule(&records[0]);
    assert_eq!(molecule.atoms.serials, [1, 100_000, 7]);
    let places: Vec<_> = molecule.residues.iter().map(|residue| (residue.number, residue.insertion)).collect();
    assert_eq!(places, [(Some(-5), None), (Some(12_345), None), (None, Some('A'))]);
    // As gemmi 0.7.5 reads it.
    let records = read((line("    1", " 1234") + "END\n").as_bytes(), "pdb").unwrap();
    let residue = &crate::testing::molecule(&records[0]).residues[0];
    assert_eq!((residue.number, residue.insertion), (Some(123), Some('4')));
}

/// gemmi 0.7.5 finds one residue too.
#[test]
fn lines_of_one_residue_may_end_anywhere() {
    let line =
        |serial: u32| format!("ATOM  {serial:>5}  C{serial}  ALA A   1    {serial:8.3}   0.000   0.000  1.00  0.00");
    let text = format!("{}           C  \n{}\n{}      \nEND\n", line(1), line(2), line(3));
    let records = read(text.as_bytes(), "pdb").unwrap();
    assert_eq!((molecule(&records[0]).atoms.len(), molecule(&records[0]).residues.len()), (3, 1));
}

#[test]
fn repeated_connections_are_orders() {
    let mut text = String::new();
    for (serial, x) in [(1, 0.0), (2, 1.2), (3, 2.4)] {
        text +=
            &format!("HETATM{serial:>5}  C{serial}  LIG A   1    {x:8.3}   0.000   0.000  1.00  0.00           C\n");
    }
    let connected = |lines: &str| {
        let records = read((text.clone() + lines + "END\n").as_bytes(), "pdb").unwrap();
        let bonds = &molecule(&records[0]).bonds;
        (bonds.iter().map(|bond| (bond.a, bond.b, bond.order)).collect::<Vec<_>>(), codes(&records))
    };
    let (bonds, codes) = connected("CONECT    1    2    2\nCONECT    2    1    1    3\nCONECT    3    2\n");
    assert_eq!(bonds, [(0, 1, BondOrder::Double), (1, 2, BondOrder::Single)]);
    assert_eq!(codes, []);
    let (bonds, codes) = connected("CONECT    1    2\nCONECT    2    1    3   99\n");
    assert_eq!(bonds, [(0, 1, BondOrder::Unknown), (1, 2, BondOrder::Unknown)]);
    assert_eq!(codes, [("pdb.conect-atom".to_owned(), 1)]);
    // Columns touch where serials have five digits.
    let wide = text.replace("HETATM    1", "HETATM10001").replace("HETATM    2", "HETATM10002");
    let records = read((wide + "CONECT1000110002\nEND\n").as_bytes(), "pdb").unwrap();
    assert_eq!((molecule(&records[0]).bonds[0].a, molecule(&records[0]).bonds[0].b), (0, 1));
}

#[test]
fn models_of_other_atoms_are_records() {
    let line = |name: &str| {
        format!("HETATM    1  {name}   LIG A   1       1.000   2.000   3.000  1.00  0.00           {name}\n")
    };
    let text = format!(
        "MODEL        1\n{}MODEL        2\n{}ENDMDL\nMODEL        3\n{}ENDMDL\nEND\n",
        line("C"),
        line("C"),
        line("N")
    );
    let records = read(text.as_bytes(), "pdb").unwrap();
    let models: Vec<_> = records.iter().map(|record| molecule(record).models.len()).collect();
    assert_eq!(models, [2, 1]);
    assert_eq!(codes(&records), [("pdb.unclosed-model".to_owned(), 1)]);
    // Frames that are told apart by END alone.
    let records = read(format!("{0}END\n{0}END\n", line("C")).as_bytes(), "pdb").unwrap();
    assert_eq!(molecule(&records[0]).models.len(), 2);
    let records = read(format!("HEADER\n{0}END\nHEADER\n{0}END\n", line("C")).as_bytes(), "pdb").unwrap();
    assert_eq!(records.len(), 2);
}

#[test]
fn model_numbers_become_unique() {
    let atom = |_| "HETATM    1  C   LIG A   1       1.000   2.000   3.000  1.00  0.00           C\n";
    let numbers = |text: String| {
        let records = read((text + "END\n").as_bytes(), "pdb").unwrap();
        assert_eq!(records.len(), 1);
        let numbers: Vec<_> = molecule(&records[0]).models.iter().map(|model| model.number).collect();
        (numbers, codes(&records))
    };
    // Frames of VMD.
    assert_eq!(numbers([0; 4].map(atom).join("END\n")), (vec![1, 2, 3, 4], vec![]));
    let models = |stated: &[&str]| -> String {
        stated.iter().map(|number| format!("MODEL     {number:>4}\n{}ENDMDL\n", atom(0))).collect()
    };
    assert_eq!(numbers(models(&["", "", ""])), (vec![1, 2, 3], vec![]));
    assert_eq!(numbers(models(&["7", "3", "12345"])), (vec![7, 3, 12_345], vec![]));
    let found = |count| vec![("pdb.model-number".to_owned(), count)];
    assert_eq!(numbers(models(&["0", "0", "0"])), (vec![1, 2, 3], found(3)));
    assert_eq!(numbers(models(&["1", "1", "2"])), (vec![1, 2, 3], found(2)));
}

/// Thousands of records of one atom, and a record of 10 000 models, in 8 MiB each.
#[test]
fn small_records_and_models_take_little_memory() {
    let memory = |options: &mut mediary_core::ReadOptions| assert!(options.limits.set("alloc_bytes", 8 << 20));
    let line = |name: &str| {
        format!("HETATM    1  {name}   LIG A   1       1.000   2.000   3.000  1.00  0.00           {name}\nEND\n")
    };
    let records = read_with((line("C") + &line("N")).repeat(2_000).as_bytes(), "pdb", memory).unwrap();
    assert_eq!(records.len(), 4_000);
    let records = read_with(line("C").repeat(10_000).as_bytes(), "pdb", memory).unwrap();
    assert_eq!(molecule(&records[0]).models.len(), 10_000);
    let block = "data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n\
        _atom_site.Cartn_z\n1 C 0 0 0\n#\n";
    assert_eq!(read_with(block.repeat(4_000).as_bytes(), "mmcif", memory).unwrap().len(), 4_000);
}

#[test]
fn broken_lines_are_errors_with_their_place() {
    let error = read(b"ATOM      1  CA  ALA A   1       1.000   2.000   3.0\nEND\n", "pdb").unwrap_err();
    assert_eq!(error.location().and_then(|location| location.line), Some(1), "{error}");
    let text = "ATOM      1  CA  ALA A   1       1.000     nan   3.000\nEND\n";
    let error = read(text.as_bytes(), "pdb").unwrap_err();
    assert_eq!(error.location().and_then(|location| location.column), Some(39), "{error}");
    let good = "ATOM      2  CA  ALA A   1       1.000   2.000   3.000\n";
    let lenient =
        read_with((good.to_owned() + text).as_bytes(), "pdb", |o| o.strictness = Strictness::Lenient).unwrap();
    assert!(codes(&lenient).contains(&("pdb.bad-atom".into(), 1)));
    let strict = read_with(&data("pdb/malformed/short-atom.pdb"), "pdb", |o| o.strictness = Strictness::Strict);
    assert!(strict.unwrap_err().message().contains("element"));
    assert_eq!(codes(&read(&data("pdb/malformed/short-atom.pdb"), "pdb").unwrap()), [("pdb.no-element".to_owned(), 9)]);
}

#[test]
fn what_is_written_is_read_again() {
    let registry = Registry::builtin();
    for name in ["1crn", "2dej_APW", "multi-models-example", "hybrid36"] {
        let mut records = read(&data(&format!("pdb/{name}.pdb")), "pdb").unwrap();
        let mut out = Output::memory();
        registry.write(&mut records[0], "pdb", &mut out, &WriteOptions::default()).unwrap();
        let bytes = out.finish().unwrap().bytes;
        let again = read(&bytes, "pdb").unwrap();
        assert_eq!(codes(&again), [], "{name}");
        let (mut first, mut second) = (molecule(&records[0]).clone(), molecule(&again[0]).clone());
        if first.name.is_empty() {
            second.name.clear();
        }
        // An order that is stated once is a bond without one.
        for bond in first.bonds.iter_mut().chain(&mut second.bonds).filter(|bond| bond.source == BondSource::File) {
            bond.order = BondOrder::Unknown;
        }
        for molecule in [&mut first, &mut second] {
            molecule.bonds.iter_mut().for_each(|bond| bond.source = BondSource::File);
            molecule.space_group.take_if(|group| group == "P 1");
        }
        if name != "2dej_APW" {
            assert_eq!(first.bonds.len(), second.bonds.len(), "{name}");
            (first.bonds, second.bonds) = Default::default();
        }
        assert_eq!(first.bonds.len(), second.bonds.len(), "{name}");
        (first.bonds, second.bonds) = Default::default();
        assert_eq!(first, second, "{name}");
        let mut out = Output::memory();
        registry.write(&mut records[0], "pdb", &mut out, &WriteOptions::default()).unwrap();
        assert_eq!(bytes, out.finish().unwrap().bytes);
    }
}

#[test]
fn two_records_are_two_entries() {
    let mut records = read(&data("pdb/2dej_APW.pdb"), "pdb").unwrap();
    let mut out = Output::memory();
    for _ in 0..2 {
        Registry::builtin().write(&mut records[0], "pdb", &mut out, &WriteOptions::default()).unwrap();
    }
    let again = read(&out.finish().unwrap().bytes, "pdb").unwrap();
    assert_eq!(again.iter().map(|record| molecule(record).atoms.len()).collect::<Vec<_>>(), [37, 37]);
}

#[test]
fn too_long_for_the_columns_is_refused() {
    let mut records = read(&data("pdb/2dej_APW.pdb"), "pdb").unwrap();
    let Media::Molecule(molecule) = &mut records[0].media else { panic!() };
    molecule.chains[0].name = "LONG".into();
    let mut out = Output::memory();
    let error = Registry::builtin().write(&mut records[0], "pdb", &mut out, &WriteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), mediary_core::ErrorKind::Unsupported);
}

#[test]
fn only_its_own_files_are_recognised() {
    let registry = Registry::builtin();
    let winner = |bytes: Vec<u8>| registry.detect(&Source::from_bytes("", bytes)).winner(false).ok();
    for name in ["1crn", "2dej_APW", "insertion_codes", "multi-models-example", "malformed/short-atom"] {
        assert_eq!(winner(data(&format!("pdb/{name}.pdb"))), Some("pdb"), "{name}");
    }
    for name in ["uracil", "extended"] {
        assert_eq!(winner(data(&format!("xyz/{name}.xyz"))), Some("xyz"), "{name}");
    }
    let mmcif = b"data_X\nloop_\n_atom_site.group_PDB\n_atom_site.id\nATOM 1 N N . THR A 1 1 ? 17.047 14.099 3.625\n";
    assert_eq!(winner(mmcif.to_vec()).filter(|&id| id == "pdb"), None);
    assert_eq!(winner(b"END\n".to_vec()), None);
    // One bad coordinate is the reader's to report, with its line.
    for bad in ["   0.000  abcdef   0.000", "     nan     inf   0.000"] {
        let text = format!("ATOM      1  CA  ALA A   1    {bad}  1.00 10.00           C  \n");
        assert_eq!(winner(text.into_bytes()), Some("pdb"), "{bad}");
    }
    for bad in ["2\nc\nO 0 0 0\nH 1e400 0 0\n", "2\nc\nO 0 0 0\nH 0 0 inf\n"] {
        assert_eq!(winner(bad.into()), Some("xyz"), "{bad}");
    }
    assert_eq!(winner(b"1\nwords\nI am 5\n".to_vec()), None);
}

#[test]
fn ligands_are_neither_water_nor_of_the_sequence() {
    let row = |serial: &str, name: &str, number: &str| {
        let text = atom(serial, " C  ", &format!("{name} A{number:>4}       0.000   {serial}.000   0.000")) + "";
        text.replacen("ATOM  ", "HETATM", 1)
    };
    let rows = [("1", "MSE", "1"), ("2", "HEM", "2"), ("3", "HOH", "3"), ("4", "HEM", "4")];
    let rows: String = rows.iter().map(|(serial, name, number)| row(serial, name, number)).collect();
    let text = format!("SEQRES   1 A    1  MSE\n{rows}END\n");
    let records = read(text.as_bytes(), "pdb").unwrap();
    assert_eq!(records[0].properties["ligands"], serde_json::json!({"HEM": 2}));
    assert_eq!(records[0].properties["sequences"], serde_json::json!({"A": "MSE"}));
}

fn written(record: &mut MediaRecord) -> mediary_core::Result<Vec<u8>> {
    let mut out = Output::memory();
    Registry::builtin().write(record, "pdb", &mut out, &WriteOptions::default())?;
    Ok(out.finish()?.bytes)
}

/// Columns are bytes: a letter of several would shift the numbers behind it.
#[test]
fn texts_are_written_in_ascii() {
    let mut records = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    let Media::Molecule(it) = &mut records[0].media else { panic!() };
    it.atoms.names[0] = "Cα".into();
    it.atoms.altlocs = vec!['\0'; it.atoms.len()];
    it.atoms.altlocs[1] = 'ü';
    it.residues[0].name = "Ωmg".into();
    it.residues[1].insertion = Some('é');
    it.residues[2].segment = "sægment".into();
    it.chains[0].name = "β".into();
    it.secondary[0].id = "ħ".into();
    it.space_group = Some("P\u{a0}1 2₁ 1".into());
    for (name, text) in [("title", "a naïve title"), ("classification", "αβ"), ("id", "1çrn")] {
        records[0].properties.insert(name.into(), text.into());
    }
    let bytes = written(&mut records[0]).unwrap();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() == 80 && line.is_ascii(), "{}", String::from_utf8_lossy(line));
    }
    let again = read(&bytes, "pdb").unwrap();
    let (first, second) = (molecule(&records[0]), molecule(&again[0]));
    assert_eq!(first.models, second.models);
    assert_eq!((&*second.atoms.names[0], second.atoms.altlocs[1]), ("C?", '?'));
    assert_eq!((&*second.residues[0].name, second.residues[1].insertion), ("?mg", Some('?')));
    assert_eq!((&*second.residues[2].segment, &*second.chains[0].name), ("s?gm", "?"));
    assert_eq!((&*second.secondary[0].id, second.space_group.as_deref()), ("?", Some("P_1 2? 1")));
    assert_eq!(again[0].properties["title"], "a na?ve title");
    let lost = records[0].loss.iter().find(|loss| loss.code == "pdb.names").unwrap();
    // One atom, one location, segments of six atoms, the chain of all and of the ends of ten stretches among them.
    assert!(lost.count > 327, "{lost:?}");
    assert!(!records[0].loss.iter().any(|loss| loss.code == "pdb.precision"), "{:?}", records[0].loss);
}

#[test]
fn what_a_reader_refuses_is_not_written() {
    let mut record = read(b"0\nnothing\n", "xyz").unwrap().remove(0);
    for to in ["pdb", "mmcif", "bcif", "pqr"] {
        let mut out = Output::memory();
        let error = Registry::builtin().write(&mut record, to, &mut out, &WriteOptions::default()).unwrap_err();
        assert_eq!(error.kind(), mediary_core::ErrorKind::Unsupported, "{to}: {error}");
        assert!(error.hint().is_some(), "{to}: {error}");
    }
    for to in ["sdf", "mol", "mol2", "gro", "xyz"] {
        let mut out = Output::memory();
        Registry::builtin().write(&mut record, to, &mut out, &WriteOptions::default()).unwrap();
        assert_eq!(read(&out.finish().unwrap().bytes, to).unwrap().len(), 1, "{to}");
    }
}

#[test]
fn a_cell_fits_its_columns_or_is_refused() {
    let mut records = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    let lost = |record: &MediaRecord| -> Vec<String> {
        let codes = record.loss.iter().map(|loss| loss.code.to_string());
        codes.filter(|code| ["pdb.precision", "pdb.cell"].contains(&code.as_str())).collect()
    };
    let mut cell = |lengths: [f64; 3]| {
        let Media::Molecule(it) = &mut records[0].media else { panic!() };
        it.cell.as_mut().unwrap().lengths = lengths;
        records[0].loss.clear();
        let found = written(&mut records[0]).map(|bytes| molecule(&read(&bytes, "pdb").unwrap()[0]).cell);
        (found, lost(&records[0]))
    };
    let (found, lost) = cell([1_234_567.891, 40.0, 30.12345]);
    assert_eq!(found.unwrap().unwrap().lengths, [1_234_567.9, 40.0, 30.123]);
    assert_eq!(lost, ["pdb.precision"]);
    for edge in [1e10, f64::NAN] {
        assert_eq!(cell([edge, 10.0, 1.0]).0.unwrap_err().kind(), mediary_core::ErrorKind::Unsupported);
    }
    let (found, lost) = cell([1.0; 3]);
    assert_eq!((found.unwrap(), lost), (None, vec!["pdb.cell".to_owned()]));
}

#[test]
fn numbers_beyond_single_precision_are_none() {
    for (path, format, expected) in [
        ("pdb/malformed/beyond-single.pdb", "pdb", [[1.0, 1.0], [10.0, 0.0]]),
        ("mmcif/malformed/beyond-single.cif", "mmcif", [[1.0, 1.0], [10.0, 0.0]]),
        ("cif/malformed/beyond-single.cif", "cif", [[1.0, 1.0], [3.947_841_6, 0.0]]),
    ] {
        let records = read(&data(path), format).unwrap();
        let atoms = &molecule(&records[0]).atoms;
        assert_eq!([&atoms.occupancies[..], &atoms.b_factors[..]], expected, "{path}");
        let found = codes(&records);
        assert!(found.contains(&(format!("{format}.bad-number"), 2)), "{path}: {found:?}");
    }
}
