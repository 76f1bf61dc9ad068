//! Conversions across kinds, between read and write. There are three rules: scene and point cloud convert into each other by
//! their shared positions, a clip becomes its first frame, and of anything else a writer of images gets the picture that the
//! registry's [depiction](crate::Depiction) draws.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::record::scene::{Mesh, Primitive, Topology, transform_point};
use crate::record::{
    AttributeData, AttributeSpec, Image, Kind, Media, MediaRecord, PointChunk, PointCloud, ScalarType, Scene, Stream,
    TrackKind, Video,
};
use crate::registry::Registry;

/// Brings the record to a kind that a format can write. What the other kind cannot hold is reported as a loss.
pub(crate) fn adapt(record: &mut MediaRecord, format: &dyn Format, registry: &Registry, cx: &Context) -> Result<()> {
    let info = format.info();
    // Formats of images that move take some clips; of the others they hold the first frame.
    let is_poster = record.kind() == Kind::Video && info.kinds.contains(&Kind::Image) && !format.holds(&record.media);
    if info.kinds.contains(&record.kind()) && !is_poster {
        return Ok(());
    }
    let depiction = registry.depiction().filter(|_| info.kinds.contains(&Kind::Image));
    let media = std::mem::replace(&mut record.media, Media::Scene(Scene::default()));
    record.media = match media {
        Media::Scene(scene) if info.kinds.contains(&Kind::PointCloud) => points_of(&scene, cx)?.into(),
        Media::PointCloud(cloud) if info.kinds.contains(&Kind::Scene) => scene_of(cloud, cx)?.into(),
        Media::Video(video) if info.kinds.contains(&Kind::Image) => poster_of(video, cx)?.into(),
        mut other => {
            let kind = other.kind();
            let drawn = depiction.map(|draw| draw(&mut other, registry, cx));
            record.media = other;
            let Some(drawn) = drawn else {
                let kinds: Vec<_> = info.kinds.iter().map(|kind| kind.as_str()).collect();
                return Err(Error::unsupported(format!("{} holds {}, not {kind}", info.name, kinds.join(" or ")))
                    .with_hint("`mediary formats` lists what can be written for a kind"));
            };
            let image = drawn?;
            cx.lose(kind.as_str(), 1, format!("{kind}: {} holds a picture of it", info.name));
            image.into()
        }
    };
    record.source_is_canonical = false;
    Ok(())
}

/// The first frame of a clip.
fn poster_of(video: Video, cx: &Context) -> Result<Image> {
    let announced = video.picture().and_then(|track| track.frames);
    let others = video.tracks.iter().filter(|track| track.kind != TrackKind::Video).count();
    let Some(mut frames) = video.frames else {
        let message = format!("expected decoded frames, found a clip ({}) that was not decoded", video.container);
        return Err(Error::unsupported(message)
            .with_hint("a decoder such as the ffmpeg plugin and `--from ffmpeg` give its frames"));
    };
    let Some(first) = frames.next_chunk()? else {
        return Err(Error::malformed("expected a frame, found a clip without any"));
    };
    // A second one that is damaged is lost as well.
    if !matches!(frames.next_chunk(), Ok(None)) {
        let (count, message) = match announced {
            Some(all) if all > 1 => (all - 1, "frames: an image holds the first"),
            _ => (1, "frames or more after the first, which an image holds; the clip does not say how many"),
        };
        cx.lose("frames", count, message);
    }
    cx.lose("tracks", others as u64, "tracks of sound, text or data");
    Ok(first.image)
}

/// The vertices of a scene in world space, with colours where every primitive has them.
fn points_of(scene: &Scene, cx: &Context) -> Result<PointCloud> {
    let colored = scene.primitives().all(|primitive| !primitive.colors.is_empty());
    let schema = if colored { vec![AttributeSpec::new("color", ScalarType::F32, 4)] } else { Vec::new() };
    let mut positions = Vec::new();
    let mut colors = Vec::new();
    let mut failure = None;
    scene.walk(|node, world| {
        let Some(mesh) = scene.nodes[node as usize].mesh else { return };
        for primitive in &scene.meshes[mesh as usize].primitives {
            if let Err(error) = cx.budget().take(primitive.positions.len() as u64 * 40) {
                failure.get_or_insert(error);
                return;
            }
            positions.extend(primitive.positions.iter().map(|position| {
                let [x, y, z] = transform_point(world, position.map(f64::from));
                [x + scene.world_offset[0], y + scene.world_offset[1], z + scene.world_offset[2]]
            }));
            if colored {
                colors.extend(primitive.colors[0].iter().flatten().copied());
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    cx.lose("faces", scene.primitives().map(Primitive::triangles).sum(), "triangles: points have no faces");
    cx.lose("materials", scene.materials.len() as u64, "materials");
    cx.lose("textures", scene.textures.len() as u64, "textures");
    cx.lose("animations", scene.animations.len() as u64, "animations");
    let attributes = if colored { vec![AttributeData::F32(colors.into())] } else { Vec::new() };
    let declared = positions.len() as u64;
    let chunk = PointChunk::new(positions, attributes, &schema)?;
    let mut cloud = PointCloud::new(schema, Stream::from_chunks(vec![chunk]));
    cloud.declared_points = Some(declared);
    Ok(cloud)
}

/// A mesh of points, relative to the cloud's first finite point where coordinates are too large for single precision.
fn scene_of(mut cloud: PointCloud, cx: &Context) -> Result<Scene> {
    let chunks = cloud.points.collect(cx.budget())?;
    let bounds = cloud.points.summary().bounds.finish();
    let offset = bounds.map_or([0.0; 3], |bounds| {
        let far = bounds.min.iter().chain(&bounds.max).any(|value| value.abs() > 65_536.0);
        if far { [0, 1, 2].map(|axis| ((bounds.min[axis] + bounds.max[axis]) / 2.0).round()) } else { [0.0; 3] }
    });
    let count = cloud.points.summary().points;
    cx.budget().take(count.saturating_mul(28))?;
    let color = cloud.schema.iter().position(|attribute| attribute.name == "color" && attribute.components >= 3);
    let mut positions = Vec::new();
    let mut colors = Vec::new();
    for chunk in &chunks {
        positions.extend(chunk.positions().iter().map(|p| [0, 1, 2].map(|axis| (p[axis] - offset[axis]) as f32)));
        if let Some(color) = color {
            let width = cloud.schema[color].components;
            let data = &chunk.attributes()[color];
            let linear = !matches!(data.scalar(), ScalarType::U8 | ScalarType::U16);
            let scale = match data.scalar() {
                ScalarType::U8 => 1.0 / 255.0,
                ScalarType::U16 => 1.0 / 65535.0,
                _ => 1.0,
            };
            let channel = |point: usize, channel: usize| {
                let value = data.get(point * width + channel) * scale;
                if linear || channel == 3 { value as f32 } else { srgb_to_linear(value) as f32 }
            };
            colors.extend((0..chunk.positions().len()).map(|point| {
                [
                    channel(point, 0),
                    channel(point, 1),
                    channel(point, 2),
                    if width > 3 { channel(point, 3) } else { 1.0 },
                ]
            }));
        }
    }
    for (index, attribute) in cloud.schema.iter().enumerate() {
        if Some(index) != color {
            cx.lose(&format!("attribute-{}", attribute.name), count, format!("point attribute {:?}", attribute.name));
        }
    }
    cx.lose("boxes", cloud.boxes.len() as u64, "boxes");
    cx.lose("vectors", cloud.vectors.len() as u64, "vectors");
    let primitive = Primitive {
        topology: Topology::Points,
        positions: positions.into(),
        colors: if color.is_some() { vec![colors.into()] } else { Vec::new() },
        ..Primitive::default()
    };
    let mut scene = Scene::of_meshes(vec![Mesh { primitives: vec![primitive], ..Mesh::default() }]);
    scene.world_offset = offset;
    Ok(scene)
}

/// An sRGB value, 0 to 1, to linear light (IEC 61966-2-1).
#[must_use]
pub fn srgb_to_linear(value: f64) -> f64 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// Linear light, 0 to 1, to an sRGB value (IEC 61966-2-1).
#[must_use]
pub fn linear_to_srgb(value: f64) -> f64 {
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::error::ErrorKind;
    use crate::format::FormatInfo;
    use crate::record::{Samples, Track, VideoFrame};

    const IMAGES: FormatInfo = FormatInfo::new("images", "Images", &[Kind::Image]);

    struct Only(&'static FormatInfo);

    impl Format for Only {
        fn info(&self) -> &'static FormatInfo {
            self.0
        }
    }

    fn clip(shades: &[u8], announced: Option<u64>) -> MediaRecord {
        let frames = shades.iter().map(|&shade| VideoFrame {
            image: Image::new(1, 1, 1, Samples::U8(vec![shade].into())).unwrap(),
            duration_seconds: 0.04,
        });
        let mut picture = Track::new(1, TrackKind::Video, "ffv1");
        picture.frames = announced;
        MediaRecord::new(Video {
            container: "matroska".into(),
            tracks: vec![picture, Track::new(2, TrackKind::Audio, "opus")],
            duration_seconds: None,
            playable: true,
            frames: Some(Stream::from_chunks(frames.collect())),
        })
    }

    fn lost(record: &mut MediaRecord) -> Vec<(String, u64)> {
        let cx = Context::new("images");
        adapt(record, &Only(&IMAGES), &Registry::empty(), &cx).unwrap();
        cx.losses().to_vec().into_iter().map(|loss| (loss.code.to_string(), loss.count)).collect()
    }

    #[test]
    fn a_clip_becomes_its_first_frame_and_the_rest_is_a_loss() {
        for (shades, announced, frames) in
            [(&[7, 8, 9][..], Some(3), 2), (&[7, 8, 9], None, 1), (&[7], Some(1), 0), (&[7], None, 0)]
        {
            let mut record = clip(shades, announced);
            record.source_is_canonical = true;
            let mut expected = vec![("images.frames".to_owned(), frames), ("images.tracks".to_owned(), 1)];
            expected.retain(|loss| loss.1 > 0);
            assert_eq!(lost(&mut record), expected, "{shades:?} {announced:?}");
            let Media::Image(image) = &record.media else { panic!("{record:?}") };
            assert_eq!(image.samples(), &Samples::U8(vec![7].into()));
            assert!(!record.source_is_canonical);
        }
    }

    #[test]
    fn anything_else_becomes_the_picture_that_the_registry_draws() {
        fn gray(media: &mut Media, _: &Registry, _: &Context) -> Result<Image> {
            match media {
                Media::Scene(scene) => Image::new(1, 1, 1, Samples::U8(vec![scene.nodes.len() as u8].into())),
                other => Err(Error::unsupported(format!("no picture of {}", other.kind()))),
            }
        }
        let scene = || MediaRecord::new(Scene::of_meshes(vec![Mesh::default(); 7]));
        let cx = Context::new("images");
        let mut registry = Registry::empty();
        let error = adapt(&mut scene(), &Only(&IMAGES), &registry, &cx).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("not scene"), "{error:?}");

        registry.set_depiction(gray);
        let mut record = scene();
        adapt(&mut record, &Only(&IMAGES), &registry, &cx).unwrap();
        let Media::Image(image) = &record.media else { panic!("{record:?}") };
        assert_eq!(image.samples(), &Samples::U8(vec![7].into()));
        let losses: Vec<_> = cx.losses().to_vec().into_iter().map(|loss| (loss.code.to_string(), loss.count)).collect();
        assert_eq!(losses, [("images.scene".to_owned(), 1)]);

        // Refused by who draws: the record is as it was. A writer of no images asks for no picture.
        let mut table = MediaRecord::new(crate::record::PointCloud::new(Vec::new(), Stream::default()));
        assert!(adapt(&mut table, &Only(&IMAGES), &registry, &Context::new("images")).is_err());
        assert_eq!(table.kind(), Kind::PointCloud);
        const TABLES: FormatInfo = FormatInfo::new("tables", "Tables", &[Kind::Table]);
        assert!(adapt(&mut scene(), &Only(&TABLES), &registry, &cx).is_err());
    }

    #[test]
    fn a_clip_without_frames_names_the_decoder_that_is_missing() {
        let mut record = clip(&[], None);
        let cx = Context::new("images");
        assert_eq!(
            adapt(&mut record, &Only(&IMAGES), &Registry::empty(), &cx).unwrap_err().kind(),
            ErrorKind::Malformed
        );

        let mut record = clip(&[], None);
        if let Media::Video(video) = &mut record.media {
            video.frames = None;
        }
        let error = adapt(&mut record, &Only(&IMAGES), &Registry::empty(), &cx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().unwrap().contains("--from ffmpeg"), "{error:?}");
    }
}
