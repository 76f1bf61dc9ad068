//! Headers of parts: attributes, channels, windows, tiles.

use std::io::{BufRead, Read, Seek, SeekFrom};

use mediary_core::{Context, Error, Result, Source, SourceReader};

/// Bytes of an attribute that is looked at, and of all that are skipped: 16 MiB.
const MAX_ATTRIBUTE: u64 = 16 << 20;

/// Bytes of a name.
const MAX_NAME: usize = 255;

/// Attributes of a part, and parts of a file.
const MAX_ATTRIBUTES: usize = 4096;
const MAX_PARTS: usize = 1024;

const TILED: u32 = 0x200;
const DEEP: u32 = 0x800;
const MULTI_PART: u32 = 0x1000;

/// How samples are packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Packing {
    None,
    Rle,
    Zip { lines: u32 },
    Piz,
    Pxr24,
    B44,
}

impl Packing {
    /// Lines of a block.
    pub(super) fn lines(self) -> u32 {
        match self {
            Self::None | Self::Rle => 1,
            Self::Zip { lines } => lines,
            Self::Pxr24 => 16,
            Self::Piz | Self::B44 => 32,
        }
    }
}

/// The type of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Uint,
    Half,
    Float,
}

impl Type {
    pub(super) fn bytes(self) -> usize {
        if self == Self::Half { 2 } else { 4 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) kind: Type,
    /// Stored as its logarithm, under B44.
    pub(super) linear: bool,
    /// Every so many pixels have a sample, across and down.
    pub(super) sampling: (u32, u32),
}

/// A rectangle of pixels, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Window {
    pub(super) min: (i32, i32),
    pub(super) max: (i32, i32),
}

impl Window {
    fn of(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self { min: (number(0)?, number(4)?), max: (number(8)?, number(12)?) })
    }

    /// Pixels across and down; `None` where the ends are the wrong way round or too far apart.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        let side =
            |min: i32, max: i32| u32::try_from(i64::from(max) - i64::from(min) + 1).ok().filter(|&side| side > 0);
        Some((side(self.min.0, self.max.0)?, side(self.min.1, self.max.1)?))
    }
}

/// What one part says.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) channels: Vec<Channel>,
    pub(super) packing: Option<Packing>,
    pub(super) data: Window,
    pub(super) display: Window,
    /// Pixels across and down of a tile.
    pub(super) tiles: Option<(u32, u32)>,
    pub(super) deep: bool,
    /// Entries of its table of offsets, in a file of many parts.
    pub(super) chunks: Option<u64>,
    pub(super) comments: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) pixel_aspect: Option<f32>,
    /// Coordinates of red, green, blue and white.
    pub(super) chromaticities: Option<[f32; 8]>,
    seen: Vec<String>,
}

/// The headers of a file.
pub(super) struct Headers {
    pub(super) parts: Vec<Part>,
    pub(super) many: bool,
    /// Where the tables of offsets begin.
    pub(super) end: u64,
}

impl Headers {
    pub(super) fn read(source: &Source, cx: &Context) -> Result<Self> {
        let mut reader = source.reader();
        let mut head = [0; 8];
        source.read_exact_at(0, &mut head, "the magic number and version")?;
        reader.seek(SeekFrom::Start(8))?;
        if head[..4] != super::MAGIC {
            return Err(
                Error::malformed(format!("expected {:02x?}, found {:02x?}", super::MAGIC, &head[..4])).at_byte(0)
            );
        }
        let version = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if version & 0xFF != 2 {
            return Err(Error::unsupported(format!("expected version 2, found {}", version & 0xFF)).at_byte(4));
        }
        let many = version & MULTI_PART != 0;
        let mut parts = Vec::new();
        loop {
            cx.checkpoint()?;
            let at = reader.position();
            let Some(mut part) = Part::read(&mut reader)? else {
                if many && !parts.is_empty() {
                    break;
                }
                return Err(Error::malformed("expected a header, found an empty one").at_byte(at));
            };
            part.deep |= version & DEEP != 0 && !many;
            if !many && version & TILED == 0 {
                part.tiles = None;
            }
            part.check(at, !many && version & TILED != 0)?;
            parts.push(part);
            if parts.len() > MAX_PARTS {
                return Err(Error::limit("records", parts.len() as u64, MAX_PARTS as u64));
            }
            if !many {
                break;
            }
        }
        Ok(Self { parts, many, end: reader.position() })
    }
}

impl Part {
    /// Reads the attributes of a part; `None` when there are none.
    fn read(reader: &mut SourceReader) -> Result<Option<Self>> {
        let mut part = Self::default();
        let mut kind_of_part = String::new();
        for count in 0..MAX_ATTRIBUTES {
            let name = text(reader)?;
            if name.is_empty() {
                if kind_of_part.starts_with("deep") {
                    part.deep = true;
                }
                if kind_of_part == "scanlineimage" {
                    part.tiles = None;
                }
                return Ok((count > 0).then_some(part));
            }
            let kind = text(reader)?;
            let at = reader.position();
            let mut size = [0; 4];
            reader.read_exact(&mut size).map_err(|_| ended(at))?;
            let size = i32::from_le_bytes(size);
            let size = u64::try_from(size).ok().filter(|&size| size <= MAX_ATTRIBUTE).ok_or_else(|| {
                Error::malformed(format!("expected at most {MAX_ATTRIBUTE} bytes of {name:?}, found {size}"))
                    .at_byte(at)
            })?;
            let left = reader.source_len().saturating_sub(reader.position());
            if size > left {
                return Err(Error::truncated(&format!("the attribute {name:?}"), size, left).at_byte(at));
            }
            let mut value = vec![0; size as usize];
            reader.read_exact(&mut value).map_err(|_| ended(at))?;
            let wrong = || Error::malformed(format!("the attribute {name:?} of {size} bytes is broken")).at_byte(at);
            let string = || String::from_utf8_lossy(&value).into_owned();
            let float = |at: usize| Some(f32::from_le_bytes(*value.get(at..)?.first_chunk()?));
            let number = |at: usize| Some(u32::from_le_bytes(*value.get(at..)?.first_chunk()?));
            match (name.as_str(), kind.as_str()) {
                ("channels", "chlist") => part.channels = channels(&value).ok_or_else(wrong)?,
                ("compression", "compression") => {
                    part.packing = Some(packing(*value.first().ok_or_else(wrong)?).map_err(|error| error.at_byte(at))?);
                }
                ("dataWindow", "box2i") => part.data = Window::of(&value).ok_or_else(wrong)?,
                ("displayWindow", "box2i") => part.display = Window::of(&value).ok_or_else(wrong)?,
                ("tiles", "tiledesc") => {
                    part.tiles = Some((number(0).ok_or_else(wrong)?, number(4).ok_or_else(wrong)?))
                }
                ("chunkCount", "int") => part.chunks = number(0).map(u64::from),
                ("name", "string") => part.name = string(),
                ("type", "string") => kind_of_part = string(),
                ("comments", "string") => part.comments = Some(string()),
                ("owner", "string") => part.owner = Some(string()),
                ("pixelAspectRatio", "float") => part.pixel_aspect = float(0),
                ("chromaticities", "chromaticities") => {
                    let values: Vec<f32> = (0..8).map_while(|index| float(index * 4)).collect();
                    part.chromaticities = <[f32; 8]>::try_from(values).ok();
                }
                _ => continue,
            }
            part.seen.push(name);
        }
        Err(Error::malformed(format!("expected at most {MAX_ATTRIBUTES} attributes, found more"))
            .at_byte(reader.position()))
    }

    fn check(&self, at: u64, tiled: bool) -> Result<()> {
        let needed = ["channels", "compression", "dataWindow", "displayWindow"];
        if let Some(missing) = needed.iter().find(|name| !self.seen.iter().any(|seen| seen == *name)) {
            return Err(Error::malformed(format!("expected the attribute {missing:?}, found none")).at_byte(at));
        }
        for (name, window) in [("dataWindow", self.data), ("displayWindow", self.display)] {
            // Beyond this the sums of other readers overflow too.
            let far = [window.min.0, window.min.1, window.max.0, window.max.1]
                .iter()
                .any(|side| side.unsigned_abs() > 1 << 30);
            if far || window.size().is_none() {
                return Err(Error::malformed(format!("expected a rectangle in {name:?}, found {window:?}")).at_byte(at));
            }
        }
        match self.tiles {
            Some((0, _) | (_, 0)) => Err(Error::malformed("expected tiles of pixels, found none in them").at_byte(at)),
            None if tiled => Err(Error::malformed("expected the attribute \"tiles\", found none").at_byte(at)),
            _ => Ok(()),
        }
    }
}

fn ended(at: u64) -> Error {
    Error::malformed("expected another attribute, found the end of the file")
        .at_byte(at)
        .with_hint("the file is cut short; fetch or copy it again")
}

/// A name that ends with a NUL.
fn text(reader: &mut SourceReader) -> Result<String> {
    let at = reader.position();
    let mut name = Vec::new();
    reader.take(MAX_NAME as u64 + 1).read_until(0, &mut name)?;
    match name.pop() {
        Some(0) => Ok(String::from_utf8_lossy(&name).into_owned()),
        Some(_) if name.len() >= MAX_NAME => {
            Err(Error::malformed(format!("expected a name of at most {MAX_NAME} bytes, found a longer one"))
                .at_byte(at))
        }
        _ => Err(ended(at)),
    }
}

fn packing(number: u8) -> Result<Packing> {
    Ok(match number {
        0 => Packing::None,
        1 => Packing::Rle,
        2 => Packing::Zip { lines: 1 },
        3 => Packing::Zip { lines: 16 },
        4 => Packing::Piz,
        5 => Packing::Pxr24,
        6 | 7 => Packing::B44,
        8 | 9 => {
            return Err(Error::unsupported("the lossy compression DWAA or DWAB is not read")
                .with_hint("`oiiotool in.exr --compression zip -o out.exr` writes it anew"));
        }
        other => return Err(Error::unsupported(format!("the compression {other} is not known"))),
    })
}

fn channels(mut list: &[u8]) -> Option<Vec<Channel>> {
    let mut channels = Vec::new();
    loop {
        let end = list.iter().position(|&byte| byte == 0)?;
        let (name, rest) = list.split_at(end);
        if name.is_empty() {
            return Some(channels);
        }
        let fields = rest.get(1..17)?;
        let number = |at: usize| u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
        let kind = match number(0) {
            0 => Type::Uint,
            1 => Type::Half,
            2 => Type::Float,
            _ => return None,
        };
        let sampling = (number(8), number(12));
        if sampling.0 == 0 || sampling.1 == 0 || sampling.0 > 1 << 16 || sampling.1 > 1 << 16 {
            return None;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        channels.push(Channel { name, kind, linear: fields[4] != 0, sampling });
        list = &rest[17..];
    }
}
