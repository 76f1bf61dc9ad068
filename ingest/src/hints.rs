//! Hashes of large files by their stat, so that a second run over terabytes need not read them: `hints.json` in the store.
//!
//! A hint only lets an input count as up to date; what is converted is hashed anew. It holds while device, inode, length,
//! modification time and change time are the same; the change time cannot be set back by a program. As in git, a file that
//! changed in the last two seconds gets none: it could change again without its time telling. Losing the file costs time only.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What must be the same. Absent on systems that do not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stat {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stat {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether it has been so for two seconds.
    fn is_settled(&self) -> bool {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.is_ok_and(|now| i64::try_from(now.as_secs()).unwrap_or(0) - self.changed.0.max(self.modified.0) > 2)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hint {
    stat: Stat,
    sha256: String,
}

/// The hints of a store, and those of this run.
#[derive(Default)]
pub(crate) struct Hints {
    known: BTreeMap<String, Hint>,
    new: Mutex<BTreeMap<String, Hint>>,
}

impl Hints {
    /// Reads the hints at `path`; none when there are none or they cannot be understood.
    pub(crate) fn read(path: &Path) -> Self {
        let known = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { known, new: Mutex::default() }
    }

    /// The hash of a file that is as it was.
    pub(crate) fn get(&self, path: &Path, stat: Option<&Stat>) -> Option<String> {
        let hint = self.known.get(&name(path)?)?;
        (Some(&hint.stat) == stat).then(|| hint.sha256.clone())
    }

    /// Remembers the hash of a file whose stat was taken before it was hashed.
    pub(crate) fn put(&self, path: &Path, stat: Option<Stat>, sha256: &str) {
        let Some((name, stat)) = name(path).zip(stat.filter(Stat::is_settled)) else { return };
        let hint = Hint { stat, sha256: sha256.to_owned() };
        self.new.lock().unwrap_or_else(PoisonError::into_inner).insert(name, hint);
    }

    /// All of them as a file, if there are new ones.
    pub(crate) fn into_json(self) -> Option<Vec<u8>> {
        let new = self.new.into_inner().unwrap_or_else(PoisonError::into_inner);
        if new.is_empty() {
            return None;
        }
        let mut all = self.known;
        all.extend(new);
        serde_json::to_vec(&all).ok()
    }
}

fn name(path: &Path) -> Option<String> {
    path.canonicalize().ok()?.into_os_string().into_string().ok()
}
