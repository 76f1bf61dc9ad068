//! Broken files, files of something else, and no room: an answer, in time, and never a breakdown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use mediary_core::{Context, ErrorKind, MediaRecord, ReadOptions, Result, Source};

use crate::{Checked, Outcome, PATIENCE, Subject, orderly, read_all, read_file};

/// Rounds of flipping, and inputs of noise.
const ROUNDS: usize = 20;

/// The same numbers in every run.
struct Random(u32);

impl Random {
    fn new() -> Self {
        Self(0x9E37_79B9)
    }

    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize
    }

    fn byte(&mut self) -> u8 {
        (self.next() & 0xFF) as u8
    }
}

/// Reads in time and without a breakdown; an orderly error is an answer too.
fn answer(
    subject: &Subject<'_>,
    source: &Source,
    options: &ReadOptions,
) -> std::result::Result<Result<Vec<MediaRecord>>, String> {
    let begun = Instant::now();
    let answer = read_all(subject.registry, source, options);
    if let Err(error) = &answer {
        orderly(error)?;
    }
    ensure!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
    Ok(answer)
}

/// Offsets to cut a file of `len` bytes at: every one of the first 40, then 40 spread over the rest.
fn cuts(len: usize) -> Vec<usize> {
    let mut cuts: Vec<_> =
        (1..len.min(41)).chain((1..41).map(|i| len * i / 41)).chain([len.saturating_sub(1)]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|&cut| cut > 0 && cut < len);
    cuts
}

/// Every truncation is an error or a record; a binary format notices.
pub(crate) fn truncated(subject: &Subject<'_>, path: &Path) -> Checked {
    // Text may end anywhere and still be whole; binary formats know their length.
    let binary = !subject.info.signatures.is_empty() && !subject.info.probes_without_signature;
    let bytes = read_file(path)?;
    let facts = |records: &[MediaRecord]| records.iter().map(|record| record.facts().to_json()).collect::<Vec<_>>();
    let whole = read_all(subject.registry, &subject.open(path)?, &subject.options()).map_err(|e| e.to_string())?;
    let whole = facts(&whole);
    let cuts = cuts(bytes.len());
    for &cut in &cuts {
        let source = Source::from_bytes("cut", bytes[..cut].to_vec());
        let read = answer(subject, &source, &subject.as_itself()).map_err(|why| format!("cut at {cut}: {why}"))?;
        if let Ok(records) = read {
            let noted = records.iter().any(|record| !record.diagnostics.is_empty());
            // Where one record ends and the next begins, a file of several is whole.
            let read = facts(&records);
            let is_whole = read == whole || subject.info.many_records && !read.is_empty() && whole.starts_with(&read);
            ensure!(!binary || noted || is_whole, "cut at {cut}: read without a word");
        }
    }
    Ok(cuts.len() as u64)
}

/// Flipped bytes are an error or a record.
pub(crate) fn flipped(subject: &Subject<'_>, path: &Path) -> Checked {
    let good = read_file(path)?;
    ensure!(!good.is_empty(), "the sample is empty");
    let mut random = Random::new();
    for round in 0..ROUNDS {
        let mut bytes = good.clone();
        // Headers are small and hold the counts: aim half of the rounds at them.
        let reach = if round % 2 == 0 { bytes.len().min(256) } else { bytes.len() };
        for _ in 0..=round % 5 {
            let place = random.next() % reach;
            bytes[place] = random.byte();
        }
        let source = Source::from_bytes("flipped", bytes);
        let _ = answer(subject, &source, &subject.as_itself()).map_err(|why| format!("round {round}: {why}"))?;
    }
    Ok(ROUNDS as u64)
}

/// A limit that is hit is an error that names it and says how to raise it.
pub(crate) fn tight(subject: &Subject<'_>, path: &Path) -> Checked {
    let limits = [("alloc_bytes", 64), ("elements", 0), ("pixels", 0), ("frames", 0), ("depth", 0)];
    for (name, value) in limits {
        let mut options = subject.options();
        options.limits.set(name, value);
        if let Err(error) = answer(subject, &subject.open(path)?, &options)? {
            ensure!(
                error.kind() == ErrorKind::Limit,
                "{name}={value} is {}, not limit: {error}",
                error.kind().as_str()
            );
            ensure!(error.limit_name() == Some(name), "{name}={value}: another limit is named: {error}");
            ensure!(error.hint().is_some_and(|hint| hint.contains(name)), "{name}={value}: no hint to raise it");
        }
    }
    Ok(limits.len() as u64)
}

/// A reader that never asks the budget would pass [`tight`]: something must be refused.
pub(crate) fn stopped_by_some_limit(subject: &Subject<'_>) -> Outcome {
    if subject.samples.is_empty() {
        return Outcome::Skipped("no samples".into());
    }
    let limits = ["alloc_bytes", "elements", "pixels", "frames", "string_bytes"];
    let refused = subject.samples.iter().any(|path| {
        limits.iter().any(|name| {
            let mut options = subject.options();
            options.limits.set(name, 1);
            subject.open(path).is_ok_and(|source| read_all(subject.registry, &source, &options).is_err())
        })
    });
    if refused {
        return Outcome::Passed(1);
    }
    Outcome::Failed(vec![format!("no sample is stopped by any of {}: the reader asks no budget", limits.join(", "))])
}

/// A cancelled read ends as such, or had nothing left to do.
pub(crate) fn cancelled(subject: &Subject<'_>, path: &Path) -> Checked {
    let options = subject.options();
    options.cancel.cancel();
    if let Err(error) = answer(subject, &subject.open(path)?, &options)? {
        let kind = error.kind();
        ensure!(kind == ErrorKind::Cancelled, "it is {}, not cancelled: {error}", kind.as_str());
    }
    Ok(1)
}

/// Nothing and noise are not taken for the format, and do not break it.
pub(crate) fn foreign(subject: &Subject<'_>) -> Outcome {
    let mut random = Random::new();
    let noise = (0..ROUNDS).map(|_| (0..4096).map(|_| random.byte()).collect());
    let mut failed = Vec::new();
    for bytes in std::iter::once(Vec::new()).chain(noise) {
        let what = if bytes.is_empty() { "an empty input" } else { "4 KiB of noise" };
        if let Err(message) = refused(subject, bytes) {
            failed.push(format!("{what}: {message}"));
        }
    }
    if failed.is_empty() { Outcome::Passed(ROUNDS as u64 + 1) } else { Outcome::Failed(failed) }
}

fn refused(subject: &Subject<'_>, bytes: Vec<u8>) -> std::result::Result<(), String> {
    let source = Source::from_bytes("noise", bytes);
    let detection = subject.registry.detect(&source);
    ensure!(detection.failures.iter().all(|it| it.format != subject.info.id), "the probe broke down: {detection:?}");
    let own = detection.candidates.iter().find(|candidate| candidate.format == subject.info.id);
    ensure!(own.is_none_or(|own| own.score < 100), "taken for the format: {own:?}");
    let _ = answer(subject, &source, &subject.as_itself())?;
    // The registry refuses an empty input itself: the format, called by hand, must stand it too.
    let format = subject.registry.get(subject.info.id).map_err(|error| error.to_string())?;
    let by_hand = || format.open(&source, &Context::new(subject.info.id)).and_then(|mut reader| reader.next_record());
    match catch_unwind(AssertUnwindSafe(by_hand)) {
        Ok(Err(error)) => orderly(&error),
        Ok(Ok(_)) => Ok(()),
        Err(_) => Err("it panicked".into()),
    }
}
