//! Facts are those of Python's json module and of the SDK, see `tests/data/pts.json/README.md`.

use mediary_core::record::{AttributeData, PointChunk, PointCloud};
use mediary_core::{ErrorKind, Facts, ReadOptions, Registry, Strictness};

use super::read::CHUNK;
use super::write::{push_float, times_255};
use super::*;
use crate::testing::{bytes, read_in_threads, torture_bytes};

const FILES: [&str; 5] = ["point_cloud", "simple_category", "simple_rgb", "simple_scene_boxes_vectors", "simple_xyz"];

fn data(name: &str) -> Vec<u8> {
    bytes(&format!("pts.json/{name}.pts.json"))
}

fn read_with(bytes: &[u8], strictness: Strictness) -> Result<(MediaRecord, Vec<PointChunk>)> {
    let mut options = ReadOptions::default();
    options.strictness = strictness;
    options.from = Some("pts.json".into());
    let mut record = Registry::builtin().open(&Source::from_bytes("", bytes), &options)?.next().unwrap()?;
    let Media::PointCloud(cloud) = &mut record.media else { panic!() };
    let chunks = cloud.points.collect(Context::new("pts.json").budget())?;
    Ok((record, chunks))
}

fn read(bytes: &[u8]) -> Result<(MediaRecord, Vec<PointChunk>)> {
    read_with(bytes, Strictness::Default)
}

fn rewritten(bytes: &[u8]) -> (Vec<u8>, MediaRecord) {
    let source = Source::from_bytes("a.pts.json", bytes);
    let mut record = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
    let mut out = Output::memory();
    Registry::builtin().write(&mut record, "pts.json", &mut out, &Default::default()).unwrap();
    (out.finish().unwrap().bytes, record)
}

fn cloud(record: &MediaRecord) -> &PointCloud {
    match &record.media {
        Media::PointCloud(cloud) => cloud,
        other => panic!("{:?}", other.kind()),
    }
}

#[test]
fn real_files_have_the_numbers_of_python() {
    // Counts and bounds by Python's json module.
    let low = [635_619.85, 848_899.7, 406.59];
    let high = [638_903.74, 851_351.44, 551.31];
    type Expected = (&'static str, u64, u64, &'static [&'static str], [[f64; 3]; 2]);
    let expected: [Expected; 5] = [
        (
            "point_cloud",
            50,
            26,
            &["color", "rgb"],
            [[2559.09062, 721.14763, -15.28629], [2566.61636, 746.78173, -14.70069]],
        ),
        ("simple_category", 400, 0, &["category"], [low, high]),
        ("simple_rgb", 400, 0, &["color"], [low, high]),
        ("simple_scene_boxes_vectors", 400, 1, &[], [low, high]),
        ("simple_xyz", 400, 0, &[], [low, high]),
    ];
    for (name, points, boxes, attributes, [min, max]) in expected {
        let source = Source::from_bytes(name, data(name));
        let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
        assert_eq!(reading.format().id, "pts.json", "{name}");
        let header = reading.header().unwrap();
        let mut record = reading.next().unwrap().unwrap();
        record.media.drain().unwrap();
        assert_eq!(header.facts, record.facts(), "{name}");
        let Facts::PointCloud(facts) = header.facts else { panic!() };
        assert_eq!((facts.points, facts.boxes), (Some(points), Some(boxes)), "{name}");
        assert_eq!(facts.attributes.unwrap(), attributes, "{name}");
        let bounds = facts.bounds.unwrap();
        for axis in 0..3 {
            assert!((bounds.min[axis] - min[axis]).abs() < 1e-5 && (bounds.max[axis] - max[axis]).abs() < 1e-5);
        }
    }
}

#[test]
fn the_scene_of_the_sdk_is_written_byte_for_byte() {
    let name = "simple_scene_boxes_vectors";
    let (bytes, record) = rewritten(&data(name));
    assert!(bytes == data(name), "differs from what wandb 0.31.0 wrote");
    assert!(record.loss.is_empty());
    assert_eq!(cloud(&record).vectors.len(), 1);
    assert_eq!(cloud(&record).boxes[0].label.as_deref(), Some("bounds"));
    for name in FILES {
        let (once, _) = rewritten(&data(name));
        assert_eq!(rewritten(&once).0, once, "{name}");
        let (first, second) = (read(&data(name)).unwrap(), read(&once).unwrap());
        assert_eq!(first.1, second.1, "{name}");
        assert_eq!(cloud(&first.0).boxes, cloud(&second.0).boxes, "{name}");
    }
}

#[test]
fn floats_are_written_as_the_sdk_writes_them() {
    // pydantic_core 2.50.4, to_json.
    let expected = [
        (1.0, "1.0"),
        (1e22, "1e+22"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        (1e-5, "0.00001"),
        (1e-4, "0.0001"),
        (0.000_123_45, "0.00012345"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
        (1.5e300, "1.5e+300"),
        (2.5e-7, "2.5e-7"),
        (1_234_567_890_123_456.8, "1234567890123456.8"),
        (1e-6, "1e-6"),
        (1.5e-5, "0.000015"),
        (9.999e-6, "9.999e-6"),
        (100.0, "100.0"),
        // Halfway between two of the shortest: the even one, also where the larger one is it.
        (1_743_829_569_681_555.0 + 0.25, "1743829569681555.2"),
        (133_906_845_957_463.0 + 0.125, "133906845957463.12"),
        (f64::from(1.244_239_8_f32), "1.2442398071289062"),
        (f64::from(-0.800_556_2_f32), "-0.8005561828613281"),
    ];
    for (value, text) in expected {
        let mut found = Vec::new();
        push_float(&mut found, value);
        assert_eq!(String::from_utf8(found).unwrap(), text);
    }
}

#[test]
fn integers_are_written_as_the_sdk_writes_integer_arrays() {
    // Of `Object3D.from_point_cloud` with an array of int64.
    let text =
        br#"{"type":"lidar/beta","vectors":[],"points":[[-491615,0,-332776,6],[22,9007199254740992,8,10]],"boxes":[]}"#;
    let (bytes, record) = rewritten(text);
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(text));
    assert!(record.loss.is_empty());
    // One number with a point makes an array of floats.
    let (bytes, _) = rewritten(b"[[1,2,3],[4,5,6e0]]");
    assert!(String::from_utf8_lossy(&bytes).contains("[[1.0,2.0,3.0],[4.0,5.0,6.0]]"));
}

#[test]
fn keys_stand_in_any_order_and_unknown_ones_are_kept() {
    let text = br#" {"extra": {"a": [1, 2.5, null]}, "boxes": [
        {"corners": [[0,0,0],[1,0,0],[1,1,0],[0,1,0],[0,0,1],[1,0,1],[1,1,1],[0,1,1]], "label": null, "score": 0.5, "color": [1.0, 0.5, 0]}],
        "points": [[1,2,3,4], [1e0,-2.5,3E2,5]], "type": "lidar/v9"} "#;
    let (record, chunks) = read(text).unwrap();
    assert_eq!(chunks[0].positions(), [[1.0, 2.0, 3.0], [1.0, -2.5, 300.0]]);
    assert_eq!(chunks[0].attributes(), [AttributeData::F64(vec![4.0, 5.0].into())]);
    assert_eq!(record.properties["extra"], serde_json::json!({"a": [1, 2.5, null]}));
    assert_eq!(record.properties[COLOR_RANGE], UNIT_RANGE);
    let found = &cloud(&record).boxes[0];
    assert_eq!((found.color, found.score, found.label.as_ref()), (Some([1.0, 0.5, 0.0]), Some(0.5), None));
    let (bytes, record) = rewritten(text);
    assert!(String::from_utf8(bytes).unwrap().ends_with(r#""color":[1.0,0.5,0.0],"score":0.5}]}"#));
    assert_eq!(record.loss[0].code, "pts.json.properties");
}

#[test]
fn colours_keep_their_exact_values_beside_rounded_ones() {
    let (record, chunks) = read(b"[[0,0,0,76.5,127.73205080756887,300]]").unwrap();
    let exact = AttributeData::F64(vec![76.5, 127.732_050_807_568_87, 300.0].into());
    assert_eq!(chunks[0].attributes(), [AttributeData::U8(vec![77, 128, 255].into()), exact]);
    assert_eq!(record.diagnostics.to_vec()[0].code, "pts.json.color");
    for byte in 0..=255 {
        assert_eq!(times_255(f64::from(byte) / 255.0), f64::from(byte));
    }
}

#[test]
fn numbers_that_are_not_finite_are_counted_and_not_written() {
    let text = b"[[1,2,NaN],[Infinity,0,-Infinity],[1,2,3],[null,1,1e400]]";
    let (record, chunks) = read(text).unwrap();
    let findings = record.diagnostics.to_vec();
    assert_eq!((findings[0].code.as_ref(), findings[0].count), ("pts.json.non-finite-token", 5));
    assert_eq!(chunks[0].positions().len(), 4);
    let (bytes, record) = rewritten(text);
    assert_eq!(bytes, br#"{"type":"lidar/beta","vectors":[],"points":[[1.0,2.0,3.0]],"boxes":[]}"#);
    assert_eq!((record.loss[0].code.as_ref(), record.loss[0].count), ("pts.json.non-finite", 3));
    assert!(read_with(text, Strictness::Strict).is_err());
    let (record, _) = read(b"[[1,2,3,1],[1,2,3,99],[1,2,3,1.5]]").unwrap();
    assert_eq!(
        (record.diagnostics.to_vec()[0].code.as_ref(), record.diagnostics.to_vec()[0].count),
        ("pts.json.category", 2)
    );
}

#[test]
fn long_clouds_come_in_chunks() {
    let rows: Vec<_> = (0..100_000).map(|n| format!("[{n},{}.5,-{n}]", n % 7)).collect();
    let (_, chunks) = read(format!("[{}]", rows.join(",\n")).as_bytes()).unwrap();
    assert_eq!(
        chunks.iter().map(|chunk| chunk.positions().len()).collect::<Vec<_>>(),
        [CHUNK, CHUNK, CHUNK, 100_000 - 3 * CHUNK]
    );
    assert_eq!(chunks[3].positions()[0], [98304.0, 3.5, -98304.0]);
}

#[test]
fn broken_documents_are_refused_with_their_place() {
    for (name, expected) in [
        ("ragged", "found 2"),
        ("mixed-widths", "found 4"),
        ("truncated", "ends early"),
        ("no-points", "\"points\""),
        ("three-corners", "expected 8, found 3"),
        ("color-word", "expected 3 numbers, found text"),
    ] {
        let error = read(&data(&format!("malformed/{name}"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}");
        assert!(error.message().contains(expected) && error.location().is_some(), "{name}: {error}");
    }
    for text in [
        "[[1,2,3],]",
        "[[1,2,.5]]",
        "[[1,2,+3]]",
        "[[01,2,3]]",
        "[[1,2,3]] x",
        "[[1 2,3]]",
        "[1,2,3]",
        "hello",
        r#"{"points":[[1,2,3]],"points":[]}"#,
        r#"{"points":[[1,2,3]],"a":"\q"}"#,
        r#"{"points":"x"}"#,
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert!(error.location().is_some_and(|place| place.byte.is_some()), "{text}: {error}");
    }
    let deep = format!(r#"{{"points":[],"a":{}"#, "[".repeat(200_000));
    assert_eq!(read(deep.as_bytes()).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn cut_and_flipped_files_never_panic() {
    for name in FILES {
        torture_bytes("pts.json", name, data(name).trim_ascii_end(), true, |_| {});
    }
}

#[test]
fn other_json_is_not_taken_for_points() {
    for text in [
        r#"{"asset":{"version":"2.0"},"meshes":[]}"#,
        r#"{"type":"FeatureCollection","features":[]}"#,
        r#"[{"a":1}]"#,
        r#"["a","b"]"#,
        r#"{"points":[{"x":1}]}"#,
        "solid",
        r#"[["a",1,2]]"#,
    ] {
        let probe = Probe { head: text.as_bytes(), tail: text.as_bytes(), len: text.len() as u64, name: "" };
        assert_eq!(PtsJson.probe(&probe), Confidence::No, "{text}");
    }
}

#[test]
fn threads_share_a_text_and_change_nothing() {
    // Some 20 MB, more numbers than are kept, on one line and on many, with odd rows between.
    let rows = |from: usize, to: usize, between: &str| {
        (from..to).map(|n| format!("[{n}.5, -{n}e-3, {n}, {}, 2, 3.0]", n % 256)).collect::<Vec<_>>().join(between)
    };
    let text = format!(
        "{{\"type\": \"x\", \"points\": [{}, [1, 2, NaN, 4, 5, 6], [1,\n2,3,4,5,6] ,\n{}], \"boxes\": []}}",
        rows(0, 400_000, ", "),
        rows(400_000, 800_000, ",\n  ")
    );
    let made = read_in_threads("pts.json", &text);
    assert!(made.contains("pts.json.non-finite-token"));
    let bad = text.replace("[799000.5, -799000e-3,", "[1, x,");
    let line = bad.split("[1, x,").next().unwrap_or_default().matches('\n').count() + 1;
    for (bad, found) in
        [(bad, format!("line: Some({line})")), (text.replace("[799000.5, -799000e-3,", "["), "points[799002]".into())]
    {
        let error = read_in_threads("pts.json", &bad);
        assert!(error.contains(&found), "{error}");
    }
}
