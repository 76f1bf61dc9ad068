//! Blocks of 4 x 4 pixels of BC1 to BC5, with the rounding of Pillow (down). BC6H and BC7, whose results are exact, are
//! decoded by `bcdec_rs`.

/// A tile of RGBA.
type Tile = [[u8; 4]; 16];

/// A colour of 5, 6 and 5 bits, whose upper bits fill the lower ones.
fn color(low: u8, high: u8) -> [u16; 3] {
    let word = u16::from_le_bytes([low, high]);
    let (r, g, b) = (word >> 11, word >> 5 & 0x3F, word & 0x1F);
    [r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2]
}

/// Colours of a block of 8 bytes. Where the first of both is not the larger, the fourth is clear; BC2 and BC3 do not have
/// that.
fn colors(block: &[u8], always_four: bool, tile: &mut Tile) {
    let (first, second) = (color(block[0], block[1]), color(block[2], block[3]));
    let mix = |a: u16, b: u16| {
        let mut mixed = [0, 0, 0, 255];
        for (to, (p, q)) in mixed.iter_mut().zip(first.into_iter().zip(second)) {
            *to = ((a * p + b * q) / (a + b)) as u8;
        }
        mixed
    };
    let is_larger = u16::from_le_bytes([block[0], block[1]]) > u16::from_le_bytes([block[2], block[3]]);
    let table = if always_four || is_larger {
        [mix(1, 0), mix(0, 1), mix(2, 1), mix(1, 2)]
    } else {
        [mix(1, 0), mix(0, 1), mix(1, 1), [0; 4]]
    };
    for (index, pixel) in tile.iter_mut().enumerate() {
        *pixel = table[usize::from(block[4 + index / 4] >> (2 * (index % 4)) & 3)];
    }
}

pub(super) fn bc1(block: &[u8], tile: &mut Tile) {
    colors(block, false, tile);
}

/// Four bits of alpha a pixel, then colours.
pub(super) fn bc2(block: &[u8], tile: &mut Tile) {
    colors(&block[8..], true, tile);
    for (index, pixel) in tile.iter_mut().enumerate() {
        pixel[3] = 17 * (block[index / 2] >> (4 * (index % 2)) & 15);
    }
}

/// Alpha as BC4 has its only channel, then colours.
pub(super) fn bc3(block: &[u8], tile: &mut Tile) {
    colors(&block[8..], true, tile);
    bc4(block, false, 3, tile);
}

/// A channel: two numbers, and an index of three bits a pixel into what lies between them.
pub(super) fn bc4<const N: usize>(block: &[u8], signed: bool, channel: usize, tile: &mut [[u8; N]; 16]) {
    let flip = if signed { 0x80 } else { 0 };
    let (first, second) = (u16::from(block[0] ^ flip), u16::from(block[1] ^ flip));
    let mut table = [first as u8, second as u8, 0, 0, 0, 0, 0, 255];
    let steps = if first > second { 7 } else { 5 };
    for (step, to) in (1..steps).zip(&mut table[2..]) {
        *to = (((steps - step) * first + step * second) / steps) as u8;
    }
    let indices = block[2..8].iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    for (index, pixel) in tile.iter_mut().enumerate() {
        pixel[channel] = table[(indices >> (3 * index) & 7) as usize];
    }
}
