//! Columns of atoms beside species, position and charge, as the property `columns` of a record:
//! `{"forces": {"type": "R", "values": [[0.1, 0.2, 0.3], …]}, "tags": {"type": "I", "values": [1, …]}}`.

use mediary_core::{Context, Result};
use serde_json::{Map, Value};

use crate::text::{float, integer};

/// Bytes of memory that a value takes, and those that a list of them takes beside.
const VALUE_BYTES: u64 = size_of::<Value>() as u64;

/// A declared column that is kept.
#[derive(Clone)]
pub(super) struct Other {
    pub(super) name: String,
    /// `R` real, `I` integer, `L` logical, `S` string.
    pub(super) kind: u8,
    pub(super) start: usize,
    pub(super) width: usize,
}

/// Bytes of memory that the kept columns of an atom take.
pub(super) fn bytes(others: &[Other]) -> u64 {
    others.iter().map(|other| (other.width as u64 + 2) * VALUE_BYTES).sum()
}

/// Adds the values of an atom to each column.
pub(super) fn add(line: &[u8], others: &[Other], values: &mut [Vec<Value>]) {
    let fields: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
    for (other, values) in others.iter().zip(values) {
        let mut own = fields.iter().skip(other.start).take(other.width).map(|field| value(other.kind, field));
        values.push(match other.width {
            1 => own.next().unwrap_or_default(),
            _ => Value::Array(own.collect()),
        });
    }
}

/// A value of its declared type; text where it is none.
fn value(kind: u8, field: &[u8]) -> Value {
    let known = match kind {
        b'R' => float(field).map(Value::from),
        b'I' => integer(field).map(Value::from),
        b'L' => match field {
            b"T" | b"true" | b"True" | b"TRUE" => Some(true.into()),
            b"F" | b"false" | b"False" | b"FALSE" => Some(false.into()),
            _ => None,
        },
        _ => None,
    };
    known.unwrap_or_else(|| String::from_utf8_lossy(field).into())
}

/// The property of columns that were read.
pub(super) fn property(others: &[Other], values: Vec<Vec<Value>>) -> Value {
    let column = |(other, values): (&Other, Vec<Value>)| {
        let kind = char::from(other.kind).to_string();
        let column = Map::from_iter([("type".to_owned(), kind.into()), ("values".to_owned(), values.into())]);
        (other.name.clone(), column.into())
    };
    Value::Object(others.iter().zip(values).map(column).collect())
}

/// A column to be written.
pub(super) struct Written<'r> {
    values: &'r [Value],
}

/// Columns of the property that fit `atoms`, and what `Properties` says of them. Others are losses.
pub(super) fn written<'r>(
    properties: &'r Map<String, Value>,
    atoms: usize,
    cx: &Context,
) -> (Vec<Written<'r>>, String) {
    let (mut columns, mut declared, mut lost) = (Vec::new(), String::new(), 0);
    for (name, column) in properties.get("columns").and_then(Value::as_object).into_iter().flatten() {
        let kind = column.get("type").and_then(Value::as_str).filter(|kind| ["R", "I", "L", "S"].contains(kind));
        let values = column.get("values").and_then(Value::as_array);
        let width = |value: &Value| value.as_array().map_or(1, Vec::len);
        let plain = |name: &str| !name.contains(|c: char| c.is_whitespace() || ":=\"'".contains(c));
        match (kind, values) {
            (Some(kind), Some(values))
                if values.len() == atoms
                    && plain(name)
                    && values
                        .first()
                        .map(width)
                        .is_some_and(|first| first > 0 && values.iter().all(|it| width(it) == first)) =>
            {
                let width = values.first().map_or(1, width);
                declared.push_str(&format!(":{name}:{kind}:{width}"));
                columns.push(Written { values });
            }
            _ => lost += 1,
        }
    }
    cx.lose("columns", lost, "columns of atoms");
    (columns, declared)
}

impl Written<'_> {
    /// The values of an atom, each behind a blank.
    pub(super) fn write(&self, atom: usize, out: &mut impl std::io::Write) -> Result<()> {
        let value = &self.values[atom];
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            match value {
                Value::Bool(flag) => write!(out, " {}", if *flag { "T" } else { "F" })?,
                // A text of blanks would be no column.
                Value::String(text) if text.is_empty() || text.contains(char::is_whitespace) => {
                    write!(out, " {}", text.split_whitespace().collect::<Vec<_>>().join("_"))?;
                    if text.trim().is_empty() {
                        write!(out, "_")?;
                    }
                }
                Value::String(text) => write!(out, " {text}")?,
                other => write!(out, " {other}")?,
            }
        }
        Ok(())
    }
}
