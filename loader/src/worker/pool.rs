//! The worker processes of one plugin: idle ones are used again, tired ones replaced, crashing ones waited for, and a plugin
//! that does nothing but crash is given up.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mediary_core::{Context, Error, ErrorKind, Result};

use super::command::WorkerCommand;
use super::process::Worker;
use super::protocol::{PROTOCOL, Start};
use super::quarantine::Quarantine;

/// Inputs a worker has before it is replaced.
const INPUTS: u32 = 500;
/// Bytes a worker may keep more than a fresh one has.
const GROWTH: u64 = 256 << 20;
/// Inputs after which that is looked at: asking the system takes as long as a small answer.
pub(super) const GROWTH_EVERY: u32 = 8;
/// Crashes of one kind in a row after which a plugin is given up.
const CRASHES: u32 = 5;
/// The wait after the first crash; it doubles with each in a row.
const BACK_OFF: Duration = Duration::from_millis(10);
/// The longest wait.
const BACK_OFF_MOST: Duration = Duration::from_secs(2);

/// Gives the plugin, as a file that does not change.
pub(super) type Supply = Box<dyn Fn() -> Result<OwnedFd> + Send + Sync>;

/// What worker processes are to serve.
pub(super) struct Spec {
    /// For messages.
    pub(super) name: String,
    /// The plugin; `None` for the built-in formats.
    pub(super) plugin: Option<Supply>,
    /// SHA-256 of the plugin; the version of the built-in formats.
    pub(super) hash: String,
    /// Whether the plugin starts programs.
    pub(super) programs: bool,
    /// What becomes a worker.
    pub(super) command: WorkerCommand,
}

/// What a worker is asked to do. Crashes are counted for each apart: a plugin that recognises inputs well may still be
/// unable to read any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Probe,
    Read,
    Write,
}

pub(super) struct Pool {
    pub(super) spec: Spec,
    pub(super) quarantine: Quarantine,
    idle: Mutex<Vec<Worker>>,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    /// In a row, by [`Work`].
    crashes: [u32; 3],
    restart_at: Option<Instant>,
    /// Why it was given up.
    given_up: Option<String>,
}

impl Pool {
    pub(super) fn new(spec: Spec, quarantine: Quarantine) -> Self {
        Self { spec, quarantine, idle: Mutex::default(), health: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker, idle or new.
    pub(super) fn take(&self, work: Work, cx: &Context) -> Result<Worker> {
        if let Some(why) = &self.health().given_up {
            return Err(Error::new(
                ErrorKind::Worker,
                format!(
                    "{} is not used any more: its process ended {CRASHES} times in a row, last: {why}",
                    self.spec.name
                ),
            )
            .with_hint("`mediary plugin check` shows more; it is tried again in the next run"));
        }
        let alloc_bytes = cx.limits().alloc_bytes;
        loop {
            let found = {
                let mut idle = self.idle();
                let fits = idle.iter().rposition(|worker| work == Work::Probe || worker.alloc_bytes == alloc_bytes);
                fits.map(|position| idle.swap_remove(position))
            };
            let Some(mut worker) = found else { break };
            // One that ended while it was idle did so for nothing that it was asked.
            if worker.is_alive() {
                worker.begin(cx.limits());
                return Ok(worker);
            }
        }
        self.wait_for_restart(cx)?;
        let plugin = self.spec.plugin.as_ref().map(|supply| supply()).transpose()?;
        let start = Start { protocol: PROTOCOL, alloc_bytes, programs: self.spec.programs };
        let mut worker =
            Worker::start(&self.spec.command, &start, plugin, cx).map_err(|error| self.crashed(work, error))?;
        worker.begin(cx.limits());
        Ok(worker)
    }

    fn wait_for_restart(&self, cx: &Context) -> Result<()> {
        loop {
            let left = self.health().restart_at.map(|at| at.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(Duration::from_millis(50))),
                _ => return Ok(()),
            }
            cx.checkpoint()?;
        }
    }

    /// A worker is done with an operation.
    pub(super) fn give_back(&self, worker: Worker) {
        let grown = worker.served.is_multiple_of(GROWTH_EVERY) && worker.grown_bytes() > GROWTH;
        if worker.served >= INPUTS || grown {
            return;
        }
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let mut idle = self.idle();
        if idle.len() < most {
            idle.push(worker);
        }
    }

    /// A worker did what it was asked.
    pub(super) fn succeeded(&self, work: Work) {
        let mut health = self.health();
        health.crashes[work as usize] = 0;
        health.restart_at = None;
    }

    /// A worker process is over: words for it, with the plugin's name, and what follows from it. Only a crash counts;
    /// a limit, or a caller who asked to stop, says nothing about the plugin.
    pub(super) fn crashed(&self, work: Work, error: Error) -> Error {
        if error.kind() != ErrorKind::Worker {
            return error;
        }
        let mut health = self.health();
        let count = &mut health.crashes[work as usize];
        *count = count.saturating_add(1);
        let count = *count;
        let wait = BACK_OFF.saturating_mul(1 << (count - 1).min(10)).min(BACK_OFF_MOST);
        health.restart_at = Some(Instant::now() + wait);
        if count >= CRASHES {
            health.given_up = Some(error.message().to_owned());
        }
        let told =
            Error::new(ErrorKind::Worker, format!("the worker process of {}: {}", self.spec.name, error.message()));
        match error.hint() {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    }
}
