//! Ctrl-C: the first asks work to stop where it can, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mediary::Cancel;

use crate::{Exit, output};

/// The signals SIGINT, SIGTERM and SIGHUP, as a flag.
pub(crate) struct Interrupt {
    cancel: Cancel,
    /// Nothing is under way that would have to be finished or cleaned up: the first signal ends the process.
    nothing_to_lose: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes the signals over. Until [`graceful`](Self::graceful) is called, the first one ends the process.
    pub(crate) fn install() -> Self {
        let this = Self { cancel: Cancel::default(), nothing_to_lose: Arc::new(AtomicBool::new(true)) };
        let cancel = this.cancel.clone();
        let nothing_to_lose = Arc::clone(&this.nothing_to_lose);
        // Without a handler the default action of the signals stays, which is the end of the process: acceptable.
        let _ = ctrlc::set_handler(move || {
            if cancel.is_cancelled() || nothing_to_lose.load(Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
            cancel.cancel();
            output::to_stderr("stopping; press Ctrl-C again to stop at once\n");
        });
        this
    }

    /// The flag.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// From here on the first signal only sets the flag: there are temporary files to remove or records to commit.
    pub(crate) fn graceful(&self) {
        self.nothing_to_lose.store(false, Ordering::Relaxed);
    }
}
