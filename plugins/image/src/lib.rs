//! Images: formats whose records are pixels, still or moving.

#![forbid(unsafe_code)]

mod annotations;
mod avif;
mod bmp;
#[cfg(any(feature = "avif", feature = "jxl"))]
#[cfg_attr(not(feature = "avif"), expect(dead_code, reason = "AVIF reads more of boxes than JPEG XL"))]
mod boxes;
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
mod jxl;
mod operations;
mod png;
mod pnm;
mod qoi;
mod raster;
mod svg;
#[cfg(test)]
mod testing;
mod tga;
mod tiff;
mod webp;
