//! The footer and the extension area of version 2.

use mediary_core::{Context, Location, Result, Source};
use serde_json::{Map, Value};

use super::header::text;
use crate::raster::{u16_le, u32_le};

/// Bytes of the footer, and of the extension area.
const FOOTER: u64 = 26;
const AREA: usize = 495;

const SIGNATURE: &[u8; 18] = b"TRUEVISION-XFILE.\0";

// What the attribute bits mean, field 24.
pub(super) const NO_ALPHA: u8 = 0;
pub(super) const PREMULTIPLIED: u8 = 4;
/// None of the values that mean something: there is no extension area.
const UNKNOWN: u8 = 255;

pub(super) fn has_footer(tail: &[u8]) -> bool {
    tail.ends_with(SIGNATURE)
}

pub(super) struct Extension {
    /// What the attribute bits mean.
    pub(super) attributes: u8,
    /// The area; `None` where there is none.
    area: Option<Box<[u8; AREA]>>,
    /// Where it should be and is not.
    missing: Option<u64>,
}

impl Extension {
    /// The extension area of a file with a footer. One that does not say where it is has an empty one.
    pub(super) fn read(source: &Source) -> Result<Option<Self>> {
        if !has_footer(source.tail()) || source.len() < FOOTER {
            return Ok(None);
        }
        let mut footer = [0; FOOTER as usize];
        source.read_exact_at(source.len() - FOOTER, &mut footer, "the footer")?;
        let place = u64::from(u32_le(&footer, 0));
        let mut it = Self { attributes: UNKNOWN, area: None, missing: None };
        if place != 0 {
            let mut area = Box::new([0; AREA]);
            if source.read_at(place, &mut area[..])? == AREA && usize::from(u16_le(&area[..], 0)) >= AREA {
                it.attributes = area[AREA - 1];
                it.area = Some(area);
            } else {
                it.missing = Some(place);
            }
        }
        Ok(Some(it))
    }

    /// What it says of the picture, as properties.
    pub(super) fn describe(&self, properties: &mut Map<String, Value>, cx: &Context) -> Result<()> {
        if let Some(place) = self.missing {
            let text = format!("expected an extension area of {AREA} bytes at byte {place}, found none");
            cx.tolerate("extension", text, Location::byte(place))?;
        }
        let Some(area) = &self.area else { return Ok(()) };
        let area = &area[..];
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                properties.insert(name.into(), value);
            }
        };
        put("author", text(&area[2..43]).map(Value::from));
        let lines: Vec<_> = area[43..367].chunks(81).filter_map(text).collect();
        put("comment", (!lines.is_empty()).then(|| lines.join("\n").into()));
        let [month, day, year, hour, minute, second] = [367, 369, 371, 373, 375, 377].map(|at| u16_le(area, at));
        let date = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        put("date", (month != 0 && day != 0).then(|| date.into()));
        put("job", text(&area[379..420]).map(Value::from));
        let version = u16_le(area, 467);
        let letter = char::from(area[469]);
        let software = text(&area[426..467]).map(|name| match version {
            0 => name,
            _ => format!("{name} {}.{:02}{letter}", version / 100, version % 100).trim_end().into(),
        });
        put("software", software.map(Value::from));
        let ratio = |at: usize| (u16_le(area, at), u16_le(area, at + 2));
        let (across, down) = ratio(474);
        put("pixel_aspect", (across != 0 && down != 0).then(|| vec![across, down].into()));
        let (gamma, parts) = ratio(478);
        put("gamma", (gamma != 0 && parts != 0).then(|| (f64::from(gamma) / f64::from(parts)).into()));
        Ok(())
    }
}
