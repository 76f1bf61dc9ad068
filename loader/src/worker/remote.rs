//! The host's end of worker processes: a [`Connection`] whose other end is a process that cannot hurt this one.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use mediary_core::wire::{self, Bytes, Parcel, Piece};
use mediary_core::{
    Confidence, Context, Error, ErrorKind, FormatInfo, Limits, MediaRecord, Output, Probe, Result, Source,
};
use rustix::fs::{OFlags, fcntl_getfl};

use super::frame::{Fault, Received, broke};
use super::pool::{Pool, Spec, Work};
use super::process::Worker;
use super::protocol::{self, FINDINGS, Report, Terms, ToHost, ToWorker};
use super::quarantine::{Quarantine, fingerprint};
use super::sealed::Filling;
use crate::host::{FARTHEST, breach};
use crate::{Connection, Session, failed};

/// Milliseconds a worker may take to recognise an input.
const PROBE_MS: u64 = 10_000;
/// Milliseconds a reader may take to close.
const CLOSE_MS: u64 = 2_000;

/// A plugin, or the built-in formats, in worker processes.
pub(super) struct Remote(Arc<Pool>);

impl Remote {
    /// Nothing is started before the first request.
    pub(super) fn new(spec: Spec) -> Self {
        let quarantine = Quarantine::new(&spec.hash, spec.command.state_folder());
        Self::with_quarantine(spec, quarantine)
    }

    pub(super) fn with_quarantine(spec: Spec, quarantine: Quarantine) -> Self {
        Self(Arc::new(Pool::new(spec, quarantine)))
    }
}

impl Remote {
    fn look(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Result<Confidence> {
        let input = || fingerprint(probe.len, probe.head, probe.tail);
        self.0.quarantine.check(&input)?;
        let cx = within(format, PROBE_MS);
        let mut lease = Lease::new(&self.0, Work::Probe, format, cx)?;
        let message = ToWorker::Probe { format: format.id.into(), len: probe.len, name: probe.name.into() };
        let own = |bytes: &[u8]| Arc::new(bytes.to_vec()) as Bytes;
        let view = Parcel { json: String::new(), buffers: vec![own(probe.head), own(probe.tail)] };
        let answer = lease.ask(&message, Some(&view), None, &mut Caller::Nobody);
        let answer = answer.map_err(|error| lease.remember(error, &input))?;
        let confidence = match answer.message {
            ToHost::Score(score, reason) => protocol::confidence(score, reason),
            _ => None,
        };
        match confidence {
            Some(confidence) => {
                lease.done();
                Ok(confidence)
            }
            None => Err(lease.surprised()).map_err(|error| lease.remember(error, &input)),
        }
    }
}

impl Connection for Remote {
    fn probe(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Confidence {
        self.look(format, probe).unwrap_or_else(|error| failed(format, &error))
    }

    fn open(&self, format: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>> {
        let input = input_of(source);
        self.0.quarantine.check(&input)?;
        let file = descriptor(source, cx)?;
        let mut lease = Lease::new(&self.0, Work::Read, format, cx.clone())?;
        let message = ToWorker::Open { format: format.id.into(), name: source.name().into(), terms: Terms::of(cx) };
        let answer = lease.ask(&message, None, Some(file), &mut Caller::Reader(source));
        match answer.map_err(|error| lease.remember(error, &input))?.message {
            ToHost::Done => Ok(Box::new(Reader { lease, source: source.clone(), chunk_bytes: 0 })),
            _ => Err(lease.surprised()).map_err(|error| lease.remember(error, &input)),
        }
    }

    fn write(
        &self,
        format: &'static FormatInfo,
        record: &mut MediaRecord,
        out: &mut Output,
        cx: &Context,
    ) -> Result<()> {
        let parcel = wire::pack_record(record)?;
        let mut lease = Lease::new(&self.0, Work::Write, format, cx.clone())?;
        let message = ToWorker::Write {
            format: format.id.into(),
            terms: Terms::of(cx),
            stem: out.stem(),
            siblings: out.has_siblings(),
        };
        let mut caller = Caller::Writer { record, out, created: Vec::new(), position: 0, len: 0, written: 0 };
        match lease.ask(&message, Some(&parcel), None, &mut caller)?.message {
            ToHost::Done => {
                lease.done();
                Ok(())
            }
            _ => Err(lease.surprised()),
        }
    }
}

/// A context for what has none of its caller's.
fn within(format: &'static FormatInfo, wall_ms: u64) -> Context {
    let mut limits = Limits::default();
    limits.wall_ms = wall_ms;
    Context::builder(format.id).limits(limits).build()
}

fn input_of(source: &Source) -> impl Fn() -> String {
    let source = source.clone();
    move || fingerprint(source.len(), source.head(), source.tail())
}

/// A worker for the time of one operation.
struct Lease {
    pool: Arc<Pool>,
    worker: Option<Worker>,
    work: Work,
    format: &'static FormatInfo,
    cx: Context,
    findings: usize,
    /// The process crashed, and its input does not know yet.
    crashed: bool,
}

impl Lease {
    fn new(pool: &Arc<Pool>, work: Work, format: &'static FormatInfo, cx: Context) -> Result<Self> {
        let worker = pool.take(work, &cx).map_err(|error| error.of_format(format.id))?;
        Ok(Self { pool: Arc::clone(pool), worker: Some(worker), work, format, cx, findings: 0, crashed: false })
    }

    /// Asks, serves what the worker calls for meanwhile, and gives its answer. An error that it answers with leaves it
    /// usable; any other is its end.
    fn ask(
        &mut self,
        message: &ToWorker,
        parcel: Option<&Parcel>,
        file: Option<OwnedFd>,
        caller: &mut Caller<'_>,
    ) -> Result<Received<ToHost>> {
        let Some(worker) = &mut self.worker else {
            return Err(Error::new(ErrorKind::Worker, "its worker process is over").of_format(self.format.id));
        };
        let told = worker.send(message, parcel, file.as_ref().map(AsFd::as_fd), &self.cx);
        let answer = told.and_then(|()| {
            loop {
                let received = worker.receive(&self.cx)?;
                let (reply, parcel, file) = match received.message {
                    ToHost::Findings(findings, losses) => {
                        self.findings = self.findings.saturating_add(findings.len()).saturating_add(losses.len());
                        if self.findings > FINDINGS {
                            continue;
                        }
                        for finding in findings {
                            self.cx.diagnostics().push(finding.diagnostic(self.format.id));
                        }
                        for loss in losses {
                            loss.tell(self.format.id, &self.cx);
                        }
                        continue;
                    }
                    ToHost::Sibling(_) | ToHost::Pull | ToHost::Create(_) | ToHost::Write(_) | ToHost::Seek(_) => {
                        caller.serve(received, &self.cx)
                    }
                    _ => break Ok(received),
                };
                worker.send(&reply, parcel.as_ref(), file.as_ref().map(AsFd::as_fd), &self.cx)?;
            }
        });
        match answer {
            Ok(Received { message: ToHost::Failed(report), .. }) => {
                self.pool.succeeded(self.work);
                Err(report.error().of_format(self.format.id))
            }
            Ok(answer) => Ok(answer),
            Err(fault) => Err(self.over(fault)),
        }
    }

    fn over(&mut self, fault: Fault) -> Error {
        let error = match self.worker.take() {
            Some(mut worker) => worker.end(fault, self.cx.limits()),
            None => Error::new(ErrorKind::Worker, "its worker process is over"),
        };
        self.crashed = error.kind() == ErrorKind::Worker;
        self.pool.crashed(self.work, error).of_format(self.format.id)
    }

    /// It answered what was not asked.
    fn surprised(&mut self) -> Error {
        self.over(broke("it answered what it was not asked"))
    }

    /// A crash is remembered for its input.
    fn remember(&mut self, error: Error, input: &dyn Fn() -> String) -> Error {
        if std::mem::take(&mut self.crashed) {
            self.pool.quarantine.remember(input(), error.message());
        }
        error
    }

    /// It did what it was asked.
    fn done(self) {
        self.pool.succeeded(self.work);
    }
}

impl Drop for Lease {
    /// A worker that still lives may have the next operation.
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.pool.give_back(worker);
        }
    }
}

/// An input that is being read.
struct Reader {
    lease: Lease,
    source: Source,
    /// Of the chunk before.
    chunk_bytes: u64,
}

impl Reader {
    fn ask(&mut self, message: &ToWorker) -> Result<Received<ToHost>> {
        let answer = self.lease.ask(message, None, None, &mut Caller::Reader(&self.source));
        answer.map_err(|error| self.lease.remember(error, &input_of(&self.source)))
    }

    fn surprised(&mut self) -> Error {
        let error = self.lease.surprised();
        self.lease.remember(error, &input_of(&self.source))
    }

    /// Counts the memory of a parcel, until the next piece when it is a chunk. That of records whoever reads gives back.
    fn count(&mut self, parcel: &Parcel, chunk: bool) -> Result<()> {
        let bytes = parcel.buffers.iter().map(|buffer| (**buffer).as_ref().len() as u64).sum();
        self.lease.cx.budget().take(bytes).map_err(|error| error.of_format(self.lease.format.id))?;
        if chunk {
            self.chunk_bytes = bytes;
        }
        Ok(())
    }
}

impl Session for Reader {
    fn header(&mut self) -> Result<Option<Parcel>> {
        match self.ask(&ToWorker::Header)? {
            Received { message: ToHost::Done, parcel, .. } => Ok(parcel),
            _ => Err(self.surprised()),
        }
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        self.lease.cx.budget().give_back(std::mem::take(&mut self.chunk_bytes));
        let answer = self.ask(&ToWorker::Next)?;
        let piece = match (answer.message, answer.parcel) {
            (ToHost::Record, Some(parcel)) => {
                self.count(&parcel, false)?;
                Some(Piece::Record(parcel))
            }
            (ToHost::Chunk, Some(parcel)) => {
                self.count(&parcel, true)?;
                Some(Piece::Chunk(parcel))
            }
            (ToHost::EndOfStream, _) => Some(Piece::EndOfStream),
            (ToHost::Done, _) => None,
            _ => return Err(self.surprised()),
        };
        self.lease.pool.succeeded(Work::Read);
        Ok(piece)
    }
}

impl Drop for Reader {
    /// Closes the plugin's reader too. One that cannot be closed in time costs the worker, not the input.
    fn drop(&mut self) {
        let Some(mut worker) = self.lease.worker.take() else { return };
        let cx = within(self.lease.format, CLOSE_MS);
        let closed = worker.send(&ToWorker::Close, None, None, &cx).and_then(|()| {
            loop {
                match worker.receive(&cx)?.message {
                    ToHost::Findings(..) => {}
                    message => break Ok(matches!(message, ToHost::Done)),
                }
            }
        });
        if matches!(closed, Ok(true)) {
            self.lease.pool.give_back(worker);
        }
    }
}

/// Who serves what a worker calls for.
enum Caller<'a> {
    Nobody,
    Reader(&'a Source),
    Writer {
        record: &'a mut MediaRecord,
        out: &'a mut Output,
        /// Files beside the output, by number from 1.
        created: Vec<String>,
        /// Of the next byte in the main output, and how long that is.
        position: u64,
        len: u64,
        /// To all outputs.
        written: u64,
    },
}

type Reply = (ToWorker, Option<Parcel>, Option<OwnedFd>);

impl Caller<'_> {
    fn serve(&mut self, call: Received<ToHost>, cx: &Context) -> Reply {
        self.try_serve(call, cx).unwrap_or_else(|error| (ToWorker::Refused(Report::of(&error)), None, None))
    }

    fn try_serve(&mut self, call: Received<ToHost>, cx: &Context) -> Result<Reply> {
        match (self, call.message) {
            (Self::Reader(source), ToHost::Sibling(name)) => {
                let sibling = source.sibling(&name, cx)?;
                Ok((ToWorker::Done, None, Some(descriptor(&sibling, cx)?)))
            }
            (Self::Writer { record, .. }, ToHost::Pull) => Ok(match wire::pack_chunk(record)? {
                Some(chunk) => (ToWorker::Done, Some(chunk), None),
                None => (ToWorker::End, None, None),
            }),
            (Self::Writer { out, created, .. }, ToHost::Create(name)) => {
                if created.contains(&name) {
                    return Err(breach(format!("it creates {name:?} twice")));
                }
                cx.limits().check("sibling_files", created.len() as u64 + 1)?;
                out.sibling(&name)?;
                created.push(name);
                Ok((ToWorker::Created(u32::try_from(created.len()).unwrap_or(u32::MAX)), None, None))
            }
            (Self::Writer { out, created, position, len, written, .. }, ToHost::Write(number)) => {
                let bytes = call.parcel.and_then(|parcel| parcel.buffers.into_iter().next());
                let bytes = bytes.ok_or_else(|| breach("it wrote without bytes"))?;
                let bytes = (*bytes).as_ref();
                *written = written.saturating_add(bytes.len() as u64);
                cx.limits().check("output_bytes", *written)?;
                match number.checked_sub(1) {
                    None => {
                        out.write_all(bytes)?;
                        *position = position.saturating_add(bytes.len() as u64);
                        *len = (*len).max(*position);
                    }
                    Some(index) => {
                        let file = created.get(index as usize).and_then(|name| out.sibling_mut(name));
                        file.ok_or_else(|| breach(format!("there is no output {number}")))?.write_all(bytes)?;
                    }
                }
                Ok((ToWorker::Done, None, None))
            }
            (Self::Writer { out, position, len, .. }, ToHost::Seek(to)) => {
                if to > len.saturating_add(FARTHEST) {
                    return Err(breach(format!("it went to byte {to} of an output of {len} bytes")));
                }
                out.seek(SeekFrom::Start(to))?;
                *position = to;
                Ok((ToWorker::Done, None, None))
            }
            _ => Err(breach("it called for what this operation does not have")),
        }
    }
}

/// A descriptor for a worker, with a position of its own and for reading alone.
fn descriptor(source: &Source, cx: &Context) -> Result<OwnedFd> {
    if let Some(file) = source.file()? {
        // Opened again, because a shared one shares its position, and may be open for writing.
        if let Ok(file) = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            return Ok(file.into());
        }
        if fcntl_getfl(&file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDONLY) {
            return Ok(file.into());
        }
    }
    let mut memory = Filling::new()?;
    let mut buffer = vec![0; usize::try_from(source.len().clamp(1, 1 << 18)).unwrap_or(1)];
    let mut offset = 0;
    loop {
        let count = source.read_at(offset, &mut buffer)?;
        if count == 0 {
            return memory.seal();
        }
        memory.push(&buffer[..count])?;
        offset += count as u64;
        cx.checkpoint()?;
    }
}
