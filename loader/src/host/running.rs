//! Which calls are running on this thread: for lines that come without theirs, such as that of a panic.

use std::cell::RefCell;

use mediary_core::Context;

use super::look::is_looking;
use super::severity;

thread_local! {
    /// What plugins are doing on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
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

/// Logs a line that comes without its call, such as that of a panic; `false` when no plugin is running on this thread. During a look
/// there is no record that a line could be about, and what went wrong comes as a failure.
pub(crate) fn log_here(level: u32, text: &str) -> bool {
    if is_looking() {
        return true;
    }
    let cx = RUNNING.try_with(|running| running.try_borrow().ok()?.last().cloned()).ok().flatten();
    cx.map(|cx| cx.report(severity(level), "log", text, None)).is_some()
}
