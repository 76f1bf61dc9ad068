//! Frames of atoms that are announced by a count, held against what is left of the file.

use mediary_core::{Context, Error, Result};

use crate::text::{Cursor, Line};

/// `count` atoms were announced, `found` are there.
pub(crate) fn cut(count: u64, found: u64, line: u64) -> Error {
    Error::malformed(format!("expected {count} atoms, found {found} before the end of the file"))
        .at_line(line)
        .with_hint("the file is cut short or its count is wrong")
}

/// How many of `count` atoms, of `shortest` bytes each, there may be behind `cursor`: all of them, unless the file is too short. That
/// is an error which says how many lines are atoms; lenient takes those.
pub(crate) fn room(
    count: u64,
    shortest: u64,
    cursor: Cursor,
    bytes: &[u8],
    is_atom: impl Fn(&Line<'_>) -> bool,
    cx: &Context,
) -> Result<u64> {
    let left = (bytes.len() - cursor.at) as u64;
    // The last line may have no end.
    if count.saturating_mul(shortest) <= left + 1 {
        return Ok(count);
    }
    let mut rest = cursor;
    let mut found = 0;
    while let Some(line) = rest.next(bytes) {
        found += u64::from(is_atom(&line));
    }
    cx.unless_lenient("cut-frame", cut(count, found, rest.lines))?;
    Ok(left / shortest + 1)
}
