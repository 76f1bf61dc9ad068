//! Attributes: groups that share one order of values, each attribute with its type and its coding.
//!
//! | part | of each group | of each attribute |
//! |---|---|---|
//! | 1, edgebreaker only | connectivity, per vertex or corner, walk | |
//! | 2 | number of attributes | kind, data type, components, normalized, id; then codings |
//! | 3 | | values; then parameters of their codings |

use std::collections::BTreeMap;
use std::rc::Rc;

use mediary_core::Result;

use super::corners::{Corners, NONE};
use super::edgebreaker::Mesh;
use super::integers;
use super::memory::Memory;
use super::prediction::{Connectivity, Parent};
use super::sequence::{Sequence, Walk};
use super::stream::Stream;
use super::values::{Coding, DataType, Stored, Values};

/// Kind of positions.
const POSITION: u8 = 0;
/// Kinds that have a name, and the last, which has none.
const KINDS: u8 = 5;

/// What is known of the points.
pub(super) struct Points<'a> {
    pub(super) count: u32,
    /// The point of each corner.
    pub(super) of_corner: &'a [u32],
    /// Edgebreaker: the table of the positions and those of attributes with seams.
    pub(super) mesh: Option<(&'a Mesh<'a>, &'a [Option<Corners>])>,
}

/// An attribute as the stream describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    kind: u8,
    pub(super) data_type: DataType,
    pub(super) components: u8,
    pub(super) id: u32,
    pub(super) coding: Coding,
}

/// A connectivity and a walk over it.
type Way<'a> = (&'a Corners, Walk);

/// Attributes in the order of the stream. Without edgebreaker there is one value a point, in order.
struct Group<'a> {
    way: Option<Way<'a>>,
    attributes: Vec<Attribute>,
}

/// The order of values.
struct Order<'a> {
    way: Option<Way<'a>>,
    sequence: Sequence,
    of_point: Rc<Vec<u32>>,
    values: usize,
}

/// Decodes all attributes: those that are `wanted` by their id, one value a point, for which memory is taken from `kept`.
pub(super) fn read(
    stream: &mut Stream<'_>,
    points: &Points<'_>,
    wanted: &[u32],
    kept: &mut Memory<'_>,
    memory: &mut Memory<'_>,
) -> Result<BTreeMap<u32, Values>> {
    let groups = groups(stream, points, memory)?;
    let position = groups.iter().flat_map(|group| &group.attributes).position(|one| one.kind == POSITION);
    let mut all = BTreeMap::new();
    let mut orders: Vec<Order<'_>> = Vec::new();
    let mut parent: Option<Parent> = None;
    let mut number = 0;
    for group in &groups {
        // Groups mostly share an order.
        let known = orders.iter().position(|order| same(order.way, group.way));
        if known.is_none() {
            orders.push(Order::new(group.way, points, stream, memory)?);
        }
        let order = &orders[known.unwrap_or(orders.len() - 1)];
        let connectivity =
            group.way.map(|(corners, _)| Connectivity { corners, sequence: &order.sequence, points: points.of_corner });
        let mut scratch = memory.inner();
        let mut stored = Vec::new();
        for attribute in &group.attributes {
            let values = match attribute.coding {
                Coding::Plain => {
                    let size = attribute.components as usize * attribute.data_type.size();
                    Stored::Plain(stream.block((order.values as u64) * size as u64, "values")?.bytes)
                }
                _ => {
                    let of = integers::Order { count: order.values, connectivity, parent: parent.as_ref() };
                    Stored::Integers(Rc::new(integers::read(stream, attribute, &of, &mut scratch)?))
                }
            };
            if Some(number) == position
                && attribute.components == 3
                && let Stored::Integers(values) = &values
            {
                memory.take(values.len() as u64 * 4)?;
                parent = Some(Parent { values: Rc::clone(values), of_point: Rc::clone(&order.of_point) });
            }
            number += 1;
            stored.push(values);
        }
        for (attribute, stored) in group.attributes.iter().zip(&stored) {
            let parameters = attribute.parameters(stream)?;
            if wanted.contains(&attribute.id) && !all.contains_key(&attribute.id) {
                all.insert(attribute.id, Values::new(attribute, stored, &parameters, &order.of_point, kept)?);
            }
        }
    }
    Ok(all)
}

fn same(a: Option<Way<'_>>, b: Option<Way<'_>>) -> bool {
    match (a, b) {
        (Some((corners, walk)), Some((others, other))) => std::ptr::eq(corners, others) && walk == other,
        (None, None) => true,
        _ => false,
    }
}

fn groups<'a>(stream: &mut Stream<'_>, points: &Points<'a>, memory: &mut Memory<'_>) -> Result<Vec<Group<'a>>> {
    let count = stream.u8("the number of attribute groups")?;
    let mut groups = Vec::new();
    let mut used = Vec::new();
    for _ in 0..count {
        let way = match points.mesh {
            Some((mesh, tables)) => Some(way(stream, mesh, tables, &mut used)?),
            None => None,
        };
        groups.push(Group { way, attributes: Vec::new() });
    }
    for group in &mut groups {
        let count = stream.varint("the number of attributes")?;
        // Six bytes each at least.
        stream.clone().block(u64::from(count) * 6, "attributes")?;
        if count == 0 {
            return Err(stream.fail("expected a group of attributes, found an empty one"));
        }
        group.attributes = memory.room(count as usize)?;
        for _ in 0..count {
            group.attributes.push(attribute(stream)?);
        }
        for attribute in &mut group.attributes {
            attribute.coding = coding(stream, attribute)?;
        }
    }
    Ok(groups)
}

/// Where the values of a group hang.
fn way<'a>(
    stream: &mut Stream<'_>,
    mesh: &'a Mesh<'a>,
    tables: &'a [Option<Corners>],
    used: &mut Vec<i8>,
) -> Result<Way<'a>> {
    let number = stream.u8("the connectivity of a group")?.cast_signed();
    let table = usize::try_from(number).ok().map(|number| tables.get(number));
    if matches!(table, Some(None)) || used.contains(&number.max(-1)) {
        let message = format!("expected one of {} connectivities not yet used, found {number}", tables.len());
        return Err(stream.fail(message));
    }
    used.push(number.max(-1));
    let of_corners = stream.u8("the place of values")? != 0;
    let walk = match stream.u8("the walk over a group")? {
        0 => Walk::DepthFirst,
        1 if !of_corners => Walk::Degree,
        other => return Err(stream.fail(format!("expected walk 0 over corners, or 0 or 1, found {other}"))),
    };
    Ok(match table {
        Some(Some(Some(table))) if of_corners => (table, walk),
        None if of_corners => return Err(stream.fail("expected positions at vertices, found them at corners")),
        _ => (&mesh.corners, walk),
    })
}

fn attribute(stream: &mut Stream<'_>) -> Result<Attribute> {
    let kind = stream.u8("the kind of an attribute")?;
    if kind >= KINDS {
        return Err(stream.fail(format!("expected a kind of attribute below {KINDS}, found {kind}")));
    }
    let data_type = stream.u8("a data type")?;
    let data_type = DataType::of(data_type)
        .ok_or_else(|| stream.fail(format!("expected a data type of 1 to 11, found {data_type}")))?;
    let components = stream.u8("the number of components")?;
    if components == 0 {
        return Err(stream.fail("expected components of an attribute, found none"));
    }
    stream.u8("whether it is normalized")?;
    let id = stream.varint("the id of an attribute")?;
    Ok(Attribute { kind, data_type, components, id, coding: Coding::Plain })
}

fn coding(stream: &mut Stream<'_>, attribute: &Attribute) -> Result<Coding> {
    let coding = stream.u8("the coding of an attribute")?;
    let Attribute { data_type, components, .. } = attribute;
    match coding {
        0 => Ok(Coding::Plain),
        1 if data_type.is_small_integer() => Ok(Coding::Integer),
        2 if *data_type == DataType::F32 => Ok(Coding::Quantized),
        3 if *data_type == DataType::F32 && *components == 3 => Ok(Coding::Normal),
        1..=3 => {
            let message = format!("coding {coding} does not apply to {components} components of type {data_type:?}");
            Err(stream.fail(message))
        }
        _ => Err(stream.fail(format!("expected coding 0 to 3, found {coding}"))),
    }
}

impl<'a> Order<'a> {
    fn new(way: Option<Way<'a>>, points: &Points<'_>, stream: &Stream<'_>, memory: &mut Memory<'_>) -> Result<Self> {
        let count = points.count as usize;
        let Some((corners, walk)) = way else {
            let mut of_point = memory.room(count)?;
            of_point.extend(0..points.count);
            return Ok(Self { way, sequence: Sequence::default(), of_point: Rc::new(of_point), values: count });
        };
        let sequence = Sequence::new(corners, walk, stream, memory)?;
        let mut of_point = memory.vec(NONE, count)?;
        for (&point, &vertex) in points.of_corner.iter().zip(&corners.vertex) {
            of_point[point as usize] = sequence.value[vertex as usize];
        }
        if of_point.contains(&NONE) {
            return Err(stream.fail("a point has no value"));
        }
        Ok(Self { way, of_point: Rc::new(of_point), values: sequence.corner.len(), sequence })
    }
}
