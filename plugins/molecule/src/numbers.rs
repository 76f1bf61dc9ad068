//! Numbers that files give atoms, and the places these have.

use std::collections::HashMap;

/// Bytes of memory that a number takes.
pub(crate) const NUMBER_BYTES: u64 = 48;

/// Numbers in the order of the atoms.
#[derive(Default)]
pub(crate) struct Numbers {
    numbers: Vec<i64>,
    /// Empty as long as the numbers run from 1.
    places: HashMap<i64, u32>,
}

impl Numbers {
    /// Adds the number of the next atom; `false` if there is one of that number.
    pub(crate) fn add(&mut self, number: i64) -> bool {
        let index = self.numbers.len();
        self.numbers.push(number);
        if self.places.is_empty() {
            if number == index as i64 + 1 {
                return true;
            }
            self.places = self.numbers[..index].iter().copied().zip(0..).collect();
        }
        self.places.insert(number, index as u32).is_none()
    }

    /// The place of the atom of this number.
    pub(crate) fn find(&self, number: i64) -> Option<u32> {
        if !self.places.is_empty() {
            return self.places.get(&number).copied();
        }
        (1..=self.numbers.len() as i64).contains(&number).then(|| number as u32 - 1)
    }

    /// The numbers, unless they run from 1.
    pub(crate) fn into_serials(self) -> Vec<i64> {
        if self.places.is_empty() { Vec::new() } else { self.numbers }
    }
}
