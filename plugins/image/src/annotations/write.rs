//! What the writers of annotations share.

use std::io::Write;

use mediary_core::record::{Box2, Layer};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use serde::Serialize;
use serde_json::{Number, Value};

use super::IDS;
use super::sheet::GROUND_TRUTH;

/// The picture of a record that is written: its size, and how the file calls it. The pixels are a loss.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: u8,
}

impl Subject {
    pub(super) fn of(record: &MediaRecord, out: &Output, cx: &Context) -> Result<Self> {
        let Media::Image(image) = &record.media else {
            return Err(Error::unsupported(format!("expected an image, found {}", record.kind())));
        };
        if record.annotations.is_empty() {
            return Err(Error::unsupported("expected boxes or masks, found a record without annotations")
                .with_hint("annotations beside a picture are read with -o image.annotations=FILE"));
        }
        // A record that was read from annotations has the name of its picture as its key.
        let name = if IDS.contains(&record.format.as_str()) { &record.key } else { &record.source.name };
        let name = if name.is_empty() { format!("{}.png", out.stem()) } else { name.clone() };
        cx.lose("pixels", 1, format!("the picture itself: the file refers to {name:?} beside it"));
        let properties = record.properties.len() as u64;
        cx.lose("properties", properties, "properties of the picture");
        cx.lose("caption", u64::from(record.caption.is_some()), "the caption of the picture");
        Ok(Self { name, width: image.width(), height: image.height(), channels: image.channels() })
    }
}

/// The layer that the option `layer` names, or the usual one; the others are a loss.
pub(super) fn layer<'r>(record: &'r MediaRecord, cx: &Context) -> Result<(&'r str, &'r Layer)> {
    let layers = &record.annotations;
    let name = cx.options().text("layer");
    let found = match name {
        "" => layers.get_key_value(GROUND_TRUTH).or_else(|| layers.first_key_value()),
        name => layers.get_key_value(name),
    };
    let Some((name, layer)) = found else {
        let known: Vec<_> = layers.keys().map(String::as_str).collect();
        return Err(Error::unsupported(format!("expected a layer {name:?}, found {}", known.join(", "))));
    };
    let others: Vec<_> = layers.keys().filter(|other| *other != name).map(String::as_str).collect();
    cx.lose("layers", others.len() as u64, format!("layers beside {name:?}: {}", others.join(", ")));
    Ok((name, layer))
}

/// Which scores a writer keeps.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Scores {
    #[default]
    None,
    One(&'static str),
    All,
}

/// What a writer keeps of a box beside its place and class.
#[derive(Clone, Copy, Default)]
pub(super) struct Keeps {
    pub(super) captions: bool,
    /// Scores: all, or that of one name.
    pub(super) scores: Scores,
    pub(super) polygons: bool,
    pub(super) runs: bool,
    pub(super) mask: bool,
    /// Properties; `None` for all.
    pub(super) properties: Option<&'static [&'static str]>,
}

impl Keeps {
    /// Names what is lost of a layer.
    pub(super) fn lose(self, layer: &Layer, cx: &Context) {
        let count = |has: &dyn Fn(&Box2) -> usize| layer.boxes.iter().map(has).sum::<usize>() as u64;
        if !self.captions {
            cx.lose("captions", count(&|one| one.caption.is_some().into()), "captions of boxes");
        }
        let scores = |one: &Box2| match self.scores {
            Scores::All => 0,
            Scores::One(kept) => one.scores.keys().filter(|name| *name != kept).count(),
            Scores::None => one.scores.len(),
        };
        cx.lose("scores", count(&scores), "scores of boxes");
        if !self.polygons {
            cx.lose("polygons", count(&|one| one.polygons.len()), "polygons: boxes are left of them");
        }
        if !self.runs {
            cx.lose("runs", count(&|one| one.runs.is_some().into()), "pixels of objects: boxes are left of them");
        }
        if !self.mask {
            cx.lose("mask", layer.mask.is_some().into(), "the mask");
        }
        if let Some(known) = self.properties {
            let others = |one: &Box2| one.properties.keys().filter(|name| !known.contains(&name.as_str())).count();
            cx.lose("box-properties", count(&others), "properties of boxes");
        }
    }
}

/// A number in JSON, without a point where it is whole.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

pub(super) fn numbers(values: &[f64]) -> Value {
    values.iter().map(|&value| number(value)).collect()
}

/// Writes a document and a line end.
pub(super) fn json(out: &mut Output, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}
