//! `mediary ingest`: files, folders and globs into a store.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use mediary::Cancel;
use mediary_ingest::{Event, IngestOptions, Outcome, Row, Store, Summary, ingest};
use serde_json::Value;

use super::Tally;
use crate::args::{IngestArgs, OnError};
use crate::inputs::{self, Input};
use crate::output::progress::Progress;
use crate::output::text::{at, bytes, plural};
use crate::output::{Screen, error_to_stderr};
use crate::{Exit, Session, Usage};

pub(crate) fn run(session: &Session, args: &IngestArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let inputs = paths(session, args)?;
    let options = options(session, args);
    session.interrupt.graceful();
    screen.outlive_stdout();
    let store = Store::create_or_open(&args.to)?;
    let progress = Progress::new(session.global.progress, screen.quiet);
    let watch = RefCell::new(Watch { screen, progress, stdout: Ok(()), cancel: options.cancel.clone() });
    let done = ingest(&store, &session.registry, &inputs, &options, &|event| watch.borrow_mut().see(event));
    let Watch { screen, mut progress, stdout, .. } = watch.into_inner();
    progress.end();
    let summary = done?;
    stdout?;
    if screen.json {
        screen.json(&summary.to_json())?;
    } else {
        screen.text(&tell(&summary))?;
    }
    if summary.inputs == 0 {
        screen.note("nothing to do: the inputs hold no files");
    }
    if summary.hidden > 0 {
        screen.note(&format!("{} left out; --hidden takes them", plural(summary.hidden, "hidden file or folder")));
    }
    Ok(exit(&summary))
}

fn paths(session: &Session, args: &IngestArgs) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for input in inputs::collect(&args.inputs, &session.global)? {
        match input {
            Input::Path(path) => paths.push(path),
            Input::Stdin => {
                let message = "ingest needs names to resume by, and stdin has none: save it to a file first, \
                    or pipe a list of files into --files-from -";
                return Err(Usage::new(message).into());
            }
        }
    }
    Ok(paths)
}

fn options(session: &Session, args: &IngestArgs) -> IngestOptions {
    let mut options = IngestOptions::default();
    options.read = session.read_options();
    // Inputs are what the workers share out.
    options.read.threads = 1;
    // Ctrl-C lets what is in flight finish, so only the outer flag is the interrupt's.
    options.read.cancel = Cancel::default();
    options.cancel = session.interrupt.cancel();
    options.assets = args.assets.into();
    options.durability = args.durability.into();
    options.jobs = session.global.jobs.map_or(0, NonZeroUsize::get);
    if let Some(memory) = session.global.memory {
        options.memory = memory;
    }
    options.stop_on_error = session.global.on_error == OnError::Stop;
    options.force = session.global.force;
    options.walk.hidden = args.hidden;
    options.walk.include.clone_from(&args.include);
    options.walk.exclude.clone_from(&args.exclude);
    options
}

/// Follows a run.
struct Watch<'s> {
    screen: &'s mut Screen,
    progress: Progress,
    /// The first failure of stdout, such as a full disk: the run is cancelled. A closed one is none.
    stdout: io::Result<()>,
    cancel: Cancel,
}

impl Watch<'_> {
    fn see(&mut self, event: Event<'_>) {
        match event {
            Event::Planned { inputs, .. } => self.progress.planned(inputs),
            Event::Row(row) if row.is_error() => self.failure(row, false),
            Event::Known(row) => self.failure(row, true),
            Event::Finished { outcome, records, bytes, .. } => {
                self.progress.finished(matches!(outcome, Outcome::Failed | Outcome::KnownFailure), records, bytes);
            }
            _ => {}
        }
    }

    fn failure(&mut self, row: &Row, known: bool) {
        let paint = self.screen.paint_stderr();
        let message = failure_text(row);
        self.progress.aside(|| error_to_stderr(paint, &message, row.hint.as_deref()));
        if self.screen.json && self.stdout.is_ok() {
            let mut error = row.error_json();
            if known {
                error["known"] = true.into();
            }
            self.stdout = self.screen.json(&error).and_then(|()| self.screen.flush());
            if self.stdout.is_err() {
                self.cancel.cancel();
            }
        }
    }
}

/// `malformed: obj: index 7 is out of range (at line 3): folder/a.obj`
fn failure_text(row: &Row) -> String {
    let code = row.error_code.as_deref().unwrap_or("error");
    let format = row.format.as_deref().map(|format| format!("{format}: ")).unwrap_or_default();
    let place = row.error_location.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let place = place.map(|place| at(&place)).unwrap_or_default();
    format!("{code}: {format}{}{place}: {}", row.error.as_deref().unwrap_or_default(), row.path())
}

/// The summary line for people.
fn tell(summary: &Summary) -> String {
    let mut parts = vec![
        format!("{} converted to {}", plural(summary.ok, "input"), plural(summary.records, "record")),
        format!("{} failed", summary.failed),
        format!("{} up to date", summary.skipped),
    ];
    if summary.known_failures > 0 {
        parts[1] += &format!(" ({} known from an earlier run)", summary.known_failures);
    }
    for (count, word) in [(summary.sidecars, "sidecar"), (summary.special, "special file")] {
        if count > 0 {
            parts.push(plural(count, word));
        }
    }
    parts.push(format!("{} in {}", bytes(summary.object_bytes), plural(summary.objects, "new object")));
    let end = match (summary.interrupted, summary.stopped) {
        (true, _) => "; interrupted, the next run goes on from here",
        (_, true) => "; stopped at a failure",
        _ => "",
    };
    format!("{} in {:.1} s{end}\n", parts.join(", "), summary.seconds)
}

fn exit(summary: &Summary) -> Exit {
    if summary.interrupted {
        Exit::Interrupted
    } else if summary.stopped {
        Exit::Failed
    } else {
        Tally { good: summary.ok + summary.skipped, failed: summary.failed }.exit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(change: impl FnOnce(&mut Summary)) -> Summary {
        let mut summary = Summary::default();
        change(&mut summary);
        summary
    }

    #[test]
    fn the_exit_follows_the_summary() {
        assert_eq!(exit(&summary(|it| it.ok = 2)), Exit::Good);
        assert_eq!(exit(&summary(|it| (it.ok, it.failed) = (2, 1))), Exit::Partial);
        assert_eq!(exit(&summary(|it| (it.skipped, it.failed) = (2, 1))), Exit::Partial);
        assert_eq!(exit(&summary(|it| it.failed = 1)), Exit::Failed);
        assert_eq!(exit(&summary(|it| (it.ok, it.failed, it.stopped) = (1, 1, true))), Exit::Failed);
        assert_eq!(exit(&summary(|it| (it.failed, it.interrupted) = (1, true))), Exit::Interrupted);
    }

    #[test]
    fn the_summary_is_one_line() {
        let text = tell(&summary(|it| {
            (it.ok, it.records, it.failed, it.known_failures, it.skipped, it.sidecars) = (2, 5, 3, 1, 4, 1);
            (it.objects, it.object_bytes, it.seconds) = (5, 1_500, 0.25);
        }));
        assert_eq!(
            text,
            "2 inputs converted to 5 records, 3 failed (1 known from an earlier run), 4 up to date, 1 sidecar, \
             1.5 kB in 5 new objects in 0.2 s\n"
        );
    }
}
