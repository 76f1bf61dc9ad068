//! Worker processes that do what they should, and every way in which they do not. The child is this test binary once more,
//! with a plugin that does what the name of its input says.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::Write;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mediary_core::record::{Column, ColumnData, ColumnSpec, ColumnType, Stream, Table, TableChunk};
use mediary_core::wire::{Bytes, Parcel, Piece};
use mediary_core::{
    Confidence, Context, Error, ErrorKind, Format, FormatInfo, FormatReader, Kind, Limits, Media, MediaRecord,
    MemorySiblings, OptionUse, Options, Output, Probe, ReadOptions, Registry, Result, Signature, Source, Strictness,
    WriteOptions, whole,
};
use rustix::process::{Signal, getpid, kill_process};

use super::command::WorkerCommand;
use super::frame;
use super::isolate;
use super::limits;
use super::pool::{GROWTH_EVERY, Spec};
use super::protocol::{PROTOCOL, ToHost, ToWorker};
use super::quarantine::Quarantine;
use super::remote::Remote;
use super::sandbox::{self, Enforced};
use super::serve::{Served, serve};
use crate::library::Library;
use crate::tests::Workshop;
use crate::{Connection, Session};

static FAKE: FormatInfo = FormatInfo::new("fake", "Fake", &[Kind::Table]).reads().writes(&[]).siblings();
const ROLE: &str = "MEDIARY_TEST_ROLE";
const MIB: usize = 1 << 20;

/// Not a test in the usual run: what the workers of the others run.
#[test]
fn child() {
    match std::env::var(ROLE).as_deref() {
        Ok("fake") => serve(|_| Ok(Served { connection: Box::new(Fake), formats: vec![&FAKE] })),
        Ok("main") => super::main(),
        Ok("computes") => {
            limits::allow_cpu(0);
            loop {
                std::hint::spin_loop();
            }
        }
        Ok("broken") => serve(|_| Err(Error::new(ErrorKind::Plugin, "no such symbol"))),
        Ok(lie) => tell(lie),
        Err(_) => {}
    }
}

fn command(role: &str) -> WorkerCommand {
    WorkerCommand::new(std::env::current_exe().unwrap())
        .argument("worker::tests::child")
        .argument("--exact")
        .argument("--nocapture")
        .environment(ROLE, role)
}

fn role(role: &str) -> Spec {
    Spec { name: "fake".into(), plugin: None, hash: "0".into(), programs: false, command: command(role) }
}

fn remote(name: &str) -> Remote {
    Remote::with_quarantine(role(name), Quarantine::new("0", None))
}

fn limited(set: &[(&str, u64)]) -> Context {
    let mut limits = Limits::default();
    for (name, value) in set {
        assert!(limits.set(name, *value));
    }
    Context::builder("fake").limits(limits).build()
}

fn source(name: &str) -> Source {
    Source::from_bytes(name, *b"fake content")
}

/// Opens an input and reads its first piece.
fn first(remote: &Remote, name: &str, cx: &Context) -> Result<Option<Piece>> {
    remote.open(&FAKE, &source(name), cx)?.next()
}

fn error(remote: &Remote, name: &str, cx: &Context) -> Error {
    first(remote, name, cx).err().unwrap_or_else(|| panic!("{name} should fail"))
}

fn parcel(piece: Option<Piece>) -> Parcel {
    match piece {
        Some(Piece::Record(parcel) | Piece::Chunk(parcel)) => parcel,
        Some(Piece::EndOfStream) => panic!("expected a parcel, found the end of the stream"),
        None => panic!("expected a parcel, found the end"),
    }
}

/// The plugin in the worker.
struct Fake;

/// More than once: the first may be taken by the handler that looks for stack overflows, and none comes at once.
fn die(signal: Signal) -> ! {
    loop {
        kill_process(getpid(), signal).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Acting {
    source: Source,
    cx: Context,
    count: usize,
}

impl Connection for Fake {
    fn probe(&self, _: &'static FormatInfo, probe: &Probe<'_>) -> Confidence {
        if probe.name == "segv" {
            die(Signal::SEGV);
        }
        match probe.head {
            b"fake content" => Confidence::yes(150, format!("{} of {}", probe.tail.len(), probe.len)),
            b"?" => Confidence::Unknown,
            _ => Confidence::No,
        }
    }

    fn open(&self, _: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>> {
        if source.name() == "not mine" {
            return Err(Error::malformed("expected a table, found a chair").at_line(7).with_hint("sit down"));
        }
        Ok(Box::new(Acting { source: source.clone(), cx: cx.clone(), count: 0 }))
    }

    fn write(&self, _: &'static FormatInfo, _: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let stem = out.stem();
        out.write_all(b"....body")?;
        out.sibling(&format!("{stem}.a"))?.write_all(&vec![b'a'; 3 * MIB])?;
        out.sibling(&format!("{stem}.b"))?.write_all(b"b")?;
        out.seek(SeekFrom::Start(0))?;
        out.write_all(b"head")?;
        cx.lose("legs", 3, "a table has four");
        Ok(())
    }
}

impl Session for Acting {
    fn header(&mut self) -> Result<Option<Parcel>> {
        Ok(Some(Parcel { json: std::process::id().to_string(), buffers: Vec::new() }))
    }

    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "chatty plugins print")]
    fn next(&mut self) -> Result<Option<Piece>> {
        let name = self.source.name().to_owned();
        let record = |json: String, buffers: Vec<Bytes>| Ok(Some(Piece::Record(Parcel { json, buffers })));
        match name.as_str() {
            "panic" => panic!("the leg is off\nreally"),
            "abort" => std::process::abort(),
            "segv" => die(Signal::SEGV),
            "silent" => std::process::exit(0),
            "exit" => {
                eprintln!("bad day");
                std::process::exit(3)
            }
            "loop" => loop {
                std::hint::spin_loop();
            },
            "alive" => loop {
                self.cx.checkpoint()?;
            },
            "greedy" => {
                std::hint::black_box(Vec::<u8>::with_capacity(10 << 30));
            }
            "greedy memory file" => {
                let file = rustix::fs::memfd_create("big", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
                rustix::fs::ftruncate(&file, 10 << 30).unwrap();
            }
            "leak" => std::mem::forget(std::hint::black_box(vec![1_u8; 300 * MIB])),
            "out of time" => die(Signal::XCPU),
            "chatty" => {
                for line in 0..200_000 {
                    println!("line {line} of very many");
                }
            }
            "echo" => {
                let bytes = self.source.bytes(&self.cx)?.to_vec();
                return record("{\"echo\":true}".into(), vec![Arc::new(bytes), Arc::new(b"small".to_vec())]);
            }
            "many" => {
                let small = |i: usize| Arc::new(vec![i as u8; 40_000]) as Bytes;
                return record("{}".into(), (0..100).map(small).collect());
            }
            "stream" => {
                self.count += 1;
                return Ok(match self.count {
                    1 => Some(Piece::Record(Parcel::default())),
                    count if count <= 1001 => {
                        let chunk = vec![(count % 251) as u8; MIB];
                        Some(Piece::Chunk(Parcel { json: String::new(), buffers: vec![Arc::new(chunk)] }))
                    }
                    1002 => Some(Piece::EndOfStream),
                    _ => None,
                });
            }
            "sibling" => {
                let sibling = self.source.sibling("leg.txt", &self.cx)?;
                let text = sibling.bytes(&self.cx)?;
                let escape = self.source.sibling("missing.txt", &self.cx).err().map(|error| error.to_string());
                return record(
                    format!("{} {}", String::from_utf8_lossy(&text), escape.unwrap_or_default()),
                    Vec::new(),
                );
            }
            "findings" => {
                self.count += 1;
                self.cx.warn("wobbly", "one leg is short");
                self.cx.warn("wobbly", "one leg is short");
                return if self.count < 3 { record(String::new(), Vec::new()) } else { Ok(None) };
            }
            "sandbox" => {
                let open = std::fs::File::open("/etc/hostname").err().and_then(|error| error.raw_os_error());
                let socket = std::net::TcpListener::bind("127.0.0.1:0").err().and_then(|error| error.raw_os_error());
                let run = std::process::Command::new("/bin/true").status().err().and_then(|error| error.raw_os_error());
                let parent = rustix::process::getppid().unwrap();
                let kill = kill_process(parent, Signal::URG).err().map(|error| error.raw_os_error());
                let thread = std::thread::spawn(|| 7).join().ok();
                let mut bytes = [0; 4];
                self.source.read_exact_at(0, &mut bytes, "head")?;
                let first = String::from_utf8_lossy(&bytes);
                return record(format!("{open:?} {socket:?} {run:?} {kill:?} {thread:?} {first}"), Vec::new());
            }
            _ => {}
        }
        record(format!("{{\"name\":{name:?}}}"), Vec::new())
    }
}

/// A worker that speaks for itself, and not the truth.
fn tell(lie: &str) -> ! {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let send = |message: &ToHost, parcel: Option<&Parcel>| {
        let _ = frame::send(socket.as_fd(), message, parcel, None, &mut |_, _| Ok(()));
    };
    let hear = || {
        let heard = frame::receive::<ToWorker>(socket.as_fd(), u64::MAX, &mut |_, _| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        });
        if heard.is_err() {
            std::process::exit(0);
        }
    };
    let raw = |bytes: &[u8]| {
        let _ = rustix::net::send(&socket, bytes, rustix::net::SendFlags::empty());
    };
    hear();
    let protocol = if lie == "old" { PROTOCOL + 1 } else { PROTOCOL };
    if lie != "mute" {
        send(&ToHost::Hello { protocol, version: "0".into(), enforced: Enforced::default() }, None);
    }
    hear();
    match lie {
        "garbage" => raw(b"Segmentation fault, or something like it"),
        "huge" => raw(&[0xFF, 0xFF, 0xFF, 0xFF, 1]),
        "cut" => {
            raw(&[200, 0, 0, 0, 1, 1]);
            std::process::exit(0)
        }
        "no json" => raw(&[6, 0, 0, 0, 1, 2, 0, 0, 0, b'{', b'{']),
        "beyond" => raw(&parcel_frame(&[(5, 0), (100, 5)], b"\"\"   ")),
        "twice" => raw(&parcel_frame(&[(3, 0), (3, 0)], b"\"\"   ")),
        "countless" => raw(&parcel_frame(&[(u64::MAX, 1 << 63)], b"")),
        "no memory" => raw(&parcel_frame(&[(64, 1 << 63)], b"")),
        "unsealed" | "short" => {
            let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
            let file = rustix::fs::memfd_create("open", flags).unwrap();
            rustix::fs::ftruncate(&file, 64).unwrap();
            if lie == "short" {
                use rustix::fs::SealFlags as Seals;
                rustix::fs::fcntl_add_seals(&file, Seals::WRITE | Seals::GROW | Seals::SHRINK).unwrap();
            }
            let len = if lie == "short" { 1 << 16 } else { 64 };
            let frame = parcel_frame(&[(len, 1 << 63)], b"");
            let _ = frame::send_all(socket.as_fd(), &frame, &[file.as_fd()], &mut |_, _| Ok(()));
        }
        "other" => send(&ToHost::Score(1, String::new()), None),
        "written" => send(&ToHost::Write(0), None),
        "flood" => loop {
            send(&ToHost::Findings(Vec::new(), Vec::new()), None);
        },
        "closed" => {
            rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        _ => {}
    }
    loop {
        hear();
    }
}

/// A frame that answers with a record made of these buffers.
fn parcel_frame(buffers: &[(u64, u64)], inline: &[u8]) -> Vec<u8> {
    let message = serde_json::to_vec(&ToHost::Record).unwrap();
    let mut payload = (message.len() as u32).to_le_bytes().to_vec();
    payload.extend(message);
    payload.extend((buffers.len() as u32).to_le_bytes());
    for (len, place) in buffers {
        payload.extend(len.to_le_bytes());
        payload.extend(place.to_le_bytes());
    }
    payload.extend(inline);
    let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
    frame.push(2);
    frame.extend(payload);
    frame
}

#[test]
fn records_come_unchanged_and_large_buffers_without_a_copy() {
    let remote = remote("fake");
    let bytes: Vec<u8> = (0..MIB as u32).map(|i| (i / 7 % 256) as u8).collect();
    let cx = limited(&[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("echo"), &bytes).unwrap();
    let from_file = Source::open(folder.path().join("echo"), cx.limits()).unwrap();
    for source in [Source::from_bytes("echo", bytes.clone()), from_file] {
        let mut session = remote.open(&FAKE, &source, &cx).unwrap();
        let parcel = parcel(session.next().unwrap());
        assert_eq!(parcel.json, "{\"echo\":true}");
        let [large, small] = parcel.buffers.as_slice() else { panic!("two buffers") };
        assert!((**large).as_ref() == bytes);
        assert_eq!((**small).as_ref(), b"small");
        assert_eq!((**large).as_ref().as_ptr() as usize % 64, 0);
        assert_eq!(cx.budget().taken(), MIB as u64 + 5);
        cx.budget().give_back(cx.budget().taken());
        drop(session);
        assert!((**large).as_ref() == bytes, "it outlives the reader");
    }
    let many = parcel(first(&remote, "many", &cx).unwrap());
    assert!(many.buffers.iter().enumerate().all(|(i, bytes)| (**bytes).as_ref() == vec![i as u8; 40_000]));
}

#[test]
fn a_worker_is_used_again_and_replaced_after_500_inputs() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let process = || {
        let mut session = remote.open(&FAKE, &source("x"), &cx).unwrap();
        session.header().unwrap().unwrap().json
    };
    let warm = process();
    let start = Instant::now();
    for _ in 1..500 {
        assert_eq!(process(), warm);
    }
    let each = start.elapsed() / 500;
    assert!(each < Duration::from_millis(5), "a warm input took {each:?}");
    assert_ne!(process(), warm);
}

#[test]
fn a_worker_that_has_grown_is_replaced() {
    let remote = remote("fake");
    let process = |name: &str| {
        let mut session = remote.open(&FAKE, &source(name), &limited(&[])).unwrap();
        session.next().unwrap();
        session.header().unwrap().unwrap().json
    };
    let grown = process("leak");
    assert!((0..GROWTH_EVERY).any(|_| process("x") != grown), "it has kept 300 MiB");
}

#[test]
fn the_system_ends_a_worker_that_computes_too_long_also_without_its_host() {
    use std::os::unix::process::ExitStatusExt;
    let status = command("computes").command().stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), Some(Signal::XCPU.as_raw()));
    let error = error(&remote("fake"), "out of time", &limited(&[("cpu_ms", 60_000)]));
    assert_eq!((error.kind(), error.limit_name()), (ErrorKind::Limit, Some("cpu_ms")), "{error}");
}

#[test]
fn probes_are_answered() {
    let remote = remote("fake");
    let ask = |head: &[u8], name| remote.probe(&FAKE, &Probe { head, tail: &head[1..], len: 99, name });
    assert_eq!(ask(b"fake content", ""), Confidence::yes(150, "11 of 99"));
    assert_eq!(ask(b"?", ""), Confidence::Unknown);
    assert_eq!(ask(b"!", ""), Confidence::No);
    assert!(matches!(ask(b"?", "segv"), Confidence::Failed(failure) if failure.kind == ErrorKind::Worker));
    assert_eq!(ask(b"?", ""), Confidence::Unknown);
}

#[test]
fn errors_keep_their_words_and_do_not_cost_the_worker() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let process = || remote.open(&FAKE, &source("x"), &cx).unwrap().header().unwrap().unwrap().json;
    let before = process();
    let error = error(&remote, "not mine", &cx);
    assert_eq!(error.to_string(), "fake: expected a table, found a chair (at line 7)");
    assert_eq!((error.kind(), error.hint()), (ErrorKind::Malformed, Some("sit down")));
    assert_eq!(process(), before);
}

#[test]
fn every_way_to_break_down_is_one_typed_error() {
    let allocation = "aborted: memory allocation of 10737418240 bytes failed";
    for (name, kind, words) in [
        ("panic", ErrorKind::Worker, "panicked: the leg is off"),
        ("abort", ErrorKind::Worker, "aborted"),
        ("segv", ErrorKind::Worker, "killed by SIGSEGV"),
        ("silent", ErrorKind::Worker, "it ended without an answer"),
        ("exit", ErrorKind::Worker, "it ended with exit code 3: bad day"),
        ("greedy", ErrorKind::Worker, allocation),
        ("greedy memory file", ErrorKind::Worker, "killed by SIGXFSZ"),
        ("loop", ErrorKind::Limit, "stall_ms: "),
    ] {
        let remote = remote("fake");
        let cx = limited(&[("stall_ms", 300)]);
        first(&remote, "warm up", &cx).unwrap();
        let start = Instant::now();
        let error = error(&remote, name, &cx);
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
        assert_eq!((error.kind(), error.format()), (kind, Some("fake")), "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
        assert!(first(&remote, "after", &cx).is_ok(), "the next request works, in a new worker");
    }
}

#[test]
fn clocks_and_cancel_end_a_worker() {
    let remote = remote("fake");
    first(&remote, "warm up", &limited(&[])).unwrap();
    for (name, limit) in [("alive", "wall_ms"), ("alive", "cpu_ms"), ("loop", "cpu_ms"), ("loop", "wall_ms")] {
        let start = Instant::now();
        let error = error(&remote, name, &limited(&[(limit, 400)]));
        assert_eq!((error.kind(), error.limit_name()), (ErrorKind::Limit, Some(limit)), "{error}");
        let took = start.elapsed();
        assert!((Duration::from_millis(350)..Duration::from_secs(3)).contains(&took), "{name} {limit}: {took:?}");
    }
    let cx = limited(&[("stall_ms", 400), ("wall_ms", 900)]);
    let error = error(&remote, "alive", &cx);
    assert_eq!(error.limit_name(), Some("wall_ms"), "signs of life keep it from stalling");
    let cx = limited(&[]);
    let cancel = cx.cancel().clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let start = Instant::now();
    assert_eq!(self::error(&remote, "loop", &cx).kind(), ErrorKind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(first(&remote, "after", &limited(&[])).is_ok());
}

#[test]
fn whoever_prints_much_neither_waits_nor_breaks_anything() {
    let remote = remote("fake");
    assert_eq!(parcel(first(&remote, "chatty", &limited(&[])).unwrap()).json, "{\"name\":\"chatty\"}");
}

#[test]
fn nothing_that_a_worker_says_is_believed() {
    for (lie, words) in [
        ("garbage", "it announced a message of"),
        ("huge", "it announced a message of 4294967295 bytes"),
        ("cut", "it ended without an answer"),
        ("no json", "its message is no message"),
        ("beyond", "a buffer lies outside of it"),
        ("twice", "a buffer lies outside of it"),
        ("countless", "at most"),
        ("no memory", "its memory was not sent"),
        ("unsealed", "is not sealed"),
        ("short", "expected 65536 bytes, found 64"),
        ("other", "it answered what it was not asked"),
        ("closed", "it closed its connection"),
        ("old", "protocol: expected"),
    ] {
        let remote = remote(lie);
        let start = Instant::now();
        let error = error(&remote, "x", &limited(&[("stall_ms", 2000)]));
        assert!(start.elapsed() < Duration::from_secs(2), "{lie} took {:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Worker, "{lie}: {error}");
        assert!(error.message().contains(words), "{lie}: {error}");
    }
    let error = error(&remote("written"), "x", &limited(&[("stall_ms", 300)]));
    assert_eq!(error.limit_name(), Some("stall_ms"), "a call that is refused is no answer: {error}");
    let error = self::error(&remote("flood"), "x", &limited(&[("wall_ms", 300)]));
    assert_eq!(error.limit_name(), Some("wall_ms"), "one that never stops talking is stopped: {error}");
}

#[test]
fn a_plugin_that_cannot_be_loaded_says_why() {
    let remote = remote("broken");
    for _ in 0..7 {
        let error = error(&remote, "x", &limited(&[]));
        assert_eq!((error.kind(), error.message()), (ErrorKind::Plugin, "no such symbol"), "never given up for that");
    }
}

#[test]
fn siblings_are_opened_by_the_host() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let source = source("sibling").with_siblings(MemorySiblings::default().with("leg.txt", *b"oak"));
    let answer = parcel(remote.open(&FAKE, &source, &cx).unwrap().next().unwrap());
    assert_eq!(answer.json, "oak sibling \"missing.txt\" was not given");
    assert_eq!(source.siblings_used().len(), 1);
}

#[test]
fn findings_arrive_once() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let mut session = remote.open(&FAKE, &source("findings"), &cx).unwrap();
    while session.next().unwrap().is_some() {}
    let found = cx.diagnostics().to_vec();
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*finding.code, &*finding.message, finding.count), ("fake.wobbly", "one leg is short", 6));
}

#[test]
fn streams_take_the_memory_of_a_chunk() {
    let remote = remote("fake");
    let cx = limited(&[("alloc_bytes", 8 * MIB as u64)]);
    let mut session = remote.open(&FAKE, &source("stream"), &cx).unwrap();
    assert!(matches!(session.next().unwrap(), Some(Piece::Record(_))));
    let before = limits::resident(std::process::id()).unwrap();
    for count in 2..=1001_usize {
        let chunk = parcel(session.next().unwrap());
        let bytes = (*chunk.buffers[0]).as_ref();
        assert!(bytes.len() == MIB && bytes[count % MIB] == (count % 251) as u8);
        assert_eq!(cx.budget().taken(), MIB as u64);
    }
    let grown = limits::resident(std::process::id()).unwrap().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more, of a stream of {}", 1000 * MIB);
    assert!(matches!(session.next().unwrap(), Some(Piece::EndOfStream)));
    assert!(session.next().unwrap().is_none());
}

#[test]
fn an_input_that_crashes_three_times_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let make = || Remote::with_quarantine(role("fake"), Quarantine::new("0", Some(folder.path().into())));
    let cx = limited(&[]);
    let bad = Source::from_bytes("segv", *b"bad");
    let fail = |remote: &Remote| remote.open(&FAKE, &bad, &cx).and_then(|mut session| session.next()).err().unwrap();
    for _ in 0..3 {
        assert!(fail(&make()).message().contains("SIGSEGV"));
    }
    let remote = make();
    let refused = fail(&remote);
    assert_eq!(refused.kind(), ErrorKind::Worker);
    assert!(refused.message().contains("not tried again") && refused.message().contains("SIGSEGV"), "{refused}");
    assert!(first(&remote, "good", &cx).is_ok());
}

#[test]
fn a_plugin_that_only_crashes_is_given_up() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let crash = |content: u8| {
        let source = Source::from_bytes("segv", [content]);
        remote.open(&FAKE, &source, &cx).and_then(|mut session| session.next()).err().unwrap()
    };
    for content in 0..4 {
        assert!(crash(content).message().contains("SIGSEGV"));
    }
    assert!(first(&remote, "good", &cx).is_ok(), "it counts from the start again");
    for content in 4..9 {
        assert!(crash(content).message().contains("the worker process of fake: killed by SIGSEGV"));
    }
    let given_up = error(&remote, "good", &cx);
    assert_eq!(given_up.kind(), ErrorKind::Worker);
    assert!(given_up.message().contains("fake is not used any more: its process ended 5 times in a row"), "{given_up}");
}

#[test]
fn a_worker_reaches_nothing_but_its_input() {
    let remote = remote("fake");
    let status = sandbox::status();
    let answer = parcel(first(&remote, "sandbox", &limited(&[])).unwrap()).json;
    let (denied, refused) = (Some(libc::EACCES), Some(libc::EPERM));
    let paths = if status.landlock.is_some() { denied } else { None };
    let calls = if status.seccomp { refused } else { None };
    assert!(status.seccomp, "this kernel has it");
    assert!(answer.starts_with(&format!("{paths:?} {calls:?} ")), "{answer}");
    assert!(answer.ends_with(&format!("{refused:?} Some(7) fake")), "kill, a thread, the input: {answer}");
}

fn table(rows: usize, chunks: i64) -> MediaRecord {
    let schema = vec![ColumnSpec { name: "n".into(), kind: ColumnType::Int64 }];
    let chunk = move |first: i64| {
        let numbers: Vec<i64> = (0..rows as i64).map(|row| first + row).collect();
        TableChunk::new(vec![Column { data: ColumnData::Int64(numbers.into()), valid: None }], rows)
    };
    MediaRecord::new(Table { schema, declared_rows: None, truncated: false, rows: Stream::new((0..chunks).map(chunk)) })
}

/// A built-in format of this test binary: a table of as many rows as its text says, in chunks of 1000.
struct Rows;
mediary_core::register!(Rows);

impl Format for Rows {
    fn info(&self) -> &'static FormatInfo {
        static INFO: FormatInfo = FormatInfo::new("test-rows", "Rows", &[Kind::Table])
            .signatures(&[Signature { offset: 0, bytes: b"rows ", mask: &[] }])
            .reads()
            .writes(&[]);
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let text = source.bytes(cx)?;
        let chunks = std::str::from_utf8(&text[5..]).ok().and_then(|text| text.parse().ok());
        let chunks: i64 = chunks.ok_or_else(|| Error::malformed("expected a number").at_byte(5))?;
        Ok(whole(move || if chunks < 0 { panic!("less than nothing") } else { Ok(table(1000, chunks)) }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, _: &Context) -> Result<()> {
        let Media::Table(table) = &mut record.media else { return Err(Error::unsupported("no table")) };
        let mut chunks = 0;
        while table.rows.next_chunk()?.is_some() {
            chunks += 1;
        }
        write!(out, "rows {chunks}")?;
        Ok(())
    }
}

#[test]
fn outputs_are_the_hosts_with_files_beside_them() {
    let remote = remote("fake");
    let cx = limited(&[]);
    let mut out = Output::memory();
    remote.write(&FAKE, &mut table(1, 1), &mut out, &cx).unwrap();
    let finished = out.finish().unwrap();
    assert_eq!(finished.bytes, b"headbody");
    let beside: Vec<_> = finished.siblings.iter().map(|(name, bytes)| (&**name, bytes.len())).collect();
    assert_eq!(beside, [("output.a", 3 * MIB), ("output.b", 1)]);
    let losses = cx.losses().to_vec();
    assert_eq!((&*losses[0].code, losses[0].count), ("fake.legs", 3));
    let mut small = Output::memory();
    let error = remote.write(&FAKE, &mut table(1, 1), &mut small, &limited(&[("output_bytes", 1000)])).unwrap_err();
    assert_eq!(error.limit_name(), Some("output_bytes"), "{error}");
    let mut stream = Output::spool().unwrap();
    let error = remote.write(&FAKE, &mut table(1, 1), &mut stream, &cx).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn built_in_formats_are_the_same_in_a_worker() {
    let here = Registry::builtin();
    let state = tempfile::tempdir().unwrap();
    let there = isolate(&here, &command("main").state(state.path())).unwrap();
    let source = Source::from_bytes("a", *b"rows 40");
    let read = |registry: &Registry| {
        let mut reading = registry.open(&source, &ReadOptions::default()).unwrap();
        let header = reading.header().unwrap();
        let mut record = reading.next().unwrap().unwrap();
        let mut out = Output::memory();
        registry.write(&mut record, "test-rows", &mut out, &WriteOptions::default()).unwrap();
        assert!(reading.next().is_none());
        (header, record.to_json(), out.finish().unwrap().bytes)
    };
    let (header, json, written) = read(&there);
    assert_eq!(written, b"rows 40");
    assert_eq!((header, json, written), read(&here));
    let bad = Source::from_bytes("a", *b"rows x");
    let [one, other] = [&here, &there].map(|registry| registry.open(&bad, &ReadOptions::default()).err().unwrap());
    assert_eq!((one.kind(), one.to_string(), one.location()), (other.kind(), other.to_string(), other.location()));
    let dead = Source::from_bytes("a", *b"rows -1");
    let error = there.open(&dead, &ReadOptions::default()).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Worker);
    assert!(error.message().ends_with("panicked: less than nothing"), "{error}");
    let remembered = std::fs::read_to_string(state.path().join("quarantine.jsonl")).unwrap();
    assert!(remembered.contains("less than nothing") && remembered.contains("built-in"), "{remembered}");
    assert_eq!(read(&there).2, b"rows 40");
}

/// A plugin of C in a worker process, from its sealed memory.
#[test]
fn a_plugin_is_loaded_in_the_worker_alone() {
    let shop = Workshop::new();
    let path = shop.build("told.so", &[]);
    let manifest = crate::inspect(&path).unwrap().manifest;
    let sha256 = crate::library::sha256(&path).unwrap().0;
    let library = Library::of(path, sha256);
    let plugin = super::plugin(library, &manifest, &command("main").state(shop.path()));
    let format: &'static FormatInfo = Box::leak(Box::new(manifest.formats[0]));
    let schema = format.options;
    let options = Options::resolve("told", schema, OptionUse::Read, &[("level".into(), "7".into())]).unwrap();
    let cx = || Context::builder("told").options(options.clone()).strictness(Strictness::Strict).build();
    let open = |told: &str, cx: &Context| {
        let source = Source::from_bytes("x.told", format!("TOLD {told}").into_bytes());
        let source = source.with_siblings(MemorySiblings::default().with("b.bin", *b"beside"));
        plugin.open(format, &source, cx)
    };
    let probe = Probe { head: b"TOLD", tail: b"TOLD", len: 4, name: "" };
    assert_eq!(plugin.probe(format, &probe), Confidence::yes(150, "it is told"));
    let record = parcel(open("record", &cx()).unwrap().next().unwrap());
    assert!((*record.buffers[0]).as_ref() == vec![7; MIB] && record.json == "{\"r\":1}");
    let mut stream = open("stream", &cx()).unwrap();
    let mut shape = Vec::new();
    while let Some(piece) = stream.next().unwrap() {
        shape.push(match piece {
            Piece::Record(_) => 'r',
            Piece::Chunk(_) => 'c',
            Piece::EndOfStream => 'e',
        });
    }
    assert_eq!(shape, ['r', 'c', 'c', 'c', 'e']);
    drop(stream);
    let heard = cx();
    let asked = parcel(open("ask", &heard).unwrap().next().unwrap()).json;
    let pixels = Limits::default().pixels;
    assert!(asked.starts_with(&format!("0 {pixels} ")) && asked.contains(" 7 ") && asked.ends_with(" 2 0"), "{asked}");
    let codes: Vec<_> = heard.diagnostics().to_vec().into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["told.odd-thing", "told.log"]);
    let sibling = parcel(open("sibling", &cx()).unwrap().next().unwrap()).json;
    assert!(sibling.starts_with("1 1 6 es beside "), "{sibling}");
    let failed = open("fail", &cx()).unwrap().next().err().unwrap();
    assert_eq!(failed.limit_name(), Some("elements"));
    assert_eq!(failed.to_string(), "told: too many holes (at holes[3], line 2, column 1, byte 5)");
    let broke = open("bad-utf8", &cx()).unwrap().next().err().unwrap();
    assert_eq!(broke.kind(), ErrorKind::Plugin);
    let tidy = parcel(open("count", &cx()).unwrap().next().unwrap()).json;
    let tidy: serde_json::Value = serde_json::from_str(&tidy).unwrap();
    assert_eq!(tidy["made"], tidy["released"]);
    let mut out = Output::memory();
    plugin.write(format, &mut table(10, 3), &mut out, &Context::new("told")).unwrap();
    let finished = out.finish().unwrap();
    assert_eq!(String::from_utf8_lossy(&finished.bytes), "TOLDoutput 3 1");
    assert_eq!(finished.siblings, [("beside.bin".to_owned(), b"beside".to_vec())]);
}
