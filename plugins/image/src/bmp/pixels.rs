//! The pixels behind the header: rows, or runs.

use mediary_core::record::Samples;
use mediary_core::{Context, Error, Location, Result};

use super::dib::{Coding, Dib};
use crate::decode;
use crate::raster::{Layout, part};

/// Runs between two looks at the clock.
const STEP: usize = 1 << 14;

/// The samples of `dib`, whose pixels are in `bytes`, and where the pixels end.
pub(crate) fn samples(dib: &Dib, layout: &Layout, bytes: &[u8], cx: &Context) -> Result<(Samples, usize)> {
    if dib.coding == Coding::Runs {
        return runs(dib, layout, bytes, cx);
    }
    // The last row may do without its padding.
    let last = (u64::from(dib.width) * u64::from(dib.bits)).div_ceil(8);
    let length = dib.stride() * u64::from(dib.height - 1) + last;
    let stored = part(cx, bytes, dib.pixels, length, "the picture")?;
    let end = dib.pixels + stored.len();
    let samples = match dib.bits {
        ..=8 => {
            let mut picture = Picture::<u8>::new(dib, layout, cx)?;
            let mut colors = Colors::new(dib, layout);
            let mut indices = vec![0; dib.width as usize];
            picture.rows(dib, stored, cx, |row, packed| {
                let known = unpack(&mut indices, packed, dib.bits.into());
                colors.paint(row, &indices[..known]);
            })?;
            colors.tell(dib, cx)?;
            Samples::U8(picture.samples.into())
        }
        64 => {
            let mut picture = Picture::<f32>::new(dib, layout, cx)?;
            picture.rows(dib, stored, cx, |row, packed| {
                for (pixel, words) in row.as_chunks_mut::<4>().0.iter_mut().zip(packed.as_chunks::<8>().0) {
                    let [b, g, r, a] = [0, 2, 4, 6].map(|at| fixed([words[at], words[at + 1]]));
                    *pixel = [r, g, b, a];
                }
            })?;
            Samples::F32(picture.samples.into())
        }
        _ if layout.bits > 8 => {
            let mut picture = Picture::<u16>::new(dib, layout, cx)?;
            picture
                .rows(dib, stored, cx, |row, packed| masked(dib, layout, row, packed, 65535, |value| value as u16))?;
            Samples::U16(picture.samples.into())
        }
        _ => {
            let mut picture = Picture::<u8>::new(dib, layout, cx)?;
            picture.rows(dib, stored, cx, |row, packed| masked(dib, layout, row, packed, 255, |value| value as u8))?;
            Samples::U8(picture.samples.into())
        }
    };
    Ok((samples, end))
}

/// A number with 13 bits behind the point, as 64-bit bitmaps of GDI+ have it: 1 is the displayable most.
fn fixed(bytes: [u8; 2]) -> f32 {
    f32::from(i16::from_le_bytes(bytes)) / 8192.0
}

struct Picture<T> {
    samples: Vec<T>,
    row: usize,
}

impl<T: Clone + Default> Picture<T> {
    fn new(dib: &Dib, layout: &Layout, cx: &Context) -> Result<Self> {
        debug_assert_eq!((dib.width, dib.height), (layout.width, layout.height));
        Ok(Self { samples: decode::buffer::<T>(cx, layout.samples())?, row: layout.row() })
    }

    /// Paints every row that is stored.
    fn rows(&mut self, dib: &Dib, stored: &[u8], cx: &Context, mut paint: impl FnMut(&mut [T], &[u8])) -> Result<()> {
        let last = dib.height as usize - 1;
        for (y, packed) in stored.chunks(dib.stride() as usize).enumerate() {
            if y % 256 == 0 {
                cx.checkpoint()?;
            }
            let y = if dib.top_down { y } else { last - y };
            paint(&mut self.samples[y * self.row..(y + 1) * self.row], packed);
        }
        Ok(())
    }
}

/// Pixels of 16, 24 and 32 bits.
fn masked<T>(dib: &Dib, layout: &Layout, row: &mut [T], packed: &[u8], full: u32, make: impl Fn(u32) -> T) {
    let pixels = row.chunks_exact_mut(layout.channels.into()).zip(packed.chunks_exact(usize::from(dib.bits / 8)));
    for (pixel, bytes) in pixels {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u32::from_le_bytes(word);
        for (sample, channel) in pixel.iter_mut().zip(dib.channels) {
            *sample = make(channel.scaled(word, full));
        }
    }
}

/// Indices of `bits` each, the leftmost in the upper bits; returns how many there are.
fn unpack(indices: &mut [u8], packed: &[u8], bits: usize) -> usize {
    let known = indices.len().min(packed.len() * 8 / bits);
    for (x, index) in indices[..known].iter_mut().enumerate() {
        let bit = x * bits;
        *index = (packed[bit / 8] << (bit % 8)) >> (8 - bits);
    }
    known
}

/// The palette, with black for the indices that have no colour in it.
struct Colors {
    table: [[u8; 3]; 256],
    known: usize,
    /// Bytes of a pixel.
    channels: usize,
    /// Pixels without a colour.
    beyond: u64,
    largest: u8,
}

impl Colors {
    fn new(dib: &Dib, layout: &Layout) -> Self {
        let mut table = [[0; 3]; 256];
        table[..dib.palette.len()].copy_from_slice(&dib.palette);
        Self { table, known: dib.palette.len(), channels: layout.channels.into(), beyond: 0, largest: 0 }
    }

    fn paint(&mut self, row: &mut [u8], indices: &[u8]) {
        for (pixel, &index) in row.chunks_exact_mut(self.channels).zip(indices) {
            pixel.copy_from_slice(&self.table[usize::from(index)][..self.channels]);
            if usize::from(index) >= self.known {
                self.beyond += 1;
                self.largest = self.largest.max(index);
            }
        }
    }

    fn tell(&self, dib: &Dib, cx: &Context) -> Result<()> {
        if self.beyond == 0 {
            return Ok(());
        }
        let text = format!(
            "expected indices of a palette of {} colours, found {} beyond it, up to {}; they are black",
            self.known, self.beyond, self.largest
        );
        cx.tolerate("index", text, Location::byte(dib.pixels as u64))
    }
}

/// Runs of 4, 8 or 24 bits a pixel.
fn runs(dib: &Dib, layout: &Layout, bytes: &[u8], cx: &Context) -> Result<(Samples, usize)> {
    let unit = if dib.bits == 24 { 3 } else { 1 };
    let count = u64::from(dib.width) * u64::from(dib.height);
    let canvas = decode::buffer::<u8>(cx, count * unit as u64)?;
    let mut runs = Runs {
        bytes,
        at: dib.pixels,
        bits: dib.bits,
        unit,
        canvas,
        width: dib.width as usize,
        height: dib.height as usize,
        top_down: dib.top_down,
        x: 0,
        y: 0,
        painted: 0,
        outside: 0,
    };
    runs.read(cx)?;
    if runs.outside > 0 {
        let text = format!("{} pixels of runs are outside of the picture, they are left out", runs.outside);
        cx.tolerate("runs", text, Location::byte(dib.pixels as u64))?;
    }
    if runs.painted < count {
        cx.note(
            "undefined-pixels",
            format!("{} pixels are in no run, they have the first colour", count - runs.painted),
        );
    }
    let end = runs.at;
    if unit == 3 {
        return Ok((Samples::U8(runs.canvas.into()), end));
    }
    let mut samples = decode::buffer::<u8>(cx, layout.samples())?;
    let mut colors = Colors::new(dib, layout);
    for (row, indices) in samples.chunks_exact_mut(layout.row()).zip(runs.canvas.chunks_exact(runs.width)) {
        colors.paint(row, indices);
    }
    cx.budget().give_back(count);
    // Pixels in no run are of index 0, which a palette without colours has not either.
    colors.tell(dib, cx)?;
    Ok((Samples::U8(samples.into()), end))
}

struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    bits: u16,
    /// Bytes of a pixel on the canvas.
    unit: usize,
    canvas: Vec<u8>,
    width: usize,
    height: usize,
    top_down: bool,
    /// Where the next pixel goes; rows count from the first one stored.
    x: usize,
    y: usize,
    painted: u64,
    outside: u64,
}

impl<'a> Runs<'a> {
    fn read(&mut self, cx: &Context) -> Result<()> {
        for step in 0_usize.. {
            if step.is_multiple_of(STEP) {
                cx.checkpoint()?;
            }
            let Some([count, value]) = self.pair() else { return self.ended(cx) };
            match (count, value) {
                (0, 0) => (self.x, self.y) = (0, self.y + 1),
                (0, 1) => return Ok(()),
                (0, 2) => {
                    let Some([right, up]) = self.pair() else { return self.ended(cx) };
                    self.x = self.x.saturating_add(right.into());
                    self.y = self.y.saturating_add(up.into());
                }
                (0, count) => {
                    let count = usize::from(count);
                    let length = (count * usize::from(self.bits)).div_ceil(8);
                    let Some(pixels) = self.take(length) else { return self.ended(cx) };
                    match self.bits {
                        4 => (0..count).for_each(|i| self.put(&[pixels[i / 2] << (4 * (i % 2)) >> 4], 1)),
                        _ => pixels.chunks_exact(self.unit).for_each(|pixel| self.put(pixel, 1)),
                    }
                    // Runs begin at even places.
                    self.at += length % 2;
                }
                (count, value) => match self.bits {
                    24 => {
                        // The byte behind the count is blue, the first of three.
                        self.at -= 1;
                        let Some(pixel) = self.take(3) else { return self.ended(cx) };
                        self.put(pixel, count.into());
                    }
                    4 => (0..count).for_each(|i| self.put(&[value << (4 * (i % 2)) >> 4], 1)),
                    _ => self.put(&[value], count.into()),
                },
            }
        }
        Ok(())
    }

    fn pair(&mut self) -> Option<[u8; 2]> {
        self.take(2)?.first_chunk().copied()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }

    /// Paints `count` pixels of one colour, as far as they are in the row.
    fn put(&mut self, pixel: &[u8], count: usize) {
        let room = if self.y < self.height { self.width.saturating_sub(self.x).min(count) } else { 0 };
        let y = if self.top_down { self.y } else { self.height.wrapping_sub(self.y + 1) };
        if room > 0 {
            let start = (y * self.width + self.x) * self.unit;
            for to in self.canvas[start..start + room * self.unit].chunks_exact_mut(self.unit) {
                to.copy_from_slice(pixel);
                // Of three bytes the first is blue.
                to.reverse();
            }
        }
        self.x = self.x.saturating_add(count);
        self.painted += room as u64;
        self.outside += (count - room) as u64;
    }

    /// The file ends before the runs say that they do.
    fn ended(&self, cx: &Context) -> Result<()> {
        let at = self.bytes.len() as u64;
        let last = self.height - 1;
        if self.y > last || self.y == last && self.x >= self.width {
            return cx.tolerate("runs-end", "expected a mark at the end of the runs, found none", Location::byte(at));
        }
        let text = format!("the runs end early: expected {} rows, found {}", self.height, self.y);
        let error = Error::malformed(text).at_byte(at);
        cx.unless_lenient("truncated", error.with_hint("the file is cut short; fetch or copy it again"))
    }
}
