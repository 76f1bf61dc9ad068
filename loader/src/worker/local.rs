//! The formats of a registry as a [`Connection`]: how a worker process serves the built-in formats.

use mediary_core::wire::{self, Parcel, Piece};
use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, MediaRecord, Output, Probe, Registry, Result, Source,
};

use super::serve::Served;
use crate::{Connection, Session};

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
    fn probe(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Result<Confidence> {
        Ok(self.get(format)?.probe(probe))
    }

    fn open(&self, format: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reading { reader: self.get(format)?.open(source, cx)?, streaming: None }))
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
    /// The record whose stream is on its way.
    streaming: Option<MediaRecord>,
}

impl Session for Reading {
    fn header(&mut self) -> Result<Option<Parcel>> {
        wire::pack_header(&self.reader.header()?).map(Some)
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(record) = &mut self.streaming {
            return Ok(Some(match wire::pack_chunk(record)? {
                Some(chunk) => Piece::Chunk(chunk),
                None => {
                    self.streaming = None;
                    Piece::EndOfStream
                }
            }));
        }
        let Some(mut record) = self.reader.next_record()? else { return Ok(None) };
        let parcel = wire::pack_record(&mut record)?;
        self.streaming = wire::streams(&record).then_some(record);
        Ok(Some(Piece::Record(parcel)))
    }
}
