//! TIFF, the Tagged Image File Format, and BigTIFF.
//!
//! Specification: TIFF 6.0, <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>; its Technical Notes 1 to 3
//! (trees, JPEG, floats); BigTIFF, <https://www.awaresystems.be/imaging/tiff/bigtiff.html>; GeoTIFF, OGC 19-008r4.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | `II` little-endian, `MM` big-endian |
//! | 2 | 2 | 42; 43 for BigTIFF, whose offsets and counts have 8 bytes, and a directory's entries 20 |
//! | 4 | 4 | offset of the first directory |
//! | directory | 2 + 12 n + 4 | number of entries, entries (tag, type, count, value or its offset), offset of the next directory |
//! | strips, tiles | n | rows or squares of pixels, each packed by itself, all samples of a pixel together or in planes |
//!
//! Read: every page as a record, in the order of the file; both byte orders, strips and tiles, samples together and in
//! planes. Smaller copies of a page and masks (NewSubfileType) are left out where there are pages, unless
//! `pages=all`; directories below a page (SubIFDs) are not read. Whole samples of 1 to 32 and 64 bits, signed ones of 8,
//! 16, 32 and 64, floats of 16, 24, 32 and 64; gray of both senses, RGB, palettes, CMYK, YCbCr of 8 bits, CIE L\*a\*b\*,
//! with alpha. Compressions: none, PackBits, LZW of both orders, Deflate, JPEG (new and old), CCITT RLE, group 3 and 4,
//! LZMA, Zstandard, WebP, ThunderScan; the predictors of whole numbers and of floats.
//!
//! Samples of 1 to 8 bits become 8, of 9 to 16 become 16, over their full range. Wider, signed and float samples become
//! floats with the values they have; `tiff.rounded` counts what is not exact. RGB and CMYK of floats are taken for linear
//! light, other floats and wide numbers have no colour and are shown from their least to their greatest, that of GDAL for
//! no data left out. Palettes and other colours become RGB, CMYK without a profile.
//! Associated alpha is divided out; samples beyond alpha are left out (`tiff.extra-samples`). The orientation is applied.
//! Texts, density, EXIF, XMP, the keys of GeoTIFF and what ImageJ, OME and GDAL say become properties; the position where
//! a picture was taken only with the option `gps`.
//!
//! Written: one page a record; 8 and 16 bits and floats, gray and RGB with and without alpha, colour profile, description,
//! density. Lost: other properties (`tiff.properties`), boxes and masks (`tiff.annotations`).
//!
//! Strictness: pixels that are missing or broken are an error; lenient fills them with 0 (`tiff.damaged`). Rows of
//! facsimile that a noisy line or a cut took away, and JPEG streams that only a tolerant decoder reads, are a diagnostic of
//! severity error with the same code, and so is a chain of directories that comes back to itself or leads nowhere
//! (`tiff.pages`): what there is of them is read. Tolerated with a warning are a missing meaning of samples
//! (`tiff.photometric`), counts of bits (`tiff.bits`), lengths of strips that are missing or reach beyond the end
//! (`tiff.strip-lengths`), wrong coefficients of YCbCr (`tiff.coefficients`), palettes of 8 bits (`tiff.palette`), a wrong
//! orientation, profile (`tiff.icc`) or other tag (`tiff.tag`). Strict makes errors of all. Strips that are not in the file
//! and say so are 0 (`tiff.sparse`).

mod codec;
mod color;
mod directory;
mod fax;
mod jpeg;
mod notes;
mod page;
mod pixels;
mod tags;
mod write;

use std::sync::Arc;

use mediary_core::record::ColorSpace;
use mediary_core::{
    Context, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, OptionSpec,
    OptionType, Output, Result, Severity, Signature, Source, register,
};

use crate::decode;
use directory::{Chain, Directory, Tiff};
use page::Page;

const INFO: FormatInfo = FormatInfo::new("tiff", "Tagged Image File Format", &[Kind::Image])
    .extensions(&["tif", "tiff", "tf8", "btf"])
    .media_types(&["image/tiff"])
    .signatures(&[
        Signature { offset: 0, bytes: b"II*\0", mask: &[] },
        Signature { offset: 0, bytes: b"MM\0*", mask: &[] },
        Signature { offset: 0, bytes: b"II+\0\x08\0\0\0", mask: &[] },
        Signature { offset: 0, bytes: b"MM\0+\0\x08\0\0", mask: &[] },
    ])
    .reads()
    .writes(&[Feature::Alpha, Feature::SixteenBit, Feature::Float, Feature::ColorProfile, Feature::Integer])
    .many_records()
    .options(&[
        OptionSpec::read(
            "pages",
            OptionType::Choice(&["full", "all"]),
            "full",
            "`all` reads smaller copies of pages and masks too, as records of their own",
        ),
        OptionSpec::read("gps", OptionType::Bool, "false", "keep the position where the picture was taken"),
        OptionSpec::write(
            "compression",
            OptionType::Choice(&["deflate", "lzw", "none"]),
            "deflate",
            "how pixels are packed",
        ),
        OptionSpec::write("big", OptionType::Bool, "false", "BigTIFF, for files of more than 4 GiB"),
    ])
    .spec("https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf");

struct TiffFormat;

register!(TiffFormat);

impl Format for TiffFormat {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader { tiff: Tiff::open(source)?, cx: cx.clone(), chain: None, next: 0, decoded: 0 }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

struct Reader {
    tiff: Tiff,
    cx: Context,
    chain: Option<Arc<Chain>>,
    next: usize,
    /// Bytes of pixels that all pages so far had.
    decoded: u64,
}

impl Reader {
    fn chain(&mut self) -> Result<Arc<Chain>> {
        if let Some(chain) = &self.chain {
            return Ok(Arc::clone(chain));
        }
        let chain = Arc::new(self.tiff.pages(self.cx.options().text("pages") == "all", &self.cx)?);
        self.chain = Some(Arc::clone(&chain));
        Ok(chain)
    }

    fn page(&self, at: u64, cx: &Context) -> Result<(Directory, Page)> {
        let directory = self.tiff.directory(at, cx)?;
        let page = Page::of(&self.tiff, &directory, cx)?;
        let bits = 8 * page.depth().bytes() * u64::from(page.channels());
        decode::check_size(cx, page.width, page.height, bits, self.tiff.source.len())?;
        Ok((directory, page))
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let chain = self.chain()?;
        let (first, pages) = (chain.pages[0], chain.pages.len() as u64);
        let ((page, profile), _) = decode::quietly(INFO.id, &self.cx, |quiet| {
            let (directory, page) = self.page(first, quiet)?;
            let profile = page::profile(&self.tiff, &directory, &page, quiet)?;
            Ok((page, profile))
        })?;
        let facts = page.facts(profile.is_some(), pages);
        Ok(Header { facts: Facts::Image(facts), records: Some(pages), memory: Some(page.memory()) })
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let cx = self.cx.clone();
        let chain = self.chain()?;
        if self.next == 0 {
            chain.report(&cx)?;
        }
        let Some(&at) = chain.pages.get(self.next) else { return Ok(None) };
        let (directory, mut page) = self.page(at, &cx)?;
        self.decoded = self.decoded.saturating_add(page.bytes());
        decode::check_expansion(&cx, self.decoded, self.tiff.source.len())?;
        let profile = page::profile(&self.tiff, &directory, &page, &cx)?;
        let samples = pixels::read(&self.tiff, &directory, &mut page, &cx)?;
        let mut image = decode::upright(&cx, page.width, page.height, page.channels(), samples, page.orientation)?;
        image.color_space = if profile.is_some() { ColorSpace::Icc } else { page.color_space() };
        image.icc = profile;
        if image.color_space == ColorSpace::Unknown {
            let none = self.tiff.text(&directory, tags::GDAL_NO_DATA, 64, &cx).ok().flatten();
            image.range = decode::range(&image, none.and_then(|none| none.trim().parse().ok()));
        }
        image.source_bits = page.source_bits();
        image.frames = chain.pages.len() as u64;
        let mut record = MediaRecord::new(image);
        notes::read(&self.tiff, &directory, &mut record.properties, &cx)?;
        // Stacks of ImageJ beyond 4 GiB have one directory alone.
        let images = record.properties.get("imagej").and_then(|imagej| imagej.get("images")?.as_str()?.parse().ok());
        if let Some(images) = images.filter(|&images: &usize| self.next == 0 && images > chain.pages.len()) {
            let found = chain.pages.len();
            cx.warn(
                "imagej-stack",
                format!("ImageJ announces {images} pictures, {found} have a directory and are read"),
            );
        }
        if directory.has(tags::SUB_DIRECTORIES) {
            // Those below a thumbnail are the picture, as in raw files of cameras; others are smaller copies.
            let severity = if chain.reduced { Severity::Warning } else { Severity::Info };
            let text = "directories below this page are not read";
            cx.report(severity, "sub-directories", text, Some(Location::byte(directory.at)));
        }
        self.next += 1;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests;
