//! DDS, the surface of DirectDraw and Direct3D.
//!
//! Specification: <https://learn.microsoft.com/en-us/windows/win32/direct3ddds/dx-graphics-dds-pguide>; block
//! compression: Khronos Data Format Specification 1.3, S3TC, RGTC and BPTC.
//!
//! | offset | bytes | field (little-endian) |
//! |---|---|---|
//! | 0 | 8 | `DDS `, 124 |
//! | 8 | 24 | flags, height, width, pitch, depth, mipmaps |
//! | 76 | 32 | pixel format: 32, flags, four characters, bits, masks of red, green, blue and alpha |
//! | 108 | 8 | capabilities: cube map, volume |
//! | 128 | 20 | where the four characters are `DX10`: DXGI format, dimension, cube map, elements, alpha mode |
//! | | n | pixels of each element, each face, each mipmap, each slice |
//!
//! Read: the first mipmap of the first face of the first element, and the first slice; the others are counted in
//! `frames`, as properties, and told (`dds.left-out`). Masks of 8 to 32 bits, luminance, alpha alone, palettes of 256
//! colours, DXT1 to DXT5, BC4 to BC7, and the DXGI formats of 8, 16 and 32 bits a channel, of 10, of shared exponents
//! and of two pixels together. As in Pillow, channels are widened rounded down, BC1 to BC3 are RGBA, two channels are red
//! and green with no blue, and signed numbers are moved up by half (`dds.signed`). Half and full floats, and BC6H, are
//! floats in linear light; whole numbers without a range (UINT) have no colour meaning. Premultiplied alpha is divided
//! out (`dds.premultiplied`). Unsupported: luma and chroma (YUY2, NV12 …), ASTC, 1 bit, signed and 32-bit whole numbers.
//!
//! Not written: PNG keeps the pixels.
//!
//! Strictness: a wrong size of the header or of the pixel format (`dds.header`), missing pixels behind the first picture
//! (`dds.missing`) and bytes after the last one (`dds.trailing-bytes`) are warnings, errors when strict. Missing pixels
//! of the first picture are an error; lenient reads those before, the rest is 0 (`dds.truncated`).

mod blocks;
mod header;
mod texel;

use mediary_core::record::Samples;
use mediary_core::{
    Context, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, Result, Signature, Source, register, single,
};

use crate::raster::part;
use header::Texture;

const INFO: FormatInfo = FormatInfo::new("dds", "DirectDraw Surface", &[Kind::Image])
    .extensions(&["dds"])
    .media_types(&["image/vnd-ms.dds"])
    .signatures(&[Signature { offset: 0, bytes: b"DDS ", mask: &[] }])
    .reads()
    .spec("https://learn.microsoft.com/en-us/windows/win32/direct3ddds/dx-graphics-dds-pguide");

struct Dds;

register!(Dds);

impl Format for Dds {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let texture = Texture::parse(source.head())?;
        let layout = texture.layout();
        layout.check(cx, texture.surface(0))?;
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(layout.header()), move || read(&source, &texture, &cx)))
    }
}

fn read(source: &Source, texture: &Texture, cx: &Context) -> Result<MediaRecord> {
    texture.tell(cx)?;
    let bytes = source.bytes(cx)?;
    let first = texture.surface(0);
    let stored = part(cx, &bytes, texture.start, first, "the first picture")?;
    let mut samples = texture.texel.samples(texture, &bytes, stored, cx)?;

    let all = texture.start as u64 + texture.pictures();
    if all > source.len() && stored.len() as u64 == first {
        let text = format!("expected {all} bytes for all pictures, found {}", source.len());
        cx.tolerate("missing", text, Location::byte(source.len()))?;
    } else if all < source.len() {
        let text = format!("{} bytes after the last picture, they are left out", source.len() - all);
        cx.tolerate("trailing-bytes", text, Location::byte(all))?;
    }
    if texture.premultiplied {
        divide(&mut samples, texture.layout().channels);
        cx.note("premultiplied", "the colours are divided by the alpha that they were multiplied with");
    }
    let mut record = MediaRecord::new(texture.layout().image(samples)?);
    texture.describe(&mut record.properties, cx);
    Ok(record)
}

/// Divides colours by alpha.
fn divide(samples: &mut Samples, channels: u8) {
    let Samples::U8(bytes) = samples else { return };
    if channels != 4 {
        return;
    }
    let mut straight = bytes.to_vec();
    for [r, g, b, a] in straight.as_chunks_mut::<4>().0 {
        if *a > 0 {
            let alpha = u16::from(*a);
            for color in [r, g, b] {
                *color = ((u16::from(*color) * 255 + alpha / 2) / alpha).min(255) as u8;
            }
        }
    }
    *bytes = straight.into();
}

#[cfg(test)]
mod tests;
