//! Formats in worker processes, where they cannot hurt this one: a crash, an endless loop or a greedy allocation is one
//! typed error. Linux alone has them; elsewhere every use is `Unsupported`.
//!
//! ```text
//! Remote ── Pool ── Worker ══ socket: frames ══ serve ── Direct (a plugin) or Local (the built-in formats)
//!                             inputs and large buffers by descriptor
//! ```
//!
//! A worker is this program once more, with the hidden command `__worker`; an embedding program calls [`serve_if_asked`]
//! first of all, or names another program with [`WorkerCommand`]. Nothing that a worker sends is believed.

mod command;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod frame;
mod isolated;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod local;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod quarantine;
#[cfg(target_os = "linux")]
mod remote;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod sealed;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::sync::Arc;

use mediary_core::plugin::Manifest;

use crate::Connection;
use crate::library::Library;

pub use command::WorkerCommand;
pub use isolated::isolate;

/// The hidden command.
const ASKED: &str = "__worker";

/// What this system offers to close worker processes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether there are worker processes.
    pub processes: bool,
    /// The version of landlock, which closes the file system; `None` when there is none.
    pub landlock: Option<u32>,
    /// Whether there is seccomp, which closes the network and other processes.
    pub seccomp: bool,
}

/// What this system offers to close worker processes in.
#[must_use]
pub fn status() -> Status {
    #[cfg(target_os = "linux")]
    return sandbox::status();
    #[cfg(not(target_os = "linux"))]
    Status::default()
}

/// Becomes a worker process, if this program was started as one; returns at once otherwise. To be called first of all.
pub fn serve_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ASKED) {
        main()
    }
}

/// Serves as a worker process until the host is done with it.
#[cfg(target_os = "linux")]
pub fn main() -> ! {
    serve::serve(|plugin| match plugin {
        None => Ok(local::Local::built_in()),
        Some(file) => serve::load(file),
    })
}

/// Ends: there are no worker processes here.
#[cfg(not(target_os = "linux"))]
pub fn main() -> ! {
    std::process::exit(70)
}

/// A plugin in worker processes. Nothing is started before the first request.
#[cfg(target_os = "linux")]
pub(crate) fn plugin(library: Arc<Library>, manifest: &Manifest, command: &WorkerCommand) -> Arc<dyn Connection> {
    Arc::new(remote::Remote::new(pool::Spec {
        name: manifest.name.clone(),
        hash: library.sha256().to_owned(),
        plugin: Some(Box::new(move || library.sealed())),
        programs: manifest.needs.contains(&mediary_core::plugin::Need::Programs),
        command: command.clone(),
    }))
}

/// The built-in formats in worker processes.
#[cfg(target_os = "linux")]
pub(crate) fn built_in(command: &WorkerCommand) -> Arc<dyn Connection> {
    Arc::new(remote::Remote::new(pool::Spec {
        name: "the built-in formats".into(),
        hash: command.build(),
        plugin: None,
        programs: false,
        command: command.clone(),
    }))
}

/// A plugin where there are no worker processes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn plugin(_: Arc<Library>, _: &Manifest, _: &WorkerCommand) -> Arc<dyn Connection> {
    elsewhere::nowhere()
}

/// The built-in formats where there are no worker processes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn built_in(_: &WorkerCommand) -> Arc<dyn Connection> {
    elsewhere::nowhere()
}
