//! Images: formats whose records are pixels, still or moving.

#![forbid(unsafe_code)]

mod decode;
mod encode;
mod exif;
mod exr;
mod gif;
mod hdr;
mod jpeg;
mod operations;
mod png;
#[cfg(test)]
mod testing;
mod tiff;
