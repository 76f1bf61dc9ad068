//! [`WorkerCommand`]: the program that becomes a worker process.

use std::path::PathBuf;

/// The program that becomes a worker process. By default this one, with the hidden command `__worker`.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there are no worker processes to start"))]
pub struct WorkerCommand {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    state: Option<PathBuf>,
}

impl Default for WorkerCommand {
    fn default() -> Self {
        Self::new("/proc/self/exe").argument(super::ASKED)
    }
}

impl WorkerCommand {
    /// A program that calls [`serve_if_asked`](super::serve_if_asked) or [`main`](super::main).
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new(), state: None }
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable of its environment, which is empty otherwise.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With a folder where inputs that crash plugins are remembered. By default that is `$XDG_STATE_HOME/mediary` or
    /// `~/.local/state/mediary`.
    #[must_use]
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }

    #[cfg(target_os = "linux")]
    pub(super) fn state_folder(&self) -> Option<PathBuf> {
        self.state.clone().or_else(super::quarantine::Quarantine::folder)
    }

    /// What the program is known by: another build of it is another one.
    #[cfg(target_os = "linux")]
    pub(super) fn build(&self) -> String {
        use std::os::unix::fs::MetadataExt;
        let build =
            self.program.metadata().map(|file| format!("{}-{}.{}", file.len(), file.mtime(), file.mtime_nsec()));
        format!("built-in {} {}", env!("CARGO_PKG_VERSION"), build.unwrap_or_default())
    }

    #[cfg(target_os = "linux")]
    pub(super) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command
    }
}
