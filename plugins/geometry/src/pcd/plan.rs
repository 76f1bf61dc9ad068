//! From the fields of a file to attributes.

use std::collections::HashSet;

use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, ScalarType};
use mediary_core::{Context, Error, Result};

use super::header::{Field, Header, Store};
use crate::columns;

/// Fields that are one attribute together.
const COLORS: [[&str; 4]; 2] = [["red", "green", "blue", "alpha"], ["r", "g", "b", "a"]];
const NORMALS: [[&str; 3]; 2] = [["normal_x", "normal_y", "normal_z"], ["nx", "ny", "nz"]];

/// Where an attribute comes from.
#[derive(Clone)]
enum From {
    /// The field of this index, with all its numbers.
    Field(usize),
    /// A number each of several fields.
    Fields(Vec<usize>),
    /// Colours packed into four bytes.
    Packed(usize),
}

pub(super) struct Plan {
    pub(super) fields: Vec<Field>,
    pub(super) position: [usize; 3],
    pub(super) schema: Vec<AttributeSpec>,
    sources: Vec<From>,
}

/// The name under which a field is read.
pub(super) fn alias(name: &str) -> &str {
    match name {
        "label" | "classification" => "category",
        "gpstime" => "time",
        name => name,
    }
}

impl Plan {
    pub(super) fn new(header: &Header, cx: &Context) -> Result<Self> {
        let fields = header.fields.clone();
        let find = |name: &str| fields.iter().position(|field| field.name == name && field.count == 1);
        let (Some(x), Some(y), Some(z)) = (find("x"), find("y"), find("z")) else {
            let names: Vec<&str> = fields.iter().take(10).map(|field| field.name.as_str()).collect();
            return Err(Error::unsupported(format!("expected the fields x, y and z, found {names:?}"))
                .at_line(header.line)
                .with_hint("descriptors without positions are no points"));
        };
        let position = [x, y, z];
        let group = |names: &[&str]| -> Option<Vec<usize>> {
            let found: Vec<usize> = names.iter().map(|name| find(name)).collect::<Option<_>>()?;
            found.iter().all(|&index| fields[index].store == fields[found[0]].store).then_some(found)
        };
        let packed = |field: &Field| {
            matches!(field.name.as_str(), "rgb" | "rgba") && field.count == 1 && field.store.size() == 4
        };
        let color = match fields.iter().any(packed) {
            true => None,
            false => COLORS.iter().find_map(|names| group(names).or_else(|| group(&names[..3]))),
        };
        let groups = [("color", color), ("normal", NORMALS.iter().find_map(|names| group(names)))];
        let mut plan = Self { fields, position, schema: Vec::new(), sources: Vec::new() };
        let mut done: HashSet<usize> = position.into();
        let mut taken = HashSet::new();
        for (index, field) in plan.fields.iter().enumerate() {
            if field.is_padding() || field.count == 0 || done.contains(&index) {
                continue;
            }
            let member = groups
                .iter()
                .find_map(|(name, all)| all.as_ref().filter(|all| all.contains(&index)).map(|all| (*name, all)));
            let (name, scalar, components, from) = match member {
                Some((name, all)) => {
                    done.extend(all);
                    (name, field.store.scalar(), all.len(), From::Fields(all.clone()))
                }
                None if packed(field) => {
                    ("color", ScalarType::U8, if field.name == "rgba" { 4 } else { 3 }, From::Packed(index))
                }
                None => (alias(&field.name), field.store.scalar(), field.count, From::Field(index)),
            };
            if matches!(field.store, Store::I64 | Store::U64) {
                cx.note("rounded", "64-bit integers are held as doubles, which are exact up to 2^53");
            }
            let mut distinct = name.to_owned();
            let mut again = 2;
            while !taken.insert(distinct.clone()) {
                distinct = format!("{name}_{again}");
                again += 1;
            }
            plan.schema.push(AttributeSpec::new(distinct, scalar, components));
            plan.sources.push(from);
        }
        Ok(plan)
    }

    /// Bytes of a point.
    pub(super) fn stride(&self) -> usize {
        self.fields.iter().map(Field::bytes).sum()
    }

    /// Points from the values of every field: those of padding are not looked at.
    pub(super) fn chunk(&self, values: Vec<AttributeData>, count: usize) -> Result<PointChunk> {
        let [x, y, z] = self.position;
        let positions = columns::positions(&values[x], &values[y], &values[z]);
        let mut values: Vec<_> = values.into_iter().map(Some).collect();
        let mut attributes = Vec::with_capacity(self.schema.len());
        for (spec, from) in self.schema.iter().zip(&self.sources) {
            let mut take =
                |index: usize| values[index].take().unwrap_or_else(|| AttributeData::with_capacity(spec.scalar, 0));
            attributes.push(match from {
                From::Field(index) => take(*index),
                From::Fields(all) => {
                    let parts: Vec<_> = all.iter().map(|&index| take(index)).collect();
                    columns::interleave(spec.scalar, &parts.iter().collect::<Vec<_>>(), count)
                }
                From::Packed(index) => AttributeData::U8(unpack(&take(*index), spec.components).into()),
            });
        }
        PointChunk::new(positions, attributes, &self.schema)
    }
}

/// Red, green, blue and perhaps alpha of `0xAARRGGBB`, whatever type the bits have.
fn unpack(packed: &AttributeData, components: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(packed.len() * components);
    let mut put = |bits: u32| {
        let [alpha, red, green, blue] = bits.to_be_bytes();
        all.extend_from_slice(&[red, green, blue, alpha][..components]);
    };
    match packed {
        AttributeData::F32(values) => values.iter().for_each(|value| put(value.to_bits())),
        AttributeData::U32(values) => values.iter().for_each(|&value| put(value)),
        AttributeData::I32(values) => values.iter().for_each(|value| put(value.cast_unsigned())),
        _ => {}
    }
    all
}
