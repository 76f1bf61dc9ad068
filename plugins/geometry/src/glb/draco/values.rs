//! Values as they were before they were encoded, one a point.

use std::rc::Rc;

use mediary_core::{Error, Result};

use super::attributes::Attribute;
use super::memory::Memory;
use super::octahedron::{self, Octahedron};
use super::stream::Stream;

/// Types of components, as the bitstream numbers them from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataType {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Bool,
}

impl DataType {
    pub(super) fn of(number: u8) -> Option<Self> {
        use DataType::*;
        let all = [I8, U8, I16, U16, I32, U32, I64, U64, F32, F64, Bool];
        all.get(usize::from(number).checked_sub(1)?).copied()
    }

    pub(super) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// An integer of up to 32 bits.
    pub(super) fn is_small_integer(self) -> bool {
        matches!(self, Self::I8 | Self::U8 | Self::I16 | Self::U16 | Self::I32 | Self::U32)
    }

    /// `componentType` of glTF, if it has this one.
    fn component_type(self) -> Option<u32> {
        Some(match self {
            Self::I8 => 5120,
            Self::U8 => 5121,
            Self::I16 => 5122,
            Self::U16 => 5123,
            Self::U32 => 5125,
            Self::F32 => 5126,
            _ => return None,
        })
    }
}

/// How the values of an attribute are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As they are.
    Plain,
    Integer,
    /// Integers that stand for floats.
    Quantized,
    /// Two integers, octahedral coordinates, that stand for three floats.
    Normal,
}

/// What the stream has of an attribute.
pub(super) enum Stored<'a> {
    Plain(&'a [u8]),
    Integers(Rc<Vec<i32>>),
}

/// What turns integers into values.
pub(super) enum Parameters {
    None,
    Quantized { least: Vec<f32>, step: f32 },
    Normal(Octahedron),
}

/// Values of one attribute, little-endian and tightly packed, one a point.
#[derive(Debug)]
pub(in super::super) struct Values {
    /// Component type as glTF numbers it: 5120 i8, 5121 u8, 5122 i16, 5123 u16, 5125 u32, 5126 f32.
    pub(in super::super) component_type: u32,
    /// Components of a value.
    pub(in super::super) components: u8,
    /// The values.
    pub(in super::super) bytes: Vec<u8>,
}

impl Attribute {
    pub(super) fn parameters(&self, stream: &mut Stream<'_>) -> Result<Parameters> {
        match self.coding {
            Coding::Plain | Coding::Integer => Ok(Parameters::None),
            Coding::Quantized => {
                let mut least = Vec::new();
                for _ in 0..self.components {
                    least.push(stream.f32("the least value")?);
                }
                let range = stream.f32("the range of values")?;
                let bits = stream.u8("the bits of quantized values")?;
                if !(1..=30).contains(&bits) {
                    return Err(stream.fail(format!("expected values quantized to 1 to 30 bits, found {bits}")));
                }
                Ok(Parameters::Quantized { least, step: range / ((1_u32 << bits) - 1) as f32 })
            }
            Coding::Normal => {
                let bits = stream.u8("the bits of normals")?;
                octahedron::of_bits(bits.into(), stream).map(Parameters::Normal)
            }
        }
    }
}

impl Values {
    /// Puts values into the order of points. Memory for them is taken from `kept`.
    pub(super) fn new(
        attribute: &Attribute,
        stored: &Stored<'_>,
        parameters: &Parameters,
        of_point: &[u32],
        kept: &mut Memory<'_>,
    ) -> Result<Self> {
        let Attribute { data_type, components, id, .. } = *attribute;
        let component_type = data_type.component_type().ok_or_else(|| {
            Error::unsupported(format!(
                "Draco stream: attribute {id} is of type {data_type:?}, which glTF does not have"
            ))
        })?;
        let size = data_type.size() * usize::from(components);
        let mut bytes = kept.vec(0_u8, of_point.len().saturating_mul(size))?;
        let places = bytes.chunks_exact_mut(size).zip(of_point.iter().map(|&value| value as usize));
        match (stored, parameters) {
            (Stored::Plain(plain), _) => {
                for (place, value) in places {
                    place.copy_from_slice(&plain[value * size..][..size]);
                }
            }
            (Stored::Integers(integers), Parameters::None) => {
                let width = usize::from(components);
                let size = data_type.size();
                for (place, value) in places {
                    for (place, integer) in place.chunks_exact_mut(size).zip(&integers[value * width..]) {
                        place.copy_from_slice(&integer.to_le_bytes()[..size]);
                    }
                }
            }
            (Stored::Integers(integers), Parameters::Quantized { least, step }) => {
                for (place, value) in places {
                    let integers = &integers[value * least.len()..];
                    for ((place, integer), least) in place.chunks_exact_mut(4).zip(integers).zip(least) {
                        place.copy_from_slice(&(*integer as f32 * step + least).to_le_bytes());
                    }
                }
            }
            (Stored::Integers(integers), Parameters::Normal(octahedron)) => {
                for (place, value) in places {
                    let normal = octahedron.unit_vector([integers[value * 2], integers[value * 2 + 1]]);
                    for (place, component) in place.chunks_exact_mut(4).zip(normal) {
                        place.copy_from_slice(&component.to_le_bytes());
                    }
                }
            }
        }
        Ok(Self { component_type, components, bytes })
    }
}
