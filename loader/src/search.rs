//! Where plugins are looked for, and what was found: what is refused is kept too, with its reason.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use mediary_core::{Error, Result};

use crate::inspect::{Inspected, inspect, refused};
use crate::lock::{Lock, Locked, not_added};
use crate::rules::Folder;

/// Endings of the files of a folder that are looked at.
const ENDINGS: [&str; 3] = ["so", "dylib", "dll"];
/// Below the folders for data and libraries.
const SUBFOLDER: &str = "mediary/plugins/abi-1";

/// Where to look. Files come before folders, and folders in this order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Search {
    /// Files that the caller names.
    pub files: Vec<PathBuf>,
    /// Value of `MEDIARY_PLUGIN_PATH`: absolute folders.
    pub variable: Option<OsString>,
    /// The user's folder, to which `mediary plugin add` adds. Its lock decides.
    pub user: Option<PathBuf>,
    /// Folders of the system.
    pub system: Vec<PathBuf>,
}

impl Search {
    /// These files alone.
    #[must_use]
    pub fn files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { files: files.into_iter().collect(), ..Self::default() }
    }

    /// These files, and all usual folders. `trusted` is whether the environment may name folders: not for a program that
    /// reads files from anywhere. It never may in a program that runs with more rights than its caller's.
    #[must_use]
    pub fn usual(files: impl IntoIterator<Item = PathBuf>, trusted: bool) -> Self {
        let elevated = elevated();
        let variable = std::env::var_os("MEDIARY_PLUGIN_PATH").filter(|_| trusted && !elevated);
        Self {
            files: files.into_iter().collect(),
            variable,
            user: user_folder().filter(|_| !elevated),
            system: ["/usr/local/lib", "/usr/lib"].map(|folder| Path::new(folder).join(SUBFOLDER)).to_vec(),
        }
    }
}

/// The user's plugin folder: below `$XDG_DATA_HOME`, or `~/.local/share`. `None` without a home.
#[must_use]
pub fn user_folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join(SUBFOLDER))
}

#[cfg(unix)]
fn elevated() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    geteuid() != getuid() || getegid() != getgid()
}

#[cfg(not(unix))]
fn elevated() -> bool {
    false
}

/// How a plugin came to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The caller named the file.
    Named,
    /// In a folder of `MEDIARY_PLUGIN_PATH`.
    Variable,
    /// In the user's folder.
    User,
    /// In a folder of the system.
    System,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "named",
            Self::Variable => "MEDIARY_PLUGIN_PATH",
            Self::User => "user",
            Self::System => "system",
        })
    }
}

/// Something that was looked at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The file, or the folder that is not searched.
    pub path: PathBuf,
    /// How it came to be looked at.
    pub place: Place,
    /// What it offers, or why it is not loaded.
    pub outcome: Result<Accepted>,
}

/// A plugin that can be registered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// What its file says.
    pub plugin: Inspected,
    /// What the lock of its folder says, if that has one: the file is compared with it when it is loaded.
    pub locked: Option<Locked>,
}

/// Looks everywhere. Loads nothing.
pub(crate) fn search(search: &Search) -> Vec<Found> {
    let mut found = Vec::new();
    // Files and folders by where they lie: each is looked at once.
    let mut seen = BTreeSet::new();
    for file in &search.files {
        let outcome = std::path::absolute(file)
            .map_err(|error| Error::io("cannot open the plugin", error).with_path(file.display().to_string()))
            .and_then(inspect)
            .map(|plugin| Accepted { plugin, locked: None });
        if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
            found.push(Found { path: file.clone(), place: Place::Named, outcome });
        }
    }
    for folder in search.variable.iter().flat_map(std::env::split_paths) {
        if folder.as_os_str().is_empty() {
            continue;
        }
        if !folder.is_absolute() {
            let error = refused("MEDIARY_PLUGIN_PATH names a relative folder, expected absolute ones");
            found.push(refusal(&folder, Place::Variable, error));
        } else if !folder.exists() {
            found.push(refusal(
                &folder,
                Place::Variable,
                refused("MEDIARY_PLUGIN_PATH names a folder that is missing"),
            ));
        } else {
            look_into(&folder, Place::Variable, &mut seen, &mut found);
        }
    }
    let usual = search.user.iter().map(|folder| (folder, Place::User));
    for (folder, place) in usual.chain(search.system.iter().map(|folder| (folder, Place::System))) {
        if folder.exists() {
            look_into(folder, place, &mut seen, &mut found);
        }
    }
    found
}

fn refusal(path: &Path, place: Place, error: Error) -> Found {
    Found { path: path.to_owned(), place, outcome: Err(error.with_path(path.display().to_string())) }
}

/// Looks into a folder, once.
fn look_into(path: &Path, place: Place, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<Found>) {
    let looked = Folder::check(path).and_then(|folder| Ok((candidates(path)?, Lock::read(path)?, folder)));
    let (files, lock, folder) = match looked {
        Ok(looked) => looked,
        Err(error) => return found.push(refusal(path, place, error)),
    };
    if !seen.insert(folder.real().to_owned()) {
        return;
    }
    for file in files {
        if file.canonicalize().is_ok_and(|real| seen.contains(&real)) {
            continue; // The caller has named it.
        }
        let outcome = accept(&file, place, lock.as_ref(), &folder);
        let outcome = outcome.map_err(|error| error.with_path(file.display().to_string()));
        found.push(Found { path: file, place, outcome });
    }
}

fn accept(file: &Path, place: Place, lock: Option<&Lock>, folder: &Folder) -> Result<Accepted> {
    let locked = match lock {
        Some(lock) => Some(lock.get(file)?.clone()),
        None if place == Place::User => return Err(not_added(file)),
        None => None,
    };
    let plugin = inspect(file)?;
    folder.admits(file, plugin.metadata())?;
    Ok(Accepted { plugin, locked })
}

/// The files of a folder that may be plugins, by name.
fn candidates(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("cannot list the folder", error);
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
