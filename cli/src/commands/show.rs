use crate::{Exit, args, output::Screen};
pub(crate) fn run(_: &args::ShowArgs, _: &mut Screen) -> anyhow::Result<Exit> {
    anyhow::bail!("later")
}
