//! Formats as dynamically loaded crates: the binary interface and what a plugin's author uses.

pub mod abi;
mod declaration;
pub mod export;
pub mod failure;
mod host;
mod manifest;
pub mod raw;
#[cfg(test)]
mod tests;

pub use declaration::Declaration;
pub use manifest::{Manifest, Need};
