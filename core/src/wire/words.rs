//! Words of closed lists, which records hold as `&'static str`: anything else is an error. For `deserialize_with`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::record::audio::SPEAKERS;
use crate::record::{ColorSpace, ColumnType};

fn find<E: Error>(word: &str, known: &'static [&'static str]) -> Result<&'static str, E> {
    known.iter().copied().find(|known| *known == word).ok_or_else(|| E::unknown_variant(word, known))
}

fn required<'de, D: Deserializer<'de>>(
    deserializer: D,
    known: &'static [&'static str],
) -> Result<&'static str, D::Error> {
    find(&Cow::<str>::deserialize(deserializer)?, known)
}

fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    known: &'static [&'static str],
) -> Result<Option<&'static str>, D::Error> {
    Option::<Cow<'_, str>>::deserialize(deserializer)?.map(|word| find(&word, known)).transpose()
}

pub(crate) fn light<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    required(deserializer, &["directional", "point", "spot"])
}

pub(crate) fn secondary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    required(deserializer, &["helix", "sheet"])
}

pub(crate) fn axis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
    optional(deserializer, &["x", "y", "z"])
}

pub(crate) fn sample_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
    optional(deserializer, &["uint", "float"])
}

pub(crate) fn color_space<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
    Ok(Option::<ColorSpace>::deserialize(deserializer)?.map(ColorSpace::as_str))
}

pub(crate) fn column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
    Ok(Option::<ColumnType>::deserialize(deserializer)?.map(ColumnType::as_str))
}

pub(crate) fn speakers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    let words = Vec::<Cow<'_, str>>::deserialize(deserializer)?;
    words.iter().map(|word| find(word, &SPEAKERS)).collect()
}
