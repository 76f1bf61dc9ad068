//! What a writer declares survives: every sample of every format, written as every format of its kind, read again.

use mediary::{Finished, FormatInfo, Kind, Limits, MediaRecord, Output, ReadOptions, Registry, Source, WriteOptions};
use mediary_conformance::read_all;

/// Runs a check on every sample and every format that can hold its kind.
fn each_pair(check: impl Fn(&Registry, &Source, &FormatInfo) -> Result<(), String>) {
    let registry = Registry::builtin();
    let formats: Vec<_> = registry.formats().collect();
    let (mut pairs, mut failed) = (0, Vec::new());
    for from in formats.iter().filter(|info| info.reads) {
        for path in crate::common::samples(from) {
            let source = Source::open(&path, &Limits::default()).unwrap();
            let kind = registry.open(&source, &ReadOptions::default()).unwrap().header().unwrap().facts.kind();
            for to in formats.iter().filter(|info| info.writes.is_some() && info.kinds.contains(&kind)) {
                if let Err(message) = check(&registry, &source, to) {
                    failed.push(format!("{} → {}: {message}", path.display(), to.id));
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 50, "only {pairs} pairs");
    assert!(failed.is_empty(), "{} of {pairs}: {failed:#?}", failed.len());
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    each_pair(mediary_conformance::repeats);
}

#[test]
fn facts_are_complete_after_writing() {
    each_pair(mediary_conformance::consumes);
}

#[test]
fn what_a_writer_declares_survives() {
    each_pair(mediary_conformance::survives);
}

fn write(registry: &Registry, source: &Source, to: &str) -> (MediaRecord, Finished) {
    let mut record = registry.open(source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
    let mut out = Output::memory();
    registry.write(&mut record, to, &mut out, &WriteOptions::default()).unwrap();
    (record, out.finish().unwrap())
}

#[test]
fn scene_and_point_cloud_convert_into_each_other() {
    let registry = Registry::builtin();
    let cloud = crate::common::samples(registry.get("pts.json").unwrap().info()).remove(0);
    let source = Source::open(&cloud, &Limits::default()).unwrap();
    let points =
        read_all(&registry, &source, &ReadOptions::default()).unwrap().remove(0).facts().to_json()["points"].clone();
    let (written, glb) = write(&registry, &source, "glb");
    assert_eq!(written.kind(), Kind::Scene);
    let scene = read_all(&registry, &Source::from_bytes("x.glb", glb.bytes), &ReadOptions::default()).unwrap();
    let scene = scene[0].facts().to_json();
    assert_eq!((&scene["vertices"], &scene["triangles"]), (&points, &0.into()));

    let mesh = crate::common::samples(registry.get("stl").unwrap().info()).remove(0);
    let source = Source::open(&mesh, &Limits::default()).unwrap();
    let (written, _) = write(&registry, &source, "pts.json");
    assert_eq!(written.kind(), Kind::PointCloud);
    assert!(written.loss.iter().any(|loss| loss.code == "pts.json.faces"), "{:?}", written.loss);
}
