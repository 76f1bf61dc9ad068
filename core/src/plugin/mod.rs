//! Formats as dynamically loaded crates: the binary interface and what a plugin's author uses.

pub mod abi;
