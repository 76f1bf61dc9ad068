//! Polygons to triangles.
//!
//! A polygon of `n` corners always becomes `n - 2` triangles with its own corners and its own winding: a fan when it is
//! convex, ears otherwise. It is judged flat, on the plane of its Newell normal, which is defined for polygons that are not
//! quite planar too. Polygons that cross themselves or have no area get some triangulation.

use super::scene::Primitive;

/// Point-in-ear tests for one polygon; what is left then is cut as a fan, so that a hostile polygon costs bounded time.
const TESTS: u64 = 100_000_000;

/// The faces of a [`Topology::Polygons`](super::scene::Topology::Polygons) primitive as triangles. The
/// primitive must be valid. Faces of fewer than three corners have none.
#[must_use]
pub fn primitive(primitive: &Primitive) -> Vec<u32> {
    let (positions, indices) = (&*primitive.positions, primitive.indices.as_deref());
    let mut triangles = Vec::with_capacity(usize::try_from(primitive.triangles()).unwrap_or(0) * 3);
    let mut points = Vec::new();
    let mut start = 0;
    for &size in &primitive.face_sizes {
        let corner = |at: usize| match indices {
            Some(indices) => indices[start + at],
            None => (start + at) as u32,
        };
        points.clear();
        points.extend((0..size as usize).map(|at| positions[corner(at) as usize].map(f64::from)));
        polygon(&points, |triangle| triangles.extend(triangle.map(corner)));
        start += size as usize;
    }
    triangles
}

/// Calls `visit` with the triangles of a polygon, as places in `points`.
pub fn polygon(points: &[[f64; 3]], mut visit: impl FnMut([usize; 3])) {
    match points.len() {
        0..3 => {}
        3 => visit([0, 1, 2]),
        count => {
            let flat = project(points);
            let is_convex =
                (0..count).all(|at| cross(flat[(at + count - 1) % count], flat[at], flat[(at + 1) % count]) >= 0.0);
            let mut left: Vec<usize> = (0..count).collect();
            if !is_convex {
                ears(&flat, &mut left, &mut visit);
            }
            for pair in left.windows(2).skip(1) {
                visit([left[0], pair[0], pair[1]]);
            }
        }
    }
}

/// The corners on the coordinate plane that the polygon faces most, counter-clockwise.
fn project(points: &[[f64; 3]]) -> Vec<[f64; 2]> {
    // Newell's method: twice the areas of the projections on the three coordinate planes.
    let mut normal = [0.0; 3];
    for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
        for (axis, normal) in normal.iter_mut().enumerate() {
            let [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
            *normal += (a[u] - b[u]) * (a[v] + b[v]);
        }
    }
    let axis = (1..3).fold(0, |best, axis| if normal[axis].abs() > normal[best].abs() { axis } else { best });
    let [u, v] = match normal[axis] < 0.0 {
        false => [(axis + 1) % 3, (axis + 2) % 3],
        true => [(axis + 2) % 3, (axis + 1) % 3],
    };
    points.iter().map(|point| [point[u], point[v]]).collect()
}

/// Twice the signed area of a triangle: positive when it turns counter-clockwise.
fn cross(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn is_inside(p: [f64; 2], a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> bool {
    // A corner in the same place as one of the ear's is a touching seam (a hole cut open), not an obstacle.
    p != a && p != b && p != c && cross(a, b, p) >= 0.0 && cross(b, c, p) >= 0.0 && cross(c, a, p) >= 0.0
}

/// Cuts ears off the polygon of the corners in `left`, until a fan will do.
fn ears(flat: &[[f64; 2]], left: &mut Vec<usize>, visit: &mut impl FnMut([usize; 3])) {
    let mut tests = 0;
    let mut at = 0;
    // Corners looked at since the last ear was cut.
    let mut tried = 0;
    while left.len() > 3 && tests <= TESTS {
        let count = left.len();
        let [before, ear, after] = [left[(at + count - 1) % count], left[at % count], left[(at + 1) % count]];
        let [a, b, c] = [flat[before], flat[ear], flat[after]];
        let turn = cross(a, b, c);
        let is_ear = turn > 0.0 && {
            tests += count as u64;
            !left.iter().any(|&other| is_inside(flat[other], a, b, c))
        };
        // After a round without an ear the polygon crosses itself or has no area: any corner will do, flat ones first.
        let stuck = tried >= count;
        if is_ear || (stuck && (turn == 0.0 || tried >= 2 * count)) {
            visit([before, ear, after]);
            left.remove(at % count);
            at = if at == 0 { 0 } else { at - 1 };
            tried = 0;
        } else {
            at = (at + 1) % count;
            tried += 1;
            tests += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(points: &[[f64; 3]], triangles: &[[usize; 3]]) -> f64 {
        let one = |corners: &[usize; 3]| {
            // All tests lie in a plane of constant z.
            let [a, b, c] = corners.map(|at| [points[at][0], points[at][1]]);
            cross(a, b, c) / 2.0
        };
        let areas: Vec<_> = triangles.iter().map(one).collect();
        assert!(areas.iter().all(|area| *area >= 0.0), "a triangle is turned over: {areas:?}");
        areas.iter().sum()
    }

    fn cut(outline: &[[f64; 2]]) -> (Vec<[f64; 3]>, Vec<[usize; 3]>) {
        let points: Vec<_> = outline.iter().map(|&[x, y]| [x, y, 4.0]).collect();
        let mut triangles = Vec::new();
        polygon(&points, |triangle| triangles.push(triangle));
        assert_eq!(triangles.len(), points.len() - 2);
        (points, triangles)
    }

    #[test]
    fn convex_polygons_become_fans() {
        let (points, triangles) = cut(&[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
        assert_eq!(triangles, [[0, 1, 2], [0, 2, 3]]);
        assert_eq!(area(&points, &triangles), 4.0);
    }

    #[test]
    fn concave_polygons_keep_their_area() {
        // An arrow head whose first corner sees the notch, where a fan would fold over.
        let mut arrow = [[2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, -2.0]];
        for _ in 0..4 {
            arrow.rotate_left(1);
            let (points, triangles) = cut(&arrow);
            assert_eq!(area(&points, &triangles), 2.0);
        }
        // A comb: shoelace area 17.
        let comb = [
            [0.0, 0.0],
            [7.0, 0.0],
            [7.0, 3.0],
            [6.0, 3.0],
            [6.0, 1.0],
            [4.0, 1.0],
            [4.0, 3.0],
            [3.0, 3.0],
            [3.0, 1.0],
            [1.0, 1.0],
            [1.0, 4.0],
            [0.0, 4.0],
        ];
        let (points, triangles) = cut(&comb);
        let shoelace: f64 =
            comb.iter().zip(comb.iter().cycle().skip(1)).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0;
        assert_eq!(area(&points, &triangles), shoelace);
    }

    #[test]
    fn hopeless_polygons_still_end() {
        cut(&[[0.0, 0.0]; 50]);
        cut(&[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        cut(&[[f64::NAN, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.1], [0.0, 1.0]]);
        let spikes: Vec<_> =
            (0..3000).map(|n| [f64::from(n), if n % 2 == 0 { 0.0 } else { 1.0 + f64::from(n % 7) }]).collect();
        cut(&spikes);
    }
}
