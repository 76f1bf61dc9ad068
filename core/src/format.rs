//! The traits a format implements, and its static descriptor, from which tables, help, completions and tests derive.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::options::OptionSpec;
use crate::output::Output;
use crate::probe::{Confidence, Probe};
use crate::record::{Facts, Kind, Media, MediaRecord};
use crate::source::Source;

/// Bytes at a fixed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where they stand.
    pub offset: usize,
    /// What stands there; `?` in `mask` positions is ignored.
    pub bytes: &'static [u8],
    /// 0 for a byte that may be anything, as long as `bytes`; empty when every byte counts.
    pub mask: &'static [u8],
}

impl Signature {
    /// Whether `head` has it.
    #[must_use]
    pub fn matches(&self, head: &[u8]) -> bool {
        let Some(found) = head.get(self.offset..self.offset + self.bytes.len()) else { return false };
        found.iter().zip(self.bytes).enumerate().all(|(i, (a, b))| a == b || self.mask.get(i) == Some(&0))
    }
}

/// How far a format's support has got. Better tiers win a tie of detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Held against independent tools on real files, and fuzzed.
    Preferred,
    /// Held against independent tools on real files.
    #[default]
    Standard,
    /// Works, little tested; or generic (any text, any JSON).
    Fallback,
}

impl Tier {
    /// The word in manifests and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Standard => "standard",
            Self::Fallback => "fallback",
        }
    }
}

/// Content that a writer keeps: what is written and read again is equal in these respects. What a writer does not declare,
/// it reports as a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Feature {
    /// The node tree with names and transforms; without it, world positions.
    NodeTree,
    /// Names of meshes.
    MeshNames,
    /// Faces of more than three corners.
    Polygons,
    /// Line primitives.
    Lines,
    /// Point primitives.
    Points,
    /// Vertex or point normals.
    Normals,
    /// Texture coordinates.
    Texcoords,
    /// Vertex or point colours.
    Colors,
    /// Materials.
    Materials,
    /// Textures.
    Textures,
    /// Skins, morph targets and animations.
    Animations,
    /// Cameras and lights.
    Cameras,
    /// Point attributes of any name.
    Attributes,
    /// Point categories.
    Categories,
    /// Boxes and vectors.
    Boxes,
    /// Positions in double precision.
    DoublePrecision,
    /// Atom names, residues and chains.
    Residues,
    /// Bonds with orders.
    Bonds,
    /// Several models.
    Models,
    /// Unit cell.
    Cell,
    /// Formal charges.
    Charges,
    /// Alternate locations, occupancies and B factors.
    Altlocs,
    /// Alpha channel.
    Alpha,
    /// 16-bit samples.
    SixteenBit,
    /// Float samples.
    Float,
    /// ICC profile.
    ColorProfile,
    /// Integer samples, exactly.
    Integer,
    /// Column types.
    ColumnTypes,
    /// Null cells apart from empty ones.
    Nulls,
    /// Bytes in cells.
    Binary,
}

impl Feature {
    /// All features.
    pub const ALL: &'static [Self] = &[
        Self::NodeTree,
        Self::MeshNames,
        Self::Polygons,
        Self::Lines,
        Self::Points,
        Self::Normals,
        Self::Texcoords,
        Self::Colors,
        Self::Materials,
        Self::Textures,
        Self::Animations,
        Self::Cameras,
        Self::Attributes,
        Self::Categories,
        Self::Boxes,
        Self::DoublePrecision,
        Self::Residues,
        Self::Bonds,
        Self::Models,
        Self::Cell,
        Self::Charges,
        Self::Altlocs,
        Self::Alpha,
        Self::SixteenBit,
        Self::Float,
        Self::ColorProfile,
        Self::Integer,
        Self::ColumnTypes,
        Self::Nulls,
        Self::Binary,
    ];

    /// The word in manifests and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeTree => "node-tree",
            Self::MeshNames => "mesh-names",
            Self::Polygons => "polygons",
            Self::Lines => "lines",
            Self::Points => "points",
            Self::Normals => "normals",
            Self::Texcoords => "texcoords",
            Self::Colors => "colors",
            Self::Materials => "materials",
            Self::Textures => "textures",
            Self::Animations => "animations",
            Self::Cameras => "cameras",
            Self::Attributes => "attributes",
            Self::Categories => "categories",
            Self::Boxes => "boxes",
            Self::DoublePrecision => "double-precision",
            Self::Residues => "residues",
            Self::Bonds => "bonds",
            Self::Models => "models",
            Self::Cell => "cell",
            Self::Charges => "charges",
            Self::Altlocs => "altlocs",
            Self::Alpha => "alpha",
            Self::SixteenBit => "sixteen-bit",
            Self::Float => "float",
            Self::ColorProfile => "color-profile",
            Self::Integer => "integer",
            Self::ColumnTypes => "column-types",
            Self::Nulls => "nulls",
            Self::Binary => "binary",
        }
    }
}

/// When a format is the canonical asset of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// Of this kind.
    pub kind: Kind,
    /// For integer samples, for float samples, or (`None`) for all.
    pub integer: Option<bool>,
}

/// The static descriptor of a format. Built with `const` setters:
///
/// ```
/// use mediary_core::{Feature, FormatInfo, Kind};
/// const INFO: FormatInfo = FormatInfo::new("off", "Object File Format", &[Kind::Scene])
///     .extensions(&["off"])
///     .media_types(&["model/x-off"])
///     .reads()
///     .writes(&[Feature::Polygons])
///     .spec("https://segeval.cs.princeton.edu/public/off_format.html");
/// assert!(INFO.claims("Cube.OFF"));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FormatInfo {
    /// Short lower-case name: module, test folder, CLI value and diagnostics prefix.
    pub id: &'static str,
    /// Name in words.
    pub name: &'static str,
    /// Kinds it can hold; the first is the usual one.
    pub kinds: &'static [Kind],
    /// File name endings without the first dot, lower case, the usual one first. May hold dots: `pts.json`.
    pub extensions: &'static [&'static str],
    /// Media types, the usual one first.
    pub media_types: &'static [&'static str],
    /// Signatures; one of them must match unless `probes_without_signature`.
    pub signatures: &'static [Signature],
    /// Whether [`Format::probe`] is asked also when no signature matches.
    pub probes_without_signature: bool,
    /// Whether it can be read.
    pub reads: bool,
    /// What survives a round trip, if it can be written.
    pub writes: Option<&'static [Feature]>,
    /// Whether one file may hold many records.
    pub many_records: bool,
    /// Whether it refers to files beside it.
    pub siblings: bool,
    /// Kinds of which it is the canonical asset.
    pub canonical: &'static [Canonical],
    /// Options.
    pub options: &'static [OptionSpec],
    /// Where it is specified.
    pub spec: &'static str,
    /// How far the support has got.
    pub tier: Tier,
}

impl FormatInfo {
    /// A descriptor with everything else empty.
    #[must_use]
    pub const fn new(id: &'static str, name: &'static str, kinds: &'static [Kind]) -> Self {
        Self {
            id,
            name,
            kinds,
            extensions: &[],
            media_types: &[],
            signatures: &[],
            probes_without_signature: false,
            reads: false,
            writes: None,
            many_records: false,
            siblings: false,
            canonical: &[],
            options: &[],
            spec: "",
            tier: Tier::Standard,
        }
    }

    /// File name endings without the first dot, lower case, the usual one first.
    #[must_use]
    pub const fn extensions(mut self, extensions: &'static [&'static str]) -> Self {
        self.extensions = extensions;
        self
    }

    /// Media types, the usual one first.
    #[must_use]
    pub const fn media_types(mut self, media_types: &'static [&'static str]) -> Self {
        self.media_types = media_types;
        self
    }

    /// Signatures. A match alone scores 200; [`Format::probe`] may answer more precisely.
    #[must_use]
    pub const fn signatures(mut self, signatures: &'static [Signature]) -> Self {
        self.signatures = signatures;
        self
    }

    /// Asks [`Format::probe`] also when no signature matches.
    #[must_use]
    pub const fn probes_without_signature(mut self) -> Self {
        self.probes_without_signature = true;
        self
    }

    /// It can be read.
    #[must_use]
    pub const fn reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// It can be written, and these features survive a round trip.
    #[must_use]
    pub const fn writes(mut self, features: &'static [Feature]) -> Self {
        self.writes = Some(features);
        self
    }

    /// One file may hold many records.
    #[must_use]
    pub const fn many_records(mut self) -> Self {
        self.many_records = true;
        self
    }

    /// It refers to files beside it.
    #[must_use]
    pub const fn siblings(mut self) -> Self {
        self.siblings = true;
        self
    }

    /// It is the canonical asset of these kinds.
    #[must_use]
    pub const fn canonical(mut self, canonical: &'static [Canonical]) -> Self {
        self.canonical = canonical;
        self
    }

    /// Its options.
    #[must_use]
    pub const fn options(mut self, options: &'static [OptionSpec]) -> Self {
        self.options = options;
        self
    }

    /// Where it is specified.
    #[must_use]
    pub const fn spec(mut self, spec: &'static str) -> Self {
        self.spec = spec;
        self
    }

    /// How far the support has got; the default is [`Tier::Standard`].
    #[must_use]
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Whether a file name ends as this format's files do, in any case.
    #[must_use]
    pub fn claims(&self, name: &str) -> bool {
        self.claimed_extension(name).is_some()
    }

    /// The longest of its extensions that a file name ends with, in any case.
    #[must_use]
    pub fn claimed_extension(&self, name: &str) -> Option<&'static str> {
        let ends_with = |extension: &str| {
            let stem = name.len().checked_sub(extension.len() + 1)?;
            let end = name.get(stem..)?.strip_prefix('.')?;
            end.eq_ignore_ascii_case(extension).then_some(())
        };
        self.extensions
            .iter()
            .copied()
            .filter(|extension| ends_with(extension).is_some())
            .max_by_key(|extension| extension.len())
    }

    /// The usual extension, or the id.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        self.extensions.first().copied().unwrap_or(self.id)
    }

    /// The usual media type, or `application/octet-stream`.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_types.first().copied().unwrap_or("application/octet-stream")
    }

    /// Whether a writer keeps `feature`.
    #[must_use]
    pub fn keeps(&self, feature: Feature) -> bool {
        self.writes.is_some_and(|features| features.contains(&feature))
    }

    /// How well it serves as the canonical asset of `media`: 2 made for its samples, 1 in general, 0 not.
    #[must_use]
    pub(crate) fn canonical_rank(&self, media: &Media) -> u8 {
        let integer = match media {
            Media::Image(image) => !matches!(image.samples(), crate::record::Samples::F32(_)),
            Media::Audio(audio) => audio.integer,
            _ => true,
        };
        self.canonical
            .iter()
            .filter(|canonical| canonical.kind == media.kind())
            .map(|canonical| match canonical.integer {
                None => 1,
                Some(made_for) if made_for == integer => 2,
                Some(_) => 0,
            })
            .max()
            .unwrap_or(0)
    }
}

/// Facts that a reader knows before it reads the payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Facts of the first record: the same names and values as after a full read; what is not known yet is absent.
    pub facts: Facts,
    /// Number of records, if it is known.
    pub records: Option<u64>,
    /// Bytes of memory that reading the largest record whole takes, if the header tells; ingest plans with it.
    pub memory: Option<u64>,
}

impl Header {
    /// Facts alone.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self { facts, records: None, memory: None }
    }

    /// For an input of one record.
    #[must_use]
    pub fn single(facts: Facts) -> Self {
        Self { facts, records: Some(1), memory: None }
    }
}

/// Reads the records of one input in order.
pub trait FormatReader: Send {
    /// Facts of the first record, with as little reading as the format allows. May be called before, between and after
    /// records.
    ///
    /// # Errors
    /// When the header is broken.
    fn header(&mut self) -> Result<Header>;

    /// The next record; `None` at the end. The streams of a record must be read before the next one is asked for.
    ///
    /// # Errors
    /// When the record is broken. The caller does not ask again after an error.
    fn next_record(&mut self) -> Result<Option<MediaRecord>>;
}

/// A format. Implementations are unit structs: everything that changes is in the reader, the [`Context`] or the [`Output`].
pub trait Format: Send + Sync + 'static {
    /// The static descriptor.
    fn info(&self) -> &'static FormatInfo;

    /// Looks at content. For implementers: the default leaves it to the signatures; say `No` early; never look at the name,
    /// the registry weighs it.
    fn probe(&self, _probe: &Probe<'_>) -> Confidence {
        Confidence::Unknown
    }

    /// Starts reading. For implementers: read no more than the first bytes here.
    ///
    /// # Errors
    /// When the input is not of this format.
    fn open(&self, _source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        Err(Error::unsupported(format!("{} can only be written", self.info().name)))
    }

    /// Writes one record. Streams are consumed; `record.facts()` is complete afterwards. Losses go to `cx`.
    ///
    /// # Errors
    /// `Unsupported` when the record holds nothing this format can express; `Io` when writing fails.
    fn write(&self, _record: &mut MediaRecord, _out: &mut Output, _cx: &Context) -> Result<()> {
        Err(Error::unsupported(format!("{} can only be read", self.info().name)))
    }

    /// Whether a writer that is canonical for the kind of `media` can hold this one; another canonical format takes it
    /// otherwise. A format of images and videos that does not hold a clip is given its first frame. For implementers: looks at
    /// the header alone, streams are not read.
    fn holds(&self, _media: &Media) -> bool {
        true
    }
}

/// A reader of a single record that is read whole. [`header`](FormatReader::header) reads it too and keeps it: for formats
/// in which counting costs as much as reading.
pub fn whole<F>(read: F) -> Box<dyn FormatReader>
where
    F: FnOnce() -> Result<MediaRecord> + Send + 'static,
{
    Box::new(Whole { read: Some(read), kept: None, header: None })
}

struct Whole<F> {
    read: Option<F>,
    kept: Option<MediaRecord>,
    header: Option<Header>,
}

impl<F: FnOnce() -> Result<MediaRecord> + Send> FormatReader for Whole<F> {
    fn header(&mut self) -> Result<Header> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let record = match self.read.take() {
            Some(read) => read()?,
            None => return Err(Error::malformed("the input could not be read")),
        };
        let header = Header::single(record.facts());
        self.kept = Some(record);
        self.header = Some(header.clone());
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if self.header.is_none() && self.read.is_some() {
            self.header()?;
        }
        Ok(self.kept.take())
    }
}

/// A reader of a single record whose header is known without it.
pub fn single<H, F>(header: H, read: F) -> Box<dyn FormatReader>
where
    H: FnMut() -> Result<Header> + Send + 'static,
    F: FnOnce() -> Result<MediaRecord> + Send + 'static,
{
    Box::new(Single { header, read: Some(read) })
}

struct Single<H, F> {
    header: H,
    read: Option<F>,
}

impl<H, F> FormatReader for Single<H, F>
where
    H: FnMut() -> Result<Header> + Send,
    F: FnOnce() -> Result<MediaRecord> + Send,
{
    fn header(&mut self) -> Result<Header> {
        (self.header)()
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        self.read.take().map(|read| read()).transpose()
    }
}

/// A built-in format, as `inventory` collects it. Use [`register!`](crate::register).
pub struct BuiltIn(#[doc(hidden)] pub &'static dyn Format);

inventory::collect!(BuiltIn);

/// Registers a unit struct that implements [`Format`] as a built-in.
#[macro_export]
macro_rules! register {
    ($format:expr) => {
        $crate::__private::inventory::submit! { $crate::BuiltIn(&$format) }
    };
}
