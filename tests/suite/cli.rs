//! The program as its users meet it: streams, exit codes, odd inputs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::common::{json_lines, mediary, run, stderr};

const PNG: &str = "tests/data/sample/flower.jpg";
const PDB: &str = "tests/data/sample/1crn.pdb";
const CSV: &str = "tests/data/sample/iris.csv";

#[test]
fn info_prints_json_lines_on_stdout_alone() {
    let output = run(&["info", "--json", PNG, PDB, CSV]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = json_lines(&output);
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["image", "molecule", "table"]);
    assert_eq!((&lines[0]["facts"]["width"], &lines[0]["facts"]["height"]), (&480.into(), &360.into()));
    assert_eq!(stderr(&output), "");
}

#[test]
fn exit_codes_tell_all_some_none_and_usage() {
    assert_eq!(run(&["info", PNG]).status.code(), Some(0));
    assert_eq!(run(&["info", PNG, "no-such-file"]).status.code(), Some(3));
    assert_eq!(run(&["info", "no-such-file"]).status.code(), Some(1));
    assert_eq!(run(&["info"]).status.code(), Some(2));
    assert_eq!(run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(run(&["info", "--limit", "no_such_limit=1", PNG]).status.code(), Some(2));
    assert_eq!(run(&["info", "-o", "png.no_such=1", PNG]).status.code(), Some(2));
    assert_eq!(run(&["info", "--from", "no-such-format", PNG]).status.code(), Some(2));
    assert_eq!(run(&["info", "--on-error", "stop", "no-such-file", PNG]).status.code(), Some(1));
}

#[test]
fn a_failure_is_an_object_on_stdout_and_a_line_with_a_hint_on_stderr() {
    let output = run(&["info", "--json", "tests/data/sample", PNG]);
    assert_eq!(output.status.code(), Some(3));
    let lines = json_lines(&output);
    assert_eq!((&lines[0]["type"], &lines[0]["code"]), (&"error".into(), &"io".into()));
    assert_eq!(lines[1]["kind"], "image");
    let text = stderr(&output);
    assert!(text.contains("found a directory") && text.contains("hint: ") && text.contains("ingest"), "{text}");
}

/// One row an odd input: what it is, and the code and a word of the answer.
#[test]
fn odd_inputs_have_clear_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("empty.png"), b"").unwrap();
    fs::write(path("secret.png"), b"x").unwrap();
    fs::set_permissions(path("secret.png"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(path("prose.xyz"), b"It was a dark and stormy night.").unwrap();
    let root_user = fs::read(path("secret.png")).is_ok();
    for (name, code, word) in [
        ("missing.png", "io", "No such file"),
        ("empty.png", "malformed", "empty"),
        ("", "io", "directory"),
        ("prose.xyz", "", ""),
        ("secret.png", "io", "denied"),
    ] {
        if name == "secret.png" && root_user {
            continue; // root may read everything
        }
        let output = run(&["info", "--json", &path(name)]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let error = json_lines(&output).remove(0);
        if !code.is_empty() {
            assert_eq!(error["code"], code, "{name}: {error}");
        }
        assert!(error["message"].as_str().unwrap().contains(word), "{name}: {error}");
        assert!(error["path"].as_str().is_some(), "{name}: {error}");
    }
}

#[test]
fn a_fifo_and_standard_input_are_read_as_streams() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    // Nobody writes to it.
    let output = run(&["info", "--json", "--timeout", "100ms", fifo.to_str().unwrap()]);
    assert_eq!((output.status.code(), &json_lines(&output)[0]["code"]), (Some(1), &"limit".into()));

    let mut child = mediary().args(["info", "--json"]).arg(&fifo).stdout(Stdio::piped()).spawn().unwrap();
    fs::write(&fifo, fs::read(crate::common::root().join(PDB)).unwrap()).unwrap();
    let output = {
        let status = child.wait().unwrap();
        assert!(status.success());
        child.wait_with_output().unwrap()
    };
    assert_eq!(json_lines(&output)[0]["facts"]["atoms"], 327);

    let mut child =
        mediary().args(["info", "--json", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let bytes = fs::read(crate::common::root().join(CSV)).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(json_lines(&output)[0]["kind"], "table");
}

#[test]
fn convert_writes_whole_files_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = run(&["convert", PDB, &path("crambin.cif")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fs::read_to_string(path("crambin.cif")).unwrap().starts_with("data_"));

    // It does not overwrite unless told.
    assert_eq!(run(&["convert", PDB, &path("crambin.cif")]).status.code(), Some(1));
    assert_eq!(run(&["convert", "--force", PDB, &path("crambin.cif")]).status.code(), Some(0));

    // A failure leaves nothing behind, under no name.
    fs::write(
        path("cut.glb"),
        &fs::read(crate::common::root().join("tests/data/sample/BoxTextured.glb")).unwrap()[..900],
    )
    .unwrap();
    let before = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(run(&["convert", &path("cut.glb"), &path("cut.obj")]).status.code(), Some(1));
    assert_eq!(run(&["convert", PDB, &path("x.png")]).status.code(), Some(1), "a molecule is no picture yet");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);

    // Standard output needs a format, and gets the same bytes.
    let output = run(&["convert", PDB, "-", "--to", "mmcif"]);
    assert_eq!(output.stdout, fs::read(path("crambin.cif")).unwrap());
}

#[test]
fn losses_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("box.stl");
    let output = run(&["convert", "tests/data/sample/BoxTextured.glb", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("stl.materials"), "{}", stderr(&output));
}

#[test]
fn detect_explains_its_decision() {
    let output = run(&["detect", "--explain", PDB]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("pdb") && text.contains("score"), "{text}");
    let json = json_lines(&run(&["detect", "--json", PDB])).remove(0);
    assert_eq!(json["candidates"][0]["format"], "pdb", "{json}");

    // A name that promises what the content does not keep is said, also where nothing recognises the content.
    let folder = tempfile::tempdir().unwrap();
    let prose = folder.path().join("prose.png");
    fs::write(&prose, "It was a dark and stormy night.").unwrap();
    let output = run(&["detect", "--explain", prose.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("though the name says png"), "{text}");
}

#[test]
fn formats_derive_from_descriptors() {
    let text = String::from_utf8(run(&["formats"]).stdout).unwrap();
    for info in mediary::Registry::builtin().formats() {
        assert!(text.contains(info.id) && text.contains(info.name), "{}", info.id);
        let one = String::from_utf8(run(&["formats", info.id]).stdout).unwrap();
        assert!(one.contains(info.spec), "{}", info.id);
        for option in info.options {
            assert!(one.contains(option.name) && one.contains(option.default), "{}.{}", info.id, option.name);
        }
    }
}

#[test]
fn completions_and_manual_pages_name_the_formats_and_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(run(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("pts.json") && script.contains("ingest"), "{shell}");
    }
    let page = String::from_utf8(run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH") && page.contains("ingest"));
}

#[test]
fn doctor_says_what_is_in_force() {
    let text = String::from_utf8(run(&["doctor"]).stdout).unwrap();
    assert!(text.contains("alloc_bytes") && text.contains("desktop"), "{text}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let output = std::process::Command::new("bash")
        .args(["-c", "\"$0\" formats | head -1; exit ${PIPESTATUS[0]}"])
        .arg(env!("CARGO_BIN_EXE_mediary"))
        .output()
        .unwrap();
    assert!(!stderr(&output).contains("panic"), "{}", stderr(&output));
}
