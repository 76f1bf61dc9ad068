//! `mediary man`: the manual, from the same command tree as the help.

use mediary::Error;

use crate::args::{ManArgs, command};
use crate::output::Screen;
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &ManArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let command = command(&session.registry);
    let Some(folder) = &args.dir else {
        clap_mangen::Man::new(command).render(&mut screen.stdout())?;
        return Ok(Exit::Good);
    };
    let failed = |error| Error::io("cannot write the manual", error).with_path(folder.display().to_string());
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    Ok(Exit::Good)
}
