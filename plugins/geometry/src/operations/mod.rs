//! Operations on scenes and point clouds, applied between reading and writing in the order of their lists.
//!
//! | option | what it does |
//! |---|---|
//! | `scene.triangulate` | polygons become triangles: fans where they are convex, ears otherwise |
//! | `scene.weld` | `equal`: one vertex for those that agree in every attribute; `positions`: normals, tangents and texture coordinates are dropped first |
//! | `scene.scale`, `point_cloud.scale` | every coordinate is multiplied |
//! | `scene.up_axis`, `point_cloud.up_axis` | the shortest quarter turns that bring the old up axis to the new one |
//!
//! A scene that does not say which axis is up is taken as y up, as in glTF; a point cloud is taken as z up, as surveys are.

mod turn;
mod weld;

use mediary_core::record::scene::Topology;
use mediary_core::record::{PointChunk, PointCloud, Scene, Stream, triangulate};
use mediary_core::{Context, Error, ErrorKind, Kind, Media, Operations, OptionSpec, OptionType, Options, Result};

use turn::Turn;

pub(crate) use weld::primitive as weld;

const AXES: OptionType = OptionType::Choice(&["keep", "x", "y", "z"]);

static SCENE: Operations = Operations {
    kind: Kind::Scene,
    options: &[
        OptionSpec::write("triangulate", OptionType::Bool, "false", "Polygons become triangles."),
        OptionSpec::write(
            "weld",
            OptionType::Choice(&["keep", "equal", "positions"]),
            "keep",
            "Join vertices that are equal in everything, or at equal positions whose normals and texture coordinates are dropped.",
        ),
        OptionSpec::write("scale", OptionType::Float, "1", "Multiply every coordinate."),
        OptionSpec::write("up_axis", AXES, "keep", "Turn the scene so that this axis is up."),
    ],
    arrival: None,
    apply: |record, options, cx| match &mut record.media {
        Media::Scene(scene) => on_scene(scene, options, cx),
        _ => Ok(()),
    },
};
mediary_core::register_operations!(SCENE);

static POINT_CLOUD: Operations = Operations {
    kind: Kind::PointCloud,
    options: &[
        OptionSpec::write("scale", OptionType::Float, "1", "Multiply every coordinate."),
        OptionSpec::write("up_axis", AXES, "keep", "Turn the points so that this axis is up; they are taken as z up."),
    ],
    arrival: None,
    apply: |record, options, cx| match &mut record.media {
        Media::PointCloud(cloud) => on_cloud(cloud, options, cx),
        _ => Ok(()),
    },
};
mediary_core::register_operations!(POINT_CLOUD);

fn on_scene(scene: &mut Scene, options: &Options, cx: &Context) -> Result<()> {
    if options.bool("triangulate") {
        for primitive in scene.meshes.iter_mut().flat_map(|mesh| &mut mesh.primitives) {
            if primitive.topology == Topology::Polygons {
                cx.checkpoint()?;
                cx.budget().take(primitive.triangles().saturating_mul(12))?;
                primitive.indices = Some(triangulate::primitive(primitive).into());
                primitive.face_sizes = Vec::new().into();
                primitive.topology = Topology::Triangles;
            }
        }
    }
    match options.text("weld") {
        "equal" => weld::scene(scene, cx)?,
        "positions" => {
            weld::drop_surface(scene, cx);
            weld::scene(scene, cx)?;
        }
        _ => {}
    }
    let mut turn = Turn::scale(factor(options)?);
    if let Some(to) = axis(options) {
        let from = match scene.up_axis {
            Some("x") => 0,
            Some("z") => 2,
            Some(_) => 1,
            None => {
                cx.note("up-axis-assumed", "the scene does not say which axis is up: y is assumed");
                1
            }
        };
        turn = turn.up(from, to);
        scene.up_axis = Some(["x", "y", "z"][to]);
    }
    if !turn.is_nothing() {
        turn.scene(scene);
    }
    Ok(())
}

fn on_cloud(cloud: &mut PointCloud, options: &Options, _: &Context) -> Result<()> {
    let mut turn = Turn::scale(factor(options)?);
    if let Some(to) = axis(options) {
        turn = turn.up(2, to);
    }
    if turn.is_nothing() {
        return Ok(());
    }
    for corner in cloud.boxes.iter_mut().flat_map(|one| &mut one.corners) {
        *corner = turn.point(*corner);
    }
    for vector in &mut cloud.vectors {
        (vector.start, vector.end) = (turn.point(vector.start), turn.point(vector.end));
    }
    let mut points = std::mem::take(&mut cloud.points);
    let schema = cloud.schema.clone();
    cloud.points = Stream::new(std::iter::from_fn(move || {
        let chunk = points.next_chunk().transpose()?;
        Some(chunk.and_then(|chunk| {
            let positions: Vec<_> = chunk.positions().iter().map(|&position| turn.point(position)).collect();
            let mut attributes = chunk.attributes().to_vec();
            for (data, spec) in attributes.iter_mut().zip(&schema) {
                if spec.name == "normal" && spec.components == 3 {
                    turn.directions(data);
                }
            }
            PointChunk::new(positions, attributes, &schema)
        }))
    }));
    Ok(())
}

/// The factor of `scale`: one that leaves something and does not mirror.
fn factor(options: &Options) -> Result<f64> {
    let factor = options.float("scale");
    if factor > 0.0 {
        return Ok(factor);
    }
    Err(Error::new(ErrorKind::InvalidOption, format!("scale: expected a number above 0, found {factor}")))
}

fn axis(options: &Options) -> Option<usize> {
    ["x", "y", "z"].iter().position(|axis| *axis == options.text("up_axis"))
}

#[cfg(test)]
mod tests;
