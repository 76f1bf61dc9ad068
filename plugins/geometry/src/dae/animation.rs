//! Animations: curves of single parameters become keys of whole transforms.
//!
//! A node of the record is moved by translation, rotation and scale, one of this file by a list of transforms of which each
//! number may have a curve. So the list is evaluated at all keys of the node's curves, and between them where the curves
//! bend or a rotation turns far.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use mediary_core::record::scene::{AnimatedProperty, Animation, Channel, Interpolation};
use mediary_core::{Context, Result, Severity};

use super::controller::weight_source;
use super::document::Element;
use super::geometry::or_less;
use super::nodes::{Builder, Kind, Step, product, steps};
use super::read::libraries;
use super::values::{self, Arrays, Values, input, inputs};
use crate::glb::matrix::decompose_within;

/// Cosines of angles between axes that exporters round away.
const ROUNDING: f64 = 1e-3;
/// A curve that bends is sampled this often a second, and at most so often between two keys.
const RATE: f64 = 30.0;
const MOST: f64 = 32.0;
/// Degrees that a rotation turns between two keys at most: the shorter way round must be the right one.
const TURN: f64 = 90.0;

/// Reads all animations.
pub(super) fn read<'d>(root: Element<'d>, builder: &mut Builder<'d>) -> Result<()> {
    let cx = builder.cx;
    let mut all = Vec::new();
    for animation in libraries(root, "library_animations").flat_map(|library| library.all("animation")) {
        channels(animation, &mut all);
    }
    if all.is_empty() {
        return Ok(());
    }
    let mut morphs: HashMap<u32, Vec<u32>> = HashMap::new();
    for (node, controller) in &builder.controlled {
        // The source is meant, or the array in it.
        for element in weight_source(*controller).into_iter().flat_map(Element::descendants) {
            cx.budget().take(8)?;
            morphs.entry(element.index()).or_default().push(*node);
        }
    }
    let mut reader = Reader { lost: 0, clipped: HashSet::new(), morphs, cx };
    for clip in libraries(root, "library_animation_clips").flat_map(|library| library.all("animation_clip")) {
        let mut own = Vec::new();
        for instance in clip.all("instance_animation") {
            if let Some(animation) = instance.target_or_less("url", &["animation"], cx)? {
                channels(animation, &mut own);
            }
        }
        cx.budget().take(own.len() as u64 * 64)?;
        reader.clipped.extend(own.iter().map(|channel| channel.index()));
        let time = |name: &str| clip.attribute(name).and_then(|text| text.trim().parse::<f64>().ok());
        let range = [time("start"), time("end")].map(|time| time.filter(|time| time.is_finite()));
        let name = clip.attribute("name").or_else(|| clip.attribute("id")).unwrap_or_default();
        reader.animation(name, &own, range, builder)?;
    }
    let rest: Vec<_> = all.into_iter().filter(|channel| !reader.clipped.contains(&channel.index())).collect();
    reader.animation("", &rest, [None; 2], builder)?;
    let message = "animations of what has no place in the record (visibility, materials, cameras, lights) are left out";
    cx.report_times(Severity::Warning, "animation", message, None, reader.lost);
    Ok(())
}

/// The channels of an animation and of those inside it.
fn channels<'d>(animation: Element<'d>, into: &mut Vec<Element<'d>>) {
    let mut stack = vec![animation];
    while let Some(next) = stack.pop() {
        into.extend(next.all("channel"));
        let first = stack.len();
        stack.extend(next.all("animation"));
        stack[first..].reverse();
    }
}

struct Reader<'c> {
    /// Channels without a place in the record.
    lost: u64,
    /// Channels that belong to a clip.
    clipped: HashSet<u32>,
    /// Nodes by the element that holds the weights of their morph targets.
    morphs: HashMap<u32, Vec<u32>>,
    cx: &'c Context,
}

/// A curve for one number, or all, of a transform of a node.
struct Moved {
    step: usize,
    /// `None` for all numbers.
    member: Option<usize>,
    curve: Rc<Curve>,
}

/// A curve for the weight of one morph target, or of all.
struct Weighed {
    target: Option<usize>,
    curve: Rc<Curve>,
}

impl Reader<'_> {
    fn animation<'d>(
        &mut self,
        name: &str,
        channels: &[Element<'d>],
        range: [Option<f64>; 2],
        builder: &mut Builder<'d>,
    ) -> Result<()> {
        let cx = self.cx;
        // By element of a node; in their order.
        let mut moved: BTreeMap<u32, (Vec<Step<'d>>, Vec<Moved>)> = BTreeMap::new();
        let mut weights: BTreeMap<u32, Vec<Weighed>> = BTreeMap::new();
        for &channel in channels {
            cx.checkpoint()?;
            let Some((element, sid, member)) = address(channel) else {
                self.lost += 1;
                continue;
            };
            if element.name() == "node" {
                let (known, list) = match moved.entry(element.index()) {
                    std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::btree_map::Entry::Vacant(vacant) => {
                        vacant.insert((steps(element, cx)?, Vec::new()))
                    }
                };
                let step = known.iter().position(|step| step.sid == sid && !sid.is_empty());
                let place = step.and_then(|step| Some((step, member.place(&known[step])?)));
                let Some((step, member)) = place else {
                    self.lost += 1;
                    continue;
                };
                let wanted = if member.is_some() { 1 } else { known[step].values.len() };
                let curve = curve(channel, wanted, &mut builder.shapes.arrays, cx);
                if let Some(curve) = or_less(curve, "sampler", channel.location(), cx)?.flatten() {
                    list.push(Moved { step, member, curve: Rc::new(curve) });
                }
                continue;
            }
            let morphs = self.morphs.get(&element.index()).cloned().unwrap_or_default();
            let target = match member {
                Member::Place(place) => Some(place),
                _ => None,
            };
            if morphs.is_empty() || !matches!(member, Member::Place(_) | Member::All) {
                self.lost += 1;
                continue;
            }
            let wanted = usize::from(target.is_some());
            let curve = curve(channel, wanted, &mut builder.shapes.arrays, cx);
            if let Some(curve) = or_less(curve, "sampler", channel.location(), cx)?.flatten() {
                let curve = Rc::new(curve);
                for node in morphs {
                    cx.budget().take(32)?;
                    weights.entry(node).or_default().push(Weighed { target, curve: Rc::clone(&curve) });
                }
            }
        }
        let mut animation = Animation { name: name.to_owned(), ..Animation::default() };
        for (element, (steps, moved)) in moved {
            let nodes = builder.nodes.get(&element).cloned().unwrap_or_default();
            if !moved.is_empty() && !nodes.is_empty() {
                let tracks = self.tracks(&steps, &moved, range)?;
                for node in nodes {
                    let bytes: usize = tracks.iter().map(|track| (track.times.len() + track.values.len()) * 4).sum();
                    cx.budget().take(bytes as u64 + 128)?;
                    animation.channels.extend(tracks.iter().map(|track| Channel { node, ..track.clone() }));
                }
            }
        }
        for (node, curves) in weights {
            animation.channels.extend(self.weights(node, &curves, range, builder)?);
        }
        if !animation.channels.is_empty() {
            builder.scene.animations.push(animation);
        }
        Ok(())
    }

    /// Translation, rotation and scale of a node, for those of them that change.
    fn tracks(&self, steps: &[Step<'_>], moved: &[Moved], range: [Option<f64>; 2]) -> Result<Vec<Channel>> {
        let cx = self.cx;
        let is_angle =
            |one: &Moved| steps[one.step].kind == Kind::Rotate && one.member.is_none_or(|member| member == 3);
        let curves: Vec<_> = moved.iter().map(|one| (&*one.curve, is_angle(one))).collect();
        let (times, interpolation) = key_times(&curves, range, cx)?;
        // Keys, and the work for them: every curve is looked at for each.
        cx.budget().take((times.len() as u64).saturating_mul(80 + 4 * moved.len() as u64))?;
        let mut steps = steps.to_vec();
        let rest = decompose_within(&product(&steps), ROUNDING);
        let mut kept = Vec::new();
        let (mut translations, mut rotations, mut scales) = (Vec::new(), Vec::new(), Vec::new());
        let mut sheared = 0;
        for (index, &time) in times.iter().enumerate() {
            if index.is_multiple_of(256) {
                cx.checkpoint()?;
            }
            for one in moved {
                let values = &mut steps[one.step].values;
                match one.member {
                    Some(member) => values[member] = one.curve.sample(time, 0),
                    None => (0..values.len()).for_each(|place| values[place] = one.curve.sample(time, place)),
                }
            }
            match decompose_within(&product(&steps), ROUNDING) {
                Some((translation, rotation, scale)) => {
                    kept.push(time - range[0].unwrap_or(0.0));
                    translations.push(translation);
                    rotations.push(rotation);
                    scales.push(scale);
                }
                None => sheared += 1,
            }
        }
        let message = "keys with shear or without extent are left out";
        cx.report_times(Severity::Warning, "matrix-key", message, None, sheared);
        turn_short(&mut rotations);
        let tracks = [
            (AnimatedProperty::Translation, changing(&translations, rest.map(|rest| rest.0))),
            (AnimatedProperty::Rotation, changing(&rotations, rest.map(|rest| rest.1))),
            (AnimatedProperty::Scale, changing(&scales, rest.map(|rest| rest.2))),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
        let times: Vec<f32> = kept.iter().map(|&time| time as f32).collect();
        let channel = |(property, values): (AnimatedProperty, Vec<f32>)| {
            (!values.is_empty()).then(|| Channel { node: 0, property, interpolation, times: times.clone(), values })
        };
        Ok(tracks.into_iter().filter_map(channel).collect())
    }

    fn weights(
        &self,
        node: u32,
        curves: &[Weighed],
        range: [Option<f64>; 2],
        builder: &Builder<'_>,
    ) -> Result<Option<Channel>> {
        let cx = self.cx;
        let mesh = builder.scene.nodes[node as usize].mesh;
        let rest = mesh.map_or(&[][..], |mesh| &builder.scene.meshes[mesh as usize].weights);
        let all: Vec<_> = curves.iter().map(|one| (&*one.curve, false)).collect();
        let (times, interpolation) = key_times(&all, range, cx)?;
        cx.budget().take((times.len() as u64).saturating_mul((rest.len() + curves.len()) as u64 * 4 + 4))?;
        let mut values = Vec::new();
        for (index, &time) in times.iter().enumerate() {
            if index.is_multiple_of(256) {
                cx.checkpoint()?;
            }
            let first = values.len();
            values.extend_from_slice(rest);
            let own = &mut values[first..];
            for Weighed { target, curve } in curves {
                #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
                match target {
                    Some(target) => {
                        own.iter_mut().skip(*target).take(1).for_each(|it| *it = curve.sample(time, 0) as f32)
                    }
                    None => {
                        let there = own.iter_mut().take(curve.values.width());
                        there.enumerate().for_each(|(place, it)| *it = curve.sample(time, place) as f32);
                    }
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
        let times: Vec<f32> = times.iter().map(|&time| (time - range[0].unwrap_or(0.0)) as f32).collect();
        let property = AnimatedProperty::Weights;
        Ok((!values.is_empty()).then_some(Channel { node, property, interpolation, times, values }))
    }
}

/// Values end to end, unless all of them are that of the node at rest.
#[expect(clippy::cast_possible_truncation, reason = "animations are single precision")]
fn changing<const N: usize>(values: &[[f64; N]], rest: Option<[f64; N]>) -> Vec<f32> {
    let near =
        |a: &[f64; N], b: &[f64; N]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs())));
    let still = rest.or(values.first().copied()).is_some_and(|rest| values.iter().all(|value| near(value, &rest)));
    if still { Vec::new() } else { values.as_flattened().iter().map(|&value| value as f32).collect() }
}

/// Each quaternion on the side of the one before it.
fn turn_short(rotations: &mut [[f64; 4]]) {
    for at in 1..rotations.len() {
        let side: f64 = (0..4).map(|k| rotations[at][k] * rotations[at - 1][k]).sum();
        if side < 0.0 {
            rotations[at] = rotations[at].map(|value| -value);
        }
    }
}

/// Which numbers of a parameter a channel moves.
#[derive(Clone, Copy)]
enum Member<'d> {
    All,
    /// `X`, `ANGLE` and so on.
    Named(&'d str),
    /// `(3)`
    Place(usize),
    /// `(column)(row)`
    Cell(usize, usize),
}

impl Member<'_> {
    /// The number among those of a transform; `None` inside for all, outside for one that is nowhere.
    fn place(self, step: &Step<'_>) -> Option<Option<usize>> {
        let place = match self {
            Self::All => return Some(None),
            Self::Named("X") => 0,
            Self::Named("Y") => 1,
            Self::Named("Z") => 2,
            Self::Named("ANGLE") if step.kind == Kind::Rotate => 3,
            Self::Named("ANGLE") if step.kind == Kind::Skew => 0,
            Self::Named(_) => return None,
            Self::Place(place) => place,
            Self::Cell(column, row) if step.kind == Kind::Matrix && column < 4 && row < 4 => row * 4 + column,
            Self::Cell(..) => return None,
        };
        (place < step.values.len()).then_some(Some(place))
    }
}

/// What a channel moves: an element, the sid of one of its parameters, and which numbers of it.
fn address<'d>(channel: Element<'d>) -> Option<(Element<'d>, &'d str, Member<'d>)> {
    let target = channel.attribute("target")?.trim();
    let (id, parameter) = target.split_once('/').unwrap_or((target, ""));
    if parameter.contains('/') {
        return None;
    }
    let whole = if parameter.is_empty() { id } else { parameter };
    let (name, member) = match (whole.split_once('('), whole.split_once('.')) {
        (Some((name, rest)), _) => {
            let mut places =
                rest.split(['(', ')']).filter(|part| !part.is_empty()).map(|part| part.trim().parse().ok());
            match (places.next()??, places.next()) {
                (column, Some(row)) => (name, Member::Cell(column, row?)),
                (place, None) => (name, Member::Place(place)),
            }
        }
        (None, Some((name, member))) if !parameter.is_empty() => (name, Member::Named(member)),
        _ => (whole, Member::All),
    };
    let id = if parameter.is_empty() { name } else { id };
    let element = channel.by_id(id)?;
    Some((element, if parameter.is_empty() { "" } else { name }, member))
}

/// How a curve goes on behind a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Linear,
    Step,
    /// By tangents, given as points or as directions.
    Bezier,
    Hermite,
}

/// The keys of a sampler.
struct Curve {
    times: Vec<f64>,
    values: Values,
    modes: Vec<Mode>,
    /// Coming in and going out.
    tangents: Option<[Values; 2]>,
}

/// The curve of a channel, of so many values a key; any number for 0.
fn curve<'d>(channel: Element<'d>, wanted: usize, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Option<Curve>> {
    let sampler = channel.target("source", &["sampler"])?;
    let all = inputs(sampler)?;
    let mut values = |semantic: &str| input(&all, semantic).map(|input| arrays.values(input.source)).transpose();
    let (Some(input_times), Some(output)) = (values("INPUT")?, values("OUTPUT")?) else {
        return Err(sampler.wrong("inputs INPUT and OUTPUT", ""));
    };
    let keys = input_times.count.min(output.count);
    if keys == 0 {
        return Ok(None);
    }
    if output.width() < wanted {
        return Err(sampler.wrong(&format!("{wanted} values a key"), &output.width().to_string()));
    }
    let tangents = match (values("IN_TANGENT")?, values("OUT_TANGENT")?) {
        (Some(coming), Some(going))
            if coming.count >= keys && going.count >= keys && coming.width() == going.width() =>
        {
            Some([coming, going])
        }
        _ => None,
    };
    cx.budget().take(u64::from(keys) * 16)?;
    let times: Vec<f64> = (0..keys).map(|key| f64::from(input_times.row(key, [0.0])[0])).collect();
    if !times.is_sorted() || !times.iter().all(|time| time.is_finite()) {
        return Err(sampler.wrong("times that rise", ""));
    }
    let names = input(&all, "INTERPOLATION").and_then(|input| values::names(input.source)).unwrap_or_default();
    let mut strange = 0;
    let mode = |name: Option<&&str>| match name.copied().unwrap_or("LINEAR") {
        "STEP" => Mode::Step,
        "BEZIER" if tangents.is_some() => Mode::Bezier,
        "HERMITE" if tangents.is_some() => Mode::Hermite,
        "LINEAR" | "BEZIER" | "HERMITE" => Mode::Linear,
        _ => {
            strange += 1;
            Mode::Linear
        }
    };
    let modes = (0..keys as usize).map(|key| names.get(key)).map(mode).collect();
    let message = "keys that are joined by cardinal or B-splines are joined by straight lines";
    cx.report_times(Severity::Warning, "interpolation", message, Some(sampler.location()), strange);
    Ok(Some(Curve { times, values: output, modes, tangents }))
}

impl Curve {
    fn value(&self, key: usize, place: usize) -> f64 {
        self.values.all(key as u32).nth(place).unwrap_or(0.0).into()
    }

    /// The value at a time; the first and the last key hold outside.
    fn sample(&self, time: f64, place: usize) -> f64 {
        let after = self.times.partition_point(|&key| key <= time);
        let Some(key) = after.checked_sub(1) else { return self.value(0, place) };
        let from = self.value(key, place);
        if after == self.times.len() || self.modes[key] == Mode::Step {
            return from;
        }
        let to = self.value(after, place);
        let (start, end) = (self.times[key], self.times[after]);
        let part = (time - start) / (end - start);
        let (Mode::Bezier | Mode::Hermite, Some([coming, going])) = (self.modes[key], &self.tangents) else {
            return from + (to - from) * part;
        };
        // Tangents have a time and a value for each number, or values alone: then times are thirds.
        let wide = going.width() >= 2 * self.values.width();
        let tangent = |values: &Values, key: usize| -> [f64; 2] {
            let at = |place: usize| values.all(key as u32).nth(place).map(f64::from);
            if wide {
                [at(2 * place).unwrap_or(0.0), at(2 * place + 1).unwrap_or(0.0)]
            } else {
                [f64::NAN, at(place).unwrap_or(0.0)]
            }
        };
        let (leaving, arriving) = (tangent(going, key), tangent(coming, after));
        let third = (end - start) / 3.0;
        let (first, second) = if self.modes[key] == Mode::Bezier {
            let or = |time: f64, other: f64| if time.is_nan() { other } else { time };
            ([or(leaving[0], start + third), leaving[1]], [or(arriving[0], end - third), arriving[1]])
        } else {
            let or = |time: f64| if time.is_nan() { end - start } else { time };
            (
                [start + or(leaving[0]) / 3.0, from + leaving[1] / 3.0],
                [end - or(arriving[0]) / 3.0, to - arriving[1] / 3.0],
            )
        };
        let bezier = |s: f64, a: f64, b: f64, c: f64, d: f64| {
            let r = 1.0 - s;
            r * r * r * a + 3.0 * r * r * s * b + 3.0 * r * s * s * c + s * s * s * d
        };
        // Times rise along the curve: the place of one is found by halving.
        let (first_time, second_time) = (first[0].clamp(start, end), second[0].clamp(start, end));
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..32 {
            let middle = (low + high) / 2.0;
            if bezier(middle, start, first_time, second_time, end) < time {
                low = middle;
            } else {
                high = middle;
            }
        }
        bezier((low + high) / 2.0, from, first[1], second[1], to)
    }
}

/// All times at which one of the curves has a key or needs one, and how values between them are made. The second of a
/// curve says whether it is an angle.
fn key_times(curves: &[(&Curve, bool)], range: [Option<f64>; 2], cx: &Context) -> Result<(Vec<f64>, Interpolation)> {
    let keys: usize = curves.iter().map(|(curve, _)| curve.times.len()).sum();
    cx.budget().take(keys as u64 * 16)?;
    let is_step =
        curves.iter().all(|(curve, _)| curve.modes[..curve.modes.len() - 1].iter().all(|&mode| mode == Mode::Step));
    let is_step = is_step && curves.iter().any(|(curve, _)| curve.modes.len() > 1);
    let mut times: Vec<f64> = curves.iter().flat_map(|(curve, _)| curve.times.iter().copied()).collect();
    for (curve, angle) in curves {
        for key in 1..curve.times.len() {
            let (start, end) = (curve.times[key - 1], curve.times[key]);
            let parts = match curve.modes[key - 1] {
                Mode::Step => 1.0,
                Mode::Linear => 1.0,
                Mode::Bezier | Mode::Hermite => ((end - start) * RATE).ceil().clamp(4.0, MOST),
            };
            let last = curve.values.width() - 1;
            let turned = if *angle { (curve.value(key, last) - curve.value(key - 1, last)).abs() / TURN } else { 0.0 };
            let parts = if curve.modes[key - 1] == Mode::Step { 1.0 } else { parts.max(turned.ceil().min(1024.0)) };
            if parts > 1.0 && end > start {
                cx.budget().take(parts as u64 * 16)?;
                times.extend((1..parts as u64).map(|part| start + (end - start) * part as f64 / parts));
            }
        }
    }
    times.extend(range.iter().flatten());
    times.retain(|time| range[0].is_none_or(|start| *time >= start) && range[1].is_none_or(|end| *time <= end));
    times.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, reason = "times are single precision, and each is there once")]
    times.dedup_by_key(|time| *time as f32);
    Ok((times, if is_step { Interpolation::Step } else { Interpolation::Linear }))
}
