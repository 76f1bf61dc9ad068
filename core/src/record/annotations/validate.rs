//! What is wrong with annotations, each with its element, and what is done about it.
//!
//! | code | what | strict | default | lenient |
//! |---|---|---|---|---|
//! | `order` | a corner that is to be the lower one is the upper one | error | corners swapped | corners swapped |
//! | `range` | a box or polygon reaches beyond the image, or lies outside of it | error | kept | kept |
//! | `empty` | a box without area and without an outline | error | kept | kept |
//! | `class` | a class without a label, where the layer labels some | error | kept | kept |
//! | `polygon` | an outline of fewer than three corners | error | kept | kept |
//! | `not-finite` | NaN or infinity as a coordinate | error | error | box left out |
//! | `score` | NaN or infinity as a score | error | error | score left out |
//! | `runs-size` | runs over another size than the image's | error | error | runs left out |
//! | `mask-size` | a mask of another size than the image's | error | error | mask left out |
//!
//! What is kept or repaired is a warning, what is left out a finding of severity error. Findings of one code are one diagnostic, which
//! counts them and names the first elements.

use super::{Annotations, Box2, Layer};
use crate::context::{Context, Strictness};
use crate::diagnostic::Severity;
use crate::error::{Error, Location, Result};

/// Elements that a message names after the first.
const NAMED: usize = 8;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of wrong it is: a row of the table of this module.
    pub code: &'static str,
    /// Where, e.g. `predictions.boxes[3]`.
    pub element: String,
    /// What was expected and found.
    pub message: String,
    /// Whether it is data that cannot be used, and no oddity.
    pub is_breach: bool,
}

/// Everything that is wrong with annotations of an image of this size, in order.
#[must_use]
pub fn validate(annotations: &Annotations, width: u32, height: u32) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, layer) in annotations {
        for (index, one) in layer.boxes.iter().enumerate() {
            let place = || format!("{name}.boxes[{index}]");
            of_box(layer, one, [width, height], &mut |wrong| found.push(wrong.at(place())));
        }
        of_mask(layer, [width, height], &mut |wrong| found.push(wrong.at(format!("{name}.mask"))));
    }
    found
}

/// Reports what is wrong with annotations of an image of this size, and repairs or leaves out what the table of this module says.
///
/// # Errors
/// `Malformed` with the element, as far as the strictness does not tolerate it; `Cancelled`; `Limit`.
pub fn settle(annotations: &mut Annotations, width: u32, height: u32, cx: &Context) -> Result<()> {
    let mut groups: Vec<Group> = Vec::new();
    for (name, layer) in annotations.iter_mut() {
        let mut boxes = std::mem::take(&mut layer.boxes);
        let mut index = 0;
        let mut stopped = Ok(());
        boxes.retain_mut(|one| {
            if index % 1024 == 0 && stopped.is_ok() {
                stopped = cx.checkpoint();
            }
            let mut codes = [""; 8];
            let mut count = 0;
            of_box(layer, one, [width, height], &mut |wrong| {
                codes[count.min(7)] = wrong.code;
                count += 1;
                group(&mut groups, wrong, || format!("{name}.boxes[{index}]"));
            });
            index += 1;
            let has = |code: &str| codes.contains(&code);
            if has("order") {
                let [a, b, c, d] = one.pixels;
                one.pixels = [a.min(c), b.min(d), a.max(c), b.max(d)];
            }
            if has("score") {
                one.scores.retain(|_, score| score.is_finite());
            }
            if has("runs-size") {
                one.runs = None;
            }
            !has("not-finite")
        });
        layer.boxes = boxes;
        stopped?;
        let mut wrong_size = false;
        of_mask(layer, [width, height], &mut |wrong| {
            wrong_size |= wrong.code == "mask-size";
            group(&mut groups, wrong, || format!("{name}.mask"));
        });
        if wrong_size {
            layer.mask = None;
        }
    }
    groups.into_iter().try_for_each(|group| group.report(cx))
}

/// A finding whose place is not named yet.
struct Wrong {
    code: &'static str,
    is_breach: bool,
    message: String,
}

impl Wrong {
    fn at(self, element: String) -> Finding {
        Finding { code: self.code, element, message: self.message, is_breach: self.is_breach }
    }
}

type Tell<'a> = dyn FnMut(Wrong) + 'a;

fn odd(tell: &mut Tell<'_>, code: &'static str, message: String) {
    tell(Wrong { code, is_breach: false, message });
}

fn breach(tell: &mut Tell<'_>, code: &'static str, message: String) {
    tell(Wrong { code, is_breach: true, message });
}

fn of_box(layer: &Layer, one: &Box2, [width, height]: [u32; 2], tell: &mut Tell<'_>) {
    let [left, top, right, bottom] = one.pixels;
    let corners = || one.polygons.iter().flatten();
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    if !finite(&one.pixels) || !corners().all(|corner| finite(corner)) {
        let found = if finite(&one.pixels) { "a polygon that has none".into() } else { format!("{:?}", one.pixels) };
        breach(tell, "not-finite", format!("expected finite coordinates, found {found}"));
        return;
    }
    if left > right || top > bottom {
        let axis = |low, high| format!("min {low} above max {high}");
        let found = if left > right { axis(left, right) } else { axis(top, bottom) };
        odd(tell, "order", format!("expected min below max, found {found}"));
    }
    let (across, down) = (f64::from(width), f64::from(height));
    let is_inside = |x: f64, y: f64| (0.0..=across).contains(&x) && (0.0..=down).contains(&y);
    let (low, high) = ([left.min(right), top.min(bottom)], [left.max(right), top.max(bottom)]);
    if high[0] < 0.0 || high[1] < 0.0 || low[0] > across || low[1] > down {
        odd(tell, "range", format!("{:?} lies outside of the image of {width} x {height} pixels", one.pixels));
    } else if !is_inside(left, top) || !is_inside(right, bottom) || !corners().all(|&[x, y]| is_inside(x, y)) {
        let what = if is_inside(left, top) && is_inside(right, bottom) {
            "a polygon".into()
        } else {
            format!("{:?}", one.pixels)
        };
        odd(tell, "range", format!("{what} reaches beyond the image of {width} x {height} pixels"));
    }
    let is_bare = one.polygons.is_empty() && one.runs.is_none() && one.properties.is_empty();
    if is_bare && (left == right || top == bottom) {
        odd(tell, "empty", format!("expected a box with an area, found {:?}", one.pixels));
    }
    if !layer.class_labels.is_empty() && !layer.class_labels.contains_key(&one.class_id) {
        odd(tell, "class", unlabelled(layer, one.class_id));
    }
    if let Some(few) = one.polygons.iter().map(Vec::len).find(|&corners| corners < 3) {
        odd(tell, "polygon", format!("expected a polygon of three corners or more, found {few}; it has no inside"));
    }
    if let Some((name, score)) = one.scores.iter().find(|(_, score)| !score.is_finite()) {
        breach(tell, "score", format!("expected a finite score, found {name} = {score}"));
    }
    if let Some(runs) = one.runs.as_ref().filter(|runs| (runs.width, runs.height) != (width, height)) {
        let found = format!("{} x {}", runs.width, runs.height);
        breach(tell, "runs-size", format!("expected runs over {width} x {height} pixels, the image's, found {found}"));
    }
}

fn of_mask(layer: &Layer, [width, height]: [u32; 2], tell: &mut Tell<'_>) {
    let Some(mask) = &layer.mask else { return };
    if (mask.width, mask.height) != (width, height) {
        let found = format!("{} x {}", mask.width, mask.height);
        breach(tell, "mask-size", format!("expected a mask of {width} x {height} pixels, the image's, found {found}"));
    }
    if layer.class_labels.is_empty() {
        return;
    }
    // 0 is what most masks have where there is nothing.
    for class in mask.occurring().into_iter().map(i64::from).filter(|&class| class != 0) {
        if !layer.class_labels.contains_key(&class) {
            odd(tell, "class", unlabelled(layer, class));
        }
    }
}

fn unlabelled(layer: &Layer, class: i64) -> String {
    let known = layer.class_labels.keys().take(NAMED).map(i64::to_string).collect::<Vec<_>>().join(", ");
    let more = if layer.class_labels.len() > NAMED { ", …" } else { "" };
    format!("expected a class with a label ({known}{more}), found {class}")
}

/// Findings of one code.
struct Group {
    first: Finding,
    others: Vec<String>,
    count: u64,
}

fn group(groups: &mut Vec<Group>, wrong: Wrong, element: impl Fn() -> String) {
    match groups.iter_mut().find(|group| group.first.code == wrong.code) {
        None => groups.push(Group { first: wrong.at(element()), others: Vec::new(), count: 1 }),
        Some(group) => {
            group.count += 1;
            if group.others.len() < NAMED {
                group.others.push(element());
            }
        }
    }
}

impl Group {
    fn report(self, cx: &Context) -> Result<()> {
        let Self { first, others, count } = self;
        let place = Location::element(first.element);
        let mut message = first.message;
        let strictness = cx.strictness();
        if strictness == Strictness::Strict || first.is_breach && strictness == Strictness::Default {
            let hint = if first.is_breach { "--lenient leaves it out" } else { "it is tolerated without --strict" };
            return Err(Error::malformed(message).at(place).with_hint(hint));
        }
        if !others.is_empty() {
            let more = count - 1 - others.len() as u64;
            message += &format!("; so {}", others.join(", "));
            if more > 0 {
                message += &format!(" and {more} more");
            }
        }
        let severity = if first.is_breach { Severity::Error } else { Severity::Warning };
        cx.report_times(severity, first.code, message, Some(place), count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Mask, annotations::Runs};

    fn wrong_boxes() -> Layer {
        let one = |pixels: [f64; 4]| Box2 { pixels, class_id: 1, ..Box2::default() };
        let good = [1.0, 1.0, 2.0, 2.0];
        Layer {
            class_labels: [(1, "cat".into())].into(),
            boxes: vec![
                one(good),
                one([3.0, 1.0, 2.0, 2.0]),
                one([1.0, 1.0, 9.0, 2.0]),
                one([20.0, 1.0, 22.0, 2.0]),
                one([1.0, f64::NAN, 2.0, 2.0]),
                one([1.0, 1.0, f64::INFINITY, 2.0]),
                one([1.0, 1.0, 1.0, 2.0]),
                Box2 { class_id: 7, ..one(good) },
                Box2 { scores: [("p".into(), f64::NAN), ("q".into(), 0.5)].into(), ..one(good) },
                Box2 { polygons: vec![vec![[1.0, 1.0], [2.0, 2.0]]], ..one(good) },
                Box2 { runs: Some(Runs::new(1, 1, vec![1]).unwrap()), ..one(good) },
                Box2 { polygons: vec![vec![[1.0, 1.0], [2.0, 2.0], [-1.0, 0.0]]], ..one(good) },
            ],
            mask: Some(Mask::new(2, 1, vec![0, 3]).unwrap()),
        }
    }

    #[test]
    fn each_wrong_one_is_named_with_its_element() {
        let annotations = Annotations::from([("predictions".into(), wrong_boxes())]);
        let found: Vec<_> =
            validate(&annotations, 8, 4).into_iter().map(|it| (it.code, it.element, it.is_breach)).collect();
        let at = |index: usize| format!("predictions.boxes[{index}]");
        let mask = || "predictions.mask".to_owned();
        let expected = [
            ("order", at(1), false),
            ("range", at(2), false),
            ("range", at(3), false),
            ("not-finite", at(4), true),
            ("not-finite", at(5), true),
            ("empty", at(6), false),
            ("class", at(7), false),
            ("score", at(8), true),
            ("polygon", at(9), false),
            ("runs-size", at(10), true),
            ("range", at(11), false),
            ("mask-size", mask(), true),
            ("class", mask(), false),
        ];
        assert_eq!(found, expected);
    }

    fn settled(strictness: Strictness, layer: Layer) -> (Result<()>, Layer, Context) {
        let cx = Context::builder("test").strictness(strictness).build();
        let mut annotations = Annotations::from([("a".into(), layer)]);
        let result = settle(&mut annotations, 8, 4, &cx);
        (result, annotations.remove("a").unwrap(), cx)
    }

    #[test]
    fn lenient_leaves_out_what_default_refuses() {
        let (result, layer, cx) = settled(Strictness::Lenient, wrong_boxes());
        result.unwrap();
        assert_eq!(layer.boxes.len(), 10);
        assert_eq!(layer.boxes[1].pixels, [2.0, 1.0, 3.0, 2.0]);
        assert_eq!(layer.boxes[6].scores.len(), 1);
        assert!(layer.mask.is_none() && layer.boxes[8].runs.is_none());
        let told = cx.diagnostics().to_vec();
        let range = told.iter().find(|it| it.code == "test.range").unwrap();
        assert_eq!((range.count, range.severity), (3, Severity::Warning));
        assert!(range.message.ends_with("; so a.boxes[3], a.boxes[11]"), "{}", range.message);
        assert_eq!(range.location, Some(Location::element("a.boxes[2]")));

        let error = settled(Strictness::Default, wrong_boxes()).0.unwrap_err();
        assert_eq!(error.location(), Some(&Location::element("a.boxes[4]")));
    }

    #[test]
    fn strict_refuses_oddities_and_default_takes_them() {
        let mut layer = wrong_boxes();
        layer.mask = None;
        layer.boxes.retain(|one| {
            one.runs.is_none() && one.scores.is_empty() && one.pixels.iter().all(|value| value.is_finite())
        });
        for keep in 0..layer.boxes.len() {
            let one = Layer { boxes: vec![layer.boxes[keep].clone()], ..layer.clone() };
            let (strict, ..) = settled(Strictness::Strict, one.clone());
            assert_eq!(strict.is_ok(), keep == 0, "{keep}");
            let (default, after, cx) = settled(Strictness::Default, one);
            assert!(default.is_ok() && after.boxes.len() == 1);
            assert_eq!(cx.diagnostics().is_empty(), keep == 0);
        }
    }
}
