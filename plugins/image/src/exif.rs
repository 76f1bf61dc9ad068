//! EXIF: the TIFF directories in which cameras leave notes, as they stand in JPEG, PNG and WebP.
//!
//! Specification: CIPA DC-008 (Exif 2.32),
//! <https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2019-E>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | `II` little-endian, `MM` big-endian |
//! | 2 | 2 | 42 |
//! | 4 | 4 | offset of the first directory |
//! | directory | 2 + 12 n + 4 | number of entries, entries (tag, type, count, value or its offset), offset of the next directory |
//!
//! Read: the orientation, and the few tags of [`TAGS`] that tell a picture's origin. The position ([`GPS_IFD`]) only
//! when asked for. The thumbnail and maker notes are left alone. Nothing here fails: what is broken is told in
//! [`Exif::problem`].

use mediary_core::{Context, Location, Result};
use serde_json::{Map, Value};

const ORIENTATION: u16 = 0x0112;
const EXIF_IFD: u16 = 0x8769;
const GPS_IFD: u16 = 0x8825;
const INTEROPERABILITY_IFD: u16 = 0xA005;

/// Tag and property name of what is kept, in the first directory or in the Exif directory.
const TAGS: &[(u16, &str)] = &[
    (0x010E, "description"),
    (0x010F, "make"),
    (0x0110, "model"),
    (0x0131, "software"),
    (0x0132, "date_time"),
    (0x013B, "artist"),
    (0x8298, "copyright"),
    (0x829A, "exposure_time"),
    (0x829D, "f_number"),
    (0x8827, "iso"),
    (0x9003, "date_time_original"),
    (0x9011, "offset_time_original"),
    (0x920A, "focal_length"),
    (0xA434, "lens_model"),
];

/// Directories a file may have: first, thumbnail, Exif, GPS and interoperability, and room for oddities.
const MAX_DIRECTORIES: usize = 16;

/// Bytes of a text value that are kept.
const MAX_TEXT: usize = 4096;

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Exif {
    /// 1 to 8; 1 is upright.
    pub(crate) orientation: u8,
    /// Kept tags by name.
    pub(crate) tags: Map<String, Value>,
    /// The first thing that is broken.
    pub(crate) problem: Option<String>,
}

impl Exif {
    /// Reads a block that begins with the byte order mark.
    pub(crate) fn parse(block: &[u8], with_position: bool) -> Self {
        let mut exif = Self { orientation: 1, ..Self::default() };
        exif.problem = exif.read(block, with_position).err();
        exif
    }

    /// Reports a broken block: an error when strict.
    pub(crate) fn report(&self, cx: &Context) -> Result<()> {
        let Some(problem) = &self.problem else { return Ok(()) };
        let text = format!("the EXIF block is broken, what could be read of it is kept: {problem}");
        cx.tolerate("exif", text, Location::element("exif"))
    }

    fn read(&mut self, block: &[u8], with_position: bool) -> Result<(), String> {
        let little = match block.get(..2) {
            Some(b"II") => true,
            Some(b"MM") => false,
            found => return Err(format!("expected the byte order II or MM, found {found:?}")),
        };
        let tiff = Tiff { block, little };
        match tiff.u16(2) {
            Some(42) => {}
            found => return Err(format!("expected 42 after the byte order, found {found:?}")),
        }
        let first = tiff.u32(4).ok_or("the offset of the first directory is missing")?;
        let mut waiting = vec![(first, Directory::Picture)];
        let mut seen = Vec::new();
        let mut problem = Ok(());
        while let Some((offset, directory)) = waiting.pop() {
            if seen.contains(&offset) {
                problem = Err(format!("the directory at byte {offset} is referred to twice"));
                continue;
            }
            if seen.len() == MAX_DIRECTORIES {
                return Err(format!("more than {MAX_DIRECTORIES} directories"));
            }
            seen.push(offset);
            let read = self.directory(&tiff, offset as usize, directory, &mut waiting);
            problem = problem.and(read);
            if !with_position {
                waiting.retain(|(_, directory)| *directory != Directory::Position);
            }
        }
        problem
    }

    fn directory(
        &mut self,
        tiff: &Tiff<'_>,
        start: usize,
        directory: Directory,
        waiting: &mut Vec<(u32, Directory)>,
    ) -> Result<(), String> {
        let outside = || format!("the directory at byte {start} is outside the block of {} bytes", tiff.block.len());
        let count = usize::from(tiff.u16(start).ok_or_else(outside)?);
        let mut problem = Ok(());
        for index in 0..count {
            let at = start + 2 + index * 12;
            let entry = tiff.block.get(at..at + 12).and_then(|_| tiff.u16(at));
            let Some(tag) = entry else {
                return Err(format!("the directory at byte {start} announces {count} entries, found {index}"));
            };
            match tag {
                EXIF_IFD | INTEROPERABILITY_IFD => {
                    waiting.extend(tiff.u32(at + 8).map(|offset| (offset, Directory::Nested)));
                }
                GPS_IFD => waiting.extend(tiff.u32(at + 8).map(|offset| (offset, Directory::Position))),
                ORIENTATION if directory == Directory::Picture => match tiff.value(at).and_then(|found| found.as_u64())
                {
                    Some(found @ 1..=8) => {
                        self.orientation = found as u8;
                        self.tags.insert("orientation".into(), found.into());
                    }
                    found => problem = Err(format!("expected an orientation from 1 to 8, found {found:?}")),
                },
                _ => {
                    let Some(name) = directory.name(tag) else { continue };
                    match tiff.value(at) {
                        None => problem = Err(format!("the value of the tag {name:?} is outside the block")),
                        Some(value) => {
                            self.tags.entry(name).or_insert(value);
                        }
                    }
                }
            }
        }
        // Many writers forget the offset of the next directory; without one there is none.
        if directory == Directory::Picture {
            let next = tiff.u32(start + 2 + count * 12).filter(|&next| next != 0);
            waiting.extend(next.map(|next| (next, Directory::Thumbnail)));
        }
        problem
    }
}

/// What a directory describes.
#[derive(Clone, Copy, PartialEq)]
enum Directory {
    Picture,
    Nested,
    Position,
    Thumbnail,
}

impl Directory {
    /// The property that a tag of this directory becomes.
    fn name(self, tag: u16) -> Option<&'static str> {
        match self {
            Self::Thumbnail => None,
            Self::Position => position_name(tag),
            Self::Picture | Self::Nested => name(tag),
        }
    }
}

/// The property that a tag becomes.
pub(crate) fn name(tag: u16) -> Option<&'static str> {
    TAGS.iter().find(|(known, _)| *known == tag).map(|(_, name)| *name)
}

/// The property that a tag of the position becomes.
pub(crate) fn position_name(tag: u16) -> Option<&'static str> {
    Some(match tag {
        1 => "gps_latitude_ref",
        2 => "gps_latitude",
        3 => "gps_longitude_ref",
        4 => "gps_longitude",
        5 => "gps_altitude_ref",
        6 => "gps_altitude",
        7 => "gps_time",
        29 => "gps_date",
        _ => return None,
    })
}

struct Tiff<'a> {
    block: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The value of the entry at `at`: text, a number, or a list of numbers. `None` when it is outside the block.
    fn value(&self, at: usize) -> Option<Value> {
        const ASCII: u16 = 2;
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        const RATIONAL: u16 = 5;
        const SRATIONAL: u16 = 10;
        let (kind, count) = (self.u16(at + 2)?, self.u32(at + 4)? as usize);
        let size = match kind {
            SHORT => 2,
            LONG => 4,
            RATIONAL | SRATIONAL => 8,
            _ => 1,
        };
        let length = count.checked_mul(size)?;
        let start = if length <= 4 { at + 8 } else { self.u32(at + 8)? as usize };
        let bytes = self.block.get(start..start.checked_add(length)?)?;
        if kind == ASCII {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]);
            return Some(text.trim_end().into());
        }
        let number = |index: usize| -> Option<Value> {
            let at = start + index * size;
            Some(match kind {
                SHORT => self.u16(at)?.into(),
                LONG => self.u32(at)?.into(),
                RATIONAL => ratio(f64::from(self.u32(at)?), f64::from(self.u32(at + 4)?)),
                SRATIONAL => ratio(f64::from(self.u32(at)? as i32), f64::from(self.u32(at + 4)? as i32)),
                _ => self.block[at].into(),
            })
        };
        match count {
            1 => number(0),
            _ => (0..count.min(16)).map(number).collect::<Option<Vec<_>>>().map(Value::Array),
        }
    }
}

/// A fraction as a number; 0/0, which means unknown, is null.
fn ratio(numerator: f64, denominator: f64) -> Value {
    if denominator == 0.0 { Value::Null } else { (numerator / denominator).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Make `ab` in the first directory, orientation 6, exposure 1/4 in the Exif directory.
    fn block() -> Vec<u8> {
        let mut block = b"II*\0\x08\0\0\0\x03\0".to_vec();
        block.extend(b"\x0F\x01\x02\0\x03\0\0\0ab\0\0");
        block.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
        block.extend(b"\x69\x87\x04\0\x01\0\0\0\x32\0\0\0\0\0\0\0");
        block.extend(b"\x01\0\x9A\x82\x05\0\x01\0\0\0\x44\0\0\0\0\0\0\0");
        block.extend(b"\x01\0\0\0\x04\0\0\0");
        block
    }

    #[test]
    fn reads_the_tags_kept() {
        let exif = Exif::parse(&block(), false);
        assert_eq!(exif.problem, None);
        assert_eq!(exif.orientation, 6);
        assert_eq!(
            Value::Object(exif.tags),
            serde_json::json!({"make": "ab", "orientation": 6, "exposure_time": 0.25})
        );
    }

    #[test]
    fn a_loop_of_directories_ends_with_a_problem() {
        let mut block = block();
        block[8 + 2 + 24 + 8] = 8; // the Exif directory is the first directory
        let exif = Exif::parse(&block, false);
        assert_eq!(exif.orientation, 6);
        assert_eq!(exif.problem.as_deref(), Some("the directory at byte 8 is referred to twice"));
    }

    #[test]
    fn every_truncation_is_told() {
        let block = block();
        for end in 0..block.len() {
            assert!(Exif::parse(&block[..end], true).problem.is_some(), "{end}");
        }
    }
}
