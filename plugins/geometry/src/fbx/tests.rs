//! Facts are those of assimp and of the writing programs, see `tests/data/fbx/README.md`.

use mediary_core::{Registry, Source};

use crate::testing::is_detected;

const SAMPLES: &[&str] = &[
    "fbx/blender_300_ngon_e_7400_binary.fbx",
    "fbx/max2009_cube_texture_5800_ascii.fbx",
    "fbx/max_curve_line_7500_ascii.fbx",
    "fbx/maya_blend_shape_cube_6100_ascii.fbx",
    "fbx/maya_skinned_pivot_7700_ascii.fbx",
];

#[test]
fn it_is_known_by_its_content_whatever_is_built_in() {
    is_detected("fbx", SAMPLES, &["dae/box.dae", "obj/test_nm.obj", "gltf/SimpleSparseAccessor.gltf"]);
    let winner = |text: &str| Registry::builtin().detect(&Source::from_bytes("", text.as_bytes())).winner(false).ok();
    assert_eq!(winner("\u{FEFF}; FBX 7.7.0 project file\n"), Some("fbx"));
    assert_eq!(winner("\r\n; made by hand\r\n\r\nFBXHeaderExtension:  {\r\n"), Some("fbx"));
    assert_ne!(winner("; FBX is not this\n"), Some("fbx"));
}

#[cfg(feature = "fbx")]
mod with_the_library {
    use mediary_core::record::scene::{AnimatedProperty, Topology};
    use mediary_core::{ErrorKind, Limits, MemorySiblings, ReadOptions, Result, Strictness};

    use super::*;
    use crate::fbx::geometry::shares;
    use crate::testing::{codes, read, read_bytes, read_source, scene, torture, triangles_and_bounds};

    /// An ASCII file of version 7500 with these objects, connections and settings.
    fn document(objects: &str, connections: &[(u32, u32)], settings: &str) -> String {
        let links: String = connections.iter().map(|(from, to)| format!("\tC: \"OO\",{from},{to}\n")).collect();
        format!(
            "; FBX 7.5.0 project file\nFBXHeaderExtension:  {{\n\tFBXVersion: 7500\n}}\n\
             GlobalSettings:  {{\n\tVersion: 1000\n\tProperties70:  {{\n{settings}\t}}\n}}\n\
             Objects:  {{\n{objects}}}\nConnections:  {{\n{links}}}\n"
        )
    }

    fn axes(up: i32, front: i32, right: i32) -> String {
        let one = |name: &str, axis: i32| {
            format!(
                "\t\tP: \"{name}Axis\", \"int\", \"Integer\", \"\",{}\n\t\tP: \"{name}AxisSign\", \"int\", \"Integer\", \"\",{}\n",
                axis.abs() - 1,
                axis.signum()
            )
        };
        one("Up", up) + &one("Front", front) + &one("Coord", right)
    }

    /// A mesh of five points: a square and a triangle, as far as `indices` say.
    fn mesh(indices: &str, more: &str) -> String {
        let count = indices.split(',').count();
        format!(
            "\tGeometry: 10, \"Geometry::plane\", \"Mesh\" {{\n\t\tVertices: *15 {{\n\t\t\ta: 0,0,0,1,0,0,1,1,0,0,1,0,2,2,0\n\t\t}}\n\
             \t\tPolygonVertexIndex: *{count} {{\n\t\t\ta: {indices}\n\t\t}}\n{more}\t}}\n"
        )
    }

    fn model(id: u32, properties: &str) -> String {
        format!("\tModel: {id}, \"Model::node{id}\", \"Mesh\" {{\n\t\tProperties70:  {{\n{properties}\t\t}}\n\t}}\n")
    }

    fn parse(
        objects: &str,
        connections: &[(u32, u32)],
        settings: &str,
        strictness: Strictness,
    ) -> Result<mediary_core::MediaRecord> {
        read_bytes("fbx", document(objects, connections, settings).as_bytes(), strictness)
    }

    #[test]
    fn counts_and_bounds_are_those_of_other_tools() {
        let record =
            triangles_and_bounds("fbx/blender_300_ngon_e_7400_binary.fbx", 10, [-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]);
        let letter = scene(&record);
        let part = &letter.meshes[0].primitives[0];
        assert_eq!((part.topology, &part.face_sizes[..]), (Topology::Polygons, &[12][..]), "a polygon stays one");
        assert_eq!((letter.facts().vertices, letter.up_axis, letter.unit_meters), (Some(12), Some("y"), Some(1.0)));
        let record = triangles_and_bounds("fbx/maya_blend_shape_cube_6100_ascii.fbx", 12, [-0.5; 3], [0.5; 3]);
        assert_eq!(scene(&record).facts().vertices, Some(24));
        assert_eq!(scene(&record).meshes[0].primitives[0].targets.len(), 2);
        let record = triangles_and_bounds("fbx/maya_skinned_pivot_7700_ascii.fbx", 12, [-0.5; 3], [0.5; 3]);
        let cube = scene(&record);
        assert_eq!((cube.skins.len(), cube.skins[0].joints.len()), (1, 2));
        let part = &cube.meshes[0].primitives[0];
        assert!(part.weights[0].iter().all(|weights| (weights.iter().sum::<f32>() - 1.0).abs() < 1e-6));
        let record = triangles_and_bounds(
            "fbx/max_curve_line_7500_ascii.fbx",
            0,
            // The points of the file by hand: turned by −90° about x, then moved. assimp leaves out the turn of lines.
            [-30.0, -10.000_001, -9.999_115],
            [13.008_667, 20.0, 20.000_976],
        );
        assert!(scene(&record).primitives().all(|part| part.topology == Topology::Lines));
    }

    #[test]
    fn a_property_is_no_picture_for_the_name_it_has() {
        let mut record = read("fbx/maya_blend_shape_cube_6100_ascii.fbx").expect("read");
        assert_eq!(scene(&record).materials[0].original["Bump"], "0.0 0.0 0.0");
        let written = crate::testing::write(&mut record, "obj", &[]);
        let library = String::from_utf8_lossy(&written.siblings[0].1).into_owned();
        assert!(library.contains("newmtl lambert1") && !library.to_lowercase().contains("\nbump "), "{library}");
    }

    #[test]
    fn a_file_of_before_global_settings_has_no_axis() {
        let record = read("fbx/max2009_cube_texture_5800_ascii.fbx").expect("read");
        let facts = scene(&record).facts();
        assert_eq!((facts.triangles, facts.vertices, facts.up_axis), (Some(12), Some(24), None));
        assert_eq!(codes(&record), ["fbx.axes"]);
    }

    #[test]
    fn a_texture_is_found_under_its_bare_name() {
        let text = mesh("0,1,-5", "")
            + &model(1, "")
            + "\tMaterial: 30, \"Material::m\", \"\" {\n\t\tShadingModel: \"phong\"\n\t\tProperties70:  {\n\
               \t\t\tP: \"DiffuseColor\", \"Color\", \"\", \"A\",0.25,0.5,1\n\t\t\tP: \"DiffuseFactor\", \"Number\", \"\", \"A\",0.5\n\
               \t\t\tP: \"ShininessExponent\", \"Number\", \"\", \"A\",30\n\t\t}\n\t}\n\
               \tTexture: 31, \"Texture::t\", \"\" {\n\t\tFileName: \"C:\\art\\clouds.png\"\n\t\tRelativeFilename: \"..\\art\\clouds.png\"\n\t}\n";
        let text = document(&text, &[(1, 0), (10, 1), (30, 1)], &axes(2, 3, 1))
            .replace("Connections:  {\n", "Connections:  {\n\tC: \"OP\",31,30, \"DiffuseColor\"\n");
        let source = Source::from_bytes("cube.fbx", text.into_bytes());
        let record = read_source(&source, &ReadOptions::default()).expect("read");
        assert_eq!(codes(&record), ["fbx.missing-texture"]);
        let picture = [0x89, b'P', b'N', b'G', 1, 2, 3];
        let source = source.with_siblings(MemorySiblings::default().with("cube.fbm/clouds.png", picture));
        let record = read_source(&source, &ReadOptions::default()).expect("read");
        let textures = &scene(&record).textures;
        assert_eq!((&textures[0].bytes[..], textures[0].media_type.as_str()), (&picture[..], "image/png"));
        let material = &scene(&record).materials[0];
        assert!(material.base_color_texture.is_some());
        assert_eq!((material.base_color, material.metallic), ([0.5, 0.5, 0.5, 1.0], 0.0));
        assert!((material.roughness - 0.25).abs() < 1e-6, "2 / (30 + 2) is 1 / 16");
        assert_eq!(material.original["DiffuseColor"], "../art/clouds.png".replace('/', "\\"));
        assert_eq!(material.original["ShininessExponent"], "30.0");
    }

    #[test]
    fn faces_of_any_size_have_their_primitive() {
        let text = mesh("0,1,2,-4,2,4,-4,0,-2,-5", "");
        let record =
            parse(&(text + &model(1, "")), &[(1, 0), (10, 1)], &axes(2, 3, 1), Strictness::Default).expect("read");
        let parts: Vec<_> =
            scene(&record).primitives().map(|part| (part.topology, part.corners(), part.face_sizes.to_vec())).collect();
        assert_eq!(
            parts,
            [(Topology::Points, 1, vec![]), (Topology::Lines, 2, vec![]), (Topology::Polygons, 7, vec![4, 3])]
        );
        assert_eq!(scene(&record).facts().triangles, Some(3));
    }

    #[test]
    fn a_position_that_is_nowhere_is_an_error_and_a_normal_becomes_0() {
        let links = [(1, 0), (10, 1)];
        let text = mesh("0,1,2,-4,2,9,-4", "") + &model(1, "");
        for strictness in [Strictness::Default, Strictness::Lenient, Strictness::Strict] {
            let error = parse(&text, &links, &axes(2, 3, 1), strictness).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
        let layer = "\t\tLayerElementNormal: 0 {\n\t\t\tMappingInformationType: \"ByPolygonVertex\"\n\
                     \t\t\tReferenceInformationType: \"IndexToDirect\"\n\t\t\tNormals: *3 {\n\t\t\t\ta: 0,0,1\n\t\t\t}\n\
                     \t\t\tNormalsIndex: *3 {\n\t\t\t\ta: 0,0,7\n\t\t\t}\n\t\t}\n\t\tLayer: 0 {\n\t\t\tLayerElement:  {\n\
                     \t\t\t\tType: \"LayerElementNormal\"\n\t\t\t\tTypedIndex: 0\n\t\t\t}\n\t\t}\n";
        let text = mesh("0,1,-5", layer) + &model(1, "");
        let record = parse(&text, &links, &axes(2, 3, 1), Strictness::Default).expect("read");
        let part = &scene(&record).meshes[0].primitives[0];
        assert_eq!(
            (&part.normals[..], codes(&record)),
            (&[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0; 3]][..], vec!["fbx.index".to_owned()])
        );
        assert!(parse(&text, &links, &axes(2, 3, 1), Strictness::Strict).is_err());
    }

    #[test]
    fn axes_are_kept_or_turned() {
        let text = mesh("0,1,-5", "") + &model(1, "");
        // (2, 2, 0) is the farthest point. Signs and axes: 1 x, 2 y, 3 z.
        for (settings, up, max, noted) in [
            (axes(2, 3, 1), "y", [2.0, 2.0, 0.0], false),
            (axes(3, -2, 1), "z", [2.0, 2.0, 0.0], false),
            (axes(3, 2, -1), "z", [2.0, 2.0, 0.0], false),
            (axes(1, 3, -2), "x", [2.0, 2.0, 0.0], false),
            // Left-handed: the z of the file is turned round, of which there is none here.
            (axes(2, -3, 1), "y", [2.0, 2.0, 0.0], true),
            // Upside down: (x, y) becomes (−x, −y) where the front stays.
            (axes(-2, 3, -1), "y", [0.0; 3], true),
        ] {
            let record = parse(&text, &[(1, 0), (10, 1)], &settings, Strictness::Default).expect("read");
            let facts = scene(&record).facts();
            assert_eq!(
                (facts.up_axis, codes(&record).contains(&"fbx.axes".to_owned())),
                (Some(up), noted),
                "{settings}"
            );
            assert!(facts.bounds.expect("bounds").max.iter().zip(max).all(|(a, b)| (a - b).abs() < 1e-6), "{facts:?}");
        }
    }

    #[test]
    fn a_mesh_in_two_places_is_one_and_geometric_transforms_reach_the_mesh_alone() {
        let moved = |x: f64| format!("\t\t\tP: \"Lcl Translation\", \"Lcl Translation\", \"\", \"A\",{x},0,0\n");
        let text = mesh("0,1,-5", "") + &model(1, &moved(10.0)) + &model(2, &moved(-10.0));
        let record =
            parse(&text, &[(1, 0), (2, 0), (10, 1), (10, 2)], &axes(2, 3, 1), Strictness::Default).expect("read");
        let facts = scene(&record).facts();
        assert_eq!((facts.meshes, facts.triangles, facts.nodes), (Some(1), Some(2), Some(2)));
        let bounds = facts.bounds.expect("bounds");
        assert_eq!((bounds.min, bounds.max), ([-10.0, 0.0, 0.0], [12.0, 2.0, 0.0]));
        let shifted = "\t\t\tP: \"GeometricTranslation\", \"Vector3D\", \"Vector\", \"\",0,0,5\n";
        let text = mesh("0,1,-5", "") + &model(1, shifted) + &model(2, "");
        let record = parse(&text, &[(1, 0), (10, 1), (2, 1)], &axes(2, 3, 1), Strictness::Default).expect("read");
        let bounds = scene(&record).bounds().expect("bounds");
        assert_eq!((bounds.min[2], bounds.max[2]), (5.0, 5.0));
        let mut places = Vec::new();
        scene(&record).walk(|node, world| places.push((scene(&record).nodes[node as usize].name.clone(), world[14])));
        assert_eq!(places.last(), Some(&("node2".to_owned(), 0.0)), "{places:?}");
    }

    #[test]
    fn user_properties_are_extras() {
        let own = "\t\t\tP: \"Health\", \"double\", \"Number\", \"A+U\",2.5\n\t\t\tP: \"Team\", \"KString\", \"\", \"U\", \"red\"\n";
        let text = mesh("0,1,-5", "") + &model(1, own);
        let record = parse(&text, &[(1, 0), (10, 1)], &axes(2, 3, 1), Strictness::Default).expect("read");
        assert_eq!(record.properties["extras"]["nodes[0]"], serde_json::json!({ "Health": 2.5, "Team": "red" }));
        assert_eq!((&record.properties["version"], &record.properties["ascii"]), (&7500.into(), &true.into()));
    }

    #[test]
    fn curves_are_baked_to_keys() {
        // One second is 46186158000 ticks; linear from 0 to 4 in two seconds, beginning half a second before 0.
        let second = 46_186_158_000_i64;
        let (start, end) = (-second / 2, second * 3 / 2);
        let text = mesh("0,1,-5", "")
            + &model(1, "")
            + "\tAnimationStack: 20, \"AnimStack::Move\", \"\" {\n\t}\n\tAnimationLayer: 21, \"AnimLayer::Base\", \"\" {\n\t}\n"
            + "\tAnimationCurveNode: 22, \"AnimCurveNode::T\", \"\" {\n\t\tProperties70:  {\n\t\t\tP: \"d|X\", \"Number\", \"\", \"A\",0\n\t\t}\n\t}\n"
            + &format!(
                "\tAnimationCurve: 23, \"AnimCurve::\", \"\" {{\n\t\tDefault: 0\n\t\tKeyVer: 4008\n\t\tKeyTime: *2 {{\n\t\t\ta: {start},{end}\n\t\t}}\n\
                 \t\tKeyValueFloat: *2 {{\n\t\t\ta: 0,4\n\t\t}}\n\t\tKeyAttrFlags: *1 {{\n\t\t\ta: 4\n\t\t}}\n\
                 \t\tKeyAttrDataFloat: *4 {{\n\t\t\ta: 0,0,0,0\n\t\t}}\n\t\tKeyAttrRefCount: *1 {{\n\t\t\ta: 2\n\t\t}}\n\t}}\n"
            );
        let links = [(1, 0), (10, 1), (21, 20), (22, 21)];
        let text = document(&text, &links, &axes(2, 3, 1)).replace(
            "Connections:  {\n",
            "Connections:  {\n\tC: \"OP\",22,1, \"Lcl Translation\"\n\tC: \"OP\",23,22, \"d|X\"\n",
        );
        let record = read_bytes("fbx", text.as_bytes(), Strictness::Default).expect("read");
        let animations = &scene(&record).animations;
        assert_eq!((animations.len(), animations[0].name.as_str()), (1, "Move"));
        let [channel] = &animations[0].channels[..] else { panic!("one channel: {animations:?}") };
        assert_eq!((channel.node, channel.property), (0, AnimatedProperty::Translation));
        assert_eq!((channel.times.first(), channel.times.last()), (Some(&0.0), Some(&2.0)));
        for (time, value) in channel.times.iter().zip(channel.values.chunks_exact(3)) {
            assert!((value[0] - 2.0 * time).abs() < 1e-5 && value[1..] == [0.0; 2], "{time}: {value:?}");
        }
        assert!(
            codes(&record).contains(&"fbx.baked".to_owned())
                && codes(&record).contains(&"fbx.negative-time".to_owned())
        );
    }

    #[test]
    fn shapes_in_between_share_the_weight_of_their_channel() {
        let mut own = Vec::new();
        let mut at = |stops: &[f64], weight| {
            shares(stops, weight, &mut own);
            own.clone()
        };
        assert_eq!(at(&[1.0], 0.25), [0.25]);
        assert_eq!(at(&[1.0], 1.5), [1.5], "beyond the last it goes on");
        assert_eq!(at(&[0.5, 1.0], 0.25), [0.5, 0.0]);
        assert_eq!(at(&[0.5, 1.0], 0.75), [0.5, 0.5]);
        assert_eq!(at(&[-1.0, 1.0], -0.5), [0.5, 0.0]);
        assert!(at(&[], 1.0).is_empty());
    }

    #[test]
    fn trees_that_are_too_deep_and_scenes_that_are_too_large_are_limits() {
        let nodes: String = (1..=40).map(|id| model(id, "")).collect();
        let links: Vec<_> = (1..=40).map(|id| (id, id - 1)).collect();
        let source = Source::from_bytes("deep.fbx", document(&nodes, &links, &axes(2, 3, 1)).into_bytes());
        let mut options = ReadOptions::default();
        let with = |limits: Limits, options: &mut ReadOptions| {
            options.limits = limits;
            read_source(&source, options)
        };
        assert!(with(Limits::default(), &mut options).is_ok());
        let mut limits = Limits::default();
        limits.depth = 16;
        let error = with(limits, &mut options).expect_err("refused");
        assert_eq!(error.limit_name(), Some("depth"));
        let mut limits = Limits::default();
        limits.alloc_bytes = 100_000;
        let error = with(limits, &mut options).expect_err("refused");
        assert_eq!(error.limit_name(), Some("alloc_bytes"));
    }

    #[test]
    fn damage_never_breaks_it() {
        for name in SAMPLES {
            torture("fbx", name, false);
        }
    }
}
