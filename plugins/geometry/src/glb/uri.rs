//! `data:` URIs and percent-encoding (RFC 2397, RFC 3986), as glTF uses them.

use std::io::{self, Write};

use mediary_core::{Context, Error, Result};

/// What a `uri` property holds.
pub(crate) enum Uri {
    /// The media type (may be empty) and the bytes of a `data:` URI.
    Data(String, Vec<u8>),
    /// A relative file name, decoded.
    File(String),
}

impl Uri {
    /// Decodes `text`; the bytes of a `data:` URI are paid from the budget.
    pub(crate) fn parse(text: &str, cx: &Context) -> Result<Self> {
        let Some(rest) = strip_scheme(text) else { return Ok(Self::File(percent_name(text))) };
        let Some((head, body)) = rest.split_once(',') else {
            return Err(Error::malformed("a data URI without a comma: expected data:<type>,<data>"));
        };
        cx.budget().take(body.len() as u64)?;
        let (media_type, is_base64) = match head.len().checked_sub(7).and_then(|cut| head.split_at_checked(cut)) {
            Some((media_type, mark)) if mark.eq_ignore_ascii_case(";base64") => (media_type, true),
            _ => (head, false),
        };
        let media_type = media_type.split(';').next().unwrap_or_default().to_ascii_lowercase();
        let bytes = match is_base64 {
            true if body.contains('%') => base64(&percent(body))?,
            true => base64(body.as_bytes())?,
            false => percent(body),
        };
        Ok(Self::Data(media_type, bytes))
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

/// `%41` becomes `A`; a `%` without two hex digits stays.
fn percent(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// A decoded file name; one that is no UTF-8 when decoded is taken as it stands.
pub(crate) fn percent_name(text: &str) -> String {
    String::from_utf8(percent(text)).unwrap_or_else(|_| text.to_owned())
}

/// Standard and URL-safe alphabet, with or without padding, white space skipped.
fn base64(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut group = 0u32;
    let mut bits = 0;
    for (at, &byte) in text.iter().enumerate() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            byte if byte.is_ascii_whitespace() => continue,
            byte => {
                return Err(Error::malformed(format!(
                    "base64 data: expected a base64 digit, found {:?} at position {at}",
                    char::from(byte)
                )));
            }
        };
        group = (group << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits) as u8);
        }
    }
    Ok(out)
}

/// A file name as a URI: what is not unreserved (RFC 3986, section 2.3) is percent-encoded.
pub(super) fn escape(name: &str) -> String {
    let mut uri = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    uri
}

/// A `data:` URI in base64, written to piece by piece.
pub(super) struct DataUri {
    text: String,
    /// Bytes that do not make a group of three yet.
    rest: Vec<u8>,
}

impl DataUri {
    pub(super) fn new(media_type: &str) -> Self {
        Self { text: format!("data:{media_type};base64,"), rest: Vec::new() }
    }

    fn group(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            self.text.push(if digit > bytes.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }

    pub(super) fn finish(mut self) -> String {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.group(&rest);
        }
        self.text
    }
}

impl Write for DataUri {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut left = bytes;
        while !self.rest.is_empty() && !left.is_empty() {
            self.rest.push(left[0]);
            left = &left[1..];
            if self.rest.len() == 3 {
                let whole = std::mem::take(&mut self.rest);
                self.group(&whole);
            }
        }
        let groups = left.chunks_exact(3);
        self.rest.extend_from_slice(groups.remainder());
        groups.for_each(|group| self.group(group));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_uris_decode() {
        let cx = Context::new("glb");
        let bytes = |text: &str| match Uri::parse(text, &cx).unwrap() {
            Uri::Data(media_type, bytes) => (media_type, bytes),
            Uri::File(name) => panic!("{name}"),
        };
        // From RFC 4648, section 10.
        assert_eq!(bytes("data:image/png;base64,Zm9vYmFy"), ("image/png".into(), b"foobar".to_vec()));
        assert_eq!(bytes("DATA:;base64,Zm9vYg==").1, b"foob");
        assert_eq!(bytes("data:;base64,Zm9vYg").1, b"foob", "padding may be missing");
        assert_eq!(bytes("data:text/plain;charset=utf-8,a%20b").1, b"a b");
        assert!(Uri::parse("data:;base64,Zm9!", &cx).is_err());
        assert!(matches!(Uri::parse("a%20b.bin", &cx).unwrap(), Uri::File(name) if name == "a b.bin"));
        assert!(matches!(Uri::parse("a%FFb%zz.bin", &cx).unwrap(), Uri::File(name) if name == "a%FFb%zz.bin"));
    }

    #[test]
    fn data_uris_are_written_as_they_are_read() {
        // From RFC 4648, section 10.
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            for cut in 0..=plain.len() {
                let mut uri = DataUri::new("a/b");
                uri.write_all(&plain.as_bytes()[..cut]).unwrap();
                uri.write_all(&plain.as_bytes()[cut..]).unwrap();
                assert_eq!(uri.finish(), format!("data:a/b;base64,{text}"));
            }
        }
        assert_eq!(escape("a b/\u{e9}%.bin"), "a%20b%2F%C3%A9%25.bin");
    }
}
