//! What stands before the first row, and the first rows as a sample.

use mediary_core::{Error, Result};

use crate::rows::Rows;
use crate::text::decode;

/// Rows looked at.
const SAMPLE: usize = 1000;
/// Most columns of a row.
const COLUMNS: usize = 4096;
/// Most comments that are kept.
const COMMENTS: usize = 64;

/// The start of a file.
#[derive(Default)]
pub(super) struct Head {
    /// Comments before the first row that name no columns.
    pub(super) comments: Vec<String>,
    /// Names of columns as they stand.
    pub(super) names: Option<Vec<String>>,
    /// The names stand in a comment.
    pub(super) commented: bool,
    /// Number of points announced.
    pub(super) count: Option<u64>,
    /// Offset and line of the first row.
    pub(super) offset: usize,
    pub(super) line: u64,
    /// Numbers of the first rows, end to end.
    pub(super) sample: Vec<f64>,
    /// Columns of the first row.
    pub(super) width: usize,
    /// A comma or a semicolon of the first row, or a blank.
    pub(super) separator: u8,
    /// A row of the sample has another number of columns, or a word.
    pub(super) ragged: bool,
}

impl Head {
    /// `whole`: `bytes` are all there is. Otherwise the last line may be cut, and is left out.
    pub(super) fn read(bytes: &[u8], whole: bool) -> Result<Self> {
        let mark = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let end = match bytes.iter().rposition(|&byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) if !whole => end,
            _ => bytes.len(),
        };
        let text = &bytes[mark..end.max(mark)];
        let mut rows = Rows::new(text, 1);
        let mut head = Self { separator: b' ', ..Self::default() };
        while head.width == 0 {
            (head.offset, head.line) = (mark + rows.offset(), rows.line());
            if rows.offset() >= text.len() {
                return Ok(head);
            }
            let line = rows.take_line().trim_ascii();
            head.take(line)?;
        }
        let mut rows = Rows::new(&text[head.offset - mark..], head.line);
        let mut row = Vec::new();
        for _ in 0..SAMPLE {
            if !rows.skip_to_row() {
                break;
            }
            row.clear();
            match rows.row(&mut row) {
                Ok(count) if count == head.width => head.sample.extend_from_slice(&row),
                _ => {
                    head.ragged = true;
                    break;
                }
            }
        }
        Ok(head)
    }

    pub(super) fn rows(&self) -> usize {
        self.sample.len().checked_div(self.width).unwrap_or(0)
    }

    /// Takes a line before the first row, or notes that this is it.
    fn take(&mut self, line: &[u8]) -> Result<()> {
        let comment = [&b"//"[..], b"#", b"%"].into_iter().find_map(|mark| line.strip_prefix(mark));
        if let Some(comment) = comment {
            let names = names(comment);
            if self.names.is_none() && has_position(&names) {
                (self.names, self.commented) = (Some(names), true);
            } else if self.comments.len() < COMMENTS && !comment.trim_ascii().is_empty() {
                self.comments.push(decode(comment.trim_ascii()));
            }
            return Ok(());
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut row = Vec::new();
        match Rows::new(line, self.line).row(&mut row) {
            Ok(1) if self.count.is_none() && line.iter().all(u8::is_ascii_digit) => {
                self.count = std::str::from_utf8(line).ok().and_then(|digits| digits.parse().ok());
                if self.count.is_none() {
                    return Err(
                        Error::malformed("expected a number of points, found one beyond 64 bits").at_line(self.line)
                    );
                }
            }
            Ok(columns @ 3..=COLUMNS) => {
                self.width = columns;
                self.separator = line.iter().copied().find(|byte| matches!(byte, b',' | b';')).unwrap_or(b' ');
            }
            Ok(columns) => {
                let message = format!("expected a point of 3 or more numbers, found {columns}");
                return Err(Error::malformed(message).at_line(self.line));
            }
            Err(error) => {
                let names = names(line);
                if self.names.is_some() || !has_position(&names) {
                    return Err(error);
                }
                self.names = Some(names);
            }
        }
        Ok(())
    }
}

/// Words between blanks, commas or semicolons, without quotes.
fn names(line: &[u8]) -> Vec<String> {
    let separated = line.iter().any(|byte| matches!(byte, b',' | b';'));
    let text = decode(line);
    let words: Vec<&str> = if separated {
        text.split([',', ';']).map(|word| word.trim().trim_matches(['"', '\''])).collect()
    } else {
        text.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect()
    };
    words.into_iter().take(COLUMNS).map(ToOwned::to_owned).collect()
}

fn has_position(names: &[String]) -> bool {
    ["x", "y", "z"].iter().all(|axis| names.iter().any(|name| name.eq_ignore_ascii_case(axis)))
}
