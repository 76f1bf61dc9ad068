//! The worker's end: hears what the host asks and answers with another [`Connection`].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mediary_core::wire::{self, Bytes, Parcel, Piece};
use mediary_core::{
    Context, Error, ErrorKind, FormatInfo, Limits, OptionUse, Output, Probe, ReadAt, Result, Siblings, Sink, Source,
    SourceBytes,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::frame::{self, Fault, Received};
use super::protocol::{self, Finding, Lost, PROTOCOL, Report, Terms, ToHost, ToWorker};
use super::{limits, sandbox};
use crate::direct::Direct;
use crate::{Connection, Session};

/// The least time between two signs of life.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// Inputs from this size on are mapped when a reader asks for all bytes.
const MAP_FROM: u64 = 16 << 20;
/// Exit code after a panic.
pub(super) const PANICKED: i32 = 101;
/// Exit code after a broken conversation.
const BROKEN: i32 = 70;

/// What a worker serves.
pub(super) struct Served {
    /// Answers.
    pub(super) connection: Box<dyn Connection>,
    /// The formats it may be asked for.
    pub(super) formats: Vec<&'static FormatInfo>,
}

/// Serves until the host closes the connection. `load` makes the connection from the plugin's file, or of the built-in
/// formats, before the sandbox closes altogether.
pub(super) fn serve(load: impl FnOnce(Option<OwnedFd>) -> Result<Served>) -> ! {
    let line = match Line::from_stdin() {
        Ok(line) => Arc::new(line),
        Err(error) => give_up(&format!("this is a worker process, to be started by mediary alone: {error}")),
    };
    // Beside the end of the connection: that alone would not end one that computes for ever.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let first = line.receive();
    let ToWorker::Start(start) = first.message else { give_up("the host did not say what to start") };
    if start.protocol != PROTOCOL {
        give_up(&format!("protocol: expected {PROTOCOL}, found {}", start.protocol));
    }
    line.cap(limits::memory(start.alloc_bytes));
    let capped = limits::cap(start.alloc_bytes);
    let entered = sandbox::enter(start.programs);
    let loaded = capped.and_then(|()| guard(|| load(first.file)));
    let served = match loaded {
        Ok(served) => served,
        Err(error) => {
            line.answer(ToHost::Failed(Report::of(&error)), None);
            exit(0)
        }
    };
    let enforced = sandbox::close(start.programs, entered);
    line.answer(ToHost::Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into(), enforced }, None);
    let mut desk = Desk { line: Arc::clone(&line), served, reading: None };
    loop {
        let asked = line.receive();
        let (answer, parcel) =
            guard(|| desk.serve(asked)).unwrap_or_else(|error| (ToHost::Failed(Report::of(&error)), None));
        line.answer(answer, parcel.as_ref());
    }
}

/// The plugin in a file: what it says of itself, then itself.
pub(super) fn load(plugin: OwnedFd) -> Result<Served> {
    let path = format!("/proc/self/fd/{}", plugin.as_raw_fd());
    let formats = crate::inspect::look(path.as_ref())?.manifest.formats;
    let connection = Direct::of_table(crate::library::load_fd(plugin)?);
    let formats = formats.into_iter().map(|format| &*Box::leak(Box::new(format))).collect();
    Ok(Served { connection: Box::new(connection), formats })
}

/// A panic is the end of this process: what it left behind is not to be trusted. The hook has said what happened.
fn guard<T>(act: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| exit(PANICKED))
}

#[expect(clippy::print_stderr, reason = "the host hears the last line of a worker that ends")]
fn give_up(why: &str) -> ! {
    eprintln!("{why}");
    exit(BROKEN)
}

/// The connection to the host. One conversation at a time.
struct Line {
    socket: Mutex<OwnedFd>,
    told: Mutex<Option<Instant>>,
    /// Bytes a parcel may have.
    most: std::sync::atomic::AtomicU64,
}

impl Line {
    /// The socket comes as standard input, where nothing else may find it: `/dev/null` takes its place.
    fn from_stdin() -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::net::sockopt::socket_type(&socket)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self { socket: Mutex::new(socket), told: Mutex::default(), most: u64::MAX.into() })
    }

    fn cap(&self, most: u64) {
        self.most.store(most, std::sync::atomic::Ordering::Relaxed);
    }

    fn send(socket: &OwnedFd, message: &ToHost, parcel: Option<&Parcel>) -> Result<()> {
        match frame::send(socket.as_fd(), message, parcel, None, &mut wait) {
            Ok(()) => Ok(()),
            Err(Fault::Stopped(error)) => Err(error),
            Err(Fault::Closed) => exit(0),
            Err(Fault::Broke(error)) => give_up(&error.to_string()),
        }
    }

    fn hear(&self, socket: &OwnedFd) -> Received<ToWorker> {
        let most = self.most.load(std::sync::atomic::Ordering::Relaxed);
        match frame::receive(socket.as_fd(), most, &mut wait) {
            Ok(received) => received,
            Err(Fault::Closed) => exit(0),
            Err(Fault::Stopped(error) | Fault::Broke(error)) => give_up(&error.to_string()),
        }
    }

    fn receive(&self) -> Received<ToWorker> {
        self.hear(&self.socket.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, message: ToHost, parcel: Option<&Parcel>) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = Self::send(&socket, &message, parcel)
            && Self::send(&socket, &ToHost::Failed(Report::of(&error)), None).is_err()
        {
            give_up(&error.to_string());
        }
    }

    /// Calls the host.
    fn call(&self, message: &ToHost, parcel: Option<&Parcel>) -> Result<Received<ToWorker>> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        Self::send(&socket, message, parcel)?;
        let returned = self.hear(&socket);
        match returned.message {
            ToWorker::Refused(report) => Err(report.error()),
            _ => Ok(returned),
        }
    }

    /// A sign of life, when it is time for one and nobody else talks.
    fn progress(&self) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|told| told.elapsed() < HEARTBEAT) {
                return;
            }
            *told = Some(Instant::now());
        }
        match self.socket.try_lock() {
            Ok(socket) => drop(Self::send(&socket, &ToHost::Progress, None)),
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => {}
        }
    }
}

fn wait(socket: std::os::fd::BorrowedFd<'_>, events: PollFlags) -> Result<(), Fault> {
    if frame::is_ready_soon(socket, events) {
        return Ok(());
    }
    match poll(&mut [PollFd::from_borrowed_fd(socket, events)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(_) => Err(Fault::Closed),
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Plugin, "the host sent what was not expected here")
}

/// Where requests are served.
struct Desk {
    line: Arc<Line>,
    served: Served,
    reading: Option<Reading>,
}

struct Reading {
    session: Box<dyn Session>,
    reported: Reported,
    /// What the budget had given before the first record.
    before_records: Option<u64>,
    in_stream: bool,
}

impl Reading {
    fn next(&mut self) -> Result<Option<Piece>> {
        if !self.in_stream {
            // The record before is with the host: the budget is that of one record, as it is without a worker.
            let budget = self.reported.cx.budget();
            let before = *self.before_records.get_or_insert_with(|| budget.taken());
            budget.give_back(budget.taken().saturating_sub(before));
        }
        let piece = self.session.next()?;
        self.in_stream = matches!(piece, Some(Piece::Chunk(_)));
        Ok(piece)
    }
}

impl Desk {
    fn serve(&mut self, asked: Received<ToWorker>) -> Result<(ToHost, Option<Parcel>)> {
        match asked.message {
            ToWorker::Probe { format, len, name } => {
                let buffers = asked.parcel.map(|view| view.buffers).unwrap_or_default();
                let [head, tail] = buffers.as_slice() else { return Err(unexpected()) };
                limits::allow_cpu(u64::MAX);
                let probe = Probe { head: (**head).as_ref(), tail: (**tail).as_ref(), len, name: &name };
                let answer = self.served.connection.probe(self.format(&format)?, &probe);
                Ok((protocol::score(answer)?, None))
            }
            ToWorker::Open { format, name, terms } => {
                self.reading = None;
                let format = self.format(&format)?;
                let file = asked.file.ok_or_else(unexpected)?;
                let cx = self.context(format, &terms, OptionUse::Read)?;
                let source = input(&self.line, name, file.into())?;
                let mut reported = Reported::of(&cx);
                let session = self.served.connection.open(format, &source, &cx);
                reported.tell(&self.line)?;
                self.reading = Some(Reading { session: session?, reported, before_records: None, in_stream: false });
                Ok((ToHost::Done, None))
            }
            ToWorker::Header => {
                let reading = self.reading.as_mut().ok_or_else(unexpected)?;
                let header = reading.session.header();
                reading.reported.tell(&self.line)?;
                Ok((ToHost::Done, header?))
            }
            ToWorker::Next => {
                let reading = self.reading.as_mut().ok_or_else(unexpected)?;
                let piece = reading.next();
                reading.reported.tell(&self.line)?;
                Ok(match piece? {
                    Some(Piece::Record(parcel)) => (ToHost::Record, Some(parcel)),
                    Some(Piece::Chunk(parcel)) => (ToHost::Chunk, Some(parcel)),
                    Some(Piece::EndOfStream) => (ToHost::EndOfStream, None),
                    None => (ToHost::Done, None),
                })
            }
            ToWorker::Close => {
                self.reading = None;
                Ok((ToHost::Done, None))
            }
            ToWorker::Write { format, terms, stem, siblings } => {
                let format = self.format(&format)?;
                let cx = self.context(format, &terms, OptionUse::Write)?;
                let line = Arc::clone(&self.line);
                let chunks = move || {
                    let returned = line.call(&ToHost::Pull, None)?;
                    match returned.message {
                        ToWorker::Done => returned.parcel.map(Some).ok_or_else(unexpected),
                        ToWorker::End => Ok(None),
                        _ => Err(unexpected()),
                    }
                };
                let mut record = wire::unpack_record(asked.parcel.ok_or_else(unexpected)?, chunks)?;
                let mut out = Output::elsewhere(Elsewhere { line: Arc::clone(&self.line), stem, siblings });
                let mut reported = Reported::of(&cx);
                let written = self.served.connection.write(format, &mut record, &mut out, &cx);
                reported.tell(&self.line)?;
                written?;
                out.finish()?;
                Ok((ToHost::Done, None))
            }
            ToWorker::Start(_) | ToWorker::Done | ToWorker::End | ToWorker::Created(_) | ToWorker::Refused(_) => {
                Err(unexpected())
            }
        }
    }

    fn format(&self, id: &str) -> Result<&'static FormatInfo> {
        let found = self.served.formats.iter().copied().find(|format| format.id == id);
        found.ok_or_else(|| Error::new(ErrorKind::Plugin, format!("the worker process has no format {id:?}")))
    }

    fn context(&self, format: &'static FormatInfo, terms: &Terms, usage: OptionUse) -> Result<Context> {
        let limits = terms.limits();
        limits::allow_cpu(limits.cpu_ms);
        let line = Arc::clone(&self.line);
        Ok(Context::builder(format.id)
            .limits(limits)
            .strictness(terms.strictness())
            .options(terms.options(format, usage)?)
            .checkpoint(move || {
                line.progress();
                Ok(())
            })
            .build())
    }
}

/// What the host already knows of the findings and losses of a context.
struct Reported {
    cx: Context,
    findings: Vec<u64>,
    losses: Vec<u64>,
}

impl Reported {
    fn of(cx: &Context) -> Self {
        Self { cx: cx.clone(), findings: Vec::new(), losses: Vec::new() }
    }

    /// Tells the rest.
    fn tell(&mut self, line: &Line) -> Result<()> {
        /// How many are new at this place of the list.
        fn fresh(known: &mut Vec<u64>, place: usize, count: u64) -> u64 {
            known.resize(known.len().max(place + 1), 0);
            let before = std::mem::replace(&mut known[place], count);
            count.saturating_sub(before)
        }
        let findings = self.cx.diagnostics().to_vec();
        let findings: Vec<_> = findings
            .iter()
            .enumerate()
            .map(|(place, finding)| Finding::of(finding, fresh(&mut self.findings, place, finding.count)))
            .filter(Finding::occurred)
            .collect();
        let losses = self.cx.losses().to_vec();
        let losses: Vec<_> = losses
            .iter()
            .enumerate()
            .map(|(place, loss)| Lost::of(loss, fresh(&mut self.losses, place, loss.count)))
            .filter(Lost::occurred)
            .collect();
        if findings.is_empty() && losses.is_empty() {
            return Ok(());
        }
        let socket = line.socket.lock().unwrap_or_else(PoisonError::into_inner);
        Line::send(&socket, &ToHost::Findings(findings, losses), None)
    }
}

/// A file that the host opened.
struct Input {
    line: Arc<Line>,
    source: Source,
}

struct Whole(SourceBytes);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ReadAt for Input {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.line.progress();
        self.source.read_at(offset, buffer)
    }

    fn bytes(&self) -> Result<Option<Bytes>> {
        if self.source.len() < MAP_FROM {
            return Ok(None);
        }
        let whole = self.source.bytes(&Context::new("worker"))?;
        Ok(Some(Arc::new(Whole(whole))))
    }

    fn file(&self) -> Result<Option<File>> {
        self.source.file()
    }
}

fn input(line: &Arc<Line>, name: String, file: File) -> Result<Source> {
    let source = Source::from_file(name.clone(), file)?;
    let input = Source::from_elsewhere(name, Arc::new(Input { line: Arc::clone(line), source }));
    Ok(input.with_siblings(Beside(Arc::clone(line))))
}

/// The files beside an input are the host's to open.
struct Beside(Arc<Line>);

impl Siblings for Beside {
    fn open(&self, name: &str, _: &Limits) -> Result<Source> {
        let returned = self.0.call(&ToHost::Sibling(name.into()), None)?;
        let name = name.rsplit('/').next().unwrap_or(name);
        input(&self.0, name.into(), returned.file.ok_or_else(unexpected)?.into())
    }
}

/// The output is the host's.
struct Elsewhere {
    line: Arc<Line>,
    stem: String,
    siblings: bool,
}

impl Sink for Elsewhere {
    fn write(&mut self, output: u32, bytes: &[u8]) -> Result<()> {
        let parcel = Parcel { json: String::new(), buffers: vec![Arc::new(bytes.to_vec())] };
        self.line.call(&ToHost::Write(output), Some(&parcel)).map(drop)
    }

    fn seek(&mut self, position: u64) -> Result<()> {
        self.line.call(&ToHost::Seek(position), None).map(drop)
    }

    fn create(&mut self, name: &str) -> Result<u32> {
        match self.line.call(&ToHost::Create(name.into()), None)?.message {
            ToWorker::Created(output) => Ok(output),
            _ => Err(unexpected()),
        }
    }

    fn stem(&self) -> String {
        self.stem.clone()
    }

    fn has_siblings(&self) -> bool {
        self.siblings
    }
}
