//! Writes a record as a file of one picture.

use std::io::Seek;

use mediary_core::record::annotations::{Form, Runs, Unit};
use mediary_core::record::{Box2, Layer};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::{Map, Value, json};

use super::rle;
use crate::annotations::write::{Keeps, Scores, Subject, json, layer, number, numbers};

/// Keys that are written from the box itself.
const OWN: &[&str] = &["image_id", "category_id", "bbox", "segmentation", "score"];

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    if out.stream_position()? > 0 {
        return Err(Error::unsupported("COCO is written with one picture a file, found a second one")
            .with_hint("put {index} into the name of the output for one file a record"));
    }
    let subject = Subject::of(record, out, cx)?;
    let (width, height) = (subject.width, subject.height);
    let (_, layer) = layer(record, cx)?;
    let keeps = Keeps { scores: Scores::One("score"), polygons: true, runs: true, mask: true, ..Keeps::default() };
    keeps.lose(layer, cx);
    // Of two corners the tools of COCO make a box.
    let thin = layer.boxes.iter().flat_map(|one| &one.polygons).filter(|polygon| polygon.len() < 3).count() as u64;
    cx.lose("polygons", thin, "polygons of fewer than three corners");

    let mut annotations = Vec::new();
    for (index, one) in layer.boxes.iter().enumerate() {
        if index % 1024 == 0 {
            cx.checkpoint()?;
        }
        annotations.push(annotation(one, index + 1, width, height, cx)?);
    }
    if let Some(mask) = &layer.mask {
        for (class, runs) in Runs::of_mask(mask, cx)?.into_iter().filter(|(class, _)| *class != 0) {
            let one = Box2 { pixels: runs.bounds(), class_id: class.into(), runs: Some(runs), ..Box2::default() };
            let mut written = annotation(&one, annotations.len() + 1, width, height, cx)?;
            written.insert("iscrowd".into(), 1.into());
            annotations.push(written);
        }
    }
    let categories: Vec<Value> =
        classes(layer).into_iter().map(|class| json!({"id": class, "name": layer.label(class)})).collect();
    let document = json!({
        "images": [{"id": 1, "width": width, "height": height, "file_name": subject.name}],
        "annotations": annotations,
        "categories": categories,
    });
    json(out, &document)
}

/// All classes, labelled or used.
fn classes(layer: &Layer) -> Vec<i64> {
    let in_mask = layer.mask.iter().flat_map(|mask| mask.occurring()).filter(|&class| class != 0).map(i64::from);
    let in_boxes = layer.boxes.iter().map(|one| one.class_id);
    let mut classes: Vec<i64> = layer.class_labels.keys().copied().chain(in_boxes).chain(in_mask).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn annotation(one: &Box2, id: usize, width: u32, height: u32, cx: &Context) -> Result<Map<String, Value>> {
    let region = one.region(width, height, cx)?;
    let position = one.spelled(Form::Size, Unit::Pixel, width, height);
    let segmentation = match &one.runs {
        Some(runs) => json!({"size": [runs.height, runs.width], "counts": rle::encode(runs.counts())}),
        None => one.polygons.iter().filter(|it| it.len() > 2).map(|it| numbers(it.as_flattened())).collect(),
    };
    let area = region.map_or(position[2] * position[3], |runs| runs.area() as f64);
    let mut written = Map::new();
    written.insert("id".into(), id.into());
    written.insert("image_id".into(), 1.into());
    written.insert("category_id".into(), one.class_id.into());
    written.insert("bbox".into(), numbers(&position));
    written.insert("segmentation".into(), segmentation);
    written.insert("area".into(), number(area));
    written.insert("iscrowd".into(), 0.into());
    if let Some(&score) = one.scores.get("score") {
        written.insert("score".into(), number(score));
    }
    // What the source had is kept: `iscrowd`, and `area` by its own measure, where the box is still that of the source.
    let unmoved = one.position.is_some_and(|given| given.pixels(width, height) == one.pixels);
    let kept = |key: &str| !OWN.contains(&key) && key != "id" && (unmoved || key != "area");
    let given = one.properties.iter().filter(|(key, _)| kept(key));
    written.extend(given.map(|(key, value)| (key.clone(), value.clone())));
    Ok(written)
}
