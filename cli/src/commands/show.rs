use crate::{args, output::Screen, Exit}; pub(crate) fn run(_: &args::ShowArgs, _: &mut Screen) -> anyhow::Result<Exit> { anyhow::bail!("later") }
