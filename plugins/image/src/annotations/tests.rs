//! What all formats of annotations share: read from real files, written to each other.

use mediary_core::record::annotations::{Form, Unit};
use mediary_core::record::{Box2, Image, Layer, Mask, Samples};
use mediary_core::{
    Context, ErrorKind, Finished, MediaRecord, MemorySiblings, OptionUse, Options, Output, ReadOptions, Registry,
    Result, Source, Strictness, WriteOptions,
};
// Masks that are numpy arrays are read by its format.
use mediary_data as _;

use super::{ANNOTATIONS, IDS, MASKS, annotate};
use crate::testing::{codes, data};

pub(super) fn path(name: &str) -> String {
    format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn options(from: &str, given: &[(&str, &str)], strictness: Strictness) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.from = Some(from.to_owned()).filter(|from| !from.is_empty());
    options.options = given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    options.strictness = strictness;
    options
}

/// All records of an input, of which the header is that of the first.
pub(super) fn all(source: &Source, options: &ReadOptions) -> Result<Vec<MediaRecord>> {
    let mut reading = Registry::builtin().open(source, options)?;
    let header = reading.header();
    let records = reading.collect::<Result<Vec<_>>>()?;
    assert_eq!(header?.facts, records[0].facts());
    Ok(records)
}

pub(super) fn read_all(name: &str) -> Vec<MediaRecord> {
    let source = Source::open(path(name), &Default::default()).unwrap();
    all(&source, &options("", &[], Strictness::Strict)).unwrap()
}

pub(super) fn read(name: &str) -> MediaRecord {
    read_all(name).remove(0)
}

pub(super) fn layer<'r>(record: &'r MediaRecord, name: &str) -> &'r Layer {
    &record.annotations[name]
}

/// A file of annotations of its own beside a picture of 40 x 30 pixels, `a.png`.
pub(super) fn beside_a_picture(
    name: &str,
    text: &str,
    given: &[(&str, &str)],
    strictness: Strictness,
) -> Result<MediaRecord> {
    let id = IDS.into_iter().find(|id| name.contains(id.split('.').next().unwrap())).unwrap_or_default();
    let siblings = MemorySiblings::default().with("a.png", data("boxes.json/scene.png"));
    let source = Source::from_bytes(name, text.as_bytes()).with_siblings(siblings);
    Ok(all(&source, &options(id, given, strictness))?.remove(0))
}

pub(super) fn written(record: &mut MediaRecord, to: &str, given: &[(&str, &str)]) -> (Finished, Vec<(String, u64)>) {
    let mut settings = WriteOptions::default();
    settings.options = given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    record.loss.clear();
    let mut out = Output::memory();
    Registry::builtin().write(record, to, &mut out, &settings).unwrap();
    let lost = record.loss.iter().map(|loss| (loss.code.to_string(), loss.count)).collect();
    (out.finish().unwrap(), lost)
}

/// Written, and read again beside the picture of the record.
pub(super) fn again(record: &mut MediaRecord, to: &str, given: &[(&str, &str)], picture: &str) -> MediaRecord {
    let (files, _) = written(record, to, given);
    let name =
        if to == "yolo" { format!("{}.yolo.txt", picture.rsplit(['.', '/']).nth(1).unwrap()) } else { "again".into() };
    let at = if record.key.is_empty() { picture.rsplit('/').next().unwrap().to_owned() } else { record.key.clone() };
    let siblings = MemorySiblings::default().with(at, data(picture));
    let siblings = files.siblings.into_iter().fold(siblings, |all, (name, bytes)| all.with(name, bytes));
    let source = Source::from_bytes(name, files.bytes).with_siblings(siblings);
    all(&source, &options(to, &[], Strictness::Default)).unwrap_or_else(|error| panic!("{to}: {error:?}")).remove(0)
}

/// Boxes with what is lost on the way through names taken out.
fn pixels(layer: &Layer) -> Vec<(String, [f64; 4])> {
    layer.boxes.iter().map(|one| (layer.label(one.class_id), one.pixels)).collect()
}

#[test]
fn every_format_is_written_and_read_again() {
    for (file, picture) in [
        ("coco/val2017.coco.json", "coco/000000255917.jpg"),
        ("labelme/pets.labelme.json", "labelme/pets.png"),
        ("voc/street.xml", "voc/street.png"),
        ("yolo/crossing.yolo.txt", "yolo/crossing.png"),
        ("boxes.json/scene.boxes.json", "boxes.json/scene.png"),
    ] {
        for to in IDS {
            let mut record = read(file);
            let back = again(&mut record, to, &[("yolo.classes", "true"), ("yolo.outlines", "false")], picture);
            let (a, b) = (layer(&record, "ground_truth"), layer(&back, "ground_truth"));
            // A mask is regions behind the boxes in COCO.
            assert_eq!(pixels(a), pixels(b)[..a.boxes.len()], "{file} as {to}");
            assert!(a.boxes.len() == b.boxes.len() || to == "coco" && a.mask.is_some());
            assert_eq!(back.media.facts(), record.media.facts());
        }
    }
}

/// Outlines of objects go through COCO and LabelMe as they are, and paint the same pixels.
#[test]
fn outlines_survive_between_coco_and_labelme() {
    let mut record = read("labelme/pets.labelme.json");
    let coco = again(&mut record, "coco", &[], "labelme/pets.png");
    let (a, b) = (layer(&record, "ground_truth"), layer(&coco, "ground_truth"));
    let outlines = |layer: &Layer| layer.boxes.iter().map(|one| one.polygons.clone()).collect::<Vec<_>>();
    assert_eq!(outlines(a), outlines(b));
    assert_eq!(a.boxes[3].runs, b.boxes[3].runs);
    let cx = Context::new("test");
    assert_eq!(a.raster(64, 40, 0, &cx).unwrap(), b.raster(64, 40, 0, &cx).unwrap());
    let mut coco = coco;
    coco.format = "coco".into();
    let back = again(&mut coco, "labelme", &[], "labelme/pets.png");
    let c = layer(&back, "ground_truth");
    assert_eq!((outlines(c), pixels(c)), (outlines(a), pixels(a)));
    for (a, c) in a.boxes.iter().zip(&c.boxes) {
        assert_eq!((&a.runs, &a.polygons), (&c.runs, &c.polygons));
        // Captions are lost in COCO; it has `area`, `id` and `iscrowd` of its own.
        assert!(a.properties.iter().all(|(key, value)| c.properties.get(key) == Some(value)), "{:?}", c.properties);
    }
}

#[test]
fn fractions_are_written_as_they_were_read() {
    let text = String::from_utf8(data("yolo/crossing.yolo.txt")).unwrap();
    let mut record = read("yolo/crossing.yolo.txt");
    let (yolo, lost) = written(&mut record, "yolo", &[]);
    assert_eq!(
        String::from_utf8(yolo.bytes).unwrap(),
        text.replace("0.481250", "0.48125").replace("0.237500", "0.2375")
    );
    assert_eq!(lost, [("yolo.pixels".to_owned(), 1), ("yolo.labels".to_owned(), 3)]);
    // By way of pixels, in another file.
    for by in ["coco", "voc", "labelme", "boxes.json"] {
        let mut by = again(&mut record, by, &[], "yolo/crossing.png");
        let given = layer(&by, "ground_truth").boxes[0].spelled(Form::Middle, Unit::Fraction, 640, 480);
        assert_eq!(given, [0.537109, 0.48125, 0.123047, 0.2375], "{}", by.format);
        let (yolo, _) = written(&mut by, "yolo", &[]);
        let lines = String::from_utf8(yolo.bytes).unwrap();
        assert!(lines.contains(" 0.537109 0.48125 0.123047 0.2375\n"), "{}: {lines}", by.format);
    }
}

#[test]
fn a_record_without_annotations_is_not_written() {
    let image = Image::new(1, 1, 1, Samples::U8(vec![0].into())).unwrap();
    for to in IDS.into_iter().chain(["labels", "labels.npy"]) {
        let mut record = MediaRecord::new(image.clone());
        let error =
            Registry::builtin().write(&mut record, to, &mut Output::memory(), &WriteOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{to}");
        assert!(error.hint().unwrap().contains("image.annotations"), "{to}: {error:?}");
    }
}

#[test]
fn losses_are_named() {
    let image = Image::new(4, 2, 1, Samples::U8(vec![0; 8].into())).unwrap();
    let mut record = MediaRecord::new(image).with_property("dpi", 300);
    record.caption = Some("a".into());
    let one = Box2 {
        pixels: [0.0, 0.0, 2.0, 2.0],
        class_id: 7,
        caption: Some("c".into()),
        scores: [("score".into(), 0.5), ("other".into(), 0.25)].into(),
        polygons: vec![vec![[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]; 2],
        properties: [("difficult".to_owned(), 1.into()), ("z".to_owned(), 2.into())].into_iter().collect(),
        ..Box2::default()
    };
    let mask = Some(Mask::new(4, 2, vec![3; 8]).unwrap());
    let truth = Layer { class_labels: [(7, "g".into()), (9, "i".into())].into(), boxes: vec![one], mask };
    record.annotations.insert("ground_truth".into(), truth.clone());
    record.annotations.insert("predictions".into(), truth);
    let common = [("pixels", 1), ("properties", 1), ("caption", 1)];
    for (to, expected) in [
        ("coco", &[("layers", 1), ("captions", 1), ("scores", 1)][..]),
        ("labelme", &[("layers", 1), ("scores", 1), ("mask", 1), ("class-ids", 1), ("labels", 1)]),
        (
            "voc",
            &[
                ("layers", 1),
                ("captions", 1),
                ("scores", 2),
                ("polygons", 2),
                ("mask", 1),
                ("box-properties", 1),
                ("class-ids", 1),
                ("labels", 1),
            ],
        ),
        (
            "yolo",
            &[
                ("layers", 1),
                ("captions", 1),
                ("scores", 1),
                ("polygons", 2),
                ("mask", 1),
                ("box-properties", 2),
                ("class-ids", 2),
                ("labels", 2),
            ],
        ),
        ("boxes.json", &[("polygons", 4), ("box-properties", 4)]),
        ("labels", &[("layers", 1), ("objects", 1), ("captions", 1), ("scores", 2), ("box-properties", 2)]),
        (
            "labels.npy",
            &[("layers", 1), ("objects", 1), ("captions", 1), ("scores", 2), ("box-properties", 2), ("labels", 2)],
        ),
    ] {
        let (_, lost) = written(&mut record, to, &[]);
        let expected: Vec<_> =
            common.iter().chain(expected).map(|(code, count)| (format!("{to}.{code}"), *count)).collect();
        assert_eq!(lost, expected, "{to}");
    }
}

fn picture(name: &str, siblings: MemorySiblings) -> Source {
    Source::from_bytes(name, data("boxes.json/scene.png")).with_siblings(siblings)
}

fn annotated(source: &Source, given: &[(&str, &str)]) -> Result<MediaRecord> {
    const SCHEMA: &[mediary_core::OptionSpec] = &[ANNOTATIONS, MASKS];
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = Options::resolve("image", SCHEMA, OptionUse::Read, &given)?;
    let mut record = MediaRecord::new(Image::new(40, 30, 1, Samples::U8(vec![0; 1200].into()))?);
    let cx = Context::new("png");
    annotate(&mut record, source, &options, &cx)?;
    record.diagnostics = cx.diagnostics();
    Ok(record)
}

#[test]
fn annotations_beside_a_picture_are_read_when_asked_for() {
    let yolo = "1 0.5 0.5 0.25 0.5\n";
    let source = picture("a.png", MemorySiblings::default().with("a.txt", yolo.as_bytes()));
    assert!(annotated(&source, &[]).unwrap().annotations.is_empty());
    let record = annotated(&source, &[("annotations", "auto")]).unwrap();
    assert_eq!(layer(&record, "ground_truth").boxes[0].pixels, [15.0, 7.5, 25.0, 22.5]);
    assert_eq!(source.siblings_used().len(), 1);

    // A caption is no annotation.
    let source = picture("a.png", MemorySiblings::default().with("a.txt", *b"a cat on a mat"));
    assert!(annotated(&source, &[("annotations", "auto")]).unwrap().annotations.is_empty());
    let error = annotated(&source, &[("annotations", "a.txt")]).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotRecognised, "\"a.txt\" is no file of annotations"));
    assert_eq!(annotated(&source, &[("annotations", "b.xml")]).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(annotated(&source, &[("annotations", "../b.xml")]).unwrap_err().kind(), ErrorKind::Malformed);

    let coco = r#"{"images":[{"id":3,"file_name":"b.png"},{"id":4,"file_name":"sub/a.png"}],"categories":[{"id":1,"name":"cat"}],
        "annotations":[{"id":1,"image_id":3,"category_id":1,"bbox":[1,2,3,4]},{"id":2,"image_id":4,"category_id":1,"bbox":[5,6,7,8]}]}"#;
    let source = picture("a.png", MemorySiblings::default().with("all.json", coco.as_bytes()));
    let record = annotated(&source, &[("annotations", "all.json")]).unwrap();
    assert_eq!(pixels(layer(&record, "ground_truth")), [("cat".to_owned(), [5.0, 6.0, 12.0, 14.0])]);
    let source = picture("c.png", MemorySiblings::default().with("all.json", coco.as_bytes()));
    assert!(
        annotated(&source, &[("annotations", "all.json")])
            .unwrap_err()
            .message()
            .contains("expected \"c.png\" among the pictures")
    );

    // That of another picture is told.
    let voc = String::from_utf8(data("voc/street.xml")).unwrap().replace(">120<", ">40<").replace(">80<", ">30<");
    let source = picture("a.png", MemorySiblings::default().with("a.xml", voc.as_bytes()));
    let record = annotated(&source, &[("annotations", "auto")]).unwrap();
    assert_eq!(codes(&record), ["png.other-picture", "png.range"]);
}

/// Bytes of `numpy.save` of `numpy.array([[0, 1], [2, 300]])`, by numpy 2.4.6.
fn npy(descr: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{:<117}\n", format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 2), }}"));
    [&b"\x93NUMPY\x01\x00v\x00"[..], header.as_bytes(), elements].concat()
}

#[test]
fn masks_beside_a_picture_are_label_images() {
    let mask = data("boxes.json/scene.mask.png");
    let source = picture("a.png", MemorySiblings::default().with("m.png", mask.as_slice()).with("n.png", mask));
    let record = annotated(&source, &[("masks", "m.png, predictions:n.png")]).unwrap();
    for name in ["ground_truth", "predictions"] {
        let mask = layer(&record, name).mask.as_ref().unwrap();
        // By numpy: 98 pixels of class 1, 150 of class 2.
        let count = |class| mask.classes().iter().filter(|&&found| found == class).count();
        assert_eq!((mask.width, mask.height, count(1), count(2)), (40, 30, 98, 150));
    }
    let source = picture("a.png", MemorySiblings::default().with("m.npy", npy("<i8", &[0; 32])));
    let error = annotated(&source, &[("masks", "m.npy")]).unwrap_err();
    assert_eq!(error.message(), "expected a mask of 40 x 30 pixels, the image's, found 2 x 2");
    for (file, text) in [
        (
            npy("<f8", &[0.0_f64, 1.0, 1.5, 2.0].map(f64::to_le_bytes).concat()),
            "expected a class from 0 to 65535, found 1.5",
        ),
        (npy("<i4", &[0_i32, 1, -1, 2].map(i32::to_le_bytes).concat()), "expected a class from 0 to 65535, found -1"),
        (data("boxes.json/scene.png"), "expected one class a pixel, found colours (Rgb)"),
        (b"P5 1 1 255 x".to_vec(), "expected a label image, a PNG or an npy, found neither"),
    ] {
        let source = picture("a.png", MemorySiblings::default().with("m", file));
        assert_eq!(annotated(&source, &[("masks", "m")]).unwrap_err().message(), text);
    }
}

#[test]
fn label_images_are_those_of_pillow() {
    let mut record = read("boxes.json/scene.boxes.json");
    let png = written(&mut record, "labels", &[]).0.bytes;
    let siblings = MemorySiblings::default().with("m.png", png.clone());
    let masked = annotated(&picture("a.png", siblings), &[("masks", "m.png")]).unwrap();
    let (before, after) = (layer(&record, "ground_truth").clone(), layer(&masked, "ground_truth"));
    assert_eq!((&before.mask, &before.class_labels), (&after.mask, &after.class_labels));

    let npy = written(&mut record, "labels.npy", &[]).0.bytes;
    assert_eq!((npy.len(), &npy[128 + 5 * 40..128 + 5 * 40 + 8]), (128 + 1200, &[0, 0, 0, 0, 0, 0, 1, 1][..]));
    let siblings = MemorySiblings::default().with("m.npy", npy);
    let masked = annotated(&picture("a.png", siblings), &[("masks", "m.npy")]).unwrap();
    assert_eq!(layer(&masked, "ground_truth").mask, before.mask);

    // A palette has the colours of the challenge: (128, 0, 0), (0, 128, 0) … for 1, 2; (192, 128, 128) for 15.
    let palette = written(&mut record, "labels", &[("labels.as", "palette")]).0.bytes;
    let start = palette.windows(4).position(|four| four == b"PLTE").unwrap() + 4;
    let color = |class: usize| palette[start + 3 * class..start + 3 * class + 3].to_vec();
    assert_eq!(
        (color(0), color(1), color(2), color(15)),
        (vec![0; 3], vec![128, 0, 0], vec![0, 128, 0], vec![192, 128, 128])
    );
    let siblings = MemorySiblings::default().with("m.png", palette);
    let masked = annotated(&picture("a.png", siblings), &[("masks", "m.png")]).unwrap();
    assert_eq!(layer(&masked, "ground_truth").mask, before.mask);

    let wide = record.annotations.get_mut("ground_truth").unwrap();
    wide.mask = Some(Mask::new(40, 30, vec![300; 1200]).unwrap());
    let siblings = MemorySiblings::default().with("m.png", written(&mut record, "labels", &[]).0.bytes);
    let masked = annotated(&picture("a.png", siblings), &[("masks", "m.png")]).unwrap();
    assert_eq!(layer(&masked, "ground_truth").mask, record.annotations["ground_truth"].mask);
}

/// Each broken file, what it is refused for, and what is found when it is not.
#[test]
fn what_is_wrong_is_named_with_its_element() {
    for (file, text, element, lenient) in [
        ("boxes.json/malformed/inverted.boxes.json", "", "predictions.boxes[0]", "boxes.json.order"),
        ("boxes.json/malformed/outside.boxes.json", "", "predictions.boxes[0]", "boxes.json.range"),
        ("boxes.json/malformed/beyond.boxes.json", "", "predictions.boxes[0]", "boxes.json.range"),
        ("boxes.json/malformed/negative-size.boxes.json", "", "predictions.boxes[0]", "boxes.json.order"),
        ("boxes.json/malformed/unknown-class.boxes.json", "", "predictions.boxes[0]", "boxes.json.class"),
        ("boxes.json/malformed/both-forms.boxes.json", "", "predictions.boxes[0]", "boxes.json.position"),
        (
            "boxes.json/malformed/furlongs.boxes.json",
            "expected the domain \"pixel\" or none, found \"furlongs\"",
            "predictions.boxes[0]",
            "boxes.json.box",
        ),
        (
            "boxes.json/malformed/middle-text.boxes.json",
            "expected a point [x, y], found \"ab\"",
            "predictions.boxes[0]",
            "boxes.json.box",
        ),
        (
            "boxes.json/malformed/half-class.boxes.json",
            "class_id: expected a whole number, found 1.5",
            "predictions.boxes[0]",
            "boxes.json.box",
        ),
        (
            "boxes.json/malformed/true-class.boxes.json",
            "class_id: expected a whole number, found true",
            "predictions.boxes[0]",
            "boxes.json.box",
        ),
        (
            "boxes.json/malformed/score-text.boxes.json",
            "scores.acc: expected a number, found \"high\"",
            "predictions.boxes[0]",
            "boxes.json.box",
        ),
        (
            "boxes.json/malformed/mask-size.boxes.json",
            "expected a mask of 40 x 30 pixels, the image's, found 3 x 5",
            "a.mask",
            "boxes.json.mask-size",
        ),
        (
            "boxes.json/malformed/mask-half.boxes.json",
            "expected a class from 0 to 65535, found 1.7",
            "masks.a.mask_data[0][39]",
            "boxes.json.mask",
        ),
        (
            "boxes.json/malformed/mask-range.boxes.json",
            "expected a class from 0 to 65535, found 70000",
            "masks.a.mask_data[0][39]",
            "boxes.json.mask",
        ),
        (
            "boxes.json/malformed/mask-ragged.boxes.json",
            "expected rows of 40 classes, found 1",
            "masks.a.mask_data[29]",
            "boxes.json.mask",
        ),
        (
            "boxes.json/malformed/mask-text.boxes.json",
            "expected a label image, a PNG or an npy, found neither",
            "masks.a",
            "boxes.json.mask",
        ),
        ("boxes.json/malformed/nan.boxes.json", "expected value", "", "error"),
        (
            "coco/malformed/odd-polygon.coco.json",
            "expected pairs of coordinates, found 7 numbers",
            "annotations[0].segmentation",
            "coco.annotation",
        ),
        (
            "coco/malformed/runs-short.coco.json",
            "expected runs over 192 pixels (16 x 12), found runs over 15",
            "annotations[0].segmentation.counts",
            "coco.annotation",
        ),
        (
            "coco/malformed/runs-bomb.coco.json",
            "expected runs over 16000000000000000000 pixels (4000000000 x 4000000000), found runs over 8589934590",
            "annotations[0].segmentation.counts",
            "coco.annotation",
        ),
        (
            "coco/malformed/runs-text.coco.json",
            "expected a letter from '0' to 'o' in run lengths, found '~'",
            "annotations[0].segmentation.counts",
            "coco.annotation",
        ),
        (
            "coco/malformed/runs-other-size.coco.json",
            "expected runs over 16 x 12 pixels, the image's, found 10 x 10",
            "ground_truth.boxes[0]",
            "coco.runs-size",
        ),
        (
            "coco/malformed/half-class.coco.json",
            "expected a whole number as class, found 1.5",
            "annotations[0].category_id",
            "coco.annotation",
        ),
        (
            "coco/malformed/three-numbers.coco.json",
            "expected [x, y, width, height], found 3 numbers",
            "annotations[0].bbox",
            "coco.annotation",
        ),
        ("coco/malformed/orphan.coco.json", "", "annotations[0].image_id", "coco.orphans"),
        ("coco/malformed/size.coco.json", "", "images[0]", "coco.size"),
        ("coco/malformed/thin-polygon.coco.json", "", "ground_truth.boxes[0]", "coco.polygon"),
        ("labelme/malformed/no-number.labelme.json", "expected a number, found \"a\"", "shapes[0]", "labelme.shape"),
        (
            "labelme/malformed/unknown-shape.labelme.json",
            "expected a shape of a known type, found \"spline\"",
            "shapes[0]",
            "labelme.shape",
        ),
        (
            "labelme/malformed/broken-mask.labelme.json",
            "expected a label image, a PNG or an npy, found neither",
            "shapes[0]",
            "labelme.shape",
        ),
        (
            "voc/malformed/no-corner.xml",
            "expected the corner ymax of a bndbox, found none",
            "annotation.object[0]",
            "voc.object",
        ),
        (
            "voc/malformed/not-a-number.xml",
            "expected a number as ymin, found \"x\"",
            "annotation.object[0]",
            "voc.object",
        ),
        (
            "voc/malformed/nan.xml",
            "expected finite coordinates, found [1.0, NaN, 3.0, 4.0]",
            "ground_truth.boxes[0]",
            "voc.not-finite",
        ),
        ("voc/malformed/entities.xml", "", "", "voc.entity"),
        (
            "voc/malformed/cut.xml",
            "the XML is broken: syntax error: tag not closed: `>` not found before end of input",
            "",
            "error",
        ),
        ("yolo/malformed/half-a-class.yolo.txt", "expected a whole number as class, found \"0.5\"", "", "yolo.line"),
        ("yolo/malformed/words.yolo.txt", "expected a whole number as class, found \"person\"", "", "yolo.line"),
        (
            "yolo/malformed/short.yolo.txt",
            "expected a box of 4 numbers or an outline behind the class, found 2",
            "",
            "yolo.line",
        ),
        ("yolo/malformed/nan.yolo.txt", "expected finite numbers, found NaN", "", "yolo.line"),
    ] {
        let source = || Source::open(path(file), &Default::default()).unwrap();
        let id = file.split('/').next().unwrap();
        let read = |strictness| all(&source(), &options(id, &[], strictness));
        let place =
            |error: &mediary_core::Error| error.location().and_then(|place| place.element.clone()).unwrap_or_default();
        let strict = read(Strictness::Strict).unwrap_err();
        assert!(matches!(strict.kind(), ErrorKind::Malformed | ErrorKind::Unsupported), "{file}: {strict}");
        match read(Strictness::Default) {
            Err(error) => assert_eq!((error.message(), place(&error).as_str()), (text, element), "{file}"),
            Ok(records) => {
                assert_eq!(text, "", "{file} is read");
                let told = records[0].diagnostics.to_vec();
                let at = told[0].location.as_ref().and_then(|place| place.element.clone()).unwrap_or_default();
                assert_eq!((told[0].code.as_ref(), at.as_str()), (lenient, element), "{file}");
                assert_eq!(place(&strict), element, "{file}");
            }
        }
        match read(Strictness::Lenient) {
            Err(error) => assert_eq!(lenient, "error", "{file}: {error}"),
            Ok(records) => {
                assert!(codes(&records[0]).contains(&lenient.to_owned()), "{file}: {:?}", codes(&records[0]))
            }
        }
    }
}

#[test]
fn a_missing_picture_is_named() {
    for (file, text) in [
        ("labelme/malformed/no-picture.labelme.json", "the picture \"nowhere.png\" is missing"),
        ("coco/malformed/no-picture.coco.json", "the picture \"nowhere.png\" is missing"),
    ] {
        let source = Source::open(path(file), &Default::default()).unwrap();
        let error = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.message().starts_with(text) && error.hint().is_some(), "{error:?}");
    }
    let error = Registry::builtin()
        .open(&Source::from_bytes("b.txt", *b"0 0.5 0.5 0.1 0.1\n"), &options("yolo", &[], Strictness::Default))
        .unwrap()
        .header()
        .unwrap_err();
    assert!(error.message().contains("there is no b.jpg, b.png or other picture"), "{error:?}");
}

/// A file that names itself, or another one of annotations, as its picture.
#[test]
fn annotations_are_no_picture() {
    let text = r#"{"shapes":[],"imagePath":"a.json","imageData":null,"imageHeight":1}"#;
    let siblings = MemorySiblings::default().with("a.json", text.as_bytes());
    let source = Source::from_bytes("a.json", text.as_bytes()).with_siblings(siblings);
    let error = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.message(), "expected a picture, found annotations (labelme)");
    // One of labelme's own examples is such a file, with the picture inside.
    let embedded = String::from_utf8(data("labelme/embedded.json")).unwrap().replace("gone.png", "a.json");
    let siblings = MemorySiblings::default().with("a.json", embedded.as_bytes());
    let source = Source::from_bytes("a.json", embedded.as_bytes()).with_siblings(siblings);
    let records = all(&source, &ReadOptions::default()).unwrap();
    assert_eq!(codes(&records[0]), ["labelme.picture"]);
}
