//! Tokens of CIF 1.1.

use mediary_core::{Error, Result};

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `data_` and the name of the block.
    Data(&'a [u8]),
    /// `loop_`.
    Loop,
    /// An item name.
    Item(&'a [u8]),
    /// A value without its quotes; `.` and `?` are null only where they stand bare.
    Value(Value<'a>),
    /// `save_`, `stop_`, `global_`: not part of data files.
    Reserved(&'a [u8]),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    /// Its bytes.
    pub(super) text: &'a [u8],
    /// Whether it stood in quotes or in a text field.
    pub(super) quoted: bool,
}

impl<'a> Value<'a> {
    /// The bytes, unless the value is `.` or `?`.
    pub(super) fn given(self) -> Option<&'a [u8]> {
        (self.quoted || !matches!(self.text, b"." | b"?")).then_some(self.text)
    }
}

/// A place in a CIF text; copy it to come back.
#[derive(Clone, Copy, Default)]
pub(super) struct Tokens {
    /// Offset of the next byte.
    pub(super) at: usize,
    /// Line ends before it.
    pub(super) lines: u64,
}

impl Tokens {
    /// The next token.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Token<'a>>> {
        // White space and comments.
        let first = loop {
            match bytes.get(self.at) {
                None => return Ok(None),
                Some(b'\n') => {
                    self.lines += 1;
                    self.at += 1;
                }
                // A form feed is no character of CIF, but it ends words all the same.
                Some(b' ' | b'\t' | b'\r' | b'\x0C') => self.at += 1,
                Some(b'#') => {
                    self.at += bytes[self.at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - self.at)
                }
                Some(&first) => break first,
            }
        };
        let line_start = self.at == 0 || matches!(bytes[self.at - 1], b'\n' | b'\r');
        let rest = &bytes[self.at..];
        match first {
            b';' if line_start => self.text_field(rest).map(Some),
            b'\'' | b'"' => self.quoted(rest, first).map(Some),
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                self.at += end;
                Ok(Some(word(&rest[..end])))
            }
        }
    }

    /// `;` at the start of a line, up to the next such.
    fn text_field<'a>(&mut self, rest: &'a [u8]) -> Result<Token<'a>> {
        let mut end = 1;
        let mut lines = 0;
        loop {
            let Some(newline) = rest[end..].iter().position(|&byte| byte == b'\n') else {
                return Err(Error::malformed(
                    "expected a semicolon that ends the text field, found the end of the file",
                )
                .at_line(self.lines + 1));
            };
            lines += 1;
            end += newline + 1;
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
        for (index, &byte) in rest.iter().enumerate().skip(1) {
            if byte == b'\n' {
                break;
            }
            if byte == quote && rest.get(index + 1).is_none_or(u8::is_ascii_whitespace) {
                self.at += index + 1;
                return Ok(Token::Value(Value { text: &rest[1..index], quoted: true }));
            }
        }
        Err(Error::malformed("expected a quote that ends the value, found the end of the line").at_line(self.lines + 1))
    }
}

fn word(text: &[u8]) -> Token<'_> {
    let keyword = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    match text[0] {
        b'_' => Token::Item(text),
        b'd' | b'D' if keyword("data_") => Token::Data(&text[5..]),
        b'l' | b'L' if keyword("loop_") && text.len() == 5 => Token::Loop,
        b's' | b'S' if keyword("save_") || (keyword("stop_") && text.len() == 5) => Token::Reserved(text),
        b'g' | b'G' if keyword("global_") && text.len() == 7 => Token::Reserved(text),
        _ => Token::Value(Value { text, quoted: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_feed_separates_words() {
        let mut tokens = Tokens::default();
        let mut next = || tokens.next(b"\x0Ca\x0C\x0Cb").unwrap();
        let value = |text: &'static [u8]| Some(Token::Value(Value { text, quoted: false }));
        assert_eq!((next(), next(), next()), (value(b"a"), value(b"b"), None));
    }

    #[test]
    fn tokens_are_those_of_the_grammar() {
        let text = b"data_x # comment\n_a.b 'it''s' \"O5'\" O5' . '.'\n;two\nlines\n;\nLOOP_ ;x";
        let mut tokens = Tokens::default();
        let found: Vec<_> = std::iter::from_fn(|| tokens.next(text).unwrap()).collect();
        let value = |text: &'static str, quoted| Token::Value(Value { text: text.as_bytes(), quoted });
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
            ]
        );
        assert_eq!(tokens.lines, 5);
        assert!(Tokens::default().next(b"'open\n'").is_err());
        assert!(Tokens::default().next(b";open\n").is_err());
    }
}
