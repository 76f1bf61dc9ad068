//! Polygons to triangles.
//!
//! A polygon of `n` corners always becomes `n - 2` triangles with its own corners and its own winding: a fan when it is
//! convex, ears otherwise. It is judged flat, on the plane of its Newell normal, which is defined for polygons that are not
//! quite planar too. Polygons that cross themselves or have no area get some triangulation.

use mediary_core::record::scene::Primitive;

/// Point-in-ear tests for one polygon; what is left then is cut as a fan, so that a hostile polygon costs bounded time.
const TESTS: u64 = 100_000_000;

/// The faces of a [`Topology::Polygons`](mediary_core::record::scene::Topology::Polygons) primitive as triangles. The
/// primitive must be valid. Faces of fewer than three corners have none.
pub(crate) fn primitive(primitive: &Primitive) -> Vec<u32> {
    let mut triangles = Vec::with_capacity(usize::try_from(primitive.triangles()).unwrap_or(0) * 3);
    let mut face = Vec::new();
    let mut start = 0;
    for &size in &primitive.face_sizes {
        let end = start + size as usize;
        match &primitive.indices {
            Some(indices) => polygon(&indices[start..end], &primitive.positions, &mut triangles),
            None => {
                face.clear();
                face.extend((start..end).map(|corner| corner as u32));
                polygon(&face, &primitive.positions, &mut triangles);
            }
        }
        start = end;
    }
    triangles
}

/// Appends the triangles of the polygon whose `corners` are indices into `positions`.
pub(crate) fn polygon(corners: &[u32], positions: &[[f32; 3]], triangles: &mut Vec<u32>) {
    match corners {
        [] | [_] | [_, _] => {}
        &[a, b, c] => triangles.extend([a, b, c]),
        _ => {
            let flat = project(corners, positions);
            let all = 0..flat.len();
            let is_convex = all.clone().all(|at| {
                let [before, after] = [(at + flat.len() - 1) % flat.len(), (at + 1) % flat.len()];
                cross(flat[before], flat[at], flat[after]) >= 0.0
            });
            if is_convex { fan(corners, &all.collect::<Vec<_>>(), triangles) } else { ears(corners, &flat, triangles) }
        }
    }
}

fn fan(corners: &[u32], left: &[usize], triangles: &mut Vec<u32>) {
    for pair in left.windows(2).skip(1) {
        triangles.extend([corners[left[0]], corners[pair[0]], corners[pair[1]]]);
    }
}

/// The corners on the coordinate plane that the polygon faces most, counter-clockwise.
fn project(corners: &[u32], positions: &[[f32; 3]]) -> Vec<[f64; 2]> {
    let points: Vec<[f64; 3]> = corners.iter().map(|&corner| positions[corner as usize].map(f64::from)).collect();
    // Newell's method: twice the areas of the projections on the three coordinate planes.
    let mut normal = [0.0; 3];
    for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
        for axis in 0..3 {
            let [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
            normal[axis] += (a[u] - b[u]) * (a[v] + b[v]);
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

fn ears(corners: &[u32], flat: &[[f64; 2]], triangles: &mut Vec<u32>) {
    let mut left: Vec<usize> = (0..corners.len()).collect();
    let mut tests = 0;
    let mut at = 0;
    // Corners looked at since the last ear was cut.
    let mut tried = 0;
    while left.len() > 3 {
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
            triangles.extend([corners[before], corners[ear], corners[after]]);
            left.remove(at % count);
            at = if at == 0 { 0 } else { at - 1 };
            tried = 0;
        } else {
            at = (at + 1) % count;
            tried += 1;
            tests += 1;
        }
        if tests > TESTS {
            return fan(corners, &left, triangles);
        }
    }
    fan(corners, &left, triangles);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(points: &[[f32; 3]], triangles: &[u32]) -> f64 {
        let point = |index: u32| points[index as usize].map(f64::from);
        let one = |corners: &[u32]| {
            let [a, b, c] = [point(corners[0]), point(corners[1]), point(corners[2])];
            // All tests lie in a plane of constant z.
            cross([a[0], a[1]], [b[0], b[1]], [c[0], c[1]]) / 2.0
        };
        let areas: Vec<_> = triangles.chunks_exact(3).map(one).collect();
        assert!(areas.iter().all(|area| *area >= 0.0), "a triangle is turned over: {areas:?}");
        areas.iter().sum()
    }

    fn cut(outline: &[[f32; 2]]) -> (Vec<[f32; 3]>, Vec<u32>) {
        let points: Vec<_> = outline.iter().map(|&[x, y]| [x, y, 4.0]).collect();
        let corners: Vec<_> = (0..points.len() as u32).collect();
        let mut triangles = Vec::new();
        polygon(&corners, &points, &mut triangles);
        assert_eq!(triangles.len(), (points.len() - 2) * 3);
        (points, triangles)
    }

    #[test]
    fn convex_polygons_become_fans() {
        let (points, triangles) = cut(&[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
        assert_eq!(triangles, [0, 1, 2, 0, 2, 3]);
        assert_eq!(area(&points, &triangles), 4.0);
    }

    #[test]
    fn concave_polygons_keep_their_area() {
        // An arrow head whose first corner sees the notch, where a fan would fold over.
        let (points, triangles) = cut(&[[2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, -2.0]]);
        assert_eq!(area(&points, &triangles), 2.0);
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
        let shoelace: f32 =
            comb.iter().zip(comb.iter().cycle().skip(1)).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0;
        assert_eq!(area(&points, &triangles), f64::from(shoelace));
    }

    #[test]
    fn hopeless_polygons_still_end() {
        cut(&[[0.0, 0.0]; 50]);
        cut(&[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        let (_, triangles) = cut(&[[f32::NAN, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.1], [0.0, 1.0]]);
        assert_eq!(triangles.len(), 9);
        let spikes: Vec<_> =
            (0..3000).map(|n| [n as f32, if n % 2 == 0 { 0.0 } else { 1.0 + (n % 7) as f32 }]).collect();
        cut(&spikes);
    }
}
