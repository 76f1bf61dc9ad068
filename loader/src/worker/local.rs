//! The formats of a registry as a [`Connection`]: how a worker process serves the built-in formats.

use mediary_core::wire::{self, Parcel, Piece};
use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, MediaRecord, Output, Probe, Registry, Result, Source,
};

use super::serve::Served;
use crate::{Connection, Session, failed};

/// The formats of a registry.
pub(super) struct Local(Registry);

impl Local {
    /// The built-in formats of this program.
    pub(super) fn built_in() -> Served {
        let registry = Registry::builtin();
        let formats = registry.formats().collect();
        Served { connection: Box::new(Self(registry)), formats }
    }

    fn get(&self, format: &'static FormatInfo) -> Result<&'static dyn Format> {
        self.0.get(format.id)
    }
}

impl Connection for Local {
    fn probe(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Confidence {
        self.get(format).map_or_else(|error| failed(format, &error), |format| format.probe(probe))
    }

    fn open(&self, format: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reading { reader: self.get(format)?.open(source, cx)?, pieces: wire::Pieces::default() }))
    }

    fn write(
        &self,
        format: &'static FormatInfo,
        record: &mut MediaRecord,
        out: &mut Output,
        cx: &Context,
    ) -> Result<()> {
        self.get(format)?.write(record, out, cx)
    }
}

struct Reading {
    reader: Box<dyn FormatReader>,
    pieces: wire::Pieces,
}

impl Session for Reading {
    fn header(&mut self) -> Result<Option<Parcel>> {
        wire::pack_header(&self.reader.header()?).map(Some)
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(piece) = self.pieces.rest() {
            return piece.map(Some);
        }
        let Some(record) = self.reader.next_record()? else { return Ok(None) };
        self.pieces.record(record, |parcel| Ok(Some(Piece::Record(parcel))))
    }
}
