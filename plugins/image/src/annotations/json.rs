//! JSON documents: parsed within the budget, and errors that name elements.

use mediary_core::{Context, Error, Location, Result, Source};
use serde_json::{Map, Value};

/// Bytes that a value of a parsed document may take, with the room that its list grows by.
const VALUE: u64 = 128;

/// How often each of these bytes occurs: what a document may become when it is parsed is as much as it has of them.
pub(super) fn count(text: &[u8], of: [u8; 4]) -> [u64; 4] {
    let mut counts = [0; 4];
    for byte in text {
        for (count, wanted) in counts.iter_mut().zip(of) {
            *count += u64::from(*byte == wanted);
        }
    }
    counts
}

/// What a parser says, as our error.
pub(super) fn malformed(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let message = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    let place = Location::line(error.line() as u64).with_column(error.column() as u64);
    let error = match error.is_eof() {
        true => Error::malformed(format!("the document ends early: {message}"))
            .with_hint("the file is cut short; fetch or copy it again"),
        false => Error::malformed(message),
    };
    error.at(place)
}

/// The object that a file is.
pub(super) fn object(source: &Source, cx: &Context) -> Result<Map<String, Value>> {
    let bytes = source.bytes(cx)?;
    let values: u64 = count(&bytes, *b",:[{").iter().sum();
    cx.budget().take(source.len() + values * VALUE)?;
    cx.checkpoint()?;
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    match serde_json::from_slice(text).map_err(|error| malformed(&error))? {
        Value::Object(object) => Ok(object),
        other => Err(expected("an object", &other)),
    }
}

/// What stands where something else was expected.
pub(super) fn expected(what: &str, found: &Value) -> Error {
    let mut text = found.to_string();
    if let Some((end, _)) = text.char_indices().nth(40) {
        text.truncate(end);
        text.push('…');
    }
    Error::malformed(format!("expected {what}, found {text}"))
}

/// A finite number.
pub(super) fn float(value: &Value) -> Result<f64> {
    value.as_f64().filter(|value| value.is_finite()).ok_or_else(|| expected("a number", value))
}

/// A whole number, also one that is spelled with a point.
pub(super) fn integer(value: &Value) -> Result<i64> {
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole)).ok_or_else(|| expected("a whole number", value))
}

/// A list.
pub(super) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(expected("a list", &other)),
    }
}

/// An object inside of a document.
pub(super) fn members(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(expected("an object", &other)),
    }
}

/// A text.
pub(super) fn text(value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(expected("a text", &other)),
    }
}

/// A point of two numbers.
pub(super) fn point(value: &Value) -> Result<[f64; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([x, y]) => Ok([float(x)?, float(y)?]),
        _ => Err(expected("a point [x, y]", value)),
    }
}

/// Whether a key stands in text that may be cut.
pub(super) fn mentions(parts: &[&[u8]], key: &str) -> bool {
    let key = format!("\"{key}\"").into_bytes();
    parts.iter().any(|part| memchr::memmem::find(part, &key).is_some())
}
