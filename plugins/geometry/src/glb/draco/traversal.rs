//! The symbols of edgebreaker, one a face: how it hangs on the faces before it.
//!
//! | traversal | symbols |
//! |---|---|
//! | 0, standard | one bit for C, three for the others |
//! | 2, valence | six arrays, by the valence of the vertex ahead, read from their ends |

use mediary_core::{Error, Result};

use super::corners::{Corners, next, previous};
use super::memory::Memory;
use super::rans::Flags;
use super::stream::{Bits, Stream};
use super::symbols;

/// How a face hangs on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// Closes a fan: no new vertex.
    C,
    /// Joins two borders.
    S,
    /// New vertex on the left.
    L,
    /// New vertex on the right.
    R,
    /// Begins a new part: three new vertices.
    E,
}

/// Whether the last face of a part is interior, one bit each.
pub(super) enum Starts<'a> {
    Plain(Bits<'a>),
    Coded(Flags<'a>),
}

impl<'a> Starts<'a> {
    fn open(stream: &mut Stream<'a>) -> Result<Self> {
        const WHAT: &str = "the faces that begin parts";
        Ok(match stream.minor {
            0 | 1 => Self::Plain(Bits::new(stream.sized_block(WHAT)?)),
            _ => Self::Coded(Flags::open(stream, WHAT)?),
        })
    }

    pub(super) fn read(&mut self) -> Result<bool> {
        match self {
            Self::Plain(bits) => bits.read(1).map(|bit| bit == 1),
            Self::Coded(flags) => {
                let bit = flags.read();
                flags.finish("faces that begin parts").map(|()| bit)
            }
        }
    }
}

/// Valences of the vertices so far.
pub(super) struct Valences(Vec<u32>);

impl Valences {
    fn add(&mut self, vertex: u32, count: u32) {
        let valence = &mut self.0[vertex as usize];
        *valence = valence.wrapping_add(count);
    }

    /// Counts the edges that a face with this first corner brings.
    fn reached(&mut self, symbol: Symbol, corner: u32, corners: &Corners) {
        let [tip, right, left] = match symbol {
            Symbol::C | Symbol::S => [0, 1, 1],
            Symbol::R => [1, 1, 2],
            Symbol::L => [1, 2, 1],
            Symbol::E => [2, 2, 2],
        };
        self.add(corners.vertex(corner), tip);
        self.add(corners.vertex(next(corner)), right);
        self.add(corners.vertex(previous(corner)), left);
    }

    fn ahead(&self, corner: u32, corners: &Corners) -> u32 {
        self.0[corners.vertex(next(corner)) as usize]
    }
}

enum Coding<'a> {
    Standard(Bits<'a>),
    /// `first` are the bits of the first symbol, which has no vertex ahead, before version 2.2.
    Valence {
        first: Option<Bits<'a>>,
        contexts: [Vec<i32>; 6],
        valences: Valences,
        context: Option<usize>,
    },
}

/// Reads the symbols in order and is told of each face.
pub(super) struct Traversal<'a> {
    coding: Coding<'a>,
    pub(super) starts: Starts<'a>,
    /// The seams of each attribute with a connectivity of its own.
    pub(super) seams: Vec<Flags<'a>>,
}

/// What the connectivity's header says.
pub(super) struct Counts {
    pub(super) vertices: u32,
    pub(super) symbols: u32,
    pub(super) attributes: u8,
}

impl<'a> Traversal<'a> {
    pub(super) fn open(stream: &mut Stream<'a>, kind: u8, counts: &Counts, memory: &mut Memory<'_>) -> Result<Self> {
        const SYMBOLS: &str = "symbols of the traversal";
        let bits = match (kind, stream.minor) {
            (0, _) | (2, 0 | 1) => Some(Bits::new(stream.sized_block(SYMBOLS)?)),
            (2, _) => None,
            (1, _) => {
                return Err(Error::unsupported("Draco stream: symbols predicted from valences")
                    .at_byte(stream.at() as u64)
                    .with_hint("compress it again with a current encoder"));
            }
            _ => return Err(stream.fail(format!("expected traversal 0 or 2, found {kind}"))),
        };
        let starts = Starts::open(stream)?;
        let seams = (0..counts.attributes).map(|_| Flags::open(stream, "seams")).collect::<Result<_>>()?;
        let coding = match (kind, bits) {
            (0, Some(bits)) => Coding::Standard(bits),
            (_, first) => {
                if stream.minor < 2 {
                    stream.varint("the number of splits")?;
                    match stream.u8("the mode of valences")? {
                        0 => {}
                        mode => return Err(stream.fail(format!("expected mode 0 of valences, found {mode}"))),
                    }
                }
                let mut left = counts.symbols;
                let mut contexts = [const { Vec::new() }; 6];
                for context in &mut contexts {
                    let count = stream.varint(SYMBOLS)?;
                    left = left.checked_sub(count).ok_or_else(|| {
                        stream.fail(format!("expected {} symbols of the traversal, found more", counts.symbols))
                    })?;
                    *context = memory.vec(0_i32, count as usize)?;
                    symbols::decode(stream, 1, context, memory)?;
                }
                let valences = Valences(memory.vec(0, counts.vertices as usize)?);
                Coding::Valence { first, contexts, valences, context: None }
            }
        };
        Ok(Self { coding, starts, seams })
    }

    pub(super) fn read(&mut self, stream: &Stream<'_>) -> Result<Symbol> {
        match &mut self.coding {
            Coding::Standard(bits) => standard(bits),
            Coding::Valence { first, contexts, context, .. } => match (context, first) {
                (Some(context), _) => match contexts[*context].pop() {
                    Some(0) => Ok(Symbol::C),
                    Some(1) => Ok(Symbol::S),
                    Some(2) => Ok(Symbol::L),
                    Some(3) => Ok(Symbol::R),
                    Some(4) => Ok(Symbol::E),
                    Some(other) => Err(stream.fail(format!("expected symbol 0 to 4 of the traversal, found {other}"))),
                    None => Err(stream.fail("expected another symbol of the traversal, found the end")),
                },
                (None, Some(bits)) => standard(bits),
                (None, None) => Ok(Symbol::E),
            },
        }
    }

    /// A face with `symbol` was made, and `corner` is where the next one hangs on.
    pub(super) fn reached(&mut self, symbol: Symbol, corner: u32, corners: &Corners) {
        if let Coding::Valence { valences, context, .. } = &mut self.coding {
            valences.reached(symbol, corner, corners);
            *context = Some(valences.ahead(corner, corners).clamp(2, 7) as usize - 2);
        }
    }

    /// All edges of `from` are now those of `to`.
    pub(super) fn merged(&mut self, to: u32, from: u32) {
        if let Coding::Valence { valences, .. } = &mut self.coding {
            valences.add(to, valences.0[from as usize]);
        }
    }
}

/// 0, or 1 and two bits more.
fn standard(bits: &mut Bits<'_>) -> Result<Symbol> {
    if bits.read(1)? == 0 {
        return Ok(Symbol::C);
    }
    Ok([Symbol::S, Symbol::L, Symbol::R, Symbol::E][bits.read(2)? as usize])
}
