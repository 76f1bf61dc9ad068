//! The picture that annotations are about, opened and decoded.
//!
//! Formats see no registry, so a picture is decoded by the formats that are linked into the program, whatever registry the
//! annotations are read through. What pictures go through as they arrive is left to the record as a whole.

use mediary_core::{
    Context, Error, ErrorKind, Header, Kind, MediaRecord, ReadOptions, Reading, Registry, Result, Source,
};

use super::IDS;

/// Endings that are tried first where only the stem of a picture is known.
const USUAL: [&str; 3] = ["jpg", "jpeg", "png"];

/// Opens pictures beside a file of annotations.
pub(super) struct Pictures {
    registry: Registry,
}

impl Pictures {
    pub(super) fn new() -> Self {
        Self { registry: Registry::builtin().without_operations() }
    }

    /// The picture that a file refers to by this name: where it says, or beside the file.
    pub(super) fn named(&self, source: &Source, name: &str, cx: &Context) -> Result<Source> {
        let first = match source.sibling(name, cx) {
            Ok(picture) => return Ok(picture),
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(error) => error,
        };
        // Tools write the path at which they had it.
        let last = name.rsplit(['/', '\\']).next().filter(|last| *last != name && !last.is_empty());
        match last.map(|last| source.sibling(last, cx)) {
            Some(Ok(picture)) => Ok(picture),
            Some(Err(error)) if error.kind() == ErrorKind::Limit => Err(error),
            _ => Err(Error::new(first.kind(), format!("the picture {name:?} is missing: {}", first.message()))
                .with_hint("put it beside the file of annotations, or below")),
        }
    }

    /// The picture beside a file that has the file's name but for the ending.
    pub(super) fn of_stem(&self, source: &Source, info_endings: &[&str], cx: &Context) -> Result<Source> {
        let name = source.name();
        let lower = name.to_ascii_lowercase();
        let ending =
            info_endings.iter().filter(|ending| lower.ends_with(&format!(".{ending}"))).max_by_key(|it| it.len());
        let stem = ending.map_or(name, |ending| &name[..name.len() - ending.len() - 1]);
        let others = self
            .registry
            .formats()
            .filter(|info| info.reads && info.kinds.contains(&Kind::Image) && !IDS.contains(&info.id));
        let others = others.flat_map(|info| info.extensions).copied().filter(|ending| !USUAL.contains(ending));
        for ending in USUAL.into_iter().chain(others) {
            for ending in [ending.to_owned(), ending.to_ascii_uppercase()] {
                match source.sibling(&format!("{stem}.{ending}"), cx) {
                    Ok(picture) => return Ok(picture),
                    Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Err(Error::new(
            ErrorKind::Io,
            format!("the picture is missing: there is no {stem}.jpg, {stem}.png or other picture"),
        )
        .with_hint("put it beside the file of annotations, under the same name but for the ending"))
    }

    /// Starts reading a picture, on the budget and under the limits of the annotations.
    pub(super) fn open(&self, picture: &Source, cx: &Context) -> Result<Picture> {
        let mut options = ReadOptions::default();
        options.limits = *cx.limits();
        options.budget = Some(cx.budget().clone());
        options.strictness = cx.strictness();
        options.cancel = cx.cancel().clone();
        let reading = self.registry.open(picture, &options)?;
        let id = reading.format().id;
        if IDS.contains(&id) {
            return Err(Error::malformed(format!("expected a picture, found annotations ({id})"))
                .with_path(picture.name().to_owned()));
        }
        Ok(Picture { reading, name: picture.name().to_owned() })
    }
}

/// A picture whose header can be had before its pixels.
pub(super) struct Picture {
    reading: Reading,
    name: String,
}

impl Picture {
    pub(super) fn header(&mut self) -> Result<Header> {
        let header = self.reading.header()?;
        self.check(header.facts.kind())?;
        Ok(header)
    }

    /// The record of the picture, as that of a file that refers to it. Its findings join those of that file.
    pub(super) fn record(mut self, cx: &Context) -> Result<MediaRecord> {
        let record = self.reading.next().transpose()?;
        let Some(mut record) = record else {
            return Err(Error::malformed("expected a picture, found none").with_path(self.name));
        };
        self.check(record.kind())?;
        for diagnostic in record.diagnostics.to_vec() {
            cx.diagnostics().push(diagnostic);
        }
        record.key = self.name;
        record.media_type.clear();
        record.source_is_canonical = false;
        Ok(record)
    }

    fn check(&self, kind: Kind) -> Result<()> {
        if kind == Kind::Image {
            return Ok(());
        }
        Err(Error::unsupported(format!("expected a picture, found {kind}")).with_path(self.name.clone()))
    }
}
