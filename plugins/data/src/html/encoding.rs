//! Which encoding a document is in, and its text.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mediary_core::{Context, Location, Result};

use super::token::{Attributes, Token, Tokens};

/// Bytes in which a `meta` or the XML declaration may name the encoding.
const PRESCAN: usize = 1024;

/// The text, and whether the bytes were it already.
pub(super) fn decode(bytes: &[u8], cx: &Context) -> Result<(String, bool)> {
    let marked = Encoding::for_bom(bytes);
    let (encoding, mark) = match marked {
        Some(marked) => marked,
        None => match prescan(bytes) {
            Some(encoding) => (encoding, 0),
            None if std::str::from_utf8(bytes).is_ok() => (UTF_8, 0),
            None => {
                cx.tolerate(
                    "encoding",
                    "the document names no encoding in its first 1024 bytes and is not UTF-8: it is read as windows-1252",
                    Location::default(),
                )?;
                (WINDOWS_1252, 0)
            }
        },
    };
    // One byte becomes three at most.
    cx.budget().take((bytes.len() as u64).saturating_mul(if encoding == UTF_8 { 1 } else { 3 }))?;
    let body = &bytes[mark..];
    let text = match std::str::from_utf8(body) {
        Ok(text) if encoding == UTF_8 => return Ok((text.to_owned(), mark == 0)),
        Err(error) if encoding == UTF_8 => {
            let text = String::from_utf8_lossy(body).into_owned();
            let at = Location::byte((mark + error.valid_up_to()) as u64);
            cx.tolerate("undecodable", "bytes that are not UTF-8: U+FFFD stands for each sequence", at)?;
            text
        }
        _ => {
            let (text, bad) = encoding.decode_without_bom_handling(body);
            if bad {
                let message = format!("bytes that are not {}: U+FFFD stands for each sequence", encoding.name());
                cx.tolerate("undecodable", message, Location::default())?;
            }
            text.into_owned()
        }
    };
    Ok((text, false))
}

/// The encoding that a `meta` in the first bytes names: `charset=` in its `charset` or `content` attribute; else that of an
/// XML declaration.
pub(super) fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PRESCAN)]);
    let mut tokens = Tokens::new(&head);
    while let Some(token) = tokens.next() {
        let Token::Open { name, attributes } = token else { continue };
        if !name.eq_ignore_ascii_case("meta") {
            continue;
        }
        for (name, value) in Attributes::new(attributes) {
            let label = if name.eq_ignore_ascii_case("charset") {
                Some(value)
            } else if name.eq_ignore_ascii_case("content") {
                charset_of(value)
            } else {
                None
            };
            if let Some(encoding) = label.and_then(by_label) {
                return Some(encoding);
            }
        }
    }
    xml_encoding(&head).and_then(by_label)
}

/// The encoding of a label that was itself read as ASCII.
fn by_label(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    // What could be read at all is not in UTF-16.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// `utf-8` of `<?xml version="1.0" encoding="utf-8"?>`.
fn xml_encoding(head: &str) -> Option<&str> {
    let (declaration, _) = head.strip_prefix("<?xml")?.split_once('>')?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label)
}

/// `utf-8` of `text/html; charset=utf-8`.
fn charset_of(content: &str) -> Option<&str> {
    let at = content.to_ascii_lowercase().find("charset")?;
    let value = content[at + "charset".len()..].trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    Some(value.split([';', ' ', '"', '\'']).next().unwrap_or(value))
}
