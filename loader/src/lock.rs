//! `plugins.lock`: which plugin files were added to a folder on purpose, and what was in them. A file that is not in it, or
//! has changed since, is not loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mediary_core::{Error, Origin, Registry, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::inspect::{Inspected, PLUGIN_BYTES, look, refused};
use crate::rules::Folder;

/// Name of the lock in its folder.
const NAME: &str = "plugins.lock";
/// Bytes a lock may have.
const BYTES: u64 = 4 << 20;

/// A plugin file as it was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// SHA-256 of the file, in lower-case hex.
    pub sha256: String,
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// When it was added: `2026-11-23T20:00:00Z`.
    pub added: String,
}

/// The lock of a folder, by file name.
#[derive(Debug, Default)]
pub(crate) struct Lock(BTreeMap<String, Locked>);

impl Lock {
    /// Reads the lock of `folder`; `None` when it has none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(NAME);
        let failed = |error: Error| error.with_path(path.display().to_string());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(Error::io("cannot open the lock", error))),
        };
        let mut text = String::new();
        let read = file.take(BYTES + 1).read_to_string(&mut text);
        read.map_err(|error| failed(Error::io("cannot read the lock", error)))?;
        if text.len() as u64 > BYTES {
            return Err(failed(refused(format!("the lock is larger than {BYTES} bytes"))));
        }
        serde_json::from_str(&text).map(|entries| Some(Self(entries))).map_err(|error| {
            failed(refused(format!("the lock is broken: {error}")))
                .with_hint("remove it and add the plugins again: mediary plugin add FILE")
        })
    }

    /// The entry of a file.
    pub(crate) fn get(&self, file: &Path) -> Result<&Locked> {
        let entry = file.file_name().and_then(|name| self.0.get(name.to_str()?));
        entry.ok_or_else(|| not_added(file))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.0).map_err(|error| refused(error.to_string()))?;
        text.push(b'\n');
        let mut file = temporary(folder)?;
        file.write_all(&text).map_err(|error| unwritable(folder, error))?;
        place(file, &folder.join(NAME))
    }
}

/// A file of a locked folder that nobody added.
pub(crate) fn not_added(file: &Path) -> Error {
    refused(format!("it was not added: {NAME} does not list it"))
        .with_hint(format!("mediary plugin add {}", file.display()))
}

/// A plugin that was added.
#[derive(Debug)]
#[non_exhaustive]
pub struct Added {
    /// Where it lies now.
    pub path: PathBuf,
    /// What the lock says of it.
    pub locked: Locked,
    /// Ids of its formats.
    pub formats: Vec<&'static str>,
    /// Version of the plugin of this name that it replaced.
    pub replaced: Option<String>,
}

/// Copies a plugin into `folder` and locks it. `registry` holds what is known without it. With `force` a plugin of the same
/// name is replaced.
///
/// # Errors
/// `Plugin` when it is none, when one of its ids is taken (both origins are named), or when there is one of its name and
/// `force` is false; `Io` when it cannot be copied.
pub fn add(file: &Path, folder: &Path, registry: &Registry, force: bool) -> Result<Added> {
    // Errors name the file that was given, not its copy.
    add_inner(file, folder, registry, force).map_err(|error| error.with_path(file.display().to_string()))
}

fn add_inner(file: &Path, folder: &Path, registry: &Registry, force: bool) -> Result<Added> {
    make(folder)?;
    Folder::check(folder)?;
    let _held = hold(folder)?;
    let (copy, sha256) = copy(file, folder)?;
    // The copy is looked at, which nobody changes any more.
    let mut plugin = look(copy.path())?;
    plugin.path = folder.join(file_name(&plugin.manifest.name)?);
    check_ids(&plugin, file, registry)?;
    let mut lock = Lock::read(folder)?.unwrap_or_default();
    let name = file_name(&plugin.manifest.name)?;
    let replaced = lock.0.get(&name).map(|locked| locked.version.clone());
    if !force && plugin.path.symlink_metadata().is_ok() {
        return Err(
            refused(format!("there is a plugin {:?} already", plugin.manifest.name)).with_hint("--force replaces it")
        );
    }
    let locked = Locked {
        sha256,
        name: plugin.manifest.name.to_string(),
        version: plugin.manifest.version.to_string(),
        added: now(),
    };
    // Between the two steps the file does not fit its lock, and is not loaded.
    place(copy, &plugin.path)?;
    lock.0.insert(name, locked.clone());
    lock.write(folder)?;
    let formats = plugin.manifest.formats.iter().map(|info| info.id).collect();
    Ok(Added { path: plugin.path, locked, formats, replaced })
}

/// Removes the plugin of this name from `folder`; the path it had.
///
/// # Errors
/// `Plugin` when there is none; `Io` when it cannot be removed.
pub fn remove(name: &str, folder: &Path) -> Result<PathBuf> {
    let file = file_name(name)?;
    let path = folder.join(&file);
    let _held = if folder.is_dir() { Some(hold(folder)?) } else { None };
    let mut lock = Lock::read(folder)?.unwrap_or_default();
    let listed = lock.0.remove(&file).is_some();
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && listed => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refused(format!("there is no plugin {name:?} in {}", folder.display()))
                .with_hint("`mediary plugin list` shows what there is"));
        }
        Err(error) => {
            return Err(Error::io("cannot remove the plugin", error).with_path(path.display().to_string()));
        }
    }
    if listed {
        lock.write(folder)?;
    }
    Ok(path)
}

/// What a plugin of this name is called in a folder.
fn file_name(name: &str) -> Result<String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return Err(refused(format!("{name:?} is no plugin name: up to 64 lower-case letters, digits, - and _")));
    }
    Ok(format!("{name}.{}", std::env::consts::DLL_EXTENSION))
}

/// Refuses ids that another origin has; those of the plugin that is replaced are its own.
fn check_ids(plugin: &Inspected, given: &Path, registry: &Registry) -> Result<()> {
    for info in &plugin.manifest.formats {
        let Some(origin) = registry.origin(info.id) else { continue };
        if matches!(origin, Origin::Plugin { path, .. } if *path == plugin.path || path == given) {
            continue;
        }
        return Err(refused(format!(
            "the format id {:?} is taken: {origin} has it, and plugin {} {}, {}",
            info.id,
            plugin.manifest.name,
            plugin.manifest.version,
            given.display()
        )));
    }
    Ok(())
}

fn copy(from: &Path, folder: &Path) -> Result<(tempfile::NamedTempFile, String)> {
    let unreadable = |error| Error::io("cannot read the plugin", error);
    crate::inspect::regular(&from.metadata().map_err(unreadable)?)?;
    let mut reader = File::open(from).map_err(unreadable)?.take(PLUGIN_BYTES + 1);
    let mut copy = temporary(folder)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((copy, hex(&hasher.finalize()))),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                copy.write_all(&buffer[..count]).map_err(|error| unwritable(folder, error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// Makes the folder, which nobody else may change.
fn make(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(folder).map_err(|error| unwritable(folder, error))
}

/// Waits until no other process changes the folder. Held as long as the file is open.
fn hold(folder: &Path) -> Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None); // A folder cannot be opened there.
    }
    let held = File::open(folder).and_then(|file| file.lock().map(|()| file));
    held.map(Some).map_err(|error| Error::io("cannot lock the folder", error).with_path(folder.display().to_string()))
}

fn temporary(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mediary-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder).map_err(|error| unwritable(folder, error))
}

fn place(file: tempfile::NamedTempFile, to: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|error| unwritable(to, error))?;
    file.persist(to).map(drop).map_err(|error| unwritable(to, error.error))
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::io("cannot write", error).with_path(path.display().to_string())
}

fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    timestamp(seconds)
}

/// Seconds since 1970 as a date and time of the Gregorian calendar, UTC.
fn timestamp(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @N` gives them.
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn a_plugin_name_is_a_file_name() {
        assert!(file_name("a-b_2").is_ok());
        for bad in ["", "../a", "a/b", ".a", "A", "a.b", "a\0"] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
    }
}
