//! BMP, the bitmap of Windows and OS/2.
//!
//! Specification: Windows GDI, Bitmap Storage,
//! <https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-storage>; OS/2: Presentation Manager Programming
//! Reference, bitmap file format.
//!
//! | offset | bytes | field (all little-endian) |
//! |---|---|---|
//! | 0 | 14 | `BM`, size of the file, two reserved words, offset of the pixels |
//! | 14 | 4 | size of the next header: 12 OS/2 1.x, 16 to 64 OS/2 2.x, 40 Windows 3, 52 and 56 with masks, 108 V4, 124 V5 |
//! | 18 | 8 | width, height (4 bytes in OS/2 1.x); a negative height is from the top down |
//! | 26 | 4 | planes, bits a pixel |
//! | 30 | 24 | compression, size of the pixels, pixels per meter across and down, colours of the palette, important ones |
//! | 54 | 16 | masks of red, green, blue and alpha, where the compression is 3 or 6 |
//! | 70 | 52 | V4: colour space, end points, gammas; V5: intent, offset and size of the profile |
//! | | 3 or 4 n | palette: blue, green, red, nothing |
//! | | n | rows from the bottom up, each padded to 4 bytes; or runs; or a JPEG or PNG file |
//!
//! Read: all of these headers, 1 to 8 bits with a palette, 16, 24 and 32 bits with any masks, 64 bits as GDI+ has them
//! (linear, 1.0 is 8192), runs of 4, 8 and 24 bits with their jumps, embedded JPEG and PNG, the first bitmap of an OS/2
//! array, and bitmaps without the file header. A palette of grays becomes one channel. There is alpha where a mask says
//! so, as in Pillow and in browsers: the fourth byte of plain 32-bit pixels means nothing. Channels of fewer bits than 8
//! are widened as Pillow does it (rounded down), wider ones become 16 bits. Pixels in no run have the first colour. An
//! embedded ICC profile is kept, the name of a linked one is a property; end points and gammas are told and not used
//! (`bmp.color-space`). Unsupported: Huffman coding of OS/2, CMYK.
//!
//! Written: 8 bits of gray, 24 bits of RGB, 32 bits with alpha (V4), a colour profile (V5). Lost: 16 bits and floats
//! (`bmp.depth`, `bmp.float`), linear light (`bmp.linear`), properties but the density (`bmp.properties`).
//!
//! Strictness: a number of planes that is not 1 (`bmp.planes`), a palette that is cut (`bmp.palette`), indices beyond it,
//! which are black (`bmp.index`), an offset into the header (`bmp.offset`), masks of zeros (`bmp.masks`), runs from the
//! top down (`bmp.top-down`), pixels beside the picture (`bmp.runs`), runs without an end (`bmp.runs-end`) and a broken
//! profile (`bmp.icc`) are warnings, errors when strict. Another size of the file than it says (`bmp.file-size`), more
//! bitmaps in it (`bmp.left-out`) and pixels in no run (`bmp.undefined-pixels`) are notes. Missing pixels are an error;
//! lenient reads those before, the rest is of zeros (`bmp.truncated`).

pub(crate) mod dib;
pub(crate) mod pixels;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, Output,
    Probe, Result, Signature, Source, register, single,
};

use crate::decode;
use crate::jpeg;
use crate::png;
use crate::raster::{Layout, still, u16_le, u32_le};
use dib::{Coding, Dib, Profile};

/// Bytes of the file header.
const FILE_HEADER: usize = 14;

/// Bytes of a colour profile: 16 MiB.
const MAX_PROFILE: u32 = 16 << 20;

/// Bytes of the name of a file.
const MAX_NAME: u32 = 4096;

/// Bitmaps of an array that are counted.
const MAX_ARRAY: u64 = 1 << 16;

const INFO: FormatInfo = FormatInfo::new("bmp", "Windows Bitmap", &[Kind::Image])
    .extensions(&["bmp", "dib", "rle"])
    .media_types(&["image/bmp", "image/x-ms-bmp"])
    .signatures(&[Signature { offset: 0, bytes: b"BM", mask: &[] }, Signature { offset: 0, bytes: b"BA", mask: &[] }])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Alpha, Feature::ColorProfile, Feature::Integer])
    .spec("https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-storage");

struct Bmp;

register!(Bmp);

impl Format for Bmp {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let known = |at: usize| {
            let size = probe.head.get(at..at + 4).map(|bytes| u32_le(bytes, 0));
            size.is_some_and(|size| matches!(size, dib::CORE | 16..=64 | 108 | dib::V5))
        };
        match probe.head {
            [b'B', b'M', ..] if known(FILE_HEADER) => Confidence::yes(220, "a bitmap file header and a bitmap header"),
            [b'B', b'A', ..] if known(2 * FILE_HEADER) => Confidence::yes(220, "an array of bitmaps"),
            // Also texts begin with BM.
            [b'B', b'M', rest @ ..] if !probe.looks_like_text() && rest.len() > 3 => {
                Confidence::yes(60, "the letters BM")
            }
            head if is_bare(head) => Confidence::yes(120, "a bitmap header without a file header"),
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let bitmap = Bitmap::open(source)?;
        let (header, header_bitmap, header_cx) = (source.clone(), bitmap.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_bitmap, &header_cx), move || read(&source, &bitmap, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// Whether a file begins with a bitmap header of Windows whose first fields make sense.
fn is_bare(head: &[u8]) -> bool {
    head.len() >= 40
        && matches!(u32_le(head, 0), dib::INFO | 108 | dib::V5)
        && u16_le(head, 12) == 1
        && matches!(u16_le(head, 14), 1 | 4 | 8 | 16 | 24 | 32)
        && u32_le(head, 16) <= 6
        && (1..1 << 16).contains(&u32_le(head, 4))
        && (1..1 << 16).contains(&(u32_le(head, 8) as i32).unsigned_abs())
}

/// A bitmap in a file.
#[derive(Clone)]
struct Bitmap {
    dib: Dib,
    /// Bytes of the file as its header says.
    size: Option<u32>,
    /// Bitmaps in the file.
    count: u64,
}

impl Bitmap {
    fn open(source: &Source) -> Result<Self> {
        let head = source.head();
        if is_bare(head) {
            return Ok(Self { dib: Dib::parse(head, 0, None)?, size: None, count: 1 });
        }
        let start = if head.starts_with(b"BA") { FILE_HEADER } else { 0 };
        let Some(file) = head.get(start..start + FILE_HEADER) else {
            let found = head.len().saturating_sub(start) as u64;
            return Err(Error::truncated("the file header", FILE_HEADER as u64, found).at_byte(start as u64));
        };
        if !file.starts_with(b"BM") {
            let text = format!("expected \"BM\", found {:?}", file[..2].escape_ascii().to_string());
            return Err(Error::malformed(text).at_byte(start as u64));
        }
        let dib = Dib::parse(head, start + FILE_HEADER, Some(u32_le(file, 10)))?;
        let count = if start == 0 { 1 } else { array(source)? };
        Ok(Self { dib, size: (start == 0).then(|| u32_le(file, 2)), count })
    }

    fn layout(&self) -> Layout {
        Layout { frames: self.count, ..self.dib.layout() }
    }

    fn check(&self, source: &Source, cx: &Context) -> Result<Layout> {
        let layout = self.layout();
        let stored = self.dib.stride().saturating_mul(self.dib.height.into());
        layout.check(cx, if self.dib.coding == Coding::Runs { source.len() } else { stored })?;
        Ok(layout)
    }

    /// The JPEG or PNG file that is the picture.
    fn embedded(&self, source: &Source, cx: &Context) -> Result<Source> {
        let bytes = source.bytes(cx)?;
        let picture = bytes.get(self.dib.pixels..).unwrap_or_default();
        cx.budget().take(picture.len() as u64)?;
        Ok(Source::from_bytes(source.name(), picture.to_vec()))
    }

    /// The embedded profile, if it is usable.
    fn profile(&self, source: &Source, channels: u8, cx: &Context) -> Result<Option<Vec<u8>>> {
        let Profile::Embedded(at, length) = self.dib.profile else { return Ok(None) };
        if length > MAX_PROFILE || at.saturating_add(length.into()) > source.len() {
            let text = format!("the colour profile of {length} bytes is left out: it is too long, or not in the file");
            cx.tolerate("icc", text, Location::byte(at))?;
            return Ok(None);
        }
        let mut profile = decode::buffer::<u8>(cx, length.into())?;
        source.read_exact_at(at, &mut profile, "the colour profile")?;
        decode::usable_profile(cx, profile, channels)
    }
}

/// Bitmaps of an OS/2 array: each has the place of the next.
fn array(source: &Source) -> Result<u64> {
    let (mut at, mut count) = (0_u64, 0);
    while count < MAX_ARRAY {
        let mut head = [0; FILE_HEADER];
        if source.read_at(at, &mut head)? < FILE_HEADER || !head.starts_with(b"BA") {
            break;
        }
        count += 1;
        let next = u64::from(u32_le(&head, 6));
        // Forward alone: no loops.
        if next <= at {
            break;
        }
        at = next;
    }
    Ok(count.max(1))
}

fn read_header(source: &Source, bitmap: &Bitmap, cx: &Context) -> Result<Header> {
    let embedded = match bitmap.dib.coding {
        Coding::Jpeg => Some(jpeg::read_header(&bitmap.embedded(source, cx)?, cx)?),
        Coding::Png => Some(png::read_header(&bitmap.embedded(source, cx)?, cx)?),
        _ => None,
    };
    if let Some(header) = embedded {
        still(header.facts.kind())?;
        return Ok(header);
    }
    let mut layout = bitmap.check(source, cx)?;
    // Findings are reported once, by the full read.
    let quiet = Context::new(INFO.id);
    let used = bitmap.profile(source, layout.channels, &quiet)?.is_some();
    if !layout.float {
        layout.color_space = bitmap.dib.profile.color_space(used);
    }
    Ok(layout.header())
}

fn read(source: &Source, bitmap: &Bitmap, cx: &Context) -> Result<MediaRecord> {
    let dib = &bitmap.dib;
    let stated = bitmap.size.filter(|&size| u64::from(size) != source.len());
    if let Some(size) = stated {
        cx.note("file-size", format!("the header says that the file has {size} bytes, it has {}", source.len()));
    }
    if bitmap.count > 1 {
        cx.note("left-out", format!("the first of {} bitmaps is read", bitmap.count));
    }
    dib.tell(cx)?;
    let embedded = match dib.coding {
        Coding::Jpeg => Some(jpeg::read(&bitmap.embedded(source, cx)?, cx)?),
        Coding::Png => Some(png::read(&bitmap.embedded(source, cx)?, cx)?),
        _ => None,
    };
    if let Some(mut record) = embedded {
        still(record.kind())?;
        record.source_is_canonical = false;
        return Ok(record);
    }
    let mut layout = bitmap.check(source, cx)?;
    let bytes = source.bytes(cx)?;
    let (samples, end) = pixels::samples(dib, &layout, &bytes, cx)?;
    let icc = bitmap.profile(source, layout.channels, cx)?;
    if !layout.float {
        layout.color_space = dib.profile.color_space(icc.is_some());
    }
    let mut image = layout.image(samples)?;
    image.icc = icc;
    let mut record = MediaRecord::new(image);
    if dib.pixels_per_meter.iter().all(|&density| density > 0) {
        record.properties.insert("pixels_per_meter".into(), dib.pixels_per_meter.to_vec().into());
    }
    match dib.profile {
        Profile::Linked(at, length) => {
            let mut name = vec![0; length.min(MAX_NAME) as usize];
            let read = source.read_at(at, &mut name)?;
            // Windows-1252, of which names use the Latin letters.
            let name: String =
                name[..read].iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect();
            cx.note("color-space", format!("the colour profile is in another file, {name:?}; it is not used"));
            record.properties.insert("linked_profile".into(), name.into());
        }
        Profile::Calibrated => {
            cx.note("color-space", "end points and gammas are not used, the colours are taken for sRGB");
        }
        Profile::Embedded(..) | Profile::None => {
            let after = source.len().saturating_sub(end as u64);
            if stated.is_none() && dib.profile == Profile::None && after > 8 {
                let text = format!("{after} bytes after the picture, they are left out");
                cx.report(mediary_core::Severity::Info, "trailing-bytes", text, Some(Location::byte(end as u64)));
            }
        }
    }
    Ok(record)
}

#[cfg(test)]
mod tests;
