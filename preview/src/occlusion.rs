//! How open every visible point is, told from the distances alone: corners and contacts get darker, as they do under a wide sky.
//! "Scalable Ambient Obscurance" (McGuire, Mara, Luebke, 2012), with a wider and a narrower reach.

use std::sync::LazyLock;

use mediary_core::Result;

use crate::camera::HALF;
use crate::math::{V3, cross, dot, sub, unit};
use crate::parallel;
use crate::raster::{Samples, near};

/// Reach of shadows in camera space, where the frame is about half a unit high.
const REACHES: [(f32, f32); 2] = [(0.030, 0.9), (0.13, 1.1)];
/// Points looked at for each reach.
const TAPS: usize = 14;
/// Side of the pattern of turns, and of the blur that evens it out.
const PATTERN: usize = 4;

/// Where is looked, for every place in the pattern: a spiral with the golden angle, of radius 1, turned.
static SPIRALS: LazyLock<Vec<[[f32; 2]; TAPS]>> = LazyLock::new(|| {
    let turns = (0..PATTERN * PATTERN).map(|place| {
        // Neighbours in the pattern are turned against each other as far as can be.
        let turn = (place * 7 % (PATTERN * PATTERN)) as f32 / (PATTERN * PATTERN) as f32;
        std::array::from_fn(|tap| {
            let (sin, cos) = (tap as f32 * 2.399_963 + turn * std::f32::consts::TAU).sin_cos();
            let radius = (tap as f32 + 0.5) / TAPS as f32;
            [cos * radius, sin * radius]
        })
    });
    turns.collect()
});

/// Distances by pixel.
pub(crate) struct Depths {
    pub(crate) size: usize,
    /// Reciprocals of the nearest distance; 0 where there is nothing.
    pub(crate) near: Vec<f32>,
}

impl Depths {
    pub(crate) fn of(samples: &Samples) -> Self {
        let size = samples.edge / samples.grid;
        let mut nearest = vec![0.0_f32; size * size];
        for (row, cells) in samples.cells.chunks_exact(samples.edge).enumerate() {
            let pixels = &mut nearest[row / samples.grid * size..][..size];
            for (pixel, cells) in pixels.iter_mut().zip(cells.chunks_exact(samples.grid)) {
                *pixel = cells.iter().fold(*pixel, |most, cell| most.max(near(*cell)));
            }
        }
        Self { size, near: nearest }
    }

    /// The point seen at a pixel, in camera space.
    fn point(&self, x: usize, y: usize) -> Option<V3> {
        let near = self.near[y * self.size + x];
        if near <= 0.0 {
            return None;
        }
        let (half, distance) = (self.size as f32 / 2.0, 1.0 / near);
        let across = |at: usize| (at as f32 + 0.5 - half) / half * HALF * distance;
        Some([across(x), -across(y), -distance])
    }

    /// The difference to the nearer of two neighbours along an axis.
    fn slope(&self, at: V3, x: usize, y: usize, [dx, dy]: [usize; 2]) -> Option<V3> {
        let after = (x + dx < self.size && y + dy < self.size).then(|| self.point(x + dx, y + dy)).flatten();
        let before = (x >= dx && y >= dy).then(|| self.point(x - dx, y - dy)).flatten();
        match (before.map(|before| sub(at, before)), after.map(|after| sub(after, at))) {
            (Some(a), Some(b)) => Some(if a[2].abs() < b[2].abs() { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    fn openness(&self, x: usize, y: usize) -> f32 {
        let Some(at) = self.point(x, y) else { return 1.0 };
        let slopes = (self.slope(at, x, y, [1, 0]), self.slope(at, x, y, [0, 1]));
        let (Some(right), Some(down)) = slopes else { return 1.0 };
        let Some(normal) = unit(cross(down, right)) else { return 1.0 };
        let spiral = &SPIRALS[x % PATTERN * PATTERN + y % PATTERN];
        REACHES.iter().map(|&(reach, strength)| self.open_within(at, normal, [x, y], spiral, reach, strength)).product()
    }

    fn open_within(
        &self,
        at: V3,
        normal: V3,
        [x, y]: [usize; 2],
        spiral: &[[f32; 2]],
        reach: f32,
        strength: f32,
    ) -> f32 {
        let pixels = reach / -at[2] / HALF * self.size as f32 / 2.0;
        let mut sum = 0.0;
        for [right, down] in spiral {
            let (tx, ty) = (x as f32 + 0.5 + pixels * right, y as f32 + 0.5 + pixels * down);
            let size = self.size as f32;
            if !(tx >= 0.0 && tx < size && ty >= 0.0 && ty < size) {
                continue;
            }
            let Some(other) = self.point(tx as usize, ty as usize) else { continue };
            let v = sub(other, at);
            let square = dot(v, v);
            let within = (reach * reach - square).max(0.0) / (reach * reach);
            let rise = dot(v, normal) - 0.0012;
            sum += within * within * within * (rise * reach / (square + 1e-6)).max(0.0);
        }
        (1.0 - sum * strength * 2.5 / TAPS as f32).max(0.0)
    }

    /// How open every pixel is, 0 to 1.
    pub(crate) fn open(&self, threads: usize) -> Result<Vec<f32>> {
        let mut raw = vec![1.0_f32; self.near.len()];
        let rows: Vec<_> = raw.chunks_mut(self.size * 16).enumerate().collect();
        parallel::each(threads, rows, |(band, pixels)| {
            for (place, open) in pixels.iter_mut().enumerate() {
                *open = self.openness(place % self.size, band * 16 + place / self.size);
            }
            Ok(())
        })?;
        let mut even = vec![1.0_f32; raw.len()];
        let rows: Vec<_> = even.chunks_mut(self.size * 16).enumerate().collect();
        parallel::each(threads, rows, |(band, pixels)| {
            for (place, open) in pixels.iter_mut().enumerate() {
                *open = self.mean(&raw, place % self.size, band * 16 + place / self.size);
            }
            Ok(())
        })?;
        Ok(even)
    }

    /// The mean over the pattern, among points at about the same distance.
    fn mean(&self, raw: &[f32], x: usize, y: usize) -> f32 {
        let here = self.near[y * self.size + x];
        if here <= 0.0 {
            return 1.0;
        }
        let range = |at: usize| at.saturating_sub(PATTERN / 2)..(at + PATTERN / 2).min(self.size);
        let (mut sum, mut all) = (0.0, 0.0);
        for place in range(y).flat_map(|y| range(x).map(move |x| y * self.size + x)) {
            let weight = (1.0 - (self.near[place] - here).abs() / here * 60.0).max(0.0);
            sum += raw[place] * weight;
            all += weight;
        }
        if all > 0.0 { sum / all } else { raw[y * self.size + x] }
    }
}
