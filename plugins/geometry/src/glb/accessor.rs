//! Accessors: typed views of buffers. Every offset, stride and count is checked in 64-bit arithmetic against the bytes there
//! before anything is allocated or read.

use std::ops::{Deref, Range};

use mediary_core::{Context, Error, ErrorKind, Location, Result, Source, SourceBytes};

use super::document::{Accessor, Document, Int};
use super::uri::Uri;

pub(super) const BYTE: u64 = 5120;
pub(super) const UNSIGNED_BYTE: u64 = 5121;
pub(super) const SHORT: u64 = 5122;
pub(super) const UNSIGNED_SHORT: u64 = 5123;
pub(super) const UNSIGNED_INT: u64 = 5125;
pub(super) const FLOAT: u64 = 5126;

/// `componentType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    I8,
    U8,
    I16,
    U16,
    U32,
    F32,
}

impl Component {
    fn of(code: Int) -> Option<Self> {
        Some(match code.0 {
            BYTE => Self::I8,
            UNSIGNED_BYTE => Self::U8,
            SHORT => Self::I16,
            UNSIGNED_SHORT => Self::U16,
            UNSIGNED_INT => Self::U32,
            FLOAT => Self::F32,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::U32 | Self::F32 => 4,
        }
    }
}

/// Components of an element of `kind`, columns of matrices end to end.
pub(super) fn width(kind: &str) -> Option<usize> {
    Some(match kind {
        "SCALAR" => 1,
        "VEC2" => 2,
        "VEC3" => 3,
        "VEC4" | "MAT2" => 4,
        "MAT3" => 9,
        "MAT4" => 16,
        _ => return None,
    })
}

/// The bytes of one buffer.
enum Bytes {
    Chunk(SourceBytes, Range<usize>),
    Owned(Vec<u8>),
    Sibling(SourceBytes),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Chunk(bytes, range) => bytes.get(range.clone()).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
            Self::Sibling(bytes) => bytes,
        }
    }
}

/// The buffers of a document; one without bytes is an error only when it is used.
#[derive(Default)]
pub(super) struct Buffers(Vec<Option<Bytes>>);

impl Buffers {
    /// Opens all buffers and takes their URIs, which may be as long as they. `bin` is the range of the binary chunk, which is
    /// the first buffer when that has no URI.
    pub(super) fn open(
        document: &mut Document,
        source: &Source,
        bin: Option<&Range<u64>>,
        cx: &Context,
    ) -> Result<Self> {
        let mut list = Vec::new();
        for (number, buffer) in document.buffers.iter_mut().enumerate() {
            let uri = buffer.uri.take();
            let path = || Location::element(format!("buffers[{number}]"));
            let bytes = match (&uri, bin) {
                (Some(text), _) => match Uri::parse(text, cx).map_err(|error| error.at(path()))? {
                    Uri::Data(_, bytes) => Some(Bytes::Owned(bytes)),
                    Uri::File(name) => match source.sibling(&name, cx).and_then(|sibling| sibling.bytes(cx)) {
                        Ok(bytes) => Some(Bytes::Sibling(bytes)),
                        Err(error) => {
                            // A buffer that is not there is a fault of the file, not of the disk.
                            let error = match error.kind() {
                                ErrorKind::Io => Error::malformed(error.message()).caused_by(error),
                                _ => error,
                            };
                            cx.unless_lenient("missing-buffer", error.at(path()))?;
                            None
                        }
                    },
                },
                (None, Some(bin)) if number == 0 => {
                    let [start, end] = [bin.start, bin.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
                    Some(Bytes::Chunk(source.bytes(cx)?, start..end))
                }
                (None, _) => None,
            };
            if let Some(bytes) = &bytes {
                let (expected, found) = (buffer.byte_length.0, bytes.len() as u64);
                if expected > found {
                    cx.unless_lenient("short-buffer", Error::truncated("the buffer", expected, found).at(path()))?;
                } else if uri.is_none() && found - expected > 3 {
                    let message = format!("the binary chunk has {} bytes more than the buffer", found - expected);
                    cx.tolerate("long-chunk", message, path())?;
                }
            }
            list.push(bytes);
        }
        Ok(Self(list))
    }

    /// Adds a buffer and gives its number.
    pub(super) fn push(&mut self, bytes: Vec<u8>) -> Int {
        self.0.push(Some(Bytes::Owned(bytes)));
        Int(self.0.len() as u64 - 1)
    }

    /// `length` bytes of a buffer from `offset` on.
    pub(super) fn slice(&self, buffer: Int, offset: Int, length: Int, path: &str) -> Result<&[u8]> {
        let wrong = |message: String| Error::malformed(message).at_element(path.to_owned());
        let known = usize::try_from(buffer.0).ok().and_then(|buffer| self.0.get(buffer));
        let bytes: &[u8] = match known {
            None => return Err(wrong(format!("buffer {} is out of range: there are {}", buffer.0, self.0.len()))),
            Some(None) => return Err(wrong(format!("buffer {} has no bytes", buffer.0))),
            Some(Some(bytes)) => bytes,
        };
        offset
            .0
            .checked_add(length.0)
            .filter(|&end| end <= bytes.len() as u64)
            .and_then(|end| bytes.get(usize::try_from(offset.0).ok()?..usize::try_from(end).ok()?))
            .ok_or_else(|| {
                wrong(format!("{} bytes from {} exceed the buffer of {} bytes", length.0, offset.0, bytes.len()))
            })
    }
}

/// Reads accessors.
pub(super) struct Accessors<'a> {
    pub(super) document: &'a Document,
    pub(super) buffers: &'a Buffers,
    pub(super) cx: &'a Context,
}

/// A checked accessor: what it takes to read it.
struct Layout<'a> {
    path: String,
    /// `None` stands for zeros.
    bytes: Option<&'a [u8]>,
    count: usize,
    stride: usize,
    width: usize,
    component: Component,
    normalized: bool,
    sparse: Option<SparseLayout<'a>>,
}

struct SparseLayout<'a> {
    count: usize,
    indices: &'a [u8],
    index_component: Component,
    values: &'a [u8],
}

impl<'a> Accessors<'a> {
    /// The accessor of this index.
    pub(super) fn get(&self, index: Int, path: &str) -> Result<&'a Accessor> {
        let accessors = &self.document.accessors;
        usize::try_from(index.0).ok().and_then(|index| accessors.get(index)).ok_or_else(|| {
            Error::malformed(format!("accessor {} is out of range: there are {}", index.0, accessors.len()))
                .at_element(path.to_owned())
        })
    }

    /// The bytes of a buffer view, and its stride.
    pub(super) fn view(&self, index: Int, path: &str) -> Result<(&'a [u8], Option<u64>)> {
        let views = &self.document.buffer_views;
        let view = usize::try_from(index.0).ok().and_then(|index| views.get(index)).ok_or_else(|| {
            Error::malformed(format!("buffer view {} is out of range: there are {}", index.0, views.len()))
                .at_element(path.to_owned())
        })?;
        let path = format!("bufferViews[{}]", index.0);
        let slice = self.buffers.slice(view.buffer, view.byte_offset, view.byte_length, &path)?;
        Ok((slice, view.byte_stride.map(|stride| stride.0)))
    }

    fn layout(&self, index: Int, kinds: &[&str], path: &str) -> Result<Layout<'a>> {
        let accessor = self.get(index, path)?;
        let path = format!("accessors[{}]", index.0);
        let wrong = |message: String| Error::malformed(message).at_element(path.clone());
        let component = Component::of(accessor.component_type).ok_or_else(|| {
            wrong(format!("unknown component type {}: expected 5120 to 5123, 5125 or 5126", accessor.component_type.0))
        })?;
        let width = width(&accessor.kind)
            .filter(|_| kinds.contains(&accessor.kind.as_str()))
            .ok_or_else(|| wrong(format!("expected type {}, found {:?}", kinds.join(" or "), accessor.kind)))?;
        self.cx.limits().check("elements", accessor.count.0).map_err(|error| error.at_element(path.clone()))?;
        let count = usize::try_from(accessor.count.0).unwrap_or(usize::MAX);
        let size = (width * component.size()) as u64;
        let (mut bytes, mut stride) = (None, size);
        if let Some(view) = accessor.buffer_view {
            let (slice, declared) = self.view(view, &path)?;
            if let Some(declared) = declared {
                if declared < size {
                    return Err(wrong(format!("a byte stride of {declared} is less than the element's {size} bytes")));
                }
                stride = declared;
            }
            bytes = Some(self.window(slice, accessor.byte_offset, accessor.count, stride, size, &path)?);
            if accessor.byte_offset.0 % component.size() as u64 != 0 || stride % component.size() as u64 != 0 {
                let message =
                    format!("offset {} or stride {stride} is not aligned to the component", accessor.byte_offset.0);
                self.cx.tolerate("alignment", message, Location::element(path.clone()))?;
            }
        }
        let sparse = match &accessor.sparse {
            None => None,
            Some(sparse) => {
                if sparse.count > accessor.count {
                    return Err(wrong(format!("{} sparse values for {count} elements", sparse.count.0)));
                }
                let index_component = Component::of(sparse.indices.component_type)
                    .filter(|component| matches!(component, Component::U8 | Component::U16 | Component::U32))
                    .ok_or_else(|| wrong("sparse indices must be unsigned integers".into()))?;
                let (indices, _) = self.view(sparse.indices.buffer_view, &path)?;
                let (values, _) = self.view(sparse.values.buffer_view, &path)?;
                let bytes = index_component.size() as u64;
                Some(SparseLayout {
                    count: usize::try_from(sparse.count.0).unwrap_or(usize::MAX),
                    indices: self.window(indices, sparse.indices.byte_offset, sparse.count, bytes, bytes, &path)?,
                    index_component,
                    values: self.window(values, sparse.values.byte_offset, sparse.count, size, size, &path)?,
                })
            }
        };
        let stride = usize::try_from(stride).unwrap_or(usize::MAX);
        Ok(Layout { path, bytes, count, stride, width, component, normalized: accessor.normalized, sparse })
    }

    /// The bytes from `offset` on, after checking that `count` elements fit.
    fn window(&self, view: &'a [u8], offset: Int, count: Int, stride: u64, size: u64, path: &str) -> Result<&'a [u8]> {
        let needed = match count.0.checked_sub(1) {
            None => Some(0),
            Some(steps) => steps.checked_mul(stride).and_then(|bytes| bytes.checked_add(size)),
        };
        needed
            .and_then(|needed| needed.checked_add(offset.0))
            .filter(|&end| end <= view.len() as u64)
            .and_then(|end| view.get(usize::try_from(offset.0).ok()?..usize::try_from(end).ok()?))
            .ok_or_else(|| {
                Error::malformed(format!(
                    "{} elements of {size} bytes from {} exceed the buffer view of {} bytes",
                    count.0,
                    offset.0,
                    view.len()
                ))
                .at_element(path.to_owned())
            })
    }

    /// Elements as arrays of `N`; components the accessor lacks keep the value of `fill`.
    fn elements<const N: usize, T: Copy>(
        &self,
        layout: &Layout<'_>,
        fill: [T; N],
        zero: T,
        get: impl Fn(&[u8]) -> T,
    ) -> Result<Vec<[T; N]>> {
        self.cx.checkpoint()?;
        self.cx.budget().take((layout.count as u64).saturating_mul(size_of::<[T; N]>() as u64))?;
        let (width, size) = (layout.width.min(N), layout.component.size());
        let element = |bytes: &[u8]| {
            let mut out = fill;
            for (slot, bytes) in out[..width].iter_mut().zip(bytes.chunks_exact(size)) {
                *slot = get(bytes);
            }
            out
        };
        let mut out: Vec<[T; N]> = match layout.bytes {
            Some(bytes) if layout.stride == layout.width * size => {
                bytes.chunks_exact(layout.stride).take(layout.count).map(element).collect()
            }
            Some(bytes) => (0..layout.count).map(|at| element(&bytes[at * layout.stride..])).collect(),
            None => {
                let mut zeros = fill;
                zeros[..width].fill(zero);
                vec![zeros; layout.count]
            }
        };
        if let Some(sparse) = &layout.sparse {
            let size = sparse.index_component.size();
            let values = sparse.values.chunks_exact(layout.width * layout.component.size());
            let mut next = 0;
            for (bytes, value) in sparse.indices.chunks_exact(size).zip(values).take(sparse.count) {
                let at = unsigned(bytes) as usize;
                if at < next || at >= out.len() {
                    let message =
                        format!("sparse index {at}: expected indices that rise strictly and stay below {}", out.len());
                    return Err(Error::malformed(message).at_element(layout.path.clone()));
                }
                out[at] = element(value);
                next = at + 1;
            }
        }
        Ok(out)
    }

    /// Elements as floats: integers are normalized where the accessor says so and widened otherwise
    /// (KHR_mesh_quantization).
    pub(super) fn floats<const N: usize>(
        &self,
        index: Int,
        kinds: &[&str],
        fill: [f32; N],
        path: &str,
    ) -> Result<Vec<[f32; N]>> {
        let layout = self.layout(index, kinds, path)?;
        let signed = |value: f32, largest: f32| (value / largest).max(-1.0);
        match (layout.component, layout.normalized) {
            (Component::F32, _) => {
                self.elements(&layout, fill, 0.0, |b| f32::from_le_bytes(b.try_into().unwrap_or_default()))
            }
            (Component::I8, true) => self.elements(&layout, fill, 0.0, |b| signed(f32::from(b[0] as i8), 127.0)),
            (Component::I8, false) => self.elements(&layout, fill, 0.0, |b| f32::from(b[0] as i8)),
            (Component::I16, true) => {
                self.elements(&layout, fill, 0.0, |b| signed(f32::from(unsigned(b) as i16), 32767.0))
            }
            (Component::I16, false) => self.elements(&layout, fill, 0.0, |b| f32::from(unsigned(b) as i16)),
            (Component::U8, true) => self.elements(&layout, fill, 0.0, |b| f32::from(b[0]) / 255.0),
            (Component::U16, true) => self.elements(&layout, fill, 0.0, |b| f32::from(unsigned(b) as u16) / 65535.0),
            (Component::U8 | Component::U16 | Component::U32, _) => {
                self.elements(&layout, fill, 0.0, |b| unsigned(b) as f32)
            }
        }
    }

    /// Elements as unsigned integers.
    pub(super) fn integers<const N: usize>(&self, index: Int, kinds: &[&str], path: &str) -> Result<Vec<[u32; N]>> {
        let layout = self.layout(index, kinds, path)?;
        match layout.component {
            Component::U8 => self.elements(&layout, [0; N], 0, |b| b[0].into()),
            Component::U16 => self.elements(&layout, [0; N], 0, |b| u16::from_le_bytes([b[0], b[1]]).into()),
            Component::U32 => self.elements(&layout, [0; N], 0, unsigned),
            _ => Err(Error::malformed("expected unsigned integers").at_element(layout.path)),
        }
    }
}

/// A little-endian integer of 1, 2 or 4 bytes.
fn unsigned(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u32::from(byte))
}
