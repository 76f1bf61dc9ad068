//! Real files, held against what independent tools say of them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::common::{corpus, root};

/// Folders of the corpus whose formats are read.
const FOLDERS: &[&str] = &[
    "audio/flac",
    "audio/wav",
    "html/html",
    "image/bmp",
    "image/dds",
    "image/exr",
    "image/gif",
    "image/hdr",
    "image/ico",
    "image/jpeg",
    "image/npy",
    "image/png",
    "image/pnm",
    "image/qoi",
    "image/tga",
    "image/tiff",
    "image/webp",
    "mesh/3mf",
    "mesh/babylon",
    "mesh/glb",
    "mesh/gltf",
    "mesh/obj",
    "mesh/off",
    "mesh/ply",
    "mesh/stl",
    "molecule/bcif",
    "molecule/cif",
    "molecule/gro",
    "molecule/mcif",
    "molecule/mmcif",
    "molecule/mmtf",
    "molecule/mol",
    "molecule/mol2",
    "molecule/pdb",
    "molecule/pqr",
    "molecule/sd",
    "molecule/sdf",
    "molecule/xyz",
    "pointcloud/e57",
    "pointcloud/las",
    "pointcloud/laz",
    "pointcloud/pcd",
    "pointcloud/pts.json",
    "pointcloud/xyz",
    "table/csv",
    "video/mp4",
];

/// Files on which the check itself is wrong, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("image/npy/structured_dtype_points.npy", "a structured array of X, Y, Z fields is a point cloud, not an image"),
    ("image/npy/threedim.npy", "a structured array of other fields is a table, not an image"),
    ("mesh/gltf/Box-wandb.gltf", "glTF 1.0, which is refused"),
];

#[test]
fn facts_agree_with_independent_tools() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    let mut passed = 0;
    for (number, only) in FOLDERS.iter().enumerate() {
        let report = folder.path().join(format!("{number}.jsonl"));
        let output = Command::new("python3")
            .arg(corpus.join("../tools/check_corpus.py"))
            .args(["--bin", env!("CARGO_BIN_EXE_mediary"), "--only", &format!("{only}/"), "--json"])
            .arg(&report)
            .current_dir(root())
            .output()
            .expect("the corpus check needs python3");
        let text = std::fs::read_to_string(&report)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert!(!text.is_empty(), "{only}: no file was checked");
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            if row["problems"].as_array().unwrap().is_empty() {
                passed += 1;
            } else {
                failed.push((row["path"].as_str().unwrap().to_owned(), row["problems"].to_string()));
            }
        }
    }
    assert!(passed > 80, "only {passed} files passed");
    let known: BTreeSet<_> = EXCEPTIONS.iter().map(|(path, _)| *path).collect();
    let unexpected: Vec<_> = failed.iter().filter(|(path, _)| !known.contains(path.as_str())).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let stale: Vec<_> = known.iter().filter(|path| !failed.iter().any(|(failed, _)| failed == *path)).collect();
    assert!(stale.is_empty(), "these pass now, take them off the list: {stale:?}");
}
