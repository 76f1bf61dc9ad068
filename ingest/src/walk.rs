//! From arguments to inputs: folders are walked, files taken as they are, and globs stand for what they match, as if it had
//! been given. The result is sorted by root and path and has no input twice.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use mediary_core::{Cancel, Error, ErrorKind, Result};
use walkdir::{DirEntry, WalkDir};

use crate::roots::Roots;

/// What is taken from folders.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WalkOptions {
    /// Takes files and folders whose name starts with a dot. The default is false: they are left out, those of folders are
    /// counted.
    pub hidden: bool,
    /// Follows links to files and folders. The default is true; a loop is a skipped row, and a folder that several paths
    /// lead to is visited once.
    pub follow_links: bool,
    /// Takes only what matches one of these globs, on the path below the root or on the file name; empty is all.
    pub include: Vec<String>,
    /// Leaves out what matches one of these globs, in the same way.
    pub exclude: Vec<String>,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { hidden: false, follow_links: true, include: Vec::new(), exclude: Vec::new() }
    }
}

/// Something to convert, or the reason why it cannot be.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) root: String,
    /// Below the root, with `/` separators; bytes that are no UTF-8 are shown as `\xff`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The name on disk is not UTF-8.
    pub(crate) odd_name: bool,
    pub(crate) problem: Option<Problem>,
}

/// Why an input is not opened.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It is nothing that can hold media: its code and a sentence.
    Special(&'static str, String),
    /// The walk failed there.
    Error(Error),
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) inputs: Vec<Input>,
    /// Hidden files and folders left out.
    pub(crate) hidden: u64,
    /// It was cancelled before its end.
    pub(crate) cut: bool,
}

struct Found {
    /// Canonical folder the name is relative to.
    folder: PathBuf,
    relative: PathBuf,
    path: PathBuf,
    problem: Option<Problem>,
}

/// Finds the inputs that `arguments` mean. What lies inside `store` is left out, or refused when an argument names it.
pub(crate) fn walk(
    arguments: &[PathBuf],
    options: &WalkOptions,
    store: &Path,
    cancel: &Cancel,
    roots: &mut Roots,
) -> Result<Walked> {
    let filter = Filter { include: patterns(&options.include)?, exclude: patterns(&options.exclude)? };
    let mut walk = Walk { options, filter, store: store.canonicalize().ok(), cancel, found: Vec::new(), hidden: 0 };
    for argument in arguments {
        if walk.is_stored(argument) {
            return Err(Error::new(ErrorKind::InvalidOption, "a store cannot be ingested into itself")
                .with_hint("name the inputs, or another store with --to")
                .with_path(argument.display().to_string()));
        }
        match walk.expand(argument)? {
            Some(paths) => paths.iter().for_each(|path| walk.argument(path)),
            None => walk.argument(argument),
        }
    }
    let Walk { found, hidden, .. } = walk;
    let mut walked = Walked { inputs: Vec::new(), hidden, cut: cancel.is_cancelled() };
    let roots = roots.name(found.iter().map(|found| &found.folder));
    let mut seen = HashSet::new();
    let mut names = BTreeSet::new();
    for found in found {
        if !seen.insert(found.folder.join(&found.relative)) {
            continue;
        }
        let root = roots.get(&found.folder).cloned().unwrap_or_default();
        let (mut name, odd_name) = readable(&found.relative);
        // Two names can read the same when bytes were escaped; keep them apart.
        while !names.insert((root.clone(), name.clone())) {
            name.push('~');
        }
        walked.inputs.push(Input { root, name, path: found.path, odd_name, problem: found.problem });
    }
    walked.inputs.sort_by(|a, b| (&a.root, &a.name).cmp(&(&b.root, &b.name)));
    Ok(walked)
}

/// A walk in progress.
struct Walk<'w> {
    options: &'w WalkOptions,
    filter: Filter,
    /// Canonical.
    store: Option<PathBuf>,
    cancel: &'w Cancel,
    found: Vec<Found>,
    hidden: u64,
}

impl Walk<'_> {
    /// Whether a path leads into the store.
    fn is_stored(&self, path: &Path) -> bool {
        self.store.as_ref().is_some_and(|store| path.canonicalize().is_ok_and(|path| path.starts_with(store)))
    }

    /// Takes what was given by itself: a folder, a file, or what cannot be opened.
    fn argument(&mut self, path: &Path) {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(metadata) => self.found.push(single(path, special(metadata.file_type()))),
            Err(error) => self.found.push(single(path, Some(Problem::Error(Error::io("cannot open", error))))),
        }
    }

    fn folder(&mut self, argument: &Path) {
        let canonical = argument.canonicalize().unwrap_or_else(|_| argument.to_owned());
        let mut visited = HashSet::new();
        let taken = |entry: &DirEntry| {
            if entry.depth() > 0 && !self.options.hidden && entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.hidden += 1;
                return false;
            }
            if !entry.file_type().is_dir() {
                return true;
            }
            // Links can lead to a folder on many paths, and there are as many again below it: each is visited once. The
            // store may lie inside the folder that is ingested into it.
            match entry.path().canonicalize() {
                Ok(path) if self.store.as_ref().is_some_and(|store| path.starts_with(store)) => false,
                Ok(path) => visited.insert(path),
                Err(_) => true,
            }
        };
        // Of a folder and links to it beside it, the folder is the one that is visited.
        let entries = WalkDir::new(argument)
            .follow_links(self.options.follow_links)
            .sort_by(|a, b| (a.path_is_symlink(), a.file_name()).cmp(&(b.path_is_symlink(), b.file_name())));
        let mut found = Vec::new();
        for entry in entries.into_iter().filter_entry(taken) {
            if self.cancel.is_cancelled() {
                break;
            }
            let (path, problem) = match entry {
                Ok(entry) if entry.file_type().is_dir() => continue,
                Ok(entry) => (entry.path().to_owned(), special(entry.file_type())),
                Err(error) => {
                    let path = error.path().unwrap_or(argument).to_owned();
                    let problem = match error.loop_ancestor() {
                        Some(_) => Problem::Special("link-loop", "a link leads back to a folder above it".into()),
                        None => Problem::Error(match error.into_io_error() {
                            Some(error) => Error::io("cannot open", error),
                            None => Error::new(ErrorKind::Io, "cannot open"),
                        }),
                    };
                    (path, Some(problem))
                }
            };
            let relative = path.strip_prefix(argument).unwrap_or(&path).to_owned();
            if self.filter.takes(&relative) {
                found.push(Found { folder: canonical.clone(), relative, path, problem });
            }
        }
        self.found.append(&mut found);
    }

    /// What a glob means; `None` when the argument is no glob or nothing matches. As in a shell, only a pattern that spells
    /// the dot matches names that start with one; as in a folder, the store is left out.
    fn expand(&self, argument: &Path) -> Result<Option<Vec<PathBuf>>> {
        // A name with such a character in it is that name.
        let pattern = argument.to_str().filter(|pattern| pattern.contains(['*', '?', '[']));
        let Some(pattern) = pattern.filter(|_| argument.symlink_metadata().is_err()) else { return Ok(None) };
        let options = glob::MatchOptions { require_literal_leading_dot: !self.options.hidden, ..Default::default() };
        let paths = glob::glob_with(pattern, options)
            .map_err(|error| Error::new(ErrorKind::InvalidOption, format!("{pattern:?} is no glob: {}", error.msg)))?;
        // What cannot be listed cannot be matched; a file that cannot be read still is.
        let paths: Vec<_> = paths
            .take_while(|_| !self.cancel.is_cancelled())
            .filter_map(std::result::Result::ok)
            .filter(|path| !self.is_stored(path))
            .collect();
        Ok((!paths.is_empty()).then_some(paths))
    }
}

/// A file that was given by itself: its folder is its root.
fn single(path: &Path, problem: Option<Problem>) -> Found {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Found {
        folder: parent.canonicalize().unwrap_or_else(|_| parent.to_owned()),
        relative: path.file_name().map_or_else(|| path.to_owned(), PathBuf::from),
        path: path.to_owned(),
        problem,
    }
}

struct Filter {
    include: Vec<glob::Pattern>,
    exclude: Vec<glob::Pattern>,
}

impl Filter {
    fn takes(&self, relative: &Path) -> bool {
        let matches = |pattern: &glob::Pattern| {
            pattern.matches_path(relative)
                || relative.file_name().is_some_and(|name| pattern.matches_path(Path::new(name)))
        };
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }
}

fn patterns(globs: &[String]) -> Result<Vec<glob::Pattern>> {
    let pattern = |text: &String| {
        glob::Pattern::new(text)
            .map_err(|error| Error::new(ErrorKind::InvalidOption, format!("{text:?} is no glob: {}", error.msg)))
    };
    globs.iter().map(pattern).collect()
}

/// Reading a FIFO may block for ever, and a device has no end.
fn special(kind: std::fs::FileType) -> Option<Problem> {
    if kind.is_file() || kind.is_dir() {
        return None;
    }
    #[cfg(unix)]
    let what = {
        use std::os::unix::fs::FileTypeExt;
        match () {
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () if kind.is_symlink() => "a link",
            () => "a device",
        }
    };
    #[cfg(not(unix))]
    let what = if kind.is_symlink() { "a link" } else { "a special file" };
    Some(Problem::Special("special-file", format!("expected a regular file, found {what}")))
}

/// A path as text with `/` separators; bytes that are no UTF-8 become `\xff`, and the flag says so.
pub(crate) fn readable(path: &Path) -> (String, bool) {
    let mut text = String::new();
    let mut odd = false;
    for part in path.components() {
        if !text.is_empty() {
            text.push('/');
        }
        for chunk in part.as_os_str().as_encoded_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                odd = true;
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
    }
    (text, odd)
}
