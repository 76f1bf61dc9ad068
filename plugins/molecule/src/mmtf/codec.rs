//! Columns: from packed bytes to values.

use mediary_core::{Context, Error, Result};
use smol_str::SmolStr;

use crate::msgpack::Value;
use crate::text::word;

/// Bytes before the packed values.
const HEADER: usize = 12;
/// Integers that are unpacked at once.
const BLOCK: usize = 4096;
/// Integers that are looked through for parts of longer ones at once.
const TOGETHER: usize = 16;

/// A packed column.
pub(super) struct Column<'a> {
    codec: i32,
    /// Number of values.
    pub(super) length: u64,
    parameter: i32,
    data: &'a [u8],
    name: &'a str,
}

/// How a codec packs integers.
#[derive(Clone, Copy)]
struct Packing {
    /// Bytes of a packed integer.
    width: usize,
    /// The largest and the smallest integer of the width continue in the next.
    several: bool,
    /// Pairs of a value and how often it stands.
    runs: bool,
    /// Each is the difference to the one before.
    differences: bool,
    /// The parameter divides.
    fixed_point: bool,
}

fn packing(codec: i32) -> Option<Packing> {
    let (width, several, runs, differences, fixed_point) = match codec {
        2 => (1, false, false, false, false),
        3 => (2, false, false, false, false),
        4 => (4, false, false, false, false),
        6 | 7 | 16 => (4, false, true, false, false),
        8 => (4, false, true, true, false),
        9 => (4, false, true, false, true),
        10 => (2, true, false, true, true),
        11 => (2, false, false, false, true),
        12 => (2, true, false, false, true),
        13 => (1, true, false, false, true),
        14 => (2, true, false, false, false),
        15 => (1, true, false, false, false),
        _ => return None,
    };
    Some(Packing { width, several, runs, differences, fixed_point })
}

impl<'a> Column<'a> {
    /// The column in a byte string.
    pub(super) fn of(bytes: &'a [u8], name: &'a str) -> Result<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let [codec, length, parameter, ..] = *words else {
            return Err(Error::truncated("the header of a column", HEADER as u64, bytes.len() as u64).at_element(name));
        };
        let [codec, length, parameter] = [codec, length, parameter].map(i32::from_be_bytes);
        let length = u64::try_from(length)
            .map_err(|_| Error::malformed(format!("expected a number of values, found {length}")).at_element(name))?;
        Ok(Self { codec, length, parameter, data: &bytes[HEADER..], name })
    }

    fn wrong(&self, message: impl Into<String>) -> Error {
        Error::malformed(format!("{} (codec {})", message.into(), self.codec)).at_element(self.name)
    }

    fn unknown(&self, what: &str) -> Error {
        let codec = self.codec;
        match codec {
            1..=16 => self.wrong(format!("expected {what}, found values of another type")),
            _ => Error::unsupported(format!("expected a codec from 1 to 16, found {codec}")).at_element(self.name),
        }
    }

    /// Integers, in order, many at a time.
    pub(super) fn integers(&self, mut put: impl FnMut(&[i32])) -> Result<()> {
        match packing(self.codec).filter(|packing| !packing.fixed_point) {
            Some(packing) => self.unpack(packing, &mut put),
            None => Err(self.unknown("integers")),
        }
    }

    /// Numbers, in order, many at a time.
    pub(super) fn numbers(&self, mut put: impl FnMut(&[f64])) -> Result<()> {
        let mut numbers = Vec::with_capacity(BLOCK);
        if self.codec == 1 {
            let (values, rest) = self.data.as_chunks::<4>();
            self.fits(values.len() as u64, rest)?;
            for block in values.chunks(BLOCK) {
                numbers.clear();
                numbers.extend(block.iter().map(|value| f64::from(f32::from_be_bytes(*value))));
                put(&numbers);
            }
            return Ok(());
        }
        let Some(packing) = packing(self.codec) else { return Err(self.unknown("numbers")) };
        if packing.fixed_point && self.parameter == 0 {
            return Err(self.wrong("expected a divisor, found 0"));
        }
        let divisor = f64::from(if packing.fixed_point { self.parameter } else { 1 });
        self.unpack(packing, &mut |values| {
            numbers.clear();
            numbers.extend(values.iter().map(|&value| f64::from(value) / divisor));
            put(&numbers);
        })
    }

    /// Strings, in order.
    pub(super) fn strings(&self, mut put: impl FnMut(SmolStr)) -> Result<()> {
        if self.codec != 5 {
            return Err(self.unknown("strings"));
        }
        let width = usize::try_from(self.parameter).ok().filter(|&width| width > 0);
        let width = width.ok_or_else(|| self.wrong(format!("expected a length, found {}", self.parameter)))?;
        let chunks = self.data.chunks_exact(width);
        self.fits(chunks.len() as u64, chunks.remainder())?;
        for chunk in chunks {
            let end = chunk.iter().position(|&byte| byte == 0).unwrap_or(width);
            put(word(&chunk[..end]));
        }
        Ok(())
    }

    /// Holds the number of values against the announced one.
    fn fits(&self, found: u64, rest: &[u8]) -> Result<()> {
        if found != self.length || !rest.is_empty() {
            let bytes = self.data.len();
            return Err(self.wrong(format!("expected {} values, found {found} in {bytes} bytes", self.length)));
        }
        Ok(())
    }

    /// Gives on integers, a block at a time.
    fn unpack(&self, packing: Packing, put: &mut dyn FnMut(&[i32])) -> Result<()> {
        match packing.width {
            1 => self.unpack_from(packing, |[byte]: [u8; 1]| i32::from(byte as i8), put),
            2 => self.unpack_from(packing, |bytes| i32::from(i16::from_be_bytes(bytes)), put),
            _ => self.unpack_from(packing, i32::from_be_bytes, put),
        }
    }

    fn unpack_from<const N: usize>(
        &self,
        packing: Packing,
        value: impl Fn([u8; N]) -> i32,
        put: &mut dyn FnMut(&[i32]),
    ) -> Result<()> {
        let (words, rest) = self.data.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(self.wrong(format!("expected a multiple of {N} bytes, found {}", self.data.len())));
        }
        let mut block = Vec::with_capacity(BLOCK);
        let mut sum = 0_i32;
        let mut give = |block: &mut Vec<i32>| -> Result<()> {
            if packing.differences {
                let mut fits = true;
                for value in block.iter_mut() {
                    let (next, is_over) = sum.overflowing_add(*value);
                    fits &= !is_over;
                    sum = next;
                    *value = next;
                }
                if !fits {
                    return Err(self.too_long());
                }
            }
            put(block);
            block.clear();
            Ok(())
        };
        if packing.runs {
            let mut left = self.length;
            let (pairs, odd) = words.as_chunks::<2>();
            for pair in pairs {
                let [value, times] = pair.map(&value);
                let mut times = u64::try_from(times)
                    .ok()
                    .filter(|&times| times <= left)
                    .ok_or_else(|| self.wrong(format!("expected a run of at most {left} values, found {times}")))?;
                left -= times;
                while times > 0 {
                    let now = times.min((BLOCK - block.len()) as u64);
                    block.resize(block.len() + now as usize, value);
                    times -= now;
                    if block.len() == BLOCK {
                        give(&mut block)?;
                    }
                }
            }
            if !odd.is_empty() {
                return Err(self.wrong("expected pairs, found an odd number of integers"));
            }
            give(&mut block)?;
            return match left {
                0 => Ok(()),
                _ => Err(self.wrong(format!("expected {} values, found {}", self.length, self.length - left))),
            };
        }
        if !packing.several {
            self.fits(words.len() as u64, &[])?;
            return words.chunks(BLOCK).try_for_each(|words| {
                block.extend(words.iter().map(|word| value(*word)));
                give(&mut block)
            });
        }
        let (least, most) = if N == 1 { (-128, 127) } else { (-32_768, 32_767) };
        let is_part = |value: i32| value == least || value == most;
        let mut count = 0;
        let mut part: Option<i32> = None;
        // Most values are of one part: those are taken together.
        for words in words.chunks(TOGETHER) {
            if part.is_none() && !words.iter().any(|word| is_part(value(*word))) {
                block.extend(words.iter().map(|word| value(*word)));
                count += words.len() as u64;
            } else {
                for word in words {
                    let word = value(*word);
                    let value = part.take().unwrap_or(0).checked_add(word).ok_or_else(|| self.too_long())?;
                    if is_part(word) {
                        part = Some(value);
                    } else {
                        block.push(value);
                        count += 1;
                    }
                }
            }
            if count > self.length {
                break;
            }
            if block.len() + TOGETHER > BLOCK {
                give(&mut block)?;
            }
        }
        if part.is_some() {
            return Err(self.wrong("expected the rest of a value in several parts, found the end"));
        }
        self.fits(count, &[])?;
        give(&mut block)
    }

    fn too_long(&self) -> Error {
        self.wrong("expected values of 32 bits, found longer ones")
    }

    /// Its values as JSON, paid from the budget.
    pub(super) fn json(&self, cx: &Context) -> Result<serde_json::Value> {
        let mut values: Vec<serde_json::Value> = Vec::new();
        cx.limits().check("elements", self.length)?;
        cx.budget().take(self.length.saturating_mul(2 * size_of::<serde_json::Value>() as u64))?;
        match self.codec {
            5 => self.strings(|text| values.push(text.as_str().into()))?,
            6 => self.integers(|codes| {
                let text = |&code: &i32| u32::try_from(code).ok().and_then(char::from_u32).filter(|&code| code != '\0');
                values.extend(codes.iter().map(|code| text(code).map_or_else(String::new, String::from).into()));
            })?,
            1 | 9..=13 => {
                self.numbers(|numbers| values.extend(numbers.iter().map(|&number| decimal(number).into())))?;
            }
            _ => self.integers(|numbers| values.extend(numbers.iter().map(|&number| number.into())))?,
        }
        Ok(values.into())
    }
}

/// The shortest decimal number that a single-precision number stands for: 80.37 where widening gives 80.37000274658203.
pub(super) fn decimal(value: f64) -> f64 {
    let single = value as f32;
    let shortest = || single.to_string().parse().unwrap_or(value);
    if f64::from(single) == value { shortest() } else { value }
}

/// A value as JSON: byte strings that are columns as their values.
pub(super) fn json(value: &Value<'_>, name: &str, cx: &Context) -> Result<serde_json::Value> {
    cx.budget().take(size_of::<serde_json::Value>() as u64)?;
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Large(number) => (*number).into(),
        Value::Float(number) => decimal(*number).into(),
        Value::Text(text) => {
            cx.limits().check("string_bytes", text.len() as u64)?;
            cx.budget().take(text.len() as u64)?;
            String::from_utf8_lossy(text).into()
        }
        Value::Bytes(bytes) | Value::Extension(_, bytes) => Column::of(bytes, name)?.json(cx)?,
        Value::Array(values) => values.iter().map(|value| json(value, name, cx)).collect::<Result<Vec<_>>>()?.into(),
        Value::Map(pairs) => {
            let mut map = serde_json::Map::new();
            for (key, value) in pairs {
                cx.budget().take(128)?;
                let key = match key {
                    Value::Text(key) => String::from_utf8_lossy(key).into_owned(),
                    Value::Int(key) => key.to_string(),
                    other => {
                        let found = other.name();
                        return Err(Error::malformed(format!("expected a key, found {found}")).at_element(name));
                    }
                };
                map.insert(key, json(value, name, cx)?);
            }
            map.into()
        }
    })
}
