//! [`Stream`]: bulk content as a pull of chunks, with a running summary that becomes facts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::error::{Error, Result};
use crate::limits::Budget;

/// A piece of bulk content.
pub trait Chunk: Send + 'static {
    /// What is known after having seen some chunks: counts, bounds, peak.
    type Summary: Clone + Default + Send + Sync + 'static;

    /// Adds this chunk to the summary.
    fn observe(&self, summary: &mut Self::Summary);

    /// Bytes of memory this chunk holds.
    fn bytes(&self) -> u64;

    /// How many values are NaN or infinite, and what they are: reported as `<format>.non-finite` at the end of a stream.
    fn non_finite(_summary: &Self::Summary) -> (u64, &'static str) {
        (0, "")
    }
}

/// A pull stream of chunks. Memory stays bounded by one chunk; [`collect`](Self::collect) is for who wants it whole.
pub struct Stream<C: Chunk> {
    chunks: Box<dyn Iterator<Item = Result<C>> + Send>,
    summary: C::Summary,
    finished: bool,
    origin: Option<Origin>,
}

/// What a stream is about, for its errors and findings: the registry adds it.
pub(crate) struct Origin {
    pub(crate) format: &'static str,
    pub(crate) path: String,
    pub(crate) diagnostics: Diagnostics,
}

impl<C: Chunk> Stream<C> {
    /// A stream over `chunks`. After the first error it yields nothing more.
    pub fn new(chunks: impl Iterator<Item = Result<C>> + Send + 'static) -> Self {
        Self { chunks: Box::new(chunks), summary: C::Summary::default(), finished: false, origin: None }
    }

    /// A stream over chunks in memory.
    #[must_use]
    pub fn from_chunks(chunks: Vec<C>) -> Self {
        Self::new(chunks.into_iter().map(Ok))
    }

    /// The next chunk, `None` at the end.
    ///
    /// # Errors
    /// What the reader reports. A panic of a decoder comes out as `Malformed`.
    pub fn next_chunk(&mut self) -> Result<Option<C>> {
        if self.finished {
            return Ok(None);
        }
        let next =
            catch_unwind(AssertUnwindSafe(|| self.chunks.next())).unwrap_or_else(|panic| Some(Err(panicked(&*panic))));
        match next {
            Some(Ok(chunk)) => {
                chunk.observe(&mut self.summary);
                Ok(Some(chunk))
            }
            Some(Err(error)) => {
                self.finished = true;
                Err(match &self.origin {
                    Some(origin) => error.of_format(origin.format).with_path(origin.path.clone()),
                    None => error,
                })
            }
            None => {
                self.finished = true;
                self.report_non_finite();
                Ok(None)
            }
        }
    }

    fn report_non_finite(&self) {
        let (count, what) = C::non_finite(&self.summary);
        if let Some(origin) = self.origin.as_ref().filter(|_| count > 0) {
            let code = format!("{}.non-finite", origin.format);
            origin.diagnostics.push(Diagnostic::new(Severity::Warning, code, what).times(count));
        }
    }

    /// Reads to the end for the summary alone.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    pub fn drain(&mut self) -> Result<()> {
        while self.next_chunk()?.is_some() {}
        Ok(())
    }

    /// All remaining chunks, paid from the budget. The stream is at its end afterwards.
    ///
    /// # Errors
    /// `Limit` when they do not fit; otherwise as [`next_chunk`](Self::next_chunk).
    pub fn collect(&mut self, budget: &Budget) -> Result<Vec<C>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk()? {
            budget.take(chunk.bytes())?;
            all.push(chunk);
        }
        Ok(all)
    }

    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = Some(origin);
    }

    /// What the chunks so far add up to.
    #[must_use]
    pub fn summary(&self) -> &C::Summary {
        &self.summary
    }

    /// Whether the end was reached (or an error ended it): the summary is that of the whole content.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

/// A stream of nothing.
impl<C: Chunk> Default for Stream<C> {
    fn default() -> Self {
        Self::new(std::iter::empty())
    }
}

impl<C: Chunk> std::fmt::Debug for Stream<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream(finished: {})", self.finished)
    }
}

/// The error that a caught panic of format code becomes.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    Error::malformed(format!("the decoder gave up on this data: {text}"))
        .with_hint("this is a defect of mediary or of a decoder it uses: please report the file")
}
