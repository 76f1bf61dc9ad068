//! Which files of a searched folder may be loaded: those that nobody but the user and the administrator can have put there
//! or changed. A file that the caller names need only be a regular file.

use std::path::{Path, PathBuf};

#[cfg(not(unix))]
use mediary_core::Result;

/// A folder that is searched, as far as it may be.
pub(crate) struct Folder {
    /// Without links: what files must lie in.
    real: PathBuf,
}

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use mediary_core::{Error, Result};

    use super::Folder;
    use crate::inspect::refused;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;

    /// Whether only root and the user can change what `metadata` tells of.
    fn owned(what: &str, path: &Path, metadata: &Metadata) -> Result<()> {
        let user = rustix::process::geteuid().as_raw();
        let shown = path.display();
        if metadata.uid() != 0 && metadata.uid() != user {
            return Err(refused(format!("{what} {shown} belongs to user {}, not to you or root", metadata.uid()))
                .with_hint("install plugins with `mediary plugin add FILE`"));
        }
        // Others may write into a sticky folder of root's, such as /tmp, but not change what is in it.
        let sticky = metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & STICKY != 0;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 && !sticky {
            return Err(refused(format!(
                "{what} {shown} can be changed by others: its mode is {:04o}",
                metadata.mode() & 0o7777
            ))
            .with_hint(format!("chmod go-w {shown}")));
        }
        Ok(())
    }

    fn unreadable(path: &Path, error: std::io::Error) -> Error {
        Error::io("cannot look at", error).with_path(path.display().to_string())
    }

    impl Folder {
        /// Checks the folder and everything above it, as it is named and as it lies.
        pub(crate) fn check(path: &Path) -> Result<Self> {
            let real = path.canonicalize().map_err(|error| unreadable(path, error))?;
            for folder in path.ancestors().chain(real.ancestors()).filter(|path| !path.as_os_str().is_empty()) {
                owned("folder", folder, &folder.metadata().map_err(|error| unreadable(folder, error))?)?;
            }
            Ok(Self { real })
        }

        /// Checks a file of the folder by its open handle's `metadata`.
        pub(crate) fn admits(&self, file: &Path, metadata: &Metadata) -> Result<()> {
            owned("file", file, metadata)?;
            let link = file.symlink_metadata().map_err(|error| unreadable(file, error))?.is_symlink();
            if link {
                let to = file.canonicalize().map_err(|error| unreadable(file, error))?;
                if !to.starts_with(&self.real) {
                    return Err(refused(format!("it is a link that leaves its folder, to {}", to.display()))
                        .with_hint("copy the file, or name it with --plugin"));
                }
                // Folders below may be anyone's.
                for folder in to.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.real)) {
                    owned("folder", folder, &folder.metadata().map_err(|error| unreadable(folder, error))?)?;
                }
            }
            Ok(())
        }
    }
}

#[cfg(not(unix))]
impl Folder {
    /// Elsewhere folders have access lists, which the system's own rules keep.
    pub(crate) fn check(path: &Path) -> Result<Self> {
        let real = path.canonicalize().map_err(|error| mediary_core::Error::io("cannot look at", error))?;
        Ok(Self { real })
    }

    pub(crate) fn admits(&self, _: &Path, _: &std::fs::Metadata) -> Result<()> {
        Ok(())
    }
}

impl Folder {
    /// Without links.
    pub(crate) fn real(&self) -> &Path {
        &self.real
    }
}
