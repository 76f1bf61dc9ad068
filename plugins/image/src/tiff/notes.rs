//! What a page says beside its pixels: texts, density, EXIF, XMP, places on the earth.

use mediary_core::{Context, ErrorKind, Location, Result};
use serde_json::{Map, Value};

use super::directory::{Directory, Tiff};
use super::tags;
use crate::exif;

/// Bytes of one text that becomes a property: 1 MiB.
const MAX_TEXT: u64 = 1 << 20;

/// Values of a list that become a property.
const MAX_VALUES: u64 = 1024;

/// Tags that become properties under these names.
const TEXTS: &[(u16, &str)] = &[
    (tags::DOCUMENT_NAME, "document_name"),
    (tags::PAGE_NAME, "page_name"),
    (tags::XMP, "xmp"),
    (tags::GDAL_METADATA, "gdal_metadata"),
    (tags::GDAL_NO_DATA, "gdal_no_data"),
];

/// Reads properties. What is broken is left out and told.
pub(super) fn read(
    tiff: &Tiff,
    directory: &Directory,
    properties: &mut Map<String, Value>,
    cx: &Context,
) -> Result<()> {
    let mut notes = Notes { tiff, cx, broken: Ok(()) };
    for &(tag, name) in TEXTS {
        notes.insert(properties, name, directory, |notes| notes.tiff.text(directory, tag, MAX_TEXT, notes.cx), tag);
    }
    notes.description(directory, properties);
    notes.density(directory, properties);
    let mut found = Map::new();
    notes.exif(directory, &mut found, exif::name);
    for (tag, name) in [(tags::EXIF, exif::name as fn(u16) -> _), (tags::GPS, exif::position_name)] {
        let place = match tiff.first_number(directory, tag, cx) {
            _ if tag == tags::GPS && !cx.options().bool("gps") => None,
            Ok(place) => place,
            Err(_) => None,
        };
        let Some(place) = place else { continue };
        match tiff.directory(place, cx) {
            Ok(nested) => notes.exif(&nested, &mut found, name),
            Err(error) => notes.broken(tag, error),
        }
    }
    if let Ok(Some(orientation)) = tiff.first_number(directory, tags::ORIENTATION, cx) {
        found.insert("orientation".into(), orientation.into());
    }
    // The description is a property of its own.
    found.remove("description");
    if !found.is_empty() {
        properties.insert("exif".into(), found.into());
    }
    notes.geography(directory, properties);
    notes.broken
}

struct Notes<'a> {
    tiff: &'a Tiff,
    cx: &'a Context,
    /// The first error that ends reading.
    broken: Result<()>,
}

impl Notes<'_> {
    fn broken(&mut self, tag: u16, error: mediary_core::Error) {
        let told = match error.kind() {
            ErrorKind::Malformed => {
                let text = format!("the tag {tag} is left out: {}", error.message());
                let place = error.location().cloned();
                self.cx.tolerate("tag", text, place.unwrap_or_else(|| Location::element(format!("tag {tag}"))))
            }
            _ => Err(error),
        };
        if self.broken.is_ok() {
            self.broken = told;
        }
    }

    fn insert(
        &mut self,
        properties: &mut Map<String, Value>,
        name: &str,
        directory: &Directory,
        read: impl Fn(&Self) -> Result<Option<String>>,
        tag: u16,
    ) {
        if !directory.has(tag) {
            return;
        }
        match read(self) {
            Ok(Some(text)) if !text.is_empty() => drop(properties.insert(name.into(), text.into())),
            Ok(_) => {}
            Err(error) => self.broken(tag, error),
        }
    }

    /// The description; that of ImageJ is a list of names and values, that of OME is XML.
    fn description(&mut self, directory: &Directory, properties: &mut Map<String, Value>) {
        let text = match self.tiff.text(directory, tags::DESCRIPTION, MAX_TEXT, self.cx) {
            Ok(Some(text)) if !text.is_empty() => text,
            Ok(_) => return,
            Err(error) => return self.broken(tags::DESCRIPTION, error),
        };
        if text.starts_with("ImageJ=") {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let pairs: Map<_, _> = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().into())).collect();
            properties.insert("imagej".into(), pairs.into());
        } else if text.starts_with('<') && text.contains("<OME") {
            properties.insert("ome_xml".into(), text.into());
        } else {
            properties.insert("description".into(), text.into());
        }
    }

    fn density(&mut self, directory: &Directory, properties: &mut Map<String, Value>) {
        let mut of = |tag| match self.tiff.reals(directory, tag, self.cx) {
            Ok(values) => values.and_then(|values| values.first().copied()).filter(|value| value.is_finite()),
            Err(error) => {
                self.broken(tag, error);
                None
            }
        };
        let (Some(across), Some(down)) = (of(tags::X_RESOLUTION), of(tags::Y_RESOLUTION)) else { return };
        let name = match self.tiff.first_number(directory, tags::RESOLUTION_UNIT, self.cx) {
            Ok(Some(1)) => "pixel_aspect",
            Ok(Some(3)) => "pixels_per_cm",
            _ => "pixels_per_inch",
        };
        if across > 0.0 && down > 0.0 {
            properties.insert(name.into(), vec![across, down].into());
        }
    }

    fn exif(
        &mut self,
        directory: &Directory,
        found: &mut Map<String, Value>,
        name: impl Fn(u16) -> Option<&'static str>,
    ) {
        for entry in &directory.entries {
            let Some(name) = name(entry.tag) else { continue };
            let value = if entry.is_text() {
                self.tiff.text(directory, entry.tag, MAX_TEXT, self.cx).map(|text| text.map(Value::from))
            } else {
                let values = self.tiff.bytes(directory, entry.tag, MAX_VALUES, self.cx);
                values.and_then(|_| self.tiff.reals(directory, entry.tag, self.cx)).map(|values| values.map(list))
            };
            match value {
                Ok(Some(value)) => drop(found.entry(name).or_insert(value)),
                Ok(None) => {}
                Err(error) => self.broken(entry.tag, error),
            }
        }
    }

    /// The keys of GeoTIFF (OGC 19-008r4) by number, with the values they refer to.
    fn geography(&mut self, directory: &Directory, properties: &mut Map<String, Value>) {
        let mut geography = Map::new();
        for (tag, name) in [
            (tags::PIXEL_SCALE, "pixel_scale"),
            (tags::TIE_POINTS, "tie_points"),
            (tags::TRANSFORMATION, "transformation"),
        ] {
            match self
                .tiff
                .bytes(directory, tag, 8 * MAX_VALUES, self.cx)
                .and_then(|_| self.tiff.reals(directory, tag, self.cx))
            {
                Ok(Some(values)) => {
                    drop(geography.insert(name.into(), Value::Array(values.into_iter().map(number).collect())))
                }
                Ok(None) => {}
                Err(error) => self.broken(tag, error),
            }
        }
        match self.keys(directory) {
            Ok(keys) if !keys.is_empty() => drop(geography.insert("keys".into(), keys.into())),
            Ok(_) => {}
            Err(error) => self.broken(tags::GEO_KEYS, error),
        }
        if !geography.is_empty() {
            properties.insert("geotiff".into(), geography.into());
        }
    }

    fn keys(&self, directory: &Directory) -> Result<Map<String, Value>> {
        let (tiff, cx) = (self.tiff, self.cx);
        let mut keys = Map::new();
        tiff.bytes(directory, tags::GEO_KEYS, 8 * MAX_VALUES, cx)?;
        let Some(table) = tiff.numbers(directory, tags::GEO_KEYS, cx)? else { return Ok(keys) };
        tiff.bytes(directory, tags::GEO_REALS, 8 * MAX_VALUES, cx)?;
        let reals = tiff.reals(directory, tags::GEO_REALS, cx)?.unwrap_or_default();
        let texts = tiff.bytes(directory, tags::GEO_TEXTS, MAX_TEXT, cx)?.unwrap_or_default();
        for key in table.chunks_exact(4).skip(1) {
            let &[key, place, count, value] = key else { continue };
            let (from, count) = (value as usize, count as usize);
            let found = match u16::try_from(place) {
                Ok(0) => Some(value.into()),
                Ok(tags::GEO_REALS) => reals.get(from..from + count).map(|values| list(values.to_vec())),
                Ok(tags::GEO_TEXTS) => texts
                    .get(from..from + count)
                    .map(|text| String::from_utf8_lossy(text).trim_end_matches(['|', '\0']).to_owned().into()),
                _ => None,
            };
            keys.extend(found.map(|found| (key.to_string(), found)));
        }
        Ok(keys)
    }
}

/// One value, or a list of them.
fn list(values: Vec<f64>) -> Value {
    match values[..] {
        [value] => number(value),
        _ => values.into_iter().map(number).collect(),
    }
}

/// Whole numbers without a point; what is no number is null.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { (value as i64).into() } else { value.into() }
}
