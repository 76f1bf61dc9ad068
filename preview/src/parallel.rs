//! Work on all cores, with results that do not depend on their number.

use std::sync::Mutex;
use std::thread;

use mediary_core::{Error, ErrorKind, Result};

/// Runs `work` on every item. The error is that of the first item that failed, in the order of the items seen.
pub(crate) fn each<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().try_for_each(work);
    }
    let threads = threads.min(items.len());
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().map_or(None, |mut items| items.next());
    let run = || {
        while let Some(item) = next() {
            work(item)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let started: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for thread in started {
            let other =
                thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Plugin, "a drawing thread broke down")));
            done = done.and(other);
        }
        done
    })
}

/// The threads to use where nobody said how many.
pub(crate) fn available() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
