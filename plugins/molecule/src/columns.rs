//! Columns of atoms that are not there as long as they would say what is so without them.

/// Adds to a column that is not there as long as it has defaults only. `count` values stand before.
pub(crate) fn sparse<T: Clone + Default + PartialEq>(column: &mut Vec<T>, count: usize, value: T) {
    if column.is_empty() {
        if value == T::default() {
            return;
        }
        *column = vec![T::default(); count];
    }
    column.push(value);
}

/// A column of `count` values that takes no memory as long as they are the usual ones.
pub(crate) struct Unusual<T, F> {
    values: Vec<T>,
    seen: usize,
    count: u64,
    usual: F,
}

impl<T: PartialEq, F: Fn(usize) -> T> Unusual<T, F> {
    /// `usual` tells the value of a place.
    pub(crate) fn new(count: u64, usual: F) -> Self {
        Self { values: Vec::new(), seen: 0, count, usual }
    }

    pub(crate) fn extend(&mut self, mut values: impl Iterator<Item = T>) {
        while self.values.is_empty() {
            let Some(value) = values.next() else { return };
            if value == (self.usual)(self.seen) {
                self.seen += 1;
            } else {
                self.values.reserve_exact(self.count as usize);
                self.values.extend((0..self.seen).map(&self.usual));
                self.values.push(value);
            }
        }
        self.values.extend(values);
    }

    /// No values, if all are the usual ones.
    pub(crate) fn into_values(self) -> Vec<T> {
        self.values
    }
}
