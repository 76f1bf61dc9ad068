//! Predictors and their residuals (RFC 9639, sections 9.2.5 and 9.2.6).
//!
//! The analysis uses only additions, multiplications, divisions and roundings of IEEE doubles in a fixed order: it finds the
//! same coefficients on every machine.

/// The most coefficients of a linear predictor; the streamable subset allows 12 up to 48 kHz.
pub(super) const MOST_ORDER: usize = 8;
/// Lags of the autocorrelation.
const LAGS: usize = MOST_ORDER + 1;
/// The shift has five bits and a sign.
const MOST_SHIFT: i32 = 15;

/// A quantised linear predictor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Linear {
    pub(super) order: usize,
    /// Bits of a coefficient.
    pub(super) precision: u32,
    pub(super) shift: u32,
    /// That of the latest sample first.
    pub(super) coefficients: [i32; MOST_ORDER],
}

/// Residuals are stored folded: `2r`, or `-2r - 1` for a negative one.
fn fold(residual: i32) -> u32 {
    ((residual << 1) ^ (residual >> 31)).cast_unsigned()
}

/// A residual may have any value of 32 bits but the least.
fn fold_wide(residual: i64) -> Option<u32> {
    i32::try_from(residual).ok().filter(|&residual| residual != i32::MIN).map(fold)
}

/// The fixed predictor whose residuals are smallest in sum. `bits` bounds the samples.
pub(super) fn best_fixed(samples: &[i32], bits: u32) -> usize {
    let mut sums = [0_u64; 5];
    if bits <= 25 {
        // The fourth difference has 4 more bits: so many of them add up within 32.
        let most = if bits <= 17 { 2048 } else { 8 };
        let mut at = 0;
        while at + 4 < samples.len() {
            let mut parts = [0_u32; 5];
            let block = &samples[at..samples.len().min(at + most + 4)];
            for window in block.windows(5) {
                let &[e, d, c, b, a] = window else { continue };
                let (ab, bc, cd, de) = (a - b, b - c, c - d, d - e);
                let (abc, bcd, cde) = (ab - bc, bc - cd, cd - de);
                let found = [a, ab, abc, abc - bcd, (abc - bcd) - (bcd - cde)];
                for (part, value) in parts.iter_mut().zip(found) {
                    *part += value.unsigned_abs();
                }
            }
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += u64::from(part));
            at += most;
        }
    } else {
        for window in samples.windows(5) {
            let &[e, d, c, b, a] = window else { continue };
            let [a, b, c, d, e] = [a, b, c, d, e].map(i64::from);
            let found = [a, a - b, a - 2 * b + c, a - 3 * b + 3 * c - d, a - 4 * b + 6 * c - 4 * d + e];
            sums.iter_mut().zip(found).for_each(|(sum, value)| *sum += value.unsigned_abs());
        }
    }
    let best = (0..5).min_by_key(|&order| sums[order]).unwrap_or(0);
    best.min(samples.len().saturating_sub(1))
}

/// Residuals of a fixed predictor, folded. `None` when one has more than 32 bits.
pub(super) fn fixed(samples: &[i32], order: usize, bits: u32, out: &mut Vec<u32>) -> Option<()> {
    out.clear();
    if bits > 27 {
        let factors: &[i64] = [&[1][..], &[-1, 1], &[1, -2, 1], &[-1, 3, -3, 1], &[1, -4, 6, -4, 1]][order];
        for window in samples.windows(order + 1) {
            let residual = window.iter().zip(factors).map(|(&sample, factor)| i64::from(sample) * factor).sum();
            out.push(fold_wide(residual)?);
        }
        return Some(());
    }
    match order {
        0 => out.extend(samples.iter().map(|&a| fold(a))),
        1 => out.extend(samples.windows(2).map(|w| fold(w[1] - w[0]))),
        2 => out.extend(samples.windows(3).map(|w| fold(w[2] - 2 * w[1] + w[0]))),
        3 => out.extend(samples.windows(4).map(|w| fold(w[3] - 3 * (w[2] - w[1]) - w[0]))),
        _ => out.extend(samples.windows(5).map(|w| fold(w[4] - 4 * (w[3] + w[1]) + 6 * w[2] + w[0]))),
    }
    Some(())
}

impl Linear {
    /// Residuals, folded. `None` when one has more than 32 bits. `peak` bounds the samples.
    pub(super) fn residual(&self, samples: &[i32], peak: u32, out: &mut Vec<u32>) -> Option<()> {
        out.clear();
        let weight: u64 = self.coefficients.iter().map(|c| u64::from(c.unsigned_abs())).sum();
        let most = weight * u64::from(peak);
        if most < 1 << 31 && (most >> self.shift) + u64::from(peak) < 1 << 30 {
            match self.order {
                1 => self.narrow::<1>(samples, out),
                2 => self.narrow::<2>(samples, out),
                3 => self.narrow::<3>(samples, out),
                4 => self.narrow::<4>(samples, out),
                5 => self.narrow::<5>(samples, out),
                6 => self.narrow::<6>(samples, out),
                7 => self.narrow::<7>(samples, out),
                _ => self.narrow::<8>(samples, out),
            }
            return Some(());
        }
        let mut reversed = [0; MOST_ORDER];
        for (to, &from) in reversed.iter_mut().zip(self.coefficients[..self.order].iter().rev()) {
            *to = i64::from(from);
        }
        for window in samples.windows(self.order + 1) {
            let past = window.iter().zip(&reversed[..self.order]);
            let sum: i64 = past.map(|(&sample, factor)| i64::from(sample) * factor).sum();
            out.push(fold_wide(i64::from(window[self.order]) - (sum >> self.shift))?);
        }
        Some(())
    }

    /// The case that all sums fit 32 bits.
    fn narrow<const N: usize>(&self, samples: &[i32], out: &mut Vec<u32>) {
        let mut reversed = [0; N];
        for (to, &from) in reversed.iter_mut().zip(self.coefficients[..N].iter().rev()) {
            *to = from;
        }
        let shift = self.shift;
        out.extend(samples.windows(N + 1).map(|window| {
            let mut sum = 0_i32;
            for (&sample, factor) in window[..N].iter().zip(reversed) {
                sum += sample * factor;
            }
            fold(window[N] - (sum >> shift))
        }));
    }
}

/// Finds linear predictors; keeps its memory between blocks.
#[derive(Default)]
pub(super) struct Analysis {
    window: Vec<f64>,
    /// The windowed samples, and zeros after them.
    shaped: Vec<f64>,
}

impl Analysis {
    /// The linear predictor that promises the fewest bits. `None` for signals without any.
    pub(super) fn linear(&mut self, samples: &[i32], bits: u32) -> Option<Linear> {
        let precision = if bits <= 17 { 12 } else { 14 };
        let size = samples.len();
        let most = MOST_ORDER.min(size.checked_sub(1)?);
        let sums = self.correlate(samples);
        // Levinson-Durbin.
        let mut error = sums[0];
        let mut current = [0.0_f64; MOST_ORDER];
        let mut best = (f64::INFINITY, 0, current);
        for order in 0..most {
            if error <= 0.0 {
                break;
            }
            let mut sum = sums[order + 1];
            for past in 0..order {
                sum -= current[past] * sums[order - past];
            }
            let reflection = sum / error;
            let before = current;
            for past in 0..order {
                current[past] -= reflection * before[order - 1 - past];
            }
            current[order] = reflection;
            error *= 1.0 - reflection * reflection;
            let length = order + 1;
            // A Rice code of a Laplace distribution of this variance; the window has taken about half of the energy, which all orders share.
            let each = if error > 0.0 { (0.5 * log2(error / size as f64)).max(0.0) } else { 0.0 };
            let promised = each * (size - length) as f64 + length as f64 * f64::from(bits + precision);
            if promised < best.0 {
                best = (promised, length, current);
            }
        }
        let (_, order, exact) = best;
        quantise(&exact[..order], precision)
    }

    /// Autocorrelation of the samples under a window that is flat but for its ends.
    fn correlate(&mut self, samples: &[i32]) -> [f64; LAGS] {
        let size = samples.len();
        if self.window.len() != size {
            // A quarter of the block at each end rises and falls as 3x^2 - 2x^3, which is almost a cosine but the same everywhere.
            let edge = (size as f64 / 4.0).max(1.0);
            let rise = |n: usize| {
                let x = ((n as f64 + 0.5) / edge).min(1.0);
                x * x * (3.0 - 2.0 * x)
            };
            let weight = |n: usize| rise(n.min(size - 1 - n));
            self.window.clear();
            self.window.extend((0..size).map(weight));
        }
        self.shaped.clear();
        self.shaped.extend(samples.iter().zip(&self.window).map(|(&sample, weight)| f64::from(sample) * weight));
        self.shaped.extend([0.0; LAGS]);
        let mut sums = [0.0; LAGS];
        for ahead in self.shaped.windows(LAGS) {
            let first = ahead[0];
            for (sum, value) in sums.iter_mut().zip(ahead) {
                *sum += first * value;
            }
        }
        sums
    }
}

/// Coefficients as integers; what rounding takes from one is given to the next.
fn quantise(exact: &[f64], precision: u32) -> Option<Linear> {
    let largest = exact.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if !(largest.is_finite() && largest > 0.0) {
        return None;
    }
    // `largest` is below 2 to this.
    let exponent = (largest.to_bits() >> 52) as i32 - 1022;
    let shift = (precision as i32 - 1 - exponent).min(MOST_SHIFT);
    // Coefficients beyond the precision come from signals that nothing predicts.
    let shift = u32::try_from(shift).ok()?;
    let (low, high) = (-(1 << (precision - 1)), (1 << (precision - 1)) - 1);
    let mut found = Linear { order: exact.len(), precision, shift, ..Linear::default() };
    let mut carried = 0.0;
    for (to, value) in found.coefficients.iter_mut().zip(exact) {
        carried += value * f64::from(1 << shift);
        *to = (carried.round() as i32).clamp(low, high);
        carried -= f64::from(*to);
    }
    // Zeros at the end would only cost bits.
    while found.order > 0 && found.coefficients[found.order - 1] == 0 {
        found.order -= 1;
    }
    (found.order > 0).then_some(found)
}

/// The logarithm of a positive normal number, to about six digits. That of the platform may differ between platforms.
fn log2(value: f64) -> f64 {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let x = (mantissa - 1.0) / (mantissa + 1.0);
    let square = x * x;
    let series = x * (1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0))));
    f64::from(exponent) + series * 2.0 * std::f64::consts::LOG2_E
}
