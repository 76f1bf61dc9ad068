//! LabelMe, the JSON of the annotation tool labelme for one picture.
//!
//! Specification: <https://github.com/wkentaro/labelme>, by the code of its class `LabelFile`.
//!
//! | key | holds |
//! |---|---|
//! | `imagePath`, `imageData` | the picture: its path from the file on, and its bytes in base64, or null |
//! | `imageHeight`, `imageWidth`, `flags`, `version` | |
//! | `shapes` | of each object `label`, `shape_type`, `points` (`[[x, y], …]` in pixels), `group_id`, `description`, `flags`, `mask` |
//! | `shape_type` | `polygon`, `rectangle` (two corners), `circle` (centre and a point on it), `point`, `points`, `line`, `linestrip`, `mask` |
//!
//! Read: every shape is a box of one layer (`layer`), the smallest around it. Polygons stay, a circle is a polygon of 64 corners, a mask
//! (a PNG in base64 inside of its two corners) the pixels of its object. Of shapes without an inside `shape_type` and `points` are
//! properties of the box, of a circle `shape_type`; so are `group_id`, `flags` and keys that are not listed. `description` is the caption, `score` a score.
//! Labels have class ids from 1 on, in the order in which they come. The picture is the one beside the file; `imageData` is
//! taken where there is none, or what is there is no picture (`labelme.picture`): some files name themselves.
//!
//! Written: rectangles, polygons (several of one object have a `group_id`), masks, and what properties tell of the other shapes.
//! `imageData` is null. Lost: the pixels of the picture (`labelme.pixels`), masks of layers, scores but `score`, ids of classes.
//!
//! Strictness: a shape that cannot be read is an error, lenient leaves it out (`labelme.shape`); a size other than the
//! picture's is a warning (`labelme.size`), an error when strict; and the rows of
//! [`validate`](mediary_core::record::annotations::validate).

use mediary_core::record::annotations::Form;
use mediary_core::record::annotations::{Runs, Unit};
use mediary_core::record::{Annotations, Box2, Layer, Mask};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe, Result, Source,
    register,
};
use serde_json::{Map, Value, json};

use super::json::{expected, float, integer, list, members, mentions, point, text};
use super::sheet::{Names, READ_LAYER, Sheet, WRITE_LAYER, check_size, layer_name, leave_out, make_room, reader};
use super::write::{Keeps, Scores, Subject, json as write_json, layer, number, numbers};
use super::{base64, labels};

/// Corners of a circle.
const CORNERS: usize = 64;

pub(super) const INFO: FormatInfo = FormatInfo::new("labelme", "LabelMe annotations", &[Kind::Image])
    .extensions(&["labelme.json"])
    .media_types(&["application/json"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .siblings()
    .options(&[READ_LAYER, WRITE_LAYER])
    .spec("https://github.com/wkentaro/labelme");

struct LabelMe;

register!(LabelMe);

impl Format for LabelMe {
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

/// Keys may stand behind an embedded picture.
pub(super) fn probed(probe: &Probe<'_>) -> Confidence {
    if probe.text().first() != Some(&b'{') {
        return Confidence::No;
    }
    let has = |key: &&str| mentions(&[probe.head, probe.tail], key);
    let keys = ["shapes", "imagePath", "imageData", "imageHeight", "shape_type"];
    match keys.iter().filter(|key| has(key)).count() {
        4.. => Confidence::yes(200, "a JSON object with keys of LabelMe"),
        3 => Confidence::yes(120, "a JSON object with some keys of LabelMe"),
        _ => Confidence::Unknown,
    }
}

pub(super) struct Document {
    picture: Option<String>,
    data: Option<String>,
    size: [u32; 2],
    shapes: Vec<Value>,
    rest: Map<String, Value>,
}

impl Sheet for Document {
    const ENDINGS: &'static [&'static str] = &["labelme.json", "json"];

    fn parse(source: &Source, cx: &Context) -> Result<Self> {
        let mut rest = super::json::object(source, cx)?;
        let mut take = |key: &'static str| rest.shift_remove(key).filter(|value| !value.is_null());
        let at = |name: &'static str| move |error: Error| error.at_element(name);
        let side = |value: Option<Value>| -> Result<u32> {
            let Some(value) = value else { return Ok(0) };
            u32::try_from(integer(&value)?).map_err(|_| expected("a number of pixels", &value))
        };
        let size = [
            side(take("imageWidth")).map_err(at("imageWidth"))?,
            side(take("imageHeight")).map_err(at("imageHeight"))?,
        ];
        let picture = take("imagePath").map(text).transpose().map_err(at("imagePath"))?;
        let data = take("imageData").map(text).transpose().map_err(at("imageData"))?;
        let shapes = take("shapes").ok_or_else(|| Error::malformed("expected shapes, found none"))?;
        let shapes = list(shapes).map_err(at("shapes"))?;
        cx.limits().check("elements", shapes.len() as u64)?;
        let kept = rest.into_iter().filter(|(key, value)| {
            let blank = value.as_object().is_some_and(Map::is_empty) || value.is_null();
            key != "version" && !blank
        });
        Ok(Self { picture, data, size, shapes, rest: kept.collect() })
    }

    fn picture(&self) -> Option<&str> {
        self.picture.as_deref()
    }

    fn embedded(&self, cx: &Context) -> Result<Option<Source>> {
        let Some(data) = &self.data else { return Ok(None) };
        let bytes = base64::decode(data, cx).map_err(|error| error.at_element("imageData"))?;
        Ok(Some(Source::from_bytes(self.picture.as_deref().unwrap_or_default(), bytes)))
    }

    fn annotations(self, _: &Source, size: [u32; 2], cx: &Context) -> Result<(Annotations, Map<String, Value>)> {
        check_size(self.size, size, "imageWidth", cx)?;
        let (mut names, mut layer) = (Names::default(), Layer::default());
        make_room(self.shapes.len(), cx)?;
        for (index, shape) in self.shapes.into_iter().enumerate() {
            if index % 1024 == 0 {
                cx.checkpoint()?;
            }
            match one_shape(shape, size, &mut names, cx) {
                Ok(one) => layer.boxes.push(one),
                Err(error) => leave_out("shape", error.at_element(format!("shapes[{index}]")), cx)?,
            }
        }
        layer.class_labels = names.labels;
        Ok(([(layer_name(cx), layer)].into(), self.rest))
    }
}

fn one_shape(value: Value, size: [u32; 2], names: &mut Names, cx: &Context) -> Result<Box2> {
    let mut shape = members(value)?;
    let mut take = |key: &str| shape.shift_remove(key).filter(|value| !value.is_null());
    let label = text(take("label").unwrap_or_default())?;
    let points = list(take("points").unwrap_or_default())?.iter().map(point).collect::<Result<Vec<_>>>()?;
    if points.is_empty() {
        return Err(Error::malformed("expected points, found none"));
    }
    let kind = take("shape_type").map_or(Ok("polygon".to_owned()), text)?;
    let (mask, caption, score) = (take("mask"), take("description"), take("score"));
    // What tools write where nothing is said.
    shape.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty()));
    let mut one =
        Box2 { pixels: Box2::around(&points), class_id: names.id(&label), properties: shape, ..Box2::default() };
    let wrong = |what: &str| Err(Error::malformed(format!("expected {what}, found {} points", points.len())));
    match kind.as_str() {
        "polygon" => one.polygons = vec![points],
        // Of four corners, as some tools write them, the box is around them as well.
        "rectangle" if points.len() >= 2 => {}
        "rectangle" => return wrong("two corners of a rectangle"),
        "circle" => {
            let &[centre, edge] = &points[..] else { return wrong("the centre of a circle and a point on it") };
            let radius = (centre[0] - edge[0]).hypot(centre[1] - edge[1]);
            one.pixels = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius];
            let corner = |index: usize| {
                let (sine, cosine) = (index as f64 / CORNERS as f64 * std::f64::consts::TAU).sin_cos();
                [centre[0] + radius * cosine, centre[1] + radius * sine]
            };
            one.polygons = vec![(0..CORNERS).map(corner).collect()];
            one.properties.insert("shape_type".into(), kind.into());
        }
        "mask" => {
            let &[first, _] = &points[..] else { return wrong("two corners of a mask") };
            let png = base64::decode(&text(mask.unwrap_or_default())?, cx)?;
            let (mask, _) = labels::read(&Source::from_bytes("mask", png), cx)?;
            let runs = placed(&mask, first, size, cx)?;
            // Its corners are pixels inside, and there may be empty ones.
            if runs.area() > 0 {
                one.pixels = runs.bounds();
            }
            one.runs = Some(runs);
        }
        "point" | "points" | "line" | "linestrip" => {
            one.properties.insert("points".into(), points.iter().map(|point| numbers(point)).collect());
            one.properties.insert("shape_type".into(), kind.into());
        }
        other => return Err(Error::unsupported(format!("expected a shape of a known type, found {other:?}"))),
    }
    one.caption = caption.map(text).transpose()?.filter(|caption| !caption.is_empty());
    if let Some(score) = score {
        one.scores.insert("score".into(), float(&score)?);
    }
    Ok(one)
}

/// The pixels of a mask whose upper left corner is at `first`.
fn placed(mask: &Mask, first: [f64; 2], [width, height]: [u32; 2], cx: &Context) -> Result<Runs> {
    let [left, top] = first.map(|value| value as i64);
    let side = |value: i64, side: u32| value.clamp(0, i64::from(side)) as u32;
    let (right, bottom) = (left.saturating_add(mask.width.into()), top.saturating_add(mask.height.into()));
    let window = [side(left, width), side(top, height), side(right, width), side(bottom, height)];
    let inside = |x: u32, y: u32| {
        let at = (i64::from(y) - top) * i64::from(mask.width) + i64::from(x) - left;
        mask.classes()[at as usize] != 0
    };
    Runs::of_window(width, height, window, inside, cx)
}

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let subject = Subject::of(record, out, cx)?;
    let (_, layer) = layer(record, cx)?;
    let keeps = Keeps { captions: true, scores: Scores::One("score"), polygons: true, runs: true, ..Keeps::default() };
    keeps.lose(layer, cx);
    lose_ids(layer, cx);
    let mut shapes = Vec::new();
    let used = layer.boxes.iter().filter_map(|one| one.properties.get("group_id")?.as_u64()).max();
    let mut group = used.map_or(1, |used| used.saturating_add(1));
    for (index, one) in layer.boxes.iter().enumerate() {
        if index % 1024 == 0 {
            cx.checkpoint()?;
        }
        let (kind, parts, mask) = parts(one, &subject)?;
        let shared = parts.len() > 1 && !one.properties.contains_key("group_id");
        for points in parts {
            let mut shape = Map::new();
            shape.insert("label".into(), layer.label(one.class_id).into());
            shape.insert("points".into(), points);
            shape.insert("group_id".into(), if shared { group.into() } else { Value::Null });
            shape.insert("description".into(), one.caption.clone().unwrap_or_default().into());
            shape.insert("shape_type".into(), kind.into());
            shape.insert("flags".into(), json!({}));
            shape.insert("mask".into(), mask.clone());
            if let Some(&score) = one.scores.get("score") {
                shape.insert("score".into(), number(score));
            }
            let told = ["shape_type", "points", "label", "mask", "description", "score"];
            let given = one.properties.iter().filter(|(key, _)| !told.contains(&key.as_str()));
            shape.extend(given.map(|(key, value)| (key.clone(), value.clone())));
            shapes.push(Value::from(shape));
        }
        group += u64::from(shared);
    }
    let document = json!({
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": subject.name,
        "imageData": null,
        "imageHeight": subject.height,
        "imageWidth": subject.width,
    });
    write_json(out, &document)
}

/// The type of the shapes of a box, the points of each, and its mask.
fn parts(one: &Box2, subject: &Subject) -> Result<(&'static str, Vec<Value>, Value)> {
    let corners = one.spelled(Form::Corners, Unit::Pixel, subject.width, subject.height);
    let [left, top, right, bottom] = corners;
    let rectangle = json!([numbers(&[left, top]), numbers(&[right, bottom])]);
    if let Some(runs) = &one.runs {
        let [left, top, right, bottom] = runs.bounds();
        let (width, height) = (right - left, bottom - top);
        let mut classes = vec![0_u16; (width * height) as usize];
        for run in runs.inside() {
            for at in run {
                let (x, y) = (at / u64::from(runs.height) - left as u64, at % u64::from(runs.height) - top as u64);
                classes[(y * width as u64 + x) as usize] = 255;
            }
        }
        if classes.is_empty() {
            return Ok(("rectangle", vec![rectangle], Value::Null));
        }
        let mut png = Vec::new();
        labels::write_png(&mut png, &Mask::new(width as u32, height as u32, classes)?, &Default::default(), false)?;
        // The corners are pixels here: the last one is inside.
        let points = json!([numbers(&[left, top]), numbers(&[right - 1.0, bottom - 1.0])]);
        return Ok(("mask", vec![points], base64::encode(&png).into()));
    }
    let told = one.properties.get("shape_type").and_then(Value::as_str);
    if told == Some("circle") {
        let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        return Ok(("circle", vec![json!([numbers(&[x, y]), numbers(&[right, y])])], Value::Null));
    }
    let known = ["point", "points", "line", "linestrip"].into_iter().find(|kind| told == Some(kind));
    if let (Some(kind), Some(points)) = (known, one.properties.get("points")) {
        // A box that was moved is no longer that of its points.
        let read = list(points.clone()).and_then(|points| points.iter().map(point).collect::<Result<Vec<_>>>());
        if read.is_ok_and(|read| Box2::around(&read) == one.pixels) {
            return Ok((kind, vec![points.clone()], Value::Null));
        }
    }
    if one.polygons.is_empty() {
        return Ok(("rectangle", vec![rectangle], Value::Null));
    }
    let polygon = |points: &Vec<[f64; 2]>| points.iter().map(|point| numbers(point)).collect();
    Ok(("polygon", one.polygons.iter().map(polygon).collect(), Value::Null))
}

/// Formats of names number classes anew.
pub(super) fn lose_ids(layer: &Layer, cx: &Context) {
    let mut classes: Vec<i64> = layer.boxes.iter().map(|one| one.class_id).collect();
    classes.sort_unstable();
    classes.dedup();
    cx.lose("class-ids", classes.len() as u64, "ids of classes: their names are written");
    let unused = layer.class_labels.keys().filter(|id| classes.binary_search(id).is_err()).count() as u64;
    cx.lose("labels", unused, "names of classes without an object");
}

#[cfg(test)]
mod tests {
    use crate::annotations::tests::{layer, read};

    /// Pixels of a mask by labelme's `shape_to_mask`: those of the picture in base64, between its corners.
    #[test]
    fn every_shape_has_its_box() {
        let record = read("labelme/pets.labelme.json");
        let found = layer(&record, "ground_truth");
        let labels: Vec<_> = found.boxes.iter().map(|one| found.label(one.class_id)).collect();
        assert_eq!(labels, ["cat", "dog", "ball", "cat", "nose", "leash", "edge"]);
        assert_eq!(
            (found.boxes[0].pixels, found.boxes[1].pixels),
            ([3.5, 4.25, 20.0, 22.75], [25.5, 10.5, 40.0, 30.0])
        );
        // The radius is the distance of (50, 20) and (53, 24).
        assert_eq!((found.boxes[2].pixels, found.boxes[2].polygons[0].len()), ([45.0, 15.0, 55.0, 25.0], 64));
        let runs = found.boxes[3].runs.as_ref().unwrap();
        assert_eq!((runs.area(), runs.bounds()), (25, [10.0, 25.0, 18.0, 30.0]));
        assert_eq!(found.boxes[0].caption.as_deref(), Some("asleep"));
        assert_eq!(found.boxes[1].properties["flags"]["occluded"], true);
        assert_eq!(found.boxes[4].properties["shape_type"], "point");
        assert_eq!(record.key, "pets.png");
    }

    #[test]
    fn a_picture_inside_of_the_file_is_read() {
        let record = read("labelme/embedded.json");
        assert_eq!(record.facts().to_json()["channels"], 1);
        assert_eq!((record.key.as_str(), layer(&record, "ground_truth").boxes.len()), ("gone.png", 2));
        assert!(record.source.siblings.is_empty());
    }
}
