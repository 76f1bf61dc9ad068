//! Points.

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use super::facts::{Bounds, PointCloudFacts};
use super::stream::{Chunk, Stream};
use crate::error::{Error, Result};

/// Number type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScalarType {
    /// Signed 8 bit.
    I8,
    /// Unsigned 8 bit.
    U8,
    /// Signed 16 bit.
    I16,
    /// Unsigned 16 bit.
    U16,
    /// Signed 32 bit.
    I32,
    /// Unsigned 32 bit.
    U32,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

/// Name, number type and width of an attribute. Names with a fixed meaning: `color` (3 or 4 components; u8 0 to 255, u16 0 to
/// 65535, floats 0 to 1), `category` (1 component), `intensity` (1), `normal` (3, unit length), `time` (1, seconds).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSpec {
    /// Lower-case name.
    pub name: String,
    /// Number type.
    pub scalar: ScalarType,
    /// Numbers a point, at least 1.
    pub components: usize,
}

impl AttributeSpec {
    /// An attribute.
    #[must_use]
    pub fn new(name: impl Into<String>, scalar: ScalarType, components: usize) -> Self {
        Self { name: name.into(), scalar, components }
    }
}

/// Values of one attribute in one chunk, interleaved: `values[point * components + component]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttributeData {
    /// Of [`ScalarType::I8`].
    I8(Buffer<i8>),
    /// Of [`ScalarType::U8`].
    U8(Buffer<u8>),
    /// Of [`ScalarType::I16`].
    I16(Buffer<i16>),
    /// Of [`ScalarType::U16`].
    U16(Buffer<u16>),
    /// Of [`ScalarType::I32`].
    I32(Buffer<i32>),
    /// Of [`ScalarType::U32`].
    U32(Buffer<u32>),
    /// Of [`ScalarType::F32`].
    F32(Buffer<f32>),
    /// Of [`ScalarType::F64`].
    F64(Buffer<f64>),
}

/// Runs `$body` with `$values` bound to the vector of any variant.
macro_rules! each {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            AttributeData::I8($values) => $body,
            AttributeData::U8($values) => $body,
            AttributeData::I16($values) => $body,
            AttributeData::U16($values) => $body,
            AttributeData::I32($values) => $body,
            AttributeData::U32($values) => $body,
            AttributeData::F32($values) => $body,
            AttributeData::F64($values) => $body,
        }
    };
}

impl AttributeData {
    /// No values, with room for `count`.
    #[must_use]
    pub fn with_capacity(scalar: ScalarType, count: usize) -> Self {
        match scalar {
            ScalarType::I8 => Self::I8(Vec::with_capacity(count).into()),
            ScalarType::U8 => Self::U8(Vec::with_capacity(count).into()),
            ScalarType::I16 => Self::I16(Vec::with_capacity(count).into()),
            ScalarType::U16 => Self::U16(Vec::with_capacity(count).into()),
            ScalarType::I32 => Self::I32(Vec::with_capacity(count).into()),
            ScalarType::U32 => Self::U32(Vec::with_capacity(count).into()),
            ScalarType::F32 => Self::F32(Vec::with_capacity(count).into()),
            ScalarType::F64 => Self::F64(Vec::with_capacity(count).into()),
        }
    }

    /// The number type.
    #[must_use]
    pub fn scalar(&self) -> ScalarType {
        match self {
            Self::I8(_) => ScalarType::I8,
            Self::U8(_) => ScalarType::U8,
            Self::I16(_) => ScalarType::I16,
            Self::U16(_) => ScalarType::U16,
            Self::I32(_) => ScalarType::I32,
            Self::U32(_) => ScalarType::U32,
            Self::F32(_) => ScalarType::F32,
            Self::F64(_) => ScalarType::F64,
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value, converted to the number type: floats to integers round to nearest and saturate.
    pub fn push(&mut self, value: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "saturation is the documented behaviour")]
        match self {
            Self::I8(values) => values.to_mut().push(value.round() as i8),
            Self::U8(values) => values.to_mut().push(value.round() as u8),
            Self::I16(values) => values.to_mut().push(value.round() as i16),
            Self::U16(values) => values.to_mut().push(value.round() as u16),
            Self::I32(values) => values.to_mut().push(value.round() as i32),
            Self::U32(values) => values.to_mut().push(value.round() as u32),
            Self::F32(values) => values.to_mut().push(value as f32),
            Self::F64(values) => values.to_mut().push(value),
        }
    }

    /// Value `index` as a float; exact for every number type.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::I8(values) => values[index].into(),
            Self::U8(values) => values[index].into(),
            Self::I16(values) => values[index].into(),
            Self::U16(values) => values[index].into(),
            Self::I32(values) => values[index].into(),
            Self::U32(values) => values[index].into(),
            Self::F32(values) => values[index].into(),
            Self::F64(values) => values[index],
        }
    }

    fn share(&mut self) {
        each!(self, values => drop(values.share()));
    }

    fn bytes(&self) -> u64 {
        fn size<T>(values: &[T]) -> u64 {
            size_of_val(values) as u64
        }
        each!(self, values => size(values))
    }
}

/// A stretch of points.
/// Crosses a boundary as it is; who takes it in checks it with [`PointChunk::new`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PointChunk {
    positions: Buffer<[f64; 3]>,
    attributes: Vec<AttributeData>,
}

impl PointChunk {
    /// A chunk; `attributes` stand in the order of `schema`.
    ///
    /// # Errors
    /// `Malformed` when an attribute has another type than the schema or another length than the positions.
    pub fn new(
        positions: impl Into<Buffer<[f64; 3]>>,
        attributes: Vec<AttributeData>,
        schema: &[AttributeSpec],
    ) -> Result<Self> {
        let positions = positions.into();
        if attributes.len() != schema.len() {
            return Err(Error::malformed(format!("expected {} attributes, found {}", schema.len(), attributes.len())));
        }
        for (data, spec) in attributes.iter().zip(schema) {
            let wrong = |message| Err(Error::malformed(message).at_element(format!("attribute {:?}", spec.name)));
            if data.scalar() != spec.scalar {
                return wrong(format!("expected values of type {:?}, found {:?}", spec.scalar, data.scalar()));
            }
            let expected = positions.len().saturating_mul(spec.components);
            if data.len() != expected {
                return wrong(format!("expected {expected} values, found {}", data.len()));
            }
        }
        Ok(Self { positions, attributes })
    }

    /// Shares the bulk, so that it crosses a boundary without a copy.
    pub(crate) fn share(&mut self) {
        drop(self.positions.share());
        self.attributes.iter_mut().for_each(AttributeData::share);
    }

    /// Positions `[x, y, z]` in the unit of the source, without the cloud's offset.
    #[must_use]
    pub fn positions(&self) -> &[[f64; 3]] {
        &self.positions
    }

    /// Attributes in the order of the schema.
    #[must_use]
    pub fn attributes(&self) -> &[AttributeData] {
        &self.attributes
    }
}

/// What the chunks so far add up to.
#[derive(Clone, Debug, PartialEq)]
pub struct PointSummary {
    /// Points.
    pub points: u64,
    /// Bounds of the finite ones.
    pub bounds: Bounds,
    /// Points with a non-finite coordinate.
    pub non_finite: u64,
}

impl Default for PointSummary {
    fn default() -> Self {
        Self { points: 0, bounds: Bounds::EMPTY, non_finite: 0 }
    }
}

impl Chunk for PointChunk {
    type Summary = PointSummary;

    fn observe(&self, summary: &mut PointSummary) {
        summary.points += self.positions.len() as u64;
        for &position in &self.positions {
            if !summary.bounds.include(position) {
                summary.non_finite += 1;
            }
        }
    }

    fn non_finite(summary: &PointSummary) -> (u64, &'static str) {
        (summary.non_finite, "points with a coordinate that is not finite")
    }

    fn bytes(&self) -> u64 {
        self.positions.len() as u64 * 24 + self.attributes.iter().map(AttributeData::bytes).sum::<u64>()
    }
}

/// A labelled box of 8 corners, in any order the source gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Box3 {
    /// Corners `[x, y, z]`.
    #[serde(with = "crate::wire::number")]
    pub corners: [[f64; 3]; 8],
    /// Text of the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// RGB, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub color: Option<[f64; 3]>,
    /// Confidence as given.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub score: Option<f64>,
}

/// An arrow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vector3 {
    /// Where it starts.
    #[serde(with = "crate::wire::number")]
    pub start: [f64; 3],
    /// Where it ends.
    #[serde(with = "crate::wire::number")]
    pub end: [f64; 3],
    /// RGB, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::wire::number")]
    pub color: Option<[f64; 3]>,
}

/// A point cloud: attributes by name, points as a stream, boxes and vectors whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct PointCloud {
    /// The attributes every chunk has, in order.
    pub schema: Vec<AttributeSpec>,
    /// Points as the header announces them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_points: Option<u64>,
    /// The points.
    #[serde(skip)]
    pub points: Stream<PointChunk>,
    /// Boxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<Box3>,
    /// Vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<Vector3>,
    /// Scene type as the source names it, e.g. `lidar/beta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_type: Option<String>,
    /// Coordinate reference system as the source states it (WKT or an EPSG code).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crs: Option<String>,
}

impl PointCloud {
    /// A cloud of points alone.
    #[must_use]
    pub fn new(schema: Vec<AttributeSpec>, points: Stream<PointChunk>) -> Self {
        Self {
            schema,
            declared_points: None,
            points,
            boxes: Vec::new(),
            vectors: Vec::new(),
            scene_type: None,
            crs: None,
        }
    }

    /// The facts so far: points and bounds are exact once the stream is at its end.
    #[must_use]
    pub fn facts(&self) -> PointCloudFacts {
        let summary = self.points.summary();
        let finished = self.points.is_finished();
        PointCloudFacts {
            points: if finished { Some(summary.points) } else { self.declared_points },
            attributes: Some(self.schema.iter().map(|attribute| attribute.name.clone()).collect()),
            boxes: Some(self.boxes.len() as u64),
            vectors: Some(self.vectors.len() as u64),
            bounds: if finished { summary.bounds.finish() } else { None },
            r#type: self.scene_type.clone(),
        }
    }
}
