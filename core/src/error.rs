//! The one error type: what went wrong, whose move it is, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose move is it? The string form (`as_str`) is the stable `code` of error rows and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The environment failed: a file is missing, unreadable, or the disk is full.
    Io,
    /// The data breaks its format's specification.
    Malformed,
    /// The data may be fine, but this build cannot do it. The hint names a feature or a plugin.
    Unsupported,
    /// A limit or the memory budget was hit. The hint names the limit.
    Limit,
    /// An option is unknown or ill-typed.
    InvalidOption,
    /// No format recognises the input.
    NotRecognised,
    /// Two formats recognise the input equally well (strict mode only).
    Ambiguous,
    /// The caller cancelled, or the deadline passed.
    Cancelled,
    /// A loaded plugin could not be loaded or broke its contract.
    Plugin,
    /// A worker process died.
    Worker,
    /// Another process holds the store's lock.
    Locked,
}

impl ErrorKind {
    /// The stable code of this kind, as it stands in JSON and in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
            Self::InvalidOption => "invalid-option",
            Self::NotRecognised => "not-recognised",
            Self::Ambiguous => "ambiguous",
            Self::Cancelled => "cancelled",
            Self::Plugin => "plugin",
            Self::Worker => "worker",
            Self::Locked => "locked",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in an input. Every part is optional; lines and columns count from 1, bytes from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Byte offset from the start of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// Line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column in bytes, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Path of the element inside the document, e.g. `meshes[0].primitives[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
}

impl Location {
    /// At a byte offset.
    #[must_use]
    pub fn byte(offset: u64) -> Self {
        Self { byte: Some(offset), ..Self::default() }
    }

    /// At a line, counted from 1.
    #[must_use]
    pub fn line(line: u64) -> Self {
        Self { line: Some(line), ..Self::default() }
    }

    /// At a named element.
    #[must_use]
    pub fn element(path: impl Into<String>) -> Self {
        Self { element: Some(path.into()), ..Self::default() }
    }

    /// The same place with a column, counted from 1.
    #[must_use]
    pub fn with_column(mut self, column: u64) -> Self {
        self.column = Some(column);
        self
    }

    /// The same place with a byte offset.
    #[must_use]
    pub fn with_byte(mut self, offset: u64) -> Self {
        self.byte = Some(offset);
        self
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if let Some(element) = &self.element {
            write!(f, "{element}")?;
            gap = ", ";
        }
        if let Some(line) = self.line {
            write!(f, "{gap}line {line}")?;
            gap = ", ";
        }
        if let Some(column) = self.column {
            write!(f, "{gap}column {column}")?;
            gap = ", ";
        }
        if let Some(byte) = self.byte {
            write!(f, "{gap}byte {byte}")?;
        }
        Ok(())
    }
}

/// Everything known about a failure. Cheap to move: one pointer.
///
/// Messages are lower case, have no full stop, say what was expected and what was found. The remedy is the hint.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    format: Option<Cow<'static, str>>,
    location: Option<Location>,
    message: String,
    hint: Option<String>,
    path: Option<String>,
    limit: Option<Hit>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A limit that was hit.
#[derive(Clone, Copy, Debug)]
struct Hit {
    name: &'static str,
    wanted: u64,
    allowed: u64,
}

impl Error {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            format: None,
            location: None,
            message: message.into(),
            hint: None,
            path: None,
            limit: None,
            source: None,
        }))
    }

    /// The data breaks its format's specification.
    #[must_use]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// The data asks for something this build cannot do.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The environment failed.
    #[must_use]
    pub fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, format!("{}: {source}", message.into()));
        error.0.source = Some(Box::new(source));
        error
    }

    /// A limit was hit: `wanted` of something of which `allowed` are allowed. `name` is the key of `--limit`.
    #[must_use]
    pub fn limit(name: &'static str, wanted: u64, allowed: u64) -> Self {
        // What counts as it goes knows only of the next step: a little more would end a little later.
        let enough = wanted.max(allowed.saturating_mul(2));
        let mut error = Self::new(ErrorKind::Limit, format!("{name}: {wanted} wanted, the limit is {allowed}"))
            .with_hint(format!("raise it with --limit {name}={enough}"));
        error.0.limit = Some(Hit { name, wanted, allowed });
        error
    }

    /// The input ends before what it announces: `expected` bytes were announced, `found` are there.
    #[must_use]
    pub fn truncated(what: &str, expected: u64, found: u64) -> Self {
        Self::malformed(format!("{what} ends early: expected {expected} bytes, found {found}"))
            .with_hint("the file is cut short; fetch or copy it again")
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.0.location = Some(location);
        self
    }

    /// At this byte offset.
    #[must_use]
    pub fn at_byte(self, offset: u64) -> Self {
        self.at(Location::byte(offset))
    }

    /// At this line, counted from 1.
    #[must_use]
    pub fn at_line(self, line: u64) -> Self {
        self.at(Location::line(line))
    }

    /// At this element of the document.
    #[must_use]
    pub fn at_element(self, path: impl Into<String>) -> Self {
        self.at(Location::element(path))
    }

    /// With a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Of this format, unless one is already named. The host does this at the boundary; format code need not.
    #[must_use]
    pub fn of_format(mut self, format: impl Into<Cow<'static, str>>) -> Self {
        self.0.format.get_or_insert(format.into());
        self
    }

    /// For this input, unless one is already named. Added once, at the boundary.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.0.path.get_or_insert(path.into());
        self
    }

    /// With the error below it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Id of the format that reported it.
    #[must_use]
    pub fn format(&self) -> Option<&str> {
        self.0.format.as_deref()
    }

    /// Where in the input.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// What was expected and found.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The input it concerns.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The name of the limit, for [`ErrorKind::Limit`].
    #[must_use]
    pub fn limit_name(&self) -> Option<&'static str> {
        self.0.limit.map(|hit| hit.name)
    }

    /// How much was wanted and how much is allowed, for [`ErrorKind::Limit`].
    #[must_use]
    pub fn limit_amounts(&self) -> Option<(u64, u64)> {
        self.0.limit.map(|hit| (hit.wanted, hit.allowed))
    }

    /// With other words.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The JSON object of DESIGN: `{"type":"error","path","code","format","message","location","hint"}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "type": "error",
            "path": self.path(),
            "code": self.kind().as_str(),
            "format": self.format(),
            "message": self.message(),
            "location": self.location(),
            "hint": self.hint(),
        })
    }
}

/// `format: message (at place): path`
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(format) = self.format() {
            write!(f, "{format}: ")?;
        }
        f.write_str(self.message())?;
        if let Some(location) = self.location() {
            write!(f, " (at {location})")?;
        }
        if let Some(path) = self.path() {
            write!(f, ": {path}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        // Readers and writers hand their own error through `std::io` traits; give it back whole.
        match source.downcast::<Self>() {
            Ok(own) => own,
            Err(source) => Self::io("i/o failed", source),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
