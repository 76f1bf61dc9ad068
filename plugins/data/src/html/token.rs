//! Text into tags and the content of raw elements.

/// A piece of markup; text between tags is skipped.
pub(super) enum Token<'a> {
    Open {
        name: &'a str,
        attributes: &'a str,
    },
    Close(&'a str),
    /// The content of an element whose content is no markup.
    Raw {
        name: &'a str,
        text: &'a str,
    },
}

/// Elements whose content is no markup.
const RAW: [&str; 8] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

pub(super) struct Tokens<'a> {
    text: &'a str,
    pub(super) at: usize,
    /// The raw element that was opened last.
    pub(super) raw: Option<&'a str>,
    /// Where the input ends inside of something, and of what.
    pub(super) truncated: Option<(usize, &'static str)>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, raw: None, truncated: None }
    }

    /// The end of the tag that begins at `start`: the offset of its `>`, outside of quotes.
    fn tag_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut quote = None;
        let mut after_equals = false;
        while let Some(&byte) = bytes.get(at) {
            match quote {
                Some(open) if byte == open => quote = None,
                Some(_) => {}
                None if byte == b'>' => return Some(at),
                // A quote opens a value only after the equals sign.
                None if after_equals && matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None => {}
            }
            after_equals = quote.is_none() && (byte == b'=' || (after_equals && byte.is_ascii_whitespace()));
            at += 1;
        }
        None
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            return Some(self.raw_text(name));
        }
        loop {
            let start = self.at + self.text[self.at..].find('<')?;
            let rest = &self.text[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                // `<!-->` is a whole comment.
                let end = if comment.starts_with('>') { Some(0) } else { comment.find("-->").map(|end| end + 2) };
                let Some(end) = end else { return self.cut(start, "a comment") };
                self.at = start + 4 + end + 1;
                continue;
            }
            let closing = rest.starts_with("</");
            let from = start + 1 + usize::from(closing);
            let first = self.text.as_bytes().get(from);
            if matches!(first, Some(b'!' | b'?')) && !closing {
                let Some(end) = rest.find('>') else { return self.cut(start, "a declaration") };
                self.at = start + end + 1;
                continue;
            }
            match first {
                Some(byte) if byte.is_ascii_alphabetic() => {}
                None => return self.cut(start, "a tag"),
                // A lone `<` is text.
                Some(_) => {
                    self.at = start + 1;
                    continue;
                }
            }
            let Some(end) = self.tag_end(from) else { return self.cut(start, "a tag") };
            let tag = &self.text[from..end];
            let length = tag.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(tag.len());
            let (name, attributes) = tag.split_at(length);
            self.at = end + 1;
            if closing {
                return Some(Token::Close(name));
            }
            self.raw = RAW.iter().any(|raw| name.eq_ignore_ascii_case(raw)).then_some(name);
            return Some(Token::Open { name, attributes });
        }
    }

    /// The text up to the end tag of `name`.
    fn raw_text(&mut self, name: &'a str) -> Token<'a> {
        let from = self.at;
        let text = &self.text[from..];
        let closes = |(at, _): &(usize, &str)| {
            let after = &text[at + 2..];
            starts_with(after, name)
                && after.as_bytes().get(name.len()).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
        };
        let end = text.match_indices("</").find(closes).map(|(at, _)| at);
        if end.is_none() {
            self.truncated = Some((from, "an element of raw text"));
        }
        let end = end.unwrap_or(text.len());
        self.at = from + end;
        Token::Raw { name, text: &text[..end] }
    }

    fn cut(&mut self, at: usize, what: &'static str) -> Option<Token<'a>> {
        self.truncated = Some((at, what));
        self.at = self.text.len();
        None
    }
}

/// Names and values of the attributes of a tag, as they stand.
pub(super) struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if text.is_empty() {
            return None;
        }
        // A leading equals sign is part of the name.
        let first = text.chars().next().map_or(0, char::len_utf8);
        let end = text[first..]
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '/'))
            .map_or(text.len(), |end| end + first);
        let (name, rest) = text.split_at(end);
        let Some(value) = rest.trim_ascii_start().strip_prefix('=') else {
            self.0 = rest;
            return Some((name, ""));
        };
        let value = value.trim_ascii_start();
        let (value, rest) = match value.as_bytes().first() {
            Some(&quote @ (b'"' | b'\'')) => {
                let inner = &value[1..];
                inner.split_once(char::from(quote)).unwrap_or((inner, ""))
            }
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// Without regard to case.
pub(super) fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}
