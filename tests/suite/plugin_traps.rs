//! Plugins that break down or break their contract (`tests/plugins/hostile.c`): each is one typed error of its input, in a
//! worker and, as far as a process can survive it, without one. Every run is a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common::{json_lines, mediary, root, stderr};

/// Compiles the hostile plugin with these `-D` switches.
fn hostile(folder: &Path, defines: &[&str]) -> PathBuf {
    let plugin = folder.join(format!("hostile{}.so", defines.concat()));
    compile(&plugin, &root().join("tests/plugins/hostile.c"), defines, &[]);
    plugin
}

fn compile(plugin: &Path, source: &Path, defines: &[&str], flags: &[&str]) {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-shared", "-fPIC", "-w"]).args(flags);
    cc.args(defines.iter().map(|define| format!("-D{define}")));
    cc.arg("-I").arg(root().join("core/include")).arg(source).arg("-o").arg(plugin);
    let output = cc.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The program with a plugin, and with a quarantine of its own.
fn with(plugin: &Path, arguments: &[&str]) -> Command {
    let mut command = mediary();
    command.env("XDG_STATE_HOME", plugin.parent().unwrap().join("state"));
    command.env("XDG_DATA_HOME", plugin.parent().unwrap().join("data"));
    command.arg("--plugin").arg(plugin).args(arguments);
    command
}

fn input(folder: &Path, word: &str) -> String {
    let path = folder.join(format!("{word}.hst"));
    fs::write(&path, format!("HST {word}\n")).unwrap();
    path.display().to_string()
}

/// `code` and `message` of the only error.
fn error(output: &Output) -> (String, String) {
    let mut errors = json_lines(output);
    errors.retain(|line| line["type"] == "error");
    assert_eq!(errors.len(), 1, "{errors:?}\n{}", stderr(output));
    let text = |key: &str| errors[0][key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

/// Word, code, and a part of the message.
type Trap = (&'static str, &'static str, &'static str);

/// What no process survives that shares its memory with the plugin.
const FATAL: &[Trap] = &[
    ("abort", "worker", "aborted"),
    ("segv", "worker", "SIGSEGV"),
    ("in-open", "worker", "aborted"),
    ("in-probe", "worker", "SIGSEGV"),
    ("exit", "worker", "ended without an answer"),
    ("alloc", "worker", "aborted"),
    ("loop", "limit", "stall_ms"),
    ("sleep", "limit", "stall_ms"),
    ("closed", "worker", "ended without an answer"),
];

/// What breaks the contract, and is seen in any process.
const CONTRACT: &[Trap] = &[
    ("bad-status", "plugin", "77"),
    ("no-reason", "malformed", "status -2"),
    ("silent", "plugin", "gave nothing"),
    ("fails", "malformed", "expected peace, found war"),
    ("flood", "limit", "alloc_bytes"),
    ("bad-utf8", "plugin", "UTF-8"),
    ("bad-json", "plugin", "EOF"),
    ("bad-index", "plugin", "buffer 7"),
    ("bad-size", "plugin", "samples"),
    ("unused", "plugin", "buffer 1"),
    ("null-release", "plugin", "release"),
    ("huge", "plugin", "buffer 0"),
];

#[test]
fn a_worker_contains_everything_and_the_next_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = hostile(folder.path(), &[]);
    for (word, code, part) in FATAL.iter().chain(CONTRACT) {
        let begun = Instant::now();
        let bad = input(folder.path(), word);
        let good = input(folder.path(), "good");
        // What floods does not stall, however slow the machine is.
        let stall = if *code == "limit" && *part == "stall_ms" { "stall_ms=700" } else { "stall_ms=15000" };
        let output = with(&plugin, &["info", "--full", "--json", "--limit", stall, &bad, &good]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(3), "{word}: {}", stderr(&output));
        let (found, message) = error(&output);
        assert!(found == *code && message.contains(part), "{word}: {found}: {message}");
        let last = json_lines(&output).pop().unwrap();
        assert_eq!(
            (&last["facts"]["width"], &last["source"]["name"]),
            (&2.into(), &"good.hst".into()),
            "{word}: {last}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{word}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_does_no_harm_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = hostile(folder.path(), &[]);
    for word in ["good", "chatter", "leak"] {
        let output = with(&plugin, &["info", "--full", "--json", &input(folder.path(), word)]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{word}: {}", stderr(&output));
        assert_eq!(json_lines(&output)[0]["facts"]["width"], 2, "{word}");
    }
}

#[test]
fn a_loaded_format_is_named_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = hostile(folder.path(), &[]);
    let file = folder.path().join("nameless");
    fs::write(&file, "no signature at all").unwrap();
    let file = file.to_str().unwrap();
    let text = |arguments: &[&str]| {
        let output = with(&plugin, arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output))
    };
    let (code, said) = text(&["info", "--from", "hostile", "--json", file]);
    assert!(code == Some(0) && said.contains(r#""format":"hostile""#), "{said}");
    let (code, said) = text(&["info", "--from", "hostel", file]);
    assert!(code == Some(2) && said.contains("hostile"), "the nearest known id is named: {said}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&["completions", shell]).1.contains("hostile"), "{shell}");
    }
    assert!(text(&["formats", "hostile"]).1.contains("Hostile"));
    let without = crate::common::run(&["completions", "bash"]);
    assert!(!String::from_utf8_lossy(&without.stdout).contains("hostile"), "only while it is loaded");
}

#[test]
fn in_process_every_broken_contract_is_a_typed_error_and_every_buffer_is_released_once() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = hostile(folder.path(), &[]);
    for (word, code, part) in CONTRACT.iter().chain(&[("good", "", "")]) {
        let count = folder.path().join(format!("{word}.count"));
        let arguments = ["info", "--full", "--json", "--isolate", "none", &input(folder.path(), word)];
        let output = with(&plugin, &arguments).env("HOSTILE_COUNT", &count).output().unwrap();
        if *word == "good" {
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        } else {
            assert_eq!(output.status.code(), Some(1), "{word}: {}", stderr(&output));
            let (found, message) = error(&output);
            assert!(found == *code && message.contains(part), "{word}: {found}: {message}");
        }
        let counted = fs::read_to_string(&count).unwrap();
        let numbers: Vec<u64> = counted.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(numbers[0] == numbers[1], "{word}: {counted}");
        assert!(numbers[0] > 0 || ["bad-status", "no-reason", "silent", "fails"].contains(word), "{word}: {counted}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_before_or_when_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let good = input(folder.path(), "good");
    for (define, part) in [
        ("NO_STAMP", "no .mediary_abi section"),
        ("WRONG_MAJOR", "9"),
        ("NO_ENTRY", "mediary_plugin_v1"),
        ("DECLINES", "declin"),
        ("UNDEFINED", "nobody_defines_this"),
    ] {
        let plugin = hostile(folder.path(), &[define]);
        for isolate in ["auto", "none"] {
            let output = with(&plugin, &["info", "--full", "--isolate", isolate, &good]).output().unwrap();
            assert_ne!(output.status.code(), Some(0), "{define}");
            assert!(stderr(&output).contains(part), "{define}: {}", stderr(&output));
        }
    }
    let whole = fs::read(hostile(folder.path(), &[])).unwrap();
    for (name, bytes) in [
        ("empty.so", &[][..]),
        ("text.so", b"not a library at all"),
        ("head.so", &whole[..64]),
        ("half.so", &whole[..whole.len() / 2]),
        ("most.so", &whole[..whole.len() - 1]),
    ] {
        let plugin = folder.path().join(name);
        fs::write(&plugin, bytes).unwrap();
        let output = with(&plugin, &["info", &good]).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {:?} {}", output.status, stderr(&output));
        assert!(stderr(&output).contains(name), "{name}: {}", stderr(&output));
    }
}

#[test]
fn tables_smaller_and_larger_than_the_hosts_work() {
    let folder = tempfile::tempdir().unwrap();
    let good = input(folder.path(), "good");
    for define in ["SMALL_TABLE", "LARGE_TABLE"] {
        let plugin = hostile(folder.path(), &[define]);
        for isolate in ["auto", "none"] {
            let output = with(&plugin, &["info", "--full", "--isolate", isolate, &good]).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{define}: {}", stderr(&output));
        }
    }
}

#[test]
fn an_ingest_loses_just_the_files_of_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = hostile(folder.path(), &[]);
    let inputs = folder.path().join("inputs");
    fs::create_dir(&inputs).unwrap();
    for index in 0..100 {
        fs::write(inputs.join(format!("{index:03}.csv")), format!("a,b\n{index},2\n")).unwrap();
    }
    for word in ["abort", "segv", "exit"] {
        input(&inputs, word);
    }
    let store = folder.path().join("store").display().to_string();
    let output = with(&plugin, &["ingest", "--json", &inputs.display().to_string(), "--to", &store]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let rows = json_lines(&mediary().args(["ls", "--json", &store]).output().unwrap());
    let failed: Vec<_> = rows.iter().filter(|row| row["status"] == "error").collect();
    assert_eq!((rows.len(), failed.len()), (103, 3), "{failed:?}");
    for row in failed {
        assert!(row["path"].as_str().unwrap().ends_with(".hst") && row["code"] == "worker", "{row}");
    }
}

/// A memory checker finds nothing in the C example and in what the host does with it. Where it is not installed, there is
/// nothing to see.
#[test]
fn valgrind_is_silent_about_the_c_example() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let example = root().join("plugins/examples/c-minimal");
    let source = files(&example, "c").remove(0);
    let plugin = folder.path().join("example.so");
    compile(&plugin, &source, &[], &["-g"]);
    for sample in files(&example.join("samples"), "") {
        let mut command = Command::new("valgrind");
        command.current_dir(root()).args(["-q", "--error-exitcode=99", env!("CARGO_BIN_EXE_mediary")]);
        command.args(["info", "--full", "--isolate", "none", "--plugin"]).arg(&plugin).arg(&sample);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}: {}", sample.display(), stderr(&output));
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file() && (extension.is_empty() || path.extension().is_some_and(|e| e == extension)));
    files.sort();
    files
}
