//! The header and the variable length records.

use mediary_core::{Context, Error, Location, Result, Source};
use serde_json::{Map, Value, json};

use super::extra::Extra;
use super::fields;
use crate::text::decode;

/// Shortest header, that of version 1.0 to 1.2, and that of 1.4.
const SHORTEST: u64 = 227;
pub(super) const HEADER_14: u16 = 375;
/// Most bytes of a record that is looked into, and most records that become properties.
const RECORD: u64 = 16 << 20;
const LISTED: usize = 64;
/// Headers of records and of extended records.
const VLR: u64 = 54;
const EVLR: u64 = 60;

pub(super) struct Header {
    pub(super) format: u8,
    pub(super) compressed: bool,
    /// Bytes of a point.
    pub(super) length: u16,
    pub(super) points: u64,
    /// Where the points begin.
    pub(super) body: u64,
    pub(super) scale: [f64; 3],
    pub(super) offset: [f64; 3],
    /// Least and most as announced.
    pub(super) bounds: [[f64; 3]; 2],
    pub(super) crs: Option<String>,
    pub(super) extra: Vec<Extra>,
    /// The record of LASzip.
    pub(super) laszip: Option<Vec<u8>>,
    pub(super) properties: Map<String, Value>,
}

/// Little-endian numbers at fixed places. Reading beyond the end gives zeros: lengths are checked before.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(found) = self.0.get(at..at + N) {
            bytes.copy_from_slice(found);
        }
        bytes
    }

    pub(super) fn u8(self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }

    pub(super) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(super) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    pub(super) fn f64(self, at: usize) -> f64 {
        f64::from_le_bytes(self.array(at))
    }

    /// Text up to the first NUL.
    pub(super) fn text(self, at: usize, length: usize) -> String {
        let bytes = self.0.get(at..at + length).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(length.min(bytes.len()));
        decode(bytes[..end].trim_ascii())
    }
}

impl Header {
    pub(super) fn read(source: &Source, cx: &Context) -> Result<Self> {
        let head = source.head();
        if (head.len() as u64) < SHORTEST {
            return Err(Error::truncated("the header", SHORTEST, head.len() as u64).at_byte(0));
        }
        let bytes = Bytes(head);
        if !head.starts_with(b"LASF") {
            return Err(Error::malformed("expected LASF, found something else").at_byte(0));
        }
        let (major, minor) = (bytes.u8(24), bytes.u8(25));
        if major != 1 || minor > 4 {
            let message = format!("version {major}.{minor} is read as 1.4");
            cx.tolerate("version", message, Location::byte(24))?;
        }
        let format = bytes.u8(104);
        let (compressed, format) = (format & 0xC0 != 0, format & 0x3F);
        let length = bytes.u16(105);
        let Some(shortest) = fields::length(format) else {
            let message = format!("point format {format}: 0 to 10 are known");
            return Err(Error::unsupported(message).at_byte(104));
        };
        if length < shortest {
            let message = format!("points of format {format} have {shortest} bytes or more, found {length}");
            return Err(Error::malformed(message).at_byte(105));
        }
        let size = u64::from(bytes.u16(94));
        let body = u64::from(bytes.u32(96));
        if size < SHORTEST || body < size || body > source.len() {
            let message = format!("a header of {size} bytes, points from byte {body} of {}", source.len());
            return Err(Error::malformed(message).at_byte(94).with_hint("the file is cut short or damaged"));
        }
        let is_14 = size >= u64::from(HEADER_14) && minor >= 4;
        let legacy = u64::from(bytes.u32(107));
        let points = if is_14 && bytes.u64(247) > 0 { bytes.u64(247) } else { legacy };
        if is_14 && legacy != 0 && legacy != points {
            let message = format!("{legacy} points by the old count, {points} by the new");
            cx.tolerate("count", message, Location::byte(107))?;
        }
        let triple = |at: usize| [0, 1, 2].map(|axis| bytes.f64(at + 8 * axis));
        let (scale, offset) = (triple(131), triple(155));
        if !scale.iter().chain(&offset).all(|value| value.is_finite()) || scale.contains(&0.0) {
            let message = format!("scale {scale:?} and offset {offset:?} are no numbers to compute with");
            return Err(Error::malformed(message).at_byte(131));
        }
        let edge = |axis: usize, least: usize| bytes.f64(179 + 16 * axis + 8 * least);
        let bounds = [[0, 1, 2].map(|axis| edge(axis, 1)), [0, 1, 2].map(|axis| edge(axis, 0))];
        let mut header = Self {
            format,
            compressed,
            length,
            points,
            body,
            scale,
            offset,
            bounds,
            crs: None,
            extra: Vec::new(),
            laszip: None,
            properties: Map::new(),
        };
        header.describe(bytes, (major, minor));
        let mut listed = Vec::new();
        let count = bytes.u32(100);
        header.records(source, size, body, count, false, &mut listed, cx)?;
        if is_14 {
            let (start, count) = (bytes.u64(235), bytes.u32(243));
            if count > 0 {
                header.records(source, start, source.len(), count, true, &mut listed, cx)?;
            }
        }
        if !listed.is_empty() {
            header.properties.insert("vlrs".into(), listed.into());
        }
        header.check_extra(shortest, cx)?;
        Ok(header)
    }

    fn describe(&mut self, bytes: Bytes<'_>, (major, minor): (u8, u8)) {
        let mut put = |key: &str, value: Value| self.properties.insert(key.into(), value);
        put("version", format!("{major}.{minor}").into());
        put("point_format", self.format.into());
        for (key, text) in [("system", bytes.text(26, 32)), ("software", bytes.text(58, 32))] {
            if !text.is_empty() {
                put(key, text.into());
            }
        }
        if bytes.u16(92) > 0 {
            put("created", json!({"year": bytes.u16(92), "day": bytes.u16(90)}));
        }
        if bytes.u16(4) > 0 {
            put("file_source_id", bytes.u16(4).into());
        }
        let gps = if bytes.u16(6) & 1 == 1 { "standard, less 1e9 seconds" } else { "seconds of the week" };
        put("time_reference", gps.into());
        put("scale", self.scale.to_vec().into());
        put("offset", self.offset.to_vec().into());
    }

    /// Looks through (extended) variable length records.
    #[expect(clippy::too_many_arguments, reason = "two places of records, one walk")]
    fn records(
        &mut self,
        source: &Source,
        start: u64,
        end: u64,
        count: u32,
        extended: bool,
        listed: &mut Vec<Value>,
        cx: &Context,
    ) -> Result<()> {
        let (code, fixed) = if extended { ("evlr", EVLR) } else { ("vlr", VLR) };
        let mut at = start;
        for number in 0..count {
            let mut head = [0; EVLR as usize];
            let head = &mut head[..fixed as usize];
            let room = end.saturating_sub(at);
            if room >= fixed {
                source.read_exact_at(at, head, "a variable length record")?;
            }
            let bytes = Bytes(head);
            let length = if extended { bytes.u64(20) } else { u64::from(bytes.u16(20)) };
            if room < fixed || length > room - fixed {
                let message = format!("{count} records are announced, number {} does not fit", number + 1);
                return cx.tolerate(code, message, Location::byte(at));
            }
            if number % 1024 == 0 {
                cx.checkpoint()?;
            }
            let (user, id) = (bytes.text(2, 16), bytes.u16(18));
            at += fixed;
            if listed.len() < LISTED {
                listed.push(json!({"user": user, "record": id, "bytes": length}));
            }
            let wanted = matches!(
                (user.as_str(), id),
                ("LASF_Projection", 2112 | 34735) | ("LASF_Spec", 4) | ("laszip encoded", 22204)
            );
            if wanted && length <= RECORD {
                cx.budget().take(length)?;
                let mut data = vec![0; length as usize];
                source.read_exact_at(at, &mut data, "a variable length record")?;
                match (user.as_str(), id) {
                    ("LASF_Projection", 2112) => self.crs = Some(Bytes(&data).text(0, data.len())),
                    ("LASF_Projection", _) if self.crs.is_none() => self.crs = epsg(&data),
                    ("LASF_Spec", _) => self.extra = Extra::read_all(&data),
                    ("laszip encoded", _) => self.laszip = Some(data),
                    _ => {}
                }
                cx.budget().give_back(length);
            }
            at += length;
        }
        self.crs = self.crs.take().filter(|crs| !crs.is_empty());
        Ok(())
    }

    /// Extra bytes that the points have room for.
    fn check_extra(&mut self, shortest: u16, cx: &Context) -> Result<()> {
        let mut room = usize::from(self.length - shortest);
        let announced = self.extra.len();
        let mut fits = 0;
        for extra in &self.extra {
            if extra.bytes() > room {
                break;
            }
            room -= extra.bytes();
            fits += 1;
        }
        self.extra.truncate(fits);
        if fits < announced {
            let message = format!("{announced} extra attributes are described, the points have room for {fits}");
            cx.tolerate("extra-bytes", message, Location::byte(105))?;
        }
        if room > 0 {
            self.extra.push(Extra::unnamed(room));
        }
        Ok(())
    }
}

/// The code of the GeoTIFF keys.
fn epsg(data: &[u8]) -> Option<String> {
    let keys = Bytes(data);
    let count = usize::from(keys.u16(6)).min(data.len() / 8);
    let find = |wanted: u16| {
        (1..=count)
            .map(|key| key * 8)
            .find(|&at| keys.u16(at) == wanted && keys.u16(at + 2) == 0)
            .map(|at| keys.u16(at + 6))
            .filter(|&code| code > 0 && code < 32767)
    };
    // Projected before geographic.
    find(3072).or_else(|| find(2048)).map(|code| format!("EPSG:{code}"))
}
