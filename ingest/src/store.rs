//! The store on disk.
//!
//! | path | what |
//! |---|---|
//! | `VERSION` | `mediary.store/1`: checked before anything else |
//! | `objects/ab/<62 hex>.<ext>` | assets, named by their SHA-256 |
//! | `runs/<number>/journal.jsonl` | the rows of a run that is not finished |
//! | `runs/<number>/part-00000.parquet` | the rows of a finished run, sorted; replaces the journal |
//! | `runs/<number>/part-00000.parquet.sha256` | its hash, as `sha256sum` writes it |
//! | `tmp/` | files being written; swept when the store is opened for writing |
//! | `hints.json` | hashes of large inputs by their stat, see `hints.rs`; of this machine, may be deleted |
//! | `lock` | held by the one process that writes |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use mediary_core::{Error, ErrorKind, Result};

use crate::journal::{Index, JournalReader};
use crate::manifest::ManifestWriter;
use crate::objects::{content_hash, sync_folder};
use crate::records::Records;
use crate::row::Row;

/// Content of `VERSION`.
const VERSION: &str = "mediary.store/1\n";

/// Name of the journal in a run's folder.
pub(crate) const JOURNAL: &str = "journal.jsonl";

/// Name of the manifest in a run's folder.
pub(crate) const MANIFEST: &str = "part-00000.parquet";

/// Name of the manifest's hash, beside it.
pub(crate) const MANIFEST_HASH: &str = "part-00000.parquet.sha256";

/// Name of the hints.
pub(crate) const HINTS: &str = "hints.json";

/// What folders of inputs are called.
pub(crate) const ROOTS: &str = "roots.json";

/// A store of assets and records in a local folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Held while the value lives; `None` for a store that is only read.
    lock: Option<Lock>,
}

impl Store {
    /// Opens a store for writing, or makes one in a folder that is missing or empty. Holds the lock until it is dropped, and
    /// sweeps what an interrupted run left in `tmp/`.
    ///
    /// # Errors
    /// `Locked` when another process writes to it; `NotRecognised` when the folder holds something else; `Unsupported` for
    /// a store of another version; `Io`.
    pub fn create_or_open(path: impl AsRef<Path>) -> Result<Self> {
        let root = path.as_ref().to_owned();
        let shown = root.display().to_string();
        let failed = |error| Error::io("cannot make a store", error).with_path(shown.clone());
        fs::create_dir_all(&root).map_err(failed)?;
        let fresh = !root.join("VERSION").exists();
        if fresh {
            // What an interrupted creation may have left is no foreign content.
            for entry in fs::read_dir(&root).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                if !["lock", "tmp", "objects", "runs", "VERSION"].iter().any(|own| name == *own) {
                    return Err(Error::new(
                        ErrorKind::NotRecognised,
                        format!("expected a store or an empty folder, found {:?} in it", name.to_string_lossy()),
                    )
                    .with_path(shown));
                }
            }
        } else {
            check_version(&root)?;
        }
        let store = Self { lock: Some(lock(&root, true)?), root };
        for folder in ["objects", "runs", "tmp"] {
            fs::create_dir_all(store.root.join(folder)).map_err(failed)?;
        }
        store.sweep()?;
        if !store.root.join("VERSION").exists() {
            store.replace("VERSION", VERSION.as_bytes())?;
        }
        Ok(store)
    }

    /// Opens a store for reading. A run may go on meanwhile: what it has committed is seen.
    ///
    /// # Errors
    /// `NotRecognised` when there is no store; `Unsupported` for a store of another version; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let root = path.as_ref().to_owned();
        check_version(&root)?;
        Ok(Self { root, lock: None })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The file of an asset whose path is relative to the store.
    #[must_use]
    pub fn asset(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// All rows, sorted by root, input and index: of every input the latest complete conversion, of finished runs and of
    /// the journal of one that is not.
    ///
    /// # Errors
    /// `Io` and `Malformed` when a run cannot be read.
    pub fn records(&self) -> Result<Records> {
        Records::open(self, None)
    }

    /// The rows whose source hash or asset hash starts with `key`, or whose input is `key`, with or without its root.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn find(&self, key: &str) -> Result<impl Iterator<Item = Result<Row>> + use<>> {
        let key = key.to_owned();
        let hash = key.to_ascii_lowercase();
        let starts = move |value: &Option<String>| {
            !hash.is_empty() && value.as_ref().is_some_and(|value| value.starts_with(&hash))
        };
        Ok(self.records()?.filter(move |row| match row {
            Ok(row) => starts(&row.source_sha256) || starts(&row.asset_sha256) || row.input == key || row.path() == key,
            Err(_) => true,
        }))
    }

    /// Fails unless the store was opened for writing.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::InvalidOption, "the store was opened for reading")),
        }
    }

    /// Keeps writers out while the store is checked. A store opened for writing does so already.
    pub(crate) fn hold(&self) -> Result<Option<Lock>> {
        if self.lock.is_some() { Ok(None) } else { lock(&self.root, false).map(Some) }
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A file that is renamed into place when it is whole. Its mode follows the umask, as that of objects.
    fn temporary(&self) -> std::io::Result<tempfile::NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(self.tmp())
    }

    /// Replaces a small file of the store as a whole.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let failed = |error| Error::io(format!("cannot write {name}"), error);
        let mut file = self.temporary().map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(self.root.join(name)).map_err(|error| failed(error.error))?;
        sync_folder(&self.root)
    }

    /// Files in `tmp/`.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::io("cannot list tmp", error);
        let Ok(folder) = fs::read_dir(self.tmp()) else { return Ok(Vec::new()) };
        folder.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
    }

    fn sweep(&self) -> Result<()> {
        for path in self.leftovers()? {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| Error::io("cannot sweep", error).with_path(path.display().to_string()))?;
        }
        Ok(())
    }

    /// The runs in order of their numbers.
    pub(crate) fn runs(&self) -> Result<Vec<u64>> {
        let failed = |error| Error::io("cannot list the runs", error).with_path(self.root.display().to_string());
        let mut runs = Vec::new();
        for entry in fs::read_dir(self.root.join("runs")).map_err(failed)? {
            runs.extend(entry.map_err(failed)?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        runs.sort_unstable();
        Ok(runs)
    }

    pub(crate) fn run_folder(&self, run: u64) -> PathBuf {
        self.root.join("runs").join(run_name(run))
    }

    /// The run that is not finished, if there is one; none but the last is.
    pub(crate) fn unfinished(&self) -> Result<Option<u64>> {
        Ok(self.runs()?.last().copied().filter(|run| !self.run_folder(*run).join(MANIFEST).exists()))
    }

    /// Makes the folder of a run with its empty journal: a run without either file is never seen.
    pub(crate) fn make_run(&self, run: u64) -> Result<()> {
        let failed = |error| Error::io("cannot make a run", error);
        let temporary = self.tmp().join(run_name(run));
        fs::create_dir(&temporary).map_err(failed)?;
        File::create(temporary.join(JOURNAL)).map_err(failed)?;
        sync_folder(&temporary)?;
        fs::rename(&temporary, self.run_folder(run)).map_err(failed)?;
        sync_folder(&self.root.join("runs"))
    }

    /// Removes a run that nothing was kept of.
    fn drop_run(&self, run: u64) -> std::io::Result<()> {
        let temporary = self.tmp().join(run_name(run));
        fs::rename(self.run_folder(run), &temporary)?;
        fs::remove_dir_all(temporary)
    }

    /// Turns the journal of a run into its manifest.
    pub(crate) fn finish_run(&self, run: u64) -> Result<()> {
        let folder = self.run_folder(run);
        let failed = |error| Error::io("cannot publish the manifest", error);
        let journal = folder.join(JOURNAL);
        let index = Index::read(&journal)?;
        if index.is_empty() {
            // Interrupted before its first input was complete: nothing to keep.
            return self.drop_run(run).map_err(failed);
        }
        let temporary = self.temporary().map_err(failed)?;
        let mut writer = ManifestWriter::new(temporary.reopen().map_err(failed)?)?;
        for row in JournalReader::open(&journal, index)? {
            writer.push(&row?)?;
        }
        let file = writer.finish()?;
        file.sync_all().map_err(failed)?;
        let hash = format!("{}  {MANIFEST}\n", content_hash(temporary.path())?);
        self.replace(&format!("runs/{}/{MANIFEST_HASH}", run_name(run)), hash.as_bytes())?;
        temporary.persist(folder.join(MANIFEST)).map_err(|error| failed(error.error))?;
        sync_folder(&folder)?;
        fs::remove_file(&journal).map_err(failed)?;
        sync_folder(&folder)
    }

    /// Removes a journal whose manifest was published right before a crash.
    pub(crate) fn drop_stale_journals(&self) -> Result<()> {
        for run in self.runs()? {
            let folder = self.run_folder(run);
            if folder.join(MANIFEST).exists() && folder.join(JOURNAL).exists() {
                fs::remove_file(folder.join(JOURNAL)).map_err(|error| Error::io("cannot remove a journal", error))?;
            }
        }
        Ok(())
    }
}

/// The name of a run's folder: numbers sort as they count.
pub(crate) fn run_name(run: u64) -> String {
    format!("{run:06}")
}

fn check_version(root: &Path) -> Result<()> {
    let shown = root.display().to_string();
    let found = match fs::read_to_string(root.join("VERSION")) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(ErrorKind::NotRecognised, "this folder is no store: it has no VERSION")
                .with_hint("`mediary ingest INPUT --to STORE` makes one")
                .with_path(shown));
        }
        Err(error) => return Err(Error::io("cannot read VERSION", error).with_path(shown)),
    };
    if found.trim_end() == VERSION.trim_end() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "expected a store of version {:?}, found {:?}",
        VERSION.trim_end(),
        found.trim_end()
    ))
    .with_hint("another version of mediary made it")
    .with_path(shown))
}

/// A locked file. Closing it would not be enough: a child that another thread starts meanwhile holds a copy of the open file,
/// and its lock with it, until it executes its program.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing frees it a little later, should this fail.
        let _ = self.0.unlock();
    }
}

fn lock(root: &Path, exclusive: bool) -> Result<Lock> {
    let shown = root.display().to_string();
    let failed = |error| Error::io("cannot lock the store", error).with_path(shown.clone());
    let path = root.join("lock");
    let mut options = OpenOptions::new();
    let file = match options.create(true).truncate(false).write(true).open(&path) {
        Ok(file) => file,
        // A store on a read-only disk can still be checked.
        Err(_) if !exclusive => File::open(&path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    match if exclusive { file.try_lock() } else { file.try_lock_shared() } {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Locked, "another process is using the store")
            .with_hint("wait for it to end; the lock goes with its process")
            .with_path(shown)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
