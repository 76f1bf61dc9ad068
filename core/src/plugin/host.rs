//! The host as a plugin's format sees it: a [`Source`], an [`Output`], a [`Context`]. Behind them are the functions of the
//! host's table, which is valid for a reader or a call of `write` and no longer: what a format keeps beyond that answers with an
//! error.
#![expect(unsafe_code, reason = "the functions of the host are called through its table")]

use std::ffi::c_void;
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock};

use super::abi::{
    Buf, Finding, Host, Input, MESSAGE_CHUNK, MESSAGE_RECORD, Message, SEVERITY_ERROR, SEVERITY_INFO, SEVERITY_WARNING,
    STATUS_END, STATUS_OPTION, STATUS_UNSUPPORTED, Str,
};
use super::{failure, raw};
use crate::context::{Context, Strictness};
use crate::diagnostic::Severity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::FormatInfo;
use crate::limits::{Budget, Limits};
use crate::options::{OptionUse, Options};
use crate::output::{Output, Sink};
use crate::source::{ReadAt, Siblings, Source};
use crate::wire::{Bytes, Parcel};

/// Bytes of an option's value or of a name that are taken from the host.
const LONGEST: usize = 1 << 20;

/// A host that may go away. Clones share one.
#[derive(Clone)]
pub(super) struct Handle(Arc<RwLock<Option<Table>>>);

/// A copy of the host's table, as far as it goes.
struct Table(Host);

// SAFETY: by contract the functions of a host may be called from any thread, with its `ctx`.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Handle {
    /// # Safety
    /// `host` is NULL or a host of the contract, which stays until [`close`](Self::close).
    pub(super) unsafe fn new(host: *const Host) -> Self {
        // SAFETY: the caller's word.
        Self(Arc::new(RwLock::new(unsafe { raw::sized(host) }.map(Table))))
    }

    /// The host is gone from now on. Waits for calls that other threads are in.
    pub(super) fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, run: impl FnOnce(&Host) -> T) -> Result<T> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(Table(host)) => Ok(run(host)),
            None => Err(Error::new(ErrorKind::Io, "the reader or writer is closed: its input and output are gone")),
        }
    }

    /// Calls a function of the host, which `run` picks; `None` when the host does not have it.
    fn call(&self, what: &str, run: impl FnOnce(&Host) -> Option<i64>) -> Result<i64> {
        match self.with(run)? {
            None => Err(Error::unsupported(format!("this host cannot {what}"))),
            Some(status) if status < 0 => Err(failure::of_host(what, i32::try_from(status).unwrap_or(i32::MIN))),
            Some(status) => Ok(status),
        }
    }

    /// As [`call`](Self::call); a host that does not have the function agrees.
    fn ask(&self, what: &str, run: impl FnOnce(&Host) -> Option<i32>) -> Result<()> {
        self.call(what, |host| Some(run(host).map_or(0, i64::from))).map(drop)
    }

    /// Says why a call is about to fail.
    pub(super) fn fail(&self, error: &Error) {
        // A host that is gone or deaf still gets the status.
        let _ = self.with(|host| {
            if let Some(fail) = host.fail {
                // SAFETY: the table is valid, and the failure for the call.
                failure::lend(error, |failure| unsafe { fail(host.ctx, failure) });
            }
        });
    }

    /// Hands a message over.
    pub(super) fn emit(&self, what: u32, parcel: Parcel) -> Result<()> {
        let emitted = self.call("take a message", |host| {
            let emit = host.emit?;
            let mut lent = raw::Lent::new(what, parcel);
            // SAFETY: the table is valid, the message for the call; the host takes its buffers over.
            Some(i64::from(unsafe { emit(host.ctx, lent.message()) }))
        });
        emitted.map(drop)
    }

    /// The next chunk of the record that is written, `None` at its end.
    pub(super) fn pull(&self) -> Result<Option<Parcel>> {
        let mut parcel = None;
        let status = self.call("give a chunk", |host| {
            let pull = host.pull?;
            let mut message = Message {
                size: size_of::<Message>() as u32,
                what: MESSAGE_CHUNK,
                json: Str::EMPTY,
                buffers: std::ptr::null_mut(),
                buffer_count: 0,
            };
            // SAFETY: the table is valid; the message is filled in for as long as the host is not asked again.
            let status = unsafe { pull(host.ctx, &raw mut message) };
            if status >= 0 && status != STATUS_END {
                // SAFETY: as above.
                parcel = Some(unsafe { unpack(&message, MESSAGE_CHUNK) });
            }
            Some(i64::from(status))
        })?;
        if status == i64::from(STATUS_END) { Ok(None) } else { parcel.transpose() }
    }

    /// The input of an `open`.
    ///
    /// # Safety
    /// `input` is one of this host.
    pub(super) unsafe fn source(&self, input: &Input) -> Source {
        // SAFETY: the caller's word.
        let name = unsafe { raw::text(input.name, LONGEST) };
        let bytes = HostBytes { host: self.clone(), stream: input.stream, len: input.len };
        Source::from_elsewhere(name, Arc::new(bytes)).with_siblings(HostSiblings(self.clone()))
    }

    /// The output of a `write`.
    pub(super) fn output(&self) -> Output {
        Output::elsewhere(HostSink(self.clone()))
    }

    /// What a reader or a writer of `info` works with.
    pub(super) fn context(&self, info: &'static FormatInfo, usage: OptionUse) -> Result<Context> {
        let mut limits = Limits::default();
        for name in Limits::NAMES {
            if let Some(value) = self.limit(name)? {
                limits.set(name, value);
            }
        }
        let given = info.options.iter().filter(|spec| spec.usage == usage);
        let given = given.filter_map(|spec| Some((spec.name.to_owned(), self.option(spec.name).transpose()?)));
        let given = given.map(|(name, value)| Ok((name, value?))).collect::<Result<Vec<_>>>()?;
        let (reserve, checkpoint) = (self.clone(), self.clone());
        let budget = Budget::asking(limits.alloc_bytes, move |delta| {
            reserve.ask("reserve memory", |host| {
                // SAFETY: the table is valid.
                host.reserve.map(|reserve| unsafe { reserve(host.ctx, delta) })
            })
        });
        let cx = Context::builder(info.id)
            .limits(limits)
            .budget(budget)
            .strictness(self.strictness()?)
            .options(Options::resolve(info.id, info.options, usage, &given)?)
            .checkpoint(move || {
                checkpoint.ask("go on", |host| {
                    // SAFETY: the table is valid.
                    host.checkpoint.map(|checkpoint| unsafe { checkpoint(host.ctx) })
                })
            });
        Ok(cx.build())
    }

    /// `None` for one that the host does not know.
    fn limit(&self, name: &str) -> Result<Option<u64>> {
        let mut value = 0;
        let status = self.with(|host| {
            // SAFETY: the table is valid, the name and the value for the call.
            host.limit.map(|limit| unsafe { limit(host.ctx, Str::of(name), &raw mut value) })
        })?;
        match status {
            None | Some(STATUS_OPTION) => Ok(None),
            Some(status) if status < 0 => Err(failure::of_host("name a limit", status)),
            Some(_) => Ok(Some(value)),
        }
    }

    /// `None` for one that the host does not know: it stays at its default.
    fn option(&self, name: &str) -> Result<Option<String>> {
        self.with(|host| {
            let Some(option) = host.option else { return Ok(None) };
            let mut value = Str::EMPTY;
            // SAFETY: the table is valid, the name and the value for the call.
            match unsafe { option(host.ctx, Str::of(name), &raw mut value) } {
                STATUS_OPTION => Ok(None),
                status if status < 0 => Err(failure::of_host("name an option", status)),
                // SAFETY: the text stays as long as the host.
                _ => Ok(Some(unsafe { raw::text(value, LONGEST) }.into_owned())),
            }
        })?
    }

    fn strictness(&self) -> Result<Strictness> {
        self.with(|host| {
            // SAFETY: the table is valid.
            match host.strictness.map(|strictness| unsafe { strictness(host.ctx) }) {
                Some(0) => Strictness::Lenient,
                Some(2) => Strictness::Strict,
                _ => Strictness::Default,
            }
        })
    }

    /// Tells the host what was found and lost since it was told last. It sorts them by record: it knows which one it asked for.
    pub(super) fn deliver(&self, cx: &Context, format: &str) {
        let own = |code: &str| -> String {
            let rest = code.strip_prefix(format).and_then(|rest| rest.strip_prefix('.'));
            rest.unwrap_or(code).to_owned()
        };
        let (findings, losses) = (cx.diagnostics().take(), cx.losses().take());
        // A host that is gone has no use for them.
        let _ = self.with(|host| {
            for found in findings {
                let code = own(&found.code);
                let finding = Finding {
                    size: size_of::<Finding>() as u32,
                    severity: severity(found.severity),
                    code: Str::of(&code),
                    message: Str::of(&found.message),
                    place: failure::lend_place(found.location.as_ref()),
                    count: found.count,
                };
                if let Some(report) = host.report {
                    // SAFETY: the table is valid, the finding for the call.
                    unsafe { report(host.ctx, &raw const finding) };
                }
            }
            for loss in losses {
                let code = own(&loss.code);
                if let Some(lose) = host.lose {
                    // SAFETY: the table is valid, the texts for the call.
                    unsafe { lose(host.ctx, Str::of(&code), loss.count, Str::of(&loss.message)) };
                }
            }
        });
    }
}

fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Info => SEVERITY_INFO,
        Severity::Warning => SEVERITY_WARNING,
        Severity::Error => SEVERITY_ERROR,
    }
}

/// The record of a `write`.
///
/// # Safety
/// `record` is NULL or a message of the contract.
pub(super) unsafe fn record(record: *const Message) -> Result<Parcel> {
    // SAFETY: the caller's word, for both.
    unsafe {
        match raw::sized(record) {
            Some(message) => unpack(&message, MESSAGE_RECORD),
            None => Err(breach("it gave no record")),
        }
    }
}

/// Takes the buffers of a message over; those that are only lent are copied.
///
/// # Safety
/// `message` is one of the contract.
unsafe fn unpack(message: &Message, what: u32) -> Result<Parcel> {
    if message.what != what {
        return Err(breach(format!("expected a message of kind {what}, found {}", message.what)));
    }
    // SAFETY: the caller's word.
    let json = std::str::from_utf8(unsafe { raw::bytes(message.json) })
        .map_err(|_| breach("the JSON of a message is not UTF-8"))?
        .to_owned();
    let mut buffers: Vec<Bytes> = Vec::new();
    if !message.buffers.is_null() {
        for at in 0..message.buffer_count {
            // SAFETY: by the caller's word there are as many buffers, each of the contract.
            let (taken, lent) = unsafe {
                let buffer = &mut *message.buffers.add(at);
                (raw::Taken::take(buffer), Str { ptr: buffer.ptr, len: buffer.len })
            };
            buffers.push(match taken {
                Some(taken) => Arc::new(taken),
                // SAFETY: as above.
                None => Arc::new(unsafe { raw::bytes(lent) }.to_vec()),
            });
        }
    }
    Ok(Parcel { json, buffers })
}

pub(super) fn breach(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Plugin, format!("the host broke the contract: {what}"))
}

/// The bytes of an input or of a file beside it.
struct HostBytes {
    host: Handle,
    stream: u32,
    len: u64,
}

impl ReadAt for HostBytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let (to, len) = (buffer.as_mut_ptr(), buffer.len());
        let count = self.host.call("read the input", |host| {
            // SAFETY: the table is valid, the buffer for the call and as long as it says.
            host.read_at.map(|read_at| unsafe { read_at(host.ctx, self.stream, offset, to, len) })
        })?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= len)
            .ok_or_else(|| breach("it read more than was asked for"))
    }

    fn bytes(&self) -> Result<Option<Bytes>> {
        let mut buffer = Buf::EMPTY;
        let status = self.host.with(|host| {
            // SAFETY: the table is valid, the buffer is filled in.
            host.map.map(|map| unsafe { map(host.ctx, self.stream, &raw mut buffer) })
        })?;
        match status {
            None | Some(STATUS_UNSUPPORTED) => Ok(None),
            Some(status) if status < 0 => Err(failure::of_host("map the input", status)),
            Some(_) => {
                // SAFETY: the host has just given it.
                let taken = unsafe { raw::Taken::take(&mut buffer) }.ok_or_else(|| breach("its map has no release"))?;
                if !taken.is_sound() || taken.as_ref().len() as u64 != self.len {
                    return Err(breach("its map is not as long as its input"));
                }
                Ok(Some(Arc::new(taken)))
            }
        }
    }

    fn file(&self) -> Result<Option<File>> {
        #[cfg(unix)]
        {
            use std::os::fd::BorrowedFd;
            let shared = self.host.with(|host| {
                // SAFETY: the table is valid.
                let descriptor = host.descriptor.map(|descriptor| unsafe { descriptor(host.ctx, self.stream) })?;
                // SAFETY: it is the host's and open for as long as the host is there: for this call at least.
                (descriptor >= 0).then(|| unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned())
            })?;
            match shared {
                Some(Ok(file)) => Ok(Some(file.into())),
                Some(Err(error)) => Err(Error::io("cannot share the file", error)),
                None => Ok(None),
            }
        }
        #[cfg(not(unix))]
        Ok(None)
    }
}

struct HostSiblings(Handle);

impl Siblings for HostSiblings {
    fn open(&self, name: &str, _: &Limits) -> Result<Source> {
        let size = size_of::<Input>() as u32;
        let mut sibling = Input { size, stream: 0, len: 0, name: Str::EMPTY };
        self.0.call("open files beside the input", |host| {
            // SAFETY: the table is valid, the name for the call, the answer is filled in.
            let open = host.open_sibling.map(|open| unsafe { open(host.ctx, Str::of(name), &raw mut sibling) });
            open.map(i64::from)
        })?;
        let bytes = HostBytes { host: self.0.clone(), stream: sibling.stream, len: sibling.len };
        Ok(Source::from_elsewhere(name, Arc::new(bytes)))
    }
}

struct HostSink(Handle);

impl Sink for HostSink {
    fn write(&mut self, output: u32, bytes: &[u8]) -> Result<()> {
        let written = self.0.call("write the output", |host| {
            // SAFETY: the table is valid, the bytes for the call.
            host.write.map(|write| unsafe { write(host.ctx, output, bytes.as_ptr(), bytes.len()) }).map(i64::from)
        });
        written.map(drop)
    }

    fn seek(&mut self, position: u64) -> Result<()> {
        let moved = self.0.call("move in the output", |host| {
            // SAFETY: the table is valid.
            host.seek.map(|seek| unsafe { seek(host.ctx, position) }).map(i64::from)
        });
        moved.map(drop)
    }

    fn create(&mut self, name: &str) -> Result<u32> {
        let mut output = 0;
        self.0.call("make a file beside the output", |host| {
            // SAFETY: the table is valid, the name for the call, the answer is filled in.
            host.create.map(|create| unsafe { create(host.ctx, Str::of(name), &raw mut output) }).map(i64::from)
        })?;
        if output == 0 { Err(breach("it gave a file beside the output the number of the output")) } else { Ok(output) }
    }

    fn stem(&self) -> String {
        let stem = self.0.with(|host| {
            let mut text = Str::EMPTY;
            // SAFETY: the table is valid, the answer is filled in and valid for the call of `write` we are in.
            let status = host.stem.map(|stem| unsafe { stem(host.ctx, &raw mut text) })?;
            // SAFETY: as above.
            (status >= 0).then(|| unsafe { raw::text(text, LONGEST) }.into_owned())
        });
        stem.ok().flatten().filter(|stem| !stem.is_empty()).unwrap_or_else(|| "output".into())
    }

    fn has_siblings(&self) -> bool {
        self.0.with(|host| host.create.is_some()).unwrap_or(false)
    }
}

/// The log of the host that loaded the plugin: it is there for ever.
pub(super) struct Log {
    ctx: *mut c_void,
    log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, text: Str),
}

// SAFETY: by contract the functions of a host may be called from any thread, with its `ctx`.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

impl Log {
    /// # Safety
    /// `host` is NULL or the host of an entry.
    pub(super) unsafe fn of(host: *const Host) -> Option<Self> {
        // SAFETY: the caller's word.
        let host = unsafe { raw::sized(host) }?;
        Some(Self { ctx: host.ctx, log: host.log? })
    }

    pub(super) fn error(&self, text: &str) {
        // SAFETY: the host is there for ever.
        unsafe { (self.log)(self.ctx, SEVERITY_ERROR, Str::of(text)) };
    }
}
