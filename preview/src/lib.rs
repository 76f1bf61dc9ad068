//! Pictures of media records: what a person sees before opening the thing.
//!
//! ```text
//! MediaRecord ──picture──▶ Image
//! ```
//!
//! One file a kind. Pictures are drawn by the processor alone and are the same bytes on any number of threads.
//! A program that links this crate, as `mediary` does, gets them from every writer of images too: the crate registers itself
//! as the depiction of the registry.
#![forbid(unsafe_code)]

mod camera;
mod canvas;
mod color;
mod image;
mod light;
mod math;
mod occlusion;
mod overlay;
mod parallel;
mod points;
mod raster;
mod scene;
mod shrink;
#[cfg(test)]
mod tests;
mod text;

use mediary_core::record::{Annotations, Image};
use mediary_core::{Context, Error, Media, MediaRecord, Registry, Result};

use canvas::Backdrop;

pub use camera::Up;

/// The largest side of a picture.
pub const MAX_SIZE: u32 = 2048;
/// The smallest side of a picture.
pub const MIN_SIZE: u32 = 16;

/// What is behind things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Background {
    /// Light gray behind scenes, dark gray behind points; a little darker to the corners.
    #[default]
    Studio,
    /// Nothing: the picture has alpha.
    Transparent,
    /// This sRGB colour.
    Color([u8; 3]),
}

/// What is drawn of boxes and masks.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Marks {
    /// Names of layers; none is all.
    pub layers: Vec<String>,
    /// Names or ids of classes; none is all.
    pub classes: Vec<String>,
    /// Boxes that have scores are drawn if one is so high; the default is 0.
    pub min_score: f64,
}

/// How to draw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PreviewOptions {
    /// Pixels to a side, 16 to 2048; the default is 512. Images keep their proportions and are not enlarged.
    pub size: u32,
    /// What is behind scenes and points.
    pub background: Background,
    /// Which axis points up; `None` is what the record says, and otherwise y of scenes and z of point clouds.
    pub up: Option<Up>,
    /// What is drawn of boxes and masks on an image.
    pub marks: Marks,
    /// Threads to draw with; 0 is one a core. The picture does not depend on it.
    pub threads: usize,
}

impl Default for PreviewOptions {
    fn default() -> Self {
        Self { size: 512, background: Background::default(), up: None, marks: Marks::default(), threads: 0 }
    }
}

impl PreviewOptions {
    fn pixels(&self) -> usize {
        self.size.clamp(MIN_SIZE, MAX_SIZE) as usize
    }

    /// Samples to the side of a pixel: the grid has no more than 4096 to its side.
    fn grid(&self) -> usize {
        (4096 / self.pixels()).clamp(2, 4)
    }

    fn threads(&self) -> usize {
        if self.threads == 0 { parallel::available() } else { self.threads }
    }
}

mediary_core::register_depiction!(|media, registry, cx| {
    draw(media, &Annotations::new(), registry, &PreviewOptions::default(), cx)
});

/// The picture of a record: of an image with the boxes and masks on it and a legend below it, if it has any. Streams are read to
/// their end. `registry` decodes textures; findings and losses go to `cx`.
///
/// # Errors
/// `Unsupported` for a kind that has no pictures yet; `Limit` where memory or time is up; what a stream reports.
pub fn picture(record: &mut MediaRecord, registry: &Registry, options: &PreviewOptions, cx: &Context) -> Result<Image> {
    draw(&mut record.media, &record.annotations, registry, options, cx)
}

fn draw(
    media: &mut Media,
    annotations: &Annotations,
    registry: &Registry,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<Image> {
    match media {
        Media::Image(image) => image::picture(image, annotations, options, cx),
        Media::Scene(scene) => {
            let (canvas, backdrop) = scene::draw(scene, registry, options, cx)?;
            canvas.into_image(options.background, backdrop)
        }
        Media::PointCloud(cloud) => points::draw(cloud, options, cx)?.into_image(options.background, Backdrop::Dark),
        other => Err(Error::unsupported(format!("there are no pictures of the kind {} yet", other.kind()))),
    }
}
