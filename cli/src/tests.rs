//! Whole command lines, on formats made for the purpose: what every command does when inputs are good, bad and several.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use mediary::record::Html;
use mediary::record::facts::HtmlFacts;
use mediary::{
    Context, Error, ErrorKind, Facts, Format, FormatInfo, FormatReader, Header, Kind, MediaRecord, OptionSpec,
    OptionType, Output, Registry, Result, Signature, Source,
};
use serde_json::Value;

use super::*;

/// Many records: one a line after the first. A line `bad` is malformed, `panic` breaks the reader.
struct Lines;

const LINES: FormatInfo = FormatInfo::new("lines", "Lines", &[Kind::Html])
    .extensions(&["lines"])
    .signatures(&[Signature { offset: 0, bytes: b"LINES\n", mask: &[] }])
    .reads()
    .writes(&[])
    .many_records()
    .options(&[OptionSpec::read("case", OptionType::Choice(&["keep", "upper"]), "keep", "Case of the text")]);

/// One record: what follows the first line. Titles are lost.
struct One;

const ONE: FormatInfo = FormatInfo::new("one", "One", &[Kind::Html])
    .extensions(&["one"])
    .signatures(&[Signature { offset: 0, bytes: b"ONE\n", mask: &[] }])
    .reads()
    .writes(&[]);

/// Its probe panics, as no probe should.
struct Broken;

const BROKEN: FormatInfo = FormatInfo::new("broken", "Broken", &[Kind::Html])
    .signatures(&[Signature { offset: 0, bytes: b"BROKEN", mask: &[] }])
    .reads();

struct Reader(std::vec::IntoIter<String>);

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        let mut header = Header::new(Facts::Html(HtmlFacts::default()));
        header.records = Some(self.0.len() as u64);
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        let Some(text) = self.0.next() else { return Ok(None) };
        match text.as_str() {
            "bad" => Err(Error::malformed("expected a good line, found \"bad\"").at_line(2)),
            "panic" => panic!("the reader broke"),
            _ => Ok(Some(MediaRecord::new(Html { title: text.clone(), text, has_external_refs: false }))),
        }
    }
}

fn texts(source: &Source, cx: &Context) -> Result<String> {
    Ok(String::from_utf8_lossy(&source.bytes(cx)?).into_owned())
}

fn html(record: &MediaRecord) -> &str {
    match &record.media {
        mediary::Media::Html(html) => &html.text,
        _ => "",
    }
}

impl Format for Lines {
    fn info(&self) -> &'static FormatInfo {
        &LINES
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let mut text = texts(source, cx)?;
        if cx.options().text("case") == "upper" {
            text = text.to_uppercase();
        }
        Ok(Box::new(Reader(text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>().into_iter())))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, _: &Context) -> Result<()> {
        if record.index == 0 {
            out.write_all(b"LINES\n")?;
        }
        Ok(writeln!(out, "{}", html(record))?)
    }
}

impl Format for One {
    fn info(&self) -> &'static FormatInfo {
        &ONE
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let text = texts(source, cx)?;
        Ok(Box::new(Reader(vec![text.trim_start_matches("ONE\n").to_owned()].into_iter())))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        cx.lose("title", 1, "the title");
        write!(out, "ONE\n{}", html(record))?;
        if html(record) == "unwritable" {
            return Err(Error::unsupported("expected text that can be written"));
        }
        Ok(())
    }
}

impl Format for Broken {
    fn info(&self) -> &'static FormatInfo {
        &BROKEN
    }

    fn probe(&self, _: &mediary::Probe<'_>) -> mediary::Confidence {
        panic!("the probe broke")
    }
}

/// Stdout of a test.
#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stdout whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run_to(stdout: Box<dyn Write>, arguments: &[&str]) -> Exit {
    let mut registry = Registry::empty();
    for format in [&Lines as &'static dyn Format, &One, &Broken] {
        registry.add(format).unwrap();
    }
    let line = ["mediary"].iter().chain(arguments).map(OsString::from).collect();
    let (cli, origins) = args::parse(&registry, &Early::default(), line).unwrap();
    let mut screen = Screen::to(stdout, &cli.global);
    execute(registry, Plugins::default(), cli, origins, &mut screen)
}

/// Exit and stdout of a command line.
fn mediary(arguments: &[&str]) -> (Exit, String) {
    let caught = Caught::default();
    let exit = run_to(Box::new(caught.clone()), arguments);
    let bytes = caught.0.lock().unwrap().clone();
    (exit, String::from_utf8(bytes).unwrap())
}

/// The same with JSON Lines.
fn json(arguments: &[&str]) -> (Exit, Vec<Value>) {
    let (exit, text) = mediary(arguments);
    (exit, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A folder of inputs, and the path of a name in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for (name, content) in [
            ("two.lines", "LINES\nfirst\nsecond\n"),
            ("half.lines", "LINES\nfirst\nbad\n"),
            ("panic.lines", "LINES\npanic\n"),
            ("unwritable.lines", "LINES\nfirst\nunwritable\n"),
            ("a.one", "ONE\nalone"),
            ("wrong.one", "LINES\nfirst\n"),
            ("broken.bin", "BROKEN"),
            ("noise.bin", "noise"),
            ("empty.one", ""),
        ] {
            std::fs::write(this.0.path().join(name), content).unwrap();
        }
        this
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

#[test]
fn info_shows_the_header_and_full_shows_every_record() {
    let folder = Folder::new();
    let two = folder.path("two.lines");
    let (exit, records) = json(&["info", "--json", &two]);
    assert_eq!((exit, records.len()), (Exit::Good, 1));
    assert!(records[0]["source"].get("sha256").is_none());
    assert_eq!(records[0]["records"], 2);
    let (_, text) = mediary(&["info", &two]);
    assert!(text.contains("  records  2\n"), "{text}");
    let (exit, records) = json(&["info", "--json", "--full", &two]);
    assert_eq!((exit, records.len()), (Exit::Good, 2));
    assert_eq!(records[1]["facts"]["title"], "second");
    // sha256sum of the file.
    assert_eq!(records[1]["source"]["sha256"], "2be75940e744fec29ee88c94d6351867db0db60aa92b9de92d715d9a0815a12b");
    let (_, text) = mediary(&["info", "--full", &two]);
    assert!(text.contains("two.lines #1\n"), "{text}");
}

#[test]
fn inputs_fail_one_by_one() {
    let folder = Folder::new();
    let [two, half, panic, broken, noise, empty] =
        ["two.lines", "half.lines", "panic.lines", "broken.bin", "noise.bin", "empty.one"]
            .map(|name| folder.path(name));
    let here = folder.path("");
    let missing = folder.path("missing");
    let (exit, lines) =
        json(&["info", "--json", "--full", &half, &panic, &broken, &noise, &empty, &here, &missing, &two]);
    assert_eq!(exit, Exit::Partial);
    let codes: Vec<_> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, ["malformed", "malformed", "not-recognised", "not-recognised", "malformed", "io", "io"]);
    // What came before the failure is shown, and the error says where it is.
    assert_eq!(lines[0]["facts"]["title"], "first");
    assert_eq!((&lines[1]["path"], &lines[1]["location"]["line"]), (&Value::from(half.as_str()), &Value::from(2)));
    assert_eq!(lines.iter().filter(|line| line["kind"] == "html").count(), 3);
    for line in lines.iter().filter(|line| line["type"] == "error") {
        assert!(line["path"].as_str().is_some_and(|path| path.starts_with(&here)), "{line}");
    }
    assert_eq!(json(&["info", "--json", &missing, &noise]).0, Exit::Failed);
    let (exit, lines) = json(&["info", "--json", "--on-error", "stop", &missing, &two]);
    assert_eq!((exit, lines.len()), (Exit::Failed, 1));
}

#[test]
fn lists_are_inputs_too() {
    let folder = Folder::new();
    let list = folder.path("list");
    std::fs::write(&list, format!("{}\0{}\0", folder.path("a.one"), folder.path("two.lines"))).unwrap();
    let (exit, records) = json(&["info", "--json", "--files-from", &list, "-0"]);
    assert_eq!((exit, records.len()), (Exit::Good, 2));
    assert_eq!(mediary(&["info", "--files-from", &folder.path("missing")]).0, Exit::Failed);
    assert_eq!(mediary(&["info"]).0, Exit::Usage);
    assert_eq!(mediary(&["info", "-", "-"]).0, Exit::Usage);
}

#[test]
fn options_are_checked_before_anything_is_read() {
    let folder = Folder::new();
    let two = folder.path("two.lines");
    let (exit, lines) = json(&["info", "--json", "-o", "lines.colour=red", &two]);
    assert_eq!((exit, &lines[0]["code"]), (Exit::Usage, &Value::from("invalid-option")));
    assert_eq!(lines[0]["hint"], "it has lines.case");
    assert_eq!(mediary(&["info", "-o", "lines.case=lower", &two]).0, Exit::Usage);
    assert_eq!(mediary(&["info", "-o", "nosuch.case=lower", &two]).0, Exit::Usage);
    let (exit, records) = json(&["info", "--json", "--full", "-o", "lines.case=upper", &two]);
    assert_eq!((exit, &records[0]["facts"]["title"]), (Exit::Good, &Value::from("FIRST")));
}

#[test]
fn limits_of_the_command_line_hold() {
    let folder = Folder::new();
    let two = folder.path("two.lines");
    let (exit, lines) = json(&["info", "--json", "--full", "--limit", "records=1", &two]);
    assert_eq!((exit, &lines[1]["code"]), (Exit::Failed, &Value::from("limit")));
    let (exit, lines) = json(&["info", "--json", "--limit", "input_bytes=3", &two]);
    assert_eq!((exit, &lines[0]["code"]), (Exit::Failed, &Value::from("limit")));
    let (exit, lines) = json(&["info", "--json", "--memory", "4", &two]);
    assert_eq!((exit, &lines[0]["code"]), (Exit::Failed, &Value::from("limit")));
}

#[test]
fn detect_tells_what_decided() {
    let folder = Folder::new();
    let (exit, lines) = json(&["detect", "--json", &folder.path("wrong.one")]);
    assert_eq!((exit, &lines[0]["format"]), (Exit::Good, &Value::from("lines")));
    assert_eq!(lines[0]["extension_mismatch"][0], "one");
    let (_, lines) = json(&["info", "--json", &folder.path("wrong.one")]);
    assert_eq!(lines[0]["diagnostics"][0]["code"], "probe.extension-mismatch");
    let (_, text) = mediary(&["detect", "--explain", &folder.path("a.one")]);
    assert!(text.contains("decided by: it is the only candidate"), "{text}");
    let (_, lines) = json(&["detect", "--json", "--from", "one", &folder.path("two.lines")]);
    assert_eq!((&lines[0]["format"], &lines[0]["decided_by"]), (&Value::from("one"), &Value::from("the caller")));
    assert_eq!(mediary(&["detect", &folder.path("noise.bin")]).0, Exit::Failed);
}

#[test]
fn convert_writes_whole_files_or_none() {
    let folder = Folder::new();
    let before = folder.names();
    let (two, half, unwritable) =
        (folder.path("two.lines"), folder.path("half.lines"), folder.path("unwritable.lines"));
    for (input, output) in [
        (&half, "out.lines"),
        (&two, "out.one"),
        (&two, "out.nosuch"),
        (&half, "out-{index}.one"),
        (&unwritable, "out-{index}.one"),
        (&two, "missing/out.lines"),
    ] {
        assert_eq!(mediary(&["convert", input, &folder.path(output)]).0, Exit::Failed, "{output}");
        assert_eq!(folder.names(), before, "{output}");
    }
    let (_, lines) = json(&["convert", "--json", &unwritable, &folder.path("out-{index}.one")]);
    assert_eq!(lines[0]["path"], unwritable);
    assert_eq!(mediary(&["convert", &two, &folder.path("out.lines")]).0, Exit::Good);
    assert_eq!(folder.text("out.lines"), "LINES\nfirst\nsecond\n");
    assert_eq!(mediary(&["convert", &two, &folder.path("out-{index}.one")]).0, Exit::Good);
    assert_eq!((folder.text("out-0.one"), folder.text("out-1.one")), ("ONE\nfirst".into(), "ONE\nsecond".into()));
}

#[test]
fn convert_overwrites_only_when_forced() {
    let folder = Folder::new();
    let (two, one) = (folder.path("two.lines"), folder.path("a.one"));
    assert_eq!(mediary(&["convert", &one, &two]).0, Exit::Failed);
    assert_eq!(mediary(&["convert", &two, &two]).0, Exit::Failed);
    assert_eq!(folder.text("two.lines"), "LINES\nfirst\nsecond\n");
    assert_eq!(mediary(&["convert", "--force", "-o", "lines.case=upper", &two, &two]).0, Exit::Good);
    assert_eq!(folder.text("two.lines"), "LINES\nFIRST\nSECOND\n");
    assert_eq!(mediary(&["convert", "--force", &one, &two]).0, Exit::Good);
    assert_eq!(folder.text("two.lines"), "LINES\nalone\n");
}

#[test]
fn a_failed_conversion_of_many_touches_nothing_that_exists() {
    let folder = Folder::new();
    let (input, output) = (folder.path("0.lines"), folder.path("{index}.lines"));
    let convert = ["convert", "--force", &input, &output];
    for (content, exit, first) in [
        ("LINES\nfirst\nsecond\nbad\n", Exit::Failed, "LINES\nfirst\nsecond\nbad\n"),
        ("LINES\nfirst\nsecond\n", Exit::Good, "LINES\nfirst\n"),
    ] {
        std::fs::write(&input, content).unwrap();
        std::fs::write(folder.path("1.lines"), "older").unwrap();
        let before = folder.names();
        assert_eq!(mediary(&convert).0, exit);
        assert_eq!(folder.names(), before);
        assert_eq!(folder.text("0.lines"), first);
    }
    assert_eq!(folder.text("1.lines"), "second\n");
}

#[test]
fn convert_tells_losses_and_the_asset() {
    let folder = Folder::new();
    let output = folder.path("out-{index}.one");
    let (exit, records) = json(&["convert", "--json", &folder.path("two.lines"), &output]);
    assert_eq!((exit, records.len()), (Exit::Good, 2));
    assert_eq!(records[1]["loss"][0]["code"], "one.title");
    let asset = &records[1]["assets"][0];
    assert_eq!((&asset["role"], &asset["bytes"]), (&Value::from("converted"), &Value::from(10)));
    assert!(asset["path"].as_str().is_some_and(|path| path.ends_with("out-1.one")), "{asset}");
    let source = Source::open(folder.path("out-1.one"), &Limits::desktop()).unwrap();
    assert_eq!(asset["sha256"], source.sha256().unwrap());
}

#[test]
fn convert_to_stdout_needs_a_format_and_all_of_stdout() {
    let folder = Folder::new();
    let two = folder.path("two.lines");
    assert_eq!(mediary(&["convert", &two, "-"]).0, Exit::Usage);
    assert_eq!(mediary(&["convert", "--json", &two, "-", "--to", "lines"]).0, Exit::Usage);
    let (exit, text) = mediary(&["convert", &two, "-", "--to", "lines"]);
    assert_eq!((exit, text.as_str()), (Exit::Good, "LINES\nfirst\nsecond\n"));
    let (exit, text) = mediary(&["convert", &folder.path("half.lines"), "-", "--to", "lines"]);
    assert_eq!((exit, text.as_str()), (Exit::Failed, ""));
}

#[test]
fn a_store_is_filled_listed_shown_and_verified() {
    let folder = Folder::new();
    let inputs = ["two.lines", "a.one", "half.lines"].map(|name| folder.path(name));
    let store = folder.path("store");
    let (exit, lines) = json(&["ingest", "--json", &inputs[0], &inputs[1], &inputs[2], "--to", &store]);
    assert_eq!(exit, Exit::Partial);
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["ok"], &summary["failed"]), (&"summary".into(), &2.into(), &1.into()));
    assert_eq!(lines[0]["code"], "malformed");
    let (_, lines) = json(&["ingest", "--json", &inputs[0], &inputs[1], "--to", &store]);
    assert_eq!((&lines[0]["ok"], &lines[0]["skipped"]), (&0.into(), &2.into()));

    let (_, rows) = json(&["ls", "--json", &store, "--status", "error"]);
    assert_eq!(rows.len(), 1);
    let (_, rows) = json(&["ls", "--json", &store, "--kind", "html"]);
    let two: Vec<_> = rows.iter().filter(|row| row["source"]["name"] == "two.lines").collect();
    assert_eq!(two.len(), 2);
    let sha256 = two[0]["source"]["sha256"].as_str().unwrap();
    let (exit, records) = json(&["show", "--json", &store, &sha256[..10]]);
    assert_eq!((exit, records.len()), (Exit::Good, 2));
    assert_eq!(records[1]["facts"]["title"], "second");
    assert_eq!(mediary(&["show", &store, "nosuch"]).0, Exit::Failed);

    assert_eq!(mediary(&["verify", "--deep", &store]).0, Exit::Good);
    let object = Path::new(&store).join(two[0]["assets"][0]["path"].as_str().unwrap());
    std::fs::remove_file(object).unwrap();
    let (exit, lines) = json(&["verify", "--json", &store]);
    assert_eq!((exit, &lines[0]["damage"][0]["code"]), (Exit::Damaged, &"object-missing".into()));
    assert_eq!(mediary(&["ls", &folder.path("nosuch")]).0, Exit::Failed);
}

#[test]
fn a_store_in_use_is_locked() {
    let folder = Folder::new();
    let path = folder.path("store");
    let _held = mediary_ingest::Store::create_or_open(&path).unwrap();
    assert_eq!(mediary(&["ingest", &folder.path("a.one"), "--to", &path]).0, Exit::Locked);
    assert_eq!(mediary(&["verify", &path]).0, Exit::Locked);
}

#[test]
fn a_closed_stdout_ends_quietly() {
    let folder = Folder::new();
    for arguments in [
        &["info", "--full", &folder.path("two.lines")] as &[&str],
        &["info", "--json", &folder.path("missing")],
        &["convert", &folder.path("two.lines"), "-", "--to", "lines"],
        &["formats"],
        &["doctor"],
        &["completions", "bash"],
        &["man"],
    ] {
        assert_eq!(run_to(Box::new(Closed), arguments), Exit::Good, "{arguments:?}");
    }
}

#[test]
fn a_closed_stdout_changes_no_exit_of_work() {
    let folder = Folder::new();
    let inputs = ["half.lines", "two.lines", "a.one"].map(|name| folder.path(name));
    let store = folder.path("store");
    let ingest = ["ingest", "--json", &inputs[0], &inputs[1], &inputs[2], "--to", &store];
    assert_eq!(run_to(Box::new(Closed), &ingest), Exit::Partial);
    let (_, rows) = json(&["ls", "--json", &store]);
    let whole = rows.iter().filter(|row| row["status"] == "ok" && row["source"]["name"] != "half.lines");
    assert_eq!(whole.count(), 3, "the run went to its end");
    assert_eq!(run_to(Box::new(Closed), &["verify", &store]), Exit::Good);
    let object = Path::new(&store).join(rows.iter().find_map(|row| row["assets"][0]["path"].as_str()).unwrap());
    std::fs::remove_file(object).unwrap();
    for arguments in [&["verify", &store] as &[&str], &["verify", "--json", &store]] {
        assert_eq!(run_to(Box::new(Closed), arguments), Exit::Damaged);
    }
    let missing = folder.path("nosuch");
    assert_eq!(run_to(Box::new(Closed), &["verify", "--json", &missing]), Exit::Failed);
}

#[test]
fn help_derives_from_the_registry() {
    let (_, script) = mediary(&["completions", "bash"]);
    assert!(script.contains("broken lines one"), "{script}");
    let (_, page) = mediary(&["man"]);
    assert!(page.contains("lines.case=keep|upper"), "{page}");
    let folder = Folder::new();
    let pages = folder.path("man");
    assert_eq!(mediary(&["man", "--dir", &pages]).0, Exit::Good);
    assert!(Path::new(&pages).join("mediary-info.1").exists());
    let (_, table) = mediary(&["formats", "--markdown"]);
    assert_eq!(table.lines().count(), 2 + 3);
}

#[test]
fn a_closed_pipe_is_found_below_other_errors() {
    let pipe = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert!(is_broken_pipe(&anyhow::Error::new(pipe())));
    assert!(is_broken_pipe(&anyhow::Error::new(Error::from(pipe()))));
    assert!(!is_broken_pipe(&anyhow::Error::new(Error::malformed("broken pipe"))));
}

#[test]
fn exits_follow_the_error() {
    assert_eq!(exit_of(&Error::new(ErrorKind::InvalidOption, "")), Exit::Usage);
    assert_eq!(exit_of(&Error::new(ErrorKind::Cancelled, "")), Exit::Interrupted);
    assert_eq!(exit_of(&Error::new(ErrorKind::Locked, "")), Exit::Locked);
    assert_eq!(exit_of(&Error::malformed("")), Exit::Failed);
}
