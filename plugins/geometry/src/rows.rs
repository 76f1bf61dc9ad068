//! Rows of numbers in text, one a line, in bounded memory: shared by the text formats of points.
//!
//! Between numbers stand blanks, or one comma or semicolon with blanks around. Lines end with LF, CR or CRLF. Lines that begin with
//! `#`, `%` or `//` are comments.

use mediary_core::{Context, Error, Result, Source};

use crate::text::{decode, is_blank, is_line_end, number};

/// Bytes read at once, which make one chunk of points.
const WINDOW: usize = 1 << 20;

/// Reads text block by block; blocks end where lines end.
pub(crate) struct Blocks {
    source: Source,
    cx: Context,
    buffer: Vec<u8>,
    /// Where the block that was handed out ends.
    end: usize,
    /// Offset in the source behind the buffer.
    next: u64,
}

impl Blocks {
    /// From `offset` on.
    pub(crate) fn new(source: &Source, cx: &Context, offset: u64) -> Self {
        Self { source: source.clone(), cx: cx.clone(), buffer: Vec::new(), end: 0, next: offset }
    }

    /// The next lines; nothing at the end. `line` is the number of the first of them.
    pub(crate) fn next_block(&mut self, line: u64) -> Result<&[u8]> {
        self.cx.checkpoint()?;
        self.buffer.drain(..self.end);
        self.end = 0;
        loop {
            let kept = self.buffer.len();
            self.buffer.resize(kept + WINDOW, 0);
            let read = self.source.read_at(self.next, &mut self.buffer[kept..])?;
            self.buffer.truncate(kept + read);
            self.next += read as u64;
            if self.next >= self.source.len() || read == 0 {
                self.end = self.buffer.len();
                return Ok(&self.buffer);
            }
            // A CR at the very end may be the first half of CRLF.
            let whole = &self.buffer[..self.buffer.len() - 1];
            if let Some(last) = whole.iter().rposition(|&byte| is_line_end(byte)) {
                self.end = if self.buffer[last..].starts_with(b"\r\n") { last + 2 } else { last + 1 };
                return Ok(&self.buffer[..self.end]);
            }
            self.cx.limits().check("string_bytes", self.buffer.len() as u64).map_err(|error| error.at_line(line))?;
        }
    }

    /// Whether the text ends in the middle of a line.
    pub(crate) fn ends_in_line(&self) -> bool {
        self.source.tail().last().is_some_and(|&byte| !is_line_end(byte))
    }
}

/// The rows of a block.
pub(crate) struct Rows<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
    /// Comments passed.
    pub(crate) comments: u64,
    /// Numbers passed that are NaN or infinite.
    pub(crate) specials: u64,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(bytes: &'a [u8], line: u64) -> Self {
        Self { bytes, at: 0, line, comments: 0, specials: 0 }
    }

    /// Number of the line that comes next.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Offset of the line that comes next.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(b'\n')
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.peek()) {
            self.at += 1;
        }
    }

    fn end_line(&mut self) {
        let crlf = self.bytes[self.at..].starts_with(b"\r\n");
        if self.at < self.bytes.len() {
            self.at += 1 + usize::from(crlf);
            self.line += 1;
        }
    }

    /// Steps behind the line that comes next and returns it.
    pub(crate) fn take_line(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| is_line_end(byte)).unwrap_or(rest.len());
        self.at += length;
        self.end_line();
        &rest[..length]
    }

    /// Steps over blank lines and comments; `false` at the end.
    pub(crate) fn skip_to_row(&mut self) -> bool {
        while self.at < self.bytes.len() {
            let start = self.at;
            self.skip_blanks();
            match self.peek() {
                b'\n' | b'\r' => self.end_line(),
                b'#' | b'%' => {
                    self.comments += 1;
                    self.take_line();
                }
                b'/' if self.bytes[self.at..].starts_with(b"//") => {
                    self.comments += 1;
                    self.take_line();
                }
                _ => {
                    self.at = start;
                    return true;
                }
            }
        }
        false
    }

    /// Adds the numbers of the line that comes next to `values` and says how many there are.
    pub(crate) fn row(&mut self, values: &mut Vec<f64>) -> Result<usize> {
        let mut count = 0;
        loop {
            self.skip_blanks();
            // A separator may close the line.
            if is_line_end(self.peek()) {
                self.end_line();
                return Ok(count);
            }
            let Some((value, length)) = number(&self.bytes[self.at..]) else { return Err(self.no_number()) };
            let end = self.bytes.get(self.at + length).copied().unwrap_or(b'\n');
            if !(is_blank(end) || is_line_end(end) || matches!(end, b',' | b';')) {
                return Err(self.no_number());
            }
            self.at += length;
            self.specials += u64::from(!value.is_finite());
            values.push(value);
            count += 1;
            self.skip_blanks();
            if matches!(self.peek(), b',' | b';') {
                self.at += 1;
            }
        }
    }

    fn no_number(&self) -> Error {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| is_blank(byte) || is_line_end(byte)).unwrap_or(rest.len());
        let found: String = decode(&rest[..end.min(160)]).chars().take(40).collect();
        Error::malformed(format!("expected a number, found {found:?}")).at_line(self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_any_separator_and_line_end() {
        let mut rows = Rows::new(b"1 2\t3\r\n\n# note\r4,5 ; 6,\n  nan 1e3\t-inf", 1);
        let mut values = Vec::new();
        let mut seen = Vec::new();
        while rows.skip_to_row() {
            seen.push((rows.line(), rows.row(&mut values).unwrap()));
        }
        assert_eq!(seen, [(1, 3), (4, 3), (5, 3)]);
        assert_eq!(values[..6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(values[6].is_nan() && values[7] == 1000.0 && values[8] == f64::NEG_INFINITY);
        assert_eq!((rows.comments, rows.specials), (1, 2));
        for (text, found) in [("1 2x 3", "\"2x\""), ("1,,2", "\",2\""), ("a", "\"a\"")] {
            let error = Rows::new(text.as_bytes(), 7).row(&mut Vec::new()).unwrap_err();
            assert!(error.message().ends_with(found), "{error}");
            assert_eq!(error.location().unwrap().line, Some(7));
        }
    }

    #[test]
    fn blocks_end_with_lines() {
        let text: String = (0..300_000).map(|n| format!("{n} {n} {n}\r\n")).collect();
        let source = Source::from_bytes("", text.as_bytes());
        let cx = Context::new("test");
        let mut blocks = Blocks::new(&source, &cx, 0);
        let mut all = Vec::new();
        loop {
            let block = blocks.next_block(1).unwrap();
            if block.is_empty() {
                break;
            }
            assert!(block.ends_with(b"\r\n") && block.len() <= 2 * WINDOW);
            all.extend_from_slice(block);
        }
        assert!(all == text.as_bytes());
    }
}
