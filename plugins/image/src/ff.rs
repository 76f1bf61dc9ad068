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
//! Read and written: all of it.
//!
//! Strictness: bytes behind the pixels (`ff.trailing-bytes`) are a warning, an error when strict. Missing pixels are an
//! error; lenient reads those before, the rest is transparent (`ff.truncated`).

use mediary_core::record::Samples;
use mediary_core::{
    Context, Error, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Result, Signature, Source, register,
    single,
};

use crate::decode;
use crate::raster::{Layout, part, u32_be};

const MAGIC: &[u8; 8] = b"farbfeld";
const HEADER: usize = 16;

const INFO: FormatInfo = FormatInfo::new("ff", "farbfeld", &[Kind::Image])
    .extensions(&["ff", "farbfeld"])
    .media_types(&["image/x-farbfeld"])
    .signatures(&[Signature { offset: 0, bytes: MAGIC, mask: &[] }])
    .reads()
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
        decode::check_size(cx, layout.width, layout.height, 64, source.len())?;
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(layout.header()), move || read(&source, layout, &cx)))
    }
}

fn read(source: &Source, layout: Layout, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    let length = layout.samples() * 2;
    let stored = part(cx, &bytes, HEADER, length, "the pixels")?;
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
