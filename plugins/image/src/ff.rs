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
