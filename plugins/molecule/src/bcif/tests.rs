use mediary_core::{Context, ErrorKind, Limits, MediaRecord, Output, Registry, WriteOptions};

use super::decode::{Element, Values};
use super::{encode, pack::Packer};
use crate::msgpack::Decoder;
use crate::testing::molecule;
use crate::torture::{damaged, data, findings, read, read_with};

fn written(record: &mut MediaRecord, format: &str) -> Vec<u8> {
    let mut out = Output::memory();
    Registry::builtin().write(record, format, &mut out, &WriteOptions::default()).unwrap();
    out.finish().unwrap().bytes
}

/// What biotite wrote of an entry is the beginning of the entry.
#[test]
fn a_record_is_that_of_mmcif() {
    let binary = read(&data("bcif/1crn.bcif"), "bcif").unwrap();
    let text = read(&data("mmcif/1crn.mmcif"), "mmcif").unwrap();
    let (part, whole) = (molecule(&binary[0]), molecule(&text[0]));
    let count = part.atoms.len();
    assert_eq!((count, part.residues.len()), (146, 20));
    assert_eq!(part.atoms.names, whole.atoms.names[..count]);
    assert_eq!(part.atoms.elements, whole.atoms.elements[..count]);
    assert_eq!(part.atoms.occupancies, whole.atoms.occupancies[..count]);
    assert_eq!(part.atoms.b_factors, whole.atoms.b_factors[..count]);
    assert_eq!(part.atoms.serials, whole.atoms.serials[..count]);
    assert_eq!(part.models[0].positions[..], whole.models[0].positions[..count]);
    assert_eq!(part.residues, whole.residues[..20]);
    assert_eq!(part.chains, whole.chains);
    assert_eq!((part.cell, &part.space_group, &part.name), (whole.cell, &whole.space_group, &whole.name));
    let within = |bond: &&mediary_core::record::molecule::Bond| (bond.b as usize) < count;
    // The list of connections is left out: disulfide bridges.
    let other = whole.bonds.iter().filter(within).filter(|bond| bond.source != Default::default());
    assert!(part.bonds.iter().eq(other));
    assert_eq!(binary[0].properties["sequences"], text[0].properties["sequences"]);
    // The second helix is behind the part that was kept.
    let codes: Vec<_> = findings(&binary).iter().map(|finding| finding.code.to_string()).collect();
    assert_eq!(codes, ["bcif.secondary"]);
}

/// The values are those that biotite 1.6.0 reads back.
#[test]
fn every_encoding_is_undone() {
    let records = read(&data("bcif/encodings.bcif"), "bcif").unwrap();
    let found = molecule(&records[0]);
    let atoms = &found.atoms;
    assert_eq!(atoms.serials, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 300, 70_000]);
    let positions: Vec<_> = (0..12).map(f64::from).map(|x| [x * 1.5, x * 1.5 + 0.1, x / 4.0]).collect();
    assert_eq!(found.models[0].positions[..], positions);
    assert_eq!(atoms.occupancies[..6], [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    assert_eq!(atoms.b_factors[..4], [10.0, 10.33, 10.67, 11.0]);
    assert_eq!(atoms.formal_charges, [0, 1, -1, 0, 0, 0, 0, 1, -1, 0, 1, -1]);
    let residue = &found.residues[0];
    assert_eq!((residue.number, residue.label_number, residue.hetero), (Some(-200), None, true));
    assert!(atoms.altlocs.is_empty());
}

fn integers(values: &[i64]) -> Vec<u8> {
    let mut out = Packer::default();
    assert!(encode::integers(values, &mut out).unwrap());
    out.0
}

fn decoded(bytes: &[u8]) -> mediary_core::Result<Values> {
    let cx = Context::new("bcif");
    Element::of(&Decoder::new(bytes, &cx).value()?, &cx)?.all(&cx)
}

#[test]
fn what_is_encoded_is_decoded() {
    let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
    for values in [
        &[][..],
        &[0],
        &[127, 128, -128, -129, 254, 255, 256, 0],
        &[255; 4],
        &[32_767, 32_768, -32_768, -32_769, 65_535, 65_536],
        &[0, 65_535, 131_070, 3],
        &[low, high, 0, high, low],
        &[0, 4_294_967_295],
        &(0..1000).collect::<Vec<_>>(),
        &(0..1000).map(|value| value / 50 * 3 - 7).collect::<Vec<_>>(),
        &(0..1000).map(|value| (value * 7919) % 30_011).collect::<Vec<_>>(),
    ] {
        let found: Vec<i64> = match decoded(&integers(values)).unwrap() {
            Values::Integers(found) => found.into_iter().map(i64::from).collect(),
            Values::Reals(found, false) => found.into_iter().map(|value| value as i64).collect(),
            _ => panic!("{values:?}"),
        };
        assert_eq!(found, values);
    }
    assert!(!encode::integers(&[-1, 4_294_967_295], &mut Packer::default()).unwrap());
    // A thousand numbers in a row take no more than a few names.
    assert!(integers(&(5..1005).collect::<Vec<_>>()).len() < 220);
    for (values, single) in [
        (vec![0.1, -12.345, 1e5], false),
        (vec![1.0 / 3.0, 1e300], false),
        (vec![f64::from(0.1_f32), f64::from(12.34_f32)], true),
        (vec![f64::from(1.0_f32 / 3.0)], true),
    ] {
        let mut out = Packer::default();
        encode::reals(&values, single, &mut out).unwrap();
        let Ok(Values::Reals(found, precision)) = decoded(&out.0) else { panic!("{values:?}") };
        assert_eq!((found, precision), (values, single));
    }
}

#[test]
fn every_record_comes_back() {
    for (path, format) in [
        ("mmcif/1crn.mmcif", "mmcif"),
        ("mmcif/ALA.cif", "mmcif"),
        ("cif/1519159.cif", "cif"),
        ("pdb/2dej_APW.pdb", "pdb"),
        ("pdb/hybrid36.pdb", "pdb"),
        ("pdb/insertion_codes.pdb", "pdb"),
        ("pdb/multi-models-example.pdb", "pdb"),
        ("xyz/trajectory.xyz", "xyz"),
        ("sdf/TYR.v3000.sdf", "sdf"),
    ] {
        let mut record = read(&data(path), format).unwrap().remove(0);
        let text = read(&written(&mut record, "mmcif"), "mmcif").unwrap().remove(0);
        let bytes = written(&mut record, "bcif");
        let binary = read(&bytes, "bcif").unwrap();
        assert_eq!(molecule(&binary[0]), molecule(&text), "{path}");
        assert!(findings(&binary).is_empty(), "{path}");
    }
}

/// A map of one column, as its data is encoded.
fn column(encodings: &[&[(&str, i64)]], kinds: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut out = Packer::default();
    out.map(2);
    out.text("data");
    out.bytes(bytes);
    out.text("encoding");
    out.array(kinds.len());
    for (kind, fields) in kinds.iter().zip(encodings) {
        out.map(fields.len() + 1);
        out.text("kind");
        out.text(kind);
        for (name, value) in *fields {
            out.text(name);
            out.integer(*value);
        }
    }
    out.0
}

#[test]
fn contradictions_and_bombs_are_refused() {
    let bytes: &[(&str, i64)] = &[("type", 1)];
    let packing = |count| [("byteCount", 1), ("srcSize", count)];
    let runs = |count| [("srcSize", count), ("srcType", 3)];
    let many = [&[("origin", 0)][..]; 17];
    for (name, data) in [
        ("no encoding", column(&[], &[], b"x")),
        ("half a value", column(&[&[("type", 3)]], &["ByteArray"], b"abc")),
        ("an unknown type", column(&[&[("type", 7)]], &["ByteArray"], b"abc")),
        ("an unknown encoding", column(&[bytes], &["Zip"], b"abc")),
        ("bytes of values", column(&[bytes, bytes], &["ByteArray", "ByteArray"], b"abc")),
        ("packed values that do not end", column(&[&packing(1), bytes], &["IntegerPacking", "ByteArray"], b"\x7F\x7F")),
        ("fewer packed values", column(&[&packing(2), bytes], &["IntegerPacking", "ByteArray"], b"\x01\x01\x01")),
        ("more packed values", column(&[&packing(9), bytes], &["IntegerPacking", "ByteArray"], b"\x01")),
        ("a negative run", column(&[&runs(1), bytes], &["RunLength", "ByteArray"], b"\x01\xFF\x01\x02")),
        ("runs of another sum", column(&[&runs(4), bytes], &["RunLength", "ByteArray"], b"\x01\x02")),
        ("half a run", column(&[&runs(1), bytes], &["RunLength", "ByteArray"], b"\x01\x01\x01")),
        (
            "a division by zero",
            column(&[&[("factor", 0), ("srcType", 33)], bytes], &["FixedPoint", "ByteArray"], b"\x01"),
        ),
        ("too many encodings", column(&many, &["Delta"; 17], b"\x01")),
    ] {
        let error = decoded(&data).err().unwrap_or_else(|| panic!("{name}"));
        assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Unsupported), "{name}: {error}");
    }
    // 8 bytes that stand for two billion values.
    let run = [3_i32.to_le_bytes(), i32::MAX.to_le_bytes()].concat();
    let int = &[("type", 3)][..];
    let bomb = column(&[&runs(i64::from(i32::MAX)), int], &["RunLength", "ByteArray"], &run);
    assert_eq!(decoded(&bomb).err().unwrap().kind(), ErrorKind::Limit);
}

#[test]
fn cuts_flips_and_limits_are_survived() {
    for path in ["bcif/1crn.bcif", "bcif/encodings.bcif"] {
        let whole = data(path);
        for cut in (0..whole.len()).step_by(whole.len() / 300 + 1) {
            let error = read(&whole[..cut], "bcif").unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Unsupported), "{path} {cut}: {error}");
        }
        for broken in damaged(&whole, 400, 6, 88_172_645_463_325_252) {
            let mut limits = Limits::default();
            limits.alloc_bytes = 64 << 20;
            let _ = read_with(&broken, "bcif", |options| options.limits = limits);
        }
        for (limit, value) in [("elements", 1), ("alloc_bytes", 1000)] {
            let error = read_with(&whole, "bcif", |options| assert!(options.limits.set(limit, value))).unwrap_err();
            assert_eq!(error.limit_name(), Some(limit), "{path}: {error}");
        }
    }
    let mut long = data("bcif/1crn.bcif");
    long.extend_from_slice(b"more");
    let records = read(&long, "bcif").unwrap();
    assert_eq!(findings(&records)[0].code, "bcif.trailing-bytes");
}
