//! What a plugin is offered while it looks at content. It is asked about every input there is, so a look costs nothing that is
//! not used: there is one table for all of them, which offers no more than the words for a failure.
#![expect(unsafe_code, reason = "functions that foreign code calls with pointers; see the SAFETY notes")]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use mediary_core::plugin::abi::{self, Str};
use mediary_core::plugin::failure;
use mediary_core::{Error, Result};

use super::{NONE, weigh};

struct Table(abi::Host);

// SAFETY: its functions work on what is the thread's own; `ctx` is NULL.
unsafe impl Sync for Table {}

static TABLE: Table = Table(abi::Host { log: Some(log), fail: Some(fail), ..NONE });

/// What happens on a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looking {
    No,
    Yes,
    /// And it said why it fails.
    Said,
}

thread_local! {
    static LOOKING: Cell<Looking> = const { Cell::new(Looking::No) };
    /// What it said last. One that says it on another thread is not heard: its status is.
    static SAID: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Runs `probe` of a plugin and weighs what it returned.
#[inline]
pub(crate) fn look(probe: impl FnOnce(*const abi::Host) -> i32) -> Result<i32> {
    let outer = LOOKING.replace(Looking::Yes);
    let status = probe(&raw const TABLE.0);
    // Taken also when it did not fail after all: it is not the next one's.
    let said = if LOOKING.replace(outer) == Looking::Said { SAID.take() } else { None };
    weigh(status, || said)
}

/// Whether a plugin looks at content on this thread.
pub(super) fn is_looking() -> bool {
    LOOKING.try_with(Cell::get).is_ok_and(|looking| looking != Looking::No)
}

/// There is no record yet that a line could be about.
unsafe extern "C" fn log(_: *mut c_void, _: u32, _: Str) {}

unsafe extern "C" fn fail(_: *mut c_void, cause: *const abi::Failure) {
    // SAFETY: the contract.
    let cause = unsafe { failure::read(cause) };
    if is_looking() {
        LOOKING.set(Looking::Said);
        SAID.set(Some(cause));
    }
}
