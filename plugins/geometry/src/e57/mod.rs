//! E57, the scans of 3D imaging systems.
//!
//! Specification: ASTM E2807-11; the reference implementation is described at <http://www.libe57.org/>.
//!
//! | bytes | content |
//! |---|---|
//! | 0 | `ASTM-E57` |
//! | 8, 12 | version 1.0 |
//! | 16, 24, 32, 40 | length of the file, place and length of the XML, size of a page: 1024 |
//! | pages | 1020 bytes and their CRC-32C; lengths and contents are counted without the checksums |
//! | XML | the scans: their name, pose, limits, and the type of each field of their points |
//! | sections | the points in packets, a stream of bits for each field |
//!
//! **Read**: a record a scan. Spherical coordinates become Cartesian; the pose is applied, so that all scans of a file lie in one
//! world, and is the property `pose`. `cartesianX …` is the position, `colorRed …` are `color` (8 or 16 bits where the limits say so,
//! otherwise floats from 0 to 1 within the limits), `normalX …` of the extension are `normal`, turned by the pose; further fields are
//! attributes: `intensity`, `time`, `row`, `column`, `return_index`, `return_count`, `invalid`, `intensity_invalid`,
//! `color_invalid`, `time_invalid`; those of extensions have their namespace before their name. Points that are marked invalid, or
//! whose distance is, have no position (NaN) and are counted (`invalid`).
//!
//! Left out with a note: pictures (`images`). Findings: `invalid`, `rounded`, `images`, `pose`, `empty`, `truncated`. A page whose
//! checksum is wrong is an error; lenient keeps the points before it.

mod pages;
mod points;
mod scan;

use mediary_core::record::facts::PointCloudFacts;
use mediary_core::{
    Confidence, Context, Error, Facts, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, Probe,
    Result, Signature, Source,
};

use scan::Scan;

const INFO: FormatInfo = FormatInfo::new("e57", "E57 scans", &[Kind::PointCloud])
    .extensions(&["e57"])
    .media_types(&["model/e57"])
    .signatures(&[Signature { offset: 0, bytes: b"ASTM-E57", mask: &[] }])
    .reads()
    .many_records()
    .spec("http://www.libe57.org/");

/// Most bytes of XML.
const XML: u64 = 50 << 20;
/// Bytes of memory for a byte of XML, about.
const TREE: u64 = 8;

struct E57;

mediary_core::register!(E57);

impl Format for E57 {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, _probe: &Probe<'_>) -> Confidence {
        Confidence::Unknown
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader::new(source, cx)?))
    }
}

struct Reader {
    source: Source,
    cx: Context,
    scans: Vec<e57::PointCloud>,
    next: usize,
    crs: Option<String>,
    images: usize,
    first: Option<PointCloudFacts>,
}

impl Reader {
    fn new(source: &Source, cx: &Context) -> Result<Self> {
        let mut head = [0; 48];
        source.read_exact_at(0, &mut head, "the header")?;
        let length = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| head[32 + byte]));
        let taken = length.saturating_mul(TREE);
        if length > XML || length > source.len() {
            let message = format!("{length} bytes of XML in a file of {}", source.len());
            return Err(Error::malformed(message).at_byte(32));
        }
        cx.budget().take(taken)?;
        let read = e57::E57Reader::new(source.reader()).map_err(|error| {
            // The library says what it was about to do, and why that failed.
            let mut message = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                message += &format!(": {inner}");
                cause = inner.source();
            }
            Error::malformed(message.to_lowercase()).at_byte(0)
        })?;
        cx.budget().give_back(taken);
        let scans = read.pointclouds();
        cx.limits().check("records", scans.len() as u64)?;
        let images = read.images().len();
        if scans.is_empty() {
            return Err(Error::unsupported(format!("there are no scans, but {images} images")).at_byte(0));
        }
        let crs = read.coordinate_metadata().map(str::trim).filter(|crs| !crs.is_empty()).map(ToOwned::to_owned);
        Ok(Self { source: source.clone(), cx: cx.clone(), scans, next: 0, crs, images, first: None })
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let facts = match &self.first {
            Some(facts) => facts.clone(),
            None => {
                let scan = Scan::new(&self.scans[0], &Context::new(INFO.id))?;
                self.first.insert(scan.facts()).clone()
            }
        };
        Ok(Header { facts: Facts::PointCloud(facts), records: Some(self.scans.len() as u64), memory: None })
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let Some(described) = self.scans.get(self.next) else { return Ok(None) };
        let element = format!("data3D[{}]", self.next);
        if self.next == 0 && self.images > 0 {
            self.cx.note("images", format!("{} images of the scanner are left out", self.images));
        }
        self.next += 1;
        let scan = Scan::new(described, &self.cx).map_err(|error| error.at(Location::element(element.clone())))?;
        scan.record(&self.source, described, self.crs.clone(), &self.cx).map(Some)
    }
}

#[cfg(test)]
mod tests;
