//! A child process that reads the input and talks through two pipes: what it makes, and what it has to say. Both are read
//! in turns by one thread, which asks the checkpoint while it waits; a child that is dropped is killed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use mediary_core::{Context, Error, ErrorKind, Location, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::input::Input;

/// How long a wait lasts before the checkpoint is asked again: 50 ms.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Lines of complaint that are kept, the rest is counted.
const MAX_LINES: usize = 32;
/// Bytes of a line that are kept.
const MAX_LINE: usize = 1024;
/// What the programs call the levels of what they say.
const LEVELS: [&str; 4] = ["panic", "fatal", "error", "warning"];
/// What a warning says when something is missing or broken. Other warnings tell of the program's own doings.
const TELLING: [&str; 7] = [
    "Packet corrupt",
    "corrupt input packet",
    "corrupt decoded frame",
    "PES packet size mismatch",
    "partial file",
    "Truncating packet",
    "no index at the end",
];
/// Errors that concern nothing that is decoded.
const BESIDE: [&str; 1] = ["Unknown attached picture mimetype"];
/// The key under which [`STAMP`] speaks.
const KEY: &str = "mediary";
/// Filters that write a line with the time of each frame to the second pipe, before the frame goes into the first.
pub(crate) const STAMP: &str =
    r"metadata=mode=add:key=mediary:value=1,metadata=mode=print:key=mediary:direct=1:file=pipe\\:2";

/// One of the two programs, found on a search path.
///
/// # Errors
/// `Unsupported`, with what to install.
pub(crate) fn locate(program: &str, path: Option<&OsStr>) -> Result<PathBuf> {
    // Folders that are not absolute would be looked up wherever the caller happens to stand.
    let folders = path.map(std::env::split_paths).into_iter().flatten().filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|file| runs(file)).ok_or_else(|| {
        Error::unsupported(format!("{program} was not found on PATH")).with_hint(
            "install ffmpeg 5.1 or newer: apt install ffmpeg, dnf install ffmpeg, pacman -S ffmpeg, apk add ffmpeg, \
             brew install ffmpeg, pkg install ffmpeg, or https://ffmpeg.org/download.html",
        )
    })
}

fn runs(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A running child.
pub(crate) struct Running {
    program: &'static str,
    child: Child,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    log: Log,
    cx: Context,
}

impl Running {
    /// Starts a program on the input.
    pub(crate) fn start(program: &'static str, args: &[OsString], input: &Input, cx: &Context) -> Result<Self> {
        cx.checkpoint()?;
        let path = std::env::var_os("PATH");
        let file = locate(program, path.as_deref())?;
        let failed = |error| Error::io(format!("cannot run {}", file.display()), error);
        let mut child = Command::new(&file)
            .args(args)
            .stdin(input.stdin()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // It would write a report of its own into the working folder.
            .env_remove("FFREPORT")
            .env("AV_LOG_FORCE_NOCOLOR", "1")
            .env("LC_ALL", "C")
            .spawn()
            .map_err(failed)?;
        let (Some(stdout), stderr) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::new(ErrorKind::Io, format!("{program} has no output")));
        };
        Ok(Self { program, child, stdout, stderr, log: Log::default(), cx: cx.clone() })
    }

    /// Waits for either pipe: whether there is output, whether there is something to say.
    fn wait(&self, patience: &Timespec) -> Result<(bool, bool)> {
        let any = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        let mut pipes = vec![PollFd::new(&self.stdout, PollFlags::IN)];
        pipes.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        match poll(&mut pipes, Some(patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io(format!("cannot wait for {}", self.program), error.into())),
        }
        let ready = |pipe: Option<&PollFd<'_>>| pipe.is_some_and(|pipe| pipe.revents().intersects(any));
        Ok((ready(pipes.first()), ready(pipes.get(1))))
    }

    /// Takes what it has to say.
    fn listen(&mut self) -> Result<()> {
        let Some(stderr) = &mut self.stderr else { return Ok(()) };
        let mut bytes = [0; 16 << 10];
        match stderr.read(&mut bytes) {
            Ok(0) => {
                self.log.end();
                self.stderr = None;
            }
            Ok(count) => self.log.take(&bytes[..count]),
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(format!("cannot read from {}", self.program), error)),
        }
        Ok(())
    }

    /// The time of frame `number` in seconds, which was written before the frame itself. Those before it are forgotten.
    pub(crate) fn time_of(&mut self, number: u64) -> Result<Option<f64>> {
        while !self.log.times.contains_key(&number) && self.stderr.is_some() && self.wait(&AT_ONCE)?.1 {
            self.listen()?;
        }
        self.log.times = self.log.times.split_off(&number);
        Ok(self.log.times.remove(&number).flatten())
    }

    /// Reads the rest of the output into memory, up to `most` bytes.
    pub(crate) fn output(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Error::limit("string_bytes", bytes.len() as u64, most));
        }
        Ok(bytes)
    }

    /// Waits for its end, after that of its output.
    pub(crate) fn finish(&mut self) -> Result<ExitStatus> {
        while self.stderr.is_some() {
            self.cx.checkpoint()?;
            if self.wait(&PATIENCE)?.1 {
                self.listen()?;
            }
        }
        loop {
            self.cx.checkpoint()?;
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(Error::io(format!("cannot wait for {}", self.program), error)),
            }
        }
    }

    /// Waits for its end and judges it, after it gave `made` pieces: complaints are diagnostics, a failure is an error
    /// unless lenient, and so is, always, that there is nothing.
    pub(crate) fn conclude(&mut self, made: u64, what: &str) -> Result<()> {
        let status = self.finish()?;
        if !status.success() {
            let error = self.failure(status);
            if made == 0 || error.kind() != ErrorKind::Malformed {
                return Err(error);
            }
            return self.cx.unless_lenient("damaged", error);
        }
        if made == 0 {
            let complaint = self.log.lines.first().map(|line| format!(": {line}")).unwrap_or_default();
            return Err(Error::malformed(format!("expected {what}, found none{complaint}")));
        }
        let Some(first) = self.log.lines.first() else { return Ok(()) };
        let message = match self.log.count {
            1 => format!("{} says: {first}", self.program),
            count => format!("{} says: {first}, and {} things more", self.program, count - 1),
        };
        self.cx.tolerate("damaged", message, Location::default())
    }

    /// What a failed run means.
    pub(crate) fn failure(&self, status: ExitStatus) -> Error {
        use std::os::unix::process::ExitStatusExt;
        let said = self.log.lines.join("; ");
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
        let program = self.program;
        if let Some(signal) = status.signal() {
            return Error::new(ErrorKind::Worker, format!("{program} was ended by signal {signal}"));
        }
        if has(&["Unrecognized option", "Option not found", "No such filter", "Unknown encoder", "Missing argument"]) {
            return Error::unsupported(format!("this {program} does not know what it was asked: {said}")).with_hint(
                format!("ffmpeg 5.1 or newer is needed, built with its usual parts; `{program} -version` tells"),
            );
        }
        if has(&["no decoder found", "Unknown decoder", "Decoder not found"]) {
            return Error::unsupported(format!("this {program} has no decoder for it: {said}"))
                .with_hint("install a build of ffmpeg with that decoder");
        }
        if has(&["Cannot allocate memory"]) {
            let allowed = self.cx.budget().allowed();
            return Error::limit("alloc_bytes", allowed.saturating_add(1), allowed);
        }
        let said = if said.is_empty() { status.to_string() } else { said };
        Error::malformed(format!("{program} cannot read it: {said}"))
            .with_hint("the file is damaged or cut short, or of a kind that ffmpeg does not read")
    }

    /// Whether one of its complaints has this phrase.
    pub(crate) fn said(&self, phrase: &str) -> bool {
        self.log.lines.iter().any(|line| line.contains(phrase))
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            self.cx.checkpoint()?;
            let (output, words) = self.wait(&PATIENCE)?;
            if words {
                self.listen()?;
            }
            if output {
                return self.stdout.read(buffer);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The second pipe: times of frames, and complaints.
#[derive(Default)]
struct Log {
    rest: Vec<u8>,
    times: BTreeMap<u64, Option<f64>>,
    lines: Vec<String>,
    count: u64,
}

impl Log {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end(),
                _ if self.rest.len() < MAX_LINE => self.rest.push(byte),
                _ => {}
            }
        }
    }

    /// The end of a line.
    fn end(&mut self) {
        let line = std::mem::take(&mut self.rest);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        // A complaint that another thread had begun may stand before the time.
        let (line, time) = match line.find("frame:").and_then(|at| Some((&line[..at], stamp(&line[at..])?))) {
            Some((before, time)) => (before, Some(time)),
            None => (line, None),
        };
        if let Some((number, time)) = time {
            self.times.insert(number, time);
        }
        let (level, line) = plain(line);
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| line.contains(phrase));
        let harmless = (level == "warning" && !has(&TELLING)) || has(&BESIDE);
        if line.is_empty() || line.strip_prefix(KEY) == Some("=1") || harmless {
            return;
        }
        self.count += 1;
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }
}

/// Number and time in `frame:12   pts:480   pts_time:0.48`.
fn stamp(line: &str) -> Option<(u64, Option<f64>)> {
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?.strip_prefix("frame:")?.parse().ok()?;
    let time = words.find_map(|word| word.strip_prefix("pts_time:"))?;
    Some((number, time.parse().ok().filter(|time: &f64| time.is_finite())))
}

/// The level of a complaint, if it is told, and its words without addresses in memory, which differ from run to run, and
/// without the name of the descriptor.
fn plain(line: &str) -> (&str, String) {
    let mut rest = line;
    let mut speakers = String::new();
    while let Some((speaker, after)) = rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(" @ 0x"))
        .and_then(|(speaker, after)| Some((speaker, after.split_once(']')?.1)))
    {
        speakers.push_str(speaker);
        speakers.push_str(": ");
        rest = after.trim_start();
    }
    let told = rest.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let (level, rest) = told.filter(|told| LEVELS.contains(&told.0)).unwrap_or(("", rest));
    let rest = rest.strip_prefix(crate::input::URL).map_or(rest, |rest| rest.trim_start_matches([':', ' ']));
    (level, if rest.is_empty() { String::new() } else { speakers + rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ffprobe"), "not to be run").unwrap();
        for path in [None, Some(OsStr::new("")), Some(OsStr::new(".:bin")), Some(folder.path().as_os_str())] {
            let error = locate("ffprobe", path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(error.message(), "ffprobe was not found on PATH");
            assert!(error.hint().unwrap().contains("apt install ffmpeg"), "{error:?}");
        }
    }

    #[test]
    fn times_and_complaints_are_told_apart_and_addresses_go() {
        let mut log = Log::default();
        log.take(b"frame:0    pts:0       pts_time:0\nmediary=1\nframe:1 pts:NOPTS pts_ti");
        log.take(
            b"me:NOPTS\nmediary=1\n[h264 @ 0x55d] [dec @ 0x1f] frame:2 pts:2 pts_time:0.08\nerror while decoding\n",
        );
        log.take(b"/dev/fd/0: Invalid data\n");
        log.take(&[b'x'; 5000]);
        log.end();
        assert_eq!(log.times, BTreeMap::from([(0, Some(0.0)), (1, None), (2, Some(0.08))]));
        assert_eq!(log.lines[..2], ["error while decoding", "Invalid data"]);
        assert_eq!((log.lines[2].len(), log.count), (MAX_LINE, 3));
        let told = plain("[mov,mp4 @ 0x5] [x @ 0x7] [error] moov atom not found");
        assert_eq!(told, ("error", "mov,mp4: x: moov atom not found".into()));
        assert_eq!(plain("[error] /dev/fd/0: End of file"), ("error", "End of file".into()));
        assert_eq!(plain("[1] is no level"), ("", "[1] is no level".into()));
    }

    #[test]
    fn only_warnings_that_tell_of_damage_are_kept() {
        let mut log = Log::default();
        log.take(b"[warning] Guessed Channel Layout for Input Stream #0.0 : mono\n");
        log.take(b"[flv @ 0x5] [warning] Packet corrupt (stream = 0, dts = 1411).\n[error] Invalid data\n");
        assert_eq!(log.lines, ["flv: Packet corrupt (stream = 0, dts = 1411).", "Invalid data"]);
    }
}
