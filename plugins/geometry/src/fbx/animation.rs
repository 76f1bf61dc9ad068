//! Animations: the library bakes layers and curves into keys of translations, rotations, scales and weights.

use std::collections::HashMap;

use mediary_core::record::scene::{AnimatedProperty, Animation, Channel, Interpolation, Transform};
use mediary_core::{Context, Result, Severity};
use ufbx::{BakeOpts, BakedAnim, BakedVec3, BlendChannel};

use super::geometry::shares;
use super::load::{error, limited};
use super::nodes::Builder;

/// How far a constant may be from the placement of its node to say nothing.
const SAME: f64 = 1e-9;

/// Reads all animations.
pub(super) fn read(file: &ufbx::Scene, builder: &mut Builder<'_, '_>, cx: &Context) -> Result<()> {
    let (mut lost, mut moved) = (0, 0);
    for stack in &file.anim_stacks {
        cx.checkpoint()?;
        let budget = cx.budget();
        let left = budget.allowed().saturating_sub(budget.taken());
        budget.take(left)?;
        let half = usize::try_from(left / 2).unwrap_or(usize::MAX);
        let options = BakeOpts {
            temp_allocator: limited(half),
            result_allocator: limited(half),
            key_reduction_enabled: true,
            key_reduction_rotation: true,
            ..BakeOpts::default()
        };
        let baked = ufbx::bake_anim(file, &stack.anim, options);
        budget.give_back(left);
        let name = stack.element.name.to_string();
        let baked = baked.map_err(|found| error(&found, left, cx).at_element(name.clone()))?;
        let used = baked.metadata.result_memory_used as u64;
        budget.take(used)?;
        let start = baked.key_time_min.min(0.0);
        moved += u64::from(start < 0.0);
        let mut animation = Animation { name, channels: Vec::new() };
        let track = Track { file, builder, start, cx };
        track.nodes(&baked, &mut animation.channels)?;
        lost += track.weights(&baked, &mut animation.channels)?;
        drop(baked);
        budget.give_back(used);
        if !animation.channels.is_empty() {
            builder.scene.animations.push(animation);
        }
    }
    let report = |severity, code: &str, message: &str, count| cx.report_times(severity, code, message, None, count);
    let count = builder.scene.animations.len() as u64;
    report(Severity::Info, "baked", "animations: curves and layers became linear keys", count);
    report(Severity::Info, "negative-time", "animations that begin before 0 were moved to begin there", moved);
    let message =
        "animated properties without a place in the record (visibility, materials, cameras, lights) are left out";
    report(Severity::Warning, "animation", message, lost);
    Ok(())
}

struct Track<'t, 's, 'c> {
    file: &'t ufbx::Scene,
    builder: &'t Builder<'s, 'c>,
    start: f64,
    cx: &'t Context,
}

impl Track<'_, '_, '_> {
    fn nodes(&self, baked: &BakedAnim, into: &mut Vec<Channel>) -> Result<()> {
        for node in &baked.nodes {
            self.cx.checkpoint()?;
            let Some(&index) = self.builder.nodes.get(&node.typed_id) else { continue };
            let rest = &self.builder.scene.nodes[index as usize].transform;
            let Transform::Trs { translation, rotation, scale } = *rest else { continue };
            let three = |keys: &[BakedVec3]| -> Vec<(f64, [f64; 3])> {
                keys.iter().map(|key| (key.time, [key.value.x, key.value.y, key.value.z])).collect()
            };
            let turns: Vec<(f64, [f64; 4])> = node
                .rotation_keys
                .iter()
                .map(|key| (key.time, [key.value.x, key.value.y, key.value.z, key.value.w]))
                .collect();
            let translations = three(&node.translation_keys);
            self.channel(
                index,
                AnimatedProperty::Translation,
                &translations,
                node.constant_translation,
                translation,
                into,
            )?;
            self.channel(index, AnimatedProperty::Rotation, &turns, node.constant_rotation, rotation, into)?;
            self.channel(index, AnimatedProperty::Scale, &three(&node.scale_keys), node.constant_scale, scale, into)?;
        }
        Ok(())
    }

    /// Adds a channel, unless it says nothing but where the node is anyway.
    fn channel<const N: usize>(
        &self,
        node: u32,
        property: AnimatedProperty,
        keys: &[(f64, [f64; N])],
        constant: bool,
        rest: [f64; N],
        into: &mut Vec<Channel>,
    ) -> Result<()> {
        let Some((_, first)) = keys.first() else { return Ok(()) };
        let keys = if constant { &keys[..1] } else { keys };
        if constant && first.iter().zip(&rest).all(|(a, b)| (a - b).abs() <= SAME) {
            return Ok(());
        }
        self.cx.budget().take(keys.len() as u64 * 4 * (N as u64 + 1))?;
        let mut channel = empty(node, property);
        for (time, value) in keys {
            self.key(&mut channel, *time, value);
        }
        into.push(channel);
        Ok(())
    }

    /// Adds a key, unless it is at the time of the last one in single precision.
    #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
    fn key(&self, channel: &mut Channel, time: f64, values: &[f64]) {
        let time = (time - self.start) as f32;
        let rises = channel.times.last().is_none_or(|&last| time > last);
        if rises && time.is_finite() && values.iter().all(|value| value.is_finite()) {
            channel.times.push(time);
            channel.values.extend(values.iter().map(|&value| value as f32));
        }
    }

    /// Weights of morph targets; the number of properties that have no place.
    fn weights(&self, baked: &BakedAnim, into: &mut Vec<Channel>) -> Result<u64> {
        let mut lost = 0;
        let mut percents: HashMap<u32, &[BakedVec3]> = HashMap::new();
        for element in &baked.elements {
            let is_channel = (self.file.elements.get(element.element_id as usize))
                .is_some_and(|found| found.type_ == ufbx::ElementType::BlendChannel);
            for prop in &element.props {
                if is_channel && prop.name == "DeformPercent" {
                    percents.insert(element.element_id, &prop.keys);
                } else {
                    lost += 1;
                }
            }
        }
        if percents.is_empty() {
            return Ok(lost);
        }
        for mesh in &self.file.meshes {
            let channels: Vec<&BlendChannel> =
                (&mesh.blend_deformers).into_iter().flat_map(|deformer| &deformer.channels).collect();
            let keys = |channel: &BlendChannel| percents.get(&channel.element.element_id).copied().unwrap_or_default();
            let count: usize = channels.iter().map(|channel| keys(channel).len()).sum();
            if count == 0 {
                continue;
            }
            let targets: usize = channels.iter().map(|channel| channel.keyframes.len()).sum();
            let nodes: Vec<u32> = (&mesh.element.instances)
                .into_iter()
                .filter_map(|node| self.builder.nodes.get(&node.element.typed_id).copied())
                .collect();
            let size = (count as u64).saturating_mul(8 + 4 * targets as u64).saturating_mul(nodes.len() as u64 + 1);
            self.cx.budget().take(size)?;
            let mut times: Vec<f64> = channels.iter().flat_map(|channel| keys(channel)).map(|key| key.time).collect();
            times.sort_by(f64::total_cmp);
            times.dedup();
            let mut made = empty(0, AnimatedProperty::Weights);
            let (mut row, mut own) = (Vec::with_capacity(targets), Vec::new());
            let stops: Vec<Vec<f64>> = channels
                .iter()
                .map(|channel| channel.keyframes.iter().map(|key| key.target_weight).collect())
                .collect();
            for (number, &time) in times.iter().enumerate() {
                if number.is_multiple_of(256) {
                    self.cx.checkpoint()?;
                }
                row.clear();
                for (channel, stops) in channels.iter().zip(&stops) {
                    let keys = keys(channel);
                    let weight = if keys.is_empty() { channel.weight } else { at(keys, time) / 100.0 };
                    shares(stops, weight, &mut own);
                    row.extend_from_slice(&own);
                }
                self.key(&mut made, time, &row);
            }
            into.extend(nodes.into_iter().map(|node| Channel { node, ..made.clone() }));
        }
        Ok(lost)
    }
}

/// The first number of keys at a time, linear between them.
fn at(keys: &[BakedVec3], time: f64) -> f64 {
    let after = keys.partition_point(|key| key.time <= time);
    match (after.checked_sub(1).map(|before| &keys[before]), keys.get(after)) {
        (Some(a), Some(b)) if b.time > a.time => {
            a.value.x + (b.value.x - a.value.x) * (time - a.time) / (b.time - a.time)
        }
        (Some(key), _) | (None, Some(key)) => key.value.x,
        (None, None) => 0.0,
    }
}

fn empty(node: u32, property: AnimatedProperty) -> Channel {
    Channel { node, property, interpolation: Interpolation::Linear, times: Vec::new(), values: Vec::new() }
}
