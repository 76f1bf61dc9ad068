//! `pts.json`: points, boxes and vectors of a Weights & Biases `Object3D` as JSON.
//!
//! There is no written specification but the documentation of the SDK that writes it:
//! <https://docs.wandb.ai/guides/track/log/media#3d-visualizations>.
//!
//! ```text
//! [[x, y, z], …]                         bare rows of 3, 4 or 6 numbers, one width a file
//! [[x, y, z, category], …]               category 1 to 14
//! [[x, y, z, r, g, b], …]                colour 0 to 255, may have a fraction
//! {"type": "lidar/beta",                 the object form, keys in any order
//!  "vectors": [{"start": [x, y, z], "end": [x, y, z], "color": [r, g, b]}, …],
//!  "points": rows as above,
//!  "boxes": [{"corners": [8 × [x, y, z]], "label": "…" or null, "color": [r, g, b], "score": number or null}, …]}
//! ```
//!
//! **Read**: both forms, in two passes and in bounded memory: the first checks the whole document, counts the points and
//! keeps boxes and vectors; the second streams the points. The header is therefore exact, and costs one pass.
//!
//! | column | attribute |
//! |---|---|
//! | 4th of 4 | `category`, `f64`: one type for every file, since the SDK writes whatever number it is given |
//! | 4th to 6th of 6 | `color`, 3 × `u8`, rounded and clamped; where that changes a value of the file also `rgb`, 3 × `f64`, with the values as they stand in the file |
//!
//! Colours of boxes and vectors are 0 to 255 in the SDK's documentation and 0 to 1 in its `box3d`: 0 to 1 is taken when no
//! value of the file is above 1 and one has a decimal point. The property `color_range` records it for the writer. Keys of
//! the object that are not listed above become properties; those of boxes and vectors are left out (`pts.json.key`).
//!
//! **Diagnostics**: `NaN`, `Infinity` and `null` in place of numbers
//! (`pts.json.non-finite-token`), categories outside 1 to 14
//! (`pts.json.category`), colours outside 0 to 255 (`pts.json.color`). Strict makes errors of them; lenient leaves out broken
//! boxes and vectors. Rows of other or of mixed widths and broken JSON are errors always.
//!
//! **Written**: the object form, byte for byte as the SDK's `Object3D.from_point_cloud` writes the same data: keys in the
//! order `type`, `vectors`, `points`, `boxes`, no spaces, numbers of points in the SDK's float style (`1.0`, `1e+22`),
//! or without a point where all are whole and the property `whole_numbers` says that they are integers, as those of integer arrays and
//! of files without a point in any row. Losses:
//! non-finite points (`pts.json.non-finite`), attributes without a column (`pts.json.attribute-NAME`), alpha, categories of
//! coloured points, properties.

mod read;
mod scan;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Media, MediaRecord, Output, Probe,
    Result, Source, Tier,
};
use serde_json::Value;

use scan::Scanner;
use write::Style;

use crate::text::Digits;

const INFO: FormatInfo = FormatInfo::new("pts.json", "W&B point cloud JSON", &[Kind::PointCloud])
    .extensions(&["pts.json"])
    .media_types(&["application/json"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Categories, Feature::Colors, Feature::Boxes, Feature::DoublePrecision])
    .options(&[Digits::OPTION])
    .spec("https://docs.wandb.ai/guides/track/log/media#3d-visualizations")
    .tier(Tier::Preferred);

/// Property that tells the range of box and vector colours.
const COLOR_RANGE: &str = "color_range";
const UNIT_RANGE: &str = "0..1";
const BYTE_RANGE: &str = "0..255";
/// Property that tells that the numbers of points are those of integers; readers of other formats of points may set it.
const WHOLE_NUMBERS: &str = "whole_numbers";

struct PtsJson;

mediary_core::register!(PtsJson);

impl Format for PtsJson {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match probe.text().first() {
            Some(b'[') => probe_rows(probe),
            Some(b'{') => probe_object(probe),
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(read::Reader::new(source, cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let unit = record.properties.get(COLOR_RANGE).and_then(Value::as_str) == Some(UNIT_RANGE);
        let whole = record.properties.get(WHOLE_NUMBERS).and_then(Value::as_bool) == Some(true);
        let told = [COLOR_RANGE, WHOLE_NUMBERS];
        let left = record.properties.keys().filter(|key| !told.contains(&key.as_str())).count() as u64;
        cx.lose("properties", left, "properties of the record");
        match &mut record.media {
            Media::PointCloud(cloud) => write::write(cloud, Style { unit, whole }, out, cx),
            other => Err(Error::unsupported(format!("pts.json holds point_cloud, not {}", other.kind()))),
        }
    }
}

// ---- probing

/// A scanner over the head, which may end anywhere.
fn head_scanner(probe: &Probe<'_>) -> Scanner {
    Scanner::new(&Source::from_bytes("", probe.text()), &Context::new(INFO.id))
}

fn probe_rows(probe: &Probe<'_>) -> Confidence {
    let mut scanner = head_scanner(probe);
    match first_rows(&mut scanner) {
        Ok(Some(0)) => Confidence::Unknown,
        Ok(Some(width)) => Confidence::yes(100, format!("an array of rows of {width} numbers")),
        // Rows all the same, if only of a wrong width: the extension may speak for it.
        Ok(None) => Confidence::Unknown,
        Err(_) => Confidence::No,
    }
}

/// The width of the first rows of an array: 0 when it is empty, `None` when it is no legal one.
fn first_rows(scanner: &mut Scanner) -> Result<Option<usize>> {
    scanner.expect(b'[', "points")?;
    if scanner.take(b']')? {
        return Ok(Some(0));
    }
    let mut row = [0.0; 6];
    let Ok(width) = scanner.row(&mut row, 0) else {
        // No row of numbers at all, or one of another width?
        return if scanner.depth_hint { Ok(None) } else { Err(scanner.wrong("a row")?) };
    };
    for number in 1..8 {
        // The head may be cut in a later row.
        match scanner.take(b',') {
            Ok(true) if scanner.row(&mut row, number).is_ok_and(|next| next != width) => return Ok(None),
            Ok(true) => {}
            _ => break,
        }
    }
    Ok(Some(width))
}

fn probe_object(probe: &Probe<'_>) -> Confidence {
    let mut scanner = head_scanner(probe);
    let mut known = 0;
    let mut has_points = false;
    let mut walk = || -> Result<bool> {
        scanner.expect(b'{', "an object")?;
        loop {
            let key = scanner.string()?;
            scanner.expect(b':', "a value")?;
            match key.as_str() {
                "points" => {
                    match first_rows(&mut scanner)? {
                        Some(_) => has_points = true,
                        None => return Ok(true),
                    }
                    known += 1;
                    // What follows a long list of points is out of sight.
                    return Ok(known > 1 || !probe.is_whole() || mentions(probe.head, &["boxes", "vectors", "type"]));
                }
                "boxes" | "vectors" => {
                    known += 1;
                    scanner.value(0)?;
                }
                "type" => {
                    let value = scanner.value(0)?;
                    known += usize::from(value.as_str().is_some_and(|value| value.starts_with("lidar")));
                }
                _ => {
                    scanner.value(0)?;
                }
            }
            if !scanner.take(b',')? {
                return Ok(true);
            }
        }
    };
    let walked = walk();
    match (walked, known) {
        (Ok(true), 2..) if has_points => Confidence::yes(150, "an object with points of rows of numbers"),
        (Ok(_), 1..) if has_points => Confidence::yes(100, "an object with points of rows of numbers"),
        (Ok(_), 2..) => Confidence::yes(100, "an object with boxes or vectors"),
        // Cut in the middle of long boxes or vectors.
        (Err(_), _) if !probe.is_whole() && mentions(probe.head, &["corners", "start"]) && known > 0 => {
            Confidence::yes(100, "an object with boxes or vectors")
        }
        (Ok(_), 1..) => Confidence::Unknown,
        _ if !probe.is_whole() && known > 0 => Confidence::Unknown,
        _ => Confidence::No,
    }
}

/// Whether `head` has one of `keys` in quotes.
fn mentions(head: &[u8], keys: &[&str]) -> bool {
    keys.iter().any(|key| {
        let quoted = format!("\"{key}\"");
        memchr::memmem::find(head, quoted.as_bytes()).is_some()
    })
}

#[cfg(test)]
mod tests;
