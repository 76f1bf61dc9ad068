use crate::{Exit, Session, args, output::Screen};
pub(crate) fn run(_: &Session, _: &args::VerifyArgs, _: &mut Screen) -> anyhow::Result<Exit> {
    anyhow::bail!("later")
}
