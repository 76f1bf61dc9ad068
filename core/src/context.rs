//! [`Context`]: what a reader or a writer works with. No globals.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Diagnostics, Losses, Severity};
use crate::error::{Error, ErrorKind, Location, Result};
use crate::limits::{Budget, Limits};
use crate::options::Options;

/// One dial: how much a reader tolerates. Every format documents what each step means for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strictness {
    /// Whatever can be shown is read; what is broken is left out, with a diagnostic.
    Lenient,
    /// Common deviations are repaired, with a diagnostic; broken data is an error.
    #[default]
    Default,
    /// Every deviation from the specification is an error.
    Strict,
}

/// Stops readers and writers from another thread. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop; readers end with `Cancelled` at their next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Options, limits, budget, diagnostics, progress and cancel of one operation on one input. Clones share everything.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    format: Cow<'static, str>,
    limits: Limits,
    budget: Budget,
    strictness: Strictness,
    options: Options,
    cancel: Cancel,
    deadline: Option<Instant>,
    threads: usize,
    diagnostics: Mutex<Diagnostics>,
    losses: Losses,
    checkpoint: Option<Checkpoint>,
}

/// What a checkpoint asks beside the flag and the clock.
type Checkpoint = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Makes a [`Context`]: for who calls a format by hand, as the registry and the hosts of plugins do.
#[must_use]
pub struct ContextBuilder(Inner);

impl ContextBuilder {
    /// Caps. They also make a fresh budget of `alloc_bytes` and start the clock of `wall_ms`.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.deadline = (limits.wall_ms != u64::MAX).then(|| Instant::now() + Duration::from_millis(limits.wall_ms));
        self.0.budget = Budget::new(limits.alloc_bytes);
        self.0.limits = limits;
        self
    }

    /// The budget to draw on, if it is not one of its own.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.0.budget = budget;
        self
    }

    /// The dial.
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.0.strictness = strictness;
        self
    }

    /// The format's options, checked.
    pub fn options(mut self, options: Options) -> Self {
        self.0.options = options;
        self
    }

    /// What stops it.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.0.cancel = cancel;
        self
    }

    /// Threads that may work on the input at once; 0 and 1 are the calling one alone.
    pub fn threads(mut self, threads: usize) -> Self {
        self.0.threads = threads;
        self
    }

    /// Asked at every [checkpoint](Context::checkpoint) too.
    pub fn checkpoint(mut self, ask: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.0.checkpoint = Some(Arc::new(ask));
        self
    }

    /// The context.
    #[must_use]
    pub fn build(self) -> Context {
        Context(Arc::new(self.0))
    }
}

impl Context {
    /// A context for `format` with everything else at its default: for tests and for calling a format by hand.
    #[must_use]
    pub fn new(format: impl Into<Cow<'static, str>>) -> Self {
        Self::builder(format).build()
    }

    /// A context for `format`, to be set up.
    pub fn builder(format: impl Into<Cow<'static, str>>) -> ContextBuilder {
        let limits = Limits::default();
        ContextBuilder(Inner {
            format: format.into(),
            budget: Budget::new(limits.alloc_bytes),
            deadline: None,
            limits,
            strictness: Strictness::Default,
            options: Options::default(),
            cancel: Cancel::default(),
            threads: 1,
            diagnostics: Mutex::default(),
            losses: Losses::default(),
            checkpoint: None,
        })
        .limits(limits)
    }

    /// The caps.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The bytes that may still be allocated.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// The dial.
    #[must_use]
    pub fn strictness(&self) -> Strictness {
        self.0.strictness
    }

    /// The format's options, checked.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Call it about every megabyte or thousand elements.
    ///
    /// # Errors
    /// `Cancelled` when the caller asked to stop; `Limit` when the time is up.
    pub fn checkpoint(&self) -> Result<()> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        match self.0.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(Error::limit("wall_ms", self.0.limits.wall_ms.saturating_add(1), self.0.limits.wall_ms))
            }
            _ => self.0.checkpoint.as_ref().map_or(Ok(()), |ask| ask()),
        }
    }

    /// The flag that stops it.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// Threads that may work on the input at once, at least 1: into how many parts it pays to divide it.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads.max(1)
    }

    /// Does `work` on each of `parts`, in order, on up to [`threads`](Self::threads) threads. A part has a context of its own that
    /// shares everything but findings and losses: those, and lines in errors, join here as if one thread had gone through all of
    /// it. `work` returns what it made and how many lines its part has.
    ///
    /// # Errors
    /// That of the first part which has one.
    ///
    /// # Panics
    /// When `work` does.
    pub fn in_parts<P: Send, T: Send>(
        &self,
        parts: Vec<P>,
        work: impl Fn(P, &Self) -> Result<(T, u64)> + Sync,
    ) -> Result<Vec<T>> {
        let threads = self.threads().min(parts.len());
        if threads < 2 {
            return self.join_parts(parts.into_iter().map(|part| {
                let cx = self.part();
                (work(part, &cx), cx)
            }));
        }
        let queue = Mutex::new(parts.into_iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run = || {
            let mut done = Vec::new();
            while let Some((number, part)) = next() {
                let cx = self.part();
                let result = work(part, &cx);
                let failed = result.is_err();
                done.push((number, (result, cx)));
                if failed {
                    // Parts before it are on their way: what comes after it does not matter any more.
                    queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
                }
            }
            done
        };
        let mut done = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let mut done = run();
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|&(number, _)| number);
        self.join_parts(done.into_iter().map(|(_, part)| part))
    }

    /// The same work with findings and losses of its own.
    fn part(&self) -> Self {
        let inner = &*self.0;
        Self(Arc::new(Inner {
            format: inner.format.clone(),
            limits: inner.limits,
            budget: inner.budget.clone(),
            strictness: inner.strictness,
            options: inner.options.clone(),
            cancel: inner.cancel.clone(),
            deadline: inner.deadline,
            threads: 1,
            diagnostics: Mutex::default(),
            losses: Losses::default(),
            checkpoint: inner.checkpoint.clone(),
        }))
    }

    fn join_parts<T>(&self, parts: impl Iterator<Item = (Result<(T, u64)>, Self)>) -> Result<Vec<T>> {
        let mut lines = 0;
        let mut all = Vec::new();
        for (result, cx) in parts {
            for mut diagnostic in cx.diagnostics().to_vec() {
                if let Some(line) = diagnostic.location.as_mut().and_then(|location| location.line.as_mut()) {
                    *line += lines;
                }
                self.diagnostics().push(diagnostic);
            }
            cx.losses().to_vec().into_iter().for_each(|loss| self.0.losses.push(loss.code, loss.count, loss.message));
            let (made, own) = result.map_err(|error| match error.location() {
                Some(Location { line: Some(line), .. }) => {
                    let moved = Location { line: Some(line + lines), ..error.location().cloned().unwrap_or_default() };
                    error.at(moved)
                }
                _ => error,
            })?;
            lines += own;
            all.push(made);
        }
        Ok(all)
    }

    /// When its time is up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Reports a finding. `code` is without the format's id, which is put in front.
    pub fn report(&self, severity: Severity, code: &str, message: impl Into<String>, location: Option<Location>) {
        self.report_times(severity, code, message, location, 1);
    }

    /// Reports a finding that occurred `count` times; 0 times is none.
    pub fn report_times(
        &self,
        severity: Severity,
        code: &str,
        message: impl Into<String>,
        location: Option<Location>,
        count: u64,
    ) {
        if count == 0 {
            return;
        }
        let mut diagnostic = Diagnostic::new(severity, format!("{}.{code}", self.0.format), message).times(count);
        diagnostic.location = location;
        self.diagnostics().push(diagnostic);
    }

    /// Worth knowing; nothing was changed.
    pub fn note(&self, code: &str, message: impl Into<String>) {
        self.report(Severity::Info, code, message, None);
    }

    /// A deviation that was repaired, or something set aside.
    pub fn warn(&self, code: &str, message: impl Into<String>) {
        self.report(Severity::Warning, code, message, None);
    }

    /// As [`warn`](Self::warn), at a place.
    pub fn warn_at(&self, code: &str, message: impl Into<String>, location: Location) {
        self.report(Severity::Warning, code, message, Some(location));
    }

    /// A deviation of the data: an error in strict mode, a warning otherwise.
    ///
    /// # Errors
    /// `Malformed` in strict mode.
    pub fn tolerate(&self, code: &str, message: impl Into<String>, location: Location) -> Result<()> {
        let message = message.into();
        if self.0.strictness == Strictness::Strict {
            return Err(Error::malformed(message).at(location).with_hint("it is tolerated without --strict"));
        }
        self.warn_at(code, message, location);
        Ok(())
    }

    /// A breach of the data: a diagnostic of severity error in lenient mode, an error otherwise.
    ///
    /// # Errors
    /// `error`, unless lenient.
    pub fn unless_lenient(&self, code: &str, error: Error) -> Result<()> {
        if self.0.strictness != Strictness::Lenient {
            return Err(error);
        }
        self.report(Severity::Error, code, error.message().to_owned(), error.location().cloned());
        Ok(())
    }

    /// Reports what a writer could not carry over. `code` is without the format's id. A count of 0 is no loss.
    pub fn lose(&self, code: &str, count: u64, message: impl Into<String>) {
        self.0.losses.push(format!("{}.{code}", self.0.format), count, message);
    }

    /// The losses so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.0.losses
    }

    /// The collector of the record that is being read.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        self.0.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the collector of the next record.
    pub(crate) fn renew_diagnostics(&self) {
        *self.0.diagnostics.lock().unwrap_or_else(PoisonError::into_inner) = Diagnostics::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each part is a list of words, one a line.
    fn run(threads: usize, parts: &[&[&str]]) -> (Result<Vec<String>>, Vec<Diagnostic>) {
        let cx = Context::builder("test").threads(threads).build();
        let result = cx.in_parts(parts.to_vec(), |words, cx| {
            for (line, word) in (1..).zip(words) {
                match *word {
                    "odd" => cx.warn_at("odd", "odd", Location::line(line)),
                    "bad" => return Err(Error::malformed("bad").at_line(line)),
                    _ => {}
                }
            }
            Ok((words.concat(), words.len() as u64))
        });
        (result, cx.diagnostics().to_vec())
    }

    #[test]
    fn parts_join_as_if_one_thread_had_read_them() {
        let parts: &[&[&str]] = &[&["a", "b"], &["c"], &["d", "odd", "e"], &["odd"]];
        for threads in [0, 1, 2, 3, 9] {
            let (result, found) = run(threads, parts);
            assert_eq!(result.unwrap(), ["ab", "c", "dodde", "odd"], "{threads} threads");
            assert_eq!((found.len(), found[0].count), (1, 2));
            assert_eq!(found[0].location, Some(Location::line(5)));
        }
    }

    #[test]
    fn the_first_error_of_the_input_is_the_one() {
        let parts: &[&[&str]] = &[&["a"], &["b", "odd"], &["c", "bad"], &["bad"], &["bad"], &["odd"]];
        for threads in [1, 2, 4] {
            let (result, found) = run(threads, parts);
            assert_eq!(result.unwrap_err().location(), Some(&Location::line(5)), "{threads} threads");
            assert_eq!(found[0].count, 1);
        }
    }
}
