//! The binary chunk while it is planned: accessors over borrowed arrays, written only when all offsets are known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use mediary_core::{Context, Result};
use serde_json::{Map, Value, json};

use super::accessor::{FLOAT, UNSIGNED_BYTE, UNSIGNED_INT, UNSIGNED_SHORT};

/// What a buffer view is for; `target` of the specification.
pub(super) const ARRAY_BUFFER: u64 = 34962;
pub(super) const ELEMENT_ARRAY_BUFFER: u64 = 34963;

/// Every array begins at a multiple of this.
const ALIGNMENT: u64 = 4;

/// Values of one accessor, or the bytes of one image.
#[derive(PartialEq)]
pub(super) enum Data<'a> {
    F32(Cow<'a, [f32]>),
    /// Written as integers of 1, 2 or 4 bytes: the smallest that fit.
    U32(Cow<'a, [u32]>, u64),
    /// Written as integers of 1 or 2 bytes: the smallest that fit.
    U16(&'a [u16], u64),
    Bytes(&'a [u8]),
}

impl Data<'_> {
    /// Indices, in the smallest type that fits. The largest value of a type restarts primitives and is not an index.
    pub(super) fn indices(indices: Cow<'_, [u32]>) -> Data<'_> {
        let largest = indices.iter().copied().max().unwrap_or(0);
        let size = if largest < 0xFF {
            1
        } else if largest < 0xFFFF {
            2
        } else {
            4
        };
        Data::U32(indices, size)
    }

    pub(super) fn joints(joints: &[[u16; 4]]) -> Data<'_> {
        let joints = joints.as_flattened();
        let size = if joints.iter().all(|&joint| joint <= 0xFF) { 1 } else { 2 };
        Data::U16(joints, size)
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values, _) => values.len(),
            Self::U16(values, _) => values.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn value_bytes(&self) -> u64 {
        match self {
            Self::F32(_) => 4,
            Self::U32(_, size) | Self::U16(_, size) => *size,
            Self::Bytes(_) => 1,
        }
    }

    fn component_type(&self) -> u64 {
        match (self, self.value_bytes()) {
            (Self::F32(_), _) => FLOAT,
            (_, 1) => UNSIGNED_BYTE,
            (_, 2) => UNSIGNED_SHORT,
            _ => UNSIGNED_INT,
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        // Converted a piece at a time: memory stays bounded, and the output sees few large writes.
        const PIECE: usize = 1 << 14;
        let mut buffer = Vec::with_capacity(PIECE * 4);
        match self {
            // As they lie in memory.
            Self::F32(values) if cfg!(target_endian = "little") => out.write_all(bytemuck::cast_slice(values))?,
            Self::U32(values, 4) if cfg!(target_endian = "little") => out.write_all(bytemuck::cast_slice(values))?,
            Self::F32(values) => {
                for piece in values.chunks(PIECE) {
                    buffer.clear();
                    buffer.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
                    out.write_all(&buffer)?;
                }
            }
            Self::U32(values, size) => {
                for piece in values.chunks(PIECE) {
                    buffer.clear();
                    match size {
                        1 => buffer.extend(piece.iter().map(|&value| value as u8)),
                        2 => buffer.extend(piece.iter().flat_map(|&value| (value as u16).to_le_bytes())),
                        _ => buffer.extend(piece.iter().flat_map(|value| value.to_le_bytes())),
                    }
                    out.write_all(&buffer)?;
                }
            }
            Self::U16(values, size) => {
                for piece in values.chunks(PIECE) {
                    buffer.clear();
                    match size {
                        1 => buffer.extend(piece.iter().map(|&value| value as u8)),
                        _ => buffer.extend(piece.iter().flat_map(|value| value.to_le_bytes())),
                    }
                    out.write_all(&buffer)?;
                }
            }
            Self::Bytes(bytes) => out.write_all(bytes)?,
        }
        Ok(())
    }
}

/// The least and the largest value of each component. All are finite.
fn extremes<const N: usize>(values: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut min, mut max) = ([f32::INFINITY; N], [f32::NEG_INFINITY; N]);
    for element in values.as_chunks::<N>().0 {
        for axis in 0..N {
            min[axis] = if element[axis] < min[axis] { element[axis] } else { min[axis] };
            max[axis] = if element[axis] > max[axis] { element[axis] } else { max[axis] };
        }
    }
    (min.to_vec(), max.to_vec())
}

struct Entry<'a> {
    data: Data<'a>,
    /// Index of its accessor, or of its buffer view for bytes.
    index: u64,
}

/// Arrays in the order of the binary chunk, with their accessors and buffer views.
#[derive(Default)]
pub(super) struct Plan<'a> {
    entries: Vec<Entry<'a>>,
    pub(super) accessors: Vec<Value>,
    pub(super) views: Vec<Value>,
    /// Entries by type, target and length: equal arrays are stored once.
    known: BTreeMap<(&'static str, u64, usize), Vec<usize>>,
    /// Bytes so far.
    pub(super) bytes: u64,
}

/// Earlier arrays of the same shape that a new one is compared with: bounds the time, not the result.
const COMPARED: usize = 16;

impl<'a> Plan<'a> {
    /// Adds an accessor of `kind` and returns its index. `bounds` asks for `min` and `max`.
    pub(super) fn accessor(&mut self, data: Data<'a>, kind: &'static str, target: u64, bounds: bool) -> u64 {
        let key = (kind, target, data.len());
        if let Some(index) = self.find(key, &data) {
            return index;
        }
        let components = match kind {
            "SCALAR" => 1,
            "VEC2" => 2,
            "VEC3" => 3,
            "VEC4" => 4,
            _ => 16,
        };
        let view = self.place(&data, target);
        let mut accessor = Map::new();
        accessor.insert("bufferView".into(), view.into());
        accessor.insert("componentType".into(), data.component_type().into());
        accessor.insert("count".into(), (data.len() / components).into());
        accessor.insert("type".into(), kind.into());
        if let (true, Data::F32(values)) = (bounds, &data) {
            let (min, max) = match components {
                1 => extremes::<1>(values),
                2 => extremes::<2>(values),
                3 => extremes::<3>(values),
                4 => extremes::<4>(values),
                _ => extremes::<16>(values),
            };
            // Widened, not shortened: validators compare exactly.
            let exact = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            accessor.insert("min".into(), json!(exact(&min)));
            accessor.insert("max".into(), json!(exact(&max)));
        }
        let index = self.accessors.len() as u64;
        self.accessors.push(accessor.into());
        self.keep(key, data, index);
        index
    }

    /// Adds the bytes of a file and returns the index of their buffer view.
    pub(super) fn file(&mut self, bytes: &'a [u8]) -> u64 {
        let data = Data::Bytes(bytes);
        let view = self.place(&data, 0);
        self.entries.push(Entry { data, index: view });
        view
    }

    fn find(&self, key: (&'static str, u64, usize), data: &Data<'a>) -> Option<u64> {
        let known = self.known.get(&key)?;
        let mut same = known.iter().rev().take(COMPARED).map(|&entry| &self.entries[entry]);
        same.find(|entry| entry.data == *data).map(|entry| entry.index)
    }

    fn keep(&mut self, key: (&'static str, u64, usize), data: Data<'a>, index: u64) {
        self.known.entry(key).or_default().push(self.entries.len());
        self.entries.push(Entry { data, index });
    }

    fn place(&mut self, data: &Data<'_>, target: u64) -> u64 {
        let length = data.len() as u64 * data.value_bytes();
        let mut view = Map::new();
        view.insert("buffer".into(), 0.into());
        if self.bytes > 0 {
            view.insert("byteOffset".into(), self.bytes.into());
        }
        view.insert("byteLength".into(), length.into());
        if target != 0 {
            view.insert("target".into(), target.into());
        }
        self.views.push(view.into());
        self.bytes += length.next_multiple_of(ALIGNMENT);
        self.views.len() as u64 - 1
    }

    /// Writes the binary chunk's data.
    pub(super) fn write(&self, out: &mut impl Write, cx: &Context) -> Result<()> {
        for entry in &self.entries {
            cx.checkpoint()?;
            entry.data.write(out)?;
            let length = entry.data.len() as u64 * entry.data.value_bytes();
            let padding = (length.next_multiple_of(ALIGNMENT) - length) as usize;
            out.write_all(&[0; ALIGNMENT as usize][..padding])?;
        }
        Ok(())
    }
}
