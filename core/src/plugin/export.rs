//! The plugin side: makes a loadable plugin of types that implement [`Format`].
//!
//! A crate of type `cdylib` writes
//!
//! ```ignore
//! mediary_core::export_plugin! { Off: INFO, Other: OTHER_INFO; needs: programs }
//! ```
//!
//! with unit structs and their [`FormatInfo`](crate::FormatInfo)s, which are `const`; `needs` may be left out. Nothing else tells a
//! plugin from a built-in format.
#![expect(unsafe_code, reason = "the callbacks take what the host points to on its word, as the contract has it")]

use std::any::Any;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::abi::{
    ABI_MAJOR, ABI_MINOR, Answer, FLAG_CATCHES_PANICS, FLAG_LITTLE_ENDIAN, Host, Input, MESSAGE_CHUNK,
    MESSAGE_END_OF_STREAM, MESSAGE_HEADER, MESSAGE_RECORD, Message, Plugin, SCORE_UNKNOWN, STAMP_MAGIC, STATUS_END,
    STATUS_OK, Stamp, Str, View,
};
use super::host::{Handle, Log, breach};
use super::{failure, host, raw};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Format, FormatReader};
use crate::options::OptionUse;
use crate::probe::{Confidence, Probe};
use crate::wire::{self, Parcel, Piece};

/// Bytes of a format's id.
const LONGEST_ID: usize = 64;
/// Bytes of a name.
const LONGEST_NAME: usize = 64 << 10;

/// A list of formats that is offered through the C tables.
pub trait Exported: 'static {
    /// The formats.
    fn formats() -> &'static [&'static dyn Format];
}

/// The C table of `E`: what the entry of a plugin returns. A host that wants its own formats behind the same interface (in a
/// worker process) takes it as it is.
#[derive(Debug)]
pub struct Table<E>(PhantomData<E>);

impl<E: Exported> Table<E> {
    /// The table.
    pub const TABLE: &'static Plugin = &Plugin {
        size: size_of::<Plugin>() as u32,
        major: ABI_MAJOR,
        minor: ABI_MINOR,
        probe: Some(probe::<E>),
        open: Some(open::<E>),
        header: Some(header),
        next: Some(next),
        close: Some(close),
        write: Some(write::<E>),
    };
}

/// What the entry symbol does: panics go to the host's log from now on.
///
/// # Safety
/// `host` is NULL or the host of an entry.
#[doc(hidden)]
pub unsafe fn entry<E: Exported>(host: *const Host) -> *const Plugin {
    static ROUTED: Once = Once::new();
    // SAFETY: the caller's word.
    if let Some(log) = unsafe { Log::of(host) } {
        ROUTED.call_once(|| std::panic::set_hook(Box::new(move |panic| log.error(&panic.to_string()))));
    }
    Table::<E>::TABLE
}

/// The stamp of a plugin that this version of the crate makes.
#[doc(hidden)]
#[must_use]
pub const fn stamp(catches_panics: bool) -> Stamp {
    let text = concat!("rust, mediary-core ", env!("CARGO_PKG_VERSION")).as_bytes();
    let mut builder = [0; 64];
    let mut at = 0;
    while at < text.len() && at < builder.len() - 1 {
        builder[at] = text[at];
        at += 1;
    }
    Stamp {
        magic: STAMP_MAGIC,
        size: size_of::<Stamp>() as u32,
        major: ABI_MAJOR,
        minor: ABI_MINOR,
        pointer_bits: usize::BITS,
        flags: (if catches_panics { FLAG_CATCHES_PANICS } else { 0 })
            | (if cfg!(target_endian = "little") { FLAG_LITTLE_ENDIAN } else { 0 }),
        builder,
    }
}

/// Makes a plugin of formats: see [`plugin::export`](crate::plugin::export).
#[macro_export]
macro_rules! export_plugin {
    ($($format:path : $info:path),+ $(,)? $(; needs: $($need:ident),+ $(,)?)?) => {
        const _: () = {
            struct Exported;

            impl $crate::plugin::export::Exported for Exported {
                fn formats() -> &'static [&'static dyn $crate::Format] {
                    &[$(&$format),+]
                }
            }

            const DECLARATION: $crate::plugin::Declaration = $crate::plugin::Declaration {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                license: env!("CARGO_PKG_LICENSE"),
                needs: &[$($($crate::export_plugin!(@need $need)),+)?],
                formats: &[$($info),+],
            };

            #[used]
            #[unsafe(no_mangle)]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".mediary_abi"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mediary_abi"))]
            #[cfg_attr(windows, unsafe(link_section = ".medabi"))]
            static mediary_stamp: $crate::plugin::abi::Stamp =
                $crate::plugin::export::stamp(cfg!(panic = "unwind"));

            #[used]
            #[unsafe(no_mangle)]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".mediary_manifest"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mediary_man"))]
            #[cfg_attr(windows, unsafe(link_section = ".medman"))]
            static mediary_manifest: [u8; DECLARATION.measure()] = DECLARATION.json();

            #[unsafe(no_mangle)]
            unsafe extern "C" fn mediary_plugin_v1(
                host: *const $crate::plugin::abi::Host,
            ) -> *const $crate::plugin::abi::Plugin {
                // SAFETY: by contract this is the host of the entry.
                unsafe { $crate::plugin::export::entry::<Exported>(host) }
            }
        };
    };
    (@need programs) => {
        $crate::plugin::Need::Programs
    };
}

/// An input being read.
struct Reading {
    host: Handle,
    format: &'static str,
    cx: Context,
    reader: Box<dyn FormatReader>,
    pieces: wire::Pieces,
    /// Bytes the reader had taken before its first record.
    before_records: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Alive,
    /// There is nothing more.
    Ended,
    /// It failed or panicked: what it holds may be half done.
    Dead,
}

impl Reading {
    /// Runs `step`. The reader is dead unless `step` says that it survived, also when it panics.
    fn step(&mut self, step: impl FnOnce(&mut Self) -> Result<i32>) -> Result<i32> {
        match std::mem::replace(&mut self.state, State::Dead) {
            State::Alive => {
                let status = step(self);
                self.host.deliver(&self.cx, self.format);
                status
            }
            State::Ended => {
                self.state = State::Ended;
                Ok(STATUS_END)
            }
            State::Dead => Err(breach("it asked a reader again that had failed")),
        }
    }

    fn header(&mut self) -> Result<i32> {
        let header = self.reader.header();
        // A broken header is not the end: the records may still be readable.
        self.state = State::Alive;
        self.host.emit(MESSAGE_HEADER, wire::pack_header(&header?)?)?;
        Ok(STATUS_OK)
    }

    fn advance(&mut self) -> Result<i32> {
        if let Some(piece) = self.pieces.rest() {
            // A broken stream is not the end: the next record may still be readable.
            self.state = State::Alive;
            let (what, parcel) = match piece? {
                Piece::Record(parcel) => (MESSAGE_RECORD, parcel),
                Piece::Chunk(parcel) => (MESSAGE_CHUNK, parcel),
                Piece::EndOfStream => (MESSAGE_END_OF_STREAM, Parcel::default()),
            };
            self.host.emit(what, parcel)?;
            return Ok(STATUS_OK);
        }
        // The record before is the host's by now: the budget is that of one record. The host gives its own back itself.
        let budget = self.cx.budget();
        let kept = *self.before_records.get_or_insert_with(|| budget.taken());
        budget.forget(budget.taken().saturating_sub(kept));
        let Some(record) = self.reader.next_record()? else {
            self.state = State::Ended;
            return Ok(STATUS_END);
        };
        self.pieces.record(record, |parcel| self.host.emit(MESSAGE_RECORD, parcel))?;
        self.state = State::Alive;
        Ok(STATUS_OK)
    }
}

fn find<E: Exported>(id: Str) -> Result<&'static dyn Format> {
    // SAFETY: by contract text is there for the call.
    let id = unsafe { raw::text(id, LONGEST_ID) };
    let format = E::formats().iter().copied().find(|format| format.info().id == id);
    format.ok_or_else(|| breach(format!("it asked for the format {id:?}, which is not here")))
}

/// Runs a callback. Whatever goes wrong is told to the host and becomes a status; nothing unwinds.
fn guard(host: &Handle, run: impl FnOnce() -> Result<i32>) -> i32 {
    contain(run, |error| host.fail(error))
}

fn contain(run: impl FnOnce() -> Result<i32>, tell: impl FnOnce(&Error)) -> i32 {
    let error = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(status)) => return status,
        Ok(Err(error)) => error,
        Err(panic) => panicked(panic),
    };
    if let Some(status) = failure::host_status(&error) {
        return status;
    }
    tell(&error);
    failure::status(error.kind())
}

fn panicked(panic: Box<dyn Any + Send>) -> Error {
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => Some((*text).to_owned()),
        None => panic.downcast_ref::<String>().cloned(),
    };
    let known = text.is_some();
    let error =
        Error::new(ErrorKind::Plugin, format!("the plugin panicked: {}", text.unwrap_or_else(|| "no message".into())))
            .with_hint("this is a defect of the plugin: please report the file to its author");
    if !known {
        // Its drop may panic again, and nobody would catch that.
        std::mem::forget(panic);
    }
    error
}

unsafe extern "C" fn probe<E: Exported>(host: *const Host, format: Str, view: *const View, answer: *mut Answer) -> i32 {
    let look = || {
        // SAFETY: by contract the view and its bytes are there for the call.
        let (view, head, tail, name) = unsafe {
            let view = raw::sized(view).ok_or_else(|| breach("it gave nothing to look at"))?;
            (view, raw::bytes(view.head), raw::bytes(view.tail), raw::text(view.name, LONGEST_NAME))
        };
        let found = find::<E>(format)?.probe(&Probe { head, tail, len: view.len, name: &name });
        let (score, reason) = match found {
            Confidence::No => (0, "".into()),
            Confidence::Unknown => (SCORE_UNKNOWN, "".into()),
            Confidence::Yes(score, reason) => (u32::from(score), reason),
            Confidence::Failed(failure) => return Err(Error::new(failure.kind, failure.message)),
        };
        let mut known = Answer { size: size_of::<Answer>() as u32, score, reason: [0; 120] };
        let len = reason.floor_char_boundary(known.reason.len() - 1);
        known.reason[..len].copy_from_slice(&reason.as_bytes()[..len]);
        // SAFETY: by contract there is room for an answer of the size it says.
        unsafe { raw::put(answer, &known) };
        Ok(STATUS_OK)
    };
    contain(look, |error| {
        // SAFETY: by contract the host is there for the call.
        let host = unsafe { Handle::new(host) };
        host.fail(error);
        host.close();
    })
}

unsafe extern "C" fn open<E: Exported>(
    host: *const Host,
    format: Str,
    input: *const Input,
    reader: *mut *mut c_void,
) -> i32 {
    // SAFETY: by contract the host is there until `close`.
    let handle = unsafe { Handle::new(host) };
    let status = guard(&handle, || {
        // SAFETY: by contract the input is there for the call.
        let input = unsafe { raw::sized(input) }.filter(|_| !reader.is_null());
        let input = input.ok_or_else(|| breach("it gave no input, or no place for the reader"))?;
        let format = find::<E>(format)?;
        let info = format.info();
        let cx = handle.context(info, OptionUse::Read)?;
        // SAFETY: by contract it is an input of this host.
        let source = unsafe { handle.source(&input) };
        let opened = format.open(&source, &cx);
        handle.deliver(&cx, info.id);
        let reading = Box::new(Reading {
            host: handle.clone(),
            format: info.id,
            cx,
            reader: opened?,
            pieces: wire::Pieces::default(),
            before_records: None,
            state: State::Alive,
        });
        // SAFETY: it is not NULL, and by contract there is room for a pointer.
        unsafe { reader.write(Box::into_raw(reading).cast()) };
        Ok(STATUS_OK)
    });
    if status < 0 {
        handle.close();
    }
    status
}

/// Runs `step` on the reader of a callback.
///
/// # Safety
/// `reader` is NULL or one that `open` gave and `close` has not had.
unsafe fn step(reader: *mut c_void, step: impl FnOnce(&mut Reading) -> Result<i32>) -> i32 {
    // SAFETY: the caller's word; by contract one thread at a time uses it.
    let Some(reading) = (unsafe { reader.cast::<Reading>().as_mut() }) else {
        return failure::status(ErrorKind::Plugin);
    };
    let host = reading.host.clone();
    guard(&host, || reading.step(step))
}

unsafe extern "C" fn header(_: *const Host, reader: *mut c_void) -> i32 {
    // SAFETY: by contract it is a reader of `open`.
    unsafe { step(reader, Reading::header) }
}

unsafe extern "C" fn next(_: *const Host, reader: *mut c_void) -> i32 {
    // SAFETY: by contract it is a reader of `open`.
    unsafe { step(reader, Reading::advance) }
}

unsafe extern "C" fn close(_: *const Host, reader: *mut c_void) {
    if reader.is_null() {
        return;
    }
    // SAFETY: by contract it is a reader of `open`, and this is the last call with it.
    let reading = unsafe { Box::from_raw(reader.cast::<Reading>()) };
    let host = reading.host.clone();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(reading))) {
        drop(panicked(panic));
    }
    host.close();
}

unsafe extern "C" fn write<E: Exported>(host: *const Host, format: Str, record: *mut Message) -> i32 {
    // SAFETY: by contract the host is there for the call.
    let handle = unsafe { Handle::new(host) };
    let status = guard(&handle, || {
        let format = find::<E>(format)?;
        let cx = handle.context(format.info(), OptionUse::Write)?;
        // SAFETY: by contract the record is there for the call.
        let parcel = unsafe { host::record(record) }?;
        let chunks = handle.clone();
        let mut record = wire::unpack_record(parcel, move || chunks.pull())?;
        let mut out = handle.output();
        let written = format.write(&mut record, &mut out, &cx).and_then(|()| out.finish().map(drop));
        handle.deliver(&cx, format.info().id);
        written.map(|()| STATUS_OK)
    });
    handle.close();
    status
}
