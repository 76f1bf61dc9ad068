//! Floats in JSON that may be NaN or infinite: `"NaN"`, `"inf"`, `"-inf"`. For `#[serde(with = …)]`.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::buffers::outside;

pub(crate) fn serialize<T: Number, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.to_wire().serialize(serializer)
}

pub(crate) fn deserialize<'de, T: Number, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::of_wire(T::Wire::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A float, or a container of them.
pub(crate) trait Number: Sized {
    /// The same with [`Float`]s.
    type Wire: Serialize + DeserializeOwned;

    fn to_wire(&self) -> Self::Wire;

    fn of_wire(wire: Self::Wire) -> Result<Self, String>;
}

/// Single precision goes as double precision, which keeps it exactly.
pub(crate) struct Float(f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // The record JSON has null for what is no number.
            value if value.is_finite() || outside(&()) => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value => serializer.serialize_str(if value > 0.0 { "inf" } else { "-inf" }),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = f64;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
            }

            fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }

            fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
                match text {
                    "NaN" => Ok(f64::NAN),
                    "inf" => Ok(f64::INFINITY),
                    "-inf" => Ok(f64::NEG_INFINITY),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader).map(Self)
    }
}

impl Number for f64 {
    type Wire = Float;

    fn to_wire(&self) -> Float {
        Float(*self)
    }

    fn of_wire(wire: Float) -> Result<Self, String> {
        Ok(wire.0)
    }
}

impl Number for f32 {
    type Wire = Float;

    fn to_wire(&self) -> Float {
        Float(f64::from(*self))
    }

    fn of_wire(wire: Float) -> Result<Self, String> {
        Ok(wire.0 as Self)
    }
}

impl<T: Number> Number for Vec<T> {
    type Wire = Vec<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn of_wire(wire: Self::Wire) -> Result<Self, String> {
        wire.into_iter().map(T::of_wire).collect()
    }
}

impl<T: Number, const N: usize> Number for [T; N] {
    type Wire = Vec<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn of_wire(wire: Self::Wire) -> Result<Self, String> {
        Vec::of_wire(wire)?.try_into().map_err(|found: Vec<T>| format!("expected {N} numbers, found {}", found.len()))
    }
}

impl<T: Number> Number for Option<T> {
    type Wire = Option<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.as_ref().map(T::to_wire)
    }

    fn of_wire(wire: Self::Wire) -> Result<Self, String> {
        wire.map(T::of_wire).transpose()
    }
}

impl<T: Number> Number for BTreeMap<String, T> {
    type Wire = BTreeMap<String, T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(|(key, value)| (key.clone(), value.to_wire())).collect()
    }

    fn of_wire(wire: Self::Wire) -> Result<Self, String> {
        wire.into_iter().map(|(key, value)| Ok((key, T::of_wire(value)?))).collect()
    }
}

impl<A: Number, B: Number, C: Number> Number for (A, B, C) {
    type Wire = (A::Wire, B::Wire, C::Wire);

    fn to_wire(&self) -> Self::Wire {
        (self.0.to_wire(), self.1.to_wire(), self.2.to_wire())
    }

    fn of_wire((a, b, c): Self::Wire) -> Result<Self, String> {
        Ok((A::of_wire(a)?, B::of_wire(b)?, C::of_wire(c)?))
    }
}
