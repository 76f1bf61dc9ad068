//! What a plugin in this process is offered during one call or by one reader: the table of host functions and what they work
//! on. Whatever a plugin hands over is checked here.
#![expect(unsafe_code, reason = "functions that foreign code calls with pointers; see the SAFETY notes")]

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::c_void;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mediary_core::plugin::abi::{
    self, ABI_MAJOR, ABI_MINOR, Buf, Message, STATUS_END, STATUS_OK, STATUS_PLUGIN, STATUS_UNSUPPORTED, Str,
};
use mediary_core::plugin::{failure, raw};
use mediary_core::wire::{self, Bytes, Parcel, Piece};
use mediary_core::{Context, Error, ErrorKind, MediaRecord, Output, Result, Severity, Source, SourceBytes, Strictness};

/// Messages that may wait to be read: a plugin emits one or a few a call.
const MOST_WAITING: usize = 1024;
/// Buffers of one message.
const MOST_BUFFERS: usize = 1 << 20;
/// Different findings of one call: beyond them they share a code.
const MOST_CODES: usize = 256;
/// Bytes of a text for people that are kept.
const LONGEST: usize = 4 << 10;
/// How far beyond its end an output may be continued.
pub(crate) const FARTHEST: u64 = 16 << 20;

/// A table that offers nothing.
pub(crate) const NONE: abi::Host = abi::Host {
    size: size_of::<abi::Host>() as u32,
    major: ABI_MAJOR,
    minor: ABI_MINOR,
    ctx: std::ptr::null_mut(),
    read_at: None,
    map: None,
    descriptor: None,
    open_sibling: None,
    checkpoint: None,
    reserve: None,
    limit: None,
    option: None,
    strictness: None,
    log: None,
    report: None,
    lose: None,
    emit: None,
    pull: None,
    create: None,
    write: None,
    seek: None,
    stem: None,
    fail: None,
};

/// What is offered while a reader lives, or a call of `probe` or `write` lasts.
pub(crate) struct Call<'w> {
    table: Host,
    cx: Context,
    options: Vec<(&'static str, String)>,
    streams: Mutex<Vec<Stream>>,
    state: Mutex<State>,
    writing: Mutex<Option<Writing<'w>>>,
}

/// The table, whose `ctx` is the [`Call`] it stands in.
struct Host(abi::Host);

// SAFETY: the functions may be called from any thread, and `ctx` points to a `Call`, which is `Sync` otherwise.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// An input that the plugin knows by its place in the list.
struct Stream {
    /// The name it was asked for by.
    name: String,
    source: Source,
    bytes: Option<Arc<SourceBytes>>,
    file: Option<File>,
}

#[derive(Default)]
struct State {
    asked: Asked,
    header: Option<Parcel>,
    waiting: VecDeque<Piece>,
    /// Bytes of what waits.
    bytes: u64,
    /// The first error that the plugin cannot make good.
    fatal: Option<Error>,
    /// The last error of the host.
    last: Option<Error>,
    /// What the plugin says.
    failure: Option<Error>,
    codes: BTreeSet<String>,
    reserved: u64,
}

/// What may be emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    #[default]
    Nothing,
    Header,
    Pieces,
}

/// What is written, and where to.
pub(crate) struct Writing<'w> {
    record: &'w mut MediaRecord,
    out: &'w mut Output,
    stem: String,
    /// Files beside the output, by number from 1.
    created: Vec<String>,
    chunk: Option<Lent>,
    /// Whether the record's stream was read to its end.
    at_end: bool,
    position: u64,
    len: u64,
    /// Bytes written to all files.
    written: u64,
}

impl<'w> Writing<'w> {
    pub(crate) fn new(record: &'w mut MediaRecord, out: &'w mut Output) -> Self {
        let stem = out.stem();
        let at_end = !wire::streams(record);
        Self { record, out, stem, created: Vec::new(), chunk: None, at_end, position: 0, len: 0, written: 0 }
    }
}

/// A message lent to the plugin, which may take any of its buffers over.
pub(crate) struct Lent {
    message: Message,
    json: String,
    buffers: Vec<Buf>,
}

// SAFETY: the pointers of the message point into the other two fields; its buffers may be released from any thread.
unsafe impl Send for Lent {}

impl Lent {
    pub(crate) fn new(what: u32, parcel: Parcel) -> Self {
        let mut buffers: Vec<Buf> = parcel.buffers.into_iter().map(Buf::hand_over).collect();
        let message = Message {
            size: size_of::<Message>() as u32,
            what,
            json: Str::of(&parcel.json),
            buffers: buffers.as_mut_ptr(),
            buffer_count: buffers.len(),
        };
        Self { message, json: parcel.json, buffers }
    }

    /// For a call.
    pub(crate) fn message(&mut self) -> &mut Message {
        self.message.json = Str::of(&self.json);
        &mut self.message
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for buffer in &mut self.buffers {
            // SAFETY: made by `hand_over`; one that the plugin took over has no `release` any more and stays.
            drop(unsafe { raw::Taken::take(buffer) });
        }
    }
}

struct Mapped(Arc<SourceBytes>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The plugin broke the contract.
pub(crate) fn breach(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, what).with_hint("the plugin is at fault, not the file; tell its author")
}

impl<'w> Call<'w> {
    /// For reading `source`, for writing, or, with neither, for a look.
    pub(crate) fn new(cx: Context, source: Option<Source>, writing: Option<Writing<'w>>) -> Arc<Self> {
        let streams = source.map(|source| Stream { name: String::new(), source, bytes: None, file: None });
        Arc::new_cyclic(|call: &Weak<Self>| Self {
            table: Host(abi::Host { ctx: call.as_ptr().cast_mut().cast(), ..TABLE }),
            options: cx.options().spelled().collect(),
            cx,
            streams: Mutex::new(streams.into_iter().collect()),
            state: Mutex::default(),
            writing: Mutex::new(writing),
        })
    }

    /// For the plugin, as long as the call lives.
    pub(crate) fn host(&self) -> *const abi::Host {
        &raw const self.table.0
    }

    pub(crate) fn cx(&self) -> &Context {
        &self.cx
    }

    /// Runs a function of the plugin, which may emit what is `asked`, and weighs what it returned against what was said
    /// meanwhile: `STATUS_OK` or `STATUS_END`.
    pub(crate) fn run(&self, asked: Asked, function: impl FnOnce(*const abi::Host) -> i32) -> Result<i32> {
        {
            let mut state = lock(&self.state);
            (state.asked, state.fatal, state.last, state.failure) = (asked, None, None, None);
        }
        let running = Running::new(&self.cx);
        let status = function(self.host());
        drop(running);
        let mut state = lock(&self.state);
        state.asked = Asked::Nothing;
        if let Some(error) = state.fatal.take() {
            return Err(error);
        }
        match status {
            STATUS_OK | STATUS_END => Ok(status),
            STATUS_PLUGIN..0 => Err(state.failure.take().or_else(|| state.last.take()).unwrap_or_else(|| {
                Error::new(failure::kind(status), format!("it failed with status {status} without a word"))
            })),
            _ => Err(breach(format!("it returned status {status}, which has no meaning"))),
        }
    }

    /// The header that was emitted.
    pub(crate) fn take_header(&self) -> Option<Parcel> {
        lock(&self.state).header.take()
    }

    /// The first piece that waits.
    pub(crate) fn take_piece(&self) -> Option<Piece> {
        let mut state = lock(&self.state);
        let piece = state.waiting.pop_front()?;
        state.bytes = state.bytes.saturating_sub(match &piece {
            Piece::Record(parcel) | Piece::Chunk(parcel) => weight(parcel),
            Piece::EndOfStream => 0,
        });
        Some(piece)
    }

    /// Reads what the writer left of the record's stream: its facts are those of the whole.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut writing = lock(&self.writing);
        let Some(writing) = &mut *writing else { return Ok(()) };
        while !writing.at_end {
            self.cx.checkpoint()?;
            writing.at_end = wire::pack_chunk(writing.record)?.is_none();
        }
        Ok(())
    }

    fn remember(&self, error: Error, fatal: bool) {
        let mut state = lock(&self.state);
        if fatal && state.fatal.is_none() {
            state.fatal = Some(error);
        } else {
            state.last = Some(error);
        }
    }

    fn stream<T>(&self, number: u32, use_it: impl FnOnce(&mut Stream) -> Result<T>) -> Result<T> {
        let mut streams = lock(&self.streams);
        let count = streams.len();
        let stream = streams.get_mut(number as usize);
        use_it(stream.ok_or_else(|| breach(format!("it asked for input {number}, there are {count}")))?)
    }

    fn writing<T>(&self, use_it: impl FnOnce(&mut Writing<'w>) -> Result<T>) -> Result<T> {
        match &mut *lock(&self.writing) {
            Some(writing) => use_it(writing),
            None => Err(breach("it wrote although nothing is written")),
        }
    }

    /// The code of a finding, of which there are so many and no more.
    fn code(&self, code: &str) -> String {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let legal = !code.is_empty() && code.len() <= 64 && code.bytes().all(legal);
        let code = if legal { code } else { "finding" };
        let codes = &mut lock(&self.state).codes;
        if codes.len() >= MOST_CODES && !codes.contains(code) {
            return "more-findings".into();
        }
        codes.insert(code.to_owned());
        code.to_owned()
    }

    /// Takes all buffers over, also those of a message that is refused afterwards.
    fn emit(&self, what: u32, json: Result<String>, buffers: Result<Vec<Bytes>>) -> Result<i32> {
        let parcel = Parcel { json: json?, buffers: buffers? };
        let weight = weight(&parcel);
        // Declared before the state is locked, and so dropped after: a `release` may call the host again.
        let mut piece = Some(match what {
            abi::MESSAGE_HEADER | abi::MESSAGE_RECORD => Piece::Record(parcel),
            abi::MESSAGE_CHUNK => Piece::Chunk(parcel),
            abi::MESSAGE_END_OF_STREAM => Piece::EndOfStream,
            _ => return Err(breach(format!("it emitted message {what}, which has no meaning"))),
        });
        let mut state = lock(&self.state);
        let header = what == abi::MESSAGE_HEADER;
        if state.asked != (if header { Asked::Header } else { Asked::Pieces }) {
            let emitted = ["a header", "a record", "a chunk", "an end of a stream"][what.min(3) as usize];
            return Err(breach(format!("it emitted {emitted} when asked for {}", state.asked.as_str())));
        }
        if header {
            if state.header.is_some() {
                return Err(breach("it emitted two headers"));
            }
            if let Some(Piece::Record(parcel)) = piece.take() {
                state.header = Some(parcel);
            }
            return Ok(STATUS_OK);
        }
        let (bytes, allowed) = (state.bytes.saturating_add(weight), self.cx.budget().allowed());
        if bytes > allowed {
            return Err(Error::limit("alloc_bytes", bytes, allowed));
        }
        if state.waiting.len() >= MOST_WAITING {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("it emitted more than {MOST_WAITING} messages at once, expected one or a few"),
            ));
        }
        state.bytes = bytes;
        state.waiting.extend(piece.take());
        Ok(STATUS_OK)
    }
}

impl Asked {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Header => "a header",
            Self::Pieces => "records",
        }
    }
}

thread_local! {
    /// What plugins are doing on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
}

/// A function of a plugin is running on this thread.
struct Running;

impl Running {
    fn new(cx: &Context) -> Self {
        RUNNING.with_borrow_mut(|running| running.push(cx.clone()));
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

/// Logs a line that comes without its call, such as that of a panic; `false` when no plugin is running on this thread.
pub(crate) fn log_here(level: u32, text: &str) -> bool {
    let cx = RUNNING.try_with(|running| running.try_borrow().ok()?.last().cloned()).ok().flatten();
    cx.map(|cx| cx.report(severity(level), "log", text, None)).is_some()
}

/// Bytes of memory.
fn weight(parcel: &Parcel) -> u64 {
    let buffers = parcel.buffers.iter().map(|buffer| (**buffer).as_ref().len() as u64);
    buffers.fold(parcel.json.len() as u64, u64::saturating_add)
}

/// What an error of a host function does to the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// The plugin may go on.
    None,
    /// What it makes is not whole any more, whatever it returns.
    Fatal,
}

/// Runs a host function: a panic or an error becomes a status, and the error is kept.
///
/// # Safety
/// `ctx` is NULL or that of a [`Call`]'s table, while that lives.
unsafe fn enter(ctx: *mut c_void, harm: Harm, run: impl FnOnce(&Call<'_>) -> Result<i32>) -> i32 {
    // SAFETY: the caller's word.
    let Some(call) = (unsafe { ctx.cast_const().cast::<Call<'_>>().as_ref() }) else { return STATUS_PLUGIN };
    let done = catch_unwind(AssertUnwindSafe(|| run(call))).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        Err(Error::new(ErrorKind::Plugin, "a host function broke down"))
    });
    done.unwrap_or_else(|cause| {
        let status = failure::status(cause.kind());
        call.remember(cause, harm == Harm::Fatal);
        status
    })
}

/// Text of the contract, which is UTF-8.
///
/// # Safety
/// As [`raw::bytes`].
unsafe fn utf8<'a>(text: Str, what: &str) -> Result<&'a str> {
    if text.len > isize::MAX as usize || (text.ptr.is_null() && text.len > 0) {
        return Err(breach(format!("{what} has {} bytes at {:?}", text.len, text.ptr)));
    }
    // SAFETY: the caller's word.
    let bytes = unsafe { raw::bytes(text) };
    std::str::from_utf8(bytes).map_err(|error| breach(format!("{what} is not UTF-8 at byte {}", error.valid_up_to())))
}

/// Puts an answer where the plugin wants it.
///
/// # Safety
/// `to` is NULL or a place for one.
unsafe fn answer<T>(to: *mut T, what: &str, value: T) -> Result<i32> {
    if to.is_null() || !to.is_aligned() {
        return Err(breach(format!("{what} has no place: {to:?}")));
    }
    // SAFETY: the caller's word.
    unsafe { to.write(value) };
    Ok(STATUS_OK)
}

/// Puts an answer into a struct of the plugin's that says its size.
///
/// # Safety
/// `to` is NULL or points to a struct of as many bytes as its `size` says.
unsafe fn answer_sized<T: raw::Grows>(to: *mut T, what: &str, value: &T) -> Result<i32> {
    if to.is_null() || !to.is_aligned() {
        return Err(breach(format!("{what} has no place: {to:?}")));
    }
    // SAFETY: the caller's word; the size comes first.
    let size = unsafe { to.cast::<u32>().read() } as usize;
    // This is the first minor number: what is smaller than ours was not set up.
    if size < size_of::<T>() {
        return Err(breach(format!("{what} says it has {size} bytes, expected {}", size_of::<T>())));
    }
    // SAFETY: the caller's word.
    unsafe { raw::put(to, value) };
    Ok(STATUS_OK)
}

const TABLE: abi::Host = abi::Host {
    read_at: Some(read_at),
    map: Some(map),
    descriptor: Some(descriptor),
    open_sibling: Some(open_sibling),
    checkpoint: Some(checkpoint),
    reserve: Some(reserve),
    limit: Some(limit),
    option: Some(option),
    strictness: Some(strictness),
    log: Some(log),
    report: Some(report),
    lose: Some(lose),
    emit: Some(emit),
    pull: Some(pull),
    create: Some(create),
    write: Some(write),
    seek: Some(seek),
    stem: Some(stem),
    fail: Some(fail),
    ..NONE
};

unsafe extern "C" fn read_at(ctx: *mut c_void, stream: u32, offset: u64, to: *mut u8, len: usize) -> i64 {
    let mut count = 0;
    let run = |call: &Call<'_>| {
        if len > isize::MAX as usize || (to.is_null() && len > 0) {
            return Err(breach(format!("it wanted {len} bytes read to {to:?}")));
        }
        // Out of the lock: other threads may read too.
        let source = call.stream(stream, |stream| Ok(stream.source.clone()))?;
        if len > 0 {
            // SAFETY: the contract: `len` bytes that may be written. They are only written to.
            count = source.read_at(offset, unsafe { std::slice::from_raw_parts_mut(to, len) })?;
        }
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    match unsafe { enter(ctx, Harm::None, run) } {
        STATUS_OK => count as i64,
        status => i64::from(status),
    }
}

unsafe extern "C" fn map(ctx: *mut c_void, stream: u32, bytes: *mut Buf) -> i32 {
    let run = |call: &Call<'_>| {
        let mapped = call.stream(stream, |stream| {
            if let Some(known) = &stream.bytes {
                return Ok(Arc::clone(known));
            }
            let mapped = Arc::new(stream.source.bytes(&call.cx)?);
            stream.bytes = Some(Arc::clone(&mapped));
            Ok(mapped)
        })?;
        if bytes.is_null() || !bytes.is_aligned() {
            return Err(breach(format!("the bytes have no place: {bytes:?}")));
        }
        // SAFETY: the contract: a place for a buffer.
        unsafe { answer(bytes, "the bytes", Buf::hand_over(Arc::new(Mapped(mapped)))) }
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

#[cfg(unix)]
unsafe extern "C" fn descriptor(ctx: *mut c_void, stream: u32) -> i32 {
    let mut number = STATUS_UNSUPPORTED;
    let run = |call: &Call<'_>| {
        call.stream(stream, |stream| {
            if stream.file.is_none() {
                stream.file = stream.source.file()?;
            }
            let file = stream.file.as_ref().ok_or_else(|| Error::unsupported("the input is not a file"))?;
            number = std::os::fd::AsRawFd::as_raw_fd(file);
            Ok(STATUS_OK)
        })
    };
    // SAFETY: the contract.
    match unsafe { enter(ctx, Harm::None, run) } {
        STATUS_OK => number,
        status => status,
    }
}

#[cfg(not(unix))]
unsafe extern "C" fn descriptor(_: *mut c_void, _: u32) -> i32 {
    STATUS_UNSUPPORTED
}

unsafe extern "C" fn open_sibling(ctx: *mut c_void, name: Str, sibling: *mut abi::Input) -> i32 {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let name = unsafe { utf8(name, "the name of a sibling") }?;
        let main = call.stream(0, |stream| Ok(stream.source.clone()))?;
        let mut streams = lock(&call.streams);
        let known = streams.iter().skip(1).position(|stream| stream.name == name);
        let number = match known {
            Some(known) => known + 1,
            None => {
                let source = main.sibling(name, &call.cx)?;
                streams.push(Stream { name: name.to_owned(), source, bytes: None, file: None });
                streams.len() - 1
            }
        };
        let source = &streams[number].source;
        let input = abi::Input {
            size: size_of::<abi::Input>() as u32,
            stream: u32::try_from(number).map_err(|_| breach("it opened too many siblings"))?,
            len: source.len(),
            name: Str::of(source.name()),
        };
        // SAFETY: the contract.
        unsafe { answer_sized(sibling, "the sibling", &input) }
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn checkpoint(ctx: *mut c_void) -> i32 {
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::Fatal, |call| call.cx.checkpoint().map(|()| STATUS_OK)) }
}

unsafe extern "C" fn reserve(ctx: *mut c_void, delta: i64) -> i32 {
    let run = |call: &Call<'_>| {
        let (mut state, bytes) = (lock(&call.state), delta.unsigned_abs());
        if delta >= 0 {
            call.cx.budget().take(bytes)?;
            state.reserved = state.reserved.saturating_add(bytes);
        } else {
            // Only what it has taken itself.
            let bytes = bytes.min(state.reserved);
            call.cx.budget().give_back(bytes);
            state.reserved -= bytes;
        }
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn limit(ctx: *mut c_void, name: Str, value: *mut u64) -> i32 {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let name = unsafe { utf8(name, "the name of a limit") }?;
        let unknown = || Error::new(ErrorKind::InvalidOption, format!("there is no limit {name:?}"));
        let found = call.cx.limits().get(name).ok_or_else(unknown)?;
        // SAFETY: the contract.
        unsafe { answer(value, "the limit", found) }
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn option(ctx: *mut c_void, name: Str, value: *mut Str) -> i32 {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let name = unsafe { utf8(name, "the name of an option") }?;
        let unknown = || Error::new(ErrorKind::InvalidOption, format!("the manifest has no option {name:?}"));
        let (_, text) = call.options.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        // SAFETY: the contract.
        unsafe { answer(value, "the option", Str::of(text)) }
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn strictness(ctx: *mut c_void) -> u32 {
    let mut strictness = 1;
    let run = |call: &Call<'_>| {
        strictness = match call.cx.strictness() {
            Strictness::Lenient => 0,
            Strictness::Default => 1,
            Strictness::Strict => 2,
        };
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) };
    strictness
}

fn severity(number: u32) -> Severity {
    match number {
        abi::SEVERITY_INFO => Severity::Info,
        abi::SEVERITY_WARNING => Severity::Warning,
        _ => Severity::Error,
    }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, text: Str) {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let text = unsafe { raw::text(text, LONGEST) };
        call.cx.report(severity(level), &call.code("log"), text, None);
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) };
}

unsafe extern "C" fn report(ctx: *mut c_void, finding: *const abi::Finding) {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract, for the finding and its texts.
        let (finding, code, message, place) = unsafe {
            let finding = raw::sized(finding).ok_or_else(|| breach("it reported NULL"))?;
            let (code, message) = (raw::text(finding.code, LONGEST), raw::text(finding.message, LONGEST));
            let whole = finding.size as usize >= std::mem::offset_of!(abi::Finding, count);
            let place = if whole { failure::read_place(&finding.place) } else { None };
            (finding, code, message, place)
        };
        // What is reported did occur.
        call.cx.report_times(severity(finding.severity), &call.code(&code), message, place, finding.count.max(1));
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) };
}

unsafe extern "C" fn lose(ctx: *mut c_void, code: Str, count: u64, message: Str) {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let (code, message) = unsafe { (raw::text(code, LONGEST), raw::text(message, LONGEST)) };
        call.cx.lose(&call.code(&code), count, message);
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) };
}

unsafe extern "C" fn emit(ctx: *mut c_void, message: *const Message) -> i32 {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let Some(message) = (unsafe { raw::sized(message) }) else { return Err(breach("it emitted NULL")) };
        if (message.size as usize) < size_of::<Message>() {
            return Err(breach(format!(
                "its message says it has {} bytes, expected {}",
                message.size,
                size_of::<Message>()
            )));
        }
        // SAFETY: the contract. The buffers come first: they are ours whatever the rest is like.
        let buffers = unsafe { take_buffers(message.buffers, message.buffer_count) };
        // SAFETY: the contract.
        let json = unsafe { utf8(message.json, "its JSON") }.map(str::to_owned);
        call.emit(message.what, json, buffers)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::Fatal, run) }
}

/// Takes all buffers over. The first that is broken is an error; the others are released.
///
/// # Safety
/// As many buffers of the contract as `count` says.
unsafe fn take_buffers(buffers: *mut Buf, count: usize) -> Result<Vec<Bytes>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if buffers.is_null() || !buffers.is_aligned() || count > MOST_BUFFERS {
        return Err(breach(format!("it emitted {count} buffers at {buffers:?}")));
    }
    // SAFETY: the caller's word.
    let buffers = unsafe { std::slice::from_raw_parts_mut(buffers, count) };
    let mut broken = None;
    let mut taken: Vec<Bytes> = Vec::with_capacity(count);
    for (index, buffer) in buffers.iter_mut().enumerate() {
        // SAFETY: the caller's word.
        match unsafe { raw::Taken::take(buffer) } {
            Some(bytes) if bytes.is_sound() => taken.push(Arc::new(bytes)),
            Some(_) => broken = broken.or(Some(format!("buffer {index} has {} bytes at {:?}", buffer.len, buffer.ptr))),
            None if buffer.len == 0 => taken.push(Arc::new([0; 0])),
            None => broken = broken.or(Some(format!("buffer {index} has no release"))),
        }
    }
    broken.map_or(Ok(taken), |broken| Err(breach(broken)))
}

unsafe extern "C" fn pull(ctx: *mut c_void, chunk: *mut Message) -> i32 {
    let run = |call: &Call<'_>| {
        call.writing(|writing| {
            // What was lent before is so no more.
            writing.chunk = None;
            let parcel = if writing.at_end { None } else { wire::pack_chunk(writing.record)? };
            let Some(parcel) = parcel else {
                writing.at_end = true;
                return Ok(STATUS_END);
            };
            let lent = writing.chunk.insert(Lent::new(abi::MESSAGE_CHUNK, parcel));
            // SAFETY: the contract.
            unsafe { answer_sized(chunk, "the chunk", lent.message()) }
        })
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::Fatal, run) }
}

unsafe extern "C" fn create(ctx: *mut c_void, name: Str, output: *mut u32) -> i32 {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let name = unsafe { utf8(name, "the name of an output") }?;
        let number = call.writing(|writing| {
            if writing.created.iter().any(|known| known == name) {
                return Err(breach(format!("it creates {name:?} twice")));
            }
            call.cx.limits().check("sibling_files", writing.created.len() as u64 + 1)?;
            writing.out.sibling(name)?;
            writing.created.push(name.to_owned());
            u32::try_from(writing.created.len()).map_err(|_| breach("it created too many files"))
        })?;
        // SAFETY: the contract.
        unsafe { answer(output, "the output", number) }
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn write(ctx: *mut c_void, output: u32, bytes: *const u8, len: usize) -> i32 {
    let run = |call: &Call<'_>| {
        if len > isize::MAX as usize || (bytes.is_null() && len > 0) {
            return Err(breach(format!("it wrote {len} bytes at {bytes:?}")));
        }
        // SAFETY: the contract.
        let bytes = unsafe { raw::bytes(Str { ptr: bytes, len }) };
        call.writing(|writing| {
            writing.written = writing.written.saturating_add(len as u64);
            call.cx.limits().check("output_bytes", writing.written)?;
            if output == 0 {
                writing.out.write_all(bytes)?;
                writing.position = writing.position.saturating_add(len as u64);
                writing.len = writing.len.max(writing.position);
                return Ok(STATUS_OK);
            }
            let file = writing.created.get(output as usize - 1).and_then(|name| writing.out.sibling_mut(name));
            file.ok_or_else(|| breach(format!("it wrote to output {output}, which it has not created")))?
                .write_all(bytes)?;
            Ok(STATUS_OK)
        })
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::Fatal, run) }
}

unsafe extern "C" fn seek(ctx: *mut c_void, position: u64) -> i32 {
    let run = |call: &Call<'_>| {
        call.writing(|writing| {
            // What lies between is filled with zeros, which may be in memory.
            if position > writing.len.saturating_add(FARTHEST) {
                return Err(breach(format!("it went to byte {position} of an output of {} bytes", writing.len)));
            }
            writing.out.seek(SeekFrom::Start(position))?;
            writing.position = position;
            Ok(STATUS_OK)
        })
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::Fatal, run) }
}

unsafe extern "C" fn stem(ctx: *mut c_void, stem: *mut Str) -> i32 {
    let run = |call: &Call<'_>| {
        // Valid as long as the call: the text is never changed.
        // SAFETY: the contract.
        call.writing(|writing| unsafe { answer(stem, "the stem", Str::of(&writing.stem)) })
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) }
}

unsafe extern "C" fn fail(ctx: *mut c_void, cause: *const abi::Failure) {
    let run = |call: &Call<'_>| {
        // SAFETY: the contract.
        let cause = unsafe { failure::read(cause) };
        lock(&call.state).failure = Some(cause);
        Ok(STATUS_OK)
    };
    // SAFETY: the contract.
    unsafe { enter(ctx, Harm::None, run) };
}
