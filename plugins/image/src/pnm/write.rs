//! Writes images as portable maps.

use std::io::Write;

use mediary_core::record::{Image, Samples};
use mediary_core::{Context, Error, MediaRecord, Output, Result};
use serde_json::Value;

use crate::encode::{self, Holds, Light};

/// Samples between two looks at the clock.
const STEP: usize = 1 << 16;

const INTEGERS: Holds =
    Holds { channels: &[1, 2, 3, 4], eight: true, sixteen: true, float: false, light: Light::Display, profile: false };
const FLOATS: Holds =
    Holds { channels: &[1, 3, 4], eight: false, sixteen: false, float: true, light: Light::Linear, profile: false };

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let image = encode::image(record)?;
    let variant = cx.options().text("variant");
    let holds = match variant {
        "pfm" => Holds { channels: &[1, 3], ..FLOATS },
        "auto" if matches!(image.samples(), Samples::F32(_)) => FLOATS,
        "auto" | "pam" => INTEGERS,
        "ppm" => Holds { channels: &[3], ..INTEGERS },
        _ => Holds { channels: &[1, 3], ..INTEGERS },
    };
    let bilevel = is_bilevel(image);
    let image = encode::fit(image, &holds, cx)?;
    encode::lose_rest(record, &["comment"], cx);
    let kind = match (variant, image.channels(), image.samples()) {
        (_, 1, Samples::F32(_)) => "Pf",
        (_, 3, Samples::F32(_)) => "PF",
        (_, _, Samples::F32(_)) => "PF4",
        ("pam", ..) | ("auto", 2 | 4, _) => "P7",
        ("pbm", ..) | ("auto", 1, _) if bilevel => "P4",
        ("pgm" | "auto", 1, _) => "P5",
        ("ppm" | "auto", 3, _) => "P6",
        ("pbm", ..) => {
            return Err(Error::unsupported("expected pixels of black and white alone for pbm, found others"));
        }
        _ => {
            return Err(Error::unsupported(format!("expected gray for {variant}, found colours"))
                .with_hint("turn the picture to gray first, or write ppm"));
        }
    };
    head(record, &image, kind, out)?;
    pixels(&image, kind == "P4", out, cx)
}

/// Whether a gray picture is of one bit, of whatever depth its samples are.
fn is_bilevel(image: &Image) -> bool {
    let Samples::U8(samples) = image.samples() else { return false };
    image.channels() == 1 && image.source_bits == 1 && samples.iter().all(|sample| matches!(sample, 0 | 255))
}

/// Magic, comments, size and largest value.
fn head(record: &MediaRecord, image: &Image, kind: &str, out: &mut Output) -> Result<()> {
    let (width, height) = (image.width(), image.height());
    let most = if matches!(image.samples(), Samples::U16(_)) { 65535 } else { 255 };
    writeln!(out, "{kind}")?;
    if let (Some(Value::String(comment)), false) = (record.properties.get("comment"), kind.starts_with("PF")) {
        for line in comment.split(['\n', '\r']) {
            writeln!(out, "# {line}")?;
        }
    }
    match kind {
        "P7" => {
            let depth = image.channels();
            let tuple = ["GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"][usize::from(depth - 1)];
            writeln!(out, "WIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {most}\nTUPLTYPE {tuple}\nENDHDR")?;
        }
        "P4" => writeln!(out, "{width} {height}")?,
        "P5" | "P6" => writeln!(out, "{width} {height}\n{most}")?,
        // Little-endian.
        _ => writeln!(out, "{width} {height}\n-1.0")?,
    }
    Ok(())
}

fn pixels(image: &Image, as_bits: bool, out: &mut Output, cx: &Context) -> Result<()> {
    let (width, row) = (image.width() as usize, image.width() as usize * usize::from(image.channels()));
    match image.samples() {
        Samples::U8(samples) if as_bits => {
            for row in samples.chunks(width) {
                cx.checkpoint()?;
                let pack = |eight: &[u8]| {
                    eight.iter().enumerate().fold(0, |byte, (bit, &sample)| byte | u8::from(sample == 0) << (7 - bit))
                };
                out.write_all(&row.chunks(8).map(pack).collect::<Vec<u8>>())?;
            }
        }
        Samples::U8(samples) => {
            for some in samples.chunks(STEP) {
                cx.checkpoint()?;
                out.write_all(some)?;
            }
        }
        Samples::U16(samples) => {
            for some in samples.chunks(STEP) {
                cx.checkpoint()?;
                out.write_all(&some.iter().flat_map(|sample| sample.to_be_bytes()).collect::<Vec<u8>>())?;
            }
        }
        Samples::F32(samples) => {
            for row in samples.rchunks(row) {
                cx.checkpoint()?;
                out.write_all(&row.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        _ => return Err(Error::unsupported("samples of a new type cannot be written")),
    }
    Ok(())
}
