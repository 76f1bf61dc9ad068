//! The core of mediary: what a media record is, and the contracts of formats. No format code.
//!
//! ```text
//! Source ──probe──▶ Format ──read──▶ MediaRecord ──write──▶ Output
//! ```
//!
//! - [`Source`]: bytes, a name hint, siblings.
//! - [`Format`], [`FormatReader`], [`FormatInfo`]: what a format is, and its static descriptor.
//! - [`Registry`], [`Reading`]: from an input to its records.
//! - [`MediaRecord`], [`Media`], [`record`]: the result, its kinds, units and axis order.
//! - [`Limits`], [`Budget`], [`Strictness`], [`Context`]: what a reader works with.
//! - [`Error`], [`Diagnostic`]: what went wrong, and what was repaired.

mod context;
pub mod convert;
mod depiction;
mod diagnostic;
mod error;
mod format;
mod limits;
mod operation;
mod options;
mod output;
mod packing;
pub mod plugin;
mod probe;
pub mod record;
mod registry;
mod source;
pub mod wire;

pub use context::{Cancel, Context, ContextBuilder, Strictness};
pub use depiction::{Depiction, Draw};
pub use diagnostic::{Diagnostic, Diagnostics, Loss, Losses, Severity};
pub use error::{Error, ErrorKind, Location, Result};
pub use format::{
    BuiltIn, Canonical, Feature, Format, FormatInfo, FormatReader, Header, Signature, Tier, single, whole,
};
pub use limits::{Budget, Limits};
pub use operation::{Arrival, BuiltInOperations, Operations};
pub use options::{OptionSpec, OptionType, OptionUse, OptionValue, Options};
pub use output::{Closed, Finished, ObjectFile, Output, Sink};
pub use packing::{BuiltInPacking, Packing};
pub use probe::{Candidate, Confidence, Detection, Failure, Probe};
pub use record::{Facts, Kind, Media, MediaRecord};
pub use registry::{Origin, ReadOptions, Reading, Registry, WriteOptions};
pub use source::{
    FolderSiblings, MemorySiblings, NoSiblings, PROBE_BYTES, ReadAt, SiblingUse, Siblings, Source, SourceBytes,
    SourceReader, hex,
};

/// For the macros of this crate.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
}
