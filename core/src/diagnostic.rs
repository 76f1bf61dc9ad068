//! Findings that do not stop a read: repairs, tolerated deviations, notes. And losses of a conversion.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::Location;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing was changed.
    Info,
    /// The input deviates from its specification and was read with a repair, or something was set aside.
    Warning,
    /// Part of the content is missing or unreliable.
    Error,
}

/// One finding. Equal codes are counted, not repeated: the location is that of the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, `<format>.<finding>`, e.g. `obj.missing-mtl`.
    pub code: Cow<'static, str>,
    /// What was expected and found, of the first occurrence.
    pub message: String,
    /// Where the first occurrence is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// How often it occurred.
    pub count: u64,
}

impl Diagnostic {
    /// A finding that occurred once.
    #[must_use]
    pub fn new(severity: Severity, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { severity, code: code.into(), message: message.into(), location: None, count: 1 }
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Occurred `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = count;
        self
    }
}

/// What a conversion could not carry over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Stable code, `<format>.<what>`, e.g. `stl.materials`.
    pub code: Cow<'static, str>,
    /// What was lost, in words.
    pub message: String,
    /// How many of it.
    pub count: u64,
}

/// The collector that readers and writers report to. A handle: clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Arc<Mutex<Vec<Diagnostic>>>);

impl Diagnostics {
    fn lock(&self) -> MutexGuard<'_, Vec<Diagnostic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a finding; a finding with the same code is counted instead.
    pub fn push(&self, diagnostic: Diagnostic) {
        let mut list = self.lock();
        match list.iter_mut().find(|known| known.code == diagnostic.code) {
            Some(known) => {
                known.count = known.count.saturating_add(diagnostic.count);
                known.severity = known.severity.max(diagnostic.severity);
            }
            None => list.push(diagnostic),
        }
    }

    /// A copy of the findings so far, in order of first occurrence.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Diagnostic> {
        self.lock().clone()
    }

    /// The findings so far, which are taken out.
    pub(crate) fn take(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.lock())
    }

    /// The worst severity so far.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.lock().iter().map(|diagnostic| diagnostic.severity).max()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// The collector of losses. A handle: clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Losses(Arc<Mutex<Vec<Loss>>>);

impl Losses {
    /// Adds a loss; one with the same code is counted instead. A count of 0 is no loss.
    pub fn push(&self, code: impl Into<Cow<'static, str>>, count: u64, message: impl Into<String>) {
        if count == 0 {
            return;
        }
        let code = code.into();
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match list.iter_mut().find(|known| known.code == code) {
            Some(known) => known.count = known.count.saturating_add(count),
            None => list.push(Loss { code, message: message.into(), count }),
        }
    }

    /// The losses so far, which are taken out.
    pub(crate) fn take(&self) -> Vec<Loss> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of the losses so far.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Loss> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
