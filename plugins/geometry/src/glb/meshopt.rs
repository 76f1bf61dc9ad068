//! Decoding of buffer views compressed with `EXT_meshopt_compression`, bitstream version 0 of attributes, 1 of indices.
//!
//! Specification: <https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Vendor/EXT_meshopt_compression>, appendices A
//! (bitstream) and B (filters). Names are those of the specification.
//!
//! | mode | first byte | then | tail |
//! |---|---|---|---|
//! | `ATTRIBUTES` | `0xa0` | blocks of up to 256 elements, byte plane by byte plane | first element, at least 32 bytes |
//! | `TRIANGLES` | `0xe1` | a code a triangle, then data | 16 bytes, the code table |
//! | `INDICES` | `0xd1` | a variable-length delta an index | 4 bytes |

use mediary_core::{Context, Error, Result};

/// How elements are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Attributes,
    Triangles,
    Indices,
}

impl Mode {
    /// The mode of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ATTRIBUTES" => Self::Attributes,
            "TRIANGLES" => Self::Triangles,
            "INDICES" => Self::Indices,
            _ => return None,
        })
    }
}

/// What is done to the elements after decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filter {
    #[default]
    None,
    Octahedral,
    Quaternion,
    Exponential,
}

impl Filter {
    /// The filter of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "NONE" => Self::None,
            "OCTAHEDRAL" => Self::Octahedral,
            "QUATERNION" => Self::Quaternion,
            "EXPONENTIAL" => Self::Exponential,
            _ => return None,
        })
    }
}

/// Decodes `count` elements of `stride` bytes.
///
/// # Errors
/// `Malformed` when the stream breaks its specification or ends early, `Limit` when the budget is too small.
pub(super) fn decode(
    data: &[u8],
    mode: Mode,
    filter: Filter,
    count: usize,
    stride: usize,
    cx: &Context,
) -> Result<Vec<u8>> {
    let size = (count as u64).saturating_mul(stride as u64);
    cx.limits().check("elements", count as u64)?;
    // The densest stream spends two bits a group of 16 values: more is no data but a count that lies.
    if size / 64 > data.len() as u64 {
        return Err(Error::malformed(format!("{} compressed bytes cannot hold {size} bytes", data.len())));
    }
    cx.budget().take(size)?;
    let legal_stride = match mode {
        Mode::Attributes => stride > 0 && stride <= 256 && stride.is_multiple_of(4),
        Mode::Triangles => (stride == 2 || stride == 4) && count.is_multiple_of(3),
        Mode::Indices => stride == 2 || stride == 4,
    };
    if !legal_stride {
        return Err(Error::malformed(format!("{mode:?}: {count} elements of {stride} bytes are not allowed")));
    }
    let mut elements = match mode {
        Mode::Attributes => attributes(data, count, stride)?,
        Mode::Triangles => pack(&triangles(data, count)?, stride),
        Mode::Indices => pack(&indices(data, count)?, stride),
    };
    apply(filter, &mut elements, stride)?;
    Ok(elements)
}

/// Reads bytes; the end is an error.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err(Error::truncated("the compressed stream", count as u64, self.0.len() as u64));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 of at most 32 bits.
    fn varint(&mut self) -> Result<u32> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 127).checked_shl(shift).unwrap_or(0);
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(Error::malformed("a variable-length integer has more than 5 bytes"))
    }
}

fn header<'a>(data: &'a [u8], expected: u8, tail: usize) -> Result<(Input<'a>, &'a [u8])> {
    match data.first() {
        Some(&found) if found == expected => {}
        Some(&found) => {
            return Err(Error::malformed(format!("expected the first byte {expected:#04x}, found {found:#04x}"))
                .with_hint("later versions of the codec are not supported"));
        }
        None => return Err(Error::truncated("the compressed stream", 1, 0)),
    }
    let body = &data[1..];
    match body.len().checked_sub(tail) {
        Some(at) => Ok((Input(&body[..at]), &body[at..])),
        None => Err(Error::truncated("the compressed stream", tail as u64, body.len() as u64)),
    }
}

/// Undoes the zigzag of a byte.
fn unzigzag8(value: u8) -> u8 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Undoes the zigzag of an index delta.
fn unzigzag32(value: u32) -> u32 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

fn attributes(data: &[u8], count: usize, stride: usize) -> Result<Vec<u8>> {
    const GROUP: usize = 16;
    let (mut input, tail) = header(data, 0xa0, stride.max(32))?;
    let mut last = tail[tail.len() - stride..].to_vec();
    let mut out = vec![0; count * stride];
    let block_elements = ((8192 / stride) & !15).min(256);
    let mut plane = [0_u8; 256];
    for block in out.chunks_mut(block_elements * stride) {
        let elements = block.len() / stride;
        let groups = elements.div_ceil(GROUP);
        for (k, last) in last.iter_mut().enumerate() {
            let modes = input.take(groups.div_ceil(4))?;
            for (group, values) in plane[..groups * GROUP].chunks_exact_mut(GROUP).enumerate() {
                decode_group(&mut input, modes[group / 4] >> (group % 4 * 2) & 3, values)?;
            }
            for (element, delta) in block.chunks_exact_mut(stride).zip(&plane) {
                *last = last.wrapping_add(unzigzag8(*delta));
                element[k] = *last;
            }
        }
    }
    Ok(out)
}

/// Decodes 16 deltas: all zero; 2 or 4 bits each, high bits first, all ones for a byte that follows; or plain.
fn decode_group(input: &mut Input<'_>, mode: u8, values: &mut [u8]) -> Result<()> {
    let bits = match mode {
        0 => {
            values.fill(0);
            return Ok(());
        }
        3 => {
            values.copy_from_slice(input.take(values.len())?);
            return Ok(());
        }
        mode => usize::from(mode) * 2,
    };
    let packed = input.take(values.len() * bits / 8)?;
    let sentinel = (1_u8 << bits) - 1;
    for (i, value) in values.iter_mut().enumerate() {
        let byte = packed[i * bits / 8];
        *value = byte >> (8 - bits - i * bits % 8) & sentinel;
        if *value == sentinel {
            *value = input.byte()?;
        }
    }
    Ok(())
}

/// The last 16 edges and vertices; positions count back from the newest.
#[derive(Default)]
struct Fifos {
    edges: [[u32; 2]; 16],
    edge: usize,
    vertices: [u32; 16],
    vertex: usize,
}

impl Fifos {
    fn push_edge(&mut self, a: u32, b: u32) {
        self.edges[self.edge] = [a, b];
        self.edge = (self.edge + 1) & 15;
    }

    fn push_vertex(&mut self, vertex: u32) {
        self.vertices[self.vertex] = vertex;
        self.vertex = (self.vertex + 1) & 15;
    }

    fn edge(&self, back: u8) -> [u32; 2] {
        self.edges[self.edge.wrapping_sub(1 + usize::from(back)) & 15]
    }

    fn vertex(&self, back: u8) -> u32 {
        self.vertices[self.vertex.wrapping_sub(usize::from(back)) & 15]
    }
}

fn triangles(data: &[u8], count: usize) -> Result<Vec<u32>> {
    let (mut input, table) = header(data, 0xe1, 16)?;
    let codes = input.take(count / 3)?;
    let mut out = Vec::with_capacity(count);
    let mut fifos = Fifos::default();
    let (mut next, mut last) = (0_u32, 0_u32);
    let fresh = |next: &mut u32| {
        let vertex = *next;
        *next = next.wrapping_add(1);
        vertex
    };
    for &code in codes {
        if code < 0xf0 {
            let [a, b] = fifos.edge(code >> 4);
            let c = match code & 15 {
                0 => {
                    let c = fresh(&mut next);
                    fifos.push_vertex(c);
                    c
                }
                back @ 1..13 => fifos.vertex(back + 1),
                how => {
                    last = match how {
                        13 => last.wrapping_sub(1),
                        14 => last.wrapping_add(1),
                        _ => last.wrapping_add(unzigzag32(input.varint()?)),
                    };
                    fifos.push_vertex(last);
                    last
                }
            };
            fifos.push_edge(c, b);
            fifos.push_edge(a, c);
            out.extend([a, b, c]);
            continue;
        }
        // A triangle of which no edge is known: each corner is new (0), recent (1 to 14) or written out (15).
        let (how_a, rest) = if code < 0xfe {
            (0, table[usize::from(code & 15)])
        } else {
            (if code == 0xfe { 0 } else { 15 }, input.byte()?)
        };
        if code >= 0xfe && rest == 0 {
            next = 0;
        }
        let hows = [how_a, rest >> 4, rest & 15];
        let mut corners = [0; 3];
        for (corner, how) in corners.iter_mut().zip(hows) {
            *corner = match how {
                0 => fresh(&mut next),
                15 => 0,
                back => fifos.vertex(back),
            };
        }
        for (corner, how) in corners.iter_mut().zip(hows) {
            if how == 15 {
                last = last.wrapping_add(unzigzag32(input.varint()?));
                *corner = last;
            }
        }
        for (corner, how) in corners.into_iter().zip(hows) {
            if how == 0 || how == 15 {
                fifos.push_vertex(corner);
            }
        }
        let [a, b, c] = corners;
        fifos.push_edge(b, a);
        fifos.push_edge(c, b);
        fifos.push_edge(a, c);
        out.extend(corners);
    }
    Ok(out)
}

fn indices(data: &[u8], count: usize) -> Result<Vec<u32>> {
    let (mut input, _) = header(data, 0xd1, 4)?;
    let mut last = [0_u32; 2];
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let value = input.varint()?;
        let baseline = &mut last[(value & 1) as usize];
        *baseline = baseline.wrapping_add(unzigzag32(value >> 1));
        out.push(*baseline);
    }
    Ok(out)
}

fn pack(indices: &[u32], stride: usize) -> Vec<u8> {
    indices.iter().flat_map(|index| index.to_le_bytes().into_iter().take(stride)).collect()
}

fn apply(filter: Filter, elements: &mut [u8], stride: usize) -> Result<()> {
    let legal = match filter {
        Filter::None => return Ok(()),
        Filter::Octahedral => stride == 4 || stride == 8,
        Filter::Quaternion => stride == 8,
        Filter::Exponential => stride.is_multiple_of(4),
    };
    if !legal {
        return Err(Error::malformed(format!("filter {filter:?} does not apply to elements of {stride} bytes")));
    }
    match filter {
        Filter::Octahedral if stride == 4 => {
            for element in elements.chunks_exact_mut(4) {
                let [x, y, one, _] = [0, 1, 2, 3].map(|i| f32::from(element[i].cast_signed()));
                for (value, unit) in element.iter_mut().zip(octahedral(x, y, one)) {
                    *value = ((unit * 127.0).round() as i8).cast_unsigned();
                }
            }
        }
        Filter::Octahedral => {
            for element in elements.chunks_exact_mut(8) {
                let [x, y, one, _] = shorts(element).map(f32::from);
                let units = octahedral(x, y, one).map(|unit| (unit * 32767.0).round() as i16);
                for (value, unit) in element.chunks_exact_mut(2).zip(units) {
                    value.copy_from_slice(&unit.to_le_bytes());
                }
            }
        }
        Filter::Quaternion => {
            for element in elements.chunks_exact_mut(8) {
                let stored = shorts(element);
                let scale = std::f32::consts::FRAC_1_SQRT_2 / f32::from(stored[3] | 3);
                let [x, y, z] = [0, 1, 2].map(|i| f32::from(stored[i]) * scale);
                let w = (1.0 - x * x - y * y - z * z).max(0.0).sqrt();
                let largest = (stored[3] & 3) as usize;
                for (offset, value) in [w, x, y, z].into_iter().enumerate() {
                    let at = (largest + offset) % 4 * 2;
                    element[at..at + 2].copy_from_slice(&((value * 32767.0).round() as i16).to_le_bytes());
                }
            }
        }
        Filter::Exponential | Filter::None => {
            for word in elements.chunks_exact_mut(4) {
                let stored = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                let (exponent, mantissa) = (stored >> 24, stored << 8 >> 8);
                let value = f64::from(mantissa) * 2_f64.powi(exponent);
                word.copy_from_slice(&(value as f32).to_le_bytes());
            }
        }
    }
    Ok(())
}

fn shorts(element: &[u8]) -> [i16; 4] {
    [0, 2, 4, 6].map(|at| i16::from_le_bytes([element[at], element[at + 1]]))
}

/// The unit vector of octahedral coordinates, of which `one` stands for 1.
fn octahedral(x: f32, y: f32, one: f32) -> [f32; 3] {
    let (mut x, mut y) = (x / one.max(1.0), y / one.max(1.0));
    let z = 1.0 - x.abs() - y.abs();
    // The lower half is folded over the diagonals.
    let fold = z.min(0.0);
    x += if x >= 0.0 { fold } else { -fold };
    y += if y >= 0.0 { fold } else { -fold };
    let length = (x * x + y * y + z * z).sqrt().max(f32::MIN_POSITIVE);
    [x / length, y / length, z / length]
}
