//! Metadata of the movie: iTunes items (`udta/meta/ilst`), QuickTime keys (`meta/keys` with `ilst`), QuickTime user data.

use mediary_core::{Context, Result, Severity};
use serde_json::{Map, Value};

use super::boxes::{Atom, Fields, find};

/// Items that are read.
const MOST_ITEMS: usize = 1000;
/// Bytes of one value that are read.
const MOST_BYTES: u64 = 64 << 10;
/// Type of a `data` box: UTF-8.
const UTF8: u32 = 1;
/// Types of a `data` box: big-endian integers, signed and unsigned.
const INTEGERS: [u32; 2] = [21, 22];

/// Collects the tags of `moov`, by the container's own keys.
pub(super) fn read(fields: &mut Fields, moov: Atom, cx: &Context) -> Result<Map<String, Value>> {
    let mut found = Tags { items: Map::new(), pictures: 0, others: 0 };
    let children = fields.inside(moov)?;
    if let Some(udta) = find(&children, b"udta") {
        // User data of QuickTime may end with a zero that is no box; what is broken here hides no picture and no sound.
        for child in fields.inside(udta).unwrap_or_default() {
            match child.code {
                [b'm', b'e', b't', b'a'] => found.meta(fields, child)?,
                [0xA9, ..] => found.user_text(fields, child)?,
                _ => {}
            }
        }
    }
    if let Some(meta) = find(&children, b"meta") {
        found.meta(fields, meta)?;
    }
    cx.report_times(Severity::Info, "pictures", "a cover picture was not read", None, found.pictures);
    cx.report_times(Severity::Info, "tags", "a tag that is neither text nor a number was not read", None, found.others);
    Ok(found.items)
}

struct Tags {
    items: Map<String, Value>,
    pictures: u64,
    others: u64,
}

impl Tags {
    fn put(&mut self, key: String, value: Value) {
        if self.items.len() < MOST_ITEMS {
            self.items.entry(key).or_insert(value);
        }
    }

    /// `meta`: a full box in ISO files, a plain one in QuickTime.
    fn meta(&mut self, fields: &mut Fields, meta: Atom) -> Result<()> {
        if meta.len() < 8 {
            return Ok(());
        }
        let plain = &fields.code(meta.body + 4)? == b"hdlr";
        let children = fields.children(meta.body + if plain { 0 } else { 4 }, meta.end).unwrap_or_default();
        let keys = match find(&children, b"keys") {
            Some(keys) => self.keys(fields, keys)?,
            None => Vec::new(),
        };
        let Some(ilst) = find(&children, b"ilst") else { return Ok(()) };
        for item in fields.inside(ilst).unwrap_or_default().into_iter().take(MOST_ITEMS) {
            self.item(fields, item, &keys)?;
        }
        Ok(())
    }

    /// Names that items refer to by number, from 1.
    fn keys(&mut self, fields: &mut Fields, keys: Atom) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for key in fields.children(keys.body + 8, keys.end.max(keys.body + 8)).unwrap_or_default() {
            if names.len() == MOST_ITEMS {
                break;
            }
            names.push(text(fields, key.body, key.end)?);
        }
        Ok(names)
    }

    fn item(&mut self, fields: &mut Fields, item: Atom, keys: &[String]) -> Result<()> {
        let parts = fields.inside(item).unwrap_or_default();
        let number = u32::from_be_bytes(item.code) as usize;
        let key = match (number.checked_sub(1).and_then(|place| keys.get(place)), &item.code) {
            (Some(key), _) => key.clone(),
            // A free-form item: reversed domain name and name.
            (None, b"----") => {
                let mut part = |code| match find(&parts, code) {
                    Some(part) if part.len() >= 4 => text(fields, part.body + 4, part.end),
                    _ => Ok(String::new()),
                };
                format!("{}:{}", part(b"mean")?, part(b"name")?)
            }
            _ => item.name(),
        };
        let Some(data) = find(&parts, b"data").filter(|data| data.len() >= 8) else { return Ok(()) };
        let kind = fields.u32(data.body)? & 0xFF_FFFF;
        let (at, end) = (data.body + 8, data.end);
        match kind {
            UTF8 => {
                let value = text(fields, at, end)?;
                self.put(key, value.into());
            }
            kind if INTEGERS.contains(&kind) && (1..=8).contains(&(end - at)) => {
                let bytes = fields.bytes(at, (end - at) as usize)?;
                let unsigned = bytes.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
                let shift = 64 - 8 * bytes.len() as u32;
                let signed = (unsigned << shift).cast_signed() >> shift;
                self.put(key, if kind == 21 { signed.into() } else { unsigned.into() });
            }
            _ if &item.code == b"covr" => self.pictures += 1,
            // Track and disc numbers: number and total in the middle of reserved bytes.
            0 if matches!(&item.code, b"trkn" | b"disk") && end - at >= 6 => {
                let (number, total) = (fields.u16(at + 2)?, fields.u16(at + 4)?);
                let value = if total == 0 { number.to_string() } else { format!("{number}/{total}") };
                self.put(key, value.into());
            }
            _ => self.others += 1,
        }
        Ok(())
    }

    /// User data of QuickTime: strings with length and language; the first counts.
    fn user_text(&mut self, fields: &mut Fields, atom: Atom) -> Result<()> {
        if atom.len() < 4 {
            return Ok(());
        }
        let length = u64::from(fields.u16(atom.body)?).min(atom.len() - 4);
        let value = text(fields, atom.body + 4, atom.body + 4 + length)?;
        self.put(atom.name(), value.into());
        Ok(())
    }
}

/// UTF-8 from `at` to `end`, cut at `MOST_BYTES`; what is not UTF-8 is replaced.
fn text(fields: &mut Fields, at: u64, end: u64) -> Result<String> {
    let count = usize::try_from(end.saturating_sub(at).min(MOST_BYTES)).unwrap_or(0);
    Ok(String::from_utf8_lossy(fields.bytes(at, count)?).into_owned())
}
