//! Writes images of floats.

use std::io::{Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use mediary_core::record::{Image, Samples};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::Value;

use super::MAGIC;
use crate::decode::{half, to_half};
use crate::encode::{self, Holds, Light};

/// Lines of a block, with ZIP.
const LINES: usize = 16;

/// Effort of Deflate.
const LEVEL: u32 = 4;

const HOLDS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: false, sixteen: false, float: true, light: Light::Linear, profile: false };

/// Numbers of sample types and compressions in the file.
const HALF: u32 = 1;
const FLOAT: u32 = 2;
const ZIP: u8 = 3;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &["comment", "owner"], cx);
    let Samples::F32(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let stored = stored(&image, samples, cx)?;
    let exact = |value: &f32| half(to_half(*value)).to_bits() == value.to_bits() || value.is_nan();
    let rounded = || stored.iter().filter(|value| !exact(value)).count() as u64;
    let halves = match cx.options().text("samples") {
        "half" => {
            cx.lose("half", rounded(), "floats are rounded to halves");
            true
        }
        "float" => false,
        _ => rounded() == 0,
    };
    let (width, height, channels) = (image.width() as usize, image.height() as usize, usize::from(image.channels()));
    // In the order of their names, with their place in a pixel.
    let names: &[(&str, usize)] = match channels {
        1 => &[("Y", 0)],
        2 => &[("A", 1), ("Y", 0)],
        3 => &[("B", 2), ("G", 1), ("R", 0)],
        _ => &[("A", 3), ("B", 2), ("G", 1), ("R", 0)],
    };
    let header = header(record, &image, names, halves);
    let blocks = height.div_ceil(LINES);
    let start = out.stream_position()?;
    out.write_all(&header)?;
    out.write_all(&vec![0; 8 * blocks])?;
    let mut places = Vec::with_capacity(8 * blocks);
    // One for all: its tables take longer to make than a narrow block to pack.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
    for top in (0..height).step_by(LINES) {
        cx.checkpoint()?;
        let lines = top..(top + LINES).min(height);
        let mut bytes = Vec::with_capacity(lines.len() * width * channels * 4);
        for y in lines {
            let line = &stored[y * width * channels..(y + 1) * width * channels];
            for &(_, place) in names {
                for &value in line[place..].iter().step_by(channels) {
                    if halves { bytes.extend(to_half(value).to_le_bytes()) } else { bytes.extend(value.to_le_bytes()) }
                }
            }
        }
        let packed = packed(&bytes, &mut encoder)?;
        // What does not become smaller is left as it is.
        let block = if packed.len() < bytes.len() { packed } else { bytes };
        places.extend((out.stream_position()? - start).to_le_bytes());
        out.write_all(&(top as u32).to_le_bytes())?;
        out.write_all(&(block.len() as u32).to_le_bytes())?;
        out.write_all(&block)?;
    }
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(start + header.len() as u64))?;
    out.write_all(&places)?;
    out.seek(SeekFrom::Start(end))?;
    cx.budget().give_back(stored.len() as u64 * 4);
    Ok(())
}

/// Samples with colours multiplied by alpha.
fn stored(image: &Image, samples: &[f32], cx: &Context) -> Result<Vec<f32>> {
    cx.budget().take(samples.len() as u64 * 4)?;
    let mut stored = samples.to_vec();
    if matches!(image.channels(), 2 | 4) {
        for pixel in stored.chunks_exact_mut(image.channels().into()) {
            if let Some((&mut alpha, colors)) = pixel.split_last_mut()
                && alpha != 0.0
            {
                colors.iter_mut().for_each(|color| *color *= alpha);
            }
        }
    }
    Ok(stored)
}

fn header(record: &MediaRecord, image: &Image, names: &[(&str, usize)], halves: bool) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(2_u32.to_le_bytes());
    let mut attribute = |name: &str, kind: &str, value: &[u8]| {
        header.extend([name.as_bytes(), b"\0", kind.as_bytes(), b"\0"].concat());
        header.extend((value.len() as u32).to_le_bytes());
        header.extend(value);
    };
    let mut channels = Vec::new();
    for (name, _) in names {
        channels.extend([name.as_bytes(), b"\0"].concat());
        let fields = [if halves { HALF } else { FLOAT }, 0, 1, 1];
        channels.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    }
    channels.push(0);
    let window = [0, 0, image.width() - 1, image.height() - 1];
    let window: Vec<u8> = window.iter().flat_map(|side| side.to_le_bytes()).collect();
    attribute("channels", "chlist", &channels);
    for (property, name) in [("comment", "comments"), ("owner", "owner")] {
        if let Some(Value::String(text)) = record.properties.get(property) {
            attribute(name, "string", text.as_bytes());
        }
    }
    attribute("compression", "compression", &[ZIP]);
    attribute("dataWindow", "box2i", &window);
    attribute("displayWindow", "box2i", &window);
    attribute("lineOrder", "lineOrder", &[0]);
    attribute("pixelAspectRatio", "float", &1_f32.to_le_bytes());
    attribute("screenWindowCenter", "v2f", &[0; 8]);
    attribute("screenWindowWidth", "float", &1_f32.to_le_bytes());
    header.push(0);
    header
}

/// Even bytes before odd ones, differences in their place, and Deflate.
fn packed(bytes: &[u8], encoder: &mut ZlibEncoder<Vec<u8>>) -> Result<Vec<u8>> {
    let mut parted: Vec<u8> = bytes.iter().step_by(2).chain(bytes.iter().skip(1).step_by(2)).copied().collect();
    for index in (1..parted.len()).rev() {
        parted[index] = parted[index].wrapping_sub(parted[index - 1]).wrapping_add(128);
    }
    encoder.write_all(&parted)?;
    Ok(encoder.reset(Vec::new())?)
}
