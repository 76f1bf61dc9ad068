//! Writing, as the SDK does.

use std::io::Write;

use mediary_core::convert::linear_to_srgb;
use mediary_core::record::{AttributeSpec, PointCloud, ScalarType};
use mediary_core::{Context, Output, Result};
use serde_json::Value;

use super::scan::BUFFER;
use crate::text::Digits;

/// The scene type the SDK writes when none is given.
const DEFAULT_TYPE: &str = "lidar/beta";

/// Which attribute fills the columns after the position.
enum Columns {
    None,
    /// The attribute of this index, as it is.
    Category(usize),
    Color(usize, ColorScale),
}

/// How a colour attribute becomes 0 to 255.
#[derive(Clone, Copy)]
enum ColorScale {
    AsIs,
    /// 0 to 65535.
    Wide,
    /// 0 to 1, linear light, as scenes have it.
    Linear,
}

/// What properties of the record tell of its numbers.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Colours of boxes and vectors are 0 to 1.
    pub(super) unit: bool,
    /// Numbers of points are integers.
    pub(super) whole: bool,
}

pub(super) fn write(
    cloud: &mut PointCloud,
    Style { unit, whole }: Style,
    out: &mut Output,
    cx: &Context,
) -> Result<()> {
    let columns = columns(cloud);
    cx.lose("crs", u64::from(cloud.crs.is_some()), "the coordinate reference system");
    let mut digits = Digits::of(cx);
    let mut text = Vec::with_capacity(BUFFER + 1024);
    text.extend_from_slice(b"{\"type\":");
    push_text(&mut text, cloud.scene_type.as_deref().unwrap_or(DEFAULT_TYPE));
    text.extend_from_slice(b",\"vectors\":[");
    let mut dropped = 0u64;
    let mut gap = "";
    for vector in &cloud.vectors {
        if !vector.start.iter().chain(&vector.end).chain(vector.color.iter().flatten()).all(|v| v.is_finite()) {
            dropped += 1;
            continue;
        }
        text.extend_from_slice(gap.as_bytes());
        text.extend_from_slice(b"{\"start\":");
        push_row(&mut text, &digits.place(vector.start));
        text.extend_from_slice(b",\"end\":");
        push_row(&mut text, &digits.place(vector.end));
        push_color(&mut text, vector.color, unit);
        text.push(b'}');
        gap = ",";
        flush(&mut text, out)?;
    }
    cx.lose("vectors", dropped, "vectors that are not finite");
    text.extend_from_slice(b"],\"points\":[");
    let (mut lost, mut total, mut alpha) = (0u64, 0u64, 0u64);
    let mut gap = false;
    while let Some(chunk) = cloud.points.next_chunk()? {
        cx.checkpoint()?;
        total += chunk.positions().len() as u64;
        let mut row = [0.0; 6];
        for (point, position) in chunk.positions().iter().enumerate() {
            row[..3].copy_from_slice(&digits.place(*position));
            let width = match columns {
                Columns::None => 3,
                Columns::Category(attribute) => {
                    row[3] = chunk.attributes()[attribute].get(point);
                    4
                }
                Columns::Color(attribute, scale) => {
                    let components = cloud.schema[attribute].components;
                    let data = &chunk.attributes()[attribute];
                    for channel in 0..3 {
                        row[3 + channel] = scaled(data.get(point * components + channel), scale);
                    }
                    if components > 3 {
                        let opaque = match scale {
                            ColorScale::AsIs => 255.0,
                            ColorScale::Wide => 65535.0,
                            ColorScale::Linear => 1.0,
                        };
                        alpha += u64::from(data.get(point * components + 3) != opaque);
                    }
                    6
                }
            };
            if !row[..width].iter().all(|value| value.is_finite()) {
                lost += 1;
                continue;
            }
            if gap {
                text.push(b',');
            }
            gap = true;
            match whole {
                true => push_integers(&mut text, &row[..width]),
                false => push_row(&mut text, &row[..width]),
            }
            flush(&mut text, out)?;
        }
    }
    cx.lose("non-finite", lost, "points that are not finite");
    cx.lose("alpha", alpha, "points that are not opaque");
    for (index, attribute) in cloud.schema.iter().enumerate() {
        let is_kept = match columns {
            Columns::None => false,
            Columns::Category(kept) | Columns::Color(kept, _) => index == kept,
        };
        // `color` is `rgb`, rounded.
        let is_same = attribute.name == "color" && matches!(columns, Columns::Color(..));
        if !is_kept && !is_same {
            let message = format!("point attribute {:?}", attribute.name);
            cx.lose(&format!("attribute-{}", attribute.name), total, message);
        }
    }
    text.extend_from_slice(b"],\"boxes\":[");
    let mut dropped = 0u64;
    let mut gap = "";
    for item in &cloud.boxes {
        let numbers = item.corners.iter().flatten().chain(item.color.iter().flatten()).chain(&item.score);
        if !numbers.into_iter().all(|value| value.is_finite()) {
            dropped += 1;
            continue;
        }
        text.extend_from_slice(gap.as_bytes());
        text.extend_from_slice(b"{\"corners\":[");
        for (number, corner) in item.corners.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            push_row(&mut text, &digits.place(*corner));
        }
        text.push(b']');
        if let Some(label) = &item.label {
            text.extend_from_slice(b",\"label\":");
            push_text(&mut text, label);
        }
        push_color(&mut text, item.color, unit);
        if let Some(score) = item.score {
            text.extend_from_slice(b",\"score\":");
            push_float(&mut text, score);
        }
        text.push(b'}');
        gap = ",";
        flush(&mut text, out)?;
    }
    cx.lose("boxes", dropped, "boxes that are not finite");
    digits.report(cx);
    text.extend_from_slice(b"]}");
    out.write_all(&text)?;
    Ok(())
}

fn flush(text: &mut Vec<u8>, out: &mut Output) -> Result<()> {
    if text.len() >= BUFFER {
        out.write_all(text)?;
        text.clear();
    }
    Ok(())
}

/// Exact colours before rounded ones, colours before categories: a row has room for one of them.
fn columns(cloud: &PointCloud) -> Columns {
    let find = |name: &str, fits: fn(&AttributeSpec) -> bool| {
        cloud.schema.iter().position(|attribute| attribute.name == name && fits(attribute))
    };
    let has_color = find("color", |it| it.components >= 3);
    if let (Some(rgb), Some(_)) = (find("rgb", |it| it.components == 3 && it.scalar == ScalarType::F64), has_color) {
        return Columns::Color(rgb, ColorScale::AsIs);
    }
    if let Some(color) = has_color {
        let scale = match cloud.schema[color].scalar {
            ScalarType::F32 | ScalarType::F64 => ColorScale::Linear,
            ScalarType::U16 => ColorScale::Wide,
            _ => ColorScale::AsIs,
        };
        return Columns::Color(color, scale);
    }
    find("category", |it| it.components == 1).map_or(Columns::None, Columns::Category)
}

fn scaled(value: f64, scale: ColorScale) -> f64 {
    match scale {
        ColorScale::AsIs => value,
        ColorScale::Wide => value / 257.0,
        // Three decimals are more than any screen shows, and take the noise of single precision away.
        ColorScale::Linear => (linear_to_srgb(value) * 255_000.0).round() / 1000.0,
    }
}

fn push_text(text: &mut Vec<u8>, value: &str) {
    text.extend_from_slice(Value::from(value).to_string().as_bytes());
}

fn push_row(text: &mut Vec<u8>, values: &[f64]) {
    push_all(text, values, push_float);
}

/// As [`push_row`], whole numbers without a point.
fn push_integers(text: &mut Vec<u8>, values: &[f64]) {
    push_all(text, values, |text, value| {
        if value.fract() == 0.0 && value.abs() < 1e18 {
            let _ = write!(text, "{}", value as i64);
        } else {
            push_float(text, value);
        }
    });
}

fn push_all(text: &mut Vec<u8>, values: &[f64], push: impl Fn(&mut Vec<u8>, f64)) {
    text.push(b'[');
    for (number, &value) in values.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        push(text, value);
    }
    text.push(b']');
}

/// `,"color":[…]`: floats for 0 to 1; for 0 to 255 whole numbers where they are whole, as in the SDK's documentation.
fn push_color(text: &mut Vec<u8>, color: Option<[f64; 3]>, unit: bool) {
    let Some(color) = color else { return };
    text.extend_from_slice(b",\"color\":");
    if unit {
        return push_row(text, &color);
    }
    push_integers(text, &color.map(times_255));
}

/// The number that was divided by 255: of those that give `value`, the whole one, else the shortest.
pub(super) fn times_255(value: f64) -> f64 {
    let product = value * 255.0;
    let candidates = [product.round(), product, product.next_up(), product.next_down()];
    let exact = candidates.into_iter().filter(|candidate| candidate / 255.0 == value);
    exact.min_by_key(|candidate| candidate.to_string().len()).unwrap_or(product)
}

/// A finite number in the style of the SDK (pydantic-core): the shortest digits that read back, always with a point or an
/// exponent; an exponent below 1e-5 and from 1e16 on.
pub(super) fn push_float(text: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let start = text.len();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        let _ = write!(text, "{value:?}");
        return settle_tie(text, start, value);
    }
    if (1e-5..1e-4).contains(&size) {
        let _ = write!(text, "{value}");
        return settle_tie(text, start, value);
    }
    let _ = write!(text, "{value:e}");
    settle_tie(text, start, value);
    if size >= 1.0
        && let Some(at) = text[start..].iter().position(|&byte| byte == b'e')
    {
        text.insert(start + at + 1, b'+');
    }
}

/// Of two shortest texts that are equally near, the SDK takes the one whose last digit is even, Rust the larger one.
fn settle_tie(text: &mut [u8], start: usize, value: f64) {
    let written = &text[start..];
    let end = written.iter().position(|&byte| byte == b'e').unwrap_or(written.len());
    let Some(point) = written[..end].iter().position(|&byte| byte == b'.') else { return };
    let exponent = std::str::from_utf8(written.get(end + 1..).unwrap_or_default()).map(str::parse::<i32>);
    let decimals = (end - point - 1) as i32 - exponent.ok().and_then(std::result::Result::ok).unwrap_or(0);
    // A number of so many binary places has as many decimal ones. One more than is written, and it ends in 5: a tie.
    let bits = value.to_bits();
    let (mantissa, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7FF) as i32);
    let mantissa = if biased > 0 { mantissa | 1 << 52 } else { mantissa };
    let places = 1075 - biased.max(1) - mantissa.trailing_zeros() as i32;
    let last = start + end - 1;
    if places != decimals + 1 || !matches!(text[last], b'1' | b'3' | b'5' | b'7' | b'9') {
        return;
    }
    text[last] -= 1;
    let reads_back = std::str::from_utf8(&text[start..]).is_ok_and(|text| text.parse() == Ok(value));
    if !reads_back {
        text[last] += 1;
    }
}
