//! What tests of several formats ask of records.

use mediary_core::record::Molecule;
use mediary_core::{Media, MediaRecord};

use crate::torture::findings;

/// The molecule of a record.
pub(crate) fn molecule(record: &MediaRecord) -> &Molecule {
    match &record.media {
        Media::Molecule(molecule) => molecule,
        other => panic!("{:?}", other.kind()),
    }
}

/// Codes of the findings of all records.
pub(crate) fn codes(records: &[MediaRecord]) -> Vec<String> {
    findings(records).iter().map(|finding| finding.code.to_string()).collect()
}
