//! What one decoding takes: memory from the budget, time by its checkpoints.

use mediary_core::{Context, Result};

/// Counts what is taken from the budget and gives it back at its end.
pub(super) struct Memory<'a> {
    cx: &'a Context,
    taken: u64,
    steps: u32,
}

impl<'a> Memory<'a> {
    pub(super) fn new(cx: &'a Context) -> Self {
        Self { cx, taken: 0, steps: 0 }
    }

    /// For what is let go of before the rest.
    pub(super) fn inner(&self) -> Self {
        Self::new(self.cx)
    }

    pub(super) fn take(&mut self, bytes: u64) -> Result<()> {
        self.cx.budget().take(bytes)?;
        self.taken += bytes;
        Ok(())
    }

    /// `count` times `value`.
    pub(super) fn vec<T: Clone>(&mut self, value: T, count: usize) -> Result<Vec<T>> {
        self.take((count as u64).saturating_mul(size_of::<T>() as u64))?;
        Ok(vec![value; count])
    }

    /// An empty vector with room for `count` elements.
    pub(super) fn room<T>(&mut self, count: usize) -> Result<Vec<T>> {
        self.take((count as u64).saturating_mul(size_of::<T>() as u64))?;
        Ok(Vec::with_capacity(count))
    }

    /// A checkpoint every few thousand calls.
    #[inline]
    pub(super) fn step(&mut self) -> Result<()> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(4096) { self.checkpoint() } else { Ok(()) }
    }

    pub(super) fn checkpoint(&self) -> Result<()> {
        self.cx.checkpoint()
    }

    /// What stays taken: the decoded values.
    pub(super) fn keep(mut self) {
        self.taken = 0;
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        self.cx.budget().give_back(self.taken);
    }
}
