//! [`ingest`]: workers convert, the calling thread commits.
//!
//! # What counts as what
//! - A file that no format recognises is a failure, unless another input of the run asked for it as a sibling: then it is a
//!   sidecar, counted and without a row. A sidecar that is recognised (a texture) is an input like any other.
//! - An input is up to date when its [idempotency key](crate::Row::idempotency_key) and the state of its siblings, missing
//!   ones included, are those of its rows in the store. It is then neither read beyond its hash nor written.
//! - A failure that a limit or the environment caused is tried again by every run; its row is written anew only if it
//!   changed.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use mediary_core::{Cancel, ReadOptions, Registry, Result};
use serde::Serialize;

use crate::gate::Gate;
use crate::hints::Hints;
use crate::identity::SiblingHashes;
use crate::journal::Journal;
use crate::manifest::{ERROR_COLUMNS, PLAN_COLUMNS};
use crate::objects::{self, Durability, Pending};
use crate::records::Records;
use crate::roots::Roots;
use crate::row::{Row, Status};
use crate::store::{HINTS, JOURNAL, ROOTS, Store, run_name};
use crate::walk::{self, Input, WalkOptions};
use crate::worker::{Done, Message, Prior, Shared, Worker};

/// A commit is due at this many objects,
const BATCH_OBJECTS: usize = 64;

/// or at this many bytes of objects and rows,
const BATCH_BYTES: u64 = 16 << 20;

/// or at this many rows,
const BATCH_ROWS: usize = 1024;

/// or after this time.
const BATCH_TIME: Duration = Duration::from_millis(200);

/// What is kept of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AssetPolicy {
    /// The canonical asset of its kind; the source's bytes where there is none, or where they are canonical.
    #[default]
    Canonical,
    /// The source's bytes.
    Source,
    /// Both.
    Both,
    /// The record alone.
    None,
}

/// How to ingest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IngestOptions {
    /// How to read: limits, strictness, forced format, options of formats (those for writing too). `read.cancel` breaks off
    /// what is being converted, without a row.
    pub read: ReadOptions,
    /// What is kept of a record.
    pub assets: AssetPolicy,
    /// Threads that convert; 0, the default, is one a core.
    pub jobs: usize,
    /// Bytes that all conversions together may hold: 2 GiB by default.
    pub memory: u64,
    /// When data is forced to the disk.
    pub durability: Durability,
    /// Admits nothing more after the first failure, which may be a known one, or a file that no format recognises and that no
    /// input read before it uses.
    pub stop_on_error: bool,
    /// Converts again what is up to date, and replaces damaged objects.
    pub force: bool,
    /// What is taken from folders.
    pub walk: WalkOptions,
    /// Admits nothing more, finishes what is in flight and commits it. The next run goes on from there.
    pub cancel: Cancel,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            assets: AssetPolicy::default(),
            jobs: 0,
            memory: 2 << 30,
            durability: Durability::default(),
            stop_on_error: false,
            force: false,
            walk: WalkOptions::default(),
            cancel: Cancel::default(),
        }
    }
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every record of it is in the store.
    Converted,
    /// It, or a record of it, failed; its rows say why.
    Failed,
    /// The store has it already.
    UpToDate,
    /// The store knows already that it fails.
    KnownFailure,
    /// Nothing recognises it, and another input uses it.
    Sidecar,
    /// A FIFO, a device, a link that loops.
    Special,
    /// Broken off by `read.cancel`.
    Interrupted,
}

/// What happens, for progress. Sent from the calling thread only.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// The inputs are known.
    Planned {
        /// Their number.
        inputs: u64,
        /// Hidden files and folders left out.
        hidden: u64,
    },
    /// A worker took an input.
    Started {
        /// Root and path of the input.
        input: &'e str,
    },
    /// A row is durable: a record or a failure.
    Row(&'e Row),
    /// A failure that the store knows from an earlier run: it is no new row. Told at the end of the run.
    Known(&'e Row),
    /// An input is finished, and its rows are durable.
    Finished {
        /// Root and path of the input.
        input: &'e str,
        /// What became of it.
        outcome: Outcome,
        /// Records of it.
        records: u64,
        /// Bytes of its source that were converted.
        bytes: u64,
    },
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Inputs found.
    pub inputs: u64,
    /// Inputs converted without a failure.
    pub ok: u64,
    /// Inputs with a failure, now or in an earlier run that is still true.
    pub failed: u64,
    /// Of those, the ones known from an earlier run.
    pub known_failures: u64,
    /// Inputs that were up to date.
    pub skipped: u64,
    /// Of those, the large ones that were not even read: their stat is what it was.
    pub hinted: u64,
    /// Unrecognised files that other inputs use.
    pub sidecars: u64,
    /// FIFOs, devices, links that loop.
    pub special: u64,
    /// Hidden files and folders left out.
    pub hidden: u64,
    /// Records converted.
    pub records: u64,
    /// Bytes of the sources of inputs that were converted or failed in this run.
    pub bytes: u64,
    /// Rows written.
    pub rows: u64,
    /// Objects the store had not had, or had damaged.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Wall time.
    pub seconds: f64,
    /// Whether it was cancelled before every input was done.
    pub interrupted: bool,
    /// Whether it stopped at a failure.
    pub stopped: bool,
    /// Name of the run that was written to; absent when there was nothing to write.
    pub run: Option<String>,
}

impl Summary {
    /// The summary line of `--json` output.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::Map::new();
        json.insert("type".into(), "summary".into());
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) {
            json.extend(fields);
        }
        json.into()
    }
}

/// Converts `inputs` (files, folders, globs) into the store. Failures of inputs are rows, not errors.
///
/// # Errors
/// `InvalidOption` for an option no format has, a bad glob, an input in the store itself, or a store opened for reading; `Io` when the store cannot be
/// written: what was committed stays.
pub fn ingest(
    store: &Store,
    registry: &Registry,
    inputs: &[PathBuf],
    options: &IngestOptions,
    progress: &dyn Fn(Event<'_>),
) -> Result<Summary> {
    let start = Instant::now();
    store.writable()?;
    registry.check_options(&options.read.options)?;
    if let Some(from) = &options.read.from {
        registry.get(from)?;
    }
    store.drop_stale_journals()?;
    let mut roots = Roots::read(&store.path().join(ROOTS));
    let walked = walk::walk(inputs, &options.walk, store.path(), &options.cancel, &mut roots)?;
    if let Some(roots) = roots.to_json() {
        store.replace(ROOTS, &roots)?;
    }
    let count = walked.inputs.len() as u64;
    progress(Event::Planned { inputs: count, hidden: walked.hidden });

    let mut commit = Commit::new(store, options, progress)?;
    commit.summary.inputs = count;
    commit.summary.hidden = walked.hidden;
    commit.summary.interrupted = walked.cut;
    let priors = priors(store, &walked.inputs)?;
    let shared = Shared {
        registry,
        store,
        options,
        gate: Gate::new(options.memory),
        hashes: SiblingHashes::default(),
        hints: Hints::read(&store.path().join(HINTS)),
        settings: Mutex::new(HashMap::new()),
    };
    let stop = AtomicBool::new(false);
    convert(&shared, &walked.inputs, &priors, &stop, &mut commit)?;
    commit.decide_sidecars(&walked.inputs, &priors)?;
    commit.tell_known()?;
    commit.finish()?;
    if let Some(hints) = shared.hints.into_json() {
        store.replace(HINTS, &hints)?;
    }
    let mut summary = commit.summary;
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// What the store has for the inputs of this run, in their order; both are sorted alike.
fn priors(store: &Store, inputs: &[Input]) -> Result<Vec<Option<Prior>>> {
    let mut priors: Vec<_> = inputs.iter().map(|_| None).collect();
    for row in Records::open(store, Some(PLAN_COLUMNS))? {
        let row = row?;
        if let Ok(place) = inputs.binary_search_by(|input| (&*input.root, &*input.name).cmp(&row.identity())) {
            priors[place].get_or_insert_with(Prior::default).observe(row);
        }
    }
    Ok(priors)
}

fn convert<'i>(
    shared: &Shared<'_>,
    inputs: &'i [Input],
    priors: &[Option<Prior>],
    stop: &AtomicBool,
    commit: &mut Commit<'_, 'i>,
) -> Result<()> {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = if shared.options.jobs == 0 { cores() } else { shared.options.jobs };
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(BATCH_OBJECTS);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(inputs.len()) {
            let worker = Worker { shared, sender: sender.clone() };
            let next = &next;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !shared.options.cancel.is_cancelled() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(number) else { break };
                    if worker.run(input, priors[number].as_ref()).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        // Dropping the receiver on failure ends the workers at their next message.
        commit.receive(receiver, stop)
    })
}

/// What the commit collects before it makes it durable.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    objects: Vec<Pending>,
    bytes: u64,
    finished: Vec<(String, Outcome, u64, u64)>,
    since: Option<Instant>,
}

impl Batch {
    fn is_due(&self, durability: Durability) -> bool {
        self.objects.len() >= BATCH_OBJECTS
            || self.bytes >= BATCH_BYTES
            || self.rows.len() >= BATCH_ROWS
            || self.finished.len() >= BATCH_ROWS
            || (durability == Durability::Full && !self.finished.is_empty())
            || self.since.is_some_and(|since| since.elapsed() >= BATCH_TIME)
    }
}

/// The one writer of objects' names, the journal and the manifest.
struct Commit<'c, 'i> {
    store: &'c Store,
    options: &'c IngestOptions,
    progress: &'c dyn Fn(Event<'_>),
    run: Option<(u64, Journal)>,
    batch: Batch,
    unrecognised: Vec<(&'i Input, Box<Row>, u64)>,
    siblings: HashSet<PathBuf>,
    /// Root and path of the inputs that fail as before.
    known: HashSet<(&'i str, &'i str)>,
    summary: Summary,
    done: u64,
}

impl<'c, 'i> Commit<'c, 'i> {
    fn new(store: &'c Store, options: &'c IngestOptions, progress: &'c dyn Fn(Event<'_>)) -> Result<Self> {
        // A run that was interrupted goes on; one that has nothing to write leaves no trace.
        let run = match store.unfinished()? {
            Some(run) => Some((run, Journal::resume(&store.run_folder(run).join(JOURNAL), options.durability)?)),
            None => None,
        };
        Ok(Self {
            store,
            options,
            progress,
            run,
            batch: Batch::default(),
            unrecognised: Vec::new(),
            siblings: HashSet::new(),
            known: HashSet::new(),
            summary: Summary::default(),
            done: 0,
        })
    }

    fn receive(&mut self, receiver: Receiver<Message<'i>>, stop: &AtomicBool) -> Result<()> {
        loop {
            match receiver.recv_timeout(BATCH_TIME) {
                Ok(Message::Started(input)) => (self.progress)(Event::Started { input: &shown(input) }),
                Ok(Message::Row(row, objects)) => self.collect(*row, objects),
                Ok(Message::Done(done)) => {
                    if self.options.stop_on_error && self.is_failure(&done) {
                        stop.store(true, Ordering::Relaxed);
                        self.summary.stopped = true;
                    }
                    self.settle(done);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
            if self.batch.is_due(self.options.durability) {
                self.flush()?;
            }
        }
    }

    /// Whether an input failed, now or before, as far as the inputs read until now tell.
    fn is_failure(&self, done: &Done<'_>) -> bool {
        match done.unrecognised {
            Some(_) => !self.uses(done.input),
            None => matches!(done.outcome, Outcome::Failed | Outcome::KnownFailure),
        }
    }

    /// Whether an input that was read asked for this one.
    fn uses(&self, input: &Input) -> bool {
        input.path.canonicalize().is_ok_and(|path| self.siblings.contains(&path))
    }

    fn collect(&mut self, row: Row, objects: Vec<Pending>) {
        self.batch.since.get_or_insert_with(Instant::now);
        self.batch.bytes += objects.iter().map(|object| object.bytes).sum::<u64>();
        // The row holds its parts once more beside the record.
        self.batch.bytes += row.record.as_ref().map_or(0, |record| record.len() as u64 * 2);
        self.batch.objects.extend(objects);
        self.batch.rows.push(row);
    }

    fn settle(&mut self, done: Done<'i>) {
        self.summary.hinted += u64::from(done.hinted);
        self.siblings.extend(done.siblings.iter().filter_map(|path| path.canonicalize().ok()));
        match done.unrecognised {
            Some(row) => self.unrecognised.push((done.input, row, done.bytes)),
            None => self.count(done.input, done.outcome, done.records, done.bytes),
        }
    }

    fn count(&mut self, input: &'i Input, outcome: Outcome, records: u64, bytes: u64) {
        let summary = &mut self.summary;
        match outcome {
            Outcome::Converted => summary.ok += 1,
            Outcome::Failed => summary.failed += 1,
            Outcome::UpToDate => summary.skipped += 1,
            Outcome::KnownFailure => {
                summary.failed += 1;
                summary.known_failures += 1;
                self.known.insert((&input.root, &input.name));
            }
            Outcome::Sidecar => summary.sidecars += 1,
            Outcome::Special => summary.special += 1,
            Outcome::Interrupted => {}
        }
        self.done += u64::from(outcome != Outcome::Interrupted);
        summary.records += records;
        summary.bytes += bytes;
        self.batch.finished.push((shown(input), outcome, records, bytes));
    }

    /// Objects first, their names next, the rows last.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let committed = objects::commit(self.store.path(), batch.objects, self.options.durability, self.options.force)?;
        self.summary.objects += committed.objects;
        self.summary.object_bytes += committed.bytes;
        if !batch.rows.is_empty() {
            self.journal()?.append(&batch.rows)?;
            self.summary.rows += batch.rows.len() as u64;
        }
        for row in &batch.rows {
            (self.progress)(Event::Row(row));
        }
        for (input, outcome, records, bytes) in batch.finished {
            (self.progress)(Event::Finished { input: &input, outcome, records, bytes });
        }
        Ok(())
    }

    fn journal(&mut self) -> Result<&mut Journal> {
        if self.run.is_none() {
            let number = self.store.runs()?.last().map_or(1, |last| last + 1);
            self.store.make_run(number)?;
            let folder = self.store.run_folder(number);
            let journal = Journal::resume(&folder.join(JOURNAL), self.options.durability)?;
            if self.options.durability != Durability::None {
                objects::sync_folder(&folder)?;
            }
            self.run = Some((number, journal));
        }
        match &mut self.run {
            Some((_, journal)) => Ok(journal),
            None => Err(mediary_core::Error::unsupported("there is no run")),
        }
    }

    /// Now that every input has said what it uses: which of the unrecognised ones are failures?
    fn decide_sidecars(&mut self, inputs: &[Input], priors: &[Option<Prior>]) -> Result<()> {
        let mut unrecognised = std::mem::take(&mut self.unrecognised);
        if !self.summary.stopped && self.done + (unrecognised.len() as u64) < self.summary.inputs {
            // The inputs that were not reached may use them: the next run decides. A run that stopped at one says so.
            return self.flush();
        }
        unrecognised.sort_by(|(a, ..), (b, ..)| (&a.root, &a.name).cmp(&(&b.root, &b.name)));
        for (input, mut row, bytes) in unrecognised {
            let order = |other: &Input| (&other.root, &other.name).cmp(&(&input.root, &input.name));
            let prior = inputs.binary_search_by(order).ok().and_then(|place| priors[place].as_ref());
            if self.uses(input) {
                row.status = Status::Skipped.as_str().into();
                row.error_code = Some("sidecar".into());
                row.error = Some("another input uses this file".into());
                (row.hint, row.error_location) = (None, None);
                // Without a row, unless one has to replace an older one.
                if prior.is_some_and(|prior| !prior.says(&row)) {
                    self.collect(*row, Vec::new());
                }
                self.count(input, Outcome::Sidecar, 0, 0);
            } else if !self.options.force && prior.is_some_and(|prior| prior.says(&row)) {
                self.count(input, Outcome::KnownFailure, 0, 0);
            } else {
                self.collect(*row, Vec::new());
                self.count(input, Outcome::Failed, 0, bytes);
            }
            if self.batch.is_due(self.options.durability) {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Tells what is known of the inputs that fail as before.
    fn tell_known(&self) -> Result<()> {
        if self.known.is_empty() {
            return Ok(());
        }
        for row in Records::open(self.store, Some(ERROR_COLUMNS))? {
            let row = row?;
            if row.is_error() && self.known.contains(&row.identity()) {
                (self.progress)(Event::Known(&row));
            }
        }
        Ok(())
    }

    /// The journal becomes the manifest, unless there is more to come.
    fn finish(&mut self) -> Result<()> {
        let summary = &mut self.summary;
        summary.interrupted |= !summary.stopped && self.done < summary.inputs;
        let Some((run, journal)) = self.run.take() else { return Ok(()) };
        drop(journal);
        summary.run = Some(run_name(run));
        if summary.interrupted { Ok(()) } else { self.store.finish_run(run) }
    }
}

fn shown(input: &Input) -> String {
    format!("{}/{}", input.root, input.name)
}
