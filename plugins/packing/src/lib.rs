//! Compressions around whole inputs: gzip, Zstandard, xz, bzip2.
//!
//! Each unpacks as it is read, checks the checksums that the packing has, and takes members one after the other for one input, as
//! `cat` makes them. Memory is bounded by the window of a stream, 128 MiB at most.
#![forbid(unsafe_code)]

mod bzip2;
mod zstd;

use std::io::Read;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use mediary_core::{Packing, Signature};

/// Bytes that a packing may look back, at most: 128 MiB, as the program `zstd` has it. `xz -9` uses 64.
const WINDOW: u64 = 128 << 20;

/// gzip, RFC 1952: one member or several, one after the other, as `bgzip` and `cat` make them.
const GZIP: Packing =
    Packing { name: "gzip", extensions: &["gz", "gzip"], signatures: &[starts(&[0x1F, 0x8B, 8])], unpack: gunzip };
/// Zstandard, RFC 8878.
const ZSTD: Packing = Packing {
    name: "zstd",
    extensions: &["zst", "zstd"],
    signatures: &[starts(&[0x28, 0xB5, 0x2F, 0xFD])],
    unpack: unzstd,
};
/// xz, <https://tukaani.org/xz/xz-file-format.txt>.
const XZ: Packing = Packing { name: "xz", extensions: &["xz"], signatures: &[starts(b"\xFD7zXZ\0")], unpack: unxz };
/// bzip2, <https://sourceware.org/bzip2/>: `BZh` alone may be the beginning of a text. A digit follows, and what begins a block, or
/// the end of what is empty.
const BZIP2: Packing = Packing {
    name: "bzip2",
    extensions: &["bz2", "bzip2"],
    signatures: &[bzip(b"BZh_1AY&SY"), bzip(b"BZh_\x17rE8P\x90")],
    unpack: bunzip2,
};

const fn starts(bytes: &'static [u8]) -> Signature {
    Signature { offset: 0, bytes, mask: &[] }
}

const fn bzip(bytes: &'static [u8; 10]) -> Signature {
    Signature { offset: 0, bytes, mask: &[1, 1, 1, 0, 1, 1, 1, 1, 1, 1] }
}

mediary_core::register_packing!(&GZIP);
mediary_core::register_packing!(&ZSTD);
mediary_core::register_packing!(&XZ);
mediary_core::register_packing!(&BZIP2);

fn gunzip<'r>(packed: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
    Box::new(MultiGzDecoder::new(packed))
}

fn unzstd<'r>(packed: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
    Box::new(zstd::Decoder::new(packed))
}

fn unxz<'r>(packed: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
    Box::new(XzReader::new_mem_limit(packed, true, (WINDOW >> 10) as u32))
}

fn bunzip2<'r>(packed: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
    Box::new(bzip2::Decoder::new(packed))
}

#[cfg(test)]
mod tests;
