//! [`Look`]: what a plugin is offered while it looks at content. It is asked about every input there is, so a look costs
//! nothing that is not used: it lives on the stack and offers no more than the words for a failure.
#![expect(unsafe_code, reason = "functions that foreign code calls with pointers; see the SAFETY notes")]

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use mediary_core::plugin::abi::{self, Str};
use mediary_core::plugin::failure;
use mediary_core::{Error, Result};

use super::running::Looking;
use super::{NONE, weigh};

/// One look.
pub(crate) struct Look {
    failure: Mutex<Option<Error>>,
}

impl Look {
    /// Runs `probe` of the plugin and weighs what it returned.
    pub(crate) fn run(probe: impl FnOnce(*const abi::Host) -> i32) -> Result<i32> {
        let look = Self { failure: Mutex::new(None) };
        let host =
            abi::Host { ctx: std::ptr::from_ref(&look).cast_mut().cast(), log: Some(log), fail: Some(fail), ..NONE };
        let looking = Looking::new();
        let status = probe(&raw const host);
        drop(looking);
        weigh(status, || look.failure.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// There is no record yet that a line could be about.
unsafe extern "C" fn log(_: *mut c_void, _: u32, _: Str) {}

unsafe extern "C" fn fail(look: *mut c_void, cause: *const abi::Failure) {
    // SAFETY: `ctx` of the table above, which lives while the plugin looks; NULL is checked.
    let Some(look) = (unsafe { look.cast_const().cast::<Look>().as_ref() }) else { return };
    // SAFETY: the contract.
    let cause = unsafe { failure::read(cause) };
    *look.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
}
