//! Content-addressed objects: `objects/ab/<62 hex>.<extension>`, named by their SHA-256, written once, never changed.
//!
//! An object is written under a temporary name, synced, and only then renamed: under its name it is whole, whatever happens.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mediary_core::{Error, Limits, ObjectFile, Result, Source};
use tempfile::NamedTempFile;

/// Files that are synced at the same time: a disk orders them better than we do.
const SYNC_THREADS: usize = 8;

/// When data is forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Never: safe against a kill, not against power loss.
    None,
    /// In groups of up to 64 objects, before their rows.
    #[default]
    Batch,
    /// After every input.
    Full,
}

/// An object that is written but not yet visible. Dropping it removes it.
pub(crate) struct Pending {
    file: NamedTempFile,
    /// Path relative to the store.
    path: String,
    /// Length in bytes.
    pub(crate) bytes: u64,
}

impl Pending {
    pub(crate) fn new(object: ObjectFile, extension: &str) -> Self {
        Self { path: object_path(&object.sha256, extension), file: object.file, bytes: object.bytes }
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Committed {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// Path of an object relative to the store, with `/` separators.
pub(crate) fn object_path(sha256: &str, extension: &str) -> String {
    let (folder, name) = sha256.split_at(2);
    format!("objects/{folder}/{name}.{extension}")
}

/// The content hash that a path relative to the store stands for; `None` if it is no object's path.
pub(crate) fn hash_of(path: &str) -> Option<String> {
    let (folder, name) = path.strip_prefix("objects/")?.split_once('/')?;
    let hash = format!("{folder}{}", name.split_once('.').map_or(name, |(stem, _)| stem));
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (folder.len() == 2 && hash.len() == 64 && hash.bytes().all(hex)).then_some(hash)
}

/// Whether the store holds the object at `path`, of this length; `deep` also hashes it.
pub(crate) fn exists(store: &Path, path: &str, bytes: u64, deep: bool) -> bool {
    let file = store.join(path);
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
        && (!deep || content_hash(&file).ok() == hash_of(path))
}

/// SHA-256 of a file of the store.
pub(crate) fn content_hash(file: &Path) -> Result<String> {
    Source::open(file, &Limits::default())?.sha256()
}

/// Makes objects durable and visible. Those the store has already are dropped; `deep` replaces damaged ones.
pub(crate) fn commit(store: &Path, pending: Vec<Pending>, durability: Durability, deep: bool) -> Result<Committed> {
    let mut names = BTreeSet::new();
    let mut new = Vec::new();
    for object in pending {
        if !exists(store, &object.path, object.bytes, deep) && names.insert(object.path.clone()) {
            new.push(object);
        }
    }
    if durability != Durability::None {
        in_parallel(&new, |object| {
            object.file.as_file().sync_data().map_err(|error| Error::io("cannot sync an object", error))
        })?;
    }
    let mut committed = Committed::default();
    let mut folders = BTreeSet::new();
    for object in new {
        let target = store.join(&object.path);
        if let Some(folder) = target.parent() {
            if !folder.is_dir() {
                fs::create_dir_all(folder).map_err(|error| Error::io("cannot make a folder of objects", error))?;
                folders.insert(store.join("objects"));
            }
            folders.insert(folder.to_owned());
        }
        committed.objects += 1;
        committed.bytes += object.bytes;
        object.file.persist(&target).map_err(|error| {
            Error::io("cannot rename an object", error.error).with_path(target.display().to_string())
        })?;
    }
    if durability != Durability::None {
        let folders: Vec<PathBuf> = folders.into_iter().collect();
        in_parallel(&folders, |folder| sync_folder(folder))?;
    }
    Ok(committed)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    // Windows has no handle of a folder to sync; its renames are journalled.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io("cannot sync a folder", error).with_path(folder.display().to_string()))
}

fn in_parallel<T: Sync>(items: &[T], run: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    if items.len() < 2 {
        return items.iter().try_for_each(run);
    }
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(items.len().div_ceil(SYNC_THREADS))
            .map(|chunk| scope.spawn(move || chunk.iter().try_for_each(run)))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{hash_of, object_path};

    #[test]
    fn paths_and_hashes_translate() {
        let hash = "0123456789abcdef".repeat(4);
        let path = object_path(&hash, "pts.json");
        assert_eq!(path, format!("objects/01/{}.pts.json", &hash[2..]));
        assert_eq!(hash_of(&path), Some(hash));
        for odd in ["objects/01/short.glb", "runs/000001/part-00000.parquet", "objects/zz", "objects/0/x.y"] {
            assert_eq!(hash_of(odd), None, "{odd}");
        }
    }
}
