//! farbfeld, the format of suckless.org.
//!
//! Specification: <https://tools.suckless.org/farbfeld/>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `farbfeld` |
//! | 8 | 8 | width, height (big-endian) |
//! | 16 | 8 each | pixels: red, green, blue, alpha of 16 bits (big-endian), sRGB, not premultiplied |
//!
//! Read: all of it. Written: RGBA of 16 bits, to which gray and 8 bits are widened. Lost: floats (`ff.float`), linear light
//! (`ff.linear`), colour profiles (`ff.icc`), properties (`ff.properties`).
//!
//! Strictness: bytes behind the pixels (`ff.trailing-bytes`) are a warning, an error when strict. Missing pixels are an
//! error; lenient reads those before, the rest is transparent (`ff.truncated`).

use std::io::Write;

use mediary_core::record::Samples;
use mediary_core::{
    Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Output, Result, Signature,
    Source, register, single,
};

use crate::decode;
use crate::encode::{self, Holds, Light};
use crate::raster::{Layout, part, u32_be};

const MAGIC: &[u8; 8] = b"farbfeld";
const HEADER: usize = 16;

const INFO: FormatInfo = FormatInfo::new("ff", "farbfeld", &[Kind::Image])
    .extensions(&["ff", "farbfeld"])
    .media_types(&["image/x-farbfeld"])
    .signatures(&[Signature { offset: 0, bytes: MAGIC, mask: &[] }])
    .reads()
    .writes(&[Feature::Alpha, Feature::SixteenBit, Feature::Integer])
    .spec("https://tools.suckless.org/farbfeld/");

struct Farbfeld;

register!(Farbfeld);

impl Format for Farbfeld {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut head = [0; HEADER];
        source.read_exact_at(0, &mut head, "the header")?;
        if !head.starts_with(MAGIC) {
            let found = head[..8].escape_ascii().to_string();
            return Err(Error::malformed(format!("expected \"farbfeld\", found {found:?}")).at_byte(0));
        }
        let layout = Layout::new(u32_be(&head, 8), u32_be(&head, 12), 4, 16);
        layout.check(cx, layout.samples().saturating_mul(2))?;
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(layout.header()), move || read(&source, layout, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

fn read(source: &Source, layout: Layout, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    let length = layout.samples().saturating_mul(2);
    let stored = part(cx, &bytes, HEADER, length, "the picture")?;
    let mut samples = decode::buffer::<u16>(cx, layout.samples())?;
    for (to, from) in samples.chunks_mut(1 << 16).zip(stored.chunks(2 << 16)) {
        cx.checkpoint()?;
        for (sample, pair) in to.iter_mut().zip(from.as_chunks::<2>().0) {
            *sample = u16::from_be_bytes(*pair);
        }
    }
    let end = HEADER as u64 + length;
    if source.len() > end {
        let text = format!("{} bytes after the pixels, they are left out", source.len() - end);
        cx.tolerate("trailing-bytes", text, Location::byte(end))?;
    }
    Ok(MediaRecord::new(layout.image(Samples::U16(samples.into()))?))
}

const HOLDS: Holds =
    Holds { channels: &[4], eight: false, sixteen: true, float: false, light: Light::Display, profile: false };

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &[], cx);
    let Samples::U16(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    out.write_all(MAGIC)?;
    out.write_all(&image.width().to_be_bytes())?;
    out.write_all(&image.height().to_be_bytes())?;
    for some in samples.chunks(1 << 16) {
        cx.checkpoint()?;
        let bytes: Vec<u8> = some.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mediary_core::Strictness;
    use mediary_core::record::Image;

    use super::*;
    use crate::testing;

    /// The pixels as `xxd` shows them.
    #[test]
    fn pixels_are_those_of_the_file() {
        let record = testing::read("a.ff", testing::data("ff/acid2.ff")).unwrap();
        let expected = [65535, 65535, 0, 65535, 0, 0, 0, 0, 0, 0, 0, 0, 65535, 65535, 0, 65535];
        assert_eq!(testing::image(&record).samples(), &Samples::U16(expected.to_vec().into()));
        assert_eq!(testing::codes(&record), Vec::<String>::new());
    }

    #[test]
    fn the_same_bytes_are_written() {
        let bytes = testing::data("ff/acid2.ff");
        let mut record = testing::read("a.ff", bytes.clone()).unwrap();
        assert_eq!(testing::write(&mut record, "ff", &[]), bytes);
        let gray = Image::new(1, 1, 1, Samples::U8(vec![3].into())).unwrap();
        let bytes = testing::write(&mut MediaRecord::new(gray), "ff", &[]);
        assert_eq!(bytes, b"farbfeld\0\0\0\x01\0\0\0\x01\x03\x03\x03\x03\x03\x03\xFF\xFF");
    }

    #[test]
    fn missing_and_further_bytes_are_told() {
        let cut = testing::data("ff/malformed/truncated-acid2.ff");
        let error = testing::read("a.ff", cut.clone()).unwrap_err();
        assert!(error.message().contains("expected 32 bytes, found 24"), "{error}");
        let record = testing::read_with("a.ff", cut, &testing::strictly(Strictness::Lenient)).unwrap();
        assert_eq!(testing::codes(&record), ["ff.truncated"]);
        let mut long = testing::data("ff/acid2.ff");
        long.push(0);
        assert_eq!(testing::codes(&testing::read("a.ff", long).unwrap()), ["ff.trailing-bytes"]);
        assert_eq!(testing::names("ff/malformed").len(), 1);
    }

    #[test]
    fn sizes_beyond_counting_are_refused() {
        let mut bytes = testing::data("ff/acid2.ff");
        bytes[8..16].fill(0xFF);
        let error = testing::read("a.ff", bytes).unwrap_err();
        assert_eq!(error.limit_name(), Some("pixels"), "{error}");
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("ff");
    }
}
