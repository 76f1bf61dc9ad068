//! Unit cells as vectors and as edges with angles.

use mediary_core::record::molecule::Cell;

/// The cell of three vectors, and whether they lie along the axes in the usual way: a along x, b in the plane of x and y. `None`
/// without three edges.
pub(crate) fn from_vectors(vectors: [[f64; 3]; 3]) -> Option<(Cell, bool)> {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let lengths = vectors.map(|vector| dot(vector, vector).sqrt());
    if lengths.iter().any(|&length| length <= 0.0 || !length.is_finite()) {
        return None;
    }
    let angle = |i: usize, j: usize| {
        let cosine = dot(vectors[i], vectors[j]) / (lengths[i] * lengths[j]);
        // The arc cosine of exactly 0 is a right angle but for its last digit.
        if cosine == 0.0 { 90.0 } else { cosine.clamp(-1.0, 1.0).acos().to_degrees() }
    };
    let usual = vectors[0][1] == 0.0 && vectors[0][2] == 0.0 && vectors[1][2] == 0.0;
    Some((Cell { lengths, angles: [angle(1, 2), angle(0, 2), angle(0, 1)] }, usual))
}

/// The usual vectors of a cell: a along x, b in the plane of x and y.
pub(crate) fn vectors(cell: &Cell) -> [[f64; 3]; 3] {
    let [a, b, c] = cell.lengths;
    let cosine = cell.angles.map(|angle| if angle == 90.0 { 0.0 } else { angle.to_radians().cos() });
    let sine = (1.0 - cosine[2] * cosine[2]).sqrt();
    let cy = (cosine[0] - cosine[1] * cosine[2]) / sine;
    let cz = (1.0 - cosine[1] * cosine[1] - cy * cy).max(0.0).sqrt();
    [[a, 0.0, 0.0], [b * cosine[2], b * sine, 0.0], [c * cosine[1], c * cy, c * cz]]
}
