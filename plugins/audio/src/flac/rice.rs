//! Rice coding of residuals (RFC 9639, section 9.2.7): the cheapest partitions and parameters, and their bits.
//!
//! Residuals come folded: `2r` for `r >= 0`, else `-2r - 1`, so that the signed width of `r` is the width of the folded
//! number. The search knows the exact size of every partition for every parameter between the smallest and the largest that
//! any of the finest partitions asks for; a parent's best parameter lies between those of its halves.

use super::encode::BitWriter;

/// The streamable subset allows no finer partitions.
const MOST_ORDER: u32 = 8;
/// The largest Rice parameter of a 4-bit field and of a 5-bit field; one more is the escape code.
const MOST_NARROW: u32 = 14;
const MOST_WIDE: u32 = 30;

/// How one partition is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// Rice codes of this parameter.
    Rice(u32),
    /// Plain signed numbers of this width.
    Plain(u32),
}

/// How a residual is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Coding {
    /// Bits of all of it, exactly.
    pub(super) bits: u64,
    order: u32,
    wide: bool,
    parts: Vec<Part>,
}

/// What the search keeps between blocks, so that it allocates once.
#[derive(Default)]
pub(super) struct Search {
    /// Sums of `folded >> k` for each partition and each parameter that is tried.
    sums: Vec<u64>,
    /// The bits that occur in each partition.
    masks: Vec<u32>,
    parts: Vec<Part>,
}

impl Search {
    /// Finds the cheapest coding of a block of `size` samples whose first `warm_up` are no residuals.
    pub(super) fn run(&mut self, folded: &[u32], size: usize, warm_up: usize, best: &mut Coding) {
        let finest = (0..=MOST_ORDER)
            .take_while(|&order| size.is_multiple_of(1 << order) && size >> order > warm_up)
            .last()
            .unwrap_or(0);
        let (first, count) = self.measure(folded, (size >> finest) - warm_up, size >> finest);
        best.bits = u64::MAX;
        for order in (0..=finest).rev() {
            if order < finest {
                self.halve(count);
            }
            for wide in [false, true] {
                // The longer fields cost a bit each; they pay only where a parameter needs them.
                if wide && first + count as u32 - 1 <= MOST_NARROW {
                    continue;
                }
                let bits = self.price(size >> order, warm_up, wide, first, count);
                if bits < best.bits {
                    (best.bits, best.order, best.wide) = (bits, order, wide);
                    std::mem::swap(&mut best.parts, &mut self.parts);
                }
            }
        }
    }

    /// Fills the tables for the finest partitions, of which the first is shorter. The first parameter of the table and their number.
    fn measure(&mut self, folded: &[u32], short: usize, long: usize) -> (u32, usize) {
        let (head, rest) = folded.split_at(short.min(folded.len()));
        let leaves = || std::iter::once(head).chain(rest.chunks(long));
        self.masks.clear();
        let (mut low, mut high) = (MOST_WIDE, 0);
        for leaf in leaves() {
            let mask = leaf.iter().fold(0, |mask, value| mask | value);
            self.masks.push(mask);
            let mean = shifted(leaf, 0, mask) / leaf.len().max(1) as u64;
            let guess = mean.checked_ilog2().unwrap_or(0);
            low = low.min(guess);
            high = high.max(guess);
        }
        let (low, high) = (low.saturating_sub(1), (high + 1).min(MOST_WIDE));
        self.sums.clear();
        for (leaf, &mask) in leaves().zip(&self.masks) {
            self.sums.extend((low..=high).map(|k| shifted(leaf, k, mask)));
        }
        (low, (high - low + 1) as usize)
    }

    /// Joins every two partitions.
    fn halve(&mut self, count: usize) {
        let parts = self.masks.len() / 2;
        for part in 0..parts {
            self.masks[part] = self.masks[2 * part] | self.masks[2 * part + 1];
            for k in 0..count {
                self.sums[part * count + k] = self.sums[2 * part * count + k] + self.sums[(2 * part + 1) * count + k];
            }
        }
        self.masks.truncate(parts);
        self.sums.truncate(parts * count);
    }

    /// Chooses the best parameter for each partition of `long` samples; the bits of all.
    fn price(&mut self, long: usize, warm_up: usize, wide: bool, first: u32, count: usize) -> u64 {
        let (field, most) = if wide { (5, MOST_WIDE) } else { (4, MOST_NARROW) };
        self.parts.clear();
        let mut total = 2 + 4;
        for (number, (sums, mask)) in self.sums.chunks_exact(count).zip(&self.masks).enumerate() {
            let samples = if number == 0 { long - warm_up } else { long } as u64;
            let width = 32 - mask.leading_zeros();
            // The width of an escaped partition has 5 bits; a partition of 32-bit numbers has no plain form.
            let mut best = if width < 32 {
                (5 + samples * u64::from(width), Part::Plain(width))
            } else {
                (u64::MAX, Part::Plain(0))
            };
            for (k, &sum) in (first..=most).zip(sums) {
                let bits = sum + samples * u64::from(k + 1);
                if bits < best.0 {
                    best = (bits, Part::Rice(k));
                }
            }
            total = u64::saturating_add(total, best.0.saturating_add(field));
            self.parts.push(best.1);
        }
        total
    }
}

/// The sum of `value >> k`.
fn shifted(values: &[u32], k: u32, mask: u32) -> u64 {
    if (values.len() as u64) << (32 - mask.leading_zeros()) <= 1 << 32 {
        // It fits 32 bits, which takes half the time.
        return values.iter().map(|value| value >> k).fold(0_u32, u32::wrapping_add).into();
    }
    values.iter().map(|value| u64::from(value >> k)).sum()
}

impl Coding {
    /// Writes the residual it was found for.
    pub(super) fn write(&self, folded: &[u32], size: usize, warm_up: usize, out: &mut BitWriter) {
        let (field, escape) = if self.wide { (5, MOST_WIDE + 1) } else { (4, MOST_NARROW + 1) };
        out.put(u64::from(self.wide), 2);
        out.put(self.order.into(), 4);
        let mut rest = folded;
        for (number, &part) in self.parts.iter().enumerate() {
            let count = if number == 0 { (size >> self.order) - warm_up } else { size >> self.order };
            let (values, after) = rest.split_at(count);
            rest = after;
            match part {
                Part::Rice(k) => {
                    out.put(k.into(), field);
                    values.iter().for_each(|&value| out.rice(value, k));
                }
                Part::Plain(width) => {
                    out.put(escape.into(), field);
                    out.put(width.into(), 5);
                    for &value in values {
                        let residual = (value >> 1) ^ (value & 1).wrapping_neg();
                        out.put(u64::from(residual) & ((1 << width) - 1), width);
                    }
                }
            }
        }
    }
}
