//! Sizes and pictures are those of rsvg-convert, see `tests/data/svg/README.md`.

use mediary_core::{Registry, Source};

use crate::testing;

const SAMPLES: &[&str] =
    &["circles-with-prefix.svg", "color-burn.svg", "masks.svg", "nested-embedded-png.svg", "text.svg"];

#[test]
fn it_is_known_by_its_content_whatever_is_built_in() {
    let winner = |bytes: Vec<u8>| Registry::builtin().detect(&Source::from_bytes("", bytes)).winner(false).ok();
    for name in SAMPLES {
        assert_eq!(winner(testing::data(&format!("svg/{name}"))), Some("svg"), "{name}");
    }
    let text = "\u{feff}<?xml version='1.0'?>\n<!-- a > b -->\n<!DOCTYPE svg [\n<!ENTITY a \"b\">\n]>\n<svg:svg xmlns:svg='x'/>";
    assert_eq!(winner(text.into()), Some("svg"));
    assert_eq!(winner(text.encode_utf16().flat_map(u16::to_le_bytes).collect()), Some("svg"));
    for other in ["<html><body><svg/></body></html>", "<COLLADA><svg/></COLLADA>", "<svga/>", "svg", "<!-- <svg/> -->"]
    {
        assert_ne!(winner(other.into()), Some("svg"), "{other}");
    }
}

#[cfg(feature = "svg")]
mod with_the_library {
    use mediary_core::record::Samples;
    use mediary_core::{ErrorKind, Limits, Media, MediaRecord, Result, Strictness};

    use super::*;

    fn read(name: &str) -> Result<MediaRecord> {
        testing::read(name, testing::data(&format!("svg/{name}")))
    }

    fn drawn(body: &str) -> Result<MediaRecord> {
        testing::read("a.svg", format!("<svg xmlns='http://www.w3.org/2000/svg' {body}</svg>").into_bytes())
    }

    /// What is drawn of a whole document by rsvg-convert 2.54.7: its size and the means of its channels; how far colours of the two
    /// programs may be apart.
    const RSVG: &[(&str, u32, u32, [f64; 4])] = &[
        ("circles-with-prefix.svg", 454, 454, [22.968, 16.952, 29.89, 72.464]),
        ("color-burn.svg", 200, 200, [0.0, 0.0, 131.77, 244.998]),
        ("masks.svg", 60, 40, [137.588, 123.258, 45.373, 125.055]),
        ("nested-embedded-png.svg", 200, 200, [105.836, 84.446, 52.426, 175.463]),
    ];

    #[test]
    fn pictures_are_those_of_rsvg_convert() {
        for &(name, width, height, means) in RSVG {
            let record = read(name).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height(), image.channels()), (width, height, 4), "{name}");
            let found = testing::means(&testing::rgba8(image));
            for (found, expected) in found.iter().zip(means) {
                assert!((found - expected).abs() < 6.0, "{name}: {found:.3} for {expected}");
            }
            assert_eq!(testing::codes(&record), [""; 0], "{name}");
        }
        let record = read("masks.svg").unwrap();
        assert_eq!(record.properties["title"], "Masks and patterns");
    }

    #[test]
    fn the_size_is_that_of_the_options() {
        for (option, value, size) in [("svg.width", "240", (240, 160)), ("svg.scale", "2.5", (150, 100))] {
            let bytes = testing::data("svg/masks.svg");
            let record = testing::read_with("a.svg", bytes, &testing::reading(&[(option, value)])).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height()), size);
        }
        let bytes = testing::data("svg/masks.svg");
        let error = testing::read_with("a.svg", bytes, &testing::reading(&[("svg.scale", "-1")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        let sizes = [
            ("viewBox='0 0 30 20'>", (30, 20), false),
            ("width='1in' height='2.54cm'>", (96, 96), false),
            ("width='50%' height='10' viewBox='0 0 30 20'>", (15, 10), false),
            ("><rect width='7' height='9'/>", (7, 9), true),
        ];
        for (body, size, told) in sizes {
            let record = drawn(body).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height()), size, "{body}");
            assert_eq!(testing::codes(&record) == ["svg.size"], told, "{body}");
        }
    }

    #[test]
    fn alpha_is_not_premultiplied() {
        let record = drawn("width='1' height='1'><rect width='1' height='1' fill='#ff8000' opacity='0.5'/>").unwrap();
        let Media::Image(image) = record.media else { panic!("expected an image") };
        let Samples::U8(samples) = image.samples() else { panic!("expected 8 bits") };
        assert_eq!(samples[3], 128);
        assert!(samples[0] == 255 && samples[1].abs_diff(128) <= 1 && samples[2] == 0, "{samples:?}");
    }

    /// Which fonts a machine has is not known here: either letters are drawn, or their absence is told.
    #[test]
    fn fonts_of_the_machine_draw_texts() {
        let options = testing::reading(&[("svg.fonts", "system")]);
        let body = "<text x='2' y='30' fill='#c00' font-family='No Such Font'>Text</text>";
        let drawing = format!("<svg xmlns='http://www.w3.org/2000/svg' width='80' height='40'>{body}</svg>");
        let record = testing::read_with("a.svg", drawing.into_bytes(), &options).unwrap();
        let ink = testing::rgba8(testing::image(&record)).iter().skip(3).step_by(4).filter(|alpha| **alpha > 0).count();
        let expected = if testing::codes(&record) == ["svg.font"] { 50..2000 } else { 0..1 };
        assert!(expected.contains(&ink), "{ink} pixels, {:?}", testing::codes(&record));
        assert!(expected.start > 0 || testing::codes(&record) == ["svg.text"]);
    }

    #[test]
    fn what_is_left_out_is_told() {
        let record = read("text.svg").unwrap();
        let mut codes = testing::codes(&record);
        codes.sort();
        assert_eq!(codes, ["svg.external", "svg.foreign-object", "svg.text"]);
        let told = |body: &str| testing::codes(&drawn(&format!("width='9' height='9'>{body}")).unwrap());
        assert_eq!(told("<style>@import 'a.css';</style>"), ["svg.external"]);
        assert_eq!(told("<use href='other.svg#a'/>"), ["svg.external"]);
        assert_eq!(told("<rect width='9' height='9' fill='url(http://a/b#c)'/>"), ["svg.external"]);
        assert_eq!(told("<image href='data:image/png;base64,AAAA'/>"), ["svg.image"]);
        assert_eq!(told("<script>1</script><animate/>"), ["svg.script", "svg.animation"]);
        assert_eq!(told("<a href='http://a/b'><rect width='9' height='9'/></a><text> </text>"), [""; 0]);
        assert_eq!(
            drawn("width='9' height='9'><g id='a'><use href='#a'/></g>").unwrap_err().kind(),
            ErrorKind::Malformed
        );
        let bytes = b"<?xml version='1.0' encoding='ISO-8859-1'?><svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'><title>\xE9</title></svg>";
        assert_eq!(testing::read("a.svg", bytes.to_vec()).unwrap().properties["title"], "é");
        let broken = b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'><title>\xE9</title></svg>";
        assert_eq!(testing::codes(&testing::read("a.svg", broken.to_vec()).unwrap()), ["svg.encoding"]);
        assert!(testing::read_with("a.svg", broken.to_vec(), &testing::strictly(Strictness::Strict)).is_err());
    }

    #[test]
    fn bombs_are_refused_before_they_are_drawn() {
        let bad = |name: &str| testing::read("a.svg", testing::data(&format!("svg/malformed/{name}")));
        for (name, limit) in [
            ("use-bomb.svg", "elements"),
            ("mask-bomb.svg", "elements"),
            ("size-bomb.svg", "pixels"),
            ("pattern-bomb.svg", "pixels"),
            ("morphology-bomb.svg", "pixels"),
            ("deep.svg", "depth"),
        ] {
            let error = bad(name).unwrap_err();
            assert_eq!(error.limit_name(), Some(limit), "{name}: {error}");
        }
        assert_eq!(testing::codes(&bad("self-recursive-xlink-href.svg").unwrap()), ["svg.loop"]);
        let error = bad("cycle-mixed.svg").unwrap_err();
        assert!(error.message().contains("shows itself"), "{error}");
        let error = bad("truncated.svg").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.location().is_some_and(|location| location.line.is_some()), "{error:?}");
        let entities: String =
            (1..9).map(|level| format!("<!ENTITY a{level} '{}'>", format!("&a{};", level - 1).repeat(10))).collect();
        let text = format!(
            "<!DOCTYPE svg [<!ENTITY a0 'aaaaaaaaaa'>{entities}]><svg xmlns='http://www.w3.org/2000/svg'><desc>&a8;</desc></svg>"
        );
        assert!(testing::read("a.svg", text.into_bytes()).is_err());
    }

    #[test]
    fn references_of_style_sheets_are_counted() {
        let sheet: String = (1..12).map(|level| format!(".m{level} {{ mask: url(#m{}) }}", level - 1)).collect();
        let masks: String = (1..12)
            .map(|level| format!("<mask id='m{level}'>{}</mask>", format!("<rect class='m{level} x'/>").repeat(10)))
            .collect();
        let body = format!(
            "width='9' height='9'><style>{sheet}</style><mask id='m0'><rect/></mask>{masks}<rect mask='url(#m11)'/>"
        );
        assert_eq!(drawn(&body).unwrap_err().limit_name(), Some("elements"));
    }

    #[test]
    fn the_budget_holds_for_pictures_within() {
        let picture = "<image width='9' height='9' href='data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 width=%2290%22 height=%2290%22/%3E'/>";
        let body = format!("width='9' height='9'>{picture}");
        assert_eq!(testing::codes(&drawn(&body).unwrap()), [""; 0]);
        let mut options = mediary_core::ReadOptions::default();
        options.limits = Limits::default();
        options.limits.alloc_bytes = 2000;
        let text = format!("<svg xmlns='http://www.w3.org/2000/svg' {body}</svg>");
        let error = testing::read_with("a.svg", text.into_bytes(), &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("alloc_bytes"));
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("svg");
    }
}
