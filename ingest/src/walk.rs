//! From arguments to inputs: folders are walked, globs expanded, files taken as they are. The result is sorted by root and
//! path and has no input twice.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use mediary_core::{Error, ErrorKind, Result};
use walkdir::{DirEntry, WalkDir};

use crate::roots::Roots;

/// What is taken from folders.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WalkOptions {
    /// Takes files and folders whose name starts with a dot. The default is false: they are counted and left out.
    pub hidden: bool,
    /// Follows links to files and folders. The default is true; a loop is a skipped row.
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
}

struct Found {
    /// Canonical folder the name is relative to.
    folder: PathBuf,
    relative: PathBuf,
    path: PathBuf,
    problem: Option<Problem>,
}

/// Finds the inputs that `arguments` mean. What lies inside `store` is left out.
pub(crate) fn walk(arguments: &[PathBuf], options: &WalkOptions, store: &Path, roots: &mut Roots) -> Result<Walked> {
    let filter = Filter { include: patterns(&options.include)?, exclude: patterns(&options.exclude)? };
    let store = store.canonicalize().ok();
    let mut walked = Walked::default();
    let mut found = Vec::new();
    for argument in arguments {
        match argument.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                walk_folder(argument, options, &filter, store.as_deref(), &mut found, &mut walked.hidden);
            }
            Ok(_) => found.push(single(argument, None)),
            Err(error) => match expand(argument)? {
                Some(paths) => found.extend(paths.iter().map(|path| single(path, None))),
                None => found.push(single(argument, Some(Problem::Error(Error::io("cannot open", error))))),
            },
        }
    }
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

fn walk_folder(
    argument: &Path,
    options: &WalkOptions,
    filter: &Filter,
    store: Option<&Path>,
    found: &mut Vec<Found>,
    hidden: &mut u64,
) {
    let folder = argument.canonicalize().unwrap_or_else(|_| argument.to_owned());
    let taken = |entry: &DirEntry| {
        if entry.depth() == 0 {
            return true;
        }
        if !options.hidden && entry.file_name().as_encoded_bytes().starts_with(b".") {
            *hidden += 1;
            return false;
        }
        // The store may lie inside the folder that is ingested into it.
        !(entry.file_type().is_dir() && store.is_some() && entry.path().canonicalize().ok().as_deref() == store)
    };
    for entry in WalkDir::new(argument).follow_links(options.follow_links).into_iter().filter_entry(taken) {
        let relative_to = |path: &Path| path.strip_prefix(argument).unwrap_or(path).to_owned();
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let relative = relative_to(entry.path());
                if filter.takes(&relative) {
                    let problem = special(entry.file_type());
                    found.push(Found { folder: folder.clone(), relative, path: entry.path().to_owned(), problem });
                }
            }
            Err(error) => {
                let path = error.path().unwrap_or(argument).to_owned();
                let relative = relative_to(&path);
                if !filter.takes(&relative) {
                    continue;
                }
                let problem = match error.loop_ancestor() {
                    Some(_) => Problem::Special("link-loop", "a link leads back to a folder above it".into()),
                    None => Problem::Error(match error.into_io_error() {
                        Some(error) => Error::io("cannot open", error),
                        None => Error::new(ErrorKind::Io, "cannot open"),
                    }),
                };
                found.push(Found { folder: folder.clone(), relative, path, problem: Some(problem) });
            }
        }
    }
}

/// A file that was given by itself: its folder is its root.
fn single(path: &Path, problem: Option<Problem>) -> Found {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = problem.or_else(|| path.metadata().ok().and_then(|metadata| special(metadata.file_type())));
    Found {
        folder: parent.canonicalize().unwrap_or_else(|_| parent.to_owned()),
        relative: path.file_name().map_or_else(|| path.to_owned(), PathBuf::from),
        path: path.to_owned(),
        problem,
    }
}

/// The files a glob means; `None` when the argument is no glob or nothing matches.
fn expand(argument: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(pattern) = argument.to_str().filter(|pattern| pattern.contains(['*', '?', '['])) else { return Ok(None) };
    let paths = glob::glob(pattern)
        .map_err(|error| Error::new(ErrorKind::InvalidOption, format!("{pattern:?} is no glob: {}", error.msg)))?;
    // What cannot be listed cannot be matched; a file that cannot be read still is.
    let paths: Vec<_> = paths.filter_map(std::result::Result::ok).filter(|path| !path.is_dir()).collect();
    Ok((!paths.is_empty()).then_some(paths))
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
