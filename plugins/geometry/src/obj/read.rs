//! Reading OBJ: the parts of the file become flat lists, those are joined, sorted, and made into primitives.

use std::collections::HashMap;

use mediary_core::convert::srgb_to_linear;
use mediary_core::record::Scene;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::{Context, Error, MediaRecord, Result, Severity, Source};

use super::file::{File, NO_COLOR, Shape};
use super::parse::Text;
use super::sort::{Group, sort};
use crate::mtl::Libraries;
use crate::parallel::gathered;
use crate::text;
use crate::vertex::NONE;
use crate::world;

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    let utf8;
    let text: &[u8] = match text::from_utf16(&bytes) {
        Some(converted) => {
            cx.budget().take(converted.len() as u64)?;
            utf8 = converted;
            &utf8
        }
        None => &bytes,
    };
    let text = Text::new(text, cx.threads());
    let parts = cx.in_parts((0..text.parts()).collect(), |number, cx| {
        let part = text.parse(number, cx)?;
        let lines = part.lines;
        Ok((part, lines))
    })?;
    let (mut file, charged) = File::of_parts(parts, cx)?;
    if file.positions.is_empty() && file.elements.iter().all(|elements| elements.runs.is_empty()) {
        return Err(Error::malformed("expected vertices (lines \"v x y z\"), found none")
            .at_line(1)
            .with_hint("an OBJ file without geometry holds no scene"));
    }
    let scene = build(&mut file, source, cx)?;
    cx.budget().give_back(charged);
    Ok(MediaRecord::new(scene))
}

fn build(file: &mut File<'_>, source: &Source, cx: &Context) -> Result<Scene> {
    let corners = file.elements.iter().map(|elements| elements.corners.len()).sum::<usize>();
    let bytes = corners as u64 * 8 + file.positions.len() as u64 * 8;
    cx.budget().take(bytes)?;
    let (names, groups) = sort(file, cx)?;
    let offset = world::offset(&file.positions);
    let mut libraries = Libraries::default();
    for (name, line) in &file.libraries {
        libraries.open(&text::decode(name), source, *line, cx)?;
    }
    let mut meshes: Vec<Mesh> = names.into_iter().map(|name| Mesh { name, ..Mesh::default() }).collect();
    let mut materials = HashMap::new();
    let mut used = vec![false; file.positions.len()];
    let color_scale = color_scale(file, cx);
    for part in groups {
        let material = match file.names.get(part.material as usize) {
            Some(name) if !name.is_empty() => {
                Some(*materials.entry(part.material).or_insert_with(|| libraries.find(&text::decode(name), cx)))
            }
            _ => None,
        };
        for [position, ..] in &part.vertices {
            used[*position as usize] = true;
        }
        let mesh = part.mesh as usize;
        let primitive = assemble(file, part, offset, color_scale, material, cx)?;
        meshes[mesh].primitives.push(primitive);
        cx.checkpoint()?;
    }
    if corners == 0 {
        cx.note("no-faces", "no face, line or point statement: all vertices are points");
        let mut part = Group::new(0, NONE, Shape::Point, [false; 2]);
        part.vertices = (0..file.positions.len() as u32).map(|index| [index, NONE, NONE]).collect();
        let mut primitive = assemble(file, part, offset, color_scale, None, cx)?;
        primitive.indices = None;
        meshes = vec![Mesh { primitives: vec![primitive], ..Mesh::default() }];
    } else {
        let unused = used.iter().filter(|used| !**used).count() as u64;
        let message = "vertices belong to no face, line or point: left out";
        cx.report_times(Severity::Info, "unused-vertices", message, None, unused);
    }
    world::report_non_finite(&file.positions, cx);
    cx.budget().give_back(bytes);
    let mut scene = Scene::of_meshes(meshes);
    (scene.materials, scene.textures) = libraries.finish();
    scene.world_offset = offset;
    Ok(scene)
}

/// What colours are multiplied by: files that hold a value above 1 count to 255.
fn color_scale(file: &File<'_>, cx: &Context) -> f64 {
    let largest = file.colors.iter().flat_map(|color| &color[..3]).fold(0.0_f64, |most, &value| most.max(value));
    if largest > 1.0 {
        cx.note("colors-255", format!("vertex colours reach {largest}: taken for 0 to 255"));
        return 1.0 / 255.0;
    }
    1.0
}

#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision, relative to the offset")]
fn assemble(
    file: &File<'_>,
    part: Group,
    offset: [f64; 3],
    color_scale: f64,
    material: Option<u32>,
    cx: &Context,
) -> Result<Primitive> {
    cx.budget().take((part.vertices.len() * 80 + (part.indices.len() + part.sizes.len()) * 4) as u64)?;
    let vertices = &part.vertices;
    let mut primitive = Primitive {
        topology: match part.shape {
            Shape::Point => Topology::Points,
            Shape::Line => Topology::Lines,
            Shape::Face if part.sizes.is_empty() => Topology::Triangles,
            Shape::Face => Topology::Polygons,
        },
        positions: gathered(vertices, cx, |[index, ..]| {
            let position = file.positions[index as usize];
            [0, 1, 2].map(|axis| (position[axis] - offset[axis]) as f32)
        })?
        .into(),
        material,
        ..Primitive::default()
    };
    if part.has[0] {
        primitive.texcoords = vec![gathered(vertices, cx, |[_, index, _]| file.texcoords[index as usize])?.into()];
    }
    if part.has[1] {
        primitive.normals = gathered(vertices, cx, |[.., index]| file.normals[index as usize])?.into();
    }
    let color = |index: u32| file.colors.get(index as usize).filter(|&&color| color != NO_COLOR);
    let colored = vertices.iter().filter(|&&[index, ..]| color(index).is_some()).count();
    if colored > 0 {
        let linear = |value: f64| srgb_to_linear((value * color_scale).clamp(0.0, 1.0)) as f32;
        primitive.colors = vec![
            gathered(vertices, cx, |[index, ..]| match color(index) {
                Some(&[r, g, b, a]) => [linear(r), linear(g), linear(b), a.clamp(0.0, 1.0) as f32],
                None => [1.0; 4],
            })?
            .into(),
        ];
        let message = "vertices without a colour beside others with one: white";
        let missing = (vertices.len() - colored) as u64;
        cx.report_times(Severity::Warning, "partial-colors", message, None, missing);
    }
    primitive.face_sizes = part.sizes.into();
    primitive.indices = Some(part.indices.into());
    Ok(primitive)
}
