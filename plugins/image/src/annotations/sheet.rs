//! What formats share whose file is about one picture.

use std::collections::{BTreeMap, HashMap};

use mediary_core::record::annotations::settle;
use mediary_core::record::{Annotations, Box2};
use mediary_core::{
    Context, Error, ErrorKind, FormatReader, Header, Location, Media, MediaRecord, OptionSpec, OptionType, Result,
    Source,
};
use serde_json::{Map, Value};

use super::picture::{Picture, Pictures};

/// The layer of formats that have none.
pub(super) const GROUND_TRUTH: &str = "ground_truth";

/// The option of reading: the layer that annotations of a format without layers become.
pub(super) const READ_LAYER: OptionSpec =
    OptionSpec::read("layer", OptionType::Text, GROUND_TRUTH, "layer that the annotations become");

/// The option of writing: which layer.
pub(super) const WRITE_LAYER: OptionSpec = OptionSpec::write(
    "layer",
    OptionType::Text,
    "",
    "layer that is written; without one it is `ground_truth`, or the first",
);

/// The layer that annotations become: that of the option, where the format that is read has it.
pub(super) fn layer_name(cx: &Context) -> String {
    match cx.options().text("layer") {
        "" => GROUND_TRUTH.to_owned(),
        name => name.to_owned(),
    }
}

/// A file about one picture, parsed.
pub(super) trait Sheet: Sized + Send + 'static {
    /// Endings of its files.
    const ENDINGS: &'static [&'static str];

    /// Reads a file.
    fn parse(source: &Source, cx: &Context) -> Result<Self>;

    /// How the file calls its picture; `None` when that has the name of the file.
    fn picture(&self) -> Option<&str> {
        None
    }

    /// The picture, where the file holds it itself.
    fn embedded(&self, _cx: &Context) -> Result<Option<Source>> {
        Ok(None)
    }

    /// What it says of a picture of this size, unsettled, and what it says beside that. `source` is the file: others lie beside it.
    fn annotations(self, source: &Source, size: [u32; 2], cx: &Context) -> Result<(Annotations, Map<String, Value>)>;
}

/// The reader of a format of sheets.
pub(super) fn reader<S: Sheet>(source: &Source, cx: &Context) -> Box<dyn FormatReader> {
    Box::new(Reader::<S> { source: source.clone(), cx: cx.clone(), opened: None, done: false })
}

struct Reader<S> {
    source: Source,
    cx: Context,
    opened: Option<(S, Picture)>,
    done: bool,
}

impl<S: Sheet> Reader<S> {
    fn open(&self) -> Result<(S, Picture)> {
        let (source, cx) = (&self.source, &self.cx);
        let sheet = S::parse(source, cx)?;
        let pictures = Pictures::new();
        let beside = match sheet.picture() {
            Some(name) => pictures.named(source, name, cx),
            None => pictures.of_stem(source, S::ENDINGS, cx),
        };
        let missing = beside.is_err();
        match beside.and_then(|picture| pictures.open(&picture, cx)) {
            Ok(picture) => Ok((sheet, picture)),
            Err(error) if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Cancelled) => Err(error),
            Err(error) => {
                let embedded = sheet.embedded(cx)?;
                if embedded.is_some() && !missing {
                    let message = format!("{}: the picture inside of the file is taken", error.message());
                    cx.warn_at("picture", message, Location::element("imagePath"));
                }
                Ok((sheet, pictures.open(&embedded.ok_or(error)?, cx)?))
            }
        }
    }
}

impl<S: Sheet> FormatReader for Reader<S> {
    fn header(&mut self) -> Result<Header> {
        if let Some((_, picture)) = &mut self.opened {
            return picture.header();
        }
        let (sheet, mut picture) = self.open()?;
        let mut header = picture.header()?;
        header.records = Some(1);
        if !self.done {
            self.opened = Some((sheet, picture));
        }
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (sheet, picture) = match self.opened.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        let mut record = picture.record(&self.cx)?;
        let size = size(&record);
        let (mut annotations, properties) = sheet.annotations(&self.source, size, &self.cx)?;
        settle(&mut annotations, size[0], size[1], &self.cx)?;
        record.annotations = annotations;
        record.properties.extend(properties);
        Ok(Some(record))
    }
}

/// Width and height of a picture.
pub(super) fn size(record: &MediaRecord) -> [u32; 2] {
    match &record.media {
        Media::Image(image) => [image.width(), image.height()],
        _ => [0, 0],
    }
}

/// Takes the memory of so many boxes.
pub(super) fn make_room(boxes: usize, cx: &Context) -> Result<()> {
    cx.budget().take((boxes as u64).saturating_mul(size_of::<Box2>() as u64))
}

/// Leaves out what is broken when lenient, with a finding; an error otherwise. Limits stay errors.
pub(super) fn leave_out(code: &str, error: Error, cx: &Context) -> Result<()> {
    if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Cancelled) {
        return Err(error);
    }
    cx.unless_lenient(code, error)
}

/// What a file says of a picture that it lies beside. `source` is the picture.
pub(super) fn beside<S: Sheet>(file: &Source, source: &Source, size: [u32; 2], cx: &Context) -> Result<Annotations> {
    let sheet = S::parse(file, cx)?;
    if let Some(other) = sheet.picture().filter(|name| name.rsplit(['/', '\\']).next() != Some(source.name())) {
        let message =
            format!("the annotations in {:?} are of {other:?}, the picture is {:?}", file.name(), source.name());
        cx.tolerate("other-picture", message, Location::element("annotations"))?;
    }
    Ok(sheet.annotations(source, size, cx)?.0)
}

/// Reports that a file was made for a picture of another size.
pub(super) fn check_size(declared: [u32; 2], found: [u32; 2], element: &str, cx: &Context) -> Result<()> {
    if declared == found || declared == [0, 0] {
        return Ok(());
    }
    let turned = if declared == [found[1], found[0]] { ", perhaps not turned upright" } else { "" };
    let message = format!(
        "the annotations are of a picture of {} x {} pixels{turned}, the picture has {} x {}",
        declared[0], declared[1], found[0], found[1]
    );
    cx.tolerate("size", message, Location::element(element))
}

/// Class ids of formats that know names only: from 1 on, in the order in which names come. 0 is left for what is nothing.
#[derive(Default)]
pub(super) struct Names {
    ids: HashMap<String, i64>,
    pub(super) labels: BTreeMap<i64, String>,
}

impl Names {
    pub(super) fn id(&mut self, name: &str) -> i64 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.ids.len() as i64 + 1;
        self.ids.insert(name.to_owned(), id);
        self.labels.insert(id, name.to_owned());
        id
    }
}
