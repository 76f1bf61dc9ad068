//! COCO, the JSON of the dataset "Common Objects in Context" for objects in pictures.
//!
//! Specification: <https://cocodataset.org/#format-data>; run lengths and what a polygon covers by the code of the COCO API,
//! <https://github.com/cocodataset/cocoapi>.
//!
//! | key | holds |
//! |---|---|
//! | `images` | `id`, `file_name`, `width`, `height` of every picture |
//! | `categories` | `id`, `name` of every class |
//! | `annotations` | `image_id`, `category_id`, `bbox` (`[x, y, width, height]` in pixels), `segmentation`, `area`, `iscrowd`, `id`, of a prediction `score` |
//! | `segmentation` | a list of polygons `[x, y, x, y, …]`, or run lengths: `{"size": [height, width], "counts": …}`, a list of numbers or a compressed text |
//!
//! Read: every picture is a record, in the order of `images`, with its annotations in their order as boxes of the layer that the
//! option `layer` names; polygons and runs stay with their box, `score` is the score of that name, all other keys (`area`,
//! `iscrowd`, `id`, `keypoints` …) are properties of the box, those of the picture properties of the record. A box without `bbox` is
//! the one around its segmentation. Captions become the caption and, when there are several, the property `captions`. `info`, `licenses` and super-categories are left out.
//!
//! Pictures lie beside the file or below: under `file_name`, or under its last part. One that is missing is an error, and ends
//! the reading, for a reader is not asked again after an error; lenient goes on with the next one (`coco.missing-picture`).
//!
//! Written: one record as a file of one picture; a second one in the same file is refused. A mask becomes one annotation a class, with runs and `"iscrowd": 1`. Polygons
//! go as they are, runs compressed, properties of boxes under their keys; `area` counts pixels where there is no given one. Lost:
//! the pixels of the picture (`coco.pixels`), captions of boxes, scores but `score`, layers but one.
//!
//! Strictness: the rows of [`validate`](mediary_core::record::annotations::validate), and
//! as warnings, errors when strict: a size other than the picture's (`coco.size`), annotations of pictures that are not listed
//! (`coco.orphans`), ids that occur twice (`coco.duplicate-id`). A class that is not whole, an odd number of coordinates and runs
//! that do not fit their size are errors; lenient leaves the annotation out (`coco.annotation`).

mod document;
mod rle;
mod write;

use std::collections::{BTreeMap, HashMap};

use mediary_core::record::annotations::{Form, Position, Runs, Unit, settle};
use mediary_core::record::{Annotations, Box2, Layer};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord, Output, Probe,
    Result, Source, Strictness, register,
};
use serde_json::{Map, Value};

use super::json::mentions;
use super::picture::{self, Pictures};
use super::sheet::{READ_LAYER, WRITE_LAYER, check_size, layer_name, leave_out, make_room, size};
use document::{Annotation, Counts, Document, Segmentation};

pub(super) const INFO: FormatInfo = FormatInfo::new("coco", "COCO annotations", &[Kind::Image])
    .extensions(&["coco.json"])
    .media_types(&["application/json"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .many_records()
    .siblings()
    .options(&[READ_LAYER, WRITE_LAYER])
    .spec("https://cocodataset.org/#format-data");

struct Coco;

register!(Coco);

impl Format for Coco {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        probed(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        // Parsed here: what the document takes belongs to all records, and is counted before the first one.
        let document = document::parse(source, cx)?;
        let by_picture = by_picture(&document, cx)?;
        let labels = labels(&document, cx)?;
        let pictures = Pictures::new();
        let (source, cx) = (source.clone(), cx.clone());
        Ok(Box::new(Reader {
            source,
            cx,
            pictures,
            document,
            by_picture,
            labels,
            waiting: None,
            next: 0,
            header: None,
        }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// Keys of the document may stand at its end, behind what fills the head.
pub(super) fn probed(probe: &Probe<'_>) -> Confidence {
    if probe.text().first() != Some(&b'{') {
        return Confidence::No;
    }
    let has = |key: &&str| mentions(&[probe.head, probe.tail], key);
    let main = ["images", "annotations", "categories"].iter().filter(|key| has(key)).count();
    let inner = ["file_name", "image_id", "category_id", "bbox", "iscrowd", "segmentation", "supercategory"];
    match (main, inner.iter().filter(|key| has(key)).count()) {
        (3, 3..) => Confidence::yes(200, "a JSON object with images, annotations and categories of COCO"),
        (2, 3..) => Confidence::yes(150, "a JSON object with keys of COCO"),
        (2.., 1..) => Confidence::yes(60, "a JSON object with some keys of COCO"),
        _ => Confidence::Unknown,
    }
}

struct Reader {
    source: Source,
    cx: Context,
    pictures: Pictures,
    document: Document,
    /// Indices of annotations, by picture.
    by_picture: Vec<Vec<usize>>,
    labels: BTreeMap<i64, String>,
    /// The next picture, opened.
    waiting: Option<(usize, picture::Picture)>,
    /// The picture to be looked for next.
    next: usize,
    header: Option<Header>,
}

impl Reader {
    /// Opens the next picture that is there.
    fn find(&mut self) -> Result<Option<(usize, picture::Picture)>> {
        while self.next < self.document.images.len() {
            let index = self.next;
            self.next += 1;
            let name = &self.document.images[index].file_name;
            let named = self.pictures.named(&self.source, name, &self.cx);
            match named.and_then(|picture| self.pictures.open(&picture, &self.cx)) {
                Ok(picture) => return Ok(Some((index, picture))),
                Err(error) => {
                    let error =
                        if error.location().is_none() { error.at_element(format!("images[{index}]")) } else { error };
                    leave_out("missing-picture", error, &self.cx)?;
                }
            }
        }
        Ok(None)
    }

    fn wait(&mut self) -> Result<()> {
        if self.waiting.is_none() {
            self.waiting = self.find()?;
        }
        Ok(())
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        self.wait()?;
        let Some((_, picture)) = &mut self.waiting else {
            return Err(Error::malformed("expected pictures in `images`, found none"));
        };
        let mut header = picture.header()?;
        // Lenient leaves out those that are missing.
        let all = self.cx.strictness() != Strictness::Lenient;
        header.records = Some(self.document.images.len() as u64).filter(|_| all);
        self.header = Some(header.clone());
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        self.wait()?;
        if self.header.is_none() && self.waiting.is_some() {
            self.header()?;
        }
        let Some((index, picture)) = self.waiting.take() else { return Ok(None) };
        let mut record = picture.record(&self.cx)?;
        let size = size(&record);
        let chosen = std::mem::take(&mut self.by_picture[index]);
        let annotations = chosen.into_iter().map(|at| (at, std::mem::take(&mut self.document.annotations[at])));
        let annotations: Vec<_> = annotations.collect();
        let entry = std::mem::take(&mut self.document.images[index]);
        let (mut annotations, captions) = layers(annotations, &self.labels, size, &self.cx)?;
        check_size(entry.size, size, &format!("images[{index}]"), &self.cx)?;
        settle(&mut annotations, size[0], size[1], &self.cx)?;
        record.annotations = annotations;
        record.key = entry.file_name;
        record.properties.extend(entry.rest);
        record.properties.insert("id".into(), super::write::number(entry.id));
        record.properties.extend(caption(&captions, &mut record.caption));
        if self.cx.strictness() == Strictness::Lenient {
            // What is missing next is told with this record, while there is one.
            self.wait()?;
        }
        Ok(Some(record))
    }
}

/// The first caption is that of the record.
fn caption(captions: &[String], of_record: &mut Option<String>) -> Option<(String, Value)> {
    *of_record = captions.first().cloned().or(of_record.take());
    (captions.len() > 1).then(|| ("captions".into(), captions.into()))
}

/// Which annotations are of which picture.
fn by_picture(document: &Document, cx: &Context) -> Result<Vec<Vec<usize>>> {
    let mut known = HashMap::new();
    for (index, picture) in document.images.iter().enumerate() {
        if known.insert(picture.id.to_bits(), index).is_some() {
            let message =
                format!("the id {} of a picture occurs twice; its annotations go to the last one", picture.id);
            cx.tolerate("duplicate-id", message, Location::element(format!("images[{index}].id")))?;
        }
    }
    let mut by_picture = vec![Vec::new(); document.images.len()];
    for (index, annotation) in document.annotations.iter().enumerate() {
        match known.get(&annotation.image_id.to_bits()) {
            Some(&picture) => by_picture[picture].push(index),
            None => {
                let message = format!("an annotation is of the picture {}, which is not listed", annotation.image_id);
                cx.tolerate("orphans", message, Location::element(format!("annotations[{index}].image_id")))?;
            }
        }
    }
    Ok(by_picture)
}

fn labels(document: &Document, cx: &Context) -> Result<BTreeMap<i64, String>> {
    let mut labels = BTreeMap::new();
    for (index, category) in document.categories.iter().enumerate() {
        let at = || format!("categories[{index}].id");
        let id = whole(category.id).map_err(|error| error.at_element(at()))?;
        if labels.insert(id, category.name.clone()).is_some() {
            let message = format!("the id {id} of a category occurs twice; it has the last name");
            cx.tolerate("duplicate-id", message, Location::element(at()))?;
        }
    }
    Ok(labels)
}

fn whole(value: f64) -> Result<i64> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Ok(value as i64);
    }
    Err(Error::malformed(format!("expected a whole number as class, found {value}")))
}

/// The layer of a picture, and its captions. `annotations` come with their index.
fn layers(
    annotations: Vec<(usize, Annotation)>,
    labels: &BTreeMap<i64, String>,
    size: [u32; 2],
    cx: &Context,
) -> Result<(Annotations, Vec<String>)> {
    let mut layer = Layer { class_labels: labels.clone(), ..Layer::default() };
    let mut captions = Vec::new();
    make_room(annotations.len(), cx)?;
    for (count, (index, mut annotation)) in annotations.into_iter().enumerate() {
        if count % 1024 == 0 {
            cx.checkpoint()?;
        }
        let bare = annotation.bbox.is_empty() && matches!(annotation.segmentation, Segmentation::None);
        if let Some(Value::String(caption)) = annotation.rest.get("caption").filter(|_| bare) {
            captions.push(caption.clone());
            continue;
        }
        let wide = std::mem::take(&mut annotation.rest);
        match object(annotation, wide, size) {
            Ok(one) => layer.boxes.push(one),
            Err((part, error)) => leave_out("annotation", error.at_element(format!("annotations[{index}]{part}")), cx)?,
        }
    }
    Ok(([(layer_name(cx), layer)].into(), captions))
}

/// The box of an annotation, or what is wrong with which part of it.
fn object(
    annotation: Annotation,
    properties: Map<String, Value>,
    [width, height]: [u32; 2],
) -> Result<Box2, (&'static str, Error)> {
    let class = match annotation.category_id {
        Some(class) => whole(class).map_err(|error| (".category_id", error))?,
        None => return Err(("", Error::malformed("expected a category_id, found none"))),
    };
    let (mut polygons, mut runs) = (Vec::new(), None);
    match annotation.segmentation {
        Segmentation::None => {}
        Segmentation::Polygons(lists) => {
            for list in lists {
                polygons.push(polygon(list).map_err(|error| (".segmentation", error))?);
            }
        }
        Segmentation::Runs { size: [height, width], counts } => {
            let counts = match counts {
                Counts::Numbers(numbers) => Ok(numbers),
                Counts::Text(text) => rle::decode(&text),
            };
            let read = counts.and_then(|counts| Runs::new(width, height, counts));
            runs = Some(read.map_err(|error| (".segmentation.counts", error))?);
        }
    }
    let mut one = match (annotation.bbox[..].try_into(), &runs) {
        (Ok(values), _) => {
            let position = Position { form: Form::Size, unit: Unit::Pixel, values };
            Box2::at(position, class, width, height)
        }
        (Err(_), _) if !annotation.bbox.is_empty() => {
            let found = annotation.bbox.len();
            return Err((".bbox", Error::malformed(format!("expected [x, y, width, height], found {found} numbers"))));
        }
        (_, Some(runs)) => Box2 { pixels: runs.bounds(), class_id: class, ..Box2::default() },
        _ if polygons.is_empty() => {
            return Err(("", Error::malformed("expected a bbox or a segmentation, found neither")));
        }
        _ => Box2 { pixels: Box2::around(&polygons.concat()), class_id: class, ..Box2::default() },
    };
    one.scores.extend(annotation.score.map(|score| ("score".to_owned(), score)));
    (one.polygons, one.runs, one.properties) = (polygons, runs, properties);
    Ok(one)
}

/// The corners of a list of coordinates. Four numbers are a box to the tools of COCO.
fn polygon(list: Vec<f64>) -> Result<Vec<[f64; 2]>> {
    if let &[x, y, width, height] = &list[..] {
        return Ok(vec![[x, y], [x, y + height], [x + width, y + height], [x + width, y]]);
    }
    let (corners, rest) = list.as_chunks::<2>();
    if rest.is_empty() {
        return Ok(corners.to_vec());
    }
    Err(Error::malformed(format!("expected pairs of coordinates, found {} numbers", list.len())))
}

/// What a file says of the picture of this name.
pub(super) fn beside(source: &Source, name: &str, size: [u32; 2], cx: &Context) -> Result<Annotations> {
    let mut document = document::parse(source, cx)?;
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let Some(index) = document.images.iter().position(|picture| last(&picture.file_name) == name) else {
        let count = document.images.len();
        return Err(Error::malformed(format!("expected {name:?} among the pictures, found {count} others")));
    };
    let (chosen, labels) = (std::mem::take(&mut by_picture(&document, cx)?[index]), labels(&document, cx)?);
    let annotations = chosen.into_iter().map(|at| (at, std::mem::take(&mut document.annotations[at]))).collect();
    check_size(document.images[index].size, size, &format!("images[{index}]"), cx)?;
    Ok(layers(annotations, &labels, size, cx)?.0)
}

#[cfg(test)]
mod tests;
