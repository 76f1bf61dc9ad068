//! Inputs that crashed a plugin three times are not tried again with it, in this process or a later one. The list is a file
//! of JSON lines that is only appended to, and that may be damaged or deleted at any time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mediary_core::{Error, ErrorKind, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Crashes after which an input is refused.
const CRASHES: u32 = 3;
/// Lines that are kept.
const LINES: usize = 10_000;
/// Bytes of a reason that are kept.
const REASON: usize = 200;
/// Bytes at the end of the file that are read: more than [`LINES`] lines take.
const READ: u64 = 8 << 20;

/// One crash.
#[derive(Deserialize, Serialize)]
struct Line {
    input: String,
    plugin: String,
    reason: String,
}

/// The crashes of one plugin.
pub(super) struct Quarantine {
    plugin: String,
    path: Option<PathBuf>,
    /// By input; read when it is first asked for.
    crashes: Mutex<Option<BTreeMap<String, (u32, String)>>>,
}

/// What an input is known by: its length, its head and its tail.
pub(super) fn fingerprint(len: u64, head: &[u8], tail: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(len.to_le_bytes());
    hasher.update(head);
    hasher.update(tail);
    hex(&hasher.finalize())
}

impl Quarantine {
    /// Of the plugin with this hash, in a folder for state.
    pub(super) fn new(plugin: &str, folder: Option<PathBuf>) -> Self {
        let path = folder.map(|folder| folder.join("quarantine.jsonl"));
        Self { plugin: plugin.into(), path, crashes: Mutex::default() }
    }

    /// The user's folder for state: `$XDG_STATE_HOME/mediary` or `~/.local/state/mediary`.
    pub(super) fn folder() -> Option<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(state.join("mediary"))
    }

    /// Refuses an input that crashed the plugin too often. `input` is asked for its fingerprint only when there is anything
    /// to compare.
    pub(super) fn check(&self, input: &dyn Fn() -> String) -> Result<()> {
        self.with(|crashes| {
            if crashes.is_empty() {
                return Ok(());
            }
            match crashes.get(&input()) {
                Some((count, reason)) if *count >= CRASHES => Err(Error::new(
                    ErrorKind::Worker,
                    format!("not tried again: this input ended the plugin's process {count} times, last: {reason}"),
                )
                .with_hint(match &self.path {
                    Some(path) => format!("a rebuilt plugin is tried again; deleting {} tries all", path.display()),
                    None => "a rebuilt plugin is tried again".into(),
                })),
                _ => Ok(()),
            }
        })
    }

    /// Remembers a crash. When the list cannot be written, for this process alone.
    pub(super) fn remember(&self, input: String, reason: &str) {
        let reason = reason[..reason.floor_char_boundary(REASON)].to_owned();
        if let Some(path) = &self.path {
            let line = Line { input: input.clone(), plugin: self.plugin.clone(), reason: reason.clone() };
            // A list that cannot be written costs later processes their memory of it, nothing else.
            let _ = append(path, &line);
        }
        self.with(|crashes| {
            let known = crashes.entry(input).or_default();
            *known = (known.0.saturating_add(1), reason);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, (u32, String)>) -> T) -> T {
        let mut crashes = self.crashes.lock().unwrap_or_else(PoisonError::into_inner);
        act(crashes
            .get_or_insert_with(|| self.path.as_deref().map(|path| read(path, &self.plugin)).unwrap_or_default()))
    }
}

fn append(path: &Path, line: &Line) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        create_dir_all(folder)?;
    }
    // One write: lines of several processes do not mix. It begins a line of its own also behind a torn one.
    let text = format!("\n{}\n", serde_json::to_string(line)?);
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// The crashes of a plugin. Lines that are damaged are passed over; a list that grew too long is cut.
fn read(path: &Path, plugin: &str) -> BTreeMap<String, (u32, String)> {
    let mut crashes: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let Ok(lines) = last_lines(path) else { return crashes };
    for line in &lines {
        if line.plugin == plugin {
            let known = crashes.entry(line.input.clone()).or_default();
            *known = (known.0 + 1, line.reason.clone());
        }
    }
    crashes
}

fn last_lines(path: &Path) -> std::io::Result<Vec<Line>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(READ)))?;
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes)?;
    let mut lines: Vec<Line> =
        bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if lines.len() > LINES || len > READ {
        lines.drain(..lines.len().saturating_sub(LINES));
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut shorter = tempfile::NamedTempFile::new_in(folder)?;
        for line in &lines {
            writeln!(shorter, "{}", serde_json::to_string(line)?)?;
        }
        shorter.persist(path)?;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_refuse_an_input_for_one_build_of_one_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let bad = || fingerprint(3, b"bad", b"bad");
        let quarantine = |plugin| Quarantine::new(plugin, Some(folder.path().into()));
        for _ in 0..2 {
            quarantine("a").remember(bad(), "killed by SIGSEGV");
            assert!(quarantine("a").check(&bad).is_ok());
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("quarantine.jsonl"))
            .unwrap()
            .write_all(b"\xFF{\"input\":\"torn")
            .unwrap();
        quarantine("a").remember(bad(), "killed by SIGSEGV");
        let error = quarantine("a").check(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Worker);
        assert!(error.message().contains("3 times, last: killed by SIGSEGV"), "{error}");
        assert!(error.hint().unwrap().contains("quarantine.jsonl"));
        assert!(quarantine("rebuilt").check(&bad).is_ok());
        assert!(quarantine("a").check(&|| fingerprint(4, b"bad", b"bad")).is_ok());
    }

    #[test]
    fn the_list_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let line = "{\"input\":\"x\",\"plugin\":\"a\",\"reason\":\"r\"}\n";
        std::fs::write(&path, line.repeat(LINES + 5)).unwrap();
        assert!(Quarantine::new("a", Some(folder.path().into())).check(&|| "x".into()).is_err());
        assert_eq!(std::fs::read(&path).unwrap().len(), LINES * line.len());
    }
}
