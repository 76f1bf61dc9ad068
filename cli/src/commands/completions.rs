//! `mediary completions`: a script for a shell. Ids of formats are those of this build.

use crate::args::{CompletionsArgs, command};
use crate::output::Screen;
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &CompletionsArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    // The generator panics when its output fails: it gets memory, which does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(&session.registry), "mediary", &mut script);
    screen.stdout().write_all(&script)?;
    Ok(Exit::Good)
}
