//! Writes images as pages.

use mediary_core::{Context, MediaRecord, Output, Result};

pub(super) fn write(_record: &MediaRecord, _out: &mut Output, _cx: &Context) -> Result<()> {
    Err(mediary_core::Error::unsupported("later"))
}
