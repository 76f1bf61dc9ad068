//! Loads a plugin file: once per process, and never unloads it.
//!
//! The file is read once: hashed, compared, copied into sealed memory and loaded from there, so that what was compared is what
//! runs, whoever writes to the file meanwhile.
#![expect(unsafe_code, reason = "loading code is unsafe by nature; see the SAFETY notes")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, c_void};
use std::fmt::Write as _;
use std::fs::File;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mediary_core::plugin::abi;
use mediary_core::plugin::raw;
use mediary_core::{Error, ErrorKind, Result, hex};
use sha2::{Digest, Sha256};

use crate::inspect::{PLUGIN_BYTES, refused, regular};
use crate::table::Table;

/// A plugin file that may be loaded.
#[derive(Debug)]
pub(crate) struct Library {
    path: PathBuf,
    sha256: String,
    #[cfg(target_os = "linux")]
    sealed: Mutex<Option<OwnedFd>>,
    /// What loading it came to. An error is told again each time.
    loaded: OnceLock<std::result::Result<&'static Table, Refused>>,
}

/// An [`Error`] that can be told again.
#[derive(Debug)]
struct Refused {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl Library {
    /// The file at `path` with these bytes: one and the same, however often it is asked for, so that it is loaded once.
    pub(crate) fn of(path: PathBuf, sha256: String) -> Arc<Self> {
        static ALL: Mutex<BTreeMap<(PathBuf, String), Arc<Library>>> = Mutex::new(BTreeMap::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry((path.clone(), sha256.clone())).or_insert_with(|| {
            Arc::new(Self {
                path,
                sha256,
                #[cfg(target_os = "linux")]
                sealed: Mutex::default(),
                loaded: OnceLock::new(),
            })
        });
        Arc::clone(known)
    }

    /// Of its bytes, in lower-case hex.
    #[cfg(target_os = "linux")]
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The functions of the plugin, which is loaded the first time.
    pub(crate) fn table(&self) -> Result<&'static Table> {
        let loaded = self.loaded.get_or_init(|| {
            self.load().map_err(|error| Refused {
                kind: error.kind(),
                message: error.message().to_owned(),
                hint: error.hint().map(str::to_owned),
            })
        });
        loaded.as_ref().copied().map_err(|refused| {
            let error = Error::new(refused.kind, refused.message.clone());
            match &refused.hint {
                Some(hint) => error.with_hint(hint.clone()),
                None => error,
            }
        })
    }

    #[cfg(target_os = "linux")]
    fn load(&self) -> Result<&'static Table> {
        load_fd(self.sealed()?).map_err(|error| self.named(error))
    }

    #[cfg(not(target_os = "linux"))]
    fn load(&self) -> Result<&'static Table> {
        let file = open(&self.path)?;
        self.compare(&hash(&file, &mut std::io::sink())?)?;
        load_path(self.path.as_os_str()).map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        let message = format!("plugin {}: {}", self.path.display(), error.message());
        let named = Error::new(error.kind(), message);
        match error.hint() {
            Some(hint) => named.with_hint(hint),
            None => named,
        }
    }

    fn compare(&self, found: &str) -> Result<()> {
        if found == self.sha256 {
            return Ok(());
        }
        Err(refused(format!(
            "plugin {} has changed: expected SHA-256 {}, found {found}",
            self.path.display(),
            self.sha256
        ))
        .with_hint("mediary plugin add FILE adds it again, if the change is yours"))
    }

    /// The bytes of the plugin, compared, in memory that nobody can change. Another handle each time.
    #[cfg(target_os = "linux")]
    pub(crate) fn sealed(&self) -> Result<OwnedFd> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        let failed = |error: std::io::Error| Error::io("cannot copy the plugin into memory", error);
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = &*sealed {
            return memory.try_clone().map_err(failed);
        }
        let name = self.path.file_name().unwrap_or(OsStr::new("plugin"));
        let memory = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let mut memory = File::from(memory.map_err(|error| failed(error.into()))?);
        self.compare(&hash(&open(&self.path)?, &mut memory)?)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&memory, seals).map_err(|error| failed(error.into()))?;
        let handle = memory.try_clone().map_err(failed)?;
        *sealed = Some(memory.into());
        Ok(handle.into())
    }
}

fn open(path: &Path) -> Result<File> {
    let failed = |error| Error::io(format!("cannot open plugin {}", path.display()), error);
    regular(&path.metadata().map_err(failed)?)?;
    File::open(path).map_err(failed)
}

/// The SHA-256 of a plugin file.
pub(crate) fn sha256(path: &Path) -> Result<(String, std::fs::Metadata)> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(|error| Error::io("cannot read the plugin", error))?;
    Ok((hash(&file, &mut std::io::sink())?, metadata))
}

/// Copies `file` and gives the SHA-256 of what was copied.
fn hash(mut file: &File, to: &mut dyn std::io::Write) -> Result<String> {
    use std::io::Read;
    let failed = |error| Error::io("cannot read the plugin", error);
    let (mut hasher, mut buffer, mut left) = (Sha256::new(), vec![0; 1 << 18], PLUGIN_BYTES);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        left = left.checked_sub(count as u64).ok_or_else(|| refused("the file grew while it was read"))?;
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(failed)?;
    }
}

/// Loads the plugin in sealed memory.
///
/// # Errors
/// `Plugin` when the system's loader refuses it, it has no entry, or it declines.
#[cfg(target_os = "linux")]
pub(crate) fn load_fd(memory: OwnedFd) -> Result<&'static Table> {
    use std::os::fd::IntoRawFd;
    // The descriptor stays open for ever: the C library knows loaded files by name, and another plugin under the same number
    // would be taken for this one.
    load_path(OsStr::new(&format!("/proc/self/fd/{}", memory.into_raw_fd())))
}

/// Symbols are resolved now, so that a missing one is an error here and not the end of the process later; they are not seen
/// by other libraries; and the library stays, because its buffers and threads may outlive every use.
#[cfg(unix)]
fn open_library(path: &OsStr) -> std::result::Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    const RTLD_NODELETE: i32 = if cfg!(target_os = "linux") { 0x1000 } else { 0 };
    // SAFETY: initialisers run. The caller chose to run the plugin in this process: its file is the one that was inspected.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }.map(Into::into)
}

#[cfg(not(unix))]
fn open_library(path: &OsStr) -> std::result::Result<libloading::Library, libloading::Error> {
    // SAFETY: as above.
    unsafe { libloading::Library::new(path) }
}

fn load_path(path: &OsStr) -> Result<&'static Table> {
    let library = open_library(path).map_err(|error| refused(format!("it cannot be loaded: {}", chain(&error))))?;
    // Leaked: it is never unloaded, also when it is refused below.
    let library = Box::leak(Box::new(library));
    // SAFETY: the stamp says that the entry has this type.
    let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.as_bytes()) };
    let entry = entry.map_err(|error| refused(format!("it has no entry {}: {}", abi::ENTRY_SYMBOL, chain(&error))))?;
    let said = Box::leak(Box::new(Said::default()));
    let host = Box::leak(Box::new(Said::host(said)));
    // SAFETY: the table of the host lives for ever. What comes back is NULL or a table that lives for ever too: that is the
    // contract of the entry.
    let table = unsafe { Table::take(entry(host)) };
    let table = table.map_err(|error| match said.text() {
        text if text.is_empty() => error,
        text => refused(format!("{}; it said: {text}", error.message())),
    })?;
    Ok(Box::leak(Box::new(table)))
}

/// An error with everything below it: the loader's reason is not in the first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let _ = write!(text, ": {error}");
        below = error.source();
    }
    text
}

/// What a plugin logs while it is loaded, for the message when it declines. Later lines belong to what is running.
#[derive(Default)]
struct Said(Mutex<String>);

impl Said {
    const MOST: usize = 1 << 10;

    /// The table that an entry gets: `log` alone.
    fn host(said: &'static Self) -> abi::Host {
        abi::Host { ctx: std::ptr::from_ref(said).cast_mut().cast(), log: Some(log), ..crate::host::NONE }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

unsafe extern "C" fn log(said: *mut c_void, level: u32, text: abi::Str) {
    // SAFETY: `ctx` of the table above is a leaked `Said`; NULL is checked.
    let Some(said) = (unsafe { said.cast::<Said>().as_ref() }) else { return };
    // SAFETY: borrowed for the call, as the contract says.
    let text = unsafe { raw::text(text, Said::MOST) };
    if crate::host::log_here(level, &text) {
        return;
    }
    let mut all = said.0.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() + text.len() <= Said::MOST {
        let gap = if all.is_empty() { "" } else { "; " };
        let _ = write!(all, "{gap}{text}");
    }
}
