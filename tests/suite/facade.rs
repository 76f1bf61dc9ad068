//! mediary inside another program: the ten lines of the README, run.

use mediary::{Limits, Media, Output, ReadOptions, Registry, Source, WriteOptions};

use crate::common::{data, files_below};

fn sample(extension: &str) -> std::path::PathBuf {
    let files = files_below(&data("sample"));
    files.into_iter().find(|path| path.to_string_lossy().ends_with(extension)).unwrap()
}

#[test]
fn an_embedder_reads_a_path_matches_and_writes() -> mediary::Result<()> {
    let registry = Registry::builtin();
    let source = Source::open(sample(".pdb"), &Limits::default())?;
    for record in registry.open(&source, &ReadOptions::default())? {
        let mut record = record?;
        if let Media::Molecule(molecule) = &record.media {
            assert!(molecule.atoms.len() > 100);
        }
        let mut out = Output::memory();
        registry.write(&mut record, "mmcif", &mut out, &WriteOptions::default())?;
        assert!(out.finish()?.bytes.starts_with(b"data_"));
    }
    Ok(())
}

#[test]
fn an_embedder_reads_bytes() -> mediary::Result<()> {
    let bytes = std::fs::read(sample(".csv"))?;
    let mut reading = Registry::builtin().open(&Source::from_bytes("", bytes), &ReadOptions::default())?;
    let mut record = reading.next().expect("a record")?;
    record.media.drain()?;
    assert_eq!(record.facts().to_json()["rows"], 150);
    Ok(())
}
