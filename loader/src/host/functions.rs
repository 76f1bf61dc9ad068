//! The functions that a plugin may call while it reads or writes: from pointers to values, and to the [`Call`] that they are
//! for.
#![expect(unsafe_code, reason = "functions that foreign code calls with pointers; see the SAFETY notes")]

use std::ffi::c_void;
use std::io::{Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mediary_core::plugin::abi::{self, Buf, Message, STATUS_END, STATUS_OK, STATUS_PLUGIN, STATUS_UNSUPPORTED, Str};
use mediary_core::plugin::raw::Lent;
use mediary_core::plugin::{failure, raw};
use mediary_core::wire::{self, Bytes};
use mediary_core::{Error, ErrorKind, Result, SourceBytes, Strictness};

use super::call::{Call, Stream, lock};
use super::{FARTHEST, NONE, breach, severity};

/// Buffers of one message.
const MOST_BUFFERS: usize = 1 << 20;
/// Bytes of a text for people that are kept.
const LONGEST: usize = 4 << 10;

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

/// A pointer for a message. Where it points to differs from run to run, and a message does not.
fn address<T>(pointer: *const T) -> &'static str {
    match (pointer.is_null(), pointer.is_aligned()) {
        (true, _) => "NULL",
        (_, false) => "an address that is not aligned",
        (_, true) => "an address",
    }
}

/// Text of the contract, which is UTF-8.
///
/// # Safety
/// As [`raw::bytes`].
unsafe fn utf8<'a>(text: Str, what: &str) -> Result<&'a str> {
    if text.len > isize::MAX as usize || (text.ptr.is_null() && text.len > 0) {
        return Err(breach(format!("{what} has {} bytes at {}", text.len, address(text.ptr))));
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
        return Err(breach(format!("{what} has no place: {}", address(to))));
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
        return Err(breach(format!("{what} has no place: {}", address(to))));
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

pub(super) const TABLE: abi::Host = abi::Host {
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
            return Err(breach(format!("it wanted {len} bytes read to {}", address(to))));
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

struct Mapped(Arc<SourceBytes>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
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
            return Err(breach(format!("the bytes have no place: {}", address(bytes))));
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
        return Err(breach(format!("it emitted {count} buffers at {}", address(buffers))));
    }
    // SAFETY: the caller's word.
    let buffers = unsafe { std::slice::from_raw_parts_mut(buffers, count) };
    let mut broken = None;
    let mut taken: Vec<Bytes> = Vec::with_capacity(count);
    for (index, buffer) in buffers.iter_mut().enumerate() {
        // SAFETY: the caller's word.
        match unsafe { raw::Taken::take(buffer) } {
            Some(bytes) if bytes.is_sound() => taken.push(Arc::new(bytes)),
            Some(_) => {
                broken = broken.or(Some(format!("buffer {index} has {} bytes at {}", buffer.len, address(buffer.ptr))))
            }
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
            return Err(breach(format!("it wrote {len} bytes at {}", address(bytes))));
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
