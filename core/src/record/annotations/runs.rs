//! Pixels of an object as run lengths, and the pixels inside of polygons.
//!
//! Which pixels a polygon covers is a matter of convention; here it is that of the COCO tools, to the pixel, so that masks
//! and areas are those of published datasets: corners are rounded to fifths of a pixel, the edges are walked in these, and where one
//! crosses the centre of a column of pixels, the column changes sides at that height.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Mask;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::record::Buffer;

/// Steps a pixel in which edges are walked.
const STEPS: i64 = 5;

/// The step in which a column has its centre: it is crossed between this one and the next.
const CENTRE: i64 = 2;

/// Steps beyond which a corner counts as being there: far outside any image, and sums of them are exact.
const FAR: f64 = (1_u64 << 40) as f64;

/// Crossings between two looks at budget and clock.
const BLOCK: usize = 1 << 16;

/// Pixels of an object in an image of this size: the lengths of runs outside and inside by turns, beginning outside, down the
/// columns from the left one on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RunsParts")]
pub struct Runs {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    // Bulk is no part of the record JSON.
    #[serde(skip_serializing_if = "crate::wire::outside")]
    counts: Buffer<u32>,
}

#[derive(Deserialize)]
struct RunsParts {
    width: u32,
    height: u32,
    counts: Buffer<u32>,
}

impl TryFrom<RunsParts> for Runs {
    type Error = Error;

    fn try_from(parts: RunsParts) -> Result<Self> {
        Self::new(parts.width, parts.height, parts.counts)
    }
}

impl Runs {
    /// Runs of these lengths.
    ///
    /// # Errors
    /// `Malformed` when they are not `width * height` pixels together.
    pub fn new(width: u32, height: u32, counts: impl Into<Buffer<u32>>) -> Result<Self> {
        let counts = counts.into();
        let expected = u64::from(width) * u64::from(height);
        let found: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        if found != expected {
            return Err(Error::malformed(format!(
                "expected runs over {expected} pixels ({width} x {height}), found runs over {found}"
            )));
        }
        Ok(Self { width, height, counts })
    }

    /// The pixels inside of any of these polygons. The parts of them that lie outside of the image are cut off.
    ///
    /// # Errors
    /// `Limit` and `Cancelled`.
    pub fn of_polygons(polygons: &[Vec<[f64; 2]>], width: u32, height: u32, cx: &Context) -> Result<Self> {
        let mut inside = Vec::new();
        let mut taken = 0;
        for polygon in polygons {
            let mut crossings = Crossings { width, height, found: Vec::new(), taken: 0, cx };
            crossings.polygon(polygon)?;
            crossings.found.sort_unstable();
            let before = inside.len();
            // Two crossings at one place undo each other.
            let odd = crossings.found.chunk_by(|a, b| a == b).filter(|same| same.len() % 2 == 1);
            let mut edges = odd.map(|same| same[0]);
            let end = u64::from(width) * u64::from(height);
            while let Some(start) = edges.next() {
                inside.push((start, edges.next().unwrap_or(end)));
            }
            let kept = (inside.len() - before) as u64 * RANGE;
            cx.budget().give_back(crossings.taken);
            cx.budget().take(kept)?;
            taken += kept;
        }
        let runs = Self::of_ranges(inside, width, height, cx);
        cx.budget().give_back(taken);
        runs
    }

    /// Runs of ranges of pixels, counted down the columns, in any order.
    fn of_ranges(mut inside: Vec<(u64, u64)>, width: u32, height: u32, cx: &Context) -> Result<Self> {
        inside.sort_unstable();
        cx.budget().take(inside.len() as u64 * 8 + 4)?;
        let mut counts = Vec::with_capacity(inside.len() * 2 + 1);
        let (mut at, mut open) = (0, None::<(u64, u64)>);
        let end = u64::from(width) * u64::from(height);
        let mut push = |start: u64, end: u64| {
            // An image of more than 32 bits of pixels is beyond every limit.
            counts.push((start - at) as u32);
            counts.push((end - start) as u32);
            at = end;
        };
        for (start, stop) in inside {
            open = match open {
                Some((first, last)) if start <= last => Some((first, last.max(stop))),
                Some((first, last)) => {
                    push(first, last);
                    Some((start, stop))
                }
                None => Some((start, stop)),
            };
        }
        if let Some((first, last)) = open.filter(|(first, last)| first < last) {
            push(first, last);
        }
        if at < end || counts.is_empty() {
            counts.push((end - at) as u32);
        }
        Self::new(width, height, counts)
    }

    /// The lengths.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The runs inside, as ranges of pixels counted down the columns.
    pub fn inside(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        let mut at = 0;
        self.counts.as_chunks::<2>().0.iter().map(move |&[outside, inside]| {
            let start = at + u64::from(outside);
            at = start + u64::from(inside);
            start..at
        })
    }

    /// Number of pixels.
    #[must_use]
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// `[min_x, min_y, max_x, max_y]` of the smallest box around them; of none, zeros.
    #[must_use]
    pub fn bounds(&self) -> [f64; 4] {
        let height = u64::from(self.height).max(1);
        let mut bounds = None::<[u64; 4]>;
        for run in self.inside().filter(|run| !run.is_empty()) {
            let (left, top, right, bottom) =
                (run.start / height, run.start % height, (run.end - 1) / height, (run.end - 1) % height);
            // One that goes on in the next column touches both ends of a column.
            let (top, bottom) = if left == right { (top, bottom) } else { (0, height - 1) };
            let [a, b, c, d] = bounds.unwrap_or([left, top, right + 1, bottom + 1]);
            bounds = Some([a.min(left), b.min(top), c.max(right + 1), d.max(bottom + 1)]);
        }
        bounds.unwrap_or_default().map(|value| value as f64)
    }

    /// Paints the pixels into a row-major raster of the same size.
    pub(super) fn paint(&self, classes: &mut [u16], class: u16, cx: &Context) -> Result<()> {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        for (index, run) in self.inside().enumerate() {
            if index % BLOCK == 0 {
                cx.checkpoint()?;
            }
            let (mut x, mut y) = (run.start / height.max(1), run.start % height.max(1));
            for _ in run {
                classes[(y * width + x) as usize] = class;
                y += 1;
                if y == height {
                    (x, y) = (x + 1, 0);
                }
            }
        }
        Ok(())
    }

    /// The pixels that `is_inside` (by x and y) picks of a window `[min_x, min_y, max_x, max_y]` of the image.
    ///
    /// # Errors
    /// `Limit` and `Cancelled`.
    pub fn of_window(
        width: u32,
        height: u32,
        window: [u32; 4],
        is_inside: impl Fn(u32, u32) -> bool,
        cx: &Context,
    ) -> Result<Self> {
        let [left, top, right, bottom] = window;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for x in left..right.min(width) {
            cx.checkpoint()?;
            let column = u64::from(x) * u64::from(height);
            for y in (top..bottom.min(height)).filter(|&y| is_inside(x, y)) {
                extend(&mut ranges, column + u64::from(y), cx)?;
            }
        }
        cx.budget().give_back(ranges.len() as u64 * RANGE);
        Self::of_ranges(ranges, width, height, cx)
    }

    /// The pixels of every class of a mask.
    ///
    /// # Errors
    /// `Limit` and `Cancelled`.
    pub fn of_mask(mask: &Mask, cx: &Context) -> Result<BTreeMap<u16, Self>> {
        let (width, height) = (mask.width, mask.height);
        let mut ranges: BTreeMap<u16, Vec<(u64, u64)>> = BTreeMap::new();
        for x in 0..width {
            cx.checkpoint()?;
            let column = u64::from(x) * u64::from(height);
            for (y, class) in mask.classes().iter().skip(x as usize).step_by(width as usize).enumerate() {
                extend(ranges.entry(*class).or_default(), column + y as u64, cx)?;
            }
        }
        cx.budget().give_back(ranges.values().map(|ranges| ranges.len() as u64 * RANGE).sum());
        ranges.into_iter().map(|(class, ranges)| Ok((class, Self::of_ranges(ranges, width, height, cx)?))).collect()
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(super) fn share(&mut self) {
        let _ = self.counts.share();
    }
}

/// Bytes of a range.
const RANGE: u64 = size_of::<(u64, u64)>() as u64;

/// Adds a pixel to ranges, behind all of them.
fn extend(ranges: &mut Vec<(u64, u64)>, at: u64, cx: &Context) -> Result<()> {
    match ranges.last_mut() {
        Some((_, end)) if *end == at => *end += 1,
        _ => {
            cx.budget().take(RANGE)?;
            ranges.push((at, at + 1));
        }
    }
    Ok(())
}

/// Where the edges of a polygon cross the centres of columns: numbers of pixels down the columns.
struct Crossings<'a> {
    width: u32,
    height: u32,
    found: Vec<u64>,
    /// Bytes taken for them.
    taken: u64,
    cx: &'a Context,
}

impl Crossings<'_> {
    fn polygon(&mut self, corners: &[[f64; 2]]) -> Result<()> {
        // Rounded towards zero, as a cast in C does.
        let step = |value: f64| (STEPS as f64 * value + 0.5).clamp(-FAR, FAR) as i64;
        let steps = |corner: &[f64; 2]| corner.map(step);
        for (index, corner) in corners.iter().enumerate() {
            if index % BLOCK == 0 {
                self.cx.checkpoint()?;
            }
            let next = corners.get(index + 1).unwrap_or(&corners[0]);
            self.edge(steps(corner), steps(next))?;
        }
        Ok(())
    }

    /// An edge from its lower end on along its longer side, x or y, with a step of one there.
    fn edge(&mut self, from: [i64; 2], to: [i64; 2]) -> Result<()> {
        let (dx, dy) = ((from[0] - to[0]).abs(), (from[1] - to[1]).abs());
        let flat = dx >= dy;
        let turned = if flat { from[0] > to[0] } else { from[1] > to[1] };
        let ([x, y], end) = if turned { (to, from) } else { (from, to) };
        let slope = if flat { (end[1] - y) as f64 / dx as f64 } else { (end[0] - x) as f64 / dy as f64 };
        let other = |start: i64, step: i64| (start as f64 + slope * step as f64 + 0.5) as i64;
        let (left, right) = (x.min(end[0]), x.max(end[0]));
        let first = (left - CENTRE + STEPS - 1).div_euclid(STEPS).max(0);
        let last = (right - CENTRE - 1).div_euclid(STEPS).min(i64::from(self.width) - 1);
        for column in first..=last {
            let before = column * STEPS + CENTRE;
            let top = if flat {
                other(y, before - x).min(other(y, before + 1 - x))
            } else {
                // The first step that is on the other side; the one before it is the upper one.
                let beyond = |step: i64| if end[0] > x { other(x, step) > before } else { other(x, step) <= before };
                let (mut low, mut high) = (0, dy);
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if beyond(middle) { high = middle } else { low = middle }
                }
                y + low
            };
            let row = ((top as f64 + 0.5) / STEPS as f64 - 0.5).clamp(0.0, f64::from(self.height)).ceil();
            self.push(column as u64 * u64::from(self.height) + row as u64)?;
        }
        Ok(())
    }

    fn push(&mut self, at: u64) -> Result<()> {
        if self.found.len().is_multiple_of(BLOCK) {
            self.cx.checkpoint()?;
            // A vector that grows has twice the room for a moment.
            self.cx.budget().take(BLOCK as u64 * 24)?;
            self.taken += BLOCK as u64 * 24;
        }
        self.found.push(at);
        Ok(())
    }
}
