//! YOLO, the lines of numbers that detectors of this name are trained on and write.
//!
//! Specification: <https://docs.ultralytics.com/datasets/detect/>, <https://docs.ultralytics.com/datasets/segment/>.
//!
//! ```text
//! class middle_x middle_y width height                 a box, in fractions of the picture
//! class middle_x middle_y width height confidence      a box that was predicted
//! class x y x y x y …                                  an outline of three corners or more, in fractions
//! class x y x y x y … confidence                       an outline that was predicted
//! ```
//!
//! Read: all of these, one a line, as boxes of one layer (`layer`); the confidence is the score `score`. Names of classes are those of
//! `classes.txt`, `obj.names` or `data.yaml` beside the file, the first there is: a line each, or the list or map `names`. The picture
//! has the name of the file. Key points look like outlines, and are taken for such.
//!
//! Nothing but numbers is in such a file, so it is recognised with little confidence: points of an `.xyz` look the same. `--from yolo` says so, and the ending `yolo.txt`.
//!
//! Written: boxes; outlines instead where every box of the layer has one, and one alone (`outlines`). The last bit of fractions that were
//! read is kept. Classes count from 0 here: where the labels of the layer do not, classes are numbered by
//! their order among these (`yolo.class-ids`). `classes` writes the names beside, to `classes.txt`. Lost: the pixels of the picture (`yolo.pixels`), names of classes
//! without that option, captions, scores but `score`, polygons, runs, masks and properties.
//!
//! Strictness: a line that cannot be read is an error, lenient leaves it out (`yolo.line`); and the rows of
//! [`validate`](mediary_core::record::annotations::validate).

mod names;

use std::collections::BTreeMap;
use std::io::Write;

use mediary_core::record::annotations::{Form, Position, Unit, fraction, pixel};
use mediary_core::record::{Annotations, Box2, Layer};
use mediary_core::{
    Confidence, Context, Error, ErrorKind, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, OptionSpec,
    OptionType, Output, Probe, Result, Source, register,
};
use serde_json::{Map, Value};

use super::sheet::{READ_LAYER, Sheet, WRITE_LAYER, layer_name, leave_out, make_room, reader};
use super::write::{Keeps, Scores, Subject, layer};

/// Bytes that a parsed line takes for each of its text.
const GROWTH: u64 = 24;

/// Numbers of a box.
const BOX: usize = 4;

pub(super) const INFO: FormatInfo = FormatInfo::new("yolo", "YOLO labels", &[Kind::Image])
    .extensions(&["yolo.txt"])
    .media_types(&["text/plain"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .siblings()
    .options(&[
        READ_LAYER,
        WRITE_LAYER,
        OptionSpec::write(
            "outlines",
            OptionType::Choice(&["auto", "true", "false"]),
            "auto",
            "lines of outlines instead of boxes; `auto` where every box has one outline",
        ),
        OptionSpec::write("classes", OptionType::Bool, "false", "also write classes.txt, the names of classes"),
    ])
    .spec("https://docs.ultralytics.com/datasets/detect/");

struct Yolo;

register!(Yolo);

impl Format for Yolo {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        probed(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(reader::<Lines>(source, cx))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

/// Every line is one that YOLO writes, to the range of its numbers. The score is that of rows of numbers, which these are too.
pub(super) fn probed(probe: &Probe<'_>) -> Confidence {
    if !probe.looks_like_text() {
        return Confidence::No;
    }
    let mut lines = 0;
    for line in probe.lines().filter(|line| !line.trim_ascii().is_empty()) {
        let fits = std::str::from_utf8(line).is_ok_and(|line| {
            let whole = line
                .split_ascii_whitespace()
                .next()
                .is_some_and(|first| first.bytes().all(|byte| byte.is_ascii_digit()));
            let inside = |numbers: &[f64]| numbers.iter().all(|value| (0.0..=1.0).contains(value));
            whole && parse(line).is_ok_and(|(_, numbers)| inside(&numbers))
        });
        if !fits {
            return Confidence::No;
        }
        lines += 1;
    }
    match lines {
        0 => Confidence::No,
        _ => Confidence::yes(50, "lines of a class and fractions"),
    }
}

/// The class and the other numbers of a line.
type Line = (i64, Vec<f64>);

fn parse(line: &str) -> Result<Line> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    // Tools that keep rows in arrays of floats write `2.0`.
    let class = first.parse::<f64>().ok().filter(|class| class.fract() == 0.0 && class.abs() < 9e15);
    let Some(class) = class else {
        return Err(Error::malformed(format!("expected a whole number as class, found {first:?}")));
    };
    let number =
        |word: &str| word.parse::<f64>().map_err(|_| Error::malformed(format!("expected a number, found {word:?}")));
    let numbers = words.map(number).collect::<Result<Vec<_>>>()?;
    if numbers.len() < BOX {
        let found = numbers.len();
        return Err(Error::malformed(format!(
            "expected a box of 4 numbers or an outline behind the class, found {found}"
        )));
    }
    Ok((class as i64, numbers))
}

/// Each line with its number.
pub(super) struct Lines(Vec<(u64, Result<Line>)>);

impl Sheet for Lines {
    const ENDINGS: &'static [&'static str] = &["yolo.txt", "txt"];

    fn parse(source: &Source, cx: &Context) -> Result<Self> {
        cx.budget().take(source.len().saturating_mul(GROWTH))?;
        let bytes = source.bytes(cx)?;
        let text = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes)).map_err(|error| {
            Error::malformed("expected lines of numbers, found bytes that are no text")
                .at_byte(error.valid_up_to() as u64)
        })?;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            if number % 1024 == 0 {
                cx.checkpoint()?;
            }
            cx.limits().check("elements", lines.len() as u64 + 1)?;
            lines.push((number, self::parse(line)));
        }
        Ok(Self(lines))
    }

    fn annotations(self, source: &Source, size: [u32; 2], cx: &Context) -> Result<(Annotations, Map<String, Value>)> {
        let mut layer = Layer { class_labels: labels(source, cx)?, ..Layer::default() };
        make_room(self.0.len(), cx)?;
        for (number, line) in self.0 {
            match line.and_then(|(class, numbers)| one_line(class, &numbers, size)) {
                Ok(one) => layer.boxes.push(one),
                Err(error) => leave_out("line", error.at_line(number), cx)?,
            }
        }
        Ok(([(layer_name(cx), layer)].into(), Map::new()))
    }
}

fn one_line(class: i64, numbers: &[f64], [width, height]: [u32; 2]) -> Result<Box2> {
    if let Some(bad) = numbers.iter().find(|value| !value.is_finite()) {
        return Err(Error::malformed(format!("expected finite numbers, found {bad}")));
    }
    let (corners, rest) = numbers.as_chunks::<2>();
    let mut one = if let Some(&values) = numbers.first_chunk::<BOX>().filter(|_| corners.len() == 2) {
        Box2::at(Position { form: Form::Middle, unit: Unit::Fraction, values }, class, width, height)
    } else {
        let polygon: Vec<_> = corners.iter().map(|&[x, y]| [pixel(x, width), pixel(y, height)]).collect();
        Box2 { pixels: Box2::around(&polygon), class_id: class, polygons: vec![polygon], ..Box2::default() }
    };
    one.scores.extend(rest.first().map(|&score| ("score".to_owned(), score)));
    Ok(one)
}

/// Names of classes beside the file.
fn labels(source: &Source, cx: &Context) -> Result<BTreeMap<i64, String>> {
    for name in ["classes.txt", "obj.names", "data.yaml"] {
        let file = match source.sibling(name, cx) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(_) => continue,
        };
        let bytes = file.bytes(cx)?;
        let text = String::from_utf8_lossy(&bytes);
        let found = if name == "data.yaml" { names::of_yaml(&text) } else { Some(names::of_lines(&text)) };
        match found {
            Some(labels) => return Ok(labels),
            None => {
                cx.warn_at("names", format!("expected names of classes in {name}, found none"), Location::element(name))
            }
        }
    }
    Ok(BTreeMap::new())
}

/// The number of each class in the file: its own, or its place among all.
fn numbering(layer: &Layer, cx: &Context) -> BTreeMap<i64, i64> {
    let mut classes: Vec<i64> =
        layer.class_labels.keys().copied().chain(layer.boxes.iter().map(|one| one.class_id)).collect();
    classes.sort_unstable();
    classes.dedup();
    let counts_from_0 = layer.class_labels.keys().enumerate().all(|(place, &id)| place as i64 == id);
    let fits = counts_from_0 && classes.iter().all(|&class| class >= 0);
    let numbers = classes.into_iter().zip(0..).map(|(class, place)| (class, if fits { class } else { place }));
    let numbers: BTreeMap<_, _> = numbers.collect();
    let moved: Vec<_> = numbers.iter().filter(|(class, number)| class != number).collect();
    let first = moved
        .first()
        .map_or_else(String::new, |(class, number)| format!(", the first is {class}, which becomes {number}"));
    cx.lose("class-ids", moved.len() as u64, format!("ids of classes: they are numbered from 0{first}"));
    numbers
}

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let subject = Subject::of(record, out, cx)?;
    let (width, height) = (subject.width, subject.height);
    let (_, layer) = layer(record, cx)?;
    let outlines = match cx.options().text("outlines") {
        "true" => true,
        "false" => false,
        _ => !layer.boxes.is_empty() && layer.boxes.iter().all(|one| one.polygons.len() == 1),
    };
    let keeps = Keeps { scores: Scores::One("score"), polygons: outlines, properties: Some(&[]), ..Keeps::default() };
    keeps.lose(layer, cx);
    let numbers = numbering(layer, cx);
    if cx.options().bool("classes") && !layer.class_labels.is_empty() {
        let mut names = String::new();
        for &class in numbers.keys() {
            names += &format!("{}\n", layer.label(class).replace(['\n', '\r'], " "));
        }
        out.sibling("classes.txt")?.write_all(names.as_bytes())?;
    } else {
        cx.lose("labels", layer.class_labels.len() as u64, "names of classes: -o yolo.classes=true writes them beside");
    }
    if layer.boxes.is_empty() {
        // A picture of nothing: an empty line, because an empty file is none.
        out.write_all(b"\n")?;
    }
    let whole = |polygon: &&Vec<[f64; 2]>| polygon.len() > 2;
    for (index, one) in layer.boxes.iter().enumerate() {
        if index % 1024 == 0 {
            cx.checkpoint()?;
        }
        let largest = one.polygons.iter().filter(whole).max_by_key(|polygon| polygon.len()).filter(|_| outlines);
        let values: Vec<f64> = match largest {
            Some(polygon) => polygon.iter().flat_map(|&[x, y]| [fraction(x, width), fraction(y, height)]).collect(),
            None => one.spelled(Form::Middle, Unit::Fraction, width, height).into(),
        };
        if outlines {
            let others = one.polygons.len().saturating_sub(largest.is_some().into());
            cx.lose("polygons", others as u64, "outlines after the first of an object");
            cx.lose("outlines", largest.is_none().into(), "lines of objects without an outline, which are boxes");
        }
        let score = one.scores.get("score");
        write!(out, "{}", numbers[&one.class_id])?;
        values.iter().chain(score).try_for_each(|value| write!(out, " {value}"))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
