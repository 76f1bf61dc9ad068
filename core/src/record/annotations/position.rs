//! Where a box is, in the spellings that files have.

use serde::{Deserialize, Serialize};

/// Which four numbers place a box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Form {
    /// `[min_x, min_y, max_x, max_y]`.
    #[default]
    Corners,
    /// `[middle_x, middle_y, width, height]`.
    Middle,
    /// `[min_x, min_y, width, height]`.
    Size,
}

/// What the numbers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Pixels.
    #[default]
    Pixel,
    /// Widths and heights of the image: 1 is its right or lower edge.
    Fraction,
}

/// Four numbers and what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Which numbers.
    pub form: Form,
    /// Of what.
    pub unit: Unit,
    /// The numbers.
    #[serde(with = "crate::wire::number")]
    pub values: [f64; 4],
}

impl Position {
    /// `[min_x, min_y, max_x, max_y]` in pixels of an image of this size. Corners in pixels are these; what is computed is rounded
    /// to the place at which the side of the image has 15 digits, since the rest is noise: 83 of 641 pixels are no double as a fraction.
    #[must_use]
    pub fn pixels(&self, width: u32, height: u32) -> [f64; 4] {
        let [a, b, c, d] = self.values;
        let corners = match self.form {
            Form::Corners => [a, b, c, d],
            Form::Middle => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
            Form::Size => [a, b, a + c, b + d],
        };
        let sides = [width, height, width, height].map(f64::from);
        match (self.form, self.unit) {
            (Form::Corners, Unit::Pixel) => corners,
            (_, Unit::Pixel) => std::array::from_fn(|index| denoised(corners[index], sides[index])),
            (_, Unit::Fraction) => std::array::from_fn(|index| denoised(corners[index] * sides[index], sides[index])),
        }
    }

    /// The position of a box of these pixels, with the fewest digits of which [`pixels`](Self::pixels) makes the same pixels.
    #[must_use]
    pub fn of(pixels: [f64; 4], form: Form, unit: Unit, width: u32, height: u32) -> Self {
        let [a, b, c, d] = match unit {
            Unit::Pixel => pixels,
            Unit::Fraction => {
                let (width, height) = (f64::from(width), f64::from(height));
                [pixels[0] / width, pixels[1] / height, pixels[2] / width, pixels[3] / height]
            }
        };
        let values = match form {
            Form::Corners => [a, b, c, d],
            Form::Middle => [f64::midpoint(a, c), f64::midpoint(b, d), c - a, d - b],
            Form::Size => [a, b, c - a, d - b],
        };
        let exact = Self { form, unit, values };
        if (form, unit) == (Form::Corners, Unit::Pixel) {
            return exact;
        }
        // A width is a difference: it is as good as the corners are.
        let scale = [a, b, c, d].into_iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let mut rounded =
            DIGITS.map(|digits| Self { values: values.map(|value| round(value, digits, scale)), ..exact });
        rounded.find(|position| position.pixels(width, height) == pixels).unwrap_or(exact)
    }
}

/// A fraction of the image's side in pixels, without the noise of computing.
#[must_use]
pub fn pixel(fraction: f64, side: u32) -> f64 {
    let side = f64::from(side);
    denoised(fraction * side, side)
}

/// A coordinate as a fraction of the image's side, with the fewest digits of which [`pixel`] makes the same coordinate.
#[must_use]
pub fn fraction(coordinate: f64, side: u32) -> f64 {
    let exact = coordinate / f64::from(side);
    let mut rounded = DIGITS.map(|digits| round(exact, digits, exact));
    rounded.find(|&value| pixel(value, side) == coordinate).unwrap_or(exact)
}

/// Digits that are tried before a number is taken as it was computed.
const DIGITS: std::ops::RangeInclusive<i32> = 4..=17;

fn denoised(coordinate: f64, side: f64) -> f64 {
    round(coordinate, 15, side.max(coordinate.abs()))
}

/// A number, rounded to the place at which `scale` has so many significant decimal digits.
fn round(value: f64, digits: i32, scale: f64) -> f64 {
    let places = digits - 1 - scale.abs().log10().floor().clamp(-300.0, 300.0) as i32;
    // A double of this size has no digit there.
    if places < 0 { value } else { format!("{value:.*}", places as usize).parse().unwrap_or(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Box2;

    /// xorshift: the same numbers each time.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// From 0 to 1, with so many decimals.
        fn decimal(&mut self, decimals: usize) -> f64 {
            let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
            format!("{unit:.decimals$}").parse().unwrap()
        }

        fn side(&mut self) -> u32 {
            (self.next() % 8000) as u32 + 1
        }
    }

    const FORMS: [Form; 3] = [Form::Corners, Form::Middle, Form::Size];
    const UNITS: [Unit; 2] = [Unit::Pixel, Unit::Fraction];

    #[test]
    fn what_a_source_spells_is_spelled_so_again() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..4000 {
            let (width, height) = (random.side(), random.side());
            let values = [0; 4].map(|_| random.decimal(1 + round % 17));
            for (form, unit) in FORMS.into_iter().flat_map(|form| UNITS.map(|unit| (form, unit))) {
                let one = Box2::at(Position { form, unit, values }, 0, width, height);
                assert_eq!(one.spelled(form, unit, width, height), values, "{form:?} {unit:?} {width} {height}");
            }
        }
    }

    /// Through every other spelling, as texts of files, and back: the numbers of tools have six digits, some have twelve.
    #[test]
    fn short_numbers_survive_every_detour() {
        let mut random = Random(0x1234_5678_9ABC_DEF1);
        for round in 0..2000 {
            let (width, height) = (random.side(), random.side());
            let low = [0; 2].map(|_| random.decimal(1 + round % 12) / 2.0);
            let values = [low[0], low[1], random.decimal(1 + round % 12) / 2.0, random.decimal(1 + round % 12) / 2.0];
            let values = values.map(|value| super::round(value, 12, 1.0));
            let given = Position { form: Form::Middle, unit: Unit::Fraction, values };
            let one = Box2::at(given, 0, width, height);
            for (form, unit) in FORMS.into_iter().flat_map(|form| UNITS.map(|unit| (form, unit))) {
                let detour = one.spelled(form, unit, width, height);
                let again = Box2::at(Position { form, unit, values: detour }, 0, width, height);
                let back = again.spelled(Form::Middle, Unit::Fraction, width, height);
                assert_eq!(back, values, "{form:?} {unit:?} {width} x {height}: {detour:?}");
            }
        }
    }

    #[test]
    fn fractions_of_whole_pixels_give_the_pixels_again() {
        for side in [1, 3, 7, 640, 641, 1023, 4032] {
            for pixel in 0..=side {
                let fraction = fraction(f64::from(pixel), side);
                assert_eq!(super::pixel(fraction, side), f64::from(pixel), "{pixel} of {side}: {fraction}");
            }
        }
        assert_eq!(fraction(0.537_109 * 1024.0, 1024).to_string(), "0.537109");
    }

    #[test]
    fn a_box_that_was_moved_is_spelled_as_it_is() {
        let given = Position { form: Form::Middle, unit: Unit::Fraction, values: [0.5, 0.5, 0.2, 0.2] };
        let mut one = Box2::at(given, 0, 100, 50);
        assert_eq!(one.pixels, [40.0, 20.0, 60.0, 30.0]);
        one.pixels[2] = 80.0;
        assert_eq!(one.spelled(Form::Middle, Unit::Fraction, 100, 50), [0.6, 0.5, 0.4, 0.2]);
        assert_eq!(one.spelled(Form::Size, Unit::Pixel, 100, 50), [40.0, 20.0, 40.0, 10.0]);
    }
}
