//! Written and read again: what a writer declares survives, and it says the same twice.

use std::path::Path;

use mediary_core::{
    ErrorKind, Finished, FolderSiblings, FormatInfo, Kind, Limits, MediaRecord, MemorySiblings, Output, ReadOptions,
    Registry, Siblings, Source, WriteOptions,
};

use crate::compare::compare;
use crate::{Bulk, Checked, Subject, collect};

/// A record read, with its bulk apart.
pub(crate) struct Read {
    pub(crate) record: MediaRecord,
    pub(crate) bulk: Bulk,
}

/// The format written from its own samples.
pub(crate) fn own(subject: &Subject<'_>, path: &Path) -> Checked {
    let source = subject.open(path)?;
    consumes(subject.registry, &source, subject.info)?;
    repeats(subject.registry, &source, subject.info)?;
    survives(subject.registry, &source, subject.info)?;
    Ok(1)
}

fn read(registry: &Registry, source: &Source) -> Result<Vec<Read>, String> {
    let reading = registry.open(source, &ReadOptions::default()).map_err(|error| error.to_string())?;
    let records = reading.map(|record| {
        let mut record = record?;
        let bulk = collect(&mut record)?;
        Ok(Read { record, bulk })
    });
    records.collect::<mediary_core::Result<_>>().map_err(|error| error.to_string())
}

fn first(mut records: Vec<Read>) -> Result<Read, String> {
    if records.is_empty() { Err("no record".into()) } else { Ok(records.swap_remove(0)) }
}

/// Writes the first record of `source`; `None` when the format cannot express it, which it must say as a typed error, or when it holds
/// the first frame of a clip, which is another record.
fn write(registry: &Registry, source: &Source, to: &FormatInfo) -> Result<Option<(MediaRecord, Finished)>, String> {
    let reading = registry.open(source, &ReadOptions::default());
    let record = reading.and_then(|mut reading| reading.next().transpose());
    let mut record = record.map_err(|error| error.to_string())?.ok_or("no record")?;
    let mut out = Output::memory();
    let is_held = registry.get(to.id).is_ok_and(|format| format.holds(&record.media));
    let is_poster = record.kind() == Kind::Video && !is_held;
    match registry.write(&mut record, to.id, &mut out, &WriteOptions::default()) {
        Ok(()) if is_poster && record.kind() == Kind::Image => Ok(None),
        Ok(()) => Ok(Some((record, out.finish().map_err(|error| error.to_string())?))),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(format!("cannot be written: {error}")),
    }
}

/// Writing the first record of `source` twice as `to` gives the same bytes.
///
/// # Errors
/// What is wrong, in words.
pub fn repeats(registry: &Registry, source: &Source, to: &FormatInfo) -> Result<(), String> {
    let written = || Ok::<_, String>(write(registry, source, to)?.map(|(_, files)| (files.bytes, files.siblings)));
    ensure!(written()? == written()?, "writing twice gives other bytes");
    Ok(())
}

/// Writing the first record of `source` as `to` reads it to its end: its facts are complete.
///
/// # Errors
/// What is wrong, in words.
pub fn consumes(registry: &Registry, source: &Source, to: &FormatInfo) -> Result<(), String> {
    let full = first(read(registry, source)?)?.record.facts();
    if let Some((record, _)) = write(registry, source, to)? {
        let facts = record.facts();
        ensure!(facts == full, "the writer did not consume the record: {facts:?} is not {full:?}");
    }
    Ok(())
}

/// What `to` declares to keep of the first record of `source` is there when it is read again, and what else is gone was said.
///
/// # Errors
/// What is wrong, in words.
pub fn survives(registry: &Registry, source: &Source, to: &FormatInfo) -> Result<(), String> {
    if !to.reads {
        return Ok(());
    }
    let before = first(read(registry, source)?)?;
    let Some((written, files)) = write(registry, source, to)? else { return Ok(()) };
    let again = read(registry, &written_as(source, &written, to, files))
        .map_err(|error| format!("cannot be read again: {error}"))?;
    ensure!(again.len() == 1, "one record becomes {}", again.len());
    let after = first(again)?;
    let lost = |code: &str| written.loss.iter().any(|loss| loss.code.contains(code));
    compare(to, &before, &after, &lost)
}

/// What was written of a record of `source`, as an input: beside the other files that were written, and those beside `source`, to which
/// it may refer. Labels of pictures are named as their picture is.
#[must_use]
pub fn written_as(source: &Source, record: &MediaRecord, to: &FormatInfo, files: Finished) -> Source {
    struct Beside(MemorySiblings, Option<FolderSiblings>);
    impl Siblings for Beside {
        fn open(&self, name: &str, limits: &Limits) -> mediary_core::Result<Source> {
            let written = self.0.open(name, limits);
            match &self.1 {
                Some(folder) if written.is_err() => folder.open(name, limits),
                _ => written,
            }
        }
    }
    let picture = Path::new(&record.key).file_stem().filter(|_| to.siblings && to.kinds == [mediary_core::Kind::Image]);
    let stem = picture.map_or_else(|| "again".into(), |stem| stem.to_string_lossy());
    let written = files.siblings.into_iter();
    let written = written.fold(MemorySiblings::default(), |all, (name, bytes)| all.with(name, bytes));
    let folder = source.path().and_then(Path::parent).map(FolderSiblings::new);
    Source::from_bytes(format!("{stem}.{}", to.extension()), files.bytes).with_siblings(Beside(written, folder))
}
