//! Broken and hostile inputs, run as a user would: in a process with 1 GB of address space and 10 seconds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mediary::{Output, ReadOptions, Registry, Source, Strictness, WriteOptions};
use serde_json::Value;

use crate::common::{corpus, files_below, malformed, read_all, root};

/// What is wrong with a broken file that is read as if it was none.
pub(crate) const ACCEPTED: &str = "accepted without a word";

/// Runs `mediary info --json --full` on a file; says what is wrong with the answer.
fn judge(path: &Path) -> Result<(), String> {
    judge_as(path, &[])
}

/// The same, with arguments.
pub(crate) fn judge_as(path: &Path, arguments: &[&str]) -> Result<(), String> {
    let begun = Instant::now();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 1048576; exec \"$0\" info --json --full \"$@\""])
        .arg(env!("CARGO_BIN_EXE_mediary"))
        .args(arguments)
        .arg(path)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if begun.elapsed() > Duration::from_secs(10) {
        return Err(format!("took {:?}", begun.elapsed()));
    }
    let Some(code @ (0 | 1 | 3)) = output.status.code() else {
        return Err(format!("{}: {text}", output.status));
    };
    if text.contains("panicked") || text.contains("the decoder gave up") {
        return Err(text);
    }
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .map_err(|error| error.to_string())?
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")))
        .collect::<Result<_, _>>()?;
    let errors = lines.iter().filter(|line| line["type"] == "error").count();
    // A finding of the format itself: that the name says something else is not enough.
    let own = |line: &Value| format!("{}.", line["format"].as_str().unwrap_or_default());
    let noted = lines.iter().any(|line| {
        let list = line["diagnostics"].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().any(|finding| finding["code"].as_str().is_some_and(|code| code.starts_with(&own(line))))
    });
    if (code != 0) != (errors > 0) {
        return Err(format!("exit {code} with {errors} errors"));
    }
    if errors == 0 && !noted {
        return Err(ACCEPTED.into());
    }
    Ok(())
}

fn judge_all(files: &[PathBuf]) {
    let problems: Vec<_> = files
        .iter()
        .filter_map(|path| judge(path).err().map(|problem| format!("{}: {problem}", path.display())))
        .collect();
    assert!(problems.is_empty(), "{} of {} files:\n{}", problems.len(), files.len(), problems.join("\n"));
}

#[test]
fn our_malformed_samples_are_refused_or_noted() {
    let files: Vec<_> = Registry::builtin().formats().flat_map(malformed).collect();
    assert!(files.len() >= 10, "only {} files", files.len());
    judge_all(&files);
}

/// A writer refuses what it cannot hold, and its own reader takes what it writes.
#[test]
fn what_is_read_of_malformed_samples_is_written_or_refused() {
    let registry = Registry::builtin();
    let (mut written, mut problems) = (0, Vec::new());
    for from in registry.formats() {
        for path in malformed(from) {
            for to in registry.formats().filter(|to| to.reads && to.writes.is_some()) {
                let mut options = ReadOptions::default();
                options.from = Some(from.id.into());
                options.strictness = Strictness::Lenient;
                let source = Source::open(&path, &options.limits).unwrap();
                let first = registry.open(&source, &options).ok().and_then(|mut reading| reading.next()?.ok());
                let Some(mut record) = first.filter(|record| to.kinds.contains(&record.kind())) else { continue };
                let mut out = Output::memory();
                if registry.write(&mut record, to.id, &mut out, &WriteOptions::default()).is_err() {
                    continue;
                }
                let again = mediary_conformance::written_as(&source, &record, to, out.finish().unwrap());
                options.from = Some(to.id.into());
                options.strictness = Strictness::Default;
                let again = read_all(&registry, &again, &options);
                written += 1;
                problems.extend(again.err().map(|error| format!("{} as {}: {error}", path.display(), to.id)));
            }
        }
    }
    assert!(problems.is_empty(), "{} of {written}:\n{}", problems.len(), problems.join("\n"));
    assert!(written > 50, "only {written}");
}

/// Also the files of formats that are not read yet: they are not recognised, which is an error with a code.
#[test]
fn every_bad_file_of_the_corpus_is_refused_or_noted() {
    let Some(corpus) = corpus() else { return };
    let files = files_below(&corpus.join("bad"));
    assert!(files.len() > 50);
    judge_all(&files);
}
