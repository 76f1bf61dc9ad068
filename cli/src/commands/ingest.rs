use crate::{Exit, Session, args, output::Screen};
pub(crate) fn run(_: &Session, _: &args::IngestArgs, _: &mut Screen) -> anyhow::Result<Exit> {
    anyhow::bail!("later")
}
