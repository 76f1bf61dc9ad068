//! `kill -9` at random moments: the store is whole after each, and complete in the end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mediary_ingest::{IngestOptions, Store, ingest, verify};

use super::formats::registry;
use super::pipeline::{Bench, with};

/// 80 assets of 1.5 MB take longer to write than the interval between two kills: a writer that is not careful fails here.
const INPUTS: usize = 80;
const BYTES: usize = 1_500_000;
const KILLS: usize = 20;

/// This program again, as a run on a bench.
pub(crate) fn child(test: &str, bench: &Bench) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "store::kill::child_process", "--nocapture", "--include-ignored", "--test-threads=1"])
        .env("MEDIARY_TEST_CHILD", test)
        .env("MEDIARY_TEST_INPUT", bench.input(""))
        .env("MEDIARY_TEST_STORE", bench.store());
    command
}

#[test]
#[ignore = "the other process of tests"]
fn child_process() {
    let Ok(test) = std::env::var("MEDIARY_TEST_CHILD") else { return };
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let store = Store::create_or_open(path("MEDIARY_TEST_STORE")).unwrap();
    let options = with(|options| options.jobs = 2);
    let summary = ingest(&store, &registry(), &[path("MEDIARY_TEST_INPUT")], &options, &|_| {}).unwrap();
    assert_eq!(summary.failed, 0);
    if test == "stream" {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        println!("peak-kib {}", peak.trim().trim_end_matches(" kB"));
    }
}

#[test]
fn killed_at_any_moment() {
    let bench = Bench::new();
    for number in 0..INPUTS {
        bench.put(&format!("{number:02}.doc"), format!("DOC1\nfill {BYTES} {number}\n---\ntail {number}\n"));
    }
    let mut state = u64::from(std::process::id()) | 1;
    let (mut kills, mut most) = (0, 0);
    let mut rows_before = 0;
    // Milliseconds. A machine that commits nothing in that time gets more of it: kills must meet commits too.
    let mut longest = 110;
    while kills < KILLS {
        let mut process = child("kill", &bench).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(Duration::from_millis(10 + state % longest));
        let _ = process.kill();
        if process.wait().unwrap().success() {
            // Done before the kill: begin again, so that every kill meets work.
            fs::remove_dir_all(bench.store()).unwrap();
            rows_before = 0;
            continue;
        }
        kills += 1;
        if !bench.store().join("VERSION").exists() {
            longest = (longest * 3 / 2).min(2000);
            continue;
        }
        let report = verify(&Store::open(bench.store()).unwrap(), true).unwrap();
        assert!(report.is_whole(), "after kill {kills}: {report:#?}");
        assert_eq!(report.rows % 2, 0, "an input counts whole or not at all");
        assert!(report.rows >= rows_before, "what was committed stays");
        longest = if report.rows > rows_before { 110 } else { (longest * 3 / 2).min(2000) };
        rows_before = report.rows;
        most = most.max(report.rows);
    }
    assert!(most > 0, "some kills must meet a store with rows");

    let start = Instant::now();
    let summary = bench.run(&IngestOptions::default());
    assert_eq!((summary.ok + summary.skipped, summary.failed), (INPUTS as u64, 0));
    bench.assert_whole();
    let rows = bench.rows();
    assert_eq!(rows.len(), INPUTS * 2);
    assert!(rows.iter().all(|row| row.status == "ok"));
    let again = bench.run(&IngestOptions::default());
    assert_eq!((again.rows, again.objects, again.skipped), (0, 0, INPUTS as u64));
    println!("{kills} kills, up to {most} rows between them, {} done at the end in {:?}", summary.ok, start.elapsed());
}
