//! Encodings of columns, undone from the last to the first. Every length is held against the bytes there are, the budget and
//! `srcSize` before anything is allocated.

use mediary_core::{Context, Error, Result};
use smol_str::SmolStr;

use crate::msgpack::Value;
use crate::text::word;

/// Encodings on top of one another, at most: the specification's own combinations have five.
const MOST_ENCODINGS: usize = 16;

/// The values of a column.
pub(super) enum Values {
    Integers(Vec<i32>),
    /// Numbers, and whether they are of single precision.
    Reals(Vec<f64>, bool),
    /// Texts, and which of them each row has; -1 for none.
    Texts(Vec<SmolStr>, Vec<i32>),
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers(values) | Self::Texts(_, values) => values.len(),
            Self::Reals(values, _) => values.len(),
        }
    }
}

/// What a data element holds between two decodings.
enum State<'a> {
    Bytes(&'a [u8]),
    Values(Values),
}

/// Decodes a data element: `data` and its `encoding`.
pub(super) fn decode(element: &Value<'_>, cx: &Context) -> Result<Values> {
    let bytes =
        element.get("data").and_then(Value::bytes).ok_or_else(|| missing("data", "bytes", element.get("data")))?;
    let encodings = list(element, "encoding")?;
    steps(bytes, encodings, true, cx)
}

fn steps(bytes: &[u8], encodings: &[Value<'_>], text: bool, cx: &Context) -> Result<Values> {
    if encodings.len() > MOST_ENCODINGS {
        return Err(Error::malformed(format!(
            "expected at most {MOST_ENCODINGS} encodings, found {}",
            encodings.len()
        )));
    }
    let mut state = State::Bytes(bytes);
    let mut encodings = encodings;
    // What nearly every column begins with, in one step and without the packed values in between.
    if let [before @ .., packing, last] = encodings
        && kind(packing)? == "IntegerPacking"
        && kind(last)? == "ByteArray"
    {
        state = State::Values(Values::Integers(match whole(last, "type")? {
            1 => unpack(chunked(bytes)?, |bytes| i8::from_le_bytes(bytes).into(), packing, cx)?,
            4 => unpack(chunked(bytes)?, |bytes| u8::from_le_bytes(bytes).into(), packing, cx)?,
            2 => unpack(chunked(bytes)?, |bytes| i16::from_le_bytes(bytes).into(), packing, cx)?,
            5 => unpack(chunked(bytes)?, |bytes| u16::from_le_bytes(bytes).into(), packing, cx)?,
            3 => unpack(chunked(bytes)?, i32::from_le_bytes, packing, cx)?,
            other => return Err(Error::malformed(format!("expected integers to unpack, found bytes of type {other}"))),
        }));
        encodings = before;
    }
    for encoding in encodings.iter().rev() {
        cx.checkpoint()?;
        state = State::Values(step(state, encoding, text, cx)?);
    }
    match state {
        State::Values(values) => Ok(values),
        State::Bytes(_) => Err(Error::malformed("expected an encoding of the data, found none")),
    }
}

fn kind<'a>(encoding: &Value<'a>) -> Result<&'a str> {
    encoding.get("kind").and_then(Value::text).ok_or_else(|| missing("kind", "text", encoding.get("kind")))
}

fn step(state: State<'_>, encoding: &Value<'_>, text: bool, cx: &Context) -> Result<Values> {
    match (kind(encoding)?, state) {
        ("ByteArray", State::Bytes(bytes)) => byte_array(bytes, whole(encoding, "type")?, cx),
        ("StringArray", State::Bytes(bytes)) if text => strings(bytes, encoding, cx),
        ("IntegerPacking", State::Values(Values::Integers(packed))) => {
            let values = unpack(&packed, |value| value, encoding, cx)?;
            drop_values(packed, cx);
            Ok(Values::Integers(values))
        }
        ("RunLength", State::Values(Values::Integers(runs))) => {
            run_length(runs, whole(encoding, "srcSize")?, cx).map(Values::Integers)
        }
        ("Delta", State::Values(Values::Integers(mut values))) => {
            let origin = whole(encoding, "origin")?;
            let mut sum = i32::try_from(origin)
                .map_err(|_| Error::malformed(format!("expected an origin of 32 bits, found {origin}")))?;
            for value in &mut values {
                sum = sum.wrapping_add(*value);
                *value = sum;
            }
            Ok(Values::Integers(values))
        }
        ("FixedPoint", State::Values(Values::Integers(values))) => {
            let factor = real(encoding, "factor")?;
            if factor == 0.0 {
                return Err(Error::malformed("expected a factor of fixed-point numbers, found 0"));
            }
            reals(values, encoding, cx, |value| f64::from(value) / factor)
        }
        ("IntervalQuantization", State::Values(Values::Integers(values))) => {
            let (min, max, steps) = (real(encoding, "min")?, real(encoding, "max")?, whole(encoding, "numSteps")?);
            if steps < 2 {
                return Err(Error::malformed(format!("expected at least 2 steps of an interval, found {steps}")));
            }
            let delta = (max - min) / (steps - 1) as f64;
            reals(values, encoding, cx, |value| min + delta * f64::from(value))
        }
        (known @ ("ByteArray" | "StringArray"), State::Values(_)) => {
            Err(Error::malformed(format!("expected an encoding of values, found {known}, which makes bytes")))
        }
        (known @ ("IntegerPacking" | "RunLength" | "Delta" | "FixedPoint" | "IntervalQuantization"), _) => {
            Err(Error::malformed(format!("expected integers to decode by {known}, found something else")))
        }
        ("StringArray", _) => Err(Error::malformed("expected numbers, found a StringArray")),
        (other, _) => Err(Error::unsupported(format!("expected an encoding of BinaryCIF 0.3, found {other:?}"))),
    }
}

/// Room for `count` values.
fn room<T>(count: usize, cx: &Context) -> Result<Vec<T>> {
    cx.limits().check("elements", count as u64)?;
    cx.budget().take(count as u64 * size_of::<T>() as u64)?;
    Ok(Vec::with_capacity(count))
}

/// Gives the memory of a vector back that another has replaced.
fn drop_values<T>(values: Vec<T>, cx: &Context) {
    cx.budget().give_back(values.len() as u64 * size_of::<T>() as u64);
}

/// Bytes in values of `N`.
fn chunked<const N: usize>(bytes: &[u8]) -> Result<&[[u8; N]]> {
    match bytes.as_chunks::<N>() {
        (chunks, []) => Ok(chunks),
        _ => Err(Error::malformed(format!("expected values of {N} bytes, found {} bytes", bytes.len()))),
    }
}

fn byte_array(bytes: &[u8], kind: i64, cx: &Context) -> Result<Values> {
    fn chunks<const N: usize, T>(bytes: &[u8], cx: &Context, value: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let chunks = chunked(bytes)?;
        let mut values = room(chunks.len(), cx)?;
        values.extend(chunks.iter().map(|chunk| value(*chunk)));
        Ok(values)
    }
    Ok(match kind {
        1 => Values::Integers(chunks(bytes, cx, |bytes| i32::from(i8::from_le_bytes(bytes)))?),
        2 => Values::Integers(chunks(bytes, cx, |bytes| i32::from(i16::from_le_bytes(bytes)))?),
        3 => Values::Integers(chunks(bytes, cx, i32::from_le_bytes)?),
        4 => Values::Integers(chunks(bytes, cx, |bytes| i32::from(u8::from_le_bytes(bytes)))?),
        5 => Values::Integers(chunks(bytes, cx, |bytes| i32::from(u16::from_le_bytes(bytes)))?),
        // Beyond 31 bits they are as exact in double precision, but nothing is decoded from them.
        6 if bytes.iter().skip(3).step_by(4).any(|&byte| byte > 0x7F) => {
            Values::Reals(chunks(bytes, cx, |bytes| f64::from(u32::from_le_bytes(bytes)))?, false)
        }
        6 => Values::Integers(chunks(bytes, cx, i32::from_le_bytes)?),
        32 => Values::Reals(chunks(bytes, cx, |bytes| f64::from(f32::from_le_bytes(bytes)))?, true),
        33 => Values::Reals(chunks(bytes, cx, f64::from_le_bytes)?, false),
        other => return Err(Error::malformed(format!("expected a type of 1 to 6, 32 or 33, found {other}"))),
    })
}

/// A value is the sum of the packed ones up to the first that is no end of their range.
fn unpack<T: Copy>(packed: &[T], integer: impl Fn(T) -> i32, encoding: &Value<'_>, cx: &Context) -> Result<Vec<i32>> {
    let (bytes, count) = (whole(encoding, "byteCount")?, whole(encoding, "srcSize")?);
    let unsigned = matches!(encoding.get("isUnsigned"), Some(Value::Bool(true) | Value::Int(1)));
    let (upper, lower) = match (bytes, unsigned) {
        (1, true) => (0xFF, -1),
        (1, false) => (0x7F, -0x80),
        (2, true) => (0xFFFF, -1),
        (2, false) => (0x7FFF, -0x8000),
        _ => return Err(Error::malformed(format!("expected packed integers of 1 or 2 bytes, found {bytes}"))),
    };
    let differing =
        |found: usize| Error::malformed(format!("expected {count} packed integers by srcSize, found {found}"));
    let expected = usize::try_from(count).ok().filter(|&count| count <= packed.len());
    let expected = expected.ok_or_else(|| differing(packed.len()))?;
    let mut values = room(expected, cx)?;
    let mut rest = packed.iter().map(|&value| integer(value));
    while let Some(mut value) = rest.next() {
        let mut sum = value;
        while value == upper || value == lower {
            value = rest.next().ok_or_else(|| differing(values.len()))?;
            sum = sum.wrapping_add(value);
        }
        if values.len() == expected {
            return Err(differing(expected + 1));
        }
        values.push(sum);
    }
    if values.len() < expected {
        return Err(differing(values.len()));
    }
    Ok(values)
}

/// Pairs of a value and how often it stands.
fn run_length(runs: Vec<i32>, count: i64, cx: &Context) -> Result<Vec<i32>> {
    let (pairs, rest) = runs.as_chunks::<2>();
    let sum = pairs.iter().try_fold(0_i64, |sum, [_, length]| (*length >= 0).then(|| sum + i64::from(*length)));
    if !rest.is_empty() || sum != Some(count) {
        return Err(Error::malformed(format!("expected runs of {count} values by srcSize, found others")));
    }
    let count =
        usize::try_from(count).map_err(|_| Error::malformed("expected a number of values, found a negative one"))?;
    let mut values = room(count, cx)?;
    for &[value, length] in pairs {
        values.resize(values.len() + length as usize, value);
    }
    drop_values(runs, cx);
    Ok(values)
}

fn reals(values: Vec<i32>, encoding: &Value<'_>, cx: &Context, value: impl Fn(i32) -> f64) -> Result<Values> {
    let single = whole(encoding, "srcType")? == 32;
    let mut reals = room(values.len(), cx)?;
    // Single precision is what the writer had: its decimals, rounded once more, are those of the text.
    reals.extend(values.iter().map(|&it| if single { f64::from(value(it) as f32) } else { value(it) }));
    drop_values(values, cx);
    Ok(Values::Reals(reals, single))
}

fn strings(indices: &[u8], encoding: &Value<'_>, cx: &Context) -> Result<Values> {
    let text = encoding.get("stringData").and_then(Value::bytes);
    let text = text.ok_or_else(|| missing("stringData", "text", encoding.get("stringData")))?;
    let offsets = encoding.get("offsets").and_then(Value::bytes);
    let offsets = offsets.ok_or_else(|| missing("offsets", "bytes", encoding.get("offsets")))?;
    let integers = |bytes, name| match steps(bytes, list(encoding, name)?, false, cx)? {
        Values::Integers(values) => Ok(values),
        _ => Err(Error::malformed(format!("expected integers by {name}, found others"))),
    };
    let offsets = integers(offsets, "offsetEncoding")?;
    let mut texts = room(offsets.len().saturating_sub(1), cx)?;
    for pair in offsets.windows(2) {
        let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        let part = range.and_then(|(from, to)| text.get(from..to)).ok_or_else(|| {
            Error::malformed(format!(
                "expected offsets into {} bytes of text, found {} to {}",
                text.len(),
                pair[0],
                pair[1]
            ))
        })?;
        cx.limits().check("string_bytes", part.len() as u64)?;
        // Offsets may go over the same text again and again.
        if part.len() > 23 {
            cx.budget().take(part.len() as u64 + 16)?;
        }
        texts.push(word(part));
    }
    let indices = integers(indices, "dataEncoding")?;
    if let Some(bad) = indices.iter().find(|&&index| index < -1 || i64::from(index) >= texts.len() as i64) {
        return Err(Error::malformed(format!("expected an index of {} texts, found {bad}", texts.len())));
    }
    Ok(Values::Texts(texts, indices))
}

fn list<'v, 'a>(map: &'v Value<'a>, name: &str) -> Result<&'v [Value<'a>]> {
    map.get(name).and_then(Value::array).ok_or_else(|| missing(name, "an array", map.get(name)))
}

fn whole(map: &Value<'_>, name: &str) -> Result<i64> {
    map.get(name).and_then(Value::integer).ok_or_else(|| missing(name, "an integer", map.get(name)))
}

fn real(map: &Value<'_>, name: &str) -> Result<f64> {
    let value = map.get(name).and_then(Value::number).filter(|value| value.is_finite());
    value.ok_or_else(|| missing(name, "a finite number", map.get(name)))
}

pub(super) fn missing(name: &str, expected: &str, found: Option<&Value<'_>>) -> Error {
    let found = found.map_or("nothing", Value::name);
    Error::malformed(format!("expected {expected} as {name}, found {found}"))
}
