//! The text before the pixels.

use mediary_core::record::ColorSpace;
use mediary_core::{Context, Error, Location, Result};
use serde_json::{Map, Value};

use crate::raster::Layout;

/// Bytes of comments and types that are kept.
const MAX_TEXT: usize = 1 << 16;

/// How the samples are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coding {
    /// Digits 0 and 1, 1 is black.
    TextBits,
    /// Packed bits, 1 is black.
    Bits,
    /// Numbers up to this one, in text.
    Text(u16),
    /// Numbers up to this one, of 1 byte or 2.
    Binary(u16),
    /// Floats.
    Float { little: bool, half: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) layout: Layout,
    pub(super) coding: Coding,
    /// Where the pixels begin.
    pub(super) raster: usize,
    comments: Vec<String>,
    tuple_type: Option<String>,
    scale: Option<f64>,
}

/// Whether these bytes begin as a picture does: a magic, and white space or a comment behind it.
pub(super) fn looks_like_one(bytes: &[u8]) -> bool {
    let [b'P', b'1'..=b'7' | b'f' | b'F' | b'h' | b'H', rest @ ..] = bytes else { return false };
    let rest = if matches!(bytes[1], b'F' | b'H') { rest.strip_prefix(b"4").unwrap_or(rest) } else { rest };
    rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'#')
}

/// Whether a number, a comment or a line of PAM follows the magic.
pub(super) fn begins_as_one(bytes: &[u8]) -> bool {
    let behind = bytes.get(2..).unwrap_or_default().trim_ascii_start();
    looks_like_one(bytes) && matches!(behind.first(), Some(b'0'..=b'9' | b'#' | b'W' | b'H' | b'D'))
}

impl Head {
    pub(super) fn parse(bytes: &[u8], at: usize) -> Result<Self> {
        let mut text = Text { bytes, at, comments: Vec::new() };
        let magic = text.token("the magic")?;
        let float = |channels, half| (channels, half);
        let (channels, half) = match magic {
            b"P7" => return Self::pam(text),
            b"P1" | b"P4" => {
                let [width, height] = [text.size("width")?, text.size("height")?];
                let coding = if magic == b"P1" { Coding::TextBits } else { Coding::Bits };
                return Ok(text.end(Layout::new(width, height, 1, 1), coding));
            }
            b"P2" | b"P3" | b"P5" | b"P6" => {
                let [width, height] = [text.size("width")?, text.size("height")?];
                let most = text.most()?;
                let channels = if matches!(magic, b"P3" | b"P6") { 3 } else { 1 };
                let coding = if matches!(magic, b"P2" | b"P3") { Coding::Text(most) } else { Coding::Binary(most) };
                return Ok(text.end(Layout::new(width, height, channels, bits(most)), coding));
            }
            b"Pf" => float(1, false),
            b"PF" => float(3, false),
            b"PF4" => float(4, false),
            b"Ph" => float(1, true),
            b"PH" => float(3, true),
            b"PH4" => float(4, true),
            other => {
                let found = other[..other.len().min(16)].escape_ascii().to_string();
                return Err(Error::malformed(format!("expected P1 to P7, Pf, PF, Ph or PH, found {found:?}"))
                    .at_byte(at as u64));
            }
        };
        let [width, height] = [text.size("width")?, text.size("height")?];
        let place = text.at as u64;
        let scale = text.token("the scale")?;
        let scale = std::str::from_utf8(scale).ok().and_then(|text| text.parse::<f64>().ok());
        let Some(scale) = scale.filter(|scale| scale.is_finite() && *scale != 0.0) else {
            return Err(Error::malformed("expected a scale that is finite and not 0").at_byte(place));
        };
        let layout = Layout::linear(width, height, channels, if half { 16 } else { 32 });
        let mut head = text.end(layout, Coding::Float { little: scale < 0.0, half });
        head.scale = Some(scale.abs());
        Ok(head)
    }

    /// The lines of a PAM.
    fn pam(mut text: Text<'_>) -> Result<Self> {
        let (mut width, mut height, mut depth, mut most) = (None, None, None, None);
        let mut tuple_type = String::new();
        loop {
            let place = text.at as u64;
            match text.token("ENDHDR")? {
                b"ENDHDR" => break,
                b"WIDTH" => width = Some(text.size("WIDTH")?),
                b"HEIGHT" => height = Some(text.size("HEIGHT")?),
                b"DEPTH" => depth = Some(text.size("DEPTH")?),
                b"MAXVAL" => most = Some(text.most()?),
                b"TUPLTYPE" => {
                    // Several lines are one type with spaces in it.
                    let more = text.line();
                    if !tuple_type.is_empty() {
                        tuple_type.push(' ');
                    }
                    tuple_type.push_str(&more);
                    tuple_type.truncate(tuple_type.floor_char_boundary(MAX_TEXT));
                }
                other => {
                    let found = other[..other.len().min(32)].escape_ascii().to_string();
                    let expected = "WIDTH, HEIGHT, DEPTH, MAXVAL, TUPLTYPE or ENDHDR";
                    return Err(Error::malformed(format!("expected {expected}, found {found:?}")).at_byte(place));
                }
            }
        }
        let missing = |name| Error::malformed(format!("expected a line {name} before ENDHDR, found none"));
        let (width, height) = (width.ok_or_else(|| missing("WIDTH"))?, height.ok_or_else(|| missing("HEIGHT"))?);
        let (depth, most) = (depth.ok_or_else(|| missing("DEPTH"))?, most.ok_or_else(|| missing("MAXVAL"))?);
        if !(1..=4).contains(&depth) {
            return Err(Error::unsupported(format!("expected a DEPTH of 1 to 4 channels, found {depth}")));
        }
        let mut layout = Layout::new(width, height, depth as u8, bits(most));
        let known = fitting(&tuple_type);
        if known.is_none() && !tuple_type.is_empty() {
            layout.color_space = ColorSpace::Unknown;
        }
        let mut head = text.end(layout, Coding::Binary(most));
        head.tuple_type = Some(tuple_type).filter(|text| !text.is_empty());
        Ok(head)
    }

    /// Holds the size against the limits.
    pub(super) fn check(&self, bytes: &[u8], cx: &Context) -> Result<()> {
        self.layout.check(cx, self.raster_bytes().unwrap_or(bytes.len() as u64))
    }

    /// Bytes of the pixels; `None` where they are text.
    pub(super) fn raster_bytes(&self) -> Option<u64> {
        let samples = self.layout.samples();
        Some(match self.coding {
            Coding::TextBits | Coding::Text(_) => return None,
            Coding::Bits => u64::from(self.layout.width).div_ceil(8) * u64::from(self.layout.height),
            Coding::Binary(..=255) => samples,
            Coding::Binary(_) | Coding::Float { half: true, .. } => samples.saturating_mul(2),
            Coding::Float { half: false, .. } => samples.saturating_mul(4),
        })
    }

    /// What else the header says.
    pub(super) fn describe(self, properties: &mut Map<String, Value>, cx: &Context) -> Result<()> {
        if !self.comments.is_empty() {
            properties.insert("comment".into(), self.comments.join("\n").into());
        }
        if let Some(scale) = self.scale.filter(|scale| *scale != 1.0) {
            properties.insert("scale".into(), scale.into());
        }
        let Some(tuple_type) = self.tuple_type else { return Ok(()) };
        let channels = self.layout.channels;
        match fitting(&tuple_type) {
            Some(fits) if fits != channels => {
                let text = format!("the type {tuple_type:?} has {fits} channels, found {channels}");
                cx.tolerate("tuple-type", text, Location::element("TUPLTYPE"))?;
            }
            Some(_) => {}
            None => cx.note("tuple-type", format!("the type {tuple_type:?} says nothing of colours")),
        }
        properties.insert("tuple_type".into(), tuple_type.into());
        Ok(())
    }
}

/// Channels of the types that are defined.
fn fitting(tuple_type: &str) -> Option<u8> {
    Some(match tuple_type {
        "BLACKANDWHITE" | "GRAYSCALE" => 1,
        "BLACKANDWHITE_ALPHA" | "GRAYSCALE_ALPHA" => 2,
        "RGB" => 3,
        "RGB_ALPHA" => 4,
        _ => return None,
    })
}

/// Bits that numbers up to `most` take.
fn bits(most: u16) -> u8 {
    (u16::BITS - most.leading_zeros()) as u8
}

/// The header as tokens. A comment counts as the end of a line.
struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
    comments: Vec<String>,
}

impl<'a> Text<'a> {
    fn end(self, layout: Layout, coding: Coding) -> Head {
        Head { layout, coding, raster: self.at, comments: self.comments, tuple_type: None, scale: None }
    }

    /// The next byte; a comment is kept, and the end of its line is the byte.
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte != b'#' {
            return Some(byte);
        }
        let comment = self.line();
        if !comment.is_empty() && self.comments.iter().map(String::len).sum::<usize>() < MAX_TEXT {
            self.comments.push(comment);
        }
        Some(b'\n')
    }

    /// The rest of the line, without the white space around it; its end is passed.
    fn line(&mut self) -> String {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += (length + 1).min(rest.len());
        String::from_utf8_lossy(rest[..length.min(MAX_TEXT)].trim_ascii()).into_owned()
    }

    /// The bytes up to the next white space, which is passed.
    fn token(&mut self, what: &str) -> Result<&'a [u8]> {
        let ended = |at| {
            let text = format!("expected {what}, found the end of the file");
            Error::malformed(text).at_byte(at as u64).with_hint("the file is cut short; fetch or copy it again")
        };
        let mut start = self.at;
        let mut byte = self.byte().ok_or_else(|| ended(start))?;
        while byte.is_ascii_whitespace() {
            start = self.at;
            byte = self.byte().ok_or_else(|| ended(start))?;
        }
        loop {
            let end = self.at;
            match self.byte() {
                Some(byte) if !byte.is_ascii_whitespace() => {}
                Some(_) => return Ok(&self.bytes[start..end]),
                None => return Err(ended(end)),
            }
        }
    }

    fn number(&mut self, what: &str) -> Result<(u32, u64)> {
        let token = self.token(what)?;
        let place = (self.at - 1 - token.len()) as u64;
        let number = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| {
            let found = token[..token.len().min(32)].escape_ascii().to_string();
            Error::malformed(format!("{what}: expected a whole number, found {found:?}")).at_byte(place)
        })?;
        Ok((number, place))
    }

    fn size(&mut self, what: &str) -> Result<u32> {
        let (number, place) = self.number(what)?;
        if number == 0 {
            return Err(Error::malformed(format!("{what}: expected at least 1, found 0")).at_byte(place));
        }
        Ok(number)
    }

    fn most(&mut self) -> Result<u16> {
        let (number, place) = self.number("the largest value")?;
        u16::try_from(number).ok().filter(|&most| most > 0).ok_or_else(|| {
            Error::malformed(format!("the largest value: expected 1 to 65535, found {number}")).at_byte(place)
        })
    }
}
