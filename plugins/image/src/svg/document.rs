//! The document before it is drawn: its encoding, what it wants from outside, and how many elements there will be.

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8};
use mediary_core::{Context, Error, Location, Result};
use resvg::usvg::roxmltree::{self, Document, Node, ParsingOptions};

const SVG: &str = "http://www.w3.org/2000/svg";

/// Elements that a drawing may have once every reference is followed. Real ones have some hundred thousand.
const MOST_ELEMENTS: u64 = 2 << 20;

/// Elements held against rules of style sheets. Real drawings have some millions.
const MOST_MATCHES: u64 = 1 << 29;

/// Filters that refer to themselves, as far as they are named.
const MOST_LOOPS: usize = 64;

/// Bytes that an element takes while it is drawn.
const ELEMENT_BYTES: u64 = 512;

/// What a walk over the elements tells.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Elements once every reference is followed.
    pub(super) elements: u64,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// Texts that have letters.
    pub(super) texts: u64,
    /// What would be loaded from elsewhere.
    pub(super) external: Vec<String>,
    pub(super) foreign_objects: u64,
    pub(super) scripts: u64,
    pub(super) animations: u64,
    /// Filters that refer to themselves.
    pub(super) loops: Vec<String>,
    /// Rules of style sheets, at most.
    rules: u64,
    /// Whether the size is stated, by `width` and `height` or a `viewBox`.
    pub(super) has_size: bool,
}

/// The text, in UTF-8 whatever it was.
pub(super) fn decode<'b>(bytes: &'b [u8], cx: &Context) -> Result<Cow<'b, str>> {
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, mark),
        None if bytes.starts_with(b"<\0") => (encoding_rs::UTF_16LE, 0),
        None if bytes.starts_with(b"\0<") => (encoding_rs::UTF_16BE, 0),
        None => (declared(bytes).unwrap_or(UTF_8), 0),
    };
    if encoding != UTF_8 {
        cx.budget().take(bytes.len() as u64 * 3)?;
    }
    let (text, broken) = encoding.decode_without_bom_handling(&bytes[mark..]);
    if broken {
        let problem = format!("expected text in {}, found bytes that are none; each becomes U+FFFD", encoding.name());
        cx.tolerate("encoding", problem, Location::byte(0))?;
    }
    Ok(text)
}

/// The encoding that the XML declaration names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(256)].trim_ascii_start();
    let declaration = std::str::from_utf8(&head[..head.iter().position(|byte| *byte == b'>')?]).ok()?;
    let value =
        declaration.strip_prefix("<?xml")?.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Encoding::for_label(value[1..].split(quote).next()?.as_bytes())
}

/// The document, within the limits of size and depth.
pub(super) fn parse<'t>(text: &'t str, cx: &Context) -> Result<Document<'t>> {
    // Nodes are fewer than the brackets that open them and what stands between, but for entities.
    let most = u32::try_from(MOST_ELEMENTS * 2).unwrap_or(u32::MAX);
    let options = ParsingOptions { allow_dtd: true, nodes_limit: most, ..ParsingOptions::default() };
    let brackets = memory_of(text);
    cx.budget().take(brackets)?;
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => Error::limit("elements", MOST_ELEMENTS + 1, MOST_ELEMENTS),
        error => {
            let line = u64::from(error.pos().row);
            let problem = error.to_string();
            let problem = problem.rsplit_once(" at ").map_or(problem.as_str(), |(problem, _)| problem);
            Error::malformed(format!("the XML is broken: {problem}"))
                .at_line(line)
                .with_hint("a file that is cut short ends inside an element; fetch or copy it again")
        }
    })?;
    Ok(document)
}

fn memory_of(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'<' || *byte == b'=').count() as u64 * 128
}

/// Walks over all elements.
pub(super) fn survey(document: &Document<'_>, cx: &Context) -> Result<Survey> {
    let mut survey = Survey::default();
    let root = document.root_element();
    if root.tag_name().name() != "svg" || !matches!(root.tag_name().namespace(), Some(SVG) | None) {
        let found = root.tag_name();
        return Err(Error::malformed(format!(
            "expected the element svg of the namespace {SVG}, found {} of {}",
            found.name(),
            found.namespace().unwrap_or("none")
        )));
    }
    survey.has_size = root.has_attribute("viewBox") || (root.has_attribute("width") && root.has_attribute("height"));
    let mut graph = Graph::default();
    for (index, node) in document.descendants().enumerate() {
        if index % 1024 == 0 {
            cx.checkpoint()?;
        }
        if let Some(instruction) = node.pi().filter(|instruction| instruction.target == "xml-stylesheet") {
            survey.external.push(instruction.value.unwrap_or_default().to_owned());
        }
        if node.is_element() {
            survey.look(node);
            graph.add(node);
        }
    }
    let rules = survey.rules;
    let check_rules = |elements: u64| match rules.saturating_mul(elements) {
        matches if matches > MOST_MATCHES => Err(Error::limit("elements", matches, MOST_MATCHES)
            .with_hint("every element is held against every rule of a style sheet")),
        _ => Ok(()),
    };
    check_rules(graph.places.len() as u64)?;
    survey.elements = graph.follow(cx, &mut survey.loops)?;
    check_rules(survey.elements)?;
    cx.limits().check("elements", survey.elements)?;
    if survey.elements > MOST_ELEMENTS {
        return Err(Error::limit("elements", survey.elements, MOST_ELEMENTS)
            .with_hint("elements that show others count as often as they do"));
    }
    cx.budget().take(survey.elements * ELEMENT_BYTES)?;
    Ok(survey)
}

impl Survey {
    fn look(&mut self, node: Node<'_, '_>) {
        if !matches!(node.tag_name().namespace(), Some(SVG) | None) {
            return;
        }
        let name = node.tag_name().name();
        let text = || node.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let at_top = node.parent_element().is_some_and(|parent| parent == node.document().root_element());
        match name {
            "title" if at_top && self.title.is_none() => self.title = text(),
            "desc" if at_top && self.description.is_none() => self.description = text(),
            "text" => {
                let letters = |node: Node<'_, '_>| node.text().is_some_and(|text| !text.trim().is_empty());
                self.texts += u64::from(node.descendants().any(|inner| inner.is_text() && letters(inner)));
            }
            "foreignObject" => self.foreign_objects += 1,
            "script" => self.scripts += 1,
            "animate" | "animateTransform" | "animateMotion" | "animateColor" | "set" => self.animations += 1,
            "style" => {
                let sheet = node.text().unwrap_or_default();
                self.external.extend(imports(sheet));
                self.rules += sheet.bytes().filter(|byte| *byte == b'{').count() as u64;
            }
            // Links go elsewhere when they are clicked, and images are told when they are drawn.
            "a" | "image" => return,
            _ => {}
        }
        for attribute in node.attributes() {
            let value = attribute.value().trim();
            let reference = if attribute.name() == "href" { Some(value) } else { address(value) };
            if let Some(reference) = reference
                && !reference.is_empty()
                && !reference.starts_with('#')
                && !reference.starts_with("data:")
            {
                self.external.push(reference.to_owned());
            }
        }
    }
}

/// What stands in the first `url(…)`.
fn address(value: &str) -> Option<&str> {
    let inside = value.split_once("url(")?.1.split(')').next()?;
    Some(inside.trim().trim_matches(['"', '\'']))
}

/// What a style sheet loads.
fn imports(sheet: &str) -> Vec<String> {
    let rules = sheet.split("@import").skip(1).filter_map(|rule| rule.split(';').next());
    let imports = rules.map(|rule| rule.trim().to_owned());
    let addresses = sheet.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
    let addresses = addresses.map(|inside| inside.trim().trim_matches(['"', '\'']).to_owned());
    imports.chain(addresses.filter(|address| !address.starts_with('#') && !address.starts_with("data:"))).collect()
}

/// Who shows whom: children, and what attributes and style sheets refer to.
#[derive(Debug, Default)]
struct Graph {
    places: Vec<Place>,
    by_node: HashMap<u32, usize>,
    by_id: HashMap<String, usize>,
    rules: Vec<Rule>,
}

#[derive(Debug, Default)]
struct Place {
    name: String,
    classes: Vec<String>,
    children: Vec<usize>,
    uses: Vec<Use>,
    /// Corners at which markers are drawn.
    corners: u64,
    /// A reference to a gradient ends there.
    is_gradient: bool,
    id: String,
}

#[derive(Clone, Debug)]
struct Use {
    id: String,
    how: How,
}

/// How often what is referred to is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Once: `use`, masks, filters.
    Once,
    /// For each shape within: fills and strokes are inherited.
    Shapes,
    /// For each corner of each shape within.
    Corners,
}

/// A rule of a style sheet that refers to elements, by the last part of its selector alone: it may be held to apply to more than it
/// does.
#[derive(Debug)]
struct Rule {
    tag: String,
    classes: Vec<String>,
    id: String,
    uses: Vec<Use>,
}

/// How much there is below an element.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    elements: u64,
    corners: u64,
    depth: u64,
}

impl Graph {
    fn add(&mut self, node: Node<'_, '_>) {
        let number = self.places.len();
        self.by_node.insert(node.id().get(), number);
        let name = node.tag_name().name();
        let mut place = Place { name: name.to_owned(), is_gradient: name.ends_with("Gradient"), ..Place::default() };
        for attribute in node.attributes() {
            let value = attribute.value();
            match attribute.name() {
                // The first of a name is it.
                "id" => {
                    self.by_id.entry(value.to_owned()).or_insert(number);
                    value.clone_into(&mut place.id);
                }
                "class" => place.classes.extend(value.split_whitespace().map(str::to_owned)),
                "href" => {
                    place
                        .uses
                        .extend(value.trim().strip_prefix('#').map(|id| Use { id: id.to_owned(), how: How::Once }));
                }
                "d" | "points" => place.corners = value.split([',', ' ', '-', '\n', '\t']).count() as u64 + 1,
                "style" => place.uses.extend(declarations(value)),
                property => place.uses.extend(used(property, value)),
            }
        }
        if name == "line" {
            place.corners = 2;
        }
        if name == "style" {
            self.rules.extend(rules(node.text().unwrap_or_default()));
        }
        if let Some(parent) = node.parent_element().and_then(|parent| self.by_node.get(&parent.id().get())) {
            self.places[*parent].children.push(number);
        }
        self.places.push(place);
    }

    /// The number of elements that the first becomes.
    fn follow(&mut self, cx: &Context, loops: &mut Vec<String>) -> Result<u64> {
        for place in self.places.iter_mut().filter(|_| !self.rules.is_empty()) {
            for rule in self.rules.iter().filter(|rule| rule.matches(place)).map(|rule| &rule.uses).collect::<Vec<_>>()
            {
                place.uses.extend(rule.iter().cloned());
            }
        }
        let mut known = vec![None; self.places.len()];
        let mut walk = Walk { graph: self, known: &mut known, open: vec![false; self.places.len()], loops, cx };
        Ok(walk.extent(0, 0)?.elements)
    }
}

/// One walk along all references.
struct Walk<'g> {
    graph: &'g Graph,
    known: &'g mut [Option<Extent>],
    /// Elements on the way here.
    open: Vec<bool>,
    loops: &'g mut Vec<String>,
    cx: &'g Context,
}

impl Walk<'_> {
    fn extent(&mut self, number: usize, depth: u64) -> Result<Extent> {
        if let Some(known) = self.known[number] {
            self.cx.limits().check("depth", depth + known.depth)?;
            return Ok(known);
        }
        self.cx.limits().check("depth", depth)?;
        self.open[number] = true;
        let graph = self.graph;
        let place = &graph.places[number];
        let mut sum = Extent { elements: 1, corners: place.corners, depth: 0 };
        for &child in &place.children {
            let child = self.extent(child, depth + 1)?;
            sum.elements = sum.elements.saturating_add(child.elements);
            sum.corners = sum.corners.saturating_add(child.corners);
            sum.depth = sum.depth.max(child.depth + 1);
        }
        // Of what is inherited by what is shown within, `use` comes first.
        let mut uses: Vec<_> = place.uses.iter().collect();
        uses.sort_by_key(|reference| reference.how != How::Once);
        for Use { id, how } in uses {
            let Some(&target) = graph.by_id.get(id).filter(|target| !graph.places[**target].is_gradient) else {
                continue;
            };
            if self.open[target] {
                // What a filter takes over from another is not followed when it is drawn; everything else is, without end.
                if place.name != "filter" {
                    return Err(Error::malformed(format!("the element {id:?} shows itself")).at_element(id.clone()));
                }
                if self.loops.len() < MOST_LOOPS && !self.loops.contains(id) {
                    self.loops.push(id.clone());
                }
                continue;
            }
            let target = self.extent(target, depth + 1)?;
            let times = match how {
                How::Once => 1,
                How::Shapes => sum.elements,
                How::Corners => sum.corners,
            };
            sum.elements = sum.elements.saturating_add(target.elements.saturating_mul(times));
            sum.corners = sum.corners.saturating_add(target.corners.saturating_mul(times));
            sum.depth = sum.depth.max(target.depth + 1);
        }
        self.open[number] = false;
        self.known[number] = Some(sum);
        Ok(sum)
    }
}

impl Rule {
    fn matches(&self, place: &Place) -> bool {
        (self.tag.is_empty() || self.tag == "*" || self.tag == place.name)
            && (self.id.is_empty() || self.id == place.id)
            && self.classes.iter().all(|class| place.classes.contains(class))
    }
}

/// The references in a value of a property.
fn used(property: &str, value: &str) -> Vec<Use> {
    let how = match property {
        "fill" | "stroke" => How::Shapes,
        _ if property.starts_with("marker") => How::Corners,
        _ => How::Once,
    };
    let inside = value.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
    let ids = inside.filter_map(|inside| inside.trim().trim_matches(['"', '\'']).strip_prefix('#'));
    ids.map(|id| Use { id: id.to_owned(), how }).collect()
}

fn declarations(text: &str) -> Vec<Use> {
    let pairs = text.split(';').filter_map(|declaration| declaration.split_once(':'));
    pairs.flat_map(|(property, value)| used(property.trim(), value)).collect()
}

/// The rules of a style sheet that refer to elements.
fn rules(sheet: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (selectors, body) in sheet.split('}').filter_map(|rule| rule.rsplit_once('{')) {
        let uses = declarations(body);
        if uses.is_empty() {
            continue;
        }
        let selectors = selectors.rsplit_once("*/").map_or(selectors, |(_, behind)| behind);
        for selector in selectors.split(',') {
            let last = selector.trim().rsplit([' ', '>', '+', '~', '\n', '\t']).next().unwrap_or_default();
            let last = last.split([':', '[']).next().unwrap_or_default();
            let mut rule = Rule { tag: String::new(), classes: Vec::new(), id: String::new(), uses: uses.clone() };
            let mut rest = last;
            loop {
                let next = rest.char_indices().skip(1).find(|(_, letter)| matches!(letter, '.' | '#'));
                let end = next.map_or(rest.len(), |(at, _)| at);
                let (part, after) = rest.split_at(end);
                match part.strip_prefix('.') {
                    Some(class) => rule.classes.push(class.to_owned()),
                    None => match part.strip_prefix('#') {
                        Some(id) => id.clone_into(&mut rule.id),
                        None => part.clone_into(&mut rule.tag),
                    },
                }
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            rules.push(rule);
        }
    }
    rules
}
