//! The boxes of ISO/IEC 14496-12, and the numbers in them.

use mediary_core::{Error, Result};

/// A box: its type, its body, and where the body begins in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom<'b> {
    pub(crate) kind: [u8; 4],
    pub(crate) body: &'b [u8],
    pub(crate) at: u64,
}

impl<'b> Atom<'b> {
    /// The boxes within, from byte `skip` of the body on.
    pub(crate) fn children(&self, skip: usize) -> Result<Atoms<'b>> {
        let body = self.body.get(skip..).ok_or_else(|| self.short())?;
        Ok(Atoms { rest: body, at: self.at + skip as u64 })
    }

    /// The first box of this type within, from byte `skip` of the body on.
    pub(crate) fn find(&self, kind: &[u8; 4], skip: usize) -> Result<Option<Atom<'b>>> {
        for child in self.children(skip)? {
            let child = child?;
            if child.kind == *kind {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// As [`find`](Self::find), of a box that must be there.
    pub(crate) fn need(&self, kind: &[u8; 4], skip: usize) -> Result<Atom<'b>> {
        self.find(kind, skip)?.ok_or_else(|| {
            let (inner, outer) = (kind.escape_ascii(), self.kind.escape_ascii());
            Error::malformed(format!("expected a box {inner} in {outer}, found none")).at_byte(self.at)
        })
    }

    pub(crate) fn fields(&self) -> Fields<'b> {
        Fields { kind: self.kind, body: self.body, rest: self.body, at: self.at }
    }

    fn short(&self) -> Error {
        Error::malformed(format!("the box {} ends early", self.kind.escape_ascii())).at_byte(self.at)
    }
}

/// Boxes one after the other.
pub(crate) struct Atoms<'b> {
    rest: &'b [u8],
    at: u64,
}

impl<'b> Atoms<'b> {
    /// The boxes of a file.
    pub(crate) fn of_file(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    fn take(&mut self) -> Result<Atom<'b>> {
        let (at, left) = (self.at, self.rest.len() as u64);
        let whole = self.rest;
        let mut head = Fields { kind: *b"box ", body: whole, rest: whole, at };
        let size = u64::from(head.u32()?);
        let kind = head.array::<4>()?;
        let size = match size {
            0 => left,
            1 => head.uint(8)?,
            size => size,
        };
        let skip = (whole.len() - head.rest.len()) as u64;
        if size < skip {
            return Err(Error::malformed(format!("a box of {size} bytes cannot hold its head")).at_byte(at));
        }
        if size > left {
            let name = kind.escape_ascii();
            return Err(Error::truncated(&format!("the box {name}"), size, left)
                .at_byte(at)
                .with_hint("the file is cut short; fetch or copy it again"));
        }
        self.rest = &whole[size as usize..];
        self.at += size;
        Ok(Atom { kind, body: &whole[skip as usize..size as usize], at: at + skip })
    }
}

impl<'b> Iterator for Atoms<'b> {
    type Item = Result<Atom<'b>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take();
        if taken.is_err() {
            self.rest = &[];
        }
        Some(taken)
    }
}

/// The fields of a box, read one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'b> {
    kind: [u8; 4],
    body: &'b [u8],
    pub(crate) rest: &'b [u8],
    at: u64,
}

impl<'b> Fields<'b> {
    /// Those of data that stand alone.
    pub(crate) fn of(kind: [u8; 4], body: &'b [u8]) -> Self {
        Self { kind, body, rest: body, at: 0 }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| {
            let offset = self.at + (self.body.len() - self.rest.len()) as u64;
            Error::truncated(
                &format!("a field of the box {}", self.kind.escape_ascii()),
                count as u64,
                self.rest.len() as u64,
            )
            .at_byte(offset)
        })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A big-endian number of so many bytes, 0 of none.
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Version and flags.
    pub(crate) fn version(&mut self) -> Result<(u8, u32)> {
        let [version, flags @ ..] = self.array::<4>()?;
        Ok((version, flags.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))))
    }

    /// A number of 16 bits, or of 32 where the version says so.
    pub(crate) fn id(&mut self, wide: bool) -> Result<u32> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }

    /// A count of entries of `bytes` each, which must fit into what is left.
    pub(crate) fn count(&mut self, count: u32, bytes: usize) -> Result<usize> {
        let needed = u64::from(count) * bytes as u64;
        if needed > self.rest.len() as u64 {
            let name = self.kind.escape_ascii();
            let text = format!("{count} entries of the box {name} need {needed} bytes, found {}", self.rest.len());
            return Err(Error::malformed(text).at_byte(self.at));
        }
        Ok(count as usize)
    }
}
