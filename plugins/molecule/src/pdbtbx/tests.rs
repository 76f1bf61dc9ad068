use mediary_core::record::molecule::BondOrder;
use mediary_core::{Context, MediaRecord, Strictness};

use super::{from_pdbtbx, to_pdbtbx};
use crate::testing::{codes, molecule};
use crate::torture::{data, read, read_with};

fn strict(bytes: &[u8], format: &str) -> Vec<MediaRecord> {
    read_with(bytes, format, |options| options.strictness = Strictness::Strict).unwrap()
}

/// Counts are pdbtbx's own; crambin has 327 atoms in 46 residues (gemmi 0.7.5).
#[test]
fn molecules_go_there_and_come_back() {
    for (path, format) in [("pdb/1crn.pdb", "pdb"), ("pdb/insertion_codes.pdb", "pdb"), ("mmcif/1crn.mmcif", "mmcif")] {
        let records = read(&data(path), format).unwrap();
        let it = molecule(&records[0]);
        let cx = Context::new("test");
        let pdb = to_pdbtbx(it, &cx).unwrap();
        assert_eq!(
            (pdb.model_count(), pdb.atom_count(), pdb.residue_count()),
            (1, it.atoms.len(), it.residues.len()),
            "{path}"
        );
        assert_eq!(pdb.bonds().count() as u64 + lost(&cx, "test.bonds"), it.bonds.len() as u64);
        let back = from_pdbtbx(&pdb, &cx).unwrap();
        back.validate().unwrap();
        assert_eq!((&back.atoms.names, &back.atoms.elements), (&it.atoms.names, &it.atoms.elements), "{path}");
        assert_eq!(back.models[0].positions[..], it.models[0].positions[..]);
        assert_eq!((back.cell, &back.atoms.b_factors), (it.cell, &it.atoms.b_factors));
        let residues = |it: &mediary_core::record::Molecule| {
            it.residues.iter().map(|it| (it.name.clone(), it.number, it.insertion, it.hetero)).collect::<Vec<_>>()
        };
        assert_eq!(residues(&back), residues(it));
        assert_eq!(back.bonds.len(), pdb.bonds().count());
        assert!(back.bonds.iter().all(|bond| bond.order == BondOrder::Unknown));
        let multiple = it.bonds.iter().filter(|bond| bond.order > BondOrder::Single).count();
        assert_eq!(lost(&cx, "test.bond-order"), multiple as u64);
    }
}

fn lost(cx: &Context, code: &str) -> u64 {
    cx.losses().to_vec().iter().filter(|loss| loss.code == code).map(|loss| loss.count).sum()
}

/// pdbtbx copies atoms without a label into each conformer: they come back once.
#[test]
fn alternate_locations_come_back_once() {
    let row = |serial: u32, name: &str, label: &str, x: f64| {
        format!("ATOM  {serial:5}  {name:<3}{label}ALA A   1    {x:8.3}   0.000   0.000  0.50 10.00           C  \n")
    };
    let text =
        [row(1, "C", " ", 0.0), row(2, "CA", "A", 1.5), row(3, "CA", "B", 1.6), row(4, "CB", " ", 3.0), "END\n".into()]
            .concat();
    let records = read(text.as_bytes(), "pdb").unwrap();
    let cx = Context::new("test");
    let own = ::pdbtbx::ReadOptions::new()
        .set_format(::pdbtbx::Format::Pdb)
        .read_raw(std::io::BufReader::new(text.as_bytes()))
        .unwrap()
        .0;
    for pdb in [to_pdbtbx(molecule(&records[0]), &cx).unwrap(), own] {
        let back = from_pdbtbx(&pdb, &cx).unwrap();
        assert_eq!(back.atoms.altlocs, ['\0', 'A', 'B', '\0']);
        assert_eq!(back.atoms.names, ["C", "CA", "CA", "CB"]);
    }
}

#[test]
fn strict_reading_asks_for_a_second_opinion() {
    let records = strict(&data("mmcif/1crn.mmcif"), "mmcif");
    assert!(!codes(&records).contains(&"mmcif.pdbtbx-count".to_owned()), "{:?}", codes(&records));
    // A remark without a number, as GROMACS writes it, stops pdbtbx.
    let text = String::from_utf8(data("pdb/1crn.pdb")).unwrap();
    let odd = text.replacen("HEADER", "REMARK    THIS IS A SIMULATION BOX\nHEADER", 1);
    let found = codes(&strict(odd.as_bytes(), "pdb"));
    assert!(found.contains(&"pdb.pdbtbx".to_owned()), "{found:?}");
    assert!(!codes(&read(odd.as_bytes(), "pdb").unwrap()).contains(&"pdb.pdbtbx".to_owned()));
}
