//! JPEG XL.
//!
//! Specification: ISO/IEC 18181-1 (codestream) and 18181-2 (container). It is read with the feature `jxl`, which is off by default
//! for its build time: without it the format is recognised and refused. The codestream is decoded by the crate `jxl-oxide`.
//!
//! | bytes | field |
//! |---|---|
//! | `FF 0A` | a codestream alone |
//! | `00 00 00 0C 4A 58 4C 20 0D 0A 87 0A` | a container of boxes: size, type, data |
//! | `jxlc`; `jxlp` | the codestream whole; in parts, each behind its number |
//! | `Exif`, `xml ` | notes; in a `brob` box packed by Brotli |
//! | codestream | size, orientation, depth, extra channels, animation, colours or a profile; frames |
//!
//! Read: a picture becomes an image, gray or RGB, with alpha where there is such a channel, not premultiplied. Up to 8 bits become 8,
//! up to 16 become 16, more and floats become floats. The orientation is applied. An animation becomes a video whose frames
//! are whole canvases. Colours that are coded without a profile come out in the space the file asks for: sRGB, linear, or another
//! one, of which a profile is made; PQ and HLG are unchanged and told (`color-space`). EXIF and XMP become properties; the
//! orientation in EXIF counts nothing.
//!
//! Left out: other extra channels than alpha and spots (`channels`), the data that turn it back into a JPEG. CMYK is refused.
//!
//! Strictness: a broken profile (`icc`) or EXIF block (`exif`) are diagnostics, errors when strict. A codestream that ends
//! early is an error.
//!
//! JPEG XL is not written.

#[cfg(feature = "jxl")]
mod container;
#[cfg(feature = "jxl")]
mod read;
#[cfg(test)]
mod tests;

use mediary_core::{Confidence, Context, Format, FormatInfo, FormatReader, Kind, Probe, Result, Signature, Source};

/// How a codestream begins.
const BARE: &[u8] = b"\xFF\x0A";

/// How a container begins.
const CONTAINER: &[u8] = b"\0\0\0\x0CJXL \r\n\x87\n";

const INFO: FormatInfo = FormatInfo::new("jxl", "JPEG XL", &[Kind::Image, Kind::Video])
    .extensions(&["jxl"])
    .media_types(&["image/jxl"])
    .signatures(&[
        Signature { offset: 0, bytes: CONTAINER, mask: &[] },
        Signature { offset: 0, bytes: BARE, mask: &[] },
    ])
    .reads()
    .spec("https://www.iso.org/standard/85066.html");

struct JpegXl;

mediary_core::register!(JpegXl);

impl Format for JpegXl {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if probe.head.starts_with(CONTAINER) {
            Confidence::yes(255, "the signature of a JPEG XL container")
        } else if probe.head.starts_with(BARE) {
            // Two bytes are few.
            Confidence::yes(120, "the signature of a JPEG XL codestream")
        } else {
            Confidence::No
        }
    }

    #[cfg(feature = "jxl")]
    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(mediary_core::single(move || read::read_header(&header, &header_cx), move || read::read(&source, &cx)))
    }

    #[cfg(not(feature = "jxl"))]
    fn open(&self, _source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        Err(mediary_core::Error::unsupported("this build has no decoder of JPEG XL")
            .with_hint("build it with the feature `jxl`"))
    }
}
