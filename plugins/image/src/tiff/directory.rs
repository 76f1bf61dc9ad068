//! The container: header, directories and the values of their tags.

use std::collections::BTreeSet;

use mediary_core::{Context, Error, Location, Result, Severity, Source, Strictness};

use super::tags;
use crate::decode;

/// A file: byte order, and whether offsets have 8 bytes.
#[derive(Clone)]
pub(super) struct Tiff {
    pub(super) source: Source,
    pub(super) big_endian: bool,
    pub(super) wide: bool,
    first: u64,
}

/// One tag: where its values are, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) tag: u16,
    kind: u16,
    count: u64,
    at: u64,
}

/// The tags of one page.
pub(super) struct Directory {
    pub(super) at: u64,
    pub(super) entries: Vec<Entry>,
    /// Where the next directory is, 0 for none; `None` when the file ends before it says.
    next: Option<u64>,
}

/// Where the directories of the pages are.
pub(super) struct Chain {
    /// Those that become records.
    pub(super) pages: Vec<u64>,
    /// Reduced pictures and masks that are set aside.
    pub(super) aside: u64,
    /// Whether there are none but those.
    pub(super) reduced: bool,
    /// Why the chain ends early.
    problem: Option<Error>,
}

impl Tiff {
    pub(super) fn open(source: &Source) -> Result<Self> {
        let mut head = [0; 16];
        let read = source.read_at(0, &mut head)?;
        let big_endian = match &head[..2] {
            b"II" => false,
            b"MM" => true,
            found => {
                return Err(
                    Error::malformed(format!("expected the byte order II or MM, found {found:02x?}")).at_byte(0)
                );
            }
        };
        let mut tiff = Self { source: source.clone(), big_endian, wide: false, first: 0 };
        let needed = match tiff.number(&head[2..4]) {
            42 => {
                tiff.first = tiff.number(&head[4..8]);
                8
            }
            43 => {
                let (size, zero) = (tiff.number(&head[4..6]), tiff.number(&head[6..8]));
                if (size, zero) != (8, 0) {
                    return Err(Error::malformed(format!(
                        "expected offsets of 8 bytes and a 0, found {size} and {zero}"
                    ))
                    .at_byte(4));
                }
                tiff.wide = true;
                tiff.first = tiff.number(&head[8..16]);
                16
            }
            found => {
                return Err(
                    Error::malformed(format!("expected 42 or 43 after the byte order, found {found}")).at_byte(2)
                );
            }
        };
        if read < needed {
            return Err(Error::truncated("the header", needed as u64, read as u64).at_byte(0));
        }
        Ok(tiff)
    }

    /// Fills `buffer` with what stands at `at`.
    pub(super) fn exact(&self, at: u64, buffer: &mut [u8], what: &str) -> Result<()> {
        if at > self.source.len() {
            let text = format!("expected {what} at byte {at}, found the end of the file at {}", self.source.len());
            return Err(Error::malformed(text).at_byte(at).with_hint("the file is cut short; fetch or copy it again"));
        }
        self.source.read_exact_at(at, buffer, what)
    }

    /// Bytes as an unsigned number in the order of the file.
    pub(super) fn number(&self, bytes: &[u8]) -> u64 {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }

    pub(super) fn directory(&self, at: u64, cx: &Context) -> Result<Directory> {
        let (count_bytes, entry_bytes, offset_bytes) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        let mut count = [0; 8];
        self.exact(at, &mut count[..count_bytes], "a directory")?;
        let count = self.number(&count[..count_bytes]);
        let start = at + count_bytes as u64;
        let left = self.source.len().saturating_sub(start);
        let mut entries =
            cx.budget().vec::<Entry>("tags", count, entry_bytes, left).map_err(|error| error.at_byte(at))?;
        let mut block = vec![0; (count * entry_bytes) as usize];
        self.source.read_exact_at(start, &mut block, "a directory")?;
        for (index, entry) in block.chunks_exact(entry_bytes as usize).enumerate() {
            let (kind, count) = (self.number(&entry[2..4]) as u16, self.number(&entry[4..4 + offset_bytes]));
            let place = start + index as u64 * entry_bytes + 4 + offset_bytes as u64;
            let length = count.saturating_mul(size_of_kind(kind));
            let at = if length <= offset_bytes as u64 { place } else { self.number(&entry[4 + offset_bytes..]) };
            entries.push(Entry { tag: self.number(&entry[..2]) as u16, kind, count, at });
        }
        let mut next = [0; 8];
        let read = self.source.read_at(start + block.len() as u64, &mut next[..offset_bytes])?;
        let next = (read == offset_bytes).then(|| self.number(&next[..offset_bytes]));
        Ok(Directory { at, entries, next })
    }

    /// Follows the chain of directories. Unless `all` are asked for, reduced pictures and masks are set aside where there
    /// are others.
    pub(super) fn pages(&self, all: bool, cx: &Context) -> Result<Chain> {
        let mut chain = Chain { pages: Vec::new(), aside: 0, reduced: false, problem: None };
        let (mut seen, mut set_aside) = (BTreeSet::new(), Vec::new());
        let mut next = self.first;
        while next != 0 {
            if seen.len() % 256 == 0 {
                cx.checkpoint()?;
            }
            if !seen.insert(next) {
                let text = format!("the chain of directories comes back to byte {next}");
                chain.problem = Some(Error::malformed(text).at_byte(next));
                break;
            }
            cx.budget().take(64)?;
            match self.directory(next, cx) {
                Ok(directory) => {
                    let aside = !all && self.is_beside(&directory, cx)?;
                    if aside {
                        set_aside.push(next)
                    } else {
                        chain.pages.push(next)
                    }
                    cx.budget().give_back(directory.entries.capacity() as u64 * size_of::<Entry>() as u64);
                    let Some(following) = directory.next else {
                        let text = "expected the offset of the next directory, found the end of the file";
                        chain.problem = Some(Error::malformed(text).at_byte(directory.at));
                        break;
                    };
                    next = following;
                }
                Err(error) if error.kind() == mediary_core::ErrorKind::Malformed && seen.len() > 1 => {
                    chain.problem = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if seen.is_empty() {
            return Err(Error::malformed("expected a directory, found none").at_byte(if self.wide { 8 } else { 4 }));
        }
        if chain.pages.is_empty() {
            chain.pages = set_aside;
            chain.reduced = true;
        } else {
            chain.aside = set_aside.len() as u64;
        }
        Ok(chain)
    }

    /// Whether a page is a smaller copy of another, or its mask (TIFF 6.0, NewSubfileType; of old, SubfileType).
    fn is_beside(&self, directory: &Directory, cx: &Context) -> Result<bool> {
        const MASK_PIXELS: u64 = 4;
        let of = |tag| self.first_number(directory, tag, cx);
        let kind = of(tags::NEW_SUBFILE_TYPE).unwrap_or_default().unwrap_or(0);
        let old = of(tags::SUBFILE_TYPE).unwrap_or_default().unwrap_or(0);
        let pixels = of(tags::PHOTOMETRIC).unwrap_or_default();
        Ok(kind & 0b101 != 0 || old == 2 || pixels == Some(MASK_PIXELS))
    }

    fn value_bytes(&self, entry: &Entry, cx: &Context) -> Result<Vec<u8>> {
        let size = size_of_kind(entry.kind);
        let (length, left) = (entry.count.saturating_mul(size), self.source.len().saturating_sub(entry.at));
        if length > left {
            return Err(Error::truncated("the value of a tag", length, left).at(place(entry)));
        }
        let mut bytes = decode::buffer::<u8>(cx, length)?;
        self.exact(entry.at, &mut bytes, "the value of a tag").map_err(|error| error.at(place(entry)))?;
        Ok(bytes)
    }

    /// The values of an integer tag, whatever the width of the integers.
    pub(super) fn numbers(&self, directory: &Directory, tag: u16, cx: &Context) -> Result<Option<Vec<u64>>> {
        const BYTE: u16 = 1;
        let Some(entry) = directory.entry(tag) else { return Ok(None) };
        let signed = match entry.kind {
            BYTE | 3 | 4 | 13 | 16 | 18 => false,
            6 | 8 | 9 | 17 => true,
            found => {
                return Err(
                    Error::malformed(format!("expected whole numbers, found values of type {found}")).at(place(entry))
                );
            }
        };
        let size = size_of_kind(entry.kind) as usize;
        let bytes = self.value_bytes(entry, cx)?;
        cx.budget().take((bytes.len() / size) as u64 * 8)?;
        let values: Vec<u64> = bytes.chunks_exact(size).map(|value| self.number(value)).collect();
        cx.budget().give_back(bytes.len() as u64);
        if signed && values.iter().any(|value| value >> (8 * size - 1) != 0) {
            return Err(Error::malformed("expected a number that is not negative").at(place(entry)));
        }
        Ok(Some(values))
    }

    /// The first value of an integer tag.
    pub(super) fn first_number(&self, directory: &Directory, tag: u16, cx: &Context) -> Result<Option<u64>> {
        let Some(entry) = directory.entry(tag) else { return Ok(None) };
        let one =
            Directory { at: directory.at, entries: vec![Entry { count: entry.count.min(1), ..*entry }], next: None };
        // A shortened value stands where the whole one does.
        Ok(self.numbers(&one, tag, cx)?.and_then(|values| values.first().copied()))
    }

    /// The values of a tag of numbers of any type.
    pub(super) fn reals(&self, directory: &Directory, tag: u16, cx: &Context) -> Result<Option<Vec<f64>>> {
        let Some(entry) = directory.entry(tag) else { return Ok(None) };
        let size = size_of_kind(entry.kind) as usize;
        let bytes = self.value_bytes(entry, cx)?;
        cx.budget().take((bytes.len() / size) as u64 * 8)?;
        let signed = |bytes: &[u8]| {
            let unused = 64 - 8 * bytes.len() as u32;
            ((self.number(bytes) << unused) as i64 >> unused) as f64
        };
        let value = |value: &[u8]| match entry.kind {
            5 => self.number(&value[..4]) as f64 / self.number(&value[4..]) as f64,
            10 => signed(&value[..4]) / signed(&value[4..]),
            6 | 8 | 9 | 17 => signed(value),
            11 => f64::from(f32::from_bits(self.number(value) as u32)),
            12 => f64::from_bits(self.number(value)),
            _ => self.number(value) as f64,
        };
        let values = bytes.chunks_exact(size).map(value).collect();
        cx.budget().give_back(bytes.len() as u64);
        Ok(Some(values))
    }

    /// The bytes of a tag, if there are at most `most`.
    pub(super) fn bytes(&self, directory: &Directory, tag: u16, most: u64, cx: &Context) -> Result<Option<Vec<u8>>> {
        let Some(entry) = directory.entry(tag) else { return Ok(None) };
        let length = entry.count.saturating_mul(size_of_kind(entry.kind));
        if length > most {
            return Err(Error::malformed(format!("expected at most {most} bytes, found {length}")).at(place(entry)));
        }
        self.value_bytes(entry, cx).map(Some)
    }

    /// The text of a tag, up to its end or its first NUL.
    pub(super) fn text(&self, directory: &Directory, tag: u16, most: u64, cx: &Context) -> Result<Option<String>> {
        Ok(self.bytes(directory, tag, most, cx)?.map(|bytes| {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).trim_end().to_owned()
        }))
    }
}

impl Directory {
    pub(super) fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }
}

impl Entry {
    pub(super) fn is_text(&self) -> bool {
        self.kind == 2
    }
}

impl Chain {
    /// Says, of the first record, why there are no more: an error when strict.
    pub(super) fn report(&self, cx: &Context) -> Result<()> {
        if let Some(problem) = &self.problem {
            let found = self.pages.len();
            let text = format!("the pages end early, after {found}: {}", problem.message());
            let location = problem.location().cloned().unwrap_or_default();
            if cx.strictness() == Strictness::Strict {
                return Err(Error::malformed(text).at(location));
            }
            cx.report(Severity::Error, "pages", text, Some(location));
        }
        if self.aside > 0 {
            let text = "smaller copies and masks of pages are left out; -o tiff.pages=all reads them";
            cx.report_times(Severity::Info, "reduced", text, None, self.aside);
        }
        Ok(())
    }
}

fn place(entry: &Entry) -> Location {
    Location::element(format!("tag {}", entry.tag)).with_byte(entry.at)
}

/// Bytes of a value of this type (TIFF 6.0, page 15; BigTIFF adds 16 to 18). What is not known counts as bytes.
fn size_of_kind(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}
