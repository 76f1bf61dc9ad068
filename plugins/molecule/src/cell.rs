//! Unit cells as vectors and as edges with angles.

use mediary_core::record::molecule::Cell;
use mediary_core::{Error, Result};

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

/// Whether the edges and angles enclose a volume.
pub(crate) fn is_possible(cell: &Cell) -> bool {
    let [a, b, c] = vectors(cell);
    let volume = a[0] * b[1] * c[2];
    cell.lengths.iter().all(|&edge| edge > 0.0) && volume.is_finite() && volume > 1e-9
}

/// Fractions of the edges as Cartesian coordinates, as far as double precision holds them.
pub(crate) fn cartesian(vectors: &[[f64; 3]; 3], fraction: [f64; 3]) -> Result<[f64; 3]> {
    let position = std::array::from_fn(|axis| {
        vectors[0][axis] * fraction[0] + vectors[1][axis] * fraction[1] + vectors[2][axis] * fraction[2]
    });
    match position.iter().all(|value| value.is_finite()) {
        true => Ok(position),
        false => Err(Error::malformed(format!("expected fractions of the edges, found {fraction:?}"))),
    }
}

/// The mean square displacement in Å² of an anisotropic one, U11, U22, U33, U12, U13, U23: a third of the trace of the tensor in
/// Cartesian axes (Fischer & Tillmanns, Acta Cryst. 1988, C44, 775).
pub(crate) fn equivalent(cell: &Cell, u: [f64; 6]) -> f64 {
    let edges = vectors(cell);
    let volume = edges[0][0] * edges[1][1] * edges[2][2];
    let [a, b, c] = cell.lengths;
    let sine = cell.angles.map(|angle| angle.to_radians().sin());
    let reciprocal = [b * c * sine[0] / volume, a * c * sine[1] / volume, a * b * sine[2] / volume];
    let dot = |i: usize, j: usize| (0..3).map(|axis| edges[i][axis] * edges[j][axis]).sum::<f64>();
    let pairs = [(0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0), (0, 1, 2.0), (0, 2, 2.0), (1, 2, 2.0)];
    let terms = u.iter().zip(pairs).map(|(u, (i, j, weight))| u * weight * reciprocal[i] * reciprocal[j] * dot(i, j));
    terms.sum::<f64>() / 3.0
}
