//! The pixels behind the header.

use mediary_core::record::Samples;
use mediary_core::{Context, Error, Location, Result, Severity};

use super::head::{Coding, Head};
use crate::decode;
use crate::raster::{half, part};

/// Samples between two looks at the clock.
const STEP: usize = 1 << 16;

/// The samples, and where they end.
pub(super) fn read(head: &Head, bytes: &[u8], cx: &Context) -> Result<(Samples, usize)> {
    if let Some(length) = head.raster_bytes() {
        let stored = part(cx, bytes, head.raster, length, "the picture")?;
        return Ok((binary(head, stored, cx)?, head.raster + stored.len()));
    }
    let mut numbers = Numbers { bytes, at: head.raster };
    let count = head.layout.samples();
    // A number takes a digit, and a byte to part it from the next; bits need none.
    let least = if head.coding == Coding::TextBits { count } else { 2 * count - 1 };
    let left = (bytes.len() - head.raster.min(bytes.len())) as u64;
    if least > left {
        let error = Error::truncated("the text of the pixels", least, left).at_byte(head.raster as u64);
        cx.unless_lenient("truncated", error)?;
    }
    let samples = match head.coding {
        Coding::Text(most @ 256..) => {
            Samples::U16(text(&mut numbers, head, most, table(most, 65535.0, |value| value as u16), cx)?.into())
        }
        Coding::Text(most) => {
            Samples::U8(text(&mut numbers, head, most, table(most, 255.0, |value| value as u8), cx)?.into())
        }
        _ => {
            let mut samples = decode::buffer::<u8>(cx, count)?;
            fill(&mut samples, cx, || Ok(numbers.bit()?.map(|bit| if bit { 0 } else { 255 })))?;
            Samples::U8(samples.into())
        }
    };
    Ok((samples, numbers.at))
}

/// Samples of numbers in text, by what the table makes of each.
fn text<T: Copy + Default>(
    numbers: &mut Numbers<'_>,
    head: &Head,
    most: u16,
    table: Vec<T>,
    cx: &Context,
) -> Result<Vec<T>> {
    let mut beyond = Beyond::default();
    let mut samples = decode::buffer::<T>(cx, head.layout.samples())?;
    fill(&mut samples, cx, || Ok(numbers.number()?.map(|number| table[beyond.clamp(number, most)])))?;
    beyond.tell(most, head, cx)?;
    Ok(samples)
}

/// Fills `samples` as far as `next` goes; an end before is an error, unless lenient.
fn fill<T>(samples: &mut [T], cx: &Context, mut next: impl FnMut() -> Result<Option<T>>) -> Result<()> {
    let count = samples.len();
    for (index, sample) in samples.iter_mut().enumerate() {
        if index % STEP == 0 {
            cx.checkpoint()?;
        }
        match next()? {
            Some(value) => *sample = value,
            None => {
                let error = Error::malformed(format!("the pixels end early: expected {count} numbers, found {index}"));
                return cx
                    .unless_lenient("truncated", error.with_hint("the file is cut short; fetch or copy it again"));
            }
        }
    }
    Ok(())
}

/// What numbers up to `most` become, with `full` for the largest: rounded to the nearest, halves to the even one, as
/// Python does.
fn table<T>(most: u16, full: f64, make: impl Fn(f64) -> T) -> Vec<T> {
    (0..=most).map(|number| make((f64::from(number) / f64::from(most) * full).round_ties_even())).collect()
}

/// Numbers beyond the largest.
#[derive(Default)]
struct Beyond {
    count: u64,
    first: u32,
}

impl Beyond {
    fn clamp(&mut self, number: u32, most: u16) -> usize {
        if number > u32::from(most) {
            self.first = if self.count == 0 { number } else { self.first };
            self.count += 1;
        }
        number.min(most.into()) as usize
    }

    fn tell(&self, most: u16, head: &Head, cx: &Context) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let text =
            format!("expected numbers up to {most}, found {} beyond it, the first is {}", self.count, self.first);
        cx.tolerate("range", text, Location::byte(head.raster as u64))
    }
}

fn binary(head: &Head, stored: &[u8], cx: &Context) -> Result<Samples> {
    let layout = &head.layout;
    let mut beyond = Beyond::default();
    let samples = match head.coding {
        Coding::Float { little, half } => Samples::F32(floats(head, stored, little, half, cx)?.into()),
        Coding::Binary(most @ ..=255) => {
            let mut samples = decode::buffer::<u8>(cx, layout.samples())?;
            let table = table(most, 255.0, |value| value as u8);
            for (to, from) in samples.chunks_mut(STEP).zip(stored.chunks(STEP)) {
                cx.checkpoint()?;
                for (sample, &number) in to.iter_mut().zip(from) {
                    *sample = if most == 255 { number } else { table[beyond.clamp(number.into(), most)] };
                }
            }
            Samples::U8(samples.into())
        }
        Coding::Binary(most) => {
            let mut samples = decode::buffer::<u16>(cx, layout.samples())?;
            let table = table(most, 65535.0, |value| value as u16);
            for (to, from) in samples.chunks_mut(STEP).zip(stored.chunks(2 * STEP)) {
                cx.checkpoint()?;
                for (sample, pair) in to.iter_mut().zip(from.as_chunks::<2>().0) {
                    *sample = table[beyond.clamp(u16::from_be_bytes(*pair).into(), most)];
                }
            }
            Samples::U16(samples.into())
        }
        _ => {
            let mut samples = decode::buffer::<u8>(cx, layout.samples())?;
            let width = layout.width as usize;
            for (y, (row, packed)) in samples.chunks_exact_mut(width).zip(stored.chunks(width.div_ceil(8))).enumerate()
            {
                if y % 256 == 0 {
                    cx.checkpoint()?;
                }
                for (eight, byte) in row.chunks_mut(8).zip(packed) {
                    for (bit, sample) in eight.iter_mut().enumerate() {
                        *sample = if byte & 0x80 >> bit == 0 { 255 } else { 0 };
                    }
                }
            }
            Samples::U8(samples.into())
        }
    };
    if let Coding::Binary(most) = head.coding {
        beyond.tell(most, head, cx)?;
    }
    Ok(samples)
}

/// Floats, whose rows are stored from the bottom up.
fn floats(head: &Head, stored: &[u8], little: bool, is_half: bool, cx: &Context) -> Result<Vec<f32>> {
    let mut samples = decode::buffer::<f32>(cx, head.layout.samples())?;
    let row = head.layout.row();
    let mut odd = 0_u64;
    let width = if is_half { 2 } else { 4 };
    for (y, (to, from)) in samples.chunks_exact_mut(row).rev().zip(stored.chunks(row * width)).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        for (sample, bytes) in to.iter_mut().zip(from.chunks_exact(width)) {
            *sample = match *bytes {
                [a, b] => half(if little { u16::from_le_bytes([a, b]) } else { u16::from_be_bytes([a, b]) }),
                [a, b, c, d] if little => f32::from_le_bytes([a, b, c, d]),
                [a, b, c, d] => f32::from_be_bytes([a, b, c, d]),
                _ => 0.0,
            };
            odd += u64::from(!sample.is_finite());
        }
    }
    cx.report_times(Severity::Info, "non-finite", "samples that are NaN or infinite", None, odd);
    Ok(samples)
}

/// Numbers in text.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Numbers<'_> {
    /// The next byte that is neither white space nor in a comment.
    fn visible(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte == b'#' {
                let rest = &self.bytes[self.at..];
                self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() || byte == 0x0B {
                self.at += 1;
            } else {
                return Some(byte);
            }
        }
    }

    fn wrong(&self, expected: &str) -> Error {
        let found = &self.bytes[self.at..(self.at + 12).min(self.bytes.len())];
        let text = format!("expected {expected}, found {:?}", found.escape_ascii().to_string());
        Error::malformed(text).at_byte(self.at as u64)
    }

    /// The next digit 0 or 1.
    fn bit(&mut self) -> Result<Option<bool>> {
        match self.visible() {
            None => Ok(None),
            Some(byte @ (b'0' | b'1')) => {
                self.at += 1;
                Ok(Some(byte == b'1'))
            }
            Some(_) => Err(self.wrong("0 or 1")),
        }
    }

    fn number(&mut self) -> Result<Option<u32>> {
        if self.visible().is_none() {
            return Ok(None);
        }
        let (start, mut number) = (self.at, 0_u32);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            self.at += 1;
        }
        let ends = self.bytes.get(self.at).is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'#' | 0x0B));
        if self.at == start || !ends {
            self.at = start;
            return Err(self.wrong("a whole number"));
        }
        Ok(Some(number))
    }
}
