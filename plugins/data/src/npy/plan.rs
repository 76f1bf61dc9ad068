//! What an array is: decided from type and shape alone, so that a header tells it.

use mediary_core::record::ScalarType;
use mediary_core::record::facts::{AudioFacts, ColumnFact, ImageFacts, PointCloudFacts, TableFacts, VideoFacts};
use mediary_core::record::{AttributeSpec, ColumnSpec, ColumnType, Track, TrackKind};
use mediary_core::{Context, Error, Facts, Result};

use super::array::strides;
use super::header::{Field, NpyHeader, Scalar};

/// Memory that a column or an attribute takes.
const COLUMN_BYTES: u64 = 128;

/// Channels of an array of samples at most: with more, it lies on its side.
const MOST_CHANNELS: u64 = 64;

/// Pictures of one size by byte steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: u8,
    pub(super) frames: u64,
    /// From frame to frame, row to row, pixel to pixel, channel to channel.
    pub(super) steps: [usize; 4],
}

/// Where the coordinates and the other numbers of a point stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Points {
    pub(super) count: u64,
    /// From point to point; `None` for structures, which [`Array::offset`](super::array::Array::offset) finds.
    pub(super) step: Option<usize>,
    pub(super) axes: [Field; 3],
    pub(super) attributes: Vec<(AttributeSpec, Vec<Field>)>,
    /// Columns beside the coordinates of a plain array whose meaning the values tell: 1 or 3.
    pub(super) unnamed: Vec<Field>,
}

/// Rows and the fields that are columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) schema: Vec<ColumnSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    Image(Raster),
    Video(Raster),
    Points(Points),
    Table(Rows),
    Audio { channels: u16, frames: u64, steps: [usize; 2] },
}

impl Plan {
    /// After the option `as`, or by the rule of the module.
    pub(super) fn of(header: &NpyHeader, cx: &Context) -> Result<Self> {
        let wanted = cx.options().text("as");
        let found = match wanted {
            "image" => raster(header, false).map(Self::Image),
            "video" => raster(header, true).map(Self::Video),
            "point_cloud" => points(header, cx)?.map(Self::Points),
            "audio" => audio(header),
            "table" => Some(Self::Table(table(header, cx)?)),
            _ => return Self::guess(header, cx),
        };
        found.ok_or_else(|| {
            let (kind, shape) = (header.fields[0].scalar.name(), &header.shape);
            let kind = if header.structured { "structures" } else { kind };
            Error::unsupported(format!("{kind} of shape {shape:?} is no {wanted}"))
                .with_hint("-o npy.as=auto decides by type and shape")
        })
    }

    fn guess(header: &NpyHeader, cx: &Context) -> Result<Self> {
        let float = header.fields[0].scalar.is_float();
        let is_cloud = header.structured || (float && matches!(header.shape[..], [_, 3 | 4 | 6]));
        if is_cloud && let Some(points) = points(header, cx)? {
            return Ok(Self::Points(points));
        }
        if !header.structured {
            let bytes = header.fields[0].scalar == Scalar::U8;
            match header.shape.len() {
                2 | 3 => {
                    if let Some(image) = raster(header, false) {
                        return Ok(Self::Image(image));
                    }
                    if bytes && let Some(clip) = raster(header, true) {
                        return Ok(Self::Video(clip));
                    }
                }
                4 if bytes => {
                    if let Some(clip) = raster(header, true) {
                        return Ok(Self::Video(clip));
                    }
                }
                _ => {}
            }
        }
        table(header, cx).map(Self::Table)
    }

    /// The facts that a full read states before its streams are read.
    pub(super) fn facts(&self, header: &NpyHeader, cx: &Context) -> Facts {
        let scalar = header.fields[0].scalar;
        match self {
            Self::Image(raster) => Facts::Image(ImageFacts {
                width: Some(raster.width),
                height: Some(raster.height),
                channels: Some(raster.channels),
                bit_depth: Some(scalar.bytes() as u8 * 8),
                sample_format: Some(if is_kept(scalar) { "uint" } else { "float" }),
                color_space: Some(if matches!(scalar, Scalar::U8 | Scalar::U16) { "srgb" } else { "unknown" }),
                has_alpha: Some(matches!(raster.channels, 2 | 4)),
                frames: Some(1),
                orientation_applied: Some(false),
            }),
            Self::Video(raster) => Facts::Video(VideoFacts {
                width: Some(raster.width),
                height: Some(raster.height),
                frame_rate: Some(cx.options().float("fps")),
                frames: Some(raster.frames),
                duration_seconds: Some(raster.frames as f64 / cx.options().float("fps")),
                codec: Some(codec(scalar)),
                tracks: Some(vec![track(raster, scalar, cx)]),
                rotation: Some(0),
            }),
            Self::Points(points) => Facts::PointCloud(PointCloudFacts {
                points: Some(points.count),
                attributes: points
                    .unnamed
                    .is_empty()
                    .then(|| points.attributes.iter().map(|(spec, _)| spec.name.clone()).collect()),
                boxes: Some(0),
                vectors: Some(0),
                bounds: None,
                r#type: None,
            }),
            Self::Table(rows) => Facts::Table(TableFacts {
                rows: Some(rows.count),
                columns: Some(
                    rows.schema
                        .iter()
                        .map(|column| ColumnFact { name: column.name.clone(), kind: Some(column.kind.as_str()) })
                        .collect(),
                ),
                truncated: Some(false),
            }),
            Self::Audio { channels, frames, .. } => {
                let rate = sample_rate(cx);
                Facts::Audio(AudioFacts {
                    sample_rate: Some(rate),
                    channels: Some(*channels),
                    frames: Some(*frames),
                    duration_seconds: Some(*frames as f64 / f64::from(rate)),
                    bit_depth: Some(scalar.bytes() as u8 * 8),
                    codec: Some(pcm(scalar)),
                    peak: None,
                    rms: None,
                })
            }
        }
    }
}

/// Whether an image keeps these samples as they are; others become floats.
pub(super) fn is_kept(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::Bool | Scalar::U8 | Scalar::U16)
}

fn codec(scalar: Scalar) -> String {
    format!("raw_{}", scalar.name())
}

pub(super) fn sample_rate(cx: &Context) -> u32 {
    u32::try_from(cx.options().int("sample_rate")).unwrap_or(1).max(1)
}

/// The codec name of samples.
pub(super) fn pcm(scalar: Scalar) -> String {
    match scalar {
        Scalar::U8 => "pcm_u8".into(),
        scalar if scalar.is_float() => format!("pcm_f{}", scalar.bytes() * 8),
        scalar => format!("pcm_s{}", scalar.bytes() * 8),
    }
}

pub(super) fn track(raster: &Raster, scalar: Scalar, cx: &Context) -> Track {
    let mut track = Track::new(1, TrackKind::Video, codec(scalar));
    let fps = cx.options().float("fps");
    track.width = Some(raster.width);
    track.height = Some(raster.height);
    track.frame_rate = Some(fps);
    track.frames = Some(raster.frames);
    track.duration_seconds = Some(raster.frames as f64 / fps);
    track
}

/// The array as one picture or as a clip; `None` when its shape is of neither.
fn raster(header: &NpyHeader, clip: bool) -> Option<Raster> {
    if header.structured || header.shape.contains(&0) {
        return None;
    }
    let steps = strides(header);
    let (frames, frame_step, shape, steps) = match (clip, &header.shape[..]) {
        (false, shape) => (1, 0, shape, &steps[..]),
        (true, [frames, shape @ ..]) => (*frames, steps[0], shape, &steps[1..]),
        (true, []) => return None,
    };
    // In a clip the channels come first, as Weights & Biases has it; in a picture last, as everybody has it.
    let (height, width, channels, steps) = match *shape {
        [height, width] => (height, width, 1, [steps[0], steps[1], 0]),
        [channels @ (1 | 3 | 4), height, width] if clip => (height, width, channels, [steps[1], steps[2], steps[0]]),
        [height, width, channels @ (1 | 3 | 4)] => (height, width, channels, [steps[0], steps[1], steps[2]]),
        [channels @ (1 | 3 | 4), height, width] => (height, width, channels, [steps[1], steps[2], steps[0]]),
        _ => return None,
    };
    Some(Raster {
        width: u32::try_from(width).ok()?,
        height: u32::try_from(height).ok()?,
        channels: u8::try_from(channels).ok()?,
        frames,
        steps: [frame_step, steps[0], steps[1], steps[2]],
    })
}

fn audio(header: &NpyHeader) -> Option<Plan> {
    let scalar = header.fields[0].scalar;
    if header.structured || !(scalar.is_float() || matches!(scalar, Scalar::U8 | Scalar::I16 | Scalar::I32)) {
        return None;
    }
    let steps = strides(header);
    let (frames, channels, steps) = match header.shape[..] {
        [frames] => (frames, 1, [steps[0], 0]),
        [frames, channels @ 1..=MOST_CHANNELS] => (frames, channels, [steps[0], steps[1]]),
        [channels @ 1..=MOST_CHANNELS, frames] => (frames, channels, [steps[1], steps[0]]),
        _ => return None,
    };
    Some(Plan::Audio { channels: u16::try_from(channels).ok()?, frames, steps })
}

/// The number type of an attribute: 64-bit integers and half floats become the next type that holds them.
fn scalar_type(scalar: Scalar) -> ScalarType {
    match scalar {
        Scalar::Bool | Scalar::U8 => ScalarType::U8,
        Scalar::I8 => ScalarType::I8,
        Scalar::I16 => ScalarType::I16,
        Scalar::U16 => ScalarType::U16,
        Scalar::I32 => ScalarType::I32,
        Scalar::U32 => ScalarType::U32,
        Scalar::F16 | Scalar::F32 => ScalarType::F32,
        Scalar::I64 | Scalar::U64 | Scalar::F64 => ScalarType::F64,
    }
}

/// A column as an attribute of its own.
pub(super) fn attribute(name: &str, field: &Field) -> (AttributeSpec, Vec<Field>) {
    (AttributeSpec::new(name, scalar_type(field.scalar), field.count), vec![field.clone()])
}

fn points(header: &NpyHeader, cx: &Context) -> Result<Option<Points>> {
    let count = header.elements()?;
    if header.structured {
        cx.budget().take(header.fields.len() as u64 * COLUMN_BYTES)?;
        return Ok(structured_points(header, count));
    }
    let [count, columns @ 3..=u64::MAX] = header.shape[..] else { return Ok(None) };
    cx.limits().check("elements", columns)?;
    cx.budget().take(columns.saturating_mul(COLUMN_BYTES))?;
    let steps = strides(header);
    let field = |column: u64| Field { offset: column as usize * steps[1], ..header.fields[0].clone() };
    let rest: Vec<Field> = (3..columns).map(field).collect();
    let (attributes, unnamed) = match rest.len() {
        1 | 3 => (Vec::new(), rest),
        _ => (rest.iter().zip(4..).map(|(f, n)| attribute(&format!("column_{n}"), f)).collect(), Vec::new()),
    };
    let axes = [field(0), field(1), field(2)];
    Ok(Some(Points { count, step: Some(steps[0]), axes, attributes, unnamed }))
}

/// Points of structures with fields x, y and z, or one field of three numbers.
fn structured_points(header: &NpyHeader, count: u64) -> Option<Points> {
    let named =
        |name: &str| header.fields.iter().position(|field| field.count == 1 && field.name.eq_ignore_ascii_case(name));
    let mut taken = vec![false; header.fields.len()];
    let mut several = |names: &[&str]| -> Option<Vec<Field>> {
        let found: Vec<usize> = names.iter().map(|name| named(name)).collect::<Option<_>>()?;
        let fields: Vec<Field> = found.iter().map(|&index| header.fields[index].clone()).collect();
        let same = fields.iter().all(|field| field.scalar == fields[0].scalar);
        (same || names == ["x", "y", "z"]).then(|| {
            found.iter().for_each(|&index| taken[index] = true);
            fields
        })
    };
    let axes = several(&["x", "y", "z"]);
    let normal = several(&["normal_x", "normal_y", "normal_z"]).or_else(|| several(&["nx", "ny", "nz"]));
    let color = several(&["red", "green", "blue"]).or_else(|| several(&["r", "g", "b"]));
    let axes = match axes {
        Some(axes) => axes,
        None => {
            let vector = |field: &Field| {
                field.count == 3
                    && ["xyz", "pos", "position", "points"].iter().any(|name| field.name.eq_ignore_ascii_case(name))
            };
            let index = header.fields.iter().position(vector)?;
            taken[index] = true;
            let field = &header.fields[index];
            let part = |n: usize| Field { offset: field.offset + n * field.scalar.bytes(), count: 1, ..field.clone() };
            vec![part(0), part(1), part(2)]
        }
    };
    let mut attributes: Vec<(AttributeSpec, Vec<Field>)> = Vec::new();
    let mut add = |name: &str, fields: Vec<Field>| {
        let components = fields.iter().map(|field| field.count).sum();
        let mut unique = name.to_ascii_lowercase();
        while attributes.iter().any(|(known, _)| known.name == unique) {
            unique.push('_');
        }
        attributes.push((AttributeSpec::new(unique, scalar_type(fields[0].scalar), components), fields));
    };
    for (name, fields) in [("normal", normal), ("color", color)] {
        match fields {
            // Whether floats and wide integers are colours from 0 to 1 or to 255 nobody says: they keep their names.
            Some(fields) if name == "color" && !matches!(fields[0].scalar, Scalar::U8 | Scalar::U16) => {
                fields.into_iter().for_each(|field| add(&field.name.clone(), vec![field]));
            }
            Some(fields) => add(name, fields),
            None => {}
        }
    }
    for (field, _) in header.fields.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        let name = match field.name.to_ascii_lowercase().as_str() {
            "classification" | "label" | "category" if field.count == 1 => "category".to_owned(),
            // Nor of what range a vector of them is.
            "color" if field.count > 1 && !matches!(field.scalar, Scalar::U8 | Scalar::U16) => "rgb".to_owned(),
            name => name.to_owned(),
        };
        add(&name, vec![field.clone()]);
    }
    let axes: [Field; 3] = axes.try_into().ok()?;
    Some(Points { count, step: None, axes, attributes, unnamed: Vec::new() })
}

pub(super) fn column_type(scalar: Scalar) -> ColumnType {
    match scalar {
        Scalar::Bool => ColumnType::Bool,
        scalar if scalar.is_float() => ColumnType::Float64,
        _ => ColumnType::Int64,
    }
}

fn table(header: &NpyHeader, cx: &Context) -> Result<Rows> {
    let field = &header.fields[0];
    if !header.structured {
        let kind = column_type(field.scalar);
        let (columns, names): (u64, fn(u64) -> String) = match header.shape[..] {
            [] | [_] => (1, |_| "value".into()),
            [.., columns] => (columns, |number| format!("column_{number}")),
        };
        cx.limits().check("elements", columns)?;
        cx.budget().take(columns.saturating_mul(COLUMN_BYTES))?;
        let schema = (1..=columns).map(|number| ColumnSpec { name: names(number), kind }).collect();
        return Ok(Rows { count: header.elements()? / columns.max(1), schema });
    }
    let columns = header.fields.iter().fold(0_u64, |sum, field| sum.saturating_add(field.count as u64));
    cx.limits().check("elements", columns)?;
    cx.budget().take(columns.saturating_mul(COLUMN_BYTES))?;
    let mut schema = Vec::new();
    for field in &header.fields {
        for part in 0..field.count {
            let name = if field.count == 1 { field.name.clone() } else { format!("{}[{part}]", field.name) };
            schema.push(ColumnSpec { name, kind: column_type(field.scalar) });
        }
    }
    Ok(Rows { count: header.elements()?, schema })
}
