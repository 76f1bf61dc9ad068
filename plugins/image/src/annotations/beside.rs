//! Annotations beside a picture that is read by itself: the options `image.annotations` and `image.masks`.

use mediary_core::record::annotations::settle;
use mediary_core::record::{Annotations, Layer};
use mediary_core::{
    Confidence, Context, Error, ErrorKind, MediaRecord, OptionSpec, OptionType, Options, Probe, Result, Source,
};

use super::sheet::{self, GROUND_TRUTH, size};
use super::{boxes, coco, labelme, labels, voc, yolo};

/// Option of reading images: where annotations are.
pub(crate) const ANNOTATIONS: OptionSpec = OptionSpec::read(
    "annotations",
    OptionType::Text,
    "none",
    "Boxes and masks beside a picture: a file's name, `auto` for one of the picture's name, or `none`.",
);

/// Option of reading images: where masks are.
pub(crate) const MASKS: OptionSpec = OptionSpec::read(
    "masks",
    OptionType::Text,
    "",
    "Label images beside a picture, PNG or npy: `FILE` or `LAYER:FILE`, several with commas.",
);

/// Endings of a file of the picture's name that `auto` looks for, in this order.
const ENDINGS: [&str; 6] = ["boxes.json", "coco.json", "labelme.json", "json", "xml", "txt"];

/// Scores from which `auto` takes a file of JSON or XML for what it looks like.
const CERTAIN: u8 = 150;

/// Adds the annotations that lie beside a picture, as options ask for; without one, none: what a picture becomes depends on its
/// bytes alone.
///
/// `annotations` is the name of a file of any of the formats of annotations, or `auto`: the first file of the picture's name, with another
/// ending, that is one of them beyond doubt. `masks` are label images. Both are opened as siblings of `source`.
///
/// # Errors
/// What a file that was named lacks; what strictness does not tolerate in annotations; `Limit` and `Cancelled`.
pub(crate) fn annotate(record: &mut MediaRecord, source: &Source, options: &Options, cx: &Context) -> Result<()> {
    let size = size(record);
    let mut found = Annotations::new();
    match options.text("annotations") {
        "" | "none" => {}
        "auto" => {
            if record.annotations.is_empty()
                && let Some(file) = sought(source, cx)?
            {
                found = read(&file, source, size, cx)?;
            }
        }
        name => {
            let file = source
                .sibling(name, cx)
                .map_err(|error| error.with_hint("files beside the picture are named by -o image.annotations=NAME"))?;
            found = read(&file, source, size, cx)?;
        }
    }
    for part in options.text("masks").split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (layer, name) = part.split_once(':').unwrap_or((GROUND_TRUTH, part));
        let (mask, names) = labels::read(&source.sibling(name, cx)?, cx)?;
        let into: &mut Layer = found.entry(layer.to_owned()).or_default();
        for (id, name) in names {
            into.class_labels.entry(id).or_insert(name);
        }
        into.mask = Some(mask);
    }
    settle(&mut found, size[0], size[1], cx)?;
    for (name, layer) in found {
        let into = record.annotations.entry(name).or_default();
        into.class_labels.extend(layer.class_labels);
        into.boxes.extend(layer.boxes);
        into.mask = layer.mask.or(into.mask.take());
    }
    Ok(())
}

/// How each format looks at a file, and reads it beside a picture.
type Look = fn(&Probe<'_>) -> Confidence;
type Read = fn(&Source, &Source, [u32; 2], &Context) -> Result<Annotations>;
const FORMATS: [(&str, Look, Read); 5] = [
    ("boxes.json", boxes::probed, sheet::beside::<boxes::Document>),
    ("coco", coco::probed, |file, source, size, cx| coco::beside(file, source.name(), size, cx)),
    ("labelme", labelme::probed, sheet::beside::<labelme::Document>),
    ("voc", voc::probed, sheet::beside::<voc::Document>),
    ("yolo", yolo::probed, sheet::beside::<yolo::Lines>),
];

/// The format that a file looks most like, and how much so.
fn recognised(file: &Source) -> Option<(u8, &'static str, Read)> {
    let probe = Probe { head: file.head(), tail: file.tail(), len: file.len(), name: file.name() };
    let scores = FORMATS.iter().filter_map(|(id, look, read)| match look(&probe) {
        Confidence::Yes(score, _) => Some((score, *id, *read)),
        _ => None,
    });
    scores.max_by_key(|(score, ..)| *score)
}

fn sought(source: &Source, cx: &Context) -> Result<Option<Source>> {
    let Some((stem, _)) = source.name().rsplit_once('.') else { return Ok(None) };
    for ending in ENDINGS {
        let name = format!("{stem}.{ending}");
        let file = match source.sibling(&name, cx) {
            Ok(file) if name != source.name() => file,
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            _ => continue,
        };
        // Any other text may stand beside a picture: a caption, a log.
        if recognised(&file).is_some_and(|(score, id, _)| score >= CERTAIN || id == "yolo") {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn read(file: &Source, source: &Source, size: [u32; 2], cx: &Context) -> Result<Annotations> {
    let Some((.., read)) = recognised(file) else {
        let known = FORMATS.map(|(id, ..)| id).join(", ");
        return Err(Error::new(ErrorKind::NotRecognised, format!("{:?} is no file of annotations", file.name()))
            .with_hint(format!("it can be {known}; label images are named by -o image.masks=FILE")));
    };
    read(file, source, size, cx).map_err(|error| error.with_path(file.name().to_owned()))
}
