//! Audio: one module a format.
#![forbid(unsafe_code)]

mod flac;
mod layout;
mod tags;
mod wav;
