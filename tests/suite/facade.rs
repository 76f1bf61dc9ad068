//! mediary inside another program: the lines of the README, run. The suite compares them with the README.
#![expect(clippy::print_stdout, reason = "the example prints")]

use std::path::Path;

// README begins
use mediary::{Limits, Media, Output, ReadOptions, Registry, Source, WriteOptions};

fn embed(input: &Path, output: &Path) -> mediary::Result<()> {
    let registry = Registry::builtin();
    let source = Source::open(input, &Limits::default())?;
    for record in registry.open(&source, &ReadOptions::default())? {
        let mut record = record?;
        if let Media::Molecule(molecule) = &record.media {
            println!("{} atoms, {} bonds", molecule.atoms.len(), molecule.bonds.len());
        }
        let mut out = Output::file(output, false)?;
        registry.write(&mut record, "mmcif", &mut out, &WriteOptions::default())?;
        out.finish()?;
    }
    Ok(())
}
// README ends

use crate::common::{data, root};

#[test]
fn an_embedder_reads_a_path_matches_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("crambin.cif");
    embed(&data("sample/1crn.pdb"), &output).unwrap();
    assert!(std::fs::read(&output).unwrap().starts_with(b"data_"));
    let again = embed(&data("sample/1crn.pdb"), &output).unwrap_err();
    assert_eq!(again.kind(), mediary::ErrorKind::Io, "nothing is overwritten unasked");
}

#[test]
fn an_embedder_reads_bytes() -> mediary::Result<()> {
    let bytes = std::fs::read(data("sample/iris.csv"))?;
    let mut reading = Registry::builtin().open(&Source::from_bytes("", bytes), &ReadOptions::default())?;
    let mut record = reading.next().expect("a record")?;
    record.media.drain()?;
    assert_eq!(record.facts().to_json()["rows"], 150);
    Ok(())
}

#[test]
fn the_readme_shows_these_lines() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let shown = readme.split_once("```rust\n").unwrap().1.split_once("```").unwrap().0;
    let here = include_str!("facade.rs").split_once("// README begins\n").unwrap().1;
    assert_eq!(shown, here.split_once("// README ends").unwrap().0);
}
