//! Facts are those of trimesh 5.2.0 and assimp 5.2, see `tests/data/3mf/README.md`.

use std::io::{Cursor, Write};

use mediary_core::record::Scene;
use mediary_core::record::scene::{Topology, Wrap};
use mediary_core::{ErrorKind, MediaRecord, Output, Registry, Result, Strictness, WriteOptions};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::testing::{bytes, codes, is_detected, read, read_bytes, scene, sound, torture, triangles_and_bounds, write};
use crate::vertex::linear;

const GOOD: &[&str] =
    &["3mf/beam_lattice_pyramid.3mf", "3mf/box.3mf", "3mf/multiple_cylinders.3mf", "3mf/pyramid_vertexcolor.3mf"];

const MODEL: &str = "<model xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\" unit=\"inch\" \
    xmlns:m=\"http://schemas.microsoft.com/3dmanufacturing/material/2015/02\" \
    xmlns:p=\"http://schemas.microsoft.com/3dmanufacturing/production/2015/06\">";

const MESH: &str = "<mesh><vertices><vertex x=\"0\" y=\"0\" z=\"0\"/><vertex x=\"1\" y=\"0\" z=\"0\"/>\
    <vertex x=\"0\" y=\"1\" z=\"0\"/></vertices><triangles><triangle v1=\"0\" v2=\"1\" v3=\"2\"/></triangles></mesh>";

fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in parts {
        zip.start_file(*name, options).expect("started");
        zip.write_all(content).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// A package of one model with this content.
fn model(content: &str) -> Vec<u8> {
    let relations = "<Relationships><Relationship Target=\"/3D/a.model\" \
        Type=\"http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel\"/></Relationships>";
    let text = format!("{MODEL}{content}</model>");
    package(&[("_rels/.rels", relations.as_bytes()), ("3D/a.model", text.as_bytes())])
}

fn parse(content: &str) -> Result<MediaRecord> {
    read_bytes("3mf", &model(content), Strictness::Default)
}

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let cases = [
        ("3mf/beam_lattice_pyramid.3mf", 0, [0.0; 3], [144.721_36, 152.169_04, 100.0]),
        ("3mf/box.3mf", 12, [0.0; 3], [10.0, 20.0, 30.0]),
        ("3mf/multiple_cylinders.3mf", 6 * 88, [0.0, 0.002, 0.0], [62.0, 40.5948, 20.0]),
        ("3mf/pyramid_vertexcolor.3mf", 4, [0.0; 3], [10.0; 3]),
    ];
    for (name, triangles, min, max) in cases {
        triangles_and_bounds(name, triangles, min, max);
    }
    let record = read("3mf/multiple_cylinders.3mf").expect("read");
    let cylinders = scene(&record);
    assert_eq!(
        (cylinders.meshes.len(), cylinders.facts().vertices, cylinders.unit_meters),
        (1, Some(6 * 46), Some(0.001))
    );
    assert_eq!(cylinders.nodes.iter().filter(|node| node.mesh.is_some()).count(), 6);
    assert_eq!(cylinders.materials[0].base_color, [linear(0xC0), linear(0xC0), linear(0xC0), 1.0]);
    assert!(record.properties["Copyright"].as_str().is_some_and(|text| text.contains("3MF Consortium")));
    let record = read("3mf/beam_lattice_pyramid.3mf").expect("read");
    let primitive = scene(&record).primitives().next().expect("beams");
    assert_eq!((primitive.topology, primitive.positions.len()), (Topology::Lines, 123));
    let record = read("3mf/pyramid_vertexcolor.3mf").expect("read");
    let colors: Vec<_> = scene(&record).primitives().flat_map(|part| part.colors[0].to_vec()).collect();
    assert!(colors.contains(&[1.0, 0.0, 0.0, 1.0]) && colors.contains(&[0.0, 0.0, 1.0, 1.0]), "{colors:?}");
}

#[test]
fn parts_units_textures_and_placements_are_read() {
    let root = format!(
        "{MODEL}<resources><m:texture2d id=\"1\" path=\"/3D/tex/a.png\" contenttype=\"image/png\" tilestyleu=\"clamp\"/>\
         <m:texture2dgroup id=\"2\" texid=\"1\"><m:tex2coord u=\"0\" v=\"0\"/><m:tex2coord u=\"1\" v=\"0.25\"/></m:texture2dgroup>\
         <object id=\"3\" name=\"a &amp; b\" pid=\"2\" pindex=\"1\">{MESH}</object>\
         <object id=\"4\"><components><component objectid=\"3\" transform=\"0 1 0 -1 0 0 0 0 1 5 6 7\"/>\
         <component p:path=\"/3D/other.model\" objectid=\"3\"/></components></object></resources>\
         <build><item objectid=\"4\" transform=\"2 0 0 0 2 0 0 0 2 0 0 0\"/></build></model>"
    );
    let other = format!("{MODEL}<resources><object id=\"3\" name=\"far\">{MESH}</object></resources><build/></model>");
    let bytes = package(&[
        ("3D/3dmodel.model", root.as_bytes()),
        ("3D/other.model", other.as_bytes()),
        ("3D/tex/a.png", b"\x89PNG\r\n\x1A\n"),
    ]);
    let record = read_bytes("3mf", &bytes, Strictness::Default).expect("read");
    assert_eq!(codes(&record), ["3mf.relationship"]);
    let scene = scene(&record);
    let names: Vec<_> = scene.meshes.iter().map(|mesh| &*mesh.name).collect();
    assert_eq!((names, scene.unit_meters, scene.up_axis), (vec!["a & b", "far"], Some(0.0254), Some("z")));
    // (x, y) becomes (-y, x), moved by (5, 6, 7), doubled: x from 8 to 10, y from 12 to 14; the other from 0 to 2.
    let bounds = scene.bounds().expect("bounds");
    assert_eq!((bounds.min, bounds.max), ([0.0, 0.0, 0.0], [10.0, 14.0, 14.0]));
    assert_eq!(scene.meshes[0].primitives[0].texcoords[0], [[1.0, 0.75]; 3]);
    let texture = &scene.textures[0];
    assert_eq!((texture.bytes.len(), texture.wrap), (8, [Wrap::Clamp, Wrap::Repeat]));
}

#[test]
fn broken_packages_are_refused_with_reasons() {
    let resources = |object: &str, build: &str| format!("<resources>{object}</resources><build>{build}</build>");
    let item = "<item objectid=\"1\"/>";
    let object = |content: &str| resources(&format!("<object id=\"1\">{content}</object>"), item);
    let cases = [
        ("a component of itself", object("<components><component objectid=\"1\"/></components>")),
        ("an object that is not there", resources("", item)),
        ("a corner out of range", object(&MESH.replace("v3=\"2\"", "v3=\"3\""))),
        ("a word for a number", object(&MESH.replace("x=\"1\"", "x=\"one\""))),
        (
            "a short transform",
            resources(&format!("<object id=\"1\">{MESH}</object>"), "<item objectid=\"1\" transform=\"1 0 0\"/>"),
        ),
        ("an open element", "<resources>".to_owned()),
    ];
    for (what, content) in cases {
        sound(&parse(&content).expect_err(what), what);
    }
    let name = "3mf/malformed/unknown-object.3mf";
    sound(&read(name).expect_err(name), name);
    let lenient = read_bytes("3mf", &bytes(name), Strictness::Lenient).expect("read");
    assert!(codes(&lenient).contains(&"3mf.missing-object".into()));
    let found = codes(&read("3mf/malformed/malformed_property_index_oob.3mf").expect("read"));
    assert!(found.contains(&"3mf.property-index".into()), "{found:?}");
    let found = codes(&read("3mf/malformed/no-model-relationship.3mf").expect("read"));
    assert!(found.contains(&"3mf.relationship".into()), "{found:?}");
}

#[test]
fn bombs_are_refused() {
    // Thirty levels of ten components each.
    let mut objects = format!("<object id=\"1\">{MESH}</object>");
    for level in 2..30 {
        let component = format!("<component objectid=\"{}\"/>", level - 1);
        objects += &format!("<object id=\"{level}\"><components>{}</components></object>", component.repeat(10));
    }
    let error =
        parse(&format!("<resources>{objects}</resources><build><item objectid=\"29\"/></build>")).expect_err("many");
    assert_eq!(error.kind(), ErrorKind::Limit);
    // A name of a megabyte, a thousand times; objects that none of two hundred thousand components names.
    let item = "<item objectid=\"1\"/>".repeat(1000);
    let named = format!("<resources><object id=\"1\" name=\"{}\">{MESH}</object></resources>", "n".repeat(1 << 20));
    let error = parse(&format!("{named}<build>{item}</build>")).expect_err("a gigabyte of names");
    assert_eq!(error.kind(), ErrorKind::Limit);
    let component = "<components><component objectid=\"1\"/></components>";
    let objects: String = (2..200_000).map(|id| format!("<object id=\"{id}\">{component}</object>")).collect();
    let begun = std::time::Instant::now();
    parse(&format!("<resources>{objects}<object id=\"1\">{MESH}</object></resources>")).expect("read");
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    let zeros = vec![b' '; 8 << 20];
    let error = read_bytes("3mf", &package(&[("3D/3dmodel.model", &zeros)]), Strictness::Default).expect_err("empty");
    sound(&error, "eight megabytes of nothing");
}

#[test]
fn what_is_written_is_read_again() {
    for name in GOOD {
        let mut record = read(name).expect(name);
        if scene(&record).primitives().all(|part| part.topology == Topology::Lines) {
            let refused =
                Registry::builtin().write(&mut record, "3mf", &mut Output::memory(), &WriteOptions::default());
            let error = refused.expect_err("a lattice of beams has no faces");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            continue;
        }
        let written = write(&mut record, "3mf", &[]);
        // The header of a part, 30 bytes, says which version of ZIP it takes: 4.5 is too new for many readers.
        let part = b"3D/3dmodel.model";
        let at = written.bytes.windows(part.len()).position(|window| window == part).expect("the part");
        assert_eq!(written.bytes[at - 26], 20, "{name}");
        let again = read_bytes("3mf", &written.bytes, Strictness::Strict).expect(name);
        let (before, after) = (scene(&record), scene(&again));
        let meshes = |scene: &Scene| scene.meshes.iter().map(|mesh| mesh.primitives.clone()).collect::<Vec<_>>();
        assert!(meshes(before) == meshes(after), "{name}");
        assert_eq!(before.materials, after.materials, "{name}");
        assert_eq!(before.bounds(), after.bounds(), "{name}");
        assert_eq!(record.properties, again.properties, "{name}");
    }
}

#[test]
fn a_scene_in_metres_with_y_up_is_turned_and_keeps_its_unit() {
    let mut record = read("glb/BoxInterleaved.glb").expect("read");
    if let mediary_core::Media::Scene(scene) = &mut record.media {
        (scene.unit_meters, scene.world_offset) = (Some(0.5), [1.0, 2.0, 3.0]);
    }
    let written = write(&mut record, "3mf", &[]);
    let again = read_bytes("3mf", &written.bytes, Strictness::Strict).expect("read");
    let bounds = scene(&again).bounds().expect("bounds");
    // A cube of one unit around (1, 2, 3): z points up, half a metre is 500 millimetres.
    assert_eq!((bounds.min, bounds.max), ([250.0, -1750.0, 750.0], [750.0, -1250.0, 1250.0]));
}

#[test]
fn damaged_files_do_no_harm() {
    for name in ["3mf/box.3mf", "3mf/pyramid_vertexcolor.3mf"] {
        torture("3mf", name, true);
    }
}

#[test]
fn only_3mf_is_recognised() {
    is_detected("3mf", GOOD, &["glb/BoxTextured.glb", "stl/multibody.stl"]);
}
