//! Matrices as translation, rotation and scale, which is all that a node of glTF may hold.

/// Translation, rotation (a unit quaternion x y z w) and scale.
pub(crate) type Trs = ([f64; 3], [f64; 4], [f64; 3]);

type Vector = [f64; 3];

/// A column-major 4 x 4 matrix as [`Trs`]; `None` when it has shear, perspective or a scale of zero.
pub(crate) fn decompose(m: &[f64; 16]) -> Option<Trs> {
    decompose_within(m, 1e-4)
}

/// [`decompose`] for matrices of few digits: the cosines of angles between axes may be as large as `tolerance`.
pub(crate) fn decompose_within(m: &[f64; 16], tolerance: f64) -> Option<Trs> {
    if [m[3], m[7], m[11], m[15]] != [0.0, 0.0, 0.0, 1.0] {
        return None;
    }
    let mut columns = columns(m);
    let mut scale = columns.map(|column| dot(column, column).sqrt());
    if scale.contains(&0.0) || !scale.iter().all(|scale| scale.is_finite()) {
        return None;
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        if dot(columns[a], columns[b]).abs() > tolerance * scale[a] * scale[b] {
            return None;
        }
    }
    if dot(cross(columns[0], columns[1]), columns[2]) < 0.0 {
        scale[0] = -scale[0];
    }
    for (column, scale) in columns.iter_mut().zip(scale) {
        *column = column.map(|value| value / scale);
    }
    Some(([m[12], m[13], m[14]], quaternion(&columns), scale))
}

/// Any affine matrix as [`Trs`] after a rotation, by singular values: what a node and a parent made for it hold together.
/// `None` for perspective.
pub(crate) fn split(m: &[f64; 16]) -> Option<(Trs, [f64; 4])> {
    if [m[3], m[7], m[11], m[15]] != [0.0, 0.0, 0.0, 1.0] || !m.iter().all(|value| value.is_finite()) {
        return None;
    }
    // M = U·S·Vᵀ; the columns of M·V are those of U times S.
    let (columns, mut v) = (columns(m), axes(&columns(m)));
    if dot(cross(v[0], v[1]), v[2]) < 0.0 {
        v[2] = v[2].map(|value| -value);
    }
    let turned = v.map(|axis| [0, 1, 2].map(|row| (0..3).map(|k| columns[k][row] * axis[k]).sum::<f64>()));
    let mut scale = turned.map(|column| dot(column, column).sqrt());
    let least = scale.iter().fold(0.0f64, |most, &scale| most.max(scale)) * 1e-9;
    let mut u: [Option<Vector>; 3] = [None; 3];
    for axis in 0..3 {
        if scale[axis] > least {
            u[axis] = Some(turned[axis].map(|value| value / scale[axis]));
        } else {
            scale[axis] = 0.0;
        }
    }
    let mut u = completed(u);
    if dot(cross(u[0], u[1]), u[2]) < 0.0 {
        u[2] = u[2].map(|value| -value);
        scale[2] = -scale[2];
    }
    // The transpose turns by the same angle about the same axis the other way.
    let [x, y, z, w] = quaternion(&v);
    Some((([m[12], m[13], m[14]], quaternion(&u), scale), [-x, -y, -z, w]))
}

/// The inverse of an affine matrix; `None` when it has none.
pub(crate) fn inverse(m: &[f64; 16]) -> Option<[f64; 16]> {
    let [a, b, c] = columns(m);
    let rows = [cross(b, c), cross(c, a), cross(a, b)];
    let determinant = dot(a, rows[0]);
    let rows = rows.map(|row| row.map(|value| value / determinant));
    let offset = [m[12], m[13], m[14]];
    let [x, y, z] = rows.map(|row| -dot(row, offset));
    let [p, q, r] = rows;
    let out = [p[0], q[0], r[0], 0.0, p[1], q[1], r[1], 0.0, p[2], q[2], r[2], 0.0, x, y, z, 1.0];
    out.iter().all(|value| value.is_finite()).then_some(out)
}

fn columns(m: &[f64; 16]) -> [Vector; 3] {
    [[m[0], m[1], m[2]], [m[4], m[5], m[6]], [m[8], m[9], m[10]]]
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Orthonormal eigenvectors of MᵀM, by Jacobi rotations; the columns of M are given.
fn axes(columns: &[Vector; 3]) -> [Vector; 3] {
    let mut s = [0, 1, 2].map(|row: usize| [0, 1, 2].map(|column: usize| dot(columns[row], columns[column])));
    let mut v: [Vector; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // Quadratic convergence: a handful of sweeps suffices, the bound is for what is not finite.
    for _ in 0..32 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if s[p][q].abs() <= 1e-16 * (s[p][p] * s[q][q]).abs().sqrt() {
                continue;
            }
            let theta = (s[q][q] - s[p][p]) / (2.0 * s[p][q]);
            let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
            let cos = 1.0 / (t * t + 1.0).sqrt();
            let sin = t * cos;
            for row in &mut s {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            turn(&mut s, p, q, cos, sin);
            turn(&mut v, p, q, cos, sin);
        }
    }
    v
}

/// Turns rows `p` and `q` in their plane.
fn turn(rows: &mut [Vector; 3], p: usize, q: usize, cos: f64, sin: f64) {
    let (a, b) = (rows[p], rows[q]);
    rows[p] = [0, 1, 2].map(|k| cos * a[k] - sin * b[k]);
    rows[q] = [0, 1, 2].map(|k| sin * a[k] + cos * b[k]);
}

/// Three orthonormal vectors of which some are known.
fn completed(known: [Option<Vector>; 3]) -> [Vector; 3] {
    let mut all: Vec<Vector> = known.iter().flatten().copied().collect();
    while all.len() < 3 {
        let next = match all[..] {
            [a, b] => cross(a, b),
            // The axis that is farthest from what is there.
            [a] => {
                let least = (0..3).min_by(|&x, &y| a[x].abs().total_cmp(&a[y].abs())).unwrap_or(0);
                let mut axis = [0.0; 3];
                axis[least] = 1.0;
                let side = cross(a, axis);
                let length = dot(side, side).sqrt();
                side.map(|value| value / length)
            }
            _ => [1.0, 0.0, 0.0],
        };
        all.push(next);
    }
    let mut fresh = all[known.iter().flatten().count()..].iter();
    known.map(|vector| vector.or_else(|| fresh.next().copied()).unwrap_or_default())
}

/// The unit quaternion of a rotation, by its columns.
pub(crate) fn quaternion(columns: &[Vector; 3]) -> [f64; 4] {
    let r = |row: usize, column: usize| columns[column][row];
    // The largest of the four candidates keeps the division well conditioned.
    let trace = r(0, 0) + r(1, 1) + r(2, 2);
    let q = if trace > 0.0 {
        let s = (trace + 1.0).sqrt() * 2.0;
        [(r(2, 1) - r(1, 2)) / s, (r(0, 2) - r(2, 0)) / s, (r(1, 0) - r(0, 1)) / s, s / 4.0]
    } else if r(0, 0) > r(1, 1) && r(0, 0) > r(2, 2) {
        let s = (1.0 + r(0, 0) - r(1, 1) - r(2, 2)).sqrt() * 2.0;
        [s / 4.0, (r(0, 1) + r(1, 0)) / s, (r(0, 2) + r(2, 0)) / s, (r(2, 1) - r(1, 2)) / s]
    } else if r(1, 1) > r(2, 2) {
        let s = (1.0 + r(1, 1) - r(0, 0) - r(2, 2)).sqrt() * 2.0;
        [(r(0, 1) + r(1, 0)) / s, s / 4.0, (r(1, 2) + r(2, 1)) / s, (r(0, 2) - r(2, 0)) / s]
    } else {
        let s = (1.0 + r(2, 2) - r(0, 0) - r(1, 1)).sqrt() * 2.0;
        [(r(0, 2) + r(2, 0)) / s, (r(1, 2) + r(2, 1)) / s, s / 4.0, (r(1, 0) - r(0, 1)) / s]
    };
    let length = q.iter().map(|value| value * value).sum::<f64>().sqrt();
    q.map(|value| value / length)
}

#[cfg(test)]
mod tests {
    use mediary_core::record::scene::{Transform, multiply};

    use super::*;

    fn matrix((translation, rotation, scale): Trs) -> [f64; 16] {
        Transform::Trs { translation, rotation, scale }.matrix()
    }

    #[test]
    fn an_inverse_undoes() {
        let m = [-1.0, 0.2, 0.0, 0.0, 0.7, 1.0, 0.1, 0.0, 0.0, -0.3, 2.0, 0.0, 4.0, 5.0, 6.0, 1.0];
        let identity = multiply(&m, &inverse(&m).expect("regular"));
        let expected = Transform::IDENTITY.matrix();
        assert!(identity.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{identity:?}");
        assert!(inverse(&[0.0; 16]).is_none());
    }

    #[test]
    fn any_affine_matrix_is_two_nodes() {
        let shear = [1.0, 0.0, 0.0, 0.0, 0.7, 1.0, 0.0, 0.0, 0.0, -0.3, 2.0, 0.0, 4.0, 5.0, 6.0, 1.0];
        let mirror = [-1.0, 0.2, 0.0, 0.0, 0.7, 1.0, 0.1, 0.0, 0.0, -0.3, 2.0, 0.0, 4.0, 5.0, 6.0, 1.0];
        let flat = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let line = [1.0, 2.0, 3.0, 0.0, 2.0, 4.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let nothing = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 1.0];
        for given in [shear, mirror, flat, line, nothing] {
            assert!(decompose(&given).is_none());
            let (outer, rotation) = split(&given).expect("affine");
            let product = multiply(&matrix(outer), &matrix(([0.0; 3], rotation, [1.0; 3])));
            for (a, b) in product.iter().zip(given) {
                assert!((a - b).abs() < 1e-7, "{given:?}: {product:?}");
            }
        }
        assert!(split(&[1.0; 16]).is_none(), "perspective");
        let plain = ([1.0, 2.0, 3.0], [0.5, 0.5, -0.5, 0.5], [-2.0, 3.0, 4.0]);
        let (translation, rotation, scale) = decompose(&matrix(plain)).expect("no shear");
        let again = matrix((translation, rotation, scale));
        assert!(again.iter().zip(matrix(plain)).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
