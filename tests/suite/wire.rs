//! Every sample crosses the boundary of plugins and worker processes and comes back the same.

use std::collections::VecDeque;

use mediary::{MediaRecord, ReadOptions, Registry, Source, wire};

use crate::common;

fn there_and_back(record: &mut MediaRecord) -> MediaRecord {
    let parcel = wire::pack_record(record).unwrap();
    let mut chunks = VecDeque::new();
    if wire::streams(record) {
        while let Some(chunk) = wire::pack_chunk(record).unwrap() {
            chunks.push_back(chunk);
        }
    }
    let mut back = wire::unpack_record(parcel, move || Ok(chunks.pop_front())).unwrap();
    // Findings of a stream are reported on the way, beside its chunks.
    back.diagnostics = record.diagnostics.clone();
    back
}

#[test]
fn samples_cross_the_boundary_unchanged() {
    let registry = Registry::builtin();
    let options = ReadOptions::default();
    let mut crossed = 0;
    for info in registry.formats().filter(|info| info.reads) {
        for path in common::samples(info) {
            let shown = path.display();
            let source = || Source::open(&path, &options.limits).unwrap();
            let header = registry.open(&source(), &options).unwrap().header().unwrap();
            let facts = wire::unpack_header(&wire::pack_header(&header).unwrap()).unwrap();
            assert_eq!(facts, header, "{shown}");
            let direct = registry.open(&source(), &options).unwrap();
            let sent = registry.open(&source(), &options).unwrap();
            for (direct, sent) in direct.zip(sent) {
                let (mut direct, mut sent) = (direct.unwrap(), sent.unwrap());
                let mut back = there_and_back(&mut sent);
                let (direct, back) =
                    (common::fingerprint(&mut direct).unwrap(), common::fingerprint(&mut back).unwrap());
                assert!(direct == back, "{shown}:\n{direct:.2000}\n{back:.2000}");
                crossed += 1;
            }
        }
    }
    assert!(crossed > 100, "only {crossed} records");
}
