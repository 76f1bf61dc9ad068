//! What people or models say about an image: boxes and masks in named layers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use crate::error::{Error, Result};

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
}

/// A box in pixels: (0, 0) is the top left corner of the image, x to the right, y down. It may reach beyond the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Box2 {
    /// `[min_x, min_y, max_x, max_y]` in pixels.
    #[serde(with = "crate::wire::number")]
    pub pixels: [f64; 4],
    /// Class.
    pub class_id: i64,
    /// Text beside the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Scores by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "crate::wire::number")]
    pub scores: BTreeMap<String, f64>,
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

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        let _ = self.classes.share();
    }

    /// Class ids, `[y * width + x]`.
    #[must_use]
    pub fn classes(&self) -> &[u16] {
        &self.classes
    }
}

/// Layers by name.
pub type Annotations = BTreeMap<String, Layer>;
