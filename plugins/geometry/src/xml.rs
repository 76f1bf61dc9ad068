//! What the XML formats of this crate share: the text of a document, attributes, errors with their line.

use mediary_core::{Error, Location};
use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use crate::text::{decode, from_utf16};

/// The text of a document: UTF-8, or UTF-16 with a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> String {
    let utf8 = from_utf16(bytes);
    let bytes = utf8.as_deref().unwrap_or(bytes);
    decode(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
}

/// The value of an attribute by its name without prefix.
pub(crate) fn value(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes.with_checks(false).flatten().find(|it| it.key.local_name().as_ref() == name)?;
    Some(match found.normalized_value(XmlVersion::Implicit1_0) {
        Ok(text) => text.into_owned(),
        Err(_) => found.value.into_owned(),
    })
}

/// The line of a byte of the text, counted from 1.
pub(crate) fn line(text: &str, at: u64) -> u64 {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1
}

/// What is wrong with a document, and where. `part` names it in the message.
pub(crate) fn error(error: &quick_xml::Error, part: &str, text: &str, reader: &quick_xml::Reader<&[u8]>) -> Error {
    Error::malformed(format!("{part}: {error}")).at(Location::line(line(text, reader.error_position())))
}
