//! The package: parts by name.

use std::collections::HashMap;
use std::io::Read;

use mediary_core::{Context, Error, Location, Result, Source, SourceReader};
use quick_xml::events::Event;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::xml;

/// Below this a high ratio is no bomb: tables of zeros compress well.
const SMALL: u64 = 1 << 20;

/// An opened package.
pub(super) struct Package {
    archive: ZipArchive<SourceReader>,
    /// Indices by name in lower case: names of parts differ in more than case.
    names: HashMap<String, usize>,
}

fn broken(error: ZipError, what: &str) -> Error {
    match error {
        ZipError::Io(error)
            if error.kind() != std::io::ErrorKind::UnexpectedEof
                && error.kind() != std::io::ErrorKind::InvalidData
                && error.kind() != std::io::ErrorKind::InvalidInput =>
        {
            Error::from(error)
        }
        ZipError::UnsupportedArchive(why) => Error::unsupported(format!("{what}: {why}")),
        error => Error::malformed(format!("{what}: {error}")),
    }
}

/// A name of a part as a key: absolute, without a scheme, in lower case.
fn key(name: &str) -> String {
    name.trim().trim_start_matches('/').to_lowercase()
}

impl Package {
    pub(super) fn open(source: &Source, cx: &Context) -> Result<Self> {
        // The list at the end takes memory: no more than its bytes many times over.
        cx.budget().take(source.len().min(64 << 20))?;
        let archive = ZipArchive::new(source.reader()).map_err(|error| broken(error, "the ZIP package"))?;
        cx.budget().take((archive.len() as u64).saturating_mul(512))?;
        let mut names = HashMap::new();
        for (index, name) in archive.file_names().enumerate() {
            if let Ok(name) = name {
                names.entry(key(&name)).or_insert(index);
            }
        }
        Ok(Self { archive, names })
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(&key(name))
    }

    /// The bytes of a part, paid from the budget; `None` when there is none of this name.
    pub(super) fn part(&mut self, name: &str, cx: &Context) -> Result<Option<Vec<u8>>> {
        let Some(&index) = self.names.get(&key(name)) else { return Ok(None) };
        let what = || format!("part {name:?}");
        let entry = self.archive.by_index(index).map_err(|error| broken(error, &what()))?;
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let message = format!("{}: compression {} is not read", what(), entry.compression());
            return Err(
                Error::unsupported(message).with_hint("only stored and deflated parts belong into a 3MF package")
            );
        }
        let (packed, size) = (entry.compressed_size(), entry.size());
        let ratio = size / packed.max(1);
        if size > SMALL {
            cx.limits().check("expansion_ratio", ratio)?;
        }
        cx.limits().check("elements", size)?;
        cx.budget().take(size)?;
        let mut bytes = Vec::new();
        let read = entry.take(size.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| broken(ZipError::Io(error), &what()))?;
        if bytes.len() as u64 != size {
            return Err(Error::malformed(format!("{}: expected {size} bytes, found {}", what(), bytes.len())));
        }
        Ok(Some(bytes))
    }

    /// The root model: what the relationships of the package name, else the usual name.
    pub(super) fn root(&mut self, cx: &Context) -> Result<String> {
        const USUAL: &str = "3D/3dmodel.model";
        let relations = self.part("_rels/.rels", cx)?;
        let mut target = None;
        if let Some(bytes) = relations {
            let text = xml::text(&bytes);
            let mut reader = quick_xml::Reader::from_str(&text);
            loop {
                match reader.read_event().map_err(|error| xml::error(&error, "_rels/.rels", &text, &reader))? {
                    Event::Start(element) | Event::Empty(element)
                        if element.local_name().as_ref() == "Relationship" =>
                    {
                        let is_model = xml::value(&element, "Type").is_some_and(|kind| kind.ends_with("/3dmodel"));
                        if is_model && target.is_none() {
                            target = xml::value(&element, "Target");
                        }
                    }
                    Event::Eof => break,
                    _ => {}
                }
            }
        }
        match target {
            Some(target) if self.contains(&target) => Ok(target),
            found => {
                let message = match &found {
                    Some(target) => format!("the package names {target:?} as its model, which is not there"),
                    None => "the package names no part as its model".to_owned(),
                };
                if !self.contains(USUAL) {
                    return Err(Error::malformed(message).at_element("_rels/.rels"));
                }
                let message = format!("{message}; {USUAL} is read");
                cx.tolerate("relationship", message, Location::element("_rels/.rels"))?;
                Ok(USUAL.to_owned())
            }
        }
    }
}
