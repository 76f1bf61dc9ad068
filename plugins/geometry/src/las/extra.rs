//! Extra bytes: attributes that a file describes itself.

use mediary_core::record::ScalarType;

use super::header::Bytes;

/// Bytes of a description.
const ENTRY: usize = 192;

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Store {
    Is(ScalarType),
    U64,
    I64,
}

#[derive(Clone, Debug)]
pub(super) struct Extra {
    /// In lower case.
    pub(super) name: String,
    pub(super) store: Store,
    pub(super) components: usize,
    /// Scale and offset of each component, where there are any.
    pub(super) scaled: Option<([f64; 3], [f64; 3])>,
}

impl Extra {
    pub(super) fn unnamed(bytes: usize) -> Self {
        Self { name: "extra_bytes".into(), store: Store::Is(ScalarType::U8), components: bytes, scaled: None }
    }

    pub(super) fn read_all(data: &[u8]) -> Vec<Self> {
        data.chunks_exact(ENTRY).map(Self::read).filter(|extra| extra.components > 0).collect()
    }

    fn read(entry: &[u8]) -> Self {
        let bytes = Bytes(entry);
        let (kind, options) = (bytes.u8(2), bytes.u8(3));
        let name = bytes.text(4, 32).to_lowercase();
        // Kinds 11 to 30 are the first ten with two and three components.
        let (store, components) = match kind {
            0 | 31.. => return Self { name, ..Self::unnamed(usize::from(options)) },
            _ => (store((kind - 1) % 10), usize::from((kind - 1) / 10) + 1),
        };
        let triple = |at: usize| [0, 1, 2].map(|axis| bytes.f64(at + 8 * axis));
        let scaled = match (options & 8 != 0, options & 16 != 0) {
            (false, false) => None,
            (scale, offset) => {
                Some((if scale { triple(112) } else { [1.0; 3] }, if offset { triple(136) } else { [0.0; 3] }))
            }
        };
        Self { name, store, components, scaled }
    }

    pub(super) fn bytes(&self) -> usize {
        let size = match self.store {
            Store::Is(scalar) => crate::columns::size(scalar),
            _ => 8,
        };
        size * self.components
    }

    /// What it becomes.
    pub(super) fn scalar(&self) -> ScalarType {
        match (self.store, self.scaled) {
            (Store::Is(scalar), None) => scalar,
            _ => ScalarType::F64,
        }
    }
}

fn store(kind: u8) -> Store {
    match kind {
        0 => Store::Is(ScalarType::U8),
        1 => Store::Is(ScalarType::I8),
        2 => Store::Is(ScalarType::U16),
        3 => Store::Is(ScalarType::I16),
        4 => Store::Is(ScalarType::U32),
        5 => Store::Is(ScalarType::I32),
        6 => Store::U64,
        7 => Store::I64,
        8 => Store::Is(ScalarType::F32),
        _ => Store::Is(ScalarType::F64),
    }
}

/// The description of an attribute that is written.
pub(super) fn describe(name: &str, scalar: ScalarType) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[2] = match scalar {
        ScalarType::U8 => 1,
        ScalarType::I8 => 2,
        ScalarType::U16 => 3,
        ScalarType::I16 => 4,
        ScalarType::U32 => 5,
        ScalarType::I32 => 6,
        ScalarType::F32 => 9,
        _ => 10,
    };
    let name = name.as_bytes();
    entry[4..4 + name.len().min(32)].copy_from_slice(&name[..name.len().min(32)]);
    entry
}
