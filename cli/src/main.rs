//! The `mediary` command.
//!
//! Results go to stdout, everything else to stderr. See `docs/cli.md` for commands, flags and exit codes.

mod args;
mod commands;
mod inputs;
mod interrupt;
#[cfg(target_os = "linux")]
mod memory;
mod output;
mod plugins;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use mediary::{Error, ErrorKind, Limits, ReadOptions, Registry, WriteOptions};

use args::{Cli, Command, Early, Global, Origins};
use interrupt::Interrupt;
use output::{Screen, error_to_stderr, text::Paint};
use plugins::Plugins;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All good.
    Good = 0,
    /// Nothing usable came of it.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Finished, but some inputs failed.
    Partial = 3,
    /// The store is damaged.
    Damaged = 4,
    /// The store is in use.
    Locked = 5,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

/// A wrong command line that the parser cannot know of.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// What every command works with.
pub(crate) struct Session {
    pub(crate) registry: Registry,
    pub(crate) plugins: Plugins,
    pub(crate) global: Global,
    pub(crate) origins: Origins,
    pub(crate) limits: Limits,
    pub(crate) interrupt: Interrupt,
}

impl Session {
    /// The read options that the flags ask for.
    pub(crate) fn read_options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.limits = self.limits;
        options.strictness = self.global.strictness();
        options.from = self.global.from.clone();
        options.options = self.global.option.clone();
        options.cancel = self.interrupt.cancel();
        options.threads = self.jobs();
        options
    }

    /// Threads: as many as asked for, or one a core.
    pub(crate) fn jobs(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.global.jobs.map_or_else(cores, NonZero::get)
    }

    /// The write options that the flags ask for.
    pub(crate) fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.limits = self.limits;
        options.options = self.global.option.clone();
        options.cancel = self.interrupt.cancel();
        options
    }
}

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: memory::LargePages = memory::LargePages;

/// The code of a defect of mediary itself, as every Rust program has it.
const DEFECT: u8 = 101;

fn main() -> ExitCode {
    mediary_loader::worker::serve_if_asked();
    let verbose = std::env::args_os().any(|word| word == "-v" || word == "--verbose" || word == "-vv");
    // Core turns panics of format code into errors of their input, `start` does so with those of the command itself. The
    // default hook would print a trace for each of them first.
    std::panic::set_hook(Box::new(move |panic| {
        if verbose {
            output::to_stderr(&format!("caught: {panic}\n"));
        }
    }));
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(code) => code,
        Err(_) => {
            let hint = "please report it with the command line; -v shows where";
            error_to_stderr(Paint(false), "mediary has a defect and had to stop", Some(hint));
            ExitCode::from(DEFECT)
        }
    }
}

fn start() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let early = Early::scan(&arguments, |name| std::env::var(name).ok());
    let mut registry = Registry::builtin();
    let plugins = Plugins::find(&mut registry, &early);
    let (cli, origins) = match args::parse(&registry, &early, arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // An id may be unknown because its plugin was refused.
            plugins.warnings().for_each(|warning| output::warning_to_stderr(Paint(false), &warning));
            // Help and version end here too. A closed stdout is no reason to complain.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    let mut screen = Screen::new(&cli.global);
    ExitCode::from(execute(registry, plugins, cli, origins, &mut screen) as u8)
}

/// Runs a parsed command line to its end, with its failure told.
fn execute(registry: Registry, plugins: Plugins, cli: Cli, origins: Origins, screen: &mut Screen) -> Exit {
    let Cli { global, command } = cli;
    let (limits, _) = args::limits_in_force(&global, &origins);
    let session = Session { registry, plugins, global, origins, limits, interrupt: Interrupt::install() };
    let done = run(&session, command, screen).and_then(|exit| {
        screen.flush()?;
        Ok(exit)
    });
    done.unwrap_or_else(|failure| finish(&failure, screen))
}

fn run(session: &Session, command: Command, screen: &mut Screen) -> anyhow::Result<Exit> {
    if !matches!(command, Command::Plugin(_)) {
        if let Some(refusal) = session.plugins.failure() {
            screen.error(refusal)?;
            return Ok(Exit::Failed);
        }
        session.plugins.warnings().for_each(|warning| screen.warning(&warning));
    }
    session.registry.check_options(&session.global.option)?;
    match command {
        Command::Info(args) => commands::info::run(session, &args, screen),
        Command::Detect(args) => commands::detect::run(session, &args, screen),
        Command::Convert(args) => commands::convert::run(session, &args, screen),
        Command::Preview(args) => commands::preview::run(session, &args, screen),
        Command::Formats(args) => commands::formats::run(session, &args, screen),
        Command::Ingest(args) => commands::ingest::run(session, &args, screen),
        Command::Ls(args) => commands::ls::run(&args, screen),
        Command::Show(args) => commands::show::run(&args, screen),
        Command::Verify(args) => commands::verify::run(&args, screen),
        Command::Plugin(args) => commands::plugin::run(session, &args, screen),
        Command::Doctor => commands::doctor::run(session, screen),
        Command::Completions(args) => commands::completions::run(session, &args, screen),
        Command::Man(args) => commands::man::run(session, &args, screen),
    }
}

/// Tells why a command failed, and how it ends.
fn finish(failure: &anyhow::Error, screen: &mut Screen) -> Exit {
    if is_broken_pipe(failure) {
        // The reader of our output has seen enough: `mediary info … | head`.
        return Exit::Good;
    }
    if let Some(error) = failure.downcast_ref::<Error>() {
        // A closed stdout cannot be told of; stderr was still written.
        let _ = screen.error(error);
        return exit_of(error);
    }
    let _ = screen.flush();
    error_to_stderr(screen.paint_stderr(), &format!("{failure:#}"), None);
    if failure.is::<Usage>() {
        output::to_stderr("For more information, try '--help'.\n");
        return Exit::Usage;
    }
    Exit::Failed
}

/// How a run ends that failed with `error`.
fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::InvalidOption => Exit::Usage,
        ErrorKind::Cancelled => Exit::Interrupted,
        ErrorKind::Locked => Exit::Locked,
        _ => Exit::Failed,
    }
}

fn is_broken_pipe(failure: &anyhow::Error) -> bool {
    failure
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
