//! Real files against the numbers of other programs, made documents for what the real ones lack, and hostile ones.

use mediary_core::record::Scene;
use mediary_core::record::scene::{AlphaMode, Camera, Light, Material, Primitive, Texture, TextureUse, Topology, Wrap};
use mediary_core::{Context, ErrorKind, Facts, MediaRecord, ReadOptions, Registry, Result, Source, Strictness};
use serde_json::{Value, json};

use super::*;
use crate::testing::{self, scene};

const FILES: [&str; 4] = ["BoxInterleaved", "BoxTextured", "Fox", "no_indices_3storybuilding"];

fn data(name: &str) -> Vec<u8> {
    testing::bytes(&format!("glb/{name}.glb"))
}

fn read_with(bytes: &[u8], strictness: Strictness) -> Result<MediaRecord> {
    testing::read_bytes("glb", bytes, strictness)
}

fn read(bytes: &[u8]) -> Result<MediaRecord> {
    read_with(bytes, Strictness::Default)
}

fn facts_of(record: &MediaRecord) -> SceneFacts {
    scene(record).facts()
}

fn written(record: &mut MediaRecord) -> Vec<u8> {
    testing::write(record, "glb", &[]).bytes
}

/// A GLB of a document and its buffer.
fn glb(document: &Value, bin: &[u8]) -> Vec<u8> {
    let mut json = document.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut bin = bin.to_vec();
    bin.resize(bin.len().next_multiple_of(4), 0);
    let total = 12 + 8 + json.len() + if bin.is_empty() { 0 } else { 8 + bin.len() };
    let mut out = [&MAGIC[..], &2u32.to_le_bytes(), &(total as u32).to_le_bytes()].concat();
    out.extend([&(json.len() as u32).to_le_bytes()[..], b"JSON", &json].concat());
    if !bin.is_empty() {
        out.extend([&(bin.len() as u32).to_le_bytes()[..], b"BIN\0", &bin].concat());
    }
    out
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A document of one mesh over `views`, each `[offset, length]`.
fn document(primitive: Value, accessors: Value, views: &[[usize; 2]], bytes: usize) -> Value {
    let views: Vec<_> =
        views.iter().map(|[offset, length]| json!({"buffer": 0, "byteOffset": offset, "byteLength": length})).collect();
    json!({
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}], "accessors": accessors, "bufferViews": views,
        "buffers": [{"byteLength": bytes}],
    })
}

const SQUARE: [f32; 12] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0];

fn square(mode: u32) -> Vec<u8> {
    let accessor = json!([{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}]);
    glb(&document(json!({"attributes": {"POSITION": 0}, "mode": mode}), accessor, &[[0, 48]], 48), &floats(&SQUARE))
}

#[test]
fn real_files_have_the_numbers_of_other_programs() {
    // nodes, meshes, vertices, triangles, materials, textures, animations: pygltflib 1.16.5; bounds: trimesh 5.2.0.
    let expected = [
        ("BoxInterleaved", [2, 1, 24, 12, 1, 0, 0], [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5]),
        ("BoxTextured", [2, 1, 24, 12, 1, 1, 0], [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5]),
        ("Fox", [26, 1, 1728, 576, 1, 1, 3], [-12.59272, -0.12174, -88.095, 12.59272, 78.90719, 66.62486]),
        ("no_indices_3storybuilding", [4, 3, 216, 72, 0, 0, 0], [-23.20714, 0.0, 0.0, 32.873, 9.0, 63.36141]),
    ];
    for (name, counts, corners) in expected {
        let record = read(&data(name)).unwrap();
        let facts = facts_of(&record);
        let found = [
            facts.nodes,
            facts.meshes,
            facts.vertices,
            facts.triangles,
            facts.materials,
            facts.textures,
            facts.animations,
        ];
        assert_eq!(found.map(Option::unwrap), counts, "{name}");
        let bounds = facts.bounds.unwrap();
        for (found, expected) in bounds.min.into_iter().chain(bounds.max).zip(corners) {
            assert!((found - expected).abs() < 1e-4, "{name}: {bounds:?}");
        }
        assert!(record.source_is_canonical, "{name}: {:?}", record.diagnostics.to_vec());
    }
    for name in ["Box_Draco", "BoxMeshopt"] {
        let record = read(&data(name)).unwrap();
        let facts = facts_of(&record);
        assert_eq!((facts.vertices, facts.triangles), (Some(24), Some(12)), "{name}");
        assert!(!record.source_is_canonical, "{name}: other viewers cannot undo its compression");
    }
    let fox = read(&data("Fox")).unwrap();
    assert_eq!(scene(&fox).skins[0].joints.len(), 24);
    assert_eq!(scene(&fox).textures[0].media_type, "image/png");
}

#[test]
fn the_header_says_what_the_record_says() {
    for name in FILES {
        let source = Source::from_bytes("", data(name));
        let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
        let header = reading.header().unwrap();
        let record = reading.next().unwrap().unwrap();
        let (Facts::Scene(mut early), late) = (header.facts, facts_of(&record)) else { panic!() };
        if early.bounds.is_none() {
            early.bounds = late.bounds;
        }
        assert_eq!(early, late, "{name}");
        assert!(reading.next().is_none());
    }
    let Facts::Scene(facts) =
        Glb.open(&Source::from_bytes("", square(5)), &Context::new("glb")).unwrap().header().unwrap().facts
    else {
        panic!()
    };
    assert_eq!(facts.bounds.unwrap().max, [1.0, 1.0, 0.0], "without a rotation min and max are exact");
}

#[test]
fn what_is_written_is_read_again() {
    for name in FILES {
        let mut first = read(&data(name)).unwrap();
        let bytes = written(&mut first);
        assert!(first.loss.is_empty(), "{:?}", first.loss);
        let mut second = read_with(&bytes, Strictness::Strict).unwrap();
        assert_eq!(scene(&first), scene(&second), "{name}");
        assert_eq!(first.properties, second.properties, "{name}");
        assert!(second.source_is_canonical, "{name}");
        assert_eq!(written(&mut second), bytes, "{name}");
    }
}

/// A scene with everything that real files here lack.
fn rich_scene() -> Scene {
    let used = TextureUse { texture: 0, texcoord: 1, transform: Some(([0.1, 0.2], [3.0, 4.0], 0.7)), factor: 0.3 };
    let material = Material {
        name: "glow".into(),
        base_color: [0.8, 0.1, 0.2, 0.5],
        emissive: [5.3, 0.7, 0.0],
        normal_texture: Some(used),
        alpha: AlphaMode::Mask(0.4),
        unlit: true,
        original: [("Ks".to_owned(), "0.5 0.5 0.5".to_owned())].into(),
        ..Material::default()
    };
    let line =
        Primitive { topology: Topology::Lines, positions: vec![[0.0; 3], [1.0; 3]].into(), ..Primitive::default() };
    let quad = Primitive {
        positions: vec![[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 2.0, 0.0], [0.0, 2.0, 0.0]].into(),
        colors: vec![vec![[0.1, 0.2, 0.3, 0.4]; 4].into()],
        texcoords: vec![vec![[0.5, 0.25]; 4].into(); 2],
        indices: Some(vec![0, 1, 2, 0, 2, 3].into()),
        material: Some(0),
        ..Primitive::default()
    };
    let mut scene =
        Scene::of_meshes(vec![Mesh { name: "both".into(), primitives: vec![line, quad], ..Mesh::default() }]);
    scene.materials = vec![material];
    scene.textures = vec![Texture {
        name: "t".into(),
        uri: Some("tex/a.png".into()),
        media_type: "image/png".into(),
        bytes: (*b"\x89PNG\r\n\x1A\n-").into(),
        wrap: [Wrap::Mirror, Wrap::Clamp],
        nearest: true,
    }];
    scene.cameras = vec![
        Camera::Perspective { yfov: 0.7, aspect: Some(1.5), near: 0.1, far: None },
        Camera::Orthographic { xmag: 2.0, ymag: 3.0, near: 0.1, far: 9.0 },
    ];
    let (color, range) = ([0.5, 1.0, 1.0], Some(3.0));
    scene.lights = vec![Light { name: "l".into(), kind: "spot", color, intensity: 7.0, range, cone: Some([0.1, 0.4]) }];
    scene.nodes[0].light = Some(0);
    scene.nodes.push(Node { name: "eye".into(), camera: Some(1), ..Node::default() });
    scene.roots.push(1);
    (scene.up_axis, scene.unit_meters) = (Some("y"), Some(1.0));
    scene
}

#[test]
fn everything_of_a_scene_is_kept() {
    let frames = [
        (Some("y"), Some(1.0), [0.0; 3]),
        (Some("z"), Some(0.001), [432_100.123_456_789, 5_400_000.1, -12.3]),
        (Some("x"), Some(1.0), [0.0; 3]),
    ];
    for (up_axis, unit_meters, world_offset) in frames {
        let mut scene_in = rich_scene();
        (scene_in.up_axis, scene_in.unit_meters, scene_in.world_offset) = (up_axis, unit_meters, world_offset);
        let mut record = MediaRecord::new(scene_in).with_property("origin", "made");
        let bytes = written(&mut record);
        assert!(record.loss.is_empty(), "{:?}", record.loss);
        let again = read_with(&bytes, Strictness::Strict).unwrap();
        assert_eq!(scene(&record), scene(&again));
        assert_eq!(record.properties, again.properties);
        assert_eq!(facts_of(&record), facts_of(&again));
    }
}

#[test]
fn viewers_see_a_z_up_scene_upright_and_in_metres() {
    let mut z_up = rich_scene();
    (z_up.up_axis, z_up.unit_meters, z_up.world_offset) = (Some("z"), Some(0.5), [10.0, 20.0, 30.0]);
    let bytes = written(&mut MediaRecord::new(z_up));
    // A reader that does not know the mark sees the node.
    let mut other = bytes.clone();
    let at = bytes.windows(20).position(|window| window == b"\"mediary\":{\"world_of").unwrap();
    other[at..at + 9].copy_from_slice(b"\"another\"");
    let record = read(&other).unwrap();
    let bounds = facts_of(&record).bounds.unwrap();
    // (x, y, z) becomes (x, z, -y) / 2: x 10 to 12, y 20 to 22, z 30 to 31.
    let expected = ([5.0, 15.0, -11.0], [6.0, 15.5, -10.0]);
    for axis in 0..3 {
        assert!((bounds.min[axis] - expected.0[axis]).abs() < 1e-9, "{bounds:?}");
        assert!((bounds.max[axis] - expected.1[axis]).abs() < 1e-9, "{bounds:?}");
    }
}

#[test]
fn polygons_and_forbidden_values_are_repaired_and_reported() {
    let primitive = Primitive {
        topology: Topology::Polygons,
        positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [f32::NAN, 0.0, 0.0]].into(),
        normals: vec![[0.0, 0.0, 2.0], [0.0; 3], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]].into(),
        colors: vec![vec![[2.0, 0.0, 0.0, 1.0]; 5].into()],
        indices: Some(vec![0, 1, 2, 3, 0, 1, 2].into()),
        face_sizes: vec![4, 3].into(),
        ..Primitive::default()
    };
    let empty = Primitive::default();
    let meshes = vec![Mesh::default(), Mesh { primitives: vec![primitive, empty], ..Mesh::default() }];
    let mut record = MediaRecord::new(Scene::of_meshes(meshes));
    let bytes = written(&mut record);
    let losses: Vec<_> = record.loss.iter().map(|loss| (loss.code.as_ref(), loss.count)).collect();
    assert_eq!(
        losses,
        [
            ("glb.empty-mesh", 1),
            ("glb.empty-primitive", 1),
            ("glb.non-finite", 1),
            ("glb.normals", 2),
            ("glb.color-range", 5),
            ("glb.polygons", 1),
        ]
    );
    let again = read_with(&bytes, Strictness::Strict).unwrap();
    let primitive = &scene(&again).meshes[0].primitives[0];
    assert_eq!(primitive.indices.as_deref(), Some(&[0, 1, 2, 0, 2, 3, 0, 1, 2][..]));
    assert_eq!(primitive.normals[0], [0.0, 0.0, 1.0]);
    assert_eq!(scene(&again).nodes[1].mesh, Some(0), "the empty mesh is gone, the other moved up");
}

#[test]
fn strips_loops_and_fans_become_lists() {
    // Expanded by hand from section 3.7.2.1 of the specification.
    let expected: [(u32, Topology, Option<&[u32]>); 7] = [
        (0, Topology::Points, None),
        (1, Topology::Lines, None),
        (2, Topology::Lines, Some(&[0, 1, 1, 2, 2, 3, 3, 0])),
        (3, Topology::Lines, Some(&[0, 1, 1, 2, 2, 3])),
        (4, Topology::Triangles, Some(&[0, 1, 2])),
        (5, Topology::Triangles, Some(&[0, 1, 2, 1, 3, 2])),
        (6, Topology::Triangles, Some(&[1, 2, 0, 2, 3, 0])),
    ];
    for (mode, topology, indices) in expected {
        let record = read(&square(mode)).unwrap();
        let primitive = &scene(&record).meshes[0].primitives[0];
        assert_eq!((primitive.topology, primitive.indices.as_deref()), (topology, indices), "mode {mode}");
        let header = Glb.open(&Source::from_bytes("", square(mode)), &Context::new("glb")).unwrap().header().unwrap();
        let Facts::Scene(early) = header.facts else { panic!() };
        assert_eq!(early.triangles, facts_of(&record).triangles, "mode {mode}");
    }
}

#[test]
fn sparse_quantized_and_absent_data_are_decoded() {
    // Three accessors: zeros with two sparse values, i8 normalized, and u16 quantized positions with a stride of 8.
    let mut bin = vec![1, 0, 3, 0];
    bin.extend(floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    bin.extend([127u8, 0x81, 0x80, 0].repeat(4));
    for value in 0u16..16 {
        bin.extend((value * 1000).to_le_bytes());
    }
    let accessors = json!([
        {"componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [4, 5, 6], "sparse": {"count": 2,
            "indices": {"bufferView": 0, "componentType": 5123}, "values": {"bufferView": 1}}},
        {"bufferView": 2, "componentType": 5120, "normalized": true, "count": 4.0, "type": "VEC3"},
        {"bufferView": 3, "componentType": 5123, "count": 4, "type": "VEC3", "min": [0, 1000, 2000], "max": [12000, 13000, 14000]},
    ]);
    let primitive = |position: u32| json!({"attributes": {"POSITION": position, "NORMAL": 1}, "mode": 0});
    let mut document = document(primitive(0), accessors, &[[0, 4], [4, 24], [28, 16], [44, 32]], bin.len());
    document["bufferViews"][2]["byteStride"] = json!(4);
    document["bufferViews"][3]["byteStride"] = json!(8);
    document["meshes"][0]["primitives"] = json!([primitive(0), primitive(2)]);
    document["extensionsUsed"] = json!(["KHR_mesh_quantization"]);
    document["extensionsRequired"] = json!(["KHR_mesh_quantization"]);
    let record = read_with(&glb(&document, &bin), Strictness::Strict).unwrap();
    let [sparse, quantized] = &scene(&record).meshes[0].primitives[..] else { panic!() };
    assert_eq!(sparse.positions, [[0.0; 3], [1.0, 2.0, 3.0], [0.0; 3], [4.0, 5.0, 6.0]]);
    assert_eq!(sparse.normals, [[1.0, -1.0, -1.0]; 4]);
    assert_eq!(quantized.positions[3], [12000.0, 13000.0, 14000.0]);
    assert!(!record.source_is_canonical, "it needs an extension");
}

#[test]
fn broken_documents_are_refused_with_their_place() {
    let broken = |change: &dyn Fn(&mut Value)| {
        let accessors = json!([
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 1, "componentType": 5121, "count": 6, "type": "SCALAR"},
        ]);
        let bin = [floats(&SQUARE), vec![0, 1, 2, 2, 1, 3]].concat();
        let primitive = json!({"attributes": {"POSITION": 0}, "indices": 1});
        let mut document = document(primitive, accessors, &[[0, 48], [48, 6]], 54);
        change(&mut document);
        read(&glb(&document, &bin)).map(|record| record.diagnostics.to_vec())
    };
    assert_eq!(broken(&|_| {}).unwrap(), []);
    let huge = 1u64 << 62;
    type Case<'c> = (&'c str, &'c dyn Fn(&mut Value));
    let cases: [Case<'_>; 17] = [
        ("accessor 9 is out of range", &|d| d["meshes"][0]["primitives"][0]["attributes"]["POSITION"] = json!(9)),
        ("exceed the buffer view", &|d| d["accessors"][0]["count"] = json!(5)),
        ("elements", &|d| d["accessors"][0]["count"] = json!(huge)),
        ("exceed the buffer view", &|d| d["accessors"][0]["byteOffset"] = json!(huge)),
        ("exceed the buffer", &|d| d["bufferViews"][0]["byteOffset"] = json!(huge)),
        ("exceed the buffer", &|d| d["bufferViews"][0]["byteLength"] = json!(huge)),
        ("byte stride of 1", &|d| d["bufferViews"][0]["byteStride"] = json!(1)),
        ("the buffer ends early", &|d| d["buffers"][0]["byteLength"] = json!(4096)),
        ("unknown component type", &|d| d["accessors"][0]["componentType"] = json!(5130)),
        ("expected type VEC3", &|d| d["accessors"][0]["type"] = json!("VEC2")),
        ("unsigned integers", &|d| d["accessors"][1]["componentType"] = json!(5120)),
        ("cycle", &|d| d["nodes"][0]["children"] = json!([0])),
        ("two parents", &|d| d["nodes"] = json!([{"children": [1, 1]}, {}])),
        ("mesh 7 is out of range", &|d| d["nodes"][0]["mesh"] = json!(7)),
        ("index 3 is out of range", &|d| d["accessors"][0]["count"] = json!(3)),
        ("expected 0 to 6", &|d| d["meshes"][0]["primitives"][0]["mode"] = json!(7)),
        ("non-negative integer", &|d| d["nodes"][0]["mesh"] = json!("zero")),
    ];
    for (expected, change) in cases {
        let error = broken(change).unwrap_err();
        assert!(error.message().contains(expected), "expected {expected:?}, found {error}");
        assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Limit), "{error}");
        assert!(error.location().is_some() || error.limit_name().is_some(), "{error}");
    }
    // Zeros without bytes are bounded by the budget.
    let zeros = json!([{"componentType": 5126, "count": 2_000_000_000, "type": "VEC3"}]);
    let bytes = glb(&document(json!({"attributes": {"POSITION": 0}, "mode": 0}), zeros, &[], 0), &[0; 4]);
    assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::Limit);
    for name in ["chunk_too_big", "invalid_json_chunk", "length_mismatch"] {
        let error = read(&data(&format!("malformed/{name}"))).unwrap_err();
        assert!(error.location().is_some_and(|place| place.byte.is_some()), "{error}");
    }
    let mut first = data("BoxInterleaved");
    first[4] = 1;
    assert!(read(&first).unwrap_err().message().contains("glTF 1.0"));
}

#[test]
fn files_beside_the_input_are_read_or_reported() {
    let mut document: Value = document(
        json!({"attributes": {"POSITION": 0}, "mode": 0, "material": 0}),
        json!([{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}]),
        &[[0, 48]],
        48,
    );
    document["buffers"][0]["uri"] = json!("a%20b.bin");
    document["images"] = json!([{"uri": "../up.png"}, {"uri": "data:image/png;base64,iVBORw0KGgo="}]);
    document["textures"] = json!([{"source": 0}, {"source": 1}]);
    document["materials"] = json!([{"pbrMetallicRoughness": {"baseColorTexture": {"index": 1}}}]);
    let siblings = mediary_core::MemorySiblings::default().with("a b.bin", floats(&SQUARE));
    let source = Source::from_bytes("", glb(&document, &[])).with_siblings(siblings);
    let record = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
    assert_eq!(scene(&record).meshes[0].primitives[0].positions[3], [1.0, 1.0, 0.0]);
    assert_eq!(scene(&record).textures[1].bytes.len(), 8);
    let codes: Vec<_> = record.diagnostics.to_vec().iter().map(|it| it.code.clone()).collect();
    assert_eq!(codes, ["glb.missing-image"]);
    assert!(!record.source_is_canonical);
}

#[test]
fn cut_and_flipped_files_never_panic() {
    for name in ["BoxInterleaved", "BoxTextured", "no_indices_3storybuilding"] {
        testing::torture_bytes("glb", name, &data(name), true, |record| drop(written(record)));
    }
}
