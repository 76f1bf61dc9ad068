//! Facts are those of NumPy, see `tests/data/xyz-points/README.md`.

use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{ReadOptions, Registry, Strictness};

use super::*;
use crate::testing::{Points, codes, header_agrees, is_detected, read_in_threads, torture};

const FILES: [&str; 5] = [
    "xyz-points/points_agisoft.xyz",
    "xyz-points/points_cloudcompare.xyz",
    "xyz-points/leica.pts",
    "xyz-points/normals_semicolon.asc",
    "xyz-points/colours.xyzrgb",
];

fn schema(points: &Points) -> Vec<(String, ScalarType, usize)> {
    let Media::PointCloud(cloud) = &points.record.media else { panic!() };
    cloud.schema.iter().map(|spec| (spec.name.clone(), spec.scalar, spec.components)).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
    }
}

#[test]
fn files_have_the_numbers_of_numpy() {
    let u8_color = ("color".to_owned(), ScalarType::U8, 3);
    let real = |name: &str, components| (name.to_owned(), ScalarType::F64, components);
    let [agisoft, cloudcompare, leica, normals, colours] = FILES.map(Points::of_file);

    assert_eq!(agisoft.positions.len(), 100);
    assert_eq!(
        agisoft.bounds(),
        [[665171.37498, 5648340.499471, 233.514072], [665187.870931, 5648381.899135, 245.90329]]
    );
    assert_eq!(schema(&agisoft), std::slice::from_ref(&u8_color));
    assert_eq!(agisoft.positions[99], [665186.236769, 5648351.141146, 244.871176]);
    close(&agisoft.sums("color"), &[8699.0, 6646.0, 5696.0]);

    assert_eq!(schema(&cloudcompare), [u8_color.clone(), real("column_7", 1)]);
    close(&cloudcompare.sums("color"), &[8806.0, 6750.0, 5784.0]);
    close(&cloudcompare.sums("column_7"), &[25755.0]);

    assert_eq!(leica.positions.len(), 40);
    assert_eq!(schema(&leica), [real("intensity", 1), u8_color]);
    close(&leica.sums("intensity"), &[14888.0]);
    close(&leica.sums("color"), &[5064.0, 5475.0, 5093.0]);
    assert_eq!(leica.bounds(), [[-16.8853, -19.1565, -21.1806], [22.5273, 20.5641, 24.2622]]);
    assert_eq!(codes(&leica.record), ["xyz-points.scans"]);

    assert_eq!(schema(&normals), [real("normal", 3), real("category", 1)]);
    close(&normals.sums("normal"), &[-3.071947, 0.375072, 9.854578]);
    close(&normals.sums("category"), &[80.0]);
    assert_eq!(codes(&normals.record), ["xyz-points.non-finite-token"]);

    assert_eq!(schema(&colours), [real("color", 3)]);
    close(&colours.sums("color"), &[20.70082, 18.83502, 19.67061]);
    FILES.iter().for_each(|name| header_agrees(name));
}

#[test]
fn written_files_read_back() {
    for name in FILES {
        let before = Points::of_file(name);
        for options in [
            &[][..],
            &[("xyz-points.separator", "comma")],
            &[("xyz-points.separator", "tab")],
            &[("xyz-points.separator", "semicolon")],
        ] {
            let (again, record) = Points::again(name, "xyz-points", options);
            assert_eq!(before.positions, again.positions, "{name}");
            assert_eq!(before.names(), again.names(), "{name}");
            for attribute in before.names() {
                let bits =
                    |points: &Points| points.attribute(attribute).iter().map(|it| it.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&before), bits(&again), "{name}: {attribute}");
            }
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
        }
    }
}

#[test]
fn a_cloud_without_points_is_one() {
    let points = Points::read(&Source::from_bytes("", &b"//X Y Z Intensity\n"[..]), &ReadOptions::default()).unwrap();
    assert_eq!((points.positions.len(), points.names()), (0, vec!["intensity"]));
    assert_eq!(codes(&points.record), ["xyz-points.empty"]);
    assert!(Points::of_bytes("xyz-points", b"3\n", Strictness::Default).is_err());
}

#[test]
fn precision_and_a_missing_header_are_losses() {
    let (again, record) = Points::again(
        "xyz-points/points_agisoft.xyz",
        "xyz-points",
        &[("xyz-points.precision", "8"), ("xyz-points.header", "false")],
    );
    assert_eq!(again.positions[0], [665187.52, 5648349.9, 241.76769]);
    let lost: Vec<_> = record.loss.iter().map(|loss| (&*loss.code, loss.count)).collect();
    assert_eq!(lost, [("xyz-points.names", 1), ("xyz-points.precision", 293)]);
}

#[test]
fn what_no_head_can_hold_is_refused_or_lost() {
    let written = |components: usize, name: &str, format: &str| {
        let schema = vec![AttributeSpec::new(name, ScalarType::U8, components)];
        let values = AttributeData::U8(vec![7; components].into());
        let chunk = PointChunk::new(vec![[1.0; 3]], vec![values], &schema).unwrap();
        let mut record = MediaRecord::new(PointCloud::new(schema, Stream::from_chunks(vec![chunk])));
        let mut out = Output::memory();
        Registry::builtin().write(&mut record, format, &mut out, &Default::default())?;
        let lost = record.loss.iter().any(|loss| loss.code == "xyz-points.names");
        Points::of_bytes(format, &out.finish()?.bytes, Strictness::Strict).map(|points| (points.attributes.len(), lost))
    };
    assert_eq!(written(1000, "a", "xyz-points").unwrap(), (1000, false));
    assert_eq!(written(1, &"a".repeat(1 << 16), "xyz-points").unwrap(), (1, true));
    assert_eq!(written(4000, "a", "ply").unwrap(), (1, false));
    for (components, format) in [(1100, "xyz-points"), (5000, "ply")] {
        let error = written(components, "a", format).unwrap_err();
        assert_eq!(error.kind(), mediary_core::ErrorKind::Unsupported, "{error}");
    }
}

#[test]
fn columns_are_told_by_names_or_by_looking() {
    let names = |text: &str| {
        let points = Points::of_bytes("xyz-points", text.as_bytes(), Strictness::Default).unwrap();
        let names: Vec<String> = points.names().into_iter().map(ToOwned::to_owned).collect();
        (points.positions[0], names.join(" "))
    };
    for (text, first, expected) in [
        ("1 2 3\n", [1.0, 2.0, 3.0], ""),
        ("1 2 3 4\n", [1.0, 2.0, 3.0], "intensity"),
        ("1 2 3 4 5\n", [1.0, 2.0, 3.0], "column_4 column_5"),
        ("1 2 3 0.6 0 0.8\n", [1.0, 2.0, 3.0], "normal"),
        ("1 2 3 65535 0 8\n", [1.0, 2.0, 3.0], "color"),
        ("1 2 3 6.5 0 8\n", [1.0, 2.0, 3.0], "color rgb"),
        ("1 2 3 -6 0 8\n", [1.0, 2.0, 3.0], "column_4 column_5 column_6"),
        ("1 2 3 -6 0 8 9\n", [1.0, 2.0, 3.0], "intensity color"),
        ("1 2 3 9 0 8 0.6 0 0.8\n", [1.0, 2.0, 3.0], "color normal"),
        ("1 2 3 0.6 0 0.8 7 9 0 8\n", [1.0, 2.0, 3.0], "normal column_7 color"),
        ("X,Y,Z,Red,Green,Blue\r1,2,3,4,5,6\r", [1.0, 2.0, 3.0], "color"),
        ("\"Red\",\"Green\",\"Blue\",\"Z\",\"Y\",\"X\"\n1,2,3,4,5,6\n", [6.0, 5.0, 4.0], "color"),
        (
            "# made by hand\n//X Y Z Scalar_field Nx Ny Nz\n2\n1 2 3 4 0 0 1\n1 2 3 4 0 0 1\n",
            [1.0, 2.0, 3.0],
            "scalar_field normal",
        ),
        ("% x y z i gpstime i\n1 2 3 4 5 6\n", [1.0, 2.0, 3.0], "intensity time intensity_6"),
    ] {
        assert_eq!(names(text), (first, expected.to_owned()), "{text:?}");
    }
}

#[test]
fn broken_rows_are_refused_with_their_line() {
    let bytes = |name: &str| crate::testing::bytes(&format!("xyz-points/malformed/{name}"));
    for (name, line, words) in [
        ("ragged.xyz", 3, "row 3 has 2 numbers, the rows before have 3"),
        ("word.xyz", 3, "expected a number, found \"nine\""),
        ("huge-count.pts", 4, "4294967295 points are announced, found 2"),
    ] {
        let error = Points::of_bytes("xyz-points", &bytes(name), Strictness::Default).err().expect(name);
        assert_eq!((error.location().and_then(|place| place.line), error.message()), (Some(line), words), "{name}");
    }
    let lenient = Points::of_bytes("xyz-points", &bytes("ragged.xyz"), Strictness::Lenient).unwrap();
    assert_eq!((lenient.positions.len(), codes(&lenient.record)), (2, vec!["xyz-points.bad-row".to_owned()]));
    let odd = Points::of_bytes("xyz-points", &bytes("odd-values.xyz"), Strictness::Default).unwrap();
    let findings: Vec<_> =
        odd.record.diagnostics.to_vec().into_iter().map(|it| (it.code.into_owned(), it.count)).collect();
    let expected = [("non-finite-token", 1), ("no-final-newline", 1), ("non-finite", 1)];
    assert_eq!(findings, expected.map(|(code, count)| (format!("xyz-points.{code}"), count)));
    assert_eq!(odd.record.facts().to_json()["points"], 3);
}

#[test]
fn what_is_no_list_of_points_is_left_alone() {
    is_detected(
        "xyz-points",
        &FILES,
        &["off/comments.off", "ply/points_ascii_with_lists.ply", "xyz/example_MEP_trj.xyz"],
    );
    let winner = |name: &str, text: &str| {
        let source = Source::from_bytes(name, text.as_bytes());
        Registry::builtin().detect(&source).winner(false).map(ToOwned::to_owned).unwrap_or_default()
    };
    assert_eq!(winner("a.txt", "1 2 3\n4 5 6\n"), "xyz-points");
    for text in
        ["It was a dark and stormy night.", "1 2\n3 4\n", "x y\n1 2\n", "[[1,2,3]]", "1.5\n2.5\n", "3\n\nO 0 0 0\n"]
    {
        assert_ne!(winner("a.xyz", text), "xyz-points", "{text}");
    }
    let unnamed = |name: &str, text: &str| {
        let points = Points::read(&Source::from_bytes(name, text.as_bytes()), &ReadOptions::default()).unwrap();
        codes(&points.record)
    };
    assert_eq!(unnamed("a.txt", "1 2 3\n4 5 6\n"), ["xyz-points.by-content"]);
    assert!(unnamed("a.xyz", "1 2 3\n4 5 6\n").is_empty() && unnamed("", "//x y z\n4 5 6\n").is_empty());
}

#[test]
fn cut_and_damaged_files_do_not_break_it() {
    FILES.iter().for_each(|name| torture("xyz-points", name, false));
}

#[test]
fn threads_share_a_text_and_change_nothing() {
    // Some 5 MB.
    let rows =
        |count: usize| (0..count).map(|number| format!("{number}.125 {number} -{number}e-2 200\n")).collect::<String>();
    let first = rows(100_000);
    let text = format!("150002\n{first}# between\n1 2 nan 4\n\n{}5\n1,2,3,4\n{}", rows(50_001), rows(4));
    let made = read_in_threads("xyz-points", &text);
    for code in ["xyz-points.comments", "xyz-points.non-finite-token", "xyz-points.scans"] {
        assert!(made.contains(code), "{code}");
    }
    let bad = text + "1 2 3\n";
    let line = bad.lines().count();
    let error = read_in_threads("xyz-points", &bad);
    assert!(error.contains("has 3 numbers") && error.contains(&format!("line: Some({line})")), "{error}");
}
