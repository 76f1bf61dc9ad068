//! Entries of the directory, and what they point to.

use mediary_core::{Context, Error, Location, Result, Source};
use serde_json::{Value, json};

use crate::bmp::dib::Dib;
use crate::raster::{Layout, u16_le, u32_be, u32_le};

const PNG: &[u8; 8] = b"\x89PNG\r\n\x1A\n";

/// Bytes of the signature and IHDR of a PNG file.
const PNG_HEAD: usize = 33;

pub(super) struct Entry {
    pub(super) number: usize,
    width: u32,
    height: u32,
    /// Planes, or the hot spot across.
    pub(super) planes: u16,
    /// Bits a pixel, or the hot spot down.
    pub(super) bits: u16,
    pub(super) length: usize,
    pub(super) at: usize,
    /// What it points to, if that can be read.
    pub(super) picture: Option<Picture>,
}

pub(super) enum Picture {
    Png { width: u32, height: u32, bits: u32 },
    Bitmap(Dib),
}

impl Entry {
    /// From the 16 bytes of an entry.
    pub(super) fn parse(stored: &[u8], number: usize) -> Self {
        let side = |byte: u8| if byte == 0 { 256 } else { byte.into() };
        Self {
            number,
            width: side(stored[0]),
            height: side(stored[1]),
            planes: u16_le(stored, 4),
            bits: u16_le(stored, 6),
            length: u32_le(stored, 8) as usize,
            at: u32_le(stored, 12) as usize,
            picture: None,
        }
    }

    /// The embedded file. Its end is where it says, not where the entry does.
    pub(super) fn file(&self, bytes: &[u8], cx: &Context) -> Result<Source> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let file = rest.get(..self.length).unwrap_or(rest);
        cx.budget().take(file.len() as u64)?;
        Ok(Source::from_bytes("picture.png", file.to_vec()))
    }

    /// Reports where the entry and the picture differ.
    pub(super) fn tell(&self, picture: &Picture, is_cursor: bool, bytes: &[u8], cx: &Context) -> Result<()> {
        let (width, height, bits) = picture.shape();
        let place = Location::element(format!("entry {}", self.number));
        if (width, height) != (self.width, self.height) {
            let text = format!("expected {} x {} pixels, found {width} x {height}", self.width, self.height);
            // A side of 256 and more is 0 in the entry.
            if width < 256 && height < 256 {
                cx.tolerate("entry-mismatch", text, place.clone())?;
            }
        } else if !is_cursor && self.bits != 0 && u32::from(self.bits) != bits {
            cx.note("entry-bits", format!("the entry says {} bits a pixel, the picture has {bits}", self.bits));
        }
        let needed = match picture {
            Picture::Png { .. } => 0,
            Picture::Bitmap(dib) => dib.pixels.saturating_sub(self.at) as u64 + dib.stride() * u64::from(dib.height),
        };
        if needed > self.length as u64 || self.length > bytes.len().saturating_sub(self.at) {
            let left = bytes.len().saturating_sub(self.at);
            let text =
                format!("{} bytes announced, the picture takes at least {needed} and there are {left}", self.length);
            cx.tolerate("entry-size", text, place)?;
        }
        Ok(())
    }

    pub(super) fn describe(&self, is_cursor: bool) -> Value {
        let (width, height, bits) =
            self.picture.as_ref().map_or((self.width, self.height, self.bits.into()), Picture::shape);
        let mut entry = json!({"width": width, "height": height, "bits": bits});
        if is_cursor {
            entry["hot_spot"] = json!([self.planes, self.bits]);
        }
        entry
    }
}

impl Picture {
    pub(super) fn parse(bytes: &[u8], entry: &Entry) -> Result<Self> {
        let rest = bytes.get(entry.at..).filter(|rest| !rest.is_empty()).ok_or_else(|| {
            Error::malformed(format!("expected a picture at byte {}, found the end of the file", entry.at))
                .at_byte(bytes.len() as u64)
        })?;
        if rest.starts_with(PNG) {
            let head = rest.get(..PNG_HEAD).ok_or_else(|| {
                Error::truncated("the embedded PNG file", PNG_HEAD as u64, rest.len() as u64).at_byte(entry.at as u64)
            })?;
            let channels = match head[25] {
                2 => 3,
                4 => 2,
                6 => 4,
                _ => 1,
            };
            let bits = u32::from(head[24]) * channels;
            return Ok(Self::Png { width: u32_be(head, 16), height: u32_be(head, 20), bits });
        }
        let mut dib = Dib::parse(bytes, entry.at, None)?;
        dib.split_mask(entry.height, bytes.len());
        if dib.width == 0 || dib.height == 0 {
            let text = format!("expected a picture, found {} x {} pixels", dib.width, dib.height);
            return Err(Error::malformed(text).at_byte(entry.at as u64));
        }
        Ok(Self::Bitmap(dib))
    }

    fn shape(&self) -> (u32, u32, u32) {
        match self {
            Self::Png { width, height, bits } => (*width, *height, *bits),
            Self::Bitmap(dib) => (dib.width, dib.height, dib.bits.into()),
        }
    }

    /// The largest is the first, of equals the deepest.
    pub(super) fn rank(&self) -> (u64, u32) {
        let (width, height, bits) = self.shape();
        (u64::from(width) * u64::from(height), bits)
    }
}

/// A bitmap in memory: always with alpha.
pub(super) fn layout(dib: &Dib, frames: u64) -> Layout {
    Layout { frames, ..Layout::new(dib.width, dib.height, 4, 8) }
}
