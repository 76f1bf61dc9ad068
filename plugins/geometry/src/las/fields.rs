//! The fields of the point formats.

use mediary_core::record::ScalarType;

/// A field of a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) scalar: ScalarType,
    pub(super) components: usize,
    pub(super) at: usize,
    /// Bits of a byte: how far to shift, and which are left. `None` for whole numbers.
    pub(super) bits: Option<(u8, u8)>,
}

const fn whole(name: &'static str, scalar: ScalarType, components: usize, at: usize) -> Field {
    Field { name, scalar, components, at, bits: None }
}

const fn bits(name: &'static str, at: usize, shift: u8, mask: u8) -> Field {
    Field { name, scalar: ScalarType::U8, components: 1, at, bits: Some((shift, mask)) }
}

/// Formats 0 to 5.
const OLD: &[Field] = &[
    whole("intensity", ScalarType::U16, 1, 12),
    bits("return_number", 14, 0, 7),
    bits("number_of_returns", 14, 3, 7),
    bits("scan_direction", 14, 6, 1),
    bits("edge_of_flight_line", 14, 7, 1),
    bits("category", 15, 0, 31),
    bits("classification_flags", 15, 5, 7),
    whole("scan_angle_rank", ScalarType::I8, 1, 16),
    whole("user_data", ScalarType::U8, 1, 17),
    whole("point_source_id", ScalarType::U16, 1, 18),
];

/// Formats 6 to 10.
const NEW: &[Field] = &[
    whole("intensity", ScalarType::U16, 1, 12),
    bits("return_number", 14, 0, 15),
    bits("number_of_returns", 14, 4, 15),
    bits("classification_flags", 15, 0, 15),
    bits("scanner_channel", 15, 4, 3),
    bits("scan_direction", 15, 6, 1),
    bits("edge_of_flight_line", 15, 7, 1),
    whole("category", ScalarType::U8, 1, 16),
    whole("user_data", ScalarType::U8, 1, 17),
    whole("scan_angle", ScalarType::I16, 1, 18),
    whole("point_source_id", ScalarType::U16, 1, 20),
    whole("time", ScalarType::F64, 1, 22),
];

/// Bytes of a point of each format.
const LENGTHS: [u16; 11] = [20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67];

pub(super) fn length(format: u8) -> Option<u16> {
    LENGTHS.get(usize::from(format)).copied()
}

/// The fields of a format behind the coordinates. 64-bit numbers other than doubles are marked by [`ScalarType::F64`] under the name
/// `wave_offset`.
pub(super) fn of(format: u8) -> Vec<Field> {
    let mut fields = if format < 6 { OLD } else { NEW }.to_vec();
    let color = |at| whole("color", ScalarType::U16, 3, at);
    let wave = |at: usize| {
        [
            whole("wave_descriptor", ScalarType::U8, 1, at),
            whole("wave_offset", ScalarType::F64, 1, at + 1),
            whole("wave_size", ScalarType::U32, 1, at + 9),
            whole("wave_return", ScalarType::F32, 1, at + 13),
            whole("wave_vector", ScalarType::F32, 3, at + 17),
        ]
    };
    if matches!(format, 1 | 3 | 4 | 5) {
        fields.push(whole("time", ScalarType::F64, 1, 20));
    }
    match format {
        2 => fields.push(color(20)),
        3 => fields.push(color(28)),
        4 => fields.extend(wave(28)),
        5 => {
            fields.push(color(28));
            fields.extend(wave(34));
        }
        7 => fields.push(color(30)),
        8 | 10 => fields.extend([color(30), whole("nir", ScalarType::U16, 1, 36)]),
        9 => fields.extend(wave(30)),
        _ => {}
    }
    if format == 10 {
        fields.extend(wave(38));
    }
    fields
}
