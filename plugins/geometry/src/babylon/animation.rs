//! Animations: keys in frames become channels in seconds.

use mediary_core::record::scene::{AnimatedProperty, Channel, Interpolation};
use mediary_core::{Context, Error, Location, Result};

use super::document::{AnimationObject, MorphTargetManager};
use super::geometry::Handedness;
use super::read::euler;
use crate::glb::matrix::decompose_within;

/// Exporters write matrices with four decimals.
const ROUNDING: f64 = 1e-2;

/// Keys in the order of time, each time once, and the frames of a second.
struct Keys<'a> {
    list: Vec<(f32, &'a [f64])>,
    rate: f64,
}

impl<'a> Keys<'a> {
    /// Keys with at least `width` values.
    #[expect(clippy::cast_possible_truncation, reason = "times are single precision")]
    fn of(animation: &'a AnimationObject, width: usize, path: &str) -> Result<Self> {
        let rate = Some(animation.frame_per_second).filter(|rate| rate.is_finite() && *rate > 0.0).unwrap_or(30.0);
        let mut list = Vec::new();
        for (k, key) in animation.keys.iter().enumerate() {
            let values = &key.values.0[..];
            if values.len() < width || !values.iter().all(|value| value.is_finite()) || !key.frame.is_finite() {
                let message = format!("a key of {:?}: expected {width} numbers", animation.property);
                return Err(Error::malformed(message).at_element(format!("{path}.keys[{k}]")));
            }
            list.push(((key.frame / rate) as f32, values));
        }
        list.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // Of two keys at one time the later one holds.
        list.reverse();
        list.dedup_by_key(|(time, _)| *time);
        list.reverse();
        Ok(Self { list, rate })
    }

    fn times(&self) -> Vec<f32> {
        self.list.iter().map(|(time, _)| *time).collect()
    }
}

/// The channels of one animation of a node.
pub(super) fn channels(
    animation: &AnimationObject,
    node: u32,
    handedness: Handedness,
    path: &str,
    cx: &Context,
) -> Result<Vec<Channel>> {
    cx.budget().take((animation.keys.len() as u64).saturating_mul(64))?;
    if animation.keys.is_empty() {
        return Ok(Vec::new());
    }
    let z = handedness.z;
    let track = |property, width: usize, mirror: [f64; 4]| -> Result<Vec<Channel>> {
        let keys = Keys::of(animation, width, path)?;
        let mut values = Vec::new();
        // Behind the value stand the tangents, coming in and going out, a frame's worth of them.
        let is_cubic = keys.list.iter().all(|(_, key)| key.len() >= 3 * width);
        for (_, key) in &keys.list {
            let mut put = |part: usize, factor: f64| {
                let from = &key[part * width..(part + 1) * width];
                #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
                values.extend(from.iter().zip(mirror).map(|(value, sign)| (value * sign * factor) as f32));
            };
            if is_cubic {
                put(1, keys.rate);
            }
            put(0, 1.0);
            if is_cubic {
                put(2, keys.rate);
            }
        }
        let interpolation = if is_cubic { Interpolation::CubicSpline } else { Interpolation::Linear };
        Ok(vec![Channel { node, property, interpolation, times: keys.times(), values }])
    };
    match animation.property.as_str() {
        "position" => track(AnimatedProperty::Translation, 3, [1.0, 1.0, z, 1.0]),
        "scaling" => track(AnimatedProperty::Scale, 3, [1.0; 4]),
        "rotationQuaternion" => track(AnimatedProperty::Rotation, 4, [z, z, 1.0, 1.0]),
        "rotation" => {
            let keys = Keys::of(animation, 3, path)?;
            let turn = |(_, key): &(f32, &[f64])| handedness.rotation(euler([key[0], key[1], key[2]]));
            let values = quaternions(keys.list.iter().map(turn));
            let interpolation = Interpolation::Linear;
            let property = AnimatedProperty::Rotation;
            Ok(vec![Channel { node, property, interpolation, times: keys.times(), values }])
        }
        "_matrix" => matrices(animation, node, handedness, path, cx),
        other => {
            let message = format!("animations of {other:?} have no place in the record: left out");
            cx.warn_at("animation", message, Location::element(path));
            Ok(Vec::new())
        }
    }
}

/// Quaternions end to end, each on the side of the one before it.
#[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
fn quaternions(all: impl Iterator<Item = [f64; 4]>) -> Vec<f32> {
    let mut last = [0.0; 4];
    let turned = all.flat_map(|q| {
        let side: f64 = (0..4).map(|k| q[k] * last[k]).sum();
        last = if side < 0.0 { q.map(|value| -value) } else { q };
        last.map(|value| value as f32)
    });
    turned.collect()
}

fn matrices(
    animation: &AnimationObject,
    node: u32,
    handedness: Handedness,
    path: &str,
    cx: &Context,
) -> Result<Vec<Channel>> {
    let keys = Keys::of(animation, 16, path)?;
    let mut times = Vec::new();
    let (mut translations, mut rotations, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    for (time, key) in &keys.list {
        let matrix = <[f64; 16]>::try_from(&key[..16]).unwrap_or([0.0; 16]);
        let Some((translation, rotation, scale)) = decompose_within(&handedness.matrix(matrix), ROUNDING) else {
            let message = "a matrix with shear, perspective or without extent is no key: left out";
            cx.warn_at("matrix-key", message, Location::element(path));
            continue;
        };
        times.push(*time);
        translations.push(translation);
        rotations.push(rotation);
        scales.push(scale);
    }
    if times.is_empty() {
        return Ok(Vec::new());
    }
    #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
    let flat = |values: Vec<[f64; 3]>| values.into_iter().flatten().map(|value| value as f32).collect::<Vec<_>>();
    let tracks = [
        (AnimatedProperty::Translation, flat(translations)),
        (AnimatedProperty::Rotation, quaternions(rotations.into_iter())),
        (AnimatedProperty::Scale, flat(scales)),
    ];
    let channel = |(property, values)| {
        let interpolation = Interpolation::Linear;
        Channel { node, property, interpolation, times: times.clone(), values }
    };
    Ok(tracks.into_iter().map(channel).collect())
}

/// The influences of all targets as one channel: at every time that one of them has a key.
pub(super) fn weights(morphs: &MorphTargetManager, node: u32, path: &str, cx: &Context) -> Result<Option<Channel>> {
    let mut tracks = Vec::new();
    for (t, target) in morphs.targets.iter().enumerate() {
        let influence = target.animations.iter().find(|animation| animation.property == "influence");
        let keys = match influence {
            Some(animation) => Keys::of(animation, 1, &format!("{path}.targets[{t}]"))?.list,
            None => Vec::new(),
        };
        tracks.push(keys);
    }
    let mut times: Vec<f32> = tracks.iter().flatten().map(|(time, _)| *time).collect();
    times.sort_by(f32::total_cmp);
    times.dedup();
    if times.is_empty() {
        return Ok(None);
    }
    cx.budget().take((times.len() as u64).saturating_mul(tracks.len() as u64 * 4 + 4))?;
    let mut values = Vec::new();
    for &time in &times {
        cx.checkpoint()?;
        for (track, target) in tracks.iter().zip(&morphs.targets) {
            values.push(sample(track, time).unwrap_or(target.influence));
        }
    }
    let (property, interpolation) = (AnimatedProperty::Weights, Interpolation::Linear);
    Ok(Some(Channel { node, property, interpolation, times, values }))
}

/// The value of a track between its keys; the first and the last hold outside.
#[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
fn sample(track: &[(f32, &[f64])], time: f32) -> Option<f32> {
    let after = track.partition_point(|(key, _)| *key <= time);
    let value = match (after.checked_sub(1).map(|before| track[before]), track.get(after)) {
        (Some((_, a)), None) => a[0],
        (None, Some((_, b))) => b[0],
        (Some((from, a)), Some((to, b))) => a[0] + (b[0] - a[0]) * f64::from(time - from) / f64::from(to - from),
        (None, None) => return None,
    };
    Some(value as f32)
}
