use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondStereo, Chain, Element, Model, Residue};
use mediary_core::{Media, MediaRecord, Output, Registry, Source, Strictness, WriteOptions};
use serde_json::json;

use crate::testing::{codes, molecule, read_on};
use crate::torture::{data, read, read_with};

/// Entries of a column that are not 0.
fn sparse<T: Copy + Into<i64>>(column: &[T]) -> Vec<(usize, i64)> {
    column.iter().map(|&value| value.into()).enumerate().filter(|(_, value)| *value != 0).collect()
}

fn written(record: &mut MediaRecord, to: &str, options: &[(&str, &str)]) -> String {
    let mut chosen = WriteOptions::default();
    chosen.options = options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut out = Output::memory();
    Registry::builtin().write(record, to, &mut out, &chosen).unwrap();
    String::from_utf8(out.finish().unwrap().bytes).unwrap()
}

/// Atoms, bonds and charges as RDKit 2026.09.1 reads them without sanitising.
#[test]
fn counts_and_charges_are_those_of_rdkit() {
    let records = read(&data("sdf/NCI_aids_few.sdf"), "sdf").unwrap();
    let counts: Vec<_> = records.iter().map(|it| (molecule(it).atoms.len(), molecule(it).bonds.len())).collect();
    let expected = [
        (19, 20),
        (39, 44),
        (21, 24),
        (24, 25),
        (10, 9),
        (16, 16),
        (10, 10),
        (18, 19),
        (26, 27),
        (20, 21),
        (13, 12),
        (22, 23),
        (20, 21),
        (42, 43),
        (12, 13),
        (12, 12),
    ];
    assert_eq!(counts, expected);
    let charged = &molecule(&records[8]).atoms.formal_charges;
    assert_eq!(sparse(charged), [(8, 1), (11, 1), (15, -1), (18, -1), (20, 1), (21, 1), (23, -1), (25, -1)]);
    let doubles = molecule(&records[8]).bonds.iter().filter(|bond| bond.order == BondOrder::Double).count();
    assert_eq!(doubles, 10);
    assert_eq!(records[0].key, "48");
    let names: Vec<_> = records[0].properties.keys().take(4).map(String::as_str).collect();
    assert_eq!(names[names.len() - 3..], ["NSC", "CAS_RN", "NCI_AIDS_Antiviral_Screen_IC50"]);
}

/// Written by RDKit from SMILES that state what is asked here.
#[test]
fn charges_isotopes_radicals_stereo_and_fields() {
    let records = read(&data("sdf/rdkit-features.sdf"), "sdf").unwrap();
    let [alanine, labelled, radical, nitro, threonine] = &records[..] else { panic!("{}", records.len()) };
    assert_eq!(molecule(alanine).name, "L-alanine zwitterion");
    assert_eq!(sparse(&molecule(alanine).atoms.formal_charges), [(0, 1), (5, -1)]);
    assert_eq!(molecule(alanine).bonds[1].stereo, BondStereo::Down);
    assert_eq!(alanine.properties["ID"], "007");
    assert_eq!(alanine.properties["note"], "two\nlines > 1");
    assert_eq!(alanine.properties["empty"], "");
    assert_eq!(sparse(&molecule(labelled).atoms.isotopes), [(0, 13), (3, 2)]);
    assert_eq!(labelled.properties["ID"], json!(["8", "9"]));
    assert_eq!(sparse(&molecule(radical).atoms.radicals), [(1, 2)]);
    let facts = nitro.facts().to_json();
    assert_eq!((&facts["atoms"], &facts["formula"], &facts["dimensions"]), (&14.into(), &"C6H5NO2".into(), &3.into()));
    let wedges = molecule(threonine).bonds.iter().filter(|bond| bond.stereo != BondStereo::None).count();
    assert_eq!((molecule(threonine).atoms.len(), molecule(threonine).bonds.len(), wedges), (8, 7, 2));
    assert_eq!(threonine.properties["name with blanks"], "yes");
    // A valence has no place in the record and is kept.
    assert_eq!(codes(&records), ["sdf.attributes"]);
    assert_eq!(radical.properties["molfile"]["atom_attributes"], json!({"2": "VAL=3"}));
}

#[test]
fn query_atoms_aliases_and_lists_are_kept_as_text() {
    let records = read(&data("mol/list-query.mol"), "mol").unwrap();
    assert_eq!(molecule(&records[0]).atoms.types[5], "[C,N,P]");
    assert_eq!(molecule(&records[0]).atoms.elements[5], Element::UNKNOWN);
    assert_eq!(codes(&records), ["mol.query-atom"]);
    let old = String::from_utf8(data("mol/list-query.mol")).unwrap().replace("M  ALS   6  3 F C   N   P   \n", "");
    assert_eq!(molecule(&read(old.as_bytes(), "mol").unwrap()[0]).atoms.types[5], "[C,N,P]");
    let records = read(&data("mol/box.mol"), "mol").unwrap();
    assert_eq!(molecule(&records[0]).atoms.names[4..], ["Xa", "Xa", "Xa", "Xa"]);
    let records = read(&data("mol/benzene_radical.mol"), "mol").unwrap();
    assert_eq!(sparse(&molecule(&records[0]).atoms.radicals), [(5, 2)]);
}

fn v2000(atoms: &str, bonds: &str, rest: &str) -> Vec<u8> {
    let counts = format!("{:3}{:3}", atoms.lines().count(), bonds.lines().count());
    format!("name\n\n\n{counts}  0  0  0  0            999 V2000\n{atoms}{bonds}{rest}").into_bytes()
}

const TWO: &str =
    "    0.0000    0.0000    0.0000 C   0  5  0  0  0  0  0  0  0  7  0  0\n    1.5000    0.0000    0.0000 Cl  2  3\n";

/// The tables of the specification: charge codes, mass differences, and what the lines behind them replace.
#[test]
fn properties_replace_what_atom_lines_state() {
    let one = |rest: &str| {
        let records = read(&v2000(TWO, "  1  2  1  1\n", rest), "mol").unwrap();
        assert_eq!(codes(&records), [""; 0], "{rest}");
        molecule(&records[0]).clone()
    };
    let plain = one("M  END\n");
    assert_eq!(plain.atoms.formal_charges, [-1, 1]);
    assert_eq!(plain.atoms.isotopes, [0, 37]);
    assert_eq!(plain.atoms.map_numbers, [7, 0]);
    assert_eq!(plain.bonds[0].stereo, BondStereo::Up);
    let charged = one("M  CHG  1   2   2\nM  END\n");
    assert_eq!(charged.atoms.formal_charges, [0, 2]);
    assert_eq!(charged.atoms.isotopes, [0, 37]);
    let radical = one("M  RAD  1   1   3\nM  ISO  1   1  14\nM  END\n");
    assert!(radical.atoms.formal_charges.is_empty());
    assert_eq!((&*radical.atoms.radicals, &*radical.atoms.isotopes), (&[3, 0][..], &[14, 0][..]));
}

#[test]
fn deviations_are_repaired_with_a_finding() {
    let atoms = "0.0 0.0 0.0 C 0 0\n1.5 0 0 O\n";
    for (bytes, expected) in [
        (v2000(atoms, "1 2 2\n", "M  END\n"), &["sdf.columns"][..]),
        (v2000(TWO, "", ""), &["sdf.no-m-end"]),
        (v2000(TWO, "", "$$$$\n"), &["sdf.no-m-end"]),
        (v2000(TWO, "  1  1  1\n", "M  END\n$$$$\n"), &["sdf.bond-to-itself"]),
        (v2000(TWO, "  1  2  8\n", "M  END\n$$$$\n"), &["sdf.query-bond"]),
        (v2000(TWO, "", "M  END\n> <a>\nb\n"), &["sdf.no-end"]),
        (v2000(TWO, "", "M  END\n> <a>\nb\n> <c>\nd\n\n$$$$\n"), &["sdf.no-blank-line"]),
        (v2000(TWO, "", "M  END\n> <a>\nb\n\nc\n\n$$$$\n"), &["sdf.stray-line"]),
        ([&b"\n$$$$\n"[..], &v2000(TWO, "", "M  END\n$$$$\n")].concat(), &["sdf.empty-record"]),
        (v2000(TWO, "", "M  CHG  2   1   1\nM  END\n"), &["sdf.pair-count"]),
        (v2000(TWO, "", "M  CHG  1   3   1\nM  END\n"), &["sdf.stray-line"]),
    ] {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let records = read(&bytes, "sdf").unwrap();
        assert_eq!(codes(&records), expected, "{text}");
        let strict = read_with(&bytes, "sdf", |options| options.strictness = Strictness::Strict);
        let noted = ["sdf.query-bond", "sdf.no-blank-line"];
        assert_eq!(strict.is_ok(), expected.iter().all(|code| noted.contains(code)), "{text}");
    }
    let text = v2000(TWO, "", "M  END\n> <a>\nb\n\nc\n\n> <d>\n\n\n$$$$\n");
    let records = read(&text, "sdf").unwrap();
    assert_eq!((&records[0].properties["a"], &records[0].properties["d"]), (&"b\n\nc".into(), &"".into()));
}

#[test]
fn broken_records_are_errors_with_their_place() {
    let wrong = |bytes: &[u8]| {
        let error = read(bytes, "sdf").unwrap_err();
        (error.location().and_then(|location| location.line), error.message().to_owned())
    };
    let (line, message) = wrong(&v2000(TWO, "  1  9  1\n", "M  END\n"));
    assert_eq!((line, &*message), (Some(7), "expected an atom from 1 to 2, found 9"));
    let (line, message) = wrong(&v2000(&TWO.replace("1.5000", "  nan "), "", "M  END\n"));
    assert_eq!(line, Some(6), "{message}");
    let (line, message) = wrong(b"a\nb\nc\n  2  0  0     0  0            999 V2000\nM  END\n");
    assert_eq!((line, &*message), (Some(5), "expected 2 atoms, found 0"));
    let no_version = read(&data("sdf/malformed/bad-header.sdf"), "sdf").unwrap();
    assert_eq!(codes(&no_version), ["sdf.no-version"]);
    for name in ["bad-atom-line", "count-line-not-numbers"] {
        let error = read(&data(&format!("sdf/malformed/{name}.sdf")), "sdf").unwrap_err();
        assert!(error.location().and_then(|location| location.line).is_some(), "{error}");
    }
    // Lenient leaves the broken record out.
    let broken = [&b"x\n\n\nno counts\n$$$$\n"[..], &v2000(TWO, "", "M  END\n$$$$\n")].concat();
    let records = read_with(&broken, "sdf", |options| options.strictness = Strictness::Lenient).unwrap();
    assert_eq!((records.len(), codes(&records)), (1, vec!["sdf.bad-record".to_owned()]));
    // The default reads on, whatever is broken, and ends with the error.
    let good = v2000(TWO, "", "M  END\n$$$$\n");
    let short = b"short\n$$$$\n".to_vec();
    let file = [&short[..], &good, &broken, &short, &good, &broken[..14]].concat();
    let (records, error) = read_on(&file, "sdf", Strictness::Default);
    assert_eq!((records.len(), codes(&records)), (3, vec!["sdf.bad-record".to_owned(); 3]));
    let counts: Vec<_> = records.iter().map(|record| record.diagnostics.to_vec()[0].count).collect();
    assert_eq!(counts, [1, 1, 1]);
    let error = error.unwrap();
    assert!(error.message().starts_with("4 of 7 records are broken, the first: expected counts"), "{error}");
    assert_eq!(error.location().and_then(|location| location.line), Some(4));
    // Lenient knows at the last record what is broken behind it.
    let (records, error) = read_on(&file, "sdf", Strictness::Lenient);
    assert_eq!((records.len(), error.is_none()), (3, true));
    let found: Vec<u64> =
        records.iter().map(|record| record.diagnostics.to_vec().iter().map(|it| it.count).sum()).collect();
    assert_eq!(found, [2, 1, 1]);
    let (records, error) = read_on(&file, "sdf", Strictness::Strict);
    assert!(records.is_empty() && error.unwrap().message().starts_with("expected counts"));
    // More is announced than a file of this size can hold.
    let bomb = b"x\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 4000000000 0 0 0 0\n";
    assert!(read(bomb, "sdf").is_err());
    let bomb = b"x\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 1000000 0 0 0 0\n";
    assert!(wrong(bomb).1.contains("bytes left"));
}

fn v3000(atoms: &[&str], bonds: &[&str], blocks: &[&str]) -> Vec<u8> {
    let mut lines = vec!["BEGIN CTAB".to_owned(), format!("COUNTS {} {} 0 0 1", atoms.len(), bonds.len())];
    let blocks = ["BEGIN ATOM"]
        .iter()
        .chain(atoms)
        .chain(&["END ATOM", "BEGIN BOND"])
        .chain(bonds)
        .chain(&["END BOND"])
        .chain(blocks);
    lines.extend(blocks.map(|line| (*line).to_owned()));
    lines.push("END CTAB".into());
    let lines: String = lines.iter().map(|line| format!("M  V30 {line}\n")).collect();
    format!("n\n\n\n  0  0  0     0  0            999 V3000\n{lines}M  END\n").into_bytes()
}

#[test]
fn words_of_v3000() {
    let atoms = [
        "10 C 0 0 0 3 CHG=-1 MASS=13 VAL=2",
        "20 \"NOT [C, N]\" 1.5 0 -1e-3 0",
        "30 [O,S] 2 0 0 0 RAD=-\nM  V30 2",
        "40 R# 3 0 0 0 RGROUPS=(1 2)",
    ];
    let bytes = v3000(
        &atoms,
        &["1 9 10 20 CFG=1", "2 4 20 30", "3 2 30 40 CFG=2 ENDPTS=(2 10 20) ATTACH=ANY"],
        &["BEGIN COLLECTION", "MDLV30/STEABS ATOMS=(1 10)", "END COLLECTION"],
    );
    let mut records = read(&bytes, "mol").unwrap();
    let it = molecule(&records[0]);
    assert_eq!(it.atoms.serials, [10, 20, 30, 40]);
    assert_eq!(it.atoms.types, ["", "NOT [C, N]", "[O,S]", "R2"]);
    assert_eq!(
        (it.atoms.formal_charges[0], it.atoms.isotopes[0], it.atoms.map_numbers[0], it.atoms.radicals[2]),
        (-1, 13, 3, 2)
    );
    let orders: Vec<_> = it.bonds.iter().map(|bond| (bond.a, bond.b, bond.order, bond.stereo, bond.aromatic)).collect();
    assert_eq!(
        orders,
        [
            (0, 1, BondOrder::Dative, BondStereo::Up, false),
            (1, 2, BondOrder::Aromatic, BondStereo::None, true),
            (2, 3, BondOrder::Double, BondStereo::Either, false),
        ]
    );
    let extras = json!({
        "chiral": true,
        "atom_attributes": {"1": "VAL=2"},
        "bond_attributes": {"3": "ENDPTS=(2 10 20) ATTACH=ANY"},
        "lines": ["BEGIN COLLECTION", "MDLV30/STEABS ATOMS=(1 10)", "END COLLECTION"],
    });
    assert_eq!(records[0].properties["molfile"], extras);
    // All of it is written again.
    let text = written(&mut records[0], "mol", &[]);
    let again = read(text.as_bytes(), "mol").unwrap();
    assert_eq!((&again[0].media.facts(), molecule(&again[0])), (&records[0].media.facts(), molecule(&records[0])));
    let mut extras = extras;
    extras["dimensions"] = "3D".into();
    assert_eq!(again[0].properties["molfile"], extras);
}

#[test]
fn v2000_holds_what_it_can() {
    let carbon = Element::from_symbol("C").unwrap();
    let chain = |count: usize| {
        let position = |index: usize| [index as f64 * 1.5, 0.25, 0.0];
        MediaRecord::new(Molecule {
            atoms: Atoms {
                elements: vec![carbon; count],
                names: vec!["".into(); count],
                residues: vec![0; count],
                ..Atoms::default()
            },
            residues: vec![Residue::default()],
            chains: vec![Chain::default()],
            bonds: (1..count as u32)
                .map(|b| Bond { a: b - 1, b, order: BondOrder::Single, ..Bond::default() })
                .collect(),
            models: vec![Model { positions: (0..count).map(position).collect(), ..Model::default() }],
            ..Molecule::default()
        })
    };
    for (count, version) in [(1, "V2000"), (999, "V2000"), (1000, "V3000")] {
        let mut record = chain(count);
        let text = written(&mut record, "sdf", &[]);
        assert!(text.lines().nth(3).unwrap().ends_with(version), "{count}");
        let again = read(text.as_bytes(), "sdf").unwrap();
        assert_eq!(molecule(&again[0]).bonds, molecule(&record).bonds);
        assert_eq!(molecule(&again[0]).models[0].positions, molecule(&record).models[0].positions);
        assert!(written(&mut record, "sdf", &[("sdf.version", "v3000")]).contains("V3000\n"));
    }
    let mut options = WriteOptions::default();
    options.options = vec![("mol.version".into(), "v2000".into())];
    let error = Registry::builtin().write(&mut chain(1000), "mol", &mut Output::memory(), &options).unwrap_err();
    assert!(error.message().contains("999 atoms"), "{error}");
}

#[test]
fn what_is_written_is_read_again() {
    for (file, format) in [
        ("sdf/rdkit-features.sdf", "sdf"),
        ("sdf/NCI_aids_few.sdf", "sdf"),
        ("sdf/TYR.v3000.sdf", "sdf"),
        ("mol/list-query.mol", "mol"),
        ("mol/box.mol", "mol"),
        ("mol/benzene_radical.mol", "mol"),
    ] {
        for mut record in read(&data(file), format).unwrap() {
            for version in ["auto", "v3000"] {
                let mut out = Output::memory();
                let mut options = WriteOptions::default();
                options.options = vec![(format!("{format}.version"), version.into())];
                Registry::builtin().write(&mut record, format, &mut out, &options).unwrap();
                let again = read(&out.finish().unwrap().bytes, format).unwrap().remove(0);
                let (mut first, mut second) = (molecule(&record).clone(), molecule(&again).clone());
                if version == "v3000" {
                    (first.atoms.names, second.atoms.names) = Default::default();
                }
                // V2000 has four decimals.
                for (p, q) in first.models[0].positions.iter().zip(&second.models[0].positions) {
                    assert!(p.iter().zip(q).all(|(p, q)| (p - q).abs() <= 5.1e-5), "{file} {version}: {p:?} {q:?}");
                }
                (first.models, second.models) = Default::default();
                assert_eq!(first, second, "{file} {version}");
                let fields = |record: &MediaRecord| {
                    let mut fields = record.properties.clone();
                    fields.remove("molfile");
                    fields
                };
                assert_eq!(fields(&record), fields(&again), "{file}");
            }
        }
    }
}

#[test]
fn a_lone_molfile_and_a_delimited_one_are_told_apart() {
    let winner =
        |name: &str, bytes: Vec<u8>| Registry::builtin().detect(&Source::from_bytes(name, bytes)).winner(false).ok();
    let alone = v2000(TWO, "  1  2  1\n", "M  END\n");
    assert_eq!(winner("", alone.clone()), Some("mol"));
    assert_eq!(winner("x.sdf", alone.clone()), Some("sdf"));
    assert_eq!(winner("x.mol", [&*alone, b"$$$$\n"].concat()), Some("sdf"));
    assert_eq!(winner("", data("sdf/malformed/bad-header.sdf")), Some("sdf"));
    assert_eq!(winner("", b"one\ntwo\nthree\n  1  2 words\n".to_vec()), None);
}

/// A quote inside of quotes is doubled; `NOT` without a list is a symbol; a hyphen at the end of a line continues it.
#[test]
fn words_are_quoted_and_continued() {
    let mut records = read(&data("mol/malformed/quoted-symbol.mol"), "mol").unwrap();
    let types = |records: &[MediaRecord]| molecule(&records[0]).atoms.types.clone();
    assert_eq!(types(&records), ["H \"", "NOT"]);
    assert_eq!(records[0].properties["molfile"]["bond_attributes"], json!({"1": "KEY=a-"}));
    let again = read(written(&mut records[0], "mol", &[]).as_bytes(), "mol").unwrap();
    assert_eq!(types(&again), types(&records));
    assert_eq!(again[0].properties["molfile"], records[0].properties["molfile"]);
    for symbol in ["[C,N]", "NOT [C,N]", "NOT[C,N]", "(", "a]b", "\"", "\"\"", "a\tb", "R#", "X"] {
        let Media::Molecule(it) = &mut records[0].media else { panic!() };
        it.atoms.types[0] = symbol.into();
        let text = written(&mut records[0], "mol", &[("mol.version", "v3000")]);
        assert_eq!(types(&read(text.as_bytes(), "mol").unwrap())[0], symbol, "{text}");
        assert_eq!(
            text.contains(&format!(" 1 {symbol} 0 0 0 0")),
            !symbol.contains(['"', '(', ' ', '\t']) && symbol != "a]b"
        );
    }
}
