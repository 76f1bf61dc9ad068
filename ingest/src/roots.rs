//! What folders of inputs are called in a store: `roots.json`, the name and where the folder lies.
//!
//! A folder is called by the shortest end of its path that tells it from every other folder of the store, with `~2`, `~3`, …
//! when there is none, and keeps that name. A name is never handed on: it may still be that of rows. A folder that was moved is
//! a new one. Losing the file frees the names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::walk::readable;

/// The names of a store.
#[derive(Default)]
pub(crate) struct Roots {
    known: BTreeMap<String, String>,
    changed: bool,
}

impl Roots {
    /// Reads the names at `path`; none when there are none or they cannot be understood.
    pub(crate) fn read(path: &Path) -> Self {
        let known = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { known, changed: false }
    }

    /// Names canonical folders, known ones as before.
    pub(crate) fn name<'f>(&mut self, folders: impl Iterator<Item = &'f PathBuf>) -> BTreeMap<PathBuf, String> {
        let folders: BTreeSet<&PathBuf> = folders.collect();
        let mut names = BTreeMap::new();
        for folder in &folders {
            let place = place(folder);
            let known = self.known.iter().find(|(_, known)| **known == place).map(|(name, _)| name.clone());
            let name = known.unwrap_or_else(|| {
                let depth = folder.components().count();
                let shared =
                    |count| folders.iter().any(|other| other != folder && end(other, count) == end(folder, count));
                let ends = (1..=depth).filter(|&count| !shared(count)).map(|count| end(folder, count));
                let numbered = (2..).map(|number: u64| format!("{}~{number}", end(folder, depth)));
                let name = ends.chain(numbered).find(|name| !self.known.contains_key(name)).unwrap_or_default();
                self.changed = true;
                self.known.insert(name.clone(), place);
                name
            });
            names.insert((*folder).clone(), name);
        }
        names
    }

    /// All of them as a file, if there are new ones.
    pub(crate) fn to_json(&self) -> Option<Vec<u8>> {
        self.changed.then(|| serde_json::to_vec(&self.known).ok()).flatten()
    }
}

/// A canonical path as text; one that is no UTF-8 is quoted, so that it is no other path's text.
fn place(folder: &Path) -> String {
    folder.to_str().map_or_else(|| format!("{folder:?}"), str::to_owned)
}

/// The last `count` parts of a path.
fn end(folder: &Path, count: usize) -> String {
    let mut parts: Vec<_> = folder
        .components()
        .rev()
        .filter(|part| matches!(part, Component::Normal(_)))
        .take(count)
        .map(|part| readable(Path::new(part.as_os_str())).0)
        .collect();
    parts.reverse();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_name_are_told_apart_also_in_later_runs() {
        let base = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = base.path().canonicalize().unwrap().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (a, b, c) = (folder("a/images"), folder("b/images"), folder("c/images"));
        let mut roots = Roots::default();
        assert_eq!(roots.name([&a].into_iter())[&a], "images");
        assert_eq!(roots.name([&b].into_iter())[&b], "b/images", "another run, another folder");
        let both = roots.name([&a, &b, &c].into_iter());
        assert_eq!((&*both[&a], &*both[&b], &*both[&c]), ("images", "b/images", "c/images"), "names are kept");

        let file = base.path().join("roots.json");
        std::fs::write(&file, roots.to_json().unwrap()).unwrap();
        let mut again = Roots::read(&file);
        assert_eq!(again.name([&b].into_iter())[&b], "b/images");
        assert!(again.to_json().is_none(), "nothing new");
        std::fs::rename(&a, base.path().join("moved")).unwrap();
        let d = folder("d/images");
        assert_eq!(again.name([&d].into_iter())[&d], "d/images", "a name is never handed on");
    }

    #[test]
    fn there_is_always_a_name() {
        let (long, short) = (PathBuf::from("/tmp/x/tmp"), PathBuf::from("/tmp"));
        let mut roots = Roots::default();
        assert_eq!(roots.name([&long].into_iter())[&long], "tmp");
        assert_eq!(roots.name([&short].into_iter())[&short], "tmp~2");
        assert_eq!(roots.name([&short, &long].into_iter()).into_values().collect::<Vec<_>>(), ["tmp~2", "tmp"]);
        let both = Roots::default().name([&short, &long].into_iter());
        assert_eq!((&*both[&short], &*both[&long]), ("tmp", "x/tmp"), "in one run");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn folders_whose_names_read_the_same_are_two() {
        use std::os::unix::ffi::OsStrExt;
        let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/caf\xe9"));
        let plain = PathBuf::from("/caf\\xe9");
        let mut roots = Roots::default();
        assert_eq!(roots.name([&odd].into_iter())[&odd], "caf\\xe9");
        assert_eq!(roots.name([&plain].into_iter())[&plain], "caf\\xe9~2");
        assert_eq!(roots.name([&odd].into_iter())[&odd], "caf\\xe9");
    }
}
