use mediary_core::record::{Box2, ColorSpace, Image, Layer, Mask, Samples};
use mediary_core::{Media, MediaRecord, Registry, WriteOptions};

use crate::testing;

fn operated(mut record: MediaRecord, options: &[(&str, &str)]) -> MediaRecord {
    let mut settings = WriteOptions::default();
    settings.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Registry::builtin().operate(&mut record, &settings).unwrap();
    record
}

fn bytes(record: &MediaRecord) -> (u32, u32, &[u8]) {
    let Media::Image(image) = &record.media else { panic!("not an image") };
    let Samples::U8(samples) = image.samples() else { panic!("not 8 bits") };
    (image.width(), image.height(), samples)
}

fn record(width: u32, height: u32, channels: u8, samples: Vec<u8>) -> MediaRecord {
    MediaRecord::new(Image::new(width, height, channels, Samples::U8(samples.into())).unwrap())
}

/// 12 x 8 pixels of gray.
fn gray() -> MediaRecord {
    record(12, 8, 1, (0..96_u32).map(|at| (at * 37 % 256) as u8).collect())
}

/// 6 x 4 pixels.
fn rgba() -> Vec<u8> {
    (0..96_u32).map(|at| (at * 53 % 256) as u8).collect()
}

/// What Pillow 13.0.0 states of 5 x 3 pixels by `Image.resize`.
const PILLOW: &[(&str, [u8; 15])] = &[
    ("lanczos3", [110, 105, 127, 116, 106, 135, 127, 133, 135, 129, 127, 160, 108, 127, 165]),
    ("bilinear", [117, 105, 127, 122, 104, 125, 130, 135, 126, 131, 131, 153, 112, 131, 162]),
    ("bicubic", [114, 102, 129, 119, 104, 128, 129, 135, 129, 130, 129, 159, 106, 130, 164]),
    ("box", [122, 100, 136, 114, 108, 101, 129, 158, 101, 151, 123, 158, 95, 144, 152]),
    ("nearest", [225, 43, 154, 228, 46, 21, 95, 206, 24, 98, 141, 215, 70, 144, 218]),
];

fn near(found: &[u8], expected: &[u8], most: u8, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let apart = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart <= Some(most), "{what}: expected {expected:?}, found {found:?}");
}

#[test]
fn resized_pixels_are_those_of_pillow() {
    for (filter, expected) in PILLOW {
        let options = [("image.width", "5"), ("image.height", "3"), ("image.fit", "stretch"), ("image.filter", filter)];
        let record = operated(gray(), &options);
        let (width, height, found) = bytes(&record);
        assert_eq!((width, height), (5, 3));
        near(found, expected, 1, filter);
    }
    // `ImageOps.fit`, and transparent pixels, which Pillow multiplies by their alpha as well.
    let cover = operated(gray(), &[("image.width", "4"), ("image.height", "4"), ("image.fit", "cover")]);
    near(bytes(&cover).2, &[79, 119, 150, 97, 145, 125, 99, 137, 113, 128, 168, 134, 177, 148, 57, 149], 1, "cover");
    let clear = operated(record(6, 4, 4, rgba()), &[("image.width", "3")]);
    let expected =
        [164, 43, 69, 129, 156, 176, 94, 62, 52, 107, 167, 199, 232, 115, 65, 113, 116, 216, 133, 46, 39, 89, 149, 183];
    // Both round the product, which shows where alpha is low.
    near(bytes(&clear).2, &expected, 3, "rgba");
}

#[test]
fn one_side_keeps_the_proportions_and_two_are_a_frame() {
    let size = |options: &[(&str, &str)]| {
        let record = operated(gray(), options);
        let (width, height, _) = bytes(&record);
        (width, height)
    };
    assert_eq!(size(&[("image.width", "6")]), (6, 4));
    assert_eq!(size(&[("image.height", "16")]), (24, 16));
    assert_eq!(size(&[("image.width", "100"), ("image.height", "16")]), (24, 16));
    let padded = operated(
        record(2, 1, 1, vec![9, 9]),
        &[("image.width", "2"), ("image.height", "3"), ("image.fit", "pad"), ("image.background", "white")],
    );
    assert_eq!(bytes(&padded), (2, 3, &[255, 255, 9, 9, 255, 255][..]));
    let clear =
        operated(record(2, 1, 1, vec![9, 9]), &[("image.width", "2"), ("image.height", "3"), ("image.fit", "pad")]);
    assert_eq!(bytes(&clear).2, [0, 0, 0, 0, 9, 255, 9, 255, 0, 0, 0, 0]);
}

#[test]
fn light_is_averaged_where_it_is_asked_for() {
    let stripes: Vec<u8> = (0..64 * 64).map(|at| if at % 2 == 0 { 0 } else { 255 }).collect();
    let middle = |light: &str| {
        let options = [("image.width", "8"), ("image.filter", "box"), ("image.light", light)];
        bytes(&operated(record(64, 64, 1, stripes.clone()), &options)).2[20]
    };
    // Half of the light is 188 in sRGB.
    assert_eq!(
        [middle("coded"), middle("linear")].map(|v| v.abs_diff(if v > 150 { 188 } else { 128 }) <= 1),
        [true; 2]
    );
    assert!(middle("linear") > middle("coded"));
}

#[test]
fn marks_follow_the_picture() {
    let mut marked = record(4, 2, 1, vec![0; 8]);
    let layer = Layer {
        boxes: vec![Box2 { pixels: [1.0, 0.0, 3.0, 2.0], class_id: 7, ..Box2::default() }],
        mask: Some(Mask::new(4, 2, vec![1, 2, 3, 4, 5, 6, 7, 8]).unwrap()),
        ..Layer::default()
    };
    marked.annotations.insert("truth".into(), layer);
    let options = [("image.width", "4"), ("image.height", "4"), ("image.fit", "cover")];
    let cut = operated(marked, &options);
    // The middle 2 x 2 pixels, twice as large.
    let layer = &cut.annotations["truth"];
    assert_eq!(layer.boxes[0].pixels, [0.0, 0.0, 4.0, 4.0]);
    assert_eq!(layer.mask.as_ref().unwrap().classes(), [2, 2, 3, 3, 2, 2, 3, 3, 6, 6, 7, 7, 6, 6, 7, 7]);
}

#[test]
fn gray_is_that_of_pillow_and_what_is_dropped_is_a_loss() {
    let record = operated(record(6, 4, 4, rgba()), &[("image.mode", "gray")]);
    // `convert("L")` of the same pixels without alpha.
    let expected: Vec<u8> = {
        let pixels: Vec<_> = rgba().chunks_exact(4).map(|p| [p[0], p[1], p[2]]).collect();
        pixels
            .iter()
            .map(|[r, g, b]| {
                ((u32::from(*r) * 19595 + u32::from(*g) * 38470 + u32::from(*b) * 7471 + 0x8000) >> 16) as u8
            })
            .collect()
    };
    assert_eq!(bytes(&record).2, expected);
    let losses: Vec<_> = record.loss.iter().map(|loss| (loss.code.as_ref(), loss.count)).collect();
    assert_eq!(losses, [("image.colors", 24), ("image.alpha", 24)]);
}

#[test]
fn transparent_pixels_lie_on_the_colour() {
    let one = record(2, 1, 4, vec![10, 20, 30, 255, 200, 100, 0, 51]);
    // `Image.alpha_composite` on (0, 0, 255).
    assert_eq!(bytes(&operated(one, &[("image.background", "#0000ff")])).2, [10, 20, 30, 40, 20, 204]);
}

#[test]
fn depth_is_changed_both_ways() {
    let deep = operated(gray(), &[("image.depth", "16")]);
    let Media::Image(image) = &deep.media else { panic!("not an image") };
    let Samples::U16(samples) = image.samples() else { panic!("not 16 bits") };
    assert_eq!((samples[1], image.source_bits), (37 * 257, 16));
    let back = operated(deep, &[("image.depth", "8")]);
    assert_eq!(bytes(&back), bytes(&gray()));
    assert_eq!(back.loss, []);
    let light = operated(gray(), &[("image.depth", "32")]);
    let Media::Image(image) = &light.media else { panic!("not an image") };
    assert_eq!(image.color_space, ColorSpace::Linear);
}

#[test]
fn wrong_options_are_told() {
    let refused = |options: &[(&str, &str)]| {
        let mut settings = WriteOptions::default();
        settings.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Registry::builtin().operate(&mut gray(), &settings).unwrap_err().to_string()
    };
    assert!(refused(&[("image.background", "blue-ish")]).contains("expected a colour"));
    assert!(refused(&[("image.fit", "cover")]).contains("needs image.width and image.height"));
}

/// Twelve colours.
const COLORS: [u8; 36] = [
    0, 0, 0, 255, 255, 255, 128, 128, 128, 255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 100, 50, 30, 60, 90, 10, 10, 10, 250,
    240, 20, 90, 200, 210, 60, 20, 120,
];

fn profiled(profile: &moxcms::ColorProfile, channels: u8, samples: Vec<u8>, icc: &str) -> MediaRecord {
    let mut record = record(samples.len() as u32 / u32::from(channels), 1, channels, samples);
    let Media::Image(image) = &mut record.media else { unreachable!() };
    (image.color_space, image.icc) = (ColorSpace::Icc, Some(profile.encode().unwrap()));
    let png = testing::write(&mut record, "png", &[]);
    testing::read_with("a.png", png, &testing::reading(&[("image.icc", icc)])).unwrap()
}

/// What littlecms states of them (`ImageCms.profileToProfile` of Pillow 13.0.0, perceptual and relative alike).
#[test]
fn profiles_are_converted_as_littlecms_does() {
    use moxcms::ColorProfile;
    let expected: [(&str, ColorProfile, [u8; 36]); 3] = [
        (
            "Adobe RGB 1998",
            ColorProfile::new_adobe_rgb(),
            [
                0, 0, 0, 255, 255, 255, 129, 129, 129, 255, 0, 0, 0, 255, 0, 0, 0, 255, 227, 100, 42, 0, 57, 91, 3, 3,
                3, 254, 240, 0, 0, 201, 212, 67, 12, 123,
            ],
        ),
        (
            "Display P3",
            ColorProfile::new_display_p3(),
            [
                0, 0, 0, 255, 255, 255, 128, 128, 128, 255, 0, 0, 0, 255, 0, 0, 0, 255, 215, 93, 31, 17, 61, 93, 10,
                10, 10, 252, 240, 0, 0, 203, 212, 66, 17, 125,
            ],
        ),
        (
            "Rec.2020",
            ColorProfile::new_bt2020(),
            [
                0, 0, 0, 255, 255, 255, 140, 140, 140, 255, 0, 0, 0, 255, 0, 0, 0, 255, 246, 94, 50, 0, 78, 107, 23,
                23, 23, 255, 241, 0, 0, 214, 217, 85, 24, 139,
            ],
        ),
    ];
    for (name, profile, expected) in expected {
        let record = profiled(&profile, 3, COLORS.to_vec(), "srgb");
        near(bytes(&record).2, &expected, 1, name);
        assert_eq!(record.properties["color_profile"]["name"], name);
        let image = testing::image(&record);
        assert_eq!((image.color_space, image.icc.is_none()), (ColorSpace::Srgb, true));
        let kept = profiled(&profile, 3, COLORS.to_vec(), "keep");
        assert_eq!((bytes(&kept).2, testing::image(&kept).color_space), (&COLORS[..], ColorSpace::Icc));
    }
    let gray = profiled(&ColorProfile::new_gray_with_gamma(1.8), 1, vec![0, 10, 50, 128, 200, 255], "srgb");
    near(bytes(&gray).2, &[0, 10, 65, 146, 210, 255], 1, "gray");
    // A profile that says sRGB touches nothing.
    let same = profiled(&ColorProfile::new_srgb(), 3, COLORS.to_vec(), "srgb");
    assert_eq!(bytes(&same).2, COLORS);
}
