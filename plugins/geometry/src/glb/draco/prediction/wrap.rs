//! Distances modulo the range of values.

use mediary_core::Result;

use super::super::memory::Memory;
use super::super::stream::Stream;

/// The range of values.
pub(super) struct Wrap {
    least: i32,
    largest: i32,
    span: i32,
}

impl Wrap {
    pub(super) fn read(stream: &mut Stream<'_>) -> Result<Self> {
        let (least, largest) = (stream.i32("the least value")?, stream.i32("the largest value")?);
        match largest.checked_sub(least).and_then(|span| span.checked_add(1)) {
            Some(span) if span > 0 => Ok(Self { least, largest, span }),
            _ => Err(stream.fail(format!("expected a range of less than 2^31 values, found {least} to {largest}"))),
        }
    }

    /// What is `distance` away from a prediction that is brought into the range first.
    #[inline]
    fn correct(&self, predicted: i32, distance: i32) -> i32 {
        let value = predicted.clamp(self.least, self.largest).wrapping_add(distance);
        if value > self.largest {
            value.wrapping_sub(self.span)
        } else if value < self.least {
            value.wrapping_add(self.span)
        } else {
            value
        }
    }

    /// Makes values of distances, one after the other. `predict` has the number of the value, those before it, and the place
    /// for its prediction; if it has none, that is the value before, and zero for the first.
    pub(super) fn each(
        &self,
        width: usize,
        values: &mut [i32],
        memory: &mut Memory<'_>,
        predict: impl FnMut(u32, &[i32], &mut [i32]) -> Result<bool>,
    ) -> Result<()> {
        // Loops over components are unrolled where their number is known.
        match width {
            2 => self.run(2, values, memory, predict),
            3 => self.run(3, values, memory, predict),
            _ => self.run(width, values, memory, predict),
        }
    }

    #[inline(always)]
    fn run(
        &self,
        width: usize,
        values: &mut [i32],
        memory: &mut Memory<'_>,
        mut predict: impl FnMut(u32, &[i32], &mut [i32]) -> Result<bool>,
    ) -> Result<()> {
        let mut space = [0; 256];
        let predicted = &mut space[..width];
        for number in 0..values.len() / width {
            memory.step()?;
            let (before, rest) = values.split_at_mut(number * width);
            if number > 0 && !predict(number as u32, before, predicted)? {
                predicted.copy_from_slice(&before[(number - 1) * width..]);
            }
            for (value, &predicted) in rest.iter_mut().zip(predicted.iter()) {
                *value = self.correct(predicted, *value);
            }
        }
        Ok(())
    }
}
