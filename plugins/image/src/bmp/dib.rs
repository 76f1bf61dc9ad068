//! The bitmap behind the file header: what its own header, of whatever age, says of the pixels.

use mediary_core::record::ColorSpace;
use mediary_core::{Context, Error, Location, Result};

use crate::raster::{Channel, Layout, u16_le, u32_le};

/// Bytes of the headers that have a name: OS/2 1.x, Windows 3, with masks, with an alpha mask, OS/2 2.x, 4 and 5.
pub(super) const CORE: u32 = 12;
pub(super) const INFO: u32 = 40;
const V3: u32 = 56;
const OS2: u32 = 64;
pub(super) const V5: u32 = 124;

/// How the pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Rows of pixels.
    Plain,
    /// Runs of pixels of 4, 8 or 24 bits.
    Runs,
    /// A JPEG file.
    Jpeg,
    /// A PNG file.
    Png,
}

/// Where a colour profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    None,
    /// Offset in the file, and length.
    Embedded(u64, u32),
    /// The same, of the name of a file.
    Linked(u64, u32),
    /// End points and gammas instead of a profile.
    Calibrated,
}

/// A bitmap's header.
#[derive(Clone, Debug)]
pub(crate) struct Dib {
    pub(crate) width: u32,
    /// Of an icon this is that of the picture and of its mask together.
    pub(crate) height: u32,
    pub(crate) top_down: bool,
    /// Bits of a pixel.
    pub(crate) bits: u16,
    pub(crate) coding: Coding,
    /// Where red, green, blue and alpha are in a pixel, of 16 bits and more.
    pub(super) channels: [Channel; 4],
    /// Whether the alpha is one.
    pub(super) has_alpha: bool,
    /// The colours of indices.
    pub(super) palette: Vec<[u8; 3]>,
    /// Where the pixels begin.
    pub(crate) pixels: usize,
    pub(super) pixels_per_meter: [i32; 2],
    pub(super) profile: Profile,
    /// Whether a mask follows the pixels.
    masked: bool,
    /// What is odd, and was read all the same: code, what, and where.
    findings: Vec<(&'static str, String, u64)>,
}

impl Dib {
    /// Reads the header at `at`. `pixels` is where the file says that the pixels begin; without it they follow.
    pub(crate) fn parse(bytes: &[u8], at: usize, pixels: Option<u32>) -> Result<Self> {
        let rest = bytes.get(at..).unwrap_or_default();
        let short = |length: u64| Error::truncated("the header of the bitmap", length, rest.len() as u64);
        let size = if rest.len() < 4 { return Err(short(4).at_byte(at as u64)) } else { u32_le(rest, 0) };
        // OS/2 cuts its header behind any field.
        if !matches!(size, CORE | 16..=OS2 | 108 | V5) {
            return Err(Error::malformed(format!("expected a header of 12, 16 to 64, 108 or 124 bytes, found {size}"))
                .at_byte(at as u64));
        }
        let head = rest.get(..size as usize).ok_or_else(|| short(size.into()).at_byte(at as u64))?;
        // A header that is cut has zeros behind it.
        let mut field = [0; V5 as usize];
        field[..head.len()].copy_from_slice(head);
        let mut it = Self {
            width: 0,
            height: 0,
            top_down: false,
            bits: 0,
            coding: Coding::Plain,
            channels: [Channel::NONE; 4],
            has_alpha: false,
            palette: Vec::new(),
            pixels: at + size as usize,
            pixels_per_meter: [0; 2],
            profile: Profile::None,
            masked: false,
            findings: Vec::new(),
        };
        let (planes, compression, colors) = if size == CORE {
            (it.width, it.height) = (u16_le(&field, 4).into(), u16_le(&field, 6).into());
            it.bits = u16_le(&field, 10);
            (u16_le(&field, 8), 0, 0)
        } else {
            let (width, height) = (u32_le(&field, 4) as i32, u32_le(&field, 8) as i32);
            if width < 0 {
                return Err(
                    Error::malformed(format!("expected a width of at least 1, found {width}")).at_byte(at as u64 + 4)
                );
            }
            (it.width, it.height, it.top_down) = (width as u32, height.unsigned_abs(), height < 0);
            it.bits = u16_le(&field, 14);
            it.pixels_per_meter = [u32_le(&field, 24) as i32, u32_le(&field, 28) as i32];
            (u16_le(&field, 12), u32_le(&field, 16), u32_le(&field, 32))
        };
        if planes != 1 {
            it.finding("planes", format!("expected 1 plane, found {planes}"), at + 12);
        }
        if size == V5 || size == 108 {
            it.profile = profile(&field, at, size);
        }
        let masks = it.compression(compression, size, &field, rest)?;
        it.masks(masks, at)?;
        if it.bits <= 8 && it.coding != Coding::Jpeg && it.coding != Coding::Png {
            it.palette(bytes, pixels, colors, if size == CORE { 3 } else { 4 });
        } else {
            it.behind(pixels, size, at, colors);
        }
        Ok(it)
    }

    fn finding(&mut self, code: &'static str, message: String, at: usize) {
        self.findings.push((code, message, at as u64));
    }

    /// The coding, which with the depth must be one that is defined. Returns the masks of channels.
    fn compression(&mut self, compression: u32, size: u32, field: &[u8; 124], rest: &[u8]) -> Result<[u32; 4]> {
        let at = self.pixels as u64 - u64::from(size);
        let is_os2 = size == OS2;
        let mask = |index: usize| {
            let (from, place) = if size >= 52 { (&field[..], 40) } else { (rest, size as usize) };
            from.get(place + 4 * index..place + 4 * index + 4).map_or(0, |bytes| u32_le(bytes, 0))
        };
        let masks = match (compression, self.bits) {
            (3, 1) if size < 52 || is_os2 => {
                return Err(Error::unsupported("expected rows of pixels or runs, found Huffman coding of OS/2")
                    .at_byte(at + 16));
            }
            (4, 24) if is_os2 || size == INFO => {
                self.coding = Coding::Runs;
                return Ok([0xFF_0000, 0xFF00, 0xFF, 0]);
            }
            (4, _) => {
                self.coding = Coding::Jpeg;
                return Ok([0; 4]);
            }
            (5, _) => {
                self.coding = Coding::Png;
                return Ok([0; 4]);
            }
            (1, 8) | (2, 4) => {
                self.coding = Coding::Runs;
                if self.top_down {
                    self.finding("top-down", "expected runs from the bottom up, found the height negative".into(), {
                        self.pixels - size as usize + 8
                    });
                }
                return Ok([0; 4]);
            }
            (0, 1 | 2 | 4 | 8) => return Ok([0; 4]),
            (0, 16) => [0x7C00, 0x3E0, 0x1F, 0],
            (0, 24 | 32) => [0xFF_0000, 0xFF00, 0xFF, 0],
            // Each channel has a word of its own.
            (0, 64) => return Ok([0; 4]),
            (3 | 6, 16 | 24 | 32) => {
                let count = if compression == 6 || size >= V3 { 4 } else { 3 };
                let masks = [mask(0), mask(1), mask(2), if count == 4 { mask(3) } else { 0 }];
                if size < 52 {
                    // They stand between header and palette.
                    self.pixels += 4 * count;
                    if rest.len() < size as usize + 4 * count {
                        let found = rest.len().saturating_sub(size as usize) as u64;
                        return Err(
                            Error::truncated("the masks", 4 * count as u64, found).at_byte(at + u64::from(size))
                        );
                    }
                }
                if masks == [0; 4] {
                    self.finding("masks", "expected masks of channels, found zeros".into(), at as usize + 40);
                    if self.bits == 16 { [0x7C00, 0x3E0, 0x1F, 0] } else { [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000] }
                } else {
                    masks
                }
            }
            (11..=13, _) => {
                return Err(Error::unsupported(format!("expected RGB pixels, found CMYK (compression {compression})"))
                    .at_byte(at + 16));
            }
            (0, bits) => {
                let text = format!("expected 1, 2, 4, 8, 16, 24, 32 or 64 bits a pixel, found {bits}");
                return Err(Error::malformed(text).at_byte(at + 14));
            }
            (1..=3 | 6, bits) => {
                let text = format!("compression {compression} has no pixels of {bits} bits");
                return Err(Error::malformed(text).at_byte(at + 14));
            }
            _ => {
                let text = format!("expected the compression 0 to 6, found {compression}");
                return Err(Error::malformed(text).at_byte(at + 16));
            }
        };
        Ok(masks)
    }

    fn masks(&mut self, masks: [u32; 4], at: usize) -> Result<()> {
        let all = masks.iter().fold(0, |all: u64, &mask| all | u64::from(mask));
        for (channel, mask) in self.channels.iter_mut().zip(masks) {
            *channel = Channel::new(mask).ok_or_else(|| {
                let text = format!("expected masks of bits that follow each other, found {mask:08x}");
                Error::malformed(text).at_byte(at as u64 + 40)
            })?;
        }
        self.has_alpha = masks[3] != 0;
        if self.bits < 32 && all >> self.bits != 0 {
            let text = format!("masks {masks:08x?} reach beyond pixels of {} bits", self.bits);
            return Err(Error::malformed(text).at_byte(at as u64 + 40));
        }
        Ok(())
    }

    /// The palette, as far as it goes: files state more colours than there are, or fewer.
    fn palette(&mut self, bytes: &[u8], pixels: Option<u32>, colors: u32, entry: usize) {
        let (start, most) = (self.pixels, 1_usize << self.bits);
        let stated = if colors == 0 { most } else { colors as usize };
        let end = match pixels {
            // A palette ends where the pixels begin.
            Some(pixels) if pixels as usize > start => (pixels as usize).min(bytes.len()),
            _ => bytes.len(),
        };
        let room = end.saturating_sub(start) / entry;
        let count = stated.min(room);
        // OS/2 1.x has no field for the number of colours.
        if count < stated && entry == 4 {
            self.finding("palette", format!("a palette of {stated} colours, of which there are {count}"), start);
        }
        let stored = bytes.get(start..).unwrap_or_default();
        self.palette = stored.chunks_exact(entry).take(count.min(most)).map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
        self.pixels = match pixels {
            Some(pixels) if pixels as usize > start => pixels as usize,
            other => {
                if let Some(pixels) = other {
                    let text = format!("expected pixels behind the palette, from byte {start} on, found {pixels}");
                    self.finding("offset", text, 10);
                }
                start + count * entry
            }
        };
    }

    /// Where the pixels begin that need no palette. There may be one all the same, of colours for poorer screens.
    fn behind(&mut self, pixels: Option<u32>, size: u32, at: usize, colors: u32) {
        let Some(pixels) = pixels else {
            self.pixels += 4 * colors.min(256) as usize;
            return;
        };
        if pixels as usize >= at + size as usize {
            self.pixels = pixels as usize;
        } else {
            let text = format!("expected pixels behind the header, from byte {} on, found {pixels}", self.pixels);
            self.finding("offset", text, 10);
        }
    }

    /// Takes the bitmap for one of an icon of this height in a file of `length` bytes: its height counts the picture and
    /// the mask, and of 32 bits the fourth byte is alpha.
    pub(crate) fn split_mask(&mut self, height: u32, length: usize) {
        // Some writers leave out the mask, and count the picture alone.
        let end = (self.pixels as u64).saturating_add(self.stride().saturating_mul(self.height.into()));
        self.masked = self.height != height || height == 1 || end > length as u64;
        self.height = if self.masked { self.height / 2 } else { self.height };
        if self.bits == 32 && self.coding == Coding::Plain && !self.has_alpha {
            self.channels[3] = Channel::new(0xFF00_0000).unwrap_or(Channel::NONE);
            self.has_alpha = true;
        }
    }

    /// The mask behind the pixels, which end at `end`, as far as there is one.
    pub(crate) fn mask<'a>(&self, bytes: &'a [u8], end: usize) -> &'a [u8] {
        let behind = match self.profile {
            Profile::Embedded(at, _) => (at as usize).clamp(end.min(bytes.len()), bytes.len()),
            _ => bytes.len(),
        };
        if self.masked { bytes.get(end..behind).unwrap_or_default() } else { &[] }
    }

    /// Whether it has a colour profile.
    pub(crate) fn has_profile(&self) -> bool {
        matches!(self.profile, Profile::Embedded(..) | Profile::Linked(..))
    }

    /// Reports what is odd.
    pub(crate) fn tell(&self, cx: &Context) -> Result<()> {
        for (code, message, at) in &self.findings {
            cx.tolerate(code, message.clone(), Location::byte(*at))?;
        }
        Ok(())
    }

    /// Bytes of a row of plain pixels.
    pub(crate) fn stride(&self) -> u64 {
        (u64::from(self.width) * u64::from(self.bits)).div_ceil(32) * 4
    }

    /// The picture in memory. Of embedded files they say.
    pub(crate) fn layout(&self) -> Layout {
        let (width, height) = (self.width, self.height);
        if self.bits == 64 {
            return Layout::linear(width, height, 4, 16);
        }
        if self.bits <= 8 {
            // A profile is one of RGB.
            let gray =
                !matches!(self.profile, Profile::Embedded(..)) && self.palette.iter().all(|[r, g, b]| r == g && g == b);
            return Layout::new(width, height, if gray { 1 } else { 3 }, 8);
        }
        let bits = self.channels.iter().map(|channel| channel.bits()).max().unwrap_or(8);
        // Wider channels do not fit a sample: their upper 16 bits are kept.
        Layout::new(width, height, if self.has_alpha { 4 } else { 3 }, bits.clamp(1, 16))
    }
}

/// What versions 4 and 5 say of colours: `bV4CSType` and what follows.
fn profile(field: &[u8; 124], at: usize, size: u32) -> Profile {
    let place = at as u64 + u64::from(u32_le(field, 112));
    match u32_le(field, 56) {
        0x4D42_4544 if size == V5 => Profile::Embedded(place, u32_le(field, 116)),
        0x4C49_4E4B if size == V5 => Profile::Linked(place, u32_le(field, 116)),
        0 if field[60..108].iter().any(|&byte| byte != 0) => Profile::Calibrated,
        _ => Profile::None,
    }
}

impl Profile {
    /// What the samples mean, given whether an embedded profile is used.
    pub(super) fn color_space(self, used: bool) -> ColorSpace {
        match self {
            Self::Embedded(..) if used => ColorSpace::Icc,
            _ => ColorSpace::Srgb,
        }
    }
}
