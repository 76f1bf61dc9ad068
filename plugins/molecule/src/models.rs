//! Numbers of models, and the memory that grows with them.

use std::collections::HashSet;

use mediary_core::record::molecule::Model;
use mediary_core::{Context, Result};

/// Bytes of memory that a position takes.
pub(crate) const POSITION_BYTES: u64 = size_of::<[f64; 3]>() as u64;
/// Bytes of memory that a model takes beside its positions: in a vector that has grown, and by its number.
pub(crate) const MODEL_BYTES: u64 = 2 * (size_of::<Model>() + size_of::<i64>()) as u64;
/// Elements for which memory is asked for at once, at most.
const BLOCK: usize = 4096;

/// Memory of columns that grow together: asked for as they grow, twofold while they are short.
#[derive(Default)]
pub(crate) struct Growth(usize);

impl Growth {
    /// Takes memory from the budget so that there is room for one more than `count` elements of `bytes` each.
    pub(crate) fn make_room(&mut self, count: usize, bytes: u64, cx: &Context) -> Result<()> {
        if count >= self.0 {
            let more = self.0.clamp(4, BLOCK);
            cx.budget().take(more as u64 * bytes)?;
            self.0 += more;
        }
        Ok(())
    }
}

/// Makes the numbers of models positive and unique: a number that is not becomes the one behind the highest so far.
/// `changed` is called with the number that stood there and the new one.
pub(crate) fn number<'m>(models: impl IntoIterator<Item = &'m mut Model>, mut changed: impl FnMut(i64, i64)) {
    let mut taken = HashSet::new();
    let mut highest = 0;
    for model in models {
        if model.number < 1 || !taken.insert(model.number) {
            let free = highest + 1;
            changed(model.number, free);
            model.number = free;
            taken.insert(free);
        }
        highest = highest.max(model.number);
    }
}

/// Numbers to write models by: their own where they are positive and unique, 1 to n otherwise.
pub(crate) fn written<'m>(models: impl IntoIterator<Item = &'m Model>) -> Vec<i64> {
    let own: Vec<i64> = models.into_iter().map(|model| model.number).collect();
    let mut taken = HashSet::new();
    match own.iter().all(|&number| number > 0 && taken.insert(number)) {
        true => own,
        false => (1..).take(own.len()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_positive_and_unique() {
        for (given, numbers) in [
            (&[0, 0, 0, 0][..], &[1, 2, 3, 4][..]),
            (&[1, 1, 2], &[1, 2, 3]),
            (&[-3, 7, 0, 2], &[1, 7, 8, 2]),
            (&[3, 1, 2], &[3, 1, 2]),
        ] {
            let mut models: Vec<_> = given.iter().map(|&number| Model { number, ..Model::default() }).collect();
            let dense = written(&models);
            let mut changes = 0;
            number(&mut models, |_, _| changes += 1);
            let found: Vec<_> = models.iter().map(|model| model.number).collect();
            assert_eq!(found, numbers);
            assert_eq!(written(&models), numbers);
            assert!(if changes == 0 { dense == numbers } else { dense.iter().copied().eq(1..=given.len() as i64) });
        }
    }
}
