//! Opening, finding, verifying.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use mediary::ErrorKind;
use mediary_ingest::{IngestOptions, Store, ingest, verify};

use super::formats::registry;
use super::pipeline::{Bench, batch, with};

fn filled() -> Bench {
    let bench = Bench::new();
    for number in 0..5 {
        bench.put(&format!("{number}.doc"), format!("DOC1\nfill 3000 {number}\n"));
    }
    bench.run(&IngestOptions::default());
    bench
}

#[test]
fn refusals_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Store::open(folder.path()).unwrap_err().kind(), ErrorKind::NotRecognised);
    assert_eq!(Store::open(folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotRecognised);

    let store = Store::create_or_open(folder.path()).unwrap();
    assert_eq!(Store::create_or_open(folder.path()).unwrap_err().kind(), ErrorKind::Locked);
    let reading = Store::open(folder.path()).unwrap();
    assert_eq!(reading.records().unwrap().count(), 0, "reading goes on while another writes");
    assert_eq!(verify(&reading, false).unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    assert!(verify(&reading, true).unwrap().is_whole());
    let refused = ingest(&reading, &registry(), &[], &IngestOptions::default(), &|_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidOption);

    fs::write(folder.path().join("VERSION"), "mediary.store/9\n").unwrap();
    assert_eq!(Store::open(folder.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(Store::create_or_open(folder.path()).unwrap_err().kind(), ErrorKind::Unsupported);

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "mine").unwrap();
    assert_eq!(Store::create_or_open(foreign.path()).unwrap_err().kind(), ErrorKind::NotRecognised);
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1, "nothing was put beside it");

    let store = Store::create_or_open(foreign.path().join("s")).unwrap();
    let mut options = IngestOptions::default();
    options.read.options = vec![("doc.nonsense".into(), "1".into())];
    let refused = ingest(&store, &registry(), &[], &options, &|_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidOption);
}

#[test]
fn rows_are_found_by_any_name() {
    let bench = filled();
    let store = Store::open(bench.store()).unwrap();
    let row = bench.rows().remove(3);
    let found = |key: &str| store.find(key).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    for key in ["3.doc", "in/3.doc", &row.source_sha256.clone().unwrap()[..12], &row.asset_sha256.clone().unwrap()] {
        assert_eq!(found(key), std::slice::from_ref(&row), "{key}");
    }
    assert!(found("nothing").is_empty() && found("").is_empty());
}

#[test]
fn every_damage_is_found() {
    let codes = |bench: &Bench, deep| {
        let report = verify(&Store::open(bench.store()).unwrap(), deep).unwrap();
        report.damage.iter().map(|damage| damage.code).collect::<Vec<_>>()
    };
    let bench = filled();
    let object = |number: usize| bench.store().join(bench.rows()[number].asset_path.as_ref().unwrap());
    let good = fs::read(object(0)).unwrap();

    let mut flipped = good.clone();
    flipped[1000] ^= 1;
    fs::write(object(0), &flipped).unwrap();
    assert_eq!(codes(&bench, true), ["object-content"]);
    assert!(codes(&bench, false).is_empty());
    fs::write(object(0), &good[..2000]).unwrap();
    assert_eq!(codes(&bench, false), ["object-length"]);
    fs::remove_file(object(0)).unwrap();
    assert_eq!(codes(&bench, false), ["object-missing"]);
    // Converting again puts it back.
    let summary = bench.run(&with(|options| options.force = true));
    assert_eq!(summary.objects, 1);
    assert!(codes(&bench, true).is_empty());
    assert_eq!(fs::read(object(0)).unwrap(), good);

    let manifest = bench.store().join("runs/000001/part-00000.parquet");
    let whole = fs::read(&manifest).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 1;
    fs::write(&manifest, &flipped).unwrap();
    assert!(codes(&bench, true).contains(&"run-content"));
    fs::remove_file(&manifest).unwrap();
    assert_eq!(codes(&bench, false), ["run-missing"]);
    fs::write(&manifest, &whole).unwrap();
    assert!(codes(&bench, true).is_empty());

    fs::write(bench.store().join("objects/stray"), "x").unwrap();
    assert_eq!(codes(&bench, false), ["object-name"]);
    fs::remove_file(bench.store().join("objects/stray")).unwrap();

    // What an interrupted run leaves is no damage.
    fs::write(bench.store().join("tmp/left"), "x").unwrap();
    let sha = mediary::Source::from_bytes("", &b"orphan"[..]).sha256().unwrap();
    fs::create_dir_all(bench.store().join("objects").join(&sha[..2])).unwrap();
    fs::write(bench.store().join("objects").join(&sha[..2]).join(format!("{}.html", &sha[2..])), "orphan").unwrap();
    let report = verify(&Store::open(bench.store()).unwrap(), true).unwrap();
    assert!(report.is_whole());
    assert_eq!((report.unreferenced, report.leftovers, report.objects, report.rows), (1, 1, 6, 10));
    drop(Store::create_or_open(bench.store()).unwrap());
    bench.assert_whole();
}

#[test]
fn force_mends_what_was_damaged() {
    let bench = filled();
    let object = bench.store().join(bench.rows()[0].asset_path.as_ref().unwrap());
    let good = fs::read(&object).unwrap();
    fs::write(&object, "x".repeat(good.len())).unwrap();
    assert_eq!(bench.run(&with(|options| options.force = true)).objects, 1);
    assert_eq!(fs::read(&object).unwrap(), good);
}

#[test]
fn a_damaged_manifest_is_an_error_and_no_panic() {
    let bench = filled();
    let path = bench.store().join("runs/000001/part-00000.parquet");
    let good = fs::read(&path).unwrap();
    let rows = bench.rows();
    let caught = std::cell::Cell::new(0);
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let store = Store::open(bench.store()).unwrap();
        let read: Result<Vec<_>, _> = store.records().and_then(Iterator::collect);
        let report = verify(&store, false).unwrap();
        caught.set(caught.get() + u32::from(read.is_err()));
        assert_eq!(read.is_err(), report.damage.iter().any(|damage| damage.code == "run-unreadable"));
        read
    };
    for cut in (0..16).chain((0..40).map(|part| part * good.len() / 40)) {
        assert!(check(&good[..cut]).is_err(), "{cut}");
    }
    let mut state = 1_u64;
    for _ in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut bytes = good.clone();
        let place = (state >> 20) as usize % bytes.len();
        bytes[place] ^= 1 << ((state >> 60) & 7);
        let _ = check(&bytes);
    }
    assert!(caught.get() > 60, "{caught:?}");
    assert_eq!(check(&good).unwrap(), rows);
}

#[test]
fn a_journal_cut_anywhere_is_resumed() {
    let whole = filled();
    let lines: String = whole.rows().iter().map(|row| batch(&[&serde_json::to_string(row).unwrap()])).collect();
    let run = whole.store().join("runs/000001");
    let rows = whole.rows();
    let journal = |bytes: &[u8]| {
        let _ = fs::remove_file(run.join("part-00000.parquet"));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("journal.jsonl"), bytes).unwrap();
    };
    for cut in (0..8).chain((0..=30).map(|part| part * lines.len() / 30)) {
        journal(&lines.as_bytes()[..cut]);
        let good = lines.as_bytes()[..cut].iter().filter(|byte| **byte == b'\n').count() / 2;
        assert_eq!(whole.rows().len(), good, "{cut}");
        let summary = whole.run(&IngestOptions::default());
        assert_eq!((summary.skipped, summary.ok, summary.objects), (good as u64, 5 - good as u64, 0), "{cut}");
        assert_eq!(whole.rows(), rows);
        whole.assert_whole();
    }
    // Any other damage is an error, or a line that still reads; never a panic.
    let mut state = 7_u64;
    for _ in 0..100 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut bytes = lines.clone().into_bytes();
        let place = (state >> 20) as usize % bytes.len();
        bytes[place] ^= 1 << ((state >> 60) & 7);
        journal(&bytes);
        let store = Store::create_or_open(whole.store()).unwrap();
        let _ = verify(&store, false).unwrap();
        let _ = store.records().and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let _ = ingest(&store, &registry(), &[whole.input("")], &IngestOptions::default(), &|_| {});
    }
}

#[test]
fn a_store_that_cannot_be_written_is_an_error_and_no_deadlock() {
    let bench = Bench::new();
    for number in 0..300 {
        bench.put(&format!("{number}.doc"), format!("DOC1\nfill 3000 {number}\n"));
    }
    let store = Store::create_or_open(bench.store()).unwrap();
    fs::remove_dir(bench.store().join("objects")).unwrap();
    fs::write(bench.store().join("objects"), "in the way").unwrap();
    let options = with(|options| (options.jobs, options.memory) = (4, 20 << 20));
    let error = ingest(&store, &registry(), &[bench.input("")], &options, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    fs::remove_file(bench.store().join("objects")).unwrap();
    drop(store);
    // Mended, it goes on.
    assert_eq!(bench.run(&options).ok, 300);
    bench.assert_whole();
}

#[test]
fn children_started_meanwhile_do_not_keep_the_lock() {
    // Between fork and exec a child has a copy of every open file.
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let failed = (0..300).filter(|_| Store::create_or_open(folder.path().join("store")).is_err()).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0);
    });
}
