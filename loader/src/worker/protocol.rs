//! The messages between the host and a worker process. The host asks, the worker answers; while it works it may call back,
//! and the host returns something each time.
//!
//! ```text
//! host ──Ask──▶ worker        host ◀──Call── worker        host ──Return──▶ worker        host ◀──Answer── worker
//! ```

use mediary_core::{
    Confidence, Context, Diagnostic, Error, ErrorKind, FormatInfo, Limits, Location, Loss, OptionUse, Options,
    Severity, Strictness,
};
use serde::{Deserialize, Serialize};

use super::sandbox::Enforced;

/// Grows with every change of the messages. Both ends are usually the same program.
pub(super) const PROTOCOL: u32 = 1;

/// From the host to the worker.
#[derive(Deserialize, Serialize)]
pub(super) enum ToWorker {
    /// The first message. Its file is the plugin; none: the built-in formats.
    Start(Start),
    /// Its parcel has two buffers: head and tail.
    Probe {
        format: String,
        len: u64,
        name: String,
    },
    /// Its file is the input.
    Open {
        format: String,
        name: String,
        terms: Terms,
    },
    Header,
    Next,
    Close,
    /// Its parcel is the record.
    Write {
        format: String,
        terms: Terms,
        stem: String,
        siblings: bool,
    },
    /// Return of a call: it was done. With a chunk as parcel for `Pull`, with the file for `Sibling`.
    Done,
    /// Return of `Pull`: the end of the stream.
    End,
    /// Return of `Create`.
    Created(u32),
    /// Return of a call: it failed.
    Refused(Report),
}

/// From the worker to the host.
#[derive(Deserialize, Serialize)]
pub(super) enum ToHost {
    /// Answer to `Start`.
    Hello { protocol: u32, version: String, enforced: Enforced },
    /// Answer to `Probe`: 0 to 256 as in the binary interface.
    Score(u16, String),
    /// Answer to `Open`, `Close`, `Write`; to `Header` with the header as parcel, or without one when it is not known; to
    /// `Next` at the end.
    Done,
    /// Answer to `Next`, with a parcel.
    Record,
    /// Answer to `Next`, with a parcel.
    Chunk,
    /// Answer to `Next`.
    EndOfStream,
    /// Answer to anything.
    Failed(Report),
    /// It is alive. Nothing is returned.
    Progress,
    /// Findings and losses. Nothing is returned.
    Findings(Vec<Finding>, Vec<Lost>),
    /// Call: a file beside the input.
    Sibling(String),
    /// Call: the next chunk of the record that is written.
    Pull,
    /// Call: a file beside the output.
    Create(String),
    /// Call: the one buffer of its parcel, to the output of this number.
    Write(u32),
    /// Call: the position of output 0.
    Seek(u64),
}

/// What a worker is to be.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Start {
    pub(super) protocol: u32,
    /// Bytes one record may hold in memory: the limits of the process derive from it.
    pub(super) alloc_bytes: u64,
    /// Whether the plugin starts programs.
    pub(super) programs: bool,
}

/// The terms of one operation, as a [`Context`] has them.
#[derive(Deserialize, Serialize)]
pub(super) struct Terms {
    limits: Vec<(String, u64)>,
    /// 0 lenient, 1 default, 2 strict.
    strictness: u8,
    options: Vec<(String, String)>,
}

impl Terms {
    pub(super) fn of(cx: &Context) -> Self {
        Self {
            limits: Limits::NAMES.iter().filter_map(|&name| Some((name.to_owned(), cx.limits().get(name)?))).collect(),
            strictness: match cx.strictness() {
                Strictness::Lenient => 0,
                Strictness::Default => 1,
                Strictness::Strict => 2,
            },
            options: cx.options().spelled().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            limits.set(name, *value);
        }
        limits
    }

    pub(super) fn strictness(&self) -> Strictness {
        match self.strictness {
            0 => Strictness::Lenient,
            1 => Strictness::Default,
            _ => Strictness::Strict,
        }
    }

    pub(super) fn options(&self, format: &'static FormatInfo, usage: OptionUse) -> mediary_core::Result<Options> {
        Options::resolve(format.id, format.options, usage, &self.options)
    }
}

/// An answer of `probe`, as a number and a reason.
pub(super) fn score(confidence: Confidence) -> Result<ToHost, Error> {
    Ok(match confidence {
        Confidence::No => ToHost::Score(0, String::new()),
        Confidence::Unknown => ToHost::Score(256, String::new()),
        Confidence::Yes(score, reason) => ToHost::Score(score.into(), reason.into_owned()),
        Confidence::Failed(failure) => return Err(Error::new(failure.kind, failure.message)),
    })
}

/// The same, back.
pub(super) fn confidence(score: u16, reason: String) -> Option<Confidence> {
    Some(match score {
        0 => Confidence::No,
        256 => Confidence::Unknown,
        score => Confidence::yes(u8::try_from(score).ok()?, cut(reason, 200)),
    })
}

/// An [`Error`] on its way.
#[derive(Deserialize, Serialize)]
pub(super) struct Report {
    kind: String,
    format: Option<String>,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
    /// Its name, how much was wanted, how much is allowed.
    limit: Option<(String, u64, u64)>,
}

#[derive(Deserialize, Serialize)]
struct Place {
    byte: Option<u64>,
    line: Option<u64>,
    column: Option<u64>,
    element: Option<String>,
}

impl Place {
    fn of(location: &Location) -> Self {
        let Location { byte, line, column, element } = location.clone();
        Self { byte, line, column, element }
    }

    fn location(self) -> Location {
        let Self { byte, line, column, element } = self;
        Location { byte, line, column, element: element.map(|element| cut(element, TEXT)) }
    }
}

/// Bytes a text of a report may have.
const TEXT: usize = 4096;
/// Findings of different codes one input may have.
pub(super) const FINDINGS: usize = 1000;

/// The kinds a worker may answer with. Others are the host's to say.
const KINDS: [ErrorKind; 9] = [
    ErrorKind::Io,
    ErrorKind::Malformed,
    ErrorKind::Unsupported,
    ErrorKind::Limit,
    ErrorKind::InvalidOption,
    ErrorKind::NotRecognised,
    ErrorKind::Ambiguous,
    ErrorKind::Cancelled,
    ErrorKind::Plugin,
];

impl Report {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str().into(),
            format: error.format().map(Into::into),
            place: error.location().map(Place::of),
            message: error.message().into(),
            hint: error.hint().map(Into::into),
            limit: error
                .limit_name()
                .zip(error.limit_amounts())
                .map(|(name, (wanted, allowed))| (name.into(), wanted, allowed)),
        }
    }

    pub(super) fn error(self) -> Error {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == self.kind).unwrap_or(ErrorKind::Plugin);
        let limit = self.limit.filter(|_| kind == ErrorKind::Limit).and_then(|(limit, wanted, allowed)| {
            let name = Limits::NAMES.iter().find(|name| **name == limit)?;
            Some(Error::limit(name, wanted, allowed))
        });
        let mut error = limit.unwrap_or_else(|| Error::new(kind, "")).saying(cut(self.message, TEXT));
        if let Some(format) = self.format {
            error = error.of_format(cut(format, 100));
        }
        if let Some(place) = self.place {
            error = error.at(place.location());
        }
        if let Some(hint) = self.hint {
            error = error.with_hint(cut(hint, TEXT));
        }
        error
    }
}

/// A [`Diagnostic`] on its way.
#[derive(Deserialize, Serialize)]
pub(super) struct Finding {
    severity: u8,
    code: String,
    message: String,
    place: Option<Place>,
    count: u64,
}

impl Finding {
    /// `count` of them are new.
    pub(super) fn of(diagnostic: &Diagnostic, count: u64) -> Self {
        Self {
            severity: match diagnostic.severity {
                Severity::Info => 0,
                Severity::Warning => 1,
                Severity::Error => 2,
            },
            code: diagnostic.code.clone().into_owned(),
            message: diagnostic.message.clone(),
            place: diagnostic.location.as_ref().map(Place::of),
            count,
        }
    }

    pub(super) fn occurred(&self) -> bool {
        self.count > 0
    }

    pub(super) fn diagnostic(self, format: &str) -> Diagnostic {
        let severity = match self.severity {
            0 => Severity::Info,
            1 => Severity::Warning,
            _ => Severity::Error,
        };
        let mut diagnostic =
            Diagnostic::new(severity, code(format, self.code), cut(self.message, TEXT)).times(self.count);
        diagnostic.location = self.place.map(Place::location);
        diagnostic
    }
}

/// A [`Loss`] on its way.
#[derive(Deserialize, Serialize)]
pub(super) struct Lost {
    code: String,
    message: String,
    count: u64,
}

impl Lost {
    /// `count` of it are new.
    pub(super) fn of(loss: &Loss, count: u64) -> Self {
        Self { code: loss.code.clone().into_owned(), message: loss.message.clone(), count }
    }

    pub(super) fn occurred(&self) -> bool {
        self.count > 0
    }

    pub(super) fn tell(self, format: &str, cx: &Context) {
        cx.losses().push(code(format, self.code), self.count, cut(self.message, TEXT));
    }
}

/// A code begins with the id of the format that was asked.
fn code(format: &str, code: String) -> String {
    match code.strip_prefix(format) {
        Some(rest) if rest.starts_with('.') => cut(code, 200),
        _ => cut(format!("{format}.{code}"), 200),
    }
}

/// A text of at most `most` bytes.
fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
