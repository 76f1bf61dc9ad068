//! Undoes the compression of blocks.

use flate2::{Decompress, FlushDecompress, Status};
use mediary_core::{Error, Result};

use super::header::{Channel, Packing, Type};
use super::piz;

/// A block: some lines of some columns, and the channels in it.
pub(super) struct Block<'a> {
    pub(super) channels: &'a [Channel],
    /// First pixel, and pixels across and down.
    pub(super) at: (i32, i32),
    pub(super) size: (u32, u32),
}

impl Block<'_> {
    /// Samples of a channel in a line of the block.
    pub(super) fn across(&self, channel: &Channel) -> usize {
        samples(self.at.0, self.size.0, channel.sampling.0)
    }

    /// Lines in which a channel has samples.
    pub(super) fn down(&self, channel: &Channel) -> usize {
        samples(self.at.1, self.size.1, channel.sampling.1)
    }

    /// Lines of the block, each with the channels that have samples in it.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..self.size.1).flat_map(|line| {
            let y = i64::from(self.at.1) + i64::from(line);
            let has = move |channel: &Channel| y.rem_euclid(channel.sampling.1.into()) == 0;
            self.channels
                .iter()
                .enumerate()
                .filter(move |(_, channel)| has(channel))
                .map(move |(index, _)| (line, index))
        })
    }

    /// Bytes of the samples.
    pub(super) fn bytes(&self) -> u64 {
        let of = |channel: &Channel| {
            (self.across(channel) as u64) * (self.down(channel) as u64) * channel.kind.bytes() as u64
        };
        self.channels.iter().map(of).sum()
    }
}

/// How many of `count` places from `first` on are multiples of `step`.
fn samples(first: i32, count: u32, step: u32) -> usize {
    let (first, step) = (i64::from(first), i64::from(step));
    let end = first + i64::from(count);
    (end.div_euclid(step) + i64::from(end.rem_euclid(step) > 0)
        - first.div_euclid(step)
        - i64::from(first.rem_euclid(step) > 0)) as usize
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("the block is broken: {what}"))
}

/// The samples of a block, line by line, and in a line channel by channel, little-endian. `out` has their length.
pub(super) fn unpack(packing: Packing, packed: &[u8], block: &Block<'_>, out: &mut [u8]) -> Result<()> {
    // What would not have become smaller is left as it is.
    if packed.len() == out.len() {
        out.copy_from_slice(packed);
        return Ok(());
    }
    match packing {
        Packing::None => Err(Error::truncated("the block", out.len() as u64, packed.len() as u64)),
        Packing::Rle => {
            let parted = rle(packed, out.len())?;
            join(parted, out);
            Ok(())
        }
        Packing::Zip { .. } => {
            let mut parted = vec![0; out.len()];
            inflate(packed, &mut parted)?;
            join(parted, out);
            Ok(())
        }
        Packing::Pxr24 => pxr24(packed, block, out),
        Packing::Piz => piz::unpack(packed, block, out),
        Packing::B44 => b44(packed, block, out),
    }
}

/// Fills `out` from a zlib stream.
fn inflate(packed: &[u8], out: &mut [u8]) -> Result<()> {
    let mut decoder = Decompress::new(true);
    match decoder.decompress(packed, out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) if decoder.total_out() == out.len() as u64 => Ok(()),
        Ok(_) => Err(Error::truncated("the zlib stream of a block", out.len() as u64, decoder.total_out())),
        Err(error) => Err(broken(&format!("{error}"))),
    }
}

fn rle(packed: &[u8], length: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let mut rest = packed;
    while let Some((&head, tail)) = rest.split_first() {
        let count = usize::from((head as i8).unsigned_abs());
        let (bytes, used) = if (head as i8) < 0 { (count, count) } else { (count + 1, 1) };
        let Some(data) = tail.get(..used) else { return Err(broken("a run has no bytes")) };
        if out.len() + bytes > length {
            return Err(broken("runs are longer than its pixels"));
        }
        if (head as i8) < 0 {
            out.extend_from_slice(data)
        } else {
            out.resize(out.len() + bytes, data[0])
        }
        rest = &tail[used..];
    }
    if out.len() < length {
        Err(Error::truncated("the runs of a block", length as u64, out.len() as u64))
    } else {
        Ok(out)
    }
}

/// Undoes differences, and puts the two halves together again: even bytes are in the first.
fn join(mut parted: Vec<u8>, out: &mut [u8]) {
    for index in 1..parted.len() {
        parted[index] = parted[index - 1].wrapping_add(parted[index]).wrapping_sub(128);
    }
    let (even, odd) = parted.split_at(parted.len().div_ceil(2));
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = if index % 2 == 0 { even[index / 2] } else { odd[index / 2] };
    }
}

/// Differences along a line, parted by significance; floats have lost their lowest byte.
fn pxr24(packed: &[u8], block: &Block<'_>, out: &mut [u8]) -> Result<()> {
    let stored = |kind: Type| match kind {
        Type::Uint => 4,
        Type::Half => 2,
        Type::Float => 3,
    };
    let of = |channel: &Channel| block.across(channel) * block.down(channel) * stored(channel.kind);
    let mut parted = vec![0; block.channels.iter().map(of).sum()];
    inflate(packed, &mut parted)?;
    let (mut rest, mut out) = (&parted[..], out);
    for (_, index) in block.lines() {
        let channel = &block.channels[index];
        let (count, bytes) = (block.across(channel), stored(channel.kind));
        let (planes, tail) = rest.split_at(count * bytes);
        rest = tail;
        let (line, after) = out.split_at_mut(count * channel.kind.bytes());
        out = after;
        let mut value = 0_u32;
        for (at, sample) in line.chunks_exact_mut(channel.kind.bytes()).enumerate() {
            let difference = (0..bytes).fold(0, |sum, plane| sum << 8 | u32::from(planes[plane * count + at]));
            let difference = if channel.kind == Type::Float { difference << 8 } else { difference };
            value = value.wrapping_add(difference);
            let length = sample.len();
            sample.copy_from_slice(&value.to_le_bytes()[..length]);
        }
    }
    Ok(())
}

/// Halves in squares of four by four, channel by channel; others as they are.
fn b44(packed: &[u8], block: &Block<'_>, out: &mut [u8]) -> Result<()> {
    let mut rest = packed;
    let mut take = |count: usize| {
        let (taken, tail) = rest.split_at_checked(count).ok_or_else(|| broken("it ends early"))?;
        rest = tail;
        Ok::<_, Error>(taken)
    };
    let mut planes = Vec::new();
    for channel in block.channels {
        let (across, down) = (block.across(channel), block.down(channel));
        if channel.kind != Type::Half {
            planes.push(take(across * down * channel.kind.bytes())?.to_vec());
            continue;
        }
        let mut plane = vec![0; across * down * 2];
        for top in (0..down).step_by(4) {
            for left in (0..across).step_by(4) {
                let head = take(3)?;
                let values = if head[2] >= 13 << 2 {
                    [u16::from_be_bytes([head[0], head[1]]); 16]
                } else {
                    let tail = take(11)?;
                    let mut bytes = [0; 14];
                    bytes[..3].copy_from_slice(head);
                    bytes[3..].copy_from_slice(tail);
                    square(&bytes)
                };
                for (index, value) in values.into_iter().enumerate() {
                    let (x, y) = (left + index % 4, top + index / 4);
                    if x < across && y < down {
                        let bits = if value & 0x8000 != 0 { value & 0x7FFF } else { !value };
                        let bits = if channel.linear { logarithmic(bits) } else { bits };
                        plane[(y * across + x) * 2..][..2].copy_from_slice(&bits.to_le_bytes());
                    }
                }
            }
        }
        planes.push(plane);
    }
    weave(block, planes, out);
    Ok(())
}

/// Lines of each channel's plane in the order of the block.
pub(super) fn weave(block: &Block<'_>, planes: Vec<Vec<u8>>, mut out: &mut [u8]) {
    let mut places = vec![0; planes.len()];
    for (_, index) in block.lines() {
        let channel = &block.channels[index];
        let length = block.across(channel) * channel.kind.bytes();
        let (line, after) = out.split_at_mut(length);
        line.copy_from_slice(&planes[index][places[index]..places[index] + length]);
        places[index] += length;
        out = after;
    }
}

/// Sixteen values, the first of 16 bits, of the others differences of 6 bits to that on the left, or above.
fn square(bytes: &[u8; 14]) -> [u16; 16] {
    let shift = bytes[2] >> 2;
    let bias = 0x20_u32 << shift;
    let bits = bytes[2..].iter().fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let mut values = [0; 16];
    values[0] = u16::from_be_bytes([bytes[0], bytes[1]]);
    // Behind the shift: the first column downwards, then column by column.
    let order = [
        (4, 0),
        (8, 4),
        (12, 8),
        (1, 0),
        (5, 4),
        (9, 8),
        (13, 12),
        (2, 1),
        (6, 5),
        (10, 9),
        (14, 13),
        (3, 2),
        (7, 6),
        (11, 10),
        (15, 14),
    ];
    for (number, (to, from)) in order.into_iter().enumerate() {
        let difference = (bits >> (84 - 6 * number) & 0x3F) as u32;
        values[to] = u32::from(values[from]).wrapping_add(difference << shift).wrapping_sub(bias) as u16;
    }
    values
}

/// Channels that are perceptually linear are stored as the exponential of an eighth of them.
fn logarithmic(bits: u16) -> u16 {
    let value = crate::decode::half(bits);
    if !value.is_finite() || value < 0.0 { 0 } else { crate::decode::to_half(8.0 * value.ln()) }
}
