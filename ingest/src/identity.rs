//! When is an input up to date? When its idempotency key and the files beside it are what they were.
//!
//! The key covers what decides the result: the source's bytes, the format, the version of mediary, and of the format and the
//! canonical formats of its kinds the plugin they come from, to the byte, and the options, spelled out and sorted, so that
//! `yes` and `true` and the default left out are one. Limits, memory, threads and durability are no part of it: they decide whether a result is reached, not
//! which. What failed for a limit or the environment is tried again by every run.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mediary_core::{
    FolderSiblings, FormatInfo, Limits, OptionSpec, OptionUse, Options, Origin, Registry, Result, Siblings, Source,
    Strictness, hex,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pipeline::{AssetPolicy, IngestOptions};

/// Version of mediary: of the key, and of every row.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the key covers beside the source and the format.
pub(crate) fn settings(
    registry: &Registry,
    info: Option<&'static FormatInfo>,
    options: &IngestOptions,
) -> Result<String> {
    let strictness = match options.read.strictness {
        Strictness::Lenient => "lenient",
        Strictness::Default => "default",
        Strictness::Strict => "strict",
    };
    let assets = match options.assets {
        AssetPolicy::Canonical => "canonical",
        AssetPolicy::Source => "source",
        AssetPolicy::Both => "both",
        AssetPolicy::None => "none",
    };
    let mut lines = vec![format!("version={VERSION}"), format!("strictness={strictness}"), format!("assets={assets}")];
    lines.extend(options.read.from.iter().map(|from| format!("from={from}")));
    for format in registry.formats() {
        let concerned = info.is_some_and(|info| {
            format.id == info.id || format.canonical.iter().any(|canonical| info.kinds.contains(&canonical.kind))
        });
        if concerned {
            if let Some(Origin::Plugin { name, sha256, .. }) = registry.origin(format.id) {
                lines.push(format!("plugin {}={name:?} {sha256}", format.id));
            }
            lines.extend(spelled_out(registry, format.id, format.options, &options.read.options)?);
        }
    }
    for operations in registry.operations() {
        if info.is_some_and(|info| info.kinds.contains(&operations.kind)) {
            lines.extend(spelled_out(registry, operations.kind.as_str(), operations.options, &options.read.options)?);
        }
    }
    Ok(lines.join("\n"))
}

/// The options of a format, or of the operations on a kind, that differ from their defaults.
fn spelled_out(
    registry: &Registry,
    owner: &str,
    schema: &'static [OptionSpec],
    given: &[(String, String)],
) -> Result<Vec<String>> {
    let own = registry.own_options(owner, given)?;
    let mut lines = Vec::new();
    for (usage, word) in [(OptionUse::Read, "read"), (OptionUse::Write, "write")] {
        let defaults = Options::resolve(owner, schema, usage, &[])?;
        let values = Options::resolve(owner, schema, usage, &own)?;
        for ((name, value), (_, default)) in values.spelled().zip(defaults.spelled()) {
            if value != default {
                lines.push(format!("{word} {owner}.{name}={value:?}"));
            }
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

/// The idempotency key.
pub(crate) fn key(sha256: &str, format: &str, settings: &str) -> String {
    hex(&Sha256::digest(format!("mediary.ingest/1\nsource={sha256}\nformat={format}\n{settings}\n")))
}

/// A file beside an input as a row remembers it. Without a hash: it was asked for and was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SiblingState {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// Length and modification time: what tells that a file is being changed.
pub(crate) type Stamp = (u64, Option<SystemTime>);

/// The stamp of a file; `None` when it is not there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    path.metadata().ok().map(|metadata| (metadata.len(), metadata.modified().ok()))
}

/// Resolves siblings of a folder and remembers which were asked for, found or not, and their stamps at that moment.
#[derive(Clone)]
pub(crate) struct WatchedSiblings {
    inner: FolderSiblings,
    folder: PathBuf,
    asked: Arc<Mutex<BTreeMap<String, Option<Stamp>>>>,
}

impl WatchedSiblings {
    pub(crate) fn of(input: &Path) -> Self {
        let folder = input.parent().unwrap_or(Path::new("")).to_owned();
        Self { inner: FolderSiblings::new(&folder), folder, asked: Arc::default() }
    }

    /// The names asked for, sorted.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Whether a file is no longer what it was when it was asked for.
    pub(crate) fn have_changed(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().any(|(name, before)| stamp(&self.folder.join(name)) != *before)
    }

    /// The state of these siblings now.
    pub(crate) fn state(&self, names: &[String], hashes: &SiblingHashes) -> Vec<SiblingState> {
        names
            .iter()
            .map(|name| match hashes.get(&self.folder.join(name), || self.inner.open(name, &Limits::default())) {
                Some((bytes, sha256)) => SiblingState { name: name.clone(), bytes: Some(bytes), sha256: Some(sha256) },
                None => SiblingState { name: name.clone(), bytes: None, sha256: None },
            })
            .collect()
    }

    /// Where these siblings lie.
    pub(crate) fn paths(&self, names: &[String]) -> Vec<PathBuf> {
        names.iter().map(|name| self.folder.join(name)).collect()
    }
}

impl Siblings for WatchedSiblings {
    fn open(&self, name: &str, limits: &Limits) -> Result<Source> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.entry(name.to_owned()).or_insert_with(|| stamp(&self.folder.join(name)));
        drop(asked);
        self.inner.open(name, limits)
    }
}

/// Hashes of siblings, once a run: many scenes share a texture.
#[derive(Default)]
pub(crate) struct SiblingHashes(Mutex<HashMap<PathBuf, Option<(u64, String)>>>);

impl SiblingHashes {
    fn get(&self, path: &Path, open: impl FnOnce() -> Result<Source>) -> Option<(u64, String)> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return known.clone();
        }
        let found = open().and_then(|source| Ok((source.len(), source.sha256()?))).ok();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_that_change_come_or_go_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (before, after) in [(Some("red"), Some("green")), (None, Some("red")), (Some("red"), None)] {
            let put = |content: Option<&str>| match content {
                Some(content) => std::fs::write(path("skin"), content).unwrap(),
                None => drop(std::fs::remove_file(path("skin"))),
            };
            put(before);
            let siblings = WatchedSiblings::of(&path("scene"));
            let _ = siblings.open("skin", &Limits::default());
            assert!(!siblings.have_changed());
            put(after);
            assert!(siblings.have_changed(), "{before:?} {after:?}");
        }
    }
}
