use mediary_core::record::annotations::Runs;
use mediary_core::{Context, MediaRecord, MemorySiblings, ReadOptions, Registry, Source, Strictness, hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rle;
use crate::annotations::tests::{again, beside_a_picture, layer, read, read_all};
use crate::testing::data;

/// Area, box and compressed runs of every annotation, by pycocotools 2.0.
fn pycocotools() -> Value {
    serde_json::from_slice(&data("coco/pycocotools.txt")).unwrap()
}

/// The classes of a picture as `<u2`, row by row.
fn painted(record: &MediaRecord, height: u32) -> String {
    let mask = layer(record, "ground_truth").raster(640, height, 0, &Context::new("test")).unwrap();
    let bytes: Vec<u8> = mask.classes().iter().flat_map(|class| class.to_le_bytes()).collect();
    hex(&Sha256::digest(bytes))
}

#[test]
fn annotations_of_the_dataset_are_those_of_pycocotools() {
    let records = read_all("coco/val2017.coco.json");
    assert_eq!(records.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["000000255917.jpg", "000000000139.jpg"]);
    let (cx, expected) = (Context::new("test"), pycocotools());
    let mut seen = 0;
    for (record, height) in records.iter().zip([427, 426]) {
        for one in &layer(record, "ground_truth").boxes {
            let runs = one.region(640, height, &cx).unwrap().unwrap();
            let known = &expected[one.properties["id"].to_string()];
            assert_eq!(runs.area(), known["area"].as_u64().unwrap());
            assert_eq!(rle::encode(runs.counts()), known["counts"].as_str().unwrap());
            let [left, top, right, bottom] = runs.bounds();
            let bounds: Vec<f64> =
                known["bbox"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
            assert_eq!([left, top, right - left, bottom - top], bounds[..]);
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
    // All painted over each other with numpy.
    assert_eq!(painted(&records[0], 427), "e750608d8658c65e079e6666d43a8f3fad73b894f1e5c5ab02216b29a45941d4");
    assert_eq!(painted(&records[1], 426), "9a5bd93f4807bde4178523bbaba01ed5638433d56f7ee7636d8f433081edf41f");
    let first = &layer(&records[0], "ground_truth").boxes[0];
    assert_eq!(first.pixels, [222.62, 217.82, 241.81, 238.93]);
    assert_eq!((first.class_id, &first.properties["area"]), (10, &385.756_900_000_000_03.into()));
    assert_eq!(records[1].properties["date_captured"], "2013-11-21 01:34:01");
}

#[test]
fn the_pictures_of_a_large_file_count_one_by_one() {
    let png = data("boxes.json/scene.png");
    let names = (0..300).map(|number| format!("{number}.png"));
    let siblings = names.clone().fold(MemorySiblings::default(), |all, name| all.with(name, png.clone()));
    let images: Vec<_> = names.enumerate().map(|(id, name)| json!({ "id": id, "file_name": name })).collect();
    let file = json!({ "images": images, "annotations": [], "categories": [{ "id": 1, "name": "a" }] });
    let source = Source::from_bytes("a.coco.json", file.to_string().into_bytes()).with_siblings(siblings);
    let records = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
    let records: Vec<_> = records.map(|record| record.unwrap()).collect();
    assert_eq!(records.len(), 300);
    for (record, number) in records.iter().zip(0..) {
        let used = &record.source.siblings;
        assert_eq!(used.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), [format!("{number}.png")]);
    }
}

/// Width, height, polygons, and what pycocotools says of them: area, box and runs.
type Case = (u32, u32, Vec<Vec<[f64; 2]>>, u64, [f64; 4], String);

/// Random polygons, alone and several of one object, inside and far outside of the picture.
#[test]
fn polygons_cover_the_pixels_that_pycocotools_says() {
    let text = data("coco/polygons.txt");
    let cx = Context::new("test");
    let mut cases = 0;
    for line in String::from_utf8(text).unwrap().lines() {
        let (width, height, polygons, area, bounds, counts): Case = serde_json::from_str(line).unwrap();
        let runs = Runs::of_polygons(&polygons, width, height, &cx).unwrap();
        assert_eq!(rle::encode(runs.counts()), counts, "{line}");
        assert_eq!(runs.area(), area, "{line}");
        let [left, top, right, bottom] = runs.bounds();
        assert_eq!([left, top, right - left, bottom - top], bounds, "{line}");
        assert_eq!(rle::decode(&counts).unwrap(), runs.counts(), "{line}");
        cases += 1;
    }
    assert!(cases >= 100);
}

#[test]
fn a_prediction_has_a_score_and_runs() {
    let mut record = read("coco/predicted.coco.json");
    let one = &layer(&record, "ground_truth").boxes[0];
    assert_eq!((one.class_id, one.scores["score"], one.runs.as_ref().unwrap().area()), (85, 0.978, 153));
    // By pycocotools: [148, 278, 12, 16].
    assert_eq!(one.pixels, [148.0, 278.0, 160.0, 294.0]);
    let before = layer(&record, "ground_truth").clone();
    let after = again(&mut record, "coco", &[], "coco/predicted.png");
    assert_eq!(layer(&after, "ground_truth").boxes[0].runs, before.boxes[0].runs);
}

/// Polygons that are long, many or far away cost little memory, and time that can be stopped.
#[test]
fn hostile_polygons_are_bounded() {
    let cx = Context::new("test");
    let far = vec![vec![[-1e300, -1e300], [1e300, 0.0], [3.0, 1e300]], vec![[1e18, 5.0], [-1e18, 6.0], [0.0, -1e18]]];
    assert_eq!(Runs::of_polygons(&far, 30, 20, &cx).unwrap().counts().iter().sum::<u32>(), 600);
    let zigzag: Vec<_> =
        (0..300_000).map(|index| [if index % 2 == 0 { 0.0 } else { 1e9 }, f64::from(index % 50)]).collect();
    let mut limits = mediary_core::Limits::default();
    limits.alloc_bytes = 10 << 20;
    let small = Context::builder("test").limits(limits).build();
    let error = Runs::of_polygons(&[zigzag], 2000, 50, &small).unwrap_err();
    assert_eq!(error.limit_name(), Some("alloc_bytes"));
}

#[test]
fn forms_that_tools_write_are_read() {
    let file = |annotations: &str| {
        format!(
            r#"{{"images":[{{"id":1,"file_name":"a.png","width":40.0,"height":30.0}}],"annotations":[{annotations}],"categories":[{{"id":1,"name":"cat"}}]}}"#
        )
    };
    let read =
        |annotations: &str| beside_a_picture("a.coco.json", &file(annotations), &[], Strictness::Strict).unwrap();
    // Flat polygons, polygons of four numbers (boxes, to the COCO tools), empty and absent segmentations.
    let record = read(
        r#"{"image_id":1,"category_id":1.0,"segmentation":[1,1,5,1,5,5]},
           {"image_id":1,"category_id":1,"segmentation":[[2,3,4,5]]},
           {"image_id":1,"category_id":1,"bbox":[1,2,3,4],"segmentation":[]},
           {"image_id":1,"category_id":1,"bbox":[1,2,3,4],"segmentation":null},
           {"image_id":1,"category_id":1,"bbox":null,"segmentation":{"size":[30,40],"counts":[31,2,1167]}},
           {"image_id":1,"caption":"one"},{"image_id":1,"caption":"two"}"#,
    );
    let found = layer(&record, "ground_truth");
    let pixels: Vec<_> = found.boxes.iter().map(|one| one.pixels).collect();
    assert_eq!(
        pixels,
        [[1.0, 1.0, 5.0, 5.0], [2.0, 3.0, 6.0, 8.0], [1.0, 2.0, 4.0, 6.0], [1.0, 2.0, 4.0, 6.0], [1.0, 1.0, 2.0, 3.0]]
    );
    assert_eq!((record.caption.as_deref(), &record.properties["captions"][1]), (Some("one"), &"two".into()));
}

#[test]
fn a_second_picture_in_a_file_is_refused() {
    let (registry, mut out) = (Registry::builtin(), mediary_core::Output::memory());
    let mut results = read_all("coco/val2017.coco.json")
        .into_iter()
        .map(|mut record| registry.write(&mut record, "coco", &mut out, &mediary_core::WriteOptions::default()));
    assert!(results.next().unwrap().is_ok());
    assert!(results.next().unwrap().unwrap_err().hint().unwrap().contains("{index}"));
}

#[test]
fn lenient_goes_on_behind_a_picture_that_is_missing() {
    let text = r#"{"images":[{"id":1,"file_name":"x.png"},{"id":2,"file_name":"a.png"},{"id":3,"file_name":"y.png"}],"annotations":[],"categories":[]}"#;
    let siblings = mediary_core::MemorySiblings::default().with("a.png", data("boxes.json/scene.png"));
    let source = Source::from_bytes("a", text.as_bytes()).with_siblings(siblings);
    let mut options = ReadOptions::default();
    options.from = Some("coco".into());
    let registry = Registry::builtin();
    let error = registry.open(&source, &options).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.location().unwrap().element.as_deref(), Some("images[0]"));
    options.strictness = Strictness::Lenient;
    let records: Vec<_> = registry.open(&source, &options).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), 1);
    let told = records[0].diagnostics.to_vec();
    assert_eq!((told[0].code.as_ref(), told[0].count), ("coco.missing-picture", 2));
}
