//! `mediary show`: one record of a store.

use mediary::{Error, ErrorKind};
use mediary_ingest::{Row, Store};
use serde_json::Value;

use super::store_failure;
use crate::Exit;
use crate::args::ShowArgs;
use crate::output::Screen;

pub(crate) fn run(args: &ShowArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let store = Store::open(&args.store)?;
    let rows = match store.find(&args.key) {
        Ok(rows) => rows,
        Err(error) => return store_failure(error, screen),
    };
    let mut any = false;
    for row in rows {
        let shown = row.and_then(|row| json_of(&row));
        let json = match shown {
            Ok(json) => json,
            Err(error) => return store_failure(error, screen),
        };
        any = true;
        if screen.json {
            screen.json(&json)?;
        } else {
            screen.text(&format!("{}\n", serde_json::to_string_pretty(&json)?))?;
        }
    }
    if any {
        return Ok(Exit::Good);
    }
    Err(Error::new(ErrorKind::Io, format!("no record of the store matches {:?}", args.key))
        .with_hint("a key is the path of an input as `mediary ls` shows it, or the first digits of a SHA-256")
        .with_path(args.store.display().to_string())
        .into())
}

/// The record as it was stored, or why there is none.
fn json_of(row: &Row) -> mediary::Result<Value> {
    match &row.record {
        Some(record) => serde_json::from_str(record)
            .map_err(|error| Error::malformed(format!("the record is no JSON: {error}")).with_path(row.path())),
        None => Ok(row.error_json()),
    }
}
