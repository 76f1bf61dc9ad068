//! ICO and CUR, icons and cursors of Windows.
//!
//! Specification: <https://learn.microsoft.com/en-us/previous-versions/ms997538(v=msdn.10)> (Icons, John Hornick).
//!
//! | offset | bytes | field (little-endian) |
//! |---|---|---|
//! | 0 | 6 | 0, 1 for icons or 2 for cursors, number of entries |
//! | 6 | 16 each | width, height (0 is 256), colours, 0, planes, bits a pixel, size, offset; of cursors the hot spot instead of planes and bits |
//! | | n | a PNG file, or a bitmap without file header whose height counts picture and mask |
//! | | n | of a bitmap: the mask behind the picture, 1 bit a pixel, 1 is transparent |
//!
//! Read: one entry, the largest and of those the deepest, or the one that the option `index` names; the others are
//! counted in `frames`, and their sizes, bits and hot spots are the property `entries`. Bitmaps are RGBA: of 32 bits the
//! fourth byte is alpha, unless it is 0 everywhere; else, and of fewer bits, the mask is. Pixels of a cursor that invert
//! the screen are transparent and told (`cur.inverting`). Size and bits are those of the
//! picture itself where they are not what the entry says.
//!
//! Not written: PNG keeps the pixels.
//!
//! Strictness: entries that cannot be read (`ico.entry`), a size in bytes that is too small (`ico.entry-size`), another
//! picture than the entry says (`ico.entry-mismatch`) and a missing mask (`ico.mask`) are warnings, errors when strict,
//! as is what `bmp` and `png` say of the picture, under `ico`. Missing pixels are an error; lenient reads those before
//! (`ico.truncated`).

mod entry;

use mediary_core::record::Samples;
use mediary_core::{
    Confidence, Context, Error, Facts, Format, FormatInfo, FormatReader, Header, Kind, Location, Media, MediaRecord,
    OptionSpec, OptionType, Probe, Result, Signature, Source, SourceBytes, register, single,
};
use serde_json::json;

use crate::bmp::dib::{Coding, Dib};
use crate::bmp::pixels;
use crate::decode;
use crate::png;
use crate::raster::{Layout, still, u16_le};
use entry::{Entry, Picture};

/// Bytes of the header, and of an entry.
const HEADER: usize = 6;
const ENTRY: usize = 16;

/// Bytes that an entry takes in memory at most: a palette, and what the properties say of it.
const MOST_OF_ENTRY: u64 = 2048;

const SPEC: &str = "https://learn.microsoft.com/en-us/previous-versions/ms997538(v=msdn.10)";

const OPTIONS: &[OptionSpec] = &[OptionSpec::read(
    "index",
    OptionType::Int { min: -1, max: 65_534 },
    "-1",
    "which entry to read, from 0; -1 is the largest and deepest",
)];

const ICO: FormatInfo = FormatInfo::new("ico", "Windows Icon", &[Kind::Image])
    .extensions(&["ico"])
    .media_types(&["image/vnd.microsoft.icon", "image/x-icon"])
    .signatures(&[Signature { offset: 0, bytes: &[0, 0, 1, 0], mask: &[] }])
    .reads()
    .options(OPTIONS)
    .spec(SPEC);

const CUR: FormatInfo = FormatInfo::new("cur", "Windows Cursor", &[Kind::Image])
    .extensions(&["cur"])
    .media_types(&["image/x-win-bitmap"])
    .signatures(&[Signature { offset: 0, bytes: &[0, 0, 2, 0], mask: &[] }])
    .reads()
    .options(OPTIONS)
    .spec(SPEC);

struct Ico;
struct Cur;

register!(Ico);
register!(Cur);

impl Format for Ico {
    fn info(&self) -> &'static FormatInfo {
        &ICO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        confidence(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        open(source, cx, 1)
    }
}

impl Format for Cur {
    fn info(&self) -> &'static FormatInfo {
        &CUR
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        confidence(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        open(source, cx, 2)
    }
}

/// Four small bytes begin many files: the first entry must make sense too.
fn confidence(probe: &Probe<'_>) -> Confidence {
    let Some(first) = probe.head.get(HEADER..HEADER + ENTRY) else { return Confidence::No };
    let count = usize::from(u16_le(probe.head, 4));
    let entry = Entry::parse(first, 0);
    let fits = count > 0 && entry.at >= HEADER + ENTRY * count && entry.length > 0;
    if fits && (entry.at as u64) < probe.len {
        Confidence::yes(210, "the signature, and an entry that points behind the directory")
    } else {
        Confidence::No
    }
}

/// Entries of a file, with the pictures they point to.
struct Directory {
    bytes: SourceBytes,
    entries: Vec<Entry>,
    /// Why entries cannot be read, by their number.
    broken: Vec<(usize, Error)>,
    is_cursor: bool,
}

impl Directory {
    fn read(source: &Source, cx: &Context, kind: u16) -> Result<Self> {
        let bytes = source.bytes(cx)?;
        let head: &[u8; HEADER] = bytes
            .first_chunk()
            .ok_or_else(|| Error::truncated("the header", HEADER as u64, bytes.len() as u64).at_byte(0))?;
        if u16_le(head, 0) != 0 || u16_le(head, 2) != kind {
            let text = format!("expected the bytes 00 00 {kind:02x} 00, found {:02x?}", &head[..4]);
            return Err(Error::malformed(text).at_byte(0));
        }
        let count = usize::from(u16_le(head, 4));
        if count == 0 {
            return Err(Error::malformed("expected at least one entry, found none").at_byte(4));
        }
        let stored = bytes.get(HEADER..HEADER + ENTRY * count).ok_or_else(|| {
            Error::truncated("the directory", (ENTRY * count) as u64, (bytes.len() - HEADER) as u64).at_byte(6)
        })?;
        cx.budget().take(count as u64 * MOST_OF_ENTRY)?;
        let mut entries = Vec::with_capacity(count);
        let mut broken = Vec::new();
        for (number, stored) in stored.chunks_exact(ENTRY).enumerate() {
            let mut entry = Entry::parse(stored, number);
            match Picture::parse(&bytes, &entry) {
                Ok(picture) => entry.picture = Some(picture),
                Err(error) => broken.push((number, error)),
            }
            entries.push(entry);
        }
        Ok(Self { bytes, entries, broken, is_cursor: kind == 2 })
    }

    /// The entry to read, with its picture.
    fn chosen(&self, cx: &Context) -> Result<(&Entry, &Picture)> {
        let wanted = usize::try_from(cx.options().int("index")).ok();
        if let Some(index) = wanted.filter(|&index| index >= self.entries.len()) {
            let text = format!("expected an index below {}, found {index}", self.entries.len());
            return Err(Error::new(mediary_core::ErrorKind::InvalidOption, text));
        }
        let readable = self.entries.iter().filter_map(|entry| Some((entry, entry.picture.as_ref()?)));
        let chosen = match wanted {
            Some(index) => readable.clone().find(|(entry, _)| entry.number == index),
            // The first of equals.
            None => readable.clone().rev().max_by_key(|(_, picture)| picture.rank()),
        };
        chosen.ok_or_else(|| match self.broken.iter().find(|(number, _)| wanted.is_none_or(|index| index == *number)) {
            Some((number, error)) => {
                let text = format!("entry {number}: {}", error.message());
                let place = error.location().cloned().unwrap_or_default();
                Error::new(error.kind(), text).at(place)
            }
            None => Error::malformed("expected an entry that can be read, found none"),
        })
    }
}

fn open(source: &Source, cx: &Context, kind: u16) -> Result<Box<dyn FormatReader>> {
    let directory = std::sync::Arc::new(Directory::read(source, cx, kind)?);
    let (header, header_cx) = (directory.clone(), cx.clone());
    let cx = cx.clone();
    Ok(single(move || read_header(&header, &header_cx), move || read(&directory, &cx)))
}

fn read_header(directory: &Directory, cx: &Context) -> Result<Header> {
    let (entry, picture) = directory.chosen(cx)?;
    let frames = directory.entries.len() as u64;
    match picture {
        Picture::Png { .. } => {
            let mut header = png::read_header(&entry.file(&directory.bytes, cx)?, cx)?;
            still(header.facts.kind())?;
            if let Facts::Image(facts) = &mut header.facts {
                facts.frames = Some(frames);
            }
            Ok(header)
        }
        Picture::Bitmap(dib) => {
            let layout = entry::layout(dib, frames);
            check(dib, &layout, directory, cx)?;
            Ok(layout.header())
        }
    }
}

fn read(directory: &Directory, cx: &Context) -> Result<MediaRecord> {
    let frames = directory.entries.len() as u64;
    let (entry, picture) = directory.chosen(cx)?;
    for (number, error) in &directory.broken {
        let text = format!("entry {number} cannot be read: {}", error.message());
        cx.tolerate("entry", text, error.location().cloned().unwrap_or_default())?;
    }
    entry.tell(picture, directory.is_cursor, &directory.bytes, cx)?;
    let mut record = match picture {
        Picture::Png { .. } => {
            let mut record = png::read(&entry.file(&directory.bytes, cx)?, cx)?;
            still(record.kind())?;
            if let Media::Image(image) = &mut record.media {
                image.frames = frames;
            }
            record.source_is_canonical = false;
            record
        }
        Picture::Bitmap(dib) => {
            let layout = entry::layout(dib, frames);
            check(dib, &layout, directory, cx)?;
            dib.tell(cx)?;
            if dib.has_profile() {
                cx.note("icc", "the colour profile of the bitmap is left out");
            }
            bitmap(dib, &layout, directory, cx)?
        }
    };
    if frames > 1 {
        cx.note("left-out", format!("entry {} of 0 to {} is read", entry.number, frames - 1));
        let list: Vec<_> = directory.entries.iter().map(|entry| entry.describe(directory.is_cursor)).collect();
        record.properties.insert("entries".into(), list.into());
        record.properties.insert("index".into(), entry.number.into());
    }
    if directory.is_cursor {
        record.properties.insert("hot_spot".into(), json!([entry.planes, entry.bits]));
    }
    Ok(record)
}

/// Holds the size of a bitmap against the limits.
fn check(dib: &Dib, layout: &Layout, directory: &Directory, cx: &Context) -> Result<()> {
    match dib.coding {
        Coding::Plain => layout.check(cx, dib.stride().saturating_mul(dib.height.into())),
        Coding::Runs => layout.check(cx, directory.bytes.len() as u64),
        Coding::Jpeg | Coding::Png => {
            Err(Error::unsupported("expected rows of pixels or runs, found a file in a bitmap"))
        }
    }
}

/// A bitmap with its mask, as RGBA.
fn bitmap(dib: &Dib, layout: &Layout, directory: &Directory, cx: &Context) -> Result<MediaRecord> {
    let (bytes, is_cursor) = (&directory.bytes[..], directory.is_cursor);
    let stored = dib.layout();
    let (samples, end) = pixels::samples(dib, &stored, bytes, cx)?;
    let Samples::U8(colors) = samples else {
        return Err(Error::unsupported(format!("expected pixels of up to 8 bits a channel, found {}", stored.bits)));
    };
    let mut rgba = decode::buffer::<u8>(cx, layout.samples())?;
    let mut clear = true;
    let channels = usize::from(stored.channels);
    for (to, from) in rgba.as_chunks_mut::<4>().0.iter_mut().zip(colors.chunks_exact(channels)) {
        *to = match *from {
            [gray] => [gray, gray, gray, 255],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a] => [r, g, b, a],
            _ => [0; 4],
        };
        clear &= to[3] == 0;
    }
    cx.budget().give_back(colors.len() as u64);
    cx.checkpoint()?;
    // Programs that know nothing of alpha leave zeros.
    if dib.bits == 32 && !clear {
        return Ok(MediaRecord::new(layout.image(Samples::U8(rgba.into()))?));
    }
    let width = layout.width as usize;
    let stride = width.div_ceil(32) * 4;
    // The mask begins behind the padding of the picture.
    let start =
        if dib.coding == Coding::Plain { dib.pixels + (dib.stride() * u64::from(dib.height)) as usize } else { end };
    let mask = dib.mask(bytes, start);
    let needed = stride * (layout.height as usize - 1) + width.div_ceil(8);
    if mask.len() < needed {
        let text = format!("expected a mask of {needed} bytes, found {}; the picture is opaque there", mask.len());
        cx.tolerate("mask", text, Location::byte(start as u64))?;
    }
    let mut masks = mask.chunks(stride);
    let mut inverting = 0;
    for row in rgba.chunks_exact_mut(4 * width).rev() {
        let bits = masks.next().unwrap_or_default();
        for (x, pixel) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let is_clear = bits.get(x / 8).is_some_and(|byte| byte & 0x80 >> (x % 8) != 0);
            inverting += u64::from(is_clear && pixel[..3] != [0; 3]);
            pixel[3] = if is_clear { 0 } else { 255 };
        }
    }
    // Icons have any colour where they are clear; of cursors it means something.
    if is_cursor && inverting > 0 {
        cx.note("inverting", format!("{inverting} pixels invert what is below them, they are transparent"));
    }
    Ok(MediaRecord::new(layout.image(Samples::U8(rgba.into()))?))
}

#[cfg(test)]
mod tests;
