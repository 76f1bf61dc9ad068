//! Undoes the compression of strips and tiles.

use std::io::{Cursor, Read};

use flate2::{Decompress, FlushDecompress, Status};
use image_webp::WebPDecoder;
use mediary_core::{Context, Error, Location, Result};
use weezl::{BitOrder, LzwStatus};

use super::directory::{Directory, Tiff};
use super::fax::{self, Coding};
use super::jpeg::Jpeg;
use super::page::Page;
use super::tags;
use crate::decode;

/// Bytes that LZMA and Zstandard may look back: 128 MiB.
const WINDOW: u64 = 128 << 20;

/// A compression, with what a page says of it.
pub(super) enum Codec {
    None,
    PackBits,
    Lzw,
    Deflate,
    Fax(Coding),
    Jpeg(Jpeg),
    Lzma,
    Zstd,
    WebP { samples: usize },
    Thunder,
}

/// Bytes that came of a strip or tile, and why there are no more.
pub(super) struct Unpacked {
    pub(super) bytes: usize,
    pub(super) problem: Option<String>,
}

impl Unpacked {
    pub(super) fn whole(bytes: usize) -> Self {
        Self { bytes, problem: None }
    }

    pub(super) fn until(bytes: usize, problem: impl Into<String>) -> Self {
        Self { bytes, problem: Some(problem.into()) }
    }
}

impl Codec {
    pub(super) fn of(tiff: &Tiff, directory: &Directory, page: &Page, cx: &Context) -> Result<Self> {
        let codec = match page.compression {
            1 => Self::None,
            2 => Self::Fax(Coding::Plain { words: false }),
            3 => {
                const TWO_DIMENSIONS: u64 = 1;
                const UNCOMPRESSED: u64 = 2;
                let options = tiff.first_number(directory, tags::T4_OPTIONS, cx)?.unwrap_or(0);
                if options & UNCOMPRESSED != 0 {
                    let text = "rows of facsimile that are not compressed may occur, which are not read";
                    cx.tolerate("fax-options", text, Location::byte(directory.at))?;
                }
                Self::Fax(Coding::Group3 { two: options & TWO_DIMENSIONS != 0 })
            }
            4 => Self::Fax(Coding::Group4),
            5 => Self::Lzw,
            6 | 7 => Self::Jpeg(Jpeg::of(tiff, directory, page, cx)?),
            8 | 32946 | 50013 => Self::Deflate,
            32771 => Self::Fax(Coding::Plain { words: true }),
            32773 => Self::PackBits,
            32809 => Self::Thunder,
            34925 => Self::Lzma,
            // 34926 is what some wrote before the number was given.
            50000 | 34926 => Self::Zstd,
            50001 | 34927 => Self::WebP { samples: page.samples },
            other => {
                let name = match other {
                    32766 => "NeXT",
                    32895 => "IT8 CT",
                    33003 | 33005 | 34712 => "JPEG 2000",
                    34661 => "JBIG",
                    34676 | 34677 => "SGILog",
                    34887 => "LERC",
                    34892 => "lossy JPEG of DNG",
                    50002 | 52546 => "JPEG XL",
                    _ => {
                        return Err(
                            Error::unsupported(format!("the compression {other} is not read")).at_byte(directory.at)
                        );
                    }
                };
                return Err(Error::unsupported(format!("the compression {name} ({other}) is not read"))
                    .at_byte(directory.at)
                    .with_hint("`tiffcp -c zip` of libtiff writes it anew"));
            }
        };
        let fits = match codec {
            Self::Fax(_) => page.bits == 1 && (page.samples == 1 || page.planar),
            Self::Thunder => page.bits == 4 && page.samples == 1,
            Self::Jpeg(_) => page.bits == 8,
            Self::WebP { samples } => page.bits == 8 && !page.planar && matches!(samples, 3 | 4),
            _ => true,
        };
        if !fits {
            let text = format!(
                "{} samples of {} bits are not read under compression {}",
                page.samples, page.bits, page.compression
            );
            return Err(Error::unsupported(text).at_byte(directory.at));
        }
        Ok(codec)
    }

    /// Whether the bits of a byte stand the other way round where the fill order says so.
    pub(super) fn is_of_bits(&self) -> bool {
        !matches!(self, Self::Jpeg(_))
    }

    /// Unpacks rows of `width` pixels into `out`, which is zeroed and as long as they should be.
    pub(super) fn unpack(&self, packed: &[u8], width: u32, out: &mut [u8], cx: &Context) -> Result<Unpacked> {
        Ok(match self {
            Self::None => {
                let length = packed.len().min(out.len());
                out[..length].copy_from_slice(&packed[..length]);
                Unpacked::whole(length)
            }
            Self::PackBits => packbits(packed, out),
            Self::Lzw => lzw(packed, out),
            Self::Deflate => deflate(packed, out),
            Self::Fax(coding) => fax::decode(packed, *coding, width as usize, out),
            Self::Jpeg(jpeg) => jpeg.unpack(packed, width, out, cx)?,
            Self::Lzma => {
                let reader = lzma_rust2::XzReader::new_mem_limit(packed, false, (WINDOW >> 10) as u32);
                drain(reader, out)
            }
            Self::Zstd => zstd(packed, out),
            Self::WebP { samples } => webp(packed, width as usize, *samples, out, cx)?,
            Self::Thunder => thunder(packed, width as usize, out),
        })
    }
}

/// TIFF 6.0, section 9.
fn packbits(packed: &[u8], out: &mut [u8]) -> Unpacked {
    let (mut at, mut filled) = (0, 0);
    while filled < out.len() {
        let Some(&head) = packed.get(at) else { return Unpacked::whole(filled) };
        at += 1;
        match head as i8 {
            -128 => {}
            literal @ 0.. => {
                let count = (literal as usize + 1).min(out.len() - filled).min(packed.len() - at);
                out[filled..filled + count].copy_from_slice(&packed[at..at + count]);
                filled += count;
                at += literal as usize + 1;
                if at > packed.len() {
                    return Unpacked::whole(filled);
                }
            }
            repeat => {
                let Some(&byte) = packed.get(at) else { return Unpacked::whole(filled) };
                let count = (1 - isize::from(repeat)) as usize;
                let count = count.min(out.len() - filled);
                out[filled..filled + count].fill(byte);
                filled += count;
                at += 1;
            }
        }
    }
    Unpacked::whole(filled)
}

/// TIFF 6.0, section 13; before it, codes stood the other way round and grew one later.
fn lzw(packed: &[u8], out: &mut [u8]) -> Unpacked {
    let old = packed.len() > 1 && packed[0] == 0 && packed[1] & 1 == 1;
    let mut decoder = if old {
        weezl::decode::Decoder::new(BitOrder::Lsb, 8)
    } else {
        weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let (mut at, mut filled) = (0, 0);
    while filled < out.len() {
        let step = decoder.decode_bytes(&packed[at..], &mut out[filled..]);
        at += step.consumed_in;
        filled += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(_) => return Unpacked::until(filled, "a code of LZW refers to none before it"),
        }
    }
    Unpacked::whole(filled)
}

fn deflate(packed: &[u8], out: &mut [u8]) -> Unpacked {
    let mut decoder = Decompress::new(true);
    loop {
        let (at, filled) = (decoder.total_in() as usize, decoder.total_out() as usize);
        match decoder.decompress(&packed[at..], &mut out[filled..], FlushDecompress::None) {
            Ok(Status::Ok) if (decoder.total_in() as usize, decoder.total_out() as usize) != (at, filled) => {
                if decoder.total_out() as usize == out.len() {
                    // The checksum is behind the last block.
                    let end =
                        decoder.decompress(&packed[decoder.total_in() as usize..], &mut [0], FlushDecompress::None);
                    let problem = end.err().map(|error| format!("the zlib stream is broken at its end: {error}"));
                    return Unpacked { bytes: out.len(), problem };
                }
            }
            Ok(_) => return Unpacked::whole(decoder.total_out() as usize),
            Err(error) => {
                return Unpacked::until(decoder.total_out() as usize, format!("the zlib stream is broken: {error}"));
            }
        }
    }
}

/// Reads until `out` is full.
fn drain(mut reader: impl Read, out: &mut [u8]) -> Unpacked {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Unpacked::until(filled, format!("the stream is broken: {error}")),
        }
    }
    Unpacked::whole(filled)
}

fn zstd(packed: &[u8], out: &mut [u8]) -> Unpacked {
    match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, WINDOW) {
        Ok(reader) => drain(reader, out),
        Err(error) => Unpacked::until(0, format!("the Zstandard frame is broken: {error}")),
    }
}

/// A picture of WebP of its own.
fn webp(packed: &[u8], width: usize, samples: usize, out: &mut [u8], cx: &Context) -> Result<Unpacked> {
    let broken = |error| Unpacked::until(0, format!("the WebP picture is broken: {error}"));
    let mut decoder = match WebPDecoder::new(Cursor::new(packed)) {
        Ok(decoder) => decoder,
        Err(error) => return Ok(broken(error)),
    };
    let ((across, down), stored) = (decoder.dimensions(), if decoder.has_alpha() { 4 } else { 3 });
    let (across, down) = (across as usize, down as usize);
    let rows = out.len() / (width * samples);
    if (across, down) != (width, rows) {
        let text = format!("expected a WebP picture of {width} x {rows} pixels, found {across} x {down}");
        return Ok(Unpacked::until(0, text));
    }
    let size = (across * down * stored) as u64;
    let mut pixels = decode::buffer::<u8>(cx, size)?;
    if let Err(error) = decoder.read_image(&mut pixels) {
        return Ok(broken(error));
    }
    let row = width * samples;
    for (to, from) in out.chunks_exact_mut(row).zip(pixels.chunks_exact(across * stored)) {
        for (to, from) in to.chunks_exact_mut(samples).zip(from.chunks_exact(stored)) {
            to.iter_mut().enumerate().for_each(|(index, sample)| *sample = from.get(index).copied().unwrap_or(255));
        }
    }
    cx.budget().give_back(size);
    Ok(Unpacked::whole(out.len()))
}

/// ThunderScan: 4-bit pixels as runs, differences of two and three bits, and values (as libtiff reads it).
fn thunder(packed: &[u8], width: usize, out: &mut [u8]) -> Unpacked {
    const TWO: [i32; 4] = [0, 1, 0, -1];
    const THREE: [i32; 8] = [0, 1, 2, 3, 0, -3, -2, -1];
    const SKIP_TWO: usize = 2;
    const SKIP_THREE: usize = 4;
    let row_bytes = width.div_ceil(2);
    let mut codes = packed.iter().copied();
    for (number, row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let (mut at, mut last) = (0, 0_u8);
        let mut put = |at: &mut usize, value: u8| {
            if *at < width {
                row[*at / 2] |= if at.is_multiple_of(2) { value << 4 } else { value };
                *at += 1;
            }
        };
        while at < width {
            let Some(code) = codes.next() else { return Unpacked::whole(number * row_bytes) };
            let mut step = |by: i32| {
                last = (i32::from(last) + by) as u8 & 15;
                put(&mut at, last);
            };
            match code >> 6 {
                0 => (0..code & 63).for_each(|_| step(0)),
                1 => {
                    let parts = [code >> 4 & 3, code >> 2 & 3, code & 3].map(usize::from);
                    parts.into_iter().filter(|&part| part != SKIP_TWO).for_each(|part| step(TWO[part]));
                }
                2 => {
                    let parts = [code >> 3 & 7, code & 7].map(usize::from);
                    parts.into_iter().filter(|&part| part != SKIP_THREE).for_each(|part| step(THREE[part]));
                }
                _ => {
                    last = code & 15;
                    put(&mut at, last);
                }
            }
        }
    }
    Unpacked::whole(out.len())
}
