//! What is kept, kind by kind, in the respects that a writer declares.

use std::fmt::Debug;

use mediary_core::record::facts::Bounds;
use mediary_core::record::molecule::Atoms;
use mediary_core::record::scene::{Mesh, Primitive, Topology};
use mediary_core::record::{
    AttributeData, AudioChunk, Column, ColumnData, Image, Molecule, PointChunk, PointCloud, Samples, ScalarType, Scene,
    Table, TableChunk,
};
use mediary_core::{Feature, FormatInfo, Media};

use crate::Bulk;
use crate::writing::Read;

/// Ends a comparison with both values unless they are equal.
macro_rules! equal {
    ($left:expr, $right:expr, $($what:tt)+) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("{}: {} became {}", format_args!($($what)+), shown(left), shown(right)));
        }
    };
}

/// A value in a few words.
fn shown(value: &dyn Debug) -> String {
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(160) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Compares a record with what came of it. `lost` tells whether a loss with such a code was reported.
pub(crate) fn compare(to: &FormatInfo, before: &Read, after: &Read, lost: &dyn Fn(&str) -> bool) -> Result<(), String> {
    equal!(before.record.kind(), after.record.kind(), "kind");
    match (&before.record.media, &after.record.media) {
        (Media::Image(a), Media::Image(b)) => {
            equal!((a.width(), a.height()), (b.width(), b.height()), "size");
            // A format may hold gray as RGB and bytes as floats: what is seen must be the same, or the difference must be said.
            let same = a.samples() == b.samples() || looks_alike(a, b);
            let kept = match a.samples() {
                Samples::U16(_) => to.keeps(Feature::SixteenBit),
                Samples::F32(_) => to.keeps(Feature::Float),
                _ => false,
            };
            // Light that gets a curve, or loses it, is other numbers of any depth.
            let said = if kept { lost("linear") || lost("curve") } else { lost("") };
            ensure!(same || said, "pixels changed without a word");
            if to.keeps(Feature::ColorProfile) {
                equal!(a.icc, b.icc, "profile");
            }
        }
        (Media::Scene(a), Media::Scene(b)) => scenes(to, a, b, lost)?,
        (Media::PointCloud(a), Media::PointCloud(b)) => {
            let (mut p, q) = (points(&before.bulk), points(&after.bulk));
            // Some formats cannot hold points that are nowhere, and say so; what is left cannot be compared one by one.
            let dropped = lost("non-finite");
            if dropped {
                p.retain(|position| position.iter().all(|value| value.is_finite()));
            }
            equal!(p.len(), q.len(), "points");
            if to.keeps(Feature::DoublePrecision) {
                // NaN is no change of NaN.
                let same = |(p, q): (&f64, &f64)| p == q || p.is_nan() && q.is_nan();
                ensure!(p.as_flattened().iter().zip(q.as_flattened()).all(same), "positions changed");
            }
            if dropped {
                return Ok(());
            }
            // Colours of other depths may be scaled; those of 8 bits are kept to the bit.
            let bytes = a.schema.iter().any(|spec| spec.name == "color" && spec.scalar == ScalarType::U8);
            if to.keeps(Feature::Colors) && bytes {
                ensure!(attribute(a, &before.bulk, "color") == attribute(b, &after.bulk, "color"), "colours changed");
            }
            if to.keeps(Feature::Attributes) {
                equal!(a.schema, b.schema, "attributes");
                for spec in &a.schema {
                    let (x, y) = (attribute(a, &before.bulk, &spec.name), attribute(b, &after.bulk, &spec.name));
                    ensure!(x == y, "attribute {} changed", spec.name);
                }
            }
            if to.keeps(Feature::Boxes) {
                equal!((&a.boxes, &a.vectors), (&b.boxes, &b.vectors), "boxes and vectors");
            } else {
                ensure!(a.boxes.is_empty() || lost("boxes"), "boxes dropped without a word");
            }
        }
        (Media::Molecule(a), Media::Molecule(b)) => molecules(to, a, b, lost)?,
        (Media::Audio(a), Media::Audio(b)) => {
            equal!((a.sample_rate, a.channels), (b.sample_rate, b.channels), "sample rate and channels");
            let kept = to.keeps(if a.integer { Feature::Integer } else { Feature::Float });
            if kept {
                ensure!(audio(&before.bulk)? == audio(&after.bulk)?, "samples changed");
            } else {
                ensure!(lost(""), "samples changed without a word");
            }
        }
        (Media::Table(a), Media::Table(b)) => {
            let names =
                |table: &Table| -> Vec<String> { table.schema.iter().map(|column| column.name.clone()).collect() };
            ensure!(names(a) == names(b) || lost("names"), "names changed");
            ensure!(cells(&before.bulk)? == cells(&after.bulk)?, "cells changed");
            if to.keeps(Feature::ColumnTypes) {
                equal!(a.schema, b.schema, "types");
            }
        }
        (Media::Html(a), Media::Html(b)) => {
            equal!(a, b, "content");
        }
        (Media::Histogram(a), Media::Histogram(b)) => {
            equal!(a, b, "content");
        }
        (Media::Video(a), Media::Video(b)) => {
            equal!(a.facts().frames, b.facts().frames, "frames");
        }
        (a, b) => return Err(format!("{} became {}", a.kind(), b.kind())),
    }
    Ok(())
}

fn scenes(to: &FormatInfo, a: &Scene, b: &Scene, lost: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let (x, y) = (a.facts(), b.facts());
    equal!(x.triangles, y.triangles, "triangles");
    if let (Some(mut x), Some(mut y)) = (x.bounds, y.bounds) {
        // Formats that fix the axis that is up turn what has another.
        if let (Some(from), Some(to)) = (a.up_axis, b.up_axis)
            && from != to
        {
            (x, y) = (y_up(x, from), y_up(y, to));
        }
        let size = (0..3).map(|axis| x.max[axis] - x.min[axis]).fold(1e-6, f64::max);
        for axis in 0..3 {
            ensure!((x.min[axis] - y.min[axis]).abs() <= 1e-5 * size, "bounds {x:?} {y:?}");
            ensure!((x.max[axis] - y.max[axis]).abs() <= 1e-5 * size, "bounds {x:?} {y:?}");
        }
    } else {
        equal!(x.bounds, y.bounds, "bounds");
    }
    // Formats of one mesh join primitives: what counts is that none of the content is gone. What lines have goes with them.
    let holds = |primitive: &Primitive| to.keeps(Feature::Lines) || primitive.topology != Topology::Lines;
    let count = |scene: &Scene, has: fn(&Primitive) -> bool| {
        scene.primitives().any(|primitive| !primitive.positions.is_empty() && holds(primitive) && has(primitive))
    };
    let polygons = |scene: &Scene| -> Vec<u32> {
        placed(scene).into_iter().flat_map(|mesh| &mesh.primitives).flat_map(|part| part.face_sizes.clone()).collect()
    };
    if to.keeps(Feature::Polygons) {
        let quads = |sizes: Vec<u32>| sizes.into_iter().filter(|&size| size > 3).count();
        equal!(quads(polygons(a)), quads(polygons(b)), "polygons");
    } else {
        ensure!(polygons(a).iter().all(|&size| size == 3) || lost("polygons"), "polygons cut without a word");
    }
    if to.keeps(Feature::Materials) {
        equal!(x.materials, y.materials, "materials");
        for (a, b) in a.materials.iter().zip(&b.materials) {
            // Formats that refer by name must make one up where there is none.
            ensure!(a.name == b.name || a.name.is_empty(), "material names changed");
        }
    } else {
        ensure!(a.materials.is_empty() || lost("material"), "materials dropped without a word");
    }
    if to.keeps(Feature::Textures) {
        equal!(x.textures, y.textures, "textures");
    }
    if to.keeps(Feature::NodeTree) {
        equal!(x.nodes, y.nodes, "nodes");
        let names = |scene: &Scene| -> Vec<String> { scene.nodes.iter().map(|node| node.name.clone()).collect() };
        equal!(names(a), names(b), "node names");
    }
    if to.keeps(Feature::Animations) {
        equal!((&a.animations, a.skins.len()), (&b.animations, b.skins.len()), "animations");
    } else {
        ensure!(a.animations.is_empty() || lost("animation"), "animations dropped without a word");
    }
    if to.keeps(Feature::Normals) {
        let normals: fn(&Primitive) -> bool = |primitive| !primitive.normals.is_empty();
        equal!(count(a, normals), count(b, normals), "normals");
    }
    if to.keeps(Feature::Texcoords) {
        let texcoords: fn(&Primitive) -> bool = |primitive| !primitive.texcoords.is_empty();
        equal!(count(a, texcoords), count(b, texcoords), "texture coordinates");
    }
    if to.keeps(Feature::Colors) {
        let colors: fn(&Primitive) -> bool = |primitive| !primitive.colors.is_empty();
        equal!(count(a, colors), count(b, colors), "colours");
    }
    Ok(())
}

/// All meshes, as often as they are placed.
fn placed(scene: &Scene) -> Vec<&Mesh> {
    let mut meshes = Vec::new();
    scene.walk(|node, _| {
        meshes.extend(scene.nodes[node as usize].mesh.map(|mesh| &scene.meshes[mesh as usize]));
    });
    meshes
}

/// Bounds after the quarter turn that brings `axis` to y.
fn y_up(bounds: Bounds, axis: &str) -> Bounds {
    let Bounds { min, max } = bounds;
    match axis {
        "z" => Bounds { min: [min[0], min[2], -max[1]], max: [max[0], max[2], -min[1]] },
        "x" => Bounds { min: [-max[1], min[0], min[2]], max: [-min[1], max[0], max[2]] },
        _ => bounds,
    }
}

fn molecules(to: &FormatInfo, a: &Molecule, b: &Molecule, lost: &dyn Fn(&str) -> bool) -> Result<(), String> {
    equal!(a.atoms.len(), b.atoms.len(), "atoms");
    // A format without symbols tells elements by names, and cannot always.
    if !lost("elements") {
        equal!(a.atoms.elements, b.atoms.elements, "elements");
    }
    if to.keeps(Feature::Models) {
        equal!(a.models.len(), b.models.len(), "models");
    }
    for (x, y) in a.models.iter().zip(&b.models) {
        equal!(x.positions.len(), y.positions.len(), "positions");
        for (p, q) in x.positions.iter().zip(&y.positions) {
            // PDB and mmCIF hold three decimals.
            ensure!(p.iter().zip(q).all(|(p, q)| (p - q).abs() <= 5.1e-4), "{p:?} {q:?}");
        }
    }
    if to.keeps(Feature::Residues) {
        // Where there is no name, formats with a column for it make one up.
        let same =
            |index: usize| a.atoms.names[index].is_empty() || a.atoms.names.get(index) == b.atoms.names.get(index);
        ensure!((0..a.atoms.len()).all(same) || lost("names"), "names changed");
        let residues = |molecule: &Molecule| -> Vec<_> {
            molecule.residues.iter().map(|residue| (residue.name.clone(), residue.number, residue.insertion)).collect()
        };
        let named = a.residues.iter().any(|residue| !residue.name.is_empty());
        ensure!(!named || residues(a) == residues(b) || lost("names"), "residues changed");
    } else {
        ensure!(a.residues.len() < 2 || lost("names"), "residues dropped without a word");
    }
    if to.keeps(Feature::Bonds) {
        let bonds = |molecule: &Molecule| {
            let mut bonds: Vec<_> =
                molecule.bonds.iter().map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b), bond.order)).collect();
            bonds.sort_unstable();
            bonds
        };
        equal!(bonds(a), bonds(b), "bonds");
    } else {
        // What a format implies (the bonds of standard residues) need not be written.
        let pairs = |molecule: &Molecule| {
            let mut pairs: Vec<_> =
                molecule.bonds.iter().map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b))).collect();
            pairs.sort_unstable();
            pairs
        };
        let after = pairs(b);
        let kept = pairs(a).iter().all(|pair| after.binary_search(pair).is_ok());
        ensure!(kept || lost("bond"), "bonds dropped without a word");
    }
    if to.keeps(Feature::Cell) {
        equal!(a.cell, b.cell, "cell");
    }
    if to.keeps(Feature::Altlocs) {
        for index in 0..a.atoms.len() {
            let altloc = |atoms: &Atoms| Atoms::value(&atoms.altlocs, index, '\0');
            equal!(altloc(&a.atoms), altloc(&b.atoms), "altloc of atom {index}");
        }
    }
    Ok(())
}

/// 8-bit pixels as red, green, blue and alpha.
/// Whether two images show the same: colours that are clear are not seen, and floats may be a rounding apart.
fn looks_alike(a: &Image, b: &Image) -> bool {
    let (Some(a), Some(b)) = (rgba(a), rgba(b)) else { return false };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-2;
    let alike = |(a, b): (&[f64; 4], &[f64; 4])| {
        near(a[3], b[3]) && (a[3] == 0.0 || a.iter().zip(b).all(|(a, b)| near(*a, *b)))
    };
    a.len() == b.len() && a.iter().zip(&b).all(alike)
}

/// Pixels in 65535ths.
fn rgba(image: &Image) -> Option<Vec<[f64; 4]>> {
    let samples: Vec<f64> = match image.samples() {
        Samples::U8(samples) => samples.iter().map(|value| f64::from(*value) * 257.0).collect(),
        Samples::U16(samples) => samples.iter().map(|value| f64::from(*value)).collect(),
        Samples::F32(samples) => samples.iter().map(|value| f64::from(*value) * 65535.0).collect(),
        _ => return None,
    };
    let full = 65535.0;
    let pixel = |pixel: &[f64]| match *pixel {
        [gray] => [gray, gray, gray, full],
        [gray, alpha] => [gray, gray, gray, alpha],
        [r, g, b] => [r, g, b, full],
        [r, g, b, a] => [r, g, b, a],
        _ => [0.0; 4],
    };
    Some(samples.chunks(image.channels().into()).map(pixel).collect())
}

fn points(bulk: &Bulk) -> Vec<[f64; 3]> {
    let Bulk::Points(chunks) = bulk else { return Vec::new() };
    chunks.iter().flat_map(PointChunk::positions).copied().collect()
}

fn attribute(cloud: &PointCloud, bulk: &Bulk, name: &str) -> Vec<u64> {
    let Bulk::Points(chunks) = bulk else { return Vec::new() };
    let Some(index) = cloud.schema.iter().position(|spec| spec.name == name) else { return Vec::new() };
    let values = |data: &AttributeData| -> Vec<u64> { (0..data.len()).map(|i| data.get(i).to_bits()).collect() };
    chunks.iter().filter_map(|chunk| chunk.attributes().get(index)).flat_map(values).collect()
}

/// Samples as exact integers, or as the bits of floats.
fn audio(bulk: &Bulk) -> Result<Vec<i64>, String> {
    let Bulk::Audio(chunks) = bulk else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for chunk in chunks {
        match chunk {
            AudioChunk::Int { samples, .. } => all.extend(samples.iter().map(|&sample| i64::from(sample))),
            AudioChunk::Float { samples, .. } => all.extend(samples.iter().map(|sample| i64::from(sample.to_bits()))),
            _ => return Err("samples of a type that these checks do not know".into()),
        }
    }
    Ok(all)
}

/// Cells as text, row by row.
fn cells(bulk: &Bulk) -> Result<Vec<Vec<Option<String>>>, String> {
    let Bulk::Rows(chunks) = bulk else { return Ok(Vec::new()) };
    chunks.iter().flat_map(|chunk| (0..chunk.rows()).map(|row| row_of(chunk, row))).collect()
}

fn row_of(chunk: &TableChunk, row: usize) -> Result<Vec<Option<String>>, String> {
    let cell = |column: &Column| {
        Ok(Some(match &column.data {
            _ if column.is_null(row) => return Ok(None),
            ColumnData::Null(_) => String::new(),
            ColumnData::Bool(cells) => cells[row].to_string(),
            ColumnData::Int64(cells) => cells[row].to_string(),
            ColumnData::Float64(cells) => format!("{:?}", cells[row]),
            ColumnData::Text(cells) | ColumnData::Binary(cells) => String::from_utf8_lossy(cells.get(row)).into_owned(),
            _ => return Err("cells of a type that these checks do not know".to_owned()),
        }))
    };
    chunk.columns().iter().map(cell).collect()
}
