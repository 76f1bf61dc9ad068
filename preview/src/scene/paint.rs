//! The colour of a face at a place of the picture: where the ray of the sample meets it, what it is made of there, and how it
//! is lit.

use mediary_core::record::scene::{AlphaMode, Material, TextureUse};

use super::draw::Draw;
use super::texture::{Mipmaps, Rgba, Textures, transform};
use crate::camera::{HALF, View};
use crate::color;
use crate::light::{self, Surface};
use crate::math::{V3, add, cross, dot, mul, scale, sub, unit};

/// What a surface looks like that nobody gave a look: light clay.
const CLAY: V3 = [0.43, 0.46, 0.51];
const CLAY_ROUGHNESS: f32 = 0.52;
/// Lines and points without a colour.
const INK: V3 = [0.035, 0.055, 0.095];

pub(super) struct Painter<'s> {
    pub(super) draws: &'s [Draw<'s>],
    pub(super) textures: &'s Textures,
    /// Samples to a side, and to the side of a pixel.
    pub(super) edge: usize,
    pub(super) grid: usize,
}

/// A place on a face: shares of its corners, there and one pixel to the right and down.
struct Place {
    face: usize,
    corners: [usize; 3],
    points: [V3; 3],
    here: [f32; 3],
    right: [f32; 3],
    down: [f32; 3],
}

impl Painter<'_> {
    /// Index of the draw that has a face.
    pub(super) fn draw_of(&self, number: u32) -> usize {
        self.draws.partition_point(|draw| draw.first <= number).saturating_sub(1)
    }

    /// Whether something behind it can be seen through it.
    pub(super) fn is_clear(&self, draw: &Draw<'_>) -> bool {
        let Some(material) = draw.material.filter(|material| material.alpha == AlphaMode::Blend) else { return false };
        draw.is_surface()
            && (material.base_color[3] < 1.0
                || self.textures.color(material.base_color_texture.as_ref()).is_some_and(|texture| !texture.is_opaque)
                || draw.primitive.colors.first().is_some_and(|colors| colors.iter().any(|color| color[3] < 1.0)))
    }

    /// Whether parts of it are cut out.
    pub(super) fn is_masked(&self, draw: &Draw<'_>) -> bool {
        draw.material.is_some_and(|material| matches!(material.alpha, AlphaMode::Mask(_)))
    }

    /// Whether a masked face is there at a sample.
    pub(super) fn is_there(&self, draw: &Draw<'_>, number: u32, x: f32, y: f32) -> bool {
        let Some(Material { alpha: AlphaMode::Mask(least), .. }) = draw.material else { return true };
        self.place(draw, number, x, y).is_some_and(|place| self.base_color(draw, &place)[3] >= *least)
    }

    /// What is seen of a face at a place of the grid: linear light that a screen can show, and alpha.
    pub(super) fn shade(&self, number: u32, x: f32, y: f32, open: f32) -> Rgba {
        let draw = &self.draws[self.draw_of(number)];
        let corners = draw.corners((number - draw.first) as usize);
        if !draw.is_surface() {
            let [r, g, b, _] = vertex_color(draw, corners[0]).unwrap_or_else(|| {
                let [r, g, b] = draw.material.map_or(INK, |material| rgb(material.base_color));
                [r, g, b, 1.0]
            });
            return [r, g, b, 1.0];
        }
        let Some(place) = self.place(draw, number, x, y) else { return [0.0; 4] };
        let [r, g, b, alpha] = self.base_color(draw, &place);
        let alpha = alpha.clamp(0.0, 1.0);
        let color = [r, g, b];
        if draw.material.is_some_and(|material| material.unlit) {
            return [r, g, b, alpha];
        }
        let eye = unit(scale(blend(place.points, place.here), -1.0)).unwrap_or([0.0, 0.0, 1.0]);
        let normal = self.normal(draw, &place, eye);
        let (metallic, roughness, occluded) = match draw.material {
            Some(material) => self.finish(material, draw, &place),
            None => (0.0, CLAY_ROUGHNESS, 1.0),
        };
        let surface = Surface { normal, eye, color, metallic, roughness, open: open * occluded };
        let mut light = light::shade(&surface, View::sky());
        if let Some(material) = draw.material {
            light = add(light, self.glow(material, draw, &place));
        }
        let [r, g, b] = color::tone(light);
        [r, g, b, alpha]
    }

    /// Where the ray through a place of the grid meets a face. In double precision: the face may be as small as a sample.
    fn place(&self, draw: &Draw<'_>, number: u32, x: f32, y: f32) -> Option<Place> {
        let face = (number - draw.first) as usize;
        let corners = draw.corners(face);
        let points = corners.map(|vertex| draw.vertex(vertex));
        let [a, b, c] = points.map(|point| point.map(f64::from));
        let cross = |u: [f64; 3], v: [f64; 3]| {
            [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
        };
        let planes = [cross(b, c), cross(c, a), cross(a, b)];
        let half = self.edge as f32 / 2.0;
        let shares = |x: f32, y: f32, limit: bool| {
            let ray = [f64::from((x - half) / half * HALF), f64::from((half - y) / half * HALF), -1.0];
            let all = planes.map(|plane| plane[0] * ray[0] + plane[1] * ray[1] + plane[2] * ray[2]);
            let sum: f64 = all.iter().sum();
            let shares = all.map(|share| share / sum);
            let valid = sum != 0.0 && shares.iter().all(|share| share.is_finite());
            if !limit {
                return valid.then(|| shares.map(|share| share as f32));
            }
            let inside = shares.map(|share| share.clamp(0.0, 1.0));
            let sum: f64 = inside.iter().sum();
            (valid && sum > 0.0).then(|| inside.map(|share| (share / sum) as f32))
        };
        let step = self.grid as f32;
        let here = shares(x, y, true)?;
        let (right, down) = (shares(x + step, y, false)?, shares(x, y + step, false)?);
        Some(Place { face, corners, points, here, right, down })
    }

    /// Linear RGBA of the base colour.
    fn base_color(&self, draw: &Draw<'_>, place: &Place) -> Rgba {
        let colors = place.corners.map(|vertex| vertex_color(draw, vertex));
        let own = match colors {
            [Some(a), Some(b), Some(c)] => {
                Some([0, 1, 2, 3].map(|i| a[i] * place.here[0] + b[i] * place.here[1] + c[i] * place.here[2]))
            }
            _ => None,
        };
        let Some(material) = draw.material else {
            return own.unwrap_or([CLAY[0], CLAY[1], CLAY[2], 1.0]);
        };
        let mut color = material.base_color;
        let used = material.base_color_texture.as_ref();
        for factor in [own, self.sample(draw, place, used, self.textures.color(used))].into_iter().flatten() {
            color.iter_mut().zip(factor).for_each(|(value, factor)| *value *= factor);
        }
        // What is opaque has no alpha; what is masked is there or not.
        color
    }

    /// Metalness, roughness, and how open its surroundings are by its texture.
    fn finish(&self, material: &Material, draw: &Draw<'_>, place: &Place) -> (f32, f32, f32) {
        let used = material.metallic_roughness_texture.as_ref();
        let texel = self.sample(draw, place, used, self.textures.number(used)).unwrap_or([1.0; 4]);
        let used = material.occlusion_texture.as_ref();
        let occlusion = self.sample(draw, place, used, self.textures.number(used));
        let open = occlusion.zip(used).map_or(1.0, |(texel, used)| 1.0 + used.factor * (texel[0] - 1.0));
        (material.metallic * texel[2], material.roughness * texel[1], open.clamp(0.0, 1.0))
    }

    fn glow(&self, material: &Material, draw: &Draw<'_>, place: &Place) -> V3 {
        if material.emissive == [0.0; 3] {
            return [0.0; 3];
        }
        let used = material.emissive_texture.as_ref();
        let texel = self.sample(draw, place, used, self.textures.color(used)).map_or([1.0; 3], rgb);
        mul(material.emissive, texel)
    }

    /// The unit normal on the side that is seen.
    fn normal(&self, draw: &Draw<'_>, place: &Place, eye: V3) -> V3 {
        let [a, b, c] = place.points;
        let toward = |normal: V3, side: V3| if dot(normal, side) < 0.0 { scale(normal, -1.0) } else { normal };
        let flat = unit(cross(sub(b, a), sub(c, a))).map_or(eye, |flat| toward(flat, eye));
        let smooth = draw
            .corner_normals(place.face, place.corners)
            // Each of unit length before they are mixed: those of a file may have any.
            .and_then(|normals| unit(blend(normals.map(|normal| unit(normal).unwrap_or_default()), place.here)));
        let Some(smooth) = smooth.map(|smooth| toward(smooth, flat)) else { return flat };
        self.bumped(draw, place, smooth).unwrap_or(smooth)
    }

    /// The normal that a normal map gives, with tangents along the map's own axes.
    fn bumped(&self, draw: &Draw<'_>, place: &Place, normal: V3) -> Option<V3> {
        let used = draw.material?.normal_texture.as_ref()?;
        let texel = self.sample(draw, place, Some(used), self.textures.number(Some(used)))?;
        let [u, v] = [0, 1].map(|axis| texel[axis] * 2.0 - 1.0);
        let (u, v) = (u * used.factor, v * used.factor);
        let [a, b, c] = place.points;
        let [ta, tb, tc] = self.coordinates(draw, place, used)?;
        let (e, f) = (sub(b, a), sub(c, a));
        let (p, q) = ([tb[0] - ta[0], tb[1] - ta[1]], [tc[0] - ta[0], tc[1] - ta[1]]);
        let area = p[0] * q[1] - p[1] * q[0];
        if area == 0.0 {
            return None;
        }
        let side = area.signum();
        // Towards growing u, and against growing v: green is up where v is down.
        let tangent = unit(scale(sub(scale(e, q[1]), scale(f, p[1])), side))?;
        let upward = unit(scale(sub(scale(e, q[0]), scale(f, p[0])), side))?;
        let bent = add(scale(normal, texel[2] * 2.0 - 1.0), add(scale(tangent, u), scale(upward, v)));
        unit(bent).filter(|bent| dot(*bent, normal) > 0.0)
    }

    /// Texture coordinates of the corners.
    fn coordinates(&self, draw: &Draw<'_>, place: &Place, used: &TextureUse) -> Option<[[f32; 2]; 3]> {
        let set = draw.primitive.texcoords.get(used.texcoord as usize)?;
        Some(place.corners.map(|vertex| transform(used, set[vertex])))
    }

    fn sample(
        &self,
        draw: &Draw<'_>,
        place: &Place,
        used: Option<&TextureUse>,
        texture: Option<&Mipmaps>,
    ) -> Option<Rgba> {
        let corners = self.coordinates(draw, place, used?)?;
        let at = |shares: [f32; 3]| {
            [0, 1].map(|axis| (0..3).map(|corner| corners[corner][axis] * shares[corner]).sum::<f32>())
        };
        let [here, right, down] = [place.here, place.right, place.down].map(at);
        let step = |other: [f32; 2]| [other[0] - here[0], other[1] - here[1]];
        Some(texture?.sample(here, [step(right), step(down)]))
    }
}

fn rgb([r, g, b, _]: Rgba) -> V3 {
    [r, g, b]
}

fn vertex_color(draw: &Draw<'_>, vertex: usize) -> Option<Rgba> {
    let color = draw.primitive.colors.first()?[vertex];
    // A colour that is no number is none.
    Some(color.map(|value| if value.is_finite() { value } else { 0.0 }))
}

fn blend([a, b, c]: [V3; 3], [s, t, u]: [f32; 3]) -> V3 {
    add(scale(a, s), add(scale(b, t), scale(c, u)))
}
