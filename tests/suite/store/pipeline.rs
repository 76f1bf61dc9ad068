//! What a run does with its inputs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mediary::{Limits, Registry};
use mediary_ingest::{AssetPolicy, Event, IngestOptions, Outcome, Row, Store, Summary, ingest, verify};

use super::formats::{registry, registry_with_plugin};

/// The default options, changed.
pub(crate) fn with(change: impl FnOnce(&mut IngestOptions)) -> IngestOptions {
    let mut options = IngestOptions::default();
    change(&mut options);
    options
}

/// A folder of inputs and a store.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        Self { folder }
    }

    pub(crate) fn input(&self, name: &str) -> PathBuf {
        self.folder.path().join("in").join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.input(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn run(&self, options: &IngestOptions) -> Summary {
        self.run_on(&[self.input("")], options)
    }

    fn run_on(&self, inputs: &[PathBuf], options: &IngestOptions) -> Summary {
        let store = Store::create_or_open(self.store()).unwrap();
        ingest(&store, &registry(), inputs, options, &|_| {}).unwrap()
    }

    fn run_with(&self, registry: &Registry) -> Summary {
        let store = Store::create_or_open(self.store()).unwrap();
        ingest(&store, registry, &[self.input("")], &IngestOptions::default(), &|_| {}).unwrap()
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        Store::open(self.store()).unwrap().records().unwrap().map(Result::unwrap).collect()
    }

    fn row(&self, input: &str) -> Row {
        let mut rows: Vec<_> = self.rows().into_iter().filter(|row| row.input == input).collect();
        assert_eq!(rows.len(), 1, "{input}: {rows:#?}");
        rows.remove(0)
    }

    fn asset(&self, row: &Row) -> Vec<u8> {
        fs::read(self.store().join(row.asset_path.as_ref().unwrap())).unwrap()
    }

    pub(crate) fn assert_whole(&self) {
        let report = verify(&Store::open(self.store()).unwrap(), true).unwrap();
        assert!(report.is_whole(), "{report:#?}");
        assert_eq!((report.leftovers, report.unfinished_runs), (0, 0), "{report:#?}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    mediary::Source::from_bytes("", bytes).sha256().unwrap()
}

/// A batch of a journal.
pub(crate) fn batch(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mark = serde_json::json!({"bytes": lines.len(), "sha256": sha256(lines.as_bytes())});
    format!("{lines}{mark}\n")
}

#[test]
fn a_folder_of_everything() {
    let bench = Bench::new();
    bench.put("a.doc", "DOC1\nhello\n");
    bench.put("b/many.doc", "DOC1\none\n---\ntwo\n---\nthree\n");
    bench.put("b/twin.doc", "DOC1\nhello\n");
    bench.put("bad.doc", "DOC1\nfine\n---\nbroken\n---\nnever read\n");
    bench.put("empty.doc", "");
    bench.put("kept.one", "ONE1\nas it is");
    bench.put("panics.doc", "DOC1\npanic\n");
    bench.put("scene.doc", "DOC1\ninclude skin.mtl\ninclude gone.mtl\n");
    bench.put("skin.mtl", "newmtl a");
    bench.put("who.xyz", "what is this");
    bench.put(".hidden.doc", "DOC1\nsecret\n");
    bench.put(".git/config.doc", "DOC1\nsecret\n");
    let mut expected_special = 0;
    if cfg!(unix) {
        assert!(Command::new("mkfifo").arg(bench.input("pipe")).status().unwrap().success());
        expected_special = 2;
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(bench.input(""), bench.input("b/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", bench.input("dangling.doc")).unwrap();
    }
    let summary = bench.run(&IngestOptions::default());
    assert_eq!(summary.inputs, 13, "{summary:?}");
    // Good: a, many, twin, kept, scene. Failed: bad, dangling, empty, panics, who.
    assert_eq!((summary.ok, summary.failed, summary.sidecars, summary.special), (5, 5, 1, expected_special));
    assert_eq!((summary.hidden, summary.skipped, summary.records), (2, 0, 8));
    assert_eq!(summary.rows, 15);
    assert_eq!(summary.run.as_deref(), Some("000001"));
    bench.assert_whole();
    assert!(bench.store().join("runs/000001/part-00000.parquet").exists());
    assert!(!bench.store().join("runs/000001/journal.jsonl").exists());

    let rows = bench.rows();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.input.as_str(), row.index, row.status.as_str(), row.error_code.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a.doc", 0, "ok", None),
            ("b/loop", 0, "skipped", Some("link-loop")),
            ("b/many.doc", 0, "ok", None),
            ("b/many.doc", 1, "ok", None),
            ("b/many.doc", 2, "ok", None),
            ("b/twin.doc", 0, "ok", None),
            ("bad.doc", 0, "ok", None),
            ("bad.doc", 1, "error", Some("malformed")),
            ("dangling.doc", 0, "error", Some("io")),
            ("empty.doc", 0, "error", Some("malformed")),
            ("kept.one", 0, "ok", None),
            ("panics.doc", 0, "error", Some("malformed")),
            ("pipe", 0, "skipped", Some("special-file")),
            ("scene.doc", 0, "ok", None),
            ("who.xyz", 0, "error", Some("not-recognised")),
        ]
    );
    assert!(rows.iter().all(|row| row.root == "in"));

    let hello = bench.row("a.doc");
    assert_eq!(bench.asset(&hello), b"hello");
    assert_eq!(hello.asset_path, bench.row("b/twin.doc").asset_path);
    assert_eq!(hello.source_sha256.as_deref(), Some(&*sha256(b"DOC1\nhello\n")));
    assert_eq!(hello.asset_sha256.as_deref(), Some(&*sha256(b"hello")));
    assert_eq!((hello.source_bytes, hello.asset_bytes), (Some(11), Some(5)));
    assert_eq!((hello.kind.as_deref(), hello.format.as_deref()), (Some("html"), Some("doc")));
    assert_eq!(hello.properties.as_deref(), Some(r#"{"lines":1}"#));
    let record: serde_json::Value = serde_json::from_str(hello.record.as_deref().unwrap()).unwrap();
    assert_eq!(record["schema"], "mediary.record/1");
    assert_eq!(record["source"]["sha256"], hello.source_sha256.clone().unwrap());
    assert_eq!(record["assets"][0]["path"], hello.asset_path.clone().unwrap());

    let kept = bench.row("kept.one");
    assert_eq!(kept.asset_sha256, kept.source_sha256);
    assert_eq!(bench.asset(&kept), b"ONE1\nas it is");

    let bad = rows.iter().find(|row| row.input == "bad.doc" && row.index == 1).unwrap();
    assert_eq!(bad.error_json()["location"]["line"], 2);
    assert_eq!(bad.error_json()["path"], "in/bad.doc");
    assert_eq!(bad.hint.as_deref(), Some("mend it"));
    assert_eq!(bad.format.as_deref(), Some("doc"));

    let scene = bench.row("scene.doc");
    assert_eq!(bench.asset(&scene), b"newmtl a");
    let siblings: serde_json::Value = serde_json::from_str(scene.siblings.as_deref().unwrap()).unwrap();
    assert_eq!(
        siblings,
        serde_json::json!([{"name": "gone.mtl"}, {"name": "skin.mtl", "bytes": 8, "sha256": sha256(b"newmtl a")}])
    );

    // A second run does nothing and says the same.
    let again = bench.run(&IngestOptions::default());
    assert_eq!((again.rows, again.objects, again.records, again.run.clone()), (0, 0, 0, None), "{again:?}");
    assert_eq!((again.skipped, again.failed, again.known_failures), (5, 5, 5));
    assert_eq!((again.sidecars, again.special), (1, expected_special));
    assert_eq!(bench.rows(), rows);
    bench.assert_whole();
}

#[test]
fn what_changes_is_done_again() {
    let bench = Bench::new();
    let options = IngestOptions::default();
    bench.put("a.doc", "DOC1\nold\n---\nsecond\n---\nthird\n");
    bench.put("b.doc", "DOC1\nstays\n");
    bench.put("s.doc", "DOC1\ninclude skin\n");
    assert_eq!(bench.run(&options).rows, 5);

    bench.put("a.doc", "DOC1\nnew\n");
    let summary = bench.run(&options);
    assert_eq!((summary.ok, summary.skipped, summary.rows), (1, 2, 1));
    assert_eq!(bench.asset(&bench.row("a.doc")), b"new", "records 1 and 2 are gone with the old content");

    // A sibling appears, changes, and goes.
    assert!(bench.row("s.doc").diagnostics.unwrap().contains("doc.missing"));
    bench.put("skin", "red");
    let summary = bench.run(&options);
    assert_eq!((summary.ok, summary.skipped, summary.sidecars, summary.failed), (1, 2, 1, 0));
    assert_eq!(bench.asset(&bench.row("s.doc")), b"red");
    bench.put("skin", "blue");
    assert_eq!(bench.run(&options).ok, 1);
    assert_eq!(bench.asset(&bench.row("s.doc")), b"blue");
    // Nothing uses it any more: it is a failure of its own now; and used again, that failure is withdrawn.
    bench.put("s.doc", "DOC1\nalone\n");
    let summary = bench.run(&options);
    assert_eq!((summary.failed, summary.sidecars), (1, 0));
    bench.put("s.doc", "DOC1\ninclude skin\n");
    let summary = bench.run(&options);
    assert_eq!((summary.failed, summary.sidecars), (0, 1));
    assert_eq!(bench.row("skin").status, "skipped");
    assert_eq!(bench.run(&options).rows, 0);

    // Options that matter redo; the default spelled out, and knobs, do not.
    let mut spelled = IngestOptions::default();
    spelled.read.options = vec![("doc.upper".into(), "no".into())];
    (spelled.jobs, spelled.memory) = (1, 1 << 30);
    spelled.read.limits = Limits::service();
    assert_eq!(bench.run(&spelled).rows, 0);
    spelled.read.options = vec![("doc.upper".into(), "yes".into())];
    assert_eq!(bench.run(&spelled).ok, 3);
    assert_eq!(bench.asset(&bench.row("b.doc")), b"STAYS");
    spelled.read.options = vec![("doc.upper".into(), "true".into())];
    assert_eq!(bench.run(&spelled).rows, 0);
    spelled.force = true;
    assert_eq!(bench.run(&spelled).ok, 3);
    bench.assert_whole();
}

#[test]
fn another_plugin_is_another_result() {
    let bench = Bench::new();
    bench.put("a.doc", "DOC1\ntext\n");
    bench.put("b.one", "ONE1\ntext\n");
    let converted = |registry: &Registry| bench.run_with(registry).ok;
    assert_eq!(converted(&registry_with_plugin("doc 1.0.0", "aa")), 2);
    assert_eq!(converted(&registry_with_plugin("doc 1.0.0", "aa")), 0);
    for (name, sha256) in [("doc 1.0.0", "bb"), ("doc 1.0.1", "bb")] {
        assert_eq!(converted(&registry_with_plugin(name, sha256)), 1, "only what the plugin reads: {name} {sha256}");
        assert_eq!(converted(&registry_with_plugin(name, sha256)), 0);
    }
    assert_eq!(converted(&registry()), 1);
    bench.assert_whole();
}

#[test]
fn a_worker_that_dies_is_one_row_and_is_tried_again() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.put(&format!("{name}.doc"), format!("DOC1\n{name}\n"));
    }
    bench.put("bad.doc", "DOC1\ntext\n---\ndie\n---\ntext\n");
    bench.put("worse.doc", "DOC1\ndie\n");
    bench.put("worst.flow", "FLOW die\n");
    let registry = registry_with_plugin("doc 1.0.0", "aa");
    let summary = bench.run_with(&registry);
    assert_eq!((summary.ok, summary.failed, summary.records), (3, 3, 4), "{summary:#?}");
    let worse = bench.row("worse.doc");
    assert_eq!((worse.error_code.as_deref(), worse.format.as_deref()), (Some("worker"), Some("doc")));

    assert_eq!(bench.row("worst.flow").error_code.as_deref(), Some("worker"), "one row, though its record was begun");

    // It is tried again, and says the same: no new row.
    let summary = bench.run_with(&registry);
    assert_eq!((summary.ok, summary.skipped, summary.known_failures, summary.rows), (0, 3, 3, 0), "{summary:#?}");
    bench.assert_whole();
}

#[test]
fn memory_is_granted_and_withheld() {
    let bench = Bench::new();
    // More than the first grant, less than the whole.
    for number in 0..4 {
        bench.put(&format!("large{number}.doc"), format!("DOC1\nfirst {number}\n---\nalloc 60000000\nlast\n"));
    }
    bench.put("huge.doc", "DOC1\nfirst\n---\nalloc 90000000000\n");
    let mut options = with(|options| options.memory = 100_000_000);
    options.jobs = 4;
    let summary = bench.run(&options);
    assert_eq!((summary.ok, summary.failed, summary.records), (4, 1, 9), "{summary:?}");
    let rows = bench.rows();
    assert_eq!(rows.len(), 10, "the rows of attempts that needed more memory are not there");
    let huge = rows.iter().find(|row| row.is_error()).unwrap();
    assert_eq!((huge.input.as_str(), huge.index, huge.error_code.as_deref()), ("huge.doc", 1, Some("limit")));
    assert!(huge.hint.as_deref().unwrap().contains("--memory"), "{huge:?}");
    bench.assert_whole();
}

#[test]
fn headers_plan_memory_and_change_nothing_else() {
    let bench = Bench::new();
    bench.put("broken.pic", "PIC1\nbroken");
    bench.put("warn.pic", "PIC1\nwarn");
    bench.put("size.pic", "PIC1\nsize 300000000");
    let summary = bench.run(&IngestOptions::default());
    assert_eq!((summary.ok, summary.failed), (2, 1));
    assert_eq!(bench.row("broken.pic").error.as_deref(), Some("expected a picture"));
    let diagnostics: serde_json::Value = serde_json::from_str(&bench.row("warn.pic").diagnostics.unwrap()).unwrap();
    assert_eq!((&diagnostics[0]["code"], &diagnostics[0]["count"]), (&"pic.pale".into(), &1.into()));
    // It was granted what it announced before it took it.
    assert_eq!(super::formats::TAKES.load(std::sync::atomic::Ordering::SeqCst), 1);
    // No format is canonical for pictures here: the source is kept.
    let kept = bench.row("warn.pic");
    assert_eq!((kept.asset_role.as_deref(), kept.asset_sha256.clone()), (Some("canonical"), kept.source_sha256));
    bench.assert_whole();
}

#[test]
fn limits_are_tried_again_without_new_rows() {
    let bench = Bench::new();
    bench.put("huge.doc", "DOC1\nalloc 90000000000\n");
    let first = bench.run(&IngestOptions::default());
    assert_eq!((first.failed, first.rows, first.known_failures), (1, 1, 0));
    assert!(bench.row("huge.doc").hint.unwrap().contains("--limit alloc_bytes"));
    let second = bench.run(&IngestOptions::default());
    assert_eq!((second.failed, second.rows, second.known_failures, second.skipped), (1, 0, 1, 0));
    // The same when other records of the input are fine, until something is new.
    bench.put("some.doc", "DOC1\none\n---\nalloc 90000000000\n");
    assert_eq!(bench.run(&IngestOptions::default()).rows, 2);
    let again = bench.run(&IngestOptions::default());
    assert_eq!((again.failed, again.rows, again.known_failures, again.run), (2, 0, 2, None));
    let other = bench.run(&with(|options| options.read.limits.alloc_bytes = 1 << 20));
    assert_eq!((other.failed, other.rows, other.records), (2, 3, 1));
    fs::remove_file(bench.input("some.doc")).unwrap();
    // Another limit gives another message, and a limit that is high enough gives the record.
    bench.put("huge.doc", "DOC1\nalloc 900000000\n");
    assert_eq!(bench.run(&IngestOptions::default()).failed, 1);
    let summary = bench.run(&with(|options| options.read.limits.alloc_bytes = 1 << 30));
    assert_eq!((summary.ok, summary.failed), (1, 0));
}

#[test]
fn streams_pass_in_bounded_memory() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let bench = Bench::new();
    bench.put("long.flow", "FLOW 300");
    let child = super::kill::child("stream", &bench).output().unwrap();
    assert!(child.status.success(), "{child:?}");
    let row = bench.row("long.flow");
    assert_eq!(row.asset_bytes, Some(300 * (1 << 20) + 8));
    let facts: serde_json::Value = serde_json::from_str(row.facts.as_deref().unwrap()).unwrap();
    assert_eq!(facts["rows"], 300 * 131_072);
    // The writer went back to patch its header: the hash is that of the final bytes.
    let bytes = bench.asset(&row);
    assert_eq!(bytes[..8], (300_u64 * 131_072).to_le_bytes());
    assert_eq!(row.asset_sha256.as_deref(), Some(&*sha256(&bytes)));
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    let peak = output.lines().find_map(|line| line.split_once("peak-kib ")).unwrap().1.trim().parse::<u64>().unwrap();
    assert!(peak < 100 << 10, "300 MiB passed, peak resident memory {peak} KiB");
    bench.assert_whole();
}

#[test]
fn large_files_are_not_read_twice_for_nothing() {
    let bench = Bench::new();
    let content = format!("ONE1\n{}", "large ".repeat(3_000_000));
    bench.put("large.one", &content);
    // A file that was just written gets no hint.
    assert_eq!(bench.run(&IngestOptions::default()).ok, 1);
    assert!(!bench.store().join("hints.json").exists());
    if !cfg!(unix) {
        return;
    }
    std::thread::sleep(std::time::Duration::from_secs(4));
    let counts = |summary: Summary| (summary.ok, summary.skipped, summary.hinted, summary.rows);
    assert_eq!(counts(bench.run(&IngestOptions::default())), (0, 1, 0, 0));
    assert!(bench.store().join("hints.json").exists());
    assert_eq!(counts(bench.run(&IngestOptions::default())), (0, 1, 1, 0));
    assert_eq!(counts(bench.run(&with(|options| options.force = true))), (1, 0, 0, 1));
    // The same length and the same modification time, but other content.
    let path = bench.input("large.one");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, content.replace("large ", "LARGE ")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(counts(bench.run(&IngestOptions::default())), (1, 0, 0, 1));
    // Hints that lie or are broken cost time only.
    let hints = bench.store().join("hints.json");
    let lie = fs::read_to_string(&hints).unwrap().replace("\"sha256\":\"", "\"sha256\":\"0");
    for text in [lie.as_str(), "nonsense"] {
        fs::write(&hints, text).unwrap();
        assert_eq!(counts(bench.run(&IngestOptions::default())), (0, 1, 0, 0));
    }
    bench.assert_whole();
}

#[test]
fn policies() {
    for (policy, roles, objects) in [
        (AssetPolicy::Canonical, &["canonical"][..], 2),
        (AssetPolicy::Source, &["source"][..], 2),
        (AssetPolicy::Both, &["canonical", "source"][..], 3),
        (AssetPolicy::None, &[][..], 0),
    ] {
        let bench = Bench::new();
        bench.put("a.doc", "DOC1\nhello\n");
        bench.put("b.one", "ONE1\nhello\n");
        let options = with(|options| options.assets = policy);
        assert_eq!(bench.run(&options).objects, objects, "{policy:?}");
        for row in bench.rows() {
            let assets = row.asset_list().unwrap();
            assert_eq!(assets.iter().map(|asset| asset["role"].as_str().unwrap()).collect::<Vec<_>>(), roles);
            for asset in assets {
                if asset["role"] == "source" {
                    assert_eq!(asset["sha256"].as_str(), row.source_sha256.as_deref());
                }
            }
        }
        bench.assert_whole();
        assert_eq!(bench.run(&options).rows, 0);
    }
}

/// Every file of a store with its content, but for the lock.
fn contents(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("roots.json") {
                // Where the inputs lie is the one thing that differs.
                files.insert(path.strip_prefix(store).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn stores_are_equal_to_the_byte_whatever_the_threads() {
    let mut stores = Vec::new();
    for (jobs, memory) in [(1, 1 << 30), (4, 1 << 30), (3, 40 << 20)] {
        let bench = Bench::new();
        for number in 0..60 {
            bench.put(
                &format!("{:02}/{number}.doc", number % 7),
                format!("DOC1\nfill {} {number}\n---\nx\n", number * 997),
            );
        }
        bench.put("bad.doc", "DOC1\nbroken\n");
        bench.put("tight.doc", "DOC1\nalloc 30000000\n");
        let summary = bench.run(&with(|options| {
            options.jobs = jobs;
            options.memory = memory;
        }));
        assert_eq!((summary.ok, summary.failed), (61, 1));
        stores.push(contents(&bench.store()));
    }
    assert_eq!(stores[0].len(), 60 + 1 + 4, "60 filled, one \"x\", VERSION, lock, manifest and its hash");
    assert!(stores[0] == stores[1] && stores[0] == stores[2]);
}

#[test]
fn a_cancelled_run_goes_on() {
    let bench = Bench::new();
    for number in 0..40 {
        bench.put(&format!("{number}.doc"), format!("DOC1\nfill 2000 {number}\n---\nlast {number}\n"));
    }
    let options = with(|options| options.jobs = 2);
    let store = Store::create_or_open(bench.store()).unwrap();
    let started = Cell::new(0);
    let first = ingest(&store, &registry(), &[bench.input("")], &options, &|event| {
        if let Event::Started { .. } = event {
            started.set(started.get() + 1);
            if started.get() == 10 {
                options.cancel.cancel();
            }
        }
    })
    .unwrap();
    drop(store);
    assert!(first.interrupted && first.ok >= 10 && first.ok < 40, "{first:?}");
    assert_eq!(bench.rows().len() as u64, first.ok * 2, "what was in flight is committed");
    let journal = bench.store().join("runs/000001/journal.jsonl");
    // A crash tore the line that was being written, of an input that is not complete.
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(br#"{"root":"in","input":"7.doc","ind"#);
    fs::write(&journal, bytes).unwrap();
    assert_eq!(bench.rows().len() as u64, first.ok * 2);

    let second = bench.run(&IngestOptions::default());
    assert_eq!((second.ok + first.ok, second.skipped), (40, first.ok));
    assert_eq!(second.run.as_deref(), Some("000001"));
    assert_eq!(bench.rows().len(), 80);
    bench.assert_whole();
    assert_eq!(bench.run(&IngestOptions::default()).rows, 0);
}

#[test]
fn an_interrupted_input_starts_anew() {
    let bench = Bench::new();
    bench.put("a.doc", "DOC1\none\n---\ntwo\n");
    bench.put("b.doc", "DOC1\nother\n");
    bench.run(&IngestOptions::default());
    // Write the journal as it would be if the process had died between the two rows of a.doc.
    let lines: Vec<_> = bench.rows().iter().map(|row| serde_json::to_string(row).unwrap()).collect();
    let run = bench.store().join("runs/000001");
    fs::remove_file(run.join("part-00000.parquet")).unwrap();
    fs::write(run.join("journal.jsonl"), batch(&[&lines[2], &lines[0]])).unwrap();
    assert_eq!(bench.rows().len(), 1, "half an input does not count");
    let summary = bench.run(&IngestOptions::default());
    assert_eq!((summary.ok, summary.skipped, summary.rows, summary.objects), (1, 1, 2, 0));
    assert_eq!(bench.rows().len(), 3);
    bench.assert_whole();

    // Power loss leaves a hole in what was not synced: the last batch.
    let last = batch(&[&lines[0], &lines[1]]);
    let journal = |last: &str, after: &str| {
        let _ = fs::remove_file(run.join("part-00000.parquet"));
        fs::write(run.join("journal.jsonl"), format!("{}{last}{after}", batch(&[&lines[2]]))).unwrap();
    };
    for hole in [0..10, 5..lines[0].len() + 5, lines[0].len() - 5..last.len(), 0..last.len()] {
        let mut torn = last.clone();
        torn.replace_range(hole.clone(), &"\0".repeat(hole.len()));
        journal(&torn, "");
        assert_eq!(bench.rows().len(), 1);
        let summary = bench.run(&IngestOptions::default());
        assert_eq!((summary.ok, summary.skipped, summary.objects), (1, 1, 0), "{hole:?}");
        bench.assert_whole();
    }

    // A broken batch before a whole one is none of that.
    journal(&last.replace("one", "two").replace("a.doc", "z.doc"), &last);
    let store = Store::create_or_open(bench.store()).unwrap();
    let error = ingest(&store, &registry(), &[bench.input("")], &IngestOptions::default(), &|_| {}).unwrap_err();
    assert_eq!(error.kind(), mediary::ErrorKind::Malformed);
    let report = verify(&store, false).unwrap();
    assert_eq!(report.damage[0].code, "run-unreadable");
}

#[test]
fn files_that_vanish_or_were_not_reached() {
    let bench = Bench::new();
    for name in ["0.doc", "1.doc"] {
        bench.put(name, "DOC1\nx\n");
    }
    let store = Store::create_or_open(bench.store()).unwrap();
    let options = with(|options| options.jobs = 1);
    let summary = ingest(&store, &registry(), &[bench.input("")], &options, &|event| {
        if let Event::Planned { .. } = event {
            fs::remove_file(bench.input("0.doc")).unwrap();
        }
    })
    .unwrap();
    drop(store);
    assert_eq!((summary.ok, summary.failed), (1, 1));
    assert_eq!(bench.row("0.doc").error_code.as_deref(), Some("io"));

    // Whether a file is a sidecar is not decided before everything was read that may use it.
    let bench = Bench::new();
    bench.put("a.mtl", "newmtl");
    bench.put("b.doc", "DOC1\nbroken\n");
    bench.put("z.doc", "DOC1\ninclude a.mtl\n");
    for number in 0..200 {
        bench.put(&format!("c/{number}.doc"), "DOC1\nx\n");
    }
    let cancel = with(|options| options.jobs = 1);
    let store = Store::create_or_open(bench.store()).unwrap();
    let cut = ingest(&store, &registry(), &[bench.input("")], &cancel, &|event| {
        if let Event::Started { input: "in/b.doc" } = event {
            cancel.cancel.cancel();
        }
    })
    .unwrap();
    drop(store);
    assert!(cut.interrupted && cut.ok < 201, "{cut:?}");
    assert_eq!((cut.failed, cut.sidecars), (1, 0));
    // Who wants to stop at failures does not want to wait for that.
    let stopped = bench.run(&with(|options| (options.jobs, options.stop_on_error) = (1, true)));
    assert!(stopped.stopped && stopped.failed > 0 && stopped.ok < 201, "{stopped:?}");
    assert_eq!(bench.row("a.mtl").error_code.as_deref(), Some("not-recognised"));
    let rest = bench.run(&IngestOptions::default());
    assert_eq!((rest.failed, rest.sidecars, rest.ok + stopped.ok + cut.ok), (1, 1, 201));
    assert_eq!(bench.row("a.mtl").status, "skipped");
}

#[test]
fn stops_at_the_first_failure_when_asked() {
    let bench = Bench::new();
    bench.put("0.doc", "DOC1\nbroken\n");
    for number in 1..500 {
        bench.put(&format!("{number}.doc"), "DOC1\nx\n");
    }
    let summary = bench.run(&with(|options| {
        options.jobs = 1;
        options.stop_on_error = true;
    }));
    assert!(summary.stopped && !summary.interrupted && summary.ok < 499, "{summary:?}");
    assert_eq!(summary.failed, 1);
    bench.assert_whole();
    let rest = bench.run(&IngestOptions::default());
    assert_eq!((rest.ok + summary.ok, rest.known_failures), (499, 1));
    let known = bench.run(&with(|options| (options.jobs, options.stop_on_error) = (1, true)));
    assert!(known.stopped && known.known_failures == 1, "a known failure stops too");
}

#[test]
fn events_tell_the_whole_story() {
    let bench = Bench::new();
    bench.put("a.doc", "DOC1\nhello\n---\nthere\n");
    bench.put("bad.doc", "DOC1\nbroken\n");
    let store = Store::create_or_open(bench.store()).unwrap();
    let story = RefCell::new(Vec::new());
    let options = with(|options| options.jobs = 1);
    let tell = |event: Event<'_>| {
        story.borrow_mut().push(match event {
            Event::Planned { inputs, hidden } => format!("planned {inputs} {hidden}"),
            Event::Started { input } => format!("started {input}"),
            Event::Row(row) => format!("row {} {} {}", row.input, row.index, row.status),
            Event::Finished { input, outcome, records, bytes } => {
                format!("finished {input} {outcome:?} {records} {bytes}")
            }
            Event::Known(row) => format!("known {} {} {}", row.input, row.error_json()["location"]["line"], row.status),
            _ => "other".into(),
        });
    };
    ingest(&store, &registry(), &[bench.input("")], &options, &tell).unwrap();
    assert_eq!(
        story.take(),
        [
            "planned 2 0",
            "started in/a.doc",
            "started in/bad.doc",
            "row a.doc 0 ok",
            "row a.doc 1 ok",
            "row bad.doc 0 error",
            "finished in/a.doc Converted 2 21",
            "finished in/bad.doc Failed 0 12",
        ]
    );
    ingest(&store, &registry(), &[bench.input("")], &options, &tell).unwrap();
    let story = story.into_inner();
    assert_eq!(story.last().unwrap(), "known bad.doc 2 error");
    assert!(story.contains(&format!("finished in/bad.doc {:?} 0 0", Outcome::KnownFailure)), "{story:?}");
}

#[test]
fn arguments_of_every_form() {
    let bench = Bench::new();
    for name in ["x/a.doc", "x/b.doc", "y/x/a.doc", "y/x/c.one", "y/skip.doc"] {
        bench.put(name, if name.ends_with("one") { "ONE1\n" } else { "DOC1\nt\n" });
    }
    let names = |bench: &Bench| bench.rows().iter().map(|row| row.path()).collect::<Vec<_>>();
    // Two folders of one name are told apart; a file inside one of them is not taken twice.
    let mut options = IngestOptions::default();
    options.walk.exclude = vec!["b.*".into()];
    let summary = bench
        .run_on(&[bench.input("x"), bench.input("y/x"), bench.input("x/a.doc"), bench.input("y/skip.doc")], &options);
    assert_eq!(summary.inputs, 4);
    assert_eq!(names(&bench), ["in/x/a.doc", "y/skip.doc", "y/x/a.doc", "y/x/c.one"]);

    let bench = Bench::new();
    bench.put("x/a.doc", "DOC1\nt\n");
    bench.put("x/b.doc", "DOC1\nt\n");
    bench.put("x/c.one", "ONE1\n");
    let summary = bench.run_on(
        &[bench.input("x/*.doc"), bench.input("none*.doc"), bench.input("missing.doc")],
        &IngestOptions::default(),
    );
    assert_eq!((summary.ok, summary.failed), (2, 2));
    assert_eq!(names(&bench), ["in/missing.doc", "in/none*.doc", "x/a.doc", "x/b.doc"]);

    // What a glob matches is as if it had been given: folders are walked, hidden files left out.
    let bench = Bench::new();
    for name in ["g/a.doc", "g/sub/b.doc", "g/.hidden.doc", "g/sub/.hidden.doc"] {
        bench.put(name, "DOC1\nt\n");
    }
    bench.run_on(&[bench.input("g/*")], &IngestOptions::default());
    assert_eq!(names(&bench), ["g/a.doc", "sub/b.doc"]);
    bench.run_on(&[bench.input("g/*")], &with(|options| options.walk.hidden = true));
    assert_eq!(names(&bench), ["g/.hidden.doc", "g/a.doc", "sub/.hidden.doc", "sub/b.doc"]);

    // A store does not take itself, nor parts of itself.
    let store = Store::create_or_open(bench.store()).unwrap();
    for inside in ["", "VERSION", "runs/000001"] {
        let path = bench.store().join(inside);
        let refused = ingest(&store, &registry(), &[path], &IngestOptions::default(), &|_| {}).unwrap_err();
        assert_eq!(refused.kind(), mediary::ErrorKind::InvalidOption, "{inside}");
    }
    drop(store);

    // The store inside the folder that is ingested is left out.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.doc"), "DOC1\nt\n").unwrap();
    for _ in 0..2 {
        let store = Store::create_or_open(folder.path().join("store")).unwrap();
        let summary =
            ingest(&store, &registry(), &[folder.path().to_owned()], &IngestOptions::default(), &|_| {}).unwrap();
        assert_eq!(summary.inputs, 1);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_many_paths_lead_to_is_visited_once() {
    let bench = Bench::new();
    for level in 0..30 {
        bench.put(&format!("{level}/a.doc"), "DOC1\nt\n");
        for link in ["l", "m"] {
            let _ = std::os::unix::fs::symlink(format!("../{}", level + 1), bench.input(&format!("{level}/{link}")));
        }
    }
    bench.put("30/a.doc", "DOC1\nt\n");
    assert_eq!(bench.run(&IngestOptions::default()).ok, 31);

    let options = IngestOptions::default();
    options.cancel.cancel();
    let summary = Bench::new().run(&options);
    assert!(summary.interrupted && summary.inputs == 0, "{summary:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    fs::write(bench.input("").join(std::ffi::OsStr::from_bytes(b"caf\xe9.doc")), "DOC1\nt\n").unwrap();
    bench.run(&IngestOptions::default());
    let row = bench.row("caf\\xe9.doc");
    assert!(row.diagnostics.unwrap().contains("ingest.name-not-utf8"));
    assert_eq!(bench.run(&IngestOptions::default()).rows, 0);
}
