//! The header of PLY.

use mediary_core::record::ScalarType;
use mediary_core::{Context, Error, Location, Result, Source};

use crate::text::{self, Scanner};

/// A longer header is none.
const LONGEST: u64 = 4 << 20;

/// Properties of an element: real files have up to some hundred, and every pair of names may have to be compared.
pub(super) const MOST_PROPERTIES: usize = 4096;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Ascii,
    Little,
    Big,
}

/// A column of an element.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub(super) name: String,
    /// Type of the length, for lists.
    pub(super) list: Option<ScalarType>,
    pub(super) scalar: ScalarType,
}

/// A list of rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) properties: Vec<Property>,
}

impl Element {
    /// Bytes of a binary row, at least: a list has a length even when it is empty.
    pub(super) fn least_bytes(&self) -> u64 {
        self.properties.iter().map(|property| size(property.list.unwrap_or(property.scalar))).sum()
    }

    pub(super) fn has_lists(&self) -> bool {
        self.properties.iter().any(|property| property.list.is_some())
    }

    /// The first property of one of these names, a list or not.
    pub(super) fn find(&self, names: &[&str], list: bool) -> Option<usize> {
        names.iter().find_map(|name| {
            let mut properties = self.properties.iter();
            properties.position(|property| property.list.is_some() == list && property.name.eq_ignore_ascii_case(name))
        })
    }

    /// Properties of these names, if all are there with one type.
    pub(super) fn group(&self, names: &[&str]) -> Option<Vec<usize>> {
        let found: Vec<_> = names.iter().filter_map(|name| self.find(&[name], false)).collect();
        let same = found.windows(2).all(|pair| self.properties[pair[0]].scalar == self.properties[pair[1]].scalar);
        (found.len() == names.len() && same).then_some(found)
    }

    /// `red green blue`, with `alpha` where it has their type.
    pub(super) fn colors(&self) -> Option<Vec<usize>> {
        ["", "diffuse_"].iter().find_map(|prefix| {
            let names = ["red", "green", "blue", "alpha"].map(|name| format!("{prefix}{name}"));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.group(&names).or_else(|| self.group(&names[..3]))
        })
    }
}

/// The whole header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) elements: Vec<Element>,
    pub(super) comments: Vec<String>,
    pub(super) obj_info: Vec<String>,
    /// Offset of the first row.
    pub(super) body: u64,
    /// Line of the first row, counted from 1.
    pub(super) line: u64,
    /// Lines end with CR alone.
    pub(super) cr: bool,
}

impl Header {
    pub(super) fn element(&self, name: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.name == name)
    }

    /// Whether some face is announced.
    pub(super) fn has_faces(&self) -> bool {
        self.elements.iter().any(|element| is_faces(element) && element.count > 0)
    }

    /// `vertex`, with the places of `x`, `y` and `z`.
    pub(super) fn vertices(&self) -> Result<(&Element, [usize; 3])> {
        let Some(vertex) = self.element("vertex") else {
            let names: Vec<_> = self.elements.iter().map(|element| element.name.as_str()).collect();
            return Err(Error::malformed(format!("expected an element \"vertex\", found {names:?}"))
                .at_element("header")
                .with_hint("PLY can hold lists of anything; a scene or a point cloud needs vertices"));
        };
        let find = |name: &str| {
            vertex.find(&[name], false).ok_or_else(|| {
                Error::malformed(format!("expected a number {name:?} of each vertex, found none")).at_element("vertex")
            })
        };
        Ok((vertex, [find("x")?, find("y")?, find("z")?]))
    }
}

/// Whether an element makes faces.
pub(super) fn is_faces(element: &Element) -> bool {
    face_indices(element).is_some()
}

/// The list of vertex indices of `face` or `tristrips`.
pub(super) fn face_indices(element: &Element) -> Option<usize> {
    let named = matches!(&*element.name, "face" | "faces" | "tristrips");
    if named { element.find(&["vertex_indices", "vertex_index", "vertex_indexes"], true) } else { None }
}

/// Bytes of a number.
pub(super) const fn size(scalar: ScalarType) -> u64 {
    match scalar {
        ScalarType::I8 | ScalarType::U8 => 1,
        ScalarType::I16 | ScalarType::U16 => 2,
        ScalarType::I32 | ScalarType::U32 | ScalarType::F32 => 4,
        _ => 8,
    }
}

/// The name of a number type, as written.
pub(super) const fn type_name(scalar: ScalarType) -> &'static str {
    match scalar {
        ScalarType::I8 => "char",
        ScalarType::U8 => "uchar",
        ScalarType::I16 => "short",
        ScalarType::U16 => "ushort",
        ScalarType::I32 => "int",
        ScalarType::U32 => "uint",
        ScalarType::F32 => "float",
        _ => "double",
    }
}

fn type_of(name: &[u8]) -> Option<ScalarType> {
    Some(match &*name.to_ascii_lowercase() {
        b"char" | b"int8" => ScalarType::I8,
        b"uchar" | b"uint8" => ScalarType::U8,
        b"short" | b"int16" => ScalarType::I16,
        b"ushort" | b"uint16" => ScalarType::U16,
        b"int" | b"int32" => ScalarType::I32,
        b"uint" | b"uint32" => ScalarType::U32,
        b"float" | b"float32" => ScalarType::F32,
        b"double" | b"float64" => ScalarType::F64,
        _ => return None,
    })
}

pub(super) fn read(source: &Source, cx: &Context) -> Result<Header> {
    let head = source.head();
    match parse(head, source.len() > head.len() as u64, cx)? {
        Some(header) => Ok(header),
        None => {
            let length = source.len().min(LONGEST);
            cx.budget().take(length)?;
            let mut longer = vec![0; length as usize];
            let read = source.read_at(0, &mut longer)?;
            longer.truncate(read);
            let header = parse(&longer, false, cx);
            cx.budget().give_back(length);
            header?.ok_or_else(|| no_end(1))
        }
    }
}

fn no_end(line: u64) -> Error {
    Error::malformed("expected end_header, found the end").at_line(line).with_hint("the file is cut short")
}

/// `None` when the header goes on behind `bytes` and there is more.
fn parse(bytes: &[u8], more: bool, cx: &Context) -> Result<Option<Header>> {
    let mut scanner = Scanner::new(bytes);
    if scanner.word() != b"ply" {
        return Err(Error::malformed("expected \"ply\", found something else").at_line(1));
    }
    scanner.rest_of_line();
    let style = bytes.get(scanner.offset()..).unwrap_or_default();
    let cr = style.first() == Some(&b'\r') && style.get(1) != Some(&b'\n');
    scanner.skip_line(false);
    let mut encoding = None;
    let mut header = Header {
        encoding: Encoding::Ascii,
        elements: Vec::new(),
        comments: Vec::new(),
        obj_info: Vec::new(),
        body: 0,
        line: 0,
        cr,
    };
    // Findings wait until the header is known to be whole: it may be parsed twice.
    let mut findings = Vec::new();
    loop {
        let line = scanner.line();
        if scanner.is_done() {
            return if more { Ok(None) } else { Err(no_end(line)) };
        }
        let wrong = |message: String| Error::malformed(message).at_line(line);
        let word = scanner.word();
        let cut = |scanner: &mut Scanner<'_>| {
            scanner.rest_of_line();
            more && scanner.is_done()
        };
        match word {
            b"format" => {
                let name = scanner.word();
                encoding = Some(match name {
                    b"ascii" => Encoding::Ascii,
                    b"binary_little_endian" => Encoding::Little,
                    b"binary_big_endian" => Encoding::Big,
                    _ if cut(&mut scanner) => return Ok(None),
                    _ => {
                        let found = text::decode(&name[..name.len().min(40)]);
                        return Err(wrong(format!(
                            "expected ascii, binary_little_endian or binary_big_endian, found {found:?}"
                        )));
                    }
                });
                let version = scanner.word();
                if version != b"1.0" {
                    let found = text::decode(&version[..version.len().min(40)]);
                    findings.push(("version", format!("expected version 1.0, found {found:?}"), line));
                }
            }
            b"comment" => header.comments.push(text::decode(scanner.rest_of_line())),
            b"obj_info" => header.obj_info.push(text::decode(scanner.rest_of_line())),
            b"element" => {
                let name = text::decode(scanner.word());
                let shown = scanner.word();
                let count = std::str::from_utf8(shown).ok().and_then(|count| count.parse().ok());
                match count {
                    Some(count) if !name.is_empty() => {
                        header.elements.push(Element { name, count, properties: Vec::new() });
                    }
                    _ if cut(&mut scanner) => return Ok(None),
                    _ => {
                        let found = text::decode(&shown[..shown.len().min(40)]);
                        return Err(wrong(format!("expected the number of {name:?}, found {found:?}")));
                    }
                }
            }
            b"property" => {
                let Some(property) = property(&mut scanner) else {
                    if cut(&mut scanner) {
                        return Ok(None);
                    }
                    return Err(wrong("expected \"property TYPE NAME\" or \"property list TYPE TYPE NAME\"".into()));
                };
                let Some(element) = header.elements.last_mut() else {
                    return Err(wrong("expected an element before its properties".into()));
                };
                if element.properties.len() == MOST_PROPERTIES {
                    let message = format!("element {:?} has more than {MOST_PROPERTIES} properties", element.name);
                    return Err(Error::unsupported(message).at_line(line));
                }
                if element.properties.iter().any(|known| known.name == property.name) {
                    let message = format!("element {:?} has two properties {:?}", element.name, property.name);
                    findings.push(("duplicate-property", message, line));
                }
                element.properties.push(property);
            }
            b"end_header" => {
                scanner.skip_blanks();
                let end = bytes.get(scanner.offset()..).unwrap_or_default();
                // CRLF only where the header uses it: the first byte of binary rows may be a line feed.
                let length = match end {
                    [] if more => return Ok(None),
                    [b'\r', b'\n', ..] if !cr => 2,
                    [b'\r' | b'\n', ..] => 1,
                    [] => 0,
                    _ => return Err(wrong("expected the end of the line behind end_header".into())),
                };
                header.body = (scanner.offset() + length) as u64;
                header.line = line + 1;
                break;
            }
            b"" => {}
            _ if cut(&mut scanner) => return Ok(None),
            _ => {
                let found = text::decode(&word[..word.len().min(40)]);
                let message = format!("expected format, element, property or end_header, found {found:?}");
                findings.push(("unknown-header-line", message, line));
            }
        }
        scanner.skip_line(false);
    }
    header.encoding = encoding.ok_or_else(|| Error::malformed("expected a format line, found none").at_line(2))?;
    for (code, message, line) in findings {
        cx.tolerate(code, message, Location::line(line))?;
    }
    Ok(Some(header))
}

fn property(scanner: &mut Scanner<'_>) -> Option<Property> {
    let word = scanner.word();
    let (list, scalar) = if word == b"list" {
        let length = type_of(scanner.word())?;
        (Some(length), type_of(scanner.word())?)
    } else {
        (None, type_of(word)?)
    };
    let name = text::decode(scanner.word());
    (!name.is_empty()).then_some(Property { name, list, scalar })
}
