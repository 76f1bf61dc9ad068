use std::sync::Arc;

use mediary_core::wire::{Parcel, Piece};
use mediary_core::{
    Confidence, Context, Error, ErrorKind, FormatInfo, Kind, Limits, MemorySiblings, OptionSpec, OptionType, OptionUse,
    Options, Probe, Source, Strictness,
};

use super::Workshop;
use crate::direct::Direct;
use crate::library::{self, Library};
use crate::{Connection, Session};

static INFO: FormatInfo = FormatInfo::new("told", "Told", &[Kind::Table]).reads().options(&[OptionSpec::read(
    "level",
    OptionType::Int { min: 0, max: 9 },
    "3",
    "A number.",
)]);

/// A plugin that is linked into this program.
#[expect(unsafe_code, reason = "a table is taken on its word")]
pub(super) fn of(table: &'static mediary_core::plugin::abi::Plugin) -> Arc<dyn Connection> {
    // SAFETY: a table that the crate makes itself.
    let table = unsafe { crate::table::Table::take(table) };
    Arc::new(Direct::of_table(Box::leak(Box::new(table.unwrap()))))
}

/// A plugin of its own, loaded for itself alone.
struct Bench {
    direct: Direct,
    _shop: Workshop,
}

impl Bench {
    fn new(defines: &[&str]) -> Self {
        let shop = Workshop::new();
        let path = shop.build("told.so", defines);
        let sha256 = library::sha256(&path).unwrap().0;
        Self { direct: Direct::new(Library::of(path, sha256)), _shop: shop }
    }

    fn open(&self, told: &str, cx: &Context) -> Result<Box<dyn Session>, Error> {
        self.direct.open(&INFO, &Source::from_bytes("x.told", format!("TOLD {told}").into_bytes()), cx)
    }

    /// All pieces of an input that is told so, or the first error.
    fn read(&self, told: &str) -> Result<Vec<Piece>, Error> {
        let mut session = self.open(told, &Context::new("told"))?;
        let mut pieces = Vec::new();
        while let Some(piece) = session.next()? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// The JSON of the only record.
    fn said(&self, told: &str) -> String {
        match &self.read(told).unwrap()[..] {
            [Piece::Record(parcel)] => parcel.json.clone(),
            pieces => panic!("{} pieces", pieces.len()),
        }
    }

    /// Every buffer was released, once.
    fn is_tidy(&self) {
        let count: serde_json::Value = serde_json::from_str(&self.said("count")).unwrap();
        assert_eq!(count["made"], count["released"], "{count}");
    }
}

fn shape(piece: &Piece) -> (&'static str, usize) {
    let bytes = |parcel: &Parcel| parcel.buffers.iter().map(|buffer| (**buffer).as_ref().len()).sum();
    match piece {
        Piece::Record(parcel) => ("record", bytes(parcel)),
        Piece::Chunk(parcel) => ("chunk", bytes(parcel)),
        Piece::EndOfStream => ("end", 0),
    }
}

#[test]
fn records_and_streams_arrive_in_order() {
    let bench = Bench::new(&[]);
    assert_eq!(bench.read("record").unwrap().iter().map(shape).collect::<Vec<_>>(), [("record", 1 << 20)]);
    let stream = bench.read("stream").unwrap();
    let expected = [("record", 0), ("chunk", 4096), ("chunk", 4096), ("chunk", 4096), ("end", 0)];
    assert_eq!(stream.iter().map(shape).collect::<Vec<_>>(), expected);
    drop(stream);
    bench.is_tidy();
}

#[test]
fn what_arrived_outlives_its_reader_and_moves_between_threads() {
    let bench = Bench::new(&[]);
    let mut session = bench.open("record", &Context::new("told")).unwrap();
    let Some(Piece::Record(parcel)) = session.next().unwrap() else { panic!("a record") };
    drop(session);
    assert_eq!(bench.said("count"), r#"{"made":1,"released":0,"closed":1}"#);
    let sum =
        std::thread::spawn(move || (*parcel.buffers[0]).as_ref().iter().map(|byte| u64::from(*byte)).sum::<u64>());
    assert_eq!(sum.join().unwrap(), 7 << 20);
    assert_eq!(bench.said("count"), r#"{"made":1,"released":1,"closed":2}"#);
}

#[test]
fn every_breach_is_an_error_of_the_plugin_and_leaks_nothing() {
    let bench = Bench::new(&[]);
    let cases = [
        ("no-release", ErrorKind::Plugin, "buffer 1 has no release"),
        ("ignored", ErrorKind::Plugin, "buffer 1 has no release"),
        ("huge-buffer", ErrorKind::Plugin, "buffer 0 has 18446744073709551615 bytes"),
        ("null-buffer", ErrorKind::Plugin, "buffer 0 has 64 bytes at NULL"),
        ("null-buffers", ErrorKind::Plugin, "it emitted 5 buffers at NULL"),
        ("bad-utf8", ErrorKind::Plugin, "its JSON is not UTF-8 at byte 2"),
        ("null-json", ErrorKind::Plugin, "its JSON has 5 bytes at NULL"),
        ("null-message", ErrorKind::Plugin, "it emitted NULL"),
        ("short-message", ErrorKind::Plugin, "its message says it has 8 bytes, expected 40"),
        ("unknown-message", ErrorKind::Plugin, "it emitted message 99, which has no meaning"),
        ("a-header", ErrorKind::Plugin, "it emitted a header when asked for records"),
        ("idle", ErrorKind::Plugin, "it was asked for more 1000 times in a row and gave nothing"),
        ("status", ErrorKind::Plugin, "it returned status 77, which has no meaning"),
        ("open-null", ErrorKind::Plugin, "open returned status 0 and no reader"),
        ("pulls", ErrorKind::Plugin, "it wrote although nothing is written"),
        ("silent", ErrorKind::Malformed, "it failed with status -2 without a word"),
        ("flood", ErrorKind::Limit, "it emitted more than 1024 messages at once, expected one or a few"),
    ];
    for (told, kind, message) in cases {
        let error = bench.read(told).map(|pieces| pieces.len()).unwrap_err();
        // A flood is read as far as it was let in.
        assert!(error.message().starts_with(message), "{told}: {error}");
        assert_eq!(error.kind(), kind, "{told}");
        assert_eq!(error.hint().is_some(), kind == ErrorKind::Plugin, "{told}");
    }
    bench.is_tidy();
}

#[test]
fn a_flood_of_bytes_stops_at_the_budget() {
    let bench = Bench::new(&[]);
    let mut limits = Limits::default();
    limits.alloc_bytes = 5 << 20;
    let mut session = bench.open("flood-bytes", &Context::builder("told").limits(limits).build()).unwrap();
    let mut records = 0;
    let error = loop {
        match session.next() {
            Ok(Some(_)) => records += 1,
            Ok(None) => panic!("an end"),
            Err(error) => break error,
        }
    };
    assert_eq!((records, error.limit_name()), (4, Some("alloc_bytes")));
    drop(session);
    bench.is_tidy();
}

#[test]
fn a_failure_says_all_it_says_and_comes_after_what_was_emitted() {
    let bench = Bench::new(&[]);
    let error = bench.read("fail").err().unwrap();
    assert_eq!((error.kind(), error.message(), error.hint()), (ErrorKind::Limit, "too many holes", Some("fill them")));
    assert_eq!((error.limit_name(), error.limit_amounts()), (Some("elements"), Some((9, 8))));
    assert_eq!(error.location().unwrap().to_string(), "holes[3], line 2, column 1, byte 5");

    let mut session = bench.open("late-fail", &Context::new("told")).unwrap();
    assert_eq!(session.next().unwrap().as_ref().map(shape), Some(("record", 8)));
    assert_eq!(session.next().err().unwrap().message(), "too many holes");
    // Closed by then, and never asked again.
    assert!(bench.said("count").ends_with(r#""closed":2}"#));
    assert_eq!(session.next().err().unwrap().message(), "it has failed before");
    drop(session);
    assert!(bench.said("count").ends_with(r#""closed":3}"#));
    bench.is_tidy();
}

#[test]
fn an_error_of_the_host_comes_back_as_it_was() {
    let bench = Bench::new(&[]);
    let error = bench.read("missing-sibling").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().starts_with("reference \"../secret\" is refused"), "{error}");
}

#[test]
fn cancelling_stops_it_and_closes_it_once() {
    let bench = Bench::new(&[]);
    let cx = Context::new("told");
    let mut session = bench.open("stream", &cx).unwrap();
    let first = session.next().unwrap();
    let second = session.next().unwrap();
    assert_eq!(second.as_ref().map(shape), Some(("chunk", 4096)));
    cx.cancel().cancel();
    assert_eq!(session.next().err().unwrap().kind(), ErrorKind::Cancelled);
    drop((first, second, session));
    assert!(bench.said("count").ends_with(r#""closed":1}"#));

    // Cancelled inside of the plugin, which goes on as if nothing had happened.
    let cx = Context::builder("told").checkpoint({
        let asked = std::sync::atomic::AtomicUsize::new(0);
        move || match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            // Before the first `next`, and before the second.
            0 | 1 => Ok(()),
            _ => Err(Error::new(ErrorKind::Cancelled, "enough")),
        }
    });
    let mut session = bench.open("stubborn", &cx.build()).unwrap();
    assert!(session.next().unwrap().is_some());
    // What it emitted is given, then why it is over.
    assert_eq!(session.next().unwrap().as_ref().map(shape), Some(("record", 64)));
    assert_eq!(session.next().err().unwrap().message(), "enough");
    drop(session);
    bench.is_tidy();
}

#[test]
fn siblings_limits_options_and_findings_reach_the_plugin_and_back() {
    let bench = Bench::new(&[]);
    let source =
        Source::from_bytes("x.told", *b"TOLD sibling").with_siblings(MemorySiblings::default().with("b.bin", *b"abc"));
    let mut session = bench.direct.open(&INFO, &source, &Context::new("told")).unwrap();
    let Some(Piece::Record(parcel)) = session.next().unwrap() else { panic!("a record") };
    // Number, again, length, two bytes, all bytes, no descriptor in memory, no such input.
    assert_eq!(parcel.json, "1 1 3 bc abc -3 -7");

    let options = Options::resolve("told", INFO.options, OptionUse::Read, &[("level".into(), "7".into())]).unwrap();
    let cx = Context::builder("told").options(options).strictness(Strictness::Strict).build();
    let mut session = bench.open("ask", &cx).unwrap();
    let Some(Piece::Record(parcel)) = session.next().unwrap() else { panic!("a record") };
    assert_eq!(parcel.json, format!("0 {} -5 0 7 -5 -4 0 2 0", Limits::default().pixels));
    assert_eq!(cx.budget().taken(), 0, "it gave back what it took, and no more");
    let findings = cx.diagnostics().to_vec();
    let findings: Vec<_> = findings.iter().map(|found| (&*found.code, &*found.message, found.count)).collect();
    assert_eq!(findings, [("told.odd-thing", "expected even", 1), ("told.log", "hello", 1)]);

    let cx = Context::new("told");
    bench.open("findings", &cx).unwrap().next().unwrap();
    let findings = cx.diagnostics().to_vec();
    assert_eq!(findings.len(), 257, "bounded");
    assert_eq!(findings.iter().map(|found| found.count).sum::<u64>(), 5000, "and counted");
}

#[test]
fn headers_are_asked_for_and_checked() {
    let bench = Bench::new(&[]);
    let header = |told| bench.open(told, &Context::new("told")).unwrap().header();
    assert_eq!(header("header").unwrap().unwrap().json, "{\"h\":1}");
    assert!(header("record").unwrap().is_none());
    assert_eq!(header("header-silent").err().unwrap().message(), "header returned status 0 and emitted no header");
    assert_eq!(header("header-record").err().unwrap().message(), "it emitted a record when asked for a header");
}

#[test]
fn a_look_is_answered_or_an_error() {
    let bench = Bench::new(&[]);
    let look = |text: &str| {
        let head = text.as_bytes();
        bench.direct.probe(&INFO, &Probe { head, tail: head, len: head.len() as u64, name: "x" })
    };
    assert_eq!(look("TOLD"), Confidence::yes(150, "it is told"));
    assert_eq!(look("TOLD unsure"), Confidence::Unknown);
    let failure = |text: &str| match look(text) {
        Confidence::Failed(failure) => *failure,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(failure("TOLD wild").message, "probe answered 4711, expected 0 to 256");
    assert_eq!(failure("TOLD fail").kind, ErrorKind::Malformed);
}

#[test]
fn tables_of_any_size_work_as_far_as_they_go() {
    let larger = Bench::new(&["TABLE_SIZE=sizeof(plugin)"]);
    assert_eq!(larger.read("record").unwrap().len(), 1);
    let smaller = Bench::new(&["TABLE_SIZE=offsetof(plugin,write)"]);
    assert_eq!(smaller.read("record").unwrap().len(), 1);
    for (define, message) in [
        ("TABLE_SIZE=offsetof(plugin,close)", "the plugin's table has `open` but not both `next` and `close`"),
        ("TABLE_SIZE=8", "the plugin's table has 8 bytes, which hold no function"),
        ("DECLINES", "the plugin declines: its entry gave no table; it said: no licence key"),
        ("NO_ENTRY", "it has no entry mediary_plugin_v1: "),
        ("UNDEFINED", "it cannot be loaded: "),
    ] {
        let bench = Bench::new(&[define]);
        for _ in 0..2 {
            let error = bench.read("record").err().unwrap();
            assert!(error.message().contains(message), "{define}: {error}");
            assert_eq!(error.kind(), ErrorKind::Plugin);
        }
    }
    // The loader's reason, not only that it failed.
    let error = Bench::new(&["UNDEFINED"]).read("record").err().unwrap();
    assert!(error.message().contains("mediary_nowhere_to_be_found"), "{error}");
}

#[test]
fn two_plugins_are_two() {
    // The C library knows loaded files by name, and descriptors are numbered anew: they must not be taken for each other.
    let (first, second) = (Bench::new(&[]), Bench::new(&[]));
    first.read("record").unwrap();
    second.read("stream").unwrap();
    assert!(first.said("count").starts_with(r#"{"made":1,"#));
    assert!(second.said("count").starts_with(r#"{"made":3,"#));
}

#[test]
fn a_file_is_loaded_once_however_often_it_is_registered() {
    let shop = Workshop::new();
    let path = shop.build("told.so", &[]);
    let sha256 = library::sha256(&path).unwrap().0;
    let table = Library::of(path.clone(), sha256.clone()).table().unwrap();
    assert!(std::ptr::eq(table, Library::of(path, sha256).table().unwrap()));
}
