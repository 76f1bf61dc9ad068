//! A picture of items: what it will be, and its pixels.

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, Location, Result};

use super::av1::{Decoder, Frame, Sequence};
use super::color::{Conversion, Rows};
use super::items::{Coding, Item, Items};
use crate::boxes::Fields;
use crate::decode;

/// Items that lead to each other before the one with pixels.
const MOST_STEPS: u32 = 16;

/// Tiles of equal size that make a picture; a picture of one is a tile.
#[derive(Debug)]
struct Tiles {
    /// Row by row.
    ids: Vec<u32>,
    columns: u32,
    width: u32,
    height: u32,
    /// What the first says; the others must agree.
    sequence: Sequence,
}

/// What a picture will be.
pub(super) struct Picture {
    tiles: Tiles,
    alpha: Option<Tiles>,
    is_premultiplied: bool,
    coding: Coding,
    icc: Option<Vec<u8>>,
    /// Left, top, width and height of what is shown.
    crop: [u32; 4],
    /// As EXIF counts.
    orientation: u8,
}

impl Picture {
    /// The picture that the item `id` is.
    pub(super) fn of(items: &Items<'_>, id: u32, cx: &Context) -> Result<Self> {
        let tiles = Tiles::of(items, id, cx)?;
        let item = items.get(id)?;
        let mut icc = None;
        if let Some(profile) = &item.icc {
            icc = decode::usable_profile(cx, profile.clone(), if tiles.sequence.is_gray { 1 } else { 3 })?;
        }
        let first = items.get(tiles.ids[0])?;
        let coding = item.coding.or(first.coding).unwrap_or(tiles.sequence.coding);
        Conversion::new(coding, tiles.sequence.bits)?;
        let (mut alpha, is_premultiplied) = match items.alpha_of(id) {
            Some(alpha) => (Some(Tiles::of(items, alpha, cx)?), items.is_premultiplied(id, alpha)),
            None => (tiles.alpha(items, cx)?, false),
        };
        if let Some(other) = alpha.as_ref().filter(|alpha| (alpha.width, alpha.height) != (tiles.width, tiles.height)) {
            let found = format!("{} x {}", other.width, other.height);
            let text =
                format!("expected an alpha of {} x {}, found {found}; it is left out", tiles.width, tiles.height);
            cx.tolerate("alpha", text, Location::element("auxl"))?;
            alpha = None;
        }
        let crop = crop(item, tiles.width, tiles.height, cx)?;
        Ok(Self { orientation: orientation(item), tiles, alpha, is_premultiplied, coding, icc, crop })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        decode::oriented(self.crop[2], self.crop[3], self.orientation)
    }

    pub(super) fn channels(&self) -> u8 {
        (if self.tiles.sequence.is_gray { 1 } else { 3 }) + u8::from(self.alpha.is_some())
    }

    pub(super) fn bits(&self) -> u8 {
        self.tiles.sequence.bits
    }

    pub(super) fn is_turned(&self) -> bool {
        self.orientation > 1
    }

    pub(super) fn color_space(&self) -> ColorSpace {
        if self.icc.is_some() { ColorSpace::Icc } else { color_space(self.coding) }
    }

    /// Bytes that reading it takes at most.
    pub(super) fn memory(&self) -> u64 {
        let sample = if self.bits() > 8 { 2 } else { 1 };
        let pixels = u64::from(self.tiles.width) * u64::from(self.tiles.height);
        pixels.saturating_mul(u64::from(self.channels()) * sample * 2 + 12)
    }

    /// The picture with its pixels.
    pub(super) fn read(self, items: &Items<'_>, cx: &Context) -> Result<Image> {
        let samples = match self.bits() {
            8 => Samples::U8(self.pixels::<u8>(items, cx)?.into()),
            _ => Samples::U16(self.pixels::<u16>(items, cx)?.into()),
        };
        let [_, _, width, height] = self.crop;
        let mut image = decode::upright(cx, width, height, self.channels(), samples, self.orientation)?;
        (image.source_bits, image.color_space) = (self.bits(), self.color_space());
        if image.color_space == ColorSpace::Unknown {
            unknown_colors(cx);
        }
        image.icc = self.icc;
        Ok(image)
    }

    fn pixels<T: Sample>(&self, items: &Items<'_>, cx: &Context) -> Result<Vec<T>> {
        let channels = usize::from(self.channels());
        let size = u64::from(self.tiles.width) * u64::from(self.tiles.height) * channels as u64;
        let mut canvas = Canvas {
            pixels: decode::buffer::<T>(cx, size)?,
            width: self.tiles.width as usize,
            height: self.tiles.height as usize,
            channels,
        };
        let conversion = Conversion::new(self.coding, self.bits())?;
        self.tiles.decode(items, cx, |frame, place| canvas.colors(frame, &conversion, place, cx))?;
        if let Some(alpha) = &self.alpha {
            // Alpha is luma without a matrix; whatever its matrix is said to be, it does not matter.
            let coding = Coding { matrix: 1, ..alpha.coding(items)? };
            let conversion = Conversion::new(coding, alpha.sequence.bits)?;
            alpha.decode(items, cx, |frame, place| canvas.alpha(frame, &conversion, place, cx))?;
            if self.is_premultiplied {
                canvas.divide();
            }
        }
        canvas.cut(self.crop, cx)
    }
}

/// What colours mean that are coded like this.
pub(super) fn color_space(coding: Coding) -> ColorSpace {
    // H.273: primaries 1 are those of sRGB and 2 are not said; transfer 13 is its curve, the others are read as it, 8 is linear.
    match (coding.primaries, coding.transfer) {
        (1 | 2, 1 | 2 | 6 | 13 | 14 | 15) => ColorSpace::Srgb,
        (1 | 2, 8) => ColorSpace::Linear,
        _ => ColorSpace::Unknown,
    }
}

/// Tells that colours are left as they are.
pub(super) fn unknown_colors(cx: &Context) {
    cx.note("color-space", "the colours are those of colr or of AV1, which are not sRGB; the samples are unchanged");
}

/// The orientation of EXIF that a turn against the clock and a mirror behind it make.
fn orientation(item: &Item) -> u8 {
    match (item.turns, item.mirror) {
        (0, None) => 1,
        (1, None) => 8,
        (2, None) => 3,
        (_, None) => 6,
        (0, Some(0)) | (2, Some(1)) => 4,
        (0, Some(_)) | (2, Some(0)) => 2,
        (1, Some(0)) | (3, Some(1)) => 5,
        (_, Some(_)) => 7,
    }
}

/// Left, top, width and height that `clap` leaves, if it is a rectangle of whole pixels within the picture.
fn crop(item: &Item, width: u32, height: u32, cx: &Context) -> Result<[u32; 4]> {
    let whole = [0, 0, width, height];
    let Some([across, down, right, below]) = item.crop else { return Ok(whole) };
    let axis = |length: u32, [over, under]: [u32; 2], [shift, shift_under]: [u32; 2]| {
        let (over, under) = (i64::from(over as i32), i64::from(under as i32));
        let (shift, shift_under) = (i64::from(shift as i32), i64::from(shift_under as i32));
        let kept = (under > 0 && over > 0 && over % under == 0).then(|| over / under)?;
        // From the middle of the picture to the middle of what is kept, in halves.
        let twice = (shift_under > 0 && 2 * shift % shift_under == 0).then(|| 2 * shift / shift_under)?;
        let start = i64::from(length) - kept + twice;
        (start >= 0 && start % 2 == 0 && start / 2 + kept <= i64::from(length)).then_some((start / 2, kept))
    };
    match (axis(width, across, right), axis(height, down, below)) {
        (Some((left, width)), Some((top, height))) => Ok([left, top, width, height].map(|length| length as u32)),
        _ => {
            let text = format!("expected a crop of whole pixels within {width} x {height}, found {:?}", item.crop);
            cx.tolerate("clap", format!("{text}; it is left out"), Location::element("clap"))?;
            Ok(whole)
        }
    }
}

impl Tiles {
    fn of(items: &Items<'_>, id: u32, cx: &Context) -> Result<Self> {
        let mut id = id;
        for _ in 0..MOST_STEPS {
            let item = items.get(id)?;
            if let Some(unknown) = item.unknown {
                let name = unknown.escape_ascii();
                return Err(Error::unsupported(format!("the item {id} asks for {name}, which is not read")));
            }
            match &item.kind {
                b"av01" => return Self::single(items, id, cx),
                b"grid" => return Self::grid(items, id, cx),
                b"iden" => {
                    id = *item
                        .inputs
                        .first()
                        .ok_or_else(|| Error::malformed(format!("the item {id} is made of none")))?;
                }
                kind => {
                    let found = kind.escape_ascii();
                    return Err(Error::unsupported(format!(
                        "expected a picture of AV1 or of tiles, found an item {found}"
                    )));
                }
            }
        }
        Err(Error::malformed(format!("the item {id} is made of itself, or of more than {MOST_STEPS} others")))
    }

    fn single(items: &Items<'_>, id: u32, cx: &Context) -> Result<Self> {
        let data = items.data(id, cx)?;
        let sequence = Sequence::find(&data);
        cx.budget().give_back(data.len() as u64);
        let sequence = sequence?;
        let [width, height] = items.get(id)?.size.unwrap_or([sequence.width, sequence.height]);
        if [width, height] != [sequence.width, sequence.height] {
            let found = format!("{} x {}", sequence.width, sequence.height);
            return Err(Error::malformed(format!("expected AV1 of {width} x {height} as ispe says, found {found}")));
        }
        decode::check_size(cx, width, height, 0, u64::MAX)?;
        Ok(Self { ids: vec![id], columns: 1, width, height, sequence })
    }

    fn grid(items: &Items<'_>, id: u32, cx: &Context) -> Result<Self> {
        let data = items.data(id, cx)?;
        let mut fields = Fields::of(*b"grid", &data);
        let [_version, flags, rows, columns] = fields.array::<4>()?;
        let (rows, columns) = (u32::from(rows) + 1, u32::from(columns) + 1);
        let (width, height) = (fields.id(flags & 1 != 0)?, fields.id(flags & 1 != 0)?);
        decode::check_size(cx, width, height, 0, u64::MAX)?;
        let ids = items.get(id)?.inputs.clone();
        if ids.len() as u64 != u64::from(rows) * u64::from(columns) {
            return Err(Error::malformed(format!("expected {rows} x {columns} tiles, found {}", ids.len())));
        }
        for &tile in &ids {
            let kind = items.get(tile)?.kind;
            if kind != *b"av01" {
                let found = kind.escape_ascii();
                return Err(Error::unsupported(format!("expected tiles of AV1, found an item {found}")));
            }
        }
        let first = Self::single(items, ids[0], cx)?;
        let covers = |tile: u32, count: u32, whole: u32| {
            let all = u64::from(tile) * u64::from(count);
            // The last begins within.
            all >= u64::from(whole) && all - u64::from(tile) < u64::from(whole)
        };
        if !covers(first.width, columns, width) || !covers(first.height, rows, height) {
            return Err(Error::malformed(format!(
                "{columns} x {rows} tiles of {} x {} do not make a picture of {width} x {height}",
                first.width, first.height
            )));
        }
        Ok(Self { ids, columns, width, height, sequence: first.sequence })
    }

    /// The alpha of tiles that have one each.
    fn alpha(&self, items: &Items<'_>, cx: &Context) -> Result<Option<Self>> {
        let Some(ids) = self.ids.iter().map(|id| items.alpha_of(*id)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let sequence = Self::single(items, ids[0], cx)?.sequence;
        Ok(Some(Self { ids, sequence, columns: self.columns, width: self.width, height: self.height }))
    }

    fn coding(&self, items: &Items<'_>) -> Result<Coding> {
        Ok(items.get(self.ids[0])?.coding.unwrap_or(self.sequence.coding))
    }

    /// Decodes all of them, each with the place of its upper left corner.
    fn decode(
        &self,
        items: &Items<'_>,
        cx: &Context,
        mut each: impl FnMut(&Frame, [usize; 2]) -> Result<()>,
    ) -> Result<()> {
        for (number, id) in self.ids.iter().enumerate() {
            let data = items.data(*id, cx)?;
            let length = data.len() as u64;
            let frame = Decoder::new(self.sequence, false, cx)?.frame(data)?;
            let place = [number % self.columns as usize, number / self.columns as usize];
            each(&frame, [place[0] * frame.width as usize, place[1] * frame.height as usize])?;
            cx.budget().give_back(length);
        }
        Ok(())
    }
}

/// A sample as it is kept.
pub(super) trait Sample: Copy + Default + Into<f32> {
    /// The largest.
    const MOST: f32;

    /// Of a number from 0 to 1.
    fn of(value: f32) -> Self;
}

impl Sample for u8 {
    const MOST: f32 = 255.0;

    fn of(value: f32) -> Self {
        (value * Self::MOST + 0.5) as Self
    }
}

impl Sample for u16 {
    const MOST: f32 = 65535.0;

    fn of(value: f32) -> Self {
        (value * Self::MOST + 0.5) as Self
    }
}

/// Pixels that frames are drawn on.
pub(super) struct Canvas<T> {
    pub(super) pixels: Vec<T>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
}

impl<T: Sample> Canvas<T> {
    pub(super) fn colors(
        &mut self,
        frame: &Frame,
        conversion: &Conversion,
        place: [usize; 2],
        cx: &Context,
    ) -> Result<()> {
        let colors = if self.channels < 3 { 1 } else { 3 };
        let mut rows = Rows::default();
        self.draw(frame, place, 0, colors, cx, |row, into| match colors {
            1 => conversion.gray(frame, row, &mut rows, into),
            _ => conversion.colors(frame, row, &mut rows, into),
        })
    }

    pub(super) fn alpha(
        &mut self,
        frame: &Frame,
        conversion: &Conversion,
        place: [usize; 2],
        cx: &Context,
    ) -> Result<()> {
        let mut rows = Rows::default();
        self.draw(frame, place, self.channels - 1, 1, cx, |row, into| conversion.gray(frame, row, &mut rows, into))
    }

    /// Puts `count` channels from `first` on, as far as they are within.
    fn draw(
        &mut self,
        frame: &Frame,
        [left, top]: [usize; 2],
        first: usize,
        count: usize,
        cx: &Context,
        mut values: impl FnMut(u32, &mut Vec<f32>),
    ) -> Result<()> {
        let mut line = Vec::new();
        for row in 0..(frame.height as usize).min(self.height.saturating_sub(top)) {
            if row % 256 == 0 {
                cx.checkpoint()?;
            }
            values(row as u32, &mut line);
            let start = ((top + row) * self.width + left) * self.channels;
            let end = (top + row + 1) * self.width * self.channels;
            let pixels = self.pixels[start..end].chunks_exact_mut(self.channels);
            for (pixel, values) in pixels.zip(line.chunks_exact(count)) {
                for (sample, value) in pixel[first..].iter_mut().zip(values) {
                    *sample = T::of(*value);
                }
            }
        }
        Ok(())
    }

    /// Takes the alpha out of the colours.
    pub(super) fn divide(&mut self) {
        for pixel in self.pixels.chunks_exact_mut(self.channels) {
            let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
            let alpha: f32 = (*alpha).into();
            for color in colors.iter_mut().filter(|_| alpha > 0.0) {
                let value: f32 = (*color).into();
                *color = T::of((value / alpha).min(1.0));
            }
        }
    }

    fn cut(self, [left, top, width, height]: [u32; 4], cx: &Context) -> Result<Vec<T>> {
        let [left, top, width, height] = [left, top, width, height].map(|length| length as usize);
        if (width, height) == (self.width, self.height) {
            return Ok(self.pixels);
        }
        let mut kept = decode::buffer::<T>(cx, (width * height * self.channels) as u64)?;
        let rows = self.pixels.chunks_exact(self.width * self.channels).skip(top);
        for (to, from) in kept.chunks_exact_mut(width * self.channels).zip(rows) {
            to.copy_from_slice(&from[left * self.channels..(left + width) * self.channels]);
        }
        cx.budget().give_back(size_of_val(self.pixels.as_slice()) as u64);
        Ok(kept)
    }
}
