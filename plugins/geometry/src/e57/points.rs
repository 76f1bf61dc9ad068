//! Packets and streams of bits.

use e57::RecordDataType;
use mediary_core::record::{AttributeData, ScalarType};
use mediary_core::{Context, Error, Result, Source};

use super::pages::Pages;

/// How the numbers of a field are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Store {
    Single,
    Double,
    /// Bits of a number, which begins at `least`.
    Integer {
        least: i64,
        most: i64,
        bits: u32,
    },
    Scaled {
        least: i64,
        bits: u32,
        scale: f64,
        offset: f64,
    },
}

impl Store {
    pub(super) fn new(kind: &RecordDataType) -> Result<Self> {
        let bits = |min: i64, max: i64| match i128::from(max) - i128::from(min) {
            ..0 => Err(Error::malformed(format!("a field from {min} to {max}"))),
            0 => Ok(0),
            range => Ok(range.ilog2() + 1),
        };
        Ok(match *kind {
            RecordDataType::Single { .. } => Self::Single,
            RecordDataType::Double { .. } => Self::Double,
            RecordDataType::Integer { min, max } => Self::Integer { least: min, most: max, bits: bits(min, max)? },
            RecordDataType::ScaledInteger { min, max, scale, offset } => {
                Self::Scaled { least: min, bits: bits(min, max)?, scale, offset }
            }
        })
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Single => 32,
            Self::Double => 64,
            Self::Integer { bits, .. } | Self::Scaled { bits, .. } => bits,
        }
    }

    /// The least type that holds all values.
    pub(super) fn scalar(self) -> ScalarType {
        match self {
            Self::Single => ScalarType::F32,
            Self::Integer { least, most, .. } => match (least, most) {
                (0.., ..=255) => ScalarType::U8,
                (0.., ..=65535) => ScalarType::U16,
                (0.., ..=4_294_967_295) => ScalarType::U32,
                (-128.., ..=127) => ScalarType::I8,
                (-32_768.., ..=32_767) => ScalarType::I16,
                (-2_147_483_648.., ..=2_147_483_647) => ScalarType::I32,
                _ => ScalarType::F64,
            },
            _ => ScalarType::F64,
        }
    }

    /// The numbers at the start of a stream of bits.
    fn decode(self, stream: &Stream, count: usize) -> AttributeData {
        let mut data = AttributeData::with_capacity(self.scalar(), count);
        for index in 0..count {
            let raw = stream.bits(index as u64 * u64::from(self.bits()), self.bits());
            match (self, &mut data) {
                (Self::Single, AttributeData::F32(data)) => data.to_mut().push(f32::from_bits(raw as u32)),
                (Self::Double, AttributeData::F64(data)) => data.to_mut().push(f64::from_bits(raw)),
                (Self::Integer { least, .. }, data) => data.push((i128::from(raw) + i128::from(least)) as f64),
                (Self::Scaled { least, scale, offset, .. }, data) => {
                    data.push((i128::from(raw) + i128::from(least)) as f64 * scale + offset);
                }
                _ => {}
            }
        }
        data
    }
}

/// Bits that have been read and not decoded.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    /// Bits of the first byte that are decoded.
    done: u64,
}

impl Stream {
    fn available(&self) -> u64 {
        self.bytes.len() as u64 * 8 - self.done
    }

    /// `count` bits, 64 at most, from `at` on; the lowest first.
    fn bits(&self, at: u64, count: u32) -> u64 {
        let at = at + self.done;
        let (first, shift) = ((at / 8) as usize, at % 8);
        let mut word = [0; 16];
        let end = self.bytes.len().min(first + 9);
        if let Some(bytes) = self.bytes.get(first..end) {
            word[..bytes.len()].copy_from_slice(bytes);
        }
        let value = u128::from_le_bytes(word) >> shift;
        (value & ((1_u128 << count) - 1)) as u64
    }

    /// Drops decoded bits; how many bytes are gone.
    fn drop_front(&mut self, bits: u64) -> u64 {
        let done = self.done + bits;
        self.bytes.drain(..(done / 8) as usize);
        self.done = done % 8;
        done / 8
    }
}

/// The points of a scan, field by field.
pub(super) struct Packets {
    pages: Pages,
    cx: Context,
    stores: Vec<Store>,
    streams: Vec<Stream>,
}

impl Packets {
    /// Behind the header of the section at `offset`.
    pub(super) fn new(source: &Source, offset: u64, stores: Vec<Store>, cx: &Context) -> Result<Self> {
        let mut pages = Pages::at_physical(source, offset, cx)?;
        let mut head = [0; 32];
        pages.read(&mut head)?;
        if head[0] != 1 {
            let message = format!("expected a section of points (1), found {}", head[0]);
            return Err(Error::malformed(message).at_byte(offset));
        }
        let data = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| head[16 + byte]));
        let length = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| head[8 + byte]));
        if length % 4 != 0 || length > source.len() {
            return Err(Error::malformed(format!("a section of {length} bytes")).at_byte(offset + 8));
        }
        pages.seek_physical(data)?;
        let streams = stores.iter().map(|_| Stream::default()).collect();
        Ok(Self { pages, cx: cx.clone(), stores, streams })
    }

    /// Bytes of content behind the start.
    pub(super) fn left(&self) -> u64 {
        self.pages.left()
    }

    /// Points whose every field is there.
    fn available(&self) -> u64 {
        let each = self.streams.iter().zip(&self.stores);
        let each = each.filter_map(|(stream, store)| stream.available().checked_div(store.bits().into()));
        each.min().unwrap_or(u64::MAX)
    }

    /// The next points, `most` at most and one at least.
    pub(super) fn next(&mut self, most: u64) -> Result<(Vec<AttributeData>, usize)> {
        while self.available() == 0 {
            self.packet()?;
        }
        let count = self.available().min(most);
        let columns =
            self.stores.iter().zip(&self.streams).map(|(store, stream)| store.decode(stream, count as usize)).collect();
        for (stream, store) in self.streams.iter_mut().zip(&self.stores) {
            let gone = stream.drop_front(count * u64::from(store.bits()));
            self.cx.budget().give_back(gone);
        }
        Ok((columns, count as usize))
    }

    fn packet(&mut self) -> Result<()> {
        let at = self.pages.offset();
        let mut head = [0; 4];
        self.pages.read(&mut head)?;
        let length = u64::from(u16::from_le_bytes([head[2], head[3]])) + 1;
        match head[0] {
            // An index, or nothing.
            0 | 2 => {
                self.pages.skip(length.saturating_sub(4));
                return Ok(());
            }
            1 => {}
            other => {
                return Err(Error::malformed(format!("expected a packet of kind 0 to 2, found {other}")).at_byte(at));
            }
        }
        let mut count = [0; 2];
        self.pages.read(&mut count)?;
        let count = usize::from(u16::from_le_bytes(count));
        if count != self.streams.len() {
            let message = format!("a packet of {count} streams for {} fields", self.streams.len());
            return Err(Error::malformed(message).at_byte(at));
        }
        let mut sizes = vec![0; 2 * count];
        self.pages.read(&mut sizes)?;
        let sizes: Vec<u64> =
            sizes.chunks_exact(2).map(|size| u64::from(u16::from_le_bytes([size[0], size[1]]))).collect();
        let used = 6 + 2 * count as u64 + sizes.iter().sum::<u64>();
        if used > length {
            let message = format!("a packet of {length} bytes with streams of {used}");
            return Err(Error::malformed(message).at_byte(at));
        }
        for (stream, size) in self.streams.iter_mut().zip(sizes) {
            self.cx.budget().take(size)?;
            let start = stream.bytes.len();
            stream.bytes.resize(start + size as usize, 0);
            self.pages.read(&mut stream.bytes[start..])?;
        }
        self.pages.skip(length - used);
        Ok(())
    }
}
