//! A plugin in this process: its functions are called directly, and what it emits is used in place.
#![expect(unsafe_code, reason = "calls functions of foreign code; see the SAFETY notes")]

use std::ffi::c_void;
use std::sync::Arc;

use mediary_core::plugin::abi::{self, SCORE_UNKNOWN, STATUS_END, STATUS_OK, STATUS_UNSUPPORTED, Str};
use mediary_core::plugin::raw::Lent;
use mediary_core::wire::{self, Parcel, Piece};
use mediary_core::{Confidence, Context, Error, ErrorKind, FormatInfo, MediaRecord, Output, Probe, Result, Source};

use crate::host::{Asked, Call, Writing, breach, look};
use crate::library::Library;
use crate::table::Table;
use crate::{Connection, Session, failed};

/// Calls of `next` that may give nothing in a row.
const MOST_IDLE: usize = 1000;

/// A plugin in this process.
pub(crate) struct Direct(Code);

enum Code {
    /// Loaded when it is needed.
    File(Arc<Library>),
    /// Loaded.
    Table(&'static Table),
}

impl Direct {
    /// Of a file that is loaded when it is needed first.
    pub(crate) fn new(library: Arc<Library>) -> Self {
        Self(Code::File(library))
    }

    /// Of a table, wherever it is from.
    pub(crate) fn of_table(table: &'static Table) -> Self {
        Self(Code::Table(table))
    }

    /// Asks for an answer; `false` when the plugin has no `probe`.
    fn ask(&self, format: &FormatInfo, probe: &Probe<'_>, answer: &mut abi::Answer) -> Result<bool> {
        let Some(ask) = self.table()?.probe else { return Ok(false) };
        let view = abi::View {
            size: size_of::<abi::View>() as u32,
            reserved: 0,
            len: probe.len,
            head: Str::of_bytes(probe.head),
            tail: Str::of_bytes(probe.tail),
            name: Str::of(probe.name),
        };
        // SAFETY: the plugin's `probe`, with what the interface says; all of it lives for the call.
        let status =
            look(|host| unsafe { ask(host, Str::of(format.id), &raw const view, std::ptr::from_mut(&mut *answer)) })?;
        if status != STATUS_OK {
            return Err(breach(format!("probe returned status {status}, expected {STATUS_OK}")));
        }
        if answer.score > SCORE_UNKNOWN {
            return Err(breach(format!("probe answered {}, expected 0 to {SCORE_UNKNOWN}", answer.score)));
        }
        Ok(true)
    }

    fn table(&self) -> Result<&'static Table> {
        match &self.0 {
            Code::File(library) => library.table(),
            Code::Table(table) => Ok(table),
        }
    }
}

/// The reason of an answer, as it may be printed.
fn words(reason: &[u8; 120]) -> String {
    let length = reason.iter().position(|&byte| byte == 0).unwrap_or(reason.len());
    let reason = &reason[..length];
    match reason {
        [] => "its plugin says so".to_owned(),
        // The usual case, without a look at every letter.
        _ if reason.iter().all(|byte| matches!(byte, b' '..=b'~')) => String::from_utf8_lossy(reason).into_owned(),
        _ => String::from_utf8_lossy(reason).chars().filter(|letter| !letter.is_control()).collect(),
    }
}

impl Connection for Direct {
    fn probe(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Confidence {
        let mut answer = abi::Answer { size: size_of::<abi::Answer>() as u32, score: 0, reason: [0; 120] };
        match self.ask(format, probe, &mut answer) {
            Ok(true) if answer.score == 0 => Confidence::No,
            // What is no score cannot tell either.
            Ok(_) => u8::try_from(answer.score).map_or(Confidence::Unknown, |score| match score {
                0 => Confidence::Unknown,
                score => Confidence::yes(score, words(&answer.reason)),
            }),
            Err(error) => failed(format, &error),
        }
    }

    fn open(&self, format: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>> {
        let table = self.table()?;
        let Some(open) = table.open else {
            return Err(Error::unsupported(format!("the plugin cannot read {}", format.name)));
        };
        let call = Call::new(cx.clone(), Some(source.clone()), None);
        let input = abi::Input {
            size: size_of::<abi::Input>() as u32,
            stream: 0,
            len: source.len(),
            name: Str::of(source.name()),
        };
        let mut reader = std::ptr::null_mut();
        // SAFETY: the plugin's `open`, with what the interface says; the name lives as long as the source, which the call has.
        let status = call
            .run(Asked::Nothing, |host| unsafe { open(host, Str::of(format.id), &raw const input, &raw mut reader) })?;
        let reader = Reader { call, table, pointer: reader, ended: false, error: None, failed: None };
        if status != STATUS_OK || reader.pointer.is_null() {
            return Err(breach(format!(
                "open returned status {status} and {} reader",
                if reader.pointer.is_null() { "no" } else { "a" }
            )));
        }
        Ok(Box::new(reader))
    }

    fn write(
        &self,
        format: &'static FormatInfo,
        record: &mut MediaRecord,
        out: &mut Output,
        cx: &Context,
    ) -> Result<()> {
        let Some(write) = self.table()?.write else {
            return Err(Error::unsupported(format!("the plugin cannot write {}", format.name)));
        };
        let mut lent = Lent::new(abi::MESSAGE_RECORD, wire::pack_record(record)?);
        let call = Call::new(cx.clone(), None, Some(Writing::new(record, out)));
        // SAFETY: the plugin's `write`, with what the interface says; all of it lives for the call.
        let status = call.run(Asked::Nothing, |host| unsafe {
            write(host, Str::of(format.id), std::ptr::from_mut(lent.message()))
        })?;
        if status != STATUS_OK {
            return Err(breach(format!("write returned status {status}, expected {STATUS_OK}")));
        }
        call.drain()
    }
}

/// A reader of the plugin, which is closed once.
struct Reader {
    call: Arc<Call<'static>>,
    table: &'static Table,
    /// NULL once it is closed.
    pointer: *mut c_void,
    ended: bool,
    /// What ended it, to be told after what was emitted before.
    error: Option<Error>,
    /// It is closed because of an error of this kind.
    failed: Option<ErrorKind>,
}

// SAFETY: a reader is used by one thread at a time, as the interface asks; that need not always be the same one.
unsafe impl Send for Reader {}

impl Reader {
    /// A broken header or stream is not the end: what follows may still be readable. Everything else is.
    fn fail(&mut self, error: Error) {
        let kind = error.kind();
        if !matches!(kind, ErrorKind::Malformed | ErrorKind::Unsupported | ErrorKind::Io) {
            self.close();
            self.failed = Some(kind);
        }
        self.error = Some(error);
    }

    fn close(&mut self) {
        self.ended = true;
        let pointer = std::mem::replace(&mut self.pointer, std::ptr::null_mut());
        let Some(close) = self.table.close.filter(|_| !pointer.is_null()) else { return };
        let closed = self.call.run(Asked::Nothing, |host| {
            // SAFETY: the plugin's `close` with its own reader, which nobody has any more.
            unsafe { close(host, pointer) };
            STATUS_OK
        });
        // There is nobody to tell: what was read is read.
        drop(closed);
    }
}

impl Session for Reader {
    fn header(&mut self) -> Result<Option<Parcel>> {
        let Some(header) = self.table.header.filter(|_| !self.pointer.is_null()) else { return Ok(None) };
        let pointer = self.pointer;
        let mut returned = STATUS_OK;
        let status = self.call.run(Asked::Header, |host| {
            // SAFETY: the plugin's `header` with its own reader.
            returned = unsafe { header(host, pointer) };
            returned
        });
        let parcel = self.call.take_header();
        match (status, parcel) {
            (Ok(STATUS_OK), Some(parcel)) => Ok(Some(parcel)),
            (Ok(status), _) => Err(breach(format!("header returned status {status} and emitted no header"))),
            (Err(_), None) if returned == STATUS_UNSUPPORTED => Ok(None),
            (Err(error), _) => {
                self.fail(error);
                self.error.take().map_or(Ok(None), Err)
            }
        }
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        for _ in 0..MOST_IDLE {
            if let Some(piece) = self.call.take_piece() {
                return Ok(Some(piece));
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if let Some(kind) = self.failed {
                return Err(Error::new(kind, "it has failed before"));
            }
            let Some(next) = self.table.next.filter(|_| !self.ended) else { return Ok(None) };
            let pointer = self.pointer;
            let status = self.call.cx().checkpoint().and_then(|()| {
                // SAFETY: the plugin's `next` with its own reader.
                self.call.run(Asked::Pieces, |host| unsafe { next(host, pointer) })
            });
            match status {
                Ok(STATUS_END) => self.ended = true,
                Ok(_) => {}
                Err(error) => self.fail(error),
            }
        }
        self.close();
        self.failed = Some(ErrorKind::Plugin);
        Err(breach(format!("it was asked for more {MOST_IDLE} times in a row and gave nothing")))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}
