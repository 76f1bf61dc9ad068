//! Decimal numbers in text, correctly rounded and fast.
//!
//! Digits behind the point are taken eight at a time. Numbers of up to 19 digits and no power of ten beyond 27, which is what files hold, become
//! doubles here: exactly where significand and power are exact, by the method of Lemire, "Number parsing at a gigabyte per second"
//! (2021), otherwise. `fast-float2` does the rest.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Powers of ten by which up to eight digits move the digits before them.
const SHIFTS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Digits that never overflow 64 bits.
const MOST_DIGITS: usize = 19;

/// 1 / 5^n for n below 28: the leading 128 bits, rounded up.
const RECIPROCALS: [u128; 28] = reciprocals();

const fn reciprocals() -> [u128; 28] {
    let mut all = [0; 28];
    let (mut n, mut five) = (0, 1_u64);
    while n < 28 {
        // Long division of 2^(127 + z) by 5^n, where 2^z is the first power of two from 5^n on.
        let bits = 127 + five.next_power_of_two().trailing_zeros();
        let (mut quotient, mut rest, mut bit) = (0_u128, 1_u128, 0);
        while bit < bits {
            rest *= 2;
            quotient = quotient << 1 | (rest >= five as u128) as u128;
            rest %= five as u128;
            bit += 1;
        }
        all[n] = if n == 0 { 1 << 127 } else { quotient + 1 };
        if n < 27 {
            five *= 5;
        }
        n += 1;
    }
    all
}

/// A decimal number at the start of some text.
pub(crate) struct Decimal {
    /// The nearest double.
    pub(crate) value: f64,
    /// Bytes it takes.
    pub(crate) length: usize,
    /// Digits before the point.
    pub(crate) whole: usize,
    /// Digits behind the point; `None` without one.
    pub(crate) fraction: Option<usize>,
}

/// Takes the digits at `at` into `value`, which wraps beyond 19 of them; returns where they end.
#[inline(always)]
pub(crate) fn digits(bytes: &[u8], mut at: usize, value: &mut u64) -> usize {
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        *value = value.wrapping_mul(10).wrapping_add(digit.into());
        at += 1;
    }
    at
}

/// How many of the eight bytes that come next are digits in a row, and their value; `None` where the text ends before.
#[inline(always)]
fn eight_digits(bytes: &[u8], at: usize) -> Option<(usize, u64)> {
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?) ^ 0x3030_3030_3030_3030;
    // The high bit of each byte that is no digit; a carry reaches only bytes behind the first of them.
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() as usize / 8;
    // The first digit is the lowest byte: zeros below lead the number.
    let word = word.checked_shl(64 - 8 * count as u32).unwrap_or(0);
    let pairs = (word.wrapping_mul(10) + (word >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((count, (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xFFFF_FFFF))
}

/// As [`digits`], faster where there are many, or where their number changes from one time to the next.
#[inline(always)]
pub(crate) fn many_digits(bytes: &[u8], mut at: usize, value: &mut u64) -> usize {
    while let Some((count, eight)) = eight_digits(bytes, at) {
        *value = value.wrapping_mul(SHIFTS[count]).wrapping_add(eight);
        at += count;
        if count < 8 {
            return at;
        }
    }
    digits(bytes, at, value)
}

/// The number at the start of `bytes`: a sign or none, digits with or without a point, a power of ten or none. `None` where there
/// is no digit.
#[inline(always)]
pub(crate) fn decimal(bytes: &[u8]) -> Option<Decimal> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative || bytes.first() == Some(&b'+'));
    let mut significand = 0;
    let mut at = digits(bytes, start, &mut significand);
    let whole = at - start;
    let mut fraction = None;
    if bytes.get(at) == Some(&b'.') {
        let end = many_digits(bytes, at + 1, &mut significand);
        fraction = Some(end - at - 1);
        at = end;
    }
    let count = whole + fraction.unwrap_or(0);
    if count == 0 {
        return None;
    }
    let mut power = -(fraction.unwrap_or(0) as i64);
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = matches!(bytes.get(at + 1), Some(b'-' | b'+'));
        let first = at + 1 + usize::from(sign);
        let mut exponent = 0;
        let end = digits(bytes, first, &mut exponent);
        if end > first {
            // Longer ones than 18 digits are 0 or infinite, whatever they say.
            let exponent = if end - first > 18 { 1 << 40 } else { exponent as i64 };
            power += if bytes[at + 1] == b'-' { -exponent } else { exponent };
            at = end;
        }
    }
    let known = if count <= MOST_DIGITS { nearest(significand, power) } else { None };
    let value = match known {
        Some(value) => value,
        None => beyond(&bytes[start..at]),
    };
    Some(Decimal { value: if negative { -value } else { value }, length: at, whole, fraction })
}

/// What takes more than 64 bits or powers out of reach.
#[cold]
fn beyond(text: &[u8]) -> f64 {
    // Its grammar is ours.
    fast_float2::parse(text).unwrap_or(f64::NAN)
}

/// The double nearest to `significand` * 10^`power`, for powers in reach.
#[inline(always)]
fn nearest(significand: u64, power: i64) -> Option<f64> {
    if significand < 1 << 53 && power.unsigned_abs() <= 22 {
        let scale = POWERS[power.unsigned_abs() as usize];
        return Some(if power < 0 { significand as f64 / scale } else { significand as f64 * scale });
    }
    match power {
        _ if significand == 0 => Some(0.0),
        0 => Some(significand as f64),
        -27..0 => Some(divided(significand, power.unsigned_abs() as usize)),
        _ => None,
    }
}

/// The double nearest to `significand` / 10^`n`, 0 < n < 28 and no significand of 0. The product with the reciprocal is
/// exact enough in these bounds to round it.
fn divided(significand: u64, n: usize) -> f64 {
    let zeros = significand.leading_zeros();
    let normal = u128::from(significand << zeros);
    let reciprocal = RECIPROCALS[n];
    let (high, low) = (reciprocal >> 64, reciprocal & u128::from(u64::MAX));
    let mut product = normal * high;
    if (product >> 64) & 0x1FF == 0x1FF {
        // What the low half of the reciprocal adds can decide.
        product += (normal * low) >> 64;
    }
    let (top, rest) = ((product >> 64) as u64, product as u64);
    let upper = (top >> 63) as u32;
    // 53 bits and one to round by.
    let shift = upper + 9;
    let mut bits = top >> shift;
    // Half way exactly: to even.
    if rest <= 1 && n <= 4 && bits & 3 == 1 && bits << shift == top {
        bits &= !1;
    }
    let bits = (bits + (bits & 1)) >> 1;
    // Bits of 5^n: n times the logarithm of 5 to the base 2.
    let five = ((n as i64 * 152_170) >> 16) + 1;
    let exponent = 11 + i64::from(upper) - i64::from(zeros) - five - n as i64;
    bits as f64 * f64::from_bits(((1023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let expected: f64 = text.parse().expect(text);
        for behind in ["", " ", ",1.5e3]", "         "] {
            let found = decimal(format!("{text}{behind}").as_bytes()).expect(text);
            assert_eq!(
                (found.value.to_bits(), found.length),
                (expected.to_bits(), text.len()),
                "{text:?} before {behind:?}"
            );
        }
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "1",
            "1.",
            ".5",
            "-1.25",
            "+3",
            "1e3",
            "1E-7",
            "123456789.123456789",
            "0.1",
            "3.4e38",
            "1e-40",
            "17976931348623157e292",
            "9007199254740993",
            "9007199254740993.0",
            "9007199254740995e-1",
            "4503599627370496.5",
            "4503599627370497.5",
            "18446744073709551615e-1",
            "00000000000000000000001.5",
            "0.000000000000000000000000123",
            "9999999999999999999e-27",
            "1e123456789012345678901",
            "1e-123456789012345678901",
        ] {
            check(text);
        }
    }

    #[test]
    fn numbers_of_all_lengths_and_powers_are_rounded_as_by_the_standard_library() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..40_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let significand = random >> (random % 60);
            for power in 0..30 {
                check(&format!("{significand}e-{power}"));
            }
            // What a double prints, and a neighbour of a tie.
            let double = f64::from_bits(random >> 2 | 0x3000_0000_0000_0000);
            if double < 1e18 {
                check(&format!("{double}"));
            }
            let tie = (random >> 11 | 1 << 52) * 2 + 1;
            for power in [1, 2, 4] {
                check(&format!("{}.{}", tie >> power, ["5", "25", "0625"][power / 2]));
            }
        }
    }

    #[test]
    fn the_parts_are_told() {
        let parts = |text: &str| decimal(text.as_bytes()).map(|found| (found.whole, found.fraction, found.length));
        assert_eq!(parts("12.345e6 "), Some((2, Some(3), 8)));
        assert_eq!(parts("-7,8,9,10,11"), Some((1, None, 2)));
        assert_eq!(parts("1.]"), Some((1, Some(0), 2)));
        assert_eq!(parts("1e+"), Some((1, None, 1)));
        for text in ["", "-", ".", "e5", "infx", "x12345678"] {
            assert!(parts(text).is_none(), "{text}");
        }
    }
}
