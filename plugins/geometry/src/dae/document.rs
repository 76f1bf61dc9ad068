//! The document as a tree of elements that refer to each other by id. Text and attributes are borrowed from the file.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use mediary_core::{Context, Error, ErrorKind, Location, Result};
use quick_xml::XmlVersion;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;

use crate::xml;

/// Elements between checks of the deadline.
const CHECK_EVERY: usize = 1 << 14;
const NONE: u32 = u32::MAX;
/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// Everything in one file.
pub(super) struct Document<'t> {
    text: &'t str,
    /// Name of the file: an address may name it.
    name: &'t str,
    elements: Vec<Data<'t>>,
    attributes: Vec<(&'t str, Cow<'t, str>)>,
    ids: HashMap<Cow<'t, str>, u32>,
    /// Line ends before each block of the text: findings name lines, and there may be many.
    lines: OnceCell<Vec<u64>>,
}

struct Data<'t> {
    /// Without a prefix.
    name: &'t str,
    /// Range of the attributes of the document.
    attributes: [u32; 2],
    first_child: u32,
    next: u32,
    text: Cow<'t, str>,
    at: usize,
}

/// An element of a document.
#[derive(Clone, Copy)]
pub(super) struct Element<'d> {
    document: &'d Document<'d>,
    index: u32,
}

impl<'t> Document<'t> {
    /// Reads the whole tree. Document types are left out with a finding: no entity of theirs is ever expanded.
    pub(super) fn parse(text: &'t str, name: &'t str, cx: &Context) -> Result<Self> {
        let (ids, lines) = (HashMap::new(), OnceCell::new());
        let mut document = Self { text, name, elements: Vec::new(), attributes: Vec::new(), ids, lines };
        let mut reader = quick_xml::Reader::from_str(text);
        // The open elements, each with its last child.
        let mut open: Vec<(u32, u32)> = Vec::new();
        let position = |reader: &quick_xml::Reader<&[u8]>| {
            usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX).min(text.len())
        };
        let mut count = 0_usize;
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|error| xml::error(&error, "XML", text, &reader))?;
            let raw = text.get(start..position(&reader)).unwrap_or_default();
            count += 1;
            if count.is_multiple_of(CHECK_EVERY) {
                cx.checkpoint()?;
            }
            match event {
                Event::Start(element) => {
                    let tag = raw.strip_prefix('<').and_then(|raw| raw.strip_suffix('>')).unwrap_or_default();
                    let index = document.add(tag, element.name().as_ref().len(), start, &mut open, cx)?;
                    open.push((index, NONE));
                    cx.limits().check("depth", open.len() as u64)?;
                }
                Event::Empty(element) => {
                    let tag = raw.strip_prefix('<').and_then(|raw| raw.strip_suffix("/>")).unwrap_or_default();
                    document.add(tag, element.name().as_ref().len(), start, &mut open, cx)?;
                }
                Event::End(_) => drop(open.pop()),
                Event::Text(_) => document.append(raw, &open),
                Event::CData(_) => {
                    let inner = raw.strip_prefix("<![CDATA[").and_then(|raw| raw.strip_suffix("]]>"));
                    document.append(inner.unwrap_or_default(), &open);
                }
                Event::GeneralRef(entity) => {
                    let name = entity.xml10_content();
                    let character = entity.resolve_char_ref().ok().flatten().map(String::from);
                    let value =
                        character.or_else(|| quick_xml::escape::resolve_predefined_entity(&name).map(Into::into));
                    match (value, open.last()) {
                        (Some(value), Some(&(index, _))) => {
                            document.elements[index as usize].text.to_mut().push_str(&value);
                        }
                        (None, _) => {
                            let message = format!("entity {:?} is not expanded", shown(&name));
                            cx.tolerate("entity", message, document.location(start))?;
                        }
                        _ => {}
                    }
                }
                Event::DocType(_) => {
                    let message = "a document type declaration is left out";
                    cx.tolerate("doctype", message, document.location(start))?;
                }
                Event::Eof => break,
                _ => {}
            }
        }
        if let Some(&(index, _)) = open.last() {
            let data = &document.elements[index as usize];
            let message = format!("the file ends inside element {:?}", data.name);
            return Err(Error::malformed(message).at(document.location(data.at)));
        }
        if document.elements.is_empty() {
            return Err(Error::malformed("expected an XML element, found none"));
        }
        document.index_ids();
        Ok(document)
    }

    /// Adds an element of this tag below the open one.
    fn add(&mut self, tag: &'t str, name: usize, at: usize, open: &mut [(u32, u32)], cx: &Context) -> Result<u32> {
        let first = self.attributes.len();
        for attribute in Attributes::new(tag, name).with_checks(false) {
            let attribute = attribute.map_err(|error| {
                let message = format!("attributes of {:?}: {error}", shown(tag));
                Error::malformed(message).at(self.location(at))
            })?;
            let value = match attribute.normalized_value(XmlVersion::Implicit1_0) {
                Ok(value) => value,
                Err(_) => attribute.value.clone(),
            };
            self.attributes.push((attribute.key.into_inner(), value));
        }
        let added = self.attributes.len() - first;
        cx.budget().take((size_of::<Data<'_>>() + added * size_of::<(&str, Cow<'_, str>)>()) as u64)?;
        cx.limits().check("elements", self.elements.len() as u64)?;
        let name = tag.get(..name).unwrap_or_default();
        let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
        let index = u32::try_from(self.elements.len()).unwrap_or(NONE);
        let attributes = [first as u32, self.attributes.len() as u32];
        self.elements.push(Data { name, attributes, first_child: NONE, next: NONE, text: "".into(), at });
        if let Some((parent, last)) = open.last_mut() {
            match std::mem::replace(last, index) {
                NONE => self.elements[*parent as usize].first_child = index,
                last => self.elements[last as usize].next = index,
            }
        }
        Ok(index)
    }

    fn append(&mut self, text: &'t str, open: &[(u32, u32)]) {
        let Some(&(index, _)) = open.last() else { return };
        let data = &mut self.elements[index as usize];
        if data.text.trim_ascii().is_empty() {
            data.text = text.into();
        } else {
            data.text.to_mut().push_str(text);
        }
    }

    /// The line of a byte.
    fn location(&self, at: usize) -> Location {
        const BLOCK: usize = 1 << 12;
        let ends = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let bytes = self.text.as_bytes();
        let before = self.lines.get_or_init(|| {
            let sums = bytes.chunks(BLOCK).scan(0, |sum, block| Some(std::mem::replace(sum, *sum + ends(block))));
            sums.collect()
        });
        let at = at.min(bytes.len());
        let block = (at / BLOCK).min(before.len().saturating_sub(1));
        Location::line(1 + before.get(block).copied().unwrap_or(0) + ends(&bytes[block * BLOCK..at]))
    }

    /// Of two elements of one id the first one has it.
    fn index_ids(&mut self) {
        for (data, index) in self.elements.iter().zip(0..) {
            let [first, end] = data.attributes.map(|at| at as usize);
            if let Some((_, id)) = self.attributes[first..end].iter().find(|(name, _)| *name == "id") {
                self.ids.entry(id.clone()).or_insert(index);
            }
        }
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Element<'_> {
        Element { document: self, index: 0 }
    }

    fn by_id(&self, id: &str) -> Option<Element<'_>> {
        self.ids.get(id).map(|&index| Element { document: self, index })
    }
}

impl<'d> Element<'d> {
    fn data(&self) -> &'d Data<'d> {
        &self.document.elements[self.index as usize]
    }

    /// Its number in the document.
    pub(super) fn index(self) -> u32 {
        self.index
    }

    /// The tag without its prefix.
    pub(super) fn name(self) -> &'d str {
        self.data().name
    }

    /// The value of an attribute.
    pub(super) fn attribute(self, name: &str) -> Option<&'d str> {
        let [first, end] = self.data().attributes.map(|at| at as usize);
        let found = self.document.attributes[first..end].iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_ref())
    }

    /// A whole number in an attribute, if there is one.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// Its text without that of its children, blanks around it left out.
    pub(super) fn text(self) -> &'d str {
        self.data().text.trim_ascii()
    }

    pub(super) fn children(self) -> impl Iterator<Item = Self> + use<'d> {
        let document = self.document;
        let element = move |index| (index != NONE).then_some(Element { document, index });
        std::iter::successors(element(self.data().first_child), move |child| element(child.data().next))
    }

    /// Children of this name.
    pub(super) fn all<'n>(self, name: &'n str) -> impl Iterator<Item = Self> + use<'d, 'n> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The first child of this name.
    pub(super) fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// The first of each name inside the one before.
    pub(super) fn path(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// This and what is in it, in the order of the file: the first thousand elements, which is more than a picture or a
    /// parameter has, so that many references to one element cost no more than they are many.
    pub(super) fn descendants(self) -> impl Iterator<Item = Self> + use<'d> {
        const MOST: usize = 1000;
        let mut stack = vec![self];
        let next = move || {
            let element = stack.pop()?;
            let first = stack.len();
            stack.extend(element.children().take(MOST));
            stack[first..].reverse();
            Some(element)
        };
        std::iter::from_fn(next).take(MOST)
    }

    /// What an attribute refers to (`#id`), if it is of one of these kinds.
    pub(super) fn target(self, attribute: &str, kinds: &[&str]) -> Result<Self> {
        let url = self.attribute(attribute).unwrap_or_default();
        self.resolve(url, kinds)
    }

    /// What an address refers to, if it is of one of these kinds.
    pub(super) fn resolve(self, url: &str, kinds: &[&str]) -> Result<Self> {
        let url = url.trim();
        let id = match url.split_once('#') {
            Some(("", id)) => id,
            Some((file, id)) if file.trim_start_matches("./") == self.document.name => id,
            Some(_) => {
                let message = format!("{:?} refers to another document", shown(url));
                return Err(Error::unsupported(message).at(self.location()));
            }
            // Some exporters leave the sign out.
            None => url,
        };
        let decoded = || self.document.by_id(&crate::glb::uri::percent_name(id));
        match self.document.by_id(id).or_else(decoded) {
            Some(found) if kinds.contains(&found.name()) => Ok(found),
            Some(found) => Err(self.wrong(&format!("{:?} to be {}", shown(id), kinds.join(" or ")), found.name())),
            None => {
                let message = format!("{} with id {:?} is not in the file", kinds.join(" or "), shown(id));
                Err(Error::malformed(message).at(self.location()))
            }
        }
    }

    /// The element of this id in its document.
    pub(super) fn by_id(self, id: &str) -> Option<Self> {
        self.document.by_id(id)
    }

    /// As [`target`](Self::target); `None`, with a finding, for what is in another document and for what lenient mode
    /// leaves out.
    pub(super) fn target_if_there(self, attribute: &str, kinds: &[&str], cx: &Context) -> Result<Option<Self>> {
        match self.target(attribute, kinds) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                cx.warn_at("external", error.message().to_owned(), self.location());
                Ok(None)
            }
            Err(error) => cx.unless_lenient("missing", error).map(|()| None),
            Ok(found) => Ok(Some(found)),
        }
    }

    /// As [`target_if_there`](Self::target_if_there), for what the scene can do without: the file is read without it.
    pub(super) fn target_or_less(self, attribute: &str, kinds: &[&str], cx: &Context) -> Result<Option<Self>> {
        match self.target(attribute, kinds) {
            Err(error) if error.kind() != ErrorKind::Unsupported => {
                cx.tolerate("missing", error.message().to_owned(), self.location()).map(|()| None)
            }
            _ => self.target_if_there(attribute, kinds, cx),
        }
    }

    /// Where it stands.
    pub(super) fn location(self) -> Location {
        self.document.location(self.data().at)
    }

    /// An error at this element: what was expected, and what is there.
    pub(super) fn wrong(self, expected: &str, found: &str) -> Error {
        let message = format!("{}: expected {expected}, found {:?}", self.name(), shown(found));
        Error::malformed(message).at(self.location())
    }
}

/// The start of a value, for messages.
pub(super) fn shown(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    &text[..end]
}
