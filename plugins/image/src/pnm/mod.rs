//! PNM, the portable any map of Netpbm, with PAM and the float maps.
//!
//! Specification: <https://netpbm.sourceforge.net/doc/pnm.html>, <https://netpbm.sourceforge.net/doc/pam.html>; floats:
//! <https://netpbm.sourceforge.net/doc/pfm.html>.
//!
//! | magic | picture | behind the header |
//! |---|---|---|
//! | `P1`, `P4` | 1 bit, 1 is black | digits, or packed rows |
//! | `P2`, `P5` | gray | numbers in text, or of 1 or 2 bytes (big-endian) |
//! | `P3`, `P6` | RGB | the same |
//! | `P7` | PAM: 1 to 4 channels, with lines of names and values up to `ENDHDR` | numbers of 1 or 2 bytes |
//! | `Pf`, `PF`, `PF4` | float gray, RGB, RGBA, from the bottom up; the sign of the scale is the byte order | 4 bytes each |
//! | `Ph`, `PH`, `PH4` | the same of half floats | 2 bytes each |
//!
//! The header is text: magic, width, height, largest value (or scale), with comments from `#` to the end of a line.
//!
//! Read: all of these, and files of several pictures, which are several records. Numbers are scaled so that the largest
//! value becomes 255, or 65535 where it is beyond 255, as Pillow does. Floats stay as they are, in linear light; their
//! scale, comments and the type of a PAM are properties.
//!
//! Written, as the record needs: `P4` of 1 bit, `P5`, `P6`, `P7` with alpha, and `Pf`, `PF`, `PF4` for floats; the option
//! `variant` demands one. Lost: what that cannot hold, colour profiles (`pnm.icc`), properties but comments
//! (`pnm.properties`).
//!
//! Strictness: numbers beyond the largest (`pnm.range`), which count as it, a PAM type that does not fit the channels
//! (`pnm.tuple-type`), and bytes after the last picture (`pnm.trailing-bytes`) are warnings, errors when strict. Missing
//! pixels are an error; lenient reads those before, the rest is 0 (`pnm.truncated`).

mod head;
mod raster;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Signature, Source, SourceBytes, register,
};

use head::Head;

const fn magic(bytes: &'static [u8]) -> Signature {
    Signature { offset: 0, bytes, mask: &[] }
}

const INFO: FormatInfo = FormatInfo::new("pnm", "Portable Any Map", &[Kind::Image])
    .extensions(&["pnm", "pbm", "pgm", "ppm", "pam", "pfm", "phm"])
    .media_types(&[
        "image/x-portable-anymap",
        "image/x-portable-bitmap",
        "image/x-portable-graymap",
        "image/x-portable-pixmap",
        "image/x-portable-arbitrarymap",
    ])
    .signatures(&[
        magic(b"P1"),
        magic(b"P2"),
        magic(b"P3"),
        magic(b"P4"),
        magic(b"P5"),
        magic(b"P6"),
        magic(b"P7"),
        magic(b"Pf"),
        magic(b"PF"),
        magic(b"Ph"),
        magic(b"PH"),
    ])
    .reads()
    .many_records()
    .writes(&[Feature::Alpha, Feature::SixteenBit, Feature::Float, Feature::Integer])
    .options(&[OptionSpec::write(
        "variant",
        OptionType::Choice(&["auto", "pbm", "pgm", "ppm", "pam", "pfm"]),
        "auto",
        "which map to write; `auto` is the plainest that holds the picture",
    )])
    .spec("https://netpbm.sourceforge.net/doc/pnm.html");

struct Pnm;

register!(Pnm);

impl Format for Pnm {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match Head::parse(probe.head, 0) {
            Ok(_) => Confidence::yes(180, "the header of a portable map"),
            // Two letters alone say nothing; with a number behind them it may be a broken one.
            Err(_) if head::begins_as_one(probe.head) => Confidence::yes(60, "how a portable map begins"),
            Err(_) => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let bytes = source.bytes(cx)?;
        Ok(Box::new(Reader { bytes, cx: cx.clone(), at: 0, count: 0 }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

struct Reader {
    bytes: SourceBytes,
    cx: Context,
    /// Where the next picture begins.
    at: usize,
    /// Pictures read.
    count: u64,
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let head = Head::parse(&self.bytes, 0)?;
        head.check(&self.bytes, &self.cx)?;
        let mut header = head.layout.header();
        header.records = self.pictures(&head)?;
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if self.count > 0 && self.at >= self.bytes.len() {
            return Ok(None);
        }
        let cx = &self.cx;
        let head = Head::parse(&self.bytes, self.at)?;
        head.check(&self.bytes, cx)?;
        let (samples, end) = raster::read(&head, &self.bytes, cx)?;
        let mut record = MediaRecord::new(head.layout.image(samples)?);
        head.describe(&mut record.properties, cx)?;
        let (next, left) = behind(&self.bytes, end);
        if left > 0 {
            let text = format!("{left} bytes after the picture, they are left out");
            cx.tolerate("trailing-bytes", text, Location::byte(next as u64))?;
        }
        self.at = if left > 0 { self.bytes.len() } else { next };
        self.count += 1;
        Ok(Some(record))
    }
}

impl Reader {
    /// How many pictures there are, where that can be told without reading numbers in text.
    fn pictures(&self, first: &Head) -> Result<Option<u64>> {
        let mut head = first.clone();
        for count in 1_u64.. {
            let Some(length) = head.raster_bytes() else { return Ok(None) };
            let end = usize::try_from(length).ok().and_then(|length| head.raster.checked_add(length));
            let (next, left) = behind(&self.bytes, end.unwrap_or(usize::MAX));
            if left > 0 || next >= self.bytes.len() {
                return Ok(Some(count));
            }
            if count.is_multiple_of(1024) {
                self.cx.checkpoint()?;
            }
            match Head::parse(&self.bytes, next) {
                Ok(found) => head = found,
                Err(_) => return Ok(None),
            }
        }
        Err(Error::limit("records", u64::MAX, self.cx.limits().records))
    }
}

/// Where the next picture begins behind one that ends at `end`, and how many bytes there are that are none. White space
/// between pictures and at the end of the file is passed over.
fn behind(bytes: &[u8], end: usize) -> (usize, usize) {
    let rest = bytes.get(end..).unwrap_or_default();
    let rest = rest.trim_ascii_start();
    let next = bytes.len() - rest.len();
    (next, if head::looks_like_one(rest) { 0 } else { rest.len() })
}

#[cfg(test)]
mod tests;
