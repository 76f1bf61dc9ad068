//! Normals as points of an octahedron that is folded out into a square: the upper half is the diamond in its middle, the lower
//! half the four corners.

use mediary_core::Result;

use super::stream::Stream;

/// The square, of which both coordinates are 0 to twice the centre.
#[derive(Clone, Copy, Debug)]
pub(super) struct Octahedron {
    center: i32,
    scale: f32,
}

/// A square of `1 << bits` steps less two.
pub(super) fn of_bits(bits: u32, stream: &Stream<'_>) -> Result<Octahedron> {
    match bits {
        2..=30 => {
            let center = (1 << (bits - 1)) - 1;
            Ok(Octahedron { center, scale: 2.0 / (center * 2) as f32 })
        }
        _ => Err(stream.fail(format!("expected normals of 2 to 30 bits, found {bits}"))),
    }
}

/// Of which the largest value is stated.
pub(super) fn of_largest(largest: i32, stream: &Stream<'_>) -> Result<Octahedron> {
    match largest {
        1.. if largest % 2 == 1 => of_bits(largest.ilog2() + 1, stream),
        _ => Err(stream.fail(format!("expected an odd number as the largest of normals, found {largest}"))),
    }
}

impl Octahedron {
    /// The normal at a place; zero where the place is so far outside that it has none.
    pub(super) fn unit_vector(&self, place: [i32; 2]) -> [f32; 3] {
        let [mut y, mut z] = place.map(|coordinate| coordinate as f32 * self.scale - 1.0);
        let x = 1.0 - y.abs() - z.abs();
        let fold = (-x).max(0.0);
        y += if y < 0.0 { fold } else { -fold };
        z += if z < 0.0 { fold } else { -fold };
        let square = x * x + y * y + z * z;
        if f64::from(square) < 1e-6 {
            return [0.0; 3];
        }
        let inverse = 1.0 / square.sqrt();
        [x * inverse, y * inverse, z * inverse]
    }

    /// The place of a vector of any length.
    pub(super) fn place(&self, vector: [i32; 3], flipped: bool) -> [i32; 2] {
        let center = self.center;
        let sum: i64 = vector.iter().map(|&component| i64::from(component).abs()).sum();
        let [mut x, mut y, mut z] = match sum {
            0 => [center, vector[1], vector[2]],
            _ => {
                let [x, y] = [vector[0], vector[1]].map(|part| (i64::from(part) * i64::from(center) / sum) as i32);
                let z = center - x.abs() - y.abs();
                [x, y, if vector[2] >= 0 { z } else { -z }]
            }
        };
        if flipped {
            [x, y, z] = [-x, -y, -z];
        }
        let largest = center * 2;
        let [s, t] = if x >= 0 {
            [y + center, z + center]
        } else {
            [if y < 0 { z.abs() } else { largest - z.abs() }, if z < 0 { y.abs() } else { largest - y.abs() }]
        };
        // Places at the edges that mean the same are one.
        match (s, t) {
            _ if (s == 0 || s == largest) && (t == 0 || t == largest) && (s, t) != (largest, largest) => {
                [largest, largest]
            }
            (0, _) if t > center => [s, largest - t],
            (_, _) if s == largest && t < center => [s, largest - t],
            (_, _) if t == largest && s < center => [largest - s, t],
            (_, 0) if s > center => [largest - s, t],
            _ => [s, t],
        }
    }

    /// Undoes a prediction: the place that is `correction` away from `predicted`, wrapped at the edges. The
    /// correction is meant for a prediction in the lower left quarter.
    pub(super) fn correct(&self, predicted: [i32; 2], correction: [i32; 2]) -> [i32; 2] {
        let center = self.center;
        let mut place = predicted.map(|coordinate| coordinate.wrapping_sub(center));
        let outside = place[0].unsigned_abs().wrapping_add(place[1].unsigned_abs()) > center.unsigned_abs();
        if outside {
            place = self.turn_inside_out(place);
        }
        let turns = quarter_turns(place);
        place = turned(place, turns);
        for (coordinate, correction) in place.iter_mut().zip(correction) {
            *coordinate = self.wrapped(coordinate.wrapping_add(correction));
        }
        place = turned(place, (4 - turns) % 4);
        if outside {
            place = self.turn_inside_out(place);
        }
        place.map(|coordinate| coordinate.wrapping_add(center))
    }

    /// Folds the corners into the diamond and back, coordinates from the centre.
    fn turn_inside_out(&self, [s, t]: [i32; 2]) -> [i32; 2] {
        let (sign_s, sign_t) = if s >= 0 && t >= 0 {
            (1, 1)
        } else if s <= 0 && t <= 0 {
            (-1, -1)
        } else {
            (s.signum(), t.signum())
        };
        let (corner_s, corner_t) = (sign_s * self.center, sign_t * self.center);
        let from_corner = [s.wrapping_mul(2).wrapping_sub(corner_s), t.wrapping_mul(2).wrapping_sub(corner_t)];
        let [s, t] = match sign_s * sign_t {
            0.. => [from_corner[1].wrapping_neg(), from_corner[0].wrapping_neg()],
            _ => [from_corner[1], from_corner[0]],
        };
        [s.wrapping_add(corner_s) / 2, t.wrapping_add(corner_t) / 2]
    }

    fn wrapped(&self, coordinate: i32) -> i32 {
        let span = self.center.wrapping_mul(2).wrapping_add(1);
        if coordinate > self.center {
            coordinate.wrapping_sub(span)
        } else if coordinate < -self.center {
            coordinate.wrapping_add(span)
        } else {
            coordinate
        }
    }
}

/// Quarter turns that bring a place to the lower left.
fn quarter_turns([s, t]: [i32; 2]) -> u8 {
    match (s.signum(), t.signum()) {
        (0, 0) | (-1, -1 | 0) => 0,
        (0 | 1, -1) => 1,
        (1, _) => 2,
        _ => 3,
    }
}

fn turned([s, t]: [i32; 2], turns: u8) -> [i32; 2] {
    match turns {
        1 => [t, s.wrapping_neg()],
        2 => [s.wrapping_neg(), t.wrapping_neg()],
        3 => [t.wrapping_neg(), s],
        _ => [s, t],
    }
}
