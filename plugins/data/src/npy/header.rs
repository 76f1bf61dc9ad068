//! The header: a Python literal that names the type of the elements, their order and the shape.

use mediary_core::{Context, Error, Result, Source};

pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Nesting of the literal at most: a type in a list in a tuple in a list, and a few structures inside of each other.
const DEPTH: usize = 32;

/// Memory that a character of the header may take once parsed.
const PARSED: u64 = 64;

/// Number type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl Scalar {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// The name that numpy prints.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::U16 => "uint16",
            Self::I32 => "int32",
            Self::U32 => "uint32",
            Self::I64 => "int64",
            Self::U64 => "uint64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }
}

/// A field of an element; a plain type is one field without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Path of names, parted by dots.
    pub(super) name: String,
    /// Bytes from the start of the element.
    pub(super) offset: usize,
    pub(super) scalar: Scalar,
    pub(super) big_endian: bool,
    /// Numbers in it: more than one for a field with a shape.
    pub(super) count: usize,
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NpyHeader {
    pub(super) fields: Vec<Field>,
    pub(super) structured: bool,
    /// Bytes of one element.
    pub(super) item: usize,
    pub(super) fortran: bool,
    pub(super) shape: Vec<u64>,
    /// Offset of the first element.
    pub(super) start: u64,
}

impl NpyHeader {
    /// Elements in all.
    pub(super) fn elements(&self) -> Result<u64> {
        // A 0 on any axis makes it 0, whatever the others are.
        if self.shape.contains(&0) {
            return Ok(0);
        }
        self.shape
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length))
            .ok_or_else(|| Error::malformed(format!("the shape {:?} has more elements than 64 bits count", self.shape)))
    }

    /// Reads the header from the first bytes of `source`.
    pub(super) fn read(source: &Source, cx: &Context) -> Result<Self> {
        let mut prefix = [0; 12];
        let got = source.read_at(0, &mut prefix)?;
        if got < 10 || prefix[..6] != *MAGIC {
            return Err(Error::malformed(format!(
                "expected \\x93NUMPY, a version and a length, found {}",
                prefix[..got.min(8)].escape_ascii()
            ))
            .at_byte(0));
        }
        let (length, start) = match prefix[6] {
            1 => (u64::from(u16::from_le_bytes([prefix[8], prefix[9]])), 10),
            2 | 3 if got == 12 => (u64::from(u32::from_le_bytes([prefix[8], prefix[9], prefix[10], prefix[11]])), 12),
            2 | 3 => return Err(Error::truncated("the header", 12, got as u64).at_byte(8)),
            version => {
                return Err(
                    Error::unsupported(format!("npy version {version}.{}: expected 1, 2 or 3", prefix[7])).at_byte(6)
                );
            }
        };
        let left = source.len().saturating_sub(start);
        if length > left {
            return Err(Error::truncated("the header", length, left).at_byte(start));
        }
        // A character may become a field of 64 bytes; headers have some hundred characters.
        cx.limits().check("string_bytes", length.saturating_mul(PARSED))?;
        cx.budget().take(length.saturating_mul(PARSED))?;
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        source.read_exact_at(start, &mut text, "the header")?;
        // Version 3 is UTF-8, the others Latin-1; only names can differ.
        let text = if prefix[6] == 3 {
            String::from_utf8(text).map_err(|_| Error::malformed("the header is not UTF-8").at_byte(start))?
        } else {
            text.iter().map(|&byte| char::from(byte)).collect()
        };
        Self::parse(&text, start + length, cx).map_err(|error| match error.location() {
            None => error.at_byte(start),
            Some(_) => error,
        })
    }

    fn parse(text: &str, start: u64, cx: &Context) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let literal = parser.value(DEPTH.min(usize::try_from(cx.limits().depth).unwrap_or(DEPTH)))?;
        parser.spaces();
        if parser.at < text.len() {
            return Err(parser.expected("the end of the header"));
        }
        let Literal::Dict(entries) = literal else {
            return Err(Error::malformed("expected a dictionary with descr, fortran_order and shape"));
        };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("descr", value) => descr = Some(value),
                ("fortran_order", Literal::Bool(value)) => fortran = Some(value),
                ("shape", Literal::List(lengths)) => shape = Some(shape_of(&lengths)?),
                ("fortran_order" | "shape", _) => {
                    return Err(Error::malformed("expected True or False, or a tuple of lengths").at_element(key));
                }
                _ => return Err(Error::malformed(format!("unknown key {key:?}")).at_element("header")),
            }
        }
        let missing = |key: &str| Error::malformed(format!("the header has no {key:?}"));
        let descr = descr.ok_or_else(|| missing("descr"))?;
        let mut fields = Vec::new();
        let structured = matches!(descr, Literal::List(_));
        let item = layout(&descr, "", 0, &mut fields)?;
        if fields.is_empty() || item == 0 {
            return Err(Error::unsupported("a type without numbers: every field is empty or padding"));
        }
        let (fortran, shape) =
            (fortran.ok_or_else(|| missing("fortran_order"))?, shape.ok_or_else(|| missing("shape"))?);
        Ok(Self { fields, structured, item, fortran, shape, start })
    }
}

fn shape_of(lengths: &[Literal]) -> Result<Vec<u64>> {
    // numpy itself ends at 64 axes.
    if lengths.len() > 64 {
        return Err(Error::malformed(format!("expected at most 64 axes, found {}", lengths.len())).at_element("shape"));
    }
    let length = |literal: &Literal| match literal {
        Literal::Int(length) => u64::try_from(*length).ok(),
        _ => None,
    };
    lengths
        .iter()
        .map(length)
        .collect::<Option<_>>()
        .ok_or_else(|| Error::malformed("expected lengths of 0 or more").at_element("shape"))
}

/// Adds the fields of a type at `offset`; gives its bytes.
fn layout(descr: &Literal, name: &str, offset: usize, fields: &mut Vec<Field>) -> Result<usize> {
    let too_large = || Error::malformed("an element is larger than memory").at_element("descr");
    match descr {
        Literal::Text(code) => {
            let scalar = scalar_of(code)?;
            let big_endian = code.starts_with('>');
            fields.push(Field { name: name.into(), offset, scalar, big_endian, count: 1 });
            Ok(scalar.bytes())
        }
        Literal::List(members) => {
            let mut size = 0_usize;
            for member in members {
                size = size
                    .checked_add(self::member(member, name, offset.checked_add(size).ok_or_else(too_large)?, fields)?)
                    .ok_or_else(too_large)?;
            }
            Ok(size)
        }
        _ => Err(Error::malformed("expected a type name or a list of fields").at_element("descr")),
    }
}

/// Adds one `(name, type)` or `(name, type, shape)`.
fn member(member: &Literal, path: &str, offset: usize, fields: &mut Vec<Field>) -> Result<usize> {
    let wrong = || Error::malformed("expected a field (name, type) or (name, type, shape)").at_element("descr");
    let Literal::List(parts) = member else { return Err(wrong()) };
    let (name, descr, shape) = match &parts[..] {
        [name, descr] => (name, descr, 1),
        [name, descr, shape] => {
            let lengths = match shape {
                Literal::List(lengths) => shape_of(lengths)?,
                length => shape_of(std::slice::from_ref(length))?,
            };
            let count = lengths.iter().try_fold(1_u64, |product, &length| product.checked_mul(length));
            (name, descr, count.and_then(|count| usize::try_from(count).ok()).ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    };
    let name = match name {
        Literal::Text(name) => name,
        // A title and a name.
        Literal::List(names) => match &names[..] {
            [_, Literal::Text(name)] => name,
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    // Aligned structures are padded with nameless fields.
    if let ("", Literal::Text(code)) = (name.as_str(), descr)
        && let Some(size) = code.trim_start_matches(['<', '>', '|']).strip_prefix('V')
    {
        return size.parse::<usize>().ok().and_then(|size| size.checked_mul(shape)).ok_or_else(wrong);
    }
    let path = match (path, name.as_str()) {
        ("", name) => name.to_owned(),
        (path, name) => format!("{path}.{name}"),
    };
    let first = fields.len();
    let size = layout(descr, &path, offset, fields)?;
    if shape != 1 {
        match &mut fields[first..] {
            [] => {}
            [field] if matches!(descr, Literal::Text(_)) => field.count = shape,
            _ => return Err(Error::unsupported(format!("field {path:?}: an array of structures"))),
        }
    }
    // An array of no numbers is no field.
    if shape == 0 {
        fields.truncate(first);
    }
    size.checked_mul(shape).ok_or_else(wrong)
}

/// The number type of a type name.
fn scalar_of(code: &str) -> Result<Scalar> {
    let body = code.strip_prefix(['<', '>', '|', '=']).unwrap_or(code);
    let scalar =
        match body {
            "b1" | "?" => Scalar::Bool,
            "i1" => Scalar::I8,
            "u1" => Scalar::U8,
            "i2" => Scalar::I16,
            "u2" => Scalar::U16,
            "i4" => Scalar::I32,
            "u4" => Scalar::U32,
            "i8" => Scalar::I64,
            "u8" => Scalar::U64,
            "f2" => Scalar::F16,
            "f4" => Scalar::F32,
            "f8" => Scalar::F64,
            _ => {
                return match body.as_bytes().first() {
                    Some(b'O') => Err(Error::unsupported(format!(
                        "type {code:?}: objects are pickled Python, which runs as a program when it is read"
                    ))
                    .with_hint("save the array with a number type and allow_pickle=False")),
                    Some(b'c') => Err(Error::unsupported(format!("type {code:?}: complex numbers"))
                        .with_hint("save real and imaginary parts or magnitudes")),
                    Some(b'U' | b'S' | b'a') => {
                        Err(Error::unsupported(format!("type {code:?}: texts")).with_hint("save texts as csv"))
                    }
                    Some(b'M' | b'm') => Err(Error::unsupported(format!("type {code:?}: dates and durations"))
                        .with_hint("save them as int64")),
                    Some(b'f' | b'g') => Err(Error::unsupported(format!("type {code:?}: floats of this width"))
                        .with_hint("save them as float64")),
                    Some(b'V') => Err(Error::unsupported(format!("type {code:?}: raw bytes"))),
                    _ => Err(Error::malformed(format!("unknown type {code:?}")).at_element("descr")),
                };
            }
        };
    Ok(scalar)
}

/// The part of Python's literals that a header uses. Tuples are lists.
#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Text(String),
    Int(i128),
    Bool(bool),
    List(Vec<Literal>),
    Dict(Vec<(String, Literal)>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, text: &str) -> bool {
        self.spaces();
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn expected(&self, what: &str) -> Error {
        let found: String = self.rest().chars().take(12).collect();
        Error::malformed(format!("header: expected {what}, found {found:?} at character {}", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<Literal> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::limit("depth", DEPTH as u64 + 1, DEPTH as u64));
        };
        self.spaces();
        match self.rest().bytes().next() {
            Some(b'{') => self.dict(depth),
            Some(b'(') => self.list("(", ")", depth),
            Some(b'[') => self.list("[", "]", depth),
            Some(b'\'' | b'"') => self.string().map(Literal::Text),
            Some(b'u' | b'b') if matches!(self.rest().as_bytes().get(1), Some(b'\'' | b'"')) => {
                self.at += 1;
                self.string().map(Literal::Text)
            }
            Some(b'T') if self.take("True") => Ok(Literal::Bool(true)),
            Some(b'F') if self.take("False") => Ok(Literal::Bool(false)),
            Some(b'0'..=b'9' | b'-') => {
                let rest = self.rest();
                let length = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |length| length + 1);
                let number = rest[..length].parse().map_err(|_| self.expected("a whole number"))?;
                self.at += length;
                // Python 2 wrote long numbers with an L.
                if self.rest().starts_with('L') {
                    self.at += 1;
                }
                Ok(Literal::Int(number))
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Result<Literal> {
        self.take(open);
        let mut values = Vec::new();
        loop {
            if self.take(close) {
                // `(3)` is a number in parentheses, which no writer writes; as a shape it can only mean this.
                return Ok(Literal::List(values));
            }
            values.push(self.value(depth)?);
            if !self.take(",") && !self.rest().trim_start().starts_with(close) {
                return Err(self.expected(close));
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal> {
        self.take("{");
        let mut entries: Vec<(String, Literal)> = Vec::new();
        loop {
            if self.take("}") {
                return Ok(Literal::Dict(entries));
            }
            let Literal::Text(key) = self.value(depth)? else { return Err(self.expected("a text as key")) };
            if !self.take(":") {
                return Err(self.expected("\":\""));
            }
            // A header has three keys: a list is short enough to search.
            if entries.len() > 16 || entries.iter().any(|(known, _)| *known == key) {
                return Err(Error::malformed(format!("header: key {key:?} is given twice, or there are too many")));
            }
            let value = self.value(depth)?;
            entries.push((key, value));
            if !self.take(",") && !self.rest().trim_start().starts_with('}') {
                return Err(self.expected("\"}\""));
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.rest().chars().next().unwrap_or('\'');
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '\'' | '"'))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    _ => return Err(self.expected("a text without escapes")),
                },
                c => text.push(c),
            }
        }
        Err(self.expected("a closing quote"))
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::ErrorKind;

    use super::*;

    fn parse(text: &str) -> Result<NpyHeader> {
        NpyHeader::parse(text, 0, &Context::new("npy"))
    }

    #[test]
    fn headers_are_parsed() {
        let header = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }   \n").unwrap();
        assert_eq!((header.item, &header.shape[..], header.fortran), (8, &[2, 3][..], false));
        assert_eq!(header.elements().unwrap(), 6);
        let header = parse("{'descr': '|b1', 'fortran_order': True, 'shape': ()}").unwrap();
        assert_eq!((header.elements().unwrap(), header.fortran), (1, true));
        assert_eq!(parse("{'shape': (3L,), 'fortran_order': False, 'descr': '>u2'}").unwrap().shape, [3]);
        let empty = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 18446744073709551615, 9)}").unwrap();
        assert_eq!(empty.elements().unwrap(), 0);
    }

    #[test]
    fn structures_are_laid_out() {
        let header = parse(
            "{'descr': [('a', 'u1'), ('', '|V3'), ('p', '<f4', (3,)), (('title', 'q'), [('x', '>i2'), ('y', '<i8')])], \
             'fortran_order': False, 'shape': (1,)}",
        )
        .unwrap();
        assert_eq!(header.item, 26);
        let found: Vec<_> =
            header.fields.iter().map(|field| (&field.name[..], field.offset, field.count, field.big_endian)).collect();
        assert_eq!(found, [("a", 0, 1, false), ("p", 4, 3, false), ("q.x", 16, 1, true), ("q.y", 18, 1, false)]);
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        for code in ["|O", "<c16", "<U5", "|S3", "<M8[ns]", "<f16", "|V8"] {
            let error = parse(&format!("{{'descr': '{code}', 'fortran_order': False, 'shape': (1,)}}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{code}");
        }
        assert!(
            parse("{'descr': '|O', 'fortran_order': False, 'shape': ()}").unwrap_err().message().contains("pickled")
        );
    }

    #[test]
    fn broken_headers_are_malformed() {
        for text in [
            "",
            "{",
            "{'descr': '<f8'}",
            "{'descr': '<q8', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': 0, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1 2)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x",
            "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': [('a', '<f8', (9223372036854775807,))], 'fortran_order': False, 'shape': (1,)}",
            "[1]",
        ] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Malformed, "{text}");
        }
        assert_eq!(parse(&"(".repeat(100_000)).unwrap_err().kind(), ErrorKind::Limit);
        let header = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}").unwrap();
        assert_eq!(header.elements().unwrap_err().kind(), ErrorKind::Malformed);
    }
}
