//! The size of a picture, and of what is marked on it.

use std::num::NonZeroU32;

use mediary_core::record::annotations::Runs;
use mediary_core::record::{Annotations, ColorSpace, Image, Mask, Samples};
use mediary_core::{Context, Error, Result};
use mediary_scale::{Depth, Filter, Pixels};

use super::{invalid, mode, replace};

/// A new size, and the part of the picture that fills it.
pub(super) struct Plan {
    /// Pixels of the result.
    size: [u32; 2],
    /// Pixels that the part is brought to, in the middle of the result.
    drawn: [u32; 2],
    /// Left, top, width and height of the part, in pixels of the source.
    part: [f64; 4],
    filter: Filter,
    in_linear_light: bool,
}

impl Plan {
    /// What the options ask for; `None` for the size that the image has.
    pub(super) fn of(image: &Image, options: &mediary_core::Options) -> Result<Option<Self>> {
        let side = |name| u32::try_from(options.int(name)).ok().and_then(NonZeroU32::new).map(NonZeroU32::get);
        let (had, fit) = ([image.width(), image.height()], options.text("fit"));
        let [across, down] = had.map(f64::from);
        let rounded = |value: f64| (value.round() as u32).clamp(1, 65_535);
        let size = match (side("width"), side("height")) {
            (None, None) if fit != "inside" => {
                return Err(invalid(
                    format!("option image.fit: {fit} needs image.width and image.height"),
                    "give both sides, or leave out image.fit",
                ));
            }
            (None, None) => return Ok(None),
            (Some(width), None) => [width, rounded(down * f64::from(width) / across)],
            (None, Some(height)) => [rounded(across * f64::from(height) / down), height],
            (Some(width), Some(height)) => [width, height],
        };
        let [wide, high] = size.map(f64::from);
        let inside = (wide / across).min(high / down);
        let cover = (wide / across).max(high / down);
        let fitted = [across * inside, down * inside].map(rounded);
        let whole = [0.0, 0.0, across, down];
        let (size, drawn, part) = match fit {
            "stretch" => (size, size, whole),
            "cover" => {
                let [w, h] = [(wide / cover).min(across), (high / cover).min(down)];
                (size, size, [(across - w) / 2.0, (down - h) / 2.0, w, h])
            }
            "pad" => (size, fitted, whole),
            _ => (fitted, fitted, whole),
        };
        if size == had && part == whole && drawn == size {
            return Ok(None);
        }
        let filter = match options.text("filter") {
            "nearest" => Filter::Nearest,
            "box" => Filter::Box,
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            _ => Filter::Lanczos,
        };
        Ok(Some(Self { size, drawn, part, filter, in_linear_light: options.text("light") == "linear" }))
    }

    /// Resizes the picture. What is padded gets the colour, or transparent pixels.
    pub(super) fn image(&self, image: &mut Image, color: Option<[u8; 3]>, cx: &Context) -> Result<()> {
        if self.in_linear_light && image.color_space == ColorSpace::Srgb {
            let (bits, profile) = (image.samples().bits(), image.source_bits);
            let quiet = Context::new("image");
            mode::depth(image, "32", &quiet)?;
            self.scale(image, cx)?;
            mode::depth(image, if bits == 8 { "8" } else { "16" }, &quiet)?;
            image.source_bits = profile;
        } else {
            self.scale(image, cx)?;
        }
        if self.drawn != self.size { self.pad(image, color, cx) } else { Ok(()) }
    }

    fn scale(&self, image: &mut Image, cx: &Context) -> Result<()> {
        let [width, height] = self.drawn;
        let pixels = u64::from(width) * u64::from(height);
        cx.limits().check("pixels", pixels)?;
        let channels = image.channels();
        // Between the passes lies a picture of the new width and the old height; with alpha there is a copy as well.
        let between = u64::from(width.max(image.width())) * u64::from(image.height()) * 2;
        let scratch = (between + 2 * pixels) * u64::from(channels) * u64::from(image.samples().bits() / 8);
        cx.budget().take(scratch)?;
        cx.checkpoint()?;
        let samples = match image.samples() {
            Samples::U8(samples) => Samples::U8(self.run(image, samples, Depth::U8)?.into()),
            Samples::U16(samples) => {
                let scaled = self.run(image, bytemuck::cast_slice(samples), Depth::U16)?;
                Samples::U16(bytemuck::pod_collect_to_vec::<u8, u16>(&scaled).into())
            }
            Samples::F32(samples) => {
                let scaled = self.run(image, bytemuck::cast_slice(samples), Depth::F32)?;
                Samples::F32(bytemuck::pod_collect_to_vec::<u8, f32>(&scaled).into())
            }
            _ => return Err(Error::unsupported("samples of a new type cannot be resized")),
        };
        cx.checkpoint()?;
        replace(image, width, height, channels, samples)?;
        cx.budget().give_back(scratch);
        Ok(())
    }

    fn run(&self, image: &Image, bytes: &[u8], depth: Depth) -> Result<Vec<u8>> {
        let pixels = Pixels { bytes, size: [image.width(), image.height()], channels: image.channels(), depth };
        let scaled = pixels.scaled(self.part, self.drawn, self.filter);
        scaled.map_err(|error| Error::unsupported(format!("the picture cannot be resized: {error}")))
    }

    /// Where the drawn part begins in the result.
    fn corner(&self) -> [u32; 2] {
        [0, 1].map(|axis| (self.size[axis] - self.drawn[axis]) / 2)
    }

    fn pad(&self, image: &mut Image, color: Option<[u8; 3]>, cx: &Context) -> Result<()> {
        match (color, image.channels()) {
            (None, 1) => mode::channels(image, "gray-alpha", cx)?,
            (None, 3) => mode::channels(image, "rgba", cx)?,
            (Some([r, g, b]), 1) if r != g || g != b => mode::channels(image, "rgb", cx)?,
            _ => {}
        }
        let channels = usize::from(image.channels());
        let [width, height] = self.size;
        let count = u64::from(width) * u64::from(height) * channels as u64;
        cx.budget().take(count * u64::from(image.samples().bits() / 8))?;
        let clear = color.is_none();
        let color = color.unwrap_or_default();
        let behind = |channel: usize| if clear { 0 } else { color[if channels < 3 { 0 } else { channel }] };
        let behind: Vec<u8> = (0..channels).map(behind).collect();
        let samples = match image.samples() {
            Samples::U8(samples) => Samples::U8(self.placed(samples, &behind).into()),
            Samples::U16(samples) => {
                let behind: Vec<u16> = behind.iter().map(|value| u16::from(*value) * 257).collect();
                Samples::U16(self.placed(samples, &behind).into())
            }
            Samples::F32(samples) => {
                let linear = image.color_space == ColorSpace::Linear;
                let light = |value: &u8| {
                    let value = f64::from(*value) / 255.0;
                    (if linear { mediary_core::convert::srgb_to_linear(value) } else { value }) as f32
                };
                let behind: Vec<f32> = behind.iter().map(light).collect();
                Samples::F32(self.placed(samples, &behind).into())
            }
            _ => return Ok(()),
        };
        let channels = image.channels();
        replace(image, width, height, channels, samples)
    }

    fn placed<T: Copy>(&self, samples: &[T], behind: &[T]) -> Vec<T> {
        let [left, top] = self.corner().map(|at| at as usize);
        let [width, height] = self.size.map(|side| side as usize);
        let (row, channels) = (self.drawn[0] as usize * behind.len(), behind.len());
        let mut all = behind.repeat(width * height);
        for (y, line) in samples.chunks_exact(row).enumerate() {
            all[((top + y) * width + left) * channels..][..row].copy_from_slice(line);
        }
        all
    }

    /// Boxes and masks follow the picture.
    pub(super) fn annotations(&self, annotations: &mut Annotations, cx: &Context) -> Result<()> {
        let [left, top, width, height] = self.part;
        let scale = [f64::from(self.drawn[0]) / width, f64::from(self.drawn[1]) / height];
        let corner = self.corner().map(f64::from);
        let along = |value: f64, axis: usize| (value - [left, top][axis]) * scale[axis] + corner[axis];
        // A class is no number: the nearest pixel decides, and beside the picture there is none.
        let from = |at: u32, axis: usize, side: u32| {
            let at = (f64::from(at) + 0.5 - corner[axis]) / scale[axis] + [left, top][axis];
            (0.0..f64::from(side)).contains(&at).then_some(at as usize)
        };
        for layer in annotations.values_mut() {
            for one in &mut layer.boxes {
                let [x0, y0, x1, y1] = one.pixels;
                one.pixels = [along(x0, 0), along(y0, 1), along(x1, 0), along(y1, 1)];
                for [x, y] in one.polygons.iter_mut().flatten() {
                    (*x, *y) = (along(*x, 0), along(*y, 1));
                }
                if let Some(runs) = &one.runs {
                    let was = raster(runs);
                    let inside = |x: u32, y: u32| {
                        let (Some(x), Some(y)) = (from(x, 0, runs.width), from(y, 1, runs.height)) else {
                            return false;
                        };
                        was[x * runs.height as usize + y]
                    };
                    let [width, height] = self.size;
                    one.runs = Some(Runs::of_window(width, height, [0, 0, width, height], inside, cx)?);
                }
            }
            let Some(mask) = &layer.mask else { continue };
            let [wide, high] = self.size;
            let count = u64::from(wide) * u64::from(high);
            cx.budget().take(count * 2)?;
            cx.checkpoint()?;
            let columns: Vec<_> = (0..wide).map(|x| from(x, 0, mask.width)).collect();
            let mut classes = Vec::with_capacity(count as usize);
            for y in 0..high {
                let row = from(y, 1, mask.height);
                let class = |x: &Option<usize>| Some(mask.classes()[row? * mask.width as usize + (*x)?]);
                classes.extend(columns.iter().map(|x| class(x).unwrap_or(0)));
            }
            layer.mask = Some(Mask::new(wide, high, classes)?);
        }
        Ok(())
    }
}

/// Which pixels runs hold, column by column.
fn raster(runs: &Runs) -> Vec<bool> {
    let mut inside = vec![false; runs.width as usize * runs.height as usize];
    for run in runs.inside() {
        inside[run.start as usize..run.end as usize].fill(true);
    }
    inside
}
