//! Facts are those of pypcd4 and NumPy, see `tests/data/pcd/README.md`.

use mediary_core::record::ScalarType;
use mediary_core::{ErrorKind, Strictness};

use super::*;
use crate::testing::{Points, bytes, codes, header_agrees, is_detected, torture};

const FILES: [&str; 5] = [
    "pcd/simple-ascii.pcd",
    "pcd/utm17_space.pcd",
    "pcd/rgb_label_compressed.pcd",
    "pcd/normals_binary.pcd",
    "pcd/organised_padding.pcd",
];

fn schema(points: &Points) -> Vec<(&str, ScalarType, usize)> {
    let Media::PointCloud(cloud) = &points.record.media else { panic!() };
    cloud.schema.iter().map(|spec| (spec.name.as_str(), spec.scalar, spec.components)).collect()
}

#[test]
fn files_have_the_numbers_of_pypcd4() {
    let [ascii, utm, compressed, binary, organised] = FILES.map(Points::of_file);
    assert_eq!(ascii.positions.len(), 213);
    assert_eq!(ascii.bounds(), [[-0.95526, -0.31546, 0.0], [0.99185, 0.35641, 0.0]]);
    assert_eq!(schema(&ascii), [("color", ScalarType::U8, 3)]);
    assert_eq!(ascii.sums("color"), [29154.0, 33354.0, 37632.0]);
    // Beyond what the declared type would hold: 289814.15625, 4320978.5 there.
    assert_eq!(utm.positions[0], [289814.15, 4320978.61, 170.76]);
    assert_eq!(utm.positions.len(), 10);

    assert_eq!(compressed.positions.len(), 300);
    let expected = [("color", ScalarType::U8, 3), ("intensity", ScalarType::F32, 1), ("category", ScalarType::U32, 1)];
    assert_eq!(schema(&compressed), expected);
    assert_eq!(compressed.sums("color"), [40740.0, 38274.0, 38682.0]);
    assert_eq!((compressed.sums("intensity"), compressed.sums("category")), (vec![897.0], vec![600.0]));
    assert_eq!(compressed.positions[299], [-1.069865107536316, 0.18263833224773407, -1.0601297616958618]);

    assert_eq!(schema(&binary), [("normal", ScalarType::F32, 3), ("ring", ScalarType::I32, 1)]);
    let [min, max] = binary.bounds();
    assert_eq!(min, [-2.6551618576049805, -2.5226948261260986, -2.816394329071045]);
    assert_eq!(max, [2.7034828662872314, 2.7055063247680664, 2.9882476329803467]);
    assert_eq!(binary.sums("ring"), [44847900.0]);
    assert!((binary.sums("normal")[2] + 25.438596547115594).abs() < 1e-9);

    assert_eq!(schema(&organised), [("fpfh", ScalarType::F32, 3), ("t", ScalarType::F64, 1)]);
    assert_eq!(organised.positions[21], [1.0, 1.0, 0.5]);
    assert_eq!(organised.attribute("fpfh")[21 * 3..22 * 3], [21.0, 21.25, -21.0]);
    assert_eq!(organised.attribute("t")[199], 1_600_000_000_000_815_104.0);
    let properties = &organised.record.properties;
    assert_eq!((&properties["width"], &properties["height"]), (&20.into(), &10.into()));
    assert_eq!(properties["viewpoint"], serde_json::json!([1.0, 2.0, 3.0, 0.5, 0.5, 0.5, 0.5]));
    assert_eq!(codes(&organised.record), ["pcd.rounded"]);
    FILES.iter().for_each(|name| header_agrees(name));
    is_detected("pcd", &FILES, &["ply/points_ascii_with_lists.ply", "xyz-points/leica.pts"]);
}

#[test]
fn written_files_read_back() {
    for name in FILES {
        let before = Points::of_file(name);
        for data in ["binary", "ascii", "compressed"] {
            let (again, record) = Points::again(name, "pcd", &[("pcd.data", data)]);
            assert_eq!(before.positions, again.positions, "{name} {data}");
            assert_eq!(schema(&before), schema(&again), "{name} {data}");
            assert_eq!(before.attributes, again.attributes, "{name} {data}");
            assert_eq!(before.record.properties, again.record.properties, "{name} {data}");
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
        }
    }
    let (single, record) = Points::again("pcd/utm17_space.pcd", "pcd", &[("pcd.positions", "single")]);
    // As pypcd4 reads it.
    assert_eq!(single.positions[0], [289814.15625, 4320978.5, 170.75999450683594]);
    assert_eq!((record.loss[0].code.as_ref(), record.loss[0].count > 20), ("pcd.precision", true));
}

#[test]
fn points_of_other_formats_keep_their_attributes() {
    for name in [
        "pts.json/point_cloud.pts.json",
        "xyz-points/leica.pts",
        "xyz-points/normals_semicolon.asc",
        "xyz-points/colours.xyzrgb",
    ] {
        let before = Points::of_file(name);
        let (again, record) = Points::again(name, "pcd", &[]);
        assert_eq!(before.positions, again.positions);
        assert_eq!(schema(&before), schema(&again));
        // Boxes are lost, names are not.
        assert!(record.loss.iter().all(|loss| loss.code != "pcd.attribute-names"), "{:?}", record.loss);
    }
}

#[test]
fn headers_may_leave_lines_out() {
    let read = |text: &[u8], strictness| Points::of_bytes("pcd", text, strictness);
    let old = b"COLUMNS x y z i\nPOINTS 2\nDATA ascii\n1 2 3 nan\n4,5,6,7\n";
    let points = read(old, Strictness::Default).unwrap();
    assert_eq!(points.positions, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(codes(&points.record), ["pcd.header-default", "pcd.non-finite-token"]);
    assert!(read(old, Strictness::Strict).is_err());
    let no = b"FIELDS x y\nSIZE 4 4\nTYPE F F\nPOINTS 1\nDATA ascii\n1 2\n";
    assert_eq!(read(no, Strictness::Default).err().unwrap().kind(), ErrorKind::Unsupported);
    let twice = b"FIELDS x y z x\nSIZE 4 4 4 4\nTYPE F F F F\nWIDTH 1\nDATA ascii\n1 2 3 4\n";
    assert_eq!(read(twice, Strictness::Default).unwrap().attribute("x"), [4.0]);
}

#[test]
fn hostile_headers_are_refused() {
    for (name, words) in [
        ("huge-count", "4294967295 points are announced, at most 1 are there"),
        ("huge-field", "more than 1048576 bytes"),
        ("bomb", "at most"),
        ("odd-size", "no type \"F\" of 3 bytes"),
    ] {
        let bytes = bytes(&format!("pcd/malformed/{name}.pcd"));
        let error = Points::of_bytes("pcd", &bytes, Strictness::Default).err().expect(name);
        assert!(error.message().contains(words) && error.location().is_some(), "{name}: {error}");
    }
    let lenient = Points::of_bytes("pcd", &bytes("pcd/malformed/huge-count.pcd"), Strictness::Lenient).unwrap();
    assert_eq!((lenient.positions.len(), codes(&lenient.record)), (1, vec!["pcd.truncated".to_owned()]));
    let odd = Points::of_bytes("pcd", &bytes("pcd/malformed/not-organised.pcd"), Strictness::Default).unwrap();
    assert_eq!((odd.positions.len(), codes(&odd.record)), (3, vec!["pcd.points".to_owned()]));
}

#[test]
fn cut_and_damaged_files_do_not_break_it() {
    FILES.iter().for_each(|name| torture("pcd", name, true));
}
