//! [`WorkerCommand`]: the program that becomes a worker process.

use std::path::PathBuf;

/// The program that becomes a worker process. By default this one, with the hidden command `__worker`.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there are no worker processes to start"))]
pub struct WorkerCommand {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
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
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new() }
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

    #[cfg(target_os = "linux")]
    pub(super) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command
    }
}
