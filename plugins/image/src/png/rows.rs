//! The filters of rows: undone, all of them; done, that of Paeth, which makes photographs smallest.
//!
//! Specification: W3C PNG, third edition, section 9. Every row begins with the number of its filter: 0 none, 1 the pixel
//! to the left, 2 the pixel above, 3 the mean of both, 4 that of left, above and above left which is nearest to left +
//! above - above left (Paeth). Bytes are differences to what the filter foresees; outside the picture are zeros.

/// Rows of whole bytes a pixel, as they come.
pub(super) struct Rows<'p> {
    pixels: &'p mut [u8],
    /// Bytes of a row.
    row: usize,
    /// Bytes of a pixel.
    pixel: usize,
    /// Bytes of the rows that are done.
    done: usize,
    /// Stands above the first row.
    zeros: Vec<u8>,
}

impl<'p> Rows<'p> {
    /// Rows of `row` bytes fill `pixels`.
    pub(super) fn new(pixels: &'p mut [u8], row: usize, pixel: usize) -> Self {
        Self { pixels, row, pixel, done: 0, zeros: vec![0; row] }
    }

    /// Bytes of a row with the number of its filter.
    pub(super) fn filtered_len(&self) -> usize {
        self.row + 1
    }

    pub(super) fn are_complete(&self) -> bool {
        self.done == self.pixels.len()
    }

    /// Undoes the filters of the whole rows at the start of `filtered`: their bytes. `None` for a filter that is none,
    /// and for rows behind the last.
    pub(super) fn add(&mut self, filtered: &[u8]) -> Option<usize> {
        let mut taken = 0;
        for line in filtered.chunks_exact(self.filtered_len()) {
            let (&filter, line) = line.split_first()?;
            let (above, rest) = self.pixels.split_at_mut(self.done);
            let above = if self.done == 0 { &self.zeros } else { &above[self.done - self.row..] };
            let out = rest.get_mut(..self.row)?;
            match (filter, self.pixel) {
                (0, _) => out.copy_from_slice(line),
                (2, _) => out.iter_mut().zip(line).zip(above).for_each(|((out, x), b)| *out = x.wrapping_add(*b)),
                (1 | 3 | 4, 1) => undo::<1>(filter, line, above, out),
                (1 | 3 | 4, 2) => undo::<2>(filter, line, above, out),
                (1 | 3 | 4, 3) => undo::<3>(filter, line, above, out),
                (1 | 3 | 4, 4) => undo::<4>(filter, line, above, out),
                (1 | 3 | 4, 6) => undo::<6>(filter, line, above, out),
                (1 | 3 | 4, 8) => undo::<8>(filter, line, above, out),
                _ => return None,
            }
            self.done += self.row;
            taken += self.filtered_len();
        }
        Some(taken)
    }
}

/// Undoes a filter that looks to the left, on pixels of `N` bytes.
fn undo<const N: usize>(filter: u8, line: &[u8], above: &[u8], out: &mut [u8]) {
    match filter {
        1 => each::<N>(line, above, out, |a, _, _| a),
        3 => each::<N>(line, above, out, |a, b, _| (a + b) >> 1),
        _ => each::<N>(line, above, out, paeth),
    }
}

/// Adds to every byte what is foreseen from the bytes to the left, above, and above left.
#[inline(always)]
fn each<const N: usize>(line: &[u8], above: &[u8], out: &mut [u8], foreseen: impl Fn(i16, i16, i16) -> i16) {
    let (mut left, mut corner) = ([0_i16; N], [0_i16; N]);
    let pixels = line.as_chunks::<N>().0.iter().zip(above.as_chunks::<N>().0);
    for ((x, above), out) in pixels.zip(out.as_chunks_mut::<N>().0) {
        for at in 0..N {
            let b = i16::from(above[at]);
            out[at] = x[at].wrapping_add(foreseen(left[at], b, corner[at]) as u8);
            (left[at], corner[at]) = (out[at].into(), b);
        }
    }
}

/// Whichever of `a`, `b` and `c` is nearest to a + b - c, in this order. That is c where it lies between the others: then the
/// sum does too, at the same distance from the other side. Where the sum is beyond one of them, it is that one.
#[inline(always)]
fn paeth(a: i16, b: i16, c: i16) -> i16 {
    let (low, high) = (a.min(b), a.max(b));
    let beyond = 3 * c - (a + b);
    let near = if high <= beyond { low } else { c };
    if beyond <= low { high } else { near }
}

/// Filters a row of pixels of `pixel` bytes by Paeth; `out` is longer by the number of the filter.
pub(super) fn filter(pixel: usize, row: &[u8], above: &[u8], out: &mut [u8]) {
    let Some((number, out)) = out.split_first_mut() else { return };
    *number = 4;
    let (first, out) = out.split_at_mut(pixel);
    first.iter_mut().zip(row).zip(above).for_each(|((out, x), b)| *out = x.wrapping_sub(*b));
    let known = row.iter().zip(&above[pixel..]).zip(above);
    for ((out, x), ((&a, &b), &c)) in out.iter_mut().zip(&row[pixel..]).zip(known) {
        *out = x.wrapping_sub(paeth_of_bytes(a, b, c));
    }
}

/// [`paeth`] in bytes and without branches: sixteen at once in a register. The distance of the sum from c is the sum of the
/// others, or their difference where a and b are on two sides of c; of the sum it matters only that it is no less than either.
#[inline(always)]
fn paeth_of_bytes(a: u8, b: u8, c: u8) -> u8 {
    let all = |condition: bool| u8::from(condition).wrapping_neg();
    let (from_a, from_b) = (b.max(c) - b.min(c), a.max(c) - a.min(c));
    let one_side = !(all(a.min(c) == a) ^ all(b.min(c) == b));
    let from_c = (from_a.max(from_b) - from_a.min(from_b)) | one_side;
    let is_a = all(from_a.min(from_b) == from_a) & all(from_a.min(from_c) == from_a);
    let is_b = all(from_b.min(from_c) == from_b);
    (a & is_a) | (!is_a & ((b & is_b) | (c & !is_b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paeth_is_that_of_the_specification() {
        // Section 9.4, word for word.
        let stated = |a: i16, b: i16, c: i16| {
            let p = a + b - c;
            let (pa, pb, pc) = ((p - a).abs(), (p - b).abs(), (p - c).abs());
            if pa <= pb && pa <= pc {
                a
            } else if pb <= pc {
                b
            } else {
                c
            }
        };
        for a in 0..256 {
            for b in 0..256 {
                for c in 0..256 {
                    let stated = stated(a, b, c);
                    assert_eq!(paeth(a, b, c), stated, "{a} {b} {c}");
                    assert_eq!(i16::from(paeth_of_bytes(a as u8, b as u8, c as u8)), stated, "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn what_is_filtered_is_undone() {
        let bytes: Vec<u8> = (0..240_u32).map(|at| ((at * at * 37) >> 3) as u8).collect();
        for pixel in [1, 2, 3, 4, 6, 8] {
            for row in [pixel, 24, 48] {
                let mut pixels = vec![0; bytes.len()];
                let mut rows = Rows::new(&mut pixels, row, pixel);
                let zeros = vec![0; row];
                let mut above = zeros.as_slice();
                for line in bytes.chunks_exact(row) {
                    let mut out = vec![0; row + 1];
                    filter(pixel, line, above, &mut out);
                    assert_eq!(rows.add(&out), Some(row + 1));
                    above = line;
                }
                assert!(rows.are_complete());
                assert_eq!(pixels, bytes, "rows of {row}, pixels of {pixel}");
            }
        }
    }

    #[test]
    fn rows_that_are_none_end_it() {
        let mut pixels = [0; 4];
        let mut rows = Rows::new(&mut pixels, 2, 1);
        assert_eq!(rows.add(&[1, 5, 6, 4]), Some(3));
        assert!(!rows.are_complete());
        assert_eq!(rows.add(&[4, 1]), Some(0), "half a row");
        assert_eq!(rows.add(&[5, 1, 1]), None, "no such filter");
        assert_eq!(rows.add(&[4, 1, 1]), Some(3));
        assert!(rows.are_complete());
        assert_eq!(rows.add(&[0, 1, 1]), None, "a row too many");
        assert_eq!(pixels, [5, 11, 6, 12]);
    }
}
