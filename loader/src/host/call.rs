//! [`Call`]: what a plugin in this process works on while it reads or writes. Whatever it hands over is checked here.
#![expect(unsafe_code, reason = "the table of functions holds a pointer to what it stands in")]

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mediary_core::plugin::abi::{self, STATUS_OK};
use mediary_core::plugin::raw::Lent;
use mediary_core::wire::{self, Bytes, Parcel, Piece};
use mediary_core::{Context, Error, ErrorKind, MediaRecord, Output, Result, Source, SourceBytes};

use super::functions::TABLE;
use super::running::Running;
use super::{breach, weigh};

/// Messages that may wait to be read: a plugin emits one or a few a call.
const MOST_WAITING: usize = 1024;
/// Different findings of one call: beyond them they share a code.
const MOST_CODES: usize = 256;

/// What is offered while a reader lives, or a call of `write` lasts.
pub(crate) struct Call<'w> {
    table: Host,
    pub(super) cx: Context,
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) streams: Mutex<Vec<Stream>>,
    pub(super) state: Mutex<State>,
    writing: Mutex<Option<Writing<'w>>>,
}

/// The table, whose `ctx` is the [`Call`] it stands in.
struct Host(abi::Host);

// SAFETY: the functions may be called from any thread, and `ctx` points to a `Call`, which is `Sync` otherwise.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// An input that the plugin knows by its place in the list.
pub(super) struct Stream {
    /// The name it was asked for by.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) bytes: Option<Arc<SourceBytes>>,
    pub(super) file: Option<File>,
}

#[derive(Default)]
pub(super) struct State {
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
    pub(super) failure: Option<Error>,
    codes: BTreeSet<String>,
    pub(super) reserved: u64,
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
    pub(super) record: &'w mut MediaRecord,
    pub(super) out: &'w mut Output,
    pub(super) stem: String,
    /// Files beside the output, by number from 1.
    pub(super) created: Vec<String>,
    pub(super) chunk: Option<Lent>,
    /// Whether the record's stream was read to its end.
    pub(super) at_end: bool,
    pub(super) position: u64,
    pub(super) len: u64,
    /// Bytes written to all files.
    pub(super) written: u64,
}

impl<'w> Writing<'w> {
    pub(crate) fn new(record: &'w mut MediaRecord, out: &'w mut Output) -> Self {
        let stem = out.stem();
        let at_end = !wire::streams(record);
        Self { record, out, stem, created: Vec::new(), chunk: None, at_end, position: 0, len: 0, written: 0 }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        match state.fatal.take() {
            Some(error) => Err(error),
            None => weigh(status, || state.failure.take().or_else(|| state.last.take())),
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

    pub(super) fn remember(&self, error: Error, fatal: bool) {
        let mut state = lock(&self.state);
        if fatal && state.fatal.is_none() {
            state.fatal = Some(error);
        } else {
            state.last = Some(error);
        }
    }

    pub(super) fn stream<T>(&self, number: u32, use_it: impl FnOnce(&mut Stream) -> Result<T>) -> Result<T> {
        let mut streams = lock(&self.streams);
        let count = streams.len();
        let stream = streams.get_mut(number as usize);
        use_it(stream.ok_or_else(|| breach(format!("it asked for input {number}, there are {count}")))?)
    }

    pub(super) fn writing<T>(&self, use_it: impl FnOnce(&mut Writing<'w>) -> Result<T>) -> Result<T> {
        match &mut *lock(&self.writing) {
            Some(writing) => use_it(writing),
            None => Err(breach("it wrote although nothing is written")),
        }
    }

    /// The code of a finding, of which there are so many and no more.
    pub(super) fn code(&self, code: &str) -> String {
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
    pub(super) fn emit(&self, what: u32, json: Result<String>, buffers: Result<Vec<Bytes>>) -> Result<i32> {
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

/// Bytes of memory.
fn weight(parcel: &Parcel) -> u64 {
    let buffers = parcel.buffers.iter().map(|buffer| (**buffer).as_ref().len() as u64);
    buffers.fold(parcel.json.len() as u64, u64::saturating_add)
}
