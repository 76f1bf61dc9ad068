//! `mediary plugin`: one file a command.

mod add;
mod check;
mod list;
mod new;
mod remove;

use std::path::PathBuf;

use mediary::{Error, ErrorKind};

use crate::args::{PluginArgs, PluginCommand};
use crate::output::Screen;
use crate::{Exit, Session};

/// What a plugin in C or another language is written against.
const HEADER: &str = include_str!("../../../../core/include/mediary_plugin.h");

pub(crate) fn run(session: &Session, args: &PluginArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    match &args.command {
        PluginCommand::List(args) => list::run(session, args, screen),
        PluginCommand::Add(args) => add::run(session, args, screen),
        PluginCommand::Remove(args) => remove::run(args, screen),
        PluginCommand::Check(args) => check::run(session, args, screen),
        PluginCommand::New(args) => new::run(session, args, screen),
        PluginCommand::Header => {
            screen.text(HEADER)?;
            Ok(Exit::Good)
        }
    }
}

/// Where `add` adds to and `remove` removes from.
fn folder() -> mediary::Result<PathBuf> {
    mediary_loader::user_folder().ok_or_else(|| {
        Error::new(ErrorKind::Io, "there is no folder for plugins: neither XDG_DATA_HOME nor HOME is an absolute path")
            .with_hint("set one of them, or load the plugin with --plugin FILE")
    })
}

/// Ids of formats in a row.
fn ids(formats: &[mediary::FormatInfo]) -> String {
    formats.iter().map(|info| info.id).collect::<Vec<_>>().join(", ")
}
