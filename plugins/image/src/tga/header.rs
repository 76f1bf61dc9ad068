//! The 18 bytes at the start, and what a pixel is after them.

use mediary_core::{Context, Error, Location, Result};

use crate::raster::{Channel, u16_le};

/// Bytes of the header.
pub(super) const HEADER: usize = 18;

/// What the samples of pixels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Map,
    Color,
    Gray,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    class: Class,
    /// Whether packets hold the pixels.
    pub(super) runs: bool,
    id_bytes: usize,
    map_first: usize,
    map_count: usize,
    map_bits: u8,
    pub(super) width: u16,
    pub(super) height: u16,
    bits: u8,
    pub(super) attribute_bits: u8,
    pub(super) from_right: bool,
    pub(super) from_top: bool,
    pub(super) interleaved: bool,
    /// Where the pixels begin.
    pub(super) start: usize,
}

/// How the pixels that a header announces fit into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They end where it does.
    Exact,
    /// It goes on behind them, or so far as can be seen.
    Room,
    /// It ends before.
    Short,
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let Some(head) = bytes.get(..HEADER) else {
            return Err(Error::truncated("the header", HEADER as u64, bytes.len() as u64).at_byte(0));
        };
        let (has_map, kind, map_bits, bits, descriptor) = (head[1], head[2], head[7], head[16], head[17]);
        let wrong = |expected: &str, found: u8, at| {
            Err(Error::malformed(format!("expected {expected}, found {found}")).at_byte(at))
        };
        if has_map > 1 {
            return wrong("0 or 1 for a colour map", has_map, 1);
        }
        let class = match kind {
            // Pillow and others read indices without a map as gray.
            1 | 9 if has_map == 1 => Class::Map,
            1 | 9 | 3 | 11 => Class::Gray,
            2 | 10 => Class::Color,
            0 => return Err(Error::malformed("expected a picture, found the type 0, which is none").at_byte(2)),
            32 | 33 => {
                return Err(Error::unsupported(format!("expected runs or plain pixels, found type {kind}")).at_byte(2));
            }
            _ => return wrong("a type of 1, 2, 3, 9, 10 or 11", kind, 2),
        };
        if has_map == 1 && !matches!(map_bits, 15 | 16 | 24 | 32) {
            return wrong("a map of 15, 16, 24 or 32 bits", map_bits, 7);
        }
        match (class, bits) {
            (Class::Map, 8 | 15 | 16) | (Class::Color, 15 | 16 | 24 | 32) | (Class::Gray, 8 | 16) => {}
            (Class::Gray, 1) if kind == 3 => {}
            (Class::Map, _) => return wrong("8 or 16 bits of index", bits, 16),
            (Class::Color, _) => return wrong("15, 16, 24 or 32 bits of colour", bits, 16),
            (Class::Gray, _) => return wrong("1, 8 or 16 bits of gray", bits, 16),
        }
        let (width, height) = (u16_le(head, 12), u16_le(head, 14));
        if width == 0 || height == 0 {
            return Err(Error::malformed(format!("expected a picture, found {width} x {height} pixels")).at_byte(12));
        }
        let id_bytes = usize::from(head[0]);
        let map_count = if has_map == 1 { usize::from(u16_le(head, 5)) } else { 0 };
        let map_bytes = map_count * usize::from(map_bits).div_ceil(8);
        Ok(Self {
            class,
            runs: kind > 8,
            id_bytes,
            map_first: u16_le(head, 3).into(),
            map_count,
            map_bits,
            width,
            height,
            bits,
            attribute_bits: descriptor & 15,
            from_right: descriptor & 0x10 != 0,
            from_top: descriptor & 0x20 != 0,
            interleaved: descriptor & 0xC0 != 0,
            start: HEADER + id_bytes + map_bytes,
        })
    }

    pub(super) fn map_start(&self) -> usize {
        HEADER + self.id_bytes
    }

    /// Bytes of a pixel; 1 also where eight pixels share it.
    pub(super) fn pixel_bytes(&self) -> usize {
        usize::from(self.bits).div_ceil(8)
    }

    pub(super) fn row_bytes(&self) -> usize {
        let width = usize::from(self.width);
        if self.bits == 1 { width.div_ceil(8) } else { width * self.pixel_bytes() }
    }

    /// Bytes of all pixels, without runs.
    pub(super) fn raster_bytes(&self) -> u64 {
        self.row_bytes() as u64 * u64::from(self.height)
    }

    pub(super) fn channels(&self) -> u8 {
        match (self.class, self.bits, self.map_bits) {
            (Class::Gray, 16, _) => 2,
            (Class::Gray, ..) => 1,
            (Class::Map, _, 15 | 24) | (Class::Color, 15 | 24, _) => 3,
            _ => 4,
        }
    }

    /// Bits of a sample.
    pub(super) fn sample_bits(&self) -> u8 {
        match (self.class, self.bits, self.map_bits) {
            (Class::Gray, 1, _) => 1,
            (Class::Map, _, 15 | 16) | (Class::Color, 15 | 16, _) => 5,
            _ => 8,
        }
    }

    /// Holds what is announced against a file of `length` bytes that begins as `head`.
    pub(super) fn fit(&self, head: &[u8], length: u64) -> Fit {
        if self.attribute_bits > 8 || self.interleaved || self.class == Class::Map && self.map_count == 0 {
            return Fit::Short;
        }
        let compare = |end: u64| match end.cmp(&length) {
            std::cmp::Ordering::Equal => Fit::Exact,
            std::cmp::Ordering::Less => Fit::Room,
            std::cmp::Ordering::Greater => Fit::Short,
        };
        if !self.runs {
            return compare(self.start as u64 + self.raster_bytes());
        }
        let all = u64::from(self.width) * u64::from(self.height);
        let (mut at, mut pixels) = (self.start, 0);
        while let Some(&tag) = head.get(at) {
            if pixels == all {
                return compare(at as u64);
            }
            let count = usize::from(tag & 0x7F) + 1;
            pixels += count as u64;
            if pixels > all {
                return Fit::Short;
            }
            at += 1 + self.pixel_bytes() * if tag & 0x80 == 0 { count } else { 1 };
        }
        match (head.len() as u64) < length {
            true => Fit::Room,
            false if pixels == all => compare(at as u64),
            false => Fit::Short,
        }
    }
}

/// From stored pixels to colours.
pub(super) struct Colors {
    head: Head,
    map: Vec<[u8; 4]>,
    /// Indices outside of the map.
    outside: u64,
    first_outside: usize,
}

impl Colors {
    pub(super) fn new(head: &Head, map: &[u8]) -> Self {
        let is_map = head.class == Class::Map;
        let entries = map.chunks_exact(usize::from(head.map_bits).div_ceil(8).max(1));
        let map = entries.filter(|_| is_map).map(|entry| color(entry, head.map_bits)).collect();
        Self { head: *head, map, outside: 0, first_outside: 0 }
    }

    /// The pixel at `x` of a row, if it is there.
    pub(super) fn pixel(&mut self, row: &[u8], x: usize) -> Option<[u8; 4]> {
        let unit = self.head.pixel_bytes();
        if self.head.bits == 1 {
            let value = if row.get(x / 8)? & 0x80 >> (x % 8) == 0 { 0 } else { 255 };
            return Some([value; 4]);
        }
        let stored = row.get(x * unit..x * unit + unit)?;
        Some(match self.head.class {
            Class::Color => color(stored, self.head.bits),
            Class::Gray => {
                let alpha = stored.get(1).copied().unwrap_or(255);
                [stored[0], stored[0], stored[0], alpha]
            }
            Class::Map => {
                let index = stored.iter().rev().fold(0, |index, &byte| index << 8 | usize::from(byte));
                let known = index.checked_sub(self.head.map_first).and_then(|index| self.map.get(index));
                known.copied().unwrap_or_else(|| {
                    self.first_outside = if self.outside == 0 { index } else { self.first_outside };
                    self.outside += 1;
                    [0, 0, 0, 255]
                })
            }
        })
    }

    pub(super) fn tell(&self, at: usize, cx: &Context) -> Result<()> {
        if self.outside == 0 {
            return Ok(());
        }
        let (first, count) = (self.head.map_first, self.map.len());
        let text = format!(
            "expected indices of a map of {count} colours from {first} on, found {} outside of it, the first is {}; they are black",
            self.outside, self.first_outside
        );
        cx.tolerate("index", text, Location::byte(at as u64))
    }
}

/// A colour of 15, 16, 24 or 32 bits.
fn color(stored: &[u8], bits: u8) -> [u8; 4] {
    match *stored {
        [low, high] => {
            let word = u32::from(u16::from_le_bytes([low, high]));
            let channel = |shift: u32| Channel::five(shift).scaled(word, 255) as u8;
            let alpha = if bits == 16 && high & 0x80 != 0 { 0 } else { 255 };
            [channel(10), channel(5), channel(0), alpha]
        }
        [b, g, r] => [r, g, b, 255],
        [b, g, r, a] => [r, g, b, a],
        _ => [0, 0, 0, 255],
    }
}

/// A field of text that may end before its zeros or blanks.
pub(super) fn text(field: &[u8]) -> Option<String> {
    let field = field.split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii();
    (!field.is_empty()).then(|| String::from_utf8_lossy(field).into_owned())
}
