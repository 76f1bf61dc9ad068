//! Formats in worker processes, where they cannot hurt this one: a crash, an endless loop or a greedy allocation is one
//! typed error.
//!
//! ```text
//! Remote ── Pool ── Worker ══ socket: frames ══ serve ── Direct (a plugin) or Local (the built-in formats)
//!                             inputs and large buffers by descriptor
//! ```
//!
//! A worker is this program once more, with the hidden command `__worker`; an embedding program calls [`serve_if_asked`]
//! first of all, or names another program with [`WorkerCommand`]. Nothing that a worker sends is believed.

mod frame;
mod limits;
mod local;
mod pool;
mod process;
mod protocol;
mod quarantine;
mod remote;
mod sandbox;
mod sealed;
mod serve;
#[cfg(test)]
mod tests;

pub(crate) use pool::{Spec, Supply};
pub use process::WorkerCommand;
pub(crate) use remote::Remote;
pub use sandbox::{Status, status};

use mediary_core::{Error, Result};

use serve::Served;

/// The hidden command.
const ASKED: &str = "__worker";
/// Exit code after a panic.
const PANICKED: i32 = 101;

/// Becomes a worker process, if this program was started as one; returns at once otherwise. To be called first of all.
pub fn serve_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ASKED) {
        main()
    }
}

/// Serves as a worker process until the host is done with it.
pub fn main() -> ! {
    serve::serve(|plugin| match plugin {
        None => Ok(local::Local::built_in()),
        Some(file) => load(file),
    })
}

fn load(_: std::fs::File) -> Result<Served> {
    Err(Error::unsupported("not yet"))
}
