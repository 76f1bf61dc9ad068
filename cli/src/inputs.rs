//! The inputs of a command: arguments, `--files-from`, and stdin.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use mediary::{Error, ErrorKind, Limits, Source};

use crate::Usage;
use crate::args::Global;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// `-` is stdin.
    pub(crate) fn new(argument: OsString) -> Self {
        if argument == "-" { Self::Stdin } else { Self::Path(argument.into()) }
    }

    /// As it stands in messages and JSON.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Stdin => "-".into(),
        }
    }

    /// Opens it, within `wall_ms`. Stdin is read to its end, into an unnamed temporary file when it is long.
    pub(crate) fn open(&self, limits: &Limits) -> mediary::Result<Source> {
        let (input, limits) = (self.clone(), *limits);
        in_time(limits.wall_ms, move || match input {
            Self::Path(path) => Source::open(path, &limits),
            Self::Stdin => Source::from_reader("-", std::io::stdin().lock(), &limits),
        })
    }
}

/// Runs `open`, which may block for ever on a stream that nobody writes to, on a thread of its own if its time is limited.
/// When the time is up the thread is left alone: it ends with its stream, at `input_bytes`, or with the process.
fn in_time<T: Send + 'static>(
    wall_ms: u64,
    open: impl FnOnce() -> mediary::Result<T> + Send + 'static,
) -> mediary::Result<T> {
    if wall_ms == u64::MAX {
        return open();
    }
    let failed = |error| Error::io("cannot read on a thread", error);
    let (sender, receiver) = mpsc::sync_channel(1);
    // Nobody receives what comes too late.
    thread::Builder::new().spawn(move || drop(sender.send(open()))).map_err(failed)?;
    receiver.recv_timeout(Duration::from_millis(wall_ms)).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(Error::limit("wall_ms", wall_ms.saturating_add(1), wall_ms)),
        RecvTimeoutError::Disconnected => Err(failed(std::io::Error::other(error))),
    })
}

/// The inputs of the arguments, then those of `--files-from`.
pub(crate) fn collect(arguments: &[OsString], global: &Global) -> anyhow::Result<Vec<Input>> {
    let mut inputs: Vec<Input> = arguments.iter().cloned().map(Input::new).collect();
    let mut stdin = inputs.iter().filter(|input| **input == Input::Stdin).count();
    if let Some(list) = &global.files_from {
        let names = if list.as_os_str() == "-" {
            stdin += 1;
            refuse_terminal("--files-from -")?;
            let mut names = Vec::new();
            std::io::stdin().lock().read_to_end(&mut names)?;
            names
        } else {
            read_list(list)?
        };
        let end = if global.null { 0 } else { b'\n' };
        inputs.extend(split(&names, end).into_iter().map(Input::Path));
    }
    if stdin > 1 {
        return Err(Usage::new("stdin can be read only once: `-` is given several times").into());
    }
    if stdin == 1 && inputs.contains(&Input::Stdin) {
        refuse_terminal("-")?;
    }
    if inputs.is_empty() && global.files_from.is_none() {
        return Err(Usage::new("no inputs: name files, `-` for stdin, or --files-from FILE").into());
    }
    Ok(inputs)
}

/// A command that waits for a person to type a PNG has hung: refused.
pub(crate) fn refuse_terminal(argument: &str) -> Result<(), Usage> {
    if std::io::stdin().is_terminal() {
        return Err(Usage::new(format!("`{argument}` reads stdin, which is a terminal: pipe something into it")));
    }
    Ok(())
}

fn read_list(list: &Path) -> mediary::Result<Vec<u8>> {
    let shown = list.display().to_string();
    if list.is_dir() {
        return Err(Error::new(ErrorKind::Io, "expected a list of files, found a directory").with_path(shown));
    }
    std::fs::read(list).map_err(|error| Error::io("cannot read the list", error).with_path(shown))
}

/// Names between `end` bytes. Empty ones are left out, and so is the CR of a CRLF.
fn split(names: &[u8], end: u8) -> Vec<PathBuf> {
    names
        .split(|&byte| byte == end)
        .map(|name| if end == b'\n' { name.strip_suffix(b"\r").unwrap_or(name) } else { name })
        .filter(|name| !name.is_empty())
        .map(path_of)
        .collect()
}

/// File names are bytes on Unix and need not be UTF-8.
#[cfg(unix)]
fn path_of(name: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name))
}

#[cfg(not(unix))]
fn path_of(name: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_lines_or_nul() {
        let names = |text: &str, end| split(text.as_bytes(), end);
        assert_eq!(names("a\nb c\r\n\n-\n", b'\n'), ["a", "b c", "-"].map(PathBuf::from));
        assert_eq!(names("a\nb\0c\r\0\0", 0), ["a\nb", "c\r"].map(PathBuf::from));
        assert!(names("", b'\n').is_empty());
    }

    #[test]
    fn a_silent_stream_ends_at_its_time() {
        let (_held, silent) = mpsc::channel::<()>();
        let error = in_time(20, move || Ok(silent.recv().is_ok())).unwrap_err();
        assert_eq!(error.limit_name(), Some("wall_ms"));
        for wall_ms in [60_000, u64::MAX] {
            assert_eq!(in_time(wall_ms, || Ok(7)).unwrap(), 7);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let paths = split(b"\xff.obj\n", b'\n');
        assert_eq!(paths[0].as_os_str().as_bytes(), b"\xff.obj");
    }
}
