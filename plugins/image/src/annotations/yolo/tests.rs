use mediary_core::Strictness;

use crate::annotations::tests::{beside_a_picture, layer, read, written};

/// Boxes by the formula of ultralytics, `xywhn2xyxy`.
#[test]
fn boxes_are_those_of_ultralytics() {
    let record = read("yolo/crossing.yolo.txt");
    let found = layer(&record, "ground_truth");
    // 640 * (0.537109 - 0.123047 / 2) and so on, with Python's decimal.
    let expected = [304.37472, 174.0, 383.1248, 288.0];
    for (pixel, expected) in found.boxes[0].pixels.iter().zip(expected) {
        assert!((pixel - expected).abs() < 1e-9, "{:?}", found.boxes[0].pixels);
    }
    assert_eq!(found.label(2), "traffic light");
}

#[test]
fn outlines_and_confidences() {
    let mut record = read("yolo/outlines.yolo.txt");
    let found = layer(&record, "ground_truth");
    assert_eq!(found.boxes[0].polygons, [[[32.0, 24.0], [128.0, 24.0], [128.0, 84.0], [32.0, 84.0]]]);
    assert_eq!(found.boxes[0].pixels, [32.0, 24.0, 128.0, 84.0]);
    let (file, lost) = written(&mut record, "yolo", &[("yolo.classes", "true")]);
    assert_eq!(file.bytes, b"1 0.1 0.1 0.4 0.1 0.4 0.35 0.1 0.35\n0 0.501562 0.5 0.75 0.525 0.6 0.9\n");
    assert_eq!(file.siblings, [("classes.txt".to_owned(), b"person\nbicycle\ntraffic light\n".to_vec())]);
    // The density of the picture.
    assert_eq!(lost, [("yolo.pixels".to_owned(), 1), ("yolo.properties".to_owned(), 1)]);

    let record = read("yolo/predicted.yolo.txt");
    let scores: Vec<_> = layer(&record, "ground_truth").boxes.iter().map(|one| one.scores["score"]).collect();
    assert_eq!(scores, [0.876543, 0.5]);
    let read = |line: &str| beside_a_picture("a.yolo.txt", line, &[("yolo.layer", "p")], Strictness::Strict).unwrap();
    let record = read("0 0 0 1 0 1 1 0.5\n");
    let one = &layer(&record, "p").boxes[0];
    assert_eq!((one.polygons[0].len(), one.scores["score"]), (3, 0.5));
}

#[test]
fn classes_of_a_dataset_with_gaps_are_numbered_by_their_order() {
    let mut record = read("coco/val2017.coco.json");
    let (file, lost) = written(&mut record, "yolo", &[("yolo.classes", "true"), ("yolo.outlines", "false")]);
    let text = String::from_utf8(file.bytes).unwrap();
    // 1 person, 3 car, 10 traffic light, 64 …
    let classes: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(classes, ["2", "0", "1", "1"]);
    assert!(lost.contains(&("yolo.class-ids".to_owned(), 6)), "{lost:?}");
    assert!(file.siblings[0].1.starts_with(b"person\ncar\ntraffic light\n"));
}
