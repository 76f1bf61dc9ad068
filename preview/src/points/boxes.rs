//! The edges of a box whose corners come in any order.

/// Pairs of corners that are joined: twelve, whatever the corners are.
///
/// The two corners nearest to the first are its neighbours. The third neighbour is the nearest that is left, but for the one
/// across the face of the first two. The other corners are told by their place in that frame.
pub(super) fn edges(corners: &[[f64; 3]; 8]) -> [[usize; 2]; 12] {
    let between = |a: [f64; 3], b: [f64; 3]| (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>();
    let origin = corners[0];
    let mut others: Vec<usize> = (1..8).collect();
    others.sort_by(|a, b| between(origin, corners[*a]).total_cmp(&between(origin, corners[*b])));
    let place = |bits: usize, frame: &[usize]| {
        let mut place = origin;
        for (corner, _) in frame.iter().zip(0..).filter(|(_, bit)| bits >> bit & 1 == 1) {
            (0..3).for_each(|axis| place[axis] += corners[*corner][axis] - origin[axis]);
        }
        place
    };
    let closest = |at: [f64; 3], among: &[usize]| {
        among.iter().copied().min_by(|a, b| between(at, corners[*a]).total_cmp(&between(at, corners[*b]))).unwrap_or(0)
    };
    let (first, second) = (others[0], others[1]);
    let across = closest(place(3, &[first, second]), &others[2..]);
    let third = others[2..].iter().copied().find(|corner| *corner != across).unwrap_or(0);
    let frame = [first, second, third];
    // Corner by its place: bit 0 along the first edge, bit 1 along the second, bit 2 along the third.
    let mut by_place = [0, first, second, across, third, 0, 0, 0];
    others.retain(|corner| ![first, second, third, across].contains(corner));
    for bits in [5, 6, 7] {
        by_place[bits] = closest(place(bits, &frame), &others);
        others.retain(|corner| *corner != by_place[bits]);
    }
    let mut edges = [[0; 2]; 12];
    let pairs = (0..8).flat_map(|low| [1, 2, 4].map(|bit| (low, low | bit))).filter(|(low, high)| low != high);
    for (edge, (low, high)) in edges.iter_mut().zip(pairs) {
        *edge = [by_place[low], by_place[high]];
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the edges, sorted; and how many edges every corner has.
    fn judge(corners: &[[f64; 3]; 8]) -> (Vec<f64>, [usize; 8]) {
        let mut degree = [0; 8];
        let mut lengths: Vec<f64> = edges(corners)
            .iter()
            .map(|&[a, b]| {
                degree[a] += 1;
                degree[b] += 1;
                (0..3).map(|axis| (corners[a][axis] - corners[b][axis]).powi(2)).sum::<f64>().sqrt()
            })
            .collect();
        lengths.sort_by(f64::total_cmp);
        (lengths, degree)
    }

    fn turned([x, y, z]: [f64; 3]) -> [f64; 3] {
        let (sin, cos) = 0.7_f64.sin_cos();
        let (x, y) = (cos * x - sin * y, sin * x + cos * y);
        [x + 100.0, cos * y - sin * z, sin * y + cos * z]
    }

    #[test]
    fn edges_are_found_in_any_order_of_corners() {
        for [a, b, c] in [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [5.0, 0.1, 0.1], [1.0, 10.0, 10.0], [3.0, 4.0, 4.9]] {
            let mut expected = [[a; 4], [b; 4], [c; 4]].concat();
            expected.sort_by(f64::total_cmp);
            let corner = |i: usize| turned([a * (i & 1) as f64, b * (i >> 1 & 1) as f64, c * (i >> 2) as f64]);
            // Bits in order, and round the bottom and round the top, as files have it; then any order.
            let mut orders = vec![[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 3, 2, 4, 5, 7, 6], [7, 0, 6, 1, 5, 2, 4, 3]];
            for step in 1..40_usize {
                let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
                (0..8).for_each(|i| order.swap(i, (i * step * 5 + step * 3) % 8));
                orders.push(order);
            }
            for order in orders {
                let (lengths, degree) = judge(&order.map(corner));
                assert_eq!(degree, [3; 8], "{order:?}");
                let off = lengths.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-9, "{order:?}: {lengths:?}");
            }
        }
    }

    #[test]
    fn flat_and_broken_boxes_have_edges_too() {
        let flat = std::array::from_fn(|i| [(i & 1) as f64 * 4.0, (i >> 1 & 1) as f64 * 3.0, 0.0]);
        let (lengths, _) = judge(&flat);
        assert_eq!(lengths, [0.0, 0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0]);
        for bad in [[[0.0; 3]; 8], [[f64::NAN; 3]; 8], [[f64::INFINITY, 0.0, 1e300]; 8]] {
            let _ = edges(&bad);
        }
    }
}
