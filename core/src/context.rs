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
    diagnostics: Mutex<Diagnostics>,
    losses: Losses,
    checkpoint: Option<Checkpoint>,
}

/// What a checkpoint asks beside the flag and the clock.
type Checkpoint = Box<dyn Fn() -> Result<()> + Send + Sync>;

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

    /// Asked at every [checkpoint](Context::checkpoint) too.
    pub fn checkpoint(mut self, ask: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.0.checkpoint = Some(Box::new(ask));
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
