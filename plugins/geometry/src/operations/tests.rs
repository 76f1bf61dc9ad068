use mediary_core::record::facts::Bounds;
use mediary_core::record::{Buffer, Facts};
use mediary_core::{MediaRecord, Output, Registry, WriteOptions};

use super::*;
use crate::testing::{codes, read, scene};

fn operate(record: &mut MediaRecord, options: &[(&str, &str)]) {
    let mut write = WriteOptions::default();
    write.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Registry::builtin().operate(record, &write).expect("an operation");
}

fn bounds(record: &MediaRecord) -> Bounds {
    match record.facts() {
        Facts::Scene(facts) => facts.bounds,
        Facts::PointCloud(facts) => facts.bounds,
        _ => None,
    }
    .expect("bounds")
}

/// A wedge: its extents differ on each axis, so that a wrong turn shows.
fn wedge() -> MediaRecord {
    let mut scene = Scene::of_meshes(vec![Default::default()]);
    scene.meshes[0].primitives.push(mediary_core::record::scene::Primitive {
        topology: Topology::Polygons,
        positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [-0.0, 2.0, 3.0], [0.0, 0.0, 0.0]].into(),
        normals: vec![[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]].into(),
        indices: Some(vec![0, 1, 2, 3, 4, 1, 2].into()),
        face_sizes: vec![4, 3].into(),
        ..Default::default()
    });
    MediaRecord::new(scene)
}

#[test]
fn up_is_where_it_was_asked_to_be() {
    for (from, to, min, max) in [
        ("y", "z", [0.0, -3.0, 0.0], [1.0, 0.0, 2.0]),
        ("z", "y", [0.0, 0.0, -2.0], [1.0, 3.0, 0.0]),
        ("y", "x", [0.0, -1.0, 0.0], [2.0, 0.0, 3.0]),
        ("z", "z", [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]),
    ] {
        let mut record = wedge();
        let Media::Scene(scene) = &mut record.media else { unreachable!() };
        scene.up_axis = Some(from);
        operate(&mut record, &[("scene.up_axis", to)]);
        let found = bounds(&record);
        assert_eq!((found.min, found.max), (min, max), "{from} to {to}");
        assert_eq!(self::scene(&record).up_axis, Some(to));
        // A turn: the volume of three edges keeps its sign.
        let positions = &self::scene(&record).meshes[0].primitives[0].positions;
        let [a, b, c] = [positions[1], positions[2], positions[3]];
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        assert_eq!(determinant, 6.0, "{from} to {to}");
    }
}

#[test]
fn an_unknown_up_axis_is_said() {
    let mut record = wedge();
    operate(&mut record, &[("scene.up_axis", "z")]);
    assert_eq!(codes(&record), ["scene.up-axis-assumed"]);
    assert!(!record.source_is_canonical);
}

#[test]
fn a_tree_is_turned_at_its_roots_and_keeps_its_animation() {
    let mut record = read("glb/Fox.glb").expect("a skinned and animated fox");
    let before = bounds(&record);
    operate(&mut record, &[("scene.scale", "2")]);
    let after = bounds(&record);
    for axis in 0..3 {
        assert!((after.min[axis] - 2.0 * before.min[axis]).abs() < 1e-6);
        assert!((after.max[axis] - 2.0 * before.max[axis]).abs() < 1e-6);
    }
}

#[test]
fn equal_vertices_become_one_and_polygons_triangles() {
    let mut record = wedge();
    operate(&mut record, &[("scene.triangulate", "true"), ("scene.weld", "equal")]);
    let primitive = &scene(&record).meshes[0].primitives[0];
    assert_eq!(primitive.topology, Topology::Triangles);
    assert_eq!(primitive.positions.len(), 4, "the fifth equals the first");
    assert_eq!(primitive.normals.len(), 4);
    assert_eq!(primitive.triangles(), 3);
    assert!(primitive.face_sizes.is_empty());
    assert!(record.loss.is_empty(), "{:?}", record.loss);
}

#[test]
fn welding_by_position_says_what_it_drops() {
    let mut record = wedge();
    let Media::Scene(scene) = &mut record.media else { unreachable!() };
    let primitive = &mut scene.meshes[0].primitives[0];
    primitive.normals.to_mut()[4] = [1.0, 0.0, 0.0];
    operate(&mut record, &[("scene.weld", "equal")]);
    assert_eq!(self::scene(&record).meshes[0].primitives[0].positions.len(), 5, "another normal is another vertex");
    operate(&mut record, &[("scene.weld", "positions")]);
    let primitive = &self::scene(&record).meshes[0].primitives[0];
    assert_eq!((primitive.positions.len(), primitive.normals.len()), (4, 0));
    assert_eq!((&*record.loss[0].code, record.loss[0].count), ("scene.normals", 5));
}

#[test]
fn points_turn_with_their_normals_boxes_and_vectors() {
    use mediary_core::record::{AttributeData, AttributeSpec, ScalarType, point_cloud::Vector3};
    let schema = vec![AttributeSpec::new("normal", ScalarType::F32, 3)];
    let normals = AttributeData::F32(Buffer::from(vec![0.0, 0.0, 1.0]));
    let chunk = PointChunk::new(vec![[1.0, 2.0, 3.0]], vec![normals], &schema).expect("a chunk");
    let mut cloud = PointCloud::new(schema, Stream::from_chunks(vec![chunk]));
    cloud.vectors.push(Vector3 { start: [0.0; 3], end: [0.0, 0.0, 1.0], color: None });
    let mut record = MediaRecord::new(cloud);
    operate(&mut record, &[("point_cloud.up_axis", "y"), ("point_cloud.scale", "10")]);
    let Media::PointCloud(cloud) = &mut record.media else { panic!("points") };
    assert_eq!(cloud.vectors[0].end, [0.0, 10.0, 0.0]);
    let chunk = cloud.points.next_chunk().expect("a chunk").expect("one");
    assert_eq!(chunk.positions(), [[10.0, 30.0, -20.0]]);
    assert_eq!(chunk.attributes()[0], AttributeData::F32(Buffer::from(vec![0.0, 1.0, -0.0])));
}

#[test]
fn options_of_a_kind_are_checked_as_those_of_a_format() {
    let registry = Registry::builtin();
    let given = |name: &str, value: &str| registry.check_options(&[(name.to_owned(), value.to_owned())]);
    assert!(given("scene.scale", "2").is_ok());
    let hint = given("scene.size", "2").unwrap_err();
    assert!(hint.hint().is_some_and(|hint| hint.contains("scene.up_axis")), "{hint:?}");
    assert!(given("scene.up_axis", "w").unwrap_err().message().contains("keep | x | y | z"));
    let mut record = wedge();
    let mut write = WriteOptions::default();
    write.options = vec![("scene.scale".into(), "0".into())];
    let error = registry.write(&mut record, "stl", &mut Output::memory(), &write).unwrap_err();
    assert!(error.message().contains("above 0, found 0"), "{error}");
}
