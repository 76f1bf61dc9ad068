//! Facts are those of pye57, see `tests/data/e57/README.md`.

use mediary_core::record::ScalarType;
use mediary_core::{ErrorKind, Limits, Media, ReadOptions, Registry, Strictness};

use super::*;
use crate::testing::{Points, bytes, codes, data, is_detected, torture};

const FILES: [&str; 5] = [
    "e57/A_B.e57",
    "e57/ColourRepresentation.e57",
    "e57/posed.e57",
    "e57/tiny_pc_and_images.e57",
    "e57/tiny_spherical.e57",
];

fn scans(name: &str) -> Vec<Points> {
    let source = Source::open(data(name), &Limits::default()).expect(name);
    let reading = Registry::builtin().open(&source, &ReadOptions::default()).expect(name);
    reading.map(|record| Points::of(record.expect(name)).expect(name)).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} is not {expected}");
}

/// Sums of the coordinates and of attributes of the points that are valid.
fn sums(points: &Points, names: &[&str]) -> Vec<f64> {
    let valid = |at: &usize| points.positions[*at].iter().all(|value| value.is_finite());
    let all = || (0..points.positions.len()).filter(valid);
    let mut sums: Vec<f64> = (0..3).map(|axis| all().map(|at| points.positions[at][axis]).sum()).collect();
    for name in names {
        let (_, components, values) = points.attributes.iter().find(|(known, ..)| known == name).expect(name);
        sums.extend((0..*components).map(|part| all().map(|at| values[at * components + part]).sum::<f64>()));
    }
    sums
}

fn schema(points: &Points) -> Vec<(&str, ScalarType, usize)> {
    let Media::PointCloud(cloud) = &points.record.media else { panic!() };
    cloud.schema.iter().map(|spec| (spec.name.as_str(), spec.scalar, spec.components)).collect()
}

#[test]
fn scans_have_the_numbers_of_pye57() {
    let [first, second] = <[Points; 2]>::try_from(scans("e57/A_B.e57")).ok().unwrap();
    assert_eq!((first.positions.len(), second.positions.len()), (2, 4));
    assert_eq!(schema(&first), [("intensity", ScalarType::F32, 1), ("color", ScalarType::U8, 3)]);
    assert_eq!(second.positions[0], [-44.30009841918945, -1.132099986076355, 0.3357999920845032]);
    let expected = [-178.20790100097656, -4.253399968147278, 0.4260999858379364, 261.430908203125, 0.0, 1020.0, 0.0];
    sums(&second, &["intensity", "color"])
        .into_iter()
        .zip(expected)
        .for_each(|(found, expected)| close(found, expected));
    assert_eq!(first.record.properties["name"], "B2 - Cloud");

    let [images] = <[Points; 1]>::try_from(scans("e57/tiny_pc_and_images.e57")).ok().unwrap();
    assert_eq!((images.positions, codes(&images.record)), (vec![[0.0; 3], [1.0; 3]], vec!["e57.images".to_owned()]));

    let [colours] = <[Points; 1]>::try_from(scans("e57/ColourRepresentation.e57")).ok().unwrap();
    assert_eq!(colours.positions.len(), 153);
    assert_eq!(colours.names(), ["return_index", "return_count", "las_pointsourceid", "color"]);
    assert_eq!(colours.bounds(), [[-0.5; 3], [0.5; 3]]);
    is_detected("e57", &FILES, &["ply/points_ascii_with_lists.ply"]);
}

#[test]
fn poses_are_applied_and_invalid_points_counted() {
    // pye57 leaves the invalid points out.
    let [first, second] = <[Points; 2]>::try_from(scans("e57/posed.e57")).ok().unwrap();
    let names = ["intensity", "color", "row", "column"];
    for (points, count, valid, expected) in [
        (
            &first,
            40,
            34,
            [
                3404.9422211479396,
                -671.706862419378,
                105.92748523503542,
                16.469761116430163,
                4455.0,
                3263.0,
                4150.0,
                50.0,
                157.0,
            ],
        ),
        (
            &second,
            60,
            51,
            [
                10208.780425713334,
                -1025.7720071565132,
                175.8919886481017,
                23.692074603401124,
                6847.0,
                6412.0,
                6956.0,
                126.0,
                231.0,
            ],
        ),
    ] {
        assert_eq!(points.positions.len(), count);
        sums(points, &names).into_iter().zip(expected).for_each(|(found, expected)| close(found, expected));
        let findings: Vec<_> =
            points.record.diagnostics.to_vec().into_iter().map(|it| (it.code.into_owned(), it.count)).collect();
        let gone = (count - valid) as u64;
        assert_eq!(findings, [("e57.invalid".to_owned(), gone), ("e57.non-finite".to_owned(), gone)]);
    }
    close(first.positions[0][0], 98.8297039270401);
    // The last point is invalid.
    close(second.positions[58][2], 2.8108408451080322);
    assert_eq!(second.record.properties["name"], "scan 1 äé");
    assert_eq!(first.record.properties["pose"]["translation"], serde_json::json!([100.0, -20.0, 3.5]));

    let [spherical] = <[Points; 1]>::try_from(scans("e57/tiny_spherical.e57")).ok().unwrap();
    assert_eq!(spherical.positions.len(), 360);
    let valid: Vec<_> = spherical.positions.iter().filter(|position| position[0].is_finite()).collect();
    assert_eq!((valid.len(), valid[0]), (180, &[1.0, 0.0, 0.0]));
    assert!(valid.iter().all(|v| (v[0] * v[0] + v[1] * v[1] + v[2] * v[2] - 1.0).abs() < 1e-12));
}

#[test]
fn the_header_agrees_with_the_first_record() {
    for name in FILES {
        let source = Source::open(data(name), &Limits::default()).expect(name);
        let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).expect(name);
        let header = reading.header().expect(name);
        let all = scans(name);
        assert_eq!(header.records, Some(all.len() as u64));
        let late = all[0].record.facts().to_json();
        for (fact, value) in header.facts.to_json() {
            assert_eq!(late.get(&fact), Some(&value), "{name}: {fact}");
        }
    }
}

#[test]
fn damage_is_refused_with_its_place() {
    for (name, words) in [
        ("InvalidCVHeader", "expected a section of points (1)"),
        ("bad-crc", "checksum"),
        ("huge-count", "99999999999999 points are announced"),
    ] {
        let bytes = bytes(&format!("e57/malformed/{name}.e57"));
        let error = Points::of_bytes("e57", &bytes, Strictness::Default).err().expect(name);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}: {error}");
        assert!(error.message().contains(words) && error.location().is_some(), "{name}: {error}");
    }
    let mut damaged = bytes("e57/posed.e57");
    damaged[600] ^= 1;
    let error = Points::of_bytes("e57", &damaged, Strictness::Default).err().unwrap();
    assert_eq!((error.message(), error.location().unwrap().byte), ("page 0: its checksum is wrong", Some(0)));
    let lenient = Points::of_bytes("e57", &damaged, Strictness::Lenient).unwrap();
    assert_eq!(codes(&lenient.record)[0], "e57.truncated");
}

#[test]
fn cut_and_damaged_files_do_not_break_it() {
    ["e57/A_B.e57", "e57/posed.e57"].iter().for_each(|name| torture("e57", name, true));
}
