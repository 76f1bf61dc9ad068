use mediary_core::record::{Box2, Image, Layer, Mask, Samples};
use mediary_core::{Context, MediaRecord, Registry};

use super::class_color;
use crate::{PreviewOptions, color, picture};

const GRAY: u8 = 120;

/// A gray picture of 400 x 300 pixels with boxes of classes 1 and 2 and a mask of class 3 in its lower half.
fn record() -> MediaRecord {
    let image = Image::new(400, 300, 1, Samples::U8(vec![GRAY; 400 * 300].into())).unwrap();
    let mut record = MediaRecord::new(image);
    let one = |pixels: [f64; 4], class_id: i64, score: f64| Box2 {
        pixels,
        class_id,
        scores: [("score".to_owned(), score)].into(),
        ..Box2::default()
    };
    let labels = [(1, "cat".to_owned()), (2, "dog".to_owned())];
    let boxes = vec![one([50.0, 60.0, 150.0, 140.0], 1, 0.9), one([250.0, 60.0, 350.0, 140.0], 2, 0.4)];
    record.annotations.insert("found".into(), Layer { class_labels: labels.into(), boxes, mask: None });
    let classes: Vec<u16> = (0..400 * 300).map(|at| if at / 400 < 200 { 0 } else { 3 }).collect();
    let mask = Some(Mask::new(400, 300, classes).unwrap());
    record.annotations.insert("truth".into(), Layer { mask, ..Layer::default() });
    record
}

struct Seen {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Seen {
    fn of(mut record: MediaRecord, options: &PreviewOptions) -> Self {
        let image = picture(&mut record, &Registry::empty(), options, &Context::new("preview")).unwrap();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let Samples::U8(samples) = image.into_samples() else { panic!("not 8 bits") };
        Self { width, height, pixels: samples.as_chunks::<3>().0.to_vec() }
    }

    /// Whether a pixel near is of the colour of a class, as a line is.
    fn has_line(&self, x: usize, y: usize, class: i64) -> bool {
        let wanted = class_color(class).map(color::srgb);
        let near = (x - 3..=x + 3).flat_map(|x| (y - 3..=y + 3).map(move |y| (x, y)));
        near.into_iter().any(|(x, y)| self.pixels[y * self.width + x] == wanted)
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

#[test]
fn boxes_masks_and_a_legend_are_drawn() {
    let seen = Seen::of(record(), &PreviewOptions::default());
    assert_eq!(seen.width, 400);
    assert!(seen.height > 300 + 30, "two rows of a legend: {}", seen.height);
    // Sides of the boxes; the first layer by name has solid lines.
    assert!(seen.has_line(50, 100, 1) && seen.has_line(150, 100, 1) && seen.has_line(100, 140, 1));
    assert!(seen.has_line(250, 100, 2) && !seen.has_line(250, 100, 1));
    assert_eq!(seen.at(200, 30), [GRAY; 3], "beside the marks the picture is as it was");
    // Class 0 is what is behind, 3 shines through.
    let (inside, full) = (seen.at(200, 250), class_color(3).map(color::srgb));
    assert!(inside != [GRAY; 3] && inside != full, "{inside:?}");
}

#[test]
fn what_is_chosen_is_drawn() {
    let chosen = |choose: &dyn Fn(&mut PreviewOptions)| {
        let mut options = PreviewOptions::default();
        choose(&mut options);
        Seen::of(record(), &options)
    };
    let layer = chosen(&|options| options.marks.layers = vec!["truth".into()]);
    assert!(!layer.has_line(50, 100, 1) && layer.at(200, 250) != [GRAY; 3]);
    let class = chosen(&|options| options.marks.classes = vec!["dog".into()]);
    assert!(!class.has_line(50, 100, 1) && class.has_line(250, 100, 2) && class.at(200, 250) == [GRAY; 3]);
    let score = chosen(&|options| options.marks.min_score = 0.5);
    assert!(score.has_line(50, 100, 1) && !score.has_line(250, 100, 2));
    let none = chosen(&|options| options.marks.layers = vec!["nobody".into()]);
    assert_eq!((none.width, none.height), (400, 300));
}

#[test]
fn words_stay_inside_and_apart() {
    let mut record = record();
    let layer = record.annotations.get_mut("found").unwrap();
    // In a corner, beyond it, and three at one place.
    layer.boxes = vec![
        Box2 {
            pixels: [390.0, 0.0, 430.0, 20.0],
            class_id: 1,
            caption: Some("a long caption".into()),
            ..Box2::default()
        },
        Box2 { pixels: [-50.0, -50.0, -10.0, -10.0], class_id: 2, ..Box2::default() },
        Box2 { pixels: [f64::NAN, 0.0, f64::INFINITY, 9.0], class_id: i64::MIN, ..Box2::default() },
    ];
    for size in [16, 100, 400, 2048] {
        let options = PreviewOptions { size, ..PreviewOptions::default() };
        let mut one = self::record();
        one.annotations = record.annotations.clone();
        Seen::of(one, &options);
    }
}

#[test]
fn small_pictures_are_enlarged_for_their_words() {
    let mut tiny = MediaRecord::new(Image::new(20, 10, 1, Samples::U8(vec![GRAY; 200].into())).unwrap());
    let layer = Layer { boxes: vec![Box2 { pixels: [2.0, 2.0, 9.0, 9.0], ..Box2::default() }], ..Layer::default() };
    tiny.annotations.insert("a".into(), layer);
    assert_eq!(Seen::of(tiny, &PreviewOptions::default()).width, 500);
}

#[test]
fn regions_of_boxes_are_filled() {
    let mut record = record();
    let layer = record.annotations.get_mut("found").unwrap();
    layer.boxes[0].polygons = vec![vec![[50.0, 60.0], [150.0, 60.0], [50.0, 140.0]]];
    let seen = Seen::of(record, &PreviewOptions::default());
    assert_ne!(seen.at(80, 90), [GRAY; 3]);
    assert_eq!(seen.at(140, 130), [GRAY; 3], "outside of the triangle");
}
