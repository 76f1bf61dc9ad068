//! What folders of inputs are called in a store: `roots.json`, the name and where the folder lies.
//!
//! A folder is called by the shortest end of its path that tells it from every other folder of the store, and keeps that name.
//! When nothing lies any more where a name points to, the folder was moved, and the name is free for the next that fits: losing
//! or copying the file costs no more than that.

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
            let place = readable(folder).0;
            let known = self.known.iter().find(|(_, known)| **known == place).map(|(name, _)| name.clone());
            let name = known.unwrap_or_else(|| {
                let depth = folder.components().count();
                let shared =
                    |count| folders.iter().any(|other| other != folder && end(other, count) == end(folder, count));
                let free = (1..=depth).find(|&count| !shared(count) && !self.is_taken(&end(folder, count)));
                end(folder, free.unwrap_or(depth))
            });
            if self.known.insert(name.clone(), place.clone()).as_ref() != Some(&place) {
                self.changed = true;
            }
            names.insert((*folder).clone(), name);
        }
        names
    }

    /// Whether a name is that of a folder which is still there.
    fn is_taken(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|place| Path::new(place).is_dir())
    }

    /// All of them as a file, if there are new ones.
    pub(crate) fn to_json(&self) -> Option<Vec<u8>> {
        self.changed.then(|| serde_json::to_vec(&self.known).ok()).flatten()
    }
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
        assert_eq!(again.name([&d].into_iter())[&d], "images", "the name of a folder that is gone is free");
    }
}
