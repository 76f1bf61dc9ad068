//! The points of a stream, thinned evenly to what a picture can show and memory can hold, and what they tell together.

use mediary_core::record::scene::{Scene, transform_point};
use mediary_core::record::{AttributeData, Bounds, PointCloud, ScalarType};
use mediary_core::{Context, Result};

use crate::camera::Up;
use crate::color;

/// Points that are kept: several for every pixel.
const MOST: usize = 3_000_000;
/// Points that medians and the like are taken of.
const ASKED: usize = 1 << 15;
/// A channel of a colour that is not black.
const VISIBLE: u32 = 12;
/// A point farther from the middle 98 % than half their extent is an outlier.
const MARGIN: f64 = 0.5;

/// Every `step`th point. A stream cannot be read twice and its length is not known: when there is no room left every second
/// point goes, and from then on every second one of those that come.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) positions: Vec<[f64; 3]>,
    /// sRGB as `0xRRGGBB`, or none.
    colors: Vec<u32>,
    categories: Vec<i32>,
    intensities: Vec<f32>,
    pub(super) step: u64,
    seen: u64,
    room: usize,
    charged: usize,
}

impl Gathered {
    fn new(cx: &Context) -> Self {
        let free = cx.budget().allowed().saturating_sub(cx.budget().taken());
        // Half of what is free; the picture itself needs the other.
        let room = usize::try_from(free / 2 / Self::BYTES).unwrap_or(MOST).clamp(1024, MOST);
        Self { step: 1, room, ..Self::default() }
    }

    /// Of a point with all attributes.
    const BYTES: u64 = 36;

    /// Whether the next point is kept; makes room for it.
    fn wants(&mut self) -> bool {
        let wanted = self.seen.is_multiple_of(self.step);
        self.seen += 1;
        if wanted && self.positions.len() >= self.room {
            self.step *= 2;
            thin(&mut self.positions);
            thin(&mut self.colors);
            thin(&mut self.categories);
            thin(&mut self.intensities);
            return (self.seen - 1).is_multiple_of(self.step);
        }
        wanted
    }

    /// Pays for what was kept since the last time.
    fn charge(&mut self, cx: &Context) -> Result<()> {
        let more = self.positions.len().saturating_sub(self.charged);
        self.charged += more;
        cx.budget().take(more as u64 * Self::BYTES)
    }

    pub(super) fn of_cloud(cloud: &mut PointCloud, cx: &Context) -> Result<Self> {
        let mut all = Self::new(cx);
        let named = |name: &str, least: usize| {
            cloud.schema.iter().position(|attribute| attribute.name == name && attribute.components >= least)
        };
        let (color, category, intensity) = (named("color", 3), named("category", 1), named("intensity", 1));
        let width = color.map_or(0, |color| cloud.schema[color].components);
        while let Some(chunk) = cloud.points.next_chunk()? {
            cx.checkpoint()?;
            for (number, position) in chunk.positions().iter().enumerate() {
                if !position.iter().all(|value| value.is_finite()) || !all.wants() {
                    continue;
                }
                all.positions.push(*position);
                if let Some(color) = color {
                    all.colors.push(packed(&chunk.attributes()[color], number * width));
                }
                if let Some(category) = category {
                    all.categories.push(chunk.attributes()[category].get(number).round() as i32);
                }
                if let Some(intensity) = intensity {
                    all.intensities.push(chunk.attributes()[intensity].get(number) as f32);
                }
            }
            all.charge(cx)?;
        }
        Ok(all)
    }

    pub(super) fn of_scene(scene: &Scene, cx: &Context) -> Result<Self> {
        let mut all = Self::new(cx);
        let colored = scene.primitives().all(|primitive| !primitive.colors.is_empty());
        let mut placed = Vec::new();
        scene.walk(|node, world| placed.extend(scene.nodes[node as usize].mesh.map(|mesh| (mesh, *world))));
        for (mesh, world) in placed {
            for primitive in &scene.meshes[mesh as usize].primitives {
                cx.checkpoint()?;
                for corner in 0..primitive.corners() {
                    let vertex = primitive.indices.as_ref().map_or(corner, |indices| indices[corner] as usize);
                    let position = transform_point(&world, primitive.positions[vertex].map(f64::from));
                    if !position.iter().all(|value| value.is_finite()) || !all.wants() {
                        continue;
                    }
                    all.positions.push(position);
                    if colored {
                        let [r, g, b, _] = primitive.colors[0][vertex];
                        all.colors.push(pack([r, g, b].map(color::srgb)));
                    }
                }
                all.charge(cx)?;
            }
        }
        Ok(all)
    }

    /// Some points, evenly chosen.
    fn some(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let all = self.positions.len();
        (0..all).step_by((all / count).max(1))
    }

    /// Where points belong to the picture: one stray point must not shrink all others. `None` for too few to tell.
    pub(super) fn limits(&self) -> Option<Bounds> {
        if self.positions.len() < 32 {
            return None;
        }
        let middle = [0, 1, 2].map(|axis| {
            let mut values: Vec<f64> = self.some(ASKED).map(|point| self.positions[point][axis]).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
            (at(0.01), at(0.99))
        });
        let widest = middle.iter().map(|(least, most)| most - least).fold(0.0, f64::max);
        let margin = middle.map(|(least, most)| (most - least) * MARGIN + widest * 0.2);
        // Where nearly all are in one place there is no telling what is far.
        (widest > 0.0).then(|| Bounds {
            min: [0, 1, 2].map(|axis| middle[axis].0 - margin[axis]),
            max: [0, 1, 2].map(|axis| middle[axis].1 + margin[axis]),
        })
    }

    /// The distance that neighbours on a surface usually have, in the unit of the cloud.
    pub(super) fn spacing(&self, inside: &impl Fn(&[f64; 3]) -> bool) -> f64 {
        const QUERIES: usize = 384;
        const NEIGHBOUR: usize = 6;
        let pool: Vec<_> = self.some(ASKED).map(|point| self.positions[point]).filter(|point| inside(point)).collect();
        let mut found: Vec<f64> = pool
            .iter()
            .step_by((pool.len() / QUERIES).max(1))
            .map(|query| {
                let mut nearest = [f64::INFINITY; NEIGHBOUR + 1];
                for point in &pool {
                    let square = (0..3).map(|axis| (point[axis] - query[axis]).powi(2)).sum::<f64>();
                    if square < nearest[NEIGHBOUR] {
                        nearest[NEIGHBOUR] = square;
                        nearest.sort_by(f64::total_cmp);
                    }
                }
                nearest[NEIGHBOUR.min(pool.len().saturating_sub(1))].sqrt()
            })
            .filter(|distance| distance.is_finite())
            .collect();
        found.sort_by(f64::total_cmp);
        let typical = found.get(found.len() * 6 / 10).copied().unwrap_or(0.0);
        // On a surface, distances shrink with the root of the number of points. The sixth neighbour is about a diagonal away.
        let thinned = (pool.len() as f64 / self.positions.len().max(1) as f64).min(1.0).sqrt();
        typical * thinned * 0.8
    }

    /// How the points are coloured.
    pub(super) fn paint(&self, up: Up) -> Paint<'_> {
        // Files often announce colours, classes or intensities and leave them all at one value.
        if self.colors.iter().any(|color| [16, 8, 0].iter().any(|shift| color >> shift & 255 >= VISIBLE)) {
            return Paint::Colors(&self.colors);
        }
        if self.categories.windows(2).any(|pair| pair[0] != pair[1]) {
            return Paint::Categories(&self.categories);
        }
        let range = self.range(|point| self.intensities.get(point).map(|value| f64::from(*value)));
        if let Some((least, by)) = range {
            return Paint::Intensities(&self.intensities, least, by);
        }
        let axis = up.axis();
        let (least, by) = self.range(|point| Some(self.positions[point][axis])).unwrap_or((0.0, 0.0));
        Paint::Heights(&self.positions, axis, least, by)
    }

    /// The least of the middle 96 % of some values and the reciprocal of their range, if they have one.
    fn range(&self, value: impl Fn(usize) -> Option<f64>) -> Option<(f64, f64)> {
        let mut values: Vec<f64> = self.some(ASKED).filter_map(value).filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len().saturating_sub(1) as f64 * share).round() as usize).copied();
        let (least, most) = (at(0.02)?, at(0.98)?);
        let by = 1.0 / (most - least);
        (by > 0.0 && by.is_finite()).then_some((least, by))
    }
}

/// How points are coloured.
pub(super) enum Paint<'g> {
    Colors(&'g [u32]),
    Categories(&'g [i32]),
    /// With the least value and the reciprocal of the range.
    Intensities(&'g [f32], f64, f64),
    /// As intensities, along an axis.
    Heights(&'g [[f64; 3]], usize, f64, f64),
}

impl Paint<'_> {
    /// sRGB as `0xRRGGBB`.
    pub(super) fn color(&self, point: usize) -> u32 {
        match self {
            Self::Colors(colors) => colors[point],
            Self::Categories(categories) => pack(color::category(categories[point].into()).map(color::srgb)),
            Self::Intensities(values, least, by) => {
                let share = ((f64::from(values[point]) - least) * by).clamp(0.0, 1.0);
                // Never quite black: it would be a hole.
                pack([(30.0 + share * 220.0) as u8; 3])
            }
            Self::Heights(positions, axis, least, by) => {
                let share = if *by > 0.0 { (positions[point][*axis] - least) * by } else { 0.5 };
                // Without the darkest part: it would not be seen on the backdrop.
                pack(color::ramp((0.1 + 0.9 * share.clamp(0.0, 1.0)) as f32).map(color::srgb))
            }
        }
    }
}

/// Keeps every second.
fn thin<T>(values: &mut Vec<T>) {
    let mut number = 0;
    values.retain(|_| {
        number += 1;
        number % 2 == 1
    });
}

fn pack([r, g, b]: [u8; 3]) -> u32 {
    u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b)
}

/// A colour as sRGB: of whole numbers it is, of floats it is linear.
fn packed(data: &AttributeData, first: usize) -> u32 {
    let at = |channel: usize| data.get(first + channel);
    pack([0, 1, 2].map(|channel| match data.scalar() {
        ScalarType::U8 => at(channel) as u8,
        ScalarType::U16 => (at(channel) / 257.0).round() as u8,
        _ => color::srgb(at(channel) as f32),
    }))
}
