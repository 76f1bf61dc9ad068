use mediary_core::record::Molecule;
use mediary_core::record::molecule::BondOrder;
use mediary_core::{MediaRecord, Output, Registry, Strictness, WriteOptions};

use crate::testing::{codes, molecule, read_on};
use crate::torture::{data, read, read_with};

fn written(record: &mut MediaRecord, to: &str) -> Vec<u8> {
    let mut out = Output::memory();
    Registry::builtin().write(record, to, &mut out, &WriteOptions::default()).unwrap();
    out.finish().unwrap().bytes
}

/// Orders as RDKit 2026.09.1 counts them; the formula of imatinib is that of the drug.
#[test]
fn counts_are_those_of_rdkit() {
    let count = |it: &Molecule, order| it.bonds.iter().filter(|bond| bond.order == order).count();
    let records = read(&data("mol2/adrenalin.mol2"), "mol2").unwrap();
    let it = molecule(&records[0]);
    assert_eq!((it.atoms.len(), count(it, BondOrder::Single), count(it, BondOrder::Aromatic)), (26, 20, 6));
    assert!((it.atoms.partial_charges.iter().sum::<f32>() + 0.0001).abs() < 1e-5);
    assert_eq!((&*it.name, &*it.residues[0].name, it.residues[0].number), ("5816", "LIG1", Some(1)));
    assert_eq!(codes(&records), [""; 0]);
    let records = read(&data("mol2/chargedAmidine.mol2"), "mol2").unwrap();
    let it = molecule(&records[0]);
    let orders = [BondOrder::Single, BondOrder::Double, BondOrder::Aromatic].map(|order| count(it, order));
    // The amidine is aromatic in the file; RDKit makes a single and a double bond of it.
    assert_eq!((it.atoms.len(), orders), (22, [15, 0, 8]));
    assert!(it.atoms.partial_charges.is_empty());
    let records = read(&data("mol2/imatinib.mol2"), "mol2").unwrap();
    let facts = records[0].facts().to_json();
    assert_eq!((&facts["formula"], &facts["bonds"]), (&"C29H31N7O".into(), &72.into()));
    // MolWt of RDKit.
    assert_eq!(facts["mass"], 493.615);
    assert_eq!(codes(&records)[0], "mol2.atom-type");
    let records = read(&data("mol2/li.mol2"), "mol2").unwrap();
    let cell = molecule(&records[0]).cell.unwrap();
    assert_eq!((cell.lengths, cell.angles), ([10.0; 3], [90.0; 3]));
    assert_eq!(molecule(&records[0]).atoms.elements[0].symbol(), "Li");
}

#[test]
fn types_and_names_tell_elements() {
    for (name, kind, expected) in [
        ("CA", "C.3", "C"),
        ("CA", "Ca", "Ca"),
        ("CA", "ca", "C"),
        ("CL1", "cl", "Cl"),
        ("Cl1", "opls_135", "Cl"),
        ("BR", "br", "Br"),
        ("H1", "hc", "H"),
        ("1HB", "h1", "H"),
        ("NA", "na", "N"),
        ("X1", "Du", "X"),
        ("X1", "LP", "X"),
        ("D1", "Any", "X"),
        ("ZN", "ZN", "Zn"),
    ] {
        let text = format!("@<TRIPOS>MOLECULE\nn\n1\nSMALL\nNO_CHARGES\n@<TRIPOS>ATOM\n1 {name} 0 0 0 {kind}\n");
        let records = read(text.as_bytes(), "mol2").unwrap();
        // Sodium and nitrogen share `na`: the type is of a force field for organic molecules.
        let found = molecule(&records[0]).atoms.elements[0].symbol();
        assert!(found == expected || (kind == "na" && found == "Na"), "{name} {kind}: {found}");
    }
}

#[test]
fn molecules_comments_and_continuations() {
    let text = "# header\n\n@<TRIPOS>MOLECULE\nfirst\n2 1 2\nPROTEIN\nUSER_CHARGES\n\nof two residues\n@<TRIPOS>ATOM\n\
                7 N 0 0 0 N.am 1 \\\n ALA-5 0.25\n# between\n9 C 1.3 0 0 C.2 2 GLY7B -0.25\n@<TRIPOS>BOND\n1 7 9 am\n\
                @<TRIPOS>SUBSTRUCTURE\n1 ALA-5 7 RESIDUE 1 A ALA\n2 GLY7B 9 GROUP 1 B GLY\n@<TRIPOS>SET\nx\n\
                @<TRIPOS>MOLECULE\n****\n0 0\nSMALL\nNO_CHARGES\n";
    let records = read(text.as_bytes(), "mol2").unwrap();
    let [first, second] = &records[..] else { panic!("{}", records.len()) };
    let it = molecule(first);
    let residues: Vec<_> =
        it.residues.iter().map(|it| (it.name.as_str(), it.number, it.insertion, it.hetero, it.chain)).collect();
    assert_eq!(residues, [("ALA", Some(-5), None, false, 0), ("GLY", Some(7), Some('B'), true, 1)]);
    assert_eq!(it.chains.iter().map(|chain| chain.name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!((&*it.atoms.partial_charges, &*it.atoms.serials), (&[0.25, -0.25][..], &[7, 9][..]));
    assert_eq!((it.bonds[0].a, it.bonds[0].b, it.bonds[0].order), (0, 1, BondOrder::Single));
    assert_eq!(first.properties["comment"], "of two residues");
    assert_eq!((molecule(second).atoms.len(), &*molecule(second).name), (0, ""));
    assert_eq!(codes(&records), ["mol2.record"]);
}

#[test]
fn counts_and_numbers_must_hold() {
    let good = String::from_utf8(data("mol2/adrenalin.mol2")).unwrap();
    for (from, to, message) in [
        (" 26 26 0", " 27 26 0", "expected 27 atoms, found 26"),
        (" 26 26 0", " 26 25 0", "expected 25 bonds, found 26"),
        ("1.7394", "1.7e999", "coordinates"),
        ("     2 O  ", "     1 O  ", "another number"),
        (" 26 26 0", " x 26 0", "a number of atoms"),
    ] {
        let error = read(good.replacen(from, to, 1).as_bytes(), "mol2").unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.location().and_then(|location| location.line).is_some(), "{error}");
    }
    let error = read(good.replace("@<TRIPOS>BOND\n", "@<TRIPOS>BOND\n 0 1 99 1\n").as_bytes(), "mol2").unwrap_err();
    assert!(error.message().contains("number 99"), "{error}");
    // Lenient leaves a broken molecule out, the default reads on and ends with the error.
    let two = good.replacen(" 26 26 0", " 27 26 0", 1) + "\n" + &good;
    let records = read_with(two.as_bytes(), "mol2", |options| options.strictness = Strictness::Lenient).unwrap();
    assert_eq!((records.len(), codes(&records)), (1, vec!["mol2.bad-record".to_owned()]));
    let (records, error) = read_on(two.as_bytes(), "mol2", Strictness::Default);
    assert_eq!((records.len(), codes(&records)), (1, vec!["mol2.bad-record".to_owned()]));
    let error = error.unwrap();
    assert!(error.message().starts_with("1 of 2 records is broken: expected 27 atoms, found 26"), "{error}");
    let (records, error) = read_on(two.as_bytes(), "mol2", Strictness::Strict);
    assert!(records.is_empty() && error.unwrap().message().starts_with("expected 27 atoms"));
}

#[test]
fn what_is_written_is_read_again() {
    for name in ["adrenalin", "chargedAmidine", "imatinib", "li"] {
        let mut records = read(&data(&format!("mol2/{name}.mol2")), "mol2").unwrap();
        let again = read(&written(&mut records[0], "mol2"), "mol2").unwrap();
        let (first, mut second) = (molecule(&records[0]).clone(), molecule(&again[0]).clone());
        for (residue, known) in second.residues.iter_mut().zip(&first.residues) {
            if known.name.is_empty() {
                residue.number = known.number;
            }
        }
        second.residues.iter_mut().zip(&first.residues).for_each(|(residue, known)| {
            // A name that ends in a number is what follows the residue where no record says otherwise.
            assert_eq!(residue.name, known.name);
        });
        assert_eq!(first, second, "{name}");
        assert_eq!(records[0].properties, again[0].properties, "{name}");
    }
}

/// Types by the bonds as they are stated: alternating rings stay what they are.
#[test]
fn types_are_perceived() {
    let records = read(&data("sdf/rdkit-features.sdf"), "sdf").unwrap();
    let types = |record: &MediaRecord| super::types::perceive(molecule(record)).join(" ");
    assert_eq!(types(&records[1]), "C.3 C.2 C.2 H");
    assert_eq!(types(&records[3]), "C.2 C.2 C.2 C.2 C.2 C.2 N.pl3 O.2 O.3 H H H H H");
    let crambin = read(&data("pdb/1crn.pdb"), "pdb").unwrap();
    let types = super::types::perceive(molecule(&crambin[0]));
    // N, CA, C, O, CB, OG1, CG2 of the first residue and the N of the second.
    assert_eq!(types[..8], ["N.3", "C.3", "C.2", "O.2", "C.3", "O.3", "C.3", "N.am"]);
}
