//! Boxes: size, type, body. Read where they stand; nothing is loaded but what is asked for.

use mediary_core::{Context, Error, Result, Source};

/// A four-character code.
pub(super) type Code = [u8; 4];

/// Bytes that one read fetches, so that neighbouring fields take one read.
const WINDOW: usize = 8 << 10;
/// Boxes of one input: fragmented files of hours stay below.
const MOST_BOXES: u64 = 1 << 24;

/// A box: from `start`, with its body from `body` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom {
    pub(super) code: Code,
    pub(super) start: u64,
    pub(super) body: u64,
    pub(super) end: u64,
}

impl Atom {
    /// Bytes of the body.
    pub(super) fn len(&self) -> u64 {
        self.end - self.body
    }

    /// The code as text: printable characters, Latin-1 (`©nam`), others escaped.
    pub(super) fn name(&self) -> String {
        name(self.code)
    }
}

/// A code as text: Latin-1, control characters escaped.
pub(super) fn name(code: Code) -> String {
    code.iter()
        .map(|&byte| match byte {
            0x20..=0x7E | 0xA1..=0xFF => char::from(byte).to_string(),
            _ => byte.escape_ascii().to_string(),
        })
        .collect()
}

/// Random access to big-endian fields of the source.
pub(super) struct Fields {
    source: Source,
    cx: Context,
    window: Vec<u8>,
    window_at: u64,
    boxes: u64,
}

impl Fields {
    pub(super) fn new(source: &Source, cx: &Context) -> Self {
        Self { source: source.clone(), cx: cx.clone(), window: Vec::new(), window_at: 0, boxes: 0 }
    }

    pub(super) fn source_len(&self) -> u64 {
        self.source.len()
    }

    /// `count` bytes at `at`, at most `WINDOW`.
    pub(super) fn bytes(&mut self, at: u64, count: usize) -> Result<&[u8]> {
        let inside = at.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        let inside = inside.filter(|skip| skip + count <= self.window.len());
        let skip = match inside {
            Some(skip) => skip,
            None => {
                self.window.resize(WINDOW.max(count), 0);
                let read = self.source.read_at(at, &mut self.window)?;
                self.window.truncate(read);
                self.window_at = at;
                0
            }
        };
        let found = self.window.len() - skip;
        self.window
            .get(skip..skip + count)
            .ok_or_else(|| Error::truncated("the box", count as u64, found as u64).at_byte(at))
    }

    pub(super) fn u8(&mut self, at: u64) -> Result<u8> {
        Ok(self.bytes(at, 1)?[0])
    }

    pub(super) fn u16(&mut self, at: u64) -> Result<u16> {
        let bytes = self.bytes(at, 2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self, at: u64) -> Result<u32> {
        let bytes = self.bytes(at, 4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u64(&mut self, at: u64) -> Result<u64> {
        Ok(u64::from(self.u32(at)?) << 32 | u64::from(self.u32(at + 4)?))
    }

    /// A field of 64 bits in version 1 of a box, of 32 bits in version 0.
    pub(super) fn wide(&mut self, at: u64, version: u8) -> Result<u64> {
        if version == 1 { self.u64(at) } else { Ok(self.u32(at)?.into()) }
    }

    pub(super) fn code(&mut self, at: u64) -> Result<Code> {
        Ok(self.u32(at)?.to_be_bytes())
    }

    /// Checks that the body of `atom` has at least `count` bytes.
    pub(super) fn need(&self, atom: Atom, count: u64) -> Result<()> {
        if atom.len() >= count {
            return Ok(());
        }
        let message = format!("expected a box {:?} with at least {count} bytes, found {}", atom.name(), atom.len());
        Err(Error::malformed(message).at_byte(atom.start))
    }

    /// The header of the box at `at`. Its end may lie beyond `end`; the caller decides what that means.
    pub(super) fn header(&mut self, at: u64, end: u64) -> Result<Atom> {
        self.boxes += 1;
        if self.boxes.is_multiple_of(1024) {
            self.cx.checkpoint()?;
        }
        if self.boxes > MOST_BOXES {
            return Err(Error::malformed(format!("more than {MOST_BOXES} boxes")).at_byte(at));
        }
        let left = end - at;
        if left < 8 {
            return Err(Error::truncated("a box header", 8, left).at_byte(at));
        }
        let (size, code) = (self.u32(at)?, self.code(at + 4)?);
        let (header, size) = match size {
            0 => (8, left),
            1 if left < 16 => return Err(Error::truncated("a box header", 16, left).at_byte(at)),
            1 => (16, self.u64(at + 8)?),
            size => (8, size.into()),
        };
        let stop = at.checked_add(size).filter(|_| size >= header).ok_or_else(|| {
            Error::malformed(format!("expected a box {:?} of at least {header} bytes, found {size}", name(code)))
                .at_byte(at)
        })?;
        Ok(Atom { code, start: at, body: at + header, end: stop })
    }

    /// The boxes from `at` to `end`, which lie inside `end`. Up to 7 bytes at the end that are no box are left out: QuickTime
    /// ends some lists with a zero of 32 bits.
    pub(super) fn children(&mut self, at: u64, end: u64) -> Result<Vec<Atom>> {
        let mut children = Vec::new();
        let mut at = at;
        while at + 8 <= end {
            let child = self.header(at, end)?;
            if child.end > end {
                let message = format!("the box {:?} is longer than the box around it", child.name());
                return Err(Error::malformed(message).at_byte(at));
            }
            self.cx.budget().take(size_of::<Atom>() as u64)?;
            children.push(child);
            at = child.end;
        }
        // A list lives while its box is read; what counts is that no single one is too long.
        self.cx.budget().give_back((children.len() * size_of::<Atom>()) as u64);
        Ok(children)
    }

    /// The boxes inside `atom`.
    pub(super) fn inside(&mut self, atom: Atom) -> Result<Vec<Atom>> {
        self.children(atom.body, atom.end)
    }

    /// Calls `visit` with the offset of each of `count` entries of `size` bytes from `at` on.
    pub(super) fn entries(
        &mut self,
        at: u64,
        count: u32,
        size: u64,
        mut visit: impl FnMut(&mut Self, u64) -> Result<()>,
    ) -> Result<()> {
        for number in 0..u64::from(count) {
            if number % (1 << 16) == 0 {
                self.cx.checkpoint()?;
            }
            visit(self, at + number * size)?;
        }
        Ok(())
    }
}

/// The box of this code.
pub(super) fn find(children: &[Atom], code: &Code) -> Option<Atom> {
    children.iter().find(|child| &child.code == code).copied()
}
