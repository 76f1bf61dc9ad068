//! Boxes, vectors and labels.

use mediary_core::record::PointCloud;
use mediary_core::record::point_cloud::{Box3, Vector3};
use mediary_core::{Context, Result};

use super::boxes::edges;
use crate::camera::Camera;
use crate::canvas::Canvas;
use crate::color;
use crate::math::V3;
use crate::raster::{Corner, Samples, cell, line, project, triangle};
use crate::text::Text;

/// Of what has no colour.
const BOX_COLOR: [f64; 3] = [1.0, 0.80, 0.20];
const VECTOR_COLOR: [f64; 3] = [0.35, 0.85, 1.0];
/// Labels that are looked at: on a picture there is no room for more.
const LABELS: usize = 2000;
/// The nearest that a line may come to the camera.
const NEAREST: f32 = -0.02;

#[derive(Default)]
pub(super) struct Marks<'c> {
    boxes: &'c [Box3],
    vectors: &'c [Vector3],
}

impl<'c> Marks<'c> {
    pub(super) fn of(cloud: &'c PointCloud) -> Self {
        Self { boxes: &cloud.boxes, vectors: &cloud.vectors }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.vectors.is_empty()
    }

    /// Every point that a mark has.
    pub(super) fn points(&self) -> impl Iterator<Item = &[f64; 3]> {
        let boxes = self.boxes.iter().flat_map(|it| &it.corners);
        boxes.chain(self.vectors.iter().flat_map(|vector| [&vector.start, &vector.end]))
    }

    /// Draws the lines.
    pub(super) fn draw(&self, camera: &Camera, lines: &mut Samples, size: usize, cx: &Context) -> Result<()> {
        let (edge, unit) = (lines.edge, lines.grid as f32 * size as f32 / 512.0);
        let mut band = lines.bands(edge).remove(0);
        let mut fill = |corners: [Corner; 3], color: u32| {
            triangle(corners, edge, 0, edge, |x, y, near| band.put(x, y, cell(near, color)));
        };
        for it in self.boxes {
            cx.checkpoint()?;
            let color = rgb(it.color.unwrap_or(BOX_COLOR));
            for [a, b] in edges(&it.corners) {
                let Some(ends) = ends(camera, it.corners[a], it.corners[b], edge) else { continue };
                line(ends[0], ends[1], unit * 1.7).into_iter().for_each(|part| fill(part, color));
            }
        }
        for vector in self.vectors {
            cx.checkpoint()?;
            let color = rgb(vector.color.unwrap_or(VECTOR_COLOR));
            let Some([start, end]) = ends(camera, vector.start, vector.end, edge) else { continue };
            line(start, end, unit * 2.0).into_iter().for_each(|part| fill(part, color));
            fill(head(start, end, unit * 9.0), color);
        }
        Ok(())
    }

    /// Writes the labels, the nearer first; one that would cover another is left out.
    pub(super) fn write(&self, camera: &Camera, canvas: &mut Canvas) {
        let mut labels: Vec<_> =
            self.boxes.iter().take(LABELS).filter_map(|it| Some((it, place(camera, it)?))).collect();
        labels.sort_by(|(_, a), (_, b)| b[2].total_cmp(&a[2]));
        let mut taken: Vec<[i64; 4]> = Vec::new();
        for (it, [x, y, _]) in labels {
            let mut words = it.label.clone().unwrap_or_default();
            if let Some(score) = it.score {
                // 37 and not 37.00.
                let score = format!("{score:.2}");
                let short = score.strip_suffix(".00").unwrap_or(&score);
                words = format!("{words} {short}");
            }
            let half = canvas.size as f32 / 2.0;
            let Some(text) = Text::new(words.trim(), canvas.size) else { continue };
            let left = (half + x * half) as i64 - text.width() as i64 / 2;
            let top = (half - y * half) as i64 - text.height() as i64 - 3;
            let limit = |at: i64, side: usize| at.clamp(2, (canvas.size as i64 - side as i64 - 2).max(2));
            let (left, top) = (limit(left, text.width()), limit(top, text.height()));
            let area = [left, top, left + text.width() as i64, top + text.height() as i64];
            let covers =
                |other: &[i64; 4]| area[0] < other[2] && other[0] < area[2] && area[1] < other[3] && other[1] < area[3];
            if !taken.iter().any(covers) {
                taken.push(area);
                text.draw(canvas, left, top, lightened(it.color.unwrap_or(BOX_COLOR)));
            }
        }
    }
}

/// Where the label of a box stands: above its highest corner on the picture, from -1 to 1, and how near it is.
fn place(camera: &Camera, it: &Box3) -> Option<[f32; 3]> {
    it.label.as_ref().filter(|label| !label.is_empty())?;
    let mut sum = [0.0_f32, f32::MIN, 0.0];
    for corner in it.corners {
        let [x, y, z] = camera.place(corner);
        if !(x + y + z).is_finite() || z > NEAREST {
            return None;
        }
        let reach = -z * crate::camera::HALF;
        sum = [sum[0] + x / reach / 8.0, sum[1].max(y / reach), sum[2] + z / 8.0];
    }
    (sum[0].abs() <= 1.0 && sum[1].abs() <= 1.1).then_some(sum)
}

/// A line on the grid, without the part that is behind the camera.
fn ends(camera: &Camera, a: [f64; 3], b: [f64; 3], edge: usize) -> Option<[Corner; 2]> {
    let (mut a, mut b) = (camera.place(a), camera.place(b));
    if !a.iter().chain(&b).all(|value| value.is_finite()) || (a[2] > NEAREST && b[2] > NEAREST) {
        return None;
    }
    let cut = |from: V3, to: V3| {
        let share = (NEAREST - from[2]) / (to[2] - from[2]);
        crate::math::mix(from, to, share)
    };
    if a[2] > NEAREST {
        a = cut(a, b);
    } else if b[2] > NEAREST {
        b = cut(b, a);
    }
    Some([project(a, edge), project(b, edge)])
}

/// The head of an arrow, in the plane of the picture.
fn head(start: Corner, end: Corner, length: f32) -> [Corner; 3] {
    let (dx, dy) = ((end.x - start.x) as f32, (end.y - start.y) as f32);
    let whole = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / whole * length * 256.0, dy / whole * length * 256.0);
    let near = if start.near > 0.0 { end.near * 1.001 } else { 0.0 };
    let corner = |back: f32, side: f32| Corner {
        x: end.x - (dx * back + dy * side) as i32,
        y: end.y - (dy * back - dx * side) as i32,
        near,
    };
    [corner(-0.35, 0.0), corner(0.75, 0.42), corner(0.75, -0.42)]
}

/// sRGB of a colour from 0 to 1.
fn rgb(color: [f64; 3]) -> u32 {
    color.iter().fold(0, |packed, value| packed << 8 | (value.clamp(0.0, 1.0) * 255.0).round() as u32)
}

/// A colour that can be read on a dark ground.
fn lightened(color: [f64; 3]) -> V3 {
    crate::math::mix(color::hex(rgb(color)), [1.0; 3], 0.55)
}
