//! Every format, held to what it declares by the conformance library, and what needs more than one format or the corpus.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mediary::{FormatInfo, Limits, ReadOptions, Registry, Source};
use mediary_conformance::{PATIENCE, is_breakdown, read_all};

use crate::common::{corpus, data, files_below, is_absent, samples};

fn readable(registry: &Registry) -> Vec<&'static FormatInfo> {
    registry.formats().filter(|info| info.reads).collect()
}

fn open(path: &Path) -> Source {
    Source::open(path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_readable_format_has_samples_with_an_origin() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        let samples = mediary_conformance::samples(info, &data(info.id));
        assert!(!samples.is_empty(), "tests/data/{}/ has no sample", info.id);
        assert!(data(info.id).join("README.md").is_file(), "tests/data/{}/README.md: origin and licence", info.id);
    }
}

/// What is not built in is known all the same, and says which feature it needs.
#[test]
fn absent_formats_are_recognised_and_name_their_feature() {
    let registry = Registry::builtin();
    for info in readable(&registry).into_iter().filter(|info| is_absent(info)) {
        assert!(info.writes.is_none(), "{}", info.id);
        for path in mediary_conformance::samples(info, &data(info.id)) {
            let source = open(&path);
            assert_eq!(registry.detect(&source).winner(false).unwrap(), info.id, "{}", path.display());
            let error = read_all(&registry, &source, &ReadOptions::default()).expect_err("absent");
            assert_eq!(error.kind(), mediary::ErrorKind::Unsupported, "{}: {error}", path.display());
            assert!(error.hint().is_some_and(|hint| hint.contains(&format!("feature `{}`", info.id))), "{error:?}");
        }
    }
}

#[test]
fn every_format_keeps_what_it_declares() {
    let registry = Registry::builtin();
    let formats: Vec<_> = registry.formats().filter(|info| !is_absent(info)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(info) = formats.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = mediary_conformance::check(&registry, info.id, &samples(info));
            assert!(report.cases.len() > 10, "{report}");
            if !report.is_ok() {
                failed.push(report.to_string());
            }
        }
        failed
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_wrong_extension_is_a_diagnostic() {
    let registry = Registry::builtin();
    for (id, wrong) in [("png", "x.stl"), ("glb", "x.png"), ("wav", "x.mp4"), ("pdb", "x.csv")] {
        let path = samples(registry.get(id).unwrap().info()).remove(0);
        let source = Source::from_bytes(wrong, std::fs::read(&path).unwrap());
        let records = read_all(&registry, &source, &ReadOptions::default()).unwrap();
        assert_eq!(records[0].format, id);
        let codes: Vec<_> = records[0].diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code).collect();
        assert!(codes.contains(&"probe.extension-mismatch".into()), "{codes:?}");
    }
}

/// Three formats hold lines of numbers.
#[test]
fn points_molecules_and_tables_are_told_apart() {
    let registry = Registry::builtin();
    let table = "x,y,z\n1,2,3\n4,5,6\n7,8,9\n";
    for (name, text, expected) in [
        ("a.xyz", "3\nwater\nO 0 0 0\nH 0 0 1\nH 0 1 0\n", "xyz"),
        ("a.pts", "3\n\n8 0 0 0\n1 0 0 1\n1 0 1 0\n", "xyz"),
        ("a.xyz", "3\n8 0 0 0\n1 0 0 1\n1 0 1 0\n", "xyz-points"),
        ("a.xyz", "8 0 0\n1 0 0\n", "xyz-points"),
        ("a.csv", table, "csv"),
        ("a", table, "csv"),
        ("a.asc", table, "xyz-points"),
        ("a.csv", "1;2;3\n4;5;6\n", "csv"),
        ("a.txt", "1 2 3\n4 5 6\n", "xyz-points"),
    ] {
        let detection = registry.detect(&Source::from_bytes(name, text.as_bytes()));
        assert_eq!(detection.winner(false).unwrap(), expected, "{name}: {text:?}");
    }
}

/// Every good file of the corpus, cut at a few places.
#[test]
fn truncated_files_of_the_corpus_are_errors_or_records() {
    let Some(corpus) = corpus() else { return };
    let registry = Registry::builtin();
    let mut files = 0;
    for path in files_below(&corpus).iter().filter(|path| !path.starts_with(corpus.join("bad"))) {
        let bytes = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let Ok(id) = registry.detect(&Source::from_bytes(&*name, bytes.clone())).winner(false) else { continue };
        files += 1;
        for cut in (1..14).map(|i| bytes.len() * i / 14).filter(|&cut| cut > 0) {
            let begun = Instant::now();
            let mut options = ReadOptions::default();
            options.from = Some(id.into());
            if let Err(error) = read_all(&registry, &Source::from_bytes("cut", bytes[..cut].to_vec()), &options) {
                assert!(!is_breakdown(&error), "{} cut at {cut}: {error}", path.display());
            }
            assert!(begun.elapsed() < PATIENCE, "{} cut at {cut}: too slow", path.display());
        }
    }
    assert!(files > 100, "only {files} files");
}

#[test]
fn strict_reading_never_reports_a_repair() {
    // What strict mode lets pass is at most a note or an extension mismatch.
    let registry = Registry::builtin();
    for path in files_below(&data("sample")).iter().filter(|path| path.extension().is_some_and(|e| e != "md")) {
        let mut options = ReadOptions::default();
        options.strictness = mediary::Strictness::Strict;
        let records = read_all(&registry, &open(path), &options);
        assert!(records.is_ok(), "{}: {:?}", path.display(), records.err());
    }
}
