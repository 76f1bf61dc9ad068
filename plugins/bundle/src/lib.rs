//! mediary for embedders: every built-in format behind one registry, and [pictures](preview) of what they read.

// A crate that is never named is not linked, and registers nothing: name them all. The suite compares the ids.
use mediary_audio as _;
use mediary_data as _;
use mediary_geometry as _;
use mediary_image as _;
use mediary_molecule as _;
use mediary_packing as _;
use mediary_video as _;

pub use mediary_core::*;
pub use mediary_preview as preview;
