//! The media record: one typed, validated result for any input.

pub mod annotations;
pub mod audio;
mod buffer;
mod elements;
mod extent;
pub mod facts;
pub mod histogram;
pub mod html;
pub mod image;
pub mod molecule;
pub mod point_cloud;
pub mod scene;
pub mod stream;
mod surface;
pub mod table;
pub mod triangulate;
pub mod video;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use annotations::{Annotations, Box2, Layer, Mask};
pub use audio::{Audio, AudioChunk};
pub use buffer::Buffer;
pub use facts::{Bounds, Facts};
pub use histogram::Histogram;
pub use html::Html;
pub use image::{ColorSpace, Image, Samples};
pub use molecule::Molecule;
pub use point_cloud::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType};
pub use scene::Scene;
pub use stream::{Chunk, Stream};
pub use surface::Surface;
pub use table::{Column, ColumnData, ColumnSpec, ColumnType, Table, TableChunk, VarBytes};
pub use video::{Track, TrackKind, Video, VideoFrame};

use crate::context::Context;
use crate::diagnostic::{Diagnostics, Loss};
use crate::error::Result;
use crate::source::SiblingUse;

/// A word of a closed list, named so that no derive takes it for text borrowed from its input.
pub(crate) type Word = &'static str;

/// The version of the record JSON.
pub const SCHEMA: &str = "mediary.record/1";

/// What a record holds. Kinds are closed, formats are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Pixels.
    Image,
    /// Node tree with meshes.
    Scene,
    /// Points with attributes.
    PointCloud,
    /// Atoms and bonds.
    Molecule,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Counts over bins.
    Histogram,
    /// Rows and columns.
    Table,
    /// A document.
    Html,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Image,
        Self::Scene,
        Self::PointCloud,
        Self::Molecule,
        Self::Audio,
        Self::Video,
        Self::Histogram,
        Self::Table,
        Self::Html,
    ];

    /// The name in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Scene => "scene",
            Self::PointCloud => "point_cloud",
            Self::Molecule => "molecule",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Histogram => "histogram",
            Self::Table => "table",
            Self::Html => "html",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The typed media of a record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Media {
    /// Pixels.
    Image(Image),
    /// Node tree with meshes.
    Scene(Scene),
    /// Points with attributes.
    PointCloud(PointCloud),
    /// Atoms and bonds.
    Molecule(Molecule),
    /// Sound.
    Audio(Audio),
    /// Moving pictures.
    Video(Video),
    /// Counts over bins.
    Histogram(Histogram),
    /// Rows and columns.
    Table(Table),
    /// A document.
    Html(Html),
}

impl Media {
    /// Its kind.
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

    /// Its facts. Those of streams are exact once the stream is at its end: see [`drain`](Self::drain).
    #[must_use]
    pub fn facts(&self) -> Facts {
        match self {
            Self::Image(image) => Facts::Image(image.facts()),
            Self::Scene(scene) => Facts::Scene(scene.facts()),
            Self::PointCloud(cloud) => Facts::PointCloud(cloud.facts()),
            Self::Molecule(molecule) => Facts::Molecule(molecule.facts()),
            Self::Audio(audio) => Facts::Audio(audio.facts()),
            Self::Video(video) => Facts::Video(video.facts()),
            Self::Histogram(histogram) => Facts::Histogram(histogram.facts()),
            Self::Table(table) => Facts::Table(table.facts()),
            Self::Html(html) => Facts::Html(html.facts()),
        }
    }

    /// Its facts, with those that cost a look at every element: of a scene its [`Surface`].
    ///
    /// # Errors
    /// `Limit` and `Cancelled`.
    pub fn examine(&self, cx: &Context) -> Result<Facts> {
        let mut facts = self.facts();
        if let (Self::Scene(scene), Facts::Scene(facts)) = (self, &mut facts) {
            let surface = Surface::of(scene, cx)?;
            facts.degenerate_triangles = Some(surface.degenerate_triangles);
            facts.non_finite_vertices = Some(surface.non_finite_vertices);
            facts.watertight = Some(surface.watertight);
        }
        Ok(facts)
    }

    /// Reads streams to their end, in bounded memory, so that facts are exact.
    ///
    /// # Errors
    /// What the reader reports on the way.
    pub fn drain(&mut self) -> Result<()> {
        match self {
            Self::PointCloud(cloud) => cloud.points.drain(),
            Self::Audio(audio) => audio.samples.drain(),
            Self::Video(Video { frames: Some(frames), .. }) => frames.drain(),
            Self::Table(table) => table.rows.drain(),
            _ => Ok(()),
        }
    }

    /// Shares the bulk that is not in a stream, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        match self {
            Self::Image(image) => image.share(),
            Self::Scene(scene) => scene.share(),
            Self::Molecule(molecule) => molecule.share(),
            _ => {}
        }
    }

    /// Tells streams whose errors they report.
    pub(crate) fn set_origin(&mut self, origin: stream::Origin) {
        match self {
            Self::PointCloud(cloud) => cloud.points.set_origin(origin),
            Self::Audio(audio) => audio.samples.set_origin(origin),
            Self::Video(Video { frames: Some(frames), .. }) => frames.set_origin(origin),
            Self::Table(table) => table.rows.set_origin(origin),
            _ => {}
        }
    }

    /// Checks what constructors cannot: indices, lengths, the node tree. The registry calls it on every record read.
    ///
    /// # Errors
    /// `Malformed` with the element's path, `Limit` for a tree deeper than `depth`.
    pub fn validate(&self, depth: u64) -> Result<()> {
        match self {
            Self::Scene(scene) => scene.validate(depth),
            Self::Molecule(molecule) => molecule.validate(),
            _ => Ok(()),
        }
    }
}

macro_rules! from_typed {
    ($($typed:ident),*) => {
        $( impl From<$typed> for Media {
            fn from(media: $typed) -> Self {
                Self::$typed(media)
            }
        } )*
    };
}

from_typed!(Image, Scene, PointCloud, Molecule, Audio, Video, Histogram, Table, Html);

/// Where a record comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceInfo {
    /// File name without its folder.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex; absent when the input was not read whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Files beside it that were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<SiblingUse>,
}

/// A standard file that represents the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// `canonical`, `preview` or `source`.
    pub role: &'static str,
    /// Media type.
    pub media_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Path relative to the store.
    pub path: String,
}

/// The canonical result. Readers fill `media`, `key`, `caption`, `annotations`, `properties` and `source_is_canonical`;
/// the registry adds the rest.
#[derive(Debug)]
#[non_exhaustive]
pub struct MediaRecord {
    /// The typed media.
    pub media: Media,
    /// Id of the format it was read as.
    pub format: String,
    /// Media type of the source.
    pub media_type: String,
    /// Name of the record among those of its source, e.g. the title of a molecule; empty if there is none.
    pub key: String,
    /// Number of the record in its source, from 0.
    pub index: u64,
    /// Where it comes from.
    pub source: SourceInfo,
    /// Boxes and masks.
    pub annotations: Annotations,
    /// What the source carried beside the media, by the source's own keys. Numbers are finite.
    pub properties: Map<String, Value>,
    /// Text to show with it.
    pub caption: Option<String>,
    /// Step of a run, for logging.
    pub step: Option<i64>,
    /// What conversions dropped.
    pub loss: Vec<Loss>,
    /// Findings. Those of a stream are complete once it is at its end.
    pub diagnostics: Diagnostics,
    /// Standard files that represent it.
    pub assets: Vec<Asset>,
    /// The reader found the source to be in canonical form already: a store keeps its bytes instead of writing them anew.
    pub source_is_canonical: bool,
}

impl MediaRecord {
    /// A record of `media` and nothing else.
    pub fn new(media: impl Into<Media>) -> Self {
        Self {
            media: media.into(),
            format: String::new(),
            media_type: String::new(),
            key: String::new(),
            index: 0,
            source: SourceInfo::default(),
            annotations: Annotations::new(),
            properties: Map::new(),
            caption: None,
            step: None,
            loss: Vec::new(),
            diagnostics: Diagnostics::default(),
            assets: Vec::new(),
            source_is_canonical: false,
        }
    }

    /// The same record with a property. Non-finite numbers become text (`NaN`, `inf`, `-inf`).
    #[must_use]
    pub fn with_property(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.media.kind()
    }

    /// Its facts, see [`Media::facts`].
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.media.facts()
    }

    /// The record JSON (`mediary.record/1`): everything but the bulk.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.to_json_with(&self.facts())
    }

    /// The record JSON with these facts of it, such as [`Media::examine`] gives.
    #[must_use]
    pub fn to_json_with(&self, facts: &Facts) -> Value {
        describe(&Description {
            facts,
            format: &self.format,
            media_type: &self.media_type,
            key: &self.key,
            index: self.index,
            source: &self.source,
            annotations: &self.annotations,
            properties: &self.properties,
            caption: self.caption.as_deref(),
            step: self.step,
            loss: &self.loss,
            diagnostics: &self.diagnostics,
            assets: &self.assets,
        })
    }
}

/// Everything the record JSON shows: of a whole record, or of a header.
pub(crate) struct Description<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) format: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) key: &'a str,
    pub(crate) index: u64,
    pub(crate) source: &'a SourceInfo,
    pub(crate) annotations: &'a Annotations,
    pub(crate) properties: &'a Map<String, Value>,
    pub(crate) caption: Option<&'a str>,
    pub(crate) step: Option<i64>,
    pub(crate) loss: &'a [Loss],
    pub(crate) diagnostics: &'a Diagnostics,
    pub(crate) assets: &'a [Asset],
}

/// The one place that spells the record JSON.
pub(crate) fn describe(it: &Description<'_>) -> Value {
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| json.insert(key.into(), value);
    put("schema", SCHEMA.into());
    put("kind", it.facts.kind().as_str().into());
    put("format", it.format.into());
    put("media_type", it.media_type.into());
    put("key", it.key.into());
    put("index", it.index.into());
    put("source", serde_json::to_value(it.source).unwrap_or_default());
    put("facts", it.facts.to_json().into());
    put("annotations", serde_json::to_value(it.annotations).unwrap_or_default());
    put("properties", it.properties.clone().into());
    if let Some(caption) = it.caption {
        put("caption", caption.into());
    }
    if let Some(step) = it.step {
        put("step", step.into());
    }
    put("loss", serde_json::to_value(it.loss).unwrap_or_default());
    put("diagnostics", serde_json::to_value(it.diagnostics.to_vec()).unwrap_or_default());
    put("assets", serde_json::to_value(it.assets).unwrap_or_default());
    json.into()
}
