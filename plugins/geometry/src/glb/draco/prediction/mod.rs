//! Predictions: each value stands in the stream as its distance from what those before it suggest.
//!
//! | number | prediction | from |
//! |---|---|---|
//! | 0 | difference | the value before |
//! | 1 | parallelogram | the triangle across the edge |
//! | 4 | some parallelograms | those of up to four that flags choose |
//! | 5 | texture coordinates | the shape of the triangle |
//! | 6 | normals | the triangles around the vertex |

mod normals;
mod parallelogram;
mod texcoords;
mod wrap;

use std::rc::Rc;

use mediary_core::Result;

use super::corners::{Corners, next, previous};
use super::integers::Order;
use super::memory::Memory;
use super::octahedron;
use super::sequence::Sequence;
use super::stream::Stream;
use wrap::Wrap;

/// What a value is predicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Difference,
    Parallelogram,
    SomeParallelograms,
    TexCoords,
    Normals,
}

/// How a value comes of a prediction and a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Wrap,
    Octahedron,
}

/// The mesh that values hang on.
#[derive(Clone, Copy)]
pub(super) struct Connectivity<'a> {
    pub(super) corners: &'a Corners,
    pub(super) sequence: &'a Sequence,
    /// The point of each corner.
    pub(super) points: &'a [u32],
}

/// The positions, as integers, which others are predicted from.
pub(super) struct Parent {
    pub(super) values: Rc<Vec<i32>>,
    /// The value of each point.
    pub(super) of_point: Rc<Vec<u32>>,
}

impl Connectivity<'_> {
    /// The number of the value at a corner.
    #[inline(always)]
    fn value(&self, corner: u32) -> u32 {
        self.sequence.value[self.corners.vertex(corner) as usize]
    }

    /// The numbers of the values at the next and the previous corner.
    #[inline(always)]
    fn beside(&self, corner: u32) -> [u32; 2] {
        [self.value(next(corner)), self.value(previous(corner))]
    }
}

impl Parent {
    #[inline]
    fn position(&self, connectivity: &Connectivity<'_>, corner: u32) -> [i64; 3] {
        let value = self.of_point[connectivity.points[corner as usize] as usize] as usize;
        let position = &self.values[value * 3..value * 3 + 3];
        [position[0].into(), position[1].into(), position[2].into()]
    }
}

/// Reads what the prediction needs and makes values of the distances in `values`, `width` components each.
pub(super) fn undo(
    stream: &mut Stream<'_>,
    method: Method,
    transform: Transform,
    order: &Order<'_>,
    width: usize,
    values: &mut [i32],
    memory: &mut Memory<'_>,
) -> Result<()> {
    // Without a mesh there are differences only.
    let (method, connectivity) = match (order.connectivity, transform) {
        (Some(_), Transform::Wrap) if method == Method::Normals => {
            return Err(stream.fail("expected normals where normals are predicted, found other values"));
        }
        (Some(connectivity), Transform::Wrap) => (method, Some(connectivity)),
        (Some(connectivity), _) if method == Method::Normals => (method, Some(connectivity)),
        _ => (Method::Difference, None),
    };
    let parent = |stream: &Stream<'_>| {
        order.parent.ok_or_else(|| stream.fail("expected positions in integers before what is predicted from them"))
    };
    if transform != Transform::Wrap {
        let largest = stream.i32("the largest of normals")?;
        let octahedron = octahedron::of_largest(largest, stream)?;
        stream.i32("the centre of normals")?;
        return match connectivity {
            Some(connectivity) => {
                let parent = parent(stream)?;
                normals::undo(stream, &octahedron, &connectivity, parent, values, memory)
            }
            None => {
                let mut last = [0; 2];
                for value in values.chunks_exact_mut(2) {
                    memory.step()?;
                    last = octahedron.correct(last, [value[0], value[1]]);
                    value.copy_from_slice(&last);
                }
                Ok(())
            }
        };
    }
    match (method, connectivity) {
        (Method::Parallelogram, Some(connectivity)) => {
            let wrap = Wrap::read(stream)?;
            parallelogram::one(&wrap, &connectivity, width, values, memory)
        }
        (Method::SomeParallelograms, Some(connectivity)) => {
            let flags = parallelogram::Choices::read(stream)?;
            let wrap = Wrap::read(stream)?;
            parallelogram::some(stream, flags, &wrap, &connectivity, width, values, memory)
        }
        (Method::TexCoords, Some(connectivity)) => {
            if width != 2 {
                return Err(stream.fail(format!("expected texture coordinates of 2 components, found {width}")));
            }
            let parent = parent(stream)?;
            let turns = texcoords::turns(stream, order.count, memory)?;
            let wrap = Wrap::read(stream)?;
            texcoords::undo(stream, turns, &wrap, &connectivity, parent, values, memory)
        }
        _ => {
            let wrap = Wrap::read(stream)?;
            wrap.each(width, values, memory, |_, _, _| Ok(false))
        }
    }
}
