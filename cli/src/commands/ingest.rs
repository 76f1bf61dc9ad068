use crate::{args, output::Screen, Exit, Session}; pub(crate) fn run(_: &Session, _: &args::IngestArgs, _: &mut Screen) -> anyhow::Result<Exit> { anyhow::bail!("later") }
