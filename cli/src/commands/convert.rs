//! `mediary convert`: one input as another format.
//!
//! Outputs appear under their name only when they are whole, and a failed conversion leaves nothing behind.

use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mediary::record::Asset;
use mediary::{Error, ErrorKind, FormatInfo, Loss, MediaRecord, Output, Reading, Source};
use serde_json::Value;

use super::open;
use crate::args::ConvertArgs;
use crate::inputs::{Input, refuse_terminal};
use crate::output::{Screen, json, text};
use crate::{Exit, Session, Usage};

/// Stands for the record's number in the name of an output.
const INDEX: &str = "{index}";
/// JSON of records waits in memory up to this size, and in a temporary file beyond: many records may go into one file.
const WAITING_BYTES: usize = 1 << 20;

pub(crate) fn run(session: &Session, args: &ConvertArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    if session.global.files_from.is_some() {
        return Err(Usage::new("convert takes one input: --files-from is for `info`, `detect` and `ingest`").into());
    }
    let input = Input::new(args.input.clone());
    let to_stdout = args.output == "-";
    if to_stdout && args.to.is_none() {
        return Err(Usage::new("OUTPUT `-` has no extension: name the format with --to ID").into());
    }
    if to_stdout && screen.json {
        return Err(Usage::new("--json and OUTPUT `-` both want stdout: give the output a name").into());
    }
    if input == Input::Stdin {
        refuse_terminal("-")?;
    }
    let path = PathBuf::from(&args.output);
    // Several formats may have the extension: which one it is depends on the input, that there is one does not.
    let format = |kinds| match &args.to {
        Some(id) => session.registry.get(id),
        None => session.registry.for_output(&file_name(&path), kinds),
    };
    format(&[])?;
    if let Input::Path(from) = &input {
        refuse_same_file(from, &path, session.global.force)?;
    }
    let source = open(session, &input)?;
    // From here on there are temporary files to remove.
    session.interrupt.graceful();
    let mut reading = session.registry.open(&source, &session.read_options())?;
    if screen.json {
        reading.set_sha256(source.sha256()?);
    }
    let format = format(reading.format().kinds)?.info();
    let mut job = Job { session, format, shown: input.shown(), report: Report::new(screen.json)? };
    if to_stdout {
        let out = job.all_in_one(&mut reading, Output::spool()?)?;
        job.report.remarks(screen);
        out.copy_to(screen.stdout())?;
        screen.flush()?;
        return Ok(Exit::Good);
    }
    let written = if file_name(&path).contains(INDEX) {
        job.one_each(&mut reading, &path)?
    } else {
        let out = Output::file(&path, session.global.force)?;
        job.all_in_one(&mut reading, out)?.finish()?;
        vec![path]
    };
    job.report.remarks(screen);
    for path in &written {
        let bytes = std::fs::metadata(path).map_err(|error| Error::io("cannot look at the output", error))?.len();
        screen.note(&format!("wrote {} ({}, {})", path.display(), format.id, text::bytes(bytes)));
    }
    job.report.records(screen, &written, format)?;
    Ok(Exit::Good)
}

struct Job<'s> {
    session: &'s Session,
    format: &'static FormatInfo,
    shown: String,
    report: Report,
}

impl Job<'_> {
    /// All records into one output, which must be able to hold them.
    fn all_in_one(&mut self, reading: &mut Reading, out: Output) -> anyhow::Result<Output> {
        let mut out = out.with_limit(self.session.limits.output_bytes);
        if !self.format.many_records && reading.header()?.records.is_some_and(|records| records > 1) {
            return Err(self.too_many().into());
        }
        for (number, record) in reading.by_ref().enumerate() {
            if number == 1 && !self.format.many_records {
                return Err(self.too_many().into());
            }
            self.write(record?, &mut out)?;
        }
        Ok(out)
    }

    /// Every record into an output of its own. They get their names together at the end: until then nothing that exists
    /// is touched, be it the input itself.
    fn one_each(&mut self, reading: &mut Reading, pattern: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut waiting = Vec::new();
        for record in reading.by_ref() {
            let record = record?;
            let name = file_name(pattern).replace(INDEX, &record.index.to_string());
            let path = pattern.with_file_name(name);
            let mut out = Output::file(&path, self.session.global.force)?.with_limit(self.session.limits.output_bytes);
            self.write(record, &mut out)?;
            waiting.push((path, out.close()?));
        }
        let mut written = Vec::new();
        for (path, out) in waiting {
            out.finish()?;
            written.push(path);
        }
        Ok(written)
    }

    fn write(&mut self, mut record: MediaRecord, out: &mut Output) -> anyhow::Result<()> {
        let mut options = self.session.write_options();
        options.input = Some(self.shown.clone());
        let written = self.session.registry.write(&mut record, self.format.id, out, &options);
        written.map_err(|error| error.with_path(self.shown.clone()))?;
        Ok(self.report.add(&record)?)
    }

    fn too_many(&self) -> Error {
        Error::unsupported(format!("the input holds several records, {} holds one a file", self.format.name))
            .of_format(self.format.id)
            .with_hint(format!(
                "put {INDEX} into the name of the output for one file a record, e.g. out-{INDEX}.{}",
                self.format.extension()
            ))
            .with_path(self.shown.clone())
    }
}

/// What is told once the outputs are in place.
struct Report {
    /// Record JSON, one a line; `None` when nobody asked.
    lines: Option<tempfile::SpooledTempFile>,
    diagnostics: mediary::Diagnostics,
    losses: Vec<Loss>,
}

impl Report {
    fn new(json: bool) -> mediary::Result<Self> {
        let lines = json.then(|| tempfile::SpooledTempFile::new(WAITING_BYTES));
        Ok(Self { lines, diagnostics: mediary::Diagnostics::default(), losses: Vec::new() })
    }

    /// Takes down a record that was written. Equal findings of many records are counted.
    fn add(&mut self, record: &MediaRecord) -> mediary::Result<()> {
        for diagnostic in record.diagnostics.to_vec() {
            self.diagnostics.push(diagnostic);
        }
        for loss in &record.loss {
            match self.losses.iter_mut().find(|known| known.code == loss.code) {
                Some(known) => known.count = known.count.saturating_add(loss.count),
                None => self.losses.push(loss.clone()),
            }
        }
        if let Some(lines) = &mut self.lines {
            json::line(lines, &record.to_json())?;
        }
        Ok(())
    }

    fn remarks(&self, screen: &Screen) {
        for diagnostic in self.diagnostics.to_vec() {
            screen.diagnostic(&diagnostic);
        }
        for loss in &self.losses {
            screen.loss(loss);
        }
    }

    /// The record JSON with its asset: that of the record's own file, or the one file of all.
    fn records(&mut self, screen: &mut Screen, written: &[PathBuf], format: &FormatInfo) -> anyhow::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let assets = written.iter().map(|path| asset(path, format)).collect::<mediary::Result<Vec<_>>>()?;
        lines.flush()?;
        lines.seek(SeekFrom::Start(0))?;
        for (number, line) in BufReader::new(lines).lines().enumerate() {
            let mut json: Value = serde_json::from_str(&line?)?;
            let asset = if assets.len() == 1 { assets.first() } else { assets.get(number) };
            json["assets"] = serde_json::to_value(asset.into_iter().collect::<Vec<_>>())?;
            screen.json(&json)?;
        }
        Ok(())
    }
}

fn asset(path: &Path, format: &FormatInfo) -> mediary::Result<Asset> {
    let source = Source::open(path, &mediary::Limits::desktop())?;
    Ok(Asset {
        role: "converted",
        media_type: format.media_type().into(),
        bytes: source.len(),
        sha256: source.sha256()?,
        path: path.display().to_string(),
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writing over the input is what `--force` is for. It is safe then: the input stays open while its name moves on.
fn refuse_same_file(input: &Path, output: &Path, force: bool) -> mediary::Result<()> {
    let (Ok(from), Ok(to)) = (input.canonicalize(), output.canonicalize()) else { return Ok(()) };
    if from != to || force {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "the output is the input")
        .with_hint("--force replaces the input")
        .with_path(output.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_is_not_overwritten_by_another_name_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "x").unwrap();
        let other = folder.path().join(".").join("a");
        assert!(refuse_same_file(&path, &other, false).is_err());
        assert!(refuse_same_file(&path, &other, true).is_ok());
        assert!(refuse_same_file(&path, &folder.path().join("b"), false).is_ok());
    }
}
