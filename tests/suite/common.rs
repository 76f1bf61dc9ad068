//! What the tests share: where files are, how a record is read whole, how the program is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mediary::FormatInfo;
pub(crate) use mediary_conformance::read_all;
use serde_json::Value;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `tests/data/<parts>`.
pub(crate) fn data(parts: &str) -> PathBuf {
    root().join("tests/data").join(parts)
}

/// The corpus, if it is there.
pub(crate) fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("MEDIARY_CORPUS").map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("MEDIARY_REQUIRE_CORPUS").is_none(), "no corpus at {}", folder.display());
    None
}

/// All files below `folder`, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether reading a format needs a feature that the program was built without.
pub(crate) fn is_absent(info: &FormatInfo) -> bool {
    match info.id {
        "avif" => !cfg!(feature = "avif"),
        "jxl" => !cfg!(feature = "jxl"),
        "fbx" => !cfg!(feature = "fbx"),
        "svg" => !cfg!(feature = "svg"),
        _ => false,
    }
}

/// The good samples of a format: the files of its folder that carry one of its extensions. None of one that is absent.
pub(crate) fn samples(info: &FormatInfo) -> Vec<PathBuf> {
    if is_absent(info) { Vec::new() } else { mediary_conformance::samples(info, &data(info.id)) }
}

/// The malformed samples of a format.
pub(crate) fn malformed(info: &FormatInfo) -> Vec<PathBuf> {
    let mut files = files_below(&data(info.id).join("malformed"));
    files.retain(|path| info.claims(&path.file_name().unwrap().to_string_lossy()));
    files
}

/// The program under test.
pub(crate) fn mediary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mediary"));
    command.current_dir(root()).stdin(Stdio::null()).env("NO_COLOR", "1").env("XDG_DATA_HOME", no_data());
    command.env("XDG_STATE_HOME", no_data());
    for name in
        ["MEDIARY_LIMITS", "MEDIARY_MEMORY", "MEDIARY_JOBS", "MEDIARY_ISOLATE", "MEDIARY_PLUGIN_PATH", "CLICOLOR_FORCE"]
    {
        command.env_remove(name);
    }
    command
}

/// A data folder without plugins: those of who runs the tests are not asked.
pub(crate) fn no_data() -> PathBuf {
    root().join("target/no-plugins")
}

/// Runs the program.
pub(crate) fn run(arguments: &[&str]) -> Output {
    mediary().args(arguments).output().unwrap()
}

/// Standard output as JSON Lines.
pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
