//! Textures: decoded by the formats known, halved until they are no larger than a picture can show, sampled with mip levels.

use mediary_core::record::scene::{Scene, Texture, TextureUse, Wrap};
use mediary_core::record::{Image, Samples};
use mediary_core::{Budget, Context, Error, Media, ReadOptions, Registry, Result, Source};

use crate::color;
use crate::math::lerp;

/// RGBA in linear light, or as numbers.
pub(super) type Rgba = [f32; 4];

struct Level {
    width: usize,
    height: usize,
    /// sRGB with alpha, or numbers, as bytes: a quarter of the memory of floats.
    texels: Vec<[u8; 4]>,
}

/// A texture with its mip levels.
pub(super) struct Mipmaps {
    levels: Vec<Level>,
    wrap: [Wrap; 2],
    nearest: bool,
    is_color: bool,
    /// No texel lets anything through.
    pub(super) is_opaque: bool,
}

/// The textures of a scene that its drawing needs: as colours, and as numbers.
pub(super) struct Textures {
    colors: Vec<Option<Mipmaps>>,
    numbers: Vec<Option<Mipmaps>>,
}

impl Textures {
    /// Decodes what the materials in `used` name. A texture that cannot be decoded is a diagnostic.
    pub(super) fn load(scene: &Scene, used: &[bool], most: usize, registry: &Registry, cx: &Context) -> Result<Self> {
        let mut wanted = vec![[false; 2]; scene.textures.len()];
        for (material, _) in scene.materials.iter().zip(used).filter(|(_, used)| **used) {
            for (texture, is_color) in [
                (&material.base_color_texture, true),
                (&material.emissive_texture, true),
                (&material.metallic_roughness_texture, false),
                (&material.occlusion_texture, false),
                (&material.normal_texture, false),
            ] {
                if let Some(texture) = texture {
                    wanted[texture.texture as usize][usize::from(is_color)] = true;
                }
            }
        }
        let mut textures = Self { colors: Vec::new(), numbers: Vec::new() };
        for (texture, [number, color]) in scene.textures.iter().zip(wanted) {
            let image = if number || color { decode(texture, registry, cx)? } else { None };
            for (wanted, list, is_color) in
                [(color, &mut textures.colors, true), (number, &mut textures.numbers, false)]
            {
                list.push(match &image {
                    Some(image) if wanted => Some(Mipmaps::new(image, texture, is_color, most, cx)?),
                    _ => None,
                });
            }
        }
        Ok(textures)
    }

    pub(super) fn color(&self, used: Option<&TextureUse>) -> Option<&Mipmaps> {
        self.colors[used?.texture as usize].as_ref()
    }

    pub(super) fn number(&self, used: Option<&TextureUse>) -> Option<&Mipmaps> {
        self.numbers[used?.texture as usize].as_ref()
    }
}

fn decode(texture: &Texture, registry: &Registry, cx: &Context) -> Result<Option<Image>> {
    let name = texture.uri.as_deref().unwrap_or(&texture.name);
    if texture.bytes.is_empty() {
        // The reader has said that it is missing.
        return Ok(None);
    }
    let mut options = ReadOptions::default();
    options.limits = *cx.limits();
    options.cancel = cx.cancel().clone();
    // What it takes is free again once it is made smaller.
    let free = cx.budget().allowed().saturating_sub(cx.budget().taken());
    options.budget = Some(Budget::new(free));
    // No name: what a texture is called says little, and its content decides.
    let source = Source::from_bytes("", texture.bytes.to_vec());
    let image = registry.open(&source, &options).and_then(|mut reading| match reading.next() {
        Some(record) => match record?.media {
            Media::Image(image) => Ok(image),
            other => Err(Error::unsupported(format!("expected an image, found {}", other.kind()))),
        },
        None => Err(Error::malformed("expected an image, found nothing")),
    });
    match image {
        Ok(image) => Ok(Some(image)),
        Err(error) => {
            cx.checkpoint()?;
            cx.warn("texture", format!("texture {name:?} cannot be shown: {}", error.message()));
            Ok(None)
        }
    }
}

impl Mipmaps {
    fn new(image: &Image, texture: &Texture, is_color: bool, most: usize, cx: &Context) -> Result<Self> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let held = width as u64 * height as u64 * 5;
        cx.budget().take(held)?;
        let texels = bytes(image);
        let is_opaque = texels.iter().all(|texel| texel[3] == 255);
        let mut level = Level { width, height, texels };
        while level.width > most || level.height > most {
            level = level.half(is_color);
        }
        let mut levels = vec![level];
        while let Some(next) =
            levels.last().filter(|last| last.width > 1 || last.height > 1).map(|last| last.half(is_color))
        {
            levels.push(next);
        }
        let kept = levels.iter().map(|level| level.texels.len() as u64 * 4).sum::<u64>();
        cx.budget().give_back(held.saturating_sub(kept));
        Ok(Self { levels, wrap: texture.wrap, nearest: texture.nearest, is_color, is_opaque })
    }

    /// The texture at `uv`, of which the pixels to the right and below show places that are `steps` away.
    pub(super) fn sample(&self, uv: [f32; 2], steps: [[f32; 2]; 2]) -> Rgba {
        let uv = uv.map(|at| if at.is_finite() { at } else { 0.0 });
        let (width, height) = (self.levels[0].width as f32, self.levels[0].height as f32);
        let [across, along] = steps.map(|[u, v]| (u * width).hypot(v * height));
        // Between the longer side of the pixel, which blurs, and the shorter, which flickers; and a little sharper than the
        // theory, because the samples of a pixel are averaged once more.
        let (longer, shorter) = (across.max(along), across.min(along));
        let texels = (longer * (longer * shorter).sqrt()).sqrt() * 0.75;
        let most = (self.levels.len() - 1) as f32;
        let level = if texels > 1.0 { texels.log2().min(most) } else { 0.0 };
        let (below, share) = (level as usize, level.fract());
        if self.nearest && level == 0.0 {
            return self.texel_at(&self.levels[0], uv);
        }
        let near = self.bilinear(&self.levels[below], uv);
        match self.levels.get(below + 1) {
            Some(next) if share > 0.01 => {
                let far = self.bilinear(next, uv);
                [0, 1, 2, 3].map(|channel| lerp(near[channel], far[channel], share))
            }
            _ => near,
        }
    }

    fn texel_at(&self, level: &Level, uv: [f32; 2]) -> Rgba {
        let [x, y] = [(uv[0], level.width), (uv[1], level.height)].map(|(at, side)| (at * side as f32).floor());
        self.texel(level, x, y)
    }

    fn bilinear(&self, level: &Level, uv: [f32; 2]) -> Rgba {
        let (x, y) = (uv[0] * level.width as f32 - 0.5, uv[1] * level.height as f32 - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let [a, b, c, d] = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
            .map(|(right, down)| self.texel(level, left + right, top + down));
        [0, 1, 2, 3].map(|i| lerp(lerp(a[i], b[i], u), lerp(c[i], d[i], u), v))
    }

    fn texel(&self, level: &Level, x: f32, y: f32) -> Rgba {
        let (x, y) = (wrap(x, level.width, self.wrap[0]), wrap(y, level.height, self.wrap[1]));
        let [r, g, b, a] = level.texels[y * level.width + x];
        let number = |value: u8| f32::from(value) * (1.0 / 255.0);
        if self.is_color {
            [color::linear(r), color::linear(g), color::linear(b), number(a)]
        } else {
            [number(r), number(g), number(b), number(a)]
        }
    }
}

/// A whole coordinate inside of 0 to `side`.
fn wrap(at: f32, side: usize, how: Wrap) -> usize {
    let side = side as f32;
    let inside = match how {
        Wrap::Clamp => at.clamp(0.0, side - 1.0),
        Wrap::Repeat => at.rem_euclid(side),
        Wrap::Mirror => {
            let place = at.rem_euclid(2.0 * side);
            if place < side { place } else { 2.0 * side - 1.0 - place }
        }
    };
    // Of a coordinate that is not finite, the first texel; `rem_euclid` may round up to its divisor.
    (inside as usize).min(side as usize - 1)
}

impl Level {
    /// Half the size, by means in linear light, weighted by alpha so that hidden colours stay hidden.
    fn half(&self, is_color: bool) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut texels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = [2 * y, (2 * y + 1).min(self.height - 1)];
            for x in 0..width {
                let columns = [2 * x, (2 * x + 1).min(self.width - 1)];
                let four =
                    [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| self.texels[rows[j] * self.width + columns[i]]);
                texels.push(if four.iter().all(|texel| *texel == four[0]) { four[0] } else { mean(four, is_color) });
            }
        }
        Self { width, height, texels }
    }
}

fn mean(four: [[u8; 4]; 4], is_color: bool) -> [u8; 4] {
    if !is_color {
        return [0, 1, 2, 3]
            .map(|channel| ((four.iter().map(|texel| u32::from(texel[channel])).sum::<u32>() + 2) / 4) as u8);
    }
    let alpha: u32 = four.iter().map(|texel| u32::from(texel[3])).sum();
    let channel = |channel: usize| {
        let sum: f32 = four
            .iter()
            .map(|texel| color::linear(texel[channel]) * if alpha > 0 { f32::from(texel[3]) } else { 1.0 })
            .sum();
        color::srgb(sum / if alpha > 0 { alpha as f32 } else { 4.0 })
    };
    [channel(0), channel(1), channel(2), ((alpha + 2) / 4) as u8]
}

/// RGBA of 8 bits.
fn bytes(image: &Image) -> Vec<[u8; 4]> {
    fn spread<T: Copy>(samples: &[T], channels: usize, byte: impl Fn(T) -> u8) -> Vec<[u8; 4]> {
        samples
            .chunks_exact(channels)
            .map(|pixel| {
                let at = |channel: usize| byte(pixel[channel]);
                match channels {
                    1 => [at(0), at(0), at(0), 255],
                    2 => [at(0), at(0), at(0), at(1)],
                    3 => [at(0), at(1), at(2), 255],
                    _ => [at(0), at(1), at(2), at(3)],
                }
            })
            .collect()
    }
    let channels = usize::from(image.channels());
    match image.samples() {
        Samples::U8(samples) => spread(samples, channels, |value| value),
        Samples::U16(samples) => spread(samples, channels, |value| (value >> 8) as u8),
        Samples::F32(samples) => spread(samples, channels, color::srgb),
        _ => vec![[255; 4]; image.width() as usize * image.height() as usize],
    }
}

/// Texture coordinates under KHR_texture_transform: scale, rotation, then offset.
pub(super) fn transform(used: &TextureUse, [u, v]: [f32; 2]) -> [f32; 2] {
    let Some((offset, scale, rotation)) = used.transform else { return [u, v] };
    let (u, v) = (u * scale[0], v * scale[1]);
    let (sin, cos) = rotation.sin_cos();
    [cos * u + sin * v + offset[0], cos * v - sin * u + offset[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(width: u32, height: u32, texels: &[[u8; 4]], wrap: [Wrap; 2], nearest: bool) -> Mipmaps {
        let samples: Vec<u8> = texels.iter().flatten().copied().collect();
        let image = Image::new(width, height, 4, Samples::U8(samples.into())).unwrap();
        let texture = Texture {
            name: String::new(),
            uri: None,
            media_type: String::new(),
            bytes: Vec::new().into(),
            wrap,
            nearest,
        };
        Mipmaps::new(&image, &texture, false, 64, &Context::new("preview")).unwrap()
    }

    fn shade(value: u8) -> [u8; 4] {
        [value, value, value, 255]
    }

    fn red(mipmaps: &Mipmaps, uv: [f32; 2], step: f32) -> f32 {
        mipmaps.sample(uv, [[step, 0.0], [0.0, step]])[0] * 255.0
    }

    #[test]
    fn the_first_texel_is_the_upper_left_one() {
        let four = [shade(0), shade(100), shade(200), shade(50)];
        let mipmaps = texture(2, 2, &four, [Wrap::Clamp; 2], true);
        let found = [[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]].map(|uv| red(&mipmaps, uv, 0.0).round());
        assert_eq!(found, [0.0, 100.0, 200.0, 50.0]);
        let mipmaps = texture(2, 1, &four[..2], [Wrap::Clamp; 2], false);
        assert!((red(&mipmaps, [0.5, 0.5], 0.0) - 50.0).abs() < 0.1, "between texels, the mean");
    }

    #[test]
    fn wrapping() {
        let two = [shade(0), shade(100)];
        for (how, expected) in [
            (Wrap::Repeat, [0.0, 100.0, 0.0, 100.0]),
            (Wrap::Mirror, [100.0, 0.0, 100.0, 0.0]),
            (Wrap::Clamp, [100.0, 100.0, 0.0, 0.0]),
        ] {
            let mipmaps = texture(2, 1, &two, [how; 2], true);
            let found = [1.25, 1.75, -0.75, -0.25].map(|u| red(&mipmaps, [u, 0.5], 0.0).round());
            // Mirrored: 1.25 shows 0.75, 1.75 shows 0.25, -0.75 shows 0.75, -0.25 shows 0.25.
            assert_eq!(found, expected, "{how:?}");
            for bad in [f32::NAN, f32::INFINITY, 1e30, -1e-9] {
                assert!(mipmaps.sample([bad, bad], [[0.1, bad], [bad, 0.1]])[3] > 0.0);
            }
        }
    }

    #[test]
    fn a_pixel_that_covers_everything_is_the_mean() {
        let board: Vec<_> = (0..64).map(|i| shade(if (i + i / 8) % 2 == 0 { 0 } else { 200 })).collect();
        let mipmaps = texture(8, 8, &board, [Wrap::Repeat; 2], false);
        for uv in [[0.1, 0.3], [0.77, 0.5]] {
            assert!((red(&mipmaps, uv, 4.0) - 100.0).abs() < 2.0);
        }
    }

    #[test]
    fn hidden_colours_stay_hidden() {
        let [r, _, _, a] = mean([[200, 0, 0, 255], [0; 4], [0; 4], [0; 4]], true);
        assert_eq!((r, a), (200, 64));
    }

    #[test]
    fn transforms_follow_the_extension() {
        let mut used = TextureUse { texture: 0, texcoord: 0, transform: None, factor: 1.0 };
        assert_eq!(transform(&used, [0.3, 0.4]), [0.3, 0.4]);
        // The extension's own example of a rotation: counter-clockwise by a quarter, about the origin.
        used.transform = Some(([0.0, 1.0], [0.5, 0.5], std::f32::consts::FRAC_PI_2));
        let [u, v] = transform(&used, [1.0, 0.0]);
        assert!(u.abs() < 1e-6 && (v - 0.5).abs() < 1e-6, "{u} {v}");
    }
}
