//! What a plugin in this process is offered: while it looks at content ([`look()`]), while it reads or writes ([`Call`]).

mod call;
mod functions;
mod look;
mod running;

use mediary_core::plugin::abi::{self, ABI_MAJOR, ABI_MINOR, STATUS_END, STATUS_OK, STATUS_PLUGIN};
use mediary_core::plugin::failure;
use mediary_core::{Error, ErrorKind, Result, Severity};

pub(crate) use call::{Asked, Call, Writing};
pub(crate) use look::look;
pub(crate) use running::log_here;

/// How far beyond its end an output may be continued.
pub(crate) const FARTHEST: u64 = 16 << 20;

/// A table that offers nothing.
pub(crate) const NONE: abi::Host = abi::Host {
    size: size_of::<abi::Host>() as u32,
    major: ABI_MAJOR,
    minor: ABI_MINOR,
    ctx: std::ptr::null_mut(),
    read_at: None,
    map: None,
    descriptor: None,
    open_sibling: None,
    checkpoint: None,
    reserve: None,
    limit: None,
    option: None,
    strictness: None,
    log: None,
    report: None,
    lose: None,
    emit: None,
    pull: None,
    create: None,
    write: None,
    seek: None,
    stem: None,
    fail: None,
};

/// The plugin broke the contract.
pub(crate) fn breach(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, what).with_hint("the plugin is at fault, not the file; tell its author")
}

/// What a function of the plugin returned, `STATUS_OK` or `STATUS_END`, or why it failed, as far as it `said`.
#[inline]
fn weigh(status: i32, said: impl FnOnce() -> Option<Error>) -> Result<i32> {
    match status {
        STATUS_OK | STATUS_END => Ok(status),
        _ => Err(broken(status, said())),
    }
}

#[cold]
fn broken(status: i32, said: Option<Error>) -> Error {
    match status {
        STATUS_PLUGIN..0 => said.unwrap_or_else(|| {
            Error::new(failure::kind(status), format!("it failed with status {status} without a word"))
        }),
        _ => breach(format!("it returned status {status}, which has no meaning")),
    }
}

fn severity(number: u32) -> Severity {
    match number {
        abi::SEVERITY_INFO => Severity::Info,
        abi::SEVERITY_WARNING => Severity::Warning,
        _ => Severity::Error,
    }
}
