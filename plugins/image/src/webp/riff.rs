//! The chunks of a WebP file, found by their headers alone.

use mediary_core::{Context, Error, Result, Source};

/// Where the data of a chunk are: offset and length.
pub(super) type Place = (u64, u64);

/// What a walk over the chunks tells.
#[derive(Debug, Default)]
pub(super) struct Riff {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) alpha: bool,
    /// Whether the file says that it is an animation.
    pub(super) animated: bool,
    /// Milliseconds that each frame of an animation is shown.
    pub(super) delays: Vec<u32>,
    /// Pixels of all frames.
    pub(super) pixels: u64,
    /// Times an animation is played, 0 for ever.
    pub(super) loops: u16,
    pub(super) profile: Option<Place>,
    pub(super) exif: Option<Place>,
    pub(super) xmp: Option<Place>,
    /// Whether a chunk with pixels was found.
    has_pixels: bool,
    /// Bytes behind the end, and where they begin.
    pub(super) trailing: Option<(u64, u64)>,
}

impl Riff {
    pub(super) fn scan(source: &Source, cx: &Context) -> Result<Self> {
        let mut head = [0; 12];
        source.read_exact_at(0, &mut head, "the RIFF header")?;
        if head[..4] != *b"RIFF" || head[8..] != *b"WEBP" {
            return Err(
                Error::malformed(format!("expected a RIFF header of the form WEBP, found {head:02x?}")).at_byte(0)
            );
        }
        let announced = u64::from(le(&head[4..8]));
        let end = announced + 8;
        if end > source.len() {
            return Err(Error::truncated("the RIFF chunk", announced, source.len() - 8)
                .at_byte(4)
                .with_hint("the file is cut short; fetch or copy it again"));
        }
        let mut riff = Self { loops: 1, ..Self::default() };
        let mut at = 12;
        let mut number = 0_u64;
        while at < end {
            number += 1;
            if number.is_multiple_of(1024) {
                cx.checkpoint()?;
            }
            let (kind, data) = chunk(source, at, end)?;
            if number == 1 && !matches!(&kind, b"VP8 " | b"VP8L" | b"VP8X") {
                let found = kind.escape_ascii();
                return Err(
                    Error::malformed(format!("expected a chunk VP8, VP8L or VP8X first, found {found}")).at_byte(at)
                );
            }
            riff.include(source, &kind, data, number == 1, cx)?;
            at += 8 + data.1 + data.1 % 2;
        }
        let last = if riff.animated { !riff.delays.is_empty() } else { riff.has_pixels };
        if !last {
            return Err(Error::malformed("expected a chunk with pixels, found none").at_byte(end));
        }
        // A chunk of odd length is padded, and some writers forget to count that byte.
        let end = end.max(at.min(source.len()));
        riff.trailing = (end < source.len()).then(|| (end, source.len() - end));
        Ok(riff)
    }

    fn include(&mut self, source: &Source, kind: &[u8; 4], data: Place, is_first: bool, cx: &Context) -> Result<()> {
        let (at, length) = data;
        let head = |bytes: &mut [u8], what: &str| {
            if (bytes.len() as u64) > length {
                return Err(Error::truncated(what, bytes.len() as u64, length).at_byte(at));
            }
            source.read_exact_at(at, bytes, what)
        };
        match kind {
            b"VP8X" if is_first => {
                let mut bytes = [0; 10];
                head(&mut bytes, "the VP8X chunk")?;
                (self.alpha, self.animated) = (bytes[0] & 0x10 != 0, bytes[0] & 2 != 0);
                let side = |at: usize| le(&[bytes[at], bytes[at + 1], bytes[at + 2], 0]) + 1;
                (self.width, self.height) = (side(4), side(7));
            }
            b"VP8 " | b"VP8L" if !self.animated => {
                self.has_pixels = true;
                let (width, height, alpha) = if kind == b"VP8 " {
                    let mut bytes = [0; 10];
                    head(&mut bytes, "the frame header of VP8")?;
                    let side = |at: usize| le(&[bytes[at], bytes[at + 1], 0, 0]) & 0x3FFF;
                    (side(6), side(8), false)
                } else {
                    let mut bytes = [0; 5];
                    head(&mut bytes, "the header of VP8L")?;
                    let bits = le(&bytes[1..5]);
                    ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bits >> 28 & 1 != 0)
                };
                if is_first {
                    (self.width, self.height, self.alpha) = (width, height, alpha);
                } else if (width, height) != (self.width, self.height) {
                    let (wide, high) = (self.width, self.height);
                    let text = format!("expected a picture of {wide} x {high} as VP8X says, found {width} x {height}");
                    return Err(Error::malformed(text).at_byte(at));
                }
                self.pixels = u64::from(width) * u64::from(height);
            }
            b"ANIM" if self.animated => {
                let mut bytes = [0; 6];
                head(&mut bytes, "the ANIM chunk")?;
                self.loops = u16::from_le_bytes([bytes[4], bytes[5]]);
            }
            b"ANMF" if self.animated => {
                let mut bytes = [0; 16];
                head(&mut bytes, "the header of a frame")?;
                let number = |at: usize| le(&[bytes[at], bytes[at + 1], bytes[at + 2], 0]);
                self.delays.push(number(12));
                cx.limits().check("frames", self.delays.len() as u64)?;
                let (width, height) = (u64::from(number(6)) + 1, u64::from(number(9)) + 1);
                cx.limits().check("pixels", width * height)?;
                self.pixels = self.pixels.saturating_add(width * height);
            }
            b"ICCP" => self.profile = self.profile.or(Some(data)),
            b"EXIF" => self.exif = self.exif.or(Some(data)),
            b"XMP " => self.xmp = self.xmp.or(Some(data)),
            _ => {}
        }
        Ok(())
    }
}

/// The type and the data of the chunk at `at`, which ends before `end`.
fn chunk(source: &Source, at: u64, end: u64) -> Result<([u8; 4], Place)> {
    let mut head = [0; 8];
    if end - at < 8 {
        return Err(Error::truncated("a chunk header", 8, end - at).at_byte(at));
    }
    source.read_exact_at(at, &mut head, "a chunk header")?;
    let [a, b, c, d, length @ ..] = head;
    let length = u64::from(u32::from_le_bytes(length));
    if length > end - at - 8 {
        let name = [a, b, c, d].escape_ascii().to_string();
        return Err(Error::truncated(&format!("the chunk {name:?}"), length, end - at - 8).at_byte(at + 4));
    }
    Ok(([a, b, c, d], (at + 8, length)))
}

fn le(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
