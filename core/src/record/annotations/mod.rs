//! What people or models say about an image: boxes and masks in named layers.

mod position;
mod runs;
mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::buffer::Buffer;
use crate::context::Context;
use crate::error::{Error, Result};

pub use position::{Form, Position, Unit, fraction, pixel};
pub use runs::Runs;
pub use validate::{Finding, settle, validate};

/// Layers by name.
pub type Annotations = BTreeMap<String, Layer>;

/// Boxes and masks of one layer, e.g. `predictions` or `ground_truth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// Class names by id. An id without a name is called `class_<id>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub class_labels: BTreeMap<i64, String>,
    /// Boxes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<Box2>,
    /// A class-id raster of the image's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
}

impl Layer {
    /// The name of a class.
    #[must_use]
    pub fn label(&self, class_id: i64) -> String {
        self.class_labels.get(&class_id).cloned().unwrap_or_else(|| format!("class_{class_id}"))
    }

    /// Whether a box tells which pixels are its object.
    #[must_use]
    pub fn has_regions(&self) -> bool {
        self.boxes.iter().any(|one| one.runs.is_some() || !one.polygons.is_empty())
    }

    /// The class of every pixel of an image of this size: the mask, or `background` where there is none, over which the regions
    /// of the boxes are painted in their order. Boxes without a region paint nothing.
    ///
    /// # Errors
    /// `Malformed` for a mask or runs of another size and for classes beyond 16 bits, with the element in this layer; `Limit`;
    /// `Cancelled`.
    pub fn raster(&self, width: u32, height: u32, background: u16, cx: &Context) -> Result<Mask> {
        let pixels = u64::from(width) * u64::from(height);
        cx.limits().check("pixels", pixels)?;
        cx.budget().take(pixels.saturating_mul(2))?;
        let mut classes = match &self.mask {
            None => vec![background; usize::try_from(pixels).unwrap_or(usize::MAX)],
            Some(mask) if (mask.width, mask.height) == (width, height) => mask.classes().to_vec(),
            Some(mask) => {
                let (found, other) = (mask.width, mask.height);
                let message = format!("expected a mask of {width} x {height} pixels, found {found} x {other}");
                return Err(Error::malformed(message).at_element("mask"));
            }
        };
        for (index, one) in self.boxes.iter().enumerate() {
            let Some(runs) = one.region(width, height, cx)? else { continue };
            let at = |error: Error| error.at_element(format!("boxes[{index}]"));
            let class = u16::try_from(one.class_id).map_err(|_| {
                at(Error::malformed(format!("expected a class from 0 to 65535, found {}", one.class_id)))
            })?;
            if (runs.width, runs.height) != (width, height) {
                let (found, other) = (runs.width, runs.height);
                let message = format!("expected runs over {width} x {height} pixels, found {found} x {other}");
                return Err(at(Error::malformed(message)));
            }
            runs.paint(&mut classes, class, cx)?;
        }
        Mask::new(width, height, classes)
    }
}

/// A box in pixels: (0, 0) is the top left corner of the image, x to the right, y down. It may reach beyond the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Box2 {
    /// `[min_x, min_y, max_x, max_y]` in pixels.
    #[serde(with = "crate::wire::number")]
    pub pixels: [f64; 4],
    /// The same as its source spells it, where that is not these corners: what keeps numbers to the last bit on the way from
    /// fractions to pixels and back. Ignored once [`pixels`](Self::pixels) are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Class.
    pub class_id: i64,
    /// Text beside the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Scores by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "crate::wire::number")]
    pub scores: BTreeMap<String, f64>,
    /// Outlines of the object in pixels, each a list of `[x, y]`: together they are its region.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::wire::number")]
    pub polygons: Vec<Vec<[f64; 2]>>,
    /// The pixels of the object, where they are known one by one; they count before polygons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Runs>,
    /// What the source says of the box beside that, by the source's own keys, e.g. `iscrowd` or `difficult`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

impl Box2 {
    /// A box at a position in an image of this size.
    #[must_use]
    pub fn at(position: Position, class_id: i64, width: u32, height: u32) -> Self {
        let pixels = position.pixels(width, height);
        let plain = (position.form, position.unit) == (Form::Corners, Unit::Pixel);
        Self { pixels, position: Some(position).filter(|_| !plain), class_id, ..Self::default() }
    }

    /// The box spelled another way, for an image of this size: as its source has it where the source spells it so; otherwise
    /// with the fewest digits that give the same pixels again.
    #[must_use]
    pub fn spelled(&self, form: Form, unit: Unit, width: u32, height: u32) -> [f64; 4] {
        match self.position {
            Some(given) if (given.form, given.unit) == (form, unit) && given.pixels(width, height) == self.pixels => {
                given.values
            }
            _ => Position::of(self.pixels, form, unit, width, height).values,
        }
    }

    /// The pixels of the object in an image of this size: of its runs, or inside of its polygons; `None` when it has neither.
    ///
    /// # Errors
    /// `Limit` and `Cancelled`.
    pub fn region(&self, width: u32, height: u32, cx: &Context) -> Result<Option<Runs>> {
        match &self.runs {
            Some(runs) => Ok(Some(runs.clone())),
            None if self.polygons.is_empty() => Ok(None),
            None => Runs::of_polygons(&self.polygons, width, height, cx).map(Some),
        }
    }

    /// The smallest box around points.
    #[must_use]
    pub fn around(points: &[[f64; 2]]) -> [f64; 4] {
        let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for [x, y] in points {
            bounds = [bounds[0].min(*x), bounds[1].min(*y), bounds[2].max(*x), bounds[3].max(*y)];
        }
        if points.is_empty() { [0.0; 4] } else { bounds }
    }
}

/// A raster of class ids, row-major from the top left corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MaskParts")]
pub struct Mask {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    // Bulk is no part of the record JSON.
    #[serde(skip_serializing_if = "crate::wire::outside")]
    classes: Buffer<u16>,
}

#[derive(Deserialize)]
struct MaskParts {
    width: u32,
    height: u32,
    classes: Buffer<u16>,
}

impl TryFrom<MaskParts> for Mask {
    type Error = Error;

    fn try_from(parts: MaskParts) -> Result<Self> {
        Self::new(parts.width, parts.height, parts.classes)
    }
}

impl Mask {
    /// A mask.
    ///
    /// # Errors
    /// `Malformed` when the number of ids is not `width * height`.
    pub fn new(width: u32, height: u32, classes: impl Into<Buffer<u16>>) -> Result<Self> {
        let classes = classes.into();
        let expected = u64::from(width) * u64::from(height);
        if classes.len() as u64 != expected {
            return Err(Error::malformed(format!(
                "{width} x {height} pixels are {expected} class ids, found {}",
                classes.len()
            )));
        }
        Ok(Self { width, height, classes })
    }

    /// Class ids, `[y * width + x]`.
    #[must_use]
    pub fn classes(&self) -> &[u16] {
        &self.classes
    }

    /// The classes that occur, in order.
    #[must_use]
    pub fn occurring(&self) -> Vec<u16> {
        let mut seen = vec![false; 1 << 16];
        for &class in self.classes.as_slice() {
            seen[usize::from(class)] = true;
        }
        (0..=u16::MAX).filter(|&class| seen[usize::from(class)]).collect()
    }
}

/// Shares the bulk, so that it crosses a boundary without a copy.
pub(crate) fn share(annotations: &mut Annotations) {
    for layer in annotations.values_mut() {
        if let Some(mask) = &mut layer.mask {
            let _ = mask.classes.share();
        }
        layer.boxes.iter_mut().filter_map(|one| one.runs.as_mut()).for_each(Runs::share);
    }
}
