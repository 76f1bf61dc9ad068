//! Text for people: records as blocks, tables in columns. Every text that comes from a file passes [`clean`].

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Values longer than this are cut in a block; `--json` has them whole.
const VALUE_CHARS: usize = 160;
/// Properties shown in a block.
const PROPERTIES: usize = 12;
/// Elements of a list shown in a block.
const ELEMENTS: usize = 12;

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What a block or a table is about.
    pub(crate) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Names beside values.
    pub(crate) fn key(self, text: &str) -> String {
        self.with("36", text)
    }

    /// Failures.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Findings.
    pub(crate) fn odd(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Side remarks.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// Text from a file, made safe for a terminal: control characters, which could move the cursor or retitle the window,
/// are escaped. Bidirectional controls, which could reverse what is read, too.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if odd(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// `81 B`, `1.2 kB`, `3.4 GB`: powers of 1000, as on a disk's label.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    if count < 1000 {
        return format!("{count} B");
    }
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// `1 record`, `2 records`.
pub(crate) fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// A record JSON as a block that ends with a blank line.
pub(crate) fn record(paint: Paint, shown: &str, json: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let index = json["index"].as_u64().unwrap_or_default();
    let mut title = paint.title(&clean(shown));
    if index > 0 {
        title += &paint.faint(&format!(" #{index}"));
    }
    let mut rows: Vec<(String, String)> = Vec::new();
    rows.push(("kind".into(), text(&json["kind"])));
    rows.push(("format".into(), format!("{} ({})", text(&json["format"]), text(&json["media_type"]))));
    rows.push(("size".into(), bytes(json["source"]["bytes"].as_u64().unwrap_or_default())));
    if let Some(sha256) = json["source"]["sha256"].as_str() {
        rows.push(("sha256".into(), sha256.to_owned()));
    }
    for sibling in list(&json["source"]["siblings"]) {
        let size = bytes(sibling["bytes"].as_u64().unwrap_or_default());
        rows.push(("sibling".into(), format!("{} ({size})", text(&sibling["name"]))));
    }
    if let Some(records) = json["records"].as_u64().filter(|&records| records != 1) {
        rows.push(("records".into(), records.to_string()));
    }
    for name in ["key", "caption", "step"] {
        match &json[name] {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            value => rows.push((name.into(), short(value))),
        }
    }
    for (name, value) in object(&json["facts"]) {
        rows.push((name.replace('_', " "), short(value)));
    }
    for (name, layer) in object(&json["annotations"]) {
        let boxes = list(&layer["boxes"]).len() as u64;
        let mask = if layer["mask"].is_object() { ", a mask" } else { "" };
        rows.push((format!("layer {name}"), format!("{boxes} boxes{mask}")));
    }
    let properties = object(&json["properties"]);
    rows.extend(properties.iter().take(PROPERTIES).map(|(name, value)| (format!(". {name}"), short(value))));
    if properties.len() > PROPERTIES {
        rows.push((String::new(), format!("and {} more properties (--json shows all)", properties.len() - PROPERTIES)));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(24);
    let mut block = format!("{title}\n");
    for (name, value) in rows {
        let name = format!("{:width$}", clean(&name));
        block += &format!("  {}  {}\n", paint.key(&name), clean(&value));
    }
    for entry in list(&json["loss"]) {
        block += &format!("  {}\n", loss(paint, entry));
    }
    for entry in list(&json["diagnostics"]) {
        block += &format!("  {}\n", diagnostic(paint, entry));
    }
    block + "\n"
}

/// `warning: obj.missing-mtl: … (at line 3), 4 times`
pub(crate) fn diagnostic(paint: Paint, json: &Value) -> String {
    let severity = json["severity"].as_str().unwrap_or("warning");
    let label = format!("{severity}:");
    let label = match severity {
        "error" => paint.bad(&label),
        "info" => paint.faint(&label),
        _ => paint.odd(&label),
    };
    format!("{label} {}{}{}", code_and_message(json), clean(&at(&json["location"])), times(json))
}

/// `lost: stl.materials: … 4 times`
pub(crate) fn loss(paint: Paint, json: &Value) -> String {
    let count = json["count"].as_u64().unwrap_or(1);
    format!("{} {} ({count})", paint.odd("lost:"), code_and_message(json))
}

fn code_and_message(json: &Value) -> String {
    let code = json["code"].as_str().unwrap_or_default();
    let message = json["message"].as_str().unwrap_or_default();
    format!("{}: {}", clean(code), clean(message))
}

fn times(json: &Value) -> String {
    match json["count"].as_u64() {
        Some(count) if count > 1 => format!(", {count} times"),
        _ => String::new(),
    }
}

/// ` (at line 3, byte 40)`, or nothing.
pub(crate) fn at(location: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(element) = location["element"].as_str() {
        parts.push(element.to_owned());
    }
    for name in ["line", "column", "byte"] {
        if let Some(number) = location[name].as_u64() {
            parts.push(format!("{name} {number}"));
        }
    }
    if parts.is_empty() { String::new() } else { format!(" (at {})", parts.join(", ")) }
}

/// A value on one line.
fn short(value: &Value) -> String {
    let text = flat(value);
    match text.char_indices().nth(VALUE_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number_text(number),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => {
            let gap = if values.iter().all(Value::is_number) { " " } else { ", " };
            let mut text = values.iter().take(ELEMENTS).map(flat).collect::<Vec<_>>().join(gap);
            if values.len() > ELEMENTS {
                text += &format!("{gap}… {} in all", values.len());
            }
            text
        }
        // Bounds and columns, the two objects that facts are full of.
        Value::Object(map) if map.len() == 2 && map.contains_key("min") && map.contains_key("max") => {
            format!("[{}] to [{}]", flat(&map["min"]), flat(&map["max"]))
        }
        Value::Object(map) if map.contains_key("name") && map.keys().all(|key| key == "name" || key == "type") => {
            let kind = map.get("type").map(flat).unwrap_or_default();
            format!("{} {kind}", flat(&map["name"])).trim_end().to_owned()
        }
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key} {}", flat(value))).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Six significant digits are enough to look at; whole numbers are exact.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() && value != 0.0 => {
            let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        Some(_) if number.is_f64() => "0".into(),
        _ => number.to_string(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

/// Rows in columns under a heading; the last column is not padded.
pub(crate) fn table(paint: Paint, heading: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<usize> = heading.iter().map(|name| name.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[&str]| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut text = paint.title(&line(heading)) + "\n";
    for row in &rows {
        text += &line(&row.iter().map(|cell| &**cell).collect::<Vec<_>>());
        text.push('\n');
    }
    text
}

/// A table in Markdown.
pub(crate) fn markdown(heading: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&mut heading.iter().copied());
    text += &format!("|{}\n", "---|".repeat(heading.len()));
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_keep_one_digit() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_951, "1.0 MB"),
            (2_500_000_000, "2.5 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn text_from_files_cannot_drive_the_terminal() {
        assert_eq!(clean("plain é"), "plain é");
        assert_eq!(clean("\x1b]0;title\x07\n"), "\\u{1b}]0;title\\u{7}\\n");
        assert_eq!(clean("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn values_fit_on_a_line() {
        assert_eq!(flat(&json!({"min": [0.0, -1.5, 2], "max": [1, 2, 1e-7]})), "[0 -1.5 2] to [1 2 0.0000001]");
        assert_eq!(flat(&json!([{"name": "a", "type": "int64"}, {"name": "b"}])), "a int64, b");
        assert_eq!(flat(&json!([])), "none");
        assert_eq!(flat(&json!(true)), "yes");
        assert_eq!(flat(&json!(1_234_567.891)), "1234568");
        assert_eq!(flat(&json!(u64::MAX)), "18446744073709551615");
        assert_eq!(short(&json!("x".repeat(500))).chars().count(), VALUE_CHARS + 1);
    }

    #[test]
    fn a_block_shows_facts_and_findings() {
        let json = json!({
            "kind": "scene", "format": "obj", "media_type": "model/obj", "key": "", "index": 2,
            "source": {"name": "a.obj", "bytes": 1234}, "facts": {"up_axis": "y", "vertices": 8}, "properties": {},
            "annotations": {}, "loss": [],
            "diagnostics": [{"severity": "warning", "code": "obj.x", "message": "m", "location": {"line": 3, "byte": 40}, "count": 4}],
        });
        let block = record(Paint(false), "dir/a.obj", &json);
        assert_eq!(
            block,
            "dir/a.obj #2\n  kind      scene\n  format    obj (model/obj)\n  size      1.2 kB\n  up axis   y\n  vertices  8\n  \
             warning: obj.x: m (at line 3, byte 40), 4 times\n\n"
        );
        assert!(record(Paint(true), "a", &json).contains("\x1b["));
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["obj".into(), "x".into()], vec!["a".into(), "y|z".into()]];
        assert_eq!(table(Paint(false), &["id", "name"], &rows), "id   name\nobj  x\na    y|z\n");
        assert_eq!(markdown(&["id", "name"], &rows), "| id | name |\n|---|---|\n| obj | x |\n| a | y\\|z |\n");
    }
}
