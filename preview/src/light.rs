//! A studio: light for surfaces. All directions are in camera axes, so that every picture is lit from the same side.

use crate::math::{V3, add, dot, lerp, mix, mul, scale, smoothstep, sub, unit};

/// A light far away.
struct Lamp {
    /// Where it stands.
    from: V3,
    color: V3,
}

/// From the upper left front; a cool one from the right; one from behind that draws the outline.
const LAMPS: [Lamp; 3] = [
    Lamp { from: [-0.464, 0.696, 0.548], color: [0.98, 0.955, 0.915] },
    Lamp { from: [0.873, 0.218, 0.436], color: [0.13, 0.145, 0.175] },
    Lamp { from: [0.371, 0.557, -0.743], color: [0.24, 0.25, 0.27] },
];

const SKY: V3 = [0.50, 0.515, 0.54];
const HORIZON: V3 = [0.355, 0.36, 0.37];
const GROUND: V3 = [0.20, 0.195, 0.19];

/// What a point of a surface is made of.
pub(crate) struct Surface {
    /// Unit vectors: away from the surface, and to the camera.
    pub(crate) normal: V3,
    pub(crate) eye: V3,
    pub(crate) color: V3,
    pub(crate) metallic: f32,
    pub(crate) roughness: f32,
    /// How open its surroundings are, 0 to 1.
    pub(crate) open: f32,
}

/// The light that leaves a point towards the camera. `sky` is up.
pub(crate) fn shade(it: &Surface, sky: V3) -> V3 {
    let roughness = it.roughness.clamp(0.12, 1.0);
    let metallic = it.metallic.clamp(0.0, 1.0);
    let diffuse = scale(it.color, 1.0 - metallic);
    let mirror = mix([0.04; 3], it.color, metallic);
    let facing = dot(it.normal, it.eye).max(1e-3);

    let around = ambient(dot(it.normal, sky));
    let mut light = scale(mul(diffuse, around), it.open);
    // What surrounds it, mirrored. Metal has no other look.
    let away = sub(scale(it.normal, 2.0 * dot(it.normal, it.eye)), it.eye);
    let (kept, gained) = reflected(roughness, facing);
    let share = add(scale(mirror, kept), [gained; 3]);
    // A corner hides the surroundings of rough surfaces as it hides their sky.
    light = add(light, scale(mul(share, studio(away, sky, roughness)), lerp(1.0, it.open, 0.7)));
    for lamp in &LAMPS {
        let lit = dot(it.normal, lamp.from);
        if lit <= 0.0 {
            continue;
        }
        let shadow = lerp(1.0, it.open, 0.45);
        let glow = glint(it, lamp.from, lit, facing, roughness, mirror);
        light = add(light, scale(mul(lamp.color, add(diffuse, glow)), lit * shadow));
    }
    light
}

/// Light from all sides onto a surface that looks up by this much, -1 to 1.
fn ambient(up: f32) -> V3 {
    if up > 0.0 { mix(HORIZON, SKY, up) } else { mix(HORIZON, GROUND, -up) }
}

/// What a mirror shows: a bright ceiling and a window, on a gray floor; blurred by roughness.
fn studio(toward: V3, sky: V3, roughness: f32) -> V3 {
    let up = dot(toward, sky);
    let blur = lerp(0.18, 1.0, roughness);
    let room = mix(scale(GROUND, 0.8), scale(SKY, 1.25), smoothstep(-blur, blur, up));
    let window = smoothstep(1.0 - lerp(0.10, 1.3, roughness), 1.0, dot(toward, LAMPS[0].from));
    let side = smoothstep(1.0 - lerp(0.16, 1.3, roughness), 1.0, dot(toward, LAMPS[1].from));
    let bright = lerp(1.5, 0.35, roughness);
    add(room, [window * bright + side * bright * 0.35; 3])
}

/// Which part of the surroundings a surface reflects: a factor on its own mirror colour, and an addition. Karis' fit of the
/// GGX integral ("Physically Based Shading on Mobile", 2014).
fn reflected(roughness: f32, facing: f32) -> (f32, f32) {
    let r = [1.0 - roughness, 0.0425 - 0.0275 * roughness, 1.04 - 0.572 * roughness, 0.022 * roughness - 0.04];
    let edge = (r[0] * r[0]).min((-9.28 * facing).exp2()) * r[0] + r[1];
    (1.04_f32.mul_add(-edge, r[2]), 1.04_f32.mul_add(edge, r[3]))
}

/// The highlight of a lamp: GGX with Smith's shadowing (Hammon's approximation) and Schlick's Fresnel term.
fn glint(it: &Surface, from: V3, lit: f32, facing: f32, roughness: f32, mirror: V3) -> V3 {
    let Some(half) = unit(add(from, it.eye)) else { return [0.0; 3] };
    let a = (roughness * roughness).max(0.03);
    let peak = dot(it.normal, half).clamp(0.0, 1.0);
    let spread = (peak * peak) * (a * a - 1.0) + 1.0;
    let distribution = a * a / (spread * spread);
    let visible = 0.5 / lerp(2.0 * lit * facing, lit + facing, a).max(1e-4);
    let rim = (1.0 - dot(half, it.eye).clamp(0.0, 1.0)).powi(5);
    let fresnel = mix(mirror, [1.0; 3], rim * (1.0 - roughness));
    // Without pi, which the lamps' colours hold.
    scale(fresnel, (distribution * visible).min(24.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(metallic: f32, roughness: f32, normal: V3) -> f32 {
        let surface = Surface { normal, eye: [0.0, 0.0, 1.0], color: [0.5; 3], metallic, roughness, open: 1.0 };
        shade(&surface, [0.0, 0.91, 0.41])[1]
    }

    #[test]
    fn lamps_have_directions() {
        for lamp in &LAMPS {
            assert!((dot(lamp.from, lamp.from) - 1.0).abs() < 5e-3);
        }
    }

    #[test]
    fn the_side_of_the_lamp_is_brighter_and_nothing_is_black() {
        let (left, right, below) =
            (gray(0.0, 0.8, [-0.7, 0.5, 0.51]), gray(0.0, 0.8, [0.7, -0.5, 0.51]), gray(0.0, 0.8, [0.0, -1.0, 0.05]));
        assert!(left > right && right > below && below > 0.05, "{left} {right} {below}");
        for roughness in [0.0, 0.3, 0.6, 1.0] {
            let metal = gray(1.0, roughness, [0.0, 0.0, 1.0]);
            assert!(metal > 0.1 && metal < 4.0, "{roughness}: {metal}");
        }
    }
}
