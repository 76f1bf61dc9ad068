//! Readers whose header costs as much as their first record.

use mediary_core::{Context, Error, FormatReader, Header, MediaRecord, Result, Source, SourceBytes};

/// Reads the records of a text one after the other.
pub(crate) trait Parse: Send {
    /// The next record from where the last one ended.
    fn next(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>>;

    /// Whether nothing but white space is left, and no record is kept back.
    fn is_done(&self, bytes: &[u8]) -> bool;

    /// What is wrong with an input without any record.
    fn none(&self) -> Error;
}

/// The reader of a [`Parse`]: the first record is read for the header and kept.
pub(crate) struct Records<P> {
    source: Source,
    cx: Context,
    parse: P,
    bytes: Option<SourceBytes>,
    pending: Option<MediaRecord>,
    header: Option<Header>,
    started: bool,
}

impl<P: Parse> Records<P> {
    pub(crate) fn new(source: &Source, cx: &Context, parse: P) -> Self {
        let (source, cx) = (source.clone(), cx.clone());
        Self { source, cx, parse, bytes: None, pending: None, header: None, started: false }
    }

    fn read(&mut self) -> Result<Option<MediaRecord>> {
        if self.bytes.is_none() {
            self.bytes = Some(self.source.bytes(&self.cx)?);
        }
        let Some(bytes) = self.bytes.as_deref() else { return Ok(None) };
        let record = self.parse.next(bytes)?;
        if !std::mem::replace(&mut self.started, true) {
            let Some(record) = &record else { return Err(self.parse.none()) };
            let records = self.parse.is_done(bytes).then_some(1);
            self.header = Some(Header { facts: record.facts(), records, memory: None });
        }
        Ok(record)
    }
}

impl<P: Parse> FormatReader for Records<P> {
    fn header(&mut self) -> Result<Header> {
        if self.header.is_none() && !self.started {
            self.pending = self.read()?;
        }
        self.header.clone().ok_or_else(|| self.parse.none())
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        match self.pending.take() {
            Some(record) => Ok(Some(record)),
            None => self.read(),
        }
    }
}
