//! Pascal VOC, the XML of the Visual Object Classes challenge for one picture.
//!
//! Specification: the development kit, <http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html>.
//!
//! | element of `annotation` | holds |
//! |---|---|
//! | `filename`, `folder`, `source` | the picture |
//! | `size` | `width`, `height`, `depth` |
//! | `object` | `name`, `bndbox` (`xmin`, `ymin`, `xmax`, `ymax`), `pose`, `truncated`, `difficult`, `occluded`, `part` |
//!
//! The pixels of the challenge itself count from 1, and a box ends with its last pixel: 1 to 640 is the whole width of 640
//! pixels. Tools that write this XML since (labelImg, CVAT, Roboflow) write corners from 0 on, as they stand. The option `base` says
//! which: `1` takes 1 off `xmin` and `ymin`, `0` takes coordinates as they stand, `auto` is 1 where `source/database` is one of the
//! challenge (`The VOC2007 Database`), and 0 elsewhere.
//!
//! Read: objects as boxes of one layer (`layer`); elements inside of an object that hold text become properties of its box. Names have
//! class ids from 1 on, in the order in which they come. `segmented` and other elements of texts become properties of the record. Parts of objects and elements
//! that are nested otherwise are left out (`voc.element`).
//!
//! Written: `pose`, `truncated`, `difficult`, `occluded` from properties, coordinates from 0 on (`base`), with a point where they are not
//! whole. Lost: the pixels of the picture (`voc.pixels`), captions, scores, polygons, runs and masks, other properties, ids of classes.
//!
//! Strictness: a box without corners is an error, lenient leaves it out (`voc.object`); a size other than the
//! picture's (`voc.size`), text that is not UTF-8 (`voc.encoding`) and entities that are not known (`voc.entity`) are warnings, errors when strict;
//! and the rows of [`validate`](mediary_core::record::annotations::validate). No entity that a document defines is expanded.

use std::io::Write;

use mediary_core::record::annotations::{Form, Unit};
use mediary_core::record::{Annotations, Box2, Layer};
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, MediaRecord, OptionSpec, OptionType,
    Output, Probe, Result, Source, register,
};
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::labelme::lose_ids;
use super::sheet::{Names, READ_LAYER, Sheet, WRITE_LAYER, check_size, layer_name, leave_out, make_room, reader};
use super::write::{Keeps, Subject, layer};

/// Bytes that the parsed document takes for each of its text.
const GROWTH: u64 = 24;

/// How the names of the challenge's databases begin.
const CHALLENGE: &str = "The VOC";

/// Properties that have an element of their own, and what stands there without one.
const ATTRIBUTES: [(&str, Option<&str>); 4] =
    [("pose", Some("Unspecified")), ("truncated", Some("0")), ("difficult", Some("0")), ("occluded", None)];

const CORNERS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

pub(super) const INFO: FormatInfo = FormatInfo::new("voc", "Pascal VOC annotations", &[Kind::Image])
    .extensions(&["xml"])
    .media_types(&["application/xml"])
    .probes_without_signature()
    .reads()
    .writes(&[])
    .siblings()
    .options(&[
        READ_LAYER,
        OptionSpec::read(
            "base",
            OptionType::Choice(&["auto", "0", "1"]),
            "auto",
            "number of the first pixel; `auto` is 1 for files of the challenge itself, 0 for others",
        ),
        WRITE_LAYER,
        OptionSpec::write(
            "base",
            OptionType::Choice(&["auto", "0", "1"]),
            "auto",
            "number of the first pixel; `auto` is 0",
        ),
    ])
    .spec("http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html");

struct Voc;

register!(Voc);

impl Format for Voc {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        probed(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(reader::<Document>(source, cx))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write(record, out, cx)
    }
}

pub(super) fn probed(probe: &Probe<'_>) -> Confidence {
    let text = probe.text();
    if text.first() != Some(&b'<') {
        return Confidence::No;
    }
    let has = |word: &str| memchr::memmem::find(text, word.as_bytes()).is_some();
    if !has("<annotation>") && !has("<annotation ") {
        return Confidence::No;
    }
    match ["<object>", "<bndbox>", "<xmin>", "<filename>", "<size>"].iter().filter(|word| has(word)).count() {
        2.. => Confidence::yes(200, "an XML document with an annotation of a picture"),
        1 => Confidence::yes(100, "an XML document with an annotation"),
        _ => Confidence::Unknown,
    }
}

#[derive(Default)]
pub(super) struct Document {
    picture: Option<String>,
    database: String,
    size: [u32; 2],
    objects: Vec<Object>,
    properties: Map<String, Value>,
}

#[derive(Default)]
struct Object {
    line: u64,
    name: Option<String>,
    corners: [Option<String>; 4],
    properties: Map<String, Value>,
}

impl Sheet for Document {
    const ENDINGS: &'static [&'static str] = INFO.extensions;

    fn parse(source: &Source, cx: &Context) -> Result<Self> {
        cx.budget().take(source.len().saturating_mul(GROWTH))?;
        let bytes = source.bytes(cx)?;
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes));
        if let Err(error) = std::str::from_utf8(&bytes) {
            let at = Location::byte(error.valid_up_to() as u64);
            cx.tolerate("encoding", "expected UTF-8, found other bytes, which become U+FFFD", at)?;
        }
        Parser::new(&text, cx).parse()
    }

    fn picture(&self) -> Option<&str> {
        self.picture.as_deref()
    }

    fn annotations(self, _: &Source, size: [u32; 2], cx: &Context) -> Result<(Annotations, Map<String, Value>)> {
        check_size(self.size, size, "annotation.size", cx)?;
        let base = match cx.options().text("base") {
            "0" => 0.0,
            "1" => 1.0,
            _ => f64::from(u8::from(self.database.starts_with(CHALLENGE))),
        };
        let (mut names, mut layer) = (Names::default(), Layer::default());
        make_room(self.objects.len(), cx)?;
        for (index, object) in self.objects.into_iter().enumerate() {
            if index % 1024 == 0 {
                cx.checkpoint()?;
            }
            let mut place = Location::element(format!("annotation.object[{index}]"));
            place.line = Some(object.line);
            match one_object(object, base, &mut names) {
                Ok(one) => layer.boxes.push(one),
                Err(error) => leave_out("object", error.at(place), cx)?,
            }
        }
        layer.class_labels = names.labels;
        Ok(([(layer_name(cx), layer)].into(), self.properties))
    }
}

fn one_object(object: Object, base: f64, names: &mut Names) -> Result<Box2> {
    let mut pixels = [0.0; 4];
    for ((value, text), name) in pixels.iter_mut().zip(&object.corners).zip(CORNERS) {
        let Some(text) = text else {
            return Err(Error::malformed(format!("expected the corner {name} of a bndbox, found none")));
        };
        *value = text.parse().map_err(|_| Error::malformed(format!("expected a number as {name}, found {text:?}")))?;
    }
    pixels[0] -= base;
    pixels[1] -= base;
    let name = object.name.ok_or_else(|| Error::malformed("expected the name of an object, found none"))?;
    Ok(Box2 { pixels, class_id: names.id(&name), properties: object.properties, ..Box2::default() })
}

/// Goes through the document, and keeps the names of the elements that are open.
struct Parser<'t, 'c> {
    reader: quick_xml::Reader<&'t [u8]>,
    text: &'t str,
    cx: &'c Context,
    open: Vec<String>,
    content: String,
    /// The element that was closed last was inside of the one that is open.
    nested: bool,
    /// A byte, and its line.
    counted: (usize, u64),
    document: Document,
}

impl<'t, 'c> Parser<'t, 'c> {
    fn new(text: &'t str, cx: &'c Context) -> Self {
        let reader = quick_xml::Reader::from_str(text);
        let (open, content) = (Vec::new(), String::new());
        Self { reader, text, cx, open, content, nested: false, counted: (0, 1), document: Document::default() }
    }

    /// The line where the reader is; each line is counted once.
    fn line(&mut self) -> u64 {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.text.len());
        let (from, lines) = self.counted;
        let passed = self.text.as_bytes().get(from..at).unwrap_or_default();
        self.counted = (from.max(at), lines + memchr::memchr_iter(b'\n', passed).count() as u64);
        self.counted.1
    }

    fn parse(mut self) -> Result<Document> {
        let mut events = 0_u64;
        let mut found = false;
        loop {
            events += 1;
            if events.is_multiple_of(4096) {
                self.cx.checkpoint()?;
            }
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    return Err(Error::malformed(format!("the XML is broken: {error}")).at_line(self.line()));
                }
            };
            match event {
                Event::Start(start) => {
                    self.open.push(start.local_name().as_ref().to_owned());
                    self.cx.limits().check("depth", self.open.len() as u64)?;
                    self.content.clear();
                    self.nested = false;
                    found |= self.open == ["annotation"];
                    if self.open == ["annotation", "object"] {
                        self.cx.limits().check("elements", self.document.objects.len() as u64 + 1)?;
                        let line = self.line();
                        self.document.objects.push(Object { line, ..Object::default() });
                    }
                }
                Event::Text(text) => self.content.push_str(&text.xml10_content()),
                Event::CData(text) => self.content.push_str(&text.xml10_content()),
                Event::GeneralRef(entity) => {
                    let name = entity.xml10_content();
                    let letter = entity.resolve_char_ref().ok().flatten().map(String::from);
                    match letter.or_else(|| resolve_predefined_entity(&name).map(Into::into)) {
                        Some(letter) => self.content.push_str(&letter),
                        None => {
                            let message = format!("the entity {name:?} is not expanded");
                            self.cx.tolerate("entity", message, Location::line(self.line()))?;
                        }
                    }
                }
                Event::End(_) => {
                    self.close()?;
                    self.open.pop();
                    self.content.clear();
                    self.nested = true;
                }
                Event::Eof if !self.open.is_empty() => {
                    let last = self.open.last().cloned().unwrap_or_default();
                    return Err(Error::malformed(format!("the document ends early: {last:?} is not closed"))
                        .at_line(self.line())
                        .with_hint("the file is cut short; fetch or copy it again"));
                }
                Event::Eof if found => return Ok(self.document),
                Event::Eof => return Err(Error::malformed("expected the element annotation, found none")),
                _ => {}
            }
        }
    }

    /// Takes the content of the element that is closed.
    fn close(&mut self) -> Result<()> {
        let line = self.line();
        let names: Vec<&str> = self.open.iter().map(String::as_str).collect();
        let content = self.content.trim();
        match names[..] {
            ["annotation", "filename"] if !content.is_empty() => self.document.picture = Some(content.to_owned()),
            ["annotation", "source", "database"] => self.document.database = content.to_owned(),
            ["annotation", "size", side @ ("width" | "height")] => {
                // Some tools write 0 where they do not know.
                let side = usize::from(side == "height");
                self.document.size[side] = content.parse().map_err(|_| {
                    Error::malformed(format!("expected a number of pixels, found {content:?}")).at_line(line)
                })?;
            }
            ["annotation", "object", "bndbox", corner] => {
                if let (Some(at), Some(object)) =
                    (CORNERS.iter().position(|known| *known == corner), self.document.objects.last_mut())
                {
                    object.corners[at] = Some(content.to_owned());
                }
            }
            ["annotation", "object", "bndbox"] | ["annotation", "object"] => {}
            ["annotation", "object", "name"] => {
                if let Some(object) = self.document.objects.last_mut() {
                    object.name = Some(content.to_owned());
                }
            }
            ["annotation", "object", _] if self.nested => {
                let message = format!("the element {:?} of an object is left out", names[2]);
                self.cx.warn_at("element", message, Location::line(line));
            }
            ["annotation", "object", name] => {
                let value = content.parse::<i64>().map_or_else(|_| Value::from(content), Value::from);
                if let Some(object) = self.document.objects.last_mut().filter(|_| !content.is_empty()) {
                    object.properties.insert(name.to_owned(), value);
                }
            }
            ["annotation", name]
                if !self.nested && !content.is_empty() && !matches!(name, "folder" | "path" | "filename") =>
            {
                let value = content.parse::<i64>().map_or_else(|_| Value::from(content), Value::from);
                self.document.properties.insert(name.to_owned(), value);
            }
            _ => {}
        }
        Ok(())
    }
}

fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let subject = Subject::of(record, out, cx)?;
    let (_, layer) = layer(record, cx)?;
    Keeps { properties: Some(&["pose", "truncated", "difficult", "occluded"]), ..Keeps::default() }.lose(layer, cx);
    lose_ids(layer, cx);
    let base = f64::from(u8::from(cx.options().text("base") == "1"));
    write!(
        out,
        "<annotation>\n\t<folder></folder>\n\t<filename>{}</filename>\n\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n\
         \t<size>\n\t\t<width>{}</width>\n\t\t<height>{}</height>\n\t\t<depth>{}</depth>\n\t</size>\n\t<segmented>0</segmented>\n",
        escape(subject.name.as_str()),
        subject.width,
        subject.height,
        subject.channels
    )?;
    for (index, one) in layer.boxes.iter().enumerate() {
        if index % 1024 == 0 {
            cx.checkpoint()?;
        }
        writeln!(out, "\t<object>\n\t\t<name>{}</name>", escape(layer.label(one.class_id).as_str()))?;
        for (name, default) in ATTRIBUTES {
            let value = match one.properties.get(name) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Bool(is)) => Some(u8::from(*is).to_string()),
                Some(other) => Some(other.to_string()),
                None => default.map(str::to_owned),
            };
            if let Some(value) = value {
                writeln!(out, "\t\t<{name}>{}</{name}>", escape(value.as_str()))?;
            }
        }
        let [left, top, right, bottom] = one.spelled(Form::Corners, Unit::Pixel, subject.width, subject.height);
        writeln!(out, "\t\t<bndbox>")?;
        for (name, value) in CORNERS.into_iter().zip([left + base, top + base, right, bottom]) {
            writeln!(out, "\t\t\t<{name}>{value}</{name}>")?;
        }
        writeln!(out, "\t\t</bndbox>\n\t</object>")?;
    }
    out.write_all(b"</annotation>\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use mediary_core::Strictness;

    use crate::annotations::tests::{beside_a_picture, layer, read, written};
    use crate::testing::{codes, data};

    #[test]
    fn coordinates_count_from_0_but_in_files_of_the_challenge() {
        let record = read("voc/street.xml");
        let found = layer(&record, "ground_truth");
        assert_eq!(found.boxes[0].pixels, [10.0, 20.0, 30.0, 60.0]);
        assert_eq!((found.boxes[1].pixels, found.label(2).as_str()), ([0.5, 1.25, 119.75, 80.0], "caf\u{e9} <sign>"));
        assert_eq!(found.boxes[0].properties["truncated"], 1);
        let mut record = read("voc/challenge.xml");
        let pixels = |record: &mediary_core::MediaRecord| -> Vec<[f64; 4]> {
            layer(record, "ground_truth").boxes.iter().map(|one| one.pixels).collect()
        };
        // The whole picture, as detectron2 reads it.
        assert_eq!(pixels(&record), [[0.0, 0.0, 120.0, 80.0], [10.0, 20.0, 30.0, 60.0]]);
        assert_eq!(codes(&record), ["voc.element"]);

        let file = written(&mut record, "voc", &[("voc.base", "1")]).0.bytes;
        let text = String::from_utf8(file).unwrap().replace("street.png", "a.png");
        let read = |base| {
            let record = beside_a_picture("a.voc.xml", &text, &[("voc.base", base)], Strictness::Default).unwrap();
            assert_eq!(codes(&record)[0], "voc.size");
            pixels(&record)
        };
        assert_eq!(read("1")[1], [10.0, 20.0, 30.0, 60.0]);
        assert_eq!(read("auto")[1], [11.0, 21.0, 30.0, 60.0]);
    }

    #[test]
    fn what_is_written_is_the_file_but_for_what_is_lost() {
        let mut record = read("voc/street.xml");
        let (file, lost) = written(&mut record, "voc", &[]);
        let text = String::from_utf8(file.bytes).unwrap();
        let given = String::from_utf8(data("voc/street.xml")).unwrap();
        let objects = |text: &str| text[text.find("<object>").unwrap()..].replace("&#233;", "\u{e9}");
        assert_eq!(objects(&text), objects(&given));
        let lost: Vec<_> = lost.into_iter().map(|(code, _)| code).collect();
        assert_eq!(lost, ["voc.pixels", "voc.properties", "voc.class-ids"]);
    }
}
