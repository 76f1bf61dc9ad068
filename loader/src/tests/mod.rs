//! Tests with real plugin files, built with the C compiler from `tests/plugins`.

#![expect(clippy::unwrap_used, reason = "a helper of tests that fails, fails the test")]

mod direct;
mod folders;
mod format;
mod inspecting;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder of plugins of one test. Each file is loaded for itself.
pub(crate) struct Workshop(TempDir);

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Builds `tests/plugins/probe.c` with these definitions.
    pub(crate) fn build(&self, name: &str, defines: &[&str]) -> PathBuf {
        let to = self.path().join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/probe.c");
        let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        cc.args(["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        cc.arg(&to).arg(source).args(defines.iter().map(|define| format!("-D{define}")));
        let built = cc.output().expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        to
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let to = self.path().join(name);
        std::fs::write(&to, bytes).unwrap();
        to
    }
}
