//! What people or models say about an image: boxes and masks in named layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};

/// Boxes and masks of one layer, e.g. `predictions` or `ground_truth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Box2 {
    /// `[min_x, min_y, max_x, max_y]` in pixels.
    pub pixels: [f64; 4],
    /// Class.
    pub class_id: i64,
    /// Text beside the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Scores by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
}

/// A raster of class ids, row-major from the top left corner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mask {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    #[serde(skip)]
    classes: Arc<[u16]>,
}

impl Mask {
    /// A mask.
    ///
    /// # Errors
    /// `Malformed` when the number of ids is not `width * height`.
    pub fn new(width: u32, height: u32, classes: impl Into<Arc<[u16]>>) -> Result<Self> {
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
}

/// Layers by name.
pub type Annotations = BTreeMap<String, Layer>;
