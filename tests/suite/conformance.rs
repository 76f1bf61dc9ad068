//! Every readable format, held to what it declares: detection, header, determinism, truncation, limits, cancel.

use std::path::Path;
use std::time::{Duration, Instant};

use mediary::{Cancel, ErrorKind, FormatInfo, Kind, Limits, ReadOptions, Registry, Source};

use crate::common::{corpus, data, files_below, fingerprint, is_panic, read_all, samples};

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
        assert!(!samples(info).is_empty(), "tests/data/{}/ has no sample", info.id);
        assert!(data(info.id).join("README.md").is_file(), "tests/data/{}/README.md: origin and licence", info.id);
    }
}

#[test]
fn own_files_are_recognised_by_content_and_not_by_name() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        for path in samples(info) {
            let named = registry.detect(&open(&path));
            assert_eq!(named.winner(false).ok(), Some(info.id), "{}: {named:#?}", path.display());
            let winner = &named.candidates[0];
            if winner.score >= 100 {
                let bytes = std::fs::read(&path).unwrap();
                let disguised = registry.detect(&Source::from_bytes("picture.unknown", bytes));
                assert_eq!(disguised.winner(false).ok(), Some(info.id), "{} without its name", path.display());
            }
        }
    }
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

/// Facts that a header must know: what they cost does not grow with the payload.
fn cheap_facts(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Image => &["width", "height", "channels", "bit_depth", "has_alpha", "orientation_applied"],
        Kind::Scene => &["meshes", "primitives", "vertices"],
        Kind::PointCloud => &["boxes", "vectors"],
        Kind::Molecule => &["atoms", "bonds", "formula"],
        Kind::Audio => &["sample_rate", "channels", "codec", "bit_depth"],
        Kind::Video => &["width", "height", "codec", "tracks", "rotation"],
        Kind::Histogram => &["bins", "min", "max", "count"],
        Kind::Table => &["columns"],
        Kind::Html => &["title", "has_external_refs"],
        _ => &[],
    }
}

#[test]
fn a_header_says_what_a_full_read_says() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        for path in samples(info) {
            let header = registry.open(&open(&path), &ReadOptions::default()).and_then(|mut reading| reading.header());
            let header = header.unwrap_or_else(|error| panic!("{error}"));
            let records = read_all(&registry, &open(&path), &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
            let full = records[0].facts();
            assert_eq!(header.facts.kind(), full.kind(), "{}", path.display());
            let full = full.to_json();
            let known = header.facts.to_json();
            for name in cheap_facts(header.facts.kind()) {
                assert!(known.contains_key(*name) || !full.contains_key(*name), "{}: no {name}", path.display());
            }
            for (name, value) in known {
                assert_eq!(Some(&value), full.get(&name), "{}: fact {name} of the header", path.display());
            }
            if let Some(count) = header.records {
                assert_eq!(count, records.len() as u64, "{}: records", path.display());
            }
        }
    }
}

#[test]
fn reading_twice_gives_the_same_records() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        for path in samples(info) {
            let read = || -> Vec<String> {
                let reading = registry.open(&open(&path), &ReadOptions::default()).unwrap();
                reading.map(|record| fingerprint(&mut record.unwrap()).unwrap()).collect()
            };
            assert!(read() == read(), "{}", path.display());
        }
    }
}

/// Offsets to cut a file of `len` bytes at: every one of the first 40, then 40 spread over the rest.
fn cuts(len: usize) -> Vec<usize> {
    let mut cuts: Vec<_> =
        (1..len.min(41)).chain((1..41).map(|i| len * i / 41)).chain([len.saturating_sub(1)]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|&cut| cut > 0 && cut < len);
    cuts
}

#[test]
fn every_truncation_is_an_error_or_a_record_and_never_a_panic() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        // Text may end anywhere and still be whole; binary formats know their length.
        let binary = !info.signatures.is_empty() && !info.probes_without_signature;
        for path in samples(info) {
            let bytes = std::fs::read(&path).unwrap();
            let whole: Vec<_> = read_all(&registry, &open(&path), &ReadOptions::default())
                .unwrap()
                .iter()
                .map(|record| record.facts().to_json())
                .collect();
            for cut in cuts(bytes.len()) {
                let begun = Instant::now();
                let mut options = ReadOptions::default();
                options.from = Some(info.id.into());
                let source = Source::from_bytes("cut", bytes[..cut].to_vec());
                match read_all(&registry, &source, &options) {
                    Err(error) => assert!(!is_panic(&error), "{} cut at {cut}: {error}", path.display()),
                    Ok(records) => {
                        let noted = records.iter().any(|record| !record.diagnostics.is_empty());
                        let same = records.iter().map(|record| record.facts().to_json()).eq(whole.iter().cloned());
                        assert!(!binary || noted || same, "{} cut at {cut}: read without a word", path.display());
                    }
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "{} cut at {cut}: too slow", path.display());
            }
        }
    }
}

/// The same for every good file of the corpus, at fewer places.
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
                assert!(!is_panic(&error), "{} cut at {cut}: {error}", path.display());
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{} cut at {cut}: too slow", path.display());
        }
    }
    assert!(files > 100, "only {files} files");
}

#[test]
fn flipped_bytes_are_an_error_or_a_record_and_never_a_panic() {
    let registry = Registry::builtin();
    let mut state = 0x9E37_79B9_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    for info in readable(&registry) {
        for path in samples(info) {
            let good = std::fs::read(&path).unwrap();
            for round in 0..20 {
                let mut bytes = good.clone();
                // Headers are small and hold the counts: aim half of the rounds at them.
                let reach = if round % 2 == 0 { bytes.len().min(256) } else { bytes.len() };
                for _ in 0..=round % 5 {
                    bytes[random() % reach] = random() as u8;
                }
                let begun = Instant::now();
                let mut options = ReadOptions::default();
                options.from = Some(info.id.into());
                if let Err(error) = read_all(&registry, &Source::from_bytes("flipped", bytes), &options) {
                    assert!(!is_panic(&error), "{} round {round}: {error}", path.display());
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "{} round {round}: too slow", path.display());
            }
        }
    }
}

#[test]
fn tight_limits_are_kept() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        for path in samples(info) {
            for (name, value) in [("alloc_bytes", 64), ("elements", 0), ("pixels", 0), ("frames", 0), ("depth", 0)] {
                let mut options = ReadOptions::default();
                options.limits.set(name, value);
                match read_all(&registry, &open(&path), &options) {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Limit, "{} with {name}={value}: {error}", path.display());
                        assert_eq!(error.limit_name(), Some(name), "{}: {error}", path.display());
                        assert!(error.hint().unwrap().contains(name), "{}: {error:?}", path.display());
                    }
                }
            }
        }
    }
}

/// A reader that never asks the budget would pass the test above: something must be refused for every format.
#[test]
fn every_format_is_stopped_by_some_limit() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        let refused = samples(info).iter().any(|path| {
            ["alloc_bytes", "elements", "pixels", "frames", "string_bytes"].iter().any(|name| {
                let mut options = ReadOptions::default();
                options.limits.set(name, 1);
                read_all(&registry, &open(path), &options).is_err()
            })
        });
        assert!(refused, "{}: no limit stops it", info.id);
    }
}

#[test]
fn a_cancelled_read_stops() {
    let registry = Registry::builtin();
    for info in readable(&registry) {
        for path in samples(info) {
            let mut options = ReadOptions::default();
            options.cancel = Cancel::default();
            options.cancel.cancel();
            if let Err(error) = read_all(&registry, &open(&path), &options) {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{}: {error}", path.display());
            }
        }
    }
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
