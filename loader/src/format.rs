//! [`PluginFormat`]: a format of a loaded plugin, which behaves as one that is compiled in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mediary_core::wire::{self, Parcel, Piece};
use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Header, MediaRecord, Output, Probe, Result, Source,
};

use crate::host::breach;
use crate::{Connection, Session};

/// A format of a plugin. Nothing is loaded before it is asked for the first time.
pub(crate) struct PluginFormat {
    info: &'static FormatInfo,
    connection: Arc<dyn Connection>,
}

impl PluginFormat {
    /// The format that `info` describes; it lives as long as the process.
    pub(crate) fn leak(info: &FormatInfo, connection: Arc<dyn Connection>) -> &'static Self {
        Box::leak(Box::new(Self { info: Box::leak(Box::new(*info)), connection }))
    }
}

impl Format for PluginFormat {
    fn info(&self) -> &'static FormatInfo {
        self.info
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        self.connection.probe(self.info, probe)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let session = self.connection.open(self.info, source, cx)?;
        Ok(Box::new(Reader {
            info: self.info,
            connection: Arc::clone(&self.connection),
            source: source.clone(),
            cx: cx.clone(),
            session: Shared(Arc::new(Mutex::new(Pieces { session, in_stream: false }))),
            header: None,
            kept: None,
            started: false,
        }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        self.connection.write(self.info, record, out, cx)
    }
}

/// A session and where in it the reading is. The reader and the stream of its last record share it.
struct Pieces {
    session: Box<dyn Session>,
    /// Chunks or the end of a stream come next.
    in_stream: bool,
}

impl Pieces {
    /// The next record, whose predecessor's stream is read to its end.
    fn record(&mut self) -> Result<Option<Parcel>> {
        while self.in_stream {
            self.chunk()?;
        }
        match self.session.next()? {
            None => Ok(None),
            Some(Piece::Record(parcel)) => Ok(Some(parcel)),
            Some(Piece::Chunk(_)) => Err(breach("it emitted a chunk of a record that has no stream")),
            Some(Piece::EndOfStream) => Err(breach("it emitted the end of a stream of a record that has none")),
        }
    }

    /// The next chunk; `None` at the end of the stream.
    fn chunk(&mut self) -> Result<Option<Parcel>> {
        if !self.in_stream {
            return Ok(None);
        }
        let next = self.session.next();
        self.in_stream = matches!(next, Ok(Some(Piece::Chunk(_))));
        match next? {
            Some(Piece::Chunk(parcel)) => Ok(Some(parcel)),
            Some(Piece::EndOfStream) => Ok(None),
            Some(Piece::Record(_)) => Err(breach("it emitted a record before the end of the stream of the one before")),
            None => Err(breach("it ended before the end of its stream")),
        }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Pieces>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_record(&self) -> Result<Option<MediaRecord>> {
        let Some(parcel) = self.lock().record()? else { return Ok(None) };
        // A record that has a stream keeps the way to its chunks.
        let way = Arc::new(self.clone());
        let chunks = Arc::clone(&way);
        let record = wire::unpack_record(parcel, move || chunks.lock().chunk())?;
        self.lock().in_stream = Arc::strong_count(&way) > 1;
        Ok(Some(record))
    }
}

struct Reader {
    info: &'static FormatInfo,
    connection: Arc<dyn Connection>,
    source: Source,
    cx: Context,
    session: Shared,
    header: Option<Header>,
    /// The first record, read for its header.
    kept: Option<MediaRecord>,
    /// Whether a record was handed out.
    started: bool,
}

impl Reader {
    fn header_of(&self, record: &MediaRecord) -> Header {
        let header = Header::new(record.facts());
        if self.info.many_records { header } else { Header { records: Some(1), ..header } }
    }

    /// The header of a plugin that has none but its first record.
    fn header_by_record(&mut self) -> Result<Header> {
        let none = || breach("the input holds no record");
        if !self.started {
            let record = self.session.next_record()?.ok_or_else(none)?;
            let header = self.header_of(&record);
            self.kept = Some(record);
            return Ok(header);
        }
        // It is gone: it is read once more, and what there is to find in it is reported already.
        let cx = Context::builder(self.info.id)
            .limits(*self.cx.limits())
            .strictness(self.cx.strictness())
            .options(self.cx.options().clone())
            .cancel(self.cx.cancel().clone())
            .build();
        let session = self.connection.open(self.info, &self.source, &cx)?;
        let again = Shared(Arc::new(Mutex::new(Pieces { session, in_stream: false })));
        let record = again.next_record()?.ok_or_else(none)?;
        Ok(self.header_of(&record))
    }
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let parcel = self.session.lock().session.header()?;
        let header = match parcel {
            Some(parcel) => wire::unpack_header(&parcel)?,
            None => self.header_by_record()?,
        };
        self.header = Some(header.clone());
        Ok(header)
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        self.started = true;
        match self.kept.take() {
            Some(record) => Ok(Some(record)),
            None => self.session.next_record(),
        }
    }
}
