//! Facts are those that plyfile 1.1.5, trimesh 5.2.0 and assimp 5.2 state of the files, see `tests/data/ply/README.md`.

use mediary_core::record::scene::Topology;
use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{Media, MediaRecord, Source, Strictness};

use crate::testing::{
    bytes, codes, header_agrees, read, read_bytes, read_in_threads, read_source, scene, sound, torture, write,
};

const GOOD: &[&str] = &[
    "ply/cube_binary.ply",
    "ply/float-color.ply",
    "ply/greg_turk_example2_ok_ascii.ply",
    "ply/points_ascii_with_lists.ply",
    "ply/test_pos_color.ply",
    "ply/tetrahedron_big_endian.ply",
];

fn chunks(bytes: &[u8]) -> (Vec<AttributeSpec>, Vec<PointChunk>, MediaRecord) {
    let mut options = mediary_core::ReadOptions::default();
    options.from = Some("ply".into());
    let mut reading = mediary_core::Registry::builtin().open(&Source::from_bytes("", bytes), &options).expect("opened");
    let mut record = reading.next().expect("a record").expect("read");
    let Media::PointCloud(cloud) = &mut record.media else { panic!("a cloud") };
    let chunks = cloud.points.collect(&mediary_core::Budget::new(1 << 20)).expect("points");
    (cloud.schema.clone(), chunks, record)
}

#[test]
fn counts_and_bounds_are_those_of_other_tools() {
    let cases = [
        ("ply/cube_binary.ply", "vertices", 8, 12),
        ("ply/float-color.ply", "vertices", 3, 1),
        ("ply/greg_turk_example2_ok_ascii.ply", "vertices", 8, 12),
        ("ply/test_pos_color.ply", "vertices", 114, 224),
        ("ply/tetrahedron_big_endian.ply", "vertices", 4, 4),
    ];
    for (name, fact, vertices, triangles) in cases {
        let facts = read(name).expect(name).facts().to_json();
        assert_eq!((&facts[fact], &facts["triangles"]), (&vertices.into(), &triangles.into()), "{name}");
    }
    assert_eq!(read("ply/points_ascii_with_lists.ply").expect("read").facts().to_json()["points"], 5);
    GOOD.iter().copied().for_each(header_agrees);
}

#[test]
fn polygons_and_colours_are_kept() {
    let record = read("ply/greg_turk_example2_ok_ascii.ply").expect("read");
    let primitive = &scene(&record).meshes[0].primitives[0];
    assert_eq!((primitive.topology, primitive.face_sizes.len()), (Topology::Polygons, 7));
    assert_eq!(primitive.colors[0][0], [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(codes(&record), ["ply.ignored-element"]);
}

#[test]
fn header_dialects_are_read() {
    let rows = b"\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let header = "ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
    for header in [
        header.to_owned(),
        header.replace('\n', "\r\n"),
        header.replace('\n', "\r"),
        header.replace("vertex 1", "vertex  1 "),
    ] {
        let (_, chunks, record) = chunks(&[header.as_bytes(), rows].concat());
        // The first row begins with a line feed, which is no part of the header.
        assert_eq!(chunks[0].positions(), [[f64::from(f32::from_bits(10)), 0.0, 0.0]], "{header:?}");
        assert!(codes(&record).is_empty(), "{:?}", codes(&record));
    }
}

#[test]
fn properties_of_any_type_and_order_are_attributes() {
    let header = "ply\nformat binary_big_endian 1.0\nelement junk 1\nproperty list uchar short a\nelement nothing 4000000000\nelement vertex 1\nproperty uchar red\nproperty double z\nproperty uchar green\nproperty short y\nproperty list uint8 int32 tags\nproperty uchar blue\nproperty int8 x\nproperty ushort Label\nend_header\n";
    let mut body = vec![2, 0, 1, 0, 2];
    body.push(10);
    body.extend_from_slice(&2.5_f64.to_be_bytes());
    body.push(20);
    body.extend_from_slice(&(-300_i16).to_be_bytes());
    body.extend_from_slice(&[1, 0, 0, 0, 9, 30, 0xFF]);
    body.extend_from_slice(&515_u16.to_be_bytes());
    let (schema, chunks, record) = chunks(&[header.as_bytes(), &body].concat());
    assert_eq!(
        schema,
        [AttributeSpec::new("color", ScalarType::U8, 3), AttributeSpec::new("label", ScalarType::U16, 1)]
    );
    assert_eq!(chunks[0].positions(), [[-1.0, -300.0, 2.5]]);
    assert_eq!(
        chunks[0].attributes(),
        [AttributeData::U8(vec![10, 20, 30].into()), AttributeData::U16(vec![515].into())]
    );
    assert_eq!(codes(&record), ["ply.ignored-property", "ply.ignored-element"]);
}

#[test]
fn strips_and_face_texture_coordinates_are_read() {
    let vertices = "element vertex 4\nproperty float x\nproperty float y\nproperty float z\n";
    let points = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n";
    let strip = format!(
        "ply\nformat ascii 1.0\n{vertices}element tristrips 1\nproperty list int int vertex_indices\nend_header\n{points}8 0 1 2 3 -1 3 2 1\n"
    );
    let record = read_bytes("ply", strip.as_bytes(), Strictness::Strict).expect("read");
    assert_eq!(scene(&record).meshes[0].primitives[0].indices.as_deref(), Some(&[0, 1, 2, 2, 1, 3, 3, 2, 1][..]));
    let faces = format!(
        "ply\nformat ascii 1.0\n{vertices}element face 2\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord\nend_header\n{points}3 0 1 2 6 0 0 1 0 0 1\n3 2 1 3 6 0.5 1 1 0 1 1\n"
    );
    let record = read_bytes("ply", faces.as_bytes(), Strictness::Strict).expect("read");
    let primitive = &scene(&record).meshes[0].primitives[0];
    // Vertex 2 has two texture coordinates, vertex 1 has one.
    assert_eq!(
        (primitive.positions.len(), primitive.texcoords[0][2], primitive.texcoords[0][3]),
        (5, [0.0, 0.0], [0.5, 0.0])
    );
    assert_eq!(primitive.indices.as_deref(), Some(&[0, 1, 2, 3, 1, 4][..]));
}

#[test]
fn bad_files_are_errors() {
    for name in [
        "huge-count",
        "bomb-list-length",
        "index-out-of-range",
        "short-row",
        "single_elements_err_ascii",
        "crash-nul-property",
    ] {
        let error = read(&format!("ply/malformed/{name}.ply")).expect_err(name);
        sound(&error, name);
        assert!(error.location().is_some(), "{name}: {error}");
    }
    let file = bytes("ply/cube_binary.ply");
    let lenient = read_bytes("ply", &file[..file.len() - 20], Strictness::Lenient).expect("read");
    // 20 bytes are one face and a half of 13 bytes each.
    assert_eq!(lenient.facts().to_json()["triangles"], 10);
    assert!(!lenient.diagnostics.is_empty());
}

/// Points with an attribute of every type.
fn cloud() -> PointCloud {
    let schema = vec![
        AttributeSpec::new("color", ScalarType::U8, 3),
        AttributeSpec::new("normal", ScalarType::F32, 3),
        AttributeSpec::new("category", ScalarType::U16, 1),
        AttributeSpec::new("time", ScalarType::F64, 1),
        AttributeSpec::new("delta", ScalarType::I8, 2),
        AttributeSpec::new("far", ScalarType::I32, 1),
        AttributeSpec::new("id", ScalarType::U32, 1),
        AttributeSpec::new("small", ScalarType::I16, 1),
    ];
    let chunks = [0, 1].map(|chunk| {
        let attributes = vec![
            AttributeData::U8(vec![255, 128, chunk, 1, 2, 3].into()),
            AttributeData::F32(vec![0.0, 0.6, 0.8, 1.0, 0.0, 0.0].into()),
            AttributeData::U16(vec![65_535, u16::from(chunk)].into()),
            AttributeData::F64(vec![1e300, f64::NAN.abs()].into()),
            AttributeData::I8(vec![-128, 127, 0, -1].into()),
            AttributeData::I32(vec![i32::MIN, i32::MAX].into()),
            AttributeData::U32(vec![u32::MAX, 7].into()),
            AttributeData::I16(vec![i16::MIN, 3].into()),
        ];
        let positions = vec![[0.1, 2566.57, f64::from(chunk)], [1e-300, -4.25, 5_400_000.123_456_789]];
        PointChunk::new(positions, attributes, &schema).expect("a chunk")
    });
    let mut cloud = PointCloud::new(schema, Stream::from_chunks(chunks.into()));
    cloud.crs = Some("LOCAL_CS[\"a\nb\"]".into());
    cloud
}

#[test]
fn clouds_survive_exactly() {
    let written = write(&mut MediaRecord::new(cloud()), "ply", &[]);
    let mut original = cloud();
    let before = original.points.collect(&mediary_core::Budget::new(1 << 20)).expect("points");
    let (schema, after, mut record) = chunks(&written.bytes);
    assert_eq!(schema, original.schema);
    assert_eq!(after.len(), 1, "chunks of two are joined");
    let joined: Vec<_> = before.iter().flat_map(|chunk| chunk.positions().to_vec()).collect();
    assert_eq!(after[0].positions(), joined);
    for (index, data) in after[0].attributes().iter().enumerate() {
        let values = before.iter().flat_map(|chunk| {
            let data = &chunk.attributes()[index];
            (0..data.len()).map(|at| data.get(at).to_bits()).collect::<Vec<_>>()
        });
        assert_eq!(
            (0..data.len()).map(|at| data.get(at).to_bits()).collect::<Vec<_>>(),
            values.collect::<Vec<_>>(),
            "{index}"
        );
    }
    assert!(record.source_is_canonical);
    let Media::PointCloud(cloud) = &record.media else { panic!("a cloud") };
    assert_eq!(cloud.crs, original.crs);
    // Written from the record as it was read, the bytes are the same.
    record = read_bytes_undrained(&written.bytes);
    assert_eq!(write(&mut record, "ply", &[]).bytes, written.bytes);
    // As text, the numbers are the same.
    record = read_bytes_undrained(&written.bytes);
    let text = write(&mut record, "ply", &[("ply.ascii", "true")]);
    let (_, from_text, record) = chunks(&text.bytes);
    assert_eq!(from_text[0].positions(), after[0].positions());
    assert!(!record.source_is_canonical);
}

fn read_bytes_undrained(bytes: &[u8]) -> MediaRecord {
    let source = Source::from_bytes("", bytes);
    let options = mediary_core::ReadOptions::default();
    mediary_core::Registry::builtin().open(&source, &options).expect("opened").next().expect("a record").expect("read")
}

#[test]
fn scenes_survive_exactly() {
    for name in GOOD.iter().filter(|name| !name.contains("points")) {
        for options in [&[][..], &[("ply.ascii", "true")]] {
            let mut record = read(name).expect(name);
            let written = write(&mut record, "ply", options);
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
            let again =
                read_source(&Source::from_bytes("", written.bytes), &mediary_core::ReadOptions::default()).expect(name);
            assert_eq!(scene(&again).meshes, scene(&record).meshes, "{name}");
        }
    }
    let mut record = read("obj/test_nm.obj").expect("read");
    let written = write(&mut record, "ply", &[]);
    let again = read_bytes("ply", &written.bytes, Strictness::Strict).expect("read");
    let (before, after) = (&scene(&record).meshes[0].primitives[0], &scene(&again).meshes[0].primitives[0]);
    assert_eq!((&before.normals, &before.texcoords), (&after.normals, &after.texcoords));
}

#[test]
fn damaged_files_do_no_harm() {
    for name in GOOD {
        torture("ply", name, true);
    }
}

#[test]
fn names_may_be_the_same_and_comments_may_lie() {
    let mut text = String::from("ply\nformat ascii 1.0\n");
    text += &"comment mediary.attribute a 1000\n".repeat(3000);
    text += "element vertex 1\nproperty float x\nproperty float y\nproperty float z\n";
    text += &"property uchar a\n".repeat(4000);
    text += &format!("end_header\n{}\n", "1 ".repeat(4003));
    let (schema, chunks, _) = chunks(text.as_bytes());
    assert_eq!((schema.len(), &*schema[0].name, &*schema[3999].name), (4000, "a", "a_4000"));
    assert_eq!(chunks[0].attributes()[3999], AttributeData::U8(vec![1].into()));
    text = text.replace("property uchar a\n", "property uchar a\nproperty uchar b\n");
    let error = read_bytes("ply", text.as_bytes(), Strictness::Default).expect_err("too many");
    sound(&error, "8000 properties");
}

#[test]
fn normals_without_direction_are_findings() {
    let text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nproperty float nx\nproperty float ny\nproperty float nz\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0 0 0 0\n1 0 0 0 0 2\n0 1 0 nan 0 1\n3 0 1 2\n";
    let record = read_bytes("ply", text.as_bytes(), Strictness::Default).expect("read");
    assert_eq!(scene(&record).meshes[0].primitives[0].normals, [[0.0, 0.0, 1.0]; 3]);
    let found = record.diagnostics.to_vec();
    assert_eq!((found.len(), &*found[0].code, found[0].count), (1, "ply.bad-normal", 2));
}

#[test]
fn comments_name_pictures() {
    let text = "ply\nformat ascii 1.0\ncomment TextureFile a b.png\nelement vertex 3\nproperty float x\nproperty float y\n\
                property float z\nproperty float s\nproperty float t\nelement face 1\nproperty list uchar int vertex_indices\n\
                end_header\n0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n";
    let siblings = mediary_core::MemorySiblings::default().with("a b.png", *b"\x89PNG\r\n\x1A\n");
    let source = mediary_core::Source::from_bytes("a.ply", text.as_bytes()).with_siblings(siblings);
    let record = crate::testing::read_source(&source, &mediary_core::ReadOptions::default()).expect("read");
    let scene = scene(&record);
    assert_eq!((&*scene.textures[0].media_type, scene.textures[0].bytes.len()), ("image/png", 8));
    assert_eq!(scene.meshes[0].primitives[0].material, Some(0));
    // The picture goes with what is written, too.
    let mut again = MediaRecord::new(scene.clone());
    let written = write(&mut again, "ply", &[("ply.ascii", "true")]);
    assert_eq!(again.loss.to_vec(), []);
    let header = String::from_utf8_lossy(&written.bytes);
    assert!(header.contains("comment TextureFile a b.png\n") && header.contains("property float s\n"), "{header}");
    assert_eq!(written.siblings, [("a b.png".to_owned(), b"\x89PNG\r\n\x1A\n".to_vec())]);
    let alone = read_bytes("ply", text.as_bytes(), Strictness::Default).expect("read");
    assert_eq!(codes(&alone), ["ply.missing-texture"]);
    assert_eq!(
        (alone.facts().to_json()["textures"].clone(), alone.facts().to_json()["materials"].clone()),
        (1.into(), 1.into())
    );
}

#[test]
fn threads_share_a_text_and_change_nothing() {
    let mut text = String::from(
        "ply\nformat ascii 1.0\nelement vertex 70000\nproperty double x\nproperty float y\nproperty uchar red\nproperty \
         uchar green\nproperty uchar blue\nproperty float z\nelement face 30000\nproperty list uchar int vertex_index\n\
         property uchar flag\nend_header\n",
    );
    for number in 0..70_000 {
        let (end, red) = match number {
            30_000 => (" \r\n", 1),
            40_000 => ("\n\n", 2),
            50_000 => (" 7\n", 3),
            60_000 => ("\n", 300),
            _ => ("\n", number % 256),
        };
        text += &format!("{number}.25 -{number}e-3 {red} 2 3 nan{end}")
            .replace("nan", if number == 9 { "nan" } else { "1" });
    }
    for number in 0..30_000 {
        text += match number % 1000 {
            7 => "4 0 1 2 3 0\n",
            8 => "2 0 1 0\n",
            _ => "3 0 1 2 0\n",
        };
    }
    let made = read_in_threads("ply", &text);
    for code in ["ply.extra-values", "ply.out-of-range", "ply.short-face", "ply.non-finite", "Polygons"] {
        assert!(made.contains(code), "{code}");
    }
    let bad = text.replace("69999.25", "x");
    let error = read_in_threads("ply", &bad);
    assert!(error.contains("found \"x\"") && error.contains("line: Some(70014)"), "{error}");
}
