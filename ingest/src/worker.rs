//! One input: admit, load and hash, recognise, compare with what the store has, convert, describe.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use mediary_core::record::Asset;
use mediary_core::{
    Budget, Diagnostic, Error, ErrorKind, FormatInfo, Kind, Media, MediaRecord, Output, ReadOptions, Reading, Registry,
    Result, Severity, Source, WriteOptions, hex,
};
use sha2::{Digest, Sha256};

use crate::gate::{Gate, Grant};
use crate::hints::{Hints, Stat};
use crate::identity::{self, SiblingHashes, SiblingState, Stamp, VERSION, WatchedSiblings};
use crate::objects::{self, Pending};
use crate::pipeline::{AssetPolicy, IngestOptions, Outcome};
use crate::row::{Row, Status};
use crate::store::Store;
use crate::walk::{Input, Problem};

/// Files below this are read once, hashed and parsed from memory: 16 MiB, where readers would start to map.
const IN_MEMORY: u64 = 16 << 20;

/// Grant for a format that streams: some chunks and the buffers of its writer.
const STREAM_GRANT: u64 = 64 << 20;

/// Grant for a format that is held whole, beside [`WHOLE_FACTOR`] times the file.
const WHOLE_GRANT: u64 = 16 << 20;

/// Decoded pixels or text that became numbers take a few times the bytes of the file. A guess that is too low costs a
/// second try with the whole budget, one that is too high costs parallelism.
const WHOLE_FACTOR: u64 = 8;

/// What the store has for an input.
#[derive(Debug, Default)]
pub(crate) struct Prior {
    key: String,
    siblings: Option<String>,
    /// What its rows say, in short.
    rows: Vec<u64>,
    errors: u64,
    retry: bool,
    /// Status and code of its last row.
    last: (String, Option<String>),
}

impl Prior {
    /// Adds the next row of the input.
    pub(crate) fn observe(&mut self, row: Row) {
        // What the environment or a limit prevented may work today.
        let passing = [ErrorKind::Io, ErrorKind::Limit, ErrorKind::Cancelled, ErrorKind::Worker, ErrorKind::Plugin];
        self.rows.push(digest(&row));
        self.errors += u64::from(row.is_error());
        self.retry |= passing.iter().any(|kind| row.error_code.as_deref() == Some(kind.as_str()));
        self.key = row.idempotency_key;
        self.siblings = row.siblings;
        self.last = (row.status, row.error_code);
    }

    /// Whether the store says of this input what `row` says.
    pub(crate) fn says(&self, row: &Row) -> bool {
        self.rows == [digest(row)]
    }
}

/// What tells a row from another of the same record: by its key the rest follows.
fn digest(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row.index, row.last, &row.status, &row.error_code, &row.error, &row.idempotency_key, &row.siblings)
        .hash(&mut hasher);
    hasher.finish()
}

/// From a worker to the commit.
pub(crate) enum Message<'i> {
    Started(&'i Input),
    Row(Box<Row>, Vec<Pending>),
    Done(Done<'i>),
}

/// What became of an input.
pub(crate) struct Done<'i> {
    pub(crate) input: &'i Input,
    pub(crate) outcome: Outcome,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The files it opened beside it.
    pub(crate) siblings: Vec<std::path::PathBuf>,
    /// It is up to date by its stat; it was not read whole.
    pub(crate) hinted: bool,
    /// No format recognises it: a failure, unless another input turns out to use it.
    pub(crate) unrecognised: Option<Box<Row>>,
}

/// The commit has stopped: nobody listens any more.
pub(crate) struct Gone;

/// What all workers share.
pub(crate) struct Shared<'s> {
    pub(crate) registry: &'s Registry,
    pub(crate) store: &'s Store,
    pub(crate) options: &'s IngestOptions,
    pub(crate) gate: Gate,
    pub(crate) hashes: SiblingHashes,
    pub(crate) hints: Hints,
    /// Settings part of the key by format.
    pub(crate) settings: Mutex<HashMap<String, String>>,
}

/// One thread's view.
pub(crate) struct Worker<'s, 'i> {
    pub(crate) shared: &'s Shared<'s>,
    pub(crate) sender: SyncSender<Message<'i>>,
}

/// An input in hand.
struct Loaded {
    source: Source,
    sha256: String,
    siblings: WatchedSiblings,
    /// Bytes it holds in memory.
    held: u64,
    /// Length and time of a file that is read more than once.
    stamp: Option<Stamp>,
    /// The hash is that of an earlier run.
    hinted: bool,
}

/// How an attempt ended.
enum Attempt<'i> {
    Done(Done<'i>),
    /// It needs a grant of this size.
    More(u64),
    /// Its rows are not those of the store after all: nothing was sent, and it has to be done again to send them.
    News,
}

impl Loaded {
    /// Fails when the input or a file beside it is no longer what it was when it was opened. To be asked after the files
    /// beside it were hashed.
    fn unchanged(&self, input: &Input) -> Result<()> {
        if self.stamp.is_some() && self.stamp != identity::stamp(&input.path) {
            return Err(changed("the file"));
        }
        if self.siblings.have_changed() { Err(changed("a file beside it")) } else { Ok(()) }
    }
}

impl<'i> Worker<'_, 'i> {
    /// Converts one input and sends what came out.
    pub(crate) fn run(&self, input: &'i Input, prior: Option<&Prior>) -> Result<(), Gone> {
        self.send(Message::Started(input))?;
        let done = match &input.problem {
            Some(Problem::Special(code, why)) => {
                let mut row = self.base(input);
                row.status = Status::Skipped.as_str().into();
                row.error_code = Some((*code).into());
                row.error = Some(why.clone());
                self.single(input, row, prior, Outcome::Special)?
            }
            Some(Problem::Error(error)) => self.failed(input, self.base(input), error, prior)?,
            None => self.admit(input, prior)?,
        };
        self.send(Message::Done(done))
    }

    fn send(&self, message: Message<'i>) -> Result<(), Gone> {
        self.sender.send(message).map_err(|_| Gone)
    }

    fn base(&self, input: &Input) -> Row {
        Row {
            root: input.root.clone(),
            input: input.name.clone(),
            last: 1,
            source_name: input.name.rsplit('/').next().unwrap_or_default().to_owned(),
            version: VERSION.into(),
            ..Row::default()
        }
    }

    /// An input that ends in one row, which is left out when the store has it already.
    fn single(&self, input: &'i Input, row: Row, prior: Option<&Prior>, outcome: Outcome) -> Result<Done<'i>, Gone> {
        let known = !self.shared.options.force && prior.is_some_and(|prior| prior.says(&row));
        let outcome = if known && outcome == Outcome::Failed { Outcome::KnownFailure } else { outcome };
        if !known {
            self.send(Message::Row(Box::new(row), Vec::new()))?;
        }
        Ok(done(input, outcome))
    }

    fn failed(&self, input: &'i Input, mut row: Row, error: &Error, prior: Option<&Prior>) -> Result<Done<'i>, Gone> {
        row.fail(error);
        self.single(input, row, prior, Outcome::Failed)
    }

    /// Waits for memory and tries; an attempt that needs more is done again with more, at the end with the whole budget.
    fn admit(&self, input: &'i Input, prior: Option<&Prior>) -> Result<Done<'i>, Gone> {
        let mut wanted = self.estimate(input);
        // What is tried again after a failure mostly fails again: as long as the rows are those of the store, none is sent.
        let mut known = prior.filter(|prior| prior.retry && prior.rows.len() > 1 && !self.shared.options.force);
        loop {
            let grant = self.shared.gate.acquire(wanted);
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(input, prior, known, &grant)));
            match attempt {
                Ok(Ok(Attempt::Done(done))) => return Ok(done),
                Ok(Ok(Attempt::More(bytes))) => wanted = bytes,
                Ok(Ok(Attempt::News)) => (known, wanted) = (None, grant.bytes),
                Ok(Err(gone)) => return Err(gone),
                Err(_) => {
                    let error = Error::malformed("the decoder gave up on this data")
                        .with_hint("this is a defect of mediary or of a decoder it uses: please report the file");
                    return self.failed(input, self.base(input), &error, prior);
                }
            }
        }
    }

    /// A first guess from the length and the kind that the name hints at.
    fn estimate(&self, input: &Input) -> u64 {
        let len = input.path.metadata().map_or(0, |metadata| metadata.len());
        let held = if len < IN_MEMORY { len } else { 0 };
        let mut formats =
            self.shared.registry.formats().filter(|info| info.reads && info.claims(&input.name)).peekable();
        let streams = formats.peek().is_some() && formats.all(|info| info.kinds.iter().all(|kind| streams(*kind)));
        let wanted = if streams { STREAM_GRANT } else { WHOLE_GRANT.saturating_add(len.saturating_mul(WHOLE_FACTOR)) };
        wanted.saturating_add(held).min(self.whole(held))
    }

    /// The most an input can get: its limit, and what is in memory of it, within `--memory`.
    fn whole(&self, held: u64) -> u64 {
        let options = self.shared.options;
        options.read.limits.alloc_bytes.saturating_add(held).min(options.memory).max(1)
    }

    fn load(&self, input: &Input) -> Result<Loaded> {
        let limits = &self.shared.options.read.limits;
        let failed = |error| Error::io("cannot open", error);
        let siblings = WatchedSiblings::of(&input.path);
        let metadata = input.path.metadata().map_err(failed)?;
        if metadata.len() >= IN_MEMORY {
            let source = Source::open(&input.path, limits)?.with_siblings(siblings.clone());
            let stamp = Some((metadata.len(), metadata.modified().ok()));
            let stat = Stat::of(&metadata);
            let hint = if self.shared.options.force { None } else { self.shared.hints.get(&input.path, stat.as_ref()) };
            let hinted = hint.is_some();
            let sha256 = hint.map_or_else(|| source.sha256(), Ok)?;
            if !hinted {
                self.shared.hints.put(&input.path, stat, &sha256);
            }
            return Ok(Loaded { sha256, source, siblings, held: 0, stamp, hinted });
        }
        limits.check("input_bytes", metadata.len())?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        File::open(&input.path)
            .map_err(failed)?
            .take(metadata.len() + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("cannot read", error))?;
        if bytes.len() as u64 != metadata.len() {
            return Err(changed("the file"));
        }
        let name = input.path.file_name().unwrap_or_default().to_string_lossy();
        let sha256 = hex(&Sha256::digest(&bytes));
        let held = bytes.len() as u64;
        let source = Source::from_bytes(name, bytes).with_siblings(siblings.clone());
        Ok(Loaded { source, sha256, siblings, held, stamp: None, hinted: false })
    }

    fn attempt(
        &self,
        input: &'i Input,
        prior: Option<&Prior>,
        known: Option<&Prior>,
        grant: &Grant<'_>,
    ) -> Result<Attempt<'i>, Gone> {
        let mut base = self.base(input);
        let mut loaded = match self.load(input) {
            Ok(loaded) => loaded,
            Err(error) => return self.failed(input, base, &error, prior).map(Attempt::Done),
        };
        base.source_name = loaded.source.name().to_owned();
        base.source_bytes = Some(i64::try_from(loaded.source.len()).unwrap_or(i64::MAX));

        let budget = Budget::new(grant.bytes.saturating_sub(loaded.held));
        let mut read = self.shared.options.read.clone();
        read.budget = Some(budget.clone());
        let opened = self.shared.registry.open(&loaded.source, &read);
        let format = match &opened {
            Ok(reading) => reading.format().id.to_owned(),
            Err(error) => error.format().unwrap_or_default().to_owned(),
        };
        let settings = match self.settings(&format) {
            Ok(settings) => settings,
            Err(error) => return self.failed(input, base, &error, prior).map(Attempt::Done),
        };
        base.idempotency_key = identity::key(&loaded.sha256, &format, &settings);
        if let Some(done) = self.up_to_date(input, prior, &base.idempotency_key, &loaded) {
            return Ok(Attempt::Done(done));
        }
        if loaded.hinted {
            // A hint is good for being up to date alone.
            let stat = input.path.metadata().ok().and_then(|metadata| Stat::of(&metadata));
            match loaded.source.sha256() {
                Ok(sha256) => loaded.sha256 = sha256,
                Err(error) => return self.failed(input, base, &error, prior).map(Attempt::Done),
            }
            self.shared.hints.put(&input.path, stat, &loaded.sha256);
            loaded.hinted = false;
            base.idempotency_key = identity::key(&loaded.sha256, &format, &settings);
            if let Some(done) = self.up_to_date(input, prior, &base.idempotency_key, &loaded) {
                return Ok(Attempt::Done(done));
            }
        }
        base.source_sha256 = Some(loaded.sha256.clone());
        let error = match opened.and_then(|reading| self.plan(reading, loaded.held, grant, &loaded.source, &read)) {
            Ok(Ok(reading)) => return self.convert(input, (prior, known), &loaded, base, reading, grant),
            Ok(Err(more)) => return Ok(Attempt::More(more)),
            Err(error) => error,
        };
        if let Some(more) = self.needs_more(&error, grant, loaded.held) {
            return Ok(Attempt::More(more));
        }
        if error.kind() == ErrorKind::Cancelled {
            return Ok(Attempt::Done(done(input, Outcome::Interrupted)));
        }
        if error.kind() == ErrorKind::NotRecognised {
            base.fail(&error);
            let (bytes, unrecognised) = (loaded.source.len(), Some(Box::new(base)));
            return Ok(Attempt::Done(Done { bytes, unrecognised, ..done(input, Outcome::Failed) }));
        }
        let asked = loaded.siblings.asked();
        base.siblings = self.siblings_column(&loaded.siblings, &asked);
        let error = loaded.unchanged(input).err().unwrap_or_else(|| self.explain(error, loaded.held));
        let mut done = self.failed(input, base, &error, prior)?;
        done.bytes = loaded.source.len();
        done.siblings = loaded.siblings.paths(&asked);
        Ok(Attempt::Done(done))
    }

    /// Pictures say in their header how large they are: the grant that is needed instead, if this one is too small.
    fn plan(
        &self,
        mut reading: Reading,
        held: u64,
        grant: &Grant<'_>,
        source: &Source,
        read: &ReadOptions,
    ) -> Result<Result<Reading, u64>> {
        if !reading.format().kinds.contains(&Kind::Image) {
            return Ok(Ok(reading));
        }
        let before = reading.context().diagnostics().to_vec();
        let header = reading.header();
        let memory = header.as_ref().ok().and_then(|header| header.memory).unwrap_or(0);
        let wanted = memory.saturating_add(held).saturating_add(WHOLE_GRANT).min(self.whole(held));
        if wanted > grant.bytes && memory > 0 {
            return Ok(Err(wanted));
        }
        // A reader is not asked again after an error, and what a header reports is reported by the record once more: begin
        // anew, so that the row says what any other reading of the file says.
        if header.is_err() || reading.context().diagnostics().to_vec() != before {
            let mut read = read.clone();
            read.budget = Some(Budget::new(reading.context().budget().allowed()));
            drop(reading);
            reading = self.shared.registry.open(source, &read)?;
        }
        Ok(Ok(reading))
    }

    fn siblings_column(&self, siblings: &WatchedSiblings, asked: &[String]) -> Option<String> {
        let state = siblings.state(asked, &self.shared.hashes);
        if state.is_empty() { None } else { serde_json::to_string(&state).ok() }
    }

    fn settings(&self, format: &str) -> Result<String> {
        let mut known = self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = known.get(format) {
            return Ok(settings.clone());
        }
        let info = self.shared.registry.get(format).ok().map(|format| format.info());
        let settings = identity::settings(self.shared.registry, info, self.shared.options)?;
        known.insert(format.to_owned(), settings.clone());
        Ok(settings)
    }

    fn up_to_date(&self, input: &'i Input, prior: Option<&Prior>, key: &str, loaded: &Loaded) -> Option<Done<'i>> {
        let prior = prior.filter(|prior| !self.shared.options.force && prior.key == key && !prior.retry)?;
        // An unrecognised file is decided anew at the end: another input may use it now, or no longer.
        if prior.last.1.as_deref() == Some(ErrorKind::NotRecognised.as_str())
            || prior.last.0 == Status::Skipped.as_str()
        {
            return None;
        }
        let before: Vec<SiblingState> = match &prior.siblings {
            Some(text) => serde_json::from_str(text).ok()?,
            None => Vec::new(),
        };
        let names: Vec<String> = before.iter().map(|sibling| sibling.name.clone()).collect();
        if loaded.siblings.state(&names, &self.shared.hashes) != before {
            return None;
        }
        let outcome = if prior.errors > 0 { Outcome::KnownFailure } else { Outcome::UpToDate };
        let siblings = loaded.siblings.paths(&names);
        let hinted = loaded.hinted;
        Some(Done { hinted, siblings, ..done(input, outcome) })
    }

    /// The grant to try again with, when an error says that this one was too small.
    fn needs_more(&self, error: &Error, grant: &Grant<'_>, held: u64) -> Option<u64> {
        let whole = self.whole(held);
        (error.limit_name() == Some("alloc_bytes") && grant.bytes < whole).then_some(whole)
    }

    /// Points at `--memory` when that, and not the limit, is in the way.
    fn explain(&self, error: Error, held: u64) -> Error {
        let options = self.shared.options;
        let allowed = options.read.limits.alloc_bytes.saturating_add(held);
        if error.limit_name() == Some("alloc_bytes") && options.memory < allowed {
            return error.with_hint("give ingest more with --memory");
        }
        error
    }

    fn convert(
        &self,
        input: &'i Input,
        (prior, known): (Option<&Prior>, Option<&Prior>),
        loaded: &Loaded,
        base: Row,
        mut reading: Reading,
        grant: &Grant<'_>,
    ) -> Result<Attempt<'i>, Gone> {
        let info = reading.format();
        reading.set_sha256(&loaded.sha256);
        let budget = reading.context().budget().clone();
        let (mut records, mut errors) = (0, 0);
        // Sends a row, or tells whether it is the one that is known.
        let mut rows = known.map(|prior| prior.rows.iter());
        let mut tell = |row: Row, pending| match &mut rows {
            Some(rows) => Ok(rows.next() == Some(&digest(&row))),
            None => self.send(Message::Row(Box::new(row), pending)).map(|()| true),
        };
        // One row is held back: the last one carries the mark that the input is complete.
        let mut held: Option<(Row, Vec<Pending>)> = None;
        loop {
            let Some(next) = reading.next() else { break };
            let mut row = base.clone();
            row.last = 0;
            let mut pending = Vec::new();
            let mut stop = false;
            let result = next.and_then(|mut record| {
                row.index = i64::try_from(record.index).unwrap_or(i64::MAX);
                row.kind = Some(record.kind().as_str().into());
                row.format = Some(record.format.clone());
                if input.odd_name {
                    record.diagnostics.push(Diagnostic::new(
                        Severity::Info,
                        "ingest.name-not-utf8",
                        "the name of the file is not UTF-8; its bytes are shown as \\xff",
                    ));
                }
                let stored = self.store_record(&mut record, loaded, info, &budget, &mut pending);
                // What a writer left of a stream is read, so that the next record can be.
                let drained = if stored.is_err() { record.media.drain() } else { Ok(()) };
                // A reader's process that died takes the rest of its input with it: that is one failure, not one a record.
                stop |= drained.is_err()
                    || stored
                        .as_ref()
                        .is_err_and(|error| error.kind() == ErrorKind::Worker && error.format() == Some(info.id));
                stored.map(|()| record)
            });
            match result {
                Ok(record) => {
                    records += 1;
                    row.describe(&record);
                }
                Err(error) => {
                    if let Some(more) = self.needs_more(&error, grant, loaded.held) {
                        return Ok(Attempt::More(more));
                    }
                    if error.kind() == ErrorKind::Cancelled {
                        return Ok(Attempt::Done(done(input, Outcome::Interrupted)));
                    }
                    if row.format.is_none() {
                        row.index = records + errors;
                    }
                    // What the store could not take is no failure of a format.
                    if error.kind() == ErrorKind::Io && error.format().is_none() {
                        row.format = None;
                    }
                    errors += 1;
                    pending.clear();
                    row.fail(&self.explain(error, loaded.held));
                }
            }
            if let Some((row, pending)) = held.replace((row, pending))
                && !tell(row, pending)?
            {
                return Ok(Attempt::News);
            }
            if stop {
                break;
            }
        }
        let asked = loaded.siblings.asked();
        let Some((mut row, mut pending)) = held else {
            return self.failed(input, base, &Error::malformed("the input holds no record"), None).map(Attempt::Done);
        };
        let siblings = self.siblings_column(&loaded.siblings, &asked);
        if let Err(error) = loaded.unchanged(input) {
            row = Row { index: row.index, ..base };
            row.fail(&error);
            pending.clear();
            errors += 1;
        }
        row.last = 1;
        row.siblings = siblings;
        let bytes = loaded.source.len();
        let mut done = if (records, errors) == (0, 1) {
            self.single(input, row, prior, Outcome::Failed)?
        } else {
            if !tell(row, pending)? {
                return Ok(Attempt::News);
            }
            let outcome = if errors > 0 { Outcome::Failed } else { Outcome::Converted };
            match known {
                Some(_) => done(input, Outcome::KnownFailure),
                None => Done { records: records.unsigned_abs(), ..done(input, outcome) },
            }
        };
        done.bytes = bytes;
        done.siblings = loaded.siblings.paths(&asked);
        Ok(Attempt::Done(done))
    }

    /// Writes the assets of a record as the policy asks; its streams are at their end afterwards.
    fn store_record(
        &self,
        record: &mut MediaRecord,
        loaded: &Loaded,
        info: &FormatInfo,
        budget: &Budget,
        pending: &mut Vec<Pending>,
    ) -> Result<()> {
        let shared = self.shared;
        let policy = shared.options.assets;
        let wants_canonical = matches!(policy, AssetPolicy::Canonical | AssetPolicy::Both);
        let target = shared.registry.canonical(&record.media);
        let operates = shared.registry.operates_on(record.kind(), &shared.options.read.options);
        let unchanged = record.source_is_canonical && !info.many_records && !operates;
        match target.filter(|_| wants_canonical && !unchanged) {
            Some(target) => {
                let mut write = WriteOptions::default();
                write.limits = shared.options.read.limits;
                // One grant for both sides: the writer gets what the reader left.
                write.limits.alloc_bytes = budget.allowed().saturating_sub(budget.taken());
                write.options.clone_from(&shared.options.read.options);
                write.cancel = shared.options.read.cancel.clone();
                let mut out = Output::object_in(&shared.store.tmp())?.with_limit(write.limits.output_bytes);
                let written = shared.registry.write(record, target.id, &mut out, &write);
                written.map_err(|error| out.fault().unwrap_or(error))?;
                // A writer need not ask for what it does not keep; errors further on in the source still count.
                record.media.drain()?;
                let object = out.into_object()?;
                record.assets.push(Asset {
                    role: "canonical",
                    media_type: target.media_type().into(),
                    bytes: object.bytes,
                    sha256: object.sha256.clone(),
                    path: objects::object_path(&object.sha256, target.extension()),
                });
                pending.push(Pending::new(object, target.extension()));
            }
            None => {
                record.media.drain()?;
                if wants_canonical {
                    self.keep_source(record, loaded, info, "canonical", pending)?;
                    if let Media::Video(video) = &record.media
                        && !video.playable
                    {
                        record.diagnostics.push(Diagnostic::new(
                            Severity::Warning,
                            "ingest.not-playable",
                            "the source is kept as it is, but browsers do not play it",
                        ));
                    }
                }
            }
        }
        if matches!(policy, AssetPolicy::Source | AssetPolicy::Both) {
            self.keep_source(record, loaded, info, "source", pending)?;
        }
        Ok(())
    }

    /// Adds the source's own bytes as an asset; they are written once an input and only if the store has them not.
    fn keep_source(
        &self,
        record: &mut MediaRecord,
        loaded: &Loaded,
        info: &FormatInfo,
        role: &'static str,
        pending: &mut Vec<Pending>,
    ) -> Result<()> {
        let path = objects::object_path(&loaded.sha256, info.extension());
        let bytes = loaded.source.len();
        let written = record.index > 0 || record.assets.iter().any(|asset| asset.path == path);
        if !written && !objects::exists(self.shared.store.path(), &path, bytes, self.shared.options.force) {
            let mut out = Output::object_in(&self.shared.store.tmp())?;
            let mut reader = loaded.source.reader();
            let mut buffer = vec![0; 1 << 18];
            loop {
                match reader.read(&mut buffer)? {
                    0 => break,
                    count => out.write_all(&buffer[..count])?,
                }
            }
            let object = out.into_object()?;
            if object.sha256 != loaded.sha256 {
                return Err(changed("the file"));
            }
            pending.push(Pending::new(object, info.extension()));
        }
        let media_type = record.media_type.clone();
        record.assets.push(Asset { role, media_type, bytes, sha256: loaded.sha256.clone(), path });
        Ok(())
    }
}

/// Kinds whose bulk is a stream.
fn streams(kind: Kind) -> bool {
    matches!(kind, Kind::Audio | Kind::Video | Kind::Table | Kind::PointCloud)
}

/// An input that ended like this, and nothing else to say.
fn done(input: &Input, outcome: Outcome) -> Done<'_> {
    Done { input, outcome, records: 0, bytes: 0, siblings: Vec::new(), hinted: false, unrecognised: None }
}

fn changed(what: &str) -> Error {
    Error::new(ErrorKind::Io, format!("{what} changed while it was read"))
        .with_hint("ingest it again when its writer is done")
}
