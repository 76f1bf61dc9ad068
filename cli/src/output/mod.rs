//! What the user sees: results on stdout, everything else on stderr.

pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod text;

use std::io::{self, BufWriter, IsTerminal, Write};

use mediary::{Diagnostic, Error, Loss};
use serde_json::Value;

use crate::args::{Color, Global};
use text::{Paint, clean};

/// Stdout, locked and buffered, and stderr.
///
/// Methods that write to stdout fail when it is closed: the caller passes that up, and `main` ends quietly. That is right
/// for commands that only print; the others call [`outlive_stdout`](Self::outlive_stdout) first. Stderr is a courtesy;
/// nobody can be told when it fails.
pub(crate) struct Screen {
    out: BufWriter<Stdout>,
    /// Results are JSON.
    pub(crate) json: bool,
    /// Errors only on stderr.
    pub(crate) quiet: bool,
    /// Colours on stdout.
    pub(crate) paint: Paint,
    paint_stderr: Paint,
}

/// Stdout, which may be closed at any time.
struct Stdout {
    out: Box<dyn Write>,
    /// What a closed stdout does not take is dropped, and is no failure.
    outlived: bool,
}

impl Stdout {
    fn unless_closed<T>(&mut self, dropped: T, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        match write(&mut self.out) {
            Err(error) if self.outlived && error.kind() == io::ErrorKind::BrokenPipe => Ok(dropped),
            done => done,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_closed(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_closed((), |out| out.flush())
    }
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        Self::to(Box::new(io::stdout().lock()), global)
    }

    /// With something else as stdout.
    pub(crate) fn to(stdout: Box<dyn Write>, global: &Global) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, Stdout { out: stdout, outlived: false }),
            json: global.json,
            quiet: global.quiet,
            paint: Paint(colored(global.color, io::stdout().is_terminal(), |name| std::env::var(name).ok())),
            paint_stderr: Paint(colored(global.color, io::stderr().is_terminal(), |name| std::env::var(name).ok())),
        }
    }

    /// The command does more than print: it goes on to its own end and exit code when stdout is closed.
    pub(crate) fn outlive_stdout(&mut self) {
        self.out.get_mut().outlived = true;
    }

    /// A line of JSON on stdout.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        json::line(&mut self.out, value)
    }

    /// Text on stdout, as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Stdout itself.
    pub(crate) fn stdout(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Hands what is buffered over, so that a reader of the pipe sees finished inputs.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A failure: an object on stdout with `--json`, and a line for people on stderr.
    pub(crate) fn error(&mut self, error: &Error) -> io::Result<()> {
        let told = if self.json { self.json(&error.to_json()) } else { Ok(()) };
        // On a terminal both streams are one: keep their order.
        let told = told.and_then(|()| self.out.flush());
        error_to_stderr(self.paint_stderr, &error.to_string(), error.hint());
        told
    }

    /// A remark on stderr, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("{}\n", clean(text)));
        }
    }

    /// Something that is not as it should be, on stderr, unless quiet.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            warning_to_stderr(self.paint_stderr, text);
        }
    }

    /// A finding on stderr, unless quiet.
    pub(crate) fn diagnostic(&self, diagnostic: &Diagnostic) {
        if !self.quiet {
            let value = serde_json::to_value(diagnostic).unwrap_or_default();
            to_stderr(&format!("{}\n", text::diagnostic(self.paint_stderr, &value)));
        }
    }

    /// What a conversion dropped, on stderr, unless quiet.
    pub(crate) fn loss(&self, loss: &Loss) {
        if !self.quiet {
            let value = serde_json::to_value(loss).unwrap_or_default();
            to_stderr(&format!("{}\n", text::loss(self.paint_stderr, &value)));
        }
    }

    /// Whether stderr is coloured, for what prints after this is gone.
    pub(crate) fn paint_stderr(&self) -> Paint {
        self.paint_stderr
    }
}

/// `error: …` and its hint on a line of its own.
pub(crate) fn error_to_stderr(paint: Paint, message: &str, hint: Option<&str>) {
    let mut text = format!("{} {}\n", paint.bad("error:"), clean(message));
    if let Some(hint) = hint {
        text += &format!("{} {}\n", paint.key("hint:"), clean(hint));
    }
    to_stderr(&text);
}

/// `warning: …`
pub(crate) fn warning_to_stderr(paint: Paint, text: &str) {
    to_stderr(&format!("{} {}\n", paint.odd("warning:"), clean(text)));
}

/// Writes in one piece; a closed stderr is no failure.
pub(crate) fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `--color`, then NO_COLOR, CLICOLOR_FORCE, TERM=dumb, then whether it is a terminal. Empty variables count as unset.
fn colored(color: Color, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR").is_some() => false,
        Color::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto => terminal && set("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_flag_then_environment_then_terminal() {
        let with = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(colored(Color::Auto, true, with(&[])));
        assert!(!colored(Color::Auto, false, with(&[])));
        assert!(!colored(Color::Auto, true, with(&[("NO_COLOR", "1")])));
        assert!(colored(Color::Auto, true, with(&[("NO_COLOR", "")])));
        assert!(colored(Color::Auto, false, with(&[("CLICOLOR_FORCE", "1")])));
        assert!(!colored(Color::Auto, false, with(&[("CLICOLOR_FORCE", "0")])));
        assert!(!colored(Color::Auto, true, with(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")])));
        assert!(!colored(Color::Auto, true, with(&[("TERM", "dumb")])));
        assert!(colored(Color::Always, false, with(&[("NO_COLOR", "1")])));
        assert!(!colored(Color::Never, true, with(&[("CLICOLOR_FORCE", "1")])));
    }
}
