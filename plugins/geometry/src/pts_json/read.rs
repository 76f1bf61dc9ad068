//! Reading: a survey of the whole document, then the points as a stream: from memory where they are few, from the document again
//! where they are many.

use std::collections::VecDeque;

use mediary_core::record::facts::PointCloudFacts;
use mediary_core::record::point_cloud::{Box3, Vector3};
use mediary_core::record::{AttributeData, AttributeSpec, Bounds, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{
    Budget, Context, Error, Facts, FormatReader, Header, Location, MediaRecord, Result, Severity, Source, Strictness,
};
use serde_json::{Map, Value};

use super::scan::{Place, Scanner};
use super::{BYTE_RANGE, COLOR_RANGE, UNIT_RANGE, WHOLE_NUMBERS};

/// Points in one chunk.
pub(super) const CHUNK: usize = 1 << 15;
/// Numbers that the survey keeps: 32 MiB.
const MOST_KEPT: usize = 1 << 22;
/// Categories the viewer has colours for.
const CATEGORIES: std::ops::RangeInclusive<f64> = 1.0..=14.0;

pub(super) struct Reader {
    source: Source,
    cx: Context,
    survey: Option<Survey>,
    header: Option<Header>,
}

impl Reader {
    pub(super) fn new(source: &Source, cx: &Context) -> Self {
        Self { source: source.clone(), cx: cx.clone(), survey: None, header: None }
    }
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
            bounds: survey.tally.bounds.finish(),
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
                rows: match survey.kept {
                    Some(kept) => Rows::Kept { kept, at: 0 },
                    None => Rows::Again {
                        scanner: Scanner::at(&self.source, &self.cx, place),
                        number: 0,
                        ahead: VecDeque::new(),
                        at: 0,
                    },
                },
                left: survey.points,
                width: survey.width,
                exact_colors: survey.tally.exact_colors,
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
    /// The rows end to end, unless they are too many.
    kept: Option<Kept>,
    tally: Tally,
    boxes: Vec<Box3>,
    vectors: Vec<Vector3>,
    scene_type: Option<String>,
    properties: Map<String, Value>,
}

/// What is counted of rows.
struct Tally {
    bounds: Bounds,
    /// Some colour is no whole number from 0 to 255.
    exact_colors: bool,
    categories_outside: u64,
    colors_outside: u64,
}

impl Tally {
    const NONE: Self = Self { bounds: Bounds::EMPTY, exact_colors: false, categories_outside: 0, colors_outside: 0 };

    fn of(numbers: &[f64], width: usize) -> Self {
        let mut tally = Self::NONE;
        numbers.chunks_exact(width).for_each(|row| tally.add(row));
        tally
    }

    fn add(&mut self, row: &[f64]) {
        self.bounds.include([row[0], row[1], row[2]]);
        match row.len() {
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
    }

    fn join(&mut self, other: &Self) {
        self.bounds.include(other.bounds.min);
        self.bounds.include(other.bounds.max);
        self.exact_colors |= other.exact_colors;
        self.categories_outside += other.categories_outside;
        self.colors_outside += other.colors_outside;
    }
}

/// Numbers that were read, paid for.
struct Kept {
    numbers: Vec<f64>,
    budget: Budget,
    charged: u64,
}

impl Kept {
    /// `false` when there is no place for more.
    fn add(&mut self, numbers: &[f64]) -> bool {
        if self.numbers.len() + numbers.len() > self.numbers.capacity() {
            let more = self.numbers.capacity().max(CHUNK).max(numbers.len());
            let bytes = (more * size_of::<f64>()) as u64;
            if self.numbers.len() + more > MOST_KEPT || self.budget.take(bytes).is_err() {
                return false;
            }
            self.charged += bytes;
            self.numbers.reserve_exact(more);
        }
        self.numbers.extend_from_slice(numbers);
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

impl Survey {
    fn take(source: &Source, cx: &Context) -> Result<Self> {
        let mut scanner = Scanner::new(source, cx);
        let mut survey = Self {
            points: 0,
            width: 0,
            points_at: None,
            kept: Some(Kept { numbers: Vec::new(), budget: cx.budget().clone(), charged: 0 }),
            tally: Tally::NONE,
            boxes: Vec::new(),
            vectors: Vec::new(),
            scene_type: None,
            properties: Map::new(),
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
        cx.report_times(Severity::Warning, "non-finite-token", message, first, scanner.specials);
        let strict = cx.strictness() == Strictness::Strict;
        for (code, message, count) in [
            ("category", "categories that are no whole numbers from 1 to 14", survey.tally.categories_outside),
            ("color", "points with colours outside 0 to 255", survey.tally.colors_outside),
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
            6 if self.tally.exact_colors => {
                vec![AttributeSpec::new("color", ScalarType::U8, 3), AttributeSpec::new("rgb", ScalarType::F64, 3)]
            }
            6 => vec![AttributeSpec::new("color", ScalarType::U8, 3)],
            _ => Vec::new(),
        }
    }

    fn rows(&mut self, scanner: &mut Scanner, cx: &Context) -> Result<()> {
        scanner.dotted = false;
        self.all_rows(scanner, cx)?;
        if self.points > 0 && !scanner.dotted {
            self.properties.insert(WHOLE_NUMBERS.into(), true.into());
        }
        Ok(())
    }

    fn all_rows(&mut self, scanner: &mut Scanner, cx: &Context) -> Result<()> {
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
            self.add(&row[..width], cx)?;
            self.tally.add(&row[..width]);
            if !scanner.another(b']')? {
                return Ok(());
            }
            for (numbers, tally) in scanner.plain_rows(width, |numbers| Tally::of(numbers, width))? {
                self.add(&numbers, cx)?;
                self.tally.join(&tally);
            }
        }
    }

    /// Counts rows, end to end, and keeps them while there is place.
    fn add(&mut self, numbers: &[f64], cx: &Context) -> Result<()> {
        let points = self.points + (numbers.len() / self.width) as u64;
        // The first beyond the limit, as when they come one by one.
        let checked = points.min(cx.limits().elements.saturating_add(1));
        cx.limits().check("elements", checked)?;
        self.points = points;
        if self.kept.as_mut().is_some_and(|kept| !kept.add(numbers)) {
            self.kept = None;
        }
        Ok(())
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

/// Reads an item and counts the keys that it leaves out.
type ReadItem<T> = fn(&Map<String, Value>) -> Result<(Parsed<T>, usize)>;

fn read_list<T>(
    scanner: &mut Scanner,
    cx: &Context,
    what: &str,
    list: &mut Vec<Parsed<T>>,
    read: ReadItem<T>,
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

/// The points, chunk by chunk.
struct Points {
    rows: Rows,
    left: u64,
    width: usize,
    exact_colors: bool,
    schema: Vec<AttributeSpec>,
}

/// Where rows come from.
enum Rows {
    Kept {
        kept: Kept,
        at: usize,
    },
    Again {
        scanner: Scanner,
        number: u64,
        /// Numbers of rows that were read together, and how many of the first list are used up.
        ahead: VecDeque<Vec<f64>>,
        at: usize,
    },
}

impl Rows {
    /// The next row, behind which so many are left.
    fn next(&mut self, row: &mut [f64; 6], width: usize, left: u64) -> Result<()> {
        match self {
            Self::Kept { kept, at } => {
                row[..width].copy_from_slice(&kept.numbers[*at..*at + width]);
                *at += width;
            }
            Self::Again { scanner, number, ahead, at } => {
                if ahead.is_empty() && left > 0 {
                    ahead.extend(scanner.plain_rows(width, |_| ())?.into_iter().map(|(numbers, ())| numbers));
                    ahead.retain(|numbers| !numbers.is_empty());
                }
                if let Some(numbers) = ahead.front() {
                    row[..width].copy_from_slice(&numbers[*at..*at + width]);
                    *number += 1;
                    *at += width;
                    if *at == numbers.len() {
                        ahead.pop_front();
                        *at = 0;
                    }
                    return Ok(());
                }
                if scanner.row(row, *number)? != width {
                    return Err(Error::malformed("the file changed while it was read").at(scanner.location()));
                }
                *number += 1;
                if left > 0 {
                    scanner.expect(b',', "another point")?;
                }
            }
        }
        Ok(())
    }
}

impl Points {
    fn chunk(&mut self) -> Result<PointChunk> {
        let count = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut positions = Vec::with_capacity(count);
        let (mut categories, mut bytes, mut exact) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = [0.0; 6];
        for _ in 0..count {
            self.left -= 1;
            self.rows.next(&mut row, self.width, self.left)?;
            positions.push([row[0], row[1], row[2]]);
            match self.width {
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
            (4, _) => vec![AttributeData::F64(categories.into())],
            (6, false) => vec![AttributeData::U8(bytes.into())],
            (6, true) => vec![AttributeData::U8(bytes.into()), AttributeData::F64(exact.into())],
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
