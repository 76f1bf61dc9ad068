//! Where there are no worker processes: every use says so.

use std::sync::Arc;

use mediary_core::{Confidence, Context, Error, FormatInfo, MediaRecord, Output, Probe, Result, Source};

use crate::{Connection, Session};

/// Answers everything with `Unsupported`.
struct Nowhere;

/// A connection that says so.
pub(super) fn nowhere() -> Arc<dyn Connection> {
    Arc::new(Nowhere)
}

fn unsupported<T>() -> Result<T> {
    Err(Error::unsupported("process isolation needs Linux").with_hint("--isolate none runs formats in this process"))
}

impl Connection for Nowhere {
    fn probe(&self, _: &'static FormatInfo, _: &Probe<'_>) -> Result<Confidence> {
        unsupported()
    }

    fn open(&self, _: &'static FormatInfo, _: &Source, _: &Context) -> Result<Box<dyn Session>> {
        unsupported()
    }

    fn write(&self, _: &'static FormatInfo, _: &mut MediaRecord, _: &mut Output, _: &Context) -> Result<()> {
        unsupported()
    }
}
