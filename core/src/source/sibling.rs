//! Files an input refers to. They are resolved below the input's folder only: no `..`, no absolute path, no scheme, no
//! link that leaves the folder, no network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;

/// A sibling an input opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiblingUse {
    /// Name relative to the input's folder, with `/` separators.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Resolves checked relative names.
pub trait Siblings: Send + Sync {
    /// Opens `name`: relative, with `/` separators, without `.` and `..` parts.
    ///
    /// # Errors
    /// `Io` when there is none; `Malformed` when a link leads out of the folder.
    fn open(&self, name: &str, limits: &Limits) -> Result<Source>;
}

/// For inputs without a folder: every sibling is missing.
#[derive(Clone, Copy, Debug)]
pub struct NoSiblings;

impl Siblings for NoSiblings {
    fn open(&self, name: &str, _: &Limits) -> Result<Source> {
        Err(Error::new(ErrorKind::Io, format!("{name:?} cannot be resolved: the input has no folder")))
    }
}

/// Files below a folder.
#[derive(Clone, Debug)]
pub struct FolderSiblings(PathBuf);

impl FolderSiblings {
    /// Resolves below `folder`; an empty path is the current folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
    }
}

impl Siblings for FolderSiblings {
    fn open(&self, name: &str, limits: &Limits) -> Result<Source> {
        let missing = |error| Error::io(format!("sibling {name:?}"), error);
        let root = self.0.canonicalize().map_err(missing)?;
        let path = root.join(name).canonicalize().map_err(missing)?;
        if !path.starts_with(&root) {
            return Err(escape(name, "a link leads out of the folder"));
        }
        if !path.is_file() {
            return Err(Error::new(ErrorKind::Io, format!("sibling {name:?} is not a regular file")));
        }
        Source::open(path, limits)
    }
}

/// Files in memory, by relative name.
#[derive(Clone, Debug, Default)]
pub struct MemorySiblings(BTreeMap<String, Arc<[u8]>>);

impl MemorySiblings {
    /// Adds a file.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.0.insert(name.into(), bytes.into());
        self
    }
}

impl Siblings for MemorySiblings {
    fn open(&self, name: &str, _: &Limits) -> Result<Source> {
        match self.0.get(name) {
            Some(bytes) => Ok(Source::from_bytes(name, Arc::clone(bytes))),
            None => Err(Error::new(ErrorKind::Io, format!("sibling {name:?} was not given"))),
        }
    }
}

fn escape(name: &str, why: &str) -> Error {
    Error::malformed(format!("reference {name:?} is refused: {why}"))
        .with_hint("files beside the input must lie in its folder or below")
}

/// Checks a reference and brings it to the form `a/b.c`.
pub(super) fn confine(name: &str) -> Result<String> {
    let name = name.trim();
    // Windows programs write backslashes; on no system does a portable file name hold one.
    let name = name.replace('\\', "/");
    let drive = name.as_bytes().get(1) == Some(&b':');
    let scheme = name.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if name.starts_with('/') || drive {
        return Err(escape(&name, "the path is absolute"));
    }
    if scheme {
        return Err(escape(&name, "it has a scheme"));
    }
    if name.contains('\0') {
        return Err(escape(&name, "it contains a NUL byte"));
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(escape(&name, "it climbs with \"..\"")),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(escape(&name, "it is empty"));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::confine;

    #[test]
    fn references_stay_below_the_folder() {
        assert_eq!(confine("./tex\\a.png").ok().as_deref(), Some("tex/a.png"));
        for bad in
            ["../a", "a/../../b", "/etc/hostname", "file:///etc/hostname", "http://x/y", "C:\\a", "", ".", "a\0b"]
        {
            assert!(confine(bad).is_err(), "{bad:?}");
        }
    }
}
