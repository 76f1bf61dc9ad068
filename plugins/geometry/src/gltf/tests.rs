//! Facts are those of pygltflib 1.16.5 (counts) and assimp 5.2 (bounds, of sparse data too), see `tests/data/gltf/README.md`.

use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Primitive, Transform};
use mediary_core::{ErrorKind, MediaRecord, MemorySiblings, ReadOptions, Result, Source, Strictness};
use serde_json::{Value, json};

use crate::testing::{
    bytes, codes, header_agrees, is_detected, read, read_bytes, read_source, scene, sound, torture,
    triangles_and_bounds, write,
};

const GOOD: &[&str] = &[
    "gltf/AnimatedMorphCube.gltf",
    "gltf/BoxTextured-embedded.gltf",
    "gltf/InterpolationTest.gltf",
    "gltf/SimpleSparseAccessor.gltf",
    "gltf/triangle-without-indices.gltf",
];

fn text(document: &Value) -> Result<MediaRecord> {
    read_bytes("gltf", document.to_string().as_bytes(), Strictness::Default)
}

/// A triangle whose buffer has this URI.
fn triangle(uri: &str) -> Value {
    json!({
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"byteLength": 36, "uri": uri}],
    })
}

const CORNERS: [[f32; 3]; 3] = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

fn corner_bytes() -> Vec<u8> {
    CORNERS.iter().flatten().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let cases = [
        ("gltf/AnimatedMorphCube.gltf", 12, [-1.0; 3], [1.0; 3]),
        ("gltf/BoxTextured-embedded.gltf", 12, [-0.5; 3], [0.5; 3]),
        ("gltf/InterpolationTest.gltf", 110, [-4.38678, -2.15946, -1.0], [4.34834, 7.95891, 1.00894]),
        ("gltf/SimpleSparseAccessor.gltf", 12, [0.0; 3], [6.0, 4.0, 0.0]),
        ("gltf/triangle-without-indices.gltf", 1, [0.0; 3], [1.0, 1.0, 0.0]),
    ];
    for (name, triangles, min, max) in cases {
        triangles_and_bounds(name, triangles, min, max);
        header_agrees(name);
    }
    let record = read("gltf/InterpolationTest.gltf").expect("read");
    let scene = scene(&record);
    assert_eq!((scene.nodes.len(), scene.materials.len(), scene.animations.len()), (12, 10, 9));
    let [texture] = &scene.textures[..] else { panic!("one texture") };
    assert_eq!((texture.uri.as_deref(), texture.bytes.len()), (Some("l.jpg"), 11376));
    assert!(!record.source_is_canonical, "text is not what viewers of records expect");
}

#[test]
fn buffers_come_from_any_kind_of_uri() {
    let percent: String = corner_bytes().iter().map(|byte| format!("%{byte:02x}")).collect();
    let base64 = "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA";
    for uri in [format!("data:,{percent}"), format!("data:application/octet-stream;base64,{base64}")] {
        let record = text(&triangle(&uri)).expect("read");
        assert_eq!(scene(&record).meshes[0].primitives[0].positions, CORNERS, "{uri}");
        assert!(codes(&record).is_empty());
    }
    let beside = MemorySiblings::default().with("sub/a b.bin", corner_bytes());
    let source = Source::from_bytes("a.gltf", triangle("sub/a%20b.bin").to_string().as_bytes()).with_siblings(beside);
    let record = read_source(&source, &ReadOptions::default()).expect("read");
    assert_eq!(scene(&record).meshes[0].primitives[0].positions, CORNERS);
}

#[test]
fn references_stay_in_the_folder() {
    let folder = tempfile();
    std::fs::write(folder.join("secret.bin"), corner_bytes()).expect("written");
    std::fs::create_dir_all(folder.join("in")).expect("made");
    let path = folder.join("in/a.gltf");
    let absolute = folder.join("secret.bin").display().to_string();
    let file = format!("file://{absolute}");
    for uri in
        ["../secret.bin", "%2e%2e/secret.bin", "..%2Fsecret.bin", "x/../../secret.bin", &absolute, &file, "/dev/zero"]
    {
        std::fs::write(&path, triangle(uri).to_string()).expect("written");
        let options = ReadOptions::default();
        let error =
            Source::open(&path, &options.limits).and_then(|source| read_source(&source, &options)).expect_err(uri);
        sound(&error, uri);
    }
    std::fs::remove_dir_all(folder).expect("removed");
}

/// A fresh folder.
fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("mediary-gltf-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    folder
}

#[test]
fn version_1_and_broken_files_are_refused_with_reasons() {
    let error = read("gltf/malformed/glTF-1.0.gltf").expect_err("version 1.0");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("glTF 1.0 is not supported"), "{error}");
    let error = text(&json!({"asset": {"version": "1.1"}, "meshes": []})).expect_err("version 1.1");
    assert!(error.message().contains("glTF 1.0 is not supported"), "{error}");
    for name in ["Invalid_Json", "RecursiveNodes", "IndexOutOfRange"] {
        let error = read(&format!("gltf/malformed/{name}.gltf")).expect_err(name);
        sound(&error, name);
    }
    assert_eq!(codes(&read("gltf/malformed/invalid-buffer-view-index.gltf").expect("read")), ["gltf.no-positions"]);
    let marked = [b"\xEF\xBB\xBF", triangle("data:,").to_string().replace("36", "0").as_bytes()].concat();
    let error = read_bytes("gltf", &marked, Strictness::Default).expect_err("no data");
    assert!(error.message().contains("exceed"), "{error}");
}

#[test]
fn what_is_written_is_read_again() {
    for name in GOOD {
        for embed in ["false", "true"] {
            let mut record = read(name).expect(name);
            let written = write(&mut record, "gltf", &[("gltf.embed", embed)]);
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
            assert_eq!(written.siblings.is_empty(), embed == "true", "{name}");
            let siblings = written.siblings.into_iter();
            let siblings = siblings.fold(MemorySiblings::default(), |all, (name, bytes)| all.with(name, bytes));
            let source = Source::from_bytes("output.gltf", written.bytes).with_siblings(siblings);
            let mut strict = ReadOptions::default();
            strict.strictness = Strictness::Strict;
            let again = read_source(&source, &strict).expect(name);
            // A picture that had no file has one now.
            let mut expected = scene(&record).clone();
            for (texture, written) in expected.textures.iter_mut().zip(&scene(&again).textures) {
                texture.uri = texture.uri.take().or_else(|| written.uri.clone());
            }
            assert!(expected == *scene(&again), "{name}");
            assert_eq!(record.properties, again.properties, "{name}");
        }
    }
}

#[test]
fn shear_is_written_as_two_nodes_and_read_as_one() {
    let mesh = Mesh {
        primitives: vec![Primitive { positions: CORNERS.to_vec().into(), ..Primitive::default() }],
        ..Mesh::default()
    };
    let mut sheared = Scene::of_meshes(vec![mesh.clone(), mesh]);
    let shear = [1.0, 0.0, 0.0, 0.0, 0.7, 1.0, 0.0, 0.0, 0.0, -0.3, 2.0, 0.0, 4.0, 5.0, 6.0, 1.0];
    sheared.nodes[0].transform = Transform::Matrix(shear);
    sheared.nodes[1].transform = Transform::Matrix(shear);
    sheared.nodes[0].children = vec![1];
    sheared.roots = vec![0];
    (sheared.up_axis, sheared.unit_meters) = (Some("z"), Some(1.0));
    let mut record = MediaRecord::new(sheared);
    let written = write(&mut record, "gltf", &[("gltf.embed", "true")]);
    assert!(record.loss.is_empty(), "{:?}", record.loss);
    let again = read_bytes("gltf", &written.bytes, Strictness::Strict).expect("read");
    assert!(scene(&record) == scene(&again));
    // A reader that does not know the marks sees two nodes for each, in the same place.
    let mut document: Value = serde_json::from_slice(&written.bytes).expect("JSON");
    for node in document["nodes"].as_array_mut().expect("nodes") {
        assert!(node.get("matrix").is_none(), "{node}");
        node.as_object_mut().expect("an object").remove("extras");
    }
    let other = text(&document).expect("read");
    assert_eq!(scene(&other).nodes.len(), 5);
    let (a, b) = (scene(&record).bounds().expect("bounds"), scene(&other).bounds().expect("bounds"));
    // The frame node turns z up to y up: (x, y, z) is seen as (x, z, -y).
    let turned = [b.min[0], -b.max[2], b.min[1], b.max[0], -b.min[2], b.max[1]];
    let expected: Vec<f64> = a.min.into_iter().chain(a.max).collect();
    assert!(turned.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
}

#[test]
fn extensions_without_a_place_are_kept_as_text() {
    let mut document = triangle("data:;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA");
    let variants = json!({"KHR_materials_variants": {"variants": [{"name": "red"}]}});
    let mappings = json!({"KHR_materials_variants": {"mappings": [{"material": 0, "variants": [0]}]}});
    document["extensions"] = variants.clone();
    document["extensionsUsed"] = json!(["KHR_materials_variants", "KHR_materials_pbrSpecularGlossiness"]);
    document["extensionsRequired"] = document["extensionsUsed"].clone();
    document["meshes"][0]["primitives"][0]["extensions"] = mappings.clone();
    let glossy = json!({"diffuseFactor": [1.0, 0.5, 0.25, 1.0], "glossinessFactor": 0.75});
    document["materials"] = json!([{"extensions": {"KHR_materials_pbrSpecularGlossiness": glossy}}]);
    let record = text(&document).expect("read");
    assert_eq!(record.properties["extensions"], json!({"": variants, "meshes[0].primitives[0]": mappings}));
    let material = &scene(&record).materials[0];
    assert_eq!((material.base_color, material.metallic, material.roughness), ([1.0, 0.5, 0.25, 1.0], 0.0, 0.25));
    assert!(material.original["KHR_materials_pbrSpecularGlossiness"].contains("glossinessFactor"));
    document["extensionsRequired"] = json!(["KHR_spz_gaussian_splats_compression"]);
    assert_eq!(text(&document).expect_err("unknown").kind(), ErrorKind::Unsupported);
}

#[test]
fn damaged_files_do_no_harm() {
    for name in ["gltf/BoxTextured-embedded.gltf", "gltf/triangle-without-indices.gltf"] {
        torture("gltf", name, false);
    }
}

#[test]
fn only_gltf_is_recognised() {
    is_detected(
        "gltf",
        GOOD,
        &["pts.json/simple_xyz.pts.json", "histogram/packed.histogram.json", "glb/BoxTextured.glb"],
    );
    assert!(!bytes("gltf/triangle-without-indices.gltf").is_empty());
}
