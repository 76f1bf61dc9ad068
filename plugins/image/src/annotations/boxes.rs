//! `boxes.json`: boxes and masks in named layers, in the form that Weights & Biases takes for its images.
//!
//! There is no written specification but the documentation of the SDK: <https://docs.wandb.ai/guides/track/log/media/#image-overlays>.
//!
//! ```text
//! {"image": "a.png",                                          optional: which picture; without it the one of the file's name
//!  "boxes": {"predictions": {
//!      "box_data": [{"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
//!                    "class_id": 2, "box_caption": "a cat", "scores": {"acc": 0.9}},
//!                   {"position": {"middle": [120, 80], "width": 40, "height": 20}, "domain": "pixel", "class_id": 1}],
//!      "class_labels": {"1": "dog", "2": "cat"}}},
//!  "masks": {"ground_truth": {"mask_data": [[0, 1], [2, 1]], "class_labels": {…}}, "more": {"path": "a.mask.png"}}}
//! {"box_data": […], "class_labels": {…}}                      the file that the SDK stores: one layer, named by an option
//! ```
//!
//! Read: all of that; both forms of positions, in fractions of the picture (without `domain`) or pixels; masks as lists of rows, or as label images
//! beside the file. A box has both forms at times: the corners count (`boxes.json.position`, an error when strict). A class is a whole number, a score a number;
//! what is not is an error, lenient leaves the box or the mask out (`boxes.json.box`, `boxes.json.mask`). Other keys are left out (`boxes.json.key`).
//!
//! Written: every layer; positions as their source spells them, corners in pixels otherwise; masks as label images beside the
//! file, `NAME.LAYER.mask.png`, or as rows where nothing can stand beside it. Lost: the pixels of the picture (`boxes.json.pixels`),
//! polygons, runs and properties of boxes.
//!
//! Strictness: also the rows of [`validate`](mediary_core::record::annotations::validate).

use mediary_core::record::annotations::{Form, Position, Unit};
use mediary_core::record::{Annotations, Box2, Layer, Mask};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Output, Probe, Result,
    Source, register,
};
use serde_json::{Map, Value, json};

use super::json::{expected, float, integer, list, members, mentions, text};
use super::labels;
use super::sheet::{READ_LAYER, Sheet, layer_name, leave_out, make_room, reader};
use super::write::{Keeps, Scores, Subject, json as write_json, number, numbers};

pub(super) const INFO: FormatInfo = FormatInfo::new("boxes.json", "Boxes and masks as of W&B images", &[Kind::Image])
    .extensions(&["boxes.json", "boxes2d.json"])
    .media_types(&["application/json"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .siblings()
    .options(&[READ_LAYER])
    .spec("https://docs.wandb.ai/guides/track/log/media/#image-overlays");

struct Boxes;

register!(Boxes);

impl Format for Boxes {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        probed(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(reader::<Document>(source, cx))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

pub(super) fn probed(probe: &Probe<'_>) -> Confidence {
    if probe.text().first() != Some(&b'{') {
        return Confidence::No;
    }
    let has = |key: &str| mentions(&[probe.head, probe.tail], key);
    match () {
        () if has("box_data") && (has("position") || has("class_labels")) => {
            Confidence::yes(180, "a JSON object with box_data and positions or class_labels")
        }
        () if has("masks") && (has("mask_data") || has("path") && has("class_labels")) => {
            Confidence::yes(150, "a JSON object with masks and their data")
        }
        () if has("box_data") => Confidence::yes(60, "a JSON object with box_data"),
        () => Confidence::Unknown,
    }
}

pub(super) struct Document {
    picture: Option<String>,
    boxes: Map<String, Value>,
    masks: Map<String, Value>,
}

impl Sheet for Document {
    const ENDINGS: &'static [&'static str] = &["boxes.json", "boxes2d.json", "json"];

    fn parse(source: &Source, cx: &Context) -> Result<Self> {
        let mut object = super::json::object(source, cx)?;
        let mut document = Self { picture: None, boxes: Map::new(), masks: Map::new() };
        if object.contains_key("box_data") {
            // What the SDK stores is one layer, whose name is elsewhere.
            document.boxes.insert(layer_name(cx), object.into());
            return Ok(document);
        }
        let at = |name: &'static str| move |error: Error| error.at_element(name);
        for (key, value) in std::mem::take(&mut object) {
            match key.as_str() {
                "image" => document.picture = Some(text(value).map_err(at("image"))?),
                "boxes" => document.boxes = members(value).map_err(at("boxes"))?,
                "masks" => document.masks = members(value).map_err(at("masks"))?,
                _ => cx.warn_at("key", format!("the key {key:?} is left out"), Location::element(key)),
            }
        }
        if document.boxes.is_empty() && document.masks.is_empty() {
            return Err(Error::malformed("expected boxes or masks, found neither"));
        }
        Ok(document)
    }

    fn picture(&self) -> Option<&str> {
        self.picture.as_deref()
    }

    fn annotations(self, source: &Source, size: [u32; 2], cx: &Context) -> Result<(Annotations, Map<String, Value>)> {
        let mut annotations = Annotations::new();
        let mut elements = 0;
        for (name, value) in self.boxes {
            let mut layer = members(value).map_err(|error| error.at_element(format!("boxes.{name}")))?;
            let into: &mut Layer = annotations.entry(name.clone()).or_default();
            let labels = layer.shift_remove("class_labels");
            take_labels(labels, into).map_err(|error| error.at_element(format!("boxes.{name}.class_labels")))?;
            let boxes = list(layer.shift_remove("box_data").unwrap_or_default())
                .map_err(|error| error.at_element(format!("boxes.{name}.box_data")))?;
            elements += boxes.len() as u64;
            cx.limits().check("elements", elements)?;
            make_room(boxes.len(), cx)?;
            for (index, value) in boxes.into_iter().enumerate() {
                if index % 1024 == 0 {
                    cx.checkpoint()?;
                }
                let place = || format!("{name}.boxes[{index}]");
                match one_box(value, size, &place, cx)? {
                    Ok(one) => into.boxes.push(one),
                    Err(error) => leave_out("box", error.at_element(place()), cx)?,
                }
            }
        }
        for (name, value) in self.masks {
            let mut layer = members(value).map_err(|error| error.at_element(format!("masks.{name}")))?;
            let into: &mut Layer = annotations.entry(name.clone()).or_default();
            let labels = layer.shift_remove("class_labels");
            take_labels(labels, into).map_err(|error| error.at_element(format!("masks.{name}.class_labels")))?;
            let read = match (layer.shift_remove("mask_data"), layer.shift_remove("path")) {
                (Some(rows), _) => {
                    rows_of(rows, cx).map_err(|(part, error)| error.at_element(format!("masks.{name}.mask_data{part}")))
                }
                (None, Some(path)) => text(path)
                    .and_then(|path| source.sibling(&path, cx))
                    .and_then(|mask| labels::read(&mask, cx))
                    .map(|(mask, names)| {
                        for (id, label) in names {
                            into.class_labels.entry(id).or_insert(label);
                        }
                        mask
                    }),
                (None, None) => Err(Error::malformed("expected mask_data or path, found neither")),
            };
            match read {
                Ok(mask) => into.mask = Some(mask),
                Err(error) => {
                    let placed = error.location().is_some();
                    leave_out("mask", if placed { error } else { error.at_element(format!("masks.{name}")) }, cx)?;
                }
            }
        }
        Ok((annotations, Map::new()))
    }
}

/// Names of classes by number, which JSON spells as text.
fn take_labels(value: Option<Value>, layer: &mut Layer) -> Result<()> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(()) };
    for (id, name) in members(value)? {
        let id = id
            .trim()
            .parse::<i64>()
            .map_err(|_| Error::malformed(format!("expected a number as class, found {id:?}")))?;
        layer.class_labels.insert(id, text(name)?);
    }
    Ok(())
}

/// A box, or what is wrong with it.
fn one_box(value: Value, size: [u32; 2], place: &dyn Fn() -> String, cx: &Context) -> Result<Result<Box2>> {
    let mut tolerated = Ok(());
    let read = || -> Result<Box2> {
        let mut value = members(value)?;
        let position = members(value.shift_remove("position").unwrap_or_default())?;
        let unit = match value.shift_remove("domain") {
            None | Some(Value::Null) => Unit::Fraction,
            Some(Value::String(domain)) if domain == "pixel" => Unit::Pixel,
            Some(other) => return Err(expected("the domain \"pixel\" or none", &other)),
        };
        let corners = ["minX", "minY", "maxX", "maxY"];
        let has_corners = corners.iter().all(|key| position.contains_key(*key));
        let has_middle = position.contains_key("middle");
        if has_corners && has_middle {
            let text = "the position has corners and a middle: the corners count";
            tolerated = cx.tolerate("position", text, Location::element(place()));
        }
        let position = if has_corners {
            let mut values = [0.0; 4];
            for (value, key) in values.iter_mut().zip(corners) {
                *value = float(&position[key])?;
            }
            Position { form: Form::Corners, unit, values }
        } else if has_middle {
            let [x, y] = super::json::point(&position["middle"])?;
            let side = |key: &str| float(position.get(key).unwrap_or(&Value::Null));
            Position { form: Form::Middle, unit, values: [x, y, side("width")?, side("height")?] }
        } else {
            return Err(expected("a position of minX, minY, maxX, maxY or of middle, width, height", &position.into()));
        };
        let class = integer(&value.shift_remove("class_id").unwrap_or_default())
            .map_err(|error| error.saying_of("class_id"))?;
        let mut one = Box2::at(position, class, size[0], size[1]);
        one.caption = match value.shift_remove("box_caption") {
            None | Some(Value::Null) => None,
            Some(caption) => Some(text(caption)?),
        };
        if let Some(scores) = value.shift_remove("scores").filter(|scores| !scores.is_null()) {
            for (name, score) in members(scores)? {
                let score = float(&score).map_err(|error| error.saying_of(&format!("scores.{name}")))?;
                one.scores.insert(name, score);
            }
        }
        if let Some(key) = value.keys().next() {
            cx.warn_at("key", format!("the key {key:?} of a box is left out"), Location::element(place()));
        }
        Ok(one)
    };
    let read = read();
    tolerated?;
    Ok(read)
}

/// Says which member an error is of.
trait SayingOf {
    fn saying_of(self, member: &str) -> Self;
}

impl SayingOf for Error {
    fn saying_of(self, member: &str) -> Self {
        let message = format!("{member}: {}", self.message());
        self.saying(message)
    }
}

/// A mask as rows of classes, or which part of it is wrong.
fn rows_of(value: Value, cx: &Context) -> Result<Mask, (String, Error)> {
    let here = |error| (String::new(), error);
    let rows = list(value).map_err(here)?;
    let width = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
    let count = rows.len() as u64 * width as u64;
    cx.limits().check("pixels", count).map_err(here)?;
    cx.budget().take(count.saturating_mul(2)).map_err(here)?;
    let mut classes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let height = rows.len();
    for (y, row) in rows.into_iter().enumerate() {
        cx.checkpoint().map_err(here)?;
        let row = list(row).map_err(|error| (format!("[{y}]"), error))?;
        if row.len() != width {
            let error = Error::malformed(format!("expected rows of {width} classes, found {}", row.len()));
            return Err((format!("[{y}]"), error));
        }
        for (x, class) in row.iter().enumerate() {
            let whole = integer(class).ok().and_then(|class| u16::try_from(class).ok());
            classes.push(whole.ok_or_else(|| (format!("[{y}][{x}]"), expected("a class from 0 to 65535", class)))?);
        }
    }
    Mask::new(width as u32, height as u32, classes).map_err(here)
}

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let subject = Subject::of(record, out, cx)?;
    let (mut boxes, mut masks) = (Map::new(), Map::new());
    for (index, (name, layer)) in record.annotations.iter().enumerate() {
        let keeps =
            Keeps { captions: true, scores: Scores::All, mask: true, properties: Some(&[]), ..Keeps::default() };
        keeps.lose(layer, cx);
        let labels: Map<String, Value> =
            layer.class_labels.iter().map(|(id, name)| (id.to_string(), name.as_str().into())).collect();
        if !layer.boxes.is_empty() || layer.mask.is_none() {
            let data: Vec<Value> = layer.boxes.iter().map(|one| box_data(one, &subject)).collect();
            boxes.insert(name.clone(), json!({"box_data": data, "class_labels": labels}));
        }
        let Some(mask) = &layer.mask else { continue };
        let data = if out.has_siblings() {
            let plain = |letter: char| if letter.is_alphanumeric() || "-_".contains(letter) { letter } else { '_' };
            let file = format!("{}.{index}-{}.mask.png", out.stem(), name.chars().map(plain).collect::<String>());
            labels::write_png(out.sibling(&file)?, mask, &layer.class_labels, false)?;
            json!({"path": file, "class_labels": labels})
        } else {
            let rows: Vec<&[u16]> = mask.classes().chunks(mask.width.max(1) as usize).collect();
            json!({"mask_data": rows, "class_labels": labels})
        };
        masks.insert(name.clone(), data);
    }
    let mut document = Map::new();
    document.insert("image".into(), subject.name.into());
    document.insert("boxes".into(), boxes.into());
    document.insert("masks".into(), masks.into());
    write_json(out, &document)
}

fn box_data(one: &Box2, subject: &Subject) -> Value {
    let (form, unit) = match one.position {
        Some(Position { form: Form::Middle, unit, .. }) => (Form::Middle, unit),
        Some(Position { form: Form::Corners, unit, .. }) => (Form::Corners, unit),
        // Pixels that are whole stay so.
        _ => (Form::Corners, Unit::Pixel),
    };
    let values = one.spelled(form, unit, subject.width, subject.height);
    let [a, b, c, d] = values.map(number);
    let position = match form {
        Form::Middle => json!({"middle": numbers(&values[..2]), "width": c, "height": d}),
        _ => json!({"minX": a, "maxX": c, "minY": b, "maxY": d}),
    };
    let mut data = Map::new();
    data.insert("position".into(), position);
    if unit == Unit::Pixel {
        data.insert("domain".into(), "pixel".into());
    }
    data.insert("class_id".into(), one.class_id.into());
    if let Some(caption) = &one.caption {
        data.insert("box_caption".into(), caption.as_str().into());
    }
    if !one.scores.is_empty() {
        let scores: Map<String, Value> =
            one.scores.iter().map(|(name, &score)| (name.clone(), number(score))).collect();
        data.insert("scores".into(), scores.into());
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use mediary_core::{Output, Registry, WriteOptions};

    use crate::annotations::tests::{again, layer, read};

    #[test]
    fn both_positions_and_both_domains() {
        let record = read("boxes.json/scene.boxes.json");
        let found = layer(&record, "predictions");
        // 0.1, 0.3, 0.2, 0.4 of 40 x 30; (15, 20) with 5 x 10 around it.
        assert_eq!(found.boxes[0].pixels, [4.0, 9.0, 8.0, 12.0]);
        assert_eq!(found.boxes[1].pixels, [12.5, 15.0, 17.5, 25.0]);
        assert_eq!((found.boxes[0].caption.as_deref(), found.boxes[0].scores["loss"]), (Some("minMax(pixel)"), 1.2));
        assert_eq!((found.label(2).as_str(), found.label(9).as_str()), ("road", "class_9"));
        let mask = found.mask.as_ref().unwrap();
        assert_eq!((mask.width, mask.height, mask.classes()[19], mask.classes()[20]), (40, 30, 0, 1));
        assert_eq!(record.source.siblings.len(), 2);
    }

    #[test]
    fn the_stored_form_has_one_layer() {
        let record = read("boxes.json/stored.boxes2d.json");
        assert_eq!(layer(&record, "ground_truth").boxes[0].pixels, [4.0, 9.0, 8.0, 12.0]);
    }

    #[test]
    fn everything_is_written_again() {
        let mut record = read("boxes.json/scene.boxes.json");
        let back = again(&mut record, "boxes.json", &[], "boxes.json/scene.png");
        assert_eq!(back.annotations, record.annotations);
        // To where nothing can stand beside it.
        let mut out = Output::spool().unwrap();
        Registry::builtin().write(&mut record, "boxes.json", &mut out, &WriteOptions::default()).unwrap();
        let mut bytes = Vec::new();
        out.copy_to(&mut bytes).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(document["masks"]["predictions"]["mask_data"][29][20], 1);
        assert_eq!(document["boxes"]["ground_truth"]["box_data"][0]["position"]["width"], 0.333_333_333_333_333_3);
    }
}
