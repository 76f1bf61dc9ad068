//! The header.

use mediary_core::record::ScalarType;
use mediary_core::{Context, Error, Location, Result, Source};

use crate::text::decode;

/// Most lines of a header, and most fields.
const LINES: u64 = 256;
const FIELDS: usize = 1 << 12;
/// Most bytes of a point.
const POINT: u64 = 1 << 20;

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Store {
    Is(ScalarType),
    /// 64-bit integers, which the record holds as doubles.
    I64,
    U64,
}

impl Store {
    fn new(kind: u8, size: u64) -> Option<Self> {
        Some(match (kind, size) {
            (b'I', 1) => Self::Is(ScalarType::I8),
            (b'U', 1) => Self::Is(ScalarType::U8),
            (b'I', 2) => Self::Is(ScalarType::I16),
            (b'U', 2) => Self::Is(ScalarType::U16),
            (b'I', 4) => Self::Is(ScalarType::I32),
            (b'U', 4) => Self::Is(ScalarType::U32),
            (b'F', 4) => Self::Is(ScalarType::F32),
            (b'F', 8) => Self::Is(ScalarType::F64),
            (b'I', 8) => Self::I64,
            (b'U', 8) => Self::U64,
            _ => return None,
        })
    }

    /// What it becomes.
    pub(super) fn scalar(self) -> ScalarType {
        match self {
            Self::Is(scalar) => scalar,
            _ => ScalarType::F64,
        }
    }

    pub(super) fn size(self) -> usize {
        crate::columns::size(self.scalar())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    /// In lower case; `_` for padding.
    pub(super) name: String,
    pub(super) store: Store,
    pub(super) count: usize,
}

impl Field {
    pub(super) fn bytes(&self) -> usize {
        self.store.size() * self.count
    }

    pub(super) fn is_padding(&self) -> bool {
        self.name == "_"
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Encoding {
    Ascii,
    Binary,
    Compressed,
}

pub(super) struct Header {
    pub(super) fields: Vec<Field>,
    pub(super) points: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) viewpoint: Option<[f64; 7]>,
    pub(super) encoding: Encoding,
    /// Where the points begin, and their line.
    pub(super) body: u64,
    pub(super) line: u64,
}

#[derive(Default)]
struct Lines {
    names: Option<Vec<String>>,
    sizes: Option<Vec<u64>>,
    kinds: Option<Vec<String>>,
    counts: Option<Vec<u64>>,
    width: Option<u64>,
    height: Option<u64>,
    points: Option<u64>,
    viewpoint: Option<[f64; 7]>,
}

fn numbers<T: std::str::FromStr>(words: &[String], line: u64) -> Result<Vec<T>> {
    words.iter().map(|word| number(word, line)).collect()
}

fn number<T: std::str::FromStr>(word: &str, line: u64) -> Result<T> {
    let short: String = word.chars().take(40).collect();
    word.parse().map_err(|_| Error::malformed(format!("expected a number, found {short:?}")).at_line(line))
}

impl Header {
    pub(super) fn read(source: &Source, cx: &Context) -> Result<Self> {
        let head = source.head();
        let mut lines = Lines::default();
        let (mut at, mut line) = (0, 0);
        loop {
            line += 1;
            let rest = &head[at..];
            let Some(length) = rest.iter().position(|&byte| byte == b'\n').filter(|_| line <= LINES) else {
                return Err(Error::malformed("expected a line DATA, found none")
                    .at_line(line)
                    .with_hint("the file is cut short, or it is no PCD"));
            };
            at += length + 1;
            let text = decode(rest[..length].trim_ascii());
            let mut words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(ToOwned::to_owned);
            let Some(key) = words.next().filter(|key| !key.starts_with('#')) else { continue };
            let words: Vec<String> = words.take(FIELDS + 1).collect();
            if words.len() > FIELDS {
                return Err(Error::unsupported(format!("more than {FIELDS} fields")).at_line(line));
            }
            let one = || match &words[..] {
                [word] => number(word, line),
                words => {
                    Err(Error::malformed(format!("{key}: expected 1 number, found {}", words.len())).at_line(line))
                }
            };
            match key.as_str() {
                "VERSION" => {}
                "FIELDS" | "COLUMNS" => {
                    lines.names = Some(words.iter().map(|name| name.to_lowercase()).collect());
                }
                "SIZE" => lines.sizes = Some(numbers(&words, line)?),
                "TYPE" => lines.kinds = Some(words),
                "COUNT" => lines.counts = Some(numbers(&words, line)?),
                "WIDTH" => lines.width = Some(one()?),
                "HEIGHT" => lines.height = Some(one()?),
                "POINTS" => lines.points = Some(one()?),
                "VIEWPOINT" => {
                    let found = words.len();
                    let seven: Result<[f64; 7], _> = numbers(&words, line)?.try_into();
                    lines.viewpoint = Some(seven.map_err(|_| {
                        Error::malformed(format!("VIEWPOINT: expected 7 numbers, found {found}")).at_line(line)
                    })?);
                }
                "DATA" => {
                    let encoding = match words.first().map(String::as_str) {
                        Some("ascii") => Encoding::Ascii,
                        Some("binary") => Encoding::Binary,
                        Some("binary_compressed") => Encoding::Compressed,
                        other => {
                            let message = format!(
                                "DATA: expected ascii, binary or binary_compressed, found {:?}",
                                other.unwrap_or_default()
                            );
                            return Err(Error::malformed(message).at_line(line));
                        }
                    };
                    return lines.finish(encoding, at as u64, line, cx);
                }
                _ => {
                    let short: String = key.chars().take(40).collect();
                    cx.tolerate("header-line", format!("unknown line {short:?} in the header"), Location::line(line))?;
                }
            }
        }
    }
}

impl Lines {
    fn finish(self, encoding: Encoding, body: u64, line: u64, cx: &Context) -> Result<Header> {
        let missing =
            |what: &str| Error::malformed(format!("expected a line {what} before DATA, found none")).at_line(line);
        let names = self.names.ok_or_else(|| missing("FIELDS"))?;
        let count = names.len();
        let same = |what: &str, found: usize| {
            if found == count {
                return Ok(());
            }
            Err(Error::malformed(format!("{what}: expected {count} values, one a field, found {found}")).at_line(line))
        };
        let default = |what: &str, is: &str| {
            cx.tolerate(
                "header-default",
                format!("there is no line {what}: it is taken for {is}"),
                Location::line(line),
            )
        };
        let sizes = match self.sizes {
            Some(sizes) => sizes,
            None => {
                default("SIZE", "4 bytes each")?;
                vec![4; count]
            }
        };
        let kinds = match self.kinds {
            Some(kinds) => kinds,
            None => {
                default("TYPE", "floats")?;
                vec!["F".into(); count]
            }
        };
        // The specification lets it be left out.
        let counts = self.counts.unwrap_or_else(|| vec![1; count]);
        same("SIZE", sizes.len())?;
        same("TYPE", kinds.len())?;
        same("COUNT", counts.len())?;
        let mut fields = Vec::with_capacity(count);
        let mut stride = 0_u64;
        for (((name, size), kind), count) in names.into_iter().zip(sizes).zip(kinds).zip(counts) {
            let store = match kind.as_bytes() {
                [kind] => Store::new(kind.to_ascii_uppercase(), size),
                _ => None,
            };
            // Padding may have any size.
            let store = store.or_else(|| (name == "_" && size == 1).then_some(Store::Is(ScalarType::U8)));
            let Some(store) = store else {
                let short: String = kind.chars().take(40).collect();
                let message = format!("field {name:?}: there is no type {short:?} of {size} bytes");
                return Err(Error::malformed(message).at_line(line));
            };
            stride = count.saturating_mul(store.size() as u64).saturating_add(stride);
            if stride > POINT {
                return Err(Error::unsupported(format!("points of more than {POINT} bytes")).at_line(line));
            }
            fields.push(Field { name, store, count: count as usize });
        }
        let product = match (self.width, self.height) {
            (Some(width), Some(height)) => width.checked_mul(height),
            (Some(width), None) => Some(width),
            _ => None,
        };
        let points = match (self.points, product) {
            (Some(points), None) if self.width.is_none() => points,
            (Some(points), product) => {
                if product != Some(points) {
                    let message = format!("POINTS {points} is not WIDTH times HEIGHT");
                    cx.tolerate("points", message, Location::line(line))?;
                }
                points
            }
            (None, Some(product)) => product,
            (None, None) => return Err(missing("POINTS")),
        };
        let organised = product == Some(points);
        Ok(Header {
            fields,
            points,
            width: self.width.filter(|_| organised).unwrap_or(points),
            height: self.height.filter(|_| organised).unwrap_or(1),
            viewpoint: self.viewpoint,
            encoding,
            body,
            line: line + 1,
        })
    }
}
