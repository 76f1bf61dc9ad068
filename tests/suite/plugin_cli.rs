//! The plugin commands and flags where nothing is loaded. What a loaded plugin does, the tutorial's test shows.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{json_lines, mediary, run, stderr};

const CSV: &str = "tests/data/sample/iris.csv";

/// The program with a plugin path of its own.
fn with_path(folder: &Path, arguments: &[&str]) -> Output {
    mediary().env("MEDIARY_PLUGIN_PATH", folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder that nobody else can change, with files that are no plugins.
fn junk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("noise.so"), [7; 4096]).unwrap();
    fs::write(folder.path().join("notes.txt"), "no plugin by its name").unwrap();
    folder
}

#[test]
fn a_refused_plugin_is_one_warning_and_hurts_nothing() {
    let folder = junk();
    let output = with_path(folder.path(), &["info", "--json", CSV]);
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(0), 1));
    let told = stderr(&output);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("warning: plugin refused: ") && told.contains("noise.so"), "{told}");
    for quiet in [&["-q", "info", CSV][..], &["--no-plugins", "info", CSV], &["--limits", "untrusted", "info", CSV]] {
        let output = with_path(folder.path(), quiet);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{quiet:?}");
    }
}

#[test]
fn list_says_why() {
    let folder = junk();
    let output = with_path(folder.path(), &["plugin", "list"]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output);
    assert!(table.contains("noise.so") && table.contains("MEDIARY_PLUGIN_PATH  refused"), "{table}");
    assert!(!table.contains("notes"), "{table}");
    assert!(stderr(&output).contains("--why"), "{}", stderr(&output));

    let page = text(&with_path(folder.path(), &["plugin", "list", "--why"]));
    assert!(page.contains("  why       not a shared library"), "{page}");
    let json = json_lines(&with_path(folder.path(), &["plugin", "list", "--json"])).remove(0);
    assert_eq!((&json["state"], &json["why"]["code"]), (&"refused".into(), &"plugin".into()), "{json}");

    let none = run(&["plugin", "list"]);
    assert!(stderr(&none).contains("no plugins were found"), "{}", stderr(&none));
}

#[test]
fn a_plugin_that_is_named_must_be_one() {
    let folder = junk();
    let noise = folder.path().join("noise.so").display().to_string();
    for command in [
        vec!["--plugin", &noise, "info", CSV],
        vec!["formats", &format!("--plugin={noise}")],
        vec!["plugin", "check", &noise],
        vec!["plugin", "add", &noise],
    ] {
        let output = run(&command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let told = stderr(&output);
        assert!(told.contains("not a shared library") && told.contains("noise.so"), "{command:?}: {told}");
        assert_eq!(text(&output), "", "{command:?}");
    }
    let output = run(&["plugin", "remove", "nothing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no plugin \"nothing\""), "{}", stderr(&output));
}

#[test]
fn new_writes_a_crate_and_refuses_what_cannot_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let new = |arguments: &[&str]| {
        mediary().current_dir(folder.path()).args(["plugin", "new"]).args(arguments).output().unwrap()
    };
    let output = new(&["my-own_2", "--format", "own.table"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(folder.path().join("my-own_2").join(name)).unwrap();
    assert!(read("src/lib.rs").contains("FormatInfo::new(\"own.table\""));
    assert!(read("samples/trees.own.table").starts_with("#own.table 1\n"));
    assert!(read("tests/conformance.rs").contains("&my_own_2::MyFormat"));
    for name in ["Cargo.toml", "src/lib.rs", "tests/conformance.rs", "README.md", "samples/trees.own.table"] {
        assert!(!read(name).contains("@N") && !read(name).contains("@I"), "{name}: a word was not filled in");
    }
    for (arguments, code, word) in [
        (&["my-own_2", "--format", "other"][..], 1, "the folder exists"),
        (&["another", "--format", "png"], 1, "the format id \"png\" is taken"),
        (&["png"], 1, "the format id \"png\" is taken"),
        (&["../up"], 2, "is no name of a crate"),
        (&["Upper"], 2, "is no name of a crate"),
        (&["another", "--format", "A b"], 2, "is no format id"),
        (&["another", "--core", "no-such-folder"], 1, "cannot find mediary-core"),
    ] {
        let output = new(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["my-own_2"], "nothing half-made");
}

#[test]
fn the_header_is_that_of_the_repository_and_compiles() {
    let header = run(&["plugin", "header"]).stdout;
    assert_eq!(header, fs::read(crate::common::root().join("core/include/mediary_plugin.h")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("header.c");
    fs::write(&path, header).unwrap();
    let compiled = Command::new("cc").args(["-Wall", "-Werror", "-fsyntax-only"]).arg(path).output().unwrap();
    assert!(compiled.status.success(), "{}", stderr(&compiled));
}

#[test]
fn doctor_tells_of_plugins_isolation_and_sandbox() {
    let folder = junk();
    let output = with_path(folder.path(), &["doctor", "--json", "--isolate", "none"]);
    let json = json_lines(&output).remove(0);
    assert_eq!((&json["plugins"], &json["isolate"]), (&0.into(), &"none".into()), "{json}");
    assert!(json["sandbox"].is_string() && json["workers"].is_string(), "{json}");
    let page = text(&with_path(folder.path(), &["doctor"]));
    assert!(page.contains("1 refused, `mediary plugin list --why`"), "{page}");
    assert_eq!(mediary().env("MEDIARY_ISOLATE", "maybe").arg("doctor").output().unwrap().status.code(), Some(2));
}
