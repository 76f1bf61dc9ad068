//! [`Output`]: where writers write. Files appear under their final name only when they are whole.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};

use crate::error::{Error, ErrorKind, Result};
use crate::source::hex;

/// A seekable output and the files beside it. Dropping it without [`Output::finish`] leaves nothing behind.
pub struct Output {
    target: Target,
    siblings: Vec<(String, Target)>,
    overwrite: bool,
    limit: u64,
    written: u64,
    fault: Option<String>,
}

enum Target {
    Memory(Cursor<Vec<u8>>),
    /// `path` as given: names derive from it. `to` is where it leads, when it is a link.
    File {
        file: BufWriter<Temporary>,
        path: PathBuf,
        to: PathBuf,
    },
    Spool(BufWriter<File>),
    Object(Object),
    Sink(BufWriter<SinkFile>),
}

/// An output that lies elsewhere: with the host of a plugin or of a worker process.
pub trait Sink: Send {
    /// Writes all bytes at the position of an output: 0 is the main one, others are those of [`create`](Self::create).
    ///
    /// # Errors
    /// What the other side reports.
    fn write(&mut self, output: u32, bytes: &[u8]) -> Result<()>;

    /// Moves the position of the main output, from the start.
    ///
    /// # Errors
    /// What the other side reports.
    fn seek(&mut self, position: u64) -> Result<()>;

    /// Opens a file beside the output.
    ///
    /// # Errors
    /// What the other side reports.
    fn create(&mut self, name: &str) -> Result<u32>;

    /// See [`Output::stem`].
    fn stem(&self) -> String;

    /// See [`Output::has_siblings`].
    fn has_siblings(&self) -> bool;
}

/// One file of a [`Sink`], with the position of the next byte and the length so far.
struct SinkFile {
    sink: Arc<Mutex<dyn Sink>>,
    output: u32,
    position: u64,
    len: u64,
}

impl SinkFile {
    fn lock(&self) -> MutexGuard<'_, dyn Sink + 'static> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buffered(sink: Arc<Mutex<dyn Sink>>, output: u32) -> BufWriter<Self> {
        BufWriter::with_capacity(1 << 18, Self { sink, output, position: 0, len: 0 })
    }
}

impl Write for SinkFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(self.output, bytes)?;
        self.position += bytes.len() as u64;
        self.len = self.len.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SinkFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if position != self.position {
            self.lock().seek(position)?;
            self.position = position;
        }
        Ok(position)
    }
}

/// A named temporary file whose errors do not tell its name, which is another each time.
struct Temporary(NamedTempFile);

/// A temporary file that is hashed on the way, as long as its writer does not jump.
struct Object {
    file: BufWriter<Temporary>,
    hasher: Option<Sha256>,
    position: u64,
}

/// Whole bytes in a temporary file, named by their content: see [`Output::object_in`].
#[derive(Debug)]
pub struct ObjectFile {
    /// The file; dropping it removes it.
    pub file: NamedTempFile,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// What an [`Output`] became.
#[derive(Debug, Default)]
pub struct Finished {
    /// The main bytes, for [`Output::memory`].
    pub bytes: Vec<u8>,
    /// Files beside it by name, for [`Output::memory`].
    pub siblings: Vec<(String, Vec<u8>)>,
}

/// An [`Output`] that is written and whole, and waits for its name: see [`Output::close`]. Dropping it leaves nothing
/// behind.
pub struct Closed {
    main: Whole,
    siblings: Vec<(String, Whole)>,
    overwrite: bool,
}

/// What a [`Target`] is once it is written.
enum Whole {
    Bytes(Vec<u8>),
    File { file: TempPath, to: PathBuf },
}

impl Output {
    /// In memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Target::Memory(Cursor::new(Vec::new())))
    }

    /// A file: written as an unnamed-looking temporary beside `path`, renamed on [`finish`](Self::finish). One that
    /// replaces a file has its permissions; of a link, what it leads to is replaced.
    ///
    /// # Errors
    /// `Io` when `path` exists and `overwrite` is false, is not a regular file, is a link that leads nowhere, or when its
    /// folder cannot be written.
    pub fn file(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        Ok(Self { overwrite, ..Self::new(temporary(path.as_ref(), overwrite)?) })
    }

    /// An unnamed temporary file, for streams that cannot seek such as standard output: write, then
    /// [`copy_to`](Self::copy_to).
    ///
    /// # Errors
    /// `Io` when no temporary file can be made.
    pub fn spool() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|error| Error::io("cannot make a temporary file", error))?;
        Ok(Self::new(Target::Spool(BufWriter::with_capacity(1 << 18, file))))
    }

    /// A temporary file in `folder` that gets its name from its content, for stores: write, then
    /// [`into_object`](Self::into_object). It has no files beside it.
    ///
    /// # Errors
    /// `Io` when no file can be made in `folder`.
    pub fn object_in(folder: &Path) -> Result<Self> {
        let file = BufWriter::with_capacity(1 << 16, temporary_file(folder)?);
        Ok(Self::new(Target::Object(Object { file, hasher: Some(Sha256::new()), position: 0 })))
    }

    /// An output that lies elsewhere. Its bytes arrive in pieces of up to 256 KiB.
    pub fn elsewhere(sink: impl Sink + 'static) -> Self {
        Self::new(Target::Sink(SinkFile::buffered(Arc::new(Mutex::new(sink)), 0)))
    }

    /// Flushes an output of [`object_in`](Self::object_in) and hands its file over, hashed. A writer that jumped (to patch
    /// a length) costs a second read.
    ///
    /// # Errors
    /// `Io` when flushing or reading back fails; `Unsupported` for another output.
    pub fn into_object(self) -> Result<ObjectFile> {
        let Target::Object(object) = self.target else {
            return Err(Error::unsupported("this output is no object of a store"));
        };
        let failed = |error| Error::io("cannot write", error);
        let Temporary(mut file) = object.file.into_inner().map_err(|error| failed(error.into_error()))?;
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let hasher = match object.hasher {
            Some(hasher) => hasher,
            None => {
                let mut hasher = Sha256::new();
                file.rewind().map_err(failed)?;
                let mut buffer = vec![0; 1 << 18];
                loop {
                    match file.read(&mut buffer) {
                        Ok(0) => break hasher,
                        Ok(count) => hasher.update(&buffer[..count]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
            }
        };
        Ok(ObjectFile { file, bytes, sha256: hex(&hasher.finalize()) })
    }

    fn new(target: Target) -> Self {
        Self { target, siblings: Vec::new(), overwrite: false, limit: u64::MAX, written: 0, fault: None }
    }

    /// The same output with a cap in bytes (`Limits::output_bytes`).
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// What the disk refused first, if it did: how a writer words that, and under which format, is its own affair.
    #[must_use]
    pub fn fault(&self) -> Option<Error> {
        self.fault.as_ref().map(|fault| Error::new(ErrorKind::Io, format!("cannot write: {fault}")))
    }

    fn note(&mut self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::Interrupted {
            self.fault.get_or_insert_with(|| error.to_string());
        }
        error
    }

    /// File name of the output without folder and extension: what a writer names its siblings after. `output` in memory.
    #[must_use]
    pub fn stem(&self) -> String {
        match &self.target {
            Target::File { path, .. } => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
            Target::Sink(file) => Some(file.get_ref().lock().stem()),
            _ => None,
        }
        .unwrap_or_else(|| "output".into())
    }

    /// Whether files can stand beside this output. Standard output has none: writers embed or report a loss.
    #[must_use]
    pub fn has_siblings(&self) -> bool {
        match &self.target {
            Target::Memory(_) | Target::File { .. } => true,
            Target::Spool(_) | Target::Object(_) => false,
            Target::Sink(file) => file.get_ref().lock().has_siblings(),
        }
    }

    /// Opens a file beside the output. `name` is a plain file name.
    ///
    /// # Errors
    /// `Io` when it cannot be made, or exists and the output does not overwrite; `Unsupported` when the output has no
    /// folder; `Malformed` for a name with separators.
    pub fn sibling(&mut self, name: &str) -> Result<&mut dyn Write> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == "." || name == ".." {
            return Err(Error::malformed(format!("{name:?} is no plain file name")));
        }
        let target = match &self.target {
            Target::Memory(_) => Target::Memory(Cursor::new(Vec::new())),
            Target::File { path, .. } => temporary(&path.with_file_name(name), self.overwrite)?,
            Target::Sink(file) => {
                let file = file.get_ref();
                let output = file.lock().create(name)?;
                Target::Sink(SinkFile::buffered(Arc::clone(&file.sink), output))
            }
            Target::Spool(_) | Target::Object(_) => {
                return Err(Error::unsupported("a stream has no files beside it"));
            }
        };
        self.siblings.push((name.to_owned(), target));
        match self.siblings.last_mut() {
            Some((_, target)) => Ok(target),
            None => Err(Error::unsupported("no sibling")),
        }
    }

    /// A file beside the output that was opened with [`sibling`](Self::sibling), to write more of it; `None` when there is
    /// none of this name.
    pub fn sibling_mut(&mut self, name: &str) -> Option<&mut dyn Write> {
        let (_, target) = self.siblings.iter_mut().rfind(|(known, _)| known == name)?;
        Some(target)
    }

    /// Flushes the output and closes its files, which wait under their temporary names for [`Closed::finish`]: for
    /// conversions of many outputs that are to appear together.
    ///
    /// # Errors
    /// `Io` when flushing fails; nothing is left behind then.
    pub fn close(self) -> Result<Closed> {
        let siblings = self.siblings.into_iter().map(|(name, target)| Ok((name, target.close()?)));
        let siblings = siblings.collect::<Result<_>>()?;
        Ok(Closed { siblings, main: self.target.close()?, overwrite: self.overwrite })
    }

    /// [`close`](Self::close), then [`Closed::finish`].
    ///
    /// # Errors
    /// As these.
    pub fn finish(self) -> Result<Finished> {
        self.close()?.finish()
    }

    /// Flushes the output and copies all its bytes to `to`.
    ///
    /// # Errors
    /// `Io` when reading back or writing fails.
    pub fn copy_to(mut self, to: &mut dyn Write) -> Result<u64> {
        self.flush()?;
        match self.target {
            Target::Memory(cursor) => {
                to.write_all(cursor.get_ref())?;
                Ok(cursor.get_ref().len() as u64)
            }
            Target::Spool(file) => {
                let mut file = file.into_inner().map_err(|error| Error::from(error.into_error()))?;
                file.seek(SeekFrom::Start(0))?;
                Ok(io::copy(&mut Read::by_ref(&mut file), to)?)
            }
            Target::File { .. } | Target::Object(_) | Target::Sink(_) => {
                Err(Error::unsupported("a named output is finished, not copied"))
            }
        }
    }
}

/// What the final rename will replace: only a file, and only when that was asked for. A device or a FIFO is never
/// replaced.
fn replaced(path: &Path, overwrite: bool) -> Result<Option<Metadata>> {
    let Ok(known) = path.symlink_metadata() else { return Ok(None) };
    let refused = |message: &str| Error::new(ErrorKind::Io, message).with_path(path.display().to_string());
    if known.is_dir() {
        return Err(refused("expected a file to write, found a directory"));
    }
    if !known.is_file() && !known.is_symlink() {
        return Err(refused("expected a regular file to write, found a device, a socket or a FIFO"));
    }
    if !overwrite {
        return Err(exists(path));
    }
    Ok(Some(known))
}

fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::Io, "the output exists")
        .with_hint("--force overwrites it")
        .with_path(path.display().to_string())
}

fn temporary(path: &Path, overwrite: bool) -> Result<Target> {
    let failed = |what: &str, error| Error::io(what, error).with_path(path.display().to_string());
    let mut to = path.to_owned();
    let mut known = replaced(&to, overwrite)?;
    if known.as_ref().is_some_and(Metadata::is_symlink) {
        to = to.canonicalize().map_err(|error| failed("cannot follow the link", error))?;
        known = replaced(&to, overwrite)?;
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = temporary_file(folder)?;
    if let Some(known) = known {
        let permitted = file.0.as_file().set_permissions(known.permissions());
        permitted.map_err(|error| failed("cannot keep the permissions", error))?;
    }
    Ok(Target::File { file: BufWriter::with_capacity(1 << 18, file), path: path.to_owned(), to })
}

fn temporary_file(folder: &Path) -> Result<Temporary> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mediary-").suffix(".tmp");
    // Temporary files are private by default; an output is an ordinary file and follows the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
        .tempfile_in(folder)
        .map(Temporary)
        // Its kind alone: the text holds the name that was tried.
        .map_err(|error| {
            Error::io("cannot write into the folder", error.kind().into()).with_path(folder.display().to_string())
        })
}

impl Closed {
    /// Makes the output visible under its name, siblings first. In memory, hands the bytes over.
    ///
    /// # Errors
    /// `Io` when renaming fails, or when a file of the name has appeared meanwhile and the output does not overwrite; the
    /// output does not appear under its name then.
    pub fn finish(self) -> Result<Finished> {
        let siblings = self.siblings.into_iter().map(|(name, whole)| Ok((name, whole.finish(self.overwrite)?)));
        Ok(Finished { siblings: siblings.collect::<Result<_>>()?, bytes: self.main.finish(self.overwrite)? })
    }
}

impl Target {
    fn close(self) -> Result<Whole> {
        match self {
            Self::Memory(cursor) => Ok(Whole::Bytes(cursor.into_inner())),
            Self::Spool(_) | Self::Object(_) => Ok(Whole::Bytes(Vec::new())),
            Self::Sink(file) => match file.into_inner() {
                Ok(_) => Ok(Whole::Bytes(Vec::new())),
                Err(error) => Err(Error::from(error.into_error())),
            },
            Self::File { file, path, to } => match file.into_inner() {
                Ok(Temporary(file)) => Ok(Whole::File { file: file.into_temp_path(), to }),
                Err(error) => Err(Error::io("cannot write", error.into_error()).with_path(path.display().to_string())),
            },
        }
    }
}

impl Whole {
    fn finish(self, overwrite: bool) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File { file, to } => {
                let renamed = if overwrite { file.persist(&to) } else { file.persist_noclobber(&to) };
                match renamed {
                    Ok(()) => Ok(Vec::new()),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&to)),
                    Err(error) => Err(Error::io("cannot rename to", error.error).with_path(to.display().to_string())),
                }
            }
        }
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

impl Seek for Temporary {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.as_file_mut().seek(to)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Memory(cursor) => cursor.write(bytes),
            Self::File { file, .. } => file.write(bytes),
            Self::Spool(file) => file.write(bytes),
            Self::Sink(file) => file.write(bytes),
            Self::Object(object) => {
                let count = object.file.write(bytes)?;
                if let Some(hasher) = &mut object.hasher {
                    hasher.update(&bytes[..count]);
                }
                object.position += count as u64;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::File { file, .. } => file.flush(),
            Self::Spool(file) => file.flush(),
            Self::Object(object) => object.file.flush(),
            Self::Sink(file) => file.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.target.write(bytes).map_err(|error| self.note(error))?;
        self.written = self.written.saturating_add(count as u64);
        if self.written > self.limit {
            return Err(Error::limit("output_bytes", self.written, self.limit).into());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush().map_err(|error| self.note(error))
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.target {
            Target::Memory(cursor) => cursor.seek(to),
            Target::File { file, .. } => file.seek(to),
            Target::Spool(file) => file.seek(to),
            Target::Sink(file) => file.seek(to),
            Target::Object(object) => {
                // Asking for the position is no jump.
                if matches!(to, SeekFrom::Current(0)) {
                    return Ok(object.position);
                }
                let position = object.file.seek(to)?;
                if position != object.position {
                    object.hasher = None;
                }
                object.position = position;
                Ok(position)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_whole_and_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.obj");
        let mut out = Output::file(&target, false).unwrap();
        out.write_all(b"mesh").unwrap();
        out.sibling("a.mtl").unwrap().write_all(b"material").unwrap();
        assert!(!target.exists());
        drop(out.close().unwrap());
        assert!(names(folder.path()).is_empty(), "nothing is left of an unfinished output");

        let mut out = Output::file(&target, false).unwrap();
        out.write_all(b"mash").unwrap();
        out.seek(SeekFrom::Start(1)).unwrap();
        out.write_all(b"e").unwrap();
        out.sibling("a.mtl").unwrap().write_all(b"material").unwrap();
        out.finish().unwrap();
        assert_eq!(names(folder.path()), ["a.mtl", "a.obj"]);
        assert_eq!(std::fs::read(&target).unwrap(), b"mesh");
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.mtl"), b"mine").unwrap();
        let mut out = Output::file(folder.path().join("a.obj"), false).unwrap();
        assert_eq!(out.sibling("a.mtl").err().unwrap().kind(), ErrorKind::Io);
        assert!(Output::file(folder.path().join("a.mtl"), false).is_err());
        assert!(Output::file(folder.path().join("a.mtl"), true).is_ok());
        assert!(Output::file(folder.path(), true).is_err(), "a directory");
        for name in ["../b", "b/c", "", ".."] {
            assert_eq!(out.sibling(name).err().unwrap().kind(), ErrorKind::Malformed, "{name:?}");
        }
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        for late in ["a.obj", "a.mtl"] {
            let mut out = Output::file(folder.path().join("a.obj"), false).unwrap();
            out.write_all(b"mesh").unwrap();
            out.sibling("a.mtl").unwrap().write_all(b"material").unwrap();
            let late = folder.path().join(late);
            std::fs::write(&late, b"mine").unwrap();
            let error = out.finish().err().unwrap();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Io, "the output exists"));
            assert_eq!(std::fs::read(&late).unwrap(), b"mine");
            for name in names(folder.path()) {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_replaced_keeps_its_mode_and_links_stay_links() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [secret, link, nowhere] =
            ["far/secret.obj", "link.obj", "nowhere.obj"].map(|name| folder.path().join(name));
        std::fs::create_dir(folder.path().join("far")).unwrap();
        std::fs::write(&secret, b"older").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        symlink("far/secret.obj", &link).unwrap();
        symlink("missing", &nowhere).unwrap();
        for (path, text) in [(&secret, "direct"), (&link, "linked")] {
            let mut out = Output::file(path, true).unwrap();
            out.write_all(text.as_bytes()).unwrap();
            assert_eq!(out.stem(), path.file_stem().unwrap().to_str().unwrap());
            out.finish().unwrap();
            assert_eq!(std::fs::read_to_string(&secret).unwrap(), text);
            assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(link.is_symlink());
        assert!(Output::file(&link, false).is_err());
        assert!(Output::file(&nowhere, true).is_err());
        assert_eq!(names(folder.path()), ["far", "link.obj", "nowhere.obj"]);
    }

    #[test]
    fn a_limit_stops_the_writer() {
        let mut out = Output::memory().with_limit(10);
        out.write_all(b"0123456789").unwrap();
        let error = Error::from(out.write_all(b"x").unwrap_err());
        assert_eq!(error.limit_name(), Some("output_bytes"));
    }

    #[test]
    fn faults_of_the_disk_do_not_tell_temporary_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Output::object_in(folder.path()).unwrap();
        let Target::Object(object) = &mut out.target else { panic!("an object") };
        // A file that is open for reading alone refuses as a full disk does.
        let read_only = File::open(object.file.get_ref().0.path()).unwrap();
        *object.file.get_mut().0.as_file_mut() = read_only;
        assert!(out.fault().is_none());
        assert!(out.write_all(&[0; 1 << 17]).is_err());
        let fault = out.fault().unwrap();
        assert_eq!((fault.kind(), fault.format()), (ErrorKind::Io, None));
        assert!(!fault.message().contains("mediary"), "{fault}");
        let gone = folder.path().join("gone");
        let error = Output::object_in(&gone).err().unwrap();
        assert!(!error.message().contains(".tmp"), "{error}");
    }
}
