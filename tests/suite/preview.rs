//! Pictures by the program and by its writers of images.

use mediary::preview::{PreviewOptions, picture};
use mediary::record::Samples;
use mediary::{Context, Limits, Media, Output, ReadOptions, Registry, Source, WriteOptions};

use crate::common::{corpus, data, files_below, json_lines, run, stderr};

const BOX: &str = "tests/data/sample/BoxTextured.glb";
const POINTS: &str = "tests/data/sample/simple_scene_boxes_vectors.pts.json";
const FLOWER: &str = "tests/data/sample/flower.jpg";

/// Width, height and RGB of a picture file.
fn pixels(path: &str) -> (u32, u32, Vec<[u8; 3]>) {
    let source = Source::open(path, &Limits::default()).unwrap();
    let record = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
    let Media::Image(image) = record.media else { panic!("{path} is no image") };
    let (width, height, channels) = (image.width(), image.height(), usize::from(image.channels()));
    let Samples::U8(samples) = image.into_samples() else { panic!("{path} has no 8 bits") };
    (width, height, samples.chunks(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

#[test]
fn a_picture_shows_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = run(&["preview", "--json", BOX, "-o", &path("box.png"), "--size", "200"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let json = json_lines(&output).remove(0);
    assert_eq!((&json["kind"], &json["assets"][0]["role"]), (&"scene".into(), &"preview".into()));
    assert_eq!(json["assets"][0]["bytes"], std::fs::metadata(path("box.png")).unwrap().len());
    let (width, height, seen) = pixels(&path("box.png"));
    assert_eq!((width, height), (200, 200));
    // The box fills most of the frame, before a background that is nearly white.
    let dark = seen.iter().filter(|pixel| pixel.iter().any(|value| *value < 180)).count();
    assert!((10_000..32_000).contains(&dark), "{dark} pixels");

    // It does not overwrite unless told, and a name without an image format is refused.
    assert_eq!(run(&["preview", BOX, "-o", &path("box.png")]).status.code(), Some(1));
    assert_eq!(run(&["preview", "--force", BOX, "-o", &path("box.png")]).status.code(), Some(0));
    assert_eq!(run(&["preview", BOX, "-o", &path("box.obj")]).status.code(), Some(1));
    assert_eq!(run(&["preview", BOX, "-o", &path("x.png"), "--size", "4000"]).status.code(), Some(2));
    assert_eq!(run(&["preview", BOX, FLOWER, "-o", &path("x.png")]).status.code(), Some(2));
    assert_eq!(run(&["preview", BOX]).status.code(), Some(2));
}

#[test]
fn several_inputs_fill_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = format!("{}/pictures/", folder.path().display());
    let output = run(&["preview", BOX, POINTS, FLOWER, "tests/data/sample/iris.csv", "-o", &out, "--size", "64"]);
    assert_eq!(output.status.code(), Some(3), "a table has no picture yet: {}", stderr(&output));
    let names: Vec<_> = files_below(folder.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["BoxTextured.glb.png", "flower.jpg.png", "simple_scene_boxes_vectors.pts.json.png"]);
    let (width, height, _) = pixels(&format!("{out}flower.jpg.png"));
    assert_eq!((width, height), (64, 48));
}

#[test]
fn writers_of_images_draw_what_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = run(&["convert", BOX, &path("box.png")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("png.scene"), "{}", stderr(&output));
    assert_eq!(run(&["preview", BOX, "-o", &path("same.png")]).status.code(), Some(0));
    assert_eq!(std::fs::read(path("box.png")).unwrap(), std::fs::read(path("same.png")).unwrap());
    assert_eq!(run(&["convert", POINTS, &path("points.gif")]).status.code(), Some(0));
    assert_eq!(run(&["convert", "tests/data/sample/iris.csv", &path("table.png")]).status.code(), Some(1));
}

/// Red, green and blue of a corner of the box are those of its texture, wherever a reader of glTF put it.
#[test]
fn textures_come_from_the_formats_of_the_registry() {
    let draw = |registry: &Registry, codes: &mut Vec<String>| {
        let source = Source::open(data("sample/BoxTextured.glb"), &Limits::default()).unwrap();
        let mut record = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
        let cx = Context::new("preview");
        let image = picture(&mut record, registry, &PreviewOptions::default(), &cx).unwrap();
        codes.extend(cx.diagnostics().to_vec().into_iter().map(|diagnostic| diagnostic.code.to_string()));
        image
    };
    let mut codes = Vec::new();
    let with = draw(&Registry::builtin(), &mut codes);
    assert_eq!(codes, [""; 0]);
    let without = draw(&Registry::empty(), &mut codes);
    assert_eq!(codes, ["preview.texture"]);
    assert_ne!(with, without);
}

/// Every scene and cloud of the corpus has a picture that is not empty, whose bytes do not depend on the number of threads.
#[test]
fn the_corpus_has_pictures() {
    let Some(corpus) = corpus() else { return };
    let registry = Registry::builtin();
    let mut drawn = 0;
    for path in ["mesh", "pointcloud"].iter().flat_map(|kind| files_below(&corpus.join(kind))) {
        let source = Source::open(&path, &Limits::default()).unwrap();
        let image = |threads: usize| {
            let mut record = registry.open(&source, &ReadOptions::default()).ok()?.next()?.ok()?;
            let mut options = PreviewOptions::default();
            (options.size, options.threads) = (96, threads);
            let cx = Context::new("preview");
            let drawn = picture(&mut record, &registry, &options, &cx);
            Some(drawn.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
        let Some(one) = image(1) else { continue };
        assert!(image(3).is_some_and(|three| three == one), "{}", path.display());
        drawn += 1;
    }
    assert!(drawn > 40, "only {drawn} pictures");
}

/// A broken record is an error of the picture, not of the program.
#[test]
fn a_scene_that_is_not_valid_is_refused_by_writers_too() {
    let scene = mediary::record::Scene { roots: vec![3], ..Default::default() };
    let mut out = Output::memory();
    let error = Registry::builtin()
        .write(&mut mediary::MediaRecord::new(scene), "png", &mut out, &WriteOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), mediary::ErrorKind::Malformed);
}
