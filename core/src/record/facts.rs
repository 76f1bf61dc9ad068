//! Facts: what is true of the media, by names that never change. One struct a kind; an absent value is not known yet.

use serde::{Deserialize, Serialize};

use super::{Kind, Word};

/// An axis-aligned box in the unit of the media, `[x, y, z]` each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Smallest coordinates.
    #[serde(with = "crate::wire::number")]
    pub min: [f64; 3],
    /// Largest coordinates.
    #[serde(with = "crate::wire::number")]
    pub max: [f64; 3],
}

impl Bounds {
    /// Nothing yet: grows with [`include`](Self::include).
    pub const EMPTY: Self = Self { min: [f64::INFINITY; 3], max: [f64::NEG_INFINITY; 3] };

    /// Grows to hold a point. Points with a non-finite coordinate are left out; `false` says so.
    pub fn include(&mut self, point: [f64; 3]) -> bool {
        if !point.iter().all(|value| value.is_finite()) {
            return false;
        }
        for (axis, value) in point.into_iter().enumerate() {
            self.min[axis] = self.min[axis].min(value);
            self.max[axis] = self.max[axis].max(value);
        }
        true
    }

    /// Grows to hold points of single precision, which is faster than one at a time.
    pub(crate) fn include_all(&mut self, points: &[[f32; 3]]) {
        let (mut min, mut max) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
        for point in points.iter().filter(|point| point.iter().all(|value| value.is_finite())) {
            for axis in 0..3 {
                min[axis] = if point[axis] < min[axis] { point[axis] } else { min[axis] };
                max[axis] = if point[axis] > max[axis] { point[axis] } else { max[axis] };
            }
        }
        self.include(min.map(f64::from));
        self.include(max.map(f64::from));
    }

    /// Itself, or `None` while it holds no point.
    #[must_use]
    pub fn finish(self) -> Option<Self> {
        (self.min[0] <= self.max[0]).then_some(self)
    }
}

/// A column as facts show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFact {
    /// Header text.
    pub name: String,
    /// Type name, absent while it is not known.
    #[serde(
        default,
        rename = "type",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::wire::words::column"
    )]
    pub kind: Option<Word>,
}

macro_rules! facts {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(default)]
            pub struct $name {
                $( $(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>, )*
            }
        )*
    };
}

facts! {
    /// Facts of an image. Sizes are after orientation.
    ImageFacts {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA.
        channels: u8,
        /// Bits a sample, as stored in the source.
        bit_depth: u8,
        /// `uint` or `float`.
        #[serde(deserialize_with = "crate::wire::words::sample_format")]
        sample_format: Word,
        /// `srgb`, `linear`, `icc` or `unknown`.
        #[serde(deserialize_with = "crate::wire::words::color_space")]
        color_space: Word,
        /// Whether there is an alpha channel.
        has_alpha: bool,
        /// Pictures in the source: 1, or the number of frames of an animation.
        frames: u64,
        /// Whether an orientation other than upright was applied to the pixels.
        orientation_applied: bool,
    }
    /// Facts of a scene.
    SceneFacts {
        /// Nodes of the tree.
        nodes: u64,
        /// Meshes, as they are stored.
        meshes: u64,
        /// Primitives of all meshes, as they are stored.
        primitives: u64,
        /// Vertices as placed: those of a mesh count as often as nodes show it, and not at all where none does.
        vertices: u64,
        /// Triangles after triangulation, as placed: those of a mesh count as often as nodes show it.
        triangles: u64,
        /// Materials.
        materials: u64,
        /// Textures.
        textures: u64,
        /// Animations.
        animations: u64,
        /// World bounds through the node tree, in scene units.
        bounds: Bounds,
        /// `x`, `y` or `z`; absent when the format does not say.
        #[serde(deserialize_with = "crate::wire::words::axis")]
        up_axis: Word,
        /// Metres a scene unit; absent when the format does not say.
        #[serde(with = "crate::wire::number")]
        unit_meters: f64,
        /// Triangles without area, where every face was looked at: of each mesh once.
        degenerate_triangles: u64,
        /// Vertices with a coordinate that is not finite, where every one was looked at: of each mesh once.
        non_finite_vertices: u64,
        /// Whether each edge of every mesh belongs to exactly two faces, where every face was looked at.
        watertight: bool,
    }
    /// Facts of a point cloud.
    PointCloudFacts {
        /// Points.
        points: u64,
        /// Names of the attributes beside the position, in order.
        attributes: Vec<String>,
        /// Boxes.
        boxes: u64,
        /// Vectors.
        vectors: u64,
        /// Bounds of the points with finite coordinates.
        bounds: Bounds,
        /// Scene type as the source names it, e.g. `lidar/beta`.
        r#type: String,
    }
    /// Facts of a molecule.
    MoleculeFacts {
        /// 1: a record is one molecule or one assembly.
        molecules: u64,
        /// Atoms of the first model.
        atoms: u64,
        /// Atoms of the first model that are not hydrogen.
        heavy_atoms: u64,
        /// Bonds.
        bonds: u64,
        /// Residues, in runs of the file.
        residues: u64,
        /// Chains, by name.
        chains: u64,
        /// Models, or frames of the same atoms.
        models: u64,
        /// Sum formula in Hill order.
        formula: String,
        /// Molar mass of the formula in g/mol, to three decimals.
        #[serde(with = "crate::wire::number")]
        mass: f64,
        /// Unit cell `[a, b, c, alpha, beta, gamma]` in angstrom and degrees.
        #[serde(with = "crate::wire::number")]
        cell: [f64; 6],
        /// Whether any atom has a position.
        has_coordinates: bool,
        /// 3, 2 (all z are 0) or 0 (no coordinates).
        dimensions: u8,
    }
    /// Facts of audio.
    AudioFacts {
        /// Samples a second and channel.
        sample_rate: u32,
        /// Channels.
        channels: u16,
        /// Samples a channel, as decoded.
        frames: u64,
        /// Frames over sample rate.
        #[serde(with = "crate::wire::number")]
        duration_seconds: f64,
        /// Bits a sample of the coded audio.
        bit_depth: u8,
        /// Codec name, e.g. `pcm_s16`, `flac`.
        codec: String,
        /// Largest absolute sample, 1 is full scale. Known after decoding.
        #[serde(with = "crate::wire::number")]
        peak: f64,
        /// Root mean square of all samples of all channels, 1 is full scale. Known after decoding.
        #[serde(with = "crate::wire::number")]
        rms: f64,
    }
    /// Facts of video.
    VideoFacts {
        /// Coded pixels across of the first video track.
        width: u32,
        /// Coded pixels down of the first video track.
        height: u32,
        /// Average frames a second of the first video track.
        #[serde(with = "crate::wire::number")]
        frame_rate: f64,
        /// Frames of the first video track.
        frames: u64,
        /// Duration of the presentation.
        #[serde(with = "crate::wire::number")]
        duration_seconds: f64,
        /// Codec of the first video track, e.g. `h264`.
        codec: String,
        /// Every track.
        tracks: Vec<super::video::Track>,
        /// Clockwise rotation for display in degrees: 0, 90, 180 or 270.
        rotation: u16,
    }
    /// Facts of a histogram.
    HistogramFacts {
        /// Bins.
        bins: u64,
        /// Left edge of the first bin.
        #[serde(with = "crate::wire::number")]
        min: f64,
        /// Right edge of the last bin.
        #[serde(with = "crate::wire::number")]
        max: f64,
        /// Sum of the counts.
        #[serde(with = "crate::wire::number")]
        count: f64,
    }
    /// Facts of a table.
    TableFacts {
        /// Rows without the header row.
        rows: u64,
        /// Columns in order.
        columns: Vec<ColumnFact>,
        /// Whether rows were left out.
        truncated: bool,
    }
    /// Facts of an HTML document.
    HtmlFacts {
        /// Text of the first `title` element, white space collapsed.
        title: String,
        /// Bytes of the document in UTF-8.
        bytes: u64,
        /// Whether it loads anything from elsewhere.
        has_external_refs: bool,
    }
}

/// The facts of one record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Facts {
    /// Of an image.
    Image(ImageFacts),
    /// Of a scene.
    Scene(SceneFacts),
    /// Of a point cloud.
    PointCloud(PointCloudFacts),
    /// Of a molecule.
    Molecule(MoleculeFacts),
    /// Of audio.
    Audio(AudioFacts),
    /// Of video.
    Video(VideoFacts),
    /// Of a histogram.
    Histogram(HistogramFacts),
    /// Of a table.
    Table(TableFacts),
    /// Of an HTML document.
    Html(HtmlFacts),
}

impl Facts {
    /// The kind they are of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Image(_) => Kind::Image,
            Self::Scene(_) => Kind::Scene,
            Self::PointCloud(_) => Kind::PointCloud,
            Self::Molecule(_) => Kind::Molecule,
            Self::Audio(_) => Kind::Audio,
            Self::Video(_) => Kind::Video,
            Self::Histogram(_) => Kind::Histogram,
            Self::Table(_) => Kind::Table,
            Self::Html(_) => Kind::Html,
        }
    }

    /// As a JSON object. All numbers are finite: non-finite ones are left out.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            // serde_json writes non-finite floats as null; an absent fact is "not known".
            Ok(serde_json::Value::Object(map)) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => serde_json::Map::new(),
        }
    }
}
