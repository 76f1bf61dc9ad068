//! The two example plugins are built as their READMEs say, loaded, and held against their samples.

use std::path::{Path, PathBuf};
use std::process::Command;

use mediary::record::{ColumnData, Media, Samples};
use mediary::{ErrorKind, MediaRecord, Output, ReadOptions, Registry, Result, Source, WriteOptions};
use mediary_loader::{Isolation, Plugins, Search, inspect};

use crate::common::{data, mediary, root};

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The folder of this build, e.g. `target/debug`.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn rust_plugin() -> PathBuf {
    let folder = built();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--locked", "-p", "mediary-example-farbfeld"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    run(&mut cargo);
    folder.join(file_name())
}

/// The same, unoptimised and by another compiler; `None` where there is no nightly toolchain.
fn rust_plugin_by_nightly() -> Option<PathBuf> {
    let toolchains = Command::new("rustup").args(["toolchain", "list"]).output().ok()?;
    if !String::from_utf8_lossy(&toolchains.stdout).lines().any(|line| line.starts_with("nightly")) {
        return None;
    }
    let folder = built().parent().unwrap().join("nightly");
    let mut cargo = Command::new("rustup");
    cargo.current_dir(root()).args(["run", "nightly", "cargo", "build", "--locked", "-p", "mediary-example-farbfeld"]);
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    run(cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").arg("--target-dir").arg(&folder));
    Some(folder.join("debug").join(file_name()))
}

fn file_name() -> String {
    format!("{}mediary_example_farbfeld{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn c_plugin(folder: &Path) -> PathBuf {
    let file = folder.join("gpl.so");
    let source = root().join("plugins/examples/c-minimal");
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
    ]);
    run(cc.arg("-I").arg(root().join("core/include")).arg("-o").arg(&file).arg(source.join("gpl.c")));
    file
}

fn registry(plugin: PathBuf) -> Registry {
    let mut registry = Registry::builtin();
    let plugins = Plugins::discover(&Search::files([plugin]));
    plugins.found.iter().for_each(|found| assert!(found.outcome.is_ok(), "{:?}", found.outcome));
    let refusals = plugins.register(&mut registry, Isolation::None);
    assert!(refusals.is_empty(), "{refusals:?}");
    registry
}

fn sample(example: &str, name: &str) -> PathBuf {
    root().join("plugins/examples").join(example).join("samples").join(name)
}

fn read(registry: &Registry, path: PathBuf) -> Result<MediaRecord> {
    let options = ReadOptions::default();
    let source = Source::open(path, &options.limits)?;
    let mut record = registry.open(&source, &options)?.next().unwrap()?;
    record.media.drain()?;
    Ok(record)
}

#[test]
fn the_example_in_rust_reads_and_writes_farbfeld() {
    let plugin = rust_plugin();
    let inspected = inspect(&plugin).unwrap();
    assert!(inspected.builder.starts_with("rust, mediary-core"), "{}", inspected.builder);
    assert_eq!(inspected.catches_panics, cfg!(panic = "unwind"));
    assert_eq!((&*inspected.manifest.name, inspected.manifest.formats.len()), ("mediary-example-farbfeld", 1));

    let registry = registry(plugin);
    let path = sample("rust-minimal", "gradient.ff");
    let mut record = read(&registry, path.clone()).unwrap();
    assert_eq!(record.format, "farbfeld");
    let Media::Image(image) = &record.media else { panic!("{record:?}") };
    assert_eq!((image.width(), image.height(), image.channels()), (7, 5, 4));
    let expected: Vec<u16> = (0..5_u16)
        .flat_map(|y| (0..7_u16).flat_map(move |x| [x * 10922, y * 16383, (x + y) * 6553, 65535 - x * 9362]))
        .collect();
    assert_eq!(image.samples(), &Samples::U16(expected.into()));

    let mut out = Output::memory();
    registry.write(&mut record, "farbfeld", &mut out, &WriteOptions::default()).unwrap();
    assert_eq!(out.finish().unwrap().bytes, std::fs::read(path).unwrap(), "the sample itself");
    assert!(record.loss.is_empty());

    for (name, kind) in [
        ("cut-short.ff", ErrorKind::Malformed),
        ("no-pixels.ff", ErrorKind::Malformed),
        ("huge-width.ff", ErrorKind::Limit),
    ] {
        let error = read(&registry, sample("rust-minimal", "malformed").join(name)).unwrap_err();
        assert_eq!((error.kind(), error.format()), (kind, Some("farbfeld")), "{name}: {error}");
    }
}

#[test]
fn a_plugin_of_another_compiler_does_what_the_same_of_this_one_does() {
    let Some(plugin) = rust_plugin_by_nightly() else { return };
    let path = sample("rust-minimal", "gradient.ff");
    for isolate in ["auto", "none"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.ff");
        let mut command = mediary();
        command.args(["convert", "--isolate", isolate, "--plugin"]).arg(&plugin).arg(&path).arg(&copy);
        run(&mut command);
        assert!(std::fs::read(copy).unwrap() == std::fs::read(&path).unwrap(), "{isolate}");
    }
}

#[test]
fn the_example_in_rust_takes_what_built_in_formats_read() {
    let registry = registry(rust_plugin());
    let png = crate::common::files_below(&data("png"))
        .into_iter()
        .find(|path| {
            let is_image = |record: MediaRecord| matches!(record.media, Media::Image(_));
            path.extension().is_some_and(|it| it == "png") && read(&registry, path.clone()).is_ok_and(is_image)
        })
        .unwrap();
    let mut record = read(&registry, png).unwrap();
    let Media::Image(image) = &record.media else { panic!("{record:?}") };
    let (width, height) = (image.width(), image.height());
    let mut out = Output::memory();
    registry.write(&mut record, "farbfeld", &mut out, &WriteOptions::default()).unwrap();
    let bytes = out.finish().unwrap().bytes;
    assert_eq!(bytes.len() as u64, 16 + 8 * u64::from(width) * u64::from(height));
    assert_eq!(bytes[8..16], [width.to_be_bytes(), height.to_be_bytes()].concat());
}

#[test]
fn the_example_in_c_reads_palettes() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(c_plugin(folder.path()));
    let options = ReadOptions::default();
    let source = Source::open(sample("c-minimal", "pastels.gpl"), &options.limits).unwrap();
    let mut record = registry.open(&source, &options).unwrap().next().unwrap().unwrap();
    assert_eq!(record.properties["name"], "\"Pastels\" \\ of mine");
    assert_eq!(record.properties["columns"], "4");
    let Media::Table(table) = &mut record.media else { panic!("{record:?}") };
    let names: Vec<_> = table.schema.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["r", "g", "b", "name"]);
    let chunk = table.rows.next_chunk().unwrap().unwrap();
    assert!(table.rows.next_chunk().unwrap().is_none());
    let columns: Vec<_> = chunk.columns().iter().map(|column| &column.data).collect();
    assert_eq!(columns[0], &ColumnData::Int64(vec![226, 153, 0, 255, 147].into()));
    assert_eq!(columns[1], &ColumnData::Int64(vec![145, 221, 0, 255, 216].into()));
    assert_eq!(columns[2], &ColumnData::Int64(vec![145, 146, 0, 255, 185].into()));
    let ColumnData::Text(names) = columns[3] else { panic!("{columns:?}") };
    let names: Vec<_> = (0..names.len()).map(|row| std::str::from_utf8(names.get(row)).unwrap()).collect();
    assert_eq!(names, ["Pale red", "Pâle vert 🌿", "", "White", "Pale cyan"]);

    let two = read(&registry, sample("c-minimal", "crlf.gpl")).unwrap();
    assert_eq!(serde_json::to_value(two.facts()).unwrap()["rows"], 2);

    for (name, line) in [("too-bright.gpl", 4), ("no-blue.gpl", 3), ("latin-1.gpl", 3), ("torn-name.gpl", 2)] {
        let error = read(&registry, sample("c-minimal", "malformed").join(name)).unwrap_err();
        let found = error.location().and_then(|location| location.line);
        assert_eq!((error.kind(), found), (ErrorKind::Malformed, Some(line)), "{name}: {error}");
    }
}
