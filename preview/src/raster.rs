//! The sample grid, and which samples a triangle or a disc covers.
//!
//! A cell of the grid holds how near it is and what is seen there in one number, so that the nearer is the greater one.
//! The greatest wins whatever the order of drawing is: pictures do not depend on the number of threads.

use crate::camera::HALF;
use crate::math::V3;

/// Fractions of a sample.
const SUB: i32 = 256;

/// A grid of square samples, `edge` of them to a side, `grid` to the side of a pixel.
pub(crate) struct Samples {
    pub(crate) edge: usize,
    pub(crate) grid: usize,
    pub(crate) cells: Vec<u64>,
}

/// What a cell holds: `near` is the reciprocal of the distance and positive, so its bits sort as its value does.
pub(crate) fn cell(near: f32, what: u32) -> u64 {
    u64::from(near.to_bits()) << 32 | u64::from(what)
}

/// The reciprocal of the distance; 0 where nothing is seen.
pub(crate) fn near(cell: u64) -> f32 {
    f32::from_bits((cell >> 32) as u32)
}

/// What is seen.
pub(crate) fn what(cell: u64) -> u32 {
    cell as u32
}

impl Samples {
    pub(crate) fn new(size: usize, grid: usize) -> Self {
        let edge = size * grid;
        Self { edge, grid, cells: vec![0; edge * edge] }
    }

    /// The grid cut into bands of `rows` rows.
    pub(crate) fn bands(&mut self, rows: usize) -> Vec<Band<'_>> {
        let edge = self.edge;
        let bands = self.cells.chunks_mut(edge * rows).enumerate();
        bands.map(|(number, cells)| Band { edge, top: number * rows, cells }).collect()
    }
}

/// Some rows of the grid.
pub(crate) struct Band<'f> {
    pub(crate) edge: usize,
    pub(crate) top: usize,
    pub(crate) cells: &'f mut [u64],
}

impl Band<'_> {
    pub(crate) fn rows(&self) -> usize {
        self.cells.len() / self.edge
    }

    /// Keeps the nearer.
    pub(crate) fn put(&mut self, x: usize, y: usize, seen: u64) {
        let held = &mut self.cells[(y - self.top) * self.edge + x];
        *held = (*held).max(seen);
    }
}

/// A point on the grid, in fractions of samples; `near` is 0 for one that cannot be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Corner {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) near: f32,
}

/// A point of camera space on a grid of `edge` samples. Far outside of it, or behind the camera, it cannot be drawn.
pub(crate) fn project(p: V3, edge: usize) -> Corner {
    let near = -1.0 / p[2];
    let half = edge as f32 / 2.0;
    let (x, y) = (half + p[0] * near / HALF * half, half - p[1] * near / HALF * half);
    // The camera is fitted, so this is the exception; it also keeps the products of coordinates in range.
    let drawn = near > 0.0 && near.is_finite() && x.abs() < 16_384.0 && y.abs() < 16_384.0;
    if !drawn {
        return Corner::default();
    }
    Corner { x: (x * SUB as f32).round() as i32, y: (y * SUB as f32).round() as i32, near }
}

/// The first and the last row of samples that a triangle may cover.
pub(crate) fn rows_of(corners: [Corner; 3]) -> [i32; 2] {
    let [a, b, c] = corners.map(|corner| corner.y);
    [a.min(b).min(c).div_euclid(SUB), a.max(b).max(c).div_euclid(SUB)]
}

/// Calls `visit(x, y, near)` for the samples of rows `top..bottom` whose centres a triangle covers, whichever way it winds.
/// Triangles that share an edge share no sample and leave none out.
pub(crate) fn triangle(
    mut corners: [Corner; 3],
    edge: usize,
    top: usize,
    bottom: usize,
    mut visit: impl FnMut(usize, usize, f32),
) {
    if corners.iter().any(|corner| corner.near <= 0.0) {
        return;
    }
    let sample = |least: i32| usize::try_from((least + SUB / 2 - 1) / SUB).unwrap_or(0);
    let [a, b, c] = corners;
    let top = sample(a.y.min(b.y).min(c.y)).max(top);
    let bottom = ((a.y.max(b.y).max(c.y) + SUB / 2) / SUB).clamp(0, bottom as i32) as usize;
    let left = sample(a.x.min(b.x).min(c.x));
    let right = ((a.x.max(b.x).max(c.x) + SUB / 2) / SUB).clamp(0, edge as i32) as usize;
    if top >= bottom || left >= right {
        return;
    }
    let mut area = side(a, b, c.x, c.y);
    if area == 0 {
        return;
    }
    if area < 0 {
        corners.swap(1, 2);
        area = -area;
    }
    let [a, b, c] = corners;
    let center = |place: usize| place as i32 * SUB + SUB / 2;
    let (x, y) = (center(left), center(top));
    let mut rows = [(b, c), (c, a), (a, b)].map(|(from, to)| {
        // On an edge the sample belongs to the triangle for which the edge is an upper or left one.
        let owned = to.y < from.y || (to.y == from.y && to.x > from.x);
        Edge {
            value: side(from, to, x, y) - i64::from(!owned),
            across: -i64::from(to.y - from.y) * i64::from(SUB),
            down: i64::from(to.x - from.x) * i64::from(SUB),
        }
    });
    let by = 1.0 / area as f64;
    let slope = |[u, v]: [f64; 2]| (u * f64::from(b.near - a.near) + v * f64::from(c.near - a.near)) * by;
    let across = slope([rows[1].across as f64, rows[2].across as f64]) as f32;
    let down = slope([rows[1].down as f64, rows[2].down as f64]);
    let start = f64::from(a.near) + slope([side(c, a, x, y) as f64, side(a, b, x, y) as f64]);
    let (least, most) = (a.near.min(b.near).min(c.near), a.near.max(b.near).max(c.near));
    for y in top..bottom {
        let first = (start + down * (y - top) as f64) as f32;
        let [mut e, mut f, mut g] = [rows[0].value, rows[1].value, rows[2].value];
        for x in left..right {
            if (e | f | g) >= 0 {
                visit(x, y, (first + across * (x - left) as f32).clamp(least, most));
            }
            e += rows[0].across;
            f += rows[1].across;
            g += rows[2].across;
        }
        rows.iter_mut().for_each(|edge| edge.value += edge.down);
    }
}

struct Edge {
    value: i64,
    across: i64,
    down: i64,
}

/// Twice the area of a triangle with the edge `a`, `b`.
fn side(a: Corner, b: Corner, x: i32, y: i32) -> i64 {
    i64::from(b.x - a.x) * i64::from(y - a.y) - i64::from(b.y - a.y) * i64::from(x - a.x)
}

/// Calls `visit(x, y, near)` for the samples of rows `top..bottom` whose centres lie within `radius` samples of a point. The
/// surface falls off to the rim by `depth`, so that neighbouring discs meet between their centres.
pub(crate) fn disc(
    at: Corner,
    radius: f32,
    depth: f32,
    edge: usize,
    top: usize,
    bottom: usize,
    mut visit: impl FnMut(usize, usize, f32),
) {
    if at.near <= 0.0 {
        return;
    }
    let (x, y) = (at.x as f32 / SUB as f32 - 0.5, at.y as f32 / SUB as f32 - 0.5);
    let clamp = |value: f32, most: usize| value.clamp(0.0, most as f32) as usize;
    let (left, right) = (clamp((x - radius).ceil(), edge), clamp((x + radius).floor() + 1.0, edge));
    let (top, bottom) =
        (clamp((y - radius).ceil(), edge).max(top), clamp((y + radius).floor() + 1.0, edge).min(bottom));
    for row in top..bottom {
        let dy = row as f32 - y;
        for column in left..right {
            let dx = column as f32 - x;
            let share = (dx * dx + dy * dy) / (radius * radius);
            if share <= 1.0 {
                visit(column, row, at.near / (1.0 + depth * share * at.near));
            }
        }
    }
}

/// Two triangles that draw a line of this width, in samples.
pub(crate) fn line(a: Corner, b: Corner, width: f32) -> [[Corner; 3]; 2] {
    let (dx, dy) = ((b.x - a.x) as f32, (b.y - a.y) as f32);
    let length = dx.hypot(dy).max(1.0);
    let reach = width * SUB as f32 / 2.0;
    let (across, along) = ([-dy / length * reach, dx / length * reach], [dx / length * reach, dy / length * reach]);
    let corner = |end: Corner, side: f32, cap: f32| Corner {
        x: end.x + (across[0] * side + along[0] * cap).round() as i32,
        y: end.y + (across[1] * side + along[1] * cap).round() as i32,
        // Lines lie on the surfaces they outline.
        near: if end.near > 0.0 { end.near * 1.0005 } else { 0.0 },
    };
    let [p, q, r, s] = [corner(a, 1.0, -0.5), corner(a, -1.0, -0.5), corner(b, -1.0, 0.5), corner(b, 1.0, 0.5)];
    [[p, q, r], [p, r, s]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32, near: f32) -> Corner {
        Corner { x: (x * SUB as f32) as i32, y: (y * SUB as f32) as i32, near }
    }

    fn covered(corners: [Corner; 3]) -> Vec<(usize, usize)> {
        let mut covered = Vec::new();
        triangle(corners, 16, 0, 16, |x, y, _| covered.push((x, y)));
        covered
    }

    #[test]
    fn a_triangle_covers_the_centres_inside_it() {
        let corners = [at(0.0, 0.0, 1.0), at(4.0, 0.0, 1.0), at(0.0, 4.0, 1.0)];
        // Centres at halves: x + y < 4, and the hypotenuse, a right edge, is not owned.
        let expected: Vec<_> = (0..4).flat_map(|y| (0..3 - y.min(3)).map(move |x| (x, y))).collect();
        assert_eq!(covered(corners), expected);
        let [a, b, c] = corners;
        assert_eq!(covered([a, c, b]), expected, "whichever way it winds");
        assert_eq!(covered([a, b, b]), []);
        assert_eq!(covered([a, b, Corner { near: 0.0, ..c }]), []);
    }

    #[test]
    fn a_fan_covers_every_sample_once() {
        let rim = [at(1.5, 0.5, 1.0), at(9.5, 1.0, 1.0), at(13.0, 6.5, 1.0), at(8.5, 12.5, 1.0), at(0.5, 9.5, 1.0)];
        for hub in [at(6.5, 6.5, 1.0), at(7.0, 4.0, 1.0), at(3.2, 8.9, 1.0)] {
            let mut seen: Vec<_> = (0..5).flat_map(|i| covered([hub, rim[i], rim[(i + 1) % 5]])).collect();
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count);
            let mut whole: Vec<_> = (1..4).flat_map(|i| covered([rim[0], rim[i], rim[i + 1]])).collect();
            whole.sort_unstable();
            assert_eq!(seen, whole);
        }
    }

    #[test]
    fn depth_is_that_of_the_plane() {
        let corners = [at(0.0, 0.0, 1.0), at(16.0, 0.0, 2.0), at(0.0, 16.0, 3.0)];
        let mut most = 0.0_f32;
        triangle(corners, 16, 0, 16, |x, y, near| {
            let expected = 1.0 + (x as f32 + 0.5) / 16.0 + 2.0 * (y as f32 + 0.5) / 16.0;
            most = most.max((near - expected).abs());
        });
        assert!(most < 1e-5, "{most}");
    }

    #[test]
    fn the_nearer_is_the_greater() {
        assert!(cell(0.5, 9) > cell(0.25, u32::MAX));
        assert_eq!((near(cell(0.5, 9)), what(cell(0.5, 9))), (0.5, 9));
    }

    #[test]
    fn what_is_behind_or_far_aside_is_not_drawn() {
        for p in [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [f32::NAN, 0.0, -1.0], [1e9, 0.0, -1.0], [0.0, 0.0, -f32::INFINITY]]
        {
            assert_eq!(project(p, 64).near, 0.0, "{p:?}");
        }
        assert_eq!(project([0.0, 0.0, -1.0], 64), at(32.0, 32.0, 1.0));
    }

    #[test]
    fn a_disc_is_round() {
        let mut seen = Vec::new();
        disc(at(8.5, 8.5, 1.0), 2.0, 0.0, 16, 0, 16, |x, y, _| seen.push((x, y)));
        assert_eq!(seen.len(), 13);
        assert!(seen.contains(&(10, 8)) && !seen.contains(&(10, 10)));
    }
}
