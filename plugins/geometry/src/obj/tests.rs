//! Facts are those that trimesh 5.2.0 and assimp 5.2 state of the files, see `tests/data/obj/README.md`.

use mediary_core::record::Scene;
use mediary_core::record::scene::{AlphaMode, Mesh, Topology, Transform};
use mediary_core::{
    ErrorKind, MediaRecord, MemorySiblings, Output, ReadOptions, Registry, Source, Strictness, WriteOptions,
};

use crate::testing::{
    bytes, codes, is_detected, read, read_bytes, read_in_threads, read_source, scene, sound, torture,
    triangles_and_bounds, write,
};

const GOOD: &[&str] = &[
    "obj/box-complex-material.obj",
    "obj/box-negative-indices.obj",
    "obj/box_UTF16BE.obj",
    "obj/concave_polygon.obj",
    "obj/cube-wandb.obj",
    "obj/cube_with_vertexcolors.obj",
    "obj/test_nm.obj",
];

fn text(bytes: &str) -> MediaRecord {
    read_bytes("obj", bytes.as_bytes(), Strictness::Default).expect("read")
}

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let cases = [
        ("obj/box-complex-material.obj", 12, [-1.0; 3], [1.0; 3]),
        ("obj/box-negative-indices.obj", 12, [-1.0; 3], [1.0; 3]),
        ("obj/box_UTF16BE.obj", 12, [-0.5; 3], [0.5; 3]),
        ("obj/concave_polygon.obj", 64, [-1.146, 1.6575, 1.6055], [-1.146, 3.1425, 3.0905]),
        ("obj/cube-wandb.obj", 12, [-1.0; 3], [1.0; 3]),
        ("obj/cube_with_vertexcolors.obj", 12, [0.0; 3], [1.0; 3]),
        ("obj/test_nm.obj", 170, [-1.0, -1.0, -1.0], [1.0, 0.5_f64.sqrt(), 1.0]),
    ];
    for (name, triangles, min, max) in cases {
        triangles_and_bounds(name, triangles, min, max);
    }
}

#[test]
fn materials_and_textures_come_from_the_library() {
    let record = read("obj/box-complex-material.obj").expect("read");
    let scene = scene(&record);
    let [material] = &scene.materials[..] else { panic!("one material") };
    assert_eq!(material.base_color, [0.64, 0.64, 0.64, 0.9]);
    assert_eq!((material.emissive, material.alpha), ([0.1; 3], AlphaMode::Blend));
    assert_eq!(material.original["Ks"], "0.500000 0.500000 0.500000");
    assert!((material.roughness - (2.0_f32 / 98.078_43).sqrt()).abs() < 1e-6);
    let textures: Vec<_> = scene.textures.iter().map(|texture| (&*texture.media_type, texture.bytes.len())).collect();
    assert_eq!(textures, [("image/png", 8889), ("image/jpeg", 7092), ("image/png", 4998)]);
    // Three pictures without a slot, which are not there either.
    assert_eq!(codes(&record), ["obj.missing-texture"]);
}

#[test]
fn pictures_without_a_slot_are_named_textures() {
    let library = "newmtl a\nmap_Pr -s 2 2 1 tex/rough.png\nmap_Pm metal.png\nmap_Ks shine.jpg\nmap_Kd metal.png\n";
    let siblings = mediary_core::MemorySiblings::default()
        .with("a.mtl", library.as_bytes())
        .with("tex/rough.png", *b"\x89PNG\r\n\x1A\n-rough")
        .with("metal.png", *b"\x89PNG\r\n\x1A\n-metal")
        .with("shine.jpg", *b"\xFF\xD8\xFF-shine");
    let source = Source::from_bytes("a.obj", &b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n"[..]);
    let mut record = read_source(&source.with_siblings(siblings), &ReadOptions::default()).expect("read");
    assert_eq!(codes(&record), ["obj.named-textures"]);
    let pictures: Vec<_> = scene(&record).textures.iter().map(|it| (it.uri.as_deref(), it.bytes.len())).collect();
    assert_eq!(pictures, [(Some("metal.png"), 14), (Some("shine.jpg"), 9), (Some("tex/rough.png"), 14)]);
    assert!(scene(&record).materials[0].metallic_roughness_texture.is_none(), "two gray pictures are none of both");
    let written = write(&mut record, "obj", &[]);
    let file = |name: &str| {
        let found = written.siblings.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    let library = String::from_utf8(file("output.mtl")).expect("UTF-8");
    for line in ["map_Pr -s 2 2 1 rough.png", "map_Pm metal.png", "map_Ks shine.jpg", "map_Kd metal.png"] {
        assert!(library.lines().any(|it| it == line), "{line}: {library}");
    }
    assert_eq!(file("rough.png"), b"\x89PNG\r\n\x1A\n-rough");
}

#[test]
fn polygons_stay_polygons() {
    let record = read("obj/concave_polygon.obj").expect("read");
    let primitive = scene(&record).primitives().next().expect("a primitive");
    assert_eq!((primitive.topology, primitive.face_sizes.len(), primitive.corners()), (Topology::Polygons, 1, 66));
}

#[test]
fn indices_point_forward_and_back() {
    let record = text("f 1 2 3\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -3\n");
    let primitive = scene(&record).primitives().next().expect("a primitive");
    assert_eq!(primitive.indices.as_deref(), Some(&[0, 1, 2, 2, 1, 0][..]));
}

#[test]
fn dialects_are_read() {
    let record = text("v 0 0 0 # a\r\nv 1 0 0\rv 0 1 0\nv 1 1 0\nl 1 2 3\np 1 4\nf 1 2 \\\n 3\nfo 2 4 3");
    let parts: Vec<_> = scene(&record).primitives().map(|part| (part.topology, part.corners())).collect();
    assert_eq!(parts, [(Topology::Lines, 4), (Topology::Points, 2), (Topology::Triangles, 6)]);
    assert_eq!(codes(&record), ["obj.no-final-newline"]);
    let record = text("v 0 0 0\nv 1 0 0\nv 0 1 0\ng a\nf 1 2 3\no b\nf 1 2 3\ng c\nf 1 2 3\ng\nf 3 2 1\n");
    let names: Vec<_> = scene(&record).meshes.iter().map(|mesh| &*mesh.name).collect();
    assert_eq!(names, ["a", "b", "b/c"]);
    let latin =
        read_bytes("obj", b"o caf\xE9\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", Strictness::Default).expect("read");
    assert_eq!(scene(&latin).meshes[0].name, "caf\u{e9}");
}

#[test]
fn texture_coordinates_are_turned_to_the_upper_left() {
    let record = text("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0.25\nf 1/1 2/2 3/1\n");
    let primitive = scene(&record).primitives().next().expect("a primitive");
    assert_eq!(primitive.texcoords, [[[0.0, 1.0], [1.0, 0.75], [0.0, 1.0]]]);
}

#[test]
fn large_coordinates_keep_their_precision() {
    let record = text(
        "v 500000.125 5400000.0625 100\nv 500001.125 5400000.0625 100\nv 500000.125 5400001.3125 100.1\nf 1 2 3\n",
    );
    let scene = scene(&record);
    assert_ne!(scene.world_offset, [0.0; 3]);
    let bounds = scene.bounds().expect("bounds");
    assert_eq!((bounds.min[0], bounds.max[1]), (500_000.125, 5_400_001.312_5));
}

#[test]
fn corners_that_share_a_position_take_linear_time() {
    let mut obj = String::from("v 0 0 0\nv 1 0 0\nv 0 1 0\n");
    for index in 1..=60_000 {
        obj += &format!("vt {index} 0\nf 1/{index} 2/{index} 3/{index}\n");
    }
    assert_eq!(text(&obj).facts().to_json()["vertices"], 180_000);
}

#[test]
fn bad_files_are_errors_or_findings() {
    for (name, line) in [
        ("obj/malformed/invalid_index.obj", 12),
        ("obj/malformed/malformed.obj", 24),
        ("obj/malformed/word-for-number.obj", 2),
        ("obj/malformed/negative-before-first.obj", 4),
    ] {
        let error = read(name).expect_err(name);
        sound(&error, name);
        assert!(error.location().is_some_and(|location| location.line >= Some(line)), "{name}: {error}");
        let lenient = read_bytes("obj", &bytes(name), Strictness::Lenient).expect(name);
        assert!(!lenient.diagnostics.is_empty(), "{name}");
    }
    assert!(codes(&read("obj/malformed/inf_nan.obj").expect("read")).contains(&"obj.non-finite".into()));
    assert!(codes(&read("obj/malformed/notenoughindices.obj").expect("read")).contains(&"obj.short-face".into()));
    assert!(read_bytes("obj", &bytes("obj/malformed/notenoughindices.obj"), Strictness::Strict).is_err());
}

#[test]
fn references_stay_in_the_folder() {
    let record = text("mtllib ../../../etc/passwd\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n");
    assert_eq!(codes(&record), ["obj.missing-mtl", "obj.missing-material"]);
}

#[test]
fn one_odd_line_does_not_lose_the_library() {
    let library =
        "newmtl a b\nKd spectral f.rfl\nd -halo 0.5\nmap_Kd\nNs\nnewmtl c\nKd 0.5\nmap_Kd -s 2 2 -clamp on none.png\n";
    let obj = "mtllib my lib.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a b\nf 1 2 3\nusemtl c\nf 1 2 3\nusemtl\nf 3 2 1\n";
    let siblings = MemorySiblings::default().with("my lib.mtl", library.as_bytes());
    let source = Source::from_bytes("a.obj", obj.as_bytes()).with_siblings(siblings);
    let record = read_source(&source, &ReadOptions::default()).expect("read");
    let scene = scene(&record);
    let colors: Vec<_> = scene.materials.iter().map(|material| material.base_color).collect();
    assert_eq!(colors, [[1.0, 1.0, 1.0, 0.5], [0.5, 0.5, 0.5, 1.0]]);
    let used: Vec<_> = scene.primitives().map(|primitive| primitive.material).collect();
    assert_eq!(used, [Some(0), Some(1), None]);
    assert_eq!(codes(&record), ["obj.bad-mtl-line", "obj.missing-texture"]);
    assert_eq!(record.diagnostics.to_vec()[0].count, 3);
}

fn again(record: &mut MediaRecord) -> MediaRecord {
    let written = write(record, "obj", &[]);
    let siblings =
        written.siblings.iter().fold(MemorySiblings::default(), |all, (name, bytes)| all.with(name, bytes.as_slice()));
    let source = Source::from_bytes("output.obj", written.bytes).with_siblings(siblings);
    read_source(&source, &ReadOptions::default()).expect("what was written is read")
}

#[test]
fn what_is_written_is_read_again() {
    for name in GOOD {
        let mut record = read(name).expect(name);
        let again = again(&mut record);
        let (before, after) = (scene(&record), scene(&again));
        assert_eq!(before.meshes, after.meshes, "{name}");
        assert_eq!(before.materials, after.materials, "{name}");
        let textures = |scene: &mediary_core::record::Scene| {
            scene.textures.iter().map(|texture| (texture.bytes.clone(), texture.wrap)).collect::<Vec<_>>()
        };
        assert_eq!(textures(before), textures(after), "{name}");
        assert_eq!(again.facts(), record.facts(), "{name}");
        assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
    }
}

#[test]
fn placement_is_baked_and_reported() {
    let mut record = text("o a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 3//1\n");
    if let mediary_core::Media::Scene(scene) = &mut record.media {
        scene.nodes[0].transform =
            Transform::Trs { translation: [0.0, 0.0, 7.0], rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0, 1.0, -1.0] };
    }
    let again = again(&mut record);
    let primitive = scene(&again).primitives().next().expect("a primitive");
    assert_eq!(primitive.positions, [[0.0, 0.0, 7.0], [1.0, 0.0, 7.0], [0.0, 1.0, 7.0]]);
    assert_eq!((primitive.normals[0], primitive.indices.as_deref()), ([0.0, 0.0, -1.0], Some(&[2, 1, 0][..])));
    assert_eq!(record.loss.iter().map(|loss| &*loss.code).collect::<Vec<_>>(), ["obj.node-tree"]);
}

#[test]
fn a_stream_has_no_library() {
    let mut record = read("obj/box-complex-material.obj").expect("read");
    let mut out = Output::spool().expect("a spool");
    Registry::builtin().write(&mut record, "obj", &mut out, &WriteOptions::default()).expect("written");
    let lost: Vec<_> = record.loss.iter().map(|loss| &*loss.code).collect();
    assert_eq!(lost, ["obj.materials", "obj.textures"]);
    let mut text = Vec::new();
    out.copy_to(&mut text).expect("copied");
    assert!(!String::from_utf8_lossy(&text).contains("mtllib"));
}

#[test]
fn a_library_is_read_once() {
    let obj =
        format!("{}v 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n", "mtllib a.mtl\nmtllib a.mtl b.mtl\n".repeat(9));
    let siblings = MemorySiblings::default().with("a.mtl", *b"newmtl a\nnewmtl b\n").with("b.mtl", *b"newmtl c\n");
    let source = Source::from_bytes("a.obj", obj.as_bytes()).with_siblings(siblings);
    let record = read_source(&source, &ReadOptions::default()).expect("read");
    let names: Vec<_> = scene(&record).materials.iter().map(|material| material.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_scene_without_vertices_is_not_written() {
    let mut record = MediaRecord::new(Scene::of_meshes(vec![Mesh::default()]));
    let mut out = Output::memory();
    let refused = Registry::builtin().write(&mut record, "obj", &mut out, &WriteOptions::default());
    assert_eq!(refused.expect_err("nothing to write").kind(), ErrorKind::Unsupported);
}

#[test]
fn damaged_files_do_no_harm() {
    for name in GOOD {
        torture("obj", name, false);
    }
}

#[test]
fn only_obj_is_recognised() {
    is_detected(
        "obj",
        GOOD,
        &["stl/multibody.stl", "ply/greg_turk_example2_ok_ascii.ply", "obj/box-complex-material.mtl"],
    );
}

/// A text that several threads share out: names that hold across its parts, indices that count back, an odd line here and there.
fn long_text() -> String {
    let mut text = String::from("mtllib gone.mtl\no first\n");
    for number in 0..60_000_u32 {
        let at = f64::from(number);
        match number % 9_000 {
            4_000 => text.push_str("usemtl red \\\n and blue\n"),
            5_000 => text.push_str(&format!("g part {number}\n")),
            7_000 => text.push_str("o next\nwhat is this\nf 1 2\n"),
            _ => {}
        }
        let color = if number > 50_000 { " 0.5 0.25 1" } else { "" };
        text.push_str(&format!("v {at} {} {}{color}\nvt 0.5 {}\n", at / 3.0, at * 0.1, 1.0 / (at + 1.0)));
        match number % 5 {
            2 => text.push_str("f -1 -2/-1 -3\nf 1/1 2/2 -1/-1\n"),
            4 => text.push_str(&format!("f -1/-1 -2/-2 -3/-3 -4/-4\nl {} {}\n", number + 1, number + 3)),
            _ => {}
        }
    }
    text.push_str("v 0 0 0\nv 0 0 0\nv 0 0 0");
    text
}

#[test]
fn threads_share_a_file_and_change_nothing() {
    let text = long_text();
    let made = read_in_threads("obj", &text);
    assert!(made.matches("Mesh {").count() > 10 && made.matches("Diagnostic {").count() > 3);
    let bad = text + "\nf 1 2 70000\nf 1 2 x\n";
    let line = bad.lines().count() as u64;
    let error = read_in_threads("obj", &bad);
    assert!(error.contains(&format!("line: Some({line})")), "{error}");
}
