//! Tokens of CIF 1.1, and of the CIF 2.0 that magnetic structures come in.

use mediary_core::{Error, Result};

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `data_` and the name of the block.
    Data(&'a [u8]),
    /// `loop_`.
    Loop,
    /// An item name.
    Item(&'a [u8]),
    /// A value without its quotes; `.` and `?` are null only where they stand bare.
    Value(Value<'a>),
    /// `save_` and the name of a frame; without a name the frame ends.
    Save(&'a [u8]),
    /// `stop_`, `global_`: not part of data files.
    Reserved(&'a [u8]),
}

impl Token<'_> {
    /// What it is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Data(_) => "data_",
            Self::Loop => "loop_",
            Self::Item(_) => "an item",
            Self::Value(_) => "a value",
            Self::Save(_) => "save_",
            Self::Reserved(_) => "a reserved word",
        }
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// Its bytes.
    pub(crate) text: &'a [u8],
    /// Whether it stood in quotes or in a text field.
    pub(crate) quoted: bool,
}

impl<'a> Value<'a> {
    /// What stands where there is no value.
    pub(crate) const UNKNOWN: Self = Self { text: b"?", quoted: false };

    /// The bytes, unless the value is `.` or `?`.
    pub(crate) fn given(self) -> Option<&'a [u8]> {
        (self.quoted || !matches!(self.text, b"." | b"?")).then_some(self.text)
    }
}

/// A place in a CIF text; copy it to come back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tokens {
    /// Offset of the next byte.
    pub(crate) at: usize,
    /// Line ends before it.
    pub(crate) lines: u64,
    /// Whether brackets and triple quotes mean what they do in CIF 2.0.
    second: bool,
}

/// Lists and tables of CIF 2.0 inside one another, at most.
const DEEPEST: usize = 64;

/// What a byte is where a token starts: part of a word and nothing else, or something that is looked at closer.
const PLAIN: u8 = 0;
const SPACE: u8 = 1;
const CLOSER: u8 = 2;
static CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            // A form feed is no character of CIF, but it ends words all the same.
            b' ' | b'\t' | b'\r' | b'\n' | 0x0C => SPACE,
            b'#' | b';' | b'\'' | b'"' | b'_' | b'[' | b'{' => CLOSER,
            b'd' | b'D' | b'l' | b'L' | b's' | b'S' | b'g' | b'G' => CLOSER,
            _ => PLAIN,
        };
        byte += 1;
    }
    classes
};

impl Tokens {
    /// The start of a text: behind a byte order mark, and knowing whether it is CIF 2.0.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Self { at, lines: 0, second: bytes[at..].starts_with(b"#\\#CIF_2.0") }
    }

    /// The next token.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Token<'a>>> {
        // White space and comments.
        let first = loop {
            match bytes.get(self.at) {
                None => return Ok(None),
                Some(b' ' | b'\t' | 0x0C) => self.at += 1,
                Some(b'\n') => {
                    self.lines += 1;
                    self.at += 1;
                }
                Some(b'\r') => {
                    self.at += 1;
                    // Alone it ends a line too.
                    self.lines += u64::from(bytes.get(self.at) != Some(&b'\n'));
                }
                Some(b'#') => {
                    let rest = &bytes[self.at..];
                    self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                Some(&first) => break first,
            }
        };
        let rest = &bytes[self.at..];
        if CLASSES[usize::from(first)] != PLAIN {
            let line_start = self.at == 0 || matches!(bytes[self.at - 1], b'\n' | b'\r');
            match first {
                b';' if line_start => return self.text_field(rest).map(Some),
                b'\'' | b'"' => return self.quoted(rest, first).map(Some),
                b'[' | b'{' if self.second => return self.nested(bytes).map(Some),
                _ => {
                    let text = word(rest);
                    self.at += text.len();
                    return Ok(Some(keyword(text)));
                }
            }
        }
        let text = word(rest);
        self.at += text.len();
        Ok(Some(Token::Value(Value { text, quoted: false })))
    }

    /// `;` at the start of a line, up to the next such.
    fn text_field<'a>(&mut self, rest: &'a [u8]) -> Result<Token<'a>> {
        let mut end = 1;
        let mut lines = 0;
        loop {
            let Some(newline) = rest[end..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                return Err(Error::malformed(
                    "expected a semicolon that ends the text field, found the end of the file",
                )
                .at_line(self.lines + 1));
            };
            end += newline + 1;
            // CR LF is one end of a line.
            lines += u64::from(rest[end - 1] == b'\n' || rest.get(end) != Some(&b'\n'));
            if rest.get(end) == Some(&b';') {
                break;
            }
        }
        self.at += end + 1;
        self.lines += lines;
        let text = &rest[1..end - 1];
        Ok(Token::Value(Value { text: text.strip_suffix(b"\r").unwrap_or(text), quoted: true }))
    }

    /// A quote ends a value where white space follows.
    fn quoted<'a>(&mut self, rest: &'a [u8], quote: u8) -> Result<Token<'a>> {
        if self.second && rest[1..].starts_with(&[quote; 2]) {
            return self.triple(rest, quote);
        }
        for (index, &byte) in rest.iter().enumerate().skip(1) {
            if matches!(byte, b'\n' | b'\r') {
                break;
            }
            if byte == quote && (self.second || rest.get(index + 1).is_none_or(u8::is_ascii_whitespace)) {
                self.at += index + 1;
                return Ok(Token::Value(Value { text: &rest[1..index], quoted: true }));
            }
        }
        Err(Error::malformed("expected a quote that ends the value, found the end of the line").at_line(self.lines + 1))
    }

    /// Three quotes, up to the next three.
    fn triple<'a>(&mut self, rest: &'a [u8], quote: u8) -> Result<Token<'a>> {
        let Some(length) = rest[3..].windows(3).position(|window| window == [quote; 3]) else {
            return Err(Error::malformed("expected three quotes that end the value, found the end of the file")
                .at_line(self.lines + 1));
        };
        let text = &rest[3..3 + length];
        self.at += length + 6;
        self.lines += text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Ok(Token::Value(Value { text, quoted: true }))
    }

    /// A list or a table, as one value in its own spelling.
    fn nested<'a>(&mut self, bytes: &'a [u8]) -> Result<Token<'a>> {
        let (start, line) = (self.at, self.lines + 1);
        let mut depth = 0;
        loop {
            match bytes.get(self.at) {
                Some(b'[' | b'{') => {
                    depth += 1;
                    self.at += 1;
                    if depth > DEEPEST {
                        return Err(Error::limit("depth", depth as u64, DEEPEST as u64).at_line(line));
                    }
                }
                Some(b']' | b'}') => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Ok(Token::Value(Value { text: &bytes[start..self.at], quoted: true }));
                    }
                }
                Some(&quote @ (b'\'' | b'"')) => {
                    self.quoted(&bytes[self.at..], quote)?;
                }
                Some(byte) => {
                    self.lines += u64::from(*byte == b'\n');
                    self.at += 1;
                }
                None => {
                    return Err(Error::malformed("expected a bracket that ends the list, found the end of the file")
                        .at_line(line));
                }
            }
        }
    }
}

/// The bytes up to white space.
fn word(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|&byte| CLASSES[usize::from(byte)] == SPACE);
    &rest[..end.unwrap_or(rest.len())]
}

fn keyword(text: &[u8]) -> Token<'_> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    match text[0] {
        b'_' => Token::Item(text),
        b'd' | b'D' if starts("data_") => Token::Data(&text[5..]),
        b'l' | b'L' if starts("loop_") && text.len() == 5 => Token::Loop,
        b's' | b'S' if starts("save_") => Token::Save(&text[5..]),
        b's' | b'S' if starts("stop_") && text.len() == 5 => Token::Reserved(text),
        b'g' | b'G' if starts("global_") && text.len() == 7 => Token::Reserved(text),
        _ => Token::Value(Value { text, quoted: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, quoted: bool) -> Token<'_> {
        Token::Value(Value { text: text.as_bytes(), quoted })
    }

    fn all(text: &[u8]) -> (Vec<Token<'_>>, u64) {
        let mut tokens = Tokens::new(text);
        let found = std::iter::from_fn(|| tokens.next(text).unwrap()).collect();
        (found, tokens.lines)
    }

    #[test]
    fn a_form_feed_separates_words() {
        assert_eq!(all(b"\x0Ca\x0C\x0Cb").0, [value("a", false), value("b", false)]);
    }

    #[test]
    fn tokens_are_those_of_the_grammar() {
        let text = b"data_x # comment\n_a.b 'it''s' \"O5'\" O5' . '.'\n;two\nlines\n;\nLOOP_ ;x [a save_f save_";
        let (found, lines) = all(text);
        assert_eq!(
            found,
            [
                Token::Data(b"x"),
                Token::Item(b"_a.b"),
                value("it''s", true),
                value("O5'", true),
                value("O5'", false),
                value(".", false),
                value(".", true),
                value("two\nlines", true),
                Token::Loop,
                value(";x", false),
                value("[a", false),
                Token::Save(b"f"),
                Token::Save(b""),
            ]
        );
        assert_eq!(lines, 5);
        assert!(Tokens::default().next(b"'open\n'").is_err());
        assert!(Tokens::default().next(b";open\n").is_err());
    }

    #[test]
    fn lines_end_with_lf_cr_or_both() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "a #c\n;x\ny\n;\nb".replace('\n', end);
            let inner = format!("x{end}y");
            let expected = vec![value("a", false), value(&inner, true), value("b", false)];
            assert_eq!(all(text.as_bytes()), (expected, 4), "{end:?}");
        }
    }

    #[test]
    fn the_second_version_has_lists_and_triple_quotes() {
        let text = b"\xEF\xBB\xBF#\\#CIF_2.0\n[1 [2 ']']\n{'a':3}] \"\"\"it's\n\"two\"\"\" 'it' 'x";
        let mut tokens = Tokens::new(text);
        let mut next = || tokens.next(text);
        assert_eq!(next().unwrap(), Some(value("[1 [2 ']']\n{'a':3}]", true)));
        assert_eq!(next().unwrap(), Some(value("it's\n\"two", true)));
        assert_eq!(next().unwrap(), Some(value("it", true)));
        assert!(next().is_err());
        for open in [&b"#\\#CIF_2.0\n[1"[..], b"#\\#CIF_2.0\n'''x''", b"#\\#CIF_2.0\n['"] {
            assert!(Tokens::new(open).next(open).is_err());
        }
        let deep = [&b"#\\#CIF_2.0\n"[..], &[b'['; 100_000]].concat();
        assert_eq!(Tokens::new(&deep).next(&deep).unwrap_err().limit_name(), Some("depth"));
    }
}
