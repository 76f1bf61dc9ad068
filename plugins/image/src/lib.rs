//! Images: formats whose records are pixels, still or moving.

#![forbid(unsafe_code)]

mod annotations;
mod bmp;
mod dds;
mod decode;
mod encode;
mod exif;
mod exr;
mod ff;
mod gif;
mod hdr;
mod ico;
mod jpeg;
mod operations;
mod png;
mod pnm;
mod qoi;
mod raster;
#[cfg(test)]
mod testing;
mod tga;
mod tiff;
mod webp;
