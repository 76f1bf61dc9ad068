//! Holds a format to what it declares, and to what every format owes: it is recognised, it says the same twice, it never
//! breaks down, it keeps limits, and what it writes can be read again.
//!
//! The suite runs this for the built-in formats, `mediary plugin check` for a plugin, and a plugin's author in a test:
//!
//! ```no_run
//! # fn test(format: &'static dyn mediary_core::Format) -> mediary_core::Result<()> {
//! let mut registry = mediary_core::Registry::empty();
//! registry.add(format)?;
//! let samples = mediary_conformance::samples(format.info(), "samples".as_ref());
//! let report = mediary_conformance::check(&registry, format.info().id, &samples);
//! assert!(report.is_ok(), "{report}");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

/// Ends a check with a message unless something holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        let holds: bool = $holds;
        if !holds {
            return Err(format!($($message)+));
        }
    };
}

mod compare;
mod descriptor;
mod hostile;
mod reading;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use mediary_core::{ErrorKind, FormatInfo, Limits, ReadOptions, Registry, Source};

pub use record::{Bulk, collect, fingerprint, is_breakdown, read_all};
pub use report::{Case, Outcome, Report};
pub use writing::{consumes, repeats, survives, written_as};

/// Longest time that one small input may take, however broken it is.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A check: how many things it looked at, or what is wrong.
type Checked = Result<u64, String>;

/// The format under test with its samples.
struct Subject<'r> {
    registry: &'r Registry,
    info: &'static FormatInfo,
    samples: &'r [PathBuf],
}

/// Holds the format `id` of `registry` to what it declares. `samples` are good files of it; without them only the
/// descriptor and what is no file of the format can be looked at, and the rest is skipped.
#[must_use]
pub fn check(registry: &Registry, id: &str, samples: &[PathBuf]) -> Report {
    let mut report = Report::new(id);
    let info = match registry.get(id) {
        Ok(format) => format.info(),
        Err(error) => {
            report.add("known", Outcome::Failed(vec![error.to_string()]));
            return report;
        }
    };
    let subject = Subject { registry, info, samples };
    report.add("descriptor", descriptor::check(info));
    report.add("recognised by content", subject.each_sample(reading::recognised));
    report.add("header equals full read", subject.each_sample(reading::header));
    report.add("read twice is equal", subject.each_sample(reading::twice));
    report.add("truncated", subject.each_sample(hostile::truncated));
    report.add("flipped bytes", subject.each_sample(hostile::flipped));
    report.add("tight limits", subject.each_sample(hostile::tight));
    report.add("stopped by a limit", subject.unless_unread(hostile::stopped_by_some_limit));
    report.add("cancelled", subject.each_sample(hostile::cancelled));
    report.add("no file of it", subject.unless_unread(hostile::foreign));
    let written = match info.writes {
        Some(_) => subject.each_sample(writing::own),
        None => Outcome::Skipped("it can only be read".into()),
    };
    report.add("written and read again", written);
    report
}

impl Subject<'_> {
    /// Runs a check on every sample; each tells at most its first failure.
    fn each_sample(&self, check: fn(&Self, &Path) -> Checked) -> Outcome {
        self.unless_unread(|subject| {
            let mut failed = Vec::new();
            let mut count = 0;
            for path in subject.samples {
                match check(subject, path) {
                    Ok(looked_at) => count += looked_at,
                    Err(message) => failed.push(format!("{}: {message}", path.display())),
                }
            }
            match (failed.is_empty(), subject.samples.is_empty()) {
                (_, true) => Outcome::Skipped("no samples".into()),
                (true, _) => Outcome::Passed(count),
                (false, _) => Outcome::Failed(failed),
            }
        })
    }

    fn unless_unread(&self, check: impl FnOnce(&Self) -> Outcome) -> Outcome {
        if self.info.reads { check(self) } else { Outcome::Skipped("it can only be written".into()) }
    }

    /// Options of a read: what hangs is stopped, as far as it asks.
    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.limits.wall_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        options
    }

    /// The same, without recognition.
    fn as_itself(&self) -> ReadOptions {
        let mut options = self.options();
        options.from = Some(self.info.id.into());
        options
    }

    fn open(&self, path: &Path) -> Result<Source, String> {
        Source::open(path, &Limits::default()).map_err(|error| error.to_string())
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| error.to_string())
}

/// An error of any kind but one that says that the format broke down.
fn orderly(error: &mediary_core::Error) -> Result<(), String> {
    ensure!(!is_breakdown(error), "it broke down: {error}");
    ensure!(error.kind() != ErrorKind::Limit || error.limit_name() != Some("wall_ms"), "it took over {PATIENCE:?}");
    Ok(())
}

/// The good samples of a format in a folder: all files below it that carry one of its extensions, sorted. Folders called
/// `malformed` are left out.
#[must_use]
pub fn samples(info: &FormatInfo, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "malformed" {
                found.extend(samples(info, &path));
            }
        } else if info.claims(&name) {
            found.push(path);
        }
    }
    found.sort();
    found
}
