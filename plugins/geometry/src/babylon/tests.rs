//! Facts are those of Babylon.js 9.35.0 with its NullEngine, see `tests/data/babylon/README.md`.

use mediary_core::record::scene::{AlphaMode, AnimatedProperty, Camera, Interpolation, Transform, Wrap};
use mediary_core::{ErrorKind, MediaRecord, MemorySiblings, ReadOptions, Result, Source, Strictness};
use serde_json::{Value, json};

use crate::testing::{bytes, codes, is_detected, read, read_bytes, read_source, scene, sound, torture, write};

const GOOD: &[&str] = &[
    "babylon/AnimatedMorphCube.babylon",
    "babylon/Instances.babylon",
    "babylon/RiggedFigure.babylon",
    "babylon/SimpleTriangle.babylon",
];

fn text(document: &Value) -> Result<MediaRecord> {
    read_bytes("babylon", document.to_string().as_bytes(), Strictness::Default)
}

/// One mesh of a triangle with these further keys.
fn mesh(more: &Value) -> Value {
    let mut mesh = json!({"name": "m", "id": "m", "positions": [0, 0, 1, 0, 1, 1, 1, 0, 1], "indices": [0, 1, 2]});
    for (key, value) in more.as_object().expect("an object") {
        mesh[key] = value.clone();
    }
    mesh
}

#[test]
fn counts_are_those_of_babylon_js() {
    // Nodes (bones and lights too), meshes, vertices, triangles, materials.
    let cases = [
        ("AnimatedMorphCube", [3, 2, 72, 24, 3], [-50.0, 0.0, -50.0], [200.0, 100.0, 50.0]),
        ("Instances", [4, 1, 108, 36, 0], [-0.5, 0.0, -0.5], [4.5, 1.0, 0.5]),
        ("RiggedFigure", [21, 1, 768, 256, 1], [-0.41, 0.0, -0.11], [0.27, 1.48, 0.24]),
        ("SimpleTriangle", [2, 1, 3, 1, 1], [-41.4415, -33.33, -37.1687], [58.5585, 66.67, -37.1687]),
    ];
    for (name, counts, min, max) in cases {
        let record = read(&format!("babylon/{name}.babylon")).expect(name);
        let facts = scene(&record).facts();
        let found = [facts.nodes, facts.meshes, facts.vertices, facts.triangles, facts.materials];
        assert_eq!(found.map(Option::unwrap_or_default), counts, "{name}");
        let bounds = facts.bounds.expect(name);
        for axis in 0..3 {
            assert!((bounds.min[axis] - min[axis]).abs() < 1e-3, "{name}: {bounds:?}");
            assert!((bounds.max[axis] - max[axis]).abs() < 1e-3, "{name}: {bounds:?}");
        }
        assert!(codes(&record).iter().all(|code| code == "babylon.hemispheric-light"), "{name}: {:?}", codes(&record));
        // Normals of the file agree with the winding.
        for primitive in scene(&record).primitives() {
            let indices = primitive.indices.as_deref().expect("indices");
            let agree = indices.chunks_exact(3).filter(|corners| {
                let [a, b, c] = [0, 1, 2].map(|at| primitive.positions[corners[at] as usize]);
                let normal = crate::vertex::face_normal([a, b, c]).unwrap_or([0.0; 3]);
                let given = primitive.normals[corners[0] as usize];
                (0..3).map(|axis| normal[axis] * given[axis]).sum::<f32>() > 0.0
            });
            assert!(agree.count() * 100 >= indices.len() / 3 * 98, "{name}");
        }
    }
}

#[test]
fn skeletons_animations_and_morph_targets_are_kept() {
    let figure = read("babylon/RiggedFigure.babylon").expect("read");
    let figure = scene(&figure);
    assert_eq!((figure.skins.len(), figure.skins[0].joints.len()), (1, 19));
    // Eighteen bones are animated, by matrices.
    assert_eq!(figure.animations[0].channels.len() % 3, 0);
    assert!(figure.animations[0].channels.iter().all(|channel| channel.interpolation == Interpolation::Linear));
    let cube = read("babylon/AnimatedMorphCube.babylon").expect("read");
    let cube = scene(&cube);
    assert_eq!(cube.meshes[1].primitives.len(), 3, "one a material");
    assert!(cube.primitives().all(|primitive| !primitive.targets.is_empty()));
    let channels = &cube.animations[0].channels;
    assert!(channels.iter().all(|channel| channel.property == AnimatedProperty::Weights) && !channels.is_empty());
}

#[test]
fn a_figure_survives_as_glb() {
    for name in GOOD {
        let mut record = read(name).expect(name);
        let written = write(&mut record, "glb", &[]);
        let again = read_bytes("glb", &written.bytes, Strictness::Strict).expect(name);
        let (a, b) = (scene(&record).facts(), scene(&again).facts());
        assert_eq!((a.triangles, a.animations, a.nodes), (b.triangles, b.animations, b.nodes), "{name}");
        // The weights of the figure have four decimals.
        assert!(record.loss.iter().all(|loss| loss.code == "glb.joint-weights"), "{name}: {:?}", record.loss);
    }
}

#[test]
fn coordinates_become_right_handed() {
    let placed = json!({"position": [1, 2, 3], "rotation": [0, std::f64::consts::FRAC_PI_2, 0], "scaling": [2, 2, 2]});
    let document =
        json!({"meshes": [mesh(&placed), mesh(&json!({"id": "n", "parentId": "m", "position": [0, 0, 1]}))]});
    let record = text(&document).expect("read");
    let bounds = scene(&record).bounds().expect("bounds");
    // In Babylon: turned by 90° about y, (x, y, z) becomes (z, y, -x); doubled and moved; the child is one further along z.
    // Corners (0, 0, 1), (0, 1, 1), (1, 0, 1) become (3, 2, 3), (3, 4, 3), (3, 2, 1), those of the child x = 5.
    assert!((bounds.min[0] - 3.0).abs() < 1e-6 && (bounds.max[0] - 5.0).abs() < 1e-6, "{bounds:?}");
    assert!((bounds.min[1] - 2.0).abs() < 1e-6 && (bounds.max[1] - 4.0).abs() < 1e-6, "{bounds:?}");
    assert!((bounds.min[2] + 3.0).abs() < 1e-6 && (bounds.max[2] + 1.0).abs() < 1e-6, "{bounds:?}");
    let right = json!({"useRightHandedSystem": true, "meshes": [mesh(&json!({}))]});
    assert_eq!(scene(&text(&right).expect("read")).meshes[0].primitives[0].positions[0], [0.0, 0.0, 1.0]);
}

#[test]
fn pivots_are_turned_about() {
    let matrix = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 1.0];
    let turned = json!({"rotation": [0, std::f64::consts::PI, 0], "pivotMatrix": matrix});
    let record = text(&json!({"meshes": [mesh(&turned)]})).expect("read");
    let bounds = scene(&record).bounds().expect("bounds");
    // About the point (1, 0, 1), half a turn takes (0, 0, 1) to (2, 0, 1).
    assert!((bounds.max[0] - 2.0).abs() < 1e-6 && (bounds.min[0] - 1.0).abs() < 1e-6, "{bounds:?}");
    assert!((bounds.max[2] + 1.0).abs() < 1e-6, "{bounds:?}");
    assert!(matches!(scene(&record).nodes[0].transform, Transform::Trs { .. }));
}

#[test]
fn materials_of_all_kinds_are_read() {
    // The smallest PNG file's first bytes.
    let picture = "data:image/png;base64,iVBORw0KGgo=";
    let document = json!({
        "meshes": [mesh(&json!({"materialId": "multi", "uvs": [0, 0, 0, 1, 1, 0], "indices": [0, 1, 2, 2, 1, 0],
            "subMeshes": [{"materialIndex": 0, "indexStart": 0, "indexCount": 3}, {"materialIndex": 1, "indexStart": 3, "indexCount": 3}]}))],
        "multiMaterials": [{"id": "multi", "materials": ["a", "b"]}],
        "materials": [
            {"id": "a", "name": "A", "diffuse": [1, 0, 0], "alpha": 0.5, "specularPower": 6, "backFaceCulling": false,
             "diffuseTexture": {"name": "x.png", "base64String": picture, "uScale": 2, "wrapU": 0, "wrapV": 2}},
            {"id": "b", "customType": "BABYLON.PBRMaterial", "albedo": [0.25, 0.5, 1], "metallic": 0.5, "roughness": 0.25,
             "albedoTexture": {"name": "gone.png", "hasAlpha": true}},
            {"id": "c", "customType": "BABYLON.PBRMetallicRoughnessMaterial", "baseColor": [1, 1, 0], "transparencyMode": 2},
        ],
    });
    let record = text(&document).expect("read");
    let scene = scene(&record);
    assert_eq!(codes(&record), ["babylon.missing-texture"]);
    let used: Vec<_> = scene.primitives().map(|primitive| primitive.material).collect();
    assert_eq!(used, [Some(0), Some(1)]);
    let [a, b, c] = &scene.materials[..] else { panic!() };
    assert_eq!((a.base_color, a.alpha, a.double_sided), ([1.0, 0.0, 0.0, 0.5], AlphaMode::Blend, true));
    assert!((a.roughness - 0.5).abs() < 1e-6, "√(2 / (6 + 2))");
    let texture = &scene.textures[a.base_color_texture.as_ref().expect("used").texture as usize];
    assert_eq!(
        (&*texture.media_type, texture.bytes.len(), texture.wrap),
        ("image/png", 8, [Wrap::Clamp, Wrap::Mirror])
    );
    assert_eq!(a.base_color_texture.as_ref().expect("used").transform, Some(([0.0, 0.0], [2.0, 1.0], 0.0)));
    assert_eq!((b.metallic, b.roughness, b.alpha), (0.5, 0.25, AlphaMode::Mask(0.4)));
    assert_eq!((c.base_color, c.alpha), ([1.0, 1.0, 0.0, 1.0], AlphaMode::Blend));
    assert_eq!(scene.meshes[0].primitives[0].texcoords[0][1], [0.0, 0.0], "turned to the upper left");
}

#[test]
fn shared_geometry_and_files_beside_are_read() {
    let shared = json!({
        "geometries": {"vertexData": [{"id": "g", "positions": [0, 0, 0, 1, 0, 0, 0, 1, 0], "indices": [0, 2, 1]}]},
        "meshes": [{"id": "a", "geometryId": "g"}, {"id": "b", "geometryId": "g"}, {"id": "c", "geometryId": "none"}],
    });
    let record = text(&shared).expect("read");
    assert_eq!((scene(&record).meshes.len(), scene(&record).nodes.len()), (1, 3));
    assert_eq!(codes(&record), ["babylon.missing-geometry"]);
    let mut sidecar = Vec::new();
    for value in [0.0f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0] {
        sidecar.extend(value.to_le_bytes());
    }
    for index in [0u32, 2, 1] {
        sidecar.extend(index.to_le_bytes());
    }
    let beside = |file: &str, count: u64| {
        json!({"meshes": [{"id": "a", "delayLoadingFile": file, "_binaryInfo": {
            "positionsAttrDesc": {"count": 9, "stride": 3, "offset": 0, "dataType": 1},
            "indicesAttrDesc": {"count": count, "stride": 1, "offset": 36, "dataType": 0}}}]})
    };
    let open = |document: Value| {
        let siblings = MemorySiblings::default().with("a.babylonbinarymeshdata", sidecar.as_slice());
        let source = Source::from_bytes("a.babylon", document.to_string().as_bytes()).with_siblings(siblings);
        let mut options = ReadOptions::default();
        options.from = Some("babylon".into());
        read_source(&source, &options)
    };
    let record = open(beside("a.babylonbinarymeshdata", 3)).expect("read");
    assert_eq!(scene(&record).primitives().next().expect("one").indices.as_deref(), Some(&[0, 2, 1][..]));
    let error = open(beside("a.babylonbinarymeshdata", u64::MAX)).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(open(beside("../a.babylonbinarymeshdata", 3)).expect_err("outside").kind(), ErrorKind::Malformed);
    assert_eq!(codes(&open(beside("b.babylonbinarymeshdata", 3)).expect("read")), ["babylon.missing-geometry"]);
}

#[test]
fn cameras_look_and_lights_shine_where_they_did() {
    let document = json!({
        "cameras": [{"id": "c", "type": "FreeCamera", "position": [0, 0, -10], "target": [0, 0, 0], "fov": 0.8, "minZ": 0.1, "maxZ": 100}],
        "lights": [{"id": "l", "type": 1, "direction": [0, -1, 0], "diffuse": [1, 0.5, 0], "intensity": 2, "range": 3.40282347e+38}],
    });
    let record = text(&document).expect("read");
    let scene = scene(&record);
    assert_eq!(scene.cameras, [Camera::Perspective { yfov: 0.8, aspect: None, near: 0.1, far: Some(100.0) }]);
    let ahead = |node: usize| {
        let m = scene.nodes[node].transform.matrix();
        [-m[8], -m[9], -m[10]].map(|value| value.round())
    };
    // Along +z in Babylon, which is -z here.
    assert_eq!((ahead(0), scene.nodes[0].transform.matrix()[14]), ([0.0, 0.0, -1.0], 10.0));
    assert_eq!((ahead(1), scene.lights[0].kind, scene.lights[0].range), ([0.0, -1.0, 0.0], "directional", None));
}

#[test]
fn broken_files_are_errors_or_findings() {
    for name in ["index-out-of-range", "cyclic-bones", "cyclic-parents"] {
        let name = format!("babylon/malformed/{name}.babylon");
        sound(&read(&name).expect_err(&name), &name);
    }
    let lenient = read_bytes("babylon", &bytes("babylon/malformed/index-out-of-range.babylon"), Strictness::Lenient);
    assert_eq!(codes(&lenient.expect("read")), ["babylon.mesh"]);
    let odd = json!({"meshes": [mesh(&json!({"normals": [0, 0, 1], "parentId": "nobody", "materialId": "none",
        "animations": [{"property": "visibility", "framePerSecond": 30, "keys": [{"frame": 0, "values": [1]}]}]}))]});
    let mut found = codes(&text(&odd).expect("read"));
    found.sort();
    let expected = ["babylon.animation", "babylon.attribute", "babylon.missing-material", "babylon.missing-parent"];
    assert_eq!(found, expected);
    assert!(text(&json!({})).is_err());
}

#[test]
fn damaged_files_do_no_harm() {
    for name in ["babylon/AnimatedMorphCube.babylon", "babylon/Instances.babylon"] {
        torture("babylon", name, false);
    }
}

#[test]
fn only_babylon_is_recognised() {
    is_detected("babylon", GOOD, &["gltf/BoxTextured-embedded.gltf", "pts.json/simple_xyz.pts.json"]);
}
