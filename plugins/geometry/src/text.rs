//! Scanning text at the level of bytes, shared by the text formats of this crate: lines, words, numbers.
//!
//! Nothing here copies or checks UTF-8. Lines end with LF, CR or CRLF.

use std::io::Write as _;
use std::ops::Range;

use mediary_core::{Context, OptionSpec, OptionType, Output, Result};

use crate::decimal::{decimal, digits, many_digits};

/// Whether `byte` separates words inside a line.
#[inline(always)]
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0B | 0x0C)
}

/// Whether `byte` ends a line.
#[inline(always)]
pub(crate) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// A position in text, with the number of its line.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Scanner<'a> {
    /// At the start of `bytes`, behind a UTF-8 byte order mark.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Self { bytes, at, line: 1 }
    }

    /// At the start of a part of a text, which is not the first.
    pub(crate) fn amid(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// Whether nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Offset of the next byte.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Line of the next byte, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Whether the text ends without a line end.
    pub(crate) fn ends_in_line(&self) -> bool {
        self.bytes.last().is_some_and(|&byte| !is_line_end(byte))
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(b'\n')
    }

    /// Length of a line end at `at`: 2 for CRLF, 1 for LF or CR, 0 for anything else.
    fn line_end_at(&self, at: usize) -> usize {
        match self.bytes.get(at) {
            Some(b'\r') if self.bytes.get(at + 1) == Some(&b'\n') => 2,
            Some(b'\r' | b'\n') => 1,
            _ => 0,
        }
    }

    /// Steps over blanks, and over line ends behind a backslash.
    pub(crate) fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                b' ' | b'\t' | 0x0B | 0x0C => self.at += 1,
                b'\\' if self.line_end_at(self.at + 1) > 0 => {
                    self.at += 1 + self.line_end_at(self.at + 1);
                    self.line += 1;
                }
                _ => return,
            }
        }
    }

    /// Steps over blanks and line ends.
    pub(crate) fn skip_space(&mut self) {
        while !self.is_done() {
            let byte = self.peek();
            if is_line_end(byte) {
                self.end_line();
            } else if is_blank(byte) || byte == 0 {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// Steps over the line end that comes next, if one does.
    fn end_line(&mut self) {
        let length = self.line_end_at(self.at);
        self.at += length;
        self.line += u64::from(length > 0);
    }

    /// Steps to the start of the next line, however far that is. `continued`: a backslash before a line end joins lines.
    pub(crate) fn skip_line(&mut self, continued: bool) {
        loop {
            let rest = &self.bytes[self.at..];
            let length = rest.iter().position(|&byte| is_line_end(byte)).unwrap_or(rest.len());
            let goes_on = continued && length > 0 && rest[length - 1] == b'\\' && length < rest.len();
            self.at += length;
            self.end_line();
            if !goes_on {
                return;
            }
        }
    }

    /// The next word of this line; empty at its end.
    pub(crate) fn word(&mut self) -> &'a [u8] {
        self.skip_blanks();
        let start = self.at;
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte <= b' ' && (is_blank(byte) || is_line_end(byte))
                || byte == b'\\' && self.line_end_at(self.at + 1) > 0
            {
                break;
            }
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    /// What is left of this line, without blanks around it.
    pub(crate) fn rest_of_line(&mut self) -> &'a [u8] {
        self.skip_blanks();
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| is_line_end(byte)).unwrap_or(rest.len());
        self.at += length;
        rest[..length].trim_ascii()
    }

    /// The next number of this line. `None`, without moving, where there is none.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<f64> {
        self.skip_blanks();
        let (value, length) = number(&self.bytes[self.at..])?;
        self.at += length;
        Some(value)
    }

    /// Exactly `N` numbers up to the end of this line, as nearly all lines are. `None`, without moving, for anything else: names
    /// of numbers, comments, continued lines.
    #[inline]
    pub(crate) fn plain_numbers<const N: usize>(&mut self) -> Option<[f64; N]> {
        let mut values = [0.0; N];
        let mut at = self.at;
        for value in &mut values {
            at = past_blanks(self.bytes, at);
            let found = decimal(&self.bytes[at..])?;
            *value = found.value;
            at += found.length;
        }
        at = past_blanks(self.bytes, at);
        self.bytes.get(at).is_some_and(|&byte| is_line_end(byte)).then(|| {
            self.at = at;
            values
        })
    }

    /// Adds the corners of a line that has nothing but plain ones, counted from 0: `v`, `v/vt`, `v//vn` or `v/vt/vn`, no index
    /// counts back. `absent` stands for what a corner does not have. `false`, without moving, for any other line.
    #[inline]
    pub(crate) fn plain_corners(&mut self, corners: &mut Vec<[u32; 3]>, absent: u32) -> bool {
        let first = corners.len();
        let mut at = self.at;
        loop {
            at = past_blanks(self.bytes, at);
            let mut corner = [absent; 3];
            for (part, slot) in corner.iter_mut().enumerate() {
                let mut value = 0;
                let end = many_digits(self.bytes, at, &mut value);
                if end - at > 9 || value == 0 && !(part == 1 && end == at) {
                    corners.truncate(first);
                    return false;
                }
                *slot = if end == at { absent } else { (value - 1) as u32 };
                at = end;
                if self.bytes.get(at) != Some(&b'/') {
                    break;
                }
                at += usize::from(part < 2);
            }
            corners.push(corner);
            match self.bytes.get(at) {
                Some(b' ') => {}
                Some(b'\n' | b'\r') => {
                    self.at = at;
                    return true;
                }
                _ => {
                    corners.truncate(first);
                    return false;
                }
            }
            // Blanks before the end of the line.
            let next = past_blanks(self.bytes, at);
            if self.bytes.get(next).is_some_and(|&byte| is_line_end(byte)) {
                self.at = next;
                return true;
            }
        }
    }

    /// The next whole number, right here. `None`, without moving, where there is none or it leaves 63 bits.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let negative = self.peek() == b'-';
        let start = self.at + usize::from(negative || self.peek() == b'+');
        let mut value = 0;
        let end = digits(self.bytes, start, &mut value);
        // 18 digits stay below 63 bits; more may be zeros in front.
        let value = match end - start {
            0 => return None,
            1..=18 => value as i64,
            _ => std::str::from_utf8(&self.bytes[start..end]).ok()?.parse().ok()?,
        };
        self.at = end;
        Some(if negative { -value } else { value })
    }

    /// Steps over `byte` if it comes next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Whether a word ends here.
    pub(crate) fn at_word_end(&self) -> bool {
        let byte = self.peek();
        is_blank(byte) || is_line_end(byte) || byte == b'\\' && self.line_end_at(self.at + 1) > 0
    }

    /// Whether nothing but blanks and a comment (`#`) is left on this line.
    pub(crate) fn at_line_end(&mut self) -> bool {
        self.skip_blanks();
        let byte = self.peek();
        is_line_end(byte) || byte == b'#'
    }
}

/// Where the blanks at `at` end.
#[inline(always)]
fn past_blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_blank(byte)) {
        at += 1;
    }
    at
}

/// Bytes of a part of a text: enough to be worth a thread's while, few enough that the lists of what it says grow cheaply.
pub(crate) const PART: Range<usize> = 1 << 20..16 << 20;
/// Parts for each thread: lines of one kind take longer than those of another.
const PARTS_A_THREAD: usize = 4;

/// Divides a text into parts for so many threads. They end behind an LF, where `starts` says so of what follows; never behind one
/// that a backslash makes part of its line.
pub(crate) fn parts(bytes: &[u8], threads: usize, starts: impl Fn(&[u8]) -> bool) -> Vec<Range<usize>> {
    let size = (bytes.len() / (threads * PARTS_A_THREAD)).clamp(PART.start, PART.end);
    let mut parts = Vec::with_capacity(bytes.len() / size + 1);
    let (mut start, mut at) = (0, size);
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
        let line = &bytes[start..at + length];
        at += length + 1;
        if !line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"\\") && starts(&bytes[at..]) {
            parts.push(start..at);
            start = at;
            at = start + size;
        }
    }
    if start < bytes.len() || parts.is_empty() {
        parts.push(start..bytes.len());
    }
    parts
}

/// The number at the start of `bytes` and its length. Also `nan`, `inf`, `infinity` in any case, and the spellings of old
/// Microsoft libraries (`1.#QNAN`, `-1.#IND`, `1.#INF`).
#[inline]
pub(crate) fn number(bytes: &[u8]) -> Option<(f64, usize)> {
    let (mut value, mut length) = match decimal(bytes) {
        Some(found) => (found.value, found.length),
        None => named_number(bytes)?,
    };
    if bytes.get(length) == Some(&b'#') {
        let rest = &bytes[length..];
        let end = rest.iter().position(|&byte| is_blank(byte) || is_line_end(byte)).unwrap_or(rest.len());
        value = if rest[1..end].starts_with(b"INF") { f64::INFINITY.copysign(value) } else { f64::NAN };
        length += end;
    }
    Some((value, length))
}

/// `nan`, `inf` and `infinity`, as whole words.
fn named_number(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative || bytes.first() == Some(&b'+'));
    let rest = &bytes[start..];
    let length = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
    let value = match &*rest[..length.min(9)].to_ascii_lowercase() {
        b"nan" | b"nanq" | b"nans" => f64::NAN,
        b"inf" | b"infinity" => f64::INFINITY,
        _ => return None,
    };
    Some((if negative { -value } else { value }, start + length))
}

/// Text of unknown encoding: UTF-8 where it is valid, Latin-1 otherwise.
pub(crate) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// UTF-16 with a byte order mark as UTF-8; `None` for anything else.
pub(crate) fn from_utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    let unit: fn([u8; 2]) -> u16 = match bytes.get(..2)? {
        b"\xFF\xFE" => u16::from_le_bytes,
        b"\xFE\xFF" => u16::from_be_bytes,
        _ => return None,
    };
    let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.into_bytes())
}

/// Hands long text to the output, which is also the time to look at the deadline.
pub(crate) fn flush_if_long(text: &mut Vec<u8>, out: &mut Output, cx: &Context) -> Result<()> {
    if text.len() >= 1 << 20 {
        out.write_all(text)?;
        text.clear();
        cx.checkpoint()?;
    }
    Ok(())
}

/// Appends the shortest decimal text that reads back as the same number: of single precision if `single`.
pub(crate) fn put_number(text: &mut Vec<u8>, value: f64, single: bool) {
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    // Writing to a vector cannot fail.
    #[expect(clippy::cast_possible_truncation, reason = "the caller asks for single precision")]
    let _ = match (single, plain) {
        (true, true) => write!(text, "{}", value as f32),
        (true, false) => write!(text, "{:e}", value as f32),
        (false, true) => write!(text, "{value}"),
        (false, false) => write!(text, "{value:e}"),
    };
}

/// Appends the shortest decimal text for which `same` holds after reading, trying 3, 6 and 9 decimals before all.
pub(crate) fn put_shortest(text: &mut Vec<u8>, value: f64, same: impl Fn(f64) -> bool) {
    for decimals in [1e3, 1e6, 1e9] {
        let rounded = (value * decimals).round() / decimals;
        if same(rounded) {
            return put_number(text, rounded, false);
        }
    }
    put_number(text, value, false);
}

/// How many significant digits of a number are written: the option `precision` of the text formats.
pub(crate) struct Digits {
    /// 0 for as many as it takes.
    most: usize,
    rounded: u64,
}

impl Digits {
    /// The option, for the descriptors of formats.
    pub(crate) const OPTION: OptionSpec = OptionSpec::write(
        "precision",
        OptionType::Int { min: 0, max: 17 },
        "0",
        "Significant digits of coordinates and other floats in text; 0 for the shortest text that reads back.",
    );

    /// As many as are asked for.
    pub(crate) fn of(cx: &Context) -> Self {
        Self { most: usize::try_from(cx.options().int("precision")).unwrap_or(0), rounded: 0 }
    }

    /// The number that is written for `value`, to be put in the fewest digits. `single`: it is of single precision.
    #[expect(clippy::cast_possible_truncation, reason = "the caller says that it is of single precision")]
    pub(crate) fn round(&mut self, value: f64, single: bool) -> f64 {
        self.round_where(value, |text| if single { text as f32 == value as f32 } else { text == value })
    }

    fn round_where(&mut self, value: f64, same: impl Fn(f64) -> bool) -> f64 {
        if self.most == 0 || !value.is_finite() {
            return value;
        }
        let rounded = format!("{value:.*e}", self.most - 1).parse().unwrap_or(value);
        self.rounded += u64::from(!same(rounded));
        rounded
    }

    /// [`round`](Self::round) of a place in double precision.
    pub(crate) fn place(&mut self, place: [f64; 3]) -> [f64; 3] {
        place.map(|value| self.round(value, false))
    }

    /// [`put_number`] of what is left of `value`.
    pub(crate) fn put(&mut self, text: &mut Vec<u8>, value: f64, single: bool) {
        put_number(text, self.round(value, single), single);
    }

    /// [`put_shortest`], or as many digits as are asked for.
    pub(crate) fn put_shortest(&mut self, text: &mut Vec<u8>, value: f64, same: impl Fn(f64) -> bool) {
        if self.most == 0 {
            put_shortest(text, value, same);
        } else {
            put_number(text, self.round_where(value, same), false);
        }
    }

    /// Reports what was rounded.
    pub(crate) fn report(&self, cx: &Context) {
        cx.lose("precision", self.rounded, "numbers that have more significant digits than are written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_they_do() {
        for (text, length) in
            [("1.5x", 3), ("1e", 1), ("1e+", 1), ("2/3", 1), ("1.#QNAN 2", 7), ("-inf,", 4), ("NaN", 3)]
        {
            assert_eq!(number(text.as_bytes()).map(|(_, length)| length), Some(length), "{text}");
        }
        for text in ["", "-", ".", "e5", "infx", "x"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn lines_continue_behind_a_backslash() {
        let mut scanner = Scanner::new(b"f 1 2 \\\r\n 3\\\n4\rv");
        assert_eq!(scanner.word(), b"f");
        let words: Vec<_> = std::iter::from_fn(|| Some(scanner.word()).filter(|word| !word.is_empty())).collect();
        assert_eq!(words, [b"1", b"2", b"3", b"4"]);
        scanner.skip_line(true);
        assert_eq!((scanner.line(), scanner.word()), (4, &b"v"[..]));
    }

    #[test]
    fn parts_end_with_whole_lines() {
        let mut text = b"f 1 2 \\\r\n 3\nv 1 2 3\r\n".repeat(300_000);
        text.extend_from_slice(b"no end");
        let divided = parts(&text, 2, |_| true);
        assert!(divided.len() > 1, "{}", divided.len());
        assert_eq!((divided[0].start, divided[divided.len() - 1].end), (0, text.len()));
        for pair in divided.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
            assert!(matches!(text[pair[1].start], b'f' | b'v'));
        }
        assert_eq!(parts(b"v", 2, |_| true), std::slice::from_ref(&(0..1)));
        assert_eq!(parts(&b"v\r".repeat(4 << 20), 2, |_| true).len(), 1);
    }

    #[test]
    fn digits_are_significant_ones() {
        let written = |most, value, single| {
            let (mut digits, mut text) = (Digits { most, rounded: 0 }, Vec::new());
            digits.put(&mut text, value, single);
            (String::from_utf8(text).expect("ASCII"), digits.rounded)
        };
        assert_eq!(written(3, 1234.5678, false), ("1230".into(), 1));
        assert_eq!(written(3, -0.000_123_456, false), ("-0.000123".into(), 1));
        assert_eq!(written(3, 0.25, false), ("0.25".into(), 0));
        assert_eq!(written(9, f64::from(0.1_f32), true), ("0.1".into(), 0), "no digits that say nothing");
        assert_eq!(written(0, 1.0 / 3.0, false), ("0.3333333333333333".into(), 0));
        assert_eq!(written(1, 9.6e20, false), ("1e21".into(), 1));
        assert_eq!(written(2, f64::NAN, false), ("NaN".into(), 0));
    }

    #[test]
    fn text_reads_back() {
        for value in [0.1_f32, 1.0 / 3.0, 1e-30, 1e30, -7.25, f32::MIN_POSITIVE] {
            let mut text = Vec::new();
            put_number(&mut text, value.into(), true);
            #[expect(clippy::cast_possible_truncation, reason = "single precision was written")]
            let again = number(&text).map(|(value, _)| value as f32);
            assert_eq!(again, Some(value));
        }
    }
}
