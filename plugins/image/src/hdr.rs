//! Radiance HDR, pictures of light with an exponent that the colours of a pixel share.
//!
//! Specification: Greg Ward, "Real Pixels" (Graphics Gems II), and the file formats of Radiance,
//! <https://radsite.lbl.gov/radiance/refer/filefmts.pdf>.
//!
//! | bytes | field |
//! |---|---|
//! | line | `#?RADIANCE`, or `#?` and another program |
//! | lines | `NAME=value`, comments with `#`; `FORMAT=32-bit_rle_rgbe` or `32-bit_rle_xyze`, `EXPOSURE=`, `COLORCORR=` |
//! | line | empty |
//! | line | the size: `-Y 480 +X 640` is 480 rows from the top of 640 pixels from the left |
//! | 4 n | pixels: three mantissas and an exponent of 2, offset by 128; runs as below |
//!
//! A row is flat; or of old runs, in which `1 1 1 n` repeats the pixel before n times, n of one after the other being the
//! digits of a number; or of new runs, `2 2` and the width, and then its four components one after the other, in which
//! n > 128 repeats the byte that follows n - 128 times.
//!
//! Read: all of these, in every of the eight orders of pixels; XYZ becomes RGB of sRGB primaries. Values are those of the
//! pixels, mantissa times power; EXPOSURE and COLORCORR, by which they were multiplied, are properties. A value of 0
//! mantissas is black. Other lines of the header become properties too.
//!
//! Written: RGB in new runs, from the top left. Lost: alpha (`hdr.alpha`), negative light (`hdr.negative`), the bits that a
//! shared exponent has no room for (`hdr.rounded`), profiles and the curve of sRGB, which becomes linear light.
//!
//! Strictness: rows that are missing or broken are an error; lenient leaves them black (`hdr.damaged`). A header without
//! FORMAT is taken for RGBE (`hdr.format`), bytes behind the pixels are told (`hdr.trailing-bytes`); errors when strict.

use std::io::{BufRead, Read, Seek, SeekFrom, Write};

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Samples};
use mediary_core::{
    Context, Error, Facts, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, Output, Result,
    Signature, Source, SourceReader, register, single,
};
use serde_json::{Map, Value};

use crate::decode;
use crate::encode::{self, Holds, Light};

/// Bytes of a line of the header, and lines.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 4096;

/// Widths that new runs can have.
const RUN_WIDTHS: std::ops::RangeInclusive<u32> = 8..=0x7FFF;

const INFO: FormatInfo = FormatInfo::new("hdr", "Radiance HDR", &[Kind::Image])
    .extensions(&["hdr", "rgbe", "xyze", "pic"])
    .media_types(&["image/vnd.radiance"])
    .signatures(&[
        Signature { offset: 0, bytes: b"#?RADIANCE", mask: &[] },
        Signature { offset: 0, bytes: b"#?RGBE", mask: &[] },
        Signature { offset: 0, bytes: b"#?AUTOPANO", mask: &[] },
    ])
    .reads()
    .writes(&[])
    .spec("https://radsite.lbl.gov/radiance/refer/filefmts.pdf");

struct Hdr;

register!(Hdr);

impl Format for Hdr {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_cx), move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

/// What the lines before the pixels say.
struct Head {
    /// Pixels of a stored row, and stored rows.
    across: u32,
    down: u32,
    /// EXIF orientation of the stored rows.
    orientation: u8,
    xyz: bool,
    stated: bool,
    properties: Map<String, Value>,
    /// Where the pixels begin.
    end: u64,
}

impl Head {
    fn read(source: &Source, cx: &Context) -> Result<Self> {
        let mut reader = source.reader();
        let first = line(&mut reader)?;
        if !first.starts_with("#?") {
            return Err(Error::malformed(format!("expected #?RADIANCE, found {first:?}")).at_byte(0));
        }
        let (mut xyz, mut stated, mut exposure, mut correction) = (false, false, None, [1.0; 3]);
        let mut properties = Map::new();
        for _ in 0..MAX_LINES {
            let at = reader.position();
            let text = line(&mut reader)?;
            if text.is_empty() {
                let at = reader.position();
                let size = line(&mut reader)?;
                let (across, down, orientation) = size_of(&size).ok_or_else(|| {
                    Error::malformed(format!("expected a size such as \"-Y 480 +X 640\", found {size:?}")).at_byte(at)
                })?;
                properties.extend(exposure.map(|exposure: f64| ("exposure".to_owned(), exposure.into())));
                if correction != [1.0; 3] {
                    properties.insert("color_correction".into(), correction.to_vec().into());
                }
                let head = Self { across, down, orientation, xyz, stated, properties, end: reader.position() };
                decode::check_size(cx, across, down, 96, source.len())?;
                return Ok(head);
            }
            let Some((name, value)) = text.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            let broken = || Error::malformed(format!("expected numbers in {name}, found {value:?}")).at_byte(at);
            let numbers = || value.split_whitespace().map(|word| word.parse().map_err(|_| broken()));
            match name {
                _ if name.starts_with('#') => {}
                "FORMAT" => {
                    stated = true;
                    xyz = match value {
                        "32-bit_rle_rgbe" => false,
                        "32-bit_rle_xyze" => true,
                        _ => return Err(Error::unsupported(format!("the format {value:?} is not read")).at_byte(at)),
                    };
                }
                // Each multiplies those before it.
                "EXPOSURE" => {
                    let by: f64 = numbers().next().ok_or_else(broken)??;
                    exposure = Some(exposure.unwrap_or(1.0) * by);
                }
                "COLORCORR" => {
                    let by = numbers().collect::<Result<Vec<f64>>>()?;
                    correction.iter_mut().zip(by).for_each(|(all, by)| *all *= by);
                }
                _ => {
                    properties.insert(name.to_lowercase(), value.into());
                }
            }
        }
        Err(Error::malformed(format!("expected at most {MAX_LINES} lines of header, found more")).at_byte(0))
    }

    fn facts(&self) -> ImageFacts {
        let (width, height) = decode::oriented(self.across, self.down, self.orientation);
        ImageFacts {
            width: Some(width),
            height: Some(height),
            channels: Some(3),
            // Three mantissas and the exponent they share.
            bit_depth: Some(32),
            sample_format: Some("float"),
            color_space: Some(ColorSpace::Linear.as_str()),
            has_alpha: Some(false),
            frames: Some(1),
            orientation_applied: Some(self.orientation > 1),
        }
    }
}

/// A line without its end.
fn line(reader: &mut SourceReader) -> Result<String> {
    let at = reader.position();
    let mut line = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(Error::malformed(format!("expected a line of at most {MAX_LINE} bytes, found no end of it"))
            .at_byte(at)
            .with_hint("the file is cut short; fetch or copy it again"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

/// Pixels of a row, rows, and the EXIF orientation that the signs and their order are.
fn size_of(text: &str) -> Option<(u32, u32, u8)> {
    let words: Vec<_> = text.split_whitespace().collect();
    let &[first, rows, second, columns] = &words[..] else { return None };
    let orientation = match (first, second) {
        ("-Y", "+X") => 1,
        ("-Y", "-X") => 2,
        ("+Y", "-X") => 3,
        ("+Y", "+X") => 4,
        ("+X", "-Y") => 5,
        ("-X", "-Y") => 6,
        ("-X", "+Y") => 7,
        ("+X", "+Y") => 8,
        _ => return None,
    };
    Some((columns.parse().ok()?, rows.parse().ok()?, orientation))
}

fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    let head = Head::read(source, cx)?;
    let mut header = Header::single(Facts::Image(head.facts()));
    let twice = if head.orientation > 1 { 2 } else { 1 };
    header.memory = Some(u64::from(head.across) * u64::from(head.down) * 12 * twice);
    Ok(header)
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let head = Head::read(source, cx)?;
    if !head.stated {
        cx.tolerate("format", "expected a line FORMAT, found none; RGBE is taken", Location::byte(0))?;
    }
    let mut reader = source.reader();
    reader.seek(SeekFrom::Start(head.end))?;
    let mut samples = decode::buffer::<f32>(cx, u64::from(head.across) * u64::from(head.down) * 3)?;
    let mut row = decode::buffer::<[u8; 4]>(cx, head.across.into())?;
    for (number, line) in samples.chunks_exact_mut(head.across as usize * 3).enumerate() {
        if number % 64 == 0 {
            cx.checkpoint()?;
        }
        let at = reader.position();
        if let Err(problem) = self::row(&mut reader, &mut row) {
            let place = Location { byte: Some(at), ..Location::element(format!("rows[{number}]")) };
            cx.unless_lenient("damaged", problem.at(place))?;
            break;
        }
        for (pixel, rgbe) in line.as_chunks_mut::<3>().0.iter_mut().zip(&row) {
            *pixel = light(*rgbe);
            if head.xyz {
                *pixel = xyz_to_rgb(*pixel);
            }
        }
    }
    let behind = reader.source_len().saturating_sub(reader.position());
    if behind > 0 {
        let text = format!("{behind} bytes behind the pixels are left out");
        cx.tolerate("trailing-bytes", text, Location::byte(reader.position()))?;
    }
    cx.budget().give_back(u64::from(head.across) * 4);
    let mut image = decode::upright(cx, head.across, head.down, 3, Samples::F32(samples.into()), head.orientation)?;
    image.color_space = ColorSpace::Linear;
    let mut record = MediaRecord::new(image);
    record.properties = head.properties;
    Ok(record)
}

/// Reads a row, of whichever kind.
fn row(reader: &mut SourceReader, row: &mut [[u8; 4]]) -> Result<()> {
    let ended = |_| Error::malformed("a row ends early").with_hint("the file is cut short; fetch or copy it again");
    let mut first = [0; 4];
    reader.read_exact(&mut first).map_err(ended)?;
    let width = row.len() as u32;
    let is_new = first[..2] == [2, 2] && first[2] < 128 && RUN_WIDTHS.contains(&width);
    if is_new && u32::from(u16::from_be_bytes([first[2], first[3]])) != width {
        let found = u16::from_be_bytes([first[2], first[3]]);
        return Err(Error::malformed(format!("expected a row of {width} pixels, found one of {found}")));
    }
    if !is_new {
        return old_row(reader, first, row);
    }
    for component in 0..4 {
        let mut at = 0;
        while at < row.len() {
            let mut head = [0; 2];
            reader.read_exact(&mut head).map_err(ended)?;
            let [count, byte] = head;
            let (count, run) = if count > 128 { (usize::from(count - 128), true) } else { (usize::from(count), false) };
            if count == 0 || count > row.len() - at {
                let text = format!("expected a run of 1 to {} pixels, found {count}", row.len() - at);
                return Err(Error::malformed(text));
            }
            let mut bytes = [byte; 128];
            if !run {
                reader.read_exact(&mut bytes[1..count]).map_err(ended)?;
            }
            for (pixel, byte) in row[at..at + count].iter_mut().zip(bytes) {
                pixel[component] = byte;
            }
            at += count;
        }
    }
    Ok(())
}

/// A row of pixels, some of which say how often the one before them comes again.
fn old_row(reader: &mut SourceReader, first: [u8; 4], row: &mut [[u8; 4]]) -> Result<()> {
    let (mut at, mut shift, mut pixel) = (0_usize, 0, first);
    loop {
        if pixel[..3] == [1, 1, 1] {
            let count = usize::from(pixel[3]).checked_shl(shift).unwrap_or(usize::MAX);
            let before = at.checked_sub(1).map(|before| row[before]);
            let (Some(before), true) = (before, count <= row.len() - at) else {
                return Err(Error::malformed(format!(
                    "expected a run of up to {} pixels, found {count}",
                    row.len() - at
                )));
            };
            row[at..at + count].fill(before);
            at += count;
            shift += 8;
        } else {
            row[at] = pixel;
            at += 1;
            shift = 0;
        }
        if at == row.len() {
            return Ok(());
        }
        reader.read_exact(&mut pixel).map_err(|_| {
            Error::malformed("a row ends early").with_hint("the file is cut short; fetch or copy it again")
        })?;
    }
}

/// Three floats of mantissas and their exponent.
fn light([r, g, b, exponent]: [u8; 4]) -> [f32; 3] {
    if exponent == 0 {
        return [0.0; 3];
    }
    let scale = f64::from(i32::from(exponent) - 128 - 8).exp2() as f32;
    [r, g, b].map(|mantissa| f32::from(mantissa) * scale)
}

/// CIE XYZ, in which Radiance has equal energy for white, as RGB of sRGB primaries and the same white.
fn xyz_to_rgb([x, y, z]: [f32; 3]) -> [f32; 3] {
    [
        2.565_2 * x - 1.166_5 * y - 0.398_6 * z,
        -1.022_1 * x + 1.978_3 * y + 0.043_8 * z,
        0.074_7 * x - 0.251_9 * y + 1.177_2 * z,
    ]
}

/// Mantissas and exponent of a pixel, those of the greatest.
fn shared(pixel: [f32; 3]) -> [u8; 4] {
    let most = f64::from(pixel.into_iter().fold(0.0, f32::max));
    if most == 0.0 {
        return [0; 4];
    }
    // The power of 2 above the greatest.
    let power = (most.to_bits() >> 52) as i32 - 1022;
    let scale = f64::from(8 - power).exp2();
    let mantissas = pixel.map(|value| (f64::from(value.max(0.0)) * scale).round() as u8);
    match u8::try_from(power + 128) {
        Ok(exponent) if exponent > 0 => [mantissas[0], mantissas[1], mantissas[2], exponent],
        Ok(_) => [0; 4],
        Err(_) => [255, 255, 255, 255],
    }
}

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    const HOLDS: Holds =
        Holds { channels: &[3], eight: false, sixteen: false, float: true, light: Light::Linear, profile: false };
    let image = encode::fit(encode::image(record)?, &HOLDS, cx)?;
    encode::lose_rest(record, &["exposure"], cx);
    let Samples::F32(samples) = image.samples() else {
        return Err(Error::unsupported("samples of a new type cannot be written"));
    };
    writeln!(out, "#?RADIANCE\nFORMAT=32-bit_rle_rgbe")?;
    if let Some(exposure) = record.properties.get("exposure").and_then(Value::as_f64) {
        writeln!(out, "EXPOSURE={exposure}")?;
    }
    writeln!(out, "\n-Y {} +X {}", image.height(), image.width())?;
    let (mut negative, mut rounded) = (0, 0);
    let mut bytes = Vec::new();
    for row in samples.chunks_exact(image.width() as usize * 3) {
        cx.checkpoint()?;
        let mut pixels = Vec::with_capacity(row.len() / 3);
        for &pixel in row.as_chunks::<3>().0 {
            let rgbe = shared(pixel);
            for (value, kept) in pixel.into_iter().zip(light(rgbe)) {
                negative += u64::from(value < 0.0);
                rounded += u64::from(value >= 0.0 && value != kept || value.is_nan());
            }
            pixels.push(rgbe);
        }
        bytes.clear();
        if RUN_WIDTHS.contains(&image.width()) {
            bytes.extend([2, 2, (image.width() >> 8) as u8, image.width() as u8]);
            (0..4).for_each(|component| runs(pixels.iter().map(|pixel| pixel[component]), &mut bytes));
        } else {
            bytes.extend(pixels.as_flattened());
        }
        out.write_all(&bytes)?;
    }
    cx.lose("negative", negative, "negative light is black");
    cx.lose("rounded", rounded, "samples are rounded to 8 bits of an exponent that three share");
    Ok(())
}

/// One component of a row as runs of at least three, and what is between them.
fn runs(values: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    const LONGEST_RUN: usize = 127;
    const LONGEST: usize = 128;
    let values: Vec<u8> = values.collect();
    let length = |at: usize| values[at..].iter().take(LONGEST_RUN).take_while(|&&value| value == values[at]).count();
    let (mut at, mut from) = (0, 0);
    let literal = |from: usize, to: usize, out: &mut Vec<u8>| {
        for part in values[from..to].chunks(LONGEST) {
            out.push(part.len() as u8);
            out.extend_from_slice(part);
        }
    };
    while at < values.len() {
        let run = length(at);
        if run > 2 {
            literal(from, at, out);
            out.extend([128 + run as u8, values[at]]);
            from = at + run;
        }
        at += if run > 2 { run } else { 1 };
    }
    literal(from, values.len(), out);
}

#[cfg(test)]
mod tests {
    use mediary_core::record::Image;
    use mediary_core::{ErrorKind, Strictness};

    use super::*;
    use crate::testing;

    fn floats(record: &MediaRecord) -> &[f32] {
        let Samples::F32(samples) = testing::image(record).samples() else { panic!("expected floats") };
        samples
    }

    fn good(name: &str) -> Vec<u8> {
        testing::data(&format!("hdr/{name}"))
    }

    /// What OpenCV 5.0 states, and of old runs the reference of image-rs: name, size, means, last pixel.
    #[test]
    fn values_are_those_of_other_readers() {
        for (name, size, means, last) in [
            ("rgbr4x4.hdr", (4, 4), [2.502_487_18, 0.274_902_344, 0.265_625], [10.0, 1.0, 0.0625]),
            ("old-rle.hdr", (551, 276), [0.187_386_57, 0.25, 0.312_613_43], [0.125, 0.25, 0.375]),
            (
                "overexposed-gradient.hdr",
                (20, 12),
                [1.356_347_66, 0.717_618_815, 0.685_164_388],
                [2.03125, 1.265_625, 1.125],
            ),
            (
                "scale.hdr",
                (256, 8),
                [6.646_139_98e35, 8.242_771_26e34, 1.241_607_99e36],
                [8.507_059_173_023_462e37, 4.253_529_586_511_731e37, 1.269_412_735_974_594_7e38],
            ),
        ] {
            let record = testing::read("a.hdr", good(name)).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height(), image.channels()), (size.0, size.1, 3), "{name}");
            let pixels = floats(&record).as_chunks::<3>().0;
            for channel in 0..3 {
                let sum: f64 = pixels.iter().map(|pixel| f64::from(pixel[channel])).sum();
                let mean = sum / pixels.len() as f64;
                assert!((mean / means[channel] - 1.0).abs() < 1e-8, "{name}: {mean} {}", means[channel]);
            }
            assert_eq!(pixels[pixels.len() - 1].map(f64::from), last, "{name}");
            assert_eq!(testing::codes(&record), Vec::<String>::new(), "{name}");
        }
    }

    fn made(size: &str, pixels: &[u8]) -> Vec<u8> {
        [format!("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=2\nEXPOSURE=4\n\n{size}\n").as_bytes(), pixels].concat()
    }

    #[test]
    fn every_order_of_pixels_becomes_the_same_picture() {
        // Two columns and three rows of pixels 1 to 6, as in the drawings of the Exif specification.
        for (size, stored) in [
            ("-Y 3 +X 2", [1, 2, 3, 4, 5, 6]),
            ("-Y 3 -X 2", [2, 1, 4, 3, 6, 5]),
            ("+Y 3 -X 2", [6, 5, 4, 3, 2, 1]),
            ("+Y 3 +X 2", [5, 6, 3, 4, 1, 2]),
            ("+X 2 -Y 3", [1, 3, 5, 2, 4, 6]),
            ("-X 2 -Y 3", [2, 4, 6, 1, 3, 5]),
            ("-X 2 +Y 3", [6, 4, 2, 5, 3, 1]),
            ("+X 2 +Y 3", [5, 3, 1, 6, 4, 2]),
        ] {
            let pixels: Vec<u8> = stored.iter().flat_map(|&value| [value, 9, 9, 136]).collect();
            let record = testing::read("a.hdr", made(size, &pixels)).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height()), (2, 3), "{size}");
            let reds: Vec<_> = floats(&record).iter().step_by(3).copied().collect();
            assert_eq!(reds, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{size}");
            assert_eq!(record.properties["exposure"], 8.0);
        }
    }

    #[test]
    fn runs_that_do_not_fit_are_errors() {
        for (pixels, text) in [
            (&[1, 1, 1, 5][..], "expected a run of up to 2 pixels, found 5"),
            (&[9, 9, 9, 136, 1, 1, 1, 2], "expected a run of up to 1 pixels, found 2"),
            (&[9, 9, 9, 136, 9], "a row ends early"),
        ] {
            let error = testing::read("a.hdr", made("-Y 1 +X 2", pixels)).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Malformed, text));
            let options = testing::strictly(Strictness::Lenient);
            let record = testing::read_with("a.hdr", made("-Y 1 +X 2", pixels), &options).unwrap();
            assert_eq!(testing::codes(&record), ["hdr.damaged"]);
        }
        let error = testing::read("a.hdr", made("-Y 1 2", &[])).unwrap_err();
        assert_eq!(error.message(), "expected a size such as \"-Y 480 +X 640\", found \"-Y 1 2\"");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for name in ["overexposed-gradient.hdr", "old-rle.hdr", "rgbr4x4.hdr", "scale.hdr"] {
            let mut record = testing::read("a.hdr", good(name)).unwrap();
            let again = testing::read("a.hdr", testing::write(&mut record, "hdr", &[])).unwrap();
            assert_eq!(floats(&record), floats(&again), "{name}");
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
        }
        let samples = vec![1.0, 0.3, -2.0, 0.0, 1e30, 1e-30].into();
        let mut image = Image::new(2, 1, 3, Samples::F32(samples)).unwrap();
        image.color_space = ColorSpace::Linear;
        let mut record = MediaRecord::new(image);
        let again = testing::read("a.hdr", testing::write(&mut record, "hdr", &[])).unwrap();
        for (value, kept) in floats(&record).iter().zip(floats(&again)) {
            assert!(*value < 0.01 || (value / kept - 1.0).abs() < 0.02, "{value} {kept}");
        }
        let codes: Vec<_> = record.loss.iter().map(|loss| (loss.code.as_ref(), loss.count)).collect();
        assert_eq!(codes, [("hdr.negative", 1), ("hdr.rounded", 3)]);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("hdr");
    }
}
