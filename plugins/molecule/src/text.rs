//! Lines and numbers of text formats, straight from bytes, and findings that are counted before they are reported.

use std::borrow::Cow;

use mediary_core::{Context, Error, Location, Result, Severity, Strictness};
use smol_str::SmolStr;

/// A line without its end.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its bytes.
    pub(crate) text: &'a [u8],
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Offset of its first byte.
    pub(crate) start: usize,
}

impl<'a> Line<'a> {
    /// Bytes `from..to`, as far as the line has them.
    pub(crate) fn columns(&self, from: usize, to: usize) -> &'a [u8] {
        let end = to.min(self.text.len());
        self.text.get(from..end).unwrap_or_default()
    }

    /// Byte `at`, a blank behind the end.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(b' ')
    }
}

/// A place in a text from which lines are taken; copy it to come back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// Offset of the next line.
    pub(crate) at: usize,
    /// Number of lines before it.
    pub(crate) lines: u64,
}

impl Cursor {
    /// The next line. Ends are LF and CRLF.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<Line<'a>> {
        let rest = bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let length = find_newline(rest);
        self.at += (length + 1).min(rest.len());
        self.lines += 1;
        let text = &rest[..length];
        Some(Line { text: text.strip_suffix(b"\r").unwrap_or(text), number: self.lines, start })
    }
}

/// Offset of the first LF, or the length: eight bytes at a time.
fn find_newline(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let differing = u64::from_le_bytes(*chunk) ^ (ONES * b'\n' as u64);
        let found = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    chunks.len() * 8 + tail.iter().position(|&byte| byte == b'\n').unwrap_or(tail.len())
}

/// Powers of ten that are exact in double precision.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A finite decimal number with blanks around it; `None` for anything else.
pub(crate) fn float(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, field),
    };
    // Up to 15 digits and a power of ten are both exact, so one division rounds correctly.
    if (1..=15).contains(&digits.len()) {
        let (mut mantissa, mut point, mut plain) = (0_u64, None, true);
        for (index, &byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(index),
                _ => plain = false,
            }
        }
        if plain && digits != b"." {
            let value = mantissa as f64 / POWERS[point.map_or(0, |point| digits.len() - 1 - point)];
            return Some(if negative { -value } else { value });
        }
    }
    let unsigned = digits.first().is_some_and(|first| !b"+-".contains(first));
    let value = fast_float2::parse::<f64, _>(digits).ok().filter(|value| unsigned && value.is_finite())?;
    Some(if negative { -value } else { value })
}

/// A decimal number that single precision holds, for columns of it.
pub(crate) fn single(field: &[u8]) -> Option<f32> {
    float(field).map(|value| value as f32).filter(|value| value.is_finite())
}

/// A whole decimal number with blanks around it.
pub(crate) fn integer(field: &[u8]) -> Option<i64> {
    let field = field.trim_ascii();
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, field),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

/// A field without its blanks, as text; bytes that are no UTF-8 are replaced.
pub(crate) fn word(field: &[u8]) -> SmolStr {
    let field = field.trim_ascii();
    match std::str::from_utf8(field) {
        Ok(text) => SmolStr::new(text),
        Err(_) => SmolStr::new(String::from_utf8_lossy(field)),
    }
}

/// Text as one byte a column: white space other than blanks as `_`, other letters than those of ASCII as `?`.
pub(crate) fn ascii(text: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let plain = |letter: char| match letter {
        _ if is_plain(letter) => letter,
        _ if letter.is_whitespace() => '_',
        _ => '?',
    };
    text.chars().map(plain).collect()
}

/// Findings of one record, counted by code and reported once.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

struct Finding {
    severity: Severity,
    code: &'static str,
    message: String,
    line: u64,
    count: u64,
}

impl Findings {
    /// A deviation that was repaired: an error in strict mode.
    pub(crate) fn warn(&mut self, code: &'static str, line: u64, message: impl FnOnce() -> String) {
        self.add(Severity::Warning, code, line, message);
    }

    /// Worth knowing.
    pub(crate) fn note(&mut self, code: &'static str, line: u64, message: impl FnOnce() -> String) {
        self.add(Severity::Info, code, line, message);
    }

    fn add(&mut self, severity: Severity, code: &'static str, line: u64, message: impl FnOnce() -> String) {
        match self.0.iter_mut().find(|known| known.code == code) {
            Some(known) => known.count += 1,
            None => self.0.push(Finding { severity, code, message: message(), line, count: 1 }),
        }
    }

    /// How often a finding was made.
    pub(crate) fn count(&self, code: &str) -> u64 {
        self.0.iter().find(|known| known.code == code).map_or(0, |known| known.count)
    }

    /// Adds the findings of another part of the record.
    pub(crate) fn append(&mut self, other: Self) {
        for finding in other.0 {
            match self.0.iter_mut().find(|known| known.code == finding.code) {
                Some(known) => known.count += finding.count,
                None => self.0.push(finding),
            }
        }
    }

    /// Hands them to the context.
    pub(crate) fn report(&mut self, cx: &Context) -> Result<()> {
        for finding in self.0.drain(..) {
            // Line 0 is of formats without lines, or of a finding about all of them.
            let location = (finding.line > 0).then(|| Location::line(finding.line));
            if finding.severity != Severity::Info && cx.strictness() == Strictness::Strict {
                let error = Error::malformed(finding.message).with_hint("it is tolerated without --strict");
                return Err(match location {
                    Some(location) => error.at(location),
                    None => error,
                });
            }
            cx.report_times(finding.severity, finding.code, finding.message, location, finding.count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        for text in ["0", "-0.001", "  12.345 ", "+7.", ".5", "1e-3", "123456789.123456789", "99999999999999.9"] {
            assert_eq!(float(text.as_bytes()), text.trim().parse().ok(), "{text}");
        }
        for text in ["", ".", "-", "nan", "inf", "1 2", "****", "1.2.3", "1-2", "--1", "+-1", "1e999"] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        assert_eq!((single(b"1.5"), single(b"1e39"), single(b"-1e60")), (Some(1.5), None, None));
        assert_eq!(integer(b" -12 "), Some(-12));
        assert_eq!(integer(b"1a"), None);
    }

    #[test]
    fn lines_end_with_lf_or_crlf() {
        let bytes = b"one line of text\r\ntwo\n\nlast";
        let mut cursor = Cursor::default();
        let lines: Vec<_> = std::iter::from_fn(|| cursor.next(bytes).map(|line| line.text)).collect();
        assert_eq!(lines, [&b"one line of text"[..], b"two", b"", b"last"]);
    }
}
