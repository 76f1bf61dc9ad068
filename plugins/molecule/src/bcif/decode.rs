//! Encodings of columns, undone a block of values at a time: a column is never in memory as a whole. Its lengths are held against
//! the bytes there are, and against `srcSize` when it ends.

use std::sync::Arc;

use mediary_core::{Context, Error, Result};
use smol_str::SmolStr;

use crate::msgpack::Value;
use crate::text::word;

/// Encodings on top of one another, at most: the specification's own combinations have five.
const MOST_ENCODINGS: usize = 16;
/// Values that an encoding takes from the one below at once.
const BLOCK: usize = 4096;

/// Values of a column.
pub(super) enum Values {
    Integers(Vec<i32>),
    /// Numbers, and whether they are of single precision.
    Reals(Vec<f64>, bool),
    /// Texts, and which of them each row has; -1 for none.
    Texts(Arc<[SmolStr]>, Vec<i32>),
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers(values) | Self::Texts(_, values) => values.len(),
            Self::Reals(values, _) => values.len(),
        }
    }

    /// Adds values of the same element; how many.
    fn append(&mut self, more: Self) -> usize {
        let count = more.len();
        match (self, more) {
            (Self::Integers(all) | Self::Texts(_, all), Self::Integers(more) | Self::Texts(_, more)) => {
                all.extend(more)
            }
            (Self::Reals(all, _), Self::Reals(more, _)) => all.extend(more),
            _ => {}
        }
        count
    }
}

/// A data element, from which values are taken in order.
pub(super) struct Element<'a> {
    bytes: Bytes<'a>,
    /// What makes integers of integers, the one that is undone first first.
    steps: Vec<Step>,
    meaning: Meaning,
}

/// Values as they stand in the bytes.
enum Bytes<'a> {
    I8(&'a [[u8; 1]]),
    I16(&'a [[u8; 2]]),
    I32(&'a [[u8; 4]]),
    U8(&'a [[u8; 1]]),
    U16(&'a [[u8; 2]]),
    /// Some are beyond 31 bits: as exact in double precision, but nothing is decoded from them.
    U32(&'a [[u8; 4]]),
    F32(&'a [[u8; 4]]),
    F64(&'a [[u8; 8]]),
}

/// What the values stand for.
enum Meaning {
    Integers,
    /// The bytes are numbers.
    Reals,
    /// This is the divisor; whether the quotients are of single precision.
    FixedPoint(f64, bool),
    /// Steps from the first number, of the size of the second.
    Interval(f64, f64, bool),
    Texts(Arc<[SmolStr]>),
}

/// An encoding of integers, and what it has taken from the one below but not used.
struct Step {
    kind: Kind,
    /// `srcSize`, and how many values of it are still to come.
    count: usize,
    left: usize,
    taken: Vec<i32>,
    used: usize,
}

enum Kind {
    /// A value is the sum of the packed ones up to the first that is no end of their range.
    Packing {
        upper: i32,
        lower: i32,
        sum: Option<i32>,
    },
    /// Pairs of a value and how often it stands.
    Runs {
        value: i32,
        times: usize,
    },
    Delta {
        sum: i32,
    },
}

impl<'a> Element<'a> {
    /// A data element: `data` and its `encoding`.
    pub(super) fn of(element: &Value<'a>, cx: &Context) -> Result<Self> {
        let data = element.get("data");
        let bytes = data.and_then(Value::bytes).ok_or_else(|| missing("data", "bytes", data))?;
        match list(element, "encoding")? {
            [encoding] if name(encoding)? == "StringArray" => Self::texts(bytes, encoding, cx),
            encodings => Self::numbers(bytes, encodings, cx),
        }
    }

    fn numbers(bytes: &'a [u8], encodings: &[Value<'a>], cx: &Context) -> Result<Self> {
        let count = encodings.len();
        if count > MOST_ENCODINGS {
            return Err(Error::malformed(format!("expected at most {MOST_ENCODINGS} encodings, found {count}")));
        }
        let Some((last, others)) = encodings.split_last() else {
            return Err(Error::malformed("expected an encoding of the data, found none"));
        };
        if name(last)? != "ByteArray" {
            return Err(unexpected(name(last)?));
        }
        let bytes = Bytes::of(bytes, whole(last, "type")?)?;
        let meaning = match bytes {
            Bytes::U32(_) | Bytes::F32(_) | Bytes::F64(_) => Meaning::Reals,
            _ => Meaning::Integers,
        };
        let mut element = Self { bytes, steps: Vec::new(), meaning };
        for encoding in others.iter().rev() {
            element.add(encoding, cx)?;
        }
        Ok(element)
    }

    /// Puts an encoding on top of those there are.
    fn add(&mut self, encoding: &Value<'_>, cx: &Context) -> Result<()> {
        let name = name(encoding)?;
        if !matches!(self.meaning, Meaning::Integers) {
            return Err(unexpected(name));
        }
        let single = || Ok::<_, Error>(whole(encoding, "srcType")? == 32);
        let kind = match name {
            "IntegerPacking" => packing(encoding)?,
            "RunLength" => Kind::Runs { value: 0, times: 0 },
            "Delta" => {
                let origin = whole(encoding, "origin")?;
                let sum = i32::try_from(origin)
                    .map_err(|_| Error::malformed(format!("expected an origin of 32 bits, found {origin}")))?;
                Kind::Delta { sum }
            }
            "FixedPoint" => {
                let factor = real(encoding, "factor")?;
                if factor == 0.0 {
                    return Err(Error::malformed("expected a factor of fixed-point numbers, found 0"));
                }
                self.meaning = Meaning::FixedPoint(factor, single()?);
                return Ok(());
            }
            "IntervalQuantization" => {
                let (min, max, steps) = (real(encoding, "min")?, real(encoding, "max")?, whole(encoding, "numSteps")?);
                if steps < 2 {
                    return Err(Error::malformed(format!("expected at least 2 steps of an interval, found {steps}")));
                }
                self.meaning = Meaning::Interval(min, (max - min) / (steps - 1) as f64, single()?);
                return Ok(());
            }
            _ => return Err(unexpected(name)),
        };
        // Of differences there are as many as of what they are between.
        let count = match kind {
            Kind::Delta { .. } => usize::MAX,
            _ => {
                let count = whole(encoding, "srcSize")?;
                let count = u64::try_from(count)
                    .map_err(|_| Error::malformed(format!("expected a count as srcSize, found {count}")))?;
                cx.limits().check("elements", count)?;
                count as usize
            }
        };
        self.steps.push(Step { kind, count, left: count, taken: Vec::new(), used: 0 });
        Ok(())
    }

    fn texts(indices: &'a [u8], encoding: &Value<'a>, cx: &Context) -> Result<Self> {
        let text = encoding.get("stringData").and_then(Value::bytes);
        let text = text.ok_or_else(|| missing("stringData", "text", encoding.get("stringData")))?;
        let offsets = encoding.get("offsets").and_then(Value::bytes);
        let offsets = offsets.ok_or_else(|| missing("offsets", "bytes", encoding.get("offsets")))?;
        let others = |name| Error::malformed(format!("expected integers by {name}, found others"));
        let offsets = match Self::numbers(offsets, list(encoding, "offsetEncoding")?, cx)?.all(cx)? {
            Values::Integers(offsets) => offsets,
            _ => return Err(others("offsetEncoding")),
        };
        let count = offsets.len().saturating_sub(1);
        cx.budget().take(count as u64 * size_of::<SmolStr>() as u64)?;
        let mut texts = Vec::with_capacity(count);
        for pair in offsets.windows(2) {
            let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
            let part = range.and_then(|(from, to)| text.get(from..to)).ok_or_else(|| {
                let (length, from, to) = (text.len(), pair[0], pair[1]);
                Error::malformed(format!("expected offsets into {length} bytes of text, found {from} to {to}"))
            })?;
            cx.limits().check("string_bytes", part.len() as u64)?;
            // Offsets may go over the same text again and again.
            if part.len() > 23 {
                cx.budget().take(part.len() as u64 + 16)?;
            }
            texts.push(word(part));
        }
        let indices = Self::numbers(indices, list(encoding, "dataEncoding")?, cx)?;
        match indices.meaning {
            Meaning::Integers => Ok(Self { meaning: Meaning::Texts(texts.into()), ..indices }),
            _ => Err(others("dataEncoding")),
        }
    }

    /// The next values: `count`, or fewer and the end.
    pub(super) fn next(&mut self, count: usize) -> Result<Values> {
        if let Meaning::Reals = self.meaning {
            return Ok(self.bytes.reals(count));
        }
        let mut integers = Vec::with_capacity(count.min(BLOCK));
        take(&mut self.bytes, &mut self.steps, count, &mut integers)?;
        Ok(match &self.meaning {
            Meaning::FixedPoint(factor, single) => reals(&integers, *single, |value| value / factor),
            Meaning::Interval(min, delta, single) => reals(&integers, *single, |value| min + delta * value),
            Meaning::Texts(texts) => {
                let bad = integers.iter().find(|&&index| index < -1 || i64::from(index) >= texts.len() as i64);
                if let Some(bad) = bad {
                    return Err(Error::malformed(format!("expected an index of {} texts, found {bad}", texts.len())));
                }
                Values::Texts(Arc::clone(texts), integers)
            }
            Meaning::Integers | Meaning::Reals => Values::Integers(integers),
        })
    }

    /// All values there are.
    pub(super) fn all(&mut self, cx: &Context) -> Result<Values> {
        let mut all = self.next(BLOCK)?;
        let mut more = all.len();
        while more > 0 {
            cx.checkpoint()?;
            cx.budget().take(more as u64 * size_of::<f64>() as u64)?;
            cx.limits().check("elements", all.len() as u64)?;
            more = all.append(self.next(BLOCK)?);
        }
        Ok(all)
    }
}

impl<'a> Bytes<'a> {
    fn of(bytes: &'a [u8], kind: i64) -> Result<Self> {
        fn chunked<const N: usize>(bytes: &[u8]) -> Result<&[[u8; N]]> {
            match bytes.as_chunks::<N>() {
                (chunks, []) => Ok(chunks),
                _ => Err(Error::malformed(format!("expected values of {N} bytes, found {} bytes", bytes.len()))),
            }
        }
        Ok(match kind {
            1 => Self::I8(chunked(bytes)?),
            2 => Self::I16(chunked(bytes)?),
            3 => Self::I32(chunked(bytes)?),
            4 => Self::U8(chunked(bytes)?),
            5 => Self::U16(chunked(bytes)?),
            6 if bytes.iter().skip(3).step_by(4).any(|&byte| byte > 0x7F) => Self::U32(chunked(bytes)?),
            6 => Self::I32(chunked(bytes)?),
            32 => Self::F32(chunked(bytes)?),
            33 => Self::F64(chunked(bytes)?),
            other => return Err(Error::malformed(format!("expected a type of 1 to 6, 32 or 33, found {other}"))),
        })
    }

    /// Adds the next `count` integers, or fewer and the end.
    fn integers(&mut self, count: usize, out: &mut Vec<i32>) {
        match self {
            Self::I8(rest) => out.extend(front(rest, count).iter().map(|it| i32::from(i8::from_le_bytes(*it)))),
            Self::I16(rest) => out.extend(front(rest, count).iter().map(|it| i32::from(i16::from_le_bytes(*it)))),
            Self::I32(rest) => out.extend(front(rest, count).iter().map(|it| i32::from_le_bytes(*it))),
            Self::U8(rest) => out.extend(front(rest, count).iter().map(|it| i32::from(u8::from_le_bytes(*it)))),
            Self::U16(rest) => out.extend(front(rest, count).iter().map(|it| i32::from(u16::from_le_bytes(*it)))),
            // Of numbers nothing is decoded.
            Self::U32(_) | Self::F32(_) | Self::F64(_) => {}
        }
    }

    /// The next `count` numbers, or fewer and the end.
    fn reals(&mut self, count: usize) -> Values {
        let values = match self {
            Self::U32(rest) => front(rest, count).iter().map(|it| f64::from(u32::from_le_bytes(*it))).collect(),
            Self::F32(rest) => front(rest, count).iter().map(|it| f64::from(f32::from_le_bytes(*it))).collect(),
            Self::F64(rest) => front(rest, count).iter().map(|it| f64::from_le_bytes(*it)).collect(),
            _ => Vec::new(),
        };
        Values::Reals(values, matches!(self, Self::F32(_)))
    }
}

/// Takes up to `count` elements off the front.
fn front<'a, T>(rest: &mut &'a [T], count: usize) -> &'a [T] {
    rest.split_off(..count.min(rest.len())).unwrap_or_default()
}

/// Adds the next `count` values that the last of the steps makes, or fewer and the end.
fn take(bytes: &mut Bytes<'_>, steps: &mut [Step], count: usize, out: &mut Vec<i32>) -> Result<()> {
    let Some((step, below)) = steps.split_last_mut() else {
        bytes.integers(count, out);
        return Ok(());
    };
    let end = out.len() + count;
    if let Kind::Delta { sum } = &mut step.kind {
        let from = out.len();
        take(bytes, below, count, out)?;
        for value in &mut out[from..] {
            *sum = sum.wrapping_add(*value);
            *value = *sum;
        }
        return Ok(());
    }
    loop {
        step.give(end, out)?;
        if out.len() == end {
            return Ok(());
        }
        step.taken.clear();
        step.used = 0;
        take(bytes, below, BLOCK, &mut step.taken)?;
        if step.taken.is_empty() {
            return step.ended();
        }
    }
}

impl Step {
    /// Fills `out` up to `end`, as far as what it has taken goes.
    fn give(&mut self, end: usize, out: &mut Vec<i32>) -> Result<()> {
        let before = out.len();
        match &mut self.kind {
            Kind::Packing { upper, lower, sum } => {
                let (upper, lower) = (*upper, *lower);
                let rest = &self.taken[self.used..];
                let plain = &rest[..rest.len().min(end - before)];
                if sum.is_none() && plain.iter().fold(true, |plain, &it| plain & (it != upper) & (it != lower)) {
                    out.extend_from_slice(plain);
                    self.used += plain.len();
                } else {
                    let mut values = rest.iter();
                    while out.len() < end
                        && let Some(&value) = values.next()
                    {
                        let whole = sum.take().map_or(value, |sum| sum.wrapping_add(value));
                        if value == upper || value == lower {
                            *sum = Some(whole);
                        } else {
                            out.push(whole);
                        }
                    }
                    self.used = self.taken.len() - values.len();
                }
                let given = out.len() - before;
                self.left =
                    self.left.checked_sub(given).ok_or_else(|| self.differing(self.count - self.left + given))?;
            }
            Kind::Runs { value, times } => {
                while out.len() < end {
                    if *times == 0 {
                        let [first, second, ..] = self.taken[self.used..] else { break };
                        *value = first;
                        *times = usize::try_from(second).ok().filter(|&times| times <= self.left).ok_or_else(|| {
                            Error::malformed(format!("expected a run of at most {} values, found {second}", self.left))
                        })?;
                        self.left -= *times;
                        self.used += 2;
                    }
                    let now = (*times).min(end - out.len());
                    out.resize(out.len() + now, *value);
                    *times -= now;
                }
                if out.len() < end && self.used < self.taken.len() {
                    return Err(Error::malformed("expected pairs of a value and a length, found half a pair"));
                }
            }
            Kind::Delta { .. } => {}
        }
        Ok(())
    }

    /// There is nothing more to take: everything must have been given.
    fn ended(&self) -> Result<()> {
        match self.kind {
            Kind::Packing { sum: Some(_), .. } => {
                Err(Error::malformed("expected the rest of a packed integer, found the end"))
            }
            _ if self.left > 0 => Err(self.differing(self.count - self.left)),
            _ => Ok(()),
        }
    }

    fn differing(&self, found: usize) -> Error {
        Error::malformed(format!("expected {} values by srcSize, found {found}", self.count))
    }
}

fn packing(encoding: &Value<'_>) -> Result<Kind> {
    let bytes = whole(encoding, "byteCount")?;
    let unsigned = matches!(encoding.get("isUnsigned"), Some(Value::Bool(true) | Value::Int(1)));
    let (upper, lower) = match (bytes, unsigned) {
        (1, true) => (0xFF, -1),
        (1, false) => (0x7F, -0x80),
        (2, true) => (0xFFFF, -1),
        (2, false) => (0x7FFF, -0x8000),
        _ => return Err(Error::malformed(format!("expected packed integers of 1 or 2 bytes, found {bytes}"))),
    };
    Ok(Kind::Packing { upper, lower, sum: None })
}

fn reals(integers: &[i32], single: bool, value: impl Fn(f64) -> f64) -> Values {
    let values = integers.iter().map(|&it| value(f64::from(it)));
    // Single precision is what the writer had: its decimals, rounded once more, are those of the text.
    let values = if single { values.map(|it| f64::from(it as f32)).collect() } else { values.collect() };
    Values::Reals(values, single)
}

fn name<'a>(encoding: &Value<'a>) -> Result<&'a str> {
    encoding.get("kind").and_then(Value::text).ok_or_else(|| missing("kind", "text", encoding.get("kind")))
}

/// The error of an encoding that does not decode what is there.
fn unexpected(name: &str) -> Error {
    match name {
        "ByteArray" | "StringArray" => {
            Error::malformed(format!("expected {name} as the encoding that makes the bytes, found it elsewhere"))
        }
        "IntegerPacking" | "RunLength" | "Delta" | "FixedPoint" | "IntervalQuantization" => {
            Error::malformed(format!("expected integers to decode by {name}, found something else"))
        }
        other => Error::unsupported(format!("expected an encoding of BinaryCIF 0.3, found {other:?}")),
    }
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
