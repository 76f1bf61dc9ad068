//! `mediary preview`: pictures of inputs.

use std::path::{Path, PathBuf};

use mediary::preview::{PreviewOptions, picture};
use mediary::record::Asset;
use mediary::{Context, Error, Format, Kind, MediaRecord, Output, Source};

use super::{Stop, each_input};
use crate::args::PreviewArgs;
use crate::inputs::Input;
use crate::output::{Screen, text};
use crate::{Exit, Session, Usage};

/// What is written where no name says otherwise.
const FORMAT: &str = "png";

pub(crate) fn run(session: &Session, args: &PreviewArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let to_stdout = args.output.as_os_str() == "-";
    let to_folder = args.output.is_dir() || args.output.as_os_str().to_string_lossy().ends_with('/');
    if !to_folder && (args.inputs.len() != 1 || session.global.files_from.is_some()) {
        let message = format!(
            "{:?} is one picture: for several inputs name a folder that exists, or end it with `/`",
            args.output
        );
        return Err(Usage::new(message).into());
    }
    if args.all && !to_folder {
        let message = format!("--all makes many pictures: {:?} is one; name a folder, or end it with `/`", args.output);
        return Err(Usage::new(message).into());
    }
    if to_stdout && screen.json {
        return Err(Usage::new("--json and `-o -` both want stdout: give the picture a name").into());
    }
    let name = args.output.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let format = match to_stdout || to_folder {
        true => session.registry.get(FORMAT)?,
        false => session.registry.for_output(&name, &[Kind::Image])?,
    };
    if to_folder {
        std::fs::create_dir_all(&args.output)
            .map_err(|error| Error::io("cannot make the folder", error).with_path(args.output.display().to_string()))?;
    }
    session.interrupt.graceful();
    let mut options = PreviewOptions::default();
    (options.size, options.background, options.up) = (args.size, args.background, args.up);
    (options.marks.layers, options.marks.classes) = (args.layer.clone(), args.class.clone());
    options.marks.min_score = args.min_score;
    options.threads = session.global.jobs.map_or(0, std::num::NonZeroUsize::get);
    let job = Job { session, options, format };
    each_input(session, &args.inputs, screen, |screen, input, source| {
        job.each_record(input, source, args.all, |record, image| {
            if to_stdout {
                let out = job.write(image, input, Output::spool()?)?;
                remarks(&record, screen);
                out.copy_to(screen.stdout())?;
                return Ok(());
            }
            let number = args.all.then_some(record.index);
            let path = if to_folder { in_folder(&args.output, input, number) } else { args.output.clone() };
            job.write(image, input, Output::file(&path, session.global.force)?)?.finish()?;
            job.tell(record, &path, screen)
        })
    })
}

struct Job<'s> {
    session: &'s Session,
    options: PreviewOptions,
    format: &'static dyn Format,
}

impl Job<'_> {
    /// Gives `put` the first record of an input, or each, and its picture.
    fn each_record(
        &self,
        input: &Input,
        source: &Source,
        all: bool,
        mut put: impl FnMut(MediaRecord, MediaRecord) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut reading = self.session.registry.open(source, &self.session.read_options())?;
        if self.session.global.json {
            reading.set_sha256(source.sha256()?);
        }
        let format = reading.format().id;
        let mut count = 0;
        while let Some(record) = reading.next().filter(|_| all || count == 0) {
            count += 1;
            let mut record = record?;
            self.session.registry.operate(&mut record, &self.session.write_options())?;
            let cx =
                Context::builder("preview").limits(self.session.limits).cancel(self.session.interrupt.cancel()).build();
            let image = picture(&mut record, &self.session.registry, &self.options, &cx)
                .map_err(|error| error.of_format(format).with_path(input.shown()))?;
            cx.diagnostics().to_vec().into_iter().for_each(|diagnostic| record.diagnostics.push(diagnostic));
            put(record, MediaRecord::new(image))?;
        }
        if count == 0 {
            return Err(Error::malformed("the input holds no record").of_format(format).into());
        }
        Ok(())
    }

    fn write(&self, mut image: MediaRecord, input: &Input, out: Output) -> Result<Output, Stop> {
        let mut out = out.with_limit(self.session.limits.output_bytes);
        let mut options = self.session.write_options();
        options.input = Some(input.shown());
        self.session.registry.write(&mut image, self.format.info().id, &mut out, &options)?;
        Ok(out)
    }

    /// Tells of a picture that is in place.
    fn tell(&self, mut record: MediaRecord, path: &Path, screen: &mut Screen) -> Result<(), Stop> {
        let info = self.format.info();
        remarks(&record, screen);
        let written = Source::open(path, &mediary::Limits::desktop())?;
        let asset = Asset {
            role: "preview",
            media_type: info.media_type().into(),
            bytes: written.len(),
            sha256: written.sha256()?,
            path: path.display().to_string(),
        };
        screen.note(&format!("wrote {} ({}, {})", asset.path, info.id, text::bytes(asset.bytes)));
        record.assets.push(asset);
        if screen.json {
            screen.json(&record.to_json())?;
        }
        Ok(())
    }
}

fn remarks(record: &MediaRecord, screen: &Screen) {
    record.diagnostics.to_vec().iter().for_each(|diagnostic| screen.diagnostic(diagnostic));
}

/// `model.obj` becomes `FOLDER/model.obj.png`: inputs that differ in their extension alone have pictures of their own. Of several
/// records each has its number: `FOLDER/pages.tif.3.png`.
fn in_folder(folder: &Path, input: &Input, number: Option<u64>) -> PathBuf {
    let mut name = match input {
        Input::Path(path) => path.file_name().unwrap_or_default().to_owned(),
        Input::Stdin => "stdin".into(),
    };
    if let Some(number) = number {
        name.push(format!(".{number}"));
    }
    name.push(format!(".{FORMAT}"));
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_in_a_folder_keep_the_whole_name() {
        let path = |text: &str, number| in_folder(Path::new("out"), &Input::new(text.into()), number);
        assert_eq!(path("a/model.obj", None), Path::new("out/model.obj.png"));
        assert_eq!(path("a/pages.tif", Some(3)), Path::new("out/pages.tif.3.png"));
        assert_eq!(path("-", None), Path::new("out/stdin.png"));
    }
}
