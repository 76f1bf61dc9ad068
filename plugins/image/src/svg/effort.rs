//! What drawing takes, told before it: pixels that are touched, and bytes of layers.

use mediary_core::{Context, Error, Result};
use resvg::tiny_skia::Transform;
use resvg::usvg::filter::{Filter, Kind};
use resvg::usvg::{ClipPath, Group, ImageKind, Mask, Node, Paint, Path, Pattern, Tree};

/// Times that the largest picture allowed may be painted over. One time takes about a second.
const MOST_PAINTED: u64 = 128;

/// How far beyond the canvas layers go, in canvases on either side of it and over it.
const LAYERS: f32 = 5.0;

const PIXEL_BYTES: u64 = 4;

/// A canvas and what is known of drawing on it.
pub(super) struct Effort<'c> {
    cx: &'c Context,
    /// Pixels across and down.
    canvas: [f32; 2],
    /// Pixels touched so far.
    painted: u64,
    /// Layers that exist at once, in bytes: now and at most.
    layers: u64,
    most_layers: u64,
    /// Drawn pictures within, at most.
    depth: u64,
}

impl<'c> Effort<'c> {
    /// Bytes that layers take at most while `tree` is drawn, if the limits allow it.
    pub(super) fn of(tree: &Tree, transform: Transform, canvas: [u32; 2], cx: &'c Context) -> Result<u64> {
        let canvas = canvas.map(|side| side as f32);
        let mut effort = Self { cx, canvas, painted: 0, layers: 0, most_layers: 0, depth: 0 };
        effort.group_contents(tree.root(), transform)?;
        Ok(effort.most_layers)
    }

    fn paint(&mut self, pixels: u64) -> Result<()> {
        self.painted = self.painted.saturating_add(pixels);
        let allowed = self.cx.limits().pixels;
        if self.painted / MOST_PAINTED > allowed {
            return Err(Error::limit("pixels", self.painted / MOST_PAINTED, allowed).with_hint(format!(
                "filters, layers and shapes one over the other touch {} pixels or more, {MOST_PAINTED} times the limit are allowed",
                self.painted
            )));
        }
        Ok(())
    }

    /// Runs `inside` while so many bytes are held.
    fn holding(&mut self, bytes: u64, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.layers = self.layers.saturating_add(bytes);
        self.most_layers = self.most_layers.max(self.layers);
        let allowed = self.cx.budget().allowed();
        if self.layers > allowed {
            return Err(Error::limit("alloc_bytes", self.layers, allowed));
        }
        inside(self)?;
        self.layers -= bytes;
        Ok(())
    }

    /// Pixels of a box of this size that can be seen, on `canvases` of them.
    fn area(&self, width: f32, height: f32, canvases: f32) -> u64 {
        let side = |length: f32, canvas: f32| f64::from((length.abs().ceil() + 4.0).min(canvas * canvases));
        (side(width, self.canvas[0]) * side(height, self.canvas[1])) as u64
    }

    fn group(&mut self, group: &Group, transform: Transform) -> Result<()> {
        self.depth += 1;
        self.cx.limits().check("depth", self.depth)?;
        if self.depth.is_multiple_of(16) {
            self.cx.checkpoint()?;
        }
        let transform = transform.pre_concat(group.transform());
        if group.should_isolate() {
            let size = group.layer_bounding_box().transform(transform);
            let area = size.map_or(0, |size| self.area(size.width(), size.height(), LAYERS));
            self.paint(area * 2)?;
            self.holding(area * PIXEL_BYTES, |effort| {
                effort.group_contents(group, transform)?;
                for filter in group.filters() {
                    effort.filter(filter, area, transform)?;
                }
                if let Some(clip) = group.clip_path() {
                    effort.clip(clip, area, transform)?;
                }
                group.mask().map_or(Ok(()), |mask| effort.mask(mask, area, transform))
            })?;
        } else {
            self.group_contents(group, transform)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn group_contents(&mut self, group: &Group, transform: Transform) -> Result<()> {
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, transform)?,
                Node::Path(path) => self.path(path, transform)?,
                Node::Text(text) => self.group(text.flattened(), transform)?,
                Node::Image(image) => {
                    let size = image.bounding_box().transform(transform);
                    let area = size.map_or(0, |size| self.area(size.width(), size.height(), 1.0));
                    self.paint(area * 4)?;
                    if let ImageKind::SVG(tree) = image.kind() {
                        let canvas = self.area(f32::MAX, f32::MAX, 1.0);
                        self.paint(canvas * 2)?;
                        self.holding(canvas * PIXEL_BYTES, |effort| effort.group_contents(tree.root(), transform))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, transform: Transform) -> Result<()> {
        let bounds = path.stroke_bounding_box().transform(transform);
        let Some(bounds) = bounds else { return Ok(()) };
        let area = self.area(bounds.width(), bounds.height(), 1.0);
        // Every line is followed from row to row.
        let rows = (f64::from(bounds.height().min(self.canvas[1])) as u64).max(1);
        let lines = path.data().len() as u64;
        let paints = [path.fill().map(|fill| fill.paint()), path.stroke().map(|stroke| stroke.paint())];
        for paint in paints.into_iter().flatten() {
            self.paint(area.saturating_add(lines.saturating_mul(rows.min(64))))?;
            if let Paint::Pattern(pattern) = paint {
                self.pattern(pattern, transform)?;
            }
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &Pattern, transform: Transform) -> Result<()> {
        let (across, down) = transform.pre_concat(pattern.transform()).get_scale();
        let [width, height] = [pattern.rect().width() * across, pattern.rect().height() * down];
        let pixels = f64::from(width.round()) * f64::from(height.round());
        // The tile is drawn whole, whatever is seen of it.
        let pixels = if pixels.is_finite() { pixels as u64 } else { u64::MAX };
        self.cx.limits().check("pixels", pixels)?;
        self.paint(pixels)?;
        self.holding(pixels.saturating_mul(PIXEL_BYTES), |effort| {
            let outer = std::mem::replace(&mut effort.canvas, [width.max(1.0), height.max(1.0)]);
            effort.group_contents(pattern.root(), Transform::from_scale(across, down))?;
            effort.canvas = outer;
            Ok(())
        })
    }

    fn clip(&mut self, clip: &ClipPath, area: u64, transform: Transform) -> Result<()> {
        self.paint(area * 3)?;
        self.holding(area * (PIXEL_BYTES + 1), |effort| {
            effort.group_contents(clip.root(), transform.pre_concat(clip.transform()))?;
            clip.clip_path().map_or(Ok(()), |clip| effort.clip(clip, area, transform))
        })
    }

    fn mask(&mut self, mask: &Mask, area: u64, transform: Transform) -> Result<()> {
        self.paint(area * 4)?;
        self.holding(area * (PIXEL_BYTES * 2 + 1), |effort| {
            effort.group_contents(mask.root(), transform)?;
            mask.mask().map_or(Ok(()), |mask| effort.mask(mask, area, transform))
        })
    }

    fn filter(&mut self, filter: &Filter, area: u64, transform: Transform) -> Result<()> {
        let (across, down) = transform.get_scale();
        // Every result is kept to the end, and copied once more into linear colours.
        self.holding(area.saturating_mul(PIXEL_BYTES * (filter.primitives().len() as u64 + 4)), |effort| {
            for primitive in filter.primitives() {
                effort.cx.checkpoint()?;
                let side = |radius: f32, scale: f32, canvas: f32| {
                    f64::from((radius * scale * 2.0 + 1.0).min(canvas * LAYERS)).max(1.0) as u64
                };
                let each = match primitive.kind() {
                    Kind::Morphology(morphology) => {
                        side(morphology.radius_x().get(), across, effort.canvas[0])
                            * side(morphology.radius_y().get(), down, effort.canvas[1])
                    }
                    Kind::ConvolveMatrix(convolution) => {
                        u64::from(convolution.matrix().columns()) * u64::from(convolution.matrix().rows())
                    }
                    Kind::Turbulence(turbulence) => u64::from(turbulence.num_octaves()).saturating_mul(16),
                    Kind::GaussianBlur(_) | Kind::DropShadow(_) => 32,
                    Kind::DiffuseLighting(_) | Kind::SpecularLighting(_) => 32,
                    Kind::Image(image) => {
                        effort.group_contents(image.root(), transform)?;
                        4
                    }
                    Kind::Merge(merge) => merge.inputs().len() as u64,
                    _ => 4,
                };
                effort.paint(area.saturating_mul(each.saturating_add(2)))?;
            }
            Ok(())
        })
    }
}
