//! Vectors, and the way from a record's space to the picture's.

pub(crate) type V3 = [f32; 3];

pub(crate) fn add(a: V3, b: V3) -> V3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: V3, b: V3) -> V3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: V3, by: f32) -> V3 {
    a.map(|value| value * by)
}

pub(crate) fn mul(a: V3, b: V3) -> V3 {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

pub(crate) fn dot(a: V3, b: V3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: V3, b: V3) -> V3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Of unit length, or `None` where there is no direction.
pub(crate) fn unit(a: V3) -> Option<V3> {
    // In double precision: the square of a small normal is no number in single precision.
    let length = a.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| a.map(|value| (f64::from(value) / length) as f32))
}

pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub(crate) fn mix(a: V3, b: V3, t: f32) -> V3 {
    [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)]
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(crate) fn smoothstep(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Three rows of an affine map in single precision, `[x, y, z, offset]` each.
pub(crate) type Rows = [[f32; 4]; 3];

/// `point` under an affine map.
pub(crate) fn apply(rows: &Rows, p: V3) -> V3 {
    [0, 1, 2].map(|row| rows[row][0] * p[0] + rows[row][1] * p[1] + rows[row][2] * p[2] + rows[row][3])
}

/// Rows of a column-major matrix of double precision.
pub(crate) fn rows(m: &[f64; 16]) -> Rows {
    [0, 1, 2].map(|row| [m[row] as f32, m[4 + row] as f32, m[8 + row] as f32, m[12 + row] as f32])
}

/// Takes normals where the map takes surfaces: its cofactors, in double precision and scaled to be near 1.
pub(crate) fn normal_map(m: &[f64; 16]) -> [V3; 3] {
    let at = |row: usize, column: usize| m[column * 4 + row];
    let minor = |row: usize, column: usize| {
        let [r, s] = [(row + 1) % 3, (row + 2) % 3];
        let [c, d] = [(column + 1) % 3, (column + 2) % 3];
        at(r, c) * at(s, d) - at(r, d) * at(s, c)
    };
    let cofactors = [0, 1, 2].map(|row| [0, 1, 2].map(|column| minor(row, column)));
    let largest = cofactors.iter().flatten().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let by = if largest > 0.0 && largest.is_finite() { 1.0 / largest } else { 0.0 };
    cofactors.map(|row| row.map(|value| (value * by) as f32))
}

pub(crate) fn turn(rows: &[V3; 3], v: V3) -> V3 {
    [dot(rows[0], v), dot(rows[1], v), dot(rows[2], v)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_stay_normal_under_uneven_scale() {
        let mut m = [0.0; 16];
        (m[0], m[5], m[10], m[15]) = (4.0, 1.0, 1.0, 1.0);
        // The plane x + y = 0 becomes x / 4 + y = 0.
        let n = unit(turn(&normal_map(&m), [1.0, 1.0, 0.0])).unwrap();
        assert!((n[0] * 4.0 - n[1]).abs() < 1e-6, "{n:?}");
    }

    #[test]
    fn tiny_directions_are_directions() {
        assert_eq!(unit([0.0, 1e-30, 0.0]), Some([0.0, 1.0, 0.0]));
        assert_eq!(unit([0.0; 3]), None);
        assert_eq!(unit([f32::NAN, 0.0, 0.0]), None);
    }
}
