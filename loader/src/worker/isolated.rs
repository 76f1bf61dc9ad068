//! The built-in formats, each asked in a worker process.

use std::sync::Arc;

use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Media, MediaRecord, Origin, Output, Probe, Registry, Result,
    Source,
};

use super::WorkerCommand;
use crate::format::PluginFormat;

/// The formats of `registry` with the built-in ones in worker processes. The others stay as they are.
///
/// # Errors
/// `Plugin` when a format cannot be added: never for those of a registry.
pub fn isolate(registry: &Registry, command: &WorkerCommand) -> Result<Registry> {
    let connection = super::built_in(command);
    // Operations and pictures work on media that are here already, without a file in sight.
    let mut isolated = registry.without_formats();
    for info in registry.formats() {
        let format = registry.get(info.id)?;
        match registry.origin(info.id) {
            Some(Origin::BuiltIn) | None => {
                let worker = PluginFormat::leak(info, Arc::clone(&connection));
                isolated.add_from(Box::leak(Box::new(Isolated { format, worker })), Origin::BuiltIn)?;
            }
            Some(origin) => isolated.add_from(format, origin.clone())?,
        }
    }
    Ok(isolated)
}

struct Isolated {
    format: &'static dyn Format,
    worker: &'static PluginFormat,
}

impl Format for Isolated {
    fn info(&self) -> &'static FormatInfo {
        self.format.info()
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        self.worker.probe(probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        self.worker.open(source, cx)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        self.worker.write(record, out, cx)
    }

    /// Looks at what is here already.
    fn holds(&self, media: &Media) -> bool {
        self.format.holds(media)
    }
}
