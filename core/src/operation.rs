//! Operations on media, whatever format it is from or goes to: `-o scene.scale=2`. One list a kind, kept by the crate of its
//! formats and applied between reading and writing; no reader or writer implements them again.

use std::fmt;

use crate::context::Context;
use crate::error::Result;
use crate::options::{OptionSpec, Options};
use crate::record::{Kind, Media};

/// The operations on media of one kind.
#[derive(Clone, Copy)]
pub struct Operations {
    /// The kind: its word is what options begin with.
    pub kind: Kind,
    /// One option an operation, for writing; its default leaves the media as it is.
    pub options: &'static [OptionSpec],
    /// Applies those that are asked for, in the order of the list. The media has the kind. What it cannot do for this media is an
    /// error, what it drops a loss.
    pub apply: fn(media: &mut Media, options: &Options, cx: &Context) -> Result<()>,
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
