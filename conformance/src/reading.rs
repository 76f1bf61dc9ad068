//! Good files: recognised, and read the same way whoever asks.

use std::path::Path;

use mediary_core::{Kind, Source};

use crate::{Checked, Subject, fingerprint, read_all, read_file};

/// A file is recognised, and by its content alone where the content speaks for it.
pub(crate) fn recognised(subject: &Subject<'_>, path: &Path) -> Checked {
    let id = subject.info.id;
    let named = subject.registry.detect(&subject.open(path)?);
    ensure!(named.winner(false).ok() == Some(id), "not recognised: {named:?}");
    if named.candidates.first().is_some_and(|winner| winner.score < 100) {
        return Ok(1);
    }
    let disguised = subject.registry.detect(&Source::from_bytes("picture.unknown", read_file(path)?));
    ensure!(disguised.winner(false).ok() == Some(id), "not recognised without its name: {disguised:?}");
    Ok(2)
}

/// Facts that a header must know: what they cost does not grow with the payload.
fn cheap_facts(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Image => &["width", "height", "channels", "bit_depth", "has_alpha", "orientation_applied"],
        Kind::Scene => &["meshes", "primitives", "vertices"],
        Kind::PointCloud => &["boxes", "vectors"],
        Kind::Molecule => &["atoms", "bonds", "formula"],
        Kind::Audio => &["sample_rate", "channels", "codec", "bit_depth"],
        Kind::Video => &["width", "height", "codec", "tracks", "rotation"],
        Kind::Histogram => &["bins", "min", "max", "count"],
        Kind::Table => &["columns"],
        Kind::Html => &["title", "has_external_refs"],
        _ => &[],
    }
}

/// What a header says is what a full read says, and it says what is cheap to know.
pub(crate) fn header(subject: &Subject<'_>, path: &Path) -> Checked {
    let source = subject.open(path)?;
    let header = subject.registry.open(&source, &subject.options()).and_then(|mut reading| reading.header());
    let header = header.map_err(|error| format!("header: {error}"))?;
    let records = read_all(subject.registry, &subject.open(path)?, &subject.options()).map_err(|e| e.to_string())?;
    let full = records.first().ok_or("no record")?.facts();
    ensure!(
        header.facts.kind() == full.kind(),
        "kind: the header says {}, the record {}",
        header.facts.kind(),
        full.kind()
    );
    let (known, full) = (header.facts.to_json(), full.to_json());
    for name in cheap_facts(header.facts.kind()) {
        ensure!(known.contains_key(*name) || !full.contains_key(*name), "the header does not say {name}");
    }
    for (name, value) in &known {
        let read = full.get(name);
        ensure!(Some(value) == read, "{name}: the header says {value}, the record {read:?}");
    }
    if let Some(count) = header.records {
        ensure!(count == records.len() as u64, "records: the header says {count}, there are {}", records.len());
    }
    Ok(1)
}

/// Reading again gives the same records.
pub(crate) fn twice(subject: &Subject<'_>, path: &Path) -> Checked {
    let read = || -> Result<Vec<String>, String> {
        let reading = subject.registry.open(&subject.open(path)?, &subject.options()).map_err(|e| e.to_string())?;
        reading
            .map(|record| record.and_then(|mut record| fingerprint(&mut record)).map_err(|e| e.to_string()))
            .collect()
    };
    let (once, again) = (read()?, read()?);
    ensure!(once == again, "the second read says something else");
    Ok(once.len() as u64)
}
