//! Which calls are running on this thread: for lines that come without theirs, such as that of a panic.

use std::cell::{Cell, RefCell};

use mediary_core::Context;

use super::severity;

thread_local! {
    /// What plugins are doing on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
    /// How many looks there are on this thread, one inside the other.
    static LOOKING: Cell<u32> = const { Cell::new(0) };
}

/// A function of a plugin is running on this thread.
pub(super) struct Running;

impl Running {
    pub(super) fn new(cx: &Context) -> Self {
        RUNNING.with_borrow_mut(|running| running.push(cx.clone()));
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

/// A plugin looks at content on this thread.
pub(super) struct Looking;

impl Looking {
    pub(super) fn new() -> Self {
        LOOKING.set(LOOKING.get().saturating_add(1));
        Self
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        LOOKING.set(LOOKING.get().saturating_sub(1));
    }
}

/// Logs a line that comes without its call, such as that of a panic; `false` when no plugin is running on this thread. During a look
/// there is no record that a line could be about, and what went wrong comes as a failure.
pub(crate) fn log_here(level: u32, text: &str) -> bool {
    if LOOKING.try_with(Cell::get).is_ok_and(|looks| looks > 0) {
        return true;
    }
    let cx = RUNNING.try_with(|running| running.try_borrow().ok()?.last().cloned()).ok().flatten();
    cx.map(|cx| cx.report(severity(level), "log", text, None)).is_some()
}
