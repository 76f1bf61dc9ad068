//! AVIF, the AV1 Image File Format: pictures coded as AV1, in boxes.
//!
//! Specification: AV1 Image File Format 1.1, <https://aomediacodec.github.io/av1-avif/>; boxes and items, ISO/IEC 14496-12 and
//! 23008-12 (HEIF), with the constraints of ISO/IEC 23000-22 (MIAF); AV1, <https://aomediacodec.github.io/av1-spec/>; colours,
//! ITU-T H.273. It is read and written with the feature `avif`, which is off by default for its build time: without it the format is
//! recognised and refused. AV1 is decoded by the crate `re_rav1d` and coded by `rav1e`, without assembly.
//!
//! | box | field |
//! |---|---|
//! | `ftyp` | brands: `avif`, `avis` |
//! | `meta` | items of a picture: which is shown (`pitm`), their types (`iinf`), where they are (`iloc`, `idat`), what is said of them (`iprp`), who belongs to whom (`iref`) |
//! | properties | size `ispe`, depth `pixi`, colour `colr`, decoder `av1C`, crop `clap`, turn `irot`, mirror `imir`, kind of an auxiliary picture `auxC` |
//! | items | `av01` a picture, `grid` one made of tiles, `iden` another one's, `Exif`, `mime` XMP |
//! | `moov` | an animation: the samples of its track of pictures and of that of their alpha |
//! | `mdat` | AV1: 8, 10 or 12 bits; 4:0:0, 4:2:0, 4:2:2, 4:4:4; limited or full range |
//!
//! Read: the shown picture, whole or of tiles, becomes an image: gray or RGB, with alpha where there is an auxiliary picture of it,
//! also premultiplied. 8 bits stay, 10 and 12 become 16. The crop is cut, turn and mirror are applied; the orientation of EXIF
//! counts nothing beside them. A file of the brand `avis` becomes a video whose frames are decoded one at a time. The matrix
//! and the range are those of `colr`, else of AV1; chroma is interpolated between its samples, which are taken for centred, as
//! libavif does. A profile is kept; without one, colours of BT.709 primaries and a curve like that of sRGB are sRGB, others are
//! unchanged and told (`color-space`). EXIF and XMP become properties.
//!
//! Left out: thumbnails, gain maps, depth, other pictures of the file. Refused: overlays, matrices of constant luminance and ICtCp,
//! what a property calls essential and is not known here.
//!
//! Strictness: an alpha that does not fit (`alpha`), a broken profile (`icc`) or EXIF block (`exif`), a crop that is none
//! (`clap`), bytes behind the last box (`trailing-bytes`) are diagnostics, errors when strict. Anything cut short is an error; of an
//! animation the frames before it are read.
//!
//! Written: one picture in 8 bits, 4:4:4 by BT.601 in full range, stated as sRGB. Gray becomes RGB, and alpha that is opaque all over
//! is left out. Alpha is not multiplied with the colours, which stay below it as they are (`UnassociatedDirty` of `ravif`). Of a
//! clip the first frame is written. Coding is on one thread, for the same bytes anywhere, and cannot be stopped between. Lost is
//! what the coding at `quality` loses (`avif.coding`), and what [`encode`](crate::encode) names: deeper samples, profiles and XMP too.

#[cfg(feature = "avif")]
mod av1;
#[cfg(feature = "avif")]
mod color;
#[cfg(feature = "avif")]
mod items;
#[cfg(feature = "avif")]
mod picture;
#[cfg(feature = "avif")]
mod read;
#[cfg(feature = "avif")]
mod sequence;
#[cfg(test)]
mod tests;
#[cfg(feature = "avif")]
mod write;

use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Kind, Media, Probe, Result, Signature, Source,
};
#[cfg(feature = "avif")]
use mediary_core::{Feature, MediaRecord, OptionSpec, OptionType, Output};

/// The brands of pictures and of animations.
const BRANDS: [&[u8]; 2] = [b"avif", b"avis"];

const READ: FormatInfo = FormatInfo::new("avif", "AV1 Image File Format", &[Kind::Image, Kind::Video])
    .extensions(&["avif", "avifs"])
    .media_types(&["image/avif"])
    .signatures(&[
        Signature { offset: 4, bytes: b"ftypavif", mask: &[] },
        Signature { offset: 4, bytes: b"ftypavis", mask: &[] },
    ])
    .probes_without_signature()
    .reads()
    .spec("https://aomediacodec.github.io/av1-avif/");

#[cfg(feature = "avif")]
const INFO: FormatInfo = READ.writes(&[Feature::Alpha]).options(&[
    OptionSpec::write("quality", OptionType::Int { min: 1, max: 100 }, "80", "how little is lost"),
    OptionSpec::write("speed", OptionType::Int { min: 1, max: 10 }, "9", "how little time it takes, for more bytes"),
]);

/// A build without the feature has no encoder.
#[cfg(not(feature = "avif"))]
const INFO: FormatInfo = READ;

struct Avif;

mediary_core::register!(Avif);

impl Format for Avif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let [Some(size), Some(b"ftyp"), Some(major)] =
            [probe.head.get(..4), probe.head.get(4..8), probe.head.get(8..12)]
        else {
            return Confidence::No;
        };
        if BRANDS.contains(&major) {
            return Confidence::yes(
                240,
                format!("a file type box of the brand {:?}", major.escape_ascii().to_string()),
            );
        }
        let size = size.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let compatible = probe.head.get(16..size.min(probe.head.len())).unwrap_or_default();
        // A movie may say that its pictures are AVIF too; what is a picture first says so with its major brand.
        let picture = [&b"mif1"[..], b"msf1", b"miaf"].contains(&major);
        if picture && compatible.chunks_exact(4).any(|brand| BRANDS.contains(&brand)) {
            return Confidence::yes(240, "a file type box of pictures with the brand of AVIF beside it");
        }
        Confidence::No
    }

    #[cfg(feature = "avif")]
    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(mediary_core::single(move || read::read_header(&header, &header_cx), move || read::read(&source, &cx)))
    }

    #[cfg(not(feature = "avif"))]
    fn open(&self, _source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        Err(mediary_core::Error::unsupported("this build has no decoder of AVIF")
            .with_hint("build it with the feature `avif`"))
    }

    #[cfg(feature = "avif")]
    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }

    /// Clips are read, not written: they give their first frame.
    fn holds(&self, media: &Media) -> bool {
        !matches!(media, Media::Video(_))
    }
}
