//! One worker process, as the host holds it: started, talked to, watched, and when it is over, asked why.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use mediary_core::wire::Parcel;
use mediary_core::{Context, Error, ErrorKind, Limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::command::WorkerCommand;
use super::frame::{self, Fault, Received, broke};
use super::limits;
use super::protocol::{PROTOCOL, Start, ToHost, ToWorker};
use super::sandbox::Enforced;

/// How often cancel and clocks are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a worker may take to load its plugin.
const START_MS: u64 = 20_000;
/// How long a worker that closed its connection may take to end.
const END: Duration = Duration::from_millis(300);
/// Bytes that are kept of what a worker printed last.
const SAID_BYTES: usize = 4096;

/// Starts processes from one thread that never ends: a worker asks the system to end it with the thread that started it,
/// and that is to be the end of this process.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts workers is gone");
    let jobs = match SPAWNER.get() {
        Some(jobs) => jobs,
        None => {
            let (sender, jobs) = mpsc::channel::<Job>();
            std::thread::Builder::new().name("workers".into()).spawn(move || {
                for (mut command, reply) in jobs {
                    // Nobody who waits for the reply gives up.
                    let _ = reply.send(command.spawn());
                }
            })?;
            SPAWNER.get_or_init(|| sender)
        }
    };
    let (reply, started) = mpsc::channel();
    jobs.send((command, reply)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

/// What a request may take.
pub(super) struct Watch<'a> {
    cx: &'a Context,
    /// The last sign of life.
    alive: Instant,
    looked: &'a mut Instant,
    /// What the process had computed when the operation began.
    cpu_before: Duration,
}

/// A worker process. Dropping it ends it.
pub(super) struct Worker {
    child: Child,
    socket: OwnedFd,
    said: Said,
    pub(super) enforced: Enforced,
    pub(super) alloc_bytes: u64,
    /// Inputs it had.
    pub(super) served: u32,
    /// Bytes of memory it had when it was fresh.
    fresh_bytes: u64,
    /// What it had computed when the current operation began.
    cpu_before: Duration,
    /// When cancel and clocks were looked at.
    looked: Instant,
    /// It was waited for: its number may be another's.
    over: bool,
}

impl Worker {
    /// Starts one and hears its hello.
    pub(super) fn start(
        command: &WorkerCommand,
        start: &Start,
        plugin: Option<OwnedFd>,
        cx: &Context,
    ) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Worker, format!("cannot start a worker process: {error}"))
                .with_hint("--isolate none runs formats in this process")
        };
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(|e| failed(e.into()))?;
        let (said, say) = io::pipe().map_err(failed)?;
        let mut process = command.command();
        process.process_group(0);
        if start.programs
            && let Some(path) = std::env::var_os("PATH")
        {
            process.env("PATH", path);
        }
        // The worker moves its socket away from the standard input before it does anything else: so no descriptor has to
        // be placed between fork and exec, and none is inherited by other processes that start meanwhile.
        process.stdin(Stdio::from(theirs)).stdout(say.try_clone().map_err(failed)?).stderr(say);
        rustix::io::ioctl_fionbio(&said, true).map_err(|error| failed(error.into()))?;
        let child = spawn(process).map_err(failed)?;
        let mut worker = Self {
            child,
            socket,
            said: Said { pipe: said, last: Vec::new(), closed: false },
            enforced: Enforced::default(),
            alloc_bytes: start.alloc_bytes,
            served: 0,
            fresh_bytes: 0,
            cpu_before: Duration::ZERO,
            looked: Instant::now(),
            over: false,
        };
        let mut limits = *cx.limits();
        limits.stall_ms = START_MS;
        let patient = Context::builder("worker").limits(limits).cancel(cx.cancel().clone()).build();
        worker.hello(start, plugin, &patient).map_err(|fault| worker.end(fault, &limits))?;
        Ok(worker)
    }

    fn hello(&mut self, start: &Start, plugin: Option<OwnedFd>, cx: &Context) -> Result<(), Fault> {
        self.send(&ToWorker::Start(start.clone()), None, plugin.as_ref().map(AsFd::as_fd), cx)?;
        match self.receive(cx)?.message {
            ToHost::Hello { protocol: PROTOCOL, enforced, .. } => self.enforced = enforced,
            ToHost::Hello { protocol, version, .. } => {
                return Err(broke(format!(
                    "protocol: expected {PROTOCOL}, found {protocol} of the program's version {version:?}"
                )));
            }
            ToHost::Failed(report) => return Err(Fault::Stopped(report.error())),
            _ => return Err(broke("it did not say hello")),
        }
        self.fresh_bytes = limits::resident(self.child.id()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Bytes of memory it has more than when it was fresh.
    pub(super) fn grown_bytes(&self) -> u64 {
        limits::resident(self.child.id()).unwrap_or(u64::MAX).saturating_sub(self.fresh_bytes)
    }

    /// Whether it still runs. One that ended is not waited for by this.
    pub(super) fn is_alive(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !self.over && self.id().is_some_and(|id| matches!(waitid(WaitId::Pid(id), options), Ok(None)))
    }

    /// A new operation begins: its time is counted from now.
    pub(super) fn begin(&mut self, limits: &Limits) {
        self.served += 1;
        if limits.cpu_ms != u64::MAX {
            self.cpu_before = limits::cpu(self.child.id()).unwrap_or_default();
        }
    }

    pub(super) fn send(
        &mut self,
        message: &ToWorker,
        parcel: Option<&Parcel>,
        file: Option<BorrowedFd<'_>>,
        cx: &Context,
    ) -> Result<(), Fault> {
        let Self { child, socket, said, looked, cpu_before, .. } = self;
        let mut watch = Watch { cx, alive: Instant::now(), looked, cpu_before: *cpu_before };
        frame::send(socket.as_fd(), message, parcel, file, &mut |socket, events| {
            watch.wait(child, said, socket, events)
        })
    }

    pub(super) fn receive(&mut self, cx: &Context) -> Result<Received<ToHost>, Fault> {
        let most = limits::memory(self.alloc_bytes);
        let Self { child, socket, said, looked, cpu_before, .. } = self;
        let mut watch = Watch { cx, alive: Instant::now(), looked, cpu_before: *cpu_before };
        loop {
            let received =
                frame::receive(socket.as_fd(), most, &mut |socket, events| watch.wait(child, said, socket, events))?;
            // Also when it always has something to say.
            watch.look(child)?;
            match received.message {
                ToHost::Progress => watch.alive = Instant::now(),
                _ => return Ok(received),
            }
        }
    }

    /// Ends it, and says why nothing can be heard from it any more.
    pub(super) fn end(&mut self, fault: Fault, limits: &Limits) -> Error {
        match fault {
            Fault::Closed => {
                let status = self.wait();
                self.said.drain();
                match status {
                    Some(status) => self.said.verdict(status, limits),
                    None => Error::new(ErrorKind::Worker, "it closed its connection"),
                }
            }
            Fault::Broke(error) | Fault::Stopped(error) => {
                let _ = self.kill();
                error
            }
        }
    }

    /// How it ended, if it does so by itself.
    fn wait(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + END;
        while self.is_alive() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ended = !self.is_alive();
        let status = self.kill();
        status.filter(|_| ended)
    }

    /// With the programs that a plugin started.
    fn kill(&mut self) -> Option<ExitStatus> {
        if self.over {
            return None;
        }
        // Until it is waited for, its number is nobody else's.
        if let Some(group) = self.id() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        self.over = true;
        self.child.wait().ok()
    }

    fn id(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Watch<'_> {
    /// Waits for the socket, hears what is printed meanwhile, and looks at the clocks.
    fn wait(&mut self, child: &Child, said: &mut Said, socket: BorrowedFd<'_>, events: PollFlags) -> Result<(), Fault> {
        if frame::is_ready_soon(socket, events) {
            return Ok(());
        }
        loop {
            let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
            let pipe = said.pipe.as_fd();
            let mut waiting = [PollFd::from_borrowed_fd(socket, events), PollFd::from_borrowed_fd(pipe, PollFlags::IN)];
            // One that closed its output would wake us for ever.
            let waiting = if said.closed { &mut waiting[..1] } else { &mut waiting[..] };
            match poll(waiting, Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(broke(format!("cannot wait for it: {error}"))),
            }
            let ready = !waiting[0].revents().is_empty();
            if waiting.get(1).is_some_and(|pipe| !pipe.revents().is_empty()) {
                said.drain();
            }
            self.look(child)?;
            if ready {
                return Ok(());
            }
        }
    }

    /// Looks at cancel and at the clocks, once a tick.
    fn look(&mut self, child: &Child) -> Result<(), Fault> {
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        *self.looked = Instant::now();
        self.cx.checkpoint().map_err(Fault::Stopped)?;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let limits = self.cx.limits();
        limits.check("stall_ms", millis(self.alive.elapsed())).map_err(Fault::Stopped)?;
        if limits.cpu_ms != u64::MAX {
            let used = limits::cpu(child.id()).unwrap_or_default().saturating_sub(self.cpu_before);
            limits.check("cpu_ms", millis(used)).map_err(Fault::Stopped)?;
        }
        Ok(())
    }
}

/// What a worker prints: read so that it never waits, the end of it kept for the day it dies.
struct Said {
    pipe: PipeReader,
    last: Vec<u8>,
    closed: bool,
}

impl Said {
    /// Reads what is there. Bounded: one that prints for ever is read in turns.
    fn drain(&mut self) {
        let mut bytes = [0; SAID_BYTES];
        for _ in 0..64 {
            match self.pipe.read(&mut bytes) {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(count) => {
                    self.last.extend(&bytes[..count]);
                    let surplus = self.last.len().saturating_sub(SAID_BYTES);
                    self.last.drain(..surplus);
                }
                Err(_) => break,
            }
        }
    }

    /// The line that says most: that of a panic, or the last one.
    fn line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.last);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note: "));
        let panic = lines.clone().skip_while(|line| !line.contains("panicked at")).nth(1);
        let line = panic.or_else(|| lines.next_back())?;
        Some(line.chars().filter(|letter| !letter.is_control()).take(300).collect())
    }

    fn verdict(&self, status: ExitStatus, limits: &Limits) -> Error {
        let worker = |what: String| Error::new(ErrorKind::Worker, what);
        let with_line = |what: String| match self.line() {
            Some(line) => worker(format!("{what}: {line}")),
            None => worker(what),
        };
        match (status.signal(), status.code()) {
            (Some(libc::SIGABRT), _) => {
                let error = with_line("aborted".into());
                if error.message().contains("memory allocation of") {
                    return error.with_hint("it may take more with a higher --limit alloc_bytes");
                }
                error
            }
            (Some(libc::SIGXCPU), _) => Error::limit("cpu_ms", limits.cpu_ms.saturating_add(1), limits.cpu_ms),
            (Some(signal), _) => with_line(format!("killed by {}", signal_name(signal))),
            (None, Some(0)) => worker("it ended without an answer".into()),
            (None, Some(super::serve::PANICKED)) => with_line("panicked".into()),
            (None, code) => with_line(format!("it ended with exit code {}", code.unwrap_or(-1))),
        }
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGILL => "SIGILL".into(),
        libc::SIGFPE => "SIGFPE".into(),
        libc::SIGKILL => "SIGKILL".into(),
        libc::SIGTERM => "SIGTERM".into(),
        libc::SIGSYS => "SIGSYS".into(),
        libc::SIGXFSZ => "SIGXFSZ (its memory files are over their limit)".into(),
        signal => format!("signal {signal}"),
    }
}
