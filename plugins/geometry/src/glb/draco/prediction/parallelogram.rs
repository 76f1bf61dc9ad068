//! A vertex across an edge from a known triangle: the fourth corner of a parallelogram.

use mediary_core::Result;

use super::super::corners::NONE;
use super::super::memory::Memory;
use super::super::rans::Flags;
use super::super::stream::Stream;
use super::Connectivity;
use super::wrap::Wrap;

/// Parallelograms that flags choose from.
const MOST: usize = 4;

/// Predicts the value at a corner from the triangle opposite, if all of its values are known.
#[inline(always)]
fn predict(connectivity: &Connectivity<'_>, corner: u32, number: u32, before: &[i32], predicted: &mut [i32]) -> bool {
    let opposite = connectivity.corners.opposite(corner);
    if opposite == NONE {
        return false;
    }
    let tip = connectivity.value(opposite);
    let [right, left] = connectivity.beside(opposite);
    if tip >= number || right >= number || left >= number {
        return false;
    }
    let width = predicted.len();
    let at = |value: u32| &before[value as usize * width..][..width];
    let (tip, right, left) = (at(tip), at(right), at(left));
    for (i, predicted) in predicted.iter_mut().enumerate() {
        *predicted = right[i].wrapping_add(left[i]).wrapping_sub(tip[i]);
    }
    true
}

/// From the triangle opposite the corner at which the walk came upon the vertex.
pub(super) fn one(
    wrap: &Wrap,
    connectivity: &Connectivity<'_>,
    width: usize,
    values: &mut [i32],
    memory: &mut Memory<'_>,
) -> Result<()> {
    wrap.each(width, values, memory, |number, before, predicted| {
        Ok(predict(connectivity, connectivity.sequence.corner[number as usize], number, before, predicted))
    })
}

fn add(sum: &mut [i32], part: &[i32]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum = sum.wrapping_add(*part);
    }
}

/// Which parallelograms are left out, by how many there are.
pub(super) struct Choices<'a>([Option<(u32, Flags<'a>)>; MOST]);

impl<'a> Choices<'a> {
    pub(super) fn read(stream: &mut Stream<'a>) -> Result<Self> {
        if stream.minor < 2 {
            match stream.u8("the mode of parallelograms")? {
                0 => {}
                mode => return Err(stream.fail(format!("expected mode 0 of parallelograms, found {mode}"))),
            }
        }
        let mut choices = [const { None }; MOST];
        for choice in &mut choices {
            let count = stream.varint("the number of choices")?;
            if count > 0 {
                *choice = Some((count, Flags::open(stream, "choices")?));
            }
        }
        Ok(Self(choices))
    }

    fn is_left_out(&mut self, of: usize, stream: &Stream<'_>) -> Result<bool> {
        match &mut self.0[of - 1] {
            Some((left @ 1.., flags)) => {
                *left -= 1;
                Ok(flags.read())
            }
            _ => Err(stream.fail(format!("expected choices among {of} parallelograms, found no more"))),
        }
    }

    fn finish(&self) -> Result<()> {
        self.0.iter().flatten().try_for_each(|(_, flags)| flags.finish("choices"))
    }
}

/// The mean of those of the first four parallelograms that the choices leave.
pub(super) fn some(
    stream: &Stream<'_>,
    mut choices: Choices<'_>,
    wrap: &Wrap,
    connectivity: &Connectivity<'_>,
    width: usize,
    values: &mut [i32],
    memory: &mut Memory<'_>,
) -> Result<()> {
    let mut pace = memory.inner();
    let mut parts = vec![0; width * MOST];
    wrap.each(width, values, memory, |number, before, predicted| {
        let first = connectivity.sequence.corner[number as usize];
        let (mut corner, mut count, mut leftwards) = (first, 0, true);
        // To the left, then from a border to the right.
        while corner != NONE {
            pace.step()?;
            let part = &mut parts[count * width..][..width];
            count += usize::from(predict(connectivity, corner, number, before, part));
            if count == MOST {
                break;
            }
            corner = match leftwards {
                true => connectivity.corners.swing_left(corner),
                false => connectivity.corners.swing_right(corner),
            };
            if corner == first {
                break;
            }
            if corner == NONE && leftwards {
                leftwards = false;
                corner = connectivity.corners.swing_right(first);
            }
        }
        let mut used = 0;
        predicted.fill(0);
        for part in parts.chunks_exact(width).take(count) {
            if !choices.is_left_out(count, stream)? {
                add(predicted, part);
                used += 1;
            }
        }
        predicted.iter_mut().for_each(|sum| *sum /= used.max(1));
        Ok(used > 0)
    })?;
    choices.finish()
}
