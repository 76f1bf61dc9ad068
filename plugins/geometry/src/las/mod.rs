//! LAS and LAZ, the points of laser scanners.
//!
//! Specification: ASPRS LAS 1.4 R15, <https://www.asprs.org/divisions-committees/lidar-division/laser-las-file-format-exchange-activities>;
//! also 1.0 to 1.3. LAZ is LAS with points compressed by LASzip, and COPC is LAZ in the order of an octree.
//!
//! | bytes | content |
//! |---|---|
//! | 0 | `LASF` |
//! | 24, 25 | version |
//! | 94, 96, 100 | size of the header, where the points begin, number of variable length records |
//! | 104, 105 | point format, its upper bits set where the points are compressed; bytes of a point |
//! | 107, 247 | number of points: 32 bits, and 64 since 1.4 |
//! | 131, 155 | scale and offset: a coordinate is its integer times scale plus offset |
//! | 179 | bounds |
//!
//! **Read**: point formats 0 to 10, every field as an attribute:
//!
//! | field | attribute |
//! |---|---|
//! | intensity, user data, point source id | `intensity`, `user_data`, `point_source_id` |
//! | return number, number of returns, scan direction, edge of flight line | `return_number`, `number_of_returns`, `scan_direction`, `edge_of_flight_line` |
//! | classification, its flags (1 synthetic, 2 key point, 4 withheld, 8 overlap) | `category`, `classification_flags` |
//! | scan angle | `scan_angle_rank` in degrees (formats 0 to 5), `scan_angle` in 0.006 degrees |
//! | scanner channel, GPS time | `scanner_channel`, `time` |
//! | red, green, blue; near infrared | `color`, `nir` |
//! | wave packets | `wave_descriptor`, `wave_offset`, `wave_size`, `wave_return`, `wave_vector` |
//! | extra bytes | their name in lower case; without a description `extra_bytes` |
//!
//! Colours that the first points show to be 8-bit numbers (a frequent mistake) are `u8`, which `colors-8bit` notes. The reference
//! system is the WKT, or `EPSG:n` from the GeoTIFF keys. The rest of the header are properties.
//!
//! **Written**: version 1.4; formats 0 to 3 for points with `scan_angle_rank`, which come from those, otherwise 6 to 8. Attributes
//! without a field become extra bytes. Scale and offset are those of a LAS source, the option, or what the first points suggest.
//! Lost, with a code each: `precision` (coordinates between the steps of the scale), `attribute-shapes`, `attribute-names`,
//! `attribute-types` (values that a field does not hold), `color-depth` (8-bit colours become 16), `alpha`, `non-finite` points,
//! `boxes`, `vectors`, `scene-type`, `properties`.
//!
//! Findings: `count`, `bounds`, `vlr`, `evlr`, `extra-bytes`, `colors-8bit`, `color`, `rounded`, `truncated`, `version`. Strict
//! turns `count`, `bounds`, `vlr`, `evlr`, `extra-bytes` and `version` into errors; lenient keeps the points before a cut.

mod extra;
mod fields;
mod header;
mod packed;
mod read;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Signature, Source, single,
};

const SPEC: &str =
    "https://www.asprs.org/divisions-committees/lidar-division/laser-las-file-format-exchange-activities";
const SIGNATURES: &[Signature] = &[Signature { offset: 0, bytes: b"LASF", mask: &[] }];
const FEATURES: &[Feature] = &[Feature::Categories];
const OPTIONS: &[OptionSpec] = &[OptionSpec::write(
    "scale",
    OptionType::Float,
    "0",
    "Step of the coordinates; 0 for that of a LAS source or what fits the first points.",
)];

const LAS: FormatInfo = FormatInfo::new("las", "LAS lidar points", &[Kind::PointCloud])
    .extensions(&["las"])
    .media_types(&["application/vnd.las"])
    .signatures(SIGNATURES)
    .reads()
    .writes(FEATURES)
    .options(OPTIONS)
    .spec(SPEC);
const LAZ: FormatInfo = FormatInfo::new("laz", "LAZ compressed lidar points", &[Kind::PointCloud])
    .extensions(&["laz", "copc.laz"])
    .media_types(&["application/vnd.laszip"])
    .signatures(SIGNATURES)
    .reads()
    .writes(FEATURES)
    .options(OPTIONS)
    .spec(SPEC);

struct Las;
struct Laz;

mediary_core::register!(Las);
mediary_core::register!(Laz);

/// Whether a file of this head is compressed; `None` when the head ends before it tells.
fn is_compressed(head: &[u8]) -> Option<bool> {
    head.get(104).map(|format| format & 0xC0 != 0)
}

fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let record = read::read(source, cx)?;
    let facts = record.facts();
    Ok(single(move || Ok(Header::single(facts.clone())), move || Ok(record)))
}

fn write(record: &mut MediaRecord, compressed: bool, out: &mut Output, cx: &Context) -> Result<()> {
    let MediaRecord { media, properties, .. } = record;
    match media {
        Media::PointCloud(cloud) => write::write(cloud, properties, compressed, out, cx),
        other => Err(Error::unsupported(format!("LAS holds points, not {}", other.kind()))),
    }
}

impl Format for Las {
    fn info(&self) -> &'static FormatInfo {
        &LAS
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match is_compressed(probe.head) {
            Some(true) => Confidence::No,
            _ => Confidence::Unknown,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, false, out, cx)
    }
}

impl Format for Laz {
    fn info(&self) -> &'static FormatInfo {
        &LAZ
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match is_compressed(probe.head) {
            Some(true) => Confidence::Unknown,
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, true, out, cx)
    }
}

#[cfg(test)]
mod tests;
