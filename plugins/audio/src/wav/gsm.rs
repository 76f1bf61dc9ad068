//! The GSM 06.10 full-rate decoder (ETSI EN 300 961), in the packing of Microsoft's WAV files ("WAV49"): blocks of 65 bytes
//! hold two frames of 260 bits, least significant bit first; a frame is 160 samples.
//!
//! Names and steps follow the standard. All arithmetic is its saturating 16-bit arithmetic, so that the output is bit exact.

/// Bytes of a block.
pub(super) const BLOCK: usize = 65;
/// Samples of a block.
pub(super) const SAMPLES: usize = 320;

/// Table 5.1: B, MIC and INVA of the eight log area ratios.
const LAR: [(i16, i16, i16); 8] = [
    (0, -32, 13107),
    (0, -32, 13107),
    (2048, -16, 13107),
    (-2560, -16, 13107),
    (94, -8, 19223),
    (-1792, -8, 17476),
    (-341, -4, 31454),
    (-1144, -4, 29708),
];
/// Bits of the eight coded log area ratios.
const LAR_BITS: [u32; 8] = [6, 6, 5, 5, 4, 4, 3, 3];
/// Table 5.3b: LTP gains.
const QLB: [i16; 4] = [3277, 11469, 21299, 32767];
/// Table 5.6: normalised direct mantissas.
const FAC: [i16; 8] = [18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767];
/// Samples of the past that long-term prediction reaches back to.
const HISTORY: usize = 120;

/// What the decoder carries from frame to frame.
pub(super) struct Decoder {
    /// Reconstructed short-term residual: the past, then the subframe in work.
    drp: [i16; HISTORY + 40],
    /// Last legal lag.
    nrp: usize,
    /// Log area ratios of the last frame.
    larpp: [i16; 8],
    /// State of the short-term filter.
    v: [i16; 9],
    /// State of the de-emphasis.
    msr: i16,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { drp: [0; HISTORY + 40], nrp: 40, larpp: [0; 8], v: [0; 9], msr: 0 }
    }

    /// Decodes one block onto `out`.
    pub(super) fn block(&mut self, block: &[u8; BLOCK], out: &mut Vec<i32>) {
        let mut bits = Bits { bytes: block, at: 0 };
        for _ in 0..2 {
            self.frame(&mut bits, out);
        }
    }

    fn frame(&mut self, bits: &mut Bits<'_>, out: &mut Vec<i32>) {
        let larc = LAR_BITS.map(|count| bits.take(count));
        let mut wt = [0_i16; 160];
        for subframe in wt.chunks_exact_mut(40) {
            let (lag, gain) = (bits.take(7), bits.take(2));
            let erp = rpe(bits);
            self.long_term(&erp, lag, gain);
            subframe.copy_from_slice(&self.drp[HISTORY..]);
            self.drp.copy_within(40.., 0);
        }
        self.short_term(&larc, &mut wt);
        // 5.3.5 to 5.3.7: de-emphasis, upscaling, and the three low bits cut off.
        for sample in wt {
            self.msr = sample.saturating_add(mult_r(self.msr, 28180));
            out.push(i32::from(self.msr.saturating_add(self.msr) & !7));
        }
    }

    /// 5.3.2: long-term synthesis.
    fn long_term(&mut self, erp: &[i16; 40], lag: i16, gain: i16) {
        if (40..=120).contains(&lag) {
            self.nrp = lag.unsigned_abs().into();
        }
        let brp = QLB[usize::from(gain.unsigned_abs() & 3)];
        for (k, &residual) in erp.iter().enumerate() {
            let predicted = mult_r(brp, self.drp[HISTORY + k - self.nrp]);
            self.drp[HISTORY + k] = residual.saturating_add(predicted);
        }
    }

    /// 5.3.4: short-term synthesis, with the reflection coefficients interpolated over the first 40 samples (5.2.9).
    fn short_term(&mut self, larc: &[i16; 8], wt: &mut [i16; 160]) {
        let mut now = [0_i16; 8];
        for ((now, &coded), (b, mic, inva)) in now.iter_mut().zip(larc).zip(LAR) {
            let scaled = (coded + mic).wrapping_shl(10).saturating_sub(b << 1);
            let scaled = mult_r(inva, scaled);
            *now = scaled.saturating_add(scaled);
        }
        let before = std::mem::replace(&mut self.larpp, now);
        for (first, end) in [(0, 13), (13, 27), (27, 40), (40, 160)] {
            let mut rrp = [0_i16; 8];
            for ((rrp, &a), &b) in rrp.iter_mut().zip(&before).zip(&now) {
                *rrp = reflection(match first {
                    0 => (a >> 2).saturating_add(b >> 2).saturating_add(a >> 1),
                    13 => (a >> 1).saturating_add(b >> 1),
                    27 => (a >> 2).saturating_add(b >> 2).saturating_add(b >> 1),
                    _ => b,
                });
            }
            for sample in &mut wt[first..end] {
                let mut sri = *sample;
                for i in (0..8).rev() {
                    sri = sri.saturating_sub(mult_r(rrp[i], self.v[i]));
                    self.v[i + 1] = self.v[i].saturating_add(mult_r(rrp[i], sri));
                }
                self.v[0] = sri;
                *sample = sri;
            }
        }
    }
}

/// 5.2.15 to 5.2.17: the residual of a subframe, from grid, block amplitude and 13 pulses.
fn rpe(bits: &mut Bits<'_>) -> [i16; 40] {
    let grid = usize::from(bits.take(2).unsigned_abs());
    let xmaxc = bits.take(6);
    let mut exp = if xmaxc > 15 { (xmaxc >> 3) - 1 } else { 0 };
    let mut mant = xmaxc - (exp << 3);
    if mant == 0 {
        (exp, mant) = (-4, 7);
    } else {
        while mant <= 7 {
            mant = (mant << 1) | 1;
            exp -= 1;
        }
        mant -= 8;
    }
    let shift = 6 - exp;
    let round = if shift > 0 { 1 << (shift - 1) } else { 0 };
    let mut erp = [0; 40];
    for i in 0..13 {
        let pulse = ((bits.take(3) << 1) - 7) << 12;
        let scaled = mult_r(FAC[usize::from(mant.unsigned_abs() & 7)], pulse);
        erp[grid + 3 * i] = scaled.saturating_add(round) >> shift;
    }
    erp
}

/// 5.2.9.2: reflection coefficient of a log area ratio.
fn reflection(lar: i16) -> i16 {
    let size = lar.saturating_abs();
    let value = match size {
        ..11059 => size << 1,
        11059..20070 => size + 11059,
        _ => (size >> 2).saturating_add(26112),
    };
    if lar < 0 { -value } else { value }
}

/// 5.1: rounded product of two fractions.
fn mult_r(a: i16, b: i16) -> i16 {
    let product = (i32::from(a) * i32::from(b) + (1 << 14)) >> 15;
    i16::try_from(product).unwrap_or(i16::MAX)
}

/// Bits of a block, least significant first.
struct Bits<'a> {
    bytes: &'a [u8; BLOCK],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 7.
    fn take(&mut self, count: u32) -> i16 {
        let mut value = 0;
        for place in 0..count {
            let bit = self.bytes.get(self.at / 8).map_or(0, |byte| byte >> (self.at % 8) & 1);
            value |= i16::from(bit) << place;
            self.at += 1;
        }
        value
    }
}
