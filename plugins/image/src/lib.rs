//! Images: formats whose records are pixels, still or moving.

#![forbid(unsafe_code)]

pub mod annotations;
mod decode;
mod encode;
mod exif;
mod gif;
mod jpeg;
mod png;
#[cfg(test)]
mod testing;
