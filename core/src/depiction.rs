//! [`Depiction`]: the way from any media to a picture, for writers that take images. Core draws nothing itself.

use crate::context::Context;
use crate::error::Result;
use crate::record::{Image, Media};
use crate::registry::Registry;

/// Draws media. Streams are read to their end; the registry decodes what lies inside, such as textures; findings go to the
/// context. A kind that cannot be drawn is `Unsupported`.
pub type Draw = fn(&mut Media, &Registry, &Context) -> Result<Image>;

/// A built-in depiction, as `inventory` collects it: a program links one at most. Use
/// [`register_depiction!`](crate::register_depiction).
pub struct Depiction(#[doc(hidden)] pub Draw);

inventory::collect!(Depiction);

/// Registers a [`Draw`] function as the depiction of [`Registry::builtin`](crate::Registry::builtin).
#[macro_export]
macro_rules! register_depiction {
    ($draw:expr) => {
        $crate::__private::inventory::submit! { $crate::Depiction($draw) }
    };
}
