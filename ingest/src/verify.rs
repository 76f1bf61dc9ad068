//! [`verify`]: whether a store is whole.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use mediary_core::Result;
use serde::Serialize;
use walkdir::WalkDir;

use crate::objects::{content_hash, hash_of};
use crate::records::open_run;
use crate::row::Row;
use crate::store::{JOURNAL, MANIFEST, MANIFEST_HASH, Store, run_name};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// Stable code: `object-missing`, `object-length`, `object-content`, `object-name`, `row-duplicate`, `row-incomplete`,
    /// `row-assets`, `run-content`, `run-missing`, `run-unreadable`.
    pub code: &'static str,
    /// Path relative to the store, or the input of the row.
    pub path: String,
    /// What was expected and found.
    pub message: String,
}

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Rows of all runs.
    pub rows: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether their content was hashed.
    pub deep: bool,
    /// Objects that no row names: no damage, an interrupted run leaves them.
    pub unreferenced: u64,
    /// Files in `tmp/`: no damage, the next run sweeps them.
    pub leftovers: u64,
    /// Runs that were interrupted: no damage, the next run finishes them.
    pub unfinished_runs: u64,
    /// Everything that is damage.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether there is no damage.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }

    fn damaged(&mut self, code: &'static str, path: impl Into<String>, message: impl Into<String>) {
        self.damage.push(Damage { code, path: path.into(), message: message.into() });
    }
}

/// Checks that every row's objects exist with the right length and that no run has a row twice or lost its rows; `deep` also
/// hashes every object and manifest. Damage is reported, not repaired; `IngestOptions::force` converts again and replaces missing and damaged objects.
///
/// # Errors
/// `Locked` while another process writes; `Io` when the store cannot be listed.
pub fn verify(store: &Store, deep: bool) -> Result<Report> {
    let _held = store.hold()?;
    let mut report = Report { deep, leftovers: store.leftovers()?.len() as u64, ..Report::default() };
    let objects = check_objects(store, deep, &mut report);
    let mut referenced = HashSet::new();
    for run in store.runs()? {
        let folder = store.run_folder(run);
        let shown = format!("runs/{}", run_name(run));
        match (folder.join(MANIFEST).exists(), folder.join(JOURNAL).exists()) {
            (true, _) if deep => check_manifest(&folder, &shown, &mut report),
            (true, _) => {}
            (false, true) => report.unfinished_runs += 1,
            (false, false) => {
                let message = "it has neither a manifest nor a journal; remove its folder and ingest its inputs again";
                report.damaged("run-missing", shown.clone(), message);
            }
        }
        let rows = open_run(store, run, None);
        let mut before: Option<Row> = None;
        match rows {
            Err(error) => report.damaged("run-unreadable", shown, error.to_string()),
            Ok(rows) => {
                for row in rows {
                    match row {
                        Ok(row) => {
                            check_row(&row, before.as_ref(), &objects, &mut referenced, &mut report);
                            before = Some(row);
                        }
                        Err(error) => {
                            report.damaged("run-unreadable", shown.clone(), error.to_string());
                            before = None;
                        }
                    }
                }
            }
        }
        if let Some(row) = before.filter(|row| row.last == 0) {
            report.damaged("row-incomplete", row.path(), "the last row of the input is missing");
        }
    }
    report.unreferenced = objects.keys().filter(|path| !referenced.contains(*path)).count() as u64;
    Ok(report)
}

fn check_manifest(folder: &Path, shown: &str, report: &mut Report) {
    let expected = std::fs::read_to_string(folder.join(MANIFEST_HASH)).unwrap_or_default();
    let expected = expected.split_whitespace().next().unwrap_or("a hash beside it");
    let message = match content_hash(&folder.join(MANIFEST)) {
        Ok(found) if found == expected => return,
        Ok(found) => format!("expected {expected}, found {found}"),
        Err(error) => error.to_string(),
    };
    report.damaged("run-content", format!("{shown}/{MANIFEST}"), message);
}

/// Lengths of the objects by path.
fn check_objects(store: &Store, deep: bool, report: &mut Report) -> HashMap<String, u64> {
    let mut objects = HashMap::new();
    for entry in WalkDir::new(store.path().join("objects")).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => entry,
            Err(error) => {
                report.damaged("object-name", "objects", format!("cannot be listed: {error}"));
                continue;
            }
        };
        let relative = entry.path().strip_prefix(store.path()).unwrap_or(entry.path());
        let path = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
        let Some(hash) = hash_of(&path) else {
            report.damaged("object-name", path, "expected a name of 62 hex digits, found another");
            continue;
        };
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        report.objects += 1;
        report.bytes += bytes;
        if deep {
            match content_hash(entry.path()) {
                Ok(found) if found == hash => {}
                Ok(found) => report.damaged("object-content", path.clone(), format!("expected {hash}, found {found}")),
                Err(error) => report.damaged("object-content", path.clone(), error.to_string()),
            }
        }
        objects.insert(path, bytes);
    }
    objects
}

fn check_row(
    row: &Row,
    before: Option<&Row>,
    objects: &HashMap<String, u64>,
    referenced: &mut HashSet<String>,
    report: &mut Report,
) {
    report.rows += 1;
    let place = |row: &Row| (row.root.clone(), row.input.clone(), row.index);
    if let Some(before) = before {
        if place(before) >= place(row) {
            let message = format!("record {} comes after record {} of {:?}", row.index, before.index, before.path());
            report.damaged("row-duplicate", row.path(), message);
        }
        if before.last == 0 && before.identity() != row.identity() {
            report.damaged("row-incomplete", before.path(), "the last row of the input is missing");
        }
    }
    let assets = match row.asset_list() {
        Ok(assets) => assets,
        Err(error) => return report.damaged("row-assets", row.path(), error.message()),
    };
    for asset in assets {
        let (Some(path), Some(bytes), Some(sha256)) =
            (asset["path"].as_str(), asset["bytes"].as_u64(), asset["sha256"].as_str())
        else {
            report.damaged("row-assets", row.path(), "an asset has no path, length or hash");
            continue;
        };
        if hash_of(path).as_deref() != Some(sha256) {
            report.damaged("row-assets", row.path(), format!("the object {path:?} is not named {sha256}"));
        }
        match objects.get(path) {
            None => report.damaged("object-missing", path, format!("{:?} names it", row.path())),
            Some(found) if *found != bytes => {
                report.damaged("object-length", path, format!("expected {bytes} bytes, found {found}"));
            }
            Some(_) => {}
        }
        referenced.insert(path.to_owned());
    }
}
