//! Where categories are written to: the same for text and for columns.

use std::borrow::Cow;
use std::io::Write as _;

use mediary_core::{Output, Result};

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// `?`
    Unknown,
    /// `.`
    Inapplicable,
    Text(&'a str),
    Integer(i64),
    /// A number of single precision.
    Single(f32),
    Double(f64),
}

impl<'a> Cell<'a> {
    /// A text; an empty one is `instead`.
    pub(crate) fn text_or(text: &'a str, instead: Self) -> Self {
        if text.trim().is_empty() { instead } else { Self::Text(text) }
    }

    /// A number, or `.`.
    pub(crate) fn number(value: Option<i32>) -> Self {
        value.map_or(Self::Inapplicable, |value| Self::Integer(value.into()))
    }
}

/// Takes categories one after the other.
pub(crate) trait Sink {
    /// Begins a data block.
    fn block(&mut self, name: &str) -> Result<()>;

    /// Begins a category: of one row, or of as many as follow.
    fn begin(&mut self, category: &str, items: &[&str], one: bool) -> Result<()>;

    /// A row of the category.
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()>;

    /// Ends the category.
    fn end(&mut self) -> Result<()>;

    /// A category of one row.
    fn single(&mut self, category: &str, items: &[&str], cells: &[Cell<'_>]) -> Result<()> {
        self.begin(category, items, true)?;
        self.row(cells)?;
        self.end()
    }
}

/// Categories as text.
pub(super) struct Text<'o> {
    out: &'o mut Output,
    /// Names of the items of a category of one row.
    names: Vec<String>,
    line: Vec<u8>,
}

impl<'o> Text<'o> {
    pub(super) fn new(out: &'o mut Output) -> Self {
        Self { out, names: Vec::new(), line: Vec::new() }
    }

    fn cell(&mut self, cell: Cell<'_>) -> Result<()> {
        let line = &mut self.line;
        match cell {
            Cell::Unknown => line.push(b'?'),
            Cell::Inapplicable => line.push(b'.'),
            Cell::Text(text) => line.extend_from_slice(quote(text).as_bytes()),
            Cell::Integer(value) => write!(line, "{value}")?,
            Cell::Single(value) => write!(line, "{value}")?,
            Cell::Double(value) => write!(line, "{value}")?,
        }
        Ok(())
    }
}

impl Sink for Text<'_> {
    fn block(&mut self, name: &str) -> Result<()> {
        writeln!(self.out, "data_{name}\n#")?;
        Ok(())
    }

    fn begin(&mut self, category: &str, items: &[&str], one: bool) -> Result<()> {
        self.names.clear();
        if one {
            self.names.extend(items.iter().map(|item| format!("_{category}.{item} ")));
            return Ok(());
        }
        writeln!(self.out, "loop_")?;
        for item in items {
            writeln!(self.out, "_{category}.{item}")?;
        }
        Ok(())
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        self.line.clear();
        for (index, cell) in cells.iter().enumerate() {
            match self.names.get(index) {
                Some(name) => self.line.extend_from_slice(name.as_bytes()),
                None if index > 0 => self.line.push(b' '),
                None => {}
            }
            self.cell(*cell)?;
            if !self.names.is_empty() {
                self.line.push(b'\n');
            }
        }
        if self.names.is_empty() {
            self.line.push(b'\n');
        }
        self.out.write_all(&self.line)?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        writeln!(self.out, "#")?;
        Ok(())
    }
}

/// A value as CIF spells it: bare, in quotes, or as a text field that starts a line.
fn quote(value: &str) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    let reserved = |word: &str| value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let bare = bytes.iter().all(|&byte| byte > b' ' && !b"'\"".contains(&byte) && byte != 0x7F)
        && bytes.first().is_some_and(|first| !b"_#$[];".contains(first))
        && !matches!(value, "." | "?")
        && !["data_", "loop_", "save_", "stop_", "global_"].into_iter().any(reserved);
    if bare {
        return Cow::Borrowed(value);
    }
    let clean: String = value.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect::<String>();
    // A quote ends the value only where white space follows.
    let ends = |quote: char| {
        let mut rest = clean.chars().peekable();
        std::iter::from_fn(|| rest.next().map(|c| (c, rest.peek().copied())))
            .any(|(c, next)| c == quote && next.is_none_or(char::is_whitespace))
    };
    if !clean.contains('\n') {
        // Some readers end a value at any quote: another one is better.
        let quotes = ['\'', '"'].into_iter();
        for quote in quotes.clone().filter(|&quote| !clean.contains(quote)).chain(quotes) {
            if !ends(quote) {
                return Cow::Owned(format!("{quote}{clean}{quote}"));
            }
        }
    }
    // A semicolon at the start of a line would end the field.
    Cow::Owned(format!("\n;{}\n;", clean.replace("\n;", "\n ;")))
}
