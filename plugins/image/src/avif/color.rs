//! From luma and chroma to red, green and blue: ITU-T H.273, section 8.3.

use mediary_core::{Error, Result};

use super::av1::Frame;
use super::items::Coding;

/// What makes colours of three samples.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Matrix {
    /// They are green, blue and red.
    Identity,
    /// Shares of red and blue in luma.
    Shares(f32, f32),
    YCgCo,
}

/// How samples become numbers from 0 to 1.
#[derive(Clone, Copy, Debug)]
struct Range {
    black: f32,
    luma: f32,
    middle: f32,
    chroma: f32,
}

/// The conversion of one frame.
pub(super) struct Conversion {
    matrix: Matrix,
    range: Range,
}

/// Rows that are used again for each row of a frame.
#[derive(Default)]
pub(super) struct Rows {
    luma: Vec<f32>,
    chroma: [Vec<f32>; 2],
    near: Vec<f32>,
    next: Vec<f32>,
}

impl Conversion {
    pub(super) fn new(coding: Coding, bits: u8) -> Result<Self> {
        let matrix = match coding.matrix {
            0 => Matrix::Identity,
            1 => Matrix::Shares(0.2126, 0.0722),
            4 => Matrix::Shares(0.30, 0.11),
            // What is not said is held to be that of BT.601, as by libavif.
            2 | 3 | 5 | 6 => Matrix::Shares(0.299, 0.114),
            7 => Matrix::Shares(0.212, 0.087),
            8 => Matrix::YCgCo,
            9 => Matrix::Shares(0.2627, 0.0593),
            12 => shares(coding.primaries),
            other => {
                return Err(Error::unsupported(format!("colours coded with the matrix {other} of H.273"))
                    .with_hint("those of constant luminance, ICtCp and reversible YCgCo are not read"));
            }
        };
        let most = ((1_u32 << bits) - 1) as f32;
        let step = (1_u32 << (bits - 8)) as f32;
        let middle = 128.0 * step;
        let range = match coding.full_range {
            true => Range { black: 0.0, luma: most, middle, chroma: most },
            false => Range { black: 16.0 * step, luma: 219.0 * step, middle, chroma: 224.0 * step },
        };
        Ok(Self { matrix, range })
    }

    /// A row of gray, from 0 to 1.
    pub(super) fn gray(&self, frame: &Frame, row: u32, rows: &mut Rows, into: &mut Vec<f32>) {
        frame.row(0, row, &mut rows.luma);
        into.clear();
        into.extend(rows.luma.iter().map(|sample| self.luma(*sample).clamp(0.0, 1.0)));
    }

    /// A row of red, green and blue, from 0 to 1.
    pub(super) fn colors(&self, frame: &Frame, row: u32, rows: &mut Rows, into: &mut Vec<f32>) {
        frame.row(0, row, &mut rows.luma);
        for plane in 0..2 {
            rows.chroma(frame, plane, row);
        }
        into.clear();
        let [first, second] = &rows.chroma;
        for ((luma, first), second) in rows.luma.iter().zip(first).zip(second) {
            let luma = self.luma(*luma);
            let color = match self.matrix {
                Matrix::Identity => [self.luma(*second), luma, self.luma(*first)],
                Matrix::Shares(red, blue) => {
                    let (from_blue, from_red) = (self.chroma(*first), self.chroma(*second));
                    let r = luma + 2.0 * (1.0 - red) * from_red;
                    let b = luma + 2.0 * (1.0 - blue) * from_blue;
                    [r, (luma - red * r - blue * b) / (1.0 - red - blue), b]
                }
                Matrix::YCgCo => {
                    let (green, orange) = (self.chroma(*first), self.chroma(*second));
                    let rest = luma - green;
                    [rest + orange, luma + green, rest - orange]
                }
            };
            into.extend(color.map(|value| value.clamp(0.0, 1.0)));
        }
    }

    fn luma(&self, sample: f32) -> f32 {
        (sample - self.range.black) / self.range.luma
    }

    fn chroma(&self, sample: f32) -> f32 {
        (sample - self.range.middle) / self.range.chroma
    }
}

impl Rows {
    /// A row of chroma, as many samples as of luma: those between are interpolated, three parts of the nearer and one of the next.
    fn chroma(&mut self, frame: &Frame, plane: usize, row: u32) {
        let into = &mut self.chroma[plane];
        let [across, down] = frame.shift;
        if across == 0 {
            frame.row(plane + 1, row, into);
            return;
        }
        let near = row >> down;
        frame.row(plane + 1, near, &mut self.near);
        if down > 0 {
            let last = (frame.height - 1) >> 1;
            let next = if row.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) };
            frame.row(plane + 1, next, &mut self.next);
            for (near, next) in self.near.iter_mut().zip(&self.next) {
                *near = *near * 0.75 + next * 0.25;
            }
        }
        into.clear();
        let last = self.near.len() - 1;
        into.extend((0..frame.width as usize).map(|x| {
            let near = x / 2;
            let next = if x % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(last) };
            self.near[near] * 0.75 + self.near[next] * 0.25
        }));
    }
}

/// The shares of red and blue that follow from primaries and white.
fn shares(primaries: u16) -> Matrix {
    const D65: [f32; 2] = [0.3127, 0.3290];
    const C: [f32; 2] = [0.310, 0.316];
    let ([red, green, blue], white) = match primaries {
        4 => ([[0.67, 0.33], [0.21, 0.71], [0.14, 0.08]], C),
        5 => ([[0.64, 0.33], [0.29, 0.60], [0.15, 0.06]], D65),
        6 | 7 => ([[0.630, 0.340], [0.310, 0.595], [0.155, 0.070]], D65),
        8 => ([[0.681, 0.319], [0.243, 0.692], [0.145, 0.049]], C),
        9 => ([[0.708, 0.292], [0.170, 0.797], [0.131, 0.046]], D65),
        11 => ([[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]], [0.314, 0.351]),
        12 => ([[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]], D65),
        22 => ([[0.630, 0.340], [0.295, 0.605], [0.155, 0.077]], D65),
        _ => ([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]], D65),
    };
    // H.273, formulas 25 to 29: z is what is left of 1.
    let z = |[x, y]: [f32; 2]| 1.0 - x - y;
    let minor = |a: [f32; 2], b: [f32; 2]| a[1] * z(b) - b[1] * z(a);
    let along = |point: [f32; 2], a: [f32; 2], b: [f32; 2]| {
        point[0] * minor(a, b) + point[1] * (b[0] * z(a) - a[0] * z(b)) + z(point) * (a[0] * b[1] - b[0] * a[1])
    };
    let whole = white[1] * along(red, green, blue);
    let share = |one: [f32; 2], a, b| one[1] * along(white, a, b) / whole;
    Matrix::Shares(share(red, green, blue), share(blue, red, green))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What H.273 states for the primaries of BT.709 and BT.2020, in table 4.
    #[test]
    fn shares_follow_from_primaries() {
        for (primaries, red, blue) in [(1, 0.2126, 0.0722), (9, 0.2627, 0.0593)] {
            let Matrix::Shares(found_red, found_blue) = shares(primaries) else { panic!("expected shares") };
            assert!((found_red - red).abs() < 2e-4 && (found_blue - blue).abs() < 2e-4, "{found_red} {found_blue}");
        }
    }
}
