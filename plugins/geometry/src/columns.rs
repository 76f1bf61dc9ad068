//! Columns of numbers of any type: what the point formats of this crate share between rows in a file and attributes by name.

use mediary_core::record::{AttributeData, ScalarType};

/// Runs `$body` with `$values` bound to the vector of any variant, and `$T` to its number type.
macro_rules! typed {
    ($data:expr, $values:ident: $T:ident => $body:expr) => {
        match $data {
            AttributeData::I8($values) => {
                type $T = i8;
                $body
            }
            AttributeData::U8($values) => {
                type $T = u8;
                $body
            }
            AttributeData::I16($values) => {
                type $T = i16;
                $body
            }
            AttributeData::U16($values) => {
                type $T = u16;
                $body
            }
            AttributeData::I32($values) => {
                type $T = i32;
                $body
            }
            AttributeData::U32($values) => {
                type $T = u32;
                $body
            }
            AttributeData::F32($values) => {
                type $T = f32;
                $body
            }
            AttributeData::F64($values) => {
                type $T = f64;
                $body
            }
            _ => {}
        }
    };
}
pub(crate) use typed;

/// Bytes of a number.
pub(crate) fn size(scalar: ScalarType) -> usize {
    match scalar {
        ScalarType::I8 | ScalarType::U8 => 1,
        ScalarType::I16 | ScalarType::U16 => 2,
        ScalarType::I32 | ScalarType::U32 | ScalarType::F32 => 4,
        _ => 8,
    }
}

/// Adds the number at `offset` of each of `rows`, which are `stride` long.
pub(crate) fn gather(values: &mut AttributeData, rows: &[u8], stride: usize, offset: usize, big: bool) {
    typed!(values, values: T => {
        const SIZE: usize = size_of::<T>();
        values.to_mut().extend(rows.chunks_exact(stride).map(|row| {
            let mut bytes = [0; SIZE];
            bytes.copy_from_slice(&row[offset..offset + SIZE]);
            if big { T::from_be_bytes(bytes) } else { T::from_le_bytes(bytes) }
        }));
    });
}

/// Adds the `components` numbers at `offset` of each of `rows`, which are `stride` long, little-endian.
pub(crate) fn gather_tuples(values: &mut AttributeData, rows: &[u8], stride: usize, offset: usize, components: usize) {
    typed!(values, values: T => {
        const SIZE: usize = size_of::<T>();
        let values = values.to_mut();
        for row in rows.chunks_exact(stride) {
            let numbers = row[offset..offset + SIZE * components].as_chunks::<SIZE>().0;
            values.extend(numbers.iter().map(|&bytes| T::from_le_bytes(bytes)));
        }
    });
}

/// Puts the numbers of an attribute of `components` a point at `offset` of each of `rows`, which are `stride` long, little-endian.
pub(crate) fn scatter(values: &AttributeData, components: usize, rows: &mut [u8], stride: usize, offset: usize) {
    let bytes = components * size(values.scalar());
    typed!(values, values: T => {
        for (row, values) in rows.chunks_exact_mut(stride).zip(values.chunks_exact(components)) {
            let places = row[offset..offset + bytes].chunks_exact_mut(size_of::<T>());
            places.zip(values).for_each(|(place, value)| place.copy_from_slice(&value.to_le_bytes()));
        }
    });
}

/// Adds values of the same type.
pub(crate) fn append(all: &mut AttributeData, mut own: AttributeData) {
    match (all, &mut own) {
        (AttributeData::I8(all), AttributeData::I8(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::U8(all), AttributeData::U8(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::I16(all), AttributeData::I16(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::U16(all), AttributeData::U16(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::I32(all), AttributeData::I32(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::U32(all), AttributeData::U32(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::F32(all), AttributeData::F32(own)) => all.to_mut().append(own.to_mut()),
        (AttributeData::F64(all), AttributeData::F64(own)) => all.to_mut().append(own.to_mut()),
        (all, own) => (0..own.len()).for_each(|at| all.push(own.get(at))),
    }
}

/// Whether a number of this type can hold `value` as it is.
pub(crate) fn holds(scalar: ScalarType, value: f64) -> bool {
    let whole = |least: f64, most: f64| value.fract() == 0.0 && (least..=most).contains(&value);
    match scalar {
        ScalarType::I8 => whole(-128.0, 127.0),
        ScalarType::U8 => whole(0.0, 255.0),
        ScalarType::I16 => whole(-32_768.0, 32_767.0),
        ScalarType::U16 => whole(0.0, 65_535.0),
        ScalarType::I32 => whole(-2_147_483_648.0, 2_147_483_647.0),
        ScalarType::U32 => whole(0.0, 4_294_967_295.0),
        _ => true,
    }
}

/// Components side by side, point after point.
pub(crate) fn interleave(scalar: ScalarType, parts: &[&AttributeData], count: usize) -> AttributeData {
    if let [only] = parts {
        return (*only).clone();
    }
    let mut all = AttributeData::with_capacity(scalar, count * parts.len());
    match (&mut all, parts) {
        // By far the most frequent: 8-bit colours.
        (AttributeData::U8(all), [AttributeData::U8(r), AttributeData::U8(g), AttributeData::U8(b)]) => {
            let all = all.to_mut();
            r.iter().zip(g).zip(b).for_each(|((&r, &g), &b)| all.extend_from_slice(&[r, g, b]));
        }
        (all, parts) => (0..count).for_each(|at| parts.iter().for_each(|part| all.push(part.get(at)))),
    }
    all
}

/// Positions from three columns.
pub(crate) fn positions(x: &AttributeData, y: &AttributeData, z: &AttributeData) -> Vec<[f64; 3]> {
    let mut positions = Vec::new();
    add_triples(&mut positions, x, y, z);
    positions
}

/// Adds three columns side by side.
pub(crate) fn add_triples(triples: &mut Vec<[f64; 3]>, x: &AttributeData, y: &AttributeData, z: &AttributeData) {
    match (x, y, z) {
        (AttributeData::F64(x), AttributeData::F64(y), AttributeData::F64(z)) => {
            triples.extend(x.iter().zip(&**y).zip(&**z).map(|((&x, &y), &z)| [x, y, z]));
        }
        (AttributeData::F32(x), AttributeData::F32(y), AttributeData::F32(z)) => {
            triples.extend(x.iter().zip(&**y).zip(&**z).map(|((&x, &y), &z)| [x, y, z].map(f64::from)));
        }
        _ => {
            let count = x.len().min(y.len()).min(z.len());
            triples.extend((0..count).map(|at| [x.get(at), y.get(at), z.get(at)]));
        }
    }
}
