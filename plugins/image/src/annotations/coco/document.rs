//! The document, parsed into what is needed of it: a file of a real dataset has a million numbers.

use std::fmt;

use mediary_core::{Context, Result, Source};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::annotations::json;

/// Bytes that a number in a list takes, a list, an object, and a member of one that is kept as it stands: each with the room that its
/// list grows by.
const SIZES: [u64; 4] = [16, 48, 2 * size_of::<Annotation>() as u64, 128];

#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) images: Vec<Picture>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) categories: Vec<Category>,
}

/// An entry of `images`.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) id: f64,
    pub(super) file_name: String,
    /// Width and height; 0 where there is none.
    pub(super) size: [u32; 2],
    pub(super) rest: Map<String, Value>,
}

/// An entry of `annotations`.
#[derive(Debug, Default)]
pub(super) struct Annotation {
    pub(super) image_id: f64,
    pub(super) category_id: Option<f64>,
    pub(super) bbox: Vec<f64>,
    pub(super) segmentation: Segmentation,
    pub(super) score: Option<f64>,
    pub(super) rest: Map<String, Value>,
}

/// An entry of `categories`.
#[derive(Debug, Deserialize)]
pub(super) struct Category {
    pub(super) id: f64,
    #[serde(default)]
    pub(super) name: String,
}

/// What tells the pixels of an object.
#[derive(Debug, Default)]
pub(super) enum Segmentation {
    #[default]
    None,
    /// Coordinates, x and y by turns.
    Polygons(Vec<Vec<f64>>),
    Runs {
        /// Height and width.
        size: [u32; 2],
        counts: Counts,
    },
}

#[derive(Debug)]
pub(super) enum Counts {
    Numbers(Vec<u32>),
    Text(String),
}

/// Parses a file.
pub(super) fn parse(source: &Source, cx: &Context) -> Result<Document> {
    let bytes = source.bytes(cx)?;
    let sizes: u64 = json::count(&bytes, *b",[{:").iter().zip(SIZES).map(|(count, size)| count * size).sum();
    cx.budget().take(source.len() + sizes)?;
    cx.checkpoint()?;
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let document: Document = serde_json::from_slice(text).map_err(|error| json::malformed(&error))?;
    cx.limits().check("elements", document.images.len().max(document.annotations.len()) as u64)?;
    Ok(document)
}

/// Reads an object key by key: those that are known go to fields, the others to `rest` or nowhere.
macro_rules! object {
    ($target:ident, $what:literal, |$it:ident, $map:ident, $key:ident| { $($known:literal => $read:expr,)+ } else $rest:expr) => {
        impl<'de> Deserialize<'de> for $target {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl<'de> Visitor<'de> for Reader {
                    type Value = $target;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut $map: A) -> Result<$target, A::Error> {
                        let mut $it = $target::default();
                        while let Some($key) = $map.next_key::<String>()? {
                            match $key.as_str() {
                                $($known => $read,)+
                                _ => $rest,
                            }
                        }
                        Ok($it)
                    }
                }
                deserializer.deserialize_map(Reader)
            }
        }
    };
}

object!(Document, "an object with images and annotations", |it, map, key| {
    "images" => it.images = map.next_value()?,
    "annotations" => it.annotations = map.next_value()?,
    "categories" => it.categories = map.next_value()?,
} else {
    map.next_value::<IgnoredAny>()?;
});

object!(Picture, "an object that describes a picture", |it, map, key| {
    "id" => it.id = map.next_value()?,
    "file_name" => it.file_name = map.next_value()?,
    "width" => it.size[0] = map.next_value::<Side>()?.0,
    "height" => it.size[1] = map.next_value::<Side>()?.0,
} else {
    it.rest.insert(key, map.next_value()?);
});

object!(Annotation, "an object that describes an object in a picture", |it, map, key| {
    "image_id" => it.image_id = map.next_value()?,
    "category_id" => it.category_id = map.next_value()?,
    "bbox" => it.bbox = map.next_value::<Option<_>>()?.unwrap_or_default(),
    "segmentation" => it.segmentation = map.next_value::<Option<_>>()?.unwrap_or_default(),
    "score" => it.score = map.next_value()?,
} else {
    it.rest.insert(key, map.next_value()?);
});

/// A side in pixels, which some tools write with a point.
struct Side(u32);

impl<'de> Deserialize<'de> for Side {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<f64>::deserialize(deserializer)?.unwrap_or_default();
        if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(D::Error::custom(format!("expected a number of pixels, found {value}")));
        }
        Ok(Self(value as u32))
    }
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Segmentation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of polygons, or an object with size and counts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segmentation, A::Error> {
                let (mut polygons, mut flat) = (Vec::new(), Vec::new());
                while let Some(part) = list.next_element::<Part>()? {
                    match part {
                        Part::Polygon(polygon) => polygons.push(polygon),
                        // One polygon that is not in a list of its own.
                        Part::Number(number) => flat.push(number),
                    }
                }
                if !flat.is_empty() {
                    polygons.push(flat);
                }
                Ok(if polygons.is_empty() { Segmentation::None } else { Segmentation::Polygons(polygons) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segmentation, A::Error> {
                let (mut size, mut counts) = (None::<[u32; 2]>, None::<Counts>);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "size" => size = Some(map.next_value()?),
                        "counts" => counts = Some(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                match (size, counts) {
                    (Some(size), Some(counts)) => Ok(Segmentation::Runs { size, counts }),
                    (None, _) => Err(A::Error::missing_field("size")),
                    _ => Err(A::Error::missing_field("counts")),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

enum Part {
    Number(f64),
    Polygon(Vec<f64>),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a polygon of numbers")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Part, E> {
                Ok(Part::Number(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
                Ok(Part::Number(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Part, E> {
                Ok(Part::Number(value as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
                let mut polygon = Vec::new();
                while let Some(number) = list.next_element()? {
                    polygon.push(number);
                }
                Ok(Part::Polygon(polygon))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("run lengths as a list of numbers or as text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Counts, E> {
                Ok(Counts::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counts, A::Error> {
                let mut counts = Vec::new();
                while let Some(count) = list.next_element()? {
                    counts.push(count);
                }
                Ok(Counts::Numbers(counts))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
