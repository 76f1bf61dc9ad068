//! Boxes, regions and masks on a picture, with a legend below it: what people look at to see whether labels are right.
//!
//! Colours belong to classes and are the same in every picture; layers differ by their strokes. Regions are translucent with a firm
//! rim. Large boxes are drawn first and words are put where they hide no others, as far as there is room.

mod legend;
mod region;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mediary_core::record::{Annotations, Box2, Image, Layer};
use mediary_core::{Context, Result};

use crate::canvas::over;
use crate::color;
use crate::math::V3;
use crate::{Marks, PreviewOptions};

pub(crate) use legend::Legend;

/// A picture while it is drawn on: RGB in linear light, times alpha, and alpha.
pub(crate) struct Sheet {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<[f32; 4]>,
}

impl Sheet {
    /// Lays a colour over a pixel; outside there is none.
    fn blend(&mut self, x: i64, y: i64, color: V3, alpha: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height && alpha > 0.0 {
            over(&mut self.pixels[y * self.width + x], color, alpha.min(1.0));
        }
    }

    /// Fills a rectangle.
    fn fill(&mut self, left: i64, top: i64, width: usize, height: usize, color: V3, alpha: f32) {
        let end = |start: i64, length: usize, most: usize| (start + length as i64).clamp(0, most as i64);
        for y in top.max(0)..end(top, height, self.height) {
            for x in left.max(0)..end(left, width, self.width) {
                self.blend(x, y, color, alpha);
            }
        }
    }
}

/// How the lines of a layer are drawn: the first solid, the next broken.
#[derive(Clone, Copy, PartialEq)]
enum Stroke {
    Solid,
    Dashed,
    Dotted,
}

impl Stroke {
    fn of(layer: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::Dotted][layer.min(2)]
    }

    /// Whether there is ink at this place along a line of this width.
    fn has_ink(self, along: f32, wide: f32) -> bool {
        match self {
            Self::Solid => true,
            Self::Dashed => along.rem_euclid(wide * 7.0) < wide * 4.5,
            Self::Dotted => along.rem_euclid(wide * 3.0) < wide * 1.5,
        }
    }
}

/// The colour of a class, in linear light.
fn class_color(class: i64) -> V3 {
    // Category 1 is the first colour, and ids often begin with 1.
    color::category(class)
}

/// Black or white, whichever is legible on a colour.
fn ink_on(color: V3) -> V3 {
    let light = 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2];
    if light > 0.2 { [0.0; 3] } else { [1.0; 3] }
}

/// What is to be drawn: the chosen boxes and masks of the chosen layers.
pub(crate) struct Overlay<'a> {
    layers: Vec<Chosen<'a>>,
    size: [u32; 2],
}

struct Chosen<'a> {
    name: &'a str,
    layer: &'a Layer,
    stroke: Stroke,
    boxes: Vec<&'a Box2>,
    marks: &'a Marks,
}

impl Chosen<'_> {
    /// Whether a class is shown. Class 0 of a mask is what is behind, unless it has a name that says otherwise.
    fn shows(&self, class: i64) -> bool {
        self.marks.classes.is_empty()
            || self
                .marks
                .classes
                .iter()
                .any(|wanted| *wanted == self.layer.label(class) || *wanted == class.to_string())
    }

    fn is_background(&self, class: i64) -> bool {
        const BEHIND: [&str; 5] = ["background", "unlabeled", "unlabelled", "void", "none"];
        let name = self.layer.class_labels.get(&class);
        name.map_or(class == 0, |name| BEHIND.contains(&name.to_lowercase().trim_matches('_')))
    }

    /// The classes that are drawn, and how often boxes have them.
    fn classes(&self, in_mask: &std::collections::BTreeSet<u16>) -> BTreeMap<i64, usize> {
        let mut classes = BTreeMap::new();
        for class in in_mask {
            classes.insert(i64::from(*class), 0);
        }
        for one in &self.boxes {
            *classes.entry(one.class_id).or_insert(0) += 1;
        }
        classes
    }
}

impl<'a> Overlay<'a> {
    /// What the options choose; `None` when that is nothing.
    pub(crate) fn of(image: &Image, annotations: &'a Annotations, options: &'a PreviewOptions) -> Option<Self> {
        let marks = &options.marks;
        let wanted = |name: &str| marks.layers.is_empty() || marks.layers.iter().any(|layer| layer == name);
        let mut layers = Vec::new();
        for (name, layer) in annotations.iter().filter(|(name, _)| wanted(name)) {
            let mut chosen = Chosen { name, layer, stroke: Stroke::of(layers.len()), boxes: Vec::new(), marks };
            let scored =
                |one: &&Box2| one.scores.is_empty() || one.scores.values().any(|score| *score >= marks.min_score);
            chosen.boxes = layer.boxes.iter().filter(|one| chosen.shows(one.class_id)).filter(scored).collect();
            // Large ones first, so that small ones are seen.
            chosen.boxes.sort_by(|a, b| area(b).total_cmp(&area(a)));
            if !chosen.boxes.is_empty() || layer.mask.is_some() {
                layers.push(chosen);
            }
        }
        (!layers.is_empty()).then(|| Self { layers, size: [image.width(), image.height()] })
    }

    /// Draws everything on a picture of the image, and returns what the legend is to say.
    pub(crate) fn draw(&self, sheet: &mut Sheet, cx: &Context) -> Result<Legend> {
        let mut legend = Legend::default();
        let scale = [sheet.width as f32 / self.size[0] as f32, sheet.height as f32 / self.size[1] as f32];
        let wide = (sheet.width.max(sheet.height) as f32 / 256.0).max(2.0);
        let mut tags = tag::Tags::new(sheet);
        for chosen in &self.layers {
            cx.checkpoint()?;
            let in_mask = region::mask(sheet, chosen, wide)?;
            region::instances(sheet, chosen, self.size, wide, cx)?;
            legend.add(chosen, &chosen.classes(&in_mask), self.layers.len() > 1);
        }
        for chosen in &self.layers {
            for one in &chosen.boxes {
                let corners = corners(one, scale);
                frame(sheet, corners, class_color(one.class_id), chosen.stroke, wide);
            }
        }
        // Words last, and those of the smallest boxes first: they have the least room.
        for chosen in &self.layers {
            for one in chosen.boxes.iter().rev() {
                tags.put(sheet, corners(one, scale), &words(one, chosen.layer), class_color(one.class_id));
            }
        }
        Ok(legend)
    }
}

fn area(one: &Box2) -> f64 {
    let [x0, y0, x1, y1] = one.pixels;
    (x1 - x0).abs() * (y1 - y0).abs()
}

/// Left, top, right and bottom in pixels of the sheet.
fn corners(one: &Box2, scale: [f32; 2]) -> [f32; 4] {
    let [x0, y0, x1, y1] = one.pixels.map(|value| if value.is_finite() { value.clamp(-1e6, 1e6) as f32 } else { 0.0 });
    let [left, right] = [x0.min(x1) * scale[0], x0.max(x1) * scale[0]];
    let [top, bottom] = [y0.min(y1) * scale[1], y0.max(y1) * scale[1]];
    [left, top, right, bottom]
}

/// The name of the class or the caption, and the score.
fn words(one: &Box2, layer: &Layer) -> String {
    let name = layer.label(one.class_id);
    // A caption that begins with the name says it all.
    let mut words = match &one.caption {
        Some(caption) if !caption.trim().is_empty() => caption.trim().to_owned(),
        _ => name,
    };
    let usual = ["score", "confidence", "conf", "prob", "acc"].into_iter().find_map(|name| one.scores.get(name));
    if let Some(score) = usual.or_else(|| one.scores.values().next()).filter(|score| score.is_finite()) {
        words = format!("{words} {score:.2}");
    }
    words
}

/// The outline of a box: a coloured line between two thin dark ones, so that it is seen on anything.
fn frame(sheet: &mut Sheet, [left, top, right, bottom]: [f32; 4], color: V3, stroke: Stroke, wide: f32) {
    let reach = wide / 2.0 + 1.5;
    let (middle, half) = ([(left + right) / 2.0, (top + bottom) / 2.0], [(right - left) / 2.0, (bottom - top) / 2.0]);
    let from = |value: f32| (value - reach).floor() as i64;
    let to = |value: f32| (value + reach).ceil() as i64;
    let columns = from(left).max(0)..to(right).min(sheet.width as i64);
    for y in from(top).max(0)..to(bottom).min(sheet.height as i64) {
        let across = y as f32 + 0.5;
        let is_edge = (across - top).abs() <= reach || (across - bottom).abs() <= reach;
        let mut x = columns.start;
        while x < columns.end {
            let at = x as f32 + 0.5;
            if !is_edge && at > left + reach && at < right - reach {
                // Nothing inside: on to the right side.
                x = ((right - reach) as i64).max(x + 1);
                continue;
            }
            let apart = [(at - middle[0]).abs() - half[0], (across - middle[1]).abs() - half[1]];
            let outside = apart[0].max(0.0).hypot(apart[1].max(0.0));
            let distance = (outside + apart[0].max(apart[1]).min(0.0)).abs();
            let along = if apart[0].abs() < apart[1].abs() { across - top } else { at - left };
            if stroke.has_ink(along, wide) {
                let cover = |width: f32| (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                sheet.blend(x, y, [0.0; 3], cover(wide + 2.0) * 0.45);
                sheet.blend(x, y, color, cover(wide));
            }
            x += 1;
        }
    }
}
