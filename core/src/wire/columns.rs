//! Columns of many small values as buffers, so that they do not become JSON arrays of millions. For `#[serde(with = …)]`.

use std::fmt::Display;

use bytemuck::Pod;
use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::record::Buffer;
use crate::record::molecule::{Bond, BondOrder, BondSource, BondStereo, Chirality, Element, Residue};
use crate::record::table::VarBytes;

/// Numbers, as they are.
pub(crate) mod numbers {
    use super::*;
    use crate::wire::buffers;

    pub(crate) fn serialize<T: Pod + Send + Sync, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        buffers::put(std::sync::Arc::new(values.to_vec()), serializer)
    }

    pub(crate) fn deserialize<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        Ok(buffers::collect(&buffers::take::<T, D>(deserializer)?))
    }
}

/// Words of closed lists, characters and truth, as codes.
pub(crate) mod codes {
    use super::*;

    pub(crate) fn serialize<T: Coded, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        numbers::serialize(&values.iter().map(T::code).collect::<Vec<_>>(), serializer)
    }

    pub(crate) fn deserialize<'de, T: Coded, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let read = |code| {
            T::of_code(code).ok_or_else(|| D::Error::custom(format!("expected the code of {}, found {code}", T::WHAT)))
        };
        numbers::deserialize(deserializer)?.into_iter().map(read).collect()
    }
}

/// What is a number in a column.
pub(crate) trait Coded: Sized {
    /// The number.
    type Code: Pod + Send + Sync + Display;

    /// With its article.
    const WHAT: &'static str;

    fn code(&self) -> Self::Code;

    fn of_code(code: Self::Code) -> Option<Self>;
}

/// 0 and 1.
impl Coded for bool {
    type Code = u8;
    const WHAT: &'static str = "a truth value, 0 or 1";

    fn code(&self) -> u8 {
        u8::from(*self)
    }

    fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// The Unicode scalar value.
impl Coded for char {
    type Code = u32;
    const WHAT: &'static str = "a character";

    fn code(&self) -> u32 {
        u32::from(*self)
    }

    fn of_code(code: u32) -> Option<Self> {
        Self::from_u32(code)
    }
}

/// The atomic number.
impl Coded for Element {
    type Code = u8;
    const WHAT: &'static str = "an element";

    fn code(&self) -> u8 {
        self.number()
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::from_number(code)
    }
}

/// Codes in the order of the list, from 0.
macro_rules! codes {
    ($($type:ident, $what:literal: $($variant:ident),*;)*) => {
        $( impl Coded for $type {
            type Code = u8;
            const WHAT: &'static str = $what;

            fn code(&self) -> u8 {
                *self as u8
            }

            fn of_code(code: u8) -> Option<Self> {
                [$(Self::$variant),*].into_iter().find(|value| *value as u8 == code)
            }
        } )*
    };
}

codes! {
    Chirality, "a chirality": None, CounterClockwise, Clockwise, Either;
    BondOrder, "a bond order": Unknown, Single, Double, Triple, Quadruple, Aromatic, Dative;
    BondStereo, "a bond stereo": None, Up, Down, Either, Cis, Trans;
    BondSource, "a bond source": File, Template, Distance;
}

/// Short texts, end to end with offsets.
pub(crate) mod strings {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(values: &[SmolStr], serializer: S) -> Result<S::Ok, S::Error> {
        let mut cells = VarBytes::default();
        values.iter().for_each(|value| cells.push(value.as_bytes()));
        cells.share();
        cells.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SmolStr>, D::Error> {
        let cells = VarBytes::deserialize(deserializer)?;
        let text = |index| {
            std::str::from_utf8(cells.get(index))
                .map(SmolStr::new)
                .map_err(|error| D::Error::custom(format!("text {index} of a column is not UTF-8: {error}")))
        };
        (0..cells.len()).map(text).collect()
    }
}

/// A long text as its bytes.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        numbers::serialize(text.as_bytes(), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        String::from_utf8(numbers::deserialize(deserializer)?)
            .map_err(|error| D::Error::custom(format!("the text is not UTF-8: {}", error.utf8_error())))
    }
}

/// Bytes, if there are any.
pub(crate) mod optional_bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => numbers::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Buffer<u8>>::deserialize(deserializer)?.map(Buffer::into_vec))
    }
}

/// A column of truth, if there is one.
pub(crate) mod optional_bools {
    use super::*;

    #[derive(Deserialize)]
    struct Column(#[serde(with = "codes")] Vec<bool>);

    pub(crate) fn serialize<S: Serializer>(values: &Option<Vec<bool>>, serializer: S) -> Result<S::Ok, S::Error> {
        match values {
            Some(values) => codes::serialize(values, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<bool>>, D::Error> {
        Ok(Option::<Column>::deserialize(deserializer)?.map(|column| column.0))
    }
}

/// Bonds as pairs of atoms and their four codes.
pub(crate) mod bonds {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Columns {
        /// `[a, b]`.
        atoms: Buffer<[u32; 2]>,
        /// `[order, aromatic, stereo, source]`.
        codes: Buffer<[u8; 4]>,
    }

    pub(crate) fn serialize<S: Serializer>(bonds: &[Bond], serializer: S) -> Result<S::Ok, S::Error> {
        let codes = |bond: &Bond| [bond.order.code(), bond.aromatic.into(), bond.stereo.code(), bond.source.code()];
        let mut columns = Columns {
            atoms: bonds.iter().map(|bond| [bond.a, bond.b]).collect(),
            codes: bonds.iter().map(codes).collect(),
        };
        drop((columns.atoms.share(), columns.codes.share()));
        columns.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Bond>, D::Error> {
        let columns = Columns::deserialize(deserializer)?;
        if columns.atoms.len() != columns.codes.len() {
            let (atoms, codes) = (columns.atoms.len(), columns.codes.len());
            return Err(D::Error::custom(format!("bonds: expected {atoms} codes, found {codes}")));
        }
        let bond = |(&[a, b], &[order, aromatic, stereo, source]): (&[u32; 2], &[u8; 4])| {
            Some(Bond {
                a,
                b,
                order: BondOrder::of_code(order)?,
                aromatic: bool::of_code(aromatic)?,
                stereo: BondStereo::of_code(stereo)?,
                source: BondSource::of_code(source)?,
            })
        };
        let bonds = columns.atoms.iter().zip(&columns.codes);
        bonds
            .map(|it| bond(it).ok_or_else(|| D::Error::custom(format!("unknown codes of a bond: {:?}", it.1))))
            .collect()
    }
}

/// Residues column by column.
pub(crate) mod residues {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Columns {
        #[serde(with = "strings")]
        names: Vec<SmolStr>,
        /// Absent is [`ABSENT`].
        #[serde(with = "numbers")]
        numbers: Vec<i64>,
        /// Unicode scalar values; absent is [`NO_CHAR`].
        #[serde(with = "numbers")]
        insertions: Vec<u32>,
        #[serde(with = "numbers")]
        label_numbers: Vec<i64>,
        #[serde(with = "strings")]
        segments: Vec<SmolStr>,
        #[serde(with = "codes")]
        hetero: Vec<bool>,
        #[serde(with = "numbers")]
        chains: Vec<u32>,
    }

    const ABSENT: i64 = i64::MIN;
    const NO_CHAR: u32 = u32::MAX;

    pub(crate) fn serialize<S: Serializer>(residues: &[Residue], serializer: S) -> Result<S::Ok, S::Error> {
        let number = |number: Option<i32>| number.map_or(ABSENT, i64::from);
        Columns {
            names: residues.iter().map(|it| it.name.clone()).collect(),
            numbers: residues.iter().map(|it| number(it.number)).collect(),
            insertions: residues.iter().map(|it| it.insertion.map_or(NO_CHAR, u32::from)).collect(),
            label_numbers: residues.iter().map(|it| number(it.label_number)).collect(),
            segments: residues.iter().map(|it| it.segment.clone()).collect(),
            hetero: residues.iter().map(|it| it.hetero).collect(),
            chains: residues.iter().map(|it| it.chain).collect(),
        }
        .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Residue>, D::Error> {
        let columns = Columns::deserialize(deserializer)?;
        let count = columns.chains.len();
        for (what, found) in [
            ("names", columns.names.len()),
            ("numbers", columns.numbers.len()),
            ("insertions", columns.insertions.len()),
            ("label_numbers", columns.label_numbers.len()),
            ("segments", columns.segments.len()),
            ("hetero", columns.hetero.len()),
        ] {
            if found != count {
                return Err(D::Error::custom(format!("residues: expected {count} {what}, found {found}")));
            }
        }
        let number = |number: i64| match number {
            ABSENT => Ok(None),
            number => i32::try_from(number).map(Some).map_err(|_| D::Error::custom(format!("residue number {number}"))),
        };
        let insertion = |code: u32| match code {
            NO_CHAR => Ok(None),
            code => char::from_u32(code).map(Some).ok_or_else(|| D::Error::custom(format!("insertion code {code}"))),
        };
        let mut residues = Vec::with_capacity(count);
        let texts = columns.names.into_iter().zip(columns.segments);
        for (index, (name, segment)) in texts.enumerate() {
            residues.push(Residue {
                name,
                number: number(columns.numbers[index])?,
                insertion: insertion(columns.insertions[index])?,
                label_number: number(columns.label_numbers[index])?,
                segment,
                hetero: columns.hetero[index],
                chain: columns.chains[index],
            });
        }
        Ok(residues)
    }
}
