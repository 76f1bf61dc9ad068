//! The main job, end to end: a folder becomes a store; runs resume, repeat for nothing, and survive being killed.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::{corpus, data, json_lines, mediary, run, stderr};

fn ingest(input: &Path, store: &Path) -> (Output, Value) {
    let output = mediary().args(["ingest", "--json"]).arg(input).arg("--to").arg(store).output().unwrap();
    let summary = json_lines(&output).into_iter().find(|line| line["type"] == "summary");
    let summary = summary.unwrap_or_else(|| panic!("no summary: {}", stderr(&output)));
    (output, summary)
}

fn rows(store: &Path) -> Vec<Value> {
    json_lines(&mediary().args(["ls", "--json"]).arg(store).output().unwrap())
}

fn verify(store: &Path) -> Output {
    mediary().args(["verify", "--deep"]).arg(store).output().unwrap()
}

#[test]
fn the_sample_becomes_a_store_with_one_record_a_kind() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let (output, summary) = ingest(&data("sample"), &store);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!((&summary["ok"], &summary["failed"]), (&9.into(), &0.into()), "{summary}");
    let rows = rows(&store);
    assert_eq!(rows.len(), 9);
    let mut kinds: Vec<_> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["audio", "histogram", "html", "image", "molecule", "point_cloud", "scene", "table", "video"]);
    assert_eq!(verify(&store).status.code(), Some(0));

    let (again, summary) = ingest(&data("sample"), &store);
    assert_eq!((&summary["ok"], &summary["skipped"]), (&0.into(), &9.into()), "{summary}");
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(self::rows(&store).len(), 9);
}

#[test]
fn damage_and_locks_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    ingest(&data("sample"), &store);
    let object = crate::common::files_below(&store.join("objects")).remove(0);
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&object, bytes).unwrap();
    let output = verify(&store);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(run(&["verify", "tests/data"]).status.code(), Some(1), "a folder that is no store");

    let lock = fs::File::options().write(true).create(true).truncate(false).open(store.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let locked = mediary().arg("ingest").arg(data("sample")).arg("--to").arg(&store).output().unwrap();
    assert_eq!(locked.status.code(), Some(5), "{}", stderr(&locked));
}

#[test]
fn show_gives_the_record_of_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    ingest(&data("sample"), &store);
    let output = mediary().args(["show", "--json"]).arg(&store).arg("1crn.pdb").output().unwrap();
    let record = json_lines(&output).remove(0);
    assert_eq!(record["facts"]["atoms"], 327, "{record}");
    assert!(store.join(record["assets"][0]["path"].as_str().unwrap()).is_file());
}

/// A second of noise as 16-bit stereo wave, different for every `seed`: 1.4 MB that do not compress.
fn noise(seed: u32) -> Vec<u8> {
    let frames = 360_000_u32;
    let data = frames * 4;
    let mut wave = Vec::new();
    wave.extend(b"RIFF");
    wave.extend((36 + data).to_le_bytes());
    wave.extend(b"WAVEfmt ");
    wave.extend(16_u32.to_le_bytes());
    wave.extend([1, 0, 2, 0]);
    wave.extend(44_100_u32.to_le_bytes());
    wave.extend((44_100_u32 * 4).to_le_bytes());
    wave.extend([4, 0, 16, 0]);
    wave.extend(b"data");
    wave.extend(data.to_le_bytes());
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    for _ in 0..data / 4 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        wave.extend(state.to_le_bytes());
    }
    wave
}

/// kill -9 at random moments. Assets of 1.4 MB take longer to write than the shortest intervals, so a writer without
/// temporary names would leave cut objects.
#[test]
fn twenty_kills_leave_a_store_that_verifies_and_completes() {
    let folder = tempfile::tempdir().unwrap();
    let (input, store) = (folder.path().join("in"), folder.path().join("store"));
    fs::create_dir(&input).unwrap();
    for seed in 0..60 {
        fs::write(input.join(format!("{seed:02}.wav")), noise(seed + 1)).unwrap();
    }
    let mut killed = 0;
    let mut state = 12_345_u64;
    for _ in 0..20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = mediary()
            .args(["ingest", "-q"])
            .arg(&input)
            .arg("--to")
            .arg(&store)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + (state >> 33) % 160));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        if store.join("VERSION").exists() {
            let report = verify(&store);
            assert_eq!(report.status.code(), Some(0), "after kill {killed}: {}", stderr(&report));
        }
    }
    assert!(killed >= 10, "only {killed} of 20 runs were killed: make the input larger");
    let (output, _) = ingest(&input, &store);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rows = rows(&store);
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row["status"] == "ok"));
    assert_eq!(verify(&store).status.code(), Some(0));
    assert_eq!(crate::common::files_below(&store.join("objects")).len(), 60);
    assert!(crate::common::files_below(&store.join("tmp")).is_empty());
    let (_, summary) = ingest(&input, &store);
    assert_eq!((&summary["ok"], &summary["skipped"]), (&0.into(), &60.into()));
}

#[test]
fn the_whole_corpus_goes_in_and_bad_files_are_rows() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let (output, summary) = ingest(&corpus, &store);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(summary["ok"].as_u64().unwrap() > 90, "{summary}");
    let codes = ["malformed", "not-recognised", "unsupported", "limit"];
    for row in rows(&store).iter().filter(|row| row["status"] == "error") {
        assert!(codes.contains(&row["code"].as_str().unwrap()), "{row}");
    }
    let report = verify(&store);
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
}
