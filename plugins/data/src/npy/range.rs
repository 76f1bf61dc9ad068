//! The display range of numbers in arrays: the values shown as black and as white.
//!
//! | numbers | shown, by the rule `auto` |
//! |---|---|
//! | bool; 8 and 16 bits that are only 0 and 1, as masks are | 0 to 1 |
//! | other samples of 8 and 16 bits | their whole range |
//! | all the same, more than 255 or below 0 | 0 to that, or that to 0 |
//! | some below 0, floats of -1 to 1 | -1 to 1 |
//! | some below 0 | least to most |
//! | up to 1 | 0 to 1 |
//! | floats of 0 to 16 | 0 to most: 1.0001 makes no picture black (a warning, for this is a guess) |
//! | up to 255 | 0 to 255 |
//! | others | least to most |

use mediary_core::{Context, Error, ErrorKind, Result, Severity};

use super::array::Array;
use super::header::Scalar;
use super::plan::Raster;

/// Up to this, floats are no bytes.
const FEW: f64 = 16.0;

/// How numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) shown: [f64; 2],
    /// Least and most of the finite numbers.
    pub(super) found: [f64; 2],
}

/// The range of all frames, after the option `range`; `None` for the whole range of the samples.
pub(super) fn of(array: &Array, raster: &Raster, cx: &Context) -> Result<Option<Range>> {
    let scalar = array.header.fields[0].scalar;
    let rule = cx.options().text("range");
    let is_plain = matches!(scalar, Scalar::U8 | Scalar::U16) && rule == "auto";
    let found = extremes(array, raster, is_plain, cx)?;
    if is_plain && found[1] != 1.0 {
        return Ok(None);
    }
    let shown = match rule {
        "auto" => auto(found, scalar, cx),
        "unit" => [0.0, 1.0],
        "byte" => [0.0, 255.0],
        "minmax" => found,
        other => given(other)?,
    };
    let shown = if shown[0] < shown[1] { shown } else { [shown[0], shown[0] + 1.0] };
    cx.note(
        "range",
        format!("values from {} to {} are shown from {} to {} (range={rule})", found[0], found[1], shown[0], shown[1]),
    );
    Ok(Some(Range { shown, found }))
}

fn auto([least, most]: [f64; 2], scalar: Scalar, cx: &Context) -> [f64; 2] {
    let is_float = scalar.is_float();
    if least == most && !(0.0..=255.0).contains(&most) {
        return if most > 0.0 { [0.0, most] } else { [most, 0.0] };
    }
    if least < 0.0 {
        return if is_float && least >= -1.0 && most <= 1.0 { [-1.0, 1.0] } else { [least, most] };
    }
    if most <= 1.0 {
        return [0.0, 1.0];
    }
    if is_float && most <= FEW {
        cx.report(
            Severity::Warning,
            "range-guess",
            format!("floats up to {most} may be meant for 0 to 1, 0 to 255 or neither; option npy.range says which"),
            None,
        );
        return [0.0, most];
    }
    if most <= 255.0 { [0.0, 255.0] } else { [least, most] }
}

fn given(text: &str) -> Result<[f64; 2]> {
    let numbers = text.split_once(',').and_then(|(low, high)| {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        Some([number(low)?, number(high)?])
    });
    numbers.filter(|[low, high]| low < high).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOption,
            format!("option npy.range: expected a rule or two numbers, found {text:?}"),
        )
        .with_hint("it is auto, unit, byte, minmax, or black and white as in npy.range=0,4095")
    })
}

/// Least and most of the finite numbers; zeros where there are none. If asked for ones alone, it ends at the first greater number.
fn extremes(array: &Array, raster: &Raster, ones: bool, cx: &Context) -> Result<[f64; 2]> {
    let field = &array.header.fields[0];
    let [frames, rows, columns, channels] = raster.steps;
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for frame in 0..usize::try_from(raster.frames).unwrap_or(usize::MAX) {
        for y in 0..raster.height as usize {
            cx.checkpoint()?;
            for x in 0..raster.width as usize {
                for c in 0..usize::from(raster.channels) {
                    let at = frame * frames + y * rows + x * columns + c * channels;
                    let value = array.float(at, field.scalar, field.big_endian);
                    if value.is_finite() {
                        (least, most) = (least.min(value), most.max(value));
                        if ones && most > 1.0 {
                            return Ok([least, most]);
                        }
                    }
                }
            }
        }
    }
    Ok(if least <= most { [least, most] } else { [0.0, 0.0] })
}
