//! MessagePack, <https://github.com/msgpack/msgpack/blob/master/spec.md>: values that borrow their bytes from the input.
//!
//! Memory is held to the input: an element takes at least one byte of it, a length is compared with the bytes that are left before
//! anything is allocated, nesting is held to the limit `depth`.

use mediary_core::{Context, Error, Result};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// An unsigned integer that [`Value::Int`] does not hold.
    Large(u64),
    Float(f64),
    /// Text, which may be no UTF-8: writers before version 5 of the format had no other type for bytes.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Array(Vec<Self>),
    /// Pairs in file order.
    Map(Vec<(Self, Self)>),
    /// A type of an application, and its bytes.
    Extension(i8, &'a [u8]),
}

impl<'a> Value<'a> {
    /// The value under a key of a map: the last, if it is repeated.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let is_key = |name: &Self| matches!(name, Self::Text(name) if *name == key.as_bytes());
        pairs.iter().rev().find(|(name, _)| is_key(name)).map(|(_, value)| value)
    }

    /// Text that is UTF-8.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let Self::Text(text) = self else { return None };
        std::str::from_utf8(text).ok()
    }

    /// Bytes, of either type.
    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn integer(&self) -> Option<i64> {
        match *self {
            Self::Int(value) => Some(value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Some(value as i64),
            _ => None,
        }
    }

    /// A number.
    pub(crate) fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(value) => Some(value as f64),
            Self::Large(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of an array.
    pub(crate) fn array(&self) -> Option<&[Self]> {
        let Self::Array(values) = self else { return None };
        Some(values)
    }

    /// What it is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Large(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Extension(..) => "an extension",
        }
    }
}

/// Reads values one after the other. The budget pays for arrays and maps.
pub(crate) struct Decoder<'a, 'c> {
    bytes: &'a [u8],
    at: usize,
    cx: &'c Context,
}

impl<'a, 'c> Decoder<'a, 'c> {
    pub(crate) fn new(bytes: &'a [u8], cx: &'c Context) -> Self {
        Self { bytes, at: 0, cx }
    }

    /// Offset of the next value.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> Result<Value<'a>> {
        self.nested(0)
    }

    fn nested(&mut self, depth: u64) -> Result<Value<'a>> {
        let start = self.at;
        let [code] = self.take()?;
        Ok(match code {
            0x00..=0x7F => Value::Int(i64::from(code)),
            0x80..=0x8F => self.map(u64::from(code & 15), start, depth)?,
            0x90..=0x9F => self.list(u64::from(code & 15), start, depth)?,
            0xA0..=0xBF => Value::Text(self.run(u64::from(code & 31), start)?),
            0xC0 => Value::Nil,
            0xC1 => {
                return Err(Error::malformed("expected a MessagePack value, found the byte C1, which begins none")
                    .at_byte(start as u64));
            }
            0xC2 | 0xC3 => Value::Bool(code == 0xC3),
            0xC4..=0xC6 => {
                let length = self.length(code - 0xC4)?;
                Value::Bytes(self.run(length, start)?)
            }
            0xC7..=0xC9 => {
                let length = self.length(code - 0xC7)?;
                self.extension(length, start)?
            }
            0xCA => Value::Float(f64::from(f32::from_be_bytes(self.take()?))),
            0xCB => Value::Float(f64::from_be_bytes(self.take()?)),
            0xCC..=0xCE => Value::Int(self.length(code - 0xCC)? as i64),
            0xCF => {
                let value = u64::from_be_bytes(self.take()?);
                i64::try_from(value).map_or(Value::Large(value), Value::Int)
            }
            0xD0 => Value::Int(i64::from(i8::from_be_bytes(self.take()?))),
            0xD1 => Value::Int(i64::from(i16::from_be_bytes(self.take()?))),
            0xD2 => Value::Int(i64::from(i32::from_be_bytes(self.take()?))),
            0xD3 => Value::Int(i64::from_be_bytes(self.take()?)),
            0xD4..=0xD8 => self.extension(1 << (code - 0xD4), start)?,
            0xD9..=0xDB => {
                let length = self.length(code - 0xD9)?;
                Value::Text(self.run(length, start)?)
            }
            0xDC | 0xDD => {
                let count = self.length(code - 0xDC + 1)?;
                self.list(count, start, depth)?
            }
            0xDE | 0xDF => {
                let count = self.length(code - 0xDE + 1)?;
                self.map(count, start, depth)?
            }
            0xE0.. => Value::Int(i64::from(code as i8)),
        })
    }

    /// A big-endian length of 1, 2 or 4 bytes.
    fn length(&mut self, power: u8) -> Result<u64> {
        Ok(match power {
            0 => u64::from(u8::from_be_bytes(self.take()?)),
            1 => u64::from(u16::from_be_bytes(self.take()?)),
            _ => u64::from(u32::from_be_bytes(self.take()?)),
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(chunk) = rest.first_chunk::<N>() else {
            return Err(self.short(N as u64, rest.len() as u64, self.at));
        };
        self.at += N;
        Ok(*chunk)
    }

    fn run(&mut self, length: u64, start: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let run = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let run = run.ok_or_else(|| self.short(length, rest.len() as u64, start))?;
        self.at += run.len();
        Ok(run)
    }

    fn short(&self, expected: u64, found: u64, at: usize) -> Error {
        Error::truncated("the bytes of a MessagePack value", expected, found).at_byte(at as u64)
    }

    fn extension(&mut self, length: u64, start: usize) -> Result<Value<'a>> {
        let [kind] = self.take()?;
        Ok(Value::Extension(kind as i8, self.run(length, start)?))
    }

    /// Room for `count` elements of at least `min_bytes` each, one level down.
    fn room<T>(&self, what: &str, count: u64, min_bytes: u64, start: usize, depth: u64) -> Result<Vec<T>> {
        self.cx.limits().check("depth", depth + 1)?;
        let left = (self.bytes.len() - self.at) as u64;
        let room = self.cx.budget().vec(what, count, min_bytes, left).map_err(|error| error.at_byte(start as u64))?;
        self.cx.limits().check("elements", count)?;
        Ok(room)
    }

    fn list(&mut self, count: u64, start: usize, depth: u64) -> Result<Value<'a>> {
        let mut values = self.room("MessagePack elements", count, 1, start, depth)?;
        for index in 0..count {
            if index % 16_384 == 16_383 {
                self.cx.checkpoint()?;
            }
            values.push(self.nested(depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, count: u64, start: usize, depth: u64) -> Result<Value<'a>> {
        let mut pairs = self.room("MessagePack pairs", count, 2, start, depth)?;
        for index in 0..count {
            if index % 16_384 == 16_383 {
                self.cx.checkpoint()?;
            }
            let key = self.nested(depth + 1)?;
            pairs.push((key, self.nested(depth + 1)?));
        }
        Ok(Value::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, Limits};

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Value<'_>> {
        Decoder::new(bytes, &Context::new("test")).value()
    }

    /// Bytes as msgpack 1.1 for Python packs the values.
    #[test]
    fn values_of_every_type() {
        use Value::*;
        for (bytes, value) in [
            (&b"\xc0"[..], Nil),
            (b"\xc2", Bool(false)),
            (b"\xc3", Bool(true)),
            (b"\x7f", Int(127)),
            (b"\xe0", Int(-32)),
            (b"\xcc\xff", Int(255)),
            (b"\xcd\xff\xff", Int(65_535)),
            (b"\xce\xff\xff\xff\xff", Int(4_294_967_295)),
            (b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", Int(i64::MAX)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Large(u64::MAX)),
            (b"\xd0\x80", Int(-128)),
            (b"\xd1\x80\x00", Int(-32_768)),
            (b"\xd2\x80\x00\x00\x00", Int(-2_147_483_648)),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Int(i64::MIN)),
            (b"\xca\x3f\xc0\x00\x00", Float(1.5)),
            (b"\xcb\xbf\xb9\x99\x99\x99\x99\x99\x9a", Float(-0.1)),
            (b"\xa2ab", Text(b"ab")),
            (b"\xd9\x02ab", Text(b"ab")),
            (b"\xda\x00\x02ab", Text(b"ab")),
            (b"\xdb\x00\x00\x00\x02ab", Text(b"ab")),
            (b"\xc4\x01\xff", Bytes(b"\xff")),
            (b"\xc5\x00\x01\xff", Bytes(b"\xff")),
            (b"\xc6\x00\x00\x00\x01\xff", Bytes(b"\xff")),
            (b"\xd4\x05\x09", Extension(5, b"\x09")),
            (b"\xd6\xff\x01\x02\x03\x04", Extension(-1, b"\x01\x02\x03\x04")),
            (b"\xc7\x03\x07abc", Extension(7, b"abc")),
            (b"\x92\x01\xc0", Array(vec![Int(1), Nil])),
            (b"\xdc\x00\x01\x02", Array(vec![Int(2)])),
            (b"\xdd\x00\x00\x00\x01\x02", Array(vec![Int(2)])),
            (b"\x81\xa1k\x01", Map(vec![(Text(b"k"), Int(1))])),
            (b"\xde\x00\x01\xa1k\x90", Map(vec![(Text(b"k"), Array(vec![]))])),
            (b"\xdf\x00\x00\x00\x01\x07\xc3", Map(vec![(Int(7), Bool(true))])),
        ] {
            let cx = Context::new("test");
            let mut decoder = Decoder::new(bytes, &cx);
            assert_eq!(decoder.value().unwrap(), value, "{bytes:x?}");
            assert_eq!(decoder.position(), bytes.len());
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]).unwrap_err().kind(), ErrorKind::Malformed, "{bytes:x?} {cut}");
            }
        }
        let map = decode(b"\x83\xa1a\x01\xa1b\x02\xa1a\x03").unwrap();
        assert_eq!(map.get("a").and_then(Value::integer), Some(3));
        assert_eq!(map.get("c"), None);
        assert_eq!(decode(b"\xc1").unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn bombs_are_refused_before_they_take_memory() {
        for bytes in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff\x00",
            b"\xc6\xff\xff\xff\xff",
            b"\xdd\x00\x00\x00\x02\x00",
        ] {
            assert_eq!(decode(bytes).unwrap_err().kind(), ErrorKind::Malformed, "{bytes:x?}");
        }
        assert_eq!(decode(&[0x91; 100_000]).unwrap_err().limit_name(), Some("depth"));
        let mut limits = Limits::default();
        limits.alloc_bytes = 1 << 20;
        let cx = Context::builder("test").limits(limits).build();
        let many = [&b"\xdd\x00\x01\x00\x00"[..], &[0; 1 << 16]].concat();
        assert_eq!(Decoder::new(&many, &cx).value().unwrap_err().limit_name(), Some("alloc_bytes"));
    }
}
