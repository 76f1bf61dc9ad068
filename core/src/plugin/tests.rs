//! The plugin side, driven by a host that is nothing but its tables.
#![expect(unsafe_code, reason = "a host is made of functions that take pointers")]

use std::ffi::c_void;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::abi::*;
use super::export::{Exported, Table, stamp};
use super::{failure, raw};
use crate::error::{Error, ErrorKind, Location, Result};
use crate::format::{Feature, Format, FormatInfo, FormatReader, Header, whole};
use crate::options::{OptionSpec, OptionType};
use crate::record::table::{Column, ColumnData, ColumnSpec, ColumnType, Table as Rows, TableChunk};
use crate::record::{Buffer, Image, Kind, Media, MediaRecord, Samples, Stream};
use crate::wire::{self, Parcel};
use crate::{Confidence, Context, Output, Probe, Severity, Source};

const INFO: FormatInfo = FormatInfo::new("fake", "Fake", &[Kind::Image, Kind::Table])
    .extensions(&["fake"])
    .reads()
    .writes(&[Feature::Integer])
    .siblings()
    .options(&[
        OptionSpec::read("shout", OptionType::Bool, "false", "Louder."),
        OptionSpec::write("times", OptionType::Int { min: 1, max: 9 }, "1", "How often."),
    ]);

/// What it does is what its input says.
struct Fake;

struct Formats;

impl Exported for Formats {
    fn formats() -> &'static [&'static dyn Format] {
        &[&Fake]
    }
}

const TABLE: &Plugin = Table::<Formats>::TABLE;

/// Samples that count how often they were freed.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// A panic whose payload panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload");
    }
}

static FREED: Mutex<Option<Arc<AtomicUsize>>> = Mutex::new(None);
static STASH: Mutex<Option<Source>> = Mutex::new(None);

fn picture(pixels: u32) -> Result<MediaRecord> {
    let freed = FREED.lock().unwrap().clone().unwrap_or_default();
    let samples = Buffer::shared(Arc::new(Counted(vec![7; pixels as usize], freed)));
    Ok(MediaRecord::new(Image::new(pixels, 1, 1, Samples::U8(samples))?))
}

fn numbers(chunks: i64, broken_at: Option<i64>) -> MediaRecord {
    let stream = Stream::new((0..chunks).map(move |at| {
        if Some(at) == broken_at {
            return Err(Error::malformed("a torn row").at_line(3));
        }
        TableChunk::new(vec![Column { data: ColumnData::Int64(vec![at; 4].into()), valid: None }], 4)
    }));
    let schema = vec![ColumnSpec { name: "n".into(), kind: ColumnType::Int64 }];
    MediaRecord::new(Rows { schema, declared_rows: None, truncated: false, rows: stream })
}

struct Script {
    steps: Vec<String>,
    at: usize,
    source: Source,
    cx: Context,
}

impl FormatReader for Script {
    fn header(&mut self) -> Result<Header> {
        Ok(Header::single(picture(3)?.facts()))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let Some(step) = self.steps.get(self.at).cloned() else { return Ok(None) };
        self.at += 1;
        match &*step {
            "picture" => {
                self.cx.budget().take(100)?;
                picture(6).map(Some)
            }
            "table" => Ok(Some(numbers(3, None))),
            "torn" => Ok(Some(numbers(3, Some(1)))),
            "error" => Err(Error::unsupported("expected 1, found 2").at_byte(5).with_hint("use 1")),
            "panic" => panic!("out of {}", "ideas"),
            "bomb" => std::panic::panic_any(Bomb),
            "limit" => self.cx.limits().check("pixels", 5).map(|()| None),
            "hungry" => self.cx.budget().take(1 << 40).map(|()| None),
            "wait" => self.cx.checkpoint().map(|()| None),
            "unreadable" => {
                let mut reader = self.source.reader();
                std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(666))?;
                std::io::Read::read_exact(&mut reader, &mut [0])?;
                Ok(None)
            }
            "options" => {
                assert!(self.cx.options().bool("shout"));
                assert_eq!(self.cx.strictness(), crate::Strictness::Strict);
                assert_eq!((self.cx.limits().pixels, self.cx.limits().depth), (4, 128));
                picture(1).map(Some)
            }
            "findings" => {
                self.cx.report_times(Severity::Error, "odd", "odd rows", Some(Location::line(2)), 3);
                self.cx.lose("smell", 2, "smells");
                picture(1).map(Some)
            }
            "sibling" => {
                let sibling = self.source.sibling("beside", &self.cx)?;
                assert_eq!(&*sibling.bytes(&self.cx)?, b"sibling bytes");
                assert_eq!(&*self.source.bytes(&self.cx)?, b"sibling stash");
                Ok(None)
            }
            "stash" => {
                *STASH.lock().unwrap() = Some(self.source.clone());
                Ok(None)
            }
            other => Err(Error::malformed(format!("no step {other:?}"))),
        }
    }
}

impl Format for Fake {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match probe.head {
            b"no" => Confidence::No,
            b"unknown" => Confidence::Unknown,
            b"panic" => panic!("at first sight"),
            _ => Confidence::yes(77, "é".repeat(100)),
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut text = vec![0; source.len() as usize];
        source.read_exact_at(0, &mut text, "the steps")?;
        let steps: Vec<_> = String::from_utf8_lossy(&text).split(' ').map(str::to_owned).collect();
        if steps[0] == "shut" {
            return Err(Error::malformed("it does not open"));
        }
        if steps[0] == "whole" {
            return Ok(whole(|| picture(2)));
        }
        Ok(Box::new(Script { steps, at: 0, source: source.clone(), cx: cx.clone() }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        match &mut record.media {
            Media::Image(image) if image.width() == 13 => panic!("unlucky"),
            Media::Image(image) => {
                let Samples::U8(samples) = image.samples() else { return Err(Error::unsupported("no bytes")) };
                for _ in 0..cx.options().int("times") {
                    out.write_all(samples)?;
                }
                let (stem, has_siblings) = (out.stem(), out.has_siblings());
                assert!(has_siblings);
                out.sibling("beside.txt")?.write_all(stem.as_bytes())?;
            }
            Media::Table(table) => {
                while let Some(chunk) = table.rows.next_chunk()? {
                    write!(out, "{};", chunk.rows())?;
                }
            }
            _ => return Err(Error::unsupported("neither")),
        }
        cx.lose("taste", 1, "the taste");
        Ok(())
    }
}

/// What a host keeps, behind `ctx`.
#[derive(Default)]
struct World {
    input: Vec<u8>,
    cancelled: bool,
    refuses: bool,
    chunks: Mutex<Vec<Parcel>>,
    /// The message of the last `pull`.
    lent: Mutex<Vec<Buf>>,
    json: Mutex<String>,
    seen: Mutex<Seen>,
    handed_out: AtomicUsize,
}

#[derive(Default)]
struct Seen {
    messages: Vec<(u32, Parcel)>,
    failures: Vec<Error>,
    findings: Vec<(u32, String, Option<Location>, u64)>,
    losses: Vec<(String, u64)>,
    outputs: Vec<Vec<u8>>,
    reserved: i64,
    log: Vec<String>,
}

/// Buffers of the host that were released.
static RELEASED: AtomicUsize = AtomicUsize::new(0);

unsafe fn world<'a>(ctx: *mut c_void) -> &'a World {
    // SAFETY: `ctx` is the world of the test that runs.
    unsafe { &*ctx.cast::<World>() }
}

unsafe extern "C" fn release_counted(buf: *mut Buf) {
    RELEASED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: `counted` made it.
    unsafe {
        assert!((*buf).release.take().is_some());
        drop(Box::from_raw((*buf).owner.cast::<Vec<u8>>()));
    }
}

impl World {
    fn new(input: &str) -> Box<Self> {
        Box::new(Self { input: input.into(), ..Self::default() })
    }

    /// A buffer of this host, which counts.
    fn counted(&self, bytes: &[u8]) -> Buf {
        self.handed_out.fetch_add(1, Ordering::Relaxed);
        let owner = Box::new(bytes.to_vec());
        let (ptr, len) = (owner.as_ptr(), owner.len());
        Buf { ptr, len, owner: Box::into_raw(owner).cast(), release: Some(release_counted) }
    }

    fn host(&self) -> Host {
        Host {
            size: size_of::<Host>() as u32,
            major: ABI_MAJOR,
            minor: ABI_MINOR,
            ctx: std::ptr::from_ref(self).cast_mut().cast(),
            read_at: Some(read_at),
            map: Some(map),
            descriptor: None,
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
        }
    }

    fn input(&self) -> Input {
        let size = size_of::<Input>() as u32;
        Input { size, stream: 0, len: self.input.len() as u64, name: Str::of("x.fake") }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn failure(&self) -> Error {
        self.seen().failures.pop().unwrap()
    }
}

/// A reader, closed at the end.
struct Open<'w> {
    host: Host,
    reader: *mut c_void,
    _world: &'w World,
}

impl<'w> Open<'w> {
    fn of(world: &'w World) -> Result<Box<Self>, i32> {
        let mut open = Box::new(Self { host: world.host(), reader: std::ptr::null_mut(), _world: world });
        let input = world.input();
        // SAFETY: everything is there for the call, the host until the end of `open`.
        let status = unsafe {
            TABLE.open.unwrap()(&raw const open.host, Str::of("fake"), &raw const input, &raw mut open.reader)
        };
        if status < 0 { Err(status) } else { Ok(open) }
    }

    fn next(&self) -> i32 {
        // SAFETY: the reader is open.
        unsafe { TABLE.next.unwrap()(&raw const self.host, self.reader) }
    }

    fn header(&self) -> i32 {
        // SAFETY: the reader is open.
        unsafe { TABLE.header.unwrap()(&raw const self.host, self.reader) }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // SAFETY: NULL or open, and closed once.
        unsafe { TABLE.close.unwrap()(&raw const self.host, self.reader) };
    }
}

unsafe extern "C" fn read_at(ctx: *mut c_void, stream: u32, offset: u64, to: *mut u8, len: usize) -> i64 {
    // SAFETY: as the contract says, here and below.
    let world = unsafe { world(ctx) };
    assert_eq!(stream, 0);
    if offset == 666 {
        return STATUS_IO.into();
    }
    let rest = world.input.get(offset as usize..).unwrap_or_default();
    let count = rest.len().min(len);
    // SAFETY: there is room for `len` bytes.
    unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), to, count) };
    count as i64
}

unsafe extern "C" fn map(ctx: *mut c_void, stream: u32, bytes: *mut Buf) -> i32 {
    // SAFETY: as the contract says.
    let world = unsafe { world(ctx) };
    // SAFETY: as the contract says.
    unsafe { bytes.write(world.counted(if stream == 0 { &world.input } else { b"sibling bytes" })) };
    STATUS_OK
}

unsafe extern "C" fn open_sibling(_: *mut c_void, name: Str, sibling: *mut Input) -> i32 {
    // SAFETY: as the contract says.
    unsafe {
        assert_eq!(raw::text(name, 100), "beside");
        (*sibling).stream = 9;
        (*sibling).len = 13;
    }
    STATUS_OK
}

unsafe extern "C" fn checkpoint(ctx: *mut c_void) -> i32 {
    // SAFETY: as the contract says.
    if unsafe { world(ctx) }.cancelled { STATUS_CANCELLED } else { STATUS_OK }
}

unsafe extern "C" fn reserve(ctx: *mut c_void, delta: i64) -> i32 {
    // SAFETY: as the contract says.
    unsafe { world(ctx) }.seen().reserved += delta;
    STATUS_OK
}

unsafe extern "C" fn limit(_: *mut c_void, name: Str, value: *mut u64) -> i32 {
    // SAFETY: as the contract says.
    let (name, value) = unsafe { (raw::text(name, 100), &mut *value) };
    match &*name {
        "pixels" => *value = 4,
        "wall_ms" => *value = u64::MAX,
        _ => return STATUS_OPTION,
    }
    STATUS_OK
}

unsafe extern "C" fn option(_: *mut c_void, name: Str, value: *mut Str) -> i32 {
    // SAFETY: as the contract says.
    let (name, value) = unsafe { (raw::text(name, 100), &mut *value) };
    *value = match &*name {
        "shout" => Str::of("true"),
        "times" => Str::of("2"),
        _ => return STATUS_OPTION,
    };
    STATUS_OK
}

unsafe extern "C" fn strictness(_: *mut c_void) -> u32 {
    2
}

unsafe extern "C" fn log(ctx: *mut c_void, _: u32, text: Str) {
    // SAFETY: as the contract says.
    unsafe { world(ctx).seen().log.push(raw::text(text, 100).into_owned()) };
}

unsafe extern "C" fn report(ctx: *mut c_void, finding: *const Finding) {
    // SAFETY: as the contract says.
    unsafe {
        let found = raw::sized(finding).unwrap();
        let (code, place) = (raw::text(found.code, 100).into_owned(), failure::read_place(&found.place));
        world(ctx).seen().findings.push((found.severity, code, place, found.count));
    }
}

unsafe extern "C" fn lose(ctx: *mut c_void, code: Str, count: u64, _: Str) {
    // SAFETY: as the contract says.
    unsafe { world(ctx).seen().losses.push((raw::text(code, 100).into_owned(), count)) };
}

unsafe extern "C" fn emit(ctx: *mut c_void, message: *const Message) -> i32 {
    // SAFETY: as the contract says.
    unsafe {
        let (world, message) = (world(ctx), raw::sized(message).unwrap());
        let json = raw::text(message.json, usize::MAX).into_owned();
        let mut buffers: Vec<wire::Bytes> = Vec::new();
        for at in 0..message.buffer_count {
            buffers.push(Arc::new(raw::Taken::take(&mut *message.buffers.add(at)).unwrap()));
        }
        if world.refuses {
            return STATUS_LIMIT;
        }
        world.seen().messages.push((message.what, Parcel { json, buffers }));
    }
    STATUS_OK
}

unsafe extern "C" fn pull(ctx: *mut c_void, chunk: *mut Message) -> i32 {
    // SAFETY: as the contract says.
    let world = unsafe { world(ctx) };
    let mut chunks = world.chunks.lock().unwrap();
    if chunks.is_empty() {
        return STATUS_END;
    }
    let parcel = chunks.remove(0);
    let (mut lent, mut json) = (world.lent.lock().unwrap(), world.json.lock().unwrap());
    assert!(lent.iter().all(|buf| buf.release.is_none()), "they were taken over");
    *lent = parcel.buffers.iter().map(|bytes| world.counted((**bytes).as_ref())).collect();
    *json = parcel.json;
    // SAFETY: as the contract says; both stay until the next call.
    unsafe {
        (*chunk).json = Str::of(&json);
        (*chunk).buffers = lent.as_mut_ptr();
        (*chunk).buffer_count = lent.len();
    }
    STATUS_OK
}

unsafe extern "C" fn create(ctx: *mut c_void, name: Str, output: *mut u32) -> i32 {
    // SAFETY: as the contract says.
    unsafe {
        assert_eq!(raw::text(name, 100), "beside.txt");
        *output = 1;
        world(ctx).seen().outputs.push(Vec::new());
    }
    STATUS_OK
}

unsafe extern "C" fn write(ctx: *mut c_void, output: u32, bytes: *const u8, len: usize) -> i32 {
    // SAFETY: as the contract says.
    let (mut seen, bytes) = unsafe { (world(ctx).seen(), raw::bytes(Str { ptr: bytes, len })) };
    seen.outputs[output as usize].extend_from_slice(bytes);
    STATUS_OK
}

unsafe extern "C" fn seek(_: *mut c_void, _: u64) -> i32 {
    STATUS_UNSUPPORTED
}

unsafe extern "C" fn stem(_: *mut c_void, stem: *mut Str) -> i32 {
    // SAFETY: as the contract says.
    unsafe { *stem = Str::of("the stem") };
    STATUS_OK
}

unsafe extern "C" fn fail(ctx: *mut c_void, failure: *const Failure) {
    // SAFETY: as the contract says.
    unsafe { world(ctx).seen().failures.push(failure::read(failure)) };
}

/// One test at a time: some count in statics.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs a record or a stream to the statuses it gives, at most ten.
fn statuses(open: &Open<'_>) -> Vec<i32> {
    let mut statuses = Vec::new();
    while statuses.len() < 10 && statuses.last().is_none_or(|status| *status == STATUS_OK) {
        statuses.push(open.next());
    }
    statuses
}

#[test]
fn records_chunks_and_ends_come_in_order_and_are_whole() {
    let _alone = alone();
    let freed = Arc::new(AtomicUsize::new(0));
    *FREED.lock().unwrap() = Some(Arc::clone(&freed));
    let world = World::new("picture table picture");
    let open = Open::of(&world).unwrap();
    assert_eq!(open.header(), STATUS_OK);
    assert_eq!(statuses(&open), [0, 0, 0, 0, 0, 0, 0, STATUS_END]);
    assert_eq!(open.next(), STATUS_END, "the end stays the end");
    let header = wire::unpack_header(&world.seen().messages.remove(0).1).unwrap();
    assert_eq!((header.records, header.facts), (Some(1), picture(3).unwrap().facts()));
    let kinds: Vec<_> = world.seen().messages.iter().map(|(what, _)| *what).collect();
    let (record, chunk, end) = (MESSAGE_RECORD, MESSAGE_CHUNK, MESSAGE_END_OF_STREAM);
    assert_eq!(kinds, [record, record, chunk, chunk, chunk, end, record]);
    assert_eq!(world.seen().reserved, 200, "what a record took is the host's to give back");
    // Both headers' pictures are free; those of the records are the host's, also when the reader is gone.
    assert_eq!(freed.load(Ordering::Relaxed), 2);
    drop(open);
    assert_eq!(freed.load(Ordering::Relaxed), 2);
    let parcel = world.seen().messages.remove(0).1;
    let back = wire::unpack_record(parcel, || Ok(None)).unwrap();
    let Media::Image(image) = &back.media else { panic!("{back:?}") };
    assert_eq!(image.samples(), &Samples::U8(vec![7; 6].into()));
    drop(back);
    assert_eq!(freed.load(Ordering::Relaxed), 3);
    world.seen().messages.clear();
    assert_eq!(freed.load(Ordering::Relaxed), 4);
    assert!(world.seen().failures.is_empty());
}

#[test]
fn failures_are_told_once_and_kill_the_reader() {
    let _alone = alone();
    let world = World::new("error picture");
    let open = Open::of(&world).unwrap();
    assert_eq!(open.next(), STATUS_UNSUPPORTED);
    let error = world.failure();
    assert_eq!((error.message(), error.hint()), ("expected 1, found 2", Some("use 1")));
    assert_eq!(error.location(), Some(&Location::byte(5)));
    assert_eq!(open.next(), STATUS_PLUGIN);
    assert!(world.failure().message().contains("asked a reader again"));

    let world = World::new("limit");
    assert_eq!(Open::of(&world).unwrap().next(), STATUS_LIMIT);
    assert_eq!((world.failure().limit_name(), world.seen().failures.len()), (Some("pixels"), 0));
    let world = World::new("hungry");
    assert_eq!(Open::of(&world).unwrap().next(), STATUS_LIMIT);
    assert_eq!(world.failure().limit_name(), Some("alloc_bytes"));
    assert_eq!(world.seen().reserved, 0, "the host is not asked for what is over the limit anyway");

    let world = World::new("shut");
    assert_eq!(Open::of(&world).err(), Some(STATUS_MALFORMED));
    assert_eq!(world.failure().message(), "it does not open");
}

#[test]
fn panics_are_failures_and_nothing_unwinds() {
    let _alone = alone();
    for (step, text) in [("panic", "out of ideas"), ("bomb", "no message")] {
        let world = World::new(step);
        let open = Open::of(&world).unwrap();
        assert_eq!(open.next(), STATUS_PLUGIN);
        let error = world.failure();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Plugin, &*format!("the plugin panicked: {text}")));
        assert_eq!(open.next(), STATUS_PLUGIN, "it is dead");
        assert_eq!(open.header(), STATUS_PLUGIN);
    }
}

#[test]
fn a_torn_stream_is_an_error_and_the_next_record_still_comes() {
    let _alone = alone();
    let world = World::new("torn picture");
    let open = Open::of(&world).unwrap();
    assert_eq!(statuses(&open), [0, 0, STATUS_MALFORMED]);
    assert_eq!(world.failure().location(), Some(&Location::line(3)));
    assert_eq!(statuses(&open), [0, STATUS_END]);
}

#[test]
fn the_hosts_own_errors_come_back_as_their_status_alone() {
    let _alone = alone();
    let mut world = World::new("wait");
    world.cancelled = true;
    assert_eq!(Open::of(&world).unwrap().next(), STATUS_CANCELLED);
    assert!(world.seen().failures.is_empty());
    let world = World::new("unreadable");
    assert_eq!(Open::of(&world).unwrap().next(), STATUS_IO);
    assert!(world.seen().failures.is_empty());

    let freed = Arc::new(AtomicUsize::new(0));
    *FREED.lock().unwrap() = Some(Arc::clone(&freed));
    let mut world = World::new("picture");
    world.refuses = true;
    assert_eq!(Open::of(&world).unwrap().next(), STATUS_LIMIT);
    assert_eq!(freed.load(Ordering::Relaxed), 1, "what the host refused, it released");
}

#[test]
fn options_limits_findings_and_siblings_cross() {
    let _alone = alone();
    let world = World::new("options findings findings");
    assert_eq!(statuses(&Open::of(&world).unwrap()), [0, 0, 0, STATUS_END]);
    let found = (SEVERITY_ERROR, "odd".to_owned(), Some(Location::line(2)), 3);
    assert_eq!(world.seen().findings, [found.clone(), found], "each is told once");
    assert_eq!(world.seen().losses, [("smell".to_owned(), 2), ("smell".to_owned(), 2)]);

    RELEASED.store(0, Ordering::Relaxed);
    let world = World::new("sibling stash");
    assert_eq!(statuses(&Open::of(&world).unwrap()), [STATUS_END]);
    assert_eq!((world.handed_out.load(Ordering::Relaxed), RELEASED.load(Ordering::Relaxed)), (2, 2));
}

#[test]
fn what_is_kept_beyond_the_end_answers_with_an_error() {
    let _alone = alone();
    let world = World::new("stash");
    let open = Open::of(&world).unwrap();
    assert_eq!(open.next(), STATUS_END);
    let source = STASH.lock().unwrap().take().unwrap();
    assert_eq!(source.read_at(0, &mut [0; 5]).unwrap(), 5);
    drop(open);
    drop(world);
    assert_eq!(source.read_at(0, &mut [0; 5]).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(source.bytes(&Context::new("x")).err().unwrap().kind(), ErrorKind::Io);
    assert_eq!(source.sibling("beside", &Context::new("x")).unwrap_err().kind(), ErrorKind::Io);
}

/// What `write` says of a record.
fn written(world: &World, mut record: MediaRecord) -> i32 {
    let parcel = wire::pack_record(&mut record).unwrap();
    while let Some(chunk) = wire::streams(&record).then(|| wire::pack_chunk(&mut record).unwrap()).flatten() {
        world.chunks.lock().unwrap().push(chunk);
    }
    let mut buffers: Vec<Buf> = parcel.buffers.iter().map(|bytes| world.counted((**bytes).as_ref())).collect();
    let mut message = Message {
        size: size_of::<Message>() as u32,
        what: MESSAGE_RECORD,
        json: Str::of(&parcel.json),
        buffers: buffers.as_mut_ptr(),
        buffer_count: buffers.len(),
    };
    world.seen().outputs.push(Vec::new());
    let host = world.host();
    // SAFETY: everything is there for the call.
    let status = unsafe { TABLE.write.unwrap()(&raw const host, Str::of("fake"), &raw mut message) };
    for buffer in &mut buffers {
        // SAFETY: those that were not taken over are released here.
        drop(unsafe { raw::Taken::take(buffer) });
    }
    status
}

#[test]
fn writers_pull_write_and_release_everything_once() {
    let _alone = alone();
    RELEASED.store(0, Ordering::Relaxed);
    let world = World::new("");
    assert_eq!(written(&world, picture(3).unwrap()), STATUS_OK);
    assert_eq!(world.seen().outputs, [vec![7; 6], b"the stem".to_vec()]);
    assert_eq!(world.seen().losses, [("taste".to_owned(), 1)]);
    assert_eq!((world.handed_out.load(Ordering::Relaxed), RELEASED.load(Ordering::Relaxed)), (1, 1));

    let world = World::new("");
    assert_eq!(written(&world, numbers(3, None)), STATUS_OK);
    assert_eq!(world.seen().outputs, [b"4;4;4;".to_vec()]);
    assert_eq!((world.handed_out.load(Ordering::Relaxed), RELEASED.load(Ordering::Relaxed)), (3, 4));

    let world = World::new("");
    assert_eq!(written(&world, picture(13).unwrap()), STATUS_PLUGIN);
    assert_eq!(world.failure().message(), "the plugin panicked: unlucky");
    assert_eq!((world.handed_out.load(Ordering::Relaxed), RELEASED.load(Ordering::Relaxed)), (1, 5));
}

#[test]
fn a_probe_answers_in_the_room_there_is() {
    let _alone = alone();
    let world = World::new("");
    let host = world.host();
    let mut answer = Answer { size: size_of::<Answer>() as u32, score: 9, reason: [9; 120] };
    let ask = |head: &str, answer: &mut Answer| {
        let head = Str::of(head);
        let size = size_of::<View>() as u32;
        let view = View { size, reserved: 0, len: 9, head, tail: head, name: Str::EMPTY };
        // SAFETY: everything is there for the call.
        unsafe { TABLE.probe.unwrap()(&raw const host, Str::of("fake"), &raw const view, answer) }
    };
    assert_eq!((ask("no", &mut answer), answer.score), (STATUS_OK, 0));
    assert_eq!((ask("unknown", &mut answer), answer.score), (STATUS_OK, SCORE_UNKNOWN));
    assert_eq!((ask("x", &mut answer), answer.score), (STATUS_OK, 77));
    assert_eq!(&answer.reason[..], [&*"é".repeat(59).into_bytes(), &[0, 0]].concat());
    answer = Answer { size: 8, score: 9, reason: [9; 120] };
    assert_eq!((ask("x", &mut answer), answer.score, answer.reason), (STATUS_OK, 77, [9; 120]));
    assert_eq!(ask("panic", &mut answer), STATUS_PLUGIN);
    assert_eq!(world.failure().message(), "the plugin panicked: at first sight");
}

#[test]
fn a_host_that_is_older_or_broken_does_no_harm() {
    let _alone = alone();
    let world = World::new("picture");
    let mut host = world.host();
    let input = world.input();
    for size in 0..=size_of::<Host>() as u32 {
        host.size = size;
        let mut reader = std::ptr::null_mut();
        // SAFETY: the host says less of itself than is there.
        unsafe {
            let format = Str::of("fake");
            if TABLE.open.unwrap()(&raw const host, format, &raw const input, &raw mut reader) == STATUS_OK {
                TABLE.next.unwrap()(&raw const host, reader);
            }
            TABLE.close.unwrap()(&raw const host, reader);
        }
    }
    host.size = size_of::<Host>() as u32;
    let mut reader = std::ptr::null_mut();
    // SAFETY: NULL is what is tried.
    unsafe {
        let (open, none) = (TABLE.open.unwrap(), std::ptr::null());
        assert!(open(none, Str::of("fake"), &raw const input, &raw mut reader) < 0);
        assert_eq!(open(&raw const host, Str::of("fake"), std::ptr::null(), &raw mut reader), STATUS_PLUGIN);
        assert_eq!(open(&raw const host, Str::of("other"), &raw const input, &raw mut reader), STATUS_PLUGIN);
        assert_eq!(TABLE.next.unwrap()(&raw const host, std::ptr::null_mut()), STATUS_PLUGIN);
        assert!(TABLE.write.unwrap()(&raw const host, Str::of("fake"), std::ptr::null_mut()) < 0);
    }
    assert!(reader.is_null());
    assert!(world.failure().message().contains("it gave no record"));
    assert!(world.failure().message().contains("\"other\""));
}

#[test]
fn a_stamp_says_what_it_is() {
    let stamp = stamp(true);
    assert_eq!((stamp.magic, stamp.size, stamp.major), (STAMP_MAGIC, 88, 1));
    assert_eq!((stamp.pointer_bits, stamp.flags & FLAG_CATCHES_PANICS), (usize::BITS, FLAG_CATCHES_PANICS));
    assert!(stamp.builder.starts_with(b"rust, mediary-core ") && stamp.builder.ends_with(&[0]));
}
