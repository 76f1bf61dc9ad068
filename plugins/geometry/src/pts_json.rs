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
//! **Diagnostics**: `NaN`, `Infinity` and `null` in place of numbers (`pts.json.non-finite`), categories outside 1 to 14
//! (`pts.json.category`), colours outside 0 to 255 (`pts.json.color`). Strict makes errors of them; lenient leaves out broken
//! boxes and vectors. Rows of other or of mixed widths and broken JSON are errors always.
//!
//! **Written**: the object form, byte for byte as the SDK's `Object3D.from_point_cloud` writes the same data: keys in the
//! order `type`, `vectors`, `points`, `boxes`, no spaces, numbers of points in the SDK's float style (`1.0`, `1e+22`). Losses:
//! non-finite points (`pts.json.non-finite`), attributes without a column (`pts.json.attribute-NAME`), alpha, categories of
//! coloured points, properties.

use std::io::Write;

use mediary_core::convert::linear_to_srgb;
use mediary_core::record::facts::PointCloudFacts;
use mediary_core::record::point_cloud::{Box3, Vector3};
use mediary_core::record::{AttributeData, AttributeSpec, Bounds, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{
    Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, Media,
    MediaRecord, Output, Probe, Result, Severity, Source, Strictness, Tier,
};
use serde_json::{Map, Value};

const INFO: FormatInfo = FormatInfo::new("pts.json", "W&B point cloud JSON", &[Kind::PointCloud])
    .extensions(&["pts.json"])
    .media_types(&["application/json"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Categories, Feature::Colors, Feature::Boxes, Feature::DoublePrecision])
    .spec("https://docs.wandb.ai/guides/track/log/media#3d-visualizations")
    .tier(Tier::Preferred);

/// Points in one chunk.
const CHUNK: usize = 1 << 15;
/// The scene type the SDK writes when none is given.
const DEFAULT_TYPE: &str = "lidar/beta";
/// Categories the viewer has colours for.
const CATEGORIES: std::ops::RangeInclusive<f64> = 1.0..=14.0;
/// Property that tells the range of box and vector colours.
const COLOR_RANGE: &str = "color_range";
const UNIT_RANGE: &str = "0..1";
const BYTE_RANGE: &str = "0..255";

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
        Ok(Box::new(Reader { source: source.clone(), cx: cx.clone(), survey: None, header: None }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let unit = record.properties.get(COLOR_RANGE).and_then(Value::as_str) == Some(UNIT_RANGE);
        let left = record.properties.keys().filter(|key| *key != COLOR_RANGE).count() as u64;
        cx.lose("properties", left, "properties of the record");
        match &mut record.media {
            Media::PointCloud(cloud) => write(cloud, unit, out, cx),
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
        head.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    })
}

// ---- reading

struct Reader {
    source: Source,
    cx: Context,
    survey: Option<Survey>,
    header: Option<Header>,
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let survey = Survey::take(&self.source, &self.cx)?;
        let facts = PointCloudFacts {
            points: Some(survey.points),
            attributes: Some(survey.schema().into_iter().map(|attribute| attribute.name).collect()),
            boxes: Some(survey.boxes.len() as u64),
            vectors: Some(survey.vectors.len() as u64),
            bounds: survey.bounds.finish(),
            r#type: survey.scene_type.clone(),
        };
        self.survey = Some(survey);
        let header = Header::single(Facts::PointCloud(facts));
        Ok(self.header.insert(header).clone())
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if self.header.is_none() {
            self.header()?;
        }
        let Some(survey) = self.survey.take() else { return Ok(None) };
        let schema = survey.schema();
        let points: Stream<PointChunk> = match survey.points_at {
            Some(place) if survey.points > 0 => Stream::new(Points {
                scanner: Scanner::at(&self.source, &self.cx, place),
                left: survey.points,
                number: 0,
                width: survey.width,
                exact_colors: survey.exact_colors,
                schema: schema.clone(),
            }),
            _ => Stream::from_chunks(Vec::new()),
        };
        let mut cloud = PointCloud::new(schema, points);
        cloud.declared_points = Some(survey.points);
        cloud.boxes = survey.boxes;
        cloud.vectors = survey.vectors;
        cloud.scene_type = survey.scene_type;
        let mut record = MediaRecord::new(cloud);
        record.properties = survey.properties;
        Ok(Some(record))
    }
}

/// What the first pass finds.
struct Survey {
    points: u64,
    /// Columns of every row; 0 when there is none.
    width: usize,
    /// Just behind the bracket that opens the rows.
    points_at: Option<Place>,
    bounds: Bounds,
    /// Some colour is no whole number from 0 to 255.
    exact_colors: bool,
    boxes: Vec<Box3>,
    vectors: Vec<Vector3>,
    scene_type: Option<String>,
    properties: Map<String, Value>,
    categories_outside: u64,
    colors_outside: u64,
}

impl Survey {
    fn take(source: &Source, cx: &Context) -> Result<Self> {
        let mut scanner = Scanner::new(source, cx);
        let mut survey = Self {
            points: 0,
            width: 0,
            points_at: None,
            bounds: Bounds::EMPTY,
            exact_colors: false,
            boxes: Vec::new(),
            vectors: Vec::new(),
            scene_type: None,
            properties: Map::new(),
            categories_outside: 0,
            colors_outside: 0,
        };
        scanner.skip_byte_order_mark()?;
        match scanner.peek()? {
            Some(b'[') => survey.rows(&mut scanner, cx)?,
            Some(b'{') => survey.object(&mut scanner, cx)?,
            _ => return Err(scanner.wrong("an array of points or an object with points")?),
        }
        if scanner.peek()?.is_some() {
            return Err(scanner.wrong("the end of the document")?);
        }
        if survey.points == 0 && survey.boxes.is_empty() && survey.vectors.is_empty() {
            cx.warn("empty", "there are no points, boxes or vectors");
        }
        let first = scanner.first_special.take();
        let message = "numbers that are NaN, infinite or null";
        cx.report_times(Severity::Warning, "non-finite", message, first, scanner.specials);
        let strict = cx.strictness() == Strictness::Strict;
        for (code, message, count) in [
            ("category", "categories that are no whole numbers from 1 to 14", survey.categories_outside),
            ("color", "points with colours outside 0 to 255", survey.colors_outside),
        ] {
            if strict && count > 0 {
                return Err(Error::malformed(format!("{count} {message}")).at_element("points"));
            }
            cx.report_times(Severity::Warning, code, message, Some(Location::element("points")), count);
        }
        Ok(survey)
    }

    fn schema(&self) -> Vec<AttributeSpec> {
        match self.width {
            4 => vec![AttributeSpec::new("category", ScalarType::F64, 1)],
            6 if self.exact_colors => {
                vec![AttributeSpec::new("color", ScalarType::U8, 3), AttributeSpec::new("rgb", ScalarType::F64, 3)]
            }
            6 => vec![AttributeSpec::new("color", ScalarType::U8, 3)],
            _ => Vec::new(),
        }
    }

    fn rows(&mut self, scanner: &mut Scanner, cx: &Context) -> Result<()> {
        scanner.expect(b'[', "an array of points")?;
        self.points_at = Some(scanner.place());
        if scanner.take(b']')? {
            return Ok(());
        }
        let mut row = [0.0; 6];
        loop {
            let width = scanner.row(&mut row, self.points)?;
            if self.points == 0 {
                self.width = width;
            } else if width != self.width {
                let message = format!("expected a row of {} numbers as before, found {width}", self.width);
                return Err(Error::malformed(message).at(scanner.location_in(self.points)));
            }
            self.points += 1;
            cx.limits().check("elements", self.points)?;
            self.bounds.include([row[0], row[1], row[2]]);
            match width {
                4 => {
                    let is_known = CATEGORIES.contains(&row[3]) && row[3].fract() == 0.0;
                    self.categories_outside += u64::from(!is_known);
                }
                6 => {
                    let is_byte = |value: f64| value.fract() == 0.0 && !value.is_sign_negative() && value <= 255.0;
                    let rgb = &row[3..];
                    self.exact_colors |= !rgb.iter().all(|&value| is_byte(value));
                    self.colors_outside += u64::from(!rgb.iter().all(|value| (0.0..=255.0).contains(value)));
                }
                _ => {}
            }
            if !scanner.another(b']')? {
                return Ok(());
            }
        }
    }

    fn object(&mut self, scanner: &mut Scanner, cx: &Context) -> Result<()> {
        let (mut boxes, mut vectors) = (Vec::new(), Vec::new());
        let mut seen = Vec::new();
        scanner.expect(b'{', "an object")?;
        let mut more = !scanner.take(b'}')?;
        while more {
            let at = scanner.location();
            let key = scanner.string()?;
            if seen.contains(&key) {
                return Err(Error::malformed(format!("the key {key:?} stands twice")).at(at));
            }
            scanner.expect(b':', "a colon")?;
            match key.as_str() {
                "points" => self.rows(scanner, cx)?,
                "boxes" => read_list(scanner, cx, "boxes", &mut boxes, read_box)?,
                "vectors" => read_list(scanner, cx, "vectors", &mut vectors, read_vector)?,
                "type" => match scanner.value(0)? {
                    Value::String(scene_type) => self.scene_type = Some(scene_type),
                    Value::Null => {}
                    other => {
                        cx.tolerate("type", format!("type: expected text, found {other}"), at)?;
                    }
                },
                _ => {
                    let value = scanner.value(0)?;
                    self.properties.insert(key.clone(), value);
                }
            }
            seen.push(key);
            cx.limits().check("elements", seen.len() as u64)?;
            more = scanner.another(b'}')?;
        }
        if !["points", "boxes", "vectors"].iter().any(|key| seen.iter().any(|seen| seen == key)) {
            return Err(Error::malformed("expected the key \"points\", found none").at_byte(0));
        }
        if !seen.iter().any(|key| key == "points") {
            cx.tolerate("no-points", "the key \"points\" is missing", Location::byte(0))?;
        }
        let colors = || {
            boxes
                .iter()
                .filter_map(|it: &Parsed<Box3>| it.color)
                .chain(vectors.iter().filter_map(|it: &Parsed<Vector3>| it.color))
        };
        let is_unit =
            colors().all(|(rgb, _)| rgb.iter().all(|value| *value <= 1.0)) && colors().any(|(_, dotted)| dotted);
        if colors().next().is_some() {
            let range = if is_unit { UNIT_RANGE } else { BYTE_RANGE };
            self.properties.insert(COLOR_RANGE.into(), range.into());
        }
        let scale = |(rgb, _): ([f64; 3], bool)| rgb.map(|value| if is_unit { value } else { value / 255.0 });
        self.boxes = boxes.into_iter().map(|it| Box3 { color: it.color.map(scale), ..it.item }).collect();
        self.vectors = vectors.into_iter().map(|it| Vector3 { color: it.color.map(scale), ..it.item }).collect();
        Ok(())
    }
}

/// A box or a vector, with its colour as it stands in the file and whether that is written with a decimal point.
struct Parsed<T> {
    item: T,
    color: Option<([f64; 3], bool)>,
}

fn read_list<T>(
    scanner: &mut Scanner,
    cx: &Context,
    what: &str,
    list: &mut Vec<Parsed<T>>,
    read: fn(&Map<String, Value>) -> Result<(Parsed<T>, usize)>,
) -> Result<()> {
    if scanner.peek()? == Some(b'n') {
        // `null` for none.
        return scanner.value(0).map(drop);
    }
    scanner.expect(b'[', "an array")?;
    let mut more = !scanner.take(b']')?;
    let mut number = 0u64;
    while more {
        let at = Location { element: Some(format!("{what}[{number}]")), ..scanner.location_after_space()? };
        cx.limits().check("elements", number + 1)?;
        cx.budget().take(size_of::<Parsed<T>>() as u64)?;
        let before = cx.budget().taken();
        let value = scanner.value(1)?;
        let read = match &value {
            Value::Object(object) => read(object),
            other => Err(Error::malformed(format!("expected an object, found {}", name_of(other)))),
        };
        match read {
            Ok((item, others)) => {
                let message = "keys without a place in the record were left out";
                cx.report_times(Severity::Warning, "key", message, Some(at), others as u64);
                list.push(item);
            }
            Err(error) => cx.unless_lenient("broken", error.at(at))?,
        }
        // The text of the value is gone; what stays was paid above, save for labels.
        cx.budget().give_back(cx.budget().taken().saturating_sub(before) / 2);
        number += 1;
        more = scanner.another(b']')?;
    }
    Ok(())
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `N` numbers; what was NaN or infinite in the file is null here.
fn tuple<const N: usize>(value: Option<&Value>, what: &str) -> Result<[f64; N]> {
    let wrong = |found: String| Error::malformed(format!("{what}: expected {N} numbers, found {found}"));
    let values = match value {
        Some(Value::Array(values)) if values.len() == N => values,
        Some(Value::Array(values)) => return Err(wrong(values.len().to_string())),
        Some(other) => return Err(wrong(name_of(other).into())),
        None => return Err(wrong("none".into())),
    };
    let mut out = [f64::NAN; N];
    for (slot, value) in out.iter_mut().zip(values) {
        match value {
            Value::Null => {}
            value => *slot = value.as_f64().ok_or_else(|| wrong(name_of(value).into()))?,
        }
    }
    Ok(out)
}

fn color(object: &Map<String, Value>) -> Result<Option<([f64; 3], bool)>> {
    let Some(value) = object.get("color").filter(|value| !value.is_null()) else { return Ok(None) };
    let rgb = tuple(Some(value), "color")?;
    let dotted = value.as_array().is_some_and(|values| values.iter().any(Value::is_f64));
    Ok(Some((rgb, dotted)))
}

fn read_box(object: &Map<String, Value>) -> Result<(Parsed<Box3>, usize)> {
    let corners = match object.get("corners") {
        Some(Value::Array(corners)) if corners.len() == 8 => corners,
        Some(Value::Array(corners)) => {
            return Err(Error::malformed(format!("corners: expected 8, found {}", corners.len())));
        }
        _ => return Err(Error::malformed("corners: expected 8, found none")),
    };
    let mut item = Box3 { corners: [[0.0; 3]; 8], label: None, color: None, score: None };
    for (slot, corner) in item.corners.iter_mut().zip(corners) {
        *slot = tuple(Some(corner), "corner")?;
    }
    item.label = match object.get("label") {
        None | Some(Value::Null) => None,
        Some(Value::String(label)) => Some(label.clone()),
        Some(other) => return Err(Error::malformed(format!("label: expected text, found {}", name_of(other)))),
    };
    item.score = match object.get("score") {
        None | Some(Value::Null) => None,
        Some(score) => Some(
            score
                .as_f64()
                .ok_or_else(|| Error::malformed(format!("score: expected a number, found {}", name_of(score))))?,
        ),
    };
    let others = object.keys().filter(|key| !["corners", "label", "color", "score"].contains(&key.as_str())).count();
    Ok((Parsed { item, color: color(object)? }, others))
}

fn read_vector(object: &Map<String, Value>) -> Result<(Parsed<Vector3>, usize)> {
    let item =
        Vector3 { start: tuple(object.get("start"), "start")?, end: tuple(object.get("end"), "end")?, color: None };
    let others = object.keys().filter(|key| !["start", "end", "color"].contains(&key.as_str())).count();
    Ok((Parsed { item, color: color(object)? }, others))
}

/// The second pass.
struct Points {
    scanner: Scanner,
    left: u64,
    number: u64,
    width: usize,
    exact_colors: bool,
    schema: Vec<AttributeSpec>,
}

impl Points {
    fn chunk(&mut self) -> Result<PointChunk> {
        let count = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut positions = Vec::with_capacity(count);
        let (mut categories, mut bytes, mut exact) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = [0.0; 6];
        for _ in 0..count {
            let width = self.scanner.row(&mut row, self.number)?;
            if width != self.width {
                return Err(Error::malformed("the file changed while it was read").at(self.scanner.location()));
            }
            self.number += 1;
            self.left -= 1;
            if self.left > 0 {
                self.scanner.expect(b',', "another point")?;
            }
            positions.push([row[0], row[1], row[2]]);
            match width {
                4 => categories.push(row[3]),
                6 => {
                    // A cast saturates, and takes NaN to 0.
                    bytes.extend(row[3..].iter().map(|value| value.round() as u8));
                    if self.exact_colors {
                        exact.extend_from_slice(&row[3..]);
                    }
                }
                _ => {}
            }
        }
        let attributes = match (self.width, self.exact_colors) {
            (4, _) => vec![AttributeData::F64(categories)],
            (6, false) => vec![AttributeData::U8(bytes)],
            (6, true) => vec![AttributeData::U8(bytes), AttributeData::F64(exact)],
            _ => Vec::new(),
        };
        PointChunk::new(positions, attributes, &self.schema)
    }
}

impl Iterator for Points {
    type Item = Result<PointChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.left > 0).then(|| self.chunk())
    }
}

// ---- the JSON of such files, pulled from a source in bounded memory

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;
/// Longest number that is taken for one.
const NUMBER_BYTES: usize = 1 << 10;
/// Bytes that a JSON value takes in memory, roughly.
const VALUE_BYTES: u64 = 96;

/// Where a scanner stands.
#[derive(Clone, Copy)]
struct Place {
    byte: u64,
    line: u64,
    line_start: u64,
}

struct Scanner {
    source: Source,
    cx: Context,
    buffer: Vec<u8>,
    at: usize,
    /// Offset of the buffer's first byte.
    start: u64,
    line: u64,
    line_start: u64,
    /// NaN, infinite and null numbers so far.
    specials: u64,
    first_special: Option<Location>,
    /// The last row failed for its width, not for what it holds.
    depth_hint: bool,
}

impl Scanner {
    fn new(source: &Source, cx: &Context) -> Self {
        Self::at(source, cx, Place { byte: 0, line: 1, line_start: 0 })
    }

    fn at(source: &Source, cx: &Context, place: Place) -> Self {
        Self {
            source: source.clone(),
            cx: cx.clone(),
            buffer: Vec::new(),
            at: 0,
            start: place.byte,
            line: place.line,
            line_start: place.line_start,
            specials: 0,
            first_special: None,
            depth_hint: false,
        }
    }

    fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    fn place(&self) -> Place {
        Place { byte: self.offset(), line: self.line, line_start: self.line_start }
    }

    fn location(&self) -> Location {
        let byte = self.offset();
        Location::line(self.line).with_column(byte.saturating_sub(self.line_start) + 1).with_byte(byte)
    }

    fn location_in(&self, row: u64) -> Location {
        Location { element: Some(format!("points[{row}]")), ..self.location() }
    }

    fn location_after_space(&mut self) -> Result<Location> {
        self.peek()?;
        Ok(self.location())
    }

    /// Reads on, keeping what is not consumed; `false` at the end of the input.
    #[cold]
    fn fill(&mut self) -> Result<bool> {
        self.cx.checkpoint()?;
        self.buffer.drain(..self.at);
        self.start += self.at as u64;
        self.at = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + BUFFER, 0);
        let read = self.source.read_at(self.start + kept as u64, &mut self.buffer[kept..])?;
        self.buffer.truncate(kept + read);
        Ok(read > 0)
    }

    fn skip_byte_order_mark(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        if self.buffer[self.at..].starts_with(b"\xEF\xBB\xBF") {
            self.cx.tolerate("byte-order-mark", "the document begins with a byte order mark", Location::byte(0))?;
            self.at += 3;
        }
        Ok(())
    }

    /// The next byte that is no white space, not consumed.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.buffer.get(self.at) {
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.offset();
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(&byte) => return Ok(Some(byte)),
                None => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn take(&mut self, byte: u8) -> Result<bool> {
        let found = self.peek()? == Some(byte);
        self.at += usize::from(found);
        Ok(found)
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.take(byte)? { Ok(()) } else { Err(self.wrong(what)?) }
    }

    /// After an element: `true` for a comma, `false` for the `close` of the list.
    fn another(&mut self, close: u8) -> Result<bool> {
        match self.peek()? {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.wrong(&format!("a comma or {:?}", char::from(close)))?),
        }
    }

    /// What stands here is not what should.
    fn wrong(&mut self, expected: &str) -> Result<Error> {
        Ok(match self.peek()? {
            None => Error::malformed(format!("the document ends early: expected {expected}"))
                .at(self.location())
                .with_hint("the file is cut short; fetch or copy it again"),
            Some(_) => {
                let found = &self.buffer[self.at..];
                let found = found[..found.len().min(12)].escape_ascii().to_string();
                Error::malformed(format!("expected {expected}, found \"{found}\"")).at(self.location())
            }
        })
    }

    /// Bytes from here on as long as `of` holds, at most `most`; not consumed.
    fn run(&mut self, most: usize, of: impl Fn(u8) -> bool) -> Result<&[u8]> {
        let mut length = 0;
        loop {
            match self.buffer.get(self.at + length) {
                Some(&byte) if length < most && of(byte) => length += 1,
                Some(_) => break,
                None => {
                    if !self.fill()? {
                        break;
                    }
                }
            }
        }
        Ok(&self.buffer[self.at..self.at + length])
    }

    /// A number, or what stands for one.
    fn number(&mut self) -> Result<f64> {
        let first = self.peek()?;
        if !matches!(first, Some(b'-' | b'0'..=b'9' | b'N' | b'I' | b'n')) {
            return Err(self.wrong("a number")?);
        }
        let token = self.run(NUMBER_BYTES, |byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))?;
        let length = token.len();
        let value = match token {
            b"NaN" | b"null" | b"-NaN" => f64::NAN,
            b"Infinity" => f64::INFINITY,
            b"-Infinity" => f64::NEG_INFINITY,
            token if is_number(token) => fast_float2::parse(token).unwrap_or(f64::NAN),
            _ => return Err(self.wrong("a number")?),
        };
        if !value.is_finite() {
            let at = self.location();
            if self.cx.strictness() == Strictness::Strict {
                return Err(self.wrong("a finite number")?.with_hint("it is tolerated without --strict"));
            }
            self.specials += 1;
            self.first_special.get_or_insert(at);
        }
        self.at += length;
        Ok(value)
    }

    /// A row of 3, 4 or 6 numbers; returns how many.
    fn row(&mut self, row: &mut [f64; 6], number: u64) -> Result<usize> {
        self.depth_hint = false;
        let named = |scanner: &Self, error: Error| {
            let at = error.location().cloned().unwrap_or_else(|| scanner.location());
            error.at(Location { element: Some(format!("points[{number}]")), ..at })
        };
        self.expect(b'[', "a row of numbers").map_err(|error| named(self, error))?;
        let mut width = 0;
        let mut more = !self.take(b']')?;
        while more {
            let value = self.number().map_err(|error| named(self, error))?;
            if let Some(slot) = row.get_mut(width) {
                *slot = value;
            }
            width += 1;
            more = self.another(b']').map_err(|error| named(self, error))?;
        }
        if !matches!(width, 3 | 4 | 6) {
            self.depth_hint = true;
            let message = format!("a row has 3, 4 or 6 numbers, found {width}");
            return Err(Error::malformed(message).at(self.location_in(number)));
        }
        Ok(width)
    }

    fn string(&mut self) -> Result<String> {
        if self.peek()? != Some(b'"') {
            return Err(self.wrong("text in quotes")?);
        }
        let at = self.location();
        let most = usize::try_from(self.cx.limits().string_bytes).unwrap_or(usize::MAX);
        let mut length = 1;
        let mut escaped = false;
        loop {
            match self.buffer.get(self.at + length) {
                Some(b'"') if !escaped => break,
                Some(&byte) => {
                    escaped = byte == b'\\' && !escaped;
                    length += 1;
                    if length > most {
                        return Err(Error::limit("string_bytes", length as u64, most as u64).at(at));
                    }
                }
                None => {
                    if !self.fill()? {
                        let error = Error::malformed("the document ends early: expected the end of a text");
                        return Err(error.at(at).with_hint("the file is cut short; fetch or copy it again"));
                    }
                }
            }
        }
        self.cx.budget().take(length as u64)?;
        let text = serde_json::from_slice(&self.buffer[self.at..=self.at + length])
            .map_err(|error| Error::malformed(format!("a text that is no JSON text: {error}")).at(at))?;
        self.at += length + 1;
        Ok(text)
    }

    /// Any value. Non-finite numbers become null.
    fn value(&mut self, depth: u64) -> Result<Value> {
        self.cx.limits().check("depth", depth).map_err(|error| error.at(self.location()))?;
        self.cx.budget().take(VALUE_BYTES)?;
        Ok(match self.peek()? {
            Some(b'"') => Value::String(self.string()?),
            Some(b'[') => {
                self.at += 1;
                let mut values = Vec::new();
                let mut more = !self.take(b']')?;
                while more {
                    values.push(self.value(depth + 1)?);
                    more = self.another(b']')?;
                }
                values.into()
            }
            Some(b'{') => {
                self.at += 1;
                let mut object = Map::new();
                let mut more = !self.take(b'}')?;
                while more {
                    self.peek()?;
                    let key = self.string()?;
                    self.expect(b':', "a colon")?;
                    object.insert(key, self.value(depth + 1)?);
                    more = self.another(b'}')?;
                }
                object.into()
            }
            Some(b't' | b'f' | b'n') => {
                let word = self.run(8, |byte| byte.is_ascii_alphanumeric())?;
                let (value, length) = match word {
                    b"true" => (true.into(), 4),
                    b"false" => (false.into(), 5),
                    b"null" => (Value::Null, 4),
                    _ => return Err(self.wrong("a value")?),
                };
                self.at += length;
                value
            }
            _ => {
                // Whole numbers stay whole: 255 and 255.0 tell colour ranges apart.
                let digits = self.run(NUMBER_BYTES, |byte| byte.is_ascii_digit() || byte == b'-')?.to_vec();
                let before = self.offset();
                let value = self.number()?;
                let consumed = self.offset() - before == digits.len() as u64;
                let whole = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<i64>().ok());
                match whole.filter(|_| consumed && value.abs() < 9e15) {
                    Some(whole) => whole.into(),
                    None => serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number),
                }
            }
        })
    }
}

/// Whether a token is a number by the grammar of RFC 8259.
fn is_number(token: &[u8]) -> bool {
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let mut digits = || {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(count);
        rest = after;
        digits
    };
    let whole = digits();
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return false;
        }
        rest = &after[count..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
            !exponent.is_empty() && exponent.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

// ---- writing

/// Which attribute fills the columns after the position.
enum Columns {
    None,
    /// The attribute of this index, as it is.
    Category(usize),
    Color(usize, ColorScale),
}

/// How a colour attribute becomes 0 to 255.
#[derive(Clone, Copy)]
enum ColorScale {
    AsIs,
    /// 0 to 65535.
    Wide,
    /// 0 to 1, linear light, as scenes have it.
    Linear,
}

fn write(cloud: &mut PointCloud, unit: bool, out: &mut Output, cx: &Context) -> Result<()> {
    let columns = columns(cloud);
    cx.lose("crs", u64::from(cloud.crs.is_some()), "the coordinate reference system");
    let mut text = Vec::with_capacity(BUFFER + 1024);
    text.extend_from_slice(b"{\"type\":");
    push_text(&mut text, cloud.scene_type.as_deref().unwrap_or(DEFAULT_TYPE));
    text.extend_from_slice(b",\"vectors\":[");
    let mut dropped = 0u64;
    let mut gap = "";
    for vector in &cloud.vectors {
        if !vector.start.iter().chain(&vector.end).chain(vector.color.iter().flatten()).all(|v| v.is_finite()) {
            dropped += 1;
            continue;
        }
        text.extend_from_slice(gap.as_bytes());
        text.extend_from_slice(b"{\"start\":");
        push_row(&mut text, &vector.start);
        text.extend_from_slice(b",\"end\":");
        push_row(&mut text, &vector.end);
        push_color(&mut text, vector.color, unit);
        text.push(b'}');
        gap = ",";
        flush(&mut text, out)?;
    }
    cx.lose("vectors", dropped, "vectors that are not finite");
    text.extend_from_slice(b"],\"points\":[");
    let (mut lost, mut total, mut alpha) = (0u64, 0u64, 0u64);
    let mut gap = false;
    while let Some(chunk) = cloud.points.next_chunk()? {
        cx.checkpoint()?;
        total += chunk.positions().len() as u64;
        let mut row = [0.0; 6];
        for (point, position) in chunk.positions().iter().enumerate() {
            row[..3].copy_from_slice(position);
            let width = match columns {
                Columns::None => 3,
                Columns::Category(attribute) => {
                    row[3] = chunk.attributes()[attribute].get(point);
                    4
                }
                Columns::Color(attribute, scale) => {
                    let components = cloud.schema[attribute].components;
                    let data = &chunk.attributes()[attribute];
                    for channel in 0..3 {
                        row[3 + channel] = scaled(data.get(point * components + channel), scale);
                    }
                    if components > 3 {
                        let opaque = match scale {
                            ColorScale::AsIs => 255.0,
                            ColorScale::Wide => 65535.0,
                            ColorScale::Linear => 1.0,
                        };
                        alpha += u64::from(data.get(point * components + 3) != opaque);
                    }
                    6
                }
            };
            if !row[..width].iter().all(|value| value.is_finite()) {
                lost += 1;
                continue;
            }
            if gap {
                text.push(b',');
            }
            gap = true;
            push_row(&mut text, &row[..width]);
            flush(&mut text, out)?;
        }
    }
    cx.lose("non-finite", lost, "points that are not finite");
    cx.lose("alpha", alpha, "points that are not opaque");
    for (index, attribute) in cloud.schema.iter().enumerate() {
        let is_kept = match columns {
            Columns::None => false,
            Columns::Category(kept) | Columns::Color(kept, _) => index == kept,
        };
        // `color` is `rgb`, rounded.
        let is_same = attribute.name == "color" && matches!(columns, Columns::Color(..));
        if !is_kept && !is_same {
            let message = format!("point attribute {:?}", attribute.name);
            cx.lose(&format!("attribute-{}", attribute.name), total, message);
        }
    }
    text.extend_from_slice(b"],\"boxes\":[");
    let mut dropped = 0u64;
    let mut gap = "";
    for item in &cloud.boxes {
        let numbers = item.corners.iter().flatten().chain(item.color.iter().flatten()).chain(&item.score);
        if !numbers.into_iter().all(|value| value.is_finite()) {
            dropped += 1;
            continue;
        }
        text.extend_from_slice(gap.as_bytes());
        text.extend_from_slice(b"{\"corners\":[");
        for (number, corner) in item.corners.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            push_row(&mut text, corner);
        }
        text.push(b']');
        if let Some(label) = &item.label {
            text.extend_from_slice(b",\"label\":");
            push_text(&mut text, label);
        }
        push_color(&mut text, item.color, unit);
        if let Some(score) = item.score {
            text.extend_from_slice(b",\"score\":");
            push_float(&mut text, score);
        }
        text.push(b'}');
        gap = ",";
        flush(&mut text, out)?;
    }
    cx.lose("boxes", dropped, "boxes that are not finite");
    text.extend_from_slice(b"]}");
    out.write_all(&text)?;
    Ok(())
}

fn flush(text: &mut Vec<u8>, out: &mut Output) -> Result<()> {
    if text.len() >= BUFFER {
        out.write_all(text)?;
        text.clear();
    }
    Ok(())
}

/// Exact colours before rounded ones, colours before categories: a row has room for one of them.
fn columns(cloud: &PointCloud) -> Columns {
    let find = |name: &str, fits: fn(&AttributeSpec) -> bool| {
        cloud.schema.iter().position(|attribute| attribute.name == name && fits(attribute))
    };
    let has_color = find("color", |it| it.components >= 3);
    if let (Some(rgb), Some(_)) = (find("rgb", |it| it.components == 3 && it.scalar == ScalarType::F64), has_color) {
        return Columns::Color(rgb, ColorScale::AsIs);
    }
    if let Some(color) = has_color {
        let scale = match cloud.schema[color].scalar {
            ScalarType::F32 | ScalarType::F64 => ColorScale::Linear,
            ScalarType::U16 => ColorScale::Wide,
            _ => ColorScale::AsIs,
        };
        return Columns::Color(color, scale);
    }
    find("category", |it| it.components == 1).map_or(Columns::None, Columns::Category)
}

fn scaled(value: f64, scale: ColorScale) -> f64 {
    match scale {
        ColorScale::AsIs => value,
        ColorScale::Wide => value / 257.0,
        // Three decimals are more than any screen shows, and take the noise of single precision away.
        ColorScale::Linear => (linear_to_srgb(value) * 255_000.0).round() / 1000.0,
    }
}

fn push_text(text: &mut Vec<u8>, value: &str) {
    text.extend_from_slice(Value::from(value).to_string().as_bytes());
}

fn push_row(text: &mut Vec<u8>, values: &[f64]) {
    text.push(b'[');
    for (number, &value) in values.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        push_float(text, value);
    }
    text.push(b']');
}

/// `,"color":[…]`: floats for 0 to 1; for 0 to 255 whole numbers where they are whole, as in the SDK's documentation.
fn push_color(text: &mut Vec<u8>, color: Option<[f64; 3]>, unit: bool) {
    let Some(color) = color else { return };
    text.extend_from_slice(b",\"color\":");
    if unit {
        return push_row(text, &color);
    }
    text.push(b'[');
    for (number, value) in color.into_iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        let value = times_255(value);
        if value.fract() == 0.0 && value.abs() < 1e15 {
            let _ = write!(text, "{value:.0}");
        } else {
            push_float(text, value);
        }
    }
    text.push(b']');
}

/// The number that was divided by 255: of those that give `value`, the whole one, else the shortest.
fn times_255(value: f64) -> f64 {
    let product = value * 255.0;
    let candidates = [product.round(), product, product.next_up(), product.next_down()];
    let exact = candidates.into_iter().filter(|candidate| candidate / 255.0 == value);
    exact.min_by_key(|candidate| candidate.to_string().len()).unwrap_or(product)
}

/// A finite number in the style of the SDK (pydantic-core): the shortest digits that read back, always with a point or an
/// exponent; an exponent below 1e-5 and from 1e16 on.
fn push_float(text: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        let _ = write!(text, "{value:?}");
        return;
    }
    let start = text.len();
    if (1e-5..1e-4).contains(&size) {
        let _ = write!(text, "{value}");
        return;
    }
    let _ = write!(text, "{value:e}");
    if size >= 1.0
        && let Some(at) = text[start..].iter().position(|&byte| byte == b'e')
    {
        text.insert(start + at + 1, b'+');
    }
}
