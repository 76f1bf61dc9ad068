//! What a plugin is asked, wherever it runs. In this process: `direct`. In a worker process: `worker`, whose other end
//! answers with `direct` again.

use mediary_core::wire::{Parcel, Piece};
use mediary_core::{Confidence, Context, Error, Failure, FormatInfo, MediaRecord, Output, Probe, Result, Source};

/// A loaded plugin, as the host talks to it. Formats are named by id. Every error is final for the call and has its kind:
/// `Plugin` when the plugin broke down or broke its contract, `Worker` when its process died.
pub(crate) trait Connection: Send + Sync {
    /// Looks at content. One that breaks down while it looks has [`failed`].
    fn probe(&self, format: &'static FormatInfo, probe: &Probe<'_>) -> Confidence;

    /// Starts reading.
    fn open(&self, format: &'static FormatInfo, source: &Source, cx: &Context) -> Result<Box<dyn Session>>;

    /// Writes one record. Its streams are consumed.
    fn write(
        &self,
        format: &'static FormatInfo,
        record: &mut MediaRecord,
        out: &mut Output,
        cx: &Context,
    ) -> Result<()>;
}

/// An input being read. Findings and losses go to the context of the `open`.
pub(crate) trait Session: Send {
    /// Facts without the payload; `None` when the plugin cannot tell them without it.
    fn header(&mut self) -> Result<Option<Parcel>>;

    /// The next piece, `None` at the end.
    fn next(&mut self) -> Result<Option<Piece>>;
}

/// The answer of a plugin that broke down while it looked at content.
#[cold]
pub(crate) fn failed(format: &FormatInfo, error: &Error) -> Confidence {
    Confidence::Failed(Box::new(Failure { format: format.id, kind: error.kind(), message: error.message().to_owned() }))
}
