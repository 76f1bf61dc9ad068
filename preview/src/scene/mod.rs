//! Scenes.
//!
//! First every face is put into the sample grid, as its number and its distance: one pass over the geometry, in bands of
//! rows that threads share. Then every visible face is shaded where it is seen, once a pixel. What can be seen through is laid
//! over that, far to near. Faces are lit from both sides: winding and normals of real files are not to be trusted.

mod draw;
mod paint;
mod smooth;
mod texture;

use mediary_core::record::Scene;
use mediary_core::record::scene::Topology;
use mediary_core::{Context, Registry, Result};

use crate::camera::{Fit, Up, View};
use crate::canvas::{Backdrop, Canvas};
use crate::occlusion::Depths;
use crate::raster::{Band, Corner, Samples, cell, disc, line, near, project, rows_of, triangle, what};
use crate::{PreviewOptions, parallel, points};
use draw::Draw;
use paint::Painter;

/// Vertices that are projected before their faces are drawn: few enough to stay in memory near the processor.
const BATCH: usize = 1 << 16;
/// Rows of pixels that are shaded at a time.
const ROWS: usize = 8;
/// Faces between two looks at the clock: each may cover the whole picture.
const CHECKED: u32 = 256;
/// Faces of one draw that are shaded in a pixel; of a finer mesh the others look like their neighbours.
const SHADED: usize = 5;

/// A picture of a scene, and the backdrop that suits it.
pub(crate) fn draw(
    scene: &Scene,
    registry: &Registry,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<(Canvas, Backdrop)> {
    scene.validate(cx.limits().depth)?;
    let up = options.up.or_else(|| scene.up_axis.and_then(Up::named)).unwrap_or(Up::Y);
    if is_cloud(scene) {
        return Ok((points::draw_scene(scene, up, options, cx)?, Backdrop::Dark));
    }
    let mut canvas = Canvas::new(options.pixels(), cx)?;
    let faces = draw::Faces::of(scene, cx)?;
    let mut draws = draw::collect(scene, &faces, cx)?;
    let view = View::three_quarter(up);
    let mut fit = Fit::EMPTY;
    for draw in &draws {
        cx.checkpoint()?;
        draw.include(&view, &mut fit);
    }
    let Some(camera) = fit.camera(view) else {
        let why = if fit.is_empty() { "the scene has nothing to show" } else { "the scene is too large to show" };
        cx.warn("empty", why);
        return Ok((canvas, Backdrop::Light));
    };
    draws.iter_mut().for_each(|draw| draw.see(&camera));

    let mut used = vec![false; scene.materials.len()];
    for material in draws.iter().filter_map(|draw| draw.primitive.material) {
        used[material as usize] = true;
    }
    let textures = texture::Textures::load(scene, &used, (canvas.size * 2).next_power_of_two(), registry, cx)?;
    let grid = options.grid();
    cx.budget().take((canvas.size * grid).pow(2) as u64 * 8)?;
    let mut samples = Samples::new(canvas.size, grid);
    let painter = Painter { draws: &draws, textures: &textures, edge: samples.edge, grid };
    let mut clear = rasterise(&painter, &mut samples, options, cx)?;
    clear.sort_by(|a, b| a.near.total_cmp(&b.near).then(a.number.cmp(&b.number)));
    let depths = Depths::of(&samples);
    let open = depths.open(options.threads())?;

    let (size, edge) = (canvas.size, samples.edge);
    let bands: Vec<_> = canvas.pixels.chunks_mut(size * ROWS).enumerate().collect();
    parallel::each(options.threads(), bands, |(number, pixels)| {
        cx.checkpoint()?;
        let rows = pixels.len() / size * grid;
        let cells = &samples.cells[number * ROWS * grid * edge..][..rows * edge];
        let mut seen = Seen { top: number * ROWS * grid, edge, grid, cells, colors: vec![[0.0; 4]; cells.len()] };
        seen.shade(&painter, &open[number * ROWS * size..]);
        seen.lay_over(&painter, &clear, &open[number * ROWS * size..], cx)?;
        seen.resolve(pixels);
        Ok(())
    })?;
    Ok((canvas, Backdrop::Light))
}

/// Whether a scene is a point cloud in the form of a mesh.
fn is_cloud(scene: &Scene) -> bool {
    let mut primitives = scene.primitives().filter(|primitive| primitive.corners() > 0).peekable();
    primitives.peek().is_some() && primitives.all(|primitive| primitive.topology == Topology::Points)
}

/// A face that can be seen through.
struct Clear {
    near: f32,
    number: u32,
    /// Samples that it reaches from and to, downwards.
    top: i32,
    bottom: i32,
}

/// Puts what hides into the grid, and returns what can be seen through.
fn rasterise(
    painter: &Painter<'_>,
    samples: &mut Samples,
    options: &PreviewOptions,
    cx: &Context,
) -> Result<Vec<Clear>> {
    let (edge, size) = (samples.edge, options.pixels());
    let threads = options.threads();
    // More bands than threads, so that all end at about the same time; each looks at every face.
    let rows = edge.div_ceil(if threads > 1 { threads * 2 } else { 1 });
    let mut clear = Vec::new();
    let mut corners: Vec<Corner> = Vec::new();
    let mut rest = painter.draws;
    while !rest.is_empty() {
        cx.checkpoint()?;
        let mut vertices = 0;
        let many = rest
            .iter()
            .take_while(|draw| {
                let fits = vertices < BATCH;
                vertices += draw.positions().len();
                fits
            })
            .count();
        let (batch, after) = rest.split_at(many);
        rest = after;
        let starts: Vec<usize> = batch
            .iter()
            .scan(0, |next, draw| {
                let start = *next;
                *next += draw.positions().len();
                Some(start)
            })
            .collect();
        let vertices = batch.iter().map(|draw| draw.positions().len()).sum::<usize>();
        let held = vertices as u64 * size_of::<Corner>() as u64;
        cx.budget().take(held)?;
        corners.clear();
        corners.resize(vertices, Corner::default());
        project_all(batch, &mut corners, edge, threads)?;

        let lists: Vec<_> = batch.iter().zip(&starts).map(|(draw, start)| (draw, &corners[*start..])).collect();
        for (draw, corners) in &lists {
            if !painter.is_clear(draw) {
                continue;
            }
            cx.budget().take(u64::from(draw.faces) * size_of::<Clear>() as u64)?;
            clear.extend((0..draw.faces).filter_map(|face| {
                let at = draw.corners(face as usize).map(|vertex| corners[vertex]);
                let near = at.iter().map(|corner| corner.near).sum();
                let [top, bottom] = rows_of(at);
                at.iter().all(|corner| corner.near > 0.0).then_some(Clear {
                    near,
                    number: draw.first + face,
                    top,
                    bottom,
                })
            }));
        }
        parallel::each(threads, samples.bands(rows), |mut band| {
            for (draw, corners) in &lists {
                cx.checkpoint()?;
                if !painter.is_clear(draw) {
                    put(painter, draw, corners, size, &mut band, cx)?;
                }
            }
            Ok(())
        })?;
        cx.budget().give_back(held);
    }
    Ok(clear)
}

/// Every vertex of some draws on the grid.
fn project_all(batch: &[Draw<'_>], corners: &mut [Corner], edge: usize, threads: usize) -> Result<()> {
    let mut work = Vec::new();
    let mut rest = corners;
    for draw in batch {
        let (own, after) = rest.split_at_mut(draw.positions().len());
        rest = after;
        work.extend(own.chunks_mut(BATCH).enumerate().map(|(part, corners)| (draw, part * BATCH, corners)));
    }
    parallel::each(if work.len() > 1 { threads } else { 1 }, work, |(draw, first, corners)| {
        for (number, corner) in corners.iter_mut().enumerate() {
            *corner = project(draw.vertex(first + number), edge);
        }
        Ok(())
    })
}

/// Puts the faces of a draw into a band.
fn put(
    painter: &Painter<'_>,
    draw: &Draw<'_>,
    corners: &[Corner],
    size: usize,
    band: &mut Band<'_>,
    cx: &Context,
) -> Result<()> {
    let (edge, top, bottom) = (band.edge, band.top, band.top + band.rows());
    let masked = painter.is_masked(draw);
    for face in 0..draw.faces {
        if face % CHECKED == CHECKED - 1 {
            cx.checkpoint()?;
        }
        let vertices = draw.corners(face as usize);
        let number = draw.first + face;
        // Of two faces in one place the earlier is seen.
        let seen = !number;
        let at = vertices.map(|vertex| corners[vertex]);
        if !draw.is_surface() {
            let width = painter.grid as f32 * (size as f32 / 512.0).max(0.75);
            if vertices[0] == vertices[1] {
                disc(at[0], width * 1.4, 0.0, edge, top, bottom, |x, y, near| band.put(x, y, cell(near, seen)));
            } else {
                for part in line(at[0], at[1], width * 1.3) {
                    triangle(part, edge, top, bottom, |x, y, near| band.put(x, y, cell(near, seen)));
                }
            }
        } else if masked {
            triangle(at, edge, top, bottom, |x, y, near| {
                if painter.is_there(draw, number, x as f32 + 0.5, y as f32 + 0.5) {
                    band.put(x, y, cell(near, seen));
                }
            });
        } else {
            triangle(at, edge, top, bottom, |x, y, near| band.put(x, y, cell(near, seen)));
        }
    }
    Ok(())
}

/// Some rows of the grid with the colours of their samples.
struct Seen<'f> {
    top: usize,
    edge: usize,
    grid: usize,
    cells: &'f [u64],
    /// RGB times alpha, and alpha.
    colors: Vec<[f32; 4]>,
}

/// A face in a pixel: how many samples show it, and where they are.
#[derive(Clone, Copy, Default)]
struct Part {
    number: u32,
    count: f32,
    x: f32,
    y: f32,
}

impl Seen<'_> {
    /// Shades every face once in every pixel that shows it, in the middle of the samples that do.
    fn shade(&mut self, painter: &Painter<'_>, open: &[f32]) {
        let size = self.edge / self.grid;
        let mut parts: Vec<Part> = Vec::new();
        let mut of_sample = vec![0_usize; self.grid * self.grid];
        let pixels = self.cells.len() / (self.grid * self.grid);
        for (pixel, open) in open.iter().enumerate().take(pixels) {
            let (left, top) = (pixel % size * self.grid, pixel / size * self.grid);
            parts.clear();
            for (sample, part) in of_sample.iter_mut().enumerate() {
                let (x, y) = (left + sample % self.grid, top + sample / self.grid);
                let cell = self.cells[y * self.edge + x];
                if near(cell) <= 0.0 {
                    *part = usize::MAX;
                    continue;
                }
                let number = !what(cell);
                let found = parts.iter().position(|part| part.number == number);
                let like = || parts.iter().rposition(|part| painter.draw_of(part.number) == painter.draw_of(number));
                *part = match found.or_else(|| if parts.len() < SHADED { None } else { like() }) {
                    Some(known) => known,
                    None => {
                        parts.push(Part { number, ..Part::default() });
                        parts.len() - 1
                    }
                };
                let held = &mut parts[*part];
                if held.number == number {
                    held.count += 1.0;
                    held.x += x as f32 + 0.5;
                    held.y += (self.top + y) as f32 + 0.5;
                }
            }
            let colors: Vec<_> = parts
                .iter()
                .map(|part| painter.shade(part.number, part.x / part.count, part.y / part.count, *open))
                .collect();
            for (sample, part) in of_sample.iter().enumerate() {
                if let Some([r, g, b, _]) = colors.get(*part) {
                    let (x, y) = (left + sample % self.grid, top + sample / self.grid);
                    self.colors[y * self.edge + x] = [*r, *g, *b, 1.0];
                }
            }
        }
    }

    /// Lays what can be seen through over what was shaded.
    fn lay_over(&mut self, painter: &Painter<'_>, clear: &[Clear], open: &[f32], cx: &Context) -> Result<()> {
        let (edge, grid, size) = (self.edge, self.grid, self.edge / self.grid);
        let (top, bottom) = (self.top, self.top + self.cells.len() / edge);
        // The colour of the face in a pixel, valid for one face and one row of pixels.
        let mut known = vec![(u64::MAX, [0.0_f32; 4]); size];
        for (order, &Clear { number, top: first, bottom: last, .. }) in clear.iter().enumerate() {
            if last < top as i32 || first > bottom as i32 {
                continue;
            }
            if order % CHECKED as usize == 0 {
                cx.checkpoint()?;
            }
            let draw = &painter.draws[painter.draw_of(number)];
            let vertices = draw.corners((number - draw.first) as usize);
            let corners = vertices.map(|vertex| project(draw.vertex(vertex), edge));
            let (cells, colors) = (self.cells, &mut self.colors);
            triangle(corners, edge, top, bottom, |x, y, depth| {
                let place = (y - top) * edge + x;
                if depth <= near(cells[place]) {
                    return;
                }
                let stamp = (order as u64) << 16 | (y / grid) as u64;
                let held = &mut known[x / grid];
                if held.0 != stamp {
                    let middle = |at: usize| (at / grid * grid) as f32 + grid as f32 / 2.0;
                    let open = open[(y - top) / grid * size + x / grid];
                    *held = (stamp, painter.shade(number, middle(x), middle(y), open));
                }
                let [r, g, b, a] = held.1;
                crate::canvas::over(&mut colors[place], [r, g, b], a);
            });
        }
        Ok(())
    }

    /// The mean of every pixel's samples.
    fn resolve(&self, pixels: &mut [[f32; 4]]) {
        let size = self.edge / self.grid;
        let by = 1.0 / (self.grid * self.grid) as f32;
        for (row, colors) in self.colors.chunks_exact(self.edge).enumerate() {
            let line = &mut pixels[row / self.grid * size..][..size];
            for (pixel, colors) in line.iter_mut().zip(colors.chunks_exact(self.grid)) {
                for color in colors {
                    pixel.iter_mut().zip(color).for_each(|(sum, value)| *sum += value * by);
                }
            }
        }
    }
}
