//! The numbers behind a header, by byte offset.

use std::sync::Arc;

use mediary_core::{Context, Error, Result, Source, SourceBytes};

use super::header::{Field, NpyHeader, Scalar};

/// An array whose payload is there. Cheap to clone.
#[derive(Clone)]
pub(super) struct Array {
    pub(super) header: Arc<NpyHeader>,
    bytes: Arc<SourceBytes>,
}

/// Byte steps from one element to the next, by axis.
pub(super) fn strides(header: &NpyHeader) -> Vec<usize> {
    let mut strides = vec![0; header.shape.len()];
    let mut step = header.item;
    let axes: Box<dyn Iterator<Item = usize>> =
        if header.fortran { Box::new(0..strides.len()) } else { Box::new((0..strides.len()).rev()) };
    for axis in axes {
        strides[axis] = step;
        // An empty array has no element to step to; a full one was found to fit.
        step = step.saturating_mul(usize::try_from(header.shape[axis]).unwrap_or(usize::MAX));
    }
    strides
}

/// Refuses an input that is shorter than its shape, and reports one that is longer.
pub(super) fn check_length(source: &Source, header: &NpyHeader, cx: &Context) -> Result<()> {
    let needed = header
        .elements()?
        .checked_mul(header.item as u64)
        .ok_or_else(|| Error::malformed(format!("the shape {:?} needs more bytes than 64 bits count", header.shape)))?;
    let left = source.len() - header.start;
    if left < needed {
        return Err(Error::truncated("the array", needed, left).at_byte(header.start));
    }
    cx.limits().check("elements", header.elements()?)?;
    Ok(())
}

impl Array {
    pub(super) fn new(source: &Source, header: &Arc<NpyHeader>, cx: &Context) -> Result<Self> {
        let bytes = source.bytes(cx)?;
        // The length was checked, the file may have been cut since.
        let end = header.start + header.elements()? * header.item as u64;
        if (bytes.len() as u64) < end {
            return Err(Error::truncated("the array", end, bytes.len() as u64));
        }
        Ok(Self { header: Arc::clone(header), bytes: Arc::new(bytes) })
    }

    /// Byte offset of element `index`, counted with the last axis fastest, from the first element.
    pub(super) fn offset(&self, index: usize) -> usize {
        if !self.header.fortran || self.header.shape.len() < 2 {
            return index * self.header.item;
        }
        let mut left = index;
        let mut offset = 0;
        for (axis, stride) in strides(&self.header).into_iter().enumerate().rev() {
            let length = usize::try_from(self.header.shape[axis]).unwrap_or(1).max(1);
            offset += left % length * stride;
            left /= length;
        }
        offset
    }

    fn raw<const N: usize>(&self, offset: usize, big_endian: bool) -> [u8; N] {
        let start = self.header.start as usize + offset;
        let mut raw = [0; N];
        raw.copy_from_slice(&self.bytes[start..start + N]);
        if big_endian {
            raw.reverse();
        }
        raw
    }

    /// A number as a float; 64-bit integers are rounded.
    pub(super) fn float(&self, offset: usize, scalar: Scalar, big: bool) -> f64 {
        match scalar {
            Scalar::Bool => f64::from(u8::from(self.raw::<1>(offset, big)[0] != 0)),
            Scalar::U8 => f64::from(self.raw::<1>(offset, big)[0]),
            Scalar::I8 => f64::from(i8::from_le_bytes(self.raw(offset, big))),
            Scalar::I16 => f64::from(i16::from_le_bytes(self.raw(offset, big))),
            Scalar::U16 => f64::from(u16::from_le_bytes(self.raw(offset, big))),
            Scalar::I32 => f64::from(i32::from_le_bytes(self.raw(offset, big))),
            Scalar::U32 => f64::from(u32::from_le_bytes(self.raw(offset, big))),
            Scalar::I64 => i64::from_le_bytes(self.raw(offset, big)) as f64,
            Scalar::U64 => u64::from_le_bytes(self.raw(offset, big)) as f64,
            Scalar::F16 => half(u16::from_le_bytes(self.raw(offset, big))),
            Scalar::F32 => f64::from(f32::from_le_bytes(self.raw(offset, big))),
            Scalar::F64 => f64::from_le_bytes(self.raw(offset, big)),
        }
    }

    /// A whole number exactly; floats are cut. 128 bits hold all of 64 with and without sign.
    pub(super) fn int(&self, offset: usize, scalar: Scalar, big: bool) -> i128 {
        match scalar {
            Scalar::I64 => i64::from_le_bytes(self.raw(offset, big)).into(),
            Scalar::U64 => u64::from_le_bytes(self.raw(offset, big)).into(),
            _ => self.float(offset, scalar, big) as i128,
        }
    }

    /// Number `part` of a field of the element at `offset`, as a float.
    pub(super) fn of_field(&self, offset: usize, field: &Field, part: usize) -> f64 {
        self.float(offset + field.offset + part * field.scalar.bytes(), field.scalar, field.big_endian)
    }
}

/// A half-precision float: 1 sign bit, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3FF);
    let magnitude = match (bits >> 10) & 0x1F {
        0 => fraction * 2_f64.powi(-24),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2_f64.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    /// Expected values from `numpy.uint16(bits).view("f2")`.
    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x7C00, f64::INFINITY),
            (0xFC00, f64::NEG_INFINITY),
        ] {
            assert_eq!(super::half(bits), value, "{bits:#x}");
        }
        assert!(super::half(0x7E00).is_nan());
    }
}
