//! What a plugin costs: `cargo bench -p mediary-loader`. Compiles `tests/plugins/hostile.c` with `cc`, the farbfeld example with
//! `cargo`, and prints a table.
//!
//! The times are the smallest of many rounds: on a machine that does other things too, everything else is its noise.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mediary_core::record::{Image, Samples};
use mediary_core::{
    Confidence, Context, Facts, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord, Probe, ReadOptions,
    Registry, Result, Source, single,
};
use mediary_loader::{Isolation, Plugins, Search};

/// What the plugin does, compiled in.
struct BuiltIn;

const INFO: FormatInfo = FormatInfo::new("compiled-in", "Compiled in", &[Kind::Image]).reads();

impl Format for BuiltIn {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if probe.head.starts_with(b"HST") { Confidence::yes(200, "signature HST") } else { Confidence::No }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut head = [0; 8];
        source.read_exact_at(0, &mut head, "the header")?;
        cx.checkpoint()?;
        let image = || Image::new(2, 1, 3, Samples::U8(vec![7; 6].into()));
        let facts = image()?.facts();
        Ok(single(move || Ok(Header::single(Facts::Image(facts.clone()))), move || Ok(MediaRecord::new(image()?))))
    }
}

fn compile(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let plugin = folder.join("hostile.so");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_DEFAULT_SOURCE", "-O2", "-shared", "-fPIC", "-w", "-I"]).arg(root.join("core/include"));
    let status = cc.arg(root.join("tests/plugins/hostile.c")).arg("-o").arg(&plugin).status().unwrap();
    assert!(status.success());
    plugin
}

/// The example in Rust, which is a plugin of one format.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "mediary-example-farbfeld", "--target-dir"]).arg(&folder);
    assert!(cargo.status().unwrap().success());
    let name = [std::env::consts::DLL_PREFIX, "mediary_example_farbfeld", std::env::consts::DLL_SUFFIX].concat();
    folder.join("release").join(name)
}

fn registry(plugin: &Path, isolation: Isolation) -> Registry {
    let mut registry = Registry::empty();
    registry.add(&BuiltIn).unwrap();
    let refusals = Plugins::discover(&Search::files([plugin.to_owned()])).register(&mut registry, isolation);
    assert!(refusals.is_empty(), "{refusals:?}");
    registry
}

/// The smallest time of one call, over `rounds` of `calls`.
fn time(rounds: u32, calls: u32, mut call: impl FnMut()) -> Duration {
    let round = || {
        let begun = Instant::now();
        for _ in 0..calls {
            call();
        }
        begun.elapsed() / calls
    };
    std::iter::repeat_with(round).take(rounds as usize).min().unwrap()
}

fn nanos(rounds: u32, calls: u32, mut call: impl FnMut()) -> f64 {
    // Below a nanosecond a Duration is too coarse to be divided.
    time(rounds, 1, || (0..calls).for_each(|_| call())).as_nanos() as f64 / f64::from(calls)
}

fn read(registry: &Registry, format: &str, source: &Source) {
    let mut options = ReadOptions::default();
    options.limits.alloc_bytes = 1 << 30;
    options.from = Some(format.to_owned());
    for record in registry.open(source, &options).unwrap() {
        let Media::Image(image) = record.unwrap().media else { panic!("an image") };
        let Samples::U8(samples) = image.samples() else { panic!("bytes") };
        black_box(samples[samples.len() / 2]);
    }
}

fn main() {
    mediary_loader::worker::serve_if_asked();
    let folder = tempfile::tempdir().unwrap();
    let plugin = compile(folder.path());
    println!("| what | time |\n|---|---|");
    let row = |what: &str, time: Duration| println!("| {what} | {time:.1?} |");

    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for index in 0..100 {
        fs::copy(&plugin, many.join(format!("p{index:02}.so"))).unwrap();
    }
    let mut search = Search::files([]);
    search.variable = Some(many.into());
    assert_eq!(Plugins::discover(&search).found.iter().filter(|found| found.outcome.is_ok()).count(), 100);
    row("listing 100 plugins", time(30, 1, || drop(black_box(Plugins::discover(&search)))));

    let (inside, worker) = (registry(&plugin, Isolation::None), registry(&plugin, Isolation::Auto));
    for (answer, head) in [("no", &b"something else"[..]), ("yes, with a reason", b"HST good")] {
        let probe = Probe { head, tail: head, len: head.len() as u64, name: "x" };
        let nanos_of = |format: &dyn Format| nanos(500, 1000, || drop(black_box(format.probe(black_box(&probe)))));
        let compiled_in = nanos_of(inside.get("compiled-in").unwrap());
        let loaded = nanos_of(inside.get("hostile").unwrap());
        println!("| probe that says {answer}: compiled in | {compiled_in:.1}ns |");
        println!("| the same, loaded into the process | {loaded:.1}ns |");
        let format = worker.get("hostile").unwrap();
        row("the same, in a warm worker", time(2000, 1, || drop(black_box(format.probe(&probe)))));
    }
    let example = registry(&build(), Isolation::None);
    let probe = Probe { head: b"something else", tail: &[], len: 14, name: "x" };
    let format = example.get("farbfeld").unwrap();
    println!(
        "| a probe of the example in Rust, loaded into the process | {:.1}ns |",
        nanos(500, 1000, || drop(black_box(format.probe(black_box(&probe)))))
    );

    let small = Source::from_bytes("x.hst", b"HST good".to_vec());
    row("reading a small record: compiled in", time(1000, 10, || read(&inside, "compiled-in", &small)));
    row("the same, loaded into the process", time(1000, 10, || read(&inside, "hostile", &small)));
    row("the same, in a warm worker", time(1000, 1, || read(&worker, "hostile", &small)));
    let bulk = Source::from_bytes("x.hst", b"HST bulk".to_vec());
    row("reading 100 MB: loaded into the process", time(50, 1, || read(&inside, "hostile", &bulk)));
    row("the same, in a warm worker", time(20, 1, || read(&worker, "hostile", &bulk)));
    let bytes = vec![7_u8; 100_000_000];
    row("for comparison: copying 100 MB to fresh memory", time(10, 1, || drop(black_box(bytes.clone()))));
    let cold = || read(&registry(&plugin, Isolation::Auto), "hostile", &small);
    row("the first small record, with the start of the worker and its sandbox", time(20, 1, cold));
}
