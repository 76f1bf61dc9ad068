//! Point clouds: points as round splats just large enough to close surfaces, shaded by their distances alone ("eye-dome
//! lighting", Boucheny 2009), with boxes, vectors and labels.

mod boxes;
mod gather;
mod marks;

use mediary_core::record::{Bounds, PointCloud, Scene};
use mediary_core::{Context, Result};

use crate::camera::{Camera, Fit, HALF, Up, View};
use crate::canvas::Canvas;
use crate::color;
use crate::occlusion::Depths;
use crate::raster::{Corner, Samples, cell, disc, near, project, what};
use crate::{PreviewOptions, parallel};
use gather::Gathered;
use marks::Marks;

/// Points that are projected before they are drawn.
const BATCH: usize = 1 << 18;
/// Radius of splats: at least this many pixels, and at most this many of a picture of 512.
const LEAST_RADIUS: f32 = 0.7;
const MOST_RADIUS: f32 = 6.0;
/// How dark edges get, and how far away neighbours are looked at, in pixels of a picture of 512.
const EDGES: [(f32, f32); 2] = [(1.4, 22.0), (4.0, 7.0)];
/// The eight directions of neighbours.
const AROUND: [[f32; 2]; 8] = {
    const D: f32 = std::f32::consts::FRAC_1_SQRT_2;
    [[1.0, 0.0], [D, D], [0.0, 1.0], [-D, D], [-1.0, 0.0], [-D, -D], [0.0, -1.0], [D, -D]]
};
/// How much of a line is seen through what hides it.
const HIDDEN_LINE: f32 = 0.3;

/// A picture of a cloud, without a background. Its points are read to their end.
pub(crate) fn draw(cloud: &mut PointCloud, options: &PreviewOptions, cx: &Context) -> Result<Canvas> {
    let points = Gathered::of_cloud(cloud, cx)?;
    paint(&points, Marks::of(cloud), options.up.unwrap_or(Up::Z), options, cx)
}

/// A picture of a scene of points alone.
pub(crate) fn draw_scene(scene: &Scene, up: Up, options: &PreviewOptions, cx: &Context) -> Result<Canvas> {
    let points = Gathered::of_scene(scene, cx)?;
    paint(&points, Marks::default(), up, options, cx)
}

fn paint(points: &Gathered, marks: Marks, up: Up, options: &PreviewOptions, cx: &Context) -> Result<Canvas> {
    let mut canvas = Canvas::new(options.pixels(), cx)?;
    let limits = points.limits();
    let is_land = limits.is_some_and(|limits| is_flat(&limits, up));
    let view = if is_land { View::aerial(up) } else { View::three_quarter(up) };
    let inside =
        |p: &[f64; 3]| limits.is_none_or(|limits| (0..3).all(|i| limits.min[i] <= p[i] && p[i] <= limits.max[i]));
    let mut fit = Fit::EMPTY;
    let mut left_out = 0_u64;
    for point in &points.positions {
        if inside(point) { fit.include(view.turn(*point)) } else { left_out += 1 }
    }
    // Boxes and vectors may reach far beyond the points.
    let around = limits.map(|limits| around(&limits));
    let belongs =
        |p: &[f64; 3]| around.is_none_or(|limits| (0..3).all(|i| limits.min[i] <= p[i] && p[i] <= limits.max[i]));
    marks.points().filter(|point| belongs(point)).for_each(|point| fit.include(view.turn(*point)));
    let Some(camera) = fit.camera(view) else {
        let why = if fit.is_empty() { "there are no points to show" } else { "the points are too far apart to show" };
        cx.warn("empty", why);
        return Ok(canvas);
    };
    if left_out > 0 {
        cx.note("outliers", format!("{} far from all others are outside of the picture", left_out * points.step));
    }
    if points.step > 1 {
        cx.note("sampled", format!("one point of {} is drawn", points.step));
    }
    let grid = options.grid().min(3);
    let held = (canvas.size * grid).pow(2) as u64 * if marks.is_empty() { 8 } else { 16 };
    cx.budget().take(held)?;
    let mut samples = Samples::new(canvas.size, grid);
    splat(points, &inside, &camera, &mut samples, up, options, cx)?;
    let mut lines = (!marks.is_empty()).then(|| Samples::new(canvas.size, grid));
    if let Some(lines) = &mut lines {
        marks.draw(&camera, lines, canvas.size, cx)?;
    }
    resolve(&mut canvas, &samples, lines.as_ref(), options)?;
    marks.write(&camera, &mut canvas);
    Ok(canvas)
}

/// Whether something is much wider than high.
fn is_flat(limits: &Bounds, up: Up) -> bool {
    let side = |axis: usize| limits.max[axis] - limits.min[axis];
    let widest = (0..3).map(side).fold(0.0, f64::max);
    side(up.axis()) < widest * 0.7
}

/// Bounds five times as wide as the widest side of these, about the same middle.
fn around(limits: &Bounds) -> Bounds {
    let widest = (0..3).map(|axis| limits.max[axis] - limits.min[axis]).fold(0.0, f64::max);
    Bounds { min: limits.min.map(|least| least - 2.0 * widest), max: limits.max.map(|most| most + 2.0 * widest) }
}

/// Draws every point.
fn splat(
    points: &Gathered,
    inside: &(impl Fn(&[f64; 3]) -> bool + Sync),
    camera: &Camera,
    samples: &mut Samples,
    up: Up,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<()> {
    let (edge, threads) = (samples.edge, options.threads());
    let least = LEAST_RADIUS * samples.grid as f32;
    let most = (MOST_RADIUS * samples.grid as f32 * options.pixels() as f32 / 512.0).max(least);
    let paint = points.paint(up);
    // In camera space; at distance 1, half the frame is HALF.
    let radius = camera.length(points.spacing(inside) * 0.75);
    let rows = edge.div_ceil(threads * 4);
    let mut batch: Vec<(Corner, f32, u32)> = Vec::new();
    cx.budget().take((BATCH.min(points.positions.len()) * size_of::<(Corner, f32, u32)>()) as u64)?;
    for first in (0..points.positions.len()).step_by(BATCH) {
        cx.checkpoint()?;
        let part = &points.positions[first..][..BATCH.min(points.positions.len() - first)];
        batch.clear();
        batch.resize(part.len(), (Corner::default(), 0.0, 0));
        let pieces: Vec<_> = batch.chunks_mut(BATCH / 16).enumerate().collect();
        parallel::each(threads, pieces, |(piece, out)| {
            for (number, out) in out.iter_mut().enumerate() {
                let number = piece * (BATCH / 16) + number;
                if inside(&part[number]) {
                    let corner = project(camera.place(part[number]), edge);
                    let seen = radius * corner.near / HALF * edge as f32 / 2.0;
                    *out = (corner, seen.clamp(least, most), paint.color(first + number));
                }
            }
            Ok(())
        })?;
        parallel::each(threads, samples.bands(rows), |mut band| {
            let (top, bottom) = (band.top, band.top + band.rows());
            for &(corner, seen, color) in &batch {
                // The splat is as deep as it is wide.
                let depth = seen * HALF * 2.0 / edge as f32;
                disc(corner, seen, depth, edge, top, bottom, |x, y, near| band.put(x, y, cell(near, color)));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Samples to pixels: points darker at their edges, lines over them.
fn resolve(canvas: &mut Canvas, samples: &Samples, lines: Option<&Samples>, options: &PreviewOptions) -> Result<()> {
    let (size, grid, edge) = (canvas.size, samples.grid, samples.edge);
    let depths = Depths::of(samples);
    let by = 1.0 / (grid * grid) as f32;
    let rows: Vec<_> = canvas.pixels.chunks_mut(size).enumerate().collect();
    parallel::each(options.threads(), rows, |(y, pixels)| {
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let shade = eye_dome(&depths, x, y);
            for sample in 0..grid * grid {
                let place = (y * grid + sample / grid) * edge + x * grid + sample % grid;
                let point = samples.cells[place];
                let line = lines.map_or(0, |lines| lines.cells[place]);
                let mut color = [0.0; 4];
                if near(point) > 0.0 {
                    crate::canvas::over(&mut color, color::hex(what(point)).map(|value| value * shade), 1.0);
                }
                if near(line) > 0.0 {
                    let alpha = if line >= point { 1.0 } else { HIDDEN_LINE };
                    crate::canvas::over(&mut color, color::hex(what(line)), alpha);
                }
                pixel.iter_mut().zip(color).for_each(|(sum, value)| *sum += value * by);
            }
        }
        Ok(())
    })
}

/// How much light a pixel keeps: less the farther it lies behind its neighbours.
fn eye_dome(depths: &Depths, x: usize, y: usize) -> f32 {
    let size = depths.size;
    let here = depths.near[y * size + x];
    if here <= 0.0 {
        return 1.0;
    }
    let mut dark = 0.0;
    for (radius, strength) in EDGES {
        let radius = radius * size as f32 / 512.0;
        for [cos, sin] in AROUND {
            let place = |at: usize, off: f32| {
                let place = (at as f32 + off * radius).round();
                (place >= 0.0 && place < size as f32).then_some(place as usize)
            };
            let (Some(x), Some(y)) = (place(x, cos), place(y, sin)) else { continue };
            let other = depths.near[y * size + x];
            if other > here {
                // A step of a hand's width is as dark as one of a mile.
                dark += (other / here).ln().min(0.06) * strength / 8.0;
            }
        }
    }
    (-dark).exp()
}
