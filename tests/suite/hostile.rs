//! Crafted inputs that want memory, time or files which are not theirs: counts that lie, content that is referred to again and
//! again, depth, references out of the folder. Each is refused or noted in a process with 1 GB of address space and 10 seconds.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::data;
use crate::malformed::{ACCEPTED, judge_as};

/// Judges inputs, read as the format of their folder's name.
fn all(id: &str, folder: &Path, inputs: Vec<(&str, Vec<u8>)>) {
    let mut problems = Vec::new();
    for (name, bytes) in inputs {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        match judge_as(&path, &["--from", id]) {
            // Much, and no lie: it may be read without a word.
            Err(problem) if name.starts_with("fair-") && problem == ACCEPTED => {}
            Err(problem) => problems.push(format!("{name}: {problem}")),
            Ok(()) => {}
        }
    }
    assert!(problems.is_empty(), "{id}:\n{}", problems.join("\n"));
}

/// A triangle, with changes.
fn gltf(change: impl Fn(&mut Value)) -> Vec<u8> {
    let corners = "data:;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA";
    let mut document = json!({
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"byteLength": 36, "uri": corners}],
    });
    change(&mut document);
    document.to_string().into_bytes()
}

#[test]
fn gltf_of_lies() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = format!("data:;base64,{}", "A".repeat(800_000));
    let many = |document: &mut Value| {
        document["buffers"] = json!([{"byteLength": 600_000, "uri": zeros}]);
        document["bufferViews"] = json!([{"buffer": 0, "byteLength": 600_000}]);
        document["accessors"] = json!([
            {"bufferView": 0, "componentType": 5126, "count": 50_000, "type": "VEC3"},
            {"bufferView": 0, "componentType": 5126, "count": 50_000, "type": "SCALAR"},
        ]);
    };
    let chain = |length: u32| -> Vec<Value> { (1..length).map(|next| json!({"children": [next]})).collect() };
    let deep = format!("{{\"asset\":{{\"version\":\"2.0\"}},\"extras\":{}", "[".repeat(100_000));
    let accessor = |sparse: u64, count: u64| {
        json!([{"componentType": 5126, "count": count, "type": "VEC3", "sparse": {
            "count": sparse, "indices": {"bufferView": 0, "componentType": 5125}, "values": {"bufferView": 0}}}])
    };
    let packed = json!({"EXT_meshopt_compression":
        {"buffer": 0, "byteLength": 36, "byteStride": 12, "mode": "ATTRIBUTES", "count": 16_000_000}});
    let inputs = vec![
        ("deep-extras.gltf", deep.into_bytes()),
        ("deep-nodes.gltf", gltf(|it| it["nodes"] = chain(100_000).into())),
        ("sparse-of-nothing.gltf", gltf(|it| it["accessors"] = accessor(1, 3_000_000_000))),
        ("sparse-count.gltf", gltf(|it| it["accessors"] = accessor(3_000_000_000, 3))),
        ("terabyte.gltf", gltf(|it| it["buffers"][0]["byteLength"] = (1_u64 << 40).into())),
        ("far-view.gltf", gltf(|it| it["bufferViews"][0]["byteOffset"] = (1_u64 << 62).into())),
        ("meshopt.gltf", {
            gltf(|it| {
                it["accessors"][0]["count"] = 16_000_000.into();
                it["bufferViews"][0] = json!({"buffer": 0, "byteLength": 192_000_000, "extensions": packed});
            })
        }),
        // Half a megabyte, referred to twenty thousand times.
        ("one-accessor.gltf", {
            gltf(|it| {
                many(it);
                let primitive = it["meshes"][0]["primitives"][0].clone();
                it["meshes"][0]["primitives"] = vec![primitive; 20_000].into();
            })
        }),
        ("one-sampler.gltf", {
            gltf(|it| {
                many(it);
                let channel = json!({"sampler": 0, "target": {"node": 0, "path": "translation"}});
                let samplers = json!([{"input": 1, "output": 0}]);
                it["animations"] = json!([{"channels": vec![channel; 20_000], "samplers": samplers}]);
            })
        }),
        ("one-picture.gltf", {
            gltf(|it| {
                many(it);
                it["images"] = vec![json!({"bufferView": 0, "mimeType": "image/png"}); 20_000].into();
                it["textures"] = (0..20_000).map(|source| json!({"source": source})).collect();
            })
        }),
    ];
    all("gltf", folder.path(), inputs);
}

#[cfg(unix)]
#[test]
fn references_of_gltf_and_obj_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("secret"), "newmtl a\n").unwrap();
    fs::create_dir(path.join("in")).unwrap();
    let inner = path.join("in");
    std::os::unix::fs::symlink("../secret", inner.join("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", inner.join("zero")).unwrap();
    // A pipe without a writer: who opens it waits for ever.
    assert!(Command::new("mkfifo").arg(inner.join("pipe")).status().unwrap().success());
    for uri in [
        "a%FFb.bin",
        "/dev/zero",
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "..\\secret",
        "file:///etc/hostname",
        "file:../secret",
        "http://localhost/a.bin",
        "link",
        "zero",
        "pipe",
        ".",
        "in/../../secret",
        "%00",
    ] {
        let input = gltf(|document| document["buffers"][0]["uri"] = uri.into());
        all("gltf", &inner, vec![("buffer.gltf", input)]);
        let input = gltf(|document| document["images"] = json!([{"uri": uri}]));
        all("gltf", &inner, vec![("picture.gltf", input)]);
        let input = format!("mtllib {uri}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n");
        all("obj", &inner, vec![("library.obj", input.into_bytes())]);
    }
}

#[test]
fn text_of_lies() {
    let folder = tempfile::tempdir().unwrap();
    let ply = |elements: &str| format!("ply\nformat binary_little_endian 1.0\n{elements}end_header\n").into_bytes();
    let place = "property float x\nproperty float y\nproperty float z\n";
    all(
        "ply",
        folder.path(),
        vec![
            ("of-nothing.ply", ply("element nothing 4000000000\n")),
            ("of-nothing-before.ply", ply(&format!("element nothing 4000000000\nelement vertex 4000000000\n{place}"))),
            ("most.ply", ply(&format!("element vertex 18446744073709551615\n{place}"))),
            ("many-properties.ply", ply(&format!("element vertex 1\n{}", "property float x\n".repeat(200_000)))),
            ("empty-elements.ply", ply(&"element e 0\n".repeat(200_000))),
        ],
    );
    all(
        "obj",
        folder.path(),
        vec![
            ("far-index.obj", b"v 0 0 0\nf 1 2 99999999999999999999999\n".to_vec()),
            ("far-back.obj", b"v 0 0 0\nf 1 1 -9223372036854775808\n".to_vec()),
            ("endless-line.obj", "v 0 0 0 \\\n".repeat(500_000).into_bytes()),
            ("long-number.obj", format!("v 1{} 0 0\np 1\n", "0".repeat(1 << 20)).into_bytes()),
        ],
    );
    all(
        "off",
        folder.path(),
        vec![
            ("most.off", b"OFF\n18446744073709551615 1 0\n".to_vec()),
            ("large-face.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n4294967295 0 1 2\n".to_vec()),
        ],
    );
    all(
        "pts.json",
        folder.path(),
        vec![
            ("deep.pts.json", "[".repeat(5_000_000).into_bytes()),
            ("deep-value.pts.json", format!("{{\"type\":{}", "[".repeat(5_000_000)).into_bytes()),
        ],
    );
    all(
        "xyz-points",
        folder.path(),
        vec![
            ("most.pts", b"18446744073709551615\n1 2 3\n".to_vec()),
            ("endless-row.xyz", "1 ".repeat(5_000_000).into_bytes()),
        ],
    );
}

#[test]
fn annotations_of_lies() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(data("boxes.json/scene.png"), folder.path().join("a.png")).unwrap();
    let picture = json!([{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]);
    let coco = |annotation: Value| {
        let document = json!({"images": picture, "annotations": [annotation], "categories": [{"id": 1, "name": "a"}]});
        document.to_string().into_bytes()
    };
    let of = |segmentation: Value| coco(json!({"image_id": 1, "category_id": 1, "segmentation": segmentation}));
    let zigzag: Vec<f64> = (0..200_000).map(|index| if index % 4 == 0 { 1e9 } else { f64::from(index % 30) }).collect();
    all(
        "coco",
        folder.path(),
        vec![
            ("deep.json", format!("{{\"x\":{}", "[".repeat(5_000_000)).into_bytes()),
            (
                "deep-polygon.json",
                format!("{{\"annotations\":[{{\"segmentation\":{}", "[".repeat(5_000_000)).into_bytes(),
            ),
            ("empty.json", format!("{{\"annotations\":[{}{{}}]}}", "{},".repeat(3_000_000)).into_bytes()),
            ("runs.json", of(json!({"size": [4_000_000_000_u32, 4_000_000_000_u32], "counts": [1, 2]}))),
            ("text.json", of(json!({"size": [30, 40], "counts": "P".repeat(5_000_000)}))),
            ("far.json", of(json!([[1e300, 0, -1e300, 1e300, 0, -1e300]]))),
            ("zigzag.json", of(json!([zigzag]))),
            ("itself.json", {
                let text = String::from_utf8(coco(json!({}))).unwrap();
                text.replacen("a.png", "itself.json", 1).into_bytes()
            }),
        ],
    );
    // A PNG that announces 60000 x 60000 pixels.
    let bomb = "iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAAAAACluSqeAAAAEUlEQVR4nGNgGAWjYBQMdwAAA+gAAbOm00YAAAAASUVORK5CYII=";
    let mask = json!({"label": "a", "shape_type": "mask", "points": [[0, 0], [9, 9]], "mask": bomb});
    let labelme =
        json!({"shapes": [mask], "imagePath": "a.png", "imageData": null, "imageHeight": 30, "imageWidth": 40});
    all("labelme", folder.path(), vec![("mask.json", labelme.to_string().into_bytes())]);
    let rows = json!({"image": "a.png", "masks": {"a": {"mask_data": vec![vec![0; 1000]; 2000]}}});
    let nested = format!("{{\"masks\":{{\"a\":{{\"mask_data\":{}", "[".repeat(5_000_000));
    let files = vec![("rows.json", rows.to_string().into_bytes()), ("nested.json", nested.into_bytes())];
    all("boxes.json", folder.path(), files);
    let entities: String =
        (1..10).map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10))).collect();
    let object = "<filename>a.png</filename><object><name>&e9;</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>";
    let laughs = format!("<!DOCTYPE annotation [<!ENTITY e0 \"lol\">{entities}]><annotation>{object}</annotation>");
    let deep = format!("<annotation>{}", "<object>".repeat(500_000));
    let many = format!("<annotation>{}</annotation>", "<object></object>".repeat(300_000));
    let files =
        vec![("laughs.xml", laughs.into_bytes()), ("deep.xml", deep.into_bytes()), ("many.xml", many.into_bytes())];
    all("voc", folder.path(), files);
}

#[test]
fn points_and_triangles_of_lies() {
    let folder = tempfile::tempdir().unwrap();
    let header = [&[b'x'; 80][..], &u32::MAX.to_le_bytes()].concat();
    all(
        "stl",
        folder.path(),
        vec![("only-a-header.stl", header.clone()), ("one-of-many.stl", [&header[..], &[0; 50]].concat())],
    );
    let with = |name: &str, at: usize, value: &[u8]| {
        let mut bytes = fs::read(data(name)).unwrap();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    // Offsets of the LAS 1.4 header: the count of points, of the old header too, and where points and the last records begin.
    let (count, old_count, points, records) = (247, 107, 96, 235);
    all(
        "las",
        folder.path(),
        vec![
            ("most.las", with("las/format10.las", count, &(1_u64 << 63).to_le_bytes())),
            ("far-points.las", with("las/format10.las", points, &u32::MAX.to_le_bytes())),
            ("no-length.las", with("las/format10.las", 105, &[0, 0])),
            ("far-records.las", with("las/format10.las", records, &[0xFF; 12])),
        ],
    );
    all(
        "laz",
        folder.path(),
        vec![
            ("most.laz", with("laz/format7_extra.laz", count, &(1_u64 << 63).to_le_bytes())),
            ("many.laz", with("laz/format1.laz", old_count, &u32::MAX.to_le_bytes())),
            ("pointwise.laz", with("laz/pointwise.laz", old_count, &u32::MAX.to_le_bytes())),
        ],
    );
    let pcd = |width: u64, height: u64, count: u32, body: &str| {
        let fields = format!("VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT {count} {count} {count}\n");
        format!("{fields}WIDTH {width}\nHEIGHT {height}\nPOINTS {}\nDATA {body}", width.wrapping_mul(height))
            .into_bytes()
    };
    // Each byte of the run says: 264 bytes as before.
    let run = [&[0, 0][..], &[0xE0, 0xFF, 0].repeat(200_000)].concat();
    let sizes = [(run.len() as u32).to_le_bytes(), 480_000_000_u32.to_le_bytes()].concat();
    all(
        "pcd",
        folder.path(),
        vec![
            ("product.pcd", pcd(1 << 32, 1 << 32, 1, "ascii\n0 0 0\n")),
            ("most.pcd", pcd(u64::MAX, 1, 1, "binary\n")),
            ("no-numbers.pcd", pcd(4_000_000_000, 1, 0, "binary\n")),
            ("ratio.pcd", [pcd(40_000_000, 1, 1, "binary_compressed\n"), sizes, run].concat()),
        ],
    );
    let npy = |header: &str| [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    all(
        "npy",
        folder.path(),
        vec![
            ("most.npy", npy("{'descr':'<f4','fortran_order':False,'shape':(18446744073709551615,3)}\n")),
            ("nothing-often.npy", npy("{'descr':'|V0','fortran_order':False,'shape':(4294967295,3)}\n")),
            ("deep.npy", npy(&format!("{{'descr':{}", "[".repeat(60_000)))),
            ("no-fields.npy", npy("{'descr':[('a','<f4',(0,))],'fortran_order':False,'shape':(4294967295,)}\n")),
        ],
    );
}

#[test]
fn one_geometry_for_many_meshes() {
    let folder = tempfile::tempdir().unwrap();
    let corners = json!([0, 0, 0, 1, 0, 0, 0, 1, 0]);
    let chain: Vec<Value> = (0..100_000_u32)
        .map(|at| json!({"id": at.to_string(), "parentId": at.wrapping_sub(1).to_string(), "positions": corners}))
        .collect();
    let shared: Vec<Value> = (0..20_000).map(|at| json!({"id": at.to_string(), "geometryId": "g"})).collect();
    let geometry = json!({"vertexData": [{"id": "g", "positions": vec![0.5; 300_000], "indices": [0, 1, 2]}]});
    let mut files = vec![
        ("chain.babylon", json!({"meshes": chain}).to_string().into_bytes()),
        ("fair-shared.babylon", json!({"meshes": shared, "geometries": geometry}).to_string().into_bytes()),
        ("deep.babylon", format!("{{\"meshes\":{}", "[".repeat(1_000_000)).into_bytes()),
    ];
    for file in ["/dev/zero", "../a", "file:///etc/hostname"] {
        let mesh = json!([{"id": "a", "delayLoadingFile": file}]);
        files.push(("reference.babylon", json!({"meshes": mesh}).to_string().into_bytes()));
    }
    all("babylon", folder.path(), files);
}
