//! Readers whose header costs as much as their first record.

use mediary_core::{
    Context, Error, ErrorKind, FormatReader, Header, MediaRecord, Result, Severity, Source, SourceBytes, Strictness,
};

use crate::text::Findings;

/// Reads the records of a text one after the other.
pub(crate) trait Parse: Send {
    /// The next record from where the last one ended.
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>>;

    /// Whether nothing but white space is left, and no record is kept back.
    fn is_done(&self, bytes: &[u8]) -> bool;

    /// What is wrong with an input without any record.
    fn none(&self) -> Error;

    /// Offset before which no byte is looked at again; 0 where that is not known.
    fn passed(&self) -> usize {
        0
    }
}

/// Bytes of a mapped input behind the reader that are kept in memory, at most.
const KEPT: usize = 8 << 20;

/// The reader of a [`Parse`]: the first record is read for the header and kept.
pub(crate) struct Records<P> {
    source: Source,
    cx: Context,
    parse: P,
    bytes: Option<SourceBytes>,
    pending: Option<MediaRecord>,
    header: Option<Header>,
    started: bool,
    /// Offset before which memory was given back.
    passed: usize,
}

impl<P: Parse> Records<P> {
    pub(crate) fn new(source: &Source, cx: &Context, parse: P) -> Self {
        let (source, cx) = (source.clone(), cx.clone());
        Self { source, cx, parse, bytes: None, pending: None, header: None, started: false, passed: 0 }
    }

    fn read(&mut self) -> Result<Option<MediaRecord>> {
        if self.bytes.is_none() {
            self.bytes = Some(self.source.bytes(&self.cx)?);
        }
        let Some(bytes) = &self.bytes else { return Ok(None) };
        let record = self.parse.next(bytes)?;
        if self.parse.passed() >= self.passed + KEPT {
            self.passed = self.parse.passed();
            bytes.pass(self.passed);
        }
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

/// A record whose findings are not reported yet.
pub(crate) type Found = (MediaRecord, Findings);

/// Reads on behind records that are broken, where a reader finds the start of the next one. Nothing is lost without a word:
///
/// | | A broken record is | At the end of the input |
/// |---|---|---|
/// | strict | the error that ends the input | |
/// | default | a diagnostic (`bad-record`, of severity error) of the next record | an error: how many, and the first of them |
/// | lenient | a diagnostic of the next record, behind the last one of the record before | nothing |
#[derive(Default)]
pub(crate) struct Mend {
    good: u64,
    broken: u64,
    first: Option<Error>,
    /// The record that comes next, in lenient mode: what is broken behind the last one must be known with it.
    ahead: Option<Found>,
}

impl Mend {
    /// The next record that is whole. `read` takes the next one, and after an error stands at the start of the one behind it.
    pub(crate) fn next(
        &mut self,
        cx: &Context,
        mut read: impl FnMut() -> Result<Option<Found>>,
    ) -> Result<Option<MediaRecord>> {
        let found = match self.ahead.take() {
            Some(found) => Some(found),
            None => self.whole(cx, &mut read)?,
        };
        let Some((record, mut findings)) = found else {
            return match self.first.take() {
                Some(error) => Err(self.all(error)),
                None => Ok(None),
            };
        };
        if cx.strictness() == Strictness::Lenient {
            self.ahead = self.whole(cx, &mut read)?;
        }
        findings.report(cx)?;
        self.good += 1;
        Ok(Some(record))
    }

    /// Whether a record is kept back, or an error is still to come.
    pub(crate) fn is_pending(&self) -> bool {
        self.ahead.is_some() || self.first.is_some()
    }

    fn whole(&mut self, cx: &Context, read: &mut impl FnMut() -> Result<Option<Found>>) -> Result<Option<Found>> {
        loop {
            let error = match read() {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let of_record = matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Unsupported);
            if !of_record || cx.strictness() == Strictness::Strict {
                return Err(error);
            }
            self.broken += 1;
            cx.report(Severity::Error, "bad-record", error.message().to_owned(), error.location().cloned());
            if cx.strictness() == Strictness::Default && self.first.is_none() {
                self.first = Some(error);
            }
        }
    }

    /// The error of all broken records.
    fn all(&self, first: Error) -> Error {
        if self.good == 0 && self.broken == 1 {
            return first;
        }
        let all = self.good + self.broken;
        let message = match self.broken {
            1 => format!("1 of {all} records is broken: {}", first.message()),
            broken => format!("{broken} of {all} records are broken, the first: {}", first.message()),
        };
        first.saying(message).with_hint("the others are read; --lenient leaves the broken ones out")
    }
}
