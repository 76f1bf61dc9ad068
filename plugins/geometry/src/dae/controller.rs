//! Controllers: skins and morph targets of a geometry.

use std::collections::HashMap;
use std::rc::Rc;

use mediary_core::record::Buffer;
use mediary_core::record::scene::{MorphTarget, Transform, transform_point};
use mediary_core::{Context, Result, Severity};

use super::document::Element;
use super::geometry::{self, Points, Shape, unless_lenient};
use super::nodes::column_major;
use super::values::{self, Arrays, NOWHERE, Values, input, inputs};
use crate::glb::matrix::inverse;
use crate::vertex::{NONE, unit};

/// Influences on a vertex that are kept: two sets.
const INFLUENCES: usize = 8;
/// How far weights may be from a sum of 1 for what is left out of decimals.
const ROUNDING: f32 = 1e-3;
/// Controllers on controllers.
const NESTED: u32 = 4;

/// Geometries and what controllers make of them, each made once.
pub(super) struct Shapes<'d> {
    known: HashMap<u32, Option<Rc<Shape<'d>>>>,
    pub(super) arrays: Arrays<'d>,
    cx: &'d Context,
}

impl<'d> Shapes<'d> {
    pub(super) fn new(cx: &'d Context) -> Self {
        Self { known: HashMap::new(), arrays: Arrays::new(cx), cx }
    }

    /// The shape of a `geometry` or a `controller`; `None` where there is none, with a finding.
    pub(super) fn get(&mut self, element: Element<'d>) -> Result<Option<Rc<Shape<'d>>>> {
        self.nested(element, 0)
    }

    fn nested(&mut self, element: Element<'d>, depth: u32) -> Result<Option<Rc<Shape<'d>>>> {
        if let Some(known) = self.known.get(&element.index()) {
            return Ok(known.clone());
        }
        if depth > NESTED {
            return Err(element.wrong(&format!("no more than {NESTED} controllers on each other"), ""));
        }
        let shape = match (element.name(), element.child("skin"), element.child("morph")) {
            ("geometry", ..) => geometry::shape(element, &mut self.arrays, self.cx),
            (_, Some(skin), _) => self.skinned(skin, depth),
            (_, None, Some(morph)) => self.morphed(morph, depth),
            _ => Err(element.wrong("a skin or a morph", "")),
        };
        let code = if element.name() == "geometry" { "geometry" } else { "controller" };
        let shape = unless_lenient(shape, code, self.cx)?.map(Rc::new);
        self.known.insert(element.index(), shape.clone());
        Ok(shape)
    }

    fn base(&mut self, element: Element<'d>, depth: u32) -> Result<Option<Shape<'d>>> {
        let base = element.target("source", &["geometry", "controller"])?;
        Ok(self.nested(base, depth + 1)?.map(|shape| (*shape).clone()))
    }

    fn skinned(&mut self, skin: Element<'d>, depth: u32) -> Result<Option<Shape<'d>>> {
        let cx = self.cx;
        let Some(mut shape) = self.base(skin, depth)? else { return Ok(None) };
        if shape.skin.is_some() {
            cx.warn_at("nested-controller", "a skin of what has a skin is left out", skin.location());
            return Ok(Some(shape));
        }
        shape.skin = Some(skin);
        if let Some(matrix) = skin.child("bind_shape_matrix") {
            let matrix = column_major(values::exactly::<16>(matrix, cx)?);
            if matrix != Transform::IDENTITY.matrix() {
                shape.parts.iter_mut().try_for_each(|part| turn(part, &matrix, cx))?;
            }
        }
        let influences = influences(skin, &mut self.arrays, cx)?;
        for part in &mut shape.parts {
            let sets = influences.sets as u64;
            cx.budget().take(part.origins.len() as u64 * 24 * sets)?;
            for set in 0..influences.sets {
                let of = |&[position, _]: &[u32; 2]| {
                    let all = influences.of.get(position as usize).copied().unwrap_or_default();
                    all.as_chunks::<4>().0.get(set).copied().unwrap_or_default()
                };
                let pairs: Vec<[(u16, f32); 4]> = part.origins.iter().map(of).collect();
                let joints: Vec<[u16; 4]> = pairs.iter().map(|all| all.map(|(joint, _)| joint)).collect();
                let weights: Vec<[f32; 4]> = pairs.iter().map(|all| all.map(|(_, weight)| weight)).collect();
                part.primitive.joints.push(joints.into());
                part.primitive.weights.push(weights.into());
            }
            part.primitive.share();
        }
        Ok(Some(shape))
    }

    fn morphed(&mut self, morph: Element<'d>, depth: u32) -> Result<Option<Shape<'d>>> {
        let cx = self.cx;
        let Some(mut shape) = self.base(morph, depth)? else { return Ok(None) };
        let Ok(geometry) = morph.target("source", &["geometry"]) else {
            cx.warn_at(
                "nested-controller",
                "morph targets of what a controller changes are left out",
                morph.location(),
            );
            return Ok(Some(shape));
        };
        let Some(base) = geometry::points(geometry, &mut self.arrays, cx)? else { return Ok(None) };
        let Some(targets) = morph.child("targets") else { return Err(morph.wrong("targets", "")) };
        let all = inputs(targets)?;
        let names = input(&all, "MORPH_TARGET").and_then(|input| values::names(input.source)).unwrap_or_default();
        let weights = input(&all, "MORPH_WEIGHT").map(|input| self.arrays.values(input.source)).transpose()?;
        let relative = morph.attribute("method") == Some("RELATIVE");
        for (name, index) in names.into_iter().zip(0..) {
            cx.checkpoint()?;
            let target = morph.resolve(name, &["geometry", "controller"])?;
            if target.name() == "controller" {
                cx.warn_at(
                    "nested-controller",
                    "a morph target that a controller changes is left out",
                    morph.location(),
                );
                continue;
            }
            let Some(points) = geometry::points(target, &mut self.arrays, cx)? else { continue };
            if points.positions.count != base.positions.count {
                let (found, wanted) = (points.positions.count, base.positions.count);
                let message = format!("a morph target of {found} positions, of {wanted} in its base, is left out");
                cx.warn_at("morph-target", message, target.location());
                continue;
            }
            let name = target.attribute("name").or_else(|| target.attribute("id")).unwrap_or_default();
            for part in &mut shape.parts {
                cx.budget().take(part.origins.len() as u64 * 24)?;
                let positions =
                    part.origins.iter().map(|&[at, _]| change(&points.positions, &base.positions, at, relative));
                let mut target =
                    MorphTarget { name: name.to_owned(), positions: positions.collect(), ..MorphTarget::default() };
                target.normals = normals(&points, &base, &part.origins, relative);
                part.primitive.targets.push(target);
            }
            let weight =
                weights.as_ref().filter(|weights| index < weights.count).map(|weights| weights.row(index, [0.0])[0]);
            shape.weights.push(weight.filter(|weight| weight.is_finite()).unwrap_or(0.0));
        }
        shape.parts.iter_mut().for_each(|part| part.primitive.share());
        Ok(Some(shape))
    }
}

fn change(target: &Values, base: &Values, at: u32, relative: bool) -> [f32; 3] {
    let (to, from) = (target.row(at, [0.0; 3]), base.row(at, [0.0; 3]));
    if relative { to } else { [0, 1, 2].map(|axis| to[axis] - from[axis]) }
}

/// Changes of normals, where the normals of the target are those of the base one by one.
fn normals(target: &Points, base: &Points, origins: &[[u32; 2]], relative: bool) -> Buffer<[f32; 3]> {
    match (&target.normals, &base.normals) {
        (Some(target), Some(base)) if target.count == base.count => {
            let there =
                |at: u32| if at != NONE && at < base.count { change(target, base, at, relative) } else { [0.0; 3] };
            origins.iter().map(|&[_, normal]| there(normal)).collect()
        }
        _ => Buffer::default(),
    }
}

/// Positions, normals and morph targets after a matrix.
#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
fn turn(part: &mut geometry::Part<'_>, matrix: &[f64; 16], cx: &Context) -> Result<()> {
    let primitive = &mut part.primitive;
    cx.budget().take(part.origins.len() as u64 * 24 * (1 + primitive.targets.len() as u64))?;
    let mut linear = *matrix;
    linear[12..15].copy_from_slice(&[0.0; 3]);
    let point = |by: &[f64; 16], value: [f32; 3]| transform_point(by, value.map(f64::from)).map(|value| value as f32);
    // Normals are turned by the inverse transpose.
    let transpose = inverse(&linear).map(column_major);
    let normal = |value: [f32; 3]| {
        let by = transpose.as_ref().unwrap_or(&linear);
        unit(transform_point(by, value.map(f64::from))).unwrap_or(value)
    };
    primitive.positions = primitive.positions.iter().map(|&value| point(matrix, value)).collect();
    primitive.normals = primitive.normals.iter().map(|&value| normal(value)).collect();
    for target in &mut primitive.targets {
        target.positions = target.positions.iter().map(|&value| point(&linear, value)).collect();
        target.normals = target.normals.iter().map(|&value| point(&linear, value)).collect();
    }
    Ok(())
}

/// Joints and weights by position.
struct Influences {
    of: Vec<[(u16, f32); INFLUENCES]>,
    /// Sets of four that are needed.
    sets: usize,
}

fn influences(skin: Element<'_>, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Influences> {
    let Some(element) = skin.child("vertex_weights") else { return Err(skin.wrong("vertex_weights", "")) };
    let all = inputs(element)?;
    let (Some(joint), Some(weight)) = (input(&all, "JOINT"), input(&all, "WEIGHT")) else {
        return Err(element.wrong("inputs JOINT and WEIGHT", ""));
    };
    let joints = values::names(joint.source).map_or(0, |names| names.len());
    let weights = arrays.values(weight.source)?;
    let stride = all.iter().map(|input| input.offset + 1).max().unwrap_or(1);
    let list = |name: &str| element.child(name).map_or(Ok(Vec::new()), |list| values::integers(list, cx));
    let (counts, list) = (list("vcount")?, list("v")?);
    cx.budget().take(counts.len() as u64 * size_of::<[(u16, f32); INFLUENCES]>() as u64)?;
    let mut result = Influences { of: Vec::new(), sets: 1 };
    let (mut at, mut dropped, mut outside) = (0_usize, 0_u64, 0_u64);
    let mut own: Vec<(u16, f32)> = Vec::new();
    for (vertex, &count) in counts.iter().enumerate() {
        if vertex.is_multiple_of(1 << 14) {
            cx.checkpoint()?;
        }
        let end = (count as usize).checked_mul(stride).and_then(|length| at.checked_add(length));
        let Some(pairs) = end.and_then(|end| list.get(at..end)) else {
            return Err(element.wrong(&format!("the joints of {} vertices", counts.len()), "the end of the list"));
        };
        at += pairs.len();
        own.clear();
        for pair in pairs.chunks_exact(stride) {
            let (joint, row) = (pair[joint.offset], pair[weight.offset]);
            if row >= weights.count {
                return Err(element.wrong(&format!("the index of a weight below {}", weights.count), &row.to_string()));
            }
            let value = weights.row(row, [0.0])[0];
            match u16::try_from(joint) {
                Ok(joint) if usize::from(joint) < joints => {
                    if value.is_finite() && value > 0.0 {
                        own.push((joint, value));
                    }
                }
                // −1 stands for the shape as it was bound.
                _ if joint == NOWHERE => outside += 1,
                _ => return Err(element.wrong(&format!("the index of a joint below {joints}"), &joint.to_string())),
            }
        }
        own.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        dropped += own.len().saturating_sub(INFLUENCES) as u64;
        if own.len() > 4 {
            result.sets = 2;
        }
        // They add up to 1 but for the digits of the file; what does not is left to who uses it.
        let sum: f32 = own.iter().take(INFLUENCES).map(|(_, weight)| weight).sum();
        if (sum - 1.0).abs() < ROUNDING {
            own.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        let mut row = [(0, 0.0); INFLUENCES];
        row.iter_mut().zip(&own).for_each(|(place, pair)| *place = *pair);
        result.of.push(row);
    }
    let report = |code: &str, message: &str, count| {
        cx.report_times(Severity::Warning, code, message, Some(element.location()), count);
    };
    report("influences", "joints of a vertex beyond the eight strongest are left out", dropped);
    report("bind-shape", "weights of the shape itself are left out", outside);
    Ok(result)
}

/// Joints of a skin by name, and the matrices that take a vertex into their space.
pub(super) struct Joints<'d> {
    pub(super) names: Vec<&'d str>,
    pub(super) inverse_bind_matrices: Vec<[f32; 16]>,
}

/// The joints of a `skin`.
pub(super) fn joints<'d>(skin: Element<'d>, arrays: &mut Arrays<'_>, cx: &Context) -> Result<Joints<'d>> {
    let Some(element) = skin.child("joints") else { return Err(skin.wrong("joints", "")) };
    let all = inputs(element)?;
    let names = input(&all, "JOINT").and_then(|input| values::names(input.source)).unwrap_or_default();
    let matrices = input(&all, "INV_BIND_MATRIX").map(|input| arrays.values(input.source)).transpose()?;
    cx.budget().take(names.len() as u64 * 96)?;
    let mut inverse_bind_matrices = Vec::new();
    if let Some(matrices) = matrices.filter(|matrices| matrices.width() == 16) {
        for index in 0..matrices.count.min(names.len() as u32) {
            let rows = matrices.row(index, [0.0; 16]);
            let columns: [f32; 16] = std::array::from_fn(|at| rows[at % 4 * 4 + at / 4]);
            inverse_bind_matrices.push(columns);
        }
    }
    if inverse_bind_matrices.len() < names.len() {
        let message = format!("{} joints and {} inverse bind matrices", names.len(), inverse_bind_matrices.len());
        cx.tolerate("bind-matrices", message, element.location())?;
        #[expect(clippy::cast_possible_truncation, reason = "ones and zeros")]
        inverse_bind_matrices.resize(names.len(), Transform::IDENTITY.matrix().map(|value| value as f32));
    }
    Ok(Joints { names, inverse_bind_matrices })
}

/// Where an animation of the weights of a morph finds them: the source of the weights of a `controller`.
pub(super) fn weight_source(controller: Element<'_>) -> Option<Element<'_>> {
    let targets = controller.path(&["morph", "targets"])?;
    input(&inputs(targets).ok()?, "MORPH_WEIGHT").map(|input| input.source)
}
