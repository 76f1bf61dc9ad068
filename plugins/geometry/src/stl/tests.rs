//! Facts are those that trimesh 5.2.0 and assimp 5.2 state of the files, see `tests/data/stl/README.md`.

use mediary_core::{MediaRecord, Source, Strictness};

use crate::testing::{
    bytes, codes, data, is_detected, read, read_bytes, read_in_threads, scene, sound, torture, triangles_and_bounds,
    write,
};

const GOOD: &[&str] = &["stl/lowpoly_99.stl", "stl/multibody.stl", "stl/triangle_with_two_solids.stl"];
const FACET: &str = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n";

fn ascii(text: &str) -> MediaRecord {
    read_bytes("stl", text.as_bytes(), Strictness::Default).expect("read")
}

/// A binary file of one triangle with this header, number, normal and attribute.
fn binary(header: &[u8], count: u32, normal: [f32; 3], attribute: u16) -> Vec<u8> {
    let mut bytes = header.to_vec();
    bytes.resize(80, 0);
    bytes.extend_from_slice(&count.to_le_bytes());
    for value in normal.into_iter().chain([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&attribute.to_le_bytes());
    bytes
}

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let cases = [
        ("stl/lowpoly_99.stl", 1, 99, [-0.0931, 0.032_72, -0.061_99], [0.0616, 0.188_11, 0.058_91]),
        ("stl/multibody.stl", 2, 32, [-0.510_79, -0.718_81, -0.051_93], [0.125_24, 0.369_62, 0.288]),
        ("stl/triangle_with_two_solids.stl", 2, 2, [-1.0, -1.0, 0.0], [3.0, 3.0, 0.0]),
    ];
    for (name, meshes, triangles, min, max) in cases {
        let record = triangles_and_bounds(name, triangles, min, max);
        assert_eq!(record.facts().to_json()["meshes"], meshes, "{name}");
    }
}

#[test]
fn dialects_are_read() {
    for text in [
        format!("solid\n{FACET}endsolid\n"),
        format!("\u{feff}  SOLID Name\n{}ENDSOLID\n", FACET.to_uppercase()),
        format!("solid a\n{FACET}endsolid a\n").replace('\n', "\r"),
        format!("solid a\n{FACET}endsolid a\n").replace('\n', "\r\n"),
        format!("solid a\n{FACET}endsolid a\n").replace("normal 0 0 1", "normal nan NaN -nan(ind)"),
    ] {
        let record = ascii(&text);
        assert_eq!(record.facts().to_json()["triangles"], 1, "{text:?}");
        assert_eq!(scene(&record).meshes[0].primitives[0].normals[0], [0.0, 0.0, 1.0]);
    }
    let latin = [b"solid caf\xE9\n", FACET.as_bytes(), b"endsolid\n"].concat();
    let record = read_bytes("stl", &latin, Strictness::Default).expect("read");
    assert_eq!(scene(&record).meshes[0].name, "caf\u{e9}");
    assert_eq!(codes(&ascii(&format!("solid a\n{FACET}"))), ["stl.missing-endsolid"]);
}

#[test]
fn a_binary_file_may_begin_with_solid() {
    let record = read_bytes("stl", &binary(b"solid facet\n", 1, [0.0; 3], 0), Strictness::Default).expect("read");
    assert_eq!(record.facts().to_json()["triangles"], 1);
    assert_eq!(codes(&record), ["stl.recomputed-normals"]);
}

#[test]
fn lengths_that_do_not_fit_are_findings() {
    let mut bytes = binary(b"", 1, [0.0, 0.0, 1.0], 0);
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(codes(&read_bytes("stl", &bytes, Strictness::Default).expect("read")), ["stl.trailing-bytes"]);
    assert!(read_bytes("stl", &bytes, Strictness::Strict).is_err());
    let bytes = binary(b"", 3, [0.0, 0.0, 1.0], 0);
    assert_eq!(codes(&read_bytes("stl", &bytes, Strictness::Default).expect("read")), ["stl.truncated"]);
    let record = read("stl/malformed/truncated-Spider_binary.stl").expect("read");
    assert_eq!(record.facts().to_json()["triangles"], 598, "(30011 - 84) / 50");
}

#[test]
fn attribute_bytes_may_be_colours() {
    let colors = |header: &[u8], attribute| {
        let record =
            read_bytes("stl", &binary(header, 1, [0.0, 0.0, 1.0], attribute), Strictness::Default).expect("read");
        scene(&record).meshes[0].primitives[0].colors.first().map(|colors| colors[0])
    };
    assert_eq!(colors(b"", 0x8000 | 31 << 10), Some([1.0, 0.0, 0.0, 1.0]), "VisCAM red");
    assert_eq!(colors(b"COLOR=\x00\xff\x00\xff", 31), Some([1.0, 0.0, 0.0, 1.0]), "Magics red");
    assert_eq!(colors(b"COLOR=\x00\xff\x00\xff", 0x8000), Some([0.0, 1.0, 0.0, 1.0]), "Magics part colour");
    assert_eq!(colors(b"", 31), None, "no colour without the flag");
}

#[test]
fn welding_joins_corners() {
    let mut options = mediary_core::ReadOptions::default();
    options.options = vec![("stl.weld".into(), "true".into())];
    let source = Source::open(data("stl/multibody.stl"), &options.limits).expect("open");
    let record = crate::testing::read_source(&source, &options).expect("read");
    let facts = record.facts().to_json();
    // trimesh, which joins vertices on loading: 20 vertices in 2 bodies.
    assert_eq!((&facts["vertices"], &facts["triangles"]), (&20.into(), &32.into()));
}

#[test]
fn bad_files_are_errors_or_findings() {
    for (name, line) in [("stl/malformed/huge-count.stl", None), ("stl/malformed/not-a-number.stl", Some(4))] {
        let error = read_bytes("stl", &bytes(name), Strictness::Default).expect_err(name);
        sound(&error, name);
        assert_eq!(error.location().and_then(|location| location.line), line, "{name}");
    }
    let record = read("stl/malformed/cut-in-facet.stl").expect("read");
    assert!(codes(&record).contains(&"stl.truncated".into()), "{:?}", codes(&record));
    assert_eq!(record.facts().to_json()["triangles"], 1);
}

#[test]
fn what_is_written_is_read_again() {
    for name in GOOD {
        let mut record = read(name).expect(name);
        let text = write(&mut record, "stl", &[("stl.ascii", "true")]);
        let again = read_bytes("stl", &text.bytes, Strictness::Strict).expect(name);
        assert_eq!(scene(&again).meshes.len(), scene(&record).meshes.len());
        for (before, after) in scene(&record).primitives().zip(scene(&again).primitives()) {
            assert_eq!((&before.positions, &before.normals), (&after.positions, &after.normals), "{name}");
        }
        let binary = write(&mut record, "stl", &[]);
        let again = read_bytes("stl", &binary.bytes, Strictness::Strict).expect(name);
        let all = |record: &MediaRecord| -> Vec<[f32; 3]> {
            scene(record).primitives().flat_map(|part| part.positions.clone()).collect()
        };
        assert_eq!(all(&again), all(&record), "{name}");
    }
}

#[test]
fn damaged_files_do_no_harm() {
    for name in GOOD {
        torture("stl", name, true);
    }
}

#[test]
fn content_decides() {
    is_detected("stl", GOOD, &["obj/cube-wandb.obj", "ply/cube_binary.ply", "obj/diffuse.png"]);
}

#[test]
fn threads_share_a_file_and_change_nothing() {
    // Some 5 MB: many small solids, one empty, facets outside, short ones, no normals, and one solid that is most of it.
    let mut text = String::from("\u{feff}solid first\n");
    for number in 0..2000 {
        text += &FACET.replace("vertex 0 0 0", &format!("vertex 0 {number} 0"));
        if number % 100 == 0 {
            text +=
                &format!("endsolid\nsolid empty\nendsolid\n{FACET}solid s{number}\nfacet normal 0 0 0\nvertex 1 2 3\n");
        }
    }
    for number in 0..50_000 {
        text += &FACET.replace("normal 0 0 1", "normal 0 0 0").replace("1 0 0", &format!("{number} 0 0"));
    }
    let made = read_in_threads("stl", &text);
    assert_eq!(made.matches("Mesh {").count(), 41, "the first, and twenty times one outside and one inside");
    for code in ["stl.short-facet", "stl.empty-solid", "stl.missing-endsolid", "stl.recomputed-normals"] {
        assert!(made.contains(code), "{code}");
    }
    let bad = text + FACET + "facet normal 0 0 1\nvertex 1 2 x\n";
    let line = bad.lines().count() as u64;
    let error = read_in_threads("stl", &bad);
    assert!(error.contains(&format!("line: Some({line})")), "{error}");
}
