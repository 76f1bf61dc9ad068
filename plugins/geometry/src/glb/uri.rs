//! `data:` URIs and percent-encoding (RFC 2397, RFC 3986), as glTF uses them.

use mediary_core::{Context, Error, Result};

/// What a `uri` property holds.
pub(super) enum Uri {
    /// The media type (may be empty) and the bytes of a `data:` URI.
    Data(String, Vec<u8>),
    /// A relative file name, decoded.
    File(String),
}

impl Uri {
    /// Decodes `text`; the bytes of a `data:` URI are paid from the budget.
    pub(super) fn parse(text: &str, cx: &Context) -> Result<Self> {
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
        let bytes = if is_base64 { base64(&percent(body))? } else { percent(body) };
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
fn percent_name(text: &str) -> String {
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
}
