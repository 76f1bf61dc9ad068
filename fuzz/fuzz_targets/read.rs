//! One target for all formats. `MEDIARY_FUZZ_FORMAT` names the one that gets every input: its header, its records to their ends
//! with all facts, and the first one written and read again. An error is an answer; a panic, a breakdown, a record
//! that is not valid, memory over the limits, and a refusal of our own output are findings. `run.py` beside this runs it.
#![no_main]

mod container;
mod memory;

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use mediary::{
    Context, ErrorKind, Finished, FormatInfo, Limits, Media, MediaRecord, MemorySiblings, Output, ReadOptions,
    Registry, Result, Siblings, Source, Strictness, WriteOptions,
};
use mediary_conformance::is_breakdown;

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;

/// Decoders whose panics the readers catch.
const CAUGHT: &[&str] = &["/laz-"];

fuzz_target!(init: tolerate(), |bytes: &[u8]| judge(bytes));

/// libFuzzer ends at every panic, also at one that is caught.
fn tolerate() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |location| location.file());
        if !CAUGHT.iter().any(|caught| place.contains(caught)) {
            abort(panic);
        }
    }));
}

struct Subject {
    registry: Registry,
    info: &'static FormatInfo,
    limits: Limits,
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        let id = std::env::var("MEDIARY_FUZZ_FORMAT").expect("MEDIARY_FUZZ_FORMAT names a format");
        let registry = Registry::builtin();
        let info = registry.get(&id).expect("a known format").info();
        let mut limits = Limits::untrusted();
        limits.alloc_bytes = 64 << 20;
        limits.output_bytes = 32 << 20;
        // What takes long is to be seen.
        limits.wall_ms = u64::MAX;
        Subject { registry, info, limits }
    })
}

fn judge(bytes: &[u8]) {
    let subject = subject();
    let (bytes, beside) = container::split(bytes);
    let beside: Option<Arc<[u8]>> = beside.map(Arc::from);
    let id = subject.info.id;
    let open = || {
        let source = Source::from_bytes("", container::closed(id, bytes));
        beside.clone().map_or(source.clone(), |beside| source.with_siblings(Anything(beside)))
    };
    for strictness in [Strictness::Default, Strictness::Lenient] {
        match subject.read(&open(), id, strictness) {
            Ok(None) => return,
            Ok(Some(writers)) => {
                let sum = bytes.iter().fold(0_usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
                return subject.survives(&open(), beside, writers[sum % writers.len()], strictness);
            }
            Err(_) => {}
        }
    }
}

/// One file by any name.
struct Anything(Arc<[u8]>);

impl Siblings for Anything {
    fn open(&self, name: &str, _: &Limits) -> Result<Source> {
        Ok(Source::from_bytes(name, Arc::clone(&self.0)))
    }
}

/// What was written beside a file, and behind it what lay beside the one it was made of: annotations name the picture of before.
struct Beside(MemorySiblings, Option<Anything>);

impl Siblings for Beside {
    fn open(&self, name: &str, limits: &Limits) -> Result<Source> {
        let before = |error| self.1.as_ref().map_or(Err(error), |any| any.open(name, limits));
        self.0.open(name, limits).or_else(before)
    }
}

impl Subject {
    fn options(&self, from: &str, strictness: Strictness) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.from = Some(from.to_owned());
        options.limits = self.limits;
        options.strictness = strictness;
        options
    }

    /// Reads everything there is to know; who can write the first record.
    fn read(&self, source: &Source, from: &str, strictness: Strictness) -> Result<Option<Vec<&'static FormatInfo>>> {
        let mut reading = self.registry.open(source, &self.options(from, strictness)).inspect_err(orderly)?;
        let early = reading.header().inspect_err(orderly);
        let mut writers = None;
        while let Some(record) = reading.next() {
            let mut record = record.inspect_err(orderly)?;
            let _ = record.to_json();
            record.media.drain().inspect_err(orderly)?;
            record.media.validate(self.limits.depth).expect("a valid record");
            let cx = Context::builder(from.to_owned()).limits(self.limits).build();
            match record.media.examine(&cx) {
                Ok(facts) => drop(record.to_json_with(&facts)),
                Err(error) => orderly(&error),
            }
            if let (0, Ok(early)) = (record.index, &early) {
                assert_eq!(early.facts.kind(), record.kind(), "the header says another kind");
            }
            writers = writers.or_else(|| self.writers(&record.media));
        }
        if let (Ok(early), Ok(late)) = (early, reading.header()) {
            assert_eq!(early, late, "the header after the records is not the one before");
        }
        Ok(writers)
    }

    /// Formats that hold such media: its own and the canonical one as often as all others.
    fn writers(&self, media: &Media) -> Option<Vec<&'static FormatInfo>> {
        let kind = media.kind();
        let all = self.registry.formats().filter(|info| info.writes.is_some() && info.kinds.contains(&kind));
        let mut all: Vec<_> = all.collect();
        let own = Some(self.info).filter(|info| info.writes.is_some());
        let usual: Vec<_> = own.into_iter().chain(self.registry.canonical(media)).collect();
        all.extend(usual.iter().cycle().take(all.len()).copied().collect::<Vec<_>>());
        (!all.is_empty()).then_some(all)
    }

    fn first(&self, source: &Source, from: &str, strictness: Strictness) -> Option<MediaRecord> {
        self.registry.open(source, &self.options(from, strictness)).ok()?.next()?.ok()
    }

    /// Written as `to` and read again, the first record is there.
    fn survives(&self, source: &Source, beside: Option<Arc<[u8]>>, to: &'static FormatInfo, strictness: Strictness) {
        let Some(mut record) = self.first(source, self.info.id, strictness) else { return };
        let mut out = Output::memory().with_limit(self.limits.output_bytes);
        let mut options = WriteOptions::default();
        options.limits = self.limits;
        if let Err(error) = self.registry.write(&mut record, to.id, &mut out, &options) {
            // LASzip computes modulo a power of two, which is no overflow where overflows are not checked.
            let fair = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Limit)
                || (to.id == "laz" && error.message().ends_with("with overflow"));
            assert!(fair || out.fault().is_some(), "{} cannot be written: {error:?}", to.id);
            return;
        }
        if !to.reads {
            return;
        }
        let Finished { bytes, siblings } = out.finish().expect("memory");
        let siblings = siblings.into_iter().fold(MemorySiblings::default(), |all, (name, bytes)| all.with(name, bytes));
        let again = Source::from_bytes("", bytes.clone()).with_siblings(Beside(siblings, beside.map(Anything)));
        let read = self.registry.open(&again, &self.options(to.id, Strictness::Default)).and_then(|reading| {
            let mut records = reading.collect::<Result<Vec<_>>>()?;
            records.iter_mut().try_for_each(|record| record.media.drain())?;
            Ok(records)
        });
        let excerpt = || String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        match read {
            Ok(records) => {
                assert_eq!(records.len(), 1, "{}: records after writing one", to.id);
                if record.loss.is_empty() {
                    same_counts(&record, &records[0], to);
                }
            }
            Err(error) if error.kind() == ErrorKind::Limit => {}
            // Annotations without their picture, which was inside them.
            Err(error)
                if error.kind() == ErrorKind::Io && record.loss.iter().any(|loss| loss.code.ends_with(".pixels")) => {}
            Err(error) => panic!("{} refuses what it wrote: {error:?}, losses {:?}\n{}", to.id, record.loss, excerpt()),
        }
    }
}

fn orderly(error: &mediary::Error) {
    assert!(!is_breakdown(error), "it broke down: {error:?}");
}

/// What no writer may drop without a word.
fn same_counts(before: &MediaRecord, after: &MediaRecord, to: &FormatInfo) {
    match (&before.media, &after.media) {
        (Media::PointCloud(a), Media::PointCloud(b)) => {
            assert_eq!(a.points.summary().points, b.points.summary().points, "{}: points", to.id);
        }
        (Media::Scene(a), Media::Scene(b)) if to.keeps(mediary::Feature::NodeTree) => {
            assert_eq!(a.facts().triangles, b.facts().triangles, "{}: triangles", to.id);
            assert_eq!(a.facts().nodes, b.facts().nodes, "{}: nodes", to.id);
        }
        // What holds both kinds cannot tell points from a scene of points.
        (Media::Scene(a), Media::PointCloud(_)) => assert_eq!(a.facts().triangles, Some(0), "{}: triangles", to.id),
        (a, b) => assert_eq!(a.kind(), b.kind(), "{}: kind", to.id),
    }
}
