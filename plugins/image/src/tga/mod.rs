//! TGA, the Targa of Truevision.
//!
//! Specification: Truevision TGA File Format Specification, version 2.0,
//! <https://www.dca.fee.unicamp.br/~martino/disciplinas/ea978/tgaffs.pdf>.
//!
//! | offset | bytes | field (little-endian) |
//! |---|---|---|
//! | 0 | 3 | length of the identification, 1 if there is a colour map, type: 1 map, 2 colour, 3 gray, 9 to 11 the same in runs |
//! | 3 | 5 | colour map: first index, entries, bits of an entry |
//! | 8 | 8 | origin, width, height |
//! | 16 | 2 | bits of a pixel; descriptor: bits 0 to 3 attribute bits, 4 from the right, 5 from the top |
//! | 18 | n | identification, colour map, pixels |
//! | end - 26 | 26 | version 2: offsets of the extension and developer areas, `TRUEVISION-XFILE.` and 0 |
//!
//! There is no magic: without the footer, sizes and depths must make sense, and runs must fill the picture.
//!
//! Read: all types and origins; 8 and 16 bits of index, maps of 15, 16, 24 and 32 bits, colours of the same, gray of 1, 8
//! and 16 bits (gray and alpha). Five bits become eight as in Pillow (rounded down). Also as in Pillow the fourth byte is
//! alpha, and the 16th bit is transparent where it is set, whatever the descriptor says, unless the extension area says
//! that there is none; but where the descriptor has no attribute bits and all of the picture would be clear, it is opaque
//! (`tga.alpha`). Premultiplied alpha is divided out (`tga.premultiplied`). Identification, author, comment, date, job,
//! software, aspect and gamma are properties. The postage stamp, colour corrections and the developer area are left out.
//!
//! Written: gray, RGB and RGBA in runs (types 11 and 10), or plain with `rle=false`, with the footer of version 2. Lost:
//! 16 bits and floats (`tga.depth`, `tga.float`), colour profiles (`tga.icc`), properties (`tga.properties`).
//!
//! Strictness: indices outside of the map, which are black (`tga.index`), runs that go on behind the last pixel
//! (`tga.run`), a broken extension area (`tga.extension`) and interlaced rows, which are read in order
//! (`tga.interleave`), are warnings, errors when strict. Bytes after the pixels of a file without a footer are a note
//! (`tga.trailing-bytes`). Missing pixels are an error; lenient reads those before, the rest is 0 (`tga.truncated`).

mod extension;
mod header;
mod write;

use mediary_core::record::Samples;
use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, OptionSpec,
    OptionType, Output, Probe, Result, Severity, Source, register, single,
};

use crate::decode;
use crate::raster::{Layout, part};
use extension::Extension;
use header::{Colors, Head};

const INFO: FormatInfo = FormatInfo::new("tga", "Truevision Targa", &[Kind::Image])
    .extensions(&["tga", "icb", "vda", "vst", "targa"])
    .media_types(&["image/x-tga", "image/x-targa"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Alpha, Feature::Integer])
    .options(&[OptionSpec::write("rle", OptionType::Bool, "true", "pack equal pixels into runs")])
    .spec("https://www.dca.fee.unicamp.br/~martino/disciplinas/ea978/tgaffs.pdf");

struct Tga;

register!(Tga);

impl Format for Tga {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let Ok(head) = Head::parse(probe.head) else {
            // A broken file may still carry the extension.
            return if probe.looks_like_text() { Confidence::No } else { Confidence::Unknown };
        };
        match head.fit(probe.head, probe.len) {
            _ if extension::has_footer(probe.tail) => Confidence::yes(240, "the TRUEVISION-XFILE footer"),
            header::Fit::Exact => Confidence::yes(130, "a header whose pixels end with the file"),
            header::Fit::Room => Confidence::yes(60, "a header whose pixels fit into the file"),
            header::Fit::Short => Confidence::Unknown,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let head = Head::parse(source.head())?;
        let extension = Extension::read(source)?;
        let layout = layout(&head, extension.as_ref());
        layout.check(cx, if head.runs { source.len() } else { head.raster_bytes() })?;
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || Ok(layout.header()), move || read(&source, &head, extension.as_ref(), &layout, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// The picture in memory.
fn layout(head: &Head, extension: Option<&Extension>) -> Layout {
    let no_alpha = extension.is_some_and(|extension| extension.attributes == extension::NO_ALPHA);
    let channels = match head.channels() {
        4 if no_alpha => 3,
        2 if no_alpha => 1,
        channels => channels,
    };
    Layout::new(head.width.into(), head.height.into(), channels, head.sample_bits())
}

fn read(
    source: &Source,
    head: &Head,
    extension: Option<&Extension>,
    layout: &Layout,
    cx: &Context,
) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    if head.interleaved {
        cx.tolerate("interleave", "expected rows in order, found them interlaced", Location::byte(17))?;
    }
    let start = head.start;
    let map = part(cx, &bytes, head.map_start(), (start - head.map_start()) as u64, "the colour map")?;
    let mut samples = decode::buffer::<u8>(cx, layout.samples())?;
    let unpacked;
    let (stored, end) = if head.runs {
        let (pixels, end) = unpack(head, &bytes, cx)?;
        unpacked = pixels;
        (&unpacked[..], end)
    } else {
        let stored = part(cx, &bytes, start, head.raster_bytes(), "the picture")?;
        (stored, start + stored.len())
    };

    let mut colors = Colors::new(head, map);
    let row = layout.row();
    let (width, height) = (usize::from(head.width), usize::from(head.height));
    for (y, packed) in stored.chunks(head.row_bytes()).take(height).enumerate() {
        if y % 256 == 0 {
            cx.checkpoint()?;
        }
        let y = if head.from_top { y } else { height - 1 - y };
        let row = &mut samples[y * row..(y + 1) * row];
        for (x, pixel) in row.chunks_exact_mut(layout.channels.into()).enumerate() {
            let x = if head.from_right { width - 1 - x } else { x };
            let Some(color) = colors.pixel(packed, x) else { continue };
            match pixel {
                [gray] => *gray = color[0],
                [gray, alpha] => [*gray, *alpha] = [color[0], color[3]],
                _ => pixel.copy_from_slice(&color[..pixel.len()]),
            }
        }
    }
    cx.budget().give_back(if head.runs { stored.len() as u64 } else { 0 });
    colors.tell(start, cx)?;
    settle_alpha(&mut samples, head, extension, layout, cx);

    let mut record = MediaRecord::new(layout.image(Samples::U8(samples.into()))?);
    if let Some(id) = header::text(&bytes[header::HEADER..head.map_start().min(bytes.len())]) {
        record.properties.insert("id".into(), id.into());
    }
    match extension {
        Some(extension) => extension.describe(&mut record.properties, cx)?,
        None if end < bytes.len() => {
            let text = format!("{} bytes after the pixels, they are left out", bytes.len() - end);
            cx.report(Severity::Info, "trailing-bytes", text, Some(Location::byte(end as u64)));
        }
        None => {}
    }
    Ok(record)
}

/// The alpha of records is one, and not premultiplied.
fn settle_alpha(samples: &mut [u8], head: &Head, extension: Option<&Extension>, layout: &Layout, cx: &Context) {
    if !matches!(layout.channels, 2 | 4) {
        return;
    }
    let pixels = samples.chunks_exact_mut(layout.channels.into());
    if head.attribute_bits == 0 && pixels.into_iter().all(|pixel| pixel.last() == Some(&0)) {
        samples.chunks_exact_mut(layout.channels.into()).for_each(|pixel| {
            if let Some(alpha) = pixel.last_mut() {
                *alpha = 255;
            }
        });
        cx.note("alpha", "the descriptor has no attribute bits and all alpha is 0: the picture is taken for opaque");
        return;
    }
    if extension.is_some_and(|extension| extension.attributes == extension::PREMULTIPLIED) {
        for pixel in samples.chunks_exact_mut(layout.channels.into()) {
            if let Some((&mut alpha @ 1.., colors)) = pixel.split_last_mut() {
                let alpha = u16::from(alpha);
                for color in colors {
                    *color = ((u16::from(*color) * 255 + alpha / 2) / alpha).min(255) as u8;
                }
            }
        }
        cx.note("premultiplied", "the colours are divided by the alpha that they were multiplied with");
    }
}

/// The pixels of runs, as they would be stored without them, and where the runs end.
fn unpack(head: &Head, bytes: &[u8], cx: &Context) -> Result<(Vec<u8>, usize)> {
    let unit = head.pixel_bytes();
    let mut pixels = decode::buffer::<u8>(cx, head.raster_bytes())?;
    let (mut at, mut filled) = (head.start, 0);
    let mut packets = 0_u32;
    while filled < pixels.len() {
        packets += 1;
        if packets.is_multiple_of(1 << 14) {
            cx.checkpoint()?;
        }
        let packet = bytes.get(at..).and_then(|rest| rest.split_first());
        let Some((&tag, rest)) = packet else { break };
        let count = usize::from(tag & 0x7F) + 1;
        let is_run = tag & 0x80 != 0;
        let length = if is_run { unit } else { unit * count };
        let stored = &rest[..length.min(rest.len())];
        let room = &mut pixels[filled..];
        let fits = (unit * count).min(room.len());
        if fits < unit * count {
            let text = format!("a packet goes on for {} pixels behind the last one", count - fits / unit);
            cx.tolerate("run", text, Location::byte(at as u64))?;
        }
        if is_run && stored.len() == unit {
            room[..fits].chunks_exact_mut(unit).for_each(|pixel| pixel.copy_from_slice(stored));
            filled += fits;
        } else if !is_run {
            let there = fits.min(stored.len());
            room[..there].copy_from_slice(&stored[..there]);
            filled += there;
        }
        at += 1 + stored.len();
        if stored.len() < length {
            break;
        }
    }
    if filled < pixels.len() {
        let (expected, found) = (pixels.len() / unit, filled / unit);
        let error = Error::malformed(format!("the packets end early: expected {expected} pixels, found {found}"));
        cx.unless_lenient("truncated", {
            error.at_byte(at as u64).with_hint("the file is cut short; fetch or copy it again")
        })?;
    }
    Ok((pixels, at))
}

#[cfg(test)]
mod tests;
