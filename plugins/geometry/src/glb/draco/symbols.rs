//! Arrays of unsigned numbers: each a symbol, or each group behind a symbol that says how many bits its numbers have.

use mediary_core::Result;

use super::memory::Memory;
use super::rans::Symbols;
use super::stream::Stream;

/// Fills `values`, groups of `width` numbers. The number's bits become those of an `i32`.
pub(super) fn decode(stream: &mut Stream<'_>, width: usize, values: &mut [i32], memory: &mut Memory<'_>) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let mut scratch = memory.inner();
    match stream.u8("the coding of symbols")? {
        0 => tagged(stream, width, values, &mut scratch),
        1 => raw(stream, values, &mut scratch),
        other => Err(stream.fail(format!("expected coding 0 or 1 of symbols, found {other}"))),
    }
}

fn tagged(stream: &mut Stream<'_>, width: usize, values: &mut [i32], memory: &mut Memory<'_>) -> Result<()> {
    let mut tags = Symbols::open(stream, 12, memory)?;
    let mut bits = stream.bits();
    for group in values.chunks_exact_mut(width) {
        memory.step()?;
        let size = tags.read();
        if size > 32 {
            return Err(stream.fail(format!("expected numbers of at most 32 bits, found {size}")));
        }
        for value in group {
            *value = bits.read(size)?.cast_signed();
        }
    }
    stream.end_bits(&bits);
    tags.finish()
}

fn raw(stream: &mut Stream<'_>, values: &mut [i32], memory: &mut Memory<'_>) -> Result<()> {
    let size = stream.u8("the size of an alphabet")?;
    if !(1..=18).contains(&size) {
        return Err(stream.fail(format!("expected an alphabet of 1 to 18 bits, found {size}")));
    }
    let mut symbols = Symbols::open(stream, (u32::from(size) * 3 / 2).clamp(12, 20), memory)?;
    for part in values.chunks_mut(1 << 14) {
        memory.checkpoint()?;
        for value in part {
            *value = symbols.read().cast_signed();
        }
    }
    symbols.finish()
}
