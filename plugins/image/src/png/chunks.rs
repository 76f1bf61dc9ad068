//! The chunks of a PNG, found by their headers, and their checksums.

use mediary_core::{Context, Error, Location, Result, Source};

use super::METADATA;
use super::animation::Animation;
use crate::decode;
use crate::exif::Exif;

/// The chunks of a file, found by their headers alone.
pub(super) struct Chunks {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits of a pixel as stored.
    pub(super) pixel_bits: u64,
    /// Whether the pixels are indices of a palette.
    pub(super) indexed: bool,
    pub(super) interlaced: bool,
    /// Where the first IDAT chunk begins.
    pub(super) image: Option<u64>,
    /// Bytes of all IDAT chunks.
    pub(super) image_bytes: u64,
    /// Bytes of all texts.
    pub(super) text_bytes: u64,
    /// Bytes of the profile, compressed.
    pub(super) profile_bytes: u64,
    /// Frames that `acTL` announces, and what the frames found say.
    pub(super) announced_frames: Option<u64>,
    pub(super) animation: Animation,
    /// Where the data of `eXIf` is.
    pub(super) exif: Option<(u64, u64)>,
    /// What is wrong with the sequence of chunks, if it is.
    pub(super) damage: Option<Error>,
    /// Bytes after IEND: their offset and number.
    pub(super) trailing: Option<(u64, u64)>,
}

impl Chunks {
    /// Walks over the chunks. Damage after the header is kept: the caller decides.
    pub(super) fn scan(source: &Source, cx: &Context) -> Result<Self> {
        let mut chunks = Self::header(source)?;
        let mut at = 8 + 25;
        let (mut number, mut palette, mut previous) = (0_u32, false, *b"IHDR");
        chunks.damage = loop {
            number += 1;
            if number.is_multiple_of(4096) {
                cx.checkpoint()?;
            }
            let mut head = [0; 8];
            match source.read_at(at, &mut head)? {
                8 => {}
                found => {
                    let missing = if found == 0 { "IEND is missing".to_owned() } else { format!("{found} bytes left") };
                    let error =
                        Error::malformed(format!("expected another chunk, found the end of the file: {missing}"))
                            .with_hint("the file is cut short; fetch or copy it again");
                    break Some(error.at_byte(at));
                }
            }
            let [a, b, c, d, kind @ ..] = head;
            let length = u64::from(u32::from_be_bytes([a, b, c, d]));
            if !kind.iter().all(u8::is_ascii_alphabetic) {
                let error = Error::malformed(format!("expected a chunk type of four letters, found {:?}", show(kind)));
                break Some(error.at_byte(at + 4));
            }
            let left = source.len() - at - 8;
            if length + 4 > left {
                break Some(Error::truncated(&format!("chunk {}", show(kind)), length + 4, left).at_byte(at + 8));
            }
            let misplaced = match &kind {
                b"IHDR" => Some("expected one IHDR chunk, found a second".to_owned()),
                b"PLTE" if palette => Some("expected one PLTE chunk, found a second".to_owned()),
                b"PLTE" if !length.is_multiple_of(3) || !(3..=768).contains(&length) => {
                    Some(format!("expected a PLTE chunk of 1 to 256 colours of 3 bytes, found {length} bytes"))
                }
                b"IDAT" if chunks.indexed && !palette => {
                    Some("expected a PLTE chunk before the pixels, found none".to_owned())
                }
                b"IDAT" if chunks.image.is_some() && previous != kind => {
                    Some(format!("expected the IDAT chunks one after another, found {} between them", show(previous)))
                }
                b"IEND" if length > 0 => Some(format!("expected an empty IEND chunk, found {length} bytes")),
                b"PLTE" | b"IDAT" | b"IEND" => None,
                _ if kind[0].is_ascii_uppercase() => {
                    Some(format!("expected IHDR, PLTE, IDAT or IEND as critical chunk, found {}", show(kind)))
                }
                _ => None,
            };
            if let Some(problem) = misplaced {
                break Some(Error::malformed(problem).at_byte(at + 4));
            }
            palette |= kind == *b"PLTE";
            previous = kind;
            let (begin, data) = (at, (at + 8, length));
            at += length + 12;
            match &kind {
                b"IDAT" => {
                    chunks.image.get_or_insert(begin);
                    chunks.image_bytes += length;
                }
                b"tEXt" | b"zTXt" | b"iTXt" => chunks.text_bytes += length,
                b"iCCP" => chunks.profile_bytes = length,
                b"eXIf" => chunks.exif = Some(data),
                b"fcTL" if length == 26 => {
                    let mut control = [0; 26];
                    source.read_exact_at(data.0, &mut control, "fcTL")?;
                    chunks.animation.include(&control, cx)?;
                    chunks.animation.begins_with_image |= chunks.image.is_none();
                }
                b"acTL" if length == 8 => {
                    let mut numbers = [0; 8];
                    source.read_exact_at(data.0, &mut numbers, "acTL")?;
                    let [a, b, c, d, plays @ ..] = numbers;
                    chunks.announced_frames = Some(u32::from_be_bytes([a, b, c, d]).into());
                    chunks.animation.plays = u32::from_be_bytes(plays);
                }
                b"IEND" => {
                    chunks.trailing = (at < source.len()).then(|| (at, source.len() - at));
                    break None;
                }
                _ => {}
            }
        };
        if chunks.image_bytes == 0 && chunks.damage.is_none() {
            chunks.damage =
                Some(Error::malformed("expected an IDAT chunk, found none: there are no pixels").at_byte(at));
        }
        Ok(chunks)
    }

    /// Reads IHDR, which is first.
    fn header(source: &Source) -> Result<Self> {
        let mut chunk = [0; 25];
        source.read_exact_at(8, &mut chunk, "the IHDR chunk")?;
        if chunk[..8] != *b"\0\0\0\x0DIHDR" {
            let kind = [chunk[4], chunk[5], chunk[6], chunk[7]];
            return Err(Error::malformed(format!("expected 13 bytes of IHDR first, found {:?}", show(kind))).at_byte(8));
        }
        let number = |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
        let (stored, computed) = (number(21), crc32(&[&chunk[4..21]]));
        if stored != computed {
            return Err(
                Error::malformed(format!("checksum of IHDR: expected {computed:08x}, found {stored:08x}")).at_byte(29)
            );
        }
        let (width, height) = (number(8), number(12));
        let (depth, color, compression, filter, interlace) = (chunk[16], chunk[17], chunk[18], chunk[19], chunk[20]);
        let channels = match (color, depth) {
            (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) => 1,
            (2, 8 | 16) => 3,
            (4, 8 | 16) => 2,
            (6, 8 | 16) => 4,
            (0 | 2 | 3 | 4 | 6, _) => {
                return Err(Error::malformed(format!("colour type {color} has no depth of {depth} bits")).at_byte(24));
            }
            _ => {
                return Err(
                    Error::malformed(format!("expected the colour type 0, 2, 3, 4 or 6, found {color}")).at_byte(25)
                );
            }
        };
        for (at, name, value, most) in
            [(26, "compression", compression, 0), (27, "filter", filter, 0), (28, "interlace", interlace, 1)]
        {
            if value > most {
                return Err(
                    Error::malformed(format!("expected the {name} method 0 to {most}, found {value}")).at_byte(at)
                );
            }
        }
        Ok(Self {
            width,
            height,
            pixel_bits: channels * u64::from(depth),
            indexed: color == 3,
            interlaced: interlace == 1,
            image: None,
            image_bytes: 0,
            text_bytes: 0,
            profile_bytes: 0,
            announced_frames: None,
            animation: Animation::default(),
            exif: None,
            damage: None,
            trailing: None,
        })
    }

    /// Frames as the facts count them: the default image, or all of an animation. Where the count is wrong, what is
    /// there.
    pub(super) fn frames(&self) -> u64 {
        match self.announced_frames {
            Some(_) => self.animation.frames.max(1),
            None => 1,
        }
    }

    /// Whether it is read as an animation: of several frames, or of one that is not the default image.
    pub(super) fn is_animated(&self) -> bool {
        let one = self.announced_frames.is_some() && self.animation.frames == 1;
        self.frames() > 1 || (one && !self.animation.begins_with_image)
    }

    /// Bytes of a row of `width` pixels.
    pub(super) fn row(&self, width: u32) -> u64 {
        (u64::from(width) * self.pixel_bits).div_ceil(8)
    }

    /// Bytes of the filtered rows: of the picture, or of the seven passes over it (section 8.1).
    pub(super) fn filtered_bytes(&self) -> u64 {
        const PASSES: [[u32; 4]; 7] =
            [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
        let passes: &[[u32; 4]] = if self.interlaced { &PASSES } else { &[[0, 0, 1, 1]] };
        let bytes = passes.iter().map(|&[x, y, across, down]| {
            let width = self.width.saturating_sub(x).div_ceil(across);
            let height = self.height.saturating_sub(y).div_ceil(down);
            if width == 0 { 0 } else { (1 + self.row(width)) * u64::from(height) }
        });
        bytes.sum()
    }

    /// The EXIF block.
    pub(super) fn exif(&self, source: &Source, cx: &Context) -> Result<Exif> {
        let Some((at, length)) = self.exif.filter(|(_, length)| *length <= METADATA) else {
            return Ok(Exif { orientation: 1, ..Exif::default() });
        };
        let mut block = decode::buffer::<u8>(cx, length)?;
        source.read_exact_at(at, &mut block, "eXIf")?;
        cx.budget().give_back(length);
        // Some writers keep the prefix that JPEG wants.
        Ok(Exif::parse(block.strip_prefix(b"Exif\0\0").unwrap_or(&block), false))
    }
}

/// CRC-32 as in ISO 3309 (section 5.5), of `parts` together.
pub(super) fn crc32(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(!0, |crc: u32, &byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize])
}

/// A chunk type as text.
fn show(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

/// The decoder passes over ancillary chunks whose checksum is wrong: this tells of them.
pub(super) fn check_ancillary(source: &Source, cx: &Context) -> Result<()> {
    let mut at = 8;
    let mut head = [0; 8];
    while source.read_at(at, &mut head)? == 8 {
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if kind == *b"IEND" || length + 12 > source.len() - at {
            break;
        }
        if kind[0].is_ascii_lowercase() && kind != *b"fdAT" && length <= METADATA {
            let mut data = decode::buffer::<u8>(cx, length + 4)?;
            source.read_exact_at(at + 8, &mut data, "chunk")?;
            cx.budget().give_back(length + 4);
            let (data, stored) = data.split_at(length as usize);
            let computed = crc32(&[&kind, data]);
            if stored != computed.to_be_bytes() {
                let text = format!("checksum of {}: expected {computed:08x}; the chunk is left out", show(kind));
                cx.tolerate("checksum", text, Location::byte(at + 8 + length))?;
            }
        }
        at += length + 12;
    }
    cx.checkpoint()
}

/// The first critical chunk whose checksum is wrong. Slow, and only asked once decoding has failed.
pub(super) fn wrong_checksum(source: &Source) -> Result<Option<Error>> {
    let mut at = 8;
    loop {
        let mut head = [0; 8];
        if source.read_at(at, &mut head)? < 8 {
            return Ok(None);
        }
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if length + 12 > source.len() - at || length > METADATA {
            return Ok(None);
        }
        let critical = kind[0].is_ascii_uppercase();
        if critical {
            let mut data = vec![0; length as usize + 4];
            source.read_exact_at(at + 8, &mut data, "chunk")?;
            let (data, stored) = data.split_at(length as usize);
            let computed = crc32(&[&kind, data]);
            if stored != computed.to_be_bytes() {
                let found = u32::from_be_bytes(stored.try_into().unwrap_or_default());
                return Ok(Some(
                    Error::malformed(format!("checksum of {}: expected {computed:08x}, found {found:08x}", show(kind)))
                        .at_byte(at + 8 + length),
                ));
            }
        }
        at += length + 12;
    }
}
