//! `mediary ls`: the rows of a store.

use mediary_ingest::{Row, Store};
use serde_json::{Value, json};

use super::store_failure;
use crate::Exit;
use crate::args::LsArgs;
use crate::output::Screen;
use crate::output::text::{bytes, clean};

pub(crate) fn run(args: &LsArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let store = Store::open(&args.store)?;
    let rows = match store.records() {
        Ok(rows) => rows,
        Err(error) => return store_failure(error, screen),
    };
    if !screen.json {
        let heading = screen.paint.title(&columns("status", "kind", "format", "size", "input"));
        screen.text(&format!("{heading}\n"))?;
    }
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(error) => return store_failure(error, screen),
        };
        if !wanted(&row, args) {
            continue;
        }
        if screen.json {
            screen.json(&to_json(&row))?;
        } else {
            screen.text(&format!("{}\n", line(&row)))?;
        }
    }
    Ok(Exit::Good)
}

fn wanted(row: &Row, args: &LsArgs) -> bool {
    let kind = args.kind.as_ref().is_none_or(|kind| row.kind.as_ref() == Some(kind));
    kind && args.status.as_ref().is_none_or(|status| *status == row.status)
}

/// Widths are fixed: a store may have more rows than memory has room for.
fn columns(status: &str, kind: &str, format: &str, size: &str, input: &str) -> String {
    format!("{status:7}  {kind:11}  {format:9}  {size:>9}  {input}")
}

fn line(row: &Row) -> String {
    let size = row.source_bytes.and_then(|size| u64::try_from(size).ok()).map(bytes).unwrap_or_default();
    let mut input = row.path();
    if row.index > 0 {
        input += &format!(" #{}", row.index);
    }
    if let Some(key) = row.key.as_deref().filter(|key| !key.is_empty()) {
        input += &format!(" ({key})");
    }
    if let Some(error) = &row.error {
        input += &format!(": {}: {error}", row.error_code.as_deref().unwrap_or("error"));
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    clean(&columns(&row.status, &text(&row.kind), &text(&row.format), &size, &input)).into_owned()
}

/// The row without what `show` is for: properties, annotations, and the record itself.
fn to_json(row: &Row) -> Value {
    let parsed = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "type": "row",
        "path": row.path(),
        "index": row.index,
        "status": row.status,
        "kind": row.kind,
        "format": row.format,
        "media_type": row.media_type,
        "key": row.key,
        "source": { "name": row.source_name, "bytes": row.source_bytes, "sha256": row.source_sha256 },
        "facts": parsed(&row.facts),
        "diagnostics": parsed(&row.diagnostics),
        "assets": parsed(&row.assets),
        "code": row.error_code,
        "message": row.error,
        "location": parsed(&row.error_location),
        "hint": row.hint,
    })
}
