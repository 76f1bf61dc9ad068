//! The binary interface between the host and a loaded plugin. `core/include/mediary_plugin.h` is generated from this file.
//!
//! Rules, for ever: structs that carry a `size` only grow at their end, and a reader of one looks at a field only when
//! `size` covers it; fields and numbers are never reused; enumerations are `uint32_t` or `int32_t`; strings are UTF-8,
//! not NUL-terminated, and borrowed for the call; nothing unwinds across the boundary; a buffer belongs to whoever holds a
//! `release` that is not NULL. A change that breaks a rule is a new entry symbol, `mediary_plugin_v2`, beside this one.

use std::ffi::c_void;

/// Major number of this interface: a plugin of another one is not loaded. It is not the version of mediary.
pub const ABI_MAJOR: u16 = 1;
/// Minor number: grows when fields are appended. Plugins of any minor number are loaded.
pub const ABI_MINOR: u16 = 0;
/// The first bytes of a stamp.
pub const STAMP_MAGIC: [u8; 8] = *b"MEDIARY1";

/// It worked.
pub const STATUS_OK: i32 = 0;
/// There is nothing more: of `next` and of `pull`.
pub const STATUS_END: i32 = 1;
/// Failed: the environment, such as a file that cannot be read.
pub const STATUS_IO: i32 = -1;
/// Failed: the data breaks its format's specification.
pub const STATUS_MALFORMED: i32 = -2;
/// Failed: the data asks for something this plugin cannot do.
pub const STATUS_UNSUPPORTED: i32 = -3;
/// Failed: a limit was hit.
pub const STATUS_LIMIT: i32 = -4;
/// Failed: an option has a value that cannot be used.
pub const STATUS_OPTION: i32 = -5;
/// Failed: the host asked to stop.
pub const STATUS_CANCELLED: i32 = -6;
/// Failed: the plugin broke down, or one side broke this contract.
pub const STATUS_PLUGIN: i32 = -7;

/// A finding worth knowing; also a log line.
pub const SEVERITY_INFO: u32 = 0;
/// The input was read with a repair, or something was set aside.
pub const SEVERITY_WARNING: u32 = 1;
/// Part of the content is missing or unreliable.
pub const SEVERITY_ERROR: u32 = 2;

/// A message that holds a record header: answer to `header`.
pub const MESSAGE_HEADER: u32 = 0;
/// A message that holds a record.
pub const MESSAGE_RECORD: u32 = 1;
/// A message that holds the next chunk of the stream of the record before.
pub const MESSAGE_CHUNK: u32 = 2;
/// The stream of the record before is at its end.
pub const MESSAGE_END_OF_STREAM: u32 = 3;

/// The score of an answer that cannot tell.
pub const SCORE_UNKNOWN: u32 = 256;

/// Flag of a stamp: panics unwind and are caught inside the plugin (Rust).
pub const FLAG_CATCHES_PANICS: u32 = 1;
/// Flag of a stamp: little-endian.
pub const FLAG_LITTLE_ENDIAN: u32 = 2;

/// Text: UTF-8, not NUL-terminated, borrowed for the call. `ptr` may be NULL when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// First byte.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
}

/// Bytes with an owner. Whoever holds it with a `release` that is not NULL calls that once, from any thread. To hand a
/// buffer over, copy the struct and set `release` to NULL in the one that is left behind.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// First byte, aligned to the elements it holds (64 is always right). May be NULL when `len` is 0.
    pub ptr: *const u8,
    /// Bytes, at most `PTRDIFF_MAX`.
    pub len: usize,
    /// For `release`.
    pub owner: *mut c_void,
    /// Frees it; sets `release` of `self` to NULL. NULL means: already handed over.
    pub release: Option<unsafe extern "C" fn(buf: *mut Buf)>,
}

/// Read from the file before it is loaded: symbol `mediary_stamp`, section `.mediary_abi`. Scalars only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// [`STAMP_MAGIC`].
    pub magic: [u8; 8],
    /// Bytes of this struct.
    pub size: u32,
    /// [`ABI_MAJOR`] the plugin was built for.
    pub major: u16,
    /// [`ABI_MINOR`] the plugin was built for.
    pub minor: u16,
    /// Bits of a pointer: 32 or 64.
    pub pointer_bits: u32,
    /// `FLAG_…`, added up.
    pub flags: u32,
    /// What built it, for people: compiler and version, NUL-padded.
    pub builder: [u8; 64],
}

/// A place in an input.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Byte offset; `UINT64_MAX` when it is not known.
    pub byte: u64,
    /// Line from 1; 0 when it is not known.
    pub line: u64,
    /// Column in bytes from 1; 0 when it is not known.
    pub column: u64,
    /// Path of the element, e.g. `meshes[0]`; empty when there is none.
    pub element: Str,
}

/// Why a call failed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Bytes of this struct.
    pub size: u32,
    /// `STATUS_…`, negative.
    pub status: i32,
    /// Lower case, no full stop: what was expected and what was found.
    pub message: Str,
    /// What to do about it; may be empty.
    pub hint: Str,
    /// Where.
    pub place: Place,
    /// Of `STATUS_LIMIT`: the limit's name; empty otherwise.
    pub limit: Str,
    /// Of `STATUS_LIMIT`: how much was wanted.
    pub wanted: u64,
    /// Of `STATUS_LIMIT`: how much is allowed.
    pub allowed: u64,
}

/// A finding that does not stop a read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Bytes of this struct.
    pub size: u32,
    /// `SEVERITY_…`.
    pub severity: u32,
    /// Stable code without the format's id, e.g. `missing-texture`.
    pub code: Str,
    /// What was expected and found.
    pub message: Str,
    /// Where.
    pub place: Place,
    /// How often it occurred.
    pub count: u64,
}

/// JSON and the buffers it refers to by index.
#[repr(C)]
#[derive(Debug)]
pub struct Message {
    /// Bytes of this struct.
    pub size: u32,
    /// `MESSAGE_…`.
    pub what: u32,
    /// The JSON.
    pub json: Str,
    /// The buffers.
    pub buffers: *mut Buf,
    /// Number of buffers.
    pub buffer_count: usize,
}

/// An input to read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Bytes of this struct.
    pub size: u32,
    /// The number the host knows it by: 0 for the input itself, others for files beside it.
    pub stream: u32,
    /// Length in bytes.
    pub len: u64,
    /// File name without folder; a hint. Valid as long as the reader.
    pub name: Str,
}

/// What is looked at to recognise a format.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Bytes of this struct.
    pub size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Length of the whole input in bytes.
    pub len: u64,
    /// The first 64 KiB, or all.
    pub head: Str,
    /// The last 64 KiB, or all.
    pub tail: Str,
    /// File name; a hint that the host weighs itself.
    pub name: Str,
}

/// The answer of `probe`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Bytes of this struct.
    pub size: u32,
    /// 0 not this format, 1 to 255 this format, [`SCORE_UNKNOWN`] cannot tell.
    pub score: u32,
    /// Why, in words, NUL-padded.
    pub reason: [u8; 120],
}

/// What the host offers. Valid, with its `ctx`, from `open` to `close` of a reader, and for a call of `probe` and `write`.
/// Its functions may be called from any thread while a function of the plugin runs. They return `STATUS_OK` or a negative
/// status, which the plugin may simply hand back: the host remembers its own error.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// Bytes of this struct: a function is there when `size` covers it.
    pub size: u32,
    /// [`ABI_MAJOR`] of the host.
    pub major: u16,
    /// [`ABI_MINOR`] of the host.
    pub minor: u16,
    /// For every function below.
    pub ctx: *mut c_void,
    /// Reads up to `len` bytes at `offset`; returns how many, fewer only at the end, or a negative status.
    pub read_at:
        Option<unsafe extern "C" fn(ctx: *mut c_void, stream: u32, offset: u64, to: *mut u8, len: usize) -> i64>,
    /// All bytes of a stream, without a copy where the host can: memory-mapped or shared.
    pub map: Option<unsafe extern "C" fn(ctx: *mut c_void, stream: u32, bytes: *mut Buf) -> i32>,
    /// A file descriptor to read the stream from with `pread`, or a negative status. It belongs to the host.
    pub descriptor: Option<unsafe extern "C" fn(ctx: *mut c_void, stream: u32) -> i32>,
    /// Opens a file beside the input by its relative name. The host refuses names that lead elsewhere.
    pub open_sibling: Option<unsafe extern "C" fn(ctx: *mut c_void, name: Str, sibling: *mut Input) -> i32>,
    /// To be called about every megabyte or thousand elements: `STATUS_CANCELLED` or `STATUS_LIMIT` when it is to stop.
    pub checkpoint: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Before `delta` bytes are allocated, and with a negative `delta` after they are freed: `STATUS_LIMIT` when it may not.
    pub reserve: Option<unsafe extern "C" fn(ctx: *mut c_void, delta: i64) -> i32>,
    /// The value of a limit by name; `UINT64_MAX` is unlimited. `STATUS_OPTION` for an unknown name.
    pub limit: Option<unsafe extern "C" fn(ctx: *mut c_void, name: Str, value: *mut u64) -> i32>,
    /// The checked value of an option of the format, as text (`true`, `12`, `0.5`), valid as long as the reader or the call
    /// of `write`. `STATUS_OPTION` for an unknown name.
    pub option: Option<unsafe extern "C" fn(ctx: *mut c_void, name: Str, value: *mut Str) -> i32>,
    /// 0 lenient, 1 default, 2 strict.
    pub strictness: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u32>,
    /// A line for the log; `level` is `SEVERITY_…`.
    pub log: Option<unsafe extern "C" fn(ctx: *mut c_void, level: u32, text: Str)>,
    /// Reports a finding.
    pub report: Option<unsafe extern "C" fn(ctx: *mut c_void, finding: *const Finding)>,
    /// Reports what a writer could not carry over: `code` without the format's id, and how many of it.
    pub lose: Option<unsafe extern "C" fn(ctx: *mut c_void, code: Str, count: u64, message: Str)>,
    /// Hands over a header, a record, a chunk or the end of a stream. The host owns the buffers also when it fails.
    pub emit: Option<unsafe extern "C" fn(ctx: *mut c_void, message: *const Message) -> i32>,
    /// For writers: the next chunk of the record's stream; `STATUS_END` at its end. The JSON is valid until the next `pull`;
    /// so are the buffers, of which the plugin may take any over.
    pub pull: Option<unsafe extern "C" fn(ctx: *mut c_void, chunk: *mut Message) -> i32>,
    /// For writers: opens a file beside the output by its plain name. Output 0 is the main one.
    pub create: Option<unsafe extern "C" fn(ctx: *mut c_void, name: Str, output: *mut u32) -> i32>,
    /// For writers: writes all bytes at the output's position.
    pub write: Option<unsafe extern "C" fn(ctx: *mut c_void, output: u32, bytes: *const u8, len: usize) -> i32>,
    /// For writers: moves the position of output 0, from the start.
    pub seek: Option<unsafe extern "C" fn(ctx: *mut c_void, position: u64) -> i32>,
    /// For writers: the name of the output without folder and extension, valid for the call.
    pub stem: Option<unsafe extern "C" fn(ctx: *mut c_void, stem: *mut Str) -> i32>,
    /// Says why the call is about to return a negative status.
    pub fail: Option<unsafe extern "C" fn(ctx: *mut c_void, failure: *const Failure)>,
}

/// What a plugin offers. Functions a plugin does not have are NULL. They may be called from any thread; a reader is used by
/// one thread at a time.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    /// Bytes of this struct: a function is there when `size` covers it.
    pub size: u32,
    /// [`ABI_MAJOR`] the plugin was built for.
    pub major: u16,
    /// [`ABI_MINOR`] the plugin was built for.
    pub minor: u16,
    /// Looks at content. Without it the signatures of the manifest decide alone. The host offers `log` and `fail` for it, all other
    /// functions are NULL: what there is to look at is in `view`.
    pub probe:
        Option<unsafe extern "C" fn(host: *const Host, format: Str, view: *const View, answer: *mut Answer) -> i32>,
    /// Starts reading: sets `reader`. Reads no more than the first bytes.
    pub open: Option<
        unsafe extern "C" fn(host: *const Host, format: Str, input: *const Input, reader: *mut *mut c_void) -> i32,
    >,
    /// Emits one header: facts without the payload. NULL, or `STATUS_UNSUPPORTED`: the host reads the first record instead.
    pub header: Option<unsafe extern "C" fn(host: *const Host, reader: *mut c_void) -> i32>,
    /// Emits the next record, chunk or end of stream, one or a few of them; `STATUS_END` when there is nothing more.
    pub next: Option<unsafe extern "C" fn(host: *const Host, reader: *mut c_void) -> i32>,
    /// Frees a reader. Called once, also after an error.
    pub close: Option<unsafe extern "C" fn(host: *const Host, reader: *mut c_void)>,
    /// Writes one record; streams are pulled from the host. The message's buffers stay the host's, valid for the call,
    /// of which the plugin may take any over.
    pub write: Option<unsafe extern "C" fn(host: *const Host, format: Str, record: *mut Message) -> i32>,
}

/// The entry symbol, `mediary_plugin_v1`: called once after loading. `host` offers `log` alone, for ever. NULL: the plugin
/// declines.
pub type Entry = unsafe extern "C" fn(host: *const Host) -> *const Plugin;

/// Name of the entry symbol.
pub const ENTRY_SYMBOL: &str = "mediary_plugin_v1";
/// Section of the [`Stamp`].
pub const STAMP_SECTION: &str = ".mediary_abi";
/// Section of the manifest: JSON, may be padded with NUL bytes.
pub const MANIFEST_SECTION: &str = ".mediary_manifest";
