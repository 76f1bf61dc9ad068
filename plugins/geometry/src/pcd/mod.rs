//! PCD, the point clouds of the Point Cloud Library.
//!
//! Specification: <https://pointclouds.org/documentation/tutorials/pcd_file_format.html>, version 0.7; also 0.5 and 0.6.
//!
//! | header line | meaning |
//! |---|---|
//! | `# …` | comment |
//! | `VERSION .7` | |
//! | `FIELDS x y z rgb` | names of the fields of a point (`COLUMNS` in old files); `_` is padding |
//! | `SIZE 4 4 4 4`, `TYPE F F F U`, `COUNT 1 1 1 1` | bytes, kind (float, unsigned, integer) and numbers of each field |
//! | `WIDTH`, `HEIGHT` | points of a row, and rows: 1 unless the cloud is organised like a picture |
//! | `VIEWPOINT x y z qw qx qy qz` | where it was seen from |
//! | `POINTS` | number of points |
//! | `DATA ascii\|binary\|binary_compressed` | the points follow behind this line |
//!
//! In compressed data, LZF, all values of the first field come first, then those of the second and so on.
//!
//! **Read**: every field as an attribute under its name in lower case. `rgb` and `rgba`, packed into an integer or the bits of a
//! float, `red green blue [alpha]` and `r g b [a]` are `color`; `normal_x normal_y normal_z` and `nx ny nz` are `normal`; `label` and
//! `classification` are `category`; `gpstime` is `time`. 64-bit integers become doubles. ASCII rows may have commas; their
//! coordinates are kept as they are written, beyond the precision of a 4-byte field. A viewpoint other than the origin and the size
//! of an organised cloud are the properties `viewpoint`, `width` and `height`; points are not moved by the viewpoint.
//!
//! **Written**: binary, or by option ASCII or compressed; coordinates in double precision, or by option in single precision, which
//! the types of PCL have; every attribute in its own type. 8-bit colours become `rgb` or `rgba`. Lost, with a code each: `boxes`,
//! `vectors`, `scene-type`, `crs`, `properties`, `attribute-names`, `precision`.
//!
//! Findings: `points`, `truncated`, `trailing-bytes`, `out-of-range`, `rounded`, `header-line`, `header-default`, `non-finite-token`,
//! `bad-row`, `no-final-newline`. Strict turns `points`, `trailing-bytes`, `out-of-range`, `header-line` and `header-default` into
//! errors; lenient keeps the whole points of a cut file.

mod header;
mod lzf;
mod plan;
mod read;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Signature, Source, single,
};

const INFO: FormatInfo = FormatInfo::new("pcd", "PCD (Point Cloud Library)", &[Kind::PointCloud])
    .extensions(&["pcd"])
    .media_types(&["application/vnd.pcd", "application/x-pcd"])
    .signatures(&[
        Signature { offset: 0, bytes: b"# .PCD", mask: &[] },
        Signature { offset: 0, bytes: b"# .pcd", mask: &[] },
        Signature { offset: 0, bytes: b"VERSION", mask: &[] },
        Signature { offset: 0, bytes: b"FIELDS ", mask: &[] },
        Signature { offset: 0, bytes: b"COLUMNS ", mask: &[] },
        Signature { offset: 0, bytes: b"#", mask: &[] },
    ])
    .reads()
    .writes(&[Feature::Normals, Feature::Colors, Feature::Attributes, Feature::Categories, Feature::DoublePrecision])
    .options(&[
        OptionSpec::write(
            "data",
            OptionType::Choice(&["binary", "ascii", "compressed"]),
            "binary",
            "How the points are written; compressed holds them all in memory.",
        ),
        OptionSpec::write(
            "positions",
            OptionType::Choice(&["double", "single"]),
            "double",
            "Precision of coordinates; programs of PCL expect single.",
        ),
    ])
    .spec("https://pointclouds.org/documentation/tutorials/pcd_file_format.html");

struct Pcd;

mediary_core::register!(Pcd);

impl Format for Pcd {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let mut words = probe
            .lines()
            .take(64)
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .map(|line| line.split(u8::is_ascii_whitespace).next().unwrap_or_default());
        match (words.next(), words.next()) {
            (Some(b"VERSION"), Some(b"FIELDS" | b"COLUMNS")) | (Some(b"FIELDS" | b"COLUMNS"), Some(b"SIZE")) => {
                Confidence::yes(220, "the first lines of a header: version, fields, sizes")
            }
            // The signature of its comment, in a file that is cut short.
            _ if probe.head.to_ascii_uppercase().starts_with(b"# .PCD") => Confidence::Unknown,
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let record = read::read(source, cx)?;
        let facts = record.facts();
        Ok(single(move || Ok(Header::single(facts.clone())), move || Ok(record)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let MediaRecord { media, properties, .. } = record;
        match media {
            Media::PointCloud(cloud) => write::write(cloud, properties, out, cx),
            other => Err(Error::unsupported(format!("PCD holds points, not {}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests;
