//! Documents that cannot drift: tables derive from descriptors, the JSON Schema fits every record, transcripts are run.

use std::collections::BTreeSet;

use mediary::{ReadOptions, Registry, Source};
use serde_json::Value;

use crate::common::{json_lines, mediary, read_all, root, run, samples};

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
#[cfg_attr(feature = "avif", ignore = "the table is that of a build without features, which writes no AVIF")]
fn the_format_table_is_that_of_the_descriptors() {
    let table = String::from_utf8(run(&["formats", "--markdown"]).stdout).unwrap();
    assert!(table.lines().count() > 15, "{table}");
    assert!(
        text("docs/formats.md").contains(table.trim()),
        "docs/formats.md: paste the output of `mediary formats --markdown`:\n{table}"
    );
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&text("docs/schema/record.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_record_fits_the_published_schema() {
    let (registry, schema) = (Registry::builtin(), schema());
    let mut kinds = BTreeSet::new();
    for info in registry.formats().filter(|info| info.reads) {
        for path in samples(info) {
            let source = Source::open(&path, &mediary::Limits::default()).unwrap();
            let header = registry.open(&source, &ReadOptions::default()).unwrap().header_json().unwrap();
            let records = read_all(&registry, &source, &ReadOptions::default()).unwrap();
            kinds.extend(records.iter().map(|record| record.kind()));
            for json in records.iter().map(mediary::MediaRecord::to_json).chain([header]) {
                let problems: Vec<_> =
                    schema.iter_errors(&json).map(|e| format!("{} at {}", e, e.instance_path())).collect();
                assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
            }
        }
    }
    assert_eq!(kinds.len(), mediary::Kind::ALL.len(), "a kind without a sample: {kinds:?}");
}

#[test]
fn the_schema_refuses_what_is_no_record() {
    let schema = schema();
    let good = json_lines(&run(&["info", "--json", "tests/data/sample/iris.csv"])).remove(0);
    assert!(schema.is_valid(&good));
    for (key, value) in [("schema", "mediary.record/2".into()), ("kind", "sculpture".into()), ("facts", Value::Null)] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema.is_valid(&bad), "{key}");
    }
}

/// Blocks of README and docs that start with ```` ```console ````: every line after `$ ` is run, what follows must be what
/// it prints (both streams). `…` in an expected line stands for anything.
#[test]
fn transcripts_are_true() {
    let mut commands = 0;
    for document in ["README.md", "docs/cli.md"] {
        let text = text(document);
        for block in text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let folder = tempfile::tempdir().unwrap();
            for transcript in block.split("$ ").skip(1) {
                let (command, expected) = transcript.split_once('\n').unwrap();
                commands += 1;
                check(document, folder.path(), command, expected);
            }
        }
    }
    assert!(commands >= 4, "only {commands} commands");
}

fn check(document: &str, folder: &std::path::Path, command: &str, expected: &str) {
    // Outputs go to a folder of their own: `-o out`, `--to store` and bare names that do not exist in the checkout.
    let link = folder.join("tests");
    if !link.exists() {
        std::os::unix::fs::symlink(root().join("tests"), &link).unwrap();
    }
    let program = mediary().get_program().to_owned();
    let bin = std::path::Path::new(&program).parent().unwrap().to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("{{ {command} ; }} 2>&1")])
        .current_dir(folder)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("XDG_DATA_HOME", crate::common::no_data())
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    let (expected, found_lines): (Vec<_>, Vec<_>) =
        (expected.trim_end().lines().collect(), found.trim_end().lines().collect());
    let same = expected.len() == found_lines.len()
        && expected.iter().zip(&found_lines).all(|(expected, found)| fits(expected.trim_end(), found.trim_end()));
    assert!(same, "{document}: $ {command}\nprints\n{found}\nnot\n{}", expected.join("\n"));
}

pub(crate) fn fits(expected: &str, found: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = found.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}
