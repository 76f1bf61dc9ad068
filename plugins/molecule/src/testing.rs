//! What tests of several formats ask of records.

use mediary_core::record::Molecule;
use mediary_core::{Error, Media, MediaRecord, ReadOptions, Registry, Source, Strictness};

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

/// The records of `bytes` up to an error, and the error.
pub(crate) fn read_on(bytes: &[u8], format: &str, strictness: Strictness) -> (Vec<MediaRecord>, Option<Error>) {
    let mut options = ReadOptions::default();
    options.from = Some(format.into());
    options.strictness = strictness;
    let mut records = Vec::new();
    for record in Registry::builtin().open(&Source::from_bytes("", bytes.to_vec()), &options).unwrap() {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}
