//! Facts are those of trimesh with pycollada and of assimp, see `tests/data/dae/README.md`.

use mediary_core::record::scene::{AlphaMode, AnimatedProperty, Camera, Interpolation, Scene, Topology, Transform};
use mediary_core::{ErrorKind, Limits, MediaRecord, MemorySiblings, ReadOptions, Result, Source, Strictness};

use crate::testing::{
    bytes, codes, is_detected, read, read_bytes, read_source, scene, sound, torture, triangles_and_bounds,
};

/// A document of this version with this content.
fn document(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><COLLADA xmlns=\"http://www.collada.org/2005/11/COLLADASchema\" version=\"1.4.1\">\
         <asset><up_axis>Y_UP</up_axis></asset>{content}</COLLADA>"
    )
}

fn parse(content: &str, strictness: Strictness) -> Result<MediaRecord> {
    read_bytes("dae", document(content).as_bytes(), strictness)
}

fn good(content: &str) -> MediaRecord {
    parse(content, Strictness::Default).expect("read")
}

/// A source of rows of so many numbers.
fn source(id: &str, width: usize, numbers: &str) -> String {
    let count = numbers.split_whitespace().count();
    let params: String = (0..width).map(|at| format!("<param name=\"P{at}\" type=\"float\"/>")).collect();
    format!(
        "<source id=\"{id}\"><float_array id=\"{id}-a\" count=\"{count}\">{numbers}</float_array><technique_common>\
         <accessor source=\"#{id}-a\" count=\"{}\" stride=\"{width}\">{params}</accessor></technique_common></source>",
        count / width
    )
}

/// A geometry `g` of five positions in the plane and these primitives.
fn geometry(primitives: &str) -> String {
    let positions = source("p", 3, "0 0 0 1 0 0 1 1 0 0 1 0 2 2 0");
    format!(
        "<geometry id=\"g\" name=\"plane\"><mesh>{positions}<vertices id=\"v\"><input semantic=\"POSITION\" source=\"#p\"/></vertices>\
         {primitives}</mesh></geometry>"
    )
}

fn placed(primitives: &str) -> String {
    format!(
        "<library_geometries>{}</library_geometries>{}",
        geometry(primitives),
        nodes("<node><instance_geometry url=\"#g\"/></node>")
    )
}

fn nodes(content: &str) -> String {
    format!(
        "<library_visual_scenes><visual_scene id=\"s\">{content}</visual_scene></library_visual_scenes>\
         <scene><instance_visual_scene url=\"#s\"/></scene>"
    )
}

const INPUT: &str = "<input semantic=\"VERTEX\" source=\"#v\" offset=\"0\"/>";

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let record = triangles_and_bounds("dae/box.dae", 12, [-0.5; 3], [0.5; 3]);
    let cube = scene(&record);
    assert_eq!((cube.facts().vertices, cube.up_axis, cube.unit_meters), (Some(24), Some("z"), Some(1.0)));
    assert_eq!((cube.textures[0].media_type.as_str(), cube.textures[0].bytes.len()), ("image/png", 2433));
    let record = triangles_and_bounds("dae/shapes.dae", 24, [-11.0, -2.0, -2.0], [12.0, 2.0, 9.0]);
    let shapes = scene(&record);
    assert_eq!((shapes.up_axis, shapes.unit_meters), (Some("z"), Some(0.01)));
    assert_eq!(record.properties["authoring_tool"], "pycollada 0.9.3");
    assert_eq!(codes(&record), ["dae.ambient-light"]);
    // The box is one mesh in two places.
    let parts: Vec<_> = shapes.meshes.iter().map(|mesh| (mesh.name.as_str(), mesh.primitives.len())).collect();
    assert_eq!(parts, [("Box", 2), ("Outline", 1)]);
    assert_eq!(shapes.nodes.iter().filter(|node| node.mesh == Some(0)).count(), 2);
    let [sides, ends] = &shapes.meshes[0].primitives[..] else { panic!("two primitives") };
    assert_eq!((sides.topology, sides.face_sizes.len(), sides.positions.len()), (Topology::Polygons, 4, 16));
    assert_eq!((ends.topology, ends.triangles(), sides.texcoords.len()), (Topology::Triangles, 4, 2));
    // (0, 0) at the lower left is (0, 1) here; the second set is half as large.
    assert_eq!((sides.texcoords[0][0], sides.texcoords[1][2]), ([0.0, 1.0], [0.5, 0.5]));
    let painted = &shapes.materials[sides.material.expect("bound") as usize];
    let texture = painted.base_color_texture.as_ref().expect("textured");
    assert_eq!((painted.name.as_str(), texture.texcoord, painted.double_sided), ("Painted", 1, true));
    assert!((painted.roughness - 0.25).abs() < 1e-6, "2 / (30 + 2) is 1 / 16");
    let glass = &shapes.materials[ends.material.expect("bound") as usize];
    assert_eq!(
        (glass.base_color, glass.alpha, glass.emissive),
        ([0.25, 0.5, 0.75, 0.25], AlphaMode::Blend, [0.1, 0.0, 0.0])
    );
    let outline = &shapes.meshes[1].primitives[0];
    assert_eq!((outline.topology, outline.corners(), outline.colors[0][1]), (Topology::Lines, 8, [0.0, 1.0, 0.0, 1.0]));
    let eye = shapes.nodes.iter().find(|node| node.camera.is_some()).expect("a camera");
    // At (0, −20, 0), z up: −z of the camera is y of the world.
    let expected = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -20.0, 0.0, 1.0];
    assert!(eye.transform.matrix().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", eye.transform);
    assert!(
        matches!(shapes.cameras[0], Camera::Perspective { yfov, aspect: Some(1.5), .. } if (yfov - 45_f64.to_radians()).abs() < 1e-12)
    );
    assert_eq!(shapes.lights.iter().map(|light| light.kind).collect::<Vec<_>>(), ["point", "directional"]);
}

#[test]
fn all_kinds_of_primitives_are_read() {
    let parts = format!(
        "<tristrips>{INPUT}<p>0 1 3 2</p></tristrips><trifans>{INPUT}<p>0 1 2 3</p></trifans>\
         <polygons>{INPUT}<p>0 1 2 3</p><ph><p>0 1 4 2 3</p><h>0 1 2</h></ph></polygons>\
         <polylist>{INPUT}<vcount>3 2 4</vcount><p>0 1 2  0 1  0 1 2 3</p></polylist>\
         <linestrips>{INPUT}<p>0 1 2</p></linestrips><lines>{INPUT}<p>0 1 2 3</p></lines><triangles>{INPUT}</triangles>"
    );
    let record = good(&placed(&parts));
    let parts: Vec<_> = scene(&record).primitives().collect();
    let indices = |at: usize| parts[at].indices.as_deref().expect("indexed").to_vec();
    assert_eq!((indices(0), indices(1)), (vec![0, 1, 2, 2, 1, 3], vec![0, 1, 2, 0, 2, 3]));
    assert_eq!(parts[0].positions, [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]);
    assert_eq!((&parts[2].face_sizes[..], &parts[3].face_sizes[..]), (&[4, 5][..], &[3, 4][..]));
    assert_eq!((indices(4), indices(5), parts.len()), (vec![0, 1, 1, 2], vec![0, 1, 2, 3], 6));
    assert_eq!(codes(&record), ["dae.polygon-holes", "dae.short-face"]);
}

#[test]
fn distinct_corners_are_distinct_vertices() {
    // Four indices a corner beside that of the position.
    let sources = source("n", 3, "0 0 1 0 0 -1")
        + &source("t", 2, "0 0 1 1")
        + &source("c", 3, "1 0 0 0 1 0")
        + &source("u", 2, "0 0 1 0");
    let inputs = "<input semantic=\"VERTEX\" source=\"#v\" offset=\"0\"/><input semantic=\"NORMAL\" source=\"#n\" offset=\"1\"/>\
        <input semantic=\"TEXCOORD\" source=\"#t\" offset=\"2\" set=\"3\"/><input semantic=\"COLOR\" source=\"#c\" offset=\"3\"/>\
        <input semantic=\"TEXCOORD\" source=\"#u\" offset=\"4\" set=\"1\"/>";
    let corners = "0 0 0 0 0  1 0 0 0 0  2 0 0 0 0   0 0 0 0 1  1 0 0 0 0  2 0 0 1 0   0 0 1 0 0  1 1 0 0 0  2 0 0 0 0";
    let record = good(&placed(&format!("{sources}<triangles count=\"3\">{inputs}<p>{corners}</p></triangles>")));
    let part = scene(&record).primitives().next().expect("a primitive");
    assert_eq!(part.indices.as_deref(), Some(&[0, 1, 2, 3, 1, 4, 5, 6, 2][..]));
    // Sets stand in the order of their numbers: 1, then 3.
    assert_eq!(
        (part.texcoords[0][3], part.texcoords[1][5], part.normals[6]),
        ([1.0, 1.0], [1.0, 0.0], [0.0, 0.0, -1.0])
    );
    assert_eq!(part.colors[0][4], [0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn transforms_apply_in_their_order() {
    let node = |content: &str| match good(&nodes(&format!("<node>{content}</node>"))).media {
        mediary_core::Media::Scene(scene) => scene.nodes[0].transform.matrix(),
        other => panic!("{}", other.kind()),
    };
    let point = |matrix: [f64; 16], point| {
        mediary_core::record::scene::transform_point(&matrix, point).map(|value| (value * 1e9).round() / 1e9)
    };
    // The last one first: (1, 0, 0) doubled, turned to y, moved.
    let all = node("<translate>5 0 0</translate><rotate>0 0 1 90</rotate><scale>2 1 1</scale>");
    assert_eq!(point(all, [1.0, 0.0, 0.0]), [5.0, 2.0, 0.0]);
    // Rows in the file.
    let rows = node("<matrix>1 0 0 7  0 1 0 8  0 0 1 9  0 0 0 1</matrix>");
    assert_eq!(point(rows, [0.0; 3]), [7.0, 8.0, 9.0]);
    // The example of the specification: along x, by 45 degrees about y.
    assert_eq!(point(node("<skew>45 0 1 0 1 0 0</skew>"), [0.0, 1.0, 0.0]), [1.0, 1.0, 0.0]);
    assert_eq!(point(node("<translate>-1,5 0 2,25e1</translate>"), [0.0; 3]), [-1.5, 0.0, 22.5], "commas of a locale");
    let eye = node("<lookat>2 0 3  2 0 0  0 1 0</lookat>");
    assert_eq!((point(eye, [0.0; 3]), point(eye, [0.0, 0.0, -1.0])), ([2.0, 0.0, 3.0], [2.0, 0.0, 2.0]));
}

/// An effect with this shading model, bound to a triangle.
fn shaded(effect: &str, set: &str) -> String {
    let texcoords = source("t", 2, "0 0 1 0 0 1");
    let part = format!(
        "{texcoords}<triangles material=\"paint\">{INPUT}<input semantic=\"TEXCOORD\" source=\"#t\" offset=\"0\"/><p>0 1 2</p></triangles>"
    );
    let bind = "<bind_material><technique_common><instance_material symbol=\"paint\" target=\"#m\"/></technique_common></bind_material>";
    format!(
        "<library_images><image id=\"i\"><init_from>file:///C:/work/a%20b.png</init_from></image>\
         <image id=\"j\"><init_from><hex format=\"PNG\">89504E47 0d0a1a0a</hex></init_from></image></library_images>\
         <library_effects><effect id=\"e\"><profile_COMMON>{effect}</profile_COMMON></effect></library_effects>\
         <library_materials><material id=\"m\"><instance_effect url=\"#e\">{set}</instance_effect></material></library_materials>\
         <library_geometries>{}</library_geometries>{}",
        geometry(&part),
        nodes(&format!("<node><instance_geometry url=\"#g\">{bind}</instance_geometry></node>"))
    )
}

fn technique(model: &str) -> String {
    format!("<technique sid=\"common\">{model}</technique>")
}

#[test]
fn alpha_follows_the_four_modes() {
    let alpha = |opaque: &str, color: &str, amount: &str| {
        let transparent = format!("<transparent {opaque}><color>{color}</color></transparent>");
        let model = format!("<lambert>{transparent}<transparency><float>{amount}</float></transparency></lambert>");
        let record = good(&shaded(&technique(&model), ""));
        scene(&record).materials[0].base_color[3]
    };
    assert_eq!(alpha("", "1 1 1 0.5", "0.5"), 0.25, "A_ONE is the default");
    assert_eq!(alpha("opaque=\"A_ZERO\"", "1 1 1 0.25", "1"), 0.75);
    assert!((alpha("opaque=\"RGB_ZERO\"", "1 0 0 1", "1") - (1.0 - 0.212_671)).abs() < 1e-6);
    assert!((alpha("opaque=\"RGB_ONE\"", "0 1 0 1", "0.5") - 0.357_58).abs() < 1e-6);
    assert_eq!(alpha("", "1 1 1 1", "0"), 1.0, "what would not be seen at all is taken for opaque");
}

#[test]
fn parameters_and_pictures_are_found() {
    let params = "<newparam sid=\"tint\"><float4>0.5 0.25 0 1</float4></newparam>\
        <newparam sid=\"surf\"><surface type=\"2D\"><init_from>i</init_from></surface></newparam>\
        <newparam sid=\"samp\"><sampler2D><source>surf</source><wrap_s>CLAMP</wrap_s></sampler2D></newparam>\
        <newparam sid=\"new\"><sampler2D><instance_image url=\"#j\"/></sampler2D></newparam>";
    let model = "<phong><emission><texture texture=\"new\" texcoord=\"\"/></emission><diffuse><texture texture=\"samp\" texcoord=\"UV\"/></diffuse>\
        <specular><param ref=\"tint\"/></specular></phong>";
    let text = document(&shaded(&format!("{params}{}", technique(model)), ""));
    let siblings = MemorySiblings::default().with("a b.png", b"\xFF\xD8\xFF".to_vec());
    let options = ReadOptions::default();
    let source = Source::from_bytes("x.dae", text.as_bytes()).with_siblings(siblings);
    let record = read_source(&source, &options).expect("read");
    let scene = scene(&record);
    assert_eq!(codes(&record), Vec::<String>::new());
    let material = &scene.materials[0];
    assert_eq!(material.original["specular"], "0.5 0.25 0 1");
    let texture = |used: &Option<mediary_core::record::scene::TextureUse>| {
        &scene.textures[used.as_ref().expect("used").texture as usize]
    };
    // The scheme, the folder of another machine and the escapes are gone.
    let base = texture(&material.base_color_texture);
    assert_eq!((base.uri.as_deref(), base.media_type.as_str()), (Some("a b.png"), "image/jpeg"));
    assert_eq!(texture(&material.emissive_texture).bytes[..], *b"\x89PNG\r\n\x1A\n");
    // What the material sets is before what the effect says.
    let model = technique("<phong><diffuse><param ref=\"tint\"/></diffuse></phong>");
    let set = "<setparam ref=\"tint\"><float4>1 0 0 1</float4></setparam>";
    let record = good(&shaded(&format!("{params}{model}"), set));
    assert_eq!(crate::testing::scene(&record).materials[0].base_color, [1.0, 0.0, 0.0, 1.0]);
}

/// A skin of the plane on two joints.
fn skinned(weights: &str) -> String {
    let matrices = source("m", 16, "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 1 0 0 -1 0 1 0 0 0 0 1 0 0 0 0 1");
    let skin = format!(
        "<controller id=\"c\"><skin source=\"#g\"><bind_shape_matrix>2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1</bind_shape_matrix>\
         <source id=\"j\"><Name_array id=\"j-a\" count=\"2\">hip knee</Name_array><technique_common><accessor source=\"#j-a\" count=\"2\"/></technique_common></source>\
         {matrices}{}<joints><input semantic=\"JOINT\" source=\"#j\"/><input semantic=\"INV_BIND_MATRIX\" source=\"#m\"/></joints>\
         <vertex_weights count=\"5\"><input semantic=\"JOINT\" source=\"#j\" offset=\"0\"/><input semantic=\"WEIGHT\" source=\"#w\" offset=\"1\"/>{weights}</vertex_weights></skin></controller>",
        source("w", 1, "1 0.25 0.75")
    );
    format!(
        "<library_geometries>{}</library_geometries><library_controllers>{skin}</library_controllers>{}",
        geometry(&format!("<triangles>{INPUT}<p>0 1 2</p></triangles>")),
        nodes(
            "<node id=\"other\" sid=\"hip\"/><node id=\"hip-id\" sid=\"hip\"><node sid=\"knee\"><translate>1 0 0</translate></node></node>\
             <node><instance_controller url=\"#c\"><skeleton>#hip-id</skeleton></instance_controller></node>"
        )
    )
}

#[test]
fn skins_join_nodes_by_their_sids() {
    let record = good(&skinned("<vcount>1 2 1 1 1</vcount><v>0 0  0 1 1 2  1 0  0 0  0 0</v>"));
    let scene = scene(&record);
    // Below the skeleton, not the first of that name.
    assert_eq!((&scene.skins[0].joints[..], scene.nodes[3].skin), (&[1, 2][..], Some(0)));
    // Columns here, rows in the file.
    assert_eq!(scene.skins[0].inverse_bind_matrices[1][12..], [-1.0, 0.0, 0.0, 1.0]);
    let part = scene.primitives().next().expect("a primitive");
    assert_eq!(part.positions[1], [2.0, 0.0, 0.0], "the bind shape is applied");
    // The strongest joint first.
    assert_eq!((part.joints[0][1], part.weights[0][1]), ([1, 0, 0, 0], [0.75, 0.25, 0.0, 0.0]));
    sound(&parse(&skinned("<vcount>1</vcount><v>2 0</v>"), Strictness::Default).expect_err("joint 2 of 2"), "joint");
    sound(&parse(&skinned("<vcount>4000000000</vcount><v>0 0</v>"), Strictness::Default).expect_err("count"), "count");
    let lost = skinned("<vcount>1</vcount><v>0 0</v>").replace(">hip knee<", ">hip ankle<");
    let record = parse(&lost, Strictness::Default).expect("read");
    assert_eq!(codes(&record), ["dae.missing-joint"]);
}

#[test]
fn morph_targets_are_differences() {
    let target = geometry(&format!("<triangles>{INPUT}<p>0 1 2</p></triangles>"))
        .replace("id=\"g\"", "id=\"t\"")
        .replace("\"p", "\"tp")
        .replace("#p", "#tp")
        .replace("id=\"v\"", "id=\"tv\"")
        .replace("#v", "#tv")
        .replace("0 0 0 1 0 0", "0 0 5 1 0 0");
    let morph = format!(
        "<controller id=\"c\"><morph source=\"#g\" method=\"NORMALIZED\"><source id=\"mt\"><IDREF_array id=\"mt-a\" count=\"1\">t</IDREF_array>\
         <technique_common><accessor source=\"#mt-a\" count=\"1\"/></technique_common></source>{}<targets><input semantic=\"MORPH_TARGET\" source=\"#mt\"/>\
         <input semantic=\"MORPH_WEIGHT\" source=\"#mw\"/></targets></morph></controller>",
        source("mw", 1, "0.5")
    );
    let animation = format!(
        "<library_animations><animation>{}{}<sampler id=\"as\"><input semantic=\"INPUT\" source=\"#ai\"/><input semantic=\"OUTPUT\" source=\"#ao\"/></sampler>\
         <channel source=\"#as\" target=\"mw(0)\"/></animation></library_animations>",
        source("ai", 1, "0 2"),
        source("ao", 1, "0 1")
    );
    let content = format!(
        "<library_geometries>{}{target}</library_geometries><library_controllers>{morph}</library_controllers>{animation}{}",
        geometry(&format!("<triangles>{INPUT}<p>0 1 2</p></triangles>")),
        nodes("<node><instance_controller url=\"#c\"/></node>")
    );
    let record = good(&content);
    let scene = scene(&record);
    let part = &scene.meshes[0].primitives[0];
    assert_eq!(
        (&scene.meshes[0].weights[..], part.targets[0].positions.to_vec()),
        (&[0.5][..], vec![[0.0, 0.0, 5.0], [0.0; 3], [0.0; 3]])
    );
    let channel = &scene.animations[0].channels[0];
    assert_eq!((channel.property, &channel.values[..]), (AnimatedProperty::Weights, &[0.0, 1.0][..]));
}

/// Animations of a node with a rotation about z and a translation.
fn animated(channels: &[(&str, &str, &str, &str)]) -> Result<MediaRecord> {
    let mut content = String::new();
    for (at, (target, times, values, modes)) in channels.iter().enumerate() {
        let width = values.split_whitespace().count() / times.split_whitespace().count();
        let modes = if modes.is_empty() {
            String::new()
        } else {
            format!("<source id=\"m{at}\"><Name_array id=\"m{at}-a\">{modes}</Name_array></source>")
        };
        let mode = if modes.is_empty() {
            String::new()
        } else {
            format!("<input semantic=\"INTERPOLATION\" source=\"#m{at}\"/>")
        };
        content += &format!(
            "<animation>{}{}{modes}<sampler id=\"s{at}\"><input semantic=\"INPUT\" source=\"#i{at}\"/><input semantic=\"OUTPUT\" source=\"#o{at}\"/>{mode}</sampler>\
             <channel source=\"#s{at}\" target=\"{target}\"/></animation>",
            source(&format!("i{at}"), 1, times),
            source(&format!("o{at}"), width, values)
        );
    }
    let node = "<node id=\"n\"><translate sid=\"move\">0 0 0</translate><rotate sid=\"turn\">0 0 1 0</rotate></node>";
    parse(&format!("<library_animations>{content}</library_animations>{}", nodes(node)), Strictness::Default)
}

#[test]
fn curves_of_single_numbers_become_keys_of_transforms() {
    let record = animated(&[
        ("n/move.Y", "0 1", "0 4", ""),
        ("n/turn.ANGLE", "0 2", "0 360", ""),
        ("n/visibility", "0 1", "0 1", ""),
    ]);
    let record = record.expect("read");
    assert_eq!(codes(&record), ["dae.animation"]);
    let animation = &scene(&record).animations[0];
    let [moved, turned] = &animation.channels[..] else { panic!("{:?}", animation.channels) };
    assert_eq!((moved.property, moved.interpolation), (AnimatedProperty::Translation, Interpolation::Linear));
    // Keys of both, and of the turn every quarter.
    assert_eq!(moved.times, [0.0, 0.5, 1.0, 1.5, 2.0]);
    assert_eq!(
        moved.values.as_chunks::<3>().0,
        [[0.0; 3], [0.0, 2.0, 0.0], [0.0, 4.0, 0.0], [0.0, 4.0, 0.0], [0.0, 4.0, 0.0]]
    );
    assert_eq!(turned.property, AnimatedProperty::Rotation);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    let expected = [
        [0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, half, half],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, half, -half],
        [0.0, 0.0, 0.0, -1.0],
    ];
    for (found, expected) in turned.values.as_chunks::<4>().0.iter().zip(expected) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, {expected:?}");
    }
    let record = animated(&[("n/move", "0 1", "0 0 0 1 2 3", "STEP STEP")]).expect("read");
    let channel = &scene(&record).animations[0].channels[0];
    assert_eq!(
        (channel.interpolation, &channel.values[..]),
        (Interpolation::Step, &[0.0, 0.0, 0.0, 1.0, 2.0, 3.0][..])
    );
    for (target, times) in [("n/move.Y", "1 0"), ("n/move", "0 1")] {
        let record = animated(&[(target, times, "0 1", "")]).expect("the scene is read without it");
        assert_eq!(codes(&record), ["dae.sampler"]);
    }
}

#[test]
fn what_bends_is_sampled() {
    // Control points of an ease: flat at both ends.
    let tangents = source("in", 2, "0 0 0.5 8") + &source("out", 2, "0.5 0 1 8");
    let content = format!(
        "<library_animations><animation>{}{}{tangents}<source id=\"m\"><Name_array id=\"m-a\">BEZIER BEZIER</Name_array></source>\
         <sampler id=\"s0\"><input semantic=\"INPUT\" source=\"#i\"/><input semantic=\"OUTPUT\" source=\"#o\"/><input semantic=\"INTERPOLATION\" source=\"#m\"/>\
         <input semantic=\"IN_TANGENT\" source=\"#in\"/><input semantic=\"OUT_TANGENT\" source=\"#out\"/></sampler>\
         <channel source=\"#s0\" target=\"n/move.X\"/></animation></library_animations>{}",
        source("i", 1, "0 1"),
        source("o", 1, "0 8"),
        nodes("<node id=\"n\"><translate sid=\"move\">0 0 0</translate></node>")
    );
    let record = good(&content);
    let channel = &scene(&record).animations[0].channels[0];
    let at =
        |time: f32| channel.times.iter().position(|&key| (key - time).abs() < 1e-6).map(|key| channel.values[key * 3]);
    // Half way by symmetry; x(s) = 1.5 s (1 - s) + s³ is 0.1 at s = 0.072…, where y is 8 (3 s² - 2 s³).
    assert!((at(0.5).expect("a key") - 4.0).abs() < 1e-3);
    let early = at(0.1).expect("a key");
    let s =
        (0..1_000_000).map(|k| f64::from(k) / 1e6).find(|s| 1.5 * s * (1.0 - s) + s * s * s >= 0.1).expect("a place");
    assert!((f64::from(early) - 8.0 * (3.0 * s * s - 2.0 * s * s * s)).abs() < 1e-3, "{early}");
}

#[test]
fn hostile_files_end_soon() {
    for name in ["index-out-of-range", "cyclic-instances"] {
        let name = format!("dae/malformed/{name}.dae");
        sound(&read(&name).expect_err(&name), &name);
        read_bytes("dae", &bytes(&name), Strictness::Lenient).expect("lenient leaves out what is broken");
    }
    // No entity is expanded.
    let record = read("dae/malformed/entity-bomb.dae").expect("read");
    assert!(codes(&record).contains(&"dae.doctype".to_owned()) && codes(&record).contains(&"dae.entity".to_owned()));
    // Ten nodes of ten instances each: 10^10 nodes.
    let mut library = "<node id=\"n0\"/>".to_owned();
    for level in 1..=10 {
        let instances = format!("<instance_node url=\"#n{}\"/>", level - 1).repeat(10);
        library += &format!("<node id=\"n{level}\">{instances}</node>");
    }
    let bomb =
        format!("<library_nodes>{library}</library_nodes>{}", nodes("<node><instance_node url=\"#n10\"/></node>"));
    let mut options = ReadOptions::default();
    (options.from, options.limits) = (Some("dae".to_owned()), Limits::untrusted());
    let error = read_source(&Source::from_bytes("", document(&bomb).as_bytes()), &options).expect_err("a bomb");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    let deep = nodes(&("<node>".repeat(100_000) + &"</node>".repeat(100_000)));
    assert_eq!(parse(&deep, Strictness::Default).expect_err("too deep").kind(), ErrorKind::Limit);
    let count = placed(&format!("<polylist>{INPUT}<vcount>4294967295</vcount><p>0 1 2</p></polylist>"));
    sound(&parse(&count, Strictness::Default).expect_err("a count"), "a count");
    let stride = placed(&format!("<triangles>{INPUT}<p>0 1 2</p></triangles>"))
        .replace("stride=\"3\"", "stride=\"4294967295\" offset=\"4294967295\"");
    sound(&parse(&stride, Strictness::Default).expect_err("a stride"), "a stride");
    for text in ["", "<COLLADA", "<other/>", "no XML at all"] {
        sound(&read_bytes("dae", text.as_bytes(), Strictness::Lenient).expect_err(text), text);
    }
}

#[test]
fn what_is_missing_is_said() {
    let cases = [
        (placed(""), "dae.none"),
        (nodes("<node><instance_geometry url=\"other.dae#g\"/></node>"), "dae.external"),
        (nodes("<node><instance_camera url=\"#none\"/></node>"), "dae.missing"),
        (String::new(), "dae.no-scene"),
    ];
    for (content, code) in cases {
        let record = good(&content);
        let expected = if code == "dae.none" { vec![] } else { vec![code.to_owned()] };
        assert_eq!(codes(&record), expected);
    }
    sound(
        &parse(&nodes("<node><instance_geometry url=\"#none\"/></node>"), Strictness::Default).expect_err("missing"),
        "missing",
    );
    // Half a metre, z up, and nothing said.
    let whole = "<COLLADA version=\"1.5.0\"><asset><unit meter=\"0.5\"/><up_axis>Z_UP</up_axis></asset></COLLADA>";
    let of = |text: &str| -> Scene {
        scene(&read_bytes("dae", text.as_bytes(), Strictness::Default).expect("read")).clone()
    };
    assert_eq!((of(whole).unit_meters, of(whole).up_axis), (Some(0.5), Some("z")));
    let silent = of("<COLLADA version=\"1.4.1\"/>");
    assert_eq!((silent.unit_meters, silent.up_axis), (Some(1.0), Some("y")));
    assert_eq!(silent.nodes.iter().filter(|node| node.transform != Transform::IDENTITY).count(), 0);
}

#[test]
fn files_are_detected_and_endure_damage() {
    is_detected("dae", &["dae/box.dae", "dae/shapes.dae"], &["3mf/box.3mf", "html/medium.html"]);
    torture("dae", "dae/box.dae", true);
    torture("dae", "dae/shapes.dae", true);
}
