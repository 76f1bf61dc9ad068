//! Writes images as Targa files.

use std::io::Write;

use mediary_core::record::Samples;
use mediary_core::{Context, Error, MediaRecord, Output, Result};

use crate::encode::{self, Holds, Light};

const HOLDS: Holds =
    Holds { channels: &[1, 3, 4], eight: true, sixteen: false, float: false, light: Light::Display, profile: false };

/// Pixels of a packet.
const MOST: usize = 128;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &[], cx);
    let Samples::U8(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    let (Ok(width), Ok(height)) = (u16::try_from(image.width()), u16::try_from(image.height())) else {
        let text = format!("expected sides of at most 65535, found {} x {}", image.width(), image.height());
        return Err(Error::unsupported(text));
    };
    let channels = usize::from(image.channels());
    let runs = cx.options().bool("rle");
    let kind = if channels == 1 { 3 } else { 2 } + if runs { 8 } else { 0 };
    let mut head = vec![0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    head.extend([width, height].map(u16::to_le_bytes).concat());
    // From the top; of 32 bits 8 are alpha.
    head.extend([8 * image.channels(), if channels == 4 { 0x28 } else { 0x20 }]);
    out.write_all(&head)?;

    let row = usize::from(width) * channels;
    let mut stored = Vec::with_capacity(row);
    let mut packets = Vec::new();
    for (y, pixels) in samples.chunks_exact(row).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        stored.clear();
        stored.extend_from_slice(pixels);
        if channels > 1 {
            stored.chunks_exact_mut(channels).for_each(|pixel| pixel.swap(0, 2));
        }
        if runs {
            packets.clear();
            pack(&stored, channels, &mut packets);
            out.write_all(&packets)?;
        } else {
            out.write_all(&stored)?;
        }
    }
    // No areas of version 2, but its signature.
    out.write_all(&[0; 8])?;
    Ok(out.write_all(b"TRUEVISION-XFILE.\0")?)
}

/// Packets of a row, of `unit` bytes a pixel.
fn pack(row: &[u8], unit: usize, packets: &mut Vec<u8>) {
    let mut rest = row;
    while !rest.is_empty() {
        let same = rest.chunks_exact(unit).take(MOST).take_while(|pixel| **pixel == rest[..unit]).count();
        // Two equal pixels of a byte are no shorter as a run.
        if same * unit > 2 || same * unit == rest.len() && same > 1 {
            packets.push(0x80 | (same - 1) as u8);
            packets.extend_from_slice(&rest[..unit]);
            rest = &rest[same * unit..];
            continue;
        }
        let pairs = rest.chunks_exact(unit).zip(rest[unit..].chunks_exact(unit)).take(MOST - 1);
        // Up to the first of three equal pixels of a byte, or of two wider ones.
        let equal = if unit == 1 { 2 } else { 1 };
        let (mut count, mut run) = (1, 0);
        for (this, next) in pairs {
            run = if this == next { run + 1 } else { 0 };
            if run == equal {
                count -= equal;
                break;
            }
            count += 1;
        }
        packets.push((count - 1) as u8);
        packets.extend_from_slice(&rest[..count * unit]);
        rest = &rest[count * unit..];
    }
}
