//! The byte gate: admits work while the sum of what it was granted stays within a cap. First come, first served, so that a
//! large item is not overtaken for ever by small ones; an item above the cap is granted the cap and runs alone.

use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Default)]
struct State {
    used: u64,
    next_ticket: u64,
    serving: u64,
}

/// A semaphore of bytes.
pub(crate) struct Gate {
    cap: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// Bytes granted; given back on drop.
pub(crate) struct Grant<'g> {
    gate: &'g Gate,
    pub(crate) bytes: u64,
}

impl Gate {
    pub(crate) fn new(cap: u64) -> Self {
        Self { cap: cap.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for `bytes`, at most the cap.
    pub(crate) fn acquire(&self, bytes: u64) -> Grant<'_> {
        let bytes = bytes.min(self.cap);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        while state.serving != ticket || state.used + bytes > self.cap {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used += bytes;
        state.serving += 1;
        drop(state);
        self.changed.notify_all();
        Grant { gate: self, bytes }
    }
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).used -= self.bytes;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Gate;

    #[test]
    fn the_sum_of_grants_stays_within_the_cap() {
        let gate = Gate::new(100);
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (gate, now, peak) = (&gate, &now, &peak);
                scope.spawn(move || {
                    for round in 0..50 {
                        let grant = gate.acquire(10 + (thread * 31 + round * 17) % 200);
                        assert!(grant.bytes <= 100);
                        let sum = now.fetch_add(grant.bytes, Ordering::SeqCst) + grant.bytes;
                        peak.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(grant.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(peak.load(Ordering::SeqCst) <= 100);
        assert_eq!(now.load(Ordering::SeqCst), 0);
    }
}
