//! The camera: a three-quarter view that holds everything, found in one pass over the points.

use mediary_core::record::scene::multiply;

/// Half the angle of view, as a tangent: 30 degrees in all, the look of a long lens.
const TAN: f64 = 0.267_949_192_431_122_7;
/// How much of the frame is filled.
const FILL: f64 = 0.88;
/// The camera stands this far to the side, in degrees, and this far above: of things, and of land, which is flat.
const AZIMUTH: f64 = 36.0;
const ELEVATION: f64 = 24.0;
const AERIAL: f64 = 42.0;

/// Which axis of the record points up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// x
    X,
    /// y, as in glTF.
    Y,
    /// z, as in surveying and printing.
    Z,
}

impl Up {
    /// By its letter.
    #[must_use]
    pub fn named(axis: &str) -> Option<Self> {
        match axis {
            "x" => Some(Self::X),
            "y" => Some(Self::Y),
            "z" => Some(Self::Z),
            _ => None,
        }
    }

    /// Its place among coordinates.
    pub(crate) fn axis(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
            Self::Z => 2,
        }
    }

    /// A direction of a y-up space in this one, by a rotation.
    fn turn(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        match self {
            Self::X => [y, -x, z],
            Self::Y => [x, y, z],
            Self::Z => [x, -z, y],
        }
    }
}

/// Which way the camera looks: its axes (right, up, back) in the record's space.
#[derive(Clone, Copy)]
pub(crate) struct View([[f64; 3]; 3]);

impl View {
    pub(crate) fn three_quarter(up: Up) -> Self {
        Self::from_above(up, ELEVATION)
    }

    /// As a three-quarter view, from farther above.
    pub(crate) fn aerial(up: Up) -> Self {
        Self::from_above(up, AERIAL)
    }

    fn from_above(up: Up, elevation: f64) -> Self {
        let (azimuth, elevation) = (AZIMUTH.to_radians(), elevation.to_radians());
        let right = [azimuth.cos(), 0.0, -azimuth.sin()];
        let back = [azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()];
        let above = [-azimuth.sin() * elevation.sin(), elevation.cos(), -azimuth.cos() * elevation.sin()];
        Self([right, above, back].map(|axis| up.turn(axis)))
    }

    /// The direction that is up in the record, in the camera axes of a three-quarter view.
    pub(crate) fn sky() -> [f32; 3] {
        [0.0, ELEVATION.to_radians().cos() as f32, ELEVATION.to_radians().sin() as f32]
    }

    /// A point in camera axes.
    pub(crate) fn turn(&self, p: [f64; 3]) -> [f64; 3] {
        self.0.map(|axis| axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2])
    }

    fn matrix(&self) -> [f64; 16] {
        let mut m = [0.0; 16];
        for (row, axis) in self.0.iter().enumerate() {
            for (column, value) in axis.iter().enumerate() {
                m[column * 4 + row] = *value;
            }
        }
        m[15] = 1.0;
        m
    }
}

/// What the frame has to hold. A plane of the view's pyramid touches the point that is farthest along its normal, so four
/// maxima give the exact place of the camera.
#[derive(Clone, Copy)]
pub(crate) struct Fit {
    right: f64,
    left: f64,
    above: f64,
    below: f64,
    near: f64,
    far: f64,
}

impl Fit {
    pub(crate) const EMPTY: Self = Self {
        right: f64::NEG_INFINITY,
        left: f64::NEG_INFINITY,
        above: f64::NEG_INFINITY,
        below: f64::NEG_INFINITY,
        near: f64::NEG_INFINITY,
        far: f64::INFINITY,
    };

    /// A point in camera axes; one that is not finite is left out.
    pub(crate) fn include(&mut self, [x, y, z]: [f64; 3]) {
        let tan = TAN * FILL;
        if !(x + y + z).is_finite() {
            return;
        }
        self.right = self.right.max(x + tan * z);
        self.left = self.left.max(tan * z - x);
        self.above = self.above.max(y + tan * z);
        self.below = self.below.max(tan * z - y);
        self.near = self.near.max(z);
        self.far = self.far.min(z);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.near < self.far
    }

    /// The camera that holds what was included; `None` when it holds nothing, or more than numbers can.
    pub(crate) fn camera(&self, view: View) -> Option<Camera> {
        let tan = TAN * FILL;
        let (x, y) = ((self.right - self.left) / 2.0, (self.above - self.below) / 2.0);
        let reach = ((self.right + self.left) / 2.0).max((self.above + self.below) / 2.0) / tan;
        // Of a single point, the extent is 0: any distance will do.
        let depth = self.near - self.far;
        let extent = (reach - self.far).max(depth);
        let extent = if extent > 0.0 { extent } else { self.near.abs().max(1.0) * 1e-3 };
        let distance = reach.max(self.near + extent * 0.05);
        let unit = distance - (self.near + self.far) / 2.0;
        let valid = [x, y, distance, 1.0 / unit].iter().all(|value| value.is_finite()) && unit > 0.0;
        valid.then_some(Camera { view, at: [x, y, distance], unit })
    }
}

/// A perspective camera.
#[derive(Clone, Copy)]
pub(crate) struct Camera {
    view: View,
    /// In camera axes.
    at: [f64; 3],
    /// Distance of the middle of things: 1 in camera space.
    unit: f64,
}

/// Half the frame's height at distance 1.
pub(crate) const HALF: f32 = TAN as f32;

impl Camera {
    /// From a node's space to camera space: x to the right, y up, z towards the viewer, the middle of things at distance 1.
    pub(crate) fn camera_from_world(&self, world: &[f64; 16]) -> [f64; 16] {
        let mut m = multiply(&self.view.matrix(), world);
        for (row, at) in self.at.iter().enumerate() {
            m[12 + row] -= at;
            for column in 0..4 {
                m[column * 4 + row] /= self.unit;
            }
        }
        m
    }

    /// A point of the record in camera space.
    pub(crate) fn place(&self, point: [f64; 3]) -> [f32; 3] {
        let turned = self.view.turn(point);
        [0, 1, 2].map(|axis| ((turned[axis] - self.at[axis]) / self.unit) as f32)
    }

    /// A length of the record in camera space.
    pub(crate) fn length(&self, length: f64) -> f32 {
        (length / self.unit) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far the points reach, as a share of half the frame.
    fn reach(points: &[[f64; 3]], up: Up) -> [f32; 4] {
        let view = View::three_quarter(up);
        let mut fit = Fit::EMPTY;
        points.iter().for_each(|&point| fit.include(view.turn(point)));
        let camera = fit.camera(view).unwrap();
        let mut reach = [f32::MAX, f32::MIN, f32::MAX, f32::MIN];
        for &point in points {
            let [x, y, z] = camera.place(point);
            assert!(z < 0.0, "{point:?} is behind the camera");
            let (x, y) = (x / -z / HALF, y / -z / HALF);
            reach = [reach[0].min(x), reach[1].max(x), reach[2].min(y), reach[3].max(y)];
        }
        reach
    }

    #[test]
    fn the_frame_is_filled_and_never_left() {
        let cube: Vec<_> = (0..8).map(|i| [i & 1, i >> 1 & 1, i >> 2].map(f64::from)).collect();
        for scale in [1.0, 1e-20, 1e20, 1e150] {
            let points: Vec<_> = cube.iter().map(|p| p.map(|v| (v + 7.0) * scale)).collect();
            let [left, right, below, above] = reach(&points, Up::Y);
            let fill = FILL as f32;
            assert!((right - left).max(above - below) > 2.0 * fill - 1e-3, "{left} {right} {below} {above}");
            // Across the frame's looser side the middle is that of the pyramid, not of the picture.
            assert!((left + right).abs() < 0.01 && (below + above).abs() < 0.01, "{left} {right} {below} {above}");
        }
    }

    #[test]
    fn up_is_up_and_the_front_is_seen() {
        for (up, sky, front) in [
            (Up::Y, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
            (Up::Z, [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]),
            (Up::X, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ] {
            let view = View::three_quarter(up);
            let seen = view.turn(sky);
            assert!((0..3).all(|axis| (seen[axis] - f64::from(View::sky()[axis])).abs() < 1e-6), "{seen:?}");
            assert!(view.turn(front)[2] > 0.5);
        }
    }

    #[test]
    fn one_point_and_nothing() {
        assert!(Fit::EMPTY.is_empty() && Fit::EMPTY.camera(View::three_quarter(Up::Y)).is_none());
        for point in [[0.0; 3], [5.0, -3.0, 1e9], [1e300; 3]] {
            let [left, right, ..] = reach(&[point], Up::Z);
            assert!(left.abs() < 1e-3 && right.abs() < 1e-3);
        }
        let mut fit = Fit::EMPTY;
        fit.include([f64::NAN, 0.0, 0.0]);
        assert!(fit.is_empty());
    }
}
