//! A model part: objects, property groups and the build, as they stand in the XML.

use std::collections::HashMap;

use mediary_core::{Context, Error, Location, Result, Severity};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::text::number;
use crate::xml::{self, value};

/// Elements between checks of the deadline.
const CHECK_EVERY: u64 = 1 << 14;
/// Bytes of the values of all metadata that are kept.
const METADATA_BYTES: usize = 64 << 10;

/// Rows of a 4 x 3 matrix that points are multiplied with from the left, as a column-major 4 x 4 one.
pub(super) type Matrix = [f64; 16];

/// One part.
#[derive(Default)]
pub(super) struct Model {
    pub(super) unit_meters: f64,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) objects: HashMap<u32, Object>,
    /// Ids of objects in their order.
    pub(super) order: Vec<u32>,
    pub(super) groups: HashMap<u32, Group>,
    pub(super) textures: HashMap<u32, TextureImage>,
    pub(super) items: Vec<Reference>,
}

#[derive(Default)]
pub(super) struct Object {
    pub(super) name: String,
    /// Default property: group and index.
    pub(super) property: Option<(u32, u32)>,
    pub(super) positions: Vec<[f32; 3]>,
    pub(super) triangles: Vec<Triangle>,
    pub(super) beams: Vec<[u32; 2]>,
    pub(super) components: Vec<Reference>,
}

/// Corners, and their properties: a group, and an index into it for each.
#[derive(Clone, Copy)]
pub(super) struct Triangle {
    pub(super) corners: [u32; 3],
    pub(super) property: Option<(u32, [u32; 3])>,
}

/// A component of an object, or an item of the build.
#[derive(Clone)]
pub(super) struct Reference {
    /// The part, if it is another one.
    pub(super) path: Option<String>,
    pub(super) object: u32,
    pub(super) transform: Option<Matrix>,
}

/// A group of properties.
pub(super) enum Group {
    /// Names and sRGB colours with alpha.
    Materials(Vec<(String, [u8; 4])>),
    /// sRGB colours with alpha.
    Colors(Vec<[u8; 4]>),
    /// Texture and its coordinates, lower left origin.
    Texcoords(u32, Vec<[f32; 2]>),
    /// Composite materials and multi-properties.
    Other,
}

pub(super) struct TextureImage {
    pub(super) path: String,
    pub(super) content_type: String,
    /// `wrap`, `mirror`, `clamp` or `none`, in u and v.
    pub(super) tiles: [String; 2],
    pub(super) nearest: bool,
}

/// What one element says, while it is read.
struct Reader<'a> {
    part: &'a str,
    cx: &'a Context,
    model: Model,
    /// The object that is open.
    object: Option<(u32, Object)>,
    /// The group that is open.
    group: Option<(u32, Group)>,
    /// The metadata that is open.
    metadata: Option<(String, String)>,
    metadata_bytes: usize,
    line: u64,
}

/// Reads a part. `part` names it in messages.
pub(super) fn read(bytes: &[u8], part: &str, cx: &Context) -> Result<Model> {
    // A vertex of `<vertex x="0"…/>` takes less than its text; so does everything else, lists that double included.
    cx.budget().take((bytes.len() as u64).saturating_mul(2))?;
    let text = xml::text(bytes);
    let mut events = quick_xml::Reader::from_str(&text);
    let model = Model { unit_meters: 0.001, ..Model::default() };
    let (object, group, metadata) = (None, None, None);
    let mut reader = Reader { part, cx, model, object, group, metadata, metadata_bytes: 0, line: 0 };
    let (mut depth, mut count, mut has_model) = (0u64, 0u64, false);
    loop {
        let event = events.read_event().map_err(|error| xml::error(&error, part, &text, &events))?;
        count += 1;
        if count.is_multiple_of(CHECK_EVERY) {
            cx.checkpoint()?;
        }
        let located = |error: Error| {
            let line = xml::line(&text, events.buffer_position());
            if error.location().is_some() { error } else { error.at(Location::line(line)) }
        };
        match event {
            Event::Start(element) => {
                depth += 1;
                cx.limits().check("depth", depth)?;
                has_model |= element.local_name().as_ref() == "model";
                reader.start(&element).map_err(located)?;
            }
            Event::Empty(element) => {
                has_model |= element.local_name().as_ref() == "model";
                reader.start(&element).map_err(located)?;
                reader.end(element.local_name().as_ref()).map_err(located)?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                reader.end(element.local_name().as_ref()).map_err(located)?;
            }
            Event::Text(text) => reader.text(&text),
            Event::CData(text) => reader.text(&text),
            Event::DocType(_) => {
                let message = "a document type declaration does not belong into a 3MF part: it is left out";
                cx.tolerate("doctype", message, Location::element(part))?;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if depth > 0 || !has_model {
        let message = if has_model { "the XML ends inside an element" } else { "expected a model element, found none" };
        return Err(Error::malformed(message).at_element(part.to_owned()));
    }
    Ok(reader.model)
}

/// `#RRGGBB` or `#RRGGBBAA`.
fn color(text: &str) -> Option<[u8; 4]> {
    let digits = text.trim().strip_prefix('#')?;
    if !matches!(digits.len(), 6 | 8) || !digits.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or("FF"), 16).ok();
    Some([byte(0)?, byte(2)?, byte(4)?, byte(6)?])
}

#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
fn float(text: &str) -> Option<f32> {
    let text = text.trim();
    number(text.as_bytes()).filter(|(_, length)| *length == text.len()).map(|(value, _)| value as f32)
}

fn integer(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

fn matrix(text: &str) -> Result<Matrix> {
    let numbers: Option<Vec<f64>> = (text.split_ascii_whitespace())
        .map(|word| number(word.as_bytes()).filter(|(value, length)| *length == word.len() && value.is_finite()))
        .map(|number| number.map(|(value, _)| value))
        .collect();
    match numbers.as_deref() {
        Some(&[a, b, c, d, e, f, g, h, i, x, y, z]) => Ok([a, b, c, 0.0, d, e, f, 0.0, g, h, i, 0.0, x, y, z, 1.0]),
        _ => {
            let shown: String = text.chars().take(80).collect();
            Err(Error::malformed(format!("a transform: expected 12 numbers, found {shown:?}")))
        }
    }
}

impl Reader<'_> {
    fn required<T>(&self, element: &BytesStart<'_>, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        let found = value(element, name);
        found.as_deref().and_then(read).ok_or_else(|| {
            let tag = element.local_name();
            let shown: String = found.unwrap_or_default().chars().take(40).collect();
            Error::malformed(format!("{}: {name} of {:?}: expected a number, found {shown:?}", self.part, tag.as_ref()))
        })
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<()> {
        self.line += 1;
        match element.local_name().as_ref() {
            "vertex" => self.vertex(element)?,
            "triangle" => self.triangle(element)?,
            "beam" => {
                let beam = [self.required(element, "v1", integer)?, self.required(element, "v2", integer)?];
                if let Some((_, object)) = &mut self.object {
                    object.beams.push(beam);
                }
            }
            "model" => self.model(element)?,
            "metadata" => {
                let name = value(element, "name").unwrap_or_default();
                self.metadata = Some((name, String::new()));
            }
            "object" => {
                let id = self.required(element, "id", integer)?;
                let (pid, index) = (value(element, "pid"), value(element, "pindex"));
                let property = pid.as_deref().and_then(integer);
                let property = property.map(|pid| (pid, index.as_deref().and_then(integer).unwrap_or(0)));
                let name = value(element, "name").unwrap_or_default();
                self.object = Some((id, Object { name, property, ..Object::default() }));
            }
            "component" => {
                let reference = self.reference(element)?;
                if let Some((_, object)) = &mut self.object {
                    object.components.push(reference);
                }
            }
            "item" => {
                let reference = self.reference(element)?;
                self.cx.budget().take(size_of::<Reference>() as u64)?;
                self.model.items.push(reference);
            }
            "basematerials" => self.open_group(element, Group::Materials(Vec::new()))?,
            "colorgroup" => self.open_group(element, Group::Colors(Vec::new()))?,
            "texture2dgroup" => {
                let texture = self.required(element, "texid", integer)?;
                self.open_group(element, Group::Texcoords(texture, Vec::new()))?;
            }
            "compositematerials" | "multiproperties" => self.open_group(element, Group::Other)?,
            "base" => {
                let color = self.color(element, "displaycolor");
                if let Some((_, Group::Materials(list))) = &mut self.group {
                    list.push((value(element, "name").unwrap_or_default(), color));
                }
            }
            "color" => {
                let color = self.color(element, "color");
                if let Some((_, Group::Colors(list))) = &mut self.group {
                    list.push(color);
                }
            }
            "tex2coord" => {
                let uv = [self.required(element, "u", float)?, self.required(element, "v", float)?];
                if let Some((_, Group::Texcoords(_, list))) = &mut self.group {
                    list.push(uv);
                }
            }
            "texture2d" => {
                let id = self.required(element, "id", integer)?;
                let text = |name: &str| value(element, name).unwrap_or_default();
                self.cx.budget().take(size_of::<TextureImage>() as u64)?;
                let image = TextureImage {
                    path: text("path"),
                    content_type: text("contenttype"),
                    tiles: [text("tilestyleu"), text("tilestylev")],
                    nearest: text("filter") == "nearest",
                };
                self.model.textures.insert(id, image);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<()> {
        match name {
            "object" => {
                if let Some((id, object)) = self.object.take() {
                    self.cx.budget().take(size_of::<Object>() as u64)?;
                    if self.model.objects.contains_key(&id) {
                        let message = format!("object {id} is there twice: the first one holds");
                        return self.cx.tolerate("duplicate-id", message, Location::element(self.part));
                    }
                    self.model.order.push(id);
                    self.model.objects.insert(id, object);
                }
            }
            "basematerials" | "colorgroup" | "texture2dgroup" | "compositematerials" | "multiproperties" => {
                if let Some((id, group)) = self.group.take() {
                    self.model.groups.entry(id).or_insert(group);
                }
            }
            "metadata" => {
                if let Some((name, value)) = self.metadata.take() {
                    self.metadata_bytes += name.len() + value.len();
                    if self.metadata_bytes <= METADATA_BYTES && self.object.is_none() {
                        self.model.metadata.push((name, value));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some((_, value)) = &mut self.metadata
            && value.len() + text.len() <= METADATA_BYTES
        {
            value.push_str(&quick_xml::escape::unescape(text).unwrap_or_else(|_| text.into()));
        }
    }

    fn model(&mut self, element: &BytesStart<'_>) -> Result<()> {
        self.model.unit_meters = match value(element, "unit").as_deref() {
            Some("micron") => 1e-6,
            None | Some("millimeter") => 1e-3,
            Some("centimeter") => 1e-2,
            Some("inch") => 0.0254,
            Some("foot") => 0.3048,
            Some("meter") => 1.0,
            Some(other) => {
                let shown: String = other.chars().take(40).collect();
                return Err(Error::malformed(format!("unit: expected one of length, found {shown:?}")));
            }
        };
        let required = value(element, "requiredextensions").unwrap_or_default();
        for prefix in required.split_ascii_whitespace().take(64) {
            let space = value_of_prefix(element, prefix).unwrap_or_default();
            if space.contains("/securecontent/") {
                return Err(Error::unsupported("the package is encrypted").with_hint("3MF secure content is not read"));
            }
            if !["/core/", "/material/", "/production/", "/beamlattice/"].iter().any(|known| space.contains(known)) {
                let message = format!("the model requires the extension {space:?}, which is not read");
                self.cx.report(Severity::Warning, "required-extension", message, Some(Location::element(self.part)));
            }
        }
        Ok(())
    }

    fn vertex(&mut self, element: &BytesStart<'_>) -> Result<()> {
        // The most frequent elements: their attributes are walked once.
        let mut position = [None; 3];
        for attribute in element.attributes().with_checks(false).flatten() {
            let axis = match attribute.key.as_ref() {
                "x" => 0,
                "y" => 1,
                "z" => 2,
                _ => continue,
            };
            position[axis] = float(&attribute.value);
        }
        let [Some(x), Some(y), Some(z)] = position else {
            return Err(Error::malformed(format!("{}: a vertex needs x, y and z as numbers", self.part)));
        };
        if let Some((_, object)) = &mut self.object {
            object.positions.push([x, y, z]);
        }
        Ok(())
    }

    fn triangle(&mut self, element: &BytesStart<'_>) -> Result<()> {
        let mut corners = [None; 3];
        let (mut pid, mut indices) = (None, [None; 3]);
        for attribute in element.attributes().with_checks(false).flatten() {
            let slot = match attribute.key.as_ref() {
                "v1" => &mut corners[0],
                "v2" => &mut corners[1],
                "v3" => &mut corners[2],
                "p1" => &mut indices[0],
                "p2" => &mut indices[1],
                "p3" => &mut indices[2],
                "pid" => &mut pid,
                _ => continue,
            };
            *slot = Some(integer(&attribute.value).ok_or_else(|| {
                let shown: String = attribute.value.chars().take(40).collect();
                Error::malformed(format!("{}: a triangle: expected an index, found {shown:?}", self.part))
            })?);
        }
        let [Some(a), Some(b), Some(c)] = corners else {
            return Err(Error::malformed(format!("{}: a triangle needs v1, v2 and v3", self.part)));
        };
        let Some((_, object)) = &mut self.object else { return Ok(()) };
        // Without a group of its own it has that of the object; without p1, its property, too.
        let pid = pid.or(object.property.map(|(pid, _)| pid));
        let property = match (pid, indices[0]) {
            (Some(pid), Some(first)) => Some((pid, [first, indices[1].unwrap_or(first), indices[2].unwrap_or(first)])),
            _ => None,
        };
        object.triangles.push(Triangle { corners: [a, b, c], property });
        Ok(())
    }

    fn reference(&self, element: &BytesStart<'_>) -> Result<Reference> {
        let object = self.required(element, "objectid", integer)?;
        let transform = value(element, "transform").map(|text| matrix(&text)).transpose()?;
        Ok(Reference { path: value(element, "path"), object, transform })
    }

    fn open_group(&mut self, element: &BytesStart<'_>, group: Group) -> Result<()> {
        self.cx.budget().take(size_of::<Group>() as u64)?;
        self.group = Some((self.required(element, "id", integer)?, group));
        Ok(())
    }

    fn color(&self, element: &BytesStart<'_>, name: &str) -> [u8; 4] {
        let text = value(element, name).unwrap_or_default();
        color(&text).unwrap_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let message = format!("a colour: expected #RRGGBB or #RRGGBBAA, found {shown:?}; it is white");
            self.cx.warn_at("property", message, Location::element(self.part));
            [255; 4]
        })
    }
}

/// The name space of a prefix, where the element declares it.
fn value_of_prefix(element: &BytesStart<'_>, prefix: &str) -> Option<String> {
    let name = format!("xmlns:{prefix}");
    let mut attributes = element.attributes();
    let found = attributes.with_checks(false).flatten().find(|it| it.key.as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}
