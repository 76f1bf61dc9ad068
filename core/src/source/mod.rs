//! [`Source`]: bytes, a name hint and siblings. The only way a reader touches input.

mod map;
mod reader;
mod sibling;

use std::fs::File;
#[cfg(not(unix))]
use std::io::SeekFrom;
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

pub use reader::SourceReader;
pub use sibling::{FolderSiblings, MemorySiblings, NoSiblings, SiblingUse, Siblings};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;

/// Bytes of head, and the same of tail, that are read once and shared by all probes: 64 KiB.
pub const PROBE_BYTES: usize = 64 << 10;

/// Files from this size on are memory-mapped when a reader asks for all bytes: 16 MiB. Smaller ones are read, so that a
/// file cut by another process while it is read is an error and not a fault.
const MAP_FROM: u64 = 16 << 20;

/// An input. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    name: String,
    path: Option<PathBuf>,
    len: u64,
    backing: Arc<Backing>,
    head: OnceLock<Vec<u8>>,
    tail: OnceLock<Vec<u8>>,
    siblings: Box<dyn Siblings>,
    used: Mutex<Vec<SiblingUse>>,
}

enum Backing {
    Memory(Arc<[u8]>),
    File(Mutex<File>),
    Elsewhere(Arc<dyn ReadAt>),
}

/// Bytes that are reached in a way of their own: those of the host as a plugin sees them, those of a remote store.
pub trait ReadAt: Send + Sync {
    /// Length in bytes; it does not change.
    fn len(&self) -> u64;

    /// Whether there is no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end. Called from any thread.
    ///
    /// # Errors
    /// `Io` when they cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// All bytes where they can be had without a copy.
    ///
    /// # Errors
    /// `Io` when they cannot be mapped.
    fn bytes(&self) -> Result<Option<crate::wire::Bytes>> {
        Ok(None)
    }

    /// A file that holds just these bytes, where there is one.
    ///
    /// # Errors
    /// `Io` when its descriptor cannot be had.
    fn file(&self) -> Result<Option<File>> {
        Ok(None)
    }
}

/// All bytes of an input, borrowed from memory, from a memory map, or owned. Derefs to `[u8]`.
pub struct SourceBytes(Bytes);

enum Bytes {
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
    Mapped(map::Map),
    Elsewhere(crate::wire::Bytes),
}

impl Deref for SourceBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Shared(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
            Bytes::Elsewhere(bytes) => (**bytes).as_ref(),
        }
    }
}

impl SourceBytes {
    /// Says that the first `until` bytes are behind the reader. Of a mapped file the memory is given back; they may still be looked at.
    /// Call it every few megabytes: each call costs about a microsecond.
    pub fn pass(&self, until: usize) {
        if let Bytes::Mapped(map) = &self.0 {
            map.pass(until);
        }
    }
}

impl Source {
    /// Opens a regular file. Its folder resolves its siblings. A FIFO or a device is read as a stream up to
    /// `limits.input_bytes`.
    ///
    /// # Errors
    /// `Io` for a missing or unreadable file and for a directory; `Limit` when the input is over `input_bytes`.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let failed = |what: &str, error: std::io::Error| Error::io(what, error).with_path(shown.clone());
        let metadata = path.metadata().map_err(|error| failed("cannot open", error))?;
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::Io, "expected a file, found a directory")
                .with_hint("`mediary ingest` walks directories")
                .with_path(shown));
        }
        let file = File::open(path).map_err(|error| failed("cannot open", error))?;
        let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
        if !metadata.is_file() {
            return Self::from_reader(name, file, limits).map_err(|error| error.with_path(shown));
        }
        limits.check("input_bytes", metadata.len()).map_err(|error| error.with_path(shown))?;
        let siblings: Box<dyn Siblings> = match path.parent() {
            Some(folder) => Box::new(FolderSiblings::new(folder)),
            None => Box::new(NoSiblings),
        };
        Ok(Self::build(
            name,
            Some(path.to_owned()),
            metadata.len(),
            Arc::new(Backing::File(Mutex::new(file))),
            siblings,
        ))
    }

    /// An input in memory. `name` hints at the format by its extension; it may be empty.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::build(name.into(), None, bytes.len() as u64, Arc::new(Backing::Memory(bytes)), Box::new(NoSiblings))
    }

    /// An input in an open regular file, e.g. one that another process has opened. It is read by position alone, the
    /// file's own offset stays where it is.
    ///
    /// # Errors
    /// `Io` when its length cannot be had.
    pub fn from_file(name: impl Into<String>, file: File) -> Result<Self> {
        let len = file.metadata().map_err(|error| Error::io("cannot read", error))?.len();
        Ok(Self::build(name.into(), None, len, Arc::new(Backing::File(Mutex::new(file))), Box::new(NoSiblings)))
    }

    /// An input that is reached in a way of its own.
    #[must_use]
    pub fn from_elsewhere(name: impl Into<String>, bytes: Arc<dyn ReadAt>) -> Self {
        Self::build(name.into(), None, bytes.len(), Arc::new(Backing::Elsewhere(bytes)), Box::new(NoSiblings))
    }

    /// The file that holds just the bytes of this input, as another descriptor of the same open file: for libraries and
    /// programs that want one. It shares its offset: read it by position. `None` for an input in memory.
    ///
    /// # Errors
    /// `Io` when there is no descriptor left.
    pub fn file(&self) -> Result<Option<File>> {
        match &*self.0.backing {
            Backing::Memory(_) => Ok(None),
            Backing::File(file) => {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
                file.map(Some).map_err(|error| Error::io("cannot share the file", error))
            }
            Backing::Elsewhere(bytes) => bytes.file(),
        }
    }

    /// Reads a stream to its end: into memory up to 16 MiB, beyond that into an unnamed temporary file.
    ///
    /// # Errors
    /// `Io` when reading or spooling fails; `Limit` when the stream is over `input_bytes`.
    pub fn from_reader(name: impl Into<String>, mut reader: impl Read, limits: &Limits) -> Result<Self> {
        let mut first = Vec::new();
        let cap = MAP_FROM.min(limits.input_bytes.saturating_add(1));
        (&mut reader).take(cap).read_to_end(&mut first).map_err(|error| Error::io("cannot read the stream", error))?;
        limits.check("input_bytes", first.len() as u64)?;
        if (first.len() as u64) < MAP_FROM {
            return Ok(Self::from_bytes(name, first));
        }
        let spool = |error| Error::io("cannot spool the stream to a temporary file", error);
        let mut file = tempfile::tempfile().map_err(spool)?;
        file.write_all(&first).map_err(spool)?;
        let rest = limits.input_bytes.saturating_sub(first.len() as u64).saturating_add(1);
        drop(first);
        std::io::copy(&mut reader.take(rest), &mut file).map_err(spool)?;
        let len = file.stream_position().map_err(spool)?;
        limits.check("input_bytes", len)?;
        Ok(Self::build(name.into(), None, len, Arc::new(Backing::File(Mutex::new(file))), Box::new(NoSiblings)))
    }

    /// The same input with another resolver of siblings, e.g. [`MemorySiblings`].
    #[must_use]
    pub fn with_siblings(&self, siblings: impl Siblings + 'static) -> Self {
        let backing = Arc::clone(&self.0.backing);
        Self::build(self.0.name.clone(), self.0.path.clone(), self.0.len, backing, Box::new(siblings))
    }

    fn build(
        name: String,
        path: Option<PathBuf>,
        len: u64,
        backing: Arc<Backing>,
        siblings: Box<dyn Siblings>,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            path,
            len,
            backing,
            head: OnceLock::new(),
            tail: OnceLock::new(),
            siblings,
            used: Mutex::default(),
        }))
    }

    /// File name without its folder, or the given name; a hint, never trusted.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it was opened, if it is a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The first 64 KiB, or all of a shorter input. Read once. Empty if the input cannot be read: the reader that
    /// follows reports why.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.0.head.get_or_init(|| self.window(0))
    }

    /// The last 64 KiB, or all of a shorter input. Read once.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        if self.0.len <= PROBE_BYTES as u64 {
            return self.head();
        }
        self.0.tail.get_or_init(|| self.window(self.0.len - PROBE_BYTES as u64))
    }

    fn window(&self, offset: u64) -> Vec<u8> {
        let mut bytes = vec![0; PROBE_BYTES.min(usize::try_from(self.0.len - offset).unwrap_or(PROBE_BYTES))];
        match self.read_at(offset, &mut bytes) {
            Ok(read) => bytes.truncate(read),
            Err(_) => bytes.clear(),
        }
        bytes
    }

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the input. Callable from any thread.
    ///
    /// # Errors
    /// `Io` when the file cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        match &*self.0.backing {
            Backing::Memory(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                let count = buffer.len().min(bytes.len() - start);
                buffer[..count].copy_from_slice(&bytes[start..start + count]);
                Ok(count)
            }
            Backing::File(file) => {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner);
                read_file_at(&file, offset, buffer).map_err(|error| Error::io("cannot read", error).at_byte(offset))
            }
            Backing::Elsewhere(bytes) => bytes.read_at(offset, buffer),
        }
    }

    /// Reads exactly `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// `Malformed` (truncated) when the input ends before; `Io` when it cannot be read.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8], what: &str) -> Result<()> {
        let read = self.read_at(offset, buffer)?;
        if read == buffer.len() {
            return Ok(());
        }
        Err(Error::truncated(what, buffer.len() as u64, read as u64).at_byte(offset))
    }

    /// All bytes: shared when in memory, memory-mapped from 16 MiB on, otherwise read into memory the budget allows.
    ///
    /// # Errors
    /// `Limit` when the budget is too small; `Io` when the file cannot be read.
    pub fn bytes(&self, cx: &Context) -> Result<SourceBytes> {
        let file = match &*self.0.backing {
            Backing::Memory(bytes) => return Ok(SourceBytes(Bytes::Shared(Arc::clone(bytes)))),
            Backing::File(file) => Some(file),
            Backing::Elsewhere(bytes) => match bytes.bytes()? {
                Some(bytes) => return Ok(SourceBytes(Bytes::Elsewhere(bytes))),
                None => None,
            },
        };
        if let Some(file) = file.filter(|_| self.0.len >= MAP_FROM) {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let map = map::Map::new(&file).map_err(|error| Error::io("cannot map the file", error))?;
            return Ok(SourceBytes(Bytes::Mapped(map)));
        }
        cx.budget().take(self.0.len)?;
        let mut bytes = vec![0; usize::try_from(self.0.len).unwrap_or(usize::MAX)];
        let read = self.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(SourceBytes(Bytes::Owned(bytes)))
    }

    /// A buffered `Read + Seek + BufRead` over the input, with a position of its own. The buffer is 256 KiB.
    #[must_use]
    pub fn reader(&self) -> SourceReader {
        SourceReader::new(self.clone())
    }

    /// SHA-256 of all bytes, in lower-case hex. Reads the whole input.
    ///
    /// # Errors
    /// `Io` when the input cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        if let Backing::Memory(bytes) = &*self.0.backing {
            hasher.update(bytes);
            return Ok(hex(&hasher.finalize()));
        }
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            let count = self.read_at(offset, &mut buffer)?;
            if count == 0 {
                return Ok(hex(&hasher.finalize()));
            }
            hasher.update(&buffer[..count]);
            offset += count as u64;
        }
    }

    /// Opens a file that this input refers to by a relative name: a material library, a texture, a buffer.
    ///
    /// # Errors
    /// `Io` when it is missing; `Malformed` when the name is absolute, has a scheme, climbs with `..` or leaves the folder
    /// through a link; `Limit` when too many or too large siblings were opened for a record.
    pub fn sibling(&self, name: &str, cx: &Context) -> Result<Self> {
        let relative = sibling::confine(name)?;
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = cx.limits();
        let source = self.0.siblings.open(&relative, limits)?;
        if let Some(again) = used.iter().find(|known| known.name == relative) {
            debug_assert_eq!(again.bytes, source.len());
            return Ok(source);
        }
        limits.check("sibling_files", used.len() as u64 + 1)?;
        limits
            .check("sibling_bytes", used.iter().map(|known| known.bytes).sum::<u64>().saturating_add(source.len()))?;
        used.push(SiblingUse { name: relative, bytes: source.len() });
        Ok(source)
    }

    /// Forgets the siblings opened behind the first `kept`: what one record opened does not count for the next.
    pub(crate) fn forget_siblings(&self, kept: usize) {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).truncate(kept);
    }

    /// The siblings opened so far, in order: before the first record and, while records are read, for the last one.
    #[must_use]
    pub fn siblings_used(&self) -> Vec<SiblingUse> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// By position where the system can: descriptors may be shared with another process, whose offset must not move.
#[cfg(unix)]
fn read_part_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_part_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(buffer)
}

/// Fills `buffer` as far as the file goes.
fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_part_at(file, offset.saturating_add(filled as u64), &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.0.name, self.0.len)
    }
}

/// Lower-case hex of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Read, SeekFrom};

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn head_and_tail_are_bounded_and_reads_name_their_place() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let source = Source::from_bytes("x", bytes.clone());
        assert_eq!((source.head(), source.tail()), (&bytes[..PROBE_BYTES], &bytes[200_000 - PROBE_BYTES..]));
        let mut four = [0; 4];
        assert_eq!(source.read_at(199_998, &mut four).unwrap(), 2);
        let error = source.read_exact_at(199_998, &mut four, "the tail").unwrap_err();
        assert_eq!((error.kind(), error.location().unwrap().byte), (ErrorKind::Malformed, Some(199_998)));
        assert_eq!(source.read_at(u64::MAX, &mut four).unwrap(), 0);
    }

    #[test]
    fn a_reader_agrees_with_the_bytes_wherever_it_is_moved() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i / 3 % 256) as u8).collect();
        let mut reader = Source::from_bytes("x", bytes.clone()).reader();
        let mut five = [0; 5];
        for offset in [0_usize, 699_990, 3, 262_142, 262_144, 262_139, 5] {
            reader.seek(SeekFrom::Start(offset as u64)).unwrap();
            reader.read_exact(&mut five).unwrap();
            assert_eq!(five, bytes[offset..offset + 5]);
            assert_eq!(reader.position(), offset as u64 + 5);
        }
        assert!(reader.seek(SeekFrom::Current(-11)).is_err());
        reader.seek(SeekFrom::End(0)).unwrap();
        assert!(reader.fill_buf().unwrap().is_empty());
    }

    #[test]
    fn what_is_passed_may_still_be_looked_at() {
        let long: Vec<u8> = (0..MAP_FROM as u32 + 5).map(|i| (i / 7 % 256) as u8).collect();
        let source = Source::from_reader("-", &long[..], &Limits::default()).unwrap();
        let bytes = source.bytes(&Context::new("test")).unwrap();
        for until in [0, 1, 9000, 12 << 20, long.len(), usize::MAX] {
            bytes.pass(until);
            assert!(*bytes == *long, "{until}");
        }
        Source::from_bytes("", *b"short").bytes(&Context::new("test")).unwrap().pass(3);
    }

    #[test]
    fn streams_are_spooled_and_cut_at_the_limit() {
        let long = vec![7_u8; (MAP_FROM + 5) as usize];
        let source = Source::from_reader("-", &long[..], &Limits::default()).unwrap();
        assert_eq!(source.len(), MAP_FROM + 5);
        assert_eq!(source.bytes(&Context::new("x")).unwrap().len() as u64, MAP_FROM + 5);
        let mut limits = Limits::default();
        for cap in [3, MAP_FROM + 1] {
            limits.input_bytes = cap;
            let error = Source::from_reader("-", &long[..], &limits).unwrap_err();
            assert_eq!(error.limit_name(), Some("input_bytes"));
        }
    }

    #[test]
    fn siblings_stay_in_the_folder_and_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("secret"), b"s").unwrap();
        std::fs::write(inner.join("a.obj"), b"mesh").unwrap();
        std::fs::write(inner.join("a.mtl"), b"material").unwrap();
        std::os::unix::fs::symlink("../secret", inner.join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", inner.join("zero")).unwrap();
        let cx = Context::new("x");
        let source = Source::open(inner.join("a.obj"), &Limits::default()).unwrap();
        assert_eq!(source.sibling("a.mtl", &cx).unwrap().len(), 8);
        assert_eq!(source.sibling("./a.mtl", &cx).unwrap().len(), 8);
        assert_eq!(source.siblings_used().len(), 1);
        for bad in ["../secret", "link", "zero"] {
            assert_eq!(source.sibling(bad, &cx).unwrap_err().kind(), ErrorKind::Malformed, "{bad}");
        }
        assert_eq!(source.sibling("missing", &cx).unwrap_err().kind(), ErrorKind::Io);
        let in_memory = source.with_siblings(MemorySiblings::default().with("b.mtl", *b"xy"));
        assert_eq!(in_memory.sibling("b.mtl", &cx).unwrap().len(), 2);
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-4, example of one block.
        assert_eq!(
            Source::from_bytes("", *b"abc").sha256().unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
