use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::diagnostic::Severity;
use crate::error::Location;
use crate::limits::Budget;
use crate::record::annotations::{Form, Position, Runs, Unit};
use crate::record::audio::Audio;
use crate::record::facts::{AudioFacts, ColumnFact, ImageFacts, MoleculeFacts, SceneFacts, TableFacts, VideoFacts};
use crate::record::molecule::{
    Atoms, Bond, BondOrder, BondSource, BondStereo, Cell, Chain, Chirality, Element, Model, Residue, SecondaryStructure,
};
use crate::record::point_cloud::{Box3, Vector3};
use crate::record::scene::{
    AlphaMode, AnimatedProperty, Animation, Camera, Channel, Interpolation, Light, Material, Mesh, MorphTarget, Node,
    Primitive, Skin, Texture, TextureUse, Topology, Transform, Wrap,
};
use crate::record::{
    Bounds, Box2, ColorSpace, Column, ColumnType, Histogram, Html, Image, Layer, Mask, Molecule, PointCloud, Samples,
    ScalarType, Scene, Table, Track, TrackKind, VarBytes, Video, VideoFrame,
};
use crate::source::SiblingUse;

/// There and back, with all chunks of the stream.
fn round(record: &mut MediaRecord) -> MediaRecord {
    let parcel = pack_record(record).unwrap();
    let mut chunks = VecDeque::new();
    if streams(record) {
        while let Some(chunk) = pack_chunk(record).unwrap() {
            chunks.push_back(chunk);
        }
    }
    assert!(pack_chunk(record).unwrap().is_none(), "the end stays the end");
    unpack_record(parcel, move || Ok(chunks.pop_front())).unwrap()
}

/// Everything but bulk in streams. `Debug` tells NaN from NaN nowhere, and all other values apart.
fn shown(record: &MediaRecord) -> String {
    format!("{record:?}")
}

fn unpack_json(json: Value, buffers: Vec<Bytes>) -> Result<MediaRecord> {
    unpack_record(Parcel { json: json.to_string(), buffers }, || Ok(None))
}

fn refusal(json: Value, buffers: Vec<Bytes>) -> String {
    let error = unpack_json(json, buffers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    error.message().to_owned()
}

fn bytes(values: &[u8]) -> Bytes {
    Arc::new(values.to_vec())
}

/// Bytes that start on an odd address or do not, and end where they end.
fn placed<T: bytemuck::Pod>(values: &[T], misaligned: bool) -> Bytes {
    struct Placed(Vec<u64>, usize, usize);
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            &bytemuck::cast_slice(&self.0)[self.1..self.1 + self.2]
        }
    }
    let values: &[u8] = bytemuck::cast_slice(values);
    let start = usize::from(misaligned);
    let mut room = vec![0_u64; values.len() / 8 + 2];
    bytemuck::cast_slice_mut(&mut room)[start..start + values.len()].copy_from_slice(values);
    Arc::new(Placed(room, start, values.len()))
}

/// A record with every field beside the media.
fn dressed(media: impl Into<Media>) -> MediaRecord {
    let mut record = MediaRecord::new(media);
    record.key = "the \"key\"\u{0}".into();
    record.caption = Some(String::new());
    record.step = Some(i64::MIN);
    record.media_type = "a/b".into();
    record.format = "off".into();
    record.index = u64::MAX;
    record.source_is_canonical = true;
    record.source = SourceInfo {
        name: "ä.off".into(),
        bytes: 7,
        sha256: Some("00".into()),
        siblings: vec![SiblingUse { name: "a/b.mtl".into(), bytes: 1 }],
    };
    record.properties = serde_json::from_value(json!({
        "z first": { "b": [1, -2.5, null, { "a": [[[]]] }], "a": 0.1 }, "a": u64::MAX, "": true,
    }))
    .unwrap();
    record.loss = vec![Loss { code: "off.names".into(), message: "names".into(), count: 3 }];
    record.diagnostics.push(
        Diagnostic::new(Severity::Warning, "off.a", "odd").times(4).at(Location::line(3).with_column(1).with_byte(9)),
    );
    record.diagnostics.push(Diagnostic::new(Severity::Info, "off.b", "").at(Location::element("x[1]")));
    record.annotations.insert(
        "truth".into(),
        Layer {
            class_labels: [(-1, "cat".into()), (7, String::new())].into(),
            boxes: vec![Box2 {
                pixels: [0.1, f64::NEG_INFINITY, -0.0, f64::NAN],
                class_id: -1,
                caption: Some("c".into()),
                scores: [("p".into(), f64::INFINITY), ("q".into(), 0.25)].into(),
                position: Some(Position { form: Form::Size, unit: Unit::Fraction, values: [f64::NAN, 0.1, -0.0, 0.5] }),
                polygons: vec![vec![[0.5, f64::NAN], [1.0, 2.0], [0.1, 0.2]], vec![]],
                runs: Some(Runs::new(2, 1, vec![0, 1, 1]).unwrap()),
                properties: serde_json::from_value(json!({ "iscrowd": 1 })).unwrap(),
            }],
            mask: Some(Mask::new(2, 1, vec![65_535, 0]).unwrap()),
        },
    );
    record.annotations.insert("empty".into(), Layer::default());
    record
}

fn rich_scene() -> Scene {
    let primitive = Primitive {
        topology: Topology::Polygons,
        positions: vec![[f32::NAN, 0.1, -0.0]; 4].into(),
        normals: vec![[0.0, 0.0, 1.0]; 4].into(),
        tangents: vec![[1.0, 0.0, 0.0, -1.0]; 4].into(),
        texcoords: vec![vec![[0.5, 0.25]; 4].into(), vec![[f32::INFINITY, 0.0]; 4].into()],
        colors: vec![vec![[0.1, 0.2, 0.3, 0.4]; 4].into()],
        joints: vec![vec![[1, 2, 3, 65_535]; 4].into()],
        weights: vec![vec![[1.0, 0.0, 0.0, 0.0]; 4].into()],
        indices: Some([0, 1, 2, 3].into()),
        face_sizes: [4].into(),
        material: Some(0),
        targets: vec![MorphTarget {
            name: "smile".into(),
            positions: vec![[1.0; 3]; 4].into(),
            ..MorphTarget::default()
        }],
    };
    let bare = Primitive { positions: vec![[1.0; 3]; 3].into(), ..Primitive::default() };
    let no_indices = Primitive { indices: Some(Buffer::default()), topology: Topology::Lines, ..Primitive::default() };
    let texture = |bytes: Buffer<u8>| Texture {
        name: "t".into(),
        uri: Some("a.png".into()),
        media_type: "image/png".into(),
        bytes,
        wrap: [Wrap::Mirror, Wrap::Clamp],
        nearest: true,
    };
    let used = |transform| Some(TextureUse { texture: 0, texcoord: 1, transform, factor: f32::NAN });
    let picture = Buffer::from(Arc::<[u8]>::from([1, 2, 3]));
    Scene {
        name: "scene".into(),
        nodes: vec![
            Node {
                name: "n".into(),
                transform: Transform::Matrix([f64::NAN; 16]),
                children: vec![1, 2],
                mesh: Some(0),
                skin: Some(0),
                camera: Some(1),
                light: Some(0),
                weights: vec![f32::NAN, 0.1],
            },
            Node {
                transform: Transform::Trs { translation: [0.1; 3], rotation: [0.0; 4], scale: [f64::INFINITY; 3] },
                ..Node::default()
            },
            Node::default(),
        ],
        roots: vec![0],
        meshes: vec![
            Mesh { name: "m".into(), primitives: vec![primitive, bare, no_indices], weights: vec![0.1, f32::NAN] },
            Mesh::default(),
        ],
        materials: vec![
            Material {
                name: "red".into(),
                base_color: [0.1, f32::NAN, 0.0, 1.0],
                base_color_texture: used(Some(([0.1, 0.2], [f32::INFINITY, 1.0], -0.5))),
                normal_texture: used(None),
                alpha: AlphaMode::Mask(0.3),
                double_sided: true,
                unlit: true,
                original: [("Ks".into(), "0.5 0.5".into())].into(),
                ..Material::default()
            },
            Material { alpha: AlphaMode::Blend, emissive: [1.0, 2.0, 3.0], ..Material::default() },
        ],
        textures: vec![texture(picture.clone()), texture(picture), texture(Buffer::default())],
        skins: vec![Skin {
            name: "s".into(),
            joints: vec![1, 2],
            inverse_bind_matrices: vec![[0.5; 16], [f32::NAN; 16]],
            root: Some(0),
        }],
        animations: vec![Animation {
            name: "walk".into(),
            channels: vec![Channel {
                node: 1,
                property: AnimatedProperty::Weights,
                interpolation: Interpolation::CubicSpline,
                times: vec![0.0, 0.5],
                values: vec![f32::NAN, 0.1],
            }],
        }],
        cameras: vec![
            Camera::Perspective { yfov: 0.7, aspect: None, near: 0.1, far: Some(f64::INFINITY) },
            Camera::Orthographic { xmag: 1.0, ymag: f64::NAN, near: 0.0, far: 9.0 },
        ],
        lights: vec![Light {
            name: "l".into(),
            kind: "spot",
            color: [0.1; 3],
            intensity: f32::INFINITY,
            range: Some(2.0),
            cone: Some([0.1, f32::NAN]),
        }],
        up_axis: Some("z"),
        unit_meters: Some(0.001),
        world_offset: [1e300, f64::NEG_INFINITY, -0.0],
    }
}

fn rich_molecule() -> Molecule {
    Molecule {
        name: "mol".into(),
        atoms: Atoms {
            elements: [0, 118].map(|number| Element::from_number(number).unwrap()).into(),
            names: vec!["CA".into(), "a name of more than twenty-three bytes: ä".into()],
            residues: vec![0, 1],
            serials: vec![i64::MIN, 3],
            altlocs: vec!['\0', 'ß'],
            occupancies: vec![f32::NAN, 0.1],
            b_factors: vec![],
            formal_charges: vec![-1, 2],
            partial_charges: vec![0.1, f32::INFINITY],
            radii: vec![1.0, 2.0],
            isotopes: vec![0, 13],
            radicals: vec![0, 3],
            map_numbers: vec![u32::MAX, 0],
            types: vec!["".into(), "".into()],
            hydrogens: vec![0, 255],
            aromatic: vec![true, false],
            chirality: vec![Chirality::Either, Chirality::Clockwise],
        },
        residues: vec![
            Residue {
                name: "ALA".into(),
                number: Some(i32::MIN),
                insertion: Some('\u{10FFFF}'),
                label_number: None,
                segment: "S".into(),
                hetero: true,
                chain: 0,
            },
            Residue::default(),
        ],
        chains: vec![Chain { name: "A".into(), label: "B".into(), entity: "1".into() }],
        bonds: vec![Bond {
            a: 0,
            b: 1,
            order: BondOrder::Dative,
            aromatic: true,
            stereo: BondStereo::Trans,
            source: BondSource::Distance,
        }],
        models: vec![
            Model {
                number: -4,
                title: "t".into(),
                positions: vec![[0.1, f64::NAN, -0.0], [1e-300; 3]].into(),
                velocities: vec![[1.0; 3]; 2].into(),
                cell: Some(Cell { lengths: [1.0, f64::NAN, 2.0], angles: [90.0; 3] }),
            },
            Model::default(),
        ],
        cell: Some(Cell { lengths: [0.1; 3], angles: [90.0; 3] }),
        space_group: Some("P 1".into()),
        secondary: vec![SecondaryStructure { kind: "helix", start: 0, end: 1, class: -1, id: "1".into() }],
    }
}

fn rich_image() -> Image {
    let mut image = Image::new(2, 1, 3, Samples::F32([0.0, -0.0, f32::NAN, 2.0, 0.1, f32::INFINITY].into())).unwrap();
    image.color_space = ColorSpace::Icc;
    image.icc = Some(vec![1, 2, 3]);
    (image.source_bits, image.frames, image.orientation_applied) = (12, 9, true);
    image
}

#[test]
fn whole_records_come_back() {
    let gray = |samples| Image::new(2, 1, 1, samples).unwrap();
    let media: Vec<Media> = vec![
        rich_image().into(),
        gray(Samples::U8([1, 255].into())).into(),
        gray(Samples::U16([1, 65_535].into())).into(),
        rich_scene().into(),
        Scene::default().into(),
        rich_molecule().into(),
        Molecule::default().into(),
        Histogram::new(vec![-1.0, 0.1, 5.0], vec![0.0, 2.5]).unwrap().into(),
        Html { text: "<p>ä".into(), title: "t".into(), has_external_refs: true }.into(),
        Html { text: String::new(), title: String::new(), has_external_refs: false }.into(),
        Video { container: "mp4".into(), tracks: vec![], duration_seconds: None, playable: false, frames: None }.into(),
    ];
    for media in media {
        let mut record = dressed(media);
        let back = round(&mut record);
        assert_eq!(shown(&back), shown(&record));
        let (parcel, again) = (pack_record(&mut record).unwrap(), pack_record(&mut round(&mut record)).unwrap());
        assert_eq!(parcel.json, again.json, "a second trip says the same");
        let mut bare = MediaRecord::new(record.media);
        assert_eq!(shown(&round(&mut bare)), shown(&bare), "a record of nothing but media");
    }
}

#[test]
fn points_come_back() {
    let schema = vec![
        AttributeSpec::new("color", ScalarType::U8, 3),
        AttributeSpec::new("time", ScalarType::F64, 1),
        AttributeSpec::new("a", ScalarType::I8, 1),
        AttributeSpec::new("b", ScalarType::I16, 1),
        AttributeSpec::new("c", ScalarType::U16, 1),
        AttributeSpec::new("d", ScalarType::I32, 1),
        AttributeSpec::new("e", ScalarType::U32, 1),
        AttributeSpec::new("f", ScalarType::F32, 2),
    ];
    let chunk = |count: usize| {
        let attributes = vec![
            AttributeData::U8(vec![200; count * 3].into()),
            AttributeData::F64(vec![f64::INFINITY; count].into()),
            AttributeData::I8(vec![-1; count].into()),
            AttributeData::I16(vec![-2; count].into()),
            AttributeData::U16(vec![65_535; count].into()),
            AttributeData::I32(vec![i32::MIN; count].into()),
            AttributeData::U32(vec![u32::MAX; count].into()),
            AttributeData::F32(vec![0.1; count * 2].into()),
        ];
        PointChunk::new(vec![[0.1, -0.0, 1e300]; count], attributes, &schema).unwrap()
    };
    let chunks = vec![chunk(3), chunk(0), chunk(1)];
    let mut cloud = PointCloud::new(schema.clone(), Stream::from_chunks(chunks.clone()));
    cloud.declared_points = Some(4);
    cloud.boxes = vec![Box3 {
        corners: [[0.1, f64::NAN, f64::INFINITY]; 8],
        label: Some("car".into()),
        color: Some([0.1; 3]),
        score: Some(f64::NEG_INFINITY),
    }];
    cloud.vectors = vec![Vector3 { start: [0.0; 3], end: [f64::NAN; 3], color: None }];
    (cloud.scene_type, cloud.crs) = (Some("lidar/beta".into()), Some("EPSG:1".into()));
    let mut record = dressed(cloud);
    let mut back = round(&mut record);
    let Media::PointCloud(cloud) = &mut back.media else { panic!("{back:?}") };
    assert_eq!(cloud.points.collect(&Budget::new(u64::MAX)).unwrap(), chunks);
    assert_eq!(shown(&back), shown(&record));
}

#[test]
fn sound_comes_back() {
    let int = |samples: &[i32]| AudioChunk::Int { samples: samples.to_vec().into(), channels: 2, bits: 24 };
    let float = |samples: &[f32]| AudioChunk::Float { samples: samples.to_vec().into(), channels: 2 };
    for chunks in [
        vec![int(&[-(1 << 23), (1 << 23) - 1, 3, 4]), int(&[]), int(&[5, 6])],
        vec![float(&[-0.0, 2.0, 0.1, 1e-40])],
        vec![],
    ] {
        let mut record = dressed(Audio {
            sample_rate: 44_100,
            channels: 2,
            layout: vec!["FR", "FL"],
            integer: matches!(chunks.first(), Some(AudioChunk::Int { .. })),
            bit_depth: 24,
            codec: "flac".into(),
            declared_frames: Some(3),
            tags: [("TITLE".into(), "ä".into())].into(),
            samples: Stream::from_chunks(chunks.clone()),
        });
        let mut back = round(&mut record);
        let Media::Audio(audio) = &mut back.media else { panic!("{back:?}") };
        assert_eq!(audio.samples.collect(&Budget::new(u64::MAX)).unwrap(), chunks);
        assert_eq!(shown(&back), shown(&record));
    }
}

#[test]
fn rows_come_back() {
    let cells = |cells: &[&[u8]]| {
        let mut all = VarBytes::default();
        cells.iter().for_each(|cell| all.push(cell));
        all
    };
    let column = |data, valid: Option<Vec<bool>>| Column { data, valid };
    let chunk = |rows: usize| {
        let texts: &[&[u8]] = &[b"", "ä".as_bytes(), b"c"];
        let columns = vec![
            column(ColumnData::Null(rows), None),
            column(ColumnData::Bool([true, false, true][..rows].into()), Some([false, true, true][..rows].into())),
            column(ColumnData::Int64([i64::MIN, 0, i64::MAX][..rows].to_vec().into()), None),
            column(ColumnData::Float64([0.1, f64::INFINITY, -0.0][..rows].to_vec().into()), None),
            column(ColumnData::Text(cells(&texts[..rows])), None),
            column(ColumnData::Binary(cells(&[&b"\xFF\x00"[..], b"", b"x"][..rows])), None),
        ];
        TableChunk::new(columns, rows).unwrap()
    };
    let chunks = vec![chunk(3), chunk(0), chunk(1)];
    let schema = chunks[0].columns().iter().zip(0..).map(|(column, index)| ColumnSpec {
        name: if index < 2 { "twice".into() } else { format!("{index}") },
        kind: column.data.kind(),
    });
    let (schema, rows) = (schema.collect(), Stream::from_chunks(chunks.clone()));
    let mut record = dressed(Table { schema, declared_rows: Some(4), truncated: true, rows });
    let mut back = round(&mut record);
    let Media::Table(table) = &mut back.media else { panic!("{back:?}") };
    assert_eq!(table.rows.collect(&Budget::new(u64::MAX)).unwrap(), chunks);
    assert_eq!(shown(&back), shown(&record));
}

fn track() -> Track {
    Track {
        codec_string: Some("avc1".into()),
        duration_seconds: Some(f64::INFINITY),
        frame_rate: Some(29.97),
        width: Some(1920),
        rotation: Some(90),
        ..Track::new(1, TrackKind::Subtitle, "h264")
    }
}

#[test]
fn frames_come_back() {
    let samples = |value| Samples::U8(vec![value; 3].into());
    let frame =
        |value| VideoFrame { image: Image::new(1, 1, 3, samples(value)).unwrap(), duration_seconds: f64::from(value) };
    let frames = vec![frame(1), frame(2)];
    let mut record = dressed(Video {
        container: "gif".into(),
        tracks: vec![track()],
        duration_seconds: Some(0.1),
        playable: true,
        frames: Some(Stream::from_chunks(frames.clone())),
    });
    assert!(streams(&record));
    let mut back = round(&mut record);
    let Media::Video(video) = &mut back.media else { panic!("{back:?}") };
    assert_eq!(video.frames.as_mut().unwrap().collect(&Budget::new(u64::MAX)).unwrap(), frames);
    assert_eq!(shown(&back), shown(&record));
}

#[test]
fn headers_come_back() {
    let column = |name: &str, kind| ColumnFact { name: name.into(), kind };
    let facts = [
        Facts::Image(ImageFacts {
            width: Some(3),
            sample_format: Some("float"),
            color_space: Some("icc"),
            orientation_applied: Some(false),
            ..ImageFacts::default()
        }),
        Facts::Scene(SceneFacts {
            bounds: Some(Bounds { min: [-0.1; 3], max: [f64::INFINITY; 3] }),
            up_axis: Some("y"),
            ..SceneFacts::default()
        }),
        rich_points().facts(),
        Facts::Molecule(MoleculeFacts { cell: Some([f64::NAN, 1.0, 2.0, 3.0, 4.0, 5.0]), ..MoleculeFacts::default() }),
        Facts::Audio(AudioFacts { peak: Some(f64::NAN), rms: Some(0.1), ..AudioFacts::default() }),
        Facts::Video(VideoFacts { tracks: Some(vec![track()]), ..VideoFacts::default() }),
        Media::from(Histogram::new(vec![0.0, 1.0], vec![2.0]).unwrap()).facts(),
        Facts::Table(TableFacts {
            columns: Some(vec![column("a", None), column("b", Some(ColumnType::Int64.as_str()))]),
            ..TableFacts::default()
        }),
        Media::from(Html { text: "a".into(), title: "b".into(), has_external_refs: true }).facts(),
    ];
    let mut kinds: Vec<_> = facts.iter().map(Facts::kind).collect();
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL);
    for facts in facts {
        for (records, memory) in [(None, None), (Some(u64::MAX), Some(0))] {
            let header = Header { facts: facts.clone(), records, memory };
            let back = unpack_header(&pack_header(&header).unwrap()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{header:?}"));
        }
    }
    let unpack = |json: Value| unpack_header(&Parcel { json: json.to_string(), buffers: vec![] });
    assert_eq!(
        unpack(json!({ "kind": "html", "facts": {}, "new": [1] })).unwrap().facts,
        Facts::Html(Default::default())
    );
    for wrong in [
        json!({ "kind": "image" }),
        json!({ "kind": "smell", "facts": {} }),
        json!({ "kind": "image", "facts": { "width": -1 } }),
        json!({ "kind": "image", "facts": { "sample_format": "int" } }),
        json!({ "kind": "table", "facts": { "columns": [{ "name": "a", "type": "int32" }] } }),
        json!({ "kind": "molecule", "facts": { "cell": [1, 2, 3] } }),
    ] {
        assert_eq!(unpack(wrong.clone()).unwrap_err().kind(), ErrorKind::Plugin, "{wrong}");
    }
}

fn rich_points() -> Media {
    PointCloud::new(vec![AttributeSpec::new("a", ScalarType::U8, 1)], Stream::default()).into()
}

#[test]
fn bulk_is_not_copied() {
    let big = vec![7_u8; 1 << 20];
    let home = big.as_ptr();
    let mut record = MediaRecord::new(Image::new(1024, 1024, 1, Samples::U8(big.into())).unwrap());
    let parcel = pack_record(&mut record).unwrap();
    assert_eq!((*parcel.buffers[0]).as_ref().as_ptr(), home);
    let Media::Image(image) = unpack_record(parcel, || Ok(None)).unwrap().media else { panic!("an image") };
    let Samples::U8(samples) = image.samples() else { panic!("8 bits") };
    assert_eq!(samples.as_ptr(), home);

    let mut scene = rich_scene();
    scene.meshes[0].primitives.truncate(2);
    let part = &scene.meshes[0].primitives[0];
    let homes: Vec<usize> = vec![
        part.positions.as_ptr().addr(),
        part.normals.as_ptr().addr(),
        part.tangents.as_ptr().addr(),
        part.texcoords[0].as_ptr().addr(),
        part.texcoords[1].as_ptr().addr(),
        part.colors[0].as_ptr().addr(),
        part.joints[0].as_ptr().addr(),
        part.weights[0].as_ptr().addr(),
        part.indices.as_ref().unwrap().as_ptr().addr(),
        part.face_sizes.as_ptr().addr(),
        part.targets[0].positions.as_ptr().addr(),
        scene.meshes[0].primitives[1].positions.as_ptr().addr(),
        scene.textures[0].bytes.as_ptr().addr(),
    ];
    let mut record = MediaRecord::new(scene);
    let parcel = pack_record(&mut record).unwrap();
    let packed: Vec<usize> = parcel.buffers.iter().map(|buffer| (**buffer).as_ref().as_ptr().addr()).collect();
    // After the textures: the matrices of the skin, the times and the values of the channel.
    assert_eq!(packed[..packed.len() - 3], homes, "one picture of two textures goes once");
    let Media::Scene(scene) = unpack_record(parcel, || Ok(None)).unwrap().media else { panic!("a scene") };
    let part = &scene.meshes[0].primitives[0];
    assert_eq!(part.positions.as_ptr().addr(), homes[0]);
    assert_eq!(scene.textures[1].bytes.as_ptr().addr(), homes[12]);

    let chunk = PointChunk::new(vec![[1.0; 3]; 4], vec![AttributeData::U16(vec![1; 4].into())], &schema()).unwrap();
    let homes = |chunk: &PointChunk| {
        let AttributeData::U16(values) = &chunk.attributes()[0] else { panic!("16 bits") };
        (chunk.positions().as_ptr(), values.as_ptr())
    };
    let before = homes(&chunk);
    let mut record = MediaRecord::new(PointCloud::new(schema(), Stream::from_chunks(vec![chunk])));
    let mut back = round(&mut record);
    let Media::PointCloud(cloud) = &mut back.media else { panic!("points") };
    assert_eq!(homes(&cloud.points.next_chunk().unwrap().unwrap()), before);

    let text = VarBytes::new(vec![0, 2], *b"ab").unwrap();
    let home = text.get(0).as_ptr();
    let chunk = TableChunk::new(vec![Column { data: ColumnData::Text(text), valid: None }], 1).unwrap();
    let schema = vec![ColumnSpec { name: String::new(), kind: ColumnType::Text }];
    let rows = Stream::from_chunks(vec![chunk]);
    let mut back = round(&mut MediaRecord::new(Table { schema, declared_rows: None, truncated: false, rows }));
    let Media::Table(table) = &mut back.media else { panic!("a table") };
    let chunk = table.rows.next_chunk().unwrap().unwrap();
    let ColumnData::Text(text) = &chunk.columns()[0].data else { panic!("text") };
    assert_eq!(text.get(0).as_ptr(), home);
}

fn schema() -> Vec<AttributeSpec> {
    vec![AttributeSpec::new("a", ScalarType::U16, 1)]
}

#[test]
fn misaligned_bytes_are_copied() {
    for misaligned in [false, true] {
        let values = [0.1_f32, 2.0];
        let buffer = placed(&values, misaligned);
        let home = (*buffer).as_ref().as_ptr();
        assert_eq!(home.addr() % 4 != 0, misaligned);
        let image = json!({ "width": 2, "height": 1, "channels": 1, "samples": { "f32": 0 } });
        let record = unpack_json(json!({ "kind": "image", "media": image }), vec![buffer]).unwrap();
        let Media::Image(image) = record.media else { panic!("an image") };
        let Samples::F32(samples) = image.samples() else { panic!("floats") };
        assert_eq!(&samples[..], values);
        assert_eq!(samples.as_ptr().addr() == home.addr(), !misaligned);
    }
}

#[test]
fn hostile_records_are_refused() {
    let image = |samples: Value| json!({ "kind": "image", "media": { "width": 2, "height": 1, "channels": 1, "samples": samples } });
    let scene = |media: Value| json!({ "kind": "scene", "media": media });
    let molecule = |media: Value| json!({ "kind": "molecule", "media": media });
    let two = || vec![bytes(&[1, 2])];
    let positions = |index: Value| scene(json!({ "meshes": [{ "primitives": [{ "positions": index }] }] }));
    let texts = |offsets: &[u64], text: &[u8]| {
        let names = json!({ "offsets": 0, "bytes": 1 });
        refusal(molecule(json!({ "atoms": { "names": names } })), vec![placed(offsets, false), bytes(text)])
    };
    for (expected, found) in [
        ("buffer 1 is out of range: there are 1", refusal(image(json!({ "u8": 1 })), two())),
        ("invalid value", refusal(image(json!({ "u8": -1 })), two())),
        ("invalid type", refusal(image(json!({ "u8": [1, 2] })), two())),
        ("unknown variant `u64`", refusal(image(json!({ "u64": 0 })), two())),
        ("are 2 samples, found 1", refusal(image(json!({ "u16": 0 })), two())),
        ("expected elements of 4 bytes, found 2 bytes", refusal(image(json!({ "f32": 0 })), two())),
        ("buffer 1 is used by nothing", refusal(image(json!({ "u8": 0 })), vec![bytes(&[1, 2]), bytes(&[])])),
        ("missing field `width`", refusal(json!({ "kind": "image", "media": {} }), vec![])),
        ("missing field `kind`", refusal(json!({ "media": {} }), vec![])),
        ("missing field `media`", refusal(json!({ "kind": "html" }), vec![])),
        ("unknown variant `sound`", refusal(json!({ "kind": "sound", "media": {} }), vec![])),
        ("image has no stream", {
            let mut json = image(json!({ "u8": 0 }));
            json["stream"] = true.into();
            refusal(json, two())
        }),
        ("elements of 12 bytes", refusal(positions(json!(0)), two())),
        ("buffer 0 is referred to twice", {
            let part = json!({ "positions": 0, "normals": 0 });
            refusal(scene(json!({ "meshes": [{ "primitives": [part] }] })), vec![placed(&[[1.0_f32; 3]], true)])
        }),
        ("unknown variant `laser`", refusal(scene(json!({ "lights": [{ "kind": "laser" }] })), vec![])),
        ("unknown variant `w`", refusal(scene(json!({ "up_axis": "w" })), vec![])),
        ("expected 3 numbers, found 2", refusal(scene(json!({ "world_offset": [0, 1] })), vec![])),
        ("\"NaN\", \"inf\" or \"-inf\"", refusal(scene(json!({ "unit_meters": "nan" })), vec![])),
        ("text 1 of a column is not UTF-8", texts(&[0, 1, 2], b"a\xFF")),
        ("text 0 of a column is not UTF-8", texts(&[0, 1, 2], "ä".as_bytes())),
        ("expected offsets that rise from 0 to 2", texts(&[0, 2, 1], b"ab")),
        ("expected offsets that rise from 0 to 2", texts(&[0, u64::MAX], b"ab")),
        ("expected offsets that rise from 0 to 2", texts(&[1, 2], b"ab")),
        ("expected offsets that rise from 0 to 2", texts(&[], b"ab")),
        (
            "code of an element, found 119",
            refusal(molecule(json!({ "atoms": { "elements": 0 } })), vec![bytes(&[119])]),
        ),
        ("code of a truth value", refusal(molecule(json!({ "atoms": { "aromatic": 0 } })), vec![bytes(&[2])])),
        ("code of a character", {
            refusal(molecule(json!({ "atoms": { "altlocs": 0 } })), vec![placed(&[0xD800_u32], false)])
        }),
        ("unknown codes of a bond", {
            let bonds = json!({ "atoms": 0, "codes": 1 });
            refusal(molecule(json!({ "bonds": bonds })), vec![placed(&[[0_u32, 1]], false), bytes(&[7, 0, 0, 0])])
        }),
        ("expected 1 codes, found 0", {
            let bonds = json!({ "atoms": 0, "codes": 1 });
            refusal(molecule(json!({ "bonds": bonds })), vec![placed(&[[0_u32, 1]], false), bytes(&[])])
        }),
        ("unknown variant `coil`", {
            refusal(molecule(json!({ "secondary": [{ "kind": "coil", "start": 0, "end": 0 }] })), vec![])
        }),
        ("edges must rise", {
            let media = json!({ "kind": "histogram", "media": { "edges": 0, "counts": 1 } });
            refusal(media, vec![placed(&[1.0_f64, 1.0], false), placed(&[1.0_f64], false)])
        }),
        ("the text is not UTF-8", refusal(json!({ "kind": "html", "media": { "text": 0 } }), vec![bytes(b"\xC3")])),
        ("are 4 class ids, found 1", {
            let mut json = image(json!({ "u8": 0 }));
            json["annotations"] = json!({ "a": { "mask": { "width": 2, "height": 2, "classes": 1 } } });
            refusal(json, vec![bytes(&[1, 2]), bytes(&[1, 0])])
        }),
        ("expected 1 to 1048576 components, found 0", {
            let spec = json!({ "name": "a", "scalar": "u8", "components": 0 });
            refusal(json!({ "kind": "point_cloud", "media": { "schema": [spec] } }), vec![])
        }),
        ("0 channels", refusal(json!({ "kind": "audio", "media": audio(0, &[]) }), vec![])),
        ("unknown variant `nose`", refusal(json!({ "kind": "audio", "media": audio(1, &["nose"]) }), vec![])),
    ] {
        assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
    }
}

fn audio(channels: u16, layout: &[&str]) -> Value {
    json!({
        "sample_rate": 8000, "channels": channels, "layout": layout, "integer": true, "bit_depth": 8, "codec": "pcm",
    })
}

#[test]
fn deep_and_broken_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (json, expected) in [
        (format!(r#"{{"kind":"html","media":{{"text":0}},"properties":{{"a":{deep}}}}}"#), "recursion limit"),
        (format!(r#"{{"kind":"scene","media":{deep}}}"#), "invalid type"),
        (format!(r#"{{"kind":"html","media":{{"text":0}},"unknown":{deep}}}"#), ""),
        (deep, "expected value"),
        (r#"{"kind":"html","media":{"text":0}"#.into(), "EOF"),
        (r#"{"kind":"html","media":{"text":0}} {}"#.into(), "trailing"),
        (r#"{"kind":"html","media":{"text":0},"step":1e999}"#.into(), "out of range"),
        (String::new(), "EOF"),
    ] {
        let shown = json.chars().take(60).collect::<String>();
        let result = unpack_record(Parcel { json, buffers: vec![bytes(b"a")] }, || Ok(None));
        match result {
            // What is unknown is passed over, however deep.
            Ok(record) => assert!(expected.is_empty(), "{shown}: {record:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Plugin, "{shown}");
                assert!(error.message().contains(expected), "{shown}: {error}");
            }
        }
    }
}

/// The error of a stream's only chunk.
fn chunk_refusal(record: Value, chunk: Value, buffers: Vec<Bytes>) -> String {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let record = unpack_record(Parcel { json: record.to_string(), buffers: vec![] }, move || {
        *count.lock().unwrap() += 1;
        Ok(Some(Parcel { json: chunk.to_string(), buffers: buffers.clone() }))
    });
    let mut media = record.unwrap().media;
    let error = media.drain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    media.drain().unwrap();
    assert_eq!(*asked.lock().unwrap(), 1, "an error ends the stream");
    error.message().to_owned()
}

#[test]
fn hostile_chunks_are_refused() {
    let cloud = json!({ "kind": "point_cloud", "stream": true, "media": {
        "schema": [{ "name": "a", "scalar": "u16", "components": 1 }],
    } });
    let huge = json!({ "kind": "point_cloud", "stream": true, "media": {
        "schema": [{ "name": "a", "scalar": "u8", "components": COMPONENTS }],
    } });
    let sound = json!({ "kind": "audio", "stream": true, "media": audio(2, &[]) });
    let table = json!({ "kind": "table", "stream": true, "media": { "schema": [{ "name": "a", "type": "text" }] } });
    let nothing = json!({ "kind": "table", "stream": true, "media": { "schema": [{ "name": "a", "type": "null" }] } });
    let video = json!({ "kind": "video", "stream": true, "media": { "container": "gif" } });
    let point = || placed(&[[1.0_f64; 3]], false);
    let int = |channels: u16, bits: u8| json!({ "int": { "samples": 0, "channels": channels, "bits": bits } });
    let samples = |samples: &[i32]| vec![placed(samples, false)];
    let text = |rows: usize| json!({ "rows": rows, "columns": [{ "data": { "text": { "offsets": 0, "bytes": 1 } } }] });
    let cells = |text: &[u8]| vec![placed(&[0_u64, 1, text.len() as u64], false), bytes(text)];
    for (expected, found) in [
        ("expected 1 attributes, found 0", chunk_refusal(cloud.clone(), json!({ "positions": 0 }), vec![point()])),
        ("expected values of type U16, found U8", {
            let chunk = json!({ "positions": 0, "attributes": [{ "u8": 1 }] });
            chunk_refusal(cloud.clone(), chunk, vec![point(), bytes(&[1])])
        }),
        ("expected 1 values, found 2", {
            let chunk = json!({ "positions": 0, "attributes": [{ "u16": 1 }] });
            chunk_refusal(cloud.clone(), chunk, vec![point(), bytes(&[1, 0, 2, 0])])
        }),
        ("expected 1048576 values, found 1", {
            let chunk = json!({ "positions": 0, "attributes": [{ "u8": 1 }] });
            chunk_refusal(huge, chunk, vec![point(), bytes(&[1])])
        }),
        ("missing field `positions`", chunk_refusal(cloud, int(2, 8), samples(&[1, 2]))),
        ("unknown variant `positions`", chunk_refusal(sound.clone(), json!({ "positions": 0 }), vec![point()])),
        ("no multiple of 2 channels", chunk_refusal(sound.clone(), int(2, 8), samples(&[1, 2, 3]))),
        ("expected samples of 8 bits, found -129", chunk_refusal(sound.clone(), int(2, 8), samples(&[127, -129]))),
        ("expected 1 to 32 bits a sample, found 33", chunk_refusal(sound.clone(), int(2, 33), samples(&[1, 2]))),
        (
            "expected integers of 2 channels, found integers of 1",
            chunk_refusal(sound.clone(), int(1, 8), samples(&[1])),
        ),
        ("expected integers of 2 channels, found floats of 2", {
            chunk_refusal(sound, json!({ "float": { "samples": 0, "channels": 2 } }), samples(&[1, 2]))
        }),
        ("a text column is not UTF-8", chunk_refusal(table.clone(), text(2), cells(b"a\xFF"))),
        ("a text column is not UTF-8", chunk_refusal(table.clone(), text(2), cells("ä".as_bytes()))),
        ("expected 3 cells, found 2", chunk_refusal(table.clone(), text(3), cells(b"ab"))),
        ("expected cells of type text, found null", {
            chunk_refusal(table.clone(), json!({ "rows": 1, "columns": [{ "data": { "null": 1 } }] }), vec![])
        }),
        ("expected 1 columns, found 0", chunk_refusal(table, json!({ "rows": 1, "columns": [] }), vec![])),
        ("at most 16777216 empty rows", {
            let rows = u32::MAX;
            chunk_refusal(nothing, json!({ "rows": rows, "columns": [{ "data": { "null": rows } }] }), vec![])
        }),
        ("has no pixels", {
            let image = json!({ "width": 0, "height": 0, "channels": 1, "samples": { "u8": 0 } });
            chunk_refusal(video, json!({ "image": image, "duration_seconds": 1 }), vec![bytes(&[])])
        }),
    ] {
        assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
    }
}

#[test]
fn streams_report_what_their_source_reports() {
    let record = json!({ "kind": "audio", "stream": true, "media": audio(1, &[]) }).to_string();
    let mut asked = 0;
    let chunks = move || {
        asked += 1;
        assert_eq!(asked, 1, "asked again after an error");
        Err(Error::new(ErrorKind::Worker, "gone"))
    };
    let mut media = unpack_record(Parcel { json: record, buffers: vec![] }, chunks).unwrap().media;
    assert_eq!(media.drain().unwrap_err().kind(), ErrorKind::Worker);
    media.drain().unwrap();
    let silent = json!({ "kind": "audio", "media": audio(1, &[]) });
    let chunks = || panic!("there is no stream to ask");
    let mut media = unpack_record(Parcel { json: silent.to_string(), buffers: vec![] }, chunks).unwrap().media;
    media.drain().unwrap();
}

#[test]
fn bulk_stays_out_of_other_json() {
    assert!(serde_json::to_string(&rich_image()).is_err(), "bulk has no form outside a parcel");
    assert!(serde_json::from_str::<Buffer<u8>>("0").is_err());
    let record = dressed(rich_image());
    let layer = &record.to_json()["annotations"]["truth"];
    assert_eq!(layer["mask"], json!({ "width": 2, "height": 1 }));
    assert_eq!(layer["boxes"][0]["pixels"], json!([0.1, null, -0.0, null]));
    let mut nested = dressed(Image::new(1, 1, 1, Samples::U8([1].into())).unwrap());
    pack_record(&mut nested).unwrap();
    assert!(serde_json::to_string(&Buffer::from([1_u8])).is_err(), "packing is over");
}

/// A small record of every kind.
fn examples() -> Vec<MediaRecord> {
    let mut image = Image::new(2, 1, 3, Samples::U16(vec![0; 6].into())).unwrap();
    image.icc = Some(vec![0; 4]);
    let mut image = MediaRecord::new(image).with_property("dpi", 300);
    (image.key, image.caption, image.step) = ("front".into(), Some("A cat".into()), Some(7));
    image.annotations.insert(
        "truth".into(),
        Layer {
            class_labels: [(1, "cat".into())].into(),
            boxes: vec![Box2 {
                pixels: [0.0, 0.0, 1.5, 1.0],
                class_id: 1,
                scores: [("p".into(), f64::NAN)].into(),
                polygons: vec![vec![[0.0, 0.0], [1.5, 0.0], [1.5, 1.0]]],
                runs: Some(Runs::new(2, 1, vec![0, 1, 1]).unwrap()),
                ..Box2::default()
            }],
            mask: Some(Mask::new(2, 1, vec![0, 1]).unwrap()),
        },
    );
    let primitive = Primitive {
        positions: vec![[0.0; 3]; 3].into(),
        normals: vec![[0.0, 0.0, 1.0]; 3].into(),
        texcoords: vec![vec![[0.0; 2]; 3].into()],
        indices: Some([0, 1, 2].into()),
        material: Some(0),
        ..Primitive::default()
    };
    let used = TextureUse { texture: 0, texcoord: 0, transform: None, factor: 1.0 };
    let mut scene = Scene::of_meshes(vec![Mesh { primitives: vec![primitive], ..Mesh::default() }]);
    scene.materials = vec![Material { base_color_texture: Some(used), ..Material::default() }];
    scene.textures = vec![Texture {
        name: String::new(),
        uri: None,
        media_type: "image/png".into(),
        bytes: [0; 8].into(),
        wrap: [Wrap::Repeat; 2],
        nearest: false,
    }];
    scene.up_axis = Some("y");
    let chunk = PointChunk::new(vec![[0.0; 3]; 2], vec![AttributeData::U8(vec![0; 6].into())], &[color()]).unwrap();
    let sound = AudioChunk::Int { samples: vec![0; 4].into(), channels: 2, bits: 16 };
    let mut molecule = rich_molecule();
    (molecule.models[0].cell, molecule.cell) = (None, None);
    molecule.models.truncate(1);
    let frame = Image::new(1, 1, 4, Samples::U8(vec![0; 4].into())).unwrap();
    let mut cells = VarBytes::default();
    [&b"a"[..], b"bc"].iter().for_each(|cell| cells.push(cell));
    let columns = vec![
        Column { data: ColumnData::Int64([1, 0].into()), valid: Some(vec![true, false]) },
        Column { data: ColumnData::Text(cells), valid: None },
    ];
    let spec = |name: &str, kind| ColumnSpec { name: name.into(), kind };
    vec![
        image,
        MediaRecord::new(scene),
        MediaRecord::new(PointCloud::new(vec![color()], Stream::from_chunks(vec![chunk]))),
        MediaRecord::new(molecule),
        MediaRecord::new(Audio {
            sample_rate: 48_000,
            channels: 2,
            layout: vec!["FL", "FR"],
            integer: true,
            bit_depth: 16,
            codec: "pcm_s16".into(),
            declared_frames: Some(2),
            tags: [("TITLE".into(), "Rain".into())].into(),
            samples: Stream::from_chunks(vec![sound]),
        }),
        MediaRecord::new(Video {
            container: "gif".into(),
            tracks: vec![Track { width: Some(1), height: Some(1), ..Track::new(1, TrackKind::Video, "gif") }],
            duration_seconds: Some(0.1),
            playable: true,
            frames: Some(Stream::from_chunks(vec![VideoFrame { image: frame, duration_seconds: 0.1 }])),
        }),
        MediaRecord::new(Histogram::new(vec![0.0, 1.0], vec![3.0]).unwrap()),
        MediaRecord::new(Table {
            schema: vec![spec("id", ColumnType::Int64), spec("name", ColumnType::Text)],
            declared_rows: None,
            truncated: false,
            rows: Stream::from_chunks(vec![TableChunk::new(columns, 2).unwrap()]),
        }),
        MediaRecord::new(Html { text: "<p>".into(), title: "Page".into(), has_external_refs: false }),
    ]
}

fn color() -> AttributeSpec {
    AttributeSpec::new("color", ScalarType::U8, 3)
}

#[test]
fn the_document_shows_what_is_written() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/record-wire.md");
    let document = std::fs::read_to_string(document).unwrap();
    let mut missing = String::new();
    let mut expect = |json: &str| {
        if !document.contains(&format!("```json\n{json}\n```")) {
            missing += &format!("{json}\n");
        }
    };
    let mut kinds = Vec::new();
    for mut record in examples() {
        kinds.push(record.kind());
        expect(&pack_record(&mut record).unwrap().json);
        if let Some(chunk) = pack_chunk(&mut record).unwrap() {
            expect(&chunk.json);
        }
        if record.kind() == Kind::Image {
            let header = Header { facts: record.facts(), records: Some(1), memory: Some(12) };
            expect(&pack_header(&header).unwrap().json);
        }
    }
    assert_eq!(kinds, Kind::ALL);
    assert!(missing.is_empty(), "docs/record-wire.md lacks:\n{missing}");
}
