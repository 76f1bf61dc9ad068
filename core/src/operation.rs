//! Operations on media, whatever format it is from or goes to: `-o scene.scale=2`. One list a kind, kept by the crate of its
//! formats and applied as a record is read, or between reading and writing; no reader or writer implements them again.

use std::fmt;

use crate::context::Context;
use crate::error::Result;
use crate::options::{OptionSpec, Options};
use crate::record::{Facts, Kind, MediaRecord};
use crate::source::Source;

/// The operations on media of one kind.
#[derive(Clone, Copy)]
pub struct Operations {
    /// The kind: its word is what options begin with.
    pub kind: Kind,
    /// One option an operation. The default of one for writing leaves the media as it is.
    pub options: &'static [OptionSpec],
    /// What every record of the kind goes through as it is read.
    pub arrival: Option<Arrival>,
    /// Applies those for writing that are asked for, in the order of the list. The record has the kind. What cannot be done for
    /// this record is an error, what is dropped a loss.
    pub apply: fn(record: &mut MediaRecord, options: &Options, cx: &Context) -> Result<()>,
}

/// What records of a kind go through as they are read, whatever their format: the options for reading tell how.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Completes a record. The source is the one that was read: what lies beside it can be opened.
    pub record: fn(record: &mut MediaRecord, source: &Source, options: &Options, cx: &Context) -> Result<()>,
    /// Brings the facts of a header to what those of the record will be.
    pub facts: fn(facts: &mut Facts, options: &Options),
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.options.iter().map(|option| option.name);
        f.debug_struct("Operations").field("kind", &self.kind).field("options", &names.collect::<Vec<_>>()).finish()
    }
}

/// Operations that are linked into the program.
#[doc(hidden)]
#[derive(Debug)]
pub struct BuiltInOperations(pub &'static Operations);

inventory::collect!(BuiltInOperations);

/// Registers the operations of a kind that are compiled in.
#[macro_export]
macro_rules! register_operations {
    ($operations:expr) => {
        $crate::__private::inventory::submit! { $crate::BuiltInOperations(&$operations) }
    };
}
