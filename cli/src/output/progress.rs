//! Progress on stderr: a bar for people, lines for logs, JSON for programs. Stdout never carries any.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::text::{bytes, plural};
use super::to_stderr;
use crate::args::ProgressMode;

/// Between two lines of `plain` and `json`.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Counts finished inputs and shows them.
pub(crate) struct Progress {
    view: View,
    count: Count,
    last_line: Instant,
}

enum View {
    None,
    Bar(ProgressBar),
    Plain,
    Json,
}

#[derive(Clone, Copy, Default)]
struct Count {
    inputs: u64,
    done: u64,
    failed: u64,
    records: u64,
    bytes: u64,
}

impl Progress {
    /// `auto` is a bar when stderr is a terminal. `quiet` shows none.
    pub(crate) fn new(mode: ProgressMode, quiet: bool) -> Self {
        let view = match mode {
            _ if quiet => View::None,
            ProgressMode::None => View::None,
            ProgressMode::Auto if !stderr().is_terminal() => View::None,
            ProgressMode::Auto => View::Bar(bar()),
            ProgressMode::Plain => View::Plain,
            ProgressMode::Json => View::Json,
        };
        Self { view, count: Count::default(), last_line: Instant::now() }
    }

    /// The number of inputs is known.
    pub(crate) fn planned(&mut self, inputs: u64) {
        self.count.inputs = inputs;
        if let View::Bar(bar) = &self.view {
            bar.set_length(inputs);
        }
        self.line();
    }

    /// An input is finished.
    pub(crate) fn finished(&mut self, failed: bool, records: u64, bytes: u64) {
        let count = &mut self.count;
        count.done += 1;
        count.failed += u64::from(failed);
        count.records += records;
        count.bytes = count.bytes.saturating_add(bytes);
        if let View::Bar(bar) = &self.view {
            bar.set_position(count.done);
            bar.set_message(message(*count));
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.line();
        }
    }

    /// Writes something else to the terminal, with the bar out of the way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.view {
            View::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// The end: the bar goes, lines get a last one.
    pub(crate) fn end(&mut self) {
        match &self.view {
            View::Bar(bar) => bar.finish_and_clear(),
            _ => self.line(),
        }
    }

    fn line(&mut self) {
        self.last_line = Instant::now();
        let count = self.count;
        match self.view {
            View::Plain => to_stderr(&format!("{}/{} {}\n", count.done, count.inputs, message(count))),
            View::Json => to_stderr(&format!(
                "{}\n",
                json!({
                    "type": "progress", "done": count.done, "inputs": count.inputs, "failed": count.failed,
                    "records": count.records, "bytes": count.bytes,
                })
            )),
            View::None | View::Bar(_) => {}
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn message(count: Count) -> String {
    let mut text = format!("{}, {}", plural(count.records, "record"), bytes(count.bytes));
    if count.failed > 0 {
        text += &format!(", {} failed", count.failed);
    }
    text
}
